//! In the place of `real_spark` where it cannot run.
//!
//! Separate because it is all that is left of it there.

use std::convert::Infallible;
use std::path::Path;

use account::journal::Entry;
use anyhow::bail;

use crate::comparison::Written;
use crate::gate::{Moment, Pace};
use crate::job::{Job, Sitting};
use crate::run::Run;
use crate::world::World;

/// Why it cannot.
const WHY: &str = "real Spark runs on Linux only: each simulated instance has a loopback address of its own, and its processes \
                   are ended by /proc";

/// An error that says where it can.
pub fn run(_: &Job, _: Sitting<'_>, _: impl FnMut(&Entry)) -> anyhow::Result<Run> {
    bail!("--job: {WHY}")
}

/// The same.
pub fn rows(_: &[&Path]) -> anyhow::Result<Vec<Written>> {
    bail!("--baseline: {WHY}")
}

/// Nobody has one here.
#[derive(Debug)]
pub struct Served(Infallible);

impl Served {
    /// An error that says where it can.
    pub fn prepare(_: &Path, _: Pace, _: u64) -> anyhow::Result<Self> {
        bail!("--spark: {WHY}")
    }

    /// Of nothing.
    pub fn name(&self) -> String {
        match self.0 {}
    }

    /// The same.
    pub async fn keep(self, _: World, _: Moment) {
        match self.0 {}
    }
}
