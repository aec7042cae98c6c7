//! Calls to EMR. Its quotas are small and shared by the whole account and Region, so each is made rarely:
//! <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-service-limits-what-are.html>

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_emr::types::{ActionOnFailure, HadoopJarStepConfig, InstanceCollectionType, MarketType, StepConfig};
use rules::cluster::{Cluster, Instance, ManagedScaling, Market, Pool, Role, ScalingLimits};
use rules::step::Step;

use super::{Aws, required, time};
use crate::error::Error;
use crate::once::Once;

/// Pages read of one listing at most: a bound for a loop that the other side controls. EMR keeps at most 256 active
/// steps and lists 50 of most things a page.
pub(super) const PAGES_MAX: usize = 200;

/// How many instances EMR lists of a cluster at most.
/// <https://docs.aws.amazon.com/emr/latest/APIReference/API_ListInstances.html>
pub const INSTANCES_LISTED_MAX: usize = 2_000;
/// So many pages of instances are asked for at once, half of what EMR allows anybody; after that, one in so long, half of what
/// it gives back. <https://docs.aws.amazon.com/general/latest/gr/emr.html#limits_emr>
const PAGES_AT_ONCE: usize = 5;
const PAGES_EVERY: Duration = Duration::from_secs(4);
/// A page was seen to have fifty, so there are no more than these; should there be, Lambda's time matters more.
/// <https://github.com/boto/boto/issues/2771>
const PAGES_PACED: usize = INSTANCES_LISTED_MAX / 50;

/// How far a listing of a cluster's instances has come.
#[derive(Debug, Default)]
pub struct InstanceListing(Mutex<Listed>);

#[derive(Debug, Default)]
struct Listed {
    found: Vec<Instance>,
    marker: Option<String>,
    pages: usize,
}

impl InstanceListing {
    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aws {
    /// A step; `None` when the cluster or the step does not exist.
    pub async fn step(&self, cluster_id: &str, step_id: &str) -> Result<Option<Step>, Error> {
        let answer = self
            .emr
            .describe_step()
            .cluster_id(cluster_id)
            .step_id(step_id)
            .send()
            .await;
        match answer.map_err(|error| Error::aws("describing the step", error)) {
            Ok(answer) => Ok(Some(self.read_step(required(answer.step, "Step")?)?)),
            Err(error) if error.is_code("InvalidRequestException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A cluster; `None` when it does not exist.
    pub async fn cluster(&self, cluster_id: &str) -> Result<Option<Cluster>, Error> {
        let answer = self.emr.describe_cluster().cluster_id(cluster_id).send().await;
        match answer.map_err(|error| Error::aws("describing the cluster", error)) {
            Ok(answer) => Ok(Some(cluster(required(answer.cluster, "Cluster")?)?)),
            Err(error) if error.is_code("InvalidRequestException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is asked for in capacity, of all roles: the cluster's fleets, or its groups.
    pub async fn pools(&self, cluster: &Cluster) -> Result<Vec<Pool>, Error> {
        if cluster.has_fleets {
            self.fleets(&cluster.id).await
        } else {
            self.groups(&cluster.id).await
        }
    }

    async fn fleets(&self, cluster_id: &str) -> Result<Vec<Pool>, Error> {
        let mut pages = self
            .emr
            .list_instance_fleets()
            .cluster_id(cluster_id)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws("listing the instance fleets", error))?;
            for fleet in page.instance_fleets.unwrap_or_default() {
                let Some(role) = fleet.instance_fleet_type.and_then(|role| Role::parse(role.as_str())) else {
                    continue;
                };
                let weights = fleet
                    .instance_type_specifications
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|specification| {
                        let weight = specification.weighted_capacity.unwrap_or(1);
                        Some((specification.instance_type?, u32::try_from(weight).ok()?))
                    })
                    .collect();
                let spot = fleet.launch_specifications.and_then(|launch| launch.spot_specification);
                let strategy = spot.and_then(|spot| spot.allocation_strategy);
                found.push(Pool {
                    id: required(fleet.id, "Id of a fleet")?,
                    role,
                    target_spot_units: count(fleet.target_spot_capacity),
                    target_on_demand_units: count(fleet.target_on_demand_capacity),
                    weights,
                    scales: false,
                    spot_strategy: strategy.map(|strategy| strategy.as_str().to_owned()),
                });
            }
        }
        Ok(found)
    }

    async fn groups(&self, cluster_id: &str) -> Result<Vec<Pool>, Error> {
        let mut pages = self
            .emr
            .list_instance_groups()
            .cluster_id(cluster_id)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws("listing the instance groups", error))?;
            for group in page.instance_groups.unwrap_or_default() {
                let Some(role) = group.instance_group_type.and_then(|role| Role::parse(role.as_str())) else {
                    continue;
                };
                let requested = count(group.requested_instance_count);
                let is_spot = group.market == Some(MarketType::Spot);
                found.push(Pool {
                    id: required(group.id, "Id of a group")?,
                    role,
                    target_spot_units: if is_spot { requested } else { 0 },
                    target_on_demand_units: if is_spot { 0 } else { requested },
                    weights: BTreeMap::new(),
                    scales: group.auto_scaling_policy.is_some(),
                    spot_strategy: None,
                });
            }
        }
        Ok(found)
    }

    /// Does EMR itself change what the cluster is asked for?
    /// <https://docs.aws.amazon.com/emr/latest/APIReference/API_GetManagedScalingPolicy.html>
    pub async fn managed_scaling(&self, cluster_id: &str) -> Result<ManagedScaling, Error> {
        let answer = self
            .emr
            .get_managed_scaling_policy()
            .cluster_id(cluster_id)
            .send()
            .await;
        let answer = answer.map_err(|error| Error::aws("reading the managed scaling policy", error))?;
        let Some(policy) = answer.managed_scaling_policy else {
            return Ok(ManagedScaling::Absent);
        };
        let limits = policy.compute_limits.map(|limits| ScalingLimits {
            unit: limits.unit_type.map(|unit| unit.as_str().to_owned()),
            most: limits.maximum_capacity_units.map(|most| count(Some(most))),
            on_demand_most: limits.maximum_on_demand_capacity_units.map(|most| count(Some(most))),
        });
        Ok(ManagedScaling::Within(limits.unwrap_or_default()))
    }

    /// The cluster's instances of all roles, those that are gone among them. EMR keeps them when EC2 has forgotten them, for thirty
    /// days and 2,000 at most: a cluster that scales for days has many pages of them, and after the first few the others wait
    /// for each other. What was listed when a page is refused stays in `listing`: asked again with it, the listing goes on
    /// with that page. <https://docs.aws.amazon.com/emr/latest/APIReference/API_ListInstances.html>
    pub async fn instances(
        &self,
        cluster: &Cluster,
        pools: &[Pool],
        listing: &InstanceListing,
    ) -> Result<Vec<Instance>, Error> {
        for _ in 0..PAGES_MAX {
            let (marker, pages) = {
                let listed = listing.lock();
                (listed.marker.clone(), listed.pages)
            };
            if (PAGES_AT_ONCE..PAGES_PACED).contains(&pages) {
                tokio::time::sleep(PAGES_EVERY).await;
            }
            let page = self
                .emr
                .list_instances()
                .cluster_id(&cluster.id)
                .set_marker(marker.clone())
                .send()
                .await
                .map_err(|error| Error::aws("listing the cluster's instances", error))?;
            let instances = page.instances.unwrap_or_default().into_iter();
            let next = page.marker.filter(|marker| !marker.is_empty());
            let mut listed = listing.lock();
            listed.pages += 1;
            listed.found.extend(instances.filter_map(|one| instance(one, pools)));
            // A marker that comes back unchanged would be followed for ever.
            if next.is_none() || next == marker {
                break;
            }
            listed.marker = next;
        }
        let mut found = std::mem::take(&mut *listing.lock()).found;
        found.sort_by(|a, b| (a.created_at, &a.instance_id).cmp(&(b.created_at, &b.instance_id)));
        Ok(found)
    }

    /// Adds a step, and returns its id. EMR knows no client token for this: whoever calls it twice adds two.
    pub async fn add_step(
        &self,
        cluster_id: &str,
        name: &str,
        jar: &str,
        args: &[String],
        properties: &[(&str, &str)],
        action_on_failure: &str,
    ) -> Result<String, Error> {
        let properties = properties
            .iter()
            .map(|(key, value)| aws_sdk_emr::types::KeyValue::builder().key(*key).value(*value).build())
            .collect();
        let jar = HadoopJarStepConfig::builder()
            .jar(jar)
            .set_args(Some(args.to_vec()))
            .set_properties(Some(properties))
            .build();
        let step = StepConfig::builder()
            .name(name)
            .action_on_failure(ActionOnFailure::from(action_on_failure))
            .hadoop_jar_step(jar)
            .build();
        let answer = self
            .emr
            .add_job_flow_steps()
            .job_flow_id(cluster_id)
            .steps(step)
            .customize()
            .config_override(aws_sdk_emr::config::Builder::new().retry_classifier(Once))
            .send()
            .await
            .map_err(|error| Error::aws("adding the step", error))?;
        required(answer.step_ids.unwrap_or_default().into_iter().next(), "StepIds")
    }

    fn read_step(&self, of: aws_sdk_emr::types::Step) -> Result<Step, Error> {
        let applications = self.step_info.take(of.id.as_deref().unwrap_or_default());
        step(of.id, of.name, of.config, of.status, of.log_uri, applications)
    }

    pub(super) fn read_summary(&self, of: aws_sdk_emr::types::StepSummary) -> Result<Step, Error> {
        let applications = self.step_info.take(of.id.as_deref().unwrap_or_default());
        step(of.id, of.name, of.config, of.status, of.log_uri, applications)
    }
}

fn count(number: Option<i32>) -> u32 {
    u32::try_from(number.unwrap_or(0)).unwrap_or(0)
}

fn step(
    id: Option<String>,
    name: Option<String>,
    config: Option<aws_sdk_emr::types::HadoopStepConfig>,
    status: Option<aws_sdk_emr::types::StepStatus>,
    log_uri: Option<String>,
    application_ids: Vec<String>,
) -> Result<Step, Error> {
    let status = required(status, "Status of a step")?;
    let timeline = status.timeline.as_ref();
    let failure = status.failure_details.as_ref().map(|details| {
        let parts = [&details.reason, &details.message, &details.log_file];
        parts
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    });
    let config = config.unwrap_or_else(|| aws_sdk_emr::types::HadoopStepConfig::builder().build());
    Ok(Step {
        id: required(id, "Id of a step")?,
        name: name.unwrap_or_default(),
        state: required(status.state.as_ref(), "State of a step")?.as_str().to_owned(),
        created_at: timeline.and_then(|timeline| time(timeline.creation_date_time.as_ref()?)),
        started_at: timeline.and_then(|timeline| time(timeline.start_date_time.as_ref()?)),
        ended_at: timeline.and_then(|timeline| time(timeline.end_date_time.as_ref()?)),
        jar: config.jar.unwrap_or_default(),
        args: config.args.unwrap_or_default(),
        properties: config.properties.unwrap_or_default().into_iter().collect(),
        failure: failure.filter(|words| !words.is_empty()),
        log_uri: log_uri.filter(|uri| !uri.is_empty()),
        application_ids,
    })
}

fn cluster(cluster: aws_sdk_emr::types::Cluster) -> Result<Cluster, Error> {
    let status = required(cluster.status, "Status of the cluster")?;
    let timeline = status.timeline.as_ref();
    let reason = status.state_change_reason.as_ref().and_then(|reason| {
        let code = reason.code.as_ref().map(|code| code.as_str());
        words(code, reason.message.as_deref())
    });
    let tags = cluster.tags.unwrap_or_default();
    let place = cluster.ec2_instance_attributes;
    let spark_defaults = cluster
        .configurations
        .unwrap_or_default()
        .into_iter()
        .filter(|configuration| configuration.classification.as_deref() == Some("spark-defaults"))
        .flat_map(|configuration| configuration.properties.unwrap_or_default())
        .collect();
    Ok(Cluster {
        id: required(cluster.id, "Id of the cluster")?,
        name: cluster.name.unwrap_or_default(),
        state: required(status.state, "State of the cluster")?.as_str().to_owned(),
        tags: tags
            .into_iter()
            .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
            .collect(),
        release_label: cluster.release_label,
        log_uri: cluster.log_uri,
        availability_zone: place.as_ref().and_then(|place| place.ec2_availability_zone.clone()),
        subnets: place
            .and_then(|place| place.requested_ec2_subnet_ids)
            .unwrap_or_default(),
        has_fleets: cluster.instance_collection_type == Some(InstanceCollectionType::InstanceFleet),
        spark_defaults,
        step_concurrency: cluster
            .step_concurrency_level
            .and_then(|level| u32::try_from(level).ok()),
        created_at: timeline.and_then(|timeline| time(timeline.creation_date_time.as_ref()?)),
        ended_at: timeline.and_then(|timeline| time(timeline.end_date_time.as_ref()?)),
        reason,
    })
}

/// `CODE: message`, or the one of both that there is.
fn words(code: Option<&str>, message: Option<&str>) -> Option<String> {
    let parts: Vec<&str> = [code, message]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}

/// An instance that EC2 has not given an id yet is not one that could be interrupted or replace another.
fn instance(instance: aws_sdk_emr::types::Instance, pools: &[Pool]) -> Option<Instance> {
    let status = instance.status?;
    let timeline = status.timeline.as_ref();
    let instance_type = instance.instance_type.unwrap_or_default();
    let mut pool_ids = [instance.instance_fleet_id, instance.instance_group_id]
        .into_iter()
        .flatten();
    let pool_id = pool_ids.find(|id| !id.is_empty()).unwrap_or_default();
    let pool = pools.iter().find(|pool| pool.id == pool_id);
    let reason = status.state_change_reason.as_ref().and_then(|reason| {
        let code = reason.code.as_ref().map(|code| code.as_str());
        words(code, reason.message.as_deref())
    });
    Some(Instance {
        instance_id: instance.ec2_instance_id?,
        role: pool.map(|pool| pool.role),
        units: pool.map_or(1, |pool| pool.units_of(&instance_type)),
        pool_id,
        instance_type,
        market: if instance.market == Some(MarketType::Spot) {
            Market::Spot
        } else {
            Market::OnDemand
        },
        state: status.state?.as_str().to_owned(),
        private_dns_name: instance.private_dns_name.unwrap_or_default(),
        created_at: timeline.and_then(|timeline| time(timeline.creation_date_time.as_ref()?)),
        ready_at: timeline.and_then(|timeline| time(timeline.ready_date_time.as_ref()?)),
        ended_at: timeline.and_then(|timeline| time(timeline.end_date_time.as_ref()?)),
        reason,
    })
}
