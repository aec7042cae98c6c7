//! The ledger's items and their keys: one DynamoDB table that holds drills, interruptions and claims.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | drill | `cluster#<clusterId>` | `drill#<stepId>` |
//! | interruption | `cluster#<clusterId>` | `interruption#<instanceId>#<event time>` |
//! | interruption outside EMR | `instance#<instanceId>` | the same |
//! | claim of the cluster | `cluster#<clusterId>` | `claim` |
//! | submission | `submission#<execution id>` | `submission` |
//! | active step | `active` | `<clusterId>#<stepId>` |
//! | sweep | `sweep` | `sweep` |
//! | turns at EMR | `emr` | `turns` |
//!
//! An active step's item names the places that the step may write to, so that nobody empties them; and it keeps a step
//! that runs for weeks in the sweep's sight. start-experiment writes it when the step begins, submit-step when it adds
//! the step, the sweep when it sees a step that nobody has noted; write-report deletes it when the step has ended, and so
//! does whoever finds that out. Of a step that nobody watches it says just that, and names no place: write-report then
//! knows that no report is due, when the cluster's instances may be gone. The sweep's item is where the last one stopped.
//!
//! The index `by-job` (`job`, `started_at`) holds the drills of one job by time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::place::{self, Place};
use crate::step::Step;

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
            sk: format!("{DRILL}{step_id}"),
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

    /// An active step's.
    pub fn active(cluster_id: &str, step_id: &str) -> Self {
        Self {
            pk: ACTIVE.into(),
            sk: format!("{cluster_id}#{step_id}"),
        }
    }

    /// The sweep's.
    pub fn sweep() -> Self {
        Self {
            pk: "sweep".into(),
            sk: "sweep".into(),
        }
    }

    /// The turns' at EMR.
    pub fn turns() -> Self {
        Self {
            pk: "emr".into(),
            sk: "turns".into(),
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

/// Sort keys of drills begin so.
pub const DRILL: &str = "drill#";

/// Sort keys of interruptions begin so.
pub const INTERRUPTION: &str = "interruption#";

/// The partition of the active steps: one for all, so that one query tells all places that may be written to.
pub const ACTIVE: &str = "active";

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
    /// The clusters that any invocation was about to add the step to: the one of that name may be another one by now.
    #[serde(default)]
    pub cluster_ids: BTreeSet<String>,
    /// The cluster and the step, once EMR has answered.
    pub step: Option<(String, String)>,
}

/// A step that has not ended, as far as anybody has seen, and the places that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveStep {
    /// The cluster.
    pub cluster_id: String,
    /// The step.
    pub step_id: String,
    /// Its name, for whoever is told that it stands in the way.
    #[serde(default)]
    pub name: String,
    /// What it may write to; empty where it names no place, and where nobody watches it.
    pub places: BTreeSet<Place>,
    /// Is it to be reported on? Else its cluster was not opted in when it began, and EMR was not asked what it runs.
    #[serde(default = "yes")]
    pub watched: bool,
    /// Has EMR not been asked yet what it runs? Whoever minds the places has to ask.
    #[serde(default)]
    pub unread: bool,
    /// When it was seen.
    pub seen_at: DateTime<Utc>,
}

fn yes() -> bool {
    true
}

impl ActiveStep {
    /// An item's life in days. Some steps, those that stream, run for months; the item of one that ended is deleted.
    pub const DAYS_MAX: u32 = 400;

    /// What is to be noted of a step.
    pub fn of(cluster_id: &str, step: &Step, now: DateTime<Utc>) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            step_id: step.id.clone(),
            name: step.name.clone(),
            places: place::named_in(step.words()),
            watched: true,
            unread: false,
            seen_at: now,
        }
    }

    /// What is to be noted of a step that is watched, as long as its turn to be read has not come.
    pub fn unread(cluster_id: &str, step_id: &str, now: DateTime<Utc>) -> Self {
        Self {
            watched: true,
            ..Self::unwatched(cluster_id, step_id, now)
        }
    }

    /// What is to be noted of a step of a cluster that is not opted in.
    pub fn unwatched(cluster_id: &str, step_id: &str, now: DateTime<Utc>) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            step_id: step_id.into(),
            name: String::new(),
            places: BTreeSet::new(),
            watched: false,
            unread: true,
            seen_at: now,
        }
    }
}

/// How far the sweeps have come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// When the last one began that could list the clusters.
    pub swept_at: Option<DateTime<Utc>>,
    /// The clusters whose steps are watched: those that lived then, and those that nobody has looked at since their end.
    #[serde(default)]
    pub watches: BTreeMap<String, Watch>,
    /// Clusters that ended, and of which nobody has said whether they were opted in.
    #[serde(default)]
    pub unknown: BTreeSet<String>,
    /// Clusters that ended and have nothing more to be looked at: nothing can happen there any more.
    pub done: BTreeSet<String>,
    /// Where the next one goes on: the first cluster that the last one did not come to. `None`: it came to all.
    pub next: Option<String>,
}

/// From when to when a cluster's steps are watched, as far as the sweeps have seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Steps that ended earlier are none of ours.
    pub from: DateTime<Utc>,
    /// Neither are those that began later: the cluster was opted out. `None`: it is opted in.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
}

impl Watch {
    /// Is a step that has ended, or runs, watched?
    pub fn covers(&self, step: &Step) -> bool {
        step.ended_at.is_none_or(|ended| ended >= self.from)
            && self
                .until
                .is_none_or(|until| step.started_at.is_none_or(|began| began < until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn step(began: Option<i64>, ended: Option<i64>) -> Step {
        Step {
            id: "s-A".into(),
            name: "nightly".into(),
            state: "RUNNING".into(),
            created_at: None,
            started_at: began.map(at),
            ended_at: ended.map(at),
            jar: "command-runner.jar".into(),
            args: vec!["spark-submit".into(), "s3://code/x.py".into(), "s3://data/out/".into()],
            properties: BTreeMap::new(),
            failure: None,
            log_uri: None,
            application_ids: Vec::new(),
        }
    }

    fn key(key: Key) -> (String, String) {
        (key.pk, key.sk)
    }

    #[test]
    fn the_keys_are_those_of_the_table_above() {
        let expected = |pk: &str, sk: &str| (pk.to_owned(), sk.to_owned());
        assert_eq!(key(Key::drill("j-A", "s-A")), expected("cluster#j-A", "drill#s-A"));
        assert_eq!(key(Key::claim("j-A")), expected("cluster#j-A", "claim"));
        assert_eq!(key(Key::active("j-A", "s-A")), expected("active", "j-A#s-A"));
        assert_eq!(key(Key::sweep()), expected("sweep", "sweep"));
        assert_eq!(
            key(Key::submission("arn:x")),
            expected("submission#arn:x", "submission")
        );
        let warning = |cluster: Option<&str>| {
            let item = serde_json::json!({"instance_id": "i-1", "cluster_id": cluster, "action": "terminate",
                "noticed_at": "2026-11-20T14:02:49.900Z"});
            key(Key::interruption(&serde_json::from_value(item).unwrap()))
        };
        // To the second, as EC2 tells it.
        let sk = "interruption#i-1#2026-11-20T14:02:49Z";
        assert_eq!(warning(Some("j-A")), expected("cluster#j-A", sk));
        assert_eq!(warning(None), expected("instance#i-1", sk));
        assert!(sk.starts_with(INTERRUPTION));
    }

    #[test]
    fn an_active_step_names_the_places_that_it_may_write_to_and_one_that_nobody_watches_none() {
        let active = ActiveStep::of("j-A", &step(Some(10), None), at(20));
        assert_eq!((active.cluster_id.as_str(), active.step_id.as_str()), ("j-A", "s-A"));
        assert_eq!(
            (active.name.as_str(), active.watched, active.seen_at),
            ("nightly", true, at(20))
        );
        let out: Place = "s3://data/out/today".parse().unwrap();
        assert!(active.places.iter().any(|place| place.overlaps(&out)), "{active:?}");
        let unwatched = ActiveStep::unwatched("j-A", "s-A", at(20));
        assert_eq!(
            (unwatched.cluster_id.as_str(), unwatched.step_id.as_str()),
            ("j-A", "s-A")
        );
        assert!(!unwatched.watched && unwatched.places.is_empty());
        assert!(unwatched.unread && !active.unread);
        // The sweep has seen it and not asked what it runs.
        let unread = ActiveStep::unread("j-A", "s-A", at(20));
        assert_eq!((unread.cluster_id.as_str(), unread.step_id.as_str()), ("j-A", "s-A"));
        assert!(unread.watched && unread.unread && unread.places.is_empty() && unread.seen_at == at(20));
    }

    #[test]
    fn an_item_that_does_not_say_whether_its_step_is_watched_is_of_one_that_is() {
        let item = serde_json::json!({"cluster_id": "j-A", "step_id": "s-A", "places": [], "seen_at": at(0)});
        let active: ActiveStep = serde_json::from_value(item).unwrap();
        assert!(active.watched);
    }

    #[test]
    fn a_watch_covers_steps_that_ended_after_its_begin_and_began_before_its_end() {
        let watch = |until: Option<i64>| Watch {
            from: at(100),
            until: until.map(at),
        };
        let covers = |until, began, ended| watch(until).covers(&step(began, ended));
        assert!(covers(None, Some(10), None) && covers(None, Some(10), Some(100)));
        assert!(!covers(None, Some(10), Some(99)), "it ended before");
        assert!(covers(Some(200), Some(199), None) && covers(Some(200), None, None));
        assert!(
            !covers(Some(200), Some(200), None),
            "it began when the cluster was opted out"
        );
        assert!(!covers(Some(200), Some(10), Some(99)) && !covers(Some(200), Some(300), Some(400)));
    }
}
