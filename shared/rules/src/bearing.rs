//! Does an interruption bear upon the run? One rule of time for all: what counts is a loss inside the application's run
//! that took something of the application with it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::application::{Application, Run};
use crate::interruption::{Interrupted, NOTICE};

/// How an interruption bears upon the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bearing {
    /// The instance went while the application ran, with something of it, or with what nobody can tell.
    Counts,
    /// It went while the application ran, and its logs show that nothing of it was there.
    NothingThere,
    /// It was gone when the application began.
    BeforeTheRun,
    /// The application had ended when it went.
    AfterTheRun,
    /// It went when only the step is known to have run: its application may not have begun, or have gone on.
    NotKnown,
    /// By its notice it was due to go while the application ran, and nobody has seen yet that it did.
    Due,
    /// It was there still when last looked at.
    NotGone,
}

/// What an interruption took of the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// How it bears upon the run.
    pub bearing: Bearing,
    /// `driver`, `executor 3`, `shuffle output of executor 3`. Empty with [`Bearing::Counts`]: no log tells.
    #[serde(default)]
    pub held: Vec<String>,
}

impl Loss {
    /// Weighs one interruption. Pure and total.
    pub fn weigh(one: &Interrupted, run: &Run, application: Option<Application<'_>>) -> Self {
        let (bearing, held) = match one.terminated_at {
            None if one.noticed_at.is_some_and(|at| run.holds(at + NOTICE)) => (Bearing::Due, Vec::new()),
            None => (Bearing::NotGone, Vec::new()),
            Some(at) if !run.is_known_at(at) => (Bearing::NotKnown, Vec::new()),
            Some(at) if at < run.began_at => (Bearing::BeforeTheRun, Vec::new()),
            Some(at) if at >= run.ended_at => (Bearing::AfterTheRun, Vec::new()),
            Some(at) => held(one, at, application),
        };
        Self { bearing, held }
    }

    /// Did the instance go while the application ran, or may it have?
    pub fn may_be_inside(&self) -> bool {
        self.is_inside() || matches!(self.bearing, Bearing::NotKnown | Bearing::Due)
    }

    /// Did the instance go while the application ran?
    pub fn is_inside(&self) -> bool {
        matches!(self.bearing, Bearing::Counts | Bearing::NothingThere)
    }
}

fn held(one: &Interrupted, at: DateTime<Utc>, application: Option<Application<'_>>) -> (Bearing, Vec<String>) {
    let (Some(application), Some(host)) = (application, one.private_dns_name.as_deref()) else {
        return (Bearing::Counts, Vec::new());
    };
    let held = application.held_on(host, one.noticed_at, at);
    if held.is_empty() && application.is_whole() {
        (Bearing::NothingThere, held)
    } else {
        (Bearing::Counts, held)
    }
}
