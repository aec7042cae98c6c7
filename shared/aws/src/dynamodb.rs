//! Calls to DynamoDB: the ledger. Each write is conditional, and a write that failed is read back before it is judged:
//! it may have happened, and only its answer been lost.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, TimeDelta, Utc};
use rules::drill::{Claim, Drill};
use rules::ledger::{self, Interruption, Key, Submission};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Aws;
use crate::error::Error;

#[allow(
    clippy::disallowed_types,
    reason = "DynamoDB's SDK has items as HashMaps; ours are never iterated"
)]
type Item = std::collections::HashMap<String, AttributeValue>;

/// What became of a conditional write.
#[derive(Debug, Clone, PartialEq)]
pub enum Saved<T> {
    /// It is written.
    Yes,
    /// Somebody else wrote first; this is what stands there.
    No(T),
}

/// Pages read of one query at most.
pub(super) const PAGES_MAX: usize = 100;

impl Aws {
    /// A drill, read consistently.
    pub async fn drill(&self, table: &str, cluster_id: &str, step_id: &str) -> Result<Option<Drill>, Error> {
        self.get(table, &Key::drill(cluster_id, step_id)).await
    }

    /// Writes a drill if nobody has since it was read. On `Yes` its version has moved on.
    pub async fn save_drill(
        &self,
        table: &str,
        drill: &mut Drill,
        expires_at: DateTime<Utc>,
    ) -> Result<Saved<Drill>, Error> {
        let before = drill.version;
        drill.version += 1;
        let key = Key::drill(&drill.cluster_id, &drill.step_id);
        let condition = if before == 0 {
            "attribute_not_exists(pk)"
        } else {
            "version = :before"
        };
        let values = if before == 0 {
            Vec::new()
        } else {
            vec![(":before", AttributeValue::N(before.to_string()))]
        };
        match self.put_if(table, &key, drill, expires_at, condition, values).await? {
            Saved::No(found) if found == *drill => Ok(Saved::Yes),
            answer => Ok(answer),
        }
    }

    /// Claims the cluster for a step: if nobody ever had it, or the step has it already.
    pub async fn claim_cluster(
        &self,
        table: &str,
        claim: &Claim,
        expires_at: DateTime<Utc>,
    ) -> Result<Saved<Claim>, Error> {
        let key = Key::claim(&claim.cluster_id);
        let condition = "attribute_not_exists(pk) OR step_id = :step";
        let values = vec![(":step", AttributeValue::S(claim.step_id.clone()))];
        self.put_if(table, &key, claim, expires_at, condition, values).await
    }

    /// Takes a claim over that has run out or was let go, if it still is as it was read.
    pub async fn take_claim(
        &self,
        table: &str,
        claim: &Claim,
        from: &Claim,
        expires_at: DateTime<Utc>,
    ) -> Result<Saved<Claim>, Error> {
        let key = Key::claim(&claim.cluster_id);
        let values = vec![
            (":step", AttributeValue::S(from.step_id.clone())),
            (":until", text(from.until)?),
        ];
        self.put_if(
            table,
            &key,
            claim,
            expires_at,
            "step_id = :step AND #until = :until",
            values,
        )
        .await
    }

    /// Lets a step's claim go. Whose claim it is not, it does not touch.
    pub async fn release_claim(&self, table: &str, claim: &Claim, expires_at: DateTime<Utc>) -> Result<(), Error> {
        let key = Key::claim(&claim.cluster_id);
        let values = vec![(":step", AttributeValue::S(claim.step_id.clone()))];
        // What stands there instead is another step's, or nothing at all: a step that was refused never had a claim.
        self.put_under(table, &key, claim, expires_at, "step_id = :step", values)
            .await
            .map(|_: Saved<Option<Item>>| ())
    }

    /// Records a warning. The first delivery fills the item; each one counts.
    pub async fn record(
        &self,
        table: &str,
        interruption: &Interruption,
        expires_at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let key = Key::interruption(interruption);
        let mut item = item(interruption)?;
        item.remove("seen");
        item.insert("expires_at".into(), seconds(expires_at));
        item.retain(|_, value| !matches!(value, AttributeValue::Null(_)));
        let mut names: Vec<&String> = item.keys().collect();
        names.sort_unstable();
        let assignments: Vec<String> = (0..names.len())
            .map(|n| format!("#a{n} = if_not_exists(#a{n}, :a{n})"))
            .collect();
        let mut request = self
            .dynamodb
            .update_item()
            .table_name(table)
            .key("pk", AttributeValue::S(key.pk))
            .key("sk", AttributeValue::S(key.sk))
            .update_expression(format!("SET {} ADD seen :one", assignments.join(", ")))
            .expression_attribute_values(":one", AttributeValue::N("1".into()));
        for (n, name) in names.iter().enumerate() {
            request = request
                .expression_attribute_names(format!("#a{n}"), name.as_str())
                .expression_attribute_values(format!(":a{n}"), item[*name].clone());
        }
        request
            .send()
            .await
            .map_err(|error| Error::aws("recording the interruption", error))?;
        Ok(())
    }

    /// The interruptions recorded for a cluster.
    pub async fn interruptions(&self, table: &str, cluster_id: &str) -> Result<Vec<Interruption>, Error> {
        self.interruptions_of(table, ledger::cluster(cluster_id)).await
    }

    /// The interruptions of an instance that nobody could attribute to a cluster when they came.
    pub async fn unattributed(&self, table: &str, instance_id: &str) -> Result<Vec<Interruption>, Error> {
        self.interruptions_of(table, ledger::outside(instance_id)).await
    }

    async fn interruptions_of(&self, table: &str, partition: String) -> Result<Vec<Interruption>, Error> {
        let doing = "reading the recorded interruptions";
        self.items_of(table, partition, ledger::INTERRUPTION, doing).await
    }

    /// The drills of a cluster's steps.
    pub async fn drills_of_cluster(&self, table: &str, cluster_id: &str) -> Result<Vec<Drill>, Error> {
        let doing = "reading the drills of the cluster's steps";
        self.items_of(table, ledger::cluster(cluster_id), ledger::DRILL, doing)
            .await
    }

    /// The items of a partition whose sort key begins so.
    async fn items_of<T: DeserializeOwned>(
        &self,
        table: &str,
        partition: String,
        begin: &str,
        doing: &'static str,
    ) -> Result<Vec<T>, Error> {
        let mut pages = self
            .dynamodb
            .query()
            .table_name(table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", AttributeValue::S(partition))
            .expression_attribute_values(":sk", AttributeValue::S(begin.into()))
            .into_paginator()
            .send();
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws(doing, error))?;
            for item in page.items.unwrap_or_default() {
                found.push(read(item)?);
            }
        }
        Ok(found)
    }

    /// The latest drills of a job, newest first.
    pub async fn drills_of_job(&self, table: &str, job: &str, drills_max: i32) -> Result<Vec<Drill>, Error> {
        let mut pages = self
            .dynamodb
            .query()
            .table_name(table)
            .index_name("by-job")
            .key_condition_expression("job = :job")
            .expression_attribute_values(":job", AttributeValue::S(job.into()))
            .scan_index_forward(false)
            .limit(drills_max)
            .into_paginator()
            .send();
        let enough = usize::try_from(drills_max).unwrap_or_default();
        let mut found = Vec::new();
        while found.len() < enough {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws("reading the job's earlier runs", error))?;
            for item in page.items.unwrap_or_default() {
                found.push(read(item)?);
            }
        }
        found.truncate(enough);
        Ok(found)
    }

    /// Writes a submission that is new, or whose holder cannot be alive any more.
    pub async fn begin_submission(
        &self,
        table: &str,
        submission: &Submission,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<Saved<Submission>, Error> {
        let key = Key::submission(&submission.execution_id);
        let condition = "attribute_not_exists(pk) OR holder = :holder OR lease_until < :now";
        let values = vec![
            (":holder", AttributeValue::S(submission.holder.clone())),
            (":now", text(now)?),
        ];
        self.put_if(table, &key, submission, expires_at, condition, values)
            .await
    }

    /// A submission, read consistently.
    pub async fn submission(&self, table: &str, execution_id: &str) -> Result<Option<Submission>, Error> {
        self.get(table, &Key::submission(execution_id)).await
    }

    /// Writes what became of a submission.
    pub async fn end_submission(
        &self,
        table: &str,
        submission: &Submission,
        expires_at: DateTime<Utc>,
    ) -> Result<Saved<Submission>, Error> {
        let key = Key::submission(&submission.execution_id);
        let values = vec![(":holder", AttributeValue::S(submission.holder.clone()))];
        self.put_if(table, &key, submission, expires_at, "holder = :holder", values)
            .await
    }

    /// Writes an item, whatever stands there.
    pub(super) async fn put_item<T: Serialize>(
        &self,
        table: &str,
        key: &Key,
        value: &T,
        expires_at: DateTime<Utc>,
    ) -> Result<(), Error> {
        self.dynamodb
            .put_item()
            .table_name(table)
            .set_item(Some(keyed(key, value, expires_at)?))
            .send()
            .await
            .map_err(|error| Error::aws("writing the ledger", error))?;
        Ok(())
    }

    /// An item, read consistently.
    pub(super) async fn get<T: DeserializeOwned>(&self, table: &str, key: &Key) -> Result<Option<T>, Error> {
        let answer = self
            .dynamodb
            .get_item()
            .table_name(table)
            .consistent_read(true)
            .key("pk", AttributeValue::S(key.pk.clone()))
            .key("sk", AttributeValue::S(key.sk.clone()))
            .send()
            .await
            .map_err(|error| Error::aws("reading the ledger", error))?;
        answer.item.map(read).transpose()
    }

    /// Writes an item under a condition that the same item has to meet, and which is there.
    async fn put_if<T: Serialize + DeserializeOwned>(
        &self,
        table: &str,
        key: &Key,
        value: &T,
        expires_at: DateTime<Utc>,
        condition: &str,
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<Saved<T>, Error> {
        match self.put_under(table, key, value, expires_at, condition, values).await? {
            Saved::Yes => Ok(Saved::Yes),
            Saved::No(Some(old)) => Ok(Saved::No(read(old)?)),
            Saved::No(None) => Err(Error::NotYet(
                "the ledger's item vanished between two looks at it".into(),
            )),
        }
    }

    /// Writes an item under a condition; where it is not met, the answer is the item that stands there, if any.
    pub(super) async fn put_under<T: Serialize>(
        &self,
        table: &str,
        key: &Key,
        value: &T,
        expires_at: DateTime<Utc>,
        condition: &str,
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<Saved<Option<Item>>, Error> {
        let item = keyed(key, value, expires_at)?;
        let mut request = self
            .dynamodb
            .put_item()
            .table_name(table)
            .set_item(Some(item))
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for (name, value) in values {
            request = request.expression_attribute_values(name, value);
        }
        if condition.contains("#until") {
            request = request.expression_attribute_names("#until", "until");
        }
        match request.send().await {
            Ok(_) => Ok(Saved::Yes),
            Err(error) => match error.as_service_error() {
                Some(aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Saved::No(failed.item.clone()))
                }
                _ => Err(Error::aws("writing the ledger", error)),
            },
        }
    }
}

/// When an item may be deleted by DynamoDB's own clock.
pub(super) fn seconds(time: DateTime<Utc>) -> AttributeValue {
    AttributeValue::N(time.timestamp().to_string())
}

/// A time as the items have it, so that the table's order of texts is that of times.
fn text(time: DateTime<Utc>) -> Result<AttributeValue, Error> {
    serde_dynamo::to_attribute_value(time).map_err(|error| Error::Ledger(error.to_string()))
}

fn item<T: Serialize>(value: &T) -> Result<Item, Error> {
    serde_dynamo::to_item(value).map_err(|error| Error::Ledger(error.to_string()))
}

/// The item of a value, with its key and its end.
fn keyed<T: Serialize>(key: &Key, value: &T, expires_at: DateTime<Utc>) -> Result<Item, Error> {
    let mut item = item(value)?;
    item.insert("pk".into(), AttributeValue::S(key.pk.clone()));
    item.insert("sk".into(), AttributeValue::S(key.sk.clone()));
    item.insert("expires_at".into(), seconds(expires_at));
    Ok(item)
}

pub(super) fn read<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(|error| Error::Ledger(error.to_string()))
}

/// How long items are kept.
pub fn expires_at(now: DateTime<Utc>, retention_days: u32) -> DateTime<Utc> {
    now + TimeDelta::days(i64::from(retention_days))
}
