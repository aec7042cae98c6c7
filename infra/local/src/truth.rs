//! What really happened around a step, read from the simulated services' own state and never from what the functions
//! recorded. Tests hold reports against it.

use account::api::Time;
use account::ec2::{Cause, Instance};
use account::emr::{Cluster, Role, Step};
use account::spark::ApplicationTruth;

use crate::world::State;

/// An instance of a cluster that was interrupted.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// EC2's id.
    pub instance_id: String,
    /// `MASTER`, `CORE`, `TASK`.
    pub role: Role,
    /// Is it a Spot instance?
    pub is_spot: bool,
    /// Its fleet or group.
    pub pool_id: String,
    /// How many units it counts.
    pub units: u32,
    /// When EC2 gave notice.
    pub noticed_at: Time,
    /// When it began to shut down, by the notice or by somebody else first.
    pub shutting_down_at: Option<Time>,
    /// The experiment that did it; `None`: EC2 itself.
    pub experiment_id: Option<String>,
    /// Its name inside the VPC.
    pub private_dns_name: String,
}

/// Every instance of the cluster that was interrupted between two times, in the order of the notices.
pub fn hits(state: &State, cluster: &Cluster, from: Time, until: Time) -> Vec<Hit> {
    let mut hits: Vec<Hit> = cluster
        .instances
        .iter()
        .filter_map(|instance| {
            let machine: &Instance = state.account.ec2.instance(&instance.ec2_instance_id)?;
            let interruption = machine.interruption.as_ref()?;
            Some(Hit {
                instance_id: machine.instance_id.clone(),
                role: instance.role,
                is_spot: machine.market == account::ec2::Market::Spot,
                pool_id: instance.pool_id.clone(),
                units: instance.weight,
                noticed_at: interruption.noticed_at,
                shutting_down_at: machine.shutting_down_at,
                experiment_id: match &interruption.cause {
                    Cause::Experiment(id) => Some(id.clone()),
                    Cause::NoCapacity | Cause::User => None,
                },
                private_dns_name: machine.private_dns_name.clone(),
            })
        })
        .filter(|hit| hit.noticed_at >= from && hit.noticed_at <= until)
        .collect();
    hits.sort_by_key(|hit| (hit.noticed_at, hit.instance_id.clone()));
    hits
}

/// The application of a step.
pub fn application<'a>(cluster: &'a Cluster, application_id: &str) -> Option<&'a ApplicationTruth> {
    cluster
        .yarn()
        .truth()
        .iter()
        .find(|application| application.id == application_id)
}

/// When the pool had, for the first time after `lost_at`, all the units that it was asked for at that time; counting
/// only what EMR had ready. `None`: never until `until`.
pub fn whole_again_at(cluster: &Cluster, pool_id: &str, lost_at: Time, until: Time) -> Option<Time> {
    let pool = cluster.pool(pool_id)?;
    let target_at = |at: Time| {
        pool.targets
            .iter()
            .rev()
            .find(|(since, _)| *since <= at)
            .map_or(0, |(_, units)| units.spot + units.on_demand)
    };
    let ready_at = |at: Time| -> u32 {
        cluster
            .instances
            .iter()
            .filter(|one| one.pool_id == pool_id)
            .filter(|one| one.ready_at.is_some_and(|ready| ready <= at) && one.ended_at.is_none_or(|ended| ended > at))
            .map(|one| one.weight)
            .sum()
    };
    let mut times: Vec<Time> = cluster.instances.iter().filter_map(|one| one.ready_at).collect();
    times.extend(pool.targets.iter().map(|(at, _)| *at));
    times.sort_unstable();
    times
        .into_iter()
        .find(|at| *at > lost_at && *at <= until && ready_at(*at) >= target_at(*at))
}

/// Whether a step's cluster was opted in as long as the step ran, or the deployment reports on every step. Where the tag
/// came or went meanwhile, a report may be there and may be missing.
pub fn report_is_due(state: &State, cluster: &Cluster, step: &Step) -> bool {
    let environment = state.template.functions.get("WriteReport").map(|one| &one.environment);
    let is = |name: &str| {
        environment
            .and_then(|all| all.get(name))
            .is_some_and(|value| value == "all")
    };
    is("CLUSTERS") || is("REPORT_ON") || was_opted_in(state, cluster, step)
}

fn was_opted_in(state: &State, cluster: &Cluster, step: &Step) -> bool {
    let (Some(began), Some(ended)) = (step.started_at, step.ended_at) else {
        return false;
    };
    let mut is_on = cluster.request_tag("spot-drill") == Some("on");
    for entry in state.account.journal.entries() {
        if entry.at > ended {
            break;
        }
        if entry.subject != cluster.id {
            continue;
        }
        match entry.text.as_str() {
            "tag spot-drill=on added" if entry.at <= began => is_on = true,
            "tag spot-drill removed" => is_on = false,
            _ => {}
        }
    }
    is_on
}
