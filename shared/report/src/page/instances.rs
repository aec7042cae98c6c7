//! The lanes of interrupted instances: at work, warned, drained, gone, replaced. Many are drawn together.

use chrono::{DateTime, TimeDelta, Utc};
use rules::bearing::Bearing;
use rules::hit::InterruptionFacts;
use rules::interruption::Cause;
use rules::replacement::Replacement;

use super::axis::Axis;
use super::digest::Digest;
use super::lane::{Bar, Lane, length};
use crate::words::{list, number, plural, span};
use crate::{ExecutorRow, Text};

/// So many instances have a lane each; more are drawn together by their notices.
const LANES_MAX: usize = 12;
/// Notices this near to one another are of one wave.
const WAVE_SECONDS: i64 = 60;
/// An executor that comes so long after its instance came because of it.
const SOON: TimeDelta = TimeDelta::minutes(2);
/// Groups at most; the last one takes the rest.
const GROUPS_MAX: usize = 8;

/// The lanes of all interrupted instances.
pub(super) fn lanes(digest: &Digest<'_>, axis: &Axis) -> Vec<Lane> {
    let all: Vec<&InterruptionFacts> = digest.report.interruptions.iter().collect();
    let mut lanes: Vec<Lane> = if all.len() <= LANES_MAX {
        all.iter().map(|one| lane(digest, axis, one)).collect()
    } else {
        groups(&all).iter().map(|group| together(digest, axis, group)).collect()
    };
    if let Some(first) = lanes.first_mut() {
        first.group = true;
    }
    lanes
}

/// The executor that left an instance last, before it went.
fn left<'a>(executors: &[&'a ExecutorRow], one: &InterruptionFacts) -> Option<&'a ExecutorRow> {
    let (noticed, gone) = (one.interrupted.noticed_at?, one.interrupted.terminated_at?);
    let is_at_work = |row: &&ExecutorRow| row.removed_at.is_none_or(|at| at >= gone);
    if executors.iter().any(is_at_work) {
        return None;
    }
    let last = executors.iter().copied().max_by_key(|row| row.removed_at)?;
    last.removed_at.is_some_and(|at| at >= noticed).then_some(last)
}

fn lane(digest: &Digest<'_>, axis: &Axis, one: &InterruptionFacts) -> Lane {
    let interrupted = &one.interrupted;
    let executors = digest.executors_on(&interrupted.instance_id);
    let left = left(&executors, one).and_then(|row| row.removed_at);
    let noticed = interrupted.noticed_at.map(|at| axis.at(at));
    let gone = interrupted.terminated_at.map(|at| axis.at(at));
    let begun = executors.iter().filter_map(|row| row.added_at).min();
    let from = 0.0;
    let mut said = Vec::new();
    let mut bars = Vec::new();
    let stop = gone.unwrap_or(axis.end);
    let warned_at = noticed.unwrap_or(stop);
    bars.push(Bar::new(from, warned_at, "work", ""));
    if let Some(at) = interrupted.noticed_at {
        said.push(format!("warned at {}", digest.after_begin(at)));
    }
    let drained = left.map_or(stop, |at| axis.at(at));
    bars.push(Bar::new(warned_at, drained, "warned", "warned"));
    if let Some(at) = left {
        bars.push(Bar::new(drained, stop, "drained", "drained"));
        said.push(format!("its executors had left at {}", digest.after_begin(at)));
    }
    if let Some(at) = interrupted.terminated_at {
        said.push(format!("gone at {}", digest.after_begin(at)));
    }
    let (out, out_note) = fate(digest, axis, one, gone, &mut bars, &mut said);
    bars.retain(Bar::is_there);
    Lane {
        name: interrupted.instance_id.as_str().into(),
        is_id: true,
        note: what(one, &executors, begun.is_some()).into(),
        bars,
        out,
        out_note,
        said: crate::words::capital(&format!("{}.", said.join(", "))).into(),
        ..Lane::default()
    }
}

/// `r5.xlarge, 4 units, executor 7`.
fn what(one: &InterruptionFacts, executors: &[&ExecutorRow], has_any: bool) -> String {
    let mut parts: Vec<String> = one.interrupted.instance_type.iter().cloned().collect();
    if !has_any {
        parts.push(plural(one.interrupted.units as usize, "unit"));
    }
    if one.loss.held.iter().any(|held| held == "driver") {
        parts.push("driver".into());
    }
    let ids: Vec<String> = executors.iter().map(|row| row.id.clone()).collect();
    match ids.len() {
        0 => {}
        1 => parts.push(format!("executor {}", ids[0])),
        _ => parts.push(format!("executors {}", list(&ids, 4))),
    }
    if one.interrupted.cause == Cause::Natural {
        parts.push("by EC2 itself".into());
    }
    parts.join(", ")
}

/// The time after the loss: gone, and what came in its place.
fn fate(
    digest: &Digest<'_>,
    axis: &Axis,
    one: &InterruptionFacts,
    gone: Option<f64>,
    bars: &mut Vec<Bar>,
    said: &mut Vec<String>,
) -> (Text, Text) {
    let Some(gone) = gone else {
        return ("not gone yet".into(), "".into());
    };
    match &one.replacement {
        Replacement::Replaced {
            by,
            ready_at,
            seconds_after_notice,
            seconds_after_loss,
            ..
        } => {
            let ready = axis.at(*ready_at).max(gone);
            bars.push(Bar::new(gone, ready, "gone", format!("gone {}", length(gone, ready))));
            bars.push(Bar::new(
                ready,
                axis.at(axis.over).max(ready),
                "work",
                by.first().map_or("", String::as_str),
            ));
            said.push(format!(
                "replaced by {} at {}",
                list(by, 3),
                digest.after_begin(*ready_at)
            ));
            let came = by
                .iter()
                .flat_map(|id| digest.executors_on(id))
                .filter_map(|row| Some((row.added_at?, row)))
                .filter(|(at, _)| *at - *ready_at <= SOON)
                .min_by_key(|(at, _)| *at);
            let note = came.map(|(at, row)| format!("executor {} at {}", row.id, digest.after_begin(at)));
            let out = match (seconds_after_notice, seconds_after_loss) {
                (_, ..0) => format!("back {} before it went", span(-seconds_after_loss)),
                (Some(seconds), _) => format!("back in {}", span(*seconds)),
                (None, seconds) => format!("back {} later", span(*seconds)),
            };
            (out.into(), note.unwrap_or_default().into())
        }
        other => {
            let end = axis.at(axis.over).max(gone);
            let (out, note) = match other {
                Replacement::NotReplaced { .. } => ("not replaced", ""),
                Replacement::NotExpected { .. } if one.loss.bearing == Bearing::AfterTheRun => ("after the job", ""),
                Replacement::NotExpected { .. } => ("none expected", ""),
                _ => ("not known", "whether replaced"),
            };
            bars.push(Bar::new(gone, end, "gone", "gone"));
            said.push(format!("{out} {note}").trim_end().to_owned());
            (out.into(), note.into())
        }
    }
}

/// By waves of notices, in their order.
fn groups<'a>(all: &[&'a InterruptionFacts]) -> Vec<Vec<&'a InterruptionFacts>> {
    let when = |one: &InterruptionFacts| one.interrupted.noticed_at.or(one.interrupted.terminated_at);
    let mut sorted = all.to_vec();
    sorted.sort_by_key(|one| when(one));
    let mut groups: Vec<Vec<&InterruptionFacts>> = Vec::new();
    for one in sorted {
        let count = groups.len();
        match groups.last_mut() {
            Some(group) if count >= GROUPS_MAX || is_near(when(group[0]), when(one)) => group.push(one),
            _ => groups.push(vec![one]),
        }
    }
    groups
}

fn is_near(first: Option<DateTime<Utc>>, next: Option<DateTime<Utc>>) -> bool {
    match (first, next) {
        (Some(first), Some(next)) => (next - first).num_seconds() <= WAVE_SECONDS,
        (first, next) => first.is_none() && next.is_none(),
    }
}

/// One lane for a wave: from the first notice to the last replacement.
fn together(digest: &Digest<'_>, axis: &Axis, group: &[&InterruptionFacts]) -> Lane {
    let noticed = group.iter().filter_map(|one| one.interrupted.noticed_at).min();
    let gone: Vec<DateTime<Utc>> = group.iter().filter_map(|one| one.interrupted.terminated_at).collect();
    let (first_gone, last_gone) = (gone.iter().min().copied(), gone.iter().max().copied());
    let ready: Vec<f64> = group
        .iter()
        .filter_map(|one| match &one.replacement {
            Replacement::Replaced { ready_at, .. } => Some(axis.at(*ready_at)),
            _ => None,
        })
        .collect();
    let over = axis.at(axis.over);
    let stop = first_gone.map_or(over, |at| axis.at(at));
    let warned = noticed.map_or(stop, |at| axis.at(at));
    let until = if ready.len() == group.len() {
        ready.iter().copied().reduce(f64::max).unwrap_or(over)
    } else {
        over
    };
    let mut bars = vec![
        Bar::new(0.0, warned, "work", ""),
        Bar::new(warned, stop, "warned", "warned"),
        Bar::new(
            stop,
            until.max(stop),
            "gone",
            format!("{} gone", number(gone.len() as u64)),
        ),
        Bar::new(until.max(stop), over, "work", "replaced"),
    ];
    bars.retain(Bar::is_there);
    let units: u32 = group.iter().map(|one| one.interrupted.units).sum();
    let at = |at: Option<DateTime<Utc>>| at.map_or_else(|| "an unknown time".to_owned(), |at| digest.after_begin(at));
    Lane {
        name: plural(group.len(), "instance").into(),
        note: format!("{}, warned at {}", plural(units as usize, "unit"), at(noticed)).into(),
        bars,
        out: format!("{} replaced", number(ready.len() as u64)).into(),
        out_note: format!("of {}", number(group.len() as u64)).into(),
        said: format!(
            "Warned from {} on, gone between {} and {}; {} of {} replaced.",
            at(noticed),
            at(first_gone),
            at(last_gone),
            ready.len(),
            group.len()
        )
        .into(),
        ..Lane::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::workshop;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    /// An instance that was warned and went, and what came in its place.
    fn one(noticed: i64, gone: i64, ready: Option<i64>) -> InterruptionFacts {
        let mut one = workshop().interruptions.remove(0);
        one.interrupted.noticed_at = Some(at(noticed));
        one.interrupted.terminated_at = Some(at(gone));
        one.replacement = match ready {
            Some(ready) => Replacement::Replaced {
                by: vec!["i-2".into()],
                listed_at: None,
                ready_at: at(ready),
                seconds_after_notice: Some(ready - noticed),
                seconds_after_loss: ready - gone,
            },
            None => Replacement::NotReplaced {
                why: "none came".into(),
            },
        };
        one
    }

    #[test]
    fn an_instance_is_drained_when_the_last_of_its_executors_left_after_the_notice_and_before_it_went() {
        let instance = one(100, 220, None);
        let last = |removed: &[Option<i64>]| {
            let row = workshop().spark.unwrap().executors.remove(0);
            let rows: Vec<ExecutorRow> = removed
                .iter()
                .map(|seconds| ExecutorRow {
                    removed_at: seconds.map(at),
                    ..row.clone()
                })
                .collect();
            let left = left(&rows.iter().collect::<Vec<&ExecutorRow>>(), &instance);
            left.and_then(|row| row.removed_at)
        };
        assert_eq!(last(&[Some(150), Some(120)]), Some(at(150)));
        assert_eq!(last(&[Some(100)]), Some(at(100)));
        assert_eq!(last(&[Some(99)]), None, "that was not for the notice");
        assert_eq!(last(&[Some(219)]), Some(at(219)));
        assert_eq!(last(&[Some(150), Some(220)]), None, "one went with it");
        assert_eq!(last(&[Some(150), None]), None, "one is still there");
    }

    #[test]
    fn notices_within_a_minute_of_the_first_are_of_one_wave_and_the_last_group_takes_the_rest() {
        let waves = |noticed: &[i64]| {
            let all: Vec<InterruptionFacts> = noticed.iter().map(|seconds| one(*seconds, 9_999, None)).collect();
            let groups = groups(&all.iter().collect::<Vec<&InterruptionFacts>>());
            groups.iter().map(Vec::len).collect::<Vec<usize>>()
        };
        assert_eq!(waves(&[61, 0, 60, 30]), [3, 1]);
        let far: Vec<i64> = (0..10).map(|number| number * 100).collect();
        assert_eq!(waves(&far), [1, 1, 1, 1, 1, 1, 1, 3]);
    }

    #[test]
    fn a_wave_is_over_when_the_last_place_is_taken_and_lasts_to_the_end_where_one_is_not() {
        let axis = Axis {
            zero: at(0),
            end: 1_000.0,
            over: at(900),
        };
        let drawn = |group: &[InterruptionFacts]| {
            let report = workshop();
            let lane = together(
                &Digest::new(&report),
                &axis,
                &group.iter().collect::<Vec<&InterruptionFacts>>(),
            );
            let bars: Vec<(&str, f64, f64)> = lane.bars.iter().map(|bar| (bar.class, bar.from, bar.until)).collect();
            (bars, format!("{} {}", lane.out.as_str(), lane.out_note.as_str()))
        };
        let until_gone = [("work", 0.0, 100.0), ("warned", 100.0, 220.0)];
        let (bars, out) = drawn(&[one(100, 220, Some(350)), one(110, 230, Some(300))]);
        assert_eq!(bars[..2], until_gone);
        assert_eq!(bars[2..], [("gone", 220.0, 350.0), ("work", 350.0, 900.0)]);
        assert_eq!(out, "2 replaced of 2");
        let (bars, out) = drawn(&[one(100, 220, Some(350)), one(110, 230, None)]);
        assert_eq!(bars[..2], until_gone);
        assert_eq!(bars[2..], [("gone", 220.0, 900.0)]);
        assert_eq!(out, "1 replaced of 2");
        let (bars, _) = drawn(&[one(100, 220, Some(150))]);
        assert_eq!(bars[2..], [("work", 220.0, 900.0)], "it was back before it went");
    }

    #[test]
    fn a_wave_says_its_moments_as_the_rest_of_the_page_does_and_not_where_the_axis_cuts_them() {
        let report = workshop();
        let begun = report.step.started_at.unwrap();
        let axis = Axis {
            zero: begun,
            end: 100.0,
            over: begun + TimeDelta::seconds(90),
        };
        let moment = |ms| Some(begun + TimeDelta::milliseconds(ms));
        let mut all = [one(0, 0, None), one(0, 0, None)];
        (all[0].interrupted.noticed_at, all[0].interrupted.terminated_at) = (moment(10_600), moment(130_600));
        (all[1].interrupted.noticed_at, all[1].interrupted.terminated_at) = (None, moment(600_000));
        let lane = together(&Digest::new(&report), &axis, &all.iter().collect::<Vec<_>>());
        assert_eq!(lane.note.as_str(), "8 units, warned at 0:10");
        assert_eq!(
            lane.said.as_str(),
            "Warned from 0:10 on, gone between 2:10 and 10:00; 0 of 2 replaced."
        );
    }
}
