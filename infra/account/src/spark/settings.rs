//! The Spark properties that the simulation obeys, read once.
//!
//! Separate so that no rule looks up a string: each has its default, and its page, here.
//= https://spark.apache.org/docs/3.5.6/configuration.html
//= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-configure.html

use spark_rules::Rules;

use super::submission::{EMR_DEFAULTS, Submission, is_true, memory_mb};

/// What the properties of one submission say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `spark.executor.cores`: tasks that run at once in an executor (`spark.task.cpus` is 1).
    pub(super) cores: u32,
    /// Container size of an executor: heap and overhead.
    pub executor_container_mb: u64,
    /// Container size of the driver in cluster mode.
    pub driver_container_mb: u64,
    /// Cores of the driver's container.
    pub driver_cores: u32,
    /// `spark.yarn.maxAppAttempts`; a driver in client mode has one life.
    pub max_app_attempts: u32,
    /// `spark.dynamicAllocation.enabled`.
    pub(super) dynamic: bool,
    /// Executors asked for at the start.
    pub(super) executors_initial: u32,
    /// Never fewer under dynamic allocation.
    pub(super) executors_min: u32,
    /// Never more under dynamic allocation.
    pub(super) executors_max: u32,
    /// An executor without tasks is given back after this long.
    pub(super) idle_seconds: u32,
    /// What the loss of a node costs.
    pub(super) rules: Rules,
    /// Where the event log goes, if it goes to S3: no slash at the end.
    pub(super) log_dir: Option<String>,
    /// `spark.eventLog.compress`.
    pub(super) log_compressed: bool,
    /// `spark.eventLog.rolling.enabled`.
    pub(super) log_rolling: bool,
}

impl Settings {
    /// Reads a submission's properties; what is not set has EMR's default, or else Spark's.
    pub fn of(submission: &Submission) -> Self {
        let get = |key: &str| {
            let emr = EMR_DEFAULTS
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| *value);
            submission.conf.get(key).map(String::as_str).or(emr)
        };
        let on = |key: &str, default: bool| get(key).map_or(default, is_true);
        let number = |key: &str, default: u32| {
            get(key)
                .and_then(|value| value.trim_end_matches('s').parse().ok())
                .unwrap_or(default)
        };
        let minimum = number("spark.dynamicAllocation.minExecutors", 0);
        let initial = number("spark.dynamicAllocation.initialExecutors", minimum);
        let dynamic = submission.dynamic_allocation;
        let fixed = submission.executor_instances;
        let driver_mb = get("spark.driver.memory")
            .and_then(|text| memory_mb(text).ok())
            .unwrap_or(2048);
        Self {
            cores: submission.executor_cores.max(1),
            executor_container_mb: container_mb(
                submission.executor_memory_mb,
                get("spark.executor.memoryOverhead"),
                get("spark.executor.memoryOverheadFactor").or(get("spark.yarn.executor.memoryOverheadFactor")),
                0.1875,
            ),
            driver_container_mb: container_mb(
                driver_mb,
                get("spark.driver.memoryOverhead"),
                get("spark.driver.memoryOverheadFactor"),
                0.1,
            ),
            driver_cores: number("spark.driver.cores", 1),
            max_app_attempts: if submission.deploy_cluster_mode {
                number("spark.yarn.maxAppAttempts", 2)
            } else {
                1
            },
            dynamic,
            executors_initial: if dynamic {
                initial.max(fixed.unwrap_or(0))
            } else {
                fixed.unwrap_or(2)
            },
            executors_min: minimum,
            executors_max: number("spark.dynamicAllocation.maxExecutors", u32::MAX),
            idle_seconds: number("spark.dynamicAllocation.executorIdleTimeout", 60),
            rules: Rules::of(get),
            log_dir: get("spark.eventLog.dir")
                .filter(|_| on("spark.eventLog.enabled", false))
                .and_then(place_in_s3),
            log_compressed: on("spark.eventLog.compress", false),
            log_rolling: on("spark.eventLog.rolling.enabled", false),
        }
    }
}

/// A folder in S3, whichever of EMR's names for it is used, without the slash at its end.
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-file-systems.html
fn place_in_s3(dir: &str) -> Option<String> {
    let place = ["s3://", "s3a://", "s3n://"]
        .iter()
        .find_map(|scheme| dir.strip_prefix(scheme))?;
    Some(format!("s3://{}", place.trim_end_matches('/')))
}

/// Heap and overhead, rounded up to YARN's smallest allocation, which is 32 MB on EMR.
//= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-hadoop-task-config.html
fn container_mb(heap_mb: u64, overhead: Option<&str>, factor: Option<&str>, default_factor: f64) -> u64 {
    let factor: f64 = factor.and_then(|text| text.parse().ok()).unwrap_or(default_factor);
    let by_factor = ((heap_mb as f64 * factor) as u64).max(384);
    let overhead_mb = overhead.and_then(|text| memory_mb(text).ok()).unwrap_or(by_factor);
    (heap_mb + overhead_mb).div_ceil(32) * 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_s3_has_three_names_and_other_folders_are_not_read_here() {
        for dir in ["s3://b/logs", "s3a://b/logs/", "s3n://b/logs//"] {
            assert_eq!(place_in_s3(dir).as_deref(), Some("s3://b/logs"), "{dir}");
        }
        assert_eq!(place_in_s3("hdfs:///var/log/spark/apps"), None);
    }
}
