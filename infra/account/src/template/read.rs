//! From resolved resources to what the simulated account acts on.
//!
//! Separate because each resource type has its own shape; what a deployment would refuse, or leave without effect, is
//! an error here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::resolve::{Resource, Stack};
use super::{
    Asynchronous, Destination, Error, Function, Policy, Queue, QueueMapping, Redrive, Retry, Rule, Schedule, Table,
    Target, Template,
};
use crate::api::{ACCOUNT, REGION};

const FUNCTION: &str = "AWS::Serverless::Function";
const QUEUE: &str = "AWS::SQS::Queue";
const ROLE: &str = "AWS::IAM::Role";

pub(super) fn template(stack: &Stack) -> Result<Template, Error> {
    let mut functions = BTreeMap::new();
    for (id, resource) in of_kind(stack, FUNCTION) {
        functions.insert(id.to_owned(), function(stack, id, resource)?);
    }
    for (id, resource) in of_kind(stack, "AWS::Lambda::EventSourceMapping") {
        let name = text(id, &resource.properties, "FunctionName")?;
        let function = stack
            .find(&[FUNCTION], name)
            .and_then(|function| functions.get_mut(function));
        let function = function.ok_or_else(|| Error::new(at(id, "FunctionName"), format!("{name} is no function")))?;
        function.queue = Some(mapping(stack, id, &resource.properties)?);
    }
    let queues = of_kind(stack, QUEUE).map(|(id, resource)| Ok((id.to_owned(), queue(stack, id, resource)?)));
    let table = |(id, resource): (&str, &Resource)| {
        (
            id.to_owned(),
            Table {
                name: resource.reference.clone(),
                properties: resource.properties.clone(),
            },
        )
    };
    let experiment_template = match of_kind(stack, "AWS::FIS::ExperimentTemplate").next() {
        Some((id, resource)) => experiment_template(id, &resource.properties)?,
        None => Value::Null,
    };
    let text_of = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string());
    Ok(Template {
        functions,
        rules: of_kind(stack, "AWS::Events::Rule")
            .map(|(id, rule)| self::rule(stack, id, rule))
            .collect::<Result<_, _>>()?,
        queues: queues.collect::<Result<_, _>>()?,
        tables: of_kind(stack, "AWS::DynamoDB::Table").map(table).collect(),
        buckets: of_kind(stack, "AWS::S3::Bucket")
            .map(|(id, bucket)| (id.into(), bucket.reference.clone()))
            .collect(),
        policies: policies(stack),
        experiment_template,
        roles: of_kind(stack, ROLE)
            .filter_map(|(_, role)| Some((role.arn.clone()?, statements(role).cloned().collect())))
            .collect(),
        schedules: of_kind(stack, "AWS::Scheduler::Schedule")
            .map(|(id, resource)| schedule(stack, id, &resource.properties))
            .collect::<Result<_, _>>()?,
        outputs: stack
            .outputs
            .iter()
            .map(|(name, value)| (name.clone(), text_of(value)))
            .collect(),
    })
}

fn of_kind<'a>(stack: &'a Stack, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Resource)> {
    stack
        .resources
        .iter()
        .filter(move |(_, resource)| resource.kind == kind)
        .map(|(id, r)| (id.as_str(), r))
}

/// The resources that say who may do what.
fn policies(stack: &Stack) -> BTreeMap<String, Policy> {
    let kinds = [
        "AWS::IAM::Role",
        "AWS::Lambda::Permission",
        "AWS::Logs::ResourcePolicy",
        "AWS::S3::BucketPolicy",
        "AWS::SQS::QueuePolicy",
    ];
    let resources = stack.resources.iter();
    let resources = resources.filter(|(_, resource)| kinds.contains(&resource.kind.as_str()));
    let policy = |(id, resource): (&String, &Resource)| {
        let policy = Policy {
            kind: resource.kind.clone(),
            name: resource.reference.clone(),
            properties: resource.properties.clone(),
        };
        (id.clone(), policy)
    };
    resources.map(policy).collect()
}

fn at(id: &str, property: &str) -> String {
    format!("Resources.{id}.Properties.{property}")
}

fn text<'a>(id: &str, properties: &'a Value, property: &str) -> Result<&'a str, Error> {
    let pointer = format!("/{}", property.replace('.', "/"));
    let value = properties.pointer(&pointer).and_then(Value::as_str);
    value.ok_or_else(|| Error::new(at(id, property), "is missing, or not a text"))
}

/// A number, which may be a parameter's text.
fn number(id: &str, properties: &Value, property: &str, default: u64) -> Result<u64, Error> {
    let pointer = format!("/{}", property.replace('.', "/"));
    match properties.pointer(&pointer) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => {
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            number.ok_or_else(|| Error::new(at(id, property), format!("{value} is not a number")))
        }
    }
}

fn function(stack: &Stack, id: &str, resource: &Resource) -> Result<Function, Error> {
    let properties = &resource.properties;
    let mut environment = BTreeMap::new();
    for (name, value) in properties
        .pointer("/Environment/Variables")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => {
                return Err(Error::new(
                    at(id, &format!("Environment.Variables.{name}")),
                    "is not a text",
                ));
            }
        };
        environment.insert(name.clone(), value);
    }
    let asynchronous = Asynchronous {
        event_age_seconds_max: number(id, properties, "EventInvokeConfig.MaximumEventAgeInSeconds", 21_600)?,
        retries: number(id, properties, "EventInvokeConfig.MaximumRetryAttempts", 2)?,
        failure_queue: queue_at(
            stack,
            id,
            properties,
            "EventInvokeConfig.DestinationConfig.OnFailure.Destination",
        )?,
    };
    Ok(Function {
        name: resource.reference.clone(),
        arn: resource.arn.clone().unwrap_or_default(),
        environment,
        timeout_seconds: number(id, properties, "Timeout", 3)?,
        memory_mb: number(id, properties, "MemorySize", 128)?,
        reserved_concurrency: Some(number(id, properties, "ReservedConcurrentExecutions", 0)?).filter(|few| *few > 0),
        asynchronous,
        queue: None,
        role: text(id, properties, "Role")?.to_owned(),
        allowed_actions: allowed_actions(stack, id, properties)?,
    })
}

/// What the function's role allows. SAM's own policies would allow more, so a function must not have any.
fn allowed_actions(stack: &Stack, id: &str, properties: &Value) -> Result<BTreeSet<String>, Error> {
    if properties.get("Policies").is_some() {
        return Err(Error::new(at(id, "Policies"), "write a role instead"));
    }
    let arn = text(id, properties, "Role")?;
    let role = stack.find(&[ROLE], arn).and_then(|role| stack.resources.get(role));
    let role = role.ok_or_else(|| Error::new(at(id, "Role"), format!("{arn} is no role")))?;
    let allowed = statements(role).filter(|statement| statement["Effect"] == "Allow");
    Ok(allowed
        .flat_map(|statement| list(&statement["Action"]))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect())
}

/// The statements of a role's policies.
fn statements(role: &Resource) -> impl Iterator<Item = &Value> {
    let policies = role.properties["Policies"].as_array().into_iter().flatten();
    policies.flat_map(|policy| list(&policy["PolicyDocument"]["Statement"]))
}

/// IAM's lists of one entry may be the entry itself.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// The queue that a property's ARN stands for, if the property is there.
fn queue_at(stack: &Stack, id: &str, properties: &Value, property: &str) -> Result<Option<String>, Error> {
    let pointer = format!("/{}", property.replace('.', "/"));
    let Some(arn) = properties.pointer(&pointer) else {
        return Ok(None);
    };
    let queue = arn.as_str().and_then(|arn| stack.find(&[QUEUE], arn));
    queue
        .map(|queue| Some(queue.to_owned()))
        .ok_or_else(|| Error::new(at(id, property), format!("{arn} is no queue")))
}

fn required_queue(stack: &Stack, id: &str, properties: &Value, property: &str) -> Result<String, Error> {
    queue_at(stack, id, properties, property)?.ok_or_else(|| Error::new(at(id, property), "is missing"))
}

fn mapping(stack: &Stack, id: &str, properties: &Value) -> Result<QueueMapping, Error> {
    let types = properties["FunctionResponseTypes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let batch_size = number(id, properties, "BatchSize", 10)?;
    Ok(QueueMapping {
        queue: required_queue(stack, id, properties, "EventSourceArn")?,
        batch_size: usize::try_from(batch_size).map_err(|error| Error::new(at(id, "BatchSize"), error.to_string()))?,
        window_seconds: number(id, properties, "MaximumBatchingWindowInSeconds", 0)?,
        report_partial: types.contains(&json!("ReportBatchItemFailures")),
    })
}

fn queue(stack: &Stack, id: &str, resource: &Resource) -> Result<Queue, Error> {
    let properties = &resource.properties;
    let redrive = match properties.get("RedrivePolicy") {
        None => None,
        Some(_) => Some(Redrive {
            queue: required_queue(stack, id, properties, "RedrivePolicy.deadLetterTargetArn")?,
            receives_max: number(id, properties, "RedrivePolicy.maxReceiveCount", 10)?,
        }),
    };
    let arn = resource.arn.clone().unwrap_or_default();
    let name = arn.rsplit(':').next().unwrap_or_default().to_owned();
    Ok(Queue {
        name,
        arn,
        visibility_seconds: number(id, properties, "VisibilityTimeout", 30)?,
        redrive,
    })
}

fn rule(stack: &Stack, id: &str, resource: &Resource) -> Result<Rule, Error> {
    let properties = &resource.properties;
    let pattern = properties["EventPattern"].clone();
    check_pattern(&pattern, &at(id, "EventPattern"))?;
    let mut targets = Vec::new();
    for (index, target) in properties["Targets"].as_array().into_iter().flatten().enumerate() {
        targets.push(self::target(
            stack,
            &format!("{id}.Properties.Targets.{index}"),
            target,
        )?);
    }
    let enabled = properties.get("State").is_none_or(|state| state == "ENABLED");
    Ok(Rule {
        id: id.to_owned(),
        name: resource.reference.clone(),
        enabled,
        pattern,
        targets,
    })
}

/// Each leaf of a pattern is a list: EventBridge refuses anything else.
//= https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
fn check_pattern(pattern: &Value, at: &str) -> Result<(), Error> {
    match pattern {
        Value::Object(members) if !members.is_empty() => members
            .iter()
            .try_for_each(|(name, value)| check_pattern(value, &format!("{at}.{name}"))),
        Value::Array(values) if !values.is_empty() => Ok(()),
        _ => Err(Error::new(at, "is not a list of values")),
    }
}

fn target(stack: &Stack, id: &str, target: &Value) -> Result<Target, Error> {
    for unsupported in ["Input", "InputPath", "InputTransformer"] {
        if target.get(unsupported).is_some() {
            return Err(Error::new(format!("Resources.{id}.{unsupported}"), "is not simulated"));
        }
    }
    Ok(Target {
        id: text(id, target, "Id")?.to_owned(),
        destination: destination(stack, id, text(id, target, "Arn")?)?,
        retry: retry(id, target)?,
        dead_letter_queue: queue_at(stack, id, target, "DeadLetterConfig.Arn")?,
    })
}

fn destination(stack: &Stack, id: &str, arn: &str) -> Result<Destination, Error> {
    let log_group = format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:");
    if let Some(function) = stack.find(&[FUNCTION], arn) {
        Ok(Destination::Function(function.to_owned()))
    } else if let Some(queue) = stack.find(&[QUEUE], arn) {
        Ok(Destination::Queue(queue.to_owned()))
    } else if let Some(name) = arn.strip_prefix(&log_group) {
        Ok(Destination::LogGroup(name.to_owned()))
    } else {
        Err(Error::new(
            format!("Resources.{id}.Arn"),
            format!("{arn} is no function, queue or log group"),
        ))
    }
}

fn retry(id: &str, target: &Value) -> Result<Retry, Error> {
    Ok(Retry {
        event_age_seconds_max: number(id, target, "RetryPolicy.MaximumEventAgeInSeconds", 86_400)?,
        retries: number(id, target, "RetryPolicy.MaximumRetryAttempts", 185)?,
    })
}

fn schedule(stack: &Stack, id: &str, properties: &Value) -> Result<Schedule, Error> {
    if text(id, properties, "FlexibleTimeWindow.Mode")? != "OFF" {
        return Err(Error::new(
            at(id, "FlexibleTimeWindow"),
            "only the mode OFF is simulated",
        ));
    }
    let expression = text(id, properties, "ScheduleExpression")?;
    crate::scheduler::Expression::parse(expression)
        .map_err(|error| Error::new(at(id, "ScheduleExpression"), error.to_string()))?;
    let target = &properties["Target"];
    let input = target["Input"].as_str().unwrap_or("{}");
    if let Err(error) = serde_json::from_str::<Value>(input) {
        return Err(Error::new(at(id, "Target.Input"), format!("is not JSON: {error}")));
    }
    Ok(Schedule {
        id: id.to_owned(),
        expression: expression.to_owned(),
        enabled: properties.get("State").is_none_or(|state| state == "ENABLED"),
        destination: destination(stack, id, text(id, target, "Arn")?)?,
        input: input.to_owned(),
        retry: retry(id, target)?,
    })
}

/// The input of CreateExperimentTemplate: the resource's properties with the API's spelling. Names that the template
/// chose (targets, actions, parameters, tags) stay as they are.
//= https://docs.aws.amazon.com/fis/latest/APIReference/API_CreateExperimentTemplate.html
fn experiment_template(id: &str, properties: &Value) -> Result<Value, Error> {
    let targets = properties["Targets"].as_object().cloned().unwrap_or_default();
    for (name, action) in properties["Actions"].as_object().into_iter().flatten() {
        let place = at(id, &format!("Actions.{name}"));
        for target in action["Targets"]
            .as_object()
            .into_iter()
            .flat_map(Map::values)
            .filter_map(Value::as_str)
        {
            if !targets.contains_key(target) {
                return Err(Error::new(place, format!("there is no target {target}")));
            }
        }
        if let Some(duration) = action["Parameters"]["durationBeforeInterruption"].as_str() {
            let minutes = duration.strip_prefix("PT").and_then(|rest| rest.strip_suffix('M'));
            let minutes: Option<u32> = minutes.and_then(|minutes| minutes.parse().ok());
            if !minutes.is_some_and(|minutes| (2..=15).contains(&minutes)) {
                return Err(Error::new(place, format!("{duration} is not from PT2M to PT15M")));
            }
        }
    }
    Ok(camel(properties, ""))
}

fn camel(value: &Value, parent: &str) -> Value {
    match value {
        // Under an action, `Targets` maps the action's roles to targets' names: all of it stays.
        Value::Object(_) if matches!(parent, "ResourceTags" | "Parameters" | "Tags" | "Action.Targets") => {
            value.clone()
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| match parent {
                "Targets" => (name.clone(), camel(value, "Target")),
                "Actions" => (name.clone(), camel(value, "Action")),
                "Action" if name == "Targets" => ("targets".to_owned(), camel(value, "Action.Targets")),
                _ => (lower_first(name), camel(value, name)),
            };
            Value::Object(members.iter().map(member).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| camel(item, "")).collect()),
        other => other.clone(),
    }
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}
