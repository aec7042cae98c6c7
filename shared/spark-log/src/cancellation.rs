//! Whether a job ended because Spark was told to cancel it, read from the words of its end.
//!
//! Separate because the log has one result for both, `JobFailed`: only the exception's message tells a job that nobody
//! needed any more (a query that was stopped, a broadcast that timed out or that no plan wanted) from one that failed.
//!
//! Words: `handleJobCancellation` and its callers in
//! <https://github.com/apache/spark/blob/v2.4.8/core/src/main/scala/org/apache/spark/scheduler/DAGScheduler.scala>,
//! <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/scheduler/DAGScheduler.scala> and
//! <https://github.com/apache/spark/blob/v4.0.0/core/src/main/scala/org/apache/spark/scheduler/DAGScheduler.scala>

/// The error's name, which Spark 3.4 and later put before the message.
const ERROR_NAME: &str = "[SPARK_JOB_CANCELLED] ";

/// What precedes the cancellation's words where they come by way of a task that it killed.
const KILLED_TASK: &str = "TaskKilled (Stage cancelled: ";

/// The one reason that is no request: the application was ending under its running jobs, whatever made it end.
const SHUT_DOWN: &str = "SparkContext was shut down";

/// Whether the message of a job's exception says that the job was cancelled: alone, or with its group, its tag, its
/// stage or all jobs. That the context was shut down is not such a reason.
pub(super) fn is_cancellation(message: &str) -> bool {
    let message = message.trim_start();
    let words = match message.split_once(KILLED_TASK) {
        Some((_, words)) => words,
        None => message,
    };
    let words = words.strip_prefix(ERROR_NAME).unwrap_or(words);
    let Some(rest) = words.strip_prefix("Job ") else {
        return false;
    };
    let after_id = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    if after_id.len() == rest.len() {
        return false;
    }
    let first_line = after_id.lines().next().unwrap_or_default();
    match first_line.strip_prefix(" cancelled") {
        Some(reason) => !reason.contains(SHUT_DOWN) && !reason.starts_with(char::is_alphanumeric),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_was_cancelled_is_told_from_one_that_failed() {
        for message in [
            "Job 1 cancelled part of cancelled job group 5f0a",
            "Job 3 cancelled",
            "Job 3 cancelled ",
            "Job 12 cancelled as part of cancellation of all jobs",
            "Job 0 cancelled because Stage 4 was cancelled",
            "Job 0 cancelled because killed via the Web UI",
            "Job 7 cancelled part of cancelled job tag nightly",
            "[SPARK_JOB_CANCELLED] Job 7 cancelled part of cancelled job tags nightly SQLSTATE: XXKDA",
            "[SPARK_JOB_CANCELLED] Job 7 cancelled The corresponding broadcast query has failed. SQLSTATE: XXKDA",
            "Job aborted due to stage failure: Task 0 in stage 1.0 failed 1 times, most recent failure: Lost task 0.0 in \
             stage 1.0 (TID 4) (host executor driver): TaskKilled (Stage cancelled: Job 1 cancelled part of cancelled \
             job group g)",
        ] {
            assert!(is_cancellation(message), "{message}");
        }
        for message in [
            "",
            "Job 3 cancelled because SparkContext was shut down",
            "[SPARK_JOB_CANCELLED] Job 3 cancelled because SparkContext was shut down SQLSTATE: XXKDA",
            "Job cancelled because SparkContext was shut down",
            "Job aborted due to stage failure: Task 3 in stage 1.0 failed 4 times, most recent failure: Lost task 3.3 in \
             stage 1.0 (TID 9) (h executor 2): java.io.IOException: Job 3 cancelled",
            "Job aborted.",
            "Job 3 cancelledness",
        ] {
            assert!(!is_cancellation(message), "{message}");
        }
    }
}
