//! What goes away: decommissioned executors, idle ones, and nodes with all that was on them.
//!
//! Separate because this is what a drill is about, and the rules of YARN, EMR and Spark meet here.
//= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-configure.html
//= https://spark.apache.org/docs/3.5.6/job-scheduling.html#graceful-decommission-of-executors

use serde_json::json;
use spark_rules::LEAVE_CHECK_MS;

use super::driver::{Driver, Executor, Timer};
use super::stage::{Fate, Stage};
use super::truth::LossTruth;
use crate::api::Time;

/// Why an executor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// Its node is gone.
    Lost,
    /// It was decommissioned and is done.
    Decommissioned,
    /// Dynamic allocation has no use for it.
    Idle,
}

impl Driver {
    /// A node is being decommissioned: EMR's Spark gives it no new tasks; with `spark.decommission.enabled` its
    /// executors also leave as soon as they are done.
    pub fn node_decommissions(&mut self, now: Time, instance_id: &str) {
        self.now = now;
        if !self.decommissioning.insert(instance_id.to_owned()) {
            return;
        }
        if self.settings.rules.decommission {
            for id in self.executors_on(instance_id) {
                self.decommission_executor(id);
            }
        }
        self.size();
    }

    /// Tells an executor to leave.
    pub(super) fn decommission_executor(&mut self, id: u32) {
        let executor = self
            .executors
            .get_mut(&id)
            .expect("only known executors are decommissioned");
        if executor.is_live() && !executor.decommissioned {
            executor.decommissioned = true;
            self.note(format!("executor {id} decommissioned"), json!({"executor": id}));
            let leave_after_ms = self.settings.rules.leave_after_ms(self.blocks_of(id));
            self.after_ms(leave_after_ms, Timer::Leave(id));
        }
    }

    /// A decommissioned executor hands over its blocks, and leaves once it runs no task.
    pub(super) fn leave(&mut self, id: u32) {
        if !self.executors[&id].is_live() || self.ending.is_some() {
            return;
        }
        if self.settings.rules.migrate_shuffle {
            self.migrate_blocks(id);
        }
        if self.executors[&id].running.is_empty() {
            self.remove_executor(id, Farewell::Decommissioned);
        } else {
            self.after_ms(LEAVE_CHECK_MS, Timer::Leave(id));
        }
    }

    /// Moves an executor's shuffle output to executors that stay, in turn; to nobody if none stays.
    fn migrate_blocks(&mut self, from: u32) {
        let staying: Vec<u32> = self
            .executors
            .iter()
            .filter(|(_, executor)| executor.is_live() && !self.is_excluded(executor))
            .map(|(id, _)| *id)
            .collect();
        if staying.is_empty() {
            return;
        }
        let mut targets = staying.iter().cycle();
        for stage in self.stages.iter_mut().filter(|stage| !stage.is_result) {
            for output in stage.outputs.iter_mut().filter(|output| **output == Some(from)) {
                *output = targets.next().copied();
            }
        }
    }

    pub(super) fn blocks_of(&self, id: u32) -> usize {
        let maps = self.stages.iter().filter(|stage| !stage.is_result);
        maps.flat_map(|stage| &stage.outputs)
            .filter(|output| **output == Some(id))
            .count()
    }

    /// A node is gone, and with it its executors and its shuffle output, known or not.
    pub fn node_lost(&mut self, now: Time, instance_id: &str) {
        self.now = now;
        self.note_loss(instance_id);
        self.dead.insert(instance_id.to_owned());
        self.strand_readers(instance_id);
        for id in self.executors_on(instance_id) {
            self.remove_executor(id, Farewell::Lost);
        }
        if self.settings.rules.cleanup_expired_host {
            let gone: Vec<u32> = self
                .executors
                .iter()
                .filter(|(_, executor)| executor.container.instance_id == instance_id)
                .map(|(id, _)| *id)
                .collect();
            self.forget_outputs(|holder| gone.contains(&holder));
        }
        self.offer();
        self.size();
    }

    /// Tasks elsewhere that are still reading from the node will fail once they have tried for long enough.
    fn strand_readers(&mut self, instance_id: &str) {
        for id in 0..self.tasks.len() {
            let task = &self.tasks[id];
            let reader = &self.executors[&task.executor].container.instance_id;
            if task.finished_at.is_some() || task.fetches_until <= self.now || task.fate != Fate::Success {
                continue;
            }
            if reader == instance_id {
                continue;
            }
            let Some((parent, map, holder)) = self.input_on(task.stage, task.partition, instance_id) else {
                continue;
            };
            let wait_ms = self.retry_ms();
            let task = &mut self.tasks[id];
            task.generation += 1;
            task.fate = Fate::FetchFails {
                parent,
                map,
                executor: Some(holder),
            };
            let generation = task.generation;
            self.after_ms(wait_ms, Timer::TaskEnds { task: id, generation });
        }
    }

    /// One of a stage's inputs on an instance, not the same for all partitions: parent, map partition, executor.
    fn input_on(&self, stage: usize, partition: u32, instance_id: &str) -> Option<(usize, u32, u32)> {
        for &parent in &self.stages[stage].plan.parents {
            let outputs = &self.stages[parent].outputs;
            let count = outputs.len() as u32;
            for offset in 0..count {
                let map = (partition + offset) % count;
                if let Some(holder) = outputs[map as usize]
                    && self.executors[&holder].container.instance_id == instance_id
                {
                    return Some((parent, map, holder));
                }
            }
        }
        None
    }

    fn executors_on(&self, instance_id: &str) -> Vec<u32> {
        let here = |executor: &Executor| executor.container.instance_id == instance_id && !executor.removed;
        self.executors
            .iter()
            .filter(|(_, executor)| here(executor))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Whether an application still needs what a node holds: a container, or shuffle output that is yet to be read.
    pub fn needs(&self, instance_id: &str) -> bool {
        !self.executors_on(instance_id).is_empty() || self.holds_needed_output(instance_id)
    }

    fn holds_needed_output(&self, instance_id: &str) -> bool {
        let needed = |stage: usize| {
            self.stages
                .iter()
                .any(|child| child.plan.parents.contains(&stage) && !child.is_available())
        };
        let holds = |stage: &Stage| {
            stage
                .outputs
                .iter()
                .flatten()
                .any(|holder| self.executors[holder].container.instance_id == instance_id)
        };
        (0..self.stages.len()).any(|id| needed(id) && holds(&self.stages[id]))
    }

    fn note_loss(&mut self, instance_id: &str) {
        let here = self.executors_on(instance_id);
        let live = here.iter().filter(|id| self.executors[*id].is_live()).count();
        self.truth.losses.push(LossTruth {
            instance_id: instance_id.to_owned(),
            at: self.now,
            executors: live as u32,
            starting: (here.len() - live) as u32,
            shuffle_needed: self.holds_needed_output(instance_id),
        });
    }

    pub(super) fn remove_executor(&mut self, id: u32, farewell: Farewell) {
        let executor = self.executors.get_mut(&id).expect("only known executors are removed");
        executor.removed = true;
        let (container, truth, decommissioned) = (executor.container.clone(), executor.truth, executor.decommissioned);
        if farewell != Farewell::Lost {
            self.released.push(container.id.clone());
        }
        let Some(truth) = truth else { return };
        // Spark's texts; a decommissioned executor's is kept whatever ended it, and exit status -100 is YARN's for a
        // container that the application did nothing to lose.
        let reason = match farewell {
            Farewell::Idle => "Executor killed by driver.".to_owned(),
            _ if decommissioned => {
                format!(
                    "Executor decommission: Decommissioning all executors on {}.",
                    container.host
                )
            }
            _ => format!(
                "Container marked as failed: {} on host: {}. Exit status: -100. Diagnostics: Container released on a \
                 *lost* node.",
                container.id, container.host
            ),
        };
        if self.settings.rules.forgets_output(decommissioned) {
            let forgotten = self.forget_outputs(|holder| holder == id);
            self.resubmit_completed(id, &forgotten);
        }
        let running: Vec<usize> = self.executors[&id].running.iter().copied().collect();
        for task in running {
            self.fail_task(task, "ExecutorLostFailure");
            let (stage, ..) = self.requeue(task);
            let is_result = self.stages[stage].is_result;
            self.log
                .task_executor_lost(task, &self.tasks[task], &container.host, is_result, &reason);
        }
        let entry = &mut self.truth.executors[truth];
        entry.removed_at = Some(self.now);
        entry.reason = Some(reason.clone());
        entry.lost = farewell == Farewell::Lost;
        self.log.executor_removed(self.now, id, &container.host, &reason);
        self.note(
            format!("executor {id} removed: {reason}"),
            json!({"executor": id, "instance": container.instance_id}),
        );
    }

    /// Tasks of a map stage that still runs, whose output went with their executor, go back into its queue. Spark
    /// does so only where no external shuffle service could still serve them.
    fn resubmit_completed(&mut self, executor: u32, forgotten: &[(usize, u32)]) {
        for &(stage, partition) in forgotten {
            let latest = self.stages[stage].latest();
            let found = self.tasks.iter().rposition(|task| {
                (task.stage, task.partition, task.executor) == (stage, partition, executor) && task.succeeded
            });
            let Some(id) = found.filter(|id| Some(self.tasks[*id].stage_attempt) == latest) else {
                continue;
            };
            let index = self.tasks[id].index;
            let Some(attempt) = self.stages[stage].running() else {
                continue;
            };
            attempt.done[index] = false;
            attempt.pending.insert(index);
            self.count(id, |counts| counts.resubmitted += 1);
            let host = self.host_of(id);
            self.log.task_resubmitted(id, &self.tasks[id], &host);
        }
    }
}
