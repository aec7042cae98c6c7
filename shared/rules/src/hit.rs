//! One interrupted instance as a whole: what of it bears upon the verdict.

use serde::{Deserialize, Serialize};

use crate::bearing::Loss;
use crate::interruption::Interrupted;
use crate::replacement::Replacement;

/// One interrupted instance: who and when, what it took of the application, what came in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterruptionFacts {
    /// Who, when, by whom.
    #[serde(flatten)]
    pub interrupted: Interrupted,
    /// How it bears upon the run.
    #[serde(flatten)]
    pub loss: Loss,
    /// What became of its capacity.
    #[serde(flatten)]
    pub replacement: Replacement,
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::bearing::Bearing;
    use crate::cluster::Role;
    use crate::interruption::{Cause, LossWitness};
    use crate::replacement::Excuse;

    fn facts(cause: Cause, replacement: Replacement) -> InterruptionFacts {
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        InterruptionFacts {
            interrupted: Interrupted {
                instance_id: "i-1".into(),
                role: Some(Role::Task),
                instance_type: Some("r5.xlarge".into()),
                private_dns_name: Some("ip-10-0-0-7.ec2.internal".into()),
                pool_id: Some("if-1".into()),
                units: 4,
                noticed_at: at(100),
                warnings: 2,
                latency_ms: Some(900),
                terminated_at: at(220),
                terminated_told_by: Some(LossWitness::Yarn),
                cause,
                spot_status: Some("instance-terminated-by-experiment".into()),
                emr_reason: Some("INSTANCE_FAILURE: gone".into()),
            },
            loss: Loss {
                bearing: Bearing::Counts,
                held: vec!["executor 3".into()],
            },
            replacement,
        }
    }

    #[test]
    fn who_how_and_what_came_stand_side_by_side_in_json_and_none_hides_another() {
        let why = || "because".to_owned();
        let experiment = Cause::Experiment {
            experiment_id: "EXP1".into(),
        };
        let excuse = Excuse::AtTarget;
        let replaced = Replacement::Replaced {
            by: vec!["i-2".into()],
            listed_at: DateTime::from_timestamp(200, 0),
            ready_at: DateTime::from_timestamp(300, 0).unwrap(),
            seconds_after_notice: None,
            seconds_after_loss: -40,
        };
        for (cause, replacement) in [
            (experiment, replaced),
            (Cause::OtherExperiment, Replacement::NotReplaced { why: why() }),
            (Cause::Natural, Replacement::NotExpected { excuse, why: why() }),
            (Cause::Unknown, Replacement::Unknown { why: why() }),
        ] {
            let facts = facts(cause, replacement);
            let json = serde_json::to_string(&facts).unwrap();
            // A reader that is given a name twice keeps one of the two.
            for name in ["cause", "bearing", "held", "replacement", "why"] {
                assert!(json.matches(&format!("\"{name}\":")).count() <= 1, "{name}: {json}");
            }
            assert_eq!(serde_json::from_str::<InterruptionFacts>(&json).unwrap(), facts);
        }
    }
}
