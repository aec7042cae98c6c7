"""One of the small jobs that are interrupted: their tasks sleep, so that a machine of two cores can run many of them.

usage: job.py NAME
"""

import sys
import time

from pyspark import SparkConf, SparkContext


def sleeping(seconds):
    def pass_on(rows):
        time.sleep(seconds)
        return rows

    return pass_on


def uneven(index, rows):
    time.sleep(5.0 if index == 3 else 1.0)
    return rows


def pairs(context, parts, seconds, keys=97):
    numbers = context.parallelize(range(parts * 200), parts).mapPartitions(sleeping(seconds))
    return numbers.map(lambda number: (number % keys, 1))


def add(left, right):
    return left + right


def wordcount(context):
    """A map stage and a reduce stage."""
    pairs(context, 30, 1.6).reduceByKey(add, 12).mapPartitions(sleeping(2.5)).count()


def chain(context):
    """Three shuffles, one after the other."""
    first = pairs(context, 18, 1.5).reduceByKey(add, 12).mapPartitions(sleeping(2.0))
    second = first.map(lambda pair: (pair[0] % 13, pair[1])).reduceByKey(add, 12).mapPartitions(sleeping(2.0))
    second.map(lambda pair: (pair[1] % 3, 1)).reduceByKey(add, 6).mapPartitions(sleeping(1.5)).count()


def again(context):
    """Two jobs of which the second finds the first one's shuffle, if it is still there; a pause between them."""
    counts = pairs(context, 18, 1.8).reduceByKey(add, 6)
    counts.mapPartitions(sleeping(2.0)).count()
    time.sleep(3)
    counts.mapPartitions(sleeping(3.0)).count()


def join(context):
    """Two map stages at once, and what reads both."""
    left, right = pairs(context, 15, 1.5), pairs(context, 15, 2.0, 31)
    left.reduceByKey(add, 6).join(right.reduceByKey(add, 6), 12).mapPartitions(sleeping(2.0)).count()


def skew(context):
    """One task that is five times as long as the others."""
    numbers = context.parallelize(range(4000), 24).mapPartitionsWithIndex(uneven)
    numbers.map(lambda number: (number % 97, 1)).reduceByKey(add, 12).mapPartitions(sleeping(2.0)).count()


def sql(context):
    """An aggregation of Spark SQL, whose stages adaptive execution submits as jobs of their own."""
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import col, udf

    session = SparkSession(context)
    session.conf.set("spark.sql.shuffle.partitions", "8")
    session.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "false")
    slow = udf(lambda key: time.sleep(0.09) or key, "long")
    rows = session.range(0, 480, 1, 24).select((col("id") % 40).alias("key"))
    grouped = rows.select(slow("key").alias("key")).groupBy("key").count()
    grouped.select(slow("key").alias("key"), "count").groupBy("count").count().collect()


JOBS = {job.__name__: job for job in (wordcount, chain, again, join, skew, sql)}

if __name__ == "__main__":
    spark_context = SparkContext(conf=SparkConf().setAppName(sys.argv[1]))
    # Python's workers are started once, outside what is measured.
    spark_context.parallelize(range(12), 12).map(lambda number: number).count()
    print("BEGUN", flush=True)
    JOBS[sys.argv[1]](spark_context)
    # What follows is no part of the job: whoever is killed then is not missed.
    print("DONE", int(time.time() * 1000), flush=True)
    spark_context.stop()
