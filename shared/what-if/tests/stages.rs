//! How the stages and jobs of small plans follow one another.

#[path = "plans/small.rs"]
mod plans;

use plans::{around, stage, two_stages};
use what_if::{Anchor, Ending, Facts, Hit, Job, Outcome, Plan, Simulation, Victims};

/// Loses one of four nodes at a moment.
fn lose_one(plan: &Plan, at_ms: u32) -> Outcome {
    let hit = Hit {
        at_ms,
        victims: Victims::Random(1),
    };
    Simulation::new(plan, &Facts::of(plan), &around()).run(1, &[hit])
}

#[test]
fn the_driver_takes_its_time_before_a_stages_first_attempt_and_not_before_the_others() {
    let mut plan = two_stages(&[]);
    plan.stages[1].lead_ms = 1_000;
    // As without it, a reduce fails at 20.1 s, and the map and it run again: but all begin a second later.
    let outcome = lose_one(&plan, 16_000);
    assert_eq!((outcome.stages_failed, outcome.run_ms), (1, 41_300));
}

#[test]
fn a_stage_that_ends_leaves_those_beside_it_alone() {
    let mut plan = two_stages(&[]);
    plan.stages.push(stage(2, 8, 10_000, &[], false));
    plan.jobs[0].targets.push(2);
    let outcome = Simulation::new(&plan, &Facts::of(&plan), &around()).run_as_logged();
    // Sixteen tasks on four cores.
    assert_eq!((outcome.ending, outcome.run_ms), (Ending::Finished, 40_000));
}

#[test]
fn what_is_submitted_again_is_what_failed_and_no_stage_of_a_job_to_come() {
    let mut plan = two_stages(&[]);
    plan.stages.push(stage(2, 4, 10_000, &[], false));
    plan.jobs.push(Job {
        id: 1,
        starts: Anchor {
            jobs_ended: 1,
            then_ms: 0,
        },
        rank: 1,
        targets: vec![2],
        tail_ms: 0,
    });
    // The first job fails at 20.1 s and ends at 40.3 s. Then four tasks have three cores.
    let outcome = lose_one(&plan, 15_000);
    assert_eq!((outcome.stages_failed, outcome.run_ms), (1, 60_300));
}

#[test]
fn a_stage_that_is_under_way_is_not_submitted_by_another_job_that_needs_it() {
    // The maps are led until 1 s and run until 11 s, and their stage ends at 12 s.
    for starts_ms in [500, 5_000, 11_500] {
        let mut plan = two_stages(&[]);
        for executor in &mut plan.executors {
            executor.slots = 2;
        }
        (plan.stages[0].lead_ms, plan.stages[0].tail_ms) = (1_000, 1_000);
        let mut second = plan.jobs[0].clone();
        (second.id, second.rank, second.starts.then_ms) = (1, 1, starts_ms);
        plan.jobs.push(second);
        let outcome = Simulation::new(&plan, &Facts::of(&plan), &around()).run_as_logged();
        assert_eq!(
            (outcome.run_ms, outcome.tasks, outcome.stages_again),
            (22_000, 8, 0),
            "{starts_ms}"
        );
    }
}
