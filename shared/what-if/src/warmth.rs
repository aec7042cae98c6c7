//! Executors warm up: the first task of a stage on a core takes longer than those after it.
//!
//! Separate because it is measured: code is loaded and compiled, a Python worker starts, what the driver sends is fetched.
//! A task that a loss repeats on an executor that has run its stage does not take that time again; one on an executor that
//! has just come does.

use std::collections::{BTreeMap, BTreeSet};

use spark_log::TaskAttempt;

/// With fewer tasks of either kind nothing is measured.
const TASKS_MIN: usize = 3;

/// What a log shows of it.
#[derive(Debug, Default)]
pub(crate) struct Warmth {
    /// Executors that have run a task of the stages so far.
    begun: BTreeSet<u32>,
    /// The most that a stage's first tasks took longer: on executors that had begun, and on others.
    most_ms: [u32; 2],
}

/// A stage's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct First {
    /// By task: whether it was the first of its stage on its core.
    pub(crate) tasks: Vec<bool>,
    /// How much longer such tasks take, ms: the difference of the medians.
    pub(crate) longer_ms: u32,
}

impl Warmth {
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
        let most_ms = &mut self.most_ms[usize::from(!had_begun)];
        *most_ms = longer_ms.max(*most_ms);
        self.begun.extend(executors);
        First {
            tasks: first,
            longer_ms,
        }
    }

    /// How much longer the first task of an executor takes that comes while the others are at work, ms: as that of the stage
    /// in which it was most on executors that had begun. Those that begin a run begin all at once, and say less of it.
    pub(crate) fn fresh_ms(&self) -> u32 {
        let [begun_ms, new_ms] = self.most_ms;
        if begun_ms > 0 { begun_ms } else { new_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(executor: u32, launched_at_ms: i64, duration_ms: u32) -> TaskAttempt {
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
        let mut warmth = Warmth::default();
        let first = warmth.of_stage(&tasks, &slots);
        assert_eq!(first.tasks, [true, true, true, false, false, false]);
        assert_eq!((first.longer_ms, warmth.fresh_ms()), (2_950, 2_950));
        let few = warmth.of_stage(&tasks[..4], &slots);
        assert_eq!(few.longer_ms, 0, "one task is no measure");
    }
}
