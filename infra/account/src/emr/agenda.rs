//! What one cluster will do, and when: its own list of things to come.
//!
//! Separate because every part of the simulated EMR puts something on it, and the simulation is clock-free: nothing
//! happens unless an entry here falls due.

use std::collections::BTreeMap;

use crate::api::Time;

use super::step::Ending;

/// Something that a cluster does at a later time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Task {
    /// Ask EC2 for what the pool with this id lacks.
    Provision(String),
    /// The instance with this EMR id has run its bootstrap actions.
    Bootstrapped(String),
    /// EMR finds out that the instance with this EMR id is gone.
    NoticeLoss(String),
    /// The time for provisioning a fleet's first Spot capacity is over.
    ProvisioningTimeout(String),
    /// Start pending steps.
    StartSteps,
    /// `spark-submit` of this step reaches YARN.
    Submit(String),
    /// This step ends.
    EndStep(String, Ending),
    /// Managed scaling looks at YARN's load.
    Scale,
    /// Terminate instances that leave, once nothing runs there.
    Drain,
    /// Logs of the running steps go to S3.
    PushLogs,
    /// The logs of this finished step go to S3.
    PushLastLogs(String),
    /// All instances are gone.
    Terminated,
}

/// An eighth of a second.
const EIGHTH_US: i64 = 125_000;

/// Entries in the order of their time; those of one time in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    made: u64,
    entries: BTreeMap<(Time, u64), Task>,
}

impl Agenda {
    /// Adds an entry, for the next eighth of a second. The API tells times as floating-point seconds, in which eighths
    /// are exact: a client reads the very time at which things happened, not a microsecond before.
    pub(super) fn at(&mut self, time: Time, task: Task) {
        let eighths = (time.timestamp_micros() + EIGHTH_US - 1).div_euclid(EIGHTH_US);
        let time = Time::from_timestamp_micros(eighths * EIGHTH_US).expect("a time near the given one");
        self.made += 1;
        self.entries.insert((time, self.made), task);
    }

    /// Adds an entry unless there is one like it already, whatever its time.
    pub(super) fn once_at(&mut self, time: Time, task: Task) {
        if !self.entries.values().any(|entry| *entry == task) {
            self.at(time, task);
        }
    }

    /// Takes back everything but what comes of things that have ended: logs of steps, instances that are gone.
    pub(super) fn keep_endings(&mut self) {
        self.entries
            .retain(|_, entry| matches!(entry, Task::PushLastLogs(_) | Task::NoticeLoss(_)));
    }

    /// When the next entry falls due.
    pub(super) fn due(&self) -> Option<Time> {
        self.entries.first_key_value().map(|((time, _), _)| *time)
    }

    /// Takes the next entry that is due.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<Task> {
        let entry = self.entries.first_entry()?;
        if entry.key().0 > now {
            None
        } else {
            Some(entry.remove())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_never_early_and_survive_floating_point_seconds() {
        for millis in [0, 1, 124, 125, 126, 999, 1_000] {
            let mut agenda = Agenda::default();
            let asked = Time::from_timestamp_millis(1_800_000_000_000 + millis).unwrap();
            agenda.at(asked, Task::Scale);
            let due = agenda.due().unwrap();
            assert!(due >= asked && (due - asked).num_milliseconds() < 125);
            let seconds = super::super::input::epoch(due).as_f64().unwrap();
            assert_eq!(seconds * 1_000.0, due.timestamp_millis() as f64);
            assert_eq!(seconds.fract() * 8.0, (seconds.fract() * 8.0).round());
        }
    }
}
