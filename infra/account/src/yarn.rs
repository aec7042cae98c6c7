//! YARN on a simulated EMR cluster: nodes, containers, applications and their attempts.
//!
//! Separate because EMR owns the machines and Spark the work; YARN only gives one to the other. Memory alone decides
//! where a container fits: EMR's scheduler uses the calculator that ignores virtual cores.
//= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-hadoop-task-config.html
//= https://hadoop.apache.org/docs/r3.3.6/hadoop-yarn/hadoop-yarn-site/CapacityScheduler.html

mod application;
mod load;
mod nodes;
mod outside;
mod schedule;

use serde_json::json;

use crate::api::{Ctx, Time};
use crate::spark::{ApplicationTruth, Outcome, Submission, Workload};
use application::Application;
pub use load::Load;
pub use nodes::Node;
use nodes::Nodes;
pub use outside::Outside;

/// An application's state, as `yarn application -status` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It waits for its application master, or that one starts.
    Accepted,
    /// Its driver runs.
    Running,
    /// It ended well.
    Succeeded,
    /// It failed, with YARN's diagnostics.
    Failed(String),
    /// Someone killed it.
    Killed,
}

/// In which order applications get containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The first application takes all it wants; EMR's default.
    #[default]
    Fifo,
    /// Whoever holds least gets the next container.
    Fair,
}

/// One cluster's YARN.
#[derive(Debug)]
pub struct Yarn {
    cluster_id: String,
    started_at: Time,
    order: Order,
    nodes: Nodes,
    applications: Vec<Application>,
    /// So many of the first of them have ended, and want nothing more: a cluster may have thousands.
    ended: usize,
    truth: Vec<ApplicationTruth>,
    objects: Vec<(String, Vec<u8>)>,
    /// When a driver next has something to do: asked for at every turn of the account's, of hundreds of them.
    next: Option<Time>,
}

impl Yarn {
    /// A cluster without nodes; `started_at` becomes part of its applications' ids.
    pub fn new(cluster_id: &str, started_at: Time) -> Self {
        Self {
            cluster_id: cluster_id.to_owned(),
            started_at,
            order: Order::Fifo,
            nodes: Nodes::default(),
            applications: Vec::new(),
            ended: 0,
            truth: Vec::new(),
            objects: Vec::new(),
            next: None,
        }
    }

    /// The same cluster with another order between applications.
    pub fn with_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// A node joins. Core nodes must join before task nodes: see [`crate::spark::Placement`].
    pub fn add_node(&mut self, ctx: &mut Ctx<'_>, node: Node) {
        self.advance(ctx);
        ctx.transition(
            "yarn",
            &node.instance_id,
            "node joined",
            json!({"cluster": self.cluster_id, "host": node.host, "memory_mb": node.memory_mb}),
        );
        self.nodes.join(node);
        self.schedule(ctx);
    }

    /// No new containers on this node, and no new tasks in those it has: a Spot notice, or a graceful shrink.
    //= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-configure.html#spark-decommissioning
    pub fn decommission_node(&mut self, ctx: &mut Ctx<'_>, instance_id: &str) {
        self.advance(ctx);
        if !self.nodes.decommission(instance_id) {
            return;
        }
        ctx.transition(
            "yarn",
            instance_id,
            "node is decommissioning",
            json!({"cluster": self.cluster_id}),
        );
        for application in &mut self.applications {
            if let Some(driver) = &mut application.driver {
                driver.node_decommissions(ctx.now, instance_id);
            }
        }
        self.schedule(ctx);
    }

    /// Whether nothing would be lost with this node: no container, and no shuffle output that is yet to be read.
    pub fn is_idle(&self, instance_id: &str) -> bool {
        let needed = |application: &Application| {
            application
                .driver
                .as_ref()
                .is_some_and(|driver| driver.needs(instance_id))
        };
        let is_outside = |application: &Application| application.is_outside() && !application.is_over();
        !self.nodes.has_containers(instance_id)
            && !self.applications.iter().any(needed)
            && !self.applications.iter().any(is_outside)
    }

    /// A node is gone, whatever ran there.
    pub fn remove_node(&mut self, ctx: &mut Ctx<'_>, instance_id: &str, reason: &str) {
        self.advance(ctx);
        if !self.nodes.leave(instance_id) {
            return;
        }
        ctx.transition(
            "yarn",
            instance_id,
            format!("node lost: {reason}"),
            json!({"cluster": self.cluster_id, "reason": reason}),
        );
        for index in 0..self.applications.len() {
            if self.applications[index].driver_instance() == Some(instance_id) {
                self.driver_lost(ctx, index);
            } else if let Some(driver) = &mut self.applications[index].driver {
                driver.node_lost(ctx.now, instance_id);
            }
        }
        self.schedule(ctx);
    }

    /// Submits an application; returns its id.
    ///
    /// # Panics
    ///
    /// If the workload has no stage, or a stage that reads from a later one: a mistake of the scenario's.
    pub fn submit(&mut self, ctx: &mut Ctx<'_>, submission: Submission, workload: Workload) -> String {
        self.advance(ctx);
        assert!(!workload.stages.is_empty(), "a workload has at least one stage");
        for (id, stage) in workload.stages.iter().enumerate() {
            assert!(stage.tasks > 0, "stage {id} has at least one task");
            assert!(
                stage.parents.iter().all(|parent| *parent < id),
                "stage {id} reads from earlier stages only"
            );
        }
        self.accept(ctx, submission, Some(workload))
    }

    fn accept(&mut self, ctx: &mut Ctx<'_>, submission: Submission, workload: Option<Workload>) -> String {
        let number = self.applications.len() + 1;
        let id = format!("application_{}_{number:04}", self.started_at.timestamp_millis());
        self.truth.push(ApplicationTruth {
            id: id.clone(),
            name: submission.name.clone(),
            submitted_at: ctx.now,
            ended_at: None,
            final_status: None,
            attempts: Vec::new(),
        });
        ctx.transition(
            "yarn",
            &id,
            "application accepted",
            json!({"cluster": self.cluster_id, "name": submission.name}),
        );
        self.applications
            .push(Application::new(id.clone(), submission, workload));
        self.schedule(ctx);
        id
    }

    /// Kills an application, as `yarn application -kill` does; one that is over stays as it is.
    pub fn kill(&mut self, ctx: &mut Ctx<'_>, application_id: &str) {
        self.advance(ctx);
        let found = self
            .applications
            .iter()
            .position(|application| application.id == application_id);
        if let Some(index) = found.filter(|index| !self.applications[*index].is_over()) {
            if let Some(driver) = &mut self.applications[index].driver {
                driver.cut_off(ctx.now, false);
            }
            self.end_attempt(ctx, index);
            self.end(ctx, index, State::Killed);
        }
        self.schedule(ctx);
    }

    /// Kills every application: YARN itself ends.
    pub fn kill_all(&mut self, ctx: &mut Ctx<'_>) {
        let running = self.applications.iter().filter(|application| !application.is_over());
        for id in running.map(|application| application.id.clone()).collect::<Vec<_>>() {
            self.kill(ctx, &id);
        }
    }

    /// An application's state.
    ///
    /// # Panics
    ///
    /// If no such application was submitted here.
    pub fn state(&self, application_id: &str) -> State {
        let found = self
            .applications
            .iter()
            .find(|application| application.id == application_id);
        found
            .expect("the application was submitted to this cluster")
            .state
            .clone()
    }

    /// The nodes in the order in which they joined, each with whether it is being decommissioned.
    pub fn nodes(&self) -> impl Iterator<Item = (&Node, bool)> {
        self.nodes.all()
    }

    /// What managed scaling looks at.
    pub fn load(&self) -> Load {
        Load::of(&self.nodes, &self.applications)
    }

    /// When something happens next.
    pub fn due(&self) -> Option<Time> {
        debug_assert_eq!(
            self.next,
            self.next_of_drivers(),
            "something changed after it was scheduled"
        );
        self.next
    }

    fn next_of_drivers(&self) -> Option<Time> {
        self.applications[self.ended..]
            .iter()
            .filter_map(|application| application.driver.as_ref()?.due())
            .min()
    }

    /// Does all that is due.
    pub fn advance(&mut self, ctx: &mut Ctx<'_>) {
        while let Some(at) = self.due().filter(|at| *at <= ctx.now) {
            let now = std::mem::replace(&mut ctx.now, at);
            for index in self.ended..self.applications.len() {
                let Some(driver) = &mut self.applications[index].driver else {
                    continue;
                };
                if let Some(outcome) = driver.advance(at) {
                    self.attempt_ended(ctx, index, outcome);
                }
            }
            self.schedule(ctx);
            ctx.now = now;
        }
    }

    /// Objects that became visible on S3 since the last call: output, its marker, event logs.
    pub fn take_objects(&mut self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut self.objects)
    }

    /// What really happened, by application, in the order of their submission.
    pub fn truth(&self) -> &[ApplicationTruth] {
        &self.truth
    }

    /// The driver went with its node: YARN starts the application over, if it may.
    //= https://spark.apache.org/docs/3.5.6/running-on-yarn.html#configuration
    fn driver_lost(&mut self, ctx: &mut Ctx<'_>, index: usize) {
        let Some(driver) = &mut self.applications[index].driver else {
            return;
        };
        driver.cut_off(ctx.now, true);
        let container = self.applications[index].driver_container().unwrap_or_default();
        self.retry_or_fail(
            ctx,
            index,
            &format!("AM Container {container} exited with exitCode: -100. Container released on a *lost* node"),
        );
    }

    fn attempt_ended(&mut self, ctx: &mut Ctx<'_>, index: usize, outcome: Outcome) {
        match outcome {
            Outcome::Succeeded => {
                self.end_attempt(ctx, index);
                self.end(ctx, index, State::Succeeded);
            }
            Outcome::Failed(diagnostics) => self.retry_or_fail(ctx, index, &diagnostics),
        }
    }

    fn retry_or_fail(&mut self, ctx: &mut Ctx<'_>, index: usize, diagnostics: &str) {
        let attempts = self.applications[index].attempts;
        let limit = self.applications[index].max_attempts();
        self.end_attempt(ctx, index);
        if attempts < limit {
            self.applications[index].state = State::Accepted;
            let id = self.applications[index].id.clone();
            ctx.transition(
                "yarn",
                &id,
                format!("attempt {attempts} failed: {diagnostics}"),
                json!({"attempt": attempts}),
            );
        } else {
            let id = &self.applications[index].id;
            let text =
                format!("Application {id} failed {attempts} times due to {diagnostics}. Failing the application.");
            self.end(ctx, index, State::Failed(text));
        }
    }

    /// An attempt's containers go back, and its last words are taken.
    fn end_attempt(&mut self, ctx: &mut Ctx<'_>, index: usize) {
        self.collect(ctx, index);
        self.applications[index].driver = None;
        self.nodes.release_all(index);
    }

    fn end(&mut self, ctx: &mut Ctx<'_>, index: usize, state: State) {
        let word = match &state {
            State::Succeeded => "SUCCEEDED",
            State::Killed => "KILLED",
            _ => "FAILED",
        };
        self.truth[index].ended_at = Some(ctx.now);
        self.truth[index].final_status = Some(word.into());
        let id = self.applications[index].id.clone();
        ctx.transition(
            "yarn",
            &id,
            format!("application {word}"),
            json!({"final_status": word}),
        );
        self.applications[index].state = state;
        let has_ended = |one: &Application| one.is_over() && one.driver.is_none();
        self.ended += self.applications[self.ended..]
            .iter()
            .take_while(|one| has_ended(one))
            .count();
    }
}

#[cfg(test)]
mod tests;
