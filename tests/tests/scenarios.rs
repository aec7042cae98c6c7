//! Each story's report, held against what really happened in it. What holds in every story is in the crate's library;
//! here is what each story is told for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use account::api::Time;
use chrono::TimeDelta;
use local::run::Run;
use report::Report;
use rules::cause::Blame;
use rules::drill::DrillState;
use rules::interruption::Cause;
use rules::replacement::Replacement;
use rules::verdict::Verdict;
use tests::{report_of, tell};

#[path = "scenarios/refused.rs"]
mod refused;

fn replaced(report: &Report) -> usize {
    report
        .interruptions
        .iter()
        .filter(|one| matches!(one.replacement, Replacement::Replaced { .. }))
        .count()
}

fn experiments(run: &Run) -> usize {
    run.world.lock().account.fis.experiments().count()
}

fn interrupted(run: &Run) -> usize {
    run.world
        .lock()
        .account
        .ec2
        .instances()
        .filter(|instance| instance.interruption.is_some())
        .count()
}

fn reason(report: &Report) -> &str {
    report.drill.reason.as_deref().unwrap_or_default()
}

#[test]
fn workshop_survives_three_victims_and_all_are_replaced() {
    let run = tell("workshop", 1, &[]);
    let report = report_of(&run);
    assert_eq!(
        report.judgement.verdict,
        Verdict::Survived,
        "{}",
        report.judgement.sentence
    );
    assert_eq!((interrupted(&run), replaced(&report)), (3, 3));
    assert_eq!(report.drill.state, Some(DrillState::Started));
    let experiment = &report.drill.experiments[0];
    assert_eq!(experiment.status.as_deref(), Some("completed"));
    assert_eq!((experiment.resolved.len(), experiment.resolved_are_victims), (3, true));
    assert!(report.output.as_ref().is_some_and(|output| output.has_success_marker));
    let began: Time = report.step.started_at.unwrap();
    let asked = experiment.asked_at.unwrap();
    assert!(
        (90..=120).contains(&(asked - began).num_seconds()),
        "asked {} s in",
        (asked - began).num_seconds()
    );
}

#[test]
fn capacity_falls_when_ec2_takes_it_and_not_when_emr_finds_out() {
    let report = report_of(&tell("workshop", 1, &[]));
    let gone: Vec<Time> = report
        .interruptions
        .iter()
        .filter_map(|one| one.interrupted.terminated_at)
        .collect();
    let (first, last) = (*gone.iter().min().unwrap(), *gone.iter().max().unwrap());
    let capacity = report.capacity.unwrap();
    let units_at = |at: Time| capacity.levels.iter().rev().find(|level| level.at <= at).unwrap().units;
    let before = units_at(first - TimeDelta::milliseconds(1));
    assert_eq!(
        (before - units_at(last), capacity.dip.unwrap().units_lowest),
        (12, before - 12)
    );
}

#[test]
fn what_findings_rest_on_comes_from_answers_that_are_asked_for_anyway() {
    let report = report_of(&tell("workshop", 1, &[]));
    let pools = report.targets.at_start.as_ref().unwrap().iter();
    let strategies: Vec<&str> = pools.filter_map(|pool| pool.spot_strategy.as_deref()).collect();
    assert_eq!(strategies, ["price-capacity-optimized"]);
    assert!(report.cluster.availability_zone.is_some());
    let listed = |one: &rules::hit::InterruptionFacts| match &one.replacement {
        Replacement::Replaced {
            listed_at, ready_at, ..
        } => listed_at.is_some_and(|listed| Some(listed) >= one.interrupted.noticed_at && listed < *ready_at),
        _ => false,
    };
    assert!(report.interruptions.iter().all(listed), "{:?}", report.interruptions);
    let stages = &report.spark.as_ref().unwrap().stages;
    let complete = stages.iter().filter(|stage| stage.status == "COMPLETE");
    let told = complete.map(|stage| (1..=stage.task_time_ms).contains(&stage.longest_task_ms));
    assert!(
        told.clone().count() > 0 && told.clone().all(|is_so| is_so),
        "{stages:?}"
    );
}

#[test]
fn no_capacity_gives_up_at_the_limit_and_interrupts_nobody() {
    let run = tell("no-capacity", 1, &[]);
    let report = report_of(&run);
    assert_eq!(report.judgement.verdict, Verdict::Inconclusive);
    assert_eq!(report.drill.state, Some(DrillState::GaveUp));
    assert!(
        reason(&report).contains("0 Spot task instances run; the experiment needs 3"),
        "{}",
        reason(&report)
    );
    assert_eq!((experiments(&run), interrupted(&run)), (0, 0));
}

#[test]
fn no_replacement_is_degraded() {
    let report = report_of(&tell("no-replacement", 1, &[]));
    assert_eq!(
        report.judgement.verdict,
        Verdict::Degraded,
        "{}",
        report.judgement.sentence
    );
    assert_eq!(replaced(&report), 0);
    assert!(report.findings.iter().any(|finding| finding.id == "not-replaced"));
    assert_eq!(report.capacity.unwrap().dip.unwrap().until, None);
}

#[test]
fn a_job_that_ends_before_the_first_loss_shows_nothing() {
    let run = tell("short-job", 1, &[]);
    let report = report_of(&run);
    assert_eq!(
        report.judgement.verdict,
        Verdict::Inconclusive,
        "{}",
        report.judgement.sentence
    );
    assert_eq!(interrupted(&run), 3);
    assert!(
        report
            .interruptions
            .iter()
            .all(|one| one.interrupted.terminated_at > report.step.ended_at)
    );
    let expected = |one: &rules::hit::InterruptionFacts| !matches!(one.replacement, Replacement::NotReplaced { .. });
    assert!(report.interruptions.iter().all(expected));
}

#[test]
fn a_driver_on_a_victim_is_told() {
    let run = tell("driver-on-victim", 1, &[]);
    let report = report_of(&run);
    let state = run.world.lock();
    let cluster = state.account.emr.clusters().next().unwrap();
    let application = &cluster.yarn().truth()[0];
    assert!(
        application.attempts[0].driver_lost,
        "the story is told for a lost driver"
    );
    assert_eq!(
        report.judgement.verdict,
        Verdict::Degraded,
        "{}",
        report.judgement.sentence
    );
    assert!(
        report.judgement.sentence.contains("2 attempts"),
        "{}",
        report.judgement.sentence
    );
}

#[test]
fn a_job_that_fails_by_itself_shows_nothing_and_its_own_failure_is_told() {
    let report = report_of(&tell("job-fails", 1, &[]));
    assert_eq!(report.judgement.verdict, Verdict::Inconclusive);
    assert_eq!(report.judgement.failure.as_ref().unwrap().blame, Blame::Itself);
    assert!(
        report.judgement.sentence.contains("invalid literal for int()"),
        "{}",
        report.judgement.sentence
    );
}

#[test]
fn a_natural_interruption_is_told_from_the_injected_ones() {
    let report = report_of(&tell("natural-interruption", 1, &[]));
    let natural: Vec<_> = report
        .interruptions
        .iter()
        .filter(|one| one.interrupted.cause == Cause::Natural)
        .collect();
    assert_eq!((natural.len(), report.interruptions.len()), (1, 4));
    assert_eq!(
        natural[0].interrupted.spot_status.as_deref(),
        Some("instance-terminated-no-capacity")
    );
}

#[test]
fn a_lowered_target_expects_no_replacement() {
    let report = report_of(&tell("scale-down", 1, &[]));
    let (mut not_expected, mut replaced) = (0, 0);
    for one in &report.interruptions {
        match &one.replacement {
            Replacement::NotExpected { why, .. } => {
                assert!(why.contains("the target was lowered from 64 to 16 units"), "{why}");
                not_expected += one.interrupted.units;
            }
            Replacement::Replaced { .. } => replaced += one.interrupted.units,
            other => panic!("{other:?}"),
        }
    }
    // EMR refills the lowered target too, if a victim was to stay; the others' units nobody asks for.
    assert!(
        not_expected > replaced,
        "{not_expected} units not expected, {replaced} replaced"
    );
}

#[test]
fn instance_groups_are_drilled_and_replaced_as_fleets_are() {
    let run = tell("instance-groups", 1, &[]);
    let report = report_of(&run);
    assert_eq!(
        report.judgement.verdict,
        Verdict::Survived,
        "{}",
        report.judgement.sentence
    );
    assert_eq!((interrupted(&run), replaced(&report)), (3, 3));
    assert!(
        report
            .interruptions
            .iter()
            .all(|one| one.interrupted.pool_id.as_ref().unwrap().starts_with("ig-"))
    );
}

#[test]
fn two_steps_share_one_drill() {
    let run = tell("two-steps-one-cluster", 1, &[]);
    let reports: Vec<Report> = run.steps.iter().map(|step| step.report().unwrap()).collect();
    assert_eq!((reports.len(), experiments(&run), interrupted(&run)), (2, 1, 3));
    let refused: Vec<&Report> = reports
        .iter()
        .filter(|report| report.drill.state == Some(DrillState::Refused))
        .collect();
    assert_eq!(refused.len(), 1);
    assert!(reason(refused[0]).contains("has the cluster"), "{}", reason(refused[0]));
    assert!(
        refused[0]
            .interruptions
            .iter()
            .all(|one| one.interrupted.cause == Cause::OtherExperiment)
    );
}

#[test]
fn a_cluster_that_is_not_opted_in_is_left_alone() {
    let run = tell("not-opted-in", 1, &[]);
    assert_eq!((experiments(&run), interrupted(&run)), (0, 0));
    assert!(run.steps[0].json.is_none());
}

#[test]
fn a_step_that_is_not_spark_is_left_alone_and_has_no_report() {
    let run = tell("not-spark", 1, &[]);
    assert_eq!((experiments(&run), interrupted(&run)), (0, 0));
    assert!(run.steps[0].json.is_none());
}

#[test]
fn a_cancelled_step_is_not_drilled() {
    let run = tell("cancelled-step", 1, &[]);
    let report = report_of(&run);
    assert_eq!((experiments(&run), interrupted(&run)), (0, 0));
    assert_eq!(report.step.state, "CANCELLED");
    assert_eq!(report.judgement.verdict, Verdict::Inconclusive);
    assert_eq!(report.drill.state, Some(DrillState::GaveUp));
}

#[test]
fn an_engaged_safety_lever_stops_the_drill() {
    let run = tell("safety-lever", 1, &[]);
    let report = report_of(&run);
    assert_eq!((experiments(&run), interrupted(&run)), (0, 0));
    assert!(
        reason(&report).contains("safety lever is engaged: change freeze"),
        "{}",
        reason(&report)
    );
}

#[test]
fn the_scheduled_check_empties_the_results_and_submits_one_step() {
    let run = tell("scheduled-check", 1, &["twice=100"]);
    let report = report_of(&run);
    assert_eq!(interrupted(&run), 3);
    assert!(
        report.step.properties.contains_key("spot-drill.execution-id"),
        "{:?}",
        report.step.properties
    );
    let state = run.world.lock();
    let left = state.account.s3.list("emr-spot-workshop-data", "resultsspot/").unwrap();
    assert!(!left.iter().any(|key| key.ends_with("of-last-week")), "{left:?}");
    assert!(left.iter().any(|key| key.ends_with("_SUCCESS")));
}

#[test]
fn waves_are_several_experiments_with_different_victims() {
    let run = tell("waves", 1, &[]);
    let report = report_of(&run);
    assert_eq!((experiments(&run), interrupted(&run)), (2, 6));
    let [first, second] = report.drill.experiments.as_slice() else {
        panic!("two experiments")
    };
    assert!(first.victims.iter().all(|id| !second.victims.contains(id)));
    let apart = (second.asked_at.unwrap() - first.asked_at.unwrap()).num_seconds();
    assert!((180..=215).contains(&apart), "{apart} s apart");
}

#[test]
fn more_than_five_victims_take_several_targets_and_actions() {
    let run = tell("workshop", 1, &["victims=7"]);
    assert_eq!((experiments(&run), interrupted(&run)), (1, 7));
    let state = run.world.lock();
    let experiment = state.account.fis.experiments().next().unwrap();
    assert_eq!(experiment.actions.len(), 2);
}

#[test]
fn a_preview_shows_victims_and_interrupts_nobody() {
    let run = tell("workshop", 1, &["mode=preview"]);
    let report = report_of(&run);
    assert_eq!((experiments(&run), interrupted(&run)), (1, 0));
    assert_eq!(report.drill.experiments[0].victims.len(), 3);
    assert_eq!(report.drill.experiments[0].resolved.len(), 3);
    assert_eq!(report.judgement.verdict, Verdict::Inconclusive);
    assert!(
        report.judgement.sentence.contains("preview"),
        "{}",
        report.judgement.sentence
    );
}

#[test]
fn off_means_off() {
    let run = tell("workshop", 1, &["mode=off"]);
    assert_eq!((experiments(&run), interrupted(&run)), (0, 0));
}

#[test]
fn an_experiment_that_fails_or_is_stopped_is_recorded_for_what_it_is_and_shows_nothing() {
    for (name, status) in [("experiment-fails", "failed"), ("stop-alarm", "stopped")] {
        let run = tell(name, 1, &[]);
        let report = report_of(&run);
        assert_eq!(interrupted(&run), 0, "{name}");
        let experiment = &report.drill.experiments[0];
        assert_eq!(experiment.status.as_deref(), Some(status), "{name}");
        assert_eq!(report.judgement.verdict, Verdict::Inconclusive, "{name}");
        assert!(
            report.judgement.sentence.contains(status),
            "{name}: {}",
            report.judgement.sentence
        );
    }
}

#[test]
fn a_missing_event_log_is_said_and_the_rest_is_reported() {
    let report = report_of(&tell("no-event-log", 1, &[]));
    assert_eq!(report.spark, None);
    let missing = report
        .missing
        .iter()
        .find(|missing| missing.what == "event log")
        .expect("it is said");
    assert!(missing.why.contains("spark.eventLog.dir is not set"), "{}", missing.why);
    assert_eq!(
        report.judgement.verdict,
        Verdict::Survived,
        "{}",
        report.judgement.sentence
    );
}

#[test]
fn a_large_event_log_is_read_while_it_is_fetched() {
    let run = tell("many-tasks", 1, &[]);
    let report = report_of(&run);
    let spark = report.spark.as_ref().expect("the log was read");
    assert!(
        spark.reading.complete && spark.tasks.successful > 4_000,
        "{:?}",
        spark.reading
    );
    // What is smaller is held in memory whole.
    assert!(spark.reading.bytes_read > 8 << 20, "{} bytes", spark.reading.bytes_read);
    let state = run.world.lock();
    let ranges = state
        .account
        .journal
        .entries()
        .iter()
        .filter(|entry| entry.subject == "GetObject")
        .count();
    assert!(ranges > 5, "{ranges} reads");
}
