//! What `infra/template.yaml` deploys, read from the file itself: the simulated account routes, schedules and
//! configures as the deployed stack would.
//!
//! Separate because it is the one place that knows CloudFormation; a reference that the deployment would refuse is an
//! error here that names it.

mod intrinsic;
mod read;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

/// The stack's name in the simulated account.
pub const STACK: &str = "spot-drill";

/// Stands for the experiment template's id, which only FIS can make up.
const EXPERIMENT_TEMPLATE_ID: &str = "EXT-not-created-yet";

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct Error {
    /// Where in the template: `Resources.StepStarted.Properties.Targets.0.Arn`.
    pub at: String,
    /// What is wrong there.
    pub why: String,
}

impl Error {
    fn new(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            at: at.into(),
            why: why.into(),
        }
    }
}

/// The parts of a stack that the simulated account acts on. Maps are by logical id.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The Lambda functions.
    pub functions: BTreeMap<String, Function>,
    /// The rules on the default event bus.
    pub rules: Vec<Rule>,
    /// The SQS queues.
    pub queues: BTreeMap<String, Queue>,
    /// The DynamoDB tables.
    pub tables: BTreeMap<String, Table>,
    /// The S3 buckets' names.
    pub buckets: BTreeMap<String, String>,
    /// The resources that say who may do what, resolved: roles, and the policies of what others may use.
    pub policies: BTreeMap<String, Policy>,
    /// The input of FIS's CreateExperimentTemplate, with the API's member names.
    pub experiment_template: Value,
    /// EventBridge Scheduler's schedules.
    pub schedules: Vec<Schedule>,
    /// The statements of each role's policies, by the role's ARN.
    pub roles: BTreeMap<String, Vec<Value>>,
    /// The stack's outputs.
    pub outputs: BTreeMap<String, String>,
}

/// A Lambda function.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Its name in the account.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// After so long Lambda ends an invocation.
    pub timeout_seconds: u64,
    /// Its memory.
    pub memory_mb: u64,
    /// As many executions are reserved for it, and it has no more.
    //= https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
    pub reserved_concurrency: Option<u64>,
    /// What Lambda does with asynchronous invocations that fail.
    pub asynchronous: Asynchronous,
    /// The queue that invokes it, if one does.
    pub queue: Option<QueueMapping>,
    /// Its role's ARN.
    pub role: String,
    /// The actions that its role allows on anything, `ec2:DescribeInstances`.
    pub allowed_actions: BTreeSet<String>,
}

/// A resource that says who may do what.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Policy {
    /// `AWS::IAM::Role`, `AWS::SQS::QueuePolicy`, …
    pub kind: String,
    /// What `Ref` gives.
    pub name: String,
    /// Its properties, resolved.
    pub properties: Value,
}

/// A function's handling of asynchronous invocations.
//= https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asynchronous {
    /// Older events are given up; six hours unless configured.
    pub event_age_seconds_max: u64,
    /// How often an invocation that failed is repeated; twice unless configured.
    pub retries: u64,
    /// The logical id of the queue that hears of events that were given up.
    pub failure_queue: Option<String>,
}

/// An event source mapping from a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMapping {
    /// The queue's logical id.
    pub queue: String,
    /// How many messages one invocation gets at most.
    pub batch_size: usize,
    /// How long Lambda waits for a batch to fill.
    pub window_seconds: u64,
    /// Whether the function says which of a batch's messages failed.
    pub report_partial: bool,
}

/// A rule on the default event bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its logical id.
    pub id: String,
    /// Its name in the account.
    pub name: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// The event pattern.
    pub pattern: Value,
    /// Where matching events go.
    pub targets: Vec<Target>,
}

/// Where a rule or a schedule sends an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// A function, by its logical id; invoked asynchronously.
    Function(String),
    /// A queue, by its logical id.
    Queue(String),
    /// A log group, by its name.
    LogGroup(String),
}

/// A rule's target.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Its id within the rule.
    pub id: String,
    /// Where it is.
    pub destination: Destination,
    /// How delivery is repeated.
    pub retry: Retry,
    /// The logical id of the queue that gets what could not be delivered.
    pub dead_letter_queue: Option<String>,
}

/// How long and how often a delivery is repeated.
//= https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Older events are given up; a day unless configured.
    pub event_age_seconds_max: u64,
    /// So many more attempts; 185 unless configured.
    pub retries: u64,
}

/// An SQS standard queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name in the account.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// How long a received message stays hidden; 30 unless configured.
    pub visibility_seconds: u64,
    /// Where messages go that were received too often.
    pub redrive: Option<Redrive>,
}

/// A queue's dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// Its logical id.
    pub queue: String,
    /// So many times is a message received before it goes there.
    pub receives_max: u64,
}

/// A DynamoDB table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name in the account.
    pub name: String,
    /// Its properties, resolved.
    pub properties: Value,
}

/// A schedule of EventBridge Scheduler.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Its logical id.
    pub id: String,
    /// `rate(…)`, `cron(…)` or `at(…)`.
    pub expression: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// What it invokes.
    pub destination: Destination,
    /// The target's input, with Scheduler's `<aws.scheduler.…>` still in it.
    pub input: String,
    /// How delivery is repeated.
    pub retry: Retry,
}

impl Template {
    /// Reads a template's text; `parameters` are used instead of the defaults.
    pub fn load(text: &str, parameters: &BTreeMap<String, String>) -> Result<Self, Error> {
        read::template(&resolve::Stack::load(text, parameters)?)
    }

    /// Puts the id that FIS made up for the experiment template where the template refers to it.
    pub fn set_experiment_template_id(&mut self, id: &str) {
        let environments = self
            .functions
            .values_mut()
            .flat_map(|function| function.environment.values_mut());
        for value in environments.chain(self.outputs.values_mut()) {
            *value = value.replace(EXPERIMENT_TEMPLATE_ID, id);
        }
        let policies = self.policies.values_mut().map(|policy| &mut policy.properties);
        for value in policies.chain(self.roles.values_mut().flatten()) {
            replace(value, EXPERIMENT_TEMPLATE_ID, id);
        }
    }

    /// The function with this name in the account, and its logical id.
    pub fn function_named(&self, name: &str) -> Option<(&String, &Function)> {
        self.functions.iter().find(|(_, function)| function.name == name)
    }
}

/// Replaces a part of each text in the value.
fn replace(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) => *text = text.replace(from, to),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, from, to)),
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, from, to)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests;
