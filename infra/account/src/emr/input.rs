//! Reading requests: fields, tags, markers, and the errors for what is wrong with them.
//!
//! Separate because every operation needs it. EMR has two error shapes: operations that speak of job flows answer
//! `ValidationException`, those that speak of clusters `InvalidRequestException`.
//!
//= https://docs.aws.amazon.com/emr/latest/APIReference/CommonErrors.html

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::{ApiError, Time};

/// Answers that a page has, unless a story says less: the pages name the number for some listings only.
///
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ListClusters.html
pub(super) const PAGE: usize = 50;

/// The error of an operation that speaks of job flows, and of a request that no operation could read.
pub(super) fn validation(message: impl Into<String>) -> ApiError {
    ApiError::client("ValidationException", message)
}

/// The error of an operation that speaks of clusters.
pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::client("InvalidRequestException", message)
}

/// The refusal of a cluster that is not there.
pub(super) fn no_such_cluster(id: &str) -> ApiError {
    ApiError {
        error_code: Some("NoSuchCluster"),
        ..invalid(format!("Cluster id '{id}' is not valid."))
    }
}

/// The states to filter by, each of which must be one of the model's: `[WAITNG]` is refused. Seen for clusters; for
/// steps and instances the same is assumed.
pub(super) fn states<'a>(input: &'a Value, name: &str, of: &str, known: &[&str]) -> Result<Vec<&'a str>, ApiError> {
    let states = texts(input, name);
    let unknown: Vec<_> = states.iter().filter(|state| !known.contains(state)).copied().collect();
    if unknown.is_empty() {
        return Ok(states);
    }
    Err(invalid(format!("{of} states [{}] are not valid.", unknown.join(", "))))
}

/// A text that must be there.
pub(super) fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    let given = input[name].as_str().filter(|text| !text.is_empty());
    given.ok_or_else(|| {
        validation(format!(
            "1 validation error detected: Value at '{name}' must not be null or empty"
        ))
    })
}

/// A number of things that may be there.
pub(super) fn count(input: &Value, name: &str) -> Result<Option<u32>, ApiError> {
    match &input[name] {
        Value::Null => Ok(None),
        given => match given.as_u64().and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(validation(format!("Value {given} at '{name}' is not a number from 0."))),
        },
    }
}

/// The entries of a list; none if there is no list.
pub(super) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The texts in a list.
pub(super) fn texts<'a>(input: &'a Value, name: &str) -> Vec<&'a str> {
    items(&input[name]).filter_map(Value::as_str).collect()
}

/// Tags, with the limits that EMR checks.
///
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-tags.html
pub(super) fn tags(list: &Value) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = BTreeMap::new();
    for tag in items(list) {
        let (key, value) = (
            tag["Key"].as_str().unwrap_or_default(),
            tag["Value"].as_str().unwrap_or_default(),
        );
        if key.is_empty() || key.chars().count() > 128 {
            return Err(invalid(format!(
                "Invalid tag key: '{key}'. Tag keys must be between 1 and 128 characters in length."
            )));
        }
        if key.to_lowercase().starts_with("aws:") {
            return Err(invalid(format!(
                "Invalid tag key: '{key}'. Tag keys cannot start with 'aws:'."
            )));
        }
        if value.chars().count() > 256 {
            return Err(invalid(format!(
                "Invalid tag value of '{key}'. Tag values must be at most 256 characters in length."
            )));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    Ok(tags)
}

/// A time in the JSON that EMR speaks: seconds since 1970.
pub(super) fn epoch(time: Time) -> Value {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 are exact for 285,000 years"
    )]
    let seconds = time.timestamp_millis() as f64 / 1_000.0;
    json!(seconds)
}

/// A time in a request.
pub(super) fn time(input: &Value, name: &str) -> Option<Time> {
    #[expect(clippy::cast_possible_truncation, reason = "times are near today")]
    let millis = (input[name].as_f64()? * 1_000.0) as i64;
    Time::from_timestamp_millis(millis)
}

/// One page of `all`, as it is shown: what the request's marker asks for, and the marker of the next page.
pub(super) fn page<T>(
    input: &Value,
    name: &str,
    size: usize,
    all: Vec<T>,
    show: impl Fn(T) -> Value,
) -> Result<Value, ApiError> {
    let start = match &input["Marker"] {
        Value::Null => 0,
        marker => {
            let parsed = marker
                .as_str()
                .and_then(|text| text.strip_prefix("page-"))
                .and_then(|text| text.parse().ok());
            parsed.ok_or_else(|| invalid(format!("Marker {marker} is not valid.")))?
        }
    };
    let size = match size {
        0 if input["Marker"].is_null() => 0,
        0 => PAGE,
        size => size,
    };
    let more = all.len() > start + size;
    let mut answer = json!({name: all.into_iter().skip(start).take(size).map(show).collect::<Vec<_>>()});
    if more {
        answer["Marker"] = json!(format!("page-{}", start + size));
    }
    Ok(answer)
}
