//! The index of all reports: none is lost, and none is lost for it.

use std::time::Duration;

use account::api::Time;
use account::emr::StepState;
use account::journal::Kind;
use local::world::{State, World};
use tests::index::{href, page};

use crate::staging::*;

/// A cluster, and its short step that has its report.
async fn reported(world: &World) -> (String, String) {
    prepare(world);
    let cluster = cluster_up(world, small("nightly")).await;
    let step = add_steps(world, &cluster, serde_json::json!([short()])).remove(0);
    until(world, |state| has_report(state, &cluster, &step)).await;
    sleep(60).await;
    (cluster, step)
}

fn is_on(state: &State, cluster_id: &str, step_id: &str) -> bool {
    page(state).is_some_and(|page| page.contains(&href(cluster_id, step_id)))
}

/// How often somebody tried to write the index.
fn writes(state: &State) -> usize {
    let entries = state.account.journal.entries().iter();
    entries
        .filter(|entry| entry.kind == Kind::Call && entry.subject == "PutObject")
        .filter(|entry| entry.data.to_string().contains("reports/index.html"))
        .count()
}

#[test]
fn of_reports_written_at_the_same_time_the_index_loses_none() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let mut clusters = Vec::new();
        for number in 0..6 {
            clusters.push(cluster_up(&world, small(&format!("c-{number}"))).await);
        }
        let added = clusters.into_iter().map(|cluster| {
            let step = add_steps(&world, &cluster, serde_json::json!([short()])).remove(0);
            (cluster, step)
        });
        let steps: Vec<(String, String)> = added.collect();
        until(&world, |state| {
            steps
                .iter()
                .all(|(cluster, step)| step_of(state, cluster, step).state == StepState::Completed)
        })
        .await;
        // Nobody was told: so all are told at once.
        let tellings = steps.iter().map(|(cluster, step)| {
            let (world, cluster, step) = (world.clone(), cluster.clone(), step.clone());
            tokio::spawn(async move {
                let mut event = running(&world, &cluster, &step);
                event["detail"]["state"] = "COMPLETED".into();
                invoke(&world, "WriteReport", &step, event).await.unwrap()
            })
        });
        for telling in tellings.collect::<Vec<_>>() {
            let answer = telling.await.unwrap();
            assert_eq!(answer["outcome"], "reported", "{answer}");
        }
        let state = world.lock();
        for (cluster, step) in &steps {
            assert!(is_on(&state, cluster, step), "{cluster} {step}");
        }
        assert!(writes(&state) > steps.len(), "nobody met anybody");
    });
}

#[test]
fn what_the_index_lacks_comes_with_the_next_report_of_the_job() {
    in_a_world(1, &[], no_faults(), async |world| {
        let (cluster, first) = reported(&world).await;
        let uri = format!(
            "s3://{}/reports/index.html",
            world.lock().template.buckets["ReportBucket"]
        );
        let now = world.clock.now();
        world.lock().account.s3.put(&uri, "<p>not ours</p>", now).unwrap();
        let second = add_steps(&world, &cluster, serde_json::json!([short()])).remove(0);
        until(&world, |state| is_on(state, &cluster, &second)).await;
        let state = world.lock();
        assert!(is_on(&state, &cluster, &first));
        assert!(page(&state).unwrap().contains("2 drills of 1 job"));
    });
}

#[test]
fn an_index_that_cannot_be_kept_costs_no_report() {
    in_a_world(1, &[], no_faults(), async |world| {
        let uri = format!(
            "s3://{}/reports/index.html",
            world.lock().template.buckets["ReportBucket"]
        );
        let now = world.clock.now();
        world.lock().account.s3.put(&uri, vec![b'x'; 33 << 20], now).unwrap();
        let (cluster, step) = reported(&world).await;
        let state = world.lock();
        let outcome = state
            .account
            .journal
            .entries()
            .iter()
            .find(|entry| entry.kind == Kind::Invocation && entry.data["outcome"] == "reported");
        assert!(outcome.is_some() && has_report(&state, &cluster, &step));
        assert_eq!(writes(&state), 0);
    });
}

/// When the index was asked for by who had a report to add.
fn reads(state: &State) -> Vec<Time> {
    let entries = state.account.journal.entries().iter();
    let reads = entries.filter(|entry| entry.kind == Kind::Call && entry.subject == "GetObject");
    reads
        .filter(|entry| entry.data.to_string().contains("reports/index.html"))
        .map(|entry| entry.at)
        .collect()
}

#[test]
fn who_never_finds_the_index_as_it_was_tries_more_and_more_seldom_and_ends() {
    in_a_world(1, &[], no_faults(), async |world| {
        prepare(&world);
        let uri = format!(
            "s3://{}/reports/index.html",
            world.lock().template.buckets["ReportBucket"]
        );
        // Somebody else writes it all the time.
        let others = world.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let now = others.clock.now();
                others
                    .lock()
                    .account
                    .s3
                    .put(&uri, format!("<p>{number}</p>"), now)
                    .unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        reported(&world).await;
        let reads = reads(&world.lock());
        let pauses: Vec<i64> = reads
            .windows(2)
            .map(|two| (two[1] - two[0]).num_milliseconds())
            .collect();
        assert_eq!(reads.len(), 8, "{pauses:?}");
        assert!(
            pauses.windows(2).all(|two| two[0] < two[1]) && pauses[6] >= 3_200,
            "{pauses:?}"
        );
    });
}

#[test]
fn once_a_week_the_index_says_what_is_new_in_it() {
    in_a_world(1, &[], no_faults(), async |world| {
        let (_, step) = reported(&world).await;
        // From Friday on: Monday morning comes once.
        sleep(3 * 86_400).await;
        let state = world.lock();
        let entries = state.account.journal.entries().iter();
        let told: Vec<_> = entries
            .filter(|entry| entry.kind == Kind::Invocation && entry.data["outcome"] == "digest")
            .collect();
        let [digest] = told.as_slice() else {
            panic!("{} digests", told.len())
        };
        assert_eq!(digest.at.format("%a %H:%M").to_string(), "Mon 08:00");
        assert_eq!(digest.data["drills"], 1, "{}", digest.data);
        let sentence = digest.data["sentence"].as_str().unwrap();
        assert!(
            sentence.starts_with("1 drill of 1 job in the last seven days: 1 "),
            "{sentence}"
        );
        let bucket = &state.template.buckets["ReportBucket"];
        assert_eq!(digest.data["index"], format!("s3://{bucket}/reports/index.html"));
        assert!(page(&state).unwrap().contains(&step));
    });
}
