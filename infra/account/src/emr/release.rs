//! An EMR release, as a request names it by its label.
//!
//! Separate because what a cluster may ask for depends on it.
//!
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html

use serde_json::Value;

use crate::api::ApiError;

use super::input::validation;

/// `emr-5.36.2`: major, minor and patch version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Release(u32, u32, u32);

/// The first that takes a custom AMI.
const CUSTOM_AMI: Release = Release(5, 7, 0);

impl Release {
    /// "Release labels are in the form `emr-x.x.x`." Whether there is such a release is not asked.
    fn parse(label: &str) -> Option<Self> {
        let mut numbers = label.strip_prefix("emr-")?.split('.').map(|number| number.parse().ok());
        let release = Self(numbers.next()??, numbers.next()??, numbers.next()??);
        numbers.next().is_none().then_some(release)
    }
}

/// Checks what a request says of releases and AMIs. The words of the refusals are moto's, as AWS publishes none.
pub(super) fn check(request: &Value) -> Result<(), ApiError> {
    let label = request["ReleaseLabel"].as_str();
    match (label, request["AmiVersion"].as_str()) {
        (Some(label), Some(version)) => {
            return Err(validation(format!(
                "Only one AMI version and release label may be specified. Provided AMI: {version}, release label: {label}."
            )));
        }
        (None, Some(_)) => return Err(ApiError::not_offered("emr", "RunJobFlow with AmiVersion")),
        _ => {}
    }
    let Some(label) = label else { return Ok(()) };
    let release = Release::parse(label);
    let release = release.ok_or_else(|| validation(format!("The supplied release label is invalid: {label}.")))?;
    if request["CustomAmiId"].is_string() && release < CUSTOM_AMI {
        return Err(validation("Custom AMI is not allowed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_label_has_three_numbers() {
        assert!(Release::parse("emr-5.36.2") > Release::parse("emr-5.7.0"));
        for bad in ["emr-5.36", "emr-5.36.2.1", "5.36.2", "emr-x.1.2", "emr-", ""] {
            assert_eq!(Release::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_ami_of_ones_own_needs_its_release() {
        let ask = |label: &str| check(&json!({"ReleaseLabel": label, "CustomAmiId": "ami-1"}));
        assert!(ask("emr-5.7.0").is_ok());
        assert_eq!(ask("emr-5.6.1").unwrap_err().message, "Custom AMI is not allowed");
        assert_eq!(check(&json!({"AmiVersion": "3.11.0"})).unwrap_err().status, 501);
    }
}
