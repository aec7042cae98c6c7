//! What comes and goes: executors, nodes that are told, and nodes that are gone with all that was on them.
//!
//! Separate from `schedule`, which fills what is there. How EMR's Spark takes a lost node:
//! <https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-configure.html>; how executors are decommissioned:
//! <https://spark.apache.org/docs/3.5.6/job-scheduling.html#graceful-decommission-of-executors>

use spark_rules::LEAVE_CHECK_MS;

use crate::course::{Ending, Hit, Victims};
use crate::plan::End;
use crate::queue::{Event, NEVER};
use crate::simulation::{Executor, Fate, Node, Simulation, Standing};

impl Simulation<'_> {
    /// An executor of the plan registers; if its node is gone meanwhile, on what came in the node's place.
    pub(crate) fn planned_comes(&mut self, id: u32) {
        let node = self.nodes[self.executors[id as usize].node as usize];
        if !node.gone {
            self.comes(id);
        } else if let Some((successor, ready_ms)) = node.successor {
            self.executors[id as usize].node = successor;
            self.queue.push(self.now_ms.max(ready_ms), Event::Comes(id));
        }
    }

    /// An executor registers.
    pub(crate) fn comes(&mut self, id: u32) {
        let executor = &mut self.executors[id as usize];
        executor.standing = Standing::Live;
        executor.came_ms = self.now_ms;
        let (first, count) = executor.slots;
        self.free.extend(first..first + count);
        if self.plan.rules.decommission && self.nodes[executor.node as usize].told {
            self.decommission(id);
        }
        self.release_if_idle(id);
        self.dispatch();
    }

    /// Dynamic allocation lets an executor go, or whoever came in its place.
    pub(crate) fn release(&mut self, id: u32) {
        self.executors[id as usize].released = true;
        if let Some(successor) = self.executors[id as usize].successor {
            self.release(successor);
        }
        self.release_if_idle(id);
    }

    /// A released executor goes once it runs nothing, unless others must be done first: it was let go for having nothing
    /// to do, and its output stays where Spark would not have let it go otherwise.
    pub(crate) fn release_if_idle(&mut self, id: u32) {
        let executor = &self.executors[id as usize];
        if executor.released && executor.standing == Standing::Live && executor.running == 0 {
            self.part(id);
        }
    }

    /// An executor is there no more; its time is counted.
    fn part(&mut self, id: u32) {
        let executor = &mut self.executors[id as usize];
        executor.standing = Standing::Gone;
        let lived_ms = u64::from(self.now_ms.saturating_sub(executor.came_ms));
        self.outcome.slot_ms += lived_ms * u64::from(executor.slots.1);
    }

    /// An executor is lost as it was in the log.
    pub(crate) fn lose_as_logged(&mut self, id: u32, with_node: bool) {
        if self.executors[id as usize].standing == Standing::Live {
            self.strand_readers(|executor| executor == id);
            self.lose_executor(id, with_node);
            self.dispatch();
        }
    }

    /// From here on the log has no task of this executor end: those that run stand still until it is taken, and one that
    /// leaves in order has been given no more.
    pub(crate) fn fall_silent(&mut self, id: u32) {
        let leaves = matches!(self.plan.executors[id as usize].ends, Some((_, End::Left)));
        let executor = &mut self.executors[id as usize];
        if leaves {
            executor.decommissioned = true;
            return;
        }
        executor.silent = true;
        let (first, count) = executor.slots;
        for slot in first..first + count {
            if self.slots[slot as usize].number != 0 {
                self.slots[slot as usize].number = NEVER;
            }
        }
    }

    /// An executor leaves as it did in the log: it was told to, and had the time to hand its output over.
    pub(crate) fn leave_as_logged(&mut self, id: u32) {
        if self.executors[id as usize].standing == Standing::Live {
            self.executors[id as usize].decommissioned = true;
            if self.plan.rules.migrate_shuffle {
                self.migrate_output(id);
            }
            self.lose_executor(id, false);
            self.dispatch();
        }
    }

    /// An executor is lost with its tasks, and with its output where the driver forgets that; `with_node` if its node
    /// went.
    fn lose_executor(&mut self, id: u32, with_node: bool) {
        if self.executors[id as usize].standing != Standing::Live {
            return;
        }
        self.part(id);
        let executor = &mut self.executors[id as usize];
        executor.running = 0;
        let (first, count) = executor.slots;
        let decommissioned = executor.decommissioned;
        for slot in first..first + count {
            let task = self.slots[slot as usize];
            if task.number != 0 {
                self.slots[slot as usize].number = 0;
                let ran_ms = u64::from(self.now_ms.saturating_sub(task.started_ms));
                self.task_ms += ran_ms;
                self.outcome.lost_task_ms += ran_ms;
                self.stages[task.stage as usize].requeue(task.partition, task.attempt);
            }
        }
        let rules = &self.plan.rules;
        if rules.forgets_output(decommissioned) || (with_node && rules.cleanup_expired_host) {
            self.forget_output(id);
        } else if with_node {
            self.mark_unreachable(id);
        }
    }

    fn mark_unreachable(&mut self, id: u32) {
        if !std::mem::replace(&mut self.executors[id as usize].unreachable, true) {
            for stage in &mut self.stages {
                stage.unreachable += stage.held_by(id);
            }
        }
    }

    /// The driver forgets what an executor held that is gone.
    pub(crate) fn forget_output(&mut self, id: u32) {
        let executor = &mut self.executors[id as usize];
        let reachable = !executor.unreachable;
        // It is gone, and holds nothing new.
        if std::mem::replace(&mut executor.forgotten, true) {
            return;
        }
        for (stage, plan) in self.stages.iter_mut().zip(&self.plan.stages) {
            if plan.is_map {
                stage.forget(id, reachable);
            }
        }
    }

    /// Tasks elsewhere that are still reading from these executors will fail once they have tried for long enough.
    fn strand_readers(&mut self, goes: impl Fn(u32) -> bool) {
        for slot in 0..self.slots.len() {
            let task = self.slots[slot];
            let is_reading = task.number != 0 && task.fetches_until_ms > self.now_ms && task.fate == Fate::Success;
            if !is_reading || goes(task.executor) || self.executors[task.executor as usize].silent {
                continue;
            }
            let plan = self.plan;
            let found = plan.stages[task.stage as usize].parents.iter().find_map(|parent| {
                let holder = self.stages[*parent].outputs.iter().find(|holder| goes(**holder))?;
                Some((*parent as u32, *holder))
            });
            if let Some((parent, holder)) = found {
                let ends_ms = self.now_ms.saturating_add(self.retry_ms());
                let place = &mut self.slots[slot];
                place.fate = Fate::MissesInput { parent, holder };
                place.number = self.queue.push(ends_ms, Event::TaskEnds(slot as u32));
            }
        }
    }

    /// A hit's nodes are told, and are given no more tasks where the rules say so.
    pub(crate) fn notice(&mut self, number: u32, hits: &[Hit]) {
        for node in self.choose(number, hits) {
            self.nodes[node as usize].told = true;
            if self.plan.rules.decommission {
                for id in self.live_on(node) {
                    self.decommission(id);
                }
            }
        }
    }

    fn decommission(&mut self, id: u32) {
        if !std::mem::replace(&mut self.executors[id as usize].decommissioned, true) {
            let blocks: u32 = self.stages.iter().map(|stage| stage.held_by(id)).sum();
            let leave_after_ms = self.plan.rules.leave_after_ms(blocks as usize) as u32;
            let at_ms = self.now_ms.saturating_add(leave_after_ms);
            self.queue.push(at_ms, Event::Leave(id));
        }
    }

    /// A decommissioned executor hands over its blocks, and leaves once it runs no task.
    pub(crate) fn leave(&mut self, id: u32) {
        if self.executors[id as usize].standing != Standing::Live {
            return;
        }
        if self.plan.rules.migrate_shuffle {
            self.migrate_output(id);
        }
        if self.executors[id as usize].running == 0 {
            self.lose_executor(id, false);
            self.dispatch();
        } else {
            let at_ms = self.now_ms.saturating_add(LEAVE_CHECK_MS as u32);
            self.queue.push(at_ms, Event::Leave(id));
        }
    }

    /// Moves an executor's output to those that stay, in turn; to nobody if none stays.
    fn migrate_output(&mut self, from: u32) {
        let staying: Vec<u32> = (0..self.executors.len() as u32)
            .filter(|id| self.takes_tasks(*id))
            .collect();
        if staying.is_empty() {
            return;
        }
        let mut targets = staying.iter().cycle();
        for stage in &mut self.stages {
            for output in stage.outputs.iter_mut().filter(|output| **output == from) {
                *output = *targets.next().expect("the cycle has no end");
            }
        }
    }

    /// A hit's nodes go.
    pub(crate) fn hit(&mut self, number: u32, hits: &[Hit]) {
        let victims = self.choose(number, hits);
        if self.outcome.stage_hit.is_none() {
            self.outcome.stage_hit = self.active.last().map(|stage| *stage as usize);
        }
        for node in victims {
            if self.nodes[node as usize].gone {
                continue;
            }
            self.outcome.nodes_lost += 1;
            self.lose_node(node);
            if self.plan.driver_node == Some(node) {
                self.outcome.held = true;
                self.lose_driver();
                return;
            }
        }
        self.dispatch();
        let nobody = self
            .executors
            .iter()
            .all(|executor| executor.standing == Standing::Gone);
        if nobody && self.around.replaced_after_ms.is_none() {
            self.end(Ending::NoExecutors);
        }
    }

    fn lose_node(&mut self, node: u32) {
        self.nodes[node as usize].gone = true;
        // Those that have yet to come hold nothing, and come elsewhere.
        let is_here = |executor: &Executor| executor.node == node && executor.standing != Standing::Absent;
        let here: Vec<u32> = (0..self.executors.len() as u32)
            .filter(|id| is_here(&self.executors[*id as usize]))
            .collect();
        self.strand_readers(|executor| here.contains(&executor));
        let mut left: Vec<u32> = Vec::new();
        for id in &here {
            let executor = &self.executors[*id as usize];
            if executor.standing == Standing::Live || executor.decommissioned {
                left.push(*id);
            }
            self.outcome.held |= self.holds_output(*id);
            self.lose_executor(*id, true);
            if self.plan.rules.cleanup_expired_host {
                self.forget_output(*id);
            } else {
                self.mark_unreachable(*id);
            }
        }
        self.outcome.held |= !left.is_empty();
        let ready_ms = self.replace(node, &left);
        self.lost.push((self.now_ms, ready_ms));
    }

    /// Whether there is output of an executor that the driver counts upon.
    fn holds_output(&self, id: u32) -> bool {
        self.stages.iter().any(|stage| stage.outputs.contains(&id))
    }

    /// Another node will come, with executors like those that were lost: when, ms.
    fn replace(&mut self, node: u32, left: &[u32]) -> Option<u32> {
        let after_ms = self.around.replaced_after_ms?;
        let spread = self.around.replaced_spread * (2.0 * self.rng.f64() - 1.0);
        let wait_ms = (f64::from(after_ms) * (1.0 + spread)).max(0.0) as u32;
        let ready_ms = self.now_ms.saturating_add(wait_ms);
        let successor = self.nodes.len() as u32;
        self.nodes.push(Node::default());
        self.nodes[node as usize].successor = Some((successor, ready_ms));
        for id in left {
            let new = self.add_executor(successor, self.executors[*id as usize].slots.1);
            self.executors[new as usize].released = self.executors[*id as usize].released;
            self.executors[*id as usize].successor = Some(new);
            self.queue.push(ready_ms, Event::Replaces(new));
        }
        Some(ready_ms)
    }

    /// Whether a node has been there from the start, and none of its executors has come yet.
    fn awaits_its_first(&self, node: u32) -> bool {
        let here = || self.executors.iter().filter(|executor| executor.node == node);
        self.facts.there_at_start.get(node as usize) == Some(&true)
            && here().all(|executor| executor.standing == Standing::Absent)
    }

    fn live_on(&self, node: u32) -> Vec<u32> {
        let here = |id: &u32| {
            let executor = &self.executors[*id as usize];
            executor.node == node && executor.standing == Standing::Live
        };
        (0..self.executors.len() as u32).filter(here).collect()
    }

    /// A hit's nodes: chosen when they are first asked for.
    fn choose(&mut self, number: u32, hits: &[Hit]) -> Vec<u32> {
        if let Some(chosen) = &self.victims[number as usize] {
            return chosen.clone();
        }
        let mut candidates = self.candidates();
        let chosen: Vec<u32> = match hits[number as usize].victims {
            Victims::All => candidates,
            Victims::Driver => self.plan.driver_node.into_iter().collect(),
            Victims::Zone { ref hosts, .. } => {
                let name = |node: &u32| self.plan.nodes.get(*node as usize);
                candidates.retain(|node| name(node).is_some_and(|name| hosts.contains(name)));
                candidates
            }
            Victims::Random(count) => {
                self.rng.shuffle(&mut candidates);
                candidates.into_iter().take(count as usize).collect()
            }
            Victims::MostOutput(count) => {
                let held = |node: &u32| -> u32 {
                    let here = self.live_on(*node);
                    let held = here
                        .iter()
                        .flat_map(|id| self.stages.iter().map(|stage| stage.held_by(*id)));
                    held.sum()
                };
                candidates.sort_by_cached_key(|node| (u32::MAX - held(node), *node));
                candidates.into_iter().take(count as usize).collect()
            }
        };
        // Where nobody is there yet to be told, whoever is there by then goes.
        if !chosen.is_empty() {
            self.victims[number as usize] = Some(chosen.clone());
        }
        chosen
    }

    /// The nodes that may be hit: they have executors, or the driver, or will have executors when the first ones register.
    fn candidates(&self) -> Vec<u32> {
        let may_go = |node: &u32| {
            let name = self.plan.nodes.get(*node as usize);
            let stays = name.is_some_and(|name| self.around.nodes_that_stay.contains(name));
            let is_driver = self.plan.driver_node == Some(*node);
            !stays && !self.nodes[*node as usize].told && (!is_driver || self.around.driver_may_go)
        };
        let is_there = |node: &u32| {
            self.plan.driver_node == Some(*node) || self.awaits_its_first(*node) || !self.live_on(*node).is_empty()
        };
        (0..self.nodes.len() as u32).filter(may_go).filter(is_there).collect()
    }
}
