//! The programs that are measured: what is started, with which environment, and which event it gets. A list, apart from
//! the measuring, because this is where one reads what is compared with what.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::certificate::Certificates;
use crate::endpoint::Endpoint;
use crate::prepare::Clients;

/// The name of what every function is compared with.
pub const HELLO: &str = "hello-world";
/// The same work in Python.
pub const BOTO3: &str = "boto3";
/// The function that a Spot interruption warning waits for.
pub const WARNED: &str = "record-interruption";

const FUNCTIONS: [&str; 4] = [WARNED, "submit-step", "start-experiment", "write-report"];

const WARNING: &str = include_str!("../../../data/events/spot-interruption-warning-terminate.json");
const STEP_RUNNING: &str = include_str!("../../../data/events/emr-step-running.json");
const STEP_COMPLETED: &str = include_str!("../../../data/events/emr-step-completed.json");

/// One program.
#[derive(Debug, Clone)]
pub struct Program {
    /// As the table and `--only` have it.
    pub name: String,
    /// The executable and its arguments.
    pub command: Vec<PathBuf>,
    /// Its environment, all of it, but for what a single start adds.
    pub environment: Vec<(String, String)>,
    /// The event, for the first invocation and for the second.
    pub event: Value,
    /// What would be deployed; `None` where Lambda has most of it already.
    pub deployed: Option<PathBuf>,
    /// Held against the targets?
    pub is_judged: bool,
}

/// All programs, in the order of the table.
pub fn all(
    functions: &Path,
    clients: &Clients,
    certificates: &Certificates,
    endpoint: &Endpoint,
) -> Result<Vec<Program>> {
    let lambda = environment(endpoint);
    let with = |more: &[(&str, String)]| {
        let mut environment = lambda.clone();
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        environment
    };
    let authority = certificates.authority.display().to_string();
    let among_system_roots = certificates.among_system_roots.display().to_string();

    let mut programs = vec![Program {
        name: HELLO.into(),
        command: vec![clients.hello.clone()],
        environment: lambda.clone(),
        event: batch(),
        deployed: Some(clients.hello.clone()),
        is_judged: false,
    }];
    for name in FUNCTIONS {
        let binary = functions.join(name);
        ensure!(
            binary.exists(),
            "{} is missing: cargo build --release",
            binary.display()
        );
        let (environment, event) = of_function(name);
        let ours = |name: String, roots: &str, is_judged| Program {
            name,
            command: vec![binary.clone()],
            environment: [
                with(&[
                    ("TRUSTED_ROOTS", roots.to_owned()),
                    ("SSL_CERT_FILE", among_system_roots.clone()),
                ]),
                environment.clone(),
            ]
            .concat(),
            event: event.clone(),
            deployed: Some(binary.clone()),
            is_judged,
        };
        programs.push(ours(name.to_owned(), &authority, true));
        if name == WARNED {
            programs.push(ours(format!("{name}+system-roots"), "system", false));
        }
    }
    programs.push(Program {
        name: BOTO3.into(),
        command: vec![clients.python.clone(), clients.python_handler.clone()],
        environment: with(&[("AWS_CA_BUNDLE", certificates.among_boto3s_roots.display().to_string())]),
        event: batch(),
        deployed: None,
        is_judged: false,
    });
    programs.push(Program {
        name: "node".into(),
        command: vec![PathBuf::from("node"), clients.node_bundle.clone()],
        environment: with(&[("NODE_EXTRA_CA_CERTS", authority)]),
        event: batch(),
        deployed: Some(clients.node_bundle.clone()),
        is_judged: false,
    });
    Ok(programs)
}

/// What Lambda sets, and where AWS is.
fn environment(endpoint: &Endpoint) -> Vec<(String, String)> {
    let path = std::env::var("PATH").unwrap_or_default();
    [
        ("PATH", path.as_str()),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("AWS_LAMBDA_FUNCTION_NAME", "measured"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/measured"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/20/[$LATEST]measured"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_ENDPOINT_URL", &endpoint.others),
        ("AWS_ENDPOINT_URL_EC2", &endpoint.ec2),
        ("TABLE_NAME", "ledger"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// The settings of a function, and an event that makes it call AWS early: record-interruption does all its work, the
/// others make one call and find that there is nothing to do.
fn of_function(name: &str) -> (Vec<(String, String)>, Value) {
    let settings = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    match name {
        "submit-step" => (
            settings(&[("RESULTS_LOCATIONS", "s3://bucket/results/")]),
            json!({
                "cluster_name": "spot-drill",
                "step": {"name": "check", "args": ["spark-submit", "s3://bucket/script.py"]},
                "execution_id": "execution",
            }),
        ),
        "start-experiment" => (settings(&[("EXPERIMENT_TEMPLATE_ID", "EXT123")]), sample(STEP_RUNNING)),
        "write-report" => (settings(&[("REPORT_BUCKET", "reports")]), sample(STEP_COMPLETED)),
        _ => (Vec::new(), batch()),
    }
}

fn sample(text: &str) -> Value {
    serde_json::from_str(text).expect("the sample events are JSON, which other tests read too")
}

/// What SQS hands over: one message, with one warning.
fn batch() -> Value {
    json!({"Records": [{
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": WARNING,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1763647471000",
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1763647471001",
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:warnings",
        "awsRegion": "eu-west-1",
    }]})
}
