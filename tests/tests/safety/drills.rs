//! A drill that must not be, or must not be any more: what changes while it waits is seen before anybody is interrupted.

use account::emr::{ClusterState, StepState};
use account::fis::Status;
use account::wire::Service;
use local::busy_region::invocations;
use local::fault::{AtCall, Fate, Faults};
use local::world::World;
use rules::drill::DrillState;
use serde_json::{Value, json};

use crate::staging::*;

/// A step that begins, and what somebody does in mid-wait; then nobody may have been interrupted, for these words.
fn is_called_off(meanwhile: impl AsyncFn(&World, &str, &str), state: DrillState, words: &str) {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        sleep(60).await;
        meanwhile(&world, &cluster_id, &step_id).await;
        sleep(120).await;
        let drill = drill_of(&world, &cluster_id, &step_id).await;
        let reason = drill.reason.unwrap_or_default();
        assert!(reason.contains(words), "{words}: {:?}, {reason}", drill.state);
        assert_eq!(drill.state, Some(state), "{reason}");
        nobody_was_hit(&world, words);
    });
}

fn nobody_was_hit(world: &World, story: &str) {
    let state = world.lock();
    assert!(notices(&state).is_empty(), "{story}: somebody was interrupted");
    assert_eq!(state.account.fis.experiments().count(), 0, "{story}");
    let copies = state.account.fis.templates();
    let left = copies
        .filter(|one| one.definition.tags.contains_key("spot-drill:step"))
        .count();
    assert_eq!(left, 0, "{story}: a throw-away template is left");
}

#[test]
fn a_tag_that_is_taken_away_during_the_wait_is_missed() {
    let meanwhile = async |world: &World, cluster_id: &str, _: &str| {
        emr(
            world,
            "RemoveTags",
            json!({"ResourceId": cluster_id, "TagKeys": ["spot-drill"]}),
        );
    };
    is_called_off(meanwhile, DrillState::Refused, "has no tag spot-drill=on");
}

#[test]
fn a_lever_that_is_engaged_during_the_wait_is_seen() {
    let meanwhile = async |world: &World, _: &str, _: &str| {
        world.lock().account.fis.set_safety_lever(true, "change freeze");
    };
    is_called_off(meanwhile, DrillState::Refused, "lever is engaged: change freeze");
}

#[test]
fn a_cluster_that_somebody_ends_just_before_the_experiment_is_left_alone() {
    for seconds in 80..92 {
        in_a_world(1, &[], no_faults(), async |world| {
            let cluster_id = cluster_up(&world, workshop("c", 32)).await;
            run_step(&world, &cluster_id, spark(&[OUT])).await;
            sleep(seconds).await;
            let experiments = world.lock().account.fis.experiments().count();
            emr(&world, "TerminateJobFlows", json!({"JobFlowIds": [cluster_id]}));
            sleep(300).await;
            let after = world.lock().account.fis.experiments().count();
            assert_eq!(after, experiments, "one was started after {seconds} s");
        });
    }
}

/// The stop condition's alarm, by its ARN.
fn stop_alarm(world: &World) -> String {
    let state = world.lock();
    let value = &state.template.experiment_template["stopConditions"][0]["value"];
    value.as_str().unwrap().to_owned()
}

#[test]
fn a_stop_alarm_that_goes_on_during_the_wait_is_seen_and_named() {
    let meanwhile = async |world: &World, _: &str, _: &str| {
        let alarm = stop_alarm(world);
        world.lock().account.fis.set_alarm(&alarm, true);
    };
    is_called_off(meanwhile, DrillState::GaveUp, "alarm is on: spot-drill-TooManyWarnings");
}

#[test]
fn a_stop_alarm_that_goes_on_between_two_waves_ends_the_drill_and_the_report_says_so() {
    let parameters = [("Waves", "2"), ("WaveIntervalSeconds", "120"), ("DelaySeconds", "10")];
    in_a_world(1, &parameters, no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| !notices(state).is_empty()).await;
        sleep(40).await;
        let alarm = stop_alarm(&world);
        world.lock().account.fis.set_alarm(&alarm, true);
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
        let report = report_of(&world, &cluster_id, &step_id);
        let reason = report.drill.reason.unwrap_or_default();
        assert!(reason.contains("wave 2: the stop condition's alarm is on"), "{reason}");
        let state = world.lock();
        assert_eq!(state.account.fis.experiments().count(), 1);
        let told = invocations(&state, "spot-drill-StartExperiment");
        let outcomes: Vec<&Value> = told.iter().map(|(_, _, one)| &one.data["outcome"]).collect();
        assert!(
            outcomes.contains(&&json!("drilled")),
            "the first wave was one: {outcomes:?}"
        );
    });
}

#[test]
fn a_stop_alarm_that_nobody_can_look_at_stops_no_drill_and_the_report_says_so() {
    in_a_world(1, &[], no_faults(), async |world| {
        let alarm = stop_alarm(&world);
        world.lock().account.fis.delete_alarm(&alarm);
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
        assert_eq!(notices(&world.lock()).len(), 3);
        let report = report_of(&world, &cluster_id, &step_id);
        let found = report
            .findings
            .iter()
            .find(|one| one.id == "stop-alarm-unknown")
            .unwrap();
        assert!(
            found.evidence.contains("CloudWatch knows no alarm"),
            "{}",
            found.evidence
        );
    });
}

#[test]
fn a_template_that_is_deleted_during_the_wait_is_missed() {
    let meanwhile = async |world: &World, _: &str, _: &str| {
        let id = world.lock().account.fis.templates().next().unwrap().id.clone();
        call(world, Service::Fis, "DeleteExperimentTemplate", json!({"id": id}));
    };
    is_called_off(meanwhile, DrillState::Refused, "there is no FIS experiment template");
}

#[test]
fn nobody_is_interrupted_for_a_step_that_is_being_cancelled() {
    // At 60 s the wait has not asked EMR lately, at 90 s it has: it is the look right before the experiment that counts.
    for delay in [60, 90] {
        being_cancelled_after(delay);
    }
}

fn being_cancelled_after(delay: i64) {
    let mut staged = 0;
    let seconds = delay.to_string();
    for seed in 1..7 {
        in_a_world(
            seed,
            &[("DelaySeconds", seconds.as_str())],
            no_faults(),
            async |world| {
                let cluster_id = cluster_up(&world, workshop("c", 32)).await;
                let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
                let began = step_of(&world.lock(), &cluster_id, &step_id).started_at.unwrap();
                let until_due = delay - 2 - (world.clock.now() - began).num_seconds();
                sleep(u64::try_from(until_due).unwrap()).await;
                cancel(&world, &cluster_id, &step_id);
                sleep(3).await;
                staged += usize::from(step_of(&world.lock(), &cluster_id, &step_id).state == StepState::CancelPending);
                sleep(200).await;
                nobody_was_hit(&world, &format!("{delay} s, seed {seed}"));
            },
        );
    }
    assert!(
        staged > 2,
        "{staged} steps were being cancelled when their drill was due"
    );
}

#[test]
fn a_drill_that_is_taken_up_again_looks_at_the_step_first() {
    // The process dies before its call to StartExperiment; the step is being cancelled when the next attempt comes.
    let calls = tests::tell("workshop", 1, &[])
        .world
        .lock()
        .calls("spot-drill-StartExperiment");
    let mut faults = no_faults();
    let mut tried = 0;
    for call in 8..=calls {
        faults.at_call = Some(AtCall {
            function: "spot-drill-StartExperiment".into(),
            call,
            fate: Fate::CrashBefore,
        });
        in_a_world(1, &[], faults.clone(), async |world| {
            let cluster_id = cluster_up(&world, workshop("c", 32)).await;
            let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
            let died = |state: &local::world::State| {
                let mut entries = state.account.journal.entries().iter();
                entries.any(|entry| entry.data["errorType"] == "Runtime.ExitError")
            };
            until(&world, |state| {
                died(state) || step_of(state, &cluster_id, &step_id).state.is_over()
            })
            .await;
            if world.lock().account.fis.experiments().count() > 0 {
                return;
            }
            tried += 1;
            sleep(50).await;
            cancel(&world, &cluster_id, &step_id);
            // A template that the first attempt left is the sweep's to delete.
            sleep(3 * 3600).await;
            nobody_was_hit(&world, &format!("dies before call {call}"));
        });
    }
    assert!(tried > 3, "{tried} attempts died before their experiment");
}

#[test]
fn a_second_delivery_in_mid_wait_leaves_the_drill_alone() {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        sleep(40).await;
        let before = drill_version(&world, &cluster_id, &step_id).await;
        let payload = running(&world, &cluster_id, &step_id);
        let answer = invoke(&world, "StartExperiment", "another", payload).await.unwrap();
        let reason = answer["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("another invocation works on the drill"), "{answer}");
        assert_eq!(
            drill_version(&world, &cluster_id, &step_id).await,
            before,
            "it is not touched"
        );
        until(&world, |state| !notices(state).is_empty()).await;
        assert_eq!(world.lock().account.fis.experiments().count(), 1);
    });
}

async fn drill_version(world: &World, cluster_id: &str, step_id: &str) -> u64 {
    drill_of(world, cluster_id, step_id).await.version
}

#[test]
fn an_experiment_that_resolves_somebody_else_is_stopped() {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("own", 32)).await;
        let mut other = workshop("other", 32);
        // An instance that managed scaling takes away is no target any more.
        other.as_object_mut().unwrap().remove("ManagedScalingPolicy");
        let other = cluster_up(&world, other).await;
        let stranger = {
            let mut state = world.lock();
            let instances = cluster_of(&state, &other).instances.iter();
            let mut spot = instances.filter(|one| one.market == account::ec2::Market::Spot);
            let id = spot.next().unwrap().ec2_instance_id.clone();
            state.account.fis.resolve_also(&id);
            id
        };
        run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| {
            state.account.fis.experiments().any(|one| !one.state.status.is_active())
        })
        .await;
        let state = world.lock();
        let experiment = state.account.fis.experiments().next().unwrap();
        let resolved: Vec<&String> = experiment.resolved.values().flatten().collect();
        assert!(resolved.contains(&&stranger), "the story has a stranger");
        assert_eq!(experiment.state.status, Status::Stopped);
    });
}

#[test]
fn a_cluster_that_is_still_starting_is_waited_for() {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = run_cluster(&world, workshop("c", 32));
        let step_id = add_steps(&world, &cluster_id, json!([spark(&[OUT])])).remove(0);
        sleep(20).await;
        let state = cluster_of(&world.lock(), &cluster_id).state;
        assert!(
            matches!(state, ClusterState::Starting | ClusterState::Bootstrapping),
            "{state:?}"
        );
        let payload = running(&world, &cluster_id, &step_id);
        let answer = invoke(&world, "StartExperiment", "early", payload).await.unwrap();
        assert_eq!(answer["outcome"], "drilled", "{answer}");
        assert_eq!(notices(&world.lock()).len(), 3);
    });
}

#[test]
fn a_cluster_that_never_comes_up_is_given_up_at_the_limit() {
    in_a_world(1, &[("WaitSecondsMax", "60")], no_faults(), async |world| {
        world.lock().account.ec2.set_spot_capacity(Some(0));
        let mut cluster = workshop("c", 32);
        cluster["Instances"]["InstanceFleets"][1]["TargetOnDemandCapacity"] = json!(0);
        cluster["Instances"]["InstanceFleets"][1]["TargetSpotCapacity"] = json!(4);
        let cluster_id = run_cluster(&world, cluster);
        let step_id = add_steps(&world, &cluster_id, json!([spark(&[OUT])])).remove(0);
        let begun = world.clock.now();
        let payload = running(&world, &cluster_id, &step_id);
        let answer = invoke(&world, "StartExperiment", "early", payload).await.unwrap();
        assert_eq!(answer["outcome"], "gave_up", "{answer}");
        assert!((world.clock.now() - begun).num_seconds() < 120);
    });
}

/// What start-experiment says of a step, and which of EMR's operations it needed to say it.
async fn said_of(world: &World, cluster_id: &str, step: Value) -> (String, Vec<String>) {
    let step_id = add_steps(world, cluster_id, json!([step])).remove(0);
    until(world, |state| {
        step_of(state, cluster_id, &step_id).state == StepState::Running
    })
    .await;
    let skip = world.lock().account.journal.entries().len();
    let payload = running(world, cluster_id, &step_id);
    let answer = invoke(world, "StartExperiment", &step_id, payload).await.unwrap();
    let state = world.lock();
    let entries = state.account.journal.entries()[skip..].iter();
    let calls = entries.filter_map(|entry| entry.data["action"].as_str());
    let calls = calls.filter_map(|action| action.strip_prefix("elasticmapreduce:"));
    let said = answer["reason"].as_str().unwrap_or_default().to_owned();
    (said, calls.map(str::to_owned).collect())
}

#[test]
fn a_step_that_is_not_spark_is_named_by_what_it_runs_and_costs_one_call() {
    in_a_world(1, &[], no_events(), async |world| {
        let cluster_id = cluster_up(&world, small("c")).await;
        let (said, calls) = said_of(&world, &cluster_id, step(&["hive-script", "-f", "s3://b/q.q"])).await;
        assert!(said.contains("it runs hive-script"), "{said}");
        assert_eq!(calls, ["DescribeStep"]);
        let (said, calls) = said_of(&world, &cluster_id, step(&["python3", "job.py"])).await;
        assert!(
            said.contains("it runs python3") && said.contains("spot-drill:steps=all"),
            "{said}"
        );
        assert_eq!(calls, ["DescribeStep", "DescribeCluster"]);
    });
}

#[test]
fn a_clusters_tag_has_all_its_steps_drilled_and_reported_on_but_for_those_known_not_to_be_spark() {
    in_a_world(1, &[("DelaySeconds", "10")], no_faults(), async |world| {
        let mut cluster = workshop("c", 32);
        let tags = cluster["Tags"].as_array_mut().unwrap();
        tags.push(json!({"Key": "spot-drill:steps", "Value": "all"}));
        let cluster_id = cluster_up(&world, cluster).await;
        let copy = run_step(&world, &cluster_id, step(&["s3-dist-cp", "--dest", "hdfs:///x"])).await;
        until(&world, |state| step_of(state, &cluster_id, &copy).state.is_over()).await;
        sleep(600).await;
        nobody_was_hit(&world, "a copy");
        let workload = account::spark::Workload::workshop();
        let job = "s3://emr-spot-workshop-data/job.sh";
        world.lock().account.emr.set_workload(job, workload);
        let script = json!({"Name": "script", "ActionOnFailure": "CONTINUE", "HadoopJarStep": {
            "Jar": "s3://eu-west-1.elasticmapreduce/libs/script-runner/script-runner.jar",
            "Args": [job]}});
        let step_id = run_step(&world, &cluster_id, script).await;
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
        assert_eq!(notices(&world.lock()).len(), 3);
        assert!(!has_report(&world.lock(), &cluster_id, &copy));
    });
}

#[test]
fn a_full_quota_of_fis_is_bad_luck_and_whatever_else_it_says_for_good_is_a_refusal() {
    let faults = Faults {
        fis_refused_percent: 100,
        ..no_faults()
    };
    let (mut full, mut refused) = (0, 0);
    for seed in 0..12 {
        in_a_world(seed, &[("DelaySeconds", "10")], faults.clone(), async |world| {
            let cluster_id = cluster_up(&world, workshop("c", 32)).await;
            let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
            sleep(180).await;
            nobody_was_hit(&world, "FIS says no");
            let drill = drill_of(&world, &cluster_id, &step_id).await;
            let reason = drill.reason.unwrap_or_default();
            let is_full = reason.contains("ServiceQuotaExceededException");
            *(if is_full { &mut full } else { &mut refused }) += 1;
            let wanted = if is_full {
                DrillState::GaveUp
            } else {
                DrillState::Refused
            };
            assert_eq!(drill.state, Some(wanted), "{reason}");
        });
    }
    assert!(full > 0 && refused > 0, "{full}, {refused}");
}
