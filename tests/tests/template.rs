//! What linters of templates miss: names that point nowhere, durations, schedules, event patterns and settings.
//!
//! Separate from the simulated account's own tests because these judge a template, not the reader of templates:
//! `TEMPLATE` in the environment names another file than the project's, such as one with a planted fault.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use account::api::{ACCOUNT, REGION};
use account::event_bus::EventBus;
use account::scheduler::Expression;
use account::template::{Destination, Template};
use local::functions::Function;
use serde_json::{Value, json};
use serde_norway::Value as Yaml;

/// Every optional part of the template.
const EVERYTHING: [(&str, &str); 12] = [
    ("AlarmTopicArn", "arn:aws:sns:us-sim-1:000000000000:alarms"),
    ("BaselinePrefix", "s3://data/results/"),
    ("CheckSchedule", "rate(7 days)"),
    ("EventLogBucketArns", "arn:aws:s3:::logs,arn:aws:s3:::more-logs"),
    ("EventLogUri", "s3://logs/spark/"),
    ("KmsKeyArns", "arn:aws:kms:us-sim-1:000000000000:key/logs"),
    ("LogBucketArns", "arn:aws:s3:::logs"),
    ("OutputBucketArns", "arn:aws:s3:::lake"),
    ("ResultsBucket", "data"),
    ("Tracing", "Active"),
    ("TrackingLogGroup", "/aws/events/spotinterruptions"),
    (
        "VerdictBusArn",
        "arn:aws:events:us-sim-1:000000000000:event-bus/verdicts",
    ),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text() -> String {
    let path = std::env::var_os("TEMPLATE").map_or_else(|| folder().join("../infra/template.yaml"), PathBuf::from);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn load(parameters: &[(&str, &str)]) -> Template {
    let parameters: BTreeMap<String, String> = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Template::load(&text(), &parameters).unwrap_or_else(|error| panic!("{error}"))
}

fn both() -> [Template; 2] {
    [load(&[]), load(&EVERYTHING)]
}

fn yaml(section: &str) -> Vec<(String, Yaml)> {
    let yaml: Yaml = serde_norway::from_str(&text()).expect("the template is YAML");
    let entries = yaml[section].as_mapping().expect("a section is a mapping");
    entries
        .iter()
        .map(|(name, value)| (name.as_str().expect("names are texts").to_owned(), value.clone()))
        .collect()
}

#[test]
fn each_fis_action_names_targets_that_exist_and_each_target_is_used() {
    for template in both() {
        let template = template.experiment_template;
        let targets: BTreeSet<&String> = template["targets"].as_object().unwrap().keys().collect();
        let mut used = BTreeSet::new();
        for (name, action) in template["actions"].as_object().unwrap() {
            for target in action["targets"].as_object().unwrap().values() {
                let target = targets
                    .iter()
                    .find(|known| target == **known)
                    .unwrap_or_else(|| panic!("action {name}: there is no target {target}"));
                used.insert(*target);
            }
        }
        assert_eq!(used, targets);
    }
}

#[test]
fn the_experiment_only_interrupts_spot_instances_and_can_be_stopped() {
    for template in both() {
        let template = template.experiment_template;
        for (name, action) in template["actions"].as_object().unwrap() {
            assert_eq!(action["actionId"], "aws:ec2:send-spot-instance-interruptions", "{name}");
            let duration = action["parameters"]["durationBeforeInterruption"].as_str().unwrap();
            let seconds = iso_seconds(duration).unwrap_or_else(|| panic!("{name}: {duration} is no duration"));
            assert!((120..=900).contains(&seconds), "{name}: {duration}");
        }
        for (name, target) in template["targets"].as_object().unwrap() {
            assert_eq!(target["resourceType"], "aws:ec2:spot-instance", "{name}");
            let tags = &target["resourceTags"];
            assert_eq!(tags["aws:elasticmapreduce:instance-group-role"], "TASK", "{name}");
            assert_eq!(tags["spot-drill"], "on", "{name}");
            let selection = target["selectionMode"].as_str().unwrap();
            assert!(
                selection.starts_with("COUNT(") || selection == "ALL",
                "{name}: {selection}"
            );
        }
        let stops = template["stopConditions"].as_array().unwrap();
        assert!(
            stops.iter().any(|stop| stop["source"] == "aws:cloudwatch:alarm"),
            "{stops:?}"
        );
        let options = &template["experimentOptions"];
        assert_eq!(options["emptyTargetResolutionMode"], "fail");
        assert_eq!(options["accountTargeting"], "single-account");
    }
}

/// Seconds of a duration such as `PT2M`, `PT1M30S`; FIS takes no days or larger here.
//= https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html
fn iso_seconds(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix("PT")?;
    let mut seconds = 0;
    for (unit, length) in [('H', 3600), ('M', 60), ('S', 1)] {
        if let Some((number, tail)) = rest.split_once(unit) {
            seconds += number.parse::<u64>().ok()? * length;
            rest = tail;
        }
    }
    (rest.is_empty() && text.len() > 2).then_some(seconds)
}

#[test]
fn a_duration_is_read_as_iso_8601_has_it() {
    for (text, seconds) in [("PT2M", Some(120)), ("PT1M30S", Some(90)), ("PT1H", Some(3600))] {
        assert_eq!(iso_seconds(text), seconds, "{text}");
    }
    for bad in ["2M", "PT", "PT2", "P2M", "PT2M30", "PTM", "2 minutes", "PT-2M"] {
        assert_eq!(iso_seconds(bad), None, "{bad}");
    }
}

#[test]
fn each_schedule_fires_and_its_input_is_json() {
    let template = load(&EVERYTHING);
    let names: Vec<&str> = template.schedules.iter().map(|schedule| schedule.id.as_str()).collect();
    assert_eq!(names, ["Check", "Digest", "Sweep"]);
    let without_digest = load(&[("DigestSchedule", "")]).schedules;
    assert_eq!(
        without_digest.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
        ["Sweep"]
    );
    let now = "2026-11-20T14:00:00Z".parse().unwrap();
    for schedule in &template.schedules {
        let expression =
            Expression::parse(&schedule.expression).unwrap_or_else(|error| panic!("{}: {error}", schedule.id));
        assert!(expression.next_after(now, now).is_some(), "{} never fires", schedule.id);
        serde_json::from_str::<Value>(&schedule.input).unwrap_or_else(|error| panic!("{}: {error}", schedule.id));
        assert!(schedule.enabled, "{}", schedule.id);
    }
}

#[test]
fn each_rule_asks_for_one_account_and_one_region_and_nothing_but_lists() {
    fn leaves(pattern: &Value, at: &str) {
        match pattern {
            Value::Object(members) if !members.is_empty() => {
                for (name, value) in members {
                    leaves(value, &format!("{at}.{name}"));
                }
            }
            Value::Array(values) if !values.is_empty() => {}
            other => panic!("{at} is {other}, not a list of values"),
        }
    }
    for rule in both().iter().flat_map(|template| &template.rules) {
        leaves(&rule.pattern, &rule.id);
        assert_eq!(rule.pattern["account"], json!([ACCOUNT]), "{}", rule.id);
        assert_eq!(rule.pattern["region"], json!([REGION]), "{}", rule.id);
        assert!(rule.enabled, "{}", rule.id);
        assert!(!rule.targets.is_empty(), "{}", rule.id);
        for target in &rule.targets {
            let logs = matches!(target.destination, Destination::LogGroup(_));
            assert!(
                logs || target.dead_letter_queue.is_some(),
                "{}: what cannot be delivered is lost",
                rule.id
            );
            assert!(
                target.retry.retries <= 185,
                "{}: {} retries",
                rule.id,
                target.retry.retries
            );
            assert!(
                (60..=86_400).contains(&target.retry.event_age_seconds_max),
                "{}: {} s",
                rule.id,
                target.retry.event_age_seconds_max
            );
        }
    }
}

/// Where a sample event goes.
fn expected(name: &str, everything: bool) -> BTreeSet<Destination> {
    let function = |id: &str| Destination::Function(id.into());
    let log = everything.then(|| Destination::LogGroup("/aws/events/spotinterruptions".into()));
    match name {
        "emr-step-running" => BTreeSet::from([function("StartExperiment")]),
        "emr-step-completed" | "emr-step-failed" | "emr-step-cancelled" => BTreeSet::from([function("WriteReport")]),
        "ec2-rebalance-recommendation" => log.into_iter().collect(),
        _ if name.starts_with("spot-interruption-warning") => log
            .into_iter()
            .chain([Destination::Queue("WarningQueue".into())])
            .collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn each_sample_event_goes_where_it_should_and_nowhere_from_another_account_or_region() {
    let mut samples = 0;
    for file in std::fs::read_dir(folder().join("data/events")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut event: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        samples += 1;
        for (template, everything) in both().into_iter().zip([false, true]) {
            let bus = EventBus::from_template(&template).unwrap();
            let goes = |event: &Value| -> BTreeSet<Destination> {
                bus.matching(event)
                    .into_iter()
                    .map(|target| target.destination.clone())
                    .collect()
            };
            for (account, region, ours) in [
                (ACCOUNT, REGION, true),
                ("123456789012", REGION, false),
                (ACCOUNT, "eu-west-1", false),
            ] {
                event["account"] = json!(account);
                event["region"] = json!(region);
                let expected = if ours {
                    expected(&name, everything)
                } else {
                    BTreeSet::new()
                };
                assert_eq!(goes(&event), expected, "{name} of {account} in {region}");
            }
        }
    }
    assert!(samples >= 13, "the samples are there");
}

#[test]
fn each_function_reads_its_environment_and_has_all_that_it_needs() {
    for (template, count) in both().into_iter().zip([3, 4]) {
        assert_eq!(template.functions.len(), count);
        for (id, function) in &template.functions {
            Function::deploy(id, function).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

#[test]
fn each_function_is_within_lambdas_limits_and_loses_no_event() {
    let template = load(&EVERYTHING);
    for (id, function) in &template.functions {
        assert!((1..=900).contains(&function.timeout_seconds), "{id}: Timeout");
        assert!((128..=10_240).contains(&function.memory_mb), "{id}: MemorySize");
        let asynchronous = &function.asynchronous;
        assert!(asynchronous.retries <= 2, "{id}: MaximumRetryAttempts");
        assert!(
            (60..=21_600).contains(&asynchronous.event_age_seconds_max),
            "{id}: MaximumEventAgeInSeconds"
        );
        match &function.queue {
            None => assert!(
                asynchronous.failure_queue.is_some(),
                "{id}: what fails for good is lost"
            ),
            Some(mapping) => {
                assert!(
                    mapping.report_partial,
                    "{id}: one bad message would repeat its whole batch"
                );
                assert!(
                    mapping.batch_size <= 10 || mapping.window_seconds > 0,
                    "{id}: BatchSize"
                );
                let queue = &template.queues[&mapping.queue];
                // AWS asks for six times the function's timeout, and the window on top.
                //= https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
                let visibility = 6 * function.timeout_seconds;
                assert!(queue.visibility_seconds >= visibility, "{id}: VisibilityTimeout");
                assert!(queue.redrive.is_some(), "{id}: a bad message would come for ever");
            }
        }
    }
    let wait: u64 = template.functions["StartExperiment"].environment["WAIT_SECONDS_MAX"]
        .parse()
        .unwrap();
    assert!(wait + 60 <= template.functions["StartExperiment"].timeout_seconds);
}

#[test]
fn each_parameter_says_in_a_line_what_it_is_and_limits_what_it_takes() {
    for (name, parameter) in yaml("Parameters") {
        let words = parameter["Description"].as_str().unwrap_or_default();
        assert!(
            (20..=120).contains(&words.len()) && !words.contains('\n'),
            "{name}: {words:?}"
        );
        assert!(parameter.get("Default").is_some(), "{name} has no default");
        let limits = ["AllowedValues", "AllowedPattern", "MaxValue"];
        assert!(limits.iter().any(|limit| parameter.get(limit).is_some()), "{name}");
    }
}

#[test]
fn the_dashboard_is_json_and_its_widgets_do_not_overlap() {
    let (_, dashboard) = yaml("Resources")
        .into_iter()
        .find(|(name, _)| name == "Dashboard")
        .unwrap();
    let Yaml::Tagged(body) = &dashboard["Properties"]["DashboardBody"] else {
        panic!("the body is no !Sub")
    };
    let mut body = body.value[0].as_str().unwrap().to_owned();
    while let Some(start) = body.find("${") {
        let end = start + body[start..].find('}').unwrap();
        body.replace_range(start..=end, "0");
    }
    let body: Value = serde_json::from_str(&body).unwrap();
    let mut taken = BTreeSet::new();
    for widget in body["widgets"].as_array().unwrap() {
        let number = |name: &str| widget[name].as_u64().unwrap();
        for x in number("x")..number("x") + number("width") {
            assert!(x < 24, "{widget} is beyond the dashboard's 24 columns");
            for y in number("y")..number("y") + number("height") {
                assert!(taken.insert((x, y)), "{widget} covers another at {x}, {y}");
            }
        }
    }
}

#[test]
fn each_rule_may_reach_its_targets() {
    let resources = yaml("Resources");
    let granted: String = resources
        .iter()
        .filter(|(_, resource)| {
            let kind = resource["Type"].as_str();
            matches!(kind, Some("AWS::Lambda::Permission" | "AWS::SQS::QueuePolicy"))
        })
        .map(|(_, resource)| serde_norway::to_string(resource).unwrap())
        .collect();
    for rule in load(&[]).rules {
        assert!(
            granted.contains(&format!("{}.Arn", rule.id)),
            "no resource policy names {}",
            rule.id
        );
    }
}

#[test]
fn cargo_lambda_deploys_with_the_templates_memory_and_timeout() {
    let template = load(&EVERYTHING);
    for (id, function) in &template.functions {
        let crate_name: String = id
            .char_indices()
            .flat_map(|(at, letter)| {
                let dash = (at > 0 && letter.is_uppercase()).then_some('-');
                dash.into_iter().chain(letter.to_lowercase())
            })
            .collect();
        let manifest = folder().join(format!("../functions/{crate_name}/Cargo.toml"));
        let manifest = std::fs::read_to_string(manifest).unwrap();
        let (_, deploy) = manifest.split_once("[package.metadata.lambda.deploy]").expect(id);
        for (key, value) in [("memory", function.memory_mb), ("timeout", function.timeout_seconds)] {
            let line = format!("{key} = {value}");
            assert!(deploy.lines().any(|one| one == line), "{crate_name} has no {line}");
        }
    }
}
