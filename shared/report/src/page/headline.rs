//! The first thing that is read: a verdict, one to three sentences with numbers, and what follows from them.

use std::cmp::Ordering;

use rules::bearing::Bearing;
use rules::cause::Blame;
use rules::interruption::Cause;
use rules::replacement::{Excuse, Replacement};
use rules::verdict::Verdict;

use super::digest::{Digest, at_once, task_units};
use crate::time_lost::{self, Why};
use crate::words::{number, plural, span};
use crate::{Severity, Text};

/// The head of the page.
pub(super) struct Headline {
    /// CSS class.
    pub class: &'static str,
    /// A shape beside the word: colour alone tells nothing.
    pub glyph: &'static str,
    /// The verdict.
    pub word: &'static str,
    /// What happened, in numbers.
    pub sentence: Text,
    /// What follows.
    pub so_what: Text,
}

/// A verdict's class, shape and word.
pub(crate) fn sign(verdict: Verdict) -> (&'static str, &'static str, &'static str) {
    match verdict {
        Verdict::Survived => ("survived", "✓", "Survived"),
        Verdict::Degraded => ("degraded", "!", "Degraded"),
        Verdict::Failed => ("failed", "✗", "Failed"),
        Verdict::Inconclusive => ("inconclusive", "?", "Inconclusive"),
    }
}

/// Writes the head.
pub(super) fn write(digest: &Digest<'_>) -> Headline {
    let verdict = digest.report.judgement.verdict;
    let (class, glyph, word) = sign(verdict);
    let sentence = match verdict {
        Verdict::Survived => format!(
            "The job lost {}, and still completed. {} {}",
            lost(digest),
            capacity(digest),
            work(digest)
        ),
        Verdict::Degraded => format!(
            "The job lost {}, and completed at a price. {} {}",
            lost(digest),
            price(digest),
            work(digest)
        ),
        Verdict::Failed | Verdict::Inconclusive => whole(&digest.report.judgement.sentence),
    };
    Headline {
        class,
        glyph,
        word,
        sentence: sentence.trim_end().into(),
        so_what: so_what(digest).into(),
    }
}

/// A sentence with its full stop.
fn whole(sentence: &str) -> String {
    format!("{}.", sentence.trim_end().trim_end_matches('.'))
}

/// `3 Spot instances, 12 of its 64 units of capacity`.
fn lost(digest: &Digest<'_>) -> String {
    let instances = plural(digest.counted.len(), "Spot instance");
    let units = task_units(&digest.counted);
    let dip = digest
        .report
        .capacity
        .as_ref()
        .and_then(|capacity| capacity.dip.as_ref());
    // Of waves the later ones may have taken what came for the earlier ones.
    let before = dip.map(|dip| dip.units_before).filter(|_| at_once(&digest.counted));
    let of = match before.map(|before| (units.cmp(&before), before)) {
        _ if units == 0 => String::new(),
        Some((Ordering::Equal, 1)) => ", the only unit of its task capacity".to_owned(),
        Some((Ordering::Equal, _)) => format!(", all {units} units of its task capacity"),
        Some((Ordering::Less, before)) => format!(", {units} of its {before} units of task capacity"),
        _ => format!(", {} of task capacity in all", plural(units as usize, "unit")),
    };
    let natural = digest.count(|cause| *cause == Cause::Natural);
    let whose = match natural {
        0 => String::new(),
        all if all == digest.counted.len() => " to EC2 itself".to_owned(),
        some => format!(" ({some} of them to EC2 itself)"),
    };
    format!("{instances}{of}{whose}")
}

fn are(digest: &Digest<'_>, is: fn(&Replacement) -> bool) -> bool {
    digest.counted.iter().all(|one| is(&one.replacement))
}

fn is_excused(replacement: &Replacement, wanted: Excuse) -> bool {
    matches!(replacement, Replacement::NotExpected { excuse, .. } if *excuse == wanted)
}

/// What became of the capacity, as a sentence.
fn capacity(digest: &Digest<'_>) -> String {
    let replaced = |one: &Replacement| matches!(one, Replacement::Replaced { .. });
    if are(digest, replaced) {
        // Of one without a notice nobody can tell: then the others' times are not those of all.
        let after_notice = digest.counted.iter().map(|one| match one.replacement {
            Replacement::Replaced {
                seconds_after_notice, ..
            } => seconds_after_notice,
            _ => None,
        });
        let after_notice: Option<Vec<i64>> = after_notice.collect();
        let mut notices: Vec<_> = digest
            .counted
            .iter()
            .filter_map(|one| one.interrupted.noticed_at)
            .collect();
        notices.dedup();
        return match (after_notice.and_then(|all| all.into_iter().max()), notices.len()) {
            (Some(slowest), 1) => format!("All capacity was back {} after the notice.", span(slowest)),
            (Some(slowest), _) => format!("Each was made up for within {} of its notice.", span(slowest)),
            (None, _) => "All capacity came back.".to_owned(),
        };
    }
    if are(digest, |one| is_excused(one, Excuse::TargetLowered)) {
        return "Nothing had to come in their place: the target had been lowered.".to_owned();
    }
    if are(digest, |one| is_excused(one, Excuse::AtTarget)) {
        return "Nothing had to come in their place: the fleet had what was asked for without them.".to_owned();
    }
    if are(digest, |one| is_excused(one, Excuse::JobEnded)) {
        return "It ended before replacements could be there.".to_owned();
    }
    match digest.counted.iter().filter(|one| replaced(&one.replacement)).count() {
        0 => "No replacement was to be expected.".to_owned(),
        1 => "One of them was replaced; of the others none was to be expected.".to_owned(),
        some => format!(
            "{} of them were replaced; of the others none was to be expected.",
            number(some as u64)
        ),
    }
}

/// Why it is called degraded, in one sentence.
fn price(digest: &Digest<'_>) -> String {
    let report = digest.report;
    let lacking: Vec<_> = digest
        .counted
        .iter()
        .filter(|one| matches!(one.replacement, Replacement::NotReplaced { .. }))
        .collect();
    if time_lost::began_again(report) {
        let lost = digest
            .lost
            .as_ref()
            .map(|lost| lost.seconds_of(Why::BeganAgain))
            .filter(|lost| *lost > 0);
        return match lost {
            Some(seconds) => format!("It had to begin again from nothing after {}.", span(seconds)),
            None => "It had to begin again from nothing.".to_owned(),
        };
    }
    if !lacking.is_empty() {
        let last = lacking.iter().filter_map(|one| one.interrupted.terminated_at).max();
        let later = match (last, report.run) {
            (Some(last), Some(run)) => format!(" in the {} until it ended", span((run.ended_at - last).num_seconds())),
            _ => " while it ran".to_owned(),
        };
        return match (lacking.len(), digest.counted.len()) {
            (1, 1) => format!("It was not replaced{later}."),
            (some, all) if some == all => format!("None of them was replaced{later}."),
            (1, _) => format!("One of them was not replaced{later}."),
            (some, _) => format!("{} of them were not replaced{later}.", number(some as u64)),
        };
    }
    let reason = report.judgement.reasons.first().map_or("", String::as_str);
    whole(reason)
}

/// What the lost work cost, as a sentence.
fn work(digest: &Digest<'_>) -> String {
    let (Some(lost), Some(run)) = (&digest.lost, digest.report.run_seconds) else {
        return "What it cost the application is not known.".to_owned();
    };
    let seconds = lost.seconds() - lost.seconds_of(Why::BeganAgain);
    let task_ms = digest
        .report
        .spark
        .as_ref()
        .map_or(0, |spark| spark.lost_work.lost_ms());
    let what = match (lost.seconds_of(Why::Failed), lost.seconds_of(Why::Repeated)) {
        (1.., 0) => "Failed",
        (0, 1..) => "Repeated",
        _ => "Failed and repeated",
    };
    match (seconds, task_ms) {
        (1.., _) => format!("{what} work took {} of the run’s {}.", span(seconds), span(run)),
        (_, 1..) => "Lost work was done again beside the rest, and held up nothing.".to_owned(),
        _ if time_lost::began_again(digest.report) => String::new(),
        _ => "No work was lost.".to_owned(),
    }
}

fn so_what(digest: &Digest<'_>) -> String {
    let report = digest.report;
    let has_price = report
        .findings
        .iter()
        .any(|finding| finding.severity == Severity::Price);
    match report.judgement.verdict {
        Verdict::Survived if has_price => "Nothing has to change for the job to survive this; it can lose less.".into(),
        Verdict::Survived => "Nothing has to change for the job to survive this.".into(),
        Verdict::Degraded if time_lost::began_again(report) => {
            "The result came, but all work before the loss was done for nothing. A longer job may never get through."
                .into()
        }
        Verdict::Degraded => "The result came, late or short of capacity. With more losses it may not.".into(),
        Verdict::Failed => "As it stands, this job is not safe on Spot instances.".into(),
        Verdict::Inconclusive => open(digest),
    }
}

/// What follows from a drill that shows nothing.
fn open(digest: &Digest<'_>) -> String {
    let report = digest.report;
    if report.interim {
        return "The step still runs. Its report takes this one’s place when it ends.".into();
    }
    if let Some(failure) = &report.judgement.failure {
        return match failure.blame {
            Blame::Itself => {
                "The program failed by itself: mend that first. What Spot interruptions do to this job is still open."
            }
            _ => "Look at the failure first: what is known of its cause stands under “How we know”.",
        }
        .into();
    }
    if let Some(finding) = digest.finding("not-injected") {
        return format!("This run says nothing about Spot interruptions. {}", finding.advice);
    }
    let all = |wanted: Bearing| report.interruptions.iter().all(|one| one.loss.bearing == wanted);
    if report.interruptions.is_empty() {
        return "This run says nothing about Spot interruptions.".into();
    }
    if all(Bearing::AfterTheRun) {
        return "The drill came too late for so short a job. Lower DelaySeconds, or drill a longer run.".into();
    }
    if all(Bearing::BeforeTheRun) || all(Bearing::NothingThere) {
        return "The losses missed the job, so it has not been put to the test. Run it again with a drill of its own."
            .into();
    }
    "Something that would decide it is not known. It is named under “What this drill does not show”.".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Report;
    use crate::sample::workshop;

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
        let mut report = workshop();
        report.interruptions.truncate(1);
        report.interruptions[0].interrupted.units = 1;
        let dip = report
            .capacity
            .as_mut()
            .and_then(|capacity| capacity.dip.as_mut())
            .unwrap();
        dip.units_before = 1;
        let said = sentence(&report);
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
}
