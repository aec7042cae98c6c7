//! The bounded wait until the victims are gone and capacity is back, or is not expected back.
//!
//! The first look, right after the step's end, is the one that matters most: managed scaling lowers the target a
//! minute later, and then nobody can tell any more what the fleet had been asked for.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::cluster::{Cluster, Pool, TaskInstance};
use shared::drill::Drill;
use shared::invocation::Invocation;
use shared::step::Step;
use shared::{Aws, Error};

use crate::Config;

/// Seconds between two looks; EMR's quota for listing instances is one call in two seconds for the whole account.
const POLL_SECONDS: u64 = 20;
/// A look this long after the step's end does not show what was asked for at its end.
const LOOK_IN_TIME: TimeDelta = TimeDelta::seconds(120);
/// What writing the report needs of Lambda's time.
const RESERVE: TimeDelta = TimeDelta::seconds(90);

/// What was seen of the cluster's task capacity.
pub(crate) struct Recovery {
    /// The task instances, as last listed.
    pub instances: Option<Vec<TaskInstance>>,
    /// What was asked for when the step ended, if looked at in time.
    pub pools_at_end: Option<Vec<Pool>>,
    /// When the instances were last listed.
    pub observed_at: DateTime<Utc>,
    /// Why something could not be had.
    pub problems: Vec<String>,
}

/// Looks, and looks again until nothing more is to be expected.
pub(crate) async fn wait(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    cluster: Option<&Cluster>,
    step: &Step,
    drill: Option<&Drill>,
) -> Result<Recovery, Error> {
    let begun_at = aws.now();
    let mut seen = Recovery {
        instances: None,
        pools_at_end: None,
        observed_at: begun_at,
        problems: Vec::new(),
    };
    let Some(cluster) = cluster else {
        seen.problems.push("EMR no longer knows the cluster".into());
        return Ok(seen);
    };
    let limit = begun_at
        + TimeDelta::seconds(i64::from(config.recovery_seconds_max)).min(invocation.time_left(begun_at, RESERVE));
    let ended_at = step.ended_at.unwrap_or(begun_at);
    loop {
        let pools = match aws.task_pools(cluster).await {
            Ok(pools) => pools,
            Err(error) => {
                seen.problems.push(error.chain());
                return Ok(seen);
            }
        };
        if seen.pools_at_end.is_none() && aws.now() - ended_at < LOOK_IN_TIME {
            seen.pools_at_end = Some(pools.clone());
        }
        let instances = match aws.task_instances(cluster, &pools).await {
            Ok(instances) => instances,
            Err(error) => {
                seen.problems.push(error.chain());
                return Ok(seen);
            }
        };
        seen.observed_at = aws.now();
        let settled = cluster.is_going() || is_settled(&instances, &pools, drill, step);
        seen.instances = Some(instances);
        if settled || aws.now() + TimeDelta::seconds(POLL_SECONDS as i64) > limit {
            return Ok(seen);
        }
        tokio::time::sleep(Duration::from_secs(POLL_SECONDS)).await;
    }
}

/// Victims that FIS was to interrupt are gone, and each pool has what it is asked for.
fn is_settled(instances: &[TaskInstance], pools: &[Pool], drill: Option<&Drill>, step: &Step) -> bool {
    let victims_gone = drill.is_none_or(|drill| {
        drill
            .waves
            .iter()
            .filter(|wave| !wave.preview && wave.experiment_id.is_some() && wave.status.as_deref() != Some("failed"))
            .filter(|wave| !matches!(wave.status.as_deref(), Some("cancelled")))
            .flat_map(|wave| &wave.victims)
            .filter_map(|victim| {
                instances
                    .iter()
                    .find(|instance| instance.instance_id == victim.instance_id)
            })
            .all(|instance| instance.ended_at.is_some())
    });
    let lost_any = instances
        .iter()
        .any(|one| one.ended_at.is_some() && one.ended_at >= step.started_at);
    let capacity_back = pools.iter().all(|pool| {
        let alive = instances
            .iter()
            .filter(|one| one.pool_id == pool.id && one.ended_at.is_none());
        let ready: u32 = alive.filter(|one| one.ready_at.is_some()).map(|one| one.units).sum();
        ready >= pool.target_spot_units + pool.target_on_demand_units
    });
    victims_gone && (capacity_back || !lost_any)
}
