//! No harm, and nothing lost: each guard against interrupting, emptying or forgetting what must not be, in a story that
//! shows what happens without it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod answers;
mod applications;
mod between;
mod busy;
mod concurrency;
mod drills;
mod emptied;
mod index;
mod interim;
mod ledger;
mod opt_in;
mod pages;
mod places;
mod reports;
mod rows;
mod spellings;
mod staging;
mod storm;
mod submission;
mod sweep;
mod template;
mod turns;
mod victims;
mod waits;
