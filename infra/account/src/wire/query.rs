//! The Query protocol: a form whose names are paths, `Filter.1.Value.2`.
//!
//! Separate because only EC2 and older services have it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request};
use serde_json::Value;

use crate::api::ApiError;

/// Longer paths are refused; EC2's own are about half as deep.
const DEPTH_MAX: usize = 12;

/// More parameters are refused: EC2 takes a thousand ids in a call.
const PARAMETERS_MAX: usize = 10_000;

/// A form's parameters as a tree; what is a list shows only when all are in.
#[derive(Debug)]
enum Node {
    Leaf(String),
    Branch(BTreeMap<String, Node>),
}

/// The value of `Action`.
pub(super) fn action(request: &Request<Bytes>) -> Result<String, ApiError> {
    pairs(request)
        .find(|(name, _)| name == "Action")
        .map(|(_, value)| value)
        .filter(|action| !action.is_empty())
        .ok_or_else(|| {
            ApiError::client(
                "MissingAction",
                "The request is missing an action or a required parameter.",
            )
        })
}

//= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html
pub(super) fn decode(request: &Request<Bytes>) -> Result<(String, Value), ApiError> {
    let operation = action(request)?;
    let mut root = BTreeMap::new();
    for (count, (name, value)) in pairs(request).enumerate() {
        if count >= PARAMETERS_MAX {
            return Err(malformed(&format!("more than {PARAMETERS_MAX} parameters")));
        }
        if name != "Action" && name != "Version" && !name.starts_with("X-Amz-") {
            insert(&mut root, &name, value)?;
        }
    }
    let input = match value(Node::Branch(root))? {
        // A form with only numbered names is not a list.
        Value::Array(_) => return Err(malformed("a parameter's name is a number")),
        input => input,
    };
    Ok((operation, input))
}

/// As [`decode`], of a service whose lists are `Name.member.1`: the lists come without their `member`.
//= https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
pub(super) fn decode_members(request: &Request<Bytes>) -> Result<(String, Value), ApiError> {
    let (operation, input) = decode(request)?;
    Ok((operation, without_member(input)))
}

fn without_member(value: Value) -> Value {
    match value {
        Value::Object(mut members) if members.len() == 1 && members.contains_key("member") => {
            without_member(members.remove("member").unwrap_or_default())
        }
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, without_member(value)));
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_member).collect()),
        other => other,
    }
}

fn pairs(request: &Request<Bytes>) -> impl Iterator<Item = (String, String)> {
    let form: &[u8] = match *request.method() {
        Method::GET => request.uri().query().unwrap_or("").as_bytes(),
        _ => request.body(),
    };
    form_urlencoded::parse(form).map(|(name, value)| (name.into_owned(), value.into_owned()))
}

fn insert(root: &mut BTreeMap<String, Node>, name: &str, value: String) -> Result<(), ApiError> {
    let parts: Vec<&str> = name.split('.').collect();
    if parts.len() > DEPTH_MAX {
        return Err(malformed(&format!("the parameter {name} is too deep")));
    }
    let (last, path) = parts.split_last().expect("a split has at least one part");
    let mut branch = root;
    for part in path {
        let node = branch
            .entry((*part).to_owned())
            .or_insert_with(|| Node::Branch(BTreeMap::new()));
        branch = match node {
            Node::Branch(branch) => branch,
            Node::Leaf(_) => return Err(malformed(&format!("{name}: {part} has a value already"))),
        };
    }
    if parts.iter().any(|part| part.is_empty()) || branch.contains_key(*last) {
        return Err(malformed(&format!("the parameter {name} is empty or there twice")));
    }
    branch.insert((*last).to_owned(), Node::Leaf(value));
    Ok(())
}

/// Branches with numbered children become lists, in the numbers' order.
fn value(node: Node) -> Result<Value, ApiError> {
    let branch = match node {
        Node::Leaf(text) => return Ok(Value::String(text)),
        Node::Branch(branch) => branch,
    };
    let numbers: Vec<Option<u32>> = branch.keys().map(|key| key.parse().ok()).collect();
    if branch.is_empty() || numbers.iter().all(Option::is_none) {
        let members = branch.into_iter().map(|(key, node)| Ok((key, value(node)?)));
        return Ok(Value::Object(members.collect::<Result<_, ApiError>>()?));
    }
    if numbers.iter().any(Option::is_none) {
        let names: Vec<String> = branch.into_keys().collect();
        return Err(malformed(&format!(
            "a list and a structure at once: {}",
            names.join(", ")
        )));
    }
    let mut items: Vec<(Option<u32>, Node)> = numbers.into_iter().zip(branch.into_values()).collect();
    items.sort_by_key(|(number, _)| *number);
    Ok(Value::Array(
        items
            .into_iter()
            .map(|(_, node)| value(node))
            .collect::<Result<_, _>>()?,
    ))
}

//= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
fn malformed(why: &str) -> ApiError {
    ApiError::client(
        "MalformedQueryString",
        format!("The query string contains a syntax error: {why}"),
    )
}
