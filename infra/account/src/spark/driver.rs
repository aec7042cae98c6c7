//! One application attempt: its driver, the executors it holds, and its clock of things to come.
//!
//! Separate from the rules that act on it: `dag` for stages, `tasks` for tasks, `loss` for what goes away.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::Value;

use super::event_log::EventLog;
use super::settings::Settings;
use super::stage::{Stage, Task};
use super::truth::{AttemptTruth, StageStatus, TaskCounts};
use super::workload::Failure;
use super::{Submission, Workload};
use crate::api::Time;

/// A YARN container and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// `container_…`.
    pub id: String,
    /// The EC2 instance.
    pub instance_id: String,
    /// Its private DNS name.
    pub host: String,
}

/// Which attempt of which application a driver is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `application_…`.
    pub application_id: String,
    /// From 1.
    pub attempt: u32,
    /// The driver's container; none in client mode.
    pub container: Option<Container>,
}

/// How an attempt ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The script ended well.
    Succeeded,
    /// It did not, with YARN's diagnostics.
    Failed(String),
}

/// What the driver waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Timer {
    /// The script submits its job.
    Ready,
    /// An executor registers.
    Register(u32),
    /// A task ends as its fate of this generation says.
    TaskEnds { task: usize, generation: u32 },
    /// Dynamic allocation looks at the waiting tasks.
    Backlog,
    /// Dynamic allocation looks at an executor that had nothing to do.
    Idle(u32),
    /// A decommissioned executor hands over its shuffle blocks, and leaves when it is done.
    Leave(u32),
    /// Failed stages are submitted again.
    Resubmit,
    /// The script has ended.
    Stop,
}

/// An executor, from its container's allocation on.
#[derive(Debug)]
pub(super) struct Executor {
    /// Its container.
    pub(super) container: Container,
    /// Its place in the truth, once it has registered.
    pub(super) truth: Option<usize>,
    /// Whether it is gone.
    pub(super) removed: bool,
    /// Ids of the tasks that it runs.
    pub(super) running: BTreeSet<usize>,
    /// Tasks it was ever given.
    pub(super) tasks: u32,
    /// Since when it runs none.
    pub(super) idle_since: Time,
    /// Spark has told it to leave.
    pub(super) decommissioned: bool,
}

impl Executor {
    /// Whether it has registered and is there.
    pub(super) fn is_live(&self) -> bool {
        self.truth.is_some() && !self.removed
    }
}

/// The attempt.
#[derive(Debug)]
pub struct Driver {
    pub(super) identity: Identity,
    pub(super) submission: Submission,
    pub(super) workload: Workload,
    pub(super) settings: Settings,
    pub(super) rng: fastrand::Rng,
    pub(super) now: Time,
    pub(super) timers: BTreeMap<(Time, u64), Timer>,
    pub(super) timers_made: u64,
    /// By Spark's id, from 1; removed ones stay, since shuffle output is known by its executor.
    pub(super) executors: BTreeMap<u32, Executor>,
    pub(super) stages: Vec<Stage>,
    pub(super) tasks: Vec<Task>,
    /// Stages that wait for their parents.
    pub(super) waiting: BTreeSet<usize>,
    /// Stages to submit again after a fetch failure.
    pub(super) failed: BTreeSet<usize>,
    /// Instances without new tasks.
    pub(super) decommissioning: BTreeSet<String>,
    /// Instances that are gone.
    pub(super) dead: BTreeSet<String>,
    /// Executors that dynamic allocation wants, or the fixed number.
    pub(super) target: u32,
    /// How many more it asks for next time; doubles.
    pub(super) step: u32,
    pub(super) backlog_timer: bool,
    pub(super) log: EventLog,
    pub(super) truth: AttemptTruth,
    /// For the journal.
    pub(super) notes: Vec<(String, Value)>,
    /// Containers given back.
    pub(super) released: Vec<String>,
    /// Objects written to S3.
    pub(super) objects: Vec<(String, Vec<u8>)>,
    /// How the script ends, once its job has ended.
    pub(super) ending: Option<Outcome>,
    outcome: Option<Outcome>,
}

impl Driver {
    /// A driver whose container (in client mode: whose process on the primary node) starts now.
    pub fn start(identity: Identity, submission: Submission, workload: Workload, now: Time, seed: u64) -> Self {
        let settings = Settings::of(&submission);
        let last = workload.stages.len() - 1;
        let stages = workload
            .stages
            .iter()
            .enumerate()
            .map(|(id, plan)| Stage::new(plan.clone(), id == last))
            .collect();
        let truth = AttemptTruth {
            attempt: identity.attempt,
            started_at: now,
            ended_at: None,
            driver_instance: identity
                .container
                .as_ref()
                .map(|container| container.instance_id.clone()),
            driver_lost: false,
            executors: Vec::new(),
            losses: Vec::new(),
            stage_attempts: Vec::new(),
            tasks: TaskCounts::default(),
            failures_by_reason: BTreeMap::new(),
            failed_task_ms: 0,
            repeated_task_ms: 0,
            lost_task_ms: 0,
            job_succeeded: None,
            event_log: None,
        };
        let mut driver = Self {
            log: EventLog::default(),
            rng: fastrand::Rng::with_seed(seed),
            timers: BTreeMap::new(),
            timers_made: 0,
            executors: BTreeMap::new(),
            tasks: Vec::new(),
            waiting: BTreeSet::new(),
            failed: BTreeSet::new(),
            decommissioning: BTreeSet::new(),
            dead: BTreeSet::new(),
            target: 0,
            step: 1,
            backlog_timer: false,
            notes: Vec::new(),
            released: Vec::new(),
            objects: Vec::new(),
            ending: None,
            outcome: None,
            identity,
            submission,
            settings,
            stages,
            truth,
            now,
            workload,
        };
        driver.after_ms(i64::from(driver.workload.driver_start_seconds) * 1000, Timer::Ready);
        driver
    }

    /// When it next has something to do.
    pub fn due(&self) -> Option<Time> {
        self.timers.keys().next().map(|(at, _)| *at)
    }

    /// Does what is due at `now`; returns how the attempt ended, once it has.
    pub fn advance(&mut self, now: Time) -> Option<Outcome> {
        self.now = now;
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            let timer = entry.remove();
            self.fire(timer);
        }
        self.outcome.clone()
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Ready => self.ready(),
            Timer::Register(id) => self.register(id),
            Timer::TaskEnds { task, generation } => self.task_ends(task, generation),
            Timer::Backlog => self.grow(),
            Timer::Idle(id) => self.release_if_idle(id),
            Timer::Leave(id) => self.leave(id),
            Timer::Resubmit => self.resubmit_failed(),
            Timer::Stop => self.stop(),
        }
        self.offer();
        self.size();
    }

    /// Whether the script has begun; YARN then calls the application running.
    pub fn is_running(&self) -> bool {
        self.log.has_begun()
    }

    /// The truth, notes, containers and objects since the last call.
    pub fn take(&mut self) -> Taken {
        Taken {
            notes: std::mem::take(&mut self.notes),
            released: std::mem::take(&mut self.released),
            objects: std::mem::take(&mut self.objects),
        }
    }

    /// What happened so far.
    pub fn truth(&self) -> &AttemptTruth {
        &self.truth
    }

    /// The attempt was ended from outside: its driver's node went, or someone killed it.
    ///
    /// Assumption: S3 shows an object only once its upload is complete, and a driver that dies completes none, so that
    /// an event log in one file is lost, and of a rolling one only the empty status marker remains.
    //= https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
    pub fn cut_off(&mut self, now: Time, driver_lost: bool) {
        self.now = now;
        self.truth.driver_lost = driver_lost;
        self.objects.extend(self.log_marker_in_progress());
        self.end();
    }

    fn ready(&mut self) {
        self.begin_log();
        self.target = self.settings.executors_initial;
        self.submit_job();
    }

    fn stop(&mut self) {
        self.log.application_end(self.now);
        let (key, objects) = self.close_log();
        self.truth.event_log = key;
        self.objects.extend(objects);
        self.outcome = self.ending.clone();
        self.end();
    }

    /// Nothing happens any more; sums up the truth.
    fn end(&mut self) {
        self.timers.clear();
        self.truth.ended_at = Some(self.now);
        let mut later = BTreeSet::new();
        for task in self.tasks.iter().rev().filter(|task| task.succeeded) {
            if !later.insert((task.stage, task.partition)) {
                self.truth.repeated_task_ms += task.run_ms();
            }
        }
        self.truth.lost_task_ms = self.truth.failed_task_ms + self.truth.repeated_task_ms;
        self.target = 0;
    }

    /// The script's end: the result stage's failure, its own exception, or success.
    pub(super) fn script_ends(&mut self, job_failure: Option<String>) {
        let exception = match (&job_failure, &self.workload.failure) {
            (Some(message), _) => Some(message.clone()),
            (None, Some(Failure::Driver { message })) => Some(message.clone()),
            (None, _) => None,
        };
        self.ending = Some(match exception {
            Some(message) => Outcome::Failed(format!("User application exited with status 1: {message}")),
            None => Outcome::Succeeded,
        });
        self.truth.job_succeeded = Some(job_failure.is_none());
        self.after_ms(600, Timer::Stop);
    }

    pub(super) fn after_ms(&mut self, milliseconds: i64, timer: Timer) {
        self.timers_made += 1;
        self.timers.insert(
            (self.now + TimeDelta::milliseconds(milliseconds), self.timers_made),
            timer,
        );
    }

    pub(super) fn note(&mut self, text: String, data: Value) {
        self.notes.push((text, data));
    }

    /// Ends the truth of a stage attempt.
    pub(super) fn truth_stage_ends(&mut self, truth: usize, status: StageStatus, reason: Option<&str>) {
        let entry = &mut self.truth.stage_attempts[truth];
        entry.completed_at = Some(self.now);
        entry.status = status;
        entry.failure_reason = reason.map(|text| text.lines().next().unwrap_or_default().to_owned());
    }
}

/// What YARN takes from a driver after each change.
#[derive(Debug)]
pub struct Taken {
    /// For the journal.
    pub notes: Vec<(String, Value)>,
    /// Containers given back.
    pub released: Vec<String>,
    /// Objects written to S3.
    pub objects: Vec<(String, Vec<u8>)>,
}
