//! The simulated Amazon EMR: clusters of instance fleets or groups on the simulated EC2, steps, managed scaling.
//!
//! Separate from YARN and Spark, which run inside a cluster and know nothing of EMR. EMR is clock-free like every
//! simulated service: `call` answers a client, `instance_changed` hears from EC2, `advance` does what is due.
//!
//! Known divergences, beside those that the files below name at their rules: no bootstrap actions, no custom automatic
//! scaling and no automatic termination (both answer 501), no instance reconfiguration, no resize timeouts, no node is
//! found unhealthy; the only notifications are state changes of clusters, steps, fleets and groups. Of the configurations
//! of a group or an instance type those of the primary node work, and the others are only shown. No security groups
//! exist: a cluster shows those that it was asked for with. An error of the class `InvalidRequestException` has an
//! `ErrorCode` where AWS's is known.

use serde_json::Value;

use crate::api::{ApiError, Ctx, Time};
use crate::ec2::{Change, Ec2};
use crate::spark::Workload;
use crate::yarn::State;

mod agenda;
mod change;
mod cluster;
mod describe;
mod events;
mod input;
mod lifecycle;
mod logs;
mod loss;
mod placement;
mod pool;
mod provision;
mod quota;
mod read;
mod release;
mod run_job_flow;
mod run_steps;
mod scaling;
mod step;

pub use cluster::{Cluster, ClusterState, Instance, InstanceState, Reason, Whims};
pub use pool::{Collection, Pool, PoolState, Role, TypeOption, Units};
pub use step::{Step, StepState, Words};

use agenda::Task;
use cluster::Scenario;
use quota::Quota;

/// The whole service.
#[derive(Debug)]
pub struct Emr {
    /// Oldest first; none is ever removed.
    clusters: Vec<Cluster>,
    /// Those to whom something may still happen, by their place in that list: a busy account has thousands of others.
    living: Vec<usize>,
    /// Entries of a listing's page.
    page: usize,
    quota: Quota,
    scenario: Scenario,
    /// A cluster that EMR has trouble with.
    broken: Option<String>,
    /// The last time that anyone told.
    seen: Time,
}

impl Default for Emr {
    fn default() -> Self {
        Self::new()
    }
}

impl Emr {
    /// An account without clusters.
    pub fn new() -> Self {
        Self {
            clusters: Vec::new(),
            living: Vec::new(),
            page: input::PAGE,
            quota: Quota::default(),
            broken: None,
            scenario: Scenario::default(),
            seen: Time::default(),
        }
    }

    /// Lists so many entries a page. `0`: as many as ever, after a first page without any.
    pub fn set_page(&mut self, entries: usize) {
        self.page = entries;
    }

    /// Says what a submitted script does, by its `s3://` URI. A script that nobody spoke of runs the workshop's job.
    pub fn set_workload(&mut self, application: &str, workload: Workload) {
        self.scenario.workloads.insert(application.to_owned(), workload);
    }

    /// From now on what is submitted to Spark on this cluster runs outside the account: it is accepted, and who runs it says
    /// what becomes of it, by [`Account::tell_application`](crate::Account::tell_application).
    pub fn run_outside(&mut self, cluster_id: &str) {
        if let Some(cluster) = self.cluster_mut(cluster_id) {
            cluster.runs_outside = true;
        }
    }

    /// Gives a cluster a past: task instances that ended at these times.
    pub fn set_past(&mut self, cluster_id: &str, ends: &[Time]) {
        let Some(cluster) = self.cluster_mut(cluster_id) else {
            return;
        };
        let Some(like) = cluster.instances.last().cloned() else {
            return;
        };
        let first = cluster.instances.len();
        let ended = (first..).zip(ends).map(|(number, at)| Instance {
            id: format!("ci-PAST{number}"),
            ec2_instance_id: format!("i-0past{number}"),
            private_dns_name: format!("past-{number}"),
            role: Role::Task,
            state: InstanceState::Terminated,
            created_at: *at - chrono::TimeDelta::hours(1),
            ready_at: Some(*at - chrono::TimeDelta::minutes(58)),
            ended_at: Some(*at),
            in_yarn: false,
            ..like.clone()
        });
        cluster.instances.splice(0..0, ended.collect::<Vec<_>>());
    }

    /// Time passes for clients while the account's stands: what they may call comes back.
    pub fn refill(&mut self, milliseconds: u64) {
        self.quota.refill(milliseconds);
    }

    /// What became of an application that runs outside.
    pub fn tell_application(&mut self, ctx: &mut Ctx, application_id: &str, state: &State) {
        self.seen = ctx.now;
        for cluster in &mut self.clusters {
            cluster.yarn.tell(ctx, application_id, state.clone());
            cluster.watch_applications(ctx);
        }
    }

    /// What the driver of an application that runs outside wrote, in this attempt.
    pub fn tell_words(&mut self, application_id: &str, attempt: u32, words: &Words) {
        for cluster in &mut self.clusters {
            cluster.take_words(application_id, attempt, words);
        }
    }

    /// Makes EMR fail whenever somebody asks about this cluster; `None`: about none.
    pub fn break_cluster(&mut self, id: Option<&str>) {
        self.broken = id.map(str::to_owned);
    }

    /// What a submitted script does, if that was said.
    pub fn workload(&self, application: &str) -> Option<&Workload> {
        self.scenario.workloads.get(application)
    }

    /// Sets what AWS's pages leave open, for the clusters that are there and those to come.
    pub fn set_whims(&mut self, whims: Whims) {
        self.scenario.whims = whims;
        for cluster in &mut self.clusters {
            cluster.whims = whims;
        }
    }

    /// Whether EMR stops to replace instances that EC2 took away. When it goes on, it replaces what was lost meanwhile.
    pub fn pause_replacement(&mut self, paused: bool) {
        self.scenario.replacement_paused = paused;
        if paused {
            return;
        }
        for cluster in &mut self.clusters {
            for pool in &mut cluster.pools {
                if pool.unreplaced.total() > 0 {
                    pool.unreplaced = Units::default();
                    cluster.agenda.once_at(self.seen, Task::Provision(pool.id.clone()));
                }
            }
        }
    }

    /// Answers a call, or refuses it.
    pub fn call(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, operation: &str, input: &Value) -> Result<Value, ApiError> {
        self.seen = ctx.now;
        self.quota.take(operation, ctx.now)?;
        if self.broken.is_some() && input["ClusterId"].as_str() == self.broken.as_deref() {
            return Err(ApiError::with_status(
                500,
                "InternalServerException",
                "An internal failure occurred.",
            ));
        }
        if let Some(answer) = read::call(self, ctx.now, operation, input) {
            return answer;
        }
        let changed = change::call(self, ctx, ec2, operation, input);
        changed.unwrap_or_else(|| Err(ApiError::not_implemented("emr", operation)))
    }

    /// Hears what became of an EC2 instance, its own or not.
    pub fn instance_changed(&mut self, ctx: &mut Ctx, _ec2: &mut Ec2, change: &Change) {
        self.seen = ctx.now;
        for cluster in &mut self.clusters {
            cluster.instance_changed(ctx, change);
        }
    }

    /// When it next has something to do.
    pub fn due(&self) -> Option<Time> {
        self.living.iter().filter_map(|index| self.clusters[*index].due()).min()
    }

    /// Does everything that is due.
    pub fn advance(&mut self, ctx: &mut Ctx, ec2: &mut Ec2) {
        self.seen = ctx.now;
        for index in &self.living {
            let cluster = &mut self.clusters[*index];
            if cluster.due().is_some_and(|due| due <= ctx.now) {
                cluster.advance(ctx, ec2, &self.scenario);
            }
        }
        let clusters = &self.clusters;
        self.living
            .retain(|index| clusters[*index].ended_at.is_none() || clusters[*index].due().is_some());
    }

    /// S3 objects that appeared since this was last asked: what the applications wrote, and step logs.
    pub fn take_objects(&mut self) -> Vec<(String, Vec<u8>)> {
        self.clusters.iter_mut().flat_map(Cluster::take_objects).collect()
    }

    /// Everything that ever was, oldest first: the ground truth.
    pub fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.clusters.iter()
    }

    /// The cluster with this id.
    pub fn cluster(&self, id: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|cluster| cluster.id == id)
    }

    fn cluster_mut(&mut self, id: &str) -> Option<&mut Cluster> {
        self.clusters.iter_mut().find(|cluster| cluster.id == id)
    }
}

#[cfg(test)]
mod tests;
