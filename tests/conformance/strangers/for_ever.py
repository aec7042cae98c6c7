"""Does not end by itself, and prints a line a second."""

import time

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
round = 0
while True:
    spark.sparkContext.parallelize(range(8), 8).map(lambda i: time.sleep(0.2) or i).sum()
    print("round", round, flush=True)
    round += 1
