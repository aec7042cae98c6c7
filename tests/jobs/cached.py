"""Keeps what was costly to compute in executors' memory, and checkpoints nothing: what goes with a node is computed again.

usage: cached.py [OUTPUT]
"""

import sys
import time

from pyspark.sql import SparkSession

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "s3://gallery/cached/"
PARTITIONS, ROUNDS = 30, 8

spark = SparkSession.builder.appName("cached").config("spark.spotDrill.output", OUTPUT).getOrCreate()


def costly(rows):
    time.sleep(2.0)
    return [row * row for row in rows]


def cheap(rows):
    time.sleep(0.5)
    return rows


cached = spark.sparkContext.range(30_000, numSlices=PARTITIONS).mapPartitions(costly).cache()
sums = [(i, cached.mapPartitions(cheap).map(lambda n, i=i: n % (i + 7)).sum()) for i in range(ROUNDS)]
spark.createDataFrame(sums, ["round", "sum"]).coalesce(1).write.mode("overwrite").csv(OUTPUT)
spark.stop()
