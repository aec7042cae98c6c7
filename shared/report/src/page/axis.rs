//! The one axis of time that all lanes share: seconds after the step began.

use chrono::{DateTime, TimeDelta, Utc};
use rules::replacement::Replacement;

use super::digest::Digest;
use crate::words::clock;

/// Marks of the axis at most: at 320 px each has room for its clock.
const MARKS_MAX: f64 = 8.0;
/// What happens so long after the step's end is still shown.
const AFTER: TimeDelta = TimeDelta::minutes(5);

/// The axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    /// The step's begin.
    pub zero: DateTime<Utc>,
    /// Its length in seconds.
    pub end: f64,
    /// When the step ended, or was last looked at.
    pub over: DateTime<Utc>,
}

/// A mark under the lanes.
pub(super) struct Mark {
    /// Where, in seconds.
    pub at: f64,
    /// What the clock shows.
    pub text: String,
}

impl Axis {
    /// The axis of a report; `None` where EMR does not say when the step ran.
    pub(super) fn of(digest: &Digest<'_>) -> Option<Self> {
        let report = digest.report;
        let zero = report.step.started_at?;
        let over = report
            .step
            .ended_at
            .unwrap_or(report.observed_at)
            .max(zero + TimeDelta::seconds(1));
        let ready = |one: &Replacement| match one {
            Replacement::Replaced { ready_at, .. } => Some(*ready_at),
            _ => None,
        };
        let events = report
            .interruptions
            .iter()
            .flat_map(|one| [one.interrupted.terminated_at, ready(&one.replacement)])
            .flatten()
            .filter(|at| *at <= over + AFTER);
        let last = events.chain([over]).max()?;
        Some(Self {
            zero,
            end: Self::seconds(zero, last) * 1.015,
            over,
        })
    }

    fn seconds(zero: DateTime<Utc>, at: DateTime<Utc>) -> f64 {
        (at - zero).num_milliseconds() as f64 / 1_000.0
    }

    /// Where a moment is, within the axis, to a tenth of a second.
    pub(super) fn at(&self, at: DateTime<Utc>) -> f64 {
        let seconds = Self::seconds(self.zero, at).clamp(0.0, self.end);
        (seconds * 10.0).round() / 10.0
    }

    /// The marks, at whole minutes or hours.
    pub(super) fn marks(&self) -> Vec<Mark> {
        const EVERY: [f64; 14] = [
            5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 43_200.0, 86_400.0,
        ];
        let every = self.every(&EVERY);
        let mut marks = Vec::new();
        let mut at = 0.0;
        // The last one would hang over the edge.
        while at <= self.end * 0.96 {
            marks.push(Mark {
                at,
                text: clock(at as i64),
            });
            at += every;
        }
        marks
    }

    fn every(&self, steps: &[f64]) -> f64 {
        let fits = |every: &&f64| self.end / **every <= MARKS_MAX;
        steps.iter().find(fits).copied().unwrap_or(self.end / MARKS_MAX)
    }

    /// From mark to mark, for the grid.
    pub(super) fn grid(&self) -> f64 {
        let marks = self.marks();
        marks.get(1).map_or(self.end, |second| second.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::Report;
    use crate::sample::workshop;

    fn axis(end: f64) -> Axis {
        let zero = DateTime::UNIX_EPOCH;
        Axis { zero, end, over: zero }
    }

    #[test]
    fn marks_are_few_and_none_hangs_over_the_edge() {
        for end in [1.0, 59.0, 540.0, 1_700.0, 40_000.0, 10_000_000.0] {
            let marks = axis(end).marks();
            assert!(marks.len() <= 9, "{end}: {}", marks.len());
            assert!(marks.iter().all(|mark| mark.at <= end * 0.96), "{end}");
        }
        let texts: Vec<String> = axis(540.0).marks().into_iter().map(|mark| mark.text).collect();
        assert_eq!(texts, ["0:00", "2:00", "4:00", "6:00", "8:00"]);
    }

    #[test]
    fn a_moment_outside_stands_at_the_edge() {
        let axis = axis(100.0);
        assert_eq!(axis.at(axis.zero - TimeDelta::seconds(5)), 0.0);
        assert_eq!(axis.at(axis.zero + TimeDelta::seconds(500)), 100.0);
        assert_eq!(axis.at(axis.zero + TimeDelta::milliseconds(12_340)), 12.3);
    }

    #[test]
    fn between_two_marks_there_is_a_time_that_a_clock_has_and_there_are_eight_such_times_at_most() {
        for (end, every) in [
            (4.0, 4.0),
            (40.0, 5.0),
            (40.1, 10.0),
            (240.0, 30.0),
            (241.0, 60.0),
            (600.0, 120.0),
            (28_801.0, 7_200.0),
            (691_200.0, 86_400.0),
            (800_000.0, 100_000.0),
        ] {
            assert_eq!(axis(end).grid(), every, "{end}");
        }
    }

    #[test]
    fn the_axis_ends_with_the_step_or_what_came_within_five_minutes_after_it() {
        let report = workshop();
        let (begun, ended) = (report.step.started_at.unwrap(), report.step.ended_at.unwrap());
        let drawn = |report: &Report| Axis::of(&Digest::new(report)).unwrap();
        let reaches = |report: &Report, last: DateTime<Utc>| {
            let (axis, last) = (drawn(report), (last - begun).as_seconds_f64());
            assert!(axis.end > last && axis.end < last * 1.03, "{} for {last}", axis.end);
        };
        reaches(&report, ended);
        let mut later = report.clone();
        later.interruptions[0].interrupted.terminated_at = Some(ended + AFTER);
        reaches(&later, ended + AFTER);
        later.interruptions[0].interrupted.terminated_at = Some(ended + AFTER + TimeDelta::milliseconds(1));
        reaches(&later, ended);
        if let Replacement::Replaced { ready_at, .. } = &mut later.interruptions[0].replacement {
            *ready_at = ended + TimeDelta::minutes(4);
        }
        reaches(&later, ended + TimeDelta::minutes(4));
        // Of a step that still runs, or was over at once.
        let mut open = report.clone();
        (open.step.ended_at, open.observed_at) = (None, ended + TimeDelta::minutes(1));
        reaches(&open, open.observed_at);
        open.interruptions.clear();
        (open.step.ended_at, open.observed_at) = (Some(begun), ended);
        assert_eq!(drawn(&open).over, begun + TimeDelta::seconds(1));
        open.step.started_at = None;
        assert_eq!(Axis::of(&Digest::new(&open)), None);
    }
}
