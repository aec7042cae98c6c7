"""Shuffles everything six times: what a lost node had written for others is written again, by attempts of earlier stages.

usage: wide_shuffle.py [OUTPUT], best with --set delay=400: what goes before the first shuffle is there costs nobody anything
"""

import sys
import time

from pyspark.sql import SparkSession

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "s3://gallery/wide-shuffle/"
# The rows come from few tasks, so that the first shuffle is soon there to be lost.
SOURCES, TASKS, ROWS_A_TASK, SECONDS_A_TASK, ROUNDS = 5, 40, 100, 1.5, 6

spark = SparkSession.builder.appName("wide shuffle").config("spark.spotDrill.output", OUTPUT).getOrCreate()


def slowly(rows):
    time.sleep(SECONDS_A_TASK)
    for key, row in rows:
        yield key * 7 + 1, row


rows = spark.sparkContext.range(TASKS * ROWS_A_TASK, numSlices=SOURCES).map(lambda i: (i, i))
for _ in range(ROUNDS):
    rows = rows.partitionBy(TASKS).mapPartitions(slowly)
rows.toDF("key long, row long").write.mode("overwrite").csv(OUTPUT)
spark.stop()
