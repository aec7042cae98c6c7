//! How steps run: their turn, their submission to YARN, their end, their cancellation.
//!
//! Separate from `step.rs`, which reads what a step is; this is what becomes of it.
//!
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-work-with-steps.html

use chrono::TimeDelta;
use serde_json::json;

use crate::api::Ctx;
use crate::ec2::Ec2;
use crate::spark::Workload;
use crate::yarn::State;

use super::agenda::Task;
use super::cluster::{Cluster, ClusterState, Reason, Scenario};
use super::events;
use super::pool::Role;
use super::provision::seconds;
use super::step::{Ending, Program, Step, StepState, hides_status, program, submission};

/// How often the logs of running steps go to S3.
///
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html
const LOG_PUSH_INTERVAL: TimeDelta = TimeDelta::minutes(5);

impl Cluster {
    /// Starts pending steps, oldest first, as far as the concurrency level allows.
    ///
    //= https://docs.aws.amazon.com/emr/latest/APIReference/API_ModifyCluster.html
    pub(super) fn start_steps(&mut self, ctx: &mut Ctx) {
        if !self.state.is_ready() {
            return;
        }
        let is_running = |step: &&Step| matches!(step.state, StepState::Running | StepState::CancelPending);
        let running = self.steps.iter().filter(is_running).count();
        let free = (self.step_concurrency as usize).saturating_sub(running);
        let next: Vec<_> = self
            .steps
            .iter()
            .filter(|step| step.state == StepState::Pending)
            .take(free)
            .collect();
        for id in next.into_iter().map(|step| step.id.clone()).collect::<Vec<_>>() {
            self.enter(ctx, ClusterState::Running, Reason::new("", "Running step"));
            self.enter_step(ctx, &id, StepState::Running);
            // `spark-submit` starts a JVM and uploads its files first.
            let submits_at = ctx.now + seconds(ctx, 4, 12);
            self.agenda.at(submits_at, Task::Submit(id));
            self.agenda.once_at(ctx.now + LOG_PUSH_INTERVAL, Task::PushLogs);
        }
    }

    /// A step's program reaches the point where it submits its application, or just runs.
    pub(super) fn submit(&mut self, ctx: &mut Ctx, id: &str, scenario: &Scenario) {
        let Some(step) = self.steps.iter().find(|step| step.id == id) else {
            return;
        };
        if step.state != StepState::Running {
            return;
        }
        let program = program(&step.jar, &step.args);
        let hides_status = hides_status(&step.jar, &step.args);
        let asked = submission(&program, &self.spark_defaults, |uri| {
            scenario.workloads.contains_key(uri)
        });
        let mut submission = match asked {
            Some(Ok(submission)) => submission,
            Some(Err(_)) if hides_status => return self.plan_end(ctx, id, (1, 3), Ending::Completed),
            Some(Err(message)) => return self.plan_end(ctx, id, (1, 3), Ending::Failed(message)),
            None => return self.plan_end(ctx, id, (20, 90), Ending::Completed),
        };
        let script = match &program {
            Program::Script(uri, _) => uri.clone(),
            _ => submission.application.clone(),
        };
        let known = scenario
            .workloads
            .get(&script)
            .or_else(|| scenario.workloads.get(&submission.application));
        let workload = known.cloned().unwrap_or_else(Workload::workshop);
        let workload = Some(workload).filter(|_| !self.runs_outside);
        let waits = submission.wait_app_completion;
        // Steps run on the primary node, and so does the driver of client mode.
        //= https://spark.apache.org/docs/3.5.6/running-on-yarn.html#launching-spark-on-yarn
        let primary = self.instances.iter().find(|one| one.role == Role::Master);
        if let Some(primary) = primary.filter(|_| !submission.deploy_cluster_mode) {
            let host = primary.private_dns_name.clone();
            submission.conf.insert("spark.driver.host".into(), host);
        }
        let application_id = match workload {
            Some(workload) => self.yarn.submit(ctx, submission, workload),
            None => self.yarn.submit_outside(ctx, submission),
        };
        let Some(step) = self.step_mut(id) else { return };
        step.submitted_at = Some(ctx.now);
        step.application_id = Some(application_id.clone());
        step.waits = waits;
        step.hides_status = hides_status;
        let text = format!("step {} submitted {application_id}", step.name);
        ctx.transition(
            "emr",
            id,
            text,
            json!({"applicationId": application_id, "waitAppCompletion": waits}),
        );
        if !waits {
            // With spark.yarn.submit.waitAppCompletion=false spark-submit exits once YARN has accepted.
            //= https://spark.apache.org/docs/latest/running-on-yarn.html
            self.plan_end(ctx, id, (1, 3), Ending::Completed);
        }
        self.wake_scaling(ctx);
    }

    /// Ends the steps whose application has ended: `spark-submit` asks YARN every second, and EMR the process.
    pub(super) fn watch_applications(&mut self, ctx: &mut Ctx) {
        let mut ends = Vec::new();
        for step in self
            .steps
            .iter()
            .filter(|step| step.waits && !step.ending && step.state == StepState::Running)
        {
            let Some(application_id) = &step.application_id else {
                continue;
            };
            let ending = match self.yarn.state(application_id) {
                State::Succeeded => Ending::Completed,
                State::Failed(_) | State::Killed if step.hides_status => Ending::Completed,
                State::Failed(message) => Ending::Failed(message),
                State::Killed => Ending::Failed(format!("Application {application_id} was killed")),
                _ => continue,
            };
            ends.push((step.id.clone(), ending));
        }
        for (id, ending) in ends {
            self.plan_end(ctx, &id, (2, 8), ending);
        }
    }

    fn plan_end(&mut self, ctx: &mut Ctx, id: &str, within_seconds: (i64, i64), ending: Ending) {
        if let Some(step) = self.step_mut(id) {
            step.ending = true;
        }
        let ends_at = ctx.now + seconds(ctx, within_seconds.0, within_seconds.1);
        self.agenda.at(ends_at, Task::EndStep(id.to_owned(), ending));
    }

    /// A step ends, and the cluster does what its action on failure says.
    pub(super) fn end_step(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, id: &str, ending: Ending) {
        let Some(step) = self.step_mut(id) else { return };
        if step.state.is_over() {
            return;
        }
        let state = match ending {
            _ if step.state == StepState::CancelPending => StepState::Cancelled,
            Ending::Completed => StepState::Completed,
            Ending::Cancelled => StepState::Cancelled,
            Ending::Interrupted => StepState::Interrupted,
            Ending::Failed(message) => {
                step.failure = Some(message);
                StepState::Failed
            }
        };
        let (ran, action) = (step.started_at.is_some(), step.action_on_failure.clone());
        self.enter_step(ctx, id, state);
        if ran {
            let pushes_at = ctx.now + seconds(ctx, 30, 120);
            self.agenda.at(pushes_at, Task::PushLastLogs(id.to_owned()));
        }
        if self.state.is_over() {
            return;
        }
        // With several steps at once, the action of a failed one is not carried out.
        //= https://docs.aws.amazon.com/emr/latest/APIReference/API_StepConfig.html
        if state == StepState::Failed && self.step_concurrency == 1 {
            match action.as_str() {
                "TERMINATE_CLUSTER" | "TERMINATE_JOB_FLOW" => {
                    // Assumed: the protection against TerminateJobFlows does not stop this.
                    return self.terminate(ctx, ec2, Reason::new("STEP_FAILURE", "Shut down as step failed"));
                }
                "CANCEL_AND_WAIT" => self.cancel_pending(ctx),
                _ => {}
            }
        }
        self.agenda.once_at(ctx.now + seconds(ctx, 2, 8), Task::StartSteps);
        self.follow_steps(ctx, ec2);
    }

    fn cancel_pending(&mut self, ctx: &mut Ctx) {
        let pending: Vec<_> = self
            .steps
            .iter()
            .filter(|step| step.state == StepState::Pending)
            .collect();
        for id in pending.into_iter().map(|step| step.id.clone()).collect::<Vec<_>>() {
            self.enter_step(ctx, &id, StepState::Cancelled);
        }
    }

    /// Cancels one step, as CancelSteps asks; `Err` says why it cannot be.
    ///
    //= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-cancel-steps.html
    pub(super) fn cancel_step(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, id: &str) -> Result<(), String> {
        let Some(step) = self.step(id) else {
            return Err(format!("Step {id} does not exist in this cluster."));
        };
        match step.state {
            StepState::Pending => {
                self.enter_step(ctx, id, StepState::Cancelled);
                self.follow_steps(ctx, ec2);
                Ok(())
            }
            StepState::Running => {
                self.enter_step(ctx, id, StepState::CancelPending);
                // The process gets a signal. Assumed: the application that it submitted is killed with it, in cluster
                // deploy mode too.
                self.kill_application(ctx, id);
                self.plan_end(ctx, id, (3, 15), Ending::Cancelled);
                Ok(())
            }
            StepState::CancelPending => Err("The step is already being cancelled.".to_owned()),
            state => Err(format!(
                "Only PENDING and RUNNING steps can be cancelled; this one is {}.",
                state.as_str()
            )),
        }
    }

    /// Kills the application that a step waits for, if it runs.
    pub(super) fn kill_application(&mut self, ctx: &mut Ctx, id: &str) {
        let application = self
            .step(id)
            .filter(|step| step.waits)
            .and_then(|step| step.application_id.clone());
        if let Some(application) = application
            && matches!(self.yarn.state(&application), State::Accepted | State::Running)
        {
            self.yarn.kill(ctx, &application);
        }
    }

    /// Moves a step to another state, and says so in the journal and on the event bus.
    fn enter_step(&mut self, ctx: &mut Ctx, id: &str, state: StepState) {
        let Some(at) = self.steps.iter().position(|step| step.id == id) else {
            return;
        };
        let step = &mut self.steps[at];
        step.state = state;
        match state {
            StepState::Running => step.started_at = Some(ctx.now),
            StepState::CancelPending => step.cancel_requested_at = Some(ctx.now),
            over if over.is_over() => step.ended_at = Some(ctx.now),
            _ => {}
        }
        let text = format!("step {} is {}", step.name, state.as_str());
        ctx.transition("emr", id, text, json!({"state": state.as_str(), "clusterId": self.id}));
        events::step(ctx, &self.id, &self.name, &self.steps[at]);
    }

    pub(super) fn step_mut(&mut self, id: &str) -> Option<&mut Step> {
        self.steps.iter_mut().find(|step| step.id == id)
    }

    /// The logs of the steps that run go to S3, as far as they are written.
    pub(super) fn push_logs(&mut self, ctx: &mut Ctx) {
        let running: Vec<_> = self
            .steps
            .iter()
            .filter(|step| step.started_at.is_some() && !step.state.is_over())
            .collect();
        for id in running.iter().map(|step| step.id.clone()).collect::<Vec<_>>() {
            self.write_logs(&id);
            self.agenda.once_at(ctx.now + LOG_PUSH_INTERVAL, Task::PushLogs);
        }
    }

    /// The logs of a finished step go to S3, complete.
    pub(super) fn push_last_logs(&mut self, id: &str) {
        self.write_logs(id);
    }
}
