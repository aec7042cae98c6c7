"""Joins on a key that nearly all rows share: one task does the work of all others, and is lost with its node.

usage: skewed_join.py [OUTPUT]
"""

import sys
import time

from pyspark.sql import SparkSession

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "s3://gallery/skewed-join/"
PARTITIONS, ROWS, SECONDS_A_ROW = 20, 3_000, 0.015

spark = SparkSession.builder.appName("skewed join").config("spark.spotDrill.output", OUTPUT).getOrCreate()


def slowly(row):
    time.sleep(SECONDS_A_ROW)
    return row


# Nine rows of ten have key 0.
left = spark.sparkContext.range(ROWS, numSlices=PARTITIONS).map(lambda i: (0 if i % 10 else i, i))
right = spark.sparkContext.range(ROWS, numSlices=PARTITIONS).map(lambda i: (i, -i))
joined = left.join(right, PARTITIONS).map(slowly)
joined.map(lambda row: (row[0], row[1][0], row[1][1])).toDF("key long, left long, right long").write.mode("overwrite").csv(OUTPUT)
spark.stop()
