//! How virtual time passes while clients of their own clock are served.
//!
//! Separate because it is the only place where real time is looked at. Tokio's clock is paused throughout, so that
//! services see virtual time alone, and functions that run in this process.
//!
//! * `leap`: held while a request is being answered, and while the account is at rest, so that schedules alone do not
//!   turn the years over;
//! * `held`: held unless a client waits, in `/-/sleep` or in an invocation that it wants the answer of: the story is the
//!   same however slow the clients are;
//! * a number: always held, and moved on by so many virtual seconds per real second.
//!
//! While an invocation runs in another process, which has a clock of its own, `leap` and `held` pass time exactly as fast
//! as that clock does.

use std::time::Duration;

use account::api::Time;
use account::emr::ClusterState;
use account::journal::Kind;
use chrono::TimeDelta;

use crate::gate::{Gate, Moment, Pace};
use crate::world::{State, World};

/// How often time is moved on.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// The same while an invocation runs in another process: its calls and timers are then as late as this at most.
const TICK_OUTSIDE: Duration = Duration::from_millis(2);

/// In virtual time: as often `leap` looks whether the account is at rest.
const LOOK: Duration = Duration::from_secs(1);

/// So long nothing changes in an account at rest.
const QUIET: TimeDelta = TimeDelta::minutes(10);

/// Keeps the gate's pace, for ever. At a pace that is a number, virtual time is what it was at `begun`, and goes on from
/// there.
pub async fn keep(world: World, gate: Gate, begun: Moment) {
    match gate.pace() {
        Pace::Times(factor) => while tick(begun, factor, TICK).await {},
        Pace::Leap | Pace::Held => leap(world, gate).await,
    }
}

/// Moves virtual time on to where it should be since `begun`; false when the runtime ends.
pub(crate) async fn tick(begun: Moment, factor: u32, tick: Duration) -> bool {
    // The brake and the tick in one: while this is pending, time stands.
    if tokio::task::spawn_blocking(move || std::thread::sleep(tick))
        .await
        .is_err()
    {
        return false;
    }
    let lag = begun.lag(factor);
    if !lag.is_zero() {
        tokio::time::advance(lag).await;
    }
    true
}

/// Holds time, and lets it go, as requests and the account's own doings ask for.
async fn leap(world: World, gate: Gate) {
    let mut rest = Rest::default();
    loop {
        if let Some(since) = gate.outside_since() {
            if !tick(since, 1, TICK_OUTSIDE).await {
                return;
            }
            continue;
        }
        let now = world.clock.now();
        gate.set(gate.pace() == Pace::Held || rest.is_at(&world.lock(), now));
        tokio::select! {
            biased;
            () = gate.changed() => {}
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
    use crate::gate::tests::{on_paused_clock, real_sleep};

    #[test]
    fn a_number_follows_real_time() {
        on_paused_clock(async {
            let begun = tokio::time::Instant::now();
            let moment = Moment::now();
            let pace = tokio::spawn(async move { while tick(moment, 60, TICK).await {} });
            real_sleep(Duration::from_millis(100)).await;
            let passed = begun.elapsed();
            // At least nine tenths of the six virtual seconds, however late the machine was.
            assert!(passed >= Duration::from_millis(5_000), "{passed:?}");
            pace.abort();
        });
    }
}
