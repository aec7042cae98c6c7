//! What Lambda makes of a function, wherever it runs: its limits, its log, its errors.
//!
//! Separate because functions run as programs of their own, which only Linux can, behind cargo-lambda, and in this process.

use lambda_runtime::Diagnostic;
use serde_json::Value;

/// Lambda's own limit of an answer.
//= https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
pub(crate) const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024;

/// The stream that EventBridge's deliveries and a function's lines are in; on AWS its name is random, and each of a
/// function's execution environments has its own.
pub(crate) const LOG_STREAM: &str = "54530f26-0b1c-4bd2-9d3e-0c6c5cbd6f3a";

/// The error that a function reported.
pub(crate) fn reported(error: &Value) -> Diagnostic {
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    Diagnostic {
        error_type: text("errorType"),
        error_message: text("errorMessage"),
    }
}

/// An error that Lambda reports for a function.
pub(crate) fn failed(kind: &str, message: String) -> Diagnostic {
    Diagnostic {
        error_type: kind.into(),
        error_message: message,
    }
}
