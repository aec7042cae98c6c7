//! Task attempts that failed, one by one, as far back as memory allows.
//!
//! Separate because all else counts attempts: these are kept to trace why a job failed.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::FetchFailure;
use super::task_line::{TaskEvent, TaskFailure};

/// Attempts kept.
const FAILED_TASKS_MAX: usize = 500;
/// Characters kept of the words.
const WORDS_CHARACTERS_MAX: usize = 300;
/// Characters kept of a name.
const NAME_CHARACTERS_MAX: usize = 256;

/// A task attempt that failed, as opposed to one that was killed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTask {
    /// Stage id.
    pub stage_id: i64,
    /// Attempt of the stage, from 0.
    pub stage_attempt: i64,
    /// Index of the task within the stage attempt (`Index`): in a first attempt, the partition.
    pub index: i64,
    /// Attempt of the task, from 0. Spark gives up at `spark.task.maxFailures` of those that count.
    pub attempt: i64,
    /// The executor it ran on.
    pub executor_id: String,
    /// That executor's host, as Spark names it.
    pub host: String,
    /// When it ended, epoch milliseconds.
    pub finished_at_ms: i64,
    /// Spark's `Reason`: `ExceptionFailure`, `FetchFailed`, `ExecutorLostFailure`, `TaskResultLost`, …
    /// <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/TaskEndReason.scala>
    pub reason: String,
    /// What Spark says further: the exception's class and message, why the fetch failed, why the executor was lost. One
    /// line of at most 300 characters.
    pub words: String,
    /// `FetchFailed`: where the output was to come from.
    pub fetch_failed_from: Option<FetchFailure>,
    /// `ExecutorLostFailure`: whether Spark holds the application to be the cause (`Exit Caused By App`). Where it does
    /// not, the failure does not count towards `spark.task.maxFailures`.
    pub exit_caused_by_app: Option<bool>,
}

/// The last attempts that failed.
#[derive(Debug, Default)]
pub(super) struct Failures {
    tasks: VecDeque<FailedTask>,
}

impl Failures {
    /// Keeps one more; the oldest goes if there are too many.
    pub(super) fn add(&mut self, task: &TaskEvent<'_>, failure: &TaskFailure<'_>) {
        let Some(end) = &task.end else { return };
        if self.tasks.len() == FAILED_TASKS_MAX {
            self.tasks.pop_front();
        }
        self.tasks.push_back(FailedTask {
            stage_id: task.stage_id,
            stage_attempt: task.stage_attempt,
            index: failure.index,
            attempt: failure.attempt,
            executor_id: cut(task.executor_id, NAME_CHARACTERS_MAX),
            host: cut(task.host, NAME_CHARACTERS_MAX),
            finished_at_ms: task.finished_at_ms,
            reason: cut(end.reason, NAME_CHARACTERS_MAX),
            words: words(failure),
            fetch_failed_from: end.fetch_from.map(|(host, executor_id)| FetchFailure {
                host: cut(host, NAME_CHARACTERS_MAX),
                executor_id: cut(executor_id, NAME_CHARACTERS_MAX),
            }),
            exit_caused_by_app: failure.exit_caused_by_app,
        });
    }

    /// Those that were kept, in the log's order.
    pub(super) fn finish(self) -> Vec<FailedTask> {
        self.tasks.into()
    }
}

fn cut(text: &str, characters_max: usize) -> String {
    text.chars().take(characters_max).collect()
}

/// The words in one line. Of a Python traceback, that is its last line, where Python says what is wrong; of a Java stack
/// trace, what was thrown and what caused it, without the places.
fn words(failure: &TaskFailure<'_>) -> String {
    let said = failure.words.trim();
    let last = said.lines().rfind(|line| !line.is_empty() && !line.starts_with(' '));
    let said = match last {
        Some(last) if said.starts_with("Traceback (most recent call last)") => last,
        _ => said,
    };
    let class = failure.class_name.unwrap_or_default();
    let separator = if class.is_empty() || said.is_empty() { "" } else { ": " };
    let mut line = format!("{class}{separator}");
    let is_place = |line: &&str| line.starts_with("at ") || line.starts_with("... ") && line.ends_with(" more");
    for part in said.lines().map(str::trim).filter(|part| !is_place(part)) {
        for word in part.split_whitespace() {
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
            line.push_str(word);
        }
        // A description can be megabytes; no more of it is looked at than is kept.
        if line.len() > WORDS_CHARACTERS_MAX * 4 {
            break;
        }
    }
    cut(&line, WORDS_CHARACTERS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(class_name: Option<&str>, words: &str) -> String {
        super::words(&TaskFailure {
            index: 0,
            attempt: 0,
            class_name,
            words,
            exit_caused_by_app: None,
        })
    }

    #[test]
    fn what_is_said_of_a_failure_is_one_line() {
        assert_eq!(
            said(Some("java.io.IOException"), "No space left\n  on device\t(disk 1)"),
            "java.io.IOException: No space left on device (disk 1)"
        );
        assert_eq!(
            said(Some("java.lang.NullPointerException"), ""),
            "java.lang.NullPointerException"
        );
        assert_eq!(said(None, "Executor killed by driver."), "Executor killed by driver.");
        let python =
            "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    f()\nValueError: bad\n";
        assert_eq!(
            said(Some("org.apache.spark.api.python.PythonException"), python),
            "org.apache.spark.api.python.PythonException: ValueError: bad"
        );
        let several = "Traceback (most recent call last):\n  File \"a.py\"\nValueError: bad\n\n  of two lines";
        assert_eq!(said(None, several), "ValueError: bad");
        let no_places = "one and\n... some\nand one more\nattached";
        assert_eq!(said(None, no_places), "one and ... some and one more attached");
        let lines = ["€".repeat(100), "€".repeat(100), "€".repeat(200)].join("\n");
        assert_eq!(said(None, &lines).chars().count(), WORDS_CHARACTERS_MAX);
        let java = "org.apache.spark.shuffle.FetchFailedException\n\tat org.apache.A.b(A.scala:1)\n\tat java.C.d(C.java:2)\n\
                    Caused by: java.io.IOException: Connecting to h2 timed out\n\tat io.E.f(E.java:3)\n\t... 21 more\n";
        assert_eq!(
            said(None, java),
            "org.apache.spark.shuffle.FetchFailedException Caused by: java.io.IOException: Connecting to h2 timed out"
        );
        assert_eq!(said(None, &"é".repeat(5_000)).chars().count(), WORDS_CHARACTERS_MAX);
    }
}
