//! What Lambda hands to a function besides the event, and what every function's `main` does around its `handle`.

use std::fmt::Debug;
use std::io;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::Value;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
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
    // No level is not the name of none.
    let set = |name: &str| std::env::var(name).ok().filter(|level| !level.is_empty());
    let level = set("AWS_LAMBDA_LOG_LEVEL").or_else(|| set("RUST_LOG"));
    let levels = level.and_then(|level| level.to_lowercase().parse().ok());
    let levels = levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    json_lines(io::stdout).with(levels).init();
}

/// Lines with `timestamp`, in RFC 3339, and `level`. Lambda's filter takes a line that lacks either for INFO, whatever it
/// says: <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>.
fn json_lines<W>(writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .with_target(false)
        .with_current_span(false)
        .with_writer(writer);
    tracing_subscriber::registry().with(lines)
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
    use std::io::Read;
    use std::process::Command;
    use std::sync::Arc;

    use lambda_runtime::Context;
    use tracing::subscriber::with_default;

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
    fn each_line_of_the_log_says_when_and_how_grave_in_a_form_that_lambdas_filter_reads() {
        let (mut written, writer) = io::pipe().unwrap();
        with_default(json_lines(Arc::new(writer)), || {
            tracing::error!(error = "no", "failed");
            tracing::warn!("strange");
            tracing::info!("done");
            tracing::debug!("looked");
            tracing::trace!("turned");
        });
        let mut text = String::new();
        written.read_to_string(&mut text).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let levels: Vec<&str> = lines.iter().map(|line| line["level"].as_str().unwrap()).collect();
        assert_eq!(levels, ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"]);
        for line in &lines {
            let timestamp = line["timestamp"].as_str().unwrap();
            assert!(timestamp.ends_with('Z') && timestamp.contains('.'), "{timestamp}");
            assert!(DateTime::parse_from_rfc3339(timestamp).is_ok(), "{timestamp}");
        }
    }

    #[test]
    #[ignore = "a process of its own, which the next test begins"]
    fn logs() {
        log_as_json();
        tracing::warn!("strange");
        tracing::info!("done");
        tracing::debug!("looked");
    }

    #[test]
    fn a_process_logs_to_the_level_that_lambda_names() {
        for (lambda, rust, expected) in [
            ("WARN", "debug", vec!["WARN"]),
            ("DEBUG", "", vec!["WARN", "INFO", "DEBUG"]),
            ("", "warn", vec!["WARN"]),
            ("", "", vec!["WARN", "INFO"]),
            ("FATAL", "", vec![]),
        ] {
            let mut process = Command::new(std::env::current_exe().unwrap());
            process.args(["--exact", "invocation::tests::logs", "--ignored", "--nocapture"]);
            process.envs([("AWS_LAMBDA_LOG_LEVEL", lambda), ("RUST_LOG", rust)]);
            let said = String::from_utf8(process.output().unwrap().stdout).unwrap();
            let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let levels: Vec<Value> = lines.map(|line| line["level"].clone()).collect();
            assert_eq!(levels, expected, "{lambda:?} {rust:?}: {said}");
        }
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
