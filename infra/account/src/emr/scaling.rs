//! Managed scaling: targets that follow YARN's load, and the graceful way out for nodes that are too many.
//!
//! Separate because it is a loop of its own beside replacement, and may work against it: it can lower a target while a
//! lost instance is still missing. The rules:
//!
//! * Metrics are looked at every 5 to 10 seconds.
//! * It grows when containers wait: core before task, On-Demand before Spot, each to its limit.
//! * It shrinks when less is needed for some time (assumed: 45 to 75 seconds, three times that while an application
//!   runs): task nodes only, Spot first, and only nodes on which nothing runs and whose shuffle output nobody needs.
//!   That core nodes are never removed is a simplification.
//!
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-scale-on-demand.html
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/managed-scaling-allocation-strategy.html

use chrono::TimeDelta;
use serde_json::Value;

use crate::api::Ctx;
use crate::ec2::{Ec2, Market};
use crate::instance_type;

use super::agenda::Task;
use super::cluster::{Cluster, InstanceState};
use super::pool::{Pool, Role};
use super::provision::{MARKETS, seconds, yarn_memory_mb};

/// How long a node may take to become idle before it is terminated all the same.
///
//= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-configure.html#spark-decommissioning
const GRACE: TimeDelta = TimeDelta::seconds(3_600);

/// A managed scaling policy's limits, over core and task nodes together.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Limits {
    least: u32,
    most: u32,
    on_demand_most: u32,
    core_most: u32,
    counts_vcores: bool,
}

impl Limits {
    fn read(policy: &Value) -> Option<Self> {
        let limits = policy.get("ComputeLimits")?;
        let number = |name: &str| limits[name].as_u64().and_then(|n| u32::try_from(n).ok());
        let most = number("MaximumCapacityUnits")?;
        Some(Self {
            least: number("MinimumCapacityUnits")?,
            most,
            on_demand_most: number("MaximumOnDemandCapacityUnits").unwrap_or(most),
            core_most: number("MaximumCoreCapacityUnits").unwrap_or(most),
            counts_vcores: limits["UnitType"] == "VCPU",
        })
    }

    /// The policy's units in one unit of a pool's target: one, unless cores are counted.
    fn per_target_unit(self, pool: &Pool) -> u32 {
        let cores = pool
            .types
            .first()
            .and_then(|option| instance_type::lookup(&option.instance_type));
        if self.counts_vcores {
            cores.map_or(1, |kind| kind.vcores)
        } else {
            1
        }
    }
}

impl Cluster {
    /// Has managed scaling look soon, if there is a policy and it is not looking already.
    pub(super) fn wake_scaling(&mut self, ctx: &mut Ctx) {
        if self.managed_scaling.is_some() && self.state.is_ready() {
            let looks_at = ctx.now + seconds(ctx, 5, 10);
            self.agenda.once_at(looks_at, Task::Scale);
        }
    }

    /// One look at the load.
    pub(super) fn scale(&mut self, ctx: &mut Ctx, ec2: &mut Ec2) {
        let Some(limits) = self.managed_scaling.as_ref().and_then(Limits::read) else {
            return;
        };
        if !self.state.is_ready() {
            return;
        }
        let load = self.yarn.load();
        if load.containers_pending > 0 {
            self.idle = None;
            self.grow(ctx, ec2, limits);
        } else {
            self.shrink_when_idle(ctx, ec2, limits);
        }
        let targeted = self.targeted(limits, |_, _| true);
        // An idle cluster at its minimum stays as it is until something is submitted.
        if targeted < limits.least {
            self.grow_to(ctx, ec2, limits, limits.least);
        }
        if load.running_applications > 0 || load.containers_pending > 0 || self.idle.is_some() {
            self.wake_scaling(ctx);
        }
    }

    /// The policy's units that core and task pools are targeted at.
    fn targeted(&self, limits: Limits, counts: impl Fn(&Pool, Market) -> bool) -> u32 {
        let mut units = 0;
        for pool in self.pools.iter().filter(|pool| pool.role != Role::Master) {
            for market in MARKETS.into_iter().filter(|market| counts(pool, *market)) {
                units += pool.target.of(market) * limits.per_target_unit(pool);
            }
        }
        units
    }

    /// The policy's units in nodes that `counts` says yes to.
    fn in_nodes(&self, limits: Limits, counts: impl Fn(&super::cluster::Instance) -> bool) -> u32 {
        let nodes = self
            .instances
            .iter()
            .filter(|i| i.role != Role::Master && i.in_yarn && counts(i));
        nodes
            .map(|i| i.weight * self.pool(&i.pool_id).map_or(1, |pool| limits.per_target_unit(pool)))
            .sum()
    }

    fn grow(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, limits: Limits) {
        let usable = self.in_nodes(limits, |i| i.leaving_since.is_none() && !i.doomed);
        let wanted = usable + self.pending_units(limits);
        self.grow_to(ctx, ec2, limits, wanted);
    }

    /// The policy's units that the waiting containers would fill: by cores or by memory, whichever is more.
    fn pending_units(&self, limits: Limits) -> u32 {
        let load = self.yarn.load();
        let has_task = self.pools.iter().any(|pool| pool.role == Role::Task);
        let role = if has_task { Role::Task } else { Role::Core };
        let mut units = 0_u64;
        for pool in self.pools.iter().filter(|pool| pool.role == role) {
            for option in &pool.types {
                let Some(kind) = instance_type::lookup(&option.instance_type) else {
                    continue;
                };
                let weight = u64::from(option.weight * limits.per_target_unit(pool));
                let by_cores = (u64::from(load.vcores_pending) * weight).div_ceil(u64::from(kind.vcores));
                let by_memory = (load.memory_mb_pending * weight).div_ceil(yarn_memory_mb(kind.memory_mb));
                units = units.max(by_cores).max(by_memory);
            }
        }
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    /// Raises targets so that they sum to `wanted`, within the limits.
    fn grow_to(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, limits: Limits, wanted: u32) {
        let steps = [
            (Role::Core, Market::OnDemand),
            (Role::Core, Market::Spot),
            (Role::Task, Market::OnDemand),
            (Role::Task, Market::Spot),
        ];
        for (role, market) in steps {
            let Some(index) = self.growing_pool(role, market) else {
                continue;
            };
            let mut room = wanted
                .min(limits.most)
                .saturating_sub(self.targeted(limits, |_, _| true));
            if market == Market::OnDemand {
                let now = self.targeted(limits, |_, market| market == Market::OnDemand);
                room = room.min(limits.on_demand_most.saturating_sub(now));
            }
            if role == Role::Core {
                let now = self.targeted(limits, |pool, _| pool.role == Role::Core);
                room = room.min(limits.core_most.saturating_sub(now));
            }
            let added = room / limits.per_target_unit(&self.pools[index]);
            if added > 0 {
                let mut target = self.pools[index].target;
                *target.of_mut(market) += added;
                self.set_target(ctx, index, target, "managed scaling");
                let id = self.pools[index].id.clone();
                self.provision(ctx, ec2, &id);
            }
        }
    }

    /// The pool of this role that grows in this market: a group has one market, and a core fleet grows in Spot only if
    /// it was made with some.
    fn growing_pool(&self, role: Role, market: Market) -> Option<usize> {
        self.pools.iter().position(|pool| {
            let takes = if self.waits_for_all() {
                role == Role::Task || market == Market::OnDemand || pool.targets.iter().any(|(_, t)| t.spot > 0)
            } else {
                pool.group_market() == market
            };
            pool.role == role && takes
        })
    }

    fn shrink_when_idle(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, limits: Limits) {
        let busy = self.in_nodes(limits, |i| {
            i.leaving_since.is_none() && !self.yarn.is_idle(&i.ec2_instance_id)
        });
        let core = self.targeted(limits, |pool, _| pool.role == Role::Core);
        let idle_core = self.in_nodes(limits, |i| {
            i.role == Role::Core && self.yarn.is_idle(&i.ec2_instance_id)
        });
        let needed = (busy + idle_core).max(core).max(limits.least);
        let mut surplus = self.targeted(limits, |_, _| true).saturating_sub(needed);
        if surplus == 0 {
            self.idle = None;
            return;
        }
        let (since, patience) = *self.idle.get_or_insert_with(|| (ctx.now, seconds(ctx, 45, 75)));
        // A running application may ask for more in a moment.
        let patience = if self.yarn.load().running_applications > 0 {
            patience * 3
        } else {
            patience
        };
        if ctx.now - since < patience {
            return;
        }
        self.idle = None;
        for market in [Market::Spot, Market::OnDemand] {
            for index in 0..self.pools.len() {
                if self.pools[index].role != Role::Task {
                    continue;
                }
                let unit = limits.per_target_unit(&self.pools[index]);
                let mut target = self.pools[index].target;
                let removed = (surplus / unit).min(target.of(market));
                *target.of_mut(market) -= removed;
                surplus -= removed * unit;
                self.set_target(ctx, index, target, "managed scaling");
                self.shrink(ctx, ec2, index, &[]);
            }
        }
    }

    /// Has instances leave until a pool is no more above its target than it must be: the named ones, then those that
    /// are no nodes yet, then idle ones, newest first. Never so many that the target is missed.
    pub(super) fn shrink(&mut self, ctx: &mut Ctx, ec2: &mut Ec2, index: usize, named: &[String]) {
        let pool_id = self.pools[index].id.clone();
        for market in MARKETS {
            let mut order: Vec<_> = (0..self.instances.len())
                .filter(|at| {
                    let i = &self.instances[*at];
                    let here = i.pool_id == pool_id && i.market == market;
                    here && i.state != InstanceState::Terminated && i.leaving_since.is_none()
                })
                .collect();
            order.sort_by_key(|at| {
                let i = &self.instances[*at];
                let busy = i.in_yarn && !self.yarn.is_idle(&i.ec2_instance_id);
                (
                    !named.contains(&i.ec2_instance_id),
                    i.in_yarn,
                    busy,
                    std::cmp::Reverse(*at),
                )
            });
            for at in order {
                let excess = self
                    .present(&pool_id)
                    .of(market)
                    .saturating_sub(self.pools[index].target.of(market));
                if self.instances[at].weight <= excess {
                    self.leave(ctx, at);
                }
            }
        }
        self.settle(ctx, index);
        self.drain(ctx, ec2);
    }

    fn leave(&mut self, ctx: &mut Ctx, at: usize) {
        let instance = &mut self.instances[at];
        instance.leaving_since = Some(ctx.now);
        let text = format!("instance {} is being decommissioned", instance.ec2_instance_id);
        ctx.transition(
            "emr",
            &instance.id,
            text,
            serde_json::json!({"ec2InstanceId": instance.ec2_instance_id}),
        );
        if instance.in_yarn {
            self.yarn.decommission_node(ctx, &instance.ec2_instance_id);
        }
    }

    /// Terminates the leaving instances on which nothing runs any more.
    pub(super) fn drain(&mut self, ctx: &mut Ctx, ec2: &mut Ec2) {
        let mut left = false;
        for instance in &mut self.instances {
            let Some(since) = instance.leaving_since else { continue };
            if instance.released || instance.state == InstanceState::Terminated {
                continue;
            }
            if !instance.in_yarn || self.yarn.is_idle(&instance.ec2_instance_id) || ctx.now - since >= GRACE {
                instance.released = true;
                ec2.terminate(ctx, &instance.ec2_instance_id);
            } else {
                left = true;
            }
        }
        if left {
            self.agenda.once_at(ctx.now + TimeDelta::seconds(5), Task::Drain);
        }
    }
}
