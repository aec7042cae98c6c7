//! Steps of clusters that are not opted in: EMR is asked nothing for them, and nobody who is opted in goes without a
//! report for it.

use account::emr::{ClusterState, StepState};
use local::world::World;
use rules::drill::DrillState;
use serde_json::{Value, json};

use crate::staging::*;

fn untagged(name: &str) -> Value {
    let mut cluster = small(name);
    cluster["Tags"] = json!([{"Key": "team", "Value": "x"}]);
    cluster
}

/// The calls of the functions that drill and report, but for those of sweeps: of EMR, and all.
fn calls(world: &World) -> (usize, usize) {
    let state = world.lock();
    let services = tests::calls::for_drills(&state);
    let of_emr = services.iter().filter(|service| **service == "elasticmapreduce");
    (of_emr.count(), services.len())
}

async fn ended(world: &World, cluster_id: &str, step_id: &str) {
    until(world, |state| step_of(state, cluster_id, step_id).state.is_over()).await;
}

async fn terminated(world: &World, cluster_id: &str) {
    until(world, |state| {
        cluster_of(state, cluster_id).state == ClusterState::Terminated
    })
    .await;
}

fn step_id(world: &World, cluster_id: &str) -> String {
    cluster_of(&world.lock(), cluster_id).steps[0].id.clone()
}

#[test]
fn a_step_of_a_cluster_that_is_not_opted_in_costs_emr_nothing_and_three_calls_in_all() {
    in_a_world(1, &[], no_faults(), async |world| {
        prepare(&world);
        let id = cluster_up(&world, untagged("theirs")).await;
        let theirs = run_step(&world, &id, short()).await;
        ended(&world, &id, &theirs).await;
        sleep(60).await;
        assert_eq!(calls(&world), (0, 3));
        assert_eq!(noted(&world).await, [""; 0]);
        // What may be anything, or is nothing of Spark's, costs no more.
        let copy = run_step(&world, &id, step(&["s3-dist-cp", "--dest", "hdfs:///x"])).await;
        ended(&world, &id, &copy).await;
        sleep(3600).await;
        assert_eq!(calls(&world), (0, 6));
        assert!(!has_report(&world.lock(), &id, &theirs));
    });
}

#[test]
fn nor_does_a_step_whose_cluster_is_gone_when_its_end_is_told() {
    in_a_world(
        1,
        &[],
        local::fault::Faults {
            delay_ms_max: 20_000,
            ..no_faults()
        },
        async |world| {
            prepare(&world);
            for number in 0..6 {
                let id = run_cluster(&world, transient(untagged(&format!("theirs-{number}"))));
                terminated(&world, &id).await;
            }
            sleep(1200).await;
            // Only an end that overtakes its begin would have to ask EMR.
            assert_eq!(calls(&world), (0, 6 * 3));
        },
    );
}

#[test]
fn a_deployment_that_reports_on_all_reports_on_a_cluster_that_is_not_opted_in() {
    in_a_world(1, &[("ReportOn", "all")], no_faults(), async |world| {
        prepare(&world);
        let id = cluster_up(&world, untagged("theirs")).await;
        let theirs = run_step(&world, &id, short()).await;
        ended(&world, &id, &theirs).await;
        sleep(900).await;
        let report = report_of(&world, &id, &theirs);
        assert_eq!(report.drill.state, Some(DrillState::Refused));
        assert!(report.drill.reason.unwrap().contains("spot-drill=on"));
    });
}

#[test]
fn a_cluster_that_is_opted_in_while_its_step_runs_gets_the_steps_report() {
    in_a_world(1, &[], no_faults(), async |world| {
        prepare(&world);
        let id = cluster_up(&world, untagged("ours")).await;
        let before = run_step(&world, &id, short()).await;
        ended(&world, &id, &before).await;
        sleep(3600).await;
        let ours = run_step(&world, &id, short()).await;
        sleep(10).await;
        let tags = json!({"ResourceId": id, "Tags": [{"Key": "spot-drill", "Value": "on"}]});
        emr(&world, "AddTags", tags);
        ended(&world, &id, &ours).await;
        sleep(3600).await;
        assert!(has_report(&world.lock(), &id, &ours));
        assert!(!has_report(&world.lock(), &id, &before), "it ended long before");
    });
}

#[test]
fn a_cluster_that_is_opted_out_while_its_step_runs_gets_its_report_and_no_later_one() {
    in_a_world(1, &[], no_faults(), async |world| {
        prepare(&world);
        let id = cluster_up(&world, small("ours")).await;
        let ours = run_step(&world, &id, short()).await;
        sleep(10).await;
        emr(
            &world,
            "RemoveTags",
            json!({"ResourceId": id, "TagKeys": ["spot-drill"]}),
        );
        // Told twice, the second time when the cluster is opted out.
        let again = running(&world, &id, &ours);
        invoke(&world, "StartExperiment", "again", again).await.unwrap();
        ended(&world, &id, &ours).await;
        sleep(900).await;
        assert!(has_report(&world.lock(), &id, &ours));
        sleep(1800).await;
        let later = run_step(&world, &id, short()).await;
        ended(&world, &id, &later).await;
        sleep(2 * 3600).await;
        assert!(!has_report(&world.lock(), &id, &later));
    });
}

/// What the sweep finds by itself, too: no event tells of any of these steps.
#[test]
fn of_who_opts_out_the_sweep_finds_no_later_step() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let id = cluster_up(&world, small("ours")).await;
        sleep(1800).await;
        let before = run_step(&world, &id, short()).await;
        ended(&world, &id, &before).await;
        sleep(3600).await;
        assert!(has_report(&world.lock(), &id, &before));
        emr(
            &world,
            "RemoveTags",
            json!({"ResourceId": id, "TagKeys": ["spot-drill"]}),
        );
        sleep(1800).await;
        let after = run_step(&world, &id, short()).await;
        ended(&world, &id, &after).await;
        sleep(3 * 3600).await;
        assert!(!has_report(&world.lock(), &id, &after));
    });
}

#[test]
fn a_transient_cluster_of_which_nobody_told_the_begin_gets_its_report() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let id = run_cluster(&world, transient(small("ours")));
        terminated(&world, &id).await;
        let ours = step_id(&world, &id);
        let mut event = running(&world, &id, &ours);
        event["detail"]["state"] = json!("COMPLETED");
        invoke(&world, "WriteReport", "end", event).await.unwrap();
        assert!(has_report(&world.lock(), &id, &ours));
    });
}

#[test]
fn a_note_that_comes_after_the_steps_end_is_deleted() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let gone = run_cluster(&world, transient(untagged("gone")));
        let lives = cluster_up(&world, untagged("lives")).await;
        let over = run_step(&world, &lives, short()).await;
        let long = step(&[
            "spark-submit",
            "--deploy-mode",
            "cluster",
            "--driver-memory",
            "900g",
            SHORT,
        ]);
        let long = run_step(&world, &lives, long).await;
        for (cluster_id, step_id) in [(&gone, &step_id(&world, &gone)), (&lives, &over), (&lives, &long)] {
            until(&world, |state| {
                step_of(state, cluster_id, step_id).state != StepState::Pending
            })
            .await;
            let late = running(&world, cluster_id, step_id);
            invoke(&world, "StartExperiment", step_id, late).await.unwrap();
        }
        assert_eq!(noted(&world).await.len(), 3);
        sleep(26 * 3600).await;
        assert_eq!(noted(&world).await, [long], "it runs still");
    });
}

#[test]
fn what_a_step_that_nobody_watches_writes_to_is_not_emptied() {
    in_a_world(1, &[], no_faults(), async |world| {
        let old = "s3://emr-spot-workshop-data/resultsspot/old";
        let now = world.clock.now();
        world.lock().account.s3.put(old, "old", now).unwrap();
        let theirs = cluster_up(&world, untagged("theirs")).await;
        cluster_up(&world, small("checks")).await;
        let elsewhere = run_step(&world, &theirs, spark(&[OUT])).await;
        let writer = run_step(&world, &theirs, spark(&[RESULTS])).await;
        sleep(15).await;
        let submit = |execution: &str| {
            json!({"cluster_name": "checks", "results": RESULTS, "execution_id": execution,
                "step": {"name": "check", "args": ["spark-submit", SHORT, RESULTS]}})
        };
        let error = invoke(&world, "SubmitStep", "1", submit("1")).await.unwrap_err();
        assert!(error.contains(&writer) && error.contains(&theirs), "{error}");
        assert!(world.lock().account.s3.get(old).is_ok());
        cancel(&world, &theirs, &writer);
        ended(&world, &theirs, &writer).await;
        invoke(&world, "SubmitStep", "2", submit("2")).await.unwrap();
        assert!(world.lock().account.s3.get(old).is_err());
        drop(elsewhere);
    });
}
