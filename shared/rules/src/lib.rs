//! What a drill is, whom it may hit, and what it comes to: decided from facts, with no call of anything.
//!
//! # Layout
//!
//! In the order in which data flows:
//!
//! * [`event`]: what comes in;
//! * [`step`], [`cluster`]: what EMR says of the step and of the cluster's capacity; [`job`]: whose run it is;
//! * [`victim`]: whom an experiment interrupts; [`place`]: where a step may write to, as [`s3_location`]s;
//! * [`drill`]: a drill's life, and what it [`used`] of ours; [`ledger`]: the items and their keys;
//! * [`application`]: the run that counts, of those that Spark's event log tells of;
//! * [`interruption`], [`bearing`]: who was hit, when, by whom, and what of the application went with it;
//! * [`replacement`], [`capacity`]: what came in their place; [`hit`]: one interrupted instance as a whole;
//! * [`cause`], [`verdict`]: what it comes to; [`words`]: numbers and lists as one says them.

pub mod application;
pub mod bearing;
pub mod capacity;
pub mod cause;
pub mod cluster;
pub mod drill;
pub mod event;
pub mod hit;
pub mod interruption;
pub mod job;
pub mod ledger;
pub mod place;
pub mod replacement;
pub mod s3_location;
pub mod step;
pub mod used;
pub mod verdict;
pub mod victim;
pub mod words;
