//! The program: drills on the simulated account, the account served to AWS clients, and a reader of Spark event logs.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local::{drill_command, serve, spark_log_command};

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
    /// Serve the account to AWS clients, until Ctrl-C.
    Serve(serve::Serve),
    /// Print what the event log reader finds in a log of Spark's, as JSON.
    SparkLog {
        /// A file, or the folder of a rolling log; or either in S3, as s3://bucket/key, with your own AWS settings.
        path: String,
        /// A table for people instead of JSON.
        #[arg(long)]
        table: bool,
    },
    /// Play a job again from its event log, here or in S3, and take nodes away from it.
    WhatIf(what_if::program::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Drill(drill) => drill_command::run(&drill),
        Command::Serve(command) => serve::run(&command),
        Command::SparkLog { path, table } => spark_log_command::run(&path, table).map(|()| ExitCode::SUCCESS),
        Command::WhatIf(arguments) => spark_log_command::what_if(&arguments).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        // Whoever read our output has seen enough (`| head`): that is nobody's error.
        if is_broken_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_io = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<std::io::Error>().map(|io| io.kind());
    error
        .chain()
        .filter_map(is_io)
        .any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}
