//! Where a failure's tasks, fetches and words lead, by the smallest traces that tell one cause from another.

use super::*;

/// The failure of a step that lost [`HOST`] at 400, with a change.
fn failure(change: impl Fn(&mut Case)) -> Failure {
    let mut case = Case::new();
    case.step.state = "FAILED".into();
    change(&mut case);
    case.judge().failure.unwrap()
}

/// One attempt of the task that [`by_tasks`] fails by, at 402.
fn task(reason: &str, host: &str, words: &str) -> FailedTask {
    FailedTask {
        stage_id: 2,
        index: 77,
        executor_id: "1".into(),
        host: host.into(),
        finished_at_ms: 402_000,
        reason: reason.into(),
        words: words.into(),
        ..FailedTask::default()
    }
}

fn fetching(host: &str, from: &str) -> FailedTask {
    FailedTask {
        fetch_failed_from: Some(FetchFailure {
            host: from.into(),
            executor_id: "9".into(),
        }),
        ..task("FetchFailed", host, "Connection closed")
    }
}

/// A job that Spark gave up for task 77 of stage 2, whose failed attempts are these.
fn by_tasks(tasks: &[FailedTask]) -> Failure {
    failure(|case| {
        case.logs[0].failed_tasks = tasks.to_vec();
        let words = "Job aborted due to stage failure: Task 77 in stage 2.0 failed 4 times, most recent failure: x";
        case.logs[0].jobs = vec![job(0, false, Some(words), 900)];
    })
}

#[test]
fn a_task_fails_by_the_interruption_if_each_attempt_was_on_a_lost_node_or_read_from_one() {
    let lost = task("ExecutorLostFailure", HOST, "Container released on a *lost* node");
    assert_eq!(by_tasks(std::slice::from_ref(&lost)).blame, Blame::Interruption);
    assert_eq!(by_tasks(&[task("TaskResultLost", HOST, "")]).blame, Blame::Interruption);
    assert_eq!(by_tasks(&[lost, fetching(OTHER_HOST, HOST)]).blame, Blame::Interruption);
    assert_eq!(
        by_tasks(&[fetching(HOST, OTHER_HOST)]).blame,
        Blame::NotToBeTold,
        "what it read from was there"
    );
}

#[test]
fn what_ended_on_a_node_before_its_notice_did_not_end_by_its_loss() {
    let blame = |finished: i64, noticed: Option<i64>, told_of: FailedTask| {
        failure(|case| {
            case.interrupted[0].0.noticed_at = noticed.map(at);
            case.logs[0].failed_tasks = vec![FailedTask {
                finished_at_ms: finished * 1000,
                ..told_of.clone()
            }];
            let words = "Job aborted due to stage failure: Task 77 in stage 2.0 failed 4 times";
            case.logs[0].jobs = vec![job(0, false, Some(words), 900)];
        })
        .blame
    };
    let memory = task(
        "ExecutorLostFailure",
        HOST,
        "Container killed by YARN for exceeding physical memory limits",
    );
    for told_of in [memory, fetching(OTHER_HOST, HOST)] {
        assert_eq!(blame(299, Some(300), told_of.clone()), Blame::NotToBeTold);
        assert_eq!(blame(300, Some(300), told_of.clone()), Blame::Interruption);
        // Without a notice on record it was given two minutes before.
        assert_eq!(blame(279, None, told_of.clone()), Blame::NotToBeTold);
        assert_eq!(blame(280, None, told_of), Blame::Interruption);
    }
}

#[test]
fn a_task_that_fails_twice_where_nothing_had_gone_would_have_failed_in_any_case() {
    let lost = task("ExecutorLostFailure", HOST, "lost");
    let own = task(
        "ExceptionFailure",
        OTHER_HOST,
        "java.lang.ArithmeticException: / by zero",
    );
    let blame = |tasks: &[&FailedTask]| by_tasks(&tasks.iter().map(|one| (*one).clone()).collect::<Vec<_>>()).blame;
    assert_eq!(blame(&[&own]), Blame::Itself);
    assert_eq!(blame(&[&lost, &lost, &own, &own]), Blame::Itself);
    assert_eq!(blame(&[&lost, &lost, &lost, &own]), Blame::NotToBeTold);
    // An exception on the lost node itself may be the program's.
    let there = task("ExceptionFailure", HOST, "java.lang.ArithmeticException: / by zero");
    assert_eq!(blame(&[&there, &there]), Blame::Itself);
}

#[test]
fn an_executors_end_or_a_lost_connection_elsewhere_is_nobodys_for_sure() {
    let ended = task("ExecutorLostFailure", OTHER_HOST, "Command exited with code 137");
    assert_eq!(by_tasks(&[ended.clone(), ended]).blame, Blame::NotToBeTold);
    let unread = task(
        "ExceptionFailure",
        OTHER_HOST,
        "BlockMissingException: Could not obtain block",
    );
    assert_eq!(by_tasks(&[unread.clone(), unread]).blame, Blame::NotToBeTold);
}

#[test]
fn tasks_of_another_attempt_of_the_stage_do_not_tell() {
    let earlier = FailedTask {
        stage_attempt: 1,
        ..task("ExecutorLostFailure", HOST, "lost")
    };
    for tasks in [vec![], vec![earlier]] {
        let failure = by_tasks(&tasks);
        assert_eq!(failure.blame, Blame::NotToBeTold);
        assert_eq!(failure.chain, ["No witness says why it failed."]);
    }
}

#[test]
fn the_chain_tells_of_each_attempt_where_it_ran_and_what_it_met() {
    let lost = task("ExecutorLostFailure", HOST, "lost node");
    let own = FailedTask {
        attempt: 1,
        executor_id: "2".into(),
        ..task("ExceptionFailure", OTHER_HOST, "/ by zero")
    };
    assert_eq!(
        by_tasks(&[lost, own]).chain,
        [
            "The job failed by task 77 of stage 2.",
            "Attempt 0 failed on executor 1 on i-7, which was interrupted: ExecutorLostFailure: lost node",
            "Attempt 1 failed on executor 2, on no interrupted instance: ExceptionFailure: / by zero",
        ]
    );
}

#[test]
fn a_failure_is_told_in_the_words_of_the_last_job_that_failed_and_was_not_cancelled() {
    let told = |diagnostics: Option<&'static str>, words: &str| {
        let failure = failure(|case| {
            let cancelled = Job {
                cancelled: true,
                ..job(2, false, Some("Job 2 cancelled by the user"), 950)
            };
            let failed = [
                job(0, false, Some("an earlier one"), 450),
                job(1, false, Some(words), 500),
            ];
            case.logs[0].jobs = [failed.to_vec(), vec![cancelled, job(3, true, None, 970)]].concat();
            case.diagnostics = diagnostics;
        });
        failure.words.unwrap()
    };
    assert_eq!(told(Some("exit code 1"), "disk full"), "disk full");
    // The context's end under a job is no error of the job.
    let shutdown = "Job 1 cancelled because SparkContext was shut down";
    assert_eq!(told(Some("exit code 1"), shutdown), "exit code 1");
    assert_eq!(told(None, shutdown), shutdown);
}

#[test]
fn a_log_that_breaks_off_is_laid_to_a_loss_only_if_the_driver_went_with_it() {
    let breaks_off = |driver: &str, executors: usize| {
        failure(|case| {
            case.logs[0].driver_host = Some(driver.into());
            case.logs[0].executors.truncate(executors);
            case.logs[0].ended_at_ms = None;
            case.logs[0].jobs.clear();
        })
        .blame
    };
    assert_eq!(breaks_off(HOST, 0), Blame::Interruption);
    assert_eq!(
        breaks_off(OTHER_HOST, 1),
        Blame::NotToBeTold,
        "an executor is no driver"
    );
}

#[test]
fn an_attempt_that_went_with_its_driver_did_not_fail_by_itself_whatever_job_of_it_had_failed() {
    let two_drivers = |first_ended: Option<i64>| {
        failure(|case| {
            let attempt = |number: &str, driver: &str, began: i64, ended: Option<i64>| SparkRun {
                attempt_id: Some(number.into()),
                started_at_ms: ms(began),
                ended_at_ms: ended.and_then(ms),
                driver_host: Some(driver.into()),
                ..SparkRun::default()
            };
            let first = SparkRun {
                jobs: vec![job(0, false, Some("an optional table is not there"), 300)],
                ..attempt("1", HOST, 20, first_ended)
            };
            case.logs = vec![first, attempt("2", OTHER_HOST, 420, None)];
            let mut second = interrupted(Some(700));
            second.private_dns_name = Some(OTHER_HOST.into());
            case.interrupted.push((second, replaced(700)));
        })
        .blame
    };
    assert_eq!(two_drivers(None), Blame::Interruption);
    assert_eq!(
        two_drivers(Some(390)),
        Blame::NotToBeTold,
        "it had ended before its node went"
    );
}

#[test]
fn instances_that_go_within_half_a_minute_explain_one_failed_attempt() {
    let words = "Application application_1_0001 failed 2 times due to AM Container c exited with exitCode: -100";
    let apart = |seconds: i64| {
        failure(|case| {
            case.logs.clear();
            case.diagnostics = Some(words);
            case.interrupted
                .push((interrupted(Some(400 + seconds)), replaced(400 + seconds)));
        })
        .blame
    };
    assert_eq!(apart(0), Blame::NotToBeTold);
    assert_eq!(apart(29), Blame::NotToBeTold);
    assert_eq!(apart(30), Blame::Interruption);
}

#[test]
fn without_an_event_log_the_words_must_name_the_loss_and_the_instance() {
    let blame = |words: &'static str| {
        failure(|case| {
            case.logs.clear();
            case.diagnostics = Some(words);
        })
        .blame
    };
    for words in [
        "Lost task 0.3 in stage 1.0 (TID 7) (ip-10-0-0-7.ec2.internal executor 1): ExecutorLostFailure (executor 1 exited)",
        "FetchFailed(BlockManagerId(1, ip-10-0-0-7.ec2.internal, 7337, None), shuffleId=0)",
        "FetchFailed(BlockManagerId(1, 10.0.0.7, 7337, None), shuffleId=0)",
    ] {
        assert_eq!(blame(words), Blame::Interruption, "{words}");
    }
    for words in [
        "exited with exitCode: -100.",
        "Container released on a *lost* node",
        "on a lost node",
    ] {
        assert_eq!(blame(words), Blame::Interruption, "{words}");
    }
    for words in [
        "failed 1 times due to AM Container c exited with exitCode: -1000. File does not exist: hdfs:///x.jar",
        "Job aborted due to stage failure: (ip-10-0-0-9.ec2.internal executor 2): ExecutorLostFailure",
        // Another host, whose name begins with the lost one's.
        "Job aborted due to stage failure: (ip-10-0-0-71.ec2.internal executor 2): ExecutorLostFailure",
        "Job aborted due to stage failure: FetchFailed(null, shuffleId=0)",
        "Job aborted due to stage failure: org.apache.hadoop.hdfs.BlockMissingException",
        "User class threw exception: java.net.ConnectException: Connection refused",
        "exit code 1",
    ] {
        assert_eq!(blame(words), Blame::NotToBeTold, "{words}");
    }
    for words in [
        "Job aborted due to stage failure: (ip-10-0-0-7.ec2.internal executor 1): java.lang.ArithmeticException",
        "User class threw exception: org.apache.spark.sql.AnalysisException",
        "User application exited with status 1",
    ] {
        assert_eq!(blame(words), Blame::Itself, "{words}");
    }
}
