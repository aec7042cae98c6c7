//! A story that is made up: what the account is like, and a timeline of deeds, each so long after something has come
//! about.
//!
//! Separate from the stories that have a name: a plot is data, and whoever draws one from a seed needs no code here.

use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::account::Account;
use crate::api::Time;
use crate::director::{emr, until};
use crate::ec2::Market;
use crate::emr::{Cluster, Role, Step, Units, Whims};
use crate::journal::{Entry, Kind};
use crate::run::{HOURS_MAX, LOOK, Run, Stage, has_report};
use crate::spark::Workload;
use crate::template::Destination;
use crate::wire::Service;
use crate::world::{State, World};

/// A plot.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Where it is told.
    pub stage: Stage,
    /// The cluster, as `RunJobFlow` takes it.
    pub cluster: Value,
    /// What each script does, by its URI.
    pub workloads: Vec<(String, Workload)>,
    /// What lies in S3 before it begins, by URI.
    pub objects: Vec<String>,
    /// Entries of a listing's page, if fewer than AWS's.
    pub page: Option<usize>,
    /// What AWS's pages leave open.
    pub whims: Whims,
    /// The drill's first experiment fails inside FIS.
    pub experiment_fails: bool,
    /// What happens, in no order.
    pub deeds: Vec<Deed>,
}

/// Something that somebody does.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// What must have come about.
    pub after: Moment,
    /// So many seconds later.
    pub seconds: u32,
    /// What is done.
    pub what: What,
}

/// Something that comes about, or does not. Steps are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The cluster can run steps.
    Ready,
    /// A step runs.
    StepBegan(usize),
    /// A step has ended.
    StepEnded(usize),
    /// A step's report is there.
    Reported(usize),
    /// The first experiment of a drill's has begun to act.
    Noticed,
    /// The first experiment of a drill's was asked for.
    Asked,
}

/// What somebody does.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Adds a step, as `AddJobFlowSteps` takes it.
    AddStep(Value),
    /// EC2 takes instances back.
    Reclaim(Whom),
    /// Somebody else's FIS experiment interrupts instances.
    Experiment(Whom),
    /// A user terminates instances.
    Terminate(Whom),
    /// A user sets the task fleet's, or group's, Spot target.
    Target(u32),
    /// A user ends the cluster.
    EndCluster,
    /// A user cancels a step.
    Cancel(usize),
    /// So many more Spot launches succeed; `None`: any number.
    Capacity(Option<u32>),
    /// The stop condition's alarm goes on or off.
    Alarm(bool),
    /// The safety lever is engaged.
    Lever,
    /// The cluster's owner takes the opt-in back.
    OptOut,
    /// A step's end is told once more.
    TellEndAgain(usize),
    /// The sweep runs.
    Sweep,
}

/// Instances of the story's cluster that EC2 could interrupt, chosen when the time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// So many nodes of a role, beginning with this one of them.
    Nodes {
        /// Their role.
        role: Role,
        /// How many at most.
        count: usize,
        /// How many are passed over first, around and around.
        from: usize,
    },
    /// The node that the first driver that runs is on.
    Driver,
    /// So many of those that the drill has chosen.
    Chosen(usize),
}

impl Plot {
    /// Tells it.
    pub fn tell(&self, watch: impl FnMut(&Entry)) -> anyhow::Result<Run> {
        let plot = self.clone();
        self.stage.play(|world| plot.direct(world), watch)
    }

    /// The same without anything that interrupts, ends or lacks anything, to compare with.
    pub fn calm(&self) -> Self {
        let mut calm = self.clone();
        calm.stage.parameters.insert("Mode".into(), "off".into());
        calm.deeds.retain(|deed| matches!(deed.what, What::AddStep(_)));
        calm
    }

    async fn direct(self, world: World) -> anyhow::Result<()> {
        self.prepare(&world);
        let cluster_id = emr(&world, "RunJobFlow", self.cluster.clone())?["JobFlowId"]
            .as_str()
            .context("RunJobFlow answers an id")?
            .to_owned();
        let mut left: Vec<(Deed, Option<Time>)> = self.deeds.into_iter().map(|deed| (deed, None)).collect();
        for _ in 0..HOURS_MAX * 3600 {
            let now = world.clock.now();
            let due = due(&world.lock(), &cluster_id, now, &mut left);
            for deed in due {
                act(&world, &cluster_id, &deed)?;
            }
            if left.is_empty() || (left.iter().all(|(_, at)| at.is_none()) && is_over(&world.lock(), &cluster_id)) {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        until(&world, |state| applications_are_over(state, &cluster_id)).await?;
        // What the last deed set in motion shows only now.
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(())
    }

    fn prepare(&self, world: &World) {
        let now = world.clock.now();
        let account: &mut Account = &mut world.lock().account;
        for (script, workload) in &self.workloads {
            account.emr.set_workload(script, workload.clone());
        }
        for uri in &self.objects {
            account
                .s3
                .put(uri, "old", now)
                .expect("the plot names buckets that are there");
        }
        account.emr.set_whims(self.whims);
        if let Some(entries) = self.page {
            account.set_page(entries);
        }
        if self.experiment_fails {
            account
                .fis
                .fail_next("InternalFailure", "Something went wrong inside FIS.");
        }
    }
}

/// Takes the deeds whose time has come, and notes when that of others comes.
fn due(state: &State, cluster_id: &str, now: Time, left: &mut Vec<(Deed, Option<Time>)>) -> Vec<Deed> {
    let mut due = Vec::new();
    left.retain_mut(|(deed, at)| {
        if at.is_none() {
            let came = moment(state, cluster_id, deed.after, now);
            *at = came.map(|came| came + TimeDelta::seconds(i64::from(deed.seconds)));
        }
        let is_due = at.is_some_and(|at| at <= now);
        if is_due {
            due.push(deed.clone());
        }
        !is_due
    });
    due
}

/// When something came about.
fn moment(state: &State, cluster_id: &str, moment: Moment, now: Time) -> Option<Time> {
    let cluster = state.account.emr.cluster(cluster_id)?;
    let ours = || {
        state
            .account
            .fis
            .experiments()
            .filter(|one| one.tags.contains_key(STEP_TAG))
    };
    match moment {
        Moment::Ready => cluster.ready_at,
        Moment::StepBegan(number) => cluster.steps.get(number)?.started_at,
        Moment::StepEnded(number) => cluster.steps.get(number)?.ended_at,
        Moment::Reported(number) => has_report(state, cluster_id, &cluster.steps.get(number)?.id).then_some(now),
        Moment::Noticed => ours().any(|one| !one.interrupted.is_empty()).then_some(now),
        Moment::Asked => ours().map(|one| one.created_at).next(),
    }
}

/// The tag of a drill's experiment.
const STEP_TAG: &str = "spot-drill:step";

/// Nothing more comes about: every step is over, and has its report if it ran an application.
fn is_over(state: &State, cluster_id: &str) -> bool {
    let Some(cluster) = state.account.emr.cluster(cluster_id) else {
        return true;
    };
    let told = |step: &Step| step.application_id.is_none() || has_report(state, cluster_id, &step.id);
    let all_over = cluster.steps.iter().all(|step| step.ended_at.is_some() && told(step));
    all_over && state.is_quiet() && (!cluster.steps.is_empty() || cluster.state.is_over())
}

fn applications_are_over(state: &State, cluster_id: &str) -> bool {
    let cluster = state.account.emr.cluster(cluster_id);
    cluster.is_none_or(|cluster| cluster.yarn().truth().iter().all(|one| one.ended_at.is_some()))
}

fn act(world: &World, cluster_id: &str, deed: &Deed) -> anyhow::Result<()> {
    let now = world.clock.now();
    let mut state = world.lock();
    let text = format!("deed: {:?}", deed.what);
    state
        .account
        .note(now, Kind::Transition, "story", cluster_id, text, Value::Null);
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
    if cluster.state.is_over() && !matches!(what, What::TellEndAgain(_) | What::Sweep) {
        return Ok(());
    }
    let step_id = |number: usize| cluster.steps.get(number).map(|step| step.id.clone());
    let call = |service: Service, operation: &str, input: Value| Some((service, operation.to_owned(), input));
    let asked = match what {
        What::AddStep(step) => call(
            Service::Emr,
            "AddJobFlowSteps",
            json!({"JobFlowId": cluster_id, "Steps": [step]}),
        ),
        What::EndCluster => call(Service::Emr, "TerminateJobFlows", json!({"JobFlowIds": [cluster_id]})),
        What::OptOut => {
            let input = json!({"ResourceId": cluster_id, "TagKeys": ["spot-drill"]});
            call(Service::Emr, "RemoveTags", input)
        }
        What::Cancel(number) => step_id(*number).and_then(|id| {
            let input = json!({"ClusterId": cluster_id, "StepIds": [id], "StepCancellationOption": "SEND_INTERRUPT"});
            call(Service::Emr, "CancelSteps", input)
        }),
        What::Target(spot) => {
            target(cluster, *spot).and_then(|(operation, input)| call(Service::Emr, operation, input))
        }
        What::Lever => {
            let input = json!({"id": "default", "state": {"status": "engaged", "reason": "change freeze"}});
            call(Service::Fis, "UpdateSafetyLeverState", input)
        }
        What::Reclaim(whom) | What::Experiment(whom) | What::Terminate(whom) => {
            let ids = choose(state, cluster, *whom);
            return hit(state, what, &ids, now);
        }
        What::Capacity(launches) => {
            state.account.ec2.set_spot_capacity(*launches);
            None
        }
        What::Alarm(on) => {
            let alarm = state.template.experiment_template["stopConditions"][0]["value"].clone();
            state.account.fis.set_alarm(alarm.as_str().unwrap_or_default(), *on);
            None
        }
        What::TellEndAgain(number) => {
            let end = step_id(*number).and_then(|id| end_of(state, &id));
            if let Some(end) = end {
                state.put_event(now, &end)?;
            }
            None
        }
        What::Sweep => {
            let sweep = json!({"sweep": true});
            state.schedule_delivery(now, &Destination::Function("WriteReport".into()), &sweep);
            None
        }
    };
    if let Some((service, operation, input)) = asked {
        let answer = state.account.call(now, service, &operation, input);
        answer.with_context(|| format!("{operation} of the plot"))?;
    }
    Ok(())
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
            let arns: Vec<String> = ids.iter().take(5).map(|id| crate::fis::instance_arn(id)).collect();
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
