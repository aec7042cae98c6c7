//! Turns at EMR: its quotas belong to the account and Region, and the whole deployment keeps to a share of them.
//!
//! Separate from the calls themselves, since a turn is taken before a look that makes several: at most one call of each kind
//! of which EMR gives one back in two seconds. One item of the ledger says when turns are free again, as the generic cell
//! rate algorithm reckons it, so that functions that know nothing of each other come one after the other.
//! <https://docs.aws.amazon.com/general/latest/gr/emr.html#limits_emr>

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use chrono::{DateTime, TimeDelta, Utc};
use rules::ledger::Key;

use super::Aws;
use crate::config::EmrShare;
use crate::error::Error;

/// How a turn was had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It was free.
    AtOnce,
    /// It was waited for, and it is now.
    Waited,
    /// None was free soon enough, and none was taken.
    NotSoon,
}

impl Aws {
    /// Takes the next turn at EMR that is free within `patience`, and waits for it.
    ///
    /// It is a courtesy to others, and no work is lost for it: where the ledger does not answer, the turn is taken to be free.
    pub async fn take_turn(&self, table: &str, share: EmrShare, patience: TimeDelta) -> Turn {
        let wait = match self.next_turn(table, share, patience).await {
            Ok(Some(wait)) => wait,
            Ok(None) => {
                tracing::warn!(
                    share_percent = share.percent(),
                    "held back: no turn at EMR is free soon enough"
                );
                return Turn::NotSoon;
            }
            Err(error) => {
                tracing::warn!(error = error.chain(), "whose turn at EMR it is, is not known");
                return Turn::AtOnce;
            }
        };
        if wait <= TimeDelta::zero() {
            return Turn::AtOnce;
        }
        tracing::warn!(
            seconds = wait.num_seconds(),
            share_percent = share.percent(),
            "held back until its turn at EMR"
        );
        tokio::time::sleep(wait.to_std().unwrap_or_default()).await;
        Turn::Waited
    }

    /// How long from now the turn is that was taken; `None`: it would be too long.
    async fn next_turn(&self, table: &str, share: EmrShare, patience: TimeDelta) -> Result<Option<TimeDelta>, Error> {
        let (now, every) = (self.now(), share.every());
        let ahead = every * (share.at_once() - 1);
        let fresh = [(":now", number(now)), (":next", number(now + every))];
        let is_free = "attribute_not_exists(free_at) OR free_at <= :now";
        if self
            .move_turn(table, "SET free_at = :next", is_free, &fresh)
            .await?
            .is_some()
        {
            return Ok(Some(TimeDelta::zero()));
        }
        let latest = now + ahead + patience;
        let queued = [
            (":every", AttributeValue::N(every.num_milliseconds().to_string())),
            (":latest", number(latest)),
        ];
        let is_soon = "free_at <= :latest";
        let moved = self
            .move_turn(table, "SET free_at = free_at + :every", is_soon, &queued)
            .await?;
        Ok(moved.map(|free_at| free_at - every - ahead - now))
    }

    /// Moves the time from which turns are free; `None`: the condition is not met.
    async fn move_turn(
        &self,
        table: &str,
        update: &str,
        condition: &str,
        values: &[(&str, AttributeValue)],
    ) -> Result<Option<DateTime<Utc>>, Error> {
        let key = Key::turns();
        let mut request = self
            .dynamodb
            .update_item()
            .table_name(table)
            .key("pk", AttributeValue::S(key.pk))
            .key("sk", AttributeValue::S(key.sk))
            .update_expression(update)
            .condition_expression(condition)
            .return_values(ReturnValue::UpdatedNew);
        for (name, value) in values {
            request = request.expression_attribute_values(*name, value.clone());
        }
        match request.send().await {
            Ok(answer) => {
                let attributes = answer.attributes.unwrap_or_default();
                let free_at = attributes.get("free_at").and_then(|value| value.as_n().ok());
                let ms = free_at.and_then(|ms| ms.parse().ok());
                ms.and_then(DateTime::from_timestamp_millis)
                    .map(Some)
                    .ok_or_else(|| Error::Ledger("the turns' item has no time".into()))
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(None),
                _ => Err(Error::aws("taking a turn at EMR", error)),
            },
        }
    }
}

fn number(time: DateTime<Utc>) -> AttributeValue {
    AttributeValue::N(time.timestamp_millis().to_string())
}
