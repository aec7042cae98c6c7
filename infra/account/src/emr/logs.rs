//! What a step leaves in the cluster's log folder: what EMR's step controller and `spark-submit` print.
//!
//! Separate because their wording is EMR's and Spark's, and tools search it for the application's id.
//!
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-manage-view-web-log-files.html

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use crate::api::Time;
use crate::yarn::State;

use super::cluster::Cluster;
use super::step::{Step, StepState, Words};

impl Cluster {
    /// Puts the logs of a step, as far as they are written, where S3 gets them; nothing without a `LogUri` of step or cluster.
    pub(super) fn write_logs(&mut self, id: &str) {
        let Some(folder) = self.step_log_uri(id) else { return };
        let Some(step) = self.step(id) else { return };
        let files = [
            ("controller", self.controller_log(step)),
            ("stderr", self.stderr_log(step)),
            (
                "stdout",
                step.words.as_ref().map_or(String::new(), |words| words.stdout.clone()),
            ),
        ];
        for (name, text) in files {
            self.objects.push((format!("{folder}{name}.gz"), gzip(&text)));
        }
    }

    /// Takes what a driver outside wrote: in client mode into the log of its step, whose process it is; else where YARN's
    /// containers have theirs.
    //= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-manage-view-web-log-files.html
    pub(super) fn take_words(&mut self, application_id: &str, attempt: u32, words: &Words) {
        let Some(outside) = self.yarn.outside().find(|one| one.id == application_id) else {
            return;
        };
        if !outside.submission.deploy_cluster_mode {
            let its = |step: &&mut Step| step.application_id.as_deref() == Some(application_id);
            if let Some(step) = self.steps.iter_mut().find(its) {
                step.words = Some(words.clone());
            }
            return;
        }
        let Some(uri) = self.request["LogUri"].as_str() else {
            return;
        };
        let number = application_id.trim_start_matches("application_");
        let container = format!("container_{number}_{attempt:02}_000001");
        let folder = format!(
            "{}/{}/containers/{application_id}/{container}",
            uri.trim_end_matches('/'),
            self.id
        );
        for (name, text) in [("stdout", &words.stdout), ("stderr", &words.stderr)] {
            self.objects.push((format!("{folder}/{name}.gz"), gzip(text)));
        }
    }

    /// The S3 folder of a step's logs, with its last slash. A step's own place takes precedence over the cluster's; the
    /// folders below it are assumed to be the same.
    //= https://docs.aws.amazon.com/emr/latest/APIReference/API_S3MonitoringConfiguration.html
    pub(super) fn step_log_uri(&self, id: &str) -> Option<String> {
        let own = self.step(id).and_then(|step| step.own_logs["LogUri"].as_str());
        let uri = own.or(self.request["LogUri"].as_str())?.trim_end_matches('/');
        // The console and older tools write s3n.
        let uri = uri
            .strip_prefix("s3n://")
            .map_or(uri.to_owned(), |rest| format!("s3://{rest}"));
        Some(format!("{uri}/{}/steps/{id}/", self.id))
    }

    fn controller_log(&self, step: &Step) -> String {
        let Some(started) = step.started_at else {
            return String::new();
        };
        let stamp = |time: Time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        let mut log = format!(
            "{at} INFO Ensure step {id} jar file {jar}\n{at} INFO StepRunner: Created Runner for step {id}\n\
             {at} INFO startExec 'hadoop jar {jar} {args}'\n",
            at = stamp(started),
            id = step.id,
            jar = step.jar,
            args = step.args.join(" "),
        );
        if let Some(ended) = step.ended_at {
            let took = (ended - started).num_seconds();
            let code = i32::from(step.state != StepState::Completed);
            log += &format!(
                "{at} INFO waitProcessCompletion ended with exit code {code}\n",
                at = stamp(ended)
            );
            log += &format!("{at} INFO total process run time: {took} seconds\n", at = stamp(ended));
            log += &match step.state {
                StepState::Completed => format!(
                    "{} INFO Step succeeded with exitCode 0 and took {took} seconds\n",
                    stamp(ended)
                ),
                _ => format!(
                    "{} WARN Step failed with exitCode {code} and took {took} seconds\n",
                    stamp(ended)
                ),
            };
        }
        log
    }

    fn stderr_log(&self, step: &Step) -> String {
        let stamp = |time: Time| time.format("%y/%m/%d %H:%M:%S").to_string();
        let mut log = String::new();
        if let (Some(at), Some(id)) = (step.submitted_at.map(stamp), &step.application_id) {
            log += &format!("{at} INFO Client: Submitting application {id} to ResourceManager\n");
            log += &format!("{at} INFO YarnClientImpl: Submitted application {id}\n");
            log += &format!("{at} INFO Client: Application report for {id} (state: ACCEPTED)\n");
            if let Some(words) = &step.words {
                log += &words.stderr;
            }
            let (state, result) = match self.yarn.state(id) {
                State::Accepted => ("ACCEPTED", "UNDEFINED"),
                State::Running => ("RUNNING", "UNDEFINED"),
                State::Succeeded => ("FINISHED", "SUCCEEDED"),
                State::Failed(_) => ("FINISHED", "FAILED"),
                State::Killed => ("KILLED", "KILLED"),
            };
            if let (true, Some(at), None) = (step.waits, step.ended_at.map(stamp), &step.words) {
                log += &format!("{at} INFO Client: Application report for {id} (state: {state})\n");
                log += &format!("\t final status: {result}\n\t user: hadoop\n");
            }
        }
        // A driver in the step's own process has said itself why it failed.
        if let (Some(message), Some(at), None) = (&step.failure, step.ended_at.map(stamp), &step.words) {
            log += &match &step.application_id {
                Some(id) => format!(
                    "{at} ERROR Client: Application diagnostics message: {message}\n\
                     Exception in thread \"main\" org.apache.spark.SparkException: Application {id} finished with \
                     failed status\n"
                ),
                None => format!("Error: {message}\n"),
            };
        }
        log
    }
}

/// A gzip file with no time and no name in it: the same text gives the same bytes.
fn gzip(text: &str) -> Vec<u8> {
    let mut file = GzEncoder::new(Vec::new(), Compression::default());
    file.write_all(text.as_bytes()).expect("memory takes every byte");
    file.finish().expect("memory takes every byte")
}
