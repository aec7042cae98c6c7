//! Simulated EventBridge Scheduler's API: the schedules of the deployed template.
//!
//! Separate from `scheduler`, which says when a schedule fires. Schedules are only made by the deployment.

use account::api::{ACCOUNT, ApiError, REGION};
use account::template::{STACK, Schedule};
use serde_json::{Value, json};

use crate::world::State;
use crate::world::deployed::events::arn;
use crate::world::deployed::{page, page_size};

/// Answers an operation of EventBridge Scheduler.
pub fn call(state: &State, operation: &str, input: &Value) -> Result<Value, ApiError> {
    match operation {
        "GetSchedule" => get(state, input),
        "ListSchedules" => list(state, input),
        _ => Err(ApiError::not_implemented("scheduler", operation)),
    }
}

//= https://docs.aws.amazon.com/scheduler/latest/APIReference/API_GetSchedule.html
fn get(state: &State, input: &Value) -> Result<Value, ApiError> {
    let name = input["Name"].as_str().unwrap_or_default();
    let group = input["groupName"].as_str().unwrap_or("default");
    let found = state.template.schedules.iter().find(|schedule| schedule.id == name);
    let schedule = found.filter(|_| group == STACK).ok_or_else(|| {
        let message = format!("Schedule {name} does not exist.");
        ApiError::with_status(404, "ResourceNotFoundException", message)
    })?;
    let mut shown = summary(state, schedule);
    shown["ScheduleExpression"] = schedule.expression.as_str().into();
    shown["ScheduleExpressionTimezone"] = "UTC".into();
    shown["FlexibleTimeWindow"] = json!({"Mode": "OFF"});
    shown["ActionAfterCompletion"] = "NONE".into();
    shown["Target"]["RoleArn"] = format!("arn:aws:iam::{ACCOUNT}:role/{STACK}-ScheduleRole").into();
    shown["Target"]["Input"] = schedule.input.as_str().into();
    shown["Target"]["RetryPolicy"] = json!({
        "MaximumEventAgeInSeconds": schedule.retry.event_age_seconds_max,
        "MaximumRetryAttempts": schedule.retry.retries,
    });
    Ok(shown)
}

//= https://docs.aws.amazon.com/scheduler/latest/APIReference/API_ListSchedules.html
fn list(state: &State, input: &Value) -> Result<Value, ApiError> {
    let wanted = |member: &str| input[member].as_str();
    let in_group = wanted("ScheduleGroup").is_none_or(|group| group == STACK);
    let mut found: Vec<&Schedule> = state
        .template
        .schedules
        .iter()
        .filter(|schedule| in_group && schedule.id.starts_with(wanted("NamePrefix").unwrap_or_default()))
        .filter(|schedule| wanted("State").is_none_or(|state| state == self::state(schedule)))
        .collect();
    found.sort_by(|one, other| one.id.cmp(&other.id));
    let shown = found.into_iter().map(|schedule| summary(state, schedule)).collect();
    let size = page_size(&input["MaxResults"], 100, || {
        validation("MaxResults must be from 1 to 100.")
    })?;
    let (schedules, next) = page(shown, &input["NextToken"], size, || validation("Invalid NextToken."))?;
    let mut answer = json!({"Schedules": schedules});
    if let Some(next) = next {
        answer["NextToken"] = next.into();
    }
    Ok(answer)
}

fn summary(state: &State, schedule: &Schedule) -> Value {
    let created_at = json!(state.stacks.deployed_at().timestamp_millis() as f64 / 1000.0);
    json!({
        "Arn": format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/{STACK}/{}", schedule.id),
        "Name": schedule.id,
        "GroupName": STACK,
        "State": self::state(schedule),
        "CreationDate": created_at,
        "LastModificationDate": created_at,
        "Target": {"Arn": arn(state, &schedule.destination)},
    })
}

fn state(schedule: &Schedule) -> &'static str {
    if schedule.enabled { "ENABLED" } else { "DISABLED" }
}

fn validation(message: &str) -> ApiError {
    ApiError::client("ValidationException", message)
}
