//! What is expected of the words with which executors are removed in the logs under `data/spark-event-logs`.
//!
//! Separate from the rest of the truth because the History Server hands on the words, and has no opinion on them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use spark_log::SparkRun;

/// The kind of each wording there is in these logs, and the words without what is one executor's alone.
pub fn in_general(words: &str) -> (&'static str, &str) {
    let heartbeat = "Executor heartbeat timed out after <n> ms";
    match words {
        "worker lost: <host> got disassociated" => ("worker_lost", words),
        "Executor decommission: worker decommissioned" => ("decommissioned", words),
        "Command exited with code 137" => ("exited", words),
        "Executor heartbeat timed out after 23543 ms" => ("heartbeat_timeout", heartbeat),
        "worker lost: Not receiving heartbeat for 60 seconds" => ("worker_lost", words),
        _ if words.starts_with("worker lost: 127.0.0.") && words.ends_with(" got disassociated") => {
            ("worker_lost", "worker lost: <host> got disassociated")
        }
        _ => panic!("{words}: say what is expected of these words"),
    }
}

/// Every executor that any line removes is listed with what that line says, whether or not another says that it was added.
pub fn compare_removals(name: &str, run: &SparkRun, raw: &Value) {
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for event in raw["executor_removed_events"].as_array().unwrap() {
        let id = event[1].as_str().unwrap();
        // A second removal of the same executor changes nothing.
        if !seen.insert(id) {
            continue;
        }
        *kinds
            .entry(in_general(event[2].as_str().unwrap()).0.to_owned())
            .or_default() += 1;
        let executor = run.executors.iter().find(|executor| executor.id == id).unwrap();
        assert_eq!(
            (json!(executor.removed_at_ms), json!(executor.removed_reason)),
            (event[0].clone(), event[2].clone()),
            "{name}: executor {id}"
        );
    }
    assert_eq!(run.summary.removals_by_kind, kinds, "{name}");
}
