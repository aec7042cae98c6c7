//! A report to try things on: the workshop's, as a drill wrote it.

use crate::Report;

/// The workshop's report.
pub(crate) fn workshop() -> Report {
    serde_json::from_str(include_str!("../samples/workshop.json")).expect("the sample is a report")
}

/// The same, of a fleet of one unit that lost it.
pub(crate) fn of_one_unit() -> Report {
    let mut report = workshop();
    report.interruptions.truncate(1);
    report.interruptions[0].interrupted.units = 1;
    let dip = report.capacity.as_mut().and_then(|capacity| capacity.dip.as_mut());
    dip.expect("the workshop's capacity had a dip").units_before = 1;
    report
}
