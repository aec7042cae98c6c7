//! EMR as its clients and its neighbours see it, driven in virtual time.
//!
//! Separate because it needs EC2 and YARN around it, more than fits beside the rules.

use chrono::TimeDelta;
use serde_json::json;

use super::*;
use crate::api::BusEvent;
use crate::ec2::{Cause, Market};
use crate::journal::Journal;

mod api;
mod capacity;
mod outside;
mod steps;

const SCRIPT: &str = "s3://bucket/script.py";

/// An account of two services, and a clock that tests turn.
struct World {
    emr: Emr,
    ec2: Ec2,
    now: Time,
    rng: fastrand::Rng,
    journal: Journal,
    events: Vec<BusEvent>,
    objects: Vec<(Time, String, Vec<u8>)>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            emr: Emr::new(),
            ec2: Ec2::new(),
            now: Time::from_timestamp(1_800_000_000, 0).unwrap(),
            rng: fastrand::Rng::with_seed(seed),
            journal: Journal::default(),
            events: Vec::new(),
            objects: Vec::new(),
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Emr, &mut Ec2, &mut Ctx) -> T) -> T {
        let mut ctx = Ctx {
            now: self.now,
            rng: &mut self.rng,
            journal: &mut self.journal,
            events: &mut self.events,
        };
        act(&mut self.emr, &mut self.ec2, &mut ctx)
    }

    fn call(&mut self, operation: &str, input: &Value) -> Result<Value, ApiError> {
        self.with(|emr, ec2, ctx| emr.call(ctx, ec2, operation, input))
    }

    /// A call that must succeed, after a pause that no quota minds.
    fn ask(&mut self, operation: &str, input: &Value) -> Value {
        self.wait(2);
        self.call(operation, input).unwrap()
    }

    /// Does what is due, each at its time, up to `seconds` from now.
    fn wait(&mut self, seconds: i64) {
        let end = self.now + TimeDelta::seconds(seconds);
        while let Some(at) = [self.emr.due(), self.ec2.due()]
            .into_iter()
            .flatten()
            .min()
            .filter(|at| *at <= end)
        {
            self.now = self.now.max(at);
            self.with(|emr, ec2, ctx| {
                ec2.advance(ctx);
                emr.advance(ctx, ec2);
                for change in ec2.take_changes() {
                    emr.instance_changed(ctx, ec2, &change);
                }
            });
            let now = self.now;
            self.objects.extend(
                self.emr
                    .take_objects()
                    .into_iter()
                    .map(|(key, bytes)| (now, key, bytes)),
            );
        }
        self.now = end;
    }

    /// Waits until something holds, a minute at most for each of `minutes`.
    fn wait_until(&mut self, minutes: i64, holds: impl Fn(&Self) -> bool) {
        for _ in 0..minutes * 60 {
            if holds(self) {
                return;
            }
            self.wait(1);
        }
        panic!("it does not hold after {minutes} minutes");
    }

    fn launch(&mut self, request: &Value) -> String {
        let answer = self.call("RunJobFlow", request).unwrap();
        answer["JobFlowId"].as_str().unwrap().to_owned()
    }

    /// The workshop's cluster, ready.
    fn workshop(seed: u64) -> (Self, String) {
        let mut world = Self::new(seed);
        let id = world.launch(&workshop());
        world.wait_until(15, |world| world.cluster().state == ClusterState::Waiting);
        (world, id)
    }

    fn cluster(&self) -> &Cluster {
        self.emr.clusters().next().unwrap()
    }

    fn task(&self) -> &Pool {
        self.cluster()
            .pools
            .iter()
            .find(|pool| pool.role == Role::Task)
            .unwrap()
    }

    fn task_running(&self) -> u32 {
        self.cluster().running(&self.task().id).total()
    }

    fn add_step(&mut self, id: &str, step: &Value) -> String {
        let answer = self.ask("AddJobFlowSteps", &json!({"JobFlowId": id, "Steps": [step]}));
        answer["StepIds"][0].as_str().unwrap().to_owned()
    }

    fn step_state(&self, id: &str) -> StepState {
        self.cluster().step(id).unwrap().state
    }

    fn events(&self, detail_type: &str) -> Vec<&Value> {
        self.events
            .iter()
            .filter(|event| event.detail_type == detail_type)
            .map(|event| &event.detail)
            .collect()
    }

    fn step_events(&self, id: &str) -> Vec<&str> {
        let all = self.events("EMR Step Status Change");
        all.into_iter()
            .filter(|detail| detail["stepId"] == id)
            .filter_map(|detail| detail["state"].as_str())
            .collect()
    }
}

fn types() -> Value {
    let options = ["r4", "r5", "r5a", "r5b"].into_iter().flat_map(|family| {
        [("xlarge", 4), ("2xlarge", 8), ("4xlarge", 16)]
            .map(|(size, weight)| json!({"InstanceType": format!("{family}.{size}"), "WeightedCapacity": weight}))
    });
    Value::Array(options.collect())
}

fn workshop() -> Value {
    json!({
        "Name": "emr-spot-workshop", "ReleaseLabel": "emr-5.36.0", "LogUri": "s3://logs/emr/",
        "Applications": [{"Name": "Spark"}], "Tags": [{"Key": "spot-drill", "Value": "on"}],
        "Instances": {
            "KeepJobFlowAliveWhenNoSteps": true,
            "InstanceFleets": [
                {"InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1,
                 "InstanceTypeConfigs": [{"InstanceType": "m5.xlarge"}]},
                {"InstanceFleetType": "CORE", "TargetOnDemandCapacity": 4,
                 "InstanceTypeConfigs": [{"InstanceType": "r5.xlarge", "WeightedCapacity": 4}]},
                {"Name": "task", "InstanceFleetType": "TASK", "TargetSpotCapacity": 32, "InstanceTypeConfigs": types(),
                 "LaunchSpecifications": {"SpotSpecification": {
                     "TimeoutDurationMinutes": 20, "TimeoutAction": "TERMINATE_CLUSTER",
                 }}},
            ],
        },
        "ManagedScalingPolicy": {"ComputeLimits": {
            "UnitType": "InstanceFleetUnits", "MinimumCapacityUnits": 4, "MaximumCapacityUnits": 68,
            "MaximumOnDemandCapacityUnits": 4, "MaximumCoreCapacityUnits": 4,
        }},
    })
}

fn groups(task_market: &str) -> Value {
    json!({
        "Name": "groups", "ReleaseLabel": "emr-7.1.0", "LogUri": "s3n://logs",
        "Instances": {
            "KeepJobFlowAliveWhenNoSteps": true,
            "InstanceGroups": [
                {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
                {"InstanceRole": "CORE", "InstanceType": "r5.xlarge", "InstanceCount": 1},
                {"Name": "t", "InstanceRole": "TASK", "InstanceType": "r5.xlarge", "InstanceCount": 3,
                 "Market": task_market},
            ],
        },
    })
}

fn spark_step(name: &str) -> Value {
    json!({"Name": name, "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": [
        "spark-submit", "--deploy-mode", "cluster", "--executor-memory", "18G", "--executor-cores", "4",
        SCRIPT, "s3://bucket/results/",
    ]}})
}

fn other_step(name: &str, action: &str) -> Value {
    let jar = json!({"Jar": "command-runner.jar", "Args": ["s3-dist-cp"]});
    json!({"Name": name, "ActionOnFailure": action, "HadoopJarStep": jar})
}
