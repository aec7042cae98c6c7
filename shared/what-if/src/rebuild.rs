//! A log's facts to a [`Plan`], or why it cannot be one.
//!
//! Separate because here is decided what the log means: which stages are the same shuffle, what waits for what, and which
//! of a partition's attempts counts.

use std::collections::BTreeMap;

use spark_log::{SparkRun, StageAttempt, StageStatus, TaskAttempt};
use spark_rules::{FETCH_SHARE, Rules};

use crate::executors;
use crate::plan::{Anchor, Job, Plan, Stage};

/// Why a log cannot be played again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Micro-batches follow a clock and their input, not one another.
    #[error("it is a streaming query's: when its batches begin is up to their input, which the log does not hold")]
    Streaming,
    /// Finished jobs are gone from it.
    #[error("the History Server has compacted it: finished jobs are gone from it")]
    Compacted,
    /// It does not say when the application began.
    #[error("it does not begin with the application's start")]
    NoStart,
    /// Nothing ran.
    #[error("no task of it ended well")]
    NoTasks,
    /// More than can be held.
    #[error("it has more than {0} tasks, or lasts longer than 24 days")]
    TooLarge(usize),
}

/// A moment of a run that lasts longer than this, ms, is not one of a job: 24 days.
const RUN_MS_MAX: i64 = 1 << 31;

/// How fast shuffle output is read while nothing else is done, KiB in a millisecond: an assumption, 50 MB a second.
const READ_KIB_PER_MS: u32 = 50;

/// Milliseconds that were measured, none where clocks disagree.
pub(crate) fn span(from_ms: i64, to_ms: i64) -> u32 {
    u32::try_from(to_ms.saturating_sub(from_ms).max(0)).unwrap_or(u32::MAX)
}

/// Rebuilds the run of a log that was read with its task attempts, `tasks_max` of them at most.
///
/// # Errors
/// The log does not hold what is needed.
pub fn rebuild(run: &SparkRun, tasks_max: usize) -> Result<Plan, Unfit> {
    let streams = |name: &String| name.contains("StreamingQueryListener") || name.contains("streaming.scheduler");
    if run.reading.passed_over.keys().any(streams) {
        return Err(Unfit::Streaming);
    }
    if run.reading.compacted {
        return Err(Unfit::Compacted);
    }
    let started_at_ms = run.started_at_ms.ok_or(Unfit::NoStart)?;
    if !run.task_attempts.iter().any(|task| task.succeeded) {
        return Err(Unfit::NoTasks);
    }
    let ended_at_ms = run.ended_at_ms.unwrap_or_else(|| last_moment(run, started_at_ms));
    if run.task_attempts.len() >= tasks_max || ended_at_ms - started_at_ms >= RUN_MS_MAX {
        return Err(Unfit::TooLarge(tasks_max));
    }
    let course = Course::of(run, started_at_ms, ended_at_ms);
    let (stages, canonical) = stages(run, &course);
    let jobs = jobs(run, &course, &stages, &canonical);
    let (executors, nodes) = executors::rebuild(run, &course);
    let setting = |key: &str| run.settings.get(key).map(String::as_str);
    let driver_in_cluster = setting("spark.submit.deployMode") == Some("cluster");
    let driver_node = run.driver_host.as_ref().filter(|_| driver_in_cluster).and_then(|host| {
        let at = nodes.iter().position(|node| spark_log::same_host(node, host));
        at.map(|at| at as u32)
    });
    let mut assumed = assumptions(run);
    if executors.iter().any(|executor| executor.id == u32::MAX) {
        assumed.push("The log is of local mode: the driver is taken for one executor on a node of its own.".to_owned());
    }
    Ok(Plan {
        logged_ms: span(started_at_ms, ended_at_ms),
        tail_ms: span(course.ends.last().copied().unwrap_or(started_at_ms), ended_at_ms),
        replaced_after_ms: executors::replaced_after_ms(run),
        driver_attempts_max: setting("spark.yarn.maxAppAttempts")
            .and_then(|text| text.parse().ok())
            .unwrap_or(2),
        rules: Rules::of(setting),
        jobs,
        stages,
        executors,
        nodes,
        driver_node,
        driver_in_cluster,
        assumed,
    })
}

/// When the jobs ended, by which moments are anchored.
pub(crate) struct Course {
    pub(crate) started_at_ms: i64,
    pub(crate) ended_at_ms: i64,
    /// The jobs' ends, ascending.
    ends: Vec<i64>,
    /// Job ids in that order.
    ids: Vec<i64>,
}

impl Course {
    fn of(run: &SparkRun, started_at_ms: i64, ended_at_ms: i64) -> Self {
        let end = |job: &spark_log::Job| job.completed_at_ms.unwrap_or(ended_at_ms);
        let mut ends: Vec<(i64, i64)> = run.jobs.iter().map(|job| (end(job), job.job_id)).collect();
        ends.sort_unstable();
        Self {
            started_at_ms,
            ended_at_ms,
            ids: ends.iter().map(|(_, id)| *id).collect(),
            ends: ends.into_iter().map(|(end, _)| end).collect(),
        }
    }

    /// The moment, as a while after the last job that had ended by then.
    pub(crate) fn anchor(&self, at_ms: i64) -> Anchor {
        let jobs_ended = self.ends.partition_point(|end| *end <= at_ms);
        let from_ms = jobs_ended
            .checked_sub(1)
            .map_or(self.started_at_ms, |last| self.ends[last]);
        Anchor {
            jobs_ended,
            then_ms: span(from_ms, at_ms),
        }
    }
}

fn last_moment(run: &SparkRun, started_at_ms: i64) -> i64 {
    let tasks = run
        .task_attempts
        .iter()
        .map(|task| task.launched_at_ms + i64::from(task.duration_ms));
    let jobs = run.jobs.iter().filter_map(|job| job.completed_at_ms);
    tasks.chain(jobs).max().unwrap_or(started_at_ms)
}

fn assumptions(run: &SparkRun) -> Vec<String> {
    let mut assumed = vec![
        "A task takes as long again as it took in the log, on any executor; locality is left aside.".to_owned(),
        "A job begins once all jobs have ended that had ended before it in the log: independent threads of a driver are \
         taken to wait for one another."
            .to_owned(),
        "A task that reads shuffle output reads from every task of the stages before it, at its beginning, for as long as \
         it waited for it in the log and its bytes take at 50 MB a second."
            .to_owned(),
    ];
    if run.reading.in_progress {
        assumed
            .push("The log has no end: the run is taken to end with the last task that the log tells of.".to_owned());
    }
    if !run.reading.skipped.is_empty() {
        let skipped: u64 = run.reading.skipped.values().sum();
        assumed.push(format!(
            "{skipped} places of the log could not be read; what they told is missing."
        ));
    }
    if run.jobs.iter().any(|job| job.succeeded == Some(false)) {
        assumed.push("Jobs that failed or were cancelled are taken to end with the tasks that succeeded.".to_owned());
    }
    assumed
}

/// The stages that ran, by the first id of each; and for each of Spark's ids, which of them it is.
fn stages(run: &SparkRun, course: &Course) -> (Vec<Stage>, BTreeMap<i64, usize>) {
    let mut tasks: BTreeMap<i64, Vec<&TaskAttempt>> = BTreeMap::new();
    for task in run.task_attempts.iter().filter(|task| task.succeeded) {
        tasks.entry(i64::from(task.stage_id)).or_default().push(task);
    }
    let busy = executors::Busy::of(run);
    let finals: Vec<i64> = run
        .jobs
        .iter()
        .filter_map(|job| job.stage_ids.iter().max().copied())
        .collect();
    let (mut stages, mut canonical): (Vec<Stage>, BTreeMap<i64, usize>) = (Vec::new(), BTreeMap::new());
    // By RDD: the latest stage that computed it.
    let mut by_rdd: BTreeMap<i64, usize> = BTreeMap::new();
    for attempts in run.stages.chunk_by(|one, other| one.stage_id == other.stage_id) {
        let first = &attempts[0];
        let ran = tasks.get(&first.stage_id).map_or(&[][..], Vec::as_slice);
        let same = first.rdd_id.and_then(|rdd| by_rdd.get(&rdd)).copied();
        let partitions = first_successes(ran);
        let in_part = |of: usize| {
            !finals.contains(&first.stage_id) && partitions.len() < stages[of].durations_ms.len()
                || attempts.iter().any(|attempt| attempt.status == StageStatus::Skipped)
        };
        if let Some(same) = same.filter(|same| ran.is_empty() || in_part(*same)) {
            canonical.insert(first.stage_id, same);
            continue;
        }
        if ran.is_empty() {
            continue;
        }
        let parents: Vec<usize> = first
            .parent_ids
            .iter()
            .filter_map(|id| canonical.get(id).copied())
            .collect();
        canonical.insert(first.stage_id, stages.len());
        if let Some(rdd) = first.rdd_id {
            by_rdd.insert(rdd, stages.len());
        }
        for parent in &parents {
            stages[*parent].is_map = true;
        }
        let launched_at_ms = ran.iter().map(|task| task.launched_at_ms).min().unwrap_or_default();
        let ready_at_ms = ready_at_ms(run, first, launched_at_ms, course);
        let finished_at_ms = ran
            .iter()
            .map(|task| task.launched_at_ms + i64::from(task.duration_ms))
            .max();
        let completed_at_ms = attempts.iter().filter_map(|attempt| attempt.completed_at_ms).max();
        stages.push(Stage {
            id: first.stage_id,
            name: first.name.clone(),
            durations_ms: partitions.into_values().map(|task| task.duration_ms).collect(),
            parents,
            is_map: false,
            reads_ms: reads_ms(ran),
            // While it waits for a core it does not wait for the driver.
            lead_ms: span(
                ready_at_ms,
                if busy.is_full(ready_at_ms) {
                    first.submitted_at_ms.unwrap_or(launched_at_ms).min(launched_at_ms)
                } else {
                    launched_at_ms
                },
            ),
            tail_ms: span(
                finished_at_ms.unwrap_or_default(),
                completed_at_ms.or(finished_at_ms).unwrap_or_default(),
            ),
            gap_ms: busy.gap_ms(ran, launched_at_ms),
        });
    }
    (stages, canonical)
}

/// Each partition's first attempt that succeeded: repeats are the doing of losses, which are simulated anew.
fn first_successes<'t>(tasks: &[&'t TaskAttempt]) -> BTreeMap<u32, &'t TaskAttempt> {
    let mut first: BTreeMap<u32, &TaskAttempt> = BTreeMap::new();
    for task in tasks {
        let kept = first.entry(task.partition).or_insert(task);
        if task.launched_at_ms < kept.launched_at_ms && task.speculative == kept.speculative {
            *kept = task;
        }
    }
    first
}

/// How long a stage's tasks read, ms: the wait that they measured, and the bytes at a network's pace, but no more than the
/// part of a task's time that reading is taken for where nothing is measured.
fn reads_ms(tasks: &[&TaskAttempt]) -> u32 {
    let each = tasks.iter().map(|task| {
        let most_ms = f64::from(task.duration_ms) * FETCH_SHARE;
        let measured_ms = task
            .fetch_wait_ms
            .saturating_add(task.remote_read_kib / READ_KIB_PER_MS);
        measured_ms.min(most_ms as u32)
    });
    let mut each: Vec<u32> = each.collect();
    each.sort_unstable();
    each.get(each.len() / 2).copied().unwrap_or(0)
}

/// When a stage could have been submitted, whose first task was launched then: its job was, and the stages before it had
/// ended, in whichever attempt.
fn ready_at_ms(run: &SparkRun, stage: &StageAttempt, launched_at_ms: i64, course: &Course) -> i64 {
    let jobs = run.jobs.iter().filter(|job| job.stage_ids.contains(&stage.stage_id));
    let job = jobs.filter_map(|job| job.submitted_at_ms).min();
    let ended = |id: &i64| {
        let attempts = run.stages.iter().filter(|stage| stage.stage_id == *id);
        let ends = attempts.filter_map(|stage| stage.completed_at_ms);
        ends.filter(|end| *end <= launched_at_ms).max()
    };
    let ready = stage.parent_ids.iter().filter_map(ended).chain(job).max();
    ready.unwrap_or(course.started_at_ms)
}

fn jobs(run: &SparkRun, course: &Course, stages: &[Stage], canonical: &BTreeMap<i64, usize>) -> Vec<Job> {
    let mut jobs = Vec::new();
    for job in &run.jobs {
        let submitted_at_ms = job.submitted_at_ms.unwrap_or(course.started_at_ms);
        let mut own: Vec<usize> = job
            .stage_ids
            .iter()
            .filter_map(|id| canonical.get(id).copied())
            .collect();
        own.sort_unstable();
        own.dedup();
        let is_read = |stage: &usize| own.iter().any(|other| stages[*other].parents.contains(stage));
        let targets: Vec<usize> = own.iter().filter(|stage| !is_read(stage)).copied().collect();
        let last = run
            .stages
            .iter()
            .filter(|stage| job.stage_ids.contains(&stage.stage_id));
        let last_ms = last
            .filter_map(|stage| stage.completed_at_ms)
            .max()
            .unwrap_or(submitted_at_ms);
        let completed_at_ms = job.completed_at_ms.unwrap_or(last_ms);
        jobs.push(Job {
            id: job.job_id,
            starts: course.anchor(submitted_at_ms),
            rank: course.ids.iter().position(|id| *id == job.job_id).unwrap_or(jobs.len()),
            tail_ms: if targets.is_empty() {
                span(submitted_at_ms, completed_at_ms)
            } else {
                span(last_ms, completed_at_ms)
            },
            targets,
        });
    }
    jobs
}
