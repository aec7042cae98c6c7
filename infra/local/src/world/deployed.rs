//! The services through which clients see and steer what is deployed around the account's own services: stacks, rules,
//! schedules, functions, logs.
//!
//! Separate because their state is the world's: what they change is how events travel, not what an account holds.

pub mod cloudformation;
pub mod events;
pub mod lambda;
pub mod logs;
pub mod schedules;

use account::api::{ApiError, Time};
use account::sts;
use account::wire::{Call, Service};
use bytes::Bytes;
use http::Response;
use serde_json::Value;

use crate::world::{State, World};

/// Whether the service is one of these.
pub fn has(service: &Service) -> bool {
    matches!(
        service,
        Service::CloudFormation | Service::Events | Service::Lambda | Service::Logs | Service::Scheduler | Service::Sts
    )
}

/// Answers one request of a client's. Only a function's synchronous invocation takes time.
pub async fn answer(world: &World, caller: &str, call: &Call) -> Response<Bytes> {
    let now = world.clock.now();
    let (asked, admitted) = {
        let account = &mut world.lock().account;
        account.advance(now);
        account.admit(caller, call)
    };
    let answer = match admitted {
        Err(refused) => Err(refused),
        Ok(()) if call.service == Service::Lambda && call.operation == "Invoke" => {
            lambda::invoke(world, &call.input).await
        }
        Ok(()) => dispatch(&mut world.lock(), now, call),
    };
    let now = world.clock.now();
    world.lock().account.conclude(now, caller, call, asked, answer)
}

fn dispatch(state: &mut State, now: Time, call: &Call) -> Result<Value, ApiError> {
    let (operation, input) = (call.operation.as_str(), &call.input);
    match call.service {
        Service::CloudFormation => cloudformation::call(state, now, operation, input),
        Service::Events => events::call(state, now, operation, input),
        Service::Lambda => lambda::call(state, operation, input),
        Service::Logs => logs::call(state, operation, input),
        Service::Scheduler => schedules::call(state, operation, input),
        Service::Sts => sts::call(operation),
        _ => Err(ApiError::not_implemented(call.service.iam_prefix(), operation)),
    }
}

/// One page of a list: `items` from the position that the token names, `size` at most, and the token of the next page.
pub(crate) fn page(
    items: Vec<Value>,
    token: &Value,
    size: usize,
    invalid_token: impl Fn() -> ApiError,
) -> Result<(Vec<Value>, Option<String>), ApiError> {
    let begin = match token {
        Value::Null => 0,
        token => token
            .as_str()
            .and_then(|token| token.strip_prefix("after-")?.parse().ok())
            .filter(|begin| *begin <= items.len())
            .ok_or_else(invalid_token)?,
    };
    let end = items.len().min(begin + size.max(1));
    let next = (end < items.len()).then(|| format!("after-{end}"));
    Ok((items.into_iter().skip(begin).take(end - begin).collect(), next))
}

/// The words in which AWS's services refuse a value that their model does not allow.
//= https://smithy.io/2.0/spec/constraint-traits.html
pub(crate) fn violation(value: &str, member: &str, constraint: &str) -> String {
    format!("1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}")
}

/// The constraint that a number from 1 to this one does not satisfy.
pub(crate) fn out_of_range(value: &Value, most: usize) -> String {
    if value.as_u64().is_some_and(|value| value > 0) {
        format!("Member must have value less than or equal to {most}")
    } else {
        "Member must have value greater than or equal to 1".to_owned()
    }
}

/// A number that says how long a page may be: of JSON, or of a query string.
pub(crate) fn page_size(value: &Value, most: usize, invalid: impl Fn() -> ApiError) -> Result<usize, ApiError> {
    match value {
        Value::Null => Ok(most),
        given => given
            .as_u64()
            .or_else(|| given.as_str()?.parse().ok())
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| (1..=most).contains(size))
            .ok_or_else(invalid),
    }
}

#[cfg(test)]
mod tests;
