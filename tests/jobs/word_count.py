"""Counts words, with nothing to fear: its output is committed whole, its stages may be tried again, its tasks are short.

usage: word_count.py [OUTPUT]
"""

import sys
import time

from pyspark.sql import SparkSession

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else "s3://gallery/word-count/"
WORDS = "a drill is worth what it shows and no more than that".split()
TASKS, LINES_A_TASK, SECONDS_A_TASK = 200, 200, 1.0

# Where the output lies, for the report.
spark = SparkSession.builder.appName("word count").config("spark.spotDrill.output", OUTPUT).getOrCreate()


def words_of(task):
    time.sleep(SECONDS_A_TASK)
    for line in range(LINES_A_TASK):
        for place in range(8):
            yield WORDS[(task * 7 + line * 3 + place) % len(WORDS)], 1


counts = spark.sparkContext.range(TASKS, numSlices=TASKS).flatMap(words_of).reduceByKey(lambda a, b: a + b, 12)
counts.toDF("word string, count long").write.mode("overwrite").csv(OUTPUT)
print("words:", spark.read.csv(OUTPUT).selectExpr("sum(_c1)").first()[0])
spark.stop()
