//! Task capacity over time, in the fleet's units: how deep and how long it dipped.
//!
//! Units, not instances: two 2xlarge make up for one 4xlarge.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::cluster::TaskInstance;
use crate::interruption::Interrupted;

/// From this time on, so many units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// When.
    pub at: DateTime<Utc>,
    /// Units of the task instances that can take work.
    pub units: u32,
}

/// The dip that the interruptions made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dip {
    /// Units when the first interrupted instance went.
    pub units_before: u32,
    /// The fewest units after that.
    pub units_lowest: u32,
    /// When the first interrupted instance went.
    pub from: DateTime<Utc>,
    /// When as many units as before could work again. `None`: not until the end of what was watched.
    pub until: Option<DateTime<Utc>>,
    /// Units missing × seconds, over the dip.
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

/// Adds up the instances' lives between `from` and `until`.
pub fn measure(
    instances: &[TaskInstance],
    interrupted: &[Interrupted],
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Capacity {
    let mut times: Vec<DateTime<Utc>> = instances
        .iter()
        .flat_map(|instance| [instance.ready_at, instance.ended_at])
        .flatten()
        .filter(|at| *at > from && *at <= until)
        .collect();
    times.push(from);
    times.sort_unstable();
    times.dedup();
    let mut levels: Vec<Level> = times
        .into_iter()
        .map(|at| Level {
            at,
            units: units_at(instances, at),
        })
        .collect();
    levels.dedup_by_key(|level| level.units);
    let dip = dip(instances, interrupted, &levels, until);
    Capacity { levels, dip }
}

/// Units that could take work at a time.
pub fn units_at(instances: &[TaskInstance], at: DateTime<Utc>) -> u32 {
    instances
        .iter()
        .filter(|instance| instance.is_running_at(at))
        .map(|instance| instance.units)
        .sum()
}

fn dip(instances: &[TaskInstance], interrupted: &[Interrupted], levels: &[Level], until: DateTime<Utc>) -> Option<Dip> {
    let from = interrupted
        .iter()
        .filter_map(|one| one.terminated_at)
        .filter(|at| *at <= until)
        .min()?;
    let units_before: u32 = instances
        .iter()
        .filter(|instance| instance.ready_at.is_some_and(|ready| ready <= from))
        .filter(|instance| instance.ended_at.is_none_or(|ended| ended >= from))
        .map(|instance| instance.units)
        .sum();
    let after: Vec<Level> = levels.iter().copied().filter(|level| level.at >= from).collect();
    let end = after
        .iter()
        .skip(1)
        .find(|level| level.units >= units_before)
        .map(|level| level.at);
    let mut lost = 0;
    let mut lowest = units_before;
    for (index, level) in after.iter().enumerate() {
        if end.is_some_and(|end| level.at >= end) {
            break;
        }
        let next = after.get(index + 1).map_or(until, |next| next.at);
        lost += i64::from(units_before.saturating_sub(level.units)) * (next - level.at).num_seconds();
        lowest = lowest.min(level.units);
    }
    Some(Dip {
        units_before,
        units_lowest: lowest,
        from,
        until: end,
        unit_seconds_lost: lost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Market;
    use crate::interruption::Cause;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn instance(id: &str, units: u32, ready: i64, ended: Option<i64>) -> TaskInstance {
        TaskInstance {
            instance_id: id.into(),
            pool_id: "if-1".into(),
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

    fn lost(id: &str, units: u32, terminated: i64) -> Interrupted {
        Interrupted {
            instance_id: id.into(),
            instance_type: None,
            private_dns_name: None,
            pool_id: Some("if-1".into()),
            units,
            noticed_at: Some(at(terminated - 120)),
            warnings: 1,
            latency_ms: None,
            terminated_at: Some(at(terminated)),
            cause: Cause::Unknown,
            spot_status: None,
        }
    }

    #[test]
    fn a_dip_is_measured_in_units_and_ends_when_as_many_are_back() {
        let instances = [
            instance("i-1", 8, 0, None),
            instance("i-2", 4, 0, Some(300)),
            instance("i-3", 2, 360, None),
            instance("i-4", 2, 400, None),
        ];
        let dip = measure(&instances, &[lost("i-2", 4, 300)], at(100), at(1000))
            .dip
            .unwrap();
        assert_eq!((dip.units_before, dip.units_lowest), (12, 8));
        assert_eq!(dip.until, Some(at(400)));
        assert_eq!(dip.unit_seconds_lost, 4 * 60 + 2 * 40);
    }

    #[test]
    fn a_dip_that_does_not_end_says_so() {
        let instances = [instance("i-1", 8, 0, None), instance("i-2", 4, 0, Some(300))];
        let dip = measure(&instances, &[lost("i-2", 4, 300)], at(100), at(1000))
            .dip
            .unwrap();
        assert_eq!((dip.until, dip.unit_seconds_lost), (None, 4 * 700));
    }
}
