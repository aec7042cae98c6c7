//! What AWS's answers are taken for: a refusal never for "there is none", a limit for itself, a reason for its words.

use account::spark::Workload;
use aws::{Aws, Found, InstanceListing};
use local::fault::Faults;
use local::scenario::DATA_BUCKET;
use local::world::World;
use serde_json::json;

use crate::staging::*;

/// Every call is refused, whichever it is.
fn refused() -> Faults {
    Faults {
        refused_percent: 100,
        ..no_faults()
    }
}

/// Reads of which each says "there is none" of what does not exist: by name, whether one came to that.
async fn reads(aws: &Aws, world: &World, cluster_id: &str) -> Vec<(&'static str, bool)> {
    let table = table(world);
    let ids = ["i-0123456789abcdef0".to_owned()];
    let since = world.clock.now() - chrono::TimeDelta::days(1);
    let pause = std::time::Duration::ZERO;
    vec![
        ("step", aws.step(cluster_id, "s-1").await.is_ok()),
        ("cluster", aws.cluster(cluster_id).await.is_ok()),
        ("cluster_tags", aws.cluster_tags(cluster_id).await.is_ok()),
        ("clusters_by_primary", aws.clusters_by_primary().await.is_ok()),
        ("drill", aws.drill(&table, cluster_id, "s-1").await.is_ok()),
        ("interruptions", aws.interruptions(&table, cluster_id).await.is_ok()),
        ("unattributed", aws.unattributed(&table, &ids[0]).await.is_ok()),
        (
            "drills_of_cluster",
            aws.drills_of_cluster(&table, cluster_id).await.is_ok(),
        ),
        ("drills_of_job", aws.drills_of_job(&table, "job", 9).await.is_ok()),
        ("submission", aws.submission(&table, "e-1").await.is_ok()),
        ("active_steps", aws.active_steps(&table).await.is_ok()),
        ("sweep", aws.sweep(&table).await.is_ok()),
        (
            "running instances",
            aws.running_spot_task_instances(cluster_id, "aws").await.is_ok(),
        ),
        ("describe_instances", aws.describe_instances(&ids).await.is_ok()),
        ("spot_statuses", aws.spot_statuses(&ids).await.is_ok()),
        ("managed_scaling", aws.managed_scaling(cluster_id).await.is_ok()),
        ("active_clusters", aws.active_clusters().await.is_ok()),
        ("ended_clusters", aws.ended_clusters(since, pause).await.is_ok()),
        ("active_steps_of", aws.active_steps_of(cluster_id).await.is_ok()),
        ("steps_since", aws.steps_since(cluster_id, since, pause).await.is_ok()),
        (
            "steps_by_id",
            aws.steps_by_id(cluster_id, &["s-1".into()]).await.is_ok(),
        ),
        ("experiment_template", aws.experiment_template("EXT1").await.is_ok()),
        ("safety_lever", aws.safety_lever().await.is_ok()),
        ("experiment", aws.experiment("EXP1").await.is_ok()),
        (
            "experiment_of_template",
            aws.experiment_of_template("EXT1").await.is_ok(),
        ),
        ("experiments_of_step", aws.experiments_of_step("s-1").await.is_ok()),
        ("resolved_targets", aws.resolved_targets("EXP1").await.is_ok()),
        ("leaked_throw_aways", aws.leaked_throw_aways(since).await.is_ok()),
        ("object", aws.object(DATA_BUCKET, "no-such-key", 9).await.is_ok()),
        ("list", aws.list(&RESULTS.parse().unwrap(), 9).await.is_ok()),
    ]
}

#[test]
fn what_is_refused_is_never_taken_for_what_is_not_there() {
    in_a_world(1, &[], refused(), async |world| {
        let taken = reads(&aws(&world), &world, "j-1A2B3C4D5E6F7").await;
        let taken: Vec<&str> = taken
            .into_iter()
            .filter_map(|(name, is_ok)| is_ok.then_some(name))
            .collect();
        assert!(taken.is_empty(), "{taken:?}");
    });
}

#[test]
fn a_write_that_is_refused_is_an_error_and_not_somebody_elses_write() {
    in_a_world(1, &[], refused(), async |world| {
        let aws = aws(&world);
        let written = aws
            .put_unless_changed(DATA_BUCKET, "k", "text/plain", vec![1], None)
            .await;
        assert!(written.is_err(), "{written:?}");
        assert!(aws.stop_experiment("EXP1").await.is_err());
        assert!(aws.empty(&RESULTS.parse().unwrap()).await.is_err());
    });
}

#[test]
fn an_experiment_that_is_over_or_unknown_need_not_be_stopped() {
    in_a_world(1, &[], no_faults(), async |world| {
        assert!(aws(&world).stop_experiment("EXP8fFJQnwzGFFVvM4").await.is_ok());
    });
}

#[test]
fn an_object_may_be_as_large_as_is_asked_for_and_no_larger() {
    in_a_world(1, &[], no_faults(), async |world| {
        let now = world.clock.now();
        let place = format!("s3://{DATA_BUCKET}/resultsspot/four");
        world.lock().account.s3.put(&place, "four", now).unwrap();
        let aws = aws(&world);
        let found = aws.object(DATA_BUCKET, "resultsspot/four", 4).await.unwrap();
        assert!(matches!(found, Found::Object { bytes, .. } if bytes == b"four"));
        let found = aws.object(DATA_BUCKET, "resultsspot/four", 3).await.unwrap();
        assert!(matches!(found, Found::TooLarge(4)));
        let found = aws.object(DATA_BUCKET, "resultsspot/five", 4).await.unwrap();
        assert!(matches!(found, Found::Nothing));
    });
}

/// EMR has no token for adding steps. A call that was throttled did nothing, and is made again.
#[test]
fn a_throttled_step_is_added_once_in_the_end() {
    let mut added = 0;
    for seed in 0..12 {
        let faults = Faults {
            throttled_percent: 50,
            ..no_faults()
        };
        in_a_world(seed, &[], faults, async |world| {
            let cluster_id = cluster_up(&world, small("checks")).await;
            let aws = world.aws("spot-drill-SubmitStep", std::sync::Arc::default());
            let words = ["true".to_owned()];
            let step = aws
                .add_step(&cluster_id, "s", "command-runner.jar", &words, &[], "CONTINUE")
                .await;
            let there = cluster_of(&world.lock(), &cluster_id).steps.len();
            assert_eq!(there, usize::from(step.is_ok()), "seed {seed}");
            added += there;
        });
    }
    // Once in eight it is throttled three times.
    assert!(added > 7, "{added} of 12");
}

#[test]
fn emrs_reasons_are_told_in_its_words_with_their_codes_where_there_are_any() {
    in_a_world(1, &[], no_events(), async |world| {
        world.lock().account.emr.set_workload(SHORT, Workload::short());
        let cluster_id = cluster_up(&world, small("c")).await;
        let ids = add_steps(&world, &cluster_id, json!([short(), step(&["false"])]));
        until(&world, |state| {
            ids.iter().all(|id| step_of(state, &cluster_id, id).state.is_over())
        })
        .await;
        let aws = aws(&world);
        let completed = aws.step(&cluster_id, &ids[0]).await.unwrap().unwrap();
        assert_eq!((completed.state.as_str(), completed.failure), ("COMPLETED", None));
        let running = aws.cluster(&cluster_id).await.unwrap().unwrap();
        emr(&world, "TerminateJobFlows", json!({"JobFlowIds": [cluster_id]}));
        until(&world, |state| cluster_of(state, &cluster_id).state.is_over()).await;
        let ended = aws.cluster(&cluster_id).await.unwrap().unwrap();
        assert_eq!(
            running.reason.as_deref(),
            Some("Cluster ready after last step completed.")
        );
        assert_eq!(
            ended.reason.as_deref(),
            Some("USER_REQUEST: Terminated by user request")
        );
        let listing = InstanceListing::default();
        let nodes = aws.instances(&ended, &[], &listing).await.unwrap();
        assert_eq!(nodes.len(), 2);
    });
}

/// Only who is told that it is gone, or who may not know, takes it for gone.
#[test]
fn a_template_that_fis_does_not_answer_of_is_not_deleted() {
    for (errors_percent, refused_percent, is_ok) in [(100, 0, false), (0, 100, true)] {
        let faults = Faults {
            errors_percent,
            refused_percent,
            ..no_faults()
        };
        in_a_world(1, &[], faults, async |world| {
            let answer = aws(&world).delete_throw_away("EXT1").await;
            assert_eq!(answer.is_ok(), is_ok, "{answer:?}");
        });
    }
}
