//! FIS's REST interface: method and path are the operation.
//!
//! Separate because it is a table.
//= https://docs.aws.amazon.com/fis/latest/APIReference/API_Operations.html

use bytes::Bytes;
use form_urlencoded::parse;
use http::Request;
use serde_json::{Value, json};

use super::json;
use crate::api::ApiError;

/// Method, path with its parameters in braces, operation.
const ROUTES: [(&str, &str, &str); 26] = [
    ("POST", "/experimentTemplates", "CreateExperimentTemplate"),
    ("GET", "/experimentTemplates", "ListExperimentTemplates"),
    ("GET", "/experimentTemplates/{id}", "GetExperimentTemplate"),
    ("PATCH", "/experimentTemplates/{id}", "UpdateExperimentTemplate"),
    ("DELETE", "/experimentTemplates/{id}", "DeleteExperimentTemplate"),
    (
        "GET",
        "/experimentTemplates/{experimentTemplateId}/targetAccountConfigurations",
        "ListTargetAccountConfigurations",
    ),
    (
        "POST",
        "/experimentTemplates/{experimentTemplateId}/targetAccountConfigurations/{accountId}",
        "CreateTargetAccountConfiguration",
    ),
    (
        "GET",
        "/experimentTemplates/{experimentTemplateId}/targetAccountConfigurations/{accountId}",
        "GetTargetAccountConfiguration",
    ),
    (
        "PATCH",
        "/experimentTemplates/{experimentTemplateId}/targetAccountConfigurations/{accountId}",
        "UpdateTargetAccountConfiguration",
    ),
    (
        "DELETE",
        "/experimentTemplates/{experimentTemplateId}/targetAccountConfigurations/{accountId}",
        "DeleteTargetAccountConfiguration",
    ),
    ("POST", "/experiments", "StartExperiment"),
    ("GET", "/experiments", "ListExperiments"),
    ("GET", "/experiments/{id}", "GetExperiment"),
    ("DELETE", "/experiments/{id}", "StopExperiment"),
    (
        "GET",
        "/experiments/{experimentId}/resolvedTargets",
        "ListExperimentResolvedTargets",
    ),
    (
        "GET",
        "/experiments/{experimentId}/targetAccountConfigurations",
        "ListExperimentTargetAccountConfigurations",
    ),
    (
        "GET",
        "/experiments/{experimentId}/targetAccountConfigurations/{accountId}",
        "GetExperimentTargetAccountConfiguration",
    ),
    ("GET", "/actions", "ListActions"),
    ("GET", "/actions/{id}", "GetAction"),
    ("GET", "/targetResourceTypes", "ListTargetResourceTypes"),
    ("GET", "/targetResourceTypes/{resourceType}", "GetTargetResourceType"),
    ("GET", "/safetyLevers/{id}", "GetSafetyLever"),
    ("PATCH", "/safetyLevers/{id}/state", "UpdateSafetyLeverState"),
    ("GET", "/tags/{resourceArn}", "ListTagsForResource"),
    ("POST", "/tags/{resourceArn}", "TagResource"),
    ("DELETE", "/tags/{resourceArn}", "UntagResource"),
];

/// Whether an unsigned request's path can only be FIS's.
pub(super) fn is_path(path: &str) -> bool {
    ROUTES.iter().any(|(_, route, _)| first(route) == first(path))
}

fn first(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or("")
}

/// The operation, and its input with the parameters of path and query under their members' names.
pub(super) fn decode(request: &Request<Bytes>) -> Result<(String, Value), ApiError> {
    let path = request.uri().path();
    let found = ROUTES
        .iter()
        .filter(|(method, ..)| method == request.method())
        .find_map(|(_, route, operation)| Some((operation, parameters(route, path)?)));
    let Some((operation, parameters)) = found else {
        let message = format!("no operation at {} {path}", request.method());
        return Err(ApiError::with_status(404, "UnknownOperationException", message));
    };
    let mut input = json::body(request.body())?;
    for (name, value) in parse(request.uri().query().unwrap_or("").as_bytes()) {
        let value = match name.as_ref() {
            "maxResults" => json!(value.parse::<i64>().map_err(|_| {
                ApiError::client("ValidationException", format!("maxResults is not a number: {value}"))
            })?),
            "tagKeys" => {
                let mut keys = input["tagKeys"].as_array().cloned().unwrap_or_default();
                keys.push(json!(value));
                Value::Array(keys)
            }
            _ => json!(value),
        };
        input[name.as_ref()] = value;
    }
    for (name, value) in parameters {
        input[name] = Value::String(value);
    }
    Ok(((*operation).to_owned(), input))
}

/// The path's parameters, when it is of this route.
pub(super) fn parameters<'a>(route: &'a str, path: &str) -> Option<Vec<(&'a str, String)>> {
    let mut path: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let joined;
    if first(route) == "tags" && path.len() > 3 {
        // An ARN has slashes, which not every client encodes.
        joined = path.split_off(2).join("/");
        path.push(&joined);
    }
    let route: Vec<&str> = route.split('/').collect();
    if route.len() != path.len() {
        return None;
    }
    let mut found = Vec::new();
    for (pattern, segment) in route.iter().zip(path) {
        match pattern.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !segment.is_empty() => found.push((name, percent_decoded(segment))),
            None if *pattern == segment => {}
            _ => return None,
        }
    }
    Some(found)
}

/// A path segment without its percent signs.
pub fn percent_decoded(segment: &str) -> String {
    // The form decoder takes a plus for a space, and reads up to the first `&` or `=`: a path has neither meaning.
    let form = segment.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    parse(form.as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}
