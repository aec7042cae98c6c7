//! Simulated CloudFormation: the deployed stack and its outputs, and further stacks of one FIS experiment template.
//!
//! Separate because each service has its file. A stack is complete as soon as it is asked for; change sets, updates and
//! other resource types than those below are not simulated, and say so.

use std::collections::BTreeMap;

use account::api::{ACCOUNT, ApiError, HEX, REGION, Time};
use account::template::{STACK, Template};
use account::wire::Service;
use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::world::State;

/// The resource types that a further stack may have.
const KINDS: [&str; 2] = ["AWS::FIS::ExperimentTemplate", "AWS::IAM::Role"];

/// The longest template in a request.
//= https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const TEMPLATE_BYTES_MAX: usize = 51_200;

/// A stack.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// Its ARN.
    pub id: String,
    /// When it was made.
    pub created_at: Time,
    /// What it was made with, beside the template's defaults.
    pub parameters: BTreeMap<String, String>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// What the caller acknowledged.
    pub capabilities: Vec<String>,
    /// The FIS template that it made; none in the deployment's own stack, whose parts are never deleted.
    pub experiment_template: Option<String>,
}

/// All stacks by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Stacks {
    deployed_at: Time,
    by_name: BTreeMap<String, Stack>,
}

impl Stacks {
    /// The deployment's own stack.
    pub fn new(deployed_at: Time, parameters: BTreeMap<String, String>, outputs: BTreeMap<String, String>) -> Self {
        let stack = Stack {
            id: arn(STACK, "0f6a7b1c-51d6-4d0e-8c3f-3c8f6f0e1a52"),
            created_at: deployed_at,
            parameters,
            outputs,
            capabilities: vec!["CAPABILITY_IAM".into(), "CAPABILITY_AUTO_EXPAND".into()],
            experiment_template: None,
        };
        Self {
            deployed_at,
            by_name: BTreeMap::from([(STACK.to_owned(), stack)]),
        }
    }

    /// When the deployment was made.
    pub fn deployed_at(&self) -> Time {
        self.deployed_at
    }

    /// The stack of this name or id.
    fn find(&self, name: &str) -> Option<(&String, &Stack)> {
        self.by_name
            .iter()
            .find(|(known, stack)| *known == name || stack.id == name)
    }
}

/// Answers an operation of CloudFormation.
pub fn call(state: &mut State, now: Time, operation: &str, input: &Value) -> Result<Value, ApiError> {
    match operation {
        "CreateStack" => create(state, now, input),
        "DeleteStack" => delete(state, now, input),
        "DescribeStacks" => describe(state, input),
        _ => Err(ApiError::not_implemented("cloudformation", operation)),
    }
}

//= https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
fn describe(state: &State, input: &Value) -> Result<Value, ApiError> {
    let stacks = match input["StackName"].as_str() {
        None => state
            .stacks
            .by_name
            .iter()
            .map(|(name, stack)| show(name, stack))
            .collect(),
        Some(name) => {
            let (name, stack) = state.stacks.find(name).ok_or_else(|| no_stack(name))?;
            vec![show(name, stack)]
        }
    };
    Ok(json!({ "Stacks": stacks }))
}

fn show(name: &str, stack: &Stack) -> Value {
    let pairs = |map: &BTreeMap<String, String>, key: &str, value: &str| -> Vec<Value> {
        map.iter().map(|(name, text)| json!({key: name, value: text})).collect()
    };
    json!({
        "StackId": stack.id,
        "StackName": name,
        "CreationTime": stack.created_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "StackStatus": "CREATE_COMPLETE",
        "DisableRollback": false,
        "EnableTerminationProtection": false,
        "RollbackConfiguration": {},
        "NotificationARNs": [],
        "Capabilities": stack.capabilities,
        "Parameters": pairs(&stack.parameters, "ParameterKey", "ParameterValue"),
        "Outputs": pairs(&stack.outputs, "OutputKey", "OutputValue"),
        "Tags": [],
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    })
}

//= https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
fn create(state: &mut State, now: Time, input: &Value) -> Result<Value, ApiError> {
    let name = input["StackName"].as_str().unwrap_or_default();
    let is_name = name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !is_name {
        let message = format!("Value '{name}' at 'stackName' failed to satisfy constraint: [a-zA-Z][-a-zA-Z0-9]*");
        return Err(validation(message));
    }
    if state.stacks.by_name.contains_key(name) {
        return Err(ApiError::client(
            "AlreadyExistsException",
            format!("Stack [{name}] already exists"),
        ));
    }
    let text = match (input["TemplateBody"].as_str(), input["TemplateURL"].as_str()) {
        (Some(text), None) if text.len() <= TEMPLATE_BYTES_MAX => text,
        (Some(_), None) => {
            return Err(validation(format!(
                "A template has at most {TEMPLATE_BYTES_MAX} bytes."
            )));
        }
        (None, Some(_)) => {
            return Err(ApiError::not_implemented(
                "cloudformation",
                "CreateStack with TemplateURL",
            ));
        }
        _ => return Err(validation("Either Template URL or Template Body must be specified.")),
    };
    let capabilities = strings(&input["Capabilities"]);
    check_kinds(text, &capabilities)?;
    let parameters = parameters(input);
    let mut template = Template::load(text, &parameters).map_err(|error| validation(error.to_string()))?;
    let request = template.experiment_template.clone();
    let made = state
        .account
        .call(now, Service::Fis, "CreateExperimentTemplate", request)?;
    let id = made["experimentTemplate"]["id"].as_str().unwrap_or_default().to_owned();
    template.set_experiment_template_id(&id);
    let mut ctx = state.account.ctx(now);
    let mut part = |length: usize| ctx.id("", HEX, length);
    let unique = format!("{}-{}-4{}-8{}-{}", part(8), part(4), part(3), part(3), part(12));
    ctx.transition("cloudformation", name, "CREATE_COMPLETE", Value::Null);
    let stack = Stack {
        id: arn(name, &unique),
        created_at: now,
        parameters,
        outputs: template.outputs,
        capabilities,
        experiment_template: Some(id),
    };
    let answer = json!({"StackId": stack.id});
    state.stacks.by_name.insert(name.to_owned(), stack);
    Ok(answer)
}

/// Holds a template against what is simulated, and against what the caller acknowledged.
//= https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/control-access-with-iam.html
fn check_kinds(text: &str, capabilities: &[String]) -> Result<(), ApiError> {
    let yaml: serde_norway::Value =
        serde_norway::from_str(text).map_err(|error| validation(format!("Template format error: {error}")))?;
    let resources = yaml.get("Resources").and_then(serde_norway::Value::as_mapping);
    let resources = resources
        .filter(|resources| !resources.is_empty())
        .ok_or_else(|| validation("Template format error: At least one Resources member must be defined."))?;
    let mut experiments = 0;
    for resource in resources.values() {
        let kind = resource
            .get("Type")
            .and_then(serde_norway::Value::as_str)
            .unwrap_or_default();
        if !KINDS.contains(&kind) {
            return Err(ApiError::not_implemented(
                "cloudformation",
                &format!("CreateStack with a resource {kind:?}"),
            ));
        }
        experiments += usize::from(kind == KINDS[0]);
        let is_named = resource
            .get("Properties")
            .is_some_and(|properties| properties.get("RoleName").is_some());
        let needed = if is_named {
            "CAPABILITY_NAMED_IAM"
        } else {
            "CAPABILITY_IAM"
        };
        let is_given = capabilities
            .iter()
            .any(|given| given == "CAPABILITY_NAMED_IAM" || given == needed);
        if kind == KINDS[1] && !is_given {
            let message = format!("Requires capabilities : [{needed}]");
            return Err(ApiError::client("InsufficientCapabilitiesException", message));
        }
    }
    if experiments == 1 {
        Ok(())
    } else {
        Err(ApiError::not_implemented(
            "cloudformation",
            "CreateStack without exactly one experiment template",
        ))
    }
}

/// Deleting a stack that is not there succeeds, as on AWS.
//= https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html
fn delete(state: &mut State, now: Time, input: &Value) -> Result<Value, ApiError> {
    let given = input["StackName"]
        .as_str()
        .ok_or_else(|| validation("StackName is missing."))?;
    let Some((name, stack)) = state.stacks.find(given) else {
        return Ok(json!({}));
    };
    let Some(experiment_template) = stack.experiment_template.clone() else {
        return Err(ApiError::not_implemented(
            "cloudformation",
            "DeleteStack of the deployment itself",
        ));
    };
    let name = name.clone();
    let request = json!({"id": experiment_template});
    // Somebody may have deleted the template already: CloudFormation takes that for done.
    state
        .account
        .call(now, Service::Fis, "DeleteExperimentTemplate", request)
        .ok();
    state.stacks.by_name.remove(&name);
    state
        .account
        .ctx(now)
        .transition("cloudformation", &name, "DELETE_COMPLETE", Value::Null);
    Ok(json!({}))
}

fn parameters(input: &Value) -> BTreeMap<String, String> {
    let given = input["Parameters"].as_array().into_iter().flatten();
    let pair = |one: &Value| {
        Some((
            one["ParameterKey"].as_str()?.into(),
            one["ParameterValue"].as_str()?.into(),
        ))
    };
    given.filter_map(pair).collect()
}

fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn arn(name: &str, unique: &str) -> String {
    format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/{unique}")
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::client("ValidationError", message)
}

fn no_stack(name: &str) -> ApiError {
    validation(format!("Stack with id {name} does not exist"))
}
