//! What is said of a log where the question has no answer.
//!
//! Separate from the answer because whoever reads it has to tell the two apart: this one says why.

use serde::Serialize;
use spark_log::SparkRun;

use crate::answer::{Application, SCHEMA};
use crate::ask::{Error, application, replayed_ms};
use crate::course::Surroundings;
use crate::distribution::seconds;
use crate::reach::{gaps, span};
use crate::rebuild::rebuild;

/// What is said of a log that cannot be disturbed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Untold {
    /// The schema's version, as an answer's.
    pub schema: &'static str,
    /// What the log says of itself; nothing where it cannot be rebuilt.
    pub application: Option<Application>,
    /// How long the run took, by the log; nothing where it tells of no moment.
    pub logged_seconds: Option<f64>,
    /// How long it takes when it is played again; nothing where it cannot be.
    pub replayed_seconds: Option<f64>,
    /// Why it is not said what losses would do.
    pub not_said_because: String,
    /// How far the log carries.
    pub carries: Vec<String>,
}

impl Untold {
    /// Of this log, which must have been read with its task attempts, `tasks_max` of them at most.
    pub fn of(run: &SparkRun, tasks_max: usize, why: &Error) -> Self {
        let logged = rebuild(run, tasks_max).ok();
        let replayed = logged
            .as_ref()
            .and_then(|plan| replayed_ms(plan, &Surroundings::default()));
        let lasted_ms = span(run).map(|(from_ms, to_ms)| to_ms.saturating_sub(from_ms).unsigned_abs());
        Self {
            schema: SCHEMA,
            application: logged.as_ref().map(|plan| application(run, plan)),
            logged_seconds: lasted_ms.map(seconds),
            replayed_seconds: replayed.map(seconds),
            not_said_because: why.to_string(),
            carries: gaps(run),
        }
    }
}
