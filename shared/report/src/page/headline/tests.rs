//! What the head says of reports that differ in one thing.

use super::*;
use crate::Report;
use crate::sample::{of_one_unit, workshop};

fn sentence(report: &Report) -> String {
    write(&Digest::new(report)).sentence.as_str().to_owned()
}

fn not_noticed(report: &mut Report, number: usize) {
    let one = &mut report.interruptions[number];
    one.interrupted.noticed_at = None;
    if let Replacement::Replaced {
        seconds_after_notice, ..
    } = &mut one.replacement
    {
        *seconds_after_notice = None;
    }
}

#[test]
fn when_all_was_back_after_the_notice_is_said_only_if_each_had_one() {
    let mut report = workshop();
    assert!(sentence(&report).contains("All capacity was back 4 min 18 s after the notice."));
    not_noticed(&mut report, 0);
    assert!(
        sentence(&report).contains("All capacity came back."),
        "{}",
        sentence(&report)
    );
}

#[test]
fn a_fleet_of_one_unit_lost_its_only_one() {
    let said = sentence(&of_one_unit());
    assert!(
        said.starts_with("The job lost 1 Spot instance, the only unit of its task capacity, and"),
        "{said}"
    );
}

#[test]
fn all_of_the_capacity_is_what_went_at_once() {
    let mut report = workshop();
    let lost = |report: &Report| {
        sentence(report)
            .split(", and still")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    for (one, units) in report.interruptions.iter_mut().zip([20, 20, 24]) {
        one.interrupted.units = units;
    }
    assert_eq!(
        lost(&report),
        "The job lost 3 Spot instances, all 64 units of its task capacity"
    );
    report.interruptions[2].interrupted.units = 23;
    assert_eq!(
        lost(&report),
        "The job lost 3 Spot instances, 63 of its 64 units of task capacity"
    );
    report.interruptions[2].interrupted.units = 25;
    assert_eq!(
        lost(&report),
        "The job lost 3 Spot instances, 65 units of task capacity in all"
    );
    // In two waves, between which others came.
    report.interruptions[2].interrupted.units = 24;
    let gone = &mut report.interruptions[2].interrupted.terminated_at;
    *gone = gone.map(|at| at + chrono::TimeDelta::minutes(3));
    assert_eq!(
        lost(&report),
        "The job lost 3 Spot instances, 64 units of task capacity in all"
    );
    for one in &mut report.interruptions {
        one.interrupted.units = 0;
    }
    assert_eq!(lost(&report), "The job lost 3 Spot instances");
}

/// A report of an application that YARN began again, whatever was lost by that.
fn begun_again() -> Report {
    let mut report = workshop();
    report.judgement.verdict = Verdict::Degraded;
    report.judgement.reasons = vec![format!("{}: YARN made 2 attempts.", rules::verdict::BEGAN_AGAIN)];
    report
}

#[test]
fn what_a_new_begin_cost_is_said_once_and_only_where_it_is_known() {
    let report = begun_again();
    let mut digest = Digest::new(&report);
    let begun = report.step.started_at.unwrap();
    let lost = |seconds, why| time_lost::Part {
        from: begun,
        until: begun + chrono::TimeDelta::seconds(seconds),
        why,
    };
    let mut said = |parts: &[time_lost::Part]| {
        digest.lost = Some(crate::TimeLost { parts: parts.to_vec() });
        (price(&digest), work(&digest))
    };
    let after = "It had to begin again from nothing after 1 min.".to_owned();
    let (unknown, again) = ("It had to begin again from nothing.".to_owned(), String::new());
    // Spark repeated work, too, and waited for none of it.
    let beside = "Lost work was done again beside the rest, and held up nothing.".to_owned();
    assert_eq!(said(&[lost(60, Why::BeganAgain)]), (after, beside.clone()));
    assert_eq!(said(&[]), (unknown.clone(), beside));
    let mut report = begun_again();
    report.spark.as_mut().unwrap().lost_work = Default::default();
    let mut digest = Digest::new(&report);
    digest.lost = Some(crate::TimeLost::default());
    assert_eq!((price(&digest), work(&digest)), (unknown, again));
}

#[test]
fn what_follows_from_a_price_depends_on_what_it_was() {
    let mut report = workshop();
    let follows = |report: &Report| so_what(&Digest::new(report));
    assert!(follows(&report).ends_with("survive this; it can lose less."));
    for finding in &mut report.findings {
        finding.severity = Severity::Blindness;
    }
    assert!(follows(&report).ends_with("survive this."));
    report.judgement.verdict = Verdict::Degraded;
    assert!(follows(&report).starts_with("The result came, late or short of capacity."));
    assert!(follows(&begun_again()).starts_with("The result came, but all work before the loss"));
}

#[test]
fn work_is_called_by_what_became_of_it() {
    let report = workshop();
    let begun = report.step.started_at.unwrap();
    let took = |parts: &[(i64, Why)]| {
        let mut digest = Digest::new(&report);
        let parts = parts.iter().map(|(ms, why)| time_lost::Part {
            from: begun,
            until: begun + chrono::TimeDelta::milliseconds(*ms),
            why: *why,
        });
        digest.lost = Some(crate::TimeLost { parts: parts.collect() });
        work(&digest)
    };
    let of = "of the run’s 9 min 1 s.";
    assert_eq!(took(&[(4_000, Why::Failed)]), format!("Failed work took 4 s {of}"));
    assert_eq!(took(&[(1_000, Why::Repeated)]), format!("Repeated work took 1 s {of}"));
    let both = format!("Failed and repeated work took 1 s {of}");
    assert_eq!(took(&[(400, Why::Failed), (400, Why::Repeated)]), both);
    assert_eq!(
        took(&[(9_000, Why::BeganAgain), (2_000, Why::Repeated)]),
        format!("Repeated work took 2 s {of}"),
        "what was lost by the new begin is said elsewhere"
    );
}

#[test]
fn what_shows_nothing_is_told_with_what_to_do() {
    let mut report = workshop();
    report.judgement.verdict = Verdict::Inconclusive;
    let follows = |report: &Report| so_what(&Digest::new(report));
    let bearings = |report: &Report, bearings: [Bearing; 3]| {
        let mut report = report.clone();
        for (one, bearing) in report.interruptions.iter_mut().zip(bearings) {
            one.loss.bearing = bearing;
        }
        follows(&report)
    };
    let (late, missed) = ("The drill came too late", "The losses missed the job");
    assert!(bearings(&report, [Bearing::AfterTheRun; 3]).starts_with(late));
    assert!(bearings(&report, [Bearing::BeforeTheRun; 3]).starts_with(missed));
    assert!(bearings(&report, [Bearing::NothingThere; 3]).starts_with(missed));
    let mixed = [Bearing::AfterTheRun, Bearing::AfterTheRun, Bearing::BeforeTheRun];
    assert!(bearings(&report, mixed).starts_with("Something that would decide it is not known."));
    let mut nobody = report.clone();
    nobody.interruptions.clear();
    assert_eq!(follows(&nobody), "This run says nothing about Spot interruptions.");
    report.findings[0].id = "not-injected".into();
    report.findings[0].advice = "Look at the role.".into();
    assert_eq!(
        follows(&report),
        "This run says nothing about Spot interruptions. Look at the role."
    );
    for (blame, told) in [
        (Blame::Itself, "The program failed by itself: mend that first."),
        (Blame::NotToBeTold, "Look at the failure first:"),
    ] {
        report.judgement.failure = Some(rules::cause::Failure {
            blame,
            words: None,
            chain: Vec::new(),
        });
        assert!(follows(&report).starts_with(told), "{}", follows(&report));
    }
    report.interim = true;
    assert!(follows(&report).starts_with("The step still runs."));
}
