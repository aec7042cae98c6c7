//! The sample events, as AWS documents and sends them: each parses, and each field that is missing or wrong is named.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::path::PathBuf;

use rules::event::{EventError, InterruptionWarning, StepStatusChange};
use serde_json::{Value, json};

fn samples() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/events");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 13, "the samples are there");
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                serde_json::from_str(&text).unwrap(),
            )
        })
        .collect()
}

fn parse(event: &Value) -> Result<(), EventError> {
    match event["detail-type"].as_str() {
        Some(InterruptionWarning::DETAIL_TYPE) => InterruptionWarning::parse(event).map(drop),
        _ => StepStatusChange::parse(event).map(drop),
    }
}

fn is_ours(event: &Value) -> bool {
    [StepStatusChange::DETAIL_TYPE, InterruptionWarning::DETAIL_TYPE]
        .iter()
        .any(|ours| event["detail-type"] == *ours)
}

#[test]
fn each_sample_of_ours_parses() {
    let mut parsed = 0;
    for (name, event) in samples().into_iter().filter(|(_, event)| is_ours(event)) {
        assert_eq!(parse(&event), Ok(()), "{name}");
        parsed += 1;
    }
    assert!(parsed >= 9, "{parsed} samples parsed");
}

#[test]
fn each_functions_own_sample_parses() {
    let sample = |name: &str| -> Value {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../functions/{name}/event.json"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    for (name, state) in [("start-experiment", "RUNNING"), ("write-report", "COMPLETED")] {
        assert_eq!(StepStatusChange::parse(&sample(name)).unwrap().state, state);
    }
    let batch = sample("record-interruption");
    let body: Value = serde_json::from_str(batch["Records"][0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(InterruptionWarning::parse(&body).unwrap().action, "terminate");
}

#[test]
fn each_sample_of_others_is_refused_by_its_detail_type_or_source() {
    for (name, event) in samples().into_iter().filter(|(_, event)| !is_ours(event)) {
        let error = parse(&event).unwrap_err();
        assert!(
            ["detail-type", "source"].contains(&error.field.as_str()),
            "{name}: {error}"
        );
    }
}

#[test]
fn each_missing_or_wrong_field_that_is_used_is_named() {
    let used = ["detail-type", "source", "time", "detail"];
    let used_in_detail = ["stepId", "clusterId", "state", "instance-id", "instance-action"];
    for (name, event) in samples().into_iter().filter(|(_, event)| is_ours(event)) {
        for field in used {
            for broken in broken(&event, &[field]) {
                let error = parse(&broken).unwrap_err();
                let named = [field, "detail-type", "source"].contains(&error.field.as_str());
                assert!(named, "{name}: without {field}: {error}");
            }
        }
        for field in used_in_detail
            .into_iter()
            .filter(|field| event["detail"].get(field).is_some())
        {
            for broken in broken(&event, &["detail", field]) {
                let error = parse(&broken).unwrap_err();
                assert_eq!(error.field, format!("detail.{field}"), "{name}: {error}");
                assert!(error.to_string().contains("expected"), "{name}: {error}");
            }
        }
    }
}

#[test]
fn what_is_not_used_may_be_missing_and_what_is_new_may_come() {
    for (name, event) in samples().into_iter().filter(|(_, event)| is_ours(event)) {
        let mut event = event;
        for field in ["version", "id", "account", "region", "resources"] {
            event.as_object_mut().unwrap().remove(field);
        }
        event["detail"]["something-new"] = json!({"nested": [1, 2]});
        event["something-new"] = json!(true);
        assert_eq!(parse(&event), Ok(()), "{name}");
    }
}

/// The event without the field, and with null, a number and an empty text in its place.
fn broken(event: &Value, path: &[&str]) -> Vec<Value> {
    let (field, parents) = path.split_last().unwrap();
    let edit = |value: Option<Value>| {
        let mut event = event.clone();
        let mut object = &mut event;
        for parent in parents {
            object = &mut object[*parent];
        }
        match value {
            None => drop(object.as_object_mut().unwrap().remove(*field)),
            Some(value) => object[*field] = value,
        }
        event
    };
    vec![
        edit(None),
        edit(Some(Value::Null)),
        edit(Some(json!(7))),
        edit(Some(json!(""))),
    ]
}
