"""Has its tasks append to a store that is none of Spark's, past its committers: a task that runs again writes its rows
twice.

usage: appends.py [OUTPUT], at --pace 10: a task's 30 seconds are more than the twelve of the notice
"""

import os
import sys
import time
import uuid

from pyspark.sql import SparkSession

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "s3://gallery/appends/"
TASKS, ROWS_A_TASK, SECONDS_A_ROW = 10, 10, 3.0

spark = SparkSession.builder.appName("appends").config("spark.spotDrill.output", OUTPUT).getOrCreate()
path = spark.sparkContext._jvm.org.apache.hadoop.fs.Path(OUTPUT)
files = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
files.delete(path, True)
files.mkdirs(path)
# The store is outside of Spark: its tasks write to it as they would to a database.
store = files.resolvePath(path).toUri().getPath()


def append(task, rows):
    with open(os.path.join(store, f"rows-{uuid.uuid4()}.csv"), "a", encoding="utf-8") as out:
        for row in rows:
            time.sleep(SECONDS_A_ROW)
            out.write(f"{task},{row}\n")
            out.flush()
    return [task]


done = spark.sparkContext.range(TASKS * ROWS_A_TASK, numSlices=TASKS).mapPartitionsWithIndex(append).count()
files.create(spark.sparkContext._jvm.org.apache.hadoop.fs.Path(path, "_SUCCESS")).close()
print("tasks:", done)
spark.stop()
