//! In the place of `real_spark` where it cannot run.
//!
//! Separate because it is all that is left of it there.

use std::path::Path;

use account::journal::Entry;
use anyhow::bail;

use crate::comparison::Written;
use crate::job::{Job, Sitting};
use crate::run::Run;

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
