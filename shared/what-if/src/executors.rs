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
mod tests {
    use super::*;
    use crate::warmth::tests::task;

    #[test]
    fn an_executor_of_whose_coming_the_log_does_not_tell_comes_with_its_first_task() {
        let run = SparkRun {
            started_at_ms: Some(1_000),
            ended_at_ms: Some(60_000),
            executors: vec![spark_log::Executor {
                id: "1".to_owned(),
                host: "node-1".to_owned(),
                cores: 1,
                ..spark_log::Executor::default()
            }],
            task_attempts: vec![task(1, 9_000, 500), task(1, 6_000, 4_000)],
            ..SparkRun::default()
        };
        let plan = crate::rebuild(&run, 10).unwrap();
        let five_seconds_after_the_start = Anchor {
            jobs_ended: 0,
            then_ms: 5_000,
        };
        assert_eq!(plan.executors[0].comes, five_seconds_after_the_start);
    }

    #[test]
    fn the_gap_is_from_an_end_after_the_stages_first_launch_to_the_next_launch_on_that_executor() {
        // The stage begins at 1 s on another executor. When a task ended on this one, when the next was launched there.
        for (ended_at_ms, launched_at_ms, gap_ms) in [
            (1_001, 1_500, 499),
            // It was free when the stage began: that it waited is not its gap.
            (1_000, 1_500, 0),
            (900, 1_500, 0),
            // Its end was stamped a little late.
            (1_510, 1_500, -10),
            // It is one of those with which the stage began.
            (1_010, 1_000, 0),
        ] {
            let first = task(1, 1_000, 5_000);
            let (before, next) = (task(2, 0, ended_at_ms), task(2, launched_at_ms, 5_000));
            let run = SparkRun {
                task_attempts: vec![before, first, next],
                ..SparkRun::default()
            };
            let found_ms = Busy::of(&run).gap_ms(&[&first, &next], 1_000);
            assert_eq!(found_ms, gap_ms, "from {ended_at_ms} to {launched_at_ms}");
        }
    }

    /// One with this many cores, that came and was removed then.
    fn executor(id: u32, cores: i64, added_at_ms: i64, removed: Option<&(i64, Removal)>) -> spark_log::Executor {
        spark_log::Executor {
            id: id.to_string(),
            host: format!("node-{id}"),
            cores,
            added_at_ms: Some(added_at_ms),
            removed_at_ms: removed.map(|(at_ms, _)| *at_ms),
            removal: removed.map(|(_, removal)| removal.clone()),
            ..spark_log::Executor::default()
        }
    }

    #[test]
    fn an_executor_runs_as_many_tasks_at_once_as_its_cores_suffice_for_or_as_it_did() {
        for (cores, task_cpus, slots) in [
            (5, "2", 2),
            (4, "1", 4),
            // Neither is what it ran by: two at once, of three.
            (1, "2", 2),
            (-1, "1", 2),
            (3, "0", 3),
        ] {
            let run = SparkRun {
                settings: [("spark.task.cpus".to_owned(), task_cpus.to_owned())].into(),
                executors: vec![executor(1, cores, 500, None)],
                task_attempts: vec![task(1, 1_000, 5_000), task(1, 2_000, 1_000), task(1, 3_000, 500)],
                ..SparkRun::default()
            };
            let plan = crate::rebuild(&run, 10).unwrap();
            assert_eq!(plan.executors[0].slots, slots, "{cores} for {task_cpus}");
        }
    }

    #[test]
    fn an_executor_that_was_removed_in_the_last_two_seconds_went_with_the_application() {
        for (removed_at_ms, ends) in [
            (57_999, Some((57_499, End::LostWithNode))),
            (58_000, None),
            (59_000, None),
        ] {
            let run = SparkRun {
                started_at_ms: Some(500),
                ended_at_ms: Some(60_000),
                executors: vec![executor(1, 1, 500, Some(&(removed_at_ms, Removal::WorkerLost)))],
                task_attempts: vec![task(1, 1_000, 5_000)],
                ..SparkRun::default()
            };
            let plan = crate::rebuild(&run, 10).unwrap();
            let found = plan.executors[0].ends.map(|(at, end)| (at.then_ms, end));
            assert_eq!(found, ends, "{removed_at_ms}");
        }
    }

    #[test]
    fn a_replacement_takes_as_long_as_from_a_loss_to_the_next_that_came() {
        use Removal::{KilledByDriver, ProcessLost, WorkerLost};
        // What was removed when, and when others came.
        for (removed, added, after_ms) in [
            (&[(10_000, WorkerLost)][..], &[5_000, 30_000, 40_000][..], Some(20_000)),
            (&[(10_000, KilledByDriver)], &[30_000], None),
            (&[(10_000, WorkerLost)], &[5_000], None),
            // Each that comes replaces one; of two times the longer is in the middle.
            (
                &[(10_000, WorkerLost), (11_000, ProcessLost)],
                &[30_000, 40_000],
                Some(29_000),
            ),
            (
                &[(10_000, WorkerLost), (11_000, WorkerLost), (12_000, WorkerLost)],
                &[13_000, 14_000, 90_000],
                Some(3_000),
            ),
            (&[], &[30_000], None),
        ] {
            let gone = removed.iter().map(|removed| executor(1, 1, 0, Some(removed)));
            let came = added.iter().map(|at_ms| executor(2, 1, *at_ms, None));
            let run = SparkRun {
                executors: gone.chain(came).collect(),
                ..SparkRun::default()
            };
            assert_eq!(replaced_after_ms(&run), after_ms, "{removed:?}, {added:?}");
        }
    }

    #[test]
    fn all_cores_are_full_if_as_many_tasks_run_as_there_are_cores_at_that_moment() {
        let run = SparkRun {
            executors: vec![
                executor(1, 1, 1_000, Some(&(12_000, Removal::KilledByDriver))),
                executor(2, 2, 5_000, None),
            ],
            task_attempts: vec![
                task(1, 2_000, 2_000),
                task(2, 6_000, 9_000),
                task(2, 7_000, 8_000),
                task(1, 8_000, 1_000),
            ],
            ..SparkRun::default()
        };
        let busy = Busy::of(&run);
        for (at_ms, is_full) in [
            // Nothing is there; nothing is to be done; the first task begins, and ends.
            (500, false),
            (1_999, false),
            (2_000, true),
            (3_999, true),
            (4_000, false),
            // Of three cores two and then all have a task.
            (7_000, false),
            (8_000, true),
            (9_000, false),
            // One core has gone.
            (11_999, false),
            (12_000, true),
            (15_000, false),
        ] {
            assert_eq!(busy.is_full(at_ms), is_full, "{at_ms}");
        }
        let came = SparkRun {
            executors: vec![executor(1, 2, 1_000, None)],
            task_attempts: vec![task(1, 1_000, 2_000)],
            ..SparkRun::default()
        };
        assert!(!Busy::of(&came).is_full(1_000), "it came with both of its cores");
    }
}
