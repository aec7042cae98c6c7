//! A schedule that submits a check beside the story, onto clusters of its own: of the name that it looks for there may be
//! none or two, and somebody may be writing to the results that it empties.
//!
//! Separate because the story's own cluster knows nothing of it. Trials alone have it, so that stories stay what they were.

use account::spark::{StagePlan, Workload};
use local::scenario::DATA_BUCKET;
use serde_json::{Value, json};

use super::{Chance, Story};

/// The name of the clusters that checks are submitted to.
const CHECKS: &str = "checks";
/// The folder of the results that a check empties first.
pub const RESULTS: &str = "resultsspot/";

/// Of some stories, with a chance of its own, so that what was drawn before stays what it was; and none of the trials that
/// once showed something has it.
pub(crate) fn draw(story: &mut Story) {
    let mut chance = Chance::new(story.seed ^ 0x5eed_0c4e_c400_00c3);
    if !chance.percent(20) {
        return;
    }
    story.kinds.push("check");
    let plot = &mut story.plot;
    let script = format!("s3://{DATA_BUCKET}/check.py");
    plot.workloads.push((script.clone(), Workload::short()));
    let arguments = spark_submit(&script, &format!("s3://{DATA_BUCKET}/{RESULTS}"));
    let minutes: Vec<String> = (0..chance.between(1, 3))
        .map(|_| chance.between(2, 30).to_string())
        .collect();
    let parameters = [
        ("CheckSchedule", format!("cron({} 14 20 11 ? 2026)", minutes.join(","))),
        ("CheckClusterName", CHECKS.to_owned()),
        ("CheckStepArguments", json!(arguments).to_string()),
    ];
    for (name, value) in parameters {
        plot.stage.parameters.insert(name.to_owned(), value);
    }
    for name in [RESULTS, "resultsspot-of-others/", "results/"] {
        plot.objects.push(format!("s3://{DATA_BUCKET}/{name}old"));
    }
    let writer = chance.percent(50).then(|| writer(&mut chance, &mut plot.workloads));
    let mut clusters: Vec<Value> = (0..chance.one(&[1, 1, 1, 1, 1, 0, 2]))
        .map(|_| small_cluster(CHECKS, true))
        .collect();
    if let Some(step) = writer {
        if clusters.is_empty() || chance.percent(50) {
            clusters.push(small_cluster("writer", chance.percent(70)));
        }
        let at = clusters.len() - 1;
        clusters[at]["Steps"] = json!([step]);
    }
    plot.beside = clusters;
}

/// A step that writes to the results, below them, or says so of all that lies above them.
fn writer(chance: &mut Chance, workloads: &mut Vec<(String, Workload)>) -> Value {
    let script = format!("s3://{DATA_BUCKET}/writer.py");
    let stage = StagePlan {
        name: "save at writer.py:3".into(),
        tasks: 1,
        task_seconds: f64::from(chance.between(10, 900)),
        parents: Vec::new(),
    };
    let stages = vec![stage];
    workloads.push((
        script.clone(),
        Workload {
            stages,
            ..Workload::short()
        },
    ));
    let place = chance.one(&["resultsspot/", "resultsspot", "resultsspot/day=1/", ""]);
    let scheme = chance.one(&["s3", "s3a", "s3n"]);
    step(&spark_submit(&script, &format!("{scheme}://{DATA_BUCKET}/{place}")))
}

fn spark_submit(script: &str, place: &str) -> [String; 5] {
    ["spark-submit", "--deploy-mode", "cluster", script, place].map(str::to_owned)
}

fn step(arguments: &[String]) -> Value {
    json!({"Name": "writer", "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": arguments}})
}

/// A cluster of a primary and a core node, which is cheap.
pub fn small_cluster(name: &str, opted_in: bool) -> Value {
    let tag = if opted_in { "on" } else { "off" };
    json!({"Name": name, "ReleaseLabel": "emr-7.10.0", "StepConcurrencyLevel": 2,
        "Tags": [{"Key": "spot-drill", "Value": tag}],
        "Instances": {"KeepJobFlowAliveWhenNoSteps": true, "InstanceGroups": [
            {"InstanceRole": "MASTER", "Market": "ON_DEMAND", "InstanceType": "m5.xlarge", "InstanceCount": 1},
            {"InstanceRole": "CORE", "Market": "ON_DEMAND", "InstanceType": "r5.2xlarge", "InstanceCount": 1}]}})
}
