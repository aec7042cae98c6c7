"""Ends with a status of its own, after Spark did all that it was asked for.

usage: exits.py STATUS
"""

import sys

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
print("counted", spark.range(1000).count())
sys.exit(int(sys.argv[1]))
