//! How small plans are played whose logs have executors come and go.

#[path = "plans/small.rs"]
mod plans;

use plans::{AT_ONCE, around, stage, two_stages};
use what_if::{Anchor, End, Ending, Facts, Hit, Outcome, Plan, Simulation, Stage, Surroundings, Victims};

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
fn who_came_for_a_lost_executor_came_after_it_and_for_one_that_was_told_not_with_its_own_wave() {
    let at = |jobs_ended, then_ms| Anchor { jobs_ended, then_ms };
    // The first came at 1 s, and went at 50 s. How, when another came, and how many of the two are left.
    for (end, came, left) in [
        (End::Lost, at(0, 50_001), 1),
        (End::Lost, at(0, 50_000), 2),
        (End::LostWithNode, at(1, 0), 1),
        (End::LostWithNode, at(0, 49_000), 2),
        // Executors of one wave come within half a minute.
        (End::Left, at(0, 31_001), 1),
        (End::Left, at(0, 31_000), 2),
        (End::Left, at(1, 0), 1),
        (End::Released, at(0, 60_000), 2),
    ] {
        let mut plan = two_stages(&[]);
        plan.executors.truncate(2);
        plan.executors[0].comes = at(0, 1_000);
        plan.executors[0].ends = Some((at(0, 50_000), end));
        plan.executors[1].comes = came;
        assert_eq!(plan.undisturbed().executors.len(), left, "{end:?}, {came:?}");
    }
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

/// Loses the first node at a moment.
fn lose_first(plan: &Plan, around: Surroundings, at_ms: u32) -> Outcome {
    let around = Surroundings {
        nodes_that_stay: plan.nodes[1..].to_vec(),
        ..around
    };
    let hit = Hit {
        at_ms,
        victims: Victims::All,
    };
    Simulation::new(plan, &Facts::of(plan), &around).run(1, &[hit])
}

#[test]
fn the_time_of_cores_is_counted_from_their_coming_to_their_going_and_of_another_driver_those_of_a_whole_cluster() {
    let mut plan = two_stages(&[]);
    plan.executors[0].slots = 2;
    plan.executors[1].comes.then_ms = 1_000;
    // Five cores: two until 5 s, and three others to the end, one of them from 1 s on.
    let lost = lose_first(&plan, around(), 5_000);
    let until_ms = u64::from(lost.run_ms);
    assert_eq!(lost.slot_ms, 2 * 5_000 + 3 * until_ms - 1_000);
    (plan.driver_node, plan.driver_in_cluster) = (Some(0), true);
    let again = lose_first(&plan, around(), 5_000);
    let calm_ms = u64::from(Simulation::new(&plan, &Facts::of(&plan), &around()).calm_ms());
    assert_eq!(again.slot_ms, 5 * 5_000 - 1_000 + 5 * (30_000 + calm_ms));
}

#[test]
fn each_core_is_cold_once_for_each_of_many_stages() {
    let mut plan = two_stages(&[]);
    plan.executors.truncate(2);
    for executor in &mut plan.executors {
        executor.slots = 2;
    }
    // One after the other, with a task for each of the four cores: a second, and two more on a core that is cold.
    plan.stages = (0..130)
        .map(|id: usize| {
            let parents: Vec<usize> = id.checked_sub(1).into_iter().collect();
            Stage {
                firsts: vec![true; 4],
                first_ms: 2_000,
                ..stage(id as i64, 4, 3_000, &parents, true)
            }
        })
        .collect();
    plan.jobs[0].targets = vec![129];
    let simulated = Simulation::new(&plan, &Facts::of(&plan), &around()).run_as_logged();
    assert_eq!((simulated.run_ms, simulated.tasks), (130 * 3_000, 130 * 4));
    // With twice as many tasks the second of each core is a second long.
    for stage in &mut plan.stages {
        stage.durations_ms.extend([1_000; 4]);
        stage.firsts.extend([false; 4]);
    }
    let simulated = Simulation::new(&plan, &Facts::of(&plan), &around()).run_as_logged();
    assert_eq!((simulated.run_ms, simulated.tasks), (130 * 4_000, 130 * 8));
}

#[test]
fn an_executor_that_comes_to_a_node_which_was_told_leaves_as_those_do_that_were_there() {
    let mut plan = two_stages(&[("spark.decommission.enabled", "true")]);
    plan.stages[0] = stage(0, 6, 10_000, &[], true);
    let mut late = plan.executors[0].clone();
    (late.id, late.comes.then_ms) = (4, 8_000);
    plan.executors.push(late);
    let told = Surroundings {
        notice_ms: 28_000,
        ..around()
    };
    // Told at 2 s. The map there goes with its executor at 10 s; it and two others end at 20 s, and four reduces have three
    // cores.
    let outcome = lose_first(&plan, told, 30_000);
    assert_eq!((outcome.run_ms, outcome.tasks), (40_000, 6 + 1 + 4));
    assert_eq!((outcome.nodes_lost, outcome.lost_task_ms), (1, 10_000));
    // Nobody is told: the late one has two maps, at 8 s and at 18 s.
    let outcome = lose_first(&plan, around(), 45_000);
    assert_eq!((outcome.run_ms, outcome.tasks), (30_000, 6 + 4));
}

#[test]
fn without_notice_no_executor_leaves() {
    let plan = two_stages(&[
        ("spark.decommission.enabled", "true"),
        ("spark.shuffle.service.enabled", "true"),
    ]);
    // That its output is gone is not known: the reduce that ran there tries for fifteen seconds from 20 s on.
    let outcome = lose_first(&plan, around(), 15_000);
    assert!((55_220..55_600).contains(&outcome.run_ms), "{}", outcome.run_ms);
}

#[test]
fn a_node_can_be_hit_before_its_executors_come_if_they_are_of_the_first_wave() {
    for (comes_ms, at_ms, nodes_lost) in [
        (30_000, 5_000, 1),
        (30_001, 5_000, 0),
        (30_001, 35_000, 1),
        (30_000, 35_000, 1),
    ] {
        let mut plan = two_stages(&[]);
        plan.stages[0].durations_ms = vec![40_000; 4];
        plan.executors[0].comes.then_ms = comes_ms;
        let outcome = lose_first(&plan, around(), at_ms);
        assert_eq!(outcome.nodes_lost, nodes_lost, "{comes_ms}, {at_ms}");
    }
}

#[test]
fn an_executor_that_left_in_the_log_has_handed_its_output_over_if_the_rules_say_so() {
    let decommission = ("spark.decommission.enabled", "true");
    let migrate = ("spark.storage.decommission.enabled", "true");
    let at = |then_ms| Anchor { jobs_ended: 0, then_ms };
    for (properties, silent_from, run_ms, lost_ms, failed) in [
        // Its reduce runs again from 20 s on; without its map's output it fails at 20.1 s, and the map runs again, too.
        (&[decommission, migrate][..], None, 30_000, 5_000, 0),
        (&[decommission], None, 40_300, 5_000 + 100 + 10_000, 1),
        // It was given no more tasks.
        (&[decommission, migrate], Some(at(8_000)), 30_000, 0, 0),
    ] {
        let mut plan = two_stages(properties);
        plan.executors[0].ends = Some((at(15_000), End::Left));
        plan.executors[0].silent_from = silent_from;
        let outcome = Simulation::new(&plan, &Facts::of(&plan), &around()).run_as_logged();
        assert_eq!(
            (outcome.run_ms, outcome.lost_task_ms, outcome.stages_failed),
            (run_ms, lost_ms, failed),
            "{properties:?}, {silent_from:?}"
        );
    }
}

#[test]
fn an_executor_that_is_let_go_ends_its_task_and_gets_no_other() {
    let mut plan = two_stages(&[]);
    let at = |then_ms| Anchor { jobs_ended: 0, then_ms };
    plan.executors[0].ends = Some((at(5_000), End::Released));
    let outcome = Simulation::new(&plan, &Facts::of(&plan), &around()).run_as_logged();
    // Four reduces on three cores; the map's output stays.
    assert_eq!((outcome.run_ms, outcome.lost_task_ms, outcome.tasks), (30_000, 0, 8));
    assert_eq!(outcome.slot_ms, 10_000 + 3 * 30_000);
}

#[test]
fn a_replacement_comes_evenly_from_the_part_less_to_the_part_more_that_is_said() {
    let mut plan = two_stages(&[]);
    plan.executors.truncate(1);
    plan.nodes.truncate(1);
    plan.stages = vec![stage(0, 1, 10_000, &[], false)];
    plan.jobs[0].targets = vec![0];
    let replaced = Surroundings {
        replaced_after_ms: Some(60_000),
        replaced_spread: 0.2,
        ..around()
    };
    let hit = Hit {
        at_ms: 5_000,
        victims: Victims::All,
    };
    let facts = Facts::of(&plan);
    let mut simulation = Simulation::new(&plan, &facts, &replaced);
    let mut waits: Vec<u32> = (0..500)
        .map(|seed| simulation.run(seed, std::slice::from_ref(&hit)).run_ms - 15_000)
        .collect();
    waits.sort_unstable();
    for (place, wait_ms) in [(0, 48_000), (125, 54_000), (250, 60_000), (375, 66_000), (499, 72_000)] {
        let off_ms = waits[place].abs_diff(wait_ms);
        assert!(off_ms < 1_500, "{place}: {} and not {wait_ms}", waits[place]);
    }
    assert!(
        waits[0] >= 48_000 && waits[499] <= 72_000,
        "{} to {}",
        waits[0],
        waits[499]
    );
}

#[test]
fn the_nodes_with_most_output_are_those_whose_executors_hold_most_of_it() {
    let mut plan = two_stages(&[]);
    // Of six maps the third node has three, the last, which comes late, has none, and the others one or two.
    plan.stages[0] = stage(0, 6, 10_000, &[], true);
    plan.executors[1].slots = 2;
    plan.executors[2].slots = 3;
    plan.executors[3].comes.then_ms = 9_000;
    plan.executors[3].slots = 4;
    let facts = Facts::of(&plan);
    let lost = |victims| {
        let hit = Hit { at_ms: 12_000, victims };
        Simulation::new(&plan, &facts, &around()).run(1, &[hit])
    };
    let these = |nodes: &[usize]| Victims::Zone {
        name: "a".to_owned(),
        hosts: nodes.iter().map(|node| format!("node-{node}")).collect(),
    };
    let outcomes = [&[0][..], &[1], &[2], &[3], &[1, 2], &[0, 1, 2]].map(|nodes| lost(these(nodes)));
    for (count, nodes) in [(1, 2), (2, 4), (3, 5)] {
        let most = lost(Victims::MostOutput(count));
        let same: Vec<usize> = (0..6).filter(|at| outcomes[*at] == most).collect();
        assert_eq!(same, [nodes], "{count}");
    }
}
