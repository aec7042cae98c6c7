//! The event-log reader against real logs and against broken ones.
//!
//! `data/spark-event-logs/<case>/log` is a log that Spark wrote while nodes were taken away; `truth.json` beside it holds
//! what Spark's History Server says of that log over its REST API (`oracle`), and counts of those answers (`summary`).
//! `data/spark-log/<case>` are small logs put together by hand, each of one thing that can be wrong or said otherwise.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod causes;
mod damaged;
mod jobs;
mod kept;
mod lines;
mod logs;
mod packed;
mod removals;
mod small;
mod stages;
mod truth;
