//! What submit-step may do: one step for each of the schedule's executions, onto the only cluster of that name, and
//! nothing emptied but the results, and not while somebody writes there. Read from the account's own state.
//!
//! Separate because it deletes people's data, and nothing else here does.

use std::collections::BTreeMap;

use account::emr::{Cluster, Step};
use account::journal::{Entry, Kind};
use chrono::{DateTime, TimeDelta, Utc};
use local::run::Run;
use local::scenario::DATA_BUCKET;
use local::world::State;

use crate::invocation::Invocation;
use crate::story::RESULTS;

const SUBMIT_STEP: &str = "spot-drill-SubmitStep";
const START_EXPERIMENT: &str = "spot-drill-StartExperiment";
/// What a step of its own carries.
const EXECUTION: &str = "spot-drill.execution-id";
/// Between the look at who writes and the last object that is deleted lie some calls, which may be throttled.
const LOOK: TimeDelta = TimeDelta::seconds(30);

/// Everything wrong with what was submitted and emptied.
pub(crate) fn wrongs(run: &Run, state: &State) -> Vec<String> {
    let submitted: Vec<(&Cluster, &Step, &str)> = submitted(state).collect();
    let checks = called(run);
    let mut wrongs = Vec::new();
    let mut by_execution: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (cluster, step, execution) in &submitted {
        by_execution.entry(execution).or_default().push(&step.id);
        let called_so = called_so(state, &cluster.name);
        if cluster.name != checks || called_so != 1 {
            wrongs.push(format!(
                "submission: step {} is on {}, one of {called_so}",
                step.id, cluster.name
            ));
        }
    }
    let several = by_execution.iter().filter(|(_, steps)| steps.len() > 1);
    wrongs.extend(several.map(|(execution, steps)| format!("submission: execution {execution} added {steps:?}")));
    for entry in calls(state).filter(|entry| entry.subject == "DeleteObjects" && entry.data["error"].is_null()) {
        wrongs.extend(deleted_wrongly(run, state, entry));
    }
    wrongs.extend(nothing_is_added_for_nothing(run, state, submitted.len()));
    wrongs
}

/// The name of the cluster that steps are submitted to.
fn called(run: &Run) -> &str {
    let name = run.stage.parameters.get("CheckClusterName");
    name.map_or("emr-spot-workshop", String::as_str)
}

/// How many clusters ever had this name.
fn called_so(state: &State, name: &str) -> usize {
    state.account.emr.clusters().filter(|one| one.name == name).count()
}

/// The steps that submit-step added, with the executions that they carry.
fn submitted(state: &State) -> impl Iterator<Item = (&Cluster, &Step, &str)> {
    let steps = state
        .account
        .emr
        .clusters()
        .flat_map(|cluster| cluster.steps.iter().map(move |step| (cluster, step)));
    steps.filter_map(|(cluster, step)| Some((cluster, step, step.property(EXECUTION)?)))
}

fn calls(state: &State) -> impl Iterator<Item = &Entry> {
    let entries = state.account.journal.entries().iter();
    entries.filter(|entry| entry.kind == Kind::Call && entry.data["caller"] == SUBMIT_STEP)
}

/// What it deletes lies among the results, and nobody writes there.
fn deleted_wrongly(run: &Run, state: &State, entry: &Entry) -> Vec<String> {
    let results = format!("arn:aws:s3:::{DATA_BUCKET}/{RESULTS}");
    let asked = entry.data["asked"].as_array().into_iter().flatten();
    let keys = asked
        .filter_map(|one| one["resource"].as_str())
        .filter(|arn| arn.contains('/'));
    let elsewhere = keys.filter(|arn| !arn.starts_with(&results));
    let mut wrongs: Vec<String> = elsewhere.map(|arn| format!("submission: {arn} was deleted")).collect();
    for cluster in state.account.emr.clusters() {
        for step in cluster
            .steps
            .iter()
            .filter(|step| writes(step) && stood_in_the_way(run, state, cluster, step, entry.at))
        {
            wrongs.push(format!(
                "submission: results were deleted at {} while step {} of {} was there, since {}",
                entry.at, step.id, cluster.name, step.created_at
            ));
        }
    }
    wrongs
}

/// Does it say that it writes to the results, below them or above?
fn writes(step: &Step) -> bool {
    let places = ["", "resultsspot"].map(|place| format!("://{DATA_BUCKET}/{place}"));
    step.args
        .iter()
        .any(|word| word.ends_with(&places[0]) || word.contains(&places[1]))
}

/// EMR tells of its own cluster's steps; of another cluster's the ledger does, once start-experiment was told of its begin,
/// where the ledger is what it was then.
fn stood_in_the_way(run: &Run, state: &State, cluster: &Cluster, step: &Step, at: DateTime<Utc>) -> bool {
    let ended = step.ended_at.is_some_and(|ended| ended <= at);
    if cluster.name == called(run) {
        return !ended && step.created_at + LOOK < at;
    }
    let faults = &run.stage.faults;
    let was_told = |one: &Invocation<'_>| one.is_about(&step.id) && one.did_all() && one.ended_at() + LOOK < at;
    !ended
        && faults.gone.is_none()
        && faults.mangled_percent == 0
        && Invocation::all(state, START_EXPERIMENT).iter().any(was_told)
}

/// Where AWS answers, one cluster has the name and nobody stands in the way, each execution adds its step.
fn nothing_is_added_for_nothing(run: &Run, state: &State, submitted: usize) -> Option<String> {
    let faults = &run.stage.faults;
    let began =
        state.account.journal.entries().iter().any(|entry| {
            entry.kind == Kind::Invocation && entry.source == SUBMIT_STEP && entry.text.starts_with("ends")
        });
    let hindered = !faults.answers_each_call() || !faults.lets_each_live() || faults.mangled_percent > 0;
    (began && !may_be_refused(run, state) && !hindered && submitted == 0)
        .then(|| "submission: executions ended, and no step was added".to_owned())
}

/// Does what a function failed for lie in what it was asked to do: no cluster has the name, or two, or somebody writes to
/// the results?
pub(crate) fn is_refusal(run: &Run, state: &State, failed: &Entry) -> bool {
    let words = ["fails: finding the cluster", "fails: emptying"];
    failed.source == SUBMIT_STEP
        && words.iter().any(|words| failed.text.starts_with(words))
        && may_be_refused(run, state)
}

fn may_be_refused(run: &Run, state: &State) -> bool {
    let mut steps = state.account.emr.clusters().flat_map(|cluster| &cluster.steps);
    // Its own steps of earlier executions write there, too.
    called_so(state, called(run)) != 1 || steps.any(writes)
}
