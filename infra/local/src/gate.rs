//! What holds virtual time while the account is served: requests that are answered, and invocations in other processes.
//!
//! Separate from the pace, which decides by it. A paused clock leaps whenever all tasks wait, unless a blocking task is
//! pending: the brake is such a task.

use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::Notify;

/// Faster makes no sense: a tick would be a minute.
const FACTOR_MAX: u32 = 3600;

/// How virtual time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// From one event to the next.
    Leap,
    /// Only while a client waits.
    Held,
    /// So many virtual seconds per real second.
    Times(u32),
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "leap" => Ok(Self::Leap),
            "held" => Ok(Self::Held),
            _ => text
                .parse()
                .ok()
                .filter(|factor| (1..=FACTOR_MAX).contains(factor))
                .map(Self::Times)
                .ok_or_else(|| format!("expected leap, held, or a number from 1 to {FACTOR_MAX}, found {text:?}")),
        }
    }
}

/// What holds time. Clones share it.
#[derive(Debug, Clone)]
pub struct Gate {
    pace: Pace,
    count: Arc<Mutex<Count>>,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Count {
    /// Requests that are being answered.
    busy: usize,
    /// Requests that wait for virtual time to pass.
    waiting: usize,
    /// Invocations that run in other processes, where time is real.
    outside: usize,
    /// When the first of these began.
    outside_since: Option<Moment>,
    /// Dropped, it lets time go.
    brake: Option<mpsc::Sender<()>>,
}

/// The same moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// On the machine's.
    pub real: std::time::Instant,
    /// On the account's.
    pub virtually: tokio::time::Instant,
}

impl Moment {
    /// This one.
    #[expect(
        clippy::disallowed_methods,
        reason = "these paces follow real time, and nothing else reads it"
    )]
    pub fn now() -> Self {
        Self {
            real: std::time::Instant::now(),
            virtually: tokio::time::Instant::now(),
        }
    }

    /// How far virtual time is behind, if it passes so many times as fast as real time since then.
    pub fn lag(&self, factor: u32) -> Duration {
        let target = self.real.elapsed().saturating_mul(factor);
        target.saturating_sub(self.virtually.elapsed())
    }
}

impl Count {
    fn hold(&mut self) {
        if self.brake.is_none() {
            let (brake, released) = mpsc::channel::<()>();
            // Ends when the sender is dropped, with an error that says just that.
            tokio::task::spawn_blocking(move || released.recv().ok());
            self.brake = Some(brake);
        }
    }
}

impl Gate {
    /// A gate of this pace.
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            count: Arc::default(),
            changed: Arc::default(),
        }
    }

    /// How virtual time passes.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// A request is being answered until the guard is dropped.
    pub fn answer(&self) -> Answering {
        let mut count = self.lock();
        count.busy += 1;
        if !matches!(self.pace, Pace::Times(_)) {
            count.hold();
        }
        drop(count);
        Answering { gate: self.clone() }
    }

    /// An invocation runs in another process until the guard is dropped.
    pub fn run_outside(&self) -> Outside {
        let mut count = self.lock();
        count.outside += 1;
        let is_first = count.outside == 1;
        if is_first {
            count.outside_since = Some(Moment::now());
        }
        if !matches!(self.pace, Pace::Times(_)) {
            count.hold();
        }
        drop(count);
        self.changed.notify_one();
        Outside {
            gate: self.clone(),
            is_first,
        }
    }

    /// Since when there have been invocations in other processes; `None`: there are none.
    pub fn outside_since(&self) -> Option<Moment> {
        self.lock().outside_since
    }

    /// Holds time or lets it go, as the requests ask for.
    pub fn set(&self, is_at_rest: bool) {
        let mut count = self.lock();
        if count.busy > 0 || count.outside > 0 || (is_at_rest && count.waiting == 0) {
            count.hold();
        } else {
            count.brake = None;
        }
    }

    /// Waits until something has changed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered.
pub struct Answering {
    gate: Gate,
}

impl Answering {
    /// From now until the guard is dropped, the request waits for virtual time.
    pub fn wait(&self) -> Waiting<'_> {
        let mut count = self.gate.lock();
        count.busy -= 1;
        count.waiting += 1;
        drop(count);
        self.gate.changed.notify_one();
        Waiting { of: self }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.gate.lock().busy -= 1;
        self.gate.changed.notify_one();
    }
}

/// A request that waits.
pub struct Waiting<'a> {
    of: &'a Answering,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let gate = &self.of.gate;
        let mut count = gate.lock();
        count.waiting -= 1;
        count.busy += 1;
        if !matches!(gate.pace, Pace::Times(_)) {
            count.hold();
        }
    }
}

/// An invocation that runs in another process.
pub struct Outside {
    gate: Gate,
    is_first: bool,
}

impl Outside {
    /// Was no other running when this one began?
    pub fn is_first(&self) -> bool {
        self.is_first
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let mut count = self.gate.lock();
        count.outside -= 1;
        if count.outside == 0 {
            count.outside_since = None;
        }
        drop(count);
        self.gate.changed.notify_one();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn on_paused_clock<T>(test: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(test)
    }

    /// Lets real time pass without touching the runtime's brake.
    pub(crate) async fn real_sleep(duration: Duration) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            std::thread::sleep(duration);
            sender.send(()).ok();
        });
        receiver.await.unwrap();
    }

    #[test]
    fn a_pace_is_leap_held_or_a_number() {
        assert_eq!("leap".parse(), Ok(Pace::Leap));
        assert_eq!("held".parse(), Ok(Pace::Held));
        assert_eq!("60".parse(), Ok(Pace::Times(60)));
        for bad in ["", "0", "-1", "1.5", "3601", "fast"] {
            assert!(bad.parse::<Pace>().unwrap_err().contains("expected leap"), "{bad}");
        }
    }

    #[test]
    fn no_time_passes_while_a_request_is_answered() {
        on_paused_clock(async {
            let gate = Gate::new(Pace::Leap);
            let begun = tokio::time::Instant::now();
            let answering = gate.answer();
            let timer = tokio::spawn(tokio::time::sleep(Duration::from_secs(90)));
            real_sleep(Duration::from_millis(30)).await;
            assert_eq!(begun.elapsed(), Duration::ZERO);
            assert!(!timer.is_finished());
            drop(answering);
            gate.set(false);
            timer.await.unwrap();
            assert_eq!(begun.elapsed().as_secs(), 90);
        });
    }
}
