//! What each story may cost of the account's quotas: as many calls of AWS as the operator's page says, by service.
//!
//! A change that makes one call more fails here until the page says so.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

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

/// What a story's drill and its report call, by service, and in all.
fn counted(name: &str, sets: &[&str]) -> Vec<usize> {
    let sets = [sets, &["twice=0"]].concat();
    let run = tests::tell(name, 1, &sets);
    let state = run.world.lock();
    let called = tests::calls::for_drills(&state);
    let counts = SERVICES.map(|service| called.iter().filter(|one| **one == service).count());
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

#[test]
fn a_report_says_what_its_drills_functions_used_and_no_more() {
    let run = tests::tell("workshop", 1, &["twice=0"]);
    let own = tests::report_of(&run).cost.own;
    let functions: Vec<(&str, Option<u32>)> = own
        .iter()
        .map(|one| (one.function.as_str(), one.used.memory_mb))
        .collect();
    assert_eq!(
        functions,
        [("start-experiment", Some(256)), ("write-report", Some(1_024))]
    );
    // A report cannot count how it is itself stored.
    let all = counted("workshop", &[])[SERVICES.len()] as u64;
    let told: u64 = own.iter().map(|one| one.used.calls).sum();
    assert!((all - 15..all).contains(&told), "{told} of {all}");
    // It waits for its time, and for the experiment's end.
    let gb_seconds = own[0].gb_seconds.unwrap();
    assert!((22.5..60.0).contains(&gb_seconds), "{gb_seconds}");
}
