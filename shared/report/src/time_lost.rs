//! What of the run's time went into work that failed or that had been done before.
//!
//! By wall clock, which is what somebody waits for: seconds in which the application did nothing but fail and repeat. A
//! second in which another stage went on is none of them.

use chrono::{DateTime, TimeDelta, Utc};
use rules::bearing::Bearing;
use rules::verdict::BEGAN_AGAIN;

use crate::{Report, StageRow};

/// Why a part of the run was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// An earlier attempt of the application, of which nothing was left.
    BeganAgain,
    /// A stage attempt that failed, as far as its tasks had to run again.
    Failed,
    /// A stage attempt that repeated what had been done.
    Repeated,
}

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// From when.
    pub from: DateTime<Utc>,
    /// To when.
    pub until: DateTime<Utc>,
    /// Why it was lost.
    pub why: Why,
}

/// The parts of a run that were lost, in their order and side by side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeLost {
    /// The parts.
    pub parts: Vec<Part>,
}

impl TimeLost {
    /// What a run lost to interruptions; `None` where no event log tells.
    ///
    /// A stage is tried again only when a fetch of shuffle output failed:
    /// <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/scheduler/DAGScheduler.scala>.
    pub fn of(report: &Report) -> Option<Self> {
        let spark = report.spark.as_ref()?;
        let since = report
            .interruptions
            .iter()
            .filter(|one| one.loss.bearing == Bearing::Counts)
            .filter_map(|one| one.interrupted.noticed_at.or(one.interrupted.terminated_at))
            .min();
        let Some(since) = since else {
            return Some(Self::default());
        };
        let mut spans = Vec::new();
        if let (true, Some(run), Some(until)) = (began_again(report), report.run, spark.started_at) {
            spans.push((run.began_at, until, Some(Why::BeganAgain)));
        }
        for stage in &spark.stages {
            spans.extend(span(stage, &spark.stages, since));
        }
        Some(Self { parts: sweep(&spans) })
    }

    /// All of them, in seconds.
    pub fn seconds(&self) -> i64 {
        let lost: TimeDelta = self.parts.iter().map(|part| part.until - part.from).sum();
        rounded(lost)
    }

    /// Those lost for this reason, in seconds.
    pub fn seconds_of(&self, why: Why) -> i64 {
        let of_it = self.parts.iter().filter(|part| part.why == why);
        rounded(of_it.map(|part| part.until - part.from).sum())
    }
}

fn rounded(time: TimeDelta) -> i64 {
    (time.num_milliseconds() + 500) / 1_000
}

/// Did the application begin again because of a loss?
pub(crate) fn began_again(report: &Report) -> bool {
    let reasons = &report.judgement.reasons;
    reasons.iter().any(|reason| reason.starts_with(BEGAN_AGAIN))
}

type Span = (DateTime<Utc>, DateTime<Utc>, Option<Why>);

/// What a stage attempt's time is: lost for a reason, or `None`: progress.
fn span(stage: &StageRow, all: &[StageRow], since: DateTime<Utc>) -> Option<Span> {
    let (from, until) = (stage.submitted_at?, stage.completed_at?);
    let same = |other: &&StageRow| other.stage_id == stage.stage_id;
    let next = all.iter().filter(same).find(|other| other.attempt == stage.attempt + 1);
    let is_failed = |one: &StageRow| one.status == "FAILED";
    let was_done = all
        .iter()
        .filter(same)
        .any(|other| other.attempt < stage.attempt && other.status == "COMPLETE");
    match next {
        _ if until < since => Some((from, until, None)),
        Some(next) if is_failed(stage) => {
            // What of it had been done stays: the next attempt has the tasks that were missing.
            let again = next.tasks.clamp(0, stage.tasks);
            let lost = (until - from) * i32::try_from(again).ok()? / i32::try_from(stage.tasks).ok()?.max(1);
            Some((until - lost, until, Some(Why::Failed)))
        }
        _ if was_done => Some((from, until, Some(Why::Repeated))),
        _ => Some((from, until, None)),
    }
}

/// The times in which something was lost and nothing went on.
fn sweep(spans: &[Span]) -> Vec<Part> {
    let mut edges: Vec<(DateTime<Utc>, i32, Option<Why>)> = spans
        .iter()
        .filter(|(from, until, _)| until > from)
        .flat_map(|(from, until, why)| [(*from, 1, *why), (*until, -1, *why)])
        .collect();
    edges.sort_unstable_by_key(|(at, _, _)| *at);
    let kinds = [Why::BeganAgain, Why::Failed, Why::Repeated];
    let (mut going, mut open) = (0, [0; 3]);
    let mut parts: Vec<Part> = Vec::new();
    for pair in edges.windows(2) {
        let [(from, change, why), (until, _, _)] = pair else {
            continue;
        };
        match kinds.iter().position(|kind| Some(*kind) == *why) {
            Some(kind) => open[kind] += change,
            None => going += change,
        }
        let lost = kinds
            .iter()
            .zip(open)
            .find(|(_, open)| *open > 0)
            .map(|(kind, _)| *kind);
        let Some(why) = lost.filter(|_| going == 0 && until > from) else {
            continue;
        };
        match parts.last_mut().filter(|last| last.until == *from && last.why == why) {
            Some(last) => last.until = *until,
            None => parts.push(Part {
                from: *from,
                until: *until,
                why,
            }),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn stage(stage_id: i64, attempt: i64, tasks: i64, from: i64, until: i64, status: &str) -> StageRow {
        StageRow {
            stage_id,
            attempt,
            name: String::new(),
            tasks,
            submitted_at: Some(at(from)),
            completed_at: Some(at(until)),
            status: status.into(),
            failure_reason: None,
            task_time_ms: 0,
            longest_task_ms: 0,
            fetch_failed_from: None,
        }
    }

    fn seconds(stages: &[StageRow], why: Why) -> i64 {
        let spans: Vec<Span> = stages.iter().filter_map(|one| span(one, stages, at(100))).collect();
        TimeLost { parts: sweep(&spans) }.seconds_of(why)
    }

    #[test]
    fn a_repeated_stage_is_lost_time_and_a_first_one_is_none() {
        let stages = [
            stage(0, 0, 10, 0, 150, "COMPLETE"),
            stage(0, 1, 2, 160, 180, "COMPLETE"),
        ];
        assert_eq!(
            (seconds(&stages, Why::Repeated), seconds(&stages, Why::Failed)),
            (20, 0)
        );
    }

    #[test]
    fn of_a_failed_attempt_only_what_had_to_run_again_is_lost() {
        let stages = [
            stage(1, 0, 100, 120, 220, "FAILED"),
            stage(1, 1, 60, 220, 300, "COMPLETE"),
        ];
        assert_eq!(
            (seconds(&stages, Why::Failed), seconds(&stages, Why::Repeated)),
            (60, 0)
        );
    }

    #[test]
    fn a_second_in_which_another_stage_goes_on_is_not_lost() {
        let stages = [
            stage(0, 0, 10, 0, 150, "COMPLETE"),
            stage(0, 1, 2, 160, 180, "COMPLETE"),
            stage(5, 0, 2, 170, 400, "COMPLETE"),
        ];
        assert_eq!(seconds(&stages, Why::Repeated), 10);
    }

    #[test]
    fn what_failed_before_the_first_notice_is_no_price_of_it() {
        let stages = [stage(1, 0, 10, 0, 50, "FAILED"), stage(1, 1, 10, 50, 90, "COMPLETE")];
        assert_eq!(seconds(&stages, Why::Failed), 0);
    }
}
