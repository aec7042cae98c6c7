//! What copies of tasks that take long come to in small plans, where tasks are speculated.

#[path = "plans/small.rs"]
mod plans;

use plans::{around, stage, two_stages};
use what_if::{Anchor, End, Ending, Facts, Hit, Outcome, Pace, Plan, Simulation, Victims};

/// Three map tasks take ten seconds and one takes a hundred; four reduces follow, for ten.
fn with_a_slow_map(properties: &[(&str, &'static str)]) -> Plan {
    let mut plan = two_stages(properties);
    plan.rules.speculation = true;
    plan.stages[0].durations_ms = vec![100_000, 10_000, 10_000, 10_000];
    plan
}

fn as_logged(plan: &Plan) -> Outcome {
    Simulation::new(plan, &Facts::of(plan), &around()).run_as_logged()
}

#[test]
fn a_task_that_takes_half_as_long_again_as_the_others_gets_a_copy_which_is_lost_where_it_ends_second() {
    let (multiplier, quantile) = ("spark.speculation.multiplier", "spark.speculation.quantile");
    for (properties, tasks, lost_ms) in [
        // From 15 s to 100 s.
        (&[][..], 9, 85_000),
        (&[(multiplier, "3")], 9, 70_000),
        (&[(quantile, "0.1")], 9, 85_000),
        // It is never one of the last.
        (&[(quantile, "1.0")], 8, 0),
        (&[(multiplier, "10")], 8, 0),
    ] {
        let outcome = as_logged(&with_a_slow_map(properties));
        assert_eq!(
            (outcome.tasks, outcome.lost_task_ms, outcome.run_ms),
            (tasks, lost_ms, 110_000),
            "{properties:?}"
        );
    }
}

#[test]
fn a_copy_runs_on_another_node() {
    // The node of each executor, of which the first runs the slow task.
    for (nodes, tasks) in [
        ([0, 0, 0, 0], 8),
        ([0, 0, 1, 1], 9),
        ([0, 0, 0, 3], 9),
        ([2, 0, 2, 2], 9),
    ] {
        let mut plan = with_a_slow_map(&[]);
        for (executor, node) in plan.executors.iter_mut().zip(nodes) {
            executor.node = node;
        }
        assert_eq!(as_logged(&plan).tasks, tasks, "{nodes:?}");
    }
}

#[test]
fn on_machines_of_another_pace_a_task_is_slow_by_the_time_that_others_take_there() {
    let mut plan = with_a_slow_map(&[]);
    plan.pace = Pace {
        mean: 2_f64.ln(),
        deviation: 0.0,
    };
    let outcome = Simulation::new(&plan, &Facts::of(&plan), &around()).run(1, &[]);
    // From 30 s to 200 s.
    assert_eq!((outcome.tasks, outcome.lost_task_ms), (9, 170_000));
    assert_eq!(outcome.run_ms, 220_000);
}

#[test]
fn a_copy_overtakes_a_task_that_stands_still() {
    let mut plan = two_stages(&[("spark.speculation", "true")]);
    plan.stages[0] = stage(0, 12, 10_000, &[], true);
    let at = |then_ms| Anchor { jobs_ended: 0, then_ms };
    plan.executors[0].ends = Some((at(200_000), End::LostWithNode));
    plan.executors[0].silent_from = Some(at(11_000));
    // The map that began there at 10 s has a copy from 30 s to 40 s; the reduce that does then has one from 55 s to 65 s.
    let outcome = as_logged(&plan);
    assert_eq!((outcome.ending, outcome.run_ms), (Ending::Finished, 65_000));
    assert_eq!((outcome.tasks, outcome.lost_task_ms), (18, 30_000 + 25_000));
    plan.rules.speculation = false;
    assert!(as_logged(&plan).run_ms > 200_000);
}

#[test]
fn a_copy_keeps_away_from_the_node_of_the_task_and_not_from_those_that_ran_another_of_that_number() {
    let mut plan = with_a_slow_map(&[]);
    // The slow task is on a node of its own. The first executor comes when no task waits any more.
    for (executor, node) in plan.executors.iter_mut().zip([0, 1, 0, 0]) {
        executor.node = node;
    }
    plan.executors[0].comes.then_ms = 14_000;
    let outcome = as_logged(&plan);
    // The fourth map is done by 20 s; the copy runs from then to 100 s.
    assert_eq!(
        (outcome.tasks, outcome.lost_task_ms, outcome.run_ms),
        (9, 80_000, 110_000)
    );
}

#[test]
fn an_executor_whose_copy_is_killed_runs_nothing() {
    let mut plan = with_a_slow_map(&[]);
    let at_fifty = Anchor {
        jobs_ended: 0,
        then_ms: 50_000,
    };
    for executor in &mut plan.executors[1..] {
        executor.ends = Some((at_fifty, End::Released));
    }
    // One has the copy until 100 s, and goes. Four reduces have one core.
    let outcome = as_logged(&plan);
    assert_eq!((outcome.run_ms, outcome.lost_task_ms), (140_000, 85_000));
    assert_eq!(outcome.slot_ms, 140_000 + 100_000 + 2 * 50_000);
}

#[test]
fn what_copies_did_goes_with_the_driver_too() {
    let mut plan = with_a_slow_map(&[]);
    (plan.driver_node, plan.driver_in_cluster) = (Some(0), true);
    let hit = Hit {
        at_ms: 105_000,
        victims: Victims::Driver,
    };
    let outcome = Simulation::new(&plan, &Facts::of(&plan), &around()).run(1, &[hit]);
    // The maps, a copy, and five seconds of four reduces.
    assert_eq!(outcome.lost_task_ms, 100_000 + 3 * 10_000 + 85_000 + 4 * 5_000);
}
