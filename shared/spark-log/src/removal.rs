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
    /// YARN took its container for another application or queue (-102).
    Preempted,
    /// YARN ended its container for the memory it used (-103, -104).
    MemoryExceeded,
    /// The driver's connection to it broke, and nobody was there to say why: `Remote RPC client disassociated` in
    /// <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/scheduler/cluster/CoarseGrainedSchedulerBackend.scala>
    Disconnected,
    /// The driver lost it, and whoever was asked why gave no answer: `Executor Process Lost`, before Spark 3.1
    /// `Slave lost`. YARN's side of it:
    /// <https://github.com/apache/spark/blob/v3.5.5/resource-managers/yarn/src/main/scala/org/apache/spark/scheduler/cluster/YarnSchedulerBackend.scala>
    ProcessLost,
    /// The driver lost it while no application master of YARN was there to be asked (`AM is not yet registered`), or
    /// gave it up because a new one had come (`Stale executor after cluster manager re-registered`).
    NoApplicationMaster,
    /// It could not begin its work: `Unable to create executor due to …` and the like in
    /// <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/executor/CoarseGrainedExecutorBackend.scala>
    FailedToStart,
    /// Its process or container ended.
    Exited {
        /// Exit status, where the words hold one.
        code: Option<i32>,
    },
    /// Anything else: see the words.
    Other,
}

/// Words, in lower case, that say what happened, in the order in which they are looked for.
const MEANINGS: [(&str, Removal); 26] = [
    ("decommission", Removal::Decommissioned),
    ("worker lost", Removal::WorkerLost),
    ("*lost* node", Removal::WorkerLost),
    ("lost node", Removal::WorkerLost),
    ("heartbeat timed out", Removal::HeartbeatTimeout),
    ("heartbeats timed out", Removal::HeartbeatTimeout),
    ("killed by driver", Removal::KilledByDriver),
    ("explicit termination request", Removal::KilledByDriver),
    ("released by application", Removal::KilledByDriver),
    ("preempted", Removal::Preempted),
    ("exceeding physical memory limits", Removal::MemoryExceeded),
    ("exceeding virtual memory limits", Removal::MemoryExceeded),
    // Before Spark 2.3 it was one sentence for both.
    ("exceeding memory limits", Removal::MemoryExceeded),
    ("running beyond physical memory", Removal::MemoryExceeded),
    ("running beyond virtual memory", Removal::MemoryExceeded),
    ("am is not yet registered", Removal::NoApplicationMaster),
    ("stale executor after cluster manager", Removal::NoApplicationMaster),
    ("rpc client disassociated", Removal::Disconnected),
    ("executor process lost", Removal::ProcessLost),
    ("slave lost", Removal::ProcessLost),
    ("agent lost", Removal::ProcessLost),
    ("pending loss reason", Removal::ProcessLost),
    ("unable to create executor", Removal::FailedToStart),
    ("cannot register with driver", Removal::FailedToStart),
    ("registration failed", Removal::FailedToStart),
    (
        "unable to register with external shuffle server",
        Removal::FailedToStart,
    ),
];

/// YARN's own exit statuses that say more than that a container ended.
/// <https://hadoop.apache.org/docs/r3.4.1/api/org/apache/hadoop/yarn/api/records/ContainerExitStatus.html>
const STATUSES: [(i32, Removal); 4] = [
    (-100, Removal::WorkerLost),
    (-102, Removal::Preempted),
    (-103, Removal::MemoryExceeded),
    (-104, Removal::MemoryExceeded),
];

/// What YARN puts before the last bytes that a container wrote to its log: whatever the executor said, no cause.
const OUTPUT_OF_CONTAINER: [&str; 2] = ["last 4096 bytes of", "exception from container-launch"];

impl Removal {
    /// Reads `Removed Reason` of `SparkListenerExecutorRemoved`.
    ///
    /// YARN's words: <https://github.com/apache/spark/blob/v3.5.5/resource-managers/yarn/src/main/scala/org/apache/spark/deploy/yarn/YarnAllocator.scala>
    /// and, after `Diagnostics:`, those of its resource manager:
    /// <https://github.com/apache/hadoop/blob/rel/release-3.4.1/hadoop-yarn-project/hadoop-yarn/hadoop-yarn-server/hadoop-yarn-server-resourcemanager/src/main/java/org/apache/hadoop/yarn/server/resourcemanager/scheduler/SchedulerUtils.java>
    pub fn parse(words: &str) -> Self {
        let words = words.to_ascii_lowercase();
        let output = OUTPUT_OF_CONTAINER.iter().filter_map(|mark| words.find(mark)).min();
        let words = &words[..output.unwrap_or(words.len())];
        let code = ["exit status: ", "exited with code ", "exit code ", "exit code: "]
            .iter()
            .find_map(|marker| code_after(words, marker));
        if let Some((_, meaning)) = MEANINGS.iter().find(|(needle, _)| words.contains(needle)) {
            return meaning.clone();
        }
        // YARN gives -100 to containers that it took back unused, too.
        let was_unused = words.contains("expired since it was unused") || words.contains("of a completed application");
        if let Some(code) = code
            && !was_unused
            && let Some((_, meaning)) = STATUSES.iter().find(|(status, _)| *status == code)
        {
            return meaning.clone();
        }
        if code.is_some() || words.contains("exited") || was_unused {
            Self::Exited { code }
        } else {
            Self::Other
        }
    }

    /// The kind, as it is written in JSON; [`Exited`](Self::Exited) without its code.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Decommissioned => "decommissioned",
            Self::WorkerLost => "worker_lost",
            Self::HeartbeatTimeout => "heartbeat_timeout",
            Self::KilledByDriver => "killed_by_driver",
            Self::Preempted => "preempted",
            Self::MemoryExceeded => "memory_exceeded",
            Self::Disconnected => "disconnected",
            Self::ProcessLost => "process_lost",
            Self::NoApplicationMaster => "no_application_master",
            Self::FailedToStart => "failed_to_start",
            Self::Exited { .. } => "exited",
            Self::Other => "other",
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
        let on_yarn = |status: &str, diagnostics: &str| {
            format!(
                "Container marked as failed: container_1_0001_01_000002 on host: ip-10-0-0-1. Exit status: {status}. \
                 Diagnostics: {diagnostics}."
            )
        };
        let cases = [
            ("Executor decommission: worker decommissioned", Removal::Decommissioned),
            ("Finished decommissioning", Removal::Decommissioned),
            ("worker lost: 10.0.0.1:7078 got disassociated", Removal::WorkerLost),
            (
                "worker lost: Not receiving heartbeat for 60 seconds",
                Removal::WorkerLost,
            ),
            (
                &on_yarn("-100", "Container released on a *lost* node"),
                Removal::WorkerLost,
            ),
            (&on_yarn("-100", ""), Removal::WorkerLost),
            (
                &on_yarn("-100", "Container released by application"),
                Removal::KilledByDriver,
            ),
            (
                &on_yarn("-100", "Container expired since it was unused"),
                Removal::Exited { code: Some(-100) },
            ),
            (&on_yarn("-102", "Container preempted by scheduler"), Removal::Preempted),
            (
                &on_yarn("-106", "Container Killed by ResourceManager"),
                Removal::Exited { code: Some(-106) },
            ),
            (
                "Container from a bad node: container_1_0001_01_000002 on host: ip-10-0-0-1. Exit status: 143.",
                Removal::Exited { code: Some(143) },
            ),
            (
                "Executor for container container_1 exited because of a YARN event (e.g., pre-emption) and not because \
                 of an error in the running job.",
                Removal::Exited { code: None },
            ),
            (
                "Container container_1_0001_01_000008 exited from explicit termination request.",
                Removal::KilledByDriver,
            ),
            (
                "Container killed by YARN for exceeding physical memory limits. 5.6 GB of 5.5 GB physical memory used. \
                 Consider boosting spark.executor.memoryOverhead.",
                Removal::MemoryExceeded,
            ),
            (
                "Container killed by YARN for exceeding memory limits. 5.6 GB of 5.5 GB physical memory used.",
                Removal::MemoryExceeded,
            ),
            ("Executor heartbeat timed out after 23543 ms", Removal::HeartbeatTimeout),
            ("Executor killed by driver.", Removal::KilledByDriver),
            ("Command exited with code 137", Removal::Exited { code: Some(137) }),
            ("Container container_1 on host: a was preempted.", Removal::Preempted),
            (
                "Unable to create executor due to Unable to register with external shuffle server due to : Failed to \
                 connect to ip-10-0-0-1/10.0.0.1:7337",
                Removal::FailedToStart,
            ),
            ("", Removal::Other),
            ("Something new", Removal::Other),
        ];
        for (words, removal) in cases {
            assert_eq!(Removal::parse(words), removal, "{words}");
        }
    }

    #[test]
    fn yarns_own_exit_statuses_say_what_no_words_do() {
        let exited = |code| Removal::Exited { code: Some(code) };
        for (status, removal) in [
            (-100, Removal::WorkerLost),
            (-101, exited(-101)),
            (-102, Removal::Preempted),
            (-103, Removal::MemoryExceeded),
            (-104, Removal::MemoryExceeded),
            (100, exited(100)),
        ] {
            let words = format!("Container marked as failed: c on host: h. Exit status: {status}. Diagnostics: .");
            assert_eq!(Removal::parse(&words), removal, "{status}");
        }
        // It took this one back unused.
        let completed = "Container c on host: h. Exit status: -100. Diagnostics: Container of a completed application";
        assert_eq!(Removal::parse(completed), exited(-100));
        let expired = "Container expired since it was unused";
        assert_eq!(Removal::parse(expired), Removal::Exited { code: None });
    }

    #[test]
    fn a_connection_that_broke_is_told_by_who_could_not_say_why() {
        let cases = [
            (
                "Remote RPC client disassociated. Likely due to containers exceeding thresholds, or network issues. \
                 Check driver logs for WARN messages.",
                Removal::Disconnected,
            ),
            ("Executor Process Lost", Removal::ProcessLost),
            ("Slave lost", Removal::ProcessLost),
            ("Agent lost", Removal::ProcessLost),
            ("Pending loss reason.", Removal::ProcessLost),
            ("AM is not yet registered.", Removal::NoApplicationMaster),
            (
                "Stale executor after cluster manager re-registered.",
                Removal::NoApplicationMaster,
            ),
        ];
        for (words, removal) in cases {
            assert_eq!(Removal::parse(words), removal, "{words}");
        }
    }

    #[test]
    fn what_an_executor_wrote_before_it_ended_is_not_why_it_ended() {
        let words = "Container from a bad node: container_1 on host: a. Exit status: 143. Diagnostics: [2024-05-01 \
                     10:00:00.123]Container killed on request. Exit code is 143\n[2024-05-01 10:00:00.124]Container \
                     exited with a non-zero exit code 143. Error file: prelaunch.err.\nLast 4096 bytes of stderr :\n\
                     WARN Executor: Decommission requested; Slave lost";
        assert_eq!(Removal::parse(words), Removal::Exited { code: Some(143) });
        let launch = "Container marked as failed: container_1 on host: a. Exit status: 1. Diagnostics: Exception from \
                      container-launch.\nheartbeat timed out";
        assert_eq!(Removal::parse(launch), Removal::Exited { code: Some(1) });
    }

    #[test]
    fn a_kind_is_called_as_in_json() {
        let mut kinds: Vec<Removal> = MEANINGS.iter().map(|(_, meaning)| meaning.clone()).collect();
        kinds.extend([Removal::Exited { code: Some(1) }, Removal::Other]);
        for removal in kinds {
            let json = serde_json::to_value(&removal).unwrap();
            let written = json.as_str().map_or_else(
                || json.as_object().unwrap().keys().next().unwrap().clone(),
                str::to_owned,
            );
            assert_eq!(written, removal.kind());
        }
    }
}
