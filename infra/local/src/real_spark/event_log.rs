//! Spark's event log as it would lie in S3: with the account's times, host names and application id.
//!
//! Separate because it changes words and numbers of a text, line by line, and nothing of what they say. A moment is moved
//! on to the account's clock; what Spark tells as a duration, such as `Executor Run Time`, stays the machine's.

use std::io::{self, BufRead, Write};

use super::moments::Moments;

/// The fields that hold a moment, in ms since the epoch.
/// <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/util/JsonProtocol.scala>, and `time`
/// of <https://github.com/apache/spark/blob/v3.5.5/sql/core/src/main/scala/org/apache/spark/sql/execution/ui/SQLListener.scala>
const MOMENTS: [&str; 7] = [
    "\"Timestamp\":",
    "\"Launch Time\":",
    "\"Finish Time\":",
    "\"Getting Result Time\":",
    "\"Submission Time\":",
    "\"Completion Time\":",
    "\"time\":",
];

/// A moment has so many digits since 2001; 0 stands for none.
const DIGITS: usize = 13;

/// What becomes of what.
#[derive(Debug, Clone)]
pub(super) struct Translation<'a> {
    /// When things happened.
    pub(super) moments: &'a Moments,
    /// Addresses, and the names of the instances that they stand for.
    pub(super) hosts: &'a [(String, String)],
    /// YARN's id.
    pub(super) application_id: &'a str,
    /// YARN's number of the attempt; a driver in client mode has none.
    pub(super) attempt: Option<u32>,
}

impl Translation<'_> {
    /// Translates a whole log.
    pub(super) fn log(&self, log: impl BufRead, mut out: impl Write) -> io::Result<()> {
        for line in log.lines() {
            let line = self.line(&line?);
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    fn line(&self, line: &str) -> String {
        let mut line = self.text(&with_moments(line, |ms| self.moments.at_ms(ms)));
        // Such a driver is one in cluster mode to YARN and EMR, though Spark was told otherwise.
        if self.attempt.is_some() && line.starts_with("{\"Event\":\"SparkListenerEnvironmentUpdate\"") {
            let mode = |mode: &str| format!("\"spark.submit.deployMode\":\"{mode}\"");
            line = line.replace(&mode("client"), &mode("cluster"));
        }
        match (self.attempt, line.strip_suffix('}')) {
            (Some(attempt), Some(rest)) if line.starts_with("{\"Event\":\"SparkListenerApplicationStart\"") => {
                format!("{rest},\"App Attempt ID\":\"{attempt}\"}}")
            }
            _ => line,
        }
    }

    /// Hosts and application in any text: a log's line, or what the driver printed.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (address, host) in self.hosts {
            text = replaced(&text, address, host);
        }
        with_application(&text, self.application_id)
    }
}

/// Replaces an address where it is not the begin of a longer one.
fn replaced(text: &str, address: &str, host: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(address) {
        let (before, after) = (&rest[..at], &rest[at + address.len()..]);
        let is_whole =
            !after.starts_with(|c: char| c.is_ascii_digit()) && !before.ends_with(|c: char| c.is_ascii_digit());
        out.push_str(before);
        out.push_str(if is_whole { host } else { address });
        rest = after;
    }
    out + rest
}

/// Replaces the ids that a standalone master gives: `app-20261120140000-0000`.
fn with_application(text: &str, application_id: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("app-") {
        let tail = rest.as_bytes()[at + 4..].iter();
        let length = tail.take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        out.push_str(&rest[..at]);
        let word = &rest[at..at + 4 + length];
        out.push_str(if length == 19 { application_id } else { word });
        rest = &rest[at + 4 + length..];
    }
    out + rest
}

fn with_moments(line: &str, moved: impl Fn(i64) -> i64) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    loop {
        let next = MOMENTS.iter().filter_map(|key| Some(rest.find(key)? + key.len())).min();
        let Some(at) = next else { return out + rest };
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        if let (DIGITS, Ok(ms)) = (length, rest[..length].parse()) {
            out.push_str(&moved(ms).to_string());
            rest = &rest[length..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::tests::moments;
    use super::*;

    const ID: &str = "application_1795000000000_0001";

    fn translated(line: &str, attempt: Option<u32>) -> String {
        let hosts = [
            (
                "127.1.1.2".to_owned(),
                "ip-10-0-0-2.us-sim-1.compute.internal".to_owned(),
            ),
            (
                "127.1.1.20".to_owned(),
                "ip-10-0-0-20.us-sim-1.compute.internal".to_owned(),
            ),
        ];
        let translation = Translation {
            moments: &moments(&[(1_800_000_000_000, 1_795_000_000_000, 10)]),
            hosts: &hosts,
            application_id: ID,
            attempt,
        };
        translation.line(line)
    }

    #[test]
    fn moments_are_the_accounts_and_durations_stay() {
        let line = r#"{"Event":"SparkListenerTaskEnd","Task Info":{"Launch Time":1800000001000,"Getting Result Time":0},"Task Metrics":{"Executor Run Time":1800000001000}}"#;
        let expected = r#"{"Event":"SparkListenerTaskEnd","Task Info":{"Launch Time":1795000010000,"Getting Result Time":0},"Task Metrics":{"Executor Run Time":1800000001000}}"#;
        assert_eq!(translated(line, None), expected);
        // What a job says in its own words is no field.
        let words = r#"{"description":"\"Timestamp\":1800000001000"}"#;
        assert_eq!(translated(words, None), words);
    }

    #[test]
    fn an_address_is_the_instances_name_and_no_part_of_another_address() {
        let line = r#"{"Host":"127.1.1.2","other":"/127.1.1.20:4711","third":"127.1.1.200 227.1.1.2"}"#;
        let expected = r#"{"Host":"ip-10-0-0-2.us-sim-1.compute.internal","other":"/ip-10-0-0-20.us-sim-1.compute.internal:4711","third":"127.1.1.200 227.1.1.2"}"#;
        assert_eq!(translated(line, None), expected);
    }

    #[test]
    fn the_application_has_yarns_id_and_number_of_its_attempt() {
        let line = r#"{"Event":"SparkListenerApplicationStart","App Name":"app-1","App ID":"app-20261120140000-0003","User":"me"}"#;
        let expected = format!(
            r#"{{"Event":"SparkListenerApplicationStart","App Name":"app-1","App ID":"{ID}","User":"me","App Attempt ID":"2"}}"#
        );
        assert_eq!(translated(line, Some(2)), expected);
        let told = |mode: &str| {
            format!(
                r#"{{"Event":"SparkListenerEnvironmentUpdate","Spark Properties":{{"spark.submit.deployMode":"{mode}"}}}}"#
            )
        };
        assert_eq!(translated(&told("client"), Some(2)), told("cluster"));
        assert_eq!(translated(&told("client"), None), told("client"));
    }
}
