//! The REST interfaces of Lambda and EventBridge Scheduler: method and path are the operation.
//!
//! Separate because they are tables; FIS's is longer and has a file of its own. What is not in a table goes on as its
//! method and path, so that the refusal can say what the account lacks.

use bytes::Bytes;
use form_urlencoded::parse;
use http::Request;
use serde_json::{Value, json};

use super::{fis, header, json};
use crate::api::ApiError;

/// Method, path with its parameters in braces, operation.
type Route = (&'static str, &'static str, &'static str);

//= https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html
const LAMBDA: [Route; 4] = [
    ("GET", "/2015-03-31/functions", "ListFunctions"),
    ("GET", "/2015-03-31/functions/{FunctionName}", "GetFunction"),
    (
        "GET",
        "/2015-03-31/functions/{FunctionName}/configuration",
        "GetFunctionConfiguration",
    ),
    ("POST", "/2015-03-31/functions/{FunctionName}/invocations", "Invoke"),
];

//= https://docs.aws.amazon.com/scheduler/latest/APIReference/API_Operations.html
const SCHEDULER: [Route; 6] = [
    ("GET", "/schedules", "ListSchedules"),
    ("GET", "/schedules/{Name}", "GetSchedule"),
    ("POST", "/schedules/{Name}", "CreateSchedule"),
    ("PUT", "/schedules/{Name}", "UpdateSchedule"),
    ("DELETE", "/schedules/{Name}", "DeleteSchedule"),
    ("GET", "/schedule-groups", "ListScheduleGroups"),
];

/// An operation of Lambda. Invoke's input has the payload beside the members that come as headers.
pub(super) fn lambda(request: &Request<Bytes>) -> Result<(String, Value), ApiError> {
    let (operation, mut input) = route(&LAMBDA, request);
    if operation == "Invoke" {
        input["InvocationType"] = json!(header(request, "x-amz-invocation-type").unwrap_or("RequestResponse"));
        input["Payload"] = payload(request.body())?;
    }
    Ok((operation, input))
}

/// An operation of EventBridge Scheduler.
pub(super) fn scheduler(request: &Request<Bytes>) -> Result<(String, Value), ApiError> {
    let (operation, mut input) = route(&SCHEDULER, request);
    if let (Value::Object(body), Some(members)) = (json::body(request.body())?, input.as_object_mut()) {
        members.extend(body);
    }
    Ok((operation, input))
}

fn payload(body: &Bytes) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("Could not parse request body into json: {error}");
        ApiError::client("InvalidRequestContentException", message)
    })
}

fn route(routes: &[Route], request: &Request<Bytes>) -> (String, Value) {
    let path = request.uri().path();
    let found = routes
        .iter()
        .filter(|(method, ..)| method == request.method())
        .find_map(|(_, route, operation)| Some((*operation, fis::parameters(route, path)?)));
    let Some((operation, parameters)) = found else {
        return (format!("{} {path}", request.method()), json!({}));
    };
    let mut input = json!({});
    for (name, value) in parse(request.uri().query().unwrap_or("").as_bytes()) {
        input[name.as_ref()] = json!(value);
    }
    for (name, value) in parameters {
        input[name] = Value::String(value);
    }
    (operation.to_owned(), input)
}
