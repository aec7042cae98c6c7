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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::RunWitness;
    use crate::cluster::Role;
    use crate::interruption::Cause;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// Noticed and gone at these times, during a run from 100 to 1000.
    fn bearing(noticed: Option<i64>, gone: Option<i64>) -> Bearing {
        let run = Run {
            began_at: at(100),
            begin_told_by: RunWitness::EventLog,
            ended_at: at(1000),
            end_told_by: RunWitness::EventLog,
            began_by: Some(at(100)),
            may_go_on: false,
        };
        let one = Interrupted {
            instance_id: "i-7".into(),
            role: Some(Role::Task),
            instance_type: None,
            private_dns_name: None,
            pool_id: None,
            units: 4,
            noticed_at: noticed.map(at),
            warnings: 1,
            latency_ms: None,
            terminated_at: gone.map(at),
            terminated_told_by: None,
            cause: Cause::Natural,
            spot_status: None,
            emr_reason: None,
        };
        Loss::weigh(&one, &run, None).bearing
    }

    #[test]
    fn what_goes_from_the_runs_first_moment_to_before_its_last_counts() {
        assert_eq!(bearing(None, Some(99)), Bearing::BeforeTheRun);
        assert_eq!(bearing(None, Some(100)), Bearing::Counts);
        assert_eq!(bearing(None, Some(999)), Bearing::Counts);
        assert_eq!(bearing(None, Some(1000)), Bearing::AfterTheRun);
    }

    /// Two minutes: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html>
    #[test]
    fn who_was_not_seen_to_go_was_due_two_minutes_after_the_notice() {
        for noticed in [-20, 879] {
            assert_eq!(bearing(Some(noticed), None), Bearing::Due, "noticed at {noticed}");
        }
        for noticed in [-21, 880] {
            assert_eq!(bearing(Some(noticed), None), Bearing::NotGone, "noticed at {noticed}");
        }
        assert_eq!(bearing(None, None), Bearing::NotGone, "nobody gave it notice");
    }

    #[test]
    fn inside_is_what_went_while_the_application_ran_and_maybe_inside_what_nobody_saw() {
        let told = |bearing| {
            let loss = Loss {
                bearing,
                held: Vec::new(),
            };
            (loss.is_inside(), loss.may_be_inside())
        };
        for bearing in [Bearing::Counts, Bearing::NothingThere] {
            assert_eq!(told(bearing), (true, true), "{bearing:?}");
        }
        for bearing in [Bearing::NotKnown, Bearing::Due] {
            assert_eq!(told(bearing), (false, true), "{bearing:?}");
        }
        for bearing in [Bearing::BeforeTheRun, Bearing::AfterTheRun, Bearing::NotGone] {
            assert_eq!(told(bearing), (false, false), "{bearing:?}");
        }
    }
}
