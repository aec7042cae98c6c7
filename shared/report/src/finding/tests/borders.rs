//! What the rules on the application and its shuffle need to fire, one fact at a time: both sides of each limit, and facts
//! that are not there.

use chrono::TimeDelta;
use rules::bearing::Bearing;
use rules::cause::{Blame, Failure};
use rules::cluster::Market;

use super::{Change, again, assert_fires, finding, set, spark};
use crate::{AttemptRow, Missing, Report};

fn price(id: &str, change: impl Fn(&mut Report)) -> Option<String> {
    finding(id, change).expect("it fires").price
}

fn failed(report: &mut Report, blame: Blame) {
    spark(report).attempts = 2;
    report.judgement.failure = Some(Failure {
        blame,
        words: None,
        chain: Vec::new(),
    });
}

#[test]
fn an_application_began_again_by_a_loss_where_the_verdict_or_its_failure_says_so() {
    assert_fires(
        "application-began-again",
        &[
            ("it failed by a loss", true, |r| failed(r, Blame::Interruption)),
            ("it failed by itself", false, |r| failed(r, Blame::Itself)),
            ("why it failed is not known", false, |r| failed(r, Blame::NotToBeTold)),
            ("its only attempt failed by a loss", false, |r| {
                failed(r, Blame::Interruption);
                spark(r).attempts = 1;
            }),
        ],
    );
    assert_fires(
        "application-attempts-used-up",
        &[
            ("it failed by a loss", true, |r| failed(r, Blame::Interruption)),
            ("it failed by itself", false, |r| failed(r, Blame::Itself)),
            ("two of one that is allowed", true, |r| {
                again(r);
                set(r, "spark.yarn.maxAppAttempts", "1");
            }),
            ("one of one that is allowed", false, |r| {
                set(r, "spark.yarn.maxAppAttempts", "1");
            }),
        ],
    );
}

#[test]
fn what_began_again_costs_the_time_until_its_last_attempt_began() {
    let began = |seconds: i64| {
        price("application-began-again", |r| {
            again(r);
            let started = spark(r).started_at.expect("the log says it");
            r.run.as_mut().expect("it is known").began_at = started - TimeDelta::seconds(seconds);
        })
    };
    assert_eq!(began(0), None);
    assert_eq!(
        began(1).as_deref(),
        Some("1 s of run time before the last attempt began.")
    );
}

#[test]
fn a_driver_is_looked_for_in_the_last_attempt_and_in_those_before_it() {
    let evidence = |change: Change| finding("driver-on-spot", change).map(|finding| finding.evidence);
    assert_eq!(
        evidence(|r| spark(r).driver_was_interrupted = Some(true)).as_deref(),
        Some("The driver was on ip-10-0-0-51.us-sim-1.compute.internal, which was interrupted.")
    );
    assert_eq!(
        evidence(|r| {
            spark(r).driver_market = Some(Market::Spot);
            spark(r).driver_instance_id = None;
        })
        .as_deref(),
        Some("The driver was on ip-10-0-0-51.us-sim-1.compute.internal, a Spot instance that this drill did not hit.")
    );
    let earlier = |interrupted| AttemptRow {
        attempt: None,
        started_at: None,
        ended_at: None,
        driver_host: None,
        driver_was_interrupted: interrupted,
        task_time_ms: 0,
    };
    let after = |interrupted| {
        let told = finding("driver-on-spot", |r| spark(r).earlier.push(earlier(interrupted)));
        told.map(|finding| finding.evidence)
    };
    assert_eq!(
        after(Some(true)).as_deref(),
        Some("The driver of attempt 1 was on an instance, which was interrupted.")
    );
    assert_eq!((after(Some(false)), after(None)), (None, None));
}

#[test]
fn without_an_event_log_a_step_that_ran_to_an_end_is_told_why_and_one_that_was_cancelled_is_not() {
    fn without(report: &mut Report, what: &str, state: &str) {
        report.spark = None;
        report.step.state = state.into();
        report.missing.push(Missing {
            what: what.into(),
            why: "spark.eventLog.enabled is false".into(),
        });
    }
    assert_fires(
        "event-log-missing",
        &[
            ("it completed", true, |r| without(r, "event log", "COMPLETED")),
            ("it failed", true, |r| without(r, "event log", "FAILED")),
            ("it was cancelled", false, |r| without(r, "event log", "CANCELLED")),
            ("something else is missing", false, |r| {
                without(r, "spot request status", "COMPLETED")
            }),
        ],
    );
    let advised = |why: &str| {
        let told = finding("event-log-missing", |r| {
            without(r, "event log", "FAILED");
            r.missing.last_mut().expect("it is there").why = why.into();
        });
        let told = told.expect("it fires");
        (
            told.settings.len(),
            told.advice.contains("KmsKeyArns"),
            told.advice.contains("EventLogBucketArns"),
        )
    };
    assert_eq!(advised("spark.eventLog.enabled is false"), (2, false, true));
    assert_eq!(advised("kms:Decrypt was refused"), (0, true, false), "its key alone");
    for refused in [
        "AccessDenied",
        "it is not authorized to read",
        "the bucket may not be read",
    ] {
        assert_eq!(advised(refused), (0, true, true), "{refused}");
    }
}

#[test]
fn the_slowest_stage_that_completed_is_told_to_have_smaller_tasks() {
    let settings = |seconds: u64| {
        let told = finding("tasks-longer-than-notice", |r| {
            let stage = &mut spark(r).stages[0];
            (stage.tasks, stage.task_time_ms) = (10, 10 * seconds * 1_000);
        });
        told.map(|finding| finding.settings.join(" "))
    };
    assert_eq!(settings(120), None, "a notice gives two minutes");
    // Tasks of which each takes less than a minute: three of some forty seconds, four of three quarters of a minute.
    assert_eq!(settings(121).as_deref(), Some("spark.sql.shuffle.partitions=30"));
    assert_eq!(settings(179).as_deref(), Some("spark.sql.shuffle.partitions=30"));
    assert_eq!(settings(180).as_deref(), Some("spark.sql.shuffle.partitions=40"));
}

#[test]
fn what_lost_work_cost_is_said_as_far_as_there_is_any() {
    fn no_run_time(report: &mut Report) {
        let losses = report.interruptions.iter_mut();
        losses.for_each(|one| one.loss.bearing = Bearing::NothingThere);
    }
    fn task_time(report: &mut Report, ms: u64) {
        spark(report).lost_work.recomputed_ms = ms;
    }
    let told = |change: Change| price("stages-ran-again", change);
    assert_eq!(told(|r| task_time(r, 999)).as_deref(), Some("56 s of run time."));
    assert_eq!(
        told(|r| task_time(r, 1_000)).as_deref(),
        Some("56 s of run time, 1 s of task time.")
    );
    assert_eq!(told(no_run_time).as_deref(), Some("14 min of task time."));
    assert_eq!(
        told(|r| {
            no_run_time(r);
            task_time(r, 999);
        }),
        None
    );
}

#[test]
fn a_stage_ran_again_by_a_loss_only_if_there_was_one_while_the_job_ran() {
    fn all(report: &mut Report, bearing: Bearing) {
        report
            .interruptions
            .iter_mut()
            .for_each(|one| one.loss.bearing = bearing);
    }
    assert_fires(
        "stages-ran-again",
        &[
            ("all went after the run", false, |r| all(r, Bearing::AfterTheRun)),
            ("one went while it ran", true, |r| {
                all(r, Bearing::AfterTheRun);
                r.interruptions[0].loss.bearing = Bearing::Counts;
            }),
            ("none was tried again", false, |r| spark(r).stage_attempts_again = 0),
        ],
    );
    let evidence = |again, tasks| {
        finding("stages-ran-again", |r| {
            set(r, "spark.shuffle.service.enabled", "false");
            spark(r).stage_attempts_again = again;
            spark(r).lost_work.recomputed_tasks = tasks;
        })
        .map(|finding| finding.evidence)
    };
    assert_eq!(evidence(1, 0).as_deref(), Some("A stage was tried again."));
    assert_eq!(
        evidence(2, 1).as_deref(),
        Some("Stages were tried again twice; 1 task whose output was lost ran again.")
    );
}

#[test]
fn much_is_repeated_of_what_there_was_alone() {
    fn of(report: &mut Report, lost: u64, total: u64) {
        spark(report).lost_work = spark_log::LostWork {
            failed_attempts_ms: lost,
            total_task_time_ms: total,
            ..spark_log::LostWork::default()
        };
    }
    assert_fires(
        "much-work-repeated",
        &[
            ("no task ended", false, |r| of(r, 0, 0)),
            ("19.9 %", false, |r| of(r, 199, 1_000)),
            ("20 %", true, |r| of(r, 200, 1_000)),
        ],
    );
    let told = finding("much-work-repeated", |r| of(r, 61_500, 123_000)).expect("it fires");
    assert_eq!(told.evidence, "1 min 1 s of 2 min 3 s of task time, 50 %.");
}

#[test]
fn handing_blocks_over_is_advised_by_master_service_and_version() {
    let older = "This run's Spark is older than 3.4 and does not hand blocks over on YARN.";
    let service_off = "spark.shuffle.service.enabled=false";
    // Master, shuffle service, version; is it too old, and is the service to be turned off?
    for (master, service, version, is_old, is_off) in [
        ("yarn", "true", "3.3.9-amzn-1", true, false),
        ("yarn", "true", "3.4.0-amzn-0", false, true),
        ("yarn", "false", "3.4.0", false, false),
        ("yarn-cluster", "true", "4.0.0", false, true),
        ("k8s://https://host", "true", "3.3.9", false, false),
    ] {
        let told = finding("stages-ran-again", |r| {
            set(r, "spark.master", master);
            set(r, "spark.shuffle.service.enabled", service);
            spark(r).version = Some(version.into());
        });
        let told = told.expect("it fires");
        assert_eq!(
            told.advice.contains(older),
            is_old,
            "{master} {version}: {}",
            told.advice
        );
        let settings = told.settings.join(" ");
        assert_eq!(settings.contains(service_off), is_off, "{master} {service}: {settings}");
    }
    // Without a setting Spark on EMR runs on YARN.
    let unset = finding("stages-ran-again", |r| {
        spark(r).settings.remove("spark.master");
        spark(r).version = Some("3.3.0".into());
    });
    assert!(unset.expect("it fires").advice.contains(older));
}

#[test]
fn a_stage_is_close_to_its_end_one_failure_before_it_and_never_at_its_first_attempt() {
    fn attempts(report: &mut Report, statuses: &[&str]) {
        for (attempt, status) in statuses.iter().enumerate() {
            let mut row = spark(report).stages[0].clone();
            (row.stage_id, row.attempt, row.status) = (9, attempt as i64, (*status).into());
            spark(report).stages.push(row);
        }
    }
    assert_fires(
        "stage-attempts-nearly-used-up",
        &[
            ("three of four failed", true, |r| {
                attempts(r, &["FAILED", "FAILED", "FAILED", "COMPLETE"])
            }),
            ("two of four failed", false, |r| {
                attempts(r, &["FAILED", "FAILED", "COMPLETE", "COMPLETE"])
            }),
            ("the first of two allowed failed, and no other came", false, |r| {
                attempts(r, &["FAILED"]);
                set(r, "spark.stage.maxConsecutiveAttempts", "2");
            }),
            ("the first of two allowed failed, and another came", true, |r| {
                attempts(r, &["FAILED", "COMPLETE"]);
                set(r, "spark.stage.maxConsecutiveAttempts", "2");
            }),
        ],
    );
}
