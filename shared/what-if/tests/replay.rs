//! Real logs played again without any hit take as long as they say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "logs/all.rs"]
mod logs;

use logs::TASKS_MAX;
use what_if::{Facts, Simulation, Surroundings, rebuild};

#[test]
fn a_run_played_again_takes_as_long_as_its_log_says() {
    let mut errors = Vec::new();
    for (name, run) in logs::all() {
        let plan = match rebuild(&run, TASKS_MAX) {
            Ok(plan) => plan,
            Err(unfit) => {
                eprintln!("{name}: {unfit}");
                continue;
            }
        };
        let facts = Facts::of(&plan);
        let around = Surroundings::default();
        let played_ms = Simulation::new(&plan, &facts, &around).calm_ms();
        let error = f64::from(played_ms) / f64::from(plan.logged_ms) - 1.0;
        eprintln!(
            "{name}: logged {} ms, played {played_ms} ms: {:+.1} %",
            plan.logged_ms,
            error * 100.0
        );
        errors.push(error.abs());
    }
    errors.sort_unstable_by(f64::total_cmp);
    assert!(errors.len() >= 20, "{} logs", errors.len());
    let (median, p95) = (errors[errors.len() / 2], errors[(errors.len() * 95).div_ceil(100) - 1]);
    assert!(median <= 0.05 && p95 <= 0.15, "median {median:.3}, p95 {p95:.3}");
}
