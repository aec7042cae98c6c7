//! How each deed is done: by a call that anybody could make, or by what only the simulation can do.
//!
//! Separate from when it is done.

use account::api::Time;
use account::ec2::Market;
use account::emr::{Cluster, Role, Units};
use account::fis::instance_arn;
use account::journal::Kind;
use account::s3::Encryption;
use account::template::Destination;
use account::wire::Service;
use anyhow::Context;
use serde_json::{Value, json};

use super::{Deed, STEP_TAG, What, Whom};
use crate::scenario::DATA_BUCKET;
use crate::strangers::is_stranger;
use crate::world::{State, World};

/// Does a deed now.
pub(super) fn act(world: &World, cluster_id: &str, deed: &Deed) -> anyhow::Result<()> {
    let now = world.clock.now();
    let mut state = world.lock();
    let text = format!("deed: {:?}", deed.what);
    let data = match deed.what {
        What::Logs(_) => lacking(&state),
        _ => Value::Null,
    };
    state
        .account
        .note(now, Kind::Transition, "story", cluster_id, text, data);
    do_it(&mut state, cluster_id, &deed.what, now)?;
    drop(state);
    world.changed();
    Ok(())
}

fn do_it(state: &mut State, cluster_id: &str, what: &What, now: Time) -> anyhow::Result<()> {
    let cluster = state
        .account
        .emr
        .cluster(cluster_id)
        .context("the story's cluster is there")?;
    if cluster.state.is_over() && !matches!(what, What::TellEndAgain(_) | What::Sweep | What::Logs(_)) {
        return Ok(());
    }
    if let Some((service, operation, input)) = call(state, cluster, what) {
        let answer = state.account.call(now, service, operation, input);
        answer.with_context(|| format!("{operation} of the plot"))?;
        return Ok(());
    }
    let step_id = |number: usize| cluster.steps.get(number).map(|step| step.id.clone());
    match what {
        What::Reclaim(whom) | What::Experiment(whom) | What::Terminate(whom) => {
            let ids = choose(state, cluster, *whom);
            hit(state, what, &ids, now)?;
        }
        What::Capacity(launches) => state.account.ec2.set_spot_capacity(*launches),
        What::Stray => {
            if let Some(id) = neighbour(state) {
                state.account.fis.resolve_also(&id);
            }
        }
        What::Alarm(on) => {
            let alarm = state.template.experiment_template["stopConditions"][0]["value"].clone();
            state.account.fis.set_alarm(alarm.as_str().unwrap_or_default(), *on);
        }
        What::Logs(back) => move_logs(state, *back)?,
        What::TellEndAgain(number) => {
            let end = step_id(*number).and_then(|id| end_of(state, &id));
            if let Some(end) = end {
                state.put_event(now, &end)?;
            }
        }
        What::Sweep => {
            let sweep = json!({"sweep": true});
            state.schedule_delivery(now, &Destination::Function("WriteReport".into()), &sweep);
        }
        // Of what is not there, no call asks for anything.
        _ => {}
    }
    Ok(())
}

/// The call that anybody could make for a deed. `None`: there is none, or nothing to call it for.
fn call(state: &State, cluster: &Cluster, what: &What) -> Option<(Service, &'static str, Value)> {
    match what {
        What::AddStep(step) => {
            let input = json!({"JobFlowId": cluster.id, "Steps": [step]});
            Some((Service::Emr, "AddJobFlowSteps", input))
        }
        What::EndCluster => Some((Service::Emr, "TerminateJobFlows", json!({"JobFlowIds": [cluster.id]}))),
        What::OptOut => {
            let input = json!({"ResourceId": cluster.id, "TagKeys": ["spot-drill"]});
            Some((Service::Emr, "RemoveTags", input))
        }
        What::Cancel(number) => {
            let id = &cluster.steps.get(*number)?.id;
            let input = json!({"ClusterId": cluster.id, "StepIds": [id], "StepCancellationOption": "SEND_INTERRUPT"});
            Some((Service::Emr, "CancelSteps", input))
        }
        What::Target(spot) => {
            let (operation, input) = target(cluster, *spot)?;
            Some((Service::Emr, operation, input))
        }
        What::Lever => {
            let input = json!({"id": "default", "state": {"status": "engaged", "reason": "change freeze"}});
            Some((Service::Fis, "UpdateSafetyLeverState", input))
        }
        What::EditTemplate => Some((Service::Fis, "UpdateExperimentTemplate", edited(state)?)),
        _ => None,
    }
}

/// How many pieces each report had to do without, by its step.
fn lacking(state: &State) -> Value {
    let bucket = &state.template.buckets["ReportBucket"];
    let keys = state.account.s3.list(bucket, "reports/").unwrap_or_default();
    let reports = keys.into_iter().filter_map(|key| {
        let step_id = key.strip_suffix("/report.json")?.rsplit('/').next()?.to_owned();
        let object = state.account.s3.get(&format!("s3://{bucket}/{key}")).ok()?;
        let report: Value = serde_json::from_slice(&object.bytes).ok()?;
        Some((step_id, report["missing"].as_array()?.len().into()))
    });
    Value::Object(reports.collect())
}

/// Those that are encrypted stay, since they would not be any more.
fn move_logs(state: &State, back: bool) -> anyhow::Result<()> {
    let s3 = &state.account.s3;
    let (logs, aside) = (
        format!("s3://{DATA_BUCKET}/spark-events/"),
        format!("s3://{DATA_BUCKET}/aside/"),
    );
    let (from, to) = if back { (aside, logs) } else { (logs, aside) };
    let (bucket, prefix) = from["s3://".len()..].split_once('/').unwrap_or_default();
    for key in s3.list(bucket, prefix)? {
        let uri = format!("s3://{bucket}/{key}");
        let object = s3.get(&uri)?;
        if !matches!(object.headers.encryption, Some(Encryption::Kms(_))) {
            s3.put(
                &format!("{to}{}", &key[prefix.len()..]),
                object.bytes,
                object.last_modified,
            )?;
            s3.delete(&uri)?;
        }
    }
    Ok(())
}

/// An instance of a neighbour's that EC2 could interrupt.
fn neighbour(state: &State) -> Option<String> {
    let neighbours = state.account.emr.clusters().filter(|cluster| is_stranger(cluster));
    let mut ids = neighbours
        .flat_map(|cluster| &cluster.instances)
        .map(|node| &node.ec2_instance_id);
    ids.find(|id| state.account.ec2.can_be_interrupted(id)).cloned()
}

/// The request that has the stack's experiment template wait a minute, too.
fn edited(state: &State) -> Option<Value> {
    // Others of the account have templates, too.
    let id = &state.template.functions["StartExperiment"].environment["EXPERIMENT_TEMPLATE_ID"];
    let of_the_stack = state.account.fis.templates().find(|one| one.id == *id)?;
    let mut actions = json!(of_the_stack.definition.actions);
    actions["Wait"] = json!({"actionId": "aws:fis:wait", "parameters": {"duration": "PT1M"}});
    Some(json!({"id": of_the_stack.id, "actions": actions}))
}

/// The request that sets the Spot target of the cluster's task capacity.
fn target(cluster: &Cluster, spot: u32) -> Option<(&'static str, Value)> {
    let has_spot = |units: &(Time, Units)| units.1.spot > 0;
    let mut pools = cluster.pools.iter();
    let pool = pools.find(|pool| pool.role == Role::Task && pool.targets.iter().any(has_spot))?;
    Some(if pool.id.starts_with("if-") {
        let fleet = json!({"InstanceFleetId": pool.id, "TargetSpotCapacity": spot});
        (
            "ModifyInstanceFleet",
            json!({"ClusterId": cluster.id, "InstanceFleet": fleet}),
        )
    } else {
        let group = json!({"InstanceGroupId": pool.id, "InstanceCount": spot});
        (
            "ModifyInstanceGroups",
            json!({"ClusterId": cluster.id, "InstanceGroups": [group]}),
        )
    })
}

fn choose(state: &State, cluster: &Cluster, whom: Whom) -> Vec<String> {
    let can = |id: &String| state.account.ec2.can_be_interrupted(id);
    match whom {
        Whom::Nodes { role, count, from } => {
            let nodes = cluster.instances.iter().filter(|node| node.role == role);
            let ready = nodes.filter(|node| node.market == Market::Spot && node.ready_at.is_some());
            let ids: Vec<String> = ready.map(|node| node.ec2_instance_id.clone()).filter(can).collect();
            let from = if ids.is_empty() { 0 } else { from % ids.len() };
            ids.iter()
                .cycle()
                .skip(from)
                .take(count.min(ids.len()))
                .cloned()
                .collect()
        }
        Whom::Driver => {
            let running = cluster.yarn().truth().iter().filter(|one| one.ended_at.is_none());
            let drivers = running.filter_map(|one| one.last_attempt()?.driver_instance.clone());
            drivers.filter(can).take(1).collect()
        }
        Whom::Chosen(count) => {
            let ours = state
                .account
                .fis
                .experiments()
                .filter(|one| one.tags.contains_key(STEP_TAG));
            let targets = ours.flat_map(|one| one.definition.targets.values());
            let arns = targets.flat_map(|target| &target.resource_arns);
            let ids = arns.filter_map(|arn| arn.rsplit('/').next().map(str::to_owned));
            let mine = ids.filter(|id| cluster.instances.iter().any(|node| node.ec2_instance_id == *id));
            mine.filter(can).take(count).collect()
        }
    }
}

fn hit(state: &mut State, how: &What, ids: &[String], now: Time) -> anyhow::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    match how {
        What::Experiment(_) => {
            // FIS takes five of them.
            let arns: Vec<String> = ids.iter().take(5).map(|id| instance_arn(id)).collect();
            let template = json!({
                "description": "Somebody else's", "roleArn": "arn:aws:iam::000000000000:role/somebody",
                "stopConditions": [{"source": "none"}],
                "targets": {"some": {"resourceType": "aws:ec2:spot-instance", "selectionMode": "ALL", "resourceArns": arns}},
                "actions": {"interrupt": {"actionId": "aws:ec2:send-spot-instance-interruptions",
                    "parameters": {"durationBeforeInterruption": "PT2M"}, "targets": {"SpotInstances": "some"}}},
            });
            let made = state
                .account
                .call(now, Service::Fis, "CreateExperimentTemplate", template);
            let id = made.context("somebody's template")?["experimentTemplate"]["id"].clone();
            let start = json!({"experimentTemplateId": id});
            state
                .account
                .call(now, Service::Fis, "StartExperiment", start)
                .context("somebody's experiment")?;
        }
        What::Terminate(_) => ids.iter().for_each(|id| state.account.terminate_instance(now, id)),
        _ => ids.iter().for_each(|id| state.account.interrupt_naturally(now, id)),
    }
    Ok(())
}

/// The event of a step's end, as it was first told.
fn end_of(state: &State, step_id: &str) -> Option<Value> {
    let events = state
        .account
        .journal
        .entries()
        .iter()
        .filter(|entry| entry.kind == Kind::Event);
    let mut ends = events.filter(|entry| {
        let detail = &entry.data["detail"];
        let state = detail["state"].as_str().unwrap_or_default();
        detail["stepId"] == step_id && ["COMPLETED", "FAILED", "CANCELLED"].contains(&state)
    });
    ends.next().map(|entry| entry.data.clone())
}
