//! What FIS says of an experiment: how far it is, and what its actions did to whom.
//!
//! Separate from the calls because whose deed an interruption was is read from here.

use std::collections::BTreeMap;

use aws_sdk_fis::types::{Experiment, ExperimentAction, ExperimentActionStatus};
use chrono::{DateTime, TimeDelta, Utc};
use rules::interruption::Act;

use super::{ACTION, required, time};
use crate::error::Error;

/// How far an experiment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentState {
    /// `EXP…`
    pub id: String,
    /// `pending`, `initiating`, `running`, `completed`, `stopping`, `stopped`, `failed`, `cancelled`.
    pub status: String,
    /// FIS's words.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The ARNs that its targets name.
    pub target_arns: Vec<String>,
    /// What its actions did. An action that never began did nothing; one that was stopped later did what it did.
    pub acts: Vec<Act>,
}

pub(super) fn read(experiment: Experiment) -> Result<ExperimentState, Error> {
    let state = required(experiment.state, "state of the experiment")?;
    let status = required(state.status, "status of the experiment")?.as_str().to_owned();
    let words = [state.reason, state.error.and_then(|error| error.code)];
    let reason = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let id = required(experiment.id, "id of the experiment")?;
    let targets: BTreeMap<String, Vec<String>> = experiment
        .targets
        .unwrap_or_default()
        .into_iter()
        .map(|(name, target)| (name, target.resource_arns.unwrap_or_default()))
        .collect();
    let mut acts: Vec<Act> = experiment
        .actions
        .unwrap_or_default()
        .into_values()
        .filter_map(|action| act(&id, &action, &targets))
        .collect();
    acts.sort_by(|a, b| (a.began_at, &a.instance_ids).cmp(&(b.began_at, &b.instance_ids)));
    Ok(ExperimentState {
        status,
        reason: Some(reason).filter(|reason| !reason.is_empty()),
        started_at: experiment.start_time.as_ref().and_then(time),
        ended_at: experiment.end_time.as_ref().and_then(time),
        target_arns: targets.into_values().flatten().collect(),
        acts,
        id,
    })
}

/// <https://docs.aws.amazon.com/fis/latest/APIReference/API_ExperimentAction.html>
fn act(experiment_id: &str, action: &ExperimentAction, targets: &BTreeMap<String, Vec<String>>) -> Option<Act> {
    let status = action.state()?.status()?;
    let did_nothing = matches!(
        status,
        ExperimentActionStatus::Pending
            | ExperimentActionStatus::Initiating
            | ExperimentActionStatus::Cancelled
            | ExperimentActionStatus::Skipped
    );
    if action.action_id() != Some(ACTION) || did_nothing {
        return None;
    }
    let names: BTreeMap<&String, &String> = action.targets()?.iter().collect();
    let instance_ids = names
        .into_values()
        .filter_map(|name| targets.get(name))
        .flatten()
        .filter_map(|arn| arn.rsplit_once('/').map(|(_, id)| id.to_owned()))
        .collect();
    let before_interruption = action
        .parameters()
        .and_then(|parameters| parameters.get("durationBeforeInterruption"))
        .and_then(|text| seconds(text));
    Some(Act {
        experiment_id: experiment_id.into(),
        instance_ids,
        began_at: action.start_time().and_then(time)?,
        ended_at: action.end_time().and_then(time),
        before_interruption: before_interruption.unwrap_or(NOTICE),
    })
}

/// The shortest that FIS takes, and the time of EC2's notice.
const NOTICE: TimeDelta = TimeDelta::minutes(2);

/// `PT2M`, `PT150S`, `PT1M30S`: hours, minutes and seconds of ISO 8601.
fn seconds(text: &str) -> Option<TimeDelta> {
    let mut rest = text.strip_prefix("PT")?;
    let mut total: i64 = 0;
    for (unit, worth) in [('H', 3600), ('M', 60), ('S', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            total += number.parse::<u32>().ok().map(i64::from)? * worth;
            rest = after;
        }
    }
    rest.is_empty().then(|| TimeDelta::seconds(total))
}

#[cfg(test)]
mod tests {
    use aws_sdk_fis::types::ExperimentActionState;

    use super::*;

    /// What an action did is known from when it began on, and only of the one kind.
    #[test]
    fn an_action_that_has_not_begun_or_does_something_else_is_no_act() {
        let began_at = aws_smithy_types::DateTime::from_secs(1_000);
        let action = |id: &str, status: ExperimentActionStatus, begun: bool| {
            ExperimentAction::builder()
                .action_id(id)
                .state(ExperimentActionState::builder().status(status).build())
                .set_start_time(begun.then_some(began_at))
                .targets("SpotInstances", "victims")
                .parameters("durationBeforeInterruption", "PT3M")
                .build()
        };
        let arns = [
            "arn:aws:ec2:eu-west-1:1:instance/i-1",
            "arn:aws:ec2:eu-west-1:1:instance/i-2",
        ];
        let targets = [
            ("victims", &arns[..]),
            ("others", &["arn:aws:ec2:eu-west-1:1:instance/i-3"][..]),
        ]
        .map(|(name, arns)| (name.to_owned(), arns.iter().map(|arn| (*arn).to_owned()).collect()))
        .into();
        let told = |action: &ExperimentAction| act("EXP1", action, &targets);
        for status in [
            ExperimentActionStatus::Running,
            ExperimentActionStatus::Completed,
            ExperimentActionStatus::Failed,
            ExperimentActionStatus::Stopped,
        ] {
            let act = told(&action(ACTION, status, true)).unwrap();
            assert_eq!(
                (act.instance_ids, act.before_interruption),
                (vec!["i-1".into(), "i-2".into()], TimeDelta::minutes(3))
            );
            assert_eq!(
                (act.experiment_id.as_str(), act.began_at.timestamp(), act.ended_at),
                ("EXP1", 1_000, None)
            );
        }
        for status in [
            ExperimentActionStatus::Pending,
            ExperimentActionStatus::Initiating,
            ExperimentActionStatus::Cancelled,
            ExperimentActionStatus::Skipped,
        ] {
            assert_eq!(told(&action(ACTION, status, true)), None);
        }
        assert_eq!(
            told(&action("aws:fis:wait", ExperimentActionStatus::Completed, true)),
            None
        );
        assert_eq!(told(&action(ACTION, ExperimentActionStatus::Completed, false)), None);
    }

    #[test]
    fn durations_are_read_as_fis_takes_them() {
        let cases = [
            ("PT2M", Some(120)),
            ("PT150S", Some(150)),
            ("PT1M30S", Some(90)),
            ("PT", Some(0)),
            ("2M", None),
            ("PT2", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(seconds(text), wanted.map(TimeDelta::seconds), "{text}");
        }
    }
}
