//! Is a step that ended of a cluster that is watched? Asked of whoever answers without EMR's quotas: the ledger, where
//! start-experiment noted what the cluster's instances said when the step began, and EC2.
//!
//! Whoever was opted in when the step began, or is now, gets the report. A cluster that is opted in later, while its step
//! runs, is in the sweep's sight.

use aws::config::{Clusters, watches_all};
use aws::{Aws, Error, Noted};

use crate::Config;

/// Why nobody watches the step, in words. `None`: it is watched, or nobody can say that it is not.
pub(crate) async fn not_watched(
    aws: &Aws,
    config: &Config,
    cluster_id: &str,
    step_id: &str,
) -> Result<Option<String>, Error> {
    if watches_all(config.clusters, config.report_on) {
        return Ok(None);
    }
    let is_watched = match aws.forget_unwatched(&config.table_name, cluster_id, step_id).await? {
        Noted::Watched => true,
        Noted::Unwatched => false,
        // Nobody told of its begin, or its end was told before.
        Noted::Nothing => {
            let tags = aws.cluster_tags(cluster_id).await?;
            tags.is_none_or(|tags| Clusters::opts_in(&tags))
        }
    };
    Ok((!is_watched).then(|| {
        format!(
            "the cluster of step {step_id}, {cluster_id}, is not opted in: it has no tag {}={}",
            Clusters::TAG_KEY,
            Clusters::TAG_VALUE
        )
    }))
}
