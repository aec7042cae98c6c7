//! Least privilege: what each function's role allows is what the function called, over every story, and nothing else.
//!
//! Separate because the simulated account decides nothing about IAM: it writes down who called what, and this compares.

use std::collections::{BTreeMap, BTreeSet};

use local::journal::Kind;
use local::run::{self, TEMPLATE};
use local::scenario::{SCENARIOS, Scenario};
use local::template::Template;

/// Allowed to a role though no story shows the call: who makes it, or when.
const NEVER_SEEN: [(&str, &str, &str); 18] = [
    (
        "*",
        "logs:CreateLogStream",
        "the Lambda service writes the function's log",
    ),
    ("*", "logs:PutLogEvents", "the Lambda service writes the function's log"),
    (
        "*",
        "sqs:SendMessage",
        "the Lambda service sends on an event that failed for good",
    ),
    (
        "*",
        "xray:PutTraceSegments",
        "the Lambda service's tracing daemon, where tracing is switched on",
    ),
    (
        "*",
        "xray:PutTelemetryRecords",
        "the Lambda service's tracing daemon, where tracing is switched on",
    ),
    (
        "RecordInterruption",
        "sqs:ReceiveMessage",
        "the Lambda service polls the queue",
    ),
    (
        "RecordInterruption",
        "sqs:DeleteMessage",
        "the Lambda service deletes what was recorded",
    ),
    (
        "RecordInterruption",
        "sqs:GetQueueAttributes",
        "the Lambda service polls the queue",
    ),
    (
        "WriteReport",
        "sns:Publish",
        "the Lambda service hands the verdict on, where a topic is given",
    ),
    (
        "WriteReport",
        "events:PutEvents",
        "the Lambda service hands the verdict on, where a bus is given",
    ),
    (
        "StartExperiment",
        "fis:TagResource",
        "FIS checks it for a create or a start that carries tags",
    ),
    (
        "StartExperiment",
        "iam:PassRole",
        "FIS checks it when a template is made that names a role",
    ),
    (
        "StartExperiment",
        "iam:CreateServiceLinkedRole",
        "FIS makes its role at an account's first experiment",
    ),
    (
        "StartExperiment",
        "fis:StopExperiment",
        "only when FIS resolves others than those that were chosen",
    ),
    (
        "StartExperiment",
        "fis:ListExperiments",
        "only after a crash between a start and its answer",
    ),
    ("StartExperiment", "dynamodb:Query", "TODO"),
    (
        "WriteReport",
        "fis:DeleteExperimentTemplate",
        "only when a crash left a copy behind, two hours later",
    ),
    ("WriteReport", "elasticmapreduce:ListInstanceGroups", "TODO"),
];

/// The actions that each function called, by its name in the account.
type Called = BTreeMap<String, BTreeSet<String>>;

fn tell(scenario: Scenario, changes: &[&str], called: &mut Called) {
    let mut settings = scenario.settings();
    for change in changes {
        settings.set(change).unwrap();
    }
    let run = run::run(scenario, &settings, 1, |_| ()).unwrap_or_else(|error| panic!("{}: {error:#}", scenario.name));
    let state = run.world.lock();
    for entry in state
        .account
        .journal
        .entries()
        .iter()
        .filter(|entry| entry.kind == Kind::Call)
    {
        let text = |name: &str| entry.data[name].as_str().unwrap_or_default().to_owned();
        called.entry(text("caller")).or_default().insert(text("action"));
    }
}

#[test]
fn roles_allow_what_their_functions_call_and_nothing_else() {
    let mut called = Called::new();
    for scenario in SCENARIOS {
        tell(scenario, &[], &mut called);
    }
    let workshop = Scenario::find("workshop").unwrap();
    for changes in [
        &["mode=preview"][..],
        &["mode=off"],
        &["lost=60"],
        &["twice=60"],
        &["victims=7"],
    ] {
        tell(workshop, changes, &mut called);
    }
    for (name, actions) in &called {
        println!("{name}: {actions:?}");
    }
    let template = Template::load(TEMPLATE, &SCENARIOS[0].parameters(&SCENARIOS[0].settings())).unwrap();
    let mut wrong = Vec::new();
    for (id, function) in &template.functions {
        let used = called.remove(&function.name).unwrap_or_default();
        for action in used.difference(&function.allowed_actions) {
            wrong.push(format!("{id} calls {action}, which its role does not allow"));
        }
        for action in function.allowed_actions.difference(&used) {
            let known = NEVER_SEEN
                .iter()
                .any(|(role, known, _)| (*role == id || *role == "*") && known == action);
            if !known {
                wrong.push(format!("{id}'s role allows {action}, which no story calls"));
            }
        }
        for (_, action, why) in NEVER_SEEN.iter().filter(|(role, ..)| role == id) {
            if used.contains(*action) || !function.allowed_actions.contains(*action) {
                wrong.push(format!("{id} and {action}: not an exception any more ({why})"));
            }
        }
    }
    assert!(called.is_empty(), "calls by somebody who is no function: {called:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
