//! What a log says, as one value.
//!
//! Separate because reports, the API and the tests read this, and nothing else of the module.
//!
//! Times are epoch milliseconds of the driver's clock; durations are milliseconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Exclusion, FailedTask, Removal, Summary, TaskAttempt};

/// One application attempt, as its event log tells it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SparkRun {
    /// `App ID` of `SparkListenerApplicationStart`.
    pub application_id: Option<String>,
    /// `App Name`.
    pub application_name: Option<String>,
    /// `App Attempt ID`: set by YARN in cluster mode, where each attempt writes a log of its own.
    pub attempt_id: Option<String>,
    /// `User`.
    pub user: Option<String>,
    /// `Spark Version` of `SparkListenerLogStart`.
    pub spark_version: Option<String>,
    /// When the driver started.
    pub started_at_ms: Option<i64>,
    /// When it ended; `None` if the log has no `SparkListenerApplicationEnd`.
    pub ended_at_ms: Option<i64>,
    /// `ExitCode` of `SparkListenerApplicationEnd`, which Spark 4 and later write:
    /// <https://issues.apache.org/jira/browse/SPARK-46399>
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// The `Spark Properties` that decide how the application takes the loss of a node, and how it ends.
    pub settings: BTreeMap<String, String>,
    /// The host the driver ran on.
    pub driver_host: Option<String>,
    /// Executors, in the order in which the log first tells of them; the driver is not one.
    pub executors: Vec<Executor>,
    /// Executors and nodes that were given no more tasks for a time, in the log's order.
    #[serde(default)]
    pub exclusions: Vec<Exclusion>,
    /// Stage attempts by stage id and attempt, those that never ran included.
    pub stages: Vec<StageAttempt>,
    /// Jobs by id.
    pub jobs: Vec<Job>,
    /// Task attempts, counted.
    pub tasks: TaskCounts,
    /// Task attempts one by one, in the order of their ends: as many as [`Limits::tasks_max`](super::Limits::tasks_max)
    /// lets in. No part of the JSON.
    #[serde(skip)]
    pub task_attempts: Vec<TaskAttempt>,
    /// What the tasks of [`task_attempts`](Self::task_attempts) took before they began to run. No part of the JSON.
    #[serde(skip)]
    pub deserialization: Deserialization,
    /// How often an application begins after the first: where several applications' logs were put together. No part of the
    /// JSON.
    #[serde(skip)]
    pub further_applications: u32,
    /// The last 500 task attempts that failed, in the log's order.
    #[serde(default)]
    pub failed_tasks: Vec<FailedTask>,
    /// Task time that losses of executors cost.
    pub lost_work: LostWork,
    /// SQL executions by id.
    pub sql_executions: Vec<SqlExecution>,
    /// Steps of the number of executors alive: from this time on, so many. Those added at an unknown time do not count.
    pub executors_over_time: Vec<(i64, u32)>,
    /// Counts that can be compared one by one with the History Server's REST API.
    pub summary: Summary,
    /// How the reading went: what was read, and what could not be.
    pub reading: Reading,
}

/// The time in which executors unpacked tasks, and loaded what they need for it: nearly all of it is the first task's of each
/// executor and stage. Where its time is much longer than its CPU's, executors had to share CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deserialization {
    /// `Executor Deserialize Time`, ms.
    pub time_ms: u64,
    /// `Executor Deserialize CPU Time`, in microseconds here; Spark has it since 2.1.
    pub cpu_us: u64,
}

/// One executor. Re-added under its old id, it begins anew, as in the History Server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Executor {
    /// Spark's id: a number as text.
    pub id: String,
    /// The host it ran on, as Spark names it; see [`same_host`](super::same_host).
    pub host: String,
    /// Task slots (`Total Cores`).
    pub cores: i64,
    /// When it registered; `None` if no line of the log says so, and only its tasks or its removal tell of it: the log is
    /// not whole, or it was removed before it had come.
    pub added_at_ms: Option<i64>,
    /// When it was first reported removed; later reports do not change it.
    pub removed_at_ms: Option<i64>,
    /// Why it was removed, in Spark's words.
    pub removed_reason: Option<String>,
    /// What those words mean.
    pub removal: Option<Removal>,
    /// Attempts that succeeded on it.
    pub tasks_successful: u64,
    /// Attempts that failed on it.
    pub tasks_failed: u64,
    /// Attempts that were killed on it.
    pub tasks_killed: u64,
    /// Attempts that had succeeded on it and whose output was lost with it while their stage ran.
    pub tasks_resubmitted: u64,
}

/// Where a stage attempt stands, in the words of
/// <https://github.com/apache/spark/blob/v3.5.5/core/src/main/java/org/apache/spark/status/api/v1/StageStatus.java>.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StageStatus {
    /// Submitted, not completed.
    Active,
    /// Completed without a failure reason.
    Complete,
    /// Completed with a failure reason.
    Failed,
    /// Part of a running job, not submitted.
    #[default]
    Pending,
    /// Part of a job that ended without it: its output was there already, or the job failed before.
    Skipped,
}

impl StageStatus {
    /// The word the REST API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Complete => "COMPLETE",
            Self::Failed => "FAILED",
            Self::Pending => "PENDING",
            Self::Skipped => "SKIPPED",
        }
    }
}

/// One attempt of a stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageAttempt {
    /// Stage id.
    pub stage_id: i64,
    /// Attempt, from 0.
    pub attempt: i64,
    /// Name: the call site.
    pub name: String,
    /// Tasks of this attempt (`Number of Tasks`): a retry has those that were missing.
    pub tasks: i64,
    /// When it was submitted.
    pub submitted_at_ms: Option<i64>,
    /// When it completed or failed.
    pub completed_at_ms: Option<i64>,
    /// Where it stands at the end of the log.
    pub status: StageStatus,
    /// Why it failed, in Spark's words.
    pub failure_reason: Option<String>,
    /// Where the first fetch that failed in it was to come from.
    pub fetch_failed_from: Option<FetchFailure>,
    /// Attempts of tasks that succeeded.
    pub tasks_successful: u64,
    /// Attempts of tasks that failed. Spark's `numFailedTasks` is this plus `tasks_resubmitted`.
    pub tasks_failed: u64,
    /// Attempts of tasks that were killed.
    pub tasks_killed: u64,
    /// Tasks that had succeeded and were lost with their executor while this attempt ran.
    pub tasks_resubmitted: u64,
    /// Attempts of tasks that were started as a speculative copy.
    #[serde(default)]
    pub tasks_speculative: u64,
    /// Of these, the ones that succeeded.
    #[serde(default)]
    pub tasks_speculative_successful: u64,
    /// Time of all its task attempts that ended, ms.
    pub task_time_ms: u64,
    /// Time of its longest task attempt that succeeded, ms.
    #[serde(default)]
    pub longest_task_ms: u64,
    /// The RDD it computes: the same for all stages that compute it, whatever their ids.
    #[serde(default)]
    pub rdd_id: Option<i64>,
    /// Stages whose shuffle output it reads.
    #[serde(default)]
    pub parent_ids: Vec<i64>,
}

/// The shuffle output that could not be fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchFailure {
    /// Host of the block manager that should have served it.
    pub host: String,
    /// The executor that had written it.
    pub executor_id: String,
}

/// One job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Job id.
    pub job_id: i64,
    /// What the application says of it (`spark.job.description`).
    pub description: Option<String>,
    /// When it was submitted.
    pub submitted_at_ms: Option<i64>,
    /// When it ended; `None` while it runs.
    pub completed_at_ms: Option<i64>,
    /// Whether it succeeded; `None` while it runs.
    pub succeeded: Option<bool>,
    /// The exception's message, if it failed.
    pub failure: Option<String>,
    /// Whether it counts as failed only because Spark was told to cancel it: alone, or with its group, its tag, its stage
    /// or all jobs. That the context was shut down under it does not count as such.
    #[serde(default)]
    pub cancelled: bool,
    /// Its stages.
    pub stage_ids: Vec<i64>,
    /// The SQL execution it is part of.
    pub sql_execution_id: Option<i64>,
}

/// Task attempts by their end, whatever stage they belong to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Attempts that succeeded.
    pub successful: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts that were killed: their stage was over, or another copy was faster.
    pub killed: u64,
    /// Attempts still running where the log ends.
    pub running: u64,
    /// Attempts that were started as a speculative copy.
    pub speculative: u64,
    /// Attempts that had succeeded and whose output was then lost with its executor (a second `TaskEnd`, `Resubmitted`).
    pub resubmitted: u64,
    /// Failed attempts by Spark's `Reason`.
    pub failed_by_reason: BTreeMap<String, u64>,
}

/// Task time that was lost with executors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LostWork {
    /// Attempts that failed because an executor was lost: `ExecutorLostFailure`, `FetchFailed`, `TaskResultLost`.
    pub failed_attempts: u64,
    /// Their task time, ms.
    pub failed_attempts_ms: u64,
    /// Finished tasks whose output was lost and computed again.
    pub recomputed_tasks: u64,
    /// Task time of these, ms: the lost attempt's time, or the repeat's where the repeat ran under another stage id.
    pub recomputed_ms: u64,
    /// Of `recomputed_tasks`, those repeated under another stage id, with no failed task to show for it.
    pub recomputed_under_another_stage_id_tasks: u64,
    /// Of `recomputed_ms`, the time of those, ms.
    pub recomputed_under_another_stage_id_ms: u64,
    /// Finished tasks whose output was lost while their stage ran, and that did not succeed again: their job ended
    /// before, or the log does.
    #[serde(default)]
    pub never_recomputed_tasks: u64,
    /// Task time of these, ms.
    #[serde(default)]
    pub never_recomputed_ms: u64,
    /// Time of all task attempts that ended, ms.
    pub total_task_time_ms: u64,
}

impl LostWork {
    /// All task time that was lost, ms: of attempts that failed, and of finished tasks whose output went, whether they
    /// were computed again or not.
    pub fn lost_ms(&self) -> u64 {
        let finished_ms = self.recomputed_ms.saturating_add(self.never_recomputed_ms);
        self.failed_attempts_ms.saturating_add(finished_ms)
    }
}

/// One SQL execution.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SqlExecution {
    /// Execution id.
    pub id: i64,
    /// Its description: the call site or the query.
    pub description: String,
    /// When it started.
    pub started_at_ms: Option<i64>,
    /// When it ended; `None` if the log does not say.
    pub ended_at_ms: Option<i64>,
    /// Its error, if it failed.
    pub error: Option<String>,
    /// Its jobs.
    pub job_ids: Vec<i64>,
    /// Whether the loss of an executor touched one of its stages: tasks lost, fetches failed, or work done again.
    pub touched: bool,
}

/// How the reading went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Files read.
    pub files: u64,
    /// Bytes read, as stored.
    pub bytes_read: u64,
    /// Bytes after decoding.
    pub bytes_decoded: u64,
    /// Lines, empty ones aside.
    pub lines: u64,
    /// Lines whose event was used.
    pub lines_parsed: u64,
    /// Lines passed over because nothing here needs their event, by its name. They are not missing from the outcome.
    pub passed_over: BTreeMap<String, u64>,
    /// What could not be read, in words, and how often.
    pub skipped: BTreeMap<String, u64>,
    /// Whether the log was read from application start to application end with nothing skipped. Where it was not,
    /// `skipped`, `in_progress` or `compacted` says why.
    pub complete: bool,
    /// Whether the log has no application end: the application died, or still ran when the log was taken.
    pub in_progress: bool,
    /// Whether the History Server compacted the log: finished jobs and dead executors are gone from it.
    pub compacted: bool,
}

impl Reading {
    /// Counts something that could not be read.
    pub(super) fn skip(&mut self, what: &str) {
        self.skip_many(what, 1);
    }

    /// Counts several things that could not be read.
    pub(super) fn skip_many(&mut self, what: &str, count: u64) {
        match self.skipped.get_mut(what) {
            Some(counted) => *counted += count,
            None if count > 0 => drop(self.skipped.insert(what.to_owned(), count)),
            None => (),
        }
    }

    /// Counts a line that nothing here needs; names of 256 bytes or more, and those beyond the first 200, are counted
    /// together.
    pub(super) fn pass_over(&mut self, event: &str) {
        const NAMES_MAX: usize = 200;
        if let Some(counted) = self.passed_over.get_mut(event) {
            *counted += 1;
            return;
        }
        let name = if self.passed_over.len() < NAMES_MAX && event.len() < 256 {
            event
        } else {
            "others"
        };
        *self.passed_over.entry(name.to_owned()).or_default() += 1;
    }
}
