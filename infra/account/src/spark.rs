//! Spark applications as a YARN cluster of EMR runs them: what was submitted, what it computes, its driver, its log.
//!
//! Separate from `yarn`, which owns nodes and containers: here is all that happens inside an application's containers.
//!
//! Divergences from real Spark, all on purpose: an application is one job, whose only result stage is the last of its
//! workload; there is no speculation, no delay scheduling, no adaptive execution and no memory pressure; executors
//! always start; every reduce task reads from every map output of its parents.

mod dag;
mod driver;
mod event_log;
mod executors;
mod json;
mod log_file;
mod loss;
mod settings;
mod stage;
mod submission;
mod task_lines;
mod tasks;
mod truth;
mod workload;

pub use driver::{Container, Driver, Identity, Outcome};
pub use settings::Settings;
pub use submission::Submission;
pub use truth::{ApplicationTruth, AttemptTruth, ExecutorTruth, LossTruth, StageAttemptTruth, StageStatus, TaskCounts};
pub use workload::{Failure, Placement, SideJob, StagePlan, Workload, Writes};
