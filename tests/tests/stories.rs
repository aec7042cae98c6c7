//! Stories drawn from seeds, each held against the model: no report is wrong, nobody is hit who may not be.
//!
//! `STORIES=10000` tells so many instead, from `STORIES_FROM`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeMap;

use serde_json::Value;
use tests::story::Story;

/// The tests that tell them side by side.
const PARTS: u64 = 8;
/// Stories of a part.
const EACH: u64 = 100;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[derive(Default)]
struct Count {
    verdicts: BTreeMap<String, usize>,
    kinds: BTreeMap<&'static str, usize>,
    wrong: BTreeMap<String, Vec<u64>>,
    words: Vec<String>,
}

impl Count {
    fn tell(&mut self, seed: u64) {
        let story = Story::draw(seed);
        for kind in &story.kinds {
            *self.kinds.entry(kind).or_default() += 1;
        }
        let (run, wrongs) = match story.tell() {
            Ok(run) => {
                let wrongs = story.wrongs(&run);
                (Some(run), wrongs)
            }
            Err(error) => (None, vec![format!("no end: {error}")]),
        };
        for step in run.iter().flat_map(|run| &run.steps) {
            let report: Option<Value> = step.json.as_ref().map(|json| serde_json::from_slice(json).unwrap());
            let verdict = report
                .as_ref()
                .and_then(|one| one["verdict"].as_str())
                .unwrap_or("no report");
            *self.verdicts.entry(verdict.to_owned()).or_default() += 1;
        }
        for wrong in &wrongs {
            let kind = wrong.split(':').next().unwrap_or_default().to_owned();
            let seeds = self.wrong.entry(kind).or_default();
            if seeds.last() != Some(&seed) {
                seeds.push(seed);
            }
        }
        if !wrongs.is_empty() {
            let kinds = story.kinds.join(", ");
            self.words
                .push(format!("seed {seed} ({kinds}):\n  {}", wrongs.join("\n  ")));
        }
    }
}

fn part(part: u64) {
    let from = number("STORIES_FROM").unwrap_or(0);
    let each = number("STORIES").map_or(EACH, |all| all.div_ceil(PARTS));
    let mut count = Count::default();
    for seed in from + part * each..from + (part + 1) * each {
        count.tell(seed);
    }
    println!("verdicts {:?}\nkinds {:?}", count.verdicts, count.kinds);
    println!("wrong {:?}", count.wrong);
    assert!(
        count.words.is_empty(),
        "{} stories:\n{}",
        count.words.len(),
        count.words.join("\n")
    );
}

#[test]
fn no_report_is_wrong_in_part_0() {
    part(0);
}

#[test]
fn no_report_is_wrong_in_part_1() {
    part(1);
}

#[test]
fn no_report_is_wrong_in_part_2() {
    part(2);
}

#[test]
fn no_report_is_wrong_in_part_3() {
    part(3);
}

#[test]
fn no_report_is_wrong_in_part_4() {
    part(4);
}

#[test]
fn no_report_is_wrong_in_part_5() {
    part(5);
}

#[test]
fn no_report_is_wrong_in_part_6() {
    part(6);
}

#[test]
fn no_report_is_wrong_in_part_7() {
    part(7);
}
