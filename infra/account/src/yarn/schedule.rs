//! Who gets which container: application masters first, then executors by the order between applications.
//!
//! Separate from `Yarn`'s interface because every call ends with it.
//= https://hadoop.apache.org/docs/r3.3.6/hadoop-yarn/hadoop-yarn-site/CapacityScheduler.html

use serde_json::json;

use super::{Order, State, Yarn};
use crate::api::Ctx;
use crate::spark::{Driver, Identity};

impl Yarn {
    /// Takes what a driver has said and given back since the last time.
    pub(super) fn collect(&mut self, ctx: &mut Ctx<'_>, index: usize) {
        let application = &mut self.applications[index];
        let Some(driver) = &mut application.driver else { return };
        let taken = driver.take();
        for (text, data) in taken.notes {
            ctx.transition("spark", &application.id, text, data);
        }
        for container in taken.released {
            self.nodes.release(&container);
        }
        self.objects.extend(taken.objects);
        let attempts = &mut self.truth[index].attempts;
        attempts.truncate(application.attempts as usize - 1);
        attempts.push(driver.truth().clone());
        if driver.is_running() && application.state == State::Accepted {
            application.state = State::Running;
            ctx.transition(
                "yarn",
                &application.id,
                "application running",
                json!({"attempt": application.attempts}),
            );
        }
    }

    /// Gives containers to whoever waits for some, masters first.
    pub(super) fn schedule(&mut self, ctx: &mut Ctx<'_>) {
        for index in self.ended..self.applications.len() {
            self.collect(ctx, index);
            self.start_attempt(ctx, index);
        }
        loop {
            let mut waiting: Vec<usize> = (self.ended..self.applications.len())
                .filter(|i| self.applications[*i].wanted() > 0)
                .collect();
            if self.order == Order::Fair {
                waiting.sort_by_key(|index| self.nodes.memory_held_mb(*index));
            }
            if !waiting.into_iter().any(|index| self.grant_one(ctx, index)) {
                break;
            }
        }
        self.next = self.next_of_drivers();
    }

    /// Places the application master of an application that has none.
    fn start_attempt(&mut self, ctx: &mut Ctx<'_>, index: usize) {
        let application = &self.applications[index];
        if application.is_over() || application.driver.is_some() {
            return;
        }
        let Some(workload) = application.workload.clone() else {
            return;
        };
        let attempt = application.attempts + 1;
        let name = application.container_name(attempt, 1);
        let size = application.driver_size();
        let on = workload.driver_on;
        let container = match application.submission.deploy_cluster_mode {
            false => None,
            true => match self.nodes.place_driver(index, &name, size, on) {
                Some(container) => Some(container),
                None => return,
            },
        };
        let application = &mut self.applications[index];
        application.attempts = attempt;
        application.containers = 1;
        let identity = Identity {
            application_id: application.id.clone(),
            attempt,
            container,
        };
        let place = identity
            .container
            .as_ref()
            .map_or("the primary node", |container| &container.instance_id)
            .to_owned();
        let submission = application.submission.clone();
        let mut driver = Driver::start(identity, submission, workload, ctx.now, ctx.rng.u64(..));
        for instance in self.nodes.decommissioning() {
            driver.node_decommissions(ctx.now, instance);
        }
        application.driver = Some(driver);
        let id = application.id.clone();
        ctx.transition(
            "yarn",
            &id,
            format!("attempt {attempt} starts on {place}"),
            json!({"attempt": attempt, "driver": place}),
        );
    }

    /// One executor's container, if it fits anywhere.
    fn grant_one(&mut self, ctx: &mut Ctx<'_>, index: usize) -> bool {
        let application = &mut self.applications[index];
        let name = application.container_name(application.attempts, application.containers + 1);
        let size = application.executor_size();
        let (Some(driver), Some(container)) = (&mut application.driver, self.nodes.place_executor(index, &name, size))
        else {
            return false;
        };
        application.containers += 1;
        driver.grant(ctx.now, container);
        true
    }
}
