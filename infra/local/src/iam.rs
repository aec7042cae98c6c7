//! What a role's policies allow: as much of IAM's language as the template's experiment role is written in.
//!
//! Separate because nothing else in the account decides by IAM. What is not known here is an error, never a yes.
//
//= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html

use std::collections::BTreeMap;

use serde_json::Value;

/// A request that somebody makes as a role.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// `ec2:SendSpotInstanceInterruptions`
    pub action: &'a str,
    /// The ARN of what it is made on.
    pub resource: &'a str,
    /// The condition keys that it has, with their values: `aws:ResourceTag/spot-drill`.
    pub context: BTreeMap<String, String>,
}

/// Whether the statements allow a request: one must allow it, and none deny it. The error names what is not simulated.
pub fn allows(statements: &[Value], request: &Request<'_>) -> Result<bool, String> {
    let mut allowed = false;
    for statement in statements {
        if !applies(statement, request)? {
            continue;
        }
        match statement["Effect"].as_str() {
            Some("Allow") => allowed = true,
            Some("Deny") => return Ok(false),
            other => return Err(format!("the effect {other:?}")),
        }
    }
    Ok(allowed)
}

fn applies(statement: &Value, request: &Request<'_>) -> Result<bool, String> {
    for unknown in ["NotAction", "NotResource"] {
        if statement.get(unknown).is_some() {
            return Err(unknown.to_owned());
        }
    }
    let names = |element: &str, text: &str| texts(&statement[element]).any(|pattern| is_like(pattern, text));
    Ok(names("Action", request.action)
        && names("Resource", request.resource)
        && meets(&statement["Condition"], &request.context)?)
}

//= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
/// Every key of every operator must hold, by one of its values; a key that the request has not does not hold.
fn meets(condition: &Value, context: &BTreeMap<String, String>) -> Result<bool, String> {
    for (operator, keys) in condition.as_object().into_iter().flatten() {
        if operator != "StringEquals" {
            return Err(format!("the condition operator {operator}"));
        }
        for (key, values) in keys.as_object().into_iter().flatten() {
            let has = context.get(key);
            if !texts(values).any(|value| has.is_some_and(|has| has == value)) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// A text, or each of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

/// `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allowed(statements: &Value, resource: &str, tags: &[(&str, &str)]) -> Result<bool, String> {
        let request = Request {
            action: "ec2:Interrupt",
            resource,
            context: tags
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        };
        allows(statements.as_array().unwrap(), &request)
    }

    #[test]
    fn one_statement_must_allow_and_none_may_deny() {
        let statements = json!([
            {"Effect": "Allow", "Action": "ec2:Interrupt", "Resource": "arn:*:instance/*",
                "Condition": {"StringEquals": {"tag/role": ["TASK", "OTHER"], "tag/on": "yes"}}},
            {"Effect": "Deny", "Action": ["ec2:*"], "Resource": "*", "Condition": {"StringEquals": {"tag/no": "1"}}},
        ]);
        let good = [("tag/role", "TASK"), ("tag/on", "yes")];
        assert_eq!(allowed(&statements, "arn:x:instance/i-1", &good), Ok(true));
        assert_eq!(allowed(&statements, "arn:x:volume/i-1", &good), Ok(false));
        assert_eq!(allowed(&statements, "arn:x:instance/i-1", &good[..1]), Ok(false));
        let denied = [good[0], good[1], ("tag/no", "1")];
        assert_eq!(allowed(&statements, "arn:x:instance/i-1", &denied), Ok(false));
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        let statements = json!([{"Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}]);
        assert!(allowed(&statements, "r", &[]).unwrap_err().contains("IpAddress"));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, is) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("a*b*c", "axbxxc", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(is_like(pattern, text), is, "{pattern} {text}");
        }
    }
}
