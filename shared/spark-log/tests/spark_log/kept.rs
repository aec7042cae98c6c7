//! What is read of each log is what was read when it was held against the History Server. `SAMPLES=write` keeps what is read
//! now.
//!
//! Separate because it says that something changed, and not what is right.

use std::fmt::{Debug, Write as _};

use flate2::Crc;
use spark_log::{Limits, SparkRun, read};

use crate::logs::{cases, files, parts, small_files};

/// Of a long text the beginning is kept, and a checksum of all.
const KEPT_MAX: usize = 300;

const SMALL: [&str; 12] = [
    "databricks-version",
    "driver-log-is-called-events",
    "excluded-nodes-passed-over",
    "gzip",
    "history-server-zip",
    "lost-but-not-recomputed",
    "lost-connection-is-other",
    "not-complete-without-a-reason",
    "removal-of-unlisted-executor",
    "rolled-files-count-from-0/eventlog_v2_00fabc",
    "tasks-on-unlisted-executors/eventlog_v2_app",
    "yarn-remove-reasons",
];

fn line(text: &mut String, name: &str, value: &dyn Debug) {
    let said = format!("{value:?}");
    match said.char_indices().nth(KEPT_MAX) {
        None => writeln!(text, "{name}: {said}"),
        Some((end, _)) => {
            let mut sum = Crc::new();
            sum.update(said.as_bytes());
            writeln!(text, "{name}: {}… {:08x}", &said[..end], sum.sum())
        }
    }
    .expect("a text can be written to");
}

fn told(text: &mut String, run: &SparkRun) {
    let parts: [(&str, &dyn Debug); 13] = [
        ("settings", &run.settings),
        ("executors", &run.executors),
        ("exclusions", &run.exclusions),
        ("stages", &run.stages),
        ("jobs", &run.jobs),
        ("tasks", &run.tasks),
        ("task attempts", &run.task_attempts),
        ("failed tasks", &run.failed_tasks),
        ("lost work", &run.lost_work),
        ("SQL", &run.sql_executions),
        ("executors over time", &run.executors_over_time),
        ("summary", &run.summary),
        ("reading", &run.reading),
    ];
    parts.into_iter().for_each(|(name, part)| line(text, name, part));
    let head = (
        (&run.application_id, &run.application_name, &run.attempt_id, &run.user),
        (&run.spark_version, run.started_at_ms, run.ended_at_ms, run.exit_code),
        (&run.driver_host, &run.deserialization, run.further_applications),
    );
    line(text, "application", &head);
}

#[test]
fn what_is_read_of_each_log_is_what_was_read() {
    let mut text = String::new();
    let with_tasks = Limits {
        tasks_max: 40,
        ..Limits::default()
    };
    for case in cases() {
        writeln!(text, "## {}", case.file_name().unwrap().to_string_lossy()).unwrap();
        told(&mut text, &read(parts(&files(&case)), &with_tasks));
    }
    for name in SMALL {
        writeln!(text, "## {name}").unwrap();
        told(&mut text, &read(parts(&small_files(name)), &with_tasks));
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spark_log/kept.txt");
    sample::assert_kept(file, &text);
}
