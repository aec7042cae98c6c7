//! Which application is a step's: by EMR's word, and by the step's own log, wherever that lies. And whether it was Spark.

use account::emr::Whims;
use account::spark::Workload;
use local::scenario::DATA_BUCKET;
use local::world::World;
use serde_json::{Value, json};

use crate::staging::*;

const SCRIPT: &str = "s3://emr-spot-workshop-data/job.sh";

/// A step that runs a script of which nothing tells what it does.
fn script() -> Value {
    json!({"Name": "script", "ActionOnFailure": "CONTINUE", "HadoopJarStep": {
        "Jar": "s3://eu-west-1.elasticmapreduce/libs/script-runner/script-runner.jar", "Args": [SCRIPT]}})
}

fn hide_applications(world: &World) {
    let whims = Whims {
        applications_hidden: true,
        ..Whims::default()
    };
    world.lock().account.emr.set_whims(whims);
}

/// The application of a report, and the one that the step really ran.
fn told_and_true(world: &World, cluster_id: &str, step_id: &str) -> (Option<String>, Option<String>) {
    let told = report_of(world, cluster_id, step_id)
        .spark
        .and_then(|spark| spark.application_id);
    (told, step_of(&world.lock(), cluster_id, step_id).application_id.clone())
}

#[test]
fn a_script_that_turns_out_to_have_run_spark_is_reported_on_and_not_drilled() {
    for hidden in [false, true] {
        in_a_world(1, &[("DelaySeconds", "5")], no_faults(), async |world| {
            if hidden {
                hide_applications(&world);
            }
            world.lock().account.emr.set_workload(SCRIPT, Workload::workshop());
            let cluster_id = cluster_up(&world, workshop("c", 16)).await;
            let step_id = run_step(&world, &cluster_id, script()).await;
            until(&world, |state| step_of(state, &cluster_id, &step_id).state.is_over()).await;
            sleep(600).await;
            assert!(notices(&world.lock()).is_empty());
            assert_eq!(has_report(&world.lock(), &cluster_id, &step_id), !hidden);
            if !hidden {
                let (told, truth) = told_and_true(&world, &cluster_id, &step_id);
                assert!(told.is_some());
                assert_eq!(told, truth);
            }
        });
    }
}

#[test]
fn the_sweep_finds_such_a_script_too_and_asks_emr_for_its_cluster_once() {
    in_a_world(1, &[], no_events(), async |world| {
        world.lock().account.emr.set_workload(SCRIPT, Workload::short());
        let cluster_id = cluster_up(&world, workshop("c", 4)).await;
        let ran_spark = run_step(&world, &cluster_id, script()).await;
        let others = [step(&["python3", "a.py"]), step(&["python3", "b.py"])];
        let others = add_steps(&world, &cluster_id, json!(others));
        until(&world, |state| {
            cluster_of(state, &cluster_id)
                .steps
                .iter()
                .all(|one| one.state.is_over())
        })
        .await;
        sleep(1_800).await;
        assert!(has_report(&world.lock(), &cluster_id, &ran_spark));
        assert!(others.iter().all(|id| !has_report(&world.lock(), &cluster_id, id)));
        let skip = world.lock().account.journal.entries().len();
        sweep(&world).await.unwrap();
        let state = world.lock();
        let entries = state.account.journal.entries()[skip..].iter();
        let asked = entries.filter(|entry| entry.data["action"] == "elasticmapreduce:DescribeCluster");
        assert_eq!(asked.count(), 1);
    });
}

/// Two steps of Spark's at once, on a cluster whose logs go where nobody may look.
async fn two_at_once(world: &World, step: &Value) -> Vec<(Option<String>, Option<String>)> {
    let script = format!("s3://{DATA_BUCKET}/script.py");
    world.lock().account.emr.set_workload(&script, Workload::short());
    let mut cluster = workshop("c", 16);
    cluster["LogUri"] = json!("s3://logs-of-nobody/emr/");
    let cluster_id = cluster_up(world, cluster).await;
    let ids = add_steps(world, &cluster_id, json!([step, step]));
    until(world, |state| ids.iter().all(|id| has_report(state, &cluster_id, id))).await;
    ids.iter().map(|id| told_and_true(world, &cluster_id, id)).collect()
}

#[test]
fn of_steps_that_run_at_once_each_gets_the_application_that_emr_names() {
    for hidden in [false, true] {
        in_a_world(1, &[], no_faults(), async |world| {
            if hidden {
                hide_applications(&world);
            }
            for (told, truth) in two_at_once(&world, &spark(&["s3://emr-spot-workshop-data/out/"])).await {
                assert!(truth.is_some());
                assert_eq!(told, truth.filter(|_| !hidden), "hidden: {hidden}");
            }
        });
    }
}

#[test]
fn a_steps_own_log_lies_where_the_step_says_and_not_where_its_cluster_does() {
    in_a_world(1, &[], no_faults(), async |world| {
        hide_applications(&world);
        let mut step = spark(&["s3://emr-spot-workshop-data/out/"]);
        let place = format!("s3://{DATA_BUCKET}/step-logs");
        step["StepMonitoringConfiguration"] = json!({"S3MonitoringConfiguration": {"LogUri": place}});
        for (told, truth) in two_at_once(&world, &step).await {
            assert!(truth.is_some());
            assert_eq!(told, truth);
        }
    });
}

#[test]
fn a_rolled_log_is_found_beside_the_single_ones_of_steps_before_it() {
    in_a_world(1, &[], no_faults(), async |world| {
        hide_applications(&world);
        let script = format!("s3://{DATA_BUCKET}/script.py");
        world.lock().account.emr.set_workload(&script, Workload::short());
        let mut cluster = workshop("c", 16);
        cluster["LogUri"] = json!("s3://logs-of-nobody/emr/");
        cluster["StepConcurrencyLevel"] = json!(1);
        let cluster_id = cluster_up(&world, cluster).await;
        let rolling = ["--conf", "spark.eventLog.rolling.enabled=true"];
        let words = ["spark-submit", "--deploy-mode", "cluster"];
        let single = step(&[&words, [script.as_str(), OUT].as_slice()].concat());
        let rolled = step(&[&words, rolling.as_slice(), &[&script, OUT]].concat());
        for step in [single, rolled] {
            let step_id = add_steps(&world, &cluster_id, json!([step])).remove(0);
            until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
            let (told, truth) = told_and_true(&world, &cluster_id, &step_id);
            assert!(truth.is_some());
            assert_eq!(told, truth);
        }
    });
}

/// S3 lists a thousand at a time, and a bucket of years has more than anybody reads for one report.
#[test]
fn where_not_all_objects_beside_a_steps_log_were_looked_at_the_report_says_so() {
    for (others, is_said) in [(20_000, true), (10, false)] {
        // Neither EMR nor the step's own log names its application.
        in_a_world(1, &[("LogBucketArns", "")], no_faults(), async |world| {
            let mut cluster = workshop("c", 32);
            cluster["StepConcurrencyLevel"] = json!(1);
            let cluster_id = cluster_up(&world, cluster).await;
            hide_applications(&world);
            let created_at = cluster_of(&world.lock(), &cluster_id).created_at;
            for number in 0..others {
                // Of applications that began after the cluster did, and were written to before the step began.
                let id = format!("application_{}_{number:05}", created_at.timestamp_millis());
                let uri = format!("s3://emr-spot-workshop-data/spark-events/{id}");
                world.lock().account.s3.put(&uri, "", created_at).unwrap();
            }
            let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
            until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
            let missing = report_of(&world, &cluster_id, &step_id).missing;
            let is_found = missing
                .iter()
                .any(|one| one.why.contains("only the first 20000 objects there were looked at"));
            assert_eq!(is_found, is_said, "{missing:?}");
        });
    }
}
