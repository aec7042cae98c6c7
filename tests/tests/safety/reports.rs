//! Which runs a report compares with, and that a report which had to do without more never takes the place of another.

use aws::expires_at;
use chrono::TimeDelta;
use rules::drill::{Drill, Finished, Written};
use serde_json::json;

use crate::staging::*;
use crate::waits::take_all;

#[test]
fn a_run_is_compared_with_earlier_ones_that_completed_and_that_nothing_interrupted() {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| !notices(state).is_empty()).await;
        let drill = drill_of(&world, &cluster_id, &step_id).await;
        let began = drill.started_at.unwrap();
        let expires = expires_at(world.clock.now(), 400);
        // Each but the first is none to compare with, for one reason.
        for (number, (state, run_seconds, hours, interrupted, outlived)) in [
            ("COMPLETED", 200, -1, 0, false),
            ("FAILED", 10, -2, 0, false),
            ("COMPLETED", 20, 1, 0, false),
            ("COMPLETED", 30, -3, 2, false),
            ("COMPLETED", 40, -4, 0, true),
        ]
        .into_iter()
        .enumerate()
        {
            let at = began + TimeDelta::hours(hours);
            let mut other = Drill::new("j-EARLIER", &format!("s-{number}"));
            other.job.clone_from(&drill.job);
            other.started_at = Some(at);
            other.finished = Some(Finished {
                state: state.into(),
                at: at + TimeDelta::seconds(run_seconds),
            });
            other.report = Some(Written {
                verdict: "survived".into(),
                location: "s3://b/".into(),
                missing: 0,
                run_seconds: Some(run_seconds),
                interrupted,
                outlived,
                rows: None,
                by: None,
            });
            aws(&world)
                .save_drill(&table(&world), &mut other, expires)
                .await
                .unwrap();
        }
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
        let cost = report_of(&world, &cluster_id, &step_id).cost;
        assert_eq!((cost.undisturbed_runs, cost.median_undisturbed_seconds), (1, Some(200)));
        assert_eq!((cost.disturbed_runs, cost.median_disturbed_seconds), (1, Some(30)));
    });
}

#[test]
fn a_report_that_knows_less_leaves_the_one_that_knows_more() {
    // The event log may not be read, so the report is not whole, and may be written again.
    in_a_world(1, &[("EventLogBucketArns", "")], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
        sleep(1200).await;
        let before = report_of(&world, &cluster_id, &step_id);
        assert!(
            before.missing.iter().any(|one| one.what == "event log"),
            "{:?}",
            before.missing
        );
        let mut payload = running(&world, &cluster_id, &step_id);
        payload["detail"]["state"] = json!("COMPLETED");
        take_all(&world, &cluster_id, "ListInstances", 3).await;
        let (answer, ()) = tokio::join!(
            invoke(&world, "WriteReport", "again", payload),
            take_all(&world, &cluster_id, "ListInstances", 600),
        );
        let after = report_of(&world, &cluster_id, &step_id);
        assert_eq!(after, before, "{answer:?}");
    });
}
