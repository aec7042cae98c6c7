//! The wait for the delay and for Spot task instances.
//!
//! EC2 is polled, whose quota is large, not EMR, whose quota is one call in two seconds for the whole account. That
//! the step has ended is seen in the ledger, where write-report notes it, and seldom asked of EMR, because the event that
//! tells write-report can be lost. Whether the cluster may be drilled, and which of the instances are nodes already, only
//! EMR knows; it is asked when enough of them run.

use std::time::Duration;

use aws::{Error, Turn};
use chrono::{DateTime, TimeDelta, Utc};
use rules::victim::Victim;
use sha2::{Digest, Sha256};

use crate::policy::{Policy, Reading, Terms};
use crate::work::{Work, why_not};

/// How the wait ended.
pub(crate) enum Wait {
    /// These run, and this may be done to them.
    Ready(Box<Policy>, Vec<Victim>),
    /// There will be no experiment, for this reason.
    Over(String),
    /// There may be none, for this reason.
    Refused(String),
}

/// The longest time between two looks at whether the step goes on, before it is time for the experiment.
const LOOK_EVERY: TimeDelta = TimeDelta::seconds(60);
/// The first and the longest time between two looks at the capacity, in seconds.
const POLL_SECONDS: f64 = 8.0;
const POLL_SECONDS_MAX: f64 = 25.0;
/// Each time, so much longer than the last.
const POLL_GROWTH: f64 = 1.4;
/// How often EMR is asked whether the step goes on: once in the longest of the usual waits.
const EMR_EVERY: TimeDelta = TimeDelta::seconds(400);
/// From the first look at which instances are nodes to the second: an instance takes a minute and more to become one.
/// Each time, twice as long as the last.
const NODES_AFTER: TimeDelta = TimeDelta::seconds(60);

/// Waits until `begin`, and until at least as many instances as the terms need are nodes of the cluster, besides those
/// that earlier waves interrupted. How many these are is read at `begin`, and what may be done when they are there.
pub(crate) async fn wait(work: &Work<'_>, begin: DateTime<Utc>) -> Result<Wait, Error> {
    let entered_at = work.aws.now();
    let limit = work.wait_limit(entered_at, begin);
    let mut asked_emr_at = entered_at;
    let mut nodes = Nodes::default();
    let mut pause_seconds = POLL_SECONDS;
    let mut looks: u32 = 0;
    let mut capacity = None;
    let mut known: Option<Terms> = None;
    let mut has_turn = false;
    let mut has_waited = false;
    loop {
        // Whoever has not waited yet has just written the drill, or is about to: that the step is over shows in that.
        if has_waited && let Some(reason) = step_over(work, &mut asked_emr_at).await? {
            return Ok(Wait::Over(reason));
        }
        let now = work.aws.now();
        if now >= begin {
            let (terms, are_fresh) = match &known {
                Some(terms) => (terms, false),
                None => match Terms::read(work).await? {
                    Ok(terms) => (&*known.insert(terms), true),
                    Err(refusal) => return Ok(Wait::Refused(refusal)),
                },
            };
            let candidates = candidates(work, terms).await?;
            let (running, needs) = (candidates.len(), terms.selection.needs());
            capacity = Some((running, needs));
            if running >= needs && nodes.are_due(now, now >= limit) {
                let patience = (limit - now).max(TimeDelta::zero());
                let turn = if has_turn {
                    Turn::AtOnce
                } else {
                    work.take_turn(patience).await
                };
                match turn {
                    Turn::AtOnce => match nodes.look(work, terms, are_fresh, candidates).await? {
                        Look::Enough(policy, candidates) => return Ok(Wait::Ready(policy, candidates)),
                        Look::NotYet => has_turn = false,
                        Look::Refused(refusal) => return Ok(Wait::Refused(refusal)),
                    },
                    // Who runs, and whether the step does, may have changed meanwhile.
                    Turn::Waited => {
                        (has_turn, has_waited) = (true, true);
                        continue;
                    }
                    Turn::NotSoon => nodes.not_yet = Some("the deployment's share of EMR's calls was used up".into()),
                }
            }
            pause_seconds = (pause_seconds * POLL_GROWTH).min(POLL_SECONDS_MAX);
        }
        if now >= limit {
            return Ok(Wait::Over(in_vain(now - entered_at, capacity, &nodes)));
        }
        looks += 1;
        let pause = TimeDelta::milliseconds((pause_seconds * 1000.0 * jitter(work, looks)) as i64);
        let until_begin = begin - now;
        let pause = if until_begin > TimeDelta::zero() {
            until_begin.min(LOOK_EVERY)
        } else {
            pause
        };
        let pause = pause.min(limit - now).max(TimeDelta::milliseconds(100));
        tokio::time::sleep(pause.to_std().unwrap_or(Duration::from_secs(1))).await;
        has_waited = true;
    }
}

/// Why the wait ended without an experiment, by how many instances ran last and how many were needed.
fn in_vain(waited: TimeDelta, capacity: Option<(usize, usize)>, nodes: &Nodes) -> String {
    let seconds = waited.num_seconds();
    match capacity {
        Some((running, needs)) => format!(
            "after {seconds} s, {running} Spot task instances run{}; the experiment needs {needs}",
            nodes.words()
        ),
        None => format!("after {seconds} s, Lambda's time was used up, and the experiment was to begin later"),
    }
}

/// The running Spot task instances that no wave of this drill has chosen before.
async fn candidates(work: &Work<'_>, terms: &Terms) -> Result<Vec<Victim>, Error> {
    let partition = terms.template.partition();
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

/// What EMR last said of the cluster and of its nodes.
#[derive(Default)]
struct Nodes {
    /// When it is asked again.
    due_at: Option<DateTime<Utc>>,
    pause: Option<TimeDelta>,
    /// What may be done, as it was when EMR was first asked.
    policy: Option<Box<Policy>>,
    /// How many of the instances are nodes.
    count: Option<usize>,
    /// Why EMR's word did not do, where it was of the cluster.
    not_yet: Option<String>,
}

/// What came of asking EMR.
enum Look {
    /// These are nodes, and this may be done, as of now.
    Enough(Box<Policy>, Vec<Victim>),
    /// Not enough are, or EMR answers nobody at the moment, or the cluster is not up.
    NotYet,
    /// It may not be done, in words.
    Refused(String),
}

impl Nodes {
    /// Is it time to ask? `last`: there will be no other look.
    fn are_due(&self, now: DateTime<Utc>, last: bool) -> bool {
        last || self.due_at.is_none_or(|due| now >= due)
    }

    /// Asks EMR which of the instances it calls RUNNING: one that is still being set up hosts nothing of the job. The
    /// policy is as old as this look, whichever look it is.
    async fn look(
        &mut self,
        work: &Work<'_>,
        terms: &Terms,
        are_fresh: bool,
        mut candidates: Vec<Victim>,
    ) -> Result<Look, Error> {
        let needs = terms.selection.needs();
        let pause = self.pause.map_or(NODES_AFTER, |pause| pause * 2);
        self.pause = Some(pause);
        self.due_at = Some(work.aws.now() + pause);
        let mut is_fresh = false;
        let policy = match self.policy.take() {
            Some(policy) => policy,
            None => match self.read(work, are_fresh.then(|| terms.clone())).await? {
                Ok(policy) => {
                    is_fresh = true;
                    policy
                }
                Err(look) => return Ok(look),
            },
        };
        match work.aws.running_task_nodes(&policy.cluster).await {
            Ok(nodes) => candidates.retain(|one| nodes.contains(&one.instance_id)),
            Err(error) if error.is_code("ThrottlingException") => {
                tracing::warn!(error = error.chain(), "which instances are nodes is not known yet");
                self.policy = Some(policy);
                return Ok(Look::NotYet);
            }
            Err(error) => return Err(error),
        }
        self.count = Some(candidates.len());
        if candidates.len() < needs {
            self.policy = Some(policy);
            return Ok(Look::NotYet);
        }
        if is_fresh {
            return Ok(Look::Enough(policy, candidates));
        }
        // The wait was long: look again at everything that says no.
        Ok(match self.read(work, None).await? {
            Ok(policy) => Look::Enough(policy, candidates),
            Err(look) => look,
        })
    }

    async fn read(&mut self, work: &Work<'_>, terms: Option<Terms>) -> Result<Result<Box<Policy>, Look>, Error> {
        Ok(match Policy::read(work, terms).await? {
            Reading::May(policy) => Ok(policy),
            Reading::NotYet(why) => {
                self.not_yet = Some(why);
                Err(Look::NotYet)
            }
            Reading::Refused(refusal) => Err(Look::Refused(refusal)),
        })
    }

    fn words(&self) -> String {
        match (self.count, &self.not_yet) {
            (Some(count), _) => format!(", of which EMR called {count} RUNNING"),
            (None, Some(why)) => format!(", and {why}"),
            (None, None) => String::new(),
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
    if work.take_turn(TimeDelta::zero()).await == Turn::NotSoon {
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
