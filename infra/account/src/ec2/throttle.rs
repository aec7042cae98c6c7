//! EC2's request throttling: a token bucket for each API.
//!
//! Separate because its figures are a table of their own, and nothing else of EC2 depends on them.

use std::collections::BTreeMap;

use crate::api::{ApiError, Time};

/// The tokens left, by API.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    buckets: BTreeMap<String, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Time,
}

impl Throttle {
    //= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/throttling.html
    /// Takes a token for one request. `filtered` says whether it has a filter or asks for pages: some APIs have a
    /// smaller bucket for requests without. A request that only lists ids is assumed to have neither.
    pub(super) fn request(&mut self, operation: &str, filtered: bool, now: Time) -> Result<(), ApiError> {
        let whole = !filtered && matches!(operation, "DescribeInstances" | "DescribeSpotInstanceRequests");
        let (capacity, refill_per_second) = match operation {
            _ if whole => (50.0, 10.0),
            "CreateTags" => (100.0, 10.0),
            "TerminateInstances" => (100.0, 5.0),
            _ if operation.starts_with("Describe") => (100.0, 20.0),
            _ => (50.0, 5.0),
        };
        let name = if whole {
            format!("{operation} without filter or pages")
        } else {
            operation.to_owned()
        };
        self.take(name, 1.0, capacity, refill_per_second, now)
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/throttling.html
    /// Takes a token for each instance to terminate.
    pub(super) fn terminate(&mut self, instances: usize, now: Time) -> Result<(), ApiError> {
        self.take(
            "TerminateInstances, instances".to_owned(),
            instances as f64,
            1000.0,
            20.0,
            now,
        )
    }

    fn take(&mut self, name: String, tokens: f64, capacity: f64, refill: f64, now: Time) -> Result<(), ApiError> {
        let bucket = self.buckets.entry(name).or_insert(Bucket {
            tokens: capacity,
            filled_at: now,
        });
        let seconds = (now - bucket.filled_at).as_seconds_f64().max(0.0);
        bucket.tokens = (bucket.tokens + seconds * refill).min(capacity);
        bucket.filled_at = now;
        if bucket.tokens < tokens {
            return Err(ApiError::with_status(
                503,
                "RequestLimitExceeded",
                "Request limit exceeded.",
            ));
        }
        bucket.tokens -= tokens;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn an_empty_bucket_refuses_until_it_is_refilled() {
        let (mut throttle, now) = (Throttle::default(), Time::UNIX_EPOCH);
        let accepted = (0..200)
            .filter(|_| throttle.request("DescribeInstances", true, now).is_ok())
            .count();
        assert_eq!(accepted, 100);
        let refused = throttle.request("DescribeInstances", true, now).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (503, "RequestLimitExceeded"));
        let later = now + TimeDelta::seconds(1);
        assert_eq!(
            (0..200)
                .filter(|_| throttle.request("DescribeInstances", true, later).is_ok())
                .count(),
            20
        );
    }

    #[test]
    fn an_idle_bucket_overflows() {
        let (mut throttle, now) = (Throttle::default(), Time::UNIX_EPOCH);
        throttle.request("CreateTags", true, now).unwrap();
        let later = now + TimeDelta::hours(1);
        assert_eq!(
            (0..200)
                .filter(|_| throttle.request("CreateTags", true, later).is_ok())
                .count(),
            100
        );
    }

    #[test]
    fn requests_without_a_filter_have_a_smaller_bucket_of_their_own() {
        let (mut throttle, now) = (Throttle::default(), Time::UNIX_EPOCH);
        assert_eq!(
            (0..200)
                .filter(|_| throttle.request("DescribeInstances", false, now).is_ok())
                .count(),
            50
        );
        assert!(throttle.request("DescribeInstances", true, now).is_ok());
    }
}
