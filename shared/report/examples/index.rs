//! Prints an index over as many drills as asked for, of as many jobs, and says how large it is and how long it took: to add
//! one more to what lies there, which is what a report does.
//!
//! usage: `cargo run --release -p report --example index -- 10000 200 > index.html`

#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use chrono::{DateTime, TimeDelta};
use report::index::{Entry, Index};
use rules::verdict::Verdict;

/// The number-th drill of that many jobs. It is bad now and then.
fn entry(number: usize, jobs: usize) -> Option<Entry> {
    let verdict = match number * 7_919 % 23 {
        0 => Verdict::Failed,
        1..=3 => Verdict::Degraded,
        4..=6 => Verdict::Inconclusive,
        _ => Verdict::Survived,
    };
    Some(Entry {
        job: format!("s3://jobs/etl/{}.py s3://lake/table-{}/", number % jobs, number % jobs),
        href: format!("j-{:013X}/s-{:013X}/report.html", number % jobs, number),
        cluster: format!("nightly-{}", number % jobs),
        started_at: Some(DateTime::from_timestamp(1_795_000_000, 0)? + TimeDelta::minutes(i64::try_from(number).ok()?)),
        verdict,
        run_seconds: Some(500 + i64::try_from(number % 97).ok()?),
        interrupted: 3,
        findings: vec![
            "Shuffle files went with their nodes.".into(),
            "Some tasks take longer than the two minutes of notice.".into(),
        ],
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let drills = arguments.next().ok_or("usage: index DRILLS JOBS")??;
    let jobs = arguments.next().ok_or("usage: index DRILLS JOBS")??;
    let mut index = Index::default();
    for number in 0..drills {
        index.add(entry(number, jobs).ok_or("no such time")?);
    }
    let lies_there = index.to_html()?;
    let begun = Instant::now();
    let mut index = Index::read(&lies_there).ok_or("no index")?;
    index.add(entry(drills, jobs).ok_or("no such time")?);
    let html = index.to_html()?;
    let took = begun.elapsed();
    eprintln!("{} bytes; one more drill took {} ms", html.len(), took.as_millis());
    std::io::stdout().write_all(html.as_bytes())?;
    Ok(())
}
