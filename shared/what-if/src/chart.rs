//! The curve over the run, as the page draws it.
//!
//! Separate from the page because it is geometry.

use crate::answer::{Answer, Part};
use crate::page::{percent, time};

/// The chart's size, in the units of its view box.
const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 14.0;
const HEIGHT: f64 = 190.0;
/// Failures are drawn in a strip of their own below.
const STRIP: f64 = 36.0;

/// The curve over the run.
pub(crate) struct Chart {
    /// The medians: the points of a line.
    pub(crate) median: String,
    /// From a twentieth to nine tenths: the points of an area.
    pub(crate) band: String,
    /// Bars: left, top, width, height, and words.
    pub(crate) failures: Vec<(f64, f64, f64, f64, String)>,
    /// Places and labels.
    pub(crate) x_ticks: Vec<(f64, String)>,
    /// Places and labels.
    pub(crate) y_ticks: Vec<(f64, String)>,
}

impl Chart {
    /// Of this answer.
    pub(crate) fn of(answer: &Answer) -> Self {
        let run = answer.undisturbed_seconds.max(0.001);
        let most = answer
            .curve
            .iter()
            .map(|part| part.added_seconds.p90)
            .fold(1.0, f64::max);
        let x = |at: f64| LEFT + at / run * (WIDTH - LEFT - 10.0);
        let y = |added: f64| TOP + HEIGHT - added.max(0.0) / most * HEIGHT;
        let parts: Vec<_> = answer.curve.iter().filter(|part| part.failed < 1.0).collect();
        let middle = |part: &Part| x(f64::midpoint(part.from_seconds, part.to_seconds));
        let point = |(at, y): (f64, f64)| format!("{at:.1},{y:.1}");
        let medians = parts
            .iter()
            .map(|part| point((middle(part), y(part.added_seconds.p50))));
        let upper = parts
            .iter()
            .map(|part| point((middle(part), y(part.added_seconds.p90))));
        let lower = parts
            .iter()
            .rev()
            .map(|part| point((middle(part), y(part.added_seconds.p5))));
        let base = TOP + HEIGHT + 10.0;
        let failures = answer.curve.iter().filter(|part| part.failed > 0.0).map(|part| {
            let high = (part.failed * STRIP).max(2.0);
            let (left, right) = (x(part.from_seconds), x(part.to_seconds));
            let words = format!(
                "{} fail when hit from {} to {} s",
                percent(part.failed),
                part.from_seconds,
                part.to_seconds
            );
            (left, base + STRIP - high, (right - left - 1.0).max(1.0), high, words)
        });
        let ticks = |most: f64, steps: f64| {
            let step = step(most, steps);
            (0..=(most / step) as u32).map(move |at| f64::from(at) * step)
        };
        Self {
            median: medians.collect::<Vec<_>>().join(" "),
            band: upper.chain(lower).collect::<Vec<_>>().join(" "),
            failures: failures.collect(),
            x_ticks: ticks(run, 8.0).map(|at| (x(at), time(at))).collect(),
            y_ticks: ticks(most, 4.0).map(|at| (y(at), format!("+{}", time(at)))).collect(),
        }
    }
}

/// A number of seconds that makes about so many steps up to `most`.
fn step(most: f64, steps: f64) -> f64 {
    let rough = (most / steps).max(0.001);
    let power = 10_f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|times| times * power >= rough)
        .unwrap_or(10.0);
    times * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        for (most, expected) in [(100.0, 20.0), (7.3, 1.0), (0.9, 0.2), (4_000.0, 500.0)] {
            assert!((step(most, 8.0) - expected).abs() < 1e-9, "{most}: {}", step(most, 8.0));
        }
    }
}
