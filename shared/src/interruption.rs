//! What took an instance away, and whether it was us.
//!
//! Three witnesses, none of which is complete: the experiment's victims (ours), the warnings (best effort), and EC2's
//! Spot request status codes (forgotten an hour after). The report joins them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::cluster::TaskInstance;
use crate::drill::Drill;
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

/// How EC2 describes the end of a Spot request.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-request-status.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
            code if code.contains("no-capacity") || code.contains("by-price") => Some(Cause::Natural),
            _ => None,
        }
    }

    /// Does it speak of an interruption, whoever's? `marked-for-termination` does not say whose.
    fn is_interruption(&self) -> bool {
        self.code.starts_with("marked-for-") || self.cause().is_some()
    }
}

/// One of the cluster's task instances that was interrupted while the step ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupted {
    /// EC2's id.
    pub instance_id: String,
    /// EC2's instance type.
    pub instance_type: Option<String>,
    /// Its name inside the VPC.
    pub private_dns_name: Option<String>,
    /// Its fleet or group.
    pub pool_id: Option<String>,
    /// How many units it counted.
    pub units: u32,
    /// When EC2 gave notice. `None`: no warning reached us.
    pub noticed_at: Option<DateTime<Utc>>,
    /// How often the warning was delivered.
    pub warnings: u64,
    /// How long the warning was on its way.
    pub latency_ms: Option<i64>,
    /// When the instance was gone. `None`: it was not, when last looked at.
    pub terminated_at: Option<DateTime<Utc>>,
    /// Who did it.
    #[serde(flatten)]
    pub cause: Cause,
    /// EC2's status code of its Spot request, where EC2 still knew it.
    pub spot_status: Option<String>,
}

/// Joins the witnesses: victims of experiments that ran, warnings of this cluster in the step's time, status codes.
///
/// A victim whom FIS resolved counts only if something else says that it was hit: a warning, a status code, or its
/// end soon after. A completed experiment alone is FIS's word, not the instance's.
pub fn join(
    drill: Option<&Drill>,
    warnings: &[ledger::Interruption],
    statuses: &BTreeMap<String, SpotStatus>,
    instances: &[TaskInstance],
) -> Vec<Interrupted> {
    let experiments = experiments(drill);
    let mut ids: Vec<&str> = warnings.iter().map(|warning| warning.instance_id.as_str()).collect();
    ids.extend(
        statuses
            .iter()
            .filter(|(_, status)| status.is_interruption())
            .map(|(id, _)| id.as_str()),
    );
    ids.extend(experiments.keys().copied());
    ids.sort_unstable();
    ids.dedup();
    let mut joined: Vec<Interrupted> = ids
        .into_iter()
        .filter_map(|id| {
            let of_it: Vec<&ledger::Interruption> = warnings.iter().filter(|w| w.instance_id == id).collect();
            let instance = instances.iter().find(|instance| instance.instance_id == id);
            interrupted(id, &of_it, statuses.get(id), instance, experiments.get(id).copied())
        })
        .collect();
    joined.sort_by_key(|one| (one.noticed_at.or(one.terminated_at), one.instance_id.clone()));
    joined
}

/// The experiment that each victim belongs to, for experiments that were to interrupt.
fn experiments(drill: Option<&Drill>) -> BTreeMap<&str, &str> {
    let waves = drill.map(|drill| drill.waves.as_slice()).unwrap_or_default();
    waves
        .iter()
        .filter(|wave| !wave.preview)
        .filter_map(|wave| wave.experiment_id.as_deref().map(|experiment| (wave, experiment)))
        .flat_map(|(wave, experiment)| wave.victims.iter().map(move |v| (v.instance_id.as_str(), experiment)))
        .collect()
}

fn interrupted(
    id: &str,
    warnings: &[&ledger::Interruption],
    status: Option<&SpotStatus>,
    instance: Option<&TaskInstance>,
    experiment: Option<&str>,
) -> Option<Interrupted> {
    let first = warnings.iter().min_by_key(|warning| warning.noticed_at);
    // Managed scaling and the cluster's end take instances too; those carry no interruption's status code.
    if first.is_none() && !status.is_some_and(SpotStatus::is_interruption) {
        return None;
    }
    let natural = status.and_then(SpotStatus::cause) == Some(Cause::Natural);
    let cause = match (experiment, status.and_then(SpotStatus::cause)) {
        (Some(experiment), _) if !natural => Cause::Experiment {
            experiment_id: experiment.into(),
        },
        (_, Some(cause)) => cause,
        (_, None) => Cause::Unknown,
    };
    Some(Interrupted {
        instance_id: id.into(),
        instance_type: instance
            .map(|instance| instance.instance_type.clone())
            .or_else(|| first.and_then(|warning| warning.instance_type.clone())),
        private_dns_name: instance
            .map(|instance| instance.private_dns_name.clone())
            .or_else(|| first.and_then(|warning| warning.private_dns_name.clone())),
        pool_id: instance.map(|instance| instance.pool_id.clone()),
        units: instance.map_or(1, |instance| instance.units),
        noticed_at: first.map(|warning| warning.noticed_at),
        warnings: warnings.iter().map(|warning| warning.seen).sum(),
        latency_ms: first.and_then(|warning| warning.latency_ms),
        terminated_at: instance.and_then(|instance| instance.ended_at),
        cause,
        spot_status: status.map(|status| status.code.clone()),
    })
}
