//! The event log's lines about tasks: nine tenths of its bytes.
//!
//! Separate from `event_log` because a task's end has its own vocabulary of reasons and metrics.

use super::event_log::{EventLog, block_manager, event, ms};
use super::json::Object;
use super::stage::{Fate, Task};

/// What the simulated executors report of their memory.
const EXECUTOR_METRICS: &str = r#"{"JVMHeapMemory":0,"JVMOffHeapMemory":0,"OnHeapExecutionMemory":0,"OffHeapExecutionMemory":0,"OnHeapStorageMemory":0,"OffHeapStorageMemory":0,"OnHeapUnifiedMemory":0,"OffHeapUnifiedMemory":0,"DirectPoolMemory":0,"MappedPoolMemory":0,"ProcessTreeJVMVMemory":0,"ProcessTreeJVMRSSMemory":0,"ProcessTreePythonVMemory":0,"ProcessTreePythonRSSMemory":0,"ProcessTreeOtherVMemory":0,"ProcessTreeOtherRSSMemory":0,"MinorGCCount":0,"MinorGCTime":0,"MajorGCCount":0,"MajorGCTime":0,"TotalGCTime":0}"#;

/// Push-based shuffle is off.
const PUSH_METRICS: &str = r#"{"Corrupt Merged Block Chunks":0,"Merged Fetch Fallback Count":0,"Merged Remote Blocks Fetched":0,"Merged Local Blocks Fetched":0,"Merged Remote Chunks Fetched":0,"Merged Local Chunks Fetched":0,"Merged Remote Bytes Read":0,"Merged Local Bytes Read":0,"Merged Remote Requests Duration":0}"#;

impl EventLog {
    pub(super) fn task_start(&mut self, id: usize, task: &Task, host: &str) {
        let start = event("TaskStart")
            .raw("Stage ID", task.stage)
            .raw("Stage Attempt ID", task.stage_attempt);
        self.push(start.json("Task Info", &task_info(id, task, host, 0, "")));
    }

    pub(super) fn task_succeeded(&mut self, id: usize, task: &Task, host: &str, is_result: bool, reads: bool) {
        let end = task_end(task, is_result, Object::new().text("Reason", "Success"));
        let end = end.json("Task Info", &task_info(id, task, host, finish_ms(task), ""));
        self.push(
            end.json("Task Executor Metrics", EXECUTOR_METRICS)
                .json("Task Metrics", &metrics(task, is_result, reads)),
        );
    }

    pub(super) fn task_resubmitted(&mut self, id: usize, task: &Task, host: &str) {
        let reason = Object::new().text("Reason", "Resubmitted");
        let end = task_end(task, false, reason).json("Task Info", &task_info(id, task, host, finish_ms(task), ""));
        self.push(end.json("Task Executor Metrics", EXECUTOR_METRICS));
    }

    pub(super) fn task_executor_lost(&mut self, id: usize, task: &Task, host: &str, is_result: bool, why: &str) {
        let reason = Object::new()
            .text("Reason", "ExecutorLostFailure")
            .text("Executor ID", &task.executor.to_string())
            .raw("Exit Caused By App", false)
            .text("Loss Reason", why);
        self.task_failed(id, task, host, is_result, reason);
    }

    pub(super) fn task_fetch_failed(
        &mut self,
        id: usize,
        task: &Task,
        host: &str,
        is_result: bool,
        from: Option<(u32, String)>,
        message: &str,
    ) {
        let Fate::FetchFails { parent, map, .. } = task.fate else {
            return;
        };
        let mut reason = Object::new().text("Reason", "FetchFailed");
        if let Some((executor, holder)) = &from {
            reason = reason.raw("Block Manager Address", block_manager(&executor.to_string(), holder));
        }
        let map = if from.is_some() { i64::from(map) } else { -1 };
        let reason = reason
            .raw("Shuffle ID", parent)
            .raw("Map ID", map)
            .raw("Map Index", if from.is_some() { map } else { i64::from(i32::MIN) })
            .raw("Reduce ID", task.partition)
            .text("Message", message);
        self.task_failed(id, task, host, is_result, reason);
    }

    pub(super) fn task_threw(&mut self, id: usize, task: &Task, host: &str, is_result: bool, message: &str) {
        let reason = Object::new()
            .text("Reason", "ExceptionFailure")
            .text("Class Name", "org.apache.spark.api.python.PythonException")
            .text("Description", &format!("ValueError: {message}"))
            .json("Stack Trace", "[]")
            .text(
                "Full Stack Trace",
                &format!("org.apache.spark.api.python.PythonException: ValueError: {message}\n"),
            )
            .json("Accumulator Updates", "[]");
        self.task_failed(id, task, host, is_result, reason);
    }

    fn task_failed(&mut self, id: usize, task: &Task, host: &str, is_result: bool, reason: Object) {
        let end = task_end(task, is_result, reason);
        let end = end.json("Task Info", &task_info(id, task, host, finish_ms(task), "failed"));
        self.push(end.json("Task Executor Metrics", EXECUTOR_METRICS));
    }

    pub(super) fn task_killed(&mut self, id: usize, task: &Task, host: &str, is_result: bool, why: &str) {
        let reason = Object::new()
            .text("Reason", "TaskKilled")
            .text("Kill Reason", why)
            .json("Accumulator Updates", "[]");
        let end = task_end(task, is_result, reason);
        let end = end.json("Task Info", &task_info(id, task, host, finish_ms(task), "killed"));
        self.push(end.json("Task Executor Metrics", EXECUTOR_METRICS));
    }
}

fn finish_ms(task: &Task) -> i64 {
    task.finished_at.map_or(0, ms)
}

fn task_end(task: &Task, is_result: bool, reason: Object) -> Object {
    event("TaskEnd")
        .raw("Stage ID", task.stage)
        .raw("Stage Attempt ID", task.stage_attempt)
        .text("Task Type", if is_result { "ResultTask" } else { "ShuffleMapTask" })
        .json("Task End Reason", &reason.finish())
}

fn task_info(id: usize, task: &Task, host: &str, finish_ms: i64, end: &str) -> String {
    Object::new()
        .raw("Task ID", id)
        .raw("Index", task.index)
        .raw("Attempt", task.number)
        .raw("Partition ID", task.partition)
        .raw("Launch Time", ms(task.launched_at))
        .text("Executor ID", &task.executor.to_string())
        .text("Host", host)
        .text("Locality", task.locality)
        .raw("Speculative", false)
        .raw("Getting Result Time", 0)
        .raw("Finish Time", finish_ms)
        .raw("Failed", end == "failed")
        .raw("Killed", end == "killed")
        .json("Accumulables", "[]")
        .finish()
}

/// What a task that ended well reports; made up, but in proportion to its run time.
fn metrics(task: &Task, is_result: bool, reads: bool) -> String {
    let run_ms = (task.run_ms() - 40).max(1);
    let bytes = run_ms * 1_000;
    let (read, input) = if reads { (bytes, 0) } else { (0, bytes) };
    let (written, output) = if is_result { (0, bytes / 8) } else { (bytes / 2, 0) };
    let shuffle_read = Object::new()
        .raw("Remote Blocks Fetched", i64::from(reads) * 16)
        .raw("Local Blocks Fetched", i64::from(reads))
        .raw("Fetch Wait Time", 0)
        .raw("Remote Bytes Read", read)
        .raw("Remote Bytes Read To Disk", 0)
        .raw("Local Bytes Read", read / 16)
        .raw("Total Records Read", read / 100)
        .raw("Remote Requests Duration", read / 50_000)
        .json("Push Based Shuffle", PUSH_METRICS);
    let shuffle_write = Object::new()
        .raw("Shuffle Bytes Written", written)
        .raw("Shuffle Write Time", written * 20)
        .raw("Shuffle Records Written", written / 100);
    Object::new()
        .raw("Executor Deserialize Time", 30)
        .raw("Executor Deserialize CPU Time", 20_000_000)
        .raw("Executor Run Time", run_ms)
        .raw("Executor CPU Time", run_ms * 900_000)
        .raw("Peak Execution Memory", 0)
        .raw("Result Size", 1_600)
        .raw("JVM GC Time", run_ms / 40)
        .raw("Result Serialization Time", 1)
        .raw("Memory Bytes Spilled", 0)
        .raw("Disk Bytes Spilled", 0)
        .json("Shuffle Read Metrics", &shuffle_read.finish())
        .json("Shuffle Write Metrics", &shuffle_write.finish())
        .raw(
            "Input Metrics",
            Object::new()
                .raw("Bytes Read", input)
                .raw("Records Read", input / 100)
                .finish(),
        )
        .raw(
            "Output Metrics",
            Object::new()
                .raw("Bytes Written", output)
                .raw("Records Written", output / 100)
                .finish(),
        )
        .json("Updated Blocks", "[]")
        .finish()
}
