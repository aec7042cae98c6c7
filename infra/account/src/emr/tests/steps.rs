//! Steps: their turn, their end, their cancellation, their logs, and what their cluster makes of it.
//!
//! Separate from instances, which these tests take as given.

use super::*;

#[test]
fn pending_steps_are_cancelled_at_once_and_running_ones_a_little_later() {
    let (mut world, id) = World::workshop(6);
    let running = world.add_step(&id, &spark_step("first"));
    let pending = world.add_step(&id, &spark_step("second"));
    world.wait(60);
    let ids = [running.as_str(), pending.as_str(), "s-NONE"];
    let input = json!({"ClusterId": id, "StepIds": ids, "StepCancellationOption": "TERMINATE_PROCESS"});
    let answer = world.ask("CancelSteps", &input);
    let statuses: Vec<_> = answer["CancelStepsInfoList"]
        .as_array()
        .unwrap()
        .iter()
        .map(|info| info["Status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["SUBMITTED", "SUBMITTED", "FAILED"]);
    world.wait(30);
    assert_eq!(
        world.step_events(&running),
        ["PENDING", "RUNNING", "CANCEL_PENDING", "CANCELLED"]
    );
    assert_eq!(world.step_events(&pending), ["PENDING", "CANCELLED"]);
    assert_eq!(world.cluster().state, ClusterState::Waiting);
}

#[test]
fn two_steps_run_at_once_with_a_concurrency_level_of_two() {
    let (mut world, id) = World::workshop(9);
    world.ask("ModifyCluster", &json!({"ClusterId": id, "StepConcurrencyLevel": 2}));
    let steps: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|name| world.add_step(&id, &spark_step(name)))
        .collect();
    world.wait(60);
    let states: Vec<_> = steps.iter().map(|step| world.step_state(step)).collect();
    assert_eq!(states, [StepState::Running, StepState::Running, StepState::Pending]);
    let error = world.call(
        "AddJobFlowSteps",
        &json!({"JobFlowId": id, "Steps": [other_step("d", "TERMINATE_CLUSTER")]}),
    );
    assert_eq!(error.unwrap_err().code, "ValidationException");
}

#[test]
fn a_failed_step_has_details_logs_and_its_action() {
    let (mut world, id) = World::workshop(10);
    world.emr.set_workload(SCRIPT, Workload::failing());
    let mut failing = spark_step("failing");
    failing["ActionOnFailure"] = json!("CANCEL_AND_WAIT");
    let step = world.add_step(&id, &failing);
    let next = world.add_step(&id, &spark_step("next"));
    world.wait_until(30, |world| world.step_state(&step) == StepState::Failed);
    let ended_at = world.now;
    assert_eq!(world.step_state(&next), StepState::Cancelled);
    assert_eq!(world.cluster().state, ClusterState::Waiting);
    let described = world.ask("DescribeStep", &json!({"ClusterId": id, "StepId": step}));
    let folder = format!("s3://logs/emr/{id}/steps/{step}/");
    let details = &described["Step"]["Status"]["FailureDetails"];
    assert_eq!(details["LogFile"], format!("{folder}stderr.gz"));
    assert!(details["Message"].is_string());
    world.wait(150);
    let log = world
        .objects
        .iter()
        .rfind(|(_, key, _)| *key == format!("{folder}stderr.gz"))
        .unwrap();
    assert!(log.0 > ended_at + TimeDelta::seconds(20));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(log.2.as_slice()), &mut text).unwrap();
    let application = world.cluster().step(&step).unwrap().application_id.clone().unwrap();
    assert!(text.contains(&format!("Submitted application {application}")), "{text}");
}

#[test]
fn a_cluster_made_for_its_steps_ends_with_them_and_one_that_fails_ends_with_errors() {
    for (action, workload, state) in [
        ("CONTINUE", Workload::short(), ClusterState::Terminated),
        (
            "TERMINATE_CLUSTER",
            Workload::failing(),
            ClusterState::TerminatedWithErrors,
        ),
    ] {
        let mut world = World::new(11);
        world.emr.set_workload(SCRIPT, workload);
        let mut request = groups("SPOT");
        request["Instances"]["KeepJobFlowAliveWhenNoSteps"] = json!(false);
        let mut step = spark_step("only");
        step["ActionOnFailure"] = json!(action);
        request["Steps"] = json!([step]);
        world.launch(&request);
        world.wait_until(60, |world| world.cluster().state == state);
        world.wait(300);
        assert_eq!(world.emr.due(), None);
        assert!(
            world
                .ec2
                .instances()
                .all(|instance| instance.state == crate::ec2::State::Terminated)
        );
        assert!(
            world
                .cluster()
                .instances
                .iter()
                .all(|instance| instance.state == InstanceState::Terminated)
        );
        let last = world
            .events("EMR Cluster State Change")
            .last()
            .copied()
            .unwrap()
            .clone();
        let critical = if state == ClusterState::Terminated {
            "INFO"
        } else {
            "CRITICAL"
        };
        assert_eq!(
            (last["severity"].as_str(), last["state"].as_str()),
            (Some(critical), Some(state.as_str()))
        );
        assert!(serde_json::from_str::<Value>(last["stateChangeReason"].as_str().unwrap()).is_ok());
    }
}

#[test]
fn a_step_that_does_not_wait_for_its_application_completes_at_submission() {
    let (mut world, id) = World::workshop(12);
    let mut step = spark_step("no wait");
    let args = step["HadoopJarStep"]["Args"].as_array_mut().unwrap();
    args.splice(
        1..1,
        [json!("--conf"), json!("spark.yarn.submit.waitAppCompletion=false")],
    );
    let step = world.add_step(&id, &step);
    world.wait(40);
    assert_eq!(world.step_state(&step), StepState::Completed);
    assert_eq!(world.cluster().yarn().load().running_applications, 1);
}

#[test]
fn a_shell_that_hides_its_status_completes_though_its_application_fails() {
    for (shell, expected) in [("| tee log", StepState::Completed), ("", StepState::Failed)] {
        let (mut world, id) = World::workshop(16);
        world.emr.set_workload(SCRIPT, Workload::failing());
        let line =
            format!("spark-submit --deploy-mode cluster --executor-memory 18G --executor-cores 4 {SCRIPT} out {shell}");
        let jar = json!({"Jar": "command-runner.jar", "Args": ["bash", "-c", line]});
        let step = world.add_step(
            &id,
            &json!({"Name": "s", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}),
        );
        world.wait_until(40, |world| world.step_state(&step).is_over());
        assert_eq!(world.step_state(&step), expected, "{shell}");
        let application = world.cluster().step(&step).unwrap().application_id.clone().unwrap();
        let truth = world.cluster().yarn().truth();
        let ended = truth.iter().find(|one| one.id == application).unwrap();
        assert_eq!(ended.final_status.as_deref(), Some("FAILED"));
    }
}

#[test]
fn a_step_may_be_interrupted_with_its_cluster_and_no_event_tells_it() {
    for interrupted in [false, true] {
        let (mut world, id) = World::workshop(17);
        let whims = Whims {
            steps_interrupted: interrupted,
            ..Whims::default()
        };
        world.emr.set_whims(whims);
        let step = world.add_step(&id, &spark_step("first"));
        world.wait(60);
        let primary = world
            .cluster()
            .instances
            .iter()
            .find(|node| node.role == Role::Master)
            .unwrap();
        let primary = primary.ec2_instance_id.clone();
        world.with(|_, ec2, ctx| ec2.terminate(ctx, &primary));
        world.wait(300);
        assert_eq!(world.cluster().state, ClusterState::TerminatedWithErrors);
        let (state, events) = if interrupted {
            (StepState::Interrupted, &["PENDING", "RUNNING"][..])
        } else {
            (StepState::Cancelled, &["PENDING", "RUNNING", "CANCELLED"][..])
        };
        assert_eq!(world.step_state(&step), state);
        assert_eq!(world.step_events(&step), events);
        let described = world.ask("DescribeCluster", &json!({"ClusterId": id}));
        let reason = &described["Cluster"]["Status"]["StateChangeReason"];
        assert_eq!(reason["Code"], "INSTANCE_FAILURE");
    }
}

#[test]
fn the_end_of_a_cluster_ends_applications_that_no_step_waits_for() {
    let (mut world, id) = World::workshop(18);
    let mut step = spark_step("does not wait");
    let args = step["HadoopJarStep"]["Args"].as_array_mut().unwrap();
    args.insert(1, json!("--conf"));
    args.insert(2, json!("spark.yarn.submit.waitAppCompletion=FALSE"));
    let step = world.add_step(&id, &step);
    world.wait_until(3, |world| world.step_state(&step) == StepState::Completed);
    world.ask("TerminateJobFlows", &json!({"JobFlowIds": [id]}));
    let [application] = world.cluster().yarn().truth() else {
        panic!("one application")
    };
    assert_eq!(application.final_status.as_deref(), Some("KILLED"));
}
