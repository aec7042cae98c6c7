//! How many executors an application holds: containers granted, executors that register, dynamic allocation.
//!
//! Separate from `tasks`, which fills the executors, and from `loss`, which takes them away.
//= https://spark.apache.org/docs/3.5.6/job-scheduling.html#dynamic-resource-allocation

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::json;

use super::driver::{Container, Driver, Executor, Timer};
use super::loss::Farewell;
use super::truth::{ExecutorTruth, TaskCounts};
use crate::api::Time;

/// An idle executor that may not go yet is looked at again after this long.
const IDLE_CHECK_MS: i64 = 2_000;

impl Driver {
    /// Executors it waits for.
    pub fn wanted(&self) -> u32 {
        self.target.saturating_sub(self.held())
    }

    /// Executors that count towards the target: those that start, and those that only get no new tasks, too.
    pub(super) fn held(&self) -> u32 {
        self.executors
            .values()
            .filter(|executor| !executor.removed && !executor.decommissioned)
            .count() as u32
    }

    /// A container was allocated to it; an executor starts there.
    pub fn grant(&mut self, now: Time, container: Container) {
        self.now = now;
        let id = self.executors.len() as u32 + 1;
        self.executors.insert(
            id,
            Executor {
                container,
                truth: None,
                removed: false,
                running: BTreeSet::new(),
                tasks: 0,
                idle_since: now,
                decommissioned: false,
            },
        );
        let start_ms = self.rng.i64(5_000..9_000);
        self.after_ms(start_ms, Timer::Register(id));
    }

    /// An executor is up.
    pub(super) fn register(&mut self, id: u32) {
        let executor = self.executors.get_mut(&id).expect("only granted executors register");
        if executor.removed {
            return;
        }
        executor.truth = Some(self.truth.executors.len());
        executor.idle_since = self.now;
        self.truth.executors.push(ExecutorTruth {
            id,
            instance_id: executor.container.instance_id.clone(),
            host: executor.container.host.clone(),
            added_at: self.now,
            removed_at: None,
            reason: None,
            lost: false,
            tasks: TaskCounts::default(),
        });
        let instance = executor.container.instance_id.clone();
        self.log.executor_added(
            self.now,
            id,
            &executor.container,
            self.settings.cores,
            &self.submission.user,
        );
        self.note(
            format!("executor {id} added"),
            json!({"executor": id, "instance": instance}),
        );
        if self.settings.rules.decommission && self.decommissioning.contains(&instance) {
            self.decommission_executor(id);
        }
        self.watch_idle(id);
    }

    /// Whether an executor gets no new tasks.
    pub(super) fn is_excluded(&self, executor: &Executor) -> bool {
        let node = self.decommissioning.contains(&executor.container.instance_id);
        self.settings.rules.excludes(executor.decommissioned, node)
    }

    /// Executors that all waiting and running tasks could use.
    fn useful(&mut self) -> u32 {
        let running: usize = self.executors.values().map(|executor| executor.running.len()).sum();
        let useful = (self.pending() + running).div_ceil(self.settings.cores as usize) as u32;
        useful.clamp(
            self.settings.executors_min,
            self.settings.executors_max.max(self.settings.executors_min),
        )
    }

    /// Dynamic allocation's target after each change: never more than useful; more after a second of backlog.
    pub(super) fn size(&mut self) {
        if !self.settings.dynamic || !self.is_running() || self.ending.is_some() {
            return;
        }
        let useful = self.useful();
        if useful <= self.target {
            self.target = useful;
            self.step = 1;
        } else if !self.backlog_timer && self.pending() > 0 {
            self.backlog_timer = true;
            self.after_ms(1_000, Timer::Backlog);
        }
    }

    /// Tasks have waited for a second: 1, 2, 4, … more executors.
    pub(super) fn grow(&mut self) {
        self.backlog_timer = false;
        if self.pending() > 0 {
            self.target = self.target.saturating_add(self.step).min(self.useful());
            self.step = self.step.saturating_mul(2);
        }
    }

    /// Looks at an executor again when it could have been idle for long enough.
    pub(super) fn watch_idle(&mut self, id: u32) {
        let executor = &self.executors[&id];
        if executor.is_live() && executor.running.is_empty() && self.settings.dynamic {
            self.after_ms(i64::from(self.settings.idle_seconds) * 1000, Timer::Idle(id));
        }
    }
    /// Gives an executor back that had nothing to do for long enough, unless the target asks for as many as there are.
    /// Without the external shuffle service its shuffle output would go with it, so it stays while it holds some.
    pub(super) fn release_if_idle(&mut self, id: u32) {
        let executor = &self.executors[&id];
        let idle_limit = executor.idle_since + TimeDelta::seconds(i64::from(self.settings.idle_seconds));
        let is_idle = executor.is_live() && executor.running.is_empty() && idle_limit <= self.now;
        if !is_idle || self.ending.is_some() {
            return;
        }
        let is_needed = self.held() <= self.target.max(self.settings.executors_min);
        let is_tracked = !self.settings.rules.shuffle_service && self.blocks_of(id) > 0;
        if is_needed || is_tracked {
            self.after_ms(IDLE_CHECK_MS, Timer::Idle(id));
        } else {
            self.remove_executor(id, Farewell::Idle);
        }
    }
}
