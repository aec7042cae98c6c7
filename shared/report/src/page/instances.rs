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

/// When an instance came that itself came in another's place. `None`: it may have been there from the begin.
fn came(digest: &Digest<'_>, one: &InterruptionFacts) -> Option<DateTime<Utc>> {
    let places = digest
        .report
        .interruptions
        .iter()
        .filter_map(|other| match &other.replacement {
            Replacement::Replaced { by, ready_at, .. } if by.contains(&one.interrupted.instance_id) => Some(*ready_at),
            _ => None,
        });
    // Of several that came in one's place, the last one's time is known, and when the first had an executor.
    let executors = digest.executors_on(&one.interrupted.instance_id);
    let ready = places.min()?;
    executors.iter().filter_map(|row| row.added_at).chain([ready]).min()
}

/// When an instance went, if it was interrupted, too.
fn went(digest: &Digest<'_>, instance_id: &str) -> Option<DateTime<Utc>> {
    let all = digest.report.interruptions.iter().map(|one| &one.interrupted);
    all.filter(|one| one.instance_id == instance_id)
        .find_map(|one| one.terminated_at)
}

fn lane(digest: &Digest<'_>, axis: &Axis, one: &InterruptionFacts) -> Lane {
    let interrupted = &one.interrupted;
    let executors = digest.executors_on(&interrupted.instance_id);
    let left = left(&executors, one).and_then(|row| row.removed_at);
    let noticed = interrupted.noticed_at.map(|at| axis.at(at));
    let gone = interrupted.terminated_at.map(|at| axis.at(at));
    let from = came(digest, one).map_or(0.0, |at| axis.at(at));
    let mut said = Vec::new();
    let mut bars = Vec::new();
    // What became of it after that nobody looked at.
    let stop = gone.unwrap_or(axis.at(axis.over));
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
        note: what(one, &executors).into(),
        bars,
        out,
        out_note,
        said: crate::words::capital(&format!("{}.", said.join(", "))).into(),
        ..Lane::default()
    }
}

/// `r5.xlarge, 4 units, executor 7`.
fn what(one: &InterruptionFacts, executors: &[&ExecutorRow]) -> String {
    let mut parts: Vec<String> = one.interrupted.instance_type.iter().cloned().collect();
    if executors.is_empty() {
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
            let by_first = by.first().map_or("", String::as_str);
            let until = went(digest, by_first).map_or(axis.over, |at| at.min(axis.over));
            bars.push(Bar::new(ready, axis.at(until).max(ready), "work", by_first));
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
mod tests;
