//! Stages that another job names again, and what one stage computes of another's output: by the fewest lines that tell.
//!
//! Separate because these logs are put together line by line here: each test has several that differ in little.

use serde_json::{Value, json};
use spark_log::{SparkRun, StageStatus};

use crate::logs::read_text;

const CAME: &str = r#"{"Event":"SparkListenerExecutorAdded","Timestamp":500,"Executor ID":"1","Executor Info":{"Host":"h1","Total Cores":4}}"#;
const LOST: &str =
    r#"{"Event":"SparkListenerExecutorRemoved","Timestamp":2000,"Executor ID":"1","Removed Reason":"worker lost"}"#;

fn read_lines(lines: &[String]) -> SparkRun {
    read_text(&lines.join("\n"))
}

/// A first attempt of so many tasks, and the RDD it computes.
fn info(stage: i64, tasks: i64, rdd: i64) -> Value {
    json!({
        "Stage ID": stage, "Stage Attempt ID": 0, "Stage Name": "s", "Number of Tasks": tasks, "Parent IDs": [],
        "RDD Info": [{"RDD ID": rdd}], "Submission Time": 1_000,
    })
}

fn job(id: i64, stages: &[Value]) -> String {
    let ids: Vec<&Value> = stages.iter().map(|stage| &stage["Stage ID"]).collect();
    json!({"Event": "SparkListenerJobStart", "Job ID": id, "Stage Infos": stages, "Stage IDs": ids}).to_string()
}

fn job_end(id: i64) -> String {
    json!({"Event": "SparkListenerJobEnd", "Job ID": id, "Job Result": {"Result": "JobSucceeded"}}).to_string()
}

fn submitted(info: Value) -> String {
    json!({"Event": "SparkListenerStageSubmitted", "Stage Info": info}).to_string()
}

/// A task: its stage, its id, its partition, when it was launched and how long it took.
#[derive(Clone, Copy)]
struct Task(i64, i64, i64, i64, i64);

impl Task {
    fn line(self, event: &str, reason: Option<&str>) -> String {
        let Self(stage, id, partition, launched_at_ms, duration_ms) = self;
        json!({
            "Event": event, "Stage ID": stage, "Stage Attempt ID": 0,
            "Task End Reason": reason.map(|reason| json!({"Reason": reason})),
            "Task Info": {
                "Task ID": id, "Index": partition, "Partition ID": partition, "Executor ID": "1", "Host": "h1",
                "Launch Time": launched_at_ms, "Finish Time": launched_at_ms + duration_ms, "Speculative": true,
            },
        })
        .to_string()
    }

    fn start(self) -> String {
        self.line("SparkListenerTaskStart", None)
    }

    fn end(self) -> String {
        self.line("SparkListenerTaskEnd", Some("Success"))
    }

    fn ran(self) -> String {
        [self.start(), self.end()].join("\n")
    }

    /// Its output went with its executor while its stage ran.
    fn lost(self) -> String {
        self.line("SparkListenerTaskEnd", Some("Resubmitted"))
    }
}

/// A job of its own that runs one partition of an RDD again.
fn again(job_id: i64, rdd: i64, task: Task) -> [String; 3] {
    [
        job(job_id, &[info(task.0, 3, rdd)]),
        submitted(info(task.0, 1, rdd)),
        task.ran(),
    ]
}

#[test]
fn of_what_a_stage_runs_in_part_after_a_loss_only_that_was_recomputed_which_an_earlier_stage_of_its_rdd_had() {
    let earlier = [Task(0, 0, 0, 1_000, 100).ran(), Task(0, 1, 1, 1_000, 200).ran()];
    let log = |earlier: &[String]| {
        let before = [
            CAME.to_owned(),
            job(0, &[info(0, 3, 5), info(1, 3, 6)]),
            submitted(info(0, 3, 5)),
            submitted(info(1, 3, 6)),
            Task(1, 2, 2, 1_000, 50).ran(),
        ];
        let after = [
            LOST.to_owned(),
            job(1, &[info(3, 3, 5)]),
            submitted(info(3, 2, 5)),
            Task(3, 10, 0, 3_000, 70).ran(),
            Task(3, 11, 2, 3_000, 40).ran(),
            // One that comes later, and runs whole.
            job(2, &[info(5, 3, 5)]),
            submitted(info(5, 3, 5)),
            Task(5, 20, 2, 4_000, 30).ran(),
        ];
        let lost = read_lines(&[&before, earlier, &after].concat()).lost_work;
        assert_eq!(
            (lost.recomputed_tasks, lost.recomputed_ms),
            (
                lost.recomputed_under_another_stage_id_tasks,
                lost.recomputed_under_another_stage_id_ms
            )
        );
        (lost.recomputed_tasks, lost.recomputed_ms)
    };
    assert_eq!(
        log(&earlier),
        (1, 70),
        "partition 2 was missing because nobody had computed it"
    );
    assert_eq!(log(&[]), (2, 110), "what came before is not in the log");
}

#[test]
fn lost_output_that_a_later_stage_of_its_rdd_computed_again_is_not_lost_for_good() {
    let first = Task(0, 0, 0, 1_000, 100);
    let (second, third) = (Task(5, 10, 0, 3_000, 70), Task(7, 11, 0, 5_000, 60));
    let never = |more: &[&[String]]| {
        let before = [
            CAME.to_owned(),
            job(0, &[info(0, 3, 5)]),
            submitted(info(0, 3, 5)),
            first.ran(),
            LOST.to_owned(),
            first.lost(),
        ];
        let lost = read_lines(&[&before[..], &more.concat()].concat()).lost_work;
        (lost.never_recomputed_tasks, lost.never_recomputed_ms)
    };
    assert_eq!(
        never(&[&again(1, 6, Task(4, 9, 0, 3_000, 10))]),
        (1, 100),
        "of another RDD"
    );
    assert_eq!(never(&[&again(1, 5, second)]), (0, 0));
    // What was computed again and lost once more was not computed again by its own success, nor by one before it.
    assert_eq!(never(&[&again(1, 5, second), &[second.lost()]]), (1, 70));
    assert_eq!(
        never(&[&again(1, 5, second), &again(2, 5, third), &[third.lost()]]),
        (1, 60)
    );
}

/// `onStageCompleted` and `onTaskEnd` forget a stage once it is over and none of its tasks runs; `onJobStart` begins it anew, and
/// `onJobEnd` finds it pending.
#[test]
fn a_stage_that_is_over_and_that_a_later_job_names_was_skipped_there_and_keeps_its_tasks_times() {
    let (one, other) = (Task(0, 0, 0, 1_000, 100), Task(0, 1, 1, 1_000, 200));
    let completed = json!({"Event": "SparkListenerStageCompleted", "Stage Info": info(0, 2, 5)}).to_string();
    let mut nameless = info(0, 2, 5);
    nameless["RDD Info"] = json!([]);
    for ends in [
        [one.end(), other.end(), completed.clone()],
        [one.end(), completed, other.end()],
    ] {
        let begin = [
            CAME.to_owned(),
            job(0, &[info(0, 2, 5)]),
            submitted(info(0, 2, 5)),
            one.start(),
            other.start(),
        ];
        let mut lines = [&begin[..], &ends, &[job_end(0)]].concat();
        assert_eq!(read_lines(&lines).stages[0].status, StageStatus::Complete, "{ends:?}");
        lines.extend([job(1, &[nameless.clone()]), job_end(1)]);
        let mut run = read_lines(&lines);
        let stage = run.stages.remove(0);
        assert_eq!((run.stages.len(), stage.status), (0, StageStatus::Skipped), "{ends:?}");
        assert_eq!(
            (stage.task_time_ms, stage.longest_task_ms, stage.rdd_id),
            (300, 200, Some(5))
        );
        assert_eq!((stage.tasks_speculative, stage.tasks_speculative_successful), (2, 2));
    }
}

/// The REST API lists a task only below a stage that it knows, and none below one that was skipped.
#[test]
fn what_ran_twice_counts_where_the_server_lists_its_stage() {
    let (one, other) = (Task(0, 0, 0, 1_000, 100), Task(0, 1, 0, 2_000, 200));
    let ran = [one.ran(), other.ran()];
    let job = job(0, &[info(0, 1, 5)]);
    for (before, after, partitions) in [
        (vec![], vec![], 0),
        (vec![job.clone()], vec![job_end(0)], 0),
        (vec![job.clone()], vec![], 1),
        (vec![job, submitted(info(0, 1, 5))], vec![job_end(0)], 1),
    ] {
        let run = read_lines(&[&before[..], &ran, &after].concat());
        let summary = &run.summary;
        assert_eq!(
            summary.partitions_succeeded_more_than_once, partitions,
            "{before:?} {after:?}"
        );
        let (lost_ms, again_ms) = (summary.lost_success_time_ms, summary.rerun_success_time_ms);
        assert_eq!((lost_ms, again_ms), (100 * partitions, 200 * partitions));
        assert_eq!(run.lost_work.recomputed_ms, 100 * partitions);
    }
}

/// `TaskInfo.status`: what has no finish time is running.
#[test]
fn a_task_whose_end_has_no_time_is_running() {
    let task = Task(0, 0, 0, 1_000, -1_000);
    let run = read_lines(&[CAME.to_owned(), submitted(info(0, 1, 5)), task.ran()]);
    let status: Vec<(&str, u64)> = run
        .summary
        .task_status
        .iter()
        .map(|(is, count)| (is.as_str(), *count))
        .collect();
    assert_eq!(status, [("RUNNING", 1)]);
    assert_eq!(run.summary.task_attempts, 1);
}

#[test]
fn a_loss_touched_an_execution_whose_stage_it_hit_or_that_ran_a_stage_again_after_it() {
    let touched = |after: Option<&str>, attempt: i64, tasks: i64, end: Option<String>| {
        let mut job: Value = serde_json::from_str(&job(0, &[info(3, 3, 5)])).unwrap();
        job["Properties"] = json!({"spark.sql.execution.id": "7"});
        let mut ran = info(3, tasks, 5);
        ran["Stage Attempt ID"] = json!(attempt);
        let mut lines = vec![CAME.to_owned()];
        lines.extend(after.map(str::to_owned));
        lines.extend([job.to_string(), submitted(ran)]);
        lines.extend(end);
        let run = read_lines(&lines);
        assert_eq!(run.sql_executions.len(), 1);
        run.sql_executions[0].touched
    };
    assert!(!touched(Some(LOST), 0, 3, None), "it was run for the first time");
    assert!(touched(Some(LOST), 0, 2, None), "it was run before, and in part again");
    assert!(touched(Some(LOST), 1, 3, None), "the attempt before it failed");
    assert!(
        !touched(None, 1, 3, None) && !touched(None, 0, 2, None),
        "nothing was lost"
    );
    let task = Task(3, 0, 0, 1_000, 100);
    for (reason, is_loss) in [
        ("Success", false),
        ("TaskKilled", false),
        ("ExceptionFailure", false),
        ("ExecutorLostFailure", true),
        ("FetchFailed", true),
        ("TaskResultLost", true),
        ("Resubmitted", true),
    ] {
        let end = task.line("SparkListenerTaskEnd", Some(reason));
        assert_eq!(touched(None, 0, 3, Some(end)), is_loss, "{reason}");
    }
}
