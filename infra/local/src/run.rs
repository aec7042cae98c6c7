//! A story from begin to report: deploys, makes the cluster, submits the step, lets the twist happen, waits for the
//! reports.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use account::api::Time;
use account::journal::Entry;
use anyhow::{Context, anyhow, bail};
use chrono::TimeDelta;
use report::Report;
use tokio::task::JoinHandle;

use crate::director::{self, HOURS_MAX, LOOK};
use crate::fault::Faults;
use crate::scenario::{DATA_BUCKET, Scenario};
use crate::settings::Settings;
use crate::strangers::{self, Veil};
use crate::truth::ReportsDue;
use crate::world::{State, World};

/// The stack that is deployed: the project's own.
pub const TEMPLATE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml"));

/// When every run begins.
const EPOCH: &str = "2026-11-20T14:00:00Z";

/// One finished step, and what the functions made of it.
#[derive(Debug, Clone)]
pub struct StepRun {
    /// `j-…`
    pub cluster_id: String,
    /// `s-…`
    pub step_id: String,
    /// `report.json` as it lies in S3; `None`: there is none.
    pub json: Option<Vec<u8>>,
    /// `report.html` as it lies in S3.
    pub html: Option<Vec<u8>>,
    /// `report.json` as it was when it was first there.
    pub first_json: Option<Vec<u8>>,
}

impl StepRun {
    /// The report, read back.
    pub fn report(&self) -> anyhow::Result<Report> {
        let json = self
            .json
            .as_ref()
            .ok_or_else(|| anyhow!("step {} has no report", self.step_id))?;
        serde_json::from_slice(json).context("reading the report back")
    }
}

/// A run that came to its end.
pub struct Run {
    /// Where it was told.
    pub stage: Stage,
    /// The world as it stands then.
    pub world: World,
    /// The steps, in the order in which they were added.
    pub steps: Vec<StepRun>,
    /// Virtual time when it began.
    pub begun_at: Time,
    /// Virtual time when it ended.
    pub ended_at: Time,
}

/// Runs a story. `watch` sees each entry of the journal soon after it was written, but for those about the neighbours.
pub fn run(scenario: Scenario, settings: &Settings, seed: u64, watch: impl FnMut(&Entry)) -> anyhow::Result<Run> {
    let stage = Stage {
        parameters: scenario.parameters(settings),
        faults: settings.faults(),
        seed,
    };
    let settings = settings.clone();
    stage.play(|world| director::direct(world, scenario, settings), watch)
}

/// As long as a story and what settles after it may take.
const LIMIT_HOURS: i64 = HOURS_MAX + 3;

/// Where a story is told.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The deployment's parameters.
    pub parameters: BTreeMap<String, String>,
    /// What goes wrong around the services.
    pub faults: Faults,
    /// All chance is drawn from this.
    pub seed: u64,
}

/// A runtime in which time passes as soon as everybody waits for it.
pub(crate) fn virtual_time() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.context("starting the runtime")
}

impl Stage {
    /// A world with the stack in it, in which everything happens that happens by itself.
    pub(crate) fn open(&self) -> anyhow::Result<World> {
        let begun_at: Time = EPOCH.parse().context("the epoch is a time")?;
        let world = World::new(TEMPLATE, &self.parameters, self.seed, begun_at, self.faults.clone())
            .map_err(|error| anyhow!("deploying infra/template.yaml: {error}"))?;
        world.lock().account.s3.create_bucket(DATA_BUCKET);
        tokio::spawn(world.clone().run());
        Ok(world)
    }

    /// Has a director tell a story in a world of its own, in virtual time.
    pub fn play<F>(&self, direct: impl FnOnce(World) -> F, watch: impl FnMut(&Entry)) -> anyhow::Result<Run>
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        virtual_time()?.block_on(async {
            let world = self.open()?;
            let begun_at = world.clock.now();
            let director = tokio::spawn(direct(world.clone()));
            let neighbours = tokio::spawn(strangers::live(world.clone()));
            let followed = self.follow(&world, &director, watch).await;
            // What went wrong there says more than that the story does not end.
            if director.is_finished() {
                director.await.context("the story's director")??;
            }
            let first = followed?;
            if neighbours.is_finished() {
                neighbours.await.context("the neighbours")??;
            }
            let steps = collect(&world, &first);
            let ended_at = world.clock.now();
            Ok(Run {
                stage: self.clone(),
                world,
                steps,
                begun_at,
                ended_at,
            })
        })
    }

    /// Lets time pass until the story is over. Answers each step's report as it was when it was first there.
    async fn follow(
        &self,
        world: &World,
        director: &JoinHandle<anyhow::Result<()>>,
        mut watch: impl FnMut(&Entry),
    ) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let limit = world.clock.now() + TimeDelta::hours(LIMIT_HOURS);
        let (mut shown, mut veil, mut first) = (0, Veil::default(), BTreeMap::new());
        loop {
            tokio::time::sleep(LOOK).await;
            let now = world.clock.now();
            let state = world.lock();
            let entries = state.account.journal.entries();
            for entry in &entries[shown..] {
                if !veil.hides(&state, entry) {
                    watch(entry);
                }
            }
            shown = entries.len();
            note_first_reports(&state, &mut first);
            if let Some(bug) = state.bug() {
                bail!("seed {}: {bug}", self.seed);
            }
            let is_directed = director.is_finished();
            let waits_for = if is_directed { waits_for(&state) } else { None };
            if is_directed && waits_for.is_none() {
                return Ok(first);
            }
            if now > limit {
                let what = self::waits_for(&state).unwrap_or_else(|| "its director is not done".to_owned());
                bail!(
                    "seed {}: the story has not ended after {LIMIT_HOURS} virtual hours: {what}",
                    self.seed
                );
            }
        }
    }
}

fn note_first_reports(state: &State, first: &mut BTreeMap<String, Vec<u8>>) {
    for cluster in state.account.emr.clusters() {
        for step in cluster.steps.iter().filter(|step| step.ended_at.is_some()) {
            if !first.contains_key(&step.id)
                && let Some(json) = report_object(state, &cluster.id, &step.id, "report.json")
            {
                first.insert(step.id.clone(), json);
            }
        }
    }
}

/// What a story still waits for, the first of it in words: steps that are not over, reports of Spark steps that are due,
/// functions that have not answered. `None`: it is over.
fn waits_for(state: &State) -> Option<String> {
    let untold = untold(state);
    untold.or_else(|| (!state.is_quiet()).then(|| "functions work, or events are on their way".to_owned()))
}

/// Of what nobody is told yet, the first of it in words: steps that are not over, reports of Spark steps that are due.
pub(crate) fn untold(state: &State) -> Option<String> {
    let due = LazyCell::new(|| ReportsDue::of(state));
    let (mut has_steps, mut may_have_steps) = (false, false);
    for cluster in state.account.emr.clusters() {
        // One that nobody has started yet, or that ended before its step came, has none.
        may_have_steps |= !strangers::is_stranger(cluster) && !cluster.state.is_over();
        for step in &cluster.steps {
            has_steps = true;
            if step.ended_at.is_none() {
                return Some(format!("step {} of {} is {:?}", step.id, cluster.id, step.state));
            }
            let needs_report = || step.application_id.is_some() && due.is_due(cluster, step);
            if !has_report(state, &cluster.id, &step.id) && needs_report() {
                return Some(format!("step {} of {} has no report", step.id, cluster.id));
            }
        }
    }
    (!has_steps && (may_have_steps || state.account.emr.clusters().all(strangers::is_stranger)))
        .then(|| "there is no step".to_owned())
}

/// Whether a step's report is there.
pub fn has_report(state: &State, cluster_id: &str, step_id: &str) -> bool {
    let bucket = state.template.buckets.get("ReportBucket");
    let uri = bucket.map(|bucket| format!("s3://{bucket}/reports/{cluster_id}/{step_id}/report.json"));
    uri.is_some_and(|uri| state.account.s3.get(&uri).is_ok())
}

fn report_object(state: &State, cluster_id: &str, step_id: &str, name: &str) -> Option<Vec<u8>> {
    let bucket = state.template.buckets.get("ReportBucket")?;
    let uri = format!("s3://{bucket}/reports/{cluster_id}/{step_id}/{name}");
    state.account.s3.get(&uri).ok().map(|object| object.bytes.to_vec())
}

fn collect(world: &World, first: &BTreeMap<String, Vec<u8>>) -> Vec<StepRun> {
    let state = world.lock();
    state
        .account
        .emr
        .clusters()
        .flat_map(|cluster| {
            cluster
                .steps
                .iter()
                .map(move |step| (cluster.id.clone(), step.id.clone()))
        })
        .map(|(cluster_id, step_id)| StepRun {
            json: report_object(&state, &cluster_id, &step_id, "report.json"),
            html: report_object(&state, &cluster_id, &step_id, "report.html"),
            first_json: first.get(&step_id).cloned(),
            cluster_id,
            step_id,
        })
        .collect()
}
