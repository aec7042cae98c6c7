//! A busy Region, in which few clusters are opted in: nobody else is throttled because of us, the sweep stays small, and
//! each step that is watched has its report.
//!
//! `BUSY="hours=24 clusters=300 peak=400"` tells it longer and larger, and `-- --nocapture` shows what was counted.

use chrono::TimeDelta;
use local::busy_region::{self, Plan};

#[test]
fn in_a_busy_region_nobody_else_is_throttled_and_each_watched_step_has_its_report() {
    let mut plan = Plan {
        clusters: 40,
        opted_in_every: 20,
        peak: 60,
        hours: 1,
        ..Plan::default()
    };
    for set in std::env::var("BUSY").unwrap_or_default().split_whitespace() {
        plan.set(set).unwrap();
    }
    let seen = busy_region::tell(&plan, 1, |_, _| ()).unwrap();
    println!("{}", seen.lines().join("\n"));
    assert_eq!(seen.not_completed, [""; 0]);
    assert!(
        seen.watched > 10 && seen.experiments > 3,
        "{} are watched, {} drilled",
        seen.watched,
        seen.experiments
    );
    assert_eq!(seen.without_report, [""; 0], "of {} watched steps", seen.watched);
    assert_eq!(seen.reported_unasked, [""; 0], "nobody asked for their reports");
    assert!(seen.neighbour.polls > 1500);
    assert_eq!(seen.neighbour.throttles, 0);
    assert!(
        seen.longest_sweep <= TimeDelta::seconds(90),
        "a sweep took {}",
        seen.longest_sweep
    );
    for (operation, calls) in &seen.emr_by_sweeps {
        let share = seen.share_of_sweeps(operation);
        assert!(
            share <= 0.05,
            "{operation}: {calls} calls, {share:.3} of what comes back"
        );
    }
}
