"""Lets no task fail: `spark.task.maxFailures` is 1. What a lost node costs its tasks counts as no failure if Spark knows
that the node was lost.

usage: one_task_failure.py [OUTPUT]
"""

import sys
import time

from pyspark.sql import SparkSession

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "s3://gallery/one-task-failure/"
TASKS, SECONDS_A_TASK = 10, 30.0

spark = (
    SparkSession.builder.appName("one task failure")
    .config("spark.spotDrill.output", OUTPUT)
    .config("spark.task.maxFailures", "1")
    .getOrCreate()
)


def slowly(rows):
    time.sleep(SECONDS_A_TASK)
    return rows


rows = spark.sparkContext.range(4_000, numSlices=TASKS).mapPartitions(slowly)
rows.map(lambda i: (i, i + 1)).toDF("i long, next long").write.mode("overwrite").csv(OUTPUT)
spark.stop()
