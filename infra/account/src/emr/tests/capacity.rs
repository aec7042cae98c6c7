//! Instances: they come, are interrupted, are replaced, and leave.
//!
//! Separate from steps and calls: what a drill disturbs.

use super::*;

#[test]
fn the_workshop_cluster_comes_to_waiting_with_32_units_of_spot_in_one_zone() {
    for seed in 0..20 {
        let (mut world, id) = World::workshop(seed);
        let fleets = world.ask("ListInstanceFleets", &json!({"ClusterId": id}));
        let task = &fleets["InstanceFleets"][2];
        assert_eq!(task["ProvisionedSpotCapacity"], 32);
        assert_eq!(task["Status"]["State"], "RUNNING");
        let ec2: Vec<_> = world.ec2.instances().collect();
        assert!(
            ec2.iter()
                .all(|instance| instance.availability_zone == ec2[0].availability_zone)
        );
        for instance in ec2 {
            assert_eq!(instance.tags["aws:elasticmapreduce:job-flow-id"], id);
            assert_eq!(instance.tags["spot-drill"], "on");
            let spot = instance.tags["aws:elasticmapreduce:instance-group-role"] == "TASK";
            assert_eq!(instance.market == Market::Spot, spot);
        }
        let states: Vec<_> = world
            .events("EMR Cluster State Change")
            .iter()
            .map(|detail| detail["state"].clone())
            .collect();
        assert_eq!(states, ["STARTING", "WAITING"]);
    }
}

#[test]
fn a_step_grows_the_task_fleet_to_64_units_and_its_end_shrinks_it_to_the_minimum() {
    let (mut world, id) = World::workshop(1);
    let step = world.add_step(&id, &spark_step("Spark application"));
    world.wait_until(5, |world| world.task_running() >= 64);
    assert_eq!(world.task().target, Units { on_demand: 0, spot: 64 });
    assert_eq!(world.cluster().state, ClusterState::Running);
    world.wait_until(15, |world| world.step_state(&step) == StepState::Completed);
    assert_eq!(world.step_events(&step), ["PENDING", "RUNNING", "COMPLETED"]);
    world.wait_until(3, |world| world.task_running() == 0);
    assert_eq!(world.task().target.total(), 0);
    assert_eq!(world.cluster().state, ClusterState::Waiting);
    world.wait(600);
    assert_eq!(world.emr.due(), None, "an idle cluster has nothing to do");
    assert!(
        world
            .journal
            .entries()
            .iter()
            .any(|entry| entry.text.contains("target 32 → 64 Spot units"))
    );
}

#[test]
fn an_interrupted_instance_is_replaced_unless_replacement_is_paused() {
    for paused in [false, true] {
        let (mut world, id) = World::workshop(2);
        world.add_step(&id, &spark_step("Spark application"));
        world.wait_until(5, |world| world.task_running() >= 64);
        world.ask("RemoveManagedScalingPolicy", &json!({"ClusterId": id}));
        world.emr.pause_replacement(paused);
        let victim = world
            .cluster()
            .instances
            .iter()
            .find(|i| i.role == Role::Task)
            .unwrap()
            .clone();
        world.with(|_, ec2, ctx| ec2.interrupt(ctx, &victim.ec2_instance_id, TimeDelta::minutes(2), Cause::NoCapacity));
        world.wait(121);
        world.wait_until(1, |world| world.task_running() == 64 - victim.weight);
        let lost = world.cluster().instances.iter().find(|i| i.id == victim.id).unwrap();
        assert_eq!(lost.reason.code, "INSTANCE_FAILURE");
        world.wait(150);
        assert_eq!(world.task_running() >= 64, !paused, "paused: {paused}");
        if paused {
            assert_eq!(world.task().state, PoolState::Resizing);
            world.emr.pause_replacement(false);
            world.wait(150);
            assert!(world.task_running() >= 64);
        }
        assert_eq!(world.task().state, PoolState::Running);
        assert!(world.task_running() < 64 + 16);
    }
}

#[test]
fn without_spot_capacity_the_fleet_stays_short_and_goes_on_asking() {
    let (mut world, id) = World::workshop(3);
    world.ec2.set_spot_capacity(Some(0));
    world.add_step(&id, &spark_step("Spark application"));
    world.wait(200);
    assert_eq!((world.task().target.spot, world.task_running()), (64, 32));
    assert_eq!(world.task().state, PoolState::Resizing);
    // Managed scaling would find the late instances idle when the stage is nearly done.
    world.ask("RemoveManagedScalingPolicy", &json!({"ClusterId": id}));
    world.ec2.set_spot_capacity(None);
    world.wait(200);
    assert!(world.task_running() >= 64);
}

#[test]
fn instance_groups_replace_spot_and_report_running_counts() {
    let mut world = World::new(7);
    let id = world.launch(&groups("SPOT"));
    world.wait_until(15, |world| {
        world.cluster().state == ClusterState::Waiting && world.task_running() == 3
    });
    let victim = world
        .cluster()
        .instances
        .iter()
        .find(|i| i.role == Role::Task)
        .unwrap()
        .ec2_instance_id
        .clone();
    world.with(|_, ec2, ctx| ec2.interrupt(ctx, &victim, TimeDelta::minutes(2), Cause::NoCapacity));
    world.wait(155);
    let listed = world.ask("ListInstanceGroups", &json!({"ClusterId": id}));
    assert_eq!(listed["InstanceGroups"][2]["RunningInstanceCount"], 2);
    assert_eq!(listed["InstanceGroups"][2]["RequestedInstanceCount"], 3);
    world.wait(180);
    assert_eq!(world.task_running(), 3);
    let resized = world.events("EMR Instance Group State Change");
    assert_eq!(resized.last().unwrap()["runningInstanceCount"], "3");
    let error = world.call("ListInstanceFleets", &json!({"ClusterId": id})).unwrap_err();
    assert_eq!(error.code, "InvalidRequestException");
}

#[test]
fn one_of_three_primary_nodes_is_replaced() {
    let mut world = World::new(9);
    let mut request = groups("SPOT");
    request["Instances"]["InstanceGroups"][0]["InstanceCount"] = json!(3);
    world.launch(&request);
    world.wait_until(15, |world| world.cluster().state == ClusterState::Waiting);
    let primary = |world: &World| world.cluster().running(&world.cluster().pools[0].id).total();
    assert_eq!(primary(&world), 3);
    let lost = world.cluster().instances.iter().find(|i| i.role == Role::Master);
    let lost = lost.unwrap().ec2_instance_id.clone();
    world.with(|_, ec2, ctx| ec2.terminate(ctx, &lost));
    world.wait_until(5, |world| primary(world) == 2);
    world.wait_until(5, |world| primary(world) == 3);
    assert_eq!(world.cluster().state, ClusterState::Waiting);
}

#[test]
fn a_primary_fleet_has_one_node_or_three_on_demand_ones_of_one_unit() {
    let launch = |on_demand: u32, spot: u32, weight: u32| {
        let mut request = workshop();
        let fleet = &mut request["Instances"]["InstanceFleets"][0];
        fleet["TargetOnDemandCapacity"] = json!(on_demand);
        fleet["TargetSpotCapacity"] = json!(spot);
        fleet["InstanceTypeConfigs"][0]["WeightedCapacity"] = json!(weight);
        World::new(1).call("RunJobFlow", &request).is_ok()
    };
    assert!(launch(1, 0, 1) && launch(0, 1, 1) && launch(3, 0, 1));
    assert!(!launch(2, 0, 1) && !launch(0, 3, 1) && !launch(3, 0, 3));
}

#[test]
fn the_primary_nodes_own_configuration_goes_over_the_clusters() {
    let defaults =
        |memory: &str| json!([{"Classification": "spark-defaults", "Properties": {"spark.executor.memory": memory}}]);
    let mut world = World::new(10);
    let mut request = groups("SPOT");
    request["Configurations"] = defaults("1g");
    request["Instances"]["InstanceGroups"][0]["Configurations"] = defaults("2g");
    request["Instances"]["InstanceGroups"][1]["Configurations"] = defaults("3g");
    world.launch(&request);
    assert_eq!(world.cluster().spark_default("spark.executor.memory"), Some("2g"));
}

#[test]
fn an_on_demand_task_group_has_no_spot_instances() {
    let mut world = World::new(8);
    let id = world.launch(&groups("ON_DEMAND"));
    world.wait_until(15, |world| world.task_running() == 3);
    let input = json!({"ClusterId": id, "InstanceGroupTypes": ["TASK"]});
    let listed = world.ask("ListInstances", &input);
    let instances = listed["Instances"].as_array().unwrap();
    assert_eq!(instances.len(), 3);
    assert!(
        instances
            .iter()
            .all(|i| i["Market"] == "ON_DEMAND" && i["InstanceGroupId"] == world.task().id)
    );
    let pool = world.task().id.clone();
    world.ask(
        "ModifyInstanceGroups",
        &json!({"ClusterId": id, "InstanceGroups": [{"InstanceGroupId": pool, "InstanceCount": 1}]}),
    );
    world.wait(60);
    assert_eq!(world.task_running(), 1);
}

#[test]
fn whatever_is_interrupted_resized_or_cancelled_capacity_and_states_stay_sound() {
    for seed in 0..12 {
        let (mut world, id) = World::workshop(seed);
        world.ask("ModifyCluster", &json!({"ClusterId": id, "StepConcurrencyLevel": 2}));
        let mut chance = fastrand::Rng::with_seed(seed);
        for round in 0..12 {
            disturb(&mut world, &id, &mut chance, round);
            world.wait(chance.i64(5..150));
            let present = world.cluster().present(&world.task().id);
            assert!(present.spot < 64 + 16, "seed {seed}: {present:?}");
            let names: std::collections::BTreeSet<_> = world
                .cluster()
                .instances
                .iter()
                .map(|instance| &instance.ec2_instance_id)
                .collect();
            assert_eq!(names.len(), world.cluster().instances.len(), "seed {seed}");
        }
        world.wait(3_600);
        let cluster = world.cluster();
        assert_eq!(cluster.state, ClusterState::Waiting, "seed {seed}");
        assert!(cluster.steps.iter().all(|step| step.state.is_over()), "seed {seed}");
        assert!(
            cluster
                .instances
                .iter()
                .all(|i| i.state != InstanceState::Terminated || i.ended_at.is_some())
        );
        assert_eq!(world.task().state, PoolState::Running, "seed {seed}");
        assert_eq!(world.emr.due(), None, "seed {seed}");
    }
}

/// Does one thing that a cluster must bear.
fn disturb(world: &mut World, id: &str, chance: &mut fastrand::Rng, round: usize) {
    let tasks: Vec<_> = world
        .cluster()
        .instances
        .iter()
        .filter(|i| i.role == Role::Task)
        .cloned()
        .collect();
    let victim = &tasks[chance.usize(..tasks.len())];
    match chance.u32(..6) {
        0 => {
            world.add_step(id, &spark_step(&format!("step {round}")));
        }
        1 | 2 => {
            let notice = TimeDelta::minutes(2);
            world.with(|_, ec2, ctx| ec2.interrupt(ctx, &victim.ec2_instance_id, notice, Cause::NoCapacity));
        }
        3 => world.with(|_, ec2, ctx| ec2.terminate(ctx, &victim.ec2_instance_id)),
        4 => {
            let fleet = json!({"InstanceFleetId": victim.pool_id, "TargetSpotCapacity": chance.u32(..64)});
            world.ask("ModifyInstanceFleet", &json!({"ClusterId": id, "InstanceFleet": fleet}));
        }
        _ => {
            let steps: Vec<_> = world.cluster().steps.iter().map(|step| step.id.clone()).collect();
            if !steps.is_empty() {
                world.ask("CancelSteps", &json!({"ClusterId": id, "StepIds": steps}));
            }
        }
    }
}
