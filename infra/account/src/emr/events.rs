//! The events that EMR sends to the default event bus.
//!
//! Separate because their shapes are AWS's contract with everyone who routes on them. The `message` texts are for
//! people, and have times to the minute; nobody may parse them.
//!
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-manage-cloudwatch-events.html
//= https://docs.aws.amazon.com/AmazonCloudWatch/latest/events/EventTypes.html#emr_event_type

use serde_json::json;

use crate::api::{Ctx, Time};

use super::cluster::{Cluster, ClusterState};
use super::pool::{Collection, Pool, PoolState, market_name};
use super::step::{Step, StepState};

fn minute(time: Time) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

fn minutes_since(start: Option<Time>, end: Time) -> i64 {
    start.map_or(0, |start| (end - start).num_minutes())
}

/// "EMR Cluster State Change". None is documented for BOOTSTRAPPING and TERMINATING, so none is sent.
pub(super) fn cluster(ctx: &mut Ctx, cluster: &Cluster) {
    let (id, name, code, at) = (&cluster.id, &cluster.name, &cluster.reason.code, minute(ctx.now));
    let message = match cluster.state {
        ClusterState::Bootstrapping | ClusterState::Terminating => return,
        ClusterState::Starting => {
            format!("Amazon EMR cluster {id} ({name}) was requested at {at} and is being created.")
        }
        ClusterState::Running => format!("Amazon EMR cluster {id} ({name}) began running steps at {at}."),
        ClusterState::Waiting if cluster.steps.iter().any(|step| step.state.is_over()) => {
            format!("Amazon EMR cluster {id} ({name}) finished running all pending steps at {at}.")
        }
        ClusterState::Waiting => format!("Amazon EMR cluster {id} ({name}) was created at {at} and is ready for use."),
        ClusterState::Terminated => {
            format!("Amazon EMR Cluster {id} ({name}) has terminated at {at} with a reason of {code}.")
        }
        ClusterState::TerminatedWithErrors => {
            format!("Amazon EMR Cluster {id} ({name}) has terminated with errors at {at} with a reason of {code}.")
        }
    };
    let severity = match cluster.state {
        ClusterState::TerminatedWithErrors => "CRITICAL",
        _ => "INFO",
    };
    // A string that holds JSON, not an object.
    let reason = if code.is_empty() {
        json!({"code": ""}).to_string()
    } else {
        json!({"code": code, "message": cluster.reason.message}).to_string()
    };
    let detail = json!({
        "severity": severity, "stateChangeReason": reason, "name": name, "clusterId": id,
        "state": cluster.state.as_str(), "message": message,
    });
    ctx.emit("aws.emr", "EMR Cluster State Change", Vec::new(), detail);
}

/// "EMR Step Status Change".
pub(super) fn step(ctx: &mut Ctx, cluster_id: &str, cluster_name: &str, step: &Step) {
    let at = minute(ctx.now);
    let subject = format!(
        "Step {} ({}) in Amazon EMR cluster {cluster_id} ({cluster_name})",
        step.id, step.name
    );
    let message = match step.state {
        StepState::Pending => format!(
            "Step {} ({}) was added to Amazon EMR cluster {cluster_id} ({cluster_name}) at {at} and is pending \
             execution.",
            step.id, step.name
        ),
        StepState::Running => format!("{subject} started running at {at}."),
        StepState::CancelPending => format!("{subject} changed to CANCEL_PENDING at {at}."),
        // None is documented for INTERRUPTED, so none is sent.
        StepState::Interrupted => return,
        StepState::Cancelled => format!("{subject} changed to CANCELLED at {at}."),
        StepState::Failed => format!("{subject} failed at {at}."),
        StepState::Completed => format!(
            "{subject} completed execution at {at}. The step started running at {} and took {} minutes to complete.",
            step.started_at.map(minute).unwrap_or_default(),
            minutes_since(step.started_at, ctx.now),
        ),
    };
    let severity = match step.state {
        StepState::Pending | StepState::Running | StepState::Completed => "INFO",
        StepState::CancelPending | StepState::Cancelled | StepState::Interrupted => "WARN",
        StepState::Failed => "ERROR",
    };
    let detail = json!({
        "severity": severity, "actionOnFailure": step.action_on_failure, "stepId": step.id, "name": step.name,
        "clusterId": cluster_id, "state": step.state.as_str(), "message": message,
    });
    ctx.emit("aws.emr", "EMR Step Status Change", Vec::new(), detail);
}

/// "EMR Instance Fleet State Change" or "EMR Instance Group State Change". Counts are strings in the published sample
/// of the latter, and are assumed to be in the former, whose value types are not published.
pub(super) fn pool(ctx: &mut Ctx, cluster: &Cluster, pool: &Pool) {
    let at = minute(ctx.now);
    let (cluster_id, cluster_name, id) = (&cluster.id, &cluster.name, &pool.id);
    let provisioned = cluster.provisioned(id);
    let place = format!("{id} in Amazon EMR cluster {cluster_id} ({cluster_name})");
    let took = minutes_since(pool.resized_at, ctx.now);
    match pool.collection {
        Collection::Fleet => {
            let amounts = format!(
                "an On-Demand capacity of {} and a Spot capacity of {}",
                provisioned.on_demand, provisioned.spot
            );
            let message = match pool.state {
                PoolState::Resizing => {
                    format!("The resizing operation for instance fleet {place} began at {at} with {amounts}.")
                }
                PoolState::Running if pool.resized_at.is_some() => format!(
                    "The resizing operation for instance fleet {place} is complete. It now has {amounts}. The resize \
                     took {took} minutes."
                ),
                state => format!(
                    "Instance fleet {place} changed to {} at {at}.",
                    state.as_str(pool.collection)
                ),
            };
            let detail = json!({
                "severity": "INFO", "clusterId": cluster_id, "instanceFleetId": id,
                "instanceFleetType": pool.role.as_str(), "state": pool.state.as_str(pool.collection),
                "provisionedOnDemandCapacity": provisioned.on_demand.to_string(),
                "provisionedSpotCapacity": provisioned.spot.to_string(),
                "targetOnDemandCapacity": pool.target.on_demand.to_string(),
                "targetSpotCapacity": pool.target.spot.to_string(),
                "message": message,
            });
            ctx.emit("aws.emr", "EMR Instance Fleet State Change", Vec::new(), detail);
        }
        Collection::Group => {
            let (count, target) = (cluster.running(id).total(), pool.target.total());
            let message = match pool.state {
                PoolState::Resizing => format!(
                    "A resize for instance group {place} was requested at {at}. It is resizing from an instance count \
                     of {count} to {target}."
                ),
                PoolState::Running if pool.resized_at.is_some() => format!(
                    "The resizing operation for instance group {place} is complete. It now has an instance count of \
                     {count}. The resize took {took} minutes."
                ),
                state => format!(
                    "Instance group {place} changed to {} at {at}.",
                    state.as_str(pool.collection)
                ),
            };
            let detail = json!({
                "severity": "INFO", "market": market_name(pool.group_market()), "clusterId": cluster_id,
                "requestedInstanceCount": target.to_string(), "runningInstanceCount": count.to_string(),
                "instanceType": pool.types.first().map(|option| option.instance_type.as_str()),
                "instanceGroupType": pool.role.as_str(), "instanceGroupId": id,
                "state": pool.state.as_str(pool.collection), "message": message,
            });
            ctx.emit("aws.emr", "EMR Instance Group State Change", Vec::new(), detail);
        }
    }
}
