//! How instances are drawn, one by one and in waves.

use super::*;
use crate::Report;
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
fn instances_of_which_no_time_is_known_are_a_group_of_their_own() {
    let mut all = vec![one(100, 220, None); 5];
    for one in &mut all[1..4] {
        one.interrupted.noticed_at = None;
    }
    for one in &mut all[1..3] {
        one.interrupted.terminated_at = None;
    }
    let groups = groups(&all.iter().collect::<Vec<&InterruptionFacts>>());
    assert_eq!(groups.iter().map(Vec::len).collect::<Vec<usize>>(), [2, 2, 1]);
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

#[test]
fn up_to_twelve_instances_have_a_lane_each() {
    let mut report = workshop();
    let drawn = |report: &Report| {
        let digest = Digest::new(report);
        let lanes = lanes(&digest, &Axis::of(&digest).unwrap());
        (
            lanes.len(),
            lanes[0].is_id,
            lanes.iter().filter(|lane| lane.group).count(),
        )
    };
    report.interruptions = vec![report.interruptions[0].clone(); 12];
    assert_eq!(drawn(&report), (12, true, 1));
    report.interruptions.push(report.interruptions[0].clone());
    assert_eq!(drawn(&report), (1, false, 1), "they are of one wave");
}

#[test]
fn an_instance_is_told_by_what_was_on_it() {
    let report = workshop();
    let row = report.spark.unwrap().executors.remove(0);
    let said = |count: usize, held: &[&str]| {
        let mut one = one(0, 1, None);
        one.interrupted.instance_type = Some("r5.xlarge".into());
        one.loss.held = held.iter().map(|held| (*held).into()).collect();
        what(&one, &vec![&row; count])
    };
    assert_eq!(said(0, &[]), "r5.xlarge, 4 units");
    assert_eq!(said(1, &["executor 1"]), "r5.xlarge, executor 1");
    assert_eq!(said(2, &["driver"]), "r5.xlarge, driver, executors 1 and 1");
}

/// A bar's class, from and to which second, and its text.
type Drawn = (&'static str, f64, f64, String);

/// An instance's lane: its bars, what came of it, and the words.
fn drawn(report: &Report) -> (Vec<Drawn>, [String; 3]) {
    let digest = Digest::new(report);
    let axis = Axis::of(&digest).unwrap();
    let lane = lane(&digest, &axis, &report.interruptions[0]);
    let bars = lane
        .bars
        .iter()
        .map(|bar| (bar.class, bar.from, bar.until, bar.text.to_string()));
    (
        bars.collect(),
        [&lane.out, &lane.out_note, &lane.said].map(Text::to_string),
    )
}

/// A run of a thousand seconds, from whose instance an executor is gone when it was warned at 100, and that went at 220.
fn run(ready: Option<i64>) -> Report {
    let mut report = workshop();
    (report.step.started_at, report.step.ended_at) = (Some(at(0)), Some(at(1_000)));
    report.interruptions = vec![one(100, 220, ready)];
    let spark = report.spark.as_mut().unwrap();
    spark.executors.truncate(2);
    let id = report.interruptions[0].interrupted.instance_id.clone();
    let row = |id: &str, instance: &str, added: i64, removed: Option<i64>| ExecutorRow {
        id: id.into(),
        instance_id: Some(instance.into()),
        added_at: Some(at(added)),
        removed_at: removed.map(at),
        ..spark.executors[0].clone()
    };
    spark.executors = vec![
        row("1", &id, 10, Some(150)),
        row("2", "i-2", 470, None),
        row("3", "i-2", 420, None),
    ];
    report
}

#[test]
fn a_lane_is_at_work_warned_drained_gone_and_its_place_at_work() {
    let (bars, words) = drawn(&run(Some(350)));
    let expected = [
        ("work", 0.0, 100.0, ""),
        ("warned", 100.0, 150.0, "warned"),
        ("drained", 150.0, 220.0, "drained"),
        ("gone", 220.0, 350.0, "gone 2 min 10 s"),
        ("work", 350.0, 1_000.0, "i-2"),
    ];
    assert_eq!(
        bars,
        expected.map(|(class, from, until, text)| (class, from, until, text.to_owned()))
    );
    assert_eq!(
        words,
        [
            "back in 4 min 10 s",
            "executor 3 at 7:00",
            "Warned at 1:40, its executors had left at 2:30, gone at 3:40, replaced by i-2 at 5:50."
        ]
    );
    // Executors came within two minutes of the instance, or for another reason.
    let note = |ready| drawn(&run(Some(ready))).1[1].clone();
    assert_eq!([300, 299].map(note), ["executor 3 at 7:00", ""]);
    // It was there before the other went.
    let (bars, words) = drawn(&run(Some(200)));
    assert_eq!(bars[3], ("work", 220.0, 1_000.0, "i-2".to_owned()));
    assert_eq!(words[0], "back 20 s before it went");
}

#[test]
fn what_did_not_come_is_told_with_the_reason() {
    let mut report = run(None);
    let mut told = |bearing, replacement| {
        report.interruptions[0].loss.bearing = bearing;
        report.interruptions[0].replacement = replacement;
        let (bars, words) = drawn(&report);
        assert_eq!(bars[3], ("gone", 220.0, 1_000.0, "gone".to_owned()));
        (words[0].clone(), words[1].clone())
    };
    let why = || "so it is".to_owned();
    let not_expected = || Replacement::NotExpected {
        excuse: rules::replacement::Excuse::JobEnded,
        why: why(),
    };
    let pair = |out: &str, note: &str| (out.to_owned(), note.to_owned());
    let not_replaced = told(Bearing::Counts, Replacement::NotReplaced { why: why() });
    assert_eq!(not_replaced, pair("not replaced", ""));
    assert_eq!(told(Bearing::Counts, not_expected()), pair("none expected", ""));
    assert_eq!(told(Bearing::AfterTheRun, not_expected()), pair("after the job", ""));
    let unknown = told(Bearing::Counts, Replacement::Unknown { why: why() });
    assert_eq!(unknown, pair("not known", "whether replaced"));
    report.interruptions[0].interrupted.terminated_at = None;
    let (bars, words) = drawn(&report);
    assert_eq!(words[0], "not gone yet");
    let until: Vec<(&str, f64)> = bars.iter().map(|(class, _, until, _)| (*class, *until)).collect();
    assert_eq!(
        until,
        [("work", 100.0), ("warned", 1_000.0)],
        "as long as anybody looked"
    );
}

#[test]
fn what_came_in_anothers_place_and_went_itself_was_at_work_between() {
    let mut report = run(Some(350));
    let mut second = one(500, 620, None);
    second.interrupted.instance_id = "i-2".into();
    report.interruptions.push(second);
    assert_eq!(drawn(&report).0[4], ("work", 350.0, 620.0, "i-2".to_owned()));
    report.interruptions.reverse();
    assert_eq!(drawn(&report).0[0], ("work", 350.0, 500.0, String::new()));
    // An executor was on it before: it is the first of several that came.
    let rows = &mut report.spark.as_mut().unwrap().executors;
    rows[2].added_at = Some(at(300));
    assert_eq!(drawn(&report).0[0], ("work", 300.0, 500.0, String::new()));
}
