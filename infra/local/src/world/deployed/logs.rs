//! Simulated CloudWatch Logs: the log groups that rules write events to, read by clients.
//!
//! Separate because each service has its file. A group has one stream, whatever writes to it. Functions have groups
//! when they run as programs of their own; in the simulation's process they log to its own output.

use account::api::{ACCOUNT, ApiError, REGION, Time};
use account::template::Destination;
use serde_json::{Value, json};

use crate::lambda::LOG_STREAM;
use crate::world::State;
use crate::world::deployed::{out_of_range, page, page_size, violation};

/// The most events of one page.
//= https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
const EVENTS_MAX: usize = 10_000;

/// Answers an operation of CloudWatch Logs.
pub fn call(state: &State, operation: &str, input: &Value) -> Result<Value, ApiError> {
    match operation {
        "DescribeLogGroups" => describe_groups(state, input),
        "DescribeLogStreams" => describe_streams(state, input),
        "FilterLogEvents" => filter_events(state, input),
        "GetLogEvents" => get_events(state, input),
        _ => Err(ApiError::not_implemented("logs", operation)),
    }
}

/// One event of a group's stream.
struct LogEvent {
    at_ms: i64,
    number: usize,
    message: String,
}

impl LogEvent {
    fn filtered(&self) -> Value {
        json!({
            "logStreamName": LOG_STREAM,
            "timestamp": self.at_ms,
            "message": self.message,
            "ingestionTime": self.at_ms,
            // A number of 56 digits on AWS; its order is that of the events.
            "eventId": format!("{:056}", self.number + 1),
        })
    }

    fn shown(&self) -> Value {
        json!({"timestamp": self.at_ms, "message": self.message, "ingestionTime": self.at_ms})
    }
}

/// The groups that the template's rules write to, whether or not anything was written.
fn groups(state: &State) -> Vec<&str> {
    let mut names: Vec<&str> = state
        .template
        .rules
        .iter()
        .flat_map(|rule| &rule.targets)
        .filter_map(|target| match &target.destination {
            Destination::LogGroup(name) => Some(name.as_str()),
            _ => None,
        })
        .chain(state.logs.keys().map(String::as_str))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The group that a request names, by `logGroupName` or `logGroupIdentifier`.
fn group<'a>(state: &'a State, input: &'a Value) -> Result<&'a str, ApiError> {
    let given = input["logGroupName"]
        .as_str()
        .or_else(|| input["logGroupIdentifier"].as_str());
    let given = given.ok_or_else(|| invalid("Either logGroupName or logGroupIdentifier is needed."))?;
    let name = given.strip_prefix(&arn_of("")).unwrap_or(given);
    let name = name.strip_suffix(":*").unwrap_or(name);
    let known = groups(state).contains(&name);
    known
        .then_some(name)
        .ok_or_else(|| not_found("The specified log group does not exist."))
}

fn events(state: &State, group: &str, input: &Value, is_in: impl Fn(i64, i64, i64) -> bool) -> Vec<LogEvent> {
    let begin = input["startTime"].as_i64().unwrap_or(i64::MIN);
    let end = input["endTime"].as_i64().unwrap_or(i64::MAX);
    let written = state.logs.get(group).map(Vec::as_slice).unwrap_or_default();
    let each = written.iter().enumerate().map(|(number, (at, event))| LogEvent {
        at_ms: at.timestamp_millis(),
        number,
        message: text(event),
    });
    each.filter(|event| is_in(begin, event.at_ms, end)).collect()
}

//= https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html
fn describe_groups(state: &State, input: &Value) -> Result<Value, ApiError> {
    let prefix = input["logGroupNamePrefix"].as_str().unwrap_or_default();
    let part = input["logGroupNamePattern"].as_str().unwrap_or_default().to_lowercase();
    if !prefix.is_empty() && !part.is_empty() {
        return Err(invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    let shown = groups(state)
        .into_iter()
        .filter(|name| name.starts_with(prefix) && name.to_lowercase().contains(&part))
        .map(|name| {
            json!({
                "logGroupName": name,
                "creationTime": state.stacks.deployed_at().timestamp_millis(),
                "metricFilterCount": 0,
                "arn": format!("{}:*", arn_of(name)),
                "logGroupArn": arn_of(name),
                "logGroupClass": "STANDARD",
                "storedBytes": stored_bytes(state, name),
            })
        })
        .collect();
    paged("logGroups", shown, input)
}

//= https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogStreams.html
fn describe_streams(state: &State, input: &Value) -> Result<Value, ApiError> {
    let group = group(state, input)?;
    match input["orderBy"].as_str() {
        None | Some("LogStreamName") => {}
        // "If you order the results by event time, you cannot specify the `logStreamNamePrefix` parameter."
        Some("LastEventTime") if input["logStreamNamePrefix"].is_string() => {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        Some("LastEventTime") => {}
        Some(other) => {
            let constraint = "Member must satisfy enum value set: [LogStreamName, LastEventTime]";
            return Err(invalid(&violation(other, "orderBy", constraint)));
        }
    }
    let written = state.logs.get(group).map(Vec::as_slice).unwrap_or_default();
    let ms = |event: &(Time, Value)| event.0.timestamp_millis();
    let is_wanted = LOG_STREAM.starts_with(input["logStreamNamePrefix"].as_str().unwrap_or_default());
    let streams = match (written.first(), written.last()) {
        (Some(first), Some(last)) if is_wanted => vec![json!({
            "logStreamName": LOG_STREAM,
            "creationTime": ms(first),
            "firstEventTimestamp": ms(first),
            "lastEventTimestamp": ms(last),
            "lastIngestionTime": ms(last),
            "uploadSequenceToken": format!("{:056}", written.len()),
            "arn": format!("{}:log-stream:{LOG_STREAM}", arn_of(group)),
            "storedBytes": 0,
        })],
        _ => Vec::new(),
    };
    paged("logStreams", streams, input)
}

//= https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
fn filter_events(state: &State, input: &Value) -> Result<Value, ApiError> {
    let group = group(state, input)?;
    let terms = terms(input["filterPattern"].as_str().unwrap_or_default())?;
    let names = input["logStreamNames"].as_array();
    if names.is_some() && input["logStreamNamePrefix"].is_string() {
        return Err(invalid(
            "logStreamNames and logStreamNamePrefix are mutually exclusive.",
        ));
    }
    let is_wanted = names.is_none_or(|names| names.contains(&json!(LOG_STREAM)))
        && LOG_STREAM.starts_with(input["logStreamNamePrefix"].as_str().unwrap_or_default());
    // Both ends belong to the range.
    let found = events(state, group, input, |begin, at, end| {
        is_wanted && (begin..=end).contains(&at)
    })
    .into_iter()
    .filter(|event| terms.iter().all(|term| event.message.contains(term.as_str())))
    .map(|event| event.filtered())
    .collect();
    let size = limit(input, EVENTS_MAX)?;
    let (events, next) = page(found, &input["nextToken"], size, invalid_token)?;
    let mut answer = json!({"events": events, "searchedLogStreams": []});
    if let Some(next) = next {
        answer["nextToken"] = next.into();
    }
    Ok(answer)
}

/// The terms of a filter pattern, all of which an event must have. Patterns for JSON and for columns are not simulated.
//= https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
fn terms(pattern: &str) -> Result<Vec<String>, ApiError> {
    let mut terms = Vec::new();
    let mut rest = pattern.trim();
    while !rest.is_empty() {
        if rest.starts_with(['{', '[', '?', '-', '%']) {
            return Err(ApiError::not_implemented(
                "logs",
                "FilterLogEvents with such a filterPattern",
            ));
        }
        let (term, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted
                .split_once('"')
                .ok_or_else(|| invalid("Invalid filter pattern"))?,
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        terms.push(term.to_owned());
        rest = after.trim_start();
    }
    Ok(terms)
}

/// Forward from the begin, or the latest events; a token that moves no further is the end.
//= https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
fn get_events(state: &State, input: &Value) -> Result<Value, ApiError> {
    let group = group(state, input)?;
    let is_written = state.logs.get(group).is_some_and(|written| !written.is_empty());
    if !is_written || input["logStreamName"] != LOG_STREAM {
        return Err(not_found("The specified log stream does not exist."));
    }
    // The end does not belong to the range.
    let found = events(state, group, input, |begin, at, end| (begin..end).contains(&at));
    let size = limit(input, EVENTS_MAX)?;
    let position = |text: &str| text.parse().ok().filter(|position: &usize| *position <= found.len());
    let (begin, end) = match input["nextToken"].as_str() {
        None if input["startFromHead"] == true => (0, found.len().min(size)),
        None => (found.len().saturating_sub(size), found.len()),
        Some(token) => match token
            .split_once('/')
            .and_then(|(way, text)| Some((way, position(text)?)))
        {
            Some(("f", begin)) => (begin, found.len().min(begin + size)),
            Some(("b", end)) => (end.saturating_sub(size), end),
            _ => return Err(invalid_token()),
        },
    };
    Ok(json!({
        "events": found[begin..end].iter().map(LogEvent::shown).collect::<Vec<_>>(),
        "nextForwardToken": format!("f/{end}"),
        "nextBackwardToken": format!("b/{begin}"),
    }))
}

/// How many entries a page may have.
fn limit(input: &Value, most: usize) -> Result<usize, ApiError> {
    page_size(&input["limit"], most, || {
        invalid(&violation(
            &input["limit"].to_string(),
            "limit",
            &out_of_range(&input["limit"], most),
        ))
    })
}

fn paged(name: &str, items: Vec<Value>, input: &Value) -> Result<Value, ApiError> {
    let size = limit(input, 50)?;
    let (items, next) = page(items, &input["nextToken"], size, invalid_token)?;
    let mut answer = json!({name: items});
    if let Some(next) = next {
        answer["nextToken"] = next.into();
    }
    Ok(answer)
}

/// The messages and 26 bytes for each, as CloudWatch counts.
//= https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
fn stored_bytes(state: &State, group: &str) -> usize {
    let written = state.logs.get(group).map(Vec::as_slice).unwrap_or_default();
    written.iter().map(|(_, event)| text(event).len() + 26).sum()
}

/// An event as it was written: a function's line as it is, what EventBridge delivered as JSON.
fn text(event: &Value) -> String {
    event.as_str().map_or_else(|| event.to_string(), str::to_owned)
}

fn arn_of(group: &str) -> String {
    format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}")
}

fn invalid(message: &str) -> ApiError {
    ApiError::client("InvalidParameterException", message)
}

fn invalid_token() -> ApiError {
    invalid("The specified nextToken is invalid.")
}

fn not_found(message: &str) -> ApiError {
    ApiError::client("ResourceNotFoundException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_its_terms_and_what_is_not_simulated_says_so() {
        assert_eq!(terms("").unwrap(), Vec::<String>::new());
        assert_eq!(terms("  i-1  \"a b\" c").unwrap(), ["i-1", "a b", "c"]);
        assert_eq!(terms("\"open").unwrap_err().code, "InvalidParameterException");
        for pattern in ["{ $.a = 1 }", "[a, b]", "?a ?b", "-a", "%a%"] {
            assert_eq!(terms(pattern).unwrap_err().status, 501, "{pattern}");
        }
    }
}
