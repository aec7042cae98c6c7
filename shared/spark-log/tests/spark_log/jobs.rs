//! Jobs, SQL executions and applications: when they began and ended, and how.
//!
//! Separate because these say little and say it once: each by the lines that tell of it alone.

use crate::logs::read_text;

/// `onJobStart` and `onJobEnd`: a time that is not above 0 is none.
#[test]
fn a_job_without_a_time_has_none() {
    for (time, expected) in [
        (r#","TIME":0"#, None),
        (r#","TIME":-1"#, None),
        ("", None),
        (r#","TIME":1"#, Some(1)),
    ] {
        let (begun, ended) = (
            time.replace("TIME", "Submission Time"),
            time.replace("TIME", "Completion Time"),
        );
        let run = read_text(&format!(
            "{}\n{}\n",
            format_args!(r#"{{"Event":"SparkListenerJobStart","Job ID":0{begun},"Stage IDs":[4]}}"#),
            format_args!(
                r#"{{"Event":"SparkListenerJobEnd","Job ID":0{ended},"Job Result":{{"Result":"JobSucceeded"}}}}"#
            ),
        ));
        let job = &run.jobs[0];
        assert_eq!(
            (job.submitted_at_ms, job.completed_at_ms),
            (expected, expected),
            "{time}"
        );
        assert_eq!(
            (job.succeeded, job.cancelled, &job.stage_ids[..]),
            (Some(true), false, &[4][..])
        );
    }
}

/// Spark writes no words, or none but an empty text, where an execution succeeded.
#[test]
fn an_execution_failed_if_its_end_has_words() {
    for (error, expected) in [
        ("", None),
        (r#","errorMessage":"""#, None),
        (r#","errorMessage":"[UNKNOWN] x""#, Some("[UNKNOWN] x")),
    ] {
        let run = read_text(&format!(
            r#"{{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionEnd","executionId":3,"time":9{error}}}"#
        ));
        let execution = &run.sql_executions[0];
        assert_eq!((execution.id, execution.ended_at_ms), (3, Some(9)));
        assert_eq!(execution.error.as_deref(), expected, "{error}");
    }
}

#[test]
fn each_application_that_begins_after_the_first_is_counted() {
    let line =
        r#"{"Event":"SparkListenerApplicationStart","App Name":"job","App ID":"app","Timestamp":1000,"User":"u"}"#;
    for further in 0..4 {
        let run = read_text(&[line].repeat(further + 1).join("\n"));
        assert_eq!(run.further_applications as usize, further);
    }
}

/// What is long is kept within reason.
#[test]
fn words_are_cut_at_64_kib() {
    let name = |length| {
        let line = r#"{"Event":"SparkListenerApplicationStart","App Name":"NAME","Timestamp":1000}"#;
        read_text(&line.replace("NAME", &"n".repeat(length)))
            .application_name
            .unwrap()
            .len()
    };
    assert_eq!(
        (name(5_000), name(64 << 10), name((64 << 10) + 1)),
        (5_000, 64 << 10, 64 << 10)
    );
}
