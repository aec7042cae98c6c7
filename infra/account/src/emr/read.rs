//! The operations that only look: Describe…, List…, GetManagedScalingPolicy.
//!
//! Separate from those that change something; each is a filter, an order and a page.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::api::{ApiError, Time};

use super::Emr;
use super::cluster::{Cluster, Instance};
use super::describe;
use super::input::{invalid, no_such_cluster, page, states, text, texts, time, validation};
use super::pool::Collection;
use super::step::Step;

//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ClusterStatus.html
const CLUSTER_STATES: [&str; 7] = [
    "STARTING",
    "BOOTSTRAPPING",
    "RUNNING",
    "WAITING",
    "TERMINATING",
    "TERMINATED",
    "TERMINATED_WITH_ERRORS",
];

//= https://docs.aws.amazon.com/emr/latest/APIReference/API_StepStatus.html
const STEP_STATES: [&str; 7] = [
    "PENDING",
    "CANCEL_PENDING",
    "RUNNING",
    "COMPLETED",
    "CANCELLED",
    "FAILED",
    "INTERRUPTED",
];

//= https://docs.aws.amazon.com/emr/latest/APIReference/API_InstanceStatus.html
const INSTANCE_STATES: [&str; 5] = [
    "AWAITING_FULFILLMENT",
    "PROVISIONING",
    "BOOTSTRAPPING",
    "RUNNING",
    "TERMINATED",
];

/// For how long, and how many at most, ListInstances shows those that ended.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ListInstances.html
const LISTED_FOR: TimeDelta = TimeDelta::days(30);
const LISTED_MAX: usize = 2_000;

/// Answers a reading operation; `None` if it is not one.
pub(super) fn call(emr: &Emr, now: Time, operation: &str, input: &Value) -> Option<Result<Value, ApiError>> {
    Some(match operation {
        "DescribeCluster" => cluster(emr, input).map(|cluster| json!({"Cluster": describe::cluster(cluster, now)})),
        "ListClusters" => list_clusters(emr, input),
        "ListBootstrapActions" => list_bootstrap_actions(emr, input),
        "ListInstances" => list_instances(emr, now, input),
        "ListInstanceFleets" => list_pools(emr, input, Collection::Fleet),
        "ListInstanceGroups" => list_pools(emr, input, Collection::Group),
        "ListSteps" => list_steps(emr, input),
        "DescribeStep" => describe_step(emr, input),
        "GetManagedScalingPolicy" => cluster(emr, input).map(|cluster| match &cluster.managed_scaling {
            Some(policy) => json!({"ManagedScalingPolicy": policy}),
            None => json!({}),
        }),
        _ => return None,
    })
}

fn cluster<'a>(emr: &'a Emr, input: &Value) -> Result<&'a Cluster, ApiError> {
    let id = text(input, "ClusterId")?;
    emr.cluster(id).ok_or_else(|| no_such_cluster(id))
}

/// Newest first.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ListClusters.html
fn list_clusters(emr: &Emr, input: &Value) -> Result<Value, ApiError> {
    let states = states(input, "ClusterStates", "Cluster", &CLUSTER_STATES)?;
    let (after, before) = (time(input, "CreatedAfter"), time(input, "CreatedBefore"));
    let clusters = emr.clusters.iter().rev().filter(|cluster| {
        (states.is_empty() || states.contains(&cluster.state.as_str()))
            && after.is_none_or(|after| cluster.created_at >= after)
            && before.is_none_or(|before| cluster.created_at <= before)
    });
    page(
        input,
        "Clusters",
        emr.page,
        clusters.collect(),
        describe::cluster_summary,
    )
}

/// What the cluster was asked for with; the scripts are not run.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ListBootstrapActions.html
fn list_bootstrap_actions(emr: &Emr, input: &Value) -> Result<Value, ApiError> {
    let actions = cluster(emr, input)?.request["BootstrapActions"].as_array();
    let show = |action: &Value| {
        let script = &action["ScriptBootstrapAction"];
        let arguments = if script["Args"].is_array() {
            script["Args"].clone()
        } else {
            json!([])
        };
        json!({"Name": action["Name"], "ScriptPath": script["Path"], "Args": arguments})
    };
    let actions = actions.into_iter().flatten().collect();
    page(input, "BootstrapActions", emr.page, actions, show)
}

/// In the order in which they were asked for. Neither the order nor the size of a page is published: assumed.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ListInstances.html
fn list_instances(emr: &Emr, now: Time, input: &Value) -> Result<Value, ApiError> {
    let cluster = cluster(emr, input)?;
    let states = states(input, "InstanceStates", "Instance", &INSTANCE_STATES)?;
    let group_types = texts(input, "InstanceGroupTypes");
    let fleet_type = input["InstanceFleetType"].as_str();
    let (fleet, group) = (input["InstanceFleetId"].as_str(), input["InstanceGroupId"].as_str());
    match cluster.collection {
        Collection::Fleet if group.is_some() || !group_types.is_empty() => return Err(other_kind(Collection::Fleet)),
        Collection::Group if fleet.is_some() || fleet_type.is_some() => return Err(other_kind(Collection::Group)),
        _ => {}
    }
    if let Some(id) = fleet.or(group)
        && cluster.pool(id).is_none()
    {
        let kind = if fleet.is_some() {
            "Instance fleet"
        } else {
            "Instance group"
        };
        return Err(invalid(format!("{kind} id '{id}' is not valid.")));
    }
    let instances = remembered(cluster, now).into_iter().filter(|instance| {
        (states.is_empty() || states.contains(&instance.state.as_str()))
            && (group_types.is_empty() || group_types.contains(&instance.role.as_str()))
            && fleet_type.is_none_or(|role| role == instance.role.as_str())
            && fleet.or(group).is_none_or(|id| id == instance.pool_id)
    });
    page(input, "Instances", emr.page, instances.collect(), |instance| {
        describe::instance(cluster, instance)
    })
}

/// The instances that live, and those that ended in the last thirty days; of more than 2,000, which ones is not published:
/// assumed is that those that ended first are left out.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ListInstances.html
fn remembered(cluster: &Cluster, now: Time) -> Vec<&Instance> {
    let is_listed = |one: &&Instance| one.ended_at.is_none_or(|ended| now - ended <= LISTED_FOR);
    let mut listed: Vec<&Instance> = cluster.instances.iter().filter(is_listed).collect();
    if let Some(over @ 1..) = listed.len().checked_sub(LISTED_MAX) {
        let mut by_end = listed.clone();
        by_end.sort_by_key(|one| one.ended_at.unwrap_or(Time::MAX_UTC));
        let forgotten: BTreeSet<&str> = by_end[..over].iter().map(|one| one.id.as_str()).collect();
        listed.retain(|one| !forgotten.contains(one.id.as_str()));
    }
    listed
}

fn list_pools(emr: &Emr, input: &Value, asked: Collection) -> Result<Value, ApiError> {
    let cluster = cluster(emr, input)?;
    if cluster.collection != asked {
        return Err(unsupported(cluster.collection));
    }
    match asked {
        Collection::Fleet => {
            let show = |pool| describe::fleet(cluster, pool);
            page(input, "InstanceFleets", emr.page, cluster.pools.iter().collect(), show)
        }
        Collection::Group => {
            let show = |pool| describe::group(cluster, pool);
            page(input, "InstanceGroups", emr.page, cluster.pools.iter().collect(), show)
        }
    }
}

fn other_kind(has: Collection) -> ApiError {
    let (has, asked) = match has {
        Collection::Fleet => ("fleets", "groups"),
        Collection::Group => ("groups", "fleets"),
    };
    invalid(format!(
        "Instance fleets and instance groups are mutually exclusive. The EMR cluster specified in the request uses \
         instance {has}. The request is for instance {asked}."
    ))
}

/// The refusal of ListInstanceGroups for a cluster of fleets, as it was seen; for the other one the same is assumed,
/// but for its code, which is not known.
fn unsupported(has: Collection) -> ApiError {
    let (has, asked, own, error_code) = match has {
        Collection::Fleet => (
            "fleets",
            "ListInstanceGroups",
            "ListInstanceFleets",
            Some("API_DOES_NOT_SUPPORT_INSTANCE_FLEET_CLUSTERS"),
        ),
        Collection::Group => ("groups", "ListInstanceFleets", "ListInstanceGroups", None),
    };
    ApiError {
        error_code,
        ..invalid(format!(
            "Instance fleets and instance groups are mutually exclusive. The EMR cluster specified in the request uses \
             instance {has}. The {asked} operation does not support clusters that use instance {has}. Use the {own} \
             operation instead."
        ))
    }
}

/// "In reverse order", newest first, "unless you specify stepIds with the request or filter by StepStates". In which
/// order those come the page does not say: assumed is oldest first, so that nobody relies on the other.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ListSteps.html
fn list_steps(emr: &Emr, input: &Value) -> Result<Value, ApiError> {
    let cluster = cluster(emr, input)?;
    let (states, ids) = (
        states(input, "StepStates", "Step", &STEP_STATES)?,
        texts(input, "StepIds"),
    );
    if ids.len() > 10 {
        return Err(invalid("At most 10 step ids can be given."));
    }
    let steps = cluster.steps.iter().filter(|step| {
        (states.is_empty() || states.contains(&step.state.as_str()))
            && (ids.is_empty() || ids.contains(&step.id.as_str()))
    });
    let mut shown: Vec<&Step> = steps.collect();
    if states.is_empty() && ids.is_empty() {
        shown.reverse();
    }
    page(input, "Steps", emr.page, shown, |step| describe::step(cluster, step))
}

fn describe_step(emr: &Emr, input: &Value) -> Result<Value, ApiError> {
    let cluster = cluster(emr, input)?;
    let id = input["StepId"]
        .as_str()
        .ok_or_else(|| validation("StepId must not be null"))?;
    let step = cluster
        .step(id)
        .ok_or_else(|| invalid(format!("Step id '{id}' is not valid.")))?;
    Ok(json!({"Step": describe::step(cluster, step)}))
}
