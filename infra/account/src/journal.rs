//! The one record of a simulated run: every call, event, transition and invocation with its virtual time.
//!
//! Separate because everything writes to it and everything that judges a run (tests, the live display, the
//! comparison of two runs of one seed) reads it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

/// What sort of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A client called an AWS operation.
    Call,
    /// An event reached the default event bus.
    Event,
    /// A function was invoked, or ended.
    Invocation,
    /// A simulated resource changed its state.
    Transition,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Virtual time.
    pub at: DateTime<Utc>,
    /// What sort of thing.
    pub kind: Kind,
    /// Where: a simulated service (`ec2`, `emr`, `fis`, `spark`, …) or a function's name.
    pub source: String,
    /// The resource that it is about: an instance id, a step id, an operation's name for a call.
    pub subject: String,
    /// What happened, in a few words for people.
    pub text: String,
    /// The facts, for machines; `null` where the text says it all.
    pub data: Value,
}

/// All entries of a run, in the order in which they happened.
#[derive(Debug, Default, Clone)]
pub struct Journal {
    entries: Vec<Entry>,
    omits_calls: bool,
}

impl Journal {
    /// From now on calls are not kept: an account that is served for days must not grow with what it is asked.
    pub fn omit_calls(&mut self) {
        self.omits_calls = true;
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: Entry) {
        if !(self.omits_calls && entry.kind == Kind::Call) {
            self.entries.push(entry);
        }
    }

    /// All entries so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
