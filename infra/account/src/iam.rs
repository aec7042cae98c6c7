//! What a role's policies allow: as much of IAM's language as the template's roles are written in.
//!
//! Separate because nothing here knows who asks. What is not known here is an error, never a yes.
//
//= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html

use std::collections::BTreeMap;

use serde_json::Value;

use crate::wildcard::Pattern;

/// A request that somebody makes as a role.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// `ec2:SendSpotInstanceInterruptions`
    pub action: &'a str,
    /// The ARN of what it is made on.
    pub resource: &'a str,
    /// The condition keys that it has, with their values: `aws:ResourceTag/spot-drill`.
    pub context: BTreeMap<String, Vec<String>>,
}

/// What the policies say to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it, and none denies it.
    Allowed,
    /// No statement allows it.
    NotAllowed,
    /// A statement denies it.
    Denied,
}

/// What the statements say: one must allow a request, and none deny it. The error names what is not simulated.
pub fn decide(statements: &[Value], request: &Request<'_>) -> Result<Decision, String> {
    let mut decision = Decision::NotAllowed;
    for statement in statements {
        if !applies(statement, request)? {
            continue;
        }
        match statement["Effect"].as_str() {
            Some("Allow") => decision = Decision::Allowed,
            Some("Deny") => return Ok(Decision::Denied),
            other => return Err(format!("the effect {other:?}")),
        }
    }
    Ok(decision)
}

/// Is all of the statements simulated? Else what no request asks for would be found out by nobody.
pub fn check(statements: &[Value]) -> Result<(), String> {
    for statement in statements {
        for (element, value) in statement.as_object().into_iter().flatten() {
            match element.as_str() {
                "Action" | "Condition" | "Effect" | "Resource" | "Sid" => {}
                unknown => return Err(format!("the element {unknown}")),
            }
            if value.to_string().contains("${") {
                return Err(format!("a policy variable in {value}"));
            }
        }
        for (operator, _) in statement["Condition"].as_object().into_iter().flatten() {
            Operator::parse(operator)?;
        }
    }
    Ok(())
}

fn applies(statement: &Value, request: &Request<'_>) -> Result<bool, String> {
    for unknown in ["NotAction", "NotResource"] {
        if statement.get(unknown).is_some() {
            return Err(unknown.to_owned());
        }
    }
    let names = texts(&statement["Action"]).any(|pattern| is_action(pattern, request.action));
    Ok(names
        && texts(&statement["Resource"]).any(|pattern| covers(pattern, request.resource))
        && meets(&statement["Condition"], &request.context)?)
}

/// Case does not count in actions.
//= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
fn is_action(pattern: &str, action: &str) -> bool {
    let has_wildcard = pattern.contains(['*', '?']);
    pattern.eq_ignore_ascii_case(action)
        || (has_wildcard && is_like(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
}

/// The parts of an ARN before the resource itself, in which no wildcard reaches beyond its colons.
const ARN_PARTS: usize = 6;

//= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
fn covers(pattern: &str, resource: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (mut like, mut parts) = (pattern.splitn(ARN_PARTS, ':'), resource.splitn(ARN_PARTS, ':'));
    loop {
        match (like.next(), parts.next()) {
            (None, None) => return true,
            (Some(like), Some(part)) if is_like(like, part) => {}
            _ => return false,
        }
    }
}

/// A condition's operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equals { all: bool },
    Like { all: bool },
    Null,
}

//= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
impl Operator {
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "StringEquals" => Ok(Self::Equals { all: false }),
            "StringLike" => Ok(Self::Like { all: false }),
            "ForAllValues:StringEquals" => Ok(Self::Equals { all: true }),
            "ForAllValues:StringLike" => Ok(Self::Like { all: true }),
            "Null" => Ok(Self::Null),
            unknown => Err(format!("the condition operator {unknown}")),
        }
    }

    /// Does one key of the request hold? A key that the request has not holds under `ForAllValues` alone.
    //= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
    fn holds(self, key: &str, wanted: &Value, has: Option<&Vec<String>>) -> Result<bool, String> {
        let is_one = |is: fn(&str, &str) -> bool, value: &str| texts(wanted).any(|wanted| is(wanted, value));
        let (is, all): (fn(&str, &str) -> bool, bool) = match self {
            Self::Null => return Ok(texts(wanted).any(|wanted| wanted == if has.is_none() { "true" } else { "false" })),
            Self::Equals { all } => (|wanted, value| wanted == value, all),
            Self::Like { all } => (is_like, all),
        };
        match has.map_or(&[][..], Vec::as_slice) {
            values if all => Ok(values.iter().all(|value| is_one(is, value))),
            [] => Ok(false),
            [value] => Ok(is_one(is, value)),
            _ => Err(format!("several values of {key} without ForAllValues or ForAnyValue")),
        }
    }
}

//= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
/// Every key of every operator must hold, by one of its values.
fn meets(condition: &Value, context: &BTreeMap<String, Vec<String>>) -> Result<bool, String> {
    let mut all = true;
    for (operator, keys) in condition.as_object().into_iter().flatten() {
        let operator = Operator::parse(operator)?;
        for (key, wanted) in keys.as_object().into_iter().flatten() {
            // Case does not count in keys.
            let has = context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
            all &= operator.holds(key, wanted, has.map(|(_, values)| values))?;
        }
    }
    Ok(all)
}

/// A text, or each of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

fn is_like(pattern: &str, text: &str) -> bool {
    let has_wildcard = pattern.contains(['*', '?']);
    pattern == "*" || pattern == text || (has_wildcard && Pattern::new(pattern).matches(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Decision::{Allowed, Denied, NotAllowed};
    use super::*;

    fn decided(statements: &Value, resource: &str, keys: &[(&str, &[&str])]) -> Result<Decision, String> {
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let request = Request {
            action: "ec2:Interrupt",
            resource,
            context: keys.iter().map(|(key, has)| ((*key).to_owned(), values(has))).collect(),
        };
        decide(statements.as_array().unwrap(), &request)
    }

    /// What one condition says to a request with these keys.
    fn under(condition: Value, keys: &[(&str, &[&str])]) -> Result<bool, String> {
        let statements = json!([{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}]);
        decided(&statements, "r", keys).map(|decision| decision == Allowed)
    }

    #[test]
    fn one_statement_must_allow_and_none_may_deny() {
        let statements = json!([
            {"Effect": "Allow", "Action": "EC2:interrupt", "Resource": "arn:*:instance/*",
                "Condition": {"StringEquals": {"tag/role": ["TASK", "OTHER"], "tag/on": "yes"}}},
            {"Effect": "Deny", "Action": ["ec2:*"], "Resource": "*", "Condition": {"StringEquals": {"tag/no": "1"}}},
        ]);
        let good: [(&str, &[&str]); 2] = [("tag/role", &["TASK"]), ("Tag/On", &["yes"])];
        assert_eq!(decided(&statements, "arn:x:instance/i-1", &good), Ok(Allowed));
        assert_eq!(decided(&statements, "arn:x:volume/i-1", &good), Ok(NotAllowed));
        assert_eq!(decided(&statements, "arn:x:instance/i-1", &good[..1]), Ok(NotAllowed));
        let denied = [good[0], good[1], ("tag/no", &["1"])];
        assert_eq!(decided(&statements, "arn:x:instance/i-1", &denied), Ok(Denied));
    }

    #[test]
    fn a_wildcard_in_an_arn_ends_at_its_colon_and_goes_on_in_the_resource() {
        let allow = |resource: &str| json!([{"Effect": "Allow", "Action": "*", "Resource": resource}]);
        let template = "arn:aws:fis:us-sim-1:000000000000:action/aws:ec2:interrupt";
        assert_eq!(decided(&allow("arn:aws:fis:*:*:action/*"), template, &[]), Ok(Allowed));
        assert_eq!(decided(&allow("arn:aws:fis:*:action/*"), template, &[]), Ok(NotAllowed));
        assert_eq!(
            decided(&allow("arn:aws:s3:::b/*x"), "arn:aws:s3:::b/a/b/x", &[]),
            Ok(Allowed)
        );
    }

    #[test]
    fn all_values_must_match_where_all_are_asked_and_none_is_enough() {
        let keys = json!({"ForAllValues:StringLike": {"k": ["cluster#*", "active"]}});
        assert_eq!(under(keys.clone(), &[("k", &["cluster#1", "active"])]), Ok(true));
        assert_eq!(under(keys.clone(), &[("k", &["cluster#1", "other"])]), Ok(false));
        assert_eq!(under(keys, &[]), Ok(true));
        let keys = json!({"ForAllValues:StringEquals": {"k": ["cluster#*"]}});
        assert_eq!(under(keys, &[("k", &["cluster#1"])]), Ok(false));
        assert!(under(json!({"StringLike": {"k": "*"}}), &[("k", &["a", "b"])]).is_err());
        assert_eq!(
            under(json!({"StringLike": {"k": "s3.*"}}), &[("k", &["s3.here"])]),
            Ok(true)
        );
        assert_eq!(under(json!({"StringLike": {"k": "s3.*"}}), &[]), Ok(false));
    }

    #[test]
    fn null_asks_whether_a_key_is_there() {
        for (asked, is_there, is) in [("false", true, true), ("false", false, false), ("true", false, true)] {
            let keys: &[(&str, &[&str])] = if is_there { &[("k", &[""])] } else { &[] };
            assert_eq!(under(json!({"Null": {"k": asked}}), keys), Ok(is), "{asked} {is_there}");
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        let condition = json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}});
        assert!(under(condition.clone(), &[]).unwrap_err().contains("IpAddress"));
        for (unknown, words) in [
            (json!({"Condition": condition}), "IpAddress"),
            (json!({"NotAction": "s3:*"}), "NotAction"),
            (json!({"Resource": "arn:aws:s3:::b/${aws:username}/*"}), "variable"),
        ] {
            assert!(check(&[unknown]).unwrap_err().contains(words), "{words}");
        }
    }
}
