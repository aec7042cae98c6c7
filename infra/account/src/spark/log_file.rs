//! The event log's names and bytes on S3.
//!
//! Separate from its lines: whether it is one file or a folder, plain or compressed, is a matter of properties.
//= https://spark.apache.org/docs/3.5.6/monitoring.html#applying-compaction-on-rolling-event-log-files

use super::driver::Driver;
use super::event_log::Head;
use crate::api::Time;
use chrono::TimeDelta;

/// The Spark context starts this long before the script submits its job.
const CONTEXT_TO_JOB_MS: i64 = 4_000;

impl Driver {
    /// Writes the log's head.
    pub(super) fn begin_log(&mut self) {
        let started: Time = (self.now - TimeDelta::milliseconds(CONTEXT_TO_JOB_MS)).max(self.truth.started_at);
        let mut properties = self.submission.conf.clone();
        let driver_host = match &self.identity.container {
            Some(container) => container.host.clone(),
            None => properties.get("spark.driver.host").cloned().unwrap_or_default(),
        };
        let mode = if self.submission.deploy_cluster_mode {
            "cluster"
        } else {
            "client"
        };
        for (key, value) in [
            ("spark.app.id", self.identity.application_id.clone()),
            ("spark.app.name", self.submission.name.clone()),
            ("spark.app.startTime", started.timestamp_millis().to_string()),
            ("spark.driver.host", driver_host.clone()),
            (
                "spark.dynamicAllocation.enabled",
                self.submission.dynamic_allocation.to_string(),
            ),
            ("spark.executor.cores", self.submission.executor_cores.to_string()),
            ("spark.executor.id", "driver".into()),
            ("spark.master", "yarn".into()),
            ("spark.submit.deployMode", mode.into()),
        ] {
            properties.insert(key.into(), value);
        }
        let memory = format!("{}m", self.submission.executor_memory_mb);
        properties.entry("spark.executor.memory".into()).or_insert(memory);
        self.log.head(&Head {
            application_id: &self.identity.application_id,
            attempt_id: self.submission.deploy_cluster_mode.then_some(self.identity.attempt),
            name: &self.submission.name,
            user: &self.submission.user,
            driver_host: &driver_host,
            context_started_at: started,
            executor_memory_mb: self.submission.executor_memory_mb,
            executor_cores: self.submission.executor_cores,
            properties: &properties,
        });
    }

    /// The name that Spark gives this attempt's log: in cluster mode YARN's attempt is part of it.
    fn log_name(&self) -> String {
        match self.submission.deploy_cluster_mode {
            true => format!("{}_{}", self.identity.application_id, self.identity.attempt),
            false => self.identity.application_id.clone(),
        }
    }

    /// The log's objects as they are once it is closed, and the key to find it by: the file, or the rolling folder.
    /// A simulated log never reaches the 10 MiB at which Spark may roll, so that a folder holds one file of events.
    pub(super) fn close_log(&mut self) -> (Option<String>, Vec<(String, Vec<u8>)>) {
        let Some(dir) = self.settings.log_dir.clone() else {
            return (None, Vec::new());
        };
        let name = self.log_name();
        let suffix = if self.settings.log_compressed { ".zstd" } else { "" };
        let text = std::mem::take(&mut self.log.text).into_bytes();
        let bytes = if self.settings.log_compressed {
            zstd::encode_all(text.as_slice(), 1).expect("compressing memory into memory cannot fail")
        } else {
            text
        };
        if !self.settings.log_rolling {
            let key = format!("{dir}/{name}{suffix}");
            return (Some(key.clone()), vec![(key, bytes)]);
        }
        let folder = format!("{dir}/eventlog_v2_{name}");
        let objects = vec![
            (format!("{folder}/events_1_{name}{suffix}"), bytes),
            (format!("{folder}/appstatus_{name}"), Vec::new()),
        ];
        (Some(folder), objects)
    }

    /// What is left of a rolling log whose driver died before it could roll or close: the empty status marker.
    pub(super) fn log_marker_in_progress(&self) -> Option<(String, Vec<u8>)> {
        let dir = self
            .settings
            .log_dir
            .as_ref()
            .filter(|_| self.settings.log_rolling && self.log.has_begun())?;
        let name = self.log_name();
        Some((
            format!("{dir}/eventlog_v2_{name}/appstatus_{name}.inprogress"),
            Vec::new(),
        ))
    }
}
