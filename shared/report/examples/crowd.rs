//! Renders the report of a drill of as many instances as asked for, its JSON and its page, and says how large they are, how
//! long that took, and how much memory the process needed for it and for everything before.
//!
//! usage: `cargo run --release -p report --example crowd -- 4000 > report.html`

#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use chrono::TimeDelta;
use report::{ExecutorRow, Report};
use rules::hit::InterruptionFacts;
use rules::replacement::Replacement;

/// The sample's drill, with so many instances instead of its three: four waves of a minute each, and an executor on each
/// instance that went and on each that came.
fn crowd(count: usize) -> Result<Report, Box<dyn Error>> {
    let mut report: Report = serde_json::from_str(include_str!("../samples/workshop.json"))?;
    let interruption = report.interruptions[0].clone();
    let spark = report.spark.as_mut().ok_or("the sample has Spark's side")?;
    let executor = spark.executors.iter().find(|row| row.on_interrupted).cloned();
    let executor = executor.ok_or("one of its executors was hit")?;
    report.interruptions = (0..count).map(|number| hit(&interruption, number, count)).collect();
    spark.executors = (0..count).map(|number| on(&executor, number)).collect();
    spark.executors_on_interrupted = count;
    spark.executors_removed = count;
    report.drill.experiments[0].victims = (0..count).map(id).collect();
    report.findings = report::finding::find(&report);
    Ok(report)
}

fn id(number: usize) -> String {
    format!("i-{number:017x}")
}

fn on(executor: &ExecutorRow, number: usize) -> ExecutorRow {
    ExecutorRow {
        id: number.to_string(),
        host: format!("ip-10-{}-{}.compute.internal", number / 256, number % 256),
        instance_id: Some(id(number)),
        ..executor.clone()
    }
}

/// The number-th instance. One in three was not replaced.
fn hit(one: &InterruptionFacts, number: usize, count: usize) -> InterruptionFacts {
    let mut hit = one.clone();
    let wave = i32::try_from(number * 4 / count).unwrap_or(0);
    let later = |at| Some(at? + TimeDelta::seconds(60) * wave);
    hit.interrupted.instance_id = id(number);
    hit.interrupted.noticed_at = later(hit.interrupted.noticed_at);
    hit.interrupted.terminated_at = later(hit.interrupted.terminated_at);
    hit.loss.held = vec![format!("executor {number}")];
    if number.is_multiple_of(3) {
        hit.replacement = Replacement::NotReplaced {
            why: "300 s after the loss, when the job ended, the pool stood at 52 of 64 units".into(),
        };
    }
    hit
}

/// The most memory that this process has had, in MB, where the system tells.
fn peak_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1_024)
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).ok_or("usage: crowd INSTANCES")?.parse()?;
    let report = crowd(count)?;
    let begun = Instant::now();
    let json = report.to_json()?;
    let html = report.to_html()?;
    let took = begun.elapsed();
    eprintln!(
        "{} bytes of JSON and {} of page in {} ms; at most {} MB of memory",
        json.len(),
        html.len(),
        took.as_millis(),
        peak_mb().map_or_else(|| "?".to_owned(), |mb| mb.to_string())
    );
    std::io::stdout().write_all(html.as_bytes())?;
    Ok(())
}
