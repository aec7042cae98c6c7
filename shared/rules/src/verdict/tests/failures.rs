//! What a job that failed shows, by what its failure is traced to.

use super::*;

#[test]
fn a_failure_is_laid_to_the_interruption_only_by_a_chain_that_leads_there() {
    let failing = |reason: &str, host: &str, words: &str, times: usize| {
        let mut case = Case::new();
        case.step.state = "FAILED".into();
        let task = FailedTask {
            stage_id: 2,
            index: 77,
            host: host.into(),
            finished_at_ms: 402_000,
            reason: reason.into(),
            words: words.into(),
            ..FailedTask::default()
        };
        case.logs[0].failed_tasks = vec![task; times];
        let words = format!("Job aborted due to stage failure: Task 77 in stage 2.0 failed {times} times");
        case.logs[0].jobs = vec![job(0, false, Some(&words), 900)];
        case.verdict()
    };
    assert_eq!(failing("ExecutorLostFailure", HOST, "lost node", 1), Verdict::Failed);
    assert_eq!(
        failing("ExecutorLostFailure", OTHER_HOST, "out of memory", 4),
        Verdict::Inconclusive
    );
    assert_eq!(
        failing("ExceptionFailure", OTHER_HOST, "/ by zero", 4),
        Verdict::Inconclusive
    );
    let mut silent = Case::new();
    silent.step.state = "FAILED".into();
    silent.logs.clear();
    let judgement = silent.judge();
    assert_eq!(judgement.failure.unwrap().blame, Blame::NotToBeTold);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
}

#[test]
fn a_stage_given_up_for_fetches_from_lost_nodes_failed_by_the_interruption() {
    let given_up = |hosts: &[&str]| {
        let mut case = Case::new();
        case.step.state = "FAILED".into();
        let attempts = hosts.iter().map(|host| StageAttempt {
            stage_id: 3,
            fetch_failed_from: Some(FetchFailure {
                host: (*host).into(),
                executor_id: "1".into(),
            }),
            ..StageAttempt::default()
        });
        case.logs[0].stages = attempts.collect();
        let words = "Job aborted due to stage failure: ResultStage 3 (save) has failed the maximum allowable number of times: 4";
        case.logs[0].jobs = vec![job(0, false, Some(words), 900)];
        case.judge().failure.unwrap().blame
    };
    assert_eq!(given_up(&[HOST, HOST]), Blame::Interruption);
    assert_eq!(given_up(&[OTHER_HOST]), Blame::Itself);
    assert_eq!(given_up(&[HOST, OTHER_HOST]), Blame::NotToBeTold);
    assert_eq!(given_up(&[]), Blame::NotToBeTold, "no attempt of it says from where");
}

#[test]
fn what_failed_before_the_first_loss_failed_by_itself() {
    let mut case = Case::new();
    case.step.state = "FAILED".into();
    case.logs[0].jobs = vec![job(
        0,
        false,
        Some("Job aborted due to stage failure: Task 1 in stage 0.0 failed 4 times: ExecutorLostFailure"),
        390,
    )];
    let judgement = case.judge();
    assert_eq!(judgement.failure.as_ref().unwrap().blame, Blame::Itself);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
}

#[test]
fn a_driver_that_went_with_its_node_failed_by_the_interruption() {
    let mut case = Case::new();
    case.step.state = "FAILED".into();
    case.logs[0].driver_host = Some(HOST.into());
    case.logs[0].ended_at_ms = None;
    case.logs[0].jobs.clear();
    assert_eq!(case.verdict(), Verdict::Failed);
}

#[test]
fn a_step_that_goes_with_its_reclaimed_primary_node_failed_by_that() {
    for state in ["FAILED", "CANCELLED", "INTERRUPTED"] {
        let mut case = Case::new();
        case.step.state = state.into();
        case.logs.clear();
        case.interrupted[0].0.role = Some(Role::Master);
        assert_eq!(case.verdict(), Verdict::Failed, "{state}");
    }
    let mut cancelled = Case::new();
    cancelled.step.state = "CANCELLED".into();
    assert_eq!(cancelled.verdict(), Verdict::Inconclusive);
}

#[test]
fn one_loss_explains_one_failed_attempt_and_not_two() {
    let words = |times: u32| match times {
        1 => {
            "Application application_1_0001 failed 1 times due to AM Container c exited with exitCode: -100. lost node"
        }
        _ => {
            "Application application_1_0001 failed 2 times due to AM Container c exited with exitCode: -100. lost node"
        }
    };
    let mut case = Case::new();
    case.step.state = "FAILED".into();
    case.logs.clear();
    case.diagnostics = Some(words(1));
    assert_eq!(case.verdict(), Verdict::Failed);
    case.diagnostics = Some(words(2));
    assert_eq!(case.verdict(), Verdict::Inconclusive);
    case.interrupted.push((interrupted(Some(700)), replaced(700)));
    assert_eq!(case.verdict(), Verdict::Failed);
}

#[test]
fn a_failure_after_a_notice_that_fell_due_is_not_laid_to_the_job_though_nobody_saw_the_node_go() {
    let words =
        "Application application_1_0001 failed 1 times due to AM Container c exited with exitCode: -100. lost node";
    let judge = |noticed: i64, diagnostics| {
        let mut case = Case::new();
        case.step.state = "FAILED".into();
        case.logs.clear();
        case.diagnostics = diagnostics;
        case.interrupted[0].0.noticed_at = Some(at(noticed));
        case.interrupted[0].0.terminated_at = None;
        let judgement = case.judge();
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
        judgement.failure.unwrap().blame
    };
    let own = Some("User application exited with status 1");
    assert_eq!(judge(870, Some(words)), Blame::NotToBeTold);
    assert_eq!(judge(870, None), Blame::NotToBeTold);
    // Due after the end: it cannot have been that one, but a node was lost.
    assert_eq!(judge(890, own), Blame::Itself);
    assert_eq!(judge(890, Some(words)), Blame::NotToBeTold);
}

#[test]
fn what_went_after_a_failed_attempts_end_may_have_gone_with_the_next_attempt() {
    let gone_at_700 = |change: &dyn Fn(&mut SparkRun)| {
        let mut case = Case::new();
        case.step.state = "FAILED".into();
        // The log of an attempt that failed by itself at 500; the step goes on until 1000.
        case.logs[0].ended_at_ms = ms(500);
        case.logs[0].jobs = vec![job(0, false, Some("java.io.IOException: disk full"), 490)];
        change(&mut case.logs[0]);
        case.interrupted = vec![(interrupted(Some(700)), replaced(700))];
        case.judge().failure.unwrap().blame
    };
    let set = |key: &'static str, value: &'static str| {
        move |run: &mut SparkRun| drop(run.settings.insert(key.into(), value.into()))
    };
    assert_eq!(gone_at_700(&|_| ()), Blame::NotToBeTold);
    assert_eq!(gone_at_700(&set("spark.yarn.maxAppAttempts", "1")), Blame::Itself);
    assert_eq!(gone_at_700(&set("spark.submit.deployMode", "client")), Blame::Itself);
    assert_eq!(gone_at_700(&|run| run.attempt_id = Some("2".into())), Blame::Itself);
    // Its end is the step's: nothing came after it.
    assert_eq!(gone_at_700(&|run| run.ended_at_ms = ms(950)), Blame::Itself);
}
