//! A pool: an instance fleet, or an instance group. Both are a target, in units, for each market.
//!
//! Separate because both kinds are provisioned, scaled and reported by the same rules; only their API shapes differ.
//! An instance group is a pool of one market and one instance type of one unit each.

use serde_json::Value;

use crate::api::Time;
use crate::ec2::Market;

/// Whether a cluster is made of fleets or of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// Instance fleets.
    Fleet,
    /// Instance groups.
    Group,
}

/// What the instances of a pool are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The primary node: no YARN containers.
    Master,
    /// HDFS and YARN.
    Core,
    /// YARN only.
    Task,
}

impl Role {
    /// AWS's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Core => "CORE",
            Self::Task => "TASK",
        }
    }

    /// Reads AWS's name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Master, Self::Core, Self::Task]
            .into_iter()
            .find(|role| role.as_str() == name)
    }
}

/// A pool's state, as the API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolState {
    /// EC2 is being asked for the first instances.
    Provisioning,
    /// The first instances run their bootstrap actions.
    Bootstrapping,
    /// Capacity is what it should be.
    Running,
    /// Instances come or go.
    Resizing,
    /// The cluster is shutting down.
    Terminating,
    /// All instances are gone.
    Terminated,
}

impl PoolState {
    /// AWS's name: two of them differ between fleets and groups.
    pub fn as_str(self, collection: Collection) -> &'static str {
        match (self, collection) {
            (Self::Provisioning, _) => "PROVISIONING",
            (Self::Bootstrapping, _) => "BOOTSTRAPPING",
            (Self::Running, _) => "RUNNING",
            (Self::Resizing, _) => "RESIZING",
            (Self::Terminating, Collection::Fleet) => "TERMINATING",
            (Self::Terminating, Collection::Group) => "SHUTTING_DOWN",
            (Self::Terminated, _) => "TERMINATED",
        }
    }
}

/// Units of capacity in each market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Units {
    /// On-Demand units.
    pub on_demand: u32,
    /// Spot units.
    pub spot: u32,
}

impl Units {
    /// Those of one market.
    pub fn of(self, market: Market) -> u32 {
        match market {
            Market::OnDemand => self.on_demand,
            Market::Spot => self.spot,
        }
    }

    /// Those of one market, to change.
    pub(super) fn of_mut(&mut self, market: Market) -> &mut u32 {
        match market {
            Market::OnDemand => &mut self.on_demand,
            Market::Spot => &mut self.spot,
        }
    }

    /// Both markets together.
    pub fn total(self) -> u32 {
        self.on_demand + self.spot
    }
}

/// An instance type that a pool may launch.
#[derive(Debug, Clone)]
pub struct TypeOption {
    /// `r5.xlarge`.
    pub instance_type: String,
    /// Units that one instance counts for.
    pub weight: u32,
    /// The request's entry, which the API gives back.
    pub(super) config: Value,
}

/// An instance fleet or an instance group.
#[derive(Debug, Clone)]
pub struct Pool {
    /// `if-…` or `ig-…`.
    pub id: String,
    /// Fleet or group.
    pub collection: Collection,
    /// Its name.
    pub name: String,
    /// What its instances are for.
    pub role: Role,
    /// State.
    pub state: PoolState,
    /// Units that it should have; for a group, instances.
    pub target: Units,
    /// Every target that it ever had, with the time from which it held.
    pub targets: Vec<(Time, Units)>,
    /// What it may launch; one entry for a group.
    pub types: Vec<TypeOption>,
    /// When it was asked for.
    pub created_at: Time,
    /// When its first capacity ran.
    pub ready_at: Option<Time>,
    /// When its last instance went.
    pub ended_at: Option<Time>,
    /// The request's entry, which the API gives back in parts.
    pub(super) config: Value,
    /// Units lost while the scenario had EMR ask for no replacements.
    pub(super) unreplaced: Units,
    /// When the resize under way began.
    pub(super) resized_at: Option<Time>,
}

impl Pool {
    /// The type to launch next for `missing` units. Types that fit are preferred, so that the target is exceeded only
    /// when no type fits, and then by less than one instance's weight.
    ///
    //= https://docs.aws.amazon.com/emr/latest/APIReference/API_InstanceFleetConfig.html
    pub(super) fn choose_type(&self, missing: u32, rng: &mut fastrand::Rng) -> Option<&TypeOption> {
        let fitting = || self.types.iter().filter(|option| option.weight <= missing);
        // Chances go against size: assumed, as EC2 has more room for small instances than for large ones.
        let Some(largest) = fitting().map(|option| option.weight).max() else {
            return self.types.iter().min_by_key(|option| option.weight);
        };
        let chance = |option: &TypeOption| largest / option.weight;
        let mut ticket = rng.u32(..fitting().map(chance).sum::<u32>());
        fitting().find(|option| {
            let drawn = ticket < chance(option);
            ticket = ticket.saturating_sub(chance(option));
            drawn
        })
    }

    /// The one market of an instance group.
    pub(super) fn group_market(&self) -> Market {
        match self.config["Market"].as_str() {
            Some("SPOT") => Market::Spot,
            _ => Market::OnDemand,
        }
    }

    /// What people call it: `task fleet`.
    pub(super) fn label(&self) -> String {
        let kind = match self.collection {
            Collection::Fleet => "fleet",
            Collection::Group => "group",
        };
        format!("{} {kind}", self.role.as_str().to_lowercase())
    }

    /// What its targets are counted in.
    pub(super) fn unit_name(&self) -> &'static str {
        match self.collection {
            Collection::Fleet => "units",
            Collection::Group => "instances",
        }
    }
}

/// AWS's name of a market.
pub(super) fn market_name(market: Market) -> &'static str {
    match market {
        Market::OnDemand => "ON_DEMAND",
        Market::Spot => "SPOT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(weights: &[u32]) -> Pool {
        let types = weights.iter().map(|weight| TypeOption {
            instance_type: format!("r5.{weight}"),
            weight: *weight,
            config: Value::Null,
        });
        Pool {
            id: "if-1".into(),
            collection: Collection::Fleet,
            name: "t".into(),
            role: Role::Task,
            state: PoolState::Running,
            target: Units::default(),
            targets: Vec::new(),
            types: types.collect(),
            created_at: Time::UNIX_EPOCH,
            ready_at: None,
            ended_at: None,
            config: Value::Null,
            unreplaced: Units::default(),
            resized_at: None,
        }
    }

    #[test]
    fn only_types_that_fit_are_chosen_while_one_fits_and_then_the_smallest() {
        let mut rng = fastrand::Rng::with_seed(1);
        let pool = pool(&[4, 8, 16]);
        let mut chosen: Vec<u32> = (0..200)
            .map(|_| pool.choose_type(15, &mut rng).map(|option| option.weight).unwrap())
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen, [4, 8]);
        assert_eq!(pool.choose_type(3, &mut rng).map(|option| option.weight), Some(4));
    }
}
