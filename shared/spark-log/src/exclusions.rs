//! Executors and nodes that Spark gave no more tasks to, because too many had failed there.
//!
//! Separate because each event comes under two names: Spark 3.1 and later write the old one (`Blacklisted`) beside the
//! new one (`Excluded`), and earlier ones the old one alone.
//!
//! Events: `SparkListenerExecutorExcluded` to `SparkListenerNodeUnexcluded` in
//! <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/scheduler/SparkListener.scala>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An executor or a node that was excluded, for a stage attempt or for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// The executor; `None` if it is a node.
    pub executor_id: Option<String>,
    /// The node's host, or the executor's if the log tells it.
    pub host: Option<String>,
    /// The stage attempt it was excluded for: id and attempt. `None`: for the whole application.
    pub stage: Option<(i64, i64)>,
    /// Tasks that had failed on the executor, or executors that had been excluded on the node.
    pub failures: Option<i64>,
    /// When, epoch milliseconds; `None` if the log tells only of its end.
    pub excluded_at_ms: Option<i64>,
    /// When it was taken back (`spark.excludeOnFailure.timeout`); `None` while it lasts. An exclusion for a stage attempt
    /// ends with that attempt, and no event tells of it.
    pub unexcluded_at_ms: Option<i64>,
}

/// Any of the events.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExclusionEvent {
    time: i64,
    executor_id: Option<String>,
    host_id: Option<String>,
    task_failures: Option<i64>,
    executor_failures: Option<i64>,
    stage_id: Option<i64>,
    stage_attempt_id: Option<i64>,
}

/// Whether an event's name is of this kind, and if so, whether it takes an exclusion back.
pub(super) fn takes_back(event: &str) -> Option<bool> {
    let name = event.strip_prefix("org.apache.spark.scheduler.").unwrap_or(event);
    let name = name.strip_prefix("SparkListener")?;
    let what = name.strip_prefix("Executor").or_else(|| name.strip_prefix("Node"))?;
    match what {
        "Excluded" | "ExcludedForStage" | "Blacklisted" | "BlacklistedForStage" => Some(false),
        "Unexcluded" | "Unblacklisted" => Some(true),
        _ => None,
    }
}

/// An executor (true) or a node, by its id, for a stage attempt or for all.
type Subject = (bool, String, Option<(i64, i64)>);

/// All exclusions of an application.
#[derive(Debug, Default)]
pub(super) struct Exclusions {
    list: Vec<Exclusion>,
    last: BTreeMap<Subject, usize>,
}

impl Exclusions {
    /// Applies an event.
    pub(super) fn apply(&mut self, event: ExclusionEvent, takes_back: bool) {
        let is_executor = event.executor_id.is_some();
        let Some(id) = event.executor_id.or(event.host_id) else {
            return;
        };
        let stage = event.stage_id.map(|id| (id, event.stage_attempt_id.unwrap_or(0)));
        let subject = (is_executor, id, stage);
        let last = self.last.get(&subject).and_then(|at| self.list.get_mut(*at));
        if let Some(last) = last {
            if takes_back {
                last.unexcluded_at_ms.get_or_insert(event.time);
                return;
            }
            // The same event under its other name.
            if last.unexcluded_at_ms.is_none() || last.excluded_at_ms == Some(event.time) {
                return;
            }
        }
        let time = Some(event.time);
        self.list.push(Exclusion {
            executor_id: is_executor.then(|| subject.1.clone()),
            host: (!is_executor).then(|| subject.1.clone()),
            stage,
            failures: event.task_failures.or(event.executor_failures),
            excluded_at_ms: time.filter(|_| !takes_back),
            unexcluded_at_ms: time.filter(|_| takes_back),
        });
        self.last.insert(subject, self.list.len() - 1);
    }

    /// The exclusions in the log's order; `host_of` an executor.
    pub(super) fn finish(mut self, host_of: impl Fn(&str) -> Option<String>) -> Vec<Exclusion> {
        for exclusion in &mut self.list {
            if let Some(id) = &exclusion.executor_id {
                exclusion.host = host_of(id);
            }
        }
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_each_event_are_known_and_no_others() {
        for (name, expected) in [
            ("org.apache.spark.scheduler.SparkListenerNodeExcluded", Some(false)),
            (
                "org.apache.spark.scheduler.SparkListenerNodeBlacklistedForStage",
                Some(false),
            ),
            ("SparkListenerExecutorUnexcluded", Some(true)),
            ("SparkListenerNodeUnblacklisted", Some(true)),
            ("SparkListenerExecutorAdded", None),
            ("org.apache.spark.scheduler.SparkListenerSpeculativeTaskSubmitted", None),
        ] {
            assert_eq!(takes_back(name), expected, "{name}");
        }
    }

    #[test]
    fn an_exclusion_written_under_both_names_is_one_and_a_second_one_is_another() {
        let mut exclusions = Exclusions::default();
        let event = |time, executor_id: Option<&str>| ExclusionEvent {
            time,
            executor_id: executor_id.map(str::to_owned),
            host_id: executor_id.is_none().then(|| "h".to_owned()),
            task_failures: Some(2),
            executor_failures: None,
            stage_id: None,
            stage_attempt_id: None,
        };
        for (time, takes_back) in [(1, false), (1, false), (5, true), (5, true), (9, false), (9, false)] {
            exclusions.apply(event(time, Some("1")), takes_back);
        }
        exclusions.apply(event(7, None), true);
        let list = exclusions.finish(|_| Some("h1".to_owned()));
        let times: Vec<_> = list
            .iter()
            .map(|one| (one.host.as_deref().unwrap(), one.excluded_at_ms, one.unexcluded_at_ms))
            .collect();
        assert_eq!(
            times,
            [("h1", Some(1), Some(5)), ("h1", Some(9), None), ("h", None, Some(7))]
        );
    }

    #[test]
    fn who_is_excluded_already_is_not_excluded_again_and_the_other_name_may_come_late() {
        let mut exclusions = Exclusions::default();
        let event = |time, stage_attempt_id: Option<i64>| ExclusionEvent {
            time,
            executor_id: Some("1".to_owned()),
            host_id: None,
            task_failures: Some(2),
            executor_failures: None,
            stage_id: stage_attempt_id.and(Some(4)),
            stage_attempt_id,
        };
        // The last is the first one's other name.
        for (time, takes_back) in [(1, false), (2, false), (5, true), (6, true), (1, false)] {
            exclusions.apply(event(time, None), takes_back);
        }
        // For each attempt of a stage it is another.
        for attempt in [0, 1, 1] {
            exclusions.apply(event(3, Some(attempt)), false);
        }
        let list = exclusions.finish(|_| None);
        let told: Vec<_> = list
            .iter()
            .map(|one| (one.stage, one.excluded_at_ms, one.unexcluded_at_ms))
            .collect();
        assert_eq!(
            told,
            [
                (None, Some(1), Some(5)),
                (Some((4, 0)), Some(3), None),
                (Some((4, 1)), Some(3), None)
            ]
        );
    }
}
