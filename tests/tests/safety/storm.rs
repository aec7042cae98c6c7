//! More steps than an account can drill begin in one minute, on every cluster at once: no step is drilled twice, no cluster
//! by two drills at a time, and each step has its report or waits where people find it.
//!
//! `STORM=200x256` is so many clusters with so many steps, which is the most that EMR runs at once
//! (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-concurrent-steps.html>); `-- --nocapture` shows what was counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use account::api::Time;
use account::spark::{StagePlan, Workload};
use account::wire::Service;
use local::world::{State, World};
use serde_json::{Value, json};

use crate::staging::*;

/// What a report waits for at most: retries of Lambda's, sweeps, and EMR's pace.
const HOURS_AFTER: u64 = 30;

fn size() -> (usize, usize) {
    let size = std::env::var("STORM").unwrap_or_else(|_| "2x30".into());
    let (clusters, steps) = size.split_once('x').expect("STORM is CLUSTERSxSTEPS");
    (clusters.parse().unwrap(), steps.parse().unwrap())
}

/// A task of ten minutes, so that there is time for a drill.
fn tiny() -> Workload {
    let stage = StagePlan {
        name: "save at short.py:3".into(),
        tasks: 1,
        task_seconds: 600.0,
        parents: Vec::new(),
    };
    Workload {
        stages: vec![stage],
        ..Workload::short()
    }
}

/// A cluster of Spot task nodes that runs as many steps at once as EMR can, and has them from the beginning.
fn cluster(number: usize, steps: usize) -> Value {
    let mut cluster = small(&format!("storm-{number}"));
    let groups = cluster["Instances"]["InstanceGroups"].as_array_mut().unwrap();
    groups.push(json!({"InstanceRole": "TASK", "Market": "SPOT", "InstanceType": "r5.2xlarge", "InstanceCount": 4}));
    cluster["StepConcurrencyLevel"] = json!(256);
    cluster["Steps"] = vec![short(); steps].into();
    cluster
}

/// Asks for a cluster, and again while EMR throttles.
async fn ask_for(world: &World, cluster: &Value) {
    loop {
        let now = world.clock.now();
        let answer = world
            .lock()
            .account
            .call(now, Service::Emr, "RunJobFlow", cluster.clone());
        world.changed();
        match answer {
            Err(error) if error.code == "ThrottlingException" => tokio::time::sleep(Duration::from_millis(200)).await,
            answer => return drop(answer.unwrap()),
        }
    }
}

/// The steps that dead-letter queues name.
fn kept_for_people(state: &State) -> BTreeSet<String> {
    let queues = state.queues.values().filter(|queue| queue.settings().redrive.is_none());
    let bodies = queues
        .flat_map(|queue| queue.messages())
        .map(|message| message.body.clone());
    let step = |body: String| {
        let body: Value = serde_json::from_str(&body).ok()?;
        let event = body.get("requestPayload").unwrap_or(&body);
        Some(event["detail"]["stepId"].as_str()?.to_owned())
    };
    bodies.filter_map(step).collect()
}

/// The steps that have no report, and of which nothing lies where people find it.
fn unsettled(state: &State) -> Vec<String> {
    let kept = kept_for_people(state);
    let clusters = state.account.emr.clusters();
    let steps = clusters.flat_map(|cluster| cluster.steps.iter().map(move |step| (cluster, step)));
    steps
        .filter(|(cluster, step)| !kept.contains(&step.id) && !has_report(state, &cluster.id, &step.id))
        .map(|(_, step)| step.id.clone())
        .collect()
}

/// From when to when each drill had its cluster: from its first experiment to the end of its step.
fn drilled(state: &State) -> BTreeMap<String, Vec<(Time, Time, String)>> {
    let mut drilled: BTreeMap<String, Vec<(Time, Time, String)>> = BTreeMap::new();
    for experiment in state.account.fis.experiments() {
        let (cluster, step) = (
            &experiment.tags["spot-drill:cluster"],
            &experiment.tags["spot-drill:step"],
        );
        let ended = step_of(state, cluster, step).ended_at.expect("each step has ended");
        drilled
            .entry(cluster.clone())
            .or_default()
            .push((experiment.created_at, ended, step.clone()));
    }
    drilled
}

#[test]
fn a_storm_of_steps_ends_with_each_step_reported_on_or_kept_for_people() {
    let (clusters, steps) = size();
    in_a_world(1, &[("DelaySeconds", "10")], no_faults(), async |world| {
        world.lock().account.emr.set_workload(SHORT, tiny());
        for number in 0..clusters {
            ask_for(&world, &cluster(number, steps)).await;
        }
        let all_over = |state: &State| {
            let mut all = state.account.emr.clusters().flat_map(|cluster| &cluster.steps);
            all.all(|step| step.state.is_over())
        };
        until(&world, all_over).await;
        for _ in 0..HOURS_AFTER * 60 {
            sleep(60).await;
            if unsettled(&world.lock()).is_empty() {
                break;
            }
        }
        let state = world.lock();
        let lost = unsettled(&state);
        assert!(lost.is_empty(), "lost: {lost:?}");
        let all = state.account.emr.clusters();
        let all = all.flat_map(|cluster| cluster.steps.iter().map(move |step| (cluster, step)));
        let has_one: Vec<bool> = all
            .map(|(cluster, step)| has_report(&state, &cluster.id, &step.id))
            .collect();
        assert_eq!(has_one.len(), clusters * steps);
        let reported = has_one.iter().filter(|has| **has).count();
        let mut experiments = 0;
        for (cluster, mut drills) in drilled(&state) {
            experiments += drills.len();
            drills.sort();
            for pair in drills.windows(2) {
                assert_ne!(pair[0].2, pair[1].2, "two experiments of one step");
                assert!(pair[0].1 <= pair[1].0, "two drills have {cluster} at once: {pair:?}");
            }
        }
        println!(
            "{experiments} experiments; {reported} reports, {} events kept for people",
            has_one.len() - reported
        );
        assert!(experiments > 0, "somebody is drilled");
    });
}
