//! One task attempt that ended, in 40 bytes.
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
    /// How long it waited for shuffle output of other executors, ms (`Fetch Wait Time`).
    pub fetch_wait_ms: u32,
    /// How much of it it read from them, KiB (`Remote Bytes Read`).
    pub remote_read_kib: u32,
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
            fetch_wait_ms: 0,
            remote_read_kib: 0,
            stage_attempt: task.stage_attempt as u16,
            succeeded: task.status() == TaskStatus::Success,
            lost: is_loss(end.reason),
            speculative: task.is_speculative,
        }
    }
}

/// What a task's end says of its reading shuffle output, far behind all that [`TaskEvent`] needs: the wait, ms, and KiB
/// read from other executors. `shuffleReadMetrics` of `taskMetricsToJson` in
/// <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/util/JsonProtocol.scala>
pub(super) fn shuffle_read(line: &[u8]) -> Option<(u32, u32)> {
    // It stands near the end: the accumulables before it hold no such key.
    let at = memchr::memmem::rfind(line, br#""Shuffle Read Metrics":{"#)?;
    let metrics = &line[at..];
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let wait_ms = number(metrics, br#""Fetch Wait Time":"#)?;
    let bytes = number(metrics, br#""Remote Bytes Read":"#)?;
    Some((narrow(wait_ms), narrow(bytes / 1024)))
}

/// What a task's end says of its unpacking: the time, ms, and the CPU's, in microseconds. The first of all metrics.
pub(super) fn deserialization(line: &[u8]) -> Option<(u64, u64)> {
    const TIME: &[u8] = br#""Task Metrics":{"Executor Deserialize Time":"#;
    let metrics = &line[memchr::memmem::rfind(line, TIME)?..];
    let time_ms = number(metrics, TIME)?;
    let cpu_ns = number(metrics, br#""Executor Deserialize CPU Time":"#)?;
    Some((time_ms, cpu_ns / 1_000))
}

/// The number behind a key.
fn number(metrics: &[u8], key: &[u8]) -> Option<u64> {
    let rest = &metrics[memchr::memmem::find(metrics, key)? + key.len()..];
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Deserialization, Limits, Part, read};

    #[test]
    fn an_attempt_takes_forty_bytes() {
        assert_eq!(size_of::<TaskAttempt>(), 40);
    }

    #[test]
    fn attempts_are_kept_only_where_they_are_asked_for_and_no_more_than_that() {
        let line = |id: u32, reason: &str, failed: bool| {
            format!(
                r#"{{"Event":"SparkListenerTaskEnd","Stage ID":3,"Stage Attempt ID":1,"Task Type":"ResultTask","Task End Reason":{{"Reason":"{reason}"}},"Task Info":{{"Task ID":{id},"Index":0,"Attempt":0,"Partition ID":{id},"Launch Time":1000,"Executor ID":"7","Host":"h","Locality":"ANY","Speculative":false,"Getting Result Time":0,"Finish Time":1500,"Failed":{failed},"Killed":false,"Accumulables":[]}},"Task Metrics":{{"Executor Deserialize Time":713,"Executor Deserialize CPU Time":143210999,"Executor Run Time":400,"Shuffle Read Metrics":{{"Local Blocks Fetched":7,"Fetch Wait Time":196,"Remote Bytes Read":5481,"Remote Bytes Read To Disk":0}}}}}}"#
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
            let run = read(vec![part], &limits);
            (run.task_attempts, run.deserialization)
        };
        assert_eq!(read_with(0), (Vec::new(), Deserialization::default()));
        let (kept, unpacking) = read_with(2);
        // A log that fills its limit is none to replay: of its last one no metrics are looked at.
        assert_eq!((unpacking.time_ms, unpacking.cpu_us), (713, 143_210));
        assert_eq!(kept.len(), 2);
        assert_eq!((kept[0].stage_id, kept[0].executor, kept[0].duration_ms), (3, 7, 500));
        assert_eq!((kept[0].fetch_wait_ms, kept[0].remote_read_kib), (196, 5));
        assert_eq!((kept[0].succeeded, kept[0].lost), (true, false));
        assert_eq!((kept[1].succeeded, kept[1].lost), (false, true));
    }
}
