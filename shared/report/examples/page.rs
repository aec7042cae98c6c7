//! Prints the page of a `report.json`, with the findings of today's rules: to look at a change of the page without running a drill.
//!
//! usage: `cargo run -p report --example page -- report.json > report.html`

use std::error::Error;
use std::io::Write;

use report::Report;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: page report.json")?;
    let mut report: Report = serde_json::from_slice(&std::fs::read(path)?)?;
    report.findings = report::finding::find(&report);
    std::io::stdout().write_all(report.to_html()?.as_bytes())?;
    Ok(())
}
