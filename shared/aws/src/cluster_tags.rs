//! What tags clusters have, told by EC2 wherever it can: EMR's quotas are for what EC2 does not know.
//!
//! EMR copies a cluster's tags to its instances when they start, adds to the active ones what is added to the cluster, and
//! takes off them what is taken off it: <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-tags.html>. So the
//! primary node has the cluster's tags while it runs. Once it is gone, EC2 lets go of them at some time within the hour:
//! a tag that is seen then was there, one that is not seen says nothing.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::InstanceStateName;

use super::Aws;
use super::ec2::{TAG_CLUSTER, TAG_ROLE, state, tag};
use crate::error::Error;

/// A cluster, as its primary node shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Primary {
    /// The cluster's tags, with EMR's own two.
    pub tags: BTreeMap<String, String>,
    /// Does the node run, so that these are all of the tags?
    pub lives: bool,
}

impl Aws {
    /// A cluster's tags: EC2's word on its primary node, or EMR's on the cluster where no such node runs. `None`: neither
    /// knows the cluster.
    pub async fn cluster_tags(&self, cluster_id: &str) -> Result<Option<BTreeMap<String, String>>, Error> {
        let of_cluster = (format!("tag:{TAG_CLUSTER}"), vec![cluster_id.to_owned()]);
        let running = ("instance-state-name".to_owned(), vec!["running".to_owned()]);
        let primaries = self.primaries(vec![of_cluster, running]).await?;
        match primaries.into_values().next() {
            Some(primary) => Ok(Some(primary.tags)),
            None => Ok(self.cluster(cluster_id).await?.map(|cluster| cluster.tags)),
        }
    }

    /// All clusters of which EC2 shows a primary node, by their ids: those that live, and those that ended a short while
    /// ago.
    pub async fn clusters_by_primary(&self) -> Result<BTreeMap<String, Primary>, Error> {
        self.primaries(vec![("tag-key".to_owned(), vec![TAG_CLUSTER.to_owned()])])
            .await
    }

    async fn primaries(&self, mut filters: Vec<(String, Vec<String>)>) -> Result<BTreeMap<String, Primary>, Error> {
        filters.push((format!("tag:{TAG_ROLE}"), vec!["MASTER".to_owned()]));
        let mut found: BTreeMap<String, Primary> = BTreeMap::new();
        for (_, instance) in self.describe("finding the primary nodes", &filters).await? {
            let Some(cluster_id) = tag(&instance, TAG_CLUSTER) else {
                continue;
            };
            let lives = matches!(
                state(&instance),
                Some(InstanceStateName::Pending | InstanceStateName::Running)
            );
            // A cluster may have three of them, of which one was replaced.
            let primary = found.entry(cluster_id).or_default();
            if primary.lives && !lives {
                continue;
            }
            primary.lives = lives;
            let tags = instance.tags.unwrap_or_default().into_iter();
            primary.tags = tags
                .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
                .collect();
        }
        Ok(found)
    }
}
