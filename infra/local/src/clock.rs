//! Virtual time: tokio's paused clock, read as a time of day.
//!
//! Separate because this is the only place where the two meet. The SDK signs and backs off by it, the services are
//! told of it, and nobody reads the machine's clock.

use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use chrono::TimeDelta;
use tokio::time::Instant;

use account::api::Time;

/// A clock that begins at `epoch` when it is made, and goes as tokio's does.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch: Time,
    begun: Instant,
}

impl Clock {
    /// A clock that stands at `epoch` now. Needs tokio's runtime.
    pub fn begin(epoch: Time) -> Self {
        Self {
            epoch,
            begun: Instant::now(),
        }
    }

    /// The same clock, as somebody reads it whose own is off.
    pub fn off_by(self, by: TimeDelta) -> Self {
        Self {
            epoch: self.epoch + by,
            ..self
        }
    }

    /// Virtual time, to the millisecond.
    pub fn now(&self) -> Time {
        let elapsed = TimeDelta::from_std(self.begun.elapsed()).unwrap_or(TimeDelta::MAX);
        self.epoch + TimeDelta::milliseconds(elapsed.num_milliseconds())
    }

    /// Waits until a virtual time.
    pub async fn sleep_until(&self, at: Time) {
        let since = (at - self.epoch).to_std().unwrap_or(Duration::ZERO);
        tokio::time::sleep_until(self.begun + since).await;
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        Clock::now(self).into()
    }
}
