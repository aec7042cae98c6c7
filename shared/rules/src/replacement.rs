//! Was what an interruption took made up for? Three answers, and a fourth where the evidence does not reach.
//!
//! EMR refills a pool to its target in units; it does not say "this instance replaces that one". So the question is
//! answered by accounting: units of instances that were asked for after the notice and came to work in the same
//! pool, less what the pool still lacked of its target. Growth that managed scaling asked for at the same time is
//! thus not taken for replacement.
//!
//! What counts is what could take work before the run's end. What the cluster did afterwards, that it came to its target
//! late or ended itself, changes nothing of what the job had to do without.

mod pool;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::cluster::{Instance, Pool};
use crate::interruption::{Interrupted, seen_earliest};

/// How long a replacement may take before its absence is held against the pool. An instance has to be found, started
/// and bootstrapped; a job that ends sooner after the loss shows nothing.
pub const PATIENCE: TimeDelta = TimeDelta::minutes(4);

/// What became of an interrupted instance's capacity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "replacement")]
pub enum Replacement {
    /// As many units came in its place.
    Replaced {
        /// The instances; one may stand for several, or a part of it.
        by: Vec<String>,
        /// Since when EMR has the last of them on its list: until then there was none to be had.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listed_at: Option<DateTime<Utc>>,
        /// When the last of them could take work.
        ready_at: DateTime<Utc>,
        /// Seconds from EC2's notice to that. `None`: no notice reached us.
        seconds_after_notice: Option<i64>,
        /// Seconds from the loss to that; negative when the replacement was there first.
        seconds_after_loss: i64,
    },
    /// It should have been, and was not.
    NotReplaced {
        /// What shows it.
        why: String,
    },
    /// Nobody had to: the job ended too soon after, or the target was lowered first.
    NotExpected {
        /// Whose doing that is.
        #[serde(default)]
        excuse: Excuse,
        /// What shows it.
        why: String,
    },
    /// The evidence does not reach.
    Unknown {
        /// What is missing.
        why: String,
    },
}

/// Why nobody had to replace an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excuse {
    /// The job was over when it went, or too soon after: until then its units were missing.
    #[default]
    JobEnded,
    /// Its units were not asked for any more.
    TargetLowered,
    /// The pool had what was asked for without it.
    AtTarget,
    /// It was the primary node, with which the cluster ends.
    PrimaryNode,
}

/// What is known of a cluster's capacity around the interruptions.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Every instance that the cluster had around the run.
    pub instances: &'a [Instance],
    /// What was asked for when the experiment began. `None`: nobody looked.
    pub pools_at_start: Option<&'a [Pool]>,
    /// What was asked for when the step ended. `None`: nobody looked in time.
    pub pools_at_end: Option<&'a [Pool]>,
    /// What is asked for at the time of the report. `None`: nobody can tell any more.
    pub pools_now: Option<&'a [Pool]>,
    /// Whether managed scaling may change what is asked for. Asked only where nobody looked when the step ended, or saw more
    /// nodes than were asked for: else `None`.
    pub is_scaled: Option<bool>,
    /// When the run ended: the application's end where its log tells, else the step's.
    pub run_ended_at: DateTime<Utc>,
    /// It may have gone on after that.
    pub run_may_go_on: bool,
}

/// Answers for each interrupted instance, by its id.
pub fn assess(interrupted: &[Interrupted], evidence: &Evidence<'_>) -> BTreeMap<String, Replacement> {
    let mut pools: BTreeMap<Option<&str>, Vec<&Interrupted>> = BTreeMap::new();
    for one in interrupted {
        pools.entry(one.pool_id.as_deref()).or_default().push(one);
    }
    let instances = seen_earliest(evidence.instances, interrupted.iter());
    let evidence = &Evidence {
        instances: &instances,
        ..*evidence
    };
    let mut answers = BTreeMap::new();
    for (pool_id, lost) in pools {
        match pool_id {
            Some(pool_id) => answers.extend(pool::assess(pool_id, lost, evidence)),
            None => answers.extend(lost.into_iter().map(|one| {
                let why = "EMR does not list the instance, so its fleet or group is not known".to_owned();
                (one.instance_id.clone(), Replacement::Unknown { why })
            })),
        }
    }
    answers
}
