//! Stages, their attempts and their tasks: what the driver keeps of each, without any rule of when things happen.
//!
//! Separate so that `dag`, `tasks` and `loss` change one state whose invariants stand in one place.

use std::collections::BTreeSet;

use super::workload::StagePlan;
use crate::api::Time;

/// One stage.
#[derive(Debug)]
pub(super) struct Stage {
    /// What it computes.
    pub(super) plan: StagePlan,
    /// Whether it is the last one, whose tasks write the result.
    pub(super) is_result: bool,
    /// By partition: the executor that holds (or wrote) its output; none while it must be computed.
    pub(super) outputs: Vec<Option<u32>>,
    /// Its attempts so far.
    pub(super) attempts: Vec<StageAttempt>,
    /// Attempts in a row that failed and count.
    pub(super) failed_attempts: BTreeSet<usize>,
}

impl Stage {
    /// A stage that was never submitted.
    pub(super) fn new(plan: StagePlan, is_result: bool) -> Self {
        let outputs = vec![None; plan.tasks as usize];
        Self {
            plan,
            is_result,
            outputs,
            attempts: Vec::new(),
            failed_attempts: BTreeSet::new(),
        }
    }

    /// Partitions without output.
    pub(super) fn missing(&self) -> Vec<u32> {
        (0..self.plan.tasks)
            .filter(|partition| self.outputs[*partition as usize].is_none())
            .collect()
    }

    /// Whether all its output is known to be somewhere.
    pub(super) fn is_available(&self) -> bool {
        self.outputs.iter().all(Option::is_some)
    }

    /// Number of the latest attempt.
    pub(super) fn latest(&self) -> Option<usize> {
        self.attempts.len().checked_sub(1)
    }

    /// The attempt that runs, if one does.
    pub(super) fn running(&mut self) -> Option<&mut StageAttempt> {
        self.attempts.last_mut().filter(|attempt| !attempt.ended)
    }

    /// A partition is computed: no attempt needs to compute it any more.
    pub(super) fn partition_done(&mut self, partition: u32, executor: u32) {
        self.outputs[partition as usize] = Some(executor);
        for attempt in &mut self.attempts {
            if let Ok(index) = attempt.partitions.binary_search(&partition) {
                attempt.done[index] = true;
                attempt.pending.remove(&index);
            }
        }
    }
}

/// One attempt of a stage: Spark's task set.
#[derive(Debug)]
pub(super) struct StageAttempt {
    /// The partitions that it computes, ascending; a task's index is the place in here.
    pub(super) partitions: Vec<u32>,
    /// Indices that wait for a core.
    pub(super) pending: BTreeSet<usize>,
    /// By index: whether the partition is computed.
    pub(super) done: Vec<bool>,
    /// By index: task attempts so far.
    pub(super) launched: Vec<u32>,
    /// By index: failures that count towards `spark.task.maxFailures`.
    pub(super) failures: Vec<u32>,
    /// Whether it is over; tasks of it may still run.
    pub(super) ended: bool,
    /// When it was submitted.
    pub(super) submitted_at: Time,
    /// Its place in the truth.
    pub(super) truth: usize,
}

impl StageAttempt {
    /// An attempt at these partitions.
    pub(super) fn new(partitions: Vec<u32>, submitted_at: Time, truth: usize) -> Self {
        let count = partitions.len();
        Self {
            partitions,
            pending: (0..count).collect(),
            done: vec![false; count],
            launched: vec![0; count],
            failures: vec![0; count],
            ended: false,
            submitted_at,
            truth,
        }
    }

    /// A task ended without success: its partition waits again, unless another attempt has computed it meanwhile.
    pub(super) fn requeue(&mut self, index: usize) {
        if !self.ended && !self.done[index] {
            self.pending.insert(index);
        }
    }
}

/// How a running task will end, as things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Well.
    Success,
    /// The user's code throws.
    Throws,
    /// It tries to read the output of this stage's partition from this executor, whose node is gone.
    FetchFails {
        /// The parent stage.
        parent: usize,
        /// The parent's partition.
        map: u32,
        /// The executor that wrote it; none if the driver knows already that the output is gone.
        executor: Option<u32>,
    },
}

/// One task attempt; its place in the driver's list is Spark's task id.
#[derive(Debug)]
pub(super) struct Task {
    /// Its stage.
    pub(super) stage: usize,
    /// Its stage attempt.
    pub(super) stage_attempt: usize,
    /// Its index in the stage attempt.
    pub(super) index: usize,
    /// Its partition.
    pub(super) partition: u32,
    /// How often this index was launched before.
    pub(super) number: u32,
    /// Where it runs.
    pub(super) executor: u32,
    /// Whether shuffle output is near: Spark's name.
    pub(super) locality: &'static str,
    /// When it was launched.
    pub(super) launched_at: Time,
    /// Until when it reads shuffle output.
    pub(super) fetches_until: Time,
    /// How it will end.
    pub(super) fate: Fate,
    /// Changes with its fate, so that the timer of an earlier fate does nothing.
    pub(super) generation: u32,
    /// When it ended.
    pub(super) finished_at: Option<Time>,
    /// Whether it ended well.
    pub(super) succeeded: bool,
}

impl Task {
    /// Run time of an ended task, in milliseconds.
    pub(super) fn run_ms(&self) -> i64 {
        self.finished_at
            .map_or(0, |end| (end - self.launched_at).num_milliseconds())
    }
}
