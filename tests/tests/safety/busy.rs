//! A busy Region, in which few clusters are opted in: nobody else is throttled because of us, the sweep stays small, and
//! each step that is watched has its report.
//!
//! `BUSY_HOURS`, `BUSY_CLUSTERS` and `BUSY_BURST` tell it longer and larger, and `-- --nocapture` shows what was counted.

use std::collections::BTreeMap;
use std::time::Duration;

use account::api::Time;
use account::emr::StepState;
use account::journal::{Entry, Kind};
use account::spark::{StagePlan, Workload};
use account::wire::Service;
use chrono::TimeDelta;
use local::truth;
use local::world::{State, World};
use serde_json::{Value, json};

use crate::staging::*;

const LIGHT: &str = "s3://emr-spot-workshop-data/light.py";
/// Ten thousand steps a day.
const STEPS_A_MINUTE: u64 = 7;
/// Five hundred transient clusters a day: one in so many minutes.
const TRANSIENT_EVERY: u64 = 3;
/// One in so many living clusters is opted in, and one in so many transient ones.
const OPTED_IN_EVERY: u64 = 20;
/// One in so many steps that begin in the same minute is of a cluster that is opted in.
const WATCHED_EVERY: u64 = 50;

/// What is refused to a neighbour who polls steps as a sensor does.
#[derive(Debug, Default)]
struct Neighbour {
    polls: usize,
    throttles: usize,
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("it is a number"))
}

fn light() -> Workload {
    let stage = StagePlan {
        name: "save at light.py:3".into(),
        tasks: 6,
        task_seconds: 70.0,
        parents: Vec::new(),
    };
    Workload {
        stages: vec![stage],
        ..Workload::short()
    }
}

/// A cluster with three Spot task nodes, if it is opted in; else with none, since nobody looks at them.
fn cluster(name: &str, opted_in: bool, keeps: bool) -> Value {
    let mut cluster = small(name);
    cluster["StepConcurrencyLevel"] = json!(10);
    cluster["Configurations"] = json!([{"Classification": "spark-defaults", "Properties": {
        "spark.eventLog.enabled": "true", "spark.eventLog.dir": "s3://emr-spot-workshop-data/spark-events/"}}]);
    if opted_in {
        let task = json!({"InstanceRole": "TASK", "Market": "SPOT", "InstanceType": "r5.2xlarge", "InstanceCount": 3});
        cluster["Instances"]["InstanceGroups"]
            .as_array_mut()
            .unwrap()
            .push(task);
    } else {
        cluster["Tags"] = json!([{"Key": "team", "Value": "x"}]);
    }
    if !keeps {
        cluster["Instances"]["KeepJobFlowAliveWhenNoSteps"] = json!(false);
        cluster["Steps"] = json!([job()]);
    }
    cluster
}

fn job() -> Value {
    step(&["spark-submit", "--deploy-mode", "cluster", LIGHT, OUT])
}

/// Polls `DescribeStep` 0.3 times a second for ever, and takes no for an answer.
async fn poll(world: World, cluster_id: String, step_id: String, counted: std::sync::Arc<std::sync::Mutex<Neighbour>>) {
    loop {
        tokio::time::sleep(Duration::from_millis(3333)).await;
        let input = json!({"ClusterId": cluster_id, "StepId": step_id});
        let now = world.clock.now();
        let answer = world.lock().account.call(now, Service::Emr, "DescribeStep", input);
        let mut counted = counted.lock().unwrap();
        counted.polls += 1;
        counted.throttles += usize::from(answer.is_err());
    }
}

/// Steps and transient clusters come, minute by minute.
async fn live(world: &World, clusters: &[String], minutes: u64, burst: u64) {
    for minute in 0..minutes {
        for number in 0..STEPS_A_MINUTE {
            let at = (minute * STEPS_A_MINUTE + number) as usize % clusters.len();
            add_steps(world, &clusters[at], json!([job()]));
        }
        if minute == minutes / 2 {
            // EMR takes several steps a call, and has a quota for calls.
            for at in 0..burst / 10 {
                let at = at as usize % (OPTED_IN_EVERY as usize - 1);
                add_steps(world, &clusters[at + 1], json!(vec![job(); 10]));
            }
            let watched = usize::try_from(burst / WATCHED_EVERY).unwrap().max(1);
            add_steps(world, &clusters[0], json!(vec![job(); watched]));
        }
        if minute.is_multiple_of(TRANSIENT_EVERY) {
            let number = minute / TRANSIENT_EVERY;
            let opted_in = number.is_multiple_of(OPTED_IN_EVERY);
            run_cluster(world, cluster(&format!("transient-{number}"), opted_in, false));
        }
        sleep(60).await;
    }
}

/// Invocations of a function, each with when it began and ended.
pub(crate) fn invocations<'a>(state: &'a State, name: &str) -> Vec<(Time, Time, &'a Entry)> {
    let mut began = BTreeMap::new();
    let mut found = Vec::new();
    let entries = state.account.journal.entries().iter();
    for entry in entries.filter(|entry| entry.kind == Kind::Invocation && entry.source == name) {
        if entry.text == "begins" {
            began.insert(entry.subject.as_str(), entry.at);
        } else {
            found.push((began[entry.subject.as_str()], entry.at, entry));
        }
    }
    found
}

/// The most invocations at one time.
pub(crate) fn concurrent(invocations: &[(Time, Time, &Entry)]) -> i64 {
    let mut changes: Vec<(Time, i64)> = invocations
        .iter()
        .flat_map(|(from, until, _)| [(*from, 1), (*until, -1)])
        .collect();
    changes.sort();
    let mut running = 0;
    changes
        .into_iter()
        .map(|(_, change)| {
            running += change;
            running
        })
        .max()
        .unwrap_or(0)
}

/// EMR's calls by sweeps, by operation.
fn by_sweeps(state: &State, sweeps: &[(Time, Time, &Entry)]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let entries = state.account.journal.entries().iter();
    for call in entries.filter(|entry| entry.kind == Kind::Call && entry.source == "elasticmapreduce") {
        let is_theirs = call.data["caller"] == "spot-drill-WriteReport"
            && sweeps
                .iter()
                .any(|(from, until, _)| (*from..=*until).contains(&call.at));
        if is_theirs {
            *found.entry(call.subject.clone()).or_default() += 1;
        }
    }
    found
}

/// Calls to EMR that come back each second, for the whole account.
/// <https://docs.aws.amazon.com/general/latest/gr/emr.html#limits_emr>
fn refill(operation: &str) -> f64 {
    match operation {
        "DescribeCluster" | "ListInstanceGroups" => 1.0,
        _ => 0.5,
    }
}

#[test]
fn in_a_busy_region_nobody_else_is_throttled_and_each_watched_step_has_its_report() {
    let hours = from_environment("BUSY_HOURS", 1);
    let burst = from_environment("BUSY_BURST", 60);
    let lost = local::fault::Faults {
        lost_percent: 1,
        ..local::fault::Faults::default()
    };
    in_a_world(1, &[], lost, async |world| {
        world.lock().account.emr.set_workload(LIGHT, light());
        let mut clusters = Vec::new();
        for number in 0..from_environment("BUSY_CLUSTERS", 40) {
            let opted_in = number.is_multiple_of(OPTED_IN_EVERY);
            clusters.push(run_cluster(&world, cluster(&format!("c-{number}"), opted_in, true)));
            sleep(2).await;
        }
        sleep(900).await;
        let step_id = run_step(&world, &clusters[1], job()).await;
        let neighbour = std::sync::Arc::<std::sync::Mutex<Neighbour>>::default();
        tokio::spawn(poll(world.clone(), clusters[1].clone(), step_id, neighbour.clone()));
        let begun_at = world.clock.now();
        live(&world, &clusters, hours * 60, burst).await;
        // What was told goes through; what was not, the sweep finds.
        sleep(3600).await;
        let state = world.lock();
        let hours = (world.clock.now() - begun_at).num_seconds() as f64 / 3600.0;
        let (mut watched, mut without, mut others) = (0, 0, 0);
        for cluster in state.account.emr.clusters() {
            for step in &cluster.steps {
                assert_eq!(step.state, StepState::Completed, "{}", step.id);
                let has = has_report(&state, &cluster.id, &step.id);
                if truth::report_is_due(&state, cluster, step) {
                    watched += 1;
                    without += usize::from(!has);
                } else {
                    others += 1;
                    assert!(!has, "nobody asked for a report of {}", step.id);
                }
            }
        }
        let drilled = state.account.fis.experiments().count();
        let reports = invocations(&state, "spot-drill-WriteReport");
        let sweeps: Vec<_> = reports.into_iter().filter(|one| one.2.text == "ends: swept").collect();
        let longest = sweeps
            .iter()
            .map(|(from, until, _)| *until - *from)
            .max()
            .unwrap_or_default();
        let by_sweeps = by_sweeps(&state, &sweeps);
        let neighbour = neighbour.lock().unwrap();
        println!(
            "{watched} watched steps, {others} others, {drilled} experiments; {neighbour:?}; at once: {} of start-experiment, \
             {} of write-report; {} sweeps, the longest {} s, {by_sweeps:?}",
            concurrent(&invocations(&state, "spot-drill-StartExperiment")),
            concurrent(&invocations(&state, "spot-drill-WriteReport")),
            sweeps.len(),
            longest.num_seconds(),
        );
        assert!(watched > 10 && drilled > 3, "{watched} are watched, {drilled} drilled");
        assert_eq!(without, 0, "of {watched} watched steps");
        assert!(neighbour.polls > 1500);
        assert_eq!(neighbour.throttles, 0);
        assert!(longest <= TimeDelta::seconds(90), "a sweep took {longest}");
        for (operation, calls) in &by_sweeps {
            let share = *calls as f64 / (hours * 3600.0 * refill(operation));
            assert!(
                share <= 0.05,
                "{operation}: {calls} calls, {share:.3} of what comes back"
            );
        }
    });
}
