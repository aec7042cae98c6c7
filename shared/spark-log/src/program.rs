//! What a program that reads a log for a person needs: the log's files, a bar while they are read, tables.
//!
//! Separate from the reader, which knows no files: `spark-log` is this over the files of this machine, and whoever reads
//! from elsewhere finds the rest here.

mod files;
mod tables;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub use files::read;

use crate::{Limits, SparkRun, is_rolled, order_parts};

/// Reads the log at `path`, one file or the folder of a rolling log, and prints it.
///
/// # Errors
/// Nothing lies there, several logs do, or no line of what lies there is an event log's.
pub fn run(path: &str, table: bool) -> anyhow::Result<()> {
    show(path, &read(path, &Limits::default())?, table)
}

/// Prints what a log says: as tables if `table`, else as JSON. `path` is where it lies, for the message.
///
/// # Errors
/// No line was an event log's; standard output cannot be written.
pub fn show(path: &str, run: &SparkRun, table: bool) -> anyhow::Result<()> {
    if run.reading.lines_parsed == 0 {
        bail!(
            "{path} holds no line of a Spark event log: {}",
            skipped(&run.reading.skipped)
        );
    }
    print(&if table {
        tables::tables(run)?
    } else {
        serde_json::to_string_pretty(run)? + "\n"
    })
}

/// A bar on stderr, if stderr is a terminal.
pub fn progress_bar(bytes_total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes_total), ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} to go")
            .expect("the template is constant"),
    );
    bar
}

/// Prints to stdout. Whoever reads may stop early, as `head` does: that is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("writing to stdout"),
    }
}

/// What lies in a folder, or under a prefix.
#[derive(Debug)]
pub enum Folder {
    /// The files of one log, by name, in order.
    Log(Vec<String>),
    /// One log: a file or a folder.
    Only(String),
}

/// Which log a folder holds: a folder of rolled files is one log; any other may hold several, each a file or a folder.
///
/// # Errors
/// None lies there, or several do: the message names them.
pub fn log_in(place: &str, mut folders: Vec<String>, mut names: Vec<String>) -> anyhow::Result<Folder> {
    order_parts(&mut names);
    if is_rolled(&names) {
        return Ok(Folder::Log(names));
    }
    folders.retain(|folder| folder.starts_with("eventlog_v2_"));
    folders.sort();
    folders.append(&mut names);
    match folders.len() {
        0 => bail!("{place} holds no event log"),
        1 => Ok(Folder::Only(folders.remove(0))),
        several => {
            let mut message = format!("{place} holds {several} logs; name one of them:");
            for log in folders {
                write!(message, "\n  {}/{log}", place.trim_end_matches('/'))?;
            }
            bail!(message)
        }
    }
}

fn skipped(skipped: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = skipped.iter().map(|(what, count)| format!("{count} {what}")).collect();
    if each.is_empty() {
        "it is empty".to_owned()
    } else {
        each.join(", ")
    }
}
