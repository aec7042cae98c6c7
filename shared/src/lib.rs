//! What the four functions have in common.
//!
//! # Layout
//!
//! Pure, in the order in which data flows:
//!
//! * [`event`]: what comes in;
//! * [`step`], [`cluster`]: what EMR says of the step and of the cluster's capacity; [`job`]: whose run it is;
//! * [`victim`]: whom an experiment interrupts; [`place`]: where a step may write to;
//! * [`drill`]: a drill's life; [`ledger`]: the items and their keys;
//! * [`spark_log`]: what Spark's event log says of one attempt; [`application`]: of the run that counts;
//! * [`interruption`], [`bearing`]: who was hit, when, by whom, and what of the application went with it;
//! * [`replacement`], [`capacity`]: what came in their place;
//! * [`cause`], [`verdict`], [`finding`]: what it comes to;
//! * [`report`]: all of it as JSON and as a page;
//! * [`outcome`], [`error`], [`config`]: what an invocation answers, and its settings; [`metrics`]: what of it is counted.
//!
//! And the only part that talks to AWS: [`aws`].

pub mod application;
pub mod aws;
pub mod bearing;
pub mod capacity;
pub mod cause;
pub mod cluster;
pub mod config;
pub mod drill;
pub mod error;
pub mod event;
pub mod finding;
pub mod interruption;
pub mod invocation;
pub mod job;
pub mod ledger;
pub mod metrics;
pub mod outcome;
pub mod place;
pub mod replacement;
pub mod report;
pub mod spark_log;
pub mod step;
pub mod verdict;
pub mod victim;

pub use aws::Aws;
pub use error::Error;
pub use outcome::Outcome;
