//! What an invocation came to, as a value: it is Lambda's answer, one line of the log, and what a destination gets.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a function answers when nothing failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// Not for us, or already done.
    Ignored {
        /// Why, in words.
        reason: String,
    },
    /// A drill that must not run; the reason is in the ledger too.
    Refused {
        /// Why, in words.
        reason: String,
    },
    /// A drill that could not run: capacity did not come, the step ended first.
    GaveUp {
        /// Why, in words.
        reason: String,
    },
    /// Experiments were started.
    Drilled {
        /// FIS's ids, in the order of the waves.
        experiments: Vec<String>,
    },
    /// A report was written.
    Reported(Reported),
    /// A sweep went over the finished steps of the last hours.
    Swept {
        /// Steps looked at.
        steps: usize,
        /// Reports written for steps that had none.
        reported: Vec<Reported>,
        /// Drills whose steps still run long after their losses, told of for the first time.
        not_recovered: Vec<NotRecovered>,
        /// Leaked throw-away experiment templates that were deleted.
        templates_deleted: usize,
        /// Clusters looked at.
        clusters: usize,
        /// Clusters that the next sweep looks at first: this one ran out of time, or of EMR's quota.
        clusters_left: usize,
        /// What could not be looked at or reported on, and why; the first of it.
        problems: Vec<String>,
    },
    /// What is new in the index of all reports.
    Digest(Digest),
    /// A step was added.
    Submitted {
        /// The cluster.
        cluster_id: String,
        /// The step.
        step_id: String,
        /// Objects deleted from the results' prefix before.
        objects_deleted: usize,
    },
}

impl Outcome {
    /// Not for us, or already done.
    pub fn ignored(reason: impl Into<String>) -> Self {
        Self::Ignored { reason: reason.into() }
    }
}

/// The last seven days, as the index of all reports knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Digest {
    /// All of it, in a few sentences.
    pub sentence: String,
    /// Drills that began in these days.
    pub drills: usize,
    /// How many of these came to `failed`, `degraded`, `inconclusive` and `survived`.
    pub verdicts: BTreeMap<String, usize>,
    /// Jobs that showed something worse than before.
    pub worse: Vec<String>,
    /// Jobs that showed something better than before.
    pub better: Vec<String>,
    /// The jobs whose latest drill failed or was degraded, the worst first.
    pub riskiest: Vec<String>,
    /// Where the index lies: `s3://…/index.html`.
    pub index: String,
}

/// A drill whose step still runs long after its losses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotRecovered {
    /// "Not recovered after 60 minutes: …"
    pub sentence: String,
    /// Where the folder of its interim report lies: `s3://…/`.
    pub report: String,
    /// Minutes since its last experiment.
    pub minutes: i64,
}

/// A report that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reported {
    /// `survived`, `degraded`, `failed` or `inconclusive`.
    pub verdict: String,
    /// The report's first sentence.
    pub sentence: String,
    /// Where the report's folder lies: `s3://…/`.
    pub report: String,
    /// Is it the first for its step?
    pub first: bool,
    /// Was an experiment started for the step?
    pub drilled: bool,
    /// How many instances the drill's experiments interrupted.
    pub victims: u64,
    /// From each notice to the time when its replacement was ready, in seconds, where both are known.
    pub seconds_to_replace: Vec<i64>,
    /// From the step's end to the report, in seconds.
    pub lag_seconds: Option<i64>,
}
