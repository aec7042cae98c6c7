//! Who does what in the stories that have a name: people, and EC2 itself.
//!
//! Separate from running a story: here is only what happens besides what the account does by itself.

use std::time::Duration;

use account::api::Time;
use account::ec2::Market;
use account::emr::{Cluster, ClusterState, Role, Step, StepState, Whims};
use account::wire::Service;
use anyhow::{Context, bail};
use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::scenario::{DATA_BUCKET, OTHER_LOGS, RESULTS_PREFIX, Scenario, Twist};
use crate::settings::Settings;
use crate::world::{State, World};

/// No story lasts longer, in virtual time.
pub(crate) const HOURS_MAX: i64 = 6;

/// How often the main task looks, in virtual time.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// Of the other jobs' event logs so many are of the day.
const OTHER_LOGS_TODAY: usize = 30_000;

/// So long does EMR call a cluster bootstrapping whose step runs.
const TOLD_READY_AFTER: TimeDelta = TimeDelta::seconds(140);

/// Does what people, and EC2, do in the story.
pub(crate) async fn direct(world: World, scenario: Scenario, settings: Settings) -> anyhow::Result<()> {
    prepare(&world, scenario);
    let cluster_id = emr(&world, "RunJobFlow", scenario.cluster(&settings))?["JobFlowId"]
        .as_str()
        .context("RunJobFlow answers an id")?
        .to_owned();
    if scenario.twist == Twist::TransientCluster {
        return Ok(());
    }
    until(&world, |state| {
        cluster(state, &cluster_id).is_some_and(|one| one.state == ClusterState::Waiting)
    })
    .await?;
    if scenario.twist == Twist::ScheduledCheck {
        return until(&world, |state| {
            cluster(state, &cluster_id).is_some_and(|one| !one.steps.is_empty())
        })
        .await;
    }
    add_step(&world, &cluster_id, scenario.step())?;
    match scenario.twist {
        Twist::None
        | Twist::NoCapacity
        | Twist::SafetyLever
        | Twist::ScheduledCheck
        | Twist::ExperimentFails
        | Twist::TransientCluster
        | Twist::StopAlarm => {}
        Twist::CrowdedLogDir => {
            until_running(&world, &cluster_id).await?;
            // Those of today come after this cluster's own in their order, and were written since its step began.
            let now = world.clock.now();
            crowd(&world.lock(), now, TimeDelta::milliseconds(-5), OTHER_LOGS_TODAY);
        }
        Twist::TwoSteps => {
            tokio::time::sleep(Duration::from_secs(20)).await;
            add_step(&world, &cluster_id, scenario.second_step())?;
        }
        Twist::CancelledStep => {
            let step_id = until_running(&world, &cluster_id).await?;
            tokio::time::sleep(Duration::from_secs(45)).await;
            emr(
                &world,
                "CancelSteps",
                json!({"ClusterId": cluster_id, "StepIds": [step_id],
                "StepCancellationOption": "SEND_INTERRUPT"}),
            )?;
        }
        Twist::NaturalInterruption => {
            until_experiment(&world, &cluster_id).await?;
            tokio::time::sleep(Duration::from_secs(30)).await;
            interrupt_one(&world, &cluster_id)?;
        }
        Twist::NoReplacement => {
            if until_experiment(&world, &cluster_id).await.is_ok() {
                world.lock().account.emr.pause_replacement(true);
                world.lock().account.ec2.set_spot_capacity(Some(0));
                world.changed();
            }
        }
        Twist::ScaleDown => {
            until_experiment(&world, &cluster_id).await?;
            tokio::time::sleep(Duration::from_secs(20)).await;
            lower_target(&world, &cluster_id)?;
        }
    }
    Ok(())
}

pub(crate) fn prepare(world: &World, scenario: Scenario) {
    let mut state = world.lock();
    let state = &mut *state;
    let now = world.clock.now();
    let account = &mut state.account;
    for (bucket, encryption) in scenario.buckets() {
        account.s3.create_bucket(bucket);
        if account.s3.encrypt(bucket, encryption).is_err() {
            unreachable!("the bucket was made");
        }
    }
    account
        .emr
        .set_workload(&format!("s3://{DATA_BUCKET}/script.py"), scenario.workload());
    for key in ["part-00000-of-last-week", "_SUCCESS"] {
        let uri = format!("s3://{DATA_BUCKET}/{RESULTS_PREFIX}{key}");
        if scenario.twist == Twist::ScheduledCheck && account.s3.put(&uri, "old", now).is_err() {
            unreachable!("the bucket was made");
        }
    }
    match scenario.twist {
        Twist::NoCapacity => account.ec2.set_spot_capacity(Some(0)),
        Twist::SafetyLever => {
            let engaged = json!({"id": "default", "state": {"status": "engaged", "reason": "change freeze"}});
            if let Err(error) = account.call(now, Service::Fis, "UpdateSafetyLeverState", engaged) {
                unreachable!("the lever is there: {error}");
            }
        }
        Twist::ExperimentFails => account
            .fis
            .fail_next("InternalFailure", "Something went wrong inside FIS."),
        Twist::StopAlarm => {
            let alarm = state.template.experiment_template["stopConditions"][0]["value"].as_str();
            account.fis.alarm_with_next(alarm.unwrap_or_default());
        }
        Twist::CrowdedLogDir => {
            let count = OTHER_LOGS - OTHER_LOGS_TODAY;
            crowd(state, now - TimeDelta::days(1), TimeDelta::minutes(-10), count);
        }
        Twist::TransientCluster => account.emr.set_whims(Whims {
            told_ready_after: TOLD_READY_AFTER,
            ..Whims::default()
        }),
        _ => {}
    }
}

/// Event logs of other clusters' applications, one each.
fn crowd(state: &State, from: Time, every: TimeDelta, count: usize) {
    let mut at = from;
    for _ in 0..count {
        let uri = format!(
            "s3://{DATA_BUCKET}/spark-events/application_{}_0001",
            at.timestamp_millis()
        );
        if state.account.s3.put(&uri, Bytes::from_static(b"{}"), at).is_err() {
            unreachable!("the bucket was made");
        }
        at += every;
    }
}

/// Waits until something is so.
pub(crate) async fn until(world: &World, is_so: impl Fn(&State) -> bool) -> anyhow::Result<()> {
    for _ in 0..HOURS_MAX * 3600 {
        if is_so(&world.lock()) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("the story has not ended after {HOURS_MAX} virtual hours: what it waits for did not come")
}

async fn until_running(world: &World, cluster_id: &str) -> anyhow::Result<String> {
    let running = |state: &State| {
        let steps = &cluster(state, cluster_id)?.steps;
        steps
            .iter()
            .find(|step| step.state == StepState::Running)
            .map(|step| step.id.clone())
    };
    until(world, |state| running(state).is_some()).await?;
    running(&world.lock()).context("the step ran a moment ago")
}

/// Waits until the first experiment has begun to act; an error, when the steps are over before.
async fn until_experiment(world: &World, cluster_id: &str) -> anyhow::Result<()> {
    let begun = |state: &State| state.account.fis.experiments().any(|one| !one.interrupted.is_empty());
    let over = |state: &State| {
        cluster(state, cluster_id).is_some_and(|one| one.steps.iter().all(|step: &Step| step.ended_at.is_some()))
    };
    until(world, |state| begun(state) || over(state)).await?;
    if begun(&world.lock()) {
        Ok(())
    } else {
        bail!("the steps were over before an experiment began")
    }
}

fn cluster<'a>(state: &'a State, id: &str) -> Option<&'a Cluster> {
    state.account.emr.cluster(id)
}

pub(crate) fn emr(world: &World, operation: &str, input: Value) -> anyhow::Result<Value> {
    let now = world.clock.now();
    let answer = world.lock().account.call(now, Service::Emr, operation, input);
    world.changed();
    answer.with_context(|| format!("{operation} of the story's director"))
}

fn add_step(world: &World, cluster_id: &str, step: Value) -> anyhow::Result<()> {
    emr(
        world,
        "AddJobFlowSteps",
        json!({"JobFlowId": cluster_id, "Steps": [step]}),
    )
    .map(drop)
}

/// EC2 takes the oldest running Spot task instance that has no notice yet.
fn interrupt_one(world: &World, cluster_id: &str) -> anyhow::Result<()> {
    let now = world.clock.now();
    let mut state = world.lock();
    let ids: Vec<String> = cluster(&state, cluster_id)
        .context("the cluster exists")?
        .instances
        .iter()
        .filter(|instance| instance.role == Role::Task && instance.market == Market::Spot)
        .map(|instance| instance.ec2_instance_id.clone())
        .collect();
    let taken = ids.into_iter().find(|id| state.account.ec2.can_be_interrupted(id));
    let id = taken.context("no Spot task instance is left to be taken")?;
    state.account.interrupt_naturally(now, &id);
    drop(state);
    world.changed();
    Ok(())
}

/// Somebody sets the task fleet to less than it has, and keeps managed scaling from raising it again.
fn lower_target(world: &World, cluster_id: &str) -> anyhow::Result<()> {
    let (fleet_id, target) = {
        let state = world.lock();
        let fleet = cluster(&state, cluster_id)
            .and_then(|one| one.pools.iter().find(|pool| pool.role == Role::Task))
            .context("the cluster has a task fleet")?;
        (fleet.id.clone(), fleet.target.spot)
    };
    emr(
        world,
        "PutManagedScalingPolicy",
        json!({"ClusterId": cluster_id, "ManagedScalingPolicy": {"ComputeLimits": {
        "UnitType": "InstanceFleetUnits", "MinimumCapacityUnits": 4, "MaximumCapacityUnits": 20,
        "MaximumOnDemandCapacityUnits": 4, "MaximumCoreCapacityUnits": 4}}}),
    )?;
    emr(
        world,
        "ModifyInstanceFleet",
        json!({"ClusterId": cluster_id,
        "InstanceFleet": {"InstanceFleetId": fleet_id, "TargetSpotCapacity": target.min(16)}}),
    )
    .map(drop)
}
