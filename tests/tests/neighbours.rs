//! The last guard: what the experiment's role, as the template writes it, allows when nothing else stands in the way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::time::Duration;

use account::ec2::{Market, State};
use account::emr::{Cluster, Role};
use account::fis::{Experiment, Status};
use account::wire::Service;
use local::scenario::{DATA_BUCKET, Scenario};
use local::strangers::is_stranger;
use local::world::World;
use serde_json::json;
use tests::in_a_world;

/// A running instance of a kind: of the cluster with this opt-in tag, or of none; its role; Spot or not.
fn find(world: &World, opted_in: Option<&str>, role: Role, market: Market) -> Option<String> {
    let state = world.lock();
    let clusters: Vec<&Cluster> = state.account.emr.clusters().filter(|one| is_stranger(one)).collect();
    let runs = |id: &str| {
        state
            .account
            .ec2
            .instance(id)
            .is_some_and(|one| one.state == State::Running)
    };
    let Some(tag) = opted_in else {
        let of_a_cluster = |id: &str| {
            let mut nodes = state.account.emr.clusters().flat_map(|cluster| &cluster.instances);
            nodes.any(|node| node.ec2_instance_id == id)
        };
        let mut others = state
            .account
            .ec2
            .instances()
            .filter(|one| !of_a_cluster(&one.instance_id));
        return others
            .find(|one| runs(&one.instance_id))
            .map(|one| one.instance_id.clone());
    };
    let cluster = clusters.into_iter().find(|cluster| cluster.tags["spot-drill"] == tag)?;
    let mut nodes = cluster
        .instances
        .iter()
        .filter(|node| node.role == role && node.market == market);
    nodes
        .find(|node| runs(&node.ec2_instance_id))
        .map(|node| node.ec2_instance_id.clone())
}

/// Asks FIS, as the stack's experiment role, to interrupt one instance; answers the experiment once it has ended.
async fn experiment(world: &World, instance_id: &str) -> Experiment {
    let role = world.lock().template.experiment_template["roleArn"].clone();
    let template = json!({
        "description": "one instance", "roleArn": role, "stopConditions": [{"source": "none"}],
        "targets": {"it": {"resourceType": "aws:ec2:spot-instance", "selectionMode": "ALL",
            "resourceArns": [format!("arn:aws:ec2:us-sim-1:000000000000:instance/{instance_id}")]}},
        "actions": {"interrupt": {"actionId": "aws:ec2:send-spot-instance-interruptions",
            "parameters": {"durationBeforeInterruption": "PT2M"}, "targets": {"SpotInstances": "it"}}},
    });
    let call = |operation: &str, input| {
        let answer = world
            .lock()
            .account
            .call(world.clock.now(), Service::Fis, operation, input);
        world.changed();
        answer.unwrap()
    };
    let made = call("CreateExperimentTemplate", template);
    let started = call(
        "StartExperiment",
        json!({"experimentTemplateId": made["experimentTemplate"]["id"]}),
    );
    let id = started["experiment"]["id"].as_str().unwrap();
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let state = world.lock();
        let found = state.account.fis.experiments().find(|one| one.id == id).unwrap();
        if !found.state.status.is_active() {
            return found.clone();
        }
    }
    panic!("the experiment has not ended after a minute");
}

/// A world with the workshop's cluster and the neighbours in it, all of them up.
fn beside_the_neighbours(test: impl AsyncFnOnce(&World) + Send + 'static) {
    let scenario = Scenario::find("workshop").unwrap();
    in_a_world(1, local::fault::Faults::default(), async |world| {
        world.lock().account.s3.create_bucket(DATA_BUCKET);
        tokio::spawn(world.clone().run());
        let request = scenario.cluster(&scenario.settings());
        let now = world.clock.now();
        world
            .lock()
            .account
            .call(now, Service::Emr, "RunJobFlow", request)
            .unwrap();
        local::strangers::move_in(&mut world.lock().account, now).unwrap();
        world.changed();
        tokio::time::sleep(Duration::from_secs(600)).await;
        test(&world).await;
    });
}

/// Roles are asked only where a test says so: else a guard that is missing in the functions would not show.
#[test]
fn the_role_alone_refuses_whoever_is_no_spot_task_node_of_a_cluster_that_is_opted_in() {
    use Market::{OnDemand, Spot};
    beside_the_neighbours(async |world| {
        let roles = world.lock().template.roles.clone();
        world.lock().account.fis.ask_roles(roles);
        let allowed = Ok(());
        for (opted_in, role, market, expected) in [
            (Some("on"), Role::Task, Spot, allowed),
            (Some("on"), Role::Core, Spot, Err("AuthorizationFailure")),
            (Some("on"), Role::Master, Spot, Err("AuthorizationFailure")),
            (Some("off"), Role::Task, Spot, Err("AuthorizationFailure")),
            (Some("off"), Role::Core, Spot, Err("AuthorizationFailure")),
            (None, Role::Task, Spot, Err("AuthorizationFailure")),
            // FIS itself knows no On-Demand Instance as a Spot Instance.
            (Some("on"), Role::Task, OnDemand, Err("InvalidTarget")),
        ] {
            let kind = format!("{role:?} on {market:?}, opted in: {opted_in:?}");
            let id = find(world, opted_in, role, market).unwrap_or_else(|| panic!("{kind}: none runs"));
            let experiment = experiment(world, &id).await;
            let failure = experiment.state.failure.as_ref().map(|failure| failure.code.as_str());
            assert_eq!(failure.map_or(Ok(()), Err), expected, "{kind}");
            assert_eq!(experiment.state.status == Status::Completed, expected.is_ok(), "{kind}");
            let noticed = world.lock().account.ec2.instance(&id).unwrap().interruption.is_some();
            assert_eq!(noticed, expected.is_ok(), "{kind}");
        }
    });
}

#[test]
fn without_roles_everybody_on_spot_can_be_hit() {
    beside_the_neighbours(async |world| {
        for (opted_in, role) in [(Some("off"), Role::Task), (Some("on"), Role::Core), (None, Role::Task)] {
            let id = find(world, opted_in, role, Market::Spot).unwrap();
            assert_eq!(experiment(world, &id).await.state.status, Status::Completed);
        }
    });
}

#[test]
fn while_a_drill_runs_the_neighbours_have_instances_of_every_kind() {
    let scenario = Scenario::find("workshop").unwrap();
    let run = local::run::run(scenario, &scenario.settings(), 3, |_| {}).unwrap();
    let state = run.world.lock();
    let noticed = state
        .account
        .ec2
        .instances()
        .filter_map(|one| one.interruption.as_ref())
        .map(|one| one.noticed_at);
    let drill = noticed.min().unwrap();
    for cluster in state.account.emr.clusters().filter(|cluster| is_stranger(cluster)) {
        let here = |role, market| {
            let nodes = cluster
                .instances
                .iter()
                .filter(move |node| (node.role, node.market) == (role, market));
            let up = nodes.filter(|node| node.ready_at.is_some_and(|at| at <= drill));
            up.filter(|node| node.ended_at.is_none_or(|at| at > drill)).count()
        };
        assert!(here(Role::Task, Market::Spot) >= 1, "{}", cluster.name);
        assert!(here(Role::Task, Market::OnDemand) >= 1, "{}", cluster.name);
        assert!(here(Role::Core, Market::Spot) >= 1, "{}", cluster.name);
        assert!(here(Role::Master, Market::Spot) >= 1, "{}", cluster.name);
        let nodes = || cluster.instances.iter().filter(|node| node.role == Role::Task);
        let new = nodes().filter(|node| node.created_at <= drill && node.ready_at.is_none_or(|at| at > drill));
        assert!(new.count() >= 1, "{}: nobody is on the way", cluster.name);
        let gone = nodes().filter(|node| node.ended_at.is_some_and(|at| at <= drill));
        assert!(gone.count() >= 1, "{}: nobody has gone", cluster.name);
        assert!(state.account.ec2.instances().len() > cluster.instances.len());
    }
}
