"""Lets no stage be tried a second time, so that one failed fetch from a lost node ends the job. Its reducers read slowly,
as those of large shuffles do: some are still reading when a node goes.

usage: one_stage_attempt.py [OUTPUT]
"""

import sys
import time

from pyspark.sql import SparkSession

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "s3://gallery/one-stage-attempt/"
TASKS, ROWS_A_TASK, SECONDS_A_ROW, BYTES_A_ROW = 20, 100, 0.06, 20_000

spark = (
    SparkSession.builder.appName("one stage attempt")
    .config("spark.spotDrill.output", OUTPUT)
    .config("spark.stage.maxConsecutiveAttempts", "1")
    # One block after the other, and little ahead of who reads.
    .config("spark.reducer.maxReqsInFlight", "1")
    .config("spark.reducer.maxSizeInFlight", "64k")
    .config("spark.shuffle.compress", "false")
    .getOrCreate()
)


def slowly(rows):
    for key, payload in rows:
        time.sleep(SECONDS_A_ROW)
        yield key + 1, payload


rows = spark.sparkContext.range(TASKS * ROWS_A_TASK, numSlices=TASKS).map(lambda i: (i, "x" * BYTES_A_ROW))
for _ in range(3):
    rows = rows.partitionBy(TASKS).mapPartitions(slowly)
rows.mapValues(len).toDF("key long, bytes long").write.mode("overwrite").csv(OUTPUT)
spark.stop()
