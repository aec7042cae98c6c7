//! What a loss does to small plans that can be reckoned by hand.

#[path = "plans/small.rs"]
mod plans;

use plans::{around, stage, two_stages};
use rules::verdict::Verdict;
use what_if::{
    Anchor, Disturbance, End, Ending, Executor, Experiment, Facts, Hit, Outcome, Plan, Simulation, Stage, Surroundings,
    Victims,
};

fn play(plan: &Plan, around: &Surroundings, at_ms: u32, victims: u32) -> Outcome {
    let facts = Facts::of(plan);
    let hit = Hit {
        at_ms,
        victims: Victims::Random(victims),
    };
    Simulation::new(plan, &facts, around).run(1, &[hit])
}

#[test]
fn in_peace_it_takes_what_its_tasks_take() {
    let plan = two_stages(&[]);
    assert_eq!(Simulation::new(&plan, &Facts::of(&plan), &around()).calm_ms(), 20_000);
}

#[test]
fn a_map_task_that_is_lost_while_it_runs_runs_again() {
    let outcome = play(&two_stages(&[]), &around(), 5_000, 1);
    // Three maps end at 10 s, the fourth at 20 s; then four reduces on three cores.
    assert_eq!((outcome.ending, outcome.run_ms), (Ending::Finished, 40_000));
    assert_eq!((outcome.lost_task_ms, outcome.stages_failed), (5_000, 0));
}

#[test]
fn output_that_goes_with_its_executor_is_computed_again() {
    let outcome = play(&two_stages(&[]), &around(), 15_000, 1);
    // The reduce that ran there waits for a core until 20 s and fails at 20.1 s for want of a location. After a pause of
    // 0.2 s the map runs again, and then the last reduce.
    assert_eq!((outcome.ending, outcome.stages_failed), (Ending::Finished, 1));
    assert_eq!(outcome.stages_again, 2);
    assert_eq!(outcome.run_ms, 40_300);
}

#[test]
fn an_executor_that_was_to_come_to_a_lost_node_comes_to_its_replacement_and_its_output_can_be_lost_there() {
    let mut plan = two_stages(&[("spark.shuffle.service.enabled", "true")]);
    let late = Executor {
        id: 4,
        comes: Anchor {
            jobs_ended: 0,
            then_ms: 8_000,
        },
        ..plan.executors[0].clone()
    };
    plan.executors.push(late);
    plan.stages[0] = stage(0, 6, 10_000, &[], true);
    let around = Surroundings {
        replaced_after_ms: Some(2_000),
        replaced_spread: 0.0,
        nodes_that_stay: (1..4).map(|node| format!("node-{node}")).collect(),
        ..around()
    };
    let hit = |at_ms| Hit {
        at_ms,
        victims: Victims::Random(1),
    };
    let facts = Facts::of(&plan);
    let outcome = |hits: &[Hit]| Simulation::new(&plan, &facts, &around).run(1, hits);
    // What comes in the lost node's place computes two of six maps until 18 s, and goes when the reduces have begun.
    let (once, twice) = (outcome(&[hit(5_000)]), outcome(&[hit(5_000), hit(21_000)]));
    assert_eq!(
        (once.ending, once.nodes_lost, once.stages_failed),
        (Ending::Finished, 1, 0)
    );
    // The output of each of the two is found to be gone by a fetch of its own.
    assert_eq!(
        (twice.ending, twice.nodes_lost, twice.stages_failed),
        (Ending::Finished, 2, 2)
    );
    assert!(once.run_ms < twice.run_ms, "{once:?}, {twice:?}");
}

#[test]
fn output_that_is_safe_is_not() {
    let safe = Surroundings {
        output_is_safe: true,
        ..around()
    };
    let outcome = play(&two_stages(&[]), &safe, 15_000, 1);
    assert_eq!((outcome.stages_failed, outcome.run_ms), (0, 30_000));
    let checkpoint = Surroundings {
        checkpoint: Some(0),
        ..around()
    };
    assert_eq!(play(&two_stages(&[]), &checkpoint, 15_000, 1), outcome);
}

#[test]
fn where_a_shuffle_service_stays_silent_the_fetch_is_tried_before_it_fails() {
    let served = two_stages(&[("spark.shuffle.service.enabled", "true")]);
    let outcome = play(&served, &around(), 15_000, 1);
    let cleaned = two_stages(&[
        ("spark.shuffle.service.enabled", "true"),
        ("spark.resourceManager.cleanupExpiredHost", "true"),
    ]);
    let at_once = play(&cleaned, &around(), 15_000, 1);
    assert_eq!((outcome.stages_failed, at_once.stages_failed), (1, 1));
    // Three tries of five seconds.
    assert!(
        outcome.run_ms > at_once.run_ms + 4_000,
        "{} and {}",
        outcome.run_ms,
        at_once.run_ms
    );
}

#[test]
fn a_stage_that_fails_too_often_is_given_up() {
    let plan = two_stages(&[("spark.stage.maxConsecutiveAttempts", "1")]);
    let outcome = play(&plan, &around(), 15_000, 1);
    assert_eq!(outcome.ending, Ending::StageGivenUp(1));
    // The reduce that was lost waits for a core until the others are done, and fails within a tenth of a second.
    assert_eq!(outcome.run_ms, 20_100);
}

#[test]
fn a_decommissioned_executor_hands_its_output_over_and_nothing_fails() {
    let plan = two_stages(&[
        ("spark.decommission.enabled", "true"),
        ("spark.storage.decommission.enabled", "true"),
    ]);
    let told = Surroundings {
        notice_ms: 14_000,
        ..around()
    };
    // Told at 11 s, its reduce ends at 20 s, it leaves; it would have gone at 25 s.
    let outcome = play(&plan, &told, 25_000, 1);
    assert_eq!(
        (outcome.stages_failed, outcome.lost_task_ms, outcome.run_ms),
        (0, 0, 20_000)
    );
}

#[test]
fn without_nodes_it_ends_unless_others_come() {
    let outcome = play(&two_stages(&[]), &around(), 5_000, 4);
    assert_eq!((outcome.ending, outcome.run_ms), (Ending::NoExecutors, 5_000));
    let replaced = Surroundings {
        replaced_after_ms: Some(60_000),
        replaced_spread: 0.0,
        ..around()
    };
    let outcome = play(&two_stages(&[]), &replaced, 5_000, 4);
    assert_eq!((outcome.ending, outcome.run_ms), (Ending::Finished, 85_000));
}

#[test]
fn a_driver_that_goes_takes_everything_along_and_yarn_begins_anew() {
    let mut plan = two_stages(&[]);
    plan.driver_node = Some(0);
    plan.driver_in_cluster = true;
    let outcome = play(&plan, &around(), 5_000, 4);
    assert!(outcome.driver_lost);
    // Five seconds lost, thirty until the next driver begins, twenty for the work.
    assert_eq!((outcome.ending, outcome.run_ms), (Ending::Finished, 55_000));
    plan.driver_attempts_max = 1;
    assert_eq!(play(&plan, &around(), 5_000, 4).ending, Ending::DriverLost);
    let elsewhere = Surroundings {
        driver_may_go: false,
        ..around()
    };
    assert!(!play(&plan, &elsewhere, 5_000, 4).driver_lost);
}

#[test]
fn with_a_driver_all_goes_that_was_done_and_its_successor_has_machines_of_the_same_pace() {
    let mut plan = two_stages(&[]);
    (plan.driver_node, plan.driver_in_cluster) = (Some(0), true);
    plan.pace.mean = 2_f64.ln();
    let hit = |at_ms, victims| Hit { at_ms, victims };
    let other = Victims::Zone {
        name: "a".to_owned(),
        hosts: ["node-1".to_owned()].into(),
    };
    let hits = [hit(5_000, other), hit(32_000, Victims::Driver)];
    for (hits, lost_ms, begins_again_ms) in [
        // Four tasks run.
        (&[hit(5_000, Victims::Driver)][..], 4 * 5_000, 35_000),
        (&[hit(32_000, Victims::Driver)], 4 * 32_000, 62_000),
        // One of four until 5 s, the others until 20 s, and from then on what is lost of the first once more.
        (&hits, 5_000 + 3 * 20_000 + 12_000, 62_000),
    ] {
        let outcome = Simulation::new(&plan, &Facts::of(&plan), &around()).run(1, hits);
        assert_eq!(
            (outcome.lost_task_ms, outcome.run_ms),
            (lost_ms, begins_again_ms + 40_000)
        );
    }
}

#[test]
fn threads_change_nothing_and_seeds_do() {
    let plan = two_stages(&[]);
    let around = Surroundings {
        replaced_after_ms: Some(8_000),
        ..around()
    };
    let play = |seed, threads| {
        let disturbance = Disturbance::Swept {
            from_ms: 0,
            to_ms: 20_000,
            victims: Victims::Random(2),
        };
        let experiment = Experiment {
            runs: 200,
            seed,
            threads,
            disturbance,
        };
        experiment.play(&plan, &around, &|| ())
    };
    assert_eq!(play(7, 1), play(7, 3));
    assert_ne!(play(7, 1), play(8, 1));
}

#[test]
fn runs_are_hit_one_after_the_other_over_the_time_and_not_at_all_where_no_node_goes() {
    let mut plan = two_stages(&[]);
    plan.pace.mean = 2_f64.ln();
    let experiment = Experiment {
        runs: 4,
        seed: 1,
        threads: 1,
        disturbance: Disturbance::Swept {
            from_ms: 1_000,
            to_ms: 9_000,
            victims: Victims::Random(1),
        },
    };
    let staying = Surroundings {
        nodes_that_stay: plan.nodes.clone(),
        ..around()
    };
    for (around, hit_ms) in [
        (around(), [Some(2_000), Some(4_000), Some(6_000), Some(8_000)]),
        (staying, [None; 4]),
    ] {
        let runs = experiment.play(&plan, &around, &|| ());
        let found: Vec<_> = runs.iter().map(|run| run.hit_ms).collect();
        assert_eq!(found, hit_ms);
        assert!(runs.iter().all(|run| run.calm_ms == 40_000));
    }
}

#[test]
fn a_core_that_has_run_a_stage_is_warm_for_it_and_a_new_one_is_not() {
    let mut plan = two_stages(&[]);
    let maps = Stage {
        durations_ms: vec![13_000; 4],
        firsts: vec![true; 4],
        first_ms: 3_000,
        fresh_ms: 7_000,
        ..stage(0, 4, 0, &[], true)
    };
    plan.stages[0] = maps;
    assert_eq!(Simulation::new(&plan, &Facts::of(&plan), &around()).calm_ms(), 23_000);
    // Lost at 5 s, the map runs again on a warm core from 13 s on, for 10 s; then four reduces on three cores.
    assert_eq!(play(&plan, &around(), 5_000, 1).run_ms, 43_000);
    let replaced = Surroundings {
        replaced_after_ms: Some(1_000),
        replaced_spread: 0.0,
        ..around()
    };
    // The map runs again on the new core from 6 s on, for 17 s.
    assert_eq!(play(&plan, &replaced, 5_000, 1).run_ms, 33_000);
}

#[test]
fn a_hit_whose_notice_comes_before_any_executor_takes_those_that_are_there_by_then() {
    let mut plan = two_stages(&[]);
    for executor in &mut plan.executors {
        executor.comes.then_ms = 1_000;
    }
    let told = Surroundings {
        notice_ms: 120_000,
        ..around()
    };
    let outcome = play(&plan, &told, 6_000, 1);
    assert_eq!((outcome.nodes_lost, outcome.run_ms), (1, 41_000));
}

#[test]
fn a_node_that_goes_before_its_executors_come_is_hit_and_nothing_goes_with_it() {
    let mut plan = two_stages(&[]);
    for executor in &mut plan.executors {
        executor.comes.then_ms = 10_000;
    }
    let replaced = Surroundings {
        replaced_after_ms: Some(60_000),
        replaced_spread: 0.0,
        ..around()
    };
    let outcome = play(&plan, &replaced, 5_000, 4);
    // Its executors come on what came in its place.
    assert_eq!((outcome.nodes_lost, outcome.ending), (4, Ending::Finished));
    assert_eq!((outcome.run_ms, outcome.verdict()), (85_000, Verdict::Inconclusive));
    let one = play(&plan, &around(), 5_000, 1);
    // Three cores for two times four tasks.
    assert_eq!((one.nodes_lost, one.run_ms), (1, 50_000));
}

#[test]
fn what_a_drill_would_say_follows_from_the_course() {
    let mut long = two_stages(&[]);
    for stage in &mut long.stages {
        stage.durations_ms = vec![240_000; 4];
    }
    let said = |plan: &Plan, around: &Surroundings, at_ms| play(plan, around, at_ms, 1).verdict();
    let after = |replaced_after_ms| Surroundings {
        replaced_after_ms: Some(replaced_after_ms),
        replaced_spread: 0.0,
        ..around()
    };
    // Four minutes without a replacement are held against it, as a report does.
    assert_eq!(said(&long, &around(), 5_000), Verdict::Degraded);
    assert_eq!(said(&long, &after(60_000), 5_000), Verdict::Survived);
    assert_eq!(said(&long, &after(3_600_000), 5_000), Verdict::Degraded);
    // A job that ends too soon after shows nothing of it.
    assert_eq!(said(&two_stages(&[]), &around(), 5_000), Verdict::Survived);
    assert_eq!(said(&two_stages(&[]), &around(), 25_000), Verdict::Inconclusive);
    let strict = two_stages(&[("spark.stage.maxConsecutiveAttempts", "1")]);
    assert_eq!(said(&strict, &around(), 15_000), Verdict::Failed);
    let mut with_driver = two_stages(&[]);
    with_driver.driver_node = Some(0);
    with_driver.driver_in_cluster = true;
    let all = |plan: &Plan| play(plan, &after(60_000), 5_000, 4).verdict();
    assert_eq!(all(&with_driver), Verdict::Degraded);
    with_driver.driver_attempts_max = 1;
    assert_eq!(all(&with_driver), Verdict::Failed);
}

#[test]
fn a_replacement_is_missing_if_it_is_not_ready_by_the_end_of_a_run_that_waited_four_minutes_for_it() {
    let mut plan = two_stages(&[]);
    plan.stages[1].durations_ms = vec![200_000; 4];
    let verdict = |at_ms, replaced_after_ms| {
        let around = Surroundings {
            replaced_after_ms: Some(replaced_after_ms),
            replaced_spread: 0.0,
            output_is_safe: true,
            ..around()
        };
        let outcome = play(&plan, &around, at_ms, 1);
        // Three reduces end at 210 s, and what is lost is done by 410 s.
        assert_eq!(
            (outcome.ending, outcome.run_ms),
            (Ending::Finished, 410_000),
            "{at_ms}, {replaced_after_ms}"
        );
        outcome.verdict()
    };
    assert_eq!(verdict(170_000, 240_000), Verdict::Survived);
    assert_eq!(verdict(170_000, 240_001), Verdict::Degraded);
    assert_eq!(verdict(170_001, 240_001), Verdict::Survived, "it ended too soon");
}

#[test]
fn a_node_whose_executor_went_before_it_takes_along_the_output_that_it_still_serves() {
    let at = |then_ms| Anchor { jobs_ended: 0, then_ms };
    // Four of five have a map until 10 s; three of them, the idle one first, have a reduce from then on.
    for (executor, ends, served, verdict) in [
        (3, (at(12_000), End::Released), "true", Verdict::Survived),
        (4, (at(5_000), End::Released), "true", Verdict::Inconclusive),
        // The driver has forgotten its output.
        (3, (at(12_000), End::Lost), "false", Verdict::Inconclusive),
    ] {
        let mut plan = two_stages(&[("spark.shuffle.service.enabled", served)]);
        plan.stages[1] = stage(1, 3, 10_000, &[0], false);
        plan.nodes.push("node-4".to_owned());
        plan.executors.push(Executor {
            id: 4,
            node: 4,
            ..plan.executors[0].clone()
        });
        plan.executors[executor].ends = Some(ends);
        let mut around = Surroundings {
            notice_ms: 14_000,
            nodes_that_stay: plan.nodes.clone(),
            ..around()
        };
        around.nodes_that_stay.remove(executor);
        // It is told at 1 s, when its executor is there.
        let outcome = play(&plan, &around, 15_000, 1);
        assert_eq!(
            (outcome.run_ms, outcome.nodes_lost),
            (20_000, 1),
            "{executor}, {ends:?}"
        );
        assert_eq!(outcome.verdict(), verdict, "{executor}, {ends:?}");
    }
}

#[test]
fn a_run_whose_tasks_are_tried_again_without_end_is_given_up() {
    let mut plan = two_stages(&[]);
    plan.stages = vec![stage(0, 20, 10_000, &[], false)];
    plan.jobs[0].targets = vec![0];
    plan.executors.truncate(1);
    plan.executors[0].slots = 20;
    plan.nodes.truncate(1);
    let replaced = Surroundings {
        replaced_after_ms: Some(1_000),
        replaced_spread: 0.0,
        ..around()
    };
    // Every five seconds its only node goes, and all twenty tasks begin again a second later.
    let facts = Facts::of(&plan);
    let hit = |number: u32| Hit {
        at_ms: number * 5_000,
        victims: Victims::Random(1),
    };
    // Fifty attempts for each task, and a thousand besides, may be made: two thousand.
    for (times, ending) in [(100, Ending::Finished), (101, Ending::StageGivenUp(0))] {
        let hits: Vec<Hit> = (1..times).map(hit).collect();
        let outcome = Simulation::new(&plan, &facts, &replaced).run(1, &hits);
        assert_eq!((outcome.tasks, outcome.ending), (20 * times, ending));
    }
}
