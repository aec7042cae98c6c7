//! A busy Region, in which few clusters are opted in: what does the deployment cost everybody else?
//!
//! Apart from the stories of one step, since nobody looks at a step here. EMR's quotas belong to the account and Region:
//! <https://docs.aws.amazon.com/general/latest/gr/emr.html#limits_emr>.

mod plan;
mod seen;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use account::api::ApiError;
use account::emr::StepState;
use account::spark::{StagePlan, Workload};
use account::wire::Service;
use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};

use crate::fault::Faults;
use crate::run::{self, Stage};
use crate::scenario::DATA_BUCKET;
use crate::world::World;

pub use plan::{NAME, Plan};
pub use seen::{Neighbour, Seen, concurrent, invocations};

const JOB: &str = "s3://emr-spot-workshop-data/light.py";
const RESULTS: &str = "s3://emr-spot-workshop-data/out/";
/// EMR takes up to 256 steps a call; people's schedulers add few.
const STEPS_A_CALL: u64 = 10;
/// From one call of AddJobFlowSteps to the next while a peak lasts.
const PEAK_CALL_EVERY: Duration = Duration::from_millis(1500);
/// Until the clusters are up, and until what was told has gone through, and a sweep has found what was not told.
const WARM_UP: Duration = Duration::from_secs(900);
const COOL_DOWN: Duration = Duration::from_secs(3600);
/// 0.3 times a second.
const POLL_EVERY: Duration = Duration::from_millis(3333);

/// Tells it with a seed; `watch` hears each minute of the time in which people submit, and how many there are.
pub fn tell(plan: &Plan, seed: u64, watch: impl FnMut(u64, u64)) -> anyhow::Result<Seen> {
    let data = format!("arn:aws:s3:::{DATA_BUCKET}");
    let parameters = ["EventLogBucketArns", "LogBucketArns"].map(|name| (name.to_owned(), data.clone()));
    let stage = Stage {
        parameters: BTreeMap::from(parameters),
        faults: Faults {
            lost_percent: plan.lost_percent,
            ..Faults::default()
        },
        seed,
    };
    run::virtual_time()?.block_on(async {
        let world = stage.open()?;
        world.lock().account.emr.set_workload(JOB, light());
        let people = People { world: world.clone() };
        let mut clusters = Vec::new();
        for number in 0..plan.clusters {
            let is_opted_in = number.is_multiple_of(plan.opted_in_every);
            clusters.push(people.run_cluster(&format!("c-{number}"), is_opted_in, true).await?);
        }
        tokio::time::sleep(WARM_UP).await;
        let (cluster_id, step_id) = people.step_that_runs(clusters.get(1).or(clusters.first())).await?;
        let neighbour = Arc::<Mutex<Neighbour>>::default();
        tokio::spawn(people.clone().poll(cluster_id, step_id, neighbour.clone()));
        let from = world.clock.now();
        people.submit(plan, &clusters, watch).await?;
        tokio::time::sleep(COOL_DOWN).await;
        let neighbour = *neighbour.lock().unwrap_or_else(PoisonError::into_inner);
        let state = world.lock();
        if let Some(bug) = state.bug() {
            bail!("seed {seed}: {bug}");
        }
        Ok(Seen::of(&state, world.clock.now() - from, neighbour))
    })
}

/// Six tasks of a minute and ten seconds.
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

fn job() -> Value {
    json!({"Name": "a step", "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": "command-runner.jar",
        "Args": ["spark-submit", "--deploy-mode", "cluster", JOB, RESULTS]}})
}

/// Those who submit, and who know nothing of drills.
#[derive(Clone)]
struct People {
    world: World,
}

impl People {
    fn call(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        let now = self.world.clock.now();
        let answer = self.world.lock().account.call(now, Service::Emr, operation, input);
        self.world.changed();
        answer
    }

    /// Calls EMR, and again while it throttles, as the SDKs do.
    async fn ask(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        loop {
            match self.call(operation, input.clone()) {
                Err(error) if error.code == "ThrottlingException" => tokio::time::sleep(Duration::from_secs(3)).await,
                answer => return answer.map_err(|error| anyhow!("{operation}: {error}")),
            }
        }
    }

    /// Three Spot task nodes, if it is opted in; else none, since nobody looks at them.
    async fn run_cluster(&self, name: &str, is_opted_in: bool, stays: bool) -> anyhow::Result<String> {
        let mut groups = vec![
            json!({"InstanceRole": "MASTER", "Market": "ON_DEMAND", "InstanceType": "m5.xlarge", "InstanceCount": 1}),
            json!({"InstanceRole": "CORE", "Market": "ON_DEMAND", "InstanceType": "r5.2xlarge", "InstanceCount": 1}),
        ];
        let mut tags = vec![json!({"Key": "team", "Value": "x"})];
        if is_opted_in {
            groups.push(
                json!({"InstanceRole": "TASK", "Market": "SPOT", "InstanceType": "r5.2xlarge", "InstanceCount": 3}),
            );
            tags.push(json!({"Key": "spot-drill", "Value": "on"}));
        }
        let steps = if stays { Vec::new() } else { vec![job()] };
        let cluster = json!({"Name": name, "ReleaseLabel": "emr-7.10.0", "StepConcurrencyLevel": 10, "Tags": tags,
            "Steps": steps, "Instances": {"KeepJobFlowAliveWhenNoSteps": stays, "InstanceGroups": groups},
            "Configurations": [{"Classification": "spark-defaults", "Properties": {
                "spark.eventLog.enabled": "true", "spark.eventLog.dir": "s3://emr-spot-workshop-data/spark-events/"}}]});
        let answer = self.ask("RunJobFlow", cluster).await?;
        let id = answer["JobFlowId"].as_str().context("a cluster has an id")?;
        Ok(id.to_owned())
    }

    async fn add_steps(&self, cluster_id: &str, count: u64) -> anyhow::Result<Vec<String>> {
        let steps: Vec<Value> = (0..count).map(|_| job()).collect();
        let answer = self
            .ask("AddJobFlowSteps", json!({"JobFlowId": cluster_id, "Steps": steps}))
            .await?;
        let ids = answer["StepIds"].as_array().into_iter().flatten();
        Ok(ids.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    async fn step_that_runs(&self, cluster_id: Option<&String>) -> anyhow::Result<(String, String)> {
        let cluster_id = cluster_id.context("a busy Region has clusters")?.clone();
        let ids = self.add_steps(&cluster_id, 1).await?;
        let step_id = ids.into_iter().next().context("a step has an id")?;
        loop {
            let is_running = |state: &crate::world::State| {
                let step = state
                    .account
                    .emr
                    .cluster(&cluster_id)
                    .and_then(|one| one.step(&step_id));
                step.is_some_and(|step| step.state == StepState::Running)
            };
            if is_running(&self.world.lock()) {
                return Ok((cluster_id, step_id));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Polls a step as a sensor does, for ever, and takes no for an answer.
    async fn poll(self, cluster_id: String, step_id: String, counted: Arc<Mutex<Neighbour>>) {
        loop {
            tokio::time::sleep(POLL_EVERY).await;
            let answer = self.call("DescribeStep", json!({"ClusterId": cluster_id, "StepId": step_id}));
            let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
            counted.polls += 1;
            counted.throttles += usize::from(answer.is_err());
        }
    }

    /// Steps and transient clusters come, minute by minute, and once a day many steps in the same minute.
    async fn submit(&self, plan: &Plan, clusters: &[String], mut watch: impl FnMut(u64, u64)) -> anyhow::Result<()> {
        let (mut steps, mut transient, minutes) = (0, 0, plan.minutes());
        let mut due_at = tokio::time::Instant::now();
        for minute in 0..minutes {
            watch(minute, minutes);
            while steps < plan.steps_by(minute) {
                self.add_steps(&clusters[steps as usize % clusters.len()], 1).await?;
                steps += 1;
            }
            while transient < plan.transient_by(minute) {
                let is_opted_in = transient.is_multiple_of(plan.opted_in_every);
                self.run_cluster(&format!("transient-{transient}"), is_opted_in, false)
                    .await?;
                transient += 1;
            }
            if plan.peaks_at(minute) {
                self.peak(plan, clusters).await?;
            }
            due_at += Duration::from_secs(60);
            tokio::time::sleep_until(due_at).await;
        }
        Ok(())
    }

    /// Steps that begin in the same minute: those that are watched together on the first cluster, the others spread.
    async fn peak(&self, plan: &Plan, clusters: &[String]) -> anyhow::Result<()> {
        let watched = (plan.peak / plan.watched_every).max(1);
        self.add_steps(&clusters[0], watched).await?;
        let others: Vec<&String> = (0..)
            .zip(clusters)
            .filter(|(number, _)| !u64::is_multiple_of(*number, plan.opted_in_every))
            .map(|(_, id)| id)
            .collect();
        for call in 0..plan.peak / STEPS_A_CALL {
            self.add_steps(others[call as usize % others.len()], STEPS_A_CALL)
                .await?;
            tokio::time::sleep(PEAK_CALL_EVERY).await;
        }
        Ok(())
    }
}
