//! How virtual time passes while clients of their own clock are served.
//!
//! Separate because it is the only place where real time is looked at. Tokio's clock is paused throughout, so that
//! functions and services see virtual time alone. A paused clock leaps to the next timer whenever all tasks wait, unless
//! a blocking task is pending: such a task, the brake, is how time is held.
//!
//! * `leap`: held while a request is being answered, and while the account is at rest, so that schedules alone do not
//!   turn the years over;
//! * `held`: held unless a client waits, in `/-/sleep` or in an invocation that it wants the answer of: the story is the
//!   same however slow the clients are;
//! * a number: always held, and moved on by so many virtual seconds per real second.

use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::Notify;

use crate::api::Time;
use crate::emr::ClusterState;
use crate::journal::Kind;
use crate::world::{State, World};

/// How often time is moved on, and how often `leap` looks whether the account is at rest.
const TICK: Duration = Duration::from_millis(10);

/// In virtual time: as often `leap` looks whether the account is at rest.
const LOOK: Duration = Duration::from_secs(1);

/// So long nothing changes in an account at rest.
const QUIET: TimeDelta = TimeDelta::minutes(10);

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
#[derive(Clone)]
pub struct Gate {
    pace: Pace,
    count: Arc<Mutex<Count>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Count {
    /// Requests that are being answered.
    busy: usize,
    /// Requests that wait for virtual time to pass.
    waiting: usize,
    /// Dropped, it lets time go.
    brake: Option<mpsc::Sender<()>>,
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

/// Keeps the gate's pace, for ever.
pub async fn keep(world: World, gate: Gate) {
    match gate.pace {
        Pace::Times(factor) => follow(factor).await,
        Pace::Leap | Pace::Held => leap(world, gate).await,
    }
}

/// Moves virtual time on as real time passes.
async fn follow(factor: u32) {
    let begun = tokio::time::Instant::now();
    let real_begun = real_time();
    loop {
        // The brake and the tick in one: while this is pending, time stands.
        if tokio::task::spawn_blocking(|| std::thread::sleep(TICK)).await.is_err() {
            // The runtime ends.
            return;
        }
        let target = real_begun.elapsed().saturating_mul(factor);
        let lag = target.saturating_sub(begun.elapsed());
        if !lag.is_zero() {
            tokio::time::advance(lag).await;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this pace follows real time, and nothing else reads it"
)]
fn real_time() -> std::time::Instant {
    std::time::Instant::now()
}

/// Holds time, and lets it go, as requests and the account's own doings ask for.
async fn leap(world: World, gate: Gate) {
    let mut rest = Rest::default();
    loop {
        let now = world.clock.now();
        let is_at_rest = gate.pace == Pace::Held || rest.is_at(&world.lock(), now);
        {
            let mut count = gate.lock();
            if count.busy > 0 || (is_at_rest && count.waiting == 0) {
                count.hold();
            } else {
                count.brake = None;
            }
        }
        tokio::select! {
            biased;
            () = gate.changed.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// What was seen of the journal, so that it is read once.
#[derive(Default)]
struct Rest {
    read: usize,
    changed_at: Option<Time>,
}

impl Rest {
    /// Is nothing under way, and has nothing changed for a while?
    fn is_at(&mut self, state: &State, now: Time) -> bool {
        let entries = state.account.journal.entries();
        let is_change = |kind: Kind| matches!(kind, Kind::Transition | Kind::Event);
        if let Some(last) = entries[self.read..].iter().rev().find(|entry| is_change(entry.kind)) {
            self.changed_at = Some(last.at);
        }
        self.read = entries.len();
        let is_quiet_since = self.changed_at.is_none_or(|at| now - at > QUIET);
        let is_steady = |one: ClusterState| one == ClusterState::Waiting || one.is_over();
        is_quiet_since
            && state.is_quiet()
            && !state.account.fis.experiments().any(|one| one.state.status.is_active())
            && state
                .account
                .emr
                .clusters()
                .all(|one| is_steady(one.state) && one.steps.iter().all(|step| step.ended_at.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_paused_clock<T>(test: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(test)
    }

    /// Lets real time pass without touching the runtime's brake.
    async fn real_sleep(duration: Duration) {
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
            gate.lock().brake = None;
            drop(answering);
            timer.await.unwrap();
            assert_eq!(begun.elapsed().as_secs(), 90);
        });
    }

    #[test]
    fn a_number_follows_real_time() {
        on_paused_clock(async {
            let begun = tokio::time::Instant::now();
            let pace = tokio::spawn(follow(60));
            real_sleep(Duration::from_millis(100)).await;
            let passed = begun.elapsed();
            // At least nine tenths of the six virtual seconds, however late the machine was.
            assert!(passed >= Duration::from_millis(5_000), "{passed:?}");
            pace.abort();
        });
    }
}
