//! How many calls of AWS a story makes, held against the operator's page; and what is counted of them, by the SDK's own
//! hooks, when the account is as sparing as EMR is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use account::journal::{Entry, Kind};
use aws::Calls;
use chrono::{DateTime, Utc};
use local::fault::Faults;
use tests::in_a_world;

#[test]
fn a_throttled_call_counts_once_and_each_further_attempt_too() {
    in_a_world(1, Faults::default(), async |world| {
        let aws = world.aws("test", Arc::default());
        for _ in 0..30 {
            assert_eq!(aws.active_clusters().await.unwrap(), []);
        }
        let calls = aws.take_calls();
        assert_eq!(calls.made, 30);
        assert!(calls.throttles > 0, "EMR's listings have a small quota: {calls:?}");
        // Nothing else goes wrong in this world.
        assert_eq!(calls.retries, calls.throttles);
        assert_eq!(aws.take_calls(), Calls::default(), "counting begins anew");
    });
}

#[test]
fn an_answer_that_is_lost_is_a_retry_and_no_throttle() {
    let faults = Faults {
        lost_answers_percent: 30,
        ..Faults::default()
    };
    in_a_world(2, faults, async |world| {
        let aws = world.aws("test", Arc::default());
        for step in 0..10 {
            aws.drill("spot-drill-Ledger", "j-1", &format!("s-{step}"))
                .await
                .unwrap();
        }
        let calls = aws.take_calls();
        assert_eq!((calls.made, calls.throttles), (10, 0));
        assert!(calls.retries > 0, "{calls:?}");
    });
}

/// Stories of the operator's page: its row's name, the scenario and what is changed in it.
const BUDGETS: [(&str, &str, &[&str]); 6] = [
    ("a drill", "workshop", &[]),
    ("a drill that waits for capacity in vain", "no-capacity", &[]),
    ("a step that is cancelled while its drill waits", "cancelled-step", &[]),
    ("a step with drills switched off", "workshop", &["mode=off"]),
    (
        "a step that is not Spark's, of a cluster that is opted in",
        "not-spark",
        &[],
    ),
    ("a step of a cluster that is not opted in", "not-opted-in", &[]),
];

/// The columns, by the services' names in the journal; the last column is all of them together.
const SERVICES: [&str; 6] = ["elasticmapreduce", "ec2", "fis", "dynamodb", "s3", "cloudwatch"];

/// When sweeps ran: what a function calls meanwhile is theirs.
fn sweeps(entries: &[Entry]) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut began = BTreeMap::new();
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Invocation) {
        if entry.text == "begins" {
            began.insert(&entry.subject, entry.at);
        } else if entry.text == "ends: swept" {
            found.push((began[&entry.subject], entry.at));
        }
    }
    found
}

/// What a story's drill and its report call, by service, and in all.
fn counted(name: &str, sets: &[&str]) -> Vec<usize> {
    let sets = [sets, &["twice=0"]].concat();
    let run = tests::tell(name, 1, &sets);
    let state = run.world.lock();
    let entries = state.account.journal.entries();
    let sweeps = sweeps(entries);
    let counts = SERVICES.map(|service| {
        let calls = entries
            .iter()
            .filter(|entry| entry.kind == Kind::Call && entry.source == service);
        calls
            .filter(|entry| {
                let in_a_sweep = || sweeps.iter().any(|(from, until)| (*from..=*until).contains(&entry.at));
                match entry.data["caller"].as_str() {
                    Some("spot-drill-StartExperiment") => true,
                    Some("spot-drill-WriteReport") => !in_a_sweep(),
                    _ => false,
                }
            })
            .count()
    });
    let all = counts.iter().sum();
    counts.into_iter().chain([all]).collect()
}

/// The row of the operator's page, if it has one.
fn written(story: &str) -> Option<Vec<usize>> {
    let page = include_str!("../../infra/README.md");
    let row = page
        .lines()
        .find_map(|line| line.strip_prefix(&format!("| {story} | ")))?;
    row.trim_end_matches(['|', ' '])
        .split(" | ")
        .map(|cell| cell.parse().ok())
        .collect()
}

#[test]
fn each_story_calls_aws_as_often_as_the_operators_page_says() {
    let mut wrongs = Vec::new();
    for (story, scenario, sets) in BUDGETS {
        let counted = counted(scenario, sets);
        if written(story).as_ref() != Some(&counted) {
            let cells: Vec<String> = counted.iter().map(ToString::to_string).collect();
            wrongs.push(format!("| {story} | {} |", cells.join(" | ")));
        }
    }
    assert!(wrongs.is_empty(), "infra/README.md should say:\n{}", wrongs.join("\n"));
}
