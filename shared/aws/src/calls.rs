//! How many calls were made, and how many were turned away: what an operator needs to see before EMR's small quotas
//! become somebody else's outage.
//!
//! Separate because it watches the clients from inside the SDK, as one of its interceptors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_runtime::retries::classifiers::THROTTLING_ERRORS;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Calls to AWS since they were last counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls as our code made them.
    pub made: u64,
    /// Attempts beyond the first of each call.
    pub retries: u64,
    /// Attempts that AWS turned away because they came too fast.
    pub throttles: u64,
}

/// The interceptor; clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct CallCount {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    made: AtomicU64,
    attempts: AtomicU64,
    throttles: AtomicU64,
}

impl CallCount {
    /// The calls counted so far.
    pub(super) fn made(&self) -> u64 {
        self.counts.made.load(Ordering::Relaxed)
    }

    /// What was counted, beginning anew.
    pub(super) fn take(&self) -> Calls {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let made = take(&self.counts.made);
        Calls {
            made,
            retries: take(&self.counts.attempts).saturating_sub(made),
            throttles: take(&self.counts.throttles),
        }
    }
}

#[dyn_dispatch_hint]
impl Intercept for CallCount {
    fn name(&self) -> &'static str {
        "CallCount"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.counts.made.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.counts.attempts.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.response().is_some_and(is_throttle) {
            self.counts.throttles.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Does the answer say that we are too fast? The SDK's own list of such codes, wherever the service's protocol has its
/// code: a header of JSON over REST, or somewhere in a small body.
fn is_throttle(response: &HttpResponse) -> bool {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return false;
    }
    let header = response.headers().get("x-amzn-errortype").unwrap_or_default();
    let body = response.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
    status.as_u16() == 429
        || THROTTLING_ERRORS
            .iter()
            .any(|code| header.starts_with(code) || body.contains(code))
}
