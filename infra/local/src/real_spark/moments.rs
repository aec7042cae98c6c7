//! The machine's time of day, as the account's.
//!
//! Separate because Spark's log tells the one, and the report is of the other.

use std::time::SystemTime;

use account::api::Time;
use chrono::TimeDelta;

/// From when on, and how fast, the account's time follows the machine's.
#[derive(Debug, Clone, Copy)]
struct Pace {
    real: Time,
    virtually: Time,
    factor: u32,
}

/// The paces of a run, each from its begin on.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    first: Pace,
    later: Vec<Pace>,
}

impl Moments {
    /// The account's time is `virtually` now, and passes `factor` times as fast as the machine's.
    pub(super) fn begin(virtually: Time, factor: u32) -> Self {
        Self {
            first: Pace::now(virtually, factor),
            later: Vec::new(),
        }
    }

    /// From now on it passes so many times as fast.
    pub(super) fn change(&mut self, virtually: Time, factor: u32) {
        self.later.push(Pace::now(virtually, factor));
    }

    /// The account's time at a moment of the machine's.
    pub(super) fn at(&self, real: Time) -> Time {
        let begun = self.later.iter().rev().find(|pace| pace.real <= real);
        let pace = begun.unwrap_or(&self.first);
        let since = (real - pace.real).num_milliseconds();
        pace.virtually + TimeDelta::milliseconds(since.saturating_mul(i64::from(pace.factor)))
    }

    /// The same in ms since the epoch.
    pub(super) fn at_ms(&self, real_ms: i64) -> i64 {
        Time::from_timestamp_millis(real_ms).map_or(real_ms, |real| self.at(real).timestamp_millis())
    }
}

impl Pace {
    #[expect(
        clippy::disallowed_methods,
        reason = "real Spark reads the machine's clock, and its times are to be understood"
    )]
    fn now(virtually: Time, factor: u32) -> Self {
        Self {
            real: SystemTime::now().into(),
            virtually,
            factor,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Paces, each with when it began on both clocks, in ms.
    pub(in super::super) fn moments(paces: &[(i64, i64, u32)]) -> Moments {
        let at = |ms| Time::from_timestamp_millis(ms).unwrap();
        let mut paces = paces.iter().map(|(real, virtually, factor)| Pace {
            real: at(*real),
            virtually: at(*virtually),
            factor: *factor,
        });
        Moments {
            first: paces.next().unwrap(),
            later: paces.collect(),
        }
    }

    #[test]
    fn each_pace_counts_from_its_begin_on() {
        let moments = moments(&[(10_000, 1_000_000, 1), (12_000, 1_002_000, 10)]);
        for (real, virtually) in [
            (9_000, 999_000),
            (11_999, 1_001_999),
            (12_000, 1_002_000),
            (12_500, 1_007_000),
        ] {
            assert_eq!(moments.at_ms(real), virtually, "{real}");
        }
    }
}
