//! What a drill costs in money: FIS's bill, and the task capacity that a run paid for while it only failed and repeated work.

use std::time::Duration;

use rules::victim::INSTANCES_PER_ACTION;

use crate::{ExperimentFacts, Report};

/// US dollars for an action-minute, but for AWS GovCloud. <https://aws.amazon.com/fis/pricing/>
const USD_PER_ACTION_MINUTE: f64 = 0.10;

/// The minutes of FIS's actions, each rounded up: FIS rounds to the minute, and does not say which way. So many at most.
pub fn fis_action_minutes(experiments: &[ExperimentFacts]) -> u32 {
    let minutes = actions(experiments)
        .filter_map(|(count, seconds)| Some(count * u32::try_from((seconds + 59).div_euclid(60)).ok()?));
    minutes.sum()
}

/// How long FIS's actions ran, added up, in seconds.
pub fn fis_action_seconds(experiments: &[ExperimentFacts]) -> i64 {
    actions(experiments)
        .map(|(count, seconds)| i64::from(count) * seconds)
        .sum()
}

/// How many actions each experiment ran side by side, one for each target, and for how many seconds.
fn actions(experiments: &[ExperimentFacts]) -> impl Iterator<Item = (u32, i64)> {
    let ran = experiments.iter().filter(|one| !one.preview);
    ran.filter_map(|one| {
        let seconds = (one.ended_at? - one.started_at?).num_seconds().max(0);
        let count = u32::try_from(one.victims.len().div_ceil(INSTANCES_PER_ACTION)).ok()?;
        Some((count, seconds))
    })
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

/// What the task time that was lost cost, in US dollars, at this price of a unit for an hour: a task has the share of an
/// interrupted instance's units that its cores are of those of the executors on it. `None`: how many cores an executor
/// has is not known. A task has one core unless the application says otherwise:
/// <https://spark.apache.org/docs/latest/configuration.html#scheduling>
pub fn task_lost_usd(report: &Report, unit_hour_usd: f64) -> Option<f64> {
    let hours = Duration::from_millis(report.cost.lost_task_ms?).as_secs_f64() / 3_600.0;
    let settings = &report.spark.as_ref()?.settings;
    let number = |text: &String| text.trim().parse::<u32>().ok().filter(|number| *number > 0);
    let of_executor = settings.get("spark.executor.cores").and_then(number)?;
    let of_task = settings.get("spark.task.cpus").map_or(Some(1), number)?;
    let (mut units, mut executors) = (0, 0);
    for one in &report.interruptions {
        let held = one.loss.held.iter().filter(|held| held.starts_with("executor "));
        let held = u32::try_from(held.count()).ok()?;
        if held > 0 {
            (units, executors) = (units + one.interrupted.units, executors + held);
        }
    }
    let cores = executors.checked_mul(of_executor).filter(|cores| *cores > 0)?;
    Some(hours * f64::from(of_task) * f64::from(units) / f64::from(cores) * unit_hour_usd)
}

/// An amount as one says it: `0.02 USD`.
pub fn usd(amount: f64) -> String {
    if amount > 0.0 && amount < 0.01 {
        "less than 0.01 USD".to_owned()
    } else {
        format!("{amount:.2} USD")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::workshop;

    #[test]
    fn an_amount_that_is_there_is_never_nothing() {
        let told = [0.0, 0.001, 0.009_99, 0.01, 0.025, 3.0].map(usd);
        assert_eq!(
            told,
            [
                "0.00 USD",
                "less than 0.01 USD",
                "less than 0.01 USD",
                "0.01 USD",
                "0.03 USD",
                "3.00 USD"
            ]
        );
    }

    #[test]
    fn an_action_is_at_most_five_instances_and_each_begun_minute_counts() {
        let mut experiments = workshop().drill.experiments;
        assert_eq!(fis_action_minutes(&experiments), 1);
        let began = experiments[0].started_at.unwrap();
        experiments[0].ended_at = Some(began + chrono::TimeDelta::seconds(61));
        experiments[0].victims = vec!["i-1".into(); 6];
        assert_eq!(fis_action_minutes(&experiments), 4);
        assert_eq!(fis_action_seconds(&experiments), 122, "two actions side by side");
        // A second one, of one action and 60 seconds, which are one minute.
        experiments.push(experiments[0].clone());
        experiments[1].victims.truncate(5);
        experiments[1].ended_at = Some(began + chrono::TimeDelta::seconds(60));
        assert_eq!(
            (fis_action_minutes(&experiments), fis_action_seconds(&experiments)),
            (5, 182)
        );
        // Of one that has not ended nothing is known, and none ends before it began.
        experiments[0].ended_at = None;
        experiments[1].ended_at = Some(began - chrono::TimeDelta::seconds(1));
        assert_eq!(
            (fis_action_minutes(&experiments), fis_action_seconds(&experiments)),
            (0, 0)
        );
        experiments[1].ended_at = Some(began + chrono::TimeDelta::seconds(60));
        experiments[1].preview = true;
        assert_eq!(
            (fis_action_minutes(&experiments), fis_action_seconds(&experiments)),
            (0, 0)
        );
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

    #[test]
    fn lost_task_time_costs_the_share_of_an_instance_that_a_task_had() {
        let mut report = workshop();
        report.cost.lost_task_ms = Some(3_600_000);
        // One executor of four cores on each instance of four units: a task has one unit.
        let cost = |report: &Report| task_lost_usd(report, 0.02).map(|usd| (usd * 10_000.0).round());
        assert_eq!(cost(&report), Some(200.0));
        let settings = &mut report.spark.as_mut().unwrap().settings;
        settings.insert("spark.task.cpus".into(), "2".into());
        assert_eq!(cost(&report), Some(400.0));
        // An instance that held no executor, and a number that is none.
        report.interruptions[0].loss.held.clear();
        assert_eq!(cost(&report), Some(400.0));
        let settings = &mut report.spark.as_mut().unwrap().settings;
        settings.insert("spark.task.cpus".into(), "0".into());
        assert_eq!(cost(&report), None);
        let settings = &mut report.spark.as_mut().unwrap().settings;
        settings.insert("spark.task.cpus".into(), "1".into());
        // What is no executor takes no cores.
        for one in &mut report.interruptions {
            one.loss.held = vec!["executor 1".into(), "executor 2".into(), "the driver".into()];
        }
        assert_eq!(
            cost(&report),
            Some(100.0),
            "two executors of four cores each on four units"
        );
        report.interruptions.iter_mut().for_each(|one| one.loss.held.clear());
        assert_eq!(cost(&report), None);
        report.spark.as_mut().unwrap().settings.remove("spark.executor.cores");
        assert_eq!(cost(&report), None);
        assert_eq!(
            [0.0, 0.004, 0.02].map(usd),
            ["0.00 USD", "less than 0.01 USD", "0.02 USD"]
        );
    }
}
