//! Why an executor was removed, read from Spark's words.
//!
//! Separate because the words differ by cluster manager and version, and only a closed set of meanings matters here.

use serde::{Deserialize, Serialize};

/// What ended an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// It was told to leave, and left: `ExecutorDecommission` in
    /// <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/scheduler/ExecutorLossReason.scala>
    Decommissioned,
    /// Its node was lost: a standalone worker that vanished, or YARN's `Container released on a *lost* node` (-100).
    WorkerLost,
    /// The driver heard nothing from it for `spark.network.timeout`.
    HeartbeatTimeout,
    /// The driver let it go, above all because it was idle under dynamic allocation.
    KilledByDriver,
    /// Its process or container ended.
    Exited {
        /// Exit status, where the words hold one.
        code: Option<i32>,
    },
    /// Anything else: see the words.
    Other,
}

impl Removal {
    /// Reads `Removed Reason` of `SparkListenerExecutorRemoved`.
    ///
    /// YARN's words: <https://github.com/apache/spark/blob/v3.5.5/resource-managers/yarn/src/main/scala/org/apache/spark/deploy/yarn/YarnAllocator.scala>
    pub fn parse(words: &str) -> Self {
        let words = words.to_ascii_lowercase();
        let has = |needle: &str| words.contains(needle);
        let code = code_after(&words, "exit status: ")
            .or_else(|| code_after(&words, "exited with code "))
            .or_else(|| code_after(&words, "exit code "))
            .or_else(|| code_after(&words, "exit code: "));
        if has("decommission") {
            Self::Decommissioned
        } else if words.starts_with("worker lost") || has("*lost* node") || has("lost node") || code == Some(-100) {
            Self::WorkerLost
        } else if has("heartbeat timed out") || has("heartbeats timed out") {
            Self::HeartbeatTimeout
        } else if has("killed by driver") || has("explicit termination request") {
            Self::KilledByDriver
        } else if code.is_some() || has("exited") || has("preempted") {
            Self::Exited { code }
        } else {
            Self::Other
        }
    }
}

/// The whole number right after `marker`.
fn code_after(words: &str, marker: &str) -> Option<i32> {
    let rest = &words[words.find(marker)? + marker.len()..];
    let digits = rest.strip_prefix('-').unwrap_or(rest);
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    rest[..rest.len() - digits.len() + length].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_standalone_and_of_yarn_are_told_apart() {
        let cases = [
            ("Executor decommission: worker decommissioned", Removal::Decommissioned),
            ("worker lost: 10.0.0.1:7078 got disassociated", Removal::WorkerLost),
            (
                "worker lost: Not receiving heartbeat for 60 seconds",
                Removal::WorkerLost,
            ),
            (
                "Container marked as failed: container_1_0001_01_000002 on host: ip-10-0-0-1. Exit status: -100. \
                 Diagnostics: Container released on a *lost* node.",
                Removal::WorkerLost,
            ),
            (
                "Container from a bad node: container_1_0001_01_000002 on host: ip-10-0-0-1. Exit status: 143.",
                Removal::Exited { code: Some(143) },
            ),
            ("Executor heartbeat timed out after 23543 ms", Removal::HeartbeatTimeout),
            ("Executor killed by driver.", Removal::KilledByDriver),
            ("Command exited with code 137", Removal::Exited { code: Some(137) }),
            (
                "Container container_1 on host: a was preempted.",
                Removal::Exited { code: None },
            ),
            ("Remote RPC client disassociated.", Removal::Other),
        ];
        for (words, removal) in cases {
            assert_eq!(Removal::parse(words), removal, "{words}");
        }
    }
}
