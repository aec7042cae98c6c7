//! Which calls of AWS a drill and its report cost.
//!
//! Separate because the operator's page and the stories of clusters that are not opted in count the same.

use std::collections::BTreeMap;

use account::journal::Kind;
use chrono::{DateTime, Utc};
use local::world::State;

/// The services that start-experiment and write-report called, once for each call, but for what sweeps called: what
/// write-report calls while one runs is taken for the sweep's.
pub fn for_drills(state: &State) -> Vec<&str> {
    let sweeps = sweeps(state);
    let in_a_sweep = |at: DateTime<Utc>| sweeps.iter().any(|(from, until)| (*from..=*until).contains(&at));
    let entries = state.account.journal.entries().iter();
    let calls = entries.filter(|entry| entry.kind == Kind::Call);
    calls
        .filter(|entry| match entry.data["caller"].as_str() {
            Some("spot-drill-StartExperiment") => true,
            Some("spot-drill-WriteReport") => !in_a_sweep(entry.at),
            _ => false,
        })
        .map(|entry| entry.source.as_str())
        .collect()
}

/// When sweeps ran.
fn sweeps(state: &State) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut began = BTreeMap::new();
    let mut found = Vec::new();
    let entries = state.account.journal.entries().iter();
    for entry in entries.filter(|entry| entry.kind == Kind::Invocation) {
        if entry.text == "begins" {
            began.insert(&entry.subject, entry.at);
        } else if entry.text == "ends: swept" {
            found.push((began[&entry.subject], entry.at));
        }
    }
    found
}
