//! How many calls EMR answers: a token bucket for each operation that has one, and one for all together.
//!
//! Separate because it knows nothing of clusters, and because it is what a client that polls too often meets first.
//!
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-service-limits-what-are.html
//= https://docs.aws.amazon.com/general/latest/gr/emr.html#limits_emr

use std::collections::BTreeMap;

use crate::api::{ApiError, Time};

/// The bucket that every call takes from.
const ALL: &str = "";

/// Operation, calls in a burst, thousandths of a call that come back each second. Operations that are not here have no
/// published bucket of their own: assumed to be limited by the one for all calls only.
const LIMITS: [(&str, u64, u64); 8] = [
    (ALL, 25, 5_000),
    ("DescribeCluster", 10, 1_000),
    ("DescribeStep", 10, 500),
    ("ListClusters", 20, 500),
    ("ListInstanceFleets", 5, 500),
    ("ListInstanceGroups", 10, 1_000),
    ("ListInstances", 10, 500),
    ("ListSteps", 10, 500),
];

/// One call, in the unit that the buckets count. In millionths of a call, what a millisecond gives back is a whole
/// number.
const CALL: u64 = 1_000_000;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: u64,
    filled_at: Time,
}

/// The buckets' levels.
#[derive(Debug, Default)]
pub(super) struct Quota {
    buckets: BTreeMap<&'static str, Bucket>,
}

impl Quota {
    /// Takes one call from the operation's bucket and from the one for all calls; an error if either is empty.
    /// Assumed: a call that is refused costs nothing.
    pub(super) fn take(&mut self, operation: &str, now: Time) -> Result<(), ApiError> {
        let limits: Vec<_> = LIMITS
            .iter()
            .filter(|(name, ..)| *name == ALL || *name == operation)
            .collect();
        for (name, burst, refill) in &limits {
            let full = burst * CALL;
            let bucket = self.buckets.entry(name).or_insert(Bucket {
                tokens: full,
                filled_at: now,
            });
            let elapsed_ms = u64::try_from((now - bucket.filled_at).num_milliseconds()).unwrap_or(0);
            bucket.tokens = full.min(bucket.tokens.saturating_add(elapsed_ms.saturating_mul(*refill)));
            bucket.filled_at = now;
        }
        if limits.iter().any(|(name, ..)| self.buckets[name].tokens < CALL) {
            return Err(ApiError::client("ThrottlingException", "Rate exceeded"));
        }
        for (name, ..) in &limits {
            if let Some(bucket) = self.buckets.get_mut(name) {
                bucket.tokens -= CALL;
            }
        }
        Ok(())
    }
}

impl Quota {
    /// So much comes back in so many milliseconds that pass for clients, and not here.
    pub(super) fn refill(&mut self, milliseconds: u64) {
        for (name, burst, refill) in &LIMITS {
            if let Some(bucket) = self.buckets.get_mut(name) {
                bucket.tokens = (burst * CALL).min(bucket.tokens.saturating_add(milliseconds.saturating_mul(*refill)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    #[test]
    fn what_passes_for_clients_alone_brings_calls_back_too() {
        let mut quota = Quota::default();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        while quota.take("DescribeStep", now).is_ok() {}
        quota.refill(1_999);
        assert!(quota.take("DescribeStep", now).is_err());
        quota.refill(1);
        assert!(quota.take("DescribeStep", now).is_ok());
        quota.refill(3_600_000);
        let calls = std::iter::repeat_with(|| quota.take("DescribeStep", now)).take_while(Result::is_ok);
        assert_eq!(calls.count(), 10);
    }

    #[test]
    fn the_eleventh_quick_list_instances_is_throttled_and_one_comes_back_after_two_seconds() {
        let mut quota = Quota::default();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for _ in 0..10 {
            quota.take("ListInstances", now).unwrap();
        }
        assert_eq!(
            quota.take("ListInstances", now).unwrap_err().code,
            "ThrottlingException"
        );
        assert!(
            quota
                .take("ListInstances", now + TimeDelta::milliseconds(1_999))
                .is_err()
        );
        assert!(
            quota
                .take("ListInstances", now + TimeDelta::milliseconds(2_000))
                .is_ok()
        );
        assert!(
            quota
                .take("ListInstances", now + TimeDelta::milliseconds(2_000))
                .is_err()
        );
    }

    #[test]
    fn all_operations_together_have_twenty_five_calls() {
        let mut quota = Quota::default();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for _ in 0..25 {
            quota.take("AddTags", now).unwrap();
        }
        assert!(quota.take("DescribeStep", now).is_err());
        assert!(quota.take("DescribeStep", now + TimeDelta::milliseconds(200)).is_ok());
    }
}
