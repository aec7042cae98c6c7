//! Calls that do more when they are made twice, and that AWS gives no token to tell one from the other by.
//!
//! The SDK makes a call again when its answer is lost, or is a 500. Where that could do the same thing twice, whoever calls
//! has to look first: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>.

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority, RetryReason,
};
use aws_smithy_types::retry::ErrorKind;

/// Only what AWS turned away because it came too fast is asked again: nothing was done.
#[derive(Debug)]
pub(crate) struct Once;

impl ClassifyRetry for Once {
    fn classify_retry(&self, _: &InterceptorContext) -> RetryAction {
        RetryAction::NoActionIndicated
    }

    fn classify_retry_v2(&self, _: &InterceptorContext, previous: &RetryAction) -> RetryAction {
        let throttled = ErrorKind::ThrottlingError;
        match previous {
            RetryAction::RetryIndicated(RetryReason::RetryableError { kind, .. }) if *kind != throttled => {
                RetryAction::RetryForbidden
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "once"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
