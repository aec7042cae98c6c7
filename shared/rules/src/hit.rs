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
