//! What Lambda hands to a function besides the event, and what every function's `main` does around its `handle`.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::Value;

use crate::aws::Aws;
use crate::error::Error;
use crate::metrics::{self, Figures};

/// One invocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// Lambda's request id. The retries of an asynchronous invocation have the same one; another delivery of the same
    /// event has another.
    pub request_id: String,
    /// When Lambda ends the invocation.
    pub deadline: DateTime<Utc>,
    /// The event.
    pub payload: Value,
}

impl Invocation {
    /// How long the invocation may still run, less what it needs to end in order.
    pub fn time_left(&self, now: DateTime<Utc>, reserve: TimeDelta) -> TimeDelta {
        (self.deadline - now - reserve).max(TimeDelta::zero())
    }
}

impl From<LambdaEvent<Value>> for Invocation {
    fn from(event: LambdaEvent<Value>) -> Self {
        let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
        Self {
            request_id: event.context.request_id,
            deadline: DateTime::from_timestamp_millis(deadline).unwrap_or(DateTime::<Utc>::MAX_UTC),
            payload: event.payload,
        }
    }
}

/// Logs as JSON lines, to the level that `AWS_LAMBDA_LOG_LEVEL` or `RUST_LOG` names.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html>
pub fn log_as_json() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG"));
    let filter = tracing_subscriber::EnvFilter::new(level.unwrap_or_else(|_| "info".into()).to_lowercase());
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_target(false)
        .with_current_span(false)
        // CloudWatch stamps each line itself.
        .without_time()
        .init();
}

/// Logs, once, what an invocation came to, counts it, and hands it to Lambda.
pub fn answer<T: Debug>(aws: &Aws, result: Result<T, Error>) -> Result<T, Diagnostic>
where
    for<'a> Figures<'a>: From<&'a T>,
{
    let figures = match &result {
        Ok(outcome) => {
            tracing::info!(?outcome, "done");
            outcome.into()
        }
        Err(error) => {
            tracing::error!(error = error.chain(), "failed");
            Figures::default()
        }
    };
    metrics::print(aws.now(), aws.take_calls(), figures);
    result.map_err(Diagnostic::from)
}
