//! What interruptions would do to a Spark job, from its own event log.
//!
//! A crate of its own, and pure: no AWS, no clock, no task runtime. `program` is what the program `what-if` adds.
//!
//! # Layout
//!
//! * `reach`: how far a log carries; `rebuild`, `executors`: its facts to a `plan`: a run that can be played again; `facts`:
//!   what follows from it.
//! * `course`: how a run is disturbed, and what it came to; `market`: how often that happens.
//! * `simulation`: one run, played: `queue`, `stage` for what it keeps; `schedule`, `loss`, `speculation` for what happens; `chance`, `pace`,
//!   `warmth`: what differs from one time to the next. What Spark
//!   does when a node goes is in the crate `spark_rules`, which the simulated account obeys too; what a verdict is, and how
//!   long a lost node may stay away before it costs one, in `rules`, which the reports obey.
//! * `experiment`: many runs; `remedy`: the same with one change each; `distribution`, `answer`: what they come to; `ask`:
//!   from a question to the answer; `untold`: where there is none; `page`, `chart`: the answer for people.

mod answer;
mod ask;
mod chance;
mod chart;
mod cluster;
mod course;
mod distribution;
mod executors;
mod experiment;
mod facts;
mod loss;
mod market;
mod pace;
pub mod page;
mod plan;
#[cfg(feature = "program")]
pub mod program;
mod queue;
mod reach;
mod rebuild;
mod remedy;
mod schedule;
mod simulation;
mod speculation;
mod stage;
mod untold;
mod warmth;

pub use answer::{Answer, Application, ByVictims, Month, Part, Question, Spread, Verdicts};
pub use ask::{Asked, Error, MarketChoice, MonthAsked, Replaced, ask, runs_at_most};
pub use cluster::{Cluster, Undescribed};
pub use course::{Ending, Hit, Outcome, Surroundings, Victims};
pub use distribution::Distribution;
pub use experiment::{Disturbance, Experiment, Run};
pub use facts::Facts;
pub use market::Market;
pub use pace::{Pace, pace_of};
pub use plan::{Anchor, End, Executor, Job, Plan, Stage};
pub use reach::Unfit;
pub use rebuild::rebuild;
pub use remedy::{Effect, Remedy, effects, remedies};
pub use simulation::Simulation;
pub use untold::Untold;
