//! Which of Spark's properties come out.
//!
//! Separate because it is a list, and the only thing here that says what a property is for.
//!
//! Properties: <https://spark.apache.org/docs/3.5.5/configuration.html>,
//! <https://spark.apache.org/docs/3.5.5/running-on-yarn.html#spark-properties> and
//! <https://spark.apache.org/docs/3.5.5/cloud-integration.html>

/// Starts of the properties that are kept: they decide how the application takes the loss of a node, how it ends and
/// writes its output, or how it logs.
const PREFIXES: [&str; 38] = [
    "spark.blacklist.",
    "spark.checkpoint.",
    "spark.decommission",
    "spark.driver.host",
    "spark.dynamicAllocation.",
    "spark.eventLog.",
    "spark.excludeOnFailure.",
    "spark.executor.cores",
    "spark.executor.decommission.",
    "spark.executor.failuresValidityInterval",
    "spark.executor.heartbeatInterval",
    "spark.executor.instances",
    "spark.executor.maxNumFailures",
    "spark.executor.memory",
    "spark.files.fetchFailure.",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs",
    "spark.master",
    "spark.network.timeout",
    "spark.resourceManager.",
    "spark.scheduler.excludeOnFailure.",
    "spark.shuffle.io.",
    "spark.shuffle.service.",
    "spark.speculation",
    // What whoever submits the application writes there for this tool.
    "spark.spotDrill",
    "spark.sql.adaptive.enabled",
    "spark.sql.sources.commitProtocolClass",
    "spark.sql.sources.outputCommitterClass",
    "spark.sql.sources.partitionOverwriteMode",
    "spark.sql.streaming.checkpoint",
    "spark.stage.",
    "spark.storage.decommission.",
    "spark.submit.deployMode",
    "spark.task.cpus",
    "spark.task.maxFailures",
    "spark.yarn.am.",
    "spark.yarn.executor.",
    "spark.yarn.max",
    "spark.yarn.submit.waitAppCompletion",
];

/// Whether a property is kept.
pub(super) fn is_kept(key: &str) -> bool {
    PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}
