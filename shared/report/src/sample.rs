//! A report to try things on: the workshop's, as a drill wrote it.

use crate::Report;

/// The workshop's report.
pub(crate) fn workshop() -> Report {
    serde_json::from_str(include_str!("../samples/workshop.json")).expect("the sample is a report")
}
