//! A real log's answer: whole, the same each time, and the page says what it holds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use spark_log::{Limits, Part, SparkRun, read};
use what_if::{Answer, Asked, Error, MarketChoice, MonthAsked, Replaced, Surroundings, Victims, ask, page};

const TASKS_MAX: usize = 1 << 20;

fn log() -> SparkRun {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/spark-event-logs");
    let path = data.join("s35-baseline-sql-plain/log/app-20261122085419-0000");
    let part = Part {
        name: "app-20261122085419-0000".to_owned(),
        bytes: File::open(path).unwrap(),
    };
    let limits = Limits {
        tasks_max: TASKS_MAX,
        ..Limits::default()
    };
    read(vec![part], &limits)
}

fn asked() -> Asked {
    Asked {
        runs: 120,
        seed: 3,
        threads: 2,
        victims: Victims::Random(2),
        between_ms: None,
        around: Surroundings {
            notice_ms: 0,
            ..Surroundings::default()
        },
        replaced: Replaced::AfterMs(15_000),
        month: Some(MonthAsked {
            market: MarketChoice::Busy,
            spot_price: 0.25,
            on_demand_price: 1.0,
            runs: 10,
        }),
        properties: Vec::new(),
        remedies: true,
    }
}

fn answer(asked: &Asked) -> Answer {
    ask(&log(), TASKS_MAX, asked, &|| ()).unwrap()
}

#[test]
fn the_same_question_has_the_same_bytes() {
    let json = |asked: &Asked| serde_json::to_string(&answer(asked)).unwrap();
    let first = json(&asked());
    assert_eq!(first, json(&Asked { threads: 1, ..asked() }));
    assert_ne!(first, json(&Asked { seed: 4, ..asked() }));
}

#[test]
fn an_answer_holds_together() {
    let answer = answer(&asked());
    assert_eq!((answer.application.tasks, answer.application.nodes), (132, 5));
    assert!((answer.replayed_seconds / answer.logged_seconds - 1.0).abs() < 0.05);
    let run = answer.result.run_seconds;
    assert!(answer.undisturbed_seconds <= run.p50 && run.p50 <= run.p90 && run.p90 <= run.p99);
    let runs: usize = answer.curve.iter().map(|part| part.runs).sum();
    assert_eq!(runs, 120 - (answer.result.not_hit * 120.0).round() as usize);
    let counts: Vec<u32> = answer.by_victims.iter().map(|row| row.victims).collect();
    assert_eq!(counts, [1, 2, 3, 5]);
    let means: Vec<f64> = answer
        .by_victims
        .iter()
        .map(|row| row.result.run_seconds.mean)
        .collect();
    assert!(means.is_sorted(), "more nodes gone take longer: {means:?}");
    let helps: Vec<f64> = answer.remedies.iter().map(|it| it.until_done_seconds).collect();
    assert!(helps.len() >= 6 && helps.is_sorted(), "{helps:?}");
    let month = answer.month.unwrap();
    assert!(month.spot_node_hours >= month.on_demand_node_hours);
    assert!((month.spot_cost - month.spot_node_hours * 0.25).abs() < 0.001);
}

#[test]
fn the_page_is_whole_and_needs_nothing_from_elsewhere() {
    let mut answer = answer(&asked());
    answer.application.name = Some("<script>alert(1)</script>".to_owned());
    let html = page::render(&answer).unwrap();
    assert!(
        html.ends_with("</html>\n") || html.ends_with("</html>"),
        "{}",
        &html[html.len() - 40..]
    );
    assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("NaN"));
    for effect in &answer.remedies {
        let first = effect.change.split(['(', '\'']).next().unwrap().trim();
        assert!(html.contains(first), "{first}");
    }
}

#[test]
fn what_cannot_be_asked_is_said() {
    let no_driver = Asked {
        victims: Victims::Driver,
        ..asked()
    };
    assert_eq!(ask(&log(), TASKS_MAX, &no_driver, &|| ()), Err(Error::DriverElsewhere));
    let late = Asked {
        between_ms: Some((900_000, 950_000)),
        ..asked()
    };
    assert_eq!(ask(&log(), TASKS_MAX, &late, &|| ()), Err(Error::Window));
    let mut nobody = asked();
    nobody.around.nodes_that_stay = log().executors.into_iter().map(|executor| executor.host).collect();
    assert_eq!(ask(&log(), TASKS_MAX, &nobody, &|| ()), Err(Error::NobodyToHit));
    let mut streaming = log();
    streaming.reading.passed_over.insert(
        "org.apache.spark.sql.streaming.StreamingQueryListener$QueryStartedEvent".to_owned(),
        1,
    );
    let refused = ask(&streaming, TASKS_MAX, &asked(), &|| ()).unwrap_err();
    assert!(refused.to_string().contains("streaming"), "{refused}");
}

/// A log's text, as much of it as is given, with something replaced.
fn damaged(bytes: &[u8]) -> SparkRun {
    let part = Part {
        name: "app-1".to_owned(),
        bytes,
    };
    let limits = Limits {
        tasks_max: TASKS_MAX,
        ..Limits::default()
    };
    read(vec![part], &limits)
}

#[test]
fn a_log_that_is_cut_off_anywhere_is_played_as_far_as_it_goes_or_refused() {
    let whole = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wordcount-two-lost.gz")).unwrap();
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&whole[..]).read_to_end(&mut text).unwrap();
    let asked = Asked { runs: 12, ..asked() };
    let mut longest = 0.0;
    let mut played = 0;
    for cut in (1..=60).map(|part| text.len() * part / 60) {
        let Ok(answer) = ask(&damaged(&text[..cut]), TASKS_MAX, &asked, &|| ()) else {
            continue;
        };
        played += 1;
        assert!(
            answer.logged_seconds >= longest,
            "{cut}: {} after {longest}",
            answer.logged_seconds
        );
        longest = answer.logged_seconds;
        let says_so = answer.assumed.iter().any(|words| words.contains("The log has no end"));
        assert_eq!(says_so, cut < text.len(), "{cut}");
    }
    assert!(played > 30, "{played}");
}

#[test]
fn a_task_without_end_or_sense_does_not_keep_it_running() {
    let whole = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wordcount.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&whole[..])
        .read_to_string(&mut text)
        .unwrap();
    let asked = Asked { runs: 12, ..asked() };
    for (from, to) in [
        ("\"Finish Time\":1", "\"Finish Time\":9"),
        ("\"Launch Time\":1", "\"Launch Time\":-1"),
        ("\"Parent IDs\":[", "\"Parent IDs\":[9,"),
        ("\"Total Cores\":1", "\"Total Cores\":-1"),
        ("\"Completion Time\":1", "\"Completion Time\":0"),
        ("\"Partition ID\":1", "\"Partition ID\":9"),
    ] {
        assert!(text.contains(from), "{from}");
        // It ends: with an answer or a refusal.
        drop(ask(
            &damaged(text.replace(from, to).as_bytes()),
            TASKS_MAX,
            &asked,
            &|| (),
        ));
    }
}
