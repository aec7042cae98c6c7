//! The rows that runs wrote, counted by Spark itself, which reads whatever formats it writes.
//!
//! Separate because it is a job of its own, after the runs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use super::installation::Installation;
use crate::comparison::Written;

const SCRIPT: &str = include_str!("rows.py");

/// Where the job itself lies, which no run writes.
const JOBS: &str = "emr-spot-workshop-data/jobs/";

/// Counts what lies below each of the folders of buckets.
pub(super) fn count(installation: &Installation, roots: impl Iterator<Item = PathBuf>) -> anyhow::Result<Vec<Written>> {
    let output = Command::new(&installation.python)
        .args(["-c", SCRIPT])
        .args(roots)
        .env("SPARK_HOME", &installation.home)
        .env("PYSPARK_PYTHON", &installation.python)
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        .output()
        .context("counting the rows that were written")?;
    if !output.status.success() {
        bail!(
            "counting the rows that were written: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut written: Vec<Written> =
        serde_json::from_slice(&output.stdout).context("reading the counts of the rows that were written")?;
    for one in &mut written {
        one.remove(JOBS);
    }
    Ok(written)
}
