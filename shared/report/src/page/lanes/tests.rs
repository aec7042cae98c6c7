//! What the lanes of capacity and executors, and the moments over all of them, say and draw.

use super::*;
use chrono::TimeDelta;

use crate::Report;
use crate::sample::workshop;

fn moment(report: &Report, seconds: i64) -> DateTime<Utc> {
    report.step.started_at.unwrap() + TimeDelta::seconds(seconds)
}

fn of_executors(report: &Report) -> (String, String) {
    let digest = Digest::new(report);
    let lane = executors(&digest, &Axis::of(&digest).unwrap()).unwrap();
    (lane.out.as_str().to_owned(), lane.said.as_str().to_owned())
}

#[test]
fn an_executor_that_spark_let_go_before_the_notice_is_none_that_was_lost() {
    let mut report = workshop();
    assert_eq!(of_executors(&report).0, "−3 executors");
    let noticed = report.interruptions[0].interrupted.noticed_at.unwrap();
    let leaves = |report: &mut Report, at| {
        let executors = &mut report.spark.as_mut().unwrap().executors;
        executors.iter_mut().find(|row| row.id == "7").unwrap().removed_at = Some(at);
    };
    leaves(&mut report, noticed);
    assert_eq!(of_executors(&report).0, "−3 executors");
    leaves(&mut report, noticed - TimeDelta::milliseconds(1));
    assert_eq!(of_executors(&report).0, "−2 executors");
    // EC2 gives notice two minutes before: where nobody heard it, an executor that left within them left for it.
    let interrupted = &mut report.interruptions[0].interrupted;
    interrupted.noticed_at = None;
    interrupted.terminated_at = Some(noticed + TimeDelta::minutes(2));
    assert_eq!(of_executors(&report).0, "−2 executors");
    report.interruptions[0].interrupted.terminated_at = Some(noticed + TimeDelta::seconds(119));
    assert_eq!(of_executors(&report).0, "−3 executors");
    report.interruptions[0].interrupted.terminated_at = None;
    assert_eq!(of_executors(&report).0, "−2 executors", "it is not known that it went");
}

#[test]
fn executors_are_missing_from_the_first_loss_until_as_many_are_there_again() {
    let levels = [(10.0, 4), (100.0, 3), (110.0, 2), (200.0, 4), (300.0, 1)];
    assert_eq!(hole(&levels, 100.0, 400.0), Some((100.0, 200.0, 4)));
    assert_eq!(
        hole(&levels[..3], 100.0, 400.0),
        Some((100.0, 400.0, 4)),
        "they never were"
    );
    assert_eq!(hole(&levels, 10.0, 400.0), None, "there were none before");
    let waves = [(10.0, 4), (100.0, 3), (110.0, 2), (200.0, 4), (300.0, 1), (350.0, 2)];
    let both = [(100.0, 200.0, 4), (300.0, 400.0, 4)];
    assert_eq!(holes(&waves, &[100.0, 110.0, 300.0, 300.0], 400.0), both);
    let at_once = [(10.0, 4), (100.0, 3), (100.0, 4), (300.0, 1)];
    assert_eq!(hole(&at_once, 100.0, 400.0), None);
}

#[test]
fn the_lane_of_executors_says_how_many_there_were_and_are() {
    let mut report = workshop();
    let begun = moment(&report, 0);
    let at = |seconds: i64| begun + TimeDelta::seconds(seconds);
    let host = report.interruptions[0].interrupted.private_dns_name.clone().unwrap();
    let spark = report.spark.as_mut().unwrap();
    spark.executors.truncate(1);
    (spark.executors[0].host, spark.executors[0].removed_at) = (host, Some(at(100)));
    spark.ended_at = Some(at(400));
    let said = |report: &mut Report, levels: &[(i64, u32)]| {
        report.spark.as_mut().unwrap().executors_over_time =
            levels.iter().map(|(seconds, count)| (at(*seconds), *count)).collect();
        report.interruptions.truncate(1);
        report.interruptions[0].interrupted.noticed_at = Some(at(90));
        of_executors(report)
    };
    let (out, words) = said(&mut report, &[(10, 4), (100, 3), (110, 2), (200, 4), (300, 1)]);
    assert_eq!(out, "−1 executor");
    assert_eq!(
        words,
        "4 executors at most, 4 before the first left, 2 at the lowest, as many again at 3:20."
    );
    // All of them end with the application, which is no loss.
    let (_, words) = said(&mut report, &[(10, 4), (100, 3), (400, 0)]);
    assert_eq!(words, "4 executors at most, 4 before the first left, 3 at the lowest.");
    report.spark.as_mut().unwrap().executors[0].removed_at = None;
    let of_one = said(&mut report, &[(10, 1)]);
    assert_eq!(of_one, ("1 at most".to_owned(), "1 executor at most.".to_owned()));
}

#[test]
fn moments_are_those_from_the_steps_begin_on_each_as_wide_as_to_the_next() {
    let mut report = workshop();
    let drawn = |report: &Report| {
        let digest = Digest::new(report);
        let axis = Axis::of(&digest).unwrap();
        let bars = moments(&digest, &axis);
        assert_eq!(bars.last().map(|bar| bar.until), Some(axis.end));
        assert!(bars.windows(2).all(|two| two[0].until == two[1].from));
        bars.iter()
            .map(|bar| bar.text.to_string())
            .collect::<Vec<String>>()
            .join(", ")
    };
    assert_eq!(drawn(&report), "1:34 notice, 3:35 first gone, 5:53 all back, 9:01 end");
    report.judgement.verdict = Verdict::Failed;
    report.interruptions[1].interrupted.noticed_at = Some(moment(&report, 0));
    assert_eq!(
        drawn(&report),
        "0:00 notice, 3:35 first gone, 5:53 all back, 9:01 failed"
    );
    report.interruptions[1].interrupted.noticed_at = Some(moment(&report, -1));
    assert_eq!(
        drawn(&report),
        "3:35 first gone, 5:53 all back, 9:01 failed",
        "it is before the picture"
    );
}

#[test]
fn labels_stand_from_their_moment_to_the_next_ones_where_they_say_something_and_have_room() {
    let label = |at: f64, text: &str| (at, text.to_owned());
    let labels = vec![
        label(0.0, "32"),
        label(10.0, ""),
        label(20.0, "no room"),
        label(20.0, "64"),
    ];
    let drawn: Vec<(f64, f64, String)> = spread(labels, 90.0)
        .iter()
        .map(|bar| (bar.from, bar.until, bar.text.to_string()))
        .collect();
    assert_eq!(drawn, [(0.0, 10.0, "32".to_owned()), (20.0, 90.0, "64".to_owned())]);
}

#[test]
fn the_lane_of_capacity_ends_with_the_step_and_its_hole_with_the_dip() {
    let mut report = workshop();
    let begun = moment(&report, 0);
    let at = |seconds: i64| begun + TimeDelta::seconds(seconds);
    report.step.ended_at = Some(at(500));
    let level = |seconds, units| rules::capacity::Level { at: at(seconds), units };
    let all = report.capacity.as_mut().unwrap();
    all.levels = vec![
        level(0, 9),
        level(100, 5),
        level(200, 8),
        level(300, 9),
        level(500, 7),
        level(501, 1),
    ];
    let dip = all.dip.as_mut().unwrap();
    (dip.from, dip.until, dip.units_before, dip.units_lowest) = (at(100), Some(at(200)), 9, 5);
    let drawn = |report: &Report| {
        let digest = Digest::new(report);
        let lane = super::capacity(&digest, &Axis::of(&digest).unwrap()).unwrap();
        let labels: Vec<String> = lane
            .bars
            .iter()
            .map(|bar| format!("{}-{} {}", bar.from, bar.until, bar.text))
            .collect();
        (lane.curve.unwrap(), labels)
    };
    let (curve, labels) = drawn(&report);
    assert_eq!(
        curve.line, "M0 0H100V4H200V1H300V0H500V2H500",
        "what comes after the end is none of it"
    );
    assert_eq!(curve.hole, "M100 0V4H200V0Z");
    assert_eq!(labels, ["0-100 9", "100-200 5 of 9", "200-500 8"]);
    for level in &mut report.capacity.as_mut().unwrap().levels {
        level.units = 0;
    }
    assert_eq!(drawn(&report).0.line, "", "of nothing there is no curve");
}

#[test]
fn where_a_replacement_is_not_known_nobody_says_that_all_was_back() {
    let mut report = workshop();
    let told = |report: &Report| {
        let digest = Digest::new(report);
        let axis = Axis::of(&digest).unwrap();
        let lane = super::capacity(&digest, &axis).unwrap();
        let figure = super::super::figures::six(&digest).into_iter().nth(2).unwrap();
        let is_back = moments(&digest, &axis)
            .iter()
            .any(|bar| bar.text.as_str().ends_with("all back"));
        (is_back, figure.note.to_string(), format!("{}: {}", lane.out, lane.said))
    };
    let (is_back, figure, lane) = told(&report);
    assert!(is_back && figure.ends_with("; all back after 2 min 17 s") && lane.ends_with(", made up for at 5:53."));
    report.interruptions[0].replacement = rules::replacement::Replacement::Unknown {
        why: "nobody looked".into(),
    };
    let (is_back, figure, lane) = told(&report);
    assert!(!is_back && figure.ends_with("; whether all came back is not known"));
    assert!(lane.starts_with("−12 units: ") && lane.ends_with(", whether all of it was made up for is not known."));
    report.capacity.as_mut().unwrap().dip = None;
    let (_, figure, lane) = told(&report);
    assert_eq!(figure, "whether they came back is not known");
    assert!(lane.starts_with("not known: "), "{lane}");
    // A core node is none of the task capacity.
    report.interruptions[0].interrupted.role = Some(rules::cluster::Role::Core);
    let (_, figure, lane) = told(&report);
    assert_eq!(figure, "and they were not asked for any more");
    assert!(lane.starts_with("nothing missing: "), "{lane}");
}

#[test]
fn each_wave_says_how_many_executors_it_left() {
    let waves: Report = serde_json::from_str(include_str!("../../../samples/waves.json")).unwrap();
    let (out, said) = of_executors(&waves);
    assert_eq!(out, "−7 executors");
    assert_eq!(
        said,
        "17 executors at most, 17 before the first left, 14 at the lowest, as many again at 6:24, 13 of 17 at the lowest from \
         6:35 on, as many again at 9:35."
    );
}
