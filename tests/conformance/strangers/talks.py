"""Prints twenty megabytes.

usage: talks.py
"""

import sys

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
for number in range(200_000):
    print("line", number, "x" * 90)
    if number % 10 == 0:
        print("warning", number, file=sys.stderr)
print(spark.range(100).count(), "rows")
spark.stop()
