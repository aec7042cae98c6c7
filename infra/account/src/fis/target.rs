//! A target of an experiment: whom it names, and whom it resolves to.
//!
//! Separate because choosing the victims is the part of FIS with the most rules, and the one that matters most.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::{ACCOUNT, ApiError, Ctx, REGION};
use crate::ec2::{Ec2, Instance, Market};
use crate::fis::{Failure, validation};

/// The one resource type that the simulated actions hit.
pub(super) const SPOT_INSTANCE: &str = "aws:ec2:spot-instance";

//= https://docs.aws.amazon.com/fis/latest/APIReference/API_CreateExperimentTemplateTargetInput.html
const ARNS_MAX: usize = 5;

//= https://docs.aws.amazon.com/fis/latest/userguide/targets.html
/// Whom actions may hit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// What sort of resource.
    pub resource_type: String,
    /// These very resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_arns: Vec<String>,
    /// Resources with all of these tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resource_tags: BTreeMap<String, String>,
    /// Of those, the ones that pass all of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Of those, how many: `ALL`, `COUNT(n)`, `PERCENT(n)`.
    pub selection_mode: String,
    /// Attributes that some resource types have; Spot Instances have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// A condition on an attribute of the resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    /// The way to the attribute, in the names of the Describe operation's answer: `State.Name`.
    pub path: String,
    /// The values of which the attribute must have one.
    pub values: Vec<String>,
}

/// How many of the identified resources are hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Selection {
    All,
    Count(usize),
    Percent(usize),
}

//= https://docs.aws.amazon.com/fis/latest/userguide/targets.html#target-selection-mode
fn parse_selection(mode: &str) -> Option<Selection> {
    let number = |prefix: &str| mode.strip_prefix(prefix)?.strip_suffix(')')?.parse::<usize>().ok();
    match (mode, number("COUNT("), number("PERCENT(")) {
        ("ALL", ..) => Some(Selection::All),
        (_, Some(count @ 1..), _) => Some(Selection::Count(count)),
        (_, _, Some(percent @ 1..=100)) => Some(Selection::Percent(percent)),
        _ => None,
    }
}

//= https://docs.aws.amazon.com/fis/latest/userguide/targets.html
/// What FIS refuses in a target before any experiment.
pub(super) fn check(name: &str, target: &Target) -> Result<(), ApiError> {
    let refuse = |why: String| Err(validation(format!("The target {name} {why}.")));
    if target.resource_type != SPOT_INSTANCE {
        return refuse(format!(
            "has the resource type {}, which no action here supports",
            target.resource_type
        ));
    }
    if !target.parameters.is_empty() {
        return refuse(format!("has parameters, which {SPOT_INSTANCE} does not support"));
    }
    if parse_selection(&target.selection_mode).is_none() {
        return refuse(format!(
            "has the selection mode '{}', not ALL, COUNT(n) or PERCENT(n)",
            target.selection_mode
        ));
    }
    let described = !target.resource_tags.is_empty() || !target.filters.is_empty();
    // That ARNs exclude tags is documented; that they exclude filters as well is assumed.
    if target.resource_arns.is_empty() != described {
        return refuse("must have either resourceArns, or resourceTags or filters".to_owned());
    }
    if target.resource_arns.len() > ARNS_MAX {
        return refuse(format!("has more than {ARNS_MAX} resourceArns"));
    }
    if target.resource_tags.len() > 50 {
        return refuse("has more than 50 resourceTags".to_owned());
    }
    if let Some(arn) = target.resource_arns.iter().find(|arn| instance_id(arn).is_none()) {
        return refuse(format!(
            "names {arn}, which is not the ARN of an instance of this account and Region"
        ));
    }
    for filter in &target.filters {
        let proper = filter
            .path
            .split('.')
            .all(|it| it.starts_with(|first: char| first.is_ascii_uppercase()));
        if !proper || filter.values.is_empty() {
            return refuse(format!(
                "has the filter '{}', which needs a path such as State.Name and values",
                filter.path
            ));
        }
    }
    Ok(())
}

/// The ids of the instances that a target resolves to, once, as of now.
///
/// Only Spot Instances are identified. COUNT of more than there are is assumed to take all that there are. An ARN that
/// EC2 does not know, or that is no Spot Instance, fails the experiment: for AWS a target that "can't be resolved".
pub(super) fn resolve(ctx: &mut Ctx, ec2: &Ec2, name: &str, target: &Target) -> Result<Vec<String>, Failure> {
    let now = ctx.now;
    let mut found: Vec<String> = Vec::new();
    for arn in &target.resource_arns {
        let known = instance_id(arn)
            .and_then(|id| ec2.instance(id))
            .filter(|it| it.is_visible(now));
        match known {
            Some(it) if it.market == Market::Spot => found.push(it.instance_id.clone()),
            Some(_) => return Err(unresolved(name, format!("{arn} is not a Spot Instance."))),
            None => return Err(unresolved(name, format!("{arn} does not exist."))),
        }
    }
    if target.resource_arns.is_empty() {
        let identified = ec2
            .instances()
            .filter(|it| it.is_visible(now) && it.market == Market::Spot);
        let matching = identified.filter(|it| has_tags(it, target, now) && passes(it, target, now));
        found.extend(matching.map(|it| it.instance_id.clone()));
    }
    found.sort();
    found.dedup();
    let wanted = match parse_selection(&target.selection_mode).expect("checked when the template was created") {
        Selection::All => found.len(),
        Selection::Count(count) => count.min(found.len()),
        Selection::Percent(percent) => found.len() * percent / 100,
    };
    ctx.rng.shuffle(&mut found);
    found.truncate(wanted);
    found.sort();
    Ok(found)
}

//= https://docs.aws.amazon.com/fis/latest/userguide/troubleshooting.html
/// The failure of a target that does not resolve.
pub(super) fn unresolved(name: &str, reason: String) -> Failure {
    Failure::new("InvalidTarget", &reason, &format!("targets.{name}"))
}

/// The ARN of an instance as FIS shows and takes it.
pub fn instance_arn(instance_id: &str) -> String {
    format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance_id}")
}

fn instance_id(arn: &str) -> Option<&str> {
    arn.strip_prefix(&instance_arn("")).filter(|id| id.starts_with("i-"))
}

/// Several tags must all be there; an empty value is an empty value, not any.
fn has_tags(instance: &Instance, target: &Target, now: crate::api::Time) -> bool {
    let has = |wanted: (&String, &String)| instance.visible_tags(now).any(|tag| tag == wanted);
    target.resource_tags.iter().all(has)
}

//= https://docs.aws.amazon.com/fis/latest/userguide/targets.html#target-filters
fn passes(instance: &Instance, target: &Target, now: crate::api::Time) -> bool {
    let attributes = instance.attributes(now);
    target.filters.iter().all(|filter| {
        let path: Vec<&str> = filter.path.split('.').collect();
        holds(&attributes, &path, &filter.values)
    })
}

/// Whether the attribute at the end of the path has one of the values; for a list, whether one of its members does.
fn holds(value: &Value, path: &[&str], values: &[String]) -> bool {
    match (value, path) {
        (Value::Array(members), _) => members.iter().any(|it| holds(it, path, values)),
        (Value::String(text), []) => values.contains(text),
        (Value::Object(fields), [first, rest @ ..]) => fields.get(*first).is_some_and(|it| holds(it, rest, values)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_of_nobody_or_of_nonsense_is_refused() {
        assert_eq!(parse_selection("ALL"), Some(Selection::All));
        assert_eq!(parse_selection("COUNT(3)"), Some(Selection::Count(3)));
        assert_eq!(parse_selection("PERCENT(100)"), Some(Selection::Percent(100)));
        for mode in [
            "",
            "all",
            "COUNT(0)",
            "COUNT(-1)",
            "COUNT(3",
            "PERCENT(0)",
            "PERCENT(101)",
            "COUNT()",
        ] {
            assert_eq!(parse_selection(mode), None, "{mode}");
        }
    }

    #[test]
    fn a_filter_reaches_into_lists() {
        let attributes = serde_json::json!({"State": {"Name": "running"}, "Tags": [{"Key": "a"}, {"Key": "b"}]});
        let values = |text: &str| [text.to_owned()];
        assert!(holds(&attributes, &["State", "Name"], &values("running")));
        assert!(!holds(&attributes, &["State"], &values("running")));
        assert!(holds(&attributes, &["Tags", "Key"], &values("b")));
        assert!(!holds(&attributes, &["Tags", "Value"], &values("b")));
    }
}
