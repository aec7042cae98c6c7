//! Small logs that each show one thing: executors that come and go, and what Spark says of them in more than one way.
//!
//! Separate because these were put together by hand: what they hold is told by their folder's name.

use spark_log::Removal;

use crate::logs::{read_files, read_text, small_files, small_run, small_text};

#[test]
fn an_executor_whose_start_is_not_in_the_log_is_removed_all_the_same() {
    let run = small_run("removal-of-unlisted-executor");
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
    let removal = small_text("removal-of-unlisted-executor")
        .lines()
        .nth(2)
        .unwrap()
        .replace("5000", "6000");
    let back = r#"{"Event":"SparkListenerExecutorAdded","Timestamp":7000,"Executor ID":"7","Executor Info":{"Host":"h7","Total Cores":2}}"#;
    let again = format!("{}{removal}\n", small_text("removal-of-unlisted-executor"));
    assert_eq!(read_text(&again).executors, run.executors);
    let executors = read_text(&format!("{again}{back}\n")).executors;
    assert_eq!(
        (executors.len(), executors[0].added_at_ms, executors[0].removed_at_ms),
        (1, Some(7000), None)
    );
}

#[test]
fn of_an_executor_whose_block_manager_alone_came_back_host_and_cores_are_still_known() {
    let added = r#"{"Event":"SparkListenerExecutorAdded","Timestamp":1000,"Executor ID":"1","Executor Info":{"Host":"h1","Total Cores":4}}"#;
    let removed =
        r#"{"Event":"SparkListenerExecutorRemoved","Timestamp":2000,"Executor ID":"1","Removed Reason":"heartbeat"}"#;
    let back = r#"{"Event":"SparkListenerBlockManagerAdded","Block Manager ID":{"Executor ID":"1","Host":"h1","Port":1},"Maximum Memory":1,"Timestamp":3000}"#;
    let run = read_text(&[added, removed, back, ""].join("\n"));
    let [executor] = run.executors.as_slice() else {
        panic!("{:?}", run.executors)
    };
    assert_eq!((executor.host.as_str(), executor.cores), ("h1", 4));
    assert_eq!((executor.added_at_ms, executor.removed_at_ms), (Some(3000), None));
}

/// From its start on, a log tells of all that come: what is removed without having come took nothing with it.
#[test]
fn an_executor_that_never_came_is_no_loss_and_one_of_before_the_log_is() {
    let start =
        r#"{"Event":"SparkListenerApplicationStart","App Name":"job","App ID":"app","Timestamp":1000,"User":"u"}"#;
    let line = |id: &str| {
        format!(
            r#"{{"Event":"SparkListenerExecutorRemoved","Timestamp":2000,"Executor ID":"{id}","Removed Reason":"worker lost"}}"#
        )
    };
    let came = r#"{"Event":"SparkListenerExecutorAdded","Timestamp":1500,"Executor ID":"1","Executor Info":{"Host":"h1","Total Cores":4}}"#;
    let job =
        r#"{"Event":"SparkListenerJobStart","Job ID":0,"Stage IDs":[0],"Properties":{"spark.sql.execution.id":"0"}}"#;
    let retry = r#"{"Event":"SparkListenerStageSubmitted","Stage Info":{"Stage ID":0,"Stage Attempt ID":1,"Number of Tasks":1}}"#;
    for (lines, touched) in [
        (vec![start, came], false),
        (vec![start, came, &line("9")], false),
        (vec![came, &line("9")], true),
        (vec![start, came, &line("1")], true),
        (vec![start, came, &line("1"), &line("9")], true),
        (vec![start, came, &line("driver")], false),
    ] {
        let run = read_text(&[lines.clone(), vec![job, retry]].concat().join("\n"));
        assert_eq!(run.sql_executions[0].touched, touched, "{lines:?}");
    }
}

#[test]
fn tasks_tell_of_executors_that_no_line_lists() {
    let files = small_files("tasks-on-unlisted-executors/eventlog_v2_app");
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
    let run = small_run("lost-but-not-recomputed");
    let lost = &run.lost_work;
    assert_eq!((lost.recomputed_tasks, lost.recomputed_ms), (0, 0));
    assert_eq!((lost.never_recomputed_tasks, lost.never_recomputed_ms), (1, 60_000));
    assert_eq!(lost.lost_ms(), 60_000);
    assert_eq!((run.tasks.resubmitted, run.executors[0].tasks_resubmitted), (1, 1));
    // Computed again, in whichever attempt of the stage, it is recomputed work and not this.
    let text = small_text("lost-but-not-recomputed");
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
    let run = small_run("lost-connection-is-other");
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
    let run = small_run("yarn-remove-reasons");
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
        let text = small_text("yarn-remove-reasons");
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
fn excluded_executors_and_nodes_are_told_with_their_times() {
    let run = small_run("excluded-nodes-passed-over");
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
    let text = small_text("excluded-nodes-passed-over");
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
    let run = small_run("databricks-version");
    assert_eq!(run.spark_version.as_deref(), Some("3.5.0"));
    assert_eq!(run.reading.passed_over.len(), 0);
    // Each rolled file begins with it; Spark's own line, where there is one, is what counts.
    let text = small_text("databricks-version");
    let spark = r#"{"Event":"SparkListenerLogStart","Spark Version":"3.5.1"}"#;
    for both in [format!("{spark}\n{text}"), format!("{text}{spark}\n{text}")] {
        assert_eq!(read_text(&both).spark_version.as_deref(), Some("3.5.1"));
    }
    let without = text.replace("\"Spark Version\":\"3.5.0\",", "");
    assert_eq!(read_text(&without).spark_version, None);
}
