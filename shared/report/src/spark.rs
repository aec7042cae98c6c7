//! What the report says of Spark: the event log's run, joined to EC2's instances.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use rules::application::{Application, moment};
use rules::cluster::{Instance, Market};
use rules::hit::InterruptionFacts;
use spark_log::{LostWork, Reading, SparkRun, StageStatus, TaskCounts, same_host};

/// Rows kept of each table; what goes beyond is counted.
const ROWS_MAX: usize = 2_000;

/// A run of an application, in the report's terms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spark {
    /// `application_…`
    pub application_id: Option<String>,
    /// How often YARN began the application, by the number of the last attempt. What follows is of that one.
    pub attempts: usize,
    /// Earlier attempts that left no log: what they lost is in none of the numbers.
    pub attempts_without_log: usize,
    /// Spark's version.
    pub version: Option<String>,
    /// Where the log lies.
    pub event_log: String,
    /// When the application began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended. `None`: the log does not say.
    pub ended_at: Option<DateTime<Utc>>,
    /// The driver's host.
    pub driver_host: Option<String>,
    /// Did the driver sit on an interrupted instance? `None`: its host is not known.
    pub driver_was_interrupted: Option<bool>,
    /// The driver's instance, if EMR lists one of that name.
    #[serde(default)]
    pub driver_instance_id: Option<String>,
    /// How that instance was bought.
    #[serde(default)]
    pub driver_market: Option<Market>,
    /// Earlier attempts of the application whose logs were found.
    #[serde(default)]
    pub earlier: Vec<AttemptRow>,
    /// The executors.
    pub executors: Vec<ExecutorRow>,
    /// Executors that left before the application ended.
    pub executors_removed: usize,
    /// Executors that sat on interrupted instances.
    pub executors_on_interrupted: usize,
    /// Executors alive over time.
    pub executors_over_time: Vec<(DateTime<Utc>, u32)>,
    /// Stage attempts.
    pub stages: Vec<StageRow>,
    /// Stage attempts that failed.
    pub stage_attempts_failed: usize,
    /// Second and later attempts of stages.
    pub stage_attempts_again: usize,
    /// Jobs that succeeded and that failed.
    pub jobs_succeeded: usize,
    /// Jobs that failed, with Spark's words.
    pub jobs_failed: Vec<String>,
    /// Jobs that the application itself, or Spark, had cancelled: no failures.
    #[serde(default)]
    pub jobs_cancelled: usize,
    /// Task attempts.
    pub tasks: TaskCounts,
    /// Task time lost.
    pub lost_work: LostWork,
    /// The settings that bear on interruptions.
    pub settings: BTreeMap<String, String>,
    /// How well the log could be read.
    pub reading: Reading,
}

/// An earlier attempt of the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// YARN's number.
    pub attempt: Option<String>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended. `None`: its log breaks off.
    pub ended_at: Option<DateTime<Utc>>,
    /// The driver's host.
    pub driver_host: Option<String>,
    /// Did the driver sit on an interrupted instance? `None`: its host is not known.
    pub driver_was_interrupted: Option<bool>,
    /// Time of its task attempts, ms: nothing of it was left to the next attempt.
    pub task_time_ms: u64,
}

/// An executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorRow {
    /// Spark's id.
    pub id: String,
    /// Its host.
    pub host: String,
    /// The EC2 instance of that name, if it is one of the task instances.
    pub instance_id: Option<String>,
    /// Was that instance interrupted?
    pub on_interrupted: bool,
    /// When it came.
    pub added_at: Option<DateTime<Utc>>,
    /// When it left.
    pub removed_at: Option<DateTime<Utc>>,
    /// Spark's words on why.
    pub removed_reason: Option<String>,
}

/// A stage attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRow {
    /// Spark's id.
    pub stage_id: i64,
    /// 0 for the first.
    pub attempt: i64,
    /// Its name.
    pub name: String,
    /// Tasks to run.
    pub tasks: i64,
    /// When it was submitted.
    pub submitted_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Spark's word on how.
    pub status: String,
    /// Spark's words on why it failed.
    pub failure_reason: Option<String>,
    /// Time of its task attempts that ended, ms.
    #[serde(default)]
    pub task_time_ms: u64,
    /// Time of its longest task attempt that succeeded, ms.
    #[serde(default)]
    pub longest_task_ms: u64,
    /// The host from which the first fetch that failed was to come.
    #[serde(default)]
    pub fetch_failed_from: Option<String>,
}

impl Spark {
    /// Joins the last attempt's run to the cluster's instances.
    pub fn new(
        application: Application<'_>,
        run: &SparkRun,
        event_log: &str,
        instances: &[Instance],
        interrupted: &[InterruptionFacts],
    ) -> Self {
        let on_interrupted = |host: &str| {
            interrupted.iter().any(|one| {
                one.interrupted
                    .private_dns_name
                    .as_deref()
                    .is_some_and(|name| same_host(host, name))
            })
        };
        let instance = |host: &str| instances.iter().find(|one| same_host(host, &one.private_dns_name));
        let driver = run.driver_host.as_deref().and_then(instance);
        let rows: Vec<ExecutorRow> = run
            .executors
            .iter()
            .map(|executor| ExecutorRow {
                id: executor.id.clone(),
                host: executor.host.clone(),
                instance_id: instance(&executor.host).map(|one| one.instance_id.clone()),
                on_interrupted: on_interrupted(&executor.host),
                added_at: moment(executor.added_at_ms),
                removed_at: moment(executor.removed_at_ms),
                removed_reason: executor.removed_reason.clone(),
            })
            .collect();
        Self {
            application_id: run.application_id.clone(),
            attempts: application.attempts_made(),
            attempts_without_log: application.attempts_made() - application.attempts.len(),
            version: run.spark_version.clone(),
            event_log: event_log.into(),
            started_at: moment(run.started_at_ms),
            ended_at: moment(run.ended_at_ms),
            driver_host: run.driver_host.clone(),
            driver_was_interrupted: run.driver_host.as_deref().map(on_interrupted),
            driver_instance_id: driver.map(|instance| instance.instance_id.clone()),
            driver_market: driver.map(|instance| instance.market),
            earlier: earlier(application, on_interrupted),
            executors_removed: rows.iter().filter(|row| row.removed_at.is_some()).count(),
            executors_on_interrupted: rows.iter().filter(|row| row.on_interrupted).count(),
            executors: rows.into_iter().take(ROWS_MAX).collect(),
            executors_over_time: run
                .executors_over_time
                .iter()
                .filter_map(|(ms, count)| Some((moment(Some(*ms))?, *count)))
                .take(ROWS_MAX)
                .collect(),
            stage_attempts_failed: run
                .stages
                .iter()
                .filter(|stage| stage.status == StageStatus::Failed)
                .count(),
            stage_attempts_again: run.stages.iter().filter(|stage| stage.attempt > 0).count(),
            stages: run.stages.iter().take(ROWS_MAX).map(StageRow::new).collect(),
            jobs_succeeded: run.jobs.iter().filter(|job| job.succeeded == Some(true)).count(),
            jobs_failed: run
                .jobs
                .iter()
                .filter(|job| job.succeeded == Some(false) && !job.cancelled)
                .map(|job| job.failure.clone().unwrap_or_default())
                .collect(),
            jobs_cancelled: run.jobs.iter().filter(|job| job.cancelled).count(),
            tasks: run.tasks.clone(),
            lost_work: run.lost_work.clone(),
            settings: run.settings.clone(),
            reading: run.reading.clone(),
        }
    }

    /// Task time lost: in attempts that failed, in work that had to be done again, and in all that earlier attempts of the
    /// application had done.
    pub fn lost_task_ms(&self) -> u64 {
        let earlier: u64 = self.earlier.iter().map(|attempt| attempt.task_time_ms).sum();
        self.lost_work.lost_ms().saturating_add(earlier)
    }

    /// Task time of all attempts of the application whose logs were found.
    pub fn total_task_ms(&self) -> u64 {
        let earlier: u64 = self.earlier.iter().map(|attempt| attempt.task_time_ms).sum();
        self.lost_work.total_task_time_ms.saturating_add(earlier)
    }
}

/// All attempts but the last.
fn earlier(application: Application<'_>, on_interrupted: impl Fn(&str) -> bool) -> Vec<AttemptRow> {
    let Some((_, earlier)) = application.attempts.split_last() else {
        return Vec::new();
    };
    let row = |run: &SparkRun| AttemptRow {
        attempt: run.attempt_id.clone(),
        started_at: moment(run.started_at_ms),
        ended_at: moment(run.ended_at_ms),
        driver_host: run.driver_host.clone(),
        driver_was_interrupted: run.driver_host.as_deref().map(&on_interrupted),
        task_time_ms: run.lost_work.total_task_time_ms,
    };
    earlier.iter().map(row).collect()
}

impl StageRow {
    fn new(stage: &spark_log::StageAttempt) -> Self {
        Self {
            stage_id: stage.stage_id,
            attempt: stage.attempt,
            name: stage.name.clone(),
            tasks: stage.tasks,
            submitted_at: moment(stage.submitted_at_ms),
            completed_at: moment(stage.completed_at_ms),
            status: stage.status.as_str().to_owned(),
            failure_reason: stage.failure_reason.clone(),
            task_time_ms: stage.task_time_ms,
            longest_task_ms: stage.longest_task_ms,
            fetch_failed_from: stage.fetch_failed_from.as_ref().map(|from| from.host.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attempts_before_the_last_are_rows_of_their_own() {
        let attempt = |id: &str, host: &str| SparkRun {
            attempt_id: Some(id.into()),
            driver_host: Some(host.into()),
            started_at_ms: Some(1_000),
            ..SparkRun::default()
        };
        let attempts = [attempt("1", "gone"), attempt("2", "there"), attempt("3", "there")];
        let rows = earlier(Application { attempts: &attempts }, |host| host == "gone");
        let told: Vec<(Option<&str>, Option<bool>)> = rows
            .iter()
            .map(|row| (row.attempt.as_deref(), row.driver_was_interrupted))
            .collect();
        assert_eq!(told, [(Some("1"), Some(true)), (Some("2"), Some(false))]);
        assert!(earlier(Application { attempts: &[] }, |_| true).is_empty());
    }

    #[test]
    fn what_earlier_attempts_did_is_lost_and_is_part_of_all_task_time() {
        let mut spark = crate::sample::workshop().spark.unwrap();
        spark.lost_work = LostWork {
            failed_attempts_ms: 30,
            recomputed_ms: 7,
            total_task_time_ms: 1_000,
            ..LostWork::default()
        };
        assert_eq!((spark.lost_task_ms(), spark.total_task_ms()), (37, 1_000));
        let attempt = |task_time_ms| AttemptRow {
            attempt: None,
            started_at: None,
            ended_at: None,
            driver_host: None,
            driver_was_interrupted: None,
            task_time_ms,
        };
        spark.earlier = vec![attempt(200), attempt(3_000)];
        assert_eq!((spark.lost_task_ms(), spark.total_task_ms()), (3_237, 4_200));
    }
}
