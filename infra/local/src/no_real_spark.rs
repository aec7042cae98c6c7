//! In the place of `real_spark` where it cannot run.
//!
//! Separate because it is all that is left of it there.

use std::path::Path;

use account::journal::Entry;
use anyhow::bail;

use crate::comparison::Written;
use crate::job::Job;
use crate::run::Run;
use crate::settings::Settings;

/// One run of a job.
#[derive(Debug, Clone, Copy)]
pub struct Sitting<'a> {
    /// What the drill is like.
    pub settings: &'a Settings,
    /// All chance is drawn from this.
    pub seed: u64,
    /// Virtual seconds per real second.
    pub pace: u32,
    /// The folder of this run.
    pub out: &'a Path,
    /// The folder of the run without a drill, and the place in S3 that the job wrote to.
    pub baseline: Option<(&'a Path, &'a str)>,
}

/// An error that says where it can.
pub fn run(_: &Job, _: Sitting<'_>, _: impl FnMut(&Entry)) -> anyhow::Result<Run> {
    bail!(
        "--job runs real Spark on Linux only: it gives each simulated instance a loopback address of its own, and ends its \
         processes by /proc"
    )
}

/// The same.
pub fn rows(_: &[&Path]) -> anyhow::Result<Vec<Written>> {
    bail!("real Spark runs on Linux only")
}
