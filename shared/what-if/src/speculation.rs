//! Speculation: copies of tasks that take much longer than the others of their stage.
//!
//! Separate because most jobs go without it. A copy takes as long as another task of the stage does; where a partition's own
//! data makes it long, the copy is as long as the task.

use crate::queue::Event;
use crate::simulation::Simulation;

impl Simulation<'_> {
    /// A task of a stage has ended: sees when the others will have taken too long.
    pub(crate) fn watch(&mut self, id: u32) {
        let Some(slow_after_ms) = self.slow_after_ms(id) else {
            return;
        };
        if self.stages[id as usize].watched {
            return;
        }
        let started = self.running(id).map(|slot| self.slots[slot as usize].started_ms);
        if let Some(first_ms) = started.min() {
            self.stages[id as usize].watched = true;
            let at_ms = first_ms.saturating_add(slow_after_ms).max(self.now_ms);
            self.queue.push(at_ms, Event::Speculate(id));
        }
    }

    /// Looks which tasks of a stage have taken too long, and has them copied.
    pub(crate) fn speculate(&mut self, id: u32) {
        self.stages[id as usize].watched = false;
        let Some(slow_after_ms) = self.slow_after_ms(id) else {
            return;
        };
        let is_slow = |slot: &u32| self.now_ms - self.slots[*slot as usize].started_ms >= slow_after_ms;
        let slow: Vec<u32> = self.running(id).filter(is_slow).collect();
        for slot in slow {
            let partition = self.slots[slot as usize].partition;
            self.stages[id as usize].copied.push(partition);
            self.stages[id as usize].copies.push(partition);
        }
        self.watch(id);
        self.dispatch();
    }

    fn slow_after_ms(&self, id: u32) -> Option<u32> {
        let (tasks, ended) = self.stages[id as usize].progress()?;
        let median_ms = f64::from(self.facts.chances[id as usize].median_ms) * self.pace;
        self.plan.rules.slow_after_ms(tasks, ended, median_ms as u32)
    }

    /// Slots with a task of the stage's running attempt that has no copy yet.
    fn running(&self, id: u32) -> impl Iterator<Item = u32> {
        let stage = &self.stages[id as usize];
        let is_of_it = move |slot: &u32| {
            let task = &self.slots[*slot as usize];
            let is_there = task.number != 0 && task.stage == id && task.attempt + 1 == stage.attempts;
            is_there && !stage.copied.contains(&task.partition)
        };
        (0..self.slots.len() as u32).filter(is_of_it)
    }

    /// Gives a free core a copy of a task that runs on another node. Returns whether there was one.
    pub(crate) fn launch_copy(&mut self, slot: u32) -> bool {
        let node_of = |slot: u32| self.executors[self.slots[slot as usize].executor as usize].node;
        for id in self.active.clone() {
            for at in (0..self.stages[id as usize].copies.len()).rev() {
                let partition = self.stages[id as usize].copies[at];
                let runs = (0..self.slots.len() as u32).find(|other| {
                    let task = &self.slots[*other as usize];
                    task.number != 0 && task.stage == id && task.partition == partition
                });
                match runs {
                    Some(other) if node_of(other) == node_of(slot) => {}
                    Some(_) => {
                        self.stages[id as usize].copies.swap_remove(at);
                        self.launch(slot, id, partition, true);
                        return true;
                    }
                    None => drop(self.stages[id as usize].copies.swap_remove(at)),
                }
            }
        }
        false
    }

    /// A partition is computed: its other task, if it has one, is killed, and its core free.
    pub(crate) fn kill_other(&mut self, id: u32, partition: u32) {
        if !self.stages[id as usize].copied.contains(&partition) {
            return;
        }
        for slot in 0..self.slots.len() as u32 {
            let task = self.slots[slot as usize];
            if task.number != 0 && task.stage == id && task.partition == partition {
                let place = &mut self.slots[slot as usize];
                (place.number, place.freed_ms) = (0, self.now_ms);
                self.executors[task.executor as usize].running -= 1;
                let ran_ms = u64::from(self.now_ms - task.started_ms);
                self.task_ms += ran_ms;
                self.outcome.lost_task_ms += ran_ms;
                if self.takes_tasks(task.executor) {
                    self.fill(slot);
                } else {
                    self.release_if_idle(task.executor);
                }
            }
        }
    }
}
