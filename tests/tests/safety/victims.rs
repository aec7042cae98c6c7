//! Whom an experiment may interrupt: running Spot task instances of its own cluster that are nodes of it, and nobody else.

use account::ec2::{Market, State as Ec2State};
use account::emr::{InstanceState, Role};
use account::wire::Service;
use local::world::World;
use serde_json::{Value, json};
use tests::tell;

use crate::staging::*;

/// The workshop's cluster with core nodes on Spot, and task instances of either market.
fn mixed(name: &str) -> Value {
    let mut cluster = workshop(name, 16);
    for fleet in cluster["Instances"]["InstanceFleets"].as_array_mut().unwrap() {
        match fleet["InstanceFleetType"].as_str() {
            Some("CORE") => {
                fleet["TargetOnDemandCapacity"] = json!(0);
                fleet["TargetSpotCapacity"] = json!(8);
            }
            Some("TASK") => fleet["TargetOnDemandCapacity"] = json!(16),
            _ => {}
        }
    }
    cluster.as_object_mut().unwrap().remove("ManagedScalingPolicy");
    cluster
}

/// The cluster's own running Spot task instances, as the account knows them.
fn may_be_hit(world: &World, cluster_id: &str) -> Vec<String> {
    let state = world.lock();
    let instances = cluster_of(&state, cluster_id).instances.iter();
    let fitting = instances.filter(|one| {
        let runs = |id: &str| {
            state
                .account
                .ec2
                .instance(id)
                .is_some_and(|one| one.state == Ec2State::Running)
        };
        one.role == Role::Task && one.market == Market::Spot && runs(&one.ec2_instance_id)
    });
    let mut ids: Vec<String> = fitting.map(|one| one.ec2_instance_id.clone()).collect();
    ids.sort();
    ids
}

#[test]
fn only_running_spot_task_instances_of_the_own_cluster_can_be_chosen() {
    in_a_world(1, &[], no_faults(), async |world| {
        let own = cluster_up(&world, mixed("own")).await;
        let other = cluster_up(&world, mixed("other")).await;
        let fitting = may_be_hit(&world, &own);
        assert!(!fitting.is_empty() && !may_be_hit(&world, &other).is_empty());
        {
            let state = world.lock();
            let has = |role, market| {
                let mut instances = cluster_of(&state, &own).instances.iter();
                instances.any(|one| (one.role, one.market) == (role, market))
            };
            assert!(
                has(Role::Core, Market::Spot) && has(Role::Task, Market::OnDemand),
                "the story has strangers"
            );
        }
        let chosen = aws(&world).running_spot_task_instances(&own, "aws").await.unwrap();
        let chosen: Vec<String> = chosen.into_iter().map(|one| one.instance_id).collect();
        assert_eq!(chosen, fitting);
    });
}

#[test]
fn a_drill_among_strangers_hits_its_own() {
    for seed in 1..4 {
        let parameters = [("Victims", "50"), ("ClustersToDrill", "all")];
        in_a_world(seed, &parameters[1..], no_faults(), async |world| {
            let own = cluster_up(&world, mixed("own")).await;
            cluster_up(&world, mixed("other")).await;
            let fitting = may_be_hit(&world, &own);
            run_step(&world, &own, spark(&["s3://emr-spot-workshop-data/out/"])).await;
            until(&world, |state| !notices(state).is_empty()).await;
            let hit: Vec<String> = notices(&world.lock()).into_keys().collect();
            assert!(
                hit.iter().all(|id| fitting.contains(id)),
                "seed {seed}: {hit:?} of {fitting:?}"
            );
        });
    }
}

#[test]
fn an_instance_that_emr_still_sets_up_is_no_victim() {
    let mut waited = 0;
    for seed in 1..6 {
        let run = tell("workshop", seed, &["units=0", "units-min=4", "delay=60"]);
        let state = run.world.lock();
        for cluster in state.account.emr.clusters() {
            for (id, noticed_at) in notices(&state) {
                // The neighbours' clusters have none of them.
                let Some(node) = cluster.instances.iter().find(|one| one.ec2_instance_id == id) else {
                    continue;
                };
                let ready_at = node
                    .ready_at
                    .unwrap_or_else(|| panic!("seed {seed}: {id} never was a node"));
                assert!(
                    ready_at <= noticed_at,
                    "seed {seed}: {id} is a node at {ready_at}, notice at {noticed_at}"
                );
                waited += 1;
            }
        }
    }
    assert!(waited > 0, "the stories interrupt somebody");
}

/// EMR calls an instance RUNNING for some seconds after EC2 has begun to take it away.
#[test]
fn an_instance_that_ec2_takes_away_is_no_victim_though_emr_calls_it_running_still() {
    let mut lagged = 0;
    for seed in 1..5 {
        in_a_world(seed, &[], no_events(), async |world| {
            let mut cluster = workshop("c", 32);
            cluster.as_object_mut().unwrap().remove("ManagedScalingPolicy");
            let id = cluster_up(&world, cluster).await;
            let step_id = run_step(&world, &id, spark(&[OUT])).await;
            sleep(95).await;
            let all = may_be_hit(&world, &id);
            let (stay, go) = all.split_at(3);
            assert!(go.len() > 1, "{all:?}");
            call(&world, Service::Ec2, "TerminateInstances", json!({"InstanceId": go}));
            lagged += {
                let state = world.lock();
                let mut instances = cluster_of(&state, &id).instances.iter();
                usize::from(
                    instances.any(|one| go.contains(&one.ec2_instance_id) && one.state == InstanceState::Running),
                )
            };
            let payload = running(&world, &id, &step_id);
            invoke(&world, "StartExperiment", "one", payload).await.unwrap();
            let drill = drill_of(&world, &id, &step_id).await;
            let victims: Vec<&String> = drill
                .waves
                .iter()
                .flat_map(|wave| &wave.victims)
                .map(|one| &one.instance_id)
                .collect();
            assert!(
                victims.iter().all(|id| !go.contains(id)),
                "seed {seed}: {victims:?} of {go:?}, {stay:?} stay"
            );
            assert_eq!(victims.len(), 3, "seed {seed}: {:?}", drill.reason);
        });
    }
    assert!(lagged > 0, "EMR knew at once");
}

#[test]
fn nodes_beyond_the_first_page_are_nodes_too() {
    in_a_world(1, &[], no_faults(), async |world| {
        let mut cluster = workshop("large", 240);
        cluster.as_object_mut().unwrap().remove("ManagedScalingPolicy");
        for fleet in cluster["Instances"]["InstanceFleets"].as_array_mut().unwrap() {
            if fleet["InstanceFleetType"] == "TASK" {
                fleet["InstanceTypeConfigs"] = json!([{"InstanceType": "r5.xlarge", "WeightedCapacity": 4}]);
            }
        }
        let id = cluster_up(&world, cluster).await;
        let described = aws(&world).cluster(&id).await.unwrap().unwrap();
        let nodes = aws(&world).running_task_nodes(&described).await.unwrap();
        let state = world.lock();
        let instances = cluster_of(&state, &id).instances.iter();
        let running = instances.filter(|one| one.role == Role::Task && one.state == InstanceState::Running);
        let running: Vec<&String> = running.map(|one| &one.ec2_instance_id).collect();
        assert!(running.len() > 50, "{} nodes", running.len());
        assert!(running.iter().all(|id| nodes.contains(*id)) && nodes.len() == running.len());
    });
}
