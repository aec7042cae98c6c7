//! Executors warm up: the first task of a stage on a core takes longer than those after it.
//!
//! Separate because it is measured: code is loaded and compiled, a Python worker starts, what the driver sends is fetched.
//! A task that a loss repeats on an executor that has run its stage does not take that time again; one on an executor that
//! has just come does, and what the very first task of an executor takes besides. But those that began the run began all
//! at once: where they shared CPUs, as workers on one machine do, each took longer than one that comes alone. How much so,
//! the time says that they took to unpack tasks, against the CPU's.

use std::collections::{BTreeMap, BTreeSet};

use spark_log::{Deserialization, TaskAttempt};

/// With fewer tasks of either kind nothing is measured.
const TASKS_MIN: usize = 3;

/// What is left of such a time to an executor that comes alone, as a multiple of the CPU's part of it: by the first tasks of 61
/// that did so on real Spark, which took from 0.6 to 1.3 s longer than the rest, where those of six at once took 3 to 5 s.
const ALONE: f64 = 1.2;

/// What a log shows of it.
#[derive(Debug)]
pub(crate) struct Warmth {
    /// Executors that have run a task of the stages so far.
    begun: BTreeSet<u32>,
    /// The most that the first tasks took longer of a stage with which executors began.
    new_ms: u32,
    /// What part of such times is left to one that comes alone.
    alone: f64,
}

/// A stage's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct First {
    /// By task: whether it was the first of its stage on its core.
    pub(crate) tasks: Vec<bool>,
    /// How much longer such tasks take, ms: the difference of the medians.
    pub(crate) longer_ms: u32,
    /// How much longer the first task of an executor takes that comes alone, ms.
    pub(crate) fresh_ms: u32,
}

impl Warmth {
    pub(crate) fn new(unpacking: &Deserialization) -> Self {
        let cpu_ms = unpacking.cpu_us as f64 / 1_000.0;
        let alone = ALONE * cpu_ms / (unpacking.time_ms as f64).max(1.0);
        Self {
            begun: BTreeSet::new(),
            new_ms: 0,
            alone: if unpacking.cpu_us > 0 { alone.min(1.0) } else { 1.0 },
        }
    }

    /// Takes a stage's tasks, stage by stage; `slots` has each executor's cores.
    pub(crate) fn of_stage(&mut self, tasks: &[&TaskAttempt], slots: &BTreeMap<u32, u32>) -> First {
        let mut order: Vec<usize> = (0..tasks.len()).collect();
        order.sort_by_key(|at| (tasks[*at].executor, tasks[*at].launched_at_ms));
        let mut first = vec![false; tasks.len()];
        for same in order.chunk_by(|one, other| tasks[*one].executor == tasks[*other].executor) {
            let slots = slots.get(&tasks[same[0]].executor).copied().unwrap_or(1);
            same.iter().take(slots as usize).for_each(|at| first[*at] = true);
        }
        let times = |is_first: bool| {
            let of_kind = first.iter().zip(tasks).filter(|(it, _)| **it == is_first);
            let mut times: Vec<u32> = of_kind.map(|(_, task)| task.duration_ms).collect();
            times.sort_unstable();
            (times.len() >= TASKS_MIN).then(|| times[times.len() / 2])
        };
        let longer_ms = times(true)
            .zip(times(false))
            .map_or(0, |(first, rest)| first.saturating_sub(rest));
        let executors: BTreeSet<u32> = tasks.iter().map(|task| task.executor).collect();
        let had_begun = executors.intersection(&self.begun).count() * 2 >= executors.len();
        self.begun.extend(executors);
        let at_once_ms = if had_begun {
            self.new_ms.saturating_add(longer_ms)
        } else {
            self.new_ms = self.new_ms.max(longer_ms);
            longer_ms
        };
        First {
            tasks: first,
            longer_ms,
            fresh_ms: (f64::from(at_once_ms) * self.alone) as u32,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One that succeeded.
    pub(crate) fn task(executor: u32, launched_at_ms: i64, duration_ms: u32) -> TaskAttempt {
        TaskAttempt {
            launched_at_ms,
            duration_ms,
            stage_id: 0,
            partition: 0,
            executor,
            fetch_wait_ms: 0,
            remote_read_kib: 0,
            stage_attempt: 0,
            succeeded: true,
            lost: false,
            speculative: false,
        }
    }

    #[test]
    fn the_first_tasks_on_each_core_are_told_from_the_rest() {
        let tasks = [
            task(1, 0, 5_000),
            task(1, 1, 5_200),
            task(2, 0, 4_900),
            task(1, 5_000, 2_000),
            task(1, 5_200, 2_100),
            task(2, 4_900, 2_050),
        ];
        let tasks: Vec<&TaskAttempt> = tasks.iter().collect();
        let slots = BTreeMap::from([(1, 2), (2, 1)]);
        let mut warmth = Warmth::new(&Deserialization::default());
        let first = warmth.of_stage(&tasks, &slots);
        assert_eq!(first.tasks, [true, true, true, false, false, false]);
        assert_eq!((first.longer_ms, first.fresh_ms), (2_950, 2_950));
        // The next stage's begin costs as much again; who has just come has both to take.
        let next = warmth.of_stage(&tasks, &slots);
        assert_eq!((next.longer_ms, next.fresh_ms), (2_950, 5_900));
        let few = warmth.of_stage(&tasks[..4], &slots);
        assert_eq!(few.longer_ms, 0, "one task is no measure");
    }

    #[test]
    fn who_comes_alone_has_the_cpus_for_itself_that_those_shared_who_began_at_once() {
        let alone = |time_ms, cpu_us| Warmth::new(&Deserialization { time_ms, cpu_us }).alone;
        assert!((alone(600, 100_000) - 0.2).abs() < 1e-9);
        // Nobody shared.
        assert_eq!(alone(110, 100_000), 1.0);
        // The log does not say.
        assert_eq!((alone(600, 0), alone(0, 0)), (1.0, 1.0));
    }
}
