//! What the ledger and FIS must hold once a story is over: every warning once, one experiment a wave, nothing left over.
//!
//! Separate because it is bookkeeping, the same for every story.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use local::fault::Kind as Fault;
use local::run::Run;
use local::world::{EMPTIED, State};
use serde_json::{Value, json};

use crate::safety::STEP_TAG;
use crate::{warning, whole_seconds};

/// Everything wrong with what is kept.
pub(crate) fn wrongs(run: &Run, state: &State) -> Vec<String> {
    let mut wrongs = at_most_one_experiment_for_each_wave(state);
    wrongs.extend(each_warning_is_its_clusters(run, state));
    wrongs.extend(every_warning_is_kept_once(state));
    wrongs.extend(no_throw_away_template_is_left(state));
    wrongs.extend(each_reported_drill_is_over(state));
    wrongs
}

fn at_most_one_experiment_for_each_wave(state: &State) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let ours = state
        .account
        .fis
        .experiments()
        .filter(|one| one.tags.contains_key(STEP_TAG));
    ours.map(|one| (one.tags[STEP_TAG].clone(), one.tags["spot-drill:wave"].clone()))
        .filter(|wave| !seen.insert(wave.clone()))
        .map(|wave| format!("ledger: two experiments for step and wave {wave:?}"))
        .collect()
}

/// All items of the ledger's.
pub(crate) fn items(state: &State) -> Vec<Value> {
    let table = state.template.tables.values().next().expect("the template has a table");
    let mut request = json!({"TableName": table.name});
    let mut items = Vec::new();
    loop {
        let answer = state.account.dynamodb.call("Scan", request.to_string().as_bytes());
        let answer = answer.expect("the ledger can be scanned");
        let answer: Value = serde_json::from_slice(&answer).expect("DynamoDB answers JSON");
        items.extend(answer["Items"].as_array().cloned().unwrap_or_default());
        match answer.get("LastEvaluatedKey") {
            Some(last) => request["ExclusiveStartKey"] = last.clone(),
            None => break,
        }
    }
    items
}

/// The ledger's recorded interruptions, by instance and time of the notice.
pub fn recorded(state: &State) -> BTreeMap<(String, DateTime<Utc>), u64> {
    let mut found = BTreeMap::new();
    for item in items(state) {
        let sort_key = item["sk"]["S"].as_str().unwrap_or_default();
        if !sort_key.starts_with("interruption#") {
            continue;
        }
        let id = item["instance_id"]["S"]
            .as_str()
            .expect("an interruption has an instance")
            .to_owned();
        let at = item["noticed_at"]["S"]
            .as_str()
            .and_then(|at| at.parse().ok())
            .expect("and a time");
        let seen = item["seen"]["N"]
            .as_str()
            .and_then(|seen| seen.parse().ok())
            .expect("and a count");
        // A warning that comes hours late is of an instance that EC2 has forgotten: whose it was is not known then.
        let is_forgotten = || item["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with("instance#"));
        if found.contains_key(&(id.clone(), at)) && is_forgotten() && state.injected().contains_key(&Fault::HoursLate) {
            continue;
        }
        assert!(found.insert((id.clone(), at), seen).is_none(), "{id} is recorded twice");
    }
    found
}

/// Once in the ledger, or, when it could not be written in all the times that the queue asked for it, where people
/// find it.
fn every_warning_is_kept_once(state: &State) -> Vec<String> {
    let lost: BTreeSet<String> = state
        .account
        .journal
        .entries()
        .iter()
        .filter(|entry| entry.text == "EC2 Spot Instance Interruption Warning, and it is lost")
        .map(|entry| entry.subject.clone())
        .collect();
    let given: BTreeSet<(String, DateTime<Utc>)> = state
        .account
        .ec2
        .instances()
        .filter(|instance| !lost.contains(&instance.instance_id))
        .filter_map(|instance| {
            let noticed_at = instance.interruption.as_ref()?.noticed_at;
            Some((instance.instance_id.clone(), whole_seconds(noticed_at)))
        })
        .collect();
    // What was written into a table that was deleted since is lost with it, and nobody claims otherwise.
    let emptied_at = state
        .account
        .journal
        .entries()
        .iter()
        .find(|entry| entry.text == EMPTIED)
        .map(|entry| entry.at);
    let recorded = recorded(state);
    let kept: BTreeSet<(String, DateTime<Utc>)> = recorded.keys().cloned().collect();
    let mut wrongs = Vec::new();
    let not_written: Vec<_> = given
        .difference(&kept)
        .filter(|(_, at)| emptied_at.is_none_or(|emptied_at| *at > emptied_at))
        .filter(|(id, _)| !waits_for_people(state, id))
        .collect();
    if !kept.is_subset(&given) || !not_written.is_empty() {
        wrongs.push(format!("ledger: it has the warnings {kept:?}, EC2 gave {given:?}"));
    }
    if recorded.values().any(|seen| *seen < 1) {
        wrongs.push(format!("ledger: a warning was never seen: {recorded:?}"));
    }
    wrongs
}

/// Where EC2 answers and no warning is hours late, each is kept with the cluster whose node it is of.
fn each_warning_is_its_clusters(run: &Run, state: &State) -> Vec<String> {
    let faults = &run.stage.faults;
    if !faults.answers_each_call() || faults.hours_late_percent > 0 {
        return Vec::new();
    }
    let nodes = state.account.emr.clusters().flat_map(|cluster| &cluster.instances);
    let nodes: BTreeSet<&str> = nodes.map(|node| node.ec2_instance_id.as_str()).collect();
    let items = items(state).into_iter();
    items
        .filter_map(|item| item["pk"]["S"].as_str()?.strip_prefix("instance#").map(str::to_owned))
        .filter(|id| nodes.contains(id.as_str()))
        .map(|id| format!("ledger: nobody knows whose the warning of {id} is"))
        .collect()
}

/// Whether an instance's warning lies in a dead-letter queue.
fn waits_for_people(state: &State, instance_id: &str) -> bool {
    warning::dead_letters(state)
        .any(|event| event["detail-type"] == warning::WARNING && event["detail"]["instance-id"] == instance_id)
}

fn no_throw_away_template_is_left(state: &State) -> Vec<String> {
    let templates = state.account.fis.templates();
    templates
        .filter(|template| template.definition.tags.contains_key(STEP_TAG))
        .map(|template| format!("ledger: the throw-away template {} is left", template.id))
        .collect()
}

/// Once its step is reported a drill waits for nothing, and asks for nothing.
fn each_reported_drill_is_over(state: &State) -> Vec<String> {
    let drills = items(state).into_iter().filter(|item| item["report"]["M"].is_object());
    let open = drills.filter(|drill| {
        let state = drill["state"]["S"].as_str().unwrap_or_default();
        ["claimed", "waiting", "starting"].contains(&state)
    });
    open.map(|drill| format!("ledger: a drill whose step is reported is not over: {drill}"))
        .collect()
}
