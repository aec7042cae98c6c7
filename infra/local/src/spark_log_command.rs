//! `spark-log`: prints what a Spark event log says, in S3 too.
//!
//! Separate because it needs no account, simulated or real: it is useful on any log of Spark 3.4 to 4.x. Reading files and
//! printing is the program `spark-log`'s, of the crate of that name.

mod objects;

use spark_log::program;

pub use objects::read_from_s3;

/// Reads the log at `path`, one file or the folder of a rolling log, on this machine or in S3 (`s3://bucket/key`), and
/// prints it: as tables if `table`, else as JSON.
pub fn run(path: &str, table: bool) -> anyhow::Result<()> {
    match objects::bucket_and_key(path) {
        Some((bucket, key)) => program::show(path, &objects::read(bucket, key)?, table),
        None => program::run(path, table),
    }
}
