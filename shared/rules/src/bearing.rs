//! Does an interruption bear upon the run? One rule of time for all: what counts is a loss inside the application's run
//! that took something of the application with it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::application::{Application, Run};
use crate::interruption::{Interrupted, NOTICE};
use crate::words::list;

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

/// Executors named of one kind at most.
const NAMED_MAX: usize = 8;

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

    /// What went with it, in words: `the driver and executor 7`, `the driver, executors 15 and 17`.
    pub fn held_in_words(&self) -> String {
        let mut kinds: Vec<(String, Vec<String>)> = Vec::new();
        for held in &self.held {
            let (kind, name) = match held.rsplit_once("executor ") {
                Some((before, id)) => (format!("{before}executor"), Some(id.to_owned())),
                None => (format!("the {held}"), None),
            };
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, names)) => names.extend(name),
                None => kinds.push((kind, name.into_iter().collect())),
            }
        }
        let between = if kinds.iter().all(|(_, names)| names.len() < 2) {
            " and "
        } else {
            ", "
        };
        let said = kinds.into_iter().map(|(kind, names)| match names.as_slice() {
            [] => kind,
            [one] => format!("{kind} {one}"),
            several => format!("{kind}s {}", list(several, NAMED_MAX)),
        });
        said.collect::<Vec<String>>().join(between)
    }
}

fn held(one: &Interrupted, at: DateTime<Utc>, application: Option<Application<'_>>) -> (Bearing, Vec<String>) {
    let (Some(application), Some(host)) = (application, one.private_dns_name.as_deref()) else {
        return (Bearing::Counts, Vec::new());
    };
    let held = application.held_on(host, one.noticed_at, at);
    if held.is_empty() && application.tells_of(at) {
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
            ran_until: None,
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
    fn what_went_is_said_kind_by_kind() {
        let said = |held: &[&str]| {
            let held = held.iter().map(|name| (*name).to_owned()).collect();
            let bearing = Bearing::Counts;
            Loss { bearing, held }.held_in_words()
        };
        assert_eq!(said(&[]), "");
        assert_eq!(said(&["executor 7"]), "executor 7");
        assert_eq!(said(&["driver", "executor 7"]), "the driver and executor 7");
        assert_eq!(
            said(&["driver", "executor 15", "executor 17"]),
            "the driver, executors 15 and 17"
        );
        assert_eq!(
            said(&[
                "executor 9",
                "shuffle output of executor 3",
                "shuffle output of executor 4"
            ]),
            "executor 9, shuffle output of executors 3 and 4"
        );
        let many: Vec<String> = (0..10).map(|id| format!("executor {id}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(said(&many), "executors 0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
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
