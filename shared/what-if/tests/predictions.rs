//! What is predicted for the repository's logs is what was predicted when the rules were held against real Spark
//! (`tests/README.md`). A change of any of them is read, and held against it again; `SAMPLES=write` renews what is expected.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "logs/all.rs"]
mod logs;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use logs::TASKS_MAX;
use serde_json::Value;
use what_if::{Answer, Asked, MarketChoice, MonthAsked, Replaced, Surroundings, Untold, Victims, ask, pace_of, page};

fn month(market: MarketChoice) -> MonthAsked {
    MonthAsked {
        market,
        spot_price: 0.25,
        on_demand_price: 1.0,
        runs: 20,
    }
}

fn properties(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn notice(notice_ms: u32) -> Surroundings {
    Surroundings {
        notice_ms,
        ..Surroundings::default()
    }
}

fn question(number: usize) -> Asked {
    let plain = Asked {
        runs: 30,
        seed: 7,
        threads: 1,
        victims: Victims::Random(1),
        between_ms: None,
        around: Surroundings::default(),
        replaced: Replaced::AsLogged,
        month: None,
        properties: Vec::new(),
        paces: Vec::new(),
        by_victims: false,
        remedies: false,
    };
    match number % 6 {
        0 => Asked {
            around: notice(0),
            remedies: true,
            month: Some(month(MarketChoice::Busy)),
            ..plain
        },
        1 => Asked {
            victims: Victims::MostOutput(2),
            replaced: Replaced::BetweenMs(4_000, 9_000),
            paces: vec![1.1, 0.9, 1.3],
            around: notice(3_000),
            month: Some(month(MarketChoice::Band(0.1))),
            ..plain
        },
        2 => Asked {
            victims: Victims::All,
            replaced: Replaced::AfterMs(5_000),
            properties: properties(&[
                ("spark.stage.maxConsecutiveAttempts", "2"),
                ("spark.speculation", "true"),
            ]),
            around: notice(0),
            remedies: true,
            ..plain
        },
        3 => Asked {
            replaced: Replaced::Never,
            by_victims: true,
            between_ms: Some((3_000, 9_000)),
            month: Some(month(MarketChoice::Hourly(2.0))),
            ..plain
        },
        4 => Asked {
            victims: Victims::Driver,
            properties: properties(&[("spark.yarn.maxAppAttempts", "1")]),
            ..plain
        },
        _ => Asked {
            victims: Victims::Random(2),
            around: Surroundings {
                driver_may_go: false,
                ..notice(1_000)
            },
            replaced: Replaced::AfterMs(2_000),
            properties: properties(&[("spark.decommission.enabled", "true"), ("spark.task.maxFailures", "1")]),
            month: Some(month(MarketChoice::Trace("0,6\n40,4\n90,6\n100,0\n".into()))),
            ..plain
        },
    }
}

/// A line for each thing that an answer says.
fn lines(answer: &Answer, assumed: &mut BTreeSet<String>) -> String {
    let mut text = String::new();
    let Value::Object(parts) = serde_json::to_value(answer).unwrap() else {
        panic!("an answer is an object")
    };
    for (name, part) in parts {
        match part {
            Value::Array(items) if name == "curve" => {
                let of = |item: Value| {
                    let added = &item["added_seconds"]["mean"];
                    let stage = item["stage"]
                        .as_str()
                        .and_then(|stage| stage.split(" (").next())
                        .unwrap_or_default();
                    format!(
                        "{} {} {added} {} {stage}",
                        item["from_seconds"], item["runs"], item["failed"]
                    )
                };
                let parts: Vec<String> = items.into_iter().map(of).collect();
                writeln!(text, "{name}: {}", parts.join("; ")).unwrap();
            }
            Value::Array(items) => {
                // What is taken for granted of many is said once.
                let mut is_new = |item: &Value| name != "assumed" || assumed.insert(item.to_string());
                for item in items.into_iter().filter(|item| is_new(item)) {
                    writeln!(text, "{name}: {}", shortened(item)).unwrap();
                }
            }
            part => writeln!(text, "{name}: {}", shortened(part)).unwrap(),
        }
    }
    text
}

/// A distribution is what its numbers are, from its mean to its largest.
fn shortened(value: Value) -> Value {
    match value {
        Value::Object(fields) if fields.contains_key("p50") => {
            let order = ["mean", "p5", "p50", "p90", "p95", "p99", "max"];
            Value::String(order.map(|name| fields[name].to_string()).join(" "))
        }
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, field)| (name, shortened(field)))
            .collect(),
        Value::Array(items) => items.into_iter().map(shortened).collect(),
        value => value,
    }
}

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)
}

#[test]
fn what_is_predicted_for_each_log_is_what_was() {
    let (mut text, mut assumed) = (String::new(), BTreeSet::new());
    for (number, (name, run)) in logs::all().into_iter().enumerate() {
        for number in [number, number + 3] {
            writeln!(text, "## {name}, {}", number % 6).unwrap();
            match ask(&run, TASKS_MAX, &question(number), &|| ()) {
                Ok(answer) => text += &lines(&answer, &mut assumed),
                Err(error) => {
                    let untold = Untold::of(&run, TASKS_MAX, &error);
                    writeln!(text, "{}", serde_json::to_string(&untold).unwrap()).unwrap();
                }
            }
        }
    }
    sample::assert_kept(kept("predictions.txt"), &text);
}

#[test]
fn pages_say_what_they_said() {
    let logs = logs::all();
    for (log, number, file) in [
        ("chain.gz", 0, "chain.html"),
        ("simulated-losses.gz", 3, "simulated-losses.html"),
        ("simulated.gz", 2, "simulated.html"),
        ("again-two-lost.gz", 1, "again-two-lost.html"),
    ] {
        let (_, run) = logs.iter().find(|(name, _)| name == log).unwrap();
        let html = page::render(&ask(run, TASKS_MAX, &question(number), &|| ()).unwrap()).unwrap();
        let body = html.split_once("<body").unwrap().1;
        sample::assert_kept(kept(file), body);
    }
}

#[test]
fn how_fast_a_run_was_beside_another_is_what_it_was() {
    let logs = logs::all();
    let of = |wanted: &str| &logs.iter().find(|(name, _)| name == wanted).unwrap().1;
    let pace = pace_of(of("chain.gz"), of("chain-one-lost.gz"));
    assert!(pace.is_some_and(|pace| (0.8..1.2).contains(&pace)), "{pace:?}");
}
