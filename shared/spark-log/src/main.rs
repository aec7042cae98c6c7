//! Prints what a Spark event log says: `spark-log PATH`.

use clap::Parser;

/// Reads the event log of a Spark application, version 3.4 to 4.x, and prints what happened to it.
///
/// Plain or compressed as Spark does (zstd, lz4, snappy, lzf), gzipped, one file or a rolling log's folder, whole or
/// still being written.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The log: a file, or a folder that holds one.
    path: String,
    /// Tables for people instead of JSON.
    #[arg(long)]
    table: bool,
}

fn main() -> anyhow::Result<()> {
    let Arguments { path, table } = Arguments::parse();
    spark_log::program::run(&path, table)
}
