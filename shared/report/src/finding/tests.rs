//! Each rule with a report that fires it and one that does not: the workshop's, changed in one place.

mod borders;
mod pools;
mod told;
mod words;

use rules::cluster::{ManagedScaling, Market};
use rules::drill::DrillState;
use rules::replacement::{Excuse, Replacement};

use super::{Finding, RULES, find};
use crate::sample::workshop;
use crate::{Baseline, Missing, OutputNamedBy, Report, Spark};

fn spark(report: &mut Report) -> &mut Spark {
    report.spark.as_mut().expect("the sample has Spark's side")
}

fn set(report: &mut Report, key: &str, value: &str) {
    spark(report).settings.insert(key.into(), value.into());
}

fn known_output(report: &mut Report) {
    report.output.as_mut().expect("the sample has an output").named_by = OutputNamedBy::Tag;
}

fn not_replaced(report: &mut Report) {
    report.interruptions[0].replacement = Replacement::NotReplaced {
        why: "none came".into(),
    };
}

fn again(report: &mut Report) {
    spark(report).attempts = 2;
    let reason = format!("{}: YARN made 2 attempts.", rules::verdict::BEGAN_AGAIN);
    report.judgement.reasons.push(reason);
}

fn task_pool(report: &mut Report) -> &mut rules::cluster::Pool {
    let pools = report.targets.at_start.as_mut().expect("the sample has pools");
    let task = pools.iter_mut().find(|pool| pool.role == rules::cluster::Role::Task);
    task.expect("the sample has a task fleet")
}

type Change = fn(&mut Report);

/// A rule, what fires it, and what is near to that and does not.
const CASES: [(&str, Change, Change); 28] = [
    (
        "foreign-targets",
        |r| r.drill.experiments[0].resolved_are_victims = false,
        |_| {},
    ),
    ("application-began-again", again, |r| spark(r).attempts = 2),
    (
        "driver-on-spot",
        |r| spark(r).driver_market = Some(Market::Spot),
        |r| spark(r).driver_market = Some(Market::OnDemand),
    ),
    ("application-attempts-used-up", again, |r| {
        again(r);
        set(r, "spark.yarn.maxAppAttempts", "4");
    }),
    (
        "stage-attempts-nearly-used-up",
        |r| {
            for attempt in 0..3 {
                let mut row = spark(r).stages[0].clone();
                (row.stage_id, row.attempt, row.status) = (9, attempt, "FAILED".into());
                spark(r).stages.push(row);
            }
        },
        |r| {
            let mut row = spark(r).stages[0].clone();
            (row.stage_id, row.attempt, row.status) = (9, 1, "FAILED".into());
            spark(r).stages.push(row);
        },
    ),
    (
        "output-without-marker",
        |r| {
            known_output(r);
            r.output.as_mut().unwrap().has_success_marker = false;
        },
        // A guess of the place is no ground for it.
        |r| r.output.as_mut().unwrap().has_success_marker = false,
    ),
    (
        "output-by-appends",
        |r| {
            known_output(r);
            r.output.as_mut().unwrap().objects_beside = 3;
        },
        |r| {
            // A table's older files are no rows twice.
            known_output(r);
            let output = r.output.as_mut().unwrap();
            output.objects_beside = 3;
            output.no_marker_because = Some("it is an Iceberg table".into());
        },
    ),
    ("not-replaced", not_replaced, |r| {
        let why = "the target was lowered".into();
        r.interruptions[0].replacement = Replacement::NotExpected {
            excuse: Excuse::TargetLowered,
            why,
        };
    }),
    (
        "slow-replacement",
        |r| {
            if let Replacement::Replaced {
                seconds_after_notice, ..
            } = &mut r.interruptions[0].replacement
            {
                *seconds_after_notice = Some(301);
            }
        },
        |_| {},
    ),
    ("stages-ran-again", |_| {}, |r| spark(r).stage_attempts_again = 0),
    (
        "much-work-repeated",
        |r| spark(r).lost_work.recomputed_ms = 20_000_000,
        |_| {},
    ),
    (
        "tasks-longer-than-notice",
        |r| spark(r).stages[0].task_time_ms = 204 * 121_000,
        |r| spark(r).stages[0].task_time_ms = 204 * 120_000,
    ),
    (
        "expired-hosts-kept",
        |r| set(r, "spark.resourceManager.cleanupExpiredHost", "false"),
        |r| {
            // Apache's Spark has no such setting.
            set(r, "spark.resourceManager.cleanupExpiredHost", "false");
            spark(r).version = Some("3.5.6".into());
        },
    ),
    (
        "decommission-counts-as-failure",
        |r| {
            drop(
                spark(r)
                    .settings
                    .remove("spark.stage.attempt.ignoreOnDecommissionFetchFailure"),
            )
        },
        |r| set(r, "spark.stage.attempt.ignoreOnDecommissionFetchFailure", " TRUE"),
    ),
    (
        "managed-scaling",
        |r| {
            not_replaced(r);
            r.targets.managed_scaling = Some(ManagedScaling::Absent);
        },
        // All capacity came back in time: nothing else was needed.
        |r| r.targets.managed_scaling = Some(ManagedScaling::Absent),
    ),
    (
        "few-instance-types",
        |r| {
            for pool in r.targets.at_start.as_mut().unwrap() {
                pool.weights.clear();
            }
        },
        |r| {
            // On-Demand capacity does not run out by interruptions.
            for pool in r.targets.at_start.as_mut().unwrap() {
                pool.weights.clear();
                pool.target_spot_units = 0;
            }
        },
    ),
    (
        "one-zone",
        |r| r.cluster.subnets = vec!["subnet-1".into()],
        |r| r.cluster.subnets = vec!["subnet-1".into(), "subnet-2".into()],
    ),
    (
        "allocation-strategy",
        |r| task_pool(r).spot_strategy = Some("lowest-price".into()),
        |r| task_pool(r).spot_strategy = Some("capacity-optimized-prioritized".into()),
    ),
    (
        "executors-too-large",
        |r| set(r, "spark.executor.memory", "23g"),
        // With the tenth that Spark adds, 21 GiB are 23,654 MiB: a r5.xlarge has 24,576.
        |r| set(r, "spark.executor.memory", "21g"),
    ),
    (
        "stragglers",
        |r| spark(r).stages[0].longest_task_ms = 300_000,
        |r| {
            spark(r).stages[0].longest_task_ms = 300_000;
            set(r, "spark.speculation", "true");
        },
    ),
    (
        "output-differs",
        |r| {
            known_output(r);
            r.output.as_mut().unwrap().baseline = Some(Baseline {
                location: "s3://b/base/".into(),
                objects: 136,
                bytes: 1,
                rows: None,
            });
        },
        |r| {
            known_output(r);
            r.output.as_mut().unwrap().baseline = Some(Baseline {
                location: "s3://b/base/".into(),
                objects: 136,
                bytes: 2_176,
                rows: None,
            });
        },
    ),
    (
        "not-injected",
        |r| {
            r.interruptions.clear();
            r.drill.state = Some(DrillState::GaveUp);
            r.drill.reason = Some("the step ended before the experiment could start".into());
        },
        // EC2 itself interrupted somebody: then something was shown.
        |r| r.drill.reason = Some("the account's FIS safety lever is engaged".into()),
    ),
    (
        "step-does-not-wait",
        |r| r.completed_doubt = Some("the step does not wait".into()),
        |_| {},
    ),
    (
        "event-log-missing",
        |r| {
            r.spark = None;
            r.missing.push(Missing {
                what: "event log".into(),
                why: "spark.eventLog.enabled is false".into(),
            });
        },
        |r| r.spark = None,
    ),
    ("warnings-lost", |r| r.interruptions[0].interrupted.warnings = 0, |_| {}),
    (
        "warnings-late",
        |r| r.interruptions[0].interrupted.latency_ms = Some(60_000),
        |r| r.interruptions[0].interrupted.latency_ms = Some(59_999),
    ),
    (
        "no-stop-condition",
        |r| r.drill.has_stop_condition = Some(false),
        |r| r.drill.has_stop_condition = None,
    ),
    (
        "stop-alarm-unknown",
        |r| r.drill.alarm_unknown = Some("AccessDenied".into()),
        |_| {},
    ),
];

/// What a rule says of the workshop's report, so changed.
fn finding(id: &str, change: impl Fn(&mut Report)) -> Option<Finding> {
    let mut report = workshop();
    change(&mut report);
    find(&report).into_iter().find(|finding| finding.id == id)
}

/// Whether a rule fires, one way or the other.
fn assert_fires(id: &str, cases: &[(&str, bool, Change)]) {
    for (name, fires, change) in cases {
        assert_eq!(finding(id, change).is_some(), *fires, "{id}: {name}");
    }
}

fn ids(change: Change) -> Vec<String> {
    let mut report = workshop();
    change(&mut report);
    find(&report).into_iter().map(|finding| finding.id).collect()
}

#[test]
fn each_rule_fires_where_it_should_and_only_there() {
    for (id, fires, quiet) in CASES {
        assert!(
            ids(fires).contains(&id.to_owned()),
            "{id} does not fire: {:?}",
            ids(fires)
        );
        assert!(
            !ids(quiet).contains(&id.to_owned()),
            "{id} fires though nothing is wrong"
        );
    }
}

#[test]
fn no_rule_is_without_its_case() {
    let rules: Vec<&str> = RULES.iter().map(|(id, _, _)| *id).collect();
    let cases: Vec<&str> = CASES.iter().map(|(id, _, _)| *id).collect();
    assert_eq!(rules, cases);
}

#[test]
fn each_finding_says_what_to_do_in_whole_sentences() {
    for (id, fires, _) in CASES {
        let mut report = workshop();
        fires(&mut report);
        let found = find(&report);
        let finding = found.iter().find(|finding| finding.id == id).expect("it fires");
        for sentence in [&finding.what, &finding.evidence, &finding.advice] {
            assert!(!sentence.is_empty() && !sentence.contains("  "), "{id}: {sentence:?}");
        }
        assert!(finding.advice.ends_with('.') && finding.what.ends_with('.'), "{id}");
        assert!(finding.settings.iter().all(|setting| setting.contains('=')), "{id}");
    }
}
