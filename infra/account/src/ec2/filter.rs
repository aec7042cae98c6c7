//! EC2's request filters: names with values, `*` and `?` in the values.
//!
//! Separate because every Describe operation filters alike, each over other names.

use serde_json::Value;

use crate::api::ApiError;
use crate::ec2::{invalid, other_filters};
use crate::wildcard::Pattern;

/// One filter: any of its values must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    name: String,
    values: Vec<String>,
}

//= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
const VALUES_MAX: usize = 200;

/// The request's filters, each of a name that `is_known` or that asks for a tag. One that EC2 has for this operation and
/// that the simulated account does not offer is told apart from one that nobody knows.
pub(super) fn parse(input: &Value, operation: &str, is_known: impl Fn(&str) -> bool) -> Result<Vec<Filter>, ApiError> {
    let mut filters = Vec::new();
    for filter in input["Filter"].as_array().into_iter().flatten() {
        let name = filter["Name"].as_str().unwrap_or_default().to_owned();
        if !is_known(&name) && name.strip_prefix("tag:").is_none_or(str::is_empty) {
            if other_filters::has(operation, &name) {
                let what = format!("the filter {name} of {operation}");
                return Err(ApiError::not_offered("ec2", &what));
            }
            return Err(invalid(format!("The filter '{name}' is invalid")));
        }
        filters.push(Filter {
            name,
            values: strings(filter, "Value"),
        });
    }
    if filters.iter().map(|it| it.values.len()).sum::<usize>() > VALUES_MAX {
        let message = format!("The maximum number of filter values specified on a single call is {VALUES_MAX}");
        return Err(ApiError::client("FilterLimitExceeded", message));
    }
    Ok(filters)
}

impl Filter {
    /// Whether something passes that has these values under the filter's name.
    pub(super) fn passes(&self, values_of: impl Fn(&str) -> Vec<String>) -> bool {
        let actual = values_of(&self.name);
        self.values
            .iter()
            .map(|value| Pattern::with_backslash(value))
            .any(|pattern| actual.iter().any(|text| pattern.matches(text)))
    }
}

/// A parameter that is a list of strings; empty when it is missing.
pub(super) fn strings(input: &Value, name: &str) -> Vec<String> {
    input[name]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wildcards_match_as_ec2_documents() {
        for (pattern, text, expected) in [
            ("running", "running", true),
            ("running", "Running", false),
            ("r5*", "r5.xlarge", true),
            ("*.xlarge", "r5.2xlarge", false),
            ("*xlarge", "r5.2xlarge", true),
            ("r?.xlarge", "r4.xlarge", true),
            ("r?.xlarge", "r5d.xlarge", false),
            ("r*.*x*", "r5d.2xlarge", true),
            ("*", "", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
        ] {
            assert_eq!(
                Pattern::with_backslash(pattern).matches(text),
                expected,
                "{pattern} on {text}"
            );
        }
    }

    #[test]
    fn a_filter_of_an_unknown_name_is_refused() {
        let input = |name: &str| json!({"Filter": [{"Name": name, "Value": ["x"]}]});
        let parse = |name: &str| parse(&input(name), "DescribeInstances", |it| it == "instance-id");
        let refused = parse("instance-colour").unwrap_err();
        assert_eq!(refused.code, "InvalidParameterValue");
        assert_eq!(refused.message, "The filter 'instance-colour' is invalid");
        assert!(parse("tag:").is_err());
        assert!(parse("tag:Name").is_ok());
        // One of EC2's that is not offered says so.
        for name in ["image-id", "network-interface.status"] {
            let refused = parse(name).unwrap_err();
            assert_eq!((refused.status, refused.message.contains(name)), (501, true));
        }
    }
}
