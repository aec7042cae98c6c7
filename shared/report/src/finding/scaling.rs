//! A weakness of the cluster's managed scaling: that there is none, or that its limits leave it no way out.

use rules::cluster::{ManagedScaling, Pool, Role, ScalingLimits};
use rules::hit::InterruptionFacts;
use rules::replacement::{Excuse, Replacement};

use super::capacity::SLOW_SECONDS;
use super::{Seen, Weakness};
use crate::words::{number, plural, span};

const PAGE: &str = "https://docs.aws.amazon.com/emr/latest/ManagementGuide/managed-scaling-allocation-strategy.html";

/// Of interest where capacity stayed away while the job ran. EMR is asked for the policy seldom: else nothing is known.
pub(super) fn managed_scaling(seen: &Seen<'_>) -> Option<Weakness> {
    let targets = &seen.report.targets;
    let scaling = targets.managed_scaling.as_ref()?;
    let stayed_away: Vec<&InterruptionFacts> = seen
        .report
        .interruptions
        .iter()
        .filter(|one| stayed_away(one))
        .collect();
    (!stayed_away.is_empty()).then_some(())?;
    let pools = targets.at_end.as_deref().or(targets.at_start.as_deref())?;
    let scales = [&targets.at_start, &targets.at_end]
        .into_iter()
        .flatten()
        .flatten()
        .any(|pool| pool.scales);
    let lost: u32 = stayed_away.iter().map(|one| one.interrupted.units).sum();
    match scaling {
        // A group may have a scaling policy of its own.
        ManagedScaling::Absent if scales => None,
        ManagedScaling::Absent => absent(pools, stayed_away.len(), lost),
        ManagedScaling::Within(limits) => limited(pools, limits, lost),
    }
}

/// Went while the job ran, and its capacity did not come back, or came late.
fn stayed_away(one: &InterruptionFacts) -> bool {
    let is_late = match &one.replacement {
        Replacement::Replaced {
            seconds_after_notice, ..
        } => seconds_after_notice.is_some_and(|seconds| seconds > SLOW_SECONDS),
        Replacement::NotReplaced { .. } | Replacement::Unknown { .. } => true,
        Replacement::NotExpected { excuse, .. } => *excuse == Excuse::JobEnded,
    };
    one.loss.is_inside() && one.interrupted.role == Some(Role::Task) && is_late
}

fn absent(pools: &[Pool], stayed_away: usize, lost: u32) -> Option<Weakness> {
    let (asked, on_demand) = asked(pools);
    Some(Weakness {
        what: "Nothing asks for other capacity when Spot capacity stays away.".into(),
        evidence: format!(
            "The cluster has no managed scaling policy. The capacity of {} did not come back, or took more than {}.",
            plural(stayed_away, "instance"),
            span(SLOW_SECONDS)
        ),
        advice: "EMR goes on asking for the same Spot capacity. Managed scaling asks for more while containers wait: On-Demand \
                 capacity first, up to a limit that you set, then Spot."
            .into(),
        settings: vec![
            format!("MaximumOnDemandCapacityUnits={}", on_demand + lost),
            format!("MaximumCapacityUnits={}", asked + lost),
        ],
        page: Some(PAGE),
        ..Weakness::default()
    })
}

/// The units of core and task capacity that were asked for, and how many of them On-Demand. The primary node is not scaled.
fn asked(pools: &[Pool]) -> (u32, u32) {
    let scaled = || pools.iter().filter(|pool| pool.role != Role::Master);
    (
        scaled().map(Pool::target_units).sum(),
        scaled().map(|pool| pool.target_on_demand_units).sum(),
    )
}

fn limited(pools: &[Pool], limits: &ScalingLimits, lost: u32) -> Option<Weakness> {
    // The targets do not say how many cores they are.
    (limits.unit.as_deref() != Some("VCPU")).then_some(())?;
    let (asked, on_demand) = asked(pools);
    let (what, evidence, setting) = match (limits.most, limits.on_demand_most) {
        (Some(most), _) if asked >= most => (
            "Managed scaling was at its maximum when Spot capacity stayed away.",
            format!(
                "Core and task capacity of {} units was asked for, of {} at most.",
                number(asked.into()),
                number(most.into())
            ),
            format!("MaximumCapacityUnits={}", most + lost),
        ),
        (_, Some(most)) if on_demand >= most => (
            "Managed scaling may not turn to On-Demand capacity when Spot capacity stays away.",
            format!(
                "It may ask for {} On-Demand units at most, and {} were asked for.",
                number(most.into()),
                number(on_demand.into())
            ),
            format!("MaximumOnDemandCapacityUnits={}", most + lost),
        ),
        _ => return None,
    };
    Some(Weakness {
        what: what.into(),
        evidence,
        advice: format!(
            "Spot units that do not come count as asked for. With the limit raised by the {} units that stayed away, others could \
             be asked for in their place.",
            number(lost.into())
        ),
        settings: vec![setting],
        page: Some(PAGE),
        ..Weakness::default()
    })
}
