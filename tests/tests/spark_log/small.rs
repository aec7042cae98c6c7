//! Small logs that each show one thing: what is not whole, what is no log, what Spark says in more than one way.
//!
//! Separate because these were put together by hand, under `data/spark-log`: what they hold is told by their folder's name.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use shared::spark_log::{FetchFailure, Removal, SparkRun};

use crate::logs::{read_bytes, read_files};

/// The files of a folder of `data/spark-log`, by name.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data/spark-log")
        .join(folder);
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn run(folder: &str) -> SparkRun {
    read_files(&files(folder))
}

fn text(folder: &str) -> String {
    String::from_utf8(files(folder).remove(0).1).unwrap()
}

fn read_text(text: &str) -> SparkRun {
    read_bytes("log", text.as_bytes())
}

/// What is said of a reading that is not complete: never nothing.
fn reasons(run: &SparkRun) -> Vec<&str> {
    assert!(!run.reading.complete);
    let mut reasons: Vec<&str> = run.reading.skipped.keys().map(String::as_str).collect();
    reasons.extend(run.reading.in_progress.then_some("in progress"));
    reasons.extend(run.reading.compacted.then_some("compacted"));
    reasons
}

#[test]
fn an_executor_whose_start_is_not_in_the_log_is_removed_all_the_same() {
    let run = run("removal-of-unlisted-executor");
    let [executor] = run.executors.as_slice() else {
        panic!("{:?}", run.executors)
    };
    assert_eq!((executor.id.as_str(), executor.added_at_ms), ("7", None));
    assert_eq!(
        (executor.removed_at_ms, &executor.removal),
        (Some(5000), &Some(Removal::WorkerLost))
    );
    assert!(executor.removed_reason.as_ref().unwrap().contains("*lost* node"));
    // What is compared with the History Server leaves out what it does not know.
    assert_eq!((run.summary.executors_added, run.summary.executors_removed), (0, 0));
    assert_eq!(run.summary.removals_by_kind["worker_lost"], 1);
    assert_eq!(run.executors_over_time, []);
    // A second removal of it changes nothing, and one that comes back begins anew.
    let removal = text("removal-of-unlisted-executor")
        .lines()
        .nth(2)
        .unwrap()
        .replace("5000", "6000");
    let back = r#"{"Event":"SparkListenerExecutorAdded","Timestamp":7000,"Executor ID":"7","Executor Info":{"Host":"h7","Total Cores":2}}"#;
    let again = format!("{}{removal}\n", text("removal-of-unlisted-executor"));
    assert_eq!(read_text(&again).executors, run.executors);
    let executors = read_text(&format!("{again}{back}\n")).executors;
    assert_eq!(
        (executors.len(), executors[0].added_at_ms, executors[0].removed_at_ms),
        (1, Some(7000), None)
    );
}

#[test]
fn tasks_tell_of_executors_that_no_line_lists() {
    let files = files("tasks-on-unlisted-executors/eventlog_v2_app");
    let run = read_files(&files);
    let [executor] = run.executors.as_slice() else {
        panic!("{:?}", run.executors)
    };
    assert_eq!(
        (executor.id.as_str(), executor.host.as_str(), executor.added_at_ms),
        ("47", "h1", None)
    );
    assert_eq!(executor.tasks_successful, 1);
    assert_eq!(run.summary.executors_added, 0);
    // A task that has only begun, in whatever form the line is written.
    let text = String::from_utf8(files[0].1.clone()).unwrap();
    let start = text.lines().next().unwrap().replace(r#""Index":0"#, r#""Index": 0"#);
    for line in [text.lines().next().unwrap(), start.as_str()] {
        let run = read_text(line);
        assert_eq!(
            (run.executors[0].id.as_str(), run.executors[0].host.as_str()),
            ("47", "h1")
        );
        assert_eq!(run.tasks.running, 1);
    }
    // The driver runs tasks too where there is no cluster, and is no executor.
    assert_eq!(read_text(&text.replace("\"47\"", "\"driver\"")).executors, []);
}

#[test]
fn a_finished_task_that_was_lost_and_never_computed_again_is_lost_work() {
    let run = run("lost-but-not-recomputed");
    let lost = &run.lost_work;
    assert_eq!((lost.recomputed_tasks, lost.recomputed_ms), (0, 0));
    assert_eq!((lost.never_recomputed_tasks, lost.never_recomputed_ms), (1, 60_000));
    assert_eq!(lost.lost_ms(), 60_000);
    assert_eq!((run.tasks.resubmitted, run.executors[0].tasks_resubmitted), (1, 1));
    // Computed again, in whichever attempt of the stage, it is recomputed work and not this.
    let text = text("lost-but-not-recomputed");
    let success = text.lines().nth(6).unwrap();
    let again = success
        .replace(r#""Task ID":0"#, r#""Task ID":1"#)
        .replace("63000", "94000")
        .replace(r#""Launch Time":3000"#, r#""Launch Time":64000"#);
    let submitted = text.lines().nth(4).unwrap();
    let retried = |line: &str| line.replace(r#""Stage Attempt ID":0"#, r#""Stage Attempt ID":1"#);
    let start = again.replace("SparkListenerTaskEnd", "SparkListenerTaskStart").replace(
        r#""Task Type":"ShuffleMapTask","Task End Reason":{"Reason":"Success"},"#,
        "",
    );
    for more in [
        format!("{start}\n{again}\n"),
        format!("{}\n{}\n{}\n", retried(submitted), retried(&start), retried(&again)),
    ] {
        let at = text.find("{\"Event\":\"SparkListenerStageCompleted").unwrap();
        let run = read_text(&[&text[..at], &more, &text[at..]].concat());
        let lost = &run.lost_work;
        assert_eq!(
            (lost.never_recomputed_tasks, lost.never_recomputed_ms),
            (0, 0),
            "{more}"
        );
        assert_eq!((lost.recomputed_tasks, lost.recomputed_ms), (1, 60_000), "{more}");
        assert_eq!(lost.lost_ms(), 60_000);
    }
}

#[test]
fn a_lost_connection_is_of_a_kind_that_says_what_broke() {
    let run = run("lost-connection-is-other");
    let kinds: Vec<&str> = run
        .executors
        .iter()
        .map(|one| one.removal.as_ref().unwrap().kind())
        .collect();
    assert_eq!(
        kinds,
        ["process_lost", "process_lost", "disconnected", "no_application_master"]
    );
    assert_eq!(run.summary.removals_by_kind.get("other"), None);
}

#[test]
fn two_executors_lost_in_the_same_way_count_under_the_same_words() {
    let run = run("yarn-remove-reasons");
    let reasons: Vec<(&str, u64)> = run
        .summary
        .remove_reasons
        .iter()
        .map(|(words, count)| (words.as_str(), *count))
        .collect();
    assert_eq!(
        reasons,
        [(
            "Container marked as failed: <container> on host: <host>. Exit status: -100. Diagnostics: Container released \
             on a *lost* node.",
            2
        )]
    );
    assert_eq!(run.summary.removals_by_kind["worker_lost"], 2);
    // What is said of each executor stays as Spark says it.
    assert!(
        run.executors[0]
            .removed_reason
            .as_ref()
            .unwrap()
            .contains("container_1_0001_01_000002")
    );
    // In other words of YARN, and on hosts whose names nothing but the log tells.
    for (one, other) in [
        (
            "Container container_e02_1_0001_01_000002 on host: h1 was preempted.",
            "Container container_e02_1_0001_02_000009 on host: h2 was preempted.",
        ),
        (
            "Executor lost with its node h1: heartbeat timed out after 125001 ms",
            "Executor lost with its node h2: heartbeat timed out after 9 ms",
        ),
        (
            "Container from a bad node: container_1_0001_01_000002 on host: h1. Exit status: 137. Diagnostics: \
             [2024-05-01 10:00:00.123]Container killed on request. Exit code is 137\\n[2024-05-01 10:00:00.124]x",
            "Container from a bad node: container_1_0001_01_000003 on host: h2. Exit status: 137. Diagnostics: \
             [2024-05-01 11:30:00.001]Container killed on request. Exit code is 137\\n[2024-05-01 11:30:00.002]y",
        ),
    ] {
        let text = text("yarn-remove-reasons");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (line, words) in [(4, one), (5, other)] {
            let start = lines[line].find("Container marked").unwrap();
            lines[line].replace_range(start.., &format!("{words}\"}}"));
        }
        let run = read_text(&lines.join("\n"));
        assert!(run.reading.complete, "{:?}", run.reading.skipped);
        assert_eq!(
            run.summary.remove_reasons.values().copied().collect::<Vec<_>>(),
            [2],
            "{:?}",
            run.summary.remove_reasons
        );
    }
}

#[test]
fn an_archive_is_refused_by_its_name() {
    let zip = files("history-server-zip");
    let run = read_files(&zip);
    assert_eq!(
        reasons(&run),
        [
            "zip archives, which are not unpacked here: unpack them first",
            "in progress"
        ]
    );
    assert_eq!((run.reading.lines, run.reading.files), (0, 1));
    let mut tar = vec![0; 512];
    tar[..5].copy_from_slice(b"app-1");
    tar[257..262].copy_from_slice(b"ustar");
    for (start, what) in [
        (&b"BZh91AY&SY"[..], "bzip2"),
        (b"\xfd7zXZ\0\0\x04", "xz"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "7z"),
        (b"\x04\x22\x4d\x18\x64\x40\xa7", "lz4 program"),
        (b"\xff\x06\0\0sNaPpY\0", "snappy's framing"),
        (b"PAR1\x15\x04", "Parquet"),
        (&tar, "tar archives"),
    ] {
        // The name may be of a log, or of one of Spark's codecs.
        for name in ["application_1_0001", "application_1_0001.lz4", "events_1_a.zstd"] {
            let run = read_bytes(name, start);
            assert_eq!(run.reading.skipped.len(), 1, "{what}: {:?}", run.reading.skipped);
            assert!(reasons(&run)[0].contains(what), "{what}: {:?}", run.reading.skipped);
        }
    }
    // Among files that can be read, it costs no more than itself.
    let mut several = vec![("a.zip".to_owned(), zip[0].1.clone())];
    several.extend(files("yarn-remove-reasons"));
    let run = read_files(&several);
    assert_eq!((run.executors.len(), run.reading.skipped.len()), (2, 1));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new()
        .filename("log")
        .comment("of a test")
        .extra(vec![1, 2, 3])
        .write(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_log_packed_with_gzip_is_read() {
    let run = run("gzip");
    assert_eq!(
        run.reading.skipped.keys().collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "{:?}",
        run.reading
    );
    assert!(run.reading.complete);
    assert_eq!(run.application_id.as_deref(), Some("application_1_0001"));
    // Of several members, with names and comments, whatever the file is called, padded with zeros.
    let text = crate::logs::text("s35-jobfail-rdd-plain");
    let expected = read_text(&text);
    let (head, tail) = text.split_at(text.len() / 3);
    let packed = [gzip(head.as_bytes()), gzip(b""), gzip(tail.as_bytes())].concat();
    for name in ["app.gz", "app", "app.zstd"] {
        for padding in [0, 1, 700] {
            let run = read_bytes(name, &[packed.clone(), vec![0; padding]].concat());
            assert!(run.reading.complete, "{:?}", run.reading.skipped);
            assert_eq!(
                (&run.summary, &run.failed_tasks),
                (&expected.summary, &expected.failed_tasks)
            );
        }
    }
    // A member that is damaged costs no other; a file that is cut is said to be.
    let mut damaged = [gzip(text.as_bytes()), gzip(tail.as_bytes())].concat();
    damaged[200] ^= 0xff;
    let run = read_bytes("app.gz", &damaged);
    assert!(
        run.reading.skipped.contains_key("broken gzip members"),
        "{:?}",
        run.reading
    );
    assert_eq!(run.ended_at_ms, expected.ended_at_ms);
    let run = read_bytes("app.gz", &packed[..packed.len() / 2]);
    assert!(
        run.reading
            .skipped
            .contains_key("gzip members cut at the end of a file"),
        "{:?}",
        run.reading
    );
}

#[test]
fn a_text_file_is_said_to_be_text() {
    let run = run("driver-log-is-called-events");
    assert_eq!(run.reading.skipped["lines of plain text: this is no event log"], 2);
    assert_eq!(run.reading.skipped.len(), 1);
    // Packed as EMR packs it, without a last newline, with braces inside.
    let text = text("driver-log-is-called-events");
    for (name, bytes) in [
        ("stderr.gz", gzip(text.as_bytes())),
        ("stderr", text.trim_end().as_bytes().to_vec()),
        (
            "controller",
            b"2024-01-01T00:00:00.000Z INFO startExec {}\nINFO {\"Event\":1}\n".to_vec(),
        ),
    ] {
        let run = read_bytes(name, &bytes);
        assert_eq!(
            run.reading.skipped.keys().collect::<Vec<_>>(),
            ["lines of plain text: this is no event log"],
            "{name}"
        );
    }
    // JSON that is no event is told from an event with a field missing.
    let run = read_text("{\"level\":\"INFO\"}\n{\"Records\":[]}\n{\"Event\":\"SparkListenerJobEnd\"}\n");
    assert_eq!(run.reading.skipped["JSON objects that are no events"], 2);
    assert_eq!(run.reading.skipped["events without the fields expected"], 1);
}

#[test]
fn what_is_not_complete_has_a_reason() {
    assert_eq!(
        reasons(&run("not-complete-without-a-reason")),
        ["application's start missing"]
    );
    for (bytes, reason) in [
        (&b""[..], "in progress"),
        (b"\n\n", "in progress"),
        (
            b"{\"Event\":\"com.example.Mine\"}\n{\"Event\":\"SparkListenerApplicationEnd\",\"Timestamp\":1}\n",
            "application's start missing",
        ),
        (b"no log\n", "lines of plain text: this is no event log"),
    ] {
        let run = read_bytes("log", bytes);
        assert!(reasons(&run).contains(&reason), "{:?}", run.reading);
    }
}

#[test]
fn rolled_files_may_count_from_0() {
    let missing = "rolled files missing before or between those given";
    let mut files = files("rolled-files-count-from-0/eventlog_v2_00fabc");
    let run = read_files(&files);
    assert_eq!(run.reading.skipped[missing], 1);
    let head = concat!(
        r#"{"Event":"SparkListenerLogStart","Spark Version":"3.5.3"}"#,
        "\n",
        r#"{"Event":"SparkListenerApplicationStart","App Name":"job","App ID":"00fabc","Timestamp":1000,"User":"u"}"#,
        "\n"
    );
    files.insert(0, ("events_0_00fabc".to_owned(), head.as_bytes().to_vec()));
    let whole = read_files(&files);
    assert!(whole.reading.complete, "{:?}", whole.reading.skipped);
    // One between is one, whatever the first number.
    let without = |at: usize| {
        let mut files = files.clone();
        files.remove(at);
        files
    };
    assert_eq!(read_files(&without(1)).reading.skipped[missing], 1);
    // Of a writer that counts from 1, none is missing.
    let mut from_1 = files.clone();
    for (number, (name, _)) in from_1.iter_mut().enumerate() {
        *name = format!("events_{}_00fabc", number + 1);
    }
    assert!(read_files(&from_1).reading.complete);
    // Which number the first one had is not known of the last file alone.
    let last = self::files("tasks-on-unlisted-executors/eventlog_v2_app");
    assert_eq!(read_files(&last).reading.skipped[&format!("{missing}, at least")], 93);
}

#[test]
fn excluded_executors_and_nodes_are_told_with_their_times() {
    let run = run("excluded-nodes-passed-over");
    assert_eq!(run.reading.passed_over.len(), 0);
    let [node, executor] = run.exclusions.as_slice() else {
        panic!("{:?}", run.exclusions)
    };
    assert_eq!(
        (
            &node.executor_id,
            node.host.as_deref(),
            node.excluded_at_ms,
            node.failures
        ),
        (&None, Some("h1"), Some(3000), Some(1))
    );
    assert_eq!(
        (
            executor.executor_id.as_deref(),
            executor.host.as_deref(),
            executor.excluded_at_ms,
            executor.failures
        ),
        (Some("1"), Some("h1"), Some(3000), Some(2))
    );
    // Spark's older names, beside the new ones or alone; for a stage; taken back.
    let text = text("excluded-nodes-passed-over");
    let old = text.replace("Excluded", "Blacklisted");
    assert_eq!(read_text(&old).exclusions, run.exclusions);
    let both: String = text
        .lines()
        .flat_map(|line| {
            let old = line.replace("Excluded", "Blacklisted");
            [Some(line.to_owned()), Some(old).filter(|old| old != line)]
        })
        .flatten()
        .map(|line| line + "\n")
        .collect();
    assert_eq!(read_text(&both).exclusions, run.exclusions);
    let more = concat!(
        r#"{"Event":"org.apache.spark.scheduler.SparkListenerNodeUnexcluded","time":8000,"hostId":"h1"}"#,
        "\n",
        r#"{"Event":"org.apache.spark.scheduler.SparkListenerExecutorUnblacklisted","time":8000,"executorId":"1"}"#,
        "\n",
        r#"{"Event":"org.apache.spark.scheduler.SparkListenerExecutorExcludedForStage","time":9000,"executorId":"1","taskFailures":3,"stageId":4,"stageAttemptId":1}"#,
        "\n"
    );
    let run = read_text(&format!("{text}{more}"));
    let times: Vec<_> = run
        .exclusions
        .iter()
        .map(|one| (one.excluded_at_ms, one.unexcluded_at_ms, one.stage))
        .collect();
    assert_eq!(
        times,
        [
            (Some(3000), Some(8000), None),
            (Some(3000), Some(8000), None),
            (Some(9000), None, Some((4, 1)))
        ]
    );
}

#[test]
fn databricks_says_sparks_version_in_a_line_of_its_own() {
    let run = run("databricks-version");
    assert_eq!(run.spark_version.as_deref(), Some("3.5.0"));
    assert_eq!(run.reading.passed_over.len(), 0);
    // Each rolled file begins with it; Spark's own line, where there is one, is what counts.
    let text = text("databricks-version");
    let spark = r#"{"Event":"SparkListenerLogStart","Spark Version":"3.5.1"}"#;
    for both in [format!("{spark}\n{text}"), format!("{text}{spark}\n{text}")] {
        assert_eq!(read_text(&both).spark_version.as_deref(), Some("3.5.1"));
    }
    let without = text.replace("\"Spark Version\":\"3.5.0\",", "");
    assert_eq!(read_text(&without).spark_version, None);
}

#[test]
fn speculative_copies_are_counted_by_stage() {
    let text = text("lost-but-not-recomputed");
    let start = text.lines().nth(5).unwrap();
    let end = text.lines().nth(6).unwrap();
    let copy = |line: &str, id: u32| {
        line.replace(r#""Task ID":0"#, &format!(r#""Task ID":{id}"#))
            .replace(r#""Speculative":false"#, r#""Speculative":true"#)
    };
    let killed = copy(end, 8)
        .replace(
            r#"{"Reason":"Success"}"#,
            r#"{"Reason":"TaskKilled","Kill Reason":"another attempt succeeded"}"#,
        )
        .replace(r#""Killed":false"#, r#""Killed":true"#);
    let more = [copy(start, 7), copy(start, 8), copy(start, 9), copy(end, 7), killed].join("\n");
    let run = read_text(&format!("{text}{more}\n"));
    let stage = &run.stages[0];
    assert_eq!((stage.tasks_speculative, stage.tasks_speculative_successful), (3, 1));
    assert_eq!(run.tasks.speculative, 3);
}

const TASK: &str = r#"{"Event":"SparkListenerTaskEnd","Stage ID":3,"Stage Attempt ID":1,"Task Type":"ResultTask","Task End Reason":REASON,"Task Info":{"Task ID":12,"Index":3,"Attempt":2,"Partition ID":5,"Launch Time":1000,"Executor ID":"4","Host":"h4","Locality":"ANY","Speculative":false,"Getting Result Time":0,"Finish Time":1500,"Failed":true,"Killed":false,"Accumulables":[]}}"#;

#[test]
fn a_failed_task_says_where_when_and_why() {
    let read = |reason: &str| {
        let mut run = read_text(&TASK.replace("REASON", reason));
        assert_eq!((run.failed_tasks.len(), run.tasks.failed), (1, 1), "{reason}");
        run.failed_tasks.remove(0)
    };
    let task = read(
        r#"{"Reason":"ExceptionFailure","Class Name":"java.io.IOException","Description":"No space left\non device","Stack Trace":[],"Full Stack Trace":"java.io.IOException: No space","Accumulator Updates":[]}"#,
    );
    assert_eq!(
        (task.stage_id, task.stage_attempt, task.index, task.attempt),
        (3, 1, 3, 2)
    );
    assert_eq!(
        (task.executor_id.as_str(), task.host.as_str(), task.finished_at_ms),
        ("4", "h4", 1500)
    );
    assert_eq!(
        (task.reason.as_str(), task.words.as_str()),
        ("ExceptionFailure", "java.io.IOException: No space left on device")
    );
    assert_eq!((task.fetch_failed_from, task.exit_caused_by_app), (None, None));
    let task = read(
        r#"{"Reason":"FetchFailed","Block Manager Address":{"Executor ID":"2","Host":"h2","Port":7337},"Shuffle ID":1,"Map ID":5,"Map Index":5,"Reduce ID":0,"Message":"Connection refused: h2/10.0.0.2:7337"}"#,
    );
    assert_eq!(task.words, "Connection refused: h2/10.0.0.2:7337");
    assert_eq!(
        task.fetch_failed_from,
        Some(FetchFailure {
            host: "h2".to_owned(),
            executor_id: "2".to_owned()
        })
    );
    for caused in [true, false] {
        let task = read(&format!(
            r#"{{"Reason":"ExecutorLostFailure","Executor ID":"4","Exit Caused By App":{caused},"Loss Reason":"Slave lost"}}"#
        ));
        assert_eq!(
            (task.exit_caused_by_app, task.words.as_str()),
            (Some(caused), "Slave lost")
        );
    }
    assert_eq!(read(r#"{"Reason":"TaskResultLost"}"#).reason, "TaskResultLost");
    assert_eq!(
        read(r#"{"Reason":"TaskCommitDenied","Job ID":1,"Partition ID":2,"Attempt Number":3}"#).words,
        "Driver denied task commit"
    );
    // Killed is not failed, and neither is what is resubmitted.
    let killed = TASK
        .replace("REASON", r#"{"Reason":"TaskKilled","Kill Reason":"x"}"#)
        .replace(r#""Failed":true,"Killed":false"#, r#""Failed":false,"Killed":true"#);
    assert_eq!(read_text(&killed).failed_tasks, []);
    let resubmitted = TASK.replace("REASON", r#"{"Reason":"Resubmitted"}"#);
    assert_eq!(read_text(&resubmitted).failed_tasks, []);
}

#[test]
fn of_many_failed_tasks_the_last_are_kept() {
    let line = TASK.replace("REASON", r#"{"Reason":"TaskResultLost"}"#);
    let lines: Vec<String> = (0..1_200)
        .map(|index| line.replace(r#""Index":3"#, &format!(r#""Index":{index}"#)))
        .collect();
    let run = read_text(&lines.join("\n"));
    assert_eq!(run.tasks.failed, 1_200);
    let kept: Vec<i64> = run.failed_tasks.iter().map(|task| task.index).collect();
    assert_eq!(kept, (700..1_200).collect::<Vec<i64>>());
}

#[test]
fn a_cancelled_job_is_told_from_a_failed_one() {
    let text = text("lost-but-not-recomputed");
    let shut_down = "Job 0 cancelled because SparkContext was shut down";
    let job = |message: &str| {
        let mut run = read_text(&text.replace(shut_down, message));
        run.jobs.remove(0)
    };
    for (message, cancelled) in [
        (shut_down, false),
        ("Job 0 cancelled part of cancelled job group 7", true),
        ("[SPARK_JOB_CANCELLED] Job 0 cancelled  SQLSTATE: XXKDA", true),
        (
            "Job aborted due to stage failure: Task 0 in stage 0.0 failed 4 times",
            false,
        ),
    ] {
        let job = job(message);
        assert_eq!(
            (job.cancelled, job.succeeded, job.failure.as_deref()),
            (cancelled, Some(false), Some(message))
        );
    }
}

#[test]
fn the_exit_code_and_the_settings_that_bear_on_the_end_are_kept() {
    let text = text("yarn-remove-reasons");
    assert_eq!(read_text(&text).exit_code, None);
    let coded = text.replace(
        r#"End","Timestamp":90000}"#,
        r#"End","Timestamp":90000,"ExitCode":-137}"#,
    );
    assert_eq!(read_text(&coded).exit_code, Some(-137));
    let kept = [
        "spark.yarn.submit.waitAppCompletion",
        "spark.submit.deployMode",
        "spark.master",
        "spark.yarn.maxAppAttempts",
        "spark.task.maxFailures",
        "spark.stage.maxConsecutiveAttempts",
        "spark.sql.sources.partitionOverwriteMode",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs",
        "spark.sql.sources.outputCommitterClass",
        "spark.sql.sources.commitProtocolClass",
        "spark.dynamicAllocation.enabled",
        "spark.shuffle.service.enabled",
        "spark.speculation",
        "spark.spotDrill.output",
        "spark.spotDrillOutput",
    ];
    let properties: Vec<String> = kept
        .iter()
        .chain(&["spark.app.name", "spark.hadoop.fs.s3a.secret.key"])
        .map(|key| format!(r#""{key}":"x""#))
        .collect();
    let environment = format!(
        r#"{{"Event":"SparkListenerEnvironmentUpdate","JVM Information":{{}},"Spark Properties":{{{}}}}}"#,
        properties.join(",")
    );
    let settings = read_text(&environment).settings;
    let mut expected = kept.to_vec();
    expected.sort_unstable();
    assert_eq!(settings.keys().collect::<Vec<_>>(), expected);
}
