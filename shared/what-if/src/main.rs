//! Plays a Spark job again from its event log, and interrupts it: `what-if LOG`.

use clap::Parser;
use what_if::program::{Arguments, run};

fn main() -> anyhow::Result<()> {
    run(&Arguments::parse())
}
