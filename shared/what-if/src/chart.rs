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
    use crate::distribution::Distribution;

    #[test]
    fn ticks_are_round_numbers() {
        for (most, expected) in [(100.0, 20.0), (7.3, 1.0), (0.9, 0.2), (4_000.0, 500.0)] {
            assert!((step(most, 8.0) - expected).abs() < 1e-9, "{most}: {}", step(most, 8.0));
        }
    }

    fn chart(curve: Vec<Part>) -> Chart {
        Chart::of(&Answer {
            curve,
            ..Answer::blank()
        })
    }

    #[test]
    fn bars_of_failures_stand_on_the_strips_ground_one_unit_apart() {
        let parts = [(0.0, 50.0, 0.5), (50.0, 75.0, 1.0), (75.0, 100.0, 0.0)];
        let chart = chart(
            parts
                .map(|(from, to, failed)| Part::that_fails(from, to, failed))
                .into(),
        );
        // The ground is where the page's grid ends.
        let ground = 250.0;
        let edges: Vec<_> = chart
            .failures
            .iter()
            .map(|(left, top, width, high, _)| (*left, left + width, *high, top + high))
            .collect();
        assert_eq!(
            edges,
            [(60.0, 524.0, 18.0, ground), (525.0, 756.5, 36.0, ground)],
            "of a hundred seconds from 60 to 990"
        );
        assert_eq!(chart.failures[0].4, "50.0 % fail when hit from 0 to 50 s");
    }

    #[test]
    fn a_bar_is_seen_however_seldom_runs_fail_and_however_short_the_part_is() {
        let chart = chart(vec![Part::that_fails(10.0, 10.01, 0.001)]);
        let (_, top, width, high, _) = chart.failures[0];
        assert_eq!((width, high, top + high), (1.0, 2.0, 250.0));
    }

    #[test]
    fn the_line_is_the_median_and_the_band_goes_out_above_it_and_back_below() {
        let part = |from, to, (p5, p50, p90)| Part {
            added_seconds: Distribution {
                p5,
                p50,
                p90,
                ..Distribution::default()
            },
            ..Part::that_fails(from, to, 0.99)
        };
        let chart = chart(vec![
            part(0.0, 50.0, (-1.0, 5.0, 10.0)),
            part(50.0, 100.0, (2.5, 5.0, 7.5)),
        ]);
        // Nothing added is at 204, the most at 14.
        assert_eq!(chart.median, "292.5,109.0 757.5,109.0");
        assert_eq!(chart.band, "292.5,14.0 757.5,61.5 757.5,156.5 292.5,204.0");
        let labels = [(204.0, "+0.0 s"), (109.0, "+5.0 s"), (14.0, "+10.0 s")];
        assert_eq!(chart.y_ticks, labels.map(|(y, label)| (y, label.to_owned())));
        let ends = [&chart.x_ticks[0], &chart.x_ticks[5]].map(|(x, label)| (*x, label.as_str()));
        assert_eq!(
            (ends, chart.x_ticks.len()),
            ([(60.0, "0.0 s"), (990.0, "1 min 40 s")], 6)
        );
    }

    #[test]
    fn where_every_run_fails_there_is_no_point_of_the_line() {
        let chart = chart([0.5, 1.0].map(|failed| Part::that_fails(0.0, 50.0, failed)).into());
        assert_eq!(chart.median, "292.5,204.0");
    }
}
