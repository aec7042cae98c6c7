//! The event-log reader against real logs and against broken ones.
//!
//! `data/spark-event-logs/<case>/log` is a log that Spark wrote while nodes were taken away; `truth.json` beside it holds
//! what Spark's History Server says of that log over its REST API (`oracle`), and counts of those answers (`summary`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};
use shared::spark_log::{Limits, Part, SparkRun, order_parts, read, read_parallel};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/spark-event-logs");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert_eq!(cases.len(), 15);
    cases
}

fn case(name: &str) -> PathBuf {
    cases().into_iter().find(|case| case.ends_with(name)).unwrap()
}

/// The files of a case's log, by name, in order.
fn files(case: &Path) -> Vec<(String, Vec<u8>)> {
    let mut folder = case.join("log");
    let entries = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    if let [only] = entries(&folder).as_slice()
        && only.is_dir()
    {
        folder.clone_from(only);
    }
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut names = entries(&folder).iter().map(name).collect();
    order_parts(&mut names);
    names.into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

fn parts(files: &[(String, Vec<u8>)]) -> Vec<Part<&[u8]>> {
    files.iter().map(|(name, bytes)| Part { name: name.clone(), bytes: bytes.as_slice() }).collect()
}

fn read_files(files: &[(String, Vec<u8>)]) -> SparkRun {
    read(parts(files), &Limits::default())
}

fn read_bytes(name: &str, bytes: &[u8]) -> SparkRun {
    read(vec![Part { name: name.to_owned(), bytes }], &Limits::default())
}

/// A case's log as plain text.
fn text(name: &str) -> String {
    let files = files(&case(name));
    let bytes: Vec<u8> = files.into_iter().flat_map(|(_, bytes)| bytes).collect();
    String::from_utf8(bytes).unwrap()
}

fn truth(case: &Path) -> Value {
    serde_json::from_slice(&fs::read(case.join("truth.json")).unwrap()).unwrap()
}

fn count(rows: &[BTreeMap<String, Value>], column: &str, value: &str) -> u64 {
    rows.iter().filter(|row| row[column] == value).count() as u64
}

#[test]
fn every_log_reads_as_the_history_server_reads_it() {
    for case in cases() {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let truth = truth(&case);
        let run = read_files(&files(&case));
        compare_summary(&name, &run, &truth["summary"]);
        compare_application(&name, &run, &truth["oracle"]);
        compare_executors(&name, &run, &truth["oracle"]);
        compare_stages(&name, &run, &truth["oracle"]["stages"]);
        compare_jobs(&name, &run, &truth["oracle"]["jobs"]);
        compare_tasks(&name, &run, &truth);
        compare_reading(&name, &run, &truth["raw_line_counts"]);
    }
}

fn compare_summary(name: &str, run: &SparkRun, truth: &Value) {
    let summary = serde_json::to_value(&run.summary).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&summary), keys(truth), "{name}");
    for (key, expected) in truth.as_object().unwrap() {
        assert_eq!(&summary[key], expected, "{name}: summary.{key}");
    }
}

fn compare_application(name: &str, run: &SparkRun, oracle: &Value) {
    let app = &oracle["app"];
    assert_eq!(json!(run.application_id), app["id"], "{name}");
    assert_eq!(json!(run.application_name), app["name"], "{name}");
    assert_eq!(json!(run.user), app["user"], "{name}");
    assert_eq!(json!(run.attempt_id), app["attemptId"], "{name}");
    assert_eq!(json!(run.spark_version), app["sparkVersion"], "{name}");
    assert_eq!(json!(run.started_at_ms), app["startTime_ms"], "{name}");
    assert_eq!(json!(run.ended_at_ms), app["endTime_ms"], "{name}");
    for (key, value) in &run.settings {
        let expected = &oracle["sparkProperties"][key];
        assert!(expected.is_null() || expected == value, "{name}: {key}");
    }
    let kept = ["spark.task.maxFailures", "spark.speculation", "spark.eventLog.compress", "spark.network.timeout"];
    for (key, value) in oracle["sparkProperties"].as_object().unwrap() {
        let is_kept = kept.contains(&key.as_str()) || key.contains("decommission") || key.contains("eventLog");
        assert!(!is_kept || run.settings.get(key).is_some_and(|kept| value == kept), "{name}: {key}");
    }
    assert_eq!(run.driver_host.as_deref(), Some("127.0.0.1"), "{name}");
}

fn compare_executors(name: &str, run: &SparkRun, oracle: &Value) {
    let mut executors: Vec<_> = run.executors.iter().collect();
    executors.sort_by_key(|executor| executor.id.parse::<u64>().unwrap());
    let ours: Vec<Value> = executors
        .iter()
        .map(|executor| {
            json!({
                "id": executor.id, "host": executor.host, "cores": executor.cores,
                "active": executor.removed_at_ms.is_none(), "addTime_ms": executor.added_at_ms,
                "removeTime_ms": executor.removed_at_ms, "removeReason": executor.removed_reason,
            })
        })
        .collect();
    let mut theirs = oracle["executors"].clone();
    for executor in theirs.as_array_mut().unwrap() {
        for count in ["totalTasks", "completedTasks", "failedTasks"] {
            executor.as_object_mut().unwrap().remove(count);
        }
    }
    assert_eq!(json!(ours), theirs, "{name}");
    // The API's own counts stop at an executor's removal; the task list's do not, and neither do ours.
    let rows = rows(&oracle["tasks"]);
    for executor in executors {
        let on_it = |status: &str| {
            let here = rows.iter().filter(|row| row["executorId"] == executor.id.as_str());
            here.filter(|row| row["status"] == status).count() as u64
        };
        assert_eq!(executor.tasks_successful, on_it("SUCCESS"), "{name}: executor {}", executor.id);
        assert_eq!(executor.tasks_failed, on_it("FAILED"), "{name}: executor {}", executor.id);
        assert_eq!(executor.tasks_killed, on_it("KILLED"), "{name}: executor {}", executor.id);
    }
    let mut alive = 0;
    let mut times: Vec<(i64, i64)> = Vec::new();
    times.extend(run.executors.iter().map(|executor| (executor.added_at_ms, 1)));
    times.extend(run.executors.iter().filter_map(|executor| Some((executor.removed_at_ms?, -1))));
    times.sort_unstable();
    for (at_ms, change) in times {
        alive += change;
        let step = run.executors_over_time.iter().rfind(|step| step.0 <= at_ms).unwrap();
        assert!((i64::from(step.1) - alive).abs() <= 1, "{name}: alive at {at_ms}");
    }
    assert_eq!(run.executors_over_time.last().map_or(0, |step| i64::from(step.1)), alive, "{name}");
}

fn compare_stages(name: &str, run: &SparkRun, truth: &Value) {
    let ours: Vec<Value> = run
        .stages
        .iter()
        .map(|stage| {
            json!({
                "stageId": stage.stage_id, "attemptId": stage.attempt, "status": stage.status, "name": stage.name,
                "numTasks": stage.tasks, "numCompleteTasks": stage.tasks_successful,
                "numFailedTasks": stage.tasks_failed + stage.tasks_resubmitted, "numKilledTasks": stage.tasks_killed,
                "submissionTime_ms": stage.submitted_at_ms, "completionTime_ms": stage.completed_at_ms,
                "failureReason": stage.failure_reason,
            })
        })
        .collect();
    let mut theirs = truth.clone();
    for stage in theirs.as_array_mut().unwrap() {
        let stage = stage.as_object_mut().unwrap();
        for unneeded in ["executorRunTime_ms", "killedTasksSummary", "numActiveTasks", "numCompletedIndices"] {
            stage.remove(unneeded);
        }
    }
    assert_eq!(json!(ours), theirs, "{name}");
    for stage in &run.stages {
        let says_fetch = stage.failure_reason.as_ref().is_some_and(|reason| reason.contains("FetchFailed"));
        assert!(!says_fetch || stage.fetch_failed_from.is_some(), "{name}: stage {}", stage.stage_id);
    }
}

fn compare_jobs(name: &str, run: &SparkRun, truth: &Value) {
    let theirs = truth.as_array().unwrap();
    assert_eq!(run.jobs.len(), theirs.len(), "{name}");
    for (job, truth) in run.jobs.iter().zip(theirs) {
        assert_eq!(json!(job.job_id), truth["jobId"], "{name}");
        assert_eq!(json!(job.description), truth["description"], "{name}");
        assert_eq!(json!(job.submitted_at_ms), truth["submissionTime_ms"], "{name}");
        assert_eq!(json!(job.completed_at_ms), truth["completionTime_ms"], "{name}");
        let mut stage_ids = job.stage_ids.clone();
        let mut expected: Vec<i64> = serde_json::from_value(truth["stageIds"].clone()).unwrap();
        stage_ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!(stage_ids, expected, "{name}");
        let status = job.succeeded.map_or("RUNNING", |succeeded| if succeeded { "SUCCEEDED" } else { "FAILED" });
        assert_eq!(status, truth["status"], "{name}");
        assert_eq!(job.failure.is_some(), status == "FAILED", "{name}");
    }
}

/// The table of tasks, row by row.
fn rows(table: &Value) -> Vec<BTreeMap<String, Value>> {
    let columns: Vec<String> = serde_json::from_value(table["columns"].clone()).unwrap();
    let rows: Vec<Vec<Value>> = serde_json::from_value(table["rows"].clone()).unwrap();
    rows.into_iter().map(|row| columns.iter().cloned().zip(row).collect()).collect()
}

fn compare_tasks(name: &str, run: &SparkRun, truth: &Value) {
    let rows = rows(&truth["oracle"]["tasks"]);
    assert_eq!(run.tasks.successful, count(&rows, "status", "SUCCESS"), "{name}");
    assert_eq!(run.tasks.failed, count(&rows, "status", "FAILED"), "{name}");
    assert_eq!(run.tasks.killed, count(&rows, "status", "KILLED"), "{name}");
    assert_eq!(run.tasks.running, count(&rows, "status", "RUNNING"), "{name}");
    let speculative = rows.iter().filter(|row| row["speculative"] == true).count() as u64;
    assert_eq!(run.tasks.speculative, speculative, "{name}");
    let resubmitted = truth["raw_line_counts"]["task_end_reasons"]["Resubmitted"].as_u64().unwrap_or(0);
    assert_eq!(run.tasks.resubmitted, resubmitted, "{name}");
    let total: u64 = rows.iter().filter_map(|row| row["duration_ms"].as_u64()).sum();
    assert_eq!(run.lost_work.total_task_time_ms, total, "{name}");
    let lost = |row: &&BTreeMap<String, Value>| {
        let kind = row["errorKind"].as_str().unwrap_or_default();
        row["status"] == "FAILED" && ["ExecutorLostFailure", "FetchFailed", "TaskResultLost"].contains(&kind)
    };
    let lost_ms: u64 = rows.iter().filter(lost).filter_map(|row| row["duration_ms"].as_u64()).sum();
    assert_eq!(run.lost_work.failed_attempts_ms, lost_ms, "{name}");
    let again = &truth["summary"]["rerun_under_another_stage_id"];
    let again: u64 = again.as_object().unwrap().values().filter_map(|rerun| rerun["time_ms"].as_u64()).sum();
    let thrown_away = truth["summary"]["lost_success_time_ms"].as_u64().unwrap();
    assert_eq!(run.lost_work.recomputed_ms, thrown_away + again, "{name}");
}

fn compare_reading(name: &str, run: &SparkRun, raw: &Value) {
    let cut = raw["cut_lines"].as_u64().unwrap();
    let reading = &run.reading;
    assert_eq!(json!(reading.lines), json!(raw["lines"].as_u64().unwrap() + cut), "{name}");
    assert_eq!(reading.skipped.get("lines cut short").copied().unwrap_or(0), cut, "{name}");
    assert_eq!(reading.lines_parsed + reading.passed_over.values().sum::<u64>() + cut, reading.lines, "{name}");
    assert_eq!(reading.compacted, name.contains("compacted"), "{name}");
    assert_eq!(reading.in_progress, name.contains("inprogress"), "{name}");
    let is_whole = !reading.compacted && !reading.in_progress;
    assert_eq!(reading.complete, is_whole, "{name}: {:?}", reading.skipped);
    let touched = run.sql_executions.iter().any(|execution| execution.touched);
    assert_eq!(touched, name == "s43-fetchfail-sql-default" || name.contains("-many-") || name.contains("compacted"), "{name}");
}

#[test]
fn two_threads_read_the_same_as_one() {
    for case in cases() {
        let files = files(&case);
        let one = read_files(&files);
        let progress = std::cell::Cell::new(0);
        let two = read_parallel(parts(&files), &Limits::default(), |bytes| progress.set(bytes));
        assert_eq!(one, two);
        assert_eq!(progress.get(), files.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
        for block_bytes in [1 << 10, 5_000] {
            assert_eq!(one, read(parts(&files), &Limits { block_bytes, ..Limits::default() }));
        }
    }
}

#[test]
fn what_is_read_survives_json() {
    for case in cases() {
        let run = read_files(&files(&case));
        let json = serde_json::to_string(&run).unwrap();
        assert_eq!(serde_json::from_str::<SparkRun>(&json).unwrap(), run);
    }
}

#[test]
fn the_contents_tell_the_codec_where_the_name_is_silent_or_wrong() {
    for case in cases() {
        let expected = read_files(&files(&case));
        for name in ["log", "log.zstd", "log.lz4", "log.snappy", "log.lzf"] {
            let mut renamed = files(&case);
            for (old, _) in &mut renamed {
                *old = name.to_owned();
            }
            let mut run = read_files(&renamed);
            run.reading.compacted = expected.reading.compacted;
            run.reading.in_progress = expected.reading.in_progress;
            run.reading.complete = expected.reading.complete;
            run.reading.skipped.clone_from(&expected.reading.skipped);
            assert_eq!(run, expected, "{name}");
        }
    }
}

#[test]
fn a_missing_rolled_file_is_said() {
    let mut files = files(&case("s35-many-zstd-rolling"));
    files.remove(0);
    let run = read_files(&files);
    assert_eq!(run.reading.skipped["rolled files missing before or between those given"], 1);
    assert!(!run.reading.complete);
    assert!(run.tasks.successful > 900);
}

#[test]
fn half_a_last_line_is_said_and_all_before_it_is_used() {
    let text = text("s35-between-rdd-plain");
    let whole = read_bytes("log", text.as_bytes());
    let half = read_bytes("log", &text.as_bytes()[..text.len() - 20]);
    assert_eq!(half.reading.skipped, BTreeMap::from([("lines cut short".to_owned(), 1)]));
    assert_eq!(half.tasks, whole.tasks);
    assert_eq!((half.ended_at_ms, half.reading.in_progress, half.reading.complete), (None, true, false));
    // A line that lacks only its newline is whole.
    assert_eq!(read_bytes("log", text.trim_end().as_bytes()).stages, whole.stages);
    assert!(read_bytes("log", text.trim_end().as_bytes()).reading.complete);
}

#[test]
fn nothing_is_lost_before_the_place_where_a_file_is_cut() {
    for name in ["s35-kill-map-rdd-zstd", "s35-fetchfail-rdd-lz4", "s35-decom-sql-snappy", "s35-multikill-rdd-lzf-rolling"] {
        let files = files(&case(name));
        let whole = read_files(&files);
        let (mut tasks_before, mut bytes_before) = (0, 0);
        for percent in (0..100).step_by(3) {
            let (name, bytes) = &files[0];
            let run = read_bytes(name, &bytes[..bytes.len() * percent / 100]);
            assert!(run.tasks.successful >= tasks_before && run.tasks.successful <= whole.tasks.successful, "{name}");
            assert!(run.reading.bytes_decoded >= bytes_before, "{name}");
            assert!(percent == 0 || !run.reading.skipped.is_empty() || run.reading.in_progress, "{name} {percent}");
            assert!(!run.reading.complete);
            (tasks_before, bytes_before) = (run.tasks.successful, run.reading.bytes_decoded);
        }
        assert!(tasks_before * 10 > whole.tasks.successful * 8, "{name}");
    }
}

#[test]
fn what_follows_a_broken_place_is_still_read() {
    for name in ["s35-many-zstd-rolling", "s35-fetchfail-rdd-lz4", "s35-decom-sql-snappy", "s35-multikill-rdd-lzf-rolling"] {
        let mut files = files(&case(name));
        let whole = read_files(&files);
        let length = files[0].1.len();
        for byte in &mut files[0].1[length / 2..length / 2 + 8] {
            *byte = !*byte;
        }
        let run = read_files(&files);
        assert!(!run.reading.skipped.is_empty(), "{name}");
        assert!(!run.reading.complete, "{name}");
        assert_eq!(run.started_at_ms, whole.started_at_ms, "{name}");
        assert_eq!(run.ended_at_ms, whole.ended_at_ms, "{name}: {:?}", run.reading.skipped);
        assert!(run.tasks.successful * 10 >= whole.tasks.successful * 4, "{name}: {:?}", run.reading);
    }
}

#[test]
fn invalid_utf8_costs_no_event() {
    let text = text("s35-jobfail-rdd-plain");
    let whole = read_bytes("log", text.as_bytes());
    let mut bytes = text.replacen("wordcount", "wordc?unt", 1).into_bytes();
    let at = bytes.windows(9).position(|window| window == b"wordc?unt").unwrap();
    bytes[at + 5] = 0xff;
    let run = read_bytes("log", &bytes);
    assert_eq!(run.reading.skipped.values().sum::<u64>(), 1);
    assert_eq!(run.summary, whole.summary);
}

#[test]
fn unknown_events_and_other_forms_of_the_known_are_read_as_what_they_are() {
    let text = text("s35-jobfail-rdd-plain");
    let whole = read_bytes("log", text.as_bytes());
    let spaced = text.replace("{\"Event\":\"", "{ \"Event\" : \"").replace("\"Task Info\":{", "\"Task Info\": {");
    let spaced = read_bytes("log", spaced.replace('\n', "\r\n\n").as_bytes());
    assert_eq!((&spaced.summary, &spaced.tasks, spaced.reading.lines), (&whole.summary, &whole.tasks, whole.reading.lines));
    assert!(spaced.reading.complete);
    let foreign = format!("{{\"Event\":\"com.example.Mine\",\"x\":[1]}}\n{text}not json\n{{\"Event\":\"SparkListenerJobEnd\"}}\n");
    let foreign = read_bytes("log", foreign.as_bytes());
    assert_eq!(foreign.reading.passed_over["com.example.Mine"], 1);
    assert_eq!(foreign.reading.skipped["lines that are not JSON objects"], 1);
    assert_eq!(foreign.reading.skipped["events without the fields expected"], 1);
    assert_eq!(foreign.summary, whole.summary);
}

/// Lines far longer than the limit, given as a stream, so that nobody holds them.
#[test]
fn lines_of_a_hundred_megabytes_are_read_without_being_held() {
    use std::io::{Read, repeat};
    let text = text("s35-jobfail-rdd-plain");
    let whole = read_bytes("log", text.as_bytes());
    let (head, tail) = text.split_at(text.find("{\"Event\":\"SparkListenerApplicationEnd\"").unwrap());
    let sql_head = r#"{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart","executionId":7,"description":""#;
    let sql_tail = "\",\"sparkPlanInfo\":{\"a\":[{}]},\"time\":99}\n";
    let unneeded = r#"{"Event":"com.example.Huge","x":""#;
    let limits = Limits { line_bytes_max: 1 << 20, ..Limits::default() };
    let long = || repeat(b'x').take(100 << 20);
    let bytes = head
        .as_bytes()
        .chain(sql_head.as_bytes())
        .chain(long())
        .chain(sql_tail.as_bytes())
        .chain(unneeded.as_bytes())
        .chain(long())
        .chain("\"}\n".as_bytes())
        .chain(tail.as_bytes());
    let run = read_parallel(vec![Part { name: "log".to_owned(), bytes }], &limits, |_| ());
    assert_eq!(run.summary, whole.summary);
    assert!(run.reading.complete, "{:?}", run.reading.skipped);
    assert_eq!(run.reading.passed_over["com.example.Huge"], 1);
    assert_eq!((run.sql_executions[0].id, run.sql_executions[0].started_at_ms), (7, Some(99)));
    assert!(run.sql_executions[0].description.len() <= 128 << 10);
    let endless = head.as_bytes().chain(long());
    let run = read(vec![Part { name: "log".to_owned(), bytes: endless }], &limits);
    assert_eq!(run.reading.skipped.values().sum::<u64>(), 1, "{:?}", run.reading.skipped);
}

#[test]
fn a_decompression_bomb_is_left() {
    // One zstd frame of blocks that each repeat a byte 128 KiB times.
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    for _ in 0..20_000 {
        let header: u32 = (128 << 10) << 3 | 1 << 1;
        bomb.extend_from_slice(&header.to_le_bytes()[..3]);
        bomb.push(b'x');
    }
    let run = read_bytes("log.zstd", &bomb);
    assert_eq!(run.reading.skipped["files left because they decode to more than the ratio allowed"], 1);
    assert!(run.reading.bytes_decoded < 200 << 20, "{}", run.reading.bytes_decoded);
}

#[test]
fn a_reader_that_fails_is_said() {
    struct Fails;
    impl std::io::Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    use std::io::Read;
    let text = text("s35-jobfail-rdd-plain");
    let run = read(vec![Part { name: "log".to_owned(), bytes: text.as_bytes().chain(Fails) }], &Limits::default());
    assert_eq!(run.reading.skipped["files whose bytes could not be read to the end"], 1);
    assert_eq!(run.jobs.len(), 1);
}

/// Small logs of each codec, to be damaged.
fn damaged(name: &str) -> Vec<(String, Vec<u8>)> {
    files(&case(name))
}

const CODECS: [&str; 5] = [
    "s35-jobfail-rdd-plain",
    "s35-kill-map-rdd-zstd",
    "s35-fetchfail-rdd-lz4",
    "s43-noise-rdd-snappy",
    "s35-multikill-rdd-lzf-rolling",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_anywhere_never_panics_and_both_readers_agree(
        codec in 0..CODECS.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
        line_bytes_max in prop::sample::select(vec![100_usize, 3_000, 1 << 20]),
    ) {
        let mut files = damaged(CODECS[codec]);
        let bytes = &mut files[0].1;
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let limits = Limits { line_bytes_max, string_bytes_max: 200, block_bytes: 4_096, ..Limits::default() };
        let one = read(parts(&files), &limits);
        prop_assert_eq!(&one, &read_parallel(parts(&files), &limits, |_| ()));
        let reading = &one.reading;
        let unread: u64 = reading.skipped.values().sum();
        let used = reading.lines_parsed + reading.passed_over.values().sum::<u64>();
        prop_assert!(used <= reading.lines && reading.lines <= used + unread);
    }

    #[test]
    fn bytes_without_sense_never_panic(
        mark in prop::sample::select(vec![
            &[][..], &[0x28, 0xb5, 0x2f, 0xfd], b"LZ4Block\x25", &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0], b"ZV\x01",
            b"{\"Event\":\"SparkListenerTaskEnd\",\"Stage ID\":",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..4_000),
        name in prop::sample::select(vec!["log", "events_1_a.zstd", "a.lz4", "a.snappy.inprogress", "events_18446744073709551615_a.lzf.compact"]),
    ) {
        let bytes = [mark, bytes.as_slice()].concat();
        let run = read_bytes(name, &bytes);
        prop_assert!(!run.reading.complete);
    }

    #[test]
    fn the_order_of_events_changes_no_count_of_task_ends(seed in any::<u64>()) {
        let text = text("s35-jobfail-rdd-plain");
        let whole = read_bytes("log", text.as_bytes());
        let mut lines: Vec<&str> = text.lines().collect();
        let mut state = seed | 1;
        for index in (1..lines.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            lines.swap(index, usize::try_from(state >> 33).unwrap() % (index + 1));
        }
        let run = read_bytes("log", lines.join("\n").as_bytes());
        prop_assert_eq!(run.lost_work.total_task_time_ms, whole.lost_work.total_task_time_ms);
        prop_assert_eq!(run.tasks.failed_by_reason, whole.tasks.failed_by_reason);
        prop_assert_eq!(run.tasks.successful, whole.tasks.successful);
        prop_assert_eq!(run.reading.lines_parsed, whole.reading.lines_parsed);
        prop_assert_eq!(run.settings, whole.settings);
        prop_assert!(run.reading.complete);
    }
}
