//! Simulated EventBridge's API: the rules of the deployed template, and events of a client's own.
//!
//! Separate from the bus itself, which needs no API to route the account's events. There is one bus, `default`.

use account::api::{ACCOUNT, ApiError, Ctx, HEX, REGION, Time};
use account::journal::Kind;
use account::template::{Destination, Rule, Target};
use serde_json::{Value, json};

use crate::world::State;
use crate::world::deployed::{out_of_range, page, page_size, violation};

/// The most entries that one PutEvents takes.
//= https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
const ENTRIES_MAX: usize = 10;

/// Answers an operation of EventBridge.
pub fn call(state: &mut State, now: Time, operation: &str, input: &Value) -> Result<Value, ApiError> {
    match operation {
        "ListRules" => list_rules(state, input),
        "DescribeRule" => {
            check_bus(input)?;
            let rule = find(state, &input["Name"])?;
            Ok(show(state, rule))
        }
        "ListTargetsByRule" => {
            check_bus(input)?;
            let rule = find(state, &input["Rule"])?;
            Ok(json!({"Targets": rule.targets.iter().map(|target| show_target(state, target)).collect::<Vec<_>>()}))
        }
        "EnableRule" | "DisableRule" => {
            check_bus(input)?;
            let name = find(state, &input["Name"])?.name.clone();
            state.bus.set_enabled(&name, operation == "EnableRule")?;
            let text = if operation == "EnableRule" {
                "enabled"
            } else {
                "disabled"
            };
            state
                .account
                .note(now, Kind::Transition, "events", &name, text, Value::Null);
            Ok(json!({}))
        }
        "PutEvents" => put_events(state, now, input),
        _ => Err(ApiError::not_implemented("events", operation)),
    }
}

//= https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListRules.html
fn list_rules(state: &State, input: &Value) -> Result<Value, ApiError> {
    check_bus(input)?;
    let prefix = input["NamePrefix"].as_str().unwrap_or_default();
    let mut rules: Vec<&Rule> = state
        .bus
        .rules()
        .values()
        .filter(|rule| rule.name.starts_with(prefix))
        .collect();
    rules.sort_by(|one, other| one.name.cmp(&other.name));
    let shown = rules.into_iter().map(|rule| show(state, rule)).collect();
    let size = page_size(&input["Limit"], 100, || {
        let constraint = out_of_range(&input["Limit"], 100);
        validation(&violation(&input["Limit"].to_string(), "limit", &constraint))
    })?;
    let (rules, next) = page(shown, &input["NextToken"], size, || {
        validation("The token is not valid.")
    })?;
    let mut answer = json!({"Rules": rules});
    if let Some(next) = next {
        answer["NextToken"] = next.into();
    }
    Ok(answer)
}

fn show(state: &State, rule: &Rule) -> Value {
    json!({
        "Name": rule.name,
        "Arn": format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{}", rule.name),
        "EventPattern": rule.pattern.to_string(),
        "State": if state.bus.is_enabled(&rule.id) { "ENABLED" } else { "DISABLED" },
        "EventBusName": "default",
    })
}

fn show_target(state: &State, target: &Target) -> Value {
    let mut shown = json!({
        "Id": target.id,
        "Arn": arn(state, &target.destination),
        "RetryPolicy": {
            "MaximumRetryAttempts": target.retry.retries,
            "MaximumEventAgeInSeconds": target.retry.event_age_seconds_max,
        },
    });
    if let Some(queue) = target.dead_letter_queue.as_ref().and_then(|id| state.queues.get(id)) {
        shown["DeadLetterConfig"] = json!({"Arn": queue.settings().arn});
    }
    shown
}

/// The ARN of what a rule or a schedule sends to.
pub(crate) fn arn(state: &State, destination: &Destination) -> String {
    match destination {
        Destination::Function(id) => state.template.functions[id].arn.clone(),
        Destination::Queue(id) => state.queues[id].settings().arn.clone(),
        Destination::LogGroup(name) => format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"),
    }
}

fn check_bus(input: &Value) -> Result<(), ApiError> {
    let own = format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default");
    match input["EventBusName"].as_str() {
        None | Some("default") => Ok(()),
        Some(name) if name == own => Ok(()),
        Some(name) => Err(not_found(format!("Event bus {name} does not exist."))),
    }
}

fn find<'a>(state: &'a State, name: &Value) -> Result<&'a Rule, ApiError> {
    let name = name.as_str().ok_or_else(|| validation("The rule's name is missing."))?;
    let found = state.bus.rules().values().find(|rule| rule.name == name);
    found.ok_or_else(|| not_found(format!("Rule {name} does not exist on EventBus default.")))
}

//= https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
fn put_events(state: &mut State, now: Time, input: &Value) -> Result<Value, ApiError> {
    let entries = input["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !(1..=ENTRIES_MAX).contains(&entries.len()) {
        let constraint = match entries {
            [] => "Member must have length greater than or equal to 1".to_owned(),
            _ => format!("Member must have length less than or equal to {ENTRIES_MAX}"),
        };
        // AWS's text lists the entries.
        return Err(validation(&violation(
            "[PutEventsRequestEntry]",
            "entries",
            &constraint,
        )));
    }
    let mut failed = 0;
    let mut results = Vec::new();
    for entry in entries {
        results.push(match envelope(&mut state.account.ctx(now), entry) {
            Ok(event) => {
                let text = event["detail-type"].as_str().unwrap_or_default().to_owned();
                let source = event["source"].as_str().unwrap_or_default().to_owned();
                state.account.note(now, Kind::Event, &source, "", text, event.clone());
                state.put_event(now, &event)?;
                json!({"EventId": event["id"]})
            }
            Err(error) => {
                failed += 1;
                json!({"ErrorCode": error.code, "ErrorMessage": error.message})
            }
        });
    }
    Ok(json!({"FailedEntryCount": failed, "Entries": results}))
}

/// An entry as the event that rules see. Each is accepted or refused for itself.
fn envelope(ctx: &mut Ctx, entry: &Value) -> Result<Value, ApiError> {
    for member in ["Source", "DetailType", "Detail"] {
        if entry[member].as_str().is_none_or(str::is_empty) {
            let message = format!("Parameter {member} is not valid. Reason: {member} is a required argument.");
            return Err(ApiError::client("InvalidArgument", message));
        }
    }
    if entry["Source"]
        .as_str()
        .is_some_and(|source| source.starts_with("aws."))
    {
        return Err(ApiError::client(
            "NotAuthorizedForSourceException",
            "Not authorized for the source.",
        ));
    }
    check_bus(entry)?;
    let detail = entry["Detail"]
        .as_str()
        .and_then(|detail| serde_json::from_str(detail).ok());
    let detail: Value = detail
        .filter(Value::is_object)
        .ok_or_else(|| ApiError::client("MalformedDetail", "Detail is malformed."))?;
    let time = entry["Time"]
        .as_f64()
        .and_then(|seconds| Time::from_timestamp(seconds as i64, 0))
        .unwrap_or(ctx.now);
    let mut part = |length: usize| ctx.id("", HEX, length);
    let id = format!("{}-{}-4{}-8{}-{}", part(8), part(4), part(3), part(3), part(12));
    Ok(json!({
        "version": "0",
        "id": id,
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "account": ACCOUNT,
        "time": time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        "region": REGION,
        "resources": if entry["Resources"].is_array() { entry["Resources"].clone() } else { json!([]) },
        "detail": detail,
    }))
}

fn validation(message: &str) -> ApiError {
    ApiError::client("ValidationException", message)
}

fn not_found(message: String) -> ApiError {
    ApiError::client("ResourceNotFoundException", message)
}
