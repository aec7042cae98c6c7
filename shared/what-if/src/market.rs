//! How a Spot market takes capacity.
//!
//! Separate because it is an assumption, of three kinds: a rate, one of two named ones, or a trace that was recorded.

use fastrand::Rng;

use crate::course::{Hit, Victims};

/// A run is disturbed for at most so many times the time that it takes in peace.
const TIMES_MAX: f64 = 4.0;

const HOUR_MS: f64 = 3_600_000.0;

/// A market.
#[derive(Debug, Clone, PartialEq)]
pub enum Market {
    /// Each node is taken at a rate, independently of the moment.
    Rate {
        /// Nodes of the job.
        nodes: u32,
        /// How often a node is taken in an hour.
        hourly: f64,
        /// How many go at once: a pool's instances go together.
        together: u32,
    },
    /// Capacity as it was recorded, from a moment of it that is drawn for each run.
    Trace {
        /// Nodes of the job.
        nodes: u32,
        /// Moments, seconds, and the part of the capacity that was taken.
        drops: Vec<(f64, f64)>,
        /// How long the trace is, seconds.
        seconds: f64,
    },
}

impl Market {
    /// A band of the Spot Instance Advisor, which says what part of the instances was reclaimed in a month, at its upper
    /// end: under 5 %, 5 to 10, 10 to 15, 15 to 20 and above. <https://aws.amazon.com/ec2/spot/instance-advisor/>
    pub fn band(nodes: u32, upper: f64) -> Self {
        let hourly = -((1.0 - upper).ln()) / (30.0 * 24.0);
        Self::Rate {
            nodes,
            hourly,
            together: 1,
        }
    }

    /// A scarce type as traces of 2023 show it: half of the nodes an hour, half of the cluster at once. The traces are those
    /// of <https://github.com/skypilot-org/spot-traces>.
    pub fn busy(nodes: u32) -> Self {
        Self::Rate {
            nodes,
            hourly: 0.5,
            together: nodes.div_ceil(2),
        }
    }

    /// A trace: lines of seconds and instances that ran, with a comma between; other lines are passed over.
    pub fn trace(text: &str, nodes: u32) -> Option<Self> {
        let row = |line: &str| {
            let (seconds, running) = line.split_once(',')?;
            Some((seconds.trim().parse::<f64>().ok()?, running.trim().parse::<f64>().ok()?))
        };
        let rows: Vec<(f64, f64)> = text.lines().filter_map(row).collect();
        let most = rows.iter().map(|(_, running)| *running).fold(0.0, f64::max);
        let is_ascending = rows.windows(2).all(|pair| pair[0].0 <= pair[1].0);
        if rows.len() < 2 || most <= 0.0 || !is_ascending {
            return None;
        }
        let drops = rows.windows(2).filter(|pair| pair[1].1 < pair[0].1);
        Some(Self::Trace {
            nodes,
            drops: drops
                .map(|pair| (pair[1].0 - rows[0].0, (pair[0].1 - pair[1].1) / most))
                .collect(),
            seconds: rows[rows.len() - 1].0 - rows[0].0,
        })
    }

    /// What one run is hit by.
    pub(crate) fn hits(&self, rng: &mut Rng, calm_ms: u32) -> Vec<Hit> {
        let until_ms = f64::from(calm_ms) * TIMES_MAX;
        let mut hits = Vec::new();
        match self {
            Self::Rate {
                nodes,
                hourly,
                together,
            } => {
                let each_ms = HOUR_MS * f64::from(*together) / (hourly * f64::from(*nodes));
                let mut at_ms = 0.0;
                loop {
                    at_ms += -(1.0 - rng.f64()).ln() * each_ms;
                    if !at_ms.is_finite() || at_ms >= until_ms {
                        return hits;
                    }
                    hits.push(Hit {
                        at_ms: at_ms as u32,
                        victims: Victims::Random(*together),
                    });
                }
            }
            Self::Trace { nodes, drops, seconds } => {
                let from = rng.f64() * seconds;
                for (at, share) in drops {
                    // Round again from its beginning.
                    let after_ms = (at - from).rem_euclid(*seconds) * 1_000.0;
                    if after_ms < until_ms {
                        let count = (share * f64::from(*nodes)).round().max(1.0) as u32;
                        hits.push(Hit {
                            at_ms: after_ms as u32,
                            victims: Victims::Random(count),
                        });
                    }
                }
                hits.sort_by_key(|hit| hit.at_ms);
                hits
            }
        }
    }

    /// What it is, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Rate { hourly, together, .. } => {
                format!("each node is taken {hourly:.4} times an hour, {together} at once")
            }
            Self::Trace { drops, seconds, .. } => {
                format!("a trace of {:.1} hours with {} drops", seconds / 3_600.0, drops.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_takes_as_many_nodes_as_it_says() {
        // So many nodes, how often each goes in an hour, and how many go at once.
        for (nodes, hourly, together) in [(10, 0.5, 5), (4, 3.0, 1), (6, 1.0, 2)] {
            let market = Market::Rate {
                nodes,
                hourly,
                together,
            };
            let mut rng = Rng::with_seed(1);
            // A run is looked at for four times its length: an hour.
            let hits: Vec<Hit> = (0..2_000).flat_map(|_| market.hits(&mut rng, 900_000)).collect();
            assert!(
                hits.iter()
                    .all(|hit| hit.at_ms < 3_600_000 && hit.victims == Victims::Random(together))
            );
            let an_hour = hits.len() as f64 * f64::from(together) / 2_000.0;
            let off = an_hour / (hourly * f64::from(nodes)) - 1.0;
            assert!(off.abs() < 0.05, "{market:?}: {an_hour}");
            let middle = hits.iter().map(|hit| f64::from(hit.at_ms)).sum::<f64>() / hits.len() as f64;
            assert!(
                (middle / 1_800_000.0 - 1.0).abs() < 0.05,
                "at any moment alike: {middle}"
            );
        }
        let never = Market::Rate {
            nodes: 4,
            hourly: 0.0,
            together: 1,
        };
        assert_eq!(never.hits(&mut Rng::with_seed(1), 900_000), []);
    }

    #[test]
    fn of_a_band_so_many_nodes_stay_for_thirty_days_as_it_says() {
        for upper in [0.05, 0.1, 0.2] {
            let Market::Rate { hourly, together, .. } = Market::band(7, upper) else {
                panic!("it is a rate")
            };
            let stay = (-hourly * 720.0).exp();
            assert!((stay + upper - 1.0).abs() < 1e-9 && together == 1, "{upper}: {hourly}");
        }
    }

    #[test]
    fn a_trace_is_its_drops() {
        let market = Market::trace("seconds,running\n0,4\n300,4\n600,1\n900,4\n1200,4\n", 8).unwrap();
        let Market::Trace { drops, seconds, .. } = &market else {
            panic!("{market:?}")
        };
        assert_eq!((drops.as_slice(), *seconds), (&[(600.0, 0.75)][..], 1200.0));
        let hits = market.hits(&mut Rng::with_seed(3), 300_000);
        assert_eq!(hits.len(), 1);
        assert_eq!(hits[0].victims, Victims::Random(6));
    }

    #[test]
    fn a_trace_needs_two_moments_in_order_and_something_that_ran() {
        for (text, told) in [
            (
                "100,4\n160,5\n220,4\n220,4\n400,1\n",
                Some((vec![(120.0, 0.2), (300.0, 0.6)], 300.0)),
            ),
            ("0,4\n10,2\n", Some((vec![(10.0, 0.5)], 10.0))),
            ("0,2\n", None),
            ("0,0\n10,0\n", None),
            ("5,1\n4,1\n", None),
            ("no numbers\nat all\n", None),
        ] {
            let market = told.map(|(drops, seconds)| Market::Trace {
                nodes: 8,
                drops,
                seconds,
            });
            assert_eq!(Market::trace(text, 8), market, "{text:?}");
        }
    }

    #[test]
    fn a_run_meets_with_the_drops_that_follow_its_own_moment_and_after_the_last_with_the_first_again() {
        let market = Market::trace("0,10\n100,4\n200,10\n300,9\n400,10\n", 4).unwrap();
        let drawn = |seed| Rng::with_seed(seed).f64() * 400.0;
        let (mut early, mut late) = (0, 0);
        for seed in 0..200 {
            let hits = market.hits(&mut Rng::with_seed(seed), 50_000);
            let from = drawn(seed);
            // A run of fifty seconds is looked at for two hundred: half of the trace.
            assert_eq!(hits.len(), 1, "{from}");
            let (at, victims) = if (100.0..300.0).contains(&from) {
                early += 1;
                // A tenth of four nodes is one of them.
                (300.0 - from, 1)
            } else {
                late += 1;
                ((500.0 - from) % 400.0, 2)
            };
            assert!(
                (f64::from(hits[0].at_ms) / 1_000.0 - at).abs() < 0.01,
                "{from}: {hits:?}"
            );
            assert_eq!(hits[0].victims, Victims::Random(victims), "{from}");
        }
        assert!(early > 50 && late > 50, "{early} and {late}");
    }
}
