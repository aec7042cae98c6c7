//! The program: drills on the simulated account, and a reader of Spark event logs.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local::{drill_command, spark_log_command};

/// Drills on a simulated AWS account: does a Spark job survive Spot interruptions?
#[derive(Debug, Parser)]
#[command(name = "local", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a drill in virtual time, and write its report.
    Drill(drill_command::Drill),
    /// Print what the event log reader finds in a log of Spark's, as JSON.
    SparkLog {
        /// A file, or the folder of a rolling log.
        path: String,
        /// A table for people instead of JSON.
        #[arg(long)]
        table: bool,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Drill(drill) => drill_command::run(&drill),
        Command::SparkLog { path, table } => spark_log_command::run(&path, table).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
