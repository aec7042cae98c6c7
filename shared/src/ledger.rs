//! The ledger's items and their keys: one DynamoDB table that holds drills, interruptions and claims.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | drill | `cluster#<clusterId>` | `drill#<stepId>` |
//! | interruption | `cluster#<clusterId>` | `interruption#<instanceId>#<event time>` |
//! | interruption outside EMR | `instance#<instanceId>` | the same |
//! | claim of the cluster | `cluster#<clusterId>` | `claim` |
//! | submission | `submission#<execution id>` | `submission` |
//!
//! The index `by-job` (`job`, `started_at`) holds the drills of one job by time.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// An item's primary key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    /// A drill's.
    pub fn drill(cluster_id: &str, step_id: &str) -> Self {
        Self {
            pk: cluster(cluster_id),
            sk: format!("drill#{step_id}"),
        }
    }

    /// An interruption's.
    pub fn interruption(interruption: &Interruption) -> Self {
        let pk = match &interruption.cluster_id {
            Some(cluster_id) => cluster(cluster_id),
            None => outside(&interruption.instance_id),
        };
        let time = interruption.noticed_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        Self {
            pk,
            sk: format!("{INTERRUPTION}{}#{time}", interruption.instance_id),
        }
    }

    /// A claim's.
    pub fn claim(cluster_id: &str) -> Self {
        Self {
            pk: cluster(cluster_id),
            sk: "claim".into(),
        }
    }

    /// A submission's.
    pub fn submission(execution_id: &str) -> Self {
        Self {
            pk: format!("submission#{execution_id}"),
            sk: "submission".into(),
        }
    }
}

/// Sort keys of interruptions begin so.
pub const INTERRUPTION: &str = "interruption#";

/// The partition of a cluster.
pub fn cluster(cluster_id: &str) -> String {
    format!("cluster#{cluster_id}")
}

/// The partition of an instance that is not EMR's, or that nobody could attribute.
pub fn outside(instance_id: &str) -> String {
    format!("instance#{instance_id}")
}

/// A Spot interruption warning, and what EC2 said of the instance when it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interruption {
    /// EC2's id.
    pub instance_id: String,
    /// The EMR cluster, by the instance's tag. `None`: not EMR's, or EC2 no longer knew it.
    #[serde(default)]
    pub cluster_id: Option<String>,
    /// When EC2 gave the notice.
    pub noticed_at: DateTime<Utc>,
    /// `terminate`, `stop`, `hibernate`, or what comes next.
    pub action: String,
    /// `MASTER`, `CORE`, `TASK`, by the instance's tag.
    #[serde(default)]
    pub role: Option<String>,
    /// The fleet or group, by the instance's tag where it has one.
    #[serde(default)]
    pub pool_id: Option<String>,
    /// EC2's instance type.
    #[serde(default)]
    pub instance_type: Option<String>,
    /// The Availability Zone.
    #[serde(default)]
    pub availability_zone: Option<String>,
    /// Its name inside the VPC, by which Spark knows it.
    #[serde(default)]
    pub private_dns_name: Option<String>,
    /// When EC2 launched it.
    #[serde(default)]
    pub launched_at: Option<DateTime<Utc>>,
    /// How long the warning was on its way to us, of the two minutes that it announces.
    #[serde(default)]
    pub latency_ms: Option<i64>,
    /// EventBridge's id of the event that came first.
    #[serde(default)]
    pub event_id: Option<String>,
    /// How often it was delivered.
    #[serde(default)]
    pub seen: u64,
}

/// A step asked for by the scheduler: at most one for each execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The scheduler's execution id.
    pub execution_id: String,
    /// Lambda's request id of the invocation that works on it.
    pub holder: String,
    /// Until when that invocation can be alive.
    pub lease_until: DateTime<Utc>,
    /// The cluster and the step, once EMR has answered.
    pub step: Option<(String, String)>,
}
