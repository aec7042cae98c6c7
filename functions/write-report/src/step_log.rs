//! The step's own log: the YARN applications that it submitted, how they ended, and what it says of a failure.
//!
//! EMR pushes `stderr.gz` to the step's own `LogUri`, or else to the cluster's, every five minutes and after the step's
//! end, so it may not lie there yet: then nothing is known from here. Nor is it where the deployment may not read that
//! place; that costs what this log alone could tell, and nothing else. That the folders below a step's own place are those
//! of a cluster's is assumed.
//! <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-manage-view-web-log-files.html>
//! <https://docs.aws.amazon.com/emr/latest/APIReference/API_StepMonitoringConfiguration.html>

use std::io::Read;

use aws::Aws;
use aws::Found;
use flate2::read::MultiGzDecoder;
use rules::cluster::Cluster;
use rules::s3_location::S3Location;
use rules::step::Step;

use crate::refusal;

/// What the step's `stderr` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StepLog {
    /// The applications that it names, each once, in order.
    pub applications: Vec<String>,
    /// The last one's end, by YARN: `SUCCEEDED`, `FAILED`, `KILLED`. `UNDEFINED` while it ran is none.
    pub final_status: Option<String>,
    /// Its lines that tell of a failure.
    pub diagnostics: Option<String>,
}

/// Why the log cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    /// In words.
    pub why: String,
    /// The deployment may not read it, which can be mended.
    pub is_refused: bool,
}

impl From<String> for Unread {
    fn from(why: String) -> Self {
        Self { why, is_refused: false }
    }
}

/// Bytes of the packed log read at most.
const PACKED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of the unpacked log read at most.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Lines of a failure kept at most.
const DIAGNOSTICS_MAX: usize = 20;

/// Reads the step's log. `None`: it is not there, or not yet. The error says why it cannot be had.
pub(crate) async fn read(aws: &Aws, cluster: Option<&Cluster>, step: &Step) -> Result<Option<StepLog>, Unread> {
    let cluster = cluster.ok_or_else(|| "EMR no longer knows the cluster".to_owned())?;
    let own = step.log_uri.as_deref().or(cluster.log_uri.as_deref());
    let log_uri = own.ok_or_else(|| "neither step nor cluster has a LogUri".to_owned())?;
    let place: S3Location = folder(log_uri, &cluster.id, &step.id).parse()?;
    let key = format!("{}stderr.gz", place.prefix);
    match aws.object(&place.bucket, &key, PACKED_BYTES_MAX).await {
        Ok(Found::Object { bytes, .. }) => {
            let mut text = Vec::new();
            // A log that is cut short still names what it names before the cut.
            let _cut = MultiGzDecoder::new(bytes.as_slice())
                .take(BYTES_MAX)
                .read_to_end(&mut text);
            Ok(Some(parse(&String::from_utf8_lossy(&text))))
        }
        Ok(Found::Nothing) => Ok(None),
        Ok(Found::TooLarge(bytes)) => Err(format!("s3://{}/{key} has {bytes} bytes", place.bucket).into()),
        Err(error) => Err(Unread {
            why: format!("s3://{}/{key}: {}", place.bucket, refusal::why(&error, "step log")),
            is_refused: error.is_refusal(),
        }),
    }
}

/// `LogUri` may be a bucket's root, and have its last slash or not.
fn folder(log_uri: &str, cluster_id: &str, step_id: &str) -> String {
    format!("{}/{cluster_id}/steps/{step_id}/", log_uri.trim_end_matches('/'))
}

fn parse(text: &str) -> StepLog {
    let final_status = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("final status:"))
        .map(|status| status.trim().to_owned())
        .rfind(|status| status != "UNDEFINED");
    let tells = |line: &&str| {
        ["diagnostics", "Exception", "Caused by", "exitCode", "exited with"]
            .iter()
            .any(|word| line.contains(word))
    };
    let diagnostics: Vec<&str> = text.lines().filter(tells).take(DIAGNOSTICS_MAX).collect();
    StepLog {
        applications: named(text),
        final_status,
        diagnostics: (!diagnostics.is_empty()).then(|| diagnostics.join("\n")),
    }
}

/// Application ids: `application_<cluster's start>_<number>`.
fn named(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (at, word) in text.match_indices("application_") {
        let digits = |from: &str| from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let rest = &text[at + word.len()..];
        let first = digits(rest);
        let Some(second) = rest[first..].strip_prefix('_').map(digits) else {
            continue;
        };
        if first > 0 && second > 0 {
            let id = format!("{word}{}", &rest[..first + 1 + second]);
            if !found.contains(&id) {
                found.push(id);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_once_each_and_what_only_looks_like_one_is_not() {
        let text = "Submitted application application_179_0001\nreport for application_179_0001 (state: RUNNING)\n\
                    application_179_0012, application_x_1 application_179_ application_";
        assert_eq!(named(text), ["application_179_0001", "application_179_0012"]);
    }

    #[test]
    fn the_last_status_that_is_one_counts_and_lines_of_failure_are_kept() {
        let text = "INFO Client: Application report\n\t final status: UNDEFINED\n\t final status: FAILED\n\
                    ERROR Client: Application diagnostics message: User application exited with status 1\nhello";
        let log = parse(text);
        assert_eq!(log.final_status.as_deref(), Some("FAILED"));
        assert!(log.diagnostics.unwrap().ends_with("exited with status 1"));
        assert_eq!(parse("hello"), StepLog::default());
    }

    #[test]
    fn a_log_uri_may_be_a_buckets_root() {
        for uri in ["s3n://bucket/", "s3://bucket", "s3://bucket//"] {
            let place: S3Location = folder(uri, "j-1", "s-1").parse().unwrap();
            assert_eq!(place.to_string(), "s3://bucket/j-1/steps/s-1/");
        }
    }
}
