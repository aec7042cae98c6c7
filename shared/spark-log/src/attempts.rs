//! The table of task attempts that succeeded, 16 bytes each, and what it tells of work done more than once.
//!
//! Separate because it is all that grows with a log's tasks: which success was repeated is known only at the end.

/// One success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Success {
    // In the order of sorting: by partition, then by launch, then by task id.
    partition: u32,
    /// Since the table's first launch, ms: within 24 days of it.
    launch_offset_ms: i32,
    task_id: u32,
    duration_ms: u32,
}

/// The successes of one stage attempt.
#[derive(Debug, Default)]
pub(super) struct Successes {
    first_launch_ms: i64,
    rows: Vec<Success>,
}

impl Successes {
    /// Rows made room for ahead at most: a stage's number of tasks is only what the log claims.
    const ROWS_AHEAD_MAX: usize = 4096;

    /// Adds a success; `tasks` is how many the attempt is to have.
    pub(super) fn add(&mut self, tasks: i64, partition: i64, task_id: i64, launched_at_ms: i64, duration_ms: u64) {
        if self.rows.is_empty() {
            self.first_launch_ms = launched_at_ms;
        }
        if self.rows.len() == self.rows.capacity() {
            let missing = usize::try_from(tasks).unwrap_or(0).saturating_sub(self.rows.len());
            // Growth by an eighth keeps the room that is not used small.
            self.rows
                .reserve_exact(missing.clamp(1, Self::ROWS_AHEAD_MAX).max(self.rows.len() / 8));
        }
        let offset = launched_at_ms.saturating_sub(self.first_launch_ms);
        self.rows.push(Success {
            // Ids are compared, never shown: their low 32 bits are enough.
            partition: partition as u32,
            launch_offset_ms: i32::try_from(offset).unwrap_or(if offset < 0 { i32::MIN } else { i32::MAX }),
            task_id: task_id as u32,
            duration_ms: u32::try_from(duration_ms).unwrap_or(u32::MAX),
        });
    }
}

impl Successes {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Puts the rows in order, for all that follows.
    pub(super) fn sort(&mut self) {
        self.rows.sort_unstable();
    }

    /// How many of these, each task once, have no success in `attempts`, the attempts of their stage, that began after
    /// their end, and none at all in `elsewhere`; and their time, ms. All must be sorted.
    pub(super) fn never_again(&self, attempts: &[&Successes], elsewhere: &[&Successes]) -> (u64, u64) {
        let mut rows = self.rows.clone();
        rows.dedup_by_key(|row| (row.partition, row.task_id));
        let began_after = |end_ms: i64, other: &Successes, partition: u32| {
            let first = other.rows.partition_point(|row| row.partition < partition);
            let same = other.rows[first..].iter().take_while(|row| row.partition == partition);
            // Within a partition they lie in order of launch.
            same.last()
                .is_some_and(|row| other.first_launch_ms.saturating_add(i64::from(row.launch_offset_ms)) >= end_ms)
        };
        let is_lost = |row: &&Success| {
            let launched_at_ms = self.first_launch_ms.saturating_add(i64::from(row.launch_offset_ms));
            let end_ms = launched_at_ms.saturating_add(i64::from(row.duration_ms));
            let again = attempts.iter().any(|other| began_after(end_ms, other, row.partition));
            !again && !elsewhere.iter().any(|other| other.has(row.partition))
        };
        let lost = rows.iter().filter(is_lost);
        lost.fold((0, 0), |(tasks, time_ms), row| {
            (tasks + 1, time_ms + u64::from(row.duration_ms))
        })
    }

    fn has(&self, partition: u32) -> bool {
        self.rows.binary_search_by_key(&partition, |row| row.partition).is_ok()
    }

    /// How many of these succeeded in one of the `others` as well, and their time, ms. The others must be sorted.
    pub(super) fn also_in(&self, others: &[&Successes]) -> (u64, u64) {
        let is_in = |row: &&Success| others.iter().any(|other| other.has(row.partition));
        let both = self.rows.iter().filter(is_in);
        both.fold((0, 0), |(tasks, time_ms), row| {
            (tasks + 1, time_ms + u64::from(row.duration_ms))
        })
    }
}

/// What happened more than once within one stage.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repeats {
    /// Partitions with two or more successes.
    pub(super) partitions: u64,
    /// Time of all but the last launched success of each, ms.
    pub(super) lost_ms: u64,
    /// Time of all but the first launched, ms.
    pub(super) rerun_ms: u64,
    /// Successes after whose end the partition was computed again: not two copies of one task that ran side by side.
    pub(super) recomputed: u64,
    /// Their time, ms.
    pub(super) recomputed_ms: u64,
}

/// Finds the partitions that succeeded more than once in these attempts of one stage, which must be sorted.
pub(super) fn repeats(attempts: &[&Successes]) -> Repeats {
    let mut repeats = Repeats::default();
    let mut positions = vec![0; attempts.len()];
    let mut runs: Vec<(i64, u32, u64)> = Vec::new();
    loop {
        let next = attempts
            .iter()
            .zip(&positions)
            .filter_map(|(attempt, at)| attempt.rows.get(*at))
            .map(|r| r.partition);
        let Some(partition) = next.min() else { return repeats };
        runs.clear();
        for (attempt, at) in attempts.iter().zip(&mut positions) {
            while let Some(row) = attempt.rows.get(*at).filter(|row| row.partition == partition) {
                let launched_at_ms = attempt.first_launch_ms.saturating_add(i64::from(row.launch_offset_ms));
                runs.push((launched_at_ms, row.task_id, u64::from(row.duration_ms)));
                *at += 1;
            }
        }
        if runs.len() > 1 {
            runs.sort_unstable();
            repeats.add(&runs);
        }
    }
}

impl Repeats {
    /// Adds one partition's successes, in order of launch.
    fn add(&mut self, runs: &[(i64, u32, u64)]) {
        self.partitions += 1;
        self.lost_ms += runs[..runs.len() - 1].iter().map(|run| run.2).sum::<u64>();
        self.rerun_ms += runs[1..].iter().map(|run| run.2).sum::<u64>();
        let last_launch_ms = runs[runs.len() - 1].0;
        for (launched_at_ms, _, duration_ms) in &runs[..runs.len() - 1] {
            if launched_at_ms.saturating_add_unsigned(*duration_ms) <= last_launch_ms {
                self.recomputed += 1;
                self.recomputed_ms += duration_ms;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_sixteen_bytes() {
        assert_eq!(size_of::<Success>(), 16);
    }

    #[test]
    fn of_the_room_of_a_table_not_much_more_than_an_eighth_is_unused() {
        for (tasks, unused_max) in [(0, 10_000 / 8 + 1), (10_000, Successes::ROWS_AHEAD_MAX)] {
            let mut table = Successes::default();
            for task in 0..10_000 {
                table.add(tasks, task, task, 1_000, 100);
                assert!(table.rows.capacity() <= table.rows.len() + unused_max, "{task}");
            }
        }
    }

    #[test]
    fn a_lost_task_is_lost_for_good_unless_it_ran_again_afterwards() {
        let (mut first, mut second, mut lost, mut elsewhere) = (
            Successes::default(),
            Successes::default(),
            Successes::default(),
            Successes::default(),
        );
        for partition in 0..4 {
            first.add(4, partition, partition, 1_000, 100);
            lost.add(0, partition, partition, 1_000, 100);
        }
        // Said twice, it is lost once.
        lost.add(0, 3, 3, 1_000, 100);
        // Partition 0 ran again after its loss; the copy of partition 1 ran beside it and was lost with it.
        second.add(2, 0, 10, 1_200, 80);
        second.add(2, 1, 11, 1_050, 40);
        elsewhere.add(1, 2, 20, 5_000, 90);
        for table in [&mut first, &mut second, &mut lost, &mut elsewhere] {
            table.sort();
        }
        assert_eq!(lost.never_again(&[&first, &second], &[]), (3, 300));
        assert_eq!(lost.never_again(&[&first, &second], &[&elsewhere]), (2, 200));
    }

    #[test]
    fn a_copy_that_ran_side_by_side_is_a_repeat_but_not_recomputed() {
        let (mut first, mut second) = (Successes::default(), Successes::default());
        first.add(2, 0, 1, 1_000, 100);
        first.add(2, 1, 2, 1_000, 100);
        first.add(2, 1, 3, 1_050, 30);
        second.add(1, 0, 4, 1_100, 70);
        first.sort();
        second.sort();
        assert_eq!(second.also_in(&[&first]), (1, 70));
        let repeats = repeats(&[&first, &second]);
        assert_eq!(
            repeats,
            Repeats {
                partitions: 2,
                lost_ms: 200,
                rerun_ms: 100,
                recomputed: 1,
                recomputed_ms: 100
            }
        );
    }

    #[test]
    fn a_repeat_that_took_no_time_is_not_followed_by_another() {
        let mut table = Successes::default();
        table.add(2, 0, 1, 1_000, 100);
        table.add(2, 0, 2, 1_500, 0);
        table.sort();
        let repeats = repeats(&[&table]);
        assert_eq!((repeats.recomputed, repeats.recomputed_ms), (1, 100));
        assert_eq!((repeats.lost_ms, repeats.rerun_ms), (100, 0));
    }

    #[test]
    fn successes_more_than_24_days_apart_keep_their_order() {
        const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
        let first_launch_ms = 100 * DAY_MS;
        // The first of a table is what the others are reckoned from.
        for (launched_at_ms, earlier_ms) in [
            (first_launch_ms - 30 * DAY_MS, 70),
            (first_launch_ms + 30 * DAY_MS, 100),
        ] {
            let mut table = Successes::default();
            table.add(2, 0, 1, first_launch_ms, 100);
            table.add(2, 0, 2, launched_at_ms, 70);
            table.sort();
            let repeats = repeats(&[&table]);
            assert_eq!(
                (repeats.recomputed, repeats.recomputed_ms),
                (1, earlier_ms),
                "{launched_at_ms}"
            );
        }
    }

    #[test]
    fn what_begins_as_a_lost_task_ends_has_taken_its_place() {
        let mut lost = Successes::default();
        lost.add(0, 0, 1, 1_000, 100);
        for (launched_at_ms, expected) in [(1_099, (1, 100)), (1_100, (0, 0))] {
            let mut again = Successes::default();
            again.add(1, 0, 2, launched_at_ms, 50);
            assert_eq!(lost.never_again(&[&again], &[]), expected, "{launched_at_ms}");
        }
    }
}
