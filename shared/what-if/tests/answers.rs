//! A real log's answer: whole, the same each time, and the page says what it holds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use spark_log::{Limits, Part, SparkRun, read};
use what_if::{
    Answer, Asked, Disturbance, Ending, Error, Experiment, Market, MarketChoice, MonthAsked, Pace, Replaced,
    Surroundings, Untold, Victims, ask, pace_of, page, rebuild, runs_at_most,
};

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
        paces: Vec::new(),
        by_victims: true,
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
fn a_bar_is_as_long_as_there_are_runs_and_not_much_longer() {
    for (by_victims, remedies, month) in [
        (true, true, true),
        (true, false, false),
        (false, true, false),
        (false, false, true),
    ] {
        let asked = Asked {
            runs: 10,
            by_victims,
            remedies,
            month: asked().month.filter(|_| month),
            ..asked()
        };
        let played = AtomicU64::new(0);
        let done = || {
            played.fetch_add(1, Ordering::Relaxed);
        };
        ask(&log(), TASKS_MAX, &asked, &done).unwrap();
        let (played, most) = (played.into_inner(), runs_at_most(&asked));
        assert!(played <= most && most <= 4 * played, "{played} of {most}: {asked:?}");
    }
}

#[test]
fn a_bar_is_just_as_long_as_there_are_runs_where_all_is_tried() {
    let mut run = log();
    // The driver shares a node, and there are as many nodes as are tried at once.
    run.driver_host = Some(run.executors[0].host.clone());
    for number in 100..121 {
        run.executors.push(spark_log::Executor {
            id: number.to_string(),
            host: format!("node-{number}"),
            cores: 2,
            ..run.executors[0].clone()
        });
    }
    let properties = [
        ("spark.submit.deployMode", "cluster"),
        ("spark.shuffle.service.enabled", "true"),
    ];
    for (runs, remedies, at_most) in [(1, false, 2 + 7), (10, false, 20 + 7 * 2), (10, true, 140 + 7 * 2)] {
        let asked = Asked {
            runs,
            remedies,
            properties: properties.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..asked()
        };
        let played = AtomicU64::new(0);
        let done = || {
            played.fetch_add(1, Ordering::Relaxed);
        };
        ask(&run, TASKS_MAX, &asked, &done).unwrap();
        assert_eq!(
            (played.into_inner(), runs_at_most(&asked)),
            (at_most, at_most),
            "{runs}"
        );
    }
}

#[test]
fn a_month_pays_for_all_attempts_and_has_those_that_ended_well() {
    for (hourly, stays, price) in [(20.0, 0, 0.25), (40.0, 1, 0.6), (400.0, 0, 0.25)] {
        let mut asked = Asked {
            runs: 40,
            replaced: Replaced::Never,
            month: Some(MonthAsked {
                market: MarketChoice::Hourly(hourly),
                spot_price: 0.25,
                on_demand_price: 2.0,
                runs: 1_000,
            }),
            properties: vec![("spark.stage.maxConsecutiveAttempts".to_owned(), "1".to_owned())],
            by_victims: false,
            remedies: false,
            ..asked()
        };
        let hosts = log().executors.into_iter().map(|executor| executor.host);
        asked.around.nodes_that_stay = hosts.take(stays).collect();
        let month = answer(&asked).month.unwrap();
        // The same runs.
        let mut run = log();
        run.settings.extend(asked.properties);
        let mut plan = rebuild(&run, TASKS_MAX).unwrap().undisturbed();
        plan.pace = Pace::of(&[]);
        let experiment = Experiment {
            runs: asked.runs,
            seed: asked.seed,
            threads: 1,
            disturbance: Disturbance::Market(Market::Rate {
                nodes: 5 - stays as u32,
                hourly,
                together: 1,
            }),
        };
        let around = Surroundings {
            replaced_after_ms: None,
            ..asked.around
        };
        let runs = experiment.play(&plan, &around, &|| ());
        let well = runs.iter().filter(|run| run.outcome.ending == Ending::Finished).count();
        assert_eq!((2..40).contains(&well), hourly < 400.0, "{hourly}: {well}");
        let slots: u32 = plan.executors.iter().map(|executor| executor.slots).sum();
        let slot_ms: u64 = runs.iter().map(|run| run.outcome.slot_ms).sum();
        let node_hours = slot_ms as f64 * 5.0 / f64::from(slots) / 3_600_000.0;
        // If none ended well, the next is taken to.
        let a_month_long = node_hours / well.max(1) as f64 * 1_000.0;
        let off = month.spot_node_hours / a_month_long - 1.0;
        assert!(
            off.abs() < 0.001,
            "{hourly}: {} and {a_month_long}",
            month.spot_node_hours
        );
        let paid = month.spot_cost / month.spot_node_hours;
        assert!((paid - price).abs() < 0.001, "{hourly}: {paid}");
        assert!((month.on_demand_cost / month.on_demand_node_hours - 2.0).abs() < 0.001);
    }
}

#[test]
fn where_nothing_is_taken_a_month_takes_as_long_on_spot_as_on_demand() {
    let month = answer(&Asked {
        month: Some(MonthAsked {
            market: MarketChoice::Hourly(0.0),
            ..asked().month.unwrap()
        }),
        paces: vec![1.4, 1.6, 1.5],
        by_victims: false,
        remedies: false,
        ..asked()
    })
    .month
    .unwrap();
    // The driver's own time is the same on slow machines.
    let off = month.spot_node_hours / month.on_demand_node_hours - 1.0;
    assert!(off.abs() < 0.1, "{off:+.3}");
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
    let verdicts = answer.result.verdicts;
    let said = verdicts.survived + verdicts.degraded + verdicts.failed + verdicts.inconclusive;
    assert!((said - 1.0).abs() < 0.005, "{verdicts:?}");
    assert!(verdicts.inconclusive >= answer.result.not_hit);
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
    let alone = Asked {
        runs: 5,
        month: None,
        by_victims: false,
        remedies: false,
        ..asked()
    };
    let end_ms = (answer(&alone).undisturbed_seconds * 1_000.0).round() as u32;
    for (from_ms, to_ms, is_refused) in [
        (end_ms + 1, end_ms + 9, true),
        (end_ms, end_ms + 9, false),
        (5_001, 5_000, true),
        (5_000, 5_000, false),
    ] {
        let asked = Asked {
            between_ms: Some((from_ms, to_ms)),
            ..alone.clone()
        };
        let answer = ask(&log(), TASKS_MAX, &asked, &|| ());
        assert_eq!(answer == Err(Error::Window), is_refused, "{from_ms} to {to_ms}");
    }
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
        let says_so = answer.carries.iter().any(|words| words.contains("The log has no end"));
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

/// A real log's lines.
fn lines() -> String {
    let whole = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wordcount.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&whole[..])
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// What is said of a log: how long it took, how long it takes again, and why no more is said.
fn said(text: &str) -> (Option<f64>, Option<f64>, Option<String>) {
    let run = damaged(text.as_bytes());
    match ask(&run, TASKS_MAX, &Asked { runs: 12, ..asked() }, &|| ()) {
        Ok(answer) => (Some(answer.logged_seconds), Some(answer.replayed_seconds), None),
        Err(why) => {
            let untold = Untold::of(&run, TASKS_MAX, &why);
            (
                untold.logged_seconds,
                untold.replayed_seconds,
                Some(untold.not_said_because),
            )
        }
    }
}

#[test]
fn of_a_log_that_cannot_be_disturbed_it_is_said_why_and_how_long_it_takes_all_the_same() {
    let whole = lines();
    let (logged, replayed, _) = said(&whole);
    let streams = "{\"Event\":\"org.apache.spark.sql.streaming.StreamingQueryListener$QueryStartedEvent\"}\n";
    for (text, why) in [
        (whole.clone() + streams, "streaming"),
        (whole.clone() + &whole, "2 applications"),
    ] {
        let (again, played, said) = said(&text);
        let off = played.unwrap() / replayed.unwrap() - 1.0;
        assert!(again == logged && off.abs() < 0.05, "{why}: {again:?}, {off:+.3}");
        assert!(said.as_ref().is_some_and(|said| said.contains(why)), "{said:?}");
    }
    assert_eq!(
        said("{\"Event\":\"SparkListenerLogStart\",\"Spark Version\":\"3.5.5\"}\n").0,
        None
    );
}

#[test]
fn a_kind_of_line_that_is_missing_or_a_clock_that_was_set_does_not_stop_the_replay() {
    let whole = lines();
    let (logged, ..) = said(&whole);
    let without = |event: &str| -> String {
        let is_other = |line: &&str| !line.starts_with(&format!("{{\"Event\":\"SparkListener{event}\""));
        whole.lines().filter(is_other).flat_map(|line| [line, "\n"]).collect()
    };
    for event in [
        "StageCompleted",
        "StageSubmitted",
        "TaskStart",
        "ExecutorAdded",
        "EnvironmentUpdate",
    ] {
        let (again, played, _) = said(&without(event));
        assert_eq!(again, logged, "{event}");
        let off = played.unwrap() / logged.unwrap() - 1.0;
        assert!(off.abs() < 0.15, "without {event}: {off:+.3}");
    }
    // A day back, from the middle on: epoch milliseconds of thirteen digits that begin with 17957.
    let (first, second) = whole.split_at(whole.len() / 2);
    let back = second.replace(":17957", ":17956");
    assert!(said(&format!("{first}{back}")).1.is_some());
}

#[test]
fn other_runs_of_the_job_widen_the_answer_and_other_jobs_are_refused() {
    let run = damaged(lines().as_bytes());
    assert_eq!(pace_of(&run, &run), Some(1.0));
    assert_eq!(pace_of(&log(), &damaged(b"")), None);
    let spread = |paces: Vec<f64>| {
        let asked = Asked {
            paces,
            remedies: false,
            ..asked()
        };
        let run = ask(&run, TASKS_MAX, &asked, &|| ()).unwrap().result.run_seconds;
        run.p95 - run.p5
    };
    assert!(spread(vec![0.8, 1.3]) > 1.3 * spread(Vec::new()));
}
