//! The stories that a drill can be run on: what the cluster is like, what the step does, and what happens meanwhile.
//!
//! Separate from running them: a story is data, and all of them are told by the same code.

use std::collections::BTreeMap;

use account::s3::Encryption;
use account::spark::{Placement, Workload};
use serde_json::{Value, json};

use crate::settings::Settings;

/// The bucket of the scripts, the results and Spark's event logs.
pub const DATA_BUCKET: &str = "emr-spot-workshop-data";
/// The cluster's name, as in the workshop.
pub const CLUSTER_NAME: &str = "emr-spot-workshop";
/// The prefix of the results, as in the workshop.
pub const RESULTS_PREFIX: &str = "resultsspot/";

/// Where EMR's logs lie unless a cluster says otherwise, in a story about them.
pub const LOG_BUCKET: &str = "aws-logs-000000000000-us-sim-1";
/// Where Spark's event logs lie under a key of their own, in a story about it.
pub const SECRET_BUCKET: &str = "emr-spot-workshop-secrets";
/// That key.
pub const SECRET_KEY: &str = "arn:aws:kms:us-sim-1:000000000000:key/5ec2e700-0000-4000-8000-000000000000";
/// Event logs of other jobs, in a story about them.
pub const OTHER_LOGS: usize = 100_000;

/// What happens besides the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    /// Nothing.
    None,
    /// There is no Spot capacity to be had, and the cluster has none.
    NoCapacity,
    /// Spot capacity is gone from the experiment on.
    NoReplacement,
    /// EC2 itself takes one more instance, half a minute after the experiment began.
    NaturalInterruption,
    /// Somebody lowers the task fleet while the experiment's notices run.
    ScaleDown,
    /// A second step begins twenty seconds after the first.
    TwoSteps,
    /// Somebody cancels the step while start-experiment waits.
    CancelledStep,
    /// The account's safety lever is engaged.
    SafetyLever,
    /// Nobody submits: the deployment's schedule does.
    ScheduledCheck,
    /// FIS fails to run the experiment.
    ExperimentFails,
    /// The stop condition's alarm goes on as the experiment begins.
    StopAlarm,
    /// The directory of event logs holds those of other jobs, of years and of today.
    CrowdedLogDir,
    /// The cluster has its step from the begin, ends with it, and is told to be up a while after the step began.
    TransientCluster,
}

/// A story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows, in a line.
    pub about: &'static str,
    /// What happens besides the step.
    pub twist: Twist,
}

/// All stories, the workshop's first.
pub const SCENARIOS: [Scenario; 24] = [
    Scenario {
        name: "workshop",
        about: "the workshop's job, three victims, replacements",
        twist: Twist::None,
    },
    Scenario {
        name: "no-capacity",
        about: "no Spot task instance runs: the drill gives up",
        twist: Twist::NoCapacity,
    },
    Scenario {
        name: "no-replacement",
        about: "Spot capacity runs out when the victims go",
        twist: Twist::NoReplacement,
    },
    Scenario {
        name: "short-job",
        about: "the job is over before the first victim is gone",
        twist: Twist::None,
    },
    Scenario {
        name: "driver-on-victim",
        about: "the driver sits on a task instance that is interrupted",
        twist: Twist::None,
    },
    Scenario {
        name: "job-fails",
        about: "the user's code fails, interruptions or not",
        twist: Twist::None,
    },
    Scenario {
        name: "natural-interruption",
        about: "EC2 takes an instance of its own while the experiment runs",
        twist: Twist::NaturalInterruption,
    },
    Scenario {
        name: "scale-down",
        about: "the fleet's target is lowered while the notices run",
        twist: Twist::ScaleDown,
    },
    Scenario {
        name: "instance-groups",
        about: "a cluster of uniform instance groups",
        twist: Twist::None,
    },
    Scenario {
        name: "two-steps-one-cluster",
        about: "two steps at once: one drill at a time",
        twist: Twist::TwoSteps,
    },
    Scenario {
        name: "not-opted-in",
        about: "the cluster has no tag spot-drill=on",
        twist: Twist::None,
    },
    Scenario {
        name: "not-spark",
        about: "the step copies files and is no Spark step",
        twist: Twist::None,
    },
    Scenario {
        name: "cancelled-step",
        about: "the step is cancelled while the drill waits",
        twist: Twist::CancelledStep,
    },
    Scenario {
        name: "safety-lever",
        about: "the account's FIS safety lever is engaged",
        twist: Twist::SafetyLever,
    },
    Scenario {
        name: "scheduled-check",
        about: "the schedule empties the results and submits the step",
        twist: Twist::ScheduledCheck,
    },
    Scenario {
        name: "waves",
        about: "two experiments, one after the other",
        twist: Twist::None,
    },
    Scenario {
        name: "experiment-fails",
        about: "FIS fails to run the experiment",
        twist: Twist::ExperimentFails,
    },
    Scenario {
        name: "stop-alarm",
        about: "the stop condition's alarm goes on as the experiment begins: FIS stops it",
        twist: Twist::StopAlarm,
    },
    Scenario {
        name: "no-event-log",
        about: "Spark's event log stays on the cluster, where nobody else reads it",
        twist: Twist::None,
    },
    Scenario {
        name: "many-tasks",
        about: "thousands of short tasks: an event log that is read while it is fetched",
        twist: Twist::None,
    },
    Scenario {
        name: "no-log-grant",
        about: "the cluster's logs are in a bucket that no role may read",
        twist: Twist::None,
    },
    Scenario {
        name: "encrypted-log",
        about: "Spark's event log is under a KMS key that the deployment does not name",
        twist: Twist::None,
    },
    Scenario {
        name: "crowded-log-dir",
        about: "the directory of event logs holds those of 100,000 other jobs",
        twist: Twist::CrowdedLogDir,
    },
    Scenario {
        name: "transient-first-step",
        about: "a transient cluster's first step begins while EMR still calls the cluster bootstrapping",
        twist: Twist::TransientCluster,
    },
];

impl Scenario {
    /// The story of this name; the error says which there are.
    pub fn find(name: &str) -> Result<Self, String> {
        SCENARIOS
            .iter()
            .find(|scenario| scenario.name == name)
            .copied()
            .ok_or_else(|| {
                let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
                format!("no scenario is called {name:?}; there are {}", names.join(", "))
            })
    }

    /// What this story begins with.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        match self.name {
            "no-capacity" => settings.units = 0,
            "driver-on-victim" => (settings.units, settings.units_min, settings.units_max) = (12, 16, 16),
            "instance-groups" => settings.units = 8,
            "short-job" => settings.delay = 15,
            "waves" => settings.waves = 2,
            _ => {}
        }
        settings
    }

    /// What the step's script does.
    pub fn workload(&self) -> Workload {
        match self.name {
            "short-job" => Workload::short(),
            "job-fails" => Workload::failing(),
            "many-tasks" => Workload::workshop().split(7),
            "driver-on-victim" => Workload {
                driver_on: Placement::Task,
                ..Workload::workshop()
            },
            _ => Workload::workshop(),
        }
    }

    /// The step, as `AddJobFlowSteps` takes it.
    pub fn step(&self) -> Value {
        if self.name == "not-spark" {
            let source = format!("s3://{DATA_BUCKET}/in/");
            return json!({
                "Name": "Copy files",
                "ActionOnFailure": "CONTINUE",
                "HadoopJarStep": {"Jar": "command-runner.jar",
                    "Args": ["s3-dist-cp", "--src", source, "--dest", "hdfs:///in/"]},
            });
        }
        json!({
            "Name": "Spark application",
            "ActionOnFailure": "CONTINUE",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": spark_arguments(RESULTS_PREFIX)},
        })
    }

    /// The second step of a story that has one: the same job with results of its own.
    pub fn second_step(&self) -> Value {
        json!({
            "Name": "Another Spark application",
            "ActionOnFailure": "CONTINUE",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": spark_arguments("resultsspot-2/")},
        })
    }

    /// The cluster, as `RunJobFlow` takes it: the workshop's, or what the story needs.
    pub fn cluster(&self, settings: &Settings) -> Value {
        let mut cluster = json!({
            "Name": CLUSTER_NAME,
            // Drivers stay on core nodes up to EMR 5, and may sit on task nodes later.
            "ReleaseLabel": if self.name == "driver-on-victim" { "emr-7.10.0" } else { "emr-5.36.2" },
            "Applications": [{"Name": "Hadoop"}, {"Name": "Spark"}],
            "LogUri": format!("s3://{DATA_BUCKET}/emr-logs/"),
            "Configurations": [{"Classification": "spark-defaults", "Properties": {
                "spark.eventLog.enabled": "true",
                "spark.eventLog.dir": format!("s3://{DATA_BUCKET}/spark-events/"),
            }}],
            "StepConcurrencyLevel": if self.twist == Twist::TwoSteps { 2 } else { 1 },
            "Tags": [{"Key": "Name", "Value": CLUSTER_NAME}, {"Key": "spot-drill", "Value": "on"}],
            "Instances": {"KeepJobFlowAliveWhenNoSteps": true},
        });
        match self.name {
            "no-event-log" => cluster["Configurations"] = json!([]),
            "no-log-grant" => cluster["LogUri"] = json!(format!("s3://{LOG_BUCKET}/elasticmapreduce/")),
            "encrypted-log" => {
                let place = json!(format!("s3://{SECRET_BUCKET}/spark-events/"));
                cluster["Configurations"][0]["Properties"]["spark.eventLog.dir"] = place;
            }
            "transient-first-step" => {
                cluster["Instances"]["KeepJobFlowAliveWhenNoSteps"] = json!(false);
                cluster["Steps"] = json!([self.step()]);
            }
            _ => {}
        }
        if self.name == "not-opted-in" {
            cluster["Tags"] = json!([{"Key": "Name", "Value": CLUSTER_NAME}]);
        }
        if self.name == "instance-groups" {
            cluster["Instances"]["InstanceGroups"] = groups(settings);
        } else {
            cluster["Instances"]["InstanceFleets"] = self.fleets(settings);
            cluster["ManagedScalingPolicy"] = json!({"ComputeLimits": {
                "UnitType": "InstanceFleetUnits",
                "MinimumCapacityUnits": settings.units_min,
                "MaximumCapacityUnits": settings.units_max,
                "MaximumOnDemandCapacityUnits": 4,
                "MaximumCoreCapacityUnits": 4,
            }});
        }
        cluster
    }

    fn fleets(&self, settings: &Settings) -> Value {
        let task_types = if self.name == "driver-on-victim" {
            // Three instances in all, so that each is a victim.
            json!([{"InstanceType": "r5.xlarge", "WeightedCapacity": 4}])
        } else {
            let sizes = [("xlarge", 4), ("2xlarge", 8), ("4xlarge", 16)];
            let types = ["r4", "r5", "r5a", "r5b"]
                .iter()
                .flat_map(|family| {
                    sizes
                        .iter()
                        .map(move |(size, weight)| (format!("{family}.{size}"), weight))
                })
                .map(|(name, weight)| json!({"InstanceType": name, "WeightedCapacity": weight}));
            Value::Array(types.collect())
        };
        let mut fleets = vec![
            json!({"Name": "Master", "InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1,
                "InstanceTypeConfigs": [{"InstanceType": "m5.xlarge", "WeightedCapacity": 1}]}),
            json!({"Name": "Core", "InstanceFleetType": "CORE", "TargetOnDemandCapacity": 4,
                "InstanceTypeConfigs": [{"InstanceType": "r5.xlarge", "WeightedCapacity": 4}]}),
        ];
        fleets.push(
            json!({"Name": "Task", "InstanceFleetType": "TASK", "TargetSpotCapacity": settings.units,
            "InstanceTypeConfigs": task_types,
            "LaunchSpecifications": {"SpotSpecification": {
                "TimeoutDurationMinutes": 10, "TimeoutAction": "SWITCH_TO_ON_DEMAND",
                "AllocationStrategy": "price-capacity-optimized"}}}),
        );
        Value::Array(fleets)
    }

    /// The buckets that are there besides the deployment's, and how what is written into them is encrypted.
    pub fn buckets(&self) -> Vec<(&'static str, Encryption)> {
        let mut buckets = vec![(DATA_BUCKET, Encryption::S3)];
        match self.name {
            "no-log-grant" => buckets.push((LOG_BUCKET, Encryption::S3)),
            "encrypted-log" => buckets.push((SECRET_BUCKET, Encryption::kms(SECRET_KEY))),
            _ => {}
        }
        buckets
    }

    /// The deployment's parameters.
    pub fn parameters(&self, settings: &Settings) -> BTreeMap<String, String> {
        let mut parameters: BTreeMap<String, String> = [
            ("DelaySeconds", settings.delay.to_string()),
            ("WaitSecondsMax", settings.wait.to_string()),
            ("InstancesToInterrupt", settings.victims.min(5).to_string()),
            ("Waves", settings.waves.to_string()),
            ("WaveIntervalSeconds", settings.wave_interval.to_string()),
            ("Mode", settings.mode.clone()),
            ("ResultsBucket", DATA_BUCKET.to_owned()),
            ("ResultsPrefix", RESULTS_PREFIX.to_owned()),
            ("EventLogBucketArns", format!("arn:aws:s3:::{DATA_BUCKET}")),
            ("LogBucketArns", format!("arn:aws:s3:::{DATA_BUCKET}")),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        match self.name {
            "no-log-grant" => drop(parameters.remove("LogBucketArns")),
            "encrypted-log" => {
                let arn = format!("arn:aws:s3:::{SECRET_BUCKET}");
                parameters.insert("EventLogBucketArns".into(), arn);
            }
            _ => {}
        }
        if settings.victims > 5 {
            // A tag target interrupts five at most; more are asked for by the drill's own ARN targets.
            parameters.insert("Victims".into(), settings.victims.to_string());
        }
        if self.twist == Twist::ScheduledCheck {
            parameters.insert("CheckSchedule".into(), "cron(6 14 * * ? *)".into());
            parameters.insert(
                "CheckStepArguments".into(),
                Value::from(spark_arguments(RESULTS_PREFIX)).to_string(),
            );
        }
        parameters
    }
}

fn spark_arguments(results: &str) -> Vec<String> {
    let script = format!("s3://{DATA_BUCKET}/script.py");
    let results = format!("s3://{DATA_BUCKET}/{results}");
    [
        "spark-submit",
        "--deploy-mode",
        "cluster",
        "--executor-memory",
        "18G",
        "--executor-cores",
        "4",
        &script,
        &results,
    ]
    .map(str::to_owned)
    .to_vec()
}

fn groups(settings: &Settings) -> Value {
    json!([
        {"Name": "Master", "InstanceRole": "MASTER", "Market": "ON_DEMAND", "InstanceType": "m5.xlarge",
            "InstanceCount": 1},
        {"Name": "Core", "InstanceRole": "CORE", "Market": "ON_DEMAND", "InstanceType": "r5.xlarge", "InstanceCount": 1},
        {"Name": "Task", "InstanceRole": "TASK", "Market": "SPOT", "InstanceType": "r5.2xlarge",
            "InstanceCount": settings.units},
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scenario_is_found_by_its_name() {
        for scenario in SCENARIOS {
            assert_eq!(Scenario::find(scenario.name), Ok(scenario));
        }
    }
}
