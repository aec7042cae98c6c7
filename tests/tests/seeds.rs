//! Many seeds of stories: the invariants hold in each, and the same seed gives the same bytes.
//!
//! Split into several tests so that they run side by side.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use local::drill_command::journal;
use tests::tell;

fn seeds(from: u64, until: u64) {
    for seed in from..until {
        tell("workshop", seed, &["twice=10"]);
    }
}

#[test]
fn seeds_0_to_50() {
    seeds(0, 50);
}

#[test]
fn seeds_50_to_100() {
    seeds(50, 100);
}

#[test]
fn seeds_100_to_150() {
    seeds(100, 150);
}

#[test]
fn seeds_150_to_200() {
    seeds(150, 200);
}

#[test]
fn every_story_keeps_the_invariants_with_other_seeds() {
    for scenario in local::scenario::SCENARIOS {
        for seed in 2..5 {
            tell(scenario.name, seed, &["twice=20"]);
        }
    }
}

#[test]
fn lost_events_are_made_up_for_by_the_sweep_and_by_the_other_witnesses() {
    for seed in 0..20 {
        tell("workshop", seed, &["lost=25"]);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for name in ["workshop", "natural-interruption", "two-steps-one-cluster", "waves"] {
        let (first, second) = (tell(name, 7, &["twice=20"]), tell(name, 7, &["twice=20"]));
        assert!(
            journal(&first).unwrap() == journal(&second).unwrap(),
            "{name}: the journals differ"
        );
        for (one, other) in first.steps.iter().zip(&second.steps) {
            assert_eq!(one.json, other.json, "{name}");
            assert_eq!(one.html, other.html, "{name}");
        }
    }
    assert!(journal(&tell("workshop", 7, &[])).unwrap() != journal(&tell("workshop", 8, &[])).unwrap());
}
