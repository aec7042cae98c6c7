//! The step's own log, which names the YARN applications that it submitted.
//!
//! EMR pushes `stderr.gz` to the cluster's `LogUri` every five minutes and after the step's end, so it may not lie there
//! yet: then nothing is known from here.
//! <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-manage-view-web-log-files.html>

use std::io::Read;

use flate2::read::MultiGzDecoder;
use shared::aws::Found;
use shared::cluster::Cluster;
use shared::config::S3Location;
use shared::step::Step;
use shared::{Aws, Error};

/// Bytes of the packed log read at most.
const PACKED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of the unpacked log read at most: the submission stands at its begin.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The applications that the step's `stderr` names, each once, in order.
pub(crate) async fn applications(aws: &Aws, cluster: Option<&Cluster>, step: &Step) -> Result<Vec<String>, Error> {
    let Some((cluster, log_uri)) = cluster.and_then(|cluster| Some((cluster, cluster.log_uri.as_deref()?))) else {
        return Ok(Vec::new());
    };
    let Ok(place) = log_uri.parse::<S3Location>() else {
        return Ok(Vec::new());
    };
    let key = format!("{}{}/steps/{}/stderr.gz", place.prefix, cluster.id, step.id);
    let Found::Object { bytes, .. } = aws.object(&place.bucket, &key, PACKED_BYTES_MAX).await? else {
        return Ok(Vec::new());
    };
    let mut text = Vec::new();
    // A log that is cut short still names what it names before the cut.
    let _cut = MultiGzDecoder::new(bytes.as_slice())
        .take(BYTES_MAX)
        .read_to_end(&mut text);
    Ok(named(&String::from_utf8_lossy(&text)))
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
}
