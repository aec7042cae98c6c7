//! A stage while a run is simulated: where its output lies, and the attempt that runs.
//!
//! Separate so that scheduling and losses change one state whose invariants stand in one place.

/// No executor holds it: it must be computed.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// Written to where nothing is lost.
pub(crate) const SAFE: u32 = u32::MAX - 1;

/// No attempt has it among its partitions.
const NO_ATTEMPT: u16 = u16::MAX;

/// One stage.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    /// By partition: the executor that holds its output.
    pub(crate) outputs: Vec<u32>,
    /// Partitions that are [`NOWHERE`].
    pub(crate) missing: u32,
    /// Partitions whose executor is gone, while the driver does not know it.
    pub(crate) unreachable: u32,
    /// By partition: the latest attempt that it belongs to.
    member_of: Vec<u16>,
    /// Attempts so far.
    pub(crate) attempts: u16,
    /// Whether the latest attempt runs.
    pub(crate) running: bool,
    /// Whether its first tasks wait for the driver.
    pub(crate) leading: bool,
    /// Partitions of it.
    members: u32,
    /// Those that are still to be computed.
    remaining: u32,
    /// Partitions that wait for a core, the next one last.
    pub(crate) pending: Vec<u32>,
    /// Partitions of it whose tasks have a copy, or are to have one.
    pub(crate) copied: Vec<u32>,
    /// Those whose copies wait for a core.
    pub(crate) copies: Vec<u32>,
    /// Whether it will be seen to for slow tasks.
    pub(crate) watched: bool,
    /// Attempts in a row that failed and count.
    pub(crate) failed_attempts: u32,
    /// Whether its last task has ended and the driver has yet to see to it.
    pub(crate) closing: bool,
    /// By partition: whether it was computed before, be its output there or not.
    was_done: Vec<bool>,
    /// Whether it is to be submitted once its parents are there.
    pub(crate) waiting: bool,
    /// Whether it is to be submitted again after a failed fetch.
    pub(crate) failed: bool,
}

impl Stage {
    /// A stage of so many partitions that was never submitted.
    pub(crate) fn reset(&mut self, partitions: usize) {
        self.outputs.clear();
        self.outputs.resize(partitions, NOWHERE);
        self.member_of.clear();
        self.member_of.resize(partitions, NO_ATTEMPT);
        self.was_done.clear();
        self.was_done.resize(partitions, false);
        self.pending.clear();
        self.missing = partitions as u32;
        self.unreachable = 0;
        self.attempts = 0;
        self.remaining = 0;
        self.watched = false;
        self.failed_attempts = 0;
        self.running = false;
        self.leading = false;
        self.closing = false;
        self.waiting = false;
        self.failed = false;
    }

    /// Whether all its output is known to be somewhere, and the driver has seen to its end.
    pub(crate) fn is_available(&self) -> bool {
        self.missing == 0 && !self.closing
    }

    /// Whether it runs or is about to.
    pub(crate) fn is_under_way(&self) -> bool {
        self.running || self.leading || self.closing
    }

    /// A new attempt, with the missing partitions only.
    pub(crate) fn begin_attempt(&mut self) {
        let attempt = self.attempts;
        self.attempts += 1;
        self.running = true;
        self.members = self.missing;
        self.remaining = self.missing;
        self.pending.clear();
        self.copied.clear();
        self.copies.clear();
        for (partition, holder) in self.outputs.iter().enumerate().rev() {
            if *holder == NOWHERE {
                self.member_of[partition] = attempt;
                self.pending.push(partition as u32);
            }
        }
    }

    /// The running attempt is over; tasks of it may still run.
    pub(crate) fn end_attempt(&mut self) {
        self.running = false;
        self.pending.clear();
        self.copies.clear();
    }

    /// Partitions of the running attempt, and how many of them are computed; none if none runs.
    pub(crate) fn progress(&self) -> Option<(u32, u32)> {
        self.running
            .then(|| (self.members, self.members.saturating_sub(self.remaining)))
    }

    /// Whether the running attempt has nothing left to compute.
    pub(crate) fn is_attempt_done(&self) -> bool {
        self.running && self.remaining == 0
    }

    fn is_member(&self, partition: u32) -> bool {
        self.running && self.member_of[partition as usize] + 1 == self.attempts
    }

    /// The next partition that waits, unless another attempt's task has computed it meanwhile.
    #[inline]
    pub(crate) fn next_pending(&mut self) -> Option<u32> {
        loop {
            let partition = self.pending.pop()?;
            if self.outputs[partition as usize] == NOWHERE {
                return Some(partition);
            }
        }
    }

    /// A partition is computed. Returns whether it was for the first time, and nothing of it was for nothing.
    #[inline]
    pub(crate) fn partition_done(&mut self, partition: u32, executor: u32) -> bool {
        let was_done = std::mem::replace(&mut self.was_done[partition as usize], true);
        let holder = &mut self.outputs[partition as usize];
        if *holder != NOWHERE {
            return false;
        }
        *holder = executor;
        self.missing -= 1;
        if self.is_member(partition) {
            self.remaining -= 1;
        }
        !was_done
    }

    /// A partition's task ended without success: it waits again, if it is the running attempt's.
    pub(crate) fn requeue(&mut self, partition: u32, attempt: u16) {
        let is_of_running = self.running && attempt + 1 == self.attempts;
        if is_of_running && self.outputs[partition as usize] == NOWHERE {
            self.pending.push(partition);
        }
    }

    /// Forgets what an executor holds; partitions of the running attempt wait again. `reachable` says whether the
    /// executor could have served it.
    pub(crate) fn forget(&mut self, executor: u32, reachable: bool) {
        for partition in 0..self.outputs.len() {
            if self.outputs[partition] != executor {
                continue;
            }
            self.outputs[partition] = NOWHERE;
            self.missing += 1;
            if !reachable {
                self.unreachable -= 1;
            }
            if self.is_member(partition as u32) {
                self.remaining += 1;
                self.pending.push(partition as u32);
            }
        }
    }

    /// How many of its partitions an executor holds.
    pub(crate) fn held_by(&self, executor: u32) -> u32 {
        self.outputs.iter().filter(|holder| **holder == executor).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn computed(partitions: u32, executor: u32) -> Stage {
        let mut stage = Stage::default();
        stage.reset(partitions as usize);
        stage.begin_attempt();
        for partition in 0..partitions {
            assert_eq!(stage.next_pending(), Some(partition));
            assert!(stage.partition_done(partition, executor));
        }
        stage
    }

    #[test]
    fn a_new_attempt_computes_what_is_missing_and_no_more() {
        let mut stage = computed(3, 7);
        stage.outputs[1] = 8;
        stage.end_attempt();
        stage.forget(8, true);
        assert_eq!((&stage.outputs[..], stage.missing), (&[7, NOWHERE, 7][..], 1));
        stage.begin_attempt();
        assert_eq!((stage.next_pending(), stage.next_pending()), (Some(1), None));
        assert!(!stage.is_attempt_done());
        stage.partition_done(1, 9);
        assert!(stage.is_attempt_done() && stage.is_available());
    }

    #[test]
    fn what_a_running_attempt_loses_waits_again_in_it() {
        let mut stage = computed(2, 7);
        assert!(stage.is_attempt_done());
        stage.forget(7, true);
        assert!(!stage.is_attempt_done());
        assert_eq!(stage.pending.len(), 2);
    }

    #[test]
    fn a_copy_that_comes_second_changes_nothing() {
        let mut stage = computed(1, 7);
        assert!(!stage.partition_done(0, 8));
        assert_eq!(stage.outputs, [7]);
    }

    #[test]
    fn what_a_running_attempt_was_not_to_compute_is_left_to_the_next_one() {
        let mut stage = computed(3, 7);
        (stage.outputs[1], stage.outputs[2]) = (8, 9);
        stage.end_attempt();
        stage.forget(8, true);
        stage.begin_attempt();
        stage.forget(7, true);
        assert_eq!((&stage.pending[..], stage.missing), (&[1][..], 2));
        assert_eq!(stage.next_pending(), Some(1));
        assert!(!stage.partition_done(1, 9) && stage.is_attempt_done() && !stage.is_available());
        stage.end_attempt();
        stage.begin_attempt();
        assert_eq!(stage.pending, [0]);
    }

    #[test]
    fn what_the_driver_finds_out_to_be_gone_is_unreachable_no_more() {
        let mut stage = computed(3, 7);
        stage.outputs[1] = 8;
        stage.unreachable = stage.held_by(7) + stage.held_by(8);
        stage.forget(7, false);
        assert_eq!((stage.unreachable, stage.missing), (1, 2));
        stage.forget(8, false);
        assert_eq!((stage.unreachable, stage.missing), (0, 3));
    }

    #[test]
    fn a_task_that_failed_waits_again_if_it_is_of_the_attempt_that_runs_and_nobody_has_computed_its_partition() {
        // Whether it is of the first attempt or the second, whether that runs, and whether another computed the partition.
        for (attempt, runs, is_done, waits) in [
            (1, true, false, true),
            (0, true, false, false),
            (1, false, false, false),
            (1, true, true, false),
        ] {
            let mut stage = computed(1, 7);
            stage.end_attempt();
            stage.forget(7, true);
            stage.begin_attempt();
            assert_eq!(stage.next_pending(), Some(0));
            if is_done {
                stage.partition_done(0, 8);
            }
            if !runs {
                stage.end_attempt();
            }
            stage.requeue(0, attempt);
            assert_eq!(!stage.pending.is_empty(), waits, "{attempt}, {runs}, {is_done}");
        }
    }
}
