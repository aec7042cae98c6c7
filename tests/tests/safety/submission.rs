//! A scheduled step is added once for each execution, and nothing is emptied by who has no time to look.

use aws::invocation::Invocation;
use chrono::TimeDelta;
use clap::Parser;
use local::fault::{AtCall, Fate, Faults};
use local::scenario::DATA_BUCKET;
use local::world::World;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rules::ledger::{ActiveStep, Submission};
use serde_json::{Value, json};

use crate::places::{has_old, put_old, submit};
use crate::staging::*;

fn steps(world: &World, cluster_id: &str) -> usize {
    cluster_of(&world.lock(), cluster_id).steps.len()
}

fn input(cluster: &str, execution: &str) -> Value {
    json!({"cluster_name": cluster, "results": RESULTS, "execution_id": execution,
        "step": {"name": "check", "args": ["spark-submit", "--deploy-mode", "cluster", SHORT, RESULTS]}})
}

#[test]
fn two_invocations_for_one_execution_at_once_add_one_step() {
    for seed in 0..8 {
        in_a_world(seed, &[], no_faults(), async |world| {
            let cluster_id = cluster_up(&world, small("checks")).await;
            let payload = input("checks", "e-1");
            let (one, other) = tokio::join!(
                invoke(&world, "SubmitStep", "one", payload.clone()),
                invoke(&world, "SubmitStep", "other", payload.clone()),
            );
            assert_eq!(steps(&world, &cluster_id), 1, "seed {seed}: {one:?}, {other:?}");
        });
    }
}

#[test]
fn a_cluster_may_be_named_by_its_id_and_no_other_is_meant() {
    in_a_world(1, &[], no_faults(), async |world| {
        let other = cluster_up(&world, small("other")).await;
        let meant = cluster_up(&world, small("checks")).await;
        submit(&world, &meant, "x").await.unwrap();
        assert_eq!((steps(&world, &meant), steps(&world, &other)), (1, 0));
        // What the schedule leaves out.
        let step = cluster_of(&world.lock(), &meant).steps[0].clone();
        assert_eq!(
            (&*step.jar, &*step.action_on_failure),
            ("command-runner.jar", "CONTINUE")
        );
        let error = submit(&world, "j-NOSUCHCLUSTER", "y").await.unwrap_err();
        assert!(
            error.contains("none of the active ones is called") && error.contains("checks"),
            "{error}"
        );
        assert_eq!((steps(&world, &meant), steps(&world, &other)), (1, 0));
    });
}

#[test]
fn a_step_that_ended_before_it_was_remembered_is_found_and_not_added_again() {
    let mut tried = 0;
    for call in 3..14 {
        let at_call = AtCall {
            function: "spot-drill-SubmitStep".into(),
            call,
            fate: Fate::CrashAfter,
        };
        let faults = Faults {
            at_call: Some(at_call),
            ..no_faults()
        };
        in_a_world(1, &[], faults, async |world| {
            prepare(&world);
            let cluster_id = cluster_up(&world, small("checks")).await;
            let payload = input("checks", "e-1");
            let dies = invoke(&world, "SubmitStep", "one", payload.clone()).await.is_err();
            if !dies || steps(&world, &cluster_id) == 0 {
                return;
            }
            tried += 1;
            until(&world, |state| cluster_of(state, &cluster_id).steps[0].state.is_over()).await;
            sleep(1200).await;
            let answer = invoke(&world, "SubmitStep", "other", payload).await.unwrap();
            assert_eq!(steps(&world, &cluster_id), 1, "dies after call {call}: {answer}");
        });
    }
    assert!(tried > 0, "no attempt died after it had added the step");
}

async fn note(world: &World, cluster_id: &str, step_id: String, unread: bool) {
    let step = ActiveStep {
        cluster_id: cluster_id.to_owned(),
        step_id,
        name: "writes".into(),
        places: rules::place::named_in([RESULTS]),
        watched: true,
        unread,
        seen_at: world.clock.now(),
    };
    aws(world).note_active(&table(world), &step).await.unwrap();
}

#[test]
fn more_noted_writers_than_are_asked_for_are_in_the_way() {
    in_a_world(1, &[], no_events(), async |world| {
        put_old(&world);
        let cluster_id = cluster_up(&world, small("checks")).await;
        // EMR knows none of them: each alone would be forgotten.
        for number in 0..41 {
            note(&world, "j-1A2B3C4D5E6F7", format!("s-{number:03}"), false).await;
        }
        let error = submit(&world, "checks", "x").await.unwrap_err();
        assert!(error.contains("more than are asked for"), "{error}");
        assert!(has_old(&world) && steps(&world, &cluster_id) == 0);
    });
}

#[test]
fn who_has_no_time_to_ask_for_writers_empties_nothing() {
    in_a_world(1, &[], no_events(), async |world| {
        put_old(&world);
        let cluster_id = cluster_up(&world, small("checks")).await;
        for number in 0..30 {
            note(&world, &format!("j-{number:013}"), "s-1A2B3C4D5E6F7".into(), true).await;
        }
        let table = table(&world);
        let config = submit_step::Config::parse_from(["", "--table-name", &table, "--results-locations", RESULTS]);
        let deadline = world.clock.now() + TimeDelta::seconds(60);
        let invocation = Invocation {
            request_id: "r".into(),
            deadline,
            payload: input("checks", "e-1"),
        };
        let error = submit_step::handle(&aws(&world), &config, invocation)
            .await
            .unwrap_err()
            .chain();
        assert!(error.contains("nothing was deleted or added"), "{error}");
        assert!(has_old(&world) && steps(&world, &cluster_id) == 0);
        // And nobody else works on it before Lambda has ended who might.
        let begun = aws(&world).submission(&table, "e-1").await.unwrap().unwrap();
        assert!(begun.lease_until > deadline, "{begun:?}");
    });
}

/// S3 answers 200 though it deleted nothing: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
#[test]
fn objects_that_s3_does_not_delete_are_an_error_that_names_them() {
    in_a_world(1, &[], no_events(), async |world| {
        put_old(&world);
        // Its role may list the bucket, and delete nothing there.
        let aws = world.aws("spot-drill-WriteReport", std::sync::Arc::default());
        let error = aws.empty(&RESULTS.parse().unwrap()).await.unwrap_err().chain();
        assert!(
            error.contains("1 objects of s3://emr-spot-workshop-data/resultsspot/ were not deleted"),
            "{error}"
        );
        assert!(
            error.contains("resultsspot/old: AccessDenied") && has_old(&world),
            "{error}"
        );
    });
}

/// A place as somebody may write it, or any text.
fn places() -> impl Strategy<Value = String> {
    prop_oneof![
        "(s3|s3a|S3N|http)://(emr-spot-workshop-data|EMR-spot-workshop-data|other)/?(resultsspot|RESULTSSPOT|raw|\\.\\./raw|resultsspot/\\.\\./raw)?[-a-z/.*%]{0,4}",
        Just(RESULTS.to_owned()),
        any::<String>(),
    ]
}

#[test]
fn whatever_a_schedule_asks_for_nothing_is_emptied_but_what_may_be() {
    const ASKED: usize = 300;
    in_a_world(1, &[], no_events(), async |world| {
        let cluster_id = cluster_up(&world, small("c")).await;
        let mut runner = TestRunner::deterministic();
        let mut emptied = 0;
        for number in 0..ASKED {
            let now = world.clock.now();
            let put = |key: &str| {
                let uri = format!("s3://{DATA_BUCKET}/{key}");
                world.lock().account.s3.put(&uri, "x", now).unwrap();
                uri
            };
            let old = put("resultsspot/old");
            let others = [
                "resultsspots/kept",
                "RESULTSSPOT/kept",
                "raw/kept",
                "resultsspot",
                "kept",
            ]
            .map(put);
            let results = places().new_tree(&mut runner).unwrap().current();
            let asked =
                json!({"cluster_name": cluster_id, "results": results, "step": {"name": "nothing", "args": ["true"]}});
            // It may be refused.
            let _ = invoke(&world, "SubmitStep", &format!("request-{number}"), asked).await;
            for other in others {
                assert!(world.lock().account.s3.get(&other).is_ok(), "{results:?} took {other}");
            }
            emptied += usize::from(world.lock().account.s3.get(&old).is_err());
            sleep(120).await;
        }
        assert!((ASKED / 5..ASKED).contains(&emptied), "{emptied}");
    });
}

#[test]
fn a_step_on_a_cluster_that_ended_is_not_added_to_the_next_one_of_its_name() {
    let mut tried = 0;
    for call in 3..16 {
        let at_call = AtCall {
            function: "spot-drill-SubmitStep".into(),
            call,
            fate: Fate::CrashAfter,
        };
        let faults = Faults {
            at_call: Some(at_call),
            ..no_faults()
        };
        in_a_world(1, &[], faults, async |world| {
            let first = cluster_up(&world, small("checks")).await;
            let payload = input("checks", "e-1");
            let dies = invoke(&world, "SubmitStep", "one", payload.clone()).await.is_err();
            if !dies || steps(&world, &first) == 0 {
                return;
            }
            tried += 1;
            emr(&world, "TerminateJobFlows", json!({"JobFlowIds": [first]}));
            until(&world, |state| cluster_of(state, &first).state.is_over()).await;
            // Whether there is another cluster of its name by then or not.
            invoke(&world, "SubmitStep", "one", payload.clone()).await.ok();
            let second = cluster_up(&world, small("checks")).await;
            sleep(1200).await;
            let answer = invoke(&world, "SubmitStep", "other", payload).await;
            assert_eq!(steps(&world, &second), 0, "dies after call {call}: {answer:?}");
        });
    }
    assert!(tried > 0, "no attempt died after it had added the step");
}

/// Where many steps of other clusters have to be asked for one after another, that takes as long as this.
#[test]
fn who_begins_to_write_while_others_are_asked_for_is_seen() {
    for on_the_same_cluster in [true, false] {
        in_a_world(1, &[], no_events(), async |world| {
            put_old(&world);
            let checks = cluster_up(&world, small("checks")).await;
            let elsewhere = cluster_up(&world, small("writer")).await;
            for number in 0..12 {
                note(&world, &format!("j-{number:013}"), "s-1A2B3C4D5E6F7".into(), true).await;
            }
            let begin_to_write = async {
                sleep(40).await;
                if on_the_same_cluster {
                    add_steps(&world, &checks, json!([spark(&[RESULTS])]));
                } else {
                    let step_id = add_steps(&world, &elsewhere, json!([spark(&[RESULTS])])).remove(0);
                    note(&world, &elsewhere, step_id, false).await;
                }
            };
            let (answer, ()) = tokio::join!(submit(&world, "checks", "e-1"), begin_to_write);
            let error = answer.expect_err("somebody writes there");
            assert!(error.contains("names that place"), "{error}");
            assert!(has_old(&world));
        });
    }
}

#[test]
fn a_step_that_an_older_version_added_and_could_not_remember_is_found() {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, small("checks")).await;
        let mut added = spark(&[RESULTS]);
        added["HadoopJarStep"]["Properties"] = json!([{"Key": "spot-drill.execution-id", "Value": "e-1"}]);
        add_steps(&world, &cluster_id, json!([added]));
        let now = world.clock.now();
        let submission = Submission {
            execution_id: "e-1".into(),
            holder: "an earlier invocation".into(),
            lease_until: now - TimeDelta::seconds(1),
            cluster_ids: Default::default(),
            step: None,
        };
        let expires = now + TimeDelta::days(1);
        let (aws, table) = (aws(&world), table(&world));
        aws.begin_submission(&table, &submission, now, expires).await.unwrap();
        let answer = submit(&world, "checks", "e-1").await.unwrap();
        assert_eq!(steps(&world, &cluster_id), 1, "{answer}");
    });
}

#[test]
fn who_was_frozen_until_another_took_over_adds_nothing() {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, small("checks")).await;
        let table = table(&world);
        let config = submit_step::Config::parse_from(["", "--table-name", &table, "--results-locations", RESULTS]);
        let aws = aws(&world);
        let invocation = |request_id: &str, seconds: i64| Invocation {
            request_id: request_id.into(),
            deadline: world.clock.now() + TimeDelta::seconds(seconds),
            payload: input("checks", "e-1"),
        };
        let frozen = submit_step::handle(&aws, &config, invocation("frozen", -10));
        let other = submit_step::handle(&aws, &config, invocation("other", 900));
        let (frozen, other) = tokio::join!(frozen, other);
        assert!(frozen.unwrap_err().chain().contains("has taken over"));
        other.unwrap();
        assert_eq!(steps(&world, &cluster_id), 1);
    });
}
