//! The samples as a table for each share of a CPU, and the sizes. Apart from the measuring because this is only about
//! how it reads.

use std::fs;

use anyhow::{Context, Result};
use comfy_table::{Table, presets::ASCII_MARKDOWN};

use crate::measure::Sample;
use crate::prepare::zipped_size;
use crate::program::{BOTO3, HELLO, Program};

/// All starts of one program at one share.
#[derive(Debug, Clone)]
pub struct Series {
    /// The program.
    pub program: Program,
    /// Lambda's memory; `None`: the full CPU.
    pub megabytes: Option<u32>,
    /// In the order of the turns.
    pub samples: Vec<Sample>,
}

impl Series {
    /// The median of a figure.
    pub fn median(&self, figure: fn(&Sample) -> f64) -> f64 {
        self.quantile(figure, 50)
    }

    fn quantile(&self, figure: fn(&Sample) -> f64, percent: usize) -> f64 {
        let mut values: Vec<f64> = self.samples.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        // Halfway between two neighbours where the rank falls between them.
        f64::midpoint(at(last * percent / 100), at((last * percent).div_ceil(100)))
    }

    /// The median, and the tenth and ninetieth percentile.
    fn cell(&self, figure: fn(&Sample) -> f64) -> String {
        let [low, median, high] = [10, 50, 90].map(|percent| plain(self.quantile(figure, percent)));
        format!("{median} ({low}–{high})")
    }
}

/// The series of a program at a share.
pub fn find<'a>(all: &'a [Series], name: &str, megabytes: Option<u32>) -> Option<&'a Series> {
    all.iter()
        .find(|series| series.program.name == name && series.megabytes == megabytes)
}

/// Times, memory and calls at one share.
pub fn times(all: &[Series], megabytes: Option<u32>) -> Result<Table> {
    let mut table = markdown(&[
        "program",
        "init",
        "first event",
        "start → first TLS call",
        "in hello worlds",
        "boto3 takes, times",
        "beyond its calls",
        "second event",
        "beyond its calls",
        "peak RSS, MB",
        "TLS handshakes: init + later",
        "calls",
    ]);
    let of = |name| find(all, name, megabytes).map(|series| series.median(|sample| sample.to_first_call));
    let (hello, boto3) = (of(HELLO), of(BOTO3));
    for series in all.iter().filter(|series| series.megabytes == megabytes) {
        let total = series.median(|sample| sample.to_first_call);
        let ratio = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
        let first = series.samples.first().context("a series has samples")?;
        table.add_row([
            series.program.name.clone(),
            series.cell(|sample| sample.init),
            series.cell(|sample| sample.first),
            series.cell(|sample| sample.to_first_call),
            ratio(hello.map(|hello| total / hello)),
            ratio(boto3.map(|boto3| boto3 / total)),
            series.cell(|sample| sample.first_beyond_calls),
            series.cell(|sample| sample.warm),
            series.cell(|sample| sample.warm_beyond_calls),
            format!("{:.1}", series.median(|sample| sample.peak_rss)),
            format!("{} + {}", first.handshakes.0, first.handshakes.1),
            calls(first),
        ]);
    }
    Ok(table)
}

/// What one start called, by name.
fn calls(sample: &Sample) -> String {
    let early = match sample.early_calls {
        0 => String::new(),
        count => format!("({count} in init) "),
    };
    early + &sample.operations.join(", ")
}

/// What a program's file weighs.
#[derive(Debug, Clone)]
pub struct Size {
    /// The program.
    pub name: String,
    /// Is it held against the targets?
    pub is_judged: bool,
    /// The file, in MB of a million bytes.
    pub file: f64,
    /// Its zip.
    pub zip: f64,
}

/// The sizes of what would be deployed, each file once.
pub fn sizes(programs: &[Program]) -> Result<Vec<Size>> {
    let mut seen = Vec::new();
    let mut sizes = Vec::new();
    for program in programs {
        let Some(file) = program.deployed.as_ref().filter(|file| !seen.contains(file)) else {
            continue;
        };
        seen.push(file);
        let bytes = fs::metadata(file)
            .with_context(|| format!("reading {}", file.display()))?
            .len();
        sizes.push(Size {
            name: program.name.clone(),
            is_judged: program.is_judged,
            file: megabytes(bytes)?,
            zip: megabytes(u64::try_from(zipped_size(file)?)?)?,
        });
    }
    Ok(sizes)
}

/// The sizes as a table.
pub fn of_sizes(sizes: &[Size]) -> Table {
    let mut table = markdown(&["program", "file, MB", "zip, MB"]);
    for size in sizes {
        table.add_row([
            size.name.clone(),
            format!("{:.2}", size.file),
            format!("{:.2}", size.zip),
        ]);
    }
    table
}

fn megabytes(bytes: u64) -> Result<f64> {
    Ok(f64::from(u32::try_from(bytes).context("a file of less than four gigabytes")?) / 1e6)
}

fn markdown(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(head);
    table
}

fn plain(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}
