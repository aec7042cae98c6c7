//! Whole applications on small clusters, undisturbed and disturbed, held against the truth they leave.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};

use super::*;

use crate::journal::Journal;
use crate::spark::{AttemptTruth, Failure, Placement, StageStatus};

mod logs;
mod lost;

/// One cluster with its own time and chance.
struct World {
    yarn: Yarn,
    now: Time,
    rng: fastrand::Rng,
    journal: Journal,
    nodes: u32,
    objects: Vec<(String, Vec<u8>)>,
}

const CORE: &str = "i-core";

impl World {
    /// A cluster with its core node.
    fn new(seed: u64) -> Self {
        let now = DateTime::from_timestamp_millis(1_800_000_000_000 + seed as i64).unwrap();
        let mut world = Self {
            yarn: Yarn::new("j-TEST", now),
            now,
            rng: fastrand::Rng::with_seed(seed),
            journal: Journal::default(),
            nodes: 0,
            objects: Vec::new(),
        };
        world.join(CORE, true);
        world
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Yarn, &mut Ctx<'_>) -> T) -> T {
        let mut events = Vec::new();
        let mut ctx = Ctx {
            now: self.now,
            rng: &mut self.rng,
            journal: &mut self.journal,
            events: &mut events,
        };
        act(&mut self.yarn, &mut ctx)
    }

    fn join(&mut self, instance_id: &str, runs_drivers: bool) {
        let host = format!("ip-10-0-0-{}.ec2.internal", self.nodes + 10);
        self.nodes += 1;
        let node = Node {
            instance_id: instance_id.into(),
            host,
            vcores: 4,
            memory_mb: 24_576,
            runs_drivers,
        };
        self.act(|yarn, ctx| yarn.add_node(ctx, node));
    }

    /// Task nodes `i-task-0`, `i-task-1`, …
    fn join_tasks(&mut self, count: u32) {
        for number in 0..count {
            self.join(&format!("i-task-{number}"), true);
        }
    }

    fn submit(&mut self, options: &str, workload: Workload) -> String {
        let line = format!(
            "--executor-memory 18G --executor-cores 4 --conf spark.eventLog.dir=s3://logs/spark/ {options} \
             s3://code/script.py s3://data/results/"
        );
        let args: Vec<String> = line.split_whitespace().map(Into::into).collect();
        let submission = Submission::parse(&args, &BTreeMap::new()).unwrap();
        self.act(|yarn, ctx| yarn.submit(ctx, submission, workload))
    }

    /// Lets time pass, event by event.
    fn pass(&mut self, seconds: i64) {
        let end = self.now + TimeDelta::seconds(seconds);
        while let Some(due) = self.yarn.due().filter(|due| *due <= end) {
            self.now = due;
            self.act(|yarn, ctx| yarn.advance(ctx));
            self.objects.extend(self.yarn.take_objects());
        }
        self.now = end;
    }

    /// Lets time pass until no application runs.
    fn finish(&mut self) {
        for _ in 0..7200 {
            if self.yarn.due().is_none() {
                break;
            }
            self.pass(1);
        }
        self.objects.extend(self.yarn.take_objects());
        assert_eq!(self.yarn.due(), None, "the applications end within two hours");
    }

    /// Takes away nodes, with two minutes of notice or without.
    fn lose(&mut self, instances: &[&str], notice: bool) {
        if notice {
            instances
                .iter()
                .for_each(|id| self.act(|yarn, ctx| yarn.decommission_node(ctx, id)));
            self.pass(120);
        }
        instances
            .iter()
            .for_each(|id| self.act(|yarn, ctx| yarn.remove_node(ctx, id, "Spot interruption")));
    }

    fn attempt(&self) -> &AttemptTruth {
        self.yarn.truth()[0].last_attempt().unwrap()
    }

    fn log(&self) -> Option<String> {
        let key = self.attempt().event_log.clone()?;
        let (_, bytes) = self.objects.iter().find(|(name, _)| *name == key)?;
        Some(String::from_utf8(bytes.clone()).unwrap())
    }
}

const CLUSTER: &str = "--deploy-mode cluster";

/// The workshop's job on all its nodes, which join in the first minutes.
fn workshop(options: &str, workload: Workload) -> (World, String) {
    workshop_of(7, options, workload)
}

fn workshop_of(seed: u64, options: &str, workload: Workload) -> (World, String) {
    let mut world = World::new(seed);
    world.join_tasks(4);
    let id = world.submit(options, workload);
    world.pass(60);
    for number in 4..16 {
        world.pass(5);
        world.join(&format!("i-task-{number}"), true);
    }
    (world, id)
}

#[test]
fn an_undisturbed_workshop_job_succeeds_and_writes_everything() {
    let (mut world, id) = workshop(CLUSTER, Workload::workshop());
    assert_eq!(world.yarn.state(&id), State::Running);
    world.finish();
    assert_eq!(world.yarn.state(&id), State::Succeeded);
    let attempt = world.attempt();
    assert_eq!(attempt.driver_instance.as_deref(), Some(CORE));
    assert_eq!(attempt.stage_attempts.len(), 3);
    assert_eq!(
        (attempt.tasks.successful, attempt.tasks.failed, attempt.lost_task_ms),
        (680, 0, 0)
    );
    assert_eq!(
        attempt.executors.len(),
        17,
        "one on each node, the core node with the driver included"
    );
    let parts = world
        .objects
        .iter()
        .filter(|(key, _)| key.starts_with("s3://data/results/part-"))
        .count();
    assert_eq!(parts, 136);
    assert!(world.objects.iter().any(|(key, _)| key == "s3://data/results/_SUCCESS"));
    assert!(
        world
            .objects
            .iter()
            .any(|(key, _)| *key == format!("s3://logs/spark/{id}_1"))
    );
    let log = world.log().unwrap();
    assert!(log.len() < 2_000_000, "{} bytes", log.len());
    assert!(log.lines().all(|line| line.starts_with("{\"Event\":\"SparkListener")));
}

#[test]
fn an_undisturbed_workshop_job_takes_seven_to_eight_minutes_whatever_the_seed() {
    for seed in 1..20 {
        let (mut world, _) = workshop_of(seed, CLUSTER, Workload::workshop());
        world.finish();
        let truth = &world.yarn.truth()[0];
        let seconds = (truth.ended_at.unwrap() - truth.submitted_at).num_seconds();
        assert!((420..=480).contains(&seconds), "seed {seed} took {seconds} s");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run = || {
        let (mut world, _) = workshop(CLUSTER, Workload::workshop());
        world.lose(&["i-task-3", "i-task-9"], true);
        world.finish();
        (world.objects, format!("{:?}", world.journal.entries()))
    };
    assert_eq!(run(), run());
}

#[test]
fn in_client_mode_the_driver_sits_on_no_node() {
    let (mut world, id) = workshop("--deploy-mode client", Workload::workshop());
    world.finish();
    assert_eq!(world.attempt().driver_instance, None);
    assert_eq!(
        world.attempt().event_log.as_deref(),
        Some(format!("s3://logs/spark/{id}").as_str())
    );
}

#[test]
fn failing_user_code_fails_every_attempt() {
    let (mut world, id) = workshop(CLUSTER, Workload::failing());
    world.finish();
    assert!(matches!(world.yarn.state(&id), State::Failed(text) if text.contains("failed 4 times")));
    assert_eq!(
        world.yarn.truth()[0].attempts.len(),
        2,
        "YARN tries again, whatever the reason"
    );
    assert_eq!(world.attempt().failures_by_reason["ExceptionFailure"], 4);
    assert!(!world.objects.iter().any(|(key, _)| key.ends_with("_SUCCESS")));
    let thrown = Failure::Driver { message: "no".into() };
    let mut world = World::new(1);
    let id = world.submit(
        CLUSTER,
        Workload {
            failure: Some(thrown),
            ..Workload::short()
        },
    );
    world.finish();
    assert!(matches!(world.yarn.state(&id), State::Failed(_)));
    assert_eq!(world.attempt().job_succeeded, Some(true));
}

#[test]
fn a_killed_application_leaves_no_log_and_no_load() {
    let (mut world, id) = workshop(CLUSTER, Workload::workshop());
    assert!(world.yarn.load().vcores_used > 60);
    world.act(|yarn, ctx| yarn.kill(ctx, &id));
    assert_eq!(world.yarn.state(&id), State::Killed);
    let load = world.yarn.load();
    assert_eq!(
        (load.vcores_used, load.containers_pending, load.running_applications),
        (0, 0, 0)
    );
    world.finish();
    assert!(world.objects.is_empty());
}

#[test]
fn a_waiting_backlog_shows_in_the_load() {
    let mut world = World::new(3);
    world.submit(CLUSTER, Workload::workshop());
    assert_eq!(world.yarn.load().running_applications, 1);
    world.pass(60);
    let load = world.yarn.load();
    assert_eq!(load.vcores_total, 4);
    assert!(
        load.containers_pending > 40 && load.memory_mb_pending > 900_000,
        "{load:?}"
    );
}

#[test]
fn the_first_application_is_served_first_unless_the_order_is_fair() {
    let held = |order: Order| {
        let mut world = World::new(5);
        world.yarn = Yarn::new("j-TEST", world.now).with_order(order);
        world.join(CORE, true);
        world.join("i-big", true);
        world.submit("--deploy-mode client", Workload::workshop());
        world.submit("--deploy-mode client", Workload::workshop());
        world.pass(90);
        world.join_tasks(4);
        world.pass(30);
        world
            .yarn
            .truth()
            .iter()
            .map(|truth| truth.attempts[0].executors.len())
            .collect::<Vec<_>>()
    };
    let fifo = held(Order::Fifo);
    assert!(fifo[0] > fifo[1], "{fifo:?}");
    assert_eq!(held(Order::Fair), [3, 3]);
}

#[test]
fn a_compressed_rolling_log_is_a_folder_with_one_zstd_file() {
    let mut world = World::new(2);
    let options = "--conf spark.eventLog.compress=true --conf spark.eventLog.rolling.enabled=true";
    let id = world.submit(&format!("{CLUSTER} {options}"), Workload::short());
    world.finish();
    let folder = format!("s3://logs/spark/eventlog_v2_{id}_1");
    let find = |name: String| {
        world
            .objects
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, bytes)| bytes.clone())
            .unwrap()
    };
    assert_eq!(find(format!("{folder}/appstatus_{id}_1")), b"");
    let text = zstd::decode_all(find(format!("{folder}/events_1_{id}_1.zstd")).as_slice()).unwrap();
    assert!(text.starts_with(b"{\"Event\":\"SparkListenerLogStart\""));
}
