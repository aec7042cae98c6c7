//! The executors of a log: their nodes, their times, and when their cores were busy.
//!
//! Separate from the stages because their rules are the cluster manager's.

use std::collections::{BTreeMap, BTreeSet};

use spark_log::{Removal, SparkRun, TaskAttempt};

use crate::plan::{Anchor, End, Executor};
use crate::rebuild::{Course, span};

/// An executor that is removed so shortly before the application's end, ms, went with the application.
const LAST_MS: i64 = 2_000;

/// A task's end is stamped at most this much, ms, after its core was given to the next.
const LATE_MS: i64 = 100;

/// The executors of a log and the names of their nodes.
pub(crate) fn rebuild(run: &SparkRun, course: &Course, busy: &Busy) -> (Vec<Executor>, Vec<String>) {
    let setting = |key: &str| run.settings.get(key).and_then(|text| text.parse::<i64>().ok());
    let task_cpus = setting("spark.task.cpus").unwrap_or(1).max(1);
    let mut nodes: Vec<String> = Vec::new();
    let mut executors = Vec::new();
    for logged in &run.executors {
        let Ok(id) = logged.id.parse::<u32>() else { continue };
        let used = busy.at_once(id);
        if logged.added_at_ms.is_none() && used == 0 {
            continue;
        }
        let slots = match u32::try_from(logged.cores / task_cpus) {
            Ok(0) | Err(_) => used.max(1),
            Ok(slots) => slots,
        };
        let node = nodes.iter().position(|node| *node == logged.host).unwrap_or_else(|| {
            nodes.push(logged.host.clone());
            nodes.len() - 1
        });
        let added_at_ms = logged.added_at_ms.or(busy.first_launch_ms(id));
        let added_at_ms = added_at_ms.unwrap_or(course.started_at_ms);
        let removed_at_ms = logged.removed_at_ms.filter(|at| *at < course.ended_at_ms - LAST_MS);
        let ends = removed_at_ms.map(|at| (course.anchor(at), end(logged.removal.as_ref())));
        executors.push(Executor {
            id,
            node: node as u32,
            slots,
            comes: course.anchor(added_at_ms),
            silent_from: ends.zip(removed_at_ms).and_then(|((at, end), removed_at_ms)| {
                let last_ms = busy.last_sign_ms(id, removed_at_ms).unwrap_or(added_at_ms);
                (end != End::Released).then(|| not_before_job(course.anchor(last_ms), at))
            }),
            ends,
        });
    }
    let local = busy.at_once(u32::MAX);
    if local > 0 {
        nodes.push(run.driver_host.clone().unwrap_or_else(|| "driver".to_owned()));
        executors.push(Executor {
            id: u32::MAX,
            node: nodes.len() as u32 - 1,
            slots: local,
            comes: Anchor {
                jobs_ended: 0,
                then_ms: 0,
            },
            ends: None,
            silent_from: None,
        });
    }
    (executors, nodes)
}

/// A moment that is not before the last job that had ended by `end`: no job can have ended for want of what an executor
/// that had fallen silent before held back.
fn not_before_job(at: Anchor, end: Anchor) -> Anchor {
    if at.jobs_ended == end.jobs_ended {
        at
    } else {
        Anchor {
            jobs_ended: end.jobs_ended,
            then_ms: 0,
        }
    }
}

fn end(removal: Option<&Removal>) -> End {
    match removal {
        Some(Removal::KilledByDriver) => End::Released,
        Some(Removal::Decommissioned) => End::Left,
        Some(Removal::WorkerLost | Removal::HeartbeatTimeout) => End::LostWithNode,
        _ => End::Lost,
    }
}

/// From each lost executor to the next that came, ms: the median; none if none was lost, or none came.
pub(crate) fn replaced_after_ms(run: &SparkRun) -> Option<u32> {
    let lost = run
        .executors
        .iter()
        .filter(|it| it.removal.is_some() && end(it.removal.as_ref()) != End::Released);
    let mut added: Vec<i64> = run.executors.iter().filter_map(|it| it.added_at_ms).collect();
    added.sort_unstable();
    let mut waits = Vec::new();
    for at_ms in lost.filter_map(|it| it.removed_at_ms) {
        // Each that came replaces one.
        if let Some(next) = added.iter().position(|added| *added > at_ms) {
            waits.push(span(at_ms, added.remove(next)));
        }
    }
    waits.sort_unstable();
    waits.get(waits.len() / 2).copied()
}

/// When each executor's tasks began and ended.
pub(crate) struct Busy {
    ends: BTreeMap<u32, Vec<i64>>,
    /// The ends, a little earlier: when their cores were free for certain.
    freed: BTreeMap<u32, Vec<i64>>,
    launches: BTreeMap<u32, Vec<i64>>,
    /// The ends of those that were not lost with their executor, of executors that were removed.
    signs: BTreeMap<u32, Vec<i64>>,
    /// All ends, ascending.
    all_ends: Vec<i64>,
    all_launches: Vec<i64>,
    /// Each executor's time and cores.
    cores: Vec<(i64, i64, i64)>,
}

impl Busy {
    /// Of a log's task attempts.
    pub(crate) fn of(run: &SparkRun) -> Self {
        type Times = BTreeMap<u32, Vec<i64>>;
        let (mut ends, mut freed, mut launches, mut signs) = (Times::new(), Times::new(), Times::new(), Times::new());
        let removed = run.executors.iter().filter(|it| it.removed_at_ms.is_some());
        let taken: BTreeSet<u32> = removed.filter_map(|it| it.id.parse().ok()).collect();
        for task in &run.task_attempts {
            let end_ms = task.launched_at_ms + i64::from(task.duration_ms);
            ends.entry(task.executor).or_default().push(end_ms);
            freed
                .entry(task.executor)
                .or_default()
                .push(end_ms - i64::from(task.duration_ms / 2).min(LATE_MS));
            launches.entry(task.executor).or_default().push(task.launched_at_ms);
            if !task.lost && taken.contains(&task.executor) {
                signs.entry(task.executor).or_default().push(end_ms);
            }
        }
        let sorted = |of: &mut BTreeMap<u32, Vec<i64>>| {
            of.values_mut().for_each(|times| times.sort_unstable());
            let mut all: Vec<i64> = of.values().flatten().copied().collect();
            all.sort_unstable();
            all
        };
        let (all_ends, all_launches) = (sorted(&mut ends), sorted(&mut launches));
        sorted(&mut freed);
        sorted(&mut signs);
        let cores = run.executors.iter().map(|it| {
            let removed_at_ms = it.removed_at_ms.unwrap_or(i64::MAX);
            (it.added_at_ms.unwrap_or(i64::MIN), removed_at_ms, it.cores)
        });
        Self {
            cores: cores.collect(),
            ends,
            freed,
            launches,
            signs,
            all_ends,
            all_launches,
        }
    }

    /// The most tasks that an executor ran at once. The end of one may be stamped a little after the next one's launch.
    pub(crate) fn at_once(&self, executor: u32) -> u32 {
        let (Some(ends), Some(launches)) = (self.freed.get(&executor), self.launches.get(&executor)) else {
            return 0;
        };
        let running = |(at, launch): (usize, &i64)| (at + 1).saturating_sub(ends.partition_point(|end| end <= launch));
        launches.iter().enumerate().map(running).max().unwrap_or(0) as u32
    }

    /// When an executor was given its first task.
    fn first_launch_ms(&self, executor: u32) -> Option<i64> {
        self.launches.get(&executor)?.first().copied()
    }

    /// When a task of an executor ended last by itself, up to this moment.
    fn last_sign_ms(&self, executor: u32, until_ms: i64) -> Option<i64> {
        let signs = self.signs.get(&executor)?;
        let ended = signs.partition_point(|end| *end <= until_ms);
        ended.checked_sub(1).map(|last| signs[last])
    }

    /// Whether all cores that were there had a task at this moment.
    pub(crate) fn is_full(&self, at_ms: i64) -> bool {
        let ended = self.all_ends.partition_point(|end| *end <= at_ms);
        let launched = self.all_launches.partition_point(|launch| *launch <= at_ms);
        let there = self.cores.iter().filter(|(from, to, _)| *from <= at_ms && at_ms < *to);
        let cores: i64 = there.map(|(_, _, cores)| cores).sum();
        launched.saturating_sub(ended) as i64 >= cores.max(1)
    }

    /// The median time from a task's end on an executor to the launch there of one of these, ms, after the stage's first.
    pub(crate) fn gap_ms(&self, tasks: &[&TaskAttempt], first_launch_ms: i64) -> i32 {
        let mut gaps = Vec::new();
        for task in tasks.iter().filter(|task| task.launched_at_ms > first_launch_ms) {
            let Some(ends) = self.ends.get(&task.executor) else {
                continue;
            };
            let after = ends.partition_point(|end| *end <= task.launched_at_ms);
            let near = after
                .checked_sub(1)
                .into_iter()
                .chain([after])
                .filter_map(|at| ends.get(at));
            let gap = near.map(|end| task.launched_at_ms - end).min_by_key(|gap| gap.abs());
            if let Some(gap) = gap.filter(|gap| task.launched_at_ms - gap > first_launch_ms) {
                gaps.push(gap);
            }
        }
        gaps.sort_unstable();
        let median = gaps.get(gaps.len() / 2).copied().unwrap_or(0);
        i32::try_from(median).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
