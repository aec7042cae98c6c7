"""What strangers submit: arguments of its own, CSV in, partitioned Parquet out, a module of its own, all by `s3a://`.

usage: orders.py --in URI --out URI [--day DAY] [--seconds-a-row N]
"""

import argparse
import logging

from discounts import discounted
from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from pyspark.sql.types import DoubleType

log = logging.getLogger("orders")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--in", dest="source", required=True)
    parser.add_argument("--out", dest="target", required=True)
    parser.add_argument("--day", default="")
    parser.add_argument("--seconds-a-row", type=float, default=0.0)
    options = parser.parse_args()
    spark = SparkSession.builder.appName("Orders of " + (options.day or "all days")).getOrCreate()
    orders = spark.read.option("header", True).option("inferSchema", True).csv(options.source)
    if options.day:
        orders = orders.where(f.col("day") == options.day)
    price = f.udf(lambda price, n: discounted(price, n, options.seconds_a_row), DoubleType())
    priced = orders.repartition(40, "id").withColumn("paid", price("price", "id"))
    priced.write.mode("overwrite").partitionBy("day").parquet(options.target)
    log.warning("%d orders in %s", spark.read.parquet(options.target).count(), options.target)
    spark.stop()


if __name__ == "__main__":
    main()
