//! Applications that lose nodes, with notice or without.
//!
//! Separate from the undisturbed ones because this is what a drill does to a job.

use super::*;

#[test]
fn three_nodes_lost_with_notice_cost_stage_attempts_and_task_time() {
    let (mut world, id) = workshop(CLUSTER, Workload::workshop());
    world.lose(&["i-task-1", "i-task-2", "i-task-3"], true);
    world.pass(60);
    world.join("i-task-20", true);
    world.finish();
    assert_eq!(world.yarn.state(&id), State::Succeeded);
    let attempt = world.attempt();
    // One may have been given back during the notice, when the end of a stage left it without use.
    let gone = attempt
        .executors
        .iter()
        .filter(|executor| executor.removed_at.is_some())
        .count();
    assert!(
        gone >= 3 && attempt.lost_executors().count() >= 1,
        "{:?}",
        attempt.executors
    );
    assert!(attempt.stage_attempts.len() > 3, "{:?}", attempt.stage_attempts);
    assert!(attempt.repeated_task_ms > 0 && attempt.lost_task_ms >= attempt.repeated_task_ms);
    assert!(
        attempt
            .executors
            .iter()
            .any(|executor| executor.instance_id == "i-task-20"),
        "the replacement is used"
    );
    assert_eq!(
        world.objects.iter().filter(|(key, _)| key.contains("/part-")).count(),
        136
    );
}

#[test]
fn nodes_lost_while_a_stage_reads_their_output_make_its_fetches_fail() {
    let (mut world, id) = workshop(CLUSTER, Workload::workshop());
    world.pass(100);
    world.lose(&["i-task-5", "i-task-6"], false);
    world.finish();
    assert_eq!(world.yarn.state(&id), State::Succeeded);
    let attempt = world.attempt();
    assert!(attempt.failures_by_reason["ExecutorLostFailure"] > 0);
    assert!(attempt.failures_by_reason["FetchFailed"] > 0);
    let failed = attempt
        .stage_attempts
        .iter()
        .filter(|stage| stage.status == StageStatus::Failed)
        .count();
    assert!(failed >= 1);
    let again = attempt.stage_attempts.iter().find(|stage| stage.attempt == 1).unwrap();
    assert!(again.partitions < 204, "only the missing partitions run again");
}

#[test]
fn a_node_with_a_notice_gets_no_new_tasks() {
    let (mut world, _) = workshop(CLUSTER, Workload::workshop());
    world.act(|yarn, ctx| yarn.decommission_node(ctx, "i-task-1"));
    let noticed_at = world.now;
    let tasks = |world: &World| {
        let executor = world
            .attempt()
            .executors
            .iter()
            .find(|executor| executor.instance_id == "i-task-1")
            .unwrap();
        executor.tasks.successful
    };
    world.pass(80);
    let after_running_ones = tasks(&world);
    assert!(world.now > noticed_at);
    world.pass(30);
    assert_eq!(tasks(&world), after_running_ones);
    assert!(
        !world.yarn.is_idle("i-task-1"),
        "its shuffle output is still to be read"
    );
    world.finish();
    assert!(world.yarn.is_idle("i-task-1"));
}

#[test]
fn migrated_shuffle_blocks_survive_their_node_and_unmigrated_ones_do_not() {
    let repeated = |options: &str| {
        let (mut world, _) = workshop(
            &format!("{CLUSTER} --conf spark.decommission.enabled=true {options}"),
            Workload::workshop(),
        );
        world.lose(&["i-task-1", "i-task-2"], true);
        world.finish();
        let reasons: Vec<String> = world
            .attempt()
            .executors
            .iter()
            .filter_map(|executor| executor.reason.clone())
            .collect();
        assert!(
            reasons
                .iter()
                .any(|reason| reason.starts_with("Executor decommission: ")),
            "{reasons:?}"
        );
        world.attempt().repeated_task_ms
    };
    assert_eq!(repeated("--conf spark.storage.decommission.enabled=true"), 0);
    assert!(repeated("") > 0);
}

#[test]
fn without_the_shuffle_service_completed_map_tasks_are_resubmitted() {
    let (mut world, id) = workshop(
        &format!("{CLUSTER} --conf spark.shuffle.service.enabled=false"),
        Workload::workshop(),
    );
    world.lose(&["i-task-1"], false);
    world.finish();
    assert_eq!(world.yarn.state(&id), State::Succeeded);
    assert!(world.attempt().tasks.resubmitted > 0);
    assert_eq!(
        world.attempt().stage_attempts.len(),
        3,
        "the stage that ran took them back"
    );
}

#[test]
fn a_lost_driver_starts_over_once_in_cluster_mode() {
    let workload = Workload {
        driver_on: Placement::Task,
        ..Workload::workshop()
    };
    let (mut world, id) = workshop(CLUSTER, workload);
    let driver = world.attempt().driver_instance.clone().unwrap();
    assert_ne!(driver, CORE);
    world.lose(&[&driver], true);
    assert_eq!(world.yarn.state(&id), State::Accepted);
    world.finish();
    assert_eq!(world.yarn.state(&id), State::Succeeded);
    let truth = &world.yarn.truth()[0];
    assert_eq!(truth.attempts.len(), 2);
    assert!(truth.attempts[0].driver_lost && truth.attempts[0].event_log.is_none());
    assert_ne!(truth.driver_instances().nth(1), Some(driver.as_str()));
    assert_eq!(
        world.attempt().event_log.as_deref(),
        Some(format!("s3://logs/spark/{id}_2").as_str())
    );
}

#[test]
fn a_lost_driver_with_one_attempt_fails_the_application() {
    let workload = Workload {
        driver_on: Placement::Task,
        ..Workload::workshop()
    };
    let (mut world, id) = workshop(&format!("{CLUSTER} --conf spark.yarn.maxAppAttempts=1"), workload);
    let driver = world.attempt().driver_instance.clone().unwrap();
    world.lose(&[&driver], false);
    world.finish();
    assert!(matches!(world.yarn.state(&id), State::Failed(text) if text.contains("exitCode: -100")));
    assert!(world.objects.is_empty(), "no output and no log");
}

#[test]
fn a_stage_that_fails_too_often_in_a_row_aborts_the_job() {
    let options = "--conf spark.stage.maxConsecutiveAttempts=1 --conf spark.yarn.maxAppAttempts=1";
    let (mut world, id) = workshop(&format!("{CLUSTER} {options}"), Workload::workshop());
    world.pass(100);
    world.lose(&["i-task-5"], false);
    world.finish();
    assert!(matches!(world.yarn.state(&id), State::Failed(text) if text.contains("maximum allowable number")));
    assert!(world.attempt().tasks.killed > 0);
}

/// The workshop's job while nodes come and go at random, under properties that change what is lost with them.
pub(super) fn random_losses(seed: u64) -> (World, String) {
    let conf = [
        "",
        "spark.shuffle.service.enabled=false",
        "spark.decommission.enabled=true",
    ];
    let more = [
        "",
        "spark.resourceManager.cleanupExpiredHost=false",
        "spark.storage.decommission.enabled=true",
    ];
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut options = String::from("--deploy-mode cluster --conf spark.stage.maxConsecutiveAttempts=99");
    for property in [conf[chance.usize(..3)], more[chance.usize(..3)]] {
        if !property.is_empty() {
            options += &format!(" --conf {property}");
        }
    }
    let (mut world, id) = workshop_of(seed, &options, Workload::workshop());
    let (mut here, mut next): (Vec<u32>, u32) = ((0..16).collect(), 16);
    for _ in 0..chance.u32(1..7) {
        world.pass(chance.i64(1..90));
        let count = chance.usize(1..4);
        let victims: Vec<String> = (0..count)
            .map(|_| format!("i-task-{}", here.remove(chance.usize(..here.len()))))
            .collect();
        let victims: Vec<&str> = victims.iter().map(String::as_str).collect();
        world.lose(&victims, chance.bool());
        for _ in 0..chance.u32(0..3) {
            world.join(&format!("i-task-{next}"), true);
            here.push(next);
            next += 1;
        }
    }
    (world, id)
}

#[test]
fn whatever_nodes_come_and_go_the_job_ends_and_its_output_is_whole() {
    for seed in 100..120 {
        let (mut world, id) = random_losses(seed);
        world.finish();
        assert_eq!(world.yarn.state(&id), State::Succeeded, "seed {seed}");
        assert_eq!(
            world.objects.iter().filter(|(key, _)| key.contains("/part-")).count(),
            136,
            "seed {seed}"
        );
        let attempt = world.attempt();
        let held: u32 = attempt.executors.iter().map(|executor| executor.tasks.successful).sum();
        assert_eq!(held, attempt.tasks.successful, "seed {seed}");
        assert!(
            attempt
                .stage_attempts
                .iter()
                .all(|stage| stage.status != StageStatus::Active),
            "seed {seed}"
        );
    }
}
