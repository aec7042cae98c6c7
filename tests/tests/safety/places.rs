//! A place that an active step names is not emptied, whichever cluster the step is on.

use account::emr::StepState;
use local::scenario::DATA_BUCKET;
use local::world::World;
use rules::ledger::ActiveStep;
use serde_json::{Value, json};

use crate::staging::*;

const OLD: &str = "s3://emr-spot-workshop-data/resultsspot/old";

pub(crate) async fn submit(world: &World, cluster: &str, execution: &str) -> Result<Value, String> {
    let script = format!("s3://{DATA_BUCKET}/script.py");
    let input = json!({"cluster_name": cluster, "results": RESULTS, "execution_id": execution,
        "step": {"name": "check", "args": ["spark-submit", "--deploy-mode", "cluster", script, RESULTS]}});
    invoke(world, "SubmitStep", execution, input).await
}

pub(crate) fn put_old(world: &World) {
    let now = world.clock.now();
    world.lock().account.s3.put(OLD, "old", now).unwrap();
}

pub(crate) fn has_old(world: &World) -> bool {
    world.lock().account.s3.get(OLD).is_ok()
}

/// A step of another cluster, then the attempt to empty the results from `checks`.
fn is_refused_while_it_runs(parameters: &[(&str, &str)], other: Value) {
    in_a_world(1, parameters, no_faults(), async |world| {
        put_old(&world);
        let writer = cluster_up(&world, small("writer")).await;
        cluster_up(&world, small("checks")).await;
        let step_id = run_step(&world, &writer, other.clone()).await;
        sleep(15).await;
        let error = submit(&world, "checks", "while it runs").await.unwrap_err();
        assert!(error.contains(&step_id) && error.contains(&writer), "{other}: {error}");
        assert!(has_old(&world), "{other}");
        until(&world, |state| {
            let step = step_of(state, &writer, &step_id);
            step.state.is_over() || step.application_id.is_some()
        })
        .await;
        if !step_of(&world.lock(), &writer, &step_id).state.is_over() {
            cancel(&world, &writer, &step_id);
        }
        until(&world, |state| step_of(state, &writer, &step_id).state.is_over()).await;
        let answer = submit(&world, "checks", "afterwards").await.unwrap();
        assert_eq!(answer["objects_deleted"], 1, "{other}: {answer}");
        assert!(!has_old(&world));
    });
}

#[test]
fn a_place_is_not_emptied_while_a_step_of_another_cluster_names_it_in_any_spelling() {
    for argument in [
        "s3://emr-spot-workshop-data/resultsspot/",
        "s3a://emr-spot-workshop-data/resultsspot",
        "S3N://emr-spot-workshop-data/resultsspot/day=1/",
        "out=s3://emr-spot-workshop-data/",
        "s3://elsewhere/x,s3a://emr-spot-workshop-data/results*",
        r#"{"out": "s3:\/\/emr-spot-workshop-data\/resultsspot\/"}"#,
    ] {
        is_refused_while_it_runs(&[], spark(&[argument]));
    }
}

#[test]
fn a_step_that_is_not_spark_counts_and_so_does_one_under_drills_that_are_off() {
    let copy = step(&["s3-dist-cp", "--src", "hdfs:///x", "--dest", RESULTS]);
    is_refused_while_it_runs(&[], copy);
    is_refused_while_it_runs(&[("Mode", "off")], spark(&[RESULTS]));
    let shell = format!("aws s3 sync /tmp/x '{RESULTS}' && true");
    is_refused_while_it_runs(&[("Mode", "off")], step(&["bash", "-c", &shell]));
}

#[test]
fn a_step_that_was_just_added_is_known_before_it_runs() {
    in_a_world(1, &[], no_events(), async |world| {
        cluster_up(&world, small("one")).await;
        cluster_up(&world, small("two")).await;
        submit(&world, "one", "first").await.unwrap();
        put_old(&world);
        let error = submit(&world, "two", "second").await.unwrap_err();
        assert!(error.contains("names that place") && has_old(&world), "{error}");
    });
}

#[test]
fn a_writer_beyond_the_first_page_of_the_clusters_own_steps_is_found() {
    in_a_world(1, &[], no_events(), async |world| {
        put_old(&world);
        let id = cluster_up(&world, small("checks")).await;
        let copy = json!([step(&["s3-dist-cp", "--src", "hdfs:///x", "--dest", "hdfs:///y"])]);
        for _ in 0..60 {
            add_steps(&world, &id, copy.clone());
            sleep(1).await;
        }
        // In EMR's order the last one added is on the second page, or, newest first, the oldest: both name the place.
        run_last(&world, &id).await;
        let error = submit(&world, "checks", "x").await.unwrap_err();
        assert!(error.contains("names that place") && has_old(&world), "{error}");
    });
}

async fn run_last(world: &World, cluster_id: &str) {
    add_steps(world, cluster_id, json!([spark(&[RESULTS])]));
    let active = |world: &World| {
        let state = world.lock();
        let steps = cluster_of(&state, cluster_id).steps.iter();
        steps.filter(|step| !step.state.is_over()).count()
    };
    assert!(active(world) > 50, "{} steps are active", active(world));
}

#[test]
fn a_writer_beyond_the_first_page_of_the_ledger_is_found() {
    in_a_world(1, &[], no_events(), async |world| {
        put_old(&world);
        cluster_up(&world, small("checks")).await;
        let writer = cluster_up(&world, small("writer")).await;
        let step_id = run_step(&world, &writer, spark(&[RESULTS])).await;
        let note = |step_id: &str, name: String, words: &str| ActiveStep {
            cluster_id: writer.clone(),
            step_id: step_id.to_owned(),
            name,
            places: rules::place::named_in([words]),
            watched: true,
            unread: false,
            seen_at: world.clock.now(),
        };
        // A page of a query ends at one megabyte, and the items come in the order of their keys.
        for number in 0..80 {
            let other = note(&format!("s-0{number:02}"), "x".repeat(20_000), "s3://elsewhere/x");
            aws(&world).note_active(&table(&world), &other).await.unwrap();
        }
        let writing = note(&step_id, "writer".into(), RESULTS);
        aws(&world).note_active(&table(&world), &writing).await.unwrap();
        assert_eq!(noted(&world).await.len(), 81);
        let error = submit(&world, "checks", "x").await.unwrap_err();
        assert!(error.contains(&step_id) && has_old(&world), "{error}");
    });
}

#[test]
fn an_item_that_outlived_its_step_is_in_nobodys_way_and_is_deleted() {
    in_a_world(1, &[], no_events(), async |world| {
        put_old(&world);
        cluster_up(&world, small("checks")).await;
        let writer = cluster_up(&world, small("writer")).await;
        let step_id = run_step(&world, &writer, step(&["s3-dist-cp", "--dest", RESULTS])).await;
        let payload = running(&world, &writer, &step_id);
        invoke(&world, "StartExperiment", "r", payload).await.unwrap();
        assert!(noted(&world).await.contains(&step_id));
        until(&world, |state| {
            step_of(state, &writer, &step_id).state == StepState::Completed
        })
        .await;
        submit(&world, "checks", "x").await.unwrap();
        assert!(!has_old(&world) && !noted(&world).await.contains(&step_id));
    });
}

#[test]
fn a_step_that_ended_is_forgotten_whatever_it_ran() {
    in_a_world(1, &[], no_faults(), async |world| {
        let writer = cluster_up(&world, small("writer")).await;
        let copy = run_step(&world, &writer, step(&["s3-dist-cp", "--dest", RESULTS])).await;
        sleep(15).await;
        assert!(noted(&world).await.contains(&copy));
        until(&world, |state| step_of(state, &writer, &copy).state.is_over()).await;
        sleep(60).await;
        assert_eq!(noted(&world).await, [""; 0]);
    });
}

#[test]
fn looking_for_writers_costs_no_call_for_each_cluster() {
    in_a_world(1, &[], no_faults(), async |world| {
        for number in 0..12 {
            let id = cluster_up(&world, small(&format!("other-{number}"))).await;
            run_step(&world, &id, spark(&["s3://elsewhere/x"])).await;
        }
        cluster_up(&world, small("checks")).await;
        let before = emr_calls(&world);
        submit(&world, "checks", "x").await.unwrap();
        // The list of clusters, the cluster's own steps, and the step that is added.
        assert_eq!(emr_calls(&world) - before, 3);
    });
}

fn emr_calls(world: &World) -> usize {
    let state = world.lock();
    let entries = state.account.journal.entries().iter();
    let by_us = |entry: &&account::journal::Entry| {
        let action = entry.data["action"].as_str().unwrap_or_default();
        entry.data["caller"] == "spot-drill-SubmitStep" && action.starts_with("elasticmapreduce:")
    };
    entries.filter(by_us).count()
}
