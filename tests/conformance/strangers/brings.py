"""Uses what its step brings: a resource of a JAR, a file and an archive, in the driver or in tasks; prints what it found.

usage: brings.py, with `word/of.jar.txt` in a JAR, `word.txt` among the files, and an archive named `env`
"""

from pathlib import Path

from pyspark import SparkFiles
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
context = spark.sparkContext
loader = context._jvm.java.lang.Thread.currentThread().getContextClassLoader()
of_jar = loader.getResource("word/of.jar.txt")


def found(_):
    return Path(SparkFiles.get("word.txt")).read_text().strip(), Path(SparkFiles.get("env"), "inner/word.txt").read_text().strip()


words = set(context.parallelize(range(20), 20).map(found).collect())
print("found", of_jar is not None, words, context.appName, spark.conf.get("spark.of.a.file", "no properties"))
spark.stop()
