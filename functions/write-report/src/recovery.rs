//! The bounded wait until those that were interrupted are gone, by EMR's word too.
//!
//! Nothing that the cluster does after the run changes the verdict, so capacity is not waited for. The first look, right
//! after the step's end, is the one that matters most: what the fleets were asked for then is kept in the ledger, since
//! managed scaling lowers it a minute later, and whoever looks again could not tell any more.

use std::collections::BTreeSet;
use std::time::Duration;

use aws::invocation::Invocation;
use aws::{Aws, Error, INSTANCES_LISTED_MAX, InstanceListing};
use aws::{Saved, Turn, expires_at};
use chrono::{DateTime, TimeDelta, Utc};
use rules::cluster::{Cluster, Instance, ManagedScaling, Pool};
use rules::drill::Drill;
use rules::interruption::NOTICE;
use rules::ledger::Interruption;
use rules::step::Step;

use crate::Config;

/// Seconds between two looks; EMR's quota for listing instances is one call in two seconds for the whole account.
const POLL_SECONDS: u64 = 20;
/// A look this long after the step's end does not show what was asked for at its end: managed scaling looks at the load
/// every few seconds, and the load is gone.
/// <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-managed-scaling.html>
pub(crate) const LOOK_IN_TIME: TimeDelta = TimeDelta::seconds(10);
/// What writing the report needs of Lambda's time.
pub(crate) const RESERVE: TimeDelta = TimeDelta::seconds(90);

/// What was seen of the cluster's capacity.
pub(crate) struct Recovery {
    /// The instances, as last listed.
    pub instances: Option<Vec<Instance>>,
    /// What is asked for now, which need not be what was asked for when the step ended.
    pub pools: Option<Vec<Pool>>,
    /// Whether managed scaling may change that, for a step with losses at whose end nobody looked, or saw more nodes than were
    /// asked for.
    pub scaling: Option<ManagedScaling>,
    /// The warnings on record for the cluster, as last read.
    pub warnings: Vec<Interruption>,
    /// When the instances were last listed.
    pub observed_at: DateTime<Utc>,
    /// Why something could not be had.
    pub problems: Vec<String>,
}

impl Recovery {
    /// What the ledger knows, before EMR is asked.
    async fn by_the_ledger(aws: &Aws, config: &Config, drill: &Drill) -> Result<Self, Error> {
        Ok(Self {
            instances: None,
            pools: None,
            scaling: None,
            warnings: aws.interruptions(&config.table_name, &drill.cluster_id).await?,
            observed_at: aws.now(),
            problems: Vec::new(),
        })
    }
}

/// For how long an EMR that does not answer is asked again: its buckets are full after less, if nobody empties them.
/// <https://docs.aws.amazon.com/general/latest/gr/emr.html#limits_emr>
const ASKED_AGAIN: TimeDelta = TimeDelta::minutes(3);

/// Until when an EMR that does not answer is asked again.
pub(crate) fn asked_until(aws: &Aws, invocation: &Invocation) -> DateTime<Utc> {
    within(aws, invocation, ASKED_AGAIN)
}

/// So much later, or when no more is left of Lambda's time than writing the report needs.
fn within(aws: &Aws, invocation: &Invocation, most: TimeDelta) -> DateTime<Utc> {
    let now = aws.now();
    now + most.min(invocation.time_left(now, RESERVE))
}

/// Looks, and looks again until nothing more is to be expected.
pub(crate) async fn wait(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    cluster: Option<&Cluster>,
    step: &Step,
    drill: &mut Drill,
) -> Result<Recovery, Error> {
    let limit = within(
        aws,
        invocation,
        TimeDelta::seconds(i64::from(config.recovery_seconds_max)),
    );
    let mut seen = Recovery::by_the_ledger(aws, config, drill).await?;
    let Some(cluster) = cluster else {
        seen.problems.push("EMR no longer knows the cluster".into());
        return Ok(seen);
    };
    let asked_until = asked_until(aws, invocation);
    let pools = match again_until(aws, asked_until, || aws.pools(cluster)).await {
        Ok(pools) => pools,
        Err(error) => {
            seen.problems.push(error.chain());
            return Ok(seen);
        }
    };
    remember_pools(aws, config, step, drill, &pools).await?;
    seen.pools = Some(pools.clone());
    let mut asked_of_scaling = false;
    loop {
        let listing = InstanceListing::default();
        let instances = match again_until(aws, asked_until, || aws.instances(cluster, &pools, &listing)).await {
            Ok(instances) => instances,
            Err(error) => {
                seen.problems.push(error.chain());
                return Ok(seen);
            }
        };
        seen.observed_at = aws.now();
        let expected = expected(step, drill, &seen.warnings);
        if !asked_of_scaling && !expected.is_empty() && may_have_been_lowered(step, drill, &instances) {
            asked_of_scaling = true;
            match again_until(aws, asked_until, || aws.managed_scaling(&cluster.id)).await {
                Ok(answer) => seen.scaling = Some(answer),
                Err(error) => seen.problems.push(error.chain()),
            }
        }
        let all_gone = instances
            .iter()
            .filter(|instance| expected.contains(instance.instance_id.as_str()))
            .all(|instance| instance.ended_at.is_some());
        let may_be_cut = instances.len() >= INSTANCES_LISTED_MAX;
        seen.instances = Some(instances);
        if may_be_cut && seen.problems.is_empty() {
            seen.problems.push(format!(
                "EMR lists {INSTANCES_LISTED_MAX} instances of a cluster at most, and listed as many: others that went may be missing"
            ));
        }
        if all_gone || aws.now() + TimeDelta::seconds(POLL_SECONDS as i64) > limit {
            return Ok(seen);
        }
        tokio::time::sleep(Duration::from_secs(POLL_SECONDS)).await;
        let patience = (limit - aws.now()).max(TimeDelta::zero());
        if aws
            .take_turn(&config.table_name, config.emr_share_percent, patience)
            .await
            == Turn::NotSoon
        {
            return Ok(seen);
        }
        // A warning may have been on its way when the step ended.
        seen.warnings = aws.interruptions(&config.table_name, &drill.cluster_id).await?;
    }
}

/// Asks EMR, and once more after a while if it does not answer: its quotas are the account's, and while others use them
/// up the SDK's attempts end too soon. What is refused stays so.
pub(crate) async fn again_until<T, F: Future<Output = Result<T, Error>>>(
    aws: &Aws,
    limit: DateTime<Utc>,
    ask: impl Fn() -> F,
) -> Result<T, Error> {
    loop {
        match ask().await {
            Err(error) if !error.is_refusal() && aws.now() + TimeDelta::seconds(POLL_SECONDS as i64) <= limit => {
                tracing::warn!(error = error.chain(), "EMR does not answer: asking once more");
                tokio::time::sleep(Duration::from_secs(POLL_SECONDS)).await;
            }
            answer => return answer,
        }
    }
}

/// One look, for a step that has not ended.
pub(crate) async fn look(
    aws: &Aws,
    config: &Config,
    cluster: Option<&Cluster>,
    drill: &Drill,
) -> Result<Recovery, Error> {
    let mut seen = Recovery::by_the_ledger(aws, config, drill).await?;
    let Some(cluster) = cluster else {
        seen.problems.push("EMR no longer knows the cluster".into());
        return Ok(seen);
    };
    let listed = async {
        let pools = aws.pools(cluster).await?;
        aws.instances(cluster, &pools, &InstanceListing::default()).await
    };
    match listed.await {
        Ok(instances) => seen.instances = Some(instances),
        Err(error) => seen.problems.push(error.chain()),
    }
    Ok(seen)
}

/// Keeps what was asked for when the step ended, if this look is in time and there was none before.
async fn remember_pools(
    aws: &Aws,
    config: &Config,
    step: &Step,
    drill: &mut Drill,
    pools: &[Pool],
) -> Result<(), Error> {
    let now = aws.now();
    let in_time = step.ended_at.is_some_and(|ended| now - ended < LOOK_IN_TIME);
    if !in_time || !drill.pools_at_end.is_empty() {
        return Ok(());
    }
    drill.pools_at_end = pools.to_vec();
    // Whoever wrote meanwhile wrote something else: the next write of this invocation carries it on.
    let expires = expires_at(now, config.retention_days);
    if let Saved::No(mut found) = aws.save_drill(&config.table_name, drill, expires).await? {
        if found.pools_at_end.is_empty() {
            found.pools_at_end = pools.to_vec();
        }
        *drill = found;
    }
    Ok(())
}

/// Nobody looked when the step ended, or saw more nodes than were asked for: then it matters whether EMR scales.
fn may_have_been_lowered(step: &Step, drill: &Drill, instances: &[Instance]) -> bool {
    let had_more = |ended| {
        let mut pools = drill.pools_at_end.iter();
        pools.any(|pool| pool.had_more_than_asked(instances, ended))
    };
    drill.pools_at_end.is_empty() || step.ended_at.is_some_and(had_more)
}

/// Those whose end may still have to be seen: victims of experiments that ran, and those with a notice near the run.
fn expected<'a>(step: &Step, drill: &'a Drill, warnings: &'a [Interruption]) -> BTreeSet<&'a str> {
    let did_nothing = |status: Option<&str>| matches!(status, Some("failed" | "cancelled"));
    let victims = drill
        .waves
        .iter()
        .filter(|wave| !wave.preview && wave.experiment_id.is_some() && !did_nothing(wave.status.as_deref()))
        .flat_map(|wave| &wave.victims)
        .map(|victim| victim.instance_id.as_str());
    let warned = warnings
        .iter()
        .filter(|warning| step.started_at.is_none_or(|began| warning.noticed_at + NOTICE >= began))
        .filter(|warning| step.ended_at.is_none_or(|ended| warning.noticed_at <= ended))
        .map(|warning| warning.instance_id.as_str());
    victims.chain(warned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_may_have_been_lowered_where_nobody_looked_or_more_ran_than_was_asked_for() {
        let ended = "2026-11-20T14:10:00Z";
        let step: Step = serde_json::from_value(
            serde_json::json!({"id": "s-1", "name": "s", "state": "COMPLETED", "jar": "j",
            "args": [], "properties": {}, "failure": null, "created_at": null, "started_at": null, "ended_at": ended,
            "log_uri": null, "application_ids": []}),
        )
        .unwrap();
        let mut drill = Drill::new("j-1", "s-1");
        assert!(may_have_been_lowered(&step, &drill, &[]));
        drill.pools_at_end = serde_json::from_value(serde_json::json!([{"id": "if-1", "role": "TASK",
            "target_spot_units": 1, "target_on_demand_units": 0, "weights": {}, "scales": false, "spot_strategy": null}]))
        .unwrap();
        let instance = |id: &str| -> Instance {
            serde_json::from_value(
                serde_json::json!({"instance_id": id, "pool_id": "if-1", "role": "TASK", "market": "spot",
                "state": "RUNNING", "instance_type": "m5.xlarge", "private_dns_name": "ip-10-0-0-1", "units": 1,
                "created_at": "2026-11-20T14:00:00Z", "ready_at": "2026-11-20T14:02:00Z", "ended_at": null,
                "reason": null}),
            )
            .unwrap()
        };
        assert!(!may_have_been_lowered(&step, &drill, &[instance("i-1")]));
        assert!(may_have_been_lowered(
            &step,
            &drill,
            &[instance("i-1"), instance("i-2")]
        ));
    }
}
