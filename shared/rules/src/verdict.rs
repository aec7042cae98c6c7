//! The verdict: did the job survive interruptions, and how do we know?
//!
//! Four values. What was not injected and did not happen by itself is never reported as survived; what is not known
//! is never taken for success; and no failure is laid to an interruption without a chain that leads there.

mod ending;
mod price;
#[cfg(test)]
mod tests;
mod words;

use serde::{Deserialize, Serialize};

use crate::application::{Application, Run};
use crate::bearing::Bearing;
use crate::cause::{self, Blame, Failure, Traces};
use crate::hit::InterruptionFacts;
use crate::step::Step;
use ending::Ending;

/// What a drill shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The job ended well although it lost instances while it ran, and nothing was left unmade-up.
    Survived,
    /// The job ended well, at a price: capacity not replaced, the application begun again, an output without its marker.
    Degraded,
    /// An interruption made the job fail.
    Failed,
    /// Nothing is shown either way.
    Inconclusive,
}

impl Verdict {
    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Survived, Self::Degraded, Self::Failed, Self::Inconclusive]
            .into_iter()
            .find(|verdict| verdict.word() == word)
    }

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

/// How the reason begins that a loss made YARN begin the application anew.
pub const BEGAN_AGAIN: &str = "The application had to begin again";

/// What the verdict rests on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The step, after its end.
    pub step: &'a Step,
    /// Why COMPLETED says nothing of the application, in words: the step does not wait for it, or a shell's status hides
    /// it. `None`: it does.
    pub completed_doubt: Option<&'a str>,
    /// The run that counts; `None` where EMR does not say when the step ran.
    pub run: Option<&'a Run>,
    /// The cluster's interruptions around the run.
    pub interruptions: &'a [InterruptionFacts],
    /// The application's logs, if they were found.
    pub application: Option<Application<'a>>,
    /// Which of its logs is there and may not be read, in words: what an interruption cost the application is not known.
    pub withheld: Option<&'a str>,
    /// YARN's final status of the application, where the step's own log has it: `SUCCEEDED`, `FAILED`, `KILLED`.
    pub final_status: Option<&'a str>,
    /// What the step's own log, or EMR, says of a failure.
    pub diagnostics: Option<&'a str>,
    /// What the output lacks, in words, if it is known to be this job's output and should have it.
    pub output_lacks: Option<&'a str>,
    /// The output, if somebody named it and it could not be listed. A place that is a guess is no matter.
    pub output_unseen: Option<&'a str>,
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
    /// Of a job that failed: what it was traced to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Judges a drill. Pure and total.
pub fn judge(facts: &Facts<'_>) -> Judgement {
    let Some(run) = facts.run else {
        return inconclusive("EMR does not say when the step ran.".into(), Vec::new());
    };
    let counted: Vec<&InterruptionFacts> = facts
        .interruptions
        .iter()
        .filter(|one| one.loss.bearing == Bearing::Counts)
        .collect();
    let ending = ending::of(facts);
    match &ending {
        Ending::Failed => failed(facts, run, &counted),
        _ if counted.is_empty() => nothing_shown(facts, &ending),
        Ending::Well { how } => completed(facts, run, &counted, how),
        Ending::NotKnown { why } => inconclusive(
            format!("Nothing is shown: {why}."),
            vec![format!("{}.", words::gone(&counted))],
        ),
        Ending::Stopped => {
            let state = &facts.step.state;
            inconclusive(
                format!(
                    "Nothing is shown: the step ended as {state}; before that, {}.",
                    words::gone(&counted)
                ),
                ending::reasons(facts),
            )
        }
    }
}

fn inconclusive(sentence: String, reasons: Vec<String>) -> Judgement {
    Judgement {
        verdict: Verdict::Inconclusive,
        sentence,
        reasons,
        failure: None,
    }
}

/// No interruption counts: say which of the reasons it is.
fn nothing_shown(facts: &Facts<'_>, ending: &Ending) -> Judgement {
    let mut reasons = ending::reasons(facts);
    if let Ending::NotKnown { why } = ending {
        reasons.push(format!("How the application ended is not known: {why}."));
    }
    inconclusive(
        format!("Nothing is shown: {}.", words::why_nothing_counts(facts)),
        reasons,
    )
}

fn failed(facts: &Facts<'_>, run: &Run, counted: &[&InterruptionFacts]) -> Judgement {
    let failure = cause::trace(&Traces {
        run,
        application: facts.application,
        interruptions: facts.interruptions,
        diagnostics: facts.diagnostics,
    });
    let said = failure
        .words
        .as_deref()
        .map(|said| format!(": {}", words::gist(said)))
        .unwrap_or_default();
    let (verdict, sentence) = match failure.blame {
        Blame::Interruption => (
            Verdict::Failed,
            format!(
                "The job failed because of the interruption; {}{said}",
                words::gone(counted)
            ),
        ),
        Blame::Itself if counted.is_empty() => (
            Verdict::Inconclusive,
            format!(
                "Nothing is shown: the job failed by itself, and {}{said}",
                words::why_nothing_counts(facts)
            ),
        ),
        Blame::Itself => (
            Verdict::Inconclusive,
            format!(
                "Nothing is shown: the job failed by itself, though {}{said}",
                words::gone(counted)
            ),
        ),
        Blame::NotToBeTold => {
            let went = if counted.is_empty() {
                words::why_nothing_counts(facts)
            } else {
                words::gone(counted)
            };
            (
                Verdict::Inconclusive,
                format!("The job failed, and whether the interruption was the cause is not to be told; {went}{said}"),
            )
        }
    };
    let mut reasons = ending::reasons(facts);
    reasons.extend(failure.chain.iter().cloned());
    Judgement {
        verdict,
        sentence,
        reasons,
        failure: Some(failure),
    }
}

fn completed(facts: &Facts<'_>, run: &Run, counted: &[&InterruptionFacts], how: &str) -> Judgement {
    let lost = words::gone(counted);
    let (mut prices, unknown) = price::of(facts, run);
    if !prices.is_empty() {
        let sentence = format!("The job completed, at a price: {lost}. {}", prices[0]);
        prices.extend(unknown);
        return Judgement {
            verdict: Verdict::Degraded,
            sentence,
            reasons: prices,
            failure: None,
        };
    }
    if let Some(first) = unknown.first() {
        let sentence = format!("The job completed, but not all is known: {lost}, and {first}");
        return inconclusive(sentence, unknown);
    }
    Judgement {
        verdict: Verdict::Survived,
        sentence: format!("The job survived: {lost}, and {}.", words::capacity(counted)),
        reasons: words::survived(counted, how),
        failure: None,
    }
}
