//! Drills for Spark's own History Server to judge: every story's reports, and the event logs that they were made from.
//!
//! Separate because it writes files, and so runs only when asked to: see `tests/conformance/spark`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::path::{Path, PathBuf};

use local::scenario::{DATA_BUCKET, SCENARIOS};
use tests::tell;

/// Where the stories' clusters put their event logs.
const EVENT_LOGS: &str = "spark-events/";

fn save(path: &Path, bytes: &[u8]) {
    assert!(!path.exists(), "{} comes of two stories", path.display());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
#[ignore = "writes files: set DRILLS to a folder"]
fn drills_for_the_history_server() {
    let folder = PathBuf::from(std::env::var("DRILLS").unwrap());
    // Each story has a seed of its own, so that no two applications have the same id.
    for (seed, scenario) in (1..).zip(SCENARIOS) {
        let run = tell(scenario.name, seed, &[]);
        for (number, step) in (1..).zip(&run.steps) {
            if let Some(json) = &step.json {
                save(&folder.join(format!("reports/{}-{number}.json", scenario.name)), json);
            }
        }
        let store = run.world.lock().account.s3.clone();
        for key in store.list(DATA_BUCKET, EVENT_LOGS).unwrap() {
            let object = store.get(&format!("s3://{DATA_BUCKET}/{key}")).unwrap();
            save(
                &folder.join("logs").join(key.trim_start_matches(EVENT_LOGS)),
                &object.bytes,
            );
        }
    }
}
