//! What really happened in an application, kept apart from its event log.
//!
//! Separate because tests hold against it what Spark's History Server, and the event log reader, say of the log.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::Time;

/// How a stage attempt ended; the words are those of Spark's REST interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StageStatus {
    /// It runs, or ran when its driver died.
    Active,
    /// All its partitions were computed.
    Complete,
    /// A fetch failed, or the job was aborted.
    Failed,
}

/// Task attempts by their end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TaskCounts {
    /// Ended well.
    pub successful: u32,
    /// Failed: their node went, a fetch failed, or the code threw.
    pub failed: u32,
    /// Ended well, and were put back into the queue since their output went while the stage ran.
    pub resubmitted: u32,
    /// Killed by the driver.
    pub killed: u32,
}

/// One attempt of one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageAttemptTruth {
    /// Index into the workload's stages, and Spark's stage id.
    pub stage: usize,
    /// 0 for the first.
    pub attempt: u32,
    /// Partitions it had to compute.
    pub partitions: u32,
    /// When it was submitted.
    pub submitted_at: Time,
    /// When it ended.
    pub completed_at: Option<Time>,
    /// How it ended.
    pub status: StageStatus,
    /// Why it failed, the first line.
    pub failure_reason: Option<String>,
    /// Its tasks.
    pub tasks: TaskCounts,
}

/// One executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExecutorTruth {
    /// Spark's number, from 1.
    pub id: u32,
    /// The EC2 instance it runs on.
    pub instance_id: String,
    /// That instance's private DNS name.
    pub host: String,
    /// When it registered with the driver.
    pub added_at: Time,
    /// When the driver lost it or gave it back; none for those that lived as long as the application.
    pub removed_at: Option<Time>,
    /// Why, in Spark's words.
    pub reason: Option<String>,
    /// Whether it went with its node, and not because the driver or the executor itself was done with it.
    pub lost: bool,
    /// Its task attempts.
    pub tasks: TaskCounts,
}

/// A node that went while an attempt ran, and what of the attempt was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LossTruth {
    /// The instance.
    pub instance_id: String,
    /// When it went.
    pub at: Time,
    /// Its executors that had registered.
    pub executors: u32,
    /// Its containers in which an executor was to start.
    pub starting: u32,
    /// Whether it held shuffle output that was still to be read.
    pub shuffle_needed: bool,
}

/// One attempt of an application: one driver's life.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttemptTruth {
    /// From 1.
    pub attempt: u32,
    /// When its driver's container was placed.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// The instance that the driver runs on; none in client mode, where it runs on the primary node.
    pub driver_instance: Option<String>,
    /// Whether the driver went with its node.
    pub driver_lost: bool,
    /// All executors that registered.
    pub executors: Vec<ExecutorTruth>,
    /// The nodes that went meanwhile, but for the driver's own.
    pub losses: Vec<LossTruth>,
    /// All stage attempts in the order of their submission.
    pub stage_attempts: Vec<StageAttemptTruth>,
    /// All task attempts.
    pub tasks: TaskCounts,
    /// Failed task attempts by Spark's name of the reason.
    pub failures_by_reason: BTreeMap<String, u32>,
    /// Run time of failed and killed task attempts.
    pub failed_task_ms: i64,
    /// Run time of successful task attempts whose partition was computed again later.
    pub repeated_task_ms: i64,
    /// Task time thrown away: the two above.
    pub lost_task_ms: i64,
    /// Whether the job ended well; none if it did not end.
    pub job_succeeded: Option<bool>,
    /// The key under which the event log became visible, if it did: an S3 URI.
    pub event_log: Option<String>,
}

/// One application.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApplicationTruth {
    /// `application_…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When YARN accepted it.
    pub submitted_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// How it ended, in YARN's words: `SUCCEEDED`, `FAILED`, `KILLED`; none while it is not over.
    pub final_status: Option<String>,
    /// Its attempts.
    pub attempts: Vec<AttemptTruth>,
}

impl ApplicationTruth {
    /// The attempt that counts: the last one.
    pub fn last_attempt(&self) -> Option<&AttemptTruth> {
        self.attempts.last()
    }

    /// Instances that hosted a driver, in the order of the attempts.
    pub fn driver_instances(&self) -> impl Iterator<Item = &str> {
        self.attempts
            .iter()
            .filter_map(|attempt| attempt.driver_instance.as_deref())
    }
}

impl AttemptTruth {
    /// Executors that went with their node.
    pub fn lost_executors(&self) -> impl Iterator<Item = &ExecutorTruth> {
        self.executors.iter().filter(|executor| executor.lost)
    }
}
