//! A story from begin to report: deploys, makes the cluster, submits the step, lets the twist happen, waits for the
//! reports.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::report::Report;

use crate::api::Time;
use crate::ec2::Market;
use crate::emr::{Cluster, ClusterState, Role, Step, StepState};
use crate::fault::Faults;
use crate::journal::Entry;
use crate::scenario::{DATA_BUCKET, RESULTS_PREFIX, Scenario, Twist};
use crate::settings::Settings;
use crate::wire::Service;
use crate::world::{State, World};

/// The stack that is deployed: the project's own.
pub const TEMPLATE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml"));

/// When every run begins.
const EPOCH: &str = "2026-11-20T14:00:00Z";

/// No story lasts longer, in virtual time.
const HOURS_MAX: i64 = 6;

/// How often the main task looks, in virtual time.
const LOOK: Duration = Duration::from_secs(1);

/// One finished step, and what the functions made of it.
#[derive(Debug, Clone)]
pub struct StepRun {
    /// `j-…`
    pub cluster_id: String,
    /// `s-…`
    pub step_id: String,
    /// `report.json` as it lies in S3; `None`: there is none.
    pub json: Option<Vec<u8>>,
    /// `report.html` as it lies in S3.
    pub html: Option<Vec<u8>>,
}

impl StepRun {
    /// The report, read back.
    pub fn report(&self) -> anyhow::Result<Report> {
        let json = self
            .json
            .as_ref()
            .ok_or_else(|| anyhow!("step {} has no report", self.step_id))?;
        serde_json::from_slice(json).context("reading the report back")
    }
}

/// A run that came to its end.
pub struct Run {
    /// The world as it stands then.
    pub world: World,
    /// The steps, in the order in which they were added.
    pub steps: Vec<StepRun>,
    /// Virtual time when it began.
    pub begun_at: Time,
    /// Virtual time when it ended.
    pub ended_at: Time,
}

/// Runs a story. `watch` sees each entry of the journal soon after it was written.
pub fn run(scenario: Scenario, settings: &Settings, seed: u64, mut watch: impl FnMut(&Entry)) -> anyhow::Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let begun_at: Time = EPOCH.parse().context("the epoch is a time")?;
        let faults = Faults {
            twice_percent: settings.twice,
            lost_percent: settings.lost,
            errors_percent: settings.errors,
            lost_answers_percent: settings.lost_answers,
            crash: settings.crash.clone(),
            ..Faults::default()
        };
        let world = World::new(TEMPLATE, &scenario.parameters(settings), seed, begun_at, faults)
            .map_err(|error| anyhow!("deploying infra/template.yaml: {error}"))?;
        world.lock().account.s3.create_bucket(DATA_BUCKET);
        tokio::spawn(world.clone().run());
        let director = tokio::spawn(direct(world.clone(), scenario, settings.clone()));
        let mut shown = 0;
        let limit = begun_at + TimeDelta::hours(HOURS_MAX);
        loop {
            tokio::time::sleep(LOOK).await;
            let now = world.clock.now();
            let state = world.lock();
            let entries = state.account.journal.entries();
            entries[shown..].iter().for_each(&mut watch);
            shown = entries.len();
            if let Some(bug) = state.bug() {
                bail!("seed {seed}: {bug}");
            }
            if director.is_finished() && is_over(&state) {
                break;
            }
            if now > limit {
                bail!("seed {seed}: the story has not ended after {HOURS_MAX} virtual hours");
            }
        }
        director.await.context("the story's director")??;
        let steps = collect(&world)?;
        let ended_at = world.clock.now();
        Ok(Run {
            world,
            steps,
            begun_at,
            ended_at,
        })
    })
}

/// Every step is over, every function has answered, and each Spark step that ran has its report.
fn is_over(state: &State) -> bool {
    let steps: Vec<(&Cluster, &Step)> = state
        .account
        .emr
        .clusters()
        .flat_map(|cluster| cluster.steps.iter().map(move |step| (cluster, step)))
        .collect();
    !steps.is_empty()
        && state.is_quiet()
        && steps.into_iter().all(|(cluster, step)| {
            let is_over = step.ended_at.is_some();
            let needs_report = step.application_id.is_some();
            is_over && (!needs_report || report_object(state, &cluster.id, &step.id, "report.json").is_some())
        })
}

fn report_object(state: &State, cluster_id: &str, step_id: &str, name: &str) -> Option<Vec<u8>> {
    let bucket = state.template.buckets.get("ReportBucket")?;
    let uri = format!("s3://{bucket}/reports/{cluster_id}/{step_id}/{name}");
    state.account.s3.get(&uri).ok().map(|object| object.bytes.to_vec())
}

fn collect(world: &World) -> anyhow::Result<Vec<StepRun>> {
    let state = world.lock();
    Ok(state
        .account
        .emr
        .clusters()
        .flat_map(|cluster| {
            cluster
                .steps
                .iter()
                .map(move |step| (cluster.id.clone(), step.id.clone()))
        })
        .map(|(cluster_id, step_id)| StepRun {
            json: report_object(&state, &cluster_id, &step_id, "report.json"),
            html: report_object(&state, &cluster_id, &step_id, "report.html"),
            cluster_id,
            step_id,
        })
        .collect())
}

/// Does what people, and EC2, do in the story.
async fn direct(world: World, scenario: Scenario, settings: Settings) -> anyhow::Result<()> {
    prepare(&world, scenario);
    let cluster_id = emr(&world, "RunJobFlow", scenario.cluster(&settings))?["JobFlowId"]
        .as_str()
        .context("RunJobFlow answers an id")?
        .to_owned();
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
        | Twist::StopAlarm => {}
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
        Twist::SafetyLever => account.fis.set_safety_lever(true, "change freeze"),
        Twist::ExperimentFails => account
            .fis
            .fail_next("InternalFailure", "Something went wrong inside FIS."),
        Twist::StopAlarm => {
            let alarm = state.template.experiment_template["stopConditions"][0]["value"].as_str();
            account.fis.set_alarm(alarm.unwrap_or_default(), true);
        }
        _ => {}
    }
}

/// Waits until something is so.
async fn until(world: &World, is_so: impl Fn(&State) -> bool) -> anyhow::Result<()> {
    for _ in 0..HOURS_MAX * 3600 {
        if is_so(&world.lock()) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("what the story waits for did not come in {HOURS_MAX} virtual hours")
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

fn emr(world: &World, operation: &str, input: Value) -> anyhow::Result<Value> {
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
