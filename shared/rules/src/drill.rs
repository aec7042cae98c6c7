//! A drill's life: the chain from a step to its experiments and to the report, as the ledger keeps it.
//!
//! `Waiting → Starting → Started | GaveUp | Refused | Unknown`. What is going to be done is written before
//! it is done: the step into `Starting` names the victims and the token, so that whoever finds the item after a crash
//! asks FIS for the very same experiment, and never for a second one.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::cluster::Pool;
use crate::used::Used;
use crate::victim::Victim;

/// How far a drill has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillState {
    /// Somebody works on it, and waits for the delay and for Spot capacity. Older items say `claimed` before the wait.
    #[serde(alias = "claimed")]
    Waiting,
    /// An experiment is being asked for: it may exist, or not.
    Starting,
    /// At least one experiment exists.
    Started,
    /// There was no chance: capacity did not come, or the step ended first.
    GaveUp,
    /// It must not run.
    Refused,
    /// An experiment was asked for, and whether it exists could not be found out.
    Unknown,
}

/// One experiment of a drill; most drills have one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// 1 for the first.
    pub number: u32,
    /// FIS's client token, the same for the same cluster, step and wave.
    pub token: String,
    /// Whom it is to interrupt, chosen before it starts.
    pub victims: Vec<Victim>,
    /// Let FIS resolve the victims only, and interrupt nobody.
    pub preview: bool,
    /// The throw-away template. `None`: not made yet, or deleted.
    pub template_id: Option<String>,
    /// The experiment, once FIS has answered.
    pub experiment_id: Option<String>,
    /// When we asked for it.
    pub asked_at: Option<DateTime<Utc>>,
    /// The experiment's last status that we saw: `completed`, `failed`, `stopped`, `cancelled`, …
    pub status: Option<String>,
    /// FIS's words on that status.
    pub reason: Option<String>,
    /// The ARNs that FIS resolved; must all be victims'.
    pub resolved: Vec<String>,
}

impl Wave {
    /// Has the experiment come to an end?
    pub fn is_over(&self) -> bool {
        self.status.as_deref().is_some_and(is_end_status)
    }
}

/// Is this an experiment's end? <https://docs.aws.amazon.com/fis/latest/APIReference/API_ExperimentState.html>
pub fn is_end_status(status: &str) -> bool {
    matches!(status, "completed" | "failed" | "stopped" | "cancelled")
}

/// The step's end, as write-report saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// `COMPLETED`, `FAILED`, `CANCELLED`.
    pub state: String,
    /// When the step ended, or when we learned of it where EMR does not say.
    pub at: DateTime<Utc>,
}

impl Finished {
    /// Had the step completed?
    pub fn has_completed(&self) -> bool {
        self.state == "COMPLETED"
    }
}

/// The report, as the ledger remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// `survived`, `degraded`, `failed`, `inconclusive`.
    pub verdict: String,
    /// `s3://…/`
    pub location: String,
    /// How many pieces the report had to do without.
    pub missing: usize,
    /// How long the step ran.
    pub run_seconds: Option<i64>,
    /// How many of the cluster's instances were interrupted around the run.
    pub interrupted: usize,
    /// The application may have run on after the step: how long the step ran says nothing of the job, and what was
    /// interrupted around it need not be all.
    #[serde(default)]
    pub outlived: bool,
    /// How many rows it wrote. `None`: they were not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Lambda's request id of the invocation that wrote it. Its retry tells the verdict again, since nobody may have
    /// heard it the first time; nobody else does.
    #[serde(default)]
    pub by: Option<String>,
}

/// An interim report, as the ledger remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interim {
    /// When its facts were looked at.
    pub at: DateTime<Utc>,
    /// `s3://…/`
    pub location: String,
}

/// A drill, one ledger item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// `j-…`
    pub cluster_id: String,
    /// `s-…`
    pub step_id: String,
    /// The job that the step is a run of, by [`crate::job`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub job: Option<String>,
    /// When the step began.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_at: Option<DateTime<Utc>>,
    /// How far it has come. `None`: start-experiment has not seen the step.
    pub state: Option<DrillState>,
    /// Why, where it ended without an experiment.
    pub reason: Option<String>,
    /// Lambda's request id of the invocation that works on it: a retry has the same one, a duplicate another.
    pub holder: Option<String>,
    /// Until when that invocation can be alive. `None`: nobody works on it any more.
    pub lease_until: Option<DateTime<Utc>>,
    /// The experiments.
    pub waves: Vec<Wave>,
    /// What was asked for in capacity when the first experiment began.
    pub pools: Vec<Pool>,
    /// What was asked for in capacity when the step ended, as write-report saw it in time.
    #[serde(default)]
    pub pools_at_end: Vec<Pool>,
    /// Does the experiment template name a stop condition?
    pub has_stop_condition: Option<bool>,
    /// Why the stop condition's alarm could not be looked at before an experiment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alarm_unknown: Option<String>,
    /// What the invocation of start-experiment that ended the drill had used by then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub used: Option<Used>,
    /// The step's end.
    pub finished: Option<Finished>,
    /// The report.
    pub report: Option<Written>,
    /// The report of a step that still ran long after its losses.
    #[serde(default)]
    pub interim: Option<Interim>,
    /// Counts the writes; each one is conditional on the last.
    pub version: u64,
}

impl Drill {
    /// A drill of which nothing is known yet.
    pub fn new(cluster_id: &str, step_id: &str) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            step_id: step_id.into(),
            job: None,
            started_at: None,
            state: None,
            reason: None,
            holder: None,
            lease_until: None,
            waves: Vec::new(),
            pools: Vec::new(),
            pools_at_end: Vec::new(),
            has_stop_condition: None,
            alarm_unknown: None,
            used: None,
            finished: None,
            report: None,
            interim: None,
            version: 0,
        }
    }

    /// May this invocation work on the drill? A retry of the holder may at once; another only when the holder's
    /// lease has run out; nobody when the work is done.
    pub fn may_take(&self, request_id: &str, now: DateTime<Utc>) -> bool {
        match (self.state, self.lease_until) {
            (None, _) => self.finished.is_none(),
            (Some(_), None) => false,
            (Some(_), Some(until)) => self.holder.as_deref() == Some(request_id) || until < now,
        }
    }

    /// The wave with this number, if it was begun.
    pub fn wave(&self, number: u32) -> Option<&Wave> {
        self.waves.iter().find(|wave| wave.number == number)
    }

    /// The same, to change it.
    pub fn wave_mut(&mut self, number: u32) -> Option<&mut Wave> {
        self.waves.iter_mut().find(|wave| wave.number == number)
    }

    /// The experiments that exist.
    pub fn experiments(&self) -> Vec<String> {
        self.waves
            .iter()
            .filter_map(|wave| wave.experiment_id.clone())
            .collect()
    }

    /// FIS's client token: at most one experiment for each cluster, step and wave.
    pub fn token(&self, wave: u32) -> String {
        format!("{}-{}-{wave}", self.cluster_id, self.step_id)
    }
}

/// How long after asking for an experiment the same token may be used again. FIS does not say how long it remembers
/// tokens; later than this we look for the experiment instead.
pub const TOKEN_TRUSTED: TimeDelta = TimeDelta::minutes(10);

/// One drill at a time per cluster: who has it, and until when at the latest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The cluster.
    pub cluster_id: String,
    /// The step whose drill has it, or had it last.
    pub step_id: String,
    /// When its drill ended, if it was let go; else when it runs out by itself.
    pub until: DateTime<Utc>,
    /// Was it let go?
    pub released: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_retry_takes_over_at_once_and_a_duplicate_only_after_the_lease() {
        let mut drill = Drill::new("j-A", "s-A");
        assert!(drill.may_take("first", at(0)));
        drill.state = Some(DrillState::Waiting);
        drill.holder = Some("first".into());
        drill.lease_until = Some(at(900));
        assert!(drill.may_take("first", at(60)));
        assert!(!drill.may_take("second", at(60)));
        assert!(!drill.may_take("second", at(900)), "until then the holder can be alive");
        assert!(drill.may_take("second", at(901)));
    }

    #[test]
    fn a_drill_that_an_older_version_claimed_waits() {
        for word in ["claimed", "waiting"] {
            assert_eq!(
                serde_json::from_value::<DrillState>(word.into()).unwrap(),
                DrillState::Waiting
            );
        }
        assert_eq!(serde_json::to_value(DrillState::Waiting).unwrap(), "waiting");
    }

    #[test]
    fn a_finished_step_and_a_final_drill_are_left_alone() {
        let mut drill = Drill::new("j-A", "s-A");
        drill.finished = Some(Finished {
            state: "COMPLETED".into(),
            at: at(0),
        });
        assert!(!drill.may_take("first", at(0)));
        let mut drill = Drill::new("j-A", "s-A");
        drill.state = Some(DrillState::Started);
        drill.holder = Some("first".into());
        assert!(!drill.may_take("first", at(9999)));
    }

    #[test]
    fn a_step_had_completed_if_emr_called_it_so_at_its_end() {
        let completed = |state: &str| {
            Finished {
                state: state.into(),
                at: at(0),
            }
            .has_completed()
        };
        assert!(completed("COMPLETED") && !completed("FAILED") && !completed("CANCELLED"));
    }

    fn wave(number: u32) -> Wave {
        Wave {
            number,
            token: format!("token {number}"),
            victims: Vec::new(),
            preview: false,
            template_id: None,
            experiment_id: None,
            asked_at: None,
            status: None,
            reason: None,
            resolved: Vec::new(),
        }
    }

    #[test]
    fn an_experiment_is_over_in_each_of_the_states_that_it_never_leaves_and_in_no_other() {
        let is_over = |status: Option<&str>| {
            let status = status.map(str::to_owned);
            Wave { status, ..wave(1) }.is_over()
        };
        for end in ["completed", "failed", "stopped", "cancelled"] {
            assert!(is_over(Some(end)), "{end}");
        }
        for way in ["pending", "initiating", "running", "stopping"] {
            assert!(!is_over(Some(way)), "{way}");
        }
        assert!(!is_over(None));
    }

    #[test]
    fn a_wave_is_known_by_its_number_and_has_an_experiment_once_fis_has_answered() {
        let mut drill = Drill::new("j-A", "s-A");
        drill.waves = vec![wave(2), wave(1), wave(3)];
        assert_eq!(drill.wave(1).map(|wave| wave.token.as_str()), Some("token 1"));
        assert!(drill.wave(4).is_none() && drill.wave_mut(4).is_none());
        assert_eq!(drill.experiments(), [""; 0]);
        drill.wave_mut(1).unwrap().experiment_id = Some("EXP1".into());
        drill.wave_mut(3).unwrap().experiment_id = Some("EXP3".into());
        assert_eq!(drill.experiments(), ["EXP1", "EXP3"]);
        assert!(drill.wave(2).unwrap().experiment_id.is_none());
    }

    #[test]
    fn a_token_is_the_same_for_the_same_wave_only() {
        let token = |cluster, step, wave| Drill::new(cluster, step).token(wave);
        assert_eq!(token("j-A", "s-A", 1), token("j-A", "s-A", 1));
        let others = [token("j-A", "s-A", 2), token("j-A", "s-B", 1), token("j-B", "s-A", 1)];
        assert!(
            others.iter().all(|other| *other != token("j-A", "s-A", 1)),
            "{others:?}"
        );
    }
}
