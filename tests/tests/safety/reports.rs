//! Which runs a report compares with, and that a report which had to do without more never takes the place of another.

use aws::expires_at;
use chrono::{DateTime, TimeDelta};
use local::fault::{AtCall, EndedEarly, Fate, Faults, Refusal};
use rules::drill::{Drill, Finished, Written};
use rules::interruption::Cause;
use rules::ledger::Interruption;
use serde_json::json;

use crate::staging::*;

#[test]
fn a_run_is_compared_with_earlier_ones_that_completed_and_that_nothing_interrupted() {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| !notices(state).is_empty()).await;
        let drill = drill_of(&world, &cluster_id, &step_id).await;
        let began = drill.started_at.unwrap();
        let expires = expires_at(world.clock.now(), 400);
        // Each but the first is none to compare with, for one reason.
        for (number, (state, run_seconds, hours, interrupted, outlived)) in [
            ("COMPLETED", 200, -1, 0, false),
            ("FAILED", 10, -2, 0, false),
            ("COMPLETED", 20, 1, 0, false),
            ("COMPLETED", 30, -3, 2, false),
            ("COMPLETED", 40, -4, 0, true),
        ]
        .into_iter()
        .enumerate()
        {
            let at = began + TimeDelta::hours(hours);
            let mut other = Drill::new("j-EARLIER", &format!("s-{number}"));
            other.job.clone_from(&drill.job);
            other.started_at = Some(at);
            other.finished = Some(Finished {
                state: state.into(),
                at: at + TimeDelta::seconds(run_seconds),
            });
            other.report = Some(Written {
                verdict: "survived".into(),
                location: "s3://b/".into(),
                missing: 0,
                run_seconds: Some(run_seconds),
                interrupted,
                outlived,
                rows: None,
                by: None,
            });
            aws(&world)
                .save_drill(&table(&world), &mut other, expires)
                .await
                .unwrap();
        }
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
        let cost = report_of(&world, &cluster_id, &step_id).cost;
        assert_eq!((cost.undisturbed_runs, cost.median_undisturbed_seconds), (1, Some(200)));
        assert_eq!((cost.disturbed_runs, cost.median_disturbed_seconds), (1, Some(30)));
    });
}

#[test]
fn a_report_that_knows_less_leaves_the_one_that_knows_more() {
    // The event log may not be read, so the report is not whole, and may be written again.
    in_a_world(1, &[("EventLogBucketArns", "")], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
        sleep(1200).await;
        let before = report_of(&world, &cluster_id, &step_id);
        assert!(
            before.missing.iter().any(|one| one.what == "event log"),
            "{:?}",
            before.missing
        );
        let payload = completed(&world, &cluster_id, &step_id);
        take_all(&world, &cluster_id, "ListInstances", 3).await;
        let (answer, ()) = tokio::join!(
            invoke(&world, "WriteReport", "again", payload),
            take_all(&world, &cluster_id, "ListInstances", 600),
        );
        let after = report_of(&world, &cluster_id, &step_id);
        assert_eq!(after, before, "{answer:?}");
    });
}

/// Whose event is told again hears what is on record; Lambda's retry of the one that wrote it hears it as if for the first time;
/// and where what is told now differs, it is told, and not as the first.
#[test]
fn a_verdict_is_told_as_the_first_once() {
    in_a_world(1, &[], no_events(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| step_of(state, &cluster_id, &step_id).state.is_over()).await;
        let payload = completed(&world, &cluster_id, &step_id);
        let tell = async |request_id: &str| {
            invoke(&world, "WriteReport", request_id, payload.clone())
                .await
                .unwrap()
        };
        let first = tell("one").await;
        assert_eq!(
            (&first["outcome"], &first["first"]),
            (&json!("reported"), &json!(true)),
            "{first}"
        );
        let again = tell("two").await;
        let words = again["reason"].as_str().unwrap_or_default().to_owned();
        assert!(
            again["outcome"] == "ignored" && words.contains("says inconclusive already"),
            "{again}"
        );
        let retry = tell("one").await;
        assert_eq!(
            (&retry["outcome"], &retry["first"]),
            (&json!("reported"), &json!(true)),
            "{retry}"
        );
        // Somebody has written down another verdict, of a report that had to do without more.
        let (aws, table) = (aws(&world), table(&world));
        let mut drill = drill_of(&world, &cluster_id, &step_id).await;
        let written = drill.report.as_mut().unwrap();
        (written.verdict, written.missing, written.by) = ("failed".into(), 9, Some("three".into()));
        aws.save_drill(&table, &mut drill, expires_at(world.clock.now(), 400))
            .await
            .unwrap();
        let other = tell("four").await;
        assert_eq!(
            (&other["outcome"], &other["first"]),
            (&json!("reported"), &json!(false)),
            "{other}"
        );
    });
}

#[test]
fn a_step_is_reported_on_though_an_item_of_another_step_cannot_be_read() {
    // Without an event log the ledger says whether another step's application may have kept the room.
    in_a_world(1, &[("EventLogBucketArns", "")], no_faults(), async |world| {
        let mut cluster = workshop("c", 32);
        cluster["StepConcurrencyLevel"] = json!(1);
        let cluster_id = cluster_up(&world, cluster).await;
        let item =
            json!({"pk": {"S": format!("cluster#{cluster_id}")}, "sk": {"S": "drill#s-OTHER"}, "state": {"N": "7"}});
        let request = json!({"TableName": table(&world), "Item": item}).to_string();
        let put = world.lock().account.dynamodb.call("PutItem", request.as_bytes());
        put.unwrap();
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
        let report = report_of(&world, &cluster_id, &step_id);
        let what: Vec<&str> = report.missing.iter().map(|one| one.what.as_str()).collect();
        assert!(
            what.contains(&"drills of the cluster's other steps"),
            "{:?}",
            report.missing
        );
    });
}

#[test]
fn a_step_that_still_runs_has_no_report_whatever_an_event_says() {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        sleep(30).await;
        let payload = completed(&world, &cluster_id, &step_id);
        let asked_at = world.clock.now();
        let answer = invoke(&world, "WriteReport", "early", payload).await;
        // EMR's answers may lag behind its events: so it is asked again before that is taken for wrong.
        assert!(
            answer.is_err() && (world.clock.now() - asked_at).num_seconds() >= 50,
            "{answer:?}"
        );
        assert!(!has_report(&world.lock(), &cluster_id, &step_id), "{answer:?}");
        assert_eq!(
            drill_of(&world, &cluster_id, &step_id).await.finished,
            None,
            "{answer:?}"
        );
        // And its drill goes on.
        until(&world, |state| !notices(state).is_empty()).await;
    });
}

#[test]
fn a_report_shows_no_secret_of_the_steps_arguments() {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let arguments = ["--password", "correct-horse", OUT];
        let step_id = run_step(&world, &cluster_id, spark(&arguments)).await;
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
        let state = world.lock();
        let folder = format!(
            "s3://{}/reports/{cluster_id}/{step_id}",
            state.template.buckets["ReportBucket"]
        );
        for name in ["report.json", "report.html"] {
            let object = state.account.s3.get(&format!("{folder}/{name}")).unwrap();
            let text = String::from_utf8_lossy(&object.bytes);
            assert!(!text.contains("correct-horse"), "{name}");
            // The page shows no arguments.
            assert!(name == "report.html" || text.contains("--password"), "{name}");
        }
    });
}

#[test]
fn a_warning_that_came_when_ec2_had_forgotten_the_instance_is_found() {
    in_a_world(1, &[("DelaySeconds", "10")], no_events(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        let payload = running(&world, &cluster_id, &step_id);
        invoke(&world, "StartExperiment", "one", payload).await.unwrap();
        let noticed = notices(&world.lock());
        assert!(!noticed.is_empty());
        for (id, noticed_at) in &noticed {
            // As it is written of an instance that EC2 does not describe.
            let warning = Interruption {
                instance_id: id.clone(),
                cluster_id: None,
                noticed_at: DateTime::from_timestamp(noticed_at.timestamp(), 0).unwrap(),
                action: "terminate".into(),
                role: None,
                pool_id: None,
                instance_type: None,
                availability_zone: None,
                private_dns_name: None,
                launched_at: None,
                latency_ms: Some(9_000_000),
                event_id: None,
                seen: 0,
            };
            let expires = expires_at(world.clock.now(), 400);
            aws(&world).record(&table(&world), &warning, expires).await.unwrap();
        }
        until(&world, |state| step_of(state, &cluster_id, &step_id).state.is_over()).await;
        let payload = completed(&world, &cluster_id, &step_id);
        invoke(&world, "WriteReport", "two", payload).await.unwrap();
        let report = report_of(&world, &cluster_id, &step_id);
        assert_eq!(report.interruptions.len(), noticed.len());
        for one in &report.interruptions {
            assert_eq!(one.interrupted.warnings, 1, "{:?}", one.interrupted);
            assert_eq!(one.interrupted.latency_ms, Some(9_000_000));
        }
    });
}

#[test]
fn victims_of_whom_no_warning_came_are_waited_for_until_they_are_gone() {
    in_a_world(2, &[("DelaySeconds", "200")], no_events(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        let payload = running(&world, &cluster_id, &step_id);
        invoke(&world, "StartExperiment", "one", payload).await.unwrap();
        until(&world, |state| step_of(state, &cluster_id, &step_id).state.is_over()).await;
        let noticed = notices(&world.lock());
        let ended_at = world.clock.now();
        assert!(
            noticed.values().any(|at| *at + TimeDelta::seconds(120) > ended_at),
            "all are gone already"
        );
        let payload = completed(&world, &cluster_id, &step_id);
        invoke(&world, "WriteReport", "two", payload).await.unwrap();
        let report = report_of(&world, &cluster_id, &step_id);
        let gone_at = noticed.values().max().copied().unwrap() + TimeDelta::seconds(120);
        assert!(report.observed_at >= gone_at, "observed at {}", report.observed_at);
        for one in &report.interruptions {
            assert!(one.interrupted.terminated_at.is_some(), "{:?}", one.interrupted);
        }
    });
}

#[test]
fn of_an_experiment_that_fis_does_not_tell_of_nobody_says_that_it_was_somebody_elses() {
    let dies = Faults {
        ended_early: Some(EndedEarly {
            function: "spot-drill-StartExperiment".into(),
            invocation: 1,
            after_ms: 110_000,
        }),
        ..no_events()
    };
    let report_with = |faults: Faults| {
        let mut told = None;
        in_a_world(1, &[], faults, async |world| {
            let cluster_id = cluster_up(&world, workshop("c", 32)).await;
            let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
            // The invocation dies while it follows the experiment: how that ended is not on record.
            let payload = running(&world, &cluster_id, &step_id);
            invoke(&world, "StartExperiment", "one", payload).await.unwrap_err();
            assert!(!notices(&world.lock()).is_empty());
            until(&world, |state| step_of(state, &cluster_id, &step_id).state.is_over()).await;
            sleep(180).await;
            let payload = completed(&world, &cluster_id, &step_id);
            invoke(&world, "WriteReport", "two", payload).await.unwrap();
            let state = world.lock();
            let calls = state.account.journal.entries().iter();
            let mut calls = calls.filter(|entry| entry.data["caller"] == "spot-drill-WriteReport");
            let asked = calls.position(|entry| entry.subject == "GetExperiment");
            drop(state);
            told = Some((report_of(&world, &cluster_id, &step_id), asked));
        });
        told.expect("the story was told to its end")
    };
    let (whole, asked) = report_with(dies.clone());
    assert!(
        whole
            .interruptions
            .iter()
            .all(|one| matches!(one.interrupted.cause, Cause::Experiment { .. }))
    );
    let faults = Faults {
        at_call: Some(AtCall {
            function: "spot-drill-WriteReport".into(),
            call: asked
                .and_then(|index| u32::try_from(index + 1).ok())
                .expect("the report asks FIS"),
            fate: Fate::Refused(Refusal::Denied),
        }),
        ..dies
    };
    let (report, _) = report_with(faults);
    assert!(
        report.missing.iter().any(|one| one.what == "experiment"),
        "{:?}",
        report.missing
    );
    assert_eq!(report.interruptions.len(), whole.interruptions.len());
    for one in &report.interruptions {
        assert_eq!(one.interrupted.cause, Cause::Unknown, "{}", one.interrupted.instance_id);
    }
}

#[test]
fn what_is_on_record_of_a_report_stays_unless_the_next_one_knows_more() {
    for is_whole in [true, false] {
        in_a_world(1, &[], no_faults(), async |world| {
            let cluster_id = cluster_up(&world, workshop("c", 32)).await;
            let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
            until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
            sleep(1200).await;
            let mut drill = drill_of(&world, &cluster_id, &step_id).await;
            let written = drill.report.as_mut().unwrap();
            assert!(written.missing > 0, "{written:?}");
            if is_whole {
                written.missing = 0;
            }
            let (by, expires) = (written.by.clone().unwrap(), expires_at(world.clock.now(), 400));
            aws(&world)
                .save_drill(&table(&world), &mut drill, expires)
                .await
                .unwrap();
            let payload = completed(&world, &cluster_id, &step_id);
            let again = invoke(&world, "WriteReport", "again", payload.clone()).await.unwrap();
            assert_eq!(again["outcome"], "ignored", "{again}");
            assert_eq!(drill_of(&world, &cluster_id, &step_id).await.report, drill.report);
            // Lambda's own retry of who wrote it.
            let retry = invoke(&world, "WriteReport", &by, payload).await.unwrap();
            assert_eq!(
                (&retry["outcome"], &retry["first"]),
                (&json!("reported"), &json!(true)),
                "{retry}"
            );
        });
    }
}
