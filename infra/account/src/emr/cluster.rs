//! A cluster: all that is known of it, and its own clockwork.
//!
//! Separate because every other part of the simulated EMR is a rule about this one struct. Scenarios and tests read it
//! as the ground truth: nothing is ever removed from it.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::api::{Ctx, Time};
use crate::ec2::{Ec2, Market};
use crate::spark::Workload;
use crate::yarn::Yarn;

use super::agenda::{Agenda, Task};
use super::events;
use super::input;
use super::pool::{Collection, Pool, Role, Units};
use super::step::Step;

/// A cluster's state, as the API and the events name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    /// EC2 is being asked for instances.
    Starting,
    /// Instances run their bootstrap actions.
    Bootstrapping,
    /// A step runs.
    Running,
    /// Ready, and no step runs.
    Waiting,
    /// Shutting down.
    Terminating,
    /// Gone, as asked for.
    Terminated,
    /// Gone because of an error.
    TerminatedWithErrors,
}

impl ClusterState {
    /// AWS's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Bootstrapping => "BOOTSTRAPPING",
            Self::Running => "RUNNING",
            Self::Waiting => "WAITING",
            Self::Terminating => "TERMINATING",
            Self::Terminated => "TERMINATED",
            Self::TerminatedWithErrors => "TERMINATED_WITH_ERRORS",
        }
    }

    /// Whether it is being made.
    pub fn is_new(self) -> bool {
        matches!(self, Self::Starting | Self::Bootstrapping)
    }

    /// Whether steps can run.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Running | Self::Waiting)
    }

    /// Whether it is gone or going.
    pub fn is_over(self) -> bool {
        !self.is_new() && !self.is_ready()
    }
}

/// Why something is in its state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason {
    /// AWS's code; empty for most.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Reason {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}

/// An instance's state, as EMR's API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// EC2 starts it.
    Provisioning,
    /// It runs its bootstrap actions.
    Bootstrapping,
    /// It is a node of the cluster.
    Running,
    /// It is gone, and EMR knows.
    Terminated,
}

impl InstanceState {
    /// AWS's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Bootstrapping => "BOOTSTRAPPING",
            Self::Running => "RUNNING",
            Self::Terminated => "TERMINATED",
        }
    }
}

/// An instance, as EMR sees it: later than EC2 does.
#[derive(Debug, Clone)]
pub struct Instance {
    /// EMR's id: `ci-…`.
    pub id: String,
    /// EC2's id: `i-…`.
    pub ec2_instance_id: String,
    /// Its host name, by which YARN and Spark know it.
    pub private_dns_name: String,
    /// Its private address.
    pub private_ip: String,
    /// The fleet or group that it belongs to.
    pub pool_id: String,
    /// What it is for.
    pub role: Role,
    /// Market.
    pub market: Market,
    /// Type.
    pub instance_type: String,
    /// Units that it counts for.
    pub weight: u32,
    /// State.
    pub state: InstanceState,
    /// Why, once it is terminated.
    pub reason: Reason,
    /// When EMR asked EC2 for it.
    pub created_at: Time,
    /// When it became a node.
    pub ready_at: Option<Time>,
    /// When EMR found it gone.
    pub ended_at: Option<Time>,
    /// Since when EMR has it leave: a resize, or managed scaling.
    pub leaving_since: Option<Time>,
    /// Whether EC2 is taking it away: a notice came, or it shuts down.
    pub doomed: bool,
    /// Whether EMR itself had EC2 terminate it.
    pub(super) released: bool,
    pub(super) in_yarn: bool,
}

/// An EMR cluster.
#[derive(Debug)]
pub struct Cluster {
    /// `j-…`.
    pub id: String,
    /// Its name, unique in no way.
    pub name: String,
    /// State.
    pub state: ClusterState,
    /// Why it is in that state.
    pub reason: Reason,
    /// When it was asked for.
    pub created_at: Time,
    /// When it could first run steps.
    pub ready_at: Option<Time>,
    /// When it was gone.
    pub ended_at: Option<Time>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Fleets, or groups.
    pub collection: Collection,
    /// Its fleets or groups.
    pub pools: Vec<Pool>,
    /// All instances that it ever had, in the order in which it asked for them.
    pub instances: Vec<Instance>,
    /// All its steps, oldest first.
    pub steps: Vec<Step>,
    /// How many steps may run at once.
    pub step_concurrency: u32,
    /// The managed scaling policy, as it was put.
    pub managed_scaling: Option<Value>,
    /// Whether TerminateJobFlows is refused.
    pub termination_protected: bool,
    /// The zone that all its instances are in.
    pub availability_zone: String,
    pub(super) keep_alive: bool,
    /// Whether what is submitted to Spark runs outside the account.
    pub(super) runs_outside: bool,
    pub(super) request: Value,
    pub(super) spark_defaults: BTreeMap<String, String>,
    pub(super) yarn: Yarn,
    pub(super) agenda: Agenda,
    pub(super) objects: Vec<(String, Vec<u8>)>,
    /// Since when more capacity is there than the load needs, and how long that may last.
    pub(super) idle: Option<(Time, TimeDelta)>,
    pub(super) whims: Whims,
}

/// What a story set for each cluster, where AWS's pages leave it open.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whims {
    /// How much longer than the first instances later ones take to become nodes.
    pub slower_by: TimeDelta,
    /// Whether the running steps of a cluster that ends with errors end as INTERRUPTED, which the API knows and no event
    /// is documented for; and not as CANCELLED.
    //= https://docs.aws.amazon.com/emr/latest/APIReference/API_StepStatus.html
    pub steps_interrupted: bool,
    /// How long DescribeCluster still says BOOTSTRAPPING of a cluster that is up, and whose steps begin.
    pub told_ready_after: TimeDelta,
    /// Whether DescribeStep and ListSteps keep the steps' YARN applications to themselves. The page says since when a step
    /// has them, and not for which releases.
    //= https://docs.aws.amazon.com/emr/latest/APIReference/API_StepAdditionalInfo.html
    pub applications_hidden: bool,
}

/// What a scenario set, for all clusters.
#[derive(Debug, Default)]
pub(super) struct Scenario {
    /// What a submitted script does, by its URI.
    pub(super) workloads: BTreeMap<String, Workload>,
    /// Whether EMR asks for no replacements.
    pub(super) replacement_paused: bool,
    /// What each new cluster begins with.
    pub(super) whims: Whims,
}

impl Cluster {
    /// Its YARN: load, applications and their truth.
    pub fn yarn(&self) -> &Yarn {
        &self.yarn
    }

    /// Whether EMR names the steps' YARN applications.
    pub fn names_applications(&self) -> bool {
        !self.whims.applications_hidden
    }

    /// The value of a tag that the cluster was asked for with.
    pub fn request_tag(&self, key: &str) -> Option<&str> {
        let tag = input::items(&self.request["Tags"]).find(|tag| tag["Key"] == key)?;
        tag["Value"].as_str()
    }

    /// A property of the cluster's `spark-defaults`.
    pub fn spark_default(&self, key: &str) -> Option<&str> {
        self.spark_defaults.get(key).map(String::as_str)
    }

    /// The fleet or group with this id.
    pub fn pool(&self, id: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.id == id)
    }

    /// The step with this id.
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// Units of a pool that EC2 has provided and EMR has not found gone: what the API calls provisioned.
    /// Assumed: an instance counts from the time at which EC2 runs it, and to the time at which EMR finds it gone.
    pub fn provisioned(&self, pool_id: &str) -> Units {
        self.sum(pool_id, |i| {
            matches!(i.state, InstanceState::Bootstrapping | InstanceState::Running)
        })
    }

    /// Units of a pool's instances that are nodes of the cluster.
    pub fn running(&self, pool_id: &str) -> Units {
        self.sum(pool_id, |instance| instance.state == InstanceState::Running)
    }

    /// Units that a pool has or is getting, and will keep as far as EMR is concerned.
    pub(super) fn present(&self, pool_id: &str) -> Units {
        self.sum(pool_id, |i| {
            i.state != InstanceState::Terminated && i.leaving_since.is_none()
        })
    }

    fn sum(&self, pool_id: &str, counts: impl Fn(&Instance) -> bool) -> Units {
        let mut units = Units::default();
        for instance in self.instances.iter().filter(|i| i.pool_id == pool_id && counts(i)) {
            *units.of_mut(instance.market) += instance.weight;
        }
        units
    }

    pub(super) fn pool_index(&self, id: &str) -> Option<usize> {
        self.pools.iter().position(|pool| pool.id == id)
    }

    /// When it next has something to do.
    pub(super) fn due(&self) -> Option<Time> {
        [self.agenda.due(), self.yarn.due()].into_iter().flatten().min()
    }

    /// Does everything that is due.
    pub(super) fn advance(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, scenario: &Scenario) {
        while let Some(task) = self.agenda.pop_due(ctx.now) {
            match task {
                Task::Provision(pool) => self.provision(ctx, ec2, &pool),
                Task::Bootstrapped(instance) => self.bootstrapped(ctx, &instance),
                Task::NoticeLoss(instance) => self.notice_loss(ctx, ec2, &instance, scenario),
                Task::ProvisioningTimeout(pool) => self.provisioning_timeout(ctx, ec2, &pool),
                Task::StartSteps => self.start_steps(ctx),
                Task::Submit(step) => self.submit(ctx, &step, scenario),
                Task::EndStep(step, ending) => self.end_step(ctx, ec2, &step, ending),
                Task::Scale => self.scale(ctx, ec2),
                Task::Drain => self.drain(ctx, ec2),
                Task::PushLogs => self.push_logs(ctx),
                Task::PushLastLogs(step) => self.push_last_logs(&step),
                Task::Terminated => self.terminated(ctx),
            }
        }
        if self.yarn.due().is_some_and(|due| due <= ctx.now) {
            self.yarn.advance(ctx);
        }
        self.watch_applications(ctx);
    }

    /// The S3 objects that appeared since this was last asked.
    pub(super) fn take_objects(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut objects = self.yarn.take_objects();
        objects.append(&mut self.objects);
        objects
    }

    /// Moves to another state, and says so in the journal and on the event bus.
    pub(super) fn enter(&mut self, ctx: &mut Ctx, state: ClusterState, reason: Reason) {
        if self.state == state {
            return;
        }
        self.state = state;
        self.reason = reason;
        let text = format!("cluster {} is {}", self.name, state.as_str());
        ctx.transition(
            "emr",
            &self.id,
            text,
            json!({"state": state.as_str(), "code": self.reason.code}),
        );
        events::cluster(ctx, self);
    }
}
