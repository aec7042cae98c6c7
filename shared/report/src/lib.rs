//! The report: everything that a drill showed, with its evidence, as JSON and as one self-contained page.
//!
//! The struct is the schema. A field is added freely; one that changes its meaning or goes needs a new [`SCHEMA`].

pub mod finding;
pub mod index;
mod page;
pub mod price;
#[cfg(test)]
mod sample;
pub mod secret;
mod spark;
mod text;
mod time_lost;
pub mod what_if;
mod words;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use finding::{Finding, Severity};
pub use spark::{AttemptRow, ExecutorRow, Spark, StageRow};
pub use text::Text;
pub use time_lost::TimeLost;
pub use what_if::WhatIf;

use rules::application::Run;
use rules::capacity::Capacity;
use rules::cluster::{ManagedScaling, Pool};
use rules::drill::DrillState;
use rules::hit::InterruptionFacts;
use rules::step::Step;
use rules::used::Used;
use rules::verdict::{Judgement, Verdict};

/// Name and version of the JSON's schema.
pub const SCHEMA: &str = "spot-drill-report/1";

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Was it written while the step still ran? Then its one to come takes its place.
    #[serde(default)]
    pub interim: bool,
    /// Verdict, sentence, reasons.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// The cluster.
    pub cluster: ClusterFacts,
    /// The step, after its end.
    pub step: Step,
    /// How long it ran.
    pub run_seconds: Option<i64>,
    /// The run that counts for what was lost in it. `None`: EMR does not say when the step ran.
    #[serde(default)]
    pub run: Option<Run>,
    /// Why COMPLETED would say nothing of the application, in words. `None`: it does.
    #[serde(default)]
    pub completed_doubt: Option<String>,
    /// What start-experiment did.
    pub drill: DrillFacts,
    /// Which of the cluster's instances were interrupted around the run, how each bears upon it, and what became of
    /// their capacity.
    pub interruptions: Vec<InterruptionFacts>,
    /// Task capacity over time. `None`: EMR's list of instances could not be had.
    pub capacity: Option<Capacity>,
    /// What was asked for in task capacity, when the first experiment began and when the step ended.
    pub targets: Targets,
    /// What Spark's event log says. `None`: see `missing`.
    pub spark: Option<Spark>,
    /// What the job wrote. `None`: see `missing`.
    pub output: Option<Output>,
    /// What the same losses would have done at another moment. `None`: there is no event log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what_if: Option<WhatIf>,
    /// What the drill cost.
    pub cost: Cost,
    /// Hidden weaknesses.
    pub findings: Vec<Finding>,
    /// The pieces that this report had to do without.
    pub missing: Vec<Missing>,
    /// When the last of the facts was looked at.
    pub observed_at: DateTime<Utc>,
    /// Earlier runs of the job whose reports are on record, the latest first.
    #[serde(default)]
    pub earlier_runs: Vec<EarlierRun>,
    /// Earlier reports of the same step whose place this one took, because it had to do without less.
    #[serde(default)]
    pub revisions: Vec<Revision>,
}

/// An earlier run of the job, as the ledger remembers its report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierRun {
    /// `j-…`
    pub cluster_id: String,
    /// `s-…`
    pub step_id: String,
    /// When the step began.
    pub started_at: Option<DateTime<Utc>>,
    /// What its report said.
    pub verdict: Verdict,
    /// How long it ran.
    pub run_seconds: Option<i64>,
    /// How many of the cluster's instances were interrupted around it.
    pub interrupted: usize,
}

/// An earlier report of the same step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// When its facts were looked at.
    pub observed_at: DateTime<Utc>,
    /// What it said.
    pub verdict: Verdict,
    /// What it had to do without, and its successor had not.
    pub missing: Vec<Missing>,
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
    /// EMR's words on why it is in that state: why it ended, if it did.
    #[serde(default)]
    pub reason: Option<String>,
    /// The Availability Zone in which all its instances are.
    #[serde(default)]
    pub availability_zone: Option<String>,
    /// The subnets that it was asked to choose among. Empty: EMR chose one by itself, or it is not known.
    #[serde(default)]
    pub subnets: Vec<String>,
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
    /// Why its alarm could not be looked at before an experiment, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_unknown: Option<String>,
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

/// Targets of the fleets or groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// When the first experiment began.
    pub at_start: Option<Vec<Pool>>,
    /// When the step ended.
    pub at_end: Option<Vec<Pool>>,
    /// Whether EMR itself changes them. `None`: it was not asked, since the targets at both times tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_scaling: Option<ManagedScaling>,
}

/// How the output's place is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputNamedBy {
    /// The step's or the cluster's setting `spark.spotDrill.output`.
    Setting,
    /// The cluster's tag `spot-drill:output`.
    Tag,
    /// The deployment's pattern, which an argument of the step matches.
    Pattern,
    /// A guess: the application's last argument.
    #[default]
    LastArgument,
}

/// What the job wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// `s3://…/`
    pub location: String,
    /// How that is known.
    #[serde(default)]
    pub named_by: OutputNamedBy,
    /// Is there a `_SUCCESS` of this run? One that is older is none.
    pub has_success_marker: bool,
    /// Why a run that ended well may leave none: a table, dynamic partition overwrite, a setting. `None`: it should.
    #[serde(default)]
    pub no_marker_because: Option<String>,
    /// Objects besides markers that were written while the job ran.
    #[serde(default)]
    pub objects_of_run: usize,
    /// Objects besides markers that are older than the run, in folders into which it wrote.
    #[serde(default)]
    pub objects_beside: usize,
    /// Rows of the objects of this run. `None`: they were not counted.
    #[serde(default)]
    pub rows: Option<u64>,
    /// Why they were not, if they were to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_unknown: Option<String>,
    /// Rows that the job's last undisturbed run wrote, if they were counted.
    #[serde(default)]
    pub rows_undisturbed: Option<u64>,
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
    /// Their rows. `None`: they were not counted.
    #[serde(default)]
    pub rows: Option<u64>,
}

/// What the drill cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// How long FIS's actions ran, added up; FIS bills action-minutes. <https://aws.amazon.com/fis/pricing/>
    pub fis_action_seconds: i64,
    /// What FIS bills for it, in US dollars, at most.
    #[serde(default)]
    pub fis_usd: f64,
    /// What a unit of task capacity costs for an hour, in US dollars, as the deployment says.
    #[serde(default)]
    pub unit_hour_usd: Option<f64>,
    /// What the task capacity cost at that price while the run only failed and repeated work, in US dollars.
    #[serde(default)]
    pub run_lost_usd: Option<f64>,
    /// How long the undisturbed runs of the job took, in the middle. `None`: there is none on record.
    pub median_undisturbed_seconds: Option<i64>,
    /// Of how many runs.
    pub undisturbed_runs: usize,
    /// How long the job's disturbed runs took, in the middle, this one aside. `None`: there is none on record.
    #[serde(default)]
    pub median_disturbed_seconds: Option<i64>,
    /// Of how many runs.
    #[serde(default)]
    pub disturbed_runs: usize,
    /// How much longer this one took, in percent; negative when it was faster.
    pub slowdown_percent: Option<i64>,
    /// Capacity units missing × seconds.
    pub unit_seconds_lost: Option<i64>,
    /// Seconds in which the application only failed and repeated work. `None`: no event log tells, or the job failed.
    #[serde(default)]
    pub run_seconds_lost: Option<i64>,
    /// Spark's task time that was lost or spent again.
    pub lost_task_ms: Option<u64>,
    /// What that time cost, in US dollars, at the share of an instance that a task had. It is another view of the loss than
    /// [`Cost::run_lost_usd`], and no part of it.
    #[serde(default)]
    pub task_lost_usd: Option<f64>,
    /// What our own functions used, as far as it is known: start-experiment's of the drill, write-report's until this report
    /// was put together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<OwnUse>,
}

/// What one of our functions used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnUse {
    /// `start-experiment`, `write-report`.
    pub function: String,
    /// Its time and calls.
    #[serde(flatten)]
    pub used: Used,
    /// What Lambda bills for the time, in GB-seconds. `None`: its memory is not known.
    pub gb_seconds: Option<f64>,
}

impl OwnUse {
    /// A function's.
    pub fn new(function: &str, used: Used) -> Self {
        Self {
            function: function.into(),
            gb_seconds: used.gb_seconds(),
            used,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_back_as_it_was_written_and_is_the_same_bytes_again() {
        let report = sample::workshop();
        let bytes = report.to_json().unwrap();
        let read: Report = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&read, read.to_json().unwrap()), (&report, bytes.clone()));
        assert!(bytes.ends_with(b"}\n"), "a text file's last line ends");
    }
}
