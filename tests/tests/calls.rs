//! What is counted of the calls to AWS, by the SDK's own hooks, when the account is as sparing as EMR is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::sync::Arc;

use aws::Calls;
use local::fault::Faults;
use tests::in_a_world;

#[test]
fn a_throttled_call_counts_once_and_each_further_attempt_too() {
    in_a_world(1, Faults::default(), async |world| {
        let aws = world.aws("test", Arc::default());
        for _ in 0..30 {
            assert_eq!(aws.active_clusters().await.unwrap(), []);
        }
        let calls = aws.take_calls();
        assert_eq!(calls.made, 30);
        assert!(calls.throttles > 0, "EMR's listings have a small quota: {calls:?}");
        // Nothing else goes wrong in this world.
        assert_eq!(calls.retries, calls.throttles);
        assert_eq!(aws.take_calls(), Calls::default(), "counting begins anew");
    });
}

#[test]
fn an_answer_that_is_lost_is_a_retry_and_no_throttle() {
    let faults = Faults {
        lost_answers_percent: 30,
        ..Faults::default()
    };
    in_a_world(2, faults, async |world| {
        let aws = world.aws("test", Arc::default());
        for step in 0..10 {
            aws.drill("spot-drill-Ledger", "j-1", &format!("s-{step}"))
                .await
                .unwrap();
        }
        let calls = aws.take_calls();
        assert_eq!((calls.made, calls.throttles), (10, 0));
        assert!(calls.retries > 0, "{calls:?}");
    });
}
