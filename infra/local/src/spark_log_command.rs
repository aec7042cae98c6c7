//! `spark-log` and `what-if`: what a Spark event log says, and what losses would do to its job, in S3 too.
//!
//! Separate because they need no account, simulated or real: they are useful on any log. Reading files, playing and printing
//! is the programs' of the crates of these names.

mod objects;

use spark_log::{Limits, program};

pub use objects::read_from_s3;

/// Reads the log at `path`, one file or the folder of a rolling log, on this machine or in S3 (`s3://bucket/key`), and
/// prints it: as tables if `table`, else as JSON.
pub fn run(path: &str, table: bool) -> anyhow::Result<()> {
    match objects::bucket_and_key(path) {
        Some((bucket, key)) => program::show(path, &objects::read(bucket, key, &Limits::default())?, table),
        None => program::run(path, table),
    }
}

/// Plays the job of the log that the arguments name, on this machine or in S3, and prints what losses would do to it.
pub fn what_if(arguments: &what_if::program::Arguments) -> anyhow::Result<()> {
    match objects::bucket_and_key(&arguments.log) {
        Some((bucket, key)) => {
            let log = objects::read(bucket, key, &what_if::program::limits())?;
            what_if::program::tell(arguments, &log)
        }
        None => what_if::program::run(arguments),
    }
}
