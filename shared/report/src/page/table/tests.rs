//! What the tables list, and how much of it.

use chrono::TimeDelta;

use super::*;
use crate::sample::workshop;
use crate::{OwnUse, Report, Revision};
use rules::used::Used;

/// The cells of a table, row by row.
fn cells(table: Option<Table>) -> Vec<Vec<String>> {
    let rows = table.map(|table| table.rows).unwrap_or_default();
    rows.iter()
        .map(|row| row.iter().map(Text::to_string).collect())
        .collect()
}

/// The cells of one column.
fn column(table: Option<Table>, number: usize) -> Vec<String> {
    cells(table)
        .into_iter()
        .map(|mut row| row.swap_remove(number))
        .collect()
}

#[test]
fn a_table_has_a_hundred_rows_at_most_and_says_where_the_others_are() {
    let table = |rows: usize| {
        let rows = (0..rows).map(|row| vec![row.to_string()]).collect();
        Table::new("interim.json", "Rows.", &[("Row", Kind::Number)], rows)
    };
    assert!(table(0).is_none());
    assert_eq!(table(100).unwrap().caption.as_str(), "Rows.");
    let cut = table(1_001).unwrap();
    assert_eq!(
        cut.caption.as_str(),
        "Rows. The first 100 of 1,001; all are in interim.json."
    );
    assert_eq!((cut.rows.len(), cut.rows[99][0].as_str()), (100, "99"));
}

#[test]
fn a_cell_has_the_class_of_its_column() {
    let kinds = [
        ("a", Kind::Plain),
        ("b", Kind::Id),
        ("c", Kind::Number),
        ("d", Kind::Words),
    ];
    let row = ["1", "2", "3", "4"].map(String::from).to_vec();
    let table = Table::new("report.json", "", &kinds, vec![row]).unwrap();
    let cells: Vec<(&str, &str)> = table
        .cells(&table.rows[0])
        .map(|(cell, class)| (cell.as_str(), class))
        .collect();
    assert_eq!(cells, [("1", ""), ("2", "id"), ("3", "r"), ("4", "w")]);
}

#[test]
fn what_the_functions_used_is_told_to_a_tenth_of_a_second_below_ten() {
    let mut report = workshop();
    let used = |milliseconds, memory_mb| Used {
        milliseconds,
        memory_mb,
        calls: 1_234,
    };
    report.cost.own = vec![
        OwnUse::new("start-experiment", used(9_940, None)),
        OwnUse::new("write-report", used(120_000, Some(256))),
    ];
    assert_eq!(
        cells(own_use(&Digest::new(&report))),
        [
            ["start-experiment", "9.9 s", "–", "1,234"],
            ["write-report", "2 min", "30.0", "1,234"]
        ]
    );
}

#[test]
fn a_wave_is_named_where_there_was_more_than_one() {
    let mut report = workshop();
    let of = |report: &Report, id: &str| {
        let experiment_id = id.to_owned();
        cause(&Digest::new(report), &Cause::Experiment { experiment_id })
    };
    let first = report.drill.experiments[0].clone();
    let id = first.experiment_id.clone().unwrap();
    assert_eq!(of(&report, &id), "this drill");
    report.drill.experiments.push(ExperimentFacts {
        wave: 2,
        experiment_id: Some("EXP2".into()),
        ..first
    });
    assert_eq!(
        (of(&report, &id), of(&report, "EXP2")),
        ("this drill, wave 1".into(), "this drill, wave 2".into())
    );
    assert_eq!(of(&report, "EXP3"), "this drill");
}

#[test]
fn what_went_along_is_told_or_why_it_is_nothing() {
    let mut one = workshop().interruptions.remove(0);
    let mut told = |bearing, held: &[&str]| {
        one.loss.bearing = bearing;
        one.loss.held = held.iter().map(|held| (*held).into()).collect();
        took_along(&one)
    };
    assert_eq!(told(Bearing::Counts, &["executor 7"]), "executor 7");
    assert_eq!(told(Bearing::Counts, &[]), "not known: no event log tells");
    assert_eq!(told(Bearing::NothingThere, &[]), "nothing of the job");
}

#[test]
fn attempts_of_stages_are_listed_if_they_failed_or_were_repeated() {
    let mut report = workshop();
    let begun = report.step.started_at.unwrap();
    let rows = &mut report.spark.as_mut().unwrap().stages;
    rows.truncate(3);
    for (row, (attempt, reason)) in rows
        .iter_mut()
        .zip([(0, None), (0, Some("Lost\nat Foo.scala")), (1, None)])
    {
        (row.stage_id, row.attempt, row.failure_reason) = (7, attempt, reason.map(String::from));
        (row.submitted_at, row.completed_at) = (Some(begun), Some(begun + TimeDelta::milliseconds(60_500)));
    }
    rows[2].completed_at = None;
    let table = |number| column(stages(&Digest::new(&report)), number);
    assert_eq!(table(0), ["7.0", "7.1"]);
    assert_eq!(table(4), ["1 min 1 s", "–"]);
    assert_eq!(table(6), ["Lost", ""], "the first line of it");
}

#[test]
fn attempts_of_the_application_are_listed_where_there_was_more_than_one() {
    let mut report = workshop();
    assert!(attempts(&Digest::new(&report)).is_none());
    let spark = report.spark.as_mut().unwrap();
    spark.attempts = 3;
    spark.attempts_without_log = 1;
    spark.earlier = vec![crate::AttemptRow {
        attempt: Some("1".into()),
        started_at: spark.started_at,
        ended_at: None,
        driver_host: Some("ip-10-0-0-1".into()),
        driver_was_interrupted: Some(true),
        task_time_ms: 7,
    }];
    (spark.driver_host, spark.driver_was_interrupted) = (None, None);
    let table = attempts(&Digest::new(&report)).unwrap();
    assert!(
        table
            .caption
            .as_str()
            .starts_with("Attempts of the application; 1 left no event log.")
    );
    assert_eq!(
        cells(Some(table)),
        [
            [
                "1",
                "14:04:06",
                "its log breaks off",
                "ip-10-0-0-1, which was interrupted"
            ],
            ["3, the last", "14:04:06", "14:12:40", "not known"]
        ]
    );
}

#[test]
fn a_report_whose_place_was_taken_is_told_with_what_it_lacked() {
    let mut report = workshop();
    let missing = |what: &str| crate::Missing {
        what: what.into(),
        why: "it was late".into(),
    };
    report.revisions = vec![Revision {
        observed_at: report.step.ended_at.unwrap(),
        verdict: rules::verdict::Verdict::Inconclusive,
        missing: vec![missing("event log"), missing("targets")],
    }];
    assert_eq!(
        cells(revisions(&Digest::new(&report))),
        [["14:12:46", "Inconclusive", "event log and targets"]]
    );
}
