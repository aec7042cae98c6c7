//! The project's own template, and templates with one thing wrong.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Destination, Template};

const TEXT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml"));

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn load(parameters: &[(&str, &str)]) -> Template {
    Template::load(TEXT, &map(parameters)).unwrap()
}

/// The error of the template with every `from` replaced.
fn broken(from: &str, to: &str) -> String {
    assert!(TEXT.contains(from), "{from} is not in the template");
    Template::load(&TEXT.replace(from, to), &BTreeMap::new())
        .unwrap_err()
        .to_string()
}

#[test]
fn the_functions_have_exactly_their_environment() {
    let template = load(&[("ResultsBucket", "data")]);
    let names = |function: &str| {
        template.functions[function]
            .environment
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        names("StartExperiment"),
        "CLUSTERS DELAY_JITTER_SECONDS DELAY_SECONDS EMR_SHARE_PERCENT EXPERIMENT_TEMPLATE_ID INTERVAL_SECONDS_MIN MODE REPORT_ON RETENTION_DAYS \
         TABLE_NAME TRUSTED_ROOTS VICTIMS WAIT_SECONDS_MAX WAVES WAVE_INTERVAL_SECONDS"
    );
    assert_eq!(names("RecordInterruption"), "RETENTION_DAYS TABLE_NAME TRUSTED_ROOTS");
    assert_eq!(
        names("WriteReport"),
        "BASELINE_PREFIX CLUSTERS COUNT_ROWS EMR_SHARE_PERCENT EVENT_LOG_URI NOT_RECOVERED_MINUTES OUTPUT_PATTERN RECOVERY_SECONDS_MAX \
         REPORT_BUCKET REPORT_ON REPORT_PREFIX RETENTION_DAYS SWEEP_HOURS TABLE_NAME TRUSTED_ROOTS UNIT_HOUR_USD"
    );
    assert_eq!(
        names("SubmitStep"),
        "RESULTS_LOCATIONS RETENTION_DAYS TABLE_NAME TRUSTED_ROOTS"
    );
    let start = &template.functions["StartExperiment"].environment;
    let defaults = [
        ("TABLE_NAME", "spot-drill-Ledger"),
        ("DELAY_SECONDS", "90"),
        ("WAIT_SECONDS_MAX", "720"),
    ];
    for (name, value) in defaults
        .into_iter()
        .chain([("CLUSTERS", "tagged"), ("MODE", "run"), ("VICTIMS", "")])
    {
        assert_eq!(start[name], value, "{name}");
    }
    assert_eq!(
        template.functions["WriteReport"].environment["REPORT_BUCKET"],
        template.buckets["ReportBucket"]
    );
}

#[test]
fn limits_and_failures_are_as_deployed() {
    let template = load(&[("ResultsBucket", "data")]);
    let seconds = |function: &str| template.functions[function].timeout_seconds;
    let timeouts = ["StartExperiment", "RecordInterruption", "WriteReport", "SubmitStep"].map(seconds);
    assert_eq!(timeouts, [900, 60, 900, 300]);
    let start = &template.functions["StartExperiment"];
    assert_eq!(
        (start.asynchronous.event_age_seconds_max, start.asynchronous.retries),
        (1800, 2)
    );
    assert_eq!(start.asynchronous.failure_queue.as_deref(), Some("DeadLetterQueue"));
    let mapping = template.functions["RecordInterruption"].queue.as_ref().unwrap();
    assert_eq!(
        (mapping.queue.as_str(), mapping.batch_size, mapping.report_partial),
        ("WarningQueue", 200, true)
    );
    let queue = &template.queues["WarningQueue"];
    assert_eq!(queue.redrive.as_ref().unwrap().queue, "DeadLetterQueue");
    assert!(queue.visibility_seconds >= 6 * 60);
    assert_eq!(queue.name, "spot-drill-WarningQueue");
    let keys = &template.tables["Ledger"].properties["GlobalSecondaryIndexes"][0]["KeySchema"];
    assert_eq!(
        (&keys[0]["AttributeName"], &keys[1]["AttributeName"]),
        (&json!("job"), &json!("started_at"))
    );
    assert_eq!(template.outputs["FISExperimentID"], super::EXPERIMENT_TEMPLATE_ID);
    assert_eq!(
        template.function_named("spot-drill-SubmitStep").unwrap().0,
        "SubmitStep"
    );
}

#[test]
fn the_experiment_template_has_the_apis_spelling() {
    let template = load(&[("InstancesToInterrupt", "2")]).experiment_template;
    assert_eq!(
        template["targets"]["SpotInstances"],
        json!({
            "resourceType": "aws:ec2:spot-instance",
            "resourceTags": {"aws:elasticmapreduce:instance-group-role": "TASK", "spot-drill": "on"},
            "filters": [{"path": "State.Name", "values": ["running"]}],
            "selectionMode": "COUNT(2)",
        })
    );
    let action = &template["actions"]["interrupt"];
    assert_eq!(action["actionId"], "aws:ec2:send-spot-instance-interruptions");
    assert_eq!(action["parameters"], json!({"durationBeforeInterruption": "PT2M"}));
    assert_eq!(action["targets"], json!({"SpotInstances": "SpotInstances"}));
    assert_eq!(template["stopConditions"][0]["source"], "aws:cloudwatch:alarm");
    assert_eq!(
        template["roleArn"],
        "arn:aws:iam::000000000000:role/spot-drill-ExperimentRole"
    );
    assert_eq!(template["experimentOptions"]["emptyTargetResolutionMode"], "fail");
    assert_eq!(template["tags"], json!({"Name": "spot-drill"}));
    let of_all = load(&[("ClustersToDrill", "all")]).experiment_template;
    assert!(
        of_all["targets"]["SpotInstances"]["resourceTags"]
            .get("spot-drill")
            .is_none()
    );
}

#[test]
fn schedules_carry_their_input() {
    let template = load(&[]);
    let ids: Vec<&str> = template.schedules.iter().map(|schedule| schedule.id.as_str()).collect();
    assert_eq!(ids, ["Digest", "Sweep"]);
    let sweep = &template.schedules[1];
    assert_eq!(
        (sweep.expression.as_str(), sweep.input.as_str()),
        ("rate(15 minutes)", "{\"sweep\": true}")
    );
    assert_eq!(sweep.destination, Destination::Function("WriteReport".into()));
    let template = load(&[("CheckSchedule", "rate(7 days)"), ("ResultsBucket", "my-bucket")]);
    let check = template
        .schedules
        .iter()
        .find(|schedule| schedule.id == "Check")
        .unwrap();
    assert_eq!(check.destination, Destination::Function("SubmitStep".into()));
    let input: serde_json::Value = serde_json::from_str(&check.input).unwrap();
    assert_eq!(input["cluster_name"], "emr-spot-workshop");
    assert_eq!(input["step"]["args"][0], "spark-submit");
    assert_eq!(input["results"], "s3://my-bucket/resultsspot/");
    assert_eq!(input["execution_id"], "<aws.scheduler.execution-id>");
    let submit = &template.functions["SubmitStep"].environment;
    assert_eq!(submit["RESULTS_LOCATIONS"], "s3://my-bucket/resultsspot/");
}

#[test]
fn every_optional_part_resolves() {
    let template = load(&[
        ("EventLogUri", "s3://logs/spark/"),
        ("EventLogBucketArns", "arn:aws:s3:::logs,arn:aws:s3:::more"),
        ("LogBucketArns", "arn:aws:s3:::logs"),
        ("OutputBucketArns", "arn:aws:s3:::out"),
        ("KmsKeyArns", "arn:aws:kms:us-sim-1:000000000000:key/1"),
        ("BaselinePrefix", "s3://data/results/"),
        ("ResultsBucket", "data"),
        ("TrackingLogGroup", "/aws/events/spotinterruptions"),
        ("AlarmTopicArn", "arn:aws:sns:us-sim-1:000000000000:topic"),
        ("CheckSchedule", "cron(0 6 ? * MON *)"),
    ]);
    assert_eq!(template.rules.len(), 4);
    let role = template.policies["WriteReportRole"].properties.to_string();
    let logs = json!(["arn:aws:s3:::logs/*application_*", "arn:aws:s3:::more/*application_*"]);
    assert!(role.contains(&logs.to_string()), "{role}");
    assert!(role.contains("\"arn:aws:s3:::logs/*/steps/*/stderr.gz\""), "{role}");
}

#[test]
fn a_made_up_id_is_put_in_where_it_is_referred_to() {
    let mut template = load(&[]);
    template.set_experiment_template_id("EXT1k2KyqYsKFFv8");
    let environment = &template.functions["StartExperiment"].environment;
    assert_eq!(environment["EXPERIMENT_TEMPLATE_ID"], "EXT1k2KyqYsKFFv8");
    assert_eq!(template.outputs["FISExperimentID"], "EXT1k2KyqYsKFFv8");
    let role = template.policies["StartExperimentRole"].properties.to_string();
    assert!(role.contains("experiment-template/EXT1k2KyqYsKFFv8"), "{role}");
}

#[test]
fn a_wrong_reference_is_an_error_that_names_it() {
    let error = broken("TABLE_NAME: !Ref Ledger", "TABLE_NAME: !Ref Ledgre");
    assert!(
        error.contains("Environment.Variables.TABLE_NAME: there is no resource Ledgre"),
        "{error}"
    );
    let error = broken("!GetAtt StepStarted.Arn", "!GetAtt StepStarted.Arm");
    assert!(
        error.contains("StepStarted, which is a AWS::Events::Rule, has no attribute Arm"),
        "{error}"
    );
    let error = broken("${ReportBucket.Arn}/*", "${ReportBuckets.Arn}/*");
    assert!(error.contains("there is no resource ReportBuckets"), "{error}");
    assert!(broken("!If [HasResults,", "!If [HasResult,").contains("there is no condition HasResult"));
    assert!(broken("[!Ref WarningQueue]", "[!Reff WarningQueue]").contains("Reff"));
    let policy = "TrackingLogPolicy:\n    Type: AWS::Logs::ResourcePolicy\n    Condition: HasTrackingLog\n";
    assert!(broken(policy, &policy.replace("    Condition: HasTrackingLog\n", "")).contains("its condition leaves"));
}

#[test]
fn what_linters_of_templates_miss_is_an_error() {
    assert!(broken("rate(15 minutes)", "rate(15 minits)").contains("Sweep.Properties.ScheduleExpression"));
    assert!(broken("state: [RUNNING]", "state: RUNNING").contains("EventPattern.detail.state: is not a list"));
    assert!(broken("SpotInstances: SpotInstances", "SpotInstances: SpotIntances").contains("no target SpotIntances"));
    assert!(broken("Interruption: PT2M", "Interruption: 2 minutes").contains("PT2M to PT15M"));
    assert!(broken("Arn: !GetAtt StartExperiment.Arn\n", "Arn: arn:aws:lambda:x\n").contains("is no function"));
}

#[test]
fn wrong_parameters_are_refused() {
    let error = |name: &str, value: &str| Template::load(TEXT, &map(&[(name, value)])).unwrap_err().to_string();
    assert!(error("Mode", "perhaps").contains("none of run, preview, off"));
    assert!(error("Waves", "100").contains("MinValue"));
    assert!(error("Waves", "many").contains("not a number"));
    assert!(error("CheckSchedule", "rate(7 days)").contains("needs ResultsBucket"));
    assert!(error("Wavs", "1").contains("there is no Wavs"));
    assert!(Template::load("a: [", &BTreeMap::new()).is_err());
    assert!(Template::load("", &BTreeMap::new()).unwrap().functions.is_empty());
}

#[test]
fn no_role_allows_a_wildcard_or_to_rewrite_a_template() {
    let template = load(&[("ResultsBucket", "data"), ("EventLogUri", "s3://logs/spark/")]);
    for function in template.functions.values() {
        for action in &function.allowed_actions {
            assert!(
                !action.contains('*') && action != "fis:UpdateExperimentTemplate",
                "{} may {action}",
                function.name
            );
        }
    }
}

#[test]
fn without_a_results_bucket_nothing_submits_steps() {
    let template = load(&[]);
    assert!(!template.functions.contains_key("SubmitStep"));
    assert_eq!(template.functions.len(), 3);
}
