//! What took an instance away, when, and whether it was us.
//!
//! Several witnesses, none of which is complete: FIS on what our experiment did, the warnings (best effort), EC2's Spot
//! request status codes (forgotten an hour after), YARN by way of Spark's event log, EMR. The report joins them.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::application::Application;
use crate::cluster::{Instance, Role};
use crate::ledger;

/// Who interrupted an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum Cause {
    /// This step's experiment.
    Experiment {
        /// FIS's id.
        experiment_id: String,
    },
    /// An experiment that is not this step's: another step's drill, or somebody's own.
    OtherExperiment,
    /// EC2 itself: no capacity, or the price.
    Natural,
    /// No witness says.
    Unknown,
}

/// What an action of an experiment did: FIS had EC2 interrupt these instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// FIS's id of the experiment.
    pub experiment_id: String,
    /// EC2's ids.
    pub instance_ids: Vec<String>,
    /// When the action began.
    pub began_at: DateTime<Utc>,
    /// When it ended, whatever came of it.
    pub ended_at: Option<DateTime<Utc>>,
    /// From the action's begin to the interruption: the notice comes two minutes before that.
    ///
    /// <https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html#send-spot-instance-interruptions>
    pub before_interruption: TimeDelta,
}

/// From EC2's notice to the interruption.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html>
pub const NOTICE: TimeDelta = TimeDelta::minutes(2);
/// How much later than FIS asked for it a notice may come, where the action does not say that it was still at it.
const NOTICE_LATE: TimeDelta = TimeDelta::seconds(30);
/// How far the clocks of two services may be apart; a warning's time is in whole seconds.
const CLOCKS: TimeDelta = TimeDelta::seconds(5);
/// How long EC2 takes to end an instance, and EMR to see it.
const GOING: TimeDelta = TimeDelta::seconds(90);

impl Act {
    /// Was it this action that interrupted the instance? Being named is not enough: the notice, or where no notice is
    /// on record the loss, has to lie where the action put it. An instance has one notice only.
    fn did(&self, instance_id: &str, noticed_at: Option<DateTime<Utc>>, lost_at: Option<DateTime<Utc>>) -> bool {
        if !self.instance_ids.iter().any(|id| id == instance_id) {
            return false;
        }
        let due = self.began_at + (self.before_interruption - NOTICE).max(TimeDelta::zero());
        let latest = self.ended_at.unwrap_or(due).max(due + NOTICE_LATE) + CLOCKS;
        match (noticed_at, lost_at) {
            (Some(noticed), _) => noticed + TimeDelta::seconds(1) > self.began_at && noticed <= latest,
            // Where nobody saw the notice, one that went before its time is not known to be this action's: times are in whole
            // seconds, and another experiment may have hit it a moment before.
            (None, Some(lost)) => lost + TimeDelta::seconds(1) > due + NOTICE && lost <= latest + NOTICE + GOING,
            (None, None) => true,
        }
    }
}

/// How EC2 describes the end of a Spot request.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-request-status.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpotStatus {
    /// `instance-terminated-by-experiment`, `instance-terminated-no-capacity`, …
    pub code: String,
    /// When it came to be so.
    pub at: Option<DateTime<Utc>>,
}

impl SpotStatus {
    fn cause(&self) -> Option<Cause> {
        match self.code.as_str() {
            code if code.ends_with("-by-experiment") => Some(Cause::OtherExperiment),
            _ if self.is_natural() => Some(Cause::Natural),
            _ => None,
        }
    }

    fn is_natural(&self) -> bool {
        ["no-capacity", "by-price", "capacity-oversubscribed"]
            .iter()
            .any(|word| self.code.contains(word))
    }

    /// Does it say only that the request is fulfilled?
    pub fn is_plain(&self) -> bool {
        self.code == "fulfilled"
    }

    /// Does it speak of an interruption, whoever's? `marked-for-termination` does not say whose.
    fn is_interruption(&self) -> bool {
        self.code.starts_with("marked-for-") || self.cause().is_some()
    }

    /// When EC2 ended the instance, if the status tells that. When EC2 needs the capacity back, the final status is set
    /// with the notice already, while the instance still runs.
    ///
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instances-request-status-lifecycle.html>
    fn ended_at(&self) -> Option<DateTime<Utc>> {
        self.at
            .filter(|_| self.code.starts_with("instance-") && !self.is_natural())
    }

    /// When EC2 gave notice, if the status tells that.
    fn noticed_at(&self) -> Option<DateTime<Utc>> {
        self.at.filter(|_| {
            self.code.starts_with("marked-for-") || (self.is_natural() && self.code.starts_with("instance-"))
        })
    }
}

/// Who saw first that an instance was gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossWitness {
    /// EC2: the Spot request's status.
    Ec2,
    /// EC2's notice, which names the time two minutes ahead, and EMR or EC2 found it kept.
    Notice,
    /// YARN, as Spark's driver was told.
    Yarn,
    /// EMR: the latest of all.
    Emr,
}

/// One of the cluster's instances that was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupted {
    /// EC2's id.
    pub instance_id: String,
    /// What it was for.
    #[serde(default)]
    pub role: Option<Role>,
    /// EC2's instance type.
    pub instance_type: Option<String>,
    /// Its name inside the VPC.
    pub private_dns_name: Option<String>,
    /// Its fleet or group.
    pub pool_id: Option<String>,
    /// How many units it counted.
    pub units: u32,
    /// When EC2 gave notice. `None`: no warning reached us, and no status tells.
    pub noticed_at: Option<DateTime<Utc>>,
    /// How often the warning was delivered.
    pub warnings: u64,
    /// How long the warning was on its way.
    pub latency_ms: Option<i64>,
    /// When the instance was gone, by the earliest witness. `None`: it was not, when last looked at.
    pub terminated_at: Option<DateTime<Utc>>,
    /// Which witness that is.
    #[serde(default)]
    pub terminated_told_by: Option<LossWitness>,
    /// Who did it.
    #[serde(flatten)]
    pub cause: Cause,
    /// EC2's status code of its Spot request, where EC2 still knew it.
    pub spot_status: Option<String>,
    /// EMR's words on why it ended.
    #[serde(default)]
    pub emr_reason: Option<String>,
}

impl Interrupted {
    /// When its notice fell due, by now, with nobody yet who saw it go.
    pub fn overdue_since(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let due = self.noticed_at? + NOTICE;
        (self.terminated_at.is_none() && due <= now).then_some(due)
    }

    /// EC2 has it no more: it went when its notice fell due.
    pub fn kept_its_notice(&mut self, due: DateTime<Utc>) {
        (self.terminated_at, self.terminated_told_by) = (Some(due), Some(LossWitness::Notice));
    }
}

/// The instances, with the earliest witness's word on when those that were interrupted went: EMR sees it late.
pub fn seen_earliest<'a>(
    instances: &[Instance],
    interrupted: impl Iterator<Item = &'a Interrupted> + Clone,
) -> Vec<Instance> {
    let mut instances = instances.to_vec();
    for instance in &mut instances {
        let hit = interrupted.clone().find(|one| one.instance_id == instance.instance_id);
        let told = [instance.ended_at, hit.and_then(|one| one.terminated_at)];
        instance.ended_at = told.into_iter().flatten().min();
    }
    instances
}

/// What the witnesses say of a cluster's instances around a step.
#[derive(Debug, Clone, Copy)]
pub struct Testimony<'a> {
    /// What this drill's experiments did.
    pub acts: &'a [Act],
    /// Victims of its experiments of which FIS does not say what they did: it could not be asked, or has no answer yet.
    pub untold: &'a [String],
    /// The warnings on record.
    pub warnings: &'a [ledger::Interruption],
    /// EC2's status of the Spot requests, by instance.
    pub statuses: &'a BTreeMap<String, SpotStatus>,
    /// EMR's list.
    pub instances: &'a [Instance],
    /// Spark's logs.
    pub application: Option<Application<'a>>,
}

impl Testimony<'_> {
    /// Joins what is known of these instances, for each that was interrupted.
    ///
    /// One of whom FIS says that it was to be interrupted counts only if something else says that it was hit: a
    /// warning or a status code. Managed scaling, people and the cluster's end take instances too; those carry neither.
    pub fn join(&self, ids: &[String]) -> Vec<Interrupted> {
        let mut joined: Vec<Interrupted> = ids.iter().filter_map(|id| self.interrupted(id)).collect();
        joined.sort_by_key(|one| (one.noticed_at.or(one.terminated_at), one.instance_id.clone()));
        joined
    }

    fn interrupted(&self, id: &str) -> Option<Interrupted> {
        let warnings: Vec<&ledger::Interruption> = self.warnings.iter().filter(|one| one.instance_id == id).collect();
        let first = warnings.iter().min_by_key(|warning| warning.noticed_at);
        let status = self.statuses.get(id);
        if first.is_none() && !status.is_some_and(SpotStatus::is_interruption) {
            return None;
        }
        let instance = self.instances.iter().find(|instance| instance.instance_id == id);
        let noticed_at = first
            .map(|warning| warning.noticed_at)
            .or_else(|| status.and_then(SpotStatus::noticed_at));
        let host = instance
            .map(|instance| instance.private_dns_name.clone())
            .filter(|name| !name.is_empty())
            .or_else(|| first.and_then(|warning| warning.private_dns_name.clone()));
        let loss = self.loss(noticed_at, status, instance, host.as_deref());
        let role = first.and_then(|warning| Role::parse(warning.role.as_deref()?));
        Some(Interrupted {
            instance_id: id.into(),
            role: instance.and_then(|instance| instance.role).or(role),
            instance_type: instance
                .map(|instance| instance.instance_type.clone())
                .or_else(|| first.and_then(|warning| warning.instance_type.clone())),
            private_dns_name: host,
            pool_id: instance.map(|instance| instance.pool_id.clone()),
            units: instance.map_or(1, |instance| instance.units),
            noticed_at,
            warnings: warnings.iter().map(|warning| warning.seen).sum(),
            latency_ms: first.and_then(|warning| warning.latency_ms),
            terminated_at: loss.map(|(at, _)| at),
            terminated_told_by: loss.map(|(_, witness)| witness),
            cause: self.cause(id, noticed_at, loss.map(|(at, _)| at), status),
            spot_status: status.map(|status| status.code.clone()),
            emr_reason: instance.and_then(|instance| instance.reason.clone().filter(|_| instance.ended_at.is_some())),
        })
    }

    /// The earliest honest word on when it was gone. No word is honest that lies before the notice.
    fn loss(
        &self,
        noticed_at: Option<DateTime<Utc>>,
        status: Option<&SpotStatus>,
        instance: Option<&Instance>,
        host: Option<&str>,
    ) -> Option<(DateTime<Utc>, LossWitness)> {
        let by_emr = instance.and_then(|instance| instance.ended_at);
        let by_ec2 = status.and_then(SpotStatus::ended_at);
        let latest = by_emr.into_iter().chain(by_ec2).max();
        let from = noticed_at.or(latest.map(|at| at - NOTICE - GOING));
        let by_yarn = from
            .zip(latest)
            .and_then(|(from, until)| self.application?.lost_host_at(host?, from, until));
        let kept = noticed_at
            .map(|at| at + NOTICE)
            .filter(|due| by_ec2.is_none() && by_emr.is_some_and(|at| at >= *due));
        [
            (by_ec2, LossWitness::Ec2),
            (by_yarn, LossWitness::Yarn),
            (kept, LossWitness::Notice),
            (by_emr, LossWitness::Emr),
        ]
        .into_iter()
        .filter_map(|(at, witness)| Some((at?, witness)))
        .filter(|(at, _)| noticed_at.is_none_or(|noticed| *at >= noticed))
        .min_by_key(|(at, _)| *at)
    }

    fn cause(
        &self,
        id: &str,
        noticed_at: Option<DateTime<Utc>>,
        lost_at: Option<DateTime<Utc>>,
        status: Option<&SpotStatus>,
    ) -> Cause {
        let said = status.and_then(SpotStatus::cause);
        let ours = self.acts.iter().find(|act| act.did(id, noticed_at, lost_at));
        // Ended by an experiment sooner than ours would have, with no notice on record: another's, or ours and somebody
        // was faster.
        let had_begun = |lost| {
            let mut acts = self
                .acts
                .iter()
                .filter(|act| act.instance_ids.iter().any(|one| one == id));
            acts.any(|act| lost >= act.began_at)
        };
        let is_untold = self.untold.iter().any(|one| one == id);
        let is_doubtful = is_untold || (noticed_at.is_none() && lost_at.is_some_and(had_begun));
        match (ours, said) {
            (None, Some(Cause::OtherExperiment)) if is_doubtful => Cause::Unknown,
            (_, Some(Cause::Natural)) => Cause::Natural,
            (Some(act), _) => Cause::Experiment {
                experiment_id: act.experiment_id.clone(),
            },
            (None, Some(cause)) => cause,
            (None, None) => Cause::Unknown,
        }
    }
}
