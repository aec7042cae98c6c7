"""Fails by its own code, interrupted or not.

usage: own_failure.py [OUTPUT]
"""

import sys
import time

from pyspark.sql import SparkSession

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "s3://gallery/own-failure/"
TASKS = 150

spark = SparkSession.builder.appName("own failure").config("spark.spotDrill.output", OUTPUT).getOrCreate()


def fails_at_the_end(task, rows):
    time.sleep(1.0)
    if task == TASKS - 1:
        raise ValueError("row 1499 has no date")
    return rows


rows = spark.sparkContext.range(1_500, numSlices=TASKS).mapPartitionsWithIndex(fails_at_the_end)
rows.map(lambda i: (i, i)).toDF("i long, same long").write.mode("overwrite").csv(OUTPUT)
spark.stop()
