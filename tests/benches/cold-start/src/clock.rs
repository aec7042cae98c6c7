//! The one clock of all stamps: the kernel's monotonic one, so that a stamp taken in the process that launches a program
//! compares with those taken here. Apart because nothing else may read a clock.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since a moment that is the same for all processes of this machine.
pub type Nanos = u64;

/// Now, monotonic.
pub fn now() -> Nanos {
    read(ClockId::Monotonic)
}

/// CPU time that this process has used.
pub fn cpu_used() -> Nanos {
    read(ClockId::ProcessCPUTime)
}

/// Milliseconds since 1970, as Lambda states deadlines.
pub fn unix_milliseconds() -> u64 {
    read(ClockId::Realtime) / 1_000_000
}

/// Milliseconds from one stamp to a later one.
pub fn milliseconds(from: Nanos, to: Nanos) -> f64 {
    let nanos = u32::try_from(to.saturating_sub(from) / 1000).unwrap_or(u32::MAX);
    f64::from(nanos) / 1000.0
}

fn read(clock: ClockId) -> Nanos {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).expect("these clocks count up from zero");
    let nanos = u64::try_from(time.tv_nsec).expect("the kernel keeps nanoseconds in range");
    seconds * 1_000_000_000 + nanos
}
