//! Whether a lost instance's capacity was there again before the run's end: by EMR's targets and EC2's instances.

use account::emr::{Role, StepState};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::hits::Touch;
use super::{Case, Hit, NEAR, Window};

/// A job that ends sooner after a loss does not show that nothing came in its place.
const PATIENCE: TimeDelta = TimeDelta::seconds(240);
/// When exactly the loss was is told by EC2, by EMR, or by both.
const PATIENCE_NEAR: TimeDelta = TimeDelta::seconds(40);

/// The event log's end comes so much before YARN knows of it at most.
const LOGGED_BEFORE: TimeDelta = TimeDelta::seconds(10);

impl Case<'_> {
    /// Units that can take work in a pool.
    pub(super) fn ready(&self, pool_id: &str, at: DateTime<Utc>) -> u32 {
        let nodes = self.cluster.instances.iter().filter(|node| node.pool_id == pool_id);
        nodes
            .filter(|node| node.ready_at.is_some_and(|ready| ready <= at))
            .filter(|node| {
                let machine = self.state.account.ec2.instance(&node.ec2_instance_id);
                machine
                    .and_then(|one| one.shutting_down_at)
                    .is_none_or(|gone| gone > at)
            })
            .map(|node| node.weight)
            .sum()
    }

    /// The same as EMR knows it, which finds an instance gone some seconds late.
    fn known_ready(&self, pool_id: &str, at: DateTime<Utc>) -> u32 {
        let nodes = self.cluster.instances.iter().filter(|node| node.pool_id == pool_id);
        nodes
            .filter(|node| node.ready_at.is_some_and(|ready| ready <= at))
            .filter(|node| node.ended_at.is_none_or(|gone| gone > at))
            .map(|node| node.weight)
            .sum()
    }

    pub(super) fn target(&self, pool_id: &str, at: DateTime<Utc>) -> u32 {
        let targets = self
            .cluster
            .pool(pool_id)
            .map(|pool| pool.targets.as_slice())
            .unwrap_or_default();
        let held = targets.iter().rev().find(|(since, _)| *since <= at);
        held.map_or(0, |(_, units)| units.total())
    }

    /// When anything changed in a pool from one time to another, these two included.
    fn changes(&self, pool_id: &str, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let nodes = self.cluster.instances.iter().filter(|node| node.pool_id == pool_id);
        let mut times: Vec<DateTime<Utc>> = nodes.filter_map(|node| node.ready_at).collect();
        times.extend(
            self.cluster
                .pool(pool_id)
                .into_iter()
                .flat_map(|pool| pool.targets.iter().map(|(at, _)| *at)),
        );
        times.push(from);
        times.retain(|at| *at >= from && *at <= until);
        times
    }

    /// Whether the pool was whole after a loss and before a time: for certain, when it had all that it was asked for;
    /// perhaps, when it had what it had before the loss, less what went later, or had it within seconds of the end.
    pub(super) fn whole_again(&self, hit: &Hit, until: DateTime<Utc>) -> Touch {
        let Some(lost_at) = hit.lost_at else {
            return Touch::Perhaps;
        };
        let pool = hit.node.pool_id.as_str();
        let before = self.ready(pool, lost_at - TimeDelta::milliseconds(1));
        let had = |at: DateTime<Utc>, needed: u32| self.ready(pool, at) >= needed;
        let changes = self.changes(pool, lost_at, until + NEAR);
        // What was asked for in between, and is not any more, nobody can know afterwards.
        let most = [lost_at, until]
            .map(|at| self.target(pool, at))
            .into_iter()
            .max()
            .unwrap_or(0);
        let strictly = |at: &DateTime<Utc>| {
            let steady = self.target(pool, *at) == most;
            *at <= until - LOGGED_BEFORE && steady && had(*at, most)
        };
        // What went after it is not what it lacks.
        let gone_since = |at: DateTime<Utc>| -> u32 {
            let hits = self.hits.iter().filter(|other| other.node.pool_id == pool);
            let later = hits.filter(|other| other.lost_at.is_some_and(|gone| gone > lost_at + NEAR && gone <= at));
            later.map(|other| other.node.weight).sum()
        };
        let loosely = |at: &DateTime<Utc>| had(*at, self.target(pool, *at).min(before).saturating_sub(gone_since(*at)));
        if changes.iter().any(strictly) {
            Touch::Certain
        } else if changes.iter().any(loosely) {
            Touch::Perhaps
        } else {
            Touch::None
        }
    }

    /// Whether it can be held against the pool that it was not whole again: the job went on for long enough.
    pub(super) fn long_enough(hit: &Hit, until: DateTime<Utc>) -> Touch {
        match hit.lost_at.map(|lost_at| until - lost_at) {
            Some(gap) if gap > PATIENCE + PATIENCE_NEAR => Touch::Certain,
            Some(gap) if gap > PATIENCE - NEAR => Touch::Perhaps,
            _ => Touch::None,
        }
    }

    /// Whether capacity was missing at the run's end, long after a loss that counts.
    pub(super) fn missing_capacity(&self, window: Window) -> Touch {
        let missing = |hit: &Hit| {
            let gone = match self.whole_again(hit, window.until) {
                Touch::None => Touch::Certain,
                Touch::Perhaps => Touch::Perhaps,
                Touch::Certain => Touch::None,
            };
            // What of a loss that took nothing of the application, or of a core node: not asked for strictly.
            let strict = hit.touch == Touch::Certain && hit.node.role == Role::Task;
            let asked = if strict { Touch::Certain } else { Touch::Perhaps };
            gone.min(Self::long_enough(hit, window.until)).min(asked)
        };
        let inside = self.hits.iter().filter(|hit| hit.inside != Touch::None);
        inside.map(missing).max().unwrap_or(Touch::None)
    }

    /// The dip of the report: as many units as it says, gone when an instance went, and back when they were back.
    pub(super) fn wrong_dip(&self, report: &Value, time: Window) -> Option<String> {
        let dip = report["capacity"].get("dip").filter(|dip| dip.is_object())?;
        // Of a step that was cut off, the last attempt's log may be missing, and the run ends with the one before.
        if !matches!(self.step.state, StepState::Completed | StepState::Failed) {
            return None;
        }
        let at = |name: &str| dip[name].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
        let from = at("from")?;
        let near_a_loss = self.hits.iter().any(|hit| {
            let late = hit.lost_at.map(|gone| from - gone);
            late.is_some_and(|late| late >= -NEAR && late <= TimeDelta::seconds(45))
        });
        if !near_a_loss {
            return Some(format!("dip: it begins at {from}, when no interrupted instance went"));
        }
        let pools: Vec<&str> = self
            .cluster
            .pools
            .iter()
            .filter(|p| p.role == Role::Task)
            .map(|p| p.id.as_str())
            .collect();
        let units = |at: DateTime<Utc>| pools.iter().map(|pool| self.known_ready(pool, at)).sum::<u32>();
        let before = u32::try_from(dip["units_before"].as_u64()?).ok()?;
        let asked = |at: DateTime<Utc>| pools.iter().map(|pool| self.target(pool, at)).sum::<u32>();
        let tasks = self.cluster.instances.iter().filter(|node| node.role == Role::Task);
        let there = tasks.filter(|node| node.ready_at.is_some_and(|ready| ready <= from));
        let there = there.filter(|node| node.ended_at.is_none_or(|gone| gone >= from - NEAR));
        let most: u32 = there.map(|node| node.weight).sum();
        if before > most {
            return Some(format!("dip: {before} units before it, {most} at most were ready"));
        }
        let inside = || {
            let hits = self.hits.iter().filter(|hit| hit.inside != Touch::None);
            hits.filter(|hit| hit.node.role == Role::Task)
        };
        match at("until") {
            // As many units as one that went came between the first notice and that.
            Some(until) => {
                let came = self
                    .cluster
                    .instances
                    .iter()
                    .filter(|node| pools.contains(&node.pool_id.as_str()));
                let came = came.filter(|node| {
                    node.ready_at.is_some_and(|ready| ready <= until)
                        && node.created_at >= from - TimeDelta::seconds(180)
                });
                let came: u32 = came.map(|node| node.weight).sum();
                let least = inside().map(|hit| hit.node.weight).min().unwrap_or(0);
                (came < least).then(|| format!("dip: ended at {until}, and {came} units had come"))
            }
            // Long before the step's end they were back, and stayed, after the last loss.
            None => {
                let last = inside().filter_map(|hit| hit.lost_at).max().unwrap_or(from).max(from);
                let mut seconds = last + TimeDelta::seconds(60);
                while seconds < time.until - PATIENCE - PATIENCE_NEAR {
                    let back = [0, 45].map(|later| units(seconds + TimeDelta::seconds(later)));
                    // What was asked for in between, and is not any more, nobody can know afterwards.
                    let asked = asked(seconds).max(asked(time.until));
                    if back.into_iter().all(|units| units >= before.max(asked)) {
                        return Some(format!(
                            "dip: never ended, and at {seconds} all {before} units were ready"
                        ));
                    }
                    seconds += TimeDelta::seconds(15);
                }
                None
            }
        }
    }
}
