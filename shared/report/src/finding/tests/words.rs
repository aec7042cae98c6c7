//! What single findings say, and what they weigh.

use chrono::TimeDelta;
use rules::cluster::{ManagedScaling, ScalingLimits};
use rules::replacement::Replacement;

use super::{known_output, not_replaced, set, spark, task_pool};
use crate::finding::find;
use crate::sample::workshop;
use crate::{AttemptRow, Baseline, Missing, Report};

fn advice(report: &Report) -> (String, Vec<String>) {
    let found = find(report)
        .into_iter()
        .find(|finding| finding.id == "stages-ran-again");
    let finding = found.expect("it fires");
    (finding.advice, finding.settings)
}

#[test]
fn the_advice_on_shuffle_is_checked_against_this_runs_spark() {
    let mut report = workshop();
    let (words, settings) = advice(&report);
    // With the shuffle service on, YARN's allocator ignores decommissioning: the advice has to say so.
    assert!(words.contains("shuffle service off"), "{words}");
    assert!(
        settings.contains(&"spark.shuffle.service.enabled=false".to_owned()),
        "{settings:?}"
    );
    assert!(
        settings.contains(&"spark.storage.decommission.enabled=true".to_owned()),
        "{settings:?}"
    );
    // What is on already is not advised.
    set(&mut report, "spark.decommission.enabled", "true");
    assert!(
        !advice(&report)
            .1
            .contains(&"spark.decommission.enabled=true".to_owned())
    );
    // A Spark that cannot is not told to.
    spark(&mut report).version = Some("2.4.8-amzn-2".into());
    let (words, settings) = advice(&report);
    assert!(
        settings.is_empty() && words.contains("older than 3.4"),
        "{words} {settings:?}"
    );
}

#[test]
fn a_log_that_may_not_be_read_is_not_to_be_turned_on() {
    let mut report = workshop();
    report.spark = None;
    let why = "reading s3://b/log: AccessDenied: kms:Decrypt".into();
    report.missing.push(Missing {
        what: "event log".into(),
        why,
    });
    let found = find(&report)
        .into_iter()
        .find(|finding| finding.id == "event-log-missing");
    let finding = found.expect("it fires");
    assert!(
        finding.settings.is_empty() && finding.advice.contains("KmsKeyArns"),
        "{}",
        finding.advice
    );
}

#[test]
fn a_price_is_this_runs() {
    let found = find(&workshop());
    let price = found
        .iter()
        .find(|finding| finding.id == "stages-ran-again")
        .and_then(|finding| finding.price.clone());
    assert_eq!(price.as_deref(), Some("56 s of run time, 14 min of task time."));
}

#[test]
fn the_driver_of_an_earlier_attempt_counts_too() {
    let mut report = workshop();
    let began = report.step.started_at;
    spark(&mut report).earlier.push(AttemptRow {
        attempt: Some("1".into()),
        started_at: began,
        ended_at: None,
        driver_host: Some("ip-10-0-0-71.us-sim-1.compute.internal".into()),
        driver_was_interrupted: Some(true),
        task_time_ms: 60_000,
    });
    let found = find(&report);
    let finding = found
        .iter()
        .find(|finding| finding.id == "driver-on-spot")
        .expect("it fires");
    assert!(finding.evidence.contains("attempt 1"), "{}", finding.evidence);
    // And all that it had done is lost.
    let before = workshop();
    let lost = |report: &Report| report.spark.as_ref().unwrap().lost_task_ms();
    assert_eq!(lost(&report) - lost(&before), 60_000);
}

#[test]
fn an_application_that_failed_by_itself_did_not_begin_again_by_a_loss() {
    let mut report = workshop();
    spark(&mut report).attempts = 2;
    spark(&mut report).started_at = report.step.started_at.map(|at| at + TimeDelta::seconds(400));
    let ids: Vec<String> = find(&report).into_iter().map(|finding| finding.id).collect();
    assert!(!ids.contains(&"application-began-again".to_owned()), "{ids:?}");
}

#[test]
fn what_took_the_time_of_a_slow_replacement_is_told_and_advised_on() {
    let told = |listed_after: i64| {
        let mut report = workshop();
        let noticed = report.interruptions[0].interrupted.noticed_at.unwrap();
        if let Replacement::Replaced {
            seconds_after_notice,
            listed_at,
            ..
        } = &mut report.interruptions[0].replacement
        {
            *seconds_after_notice = Some(600);
            *listed_at = Some(noticed + TimeDelta::seconds(listed_after));
        }
        let found = find(&report)
            .into_iter()
            .find(|finding| finding.id == "slow-replacement");
        let finding = found.expect("it fires");
        (finding.evidence, finding.advice)
    };
    let (evidence, advice) = told(400);
    assert!(
        evidence.contains("6 min 40 s of it passed before EMR had an instance to list"),
        "{evidence}"
    );
    assert!(
        evidence.contains("the wait for capacity") && !advice.contains("bootstrap"),
        "{evidence} {advice}"
    );
    let (evidence, advice) = told(200);
    assert!(
        evidence.contains("starting and bootstrapping") && advice.contains("custom AMI"),
        "{evidence} {advice}"
    );
}

#[test]
fn the_memory_that_is_advised_fits_on_the_smallest_type() {
    let mut report = workshop();
    set(&mut report, "spark.executor.memory", "40g");
    let found = find(&report)
        .into_iter()
        .find(|finding| finding.id == "executors-too-large");
    let finding = found.expect("it fires");
    let [setting] = finding.settings.as_slice() else {
        panic!("{finding:?}")
    };
    let memory = setting
        .strip_prefix("spark.executor.memory=")
        .expect("it is that setting");
    set(&mut report, "spark.executor.memory", memory);
    assert!(
        !find(&report).iter().any(|finding| finding.id == "executors-too-large"),
        "{memory}"
    );
}

#[test]
fn memory_is_advised_beside_the_overhead_that_is_set_and_none_where_that_alone_does_not_fit() {
    // The smallest types of the sample have 24,576 MiB for YARN.
    let settings = |memory: &str, overhead: &str| {
        let mut report = workshop();
        set(&mut report, "spark.executor.memory", memory);
        set(&mut report, "spark.executor.memoryOverhead", overhead);
        let found = find(&report)
            .into_iter()
            .find(|finding| finding.id == "executors-too-large");
        found.map(|finding| finding.settings)
    };
    assert_eq!(settings("18g", "6g"), None, "it fits to the last MiB");
    assert_eq!(settings("20g", "6g"), Some(vec!["spark.executor.memory=18432m".into()]));
    assert_eq!(settings("2g", "23g"), Some(vec!["spark.executor.memory=1024m".into()]));
    // Spark does not start with less than 450 MiB.
    assert_eq!(
        settings("2g", "24126m"),
        Some(vec!["spark.executor.memory=450m".into()])
    );
    assert_eq!(settings("2g", "24127m"), Some(Vec::new()));
    assert_eq!(settings("2g", "30g"), Some(Vec::new()));
}

#[test]
fn rows_that_were_counted_weigh_more_than_bytes() {
    let told = |here: Option<u64>, there: Option<u64>| {
        let mut report = workshop();
        known_output(&mut report);
        let output = report.output.as_mut().unwrap();
        output.rows = here;
        output.baseline = Some(Baseline {
            location: "s3://b/base/".into(),
            objects: 7,
            bytes: 1,
            rows: there,
        });
        let found = find(&report).into_iter().find(|finding| finding.id == "output-differs");
        found.map(|finding| finding.evidence)
    };
    assert_eq!(told(Some(1_000), Some(1_000)), None, "the bytes alone differ");
    assert!(told(Some(1_250), Some(1_000)).unwrap().ends_with("250 more."));
    assert!(told(Some(999), Some(1_000)).unwrap().ends_with("1 less."));
    assert!(told(None, Some(1_000)).unwrap().contains("bytes"));
}

#[test]
fn what_is_so_already_is_not_advised() {
    let told = |report: &Report| {
        let found = find(report).into_iter().find(|finding| finding.id == "not-replaced");
        let finding = found.expect("it fires");
        (finding.evidence, finding.advice, finding.settings)
    };
    let mut report = workshop();
    for one in &mut report.interruptions {
        one.replacement = Replacement::NotReplaced {
            why: "none came".into(),
        };
    }
    let (evidence, advice, settings) = told(&report);
    assert!(evidence.starts_with("None of the 3 instances"), "{evidence}");
    assert!(
        advice.contains("more instance types than 12") && advice.contains("price-capacity-optimized"),
        "{advice}"
    );
    assert_eq!(settings, ["AllocationStrategy=price-capacity-optimized"]);
    super::task_pool(&mut report).spot_strategy = Some("capacity-optimized".into());
    report.cluster.subnets = vec!["subnet-1".into(), "subnet-2".into()];
    let (_, advice, settings) = told(&report);
    assert!(!advice.contains("optimized") && !advice.contains("subnet"), "{advice}");
    assert!(settings.is_empty(), "{settings:?}");
}

#[test]
fn an_experiment_that_the_alarm_stopped_is_not_to_be_mended() {
    let mut report = workshop();
    report.interruptions.clear();
    report.drill.state = Some(rules::drill::DrillState::Started);
    report.drill.reason = Some("the experiment was stopped: Experiment halted by stop condition".into());
    let found = find(&report).into_iter().find(|finding| finding.id == "not-injected");
    assert!(found.expect("it fires").advice.contains("WarningsPerHourMax"));
}

/// The parameter's own limit stands in the deployment's template.
#[test]
fn a_limit_that_is_advised_is_the_templates() {
    let mut report = workshop();
    report.interruptions.clear();
    report.drill.state = Some(rules::drill::DrillState::GaveUp);
    report.drill.reason = Some("after 720 s, 0 Spot task instances run; the experiment needs 3".into());
    let found = find(&report).into_iter().find(|finding| finding.id == "not-injected");
    let advice = found.expect("it fires").advice;
    let template = include_str!("../../../../../infra/template.yaml");
    let (_, wait) = template.split_once("  WaitSecondsMax:").expect("it is a parameter");
    let (_, most) = wait.split_once("MaxValue: ").expect("it has a limit");
    let most = most.split_whitespace().next().expect("the limit is a number");
    assert!(advice.contains(&format!("WaitSecondsMax, up to {most}.")), "{advice}");
}

/// What is said of managed scaling within these limits, when 4 of the 64 Spot units, beside 4 On-Demand ones, stayed away.
fn of_scaling(scaling: Option<ManagedScaling>, change: fn(&mut Report)) -> Option<(String, Vec<String>)> {
    let mut report = workshop();
    not_replaced(&mut report);
    report.targets.managed_scaling = scaling;
    change(&mut report);
    let found = find(&report)
        .into_iter()
        .find(|finding| finding.id == "managed-scaling")?;
    Some((found.evidence, found.settings))
}

#[test]
fn managed_scaling_is_told_to_be_absent_at_its_maximum_or_capped_as_far_as_it_is_known() {
    let within = |unit: &str, most, on_demand_most| {
        Some(ManagedScaling::Within(ScalingLimits {
            unit: Some(unit.into()),
            most,
            on_demand_most,
        }))
    };
    let settings = |scaling| of_scaling(scaling, |_| {}).map(|(_, settings)| settings.join(" "));
    assert_eq!(
        settings(Some(ManagedScaling::Absent)).as_deref(),
        Some("MaximumOnDemandCapacityUnits=8 MaximumCapacityUnits=72")
    );
    assert_eq!(
        settings(within("InstanceFleetUnits", Some(68), Some(4))).as_deref(),
        Some("MaximumCapacityUnits=72")
    );
    assert_eq!(
        settings(within("InstanceFleetUnits", Some(100), Some(4))).as_deref(),
        Some("MaximumOnDemandCapacityUnits=8")
    );
    for (unit, most, on_demand_most) in [
        ("InstanceFleetUnits", Some(69), None),
        ("InstanceFleetUnits", None, None),
        ("VCPU", Some(16), Some(4)),
    ] {
        assert_eq!(settings(within(unit, most, on_demand_most)), None, "{unit} {most:?}");
    }
    assert_eq!(settings(None), None, "nobody asked EMR");
    let scales_itself = of_scaling(Some(ManagedScaling::Absent), |r| task_pool(r).scales = true);
    assert_eq!(scales_itself, None);
}
