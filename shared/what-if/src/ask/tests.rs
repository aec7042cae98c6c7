//! How a question is said, what makes no sense, and which nodes may be hit.

use super::*;

#[test]
fn who_is_hit_and_when_is_said_as_it_was_asked() {
    let zone = Victims::Zone {
        name: "eu-west-1a".to_owned(),
        hosts: [].into(),
    };
    for (victims, between_ms, said) in [
        (
            Victims::MostOutput(1),
            None,
            "the node with most shuffle output, at any moment of the run",
        ),
        (
            Victims::Driver,
            Some((5_000, 5_000)),
            "the driver's node, 5 s after the application's start",
        ),
        (
            zone,
            Some((5_000, 5_500)),
            "all nodes of eu-west-1a that may be hit, at once, at a moment from 5 s to 5.5 s after the application's \
             start",
        ),
    ] {
        assert_eq!(words(&victims, between_ms), said);
    }
}

#[test]
fn nodes_with_executors_may_be_hit_unless_they_stay_and_the_drivers_if_it_may_go() {
    let executor = |number: u32| spark_log::Executor {
        id: number.to_string(),
        host: format!("node-{number}"),
        cores: 1,
        added_at_ms: Some(1_000),
        ..spark_log::Executor::default()
    };
    let run = |deploy_mode: &str| SparkRun {
        settings: [("spark.submit.deployMode".to_owned(), deploy_mode.to_owned())].into(),
        driver_host: Some("node-1".to_owned()),
        executors: (1..=3).map(executor).collect(),
        ..SparkRun::default()
    };
    for (deploy_mode, driver_may_go, stays, nodes) in [
        ("cluster", true, &[][..], 3),
        ("cluster", false, &[], 2),
        ("cluster", true, &["node-2"], 2),
        ("cluster", false, &["node-1", "node-2"], 1),
        // The driver is on a machine that has the same name, and no container.
        ("client", false, &[], 3),
    ] {
        let around = Surroundings {
            driver_may_go,
            nodes_that_stay: stays.iter().map(|name| (*name).to_owned()).collect(),
            ..Surroundings::default()
        };
        let mut plan = rebuild(&run(deploy_mode), 10).unwrap();
        assert_eq!(
            nodes_at_risk(&plan, &around),
            nodes,
            "{deploy_mode}, {driver_may_go}, {stays:?}"
        );
        // Who has nobody left on it is no node of the run.
        plan.executors.pop();
        assert_eq!(
            nodes_at_risk(&plan, &around),
            nodes - 1,
            "{deploy_mode}, {driver_may_go}, {stays:?}"
        );
    }
}

#[test]
fn a_question_makes_no_sense_whatever_the_log_or_does_not_suit_this_one() {
    for error in [Error::Trace, Error::Window] {
        assert!(error.is_of_the_question(), "{error}");
    }
    for error in [
        Error::NoEnd,
        Error::NobodyToHit,
        Error::DriverElsewhere,
        Error::Unfit(Unfit::NoTasks),
    ] {
        assert!(!error.is_of_the_question(), "{error}");
    }
}
