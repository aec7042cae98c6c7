//! How an experiment moves from state to state.
//!
//! Separate because it is the one place where FIS acts: it resolves targets, and asks EC2 for interruptions.

use chrono::TimeDelta;
use serde_json::json;

use crate::api::{Ctx, Time};
use crate::ec2::{Cause, Ec2, Instance, Market, State};
use crate::fis::action::Kind;
use crate::fis::experiment::{ActionStatus, Experiment, Failure, Status};
use crate::fis::{Halt, target};
use crate::iam::{self, Decision, Request};

//= https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html
/// The Spot Instances that one action may interrupt. That more of them fail the experiment is what the page on error
/// codes says; workshops say that FIS takes five of them.
const SPOT_INSTANCES_MAX: usize = 5;

impl Experiment {
    /// Does what is due.
    pub(super) fn advance(&mut self, ctx: &mut Ctx, ec2: &mut Ec2) {
        while self.next_at.is_some_and(|at| at <= ctx.now) {
            self.next_at = None;
            match self.state.status {
                Status::Initiating => self.begin(ctx, ec2),
                Status::Running => self.work(ctx, ec2),
                Status::Stopping => {
                    let reason = self.state.reason.clone();
                    self.end_actions(ctx.now, ActionStatus::Stopped);
                    self.enter(ctx, Status::Stopped, &reason);
                }
                Status::Pending | Status::Completed | Status::Stopped | Status::Failed | Status::Cancelled => {}
            }
        }
    }

    /// Leaves the state pending, which StartExperiment's answer does not show any more: it has a start time, in AWS's
    /// example a third of a second after the creation.
    //= https://docs.aws.amazon.com/cli/latest/reference/fis/start-experiment.html#examples
    pub(super) fn initiate(&mut self, ctx: &mut Ctx) {
        self.started_at = Some(ctx.now + TimeDelta::milliseconds(349));
        self.enter(ctx, Status::Initiating, "Experiment is initiating.");
        self.next_at = Some(ctx.now + TimeDelta::seconds(ctx.rng.i64(3..=6)));
    }

    /// Halts it from outside. What runs is stopped; what has not begun is cancelled by the safety lever. For an alarm
    /// that is there before the experiment has begun AWS does not say: assumed is that it ends as stopped.
    pub(super) fn halt(&mut self, ctx: &mut Ctx, halt: Halt) {
        let reason = match halt {
            Halt::SafetyLever => "Experiment halted by the safety lever.",
            Halt::StopCondition => "Experiment halted by stop condition.",
        };
        match (self.state.status, halt) {
            (Status::Running, _) => self.stop(ctx, reason),
            (_, Halt::SafetyLever) => self.end(ctx, Status::Cancelled, reason),
            (_, Halt::StopCondition) => self.end(ctx, Status::Stopped, reason),
        }
    }

    //= https://docs.aws.amazon.com/fis/latest/APIReference/API_StopExperiment.html
    /// Begins to stop it. Interruptions that EC2 has accepted are not taken back.
    pub(super) fn stop(&mut self, ctx: &mut Ctx, reason: &str) {
        for run in self.actions.values_mut() {
            match run.status {
                ActionStatus::Running => {
                    (run.status, run.reason) = (ActionStatus::Stopping, "Action is stopping.".to_owned());
                }
                ActionStatus::Pending => {
                    (run.status, run.reason) = (ActionStatus::Cancelled, "Action was cancelled.".to_owned());
                }
                _ => {}
            }
        }
        self.enter(ctx, Status::Stopping, reason);
        self.next_at = Some(ctx.now + TimeDelta::seconds(ctx.rng.i64(1..=4)));
    }

    //= https://docs.aws.amazon.com/fis/latest/userguide/targets.html
    /// Resolves the targets, once for the whole experiment, before any action.
    fn begin(&mut self, ctx: &mut Ctx, ec2: &Ec2) {
        let resolved = match self.destined.take() {
            Some(failure) => Err(failure),
            None => self.resolve(ctx, ec2),
        };
        if let Err(failure) = resolved {
            return self.fail(ctx, failure);
        }
        self.enter(ctx, Status::Running, "Experiment is running.");
        self.next_at = Some(ctx.now);
    }

    fn resolve(&mut self, ctx: &mut Ctx, ec2: &Ec2) -> Result<(), Failure> {
        for (name, target) in &self.definition.targets {
            let ids = target::resolve(ctx, ec2, name, target)?;
            if ids.is_empty() && !self.definition.skips_empty_targets() {
                return Err(target::unresolved(
                    name,
                    "Target resolution returned empty set.".to_owned(),
                ));
            }
            self.resolved.insert(name.clone(), ids);
        }
        if let Some(first) = self.resolved.values_mut().next() {
            first.extend(self.stray.take());
        }
        for (name, action) in &self.definition.actions {
            let count = action
                .targets
                .values()
                .filter_map(|it| self.resolved.get(it))
                .map(Vec::len)
                .sum::<usize>();
            if count > SPOT_INSTANCES_MAX {
                let reason = format!("The action has {count} targets, more than the quota of {SPOT_INSTANCES_MAX}.");
                return Err(Failure::new(
                    "QuotaExceededFailure",
                    &reason,
                    &format!("actions.{name}"),
                ));
            }
        }
        ctx.transition("fis", &self.id, "targets resolved", json!(self.resolved));
        Ok(())
    }

    //= https://docs.aws.amazon.com/fis/latest/userguide/action-sequence.html
    /// Ends the actions that are done, begins those whose turn it is, and ends the experiment when none is left.
    fn work(&mut self, ctx: &mut Ctx, ec2: &mut Ec2) {
        for run in self.actions.values_mut() {
            if run.status == ActionStatus::Running && run.done_at.is_some_and(|at| at <= ctx.now) {
                (run.status, run.reason) = (ActionStatus::Completed, "Action was completed.".to_owned());
                run.ended_at = Some(ctx.now);
            }
        }
        while let Some(name) = self.next_action() {
            if let Err(failure) = self.begin_action(ctx, ec2, &name) {
                return self.fail(ctx, failure);
            }
        }
        self.next_at = self
            .actions
            .values()
            .filter(|it| it.status == ActionStatus::Running)
            .filter_map(|it| it.done_at)
            .min();
        if self.next_at.is_none() {
            self.enter(ctx, Status::Completed, "Experiment completed.");
        }
    }

    /// A pending action for which nothing is left to wait for.
    fn next_action(&self) -> Option<String> {
        let done = |name: &String| {
            matches!(
                self.actions[name].status,
                ActionStatus::Completed | ActionStatus::Skipped
            )
        };
        let ready = |name: &&String| {
            self.actions[*name].status == ActionStatus::Pending
                && self.definition.actions[*name].start_after.iter().all(done)
        };
        self.actions.keys().find(ready).cloned()
    }

    //= https://docs.aws.amazon.com/fis/latest/userguide/experiment-options.html
    /// Does one action, or skips it: in a preview, and when its target resolved to nobody.
    fn begin_action(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, name: &str) -> Result<(), Failure> {
        let action = self.definition.actions[name].clone();
        let kind = Kind::of(&action.action_id).expect("checked when the template was created");
        let duration = kind
            .duration_of(&action.parameters)
            .expect("checked when the template was created");
        let ids: Vec<String> = action
            .targets
            .values()
            .flat_map(|it| self.resolved[it].clone())
            .collect();
        if self.skips_actions || (kind.target_key().is_some() && ids.is_empty()) {
            let run = self.actions.get_mut(name).expect("every action has a run");
            (run.status, run.reason) = (ActionStatus::Skipped, "Action was skipped.".to_owned());
            return Ok(());
        }
        let done_at = match kind {
            Kind::Wait => ctx.now + duration,
            Kind::InterruptSpotInstances => {
                if let Err(failure) = self.interrupt(ctx, ec2, name, &ids, duration) {
                    let run = self.actions.get_mut(name).expect("every action has a run");
                    (run.status, run.reason) = (ActionStatus::Failed, failure.reason.clone());
                    (run.started_at, run.ended_at) = (Some(ctx.now), Some(ctx.now));
                    return Err(failure);
                }
                // What the action waits for is not documented. Seen in workshops: with PT2M the experiment is over
                // about half a minute after its start, while the instances still run. Assumed is that FIS waits
                // for EC2 to accept, however long the duration is.
                ctx.now + TimeDelta::seconds(ctx.rng.i64(20..=26))
            }
        };
        let run = self.actions.get_mut(name).expect("every action has a run");
        (run.status, run.reason) = (ActionStatus::Running, "Action is running.".to_owned());
        (run.started_at, run.done_at) = (Some(ctx.now), Some(done_at));
        Ok(())
    }

    //= https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html#send-spot-instance-interruptions
    /// Asks EC2 to interrupt all of the instances, or none when one of them is not running: that the call is all or
    /// nothing is assumed, as it is for EC2's other calls on several instances. An instance that has notice already is
    /// no error, and keeps its earlier interruption.
    fn interrupt(
        &mut self,
        ctx: &mut Ctx,
        ec2: &mut Ec2,
        name: &str,
        ids: &[String],
        duration: TimeDelta,
    ) -> Result<(), Failure> {
        let runs = |id: &&String| {
            ec2.instance(id)
                .is_some_and(|it| it.market == Market::Spot && it.state == State::Running)
        };
        if let Some(id) = ids.iter().find(|id| !runs(id)) {
            let reason = format!("{id} is not a running Spot Instance.");
            return Err(Failure::new("InvalidTarget", &reason, &format!("actions.{name}")));
        }
        for id in ids {
            self.check_role(ec2.instance(id).expect("checked above"), name, ctx.now)?;
        }
        for id in ids {
            if ec2.send_spot_interruption(ctx, id, duration, Cause::Experiment(self.id.clone())) {
                self.interrupted.push(id.clone());
            }
        }
        Ok(())
    }

    //= https://docs.aws.amazon.com/fis/latest/userguide/troubleshooting.html
    //= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-resourcetag
    /// An action that the experiment's role does not allow on one of its targets fails the experiment.
    fn check_role(&self, instance: &Instance, action: &str, now: Time) -> Result<(), Failure> {
        let Some(statements) = &self.allowed else {
            return Ok(());
        };
        let context = instance
            .visible_tags(now)
            .map(|(key, value)| (format!("aws:ResourceTag/{key}"), vec![value.clone()]))
            .collect();
        let request = Request {
            action: "ec2:SendSpotInstanceInterruptions",
            resource: &target::instance_arn(&instance.instance_id),
            context,
        };
        let reason = match iam::decide(statements, &request) {
            Ok(Decision::Allowed) => return Ok(()),
            Ok(Decision::NotAllowed | Decision::Denied) => format!(
                "{} is not authorized to perform: {} on resource: {}",
                self.definition.role_arn, request.action, request.resource
            ),
            Err(unknown) => panic!("the experiment role's policy has what is not simulated: {unknown}"),
        };
        Err(Failure::new(
            "AuthorizationFailure",
            &reason,
            &format!("actions.{action}"),
        ))
    }

    fn fail(&mut self, ctx: &mut Ctx, failure: Failure) {
        let reason = failure.reason.clone();
        self.state.failure = Some(failure);
        self.end(ctx, Status::Failed, &reason);
    }

    /// Ends it at once.
    fn end(&mut self, ctx: &mut Ctx, status: Status, reason: &str) {
        self.end_actions(ctx.now, ActionStatus::Stopped);
        self.enter(ctx, status, reason);
        self.next_at = None;
    }

    /// What was begun gets the given state, what was not is cancelled.
    fn end_actions(&mut self, now: Time, begun: ActionStatus) {
        for run in self.actions.values_mut() {
            match run.status {
                ActionStatus::Running | ActionStatus::Stopping => {
                    (run.status, run.reason) = (begun, "Action was stopped.".to_owned());
                    run.ended_at = Some(now);
                }
                ActionStatus::Pending => {
                    (run.status, run.reason) = (ActionStatus::Cancelled, "Action was cancelled.".to_owned());
                }
                _ => {}
            }
        }
    }

    //= https://docs.aws.amazon.com/fis/latest/userguide/monitoring-eventbridge.html
    fn enter(&mut self, ctx: &mut Ctx, status: Status, reason: &str) {
        let shown = |status: Status, reason: &str| json!({"status": status.name(), "reason": reason});
        let old = shown(self.state.status, &self.state.reason);
        self.state.status = status;
        self.state.reason = reason.to_owned();
        if !status.is_active() {
            self.ended_at = Some(ctx.now);
        }
        let detail = json!({
            "experiment-id": self.id, "experiment-template-id": self.template_id,
            "new-state": shown(status, reason), "old-state": old,
        });
        ctx.emit("aws.fis", "FIS Experiment State Change", vec![self.arn()], detail);
        ctx.transition(
            "fis",
            &self.id,
            format!("experiment {}: {reason}", status.name()),
            json!({"status": status.name()}),
        );
    }
}
