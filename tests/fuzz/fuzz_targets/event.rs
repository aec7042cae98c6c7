//! Whatever a function is invoked with, it reads an event from it or names the field that is wrong; so with each body of
//! a batch of SQS's. Seeds: `tests/data/events`.

#![no_main]

use aws_lambda_events::sqs::SqsEvent;
use libfuzzer_sys::fuzz_target;
use rules::event::{EventError, InterruptionWarning, StepStatusChange, is_cluster_id, is_instance_id, is_step_id};
use serde_json::Value;

/// The shortened text of what was found, and the sign that it was.
const FOUND_MAX: usize = 81;

fuzz_target!(|bytes: &[u8]| {
    let Ok(payload) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    reads_or_names(&payload);
    let Ok(batch) = serde_json::from_value::<SqsEvent>(payload) else {
        return;
    };
    for body in batch.records.iter().filter_map(|message| message.body.as_deref()) {
        if let Ok(payload) = serde_json::from_str(body) {
            reads_or_names(&payload);
        }
    }
});

fn reads_or_names(payload: &Value) {
    match StepStatusChange::parse(payload) {
        Ok(event) => {
            assert!(
                is_cluster_id(&event.cluster_id) && is_step_id(&event.step_id),
                "{event:?}"
            );
            assert!(!event.state.is_empty());
        }
        Err(error) => names_the_field(&error),
    }
    match InterruptionWarning::parse(payload) {
        Ok(event) => assert!(
            is_instance_id(&event.instance_id) && !event.action.is_empty(),
            "{event:?}"
        ),
        Err(error) => names_the_field(&error),
    }
}

fn names_the_field(error: &EventError) {
    assert!(!error.field.is_empty() && !error.expected.is_empty(), "{error:?}");
    assert!(error.found.chars().count() <= FOUND_MAX, "{error:?}");
}
