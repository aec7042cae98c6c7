//! Calls to DynamoDB for the steps that have not ended, and for how far the sweeps have come.
//!
//! Separate from the other items because almost nothing here is conditional: what is written twice is the same, and what
//! is there too long is found out by whoever it keeps from something.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, Utc};
use rules::ledger::{self, ActiveStep, Key, Sweep};

use super::Aws;
use super::dynamodb::{PAGES_MAX, Saved, expires_at, read};
use crate::error::Error;

/// What the ledger said of a step that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// Nobody watches it. The note is deleted.
    Unwatched,
    /// It is watched. The note stands.
    Watched,
    /// Nothing: nobody told of its begin, or the note is deleted already.
    Nothing,
}

impl Aws {
    /// Notes a step that has not ended, and the places that it names. Noted again, it is the same item.
    pub async fn note_active(&self, table: &str, step: &ActiveStep) -> Result<(), Error> {
        let expires = expires_at(step.seen_at, ActiveStep::DAYS_MAX);
        self.put_item(table, &Key::active(&step.cluster_id, &step.step_id), step, expires)
            .await
    }

    /// Notes a step that nobody watches, unless it is watched already: its cluster may have been opted out since.
    pub async fn note_unwatched(&self, table: &str, step: &ActiveStep) -> Result<(), Error> {
        let key = Key::active(&step.cluster_id, &step.step_id);
        let expires = expires_at(step.seen_at, ActiveStep::DAYS_MAX);
        let condition = "attribute_not_exists(pk) OR watched = :no";
        let values = vec![(":no", AttributeValue::Bool(false))];
        let saved: Saved<_> = self.put_under(table, &key, step, expires, condition, values).await?;
        drop(saved);
        Ok(())
    }

    /// Forgets a step that has ended if nobody watches it; tells in one call what the ledger said of it.
    pub async fn forget_unwatched(&self, table: &str, cluster_id: &str, step_id: &str) -> Result<Noted, Error> {
        let key = Key::active(cluster_id, step_id);
        let answer = self
            .dynamodb
            .delete_item()
            .table_name(table)
            .key("pk", AttributeValue::S(key.pk))
            .key("sk", AttributeValue::S(key.sk))
            .condition_expression("watched = :no")
            .expression_attribute_values(":no", AttributeValue::Bool(false))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Noted::Unwatched),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(failed)) => Ok(match failed.item {
                    Some(_) => Noted::Watched,
                    None => Noted::Nothing,
                }),
                _ => Err(Error::aws("forgetting the step that ended", error)),
            },
        }
    }

    /// The step has ended, and stands in nobody's way any more. One that nobody noted is no error.
    pub async fn forget_active(&self, table: &str, cluster_id: &str, step_id: &str) -> Result<(), Error> {
        let key = Key::active(cluster_id, step_id);
        self.dynamodb
            .delete_item()
            .table_name(table)
            .key("pk", AttributeValue::S(key.pk))
            .key("sk", AttributeValue::S(key.sk))
            .send()
            .await
            .map_err(|error| Error::aws("forgetting the step that ended", error))?;
        Ok(())
    }

    /// The steps that have not ended as far as anybody has seen, of all clusters.
    pub async fn active_steps(&self, table: &str) -> Result<Vec<ActiveStep>, Error> {
        let mut pages = self
            .dynamodb
            .query()
            .table_name(table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(ledger::ACTIVE.into()))
            .into_paginator()
            .send();
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else {
                return Ok(found);
            };
            let page = page.map_err(|error| Error::aws("reading the active steps", error))?;
            for item in page.items.unwrap_or_default() {
                found.push(read(item)?);
            }
        }
        // What is not read may name any place.
        Err(Error::Ledger("there are too many active steps to read".into()))
    }

    /// How far the sweeps have come; nothing, before the first.
    pub async fn sweep(&self, table: &str) -> Result<Sweep, Error> {
        Ok(self.get(table, &Key::sweep()).await?.unwrap_or_default())
    }

    /// Notes how far the sweeps have come. The last word counts: what one forgets of another's is looked at again.
    pub async fn save_sweep(&self, table: &str, sweep: &Sweep, expires_at: DateTime<Utc>) -> Result<(), Error> {
        self.put_item(table, &Key::sweep(), sweep, expires_at).await
    }
}
