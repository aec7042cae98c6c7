//! What CloudWatch counts: a line in its embedded metric format for each invocation, and one for each report.
//!
//! Separate from the log because these lines are an interface: alarms and the dashboard read them by name. Lambda
//! hands standard output to CloudWatch Logs, which takes the figures out of them; no call and no permission is needed.
//!
//! Lambda's filter by level drops such lines with all others: `timestamp` and `level` say what it would assume, INFO.
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::{self, Write};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use metrique::emf::Emf;
use metrique::writer::format::Format as _;
use metrique::writer::unit::{AsCount, AsMilliseconds, AsSeconds};
use metrique::writer::value::VecDistribution;
use metrique::writer::{Entry, IoStreamError};

use crate::Calls;
use crate::outcome::{Outcome, Reported};

/// The namespace of all metrics; a stack's are told apart by its functions' names.
pub const NAMESPACE: &str = "SpotDrill";

/// The level of these lines, for Lambda's filter.
const LEVEL: &str = "INFO";

/// What an answer has to count.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures<'a> {
    /// The reports that were written.
    pub reports: &'a [Reported],
    /// From each warning's time to its record, in milliseconds.
    pub warning_latencies_ms: &'a [i64],
    /// Drills whose steps were found to run long after their losses.
    pub not_recovered: usize,
}

impl<'a> From<&'a Outcome> for Figures<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        let reports = match outcome {
            Outcome::Reported(report) => std::slice::from_ref(report),
            Outcome::Swept { reported, .. } => reported,
            _ => &[],
        };
        let not_recovered = match outcome {
            Outcome::Swept { not_recovered, .. } => not_recovered.len(),
            _ => 0,
        };
        Self {
            reports,
            not_recovered,
            ..Self::default()
        }
    }
}

/// Writes the lines of one invocation to standard output.
pub fn print(now: DateTime<Utc>, calls: Calls, figures: Figures<'_>) {
    let function = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    let mut lines = Vec::new();
    if let Err(error) = write(&mut lines, &function, now, calls, figures) {
        tracing::error!(%error, "metrics lost");
    }
    // One write, so that no line of the log comes between.
    io::stdout().lock().write_all(&lines).ok();
}

fn write(
    out: &mut Vec<u8>,
    function: &str,
    now: DateTime<Utc>,
    calls: Calls,
    figures: Figures<'_>,
) -> Result<(), IoStreamError> {
    let by_function = vec!["Function".to_owned()];
    let timestamp = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut emf = Emf::builder(NAMESPACE.into(), vec![by_function.clone()]).build();
    let latencies = figures.warning_latencies_ms.iter();
    let line = InvocationLine {
        at: now.into(),
        timestamp: &timestamp,
        level: LEVEL,
        function,
        api_calls: calls.made.into(),
        api_retries: calls.retries.into(),
        api_throttles: calls.throttles.into(),
        warning_latency: latencies.map(|ms| not_negative(*ms).into()).collect(),
    };
    emf.format(&line, out)?;
    if figures.not_recovered > 0 {
        let line = NotRecoveredLine {
            at: now.into(),
            timestamp: &timestamp,
            level: LEVEL,
            function,
            not_recovered: (figures.not_recovered as u64).into(),
        };
        emf.format(&line, out)?;
    }
    // Most invocations write none, and a burst of warnings none at all.
    if figures.reports.is_empty() {
        return Ok(());
    }
    let by_verdict = vec!["Function".to_owned(), "Verdict".to_owned()];
    let mut emf = Emf::builder(NAMESPACE.into(), vec![by_function, by_verdict]).build();
    for report in figures.reports {
        let seconds = report.seconds_to_replace.iter();
        let line = ReportLine {
            at: now.into(),
            timestamp: &timestamp,
            level: LEVEL,
            function,
            verdict: &report.verdict,
            reports: u64::from(report.first).into(),
            drills: u64::from(report.first && report.drilled).into(),
            victims: if report.first { report.victims } else { 0 }.into(),
            report_lag: report.lag_seconds.map(|lag| not_negative(lag).into()),
            seconds_to_replace: seconds.map(|seconds| not_negative(*seconds).into()).collect(),
        };
        emf.format(&line, out)?;
    }
    Ok(())
}

/// CloudWatch would take a negative duration; two clocks that disagree by a little are no news.
fn not_negative(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

/// One invocation.
#[derive(Entry)]
#[entry(rename_all = "PascalCase")]
struct InvocationLine<'l> {
    #[entry(timestamp)]
    at: SystemTime,
    #[entry(name = "timestamp")]
    timestamp: &'l str,
    #[entry(name = "level")]
    level: &'static str,
    function: &'l str,
    /// Calls as the function made them.
    api_calls: AsCount<u64>,
    /// Attempts beyond the first of each call.
    api_retries: AsCount<u64>,
    /// Attempts that AWS turned away because they came too fast.
    api_throttles: AsCount<u64>,
    /// From each Spot warning's time to its record.
    warning_latency: VecDistribution<AsMilliseconds<u64>>,
}

/// Drills that have not recovered; an alarm looks at it.
#[derive(Entry)]
#[entry(rename_all = "PascalCase")]
struct NotRecoveredLine<'l> {
    #[entry(timestamp)]
    at: SystemTime,
    #[entry(name = "timestamp")]
    timestamp: &'l str,
    #[entry(name = "level")]
    level: &'static str,
    function: &'l str,
    /// Each is counted once, when it is found.
    not_recovered: AsCount<u64>,
}

/// One report.
#[derive(Entry)]
#[entry(rename_all = "PascalCase")]
struct ReportLine<'l> {
    #[entry(timestamp)]
    at: SystemTime,
    #[entry(name = "timestamp")]
    timestamp: &'l str,
    #[entry(name = "level")]
    level: &'static str,
    function: &'l str,
    verdict: &'l str,
    /// 1 for a step's first report, 0 for one that takes its place.
    reports: AsCount<u64>,
    /// The same, of steps with an experiment.
    drills: AsCount<u64>,
    /// Instances that the drill's experiments interrupted.
    victims: AsCount<u64>,
    /// From the step's end to its report.
    report_lag: Option<AsSeconds<u64>>,
    /// From each notice to the time when its replacement was ready.
    seconds_to_replace: VecDistribution<AsSeconds<u64>>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lines(calls: Calls, figures: Figures<'_>) -> Vec<Value> {
        let mut out = Vec::new();
        let now = DateTime::from_timestamp_millis(1_795_357_823_456).unwrap();
        write(&mut out, "spot-drill-WriteReport", now, calls, figures).unwrap();
        String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn report() -> Reported {
        Reported {
            verdict: "survived".into(),
            sentence: "The job survived.".into(),
            report: "s3://b/reports/j-1/s-1/".into(),
            first: true,
            drilled: true,
            victims: 3,
            seconds_to_replace: vec![151, 163, 151],
            lag_seconds: Some(71),
        }
    }

    /// The metrics of a line, by name, with their units: what the directives declare.
    fn declared(line: &Value) -> Vec<(String, String)> {
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], NAMESPACE);
        let metrics = directive["Metrics"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        metrics
            .iter()
            .map(|metric| (text(&metric["Name"]), text(&metric["Unit"])))
            .collect()
    }

    #[test]
    fn an_invocation_counts_its_calls_and_nothing_that_did_not_happen() {
        let calls = Calls {
            made: 4,
            retries: 2,
            throttles: 1,
        };
        let lines = lines(calls, Figures::default());
        assert_eq!(lines.len(), 1);
        let names: Vec<String> = declared(&lines[0]).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["ApiCalls", "ApiRetries", "ApiThrottles"]);
        assert_eq!(
            lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
            json!([["Function"]])
        );
        assert_eq!(lines[0]["_aws"]["Timestamp"], 1_795_357_823_456_i64);
        assert_eq!(lines[0]["Function"], "spot-drill-WriteReport");
        assert_eq!(lines[0]["ApiThrottles"], 1);
    }

    #[test]
    fn each_warning_has_a_latency_and_clocks_that_disagree_make_none_of_it() {
        let figures = Figures {
            warning_latencies_ms: &[900, -3, 1100],
            ..Figures::default()
        };
        let line = &lines(Calls::default(), figures)[0];
        assert!(declared(line).contains(&("WarningLatency".into(), "Milliseconds".into())));
        assert_eq!(line["WarningLatency"]["Values"], json!([900, 0, 1100]));
        assert_eq!(line["WarningLatency"]["Counts"], json!([1, 1, 1]));
    }

    #[test]
    fn a_report_counts_once_by_its_verdict_however_often_it_is_written() {
        let again = Reported {
            first: false,
            ..report()
        };
        let reports = [report(), again];
        let figures = Figures {
            reports: &reports,
            ..Figures::default()
        };
        let lines = lines(Calls::default(), figures);
        assert_eq!(lines.len(), 3);
        for line in &lines {
            assert_eq!(
                (&line["timestamp"], &line["level"]),
                (&json!("2026-11-22T14:30:23.456Z"), &json!("INFO"))
            );
        }
        let first = &lines[1];
        assert_eq!(
            first["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
            json!([["Function"], ["Function", "Verdict"]])
        );
        assert_eq!(first["Verdict"], "survived");
        assert!(declared(first).contains(&("SecondsToReplace".into(), "Seconds".into())));
        assert_eq!((&first["Drills"], &first["Victims"]), (&json!(1), &json!(3)));
        assert_eq!(first["ReportLag"], 71);
        assert_eq!((&lines[2]["Drills"], &lines[2]["Reports"]), (&json!(0), &json!(0)));
    }

    #[test]
    fn a_drill_that_has_not_recovered_is_a_line_that_an_alarm_can_look_at() {
        let figures = Figures {
            not_recovered: 2,
            ..Figures::default()
        };
        let lines = lines(Calls::default(), figures);
        assert_eq!(lines.len(), 2);
        assert_eq!(declared(&lines[1]), [("NotRecovered".to_owned(), "Count".to_owned())]);
        assert_eq!(lines[1]["NotRecovered"], 2);
    }

    #[test]
    fn what_a_sweep_wrote_and_what_it_misses_is_counted() {
        let swept = Outcome::Swept {
            steps: 2,
            reported: vec![report()],
            not_recovered: vec![crate::outcome::NotRecovered {
                sentence: "Not recovered after 60 minutes.".into(),
                report: "s3://b/interim/j-1/s-1/".into(),
                minutes: 60,
            }],
            templates_deleted: 0,
            clusters: 1,
            clusters_left: 0,
            problems: Vec::new(),
        };
        let figures = Figures::from(&swept);
        assert_eq!((figures.reports.len(), figures.not_recovered), (1, 1));
        let reported = Outcome::Reported(report());
        let figures = Figures::from(&reported);
        assert_eq!((figures.reports.len(), figures.not_recovered), (1, 0));
    }
}
