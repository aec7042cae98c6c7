//! Weaknesses of the drill itself: what keeps it from showing more, and from being stopped.

use rules::drill::DrillState;
use rules::hit::InterruptionFacts;

use super::{Seen, Weakness};
use crate::words::{capital, plural};

/// A warning that is this late leaves half of the two minutes.
const LATE_MS: i64 = 60_000;
const STOP: &str = "https://docs.aws.amazon.com/fis/latest/userguide/stop-conditions.html";
const WARNINGS: &str = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html";

pub(super) fn foreign_targets(seen: &Seen<'_>) -> Option<Weakness> {
    let experiments = &seen.report.drill.experiments;
    let foreign = experiments.iter().find(|experiment| !experiment.resolved_are_victims)?;
    Some(Weakness {
        what: "FIS resolved instances that were not chosen.".into(),
        evidence: format!(
            "Experiment {}.",
            foreign.experiment_id.as_deref().unwrap_or("without an id")
        ),
        advice: "Stop drills (the safety lever) and find out who changes experiment templates.".into(),
        page: Some("https://docs.aws.amazon.com/fis/latest/userguide/safety-lever.html"),
        ..Weakness::default()
    })
}

pub(super) fn not_injected(seen: &Seen<'_>) -> Option<Weakness> {
    let drill = &seen.report.drill;
    let hit = seen.report.interruptions.iter().any(|one| one.loss.is_inside());
    let reason = drill.reason.as_deref().filter(|_| !hit)?;
    let advice = match drill.state {
        Some(DrillState::GaveUp) if reason.contains("the step ended") => {
            "Let the drill begin earlier: lower DelaySeconds, or drill a longer job."
        }
        Some(DrillState::GaveUp) => {
            "Let the cluster have Spot task capacity when the step begins, or wait longer for it: WaitSecondsMax, up to 780."
        }
        Some(DrillState::Refused) if reason.contains("not opted in") => {
            "Tag the cluster spot-drill=on, if it may be drilled."
        }
        Some(DrillState::Refused) if reason.contains("safety lever") => {
            "Drill again when the lever is disengaged; whoever engaged it had a reason."
        }
        Some(DrillState::Refused) if reason.contains("has the cluster") => {
            "A cluster has one drill at a time: run this step when no other is drilled."
        }
        Some(_) if reason.contains("stop condition") => {
            "More Spot warnings came in an hour than WarningsPerHourMax allows: wait until the alarm is off, or raise it."
        }
        Some(DrillState::Refused) => "Mend what stood against it, and run the job again.",
        None => "Look whether the rule for running steps reaches start-experiment.",
        Some(_) => "Read what FIS says of the experiment, mend it, and run the job again.",
    };
    Some(Weakness {
        what: "Nobody was interrupted by this drill.".into(),
        evidence: format!("{}.", capital(reason.trim_end_matches('.'))),
        advice: advice.into(),
        ..Weakness::default()
    })
}

pub(super) fn no_stop_condition(seen: &Seen<'_>) -> Option<Weakness> {
    (seen.report.drill.has_stop_condition == Some(false)).then_some(())?;
    Some(Weakness {
        what: "The experiment template names no stop condition.".into(),
        evidence: "stopConditions of the FIS template has no CloudWatch alarm.".into(),
        advice: "Name an alarm that says when the drill does harm; FIS then stops the experiment by itself.".into(),
        page: Some(STOP),
        ..Weakness::default()
    })
}

pub(super) fn stop_alarm_unknown(seen: &Seen<'_>) -> Option<Weakness> {
    let why = seen.report.drill.alarm_unknown.as_ref()?;
    Some(Weakness {
        what: "Whether the stop condition's alarm was on could not be looked at before an experiment.".into(),
        evidence: why.clone(),
        advice: "Let the role of start-experiment call cloudwatch:DescribeAlarms on the alarms that the FIS template names: an experiment \
                 gives its notices before FIS stops it."
            .into(),
        page: Some(STOP),
        ..Weakness::default()
    })
}

pub(super) fn warnings_lost(seen: &Seen<'_>) -> Option<Weakness> {
    let lost: Vec<&InterruptionFacts> = seen
        .report
        .interruptions
        .iter()
        .filter(|one| one.interrupted.warnings == 0 && one.loss.is_inside())
        .collect();
    (!lost.is_empty()).then_some(())?;
    let told = if lost.iter().all(|one| one.interrupted.spot_status.is_some()) {
        ": EC2 tells of them only by the status of the Spot request"
    } else {
        ""
    };
    Some(Weakness {
        what: "Instances went without a warning reaching us.".into(),
        evidence: format!(
            "{} without a warning on record{told}.",
            plural(lost.len(), "interrupted instance")
        ),
        advice: "Warnings are best effort. Look at the dead-letter queue; do not build on warnings alone.".into(),
        page: Some(WARNINGS),
        ..Weakness::default()
    })
}

pub(super) fn warnings_late(seen: &Seen<'_>) -> Option<Weakness> {
    let latest = seen
        .report
        .interruptions
        .iter()
        .filter_map(|one| one.interrupted.latency_ms)
        .max()?;
    (latest >= LATE_MS).then_some(())?;
    Some(Weakness {
        what: "Warnings reached us late.".into(),
        evidence: format!(
            "The latest was {} s on its way, of the 120 s that a warning gives.",
            latest / 1_000
        ),
        advice: "Look at the age of the queue's messages and at the function's concurrency.".into(),
        page: Some(WARNINGS),
        ..Weakness::default()
    })
}
