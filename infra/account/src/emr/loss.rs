//! What becomes of an instance that EC2 takes away, or that EMR gave back, and what EMR does about it.
//!
//! Separate from `provision.rs`, where instances come from. A lost instance is replaced by raising nothing: the target
//! stands, the pool is below it, and asks again.
//!
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-instance-fleet.html

use serde_json::json;

use crate::api::Ctx;
use crate::ec2::Ec2;

use super::agenda::Task;
use super::cluster::{Cluster, InstanceState, Reason, Scenario};
use super::pool::Role;
use super::provision::seconds;

impl Cluster {
    /// EC2 shuts the instance down: its processes end now, and EMR finds out a little later.
    pub(super) fn going(&mut self, ctx: &mut Ctx, at: usize) {
        let instance = &mut self.instances[at];
        if instance.state == InstanceState::Terminated {
            return;
        }
        instance.doomed = true;
        if instance.in_yarn {
            instance.in_yarn = false;
            let reason = if instance.released {
                "terminated by EMR"
            } else {
                "EC2 terminated the instance"
            };
            self.yarn.remove_node(ctx, &instance.ec2_instance_id, reason);
        }
        let task = Task::NoticeLoss(self.instances[at].id.clone());
        let noticed_at = ctx.now + seconds(ctx, 5, 30);
        self.agenda.once_at(noticed_at, task);
    }

    /// EMR finds an instance gone, and asks for another if the target calls for it.
    pub(super) fn notice_loss(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, id: &str, scenario: &Scenario) {
        let Some(at) = self.instances.iter().position(|instance| instance.id == id) else {
            return;
        };
        let over = self.state.is_over();
        let instance = &mut self.instances[at];
        if instance.state == InstanceState::Terminated {
            return;
        }
        instance.state = InstanceState::Terminated;
        instance.ended_at = Some(ctx.now);
        // The codes are the API's; which of them a resize or a reclaimed instance gets, and every text, is assumed.
        instance.reason = if over {
            Reason::new(
                "CLUSTER_TERMINATED",
                "Instance was terminated because its cluster was terminated",
            )
        } else if instance.released {
            Reason::new("", "Instance was terminated by a resize")
        } else {
            Reason::new(
                "INSTANCE_FAILURE",
                format!("EC2 terminated instance {}", instance.ec2_instance_id),
            )
        };
        let (pool_id, lost) = (
            instance.pool_id.clone(),
            !instance.released && instance.leaving_since.is_none(),
        );
        let (market, weight, role) = (instance.market, instance.weight, instance.role);
        let text = format!("instance {}: {}", instance.ec2_instance_id, instance.reason.message);
        let data = json!({"ec2InstanceId": instance.ec2_instance_id, "state": "TERMINATED", "units": weight});
        ctx.transition("emr", &instance.id, text, data);
        let Some(index) = self.pool_index(&pool_id) else { return };
        if over {
            return;
        }
        // "Amazon EMR provisions a new primary node", while one of three is left.
        //= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-ha.html
        if role == Role::Master && self.present(&pool_id).total() == 0 {
            let reason = Reason::new("INSTANCE_FAILURE", "The primary node was terminated");
            self.terminate(ctx, ec2, reason);
            return;
        }
        if lost && scenario.replacement_paused {
            *self.pools[index].unreplaced.of_mut(market) += weight;
        }
        let asks_at = ctx.now + seconds(ctx, 5, 25);
        self.agenda.once_at(asks_at, Task::Provision(pool_id));
        self.settle(ctx, index);
        self.follow_start(ctx);
    }
}
