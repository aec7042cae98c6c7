//! What is to happen, in order.
//!
//! Separate because it is what the simulation spends its time in: an entry takes 16 bytes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The number of an entry that is never made: of what does not end.
pub(crate) const NEVER: u32 = u32::MAX;

/// What is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// The task on this slot ends, if it is still the one that was meant.
    TaskEnds(u32),
    /// A planned executor registers.
    Comes(u32),
    /// A planned executor is let go.
    Released(u32),
    /// No task of a planned executor ends any more, as in the log.
    Silent(u32),
    /// A planned executor leaves, as it was told to in the log.
    Left(u32),
    /// A planned executor is lost, as it was in the log.
    Lost(u32),
    /// The same, and its node is gone.
    LostWithNode(u32),
    /// A replacement registers: the executor whose place it takes.
    Replaces(u32),
    /// A job is submitted.
    JobStarts(u32),
    /// A job's last stage has been over for its tail.
    JobEnds(u32),
    /// A stage's first tasks may be launched.
    StageBegins(u32),
    /// A stage's last task has been over for its tail.
    StageEnds(u32),
    /// A stage's tasks may have taken too long.
    Speculate(u32),
    /// Failed stages are submitted again.
    Resubmit,
    /// A hit's nodes are told.
    Notice(u32),
    /// A hit's nodes go.
    Hit(u32),
    /// A decommissioned executor looks whether it may leave.
    Leave(u32),
    /// The application ends.
    Ends,
}

/// The queue: by time, then by the order in which entries were made.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<(u64, Event)>>,
    made: u32,
}

impl Queue {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.heap.clear();
        self.made = 0;
    }

    /// Adds an entry; returns its number, by which it is known.
    #[inline]
    pub(crate) fn push(&mut self, at_ms: u32, event: Event) -> u32 {
        self.made += 1;
        self.heap
            .push(Reverse((u64::from(at_ms) << 32 | u64::from(self.made), event)));
        self.made
    }

    /// The next: when, its number, and what.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(u32, u32, Event)> {
        let Reverse((key, event)) = self.heap.pop()?;
        Some(((key >> 32) as u32, key as u32, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_first_comes_first_at_the_same_moment() {
        let mut queue = Queue::default();
        queue.push(5, Event::Ends);
        queue.push(5, Event::Resubmit);
        queue.push(4, Event::Comes(1));
        let order: Vec<Event> = std::iter::from_fn(|| queue.pop()).map(|(_, _, event)| event).collect();
        assert_eq!(order, [Event::Comes(1), Event::Ends, Event::Resubmit]);
        assert_eq!(size_of::<Reverse<(u64, Event)>>(), 16);
    }
}
