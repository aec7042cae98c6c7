//! Simulated Lambda's API: the deployed functions, shown and invoked.
//!
//! Separate because a synchronous invocation is the only call that takes virtual time.

use account::api::{ACCOUNT, ApiError, REGION};
use account::template::{Destination, Function};
use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::world::deployed::{page, page_size};
use crate::world::{State, World};

/// Answers an operation of Lambda, except Invoke.
pub fn call(state: &State, operation: &str, input: &Value) -> Result<Value, ApiError> {
    match operation {
        "ListFunctions" => list(state, input),
        "GetFunctionConfiguration" => find(state, &input["FunctionName"]).map(|(_, function)| show(state, function)),
        "GetFunction" => {
            let (_, function) = find(state, &input["FunctionName"])?;
            Ok(json!({"Configuration": show(state, function)}))
        }
        _ => Err(ApiError::not_implemented("lambda", operation)),
    }
}

/// Invokes a function; takes as long as the function when the caller waits for its answer.
//= https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
pub async fn invoke(world: &World, input: &Value) -> Result<Value, ApiError> {
    let now = world.clock.now();
    let (id, request_id) = {
        let mut state = world.lock();
        let id = find(&state, &input["FunctionName"])?.0.clone();
        (id, state.new_id(now))
    };
    let payload = input["Payload"].clone();
    match input["InvocationType"].as_str() {
        Some("DryRun") => Ok(json!({"StatusCode": 204})),
        Some("Event") => {
            world
                .lock()
                .schedule_delivery(now, &Destination::Function(id), &payload);
            Ok(json!({"StatusCode": 202}))
        }
        Some("RequestResponse") => Ok(match world.invoke(&id, &request_id, payload).await {
            Ok(answer) => json!({"StatusCode": 200, "Payload": answer}),
            Err(error) => json!({"StatusCode": 200, "FunctionError": "Unhandled", "Payload": error}),
        }),
        other => {
            let message = format!("The invocation type {} is not valid.", other.unwrap_or_default());
            Err(ApiError::client("InvalidParameterValueException", message))
        }
    }
}

//= https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html
fn list(state: &State, input: &Value) -> Result<Value, ApiError> {
    let mut functions: Vec<&Function> = state.template.functions.values().collect();
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    let shown = functions.into_iter().map(|function| show(state, function)).collect();
    let invalid = |message: &'static str| move || ApiError::client("InvalidParameterValueException", message);
    let size = page_size(&input["MaxItems"], 10_000, invalid("MaxItems must be from 1 to 10000."))?.min(50);
    let (functions, next) = page(shown, &input["Marker"], size, invalid("The marker is not valid."))?;
    let mut answer = json!({"Functions": functions});
    if let Some(next) = next {
        answer["NextMarker"] = next.into();
    }
    Ok(answer)
}

/// The function that a name, an ARN or a part of one stands for.
//= https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html
fn find<'a>(state: &'a State, name: &Value) -> Result<(&'a String, &'a Function), ApiError> {
    let given = name.as_str().unwrap_or_default();
    let own_arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:");
    let own_part = format!("{ACCOUNT}:function:");
    let name = given
        .strip_prefix(&own_arn)
        .or_else(|| given.strip_prefix(&own_part))
        .unwrap_or(given);
    let name = name.strip_suffix(":$LATEST").unwrap_or(name);
    state.template.function_named(name).ok_or_else(|| {
        let message = format!("Function not found: {own_arn}{name}");
        ApiError::with_status(404, "ResourceNotFoundException", message)
    })
}

/// The configuration; its code has no size here, since the functions may run in the simulation's own process.
fn show(state: &State, function: &Function) -> Value {
    let modified_at = state.stacks.deployed_at().to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({
        "FunctionName": function.name,
        "FunctionArn": function.arn,
        "Runtime": "provided.al2023",
        "Role": function.role,
        "Handler": "bootstrap",
        "CodeSize": 0,
        "Description": "",
        "Timeout": function.timeout_seconds,
        "MemorySize": function.memory_mb,
        // Lambda writes the offset without a colon.
        "LastModified": modified_at.replace('Z', "+0000"),
        "Version": "$LATEST",
        "Environment": {"Variables": function.environment},
        "PackageType": "Zip",
        "Architectures": ["arm64"],
        "State": "Active",
        "LastUpdateStatus": "Successful",
    })
}
