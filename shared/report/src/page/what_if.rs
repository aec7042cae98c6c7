//! Had it hit at another moment: a small chart over the run, and the same in words.

use super::digest::Digest;
use super::table::{Kind, Table};
use crate::Text;
use crate::what_if::{Elsewhen, Part, WhatIf};
use crate::words::{clock, plural, span};

/// The chart's height, in the units of its view box.
const HEIGHT: f64 = 60.0;

/// What the page says of other moments.
pub(super) struct Other {
    /// The sentences.
    pub words: Vec<Text>,
    /// The chart; none where nothing is said.
    pub chart: Option<Chart>,
}

/// Bars over the run: what a hit costs in each part of it.
pub(super) struct Chart {
    /// The length of its axis, seconds.
    pub end: i64,
    /// Three for each part of the run: one in ten takes longer by, half do, and the share that fails.
    pub bars: Vec<Bar>,
    /// When this drill's own loss came.
    pub hit: Option<i64>,
    /// Times below the axis.
    pub marks: Vec<(i64, String)>,
    /// What the highest bar stands for.
    pub top: String,
}

/// A bar, in the units of the view box.
pub(super) struct Bar {
    /// CSS class.
    pub class: &'static str,
    /// Its left end.
    pub left: f64,
    /// Its width.
    pub width: f64,
    /// Its upper end.
    pub top: f64,
    /// Its height.
    pub height: f64,
}

/// What is said of other moments; `None` where the report says nothing of it.
pub(super) fn of(digest: &Digest<'_>) -> Option<Other> {
    match digest.report.what_if.as_ref()? {
        WhatIf::Told(told) => Some(Other {
            words: sentences(told),
            chart: chart(told),
        }),
        WhatIf::NotSaid { not_said_because } => Some(Other {
            words: vec![format!("Not said: {}.", not_said_because.trim_end_matches('.')).into()],
            chart: None,
        }),
    }
}

fn seconds(at: f64) -> i64 {
    at.round() as i64
}

fn percent(share: f64) -> String {
    match (share * 100.0).round() {
        zero if zero < 1.0 && share > 0.0 => "less than 1 %".to_owned(),
        all if all >= 100.0 && share < 1.0 => "more than 99 %".to_owned(),
        whole => format!("{whole:.0} %"),
    }
}

fn sentences(told: &Elsewhen) -> Vec<Text> {
    let longer = format!(
        "half of the others take at least {} longer, one in ten at least {}",
        span(seconds(told.added_seconds_p50.max(0.0))),
        span(seconds(told.added_seconds_p90.max(0.0))),
    );
    let fails = match told.failed {
        none if none <= 0.0 => format!("none of them fails; {longer}"),
        all if all >= 1.0 => "every one fails".to_owned(),
        some => format!("{} of them fail; {longer}", percent(some)),
    };
    let again = match told.replaced_after_seconds {
        None => "and nothing came in their place".to_owned(),
        Some(after) => format!("and others came after {}", span(seconds(after))),
    };
    let first = format!(
        "Simulated from this run’s own event log, not measured: were {} lost at any other moment, {again}, then of {} \
         {fails}.",
        plural(told.instances as usize, "instance"),
        plural(told.runs as usize, "run"),
    );
    let mut words: Vec<Text> = vec![first.into()];
    let worst = told
        .parts
        .iter()
        .max_by(|one, other| told.cost(one).total_cmp(&told.cost(other)));
    if let Some(worst) = worst.filter(|worst| told.cost(worst) >= 1.0) {
        words.push(format!("It is most fragile from {}: {}.", moment(worst), cost(worst)).into());
    }
    let here = told.hit_at_seconds.and_then(|at| {
        let is_here = |part: &&Part| part.from_seconds <= at && at < part.to_seconds;
        told.parts.iter().find(is_here)
    });
    if let Some(here) = here {
        words.push(
            format!(
                "This drill’s own loss came from {}: there, {}.",
                moment(here),
                cost(here)
            )
            .into(),
        );
    }
    let off = (told.replayed_seconds / told.logged_seconds.max(0.001) - 1.0) * 100.0;
    words.push(
        format!(
            "Played again as it was, the run takes {} where the log says {} ({off:+.1} %): how far the simulation is off \
             at least.",
            span(seconds(told.replayed_seconds)),
            span(seconds(told.logged_seconds)),
        )
        .into(),
    );
    words
}

fn moment(part: &Part) -> String {
    let stage = part
        .stage
        .as_deref()
        .map(|stage| format!(", in {stage}"))
        .unwrap_or_default();
    format!(
        "{} to {} after the application’s start{stage}",
        clock(seconds(part.from_seconds)),
        clock(seconds(part.to_seconds))
    )
}

fn cost(part: &Part) -> String {
    let longer = format!(
        "half of the runs take at least {} longer",
        span(seconds(part.added_seconds_p50.max(0.0)))
    );
    match part.failed {
        none if none <= 0.0 => longer,
        all if all >= 1.0 => "every run fails".to_owned(),
        some => format!("{} fail, and of the others {longer}", percent(some)),
    }
}

fn chart(told: &Elsewhen) -> Option<Chart> {
    let end = told.parts.iter().map(|part| part.to_seconds).fold(0.0, f64::max);
    let most = told.parts.iter().map(|part| part.added_seconds_p90).fold(1.0, f64::max);
    let tenths = |number: f64| (number * 10.0).round() / 10.0;
    let bar = |class, part: &Part, share: f64| {
        let height = tenths(share.clamp(0.0, 1.0) * HEIGHT);
        Bar {
            class,
            left: tenths(part.from_seconds),
            width: tenths((part.to_seconds - part.from_seconds) * 0.94),
            top: tenths(HEIGHT - height),
            height,
        }
    };
    let bars = told.parts.iter().flat_map(|part| {
        [
            bar("tenth", part, part.added_seconds_p90 / most),
            bar("half", part, part.added_seconds_p50 / most),
            bar("fails", part, part.failed),
        ]
    });
    let step = (end / 6.0).max(1.0) as i64;
    (end > 0.0).then(|| Chart {
        end: seconds(end).max(1),
        bars: bars.filter(|bar| bar.height > 0.0).collect(),
        hit: told
            .hit_at_seconds
            .map(seconds)
            .filter(|at| (0..=seconds(end)).contains(at)),
        marks: (0..=5)
            .map(|mark| mark * step)
            .filter(|at| *at <= seconds(end))
            .map(|at| (at, clock(at)))
            .collect(),
        top: span(seconds(most)),
    })
}

/// The chart's numbers.
pub(super) fn table(digest: &Digest<'_>) -> Option<Table> {
    let Some(WhatIf::Told(told)) = &digest.report.what_if else {
        return None;
    };
    let row = |part: &Part| {
        vec![
            format!(
                "{} to {}",
                clock(seconds(part.from_seconds)),
                clock(seconds(part.to_seconds))
            ),
            span(seconds(part.added_seconds_p50.max(0.0))),
            span(seconds(part.added_seconds_p90.max(0.0))),
            percent(part.failed),
            part.runs.to_string(),
            part.stage.clone().unwrap_or_default(),
        ]
    };
    Table::new(
        digest.json(),
        "Had it hit at another moment (simulated): by the moment of the loss after the application’s start.",
        &[
            ("Moment", Kind::Plain),
            ("Half take longer by", Kind::Number),
            ("One in ten by", Kind::Number),
            ("Fail", Kind::Number),
            ("Runs", Kind::Number),
            ("Stage that ran most", Kind::Words),
        ],
        told.parts.iter().map(row).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::workshop;

    fn part(from_seconds: f64, added: f64, failed: f64, stage: &str) -> Part {
        Part {
            from_seconds,
            to_seconds: from_seconds + 100.0,
            runs: 80,
            failed,
            added_seconds_p50: added,
            added_seconds_p90: added * 2.0,
            stage: Some(stage.to_owned()),
        }
    }

    fn told() -> WhatIf {
        WhatIf::Told(Box::new(Elsewhen {
            runs: 240,
            seed: 7,
            instances: 3,
            notice_seconds: 120.0,
            replaced_after_seconds: Some(95.0),
            replaced_as_seen: true,
            logged_seconds: 400.0,
            replayed_seconds: 404.0,
            undisturbed_seconds: 300.0,
            hit_at_seconds: Some(120.0),
            failed: 0.1,
            added_seconds_p50: 40.0,
            added_seconds_p90: 130.0,
            parts: vec![
                part(0.0, 5.0, 0.0, "stage 0 (load)"),
                part(100.0, 40.0, 0.0, "stage 1 (join)"),
                part(200.0, 60.0, 0.3, "stage 2 (<b>write</b>)"),
            ],
            assumed: Vec::new(),
        }))
    }

    #[test]
    fn the_chart_has_its_words_and_its_numbers_and_nothing_of_the_logs_own_markup() {
        let mut report = workshop();
        report.what_if = Some(told());
        let html = report.to_html().unwrap();
        for said in [
            "were 3 instances lost at any other moment, and others came after 1 min 35 s, then of 240 runs 10 % of them fail; \
             half of the others take at least 40 s longer, one in ten at least 2 min 10 s.",
            "most fragile from 3:20 to 5:00 after the application’s start, in stage 2",
            "30 % fail, and of the others half of the runs take at least 1 min longer.",
            "own loss came from 1:40 to 3:20 after the application’s start, in stage 1 (join): there, half of the runs take at \
             least 40 s longer.",
            "(+1.0 %)",
            "<i class=\"here\" style=\"--a:120\">this drill</i>",
        ] {
            assert!(html.contains(said), "{said}");
        }
        assert!(!html.contains("<b>write</b>"));
        // Two bars for each part, and one for what fails.
        assert_eq!(html.matches("<rect class=").count(), 7);
        assert!(html.contains("Stage that ran most"), "the table is there");
    }

    #[test]
    fn where_nothing_is_said_the_page_says_why_and_an_older_report_says_nothing() {
        let mut report = workshop();
        report.what_if = Some(WhatIf::not_said("the event log has no end"));
        let html = report.to_html().unwrap();
        assert!(html.contains("Not said: the event log has no end.") && !html.contains("<rect class="));
        report.what_if = None;
        assert!(!report.to_html().unwrap().contains("Had it hit at another moment"));
    }

    #[test]
    fn both_forms_are_read_back_as_they_were_written() {
        for what_if in [told(), WhatIf::not_said("no task ended well")] {
            let json = serde_json::to_string(&what_if).unwrap();
            assert_eq!(serde_json::from_str::<WhatIf>(&json).unwrap(), what_if, "{json}");
        }
    }

    fn said(change: impl Fn(&mut Elsewhen)) -> String {
        let WhatIf::Told(mut told) = told() else {
            panic!("it is told")
        };
        change(&mut told);
        let words: Vec<String> = sentences(&told).iter().map(|text| text.as_str().to_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn a_loss_between_two_parts_came_in_the_later_one() {
        let hit = |at: f64| said(|told| told.hit_at_seconds = Some(at));
        assert!(hit(0.0).contains("own loss came from 0:00 to 1:40"));
        assert!(hit(100.0).contains("own loss came from 1:40 to 3:20"), "{}", hit(100.0));
        assert!(hit(299.0).contains("own loss came from 3:20 to 5:00"));
        assert!(!hit(300.0).contains("own loss"), "the run was over");
    }

    #[test]
    fn no_moment_is_fragile_that_costs_less_than_a_second() {
        let fragile = |seconds: f64| {
            let words = said(|told| told.parts = vec![part(0.0, seconds, 0.0, "stage 0 (load)")]);
            words.contains("most fragile from 0:00 to 1:40")
        };
        assert!(fragile(1.0) && !fragile(0.9));
    }

    #[test]
    fn all_and_none_are_said_only_where_it_is_all_or_none() {
        let shares = [0.0, 0.0001, 0.004, 0.01, 0.5, 0.99, 0.996, 0.9999, 1.0].map(percent);
        let (few, most) = ("less than 1 %", "more than 99 %");
        assert_eq!(shares, ["0 %", few, few, "1 %", "50 %", "99 %", most, most, "100 %"]);
        let first = |failed| said(|told| told.failed = failed);
        assert!(first(0.0).contains("then of 240 runs none of them fails; half of the others take"));
        assert!(
            first(1.0).contains("then of 240 runs every one fails. It is"),
            "{}",
            first(1.0)
        );
    }

    #[test]
    fn the_marks_are_within_the_chart() {
        let marks = |seconds: f64| {
            let WhatIf::Told(mut told) = told() else {
                panic!("it is told")
            };
            told.parts.truncate(1);
            told.parts[0].to_seconds = seconds;
            let marks = chart(&told).unwrap().marks;
            marks.into_iter().map(|(at, _)| at).collect::<Vec<i64>>()
        };
        assert_eq!(marks(600.0), [0, 100, 200, 300, 400, 500]);
        assert_eq!(marks(3.0), [0, 1, 2, 3]);
    }

    #[test]
    fn a_bar_stands_over_its_part_and_is_as_high_as_its_share_of_the_highest() {
        let drawn = |change: fn(&mut Elsewhen)| {
            let WhatIf::Told(mut told) = told() else {
                panic!("it is told")
            };
            change(&mut told);
            chart(&told)
        };
        let chart = drawn(|told| {
            told.parts = vec![part(0.0, 30.0, 0.25, ""), part(100.0, 0.0, 0.0, "")];
            told.parts[1].added_seconds_p90 = 120.0;
        });
        let chart = chart.unwrap();
        let bars: Vec<(&str, f64, f64, f64)> = chart
            .bars
            .iter()
            .map(|bar| (bar.class, bar.left, bar.top, bar.height))
            .collect();
        let expected = [
            ("tenth", 0.0, 30.0, 30.0),
            ("half", 0.0, 45.0, 15.0),
            ("fails", 0.0, 45.0, 15.0),
            ("tenth", 100.0, 0.0, 60.0),
        ];
        assert_eq!(bars, expected, "and there is none of nothing");
        assert!(
            chart.bars.iter().all(|bar| bar.width > 90.0 && bar.width < 100.0),
            "each has a gap beside it"
        );
        assert_eq!((chart.end, chart.top.as_str(), chart.hit), (200, "2 min", Some(120)));
        assert!(
            drawn(|told| told.parts.clear()).is_none(),
            "there is no axis to draw on"
        );
        let hit = |change| drawn(change).and_then(|chart| chart.hit);
        assert_eq!(hit(|told| told.hit_at_seconds = Some(301.0)), None);
        assert_eq!(hit(|told| told.hit_at_seconds = Some(-1.0)), None);
    }

    #[test]
    fn a_part_in_which_every_run_fails_has_no_others() {
        let told = |failed: f64| cost(&part(0.0, 60.0, failed, ""));
        let longer = "half of the runs take at least 1 min longer";
        assert_eq!(told(0.0), longer);
        assert_eq!(told(0.3), format!("30 % fail, and of the others {longer}"));
        assert_eq!(told(0.999), format!("more than 99 % fail, and of the others {longer}"));
        assert_eq!(told(1.0), "every run fails");
    }
}
