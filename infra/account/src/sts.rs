//! Simulated STS: who is calling.
//!
//! Separate because each service has its file; every caller is the account's root here, for people call it, and no
//! function does.

use serde_json::{Value, json};

use crate::api::{ACCOUNT, ApiError};

/// Answers an operation of STS.
//= https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
pub fn call(operation: &str) -> Result<Value, ApiError> {
    match operation {
        "GetCallerIdentity" => Ok(json!({
            "Arn": format!("arn:aws:iam::{ACCOUNT}:root"),
            "UserId": ACCOUNT,
            "Account": ACCOUNT,
        })),
        _ => Err(ApiError::not_implemented("sts", operation)),
    }
}
