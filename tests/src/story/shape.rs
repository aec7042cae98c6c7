//! What the cluster is like: fleets or groups, markets, release, how long it lives, where its logs go.

use local::scenario::{CLUSTER_NAME, DATA_BUCKET};
use serde_json::{Value, json};

use super::Chance;
use super::job::Job;

/// A cluster.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    fleets: bool,
    release: &'static str,
    core_spot: u32,
    core_on_demand: u32,
    core_type: &'static str,
    primary_on_spot: bool,
    /// Task instances on Spot that it begins with, and those that it may grow to.
    pub(super) task_spot: u32,
    task_on_demand: u32,
    scaling: Option<(u32, u32)>,
    mixed_sizes: bool,
    /// It ends with its last step.
    pub(super) transient: bool,
    log_uri: Option<String>,
    defaults: Vec<(&'static str, String)>,
    /// Whether the cluster's defaults put event logs into S3.
    pub(super) logs_in_s3: bool,
}

impl Shape {
    pub(super) fn draw(chance: &mut Chance, kinds: &mut Vec<&'static str>) -> Self {
        let fleets = chance.percent(60);
        let core_on_spot = chance.percent(30);
        let primary_on_spot = chance.percent(10);
        let task_on_demand = if chance.percent(35) { chance.between(1, 2) } else { 0 };
        let task_spot = chance.between(2, 7);
        let scaling = (fleets && chance.percent(40)).then(|| {
            let least = task_spot + chance.between(0, 3);
            (least, least + chance.between(0, 5))
        });
        let transient = chance.percent(30);
        let log_uri = match chance.between(0, 9) {
            0 => None,
            1 | 2 => Some("s3n://logs-of-nobody/emr/".to_owned()),
            _ => Some(format!("s3://{DATA_BUCKET}/emr-logs/")),
        };
        let logs_in_s3 = chance.percent(85);
        kinds.push(if fleets { "fleets" } else { "groups" });
        kinds.extend(core_on_spot.then_some("core on Spot"));
        kinds.extend(primary_on_spot.then_some("primary on Spot"));
        kinds.extend((task_on_demand > 0).then_some("On-Demand task nodes"));
        kinds.extend(scaling.map(|_| "managed scaling"));
        kinds.extend(transient.then_some("transient"));
        kinds.extend((log_uri.as_deref() != Some(&format!("s3://{DATA_BUCKET}/emr-logs/"))).then_some("no step log"));
        Self {
            fleets,
            release: chance.one(&["emr-5.36.2", "emr-7.10.0", "emr-6.15.0"]),
            core_spot: if core_on_spot { chance.between(1, 2) } else { 0 },
            core_on_demand: if core_on_spot && (!fleets || chance.percent(60)) {
                0
            } else {
                1
            },
            core_type: if chance.percent(20) { "r5.4xlarge" } else { "r5.xlarge" },
            primary_on_spot,
            task_spot,
            task_on_demand,
            scaling,
            mixed_sizes: chance.percent(40),
            transient,
            log_uri,
            defaults: defaults(chance, logs_in_s3, kinds),
            logs_in_s3,
        }
    }

    /// As `RunJobFlow` takes it; with the steps, if it lives for them only.
    pub(super) fn request(&self, jobs: &[Job], concurrent: bool) -> Value {
        let properties: serde_json::Map<String, Value> = self
            .defaults
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let mut request = json!({
            "Name": CLUSTER_NAME,
            "ReleaseLabel": self.release,
            "Applications": [{"Name": "Hadoop"}, {"Name": "Spark"}],
            "Configurations": [{"Classification": "spark-defaults", "Properties": properties}],
            "StepConcurrencyLevel": if concurrent { jobs.len() } else { 1 },
            "Tags": [{"Key": "Name", "Value": CLUSTER_NAME}, {"Key": "spot-drill", "Value": "on"}],
            "Instances": {"KeepJobFlowAliveWhenNoSteps": !self.transient},
        });
        if let Some(log_uri) = &self.log_uri {
            request["LogUri"] = json!(log_uri);
        }
        if self.transient {
            request["Steps"] = jobs.iter().map(|job| job.step.clone()).collect();
        }
        if self.fleets {
            request["Instances"]["InstanceFleets"] = self.fleets();
        } else {
            request["Instances"]["InstanceGroups"] = self.groups();
        }
        if let Some((least, most)) = self.scaling {
            let core = 4 * (self.core_spot + self.core_on_demand);
            let on_demand = 4 * (self.core_on_demand + self.task_on_demand);
            request["ManagedScalingPolicy"] = json!({"ComputeLimits": {
                "UnitType": "InstanceFleetUnits",
                "MinimumCapacityUnits": core + 4 * (least + self.task_on_demand),
                "MaximumCapacityUnits": core + 4 * (most + self.task_on_demand),
                "MaximumOnDemandCapacityUnits": on_demand,
                "MaximumCoreCapacityUnits": core,
            }});
        }
        request
    }

    fn fleets(&self) -> Value {
        let one = |name: &str, weight: u32| json!({"InstanceType": name, "WeightedCapacity": weight});
        let mut types = vec![one("r5.xlarge", 4), one("r5a.xlarge", 4)];
        if self.mixed_sizes {
            types.push(one("r5.2xlarge", 8));
        }
        let (primary_on_demand, primary_spot) = if self.primary_on_spot { (0, 1) } else { (1, 0) };
        json!([
            {"Name": "Master", "InstanceFleetType": "MASTER", "TargetOnDemandCapacity": primary_on_demand,
                "TargetSpotCapacity": primary_spot, "InstanceTypeConfigs": [one("m5.xlarge", 1)]},
            {"Name": "Core", "InstanceFleetType": "CORE", "TargetOnDemandCapacity": 4 * self.core_on_demand,
                "TargetSpotCapacity": 4 * self.core_spot, "InstanceTypeConfigs": [one(self.core_type, 4)]},
            {"Name": "Task", "InstanceFleetType": "TASK", "TargetOnDemandCapacity": 4 * self.task_on_demand,
                "TargetSpotCapacity": 4 * self.task_spot, "InstanceTypeConfigs": types,
                "LaunchSpecifications": {"SpotSpecification": {
                    "TimeoutDurationMinutes": 10, "TimeoutAction": "SWITCH_TO_ON_DEMAND"}}},
        ])
    }

    fn groups(&self) -> Value {
        let group = |name: &str, role: &str, spot: bool, kind: &str, count: u32| {
            let market = if spot { "SPOT" } else { "ON_DEMAND" };
            json!({"Name": name, "InstanceRole": role, "Market": market, "InstanceType": kind, "InstanceCount": count})
        };
        let core = (self.core_spot + self.core_on_demand).max(1);
        let mut groups = vec![
            group("Master", "MASTER", self.primary_on_spot, "m5.xlarge", 1),
            group("Core", "CORE", self.core_spot > 0, self.core_type, core),
            group("Task", "TASK", true, "r5.xlarge", self.task_spot),
        ];
        if self.task_on_demand > 0 {
            groups.push(group("Steady", "TASK", false, "r5.xlarge", self.task_on_demand));
        }
        Value::Array(groups)
    }
}

/// What the cluster's `spark-defaults` say.
fn defaults(chance: &mut Chance, logs_in_s3: bool, kinds: &mut Vec<&'static str>) -> Vec<(&'static str, String)> {
    let mut defaults = Vec::new();
    if logs_in_s3 {
        defaults.push(("spark.eventLog.enabled", "true".to_owned()));
        defaults.push(("spark.eventLog.dir", format!("s3://{DATA_BUCKET}/spark-events/")));
    }
    if chance.percent(30) {
        defaults.push(("spark.eventLog.rolling.enabled", "true".to_owned()));
    }
    if chance.percent(30) {
        defaults.push(("spark.eventLog.compress", chance.one(&["true", "True"]).to_owned()));
    }
    if chance.percent(12) {
        defaults.push(("spark.decommission.enabled", "true".to_owned()));
        defaults.push(("spark.storage.decommission.enabled", "true".to_owned()));
    }
    if chance.percent(8) {
        defaults.push(("spark.shuffle.service.enabled", "false".to_owned()));
    }
    if chance.percent(5) {
        defaults.push((
            "spark.yarn.submit.waitAppCompletion",
            chance.one(&["false", "False"]).to_owned(),
        ));
        kinds.push("cluster does not wait");
    }
    defaults
}
