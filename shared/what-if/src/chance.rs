//! How long a task takes another time: what differs from one time to the next, as far as the log shows it.
//!
//! Separate because it is what makes two runs of the same job differ that are hit alike. The times of a stage's tasks are
//! taken for chance, but for those that stand out by Tukey's fences, one and a half times the distance of the quartiles
//! beyond them: these are their partition's own, as of a key that has most rows.
//! <https://www.itl.nist.gov/div898/handbook/prc/section1/prc16.htm>

use crate::plan::Stage;

/// With fewer tasks nothing stands out, and each keeps its own time.
const TASKS_MIN: usize = 4;

/// A stage's times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chance {
    /// Their median, ms.
    pub(crate) median_ms: u32,
    /// Those that may come another time, ms, on a core that is warm; none if each task keeps its own.
    pool: Vec<u32>,
    /// What lies outside is a partition's own, ms.
    fences: (u32, u32),
}

impl Chance {
    pub(crate) fn of(stage: &Stage) -> Self {
        let mut times: Vec<u32> = (0..stage.durations_ms.len()).map(|task| stage.warm_ms(task)).collect();
        times.sort_unstable();
        let count = times.len();
        let median_ms = times.get(count / 2).copied().unwrap_or(0);
        if count < TASKS_MIN {
            return Self {
                median_ms,
                ..Self::default()
            };
        }
        let (lower, upper) = (times[count / 4], times[(3 * count - 1) / 4]);
        let beyond = (upper - lower).saturating_add((upper - lower) / 2);
        let fences = (lower.saturating_sub(beyond), upper.saturating_add(beyond));
        times.retain(|time| (fences.0..=fences.1).contains(time));
        Self {
            median_ms,
            pool: times,
            fences,
        }
    }

    /// How long a task takes this time, ms, that took `warm_ms`.
    #[inline]
    pub(crate) fn draw(&self, warm_ms: u32, number: u64) -> u32 {
        if self.pool.is_empty() || !(self.fences.0..=self.fences.1).contains(&warm_ms) {
            return warm_ms;
        }
        // The high half of the product: evenly spread, without a division.
        let at = (u128::from(number) * self.pool.len() as u128) >> 64;
        self.pool[at as usize]
    }
}

/// A number that follows from the run's seed and which task it is for, and is like none of the others: so the same task has
/// the same time in two runs that are compared. The mixing is that of `splitmix64`: <https://prng.di.unimi.it/splitmix64.c>
#[inline]
pub(crate) fn number(seed: u64, stage: u32, partition: u32, attempt: u32) -> u64 {
    let place = u64::from(stage) << 32 | u64::from(partition) | u64::from(attempt).rotate_left(47);
    let mut mixed = mix(seed ^ mix(place));
    mixed = mixed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mix(mixed)
}

#[inline]
fn mix(mut number: u64) -> u64 {
    number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(durations_ms: Vec<u32>) -> Stage {
        Stage {
            id: 0,
            name: String::new(),
            firsts: vec![false; durations_ms.len()],
            first_ms: 0,
            fresh_ms: 0,
            durations_ms,
            parents: Vec::new(),
            is_map: false,
            reads_ms: 0,
            lead_ms: 0,
            tail_ms: 0,
            gap_ms: 0,
        }
    }

    #[test]
    fn what_stands_out_keeps_its_time_and_the_rest_changes_places() {
        let chance = Chance::of(&stage(vec![900, 1_000, 1_050, 1_100, 5_000]));
        let drawn: Vec<u32> = (0..2_000)
            .map(|task| chance.draw(1_000, number(7, 0, task, 0)))
            .collect();
        assert_eq!(drawn.iter().min().zip(drawn.iter().max()), Some((&900, &1_100)));
        let most = drawn.iter().filter(|ms| **ms == 1_100).count();
        assert!((400..600).contains(&most), "one in four: {most}");
        assert_eq!(chance.draw(5_000, number(7, 0, 4, 0)), 5_000);
    }

    #[test]
    fn a_few_tasks_keep_their_times() {
        let chance = Chance::of(&stage(vec![100, 9_000, 200]));
        assert_eq!(chance.draw(9_000, 3), 9_000);
    }

    #[test]
    fn what_lies_beyond_one_and_a_half_times_the_distance_of_the_quartiles_stands_out() {
        // The quartiles are 1.2 and 1.4 s.
        for (time, stands_out) in [(899, true), (900, false), (1_700, false), (1_701, true)] {
            let others = [1_200, 1_200, 1_200, 1_400, 1_400, 1_400, 1_400];
            let chance = Chance::of(&stage([time].into_iter().chain(others).collect()));
            let again = |task| chance.draw(time, number(7, 0, task, 0));
            assert_eq!((0..100).all(|task| again(task) == time), stands_out, "{time}");
        }
    }

    #[test]
    fn four_tasks_are_no_few_and_the_median_is_that_of_all() {
        for (times, median_ms, changes) in [
            (vec![], 0, false),
            (vec![100, 120, 110], 110, false),
            (vec![100, 120, 110, 130], 120, true),
            (vec![100, 120, 110, 130, 9_000], 120, true),
        ] {
            let chance = Chance::of(&stage(times.clone()));
            assert_eq!(chance.median_ms, median_ms, "{times:?}");
            let drawn = |task| chance.draw(100, number(7, 0, task, 0));
            assert_eq!((0..100).any(|task| drawn(task) != 100), changes, "{times:?}");
        }
    }

    #[test]
    fn each_task_of_each_run_has_a_number_of_its_own() {
        let mut numbers = std::collections::BTreeSet::new();
        for seed in 0..1_000 {
            for (stage, partition, attempt) in [(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2), (1, 1, 3), (0, 0, 4)] {
                numbers.insert(number(seed, stage, partition, attempt));
            }
        }
        assert_eq!(numbers.len(), 6_000);
    }
}
