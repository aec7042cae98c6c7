//! Jobs, stages and tasks: what runs when.
//!
//! Separate from `loss`, which takes away. The rules are `DAGScheduler`'s and `TaskSetManager`'s:
//! <https://github.com/apache/spark/tree/v3.5.5/core/src/main/scala/org/apache/spark/scheduler>

use spark_rules::RESUBMIT_MS;

use crate::course::Ending;
use crate::queue::{Event, NEVER};
use crate::simulation::{Fate, Simulation, Slot, Standing};
use crate::stage::{NOWHERE, SAFE};

/// A task that finds no location for its input fails after about this long, ms: an assumption.
const NO_LOCATION_MS: u32 = 100;

impl Simulation<'_> {
    /// What waited for as many jobs to end as have ended now.
    pub(crate) fn release_anchored(&mut self) {
        for (then_ms, event) in &self.facts.anchored[self.jobs_ended] {
            self.queue.push(self.now_ms.saturating_add(*then_ms), *event);
        }
        if self.jobs_ended == self.plan.jobs.len() {
            self.queue
                .push(self.now_ms.saturating_add(self.plan.tail_ms), Event::Ends);
        }
    }

    pub(crate) fn job_starts(&mut self, job: u32) {
        self.job_open[job as usize] = true;
        for target in &self.plan.jobs[job as usize].targets {
            if !self.stages[*target].is_available() {
                self.submit_stage(*target as u32);
            }
        }
        self.end_job_if_done(job);
    }

    fn end_job_if_done(&mut self, job: u32) {
        let plan = &self.plan.jobs[job as usize];
        let is_done = plan.targets.iter().all(|target| self.stages[*target].is_available());
        if self.job_open[job as usize] && is_done {
            self.job_open[job as usize] = false;
            self.queue
                .push(self.now_ms.saturating_add(plan.tail_ms), Event::JobEnds(job));
        }
    }

    pub(crate) fn job_ends(&mut self, job: u32) {
        self.job_ended[self.plan.jobs[job as usize].rank] = true;
        while self.job_ended.get(self.jobs_ended) == Some(&true) {
            self.jobs_ended += 1;
            self.release_anchored();
        }
    }

    /// Submits a stage, or those before it whose output is missing.
    pub(crate) fn submit_stage(&mut self, id: u32) {
        if self.stages[id as usize].is_under_way() {
            return;
        }
        let plan = &self.plan.stages[id as usize];
        let mut is_ready = true;
        for parent in &plan.parents {
            if !self.stages[*parent].is_available() {
                is_ready = false;
                // A parent that waits to be submitted again brings this stage along.
                self.stages[*parent].failed = false;
                self.submit_stage(*parent as u32);
            }
        }
        let stage = &mut self.stages[id as usize];
        stage.waiting = !is_ready;
        if !is_ready {
            return;
        }
        if stage.attempts == 0 {
            stage.leading = true;
            self.queue
                .push(self.now_ms.saturating_add(plan.lead_ms), Event::StageBegins(id));
        } else {
            self.outcome.stages_again += 1;
            self.stage_begins(id);
        }
    }

    pub(crate) fn stage_begins(&mut self, id: u32) {
        let stage = &mut self.stages[id as usize];
        stage.leading = false;
        stage.begin_attempt();
        if let Err(place) = self.active.binary_search(&id) {
            self.active.insert(place, id);
        }
        self.close_if_done(id);
        self.dispatch();
    }

    fn close_if_done(&mut self, id: u32) {
        if self.stages[id as usize].is_attempt_done() {
            self.end_attempt(id);
            self.stages[id as usize].closing = true;
            let tail_ms = self.plan.stages[id as usize].tail_ms;
            self.queue
                .push(self.now_ms.saturating_add(tail_ms), Event::StageEnds(id));
        }
    }

    fn end_attempt(&mut self, id: u32) {
        self.stages[id as usize].end_attempt();
        self.active.retain(|active| *active != id);
    }

    pub(crate) fn stage_ends(&mut self, id: u32) {
        let stage = &mut self.stages[id as usize];
        stage.closing = false;
        stage.failed_attempts = 0;
        if !stage.is_available() {
            // Output that was computed has gone meanwhile.
            self.submit_stage(id);
            return;
        }
        let facts = self.facts;
        for child in &facts.children[id as usize] {
            if self.stages[*child as usize].waiting {
                self.submit_stage(*child);
            }
        }
        for job in &facts.jobs_of[id as usize] {
            self.end_job_if_done(*job);
        }
    }

    /// Gives waiting tasks to free cores: lower stages first.
    pub(crate) fn dispatch(&mut self) {
        // Each core is looked at once: copies cannot run on all of them.
        for _ in 0..self.free.len() {
            let waits = |id: &u32| {
                let stage = &self.stages[*id as usize];
                !stage.pending.is_empty() || !stage.copies.is_empty()
            };
            if !self.active.iter().any(waits) {
                return;
            }
            if let Some(slot) = self.free.pop_front()
                && self.takes_tasks(self.slots[slot as usize].executor)
            {
                self.fill(slot);
            }
        }
    }

    /// Gives a free core the next task, or leaves it free.
    #[inline]
    pub(crate) fn fill(&mut self, slot: u32) {
        for at in 0..self.active.len() {
            let id = self.active[at];
            if let Some(partition) = self.stages[id as usize].next_pending() {
                self.launch(slot, id, partition, false);
                return;
            }
        }
        if self.plan.rules.speculation && self.launch_copy(slot) {
            return;
        }
        self.free.push_back(slot);
    }

    #[inline]
    pub(crate) fn launch(&mut self, slot: u32, id: u32, partition: u32, is_copy: bool) {
        let plan = &self.plan.stages[id as usize];
        let (fate, run_ms) = match self.missing_input(id) {
            Some((fate, run_ms)) => (fate, run_ms),
            None => (Fate::Success, self.task_ms(slot, id, partition, is_copy)),
        };
        let place = &mut self.slots[slot as usize];
        let gap_ms = if place.freed_ms == self.now_ms { plan.gap_ms } else { 0 };
        let started_ms = self.now_ms;
        let run_ms = run_ms.saturating_add_signed(gap_ms).max(1);
        *place = Slot {
            number: if self.executors[place.executor as usize].silent {
                NEVER
            } else {
                let ends_ms = started_ms.saturating_add(run_ms);
                self.queue.push(ends_ms, Event::TaskEnds(slot))
            },
            stage: id,
            partition,
            attempt: self.stages[id as usize].attempts - 1,
            started_ms,
            fetches_until_ms: started_ms.saturating_add(plan.reads_ms),
            fate,
            ..*place
        };
        self.executors[place.executor as usize].running += 1;
        self.outcome.tasks += 1;
    }

    /// How a task launched now will end that does not find its input, and after how long, ms; none if it does.
    #[inline]
    fn missing_input(&mut self, id: u32) -> Option<(Fate, u32)> {
        let plan = &self.plan.stages[id as usize];
        for parent in &plan.parents {
            let stage = &self.stages[*parent];
            let parent = *parent as u32;
            if stage.missing > 0 {
                // What the driver has forgotten fails at once, for want of a location.
                let holder = NOWHERE;
                return Some((Fate::MissesInput { parent, holder }, NO_LOCATION_MS));
            }
            if stage.unreachable > 0 {
                // None is missing, and a stage is written to where it is safe as a whole: all are executors.
                let gone = |holder: &&u32| self.executors[**holder as usize].unreachable;
                if let Some(holder) = stage.outputs.iter().find(gone).copied() {
                    return Some((Fate::MissesInput { parent, holder }, self.retry_ms()));
                }
            }
        }
        None
    }

    /// How long a task tries to reach an executor that is gone, ms.
    pub(crate) fn retry_ms(&mut self) -> u32 {
        let retry_ms = u32::try_from(self.plan.rules.fetch_retry_ms).unwrap_or(u32::MAX);
        retry_ms.saturating_add(self.rng.u32(20..400))
    }

    #[inline]
    pub(crate) fn task_ends(&mut self, slot: u32, number: u32) {
        let task = self.slots[slot as usize];
        if task.number != number {
            return;
        }
        let place = &mut self.slots[slot as usize];
        place.number = 0;
        place.freed_ms = self.now_ms;
        self.executors[task.executor as usize].running -= 1;
        let ran_ms = u64::from(self.now_ms - task.started_ms);
        self.task_ms += ran_ms;
        match task.fate {
            Fate::Success => {
                let holder = self.holder(task.stage, task.executor);
                if !self.stages[task.stage as usize].partition_done(task.partition, holder) {
                    self.outcome.lost_task_ms += ran_ms;
                }
                if self.plan.rules.speculation {
                    self.kill_other(task.stage, task.partition);
                    self.watch(task.stage);
                }
                self.close_if_done(task.stage);
            }
            Fate::MissesInput { parent, holder } => {
                self.outcome.lost_task_ms += ran_ms;
                self.stages[task.stage as usize].requeue(task.partition, task.attempt);
                self.fetch_failed(task, parent, holder);
            }
        }
        if self.takes_tasks(task.executor) {
            self.fill(slot);
        } else {
            self.release_if_idle(task.executor);
        }
    }

    /// Where a stage's output is written to.
    #[inline]
    fn holder(&self, stage: u32, executor: u32) -> u32 {
        let is_safe = self.around.output_is_safe || self.around.checkpoint == Some(stage as usize);
        if is_safe || !self.plan.stages[stage as usize].is_map {
            SAFE
        } else {
            executor
        }
    }

    /// A task could not read shuffle output: its stage fails, and runs again once the output is there again.
    fn fetch_failed(&mut self, task: Slot, parent: u32, holder: u32) {
        if self.stages[task.stage as usize].attempts != task.attempt + 1 {
            return;
        }
        if holder != NOWHERE {
            self.forget_output(holder);
        }
        if !self.stages[task.stage as usize].running {
            return;
        }
        self.end_attempt(task.stage);
        self.outcome.stages_failed += 1;
        let from_told = holder != NOWHERE && self.nodes[self.executors[holder as usize].node as usize].told;
        let stage = &mut self.stages[task.stage as usize];
        stage.failed_attempts += u32::from(self.plan.rules.fetch_failure_counts(from_told));
        if self.plan.rules.gives_stage_up(stage.failed_attempts as usize) {
            self.end(Ending::StageGivenUp(task.stage as usize));
            return;
        }
        if !std::mem::replace(&mut self.resubmit_waits, true) {
            let at_ms = self.now_ms.saturating_add(RESUBMIT_MS as u32);
            self.queue.push(at_ms, Event::Resubmit);
        }
        self.stages[parent as usize].failed = true;
        self.stages[task.stage as usize].failed = true;
    }

    /// Submits failed stages again, parents first.
    pub(crate) fn resubmit_failed(&mut self) {
        self.resubmit_waits = false;
        for id in 0..self.stages.len() {
            if std::mem::take(&mut self.stages[id].failed) && !self.stages[id].is_available() {
                self.submit_stage(id as u32);
            }
        }
    }

    /// Whether an executor is given tasks.
    #[inline]
    pub(crate) fn takes_tasks(&self, id: u32) -> bool {
        let executor = &self.executors[id as usize];
        let told = self.nodes[executor.node as usize].told;
        executor.standing == Standing::Live
            && !executor.released
            && !self.plan.rules.excludes(executor.decommissioned, told)
    }
}
