//! What is a price of the loss that counts, and what came before it or of the application's own accord.

use super::*;

fn not_replaced() -> Replacement {
    Replacement::NotReplaced {
        why: "none came".into(),
    }
}

/// Another instance, on a host with nothing of the application.
fn stranger(gone: i64, replacement: Replacement) -> (Interrupted, Replacement) {
    let one = Interrupted {
        instance_id: "i-5".into(),
        private_dns_name: Some("ip-10-0-0-5.ec2.internal".into()),
        ..interrupted(Some(gone))
    };
    (one, replacement)
}

/// A task attempt that failed by the program's own error, where nothing had gone.
fn own_error() -> FailedTask {
    FailedTask {
        stage_id: 2,
        index: 77,
        host: OTHER_HOST.into(),
        finished_at_ms: 402_000,
        reason: "ExceptionFailure".into(),
        words: "java.lang.ArithmeticException: / by zero".into(),
        ..FailedTask::default()
    }
}

fn given_up(completed: i64) -> Job {
    let words = "Job aborted due to stage failure: Task 77 in stage 2.0 failed 4 times";
    job(1, false, Some(words), completed)
}

#[test]
fn capacity_that_was_lost_during_the_run_is_missed_whatever_was_on_it() {
    let mut case = Case::new();
    case.interrupted.push(stranger(300, not_replaced()));
    let judgement = case.judge();
    assert_eq!(judgement.verdict, Verdict::Degraded);
    assert_eq!(judgement.reasons, ["i-5 was not replaced: none came."]);
    for gone in [10, 990] {
        case.interrupted[1] = stranger(gone, not_replaced());
        assert_eq!(
            case.verdict(),
            Verdict::Survived,
            "gone at {gone}, before or after the run"
        );
    }
}

#[test]
fn a_price_is_told_with_what_is_not_known_besides() {
    let mut case = Case::new();
    case.interrupted[0].1 = not_replaced();
    let unknown = Replacement::Unknown {
        why: "nobody looked".into(),
    };
    case.interrupted.push(stranger(500, unknown));
    case.output_lacks = Some("its marker");
    let judgement = case.judge();
    assert_eq!(
        judgement.reasons,
        [
            "i-7 was not replaced: none came.",
            "The output lacks its marker.",
            "whether i-5 was replaced is not known: nobody looked.",
        ]
    );
    assert!(judgement.sentence.starts_with("The job completed, at a price: "));
    assert!(judgement.sentence.ends_with("i-7 was not replaced: none came."));
}

#[test]
fn the_first_loss_is_the_first_that_took_something_of_the_application() {
    let mut case = Case::new();
    case.interrupted.push(stranger(100, replaced(100)));
    case.logs[0].jobs.insert(0, given_up(399));
    assert_eq!(
        case.verdict(),
        Verdict::Survived,
        "i-5 had nothing of it, and i-7 had not gone"
    );
    case.logs[0].jobs[0] = given_up(400);
    assert_eq!(case.verdict(), Verdict::Degraded);
    // Of two that count it is the earlier one.
    case.interrupted[1] = (interrupted(Some(380)), replaced(380));
    case.logs[0].jobs[0] = given_up(390);
    assert_eq!(case.verdict(), Verdict::Degraded);
}

#[test]
fn a_job_that_failed_by_its_own_tasks_is_no_price_of_the_loss() {
    let with = |tasks: Vec<FailedTask>, failed: Job| {
        let mut case = Case::new();
        case.logs[0].jobs.insert(0, failed);
        case.logs[0].failed_tasks = tasks;
        case.judge()
    };
    let judgement = with(vec![own_error(), own_error()], given_up(500));
    assert_eq!(judgement.verdict, Verdict::Survived);
    let lost = FailedTask {
        host: HOST.into(),
        reason: "ExecutorLostFailure".into(),
        ..own_error()
    };
    let judgement = with(vec![lost], given_up(500));
    assert_eq!(
        judgement.reasons,
        ["A Spark job inside the application failed, though the step completed."]
    );
    // Tasks that fail and succeed at the next attempt fail no job.
    assert_eq!(
        with(vec![own_error()], job(1, true, None, 500)).verdict,
        Verdict::Survived
    );
}

#[test]
fn beginning_again_is_told_by_how_often_and_only_of_an_application_that_did() {
    let attempt = |number: &str, began: i64| SparkRun {
        attempt_id: Some(number.into()),
        started_at_ms: ms(began),
        ..log()
    };
    let judged = |logs: Vec<SparkRun>| {
        let mut case = Case::new();
        case.logs = logs;
        case.judge()
    };
    let again = judged(vec![attempt("2", 400)]);
    assert_eq!(
        again.reasons,
        ["The application had to begin again: YARN made 2 attempts."]
    );
    assert_eq!(judged(vec![attempt("1", 400)]).verdict, Verdict::Survived);
    assert_eq!(judged(vec![attempt("3", 420)]).verdict, Verdict::Degraded);
    // An attempt that breaks off does not show that it would have failed by itself, whatever had failed in it.
    let failing = |ended: Option<i64>, tasks: Vec<FailedTask>| SparkRun {
        ended_at_ms: ended.and_then(ms),
        jobs: vec![given_up(405)],
        failed_tasks: tasks,
        ..log()
    };
    let own = vec![own_error(), own_error()];
    let second = SparkRun {
        executors: Vec::new(),
        ..attempt("2", 420)
    };
    let verdict = |first: SparkRun| judged(vec![first, second.clone()]).verdict;
    assert_eq!(verdict(failing(Some(410), own.clone())), Verdict::Survived);
    assert_eq!(verdict(failing(None, own)), Verdict::Degraded);
    let lost = FailedTask {
        host: HOST.into(),
        reason: "ExecutorLostFailure".into(),
        ..own_error()
    };
    assert_eq!(verdict(failing(Some(410), vec![lost])), Verdict::Degraded);
}

#[test]
fn missing_capacity_and_a_missing_marker_are_prices() {
    let mut case = Case::new();
    case.interrupted[0].1 = Replacement::NotReplaced {
        why: "none came".into(),
    };
    assert_eq!(case.verdict(), Verdict::Degraded);
    let mut case = Case::new();
    case.output_lacks = Some("a _SUCCESS marker of this run");
    assert_eq!(case.verdict(), Verdict::Degraded);
    let mut case = Case::new();
    case.output_unseen = Some("s3://b/out/");
    let judgement = case.judge();
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(judgement.sentence.contains("s3://b/out/"), "{}", judgement.sentence);
    let mut case = Case::new();
    case.interrupted[0].1 = Replacement::Unknown {
        why: "nobody looked".into(),
    };
    assert_eq!(case.verdict(), Verdict::Inconclusive);
    let mut case = Case::new();
    case.interrupted[0].1 = Replacement::NotExpected {
        excuse: Excuse::JobEnded,
        why: "too soon".into(),
    };
    assert_eq!(case.verdict(), Verdict::Survived);
}
