//! Each rule of the verdict, by the smallest facts that it decides.

mod endings;
mod failures;
mod prices;
mod sentences;
mod traces;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use spark_log::{Executor, FailedTask, FetchFailure, Job, Removal, SparkRun, StageAttempt};

use super::*;
use crate::application::Open;
use crate::bearing::Loss;
use crate::cluster::Role;
use crate::interruption::{Cause, Interrupted};
use crate::replacement::{Excuse, Replacement};

const HOST: &str = "ip-10-0-0-7.ec2.internal";
const OTHER_HOST: &str = "ip-10-0-0-9.ec2.internal";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn ms(seconds: i64) -> Option<i64> {
    Some(seconds * 1000)
}

/// A step that ran from 0 to 1000.
fn step(state: &str) -> Step {
    Step {
        id: "s-1".into(),
        name: "job".into(),
        state: state.into(),
        created_at: None,
        started_at: Some(at(0)),
        ended_at: Some(at(1000)),
        jar: "command-runner.jar".into(),
        args: vec!["spark-submit".into(), "x.py".into()],
        properties: BTreeMap::new(),
        failure: None,
        log_uri: None,
        application_ids: Vec::new(),
    }
}

/// An application from 20 to 980 with an executor on [`HOST`] that fell at 400, and one elsewhere.
fn log() -> SparkRun {
    let executor = |id: &str, host: &str| Executor {
        id: id.into(),
        host: host.into(),
        added_at_ms: ms(30),
        tasks_successful: 10,
        ..Executor::default()
    };
    SparkRun {
        application_id: Some("application_1_0001".into()),
        attempt_id: Some("1".into()),
        started_at_ms: ms(20),
        ended_at_ms: ms(980),
        driver_host: Some("ip-10-0-0-1.ec2.internal".into()),
        executors: vec![
            Executor {
                removed_at_ms: ms(400),
                removal: Some(Removal::WorkerLost),
                ..executor("1", HOST)
            },
            executor("2", OTHER_HOST),
        ],
        jobs: vec![job(0, true, None, 970)],
        ..SparkRun::default()
    }
}

fn job(job_id: i64, succeeded: bool, failure: Option<&str>, completed: i64) -> Job {
    Job {
        job_id,
        succeeded: Some(succeeded),
        failure: failure.map(str::to_owned),
        completed_at_ms: ms(completed),
        ..Job::default()
    }
}

/// An instance on [`HOST`] that went at `gone`, replaced a minute later.
fn interrupted(gone: Option<i64>) -> Interrupted {
    Interrupted {
        instance_id: "i-7".into(),
        role: Some(Role::Task),
        instance_type: None,
        private_dns_name: Some(HOST.into()),
        pool_id: Some("if-1".into()),
        units: 4,
        noticed_at: gone.map(|gone| at(gone - 120)),
        warnings: 1,
        latency_ms: None,
        terminated_at: gone.map(at),
        terminated_told_by: None,
        cause: Cause::Experiment {
            experiment_id: "EXP1".into(),
        },
        spot_status: None,
        emr_reason: None,
    }
}

fn replaced(gone: i64) -> Replacement {
    Replacement::Replaced {
        by: vec!["i-8".into()],
        listed_at: None,
        ready_at: at(gone + 60),
        seconds_after_notice: Some(180),
        seconds_after_loss: 60,
    }
}

/// What a test changes of the plain case: a completed step that lost one of its executors at 400.
struct Case {
    step: Step,
    logs: Vec<SparkRun>,
    interrupted: Vec<(Interrupted, Replacement)>,
    doubt: Option<&'static str>,
    final_status: Option<&'static str>,
    diagnostics: Option<&'static str>,
    withheld: Option<&'static str>,
    output_lacks: Option<&'static str>,
    output_unseen: Option<&'static str>,
    open: Open,
    no_experiment: Option<&'static str>,
}

impl Case {
    fn new() -> Self {
        Self {
            step: step("COMPLETED"),
            logs: vec![log()],
            interrupted: vec![(interrupted(Some(400)), replaced(400))],
            doubt: None,
            final_status: None,
            diagnostics: None,
            output_lacks: None,
            output_unseen: None,
            open: Open::default(),
            withheld: None,
            no_experiment: None,
        }
    }

    fn judge(&self) -> Judgement {
        let application = (!self.logs.is_empty()).then_some(Application { attempts: &self.logs });
        let run = Run::of(&self.step, application, self.open).unwrap();
        let interruptions: Vec<InterruptionFacts> = self
            .interrupted
            .iter()
            .map(|(one, replacement)| InterruptionFacts {
                interrupted: one.clone(),
                loss: Loss::weigh(one, &run, application),
                replacement: replacement.clone(),
            })
            .collect();
        judge(&Facts {
            step: &self.step,
            completed_doubt: self.doubt,
            run: Some(&run),
            interruptions: &interruptions,
            application,
            final_status: self.final_status,
            diagnostics: self.diagnostics,
            output_lacks: self.output_lacks,
            output_unseen: self.output_unseen,
            withheld: self.withheld,
            no_experiment: self.no_experiment,
        })
    }

    fn verdict(&self) -> Verdict {
        self.judge().verdict
    }
}

#[test]
fn a_job_that_ends_well_though_it_lost_an_executor_survived() {
    let judgement = Case::new().judge();
    assert_eq!(judgement.verdict, Verdict::Survived);
    assert!(judgement.reasons[1].contains("executor 1 on i-7"), "{judgement:?}");
    let mut without_log = Case::new();
    without_log.logs.clear();
    assert_eq!(without_log.verdict(), Verdict::Survived);
}

#[test]
fn what_went_before_or_after_the_applications_own_run_shows_nothing() {
    // The step had begun at 0 and ended at 1000; its application ran from 20 to 980.
    for gone in [Some(10), Some(985), None] {
        let mut case = Case::new();
        case.logs[0].executors[0].removed_at_ms = gone.and_then(ms);
        case.interrupted = vec![(interrupted(gone), replaced(gone.unwrap_or(0)))];
        assert_eq!(case.verdict(), Verdict::Inconclusive, "gone at {gone:?}");
    }
}

#[test]
fn by_the_steps_times_alone_a_loss_counts_only_when_the_application_must_have_been_running() {
    let told = |gone: i64, open: Open| {
        let mut case = Case::new();
        case.logs.clear();
        case.interrupted = vec![(interrupted(Some(gone)), replaced(gone))];
        case.open = open;
        case.judge()
    };
    let (serial, at_once) = (
        Open::default(),
        Open {
            begin: true,
            end: false,
        },
    );
    assert_eq!(told(400, serial).verdict, Verdict::Survived);
    assert_eq!(told(20, serial).verdict, Verdict::Inconclusive, "it may not have begun");
    assert_eq!(told(400, at_once).verdict, Verdict::Inconclusive, "it may have waited");
    assert!(told(400, at_once).sentence.contains("only the step's times"));
    let bearing = |gone: i64, open: Open| {
        let run = Run::of(&step("COMPLETED"), None, open).unwrap();
        Loss::weigh(&interrupted(Some(gone)), &run, None).bearing
    };
    assert_eq!(bearing(1005, serial), Bearing::AfterTheRun);
    let outlives = Open {
        begin: false,
        end: true,
    };
    assert_eq!(
        bearing(1005, outlives),
        Bearing::NotKnown,
        "a step that does not wait ends first"
    );
    assert_eq!(bearing(-5, at_once), Bearing::BeforeTheRun);
    // Its log knows better than the step.
    let mut logged = Case::new();
    logged.open = Open { begin: true, end: true };
    assert_eq!(logged.verdict(), Verdict::Survived);
}

#[test]
fn a_failure_after_a_loss_that_it_may_not_have_met_is_not_to_be_told() {
    let mut case = Case::new();
    case.logs.clear();
    case.step = step("FAILED");
    case.diagnostics = Some("AM Container exited with exitCode: -100. Container released on a *lost* node");
    assert_eq!(case.verdict(), Verdict::Failed);
    case.open.begin = true;
    let judgement = case.judge();
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(
        judgement.sentence.contains("not to be told; 1 interrupted instance"),
        "{judgement:?}"
    );
    case.diagnostics = Some("User application exited with status 1");
    let by_itself = case.judge();
    assert!(by_itself.sentence.contains("failed by itself"), "{by_itself:?}");
}

#[test]
fn an_instance_with_nothing_of_the_application_on_it_shows_nothing() {
    let mut case = Case::new();
    case.logs[0].executors.remove(0);
    let judgement = case.judge();
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(
        judgement.sentence.contains("with nothing of it"),
        "{}",
        judgement.sentence
    );
    // The driver there is enough, and so is shuffle output that somebody missed afterwards.
    case.logs[0].driver_host = Some(HOST.into());
    assert_eq!(case.verdict(), Verdict::Survived);
    let mut served = Case::new();
    served.logs[0].executors[0].removed_at_ms = ms(200);
    served.logs[0].executors[0].removal = Some(Removal::KilledByDriver);
    assert_eq!(served.verdict(), Verdict::Inconclusive);
    served.logs[0].stages.push(StageAttempt {
        stage_id: 1,
        completed_at_ms: ms(450),
        fetch_failed_from: Some(FetchFailure {
            host: HOST.into(),
            executor_id: "1".into(),
        }),
        ..StageAttempt::default()
    });
    assert_eq!(served.verdict(), Verdict::Survived);
}

#[test]
fn a_log_that_breaks_off_does_not_show_that_nothing_was_there() {
    let mut case = Case::new();
    case.logs[0].executors.remove(0);
    case.logs[0].ended_at_ms = None;
    assert_eq!(case.verdict(), Verdict::Survived);
}

#[test]
fn a_log_that_is_there_and_may_not_be_read_is_no_reason_to_call_it_survived() {
    let mut case = Case::new();
    case.logs.clear();
    case.withheld = Some("s3://b/log may not be read");
    let judgement = case.judge();
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(
        judgement.sentence.contains("s3://b/log may not be read"),
        "{}",
        judgement.sentence
    );
    // What is known to be a price stays one, and what failed has failed.
    case.interrupted[0].1 = Replacement::NotReplaced {
        why: "none came".into(),
    };
    assert_eq!(case.verdict(), Verdict::Degraded);
}

#[test]
fn an_executor_that_left_between_notice_and_loss_counts_and_one_that_left_before_does_not() {
    for removal in [Removal::Decommissioned, Removal::KilledByDriver] {
        let mut case = Case::new();
        case.logs[0].executors[0].removal = Some(removal);
        case.logs[0].executors[0].removed_at_ms = ms(330);
        assert_eq!(case.verdict(), Verdict::Survived);
        case.logs[0].executors[0].removed_at_ms = ms(270);
        assert_eq!(case.verdict(), Verdict::Inconclusive);
    }
}

#[test]
fn beginning_again_is_a_price_if_a_loss_came_before_it_and_the_first_attempt_had_not_failed_by_itself() {
    let second = |began: i64| SparkRun {
        attempt_id: Some("2".into()),
        started_at_ms: ms(began),
        ..log()
    };
    let mut case = Case::new();
    case.logs = vec![second(420)];
    assert_eq!(case.verdict(), Verdict::Degraded);
    // Had begun again before anything went.
    case.logs = vec![second(390)];
    assert_eq!(case.verdict(), Verdict::Survived);
    // The first attempt's own log shows why it failed.
    let own = FailedTask {
        stage_id: 2,
        index: 77,
        host: OTHER_HOST.into(),
        reason: "ExceptionFailure".into(),
        words: "java.lang.ArithmeticException: / by zero".into(),
        ..FailedTask::default()
    };
    let first = SparkRun {
        ended_at_ms: ms(410),
        jobs: vec![job(
            0,
            false,
            Some("Job aborted due to stage failure: Task 77 in stage 2.0 failed 4 times"),
            405,
        )],
        failed_tasks: vec![own.clone(), own],
        ..log()
    };
    let mut again = second(420);
    again.executors[0].added_at_ms = ms(430);
    case.logs = vec![first, again];
    assert_eq!(case.verdict(), Verdict::Survived);
}

#[test]
fn a_failed_spark_job_is_a_price_unless_it_was_cancelled_or_came_before_the_loss() {
    let with = |failed: Job| {
        let mut case = Case::new();
        case.logs[0].jobs.insert(0, failed);
        case.verdict()
    };
    let failure = Some("Job aborted due to stage failure: ShuffleMapStage 1 failed");
    assert_eq!(with(job(1, false, failure, 500)), Verdict::Degraded);
    assert_eq!(with(job(1, false, failure, 390)), Verdict::Survived);
    let cancelled = Job {
        cancelled: true,
        ..job(1, false, Some("Job 1 cancelled part of cancelled job group x"), 500)
    };
    assert_eq!(with(cancelled), Verdict::Survived);
}

#[test]
fn completed_is_not_enough_where_the_status_is_not_the_applications() {
    let mut case = Case::new();
    case.doubt = Some("the step runs bash, whose status is not its application's");
    assert_eq!(
        case.verdict(),
        Verdict::Inconclusive,
        "its program may have thrown after its last job"
    );
    case.logs[0].exit_code = Some(0);
    assert_eq!(
        case.verdict(),
        Verdict::Inconclusive,
        "the shutdown hook stops the context of a program that threw, with 0"
    );
    case.logs[0].exit_code = None;
    case.logs[0].ended_at_ms = None;
    assert_eq!(case.verdict(), Verdict::Inconclusive, "its log breaks off");
    case.final_status = Some("SUCCEEDED");
    assert_eq!(case.verdict(), Verdict::Survived, "YARN says that it succeeded");
    case.final_status = None;
    case.logs.clear();
    assert_eq!(case.verdict(), Verdict::Inconclusive, "no log");
    let mut failing = Case::new();
    failing.doubt = case.doubt;
    failing.logs[0].exit_code = Some(1);
    failing.logs[0].driver_host = None;
    assert_eq!(
        failing.verdict(),
        Verdict::Inconclusive,
        "exit code 1, by nobody knows what"
    );
    failing.diagnostics = Some("AM Container exited with exitCode: -100. Container released on a *lost* node");
    assert_eq!(failing.verdict(), Verdict::Failed);
}
