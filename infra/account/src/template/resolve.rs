//! A template's parameters and resources, and what a reference to one of them gives in the simulated account.
//!
//! Separate because it knows nothing of what the resources are for: it makes plain JSON of a template, or says which
//! reference is wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use serde_norway::Value as Yaml;

use super::{EXPERIMENT_TEMPLATE_ID, Error, STACK};
use crate::api::{ACCOUNT, REGION};

/// A template whose functions are resolved.
pub(super) struct Stack {
    /// By logical id, without those that their condition leaves out.
    pub(super) resources: BTreeMap<String, Resource>,
    /// The values of the outputs.
    pub(super) outputs: BTreeMap<String, Json>,
}

/// One resource.
pub(super) struct Resource {
    /// `AWS::SQS::Queue`.
    pub(super) kind: String,
    /// Its properties.
    pub(super) properties: Json,
    /// What `Ref` gives.
    pub(super) reference: String,
    /// Its ARN, for the types that have one.
    pub(super) arn: Option<String>,
}

/// What the names in a template stand for.
pub(super) struct Scope<'a> {
    parameters: BTreeMap<String, Json>,
    pub(super) conditions: &'a Yaml,
    resources: &'a Yaml,
}

/// The template that was parsed last: thousands of worlds are made from one.
static LAST: Mutex<Option<(String, Arc<Yaml>)>> = Mutex::new(None);

fn parsed(text: &str) -> Result<Arc<Yaml>, Error> {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, yaml)) = &*last
        && known == text
    {
        return Ok(yaml.clone());
    }
    let yaml = serde_norway::from_str(text).map_err(|error| Error::new("template", error.to_string()))?;
    let yaml = Arc::new(yaml);
    *last = Some((text.to_owned(), Arc::clone(&yaml)));
    Ok(yaml)
}

impl Stack {
    pub(super) fn load(text: &str, parameters: &BTreeMap<String, String>) -> Result<Self, Error> {
        let yaml = &*parsed(text)?;
        let section = |name: &str| yaml.get(name).unwrap_or(&Yaml::Null);
        let scope = Scope {
            parameters: read_parameters(section("Parameters"), parameters)?,
            conditions: section("Conditions"),
            resources: section("Resources"),
        };
        for (name, _) in entries(scope.conditions) {
            scope.condition(name, "Conditions", 0)?;
        }
        for (name, rule) in entries(section("Rules")) {
            scope.assert(name, rule)?;
        }
        let globals = scope.json(section("Globals"), "Globals", 0)?;
        let mut resources = BTreeMap::new();
        for (id, resource) in entries(scope.resources) {
            if scope.exists(id)? {
                resources.insert(id.to_owned(), scope.resource(id, resource, &globals)?);
            }
        }
        let mut outputs = BTreeMap::new();
        for (name, output) in entries(section("Outputs")) {
            let at = format!("Outputs.{name}");
            let condition = output.get("Condition").and_then(Yaml::as_str);
            if !condition.map_or(Ok(true), |condition| scope.condition(condition, &at, 0))? {
                continue;
            }
            let value = output.get("Value").unwrap_or(&Yaml::Null);
            outputs.insert(name.to_owned(), scope.json(value, &format!("{at}.Value"), 0)?);
        }
        Ok(Self { resources, outputs })
    }

    /// The logical id of the resource of one of `kinds` that a resolved `Ref` or ARN stands for.
    pub(super) fn find(&self, kinds: &[&str], value: &str) -> Option<&str> {
        let is = |resource: &Resource| {
            kinds.contains(&resource.kind.as_str())
                && (resource.reference == value || resource.arn.as_deref() == Some(value))
        };
        self.resources
            .iter()
            .find(|(_, resource)| is(resource))
            .map(|(id, _)| id.as_str())
    }
}

fn read_parameters(declared: &Yaml, given: &BTreeMap<String, String>) -> Result<BTreeMap<String, Json>, Error> {
    let mut parameters = BTreeMap::new();
    for (name, parameter) in entries(declared) {
        let at = format!("Parameters.{name}");
        let default = parameter.get("Default").and_then(scalar);
        let value = given
            .get(name)
            .cloned()
            .or(default)
            .ok_or_else(|| Error::new(&at, "has no value and no default"))?;
        if let Some(allowed) = parameter.get("AllowedValues").and_then(Yaml::as_sequence) {
            let allowed: Vec<String> = allowed.iter().filter_map(scalar).collect();
            if !allowed.contains(&value) {
                return Err(Error::new(at, format!("{value:?} is none of {}", allowed.join(", "))));
            }
        }
        check_number(&at, parameter, &value)?;
        parameters.insert(name.to_owned(), Json::String(value));
    }
    if let Some(unknown) = given.keys().find(|name| !parameters.contains_key(*name)) {
        let known: Vec<&String> = parameters.keys().collect();
        return Err(Error::new(
            "Parameters",
            format!("there is no {unknown}, only {known:?}"),
        ));
    }
    Ok(parameters)
}

fn check_number(at: &str, parameter: &Yaml, value: &str) -> Result<(), Error> {
    if parameter.get("Type").and_then(Yaml::as_str) != Some("Number") {
        return Ok(());
    }
    let number: f64 = value
        .parse()
        .map_err(|_| Error::new(at, format!("{value:?} is not a number")))?;
    let bound = |name: &str| parameter.get(name).and_then(Yaml::as_f64);
    if bound("MinValue").is_some_and(|min| number < min) || bound("MaxValue").is_some_and(|max| number > max) {
        return Err(Error::new(at, format!("{value} is not between MinValue and MaxValue")));
    }
    Ok(())
}

impl Scope<'_> {
    /// Holds a rule for parameters: a deployment whose assertion fails does not begin.
    //= https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
    fn assert(&self, name: &str, rule: &Yaml) -> Result<(), Error> {
        let at = format!("Rules.{name}");
        let applies = rule
            .get("RuleCondition")
            .map_or(Ok(true), |condition| self.holds(condition, &at, 0))?;
        for assertion in rule.get("Assertions").and_then(Yaml::as_sequence).into_iter().flatten() {
            if applies && !self.holds(assertion.get("Assert").unwrap_or(&Yaml::Null), &at, 0)? {
                let why = assertion
                    .get("AssertDescription")
                    .and_then(Yaml::as_str)
                    .unwrap_or("an assertion failed");
                return Err(Error::new(at, why));
            }
        }
        Ok(())
    }

    /// Whether the resource's condition, if it has one, holds.
    fn exists(&self, id: &str) -> Result<bool, Error> {
        match self
            .resources
            .get(id)
            .and_then(|resource| resource.get("Condition"))
            .and_then(Yaml::as_str)
        {
            Some(name) => self.condition(name, &format!("Resources.{id}.Condition"), 0),
            None => Ok(true),
        }
    }

    fn resource(&self, id: &str, resource: &Yaml, globals: &Json) -> Result<Resource, Error> {
        let at = format!("Resources.{id}");
        let kind = resource
            .get("Type")
            .and_then(Yaml::as_str)
            .ok_or_else(|| Error::new(&at, "has no Type"))?;
        for dependency in resource.get("DependsOn").map(list).unwrap_or_default() {
            self.existing(dependency, &format!("{at}.DependsOn"))?;
        }
        let properties = resource.get("Properties").unwrap_or(&Yaml::Null);
        let mut properties = self.json(properties, &format!("{at}.Properties"), 0)?;
        if kind == "AWS::Serverless::Function" {
            let mut whole = globals.get("Function").cloned().unwrap_or_default();
            merge(&mut whole, properties);
            properties = whole;
        }
        let reference = self.reference(id, &at)?;
        let arn = self.attribute(id, "Arn", &at).ok();
        Ok(Resource {
            kind: kind.to_owned(),
            properties,
            reference,
            arn,
        })
    }

    fn existing(&self, id: &str, at: &str) -> Result<&Yaml, Error> {
        let resource = self
            .resources
            .get(id)
            .ok_or_else(|| Error::new(at, format!("there is no resource {id}")))?;
        if self.exists(id)? {
            Ok(resource)
        } else {
            Err(Error::new(at, format!("its condition leaves {id} out")))
        }
    }

    /// What `Ref` gives.
    pub(super) fn named(&self, name: &str, at: &str) -> Result<Json, Error> {
        let pseudo = match name {
            "AWS::AccountId" => ACCOUNT,
            "AWS::Region" => REGION,
            "AWS::Partition" => "aws",
            "AWS::StackName" => STACK,
            "AWS::URLSuffix" => "amazonaws.com",
            _ => "",
        };
        if !pseudo.is_empty() {
            return Ok(Json::String(pseudo.to_owned()));
        }
        match self.parameters.get(name) {
            Some(value) => Ok(value.clone()),
            None => Ok(Json::String(self.reference(name, at)?)),
        }
    }

    fn reference(&self, id: &str, at: &str) -> Result<String, Error> {
        let kind = self
            .existing(id, at)?
            .get("Type")
            .and_then(Yaml::as_str)
            .unwrap_or_default();
        let name = self.name(id)?;
        Ok(match kind {
            "AWS::SQS::Queue" => format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"),
            "AWS::FIS::ExperimentTemplate" => EXPERIMENT_TEMPLATE_ID.to_owned(),
            "AWS::SNS::Topic" => format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}"),
            _ => name,
        })
    }

    /// The resource's own name: the one that the template gives it, or one made of the stack's and its logical id.
    fn name(&self, id: &str) -> Result<String, Error> {
        let resource = self.resources.get(id).unwrap_or(&Yaml::Null);
        for property in [
            "BucketName",
            "FunctionName",
            "LogGroupName",
            "Name",
            "QueueName",
            "RoleName",
            "TableName",
        ] {
            let at = format!("Resources.{id}.Properties.{property}");
            // A permission's or a mapping's function is not its own name.
            let given = resource
                .get("Properties")
                .and_then(|properties| properties.get(property));
            if let Some(given) = given.filter(|_| !is_link(resource)) {
                return Ok(text_of(&self.json(given, &at, 0)?));
            }
        }
        match resource.get("Type").and_then(Yaml::as_str) {
            Some("AWS::S3::Bucket") => Ok(format!("{STACK}-{}-{ACCOUNT}", id.to_lowercase())),
            _ => Ok(format!("{STACK}-{id}")),
        }
    }

    /// What `GetAtt` gives.
    pub(super) fn attribute(&self, id: &str, attribute: &str, at: &str) -> Result<String, Error> {
        let kind = self
            .existing(id, at)?
            .get("Type")
            .and_then(Yaml::as_str)
            .unwrap_or_default();
        let name = self.name(id)?;
        let arn = |service: &str, resource: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}{name}");
        Ok(match (kind, attribute) {
            ("AWS::Serverless::Function" | "AWS::Lambda::Function", "Arn") => arn("lambda", "function:"),
            ("AWS::SQS::Queue", "Arn") => arn("sqs", ""),
            ("AWS::SQS::Queue", "QueueName") => name,
            ("AWS::DynamoDB::Table", "Arn") => arn("dynamodb", "table/"),
            ("AWS::S3::Bucket", "Arn") => format!("arn:aws:s3:::{name}"),
            ("AWS::IAM::Role", "Arn") => format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
            ("AWS::Events::Rule", "Arn") => arn("events", "rule/"),
            ("AWS::CloudWatch::Alarm", "Arn") => arn("cloudwatch", "alarm:"),
            ("AWS::Logs::LogGroup", "Arn") => format!("{}:*", arn("logs", "log-group:")),
            ("AWS::Scheduler::ScheduleGroup", "Arn") => arn("scheduler", "schedule-group/"),
            ("AWS::FIS::ExperimentTemplate", "Id") => self.reference(id, at)?,
            _ => {
                return Err(Error::new(
                    at,
                    format!("{id}, which is a {kind}, has no attribute {attribute}"),
                ));
            }
        })
    }
}

/// Whether the resource only ties others together.
fn is_link(resource: &Yaml) -> bool {
    let kind = resource.get("Type").and_then(Yaml::as_str);
    matches!(
        kind,
        Some("AWS::Lambda::EventSourceMapping" | "AWS::Lambda::Permission")
    )
}

pub(super) fn entries(yaml: &Yaml) -> impl Iterator<Item = (&str, &Yaml)> {
    let mapping = yaml.as_mapping().into_iter().flatten();
    mapping.filter_map(|(key, value)| Some((key.as_str()?, value)))
}

fn list(yaml: &Yaml) -> Vec<&str> {
    match yaml.as_str() {
        Some(one) => vec![one],
        None => yaml
            .as_sequence()
            .into_iter()
            .flatten()
            .filter_map(Yaml::as_str)
            .collect(),
    }
}

fn scalar(yaml: &Yaml) -> Option<String> {
    match yaml {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Number(number) => Some(number.to_string()),
        Yaml::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

pub(super) fn text_of(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// SAM's globals: maps are merged, everything else is replaced.
//= https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html
fn merge(base: &mut Json, over: Json) {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Json::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}
