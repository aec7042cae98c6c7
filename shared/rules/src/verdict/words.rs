//! The verdict's sentences.

use super::Facts;
use crate::bearing::Bearing;
use crate::hit::InterruptionFacts;
use crate::interruption::Cause;
use crate::replacement::{Excuse, Replacement};

/// "3 instances went (by this drill's experiment)".
pub(super) fn gone(counted: &[&InterruptionFacts]) -> String {
    let instances = plural(counted.len(), "instance");
    format!("{instances} went while it ran ({})", whose(counted.iter().copied()))
}

fn plural(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// "by this drill's experiment", "by EC2 itself", "2 by this drill's experiment, 1 by EC2 itself".
fn whose<'a>(interruptions: impl Iterator<Item = &'a InterruptionFacts> + Clone) -> String {
    let count = |wanted: fn(&Cause) -> bool| {
        interruptions
            .clone()
            .filter(|one| wanted(&one.interrupted.cause))
            .count()
    };
    let parts: Vec<(usize, &str)> = [
        (
            count(|cause| matches!(cause, Cause::Experiment { .. })),
            "by this drill's experiment",
        ),
        (
            count(|cause| matches!(cause, Cause::OtherExperiment)),
            "by another experiment",
        ),
        (count(|cause| matches!(cause, Cause::Natural)), "by EC2 itself"),
        (count(|cause| matches!(cause, Cause::Unknown)), "by an unknown cause"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .collect();
    match parts.as_slice() {
        [(_, one)] => (*one).to_owned(),
        several => several
            .iter()
            .map(|(count, who)| format!("{count} {who}"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Why no interruption counts: there was none, it came too early or too late, or it met nothing of the job.
pub(super) fn why_nothing_counts(facts: &Facts<'_>) -> String {
    let of = |bearing: Bearing| {
        facts
            .interruptions
            .iter()
            .filter(|one| one.loss.bearing == bearing)
            .count()
    };
    let all = facts.interruptions.len();
    if all == 0 {
        let why = facts
            .no_experiment
            .unwrap_or("no interruption of this cluster's instances is on record");
        return format!("no instance was interrupted while the job ran ({why})");
    }
    let parts: Vec<String> = [
        (
            Bearing::NothingThere,
            "went while the job ran, with nothing of it on them",
        ),
        (Bearing::BeforeTheRun, "had gone before the application began"),
        (Bearing::AfterTheRun, "went when the job had ended"),
        (
            Bearing::NotKnown,
            "went when its application may not have been running, as only the step's times are known",
        ),
        (
            Bearing::Due,
            "had notice to go while the job ran, and nobody has seen whether they did",
        ),
        (Bearing::NotGone, "had not gone when last looked at"),
    ]
    .into_iter()
    .filter_map(|(bearing, words)| match of(bearing) {
        0 => None,
        count => Some(format!("{} {words}", plural(count, "interrupted instance"))),
    })
    .collect();
    format!("{} ({})", parts.join(", "), whose(facts.interruptions.iter()))
}

/// What became of the capacity.
pub(super) fn capacity(counted: &[&InterruptionFacts]) -> String {
    let replaced = counted
        .iter()
        .filter(|one| matches!(one.replacement, Replacement::Replaced { .. }))
        .count();
    let soon = counted.iter().filter(|one| {
        matches!(
            one.replacement,
            Replacement::NotExpected {
                excuse: Excuse::JobEnded,
                ..
            }
        )
    });
    match (replaced, soon.count()) {
        (all, _) if all == counted.len() => "all capacity was replaced".to_owned(),
        (0, all) if all == counted.len() => "it ended before a replacement could be there".to_owned(),
        (0, _) => "no replacement was expected".to_owned(),
        (some, _) => format!("{some} of them were replaced, while for the others no replacement was expected"),
    }
}

/// Instances of which one says what went with them, at most.
const NAMED_MAX: usize = 12;

/// Why it is called survived.
pub(super) fn survived(counted: &[&InterruptionFacts], how: &str) -> Vec<String> {
    let mut known: Vec<String> = counted
        .iter()
        .filter(|one| !one.loss.held.is_empty())
        .map(|one| format!("{} on {}", one.loss.held_in_words(), one.interrupted.instance_id))
        .collect();
    let with = if known.is_empty() {
        "What of the application was on them is not known: no event log tells.".to_owned()
    } else {
        let more = known.len().saturating_sub(NAMED_MAX);
        known.truncate(NAMED_MAX);
        if more > 0 {
            known.push(format!("what was on {more} more"));
        }
        format!("With them went {}.", known.join("; "))
    };
    vec![how.to_owned(), with]
}

/// Characters of a failure that the sentence quotes at most.
const GIST_MAX: usize = 300;

/// The part of a failure's words that names the error: Spark puts the exception behind the task that it lost.
pub(super) fn gist(words: &str) -> String {
    let line = words.lines().next().unwrap_or_default();
    let error = line
        .split_once("Lost task ")
        .and_then(|(_, rest)| rest.split_once("): "))
        .map_or(line, |(_, error)| error);
    let error = if error.is_empty() { line } else { error };
    error.chars().take(GIST_MAX).collect()
}
