//! Executors as they come and go.
//!
//! Separate because their rules are their own: re-registration, removals that repeat, the driver that is not one.
//!
//! Rules: `onExecutorAdded`, `onExecutorRemoved` and `onBlockManagerAdded` in
//! <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/status/AppStatusListener.scala>

use std::collections::BTreeMap;

use super::event::{BlockManagerAdded, ExecutorAdded, ExecutorRemoved};
use super::replay::words;
use super::task_line::TaskEvent;
use super::{Executor, Removal};

/// All executors of an application.
#[derive(Debug, Default)]
pub(super) struct Executors {
    list: Vec<Executor>,
    index: BTreeMap<String, usize>,
    /// Comings and goings: when, and by how much the number of executors changed.
    steps: Vec<(i64, i32)>,
    /// Whether any executor has been lost so far, or the log names one that it does not know.
    pub(super) any_lost: bool,
}

/// Block managers that are no executors: the driver's own, and the place decommissioned executors leave their blocks
/// (`FallbackStorage.FALLBACK_BLOCK_MANAGER_ID`).
fn is_executor(id: &str) -> bool {
    !matches!(id, "driver" | "<driver>" | "fallback")
}

impl Executors {
    /// An executor registered.
    pub(super) fn add(&mut self, event: ExecutorAdded) {
        if let Some(executor) = self.living(event.executor_id, event.timestamp) {
            executor.host = event.info.host;
            executor.cores = event.info.cores;
        }
    }

    /// A block manager registered: its executor lives, even if its own event is missing.
    pub(super) fn add_block_manager(&mut self, event: BlockManagerAdded) {
        if let Some(executor) = self.living(event.id.executor_id, event.timestamp.unwrap_or_default()) {
            executor.host = event.id.host;
        }
    }

    /// An executor was removed. One that is removed already stays as it is. One that is unknown was added before the log
    /// begins; or, if that `is_from_start`, it never registered, and nothing was lost with it.
    pub(super) fn remove(&mut self, event: ExecutorRemoved, is_from_start: bool) {
        let never_came = is_from_start && !self.index.contains_key(&event.executor_id);
        let any_lost = self.any_lost;
        let Some(executor) = self
            .known(&event.executor_id, "")
            .filter(|one| one.removed_at_ms.is_none())
        else {
            return;
        };
        let reason = words(event.reason.unwrap_or_default());
        executor.removed_at_ms = Some(event.timestamp);
        executor.removal = Some(Removal::parse(&reason));
        executor.removed_reason = Some(reason);
        if executor.added_at_ms.is_some() {
            self.steps.push((event.timestamp, -1));
        }
        self.any_lost = any_lost || !never_came;
    }

    /// The executor of a task, unless the task ran in the driver.
    pub(super) fn of_task(&mut self, task: &TaskEvent<'_>) -> Option<&mut Executor> {
        self.known(task.executor_id, task.host)
    }

    /// The executor by that id. One that is unknown is listed from now on, as added at an unknown time: the log is not
    /// whole, or was compacted and has forgotten its dead.
    fn known(&mut self, id: &str, host: &str) -> Option<&mut Executor> {
        let at = match self.index.get(id) {
            Some(at) => *at,
            None if is_executor(id) => {
                self.any_lost = true;
                self.list.push(Executor {
                    id: id.to_owned(),
                    host: host.to_owned(),
                    ..Executor::default()
                });
                self.index.insert(id.to_owned(), self.list.len() - 1);
                self.list.len() - 1
            }
            None => return None,
        };
        self.list.get_mut(at)
    }

    /// The host of the executor by that id.
    pub(super) fn host(&self, id: &str) -> Option<&str> {
        let executor = self.index.get(id).and_then(|at| self.list.get(*at))?;
        Some(executor.host.as_str()).filter(|host| !host.is_empty())
    }

    /// The executor by that id if it lives, else a new one.
    fn living(&mut self, id: String, added_at_ms: i64) -> Option<&mut Executor> {
        if !is_executor(&id) {
            return None;
        }
        let at = match self.index.get(&id) {
            Some(at) if self.list[*at].removed_at_ms.is_none() => {
                // One that only its tasks had told of.
                if self.list[*at].added_at_ms.is_none() {
                    self.list[*at].added_at_ms = Some(added_at_ms);
                    self.steps.push((added_at_ms, 1));
                }
                *at
            }
            found => {
                let new = Executor {
                    id: id.clone(),
                    added_at_ms: Some(added_at_ms),
                    ..Executor::default()
                };
                self.steps.push((added_at_ms, 1));
                if let Some(at) = found.copied() {
                    // Its cores stay known if only its block manager came back.
                    let cores = self.list[at].cores;
                    self.list[at] = Executor { cores, ..new };
                    at
                } else {
                    self.list.push(new);
                    self.index.insert(id, self.list.len() - 1);
                    self.list.len() - 1
                }
            }
        };
        self.list.get_mut(at)
    }

    /// The executors, and how many were alive when.
    pub(super) fn finish(self) -> (Vec<Executor>, Vec<(i64, u32)>) {
        let mut steps = self.steps;
        steps.sort_by_key(|(at_ms, _)| *at_ms);
        let mut over_time: Vec<(i64, u32)> = Vec::new();
        let mut alive: i64 = 0;
        for (at_ms, change) in steps {
            alive += i64::from(change);
            let count = u32::try_from(alive.max(0)).unwrap_or(u32::MAX);
            match over_time.last_mut() {
                Some(last) if last.0 == at_ms => last.1 = count,
                _ => over_time.push((at_ms, count)),
            }
        }
        (self.list, over_time)
    }
}
