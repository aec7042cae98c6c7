//! Task capacity over time, in the fleet's units: how deep and how long it dipped.
//!
//! Units, not instances: two 2xlarge make up for one 4xlarge.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::cluster::Instance;

/// From this time on, so many units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// When.
    pub at: DateTime<Utc>,
    /// Units of the task instances that can take work.
    pub units: u32,
}

/// Units that an interruption took, and how long the job had to do without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// When the instance went.
    pub from: DateTime<Utc>,
    /// When as many units could work in its place. `None`: not before the run's end.
    pub until: Option<DateTime<Utc>>,
    /// How many.
    pub units: u32,
}

/// The dip that the interruptions made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dip {
    /// Units when the first interrupted instance went.
    pub units_before: u32,
    /// The fewest units after that, while some were missing.
    pub units_lowest: u32,
    /// When the first interrupted instance went.
    pub from: DateTime<Utc>,
    /// When the last interrupted instance had been made up for. `None`: not before the run's end.
    pub until: Option<DateTime<Utc>>,
    /// Interrupted units × the seconds from each one's loss to its replacement, or to the run's end.
    pub unit_seconds_lost: i64,
}

/// Capacity between two times, and the dip in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Each change; the first at the window's begin.
    pub levels: Vec<Level>,
    /// `None`: no interrupted instance went in this time.
    pub dip: Option<Dip>,
}

/// Adds up the instances' lives between `from` and `until`, and what was missing of them before the run ended.
pub fn measure(
    instances: &[&Instance],
    outages: &[Outage],
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    run_ended_at: DateTime<Utc>,
) -> Capacity {
    let mut times: Vec<DateTime<Utc>> = instances
        .iter()
        .flat_map(|instance| [instance.ready_at, instance.ended_at])
        .flatten()
        .filter(|at| (from..=until).contains(at))
        .collect();
    times.push(from);
    times.sort_unstable();
    let mut levels: Vec<Level> = times
        .into_iter()
        .map(|at| Level {
            at,
            units: units_at(instances, at),
        })
        .collect();
    levels.dedup_by_key(|level| level.units);
    let dip = dip(instances, outages, &levels, run_ended_at);
    Capacity { levels, dip }
}

/// Units that could take work at a time.
pub fn units_at(instances: &[&Instance], at: DateTime<Utc>) -> u32 {
    instances
        .iter()
        .filter(|instance| instance.is_running_at(at))
        .map(|instance| instance.units)
        .sum()
}

fn dip(instances: &[&Instance], outages: &[Outage], levels: &[Level], run_ended_at: DateTime<Utc>) -> Option<Dip> {
    let from = outages.iter().map(|outage| outage.from).min()?;
    let units_before: u32 = instances
        .iter()
        // What came in that very moment is what is there after.
        .filter(|instance| instance.ready_at.is_some_and(|ready| ready < from))
        .filter(|instance| instance.ended_at.is_none_or(|ended| ended >= from))
        .map(|instance| instance.units)
        .sum();
    let missing = outages.iter().map(|outage| {
        // A replacement that was there first leaves no gap.
        let until = outage.until.unwrap_or(run_ended_at).max(outage.from);
        i64::from(outage.units) * (until - outage.from).num_seconds()
    });
    let until = outages.iter().map(|outage| outage.until).collect::<Option<Vec<_>>>();
    let until = until.and_then(|ends| ends.into_iter().max());
    let end = until.unwrap_or(run_ended_at);
    let lowest = levels
        .iter()
        .filter(|level| level.at >= from && level.at < end)
        .map(|level| level.units)
        .min();
    Some(Dip {
        units_before,
        units_lowest: lowest.map_or(units_before, |units| units.min(units_before)),
        from,
        until: until.map(|until| until.max(from)),
        unit_seconds_lost: missing.sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Market, Role};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn instance(id: &str, units: u32, ready: i64, ended: Option<i64>) -> Instance {
        Instance {
            instance_id: id.into(),
            pool_id: "if-1".into(),
            role: Some(Role::Task),
            reason: None,
            instance_type: "r5.xlarge".into(),
            market: Market::Spot,
            state: "RUNNING".into(),
            private_dns_name: String::new(),
            created_at: Some(at(ready - 60)),
            ready_at: Some(at(ready)),
            ended_at: ended.map(at),
            units,
        }
    }

    fn outage(from: i64, until: Option<i64>, units: u32) -> Outage {
        Outage {
            from: at(from),
            until: until.map(at),
            units,
        }
    }

    #[test]
    fn a_dip_is_measured_in_units_and_ends_when_as_many_are_back() {
        let instances = [
            instance("i-1", 8, 0, None),
            instance("i-2", 4, 0, Some(310)),
            instance("i-3", 2, 360, None),
            instance("i-4", 2, 400, None),
        ];
        let instances: Vec<&Instance> = instances.iter().collect();
        let dip = measure(&instances, &[outage(300, Some(400), 4)], at(100), at(1000), at(1000)).dip;
        let dip = dip.unwrap();
        assert_eq!((dip.units_before, dip.units_lowest), (12, 8));
        assert_eq!(dip.until, Some(at(400)));
        assert_eq!(dip.unit_seconds_lost, 4 * 100);
    }

    #[test]
    fn what_comes_in_the_moment_in_which_another_goes_was_not_there_beside_it() {
        let instances = [
            instance("i-1", 8, 0, None),
            instance("i-2", 4, 0, Some(300)),
            instance("i-3", 4, 300, None),
        ];
        let instances: Vec<&Instance> = instances.iter().collect();
        let dip = measure(&instances, &[outage(300, Some(300), 4)], at(100), at(1000), at(1000)).dip;
        let dip = dip.unwrap();
        assert_eq!((dip.units_before, dip.units_lowest, dip.unit_seconds_lost), (12, 12, 0));
    }

    #[test]
    fn two_waves_are_two_outages_and_what_falls_after_the_run_is_none() {
        let instances = [
            instance("i-1", 8, 0, Some(1010)),
            instance("i-2", 4, 0, Some(300)),
            instance("i-3", 4, 360, Some(700)),
        ];
        let instances: Vec<&Instance> = instances.iter().collect();
        let outages = [outage(300, Some(360), 4), outage(700, None, 4)];
        let dip = measure(&instances, &outages, at(100), at(1200), at(1000)).dip.unwrap();
        assert_eq!((dip.units_before, dip.units_lowest, dip.until), (12, 8, None));
        assert_eq!(dip.unit_seconds_lost, 4 * 60 + 4 * 300);
    }

    #[test]
    fn without_an_outage_there_is_no_dip_whatever_scaling_takes() {
        let instances = [instance("i-1", 8, 0, None), instance("i-2", 4, 0, Some(300))];
        let instances: Vec<&Instance> = instances.iter().collect();
        let capacity = measure(&instances, &[], at(100), at(1000), at(1000));
        assert_eq!((capacity.dip, capacity.levels.len()), (None, 2));
    }

    #[test]
    fn levels_are_told_from_the_windows_begin_to_its_end_and_of_no_other_time() {
        let instances = [
            instance("i-1", 8, 50, Some(1100)),
            instance("i-2", 4, 60, Some(300)),
            instance("i-3", 2, 1000, None),
        ];
        let instances: Vec<&Instance> = instances.iter().collect();
        let levels = measure(&instances, &[], at(100), at(1000), at(1000)).levels;
        let told: Vec<_> = levels.iter().map(|level| (level.at, level.units)).collect();
        assert_eq!(told, [(at(100), 12), (at(300), 8), (at(1000), 10)]);
    }

    #[test]
    fn what_goes_with_the_cluster_at_the_runs_end_is_no_part_of_a_dip_that_nobody_made_up_for() {
        let instances = [instance("i-1", 8, 0, Some(1000)), instance("i-2", 4, 0, Some(300))];
        let instances: Vec<&Instance> = instances.iter().collect();
        let dip = measure(&instances, &[outage(300, None, 4)], at(100), at(1200), at(1000)).dip;
        assert_eq!(dip.unwrap().units_lowest, 8);
    }
}
