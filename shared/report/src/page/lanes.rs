//! The picture: what happened, in lanes on one axis.

use chrono::{DateTime, Utc};
use rules::interruption::NOTICE;
use rules::verdict::Verdict;
use spark_log::same_host;

use super::axis::{Axis, Mark};
use super::digest::{Digest, task_units};
use super::lane::{Bar, Curve, Lane, length};
use super::{instances, stages};
use crate::ExecutorRow;
use crate::time_lost::Why;
use crate::words::{clock, number, percent, plural, span};

/// The picture.
pub(super) struct Lanes {
    /// Length of the axis in seconds.
    pub end: f64,
    /// From grid line to grid line.
    pub grid: f64,
    /// Moments that all lanes share.
    pub moments: Vec<Bar>,
    /// Marks of the axis.
    pub marks: Vec<Mark>,
    /// The lanes.
    pub lanes: Vec<Lane>,
    /// What is not drawn.
    pub more: Option<String>,
}

/// Draws a report; `None` where EMR does not say when the step ran.
pub(super) fn draw(digest: &Digest<'_>) -> Option<Lanes> {
    let axis = Axis::of(digest)?;
    let mut lanes = vec![run(digest, &axis)];
    lanes.extend(instances::lanes(digest, &axis));
    lanes.extend(capacity(digest, &axis));
    lanes.extend(executors(digest, &axis));
    let (of_stages, hidden) = stages::lanes(digest, &axis);
    lanes.extend(of_stages);
    Some(Lanes {
        end: axis.end,
        grid: axis.grid(),
        moments: moments(digest, &axis),
        marks: axis.marks(),
        lanes,
        more: stages::more(hidden, digest.json()),
    })
}

/// The first notice, the first loss, all back, the end: each as wide as its text may be.
fn moments(digest: &Digest<'_>, axis: &Axis) -> Vec<Bar> {
    let around = &digest.report.interruptions;
    let dip = digest
        .report
        .capacity
        .as_ref()
        .and_then(|capacity| capacity.dip.as_ref());
    let found = [
        (
            around.iter().filter_map(|one| one.interrupted.noticed_at).min(),
            "notice",
        ),
        (
            around.iter().filter_map(|one| one.interrupted.terminated_at).min(),
            "first gone",
        ),
        (
            dip.and_then(|dip| dip.until).filter(|_| digest.is_whole_dip()),
            "all back",
        ),
        (
            digest.report.step.ended_at,
            if digest.report.judgement.verdict == Verdict::Failed {
                "failed"
            } else {
                "end"
            },
        ),
    ];
    let mut at: Vec<(f64, String)> = found
        .into_iter()
        .filter_map(|(at, what)| {
            let at = at?;
            let text = format!("{} {what}", digest.after_begin(at));
            (at >= axis.zero).then(|| (axis.at(at), text))
        })
        .collect();
    at.sort_by(|one, other| one.0.total_cmp(&other.0));
    let ends: Vec<f64> = at.iter().skip(1).map(|(at, _)| *at).chain([axis.end]).collect();
    at.into_iter()
        .zip(ends)
        .map(|((from, text), until)| Bar::new(from, until, "moment", text))
        .collect()
}

/// What the run's time went into.
fn run(digest: &Digest<'_>, axis: &Axis) -> Lane {
    let report = digest.report;
    let over = axis.at(axis.over);
    let (began, ended) = report.run.map_or((0.0, over), |run| {
        (axis.at(run.began_at), axis.at(run.ended_at).min(over))
    });
    let mut bars = vec![Bar::new(0.0, began, "idle", "")];
    let mut said = vec![format!(
        "The {} ran from {} to {}",
        if report.run.is_some() { "application" } else { "step" },
        clock(began as i64),
        clock(ended as i64)
    )];
    let mut at = began;
    for part in digest.lost.iter().flat_map(|lost| &lost.parts) {
        let (from, until) = (axis.at(part.from).max(at), axis.at(part.until).max(at));
        bars.push(Bar::new(at, from, "work", ""));
        let (class, what) = match part.why {
            Why::BeganAgain => ("lost", "lost with its driver"),
            Why::Failed => ("lost", "failed"),
            Why::Repeated => ("again", "repeated"),
        };
        bars.push(Bar::new(from, until, class, format!("{} {what}", length(from, until))));
        said.push(format!("from {} to {} {what}", clock(from as i64), clock(until as i64)));
        at = until;
    }
    bars.push(Bar::new(
        at,
        ended,
        "work",
        if digest.lost.is_none() { "" } else { "work" },
    ));
    bars.push(Bar::new(ended, over, "idle", ""));
    bars.retain(Bar::is_there);
    let lost = digest.lost.as_ref().map_or(0, crate::TimeLost::seconds);
    let share = report
        .run_seconds
        .and_then(|run| percent(lost, run))
        .filter(|_| lost > 0);
    Lane {
        group: true,
        name: "The run".into(),
        note: "what the time went into".into(),
        bars,
        out: report.run_seconds.map_or_else(|| "still runs".to_owned(), span).into(),
        out_note: share.map(|share| format!("{share} % lost")).unwrap_or_default().into(),
        said: format!("{}.", said.join("; ")).into(),
        ..Lane::default()
    }
}

fn capacity(digest: &Digest<'_>, axis: &Axis) -> Option<Lane> {
    let capacity = digest.report.capacity.as_ref()?;
    let over = axis.at(axis.over);
    let levels: Vec<(f64, u32)> = capacity
        .levels
        .iter()
        .filter(|level| level.at <= axis.over)
        .map(|level| (axis.at(level.at), level.units))
        .collect();
    let hole = capacity.dip.as_ref().map(|dip| {
        (
            axis.at(dip.from),
            dip.until.map_or(over, |at| axis.at(at)),
            dip.units_before,
        )
    });
    let mut curve = Curve::draw(&levels, over, hole.as_slice());
    if curve.top == 0 {
        curve = Curve::default();
    }
    let is_whole = digest.is_whole_dip();
    let missing = if is_whole { "nothing missing" } else { "not known" };
    let (mut said, mut out, mut out_note) = (Vec::new(), missing.to_owned(), String::new());
    let first = levels.first().map_or(0, |(_, units)| *units);
    let mut labels = vec![(0.0, number(first.into()))];
    said.push(format!("{} at the start", plural(first as usize, "unit")));
    if let Some(dip) = &capacity.dip {
        let from = axis.at(dip.from);
        labels.push((from, format!("{} of {}", dip.units_lowest, dip.units_before)));
        said.push(format!(
            "{} when the first instance went, {} at the lowest",
            dip.units_before, dip.units_lowest
        ));
        out = format!("−{}", plural(task_units(&digest.inside) as usize, "unit"));
        out_note = format!(
            "{} unit-seconds",
            number(u64::try_from(dip.unit_seconds_lost).unwrap_or(0))
        );
        match dip.until {
            Some(at) => {
                let until = axis.at(at);
                let back = levels
                    .iter()
                    .rfind(|(at, _)| *at <= until)
                    .map_or(first, |(_, units)| *units);
                labels.push((until, number(back.into())));
                said.push(if is_whole {
                    format!("made up for at {}", digest.after_begin(at))
                } else {
                    "whether all of it was made up for is not known".to_owned()
                });
            }
            None => said.push("not made up for before the end".into()),
        }
    }
    Some(Lane {
        group: true,
        name: "Task capacity".into(),
        note: "in units".into(),
        bars: spread(labels, over),
        curve: Some(curve),
        out: out.into(),
        out_note: out_note.into(),
        said: format!("{}.", said.join(", ")).into(),
        ..Lane::default()
    })
}

fn executors(digest: &Digest<'_>, axis: &Axis) -> Option<Lane> {
    let spark = digest.report.spark.as_ref()?;
    let ended = spark.ended_at.map_or(axis.at(axis.over), |at| axis.at(at));
    let levels: Vec<(f64, u32)> = spark
        .executors_over_time
        .iter()
        .map(|(at, count)| (axis.at(*at), *count))
        .collect();
    let first = levels.first().map(|(at, _)| *at)?;
    let mut gone: Vec<_> = spark.executors.iter().filter_map(|row| went(digest, row)).collect();
    gone.sort_unstable();
    let losses: Vec<f64> = gone.iter().map(|at| axis.at(*at)).collect();
    let holes = holes(&levels, &losses, ended);
    let mut labels = vec![(first, String::new())];
    let most = levels.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let mut said = vec![format!("{} at most", plural(most as usize, "executor"))];
    for (number_of_hole, (from, until, before)) in holes.iter().copied().enumerate() {
        let within = levels.iter().filter(|(at, _)| *at >= from && *at < until);
        let lowest = within.map(|(_, count)| *count).min().unwrap_or(before);
        labels.push((from, format!("{lowest} of {before}")));
        said.push(match number_of_hole {
            0 => format!("{before} before the first left, {lowest} at the lowest"),
            _ => format!("{lowest} of {before} at the lowest from {} on", clock(from as i64)),
        });
        if until < ended {
            labels.push((until, number(before.into())));
            said.push(format!("as many again at {}", clock(until as i64)));
        }
    }
    let cores = spark
        .settings
        .get("spark.executor.cores")
        .and_then(|cores| cores.parse::<u32>().ok());
    Some(Lane {
        name: "Executors".into(),
        note: cores
            .map_or_else(String::new, |cores| {
                if cores == 1 {
                    "1 core each".into()
                } else {
                    format!("{cores} cores each")
                }
            })
            .into(),
        bars: spread(labels, ended),
        curve: Some(Curve::draw(&levels, ended, &holes)),
        out: if gone.is_empty() {
            format!("{most} at most")
        } else {
            format!("−{}", plural(gone.len(), "executor"))
        }
        .into(),
        said: format!("{}.", said.join(", ")).into(),
        ..Lane::default()
    })
}

/// When an executor left because its instance was interrupted: from the notice on. Before that Spark let it go by itself.
fn went(digest: &Digest<'_>, row: &ExecutorRow) -> Option<DateTime<Utc>> {
    let instance = digest
        .report
        .interruptions
        .iter()
        .map(|one| &one.interrupted)
        .find(|one| {
            let host = one.private_dns_name.as_deref();
            row.instance_id.as_ref() == Some(&one.instance_id) || host.is_some_and(|host| same_host(&row.host, host))
        })?;
    let noticed = instance.noticed_at.or(instance.terminated_at.map(|at| at - NOTICE))?;
    row.removed_at.filter(|at| *at >= noticed)
}

/// From a loss until as many are there again, and so on from the next loss after that. `losses` in their order.
fn holes(levels: &[(f64, u32)], losses: &[f64], ended: f64) -> Vec<(f64, f64, u32)> {
    let mut holes: Vec<(f64, f64, u32)> = Vec::new();
    for since in losses {
        let is_after = holes.last().is_none_or(|(_, until, _)| since >= until);
        holes.extend(hole(levels, *since, ended).filter(|_| is_after));
    }
    holes
}

/// From a loss until as many are there again. `None`: they were at once.
fn hole(levels: &[(f64, u32)], since: f64, ended: f64) -> Option<(f64, f64, u32)> {
    let before = levels.iter().rfind(|(at, _)| *at < since).map(|(_, count)| *count)?;
    let back = levels
        .iter()
        .find(|(at, count)| *at >= since && *count >= before)
        .map_or(ended, |(at, _)| *at);
    (back > since).then_some((since, back, before))
}

/// Labels from their moment to the next one's.
fn spread(labels: Vec<(f64, String)>, end: f64) -> Vec<Bar> {
    let ends: Vec<f64> = labels.iter().skip(1).map(|(at, _)| *at).chain([end]).collect();
    let bars = labels
        .into_iter()
        .zip(ends)
        .map(|((from, text), until)| Bar::new(from, until, "label", text));
    bars.filter(|bar| bar.is_there() && !bar.text.is_empty()).collect()
}

#[cfg(test)]
mod tests;
