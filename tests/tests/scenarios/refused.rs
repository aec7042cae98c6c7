//! Stories in which the account does not give what it usually gives: what may not be read, what lies among too much, what
//! is told too late.

use account::emr::ClusterState;
use account::journal::Kind;
use local::run::Run;
use report::{Missing, Report};
use rules::drill::DrillState;
use rules::verdict::Verdict;
use tests::{report_of, tell};

use super::{interrupted, replaced};

fn missing<'a>(report: &'a Report, what: &str) -> Option<&'a Missing> {
    report.missing.iter().find(|missing| missing.what == what)
}

/// How often a function called a service.
fn calls(run: &Run, function: &str, service: &str) -> usize {
    let state = run.world.lock();
    let entries = state.account.journal.entries().iter();
    let calls = entries.filter(|entry| entry.kind == Kind::Call && entry.source == service);
    calls.filter(|entry| entry.data["caller"] == function).count()
}

#[test]
fn a_log_that_may_not_be_read_is_named_with_the_parameter_and_the_rest_is_reported() {
    let run = tell("no-log-grant", 1, &[]);
    let report = report_of(&run);
    let spark = report
        .spark
        .as_ref()
        .expect("the event log was found by the step's time");
    assert!(spark.reading.complete);
    assert_eq!(missing(&report, "event log"), None);
    let why = &missing(&report, "step log").expect("it is said").why;
    assert!(
        why.starts_with("s3://aws-logs-000000000000-us-sim-1/elasticmapreduce/"),
        "{why}"
    );
    assert!(why.contains("s3:GetObject") && why.contains("LogBucketArns"), "{why}");
    assert_eq!(
        report.judgement.verdict,
        Verdict::Survived,
        "{}",
        report.judgement.sentence
    );
    assert_eq!((interrupted(&run), replaced(&report)), (3, 3));
}

#[test]
fn an_event_log_under_a_foreign_key_is_told_and_is_no_proof_of_survival() {
    let run = tell("encrypted-log", 1, &[]);
    let report = report_of(&run);
    assert_eq!(report.spark, None);
    let why = &missing(&report, "event log").expect("it is said").why;
    assert!(why.contains("kms:Decrypt") && why.contains("KmsKeyArns"), "{why}");
    assert_eq!(missing(&report, "step log"), None);
    let sentence = &report.judgement.sentence;
    assert_eq!(report.judgement.verdict, Verdict::Inconclusive, "{sentence}");
    assert!(
        sentence.starts_with("The job completed, but not all is known: 3 instances went"),
        "{sentence}"
    );
    assert!(sentence.contains("KmsKeyArns"), "{sentence}");
    assert_eq!((interrupted(&run), replaced(&report)), (3, 3));
}

#[test]
fn a_hundred_thousand_other_logs_cost_nothing() {
    let run = tell("crowded-log-dir", 1, &[]);
    let plain = tell("workshop", 1, &[]);
    let logs = |run: &Run| {
        let state = run.world.lock();
        state
            .account
            .s3
            .list("emr-spot-workshop-data", "spark-events/")
            .unwrap()
            .len()
    };
    assert_eq!(logs(&run), logs(&plain) + 100_000);
    let s3_calls = |run: &Run| calls(run, "spot-drill-WriteReport", "s3");
    let (many, few) = (s3_calls(&run), s3_calls(&plain));
    assert!(many <= few + 4, "{many} calls of S3 instead of {few}");
    // What it cost of ours is the one thing that may differ.
    let told = |run: &Run| {
        let mut report = report_of(run);
        report.cost.own.clear();
        report
    };
    assert_eq!(told(&run), told(&plain));
}

#[test]
fn a_step_that_begins_before_its_cluster_is_told_to_be_up_is_drilled() {
    let run = tell("transient-first-step", 1, &[]);
    let report = report_of(&run);
    {
        let state = run.world.lock();
        let cluster = state.account.emr.clusters().next().unwrap();
        let gone = [ClusterState::Terminating, ClusterState::Terminated];
        assert!(gone.contains(&cluster.state), "{:?}", cluster.state);
        let told_at = cluster.ready_at.unwrap() + chrono::TimeDelta::seconds(140);
        assert!(told_at > cluster.steps[0].started_at.unwrap());
        let looks = state.account.journal.entries().iter().filter(|entry| {
            let caller = &entry.data["caller"];
            entry.subject == "DescribeCluster" && caller == "spot-drill-StartExperiment" && entry.at < told_at
        });
        assert!(looks.count() >= 1, "it is looked at again while it starts");
    }
    assert_eq!(report.drill.state, Some(DrillState::Started));
    assert_eq!(interrupted(&run), 3);
    assert_eq!(
        report.judgement.verdict,
        Verdict::Survived,
        "{}",
        report.judgement.sentence
    );
}
