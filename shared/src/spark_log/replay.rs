//! The events of a log applied one by one.
//!
//! Separate because here lines become facts: which events matter, and what becomes of a line that cannot be read.

use std::collections::BTreeMap;
use std::io::Read;

use serde::de::DeserializeOwned;

use super::event::{self, TaskEventJson};
use super::executors::Executors;
use super::lines::{Lines, LongLine, TakesLines};
use super::source::Blocks;
use super::stages::{Stages, TaskStatus, is_loss};
use super::task_line::{self, TaskEvent};
use super::{Job, Limits, SparkRun, SqlExecution, Summary};

/// The start of every line that Spark writes: the event's name is its first field.
const NAME_PREFIX: &[u8] = br#"{"Event":""#;

/// The start of the names of the SQL events that matter.
const SQL_PREFIX: &str = "org.apache.spark.sql.execution.ui.";

/// `Spark Properties` that are kept: they decide how the application takes the loss of a node, or how it logs.
/// <https://spark.apache.org/docs/3.5.5/configuration.html>
const SETTINGS: [&str; 32] = [
    "spark.blacklist.",
    "spark.checkpoint.",
    "spark.decommission",
    "spark.driver.host",
    "spark.dynamicAllocation.",
    "spark.eventLog.",
    "spark.excludeOnFailure.",
    "spark.executor.cores",
    "spark.executor.decommission.",
    "spark.executor.failuresValidityInterval",
    "spark.executor.heartbeatInterval",
    "spark.executor.instances",
    "spark.executor.maxNumFailures",
    "spark.executor.memory",
    "spark.files.fetchFailure.",
    "spark.master",
    "spark.network.timeout",
    "spark.resourceManager.",
    "spark.scheduler.excludeOnFailure.",
    "spark.shuffle.io.",
    "spark.shuffle.service.",
    "spark.speculation",
    "spark.sql.adaptive.enabled",
    "spark.sql.streaming.checkpoint",
    "spark.stage.",
    "spark.storage.decommission.",
    "spark.submit.deployMode",
    "spark.task.maxFailures",
    "spark.yarn.am.",
    "spark.yarn.executor.",
    "spark.yarn.max",
    "spark.yarn.submit.waitAppCompletion",
];

/// Reads all blocks to the end.
pub(super) fn replay(blocks: &mut dyn Blocks, limits: &Limits, progress: &dyn Fn(u64)) -> SparkRun {
    let mut replay = Replay {
        run: SparkRun::default(),
        executors: Executors::default(),
        stages: Stages::default(),
        jobs: BTreeMap::new(),
        sql_executions: BTreeMap::new(),
        running: BTreeMap::new(),
        progress,
    };
    Lines::new(blocks, limits).hand_to(&mut replay);
    replay.finish(blocks)
}

/// Words of the log that come out: as they are, but within reason.
pub(super) fn words(mut words: String) -> String {
    const BYTES_MAX: usize = 64 << 10;
    words.truncate(words.floor_char_boundary(BYTES_MAX));
    words.shrink_to_fit();
    words
}

/// Why a line was not used.
enum Unread {
    /// Nothing here needs its event.
    Unneeded,
    /// It is not JSON, or not the JSON expected.
    Broken(serde_json::Error),
}

/// A line to be parsed.
enum Text<'t> {
    /// In memory.
    Held(&'t [u8]),
    /// Too long for that.
    Streamed(&'t mut dyn Read),
}

impl Text<'_> {
    fn parse<T: DeserializeOwned>(&mut self) -> Result<T, Unread> {
        match self {
            Self::Held(line) => serde_json::from_slice(line),
            Self::Streamed(stream) => serde_json::from_reader(stream),
        }
        .map_err(Unread::Broken)
    }
}

/// What is known so far.
struct Replay<'p> {
    run: SparkRun,
    executors: Executors,
    stages: Stages,
    jobs: BTreeMap<i64, Job>,
    sql_executions: BTreeMap<i64, SqlExecution>,
    /// Task attempts that have started and not ended, with stage and attempt.
    running: BTreeMap<i64, (i64, i64)>,
    progress: &'p dyn Fn(u64),
}

impl TakesLines for Replay<'_> {
    fn line(&mut self, line: &[u8], is_torn: bool) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return;
        }
        self.run.reading.lines += 1;
        // The end of a torn line is unknown, so only a full parse tells whether it is whole; of the others the end is.
        if is_torn {
            if serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err() {
                self.run.reading.skip("lines cut short");
                return;
            }
        } else if line.last() == Some(&b'}')
            && let Some(task) = task_line::parse(line)
        {
            self.run.reading.lines_parsed += 1;
            self.apply_task(&task);
            return;
        }
        let outcome = self.apply(name(line), &mut Text::Held(line));
        self.count(name(line), outcome, Some(line));
    }

    fn long_line(&mut self, head: &[u8], stream: &mut LongLine<'_, '_>) {
        self.run.reading.lines += 1;
        if let Some(task) = task_line::parse(head) {
            if stream.finish() {
                self.run.reading.lines_parsed += 1;
                self.apply_task(&task);
            } else {
                self.run.reading.skip("lines cut short");
            }
            return;
        }
        let outcome = self.apply(name(head), &mut Text::Streamed(stream));
        self.count(name(head), outcome, None);
    }

    fn read_so_far(&mut self, bytes_read: u64) {
        (self.progress)(bytes_read);
    }
}

/// The event's name, if the line starts as Spark writes it.
fn name(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(NAME_PREFIX)?;
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()
}

impl Replay<'_> {
    /// Counts what became of a line. Invalid UTF-8 gets a second try, with replacement characters.
    fn count(&mut self, name: Option<&str>, outcome: Result<(), Unread>, line: Option<&[u8]>) {
        match outcome {
            Ok(()) => self.run.reading.lines_parsed += 1,
            Err(Unread::Unneeded) => match line {
                Some(line) if line.last() != Some(&b'}') => self.run.reading.skip("lines that are not JSON objects"),
                _ => self.run.reading.pass_over(name.unwrap_or("events without a name")),
            },
            Err(Unread::Broken(error)) => {
                if let Some(Err(_)) = line.map(std::str::from_utf8) {
                    let replaced = String::from_utf8_lossy(line.unwrap_or_default());
                    let outcome = self.apply(name, &mut Text::Held(replaced.as_bytes()));
                    if outcome.is_ok() {
                        self.run
                            .reading
                            .skip("bytes that are not UTF-8, in lines used all the same");
                    }
                    self.count(name, outcome, None);
                } else if error.is_data() {
                    self.run.reading.skip("events without the fields expected");
                } else {
                    self.run.reading.skip("lines that are not JSON objects");
                }
            }
        }
    }

    /// Applies an event other than a task's in the usual form.
    fn apply(&mut self, name: Option<&str>, text: &mut Text<'_>) -> Result<(), Unread> {
        let Some(name) = name else {
            return self.apply_in_another_form(text);
        };
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
            "SparkListenerExecutorRemoved" => self.executors.remove(text.parse()?),
            "SparkListenerBlockManagerAdded" => self.add_block_manager(text.parse()?),
            "SparkListenerEnvironmentUpdate" => self.keep_settings(text.parse()?),
            "SparkListenerLogStart" => {
                self.run.spark_version = Some(text.parse::<event::LogStart>()?.spark_version);
            }
            "SparkListenerApplicationStart" => self.start_application(text.parse()?),
            "SparkListenerApplicationEnd" => {
                self.run.ended_at_ms = Some(text.parse::<event::ApplicationEnd>()?.timestamp);
            }
            _ => match name.strip_prefix(SQL_PREFIX) {
                Some("SparkListenerSQLExecutionStart") => self.start_sql(text.parse()?),
                Some("SparkListenerSQLExecutionEnd") => self.end_sql(text.parse()?),
                _ => return Err(Unread::Unneeded),
            },
        }
        Ok(())
    }

    /// A line that does not start with its event's name as Spark writes it: white space, or another order of fields.
    fn apply_in_another_form(&mut self, text: &mut Text<'_>) -> Result<(), Unread> {
        let Text::Held(line) = text else {
            // Its name may be anywhere in the stream, which can be read only once.
            return Err(Unread::Broken(serde::de::Error::custom(
                "a long line without a name at its start",
            )));
        };
        let named: event::Named = serde_json::from_slice(line).map_err(Unread::Broken)?;
        self.apply(Some(&named.event), text)
    }

    fn apply_task(&mut self, task: &TaskEvent<'_>) {
        let Some(end) = &task.end else {
            self.run.tasks.speculative += u64::from(task.is_speculative);
            self.running.insert(task.task_id, (task.stage_id, task.stage_attempt));
            self.stages.start_task(task);
            return;
        };
        let was_running = self.running.remove(&task.task_id).is_some();
        self.stages.end_task(task, end, was_running);
        let (counts, lost) = (&mut self.run.tasks, &mut self.run.lost_work);
        let executor = self.executors.get_mut(task.executor_id);
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
                if is_loss(end.reason) {
                    self.executors.any_lost = true;
                    lost.failed_attempts += 1;
                    lost.failed_attempts_ms += duration_ms;
                }
            }
        }
    }

    fn start_application(&mut self, event: event::ApplicationStart) {
        self.run.application_name = Some(words(event.name));
        self.run.application_id = event.id;
        self.run.attempt_id = event.attempt_id;
        self.run.user = event.user;
        self.run.started_at_ms = Some(event.timestamp);
    }

    fn keep_settings(&mut self, event: event::EnvironmentUpdate) {
        for (key, value) in event.spark_properties {
            if SETTINGS.iter().any(|prefix| key.starts_with(prefix))
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

    fn finish(mut self, blocks: &mut dyn Blocks) -> SparkRun {
        let mut run = self.run;
        run.tasks.running = self.running.len() as u64;
        for key in self.running.into_values() {
            self.stages.leave_running(key);
        }
        let repeats = self.stages.repeats();
        run.lost_work.recomputed_tasks = repeats.recomputed;
        run.lost_work.recomputed_ms = repeats.recomputed_ms;
        for stage in self.stages.reruns().filter(|stage| stage.is_after_loss) {
            run.lost_work.recomputed_under_another_stage_id_tasks += stage.attempts.successful;
            run.lost_work.recomputed_under_another_stage_id_ms += stage.attempts.successful_ms;
        }
        run.lost_work.recomputed_tasks += run.lost_work.recomputed_under_another_stage_id_tasks;
        run.lost_work.recomputed_ms += run.lost_work.recomputed_under_another_stage_id_ms;
        for execution in self.sql_executions.values_mut() {
            let mut jobs = execution.job_ids.iter().filter_map(|id| self.jobs.get(id));
            execution.touched = jobs.any(|job| job.stage_ids.iter().any(|id| self.stages.is_touched(*id)));
        }
        (run.executors, run.executors_over_time) = self.executors.finish();
        run.jobs = self.jobs.into_values().collect();
        run.sql_executions = self.sql_executions.into_values().collect();
        run.summary = Summary::count(&run.executors, &run.jobs, &self.stages, repeats);
        run.stages = self.stages.finish();

        let report = blocks.report();
        let reading = &mut run.reading;
        reading.files = report.files;
        reading.bytes_read = report.bytes_read;
        reading.bytes_decoded = report.bytes_decoded;
        reading.compacted = report.compacted;
        reading.in_progress = report.in_progress || run.ended_at_ms.is_none();
        for (what, count) in &report.skipped {
            reading.skip_many(what, *count);
        }
        reading.complete =
            run.started_at_ms.is_some() && !reading.in_progress && !reading.compacted && reading.skipped.is_empty();
        run
    }
}
