//! The operations that change something, RunJobFlow apart: steps, targets, tags, protection, termination.
//!
//! Separate from those that only look. Each finds its cluster, checks, and leaves the rest to the cluster's rules.

use serde_json::{Value, json};

use crate::api::{ApiError, Ctx};
use crate::ec2::Ec2;

use super::Emr;
use super::agenda::Task;
use super::cluster::{Cluster, Reason};
use super::describe::cluster_arn;
use super::events;
use super::input::{self, count, invalid, items, no_such_cluster, text, texts, validation};
use super::pool::{Collection, Units};
use super::provision::seconds;
use super::run_job_flow::{self, concurrency};

/// Steps that a cluster may have at once that are not over.
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-work-with-steps.html
const ACTIVE_STEPS_MAX: usize = 256;

/// Answers a changing operation; `None` if it is not one.
pub(super) fn call(
    emr: &mut Emr,
    ctx: &mut Ctx,
    ec2: &mut Ec2,
    operation: &str,
    input: &Value,
) -> Option<Result<Value, ApiError>> {
    let done = match operation {
        "RunJobFlow" => run_job_flow(emr, ctx, input),
        "AddJobFlowSteps" => add_steps(emr, ctx, input),
        "CancelSteps" => cancel_steps(emr, ctx, ec2, input),
        "TerminateJobFlows" => terminate(emr, ctx, ec2, input),
        "SetTerminationProtection" => protect(emr, ctx, input),
        "ModifyInstanceFleet" => modify_fleet(emr, ctx, ec2, input),
        "ModifyInstanceGroups" => modify_groups(emr, ctx, ec2, input),
        "PutManagedScalingPolicy" => put_scaling(emr, ctx, input),
        "RemoveManagedScalingPolicy" => remove_scaling(emr, ctx, input),
        "AddTags" => add_tags(emr, ctx, ec2, input),
        "RemoveTags" => remove_tags(emr, ctx, ec2, input),
        "ModifyCluster" => modify_cluster(emr, ctx, input),
        _ => return None,
    };
    Some(done)
}

fn run_job_flow(emr: &mut Emr, ctx: &mut Ctx, input: &Value) -> Result<Value, ApiError> {
    let mut cluster = run_job_flow::read(ctx, input)?;
    cluster.whims = emr.scenario.whims;
    cluster.start(ctx);
    let answer = json!({"JobFlowId": cluster.id, "ClusterArn": cluster_arn(&cluster.id)});
    emr.living.push(emr.clusters.len());
    emr.clusters.push(cluster);
    Ok(answer)
}

fn cluster<'a>(emr: &'a mut Emr, input: &Value, name: &str) -> Result<&'a mut Cluster, ApiError> {
    let id = text(input, name)?;
    emr.cluster_mut(id).ok_or_else(|| no_such_cluster(id))
}

/// A cluster that is neither gone nor going.
fn living<'a>(emr: &'a mut Emr, input: &Value, name: &str) -> Result<&'a mut Cluster, ApiError> {
    let cluster = cluster(emr, input, name)?;
    if cluster.state.is_over() {
        return Err(invalid(format!(
            "Cluster {} is {} and may not be modified.",
            cluster.id,
            cluster.state.as_str()
        )));
    }
    Ok(cluster)
}

fn job_flow<'a>(emr: &'a mut Emr, id: &str) -> Result<&'a mut Cluster, ApiError> {
    emr.cluster_mut(id)
        .ok_or_else(|| validation("Specified job flow ID not valid"))
}

//= https://docs.aws.amazon.com/emr/latest/APIReference/API_AddJobFlowSteps.html
fn add_steps(emr: &mut Emr, ctx: &mut Ctx, input: &Value) -> Result<Value, ApiError> {
    let cluster = job_flow(emr, text(input, "JobFlowId")?)?;
    if cluster.state.is_over() {
        return Err(validation(
            "A job flow that is shutting down, terminated, or finished may not be modified.",
        ));
    }
    let configs: Vec<_> = items(&input["Steps"]).collect();
    if configs.is_empty() {
        return Err(validation("The list of steps cannot be empty."));
    }
    let active = cluster.steps.iter().filter(|step| !step.state.is_over()).count();
    if active + configs.len() > ACTIVE_STEPS_MAX {
        let states = "(State = 'Running', 'Pending' or 'Cancel_Pending')";
        return Err(validation(format!(
            "Maximum number of active steps{states} for cluster exceeded."
        )));
    }
    let mut steps = Vec::new();
    for config in configs {
        steps.push(run_job_flow::step(ctx, config, cluster.step_concurrency)?);
    }
    let ids: Vec<_> = steps.iter().map(|step| step.id.clone()).collect();
    for step in steps {
        ctx.transition(
            "emr",
            &step.id,
            format!("step {} is PENDING", step.name),
            json!({"clusterId": cluster.id}),
        );
        events::step(ctx, &cluster.id, &cluster.name, &step);
        cluster.steps.push(step);
    }
    let starts_at = ctx.now + seconds(ctx, 2, 8);
    cluster.agenda.once_at(starts_at, Task::StartSteps);
    Ok(json!({"StepIds": ids}))
}

/// Assumed: a step that cannot be cancelled makes its own entry FAILED, not the request.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_CancelSteps.html
fn cancel_steps(emr: &mut Emr, ctx: &mut Ctx, ec2: &mut Ec2, input: &Value) -> Result<Value, ApiError> {
    let cluster = living(emr, input, "ClusterId")?;
    match input["StepCancellationOption"].as_str() {
        None | Some("SEND_INTERRUPT" | "TERMINATE_PROCESS") => {}
        Some(other) => return Err(validation(format!("StepCancellationOption '{other}' is not valid."))),
    }
    let ids = texts(input, "StepIds");
    if ids.is_empty() {
        return Err(validation("The list of step ids cannot be empty."));
    }
    let mut answers = Vec::new();
    for id in ids {
        answers.push(match cluster.cancel_step(ctx, ec2, id) {
            Ok(()) => json!({"StepId": id, "Status": "SUBMITTED"}),
            Err(reason) => json!({"StepId": id, "Status": "FAILED", "Reason": reason}),
        });
    }
    Ok(json!({"CancelStepsInfoList": answers}))
}

/// All of the clusters, or none if one is protected.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_TerminateJobFlows.html
fn terminate(emr: &mut Emr, ctx: &mut Ctx, ec2: &mut Ec2, input: &Value) -> Result<Value, ApiError> {
    let ids = texts(input, "JobFlowIds");
    if ids.is_empty() {
        return Err(validation("The JobFlowId list cannot be empty"));
    }
    for id in &ids {
        let cluster = job_flow(emr, id)?;
        if cluster.termination_protected && !cluster.state.is_over() {
            return Err(validation(
                "Could not shut down one or more job flows since they are termination protected.",
            ));
        }
    }
    for id in ids {
        job_flow(emr, id)?.terminate(ctx, ec2, Reason::new("USER_REQUEST", "Terminated by user request"));
    }
    Ok(json!({}))
}

fn protect(emr: &mut Emr, ctx: &mut Ctx, input: &Value) -> Result<Value, ApiError> {
    let protected = input["TerminationProtected"].as_bool();
    let protected = protected.ok_or_else(|| validation("TerminationProtected must not be null"))?;
    for id in texts(input, "JobFlowIds") {
        let cluster = job_flow(emr, id)?;
        cluster.termination_protected = protected;
        let word = if protected { "on" } else { "off" };
        ctx.transition("emr", id, format!("termination protection is {word}"), Value::Null);
    }
    Ok(json!({}))
}

/// Targets only: instance types and resize timeouts stay as they were.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ModifyInstanceFleet.html
fn modify_fleet(emr: &mut Emr, ctx: &mut Ctx, ec2: &mut Ec2, input: &Value) -> Result<Value, ApiError> {
    let cluster = living(emr, input, "ClusterId")?;
    let fleet = &input["InstanceFleet"];
    let id = text(fleet, "InstanceFleetId")?;
    let index = cluster
        .pool_index(id)
        .filter(|_| cluster.collection == Collection::Fleet);
    let index = index.ok_or_else(|| invalid(format!("Instance fleet id '{id}' is not valid.")))?;
    let before = cluster.pools[index].target;
    let target = Units {
        on_demand: count(fleet, "TargetOnDemandCapacity")?.unwrap_or(before.on_demand),
        spot: count(fleet, "TargetSpotCapacity")?.unwrap_or(before.spot),
    };
    cluster.resize(ctx, ec2, index, target, &[]);
    Ok(json!({}))
}

//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ModifyInstanceGroups.html
fn modify_groups(emr: &mut Emr, ctx: &mut Ctx, ec2: &mut Ec2, input: &Value) -> Result<Value, ApiError> {
    let groups: Vec<_> = items(&input["InstanceGroups"]).collect();
    for group in groups {
        let id = text(group, "InstanceGroupId")?;
        // The cluster's id may be left out.
        let cluster = emr.clusters.iter_mut().find(|cluster| {
            cluster.pool(id).is_some()
                && cluster.collection == Collection::Group
                && input["ClusterId"].as_str().is_none_or(|wanted| wanted == cluster.id)
        });
        let cluster = cluster.ok_or_else(|| validation(format!("Instance group id '{id}' is not valid.")))?;
        if cluster.state.is_over() {
            return Err(validation(
                "A job flow that is shutting down, terminated, or finished may not be modified.",
            ));
        }
        // Seen by users of Terraform.
        if !cluster.state.is_ready() {
            return Err(validation(
                "An instance group may only be modified when the cluster is running or waiting",
            ));
        }
        let index = cluster.pool_index(id).expect("found by it");
        let named: Vec<_> = texts(group, "EC2InstanceIdsToTerminate")
            .into_iter()
            .map(str::to_owned)
            .collect();
        let market = cluster.pools[index].group_market();
        let mut target = cluster.pools[index].target;
        let fewer = target
            .of(market)
            .saturating_sub(u32::try_from(named.len()).unwrap_or(u32::MAX));
        *target.of_mut(market) = match count(group, "InstanceCount")? {
            Some(instances) => instances,
            None if named.is_empty() => target.of(market),
            None => fewer,
        };
        cluster.resize(ctx, ec2, index, target, &named);
    }
    Ok(json!({}))
}

impl Cluster {
    fn resize(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, index: usize, target: Units, named: &[String]) {
        self.set_target(ctx, index, target, "requested");
        let id = self.pools[index].id.clone();
        self.shrink(ctx, ec2, index, named);
        self.provision(ctx, ec2, &id);
        self.wake_scaling(ctx);
    }
}

//= https://docs.aws.amazon.com/emr/latest/APIReference/API_PutManagedScalingPolicy.html
fn put_scaling(emr: &mut Emr, ctx: &mut Ctx, input: &Value) -> Result<Value, ApiError> {
    let cluster = living(emr, input, "ClusterId")?;
    let policy = input["ManagedScalingPolicy"].clone();
    let limits = &policy["ComputeLimits"];
    let (least, most) = (
        count(limits, "MinimumCapacityUnits")?,
        count(limits, "MaximumCapacityUnits")?,
    );
    if !matches!((least, most), (Some(least), Some(most)) if least <= most) {
        return Err(validation(
            "MinimumCapacityUnits must be given and must not exceed MaximumCapacityUnits.",
        ));
    }
    ctx.transition("emr", &cluster.id, "managed scaling policy put", policy.clone());
    cluster.managed_scaling = Some(policy);
    cluster.wake_scaling(ctx);
    Ok(json!({}))
}

fn remove_scaling(emr: &mut Emr, ctx: &mut Ctx, input: &Value) -> Result<Value, ApiError> {
    let cluster = living(emr, input, "ClusterId")?;
    cluster.managed_scaling = None;
    cluster.idle = None;
    ctx.transition("emr", &cluster.id, "managed scaling policy removed", Value::Null);
    Ok(json!({}))
}

/// Tags go to the cluster and to its instances.
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-tags.html
fn add_tags(emr: &mut Emr, ctx: &mut Ctx, ec2: &mut Ec2, input: &Value) -> Result<Value, ApiError> {
    let tags = input::tags(&input["Tags"])?;
    let cluster = living(emr, input, "ResourceId")?;
    for (key, value) in tags {
        for instance in cluster.instances.iter().filter(|instance| instance.ended_at.is_none()) {
            ec2.tag(&instance.ec2_instance_id, &key, &value);
        }
        ctx.transition("emr", &cluster.id, format!("tag {key}={value} added"), Value::Null);
        cluster.tags.insert(key, value);
    }
    Ok(json!({}))
}

/// Tags go from the cluster and from its instances.
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-tags.html
fn remove_tags(emr: &mut Emr, ctx: &mut Ctx, ec2: &mut Ec2, input: &Value) -> Result<Value, ApiError> {
    let cluster = living(emr, input, "ResourceId")?;
    for key in texts(input, "TagKeys") {
        for instance in cluster.instances.iter().filter(|instance| instance.ended_at.is_none()) {
            ec2.untag(&instance.ec2_instance_id, key);
        }
        if cluster.tags.remove(key).is_some() {
            ctx.transition("emr", &cluster.id, format!("tag {key} removed"), Value::Null);
        }
    }
    Ok(json!({}))
}

//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ModifyCluster.html
fn modify_cluster(emr: &mut Emr, ctx: &mut Ctx, input: &Value) -> Result<Value, ApiError> {
    let level = concurrency(input)?;
    let cluster = living(emr, input, "ClusterId")?;
    if let Some(level) = level {
        cluster.step_concurrency = level;
        ctx.transition(
            "emr",
            &cluster.id,
            format!("step concurrency level is {level}"),
            Value::Null,
        );
        let starts_at = ctx.now + seconds(ctx, 2, 8);
        cluster.agenda.once_at(starts_at, Task::StartSteps);
    }
    Ok(json!({"StepConcurrencyLevel": cluster.step_concurrency}))
}
