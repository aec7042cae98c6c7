//! All that the rules say, word by word and number by number: of what fires each of them, and around each limit.
//!
//! What is expected lies in `samples/findings.txt`, as it was read when it was written; `SAMPLES=write` renews it.

use std::fmt::Write;

use rules::cluster::{ManagedScaling, ScalingLimits};
use rules::drill::DrillState;
use rules::replacement::{Excuse, Replacement};

use super::{CASES, Change, again, known_output, not_replaced, set, spark, task_pool};
use crate::finding::{Finding, find};
use crate::sample::workshop;
use crate::{Baseline, Report};

fn baseline(report: &mut Report, rows: Option<(u64, u64)>, bytes: u64) {
    known_output(report);
    let output = report.output.as_mut().expect("the sample has an output");
    output.rows = rows.map(|(here, _)| here);
    output.baseline = Some(Baseline {
        location: "s3://b/base/".into(),
        objects: 136,
        bytes,
        rows: rows.map(|(_, there)| there),
    });
}

fn slow(report: &mut Report, seconds: i64, listed: Option<i64>) {
    let noticed = report.interruptions[0].interrupted.noticed_at.expect("it was warned");
    if let Replacement::Replaced {
        seconds_after_notice,
        listed_at,
        ..
    } = &mut report.interruptions[0].replacement
    {
        *seconds_after_notice = Some(seconds);
        *listed_at = listed.map(|after| noticed + chrono::TimeDelta::seconds(after));
    }
}

fn types(report: &mut Report, names: &[&str]) {
    let weights = names.iter().map(|name| ((*name).to_owned(), 4)).collect();
    task_pool(report).weights = weights;
}

fn refused(report: &mut Report, state: Option<DrillState>, reason: &str) {
    report.interruptions.clear();
    report.drill.state = state;
    report.drill.reason = Some(reason.into());
}

fn limits(report: &mut Report, unit: &str, most: Option<u32>, on_demand_most: Option<u32>) {
    not_replaced(report);
    report.targets.managed_scaling = Some(ManagedScaling::Within(ScalingLimits {
        unit: Some(unit.into()),
        most,
        on_demand_most,
    }));
}

fn failed_attempts(report: &mut Report, count: i64, most: Option<&str>) {
    for attempt in 0..count {
        let mut row = spark(report).stages[0].clone();
        (row.stage_id, row.attempt, row.status) = (9, attempt, "FAILED".into());
        spark(report).stages.push(row);
    }
    if let Some(most) = most {
        set(report, "spark.stage.maxConsecutiveAttempts", most);
    }
}

/// Beyond what fires each rule: the other ways of it, and both sides of its limits.
const WAYS: [(&str, Change); 48] = [
    ("one attempt of a stage allowed, and none that failed", |r| {
        set(r, "spark.stage.maxConsecutiveAttempts", "1");
        spark(r).stages.iter_mut().for_each(|stage| stage.attempt = 0);
    }),
    ("one attempt, of which the verdict says that it began again", |r| {
        again(r);
        spark(r).attempts = 1;
    }),
    ("began again, one attempt without log", |r| {
        again(r);
        spark(r).attempts_without_log = 1;
    }),
    ("began again twice, two attempts without log", |r| {
        again(r);
        spark(r).attempts = 3;
        spark(r).attempts_without_log = 2;
    }),
    ("began again on emr-7.1", |r| {
        again(r);
        r.cluster.release_label = Some("emr-7.1.0".into());
    }),
    ("began again on emr-7.2", |r| {
        again(r);
        r.cluster.release_label = Some("emr-7.2.0".into());
    }),
    ("began again, one attempt of three allowed is left", |r| {
        again(r);
        set(r, "spark.yarn.maxAppAttempts", "3");
    }),
    ("began again, no attempt of two allowed is left", |r| {
        again(r);
        set(r, "spark.yarn.maxAppAttempts", "2");
    }),
    ("tasks of five minutes", |r| {
        spark(r).stages[0].task_time_ms = 204 * 300_000
    }),
    ("tasks of two minutes and a second, of a stage that failed", |r| {
        spark(r).stages[0].task_time_ms = 204 * 121_000;
        spark(r).stages[0].status = "FAILED".into();
    }),
    ("no marker, because it is a table", |r| {
        known_output(r);
        let output = r.output.as_mut().expect("the sample has an output");
        output.has_success_marker = false;
        output.no_marker_because = Some("it is an Iceberg table".into());
    }),
    ("a marker, and no reason for none", known_output),
    ("more rows than the baseline", |r| baseline(r, Some((112, 100)), 2_176)),
    ("less rows than the baseline", |r| baseline(r, Some((100, 112)), 2_176)),
    ("as many rows as the baseline, and other bytes", |r| {
        baseline(r, Some((100, 100)), 1)
    }),
    ("other bytes than the baseline, and nothing of this run", |r| {
        baseline(r, None, 1);
        r.output.as_mut().expect("the sample has an output").objects_of_run = 0;
    }),
    ("other bytes than the baseline, and one object of this run", |r| {
        baseline(r, None, 1);
        r.output.as_mut().expect("the sample has an output").objects_of_run = 1;
    }),
    ("appends, and began twice", |r| {
        known_output(r);
        r.output.as_mut().expect("the sample has an output").objects_beside = 1;
        spark(r).attempts = 2;
    }),
    ("writes nothing beside older objects", |r| {
        known_output(r);
        let output = r.output.as_mut().expect("the sample has an output");
        (output.objects_beside, output.objects_of_run) = (3, 0);
    }),
    ("two of three not replaced", |r| {
        not_replaced(r);
        r.interruptions[1].replacement = r.interruptions[0].replacement.clone();
    }),
    ("none replaced", |r| {
        not_replaced(r);
        let none = r.interruptions[0].replacement.clone();
        r.interruptions
            .iter_mut()
            .for_each(|one| one.replacement = none.clone());
    }),
    ("the only one not replaced", |r| {
        not_replaced(r);
        r.interruptions.truncate(1);
    }),
    ("replaced in five minutes", |r| slow(r, 300, None)),
    ("replaced in five minutes and a second, listed when is not known", |r| {
        slow(r, 301, None)
    }),
    ("replaced after 400 s, half of it until listed", |r| {
        slow(r, 400, Some(200))
    }),
    ("replaced after 400 s, more than half of it until listed", |r| {
        slow(r, 400, Some(201))
    }),
    ("one zone, which is known", |r| {
        r.cluster.subnets = vec!["subnet-1".into()];
        r.cluster.availability_zone = Some("eu-west-1a".into());
    }),
    ("four types", |r| {
        types(r, &["a.xlarge", "b.xlarge", "c.xlarge", "d.xlarge"])
    }),
    ("five types", |r| {
        types(r, &["a.xlarge", "b.xlarge", "c.xlarge", "d.xlarge", "e.xlarge"])
    }),
    ("two types", |r| types(r, &["a.xlarge", "b.xlarge"])),
    ("one type", |r| types(r, &["a.xlarge"])),
    ("three times the mean, for a minute", |r| {
        let stage = &mut spark(r).stages[0];
        (stage.tasks, stage.task_time_ms, stage.longest_task_ms) = (4, 80_000, 60_000);
    }),
    ("less than three times the mean", |r| {
        let stage = &mut spark(r).stages[0];
        (stage.tasks, stage.task_time_ms, stage.longest_task_ms) = (4, 80_004, 60_000);
    }),
    ("three times the mean, for less than a minute", |r| {
        let stage = &mut spark(r).stages[0];
        (stage.tasks, stage.task_time_ms, stage.longest_task_ms) = (4, 79_996, 59_999);
    }),
    ("one task of three holds up the others", |r| {
        let stage = &mut spark(r).stages[0];
        (stage.tasks, stage.task_time_ms, stage.longest_task_ms) = (3, 70_000, 68_000);
    }),
    ("scaling at its maximum", |r| {
        limits(r, "InstanceFleetUnits", Some(68), None)
    }),
    ("scaling one below its maximum", |r| {
        limits(r, "InstanceFleetUnits", Some(69), Some(40))
    }),
    ("scaling that may not turn to On-Demand", |r| {
        limits(r, "InstanceFleetUnits", Some(100), Some(4))
    }),
    ("scaling that may turn to one unit of On-Demand", |r| {
        limits(r, "InstanceFleetUnits", Some(100), Some(5))
    }),
    ("scaling by cores", |r| limits(r, "VCPU", Some(1), Some(0))),
    ("no scaling, and one whose end explains it", |r| {
        r.targets.managed_scaling = Some(ManagedScaling::Absent);
        r.interruptions[0].replacement = Replacement::NotExpected {
            excuse: Excuse::JobEnded,
            why: "the job ended".into(),
        };
    }),
    ("a fifth of all task time repeated", |r| {
        let work = &mut spark(r).lost_work;
        work.total_task_time_ms = 5 * work.lost_ms();
    }),
    ("less than a fifth of all task time repeated", |r| {
        let work = &mut spark(r).lost_work;
        work.total_task_time_ms = 5 * work.lost_ms() + 1;
    }),
    ("two of four attempts of a stage failed", |r| {
        failed_attempts(r, 2, None)
    }),
    ("two of three attempts of a stage failed", |r| {
        failed_attempts(r, 2, Some("3"))
    }),
    ("without the shuffle service", |r| {
        set(r, "spark.shuffle.service.enabled", "false");
        spark(r).stage_attempts_again = 1;
    }),
    ("all of decommissioning was on, without the shuffle service", |r| {
        for key in ["", ".storage", ".storage.shuffleBlocks"] {
            let (first, last) = key.split_at(key.find(".shuffle").unwrap_or(key.len()));
            set(r, &format!("spark{first}.decommission{last}.enabled"), "true");
        }
        set(r, "spark.shuffle.service.enabled", "false");
    }),
    ("a Spark of which the version is not known", |r| spark(r).version = None),
];

/// Why nobody was interrupted, and what is advised for it.
const REASONS: [(Option<DrillState>, &str); 9] = [
    (
        Some(DrillState::GaveUp),
        "the step ended before the experiment could start",
    ),
    (Some(DrillState::GaveUp), "no Spot task instances ran in 300 s"),
    (
        Some(DrillState::Refused),
        "cluster j-1 is not opted in: it has no tag spot-drill=on",
    ),
    (
        Some(DrillState::Refused),
        "the account's FIS safety lever is engaged: freeze",
    ),
    (Some(DrillState::Refused), "the drill of step s-2 has the cluster"),
    (
        Some(DrillState::Refused),
        "the stop condition's alarm is on: spot-drill-budget",
    ),
    (Some(DrillState::Refused), "FIS experiment template EXT1 has no action"),
    (None, "no drill is on record"),
    (Some(DrillState::Unknown), "experiment EXP1 failed"),
];

fn told(text: &mut String, name: &str, report: &Report, usual: &[Finding]) {
    writeln!(text, "# {name}").expect("a text grows");
    let found = find(report);
    for gone in usual.iter().filter(|one| !found.iter().any(|other| other.id == one.id)) {
        writeln!(text, "not {}", gone.id).expect("a text grows");
    }
    for one in found.iter().filter(|one| !usual.contains(one)) {
        let Finding {
            id,
            severity,
            what,
            evidence,
            price,
            advice,
            settings,
            page,
        } = one;
        write!(
            text,
            "{id} ({severity:?}): {what}\n  {evidence}\n  {price:?}\n  {advice}\n  {settings:?}\n  {page:?}\n"
        )
        .expect("a text grows");
    }
}

#[test]
fn each_finding_says_what_it_said_when_it_was_read() {
    let usual = find(&workshop());
    let mut text = String::new();
    let fires = CASES.map(|(id, fires, _)| (id, fires));
    for (name, change) in fires.into_iter().chain(WAYS) {
        let mut report = workshop();
        change(&mut report);
        told(&mut text, name, &report, &usual);
    }
    for (state, reason) in REASONS {
        let mut report = workshop();
        refused(&mut report, state, reason);
        told(&mut text, reason, &report, &usual);
    }
    sample::assert_kept(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/findings.txt"), &text);
}
