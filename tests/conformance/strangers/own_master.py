"""Works on a laptop, and so it brings its own master."""

import time

from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[2]").appName("on my laptop").config("spark.ui.enabled", "false").getOrCreate()
print(spark.sparkContext.parallelize(range(60), 60).map(lambda i: time.sleep(1) or i).sum())
spark.stop()
