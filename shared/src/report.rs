//! The report: everything that a drill showed, with its evidence, as JSON and as one self-contained page.
//!
//! The struct is the schema. A field is added freely; one that changes its meaning or goes needs a new [`SCHEMA`].

mod page;
mod spark;
mod timeline;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use spark::{ExecutorRow, Spark, StageRow};

use crate::capacity::Capacity;
use crate::cluster::Pool;
use crate::drill::DrillState;
use crate::finding::Finding;
use crate::interruption::Interrupted;
use crate::replacement::Replacement;
use crate::step::Step;
use crate::verdict::Judgement;

/// Name and version of the JSON's schema.
pub const SCHEMA: &str = "spot-drill-report/1";

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Verdict, sentence, reasons.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// The cluster.
    pub cluster: ClusterFacts,
    /// The step, after its end.
    pub step: Step,
    /// How long it ran.
    pub run_seconds: Option<i64>,
    /// What start-experiment did.
    pub drill: DrillFacts,
    /// Who was interrupted while the step ran, and what became of their capacity.
    pub interruptions: Vec<InterruptionFacts>,
    /// Task capacity over time. `None`: EMR's list of instances could not be had.
    pub capacity: Option<Capacity>,
    /// What was asked for in task capacity, when the first experiment began and when the step ended.
    pub targets: Targets,
    /// What Spark's event log says. `None`: see `missing`.
    pub spark: Option<Spark>,
    /// What the job wrote. `None`: see `missing`.
    pub output: Option<Output>,
    /// What the drill cost.
    pub cost: Cost,
    /// Hidden weaknesses.
    pub findings: Vec<Finding>,
    /// The pieces that this report had to do without.
    pub missing: Vec<Missing>,
    /// When the last of the facts was looked at.
    pub observed_at: DateTime<Utc>,
}

/// The cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterFacts {
    /// `j-…`
    pub id: String,
    /// Its name, if it could be had.
    pub name: Option<String>,
    /// EMR's release.
    pub release_label: Option<String>,
    /// Its state when last looked at.
    pub state: Option<String>,
}

/// What start-experiment did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillFacts {
    /// How far it came. `None`: it never saw the step.
    pub state: Option<DrillState>,
    /// Why there was no experiment, if there was none.
    pub reason: Option<String>,
    /// Does the experiment template name a stop condition?
    pub has_stop_condition: Option<bool>,
    /// The experiments.
    pub experiments: Vec<ExperimentFacts>,
}

/// One experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentFacts {
    /// 1 for the first.
    pub wave: u32,
    /// `EXP…`
    pub experiment_id: Option<String>,
    /// Its end state, or the last one seen.
    pub status: Option<String>,
    /// FIS's words on it.
    pub reason: Option<String>,
    /// Only resolved its targets?
    pub preview: bool,
    /// Whom it was to interrupt.
    pub victims: Vec<String>,
    /// The ARNs that FIS resolved.
    pub resolved: Vec<String>,
    /// Are all of them victims?
    pub resolved_are_victims: bool,
    /// When we asked for it.
    pub asked_at: Option<DateTime<Utc>>,
    /// When FIS began.
    pub started_at: Option<DateTime<Utc>>,
    /// When FIS ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// One interrupted instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterruptionFacts {
    /// Who, when, by whom.
    #[serde(flatten)]
    pub interrupted: Interrupted,
    /// What became of its capacity.
    #[serde(flatten)]
    pub replacement: Replacement,
}

impl From<(Interrupted, Replacement)> for InterruptionFacts {
    fn from((interrupted, replacement): (Interrupted, Replacement)) -> Self {
        Self {
            interrupted,
            replacement,
        }
    }
}

/// Targets of the task fleet or groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// When the first experiment began.
    pub at_start: Option<Vec<Pool>>,
    /// When the step ended.
    pub at_end: Option<Vec<Pool>>,
}

/// What the job wrote, by the guess that its last argument is its output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// `s3://…/`
    pub location: String,
    /// Is there a `_SUCCESS`?
    pub has_success_marker: bool,
    /// Objects besides markers.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The same of the baseline's prefix, if one is set.
    pub baseline: Option<Baseline>,
}

/// The output of a run without interruptions, to compare with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// `s3://…/`
    pub location: String,
    /// Objects besides markers.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// What the drill cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// How long FIS's actions ran, added up; FIS bills action-minutes. <https://aws.amazon.com/fis/pricing/>
    pub fis_action_seconds: i64,
    /// How long the undisturbed runs of the job took, in the middle. `None`: there is none on record.
    pub median_undisturbed_seconds: Option<i64>,
    /// Of how many runs.
    pub undisturbed_runs: usize,
    /// How much longer this one took, in percent; negative when it was faster.
    pub slowdown_percent: Option<i64>,
    /// Capacity units missing × seconds.
    pub unit_seconds_lost: Option<i64>,
    /// Spark's task time that was lost or spent again.
    pub lost_task_ms: Option<u64>,
}

/// A piece that the report had to do without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Missing {
    /// Which: `event log`, `spot request status`, …
    pub what: String,
    /// Why, in words.
    pub why: String,
}

impl Report {
    /// The JSON, the same bytes for the same report.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The page.
    pub fn to_html(&self) -> Result<String, askama::Error> {
        page::render(self)
    }
}
