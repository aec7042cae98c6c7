"""Has tasks that take longer than a notice leaves: what runs on a node with a notice is lost with it, always.

usage: long_tasks.py [OUTPUT], at --pace 10: a task's 30 seconds are more than the twelve of the notice
"""

import sys
import time

from pyspark.sql import SparkSession

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "s3://gallery/long-tasks/"
TASKS, SECONDS_A_TASK = 10, 30.0

spark = SparkSession.builder.appName("long tasks").config("spark.spotDrill.output", OUTPUT).getOrCreate()


def slowly(rows):
    time.sleep(SECONDS_A_TASK)
    return rows


rows = spark.sparkContext.range(15_000, numSlices=TASKS).mapPartitions(slowly)
rows.map(lambda i: (i, i * i)).toDF("i long, square long").write.mode("overwrite").csv(OUTPUT)
spark.stop()
