//! Which changes are tried of small plans, and what they make of them.

#[path = "plans/small.rs"]
mod plans;

use std::collections::BTreeMap;

use plans::{around, two_stages};
use what_if::{Disturbance, Ending, Executor, Experiment, Plan, Remedy, Run, Surroundings, Victims, effects, remedies};

fn tried(plan: &Plan, around: &Surroundings, victims: u32) -> Vec<Remedy> {
    let experiment = Experiment {
        runs: 1,
        seed: 1,
        threads: 1,
        disturbance: Disturbance::Swept {
            from_ms: 0,
            to_ms: 20_000,
            victims: Victims::Random(victims),
        },
    };
    remedies(plan, around, &experiment)
}

/// Two nodes with executors of so many cores each.
fn with_executors(slots: &[(u32, u32)]) -> Plan {
    let mut plan = two_stages(&[]);
    plan.nodes.truncate(2);
    let executor = plan.executors[0].clone();
    let executors = (0..).zip(slots).map(|(id, (node, slots))| Executor {
        id,
        node: *node,
        slots: *slots,
        ..executor.clone()
    });
    plan.executors = executors.collect();
    plan
}

#[test]
fn halves_of_nodes_share_the_cores_that_the_whole_ones_had() {
    // Whole nodes are 0 and 1; their second halves are 2 and 3.
    for (whole, halves) in [
        (
            &[(0, 4), (1, 4)][..],
            Some(BTreeMap::from([(0, 2), (1, 2), (2, 2), (3, 2)])),
        ),
        (
            &[(0, 3), (1, 3)],
            Some(BTreeMap::from([(0, 2), (1, 2), (2, 1), (3, 1)])),
        ),
        // Of two executors of one core each, one moves.
        (
            &[(0, 1), (0, 1), (1, 1), (1, 1)],
            Some(BTreeMap::from([(0, 1), (1, 1), (2, 1), (3, 1)])),
        ),
        (
            &[(0, 1), (0, 1), (0, 1), (1, 1)],
            Some(BTreeMap::from([(0, 2), (1, 1), (2, 1)])),
        ),
        // One core is no two.
        (&[(0, 1), (1, 1)], None),
    ] {
        let plan = with_executors(whole);
        let split = tried(&plan, &around(), 1)
            .into_iter()
            .find(|it| it.words.contains("half the size"));
        let cores = split.map(|split| {
            let mut cores = BTreeMap::new();
            for executor in &split.plan.executors {
                assert!(executor.slots > 0, "{executor:?}");
                *cores.entry(executor.node).or_insert(0) += executor.slots;
            }
            cores
        });
        assert_eq!(cores, halves, "{whole:?}");
    }
}

#[test]
fn what_is_so_already_is_not_tried() {
    let offers = |plan: &Plan, around: &Surroundings, victims, words: &str| {
        tried(plan, around, victims).iter().any(|it| it.words.contains(words))
    };
    let on = |properties: &[(&str, &'static str)], words| offers(&two_stages(properties), &around(), 1, words);
    let attempts = "spark.stage.maxConsecutiveAttempts";
    assert!(on(&[(attempts, "9")], attempts));
    assert!(!on(&[(attempts, "10")], attempts));
    let service = ("spark.shuffle.service.enabled", "true");
    let cleanup = "spark.resourceManager.cleanupExpiredHost";
    assert!(on(&[service], cleanup));
    assert!(!on(&[service, (cleanup, "true")], cleanup));
    assert!(!on(&[], cleanup), "without the service nothing outlives its executor");
    let spread = "More zones and types";
    assert!(!offers(&two_stages(&[]), &around(), 1, spread));
    assert!(offers(&two_stages(&[]), &around(), 2, "so that 1 go at once and not 2"));
    assert!(offers(&two_stages(&[]), &around(), 3, "so that 2 go at once and not 3"));
    let driver = "The driver on a node that is not Spot";
    let mut with_driver = two_stages(&[]);
    assert!(!offers(&with_driver, &around(), 1, driver));
    with_driver.driver_node = Some(0);
    assert!(offers(&with_driver, &around(), 1, driver));
    let stays = Surroundings {
        driver_may_go: false,
        ..around()
    };
    assert!(!offers(&with_driver, &stays, 1, driver));
}

#[test]
fn an_effect_is_sure_if_it_is_larger_than_twice_its_standard_error() {
    // By how many ms each of two runs took longer without the change; the mean with its margin, seconds.
    for (longer_ms, seconds, is_sure) in [
        ([3_000, 2_000], (-2.5, 1.0), true),
        ([2_000, 2_000], (-2.0, 0.0), true),
        // No larger than its margin.
        ([3_000, 1_000], (-2.0, 2.0), false),
        ([3_000, -1_000], (-1.0, 4.0), false),
        ([-3_000, -2_000], (2.5, 1.0), true),
        ([0, 0], (0.0, 0.0), false),
        ([1, 1], (-0.001, 0.0), true),
    ] {
        let mut remedy = tried(&two_stages(&[]), &around(), 1).remove(0);
        remedy.experiment.runs = 2;
        let mut runs = remedy.experiment.play(&remedy.plan, &remedy.around, &|| ());
        for (run, longer_ms) in runs.iter_mut().zip(longer_ms) {
            run.outcome.run_ms = run.outcome.run_ms.strict_add_signed(longer_ms);
        }
        let effect = effects(vec![remedy], &runs, 18_500, &|| ()).remove(0);
        let found = (effect.until_done_seconds, effect.plus_minus_seconds);
        assert_eq!((found, effect.is_sure), (seconds, is_sure), "{longer_ms:?}");
        assert_eq!((effect.failed, effect.undisturbed_seconds), (0.0, 1.5));
    }
}

#[test]
fn a_run_that_failed_is_done_again_in_peace_and_the_best_effect_comes_first() {
    let mut tried = tried(&two_stages(&[]), &around(), 1);
    tried.truncate(2);
    for remedy in &mut tried {
        remedy.experiment.runs = 4;
    }
    // With the second nothing is lost.
    tried[1].around.nodes_that_stay = tried[1].plan.nodes.clone();
    let second = tried[1].words.clone();
    let mut runs: Vec<Run> = tried[1].experiment.play(&tried[1].plan, &tried[1].around, &|| ());
    assert!(runs.iter().all(|run| run.until_done_ms() == 20_000));
    runs[0].outcome.ending = Ending::StageGivenUp(0);
    assert_eq!(runs[0].until_done_ms(), 40_000);
    let effects = effects(tried, &runs, 20_000, &|| ());
    assert_eq!(effects[0].change, second);
    assert_eq!((effects[0].until_done_seconds, effects[0].failed), (-5.0, -0.25));
    assert!(
        effects[1].until_done_seconds > -5.0 && effects.len() == 2,
        "{effects:?}"
    );
}
