//! What the tests hold every run against: the simulated services' own state, and never what the functions recorded.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use local::emr::{Cluster, Role, Step};
use local::fault::Faults;
use local::journal::Kind;
use local::run::{self, Run, StepRun};
use local::scenario::{DATA_BUCKET, Scenario};
use local::spark::{ApplicationTruth, AttemptTruth};
use local::truth::{self, Hit};
use local::world::{State, World};
use serde_json::{Value, json};
use shared::interruption::Cause;
use shared::replacement::Replacement;
use shared::report::{Report, Spark};

/// A warning given this long before the step's begin may still take an instance while it runs.
const NOTICE: TimeDelta = TimeDelta::seconds(130);

/// A world with the stack in it and no cluster, on a paused runtime.
pub fn in_a_world<F: Future<Output = ()>>(seed: u64, faults: Faults, story: impl FnOnce(World) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs only memory");
    runtime.block_on(async {
        let epoch = DateTime::from_timestamp(1_795_183_200, 0).expect("2026-11-20T14:00:00Z is a time");
        let parameters = BTreeMap::from([
            ("ResultsBucket".to_owned(), DATA_BUCKET.to_owned()),
            ("CheckSchedule".to_owned(), "cron(0 0 1 1 ? 2030)".to_owned()),
        ]);
        let world = World::new(run::TEMPLATE, &parameters, seed, epoch, faults).expect("the template deploys");
        story(world).await;
    });
}

/// Tells a story with a seed, changed by `key=value`s, and holds it against the invariants.
pub fn tell(name: &str, seed: u64, sets: &[&str]) -> Run {
    let scenario = Scenario::find(name).expect("the test names a scenario");
    let mut settings = scenario.settings();
    for set in sets {
        settings.set(set).expect("the test sets what can be set");
    }
    let run =
        run::run(scenario, &settings, seed, |_| {}).unwrap_or_else(|error| panic!("{name}, seed {seed}: {error:#}"));
    hold(&run, &format!("{name}, seed {seed}"));
    if settings.errors == 0 && settings.lost_answers == 0 {
        no_invocation_fails(&run, &format!("{name}, seed {seed}"));
    }
    run
}

/// Where AWS answers, a function has nothing to fail for, whatever it refuses or ignores: on AWS each failure is an
/// alarm, two more attempts, and no verdict for whoever waits for one.
fn no_invocation_fails(run: &Run, story: &str) {
    let state = run.world.lock();
    let failed: Vec<String> = state
        .account
        .journal
        .entries()
        .iter()
        .filter(|entry| entry.kind == Kind::Invocation && entry.text.starts_with("fails"))
        .map(|entry| format!("{} {}: {}", entry.at, entry.source, entry.text))
        .collect();
    assert!(failed.is_empty(), "{story}: {failed:#?}");
}

/// The report of the story's only Spark step.
pub fn report_of(run: &Run) -> Report {
    let [step] = run.steps.as_slice() else {
        panic!("one step was expected, there are {}", run.steps.len())
    };
    step.report().expect("the step has a report")
}

/// What holds in every story, whatever happens in it.
pub fn hold(run: &Run, story: &str) {
    let state = run.world.lock();
    experiments_hit_only_spot_task_instances_of_their_own_cluster(&state, story);
    at_most_one_experiment_for_each_wave(&state, story);
    every_warning_is_in_the_ledger_once(&state, story);
    no_throw_away_template_is_left(&state, story);
    for cluster in state.account.emr.clusters() {
        for step in &cluster.steps {
            let told = run
                .steps
                .iter()
                .find(|told| told.step_id == step.id)
                .expect("each step is collected");
            hold_step(&state, cluster, step, told, story);
        }
    }
}

fn experiments_hit_only_spot_task_instances_of_their_own_cluster(state: &State, story: &str) {
    for experiment in state.account.fis.experiments() {
        let cluster_id = &experiment.tags["spot-drill:cluster"];
        let cluster = state
            .account
            .emr
            .cluster(cluster_id)
            .expect("the experiment's cluster exists");
        for id in &experiment.interrupted {
            let instance = cluster.instances.iter().find(|one| one.ec2_instance_id == *id);
            let instance = instance.unwrap_or_else(|| panic!("{story}: {id} is not of {cluster_id}"));
            assert_eq!(instance.role, Role::Task, "{story}: {id}");
            assert_eq!(instance.market, local::ec2::Market::Spot, "{story}: {id}");
        }
    }
}

fn at_most_one_experiment_for_each_wave(state: &State, story: &str) {
    let mut seen = BTreeSet::new();
    for experiment in state.account.fis.experiments() {
        let wave = (
            experiment.tags["spot-drill:step"].clone(),
            experiment.tags["spot-drill:wave"].clone(),
        );
        assert!(
            seen.insert(wave.clone()),
            "{story}: two experiments for step and wave {wave:?}"
        );
    }
}

/// The ledger's recorded interruptions, by instance and time of the notice.
pub fn recorded(state: &State) -> BTreeMap<(String, DateTime<Utc>), u64> {
    let table = state.template.tables.values().next().expect("the template has a table");
    let request = json!({"TableName": table.name}).to_string();
    let answer = state
        .account
        .dynamodb
        .call("Scan", request.as_bytes())
        .expect("the ledger can be scanned");
    let answer: Value = serde_json::from_slice(&answer).expect("DynamoDB answers JSON");
    assert!(answer.get("LastEvaluatedKey").is_none(), "the ledger fits one page");
    let items = answer["Items"].as_array().cloned().unwrap_or_default();
    let mut found = BTreeMap::new();
    for item in items {
        let sort_key = item["sk"]["S"].as_str().unwrap_or_default();
        if !sort_key.starts_with("interruption#") {
            continue;
        }
        let id = item["instance_id"]["S"]
            .as_str()
            .expect("an interruption has an instance")
            .to_owned();
        let at = item["noticed_at"]["S"]
            .as_str()
            .and_then(|at| at.parse().ok())
            .expect("and a time");
        let seen = item["seen"]["N"]
            .as_str()
            .and_then(|seen| seen.parse().ok())
            .expect("and a count");
        assert!(found.insert((id.clone(), at), seen).is_none(), "{id} is recorded twice");
    }
    found
}

fn every_warning_is_in_the_ledger_once(state: &State, story: &str) {
    let lost: BTreeSet<String> = state
        .account
        .journal
        .entries()
        .iter()
        .filter(|entry| entry.text == "EC2 Spot Instance Interruption Warning, and it is lost")
        .map(|entry| entry.subject.clone())
        .collect();
    let given: BTreeSet<(String, DateTime<Utc>)> = state
        .account
        .ec2
        .instances()
        .filter(|instance| !lost.contains(&instance.instance_id))
        .filter_map(|instance| {
            let noticed_at = instance.interruption.as_ref()?.noticed_at;
            Some((instance.instance_id.clone(), whole_seconds(noticed_at)))
        })
        .collect();
    let recorded = recorded(state);
    let kept: BTreeSet<(String, DateTime<Utc>)> = recorded.keys().cloned().collect();
    assert_eq!(kept, given, "{story}: the ledger's warnings and those that EC2 gave");
    assert!(recorded.values().all(|seen| *seen >= 1), "{story}: {recorded:?}");
}

fn no_throw_away_template_is_left(state: &State, story: &str) {
    let left: Vec<&String> = state
        .account
        .fis
        .templates()
        .filter(|template| template.definition.tags.contains_key("spot-drill:step"))
        .map(|template| &template.id)
        .collect();
    assert!(left.is_empty(), "{story}: throw-away templates are left: {left:?}");
}

fn hold_step(state: &State, cluster: &Cluster, step: &Step, told: &StepRun, story: &str) {
    let (Some(application_id), Some(began), Some(ended)) = (&step.application_id, step.started_at, step.ended_at)
    else {
        assert!(
            told.json.is_none(),
            "{story}: step {} ran no application, and has a report",
            step.id
        );
        return;
    };
    let report = told
        .report()
        .unwrap_or_else(|error| panic!("{story}: step {}: {error:#}", step.id));
    let hits = truth::hits(state, cluster, began - NOTICE, ended);
    interruptions_are_those_that_happened(&report, &hits, story);
    no_replacement_is_invented(&report, cluster, &hits, story);
    let application = truth::application(cluster, application_id).expect("the step's application ran");
    spark_is_as_it_was(&report, application, &hits, story);
}

fn interruptions_are_those_that_happened(report: &Report, hits: &[Hit], story: &str) {
    let reported: BTreeSet<&str> = report
        .interruptions
        .iter()
        .map(|one| one.interrupted.instance_id.as_str())
        .collect();
    let happened: BTreeSet<&str> = hits.iter().map(|hit| hit.instance_id.as_str()).collect();
    assert_eq!(reported, happened, "{story}: who was interrupted");
    for one in &report.interruptions {
        let one = &one.interrupted;
        let hit = hits
            .iter()
            .find(|hit| hit.instance_id == one.instance_id)
            .expect("compared above");
        assert_eq!(one.units, hit.units, "{story}: units of {}", hit.instance_id);
        if let Some(noticed_at) = one.noticed_at {
            assert_eq!(
                noticed_at,
                whole_seconds(hit.noticed_at),
                "{story}: notice of {}",
                hit.instance_id
            );
        }
        match (&one.cause, &hit.experiment_id) {
            (Cause::Experiment { experiment_id }, Some(happened)) => assert_eq!(experiment_id, happened, "{story}"),
            (Cause::OtherExperiment, Some(_)) | (Cause::Natural, None) | (Cause::Unknown, _) => {}
            (cause, happened) => panic!("{story}: {} by {cause:?}, really by {happened:?}", hit.instance_id),
        }
        // EMR sees the loss some seconds after EC2 has begun to shut the instance down.
        if let Some(terminated_at) = one.terminated_at {
            let gone_at = hit
                .shutting_down_at
                .unwrap_or_else(|| panic!("{story}: {} is still there", hit.instance_id));
            let seconds = (terminated_at - gone_at).num_seconds();
            assert!(
                (0..=60).contains(&seconds),
                "{story}: EMR saw {} go {seconds} s late",
                hit.instance_id
            );
        }
    }
}

fn no_replacement_is_invented(report: &Report, cluster: &Cluster, hits: &[Hit], story: &str) {
    let mut given: BTreeMap<&str, u32> = BTreeMap::new();
    let mut taken = 0;
    for one in &report.interruptions {
        let hit = hits
            .iter()
            .find(|hit| hit.instance_id == one.interrupted.instance_id)
            .expect("compared above");
        let lost_at = one.interrupted.terminated_at.unwrap_or(hit.noticed_at);
        match &one.replacement {
            Replacement::Replaced { by, ready_at, .. } => {
                taken += hit.units;
                for id in by {
                    let instance = cluster
                        .instances
                        .iter()
                        .find(|instance| instance.ec2_instance_id == *id);
                    let instance = instance.unwrap_or_else(|| panic!("{story}: {id} replaces and does not exist"));
                    assert_eq!(instance.pool_id, hit.pool_id, "{story}: {id} is of another pool");
                    assert!(
                        instance.created_at >= whole_seconds(hit.noticed_at),
                        "{story}: {id} was there before"
                    );
                    assert!(
                        instance.ready_at.is_some_and(|at| at <= *ready_at),
                        "{story}: {id} was not ready then"
                    );
                    given.insert(id, instance.weight);
                }
                let whole = truth::whole_again_at(cluster, &hit.pool_id, lost_at, report.observed_at);
                assert!(
                    whole.is_some(),
                    "{story}: {} replaced, and the pool was never whole again",
                    hit.instance_id
                );
            }
            Replacement::NotReplaced { .. } => {
                let ended = report.step.ended_at.expect("the step ended");
                let whole = truth::whole_again_at(cluster, &hit.pool_id, lost_at, ended);
                assert_eq!(
                    whole, None,
                    "{story}: {} not replaced, and the pool was whole",
                    hit.instance_id
                );
            }
            Replacement::NotExpected { .. } | Replacement::Unknown { .. } => {}
        }
    }
    let given: u32 = given.values().sum();
    assert!(taken <= given, "{story}: {taken} units replaced by {given}");
}

fn spark_is_as_it_was(report: &Report, application: &ApplicationTruth, hits: &[Hit], story: &str) {
    let attempt = application.last_attempt().expect("an application has an attempt");
    let Some(spark) = &report.spark else {
        let said = report.missing.iter().any(|missing| missing.what == "event log");
        assert!(
            said,
            "{story}: no event log was read, and nothing says so: {:?}",
            report.missing
        );
        let ambiguous = report
            .missing
            .iter()
            .any(|missing| missing.why.contains("ran inside the step's time"));
        assert!(
            ambiguous || attempt.event_log.is_none(),
            "{story}: the log was not read: {:?}",
            report.missing
        );
        return;
    };
    assert_eq!(
        spark.application_id.as_deref(),
        Some(application.id.as_str()),
        "{story}"
    );
    assert_eq!(spark.attempts, application.attempts.len(), "{story}: attempts");
    let was_hit = |id: &str| hits.iter().any(|hit| hit.instance_id == id);
    let driver_hit = attempt.driver_instance.as_deref().is_some_and(was_hit);
    assert_eq!(spark.driver_was_interrupted, Some(driver_hit), "{story}: the driver");
    executors_are_those_that_were(spark, attempt, &was_hit, story);
    assert_eq!(
        spark.stages.len(),
        attempt.stage_attempts.len(),
        "{story}: stage attempts"
    );
    let failed = |attempt: &&local::spark::StageAttemptTruth| attempt.failure_reason.is_some();
    assert_eq!(
        spark.stage_attempts_failed,
        attempt.stage_attempts.iter().filter(failed).count(),
        "{story}"
    );
    assert_eq!(
        spark.tasks.successful,
        u64::from(attempt.tasks.successful),
        "{story}: successful tasks"
    );
    assert_eq!(
        spark.tasks.failed,
        u64::from(attempt.tasks.failed),
        "{story}: failed tasks"
    );
}

fn executors_are_those_that_were(spark: &Spark, attempt: &AttemptTruth, was_hit: &dyn Fn(&str) -> bool, story: &str) {
    let reported: BTreeSet<(String, String, bool)> = spark
        .executors
        .iter()
        .map(|row| (row.id.clone(), row.host.clone(), row.on_interrupted))
        .collect();
    let happened: BTreeSet<(String, String, bool)> = attempt
        .executors
        .iter()
        .map(|executor| {
            (
                executor.id.to_string(),
                executor.host.clone(),
                was_hit(&executor.instance_id),
            )
        })
        .collect();
    assert_eq!(reported, happened, "{story}: executors");
    for lost in attempt.lost_executors() {
        let row = spark
            .executors
            .iter()
            .find(|row| row.id == lost.id.to_string())
            .expect("compared above");
        assert_eq!(row.removed_at, lost.removed_at, "{story}: executor {} fell", lost.id);
    }
}

fn whole_seconds(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(at.timestamp(), 0).expect("a virtual time is one")
}
