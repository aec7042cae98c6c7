//! The wait for the delay and for Spot task instances.
//!
//! EC2 is polled, whose quota is large, not EMR, whose quota is one call in two seconds for the whole account. That
//! the step has ended is seen in the ledger, where write-report notes it, and now and then asked of EMR, because the
//! event that tells write-report can be lost. Which of the instances are nodes already, only EMR knows; it is asked when
//! enough of them run.

use std::collections::BTreeSet;
use std::time::Duration;

use aws::Error;
use chrono::{DateTime, TimeDelta, Utc};
use rules::cluster::Cluster;
use rules::victim::Victim;
use sha2::{Digest, Sha256};

use crate::policy::Policy;
use crate::work::{Work, why_not};

/// How the wait ended.
pub(crate) enum Wait {
    /// So many run.
    Ready(Vec<Victim>),
    /// There will be no experiment, for this reason.
    Over(String),
}

/// The first and the longest time between two looks, in seconds.
const POLL_SECONDS: f64 = 8.0;
const POLL_SECONDS_MAX: f64 = 25.0;
/// Each time, so much longer than the last.
const POLL_GROWTH: f64 = 1.4;
/// How often EMR is asked.
const EMR_EVERY: TimeDelta = TimeDelta::seconds(75);
/// How often EMR is asked which instances are nodes: an instance takes a minute and more to become one.
const NODES_EVERY: TimeDelta = TimeDelta::seconds(60);

/// Waits until `begin`, and until at least as many instances as the policy needs are nodes of the cluster, besides those
/// that earlier waves
/// interrupted.
pub(crate) async fn wait(work: &Work<'_>, policy: &Policy, begin: DateTime<Utc>) -> Result<Wait, Error> {
    let needs = policy.selection.needs();
    let entered_at = work.aws.now();
    let limit = work.wait_limit(entered_at, begin);
    let mut asked_emr_at = entered_at;
    let mut nodes = Nodes::default();
    let mut pause_seconds = POLL_SECONDS;
    let mut looks: u32 = 0;
    let mut running = 0;
    loop {
        if let Some(reason) = step_over(work, &mut asked_emr_at).await? {
            return Ok(Wait::Over(reason));
        }
        let now = work.aws.now();
        if now >= begin {
            let candidates = candidates(work, policy).await?;
            running = candidates.len();
            if running >= needs
                && let Some(candidates) = nodes.among(work, &policy.cluster, candidates, now >= limit).await?
                && candidates.len() >= needs
            {
                return Ok(Wait::Ready(candidates));
            }
            pause_seconds = (pause_seconds * POLL_GROWTH).min(POLL_SECONDS_MAX);
        }
        if now >= limit {
            let nodes = nodes.words();
            return Ok(Wait::Over(format!(
                "after {} s, {running} Spot task instances run{nodes}; the experiment needs {needs}",
                (now - entered_at).num_seconds()
            )));
        }
        looks += 1;
        let pause = TimeDelta::milliseconds((pause_seconds * 1000.0 * jitter(work, looks)) as i64);
        let until_begin = begin - now;
        let pause = if until_begin > TimeDelta::zero() {
            until_begin.min(TimeDelta::seconds(30))
        } else {
            pause
        };
        let pause = pause.min(limit - now).max(TimeDelta::milliseconds(100));
        tokio::time::sleep(pause.to_std().unwrap_or(Duration::from_secs(1))).await;
    }
}

/// The running Spot task instances that no wave of this drill has chosen before.
async fn candidates(work: &Work<'_>, policy: &Policy) -> Result<Vec<Victim>, Error> {
    let partition = policy.template.partition();
    let mut running = work
        .aws
        .running_spot_task_instances(&work.drill.cluster_id, partition)
        .await?;
    running.retain(|one| {
        !work
            .drill
            .waves
            .iter()
            .flat_map(|wave| &wave.victims)
            .any(|victim| victim.instance_id == one.instance_id)
    });
    Ok(running)
}

/// What EMR last said of which instances are its nodes.
#[derive(Default)]
struct Nodes {
    asked_at: Option<DateTime<Utc>>,
    count: Option<usize>,
}

impl Nodes {
    /// Those of the instances that EMR calls RUNNING: one that is still being set up hosts nothing of the job. `None`:
    /// EMR was asked a short while ago, or answers nobody at the moment. `last`: there will be no other look.
    async fn among(
        &mut self,
        work: &Work<'_>,
        cluster: &Cluster,
        mut candidates: Vec<Victim>,
        last: bool,
    ) -> Result<Option<Vec<Victim>>, Error> {
        let now = work.aws.now();
        if !last && self.asked_at.is_some_and(|asked| now - asked < NODES_EVERY) {
            return Ok(None);
        }
        self.asked_at = Some(now);
        let nodes: BTreeSet<String> = match work.aws.running_task_nodes(cluster).await {
            Ok(nodes) => nodes,
            Err(error) if error.is_code("ThrottlingException") => {
                tracing::warn!(error = error.chain(), "which instances are nodes is not known yet");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        candidates.retain(|one| nodes.contains(&one.instance_id));
        self.count = Some(candidates.len());
        Ok(Some(candidates))
    }

    fn words(&self) -> String {
        match self.count {
            Some(count) => format!(", of which EMR called {count} RUNNING"),
            None => String::new(),
        }
    }
}

async fn step_over(work: &Work<'_>, asked_emr_at: &mut DateTime<Utc>) -> Result<Option<String>, Error> {
    let (cluster_id, step_id) = (&work.drill.cluster_id, &work.drill.step_id);
    let noted = work.aws.drill(&work.config.table_name, cluster_id, step_id).await?;
    if let Some(finished) = noted.and_then(|drill| drill.finished) {
        return Ok(Some(format!("the step ended first, as {}", finished.state)));
    }
    if work.aws.now() - *asked_emr_at < EMR_EVERY {
        return Ok(None);
    }
    *asked_emr_at = work.aws.now();
    match work.aws.step(cluster_id, step_id).await? {
        Some(step) if !step.is_over() && !step.is_ending() => Ok(None),
        step => Ok(Some(why_not(step.as_ref()))),
    }
}

/// Between 0.8 and 1.2, drawn from the step's id, so that many drills that begin at once do not poll at once.
fn jitter(work: &Work<'_>, look: u32) -> f64 {
    0.8 + 0.4 * draw(&format!("{}/{look}", work.drill.step_id))
}

/// A number from 0 to 1, the same for the same text.
pub(crate) fn draw(text: &str) -> f64 {
    let digest = Sha256::digest(text.as_bytes());
    f64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])) / f64::from(u32::MAX)
}
