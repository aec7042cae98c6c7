//! A job that hangs after its losses: somebody is told, once, and its report comes at its end all the same.

use account::spark::{StagePlan, Workload};
use chrono::TimeDelta;
use local::world::World;
use report::Report;
use rules::verdict::Verdict;
use serde_json::Value;

use crate::staging::*;

pub(crate) const LONG: &str = "s3://emr-spot-workshop-data/long.py";

/// Tasks of so many hours.
pub(crate) fn hours(hours: f64) -> Workload {
    let stage = StagePlan {
        name: "collect at long.py:7".into(),
        tasks: 8,
        task_seconds: hours * 3600.0,
        parents: Vec::new(),
    };
    Workload {
        stages: vec![stage],
        ..Workload::workshop()
    }
}

pub(crate) fn long() -> Value {
    step(&[
        "spark-submit",
        "--deploy-mode",
        "cluster",
        "--executor-memory",
        "18G",
        "--executor-cores",
        "4",
        LONG,
        "s3://emr-spot-workshop-data/out/",
    ])
}

fn interim(world: &World, cluster_id: &str, step_id: &str) -> Option<Report> {
    let state = world.lock();
    let bucket = &state.template.buckets["ReportBucket"];
    let uri = format!("s3://{bucket}/reports/{cluster_id}/{step_id}/interim.json");
    let object = state.account.s3.get(&uri).ok()?;
    Some(serde_json::from_slice(&object.bytes).unwrap())
}

#[test]
fn a_step_that_still_runs_an_hour_after_its_losses_gets_an_interim_report_once() {
    in_a_world(1, &[], no_faults(), async |world| {
        world.lock().account.emr.set_workload(LONG, hours(1.5));
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, long()).await;
        sleep(50 * 60).await;
        assert_eq!(interim(&world, &cluster_id, &step_id), None, "it is too soon");
        sleep(30 * 60).await;
        let report = interim(&world, &cluster_id, &step_id).expect("it is told");
        assert!(report.interim);
        assert_eq!(report.judgement.verdict, Verdict::Inconclusive);
        assert!(
            report.judgement.sentence.starts_with("Not recovered after "),
            "{}",
            report.judgement.sentence
        );
        assert_eq!(report.interruptions.len(), 3);
        let observed_at = report.observed_at;
        sleep(30 * 60).await;
        let told = sweep(&world).await.unwrap();
        assert_eq!(told["not_recovered"], Value::Array(Vec::new()), "once is enough");
        assert_eq!(interim(&world, &cluster_id, &step_id).unwrap().observed_at, observed_at);
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
    });
}

/// A job that took so long undisturbed takes an hour and a half, and has a loss in it: is there an interim report after eighty minutes?
fn is_told_of_a_job_that_took(usual: f64) -> bool {
    let mut is_told = None;
    in_a_world(1, &[("Mode", "off")], no_faults(), async |world| {
        world.lock().account.emr.set_workload(LONG, hours(usual));
        // Of a size that stays, or the second run would find no three task instances.
        let mut cluster = workshop("c", 32);
        cluster.as_object_mut().unwrap().remove("ManagedScalingPolicy");
        let cluster_id = cluster_up(&world, cluster).await;
        let undisturbed = run_step(&world, &cluster_id, long()).await;
        until(&world, |state| has_report(state, &cluster_id, &undisturbed)).await;
        // Drills are switched on.
        let functions = world.lock().template.functions.clone();
        let mut settings = functions["StartExperiment"].clone();
        settings.environment.insert("MODE".into(), "run".into());
        let function = local::functions::Function::deploy("StartExperiment", &settings).unwrap();
        world.run_functions([("StartExperiment".to_owned(), function)].into());
        world.lock().account.emr.set_workload(LONG, hours(1.5));
        let step_id = run_step(&world, &cluster_id, long()).await;
        sleep(80 * 60).await;
        assert!(!notices(&world.lock()).is_empty(), "it is drilled");
        is_told = Some(interim(&world, &cluster_id, &step_id).is_some());
    });
    is_told.expect("the story was told to its end")
}

#[test]
fn a_job_that_always_takes_hours_does_not_hang() {
    assert!(!is_told_of_a_job_that_took(1.5));
    assert!(is_told_of_a_job_that_took(0.5));
}

#[test]
fn an_hour_is_over_when_its_sixty_minutes_are() {
    in_a_world(1, &[], no_faults(), async |world| {
        world.lock().account.emr.set_workload(LONG, hours(1.5));
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, long()).await;
        until(&world, |state| !notices(state).is_empty()).await;
        let drill = drill_of(&world, &cluster_id, &step_id).await;
        let hour_over = drill.waves[0].asked_at.unwrap() + TimeDelta::hours(1);
        let seconds_left = u64::try_from((hour_over - world.clock.now()).num_seconds()).unwrap();
        sleep(seconds_left - 10).await;
        sweep(&world).await.unwrap();
        assert_eq!(interim(&world, &cluster_id, &step_id), None);
        sleep(20).await;
        sweep(&world).await.unwrap();
        assert!(interim(&world, &cluster_id, &step_id).is_some());
    });
}
