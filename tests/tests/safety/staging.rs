//! Worlds of one's own, and what people do in them.

use std::collections::BTreeMap;
use std::time::Duration;

use account::api::Time;
use account::emr::{Cluster, ClusterState, Step, StepState};
use account::spark::Workload;
use account::wire::Service;
use aws::ThrowAway;
use chrono::DateTime;
use local::fault::Faults;
use local::run;
pub(crate) use local::run::has_report;
use local::scenario::{DATA_BUCKET, SCENARIOS, Scenario};
use local::world::{State, World};
use report::Report;
use rules::drill::Drill;
use serde_json::{Value, json};
use tests::story::small_cluster;

/// The results that submit-step may empty.
pub(crate) const RESULTS: &str = "s3://emr-spot-workshop-data/resultsspot/";
const HOURS_MAX: u64 = 200;

/// A world in which everything happens that happens by itself, with these parameters besides a results bucket.
pub(crate) fn in_a_world<F: Future<Output = ()>>(
    seed: u64,
    parameters: &[(&str, &str)],
    faults: Faults,
    story: impl FnOnce(World) -> F,
) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let epoch = DateTime::from_timestamp(1_795_183_200, 0).unwrap();
        let data = format!("arn:aws:s3:::{DATA_BUCKET}");
        let mut all = BTreeMap::from([
            ("ResultsBucket".to_owned(), DATA_BUCKET.to_owned()),
            ("EventLogBucketArns".to_owned(), data.clone()),
            ("LogBucketArns".to_owned(), data),
        ]);
        all.extend(
            parameters
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned())),
        );
        let world = World::new(run::TEMPLATE, &all, seed, epoch, faults).unwrap();
        world.lock().account.s3.create_bucket(DATA_BUCKET);
        tokio::spawn(world.clone().run());
        story(world.clone()).await;
        assert_eq!(world.lock().bug(), None);
    });
}

/// Deliveries come once, and each comes.
pub(crate) fn no_faults() -> Faults {
    Faults {
        twice_percent: 0,
        ..Faults::default()
    }
}

/// EMR's and EC2's events are lost, all of them.
pub(crate) fn no_events() -> Faults {
    Faults {
        lost_percent: 100,
        ..no_faults()
    }
}

/// The workshop's cluster with this name, whose steps run two at a time, and its step's workload.
pub(crate) fn workshop(name: &str, units: u32) -> Value {
    let scenario: Scenario = SCENARIOS[0];
    let mut settings = scenario.settings();
    settings.units = units;
    let mut cluster = scenario.cluster(&settings);
    cluster["Name"] = json!(name);
    cluster["StepConcurrencyLevel"] = json!(2);
    cluster
}

/// A cluster of a primary and a core node, which is cheap.
pub(crate) fn small(name: &str) -> Value {
    small_cluster(name, true)
}

/// A step that `command-runner.jar` runs.
pub(crate) fn step(args: &[&str]) -> Value {
    json!({"Name": "a step", "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": args}})
}

/// A step of Spark's, in cluster deploy mode.
pub(crate) fn spark(arguments: &[&str]) -> Value {
    let script = format!("s3://{DATA_BUCKET}/script.py");
    let words = ["spark-submit", "--deploy-mode", "cluster", script.as_str()];
    step(&[&words, arguments].concat())
}

/// The script of a job that ends within a minute, once [`prepare`] has said so.
pub(crate) const SHORT: &str = "s3://emr-spot-workshop-data/short.py";
/// Where it writes to.
pub(crate) const OUT: &str = "s3://emr-spot-workshop-data/out/";

/// A step with the short job.
pub(crate) fn short() -> Value {
    step(&["spark-submit", "--deploy-mode", "cluster", SHORT, OUT])
}

/// The cluster, but that it has the short job as its only step and ends with it.
pub(crate) fn transient(mut cluster: Value) -> Value {
    cluster["Instances"]["KeepJobFlowAliveWhenNoSteps"] = json!(false);
    cluster["Steps"] = json!([short()]);
    cluster
}

/// Has the account know the short job.
pub(crate) fn prepare(world: &World) {
    world.lock().account.emr.set_workload(SHORT, Workload::short());
}

pub(crate) fn call(world: &World, service: Service, operation: &str, input: Value) -> Value {
    let now = world.clock.now();
    let answer = world.lock().account.call(now, service, operation, input);
    world.changed();
    answer.unwrap_or_else(|error| panic!("{operation}: {error}"))
}

pub(crate) fn emr(world: &World, operation: &str, input: Value) -> Value {
    call(world, Service::Emr, operation, input)
}

pub(crate) fn run_cluster(world: &World, cluster: Value) -> String {
    emr(world, "RunJobFlow", cluster)["JobFlowId"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The cluster, once it waits for steps.
pub(crate) async fn cluster_up(world: &World, cluster: Value) -> String {
    let id = run_cluster(world, cluster);
    until(world, |state| cluster_of(state, &id).state == ClusterState::Waiting).await;
    id
}

pub(crate) fn add_steps(world: &World, cluster_id: &str, steps: Value) -> Vec<String> {
    let answer = emr(
        world,
        "AddJobFlowSteps",
        json!({"JobFlowId": cluster_id, "Steps": steps}),
    );
    let ids = answer["StepIds"].as_array().unwrap().iter();
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// The id of a step that was added and runs.
pub(crate) async fn run_step(world: &World, cluster_id: &str, step: Value) -> String {
    let id = add_steps(world, cluster_id, json!([step])).remove(0);
    until(world, |state| {
        step_of(state, cluster_id, &id).state == StepState::Running
    })
    .await;
    id
}

pub(crate) fn cancel(world: &World, cluster_id: &str, step_id: &str) {
    let input = json!({"ClusterId": cluster_id, "StepIds": [step_id], "StepCancellationOption": "SEND_INTERRUPT"});
    emr(world, "CancelSteps", input);
}

pub(crate) fn cluster_of<'a>(state: &'a State, id: &str) -> &'a Cluster {
    state.account.emr.cluster(id).unwrap()
}

pub(crate) fn step_of<'a>(state: &'a State, cluster_id: &str, id: &str) -> &'a Step {
    cluster_of(state, cluster_id).step(id).unwrap()
}

/// Waits until something is so.
pub(crate) async fn until(world: &World, is_so: impl Fn(&State) -> bool) {
    for _ in 0..HOURS_MAX * 3600 {
        if is_so(&world.lock()) {
            return;
        }
        sleep(1).await;
    }
    panic!("what the story waits for did not come in {HOURS_MAX} virtual hours");
}

pub(crate) async fn sleep(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

pub(crate) async fn invoke(world: &World, function: &str, request: &str, payload: Value) -> Result<Value, String> {
    let answer = world.invoke(function, request, payload).await;
    answer.map_err(|error| error["errorMessage"].to_string())
}

pub(crate) async fn sweep(world: &World) -> Result<Value, String> {
    invoke(world, "WriteReport", "sweep", json!({"sweep": true})).await
}

/// EMR's event that a step runs.
pub(crate) fn running(world: &World, cluster_id: &str, step_id: &str) -> Value {
    let time = world.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    json!({"detail-type": "EMR Step Status Change", "source": "aws.emr", "time": time,
        "detail": {"stepId": step_id, "clusterId": cluster_id, "state": "RUNNING"}})
}

/// EMR's event that a step has completed.
pub(crate) fn completed(world: &World, cluster_id: &str, step_id: &str) -> Value {
    let mut event = running(world, cluster_id, step_id);
    event["detail"]["state"] = json!("COMPLETED");
    event
}

/// Somebody else calls an operation ten times a second, for so long.
pub(crate) async fn take_all(world: &World, cluster_id: &str, operation: &str, seconds: u64) {
    for _ in 0..10 * seconds {
        let (now, input) = (world.clock.now(), json!({"ClusterId": cluster_id}));
        let _ = world.lock().account.call(now, Service::Emr, operation, input);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) fn report_of(world: &World, cluster_id: &str, step_id: &str) -> Report {
    let state = world.lock();
    let bucket = &state.template.buckets["ReportBucket"];
    let uri = format!("s3://{bucket}/reports/{cluster_id}/{step_id}/report.json");
    serde_json::from_slice(&state.account.s3.get(&uri).unwrap().bytes).unwrap()
}

/// The drill of a step, as the ledger has it.
pub(crate) async fn drill_of(world: &World, cluster_id: &str, step_id: &str) -> Drill {
    let found = aws(world).drill(&table(world), cluster_id, step_id).await.unwrap();
    found.expect("the ledger knows the step's drill")
}

/// A throw-away template of a step's that nobody deleted.
pub(crate) async fn leave_a_template(world: &World, step_id: &str) {
    let aws = aws(world);
    let id = world.lock().account.fis.templates().next().unwrap().id.clone();
    let policy = aws.experiment_template(&id).await.unwrap().unwrap();
    let arn = "arn:aws:ec2:us-sim-1:000000000000:instance/i-0123456789abcdef0".to_owned();
    let whose = ThrowAway {
        cluster_id: "j-A",
        step_id,
        wave: 1,
        token: step_id,
    };
    aws.create_throw_away(&policy, &[arn], whose).await.unwrap();
}

/// When each instance got a notice, by its id.
pub(crate) fn notices(state: &State) -> BTreeMap<String, Time> {
    let instances = state.account.ec2.instances();
    let noticed = instances.filter_map(|one| Some((one.instance_id.clone(), one.interruption.as_ref()?.noticed_at)));
    noticed.collect()
}

/// The ledger's table.
pub(crate) fn table(world: &World) -> String {
    world.lock().template.tables.values().next().unwrap().name.clone()
}

/// The ids of the steps that the ledger calls active.
pub(crate) async fn noted(world: &World) -> Vec<String> {
    let steps = aws(world).active_steps(&table(world)).await.unwrap();
    steps.into_iter().map(|step| step.step_id).collect()
}

pub(crate) fn aws(world: &World) -> aws::Aws {
    world.aws("test", std::sync::Arc::default())
}
