//! How small plans are played whose logs have executors come and go.

#[path = "plans/small.rs"]
mod plans;

use plans::{AT_ONCE, around, two_stages};
use what_if::{Anchor, End, Ending, Facts, Plan, Simulation};

#[test]
fn the_logs_own_losses_are_left_out_with_those_who_came_for_them() {
    let mut plan = two_stages(&[]);
    let lost_at = Anchor {
        jobs_ended: 0,
        then_ms: 5_000,
    };
    plan.executors[0].ends = Some((lost_at, End::Lost));
    let mut came = plan.executors[1].clone();
    (came.id, came.comes.then_ms) = (9, 9_000);
    plan.executors.push(came);
    let played = |plan: &Plan| Simulation::new(plan, &Facts::of(plan), &around()).calm_ms();
    assert!(played(&plan) > 20_000);
    let calm = plan.undisturbed();
    assert_eq!((calm.executors.len(), played(&calm)), (4, 20_000));
}

#[test]
fn an_executor_that_falls_silent_keeps_its_tasks_until_it_is_taken() {
    let mut plan = two_stages(&[]);
    let at = |then_ms| Anchor { jobs_ended: 0, then_ms };
    plan.executors[0].ends = Some((at(60_000), End::LostWithNode));
    plan.executors[0].silent_from = Some(at(4_000));
    // Its map runs again from 60 s on; the reduces follow on three cores.
    assert_eq!(
        Simulation::new(&plan, &Facts::of(&plan), &around()).calm_ms(),
        60_000 + 10_000 + 20_000
    );
    let calm = plan.undisturbed();
    assert_eq!(Simulation::new(&calm, &Facts::of(&calm), &around()).calm_ms(), 20_000);
}

#[test]
fn output_that_a_lost_node_served_is_found_to_be_gone_when_it_is_read() {
    let mut plan = two_stages(&[("spark.shuffle.service.enabled", "true")]);
    let at = Anchor {
        jobs_ended: 0,
        then_ms: 15_000,
    };
    // The reduce that ran there runs again from 20 s on, and tries to fetch for fifteen seconds.
    for (end, failed, from_ms, to_ms) in [(End::Lost, 0, 30_000, 30_000), (End::LostWithNode, 1, 55_000, 56_000)] {
        plan.executors[0].ends = Some((at, end));
        let outcome = Simulation::new(&plan, &Facts::of(&plan), &around()).run_as_logged();
        assert_eq!(
            (outcome.ending, outcome.stages_failed),
            (Ending::Finished, failed),
            "{end:?}"
        );
        assert!(
            (from_ms..=to_ms).contains(&outcome.run_ms),
            "{end:?}: {}",
            outcome.run_ms
        );
    }
}

#[test]
fn executors_that_stay_are_there_before_the_first_job_ends_and_are_not_let_go() {
    let mut plan = two_stages(&[]);
    let at = |jobs_ended, then_ms| Anchor { jobs_ended, then_ms };
    plan.executors[1].comes = at(0, 7_000);
    plan.executors[2].comes = at(1, 7_000);
    for executor in &mut plan.executors {
        executor.ends = Some((at(1, 9_000), End::Released));
        executor.silent_from = Some(at(1, 8_000));
    }
    let staying = plan.staying().executors;
    let comes: Vec<Anchor> = staying.iter().map(|executor| executor.comes).collect();
    assert_eq!(comes, [AT_ONCE, at(0, 7_000), AT_ONCE, AT_ONCE]);
    assert!(
        staying
            .iter()
            .all(|executor| executor.ends.is_none() && executor.silent_from.is_none())
    );
}
