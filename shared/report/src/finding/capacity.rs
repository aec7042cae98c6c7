//! Weaknesses of the cluster's capacity: whether it came back, how fast, and among how many types EMR may choose.

use rules::cluster::{Pool, Role};
use rules::hit::InterruptionFacts;
use rules::replacement::Replacement;

use super::{Seen, Weakness};
use crate::words::{number, plural, span};

const FLEETS: &str = "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-instance-fleet.html";
/// A replacement that takes longer than this from the notice on is slow: the two minutes of the notice, and three to
/// start and to bootstrap.
const SLOW_SECONDS: i64 = 300;
/// Fewer types than this in a pool of Spot capacity are few: what a fleet takes without an allocation strategy.
const TYPES_MIN: usize = 5;

/// The pools of Spot task capacity, as they were when the drill began, or else at the step's end.
fn spot_pools<'a>(seen: &Seen<'a>) -> Vec<&'a Pool> {
    let targets = &seen.report.targets;
    let pools = targets
        .at_start
        .as_deref()
        .or(targets.at_end.as_deref())
        .unwrap_or_default();
    pools
        .iter()
        .filter(|pool| pool.role == Role::Task && pool.target_spot_units > 0)
        .collect()
}

/// How many types a pool may choose among: a group has one, and weighs none.
fn types(pool: &Pool) -> usize {
    pool.weights.len().max(1)
}

fn wider(seen: &Seen<'_>) -> String {
    let least = spot_pools(seen).into_iter().min_by_key(|pool| types(pool));
    let today = least
        .map(|pool| format!(" (today it is {})", plural(types(pool), "type")))
        .unwrap_or_default();
    format!(
        "Let the task fleet choose among more instance types{today}, give the cluster subnets in several Availability Zones, and \
         use the allocation strategy price-capacity-optimized."
    )
}

pub(super) fn not_replaced(seen: &Seen<'_>) -> Option<Weakness> {
    let inside: Vec<&InterruptionFacts> = seen
        .report
        .interruptions
        .iter()
        .filter(|one| one.loss.is_inside())
        .collect();
    let lacking = inside
        .iter()
        .filter(|one| matches!(one.replacement, Replacement::NotReplaced { .. }));
    let count = lacking.count();
    (count > 0).then_some(())?;
    let dip = seen.report.capacity.as_ref().and_then(|capacity| capacity.dip.as_ref());
    Some(Weakness {
        what: "Capacity did not come back while the job needed it.".into(),
        evidence: format!(
            "{} of the {} that went while it ran had no replacement when it ended.",
            number(count as u64),
            plural(inside.len(), "instance")
        ),
        price: dip.map(|dip| {
            let lost = u64::try_from(dip.unit_seconds_lost).unwrap_or(0);
            format!("{} unit-seconds of capacity.", number(lost))
        }),
        advice: wider(seen),
        settings: vec!["AllocationStrategy=price-capacity-optimized".into()],
        page: Some(FLEETS),
    })
}

pub(super) fn slow_replacement(seen: &Seen<'_>) -> Option<Weakness> {
    let seconds = |one: &InterruptionFacts| match one.replacement {
        Replacement::Replaced {
            seconds_after_notice, ..
        } if one.loss.is_inside() => seconds_after_notice,
        _ => None,
    };
    let slowest = seen.report.interruptions.iter().filter_map(seconds).max()?;
    (slowest > SLOW_SECONDS).then_some(())?;
    let dip = seen.report.capacity.as_ref().and_then(|capacity| capacity.dip.as_ref());
    Some(Weakness {
        what: "Replacements came slowly.".into(),
        evidence: format!("The slowest could take work {} after the notice.", span(slowest)),
        price: dip.map(|dip| {
            let lost = u64::try_from(dip.unit_seconds_lost).unwrap_or(0);
            format!("{} unit-seconds of capacity.", number(lost))
        }),
        advice: format!(
            "Shorten the bootstrap actions, or put what they install into a custom AMI. {}",
            wider(seen)
        ),
        page: Some("https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-custom-ami.html"),
        ..Weakness::default()
    })
}

pub(super) fn few_instance_types(seen: &Seen<'_>) -> Option<Weakness> {
    let pools = spot_pools(seen);
    let least = pools.into_iter().min_by_key(|pool| types(pool))?;
    (types(least) < TYPES_MIN).then_some(())?;
    let evidence = if least.weights.is_empty() {
        format!("{} is an instance group, which has one type.", least.id)
    } else {
        let names: Vec<String> = least.weights.keys().cloned().collect();
        format!(
            "{} may choose among {}: {}.",
            least.id,
            plural(names.len(), "type"),
            crate::words::list(&names, 5)
        )
    };
    Some(Weakness {
        what: "Spot capacity comes from few instance types.".into(),
        evidence,
        advice: "When one type runs out, EMR can only choose among the others. An instance fleet takes up to 30 types with an \
                 allocation strategy: name at least five of like size, with weights by their cores."
            .into(),
        settings: vec!["AllocationStrategy=price-capacity-optimized".into()],
        page: Some(FLEETS),
        ..Weakness::default()
    })
}
