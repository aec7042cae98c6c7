//! The stack's experiment template, as FIS answers it: the policy that every drill copies.
//!
//! Separate from the calls because it is what those who decide look at.

use std::collections::BTreeMap;

use super::required;
use crate::error::Error;

/// The stack's template: what to do, to how many, how, and when to stop.
#[derive(Debug, Clone)]
pub struct ExperimentTemplate {
    /// `EXT…`
    pub id: String,
    /// Each action's id.
    pub action_ids: Vec<String>,
    /// The resource type and the selection mode of each target.
    pub targets: Vec<(String, String)>,
    /// Does it name a stop condition other than `none`?
    pub has_stop_condition: bool,
    pub(super) role_arn: String,
    pub(super) action_parameters: BTreeMap<String, String>,
    pub(super) stop_conditions: Vec<(String, Option<String>)>,
    pub(super) log_group_arn: Option<String>,
    pub(super) log_s3: Option<(String, Option<String>)>,
    pub(super) log_schema_version: i32,
}

impl ExperimentTemplate {
    /// The partition of the account's ARNs, by that of the experiments' role: Regions come, and partitions with them.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
    pub fn partition(&self) -> &str {
        self.role_arn.split(':').nth(1).unwrap_or("aws")
    }

    /// The ARNs of the alarms that stop an experiment.
    pub fn alarm_arns(&self) -> Vec<&str> {
        let alarms = self
            .stop_conditions
            .iter()
            .filter(|(source, _)| source == "aws:cloudwatch:alarm");
        alarms.filter_map(|(_, value)| value.as_deref()).collect()
    }
}

/// Reads it.
pub(super) fn read(template: aws_sdk_fis::types::ExperimentTemplate) -> Result<ExperimentTemplate, Error> {
    let actions: BTreeMap<_, _> = template.actions.unwrap_or_default().into_iter().collect();
    let targets: BTreeMap<_, _> = template.targets.unwrap_or_default().into_iter().collect();
    let stop_conditions: Vec<(String, Option<String>)> = template
        .stop_conditions
        .unwrap_or_default()
        .into_iter()
        .filter_map(|condition| Some((condition.source?, condition.value)))
        .collect();
    let logs = template.log_configuration;
    Ok(ExperimentTemplate {
        id: required(template.id, "id of the experiment template")?,
        action_ids: actions
            .values()
            .map(|action| action.action_id.clone().unwrap_or_default())
            .collect(),
        action_parameters: actions
            .values()
            .next()
            .and_then(|action| action.parameters.clone())
            .unwrap_or_default()
            .into_iter()
            .collect(),
        targets: targets
            .into_values()
            .map(|target| {
                (
                    target.resource_type.unwrap_or_default(),
                    target.selection_mode.unwrap_or_default(),
                )
            })
            .collect(),
        has_stop_condition: stop_conditions.iter().any(|(source, _)| source != "none"),
        role_arn: required(template.role_arn, "roleArn of the experiment template")?,
        stop_conditions,
        log_schema_version: logs.as_ref().and_then(|logs| logs.log_schema_version).unwrap_or(2),
        log_group_arn: logs
            .as_ref()
            .and_then(|logs| logs.cloud_watch_logs_configuration.as_ref()?.log_group_arn.clone()),
        log_s3: logs.and_then(|logs| {
            let s3 = logs.s3_configuration?;
            Some((s3.bucket_name?, s3.prefix))
        }),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_fis::types::ExperimentTemplateStopCondition;

    use super::*;

    #[test]
    fn the_partition_is_that_of_the_role_and_alarms_are_the_stop_conditions_that_are_one() {
        let condition = |source: &str, value: Option<&str>| {
            let builder = ExperimentTemplateStopCondition::builder().source(source);
            builder.set_value(value.map(str::to_owned)).build()
        };
        let alarm = "arn:aws-eusc:cloudwatch:eusc-de-east-1:111122223333:alarm:too-many";
        let template = aws_sdk_fis::types::ExperimentTemplate::builder()
            .id("EXT1")
            .role_arn("arn:aws-eusc:iam::111122223333:role/experiments")
            .stop_conditions(condition("aws:cloudwatch:alarm", Some(alarm)))
            .stop_conditions(condition("none", None));
        let template = read(template.build()).unwrap();
        assert_eq!(template.partition(), "aws-eusc");
        assert_eq!(template.alarm_arns(), [alarm]);
    }
}
