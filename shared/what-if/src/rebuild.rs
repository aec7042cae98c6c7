//! A log's facts to a [`Plan`], or why it cannot be one.
//!
//! Separate because here is decided what the log means: which stages are the same shuffle, what waits for what, and which
//! of a partition's attempts counts.

use std::collections::{BTreeMap, BTreeSet};

use spark_log::{SparkRun, StageAttempt, StageStatus, TaskAttempt};
use spark_rules::{FETCH_SHARE, Rules};

use crate::executors::{self, Busy};
use crate::pace::Pace;
use crate::plan::{Anchor, Job, Plan, Stage};
use crate::reach::{self, Unfit};
use crate::warmth::{First, Warmth};

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
/// Whether losses can be reckoned in it is [`Unfit::of`]'s to say: what cannot be disturbed can still be played again.
///
/// # Errors
/// It tells of no moment, or of more than can be held.
pub fn rebuild(run: &SparkRun, tasks_max: usize) -> Result<Plan, Unfit> {
    let (started_at_ms, ended_at_ms) = reach::span(run).ok_or(Unfit::NoMoment)?;
    if run.task_attempts.len() >= tasks_max || ended_at_ms.saturating_sub(started_at_ms) >= RUN_MS_MAX {
        return Err(Unfit::TooLarge(tasks_max));
    }
    let course = Course::of(run, started_at_ms, ended_at_ms);
    let times = StageTimes::of(run);
    let busy = Busy::of(run);
    let (executors, nodes) = executors::rebuild(run, &course, &busy);
    let slots = executors.iter().map(|executor| (executor.id, executor.slots)).collect();
    let mut warmth = Warmth::new(&run.deserialization);
    let (stages, canonical) = stages(run, &course, &times, &busy, |tasks| warmth.of_stage(tasks, &slots));
    let jobs = jobs(run, &course, &times, &stages, &canonical);
    let setting = |key: &str| run.settings.get(key).map(String::as_str);
    let driver_in_cluster = setting("spark.submit.deployMode") == Some("cluster");
    let driver_node = run.driver_host.as_ref().filter(|_| driver_in_cluster).and_then(|host| {
        let at = nodes.iter().position(|node| spark_log::same_host(node, host));
        at.map(|at| at as u32)
    });
    let mut assumed = assumptions();
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
        pace: Pace::default(),
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
    /// Each job's place in that order.
    ranks: BTreeMap<i64, usize>,
}

impl Course {
    fn of(run: &SparkRun, started_at_ms: i64, ended_at_ms: i64) -> Self {
        // A clock that was set back has jobs end before they begin.
        let end = |job: &spark_log::Job| {
            let completed_at_ms = job.completed_at_ms.unwrap_or(ended_at_ms);
            completed_at_ms.max(job.submitted_at_ms.unwrap_or(completed_at_ms))
        };
        let mut ends: Vec<(i64, i64)> = run.jobs.iter().map(|job| (end(job), job.job_id)).collect();
        ends.sort_unstable();
        Self {
            started_at_ms,
            ended_at_ms,
            ranks: (0..).zip(&ends).map(|(rank, (_, id))| (*id, rank)).collect(),
            ends: ends.into_iter().map(|(end, _)| end).collect(),
        }
    }

    /// The moment, as a while after the last job that had ended by then.
    pub(crate) fn anchor(&self, at_ms: i64) -> Anchor {
        self.anchor_to(self.ends.partition_point(|end| *end <= at_ms), at_ms)
    }

    /// When a job is submitted that is to end in this place: it waits for none that ends after it, be it at the same moment.
    fn submission(&self, at_ms: i64, rank: usize) -> Anchor {
        let jobs_ended = self.ends.partition_point(|end| *end <= at_ms);
        self.anchor_to(jobs_ended.min(rank), at_ms)
    }

    fn anchor_to(&self, jobs_ended: usize, at_ms: i64) -> Anchor {
        let from_ms = jobs_ended
            .checked_sub(1)
            .map_or(self.started_at_ms, |last| self.ends[last]);
        Anchor {
            jobs_ended,
            then_ms: span(from_ms, at_ms),
        }
    }
}

fn assumptions() -> Vec<String> {
    let words = [
        "A task takes as long again as another of its stage took in the log, drawn at random, on any executor; one that \
         stands out from its stage takes as long as it did. Locality is left aside.",
        "The first task of a stage on a core takes longer than those after it, as in the log.",
        "A job begins once all jobs have ended that had ended before it in the log: independent threads of a driver are \
         taken to wait for one another.",
        "A task that reads shuffle output reads from every task of the stages before it, at its beginning, for as long as \
         it waited for it in the log and its bytes take at 50 MB a second.",
        "A driver that YARN starts again begins from nothing on a whole cluster.",
    ];
    words.map(str::to_owned).to_vec()
}

/// What the log says of each stage id's times: a job may name thousands of stages, nearly all of them skipped.
struct StageTimes {
    /// When the first of the jobs that name it was submitted.
    job_submitted_ms: BTreeMap<i64, i64>,
    /// When its attempts ended.
    ended_ms: BTreeMap<i64, Vec<i64>>,
}

impl StageTimes {
    fn of(run: &SparkRun) -> Self {
        let (mut job_submitted_ms, mut ended_ms) = (BTreeMap::<i64, i64>::new(), BTreeMap::<i64, Vec<i64>>::new());
        for job in &run.jobs {
            for (id, at_ms) in job.stage_ids.iter().zip(std::iter::repeat(job.submitted_at_ms)) {
                if let Some(at_ms) = at_ms {
                    let first_ms = job_submitted_ms.entry(*id).or_insert(at_ms);
                    *first_ms = at_ms.min(*first_ms);
                }
            }
        }
        for stage in &run.stages {
            if let Some(at_ms) = stage.completed_at_ms {
                ended_ms.entry(stage.stage_id).or_default().push(at_ms);
            }
        }
        // Where no line tells of its end, it is its last task's.
        let mut last_ms = BTreeMap::<i64, i64>::new();
        for task in run.task_attempts.iter().filter(|task| task.succeeded) {
            let at_ms = task.launched_at_ms + i64::from(task.duration_ms);
            let last_ms = last_ms.entry(i64::from(task.stage_id)).or_insert(at_ms);
            *last_ms = at_ms.max(*last_ms);
        }
        for (id, at_ms) in last_ms {
            ended_ms.entry(id).or_insert_with(|| vec![at_ms]);
        }
        Self {
            job_submitted_ms,
            ended_ms,
        }
    }

    /// When the stage with this id last ended, up to a moment.
    fn ended_by(&self, id: i64, until_ms: i64) -> Option<i64> {
        let ends = self.ended_ms.get(&id)?;
        ends.iter().filter(|end| **end <= until_ms).max().copied()
    }

    /// When a stage could have been submitted, whose first task was launched then: its job was, and the stages before it
    /// had ended, in whichever attempt.
    fn ready_at_ms(&self, stage: &StageAttempt, launched_at_ms: i64) -> Option<i64> {
        let job = self.job_submitted_ms.get(&stage.stage_id).copied();
        let parents = stage.parent_ids.iter();
        parents
            .filter_map(|id| self.ended_by(*id, launched_at_ms))
            .chain(job)
            .max()
    }
}

/// The stages that ran, by the first id of each; and for each of Spark's ids, which of them it is.
fn stages(
    run: &SparkRun,
    course: &Course,
    times: &StageTimes,
    busy: &Busy,
    mut firsts: impl FnMut(&[&TaskAttempt]) -> First,
) -> (Vec<Stage>, BTreeMap<i64, usize>) {
    let mut tasks: BTreeMap<i64, Vec<&TaskAttempt>> = BTreeMap::new();
    for task in run.task_attempts.iter().filter(|task| task.succeeded) {
        tasks.entry(i64::from(task.stage_id)).or_default().push(task);
    }
    let finals: BTreeSet<i64> = run
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
        let warmth = firsts(ran);
        stages.push(Stage {
            durations_ms: partitions.values().map(|at| ran[*at].duration_ms).collect(),
            firsts: partitions.values().map(|at| warmth.tasks[*at]).collect(),
            first_ms: warmth.longer_ms,
            fresh_ms: warmth.fresh_ms,
            parents,
            ..stage(attempts, ran, course, times, busy)
        });
    }
    (stages, canonical)
}

/// A stage of these attempts and successful tasks, with its times aside.
fn stage(attempts: &[StageAttempt], ran: &[&TaskAttempt], course: &Course, times: &StageTimes, busy: &Busy) -> Stage {
    let first = &attempts[0];
    let launched_at_ms = ran.iter().map(|task| task.launched_at_ms).min().unwrap_or_default();
    let ready_at_ms = times.ready_at_ms(first, launched_at_ms).unwrap_or(course.started_at_ms);
    let ends = ran.iter().map(|task| task.launched_at_ms + i64::from(task.duration_ms));
    let finished_at_ms = ends.max().unwrap_or_default();
    let completed_at_ms = attempts.iter().filter_map(|attempt| attempt.completed_at_ms).max();
    // While it waits for a core it does not wait for the driver.
    let led_until_ms = if busy.is_full(ready_at_ms) {
        first.submitted_at_ms.unwrap_or(launched_at_ms).min(launched_at_ms)
    } else {
        launched_at_ms
    };
    Stage {
        id: first.stage_id,
        name: first.name.clone(),
        durations_ms: Vec::new(),
        firsts: Vec::new(),
        first_ms: 0,
        fresh_ms: 0,
        parents: Vec::new(),
        is_map: false,
        reads_ms: reads_ms(ran),
        lead_ms: span(ready_at_ms, led_until_ms),
        tail_ms: span(finished_at_ms, completed_at_ms.unwrap_or(finished_at_ms)),
        gap_ms: busy.gap_ms(ran, launched_at_ms),
    }
}

/// By partition: its first attempt that succeeded, by its place among the tasks. Repeats are the doing of losses, which are
/// simulated anew.
fn first_successes(tasks: &[&TaskAttempt]) -> BTreeMap<u32, usize> {
    let mut first: BTreeMap<u32, usize> = BTreeMap::new();
    for (at, task) in tasks.iter().enumerate() {
        let kept = first.entry(task.partition).or_insert(at);
        let other = tasks[*kept];
        if task.launched_at_ms < other.launched_at_ms && task.speculative == other.speculative {
            *kept = at;
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

fn jobs(
    run: &SparkRun,
    course: &Course,
    times: &StageTimes,
    stages: &[Stage],
    canonical: &BTreeMap<i64, usize>,
) -> Vec<Job> {
    let mut jobs = Vec::new();
    for job in &run.jobs {
        let submitted_at_ms = job.submitted_at_ms.unwrap_or(course.started_at_ms);
        let own: BTreeSet<usize> = job
            .stage_ids
            .iter()
            .filter_map(|id| canonical.get(id).copied())
            .collect();
        let read: BTreeSet<usize> = own.iter().flat_map(|stage| &stages[*stage].parents).copied().collect();
        let targets: Vec<usize> = own.difference(&read).copied().collect();
        let ends = job.stage_ids.iter().filter_map(|id| times.ended_by(*id, i64::MAX));
        let last_ms = ends.max().unwrap_or(submitted_at_ms);
        let completed_at_ms = job.completed_at_ms.unwrap_or(last_ms);
        let rank = course.ranks.get(&job.job_id).copied().unwrap_or(jobs.len());
        jobs.push(Job {
            id: job.job_id,
            starts: course.submission(submitted_at_ms, rank),
            rank,
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

#[cfg(test)]
mod tests;
