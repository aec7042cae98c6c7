//! A cluster's own life: it starts, is ready, runs steps or waits, and ends.
//!
//! Separate because these are the only places where the state of a cluster, or of a fleet or group, changes.
//!
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-overview.html#emr-overview-cluster-lifecycle

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::api::Ctx;
use crate::ec2::Ec2;
use crate::yarn::{Order, Yarn};

use super::agenda::Task;
use super::cluster::{Cluster, ClusterState, InstanceState, Reason};
use super::events;
use super::pool::{Collection, PoolState, Role, Units};
use super::provision::{MARKETS, seconds};
use super::run_job_flow::configured;
use super::step::{Ending, StepState};

impl Cluster {
    /// Starts to make the cluster that RunJobFlow asked for.
    pub(super) fn start(&mut self, ctx: &mut Ctx) {
        let text = format!("cluster {} was requested", self.name);
        ctx.transition("emr", &self.id, text, json!({"state": self.state.as_str()}));
        events::cluster(ctx, self);
        let pools: Vec<_> = self
            .pools
            .iter()
            .map(|pool| (pool.id.clone(), spot_timeout(&pool.config)))
            .collect();
        let asks_at = ctx.now + seconds(ctx, 5, 20);
        for (id, timeout) in pools {
            self.agenda.at(asks_at, Task::Provision(id.clone()));
            if let Some(timeout) = timeout {
                self.agenda.at(ctx.now + timeout, Task::ProvisioningTimeout(id));
            }
        }
        for at in 0..self.steps.len() {
            events::step(ctx, &self.id, &self.name, &self.steps[at]);
        }
    }

    /// While the cluster is new: moves on once its instances have. A cluster of fleets is ready when every fleet has
    /// its target; one of groups when its primary and core nodes run, task nodes may come later.
    pub(super) fn follow_start(&mut self, ctx: &mut Ctx) {
        if !self.state.is_new() {
            return;
        }
        let all = self.waits_for_all();
        let needed = || self.pools.iter().filter(|pool| all || pool.role != Role::Task);
        let run = needed().all(|pool| pool.state == PoolState::Running);
        let boot = needed().all(|pool| matches!(pool.state, PoolState::Running | PoolState::Bootstrapping));
        if self.state == ClusterState::Starting && boot {
            self.enter(ctx, ClusterState::Bootstrapping, Reason::default());
        }
        if run {
            self.ready(ctx);
        }
    }

    fn ready(&mut self, ctx: &mut Ctx) {
        self.ready_at = Some(ctx.now);
        // The time in its application ids is that of the resource manager's start.
        self.yarn = Yarn::new(&self.id, ctx.now).with_order(self.order());
        let mut nodes: Vec<_> = (0..self.instances.len()).collect();
        // Core nodes first: they are there for the application masters.
        nodes.sort_by_key(|at| self.instances[*at].role);
        for at in nodes {
            if self.instances[at].state == InstanceState::Running {
                self.join_yarn(ctx, at);
            }
        }
        if self.steps.iter().any(|step| !step.state.is_over()) {
            self.enter(ctx, ClusterState::Running, Reason::new("", "Running step"));
        } else {
            self.enter(
                ctx,
                ClusterState::Waiting,
                Reason::new("", "Cluster ready to run steps."),
            );
        }
        self.agenda.once_at(ctx.now + seconds(ctx, 2, 8), Task::StartSteps);
        self.wake_scaling(ctx);
    }

    /// The scheduler's order: a cluster for several steps at once may ask for the fair one.
    ///
    //= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-concurrent-steps.html
    fn order(&self) -> Order {
        let properties = self.classification("yarn-site");
        let class = properties
            .get("yarn.resourcemanager.scheduler.class")
            .map_or("", String::as_str);
        if class.ends_with("FairScheduler") {
            Order::Fair
        } else {
            Order::Fifo
        }
    }

    /// After a step came or went: RUNNING, WAITING, or the end of a cluster that was to live for its steps only.
    pub(super) fn follow_steps(&mut self, ctx: &mut Ctx, ec2: &mut Ec2) {
        if !self.state.is_ready() {
            return;
        }
        if self.steps.iter().any(|step| !step.state.is_over()) {
            self.enter(ctx, ClusterState::Running, Reason::new("", "Running step"));
        } else if self.keep_alive || self.steps.is_empty() {
            self.enter(
                ctx,
                ClusterState::Waiting,
                Reason::new("", "Cluster ready after last step completed."),
            );
        } else {
            let failed = self.steps.iter().any(|step| step.state == StepState::Failed);
            let message = if failed {
                "Steps completed with errors"
            } else {
                "Steps completed"
            };
            self.terminate(ctx, ec2, Reason::new("ALL_STEPS_COMPLETED", message));
        }
    }

    /// Shuts the cluster down: steps are cancelled, applications killed, instances terminated.
    pub(super) fn terminate(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, reason: Reason) {
        if self.state.is_over() {
            return;
        }
        let ending = if self.whims.steps_interrupted && is_error(&reason) {
            Ending::Interrupted
        } else {
            Ending::Cancelled
        };
        self.enter(ctx, ClusterState::Terminating, reason);
        self.agenda.keep_endings();
        let open: Vec<_> = self
            .steps
            .iter()
            .filter(|step| !step.state.is_over())
            .map(|step| step.id.clone())
            .collect();
        for id in open {
            self.kill_application(ctx, &id);
            let began = self.step(&id).is_some_and(|step| step.started_at.is_some());
            let ending = if began { ending.clone() } else { Ending::Cancelled };
            self.end_step(ctx, ec2, &id, ending);
        }
        // Those that no step waits for go with YARN.
        self.yarn.kill_all(ctx);
        for pool in &mut self.pools {
            pool.state = PoolState::Terminating;
        }
        for instance in &mut self.instances {
            if instance.state != InstanceState::Terminated && !instance.released {
                instance.released = true;
                ec2.terminate(ctx, &instance.ec2_instance_id);
            }
        }
        // Longer than EC2 takes to shut an instance down.
        let over_at = ctx.now + seconds(ctx, 45, 90);
        self.agenda.at(over_at, Task::Terminated);
    }

    /// The last instance is gone.
    pub(super) fn terminated(&mut self, ctx: &mut Ctx) {
        self.ended_at = Some(ctx.now);
        for index in 0..self.pools.len() {
            let pool = &mut self.pools[index];
            pool.state = PoolState::Terminated;
            pool.ended_at = Some(ctx.now);
        }
        let state = if is_error(&self.reason) {
            ClusterState::TerminatedWithErrors
        } else {
            ClusterState::Terminated
        };
        self.enter(ctx, state, self.reason.clone());
    }

    /// Brings a pool's state in line with its instances, and says so when it changes.
    pub(super) fn settle(&mut self, ctx: &mut Ctx, index: usize) {
        let pool = &self.pools[index];
        let id = pool.id.clone();
        let mine = || {
            self.instances
                .iter()
                .filter(|i| i.pool_id == id && i.state != InstanceState::Terminated)
        };
        let present = self.present(&id);
        let full = MARKETS
            .iter()
            .all(|market| present.of(*market) >= pool.target.of(*market));
        let still = mine().all(|i| i.state == InstanceState::Running && i.leaving_since.is_none());
        let booted = mine().all(|i| i.state != InstanceState::Provisioning);
        let state = match pool.state {
            PoolState::Provisioning if full && booted && !still => PoolState::Bootstrapping,
            PoolState::Provisioning | PoolState::Bootstrapping if full && still => PoolState::Running,
            PoolState::Running if !(full && still) => PoolState::Resizing,
            PoolState::Resizing if full && still => PoolState::Running,
            same => same,
        };
        if state == pool.state {
            return;
        }
        let pool = &mut self.pools[index];
        pool.state = state;
        match state {
            PoolState::Resizing => pool.resized_at = Some(ctx.now),
            PoolState::Running => pool.ready_at = pool.ready_at.or(Some(ctx.now)),
            _ => {}
        }
        let pool = &self.pools[index];
        let name = state.as_str(pool.collection);
        ctx.transition(
            "emr",
            &pool.id,
            format!("{} is {name}", pool.label()),
            json!({"state": name}),
        );
        events::pool(ctx, self, pool);
    }

    /// Whether the collection is of fleets: for those the first targets must be met before steps run.
    pub(super) fn waits_for_all(&self) -> bool {
        self.collection == Collection::Fleet
    }

    /// Sets a pool's target and journals it.
    pub(super) fn set_target(&mut self, ctx: &mut Ctx, index: usize, target: Units, why: &str) {
        let pool = &mut self.pools[index];
        let before = pool.target;
        if before == target {
            return;
        }
        pool.target = target;
        pool.targets.push((ctx.now, target));
        let (label, unit) = (pool.label(), pool.unit_name());
        let markets = [
            ("On-Demand", before.on_demand, target.on_demand),
            ("Spot", before.spot, target.spot),
        ];
        let changes: Vec<_> = markets
            .iter()
            .filter(|(_, old, new)| old != new)
            .map(|(market, old, new)| format!("{old} → {new} {market} {unit}"))
            .collect();
        let data = json!({"targetOnDemand": target.on_demand, "targetSpot": target.spot, "why": why});
        ctx.transition(
            "emr",
            &pool.id,
            format!("{label}: target {} ({why})", changes.join(", ")),
            data,
        );
    }

    /// The properties of one classification of the configuration that its primary node has.
    pub(super) fn classification(&self, name: &str) -> BTreeMap<String, String> {
        configured(&self.request, &self.pools, name)
    }
}

/// Whether a cluster that ends for this reason ends with errors.
fn is_error(reason: &Reason) -> bool {
    !matches!(reason.code.as_str(), "USER_REQUEST" | "ALL_STEPS_COMPLETED")
}

/// The properties of one classification in a `Configurations` array.
pub(super) fn classification(configurations: &Value, name: &str) -> BTreeMap<String, String> {
    let entries = configurations.as_array().into_iter().flatten();
    entries
        .filter(|entry| entry["Classification"] == name)
        .filter_map(|entry| entry["Properties"].as_object())
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// After how long a fleet's first Spot capacity is given up.
fn spot_timeout(config: &Value) -> Option<TimeDelta> {
    let minutes = config["LaunchSpecifications"]["SpotSpecification"]["TimeoutDurationMinutes"].as_i64()?;
    Some(TimeDelta::minutes(minutes))
}
