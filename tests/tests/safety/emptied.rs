//! A ledger that somebody deletes and makes anew: nobody is hit twice for that, and FIS's memory does for the drill's.

use std::time::Duration;

use local::world::World;
use report::Report;
use rules::drill::DrillState;
use rules::interruption::Cause;

use crate::staging::*;

/// A drill of the workshop's, whose ledger is made anew so many seconds after the first notice. Then whatever `meanwhile` does,
/// one experiment is all there is, and the report of the step tells it.
fn is_drilled_once(seconds_after: u64, meanwhile: impl AsyncFn(&World, &str, &str)) -> Report {
    let mut told = None;
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| !notices(state).is_empty()).await;
        sleep(seconds_after).await;
        let now = world.clock.now();
        world.lock().make_tables_anew(now);
        meanwhile(&world, &cluster_id, &step_id).await;
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
        let experiments: Vec<String> = world
            .lock()
            .account
            .fis
            .experiments()
            .map(|one| one.id.clone())
            .collect();
        let report = report_of(&world, &cluster_id, &step_id);
        let told_of: Vec<String> = report
            .drill
            .experiments
            .iter()
            .filter_map(|one| one.experiment_id.clone())
            .collect();
        assert_eq!(told_of, experiments, "{:?}", report.drill.reason);
        assert_eq!(experiments.len(), 1);
        assert_eq!(report.interruptions.len(), notices(&world.lock()).len());
        for one in &report.interruptions {
            let experiment_id = experiments[0].clone();
            assert_eq!(
                one.interrupted.cause,
                Cause::Experiment { experiment_id },
                "{}",
                one.interrupted.instance_id
            );
        }
        told = Some(report);
    });
    told.expect("the story was told to its end")
}

#[test]
fn a_drill_whose_record_is_lost_while_it_is_followed_finds_its_experiment_again() {
    // The invocation that follows the experiment cannot write any more, and Lambda's next attempt finds an empty ledger.
    let report = is_drilled_once(5, async |_, _, _| ());
    assert_eq!(report.drill.experiments[0].status.as_deref(), Some("completed"));
}

#[test]
fn a_second_delivery_after_the_ledger_was_lost_starts_no_second_experiment() {
    is_drilled_once(90, async |world, cluster_id, step_id| {
        let payload = running(world, cluster_id, step_id);
        let answer = invoke(world, "StartExperiment", "another", payload).await.unwrap();
        assert_eq!(answer["outcome"], "drilled", "{answer}");
    });
}

/// A report that finds a drill which waits says that it gave up.
#[test]
fn of_an_experiment_that_fis_remembers_it_is_written_at_once_that_it_began() {
    is_drilled_once(90, async |world, cluster_id, step_id| {
        let payload = running(world, cluster_id, step_id);
        let first_written = async {
            loop {
                let drill = aws(world).drill(&table(world), cluster_id, step_id).await.unwrap();
                if let Some(drill) = drill {
                    return drill.state;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let (answer, state) = tokio::join!(invoke(world, "StartExperiment", "another", payload), first_written);
        assert_eq!(state, Some(DrillState::Started), "{answer:?}");
    });
}

#[test]
fn a_report_whose_drill_the_ledger_has_lost_asks_fis_and_says_so() {
    let report = is_drilled_once(90, async |_, _, _| ());
    let whys: Vec<&str> = report.missing.iter().map(|one| one.why.as_str()).collect();
    assert!(
        whys.iter()
            .any(|why| why.contains("the ledger has lost this step's drill")),
        "{whys:?}"
    );
}
