//! Many numbers as a few.
//!
//! Separate because each question is answered with it.

use serde::Serialize;

/// How numbers are spread. All are of the same unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Distribution {
    /// Their mean.
    pub mean: f64,
    /// A twentieth is at most this.
    pub p5: f64,
    /// Half are.
    pub p50: f64,
    /// Nine in ten are.
    pub p90: f64,
    /// Nineteen in twenty are.
    pub p95: f64,
    /// Ninety-nine in a hundred are.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Distribution {
    /// Of these numbers; all zero if there are none.
    pub fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let Some(max) = sorted.last().copied() else {
            return Self::default();
        };
        // The smallest number that so many are at most.
        let at = |part: f64| sorted[((part * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1];
        Self {
            mean: round(sorted.iter().sum::<f64>() / sorted.len() as f64),
            p5: round(at(0.05)),
            p50: round(at(0.5)),
            p90: round(at(0.9)),
            p95: round(at(0.95)),
            p99: round(at(0.99)),
            max: round(max),
        }
    }
}

/// To thousandths, which is as far as milliseconds carry.
pub(crate) fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// Milliseconds as seconds.
pub(crate) fn seconds(milliseconds: impl Into<u64>) -> f64 {
    milliseconds.into() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numbers_that_occurred() {
        let spread = Distribution::of((1..=100).rev().map(f64::from));
        assert_eq!(
            (spread.p5, spread.p50, spread.p90, spread.p99, spread.max),
            (5.0, 50.0, 90.0, 99.0, 100.0)
        );
        assert_eq!(Distribution::of([7.0].into_iter()).p5, 7.0);
        assert_eq!(Distribution::of(std::iter::empty()), Distribution::default());
    }
}
