//! Every log reads as Spark's History Server reads it.
//!
//! Separate because these tests hold what is right, whatever the reader's inside.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use spark_log::{Limits, SparkRun, read, read_parallel};

use crate::logs::{cases, files, parts, read_files};
use crate::removals::{compare_removals, in_general};

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
        compare_removals(&name, &run, &truth["raw_line_counts"]);
        compare_application(&name, &run, &truth["oracle"]);
        compare_executors(&name, &run, &truth["oracle"]);
        compare_stages(&name, &run, &truth["oracle"]["stages"]);
        compare_jobs(&name, &run, &truth["oracle"]["jobs"]);
        compare_tasks(&name, &run, &truth);
        compare_reading(&name, &run, &truth["raw_line_counts"]);
    }
}

fn compare_summary(name: &str, run: &SparkRun, truth: &Value) {
    let mut summary = serde_json::to_value(&run.summary).unwrap();
    // Of the meaning of words, the server says nothing.
    summary.as_object_mut().unwrap().remove("removals_by_kind").unwrap();
    let mut truth = truth.clone();
    let reasons = truth["remove_reasons"].as_object_mut().unwrap();
    for (words, count) in std::mem::take(reasons) {
        reasons.insert(in_general(&words).1.to_owned(), count);
    }
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&summary), keys(&truth), "{name}");
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
    let kept = [
        "spark.task.maxFailures",
        "spark.speculation",
        "spark.eventLog.compress",
        "spark.network.timeout",
    ];
    for (key, value) in oracle["sparkProperties"].as_object().unwrap() {
        let is_kept = kept.contains(&key.as_str()) || key.contains("decommission") || key.contains("eventLog");
        assert!(
            !is_kept || run.settings.get(key).is_some_and(|kept| value == kept),
            "{name}: {key}"
        );
    }
    assert_eq!(run.driver_host.as_deref(), Some("127.0.0.1"), "{name}");
}

fn compare_executors(name: &str, run: &SparkRun, oracle: &Value) {
    // The server does not know an executor of which no line says that it was added.
    let (mut executors, unlisted): (Vec<_>, Vec<_>) = run
        .executors
        .iter()
        .partition(|executor| executor.added_at_ms.is_some());
    let never_came = name == "s43-heartbeat-rdd-plain-rolling";
    assert!(
        unlisted.is_empty() || run.reading.compacted || never_came && unlisted.len() == 1,
        "{name}: {unlisted:?}"
    );
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
    for executor in executors.into_iter().chain(unlisted) {
        let on_it = |status: &str| {
            let here = rows.iter().filter(|row| row["executorId"] == executor.id.as_str());
            here.filter(|row| row["status"] == status).count() as u64
        };
        assert_eq!(
            executor.tasks_successful,
            on_it("SUCCESS"),
            "{name}: executor {}",
            executor.id
        );
        assert_eq!(
            executor.tasks_failed,
            on_it("FAILED"),
            "{name}: executor {}",
            executor.id
        );
        assert_eq!(
            executor.tasks_killed,
            on_it("KILLED"),
            "{name}: executor {}",
            executor.id
        );
    }
    compare_alive(name, run);
}

fn compare_alive(name: &str, run: &SparkRun) {
    let mut alive = 0;
    let mut times: Vec<(i64, i64)> = Vec::new();
    times.extend(
        run.executors
            .iter()
            .filter_map(|executor| Some((executor.added_at_ms?, 1))),
    );
    let listed = run.executors.iter().filter(|executor| executor.added_at_ms.is_some());
    times.extend(listed.filter_map(|executor| Some((executor.removed_at_ms?, -1))));
    times.sort_unstable();
    for (at_ms, change) in times {
        alive += change;
        let step = run.executors_over_time.iter().rfind(|step| step.0 <= at_ms).unwrap();
        assert!((i64::from(step.1) - alive).abs() <= 1, "{name}: alive at {at_ms}");
    }
    assert_eq!(
        run.executors_over_time.last().map_or(0, |step| i64::from(step.1)),
        alive,
        "{name}"
    );
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
        for unneeded in [
            "executorRunTime_ms",
            "killedTasksSummary",
            "numActiveTasks",
            "numCompletedIndices",
        ] {
            stage.remove(unneeded);
        }
    }
    assert_eq!(json!(ours), theirs, "{name}");
    for stage in &run.stages {
        let says_fetch = stage
            .failure_reason
            .as_ref()
            .is_some_and(|reason| reason.contains("FetchFailed"));
        assert!(
            !says_fetch || stage.fetch_failed_from.is_some(),
            "{name}: stage {}",
            stage.stage_id
        );
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
        let status = job
            .succeeded
            .map_or("RUNNING", |succeeded| if succeeded { "SUCCEEDED" } else { "FAILED" });
        assert_eq!(status, truth["status"], "{name}");
        assert_eq!(job.failure.is_some(), status == "FAILED", "{name}");
    }
}

/// The table of tasks, row by row.
fn rows(table: &Value) -> Vec<BTreeMap<String, Value>> {
    let columns: Vec<String> = serde_json::from_value(table["columns"].clone()).unwrap();
    let rows: Vec<Vec<Value>> = serde_json::from_value(table["rows"].clone()).unwrap();
    rows.into_iter()
        .map(|row| columns.iter().cloned().zip(row).collect())
        .collect()
}

fn compare_tasks(name: &str, run: &SparkRun, truth: &Value) {
    let rows = rows(&truth["oracle"]["tasks"]);
    assert_eq!(run.tasks.successful, count(&rows, "status", "SUCCESS"), "{name}");
    assert_eq!(run.tasks.failed, count(&rows, "status", "FAILED"), "{name}");
    assert_eq!(run.tasks.killed, count(&rows, "status", "KILLED"), "{name}");
    assert_eq!(run.tasks.running, count(&rows, "status", "RUNNING"), "{name}");
    let speculative = rows.iter().filter(|row| row["speculative"] == true).count() as u64;
    assert_eq!(run.tasks.speculative, speculative, "{name}");
    for stage in &run.stages {
        let of_it = rows.iter().filter(|row| {
            row["stageId"] == stage.stage_id && row["stageAttemptId"] == stage.attempt && row["speculative"] == true
        });
        let of_it: Vec<_> = of_it.collect();
        assert_eq!(stage.tasks_speculative, of_it.len() as u64, "{name}");
        let successful = of_it.iter().filter(|row| row["status"] == "SUCCESS").count();
        assert_eq!(stage.tasks_speculative_successful, successful as u64, "{name}");
        let succeeded = rows.iter().filter(|row| {
            row["stageId"] == stage.stage_id && row["stageAttemptId"] == stage.attempt && row["status"] == "SUCCESS"
        });
        let longest = succeeded.filter_map(|row| row["duration_ms"].as_u64()).max();
        assert_eq!(stage.longest_task_ms, longest.unwrap_or(0), "{name}");
    }
    let failed: Vec<_> = rows.iter().filter(|row| row["status"] == "FAILED").collect();
    assert_eq!(run.failed_tasks.len(), failed.len().min(500), "{name}");
    for task in &run.failed_tasks {
        let same = failed.iter().filter(|row| {
            row["stageId"] == task.stage_id
                && row["stageAttemptId"] == task.stage_attempt
                && row["index"] == task.index
                && row["attempt"] == task.attempt
        });
        let same: Vec<_> = same.collect();
        assert_eq!(same.len(), 1, "{name}: {task:?}");
        assert_eq!(
            (&same[0]["executorId"], &same[0]["host"]),
            (&json!(task.executor_id), &json!(task.host)),
            "{name}"
        );
    }
    let resubmitted = truth["raw_line_counts"]["task_end_reasons"]["Resubmitted"]
        .as_u64()
        .unwrap_or(0);
    assert_eq!(run.tasks.resubmitted, resubmitted, "{name}");
    let total: u64 = rows.iter().filter_map(|row| row["duration_ms"].as_u64()).sum();
    assert_eq!(run.lost_work.total_task_time_ms, total, "{name}");
    let lost = |row: &&BTreeMap<String, Value>| {
        let kind = row["errorKind"].as_str().unwrap_or_default();
        row["status"] == "FAILED" && ["ExecutorLostFailure", "FetchFailed", "TaskResultLost"].contains(&kind)
    };
    let lost_ms: u64 = rows
        .iter()
        .filter(lost)
        .filter_map(|row| row["duration_ms"].as_u64())
        .sum();
    assert_eq!(run.lost_work.failed_attempts_ms, lost_ms, "{name}");
    let again = &truth["summary"]["rerun_under_another_stage_id"];
    let again: u64 = again
        .as_object()
        .unwrap()
        .values()
        .filter_map(|rerun| rerun["time_ms"].as_u64())
        .sum();
    let thrown_away = truth["summary"]["lost_success_time_ms"].as_u64().unwrap();
    assert_eq!(run.lost_work.recomputed_ms, thrown_away + again, "{name}");
}

fn compare_reading(name: &str, run: &SparkRun, raw: &Value) {
    let cut = raw["cut_lines"].as_u64().unwrap();
    let reading = &run.reading;
    assert_eq!(
        json!(reading.lines),
        json!(raw["lines"].as_u64().unwrap() + cut),
        "{name}"
    );
    assert_eq!(
        reading.skipped.get("lines cut short").copied().unwrap_or(0),
        cut,
        "{name}"
    );
    assert_eq!(
        reading.lines_parsed + reading.passed_over.values().sum::<u64>() + cut,
        reading.lines,
        "{name}"
    );
    assert_eq!(reading.compacted, name.contains("compacted"), "{name}");
    assert_eq!(reading.in_progress, name.contains("inprogress"), "{name}");
    let is_whole = !reading.compacted && !reading.in_progress;
    assert_eq!(reading.complete, is_whole, "{name}: {:?}", reading.skipped);
    let touched = run.sql_executions.iter().any(|execution| execution.touched);
    assert_eq!(
        touched,
        name == "s43-fetchfail-sql-default" || name.contains("-many-") || name.contains("compacted"),
        "{name}"
    );
}

#[test]
fn two_threads_read_the_same_as_one() {
    for case in cases() {
        let files = files(&case);
        let one = read_files(&files);
        let progress = std::cell::Cell::new(0);
        let two = read_parallel(parts(&files), &Limits::default(), |bytes| progress.set(bytes));
        assert_eq!(one, two);
        assert_eq!(
            progress.get(),
            files.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>()
        );
        for block_bytes in [1 << 10, 5_000] {
            assert_eq!(
                one,
                read(
                    parts(&files),
                    &Limits {
                        block_bytes,
                        ..Limits::default()
                    }
                )
            );
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
