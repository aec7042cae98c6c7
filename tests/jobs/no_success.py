"""Leaves no `_SUCCESS` behind, so that nobody who reads the output knows whether it is whole.

usage: no_success.py [OUTPUT]
"""

import sys
import time

from pyspark.sql import SparkSession

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "s3://gallery/no-success/"
TASKS = 200

spark = SparkSession.builder.appName("no success").config("spark.spotDrill.output", OUTPUT).getOrCreate()
# In the code, where neither the step nor the event log's settings tell of it.
spark.sparkContext._jsc.hadoopConfiguration().set("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")


def slowly(rows):
    time.sleep(1.0)
    return rows


rows = spark.sparkContext.range(4_000, numSlices=TASKS).mapPartitions(slowly).map(lambda i: (i, i % 3))
rows.toDF("i long, third long").write.mode("overwrite").csv(OUTPUT)
spark.stop()
