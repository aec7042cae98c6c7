//! What the rules on capacity, output and the drill need to fire, one fact at a time.

use rules::bearing::Bearing;
use rules::cluster::{ManagedScaling, Role};
use rules::drill::DrillState;
use rules::replacement::{Excuse, Replacement};

use super::{Change, assert_fires, finding, known_output, not_replaced, set, spark, task_pool};
use crate::Report;

#[test]
fn what_is_said_of_a_jobs_output_needs_a_step_that_ended_well_and_a_place_that_is_known() {
    fn no_marker(report: &mut Report) {
        known_output(report);
        report.output.as_mut().expect("it is there").has_success_marker = false;
    }
    assert_fires(
        "output-without-marker",
        &[
            ("it completed", true, no_marker),
            ("it failed", false, |r| {
                no_marker(r);
                r.step.state = "FAILED".into();
            }),
        ],
    );
}

#[test]
fn capacity_is_lacking_where_an_instance_went_while_the_job_ran() {
    assert_fires(
        "not-replaced",
        &[
            ("it went with nothing of the job", true, |r| {
                not_replaced(r);
                r.interruptions[0].loss.bearing = Bearing::NothingThere;
            }),
            ("it went after the run", false, |r| {
                not_replaced(r);
                r.interruptions[0].loss.bearing = Bearing::AfterTheRun;
            }),
            ("all came back", false, |_| {}),
        ],
    );
    assert_fires(
        "managed-scaling",
        &[
            ("a task instance went while it ran", true, |r| {
                not_replaced(r);
                r.targets.managed_scaling = Some(ManagedScaling::Absent);
            }),
            ("it went after the run", false, |r| {
                not_replaced(r);
                r.targets.managed_scaling = Some(ManagedScaling::Absent);
                r.interruptions[0].loss.bearing = Bearing::AfterTheRun;
            }),
            ("it was a core instance", false, |r| {
                not_replaced(r);
                r.targets.managed_scaling = Some(ManagedScaling::Absent);
                r.interruptions[0].interrupted.role = Some(Role::Core);
            }),
            ("its target was lowered", false, |r| {
                r.targets.managed_scaling = Some(ManagedScaling::Absent);
                r.interruptions[0].replacement = Replacement::NotExpected {
                    excuse: Excuse::TargetLowered,
                    why: "the target was lowered".into(),
                };
            }),
            ("it came back after five minutes", false, |r| slow(r, 300)),
            ("it came back after five minutes and a second", true, |r| slow(r, 301)),
        ],
    );
}

fn slow(report: &mut Report, seconds: i64) {
    report.targets.managed_scaling = Some(ManagedScaling::Absent);
    if let Replacement::Replaced {
        seconds_after_notice, ..
    } = &mut report.interruptions[0].replacement
    {
        *seconds_after_notice = Some(seconds);
    }
}

#[test]
fn only_spot_capacity_of_task_pools_is_looked_at() {
    assert_fires(
        "few-instance-types",
        &[
            // The core fleet of the sample has one type, and no Spot capacity.
            ("twelve types", false, |_| {}),
            ("the core fleet has Spot capacity, too", false, |r| {
                let pools = r.targets.at_start.as_mut().expect("it is there");
                pools.iter_mut().for_each(|pool| pool.target_spot_units = 4);
            }),
            ("one unit of Spot capacity", true, |r| {
                let task = task_pool(r);
                task.weights.clear();
                (task.target_spot_units, task.target_on_demand_units) = (1, 8);
            }),
        ],
    );
    let settings = |change: Change| finding("few-instance-types", change).expect("it fires").settings;
    fn strategy(report: &mut Report, name: Option<&str>) {
        let task = task_pool(report);
        task.weights.clear();
        task.spot_strategy = name.map(str::to_owned);
    }
    let advised = ["AllocationStrategy=price-capacity-optimized"];
    assert_eq!(settings(|r| strategy(r, Some("lowest-price"))), advised);
    assert_eq!(settings(|r| strategy(r, None)), advised, "it is not known");
    assert!(settings(|r| strategy(r, Some("capacity-optimized"))).is_empty());
    // One fleet of two has none.
    assert_eq!(
        settings(|r| {
            let other = task_pool(r).clone();
            strategy(r, Some("capacity-optimized"));
            r.targets.at_start.as_mut().expect("it is there").push(other);
        }),
        advised
    );
}

#[test]
fn of_a_cluster_of_groups_neither_zone_nor_listing_tells_anything() {
    fn group(report: &mut Report) {
        task_pool(report).id = "ig-1".into();
        report.cluster.subnets = vec!["subnet-1".into()];
    }
    assert_fires(
        "one-zone",
        &[
            ("a fleet, one subnet", true, |r| {
                r.cluster.subnets = vec!["subnet-1".into()]
            }),
            // A cluster of groups takes one subnet and no more.
            ("a group", false, group),
        ],
    );
    let evidence = |pool: &str, listed_after: i64| {
        let told = finding("slow-replacement", |r| {
            let lost = &mut r.interruptions[0];
            lost.interrupted.pool_id = Some(pool.into());
            let noticed_at = lost.interrupted.noticed_at.expect("it was warned");
            if let Replacement::Replaced {
                seconds_after_notice,
                listed_at,
                ..
            } = &mut lost.replacement
            {
                *seconds_after_notice = Some(400);
                *listed_at = Some(noticed_at + chrono::TimeDelta::seconds(listed_after));
            }
        });
        told.expect("it fires").evidence
    };
    let alone = "The slowest could take work 6 min 40 s after the notice.";
    assert_eq!(evidence("ig-1", 100), alone, "a request that waits is listed, too");
    assert!(evidence("if-1", 100).starts_with(&format!("{alone} 1 min 40 s of it passed")));
    assert!(
        evidence("if-1", -10).starts_with(&format!("{alone} 0 s of it passed")),
        "it was asked for before"
    );
}

#[test]
fn warnings_are_lost_or_late_by_each_of_those_that_went_while_the_job_ran() {
    fn unwarned(report: &mut Report, status: Option<&str>) {
        let told = &mut report.interruptions[0].interrupted;
        (told.warnings, told.spot_status) = (0, status.map(str::to_owned));
    }
    let evidence = |change: Change| finding("warnings-lost", change).map(|finding| finding.evidence);
    assert_eq!(
        evidence(|r| unwarned(r, Some("instance-terminated-no-capacity"))).as_deref(),
        Some(
            "1 interrupted instance without a warning on record: EC2 tells of them only by the status of the Spot request."
        )
    );
    assert_eq!(
        evidence(|r| {
            unwarned(r, None);
            r.interruptions[1].interrupted.warnings = 0;
        })
        .as_deref(),
        Some("2 interrupted instances without a warning on record.")
    );
    assert_eq!(
        evidence(|r| {
            unwarned(r, None);
            r.interruptions[0].loss.bearing = Bearing::BeforeTheRun;
        }),
        None
    );
    let late = finding("warnings-late", |r| {
        r.interruptions[1].interrupted.latency_ms = Some(61_900)
    });
    assert_eq!(
        late.expect("it fires").evidence,
        "The latest was 61 s on its way, of the 120 s that a warning gives."
    );
}

#[test]
fn what_is_advised_where_nobody_was_interrupted_follows_from_how_far_the_drill_came() {
    let advice = |state, reason: &str| {
        let told = finding("not-injected", |r| {
            r.interruptions.clear();
            r.drill.state = state;
            r.drill.reason = Some(reason.into());
        });
        told.expect("it fires").advice
    };
    // The same words of another state are no ground for the same advice.
    for reason in [
        "the step ended before",
        "not opted in",
        "safety lever",
        "has the cluster",
    ] {
        let began = advice(Some(DrillState::Started), reason);
        assert!(began.starts_with("Read what FIS says"), "{reason}: {began}");
    }
    let after_the_run: Change = |r| {
        r.drill.reason = Some("the experiment failed".into());
        let losses = r.interruptions.iter_mut();
        losses.for_each(|one| one.loss.bearing = Bearing::AfterTheRun);
    };
    assert!(
        finding("not-injected", after_the_run).is_some(),
        "nobody while the job ran"
    );
}

#[test]
fn a_straggler_is_a_task_of_several_of_a_stage_that_completed() {
    fn only_one_took_time(report: &mut Report, tasks: i64, status: &str) {
        let stage = &mut spark(report).stages[0];
        (stage.tasks, stage.task_time_ms, stage.longest_task_ms) = (tasks, 90_000, 90_000);
        stage.status = status.into();
    }
    assert_fires(
        "stragglers",
        &[
            ("of four", true, |r| only_one_took_time(r, 4, "COMPLETE")),
            ("of three, whose mean it cannot exceed by more", false, |r| {
                only_one_took_time(r, 3, "COMPLETE")
            }),
            ("of a stage that failed", false, |r| only_one_took_time(r, 4, "FAILED")),
        ],
    );
    // Of several that one is told which costs most: not the longest, nor the one that takes the most times the mean.
    let told = finding("stragglers", |r| {
        only_one_took_time(r, 6, "COMPLETE");
        for (stage, tasks, mean_ms, longest_ms) in [(1, 4, 31_000, 93_000), (2, 11, 6_000, 62_000)] {
            let other = &mut spark(r).stages[stage];
            other.tasks = tasks;
            (other.task_time_ms, other.longest_task_ms) = (mean_ms * tasks as u64, longest_ms);
        }
    });
    let told = told.expect("it fires");
    assert_eq!(
        (told.evidence.as_str(), told.price.as_deref()),
        (
            "The longest task of stage 0 took 1 min 30 s; its 6 tasks took 15 s in the mean.",
            Some("1 min 15 s of run time at most.")
        )
    );
}

/// Spark adds a tenth, and 384 MiB at least: <https://spark.apache.org/docs/latest/configuration.html#application-properties>
#[test]
fn an_executor_takes_its_memory_and_what_spark_adds() {
    // The smallest types of the sample have 24,576 MiB for YARN.
    let needed = |settings: &[(&str, &str)]| {
        let told = finding("executors-too-large", |r| {
            settings.iter().for_each(|(key, value)| set(r, key, value));
        });
        told.map(|finding| {
            let (_, needed) = finding.evidence.split_once("takes ").expect("it says how much");
            let (needed, _) = needed.split_once(" MiB").expect("in MiB");
            (needed.to_owned(), finding.settings.join(" "))
        })
    };
    let memory = |memory| ("spark.executor.memory", memory);
    let share = |share| ("spark.executor.memoryOverheadFactor", share);
    for (settings, most, fitting) in [
        (vec![memory("30000m")], "33,000", "22341"),
        (vec![memory("30000m"), share("0.5")], "45,000", "16384"),
        (vec![memory("30000m"), share("0.001")], "30,384", "24192"),
        (vec![memory("30000m"), share("much")], "33,000", "22341"),
        (
            vec![memory("30000m"), ("spark.yarn.executor.memoryOverheadFactor", "0.1875")],
            "35,625",
            "20695",
        ),
        (
            vec![memory("24000m"), ("spark.yarn.executor.memoryOverhead", "1000")],
            "25,000",
            "23576",
        ),
    ] {
        let fitting = format!("spark.executor.memory={fitting}m");
        assert_eq!(needed(&settings), Some((most.to_owned(), fitting)), "{settings:?}");
    }
    assert_eq!(
        needed(&[memory("24192m"), share("0.01")]),
        None,
        "it fits to the last MiB"
    );
}
