//! Reads that AWS answers as they were a while ago.
//!
//! Separate because the account always knows the newest: an answer grows old on the way to its caller.

use std::collections::BTreeMap;

use account::api::Time;
use account::wire::{self, Service};
use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::Value;

use super::State;
use crate::fault::Kind;

/// So old an answer is at most: AWS names no limit.
const AGE_MAX: TimeDelta = TimeDelta::seconds(60);

/// A read, by its operation and what it asks for.
pub(super) type Read = (String, Bytes);

/// What each read was last answered, and when.
pub(super) type Answered = BTreeMap<Read, (Time, http::Response<Bytes>)>;

/// A request that is a read, and consistent only in the end.
//= https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
//= https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html
pub(super) fn read(request: &http::Request<Bytes>) -> Option<Read> {
    let call = wire::decode(request).ok()?;
    let is_one = match call.service {
        Service::Ec2 => call.operation.starts_with("Describe"),
        Service::DynamoDb => {
            let is_consistent = || {
                let input: Value = serde_json::from_slice(request.body()).unwrap_or_default();
                input["ConsistentRead"] == true
            };
            matches!(call.operation.as_str(), "GetItem" | "Query" | "Scan") && !is_consistent()
        }
        _ => false,
    };
    is_one.then(|| (call.operation, request.body().clone()))
}

impl State {
    /// The answer that the caller gets: this one, or what the same read was answered before.
    pub(super) fn perhaps_stale(
        &mut self,
        now: Time,
        caller: &str,
        read: Read,
        fresh: http::Response<Bytes>,
    ) -> http::Response<Bytes> {
        let before = self.answered.get(&read).filter(|(at, _)| now - *at <= AGE_MAX).cloned();
        let percent = self.faults.stale_percent;
        match before {
            Some((_, before)) if self.way(caller).u32(..100) < percent => {
                self.inject(Kind::Stale);
                before
            }
            _ => {
                self.answered.insert(read, (now, fresh.clone()));
                fresh
            }
        }
    }

    /// May reads be stale in this run?
    pub(super) fn has_stale_reads(&self) -> bool {
        self.faults.stale_percent > 0
    }
}
