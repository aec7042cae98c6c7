"""A stream with a checkpoint: batches that were begun on a lost node are done again, and each row is written once.

usage: streaming.py [OUTPUT]
"""

import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql.functions import udf

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "s3://gallery/streaming/"
FILES, ROWS_A_FILE, SECONDS_A_ROW = 100, 25, 0.05

spark = SparkSession.builder.appName("streaming").config("spark.spotDrill.output", OUTPUT + "rows/").getOrCreate()
path = spark.sparkContext._jvm.org.apache.hadoop.fs.Path(OUTPUT)
path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).delete(path, True)
spark.range(FILES * ROWS_A_FILE, numPartitions=FILES).write.json(OUTPUT + "in/")


@udf("long")
def day(row):
    time.sleep(SECONDS_A_ROW)
    return row % 7


rows = spark.readStream.schema("id long").option("maxFilesPerTrigger", 10).json(OUTPUT + "in/")
stream = (
    rows.withColumn("day", day("id"))
    .writeStream.format("csv")
    .option("checkpointLocation", OUTPUT + "checkpoint/")
    .trigger(availableNow=True)
    .start(OUTPUT + "rows/")
)
stream.awaitTermination()
spark.stop()
