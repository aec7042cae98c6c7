//! How a cluster gets its instances: launches, bootstrapping, joining YARN.
//!
//! Separate because it is what a drill is about. The rules:
//!
//! * A fleet asks for any of its instance types until its targets are met, and replaces what EC2 takes away in the same
//!   way. An instance group has one type. Nothing published says that a group replaces Spot Instances that were
//!   reclaimed: assumed that it does.
//! * All instances are in one Availability Zone.
//! * Provisioning and bootstrapping take as long as the run's chance says, within what a small cluster without
//!   bootstrap actions takes.
//!
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-instance-fleet.html
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-instance-fleet-options.html

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::json;

use crate::api::{Ctx, UPPER};
use crate::ec2::{Change, Ec2, Launch, Market};
use crate::instance_type;
use crate::yarn::Node;

use super::agenda::Task;
use super::cluster::{Cluster, Instance, InstanceState, Reason};
use super::pool::{Role, market_name};

/// Both markets, in the order in which a pool asks for them.
pub(super) const MARKETS: [Market; 2] = [Market::OnDemand, Market::Spot];

/// A time of seeded length: whole seconds between these two, and milliseconds, so that not all ends in one moment.
pub(super) fn seconds(ctx: &mut Ctx, least: i64, most: i64) -> TimeDelta {
    TimeDelta::milliseconds(ctx.rng.i64(least * 1_000..=most * 1_000))
}

impl Cluster {
    /// Asks EC2 for what a pool lacks. What EC2 has no capacity for is asked for again later, with no end.
    pub(super) fn provision(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, pool_id: &str) {
        let Some(index) = self.pool_index(pool_id) else { return };
        if self.state.is_over() {
            return;
        }
        for market in MARKETS {
            loop {
                let pool = &mut self.pools[index];
                let lacking = pool.target.of(market).saturating_sub(self.present(pool_id).of(market));
                let pool = &mut self.pools[index];
                let unreplaced = pool.unreplaced.of_mut(market);
                // A lowered target leaves less to replace.
                *unreplaced = lacking.min(*unreplaced);
                let missing = lacking - *unreplaced;
                if missing == 0 {
                    break;
                }
                if !self.launch(ctx, ec2, index, market, missing) {
                    let again = ctx.now + seconds(ctx, 20, 40);
                    self.agenda.once_at(again, Task::Provision(pool_id.to_owned()));
                    break;
                }
            }
        }
        self.settle(ctx, index);
    }

    /// Launches one instance for a pool; false when EC2 has no capacity.
    fn launch(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, index: usize, market: Market, missing: u32) -> bool {
        let pool = &self.pools[index];
        let option = pool
            .choose_type(missing, ctx.rng)
            .expect("a pool has an instance type")
            .clone();
        let launch = Launch {
            instance_type: option.instance_type.clone(),
            market,
            availability_zone: self.availability_zone.clone(),
            tags: self.instance_tags(pool.role),
        };
        let (pool_id, role, label) = (pool.id.clone(), pool.role, pool.label());
        let ec2_instance_id = match ec2.launch(ctx, launch) {
            Ok(id) => id,
            Err(error) => {
                let text = format!("{label}: EC2 has no {} {}", market_name(market), option.instance_type);
                ctx.transition("emr", &pool_id, text, json!({"code": error.code, "missing": missing}));
                return false;
            }
        };
        let launched = ec2.instance(&ec2_instance_id).expect("EC2 has launched it");
        let instance = Instance {
            id: ctx.id("ci-", UPPER, 13),
            ec2_instance_id: ec2_instance_id.clone(),
            private_dns_name: launched.private_dns_name.clone(),
            private_ip: launched.private_ip.clone(),
            pool_id,
            role,
            market,
            instance_type: option.instance_type,
            weight: option.weight,
            state: InstanceState::Provisioning,
            reason: Reason::default(),
            created_at: ctx.now,
            ready_at: None,
            ended_at: None,
            leaving_since: None,
            doomed: false,
            released: false,
            in_yarn: false,
        };
        let text = format!("{label}: requested {} {ec2_instance_id}", instance.instance_type);
        let data = json!({"ec2InstanceId": ec2_instance_id, "market": market_name(market), "units": instance.weight});
        ctx.transition("emr", &instance.id, text, data);
        self.instances.push(instance);
        true
    }

    /// The tags of a new instance: EMR's own two and the cluster's.
    ///
    //= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-tags.html
    fn instance_tags(&self, role: Role) -> BTreeMap<String, String> {
        let mut tags = self.tags.clone();
        tags.insert("aws:elasticmapreduce:job-flow-id".to_owned(), self.id.clone());
        tags.insert(
            "aws:elasticmapreduce:instance-group-role".to_owned(),
            role.as_str().to_owned(),
        );
        tags
    }

    /// Follows EC2: the instance boots, gets notice, goes.
    pub(super) fn instance_changed(&mut self, ctx: &mut Ctx, change: &Change) {
        let (Change::Running(id)
        | Change::InterruptionNotice { instance_id: id, .. }
        | Change::ShuttingDown(id)
        | Change::Terminated(id)) = change;
        let Some(at) = self
            .instances
            .iter()
            .position(|instance| instance.ec2_instance_id == *id)
        else {
            return;
        };
        match change {
            Change::Running(_) => self.booted(ctx, at),
            // EMR gives no new tasks to a node with notice.
            //= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-configure.html
            Change::InterruptionNotice { .. } => {
                self.instances[at].doomed = true;
                if self.instances[at].in_yarn {
                    self.yarn.decommission_node(ctx, id);
                }
            }
            Change::ShuttingDown(_) | Change::Terminated(_) => self.going(ctx, at),
        }
    }

    fn booted(&mut self, ctx: &mut Ctx, at: usize) {
        let first = self.state.is_new();
        let instance = &mut self.instances[at];
        if instance.state != InstanceState::Provisioning {
            return;
        }
        instance.state = InstanceState::Bootstrapping;
        let id = instance.id.clone();
        let pool_id = instance.pool_id.clone();
        // The first nodes install all applications at once and wait for the primary node.
        let takes = if first {
            seconds(ctx, 120, 200)
        } else {
            seconds(ctx, 45, 100) + self.whims.slower_by
        };
        self.agenda.at(ctx.now + takes, Task::Bootstrapped(id));
        if let Some(index) = self.pool_index(&pool_id) {
            self.settle(ctx, index);
        }
        self.follow_start(ctx);
    }

    /// An instance has become a node.
    pub(super) fn bootstrapped(&mut self, ctx: &mut Ctx, id: &str) {
        let Some(at) = self.instances.iter().position(|instance| instance.id == id) else {
            return;
        };
        let instance = &mut self.instances[at];
        if instance.state != InstanceState::Bootstrapping {
            return;
        }
        instance.state = InstanceState::Running;
        instance.ready_at = Some(ctx.now);
        let text = format!(
            "instance {} is a {} node",
            instance.ec2_instance_id,
            instance.role.as_str()
        );
        let data = json!({"ec2InstanceId": instance.ec2_instance_id, "state": "RUNNING"});
        ctx.transition("emr", &instance.id, text, data);
        let pool_id = instance.pool_id.clone();
        if self.state.is_ready() {
            self.join_yarn(ctx, at);
        }
        if let Some(index) = self.pool_index(&pool_id) {
            self.settle(ctx, index);
        }
        self.follow_start(ctx);
    }

    /// Makes an instance a YARN node, unless it is the primary one or on its way out.
    pub(super) fn join_yarn(&mut self, ctx: &mut Ctx, at: usize) {
        let instance = &mut self.instances[at];
        if instance.role == Role::Master || instance.in_yarn || instance.leaving_since.is_some() {
            return;
        }
        let kind = instance_type::lookup(&instance.instance_type).expect("the request was checked");
        instance.in_yarn = true;
        let instance = self.instances[at].clone();
        let instance_id = instance.ec2_instance_id;
        let node = Node {
            host: instance.private_dns_name,
            instance_id: instance_id.clone(),
            vcores: kind.vcores,
            memory_mb: yarn_memory_mb(kind.memory_mb),
            runs_drivers: instance.role == Role::Core || self.drivers_run_on_task_nodes(),
        };
        self.yarn.add_node(ctx, node);
        if instance.doomed {
            self.yarn.decommission_node(ctx, &instance_id);
        }
    }

    /// The time for a fleet's first Spot capacity is over: On-Demand instead, or no cluster.
    ///
    //= https://docs.aws.amazon.com/emr/latest/APIReference/API_SpotProvisioningSpecification.html
    pub(super) fn provisioning_timeout(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, pool_id: &str) {
        let Some(index) = self.pool_index(pool_id) else { return };
        let missing = self.pools[index].target.spot.saturating_sub(self.present(pool_id).spot);
        if !self.state.is_new() || missing == 0 {
            return;
        }
        let action = &self.pools[index].config["LaunchSpecifications"]["SpotSpecification"]["TimeoutAction"];
        if action == "TERMINATE_CLUSTER" {
            let reason = Reason::new(
                "INSTANCE_FLEET_TIMEOUT",
                "Spot capacity could not be provisioned in time",
            );
            self.terminate(ctx, ec2, reason);
            return;
        }
        let mut target = self.pools[index].target;
        target.spot -= missing;
        target.on_demand += missing;
        self.set_target(ctx, index, target, "Spot provisioning timed out");
        self.provision(ctx, ec2, pool_id);
    }

    /// Whether an application master may run on a task node: on EMR 5.19 to 5.x not, later unless node labels are on.
    ///
    //= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-instances-guidelines.html
    fn drivers_run_on_task_nodes(&self) -> bool {
        let release = self.request["ReleaseLabel"].as_str().unwrap_or_default();
        let properties = self.classification("yarn-site");
        match properties.get("yarn.node-labels.enabled").map(String::as_str) {
            Some("true") => false,
            Some(_) => true,
            None => !release.starts_with("emr-5."),
        }
    }
}

/// Memory that YARN may use on a node: a quarter, and at most 8 GiB, is left to the system. This gives the values of
/// AWS's table for the m and r families.
///
//= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-hadoop-task-config.html
pub(super) fn yarn_memory_mb(memory_mb: u64) -> u64 {
    memory_mb - (memory_mb / 4).min(8_192)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yarn_memory_is_what_the_task_configuration_page_lists() {
        let of = |name| yarn_memory_mb(instance_type::lookup(name).unwrap().memory_mb);
        assert_eq!(of("r5.xlarge"), 24_576);
        assert_eq!(of("r4.xlarge"), 23_424);
        assert_eq!(of("r4.4xlarge"), 116_736);
        assert_eq!(of("m5.xlarge"), 12_288);
    }
}
