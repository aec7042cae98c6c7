//! Every listing is read to its end: it comes to the same, however small its pages are, and whether the first is empty.
//!
//! EMR, EC2 and FIS may answer with fewer than they were asked for, or none, and a marker:
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html#api-pagination>

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use account::journal::Kind;
use account::spark::Workload;
use aws::{Aws, InstanceListing};
use chrono::{DateTime, TimeDelta, Utc};
use local::fault::Faults;
use local::world::World;
use rules::s3_location::S3Location;
use serde_json::json;

use crate::staging::*;

/// Between two pages, as long as the sweep's.
const PAUSE: Duration = Duration::from_secs(4);
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
        all.extend(of_cluster(aws, table, cluster_id, day_ago).await);
    }
    all.push(told("steps by id", aws.steps_by_id(&clusters[0], steps).await));
    all.push(told(
        "primaries",
        aws.clusters_by_primary().await.map(BTreeMap::into_keys),
    ));
    all.push(told("active clusters", aws.active_clusters().await));
    refilled().await;
    all.push(told("ended clusters", aws.ended_clusters(day_ago, PAUSE).await));
    all.push(told("noted steps", aws.active_steps(table).await));
    all.push(told("throw-away templates", aws.leaked_throw_aways(later).await));
    all.extend(of_experiments(world, aws).await);
    let place: S3Location = LISTED.parse().unwrap();
    all.push(told("objects", aws.list(&place, 10_000).await));
    all
}

async fn of_cluster(aws: &Aws, table: &str, cluster_id: &str, since: DateTime<Utc>) -> Vec<Listed> {
    let cluster = aws.cluster(cluster_id).await.unwrap().unwrap();
    let pools = aws.pools(&cluster).await.unwrap();
    refilled().await;
    let instances = aws
        .instances(&cluster, &pools, &InstanceListing::default())
        .await
        .unwrap();
    let ids: Vec<String> = instances.iter().map(|one| one.instance_id.clone()).collect();
    refilled().await;
    let nodes = told("task nodes", aws.running_task_nodes(&cluster).await);
    refilled().await;
    let active = told("active steps", aws.active_steps_of(cluster_id).await);
    refilled().await;
    let steps = told("steps", aws.steps_since(cluster_id, since, PAUSE).await);
    refilled().await;
    vec![
        ("pools", format!("{pools:?}")),
        ("instances", format!("{instances:?}")),
        nodes,
        active,
        steps,
        told("victims", aws.running_spot_task_instances(cluster_id, "aws").await),
        told("described", aws.describe_instances(&ids).await),
        told("Spot statuses", aws.spot_statuses(&ids).await),
        told("warnings", aws.interruptions(table, cluster_id).await),
        told("drills", aws.drills_of_cluster(table, cluster_id).await),
    ]
}

fn told<T: Debug>(name: &'static str, answer: Result<T, aws::Error>) -> Listed {
    (name, format!("{:?}", answer.unwrap()))
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
        all.push(told("resolved targets", aws.resolved_targets(id).await));
        all.push(told("of a template", aws.experiment_of_template(template_id).await));
        all.push(told("of a step", aws.experiments_of_step(step_id).await));
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
        for step_id in ["s-1", "s-2", "s-3"] {
            leave_a_template(&world, step_id).await;
        }
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

/// A throttled account has no calls to spare for pages that were listed already.
#[test]
fn a_listing_of_instances_that_is_refused_half_way_goes_on_where_it_stopped() {
    let throttled = Faults {
        throttled_percent: 90,
        ..no_faults()
    };
    in_a_world(1, &[], throttled, async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        world.lock().account.set_page(1);
        let aws = aws(&world);
        let cluster = again(async || aws.cluster(&cluster_id).await).await.0.unwrap();
        let pools = again(async || aws.pools(&cluster).await).await.0;
        let listing = InstanceListing::default();
        let before = listed(&world);
        let (instances, refusals) = again(async || aws.instances(&cluster, &pools, &listing).await).await;
        assert!(refusals > 1, "{refusals}");
        let there = cluster_of(&world.lock(), &cluster_id).instances.len();
        assert_eq!((instances.len(), listed(&world) - before), (there, there));
    });
}

/// EMR lists 2,000 instances of a cluster at most, of which most ended days ago: forty calls, where it allows ten at once and
/// gives back one in two seconds.
/// <https://docs.aws.amazon.com/emr/latest/APIReference/API_ListInstances.html>
#[test]
fn the_many_pages_of_a_cluster_that_scaled_for_weeks_leave_half_of_the_quota_to_others_and_a_report_says_that_they_may_not_be_all()
 {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let now = world.clock.now();
        let ends: Vec<_> = (1..=2_100)
            .map(|number| now - TimeDelta::minutes(10 * number))
            .collect();
        world.lock().account.emr.set_past(&cluster_id, &ends);
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| step_of(state, &cluster_id, &step_id).state.is_over()).await;
        sleep(900).await;
        let report = report_of(&world, &cluster_id, &step_id);
        let why: Vec<&str> = report.missing.iter().map(|one| one.why.as_str()).collect();
        assert!(
            why.iter()
                .any(|why| why.contains("2000 instances of a cluster at most")),
            "{why:?}"
        );
        assert_eq!(report.interruptions.len(), 3);
        let state = world.lock();
        let calls = state
            .account
            .journal
            .entries()
            .iter()
            .filter(|one| one.text.starts_with("ListInstances by spot-drill-WriteReport"));
        let calls: Vec<_> = calls.collect();
        assert!(calls.len() >= 40, "{}", calls.len());
        assert!(calls.iter().all(|one| one.data["error"].is_null()), "EMR refused some");
        for (first, last) in calls.iter().zip(&calls[10..]) {
            let seconds = (last.at - first.at).num_seconds();
            assert!(seconds >= 19, "eleven calls within {seconds} s");
        }
    });
}

/// The answer, and how often there was none.
async fn again<T>(mut ask: impl AsyncFnMut() -> Result<T, aws::Error>) -> (T, usize) {
    for refusals in 0..200 {
        match ask().await {
            Ok(answer) => return (answer, refusals),
            Err(_) => refilled().await,
        }
    }
    panic!("no answer");
}

/// How many pages of instances EMR has answered with.
fn listed(world: &World) -> usize {
    let state = world.lock();
    let entries = state.account.journal.entries().iter();
    let pages = entries.filter(|one| one.kind == Kind::Call && one.text.starts_with("ListInstances by"));
    pages.filter(|one| one.data["error"].is_null()).count()
}
