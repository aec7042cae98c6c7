//! When the run was that counts, and what of an application was on a host, by the smallest logs.

mod room;

use std::collections::BTreeMap;

use spark_log::{FetchFailure, Job, StageAttempt};

use super::*;

const HOST: &str = "ip-10-0-0-7.ec2.internal";
const OTHER_HOST: &str = "ip-10-0-0-9.ec2.internal";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn ms(seconds: i64) -> Option<i64> {
    Some(seconds * 1000)
}

/// A step that ran from 0 to 1000.
fn step() -> Step {
    Step {
        id: "s-1".into(),
        name: "job".into(),
        state: "COMPLETED".into(),
        created_at: None,
        started_at: Some(at(0)),
        ended_at: Some(at(1000)),
        jar: "command-runner.jar".into(),
        args: Vec::new(),
        properties: BTreeMap::new(),
        failure: None,
        log_uri: None,
        application_ids: Vec::new(),
    }
}

/// An attempt between two times, with its driver on a host that is neither [`HOST`] nor [`OTHER_HOST`].
fn attempt(number: &str, began: i64, ended: Option<i64>) -> SparkRun {
    SparkRun {
        attempt_id: Some(number.into()),
        started_at_ms: ms(began),
        ended_at_ms: ended.and_then(ms),
        driver_host: Some("ip-10-0-0-1.ec2.internal".into()),
        ..SparkRun::default()
    }
}

/// An executor on [`HOST`] that computed something.
fn executor(added: i64, removed: Option<i64>) -> Executor {
    Executor {
        id: "1".into(),
        host: HOST.into(),
        added_at_ms: ms(added),
        removed_at_ms: removed.and_then(ms),
        removal: removed.map(|_| Removal::WorkerLost),
        tasks_successful: 10,
        ..Executor::default()
    }
}

/// What of these attempts was on [`HOST`] when it went at 400.
fn held(attempts: &[SparkRun], noticed: Option<i64>) -> Vec<String> {
    Application { attempts }.held_on(HOST, noticed.map(at), at(400))
}

/// The same, of one attempt with this executor.
fn held_of(executor: Executor, noticed: Option<i64>) -> Vec<String> {
    let run = SparkRun {
        executors: vec![executor],
        ..attempt("1", 20, Some(980))
    };
    held(&[run], noticed)
}

fn job(succeeded: bool) -> Job {
    Job {
        succeeded: Some(succeeded),
        ..Job::default()
    }
}

#[test]
fn an_attempt_that_ended_more_than_a_minute_before_its_step_may_have_been_followed_by_another() {
    let may_go_on = |ended: i64| {
        let attempts = [attempt("1", 20, Some(ended))];
        let application = Application { attempts: &attempts };
        Run::of(&step(), Some(application), Open::default()).unwrap().may_go_on
    };
    assert!(may_go_on(939));
    assert!(
        !may_go_on(940),
        "YARN's last report and spark-submit's exit take so long"
    );
}

#[test]
fn an_attempt_that_did_well_is_the_last() {
    let may_go_on = |jobs: &[bool], exit_code: Option<i32>| {
        let attempts = [SparkRun {
            jobs: jobs.iter().map(|succeeded| job(*succeeded)).collect(),
            exit_code,
            ..attempt("1", 20, Some(500))
        }];
        let application = Application { attempts: &attempts };
        Run::of(&step(), Some(application), Open::default()).unwrap().may_go_on
    };
    assert!(!may_go_on(&[true, true], None));
    assert!(may_go_on(&[true, false], None), "one of its jobs failed");
    assert!(may_go_on(&[], None), "it had no job that could tell");
    assert!(!may_go_on(&[true, true], Some(0)));
    assert!(may_go_on(&[true, true], Some(1)), "its program failed after them");
    assert!(
        may_go_on(&[true, false], Some(0)),
        "its context was stopped, and that is all"
    );
}

#[test]
fn an_attempt_that_left_no_exit_code_is_not_the_last_where_its_step_did_nothing_but_wait_and_went_on() {
    let may_go_on = |program: &str, exit_code: Option<i32>, ended: i64| {
        let attempts = [SparkRun {
            jobs: vec![job(true)],
            exit_code,
            ..attempt("1", 20, Some(ended))
        }];
        let step = Step {
            args: vec![program.to_owned(), "s3://bucket/job.py".to_owned()],
            ..step()
        };
        let application = Application { attempts: &attempts };
        Run::of(&step, Some(application), Open::default()).unwrap().may_go_on
    };
    assert!(may_go_on("spark-submit", None, 500));
    assert!(!may_go_on("spark-submit", None, 990));
    assert!(!may_go_on("spark-submit", Some(0), 500), "it says that it did well");
    assert!(
        !may_go_on("my-program", None, 500),
        "which may do other things after it"
    );
}

#[test]
fn a_moment_is_inside_the_run_from_its_begin_until_before_its_end() {
    let run = Run::of(&step(), None, Open::default()).unwrap();
    let inside: Vec<i64> = [-1, 0, 999, 1000].into_iter().filter(|s| run.holds(at(*s))).collect();
    assert_eq!(inside, [0, 999]);
}

#[test]
fn by_its_steps_times_alone_an_application_of_a_completed_step_may_have_ended_a_minute_before() {
    let known = |run: &Run| -> Vec<i64> {
        [939, 940, 999, 1000]
            .into_iter()
            .filter(|s| run.is_known_at(at(*s)))
            .collect()
    };
    let by_step = Run::of(&step(), None, Open::default()).unwrap();
    assert_eq!(known(&by_step), [939, 1000]);
    let attempts = [attempt("1", 20, Some(1000))];
    let by_log = Run::of(&step(), Some(Application { attempts: &attempts }), Open::default()).unwrap();
    assert_eq!(known(&by_log), [939, 940, 999, 1000]);
    // What goes in a failed step's last seconds may be what failed it.
    let failed = Step {
        state: "FAILED".into(),
        ..step()
    };
    let by_step = Run::of(&failed, None, Open::default()).unwrap();
    assert_eq!(known(&by_step), [939, 940, 999, 1000]);
}

#[test]
fn an_application_that_may_have_waited_is_known_not_to_run_only_before_its_step_began() {
    let waits = Open {
        begin: true,
        end: false,
    };
    let run = Run::of(&step(), None, waits).unwrap();
    let known: Vec<i64> = [-1, 0, 500, 999]
        .into_iter()
        .filter(|s| run.is_known_at(at(*s)))
        .collect();
    assert_eq!(known, [-1]);
    // The second attempt's log is all there is.
    let attempts = [attempt("2", 310, Some(980))];
    let run = Run::of(&step(), Some(Application { attempts: &attempts }), waits).unwrap();
    assert_eq!((run.began_at, run.began_by), (at(0), Some(at(310))));
    assert!(!run.is_known_at(at(309)) && run.is_known_at(at(310)));
}

#[test]
fn an_application_may_outlive_a_step_that_ended_before_it_or_did_not_wait() {
    let outlives = |ended: Option<i64>, end: bool| {
        let attempts = [SparkRun {
            jobs: vec![job(true)],
            ..attempt("1", 20, ended)
        }];
        let open = Open { begin: false, end };
        let run = Run::of(&step(), Some(Application { attempts: &attempts }), open).unwrap();
        run.may_outlive(&step())
    };
    assert!(!outlives(Some(990), true), "its log says when it ended");
    assert!(!outlives(Some(1000), false));
    assert!(outlives(Some(1001), false));
    assert!(!outlives(None, false), "the step waited");
    assert!(outlives(None, true));
}

#[test]
fn of_a_step_that_did_not_wait_a_failed_attempt_may_have_been_followed_by_another_whenever_the_step_ended() {
    let goes_on = |succeeded, end| {
        let attempts = [SparkRun {
            jobs: vec![job(succeeded)],
            ..attempt("1", 20, Some(2000))
        }];
        let open = Open { begin: false, end };
        let run = Run::of(&step(), Some(Application { attempts: &attempts }), open).unwrap();
        run.may_go_on
    };
    assert!(goes_on(false, true) && !goes_on(true, true));
    assert!(!goes_on(false, false), "the step's end waited for the application's");
}

#[test]
fn an_application_is_whole_only_if_every_attempts_log_is_there_from_its_begin_and_nothing_of_it_was_skipped() {
    let is_whole = |change: &dyn Fn(&mut SparkRun)| {
        let mut attempts = [attempt("1", 20, Some(300)), attempt("2", 310, Some(980))];
        change(&mut attempts[0]);
        Application { attempts: &attempts }.is_whole()
    };
    assert!(is_whole(&|_| ()));
    assert!(!is_whole(&|run| {
        run.reading.skipped.insert("a line that is no JSON".into(), 1);
    }));
    assert!(!is_whole(&|run| run.reading.compacted = true));
    assert!(!is_whole(&|run| run.started_at_ms = None));
    assert!(
        !Application {
            attempts: &[attempt("2", 310, Some(980))]
        }
        .is_whole()
    );
    assert!(
        !Application {
            attempts: &[attempt("1", 310, None)]
        }
        .is_whole()
    );
}

#[test]
fn logs_tell_what_there_was_at_a_time_though_those_of_attempts_that_were_over_by_then_are_missing() {
    let tells = |attempts: &[SparkRun]| -> Vec<i64> {
        let told = |s: &i64| Application { attempts }.tells_of(at(*s));
        [10, 305, 310, 700].into_iter().filter(told).collect()
    };
    let (first, second) = (attempt("1", 20, Some(300)), attempt("2", 310, Some(980)));
    assert_eq!(tells(&[first.clone(), second.clone()]), [10, 305, 310, 700]);
    assert_eq!(tells(std::slice::from_ref(&second)), [310, 700]);
    assert_eq!(tells(&[first]), [10, 305, 310, 700], "it may have been the only one");
    assert_eq!(tells(&[attempt("3", 310, Some(980))]), [310, 700]);
    assert_eq!(tells(&[attempt("2", 310, None)]), [0; 0]);
    let mut skipped = [attempt("1", 20, Some(300)), second];
    skipped[0].reading.compacted = true;
    assert_eq!(tells(&skipped), [310, 700]);
    skipped[1].reading.compacted = true;
    assert_eq!(tells(&skipped), [0; 0]);
    // The second of three left no log: it may have run at any time between the two others.
    assert_eq!(
        tells(&[attempt("1", 20, Some(300)), attempt("3", 600, Some(980))]),
        [700]
    );
}

#[test]
fn a_host_is_lost_when_the_driver_first_loses_an_executor_together_with_it() {
    let lost_at = |fell: &[(i64, Removal)]| {
        let executors = fell.iter().map(|(removed, removal)| Executor {
            removal: Some(removal.clone()),
            ..executor(30, Some(*removed))
        });
        let attempts = [SparkRun {
            executors: executors.collect(),
            ..attempt("1", 20, Some(980))
        }];
        Application { attempts: &attempts }.lost_host_at(HOST, at(300), at(500))
    };
    for removal in [
        Removal::WorkerLost,
        Removal::Disconnected,
        Removal::ProcessLost,
        Removal::HeartbeatTimeout,
    ] {
        assert_eq!(lost_at(&[(420, removal.clone()), (410, removal)]), Some(at(410)));
    }
    // An executor can leave a node that stays.
    for removal in [
        Removal::KilledByDriver,
        Removal::Decommissioned,
        Removal::Preempted,
        Removal::MemoryExceeded,
        Removal::Exited { code: Some(1) },
    ] {
        assert_eq!(lost_at(&[(410, removal)]), None);
    }
    let kept: Vec<i64> = [299, 300, 500, 501]
        .into_iter()
        .filter(|removed| lost_at(&[(*removed, Removal::WorkerLost)]).is_some())
        .collect();
    assert_eq!(kept, [300, 500], "what fell before or after is another event's");
}

#[test]
fn a_driver_is_held_while_its_attempt_runs_and_no_later_one_has_begun() {
    let on_host = |run: SparkRun| SparkRun {
        driver_host: Some(HOST.into()),
        ..run
    };
    assert_eq!(held(&[on_host(attempt("1", 400, Some(401)))], None), ["driver"]);
    assert!(
        held(&[on_host(attempt("1", 401, None))], None).is_empty(),
        "it began later"
    );
    assert!(
        held(&[on_host(attempt("1", 20, Some(400)))], None).is_empty(),
        "it had ended"
    );
    // The first attempt's log breaks off; when the second one begins, the first one's driver is gone.
    let first = on_host(attempt("1", 20, None));
    assert!(held(&[first.clone(), attempt("2", 400, None)], None).is_empty());
    assert_eq!(held(&[first, attempt("2", 401, None)], None), ["driver"]);
    let second = on_host(attempt("2", 300, None));
    assert_eq!(held(&[attempt("1", 20, None), second], None), ["driver"]);
}

#[test]
fn an_executor_is_held_if_it_had_come_and_had_not_left_before_the_notice() {
    assert_eq!(held_of(executor(400, None), None), ["executor 1"]);
    assert!(
        held_of(executor(401, None), None).is_empty(),
        "its node has another's name"
    );
    assert_eq!(held_of(executor(30, Some(300)), Some(300)), ["executor 1"]);
    assert!(held_of(executor(30, Some(299)), Some(300)).is_empty());
    // Without a notice on record it was given two minutes before.
    assert_eq!(held_of(executor(30, Some(280)), None), ["executor 1"]);
    assert!(held_of(executor(30, Some(279)), None).is_empty());
}

#[test]
fn an_executor_goes_with_its_attempt_whose_log_does_not_say_so() {
    let first = SparkRun {
        executors: vec![executor(30, None)],
        ..attempt("1", 20, None)
    };
    let held_after = |began_again: i64| held(&[first.clone(), attempt("2", began_again, Some(980))], Some(280));
    assert_eq!(held_after(280), Vec::<String>::new(), "it was gone before the notice");
    assert_eq!(
        held_after(281),
        ["executor 1"],
        "it may have left because of the notice"
    );
}

#[test]
fn output_of_an_executor_that_had_left_is_held_if_somebody_missed_it_after_the_loss() {
    let with = |tasks_successful: u64, stage: StageAttempt| {
        let run = SparkRun {
            executors: vec![Executor {
                tasks_successful,
                ..executor(30, Some(100))
            }],
            stages: vec![stage],
            ..attempt("1", 20, Some(980))
        };
        held(&[run], Some(280))
    };
    let failed_fetch = |host: &str, completed: i64| StageAttempt {
        completed_at_ms: ms(completed),
        fetch_failed_from: Some(FetchFailure {
            host: host.into(),
            executor_id: "1".into(),
        }),
        ..StageAttempt::default()
    };
    let begun = |attempt: i64, submitted: i64| StageAttempt {
        attempt,
        submitted_at_ms: ms(submitted),
        ..StageAttempt::default()
    };
    let output = ["shuffle output of executor 1"];
    assert_eq!(with(10, failed_fetch(HOST, 400)), output);
    assert!(
        with(10, failed_fetch(HOST, 399)).is_empty(),
        "it failed before the loss"
    );
    assert!(with(10, failed_fetch(OTHER_HOST, 450)).is_empty(), "it was another's");
    assert!(with(0, failed_fetch(HOST, 450)).is_empty(), "it had computed nothing");
    assert_eq!(with(10, begun(1, 400)), output, "a stage was computed again");
    assert_eq!(with(10, begun(2, 450)), output);
    assert!(with(10, begun(1, 399)).is_empty(), "it had begun again before the loss");
    assert!(with(10, begun(0, 450)).is_empty(), "it is computed for the first time");
}
