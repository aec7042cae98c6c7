//! What really happened around a step, read from the simulated services' own state and never from what the functions
//! recorded. Tests hold reports against it.

use std::collections::BTreeMap;

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

/// Which steps are due a report: those of clusters that were opted in as long as the step ran, and all where the deployment
/// reports on every step. Where the tag came or went meanwhile, a report may be there and may be missing.
#[derive(Debug)]
pub struct ReportsDue<'a> {
    of_all: bool,
    /// When the tag came (`true`) and went, by cluster: what it was asked for with is not among them.
    tagged: BTreeMap<&'a str, Vec<(Time, bool)>>,
}

impl<'a> ReportsDue<'a> {
    /// Reads the journal once.
    pub fn of(state: &'a State) -> Self {
        let environment = state.template.functions.get("WriteReport").map(|one| &one.environment);
        let is_all = |name: &str| {
            let value = environment.and_then(|all| all.get(name));
            value.is_some_and(|value| value == "all")
        };
        let mut tagged: BTreeMap<&str, Vec<(Time, bool)>> = BTreeMap::new();
        for entry in state.account.journal.entries() {
            let is_on = match entry.text.as_str() {
                "tag spot-drill=on added" => true,
                "tag spot-drill removed" => false,
                _ => continue,
            };
            tagged.entry(&entry.subject).or_default().push((entry.at, is_on));
        }
        Self {
            of_all: is_all("CLUSTERS") || is_all("REPORT_ON"),
            tagged,
        }
    }

    /// Is one due on this step?
    pub fn is_due(&self, cluster: &Cluster, step: &Step) -> bool {
        self.of_all || self.was_opted_in(cluster, step)
    }

    fn was_opted_in(&self, cluster: &Cluster, step: &Step) -> bool {
        let (Some(began), Some(ended)) = (step.started_at, step.ended_at) else {
            return false;
        };
        let mut was_on = cluster.request_tag("spot-drill") == Some("on");
        for (at, is_on) in self.tagged.get(cluster.id.as_str()).into_iter().flatten() {
            match is_on {
                true if *at <= began => was_on = true,
                false if *at <= ended => was_on = false,
                _ => {}
            }
        }
        was_on
    }
}
