//! Hidden weaknesses that a drill brings to light, each with its evidence and what to do.

use rules::bearing::Bearing;
use rules::replacement::Replacement;

use crate::{Finding, Report};

/// Looks for weaknesses in what a report holds. Pure; a rule whose facts are missing finds nothing.
pub fn find(report: &Report) -> Vec<Finding> {
    [
        driver_on_spot(report),
        began_again(report),
        no_stop_condition(report),
        alarm_unknown(report),
        foreign_targets(report),
        not_replaced(report),
        warnings_lost(report),
        warnings_late(report),
        stage_again(report),
        not_waiting(report),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn finding(id: &str, what: &str, evidence: String, advice: &str) -> Option<Finding> {
    Some(Finding {
        id: id.into(),
        what: what.into(),
        evidence,
        advice: advice.into(),
    })
}

fn driver_on_spot(report: &Report) -> Option<Finding> {
    let spark = report.spark.as_ref()?;
    let host = spark.driver_host.as_deref()?;
    (spark.driver_was_interrupted == Some(true)).then_some(())?;
    finding(
        "driver-on-spot",
        "The driver ran on a Spot instance that was interrupted.",
        format!("The driver's host was {host}."),
        "Keep application masters off Spot task nodes: YARN node labels (yarn.node-labels.enabled, \
         yarn.node-labels.am.default-node-label-expression=CORE, or ON_DEMAND from EMR 7.2 on).",
    )
}

fn began_again(report: &Report) -> Option<Finding> {
    let spark = report.spark.as_ref()?;
    let counted = report
        .interruptions
        .iter()
        .any(|one| one.loss.bearing == Bearing::Counts);
    (spark.attempts > 1 && counted).then_some(())?;
    finding(
        "application-began-again",
        "The application had to begin again from nothing.",
        format!(
            "YARN made {} attempts, and {} instances were interrupted; {} of the earlier attempts left no event log.",
            spark.attempts,
            report.interruptions.len(),
            spark.attempts_without_log
        ),
        "A driver that goes with its node takes all work with it. Keep application masters off Spot task nodes \
         (YARN node labels), and let long jobs write checkpoints.",
    )
}

fn no_stop_condition(report: &Report) -> Option<Finding> {
    (report.drill.has_stop_condition == Some(false)).then_some(())?;
    finding(
        "no-stop-condition",
        "The experiment template names no stop condition.",
        "stopConditions of the FIS template has no CloudWatch alarm.".into(),
        "Name an alarm that says when the drill does harm; FIS then stops the experiment by itself.",
    )
}

fn alarm_unknown(report: &Report) -> Option<Finding> {
    let why = report.drill.alarm_unknown.as_ref()?;
    finding(
        "stop-alarm-unknown",
        "Whether the stop condition's alarm was on could not be looked at before an experiment.",
        why.clone(),
        "Let the role of start-experiment call cloudwatch:DescribeAlarms on the alarms that the FIS template names: an \
         experiment gives its notices before FIS stops it.",
    )
}

fn foreign_targets(report: &Report) -> Option<Finding> {
    let foreign = report
        .drill
        .experiments
        .iter()
        .find(|experiment| !experiment.resolved_are_victims)?;
    finding(
        "foreign-targets",
        "FIS resolved instances that were not chosen.",
        format!("Experiment {}.", foreign.experiment_id.as_deref().unwrap_or("?")),
        "Stop drills (the safety lever) and find out who changes experiment templates.",
    )
}

fn not_replaced(report: &Report) -> Option<Finding> {
    let count = report
        .interruptions
        .iter()
        .filter(|one| one.loss.is_inside() && matches!(one.replacement, Replacement::NotReplaced { .. }))
        .count();
    (count > 0).then_some(())?;
    finding(
        "not-replaced",
        "Interrupted capacity did not come back while the job needed it.",
        format!("{count} of {} interrupted instances.", report.interruptions.len()),
        "Let the task fleet choose among more instance types and Availability Zones, with the \
         price-capacity-optimized allocation strategy.",
    )
}

fn warnings_lost(report: &Report) -> Option<Finding> {
    let count = report
        .interruptions
        .iter()
        .filter(|one| one.interrupted.warnings == 0 && one.loss.is_inside())
        .count();
    (count > 0).then_some(())?;
    finding(
        "warnings-lost",
        "Instances went without a warning reaching us.",
        format!("{count} interrupted instances have no warning on record; EC2 says so only by their status."),
        "Warnings are best effort. Look at the dead-letter queue; do not build on warnings alone.",
    )
}

/// A warning that is this late leaves half of the two minutes.
const LATE_MS: i64 = 60_000;

fn warnings_late(report: &Report) -> Option<Finding> {
    let latest = report
        .interruptions
        .iter()
        .filter_map(|one| one.interrupted.latency_ms)
        .max()?;
    (latest >= LATE_MS).then_some(())?;
    finding(
        "warnings-late",
        "Warnings reached us late.",
        format!(
            "The latest was {} s on its way, of the 120 s that a warning gives.",
            latest / 1000
        ),
        "Look at the queue's age and the function's concurrency.",
    )
}

fn stage_again(report: &Report) -> Option<Finding> {
    let spark = report.spark.as_ref()?;
    (spark.stage_attempts_again > 0).then_some(())?;
    let setting = spark
        .settings
        .get("spark.decommission.enabled")
        .map_or("not set", String::as_str);
    finding(
        "stages-ran-again",
        "Stages had to run again because shuffle output went with its node.",
        format!(
            "{} repeated stage attempts; spark.decommission.enabled is {setting}.",
            spark.stage_attempts_again
        ),
        "Shuffle output on task nodes goes with them. Let decommissioning nodes migrate their blocks \
         (spark.decommission.enabled, spark.storage.decommission.shuffleBlocks.enabled) or keep stages short.",
    )
}

fn not_waiting(report: &Report) -> Option<Finding> {
    let doubt = report.completed_doubt.as_deref()?;
    finding(
        "step-does-not-wait",
        "The step's own status says nothing of its application.",
        format!("{doubt}."),
        "Let the step be spark-submit itself and wait for its application, or its end says nothing of the job.",
    )
}
