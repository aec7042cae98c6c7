//! AWS's JSON protocols: the operation in a header, the input as the body.
//!
//! Separate because EMR and DynamoDB share it.

use bytes::Bytes;
use http::Request;
use serde_json::{Map, Value};

use super::header;
use crate::api::ApiError;

/// The operation that `X-Amz-Target` names after its dot.
//= https://docs.aws.amazon.com/emr/latest/APIReference/CommonParameters.html
pub(super) fn target(request: &Request<Bytes>) -> Result<String, ApiError> {
    header(request, "x-amz-target")
        .and_then(|target| target.rsplit_once('.'))
        .map(|(_, operation)| operation.to_owned())
        .filter(|operation| !operation.is_empty())
        .ok_or_else(|| {
            ApiError::client(
                "UnknownOperationException",
                "the header X-Amz-Target names no operation",
            )
        })
}

pub(super) fn decode(request: &Request<Bytes>) -> Result<(String, Value), ApiError> {
    Ok((target(request)?, body(request.body())?))
}

/// The body as an object; an empty body is an empty object.
pub(super) fn body(body: &Bytes) -> Result<Value, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(Value::Object(members)),
        Ok(_) => Err(ApiError::client(
            "SerializationException",
            "the body is not a JSON object",
        )),
        Err(error) => Err(ApiError::client(
            "SerializationException",
            format!("the body is not JSON: {error}"),
        )),
    }
}
