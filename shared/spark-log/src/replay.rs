//! The events of a log applied one by one.
//!
//! Separate because here lines become facts: it is the list of the events that matter, and of what each of them means.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use serde::de::DeserializeOwned;

use super::cancellation::is_cancellation;
use super::event::{self, TaskEventJson};
use super::exclusions::{Exclusions, takes_back};
use super::executors::Executors;
use super::failures::Failures;
use super::stages::{Stages, TaskStatus, is_loss};
use super::task_attempt::{deserialization, shuffle_read};
use super::task_line::TaskEvent;
use super::{Job, SparkRun, SqlExecution, Summary, TaskAttempt, settings};

/// The start of the names of the SQL events that matter.
const SQL_PREFIX: &str = "org.apache.spark.sql.execution.ui.";

/// Words of the log that come out: as they are, but within reason.
pub(super) fn words(mut words: String) -> String {
    const BYTES_MAX: usize = 64 << 10;
    words.truncate(words.floor_char_boundary(BYTES_MAX));
    words.shrink_to_fit();
    words
}

/// Why a line was not used.
pub(super) enum Unread {
    /// Nothing here needs its event.
    Unneeded,
    /// It has no name at its start, and is too long to look for one.
    Nameless,
    /// It is JSON, but no event.
    NoEvent,
    /// It is not JSON, or not the JSON expected.
    Broken(serde_json::Error),
}

/// A line to be parsed.
pub(super) enum Text<'t> {
    /// In memory.
    Held(&'t [u8]),
    /// Too long for that.
    Streamed(&'t mut dyn Read),
}

impl Text<'_> {
    fn parse<T: DeserializeOwned>(&mut self) -> Result<T, Unread> {
        match self {
            Self::Held(line) => serde_json::from_slice(line),
            Self::Streamed(stream) => serde_json::from_reader(BufReader::new(stream)),
        }
        .map_err(Unread::Broken)
    }
}

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Replay {
    run: SparkRun,
    executors: Executors,
    stages: Stages,
    jobs: BTreeMap<i64, Job>,
    sql_executions: BTreeMap<i64, SqlExecution>,
    exclusions: Exclusions,
    failures: Failures,
    /// Task attempts that have started and not ended, with stage and attempt.
    running: BTreeMap<i64, (i64, i64)>,
    /// Task attempts that may be kept one by one.
    tasks_max: usize,
}

impl Replay {
    /// Nothing yet; it is to keep so many task attempts one by one.
    pub(super) fn new(tasks_max: usize) -> Self {
        Self {
            tasks_max,
            ..Self::default()
        }
    }

    /// Applies an event; a task's in the usual form does not come here.
    pub(super) fn apply(&mut self, name: &str, text: &mut Text<'_>) -> Result<(), Unread> {
        match name {
            "SparkListenerTaskStart" | "SparkListenerTaskEnd" => {
                let task: TaskEventJson = text.parse()?;
                self.apply_task(&task.as_task_event());
            }
            "SparkListenerStageSubmitted" => {
                let event: event::StageEvent = text.parse()?;
                self.stages.submit(event.info, self.executors.any_lost);
            }
            "SparkListenerStageCompleted" => self.stages.complete(text.parse::<event::StageEvent>()?.info),
            "SparkListenerJobStart" => self.start_job(text.parse()?),
            "SparkListenerJobEnd" => self.end_job(text.parse()?),
            "SparkListenerExecutorAdded" => self.executors.add(text.parse()?),
            "SparkListenerExecutorRemoved" => {
                let is_from_start = self.run.started_at_ms.is_some();
                self.executors.remove(text.parse()?, is_from_start);
            }
            "SparkListenerBlockManagerAdded" => self.add_block_manager(text.parse()?),
            "SparkListenerEnvironmentUpdate" => self.keep_settings(text.parse()?),
            "SparkListenerLogStart" => {
                self.run.spark_version = Some(text.parse::<event::LogStart>()?.spark_version);
            }
            "SparkListenerApplicationStart" => self.start_application(text.parse()?),
            "SparkListenerApplicationEnd" => {
                let event: event::ApplicationEnd = text.parse()?;
                self.run.ended_at_ms = Some(event.timestamp);
                self.run.exit_code = event.exit_code;
            }
            _ => return self.apply_rare(name, text),
        }
        Ok(())
    }

    /// Applies an event that is not Spark core's own, or that few logs have.
    fn apply_rare(&mut self, name: &str, text: &mut Text<'_>) -> Result<(), Unread> {
        if let Some(takes_back) = takes_back(name) {
            self.exclusions.apply(text.parse()?, takes_back);
            return Ok(());
        }
        match name.strip_prefix(SQL_PREFIX).unwrap_or(name) {
            "SparkListenerSQLExecutionStart" => self.start_sql(text.parse()?),
            "SparkListenerSQLExecutionEnd" => self.end_sql(text.parse()?),
            "DBCEventLoggingListenerMetadata" => {
                let version = text.parse::<event::DatabricksStart>()?.spark_version;
                self.run.spark_version = self.run.spark_version.take().or(version);
            }
            _ => return Err(Unread::Unneeded),
        }
        Ok(())
    }

    /// Applies a line that does not start with its event's name as Spark writes it.
    pub(super) fn apply_in_another_form(&mut self, line: &[u8]) -> Result<(), Unread> {
        let named: event::Named = serde_json::from_slice(line).map_err(Unread::Broken)?;
        let event = named.event.ok_or(Unread::NoEvent)?;
        self.apply(&event, &mut Text::Held(line))
    }

    /// Applies the start or the end of a task.
    pub(super) fn apply_task(&mut self, task: &TaskEvent<'_>) {
        let Some(end) = &task.end else {
            self.run.tasks.speculative += u64::from(task.is_speculative);
            self.running.insert(task.task_id, (task.stage_id, task.stage_attempt));
            self.stages.start_task(task);
            self.executors.of_task(task);
            return;
        };
        let was_running = self.running.remove(&task.task_id).is_some();
        self.stages.end_task(task, end, was_running);
        let (counts, lost) = (&mut self.run.tasks, &mut self.run.lost_work);
        let executor = self.executors.of_task(task);
        if end.reason == "Resubmitted" {
            // The attempt succeeded, and was counted, before: this end only takes its output away.
            counts.resubmitted += 1;
            executor
                .into_iter()
                .for_each(|executor| executor.tasks_resubmitted += 1);
            return;
        }
        let duration_ms = task.duration_ms();
        lost.total_task_time_ms += duration_ms;
        if self.run.task_attempts.len() < self.tasks_max {
            self.run.task_attempts.push(TaskAttempt::of(task, end));
        }
        match task.status() {
            TaskStatus::Running => (),
            TaskStatus::Success => {
                counts.successful += 1;
                executor.into_iter().for_each(|executor| executor.tasks_successful += 1);
            }
            TaskStatus::Killed => {
                counts.killed += 1;
                executor.into_iter().for_each(|executor| executor.tasks_killed += 1);
            }
            TaskStatus::Failed => {
                counts.failed += 1;
                *counts.failed_by_reason.entry(end.reason.to_owned()).or_default() += 1;
                executor.into_iter().for_each(|executor| executor.tasks_failed += 1);
                if let Some(failure) = &end.failure {
                    self.failures.add(task, failure);
                }
                if is_loss(end.reason) {
                    self.executors.any_lost = true;
                    lost.failed_attempts += 1;
                    lost.failed_attempts_ms += duration_ms;
                }
            }
        }
    }

    /// Keeps what the line of a task's end says of its times, if that task is kept.
    pub(super) fn keep_metrics(&mut self, task: &TaskEvent<'_>, line: &[u8]) {
        let is_kept = task.end.is_some() && self.run.task_attempts.len() < self.tasks_max;
        let Some(attempt) = self.run.task_attempts.last_mut().filter(|_| is_kept) else {
            return;
        };
        if let Some((wait_ms, kib)) = shuffle_read(line) {
            (attempt.fetch_wait_ms, attempt.remote_read_kib) = (wait_ms, kib);
        }
        if let Some((time_ms, cpu_us)) = deserialization(line) {
            let all = &mut self.run.deserialization;
            all.time_ms = all.time_ms.saturating_add(time_ms);
            all.cpu_us = all.cpu_us.saturating_add(cpu_us);
        }
    }

    fn start_application(&mut self, event: event::ApplicationStart) {
        self.run.further_applications += u32::from(self.run.started_at_ms.is_some());
        self.run.application_name = Some(words(event.name));
        self.run.application_id = event.id;
        self.run.attempt_id = event.attempt_id;
        self.run.user = event.user;
        self.run.started_at_ms = Some(event.timestamp);
    }

    fn keep_settings(&mut self, event: event::EnvironmentUpdate) {
        for (key, value) in event.spark_properties {
            if settings::is_kept(&key)
                && let Some(value) = value
            {
                self.run.settings.insert(key, words(value));
            }
        }
        if self.run.driver_host.is_none() {
            self.run.driver_host = self.run.settings.get("spark.driver.host").cloned();
        }
    }

    fn add_block_manager(&mut self, event: event::BlockManagerAdded) {
        if event.id.executor_id == "driver" {
            self.run.driver_host = Some(event.id.host);
        } else {
            self.executors.add_block_manager(event);
        }
    }

    fn start_job(&mut self, event: event::JobStart) {
        let (description, sql) = event
            .properties
            .map(|p| (p.description, p.sql_execution_id))
            .unwrap_or_default();
        let sql_execution_id = sql.and_then(|id| id.parse().ok());
        if let Some(id) = sql_execution_id {
            let execution = self.sql_executions.entry(id).or_default();
            execution.id = id;
            execution.job_ids.push(event.job_id);
        }
        let job = Job {
            job_id: event.job_id,
            description: description.map(words),
            submitted_at_ms: event.submission_time.filter(|time| *time > 0),
            stage_ids: event.stage_ids,
            sql_execution_id,
            ..Job::default()
        };
        self.jobs.insert(event.job_id, job);
        for info in event.stage_infos {
            self.stages.announce(info);
        }
    }

    fn end_job(&mut self, event: event::JobEnd) {
        let Some(job) = self.jobs.get_mut(&event.job_id).filter(|job| job.succeeded.is_none()) else {
            return;
        };
        self.stages.end_job(&job.stage_ids);
        job.completed_at_ms = event.completion_time.filter(|time| *time > 0);
        job.succeeded = Some(event.result.result == "JobSucceeded");
        job.failure = event
            .result
            .exception
            .and_then(|exception| exception.message)
            .map(words);
        job.cancelled = job.succeeded == Some(false) && job.failure.as_deref().is_some_and(is_cancellation);
    }

    fn start_sql(&mut self, event: event::SqlExecutionStart) {
        let execution = self.sql_executions.entry(event.id).or_default();
        execution.id = event.id;
        execution.description = words(event.description.unwrap_or_default());
        execution.started_at_ms = event.time;
    }

    fn end_sql(&mut self, event: event::SqlExecutionEnd) {
        let execution = self.sql_executions.entry(event.id).or_default();
        execution.id = event.id;
        execution.ended_at_ms = event.time;
        execution.error = event.error.filter(|error| !error.is_empty()).map(words);
    }

    /// What came of it all.
    pub(super) fn finish(mut self) -> SparkRun {
        let mut run = self.run;
        run.tasks.running = self.running.len() as u64;
        for key in self.running.into_values() {
            self.stages.leave_running(key);
        }
        let repeats = self.stages.repeats();
        run.lost_work.recomputed_tasks = repeats.recomputed;
        run.lost_work.recomputed_ms = repeats.recomputed_ms;
        let (tasks, time_ms) = self.stages.recomputed_under_another_id();
        run.lost_work.recomputed_under_another_stage_id_tasks = tasks;
        run.lost_work.recomputed_under_another_stage_id_ms = time_ms;
        run.lost_work.recomputed_tasks += tasks;
        run.lost_work.recomputed_ms += time_ms;
        let (tasks, time_ms) = self.stages.never_recomputed();
        run.lost_work.never_recomputed_tasks = tasks;
        run.lost_work.never_recomputed_ms = time_ms;
        for execution in self.sql_executions.values_mut() {
            let mut jobs = execution.job_ids.iter().filter_map(|id| self.jobs.get(id));
            execution.touched = jobs.any(|job| job.stage_ids.iter().any(|id| self.stages.is_touched(*id)));
        }
        run.exclusions = self.exclusions.finish(|id| self.executors.host(id).map(str::to_owned));
        run.failed_tasks = self.failures.finish();
        (run.executors, run.executors_over_time) = self.executors.finish();
        run.jobs = self.jobs.into_values().collect();
        run.sql_executions = self.sql_executions.into_values().collect();
        run.summary = Summary::count(&run.executors, &run.jobs, &self.stages, repeats);
        run.stages = self.stages.finish();
        run
    }
}
