//! What several parts of the page look at: the report, and what counts in it.

use chrono::{DateTime, TimeDelta, Utc};
use rules::bearing::Bearing;
use rules::cluster::Role;
use rules::hit::InterruptionFacts;
use rules::interruption::Cause;
use rules::replacement::Replacement;

use crate::time_lost::TimeLost;
use crate::words::clock;
use crate::{Finding, Report};

/// What goes within so long of one another goes together.
const TOGETHER: TimeDelta = TimeDelta::seconds(60);

/// A report, digested.
pub(super) struct Digest<'a> {
    /// The report.
    pub report: &'a Report,
    /// The interruptions that took something of the job, or of which nobody can tell.
    pub counted: Vec<&'a InterruptionFacts>,
    /// All that went while the job ran, those with nothing of it on them too.
    pub inside: Vec<&'a InterruptionFacts>,
    /// What the run lost. `None`: no event log tells.
    pub lost: Option<TimeLost>,
}

impl<'a> Digest<'a> {
    /// Digests a report.
    pub(super) fn new(report: &'a Report) -> Self {
        let counts = |one: &&InterruptionFacts| one.loss.bearing == Bearing::Counts;
        Self {
            report,
            counted: report.interruptions.iter().filter(counts).collect(),
            inside: report.interruptions.iter().filter(|one| one.loss.is_inside()).collect(),
            lost: TimeLost::of(report),
        }
    }

    /// Seconds after the step's begin, as a clock shows them.
    pub(super) fn after_begin(&self, at: DateTime<Utc>) -> String {
        match self.report.step.started_at {
            Some(begun) => clock((at - begun).num_seconds()),
            None => at.format("%H:%M:%S").to_string(),
        }
    }

    /// Is it known of all the task capacity that went while the job ran whether it was made up for? Else a dip is only of
    /// that of which it is.
    pub(super) fn is_whole_dip(&self) -> bool {
        let mut tasks = self
            .inside
            .iter()
            .filter(|one| one.interrupted.role == Some(Role::Task));
        tasks.all(|one| !matches!(one.replacement, Replacement::Unknown { .. }))
    }

    /// The name of the file beside the page, in which all of it is.
    pub(super) fn json(&self) -> &'static str {
        if self.report.interim {
            "interim.json"
        } else {
            "report.json"
        }
    }

    /// How many of the counted went by a cause of this kind.
    pub(super) fn count(&self, is: fn(&Cause) -> bool) -> usize {
        self.counted.iter().filter(|one| is(&one.interrupted.cause)).count()
    }

    /// Whether one of the findings has this id.
    pub(super) fn finding(&self, id: &str) -> Option<&'a Finding> {
        self.report.findings.iter().find(|finding| finding.id == id)
    }

    /// How an instance's executors are called: `executor 7`, `executors 4, 7 and 9`.
    pub(super) fn executors_on(&self, instance_id: &str) -> Vec<&'a crate::ExecutorRow> {
        let spark = self.report.spark.iter();
        let rows = spark.flat_map(|spark| &spark.executors);
        rows.filter(|row| row.instance_id.as_deref() == Some(instance_id))
            .collect()
    }
}

/// Units of the task instances among these.
pub(super) fn task_units(of: &[&InterruptionFacts]) -> u32 {
    let tasks = of.iter().filter(|one| one.interrupted.role == Some(Role::Task));
    tasks.map(|one| one.interrupted.units).sum()
}

/// Did all of these go together? Else in waves, one after the other.
pub(super) fn at_once(of: &[&InterruptionFacts]) -> bool {
    let gone = of.iter().filter_map(|one| one.interrupted.terminated_at);
    match (gone.clone().min(), gone.max()) {
        (Some(first), Some(last)) => last - first <= TOGETHER,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::workshop;

    #[test]
    fn what_goes_within_a_minute_goes_at_once() {
        let report = workshop();
        let mut two = [report.interruptions[0].clone(), report.interruptions[1].clone()];
        let first = two[0].interrupted.terminated_at;
        let mut apart = |seconds| {
            two[1].interrupted.terminated_at = first.map(|at| at + TimeDelta::seconds(seconds));
            at_once(&two.iter().collect::<Vec<_>>())
        };
        assert_eq!([0, 60, 61, -61].map(&mut apart), [true, true, false, false]);
        assert!(at_once(&[]));
    }

    #[test]
    fn units_are_those_of_task_instances() {
        let mut report = workshop();
        report.interruptions[0].interrupted.role = Some(Role::Core);
        report.interruptions[1].interrupted.role = None;
        let digest = Digest::new(&report);
        assert_eq!((digest.inside.len(), task_units(&digest.inside)), (3, 4));
    }

    #[test]
    fn a_moment_is_a_clock_after_the_begin_or_one_of_the_day() {
        let mut report = workshop();
        let at = report.step.started_at.unwrap() + TimeDelta::seconds(61);
        assert_eq!(Digest::new(&report).after_begin(at), "1:01");
        report.step.started_at = None;
        assert_eq!(Digest::new(&report).after_begin(at), "14:04:46");
    }
}
