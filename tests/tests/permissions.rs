//! Least privilege: what each function's role allows, and on which resources, is what the function's calls need, over
//! every story, and nothing else.
//!
//! Separate because the simulated account decides nothing about IAM: it writes down what each call would ask, and this
//! compares. Conditions are not compared here; `PERMISSIONS` in the environment names a file to write policies and
//! questions to, for a judge that knows all of IAM. `TEMPLATE` names another file than the project's to compare with.

use std::collections::{BTreeMap, BTreeSet};

use local::api::{ACCOUNT, REGION};
use local::fault::Crash;
use local::journal::Kind;
use local::run::{self, TEMPLATE};
use local::scenario::{SCENARIOS, Scenario};
use local::settings::Settings;
use local::template::Template;
use serde_json::{Value, json};

/// Allowed though no story shows the call: by which function's role (`*`: any), what, and who needs it when.
const NEVER_SEEN: [(&str, &str, &str); 11] = [
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

/// What the judge's template has beyond the stories'.
const OPTIONAL: [(&str, &str); 5] = [
    ("BaselinePrefix", "s3://baseline/results/"),
    ("EventLogUri", "s3://history/spark/"),
    ("KmsKeyArns", "arn:aws:kms:us-sim-1:000000000000:key/logs"),
    ("OutputBucketArns", "arn:aws:s3:::lake,arn:aws:s3:::warehouse"),
    ("TrackingLogGroup", "/aws/events/spotinterruptions"),
];

/// What a call asks of IAM.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    action: String,
    resource: String,
    /// The keys that conditions can name, as JSON: only the judge looks at them.
    context: String,
    /// What it is about does not exist any more.
    is_gone: bool,
}

impl Question {
    fn of(asked: &Value, is_gone: bool) -> Self {
        let text = |name: &str| asked[name].as_str().expect("a question has it").to_owned();
        Self {
            action: text("action"),
            resource: text("resource"),
            context: asked["context"].to_string(),
            is_gone,
        }
    }
}

/// What was asked in all stories.
#[derive(Debug, Default)]
struct Told {
    /// What each caller's calls asked, by its name in the account; experiments by `FIS`.
    asked: BTreeMap<String, BTreeSet<Question>>,
    /// The id that FIS made up for the stack's template; the same in all stories of one seed.
    template_id: String,
}

/// Whom the account's own experiments are noted as.
const FIS: &str = "FIS";

fn tell(scenario: Scenario, changes: &[&str], told: &mut Told) {
    let mut settings = scenario.settings();
    for change in changes {
        settings.set(change).expect("the test sets what can be set");
    }
    collect(scenario, &settings, told);
}

/// The workshop's story, in which start-experiment dies after one of its calls: the later it dies, the more does its
/// next attempt have to find out.
fn tell_of_crashes(told: &mut Told) {
    let scenario = Scenario::find("workshop").expect("the test names a scenario");
    for call in (20..=30).rev() {
        let has_looked =
            |questions: &BTreeSet<Question>| questions.iter().any(|one| one.action == "fis:ListExperiments");
        if told.asked.get("spot-drill-StartExperiment").is_some_and(has_looked) {
            return;
        }
        let mut settings = scenario.settings();
        settings.crash = Some(Crash {
            function: "spot-drill-StartExperiment".into(),
            call,
            after: true,
        });
        collect(scenario, &settings, told);
    }
}

fn collect(scenario: Scenario, settings: &Settings, told: &mut Told) {
    let run = run::run(scenario, settings, 1, |_| ()).unwrap_or_else(|error| panic!("{}: {error:#}", scenario.name));
    let state = run.world.lock();
    let entries = state.account.journal.entries().iter();
    for entry in entries.filter(|entry| entry.kind == Kind::Call) {
        let caller = entry.data["caller"].as_str().expect("a call has it").to_owned();
        let questions = entry.data["asked"].as_array().expect("a call has it");
        // A request that is no call asks nothing.
        assert!(!questions.is_empty() || entry.subject == "?", "{entry:?}");
        // IAM knows no tags of what is gone.
        let is_gone = entry.data["error"] == "ResourceNotFoundException";
        let questions = questions.iter().map(|asked| Question::of(asked, is_gone));
        told.asked.entry(caller).or_default().extend(questions);
    }
    let experiments = state.account.fis.experiments();
    for id in experiments.flat_map(|experiment| &experiment.interrupted) {
        let instance = state.account.ec2.instance(id).expect("EC2 forgets nobody");
        let tags = instance.tags.iter();
        let mut context: BTreeMap<String, String> = tags
            .map(|(key, value)| (format!("aws:ResourceTag/{key}"), value.clone()))
            .collect();
        context.insert("ec2:InstanceMarketType".into(), "spot".into());
        told.asked.entry(FIS.into()).or_default().insert(Question {
            action: "ec2:SendSpotInstanceInterruptions".into(),
            resource: format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{id}"),
            context: json!(context).to_string(),
            is_gone: false,
        });
    }
    told.template_id = state.template.functions["StartExperiment"].environment["EXPERIMENT_TEMPLATE_ID"].clone();
}

/// An action, and the pattern of the resources that it is allowed on.
type Grant = (String, String);

/// What a role's statements allow, whatever their conditions say.
fn grants(role: &Value) -> BTreeSet<Grant> {
    let texts = |value: &Value| -> Vec<String> {
        let list = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        let texts = list
            .iter()
            .map(|one| one.as_str().expect("a resolved policy has texts"));
        texts.map(str::to_owned).collect()
    };
    let policies = role["Policies"].as_array().into_iter().flatten();
    let statements = policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().into_iter().flatten());
    let mut grants = BTreeSet::new();
    for statement in statements.filter(|statement| statement["Effect"] == "Allow") {
        for action in texts(&statement["Action"]) {
            grants.extend(
                texts(&statement["Resource"])
                    .into_iter()
                    .map(|one| (action.clone(), one)),
            );
        }
    }
    grants
}

/// `*` is any text, also none.
//= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((begin, rest)) => text.strip_prefix(begin).is_some_and(|tail| {
            let mut ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            ends.any(|at| is_like(rest, &tail[at..]))
        }),
    }
}

/// What is wrong with one function's role.
fn compare(id: &str, asked: &BTreeSet<Question>, granted: &BTreeSet<Grant>) -> BTreeSet<String> {
    let exceptions = || NEVER_SEEN.iter().filter(|(role, ..)| *role == id || *role == "*");
    let meet = |question: &Question, (action, resource): &Grant| {
        question.action == *action && is_like(resource, &question.resource)
    };
    let missing = asked
        .iter()
        .filter(|question| !granted.iter().any(|grant| meet(question, grant)))
        .map(|one| {
            format!(
                "{id} needs {} on {}, which its role does not allow",
                one.action, one.resource
            )
        });
    let idle = granted
        .iter()
        .filter(|grant| !asked.iter().any(|question| meet(question, grant)))
        .filter(|(action, _)| !exceptions().any(|(_, known, _)| known == action))
        .map(|(action, resource)| format!("{id}'s role allows {action} on {resource}, which no story needs"));
    let is_asked = |action: &str| asked.iter().any(|question| question.action == action);
    let is_granted = |action: &str| granted.iter().any(|(known, _)| known == action);
    let stale = exceptions()
        .filter(|(role, action, _)| *role != "*" && (is_asked(action) || !is_granted(action)))
        .map(|(_, action, why)| format!("{id} and {action} ({why}) is no exception any more"));
    missing.chain(idle).chain(stale).collect()
}

/// For the judge: every policy that the template has, and every question that was asked, by the role that asks.
fn write(path: &str, template: &Template, asked: &BTreeMap<String, BTreeSet<Question>>) {
    let roles: BTreeMap<&str, String> = template
        .functions
        .iter()
        .map(|(id, function)| (function.name.as_str(), format!("{id}Role")))
        .chain([(FIS, "ExperimentRole".to_owned())])
        .collect();
    let show = |one: &Question| {
        let context: Value = serde_json::from_str(&one.context).expect("it was JSON");
        json!({"action": one.action, "resource": one.resource, "context": context, "gone": one.is_gone})
    };
    let asked: BTreeMap<&str, Vec<Value>> = asked
        .iter()
        .map(|(caller, questions)| (roles[caller.as_str()].as_str(), questions.iter().map(show).collect()))
        .collect();
    let text = json!({"policies": template.policies, "asked": asked}).to_string();
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
}

#[test]
fn roles_allow_what_their_functions_calls_need_and_nothing_else() {
    let mut told = Told::default();
    for scenario in SCENARIOS {
        tell(scenario, &[], &mut told);
    }
    for (name, changes) in CHANGED {
        tell(Scenario::find(name).unwrap(), changes, &mut told);
    }
    tell_of_crashes(&mut told);
    let Told { mut asked, template_id } = told;
    let mut parameters = SCENARIOS[0].parameters(&SCENARIOS[0].settings());
    let text = std::env::var_os("TEMPLATE").map(|path| std::fs::read_to_string(path).unwrap());
    let text = text.as_deref().unwrap_or(TEMPLATE);
    let load = |parameters: &BTreeMap<String, String>| {
        let mut template = Template::load(text, parameters).unwrap();
        template.set_experiment_template_id(&template_id);
        template
    };
    let template = load(&parameters);
    if let Ok(path) = std::env::var("PERMISSIONS") {
        parameters.extend(OPTIONAL.map(|(name, value)| (name.to_owned(), value.to_owned())));
        write(&path, &load(&parameters), &asked);
    }
    assert_eq!(template.functions.len(), 4, "every function is deployed");
    let interruptions = asked.remove(FIS).unwrap_or_default();
    assert!(!interruptions.is_empty(), "some experiment interrupts somebody");
    let mut wrong = BTreeSet::new();
    for (id, function) in &template.functions {
        let asked = asked.remove(&function.name).unwrap_or_default();
        let role = &template.policies[&format!("{id}Role")].properties;
        wrong.extend(compare(id, &asked, &grants(role)));
    }
    assert!(
        asked.is_empty(),
        "calls by somebody who is no function: {:?}",
        asked.keys()
    );
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_resource_too_few_and_an_action_too_many_are_told_apart() {
    let question = Question {
        action: "s3:GetObject".into(),
        resource: "arn:aws:s3:::bucket/other/1".into(),
        context: String::new(),
        is_gone: false,
    };
    let grant = |action: &str, resource: &str| (action.to_owned(), resource.to_owned());
    let granted = [
        grant("dynamodb:PutItem", "arn:aws:dynamodb:us-sim-1:000000000000:table/t"),
        grant("logs:PutLogEvents", "*"),
        grant("s3:GetObject", "arn:aws:s3:::bucket/results/*"),
    ];
    let wrong = compare("Some", &[question].into(), &granted.into());
    assert_eq!(
        wrong.iter().map(String::as_str).collect::<Vec<_>>(),
        [
            "Some needs s3:GetObject on arn:aws:s3:::bucket/other/1, which its role does not allow",
            "Some's role allows dynamodb:PutItem on arn:aws:dynamodb:us-sim-1:000000000000:table/t, which no story needs",
            "Some's role allows s3:GetObject on arn:aws:s3:::bucket/results/*, which no story needs",
        ]
    );
}

#[test]
fn a_star_is_any_text() {
    for (pattern, text, is) in [
        ("a/*/steps/*/stderr.gz", "a/j-1/steps/s-1/stderr.gz", true),
        ("a/*/steps/*/stderr.gz", "a/j-1/steps/s-1/stdout.gz", false),
        ("a/*x", "a/x", true),
        ("a", "ab", false),
        ("*", "", true),
    ] {
        assert_eq!(is_like(pattern, text), is, "{pattern} {text}");
    }
}
