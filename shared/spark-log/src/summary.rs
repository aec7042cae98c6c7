//! Counts that can be compared one by one with the History Server's REST API.
//!
//! Separate because their meaning is fixed by what that API lists, not by what a reader of a report wants to know.
//!
//! The API: <https://spark.apache.org/docs/3.5.5/monitoring.html#rest-api>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attempts::Repeats;
use super::stages::Stages;
use super::wording::without_names;
use super::{Executor, Job, Removal, StageStatus};

/// The counts. Keys such as `"3.0"` are a stage id and an attempt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Executors known to Spark: those that the log says were added.
    pub executors_added: u64,
    /// Of these, executors that were removed; each counts once.
    pub executors_removed: u64,
    /// Removed executors by reason: the first line of Spark's words, with hosts, ids and times replaced (`<host>`).
    pub remove_reasons: BTreeMap<String, u64>,
    /// Removed executors by what the words mean ([`Removal::kind`](super::Removal::kind)). Those of which no line says
    /// that they were added count here too, though the History Server does not know them.
    #[serde(default)]
    pub removals_by_kind: BTreeMap<String, u64>,
    /// Jobs by status.
    pub jobs: BTreeMap<String, u64>,
    /// Stage attempts by status.
    pub stage_attempts: BTreeMap<String, u64>,
    /// Attempts of each stage that has several.
    pub stages_retried: BTreeMap<String, u64>,
    /// Stage attempts that failed.
    pub failed_stage_attempts: Vec<FailedStageAttempt>,
    /// Task attempts, of stages that were not skipped.
    pub task_attempts: u64,
    /// Task attempts by status.
    pub task_status: BTreeMap<String, u64>,
    /// Failed and killed task attempts by kind of error.
    pub task_error_kinds: BTreeMap<String, u64>,
    /// By stage attempt, tasks that had succeeded and whose output was lost with its executor while the stage ran.
    pub resubmitted_completed_tasks: BTreeMap<String, i64>,
    /// The sum of those.
    pub resubmitted_total: i64,
    /// Time of failed task attempts, ms.
    pub failed_task_time_ms: u64,
    /// Time of killed task attempts, ms.
    pub killed_task_time_ms: u64,
    /// Partitions of a stage that succeeded twice or more, in whatever attempt of it.
    pub partitions_succeeded_more_than_once: u64,
    /// Of these, the time of all but the last launched success: work thrown away, ms.
    pub lost_success_time_ms: u64,
    /// Of these, the time of all but the first launched success: work done again, ms.
    pub rerun_success_time_ms: u64,
    /// Stage attempts that ran lost partitions of an earlier stage again, under a stage id of their own.
    pub rerun_under_another_stage_id: BTreeMap<String, Rerun>,
}

/// A stage attempt that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedStageAttempt {
    /// Stage id.
    pub stage: i64,
    /// Attempt.
    pub attempt: i64,
    /// First line of the failure reason, at most 200 characters.
    pub reason: String,
}

/// Work done again under another stage id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rerun {
    /// Tasks that succeeded.
    pub success_tasks: u64,
    /// Their time, ms.
    pub time_ms: u64,
}

impl Summary {
    /// Counts everything.
    pub(super) fn count(executors: &[Executor], jobs: &[Job], stages: &Stages, repeats: Repeats) -> Self {
        let mut summary = Self {
            executors_added: executors.iter().filter(|one| one.added_at_ms.is_some()).count() as u64,
            partitions_succeeded_more_than_once: repeats.partitions,
            lost_success_time_ms: repeats.lost_ms,
            rerun_success_time_ms: repeats.rerun_ms,
            ..Self::default()
        };
        for executor in executors.iter().filter(|executor| executor.removed_at_ms.is_some()) {
            let kind = executor.removal.as_ref().map_or("other", Removal::kind);
            add(&mut summary.removals_by_kind, kind, 1);
            if executor.added_at_ms.is_none() {
                continue;
            }
            summary.executors_removed += 1;
            let reason = executor.removed_reason.as_deref().unwrap_or_default();
            add(&mut summary.remove_reasons, &without_names(reason, &executor.host), 1);
        }
        for job in jobs {
            let status = match job.succeeded {
                Some(true) => "SUCCEEDED",
                Some(false) => "FAILED",
                None => "RUNNING",
            };
            add(&mut summary.jobs, status, 1);
        }
        summary.count_stages(stages);
        for stage in stages.reruns() {
            let is_listed = stage.record.status != StageStatus::Skipped;
            let rerun = Rerun {
                success_tasks: stage.attempts.successful,
                time_ms: stage.attempts.successful_ms,
            };
            let key = format!("{}.{}", stage.record.stage_id, stage.record.attempt);
            summary
                .rerun_under_another_stage_id
                .insert(key, if is_listed { rerun } else { Rerun::default() });
        }
        summary
    }

    fn count_stages(&mut self, stages: &Stages) {
        let mut attempts_by_stage: BTreeMap<i64, u64> = BTreeMap::new();
        for stage in stages.known() {
            let record = &stage.record;
            *attempts_by_stage.entry(record.stage_id).or_default() += 1;
            add(&mut self.stage_attempts, record.status.as_str(), 1);
            if record.status == StageStatus::Failed {
                let reason = record.failure_reason.as_deref().unwrap_or_default();
                self.failed_stage_attempts.push(FailedStageAttempt {
                    stage: record.stage_id,
                    attempt: record.attempt,
                    reason: reason
                        .split('\n')
                        .next()
                        .unwrap_or_default()
                        .chars()
                        .take(200)
                        .collect(),
                });
            }
            let resubmitted = stage.resubmitted();
            if resubmitted != 0 {
                let key = format!("{}.{}", record.stage_id, record.attempt);
                self.resubmitted_completed_tasks.insert(key, resubmitted);
                self.resubmitted_total += resubmitted;
            }
            if record.status == StageStatus::Skipped {
                continue;
            }
            let tasks = &stage.attempts;
            self.task_attempts += tasks.running + tasks.successful + tasks.failed + tasks.killed;
            add(&mut self.task_status, "RUNNING", tasks.running);
            add(&mut self.task_status, "SUCCESS", tasks.successful);
            add(&mut self.task_status, "FAILED", tasks.failed);
            add(&mut self.task_status, "KILLED", tasks.killed);
            for (kind, count) in &tasks.error_kinds {
                add(&mut self.task_error_kinds, kind, *count);
            }
            self.failed_task_time_ms += tasks.failed_ms;
            self.killed_task_time_ms += tasks.killed_ms;
        }
        attempts_by_stage.retain(|_, attempts| *attempts > 1);
        self.stages_retried = attempts_by_stage
            .into_iter()
            .map(|(id, attempts)| (id.to_string(), attempts))
            .collect();
    }
}

fn add(counts: &mut BTreeMap<String, u64>, key: &str, count: u64) {
    if count > 0 {
        *counts.entry(key.to_owned()).or_default() += count;
    }
}

/// The kind of a task's error, told from the start of the message that the REST API shows.
pub(super) fn error_kind(message: &str, is_killed: bool) -> Option<&'static str> {
    const KINDS: [&str; 7] = [
        "FetchFailed",
        "ExecutorLostFailure",
        "TaskKilled",
        "TaskResultLost",
        "TaskCommitDenied",
        "Resubmitted",
        "UnknownReason",
    ];
    if is_killed {
        return Some("TaskKilled");
    }
    if message.is_empty() {
        return None;
    }
    if let Some(kind) = KINDS.into_iter().find(|kind| message.starts_with(kind)) {
        return Some(kind);
    }
    let end = message.char_indices().nth(200).map_or(message.len(), |(at, _)| at);
    Some(if message[..end].contains("FetchFailed(") {
        "FetchFailed"
    } else {
        "ExceptionFailure"
    })
}
