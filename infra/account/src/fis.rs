//! The simulated AWS Fault Injection Service: templates, experiments, the safety lever, stop conditions.
//!
//! Separate because it is the only service that breaks things on purpose: it decides when and whom, EC2 how. This file
//! holds the state and the controls from outside; the API is in `operations`, an experiment's life in `lifecycle`.
//!
//! Request rates are not limited: AWS publishes no figures for FIS. Permissions of the experiment role are checked when
//! that is asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::api::{ACCOUNT, ALPHANUMERIC, ApiError, Ctx, REGION, Time};
use crate::ec2::Ec2;

mod action;
mod experiment;
mod lifecycle;
mod operations;
mod target;
mod template;

pub use experiment::{ActionRun, ActionStatus, Experiment, ExperimentState, Failure, Status};
pub use target::instance_arn;
pub use target::{Filter, Target};
pub use template::{Action, Definition, Options, StopCondition, Template};

//= https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html
const TEMPLATES_MAX: usize = 500;
//= https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html
const ACTIVE_EXPERIMENTS_MAX: usize = 5;

/// The whole service.
#[derive(Debug, Default)]
pub struct Fis {
    templates: BTreeMap<String, Template>,
    /// In the order of their start, which is the order in which they advance.
    experiments: Vec<Experiment>,
    /// What was asked for with a client token, and the id that it was answered with.
    template_tokens: BTreeMap<String, (Value, String)>,
    experiment_tokens: BTreeMap<String, (Value, String)>,
    controls: Controls,
    /// What each role allows, by its ARN, if that is asked.
    roles: Option<BTreeMap<String, Vec<Value>>>,
    /// The failure that awaits the next experiment.
    fail_next: Option<Failure>,
    /// The alarm that goes on as the next experiment begins.
    alarm_next: Option<String>,
    /// An instance that the next experiment resolves besides those that it names.
    resolve_also: Option<String>,
    /// Entries of a listing's page at most, whatever is asked for.
    page: Option<usize>,
    /// The latest time that came in: what was changed from outside, without a time, is due at once.
    seen: Time,
}

/// What can halt experiments from outside.
#[derive(Debug, Default)]
struct Controls {
    lever_engaged: bool,
    lever_reason: String,
    alarms: BTreeSet<String>,
    deleted_alarms: BTreeSet<String>,
}

/// Why an experiment is to be halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Halt {
    SafetyLever,
    StopCondition,
}

impl Controls {
    //= https://docs.aws.amazon.com/fis/latest/userguide/safety-lever.html
    //= https://docs.aws.amazon.com/fis/latest/userguide/stop-conditions.html
    fn halts(&self, experiment: &Experiment) -> Option<Halt> {
        if !experiment.state.status.is_active() || experiment.state.status == Status::Stopping {
            return None;
        }
        if self.lever_engaged {
            return Some(Halt::SafetyLever);
        }
        let in_alarm = |arn: &String| self.alarms.contains(arn);
        experiment
            .definition
            .alarms()
            .any(in_alarm)
            .then_some(Halt::StopCondition)
    }
}

impl Fis {
    /// A service without templates, its safety lever disengaged.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lists so many entries a page at most, whatever is asked for. `0`: as many as are asked for, after a first page without
    /// any. That `maxResults` is a maximum is all that AWS's pages say.
    //= https://docs.aws.amazon.com/fis/latest/APIReference/API_ListExperiments.html
    pub fn set_page(&mut self, entries: usize) {
        self.page = Some(entries);
    }

    /// Engages or disengages the safety lever from outside the API.
    pub fn set_safety_lever(&mut self, engaged: bool, reason: &str) {
        self.controls.lever_engaged = engaged;
        self.controls.lever_reason = reason.to_owned();
    }

    /// Puts a CloudWatch alarm into the state ALARM, or out of it.
    pub fn set_alarm(&mut self, arn: &str, in_alarm: bool) {
        if in_alarm {
            self.controls.alarms.insert(arn.to_owned());
        } else {
            self.controls.alarms.remove(arn);
        }
    }

    /// Every alarm that a template names as its stop condition, or that somebody put into a state, by its ARN; and whether
    /// it is on.
    pub fn alarms(&self) -> BTreeMap<String, bool> {
        let named = self
            .templates
            .values()
            .flat_map(|template| template.definition.alarms());
        let known = named.chain(&self.controls.alarms);
        let there = known.filter(|arn| !self.controls.deleted_alarms.contains(*arn));
        there
            .map(|arn| (arn.clone(), self.controls.alarms.contains(arn)))
            .collect()
    }

    /// Deletes an alarm; templates go on naming it.
    pub fn delete_alarm(&mut self, arn: &str) {
        self.controls.alarms.remove(arn);
        self.controls.deleted_alarms.insert(arn.to_owned());
    }

    /// Puts an alarm into the state ALARM when the next experiment has started, before it acts.
    pub fn alarm_with_next(&mut self, arn: &str) {
        self.alarm_next = Some(arn.to_owned());
    }

    /// Makes the next experiment that starts fail, before it does anything: an error code of FIS's, and a reason.
    pub fn fail_next(&mut self, error_code: &str, reason: &str) {
        self.fail_next = Some(Failure::new(error_code, reason, "experiment"));
    }

    /// Makes the next experiment that starts resolve one instance too many: FIS never does, and nobody should rely on it.
    pub fn resolve_also(&mut self, instance_id: &str) {
        self.resolve_also = Some(instance_id.to_owned());
    }

    //= https://docs.aws.amazon.com/fis/latest/userguide/getting-started-iam-service-role.html
    /// From now on an experiment does what its role allows, and no more: the statements of roles by their ARNs. Without
    /// this it does what it is asked for, so that a guard that is missing elsewhere shows.
    pub fn ask_roles(&mut self, roles: BTreeMap<String, Vec<Value>>) {
        self.roles = Some(roles);
    }

    //= https://docs.aws.amazon.com/fis/latest/APIReference/API_CreateExperimentTemplate.html
    /// Creates a template from the body of CreateExperimentTemplate and returns its id.
    ///
    /// How long AWS remembers a client token is not published: here until the template is deleted.
    pub fn create_template(&mut self, ctx: &mut Ctx, input: &Value) -> Result<String, ApiError> {
        self.seen = self.seen.max(ctx.now);
        let (token, parameters) = split_token(ctx, input)?;
        if let Some(id) = remembered(&self.template_tokens, &token, &parameters)? {
            return Ok(id);
        }
        let definition = Definition::parse(input)?;
        if self.templates.len() >= TEMPLATES_MAX {
            return Err(quota(format!(
                "You have reached the quota of {TEMPLATES_MAX} experiment templates."
            )));
        }
        let id = ctx.id("EXT", ALPHANUMERIC, 13);
        ctx.transition(
            "fis",
            &id,
            "template created",
            json!({"description": definition.description}),
        );
        self.template_tokens.insert(token, (parameters, id.clone()));
        self.templates.insert(
            id.clone(),
            Template {
                id: id.clone(),
                created_at: ctx.now,
                updated_at: ctx.now,
                definition,
            },
        );
        Ok(id)
    }

    //= https://docs.aws.amazon.com/fis/latest/APIReference/API_StartExperiment.html
    /// Starts an experiment and returns its position. The same token with other parameters is a conflict; the safety
    /// lever does not refuse the call, but cancels the experiment.
    fn start(&mut self, ctx: &mut Ctx, input: &Value) -> Result<usize, ApiError> {
        let (token, parameters) = split_token(ctx, input)?;
        if let Some(id) = remembered(&self.experiment_tokens, &token, &parameters)? {
            return self.position(&id);
        }
        let template_id = input["experimentTemplateId"].as_str().unwrap_or_default();
        let template = self.template(template_id)?;
        let skip_all = match input["experimentOptions"]["actionsMode"].as_str() {
            None | Some("run-all") => false,
            Some("skip-all") => true,
            Some(other) => {
                return Err(validation(format!(
                    "actionsMode '{other}' is neither run-all nor skip-all."
                )));
            }
        };
        let tags = template::tags(&input["tags"])?;
        if self.experiments.iter().filter(|it| it.state.status.is_active()).count() >= ACTIVE_EXPERIMENTS_MAX {
            return Err(quota(format!(
                "You have reached the quota of {ACTIVE_EXPERIMENTS_MAX} active experiments."
            )));
        }
        let definition = template.definition.clone();
        let id = ctx.id("EXP", ALPHANUMERIC, 15);
        self.experiment_tokens.insert(token.clone(), (parameters, id.clone()));
        let failure = self.fail_next.take();
        let allowed = self.roles.as_ref().map(|roles| {
            let statements = roles.get(&definition.role_arn);
            statements.cloned().unwrap_or_default()
        });
        let mut experiment = Experiment::new(
            ctx,
            id,
            template_id.to_owned(),
            token,
            tags,
            skip_all,
            definition,
            failure,
        );
        experiment.stray = self.resolve_also.take();
        self.controls.alarms.extend(self.alarm_next.take());
        experiment.allowed = allowed;
        experiment.initiate(ctx);
        self.experiments.push(experiment);
        Ok(self.experiments.len() - 1)
    }

    /// When the next transition is due.
    pub fn due(&self) -> Option<Time> {
        if self.experiments.iter().any(|it| self.controls.halts(it).is_some()) {
            return Some(self.seen);
        }
        self.experiments.iter().filter_map(|it| it.next_at).min()
    }

    /// Does every transition that is due.
    pub fn advance(&mut self, ctx: &mut Ctx, ec2: &mut Ec2) {
        self.seen = self.seen.max(ctx.now);
        for experiment in &mut self.experiments {
            if let Some(halt) = self.controls.halts(experiment) {
                experiment.halt(ctx, halt);
            }
            experiment.advance(ctx, ec2);
        }
    }

    /// All experiments that ever were, in the order of their start: the ground truth.
    pub fn experiments(&self) -> impl Iterator<Item = &Experiment> {
        self.experiments.iter()
    }

    /// All templates that exist, by id.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.templates.values()
    }

    fn template(&self, id: &str) -> Result<&Template, ApiError> {
        self.templates
            .get(id)
            .ok_or_else(|| not_found(format!("Experiment template {id} does not exist.")))
    }

    fn position(&self, id: &str) -> Result<usize, ApiError> {
        let found = self.experiments.iter().position(|it| it.id == id);
        found.ok_or_else(|| not_found(format!("Experiment {id} does not exist.")))
    }

    fn experiment(&self, id: &str) -> Result<&Experiment, ApiError> {
        self.position(id).map(|position| &self.experiments[position])
    }
}

/// The client token, made up when there is none (the SDKs always send one), and the other parameters.
fn split_token(ctx: &mut Ctx, input: &Value) -> Result<(String, Value), ApiError> {
    let mut parameters = input.clone();
    let token = match parameters.as_object_mut().and_then(|it| it.remove("clientToken")) {
        None | Some(Value::Null) => ctx.id("", ALPHANUMERIC, 32),
        Some(Value::String(token)) if (1..=1024).contains(&token.len()) && !token.contains(char::is_whitespace) => {
            token
        }
        Some(_) => {
            return Err(validation(
                "clientToken must have 1 to 1024 characters, none of them a space.".to_owned(),
            ));
        }
    };
    Ok((token, parameters))
}

/// What a token was answered with before.
fn remembered(
    tokens: &BTreeMap<String, (Value, String)>,
    token: &str,
    parameters: &Value,
) -> Result<Option<String>, ApiError> {
    match tokens.get(token) {
        None => Ok(None),
        Some((before, id)) if before == parameters => Ok(Some(id.clone())),
        Some(_) => {
            let message = format!("The client token {token} was used before, with other parameters.");
            Err(ApiError::with_status(409, "ConflictException", message))
        }
    }
}

fn arn(resource: &str) -> String {
    format!("arn:aws:fis:{REGION}:{ACCOUNT}:{resource}")
}

fn validation(message: String) -> ApiError {
    ApiError::client("ValidationException", message)
}

fn not_found(message: String) -> ApiError {
    ApiError::with_status(404, "ResourceNotFoundException", message)
}

fn quota(message: String) -> ApiError {
    ApiError::with_status(402, "ServiceQuotaExceededException", message)
}

#[cfg(test)]
mod tests;
