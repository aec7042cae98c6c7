//! Least privilege: what each function's role allows, and on which resources, is what the function's calls need, over
//! every story, and nothing else.
//!
//! Separate because the simulated account decides call by call: it writes down what each asked and whether it was
//! allowed, and this compares all of it with the roles. Conditions are not compared here; `PERMISSIONS` in the environment
//! names a file to write policies and questions to, each with the account's decision, for a judge that knows all of IAM;
//! `DECISIONS` one that the judge wrote, to hold the account's evaluator against. `TEMPLATE` names another file than the
//! project's to compare with.

use std::collections::{BTreeMap, BTreeSet};

use account::api::{ACCOUNT, REGION};
use account::grants;
use account::iam::{self, Decision};
use account::journal::Kind;
use account::template::Template;
use account::wildcard::Pattern;
use local::fault::{AtCall, Fate};
use local::run::{self, TEMPLATE};
use local::scenario::{SCENARIOS, Scenario};
use local::settings::Settings;
use serde_json::{Value, json};

/// Allowed though no story shows the call: by which function's role (`*`: any), what, and who needs it when.
const NEVER_SEEN: [(&str, &str, &str); 10] = [
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
        "sns:Publish",
        "the Lambda service hands on what the function answers",
    ),
];

/// Stories beside the plain ones, each for calls that only they show.
const CHANGED: [(&str, &[&str]); 11] = [
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
    ("instance-groups", &["lost=50"]),
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
    /// Whether the account allowed it.
    is_allowed: bool,
}

impl Question {
    fn of(asked: &Value) -> Self {
        let text = |name: &str| asked[name].as_str().expect("a question has it").to_owned();
        Self {
            action: text("action"),
            resource: text("resource"),
            context: asked["context"].to_string(),
            is_allowed: asked["allowed"]
                .as_bool()
                .expect("a function's question has its answer"),
        }
    }

    /// IAM knows no tags of what is gone, so a condition on them refuses: a caller cannot tell that from another refusal.
    fn is_of_what_is_gone(&self) -> bool {
        self.action == "fis:DeleteExperimentTemplate" && self.context == "{}"
    }
}

/// What each caller's calls asked, by its name in the account; experiments by `FIS`.
type Asked = BTreeMap<String, BTreeSet<Question>>;

/// What was asked in all stories.
#[derive(Debug, Default)]
struct Told {
    /// Where the roles are to allow it.
    asked: Asked,
    /// In every story, by the policies that it was deployed with, as JSON.
    by_policies: BTreeMap<String, Asked>,
    /// The id that FIS made up for the stack's template; the same in all stories of one seed.
    template_id: String,
}

/// The stories of deployments that lack a grant, or have others: those are compared with the judge alone.
const ELSEWHERE: [&str; 2] = ["no-log-grant", "encrypted-log"];

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
        settings.at_call = Some(AtCall {
            function: "spot-drill-StartExperiment".into(),
            call,
            fate: Fate::CrashAfter,
        });
        collect(scenario, &settings, told);
    }
}

fn collect(scenario: Scenario, settings: &Settings, told: &mut Told) {
    let run = run::run(scenario, settings, 1, |_| ()).unwrap_or_else(|error| panic!("{}: {error:#}", scenario.name));
    let state = run.world.lock();
    let mut all = Asked::new();
    let entries = state.account.journal.entries().iter();
    for entry in entries.filter(|entry| entry.kind == Kind::Call) {
        let caller = entry.data["caller"].as_str().expect("a call has it").to_owned();
        let questions = entry.data["asked"].as_array().expect("a call has it");
        // A request that is no call asks nothing.
        assert!(!questions.is_empty() || entry.subject == "?", "{entry:?}");
        all.entry(caller)
            .or_default()
            .extend(questions.iter().map(Question::of));
    }
    let experiments = state.account.fis.experiments();
    for id in experiments.flat_map(|experiment| &experiment.interrupted) {
        let instance = state.account.ec2.instance(id).expect("EC2 forgets nobody");
        let tags = instance.tags.iter();
        let mut context: BTreeMap<String, String> = tags
            .map(|(key, value)| (format!("aws:ResourceTag/{key}"), value.clone()))
            .collect();
        context.insert("ec2:InstanceMarketType".into(), "spot".into());
        let asked = json!({"action": "ec2:SendSpotInstanceInterruptions",
            "resource": format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{id}"), "context": context});
        let role = &state.template.experiment_template["roleArn"];
        let statements = &state.template.roles[role.as_str().expect("the template has a role")];
        all.entry(FIS.into()).or_default().insert(answered(statements, asked));
    }
    if !ELSEWHERE.contains(&scenario.name) {
        for (caller, questions) in &all {
            told.asked
                .entry(caller.clone())
                .or_default()
                .extend(questions.iter().cloned());
        }
    }
    let policies = serde_json::to_string(&state.template.policies).expect("policies are JSON");
    let into = told.by_policies.entry(policies).or_default();
    for (caller, questions) in all {
        into.entry(caller).or_default().extend(questions);
    }
    told.template_id = state.template.functions["StartExperiment"].environment["EXPERIMENT_TEMPLATE_ID"].clone();
}

/// A question with the evaluator's answer.
fn answered(statements: &[Value], mut asked: Value) -> Question {
    let decision = iam::decide(statements, &grants::request(&asked)).expect("the template's roles are simulated");
    asked["allowed"] = (decision == Decision::Allowed).into();
    Question::of(&asked)
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

/// What is wrong with one function's role.
fn compare(id: &str, asked: &BTreeSet<Question>, granted: &BTreeSet<Grant>) -> BTreeSet<String> {
    let exceptions = || NEVER_SEEN.iter().filter(|(role, ..)| *role == id || *role == "*");
    let meet = |question: &Question, (action, resource): &Grant| {
        question.action == *action && Pattern::new(resource).matches(&question.resource)
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
    let refused = asked
        .iter()
        .filter(|question| !question.is_allowed && !question.is_of_what_is_gone())
        .map(|one| {
            format!(
                "{id} was refused {} on {} with {}",
                one.action, one.resource, one.context
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
    missing.chain(refused).chain(idle).chain(stale).collect()
}

/// For the judge: the policies that the template can have; and those of each deployment with every question that was
/// asked, by the role that asks.
fn write(path: &str, template: &Template, by_policies: &BTreeMap<String, Asked>) {
    let roles: BTreeMap<&str, String> = template
        .functions
        .iter()
        .map(|(id, function)| (function.name.as_str(), format!("{id}Role")))
        .chain([(FIS, "ExperimentRole".to_owned())])
        .collect();
    let parse = |text: &str| -> Value { serde_json::from_str(text).expect("it was JSON") };
    let show = |one: &Question| json!({"action": one.action, "resource": one.resource, "context": parse(&one.context), "allowed": one.is_allowed});
    let deployment = |(policies, asked): (&String, &Asked)| {
        let asked: BTreeMap<&str, Vec<Value>> = asked
            .iter()
            .map(|(caller, questions)| (roles[caller.as_str()].as_str(), questions.iter().map(show).collect()))
            .collect();
        json!({"policies": parse(policies), "asked": asked})
    };
    let deployments: Vec<Value> = by_policies.iter().map(deployment).collect();
    let text = json!({"policies": template.policies, "deployments": deployments}).to_string();
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// The template with every optional grant.
fn template_of_all(template_id: &str) -> Template {
    let mut parameters = SCENARIOS[0].parameters(&SCENARIOS[0].settings());
    parameters.extend(OPTIONAL.map(|(name, value)| (name.to_owned(), value.to_owned())));
    load(&parameters, template_id)
}

fn load(parameters: &BTreeMap<String, String>, template_id: &str) -> Template {
    let text = std::env::var_os("TEMPLATE").map(|path| std::fs::read_to_string(path).expect("TEMPLATE names a file"));
    let template = Template::load(text.as_deref().unwrap_or(TEMPLATE), parameters);
    let mut template = template.expect("the template deploys");
    template.set_experiment_template_id(template_id);
    template
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
    let Told {
        mut asked,
        by_policies,
        template_id,
    } = told;
    let template = load(&SCENARIOS[0].parameters(&SCENARIOS[0].settings()), &template_id);
    if let Ok(path) = std::env::var("PERMISSIONS") {
        write(&path, &template_of_all(&template_id), &by_policies);
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
        is_allowed: true,
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

/// What the judge decided of requests that no story makes, of which most must be denied, by the role that would make them.
#[test]
fn the_evaluator_decides_as_the_judge_does() {
    let Ok(path) = std::env::var("DECISIONS") else {
        return;
    };
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let decisions: Vec<Value> = serde_json::from_str(&text).unwrap();
    let allowed = |one: &&Value| one["allowed"] == true;
    assert!(decisions.iter().filter(allowed).count() > 20, "some are allowed");
    assert!(decisions.len() > 400, "many are denied");
    // The judge's file says which id the template has.
    let template = template_of_all("EXT1k2KyqYsKFFv8");
    for one in decisions {
        let role = one["role"].as_str().unwrap();
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{}", template.policies[role].name);
        let ours = answered(&template.roles[&arn], one.clone());
        assert_eq!(ours.is_allowed, one["allowed"], "{one}");
    }
}
