//! A story that is made up: what the account is like, and a timeline of deeds, each so long after something has come
//! about.
//!
//! Separate from the stories that have a name: a plot is data, and whoever draws one from a seed needs no code here.

mod acts;

use std::time::Duration;

use account::Account;
use account::api::Time;
use account::emr::{Role, Step, Whims};
use account::journal::Entry;
use account::spark::Workload;
use anyhow::Context;
use chrono::TimeDelta;
use serde_json::Value;

use crate::director::{HOURS_MAX, LOOK};
use crate::director::{emr, until};
use crate::run::{Run, Stage, has_report, untold};
use crate::world::{State, World};

/// A plot.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Where it is told.
    pub stage: Stage,
    /// The cluster, as `RunJobFlow` takes it.
    pub cluster: Value,
    /// Other clusters that are asked for after it, of which the story tells no more.
    pub beside: Vec<Value>,
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
    /// Somebody adds an action to the stack's experiment template that no drill takes.
    EditTemplate,
    /// The next experiment also resolves to an instance of a neighbour's, whatever its template names.
    Stray,
    /// What lies where event logs are written is moved aside, and back. The journal keeps what each report lacks at that time.
    Logs(bool),
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
        for other in self.beside {
            emr(&world, "RunJobFlow", other)?;
        }
        let mut left: Vec<(Deed, Option<Time>)> = self.deeds.into_iter().map(|deed| (deed, None)).collect();
        for _ in 0..HOURS_MAX * 3600 {
            let now = world.clock.now();
            let due = due(&world.lock(), &cluster_id, now, &mut left);
            for deed in due {
                acts::act(&world, &cluster_id, &deed)?;
            }
            if left.is_empty() || (left.iter().all(|(_, at)| at.is_none()) && is_over(&world.lock(), &cluster_id)) {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        until(&world, |state| applications_are_over(state, &cluster_id)).await?;
        // What the last deed set in motion shows only now.
        tokio::time::sleep(Duration::from_secs(5)).await;
        settle(&world).await;
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

/// Once the last step is told of nothing goes wrong any more. What a crash left behind is for the sweep, hours later.
async fn settle(world: &World) {
    while untold(&world.lock()).is_some() {
        tokio::time::sleep(LOOK).await;
    }
    world.lock().stop_faults();
    let is_left = |state: &State| {
        let mut templates = state.account.fis.templates();
        templates.any(|template| template.definition.tags.contains_key(STEP_TAG))
    };
    for _ in 0..SETTLE_MINUTES {
        if !is_left(&world.lock()) {
            break;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

/// The sweep deletes a template that is two hours old, a quarter of an hour later at the latest.
const SETTLE_MINUTES: usize = 150;

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
