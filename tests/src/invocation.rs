//! A function's invocations, as the journal tells of them: when, about which resources, and to what end.
//!
//! Separate because the journal says a begin and an end, and checkers ask for both at once.

use std::collections::BTreeMap;

use account::journal::{Entry, Kind};
use chrono::{DateTime, Utc};
use local::world::State;
use serde_json::Value;

/// One that has ended.
pub(crate) struct Invocation<'a> {
    pub(crate) begun_at: DateTime<Utc>,
    end: &'a Entry,
    about: Vec<&'a str>,
}

impl<'a> Invocation<'a> {
    /// All of a function's.
    pub(crate) fn all(state: &'a State, function: &str) -> Vec<Self> {
        let mut begun: BTreeMap<&str, &Entry> = BTreeMap::new();
        let mut found = Vec::new();
        let entries = state.account.journal.entries().iter();
        for entry in entries.filter(|entry| entry.kind == Kind::Invocation && entry.source == function) {
            if entry.text == "begins" {
                begun.insert(&entry.subject, entry);
            } else if let Some(begin) = begun.remove(entry.subject.as_str()) {
                let about = begin.data["about"].as_array().into_iter().flatten();
                found.push(Self {
                    begun_at: begin.at,
                    end: entry,
                    about: about.filter_map(Value::as_str).collect(),
                });
            }
        }
        found
    }

    pub(crate) fn ended_at(&self) -> DateTime<Utc> {
        self.end.at
    }

    /// Was it told of this instance, or of this step?
    pub(crate) fn is_about(&self, id: &str) -> bool {
        self.about.contains(&id)
    }

    /// Did it come to its own end, and that without a message of its batch that comes again?
    pub(crate) fn did_all(&self) -> bool {
        let failures = self.end.data["batchItemFailures"].as_array();
        self.end.text.starts_with("ends") && failures.is_none_or(Vec::is_empty)
    }
}
