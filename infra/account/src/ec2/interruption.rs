//! How Spot Instances are interrupted: recommendation, notice, and the appointment that EC2 keeps with FIS.
//!
//! Separate because it is the part of EC2 that every drill is about, with rules and events of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::api::Ctx;
use crate::ec2::{Cause, Change, Ec2, Interruption, Market, NOTICE, State, Step};

impl Ec2 {
    //= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
    /// Gives an instance notice of its interruption now, and shuts it down once `notice` has passed. Without effect
    /// unless it is a running Spot Instance without a notice.
    pub fn interrupt(&mut self, ctx: &mut Ctx, instance_id: &str, notice: TimeDelta, cause: Cause) {
        let position = self.position(instance_id);
        let instance = &self.instances[position];
        if instance.market != Market::Spot || instance.state != State::Running || instance.interruption.is_some() {
            return;
        }
        self.announced.remove(&position);
        // The recommendation comes before the notice or along with it, never after it.
        self.recommend_rebalance(ctx, position);
        let terminates_at = ctx.now + notice;
        let instance = &mut self.instances[position];
        instance.interruption = Some(Interruption {
            noticed_at: ctx.now,
            terminates_at,
            cause: cause.clone(),
        });
        let (arn, spot_request_id) = (instance.zonal_arn(), instance.spot_request_id.clone());
        if let Some(request) = spot_request_id.and_then(|id| self.requests.get_mut(&id)) {
            request.mark(&cause, ctx.now);
        }
        ctx.emit(
            "aws.ec2",
            "EC2 Spot Instance Interruption Warning",
            vec![arn],
            json!({"instance-id": instance_id, "instance-action": "terminate"}),
        );
        let data = json!({"terminatesAt": terminates_at, "cause": cause.to_string()});
        ctx.transition("ec2", instance_id, format!("interruption notice: {cause}"), data);
        self.changes.push(Change::InterruptionNotice {
            instance_id: instance_id.to_owned(),
            terminates_at,
        });
        self.plan(position, terminates_at, Step::ShutDown);
    }

    //= https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html#send-spot-instance-interruptions
    /// What FIS asks for: a rebalance recommendation now, the interruption after `duration_before_interruption`, the
    /// notice two minutes before that. EC2 keeps the appointment, whatever becomes of the experiment meanwhile. False,
    /// and no effect, unless it is a running Spot Instance that is not yet to be interrupted.
    pub fn send_spot_interruption(
        &mut self,
        ctx: &mut Ctx,
        instance_id: &str,
        duration_before_interruption: TimeDelta,
        cause: Cause,
    ) -> bool {
        let position = self.position(instance_id);
        if !self.can_be_interrupted(instance_id) {
            return false;
        }
        self.recommend_rebalance(ctx, position);
        let noticed_at = ctx.now + (duration_before_interruption - NOTICE).max(TimeDelta::zero());
        if noticed_at <= ctx.now {
            self.interrupt(ctx, instance_id, duration_before_interruption, cause);
        } else {
            self.announced
                .insert(position, (ctx.now + duration_before_interruption, cause));
            self.plan(position, noticed_at, Step::Notice);
        }
        true
    }

    /// Whether it is a running Spot Instance that is not yet to be interrupted.
    pub fn can_be_interrupted(&self, instance_id: &str) -> bool {
        self.index.get(instance_id).is_some_and(|position| {
            let instance = &self.instances[*position];
            instance.market == Market::Spot
                && instance.state == State::Running
                && instance.interruption.is_none()
                && !self.announced.contains_key(position)
        })
    }

    pub(super) fn give_announced_notice(&mut self, ctx: &mut Ctx, position: usize) {
        let (terminates_at, cause) = self
            .announced
            .remove(&position)
            .expect("a planned notice was announced");
        let id = self.instances[position].instance_id.clone();
        self.interrupt(ctx, &id, terminates_at - ctx.now, cause);
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html
    fn recommend_rebalance(&mut self, ctx: &mut Ctx, position: usize) {
        let instance = &mut self.instances[position];
        if instance.rebalance_recommended_at.is_some() {
            return;
        }
        instance.rebalance_recommended_at = Some(ctx.now);
        let detail = json!({"instance-id": instance.instance_id});
        ctx.emit(
            "aws.ec2",
            "EC2 Instance Rebalance Recommendation",
            vec![instance.zonal_arn()],
            detail,
        );
        ctx.transition("ec2", &instance.instance_id, "rebalance recommendation", Value::Null);
    }
}
