//! The event log's lines, in the shape that Spark 3.5's `JsonProtocol` writes.
//!
//! Separate because it only says what happened, in Spark's words; `log_file` puts the lines into objects.
//= https://spark.apache.org/docs/3.5.6/monitoring.html#viewing-after-the-fact

use std::collections::BTreeMap;

use super::driver::Container;
use super::json::{Object, array};
use super::stage::Stage;
use crate::api::Time;

/// The release whose log this is; EMR 7 carries this line.
const SPARK_VERSION: &str = "3.5.6-amzn-0";

/// Storage of an RDD that is not cached.
const NOT_STORED: &str =
    r#"{"Use Disk":false,"Use Memory":false,"Use Off Heap":false,"Deserialized":false,"Replication":1}"#;

/// What the head of a log tells of its application.
#[derive(Debug)]
pub(super) struct Head<'a> {
    /// `application_…`.
    pub(super) application_id: &'a str,
    /// The attempt, in cluster mode.
    pub(super) attempt_id: Option<u32>,
    /// `spark.app.name`.
    pub(super) name: &'a str,
    /// Who runs it.
    pub(super) user: &'a str,
    /// Where the driver runs.
    pub(super) driver_host: &'a str,
    /// When the Spark context started.
    pub(super) context_started_at: Time,
    /// Heap of an executor.
    pub(super) executor_memory_mb: u64,
    /// Cores of an executor.
    pub(super) executor_cores: u32,
    /// All Spark properties.
    pub(super) properties: &'a BTreeMap<String, String>,
}

/// The lines so far.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    pub(super) text: String,
}

impl EventLog {
    /// Whether the driver has written its head.
    pub(super) fn has_begun(&self) -> bool {
        !self.text.is_empty()
    }

    pub(super) fn push(&mut self, event: Object) {
        self.text.push_str(&event.finish());
        self.text.push('\n');
    }

    /// The events before the first job.
    pub(super) fn head(&mut self, head: &Head<'_>) {
        let started = ms(head.context_started_at);
        self.push(event("LogStart").text("Spark Version", SPARK_VERSION));
        let amount = |name: &'static str, amount: u64| {
            let request = Object::new().text("Resource Name", name).raw("Amount", amount);
            request.text("Discovery Script", "").text("Vendor", "").finish()
        };
        let executor = Object::new()
            .raw("cores", amount("cores", head.executor_cores.into()))
            .raw("memory", amount("memory", head.executor_memory_mb))
            .raw("offHeap", amount("offHeap", 0));
        self.push(
            event("ResourceProfileAdded")
                .raw("Resource Profile Id", 0)
                .raw("Executor Resource Requests", executor.finish())
                .raw(
                    "Task Resource Requests",
                    r#"{"cpus":{"Resource Name":"cpus","Amount":1.0}}"#,
                ),
        );
        self.block_manager_added(started, "driver", head.driver_host);
        let properties = head
            .properties
            .iter()
            .fold(Object::new(), |object, (key, value)| object.property(key, value));
        self.push(
            event("EnvironmentUpdate")
                .raw("JVM Information", r#"{"Java Home":"/usr/lib/jvm/java-17-amazon-corretto","Java Version":"17.0.15 (Amazon.com Inc.)","Scala Version":"version 2.12.18"}"#)
                .raw("Spark Properties", properties.finish())
                .raw("Hadoop Properties", "{}")
                .raw("System Properties", "{}")
                .raw("Metrics Properties", "{}")
                .raw("Classpath Entries", "{}"),
        );
        let mut start = event("ApplicationStart")
            .text("App Name", head.name)
            .text("App ID", head.application_id)
            .raw("Timestamp", started)
            .text("User", head.user);
        if let Some(attempt) = head.attempt_id {
            start = start.text("App Attempt ID", &attempt.to_string());
        }
        self.push(start);
    }

    fn block_manager_added(&mut self, at_ms: i64, executor: &str, host: &str) {
        self.push(
            event("BlockManagerAdded")
                .raw("Block Manager ID", block_manager(executor, host))
                .raw("Maximum Memory", 10_310_000_640_i64)
                .raw("Timestamp", at_ms)
                .raw("Maximum Onheap Memory", 10_310_000_640_i64)
                .raw("Maximum Offheap Memory", 0),
        );
    }

    pub(super) fn executor_added(&mut self, at: Time, id: u32, container: &Container, cores: u32, user: &str) {
        let Container {
            id: container_id, host, ..
        } = container;
        let url =
            |file: &str| format!("http://{host}:8042/node/containerlogs/{container_id}/{user}/{file}?start=-4096");
        let urls = Object::new()
            .text("stdout", &url("stdout"))
            .text("stderr", &url("stderr"));
        let attributes = Object::new()
            .text("CONTAINER_ID", container_id)
            .text("NM_HOST", host)
            .text("NM_PORT", "8041")
            .text("NM_HTTP_PORT", "8042")
            .text("NM_HTTP_ADDRESS", &format!("{host}:8042"))
            .text("HTTP_SCHEME", "http://")
            .text("LOG_FILES", "stderr,stdout")
            .text("CLUSTER_ID", "")
            .text("USER", user);
        let info = Object::new()
            .text("Host", host)
            .raw("Total Cores", cores)
            .raw("Log Urls", urls.finish())
            .raw("Attributes", attributes.finish())
            .raw("Resources", "{}")
            .raw("Resource Profile Id", 0)
            .raw("Registration Time", ms(at));
        let added = event("ExecutorAdded")
            .raw("Timestamp", ms(at))
            .text("Executor ID", &id.to_string());
        self.push(added.raw("Executor Info", info.finish()));
        self.block_manager_added(ms(at), &id.to_string(), host);
    }

    pub(super) fn executor_removed(&mut self, at: Time, id: u32, host: &str, reason: &str) {
        let id = id.to_string();
        let removed = event("ExecutorRemoved")
            .raw("Timestamp", ms(at))
            .text("Executor ID", &id);
        self.push(removed.text("Removed Reason", reason));
        let block_manager = block_manager(&id, host);
        self.push(
            event("BlockManagerRemoved")
                .raw("Block Manager ID", block_manager)
                .raw("Timestamp", ms(at)),
        );
    }

    pub(super) fn job_start(&mut self, at: Time, stages: &[Stage]) {
        let infos = stages
            .iter()
            .enumerate()
            .map(|(id, stage)| stage_info(id, stage, None).finish());
        let start = event("JobStart")
            .raw("Job ID", 0)
            .raw("Submission Time", ms(at))
            .raw("Stage Infos", array(infos));
        let ids = array((0..stages.len()).map(|id| id.to_string()));
        self.push(start.raw("Stage IDs", ids).raw("Properties", "{}"));
    }

    pub(super) fn job_end(&mut self, at: Time, failure: Option<&str>) {
        let result = match failure {
            None => Object::new().text("Result", "JobSucceeded"),
            Some(message) => {
                let exception = Object::new().text("Message", message).raw("Stack Trace", "[]");
                Object::new()
                    .text("Result", "JobFailed")
                    .raw("Exception", exception.finish())
            }
        };
        let end = event("JobEnd").raw("Job ID", 0).raw("Completion Time", ms(at));
        self.push(end.raw("Job Result", result.finish()));
    }

    /// A job without stages that began three seconds ago, and is over without success.
    pub(super) fn side_job(&mut self, at: Time, words: &str) {
        let start = event("JobStart")
            .raw("Job ID", 1)
            .raw("Submission Time", ms(at) - 3_000)
            .raw("Stage Infos", "[]");
        self.push(start.raw("Stage IDs", "[]").raw("Properties", "{}"));
        let exception = Object::new().text("Message", words).raw("Stack Trace", "[]");
        let result = Object::new()
            .text("Result", "JobFailed")
            .raw("Exception", exception.finish());
        let end = event("JobEnd").raw("Job ID", 1).raw("Completion Time", ms(at));
        self.push(end.raw("Job Result", result.finish()));
    }

    pub(super) fn application_end(&mut self, at: Time) {
        self.push(event("ApplicationEnd").raw("Timestamp", ms(at)));
    }

    pub(super) fn stage_submitted(&mut self, at: Time, id: usize, stage: &Stage, attempt: usize) {
        let info = stage_info(id, stage, Some(attempt)).raw("Submission Time", ms(at));
        self.push(
            event("StageSubmitted")
                .raw("Stage Info", info.finish())
                .raw("Properties", "{}"),
        );
    }

    pub(super) fn stage_completed(
        &mut self,
        at: Time,
        id: usize,
        stage: &Stage,
        attempt: usize,
        failure: Option<&str>,
    ) {
        let mut info = stage_info(id, stage, Some(attempt))
            .raw("Submission Time", ms(stage.attempts[attempt].submitted_at))
            .raw("Completion Time", ms(at));
        if let Some(reason) = failure {
            info = info.text("Failure Reason", reason);
        }
        self.push(event("StageCompleted").raw("Stage Info", info.finish()));
    }
}

pub(super) fn event(name: &str) -> Object {
    Object::new().text("Event", &format!("SparkListener{name}"))
}

pub(super) fn ms(at: Time) -> i64 {
    at.timestamp_millis()
}

pub(super) fn block_manager(executor: &str, host: &str) -> String {
    Object::new()
        .text("Executor ID", executor)
        .text("Host", host)
        .raw("Port", 7337)
        .finish()
}

fn stage_info(id: usize, stage: &Stage, attempt: Option<usize>) -> Object {
    let tasks = attempt.map_or(stage.plan.tasks as usize, |attempt| {
        stage.attempts[attempt].partitions.len()
    });
    let parents = array(stage.plan.parents.iter().map(usize::to_string));
    let rdd = Object::new()
        .raw("RDD ID", id)
        .text("Name", "PythonRDD")
        .text("Callsite", &stage.plan.name)
        .raw("Parent IDs", &parents)
        .raw("Storage Level", NOT_STORED)
        .raw("Barrier", false)
        .text("DeterministicLevel", "DETERMINATE")
        .raw("Number of Partitions", stage.plan.tasks)
        .raw("Number of Cached Partitions", 0)
        .raw("Memory Size", 0)
        .raw("Disk Size", 0);
    Object::new()
        .raw("Stage ID", id)
        .raw("Stage Attempt ID", attempt.unwrap_or(0))
        .text("Stage Name", &stage.plan.name)
        .raw("Number of Tasks", tasks)
        .raw("RDD Info", array([rdd.finish()]))
        .raw("Parent IDs", &parents)
        .text("Details", "")
        .raw("Accumulables", "[]")
        .raw("Resource Profile Id", 0)
        .raw("Shuffle Push Enabled", false)
        .raw("Shuffle Push Mergers Count", 0)
}
