//! The task scheduler: tasks onto free cores, and their ends.
//!
//! Separate because these rules know cores and executors; which stages run is the DAG scheduler's business.
//= https://spark.apache.org/docs/3.5.6/job-scheduling.html

use chrono::TimeDelta;
use spark_rules::FETCH_SHARE;

use super::driver::{Container, Driver, Timer};
use super::stage::{Fate, Task};
use super::truth::TaskCounts;
use super::workload::Failure;

/// An executor whose JVM is cold needs this much longer for the first task on each core.
const COLD_START_MS: i64 = 1_200;

/// Spark's name for a task with nothing to be near to: S3 has no hosts.
const NO_PREFERENCE: &str = "PROCESS_LOCAL";

impl Driver {
    /// Gives waiting tasks to free cores: lower stages first, one task an executor and round, in a shuffled order.
    pub(super) fn offer(&mut self) {
        if self.ending.is_some() {
            return;
        }
        let cores = self.settings.cores as usize;
        let mut free: Vec<(u32, usize)> = self
            .executors
            .iter()
            .filter(|(_, executor)| executor.is_live() && !self.is_excluded(executor))
            .map(|(id, executor)| (*id, cores.saturating_sub(executor.running.len())))
            .filter(|(_, slots)| *slots > 0)
            .collect();
        if free.is_empty() || self.pending() == 0 {
            return;
        }
        self.rng.shuffle(&mut free);
        for stage in 0..self.stages.len() {
            while let Some(attempt) = self.stages[stage].running()
                && !attempt.pending.is_empty()
                && !free.is_empty()
            {
                for (executor, slots) in &mut free {
                    if let Some(index) = self.stages[stage]
                        .running()
                        .and_then(|attempt| attempt.pending.pop_first())
                    {
                        *slots -= 1;
                        self.launch(stage, index, *executor);
                    }
                }
                free.retain(|(_, slots)| *slots > 0);
            }
        }
    }

    fn launch(&mut self, stage: usize, index: usize, executor: u32) {
        let stage_attempt = self.stages[stage]
            .latest()
            .expect("a stage with waiting tasks was submitted");
        let attempt = &mut self.stages[stage].attempts[stage_attempt];
        let (partition, number) = (attempt.partitions[index], attempt.launched[index]);
        attempt.launched[index] += 1;
        let (fate, run_ms) = self.draw_fate(stage, partition, executor);
        let reads_ms = if self.stages[stage].plan.parents.is_empty() {
            0
        } else {
            (run_ms as f64 * FETCH_SHARE) as i64
        };
        let id = self.tasks.len();
        self.tasks.push(Task {
            stage,
            stage_attempt,
            index,
            partition,
            number,
            executor,
            locality: self.locality(stage, executor),
            launched_at: self.now,
            fetches_until: self.now + TimeDelta::milliseconds(reads_ms),
            fate,
            generation: 0,
            finished_at: None,
            succeeded: false,
        });
        let holder = self
            .executors
            .get_mut(&executor)
            .expect("tasks are launched on executors that exist");
        holder.running.insert(id);
        holder.tasks += 1;
        self.log.task_start(id, &self.tasks[id], &holder.container.host);
        self.after_ms(
            run_ms,
            Timer::TaskEnds {
                task: id,
                generation: 0,
            },
        );
    }

    /// How a task launched now will end, and after how long.
    fn draw_fate(&mut self, stage: usize, partition: u32, executor: u32) -> (Fate, i64) {
        let spread = 0.75 + 0.5 * self.rng.f64();
        let straggles = if self.rng.f64() < 0.02 { 1.5 } else { 1.0 };
        let cold = if self.executors[&executor].tasks < self.settings.cores {
            COLD_START_MS
        } else {
            0
        };
        let run_ms = (self.stages[stage].plan.task_seconds * 1000.0 * spread * straggles) as i64 + cold;
        if let Some((parent, map, holder)) = self.missing_input(stage) {
            // What the driver has forgotten fails at once, for want of a location.
            let fails_after_ms = match holder {
                None => cold + 80 + i64::from(partition % 40),
                Some(_) => self.retry_ms(),
            };
            let executor = holder;
            return (Fate::FetchFails { parent, map, executor }, fails_after_ms);
        }
        match &self.workload.failure {
            Some(Failure::Task {
                stage: at,
                partition: bad,
                ..
            }) if (*at, *bad) == (stage, partition) => (Fate::Throws, run_ms),
            _ => (Fate::Success, run_ms),
        }
    }

    /// How long a task tries to reach a node that is gone.
    pub(super) fn retry_ms(&mut self) -> i64 {
        self.settings.rules.fetch_retry_ms + self.rng.i64(20..400)
    }

    /// The first of a stage's input that is not to be had: its stage and partition, and the executor that has it, as far as
    /// the driver knows.
    fn missing_input(&self, stage: usize) -> Option<(usize, u32, Option<u32>)> {
        let dead = self.executors_where(|container| self.dead.contains(&container.instance_id));
        for &parent in &self.stages[stage].plan.parents {
            let outputs = &self.stages[parent].outputs;
            // Each task asks for all outputs: mostly nothing is lost, and then there is little to ask.
            let missing = match self.dead.is_empty() {
                true => outputs.iter().position(Option::is_none),
                false => outputs
                    .iter()
                    .position(|output| output.is_none_or(|holder| dead[holder as usize])),
            };
            if let Some(map) = missing {
                return Some((parent, map as u32, outputs[map]));
            }
        }
        None
    }

    /// For each executor, by its id: does it hold of its container?
    fn executors_where(&self, is: impl Fn(&Container) -> bool) -> Vec<bool> {
        let ids = self.executors.keys().next_back().map_or(0, |last| *last as usize + 1);
        let mut those = vec![false; ids];
        for (id, executor) in &self.executors {
            those[*id as usize] = is(&executor.container);
        }
        those
    }

    /// A fifth of a reduce task's input on a node makes that node preferred.
    fn locality(&self, stage: usize, executor: u32) -> &'static str {
        let parents = &self.stages[stage].plan.parents;
        if parents.is_empty() {
            return NO_PREFERENCE;
        }
        let here = &self.executors[&executor].container.instance_id;
        let here = self.executors_where(|container| container.instance_id == *here);
        let (mut near, mut all) = (0, 0);
        for &parent in parents {
            for holder in self.stages[parent].outputs.iter().flatten() {
                all += 1;
                near += u32::from(here[*holder as usize]);
            }
        }
        match (near, all) {
            (_, 0) => NO_PREFERENCE,
            (near, all) if near * 5 >= all => "NODE_LOCAL",
            _ => "ANY",
        }
    }

    /// A task reaches its end, unless it ended otherwise before.
    pub(super) fn task_ends(&mut self, id: usize, generation: u32) {
        let task = &self.tasks[id];
        if task.finished_at.is_some() || task.generation != generation {
            return;
        }
        match task.fate {
            Fate::Success => self.task_succeeds(id),
            Fate::Throws => self.task_throws(id),
            Fate::FetchFails { .. } => self.task_misses_input(id),
        }
    }

    fn task_succeeds(&mut self, id: usize) {
        self.finish_task(id, |counts| counts.successful += 1);
        let task = &mut self.tasks[id];
        task.succeeded = true;
        let (stage, partition, executor) = (task.stage, task.partition, task.executor);
        let (is_result, reads) = (
            self.stages[stage].is_result,
            !self.stages[stage].plan.parents.is_empty(),
        );
        self.log.task_succeeded(
            id,
            &self.tasks[id],
            &self.executors[&executor].container.host,
            is_result,
            reads,
        );
        self.stages[stage].partition_done(partition, executor);
        self.end_stage_if_done(stage);
    }

    fn task_throws(&mut self, id: usize) {
        let Some(Failure::Task { message, .. }) = self.workload.failure.clone() else {
            return;
        };
        let description = format!("org.apache.spark.api.python.PythonException: ValueError: {message}");
        self.fail_task(id, "ExceptionFailure");
        let (stage, attempt, index) = self.requeue(id);
        let host = self.host_of(id);
        self.log
            .task_threw(id, &self.tasks[id], &host, self.stages[stage].is_result, &message);
        let (number, executor) = (self.tasks[id].number, self.tasks[id].executor);
        let entry = &mut self.stages[stage].attempts[attempt];
        entry.failures[index] += 1;
        let failures = entry.failures[index];
        if self.settings.rules.gives_task_up(failures) && !entry.ended {
            self.abort(format!(
                "Task {index} in stage {stage}.{attempt} failed {failures} times, most recent failure: Lost task \
                 {index}.{number} in stage {stage}.{attempt} (TID {id}) ({host} executor {executor}): {description}\n\n\
                 Driver stacktrace:"
            ));
        }
    }

    fn task_misses_input(&mut self, id: usize) {
        self.fail_task(id, "FetchFailed");
        let (stage, attempt, _) = self.requeue(id);
        let fate = self.tasks[id].fate;
        let Fate::FetchFails { parent, executor, .. } = fate else {
            return;
        };
        let message = match executor {
            None => format!(
                "org.apache.spark.shuffle.MetadataFetchFailedException: Missing an output location for shuffle {parent} \
                 partition {}",
                self.tasks[id].partition
            ),
            Some(holder) => format!(
                "org.apache.spark.shuffle.FetchFailedException: Failed to connect to {}:7337",
                self.executors[&holder].container.host
            ),
        };
        let from = executor.map(|holder| (holder, self.executors[&holder].container.host.clone()));
        let host = self.host_of(id);
        self.log
            .task_fetch_failed(id, &self.tasks[id], &host, self.stages[stage].is_result, from, &message);
        self.fetch_failed(stage, attempt, fate, &message);
    }

    /// Kills what still runs of a job that is over.
    pub(super) fn kill_tasks(&mut self, reason: &str) {
        let running: Vec<usize> = self
            .executors
            .values()
            .flat_map(|executor| executor.running.clone())
            .collect();
        for id in running {
            self.finish_task(id, |counts| counts.killed += 1);
            self.truth.failed_task_ms += self.tasks[id].run_ms();
            let is_result = self.stages[self.tasks[id].stage].is_result;
            let host = self.host_of(id);
            self.log.task_killed(id, &self.tasks[id], &host, is_result, reason);
        }
    }

    /// Books a task's failure.
    pub(super) fn fail_task(&mut self, id: usize, reason: &str) {
        self.finish_task(id, |counts| counts.failed += 1);
        self.truth.failed_task_ms += self.tasks[id].run_ms();
        *self.truth.failures_by_reason.entry(reason.to_owned()).or_default() += 1;
    }

    /// The task no longer runs; counted for its stage attempt, its executor and the whole.
    fn finish_task(&mut self, id: usize, count: impl Fn(&mut TaskCounts)) {
        let now = self.now;
        let task = &mut self.tasks[id];
        task.finished_at = Some(now);
        let executor_id = task.executor;
        let executor = self
            .executors
            .get_mut(&executor_id)
            .expect("a task's executor stays known");
        executor.running.remove(&id);
        if executor.running.is_empty() {
            executor.idle_since = now;
        }
        self.count(id, count);
        self.watch_idle(executor_id);
    }

    /// Counts a task's end.
    pub(super) fn count(&mut self, id: usize, count: impl Fn(&mut TaskCounts)) {
        let task = &self.tasks[id];
        let stage = self.stages[task.stage].attempts[task.stage_attempt].truth;
        let executor = self.executors[&task.executor]
            .truth
            .expect("only registered executors run tasks");
        count(&mut self.truth.stage_attempts[stage].tasks);
        count(&mut self.truth.executors[executor].tasks);
        count(&mut self.truth.tasks);
    }

    /// Puts a task's index back; returns stage, attempt and index.
    pub(super) fn requeue(&mut self, id: usize) -> (usize, usize, usize) {
        let Task {
            stage,
            stage_attempt,
            index,
            ..
        } = self.tasks[id];
        self.stages[stage].attempts[stage_attempt].requeue(index);
        (stage, stage_attempt, index)
    }

    pub(super) fn host_of(&self, id: usize) -> String {
        self.executors[&self.tasks[id].executor].container.host.clone()
    }

    /// Tasks that wait for a core.
    pub(super) fn pending(&mut self) -> usize {
        self.stages
            .iter_mut()
            .filter_map(|stage| stage.running().map(|attempt| attempt.pending.len()))
            .sum()
    }
}
