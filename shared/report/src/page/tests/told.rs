//! What the page says of reports that differ from the workshop's in one thing, and in two: the lines that the workshop's own page
//! does not have.
//!
//! What is expected lies in `samples/pages.txt`, as it was read when it was written; `SAMPLES=write` renews it.

use std::collections::BTreeSet;
use std::fmt::Write;

use chrono::TimeDelta;
use rules::bearing::Bearing;
use rules::cause::{Blame, Failure};
use rules::hit::InterruptionFacts;
use rules::interruption::Cause;
use rules::replacement::{Excuse, Replacement};
use rules::verdict::Verdict;

use crate::sample::workshop;
use crate::what_if::{Elsewhen, WhatIf};
use crate::{EarlierRun, ExperimentFacts, Output, OutputNamedBy, Report, Spark};

type Change = fn(&mut Report);

// What another change took away is there again.

fn spark(report: &mut Report) -> &mut Spark {
    report
        .spark
        .get_or_insert_with(|| workshop().spark.expect("the sample has an event log"))
}

fn output(report: &mut Report) -> &mut Output {
    report
        .output
        .get_or_insert_with(|| workshop().output.expect("the sample has an output"))
}

fn first(report: &mut Report) -> &mut InterruptionFacts {
    if report.interruptions.is_empty() {
        report.interruptions = workshop().interruptions;
    }
    &mut report.interruptions[0]
}

fn experiment(report: &mut Report) -> &mut ExperimentFacts {
    if report.drill.experiments.is_empty() {
        report.drill.experiments = workshop().drill.experiments;
    }
    &mut report.drill.experiments[0]
}

fn elsewhen(report: &mut Report) -> &mut Elsewhen {
    if !matches!(report.what_if, Some(WhatIf::Told(_))) {
        let told = serde_json::from_str::<Report>(include_str!("../../../samples/waves.json"));
        report.what_if = told.expect("the sample is a report").what_if;
    }
    match report.what_if.as_mut() {
        Some(WhatIf::Told(told)) => told,
        _ => panic!("the sample says what if"),
    }
}

fn each(report: &mut Report, change: impl Fn(usize, &mut InterruptionFacts)) {
    report
        .interruptions
        .iter_mut()
        .enumerate()
        .for_each(|(number, one)| change(number, one));
}

fn excused(report: &mut Report, excuse: Excuse) {
    each(report, |_, one| {
        one.replacement = Replacement::NotExpected {
            excuse,
            why: "so it is".into(),
        };
    });
}

fn not_replaced(report: &mut Report, count: usize) {
    report.judgement.verdict = Verdict::Degraded;
    each(report, |number, one| {
        if number < count {
            one.replacement = Replacement::NotReplaced {
                why: "none came".into(),
            };
        }
    });
}

fn bearing(report: &mut Report, bearing: Bearing) {
    report.judgement.verdict = Verdict::Inconclusive;
    each(report, |_, one| one.loss.bearing = bearing);
}

fn failed(report: &mut Report, blame: Blame, links: usize) {
    report.judgement.verdict = Verdict::Failed;
    report.judgement.failure = Some(Failure {
        blame,
        words: Some("Job aborted".into()),
        chain: (1..=links).map(|link| format!("Link {link}.")).collect(),
    });
}

fn earlier(report: &mut Report, count: usize) {
    let began = report.step.started_at.expect("the sample's step began");
    report.earlier_runs = (0..count)
        .map(|number| EarlierRun {
            cluster_id: "j-1".into(),
            step_id: format!("s-{number}"),
            started_at: Some(began - TimeDelta::hours(number as i64 + 1)),
            verdict: if number % 2 == 0 {
                Verdict::Survived
            } else {
                Verdict::Inconclusive
            },
            run_seconds: Some(400 + number as i64),
            interrupted: number % 2,
        })
        .collect();
    report.cost.undisturbed_runs = count;
    report.cost.median_undisturbed_seconds = Some(440);
    report.cost.disturbed_runs = count / 2;
    report.cost.median_disturbed_seconds = (count > 1).then_some(500);
}

/// One change each.
const CHANGES: &[(&str, Change)] = &[
    ("no units", |report| each(report, |_, one| one.interrupted.units = 0)),
    ("all units", |report| {
        each(report, |number, one| one.interrupted.units = [20, 20, 24][number])
    }),
    ("one unit", |report| {
        each(report, |number, one| one.interrupted.units = u32::from(number == 0))
    }),
    ("more units than there were", |report| {
        each(report, |_, one| one.interrupted.units = 30)
    }),
    ("a crowd", |report| *report = super::crowd(12)),
    ("a crowd of which some are not replaced", |report| {
        *report = super::crowd(12);
        not_replaced(report, 5);
    }),
    ("no dip", |report| {
        report.capacity.iter_mut().for_each(|capacity| capacity.dip = None)
    }),
    ("capacity not known", |report| report.capacity = None),
    ("natural", |report| {
        each(report, |_, one| one.interrupted.cause = Cause::Natural)
    }),
    ("one natural", |report| first(report).interrupted.cause = Cause::Natural),
    ("one after the other", |report| {
        each(report, |number, one| {
            let later = TimeDelta::seconds(61 * number as i64);
            one.interrupted.noticed_at = one.interrupted.noticed_at.map(|at| at + later);
            one.interrupted.terminated_at = one.interrupted.terminated_at.map(|at| at + later);
        });
    }),
    ("no notice", |report| {
        each(report, |_, one| {
            one.interrupted.noticed_at = None;
            if let Replacement::Replaced {
                seconds_after_notice, ..
            } = &mut one.replacement
            {
                *seconds_after_notice = None;
            }
        });
    }),
    ("one alone", |report| report.interruptions.truncate(1)),
    ("two alike", |report| report.interruptions.truncate(2)),
    ("nobody", |report| report.interruptions.clear()),
    ("one not replaced", |report| not_replaced(report, 1)),
    ("two not replaced", |report| not_replaced(report, 2)),
    ("none replaced", |report| not_replaced(report, 3)),
    ("the target lowered", |report| excused(report, Excuse::TargetLowered)),
    ("at its target", |report| excused(report, Excuse::AtTarget)),
    ("over too soon", |report| excused(report, Excuse::JobEnded)),
    ("one excused", |report| {
        first(report).replacement = Replacement::NotExpected {
            excuse: Excuse::JobEnded,
            why: "so it is".into(),
        };
    }),
    ("replacement not known", |report| {
        each(report, |_, one| {
            one.replacement = Replacement::Unknown {
                why: "EMR was not asked".into(),
            };
        });
    }),
    ("missed: after", |report| bearing(report, Bearing::AfterTheRun)),
    ("missed: before", |report| bearing(report, Bearing::BeforeTheRun)),
    ("missed: nothing there", |report| bearing(report, Bearing::NothingThere)),
    ("missed: not known", |report| bearing(report, Bearing::NotKnown)),
    ("missed: due", |report| bearing(report, Bearing::Due)),
    ("missed: not gone", |report| bearing(report, Bearing::NotGone)),
    ("missed in two ways", |report| {
        bearing(report, Bearing::AfterTheRun);
        first(report).loss.bearing = Bearing::BeforeTheRun;
    }),
    ("failed by it", |report| failed(report, Blame::Interruption, 2)),
    ("failed by itself", |report| failed(report, Blame::Itself, 9)),
    ("failed, nobody knows why", |report| {
        failed(report, Blame::NotToBeTold, 0)
    }),
    ("no failed stage", |report| {
        spark(report)
            .stages
            .iter_mut()
            .for_each(|stage| stage.status = "COMPLETE".into());
    }),
    ("a failed stage", |report| {
        spark(report).stages[0].status = "FAILED".into()
    }),
    ("many stages", |report| {
        let stage = spark(report).stages[0].clone();
        let more = (100..140).map(|id| {
            let mut stage = stage.clone();
            stage.stage_id = id;
            stage
        });
        spark(report).stages.extend(more);
    }),
    ("attempts again", |report| {
        let mut stage = spark(report).stages[1].clone();
        stage.attempt += 1;
        spark(report).stages.push(stage);
    }),
    ("no lost work", |report| spark(report).lost_work = Default::default()),
    ("no event log", |report| report.spark = None),
    ("begun again", |report| spark(report).attempts = 2),
    ("its driver went", |report| {
        spark(report).driver_was_interrupted = Some(true)
    }),
    ("slower", |report| {
        (report.cost.slowdown_percent, report.cost.median_undisturbed_seconds) = (Some(20), Some(440))
    }),
    ("as slow", |report| {
        (report.cost.slowdown_percent, report.cost.median_undisturbed_seconds) = (Some(0), Some(440))
    }),
    ("faster", |report| {
        (report.cost.slowdown_percent, report.cost.median_undisturbed_seconds) = (Some(-7), Some(440))
    }),
    ("one run before", |report| earlier(report, 1)),
    ("three runs before", |report| earlier(report, 3)),
    ("forty runs before", |report| earlier(report, 40)),
    ("no output", |report| report.output = None),
    ("no marker", |report| output(report).has_success_marker = false),
    ("output by the setting", |report| {
        output(report).named_by = OutputNamedBy::Setting;
    }),
    ("a preview", |report| experiment(report).preview = true),
    ("stopped", |report| experiment(report).status = Some("stopped".into())),
    ("no experiment", |report| report.drill.experiments.clear()),
    ("an alarm that nobody could read", |report| {
        report.drill.alarm_unknown = Some("AccessDenied".into())
    }),
    ("its price", |report| {
        let cost = &mut report.cost;
        (cost.unit_hour_usd, cost.run_lost_usd, cost.task_lost_usd) = (Some(0.05), Some(0.3), Some(0.004));
    }),
    ("no end", |report| report.step.ended_at = None),
    ("runs still", |report| report.interim = true),
    ("a run of which nothing is known", |report| report.run = None),
    ("what if: rarely", |report| elsewhen(report).failed = 0.004),
    ("what if: always", |report| elsewhen(report).failed = 1.0),
    ("what if: twice as slow", |report| {
        let told = elsewhen(report);
        (told.added_seconds_p50, told.added_seconds_p90) = (500.0, 900.4);
    }),
    ("what if: nobody comes", |report| {
        let told = elsewhen(report);
        (told.replaced_after_seconds, told.hit_at_seconds, told.instances) = (None, None, 1);
    }),
    ("what if: not said", |report| {
        report.what_if = Some(WhatIf::not_said("the log has no end"))
    }),
    ("no what if", |report| report.what_if = None),
];

/// What stands between a page's tags.
fn lines(report: &Report) -> Vec<String> {
    let page = report.to_html().expect("a report makes a page");
    let body = page.split_once("<body").map_or("", |(_, body)| body);
    let said = body.split('<').filter_map(|part| part.split_once('>'));
    let said = said.map(|(_, said)| said.trim().to_owned());
    said.filter(|said| !said.is_empty()).collect()
}

#[test]
fn pages_that_differ_in_little_say_what_they_said() {
    let mut seen: BTreeSet<String> = lines(&workshop()).into_iter().collect();
    let mut text = String::new();
    let mut told = |name: &str, report: &Report| {
        writeln!(text, "## {name}").expect("a text can be written to");
        for line in lines(report) {
            if seen.insert(line.clone()) {
                writeln!(text, "{line}").expect("a text can be written to");
            }
        }
    };
    for (number, (name, change)) in CHANGES.iter().enumerate() {
        let mut report = workshop();
        change(&mut report);
        told(name, &report);
        for further in [1, 7, 23] {
            let (other, change) = CHANGES[(number + further) % CHANGES.len()];
            let mut both = report.clone();
            change(&mut both);
            told(&format!("{name}, {other}"), &both);
        }
    }
    sample::assert_kept(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/pages.txt"), &text);
}
