//! The lanes of stages: each stage's attempts, and why one came after another.

use std::collections::BTreeMap;

use spark_log::same_host;

use super::axis::Axis;
use super::digest::Digest;
use super::lane::{Bar, Lane, length};
use crate::StageRow;
use crate::words::{capital, plural, span};

/// Lanes at most: first those with attempts that failed or were repeated, then the longest.
const LANES_MAX: usize = 12;

/// The lanes, and how many stages have none.
pub(super) fn lanes(digest: &Digest<'_>, axis: &Axis) -> (Vec<Lane>, usize) {
    let mut stages: BTreeMap<i64, Vec<&StageRow>> = BTreeMap::new();
    for row in digest.report.spark.iter().flat_map(|spark| &spark.stages) {
        if row.submitted_at.is_some() {
            stages.entry(row.stage_id).or_default().push(row);
        }
    }
    let mut ranked: Vec<(i64, bool, i64)> = stages
        .iter()
        .map(|(id, attempts)| {
            let is_plain = attempts.len() == 1 && attempts[0].status != "FAILED";
            let ms: i64 = attempts.iter().filter_map(|row| duration_ms(row, axis)).sum();
            (*id, is_plain, ms)
        })
        .collect();
    ranked.sort_by_key(|(id, is_plain, ms)| (*is_plain, -ms, *id));
    let hidden = ranked.len().saturating_sub(LANES_MAX);
    let shown: Vec<i64> = ranked.iter().take(LANES_MAX).map(|(id, _, _)| *id).collect();
    stages.retain(|id, _| shown.contains(id));
    let mut ordered: Vec<(i64, Vec<&StageRow>)> = stages.into_iter().collect();
    ordered.sort_by_key(|(id, attempts)| (attempts.iter().filter_map(|row| row.submitted_at).min(), *id));
    let mut lanes: Vec<Lane> = ordered
        .iter()
        .map(|(id, attempts)| lane(digest, axis, *id, attempts))
        .collect();
    if let Some(first) = lanes.first_mut() {
        first.group = true;
    }
    (lanes, hidden)
}

/// To its end, or as long as anybody looked.
fn duration_ms(row: &StageRow, axis: &Axis) -> Option<i64> {
    Some((row.completed_at.unwrap_or(axis.over) - row.submitted_at?).num_milliseconds())
}

fn lane(digest: &Digest<'_>, axis: &Axis, id: i64, attempts: &[&StageRow]) -> Lane {
    let mut attempts = attempts.to_vec();
    attempts.sort_by_key(|row| row.attempt);
    let mut bars: Vec<Bar> = Vec::new();
    let mut said: Vec<String> = Vec::new();
    let mut labels: Vec<(f64, String)> = Vec::new();
    let (mut failed, mut repeated, mut was_done) = (0, 0, false);
    for row in &attempts {
        let Some(from) = row.submitted_at else { continue };
        let until = row.completed_at.unwrap_or(axis.over);
        let seconds = ((until - from).num_milliseconds() + 500) / 1_000;
        let times = match row.completed_at {
            Some(_) => format!("from {} to {}", digest.after_begin(from), digest.after_begin(until)),
            None => format!("from {} on", digest.after_begin(from)),
        };
        let tasks = tasks(row);
        let class = match row.status.as_str() {
            "FAILED" => {
                failed += seconds;
                said.push(format!("failed {times}{}", from_where(digest, row)));
                "lost"
            }
            _ if was_done => {
                repeated += seconds;
                said.push(format!("{tasks} again {times}"));
                "again"
            }
            _ => {
                said.push(format!("{tasks} {times}"));
                "work"
            }
        };
        was_done |= row.status == "COMPLETE";
        let text = match class {
            "lost" => format!("failed {}", length(axis.at(from), axis.at(until))),
            // Hatched: what it says stands beside it.
            "again" => String::new(),
            _ => tasks.clone(),
        };
        if class != "work" {
            labels.push((
                axis.at(until),
                if class == "lost" {
                    why(row)
                } else {
                    format!("{tasks} again")
                },
            ));
        }
        bars.push(Bar::new(axis.at(from), axis.at(until), class, text));
    }
    bars.retain(Bar::is_there);
    let labels = beside(labels, &bars, axis.end);
    bars.extend(labels);
    let (out, out_note) = match (failed, repeated) {
        (0, 0) if attempts.iter().any(|row| row.completed_at.is_none()) => ("no end seen".to_owned(), String::new()),
        (0, 0) => (length_of(&attempts, axis), String::new()),
        (0, again) => (format!("+{}", span(again)), "repeated".to_owned()),
        (failed, 0) => (format!("+{}", span(failed)), "failed".to_owned()),
        (failed, again) => (format!("+{}", span(failed + again)), "failed, repeated".to_owned()),
    };
    let name = attempts.first().map_or("", |row| row.name.as_str());
    Lane {
        name: format!("Stage {id}").into(),
        note: name.into(),
        bars,
        out: out.into(),
        out_note: out_note.into(),
        said: capital(&format!("{}.", said.join("; "))).into(),
        ..Lane::default()
    }
}

fn tasks(row: &StageRow) -> String {
    plural(usize::try_from(row.tasks).unwrap_or(0), "task")
}

fn length_of(attempts: &[&StageRow], axis: &Axis) -> String {
    let ms: i64 = attempts.iter().filter_map(|row| duration_ms(row, axis)).sum();
    span((ms + 500) / 1_000)
}

/// Where the fetch that failed was to come from: an instance, if it is one of the interrupted.
fn from_where(digest: &Digest<'_>, row: &StageRow) -> String {
    let Some(host) = &row.fetch_failed_from else {
        return String::new();
    };
    let id = digest
        .report
        .interruptions
        .iter()
        .find(|one| {
            let name = one.interrupted.private_dns_name.as_deref();
            name.is_some_and(|name| same_host(host, name))
        })
        .map(|one| one.interrupted.instance_id.as_str());
    format!(", as shuffle files could not be fetched from {}", id.unwrap_or(host))
}

/// Why an attempt failed, in a few words.
fn why(row: &StageRow) -> String {
    let words = row.failure_reason.as_deref().unwrap_or_default();
    let is_fetch = row.fetch_failed_from.is_some() || words.contains("FetchFailed");
    if is_fetch {
        "shuffle files could not be fetched"
    } else {
        ""
    }
    .to_owned()
}

/// Labels from where each stands to the next bar.
fn beside(labels: Vec<(f64, String)>, bars: &[Bar], end: f64) -> Vec<Bar> {
    let next = |at: f64| {
        bars.iter()
            .map(|bar| bar.from)
            .filter(|from| *from >= at)
            .reduce(f64::min)
    };
    labels
        .into_iter()
        .map(|(at, text)| Bar::new(at, next(at).unwrap_or(end), "label", text))
        .filter(|label| label.is_there() && !label.text.is_empty())
        .collect()
}

/// How many more there are, in words.
pub(super) fn more(hidden: usize, json: &str) -> Option<String> {
    (hidden > 0).then(|| {
        format!(
            "{} ran as planned, or for a shorter time; all are in {json}.",
            plural(hidden, "more stage")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_reaches_to_the_next_bar_and_stands_only_where_it_says_something_and_has_room() {
        let label = |at: f64, text: &str| (at, text.to_owned());
        let bars = [Bar::new(0.0, 10.0, "lost", ""), Bar::new(30.0, 40.0, "again", "")];
        let labels = vec![
            label(10.0, "why"),
            label(20.0, ""),
            label(30.0, "no room"),
            label(40.0, "again"),
        ];
        let drawn: Vec<(f64, f64, String)> = beside(labels, &bars, 100.0)
            .iter()
            .map(|bar| (bar.from, bar.until, bar.text.as_str().to_owned()))
            .collect();
        assert_eq!(
            drawn,
            [(10.0, 30.0, "why".to_owned()), (40.0, 100.0, "again".to_owned())]
        );
    }

    use chrono::TimeDelta;

    use crate::Report;
    use crate::sample::workshop;

    /// A report of these attempts: stage, attempt, from, until, status.
    fn report(rows: &[(i64, i64, i64, Option<i64>, &str)]) -> Report {
        let mut report = workshop();
        let begun = report.step.started_at.unwrap();
        let stages = &mut report.spark.as_mut().unwrap().stages;
        let first = stages.remove(0);
        *stages = rows
            .iter()
            .map(|(stage_id, attempt, from, until, status)| StageRow {
                stage_id: *stage_id,
                attempt: *attempt,
                tasks: 7,
                submitted_at: Some(begun + TimeDelta::seconds(*from)),
                completed_at: until.map(|until| begun + TimeDelta::seconds(until)),
                status: (*status).into(),
                ..first.clone()
            })
            .collect();
        report
    }

    fn drawn(report: &Report) -> (Vec<Lane>, usize) {
        let digest = Digest::new(report);
        lanes(&digest, &Axis::of(&digest).unwrap())
    }

    #[test]
    fn a_stage_whose_end_nobody_saw_has_none_and_is_as_long_as_anybody_looked() {
        let mut rows = vec![(99, 0, 10, None, "ACTIVE")];
        rows.extend((0..LANES_MAX as i64).map(|id| (id, 0, 20, Some(60 + id), "COMPLETE")));
        let (lanes, hidden) = drawn(&report(&rows));
        assert_eq!(hidden, 1);
        let names: Vec<&str> = lanes.iter().map(|lane| lane.name.as_str()).collect();
        assert!(names.contains(&"Stage 99") && !names.contains(&"Stage 0"), "{names:?}");
        assert_eq!(lanes[0].out.as_str(), "no end seen");
        assert_eq!(lanes[0].said.as_str(), "7 tasks from 0:10 on.");
        assert_eq!(lanes[1].said.as_str(), "7 tasks from 0:20 to 1:01.");
        assert_eq!(
            more(1, "interim.json").unwrap(),
            "1 more stage ran as planned, or for a shorter time; all are in interim.json."
        );
        assert_eq!(more(0, "report.json"), None);
    }

    #[test]
    fn an_instance_is_known_by_each_name_of_its_host() {
        let mut report = report(&[(0, 0, 10, Some(60), "FAILED"), (0, 1, 60, Some(90), "COMPLETE")]);
        let from = |report: &Report| drawn(report).0[0].said.as_str().to_owned();
        for name in ["ip-10-0-0-71.us-sim-1.compute.internal", "ip-10-0-0-71", "10.0.0.71"] {
            report.spark.as_mut().unwrap().stages[0].fetch_failed_from = Some(name.into());
            let said = "Failed from 0:10 to 1:00, as shuffle files could not be fetched from i-035dcb85c322c32b8; 7 tasks from \
                        1:00 to 1:30.";
            assert_eq!(from(&report), said, "{name}");
        }
        report.spark.as_mut().unwrap().stages[0].fetch_failed_from = Some("ip-10-0-0-9".into());
        assert!(from(&report).contains("could not be fetched from ip-10-0-0-9;"));
    }

    #[test]
    fn what_failed_or_was_repeated_is_shown_first_and_then_what_took_longest() {
        let mut rows: Vec<_> = (0..20).map(|id| (id, 0, 10, Some(100 + id), "COMPLETE")).collect();
        rows[3] = (3, 0, 20, Some(21), "FAILED");
        rows[4] = (4, 0, 30, Some(31), "COMPLETE");
        rows.push((4, 1, 40, Some(41), "COMPLETE"));
        let (lanes, hidden) = drawn(&report(&rows));
        assert_eq!((lanes.len(), hidden), (LANES_MAX, 8));
        let mut shown: Vec<i64> = lanes
            .iter()
            .map(|lane| lane.name.as_str()[6..].parse().unwrap())
            .collect();
        assert_eq!(shown, [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 3, 4], "in their order");
        shown.sort_unstable();
        assert!(lanes[0].group && !lanes[1].group);
    }

    #[test]
    fn time_that_failed_and_that_was_repeated_is_added_up_to_the_nearest_second() {
        let out = |rows: &[(i64, i64, Option<i64>, &str)]| {
            let rows: Vec<_> = rows.iter().map(|row| (0, row.0, row.1, row.2, row.3)).collect();
            let mut report = report(&rows);
            // Half a second more of each.
            for stage in &mut report.spark.as_mut().unwrap().stages {
                stage.completed_at = stage.completed_at.map(|at| at + TimeDelta::milliseconds(500));
            }
            let lane = drawn(&report).0.remove(0);
            format!("{} {}", lane.out, lane.out_note)
        };
        let (first, last) = ((0, 10, Some(20), "COMPLETE"), (3, 70, Some(73), "COMPLETE"));
        let failed = [(0, 10, Some(20), "FAILED"), (1, 30, Some(35), "FAILED")];
        assert_eq!(out(&[first]), "11 s ");
        assert_eq!(out(&failed), "+17 s failed");
        assert_eq!(
            out(&[failed[0], failed[1], last]),
            "+17 s failed",
            "it never was done before"
        );
        assert_eq!(out(&[first, (1, 30, Some(31), "COMPLETE"), last]), "+6 s repeated");
        assert_eq!(out(&[first, failed[1], last]), "+10 s failed, repeated");
    }

    #[test]
    fn why_an_attempt_failed_is_said_if_it_was_a_fetch() {
        let row = workshop().spark.unwrap().stages.remove(0);
        let said = |from: Option<&str>, reason: Option<&str>| {
            why(&StageRow {
                fetch_failed_from: from.map(String::from),
                failure_reason: reason.map(String::from),
                ..row.clone()
            })
        };
        let fetch = "shuffle files could not be fetched";
        let missing = "org.apache.spark.shuffle.MetadataFetchFailedException: Missing an output location for shuffle 0";
        assert_eq!(said(None, Some(missing)), fetch);
        assert_eq!(said(Some("ip-10-0-0-71"), None), fetch);
        assert_eq!(said(None, Some("Job aborted due to stage failure")), "");
        assert_eq!(said(None, None), "");
    }
}
