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
mod tests;
