//! What ends a wait and what does not: looks that lie minutes apart, a step that EMR still calls PENDING, a delay that is
//! longer than the wait, and an experiment that was asked for too long ago to be asked for again.

use account::emr::{StepState, Whims};
use account::spark::Workload;
use account::wire::Service;
use aws::Saved;
use chrono::TimeDelta;
use local::fault::{AtCall, Fate, Faults};
use local::world::{State, World};
use rules::drill::{Claim, Drill, DrillState, Wave};
use serde_json::{Value, json};

use crate::staging::*;

/// How often start-experiment called an operation.
fn calls(state: &State, operation: &str) -> usize {
    let entries = state.account.journal.entries().iter();
    let by_us = entries.filter(|entry| entry.data["caller"] == "spot-drill-StartExperiment");
    by_us.filter(|entry| entry.subject == operation).count()
}

#[test]
fn what_says_no_is_read_again_when_the_nodes_come_minutes_after_the_first_look() {
    in_a_world(1, &[("DelaySeconds", "10")], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 0)).await;
        // EC2 calls them running long before EMR does.
        let slower_by = TimeDelta::seconds(300);
        world.lock().account.emr.set_whims(Whims {
            slower_by,
            ..Whims::default()
        });
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        let looks = |state: &State| calls(state, "ListInstances");
        until(&world, |state| looks(state) > 0).await;
        emr(
            &world,
            "RemoveTags",
            json!({"ResourceId": cluster_id, "TagKeys": ["spot-drill"]}),
        );
        sleep(1000).await;
        assert!(
            looks(&world.lock()) > 1,
            "the nodes were there at the first look already"
        );
        assert_eq!(world.lock().account.fis.experiments().count(), 0);
        let drill = drill_of(&world, &cluster_id, &step_id).await;
        let reason = drill.reason.unwrap_or_default();
        assert_eq!(drill.state, Some(DrillState::Refused), "{reason}");
        assert!(reason.contains("has no tag spot-drill=on"), "{reason}");
    });
}

/// FIS would refuse the experiment; but nothing is asked of it, and a template that changed meanwhile it would take.
#[test]
fn what_fis_says_is_read_again_when_the_instances_come_minutes_after_the_first_look() {
    in_a_world(1, &[("DelaySeconds", "10")], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 0)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| calls(state, "GetExperimentTemplate") > 0).await;
        world.lock().account.fis.set_safety_lever(true, "change freeze");
        sleep(1000).await;
        let drill = drill_of(&world, &cluster_id, &step_id).await;
        let reason = drill.reason.unwrap_or_default();
        assert_eq!(drill.state, Some(DrillState::Refused), "{reason}");
        assert!(reason.contains("change freeze"), "{reason}");
        let state = world.lock();
        let asked = ["GetExperimentTemplate", "GetSafetyLever", "CreateExperimentTemplate"];
        assert_eq!(asked.map(|operation| calls(&state, operation)), [1, 2, 0]);
    });
}

#[test]
fn a_wait_that_is_shorter_than_the_delay_lasts_until_the_delay_is_over() {
    let parameters = [("DelaySeconds", "120"), ("WaitSecondsMax", "60")];
    in_a_world(1, &parameters, no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        sleep(200).await;
        let drill = drill_of(&world, &cluster_id, &step_id).await;
        assert_eq!(drill.experiments().len(), 1, "{:?}", drill.reason);
    });
}

#[test]
fn a_step_that_emr_goes_on_calling_pending_is_not_drilled() {
    in_a_world(1, &[("DelaySeconds", "10")], no_events(), async |world| {
        let mut cluster = workshop("c", 32);
        cluster["StepConcurrencyLevel"] = json!(1);
        let cluster_id = cluster_up(&world, cluster).await;
        run_step(&world, &cluster_id, spark(&[OUT])).await;
        let waits = add_steps(&world, &cluster_id, json!([spark(&[OUT])])).remove(0);
        let payload = running(&world, &cluster_id, &waits);
        let answer = invoke(&world, "StartExperiment", "one", payload).await.unwrap();
        assert_eq!(step_of(&world.lock(), &cluster_id, &waits).state, StepState::Pending);
        assert_eq!(answer["outcome"], "gave_up", "{answer}");
        let reason = answer["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("PENDING"), "{reason}");
        assert_eq!(world.lock().account.fis.experiments().count(), 0);
    });
}

#[test]
fn an_event_of_a_step_that_does_not_run_costs_no_call() {
    in_a_world(1, &[], no_events(), async |world| {
        for state in ["PENDING", "CANCEL_PENDING", "COMPLETED", "INTERRUPTED", "SOMETHING_NEW"] {
            let mut payload = running(&world, "j-1A2B3C4D5E6F7", "s-1A2B3C4D5E6F7");
            payload["detail"]["state"] = json!(state);
            let before = world.lock().calls("spot-drill-StartExperiment");
            let answer = invoke(&world, "StartExperiment", state, payload).await.unwrap();
            assert_eq!(answer["reason"], format!("the step is {state}, not RUNNING"));
            assert_eq!(world.lock().calls("spot-drill-StartExperiment"), before);
        }
    });
}

/// EMR's quotas are the account's: somebody else may have all of `ListInstances` just when the nodes are looked at.
#[test]
fn a_look_at_the_nodes_that_emr_throttles_is_made_again_later() {
    in_a_world(1, &[("DelaySeconds", "60")], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        take_all(&world, &cluster_id, "ListInstances", 100).await;
        assert_eq!(notices(&world.lock()).len(), 0, "nobody could look yet");
        sleep(300).await;
        let drill = drill_of(&world, &cluster_id, &step_id).await;
        assert_eq!(drill.experiments().len(), 1, "{:?} {:?}", drill.state, drill.reason);
        let state = world.lock();
        let failed = state
            .account
            .journal
            .entries()
            .iter()
            .filter(|entry| entry.text.starts_with("fails"));
        assert_eq!(failed.count(), 0, "an alarm goes off for {step_id}");
    });
}

/// The same at the end of a step: a report that waits for a minute has all that one at once would have.
#[test]
fn a_report_asks_emr_again_while_others_have_its_quota() {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        // A drill that was, and then nobody else gets through until a minute after the end.
        until(&world, |state| !notices(state).is_empty()).await;
        while !step_of(&world.lock(), &cluster_id, &step_id).state.is_over() {
            take_all(&world, &cluster_id, "ListInstances", 1).await;
        }
        take_all(&world, &cluster_id, "ListInstances", 60).await;
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
        let report = report_of(&world, &cluster_id, &step_id);
        let throttled = report.missing.iter().filter(|one| one.why.contains("Throttling"));
        assert_eq!(throttled.count(), 0, "{:?}", report.missing);
        assert!(report.revisions.is_empty(), "it was written in one go");
    });
}

/// Minutes after which a client token is not used again.
const LATE: u64 = 11;

/// A drill whose invocation dies at its experiment, before FIS hears of it or after, and that nobody takes up again for so many
/// minutes, while `meanwhile` happens; then what `holds` says has to hold of the answer, by how often that was.
fn is_taken_up_later(
    fate: Fate,
    minutes: u64,
    meanwhile: impl Fn(&World, &Drill),
    holds: impl AsyncFn(&World, &str, Value),
) -> usize {
    let mut tried = 0;
    for call in 14..40 {
        let at_call = AtCall {
            function: "spot-drill-StartExperiment".into(),
            call,
            fate,
        };
        let faults = Faults {
            at_call: Some(at_call),
            ..no_events()
        };
        in_a_world(1, &[("DelaySeconds", "10")], faults, async |world| {
            let mut long = Workload::workshop();
            long.stages.iter_mut().for_each(|stage| stage.task_seconds *= 4.0);
            let script = "s3://emr-spot-workshop-data/script.py";
            world.lock().account.emr.set_workload(script, long);
            let cluster_id = cluster_up(&world, workshop("c", 32)).await;
            let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
            let payload = running(&world, &cluster_id, &step_id);
            // Invoked by hand, so that Lambda does not try again by itself.
            if invoke(&world, "StartExperiment", "one", payload.clone()).await.is_ok() {
                return;
            }
            let drill = drill_of(&world, &cluster_id, &step_id).await;
            let is_unanswered = |wave: &Wave| wave.template_id.is_some() && wave.experiment_id.is_none();
            let exists = world.lock().account.fis.experiments().count() > 0;
            if !drill.waves.first().is_some_and(is_unanswered) || exists != (fate == Fate::CrashAfter) {
                return;
            }
            tried += 1;
            meanwhile(&world, &drill);
            // Of the same invocation, whose lease is its own.
            sleep(minutes * 60).await;
            assert_eq!(step_of(&world.lock(), &cluster_id, &step_id).state, StepState::Running);
            let answer = invoke(&world, "StartExperiment", "one", payload).await.unwrap();
            holds(&world, &cluster_id, answer).await;
        });
    }
    tried
}

/// FIS's memory of client tokens has no documented length: <https://docs.aws.amazon.com/fis/latest/APIReference/API_StartExperiment.html>
#[test]
fn an_experiment_that_was_asked_for_long_ago_is_not_asked_for_again_and_its_cluster_not_let_go() {
    let tried = is_taken_up_later(
        Fate::CrashBefore,
        LATE,
        |_, _| (),
        async |world, cluster_id, answer| {
            assert_eq!(answer["outcome"], "gave_up", "{answer}");
            assert_eq!(world.lock().account.fis.experiments().count(), 0);
            // Nobody knows that nobody is hit.
            let claim = Claim {
                cluster_id: cluster_id.to_owned(),
                step_id: "s-OTHER".into(),
                until: world.clock.now(),
                released: false,
            };
            let expires = aws::expires_at(world.clock.now(), 1);
            let saved = aws(world).claim_cluster(&table(world), &claim, expires).await.unwrap();
            assert!(matches!(&saved, Saved::No(other) if !other.released), "{saved:?}");
        },
    );
    assert!(tried > 0, "no attempt died before its experiment");
}

#[test]
fn an_experiment_of_which_nobody_heard_is_found_by_its_template() {
    let tried = is_taken_up_later(
        Fate::CrashAfter,
        LATE,
        |_, _| (),
        async |world, _, answer| {
            assert_eq!(answer["outcome"], "drilled", "{answer}");
            assert_eq!(world.lock().account.fis.experiments().count(), 1);
        },
    );
    assert!(tried > 0, "no attempt died after its experiment had begun");
}

#[test]
fn victims_that_went_while_nobody_worked_on_the_drill_are_not_asked_for_and_no_others_in_their_place() {
    let take_one = |world: &World, drill: &Drill| {
        let gone = &drill.waves[0].victims[0].instance_id;
        call(world, Service::Ec2, "TerminateInstances", json!({"InstanceId": [gone]}));
    };
    let tried = is_taken_up_later(Fate::CrashBefore, 3, take_one, async |world, _, answer| {
        assert_eq!(answer["outcome"], "gave_up", "{answer}");
        assert!(
            answer["reason"].as_str().unwrap().contains("running no more"),
            "{answer}"
        );
        let state = world.lock();
        assert_eq!(state.account.fis.experiments().count(), 0);
        assert_eq!(state.account.fis.templates().count(), 1, "the throw-away is deleted");
    });
    assert!(tried > 0, "no attempt died before its experiment");
    let tried = is_taken_up_later(
        Fate::CrashBefore,
        3,
        |_, _| (),
        async |world, _, answer| {
            assert_eq!(answer["outcome"], "drilled", "{answer}");
            assert_eq!(world.lock().account.fis.experiments().count(), 1);
        },
    );
    assert!(tried > 0, "no attempt died before its experiment");
}

#[test]
fn whose_drill_was_taken_over_while_it_waited_ends_nobody_elses() {
    in_a_world(1, &[("WaitSecondsMax", "120")], no_faults(), async |world| {
        world.lock().account.ec2.set_spot_capacity(Some(0));
        let cluster_id = cluster_up(&world, workshop("c", 0)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| {
            calls(state, "ListInstances") + calls(state, "DescribeInstances") > 0
        })
        .await;
        let (aws, table) = (aws(&world), table(&world));
        let mut drill = drill_of(&world, &cluster_id, &step_id).await;
        let lease_until = world.clock.now() + TimeDelta::hours(1);
        (drill.holder, drill.lease_until) = (Some("another".into()), Some(lease_until));
        let saved = aws
            .save_drill(&table, &mut drill, aws::expires_at(world.clock.now(), 1))
            .await;
        assert!(matches!(saved, Ok(Saved::Yes)), "{saved:?}");
        sleep(600).await;
        let after = drill_of(&world, &cluster_id, &step_id).await;
        assert_eq!(
            (after.holder.as_deref(), after.state),
            (Some("another"), Some(DrillState::Waiting))
        );
        assert_eq!(after.reason, None);
    });
}

/// Or two would work on it at once: who was frozen goes on.
#[test]
fn nobody_else_may_take_a_drill_before_lambda_has_ended_who_has_it() {
    in_a_world(1, &[], no_events(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        let timeout = world.lock().template.functions["StartExperiment"].timeout_seconds;
        let ends_at = world.clock.now() + TimeDelta::seconds(i64::try_from(timeout).unwrap());
        let payload = running(&world, &cluster_id, &step_id);
        let lease_until = tokio::select! {
            answer = invoke(&world, "StartExperiment", "one", payload) => panic!("it waits: {answer:?}"),
            drill = async {
                sleep(20).await;
                drill_of(&world, &cluster_id, &step_id).await
            } => drill.lease_until,
        };
        assert!(lease_until > Some(ends_at), "{lease_until:?}, {ends_at}");
    });
}
