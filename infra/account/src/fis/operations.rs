//! FIS's API: the operations that clients call.
//!
//! Separate because what a client may ask, and how FIS refuses, is a different matter from what experiments do.

use serde_json::{Value, json};

use crate::api::{ApiError, Ctx};
use crate::ec2::Ec2;
use crate::fis::action::{KINDS, Kind};
use crate::fis::experiment::{Experiment, Status};
use crate::fis::template::Definition;
use crate::fis::{Controls, Fis, arn, not_found, template, validation};

/// The parts of a template that UpdateExperimentTemplate replaces; of its options it takes one.
const UPDATED: [&str; 7] = [
    "description",
    "stopConditions",
    "targets",
    "actions",
    "roleArn",
    "logConfiguration",
    "experimentReportConfiguration",
];

impl Fis {
    /// Does one API call. The input is the body and the parameters of path and query by their member names; the answer
    /// is the body.
    pub fn call(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, operation: &str, input: &Value) -> Result<Value, ApiError> {
        self.seen = self.seen.max(ctx.now);
        // What is due has happened before anybody asks.
        self.advance(ctx, ec2);
        let id = input["id"].as_str().unwrap_or_default();
        match operation {
            "CreateExperimentTemplate" => {
                let id = self.create_template(ctx, input)?;
                Ok(json!({"experimentTemplate": self.template(&id)?.show()}))
            }
            "GetExperimentTemplate" => Ok(json!({"experimentTemplate": self.template(id)?.show()})),
            "UpdateExperimentTemplate" => self.update_template(ctx, id, input),
            "DeleteExperimentTemplate" => self.delete_template(ctx, id),
            "ListExperimentTemplates" => {
                let items = self.templates.values().map(|it| (it.id.clone(), it.summary()));
                list("experimentTemplates", items.collect(), input, self.page)
            }
            "StartExperiment" => {
                let position = self.start(ctx, input)?;
                Ok(json!({"experiment": self.experiments[position].show()}))
            }
            "GetExperiment" => Ok(json!({"experiment": self.experiment(id)?.show()})),
            "StopExperiment" => self.stop_experiment(ctx, id),
            "ListExperiments" => self.list_experiments(input),
            "ListExperimentResolvedTargets" => self.list_resolved_targets(input),
            "GetSafetyLever" => self.show_safety_lever(id),
            "UpdateSafetyLeverState" => self.update_safety_lever(ctx, ec2, id, &input["state"]),
            "GetAction" => {
                let found = Kind::of(id).map_err(|_| not_found(format!("Action {id} does not exist.")))?;
                Ok(json!({"action": found.show()}))
            }
            "ListActions" => list(
                "actions",
                KINDS.map(|it| (it.id().to_owned(), it.summary())).to_vec(),
                input,
                self.page,
            ),
            "TagResource" => self.tag(input),
            "UntagResource" => self.untag(input),
            "ListTagsForResource" => Ok(json!({"tags": self.tags_of(input)?})),
            _ => Err(ApiError::not_implemented("FIS", operation)),
        }
    }

    //= https://docs.aws.amazon.com/fis/latest/APIReference/API_UpdateExperimentTemplate.html
    /// What the request names takes the place of what the template had. Tags are for other calls; experiments that were
    /// started from it go on as they were.
    fn update_template(&mut self, ctx: &mut Ctx, id: &str, input: &Value) -> Result<Value, ApiError> {
        let mut definition = json!(self.template(id)?.definition);
        for part in UPDATED.into_iter().filter(|part| !input[*part].is_null()) {
            definition[part] = input[part].clone();
        }
        let mode = &input["experimentOptions"]["emptyTargetResolutionMode"];
        if !mode.is_null() {
            definition["experimentOptions"]["emptyTargetResolutionMode"] = mode.clone();
        }
        let definition = Definition::parse(&definition)?;
        let template = self
            .templates
            .get_mut(id)
            .ok_or_else(|| not_found(format!("{id} is gone")))?;
        template.definition = definition;
        template.updated_at = ctx.now;
        let shown = template.show();
        ctx.transition("fis", id, "template updated", Value::Null);
        Ok(json!({"experimentTemplate": shown}))
    }

    //= https://docs.aws.amazon.com/fis/latest/APIReference/API_DeleteExperimentTemplate.html
    /// Experiments that were started from it go on.
    fn delete_template(&mut self, ctx: &mut Ctx, id: &str) -> Result<Value, ApiError> {
        let shown = self.template(id)?.show();
        self.templates.remove(id);
        self.template_tokens.retain(|_, (_, of)| of != id);
        ctx.transition("fis", id, "template deleted", Value::Null);
        Ok(json!({"experimentTemplate": shown}))
    }

    //= https://docs.aws.amazon.com/fis/latest/APIReference/API_StopExperiment.html
    /// Stopping what stops already is no error; for what has ended a ValidationException is assumed.
    fn stop_experiment(&mut self, ctx: &mut Ctx, id: &str) -> Result<Value, ApiError> {
        let position = self.position(id)?;
        let experiment: &mut Experiment = &mut self.experiments[position];
        let status = experiment.state.status;
        if !status.is_active() {
            return Err(validation(format!(
                "Experiment {id} is {} and cannot be stopped.",
                status.name()
            )));
        }
        if status != Status::Stopping {
            experiment.stop(ctx, "Experiment stopped by user.");
        }
        Ok(json!({"experiment": experiment.show()}))
    }

    fn list_experiments(&self, input: &Value) -> Result<Value, ApiError> {
        let wanted = input["experimentTemplateId"].as_str();
        let found = self
            .experiments
            .iter()
            .filter(|it| wanted.is_none_or(|id| it.template_id == id));
        list(
            "experiments",
            found.map(|it| (it.id.clone(), it.summary())).collect(),
            input,
            self.page,
        )
    }

    fn list_resolved_targets(&self, input: &Value) -> Result<Value, ApiError> {
        let experiment = self.experiment(input["experimentId"].as_str().unwrap_or_default())?;
        let wanted = input["targetName"].as_str();
        let found = experiment
            .resolved_targets()
            .filter(|(_, it)| wanted.is_none_or(|name| it["targetName"] == name));
        list("resolvedTargets", found.collect(), input, self.page)
    }

    //= https://docs.aws.amazon.com/fis/latest/APIReference/API_GetSafetyLever.html
    fn show_safety_lever(&self, id: &str) -> Result<Value, ApiError> {
        if id != "default" {
            return Err(not_found(format!("Safety lever {id} does not exist.")));
        }
        let Controls {
            lever_engaged,
            lever_reason,
            ..
        } = &self.controls;
        let still_running = self.experiments.iter().any(|it| it.state.status == Status::Stopping);
        let status = match (lever_engaged, still_running) {
            (true, true) => "engaging",
            (true, false) => "engaged",
            (false, _) => "disengaged",
        };
        let state = json!({"status": status, "reason": lever_reason});
        Ok(json!({"safetyLever": {"id": "default", "arn": arn("safety-lever/default"), "state": state}}))
    }

    //= https://docs.aws.amazon.com/fis/latest/APIReference/API_UpdateSafetyLeverState.html
    fn update_safety_lever(
        &mut self,
        ctx: &mut Ctx,
        ec2: &mut Ec2,
        id: &str,
        state: &Value,
    ) -> Result<Value, ApiError> {
        self.show_safety_lever(id)?;
        let engaged = match state["status"].as_str() {
            Some("engaged") => true,
            Some("disengaged") => false,
            _ => {
                return Err(validation(
                    "The state of a safety lever is engaged or disengaged.".to_owned(),
                ));
            }
        };
        let Some(reason) = state["reason"].as_str() else {
            return Err(validation("The state of a safety lever needs a reason.".to_owned()));
        };
        self.set_safety_lever(engaged, reason);
        let word = if engaged { "engaged" } else { "disengaged" };
        ctx.transition("fis", id, format!("safety lever {word}"), json!({"reason": reason}));
        self.advance(ctx, ec2);
        self.show_safety_lever(id)
    }

    fn tag(&mut self, input: &Value) -> Result<Value, ApiError> {
        let mut tags = self.tags_of(input)?.clone();
        tags.extend(template::tags(&input["tags"])?);
        *self.tags_of(input)? = template::tags(&json!(tags))?;
        Ok(json!({}))
    }

    /// Without keys all tags go.
    fn untag(&mut self, input: &Value) -> Result<Value, ApiError> {
        let tags = self.tags_of(input)?;
        match &input["tagKeys"] {
            Value::Null => tags.clear(),
            Value::String(key) => {
                tags.remove(key);
            }
            keys => tags.retain(|key, _| !keys.as_array().is_some_and(|it| it.contains(&json!(key)))),
        }
        Ok(json!({}))
    }

    /// The tags of the resource that the request names by its ARN.
    fn tags_of(&mut self, input: &Value) -> Result<&mut std::collections::BTreeMap<String, String>, ApiError> {
        let wanted = input["resourceArn"].as_str().unwrap_or_default();
        let unknown = || not_found(format!("Resource {wanted} does not exist."));
        if let Some(id) = wanted.strip_prefix(&arn("experiment-template/")) {
            return self
                .templates
                .get_mut(id)
                .map(|it| &mut it.definition.tags)
                .ok_or_else(unknown);
        }
        let id = wanted.strip_prefix(&arn("experiment/")).ok_or_else(unknown)?;
        self.experiments
            .iter_mut()
            .find(|it| it.id == id)
            .map(|it| &mut it.tags)
            .ok_or_else(unknown)
    }
}

/// One page of a list, in the order of the items' keys, of so many at most. A token names the last key shown.
fn list(
    name: &str,
    mut items: Vec<(String, Value)>,
    input: &Value,
    entries_max: Option<usize>,
) -> Result<Value, ApiError> {
    items.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(token) = input["nextToken"].as_str() {
        let shown = token
            .strip_prefix("after:")
            .ok_or_else(|| validation("The nextToken is not valid.".to_owned()))?;
        items.retain(|(key, _)| key.as_str() > shown);
    }
    let size = match &input["maxResults"] {
        Value::Null => 100,
        given => given
            .as_u64()
            .or_else(|| given.as_str()?.parse().ok())
            .and_then(|it| usize::try_from(it).ok())
            .filter(|it| (1..=100).contains(it))
            .ok_or_else(|| validation(format!("maxResults must be between 1 and 100, and is {given}.")))?,
    };
    let size = match entries_max {
        Some(0) if input["nextToken"].is_null() => return Ok(json!({name: [], "nextToken": "after:"})),
        Some(entries @ 1..) => size.min(entries),
        _ => size,
    };
    let next = (items.len() > size).then(|| format!("after:{}", items[size - 1].0));
    items.truncate(size);
    let mut answer = json!({name: items.into_iter().map(|(_, item)| item).collect::<Vec<_>>()});
    if let Some(token) = next {
        answer["nextToken"] = token.into();
    }
    Ok(answer)
}
