//! What a drill costs in money: FIS's bill, and the task capacity that a run paid for while it only failed and repeated work.

use crate::{ExperimentFacts, Report};

/// FIS interrupts so many instances by one action at most.
/// <https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html>
const INSTANCES_PER_ACTION: usize = 5;
/// US dollars for an action-minute, but for AWS GovCloud. <https://aws.amazon.com/fis/pricing/>
const USD_PER_ACTION_MINUTE: f64 = 0.10;

/// The minutes of FIS's actions, each rounded up: FIS rounds to the minute, and does not say which way. So many at most.
pub fn fis_action_minutes(experiments: &[ExperimentFacts]) -> u32 {
    let ran = experiments.iter().filter(|one| !one.preview);
    let minutes = ran.filter_map(|one| {
        let seconds = (one.ended_at? - one.started_at?).num_seconds().max(0);
        let actions = u32::try_from(one.victims.len().div_ceil(INSTANCES_PER_ACTION)).ok()?;
        Some(actions * u32::try_from((seconds + 59).div_euclid(60)).ok()?)
    });
    minutes.sum()
}

/// What FIS bills for them, in US dollars.
pub fn fis_usd(action_minutes: u32) -> f64 {
    f64::from(action_minutes) * USD_PER_ACTION_MINUTE
}

/// What the task capacity cost in the time that the run lost, in US dollars: as many units as there were before the first
/// instance went, at this price of a unit for an hour.
pub fn run_lost_usd(report: &Report, unit_hour_usd: f64) -> Option<f64> {
    let seconds = u32::try_from(report.cost.run_seconds_lost?).ok()?;
    let dip = report.capacity.as_ref()?.dip.as_ref()?;
    Some(f64::from(seconds) * f64::from(dip.units_before) / 3_600.0 * unit_hour_usd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::workshop;

    #[test]
    fn an_action_is_at_most_five_instances_and_each_begun_minute_counts() {
        let mut experiments = workshop().drill.experiments;
        assert_eq!(fis_action_minutes(&experiments), 1);
        let began = experiments[0].started_at.unwrap();
        experiments[0].ended_at = Some(began + chrono::TimeDelta::seconds(61));
        experiments[0].victims = vec!["i-1".into(); 6];
        assert_eq!(fis_action_minutes(&experiments), 4);
        experiments[0].preview = true;
        assert_eq!(fis_action_minutes(&experiments), 0);
        assert!((fis_usd(4) - 0.4).abs() < 1e-9);
    }

    #[test]
    fn lost_time_costs_the_units_that_ran_in_it() {
        let mut report = workshop();
        report.cost.run_seconds_lost = Some(90);
        // 64 units for 90 seconds are 1.6 unit-hours.
        let usd = run_lost_usd(&report, 0.02).unwrap();
        assert!((usd - 0.032).abs() < 1e-9, "{usd}");
        report.cost.run_seconds_lost = None;
        assert_eq!(run_lost_usd(&report, 0.02), None);
    }
}
