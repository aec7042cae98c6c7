//! Every AWS call that the system makes, one method each, named for its intent; and what a Lambda function needs besides:
//! its settings ([`config`]), what one invocation is ([`invocation`]), answers ([`outcome`]) and what of it is counted
//! ([`metrics`]).
//!
//! The clients are the SDK's own and concrete: where the functions run in the simulated account, that account stands
//! in as the SDK's HTTP client, and everything above it, signing, retries, paging and parsing, is what runs on AWS.

mod active_steps;
mod calls;
mod cloudwatch;
mod cluster_tags;
pub mod config;
mod dynamodb;
mod ec2;
mod emr;
mod emr_listings;
mod environment;
pub mod error;
mod fis;
pub mod invocation;
mod meter;
pub mod metrics;
mod once;
pub mod outcome;
mod s3;
mod s3_ranges;
mod step_info;
mod turns;

use std::time::Duration;

use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use chrono::{DateTime, Utc};

pub use active_steps::Noted;
pub use calls::Calls;
pub use cluster_tags::Primary;
pub use dynamodb::{Saved, expires_at};
pub use ec2::Described;
pub use emr::{INSTANCES_LISTED_MAX, InstanceListing};
pub use emr_listings::{ListedCluster, STEP_IDS_MAX};
pub use fis::{ACTION, ExperimentState, ExperimentTemplate, Lever, RESOURCE_TYPE, ThrowAway};
pub use meter::Meter;
pub use s3::{Found, Listed, Object};
pub use s3_ranges::RangeReader;
pub use turns::Turn;

pub use error::Error;
pub use outcome::Outcome;

use calls::CallCount;
use cloudwatch::CloudWatch;
use step_info::StepInfo;

/// The clients, and the time that they sign with.
#[derive(Debug, Clone)]
pub struct Aws {
    cloudwatch: CloudWatch,
    dynamodb: aws_sdk_dynamodb::Client,
    ec2: aws_sdk_ec2::Client,
    emr: aws_sdk_emr::Client,
    fis: aws_sdk_fis::Client,
    s3: aws_sdk_s3::Client,
    region: String,
    time: SharedTimeSource,
    calls: CallCount,
    step_info: StepInfo,
}

/// The most attempts of one call. EMR's buckets refill with one call in two seconds; the SDK's back-off reaches that
/// rate with its fourth attempt.
const ATTEMPTS_MAX: u32 = 6;

/// The longest that one attempt may take.
const ATTEMPT_SECONDS_MAX: u64 = 20;

impl Aws {
    /// Clients for this configuration.
    pub fn new(config: &SdkConfig) -> Self {
        let config = config
            .to_builder()
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(5))
                    .operation_attempt_timeout(Duration::from_secs(ATTEMPT_SECONDS_MAX))
                    .build(),
            )
            .build();
        let partition = retry_partition();
        let calls = CallCount::default();
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(&config)
            .retry_partition(partition.clone())
            .interceptor(calls.clone())
            .build();
        let ec2 = aws_sdk_ec2::config::Builder::from(&config)
            .retry_partition(partition.clone())
            .interceptor(calls.clone())
            .build();
        let step_info = StepInfo::default();
        let emr = aws_sdk_emr::config::Builder::from(&config)
            .retry_partition(partition.clone())
            .interceptor(calls.clone())
            .interceptor(step_info.clone())
            .build();
        let fis = aws_sdk_fis::config::Builder::from(&config)
            .retry_partition(partition.clone())
            .interceptor(calls.clone())
            .build();
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .retry_partition(partition.clone())
            .interceptor(calls.clone())
            // Behind an endpoint of one's own, a bucket is a path: its name is no host there.
            .force_path_style(config.endpoint_url().is_some())
            .build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            emr: aws_sdk_emr::Client::from_conf(emr),
            fis: aws_sdk_fis::Client::from_conf(fis),
            s3: aws_sdk_s3::Client::from_conf(s3),
            region: config
                .region()
                .map(|region| region.as_ref().to_owned())
                .unwrap_or_default(),
            time: config.time_source().unwrap_or_default(),
            cloudwatch: CloudWatch {
                config,
                partition,
                calls: calls.clone(),
            },
            calls,
            step_info,
        }
    }

    /// The Region of the calls; empty if none is set.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The calls made since this was last asked.
    pub fn take_calls(&self) -> Calls {
        self.calls.take()
    }

    /// The calls made since they were last taken, without taking them.
    pub fn calls_so_far(&self) -> u64 {
        self.calls.made()
    }

    /// The time that requests are signed with: the system's on AWS, the simulation's in the simulated account. There
    /// is no other clock in the functions.
    pub fn now(&self) -> DateTime<Utc> {
        self.time.now().into()
    }
}

/// A budget of retries that belongs to these clients alone, and refills with time. The SDK's own default is one
/// budget for the whole process that refills with successes only: a warm function that met an outage would refuse to
/// retry in its next invocation.
fn retry_partition() -> RetryPartition {
    let bucket = TokenBucket::builder().capacity(500).refill_rate(5.0).build();
    RetryPartition::custom("spot-drill").token_bucket(bucket).build()
}

/// A required member of an answer.
fn required<T>(value: Option<T>, name: &'static str) -> Result<T, Error> {
    value.ok_or_else(|| Error::Answer(format!("{name} is missing")))
}

/// The SDK's time as ours; to the millisecond, which is as fine as AWS's services are.
fn time(time: &aws_smithy_types::DateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(time.to_millis().ok()?)
}
