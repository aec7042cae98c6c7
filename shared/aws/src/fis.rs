//! Calls to FIS: the stack's template is read as the policy, and each experiment gets a throw-away copy of it.

mod experiment;
mod recall;
mod template;

use aws_sdk_fis::types::{
    AccountTargeting, ActionsMode, CreateExperimentTemplateActionInput, CreateExperimentTemplateExperimentOptionsInput,
    CreateExperimentTemplateLogConfigurationInput, CreateExperimentTemplateStopConditionInput,
    CreateExperimentTemplateTargetInput, EmptyTargetResolutionMode,
    ExperimentTemplateCloudWatchLogsLogConfigurationInput, ExperimentTemplateS3LogConfigurationInput,
    SafetyLeverStatus, StartExperimentExperimentOptionsInput,
};
use chrono::{DateTime, Utc};
use rules::drill::Wave;
use rules::victim::INSTANCES_PER_ACTION;

use super::{Aws, required, time};
use crate::error::Error;

pub use experiment::ExperimentState;
pub use template::ExperimentTemplate;

/// The one action that a drill takes.
/// <https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html#send-spot-instance-interruptions>
pub const ACTION: &str = "aws:ec2:send-spot-instance-interruptions";
/// The resource type that it targets.
pub const RESOURCE_TYPE: &str = "aws:ec2:spot-instance";
/// The name by which the action calls its targets.
const ACTION_TARGET: &str = "SpotInstances";

/// Tags that tell whose a throw-away template or an experiment is.
pub const TAG_CLUSTER: &str = "spot-drill:cluster";
/// The step.
pub const TAG_STEP: &str = "spot-drill:step";
/// The wave.
pub const TAG_WAVE: &str = "spot-drill:wave";

/// Pages read of one listing at most; an account holds 500 templates.
const PAGES_MAX: usize = 50;

/// What a throw-away template is made for.
#[derive(Debug, Clone, Copy)]
pub struct ThrowAway<'a> {
    /// `j-…`
    pub cluster_id: &'a str,
    /// `s-…`
    pub step_id: &'a str,
    /// 1 for the first.
    pub wave: u32,
    /// The client token, of the template as of the experiment.
    pub token: &'a str,
}

/// The account's safety lever: engaged, it stops every experiment and lets none start.
/// <https://docs.aws.amazon.com/fis/latest/userguide/safety-lever.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lever {
    /// Experiments may run.
    Disengaged,
    /// None may, for this reason.
    Engaged(String),
}

impl Aws {
    /// The stack's template; `None` when there is none of this id.
    pub async fn experiment_template(&self, id: &str) -> Result<Option<ExperimentTemplate>, Error> {
        let answer = self.fis.get_experiment_template().id(id).send().await;
        match answer.map_err(|error| Error::aws("reading the experiment template", error)) {
            Ok(answer) => template::read(required(answer.experiment_template, "experimentTemplate")?).map(Some),
            Err(error) if error.is_code("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Is the account's safety lever engaged?
    pub async fn safety_lever(&self) -> Result<Lever, Error> {
        let answer = self
            .fis
            .get_safety_lever()
            .id("default")
            .send()
            .await
            .map_err(|error| Error::aws("reading the safety lever", error))?;
        let state = required(
            answer.safety_lever.and_then(|lever| lever.state),
            "state of the safety lever",
        )?;
        match state.status {
            Some(SafetyLeverStatus::Disengaged) => Ok(Lever::Disengaged),
            _ => Ok(Lever::Engaged(state.reason.unwrap_or_default())),
        }
    }

    /// Makes a copy of the template whose targets are exactly these instances. The same token and the same instances
    /// give the same copy.
    pub async fn create_throw_away(
        &self,
        policy: &ExperimentTemplate,
        arns: &[String],
        whose: ThrowAway<'_>,
    ) -> Result<String, Error> {
        let mut request = self
            .fis
            .create_experiment_template()
            .client_token(whose.token)
            .description(format!(
                "Drill of step {} on {}, wave {}",
                whose.step_id, whose.cluster_id, whose.wave
            ))
            .role_arn(&policy.role_arn)
            .tags(TAG_CLUSTER, whose.cluster_id)
            .tags(TAG_STEP, whose.step_id)
            .tags(TAG_WAVE, whose.wave.to_string())
            .experiment_options(
                CreateExperimentTemplateExperimentOptionsInput::builder()
                    .account_targeting(AccountTargeting::SingleAccount)
                    .empty_target_resolution_mode(EmptyTargetResolutionMode::Fail)
                    .build(),
            );
        for (source, value) in &policy.stop_conditions {
            let condition = CreateExperimentTemplateStopConditionInput::builder()
                .source(source)
                .set_value(value.clone())
                .build();
            request = request.stop_conditions(condition.map_err(|error| Error::Answer(error.to_string()))?);
        }
        if let Some(configuration) = log_configuration(policy) {
            request = request.log_configuration(configuration.map_err(|error| Error::Answer(error.to_string()))?);
        }
        for (number, chunk) in arns.chunks(INSTANCES_PER_ACTION).enumerate() {
            let (target, action) =
                target_and_action(policy, number + 1, chunk).map_err(|error| Error::Answer(error.to_string()))?;
            request = request
                .targets(format!("Victims{}", number + 1), target)
                .actions(format!("interrupt{}", number + 1), action);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| Error::aws("making the throw-away experiment template", error))?;
        required(
            answer.experiment_template.and_then(|template| template.id),
            "id of the experiment template",
        )
    }

    /// Starts the experiment. The same token gives the same experiment.
    pub async fn start_experiment(
        &self,
        template_id: &str,
        preview: bool,
        whose: ThrowAway<'_>,
    ) -> Result<ExperimentState, Error> {
        let mode = if preview {
            ActionsMode::SkipAll
        } else {
            ActionsMode::RunAll
        };
        let answer = self
            .fis
            .start_experiment()
            .client_token(whose.token)
            .experiment_template_id(template_id)
            .experiment_options(
                StartExperimentExperimentOptionsInput::builder()
                    .actions_mode(mode)
                    .build(),
            )
            .tags(TAG_CLUSTER, whose.cluster_id)
            .tags(TAG_STEP, whose.step_id)
            .tags(TAG_WAVE, whose.wave.to_string())
            .send()
            .await
            .map_err(|error| Error::aws("starting the experiment", error))?;
        experiment::read(required(answer.experiment, "experiment")?)
    }

    /// How far an experiment is; `None` when FIS does not know it (it forgets after 120 days).
    pub async fn experiment(&self, id: &str) -> Result<Option<ExperimentState>, Error> {
        let answer = self.fis.get_experiment().id(id).send().await;
        match answer.map_err(|error| Error::aws("reading the experiment", error)) {
            Ok(answer) => experiment::read(required(answer.experiment, "experiment")?).map(Some),
            Err(error) if error.is_code("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The experiment that was started from a throw-away template, if there is one.
    pub async fn experiment_of_template(&self, template_id: &str) -> Result<Option<String>, Error> {
        let mut pages = self
            .fis
            .list_experiments()
            .experiment_template_id(template_id)
            .into_paginator()
            .send();
        // A page may be empty and not the last.
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws("looking for the experiment", error))?;
            if let Some(id) = page
                .experiments
                .unwrap_or_default()
                .into_iter()
                .find_map(|summary| summary.id)
            {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The ARNs that FIS resolved for an experiment.
    pub async fn resolved_targets(&self, experiment_id: &str) -> Result<Vec<String>, Error> {
        let mut pages = self
            .fis
            .list_experiment_resolved_targets()
            .experiment_id(experiment_id)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws("reading the experiment's targets", error))?;
            for target in page.resolved_targets.unwrap_or_default() {
                found.extend(
                    target
                        .target_information
                        .unwrap_or_default()
                        .into_iter()
                        .filter_map(arn),
                );
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Stops an experiment. One that is over already is not an error.
    pub async fn stop_experiment(&self, id: &str) -> Result<(), Error> {
        match self
            .fis
            .stop_experiment()
            .id(id)
            .send()
            .await
            .map_err(|e| Error::aws("stopping the experiment", e))
        {
            Ok(_) => Ok(()),
            Err(error) if error.is_code("ResourceNotFoundException") || error.is_code("ValidationException") => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes a throw-away template. One that is gone already is not an error: not when FIS says so, and not when the
    /// call is denied, which it may be because what is gone has no tags any more, and the role demands the drill's. What
    /// is there still and may not be deleted is looked at again by the sweep.
    pub async fn delete_throw_away(&self, id: &str) -> Result<(), Error> {
        let answer = self.fis.delete_experiment_template().id(id).send().await;
        match answer.map_err(|error| Error::aws("deleting the throw-away experiment template", error)) {
            Ok(_) => Ok(()),
            Err(error) if error.is_code("ResourceNotFoundException") => Ok(()),
            Err(error) if error.is_code("AccessDeniedException") => {
                tracing::warn!(template_id = id, "gone, or not to be deleted: the call was denied");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes the template of a wave whose experiment is over, once. Where that fails no evidence is lost: the wave keeps it, and
    /// the sweep deletes what is left over.
    pub async fn delete_template_of(&self, wave: &mut Wave) {
        if let Some(template_id) = wave.template_id.take()
            && let Err(error) = self.delete_throw_away(&template_id).await
        {
            tracing::warn!(template_id, "the template stays for now: {}", error.chain());
            wave.template_id = Some(template_id);
        }
    }

    /// The throw-away templates that were made before this time: whatever they were for is long over.
    pub async fn leaked_throw_aways(&self, before: DateTime<Utc>) -> Result<Vec<String>, Error> {
        let mut pages = self.fis.list_experiment_templates().into_paginator().send();
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws("listing the experiment templates", error))?;
            for summary in page.experiment_templates.unwrap_or_default() {
                let is_ours = summary.tags.as_ref().is_some_and(|tags| tags.contains_key(TAG_STEP));
                let is_old = summary
                    .creation_time
                    .as_ref()
                    .and_then(time)
                    .is_some_and(|created| created < before);
                found.extend(summary.id.filter(|_| is_ours && is_old));
            }
        }
        Ok(found)
    }
}

type BuildError = aws_smithy_types::error::operation::BuildError;

fn target_and_action(
    policy: &ExperimentTemplate,
    number: usize,
    arns: &[String],
) -> Result<(CreateExperimentTemplateTargetInput, CreateExperimentTemplateActionInput), BuildError> {
    let target = CreateExperimentTemplateTargetInput::builder()
        .resource_type(RESOURCE_TYPE)
        .set_resource_arns(Some(arns.to_vec()))
        .selection_mode("ALL")
        .build()?;
    let action = CreateExperimentTemplateActionInput::builder()
        .action_id(ACTION)
        .set_parameters(Some(policy.action_parameters.clone().into_iter().collect()))
        .targets(ACTION_TARGET, format!("Victims{number}"))
        .build()?;
    Ok((target, action))
}

fn log_configuration(
    policy: &ExperimentTemplate,
) -> Option<Result<CreateExperimentTemplateLogConfigurationInput, BuildError>> {
    if policy.log_group_arn.is_none() && policy.log_s3.is_none() {
        return None;
    }
    let mut builder =
        CreateExperimentTemplateLogConfigurationInput::builder().log_schema_version(policy.log_schema_version);
    if let Some(arn) = &policy.log_group_arn {
        match ExperimentTemplateCloudWatchLogsLogConfigurationInput::builder()
            .log_group_arn(arn)
            .build()
        {
            Ok(logs) => builder = builder.cloud_watch_logs_configuration(logs),
            Err(error) => return Some(Err(error)),
        }
    }
    if let Some((bucket, prefix)) = &policy.log_s3 {
        let s3 = ExperimentTemplateS3LogConfigurationInput::builder()
            .bucket_name(bucket)
            .set_prefix(prefix.clone());
        match s3.build() {
            Ok(s3) => builder = builder.s3_configuration(s3),
            Err(error) => return Some(Err(error)),
        }
    }
    Some(builder.build())
}

/// A resolved target's information names its ARN under a key that the documentation does not promise.
fn arn((_, value): (String, String)) -> Option<String> {
    value.starts_with("arn:").then_some(value)
}
