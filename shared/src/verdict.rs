//! The verdict: did the job survive interruptions, and how do we know?
//!
//! Four values. What was not injected and did not happen by itself is never reported as survived; what is not known
//! is never taken for success.

use serde::{Deserialize, Serialize};

use crate::interruption::{Cause, Interrupted};
use crate::replacement::Replacement;
use crate::spark_log::SparkRun;
use crate::step::{Step, Waits};

/// What a drill shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The job ended well although instances went while it ran, and nothing was left unmade-up.
    Survived,
    /// The job ended well, at a price: capacity not replaced, the application begun again, an output without its marker.
    Degraded,
    /// The job failed after interruptions.
    Failed,
    /// Nothing is shown either way.
    Inconclusive,
}

impl Verdict {
    /// The word in JSON and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Survived => "survived",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What the verdict rests on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The step, after its end.
    pub step: &'a Step,
    /// Who was interrupted, and what became of their capacity.
    pub interrupted: &'a [(Interrupted, Replacement)],
    /// The application's run, if its event log was found.
    pub spark: Option<&'a SparkRun>,
    /// How often YARN began the application, if known.
    pub application_attempts: Option<usize>,
    /// `Some(false)`: the output was looked at, and carries no `_SUCCESS`.
    pub output_succeeded: Option<bool>,
    /// Why no experiment interrupted anybody, if none did.
    pub no_experiment: Option<&'a str>,
}

/// A verdict, one sentence in plain words, and the reasons one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// For whoever reads one line.
    pub sentence: String,
    /// For whoever asks why.
    pub reasons: Vec<String>,
}

/// Judges a drill. Pure and total.
pub fn judge(facts: &Facts<'_>) -> Judgement {
    let hit = facts.interrupted.len();
    let Some(ended_at) = facts.step.ended_at else {
        return inconclusive("EMR does not say when the step ended.", Vec::new());
    };
    let gone_while_running = facts
        .interrupted
        .iter()
        .filter(|(one, _)| one.terminated_at.is_some_and(|at| at < ended_at))
        .count();
    let by = whose(facts.interrupted);
    if hit == 0 {
        let why = facts
            .no_experiment
            .unwrap_or("no interruption of this cluster's task instances is on record");
        return inconclusive(
            &format!("Nothing is shown: no instance was interrupted while the job ran ({why})."),
            job_ended(facts),
        );
    }
    match facts.step.state.as_str() {
        "FAILED" => failed(facts, hit, &by),
        "COMPLETED" if gone_while_running == 0 => inconclusive(
            &format!("Nothing is shown: the job ended before the first of {hit} interrupted instances went ({by})."),
            job_ended(facts),
        ),
        "COMPLETED" => completed(facts, hit, gone_while_running, &by),
        state => inconclusive(
            &format!(
                "Nothing is shown: the step ended as {state}, after {hit} of its instances were interrupted ({by})."
            ),
            Vec::new(),
        ),
    }
}

fn inconclusive(sentence: &str, reasons: Vec<String>) -> Judgement {
    Judgement {
        verdict: Verdict::Inconclusive,
        sentence: sentence.into(),
        reasons,
    }
}

fn job_ended(facts: &Facts<'_>) -> Vec<String> {
    let mut reasons = vec![format!("The step ended as {}.", facts.step.state)];
    reasons.extend(
        facts
            .step
            .failure
            .iter()
            .map(|failure| format!("EMR on the failure: {failure}")),
    );
    reasons
}

/// "by this drill's experiment", "by EC2 itself", "2 by this drill's experiment, 1 by EC2 itself".
fn whose(interrupted: &[(Interrupted, Replacement)]) -> String {
    let count = |wanted: fn(&Cause) -> bool| interrupted.iter().filter(|(one, _)| wanted(&one.cause)).count();
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

fn failed(facts: &Facts<'_>, hit: usize, by: &str) -> Judgement {
    let words = facts
        .spark
        .and_then(|run| run.jobs.iter().find_map(|job| job.failure.clone()))
        .or_else(|| facts.step.failure.clone());
    let mut reasons = job_ended(facts);
    let sentence = match words {
        Some(words) => {
            let first_line = words.lines().next().unwrap_or_default();
            let shortened: String = first_line.chars().take(200).collect();
            reasons.push(
                "Whether the interruption caused the failure is for its reader to judge: both are on record.".into(),
            );
            format!("The job failed after {hit} of its instances were interrupted ({by}): {shortened}")
        }
        None => {
            reasons.push("No witness says why the job failed.".into());
            format!("The job failed after {hit} of its instances were interrupted ({by}).")
        }
    };
    Judgement {
        verdict: Verdict::Failed,
        sentence,
        reasons,
    }
}

fn completed(facts: &Facts<'_>, hit: usize, gone: usize, by: &str) -> Judgement {
    if facts.step.waits_for_application(&std::collections::BTreeMap::new()) == Waits::No
        && facts.spark.is_none_or(|run| run.ended_at_ms.is_none())
    {
        return inconclusive(
            "Nothing is shown: the step does not wait for its application, and no event log says how that ended.",
            vec!["spark.yarn.submit.waitAppCompletion is false: COMPLETED means submitted.".into()],
        );
    }
    let mut prices = Vec::new();
    let mut unknown = Vec::new();
    for (one, replacement) in facts.interrupted {
        match replacement {
            Replacement::NotReplaced { why } => prices.push(format!("{} was not replaced: {why}.", one.instance_id)),
            Replacement::Unknown { why } => {
                unknown.push(format!("whether {} was replaced is not known: {why}.", one.instance_id));
            }
            Replacement::Replaced { .. } | Replacement::NotExpected { .. } => {}
        }
    }
    if let Some(attempts) = facts.application_attempts.filter(|attempts| *attempts > 1) {
        prices.push(format!(
            "The application had to begin again: YARN made {attempts} attempts."
        ));
    }
    if let Some(run) = facts.spark
        && run.jobs.iter().any(|job| job.succeeded == Some(false))
    {
        prices.push("A Spark job inside the application failed, though the step completed.".into());
    }
    if facts.output_succeeded == Some(false) {
        prices.push("The output carries no _SUCCESS marker.".into());
    }
    let lost = format!("{gone} of {hit} interrupted instances went while it ran ({by})");
    if !prices.is_empty() {
        let sentence = format!("The job completed, at a price: {lost}. {}", prices[0]);
        prices.extend(unknown);
        return Judgement {
            verdict: Verdict::Degraded,
            sentence,
            reasons: prices,
        };
    }
    if !unknown.is_empty() {
        let sentence = format!("The job completed, but not all is known: {lost}, and {}", unknown[0]);
        return Judgement {
            verdict: Verdict::Inconclusive,
            sentence,
            reasons: unknown,
        };
    }
    let replaced = facts
        .interrupted
        .iter()
        .filter(|(_, answer)| matches!(answer, Replacement::Replaced { .. }))
        .count();
    let capacity = match replaced {
        all if all == hit => "all capacity was replaced".to_owned(),
        0 => "no replacement was expected".to_owned(),
        some => format!("{some} of them replaced, while for the others no replacement was expected"),
    };
    Judgement {
        verdict: Verdict::Survived,
        sentence: format!("The job survived: {lost}, and {capacity}."),
        reasons: vec![
            "EMR says that the step completed.".into(),
            format!("EMR says that {gone} interrupted instances ended before the step did."),
        ],
    }
}
