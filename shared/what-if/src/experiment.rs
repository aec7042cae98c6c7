//! Many runs of one plan, each disturbed in its own way, on several threads.
//!
//! Separate because what a run is hit by must follow from the seed and the run's number alone: then two plans can be
//! compared run by run, and the number of threads changes nothing.

use std::sync::atomic::{AtomicU32, Ordering};

use fastrand::Rng;

use crate::course::{Ending, Hit, Outcome, Surroundings, Victims};
use crate::facts::Facts;
use crate::market::Market;
use crate::plan::Plan;
use crate::simulation::Simulation;

/// When runs are hit, and by what.
#[derive(Debug, Clone, PartialEq)]
pub enum Disturbance {
    /// Once each, the moments spread evenly from one to the other, ms.
    Swept {
        /// The first moment.
        from_ms: u32,
        /// The last moment.
        to_ms: u32,
        /// Who is hit.
        victims: Victims,
    },
    /// As often as a market takes capacity.
    Market(Market),
}

/// So many runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// How many.
    pub runs: u32,
    /// The seed of them all.
    pub seed: u64,
    /// What happens to each.
    pub disturbance: Disturbance,
    /// On so many threads.
    pub threads: usize,
}

/// One run of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// When it was hit first; none if it was not.
    pub hit_ms: Option<u32>,
    /// What it came to.
    pub outcome: Outcome,
    /// How long it would have taken on the same machines in peace, ms, but for the chance of each task.
    pub calm_ms: u32,
}

impl Run {
    /// How long it takes until the work is done, ms: a run that failed is done again in peace.
    pub fn until_done_ms(&self) -> u64 {
        let again_ms = if self.outcome.ending == Ending::Finished {
            0
        } else {
            self.calm_ms
        };
        u64::from(self.outcome.run_ms) + u64::from(again_ms)
    }
}

impl Experiment {
    /// Plays all runs; `done` is told of each. The order is that of their numbers.
    pub fn play(&self, plan: &Plan, around: &Surroundings, done: &(impl Fn() + Sync)) -> Vec<Run> {
        let facts = Facts::of(plan);
        let next = AtomicU32::new(0);
        // Threads take a few runs at a time.
        const RUNS_AT_A_TIME: u32 = 8;
        let work = || {
            let mut simulation = Simulation::new(plan, &facts, around);
            let calm_ms = simulation.calm_ms();
            let mut runs = Vec::new();
            loop {
                let first = next.fetch_add(RUNS_AT_A_TIME, Ordering::Relaxed);
                if first >= self.runs {
                    return runs;
                }
                for number in first..(first + RUNS_AT_A_TIME).min(self.runs) {
                    let hits = self.hits(number, calm_ms);
                    let outcome = simulation.run(self.seed_of(number), &hits);
                    let hit_ms = hits.first().map(|hit| hit.at_ms).filter(|_| outcome.nodes_lost > 0);
                    let calm_ms = (f64::from(calm_ms) * simulation.pace) as u32;
                    let run = Run {
                        hit_ms,
                        outcome,
                        calm_ms,
                    };
                    runs.push((number, run));
                    done();
                }
            }
        };
        let mut runs: Vec<(u32, Run)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads.max(1)).map(|_| scope.spawn(work)).collect();
            let joined = threads
                .into_iter()
                .flat_map(|thread| thread.join().expect("a simulation does not panic"));
            joined.collect()
        });
        runs.sort_unstable_by_key(|(number, _)| *number);
        runs.into_iter().map(|(_, run)| run).collect()
    }

    fn seed_of(&self, number: u32) -> u64 {
        self.seed
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(u64::from(number))
    }

    /// What one run is hit by, in order of time.
    fn hits(&self, number: u32, calm_ms: u32) -> Vec<Hit> {
        match &self.disturbance {
            Disturbance::Swept {
                from_ms,
                to_ms,
                victims,
            } => {
                let place = (f64::from(number) + 0.5) / f64::from(self.runs);
                let at_ms = f64::from(*from_ms) + place * f64::from(to_ms.saturating_sub(*from_ms));
                vec![Hit {
                    at_ms: at_ms as u32,
                    victims: victims.clone(),
                }]
            }
            Disturbance::Market(market) => {
                // Another stream than the simulation's own.
                let mut rng = Rng::with_seed(!self.seed_of(number));
                market.hits(&mut rng, calm_ms)
            }
        }
    }
}
