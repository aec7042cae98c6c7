"""Reads Parquet that another step wrote, and sums it up as one CSV file.

usage: totals.py IN OUT
"""

import sys

from pyspark.sql import SparkSession

source, target = sys.argv[1:]
spark = SparkSession.builder.getOrCreate()
totals = spark.read.parquet(source).groupBy("day").count().orderBy("day")
totals.coalesce(1).write.mode("overwrite").csv(target)
spark.stop()
