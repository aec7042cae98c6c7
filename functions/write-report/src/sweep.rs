//! The sweep: EMR's events are best effort, so some ends are never told; and a function that dies leaves its
//! throw-away template behind. Every few minutes the sweep finds both.
//!
//! It looks at the clusters that are watched, and at no others; it is over in a minute; where time or EMR's throttling ends
//! it, the next one goes on; and a cluster that was looked at after its end is not looked at again.
//!
//! # Layout
//!
//! * here: one sweep, from cluster to cluster, and what becomes of a cluster's steps;
//! * [`clusters`]: which clusters are watched; [`unwatched`]: notes of steps that nobody watches.

mod clusters;
mod unwatched;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws::invocation::Invocation;
use aws::outcome::Reported;
use aws::{Aws, Error, Outcome};
use aws::{STEP_IDS_MAX, expires_at};
use chrono::{DateTime, TimeDelta, Utc};
use rules::cluster::Cluster;
use rules::ledger::{ActiveStep, Sweep, Watch};
use rules::step::{Launch, Step};

use crate::{Config, interim, recovery, step_report};

/// A throw-away template older than this serves nobody: no drill lasts as long.
const TEMPLATE_AGE_MAX: TimeDelta = TimeDelta::hours(2);
/// A step that ended less long ago is left to its own event, which may be on its way.
const GRACE: TimeDelta = TimeDelta::minutes(10);
/// How long a sweep begins new work. With the pauses between its calls this is also what bounds them: at most twenty of
/// each kind, four times an hour, are below a twentieth of what EMR's smallest buckets get back.
const LASTS: TimeDelta = TimeDelta::seconds(60);
/// What ending in order needs of Lambda's time.
const RESERVE: TimeDelta = TimeDelta::seconds(60);
/// The time between two calls to EMR. Its buckets for `ListSteps`, `DescribeStep`, `ListInstances` and others hold ten
/// calls and get back one in two seconds, for the whole account: while it runs, the sweep takes half of that.
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
    /// Ours, but for its deadline: reports that the sweep writes wait for nothing beyond its own time.
    invocation: Invocation,
    /// When it began.
    now: DateTime<Utc>,
    /// When it begins nothing new any more.
    until: DateTime<Utc>,
    /// Steps that ended before this are none of its business.
    since: DateTime<Utc>,
    /// The watched steps that have not ended as far as the ledger says, by cluster.
    noted: BTreeMap<String, BTreeSet<String>>,
    steps: usize,
    reported: Vec<Reported>,
    problems: Vec<String>,
    first_error: Option<Error>,
    /// Calls to EMR. A report makes some of the other kinds than the listing that found its step: the first since a turn
    /// belongs to it.
    turns: u32,
    /// Was there a report since the last turn?
    has_reported: bool,
}

/// How a cluster was looked at.
enum Look {
    /// All of it; `true`: each step that ended has its report, or needs none.
    Whole(bool),
    /// The sweep ends here: its time is up.
    Stopped,
}

/// What there is to do for a step.
enum Seen {
    /// Nothing more.
    Settled,
    /// Something, by the next sweep.
    Later,
    /// Something, for which no time is left.
    Stopped,
}

/// Looks at the watched steps that ended in the last hours, and reports on those that have no report.
pub(crate) async fn run(aws: &Aws, config: &Config, invocation: &Invocation) -> Result<Outcome, Error> {
    let now = aws.now();
    let until = (now + LASTS).min(invocation.deadline - RESERVE);
    let invocation = Invocation {
        deadline: invocation.deadline.min(until + recovery::RESERVE),
        ..invocation.clone()
    };
    let mut broom = Broom {
        aws,
        config,
        invocation,
        now,
        until,
        since: now - TimeDelta::hours(i64::from(config.sweep_hours)),
        noted: BTreeMap::new(),
        steps: 0,
        reported: Vec::new(),
        problems: Vec::new(),
        first_error: None,
        turns: 0,
        has_reported: false,
    };
    // First of all, because it is little, and nothing else finds them.
    let templates_deleted = broom.delete_templates().await;
    let mut sweep = aws.sweep(&config.table_name).await?;
    let (running, unwatched): (Vec<ActiveStep>, Vec<ActiveStep>) = aws
        .active_steps(&config.table_name)
        .await?
        .into_iter()
        .partition(|step| step.watched);
    for step in &running {
        let noted = broom.noted.entry(step.cluster_id.clone()).or_default();
        noted.insert(step.step_id.clone());
    }
    let not_recovered = interim::look(aws, config, &broom.invocation, &running).await;
    let living = broom.find_clusters(&mut sweep).await;
    broom.tidy(unwatched, living.as_ref()).await;
    let clusters = broom.in_turn(&sweep);
    let looked = broom.look_at(&clusters, living.as_ref(), &mut sweep).await?;
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

    /// The clusters to look at, from where the last sweep stopped: those that are watched, and those of single steps that
    /// are.
    fn in_turn(&self, sweep: &Sweep) -> Vec<String> {
        let all: BTreeSet<&String> = sweep.watches.keys().chain(self.noted.keys()).collect();
        let from = sweep.next.as_deref().unwrap_or_default();
        let (before, after): (Vec<&String>, Vec<&String>) = all.into_iter().partition(|id| id.as_str() < from);
        after.into_iter().chain(before).cloned().collect()
    }

    /// Looks at the clusters in their turn, and keeps in the ledger how far it has come. Returns how many they were.
    async fn look_at(
        &mut self,
        clusters: &[String],
        living: Option<&BTreeSet<String>>,
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
            match self.look(cluster_id, sweep.watches.get(cluster_id).copied()).await {
                Ok(Look::Whole(is_complete)) => {
                    looked += 1;
                    let has_ended = living.is_some_and(|living| !living.contains(cluster_id));
                    if is_complete && has_ended {
                        sweep.watches.remove(cluster_id);
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
                    sweep.watches.remove(cluster_id);
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

    /// Looks at one cluster's steps. Without a watch, only those count that are noted.
    async fn look(&mut self, cluster_id: &str, watch: Option<Watch>) -> Result<Look, Error> {
        if !self.has_time() {
            return Ok(Look::Stopped);
        }
        let mut is_complete = true;
        let mut cluster = None;
        for step in self.steps_of(cluster_id).await? {
            let is_noted = self.noted.get(cluster_id).is_some_and(|noted| noted.contains(&step.id));
            if !is_noted && !watch.is_some_and(|watch| watch.covers(&step)) {
                continue;
            }
            match self.look_at_step(cluster_id, &step, is_noted, &mut cluster).await? {
                Seen::Settled if is_noted && step.is_over() => {
                    self.aws
                        .forget_active(&self.config.table_name, cluster_id, &step.id)
                        .await?;
                }
                Seen::Settled => {}
                Seen::Later => is_complete = false,
                Seen::Stopped => return Ok(Look::Stopped),
            }
        }
        Ok(Look::Whole(is_complete))
    }

    /// `cluster`: once known, it is not asked for again.
    async fn look_at_step(
        &mut self,
        cluster_id: &str,
        step: &Step,
        is_noted: bool,
        cluster: &mut Option<Option<Cluster>>,
    ) -> Result<Seen, Error> {
        let table = &self.config.table_name;
        if !step.is_over() {
            if !is_noted {
                let active = ActiveStep::of(cluster_id, step, self.aws.now());
                self.aws.note_active(table, &active).await?;
            }
            return Ok(Seen::Settled);
        }
        let is_old = step.ended_at.is_some_and(|ended| ended < self.since);
        // A step that was cancelled before it began has nothing to report on.
        if is_old || step.started_at.is_none() || step.launch() == Launch::Other {
            return Ok(Seen::Settled);
        }
        if step.ended_at.is_some_and(|ended| self.now - ended < GRACE) {
            return Ok(Seen::Later);
        }
        self.steps += 1;
        let drill = match self.aws.drill(table, cluster_id, &step.id).await {
            Ok(drill) => drill,
            Err(error) => return self.pass_over(cluster_id, step, error),
        };
        if drill.is_some_and(|drill| drill.report.is_some()) {
            return Ok(Seen::Settled);
        }
        if step.launch() == Launch::Unknown && self.is_not_spark(cluster_id, cluster, step).await? {
            return Ok(Seen::Settled);
        }
        if !self.has_time() {
            return Ok(Seen::Stopped);
        }
        match self.report(cluster_id, step).await {
            Ok(()) => Ok(Seen::Settled),
            Err(error) => self.pass_over(cluster_id, step, error),
        }
    }

    /// One step that cannot be reported on, or whose item in the ledger nobody can read, must not keep the others from it.
    fn pass_over(&mut self, cluster_id: &str, step: &Step, error: Error) -> Result<Seen, Error> {
        if is_throttle(&error) {
            return Err(error);
        }
        self.note_problem(&format!("step {} of {cluster_id}", step.id), error);
        Ok(if self.has_time() { Seen::Later } else { Seen::Stopped })
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

    /// EMR knows nothing of the cluster any more: its steps are over.
    async fn forget_all(&self, cluster_id: &str) -> Result<(), Error> {
        for step_id in self.noted.get(cluster_id).into_iter().flatten() {
            self.aws
                .forget_active(&self.config.table_name, cluster_id, step_id)
                .await?;
        }
        Ok(())
    }

    /// Of a step that may be anything: nothing says that it ran Spark.
    async fn is_not_spark(
        &mut self,
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
        if self.has_reported {
            self.take_turn().await;
        }
        self.has_reported = true;
        let outcome = step_report::write(self.aws, self.config, &self.invocation, cluster_id, &step.id).await?;
        if let Outcome::Reported(report) = outcome {
            self.reported.push(report);
        }
        Ok(())
    }

    /// Waits until the next call to EMR is due.
    async fn take_turn(&mut self) {
        self.turns += 1;
        self.has_reported = false;
        if self.turns > TURNS_AT_ONCE {
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn has_time(&self) -> bool {
        self.aws.now() < self.until
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
