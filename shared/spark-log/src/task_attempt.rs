//! One task attempt that ended, in 32 bytes.
//!
//! Separate because a log holds millions of them, and only who replays a run needs them one by one.

use super::stages::{TaskStatus, is_loss};
use super::task_line::{TaskEnd, TaskEvent};

/// One task attempt that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskAttempt {
    /// When it was launched, epoch ms.
    pub launched_at_ms: i64,
    /// How long it ran, ms.
    pub duration_ms: u32,
    /// Its stage.
    pub stage_id: u32,
    /// Its partition.
    pub partition: u32,
    /// The number that Spark gave its executor; the largest one where that is no number (`driver`, in local mode).
    pub executor: u32,
    /// Its stage's attempt.
    pub stage_attempt: u16,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// Whether it did not because an executor was lost.
    pub lost: bool,
    /// Whether it was started as a speculative copy.
    pub speculative: bool,
}

impl TaskAttempt {
    pub(super) fn of(task: &TaskEvent<'_>, end: &TaskEnd<'_>) -> Self {
        Self {
            launched_at_ms: task.launched_at_ms,
            duration_ms: u32::try_from(task.duration_ms()).unwrap_or(u32::MAX),
            // Ids are small numbers; only a damaged log has others.
            stage_id: task.stage_id as u32,
            partition: task.partition as u32,
            executor: task.executor_id.parse().unwrap_or(u32::MAX),
            stage_attempt: task.stage_attempt as u16,
            succeeded: task.status() == TaskStatus::Success,
            lost: is_loss(end.reason),
            speculative: task.is_speculative,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Part, read};

    #[test]
    fn an_attempt_takes_thirty_two_bytes() {
        assert_eq!(size_of::<TaskAttempt>(), 32);
    }

    #[test]
    fn attempts_are_kept_only_where_they_are_asked_for_and_no_more_than_that() {
        let line = |id: u32, reason: &str, failed: bool| {
            format!(
                r#"{{"Event":"SparkListenerTaskEnd","Stage ID":3,"Stage Attempt ID":1,"Task Type":"ResultTask","Task End Reason":{{"Reason":"{reason}"}},"Task Info":{{"Task ID":{id},"Index":0,"Attempt":0,"Partition ID":{id},"Launch Time":1000,"Executor ID":"7","Host":"h","Locality":"ANY","Speculative":false,"Getting Result Time":0,"Finish Time":1500,"Failed":{failed},"Killed":false,"Accumulables":[]}}}}"#
            ) + "\n"
        };
        let log = line(1, "Success", false) + &line(2, "ExecutorLostFailure", true) + &line(3, "Success", false);
        let read_with = |tasks_max| {
            let limits = Limits {
                tasks_max,
                ..Limits::default()
            };
            let part = Part {
                name: "app".to_owned(),
                bytes: log.as_bytes(),
            };
            read(vec![part], &limits).task_attempts
        };
        assert!(read_with(0).is_empty());
        let kept = read_with(2);
        assert_eq!(kept.len(), 2);
        assert_eq!((kept[0].stage_id, kept[0].executor, kept[0].duration_ms), (3, 7, 500));
        assert_eq!((kept[0].succeeded, kept[0].lost), (true, false));
        assert_eq!((kept[1].succeeded, kept[1].lost), (false, true));
    }
}
