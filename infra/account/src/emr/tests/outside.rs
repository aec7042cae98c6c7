//! Steps whose application runs outside the account.
//!
//! Separate because nothing of YARN and Spark is simulated for them.

use super::*;

fn application(world: &World, step: &str) -> Option<String> {
    world.cluster().step(step).unwrap().application_id.clone()
}

fn tell(world: &mut World, application: &str, state: State) {
    world.with(|emr, _, ctx| emr.tell_application(ctx, application, &state));
}

/// The last content of an object whose key ends so.
fn text(world: &World, ending: &str) -> String {
    let (_, key, bytes) = world.objects.iter().rfind(|(_, key, _)| key.ends_with(ending)).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut text)
        .unwrap_or_else(|error| panic!("{key}: {error}"));
    text
}

fn client_step(name: &str) -> Value {
    let mut step = spark_step(name);
    step["HadoopJarStep"]["Args"] = json!(["spark-submit", "--conf", "a=b", SCRIPT]);
    step
}

fn words() -> Words {
    Words {
        stdout: "42\n".into(),
        stderr: "ValueError: no date\n".into(),
    }
}

#[test]
fn a_step_outside_runs_until_its_end_is_told_and_its_log_holds_the_drivers_words() {
    for (state, ended) in [
        (State::Succeeded, StepState::Completed),
        (
            State::Failed("User application exited with status 1".into()),
            StepState::Failed,
        ),
    ] {
        let (mut world, id) = World::workshop(21);
        world.emr.run_outside(&id);
        let step = world.add_step(&id, &client_step("mine"));
        world.wait(3600);
        assert_eq!(
            world.step_state(&step),
            StepState::Running,
            "nobody has told of its end"
        );
        let application = application(&world, &step).unwrap();
        let outside: Vec<_> = world.cluster().yarn().outside().collect();
        assert_eq!(outside[0].submission.words, ["--conf", "a=b", SCRIPT]);
        assert_eq!(*outside[0].state, State::Accepted);
        world.emr.tell_words(&application, 1, &words());
        tell(&mut world, &application, State::Running);
        tell(&mut world, &application, state);
        world.wait(200);
        assert_eq!(world.step_state(&step), ended);
        assert_eq!(text(&world, "stdout.gz"), "42\n");
        let stderr = text(&world, "stderr.gz");
        assert!(
            stderr.contains(&format!("Submitted application {application}")),
            "{stderr}"
        );
        assert!(stderr.ends_with("ValueError: no date\n"), "{stderr}");
    }
}

#[test]
fn the_words_of_a_driver_in_cluster_mode_lie_with_its_container() {
    let (mut world, id) = World::workshop(22);
    world.emr.run_outside(&id);
    let step = world.add_step(&id, &spark_step("mine"));
    world.wait(60);
    let application = application(&world, &step).unwrap();
    world.emr.tell_words(&application, 2, &words());
    world.wait(1200);
    let container = application.replace("application", "container") + "_02_000001";
    assert_eq!(
        text(&world, &format!("/containers/{application}/{container}/stdout.gz")),
        "42\n"
    );
    assert!(!text(&world, &format!("/steps/{step}/stderr.gz")).contains("ValueError"));
}

#[test]
fn managed_scaling_takes_no_node_from_an_application_outside_and_a_cancelled_one_is_killed() {
    let (mut world, id) = World::workshop(23);
    let nodes = world.cluster().yarn().nodes().count();
    world.emr.run_outside(&id);
    let step = world.add_step(&id, &client_step("mine"));
    world.wait(60);
    let application = application(&world, &step).unwrap();
    tell(&mut world, &application, State::Running);
    world.wait(2 * 3600);
    assert_eq!(world.cluster().yarn().nodes().count(), nodes);
    world.ask(
        "CancelSteps",
        &json!({"ClusterId": id, "StepIds": [step], "StepCancellationOption": "SEND_INTERRUPT"}),
    );
    assert_eq!(*world.cluster().yarn().outside().next().unwrap().state, State::Killed);
    tell(&mut world, &application, State::Succeeded);
    world.wait(60);
    assert_eq!(
        world.step_state(&step),
        StepState::Cancelled,
        "what is over stays as it is"
    );
    // Then they are idle, and those that managed scaling does not want go.
    world.wait(3600);
    assert!(world.cluster().yarn().nodes().count() < nodes);
}
