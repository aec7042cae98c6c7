//! How a run is disturbed: what is hit when, what is told before, and what comes back.
//!
//! Separate because it is all that one simulated run has of its own; the plan is the same for all.

use std::sync::Arc;

use rules::verdict::Verdict;

/// Who is hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Victims {
    /// So many nodes, drawn among those that may be hit.
    Random(u32),
    /// So many of those that hold most shuffle output.
    MostOutput(u32),
    /// All nodes of a zone that may be hit.
    Zone {
        /// Its name.
        name: String,
        /// The nodes of the log that lie in it.
        hosts: Arc<[String]>,
    },
    /// The driver's node.
    Driver,
    /// All nodes that may be hit.
    All,
}

/// A moment at which nodes are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// When they are gone, ms from the application's start.
    pub at_ms: u32,
    /// Who.
    pub victims: Victims,
}

/// What happens around every hit.
#[derive(Debug, Clone, PartialEq)]
pub struct Surroundings {
    /// How long before it goes a node is told, ms; Spot gives two minutes.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html>
    pub notice_ms: u32,
    /// From a node's loss to its replacement's executors, ms; none if nothing comes.
    pub replaced_after_ms: Option<u32>,
    /// By how much that time varies: drawn evenly from this part less to this part more.
    pub replaced_spread: f64,
    /// From a driver's loss to the next one's first line, ms, where YARN starts it again.
    pub driver_again_ms: u32,
    /// Whether the driver's node may be hit.
    pub driver_may_go: bool,
    /// Nodes that are never hit, by their names.
    pub nodes_that_stay: Vec<String>,
    /// Whether shuffle output lies where no loss of a node reaches it.
    pub output_is_safe: bool,
    /// A stage whose output is also written to where nothing is lost.
    pub checkpoint: Option<usize>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            notice_ms: 120_000,
            replaced_after_ms: Some(180_000),
            replaced_spread: 0.3,
            driver_again_ms: 30_000,
            driver_may_go: true,
            nodes_that_stay: Vec::new(),
            output_is_safe: false,
            checkpoint: None,
        }
    }
}

/// How a simulated run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Finished,
    /// A stage failed too often in a row: its place in the plan.
    StageGivenUp(usize),
    /// Its driver went, and was not started again.
    DriverLost,
    /// No executor was left, and none was to come.
    NoExecutors,
}

/// What a simulated run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// When, ms from the application's start.
    pub run_ms: u32,
    /// Task time thrown away, ms: of tasks that failed, that were computed again, or that ran twice.
    pub lost_task_ms: u64,
    /// Time of executors' slots, ms, from their coming to their end.
    pub slot_ms: u64,
    /// Stage attempts that failed.
    pub stages_failed: u32,
    /// Stage attempts beyond each stage's first.
    pub stages_again: u32,
    /// Task attempts that began.
    pub tasks: u32,
    /// Nodes that went.
    pub nodes_lost: u32,
    /// Whether a driver went.
    pub driver_lost: bool,
    /// Whether a node that went took something of the application with it.
    pub held: bool,
    /// Whether a node that went had nothing in its place when the run ended, and something should have been.
    pub not_replaced: bool,
    /// The stage that ran, and was the last in the plan, when the first node went.
    pub stage_hit: Option<usize>,
}

impl Outcome {
    /// What a drill would be told of a run like this: [`rules::verdict::judge`] in as far as its course decides it.
    pub fn verdict(&self) -> Verdict {
        match self.ending {
            _ if !self.held => Verdict::Inconclusive,
            Ending::Finished if self.driver_lost || self.not_replaced => Verdict::Degraded,
            Ending::Finished => Verdict::Survived,
            Ending::StageGivenUp(_) | Ending::DriverLost | Ending::NoExecutors => Verdict::Failed,
        }
    }
}
