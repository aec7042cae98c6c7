//! Calls to EC2, which allows far more of them than EMR: capacity is polled here, and warnings are attributed here.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, InstanceLifecycleType, InstanceStateName};
use chrono::{DateTime, Utc};
use rules::interruption::SpotStatus;
use rules::victim::Victim;

use super::{Aws, time};
use crate::error::Error;

/// EMR's tag with the cluster's id, on each of its instances.
/// <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-tags.html>
pub(super) const TAG_CLUSTER: &str = "aws:elasticmapreduce:job-flow-id";
/// EMR's tag with `MASTER`, `CORE` or `TASK`, on each of its instances.
pub(super) const TAG_ROLE: &str = "aws:elasticmapreduce:instance-group-role";

/// EMR's tags with the fleet's or the group's id. The user guide names only the two above; where these are missing,
/// the report finds the pool through EMR.
const TAGS_POOL: [&str; 2] = [
    "aws:elasticmapreduce:instance-fleet-id",
    "aws:elasticmapreduce:instance-group-id",
];

/// A filter takes at most 200 values.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>
const FILTER_VALUES_MAX: usize = 200;

/// Pages read of one listing at most.
const PAGES_MAX: usize = 100;

/// What EC2 knows of an instance, for the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// EC2's id.
    pub instance_id: String,
    /// The EMR cluster, by tag.
    pub cluster_id: Option<String>,
    /// `MASTER`, `CORE`, `TASK`, by tag.
    pub role: Option<String>,
    /// The fleet or group, by tag, where EMR sets one.
    pub pool_id: Option<String>,
    /// EC2's instance type.
    pub instance_type: Option<String>,
    /// The Availability Zone.
    pub availability_zone: Option<String>,
    /// Its name inside the VPC.
    pub private_dns_name: Option<String>,
    /// When EC2 launched it.
    pub launched_at: Option<DateTime<Utc>>,
    /// Is it in `shutting-down` or `terminated`?
    pub is_gone: bool,
}

impl Aws {
    /// The cluster's Spot task instances that run, by EMR's own tags; `partition`: that of their ARNs.
    pub async fn running_spot_task_instances(&self, cluster_id: &str, partition: &str) -> Result<Vec<Victim>, Error> {
        let filters = [
            (format!("tag:{TAG_CLUSTER}"), vec![cluster_id.to_owned()]),
            (format!("tag:{TAG_ROLE}"), vec!["TASK".to_owned()]),
            ("instance-lifecycle".to_owned(), vec!["spot".to_owned()]),
            ("instance-state-name".to_owned(), vec!["running".to_owned()]),
        ];
        let mut victims = Vec::new();
        for (owner, instance) in self
            .describe("finding the cluster's Spot task instances", &filters)
            .await?
        {
            // The filters say it all; what breaks machines looks twice.
            let is_ours = tag(&instance, TAG_CLUSTER).as_deref() == Some(cluster_id)
                && tag(&instance, TAG_ROLE).as_deref() == Some("TASK")
                && instance.instance_lifecycle == Some(InstanceLifecycleType::Spot)
                && state(&instance) == Some(&InstanceStateName::Running);
            let (Some(instance_id), Some(zone), true) = (instance.instance_id.clone(), zone(&instance), is_ours) else {
                continue;
            };
            victims.push(Victim {
                arn: format!("arn:{partition}:ec2:{}:{owner}:instance/{instance_id}", self.region),
                instance_id,
                instance_type: instance
                    .instance_type
                    .as_ref()
                    .map(|t| t.as_str().to_owned())
                    .unwrap_or_default(),
                availability_zone: zone,
                private_dns_name: instance.private_dns_name.unwrap_or_default(),
                launched_at: instance.launch_time.as_ref().and_then(time),
            });
        }
        victims.sort();
        Ok(victims)
    }

    /// What EC2 knows of these instances. Those that it does not know are left out: a filter, unlike a list of ids,
    /// does not fail for them.
    pub async fn describe_instances(&self, ids: &[String]) -> Result<BTreeMap<String, Described>, Error> {
        let mut found = BTreeMap::new();
        for chunk in ids.chunks(FILTER_VALUES_MAX) {
            let filters = [("instance-id".to_owned(), chunk.to_vec())];
            for (_, instance) in self.describe("describing the interrupted instances", &filters).await? {
                let Some(instance_id) = instance.instance_id.clone() else {
                    continue;
                };
                let is_gone = matches!(
                    state(&instance),
                    Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
                );
                let described = Described {
                    instance_id: instance_id.clone(),
                    cluster_id: tag(&instance, TAG_CLUSTER),
                    role: tag(&instance, TAG_ROLE),
                    pool_id: TAGS_POOL.iter().find_map(|key| tag(&instance, key)),
                    availability_zone: zone(&instance),
                    instance_type: instance.instance_type.as_ref().map(|t| t.as_str().to_owned()),
                    private_dns_name: instance.private_dns_name.filter(|name| !name.is_empty()),
                    launched_at: instance.launch_time.as_ref().and_then(time),
                    is_gone,
                };
                found.insert(instance_id, described);
            }
        }
        Ok(found)
    }

    pub(super) async fn describe(
        &self,
        doing: &'static str,
        filters: &[(String, Vec<String>)],
    ) -> Result<Vec<(String, aws_sdk_ec2::types::Instance)>, Error> {
        let filters = filters
            .iter()
            .map(|(name, values)| Filter::builder().name(name).set_values(Some(values.clone())).build())
            .collect();
        let mut pages = self
            .ec2
            .describe_instances()
            .set_filters(Some(filters))
            .max_results(1000)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws(doing, error))?;
            for reservation in page.reservations.unwrap_or_default() {
                let owner = reservation.owner_id.unwrap_or_default();
                found.extend(
                    reservation
                        .instances
                        .unwrap_or_default()
                        .into_iter()
                        .map(|one| (owner.clone(), one)),
                );
            }
        }
        Ok(found)
    }

    /// How EC2 describes these instances' Spot requests: what tells an injected interruption from a natural one.
    pub async fn spot_statuses(&self, ids: &[String]) -> Result<BTreeMap<String, SpotStatus>, Error> {
        let mut found = BTreeMap::new();
        for chunk in ids.chunks(FILTER_VALUES_MAX) {
            let filter = Filter::builder()
                .name("instance-id")
                .set_values(Some(chunk.to_vec()))
                .build();
            let mut pages = self
                .ec2
                .describe_spot_instance_requests()
                .filters(filter)
                .max_results(1000)
                .into_paginator()
                .send();
            for _ in 0..PAGES_MAX {
                let Some(page) = pages.next().await else { break };
                let page = page.map_err(|error| Error::aws("reading the Spot requests' status", error))?;
                for request in page.spot_instance_requests.unwrap_or_default() {
                    let (Some(instance_id), Some(status)) = (request.instance_id, request.status) else {
                        continue;
                    };
                    let Some(code) = status.code else { continue };
                    let at = status.update_time.as_ref().and_then(time);
                    found.insert(instance_id, SpotStatus { code, at });
                }
            }
        }
        Ok(found)
    }
}

pub(super) fn tag(instance: &aws_sdk_ec2::types::Instance, key: &str) -> Option<String> {
    instance
        .tags()
        .iter()
        .find(|tag| tag.key() == Some(key))
        .and_then(|tag| tag.value.clone())
}

fn zone(instance: &aws_sdk_ec2::types::Instance) -> Option<String> {
    instance.placement.as_ref()?.availability_zone.clone()
}

pub(super) fn state(instance: &aws_sdk_ec2::types::Instance) -> Option<&InstanceStateName> {
    instance.state.as_ref()?.name.as_ref()
}
