//! The actions that the simulated FIS knows, and their parameters.
//!
//! Separate because it is a catalogue: what a template may name, and what GetAction and ListActions show.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::api::ApiError;
use crate::fis::{arn, validation};

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `aws:ec2:send-spot-instance-interruptions`
    InterruptSpotInstances,
    /// `aws:fis:wait`
    Wait,
}

/// All of them, in the order of their ids.
pub(super) const KINDS: [Kind; 2] = [Kind::InterruptSpotInstances, Kind::Wait];

//= https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html
impl Kind {
    /// The action of that id. AWS has more; here one of those is refused as an unknown one is.
    pub(super) fn of(id: &str) -> Result<Self, ApiError> {
        let found = KINDS.into_iter().find(|it| it.id() == id);
        found.ok_or_else(|| validation(format!("The action ID '{id}' is not valid.")))
    }

    /// FIS's name.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::InterruptSpotInstances => "aws:ec2:send-spot-instance-interruptions",
            Self::Wait => "aws:fis:wait",
        }
    }

    /// The action's word for its targets.
    pub(super) fn target_key(self) -> Option<&'static str> {
        match self {
            Self::InterruptSpotInstances => Some("SpotInstances"),
            Self::Wait => None,
        }
    }

    /// Its one parameter, a duration, and within what limits.
    fn duration(self) -> (&'static str, TimeDelta, TimeDelta) {
        match self {
            Self::InterruptSpotInstances => (
                "durationBeforeInterruption",
                TimeDelta::minutes(2),
                TimeDelta::minutes(15),
            ),
            Self::Wait => ("duration", TimeDelta::minutes(1), TimeDelta::hours(12)),
        }
    }

    /// The value of its parameter.
    pub(super) fn duration_of(self, parameters: &BTreeMap<String, String>) -> Option<TimeDelta> {
        parse_duration(parameters.get(self.duration().0)?)
    }

    /// The action as GetAction shows it.
    pub(super) fn show(self) -> Value {
        let mut shown = self.summary();
        let parameter = json!({"description": "An ISO 8601 duration.", "required": true});
        shown["parameters"] = json!({self.duration().0: parameter});
        shown
    }

    /// The action as an item of ListActions.
    pub(super) fn summary(self) -> Value {
        let (description, targets) = match self {
            Self::InterruptSpotInstances => (
                "Interrupt the specified EC2 Spot Instances.",
                json!({"SpotInstances": {"resourceType": "aws:ec2:spot-instance"}}),
            ),
            Self::Wait => ("Wait for the specified duration.", json!({})),
        };
        let arn = arn(&format!("action/{}", self.id()));
        json!({"id": self.id(), "arn": arn, "description": description, "targets": targets, "tags": {}})
    }
}

/// Whether an action has the parameter that it needs, within its limits, and no other.
pub(super) fn check_parameters(kind: Kind, name: &str, parameters: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let (parameter, min, max) = kind.duration();
    if let Some(other) = parameters.keys().find(|it| *it != parameter) {
        return Err(validation(format!(
            "The action {name} has the parameter {other}, which {} has not.",
            kind.id()
        )));
    }
    let Some(text) = parameters.get(parameter) else {
        return Err(validation(format!(
            "The action {name} lacks the parameter {parameter}."
        )));
    };
    match parse_duration(text) {
        Some(duration) if (min..=max).contains(&duration) => Ok(()),
        Some(_) => {
            let (min, max) = (min.num_minutes(), max.num_minutes());
            Err(validation(format!(
                "The parameter {parameter} of the action {name}, {text}, is not {min} to {max} minutes."
            )))
        }
        None => Err(validation(format!(
            "The parameter {parameter} of the action {name}, {text}, is not a duration."
        ))),
    }
}

/// An ISO 8601 duration of days, hours, minutes and seconds: `PT2M`, `PT1H30M`, `P1DT1S`.
fn parse_duration(text: &str) -> Option<TimeDelta> {
    let text = text.strip_prefix('P')?;
    let (days, time) = text
        .split_once('T')
        .map_or((text, None), |(days, time)| (days, Some(time)));
    let mut total = sum_units(days, &[('D', 86_400)])?;
    if let Some(time) = time {
        if time.is_empty() {
            return None;
        }
        total = total.checked_add(sum_units(time, &[('H', 3600), ('M', 60), ('S', 1)])?)?;
    } else if days.is_empty() {
        return None;
    }
    TimeDelta::try_seconds(total)
}

/// The seconds of a run of numbers, each with one of the units, in the units' order.
fn sum_units(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut total = 0i64;
    for (unit, seconds) in units {
        if let Some((number, rest)) = text.split_once(*unit) {
            let number = number
                .bytes()
                .all(|it| it.is_ascii_digit())
                .then(|| number.parse::<i64>().ok())??;
            total = total.checked_add(number.checked_mul(*seconds)?)?;
            text = rest;
        }
    }
    text.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_iso_8601_writes_them() {
        for (text, seconds) in [
            ("PT2M", Some(120)),
            ("PT120S", Some(120)),
            ("PT1H30M", Some(5400)),
            ("P1DT1S", Some(86_401)),
            ("P1D", Some(86_400)),
            ("PT", None),
            ("P", None),
            ("2M", None),
            ("PT2", None),
            ("PTM", None),
            ("PT-2M", None),
            ("PT1M1H", None),
        ] {
            assert_eq!(parse_duration(text).map(|it| it.num_seconds()), seconds, "{text}");
        }
    }
}
