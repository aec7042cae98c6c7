//! What was read of a step, before a report is made of it.

use aws::{Error, Meter};
use report::Missing;
use rules::cluster::Cluster;
use rules::step::Step;

use crate::experiments::Experiments;
use crate::recovery::Recovery;
use crate::refusal;

/// What was read of a step that ended, before it is put together.
pub(crate) struct Gathered {
    pub step: Step,
    pub cluster: Option<Cluster>,
    pub recovery: Recovery,
    pub experiments: Experiments,
    /// Runs since the report was begun.
    pub meter: Meter,
}

/// The value, or a note that it is missing and why.
pub(crate) fn or_missing<T>(result: Result<T, Error>, what: &str, missing: &mut Vec<Missing>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            missing.push(Missing {
                what: what.into(),
                why: refusal::why(&error, what),
            });
            None
        }
    }
}
