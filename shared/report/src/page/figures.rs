//! Six figures, for whoever compares drills.

use rules::cause::Blame;

use super::digest::{Digest, at_once, task_units};
use crate::time_lost::Why;
use crate::words::{number, percent, plural, rough, span};
use crate::{Output, Text, price};

/// A figure.
pub(super) struct Figure {
    /// What it is.
    pub title: &'static str,
    /// The number.
    pub value: Text,
    /// Of what.
    pub of: Text,
    /// Its share, in percent, for the bar. `None`: there is none to draw.
    pub share: Option<i64>,
    /// What to know about it.
    pub note: Text,
}

fn figure(title: &'static str, value: &str, of: String, share: Option<i64>, note: &str) -> Figure {
    Figure {
        title,
        value: value.into(),
        of: of.into(),
        share: share.filter(|share| *share > 0).map(|share| share.min(100)),
        note: note.into(),
    }
}

/// The six.
pub(super) fn six(digest: &Digest<'_>) -> [Figure; 6] {
    [
        run_time(digest),
        task_time(digest),
        capacity(digest),
        usual(digest),
        output(digest.report.output.as_ref()),
        price(digest),
    ]
}

fn run_time(digest: &Digest<'_>) -> Figure {
    const TITLE: &str = "Run time lost";
    let Some(lost) = &digest.lost else {
        return figure(TITLE, "not known", String::new(), None, "no event log was read");
    };
    if failed_by_itself(digest) {
        return figure(TITLE, "not known", String::new(), None, "the job failed by itself");
    }
    let (Some(run), seconds) = (digest.report.run_seconds, lost.seconds()) else {
        return figure(
            TITLE,
            "not known",
            String::new(),
            None,
            "EMR does not say when the step ran",
        );
    };
    let share = percent(seconds, run);
    if seconds == 0 {
        let note = if digest.counted.is_empty() {
            "nothing of the job was interrupted"
        } else {
            "nothing held the run up"
        };
        return figure(TITLE, "none", format!("of {}", span(run)), None, note);
    }
    let parts: Vec<String> = [
        (Why::BeganAgain, "before it began again"),
        (Why::Failed, "failed"),
        (Why::Repeated, "repeated"),
    ]
    .into_iter()
    .map(|(why, said)| (lost.seconds_of(why), said))
    .filter(|(seconds, _)| *seconds > 0)
    .map(|(seconds, said)| format!("{} {said}", span(seconds)))
    .collect();
    let note = format!("{} %: {}", share.unwrap_or(0), parts.join(", "));
    // Parts of less than half a second each are none.
    let note = note.trim_end_matches(": ");
    figure(TITLE, &span(seconds), format!("of {}", span(run)), share, note)
}

/// What a failure of the program's own cost is no price of an interruption.
fn failed_by_itself(digest: &Digest<'_>) -> bool {
    let failure = digest.report.judgement.failure.as_ref();
    failure.is_some_and(|failure| failure.blame == Blame::Itself)
}

fn task_time(digest: &Digest<'_>) -> Figure {
    const TITLE: &str = "Task time lost";
    let Some(spark) = &digest.report.spark else {
        return figure(TITLE, "not known", String::new(), None, "no event log was read");
    };
    if failed_by_itself(digest) {
        return figure(TITLE, "not known", String::new(), None, "the job failed by itself");
    }
    let Some(ms) = digest.report.cost.lost_task_ms else {
        return figure(
            TITLE,
            "not known",
            String::new(),
            None,
            "an earlier attempt left no event log",
        );
    };
    let seconds = |ms: u64| i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    let (lost, total) = (seconds(ms), seconds(spark.total_task_ms()));
    let work = &spark.lost_work;
    if ms == 0 {
        return figure(
            TITLE,
            "none",
            format!("of {}", rough(total)),
            None,
            "no task’s work went with an executor",
        );
    }
    let mut parts = Vec::new();
    let tasks = |count: u64| plural(usize::try_from(count).unwrap_or(0), "task");
    if work.failed_attempts > 0 {
        parts.push(format!("{} failed", tasks(work.failed_attempts)));
    }
    if work.recomputed_tasks > 0 {
        parts.push(format!("{} ran again", tasks(work.recomputed_tasks)));
    }
    if !spark.earlier.is_empty() {
        parts.push("all of the earlier attempt".to_owned());
    }
    let share = percent(lost, total);
    let note = format!("{} %: {}", share.unwrap_or(0), parts.join(", "));
    let note = note.trim_end_matches(": ");
    let price = digest.report.cost.task_lost_usd.map(price::usd);
    let note = match price {
        Some(usd) => format!("{note}; {usd} of task instances"),
        None => note.to_owned(),
    };
    let value = match lost {
        0 => "less than 1 s".to_owned(),
        _ => rough(lost),
    };
    figure(TITLE, &value, format!("of {}", rough(total)), share, &note)
}

fn capacity(digest: &Digest<'_>) -> Figure {
    const TITLE: &str = "Capacity lost";
    let units = task_units(&digest.inside);
    let noun = if units == 1 { "unit" } else { "units" };
    if digest.report.capacity.is_none() {
        return figure(
            TITLE,
            "not known",
            String::new(),
            None,
            "EMR’s list of instances could not be had",
        );
    }
    let dip = digest
        .report
        .capacity
        .as_ref()
        .and_then(|capacity| capacity.dip.as_ref());
    match dip {
        None if units > 0 => figure(
            TITLE,
            &number(units.into()),
            noun.into(),
            None,
            if digest.is_whole_dip() {
                "and they were not asked for any more"
            } else {
                "whether they came back is not known"
            },
        ),
        None => figure(TITLE, "none", String::new(), None, "no unit was missing while it ran"),
        Some(dip) => {
            let share = percent(i64::from(units), i64::from(dip.units_before));
            let share = share.filter(|share| *share <= 100 && at_once(&digest.inside));
            let back = match dip.until {
                Some(_) if !digest.is_whole_dip() => "whether all came back is not known".to_owned(),
                Some(until) => format!("all back after {}", span((until - dip.from).num_seconds())),
                None => "not back before its end".to_owned(),
            };
            let waves = || format!("{} at once at most", dip.units_before - dip.units_lowest);
            let note = share.map_or_else(waves, |share| format!("{share} %; {back}"));
            let of = if share.is_some() {
                format!("of {}", plural(dip.units_before as usize, "unit"))
            } else {
                format!("{noun} in all")
            };
            figure(TITLE, &number(units.into()), of, share, &note)
        }
    }
}

fn usual(digest: &Digest<'_>) -> Figure {
    const TITLE: &str = "Against a usual run";
    let cost = &digest.report.cost;
    match (cost.slowdown_percent, cost.median_undisturbed_seconds) {
        (Some(slower), Some(median)) => {
            let value = match slower {
                0 => "±0 %".to_owned(),
                1.. => format!("+{slower} %"),
                _ => format!("−{} %", -slower),
            };
            let note = match cost.undisturbed_runs {
                1 => "the one undisturbed run on record".to_owned(),
                some => format!("the middle of {some} undisturbed runs"),
            };
            figure(TITLE, &value, format!("to {}", span(median)), Some(slower), &note)
        }
        _ => figure(TITLE, "not known", String::new(), None, "no undisturbed run on record"),
    }
}

fn output(output: Option<&Output>) -> Figure {
    const TITLE: &str = "Output";
    let Some(output) = output else {
        return figure(
            TITLE,
            "not known",
            String::new(),
            None,
            "its place is not known, or could not be read",
        );
    };
    let marker = match (output.has_success_marker, &output.no_marker_because) {
        (true, _) => "with _SUCCESS",
        (false, Some(_)) => "writes no _SUCCESS",
        (false, None) => "without _SUCCESS",
    };
    let there = output.baseline.as_ref().map(|baseline| (baseline.bytes, baseline.rows));
    let compared = match (output.rows, there) {
        (Some(here), Some((_, Some(there)))) if here == there => "as many rows as the baseline".to_owned(),
        (Some(_), Some((_, Some(there)))) => format!("the baseline has {}", rows(there)),
        (_, Some((bytes, _))) if bytes == output.bytes => "as large as the baseline".to_owned(),
        (_, Some(_)) => "not as large as the baseline".to_owned(),
        (Some(_), None) => match output.rows_undisturbed {
            Some(usual) => format!("the last undisturbed run wrote {}", rows(usual)),
            None => "nothing to compare them with".to_owned(),
        },
        (None, None) => "content not compared".to_owned(),
    };
    let files = plural(output.objects_of_run, "file");
    let (value, of) = match output.rows {
        Some(rows) => (
            number(rows),
            format!("{} in {files}", if rows == 1 { "row" } else { "rows" }),
        ),
        None => (files, String::new()),
    };
    figure(TITLE, &value, of, None, &format!("{marker}; {compared}"))
}

/// `1 row`, `320,000 rows`.
pub(super) fn rows(count: u64) -> String {
    plural(usize::try_from(count).unwrap_or(usize::MAX), "row")
}

/// What FIS bills at most, and the lost time of instances where their price is known.
fn price(digest: &Digest<'_>) -> Figure {
    const TITLE: &str = "Price of the drill";
    let cost = &digest.report.cost;
    let instances = match (cost.unit_hour_usd, cost.run_lost_usd) {
        (_, Some(lost)) => format!("the run time lost, {} of task instances", price::usd(lost)),
        (Some(_), None) => "what the run lost is not known".to_owned(),
        (None, None) => "instances not priced".to_owned(),
    };
    let minutes = price::fis_action_minutes(&digest.report.drill.experiments);
    if minutes == 0 {
        let note = match cost.run_lost_usd {
            Some(_) => format!("FIS had no action to bill; {instances}"),
            None => "FIS had no action to bill".to_owned(),
        };
        return figure(TITLE, "0.00 USD", String::new(), None, &note);
    }
    let seconds = span(cost.fis_action_seconds);
    figure(
        TITLE,
        &format!("{:.2} USD", price::fis_usd(minutes)),
        "at most".into(),
        None,
        &format!("FIS, {seconds} of action; {instances}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{of_one_unit, workshop};
    use crate::{Baseline, Report};

    fn told(figure: &Figure) -> String {
        format!("{} {}: {}", figure.value, figure.of, figure.note)
    }

    #[test]
    fn one_is_no_plural() {
        let mut report = of_one_unit();
        assert!(told(&capacity(&Digest::new(&report))).starts_with("1 of 1 unit: 100 %; "));
        report.capacity.as_mut().unwrap().dip = None;
        assert!(told(&capacity(&Digest::new(&report))).starts_with("1 unit: "));
        let mut written = report.output.unwrap();
        (written.rows, written.rows_undisturbed) = (Some(2), Some(1));
        assert_eq!(
            told(&output(Some(&written))),
            "2 rows in 136 files: with _SUCCESS; the last undisturbed run wrote 1 row"
        );
        written.rows = Some(1);
        written.baseline = Some(Baseline {
            location: "s3://b/".into(),
            objects: 1,
            bytes: 7,
            rows: Some(2),
        });
        assert_eq!(
            told(&output(Some(&written))),
            "1 row in 136 files: with _SUCCESS; the baseline has 2 rows"
        );
    }

    #[test]
    fn what_is_too_short_for_a_part_of_its_own_has_none() {
        let report = workshop();
        let begun = report.step.started_at.unwrap();
        let mut digest = Digest::new(&report);
        let part = |why| crate::time_lost::Part {
            from: begun,
            until: begun + chrono::TimeDelta::milliseconds(400),
            why,
        };
        digest.lost = Some(crate::TimeLost {
            parts: vec![part(Why::Failed), part(Why::Repeated)],
        });
        assert_eq!(told(&run_time(&digest)), "1 s of 9 min 1 s: 0 %");
    }

    #[test]
    fn a_share_is_drawn_where_there_is_some_and_never_beyond_the_whole() {
        let drawn = |share| figure("", "", String::new(), share, "").share;
        let shares = [None, Some(-7), Some(0), Some(1), Some(100), Some(120)].map(drawn);
        assert_eq!(shares, [None, None, None, Some(1), Some(100), Some(100)]);
    }

    #[test]
    fn the_capacity_that_went_in_waves_has_no_share() {
        let mut report = workshop();
        let said = |report: &Report| told(&capacity(&Digest::new(report)));
        assert_eq!(said(&report), "12 of 64 units: 19 %; all back after 2 min 17 s");
        report
            .capacity
            .as_mut()
            .and_then(|capacity| capacity.dip.as_mut())
            .unwrap()
            .until = None;
        assert_eq!(said(&report), "12 of 64 units: 19 %; not back before its end");
        let gone = &mut report.interruptions[0].interrupted.terminated_at;
        *gone = gone.map(|at| at - chrono::TimeDelta::minutes(5));
        assert_eq!(said(&report), "12 units in all: 12 at once at most");
        report.interruptions.truncate(1);
        report.interruptions[0].interrupted.units = 64;
        assert_eq!(said(&report), "64 of 64 units: 100 %; not back before its end");
        report.interruptions[0].interrupted.units = 70;
        assert_eq!(said(&report), "70 units in all: 12 at once at most");
        report.capacity.as_mut().unwrap().dip = None;
        assert_eq!(said(&report), "70 units: and they were not asked for any more");
        report.interruptions.clear();
        assert_eq!(said(&report), "none : no unit was missing while it ran");
    }

    #[test]
    fn lost_task_time_is_told_by_what_became_of_the_tasks() {
        let mut report = workshop();
        let said = |report: &Report| told(&task_time(&Digest::new(report)));
        let lost = &mut report.spark.as_mut().unwrap().lost_work;
        (lost.failed_attempts, lost.recomputed_tasks) = (1, 2);
        assert_eq!(said(&report), "14 min of 6 h: 4 %: 1 task failed, 2 tasks ran again");
        report.spark.as_mut().unwrap().lost_work.failed_attempts = 0;
        report.cost.lost_task_ms = Some(1_000);
        assert_eq!(said(&report), "1 s of 6 h: 0 %: 2 tasks ran again");
        report.spark.as_mut().unwrap().lost_work.recomputed_tasks = 0;
        assert_eq!(said(&report), "1 s of 6 h: 0 %");
        let earlier = serde_json::json!({"task_time_ms": 7});
        report.spark.as_mut().unwrap().earlier = vec![serde_json::from_value(earlier).unwrap()];
        assert_eq!(said(&report), "1 s of 6 h: 0 %: all of the earlier attempt");
        report.cost.lost_task_ms = Some(999);
        assert_eq!(said(&report), "less than 1 s of 6 h: 0 %: all of the earlier attempt");
        report.cost.lost_task_ms = Some(0);
        assert_eq!(said(&report), "none of 6 h: no task’s work went with an executor");
    }

    #[test]
    fn the_output_is_compared_by_its_rows_where_they_are_known_and_else_by_its_size() {
        let mut written = workshop().output.unwrap();
        let mut told = |rows: Option<u64>, baseline: Option<(u64, Option<u64>)>| {
            written.rows = rows;
            written.baseline = baseline.map(|(bytes, rows)| Baseline {
                location: "s3://b/".into(),
                objects: 1,
                bytes,
                rows,
            });
            output(Some(&written)).note.to_string()
        };
        // 2,176 bytes were written.
        for (rows, baseline, compared) in [
            (Some(5), Some((9, Some(5))), "as many rows as the baseline"),
            (Some(5), Some((2_176, Some(6))), "the baseline has 6 rows"),
            (Some(5), Some((2_176, None)), "as large as the baseline"),
            (None, Some((2_176, Some(5))), "as large as the baseline"),
            (None, Some((2_177, None)), "not as large as the baseline"),
            (Some(5), None, "nothing to compare them with"),
            (None, None, "content not compared"),
        ] {
            assert_eq!(told(rows, baseline), format!("with _SUCCESS; {compared}"));
        }
    }
}
