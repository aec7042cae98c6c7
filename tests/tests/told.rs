//! What each named story comes to, and stories of some seeds: the report, and how AWS was called for it. What is expected was
//! read when it was written; a change is read again. `SAMPLES=write` renews it.
//!
//! Whether it is right is what the other tests ask. This one tells that it is no longer what it was.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use account::journal::{Entry, Kind};
use local::run::{self, Run, StepRun};
use local::scenario::SCENARIOS;
use serde_json::Value;
use tests::story::Story;

/// Those that take longest, and differ from others by how much there is of everything.
const LEFT_OUT: [&str; 2] = ["crowded-log-dir", "many-tasks"];
const STORIES: std::ops::Range<u64> = 0..24;
/// How many lines of a page that differ in their numbers alone are kept.
const ALIKE_MAX: usize = 3;
/// Others, of which what people read is kept.
const PAGES: std::ops::Range<u64> = 24..60;
/// Of a longer list the first ones stand for all.
const ITEMS_MAX: usize = 2;
/// What a story of a seed is told of.
const OF_STORIES: [&str; 8] = [
    "sentence",
    "reasons",
    "completed_doubt",
    "interruptions",
    "missing",
    "output",
    "run_seconds",
    "findings",
];

/// A list by its first items, and how many there are.
fn shortened(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let said = fields.iter().filter(|(_, field)| !field.is_null());
            said.map(|(name, field)| (name.clone(), shortened(field))).collect()
        }
        Value::Array(items) if items.len() > ITEMS_MAX => {
            let first = items.iter().take(ITEMS_MAX).map(shortened);
            first.chain([format!("{} in all", items.len()).into()]).collect()
        }
        Value::Array(items) => items.iter().map(shortened).collect(),
        value => value.clone(),
    }
}

fn step(text: &mut String, step: &StepRun, is_told: impl Fn(&str) -> bool) {
    writeln!(text, "step {}", step.step_id).unwrap();
    let Ok(report) = step.report() else {
        writeln!(text, "  without a report").unwrap();
        return;
    };
    let Value::Object(report) = serde_json::to_value(report).unwrap() else {
        panic!("a report is an object")
    };
    for (name, part) in report.iter().filter(|(name, _)| is_told(name)) {
        writeln!(text, "  {name}: {}", shortened(part)).unwrap();
    }
}

/// Each function's calls in their order, with the second of a story at which a series of the same ones begins.
fn calls(text: &mut String, run: &Run) {
    let state = run.world.lock();
    let entries: Vec<&Entry> = state.account.journal.entries().iter().collect();
    let begin = entries[0].at;
    for function in ["StartExperiment", "RecordInterruption", "WriteReport", "SubmitStep"] {
        let caller = format!("spot-drill-{function}");
        let is_its = |entry: &&&Entry| match entry.kind {
            Kind::Call => entry.data["caller"] == *caller,
            Kind::Invocation => entry.source == caller && entry.text != "begins",
            _ => false,
        };
        let its: Vec<&&Entry> = entries.iter().filter(is_its).collect();
        let word = |entry: &Entry| match entry.kind {
            Kind::Call => entry.subject.clone(),
            _ => entry.text.split([':', ' ']).next().unwrap_or_default().to_owned(),
        };
        let runs = its.chunk_by(|one, other| word(one) == word(other));
        let said: Vec<String> = runs
            .map(|same| {
                let seconds = (same[0].at - begin).as_seconds_f64();
                format!("{}×{} at {seconds:.1}", word(same[0]), same.len())
            })
            .collect();
        writeln!(text, "  {function}: {}", said.join(", ")).unwrap();
    }
}

/// What stands on a page between its tags: of what differs in its numbers alone the first few.
fn visible(page: &str, seen: &mut BTreeMap<String, usize>) -> String {
    let mut text = String::new();
    let body = page.split_once("<body").map_or("", |(_, body)| body);
    for part in body.split('<').skip(1) {
        let said = part.split_once('>').map_or("", |(_, said)| said).trim();
        let words = said.replace(|one: char| one.is_ascii_digit(), "");
        let times = seen.entry(words).or_default();
        *times += 1;
        if !said.is_empty() && *times <= ALIKE_MAX {
            writeln!(text, "  {said}").unwrap();
        }
    }
    text
}

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

#[test]
fn named_stories_come_to_what_they_came_to() {
    let mut text = String::new();
    for scenario in SCENARIOS.iter().filter(|one| !LEFT_OUT.contains(&one.name)) {
        let run = run::run(*scenario, &scenario.settings(), 1, |_| {}).unwrap();
        writeln!(text, "## {}", scenario.name).unwrap();
        run.steps.iter().for_each(|one| step(&mut text, one, |_| true));
        calls(&mut text, &run);
    }
    sample::assert_kept(kept("scenarios.txt"), &text);
}

#[test]
fn stories_of_some_seeds_come_to_what_they_came_to() {
    let mut text = String::new();
    for seed in STORIES {
        writeln!(text, "## {seed}").unwrap();
        match Story::draw(seed).tell() {
            Ok(run) => run
                .steps
                .iter()
                .for_each(|one| step(&mut text, one, |name| OF_STORIES.contains(&name))),
            Err(error) => writeln!(text, "{error}").unwrap(),
        }
    }
    sample::assert_kept(kept("stories.txt"), &text);
}

#[test]
fn pages_of_some_seeds_say_what_they_said() {
    let (mut text, mut seen) = (String::new(), BTreeMap::new());
    for seed in PAGES {
        let Ok(run) = Story::draw(seed).tell() else { continue };
        for one in &run.steps {
            writeln!(text, "## {seed}, {}", one.step_id).unwrap();
            let page = one.report().ok().and_then(|report| report.to_html().ok());
            text += &visible(&page.unwrap_or_default(), &mut seen);
        }
        writeln!(text, "## {seed}, index").unwrap();
        let index = tests::index::page(&run.world.lock());
        text += &visible(&index.unwrap_or_default(), &mut seen);
    }
    sample::assert_kept(kept("pages.txt"), &text);
}
