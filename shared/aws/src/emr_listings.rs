//! EMR's listings of clusters, steps and nodes: what a sweep goes over, and what must not be missed.
//!
//! Separate from the other calls to EMR because each of these may be many: whoever has time names a pause between them.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_emr::operation::list_steps::builders::ListStepsFluentBuilder;
use aws_sdk_emr::types::{ClusterState, InstanceFleetType, InstanceGroupType, InstanceState, StepState};
use chrono::{DateTime, Utc};
use rules::cluster::Cluster;
use rules::step::Step;

use super::emr::PAGES_MAX;
use super::{Aws, required, time};
use crate::error::Error;

/// States of a cluster that steps can be added to.
const ACTIVE: [ClusterState; 4] = [
    ClusterState::Starting,
    ClusterState::Bootstrapping,
    ClusterState::Running,
    ClusterState::Waiting,
];

/// The others.
const ENDED: [ClusterState; 3] = [
    ClusterState::Terminating,
    ClusterState::Terminated,
    ClusterState::TerminatedWithErrors,
];

/// Ids that `ListSteps` takes at most.
/// <https://docs.aws.amazon.com/emr/latest/APIReference/API_ListSteps.html>
pub const STEP_IDS_MAX: usize = 10;

/// A cluster, as `ListClusters` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCluster {
    /// `j-…`
    pub id: String,
    /// Its name; not unique.
    pub name: String,
    /// When it ended, if it did.
    pub ended_at: Option<DateTime<Utc>>,
}

impl Aws {
    /// The active clusters' ids and names.
    pub async fn active_clusters(&self) -> Result<Vec<(String, String)>, Error> {
        let found = self.clusters(&ACTIVE, None, Duration::ZERO).await?;
        Ok(found.into_iter().map(|one| (one.id, one.name)).collect())
    }

    /// Those that ended of the clusters created since, with a pause before each further page: for somebody who has time.
    pub async fn ended_clusters(
        &self,
        created_since: DateTime<Utc>,
        pause: Duration,
    ) -> Result<Vec<ListedCluster>, Error> {
        self.clusters(&ENDED, Some(created_since), pause).await
    }

    async fn clusters(
        &self,
        states: &[ClusterState],
        created_since: Option<DateTime<Utc>>,
        pause: Duration,
    ) -> Result<Vec<ListedCluster>, Error> {
        let created_after =
            created_since.map(|since| aws_smithy_types::DateTime::from_millis(since.timestamp_millis()));
        let mut pages = self
            .emr
            .list_clusters()
            .set_cluster_states(Some(states.to_vec()))
            .set_created_after(created_after)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        for number in 0..PAGES_MAX {
            if number > 0 {
                tokio::time::sleep(pause).await;
            }
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws("listing the clusters", error))?;
            let is_last = page.marker.is_none();
            for summary in page.clusters.unwrap_or_default() {
                let status = summary.status.as_ref();
                let timeline = status.and_then(|status| status.timeline.as_ref());
                found.push(ListedCluster {
                    id: required(summary.id, "Id of a cluster")?,
                    name: summary.name.unwrap_or_default(),
                    ended_at: timeline.and_then(|timeline| time(timeline.end_date_time.as_ref()?)),
                });
            }
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// The cluster's steps that have not ended.
    pub async fn active_steps_of(&self, cluster_id: &str) -> Result<Vec<Step>, Error> {
        let states = [StepState::Pending, StepState::Running, StepState::CancelPending];
        let request = self
            .emr
            .list_steps()
            .cluster_id(cluster_id)
            .set_step_states(Some(states.to_vec()));
        self.all_steps(request, "listing the active steps").await
    }

    /// The cluster's steps, newest first, down to a page of which all steps ended before `since`; with a pause before
    /// each call but the first. A step that is older than such a page and ended since is not among them.
    ///
    /// EMR lists in reverse order "unless you specify stepIds with the request or filter by StepStates", so the states
    /// are not asked for: <https://docs.aws.amazon.com/emr/latest/APIReference/API_ListSteps.html>.
    pub async fn steps_since(
        &self,
        cluster_id: &str,
        since: DateTime<Utc>,
        pause: Duration,
    ) -> Result<Vec<Step>, Error> {
        let mut pages = self.emr.list_steps().cluster_id(cluster_id).into_paginator().send();
        let mut found = Vec::new();
        for number in 0..PAGES_MAX {
            if number > 0 {
                tokio::time::sleep(pause).await;
            }
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws("listing the steps", error))?;
            let is_last = page.marker.is_none();
            let summaries = page.steps.unwrap_or_default().into_iter();
            let read = summaries.map(|summary| self.read_summary(summary));
            let mut read = read.collect::<Result<Vec<Step>, Error>>()?;
            let had_steps = !read.is_empty();
            read.retain(|step| !step.is_over() || step.ended_at.is_none_or(|ended| ended >= since));
            // A page without steps says nothing of those that come after it.
            let are_old = had_steps && read.is_empty();
            found.append(&mut read);
            if is_last || are_old {
                break;
            }
        }
        Ok(found)
    }

    /// These steps of a cluster, ten at most.
    pub async fn steps_by_id(&self, cluster_id: &str, ids: &[String]) -> Result<Vec<Step>, Error> {
        let request = self
            .emr
            .list_steps()
            .cluster_id(cluster_id)
            .set_step_ids(Some(ids.to_vec()));
        self.all_steps(request, "listing steps by their ids").await
    }

    async fn all_steps(&self, request: ListStepsFluentBuilder, doing: &'static str) -> Result<Vec<Step>, Error> {
        let mut pages = request.into_paginator().send();
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws(doing, error))?;
            for summary in page.steps.unwrap_or_default() {
                found.push(self.read_summary(summary)?);
            }
        }
        Ok(found)
    }

    /// The EC2 ids of the cluster's task instances that are nodes now, those that EMR calls RUNNING.
    pub async fn running_task_nodes(&self, cluster: &Cluster) -> Result<BTreeSet<String>, Error> {
        let mut request = self
            .emr
            .list_instances()
            .cluster_id(&cluster.id)
            .instance_states(InstanceState::Running);
        request = if cluster.has_fleets {
            request.instance_fleet_type(InstanceFleetType::Task)
        } else {
            request.instance_group_types(InstanceGroupType::Task)
        };
        let mut pages = request.into_paginator().send();
        let mut found = BTreeSet::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws("listing the nodes that run", error))?;
            let instances = page.instances.unwrap_or_default();
            found.extend(instances.into_iter().filter_map(|one| one.ec2_instance_id));
        }
        Ok(found)
    }
}
