//! The sweep: EMR's events are best effort, so some ends are never told; and a function that dies leaves its
//! throw-away template behind. Every few minutes the sweep finds both.

use chrono::TimeDelta;
use shared::invocation::Invocation;
use shared::{Aws, Error, Outcome};

use crate::{Config, step_report};

/// Clusters that ended and were created longer ago are not looked at.
const CLUSTER_AGE_MAX: TimeDelta = TimeDelta::days(14);
/// A throw-away template older than this serves nobody: no drill lasts as long.
const TEMPLATE_AGE_MAX: TimeDelta = TimeDelta::hours(2);
/// A step that ended less long ago is left to its own event, which may be on its way.
const GRACE: TimeDelta = TimeDelta::minutes(10);
/// What one report may need of Lambda's time.
const RESERVE: TimeDelta = TimeDelta::seconds(420);

/// Looks at every step that ended in the last hours, and reports on those that have no report.
pub(crate) async fn run(aws: &Aws, config: &Config, invocation: &Invocation) -> Result<Outcome, Error> {
    let now = aws.now();
    let since = now - TimeDelta::hours(i64::from(config.sweep_hours));
    let mut clusters = aws.active_clusters().await?;
    clusters.extend(aws.ended_clusters(now - CLUSTER_AGE_MAX).await?);
    let mut steps = 0;
    let mut reported = Vec::new();
    let mut last_error = None;
    for (cluster_id, _) in clusters {
        for step in aws
            .steps(&cluster_id, &["COMPLETED", "FAILED", "CANCELLED"], Some(since))
            .await?
        {
            let ended_long_ago = step.ended_at.is_some_and(|ended| now - ended >= GRACE);
            // A step that was cancelled before it began has nothing to report on.
            if step.spark_arguments().is_none() || !ended_long_ago || step.started_at.is_none() {
                continue;
            }
            steps += 1;
            let drill = aws.drill(&config.table_name, &cluster_id, &step.id).await?;
            if drill.is_some_and(|drill| drill.report.is_some()) {
                continue;
            }
            if invocation.time_left(aws.now(), RESERVE) <= TimeDelta::zero() {
                tracing::warn!(step_id = step.id, "left for the next sweep: Lambda's time runs out");
                continue;
            }
            match step_report::write(aws, config, invocation, &cluster_id, &step.id).await {
                Ok(Outcome::Reported(report)) => reported.push(report),
                Ok(_) => {}
                // One step that cannot be reported on must not keep the others from it.
                Err(error) => {
                    tracing::error!(step_id = step.id, error = error.chain(), "no report");
                    last_error = Some(error);
                }
            }
        }
    }
    let mut templates_deleted = 0;
    for template_id in aws.leaked_throw_aways(now - TEMPLATE_AGE_MAX).await? {
        aws.delete_throw_away(&template_id).await?;
        templates_deleted += 1;
    }
    match last_error {
        None => Ok(Outcome::Swept {
            steps,
            reported,
            templates_deleted,
        }),
        Some(error) => Err(error),
    }
}
