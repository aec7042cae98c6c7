//! What the report says of Spark, held against what YARN and Spark really did.
//!
//! Separate because it is about the event log and its reader, and no matter of the verdict.

use std::collections::BTreeSet;

use account::spark::{ApplicationTruth, AttemptTruth};
use serde_json::Value;

use crate::model::{Evidence, Hit, Touch};

/// What is wrong with the report's part on Spark.
pub(crate) fn wrongs(
    report: &Value,
    application: &ApplicationTruth,
    evidence: &Evidence,
    hits: &[Hit<'_>],
) -> Vec<String> {
    let mut wrongs = Vec::new();
    let (spark, Some(attempt)) = (&report["spark"], application.last_attempt()) else {
        return wrongs;
    };
    // An application that its step does not wait for is told as far as it had come by then.
    if !evidence.waits && !spark.is_null() {
        return wrongs;
    }
    if spark.is_null() {
        let missing = &report["missing"];
        let mut said = missing.as_array().into_iter().flatten();
        if !said.any(|one| one["what"] == "event log") {
            wrongs.push(format!("spark: no event log was read, and nothing says so: {missing}"));
        }
        if evidence.log_certain && evidence.waits {
            wrongs.push(format!("spark: the event log was not read: {missing}"));
        }
        return wrongs;
    }
    if spark["application_id"]
        .as_str()
        .is_some_and(|told| told != application.id)
    {
        let told = &spark["application_id"];
        wrongs.push(format!("spark: it is of {told}, and not of {}", application.id));
        return wrongs;
    }
    if !evidence.log_lies_there {
        // What an earlier attempt left, or a marker of a log that was never closed.
        return wrongs;
    }
    let mut differ = |what: &str, told: Value, was: Value| {
        if told != was {
            wrongs.push(format!("spark: {what}: {told}, and not {was}"));
        }
    };
    differ(
        "application",
        spark["application_id"].clone(),
        application.id.clone().into(),
    );
    differ("attempts", spark["attempts"].clone(), application.attempts.len().into());
    // The log names stages that never ran too.
    let stages = spark["stages"].as_array().into_iter().flatten();
    let ran = |row: &&Value| !matches!(row["status"].as_str(), Some("SKIPPED" | "PENDING"));
    let stages = stages.filter(ran).count();
    differ("stage attempts", stages.into(), attempt.stage_attempts.len().into());
    let failed = attempt
        .stage_attempts
        .iter()
        .filter(|one| one.failure_reason.is_some())
        .count();
    differ(
        "stage attempts that failed",
        spark["stage_attempts_failed"].clone(),
        failed.into(),
    );
    differ(
        "successful tasks",
        spark["tasks"]["successful"].clone(),
        attempt.tasks.successful.into(),
    );
    differ(
        "failed tasks",
        spark["tasks"]["failed"].clone(),
        attempt.tasks.failed.into(),
    );
    wrongs.extend(wrong_executors(spark, attempt, hits));
    wrongs
}

fn wrong_executors(spark: &Value, attempt: &AttemptTruth, hits: &[Hit<'_>]) -> Vec<String> {
    let mut wrongs = Vec::new();
    let rows: Vec<&Value> = spark["executors"].as_array().into_iter().flatten().collect();
    let key = |id: &str, host: &str| format!("{id} on {host}");
    let told: BTreeSet<String> = rows
        .iter()
        .map(|row| {
            key(
                row["id"].as_str().unwrap_or_default(),
                row["host"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    let were: BTreeSet<String> = attempt
        .executors
        .iter()
        .map(|one| key(&one.id.to_string(), &one.host))
        .collect();
    if told != were {
        wrongs.push(format!("spark: executors {told:?}, and not {were:?}"));
        return wrongs;
    }
    for executor in &attempt.executors {
        let id = executor.id.to_string();
        let Some(row) = rows.iter().find(|row| row["id"] == id.as_str()) else {
            continue;
        };
        if executor.lost {
            let told = row["removed_at"].as_str().and_then(|at| at.parse().ok());
            if told != executor.removed_at {
                wrongs.push(format!(
                    "spark: executor {id} fell at {:?}, and not {told:?}",
                    executor.removed_at
                ));
            }
        }
        let hit = hits.iter().find(|hit| hit.node.ec2_instance_id == executor.instance_id);
        let marked = row["on_interrupted"] == true;
        let lost_by_it = executor.lost && hit.is_some_and(|hit| hit.inside == Touch::Certain);
        if (marked && hit.is_none()) || (!marked && lost_by_it) {
            wrongs.push(format!(
                "spark: executor {id} on {} is marked {marked}",
                executor.instance_id
            ));
        }
    }
    wrongs
}
