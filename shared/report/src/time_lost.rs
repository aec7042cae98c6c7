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
            spans.extend(spans_of(stage, &spark.stages, since));
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

/// What a stage attempt's time is: lost for a reason, or `None`: progress. That of one that failed is in two parts.
fn spans_of(stage: &StageRow, all: &[StageRow], since: DateTime<Utc>) -> Vec<Span> {
    let (Some(from), Some(until)) = (stage.submitted_at, stage.completed_at) else {
        return Vec::new();
    };
    if until < since {
        return vec![(from, until, None)];
    }
    let same = |other: &&StageRow| other.stage_id == stage.stage_id;
    let next = all.iter().filter(same).find(|other| other.attempt == stage.attempt + 1);
    let was_done = all
        .iter()
        .filter(same)
        .any(|other| other.attempt < stage.attempt && other.status == "COMPLETE");
    // What of it had been done stays: the next attempt has the tasks that were missing.
    let kept_until = match next {
        Some(next) if stage.status == "FAILED" => {
            let again = (next.tasks as f64 / stage.tasks.max(1) as f64).clamp(0.0, 1.0);
            until - TimeDelta::milliseconds(((until - from).num_milliseconds() as f64 * again) as i64)
        }
        _ => until,
    };
    let done = was_done.then_some(Why::Repeated);
    vec![(from, kept_until, done), (kept_until, until, Some(Why::Failed))]
}

/// The times in which something was lost and nothing went on.
fn sweep(spans: &[Span]) -> Vec<Part> {
    let mut edges: Vec<(DateTime<Utc>, i32, Option<Why>)> = spans
        .iter()
        .filter(|(from, until, _)| from <= until)
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
        let Some(why) = lost.filter(|_| going <= 0 && until > from) else {
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
        let spans: Vec<Span> = stages.iter().flat_map(|one| spans_of(one, stages, at(100))).collect();
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
    fn what_a_failed_attempt_leaves_to_the_next_went_on_until_then() {
        let stages = [
            stage(0, 0, 10, 0, 110, "COMPLETE"),
            stage(0, 1, 2, 120, 180, "COMPLETE"),
            // Half of it is there still: it went on until 160, and another stage's repetition held nothing up.
            stage(1, 0, 10, 120, 200, "FAILED"),
            stage(1, 1, 5, 200, 300, "COMPLETE"),
        ];
        let lost = [Why::Failed, Why::Repeated].map(|why| seconds(&stages, why));
        assert_eq!(lost, [40, 0]);
        // But what only repeats what was done leaves nothing new.
        let stages = [
            stage(2, 0, 10, 0, 110, "COMPLETE"),
            stage(2, 1, 10, 120, 200, "FAILED"),
            stage(2, 2, 5, 200, 230, "COMPLETE"),
        ];
        let lost = [Why::Failed, Why::Repeated].map(|why| seconds(&stages, why));
        assert_eq!(lost, [40, 70]);
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

    #[test]
    fn another_stages_attempts_are_no_repetition() {
        let stages = [
            stage(0, 0, 10, 100, 150, "COMPLETE"),
            stage(1, 0, 10, 150, 200, "FAILED"),
            stage(2, 1, 10, 200, 250, "COMPLETE"),
        ];
        let lost = [Why::Failed, Why::Repeated].map(|why| seconds(&stages, why));
        assert_eq!(
            lost,
            [0, 0],
            "none was tried again, and of none an earlier attempt is known"
        );
        // Nor is it one to do what an attempt that failed had not.
        let stages = [
            stage(1, 0, 10, 100, 200, "FAILED"),
            stage(1, 1, 0, 200, 250, "COMPLETE"),
        ];
        assert_eq!(seconds(&stages, Why::Repeated), 0);
    }

    #[test]
    fn a_stage_that_ends_with_the_first_notice_is_not_before_it() {
        let lost_until = |until| {
            let stages = [
                stage(1, 0, 10, 50, until, "FAILED"),
                stage(1, 1, 10, 300, 400, "COMPLETE"),
            ];
            seconds(&stages, Why::Failed)
        };
        assert_eq!([99, 100].map(lost_until), [0, 50]);
    }

    #[test]
    fn an_attempt_without_begin_or_end_or_of_no_tasks_is_no_lost_time() {
        let mut running = stage(0, 1, 10, 160, 180, "RUNNING");
        running.completed_at = None;
        let stages = [
            stage(0, 0, 10, 0, 150, "COMPLETE"),
            running,
            stage(1, 0, 0, 200, 220, "FAILED"),
            stage(1, 1, 0, 220, 240, "COMPLETE"),
            // A log that is damaged.
            stage(2, 0, -5, 240, 260, "FAILED"),
            stage(2, 1, -5, 260, 280, "COMPLETE"),
        ];
        assert_eq!([Why::Failed, Why::Repeated].map(|why| seconds(&stages, why)), [0, 0]);
    }

    #[test]
    fn seconds_lost_twice_are_lost_once_and_told_by_what_weighs_most() {
        let span = |from, until, why| (at(from), at(until), why);
        let parts = |spans: &[Span]| -> Vec<(i64, i64, Why)> {
            let told = |part: &Part| (part.from.timestamp(), part.until.timestamp(), part.why);
            sweep(spans).iter().map(told).collect()
        };
        let (began, failed, repeated) = (Some(Why::BeganAgain), Some(Why::Failed), Some(Why::Repeated));
        assert_eq!(
            parts(&[span(10, 40, repeated), span(10, 20, failed), span(0, 15, began)]),
            [(0, 15, Why::BeganAgain), (15, 20, Why::Failed), (20, 40, Why::Repeated)]
        );
        assert_eq!(
            parts(&[span(10, 30, repeated), span(10, 20, failed)]),
            [(10, 20, Why::Failed), (20, 30, Why::Repeated)]
        );
        // Side by side they are one; with time between them, or in which something went on, they are not.
        assert_eq!(
            parts(&[span(0, 10, failed), span(10, 20, failed), span(21, 30, failed)]),
            [(0, 20, Why::Failed), (21, 30, Why::Failed)]
        );
        assert_eq!(
            parts(&[span(0, 50, repeated), span(20, 30, None), span(25, 40, None)]),
            [(0, 20, Why::Repeated), (40, 50, Why::Repeated)]
        );
        // What takes no time takes none away.
        assert_eq!(
            parts(&[span(10, 10, None), span(0, 20, repeated), span(5, 5, failed)]),
            [(0, 20, Why::Repeated)]
        );
        assert_eq!(parts(&[span(30, 20, repeated)]), []);
    }

    #[test]
    fn half_a_second_and_more_is_a_second() {
        let lost = |ms: i64, why| Part {
            from: at(7),
            until: at(7) + TimeDelta::milliseconds(ms),
            why,
        };
        let rounds = [499, 500, 1_499].map(|ms| {
            let lost = TimeLost {
                parts: vec![lost(ms, Why::Failed)],
            };
            (
                lost.seconds(),
                lost.seconds_of(Why::Failed),
                lost.seconds_of(Why::Repeated),
            )
        });
        assert_eq!(rounds, [(0, 0, 0), (1, 1, 0), (1, 1, 0)]);
        let both = TimeLost {
            parts: vec![lost(20_000, Why::Failed), lost(3_000, Why::Repeated)],
        };
        assert_eq!((both.seconds(), both.seconds_of(Why::Repeated)), (23, 3));
    }

    #[test]
    fn only_a_loss_that_counts_has_a_price_and_an_earlier_attempt_is_one_where_a_loss_ended_it() {
        let lost = |report: &Report| {
            TimeLost::of(report).map(|lost| [Why::BeganAgain, Why::Repeated].map(|why| lost.seconds_of(why)))
        };
        let mut report = crate::sample::workshop();
        assert_eq!(lost(&report), Some([0, 56]));
        // The attempt that the log tells of began 100 seconds after the application.
        let spark = report.spark.as_mut().unwrap();
        report.run.as_mut().unwrap().began_at = spark.started_at.unwrap() - TimeDelta::seconds(100);
        assert_eq!(
            lost(&report),
            Some([0, 56]),
            "nobody says that it began again by a loss"
        );
        report
            .judgement
            .reasons
            .push(format!("{BEGAN_AGAIN}: YARN made 2 attempts."));
        assert_eq!(lost(&report), Some([100, 56]));
        // Of those that went without a notice reaching us the end tells; the repeated stage came before this one.
        for one in &mut report.interruptions {
            one.interrupted.noticed_at = None;
            one.interrupted.terminated_at = report.step.ended_at;
        }
        assert_eq!(lost(&report), Some([100, 0]));
        report
            .interruptions
            .iter_mut()
            .for_each(|one| one.loss.bearing = Bearing::NothingThere);
        assert_eq!(lost(&report), Some([0, 0]));
        report.spark = None;
        assert_eq!(lost(&report), None);
    }
}
