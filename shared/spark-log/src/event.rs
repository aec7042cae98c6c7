//! Events as serde types: the fields that are needed, and no others, so that all the rest is skipped unread.
//!
//! Separate because this is the log's format, as `JsonProtocol` writes it in Spark 3.4 to 4.x:
//! <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/util/JsonProtocol.scala>
//! and, for SQL, <https://github.com/apache/spark/blob/v3.5.5/sql/core/src/main/scala/org/apache/spark/sql/execution/ui/SQLListener.scala>

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::task_line::{TaskEnd, TaskEvent, TaskFailure};

/// Any JSON object, for the event's name alone.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    #[serde(rename = "Event")]
    pub(super) event: Option<String>,
}

/// `SparkListenerLogStart`.
#[derive(Debug, Deserialize)]
pub(super) struct LogStart {
    #[serde(rename = "Spark Version")]
    pub(super) spark_version: String,
}

/// `DBCEventLoggingListenerMetadata`, which Databricks writes first, in each of the files of a log.
#[derive(Debug, Deserialize)]
pub(super) struct DatabricksStart {
    #[serde(rename = "Spark Version")]
    pub(super) spark_version: Option<String>,
}

/// `SparkListenerApplicationStart`.
#[derive(Debug, Deserialize)]
pub(super) struct ApplicationStart {
    #[serde(rename = "App Name")]
    pub(super) name: String,
    #[serde(rename = "App ID")]
    pub(super) id: Option<String>,
    #[serde(rename = "Timestamp")]
    pub(super) timestamp: i64,
    #[serde(rename = "User")]
    pub(super) user: Option<String>,
    #[serde(rename = "App Attempt ID")]
    pub(super) attempt_id: Option<String>,
}

/// `SparkListenerApplicationEnd`.
#[derive(Debug, Deserialize)]
pub(super) struct ApplicationEnd {
    #[serde(rename = "Timestamp")]
    pub(super) timestamp: i64,
    /// Since Spark 4: <https://issues.apache.org/jira/browse/SPARK-46399>
    #[serde(rename = "ExitCode")]
    pub(super) exit_code: Option<i32>,
}

/// `SparkListenerEnvironmentUpdate`.
#[derive(Debug, Deserialize)]
pub(super) struct EnvironmentUpdate {
    #[serde(rename = "Spark Properties", default)]
    pub(super) spark_properties: BTreeMap<String, Option<String>>,
}

/// `SparkListenerExecutorAdded`.
#[derive(Debug, Deserialize)]
pub(super) struct ExecutorAdded {
    #[serde(rename = "Timestamp")]
    pub(super) timestamp: i64,
    #[serde(rename = "Executor ID")]
    pub(super) executor_id: String,
    #[serde(rename = "Executor Info")]
    pub(super) info: ExecutorInfo,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExecutorInfo {
    #[serde(rename = "Host")]
    pub(super) host: String,
    #[serde(rename = "Total Cores")]
    pub(super) cores: i64,
}

/// `SparkListenerExecutorRemoved`.
#[derive(Debug, Deserialize)]
pub(super) struct ExecutorRemoved {
    #[serde(rename = "Timestamp")]
    pub(super) timestamp: i64,
    #[serde(rename = "Executor ID")]
    pub(super) executor_id: String,
    #[serde(rename = "Removed Reason")]
    pub(super) reason: Option<String>,
}

/// `SparkListenerBlockManagerAdded`.
#[derive(Debug, Deserialize)]
pub(super) struct BlockManagerAdded {
    #[serde(rename = "Block Manager ID")]
    pub(super) id: BlockManagerId,
    #[serde(rename = "Timestamp")]
    pub(super) timestamp: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct BlockManagerId {
    #[serde(rename = "Executor ID")]
    pub(super) executor_id: String,
    #[serde(rename = "Host")]
    pub(super) host: String,
}

/// `SparkListenerJobStart`.
#[derive(Debug, Deserialize)]
pub(super) struct JobStart {
    #[serde(rename = "Job ID")]
    pub(super) job_id: i64,
    #[serde(rename = "Submission Time")]
    pub(super) submission_time: Option<i64>,
    #[serde(rename = "Stage Infos", default)]
    pub(super) stage_infos: Vec<StageInfo>,
    #[serde(rename = "Stage IDs", default)]
    pub(super) stage_ids: Vec<i64>,
    #[serde(rename = "Properties")]
    pub(super) properties: Option<JobProperties>,
}

#[derive(Debug, Deserialize)]
pub(super) struct JobProperties {
    #[serde(rename = "spark.job.description")]
    pub(super) description: Option<String>,
    #[serde(rename = "spark.sql.execution.id")]
    pub(super) sql_execution_id: Option<String>,
}

/// `SparkListenerJobEnd`.
#[derive(Debug, Deserialize)]
pub(super) struct JobEnd {
    #[serde(rename = "Job ID")]
    pub(super) job_id: i64,
    #[serde(rename = "Completion Time")]
    pub(super) completion_time: Option<i64>,
    #[serde(rename = "Job Result")]
    pub(super) result: JobResult,
}

#[derive(Debug, Deserialize)]
pub(super) struct JobResult {
    #[serde(rename = "Result")]
    pub(super) result: String,
    #[serde(rename = "Exception")]
    pub(super) exception: Option<JobException>,
}

#[derive(Debug, Deserialize)]
pub(super) struct JobException {
    #[serde(rename = "Message")]
    pub(super) message: Option<String>,
}

/// `SparkListenerStageSubmitted` and `SparkListenerStageCompleted`.
#[derive(Debug, Deserialize)]
pub(super) struct StageEvent {
    #[serde(rename = "Stage Info")]
    pub(super) info: StageInfo,
}

#[derive(Debug, Deserialize)]
pub(super) struct StageInfo {
    #[serde(rename = "Stage ID")]
    pub(super) stage_id: i64,
    #[serde(rename = "Stage Attempt ID", default)]
    pub(super) attempt: i64,
    #[serde(rename = "Stage Name", default)]
    pub(super) name: String,
    #[serde(rename = "Number of Tasks")]
    pub(super) tasks: i64,
    /// The first of `RDD Info` is the stage's own: the same for all stages that compute it, whatever their ids.
    #[serde(rename = "RDD Info", default, deserialize_with = "first_id")]
    pub(super) rdd_id: Option<i64>,
    #[serde(rename = "Parent IDs", default)]
    pub(super) parent_ids: Vec<i64>,
    #[serde(rename = "Submission Time")]
    pub(super) submission_time: Option<i64>,
    #[serde(rename = "Completion Time")]
    pub(super) completion_time: Option<i64>,
    #[serde(rename = "Failure Reason")]
    pub(super) failure_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RddInfo {
    #[serde(rename = "RDD ID")]
    id: i64,
}

/// The id of the first RDD of a list that can be long.
fn first_id<'de, D: Deserializer<'de>>(list: D) -> Result<Option<i64>, D::Error> {
    struct First;
    impl<'de> Visitor<'de> for First {
        type Value = Option<i64>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of RDDs")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let first = list.next_element::<RddInfo>()?.map(|info| info.id);
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(first)
        }
    }
    list.deserialize_seq(First)
}

/// `SparkListenerSQLExecutionStart`.
#[derive(Debug, Deserialize)]
pub(super) struct SqlExecutionStart {
    #[serde(rename = "executionId")]
    pub(super) id: i64,
    #[serde(default)]
    pub(super) description: Option<String>,
    pub(super) time: Option<i64>,
}

/// `SparkListenerSQLExecutionEnd`.
#[derive(Debug, Deserialize)]
pub(super) struct SqlExecutionEnd {
    #[serde(rename = "executionId")]
    pub(super) id: i64,
    pub(super) time: Option<i64>,
    #[serde(rename = "errorMessage")]
    pub(super) error: Option<String>,
}

/// `SparkListenerTaskStart` and `SparkListenerTaskEnd`, where [`task_line`](super::task_line) does not do.
#[derive(Debug, Deserialize)]
pub(super) struct TaskEventJson {
    #[serde(rename = "Stage ID")]
    stage_id: i64,
    #[serde(rename = "Stage Attempt ID", default)]
    stage_attempt: i64,
    #[serde(rename = "Task End Reason")]
    reason: Option<TaskEndReason>,
    #[serde(rename = "Task Info")]
    info: TaskInfo,
}

#[derive(Debug, Deserialize)]
struct TaskInfo {
    #[serde(rename = "Task ID")]
    task_id: i64,
    #[serde(rename = "Index")]
    index: i64,
    #[serde(rename = "Attempt", default)]
    attempt: i64,
    #[serde(rename = "Partition ID")]
    partition: Option<i64>,
    #[serde(rename = "Launch Time")]
    launched_at_ms: i64,
    #[serde(rename = "Executor ID")]
    executor_id: String,
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "Speculative", default)]
    is_speculative: bool,
    #[serde(rename = "Finish Time", default)]
    finished_at_ms: i64,
    #[serde(rename = "Failed", default)]
    is_failed: bool,
    #[serde(rename = "Killed", default)]
    is_killed: bool,
}

#[derive(Debug, Deserialize)]
struct TaskEndReason {
    #[serde(rename = "Reason")]
    reason: String,
    #[serde(rename = "Block Manager Address")]
    address: Option<BlockManagerId>,
    #[serde(rename = "Full Stack Trace")]
    stack_trace: Option<String>,
    #[serde(rename = "Class Name")]
    class_name: Option<String>,
    #[serde(rename = "Kill Reason")]
    kill_reason: Option<String>,
    #[serde(rename = "Description")]
    description: Option<String>,
    /// `FetchFailed`.
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(rename = "Loss Reason")]
    loss_reason: Option<String>,
    #[serde(rename = "Exit Caused By App")]
    exit_caused_by_app: Option<bool>,
}

impl TaskEndReason {
    /// What is said beside the reason's name, or in its place where the log holds nothing but the name.
    fn words(&self) -> &str {
        let said = match self.reason.as_str() {
            "ExceptionFailure" => self.description.as_deref(),
            "FetchFailed" => self.message.as_deref(),
            "ExecutorLostFailure" => self.loss_reason.as_deref(),
            "TaskResultLost" => Some("result lost from block manager"),
            "TaskCommitDenied" => Some("Driver denied task commit"),
            _ => None,
        };
        said.unwrap_or_default()
    }

    /// What `toErrorString` starts with: the reason's own name, but for a user's exception and for a killed task.
    /// <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/TaskEndReason.scala>
    fn message(&self) -> &str {
        match self.reason.as_str() {
            "Success" => "",
            "ExceptionFailure" => self
                .stack_trace
                .as_deref()
                .or(self.class_name.as_deref())
                .unwrap_or("ExceptionFailure"),
            "TaskKilled" => self.kill_reason.as_deref().unwrap_or("TaskKilled"),
            reason => reason,
        }
    }
}

impl TaskEventJson {
    /// The same as the hand-written parser gives.
    pub(super) fn as_task_event(&self) -> TaskEvent<'_> {
        let info = &self.info;
        TaskEvent {
            stage_id: self.stage_id,
            stage_attempt: self.stage_attempt,
            end: self.reason.as_ref().map(|reason| TaskEnd {
                reason: &reason.reason,
                message: reason.message(),
                fetch_from: reason
                    .address
                    .as_ref()
                    .map(|from| (from.host.as_str(), from.executor_id.as_str())),
                failure: (!matches!(reason.reason.as_str(), "Success" | "Resubmitted")).then(|| TaskFailure {
                    index: info.index,
                    attempt: info.attempt,
                    class_name: reason.class_name.as_deref(),
                    words: reason.words(),
                    exit_caused_by_app: reason.exit_caused_by_app,
                }),
            }),
            task_id: info.task_id,
            partition: info.partition.filter(|partition| *partition >= 0).unwrap_or(info.index),
            launched_at_ms: info.launched_at_ms,
            finished_at_ms: info.finished_at_ms,
            executor_id: &info.executor_id,
            host: &info.host,
            is_speculative: info.is_speculative,
            is_failed: info.is_failed,
            is_killed: info.is_killed,
        }
    }
}
