//! Who else is in the account while a story is told: clusters and Spot Instances that no drill of the story may touch.
//!
//! Separate because no story needs them: they run no steps, and are there so that a guard that is missing in the
//! functions hits somebody.
//!
//! No instance is ever stopped here: the simulated EC2 knows neither that state nor a way into it.

use std::collections::BTreeSet;
use std::time::Duration;

use account::Account;
use account::api::{ApiError, Time};
use account::ec2::{Launch, Market, State as InstanceState};
use account::emr::{Cluster, Role};
use account::journal::Entry;
use account::wire::Service;
use serde_json::{Value, json};

use crate::world::{State, World};

/// What the names of the neighbours' clusters begin with; no story's own cluster is called so.
const NAME: &str = "neighbour-";

/// So often one Spot task instance of each neighbour ends, and another comes: some are always new, some just gone.
const EACH: Duration = Duration::from_secs(50);

/// And so many times at most, which is longer than a drill of one step takes.
const TIMES_MAX: usize = 40;

/// The story's own cluster is there by then, or never.
const LOOKS_MAX: usize = 3600;

/// EC2's word for what a story may be about.
const NO_CAPACITY: &str = "InsufficientInstanceCapacity";

/// Whether a cluster is a neighbour's.
pub fn is_stranger(cluster: &Cluster) -> bool {
    cluster.name.starts_with(NAME)
}

/// Moves in once the story's own cluster is there, so that it is the account's first; and lives beside it.
pub(crate) async fn live(world: World) -> Result<(), ApiError> {
    for _ in 0..LOOKS_MAX {
        if world.lock().account.emr.clusters().next().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    move_in(&mut world.lock().account, world.clock.now())?;
    world.changed();
    for turn in 0..TIMES_MAX {
        tokio::time::sleep(EACH).await;
        change(&mut world.lock().account, world.clock.now(), turn);
        world.changed();
    }
    Ok(())
}

/// One cluster that may be drilled and one that may not, and Spot Instances that are nobody's nodes, of which one has
/// the tag that opts a cluster in.
pub fn move_in(account: &mut Account, now: Time) -> Result<(), ApiError> {
    for (name, opted_in) in [("opted-in", true), ("not-opted-in", false)] {
        let request = cluster(&format!("{NAME}{name}"), opted_in);
        account.call(now, Service::Emr, "RunJobFlow", request)?;
    }
    for opted_in in [false, true] {
        let tags = opted_in.then(|| ("spot-drill".to_owned(), "on".to_owned()));
        let launch = Launch {
            instance_type: "r5.xlarge".to_owned(),
            market: Market::Spot,
            availability_zone: String::new(),
            tags: tags.into_iter().collect(),
        };
        match account.launch(now, launch) {
            Err(error) if error.code == NO_CAPACITY => {}
            launched => drop(launched?),
        }
    }
    Ok(())
}

/// Nodes of every role on Spot, and On-Demand task nodes beside them.
fn cluster(name: &str, opted_in: bool) -> Value {
    let tag = if opted_in { "on" } else { "off" };
    let fleet = |role: &str, on_demand: u32, spot: u32| {
        json!({"Name": role, "InstanceFleetType": role, "TargetOnDemandCapacity": on_demand,
            "TargetSpotCapacity": spot, "InstanceTypeConfigs": [{"InstanceType": "r5.xlarge", "WeightedCapacity": 1}]})
    };
    json!({
        "Name": name,
        "ReleaseLabel": "emr-7.10.0",
        "Applications": [{"Name": "Spark"}],
        "Tags": [{"Key": "spot-drill", "Value": tag}],
        "Instances": {
            "KeepJobFlowAliveWhenNoSteps": true,
            "InstanceFleets": [fleet("MASTER", 0, 1), fleet("CORE", 0, 1), fleet("TASK", 1, 3)],
        },
    })
}

/// Each neighbour loses one of its Spot task nodes in turn, of which EMR then makes up.
fn change(account: &mut Account, now: Time, turn: usize) {
    let mut ending = Vec::new();
    for cluster in account.emr.clusters().filter(|cluster| is_stranger(cluster)) {
        let nodes: Vec<&String> = cluster
            .instances
            .iter()
            .filter(|node| node.role == Role::Task && node.market == Market::Spot && node.ready_at.is_some())
            .map(|node| &node.ec2_instance_id)
            .filter(|id| {
                let instance = account.ec2.instance(id);
                instance.is_some_and(|one| one.state == InstanceState::Running && one.interruption.is_none())
            })
            .collect();
        // The last one stays, so that there is always somebody to be hit.
        if nodes.len() > 1 {
            ending.push(nodes[turn % nodes.len()].clone());
        }
    }
    for id in ending {
        account.terminate_instance(now, &id);
    }
}

/// What keeps the neighbours out of what people are shown of a story.
#[derive(Debug, Default)]
pub(crate) struct Veil {
    instances_seen: usize,
    ids: BTreeSet<String>,
}

impl Veil {
    /// Whether an entry is about the neighbours, and not about the story.
    pub(crate) fn hides(&mut self, state: &State, entry: &Entry) -> bool {
        let instances = state.account.ec2.instances().len();
        if instances != self.instances_seen {
            self.instances_seen = instances;
            self.ids = ids(state);
        }
        self.ids.contains(&entry.subject)
    }
}

/// The neighbours' clusters, fleets and instances, and the instances that are of no cluster.
pub fn ids(state: &State) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut nodes = BTreeSet::new();
    for cluster in state.account.emr.clusters() {
        nodes.extend(cluster.instances.iter().map(|node| &node.ec2_instance_id));
        if is_stranger(cluster) {
            ids.insert(cluster.id.clone());
            ids.extend(cluster.pools.iter().map(|pool| pool.id.clone()));
            ids.extend(cluster.instances.iter().map(|node| node.id.clone()));
            ids.extend(cluster.instances.iter().map(|node| node.ec2_instance_id.clone()));
        }
    }
    let all = state.account.ec2.instances().map(|instance| &instance.instance_id);
    ids.extend(all.filter(|id| !nodes.contains(id)).cloned());
    ids
}
