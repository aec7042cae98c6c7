//! What a loss does to tasks that are just reading shuffle output, in small plans that can be reckoned by hand.

#[path = "plans/small.rs"]
mod plans;

use std::ops::Range;

use plans::{around, stage, two_stages};
use what_if::{Anchor, End, Ending, Facts, Hit, Outcome, Plan, Simulation, Surroundings, Victims};

/// A task that cannot reach its input tries for fifteen seconds and up to 0.4 s.
const RETRY_MS: Range<u32> = 15_020..15_400;

/// The reduces read for four seconds, of output that a service keeps where its executors are gone.
fn served() -> Plan {
    let mut plan = two_stages(&[("spark.shuffle.service.enabled", "true")]);
    plan.stages[1].reads_ms = 4_000;
    plan
}

/// Loses nodes, each at its moment.
fn lose(plan: &Plan, around: &Surroundings, nodes: &[(usize, u32)]) -> Outcome {
    let hit = |(node, at_ms): &(usize, u32)| Hit {
        at_ms: *at_ms,
        victims: Victims::Zone {
            name: "a".to_owned(),
            hosts: [format!("node-{node}")].into(),
        },
    };
    let hits: Vec<Hit> = nodes.iter().map(hit).collect();
    Simulation::new(plan, &Facts::of(plan), around).run(1, &hits)
}

#[test]
fn who_reads_when_the_output_goes_fails_once_it_has_tried_and_who_has_read_does_not() {
    // The reduces begin at 10 s.
    for (at_ms, run_ms, lost_ms) in [
        // Three are reading: they try until 27 s. A map for ten seconds and four reduces on three cores follow.
        (12_000, 27_200 + 30_000, 2_000 + 10_000 + 3 * 17_000),
        // They have read. The fourth begins at 20 s, and tries.
        (14_000, 35_200 + 20_000, 4_000 + 10_000 + 15_000),
    ] {
        let outcome = lose(&served(), &around(), &[(0, at_ms)]);
        assert_eq!(
            (outcome.ending, outcome.stages_failed),
            (Ending::Finished, 1),
            "{at_ms}"
        );
        let beyond_ms = (outcome.run_ms - run_ms, outcome.lost_task_ms - lost_ms);
        assert!(
            (20..400).contains(&beyond_ms.0) && (20..1_200).contains(&beyond_ms.1),
            "{at_ms}: {beyond_ms:?}"
        );
    }
}

#[test]
fn who_reads_what_is_not_there_that_went_reads_on() {
    let mut plan = served();
    let mut idle = plan.executors[0].clone();
    (idle.id, idle.node) = (4, 4);
    plan.executors.push(idle);
    plan.nodes.push("node-4".to_owned());
    // The fifth has a reduce, and no output of a map.
    let outcome = lose(&plan, &around(), &[(4, 12_000)]);
    assert_eq!((outcome.run_ms, outcome.stages_failed), (22_000, 0));
    let safe = Surroundings {
        output_is_safe: true,
        ..around()
    };
    assert_eq!(lose(&served(), &safe, &[(0, 12_000)]).run_ms, 30_000);
}

#[test]
fn who_tries_already_does_not_begin_anew_when_another_node_goes() {
    let outcome = lose(&served(), &around(), &[(0, 12_000), (1, 13_000)]);
    // One map is computed again after 27 s. Then it is found out that the other is gone, too, and four reduces have two cores.
    let tried_ms = outcome.run_ms - 12_000 - 2 * 200 - 2 * 10_000 - 20_000;
    assert_eq!(outcome.stages_failed, 2);
    assert!((2 * RETRY_MS.start..2 * RETRY_MS.end).contains(&tried_ms), "{tried_ms}");
}

#[test]
fn a_task_that_stands_still_as_it_did_in_the_log_does_not_find_out_that_its_input_went() {
    let mut plan = served();
    let at = |then_ms| Anchor { jobs_ended: 0, then_ms };
    plan.executors[0].silent_from = Some(at(11_000));
    for (node, at_ms) in [(0, 60_000), (1, 12_000)] {
        plan.executors[node].ends = Some((at(at_ms), End::LostWithNode));
    }
    let outcome = Simulation::new(&plan, &Facts::of(&plan), &around()).run_as_logged();
    // Two others do, at 27 s. They end before the one that stands still is taken.
    let tried_ms = outcome.run_ms - 12_000 - 200 - 10_000 - 20_000;
    assert!(RETRY_MS.contains(&tried_ms), "{tried_ms}");
    assert_eq!((outcome.ending, outcome.tasks), (Ending::Finished, 4 + 4 + 1 + 4));
}

#[test]
fn what_a_task_of_an_earlier_attempt_does_not_find_fails_no_later_one() {
    let mut plan = served();
    // A fifth core has a task of its own until 26 s, and then the reduce that was lost, which tries until 41 s.
    plan.stages.push(stage(2, 1, 26_000, &[], false));
    plan.jobs[0].targets.push(2);
    let mut fifth = plan.executors[0].clone();
    (fifth.id, fifth.node) = (4, 4);
    plan.executors.push(fifth);
    plan.nodes.push("node-4".to_owned());
    let outcome = lose(&plan, &around(), &[(0, 12_000)]);
    // The others fail at 27 s. Three reduces of the second attempt begin at 37 s, and the last one on the fifth core.
    let tried_ms = outcome.run_ms - 26_000 - 10_000;
    assert!(RETRY_MS.contains(&tried_ms), "{tried_ms}");
    assert_eq!((outcome.stages_failed, outcome.stages_again), (1, 2));
    assert_eq!(outcome.tasks, 4 + 1 + 4 + 1 + 1 + 4);
}
