//! What AWS says of a cluster's nodes: which of them are Spot, and where they lie.
//!
//! Separate because a log knows nodes by their names alone. Read are the answers of the `aws` command line, in any order and
//! as many as there are, one after the other: `emr describe-cluster`, `emr list-instances`, `emr list-instance-fleets` or
//! `-groups`, and `ec2 describe-instances`, which alone tells the zone of each node (EMR puts a cluster into one).
//! <https://docs.aws.amazon.com/cli/latest/reference/emr/list-instances.html>,
//! <https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-instances.html>

use serde::Deserialize;
use spark_log::same_host;

/// Answers of AWS, of which each has some of the fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Said {
    cluster: Option<SaidCluster>,
    instances: Vec<SaidInstance>,
    instance_fleets: Vec<SaidPool>,
    instance_groups: Vec<SaidPool>,
    reservations: Vec<Reservation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct SaidCluster {
    ec2_instance_attributes: Attributes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Attributes {
    ec2_availability_zone: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct SaidPool {
    id: String,
    instance_fleet_type: Option<String>,
    instance_group_type: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Reservation {
    instances: Vec<SaidInstance>,
}

/// EMR's instance, or EC2's: where both tell something, they use other words.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct SaidInstance {
    private_dns_name: Option<String>,
    private_ip_address: Option<String>,
    instance_fleet_id: Option<String>,
    instance_group_id: Option<String>,
    /// EMR's: `ON_DEMAND` or `SPOT`.
    market: Option<String>,
    /// EC2's: `spot`, or missing.
    instance_lifecycle: Option<String>,
    /// EC2's.
    placement: Option<Placement>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Placement {
    availability_zone: Option<String>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    names: Vec<String>,
    is_spot: bool,
    is_master: bool,
    zone: Option<String>,
}

/// A cluster's nodes, as AWS tells of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    nodes: Vec<Node>,
}

/// Why a description is none.
#[derive(Debug, thiserror::Error)]
pub enum Undescribed {
    /// It is not JSON.
    #[error("it is not what the aws command line prints with --output json: {0}")]
    NoJson(#[from] serde_json::Error),
    /// It names nobody.
    #[error("it names no instance: it takes what emr list-instances or ec2 describe-instances print")]
    NoInstances,
}

impl Cluster {
    /// Reads answers of AWS, one after the other.
    ///
    /// # Errors
    /// They are no JSON, or name no instance.
    pub fn parse(text: &str) -> Result<Self, Undescribed> {
        let said: Vec<Said> = serde_json::Deserializer::from_str(text)
            .into_iter()
            .collect::<Result<_, _>>()?;
        let pools = || {
            said.iter()
                .flat_map(|it| it.instance_fleets.iter().chain(&it.instance_groups))
        };
        let is_master = |it: &SaidInstance| {
            pools().any(|pool| {
                let id = Some(pool.id.as_str());
                let kind = pool
                    .instance_fleet_type
                    .as_deref()
                    .or(pool.instance_group_type.as_deref());
                kind == Some("MASTER")
                    && (id == it.instance_fleet_id.as_deref() || id == it.instance_group_id.as_deref())
            })
        };
        let only_zone = said.iter().find_map(|it| {
            it.cluster
                .as_ref()?
                .ec2_instance_attributes
                .ec2_availability_zone
                .clone()
        });
        let by_emr = said.iter().flat_map(|it| &it.instances).map(|it| Node {
            names: names(it),
            is_spot: it.market.as_deref() == Some("SPOT"),
            is_master: is_master(it),
            zone: only_zone.clone(),
        });
        let by_ec2 = said.iter().flat_map(|it| &it.reservations).flat_map(|it| &it.instances);
        let by_ec2 = by_ec2.map(|it| Node {
            names: names(it),
            is_spot: it.instance_lifecycle.as_deref() == Some("spot"),
            is_master: false,
            zone: it.placement.as_ref().and_then(|it| it.availability_zone.clone()),
        });
        let mut nodes: Vec<Node> = by_emr.collect();
        for node in by_ec2 {
            match nodes
                .iter_mut()
                .find(|known| known.names.iter().any(|name| node.names.contains(name)))
            {
                Some(known) => known.zone = node.zone.or(known.zone.take()),
                None => nodes.push(node),
            }
        }
        if nodes.is_empty() {
            return Err(Undescribed::NoInstances);
        }
        Ok(Self { nodes })
    }

    fn node(&self, host: &str) -> Option<&Node> {
        self.nodes
            .iter()
            .find(|node| node.names.iter().any(|name| same_host(name, host)))
    }

    /// Whether a host of the log is one that EC2 does not take back: no Spot instance, or the master's, without which there
    /// is no cluster. None: it is not among the nodes.
    pub fn stays(&self, host: &str) -> Option<bool> {
        self.node(host).map(|node| !node.is_spot || node.is_master)
    }

    /// Whether a host of the log lies in this zone.
    pub fn is_in(&self, host: &str, zone: &str) -> bool {
        self.node(host).is_some_and(|node| node.zone.as_deref() == Some(zone))
    }

    /// The zones of all nodes, by name.
    pub fn zones(&self) -> Vec<&str> {
        let mut zones: Vec<&str> = self.nodes.iter().filter_map(|node| node.zone.as_deref()).collect();
        zones.sort_unstable();
        zones.dedup();
        zones
    }
}

fn names(instance: &SaidInstance) -> Vec<String> {
    let names = [&instance.private_dns_name, &instance.private_ip_address];
    let names = names.into_iter().flatten().filter(|name| !name.is_empty());
    names.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIBED: &str = r#"
        {"Cluster": {"Id": "j-1", "Ec2InstanceAttributes": {"Ec2AvailabilityZone": "eu-west-1b"}}}
        {"InstanceFleets": [{"Id": "if-1", "InstanceFleetType": "MASTER"}, {"Id": "if-2", "InstanceFleetType": "TASK"}]}
        {"Instances": [
            {"Id": "ci-1", "PrivateDnsName": "ip-10-0-0-1.eu-west-1.compute.internal", "InstanceFleetId": "if-1", "Market": "SPOT"},
            {"Id": "ci-2", "PrivateDnsName": "ip-10-0-0-2.eu-west-1.compute.internal", "InstanceFleetId": "if-2", "Market": "SPOT"},
            {"Id": "ci-3", "PrivateDnsName": "ip-10-0-0-3.eu-west-1.compute.internal", "InstanceFleetId": "if-2", "Market": "ON_DEMAND"}]}"#;

    #[test]
    fn spot_nodes_may_go_and_all_others_stay() {
        let cluster = Cluster::parse(DESCRIBED).unwrap();
        let stays = |number: u32| cluster.stays(&format!("ip-10-0-0-{number}.eu-west-1.compute.internal"));
        assert_eq!([1, 2, 3, 4].map(stays), [Some(true), Some(false), Some(true), None]);
    }

    #[test]
    fn a_host_lies_in_its_own_zone_and_an_unknown_one_in_none() {
        let cluster = Cluster::parse(DESCRIBED).unwrap();
        for (number, zone, is_in) in [
            (2, "eu-west-1b", true),
            (2, "eu-west-1c", false),
            (4, "eu-west-1b", false),
        ] {
            let host = format!("ip-10-0-0-{number}.eu-west-1.compute.internal");
            assert_eq!(cluster.is_in(&host, zone), is_in, "{host} in {zone}");
        }
    }

    #[test]
    fn ec2_tells_of_each_nodes_zone() {
        let ec2 = r#"{"Reservations": [{"Instances": [
            {"PrivateDnsName": "ip-10-0-0-2.eu-west-1.compute.internal", "InstanceLifecycle": "spot", "Placement": {"AvailabilityZone": "eu-west-1c"}},
            {"PrivateDnsName": "ip-10-0-0-9.eu-west-1.compute.internal", "Placement": {"AvailabilityZone": "eu-west-1a"}}]}]}"#;
        let cluster = Cluster::parse(&format!("{DESCRIBED}{ec2}")).unwrap();
        assert!(cluster.is_in("ip-10-0-0-2.eu-west-1.compute.internal", "eu-west-1c"));
        assert_eq!(cluster.zones(), ["eu-west-1a", "eu-west-1b", "eu-west-1c"]);
        assert_eq!(cluster.stays("ip-10-0-0-9.eu-west-1.compute.internal"), Some(true));
    }

    #[test]
    fn what_describes_nobody_is_refused() {
        assert!(matches!(
            Cluster::parse("{\"Cluster\": {}}"),
            Err(Undescribed::NoInstances)
        ));
        assert!(matches!(Cluster::parse("nodes: 3"), Err(Undescribed::NoJson(_))));
    }
}
