//! Stage attempts and their tasks, followed as Spark's own listener follows them.
//!
//! Separate because the rules are subtle (a stage may be pending, skipped, or run again under its own id), and because
//! agreeing with the History Server depends on keeping exactly to them.
//!
//! Rules: `onJobStart` to `onStageCompleted` in
//! <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/status/AppStatusListener.scala>

use std::collections::BTreeMap;

use super::attempts::{Repeats, Successes, repeats};
use super::event::StageInfo;
use super::replay::words;
use super::summary::error_kind;
use super::task_line::{TaskEnd, TaskEvent};
use super::{FetchFailure, StageAttempt, StageStatus};

/// Failures that the loss of an executor causes.
const LOSSES: [&str; 3] = ["ExecutorLostFailure", "FetchFailed", "TaskResultLost"];

/// Whether a task ended so because an executor was lost.
pub(super) fn is_loss(reason: &str) -> bool {
    LOSSES.contains(&reason)
}

/// How a task attempt stands, as `TaskInfo.status` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskStatus {
    /// No finish time.
    Running,
    /// `Failed`.
    Failed,
    /// `Killed`.
    Killed,
    /// Finished, neither failed nor killed.
    Success,
}

impl TaskEvent<'_> {
    /// How the attempt stands.
    pub(super) fn status(&self) -> TaskStatus {
        match self {
            Self { finished_at_ms: 0, .. } => TaskStatus::Running,
            Self { is_failed: true, .. } => TaskStatus::Failed,
            Self { is_killed: true, .. } => TaskStatus::Killed,
            _ => TaskStatus::Success,
        }
    }

    /// How long it ran, ms.
    pub(super) fn duration_ms(&self) -> u64 {
        match self.finished_at_ms {
            0 => 0,
            // No task runs for longer than 49 days: sums of what a damaged log says stay within bounds.
            finished_at_ms => {
                let ran_ms = finished_at_ms.saturating_sub(self.launched_at_ms);
                u64::try_from(ran_ms).unwrap_or(0).min(u64::from(u32::MAX))
            }
        }
    }
}

/// Task attempts that were seen to start, by how they stand: the rows of the REST API's task list, counted.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// Running where the log ends.
    pub(super) running: u64,
    /// Succeeded.
    pub(super) successful: u64,
    /// Time of these, ms.
    pub(super) successful_ms: u64,
    /// Failed.
    pub(super) failed: u64,
    /// Time of these, ms.
    pub(super) failed_ms: u64,
    /// Killed.
    pub(super) killed: u64,
    /// Time of these, ms.
    pub(super) killed_ms: u64,
    /// Failed and killed ones by the kind of their error.
    pub(super) error_kinds: BTreeMap<&'static str, u64>,
}

/// One stage attempt while the log is read.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// What comes out.
    pub(super) record: StageAttempt,
    /// Its tasks.
    pub(super) attempts: Attempts,
    /// Whether an event has told of it, not only its tasks.
    pub(super) is_known: bool,
    /// Whether it is a first attempt that runs fewer tasks than its job announced.
    pub(super) runs_in_part: bool,
    /// Whether executors had been lost when it was submitted.
    pub(super) is_after_loss: bool,
    /// Whether the loss of an executor hit one of its tasks.
    pub(super) is_touched: bool,
    /// Whether the listener still follows it.
    is_live: bool,
    /// Tasks started less tasks ended.
    active: i64,
    successes: Successes,
    /// Of these, those whose output was lost with its executor while the attempt ran.
    lost: Successes,
}

/// All stage attempts, by stage id and attempt.
#[derive(Debug, Default)]
pub(super) struct Stages {
    attempts: BTreeMap<(i64, i64), Stage>,
    /// Partitions of each stage, as the job announced them.
    announced_tasks: BTreeMap<i64, i64>,
}

impl Stages {
    /// A job announces a stage: it is pending, unless it is running already.
    pub(super) fn announce(&mut self, info: StageInfo) {
        self.announced_tasks.insert(info.stage_id, info.tasks);
        self.living(info);
    }

    /// A stage attempt was submitted.
    pub(super) fn submit(&mut self, info: StageInfo, is_after_loss: bool) {
        let announced = self.announced_tasks.get(&info.stage_id).copied().unwrap_or(0);
        let runs_in_part = info.attempt == 0 && info.tasks < announced;
        let stage = self.living(info);
        stage.record.status = StageStatus::Active;
        stage.runs_in_part |= runs_in_part;
        stage.is_after_loss |= is_after_loss;
    }

    /// A stage attempt completed or failed.
    pub(super) fn complete(&mut self, info: StageInfo) {
        let key = (info.stage_id, info.attempt);
        let Some(stage) = self.attempts.get_mut(&key).filter(|stage| stage.is_live) else {
            return;
        };
        stage.describe(info);
        stage.record.status = match (&stage.record.failure_reason, stage.record.submitted_at_ms) {
            (Some(_), _) => StageStatus::Failed,
            (None, Some(_)) => StageStatus::Complete,
            (None, None) => StageStatus::Skipped,
        };
        stage.is_live = stage.active != 0;
    }

    /// A job ended: what is still pending of its stages was skipped.
    pub(super) fn end_job(&mut self, stage_ids: &[i64]) {
        for stage_id in stage_ids {
            for (_, stage) in self.attempts.range_mut((*stage_id, i64::MIN)..=(*stage_id, i64::MAX)) {
                if stage.is_live && stage.record.status == StageStatus::Pending {
                    stage.record.status = StageStatus::Skipped;
                    stage.is_live = false;
                }
            }
        }
    }

    /// A task started.
    pub(super) fn start_task(&mut self, task: &TaskEvent<'_>) {
        let stage = self.attempts.entry((task.stage_id, task.stage_attempt)).or_default();
        stage.record.tasks_speculative += u64::from(task.is_speculative);
        if stage.is_live {
            stage.active += 1;
        }
    }

    /// A task ended; `was_running` if it was seen to start and had not ended before.
    pub(super) fn end_task(&mut self, task: &TaskEvent<'_>, end: &TaskEnd<'_>, was_running: bool) {
        let stage = self.attempts.entry((task.stage_id, task.stage_attempt)).or_default();
        if was_running {
            stage.count(task, end);
        }
        if end.reason == "Resubmitted" || is_loss(end.reason) {
            stage.is_touched = true;
        }
        if end.reason == "Resubmitted" {
            stage
                .lost
                .add(0, task.partition, task.task_id, task.launched_at_ms, task.duration_ms());
        }
        if stage.record.fetch_failed_from.is_none()
            && let Some((host, executor_id)) = end.fetch_from
        {
            stage.record.fetch_failed_from = Some(FetchFailure {
                host: host.to_owned(),
                executor_id: executor_id.to_owned(),
            });
        }
        if !stage.is_live {
            return;
        }
        match end.reason {
            "Success" => stage.record.tasks_successful += 1,
            "TaskKilled" | "TaskCommitDenied" => stage.record.tasks_killed += 1,
            "Resubmitted" => {
                // The task had ended already.
                stage.record.tasks_resubmitted += 1;
                return;
            }
            _ => stage.record.tasks_failed += 1,
        }
        stage.active -= 1;
        let is_over = matches!(stage.record.status, StageStatus::Complete | StageStatus::Failed);
        stage.is_live = !(stage.active == 0 && is_over);
    }

    /// A task that was still running at the end of the log.
    pub(super) fn leave_running(&mut self, key: (i64, i64)) {
        self.attempts.entry(key).or_default().attempts.running += 1;
    }

    /// The stages that events have told of, in order.
    pub(super) fn known(&self) -> impl Iterator<Item = &Stage> {
        self.attempts.values().filter(|stage| stage.is_known)
    }

    /// The attempts that ran again, under a new stage id, what an earlier stage had computed: either the first attempt,
    /// of only some tasks, or a later one of a stage whose first was skipped.
    pub(super) fn reruns(&self) -> impl Iterator<Item = &Stage> {
        self.known().filter(|stage| {
            let first = self.attempts.get(&(stage.record.stage_id, 0));
            let first_skipped = first.is_some_and(|first| first.record.status == StageStatus::Skipped);
            stage.runs_in_part || (stage.record.attempt > 0 && first_skipped)
        })
    }

    /// Whether the loss of an executor touched any attempt of this stage.
    pub(super) fn is_touched(&self, stage_id: i64) -> bool {
        self.attempts
            .range((stage_id, i64::MIN)..=(stage_id, i64::MAX))
            .any(|((_, attempt), stage)| {
                stage.is_touched || stage.is_after_loss && (*attempt > 0 || stage.runs_in_part)
            })
    }

    /// Of what was run again under a new stage id after executors had been lost, the tasks that had succeeded before under
    /// another id, and their time: a partition may also be missing because the job that was to compute it was cancelled.
    /// To be asked after [`repeats`](Self::repeats), which sorts the tables.
    pub(super) fn recomputed_under_another_id(&self) -> (u64, u64) {
        let mut by_rdd: BTreeMap<i64, Vec<&Stage>> = BTreeMap::new();
        for stage in self.known() {
            if let Some(rdd_id) = stage.record.rdd_id {
                by_rdd.entry(rdd_id).or_default().push(stage);
            }
        }
        let (mut tasks, mut time_ms) = (0, 0);
        for stage in self.reruns().filter(|stage| stage.is_after_loss) {
            let same = stage
                .record
                .rdd_id
                .and_then(|id| by_rdd.get(&id))
                .map_or(&[][..], Vec::as_slice);
            let before = |other: &&&Stage| other.record.stage_id < stage.record.stage_id && !other.successes.is_empty();
            let before: Vec<&Successes> = same.iter().filter(before).map(|other| &other.successes).collect();
            let (more_tasks, more_ms) = if before.is_empty() {
                // The log does not hold what came before: it was compacted, or is not read from its start.
                (stage.attempts.successful, stage.attempts.successful_ms)
            } else {
                stage.successes.also_in(&before)
            };
            tasks += more_tasks;
            time_ms += more_ms;
        }
        (tasks, time_ms)
    }

    /// Of the tasks whose output was lost while their stage ran, those that did not succeed again before the log's end,
    /// and their time, ms: their job ended first, or the log does. To be asked after [`repeats`](Self::repeats), which
    /// sorts the tables.
    pub(super) fn never_recomputed(&mut self) -> (u64, u64) {
        for stage in self.attempts.values_mut() {
            stage.lost.sort();
        }
        let reruns: Vec<&Stage> = self.reruns().filter(|stage| stage.is_after_loss).collect();
        let (mut tasks, mut time_ms) = (0, 0);
        for ((stage_id, _), stage) in self.attempts.iter().filter(|(_, stage)| !stage.lost.is_empty()) {
            let attempts = self.attempts.range((*stage_id, i64::MIN)..=(*stage_id, i64::MAX));
            let attempts: Vec<&Successes> = attempts.map(|(_, stage)| &stage.successes).collect();
            let is_later = |later: &&&Stage| later.record.stage_id > *stage_id;
            let same = |later: &&&Stage| later.record.rdd_id.is_some() && later.record.rdd_id == stage.record.rdd_id;
            // What those ran again is counted as recomputed under another id.
            let elsewhere = reruns.iter().filter(is_later).filter(same);
            let elsewhere: Vec<&Successes> = elsewhere.map(|later| &later.successes).collect();
            let (more_tasks, more_ms) = stage.lost.never_again(&attempts, &elsewhere);
            tasks += more_tasks;
            time_ms += more_ms;
        }
        (tasks, time_ms)
    }

    /// Repeats over all stages, of the attempts that the REST API lists tasks of.
    pub(super) fn repeats(&mut self) -> Repeats {
        let mut total = Repeats::default();
        let mut stages: Vec<(i64, Vec<&Successes>)> = Vec::new();
        for ((stage_id, _), stage) in &mut self.attempts {
            stage.successes.sort();
            if !stage.is_known || stage.record.status == StageStatus::Skipped {
                continue;
            }
            match stages.last_mut() {
                Some((last, attempts)) if last == stage_id => attempts.push(&stage.successes),
                _ => stages.push((*stage_id, vec![&stage.successes])),
            }
        }
        for (_, attempts) in stages {
            let stage = repeats(&attempts);
            total.partitions += stage.partitions;
            total.lost_ms += stage.lost_ms;
            total.rerun_ms += stage.rerun_ms;
            total.recomputed += stage.recomputed;
            total.recomputed_ms += stage.recomputed_ms;
        }
        total
    }

    /// The records that come out.
    pub(super) fn finish(self) -> Vec<StageAttempt> {
        self.attempts
            .into_values()
            .filter(|stage| stage.is_known)
            .map(|stage| stage.record)
            .collect()
    }

    /// The stage that is followed under this id and attempt, begun anew if none is.
    fn living(&mut self, info: StageInfo) -> &mut Stage {
        let stage = self.attempts.entry((info.stage_id, info.attempt)).or_default();
        if !stage.is_live {
            stage.record = StageAttempt {
                task_time_ms: stage.record.task_time_ms,
                longest_task_ms: stage.record.longest_task_ms,
                tasks_speculative: stage.record.tasks_speculative,
                tasks_speculative_successful: stage.record.tasks_speculative_successful,
                rdd_id: stage.record.rdd_id,
                ..StageAttempt::default()
            };
            stage.active = 0;
            stage.is_live = true;
            stage.is_known = true;
        }
        stage.describe(info);
        stage
    }
}

impl Stage {
    /// Spark's `numFailedTasks` less the failed rows of its task list: tasks whose output was lost after they succeeded.
    pub(super) fn resubmitted(&self) -> i64 {
        let counted = self.record.tasks_failed + self.record.tasks_resubmitted;
        let listed = if self.record.status == StageStatus::Skipped {
            0
        } else {
            self.attempts.failed
        };
        counted.cast_signed() - listed.cast_signed()
    }

    fn describe(&mut self, info: StageInfo) {
        let record = &mut self.record;
        record.rdd_id = info.rdd_id.or(record.rdd_id);
        record.parent_ids = info.parent_ids;
        record.stage_id = info.stage_id;
        record.attempt = info.attempt;
        if record.name != info.name {
            record.name = words(info.name);
        }
        record.tasks = info.tasks;
        record.submitted_at_ms = info.submission_time;
        record.completed_at_ms = info.completion_time;
        record.failure_reason = info.failure_reason.map(words);
    }

    fn count(&mut self, task: &TaskEvent<'_>, end: &TaskEnd<'_>) {
        let duration_ms = task.duration_ms();
        let status = task.status();
        self.record.task_time_ms += duration_ms;
        match status {
            TaskStatus::Running => self.attempts.running += 1,
            TaskStatus::Success => {
                self.attempts.successful += 1;
                self.attempts.successful_ms += duration_ms;
                self.record.longest_task_ms = self.record.longest_task_ms.max(duration_ms);
                self.record.tasks_speculative_successful += u64::from(task.is_speculative);
                self.successes.add(
                    self.record.tasks,
                    task.partition,
                    task.task_id,
                    task.launched_at_ms,
                    duration_ms,
                );
            }
            TaskStatus::Failed => {
                self.attempts.failed += 1;
                self.attempts.failed_ms += duration_ms;
            }
            TaskStatus::Killed => {
                self.attempts.killed += 1;
                self.attempts.killed_ms += duration_ms;
            }
        }
        if let Some(kind) = error_kind(end.message, status == TaskStatus::Killed) {
            *self.attempts.error_kinds.entry(kind).or_default() += 1;
        }
    }
}
