//! An EMR cluster: what EMR says of it, and its capacity by fleet or group in units.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A cluster, as `DescribeCluster` tells it.
///
/// <https://docs.aws.amazon.com/emr/latest/APIReference/API_Cluster.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// `j-…`
    pub id: String,
    /// The cluster's name; not unique.
    pub name: String,
    /// `STARTING`, `BOOTSTRAPPING`, `RUNNING`, `WAITING`, `TERMINATING`, `TERMINATED`, `TERMINATED_WITH_ERRORS`.
    pub state: String,
    /// The cluster's tags.
    pub tags: BTreeMap<String, String>,
    /// EMR's release: `emr-7.10.0`.
    pub release_label: Option<String>,
    /// Does it consist of instance fleets? Else of uniform instance groups.
    pub has_fleets: bool,
    /// Where EMR pushes the steps' logs to.
    pub log_uri: Option<String>,
    /// The Availability Zone in which all its instances are.
    pub availability_zone: Option<String>,
    /// The subnets that it was asked to choose among. Empty: EMR chose one by itself.
    ///
    /// <https://docs.aws.amazon.com/emr/latest/APIReference/API_Ec2InstanceAttributes.html>
    pub subnets: Vec<String>,
    /// The classification `spark-defaults`.
    pub spark_defaults: BTreeMap<String, String>,
    /// How many steps it runs at once. `None`: EMR does not say.
    pub step_concurrency: Option<u32>,
    /// When it was asked for.
    pub created_at: Option<DateTime<Utc>>,
    /// When it ended, if it did.
    pub ended_at: Option<DateTime<Utc>>,
    /// EMR's words on why it is in its state: `STEP_FAILURE: Shut down as step failed`.
    ///
    /// <https://docs.aws.amazon.com/emr/latest/APIReference/API_ClusterStateChangeReason.html>
    pub reason: Option<String>,
}

impl Cluster {
    /// Has it not come up yet?
    pub fn is_starting(&self) -> bool {
        matches!(self.state.as_str(), "STARTING" | "BOOTSTRAPPING")
    }

    /// Can steps run on it?
    pub fn is_up(&self) -> bool {
        matches!(self.state.as_str(), "RUNNING" | "WAITING")
    }

    /// Is it going, or gone?
    pub fn is_going(&self) -> bool {
        self.state.starts_with("TERMINAT")
    }
}

/// What an instance is for.
///
/// <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-master-core-task-nodes.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// The primary node: the cluster ends with it.
    Master,
    /// Runs work, and keeps HDFS.
    Core,
    /// Runs work only.
    #[default]
    Task,
}

impl Role {
    /// Reads EMR's word, as its API and its tag on instances have it.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "MASTER" => Some(Self::Master),
            "CORE" => Some(Self::Core),
            "TASK" => Some(Self::Task),
            _ => None,
        }
    }
}

/// A fleet or a group of instances: what is asked for, in units.
///
/// In a fleet an instance counts as many units as its type's weight says; in a group each counts one.
/// <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-instance-fleet.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// `if-…` of a fleet, `ig-…` of a group.
    pub id: String,
    /// What its instances are for. Items of the ledger that do not say are of task pools.
    #[serde(default)]
    pub role: Role,
    /// Spot units asked for.
    pub target_spot_units: u32,
    /// On-Demand units asked for.
    pub target_on_demand_units: u32,
    /// Units by instance type; what is not listed counts one.
    pub weights: BTreeMap<String, u32>,
    /// It is a group with an automatic scaling policy of its own, which changes what is asked for.
    /// <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-automatic-scaling.html>
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scales: bool,
    /// How a fleet chooses among Spot capacity: `price-capacity-optimized`, `lowest-price`, … `None`: it is a group, or EMR
    /// does not say.
    ///
    /// <https://docs.aws.amazon.com/emr/latest/APIReference/API_SpotProvisioningSpecification.html>
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_strategy: Option<String>,
}

impl Pool {
    /// All units asked for.
    pub fn target_units(&self) -> u32 {
        self.target_spot_units + self.target_on_demand_units
    }

    /// Could one of its instances that took work then be spared? A part of one more is what weights make of a target.
    pub fn had_more_than_asked(&self, instances: &[Instance], at: DateTime<Utc>) -> bool {
        let took_work = instances
            .iter()
            .filter(|one| one.pool_id == self.id && one.is_running_at(at));
        let units: Vec<u32> = took_work.map(|one| one.units).collect();
        let least = units.iter().min().copied().unwrap_or(0);
        least > 0 && units.iter().sum::<u32>() >= self.target_units() + least
    }

    /// How many units an instance of this type counts.
    pub fn units_of(&self, instance_type: &str) -> u32 {
        self.weights.get(instance_type).copied().unwrap_or(1)
    }
}

/// Whether EMR itself changes what a cluster is asked for in core and task capacity, and up to what.
///
/// <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-managed-scaling.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManagedScaling {
    /// The cluster has no managed scaling policy.
    Absent,
    /// It has one, with these limits.
    Within(ScalingLimits),
}

/// The limits of a managed scaling policy. `None`: it names none.
///
/// <https://docs.aws.amazon.com/emr/latest/APIReference/API_ComputeLimits.html>
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalingLimits {
    /// What it counts: `Instances`, `InstanceFleetUnits`, `VCPU`.
    pub unit: Option<String>,
    /// The most that it may ask for.
    pub most: Option<u32>,
    /// The most of it that may be On-Demand; by default all.
    pub on_demand_most: Option<u32>,
}

/// What purchasing option an instance came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Market {
    /// Spot: EC2 may take it back.
    Spot,
    /// On-Demand.
    OnDemand,
}

/// An instance of a cluster, as `ListInstances` tells it; EMR remembers it after EC2 has forgotten.
///
/// <https://docs.aws.amazon.com/emr/latest/APIReference/API_Instance.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// EC2's id.
    pub instance_id: String,
    /// The fleet or group that it belongs to.
    pub pool_id: String,
    /// What it is for. `None`: EMR does not list its fleet or group.
    pub role: Option<Role>,
    /// EC2's instance type.
    pub instance_type: String,
    /// Spot or On-Demand.
    pub market: Market,
    /// `AWAITING_FULFILLMENT`, `PROVISIONING`, `BOOTSTRAPPING`, `RUNNING`, `TERMINATED`.
    pub state: String,
    /// Its name inside the VPC, by which Spark knows it.
    pub private_dns_name: String,
    /// When EMR asked for it.
    pub created_at: Option<DateTime<Utc>>,
    /// When it could take work.
    pub ready_at: Option<DateTime<Utc>>,
    /// When EMR found it gone: some seconds later than EC2 and YARN.
    pub ended_at: Option<DateTime<Utc>>,
    /// EMR's words on why it is in its state: `INSTANCE_FAILURE: …`, `CLUSTER_TERMINATED: …`.
    ///
    /// <https://docs.aws.amazon.com/emr/latest/APIReference/API_InstanceStateChangeReason.html>
    pub reason: Option<String>,
    /// How many units it counts.
    pub units: u32,
}

impl Instance {
    /// Could it take work at this time?
    pub fn is_running_at(&self, time: DateTime<Utc>) -> bool {
        self.ready_at.is_some_and(|ready| ready <= time) && self.ended_at.is_none_or(|ended| ended > time)
    }

    /// Did EMR end it without being made to? A resize has no code of those that stand for failures.
    ///
    /// <https://docs.aws.amazon.com/emr/latest/APIReference/API_InstanceStateChangeReason.html>
    pub fn was_let_go(&self) -> bool {
        const CODES: [&str; 5] = [
            "BOOTSTRAP_FAILURE",
            "CLUSTER_TERMINATED",
            "INSTANCE_FAILURE",
            "INTERNAL_ERROR",
            "VALIDATION_ERROR",
        ];
        let why = self.reason.as_deref().unwrap_or_default();
        self.ended_at.is_some() && !why.is_empty() && !CODES.iter().any(|code| why.starts_with(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_state(state: &str) -> Cluster {
        Cluster {
            id: "j-1".into(),
            name: "cluster".into(),
            state: state.into(),
            tags: BTreeMap::new(),
            release_label: None,
            has_fleets: true,
            log_uri: None,
            availability_zone: None,
            subnets: Vec::new(),
            spark_defaults: BTreeMap::new(),
            step_concurrency: None,
            created_at: None,
            ended_at: None,
            reason: None,
        }
    }

    /// All of them: <https://docs.aws.amazon.com/emr/latest/APIReference/API_ClusterStatus.html>
    #[test]
    fn in_each_of_emrs_states_a_cluster_either_starts_or_is_up_or_goes() {
        let told = |state: &str| {
            let cluster = in_state(state);
            (cluster.is_starting(), cluster.is_up(), cluster.is_going())
        };
        for state in ["STARTING", "BOOTSTRAPPING"] {
            assert_eq!(told(state), (true, false, false), "{state}");
        }
        for state in ["RUNNING", "WAITING"] {
            assert_eq!(told(state), (false, true, false), "{state}");
        }
        for state in ["TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS"] {
            assert_eq!(told(state), (false, false, true), "{state}");
        }
        assert_eq!(told("SOMETHING_NEW"), (false, false, false));
    }

    /// It is asked for 28 units.
    fn pool() -> Pool {
        Pool {
            id: "if-1".into(),
            role: Role::Task,
            target_spot_units: 20,
            target_on_demand_units: 8,
            weights: BTreeMap::from([("r5.2xlarge".into(), 8)]),
            scales: false,
            spot_strategy: None,
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// It can take work from 100 on.
    fn instance(pool_id: &str, units: u32, ended: Option<i64>) -> Instance {
        Instance {
            instance_id: "i-1".into(),
            pool_id: pool_id.into(),
            role: Some(Role::Task),
            instance_type: "r5.xlarge".into(),
            market: Market::Spot,
            state: "RUNNING".into(),
            private_dns_name: String::new(),
            created_at: Some(at(0)),
            ready_at: Some(at(100)),
            ended_at: ended.map(at),
            reason: None,
            units,
        }
    }

    #[test]
    fn a_pool_is_asked_for_spot_and_on_demand_units_and_counts_one_for_a_type_that_has_no_weight() {
        assert_eq!(pool().target_units(), 28);
        assert_eq!((pool().units_of("r5.2xlarge"), pool().units_of("r5.xlarge")), (8, 1));
    }

    #[test]
    fn an_instance_takes_work_from_when_it_is_ready_until_it_is_gone() {
        let ended = instance("if-1", 4, Some(200));
        let running: Vec<i64> = [99, 100, 199, 200]
            .into_iter()
            .filter(|seconds| ended.is_running_at(at(*seconds)))
            .collect();
        assert_eq!(running, [100, 199]);
        assert!(instance("if-1", 4, None).is_running_at(at(200)));
        let mut starting = instance("if-1", 4, None);
        starting.ready_at = None;
        assert!(!starting.is_running_at(at(200)));
    }

    #[test]
    fn a_pool_had_more_than_asked_if_the_smallest_that_took_work_could_be_spared() {
        let had = |units: &[u32], others: &[Instance]| {
            let its = units.iter().map(|&units| instance("if-1", units, None));
            let all: Vec<Instance> = its.chain(others.iter().cloned()).collect();
            pool().had_more_than_asked(&all, at(150))
        };
        assert!(had(&[8, 8, 8, 4, 4], &[]), "28 units without one of four");
        assert!(!had(&[8, 8, 8, 8], &[]), "24 units without any");
        let (elsewhere, gone) = (instance("if-2", 8, None), instance("if-1", 8, Some(150)));
        assert!(!had(&[8, 8, 8], &[elsewhere, gone]));
        let mut nothing = pool();
        (nothing.target_spot_units, nothing.target_on_demand_units) = (0, 0);
        assert!(!nothing.had_more_than_asked(&[], at(150)), "it had none to spare");
    }

    /// All codes: <https://docs.aws.amazon.com/emr/latest/APIReference/API_InstanceStateChangeReason.html>
    #[test]
    fn emr_lets_go_of_what_ends_by_no_failure_and_not_with_the_cluster() {
        let let_go = |ended: Option<i64>, reason: Option<&str>| {
            let reason = reason.map(str::to_owned);
            let one = Instance {
                reason,
                ..instance("if-1", 4, ended)
            };
            one.was_let_go()
        };
        let resize = Some("Instance was terminated by a resize");
        assert!(let_go(Some(200), resize));
        assert!(!let_go(None, resize), "it is still there");
        assert!(
            !let_go(Some(200), None) && !let_go(Some(200), Some("")),
            "nobody says why"
        );
        for code in [
            "INTERNAL_ERROR",
            "VALIDATION_ERROR",
            "INSTANCE_FAILURE",
            "BOOTSTRAP_FAILURE",
            "CLUSTER_TERMINATED",
        ] {
            assert!(!let_go(Some(200), Some(&format!("{code}: i-1"))), "{code}");
        }
    }

    #[test]
    fn a_role_is_read_from_emrs_word_and_from_no_other() {
        assert_eq!(Role::parse("MASTER"), Some(Role::Master));
        assert_eq!(Role::parse("CORE"), Some(Role::Core));
        assert_eq!(Role::parse("TASK"), Some(Role::Task));
        for word in ["", "task", "PRIMARY", "TASK "] {
            assert_eq!(Role::parse(word), None, "{word:?}");
        }
    }
}
