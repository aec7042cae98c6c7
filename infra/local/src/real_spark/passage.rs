//! How the account's time passes while real Spark works, whose time is the machine's.
//!
//! Separate because it is neither the account's matter nor Spark's. A machine that takes a minute to start a few JVMs must
//! not cost the job its notice: the account sees little of that, and then stands until Spark is up.

use std::time::Duration;

use super::moments::Moments;
use crate::gate::Moment;
use crate::serve::pace::{TICK, tick};
use crate::world::World;

/// So long Spark takes to start, as the account sees it: more, on a slow machine, it does not see.
const START: Duration = Duration::from_secs(30);

/// So long is waited for it in fact, workers and driver: a program may never ask for Spark.
const START_MAX: Duration = Duration::from_secs(300);

/// The account's time, beside the machine's.
#[derive(Debug)]
pub(super) struct Passage {
    pace: u32,
    /// Since when it passes at this factor.
    begun: Moment,
    factor: u32,
    /// When a little time last passed.
    ticked: Moment,
    /// Since when Spark has been starting.
    starting: Option<Moment>,
    moments: Moments,
}

impl Passage {
    /// From now on the account's time passes so many times as fast as the machine's.
    pub(super) fn begin(world: &World, pace: u32) -> Self {
        Self {
            pace,
            begun: Moment::now(),
            factor: pace,
            ticked: Moment::now(),
            starting: None,
            moments: Moments::begin(world.clock.now(), pace),
        }
    }

    /// When things happened, by both clocks.
    pub(super) fn moments(&self) -> &Moments {
        &self.moments
    }

    /// Lets a little time pass; false when the runtime ends. While the account's stands, its clients' does not.
    pub(super) async fn tick(&mut self, world: &World) -> bool {
        let passed = std::mem::replace(&mut self.ticked, Moment::now()).real.elapsed();
        if self.factor == 0 {
            let milliseconds = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
            world.lock().account.emr.refill(milliseconds);
        }
        tick(self.begun, self.factor, TICK).await
    }

    /// Goes on as fast as what is under way asks for.
    pub(super) fn follow(&mut self, world: &World, is_starting: bool) {
        self.starting = is_starting.then(|| self.starting.unwrap_or_else(Moment::now));
        let factor = match self.starting {
            Some(since) if since.real.elapsed() <= START_MAX => u32::from(since.virtually.elapsed() < START),
            _ => self.pace,
        };
        if factor != self.factor {
            (self.begun, self.factor) = (Moment::now(), factor);
            self.moments.change(world.clock.now(), factor);
        }
    }
}
