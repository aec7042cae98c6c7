//! The sweep: EMR's events are best effort, so some ends are never told; and a function that dies leaves its
//! throw-away template behind. Every few minutes the sweep finds both.
//!
//! It reaches every step that ended in the last hours at the account's real quotas: a cluster that was looked at after
//! its end is not looked at again, and where time or EMR's throttling ends a sweep, the next one goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws::invocation::Invocation;
use aws::outcome::Reported;
use aws::{Aws, Error, Outcome};
use aws::{STEP_IDS_MAX, expires_at};
use chrono::{DateTime, TimeDelta, Utc};
use rules::cluster::Cluster;
use rules::ledger::{ActiveStep, Sweep};
use rules::step::{Launch, Step};

use crate::{Config, interim, step_report};

/// Before the first sweep, or after a long pause, clusters that ended and were created longer ago are not looked at.
/// Later it is known which were active the last time.
const CLUSTER_AGE_MAX: TimeDelta = TimeDelta::days(14);
/// A throw-away template older than this serves nobody: no drill lasts as long.
const TEMPLATE_AGE_MAX: TimeDelta = TimeDelta::hours(2);
/// A step that ended less long ago is left to its own event, which may be on its way.
const GRACE: TimeDelta = TimeDelta::minutes(10);
/// What one report may need of Lambda's time.
const REPORT_RESERVE: TimeDelta = TimeDelta::seconds(420);
/// What ending in order needs of it.
const RESERVE: TimeDelta = TimeDelta::seconds(60);
/// The time between two calls to EMR. Its buckets for `ListSteps`, `DescribeStep`, `ListInstances` and others hold ten
/// calls and get back one in two seconds, for the whole account: the sweep takes half of either.
/// <https://docs.aws.amazon.com/general/latest/gr/emr.html#limits_emr>
const PAUSE: Duration = Duration::from_secs(4);
/// So many turns come without a pause: where there is little to look at, Lambda's time is not spent on waiting.
const TURNS_AT_ONCE: u32 = 5;
/// Problems that the outcome tells; the log has all.
const PROBLEMS_MAX: usize = 20;

/// One sweep.
struct Broom<'a> {
    aws: &'a Aws,
    config: &'a Config,
    invocation: &'a Invocation,
    /// When it began.
    now: DateTime<Utc>,
    /// Steps that ended before this are none of its business.
    since: DateTime<Utc>,
    /// What the ledger says of steps that have not ended, by cluster and step.
    noted: BTreeMap<String, BTreeSet<String>>,
    steps: usize,
    reported: Vec<Reported>,
    problems: Vec<String>,
    first_error: Option<Error>,
    /// Calls to EMR, or reports, which make one or two of each kind.
    turns: u32,
}

/// How a cluster was looked at.
enum Look {
    /// All of it; `true`: each step that ended has its report, or needs none.
    Whole(bool),
    /// The sweep ends here: Lambda's time, or EMR's patience.
    Stopped,
}

/// Looks at every step that ended in the last hours, and reports on those that have no report.
pub(crate) async fn run(aws: &Aws, config: &Config, invocation: &Invocation) -> Result<Outcome, Error> {
    let now = aws.now();
    let mut broom = Broom {
        aws,
        config,
        invocation,
        now,
        since: now - TimeDelta::hours(i64::from(config.sweep_hours)),
        noted: BTreeMap::new(),
        steps: 0,
        reported: Vec::new(),
        problems: Vec::new(),
        first_error: None,
        turns: 0,
    };
    // First of all, because it is little, and nothing else finds them.
    let templates_deleted = broom.delete_templates().await;
    let mut sweep = aws.sweep(&config.table_name).await?;
    let running = aws.active_steps(&config.table_name).await?;
    for step in &running {
        let noted = broom.noted.entry(step.cluster_id.clone()).or_default();
        noted.insert(step.step_id.clone());
    }
    let active = broom.open_clusters(&mut sweep).await;
    let clusters = in_turn(&sweep);
    let looked = broom.look_at(&clusters, active.as_ref(), &mut sweep).await?;
    let not_recovered = interim::look(aws, config, invocation, &running).await;
    match broom.first_error {
        // Nothing could be done at all.
        Some(error) if looked == 0 && broom.reported.is_empty() => Err(error),
        _ => Ok(Outcome::Swept {
            steps: broom.steps,
            reported: broom.reported,
            not_recovered,
            templates_deleted,
            clusters: looked,
            clusters_left: clusters.len() - looked,
            problems: broom.problems,
        }),
    }
}

/// The clusters to look at, from where the last sweep stopped.
fn in_turn(sweep: &Sweep) -> Vec<String> {
    let from = sweep.next.clone().unwrap_or_default();
    let (before, after): (Vec<String>, Vec<String>) = sweep.open.iter().cloned().partition(|id| *id < from);
    after.into_iter().chain(before).collect()
}

impl Broom<'_> {
    async fn delete_templates(&mut self) -> usize {
        let mut deleted = 0;
        let leaked = match self.aws.leaked_throw_aways(self.now - TEMPLATE_AGE_MAX).await {
            Ok(leaked) => leaked,
            Err(error) => {
                self.note_problem("left-over experiment templates", error);
                return 0;
            }
        };
        for template_id in leaked {
            match self.aws.delete_throw_away(&template_id).await {
                Ok(()) => deleted += 1,
                Err(error) => self.note_problem(&format!("experiment template {template_id}"), error),
            }
        }
        deleted
    }

    /// Brings up to date which clusters are to be looked at. Returns those that are active; `None`: nobody can say.
    ///
    /// A cluster that was created before the time looked at and ended in it was active when that time began: the sweeps
    /// since then have seen it.
    async fn open_clusters(&mut self, sweep: &mut Sweep) -> Option<BTreeSet<String>> {
        let has_swept = sweep.swept_at.is_some_and(|swept| swept >= self.since);
        let created_since = if has_swept {
            self.since
        } else {
            self.now - CLUSTER_AGE_MAX
        };
        sweep.open.extend(self.noted.keys().cloned());
        let listed = match self.aws.clusters_since(created_since, PAUSE).await {
            Ok(listed) => listed,
            Err(error) => {
                self.note_problem("the list of clusters", error);
                sweep.open.retain(|id| !sweep.done.contains(id));
                return None;
            }
        };
        let listed_ids: BTreeSet<&str> = listed.iter().map(|one| one.id.as_str()).collect();
        let noted = &self.noted;
        sweep
            .done
            .retain(|id| listed_ids.contains(id.as_str()) && !noted.contains_key(id));
        for one in &listed {
            if one.ended_at.is_some_and(|ended| ended < self.since) {
                sweep.open.remove(&one.id);
            } else {
                sweep.open.insert(one.id.clone());
            }
        }
        sweep.open.retain(|id| !sweep.done.contains(id));
        sweep.swept_at = Some(self.now);
        Some(
            listed
                .into_iter()
                .filter(|one| one.is_active)
                .map(|one| one.id)
                .collect(),
        )
    }

    /// Looks at the clusters in their turn, and keeps in the ledger how far it has come. Returns how many they were.
    async fn look_at(
        &mut self,
        clusters: &[String],
        active: Option<&BTreeSet<String>>,
        sweep: &mut Sweep,
    ) -> Result<usize, Error> {
        let (table, expires) = (
            &self.config.table_name,
            expires_at(self.now, self.config.retention_days),
        );
        let mut looked = 0;
        sweep.next = None;
        for cluster_id in clusters {
            let reports = self.reported.len();
            match self.look(cluster_id).await {
                Ok(Look::Whole(is_complete)) => {
                    looked += 1;
                    if is_complete && active.is_some_and(|active| !active.contains(cluster_id)) {
                        sweep.open.remove(cluster_id);
                        sweep.done.insert(cluster_id.clone());
                    }
                }
                Ok(Look::Stopped) => {
                    sweep.next = Some(cluster_id.clone());
                    break;
                }
                // Even after the SDK's own attempts: others need the quota more.
                Err(error) if is_throttle(&error) => {
                    tracing::warn!(
                        cluster_id,
                        error = error.chain(),
                        "left for the next sweep: EMR's quota is used up"
                    );
                    sweep.next = Some(cluster_id.clone());
                    break;
                }
                Err(error) if error.is_code("InvalidRequestException") => {
                    tracing::info!(cluster_id, "EMR no longer knows the cluster");
                    self.forget_all(cluster_id).await?;
                    sweep.open.remove(cluster_id);
                    looked += 1;
                }
                Err(error) => self.note_problem(&format!("cluster {cluster_id}"), error),
            }
            if self.reported.len() > reports {
                // Reports take long, and Lambda's time may end in the next one: the next sweep then goes on here.
                let so_far = Sweep {
                    next: Some(cluster_id.clone()),
                    ..sweep.clone()
                };
                self.aws.save_sweep(table, &so_far, expires).await?;
            }
        }
        self.aws.save_sweep(table, sweep, expires).await?;
        Ok(looked)
    }

    /// Looks at one cluster's steps.
    async fn look(&mut self, cluster_id: &str) -> Result<Look, Error> {
        if !self.has_time(RESERVE) {
            return Ok(Look::Stopped);
        }
        let mut is_complete = true;
        let mut cluster = None;
        for step in self.steps_of(cluster_id).await? {
            self.keep_noted(cluster_id, &step).await?;
            let is_old = step.ended_at.is_some_and(|ended| ended < self.since);
            // A step that was cancelled before it began has nothing to report on.
            if !step.is_over() || is_old || step.started_at.is_none() || step.launch() == Launch::Other {
                continue;
            }
            if step.ended_at.is_some_and(|ended| self.now - ended < GRACE) {
                is_complete = false;
                continue;
            }
            self.steps += 1;
            let drill = self.aws.drill(&self.config.table_name, cluster_id, &step.id).await?;
            if drill.is_some_and(|drill| drill.report.is_some()) {
                continue;
            }
            if step.launch() == Launch::Unknown && self.is_not_spark(cluster_id, &mut cluster, &step).await? {
                continue;
            }
            if !self.has_time(REPORT_RESERVE) {
                return Ok(Look::Stopped);
            }
            match self.report(cluster_id, &step).await {
                Ok(()) => {}
                Err(error) if is_throttle(&error) => return Err(error),
                // One step that cannot be reported on must not keep the others from it.
                Err(error) => {
                    self.note_problem(&format!("step {} of {cluster_id}", step.id), error);
                    is_complete = false;
                }
            }
        }
        Ok(Look::Whole(is_complete))
    }

    /// The cluster's steps that can matter: the latest, and those of which the ledger says that they have not ended.
    async fn steps_of(&mut self, cluster_id: &str) -> Result<Vec<Step>, Error> {
        self.take_turn().await;
        let mut steps = self.aws.steps_since(cluster_id, self.since, PAUSE).await?;
        let met: BTreeSet<&str> = steps.iter().map(|step| step.id.as_str()).collect();
        let noted = self.noted.get(cluster_id).into_iter().flatten();
        let others: Vec<String> = noted.filter(|id| !met.contains(id.as_str())).cloned().collect();
        for ids in others.chunks(STEP_IDS_MAX) {
            self.take_turn().await;
            steps.extend(self.aws.steps_by_id(cluster_id, ids).await?);
        }
        Ok(steps)
    }

    /// Keeps what the ledger says of a step in line with what EMR says.
    async fn keep_noted(&self, cluster_id: &str, step: &Step) -> Result<(), Error> {
        let table = &self.config.table_name;
        let is_noted = self.noted.get(cluster_id).is_some_and(|steps| steps.contains(&step.id));
        match (step.is_over(), is_noted) {
            (true, true) => self.aws.forget_active(table, cluster_id, &step.id).await,
            (false, false) => {
                let active = ActiveStep::of(cluster_id, step, self.aws.now());
                self.aws.note_active(table, &active).await
            }
            _ => Ok(()),
        }
    }

    /// EMR knows nothing of the cluster any more: its steps are over.
    async fn forget_all(&self, cluster_id: &str) -> Result<(), Error> {
        for step_id in self.noted.get(cluster_id).into_iter().flatten() {
            self.aws
                .forget_active(&self.config.table_name, cluster_id, step_id)
                .await?;
        }
        Ok(())
    }

    /// Of a step that may be anything: nothing says that it ran Spark. `cluster`: once known, it is not asked for again.
    async fn is_not_spark(
        &self,
        cluster_id: &str,
        cluster: &mut Option<Option<Cluster>>,
        step: &Step,
    ) -> Result<bool, Error> {
        let cluster = match cluster {
            Some(known) => known,
            None => cluster.insert(self.aws.cluster(cluster_id).await?),
        };
        let why_not = step_report::why_not_spark(self.aws, self.config, cluster.as_ref(), step);
        Ok(why_not.await.is_some())
    }

    async fn report(&mut self, cluster_id: &str, step: &Step) -> Result<(), Error> {
        self.take_turn().await;
        let outcome = step_report::write(self.aws, self.config, self.invocation, cluster_id, &step.id).await?;
        if let Outcome::Reported(report) = outcome {
            self.reported.push(report);
        }
        Ok(())
    }

    /// Waits until the next call to EMR is due.
    async fn take_turn(&mut self) {
        self.turns += 1;
        if self.turns > TURNS_AT_ONCE {
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn has_time(&self, reserve: TimeDelta) -> bool {
        self.invocation.time_left(self.aws.now(), reserve) > TimeDelta::zero()
    }

    fn note_problem(&mut self, what: &str, error: Error) {
        let why = error.chain();
        tracing::error!(what, error = why, "the sweep goes on without it");
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(format!("{what}: {why}"));
        }
        self.first_error.get_or_insert(error);
    }
}

/// Was the call one too many for AWS's quota?
fn is_throttle(error: &Error) -> bool {
    error.is_code("ThrottlingException")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_goes_on_where_the_last_one_stopped_and_comes_round_to_the_first() {
        let sweep = |next: Option<&str>| Sweep {
            open: ["a", "b", "c"].map(str::to_owned).into(),
            next: next.map(str::to_owned),
            ..Sweep::default()
        };
        assert_eq!(in_turn(&sweep(Some("b"))), ["b", "c", "a"]);
        assert_eq!(in_turn(&sweep(None)), ["a", "b", "c"]);
        // It has ended and was looked at meanwhile.
        assert_eq!(in_turn(&sweep(Some("bb"))), ["c", "a", "b"]);
    }
}
