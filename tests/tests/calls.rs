//! What is counted of the calls to AWS, by the SDK's own hooks, when the account is as sparing as EMR is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::sync::Arc;

use aws::Calls;
use local::fault::{Faults, Kind};
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

/// Each service has its own word for it, and the SDK and the count of calls must know them all.
#[test]
fn a_throttled_call_is_counted_as_one_whoever_throttles() {
    let faults = Faults {
        throttled_percent: 25,
        ..Faults::default()
    };
    in_a_world(3, faults, async |world| {
        let aws = world.aws("test", Arc::default());
        for _ in 0..10 {
            aws.drill("spot-drill-Ledger", "j-1", "s-1").await.unwrap();
        }
        world.lock().account.s3.create_bucket("bucket");
        for _ in 0..10 {
            aws.object("bucket", "none", 1).await.unwrap();
        }
        for _ in 0..10 {
            aws.safety_lever().await.unwrap();
        }
        let calls = aws.take_calls();
        assert_eq!((calls.made, calls.retries), (30, calls.throttles), "{calls:?}");
        let injected = world.lock().injected()[&Kind::Throttled];
        assert_eq!(calls.throttles, injected);
    });
}

#[test]
fn a_request_that_never_arrives_is_sent_again_and_done_once() {
    let faults = Faults {
        lost_requests_percent: 25,
        ..Faults::default()
    };
    in_a_world(4, faults, async |world| {
        let aws = world.aws("test", Arc::default());
        world.lock().account.s3.create_bucket("bucket");
        for number in 0..10 {
            aws.put("bucket", &format!("k{number}"), "text/plain", vec![1])
                .await
                .unwrap();
        }
        let calls = aws.take_calls();
        let state = world.lock();
        let injected = state.injected()[&Kind::RequestLost];
        assert_eq!((calls.made, calls.retries, calls.throttles), (10, injected, 0));
        assert_eq!(state.account.s3.list("bucket", "").unwrap().len(), 10);
    });
}
