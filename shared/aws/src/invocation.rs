//! What Lambda hands to a function besides the event, and what every function's `main` does around its `handle`.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::Value;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::Aws;
use crate::error::Error;
use crate::metrics::{self, Figures};

/// The longest that Lambda lets an invocation run.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const SECONDS_MAX: i64 = 900;

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
    /// What Lambda's runtime hands over.
    pub fn new(event: LambdaEvent<Value>, now: DateTime<Utc>) -> Self {
        let deadline = i64::try_from(event.context.deadline)
            .ok()
            .and_then(DateTime::from_timestamp_millis);
        Self {
            request_id: event.context.request_id,
            // `cargo lambda watch` sends a constant, ten minutes into 1970, and ends no invocation.
            deadline: deadline
                .filter(|deadline| *deadline > now)
                .unwrap_or(now + TimeDelta::seconds(SECONDS_MAX)),
            payload: event.payload,
        }
    }

    /// How long the invocation may still run, less what it needs to end in order.
    pub fn time_left(&self, now: DateTime<Utc>, reserve: TimeDelta) -> TimeDelta {
        (self.deadline - now - reserve).max(TimeDelta::zero())
    }
}

/// Logs as JSON lines, to the level that `AWS_LAMBDA_LOG_LEVEL` or `RUST_LOG` names; of single crates too, as in
/// `info,aws_smithy_runtime=debug`.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html>
pub fn log_as_json() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG"));
    let levels = level.ok().and_then(|level| level.to_lowercase().parse().ok());
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .with_target(false)
        .with_current_span(false)
        // CloudWatch stamps each line itself.
        .without_time();
    tracing_subscriber::registry()
        .with(lines)
        .with(levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)))
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

#[cfg(test)]
mod tests {
    use lambda_runtime::Context;

    use super::*;

    fn invocation(deadline: u64) -> Invocation {
        let mut context = Context::default();
        context.deadline = deadline;
        Invocation::new(LambdaEvent::new(Value::Null, context), noon())
    }

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_348_800, 0).unwrap()
    }

    #[test]
    fn a_deadline_that_is_none_is_lambdas_longest() {
        // That of `cargo lambda watch`, none at all, and one beyond every calendar.
        for deadline in [600_000, 0, u64::MAX] {
            let left = invocation(deadline).time_left(noon(), TimeDelta::zero());
            assert_eq!(left.num_seconds(), SECONDS_MAX, "{deadline}");
        }
        let left = invocation(1_795_348_860_000).time_left(noon(), TimeDelta::seconds(10));
        assert_eq!(left.num_seconds(), 50);
    }
}
