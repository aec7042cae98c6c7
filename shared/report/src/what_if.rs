//! What the losses would have done at another moment of the run: simulated from the run's own event log, never measured.
//!
//! The simulation is the crate `what-if`, which write-report asks: a report holds what came of it, and how much of that is
//! assumed.

use serde::{Deserialize, Serialize};

/// What another moment would have come to, or why that is not said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WhatIf {
    /// What it comes to.
    Told(Box<Elsewhen>),
    /// Nothing is said.
    NotSaid {
        /// Why, in words.
        not_said_because: String,
    },
}

impl WhatIf {
    /// Nothing is said, for this reason.
    pub fn not_said(why: impl Into<String>) -> Self {
        Self::NotSaid {
            not_said_because: why.into(),
        }
    }
}

/// The same losses at other moments of the same run. Moments are seconds after the application's start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Elsewhen {
    /// Simulated runs, their hits spread evenly over the run.
    pub runs: u32,
    /// Their seed, by the cluster's and the step's ids: the same log gives the same numbers.
    pub seed: u32,
    /// Instances that go at once in each.
    pub instances: u32,
    /// How long before it goes an instance is told.
    pub notice_seconds: f64,
    /// From an instance's end to its replacement's executors; `None`: nothing comes.
    pub replaced_after_seconds: Option<f64>,
    /// Whether that is what this drill's own replacements took.
    pub replaced_as_seen: bool,
    /// How long the application ran, by the log.
    pub logged_seconds: f64,
    /// How long it takes when it is played again as it was.
    pub replayed_seconds: f64,
    /// How long it takes without any loss.
    pub undisturbed_seconds: f64,
    /// When the first instance of this drill went, if that is known.
    #[serde(default)]
    pub hit_at_seconds: Option<f64>,
    /// The share of the runs that fail.
    pub failed: f64,
    /// How much longer half of those that do not fail take, at least.
    pub added_seconds_p50: f64,
    /// One in ten.
    pub added_seconds_p90: f64,
    /// The run in parts, and what a hit in each comes to.
    pub parts: Vec<Part>,
    /// What was taken for granted.
    pub assumed: Vec<String>,
}

/// A part of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// From when.
    pub from_seconds: f64,
    /// To when.
    pub to_seconds: f64,
    /// Simulated runs that were hit in it.
    pub runs: usize,
    /// The share of them that fail.
    pub failed: f64,
    /// How much longer half of the others take, at least.
    pub added_seconds_p50: f64,
    /// One in ten.
    pub added_seconds_p90: f64,
    /// The stage that ran most often when the hit came, as Spark's pages call it.
    pub stage: Option<String>,
}

impl Elsewhen {
    /// What a hit in a part costs, in seconds: a run that fails is done again.
    pub(crate) fn cost(&self, part: &Part) -> f64 {
        part.failed * self.undisturbed_seconds + (1.0 - part.failed) * part.added_seconds_p50
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_costs_the_time_that_it_adds_and_a_run_that_fails_costs_another() {
        let told = Elsewhen {
            runs: 100,
            seed: 1,
            instances: 1,
            notice_seconds: 120.0,
            replaced_after_seconds: None,
            replaced_as_seen: false,
            logged_seconds: 610.0,
            replayed_seconds: 605.0,
            undisturbed_seconds: 600.0,
            hit_at_seconds: None,
            failed: 0.1,
            added_seconds_p50: 7.0,
            added_seconds_p90: 9.0,
            parts: Vec::new(),
            assumed: Vec::new(),
        };
        for (failed, seconds) in [(0.0, 40.0), (1.0, 600.0), (0.25, 180.0)] {
            let part = Part {
                from_seconds: 0.0,
                to_seconds: 60.0,
                runs: 10,
                failed,
                added_seconds_p50: 40.0,
                added_seconds_p90: 90.0,
                stage: None,
            };
            assert!(
                (told.cost(&part) - seconds).abs() < 1e-9,
                "{failed}: {}",
                told.cost(&part)
            );
        }
    }

    #[test]
    fn why_nothing_is_said_stands_in_the_report() {
        let not_said = WhatIf::not_said("the log breaks off");
        let json = serde_json::to_value(&not_said).unwrap();
        assert_eq!(json, serde_json::json!({"not_said_because": "the log breaks off"}));
        assert_eq!(serde_json::from_value::<WhatIf>(json).unwrap(), not_said);
    }
}
