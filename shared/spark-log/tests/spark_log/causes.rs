//! What tells why an application failed: its last failed tasks, its cancelled jobs, its end and its settings.
//!
//! Separate because no oracle has these: the History Server counts them, or leaves them out.

use spark_log::FetchFailure;

use crate::logs::{read_text, small_text};

#[test]
fn speculative_copies_are_counted_by_stage() {
    let text = small_text("lost-but-not-recomputed");
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
    // `toErrorString`, where the log holds nothing but the name.
    let task = read(r#"{"Reason":"TaskResultLost"}"#);
    assert_eq!(
        (task.reason.as_str(), task.words.as_str()),
        ("TaskResultLost", "result lost from block manager")
    );
    let task = read(r#"{"Reason":"UnknownReason"}"#);
    assert_eq!((task.reason.as_str(), task.words.as_str()), ("UnknownReason", ""));
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
    let text = small_text("lost-but-not-recomputed");
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
    let text = small_text("yarn-remove-reasons");
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
