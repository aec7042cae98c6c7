//! The DAG scheduler: which stages run, again after a fetch failure, and when the job ends.
//!
//! Separate because these rules know stages and partitions only; cores and executors are others' business.
//= https://spark.apache.org/docs/3.5.6/configuration.html#scheduling

use serde_json::json;
use spark_rules::RESUBMIT_MS;

use super::driver::{Driver, Timer};
use super::stage::{Fate, StageAttempt};
use super::truth::{StageAttemptTruth, StageStatus, TaskCounts};
use super::workload::{SideJob, Writes};

impl Driver {
    /// The script starts its one job.
    pub(super) fn submit_job(&mut self) {
        if let Some(SideJob::Cancelled(words) | SideJob::Failed(words)) = &self.workload.side_job {
            self.log.side_job(self.now, words);
        }
        self.log.job_start(self.now, &self.stages);
        self.note("job 0 started".into(), json!({"job": 0}));
        self.submit_stage(self.stages.len() - 1);
    }

    /// Submits a stage, or those before it whose output is missing.
    fn submit_stage(&mut self, id: usize) {
        if self.ending.is_some() || self.stages[id].running().is_some() {
            return;
        }
        let parents = self.stages[id].plan.parents.clone();
        let missing: Vec<usize> = parents
            .into_iter()
            .filter(|parent| !self.stages[*parent].is_available())
            .collect();
        if missing.is_empty() {
            self.waiting.remove(&id);
            self.submit_attempt(id);
            return;
        }
        self.waiting.insert(id);
        for parent in missing {
            // A parent that waits to be submitted again brings this stage along.
            self.failed.remove(&parent);
            self.submit_stage(parent);
        }
    }

    /// A new attempt, with the missing partitions only.
    fn submit_attempt(&mut self, id: usize) {
        let partitions = self.stages[id].missing();
        let attempt = self.stages[id].attempts.len();
        self.truth.stage_attempts.push(StageAttemptTruth {
            stage: id,
            attempt: attempt as u32,
            partitions: partitions.len() as u32,
            submitted_at: self.now,
            completed_at: None,
            status: StageStatus::Active,
            failure_reason: None,
            tasks: TaskCounts::default(),
        });
        let count = partitions.len();
        let truth = self.truth.stage_attempts.len() - 1;
        self.stages[id]
            .attempts
            .push(StageAttempt::new(partitions, self.now, truth));
        self.log.stage_submitted(self.now, id, &self.stages[id], attempt);
        self.note(
            format!("stage {id} attempt {attempt} submitted with {count} tasks"),
            json!({"stage": id, "attempt": attempt, "tasks": count}),
        );
        // All partitions may have been computed by a task of an earlier attempt that was still running.
        self.end_stage_if_done(id);
    }

    /// Ends the running attempt of a stage whose partitions are all computed.
    pub(super) fn end_stage_if_done(&mut self, id: usize) {
        let Some(attempt) = self.stages[id].running() else {
            return;
        };
        if !attempt.done.iter().all(|done| *done) {
            return;
        }
        self.stages[id].failed_attempts.clear();
        self.end_attempt(id, None);
        if self.stages[id].is_result {
            self.write_output();
            self.end_job(None);
        } else if self.stages[id].is_available() {
            let ready: Vec<usize> = self
                .waiting
                .iter()
                .copied()
                .filter(|child| self.reads(*child, id))
                .collect();
            for child in ready {
                self.submit_stage(child);
            }
        } else {
            // Output that was computed has gone with its node meanwhile.
            self.submit_stage(id);
        }
    }

    fn reads(&self, child: usize, parent: usize) -> bool {
        self.stages[child].plan.parents.contains(&parent)
    }

    fn end_attempt(&mut self, id: usize, failure: Option<&str>) {
        let number = self.stages[id].latest().expect("an attempt that ends was submitted");
        let attempt = &mut self.stages[id].attempts[number];
        attempt.ended = true;
        attempt.pending.clear();
        let truth = attempt.truth;
        let status = if failure.is_some() {
            StageStatus::Failed
        } else {
            StageStatus::Complete
        };
        self.truth_stage_ends(truth, status, failure);
        self.log
            .stage_completed(self.now, id, &self.stages[id], number, failure);
        let word = if failure.is_some() { "failed" } else { "completed" };
        self.note(
            format!("stage {id} attempt {number} {word}"),
            json!({"stage": id, "attempt": number}),
        );
    }

    /// A task could not read shuffle output: its stage fails, and runs again once the output is there again.
    pub(super) fn fetch_failed(&mut self, stage: usize, attempt: usize, fate: Fate, message: &str) {
        let Fate::FetchFails { parent, executor, .. } = fate else {
            return;
        };
        if self.stages[stage].latest() != Some(attempt) || self.ending.is_some() {
            return;
        }
        if let Some(executor) = executor {
            self.forget_outputs(|holder| holder == executor);
        }
        if self.stages[stage].running().is_none() {
            return;
        }
        let from_decommissioning = executor.is_some_and(|id| {
            self.decommissioning
                .contains(&self.executors[&id].container.instance_id)
        });
        if self.settings.rules.fetch_failure_counts(from_decommissioning) {
            self.stages[stage].failed_attempts.insert(attempt);
        }
        self.end_attempt(stage, Some(message));
        if self
            .settings
            .rules
            .gives_stage_up(self.stages[stage].failed_attempts.len())
        {
            let kind = if self.stages[stage].is_result {
                "ResultStage"
            } else {
                "ShuffleMapStage"
            };
            self.abort(format!(
                "{kind} {stage} ({}) has failed the maximum allowable number of times: {}. Most recent failure reason:\n\
                 {message}",
                self.stages[stage].plan.name, self.settings.rules.stage_attempts_max
            ));
            return;
        }
        if self.failed.is_empty() {
            self.after_ms(RESUBMIT_MS, Timer::Resubmit);
        }
        self.failed.extend([parent, stage]);
    }

    /// Submits failed stages again, parents first.
    pub(super) fn resubmit_failed(&mut self) {
        while let Some(id) = self.failed.pop_first() {
            if !self.stages[id].is_available() {
                self.submit_stage(id);
            }
        }
    }

    /// The job fails.
    pub(super) fn abort(&mut self, reason: String) {
        let message = format!("Job aborted due to stage failure: {reason}");
        for id in 0..self.stages.len() {
            if self.stages[id].running().is_some() {
                self.end_attempt(id, Some(&message));
            }
        }
        self.end_job(Some(message));
    }

    fn end_job(&mut self, failure: Option<String>) {
        self.log.job_end(self.now, failure.as_deref());
        self.waiting.clear();
        self.failed.clear();
        let reason = match &failure {
            Some(message) => format!("Stage cancelled: {message}"),
            None => "Stage cancelled: Stage finished".into(),
        };
        let word = if failure.is_some() { "failed" } else { "succeeded" };
        self.note(format!("job 0 {word}"), json!({"job": 0}));
        self.kill_tasks(&reason);
        self.script_ends(failure);
    }

    /// Forgets the shuffle output that the chosen executors hold; returns what it forgot: stage and partition.
    pub(super) fn forget_outputs(&mut self, gone: impl Fn(u32) -> bool) -> Vec<(usize, u32)> {
        let mut forgotten = Vec::new();
        for (id, stage) in self.stages.iter_mut().enumerate().filter(|(_, stage)| !stage.is_result) {
            for (partition, output) in stage.outputs.iter_mut().enumerate() {
                if output.is_some_and(&gone) {
                    *output = None;
                    forgotten.push((id, partition as u32));
                }
            }
        }
        forgotten
    }

    /// The part files and the marker, if it writes one, all visible at once when the job commits its output.
    //= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-s3-optimized-committer.html
    fn write_output(&mut self) {
        let last = self.submission.arguments.last();
        let folder = match &self.workload.writes {
            Writes::LastArgument | Writes::Unmarked => last.filter(|last| last.starts_with("s3://")),
            Writes::Folder(folder) => Some(folder),
            Writes::Nowhere => None,
        };
        let Some(folder) = folder else { return };
        let folder = folder.trim_end_matches('/');
        let parts = u64::from(self.stages.last().map_or(0, |stage| stage.plan.tasks)).max(1);
        for part in 0..parts {
            let rows = self.workload.rows / parts + u64::from(part < self.workload.rows % parts);
            self.objects.push((
                format!("{folder}/part-{part:05}"),
                format!("{{\"rows\":{rows}}}\n").into_bytes(),
            ));
        }
        if self.workload.writes != Writes::Unmarked {
            self.objects.push((format!("{folder}/_SUCCESS"), Vec::new()));
        }
    }
}
