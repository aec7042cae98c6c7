//! Weaknesses of the cluster's capacity: whether it came back, how fast, and among how many types EMR may choose.

use rules::cluster::{Pool, Role};
use rules::hit::InterruptionFacts;
use rules::replacement::Replacement;

use super::{Seen, Weakness};
use crate::words::{number, span};

const FLEETS: &str = "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-instance-fleet.html";
/// A replacement that takes longer than this from the notice on is slow: the two minutes of the notice, and three to
/// start and to bootstrap.
pub(super) const SLOW_SECONDS: i64 = 300;
/// Fewer types than this in a pool of Spot capacity are few: what a fleet takes without an allocation strategy.
const TYPES_MIN: usize = 5;

/// The pools of Spot task capacity, as they were when the drill began, or else at the step's end.
pub(super) fn spot_pools<'a>(seen: &Seen<'a>) -> Vec<&'a Pool> {
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

/// What gives the fleet more to choose from, as far as it has not got it.
fn wider(seen: &Seen<'_>) -> String {
    let pools = spot_pools(seen);
    let least = pools.iter().min_by_key(|pool| types(pool));
    let today = least.map(|pool| format!(" than {}", types(pool))).unwrap_or_default();
    let mut advice = vec![format!("Let the task fleet choose among more instance types{today}.")];
    if seen.report.cluster.subnets.len() < 2 {
        advice.push("Give the cluster a subnet in each of several Availability Zones when it is made.".into());
    }
    if !strategy(seen).is_empty() {
        advice.push("Use the allocation strategy price-capacity-optimized.".into());
    }
    advice.join(" ")
}

/// The strategy to use, unless each fleet is known to have one that looks at capacity.
fn strategy(seen: &Seen<'_>) -> Vec<String> {
    let pools = spot_pools(seen);
    let has_one = |pool: &&Pool| pool.spot_strategy.as_deref().is_some_and(by_capacity);
    if !pools.is_empty() && pools.iter().all(has_one) {
        return Vec::new();
    }
    vec!["AllocationStrategy=price-capacity-optimized".into()]
}

/// `capacity-optimized`, `capacity-optimized-prioritized`, `price-capacity-optimized`.
fn by_capacity(strategy: &str) -> bool {
    strategy.contains("capacity-optimized")
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
        evidence: match (count, inside.len()) {
            (1, 1) => "The instance that went while it ran had no replacement when it ended.".into(),
            (count, all) if count == all => {
                format!(
                    "None of the {} instances that went while it ran was replaced when it ended.",
                    number(all as u64)
                )
            }
            (count, all) => {
                format!(
                    "{} of the {} instances that went while it ran had no replacement when it ended.",
                    number(count as u64),
                    number(all as u64)
                )
            }
        },
        price: dip.map(|dip| {
            let lost = u64::try_from(dip.unit_seconds_lost).unwrap_or(0);
            format!("{} unit-seconds of capacity.", number(lost))
        }),
        advice: wider(seen),
        settings: strategy(seen),
        page: Some(FLEETS),
    })
}

pub(super) fn slow_replacement(seen: &Seen<'_>) -> Option<Weakness> {
    let inside = seen.report.interruptions.iter().filter(|one| one.loss.is_inside());
    let (slowest, listed_after) = inside.filter_map(times_to_replace).max()?;
    (slowest > SLOW_SECONDS).then_some(())?;
    let dip = seen.report.capacity.as_ref().and_then(|capacity| capacity.dip.as_ref());
    let shorten = "Shorten the bootstrap actions, or put what they install into a custom AMI.";
    let (parts, advice) = match listed_after {
        Some(wait) if wait * 2 > slowest => (
            format!(
                " {} of it passed before EMR had an instance to list, and {} until that could take work: most of it was the wait \
                 for capacity.",
                span(wait),
                span(slowest - wait)
            ),
            wider(seen),
        ),
        Some(wait) => (
            format!(
                " {} of it passed before EMR had an instance to list, and {} until that could take work: most of it went into \
                 starting and bootstrapping.",
                span(wait),
                span(slowest - wait)
            ),
            shorten.to_owned(),
        ),
        None => (String::new(), format!("{shorten} {}", wider(seen))),
    };
    Some(Weakness {
        what: "Replacements came slowly.".into(),
        evidence: format!("The slowest could take work {} after the notice.{parts}", span(slowest)),
        price: dip.map(|dip| {
            let lost = u64::try_from(dip.unit_seconds_lost).unwrap_or(0);
            format!("{} unit-seconds of capacity.", number(lost))
        }),
        advice,
        page: Some("https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-custom-ami.html"),
        ..Weakness::default()
    })
}

/// Seconds from the notice until what came instead could take work, and until EMR had it on its list.
fn times_to_replace(one: &InterruptionFacts) -> Option<(i64, Option<i64>)> {
    let Replacement::Replaced {
        seconds_after_notice,
        listed_at,
        ..
    } = &one.replacement
    else {
        return None;
    };
    let noticed_at = one.interrupted.noticed_at?;
    // A group's request for Spot capacity is listed while it still waits for an instance.
    let is_fleet = one.interrupted.pool_id.as_deref().is_some_and(is_a_fleet);
    let listed_after = listed_at
        .filter(|_| is_fleet)
        .map(|at| (at - noticed_at).num_seconds().max(0));
    Some(((*seconds_after_notice)?, listed_after))
}

/// Is it a fleet's id? A group's begins with `ig-`.
fn is_a_fleet(pool_id: &str) -> bool {
    pool_id.starts_with("if-")
}

/// All instances of a cluster are in one zone, and EMR chooses it once, when the cluster is made.
pub(super) fn one_zone(seen: &Seen<'_>) -> Option<Weakness> {
    let [subnet] = seen.report.cluster.subnets.as_slice() else {
        return None;
    };
    // A cluster of groups takes one subnet and no more.
    spot_pools(seen).iter().any(|pool| is_a_fleet(&pool.id)).then_some(())?;
    let zone = seen.report.cluster.availability_zone.as_deref();
    Some(Weakness {
        what: "The cluster could be placed in one Availability Zone only.".into(),
        evidence: format!(
            "It was given one subnet, {subnet}{}.",
            zone.map(|zone| format!(", in {zone}")).unwrap_or_default()
        ),
        advice: "When that zone runs out of Spot capacity, so does the cluster. Name a subnet in each zone when a cluster is made: EMR \
                 then chooses the one that fits its fleets best. A cluster that runs stays where it is."
            .into(),
        settings: vec![format!("Ec2SubnetIds={subnet},SUBNET_IN_ANOTHER_ZONE")],
        page: Some(FLEETS),
        ..Weakness::default()
    })
}

pub(super) fn allocation_strategy(seen: &Seen<'_>) -> Option<Weakness> {
    let pools = spot_pools(seen);
    let (pool, strategy) = pools
        .iter()
        .filter_map(|pool| Some((pool, pool.spot_strategy.as_deref()?)))
        .find(|(_, strategy)| !by_capacity(strategy))?;
    Some(Weakness {
        what: "Spot instances are not chosen by how much capacity there is.".into(),
        evidence: format!("{} chooses them by {strategy}.", pool.id),
        advice: "The cheapest Spot instances are often those that EC2 takes back first. With price-capacity-optimized it chooses among \
                 the types of which it has most to spare, and of these the cheapest."
            .into(),
        settings: vec!["AllocationStrategy=price-capacity-optimized".into()],
        page: Some("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-allocation-strategy.html"),
        ..Weakness::default()
    })
}

pub(super) fn few_instance_types(seen: &Seen<'_>) -> Option<Weakness> {
    let pools = spot_pools(seen);
    let least = pools.into_iter().min_by_key(|pool| types(pool))?;
    (types(least) < TYPES_MIN).then_some(())?;
    let names: Vec<String> = least.weights.keys().cloned().collect();
    let evidence = match names.as_slice() {
        [] => format!("{} is an instance group, which has one type.", least.id),
        [only] => format!("{} may take {only} alone.", least.id),
        names => format!(
            "{} may choose among {} types: {}.",
            least.id,
            names.len(),
            crate::words::list(names, 5)
        ),
    };
    let (what, risk) = if names.len() < 2 {
        (
            "All Spot capacity comes from one instance type.",
            "When EC2 runs out of it, nothing comes in place of what it takes back.",
        )
    } else {
        (
            "Spot capacity comes from few instance types.",
            "When one runs out, EMR can only choose among the others.",
        )
    };
    Some(Weakness {
        what: what.into(),
        evidence,
        advice: format!(
            "{risk} An instance fleet takes up to 30 types with an allocation strategy: name at least five of like size, with \
             weights by their cores."
        ),
        settings: strategy(seen),
        page: Some(FLEETS),
        ..Weakness::default()
    })
}
