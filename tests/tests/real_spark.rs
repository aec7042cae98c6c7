//! The simulated Spark beside Apache's: the stages of a job that ran on real Spark, with the same nodes lost at the same moments.
//!
//! Separate because it needs such runs, and so runs only when asked to: `REAL` names a folder that holds, anywhere below it,
//! what `drill --job` left of them, or `conformance/what-if/real.py`. Of each it prints what became of it there, and the least
//! and the most that became of it here with twenty seeds. Only an application's last job is compared, and only if no earlier one
//! ran a stage of it: the simulated Spark has one job, and no cache.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use account::Account;
use account::api::Time;
use account::spark::{Placement, StagePlan, Submission, Workload, Writes};
use account::yarn::{Node, State, Yarn};
use chrono::TimeDelta;
use spark_log::{Limits, Part, SparkRun, read};
use what_if::{Plan, rebuild};

/// So long before its loss a node got its notice, at the drill's pace of ten.
const NOTICE: TimeDelta = TimeDelta::seconds(12);

/// So long a container takes to become an executor here; there its worker is started first.
const LAUNCH: TimeDelta = TimeDelta::seconds(6);

const SEEDS: u64 = 20;

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fate {
    executors_lost: u64,
    stages_again: u64,
    /// Tasks that failed, were put back, or belong to a later attempt of their stage.
    tasks_again: u64,
    has_failed: bool,
}

/// What happened to a node, and how long after the first stage's submission.
#[derive(Debug, Clone)]
enum Event {
    Notice(String),
    Loss(String),
    Joined(String),
}

fn logs(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            logs(&path, found);
        } else if ["events", "log"].iter().any(|name| folder.ends_with(name)) && path.extension().is_none() {
            found.push(path);
        }
    }
    found.sort();
}

fn run(path: &Path) -> SparkRun {
    let part = Part {
        bytes: File::open(path).unwrap(),
        name: path.display().to_string(),
    };
    let limits = Limits {
        tasks_max: 1 << 20,
        ..Limits::default()
    };
    read(vec![part], &limits)
}

fn there(run: &SparkRun) -> Fate {
    let ended_at = run.ended_at_ms.unwrap();
    let lost = run
        .executors
        .iter()
        .filter(|one| one.removed_at_ms.is_some_and(|at| at < ended_at));
    let again = run
        .stages
        .iter()
        .filter(|one| one.attempt > 0 && one.submitted_at_ms.is_some());
    Fate {
        executors_lost: lost.count() as u64,
        stages_again: again.clone().count() as u64,
        tasks_again: run.tasks.failed + run.tasks.resubmitted + again.map(|one| one.tasks.unsigned_abs()).sum::<u64>(),
        has_failed: run.jobs.iter().any(|job| job.succeeded == Some(false)),
    }
}

/// What happened to the nodes, by how long after the first stage's submission.
fn events(run: &SparkRun, first: i64) -> Vec<(TimeDelta, Event)> {
    let ended_at = run.ended_at_ms.unwrap();
    let mut events = Vec::new();
    for executor in &run.executors {
        let host = &executor.host;
        if let Some(at) = executor.added_at_ms.filter(|at| *at > first) {
            events.push((
                TimeDelta::milliseconds(at - first) - LAUNCH,
                Event::Joined(host.clone()),
            ));
        }
        if let Some(at) = executor.removed_at_ms.filter(|at| *at < ended_at) {
            let after = TimeDelta::milliseconds(at - first);
            let reason = executor.removed_reason.as_deref().unwrap_or_default();
            if reason.contains("decommission") {
                events.push((after - NOTICE, Event::Notice(host.clone())));
            }
            events.push((after, Event::Loss(host.clone())));
        }
    }
    events.sort_by_key(|(after, _)| *after);
    events
}

/// The stages of the last job, by their places in the plan, and when the first of them was submitted; `None` if an earlier
/// job ran one of them, or something was lost before.
fn last_job(run: &SparkRun, plan: &Plan) -> Option<(Vec<usize>, i64)> {
    let mut wanted = plan.jobs.last()?.targets.clone();
    let mut places = Vec::new();
    while let Some(place) = wanted.pop() {
        if !places.contains(&place) {
            places.push(place);
            wanted.extend(&plan.stages[place].parents);
        }
    }
    places.sort_unstable();
    let is_of_it = |id: i64| places.iter().any(|place| plan.stages[*place].id == id);
    let (its, others): (Vec<_>, Vec<_>) = run.stages.iter().partition(|stage| is_of_it(stage.stage_id));
    let first = its.iter().filter_map(|stage| stage.submitted_at_ms).min()?;
    let is_alone = others
        .iter()
        .filter_map(|stage| stage.submitted_at_ms)
        .all(|at| at < first);
    let removed = run.executors.iter().filter_map(|one| one.removed_at_ms);
    (is_alone && removed.min()? > first).then_some((places, first))
}

fn workload(plan: &Plan, places: &[usize]) -> Workload {
    let stage = |stage: &what_if::Stage| StagePlan {
        name: stage.name.clone(),
        tasks: u32::try_from(stage.durations_ms.len()).unwrap(),
        task_seconds: stage.durations_ms.iter().map(|ms| f64::from(*ms)).sum::<f64>()
            / 1000.0
            / stage.durations_ms.len() as f64,
        parents: stage
            .parents
            .iter()
            .filter_map(|parent| places.iter().position(|place| place == parent))
            .collect(),
    };
    Workload {
        stages: places.iter().map(|place| stage(&plan.stages[*place])).collect(),
        rows: 1000,
        driver_start_seconds: 5,
        failure: None,
        driver_on: Placement::Core,
        writes: Writes::Nowhere,
        side_job: None,
    }
}

fn node(host: &str) -> Node {
    Node {
        instance_id: host.to_owned(),
        host: host.to_owned(),
        vcores: 4,
        memory_mb: 24_576,
        runs_drivers: true,
    }
}

struct Cluster {
    account: Account,
    yarn: Yarn,
    now: Time,
}

impl Cluster {
    fn act<T>(&mut self, act: impl FnOnce(&mut Yarn, &mut account::api::Ctx<'_>) -> T) -> T {
        act(&mut self.yarn, &mut self.account.ctx(self.now))
    }

    fn pass_until(&mut self, end: Time) {
        while let Some(due) = self.yarn.due().filter(|due| *due <= end) {
            self.now = due;
            self.act(|yarn, ctx| yarn.advance(ctx));
        }
        self.now = self.now.max(end);
    }
}

/// The same here.
fn here(run: &SparkRun, (workload, first): (&Workload, i64), seed: u64) -> Fate {
    let now: Time = "2026-11-20T14:00:00Z".parse().unwrap();
    let mut cluster = Cluster {
        account: Account::new(seed, now),
        yarn: Yarn::new("j-REAL", now),
        now,
    };
    let is_initial = |one: &&spark_log::Executor| one.added_at_ms.is_none_or(|at| at <= first);
    let initial = run.executors.iter().filter(is_initial).count();
    for executor in run
        .executors
        .iter()
        .filter(|one| one.added_at_ms.is_none_or(|at| at <= first))
    {
        cluster.act(|yarn, ctx| yarn.add_node(ctx, node(&executor.host)));
    }
    let nodes = run.executors.len();
    let mut words = format!(
        "--executor-memory 18G --executor-cores 1 --num-executors {nodes} --conf spark.dynamicAllocation.enabled=false \
         --conf spark.shuffle.service.enabled=false"
    );
    for (key, value) in &run.settings {
        if ["spark.stage.", "spark.task.", "spark.decommission."]
            .iter()
            .any(|prefix| key.starts_with(prefix))
        {
            words += &format!(" --conf {key}={value}");
        }
    }
    let words: Vec<String> = (words + " s3://b/job.py")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let submission = Submission::parse(&words, &BTreeMap::new()).unwrap();
    let id = cluster.act(|yarn, ctx| yarn.submit(ctx, submission, workload.clone()));
    // There all executors had come before the first stage did; here the last of them says when it is.
    let begun = |cluster: &Cluster| {
        let attempt = cluster.yarn.truth()[0].last_attempt()?;
        let stage = attempt.stage_attempts.first()?.submitted_at;
        let executors = &attempt.executors;
        (executors.len() >= initial).then(|| executors.iter().map(|one| one.added_at).fold(stage, Time::max))
    };
    for _ in 0..300 {
        let next = cluster.now + TimeDelta::seconds(1);
        if begun(&cluster).is_none() {
            cluster.pass_until(next);
        }
    }
    let begun = begun(&cluster).expect("it begins within five minutes");
    for (after, event) in events(run, first) {
        cluster.pass_until((begun + after).max(cluster.now));
        match event {
            Event::Notice(host) => cluster.act(|yarn, ctx| yarn.decommission_node(ctx, &host)),
            Event::Loss(host) => cluster.act(|yarn, ctx| yarn.remove_node(ctx, &host, "EC2 terminated the instance")),
            Event::Joined(host) => cluster.act(|yarn, ctx| yarn.add_node(ctx, node(&host))),
        }
    }
    cluster.pass_until(begun + TimeDelta::hours(6));
    let truth = &cluster.yarn.truth()[0];
    let attempt = truth.last_attempt().unwrap();
    let again = attempt.stage_attempts.iter().filter(|one| one.attempt > 0);
    let tasks = attempt.tasks.failed + attempt.tasks.resubmitted + again.clone().map(|one| one.partitions).sum::<u32>();
    Fate {
        executors_lost: attempt.executors.iter().filter(|one| one.lost).count() as u64,
        stages_again: again.count() as u64,
        tasks_again: u64::from(tasks),
        has_failed: cluster.yarn.state(&id) != State::Succeeded,
    }
}

#[test]
#[ignore = "needs runs on real Spark: REAL names their folder"]
fn the_simulated_spark_beside_apaches() {
    let mut found = Vec::new();
    logs(Path::new(&std::env::var("REAL").unwrap()), &mut found);
    assert!(!found.is_empty(), "there are runs to compare with");
    for path in found {
        let run = run(&path);
        let name = run.application_name.clone().unwrap_or_default();
        let Ok(plan) = rebuild(&run, 1 << 20) else { continue };
        let Some((places, first)) = last_job(&run, &plan).filter(|_| run.ended_at_ms.is_some()) else {
            println!("{name}: not compared: {} jobs", plan.jobs.len());
            continue;
        };
        let workload = workload(&plan, &places);
        let real = there(&run);
        let ours: Vec<Fate> = (1..=SEEDS).map(|seed| here(&run, (&workload, first), seed)).collect();
        let span = |of: fn(&Fate) -> u64| {
            let (least, most) = (ours.iter().map(of).min().unwrap(), ours.iter().map(of).max().unwrap());
            let is_inside = (least..=most).contains(&of(&real));
            format!(
                "{} | {least} to {most}{}",
                of(&real),
                if is_inside { "" } else { " DIFFERS" }
            )
        };
        println!(
            "{name} on {}: executors lost {}; stage attempts again {}; tasks again {}; failed {}",
            run.spark_version.as_deref().unwrap_or("?"),
            span(|fate| fate.executors_lost),
            span(|fate| fate.stages_again),
            span(|fate| fate.tasks_again),
            span(|fate| u64::from(fate.has_failed)),
        );
    }
}
