//! What comes in: typed details of the EventBridge events that the functions are made for.
//!
//! `aws_lambda_events` has the envelope, and for EMR's step events a detail type whose seven strings are all
//! mandatory; one missing field that nobody needs would fail the whole invocation. So the details are our own: they
//! keep what we use, accept what is new, and an error names the field, what was expected there, and what was found.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use chrono::{DateTime, Utc};
use serde_json::Value;

/// A field of an event that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, found {found}")]
pub struct EventError {
    /// Path of the field: `detail.clusterId`.
    pub field: String,
    /// What should be there.
    pub expected: &'static str,
    /// What is there, shortened.
    pub found: String,
}

impl EventError {
    fn new(field: &str, expected: &'static str, found: Option<&Value>) -> Self {
        let found = match found {
            None => "nothing".to_owned(),
            Some(value) => shorten(&value.to_string()),
        };
        Self {
            field: field.into(),
            expected,
            found,
        }
    }
}

fn shorten(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    if text.chars().count() <= CHARACTERS_MAX {
        return text.to_owned();
    }
    let head: String = text.chars().take(CHARACTERS_MAX).collect();
    format!("{head}…")
}

/// `EMR Step Status Change`.
///
/// <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-manage-cloudwatch-events.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepStatusChange {
    /// When EMR saw the change; best effort, and possibly delivered much later.
    pub time: DateTime<Utc>,
    /// `j-…`
    pub cluster_id: String,
    /// `s-…`
    pub step_id: String,
    /// `RUNNING`, `COMPLETED`, …; a state that we do not know is kept as it is.
    pub state: String,
}

impl StepStatusChange {
    /// EventBridge's `detail-type`.
    pub const DETAIL_TYPE: &str = "EMR Step Status Change";

    /// Reads the payload of an invocation.
    pub fn parse(payload: &Value) -> Result<Self, EventError> {
        let event = envelope(payload, "aws.emr", Self::DETAIL_TYPE)?;
        let detail = &event.detail;
        Ok(Self {
            time: time(&event, payload)?,
            cluster_id: id(detail, "clusterId", "an id like j-2AXXXXXXGAPLF", is_cluster_id)?,
            step_id: id(detail, "stepId", "an id like s-3PZCQ9RLPEXPL", is_step_id)?,
            state: id(detail, "state", "a step's state like RUNNING", |text| !text.is_empty())?,
        })
    }
}

/// `EC2 Spot Instance Interruption Warning`.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterruptionWarning {
    /// When EC2 gave the notice.
    pub time: DateTime<Utc>,
    /// `i-…`
    pub instance_id: String,
    /// `terminate`, `stop` or `hibernate`; a new action is kept as it is.
    pub action: String,
    /// EventBridge's id of the event, kept as evidence; a second delivery may carry another.
    pub event_id: Option<String>,
}

impl InterruptionWarning {
    /// EventBridge's `detail-type`.
    pub const DETAIL_TYPE: &str = "EC2 Spot Instance Interruption Warning";

    /// Reads the payload of an invocation, or the body of an SQS message.
    pub fn parse(payload: &Value) -> Result<Self, EventError> {
        let event = envelope(payload, "aws.ec2", Self::DETAIL_TYPE)?;
        let detail = &event.detail;
        Ok(Self {
            time: time(&event, payload)?,
            instance_id: id(detail, "instance-id", "an id like i-0b662ef9931388ba0", is_instance_id)?,
            action: id(detail, "instance-action", "terminate, stop or hibernate", |text| {
                !text.is_empty()
            })?,
            event_id: event.id,
        })
    }
}

/// `j-` and capital letters or digits.
pub fn is_cluster_id(text: &str) -> bool {
    is_id(text, "j-", 40, |c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// `s-` and capital letters or digits.
pub fn is_step_id(text: &str) -> bool {
    is_id(text, "s-", 40, |c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// `i-` and 17 lower-case hexadecimal digits, or 8 as in instances of before 2016.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html>
pub fn is_instance_id(text: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.len() >= "i-".len() + 8 && is_id(text, "i-", 17, is_digit)
}

fn is_id(text: &str, prefix: &str, length_max: usize, allowed: impl Fn(char) -> bool) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|tail| !tail.is_empty() && tail.len() <= length_max && tail.chars().all(allowed))
}

/// Reads the envelope, and makes sure that the event is of the kind that the function is made for.
fn envelope(
    payload: &Value,
    source: &'static str,
    detail_type: &'static str,
) -> Result<EventBridgeEvent<Value>, EventError> {
    text(payload, "source", source, |found| found == source)?;
    text(payload, "detail-type", detail_type, |found| found == detail_type)?;
    if !payload["detail"].is_object() {
        return Err(EventError::new("detail", "an object", payload.get("detail")));
    }
    if payload.get("time").is_some_and(|time| !time.is_string()) {
        return Err(EventError::new("time", TIME, payload.get("time")));
    }
    serde_json::from_value(payload.clone()).map_err(|error| {
        let (field, expected) = if payload["time"].is_string() && error.to_string().contains("input") {
            ("time", TIME)
        } else {
            ("event", "EventBridge's envelope")
        };
        EventError {
            field: field.into(),
            expected,
            found: shorten(&error.to_string()),
        }
    })
}

const TIME: &str = "a time like 2026-11-20T14:02:49Z";

fn time(event: &EventBridgeEvent<Value>, payload: &Value) -> Result<DateTime<Utc>, EventError> {
    event
        .time
        .ok_or_else(|| EventError::new("time", TIME, payload.get("time")))
}

fn id(detail: &Value, name: &str, expected: &'static str, valid: impl Fn(&str) -> bool) -> Result<String, EventError> {
    text(detail, name, expected, valid).map_err(|error| EventError {
        field: format!("detail.{}", error.field),
        ..error
    })
}

fn text(
    object: &Value,
    name: &str,
    expected: &'static str,
    valid: impl Fn(&str) -> bool,
) -> Result<String, EventError> {
    match object.get(name) {
        Some(Value::String(found)) if valid(found) => Ok(found.clone()),
        found => Err(EventError::new(name, expected, found)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn step() -> Value {
        json!({"version": "0", "id": "1", "detail-type": "EMR Step Status Change", "source": "aws.emr",
            "account": "123456789012", "time": "2026-11-20T14:02:49Z", "region": "eu-west-1", "resources": [],
            "detail": {"stepId": "s-3PZCQ9RLPEXPL", "clusterId": "j-2AXXXXXXGAPLF", "state": "RUNNING"}})
    }

    #[test]
    fn a_step_event_needs_only_what_is_used() {
        let event = StepStatusChange::parse(&step()).unwrap();
        assert_eq!(event.cluster_id, "j-2AXXXXXXGAPLF");
        assert_eq!(event.time.to_rfc3339(), "2026-11-20T14:02:49+00:00");
    }

    #[test]
    fn an_error_names_the_field_what_was_expected_and_what_was_found() {
        let mut event = step();
        event["detail"]["clusterId"] = json!(7);
        let error = StepStatusChange::parse(&event).unwrap_err().to_string();
        assert_eq!(error, "detail.clusterId: expected an id like j-2AXXXXXXGAPLF, found 7");
        event["detail"].as_object_mut().unwrap().remove("clusterId");
        let error = StepStatusChange::parse(&event).unwrap_err().to_string();
        assert_eq!(
            error,
            "detail.clusterId: expected an id like j-2AXXXXXXGAPLF, found nothing"
        );
    }

    #[test]
    fn a_time_that_is_none_is_named() {
        let mut event = step();
        for bad in [json!("yesterday"), json!(12), json!(null)] {
            event["time"] = bad;
            assert_eq!(StepStatusChange::parse(&event).unwrap_err().field, "time");
        }
        event.as_object_mut().unwrap().remove("time");
        assert_eq!(StepStatusChange::parse(&event).unwrap_err().field, "time");
    }

    #[test]
    fn ids_that_could_lead_elsewhere_are_refused() {
        for bad in ["", "j-", "j-abc", "j-A/../B", "j-A#drill", "s-ABC"] {
            assert!(!is_cluster_id(bad), "{bad}");
        }
        for good in ["i-1a2b3c4d", "i-0b662ef9931388ba0"] {
            assert!(is_instance_id(good), "{good}");
        }
        for bad in [
            "i-",
            "i-0",
            "i-1a2b3c4",
            "i-1A2B3C4D",
            "i-1a2b3c4g",
            "i-0b662ef9931388ba01",
            "j-0b66",
            "0b66",
        ] {
            assert!(!is_instance_id(bad), "{bad}");
        }
        assert!(is_step_id("s-3PZCQ9RLPEXPL") && is_cluster_id("j-2AXXXXXXGAPLF"));
        for bad in ["s-", "s-a", "s-A#", "j-A", "A"] {
            assert!(!is_step_id(bad), "{bad}");
        }
        let long = |prefix: &str, length| format!("{prefix}{}", "A".repeat(length));
        assert!(is_cluster_id(&long("j-", 40)) && !is_cluster_id(&long("j-", 41)));
        assert!(is_step_id(&long("s-", 40)) && !is_step_id(&long("s-", 41)));
    }

    fn warning() -> Value {
        json!({"version": "0", "id": "7", "detail-type": "EC2 Spot Instance Interruption Warning", "source": "aws.ec2",
            "account": "123456789012", "time": "2026-11-20T14:02:49Z", "region": "eu-west-1",
            "resources": ["arn:aws:ec2:eu-west-1a:instance/i-0b662ef9931388ba0"],
            "detail": {"instance-id": "i-0b662ef9931388ba0", "instance-action": "terminate"}})
    }

    #[test]
    fn a_warning_says_which_instance_when_and_what_will_be_done() {
        let read = InterruptionWarning::parse(&warning()).unwrap();
        assert_eq!(read.time.to_rfc3339(), "2026-11-20T14:02:49+00:00");
        assert_eq!(
            (read.instance_id.as_str(), read.action.as_str()),
            ("i-0b662ef9931388ba0", "terminate")
        );
        assert_eq!(read.event_id.as_deref(), Some("7"));
        // What EC2 may do one day is no fault of the event's; to say nothing is.
        let mut event = warning();
        event["detail"]["instance-action"] = json!("rest");
        assert_eq!(InterruptionWarning::parse(&event).unwrap().action, "rest");
        event["detail"]["instance-action"] = json!("");
        assert_eq!(
            InterruptionWarning::parse(&event).unwrap_err().field,
            "detail.instance-action"
        );
        let mut event = step();
        event["detail"]["state"] = json!("");
        assert_eq!(StepStatusChange::parse(&event).unwrap_err().field, "detail.state");
    }

    #[test]
    fn an_event_of_another_kind_is_told_by_the_field_that_differs() {
        let field = |event: &Value| StepStatusChange::parse(event).unwrap_err().field;
        assert_eq!(field(&warning()), "source");
        let with = |name: &str, value: Value| {
            let mut event = step();
            event[name] = value;
            field(&event)
        };
        assert_eq!(with("source", json!("aws.ec2")), "source");
        assert_eq!(with("detail-type", json!("EMR Cluster State Change")), "detail-type");
        for detail in [json!(null), json!("{}"), json!([])] {
            assert_eq!(with("detail", detail), "detail");
        }
        assert_eq!(with("resources", json!("none")), "event");
        assert_eq!(field(&json!("text")), "source");
        let found = InterruptionWarning::parse(&step()).unwrap_err();
        assert_eq!(found.to_string(), "source: expected aws.ec2, found \"aws.emr\"");
    }

    #[test]
    fn what_was_found_is_told_in_eighty_characters() {
        let found = |length: usize| {
            let mut event = step();
            // In its quotes.
            event["detail"]["clusterId"] = json!("ö".repeat(length - 2));
            StepStatusChange::parse(&event).unwrap_err().found
        };
        assert_eq!(found(80), format!("\"{}\"", "ö".repeat(78)));
        assert_eq!(found(81), format!("\"{}…", "ö".repeat(79)));
    }
}
