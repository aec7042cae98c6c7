//! Records EC2 Spot interruption warnings in the ledger: one item each, however often and in whatever order they come.
//!
//! They come from SQS in batches, or as a bare EventBridge event. One `DescribeInstances` tells for a whole batch
//! whose instances they are; those that are not EMR's are recorded too, apart.

use aws::config::Clients;
use aws::invocation::Invocation;
use aws::metrics::Figures;
use aws::{Aws, Error};
use aws::{Described, expires_at};
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use clap::Parser;
use rules::event::InterruptionWarning;
use rules::ledger::Interruption;
use serde::Serialize;
use serde_json::Value;

/// Settings, from the environment.
#[derive(Debug, Clone, Parser)]
#[command(about = "Records EC2 Spot interruption warnings in the ledger")]
pub struct Config {
    /// The ledger's DynamoDB table.
    #[arg(long, env = "TABLE_NAME")]
    pub table_name: String,
    /// How long items are kept, in days.
    #[arg(long, env = "RETENTION_DAYS", default_value_t = 400)]
    pub retention_days: u32,
    /// How AWS is called.
    #[command(flatten)]
    pub clients: Clients,
}

/// What came of a batch.
#[derive(Debug, Default, Serialize)]
pub struct Recorded {
    /// The answer to SQS: which messages failed.
    #[serde(flatten)]
    pub response: SqsBatchResponse,
    /// How long each recorded warning was on its way, in milliseconds.
    #[serde(skip)]
    pub latencies_ms: Vec<i64>,
}

impl<'a> From<&'a Recorded> for Figures<'a> {
    fn from(recorded: &'a Recorded) -> Self {
        Self {
            warning_latencies_ms: &recorded.latencies_ms,
            ..Self::default()
        }
    }
}

/// Answers SQS with the messages that failed, which come again and in the end go to the dead-letter queue; and a bare
/// event with an empty list, or the error.
pub async fn handle(aws: &Aws, config: &Config, invocation: Invocation) -> Result<Recorded, Error> {
    if invocation.payload.get("Records").is_some() {
        batch(aws, config, &invocation.payload).await
    } else {
        let warning = InterruptionWarning::parse(&invocation.payload)?;
        let latencies_ms = record(aws, config, &[warning])
            .await
            .into_iter()
            .collect::<Result<Vec<i64>, Error>>()?;
        Ok(Recorded {
            latencies_ms,
            ..Recorded::default()
        })
    }
}

async fn batch(aws: &Aws, config: &Config, payload: &Value) -> Result<Recorded, Error> {
    let event: SqsEvent = serde_json::from_value(payload.clone())
        .map_err(|error| Error::Answer(format!("the batch is not SQS's: {error}")))?;
    let mut recorded = Recorded::default();
    let mut good = Vec::new();
    for message in event.records {
        let id = message.message_id.clone().unwrap_or_default();
        match parse(&message) {
            Ok(warning) => good.push((id, warning)),
            Err(error) => {
                tracing::error!(
                    message_id = id,
                    error = error.chain(),
                    "message kept for the dead-letter queue"
                );
                recorded.response.batch_item_failures.push(failure(id));
            }
        }
    }
    let warnings: Vec<InterruptionWarning> = good.iter().map(|(_, warning)| warning.clone()).collect();
    for ((id, warning), result) in good.into_iter().zip(record(aws, config, &warnings).await) {
        match result {
            Ok(latency_ms) => recorded.latencies_ms.push(latency_ms),
            Err(error) => {
                tracing::error!(
                    message_id = id,
                    instance_id = warning.instance_id,
                    error = error.chain(),
                    "not recorded"
                );
                recorded.response.batch_item_failures.push(failure(id));
            }
        }
    }
    Ok(recorded)
}

fn parse(message: &SqsMessage) -> Result<InterruptionWarning, Error> {
    let body = message.body.as_deref().unwrap_or_default();
    let payload: Value = serde_json::from_str(body)
        .map_err(|error| Error::Answer(format!("the message's body is not JSON: {error}")))?;
    Ok(InterruptionWarning::parse(&payload)?)
}

fn failure(item_identifier: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = item_identifier;
    failure
}

/// One result for each warning, in their order: how many milliseconds it was on its way.
async fn record(aws: &Aws, config: &Config, warnings: &[InterruptionWarning]) -> Vec<Result<i64, Error>> {
    if warnings.is_empty() {
        return Vec::new();
    }
    let now = aws.now();
    let mut ids: Vec<String> = warnings.iter().map(|warning| warning.instance_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let described = match aws.describe_instances(&ids).await {
        Ok(described) => described,
        // Without EC2's answer nobody knows whose instances they are: all of them come again.
        Err(error) => {
            let chain = error.chain();
            return warnings.iter().map(|_| Err(Error::NotYet(chain.clone()))).collect();
        }
    };
    let mut results = Vec::new();
    for warning in warnings {
        let latency_ms = (now - warning.time).num_milliseconds();
        let described = described.get(&warning.instance_id);
        let interruption = interruption(warning, described, latency_ms);
        let expires = expires_at(now, config.retention_days);
        let recorded = aws.record(&config.table_name, &interruption, expires).await;
        results.push(recorded.map(|()| latency_ms));
    }
    results
}

fn interruption(warning: &InterruptionWarning, described: Option<&Described>, latency_ms: i64) -> Interruption {
    Interruption {
        instance_id: warning.instance_id.clone(),
        cluster_id: described.and_then(|one| one.cluster_id.clone()),
        noticed_at: warning.time,
        action: warning.action.clone(),
        role: described.and_then(|one| one.role.clone()),
        pool_id: described.and_then(|one| one.pool_id.clone()),
        instance_type: described.and_then(|one| one.instance_type.clone()),
        availability_zone: described.and_then(|one| one.availability_zone.clone()),
        private_dns_name: described.and_then(|one| one.private_dns_name.clone()),
        launched_at: described.and_then(|one| one.launched_at),
        latency_ms: Some(latency_ms),
        event_id: warning.event_id.clone(),
        seen: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recorded_warnings_latency_is_counted() {
        let recorded = Recorded {
            latencies_ms: vec![900, 1_100],
            ..Recorded::default()
        };
        assert_eq!(Figures::from(&recorded).warning_latencies_ms, [900, 1_100]);
    }
}
