//! Least privilege: what each function's role allows is what the function called, over every story, and nothing else.
//!
//! Separate because the simulated account decides nothing about IAM: it writes down who called what, and this compares.
//! `TEMPLATE` in the environment names another file than the project's to compare with.

use std::collections::{BTreeMap, BTreeSet};

use local::fault::Crash;
use local::journal::Kind;
use local::run::{self, TEMPLATE};
use local::scenario::{SCENARIOS, Scenario};
use local::settings::Settings;
use local::template::Template;

/// Allowed though no story shows the call: by which function's role (`*`: any), what, and who needs it when.
const NEVER_SEEN: [(&str, &str, &str); 14] = [
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
        "RecordInterruption",
        "sqs:ReceiveMessage",
        "the Lambda service polls the queue",
    ),
    (
        "RecordInterruption",
        "sqs:DeleteMessage",
        "the Lambda service polls the queue",
    ),
    (
        "RecordInterruption",
        "sqs:GetQueueAttributes",
        "the Lambda service polls the queue",
    ),
    (
        "StartExperiment",
        "fis:StopExperiment",
        "when FIS resolves others than those that were chosen",
    ),
    (
        "StartExperiment",
        "fis:TagResource",
        "FIS checks it where a template or an experiment is made with tags",
    ),
    (
        "StartExperiment",
        "iam:CreateServiceLinkedRole",
        "FIS checks it at an account's first experiment",
    ),
    (
        "StartExperiment",
        "iam:PassRole",
        "FIS checks it where a template names a role",
    ),
    (
        "SubmitStep",
        "elasticmapreduce:DescribeStep",
        "when a step of another cluster names what is to be emptied",
    ),
    (
        "SubmitStep",
        "dynamodb:DeleteItem",
        "when such a step has ended, and nobody has said so",
    ),
    (
        "WriteReport",
        "fis:ListExperiments",
        "after a drill crashed so often that nobody took it up again",
    ),
    (
        "WriteReport",
        "sns:Publish",
        "the Lambda service hands on what the function answers",
    ),
];

/// Stories beside the plain ones, each for calls that only they show.
const CHANGED: [(&str, &[&str]); 10] = [
    ("workshop", &["mode=preview"]),
    ("workshop", &["mode=off"]),
    ("workshop", &["victims=7"]),
    ("workshop", &["twice=60"]),
    ("workshop", &["lost=60"]),
    ("waves", &["lost=60", "twice=60"]),
    ("instance-groups", &["mode=preview"]),
    ("workshop", &["errors=10"]),
    ("workshop", &["lost-answers=10"]),
    ("scheduled-check", &["errors=5", "lost-answers=5"]),
];

/// The actions that each function called, by its name in the account.
type Called = BTreeMap<String, BTreeSet<String>>;

fn tell(scenario: Scenario, changes: &[&str], called: &mut Called) {
    let mut settings = scenario.settings();
    for change in changes {
        settings.set(change).expect("the test sets what can be set");
    }
    collect(scenario, &settings, called);
}

/// The workshop's story, in which start-experiment dies after one of its calls: the later it dies, the more does its
/// next attempt have to find out.
fn tell_of_crashes(called: &mut Called) {
    let scenario = Scenario::find("workshop").expect("the test names a scenario");
    for call in (20..=30).rev() {
        let has_asked = |actions: &BTreeSet<String>| actions.contains("fis:ListExperiments");
        if called.get("spot-drill-StartExperiment").is_some_and(has_asked) {
            return;
        }
        let mut settings = scenario.settings();
        settings.crash = Some(Crash {
            function: "spot-drill-StartExperiment".into(),
            call,
            after: true,
        });
        collect(scenario, &settings, called);
    }
}

fn collect(scenario: Scenario, settings: &Settings, called: &mut Called) {
    let run = run::run(scenario, settings, 1, |_| ()).unwrap_or_else(|error| panic!("{}: {error:#}", scenario.name));
    let state = run.world.lock();
    let entries = state.account.journal.entries().iter();
    for entry in entries.filter(|entry| entry.kind == Kind::Call) {
        let text = |name: &str| entry.data[name].as_str().expect("a call has it").to_owned();
        called.entry(text("caller")).or_default().insert(text("action"));
    }
}

/// What is wrong with one function's role.
fn compare(id: &str, used: &BTreeSet<String>, allowed: &BTreeSet<String>) -> Vec<String> {
    let exceptions = || NEVER_SEEN.iter().filter(|(role, ..)| *role == id || *role == "*");
    let missing = used
        .difference(allowed)
        .map(|action| format!("{id} calls {action}, which its role does not allow"));
    let idle = allowed
        .difference(used)
        .filter(|action| !exceptions().any(|(_, known, _)| known == action))
        .map(|action| format!("{id}'s role allows {action}, which no story calls"));
    let stale = exceptions()
        .filter(|(role, action, _)| *role != "*" && (used.contains(*action) || !allowed.contains(*action)))
        .map(|(_, action, why)| format!("{id} and {action} ({why}) is no exception any more"));
    missing.chain(idle).chain(stale).collect()
}

#[test]
fn roles_allow_what_their_functions_call_and_nothing_else() {
    let mut called = Called::new();
    for scenario in SCENARIOS {
        tell(scenario, &[], &mut called);
    }
    for (name, changes) in CHANGED {
        tell(Scenario::find(name).unwrap(), changes, &mut called);
    }
    tell_of_crashes(&mut called);
    let parameters = SCENARIOS[0].parameters(&SCENARIOS[0].settings());
    let text = std::env::var_os("TEMPLATE").map(|path| std::fs::read_to_string(path).unwrap());
    let template = Template::load(text.as_deref().unwrap_or(TEMPLATE), &parameters).unwrap();
    assert_eq!(template.functions.len(), 4, "every function is deployed");
    let mut wrong = Vec::new();
    for (id, function) in &template.functions {
        let used = called.remove(&function.name).unwrap_or_default();
        wrong.extend(compare(id, &used, &function.allowed_actions));
    }
    assert!(called.is_empty(), "calls by somebody who is no function: {called:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_action_too_few_and_an_action_too_many_are_told_apart() {
    let set = |actions: &[&str]| {
        actions
            .iter()
            .map(|action| (*action).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let used = set(&["ec2:DescribeInstances"]);
    let allowed = set(&["dynamodb:PutItem", "logs:PutLogEvents"]);
    assert_eq!(
        compare("Some", &used, &allowed),
        [
            "Some calls ec2:DescribeInstances, which its role does not allow",
            "Some's role allows dynamodb:PutItem, which no story calls",
        ]
    );
}
