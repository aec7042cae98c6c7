//! An experiment template: what an experiment is to do, checked when it is created.
//!
//! Separate because everything that FIS refuses before an experiment exists is refused here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{ApiError, Time};
use crate::fis::action::{self, Kind};
use crate::fis::target::{self, Target};
use crate::fis::{arn, quota, validation};

//= https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html
const ACTIONS_MAX: usize = 20;
//= https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html
const STOP_CONDITIONS_MAX: usize = 5;
//= https://docs.aws.amazon.com/fis/latest/APIReference/API_TagResource.html
const TAGS_MAX: usize = 50;

/// A template as it exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// `EXT` and 13 letters and digits.
    pub id: String,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed; when it was made, if it never was.
    pub updated_at: Time,
    /// What it was created with.
    pub definition: Definition,
}

//= https://docs.aws.amazon.com/fis/latest/userguide/experiment-templates.html
/// The body of CreateExperimentTemplate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// For people.
    pub description: String,
    /// Whom the actions may hit, by the target's name.
    #[serde(default)]
    pub targets: BTreeMap<String, Target>,
    /// What is done, by the action's name.
    pub actions: BTreeMap<String, Action>,
    /// What stops an experiment.
    pub stop_conditions: Vec<StopCondition>,
    /// The role that FIS acts as.
    pub role_arn: String,
    /// The template's tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// What happens when a target resolves to nothing.
    #[serde(default)]
    pub experiment_options: Options,
    /// Kept and shown, without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_configuration: Option<Value>,
    /// Kept and shown, without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_report_configuration: Option<Value>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// FIS's name of what is done.
    pub action_id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How it is done.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// To whom: the action's word for its targets, and the name of a target.
    #[serde(default)]
    pub targets: BTreeMap<String, String>,
    /// The actions that must be done before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start_after: Vec<String>,
}

/// What stops an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopCondition {
    /// `none`, or `aws:cloudwatch:alarm`.
    pub source: String,
    /// The alarm's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

//= https://docs.aws.amazon.com/fis/latest/userguide/experiment-options.html
/// A template's options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// Whether other accounts are targeted, which is not simulated.
    pub account_targeting: String,
    /// `fail` or `skip`.
    pub empty_target_resolution_mode: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            account_targeting: "single-account".to_owned(),
            empty_target_resolution_mode: "fail".to_owned(),
        }
    }
}

impl Definition {
    /// Reads and checks the body of a request.
    pub(super) fn parse(input: &Value) -> Result<Self, ApiError> {
        let definition: Self = serde_json::from_value(input.clone())
            .map_err(|error| validation(format!("1 validation error detected: {error}")))?;
        definition.check()?;
        Ok(definition)
    }

    /// The ARNs of the alarms that stop an experiment.
    pub(super) fn alarms(&self) -> impl Iterator<Item = &String> {
        self.stop_conditions.iter().filter_map(|it| it.value.as_ref())
    }

    /// Whether an action is skipped when its target resolves to nothing.
    pub(super) fn skips_empty_targets(&self) -> bool {
        self.experiment_options.empty_target_resolution_mode == "skip"
    }

    fn check(&self) -> Result<(), ApiError> {
        if self.description.is_empty() || self.description.chars().count() > 512 {
            return Err(validation("description must have 1 to 512 characters.".to_owned()));
        }
        if !(self.role_arn.starts_with("arn:aws:iam::") && self.role_arn.contains(":role/")) {
            return Err(validation(format!(
                "roleArn '{}' is not the ARN of a role.",
                self.role_arn
            )));
        }
        check_tags(&self.tags)?;
        match self.experiment_options.empty_target_resolution_mode.as_str() {
            "fail" | "skip" => {}
            other => {
                return Err(validation(format!(
                    "emptyTargetResolutionMode '{other}' is neither fail nor skip."
                )));
            }
        }
        match self.experiment_options.account_targeting.as_str() {
            "single-account" => {}
            "multi-account" => return Err(ApiError::not_implemented("FIS", "multi-account targeting")),
            other => return Err(validation(format!("accountTargeting '{other}' is not known."))),
        }
        self.check_stop_conditions()?;
        for (name, target) in &self.targets {
            check_name("target", name)?;
            target::check(name, target)?;
        }
        self.check_actions()
    }

    //= https://docs.aws.amazon.com/fis/latest/userguide/stop-conditions.html
    fn check_stop_conditions(&self) -> Result<(), ApiError> {
        if self.stop_conditions.is_empty() {
            return Err(validation(
                "stopConditions must have at least one member; its source may be none.".to_owned(),
            ));
        }
        if self.stop_conditions.len() > STOP_CONDITIONS_MAX {
            return Err(quota(format!(
                "A template has at most {STOP_CONDITIONS_MAX} stop conditions."
            )));
        }
        for condition in &self.stop_conditions {
            match (condition.source.as_str(), condition.value.as_deref()) {
                ("none", None) => {}
                ("aws:cloudwatch:alarm", Some(value)) if value.starts_with("arn:aws:cloudwatch:") => {}
                ("aws:cloudwatch:alarm", _) => {
                    return Err(validation(
                        "A stop condition of an alarm needs the alarm's ARN as value.".to_owned(),
                    ));
                }
                (other, _) => return Err(validation(format!("The stop condition source '{other}' is not valid."))),
            }
        }
        Ok(())
    }

    //= https://docs.aws.amazon.com/fis/latest/userguide/action-sequence.html
    fn check_actions(&self) -> Result<(), ApiError> {
        if self.actions.is_empty() {
            return Err(validation("actions must have at least one member.".to_owned()));
        }
        if self.actions.len() > ACTIONS_MAX {
            return Err(quota(format!("A template has at most {ACTIONS_MAX} actions.")));
        }
        for (name, action) in &self.actions {
            check_name("action", name)?;
            let kind = Kind::of(&action.action_id)?;
            action::check_parameters(kind, name, &action.parameters)?;
            let wanted: Vec<&str> = kind.target_key().into_iter().collect();
            let given: Vec<&str> = action.targets.keys().map(String::as_str).collect();
            if wanted != given {
                let message = format!("The action {name} needs the targets {wanted:?} and has {given:?}.");
                return Err(validation(message));
            }
            if let Some(unknown) = action.targets.values().find(|it| !self.targets.contains_key(*it)) {
                return Err(validation(format!(
                    "The action {name} names the target {unknown}, which is not defined."
                )));
            }
            if let Some(unknown) = action.start_after.iter().find(|it| !self.actions.contains_key(*it)) {
                return Err(validation(format!(
                    "The action {name} starts after {unknown}, which is not defined."
                )));
            }
        }
        self.check_order()
    }

    /// Every action must have its turn: none may wait for itself, over however many others.
    fn check_order(&self) -> Result<(), ApiError> {
        let mut done: Vec<&String> = Vec::new();
        for _ in 0..self.actions.len() {
            for (name, action) in &self.actions {
                if !done.contains(&name) && action.start_after.iter().all(|it| done.contains(&it)) {
                    done.push(name);
                }
            }
        }
        match self.actions.keys().find(|it| !done.contains(it)) {
            Some(name) => Err(validation(format!("The action {name} waits for itself."))),
            None => Ok(()),
        }
    }
}

impl Template {
    /// The template as GetExperimentTemplate shows it.
    pub(super) fn show(&self) -> Value {
        let mut shown = serde_json::to_value(&self.definition).expect("a definition came from JSON");
        shown["id"] = self.id.clone().into();
        shown["arn"] = self.arn().into();
        shown["creationTime"] = epoch_seconds(self.created_at);
        shown["lastUpdateTime"] = epoch_seconds(self.updated_at);
        shown["targetAccountConfigurationsCount"] = 0.into();
        shown
    }

    /// The template as an item of ListExperimentTemplates.
    pub(super) fn summary(&self) -> Value {
        json!({
            "id": self.id, "arn": self.arn(), "description": self.definition.description,
            "creationTime": epoch_seconds(self.created_at), "lastUpdateTime": epoch_seconds(self.updated_at),
            "tags": self.definition.tags,
        })
    }

    fn arn(&self) -> String {
        arn(&format!("experiment-template/{}", self.id))
    }
}

/// FIS's form of a time: a JSON number of seconds, milliseconds behind the point.
pub(super) fn epoch_seconds(time: Time) -> Value {
    json!(time.timestamp_millis() as f64 / 1000.0)
}

/// A request's map of tags, checked.
pub(super) fn tags(value: &Value) -> Result<BTreeMap<String, String>, ApiError> {
    if value.is_null() {
        return Ok(BTreeMap::new());
    }
    let tags = BTreeMap::deserialize(value).map_err(|error| validation(format!("tags: {error}")))?;
    check_tags(&tags)?;
    Ok(tags)
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.len() > TAGS_MAX {
        return Err(validation(format!("A resource has at most {TAGS_MAX} tags.")));
    }
    match tags
        .iter()
        .find(|(key, value)| key.is_empty() || key.len() > 128 || key.starts_with("aws:") || value.len() > 256)
    {
        Some((key, _)) => Err(validation(format!("The tag '{key}' is not valid."))),
        None => Ok(()),
    }
}

fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    if name.is_empty() || name.len() > 64 || name.contains(char::is_whitespace) {
        return Err(validation(format!(
            "The name of the {what} '{name}' must have 1 to 64 characters, no space."
        )));
    }
    Ok(())
}
