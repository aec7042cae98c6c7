//! Every listing is read to its end: it comes to the same, however small its pages are, and whether the first is empty.
//!
//! EMR, EC2 and FIS may answer with fewer than they were asked for, or none, and a marker:
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html#api-pagination>

use std::time::Duration;

use account::spark::Workload;
use aws::Aws;
use chrono::TimeDelta;
use local::world::World;
use rules::s3_location::S3Location;
use serde_json::json;

use crate::staging::*;

const LISTED: &str = "s3://emr-spot-workshop-data/listed/";

/// What one listing comes to.
type Listed = (&'static str, String);

/// Every listing that the functions make, of what the world has; EMR's quotas refill between any two.
async fn listings(world: &World, clusters: &[String], steps: &[String]) -> Vec<Listed> {
    let (aws, table) = (&aws(world), &table(world));
    let mut all: Vec<Listed> = Vec::new();
    let day_ago = world.clock.now() - TimeDelta::days(1);
    let later = world.clock.now() + TimeDelta::days(1);
    for cluster_id in clusters {
        let cluster = aws.cluster(cluster_id).await.unwrap().unwrap();
        let pools = aws.pools(&cluster).await.unwrap();
        all.push(("pools", format!("{pools:?}")));
        refilled().await;
        let instances = aws.instances(&cluster, &pools).await.unwrap();
        all.push(("instances", format!("{instances:?}")));
        refilled().await;
        all.push((
            "task nodes",
            format!("{:?}", aws.running_task_nodes(&cluster).await.unwrap()),
        ));
        refilled().await;
        all.push((
            "active steps",
            format!("{:?}", aws.active_steps_of(cluster_id).await.unwrap()),
        ));
        refilled().await;
        let since = aws
            .steps_since(cluster_id, day_ago, Duration::from_secs(4))
            .await
            .unwrap();
        all.push(("steps", format!("{since:?}")));
        refilled().await;
        all.push((
            "victims",
            format!(
                "{:?}",
                aws.running_spot_task_instances(cluster_id, "aws").await.unwrap()
            ),
        ));
        let ids: Vec<String> = instances.iter().map(|one| one.instance_id.clone()).collect();
        all.push((
            "described",
            format!("{:?}", aws.describe_instances(&ids).await.unwrap()),
        ));
        all.push(("Spot statuses", format!("{:?}", aws.spot_statuses(&ids).await.unwrap())));
        all.push((
            "warnings",
            format!("{:?}", aws.interruptions(table, cluster_id).await.unwrap()),
        ));
        all.push((
            "drills",
            format!("{:?}", aws.drills_of_cluster(table, cluster_id).await.unwrap()),
        ));
    }
    all.push((
        "steps by id",
        format!("{:?}", aws.steps_by_id(&clusters[0], steps).await.unwrap()),
    ));
    all.push((
        "primaries",
        format!("{:?}", aws.clusters_by_primary().await.unwrap().keys()),
    ));
    all.push(("active clusters", format!("{:?}", aws.active_clusters().await.unwrap())));
    refilled().await;
    all.push((
        "ended clusters",
        format!(
            "{:?}",
            aws.ended_clusters(day_ago, Duration::from_secs(4)).await.unwrap()
        ),
    ));
    all.push(("noted steps", format!("{:?}", aws.active_steps(table).await.unwrap())));
    all.push((
        "throw-away templates",
        format!("{:?}", aws.leaked_throw_aways(later).await.unwrap()),
    ));
    all.extend(of_experiments(world, aws).await);
    let place: S3Location = LISTED.parse().unwrap();
    all.push(("objects", format!("{:?}", aws.list(&place, 10_000).await.unwrap())));
    all
}

async fn of_experiments(world: &World, aws: &Aws) -> Vec<Listed> {
    let experiments: Vec<(String, String, String)> = {
        let state = world.lock();
        let all = state.account.fis.experiments();
        all.map(|one| {
            (
                one.id.clone(),
                one.template_id.clone(),
                one.tags["spot-drill:step"].clone(),
            )
        })
        .collect()
    };
    let mut all: Vec<Listed> = Vec::new();
    for (id, template_id, step_id) in &experiments {
        all.push((
            "resolved targets",
            format!("{:?}", aws.resolved_targets(id).await.unwrap()),
        ));
        all.push((
            "of a template",
            format!("{:?}", aws.experiment_of_template(template_id).await.unwrap()),
        ));
        all.push((
            "of a step",
            format!("{:?}", aws.experiments_of_step(step_id).await.unwrap()),
        ));
    }
    all
}

async fn refilled() {
    sleep(30).await;
}

#[test]
fn every_listing_comes_to_the_same_however_small_its_pages_are() {
    let parameters = [("DelaySeconds", "10"), ("Waves", "2"), ("WaveIntervalSeconds", "120")];
    in_a_world(1, &parameters, no_faults(), async |world| {
        prepare(&world);
        for number in 0..7 {
            let now = world.clock.now();
            world
                .lock()
                .account
                .s3
                .put(&format!("{LISTED}{number}"), "x", now)
                .unwrap();
        }
        let ended = run_cluster(&world, transient(small("ended")));
        run_cluster(&world, transient(small("ended too")));
        let fleets = cluster_up(&world, workshop("fleets", 16)).await;
        let mut groups = small("groups");
        let of_tasks =
            json!({"InstanceRole": "TASK", "Market": "SPOT", "InstanceType": "r5.xlarge", "InstanceCount": 2});
        let list = groups["Instances"]["InstanceGroups"].as_array_mut().unwrap();
        list.extend([of_tasks.clone(), of_tasks]);
        let groups = cluster_up(&world, groups).await;
        until(&world, |state| cluster_of(state, &ended).steps[0].state.is_over()).await;
        let mut steps = Vec::new();
        for _ in 0..3 {
            steps.extend(add_steps(&world, &fleets, json!([spark(&[OUT])])));
            add_steps(&world, &groups, json!([short()]));
        }
        until(&world, |state| state.account.fis.experiments().count() > 1).await;
        // Nothing may change while it is listed.
        for id in [&fleets, &groups] {
            until(&world, |state| {
                cluster_of(state, id).steps.iter().all(|step| step.state.is_over())
            })
            .await;
        }
        sleep(3600).await;
        // Three that go on running, and that nobody may drill.
        world.lock().account.fis.set_safety_lever(true, "quiet");
        let mut long = Workload::short();
        long.stages.iter_mut().for_each(|stage| stage.task_seconds = 1e6);
        world.lock().account.emr.set_workload(SHORT, long);
        add_steps(&world, &groups, json!([short(), short(), short()]));
        sleep(900).await;
        let clusters = [fleets.clone(), groups];
        let whole = listings(&world, &clusters, &steps).await;
        for page in [0, 1, 2, 3] {
            world.lock().account.set_page(page);
            sleep(600).await;
            let paged = listings(&world, &clusters, &steps).await;
            for (whole, paged) in whole.iter().zip(&paged) {
                assert_eq!(whole, paged, "pages of {page}");
            }
            assert_eq!(whole.len(), paged.len());
        }
    });
}
