//! What EMR answers of a step and the SDK's crate does not read: `AdditionalInfo`, which names the YARN applications that
//! the step started.
//!
//! Separate because it can go: it is in EMR's API and not in aws-sdk-emr 1.132. Once the crate's `Step` and `StepSummary`
//! have `additional_info`, `emr.rs` reads it there.
//! <https://docs.aws.amazon.com/emr/latest/APIReference/API_Step.html>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use memchr::memmem;
use serde::Deserialize;

/// The interceptor of EMR's client: the applications of the steps that it answered, by the steps' ids. Clones read together.
#[derive(Debug, Clone, Default)]
pub(super) struct StepInfo(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl StepInfo {
    /// The ids of a step's applications, once.
    pub(super) fn take(&self, step_id: &str) -> Vec<String> {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.remove(step_id).unwrap_or_default()
    }
}

#[dyn_dispatch_hint]
impl Intercept for StepInfo {
    fn name(&self) -> &'static str {
        "StepInfo"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(read(body));
        Ok(())
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    step: Option<Step>,
    steps: Vec<Step>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Step {
    id: String,
    additional_info: Option<AdditionalInfo>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct AdditionalInfo {
    resource_manager_application_ids: Option<Vec<String>>,
}

/// The ids in an answer's body, of one step or of several. What is no such answer names none.
fn read(body: &[u8]) -> BTreeMap<String, Vec<String>> {
    // Most of EMR's answers are of something else, and long.
    if memmem::find(body, b"ResourceManagerApplicationIds").is_none() {
        return BTreeMap::new();
    }
    let answer: Answer = serde_json::from_slice(body).unwrap_or_default();
    let steps = answer.step.into_iter().chain(answer.steps);
    let named = steps.filter_map(|step| Some((step.id, step.additional_info?.resource_manager_application_ids?)));
    named.map(|(step_id, ids)| (step_id, applications(ids))).collect()
}

/// Those that are YARN's, each once: they become parts of names in S3.
fn applications(mut ids: Vec<String>) -> Vec<String> {
    ids.retain(|id| {
        let is_plain = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        id.starts_with("application_") && is_plain
    });
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(body: &str) -> Vec<(String, Vec<String>)> {
        read(body.as_bytes()).into_iter().collect()
    }

    #[test]
    fn the_applications_are_those_that_the_answer_names() {
        let ids = r#""ResourceManagerApplicationIds": ["application_179_0001", "application_179_0001", "job_179_0001",
            "application_/../x"]"#;
        let info = format!(r#""AdditionalInfo": {{"ResourceManager": "ip-10-0-0-1.ec2.internal:8032", {ids}}}"#);
        let expected = vec!["application_179_0001".to_owned()];
        let one = read_text(&format!(r#"{{"Step": {{"Id": "s-1", "Name": "x", {info}}}}}"#));
        assert_eq!(one, [("s-1".to_owned(), expected.clone())]);
        let several = read_text(&format!(
            r#"{{"Steps": [{{"Id": "s-2"}}, {{"Id": "s-3", {info}}}], "Marker": "m"}}"#
        ));
        assert_eq!(several, [("s-3".to_owned(), expected)]);
    }

    #[test]
    fn an_error_or_an_answer_without_them_names_none() {
        for other in [
            r#"{"Step": {"Id": "s-1"}}"#,
            r#"{"Step": {"Id": "s-1", "AdditionalInfo": {"ResourceManagerApplicationIds": null}}}"#,
            r#"{"__type": "InvalidRequestException", "Message": "ResourceManagerApplicationIds"}"#,
            "ResourceManagerApplicationIds",
            "",
        ] {
            assert_eq!(read_text(other), [], "{other}");
        }
    }
}
