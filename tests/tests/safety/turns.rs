//! Turns at EMR: the deployment keeps to its share of the quotas, and nothing is lost or emptied while somebody waits.

use account::journal::Kind;
use aws::Turn;
use aws::config::EmrShare;
use chrono::{DateTime, TimeDelta, Utc};
use local::fault::Faults;
use local::world::World;

use crate::places::{has_old, put_old, submit};
use crate::staging::*;

fn share(percent: u32) -> EmrShare {
    percent.to_string().parse().unwrap()
}

/// Has so many ask for a turn at once; when each has it, in seconds, and `None` for who was sent away.
async fn ask(world: &World, percent: u32, count: usize, patience: TimeDelta) -> Vec<Option<i64>> {
    let begun_at = world.clock.now();
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move {
                let turn = aws(&world).take_turn(&table(&world), share(percent), patience).await;
                (turn != Turn::NotSoon).then(|| (world.clock.now() - begun_at).num_seconds())
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.push(task.await.unwrap());
    }
    waits.sort_unstable();
    waits
}

#[test]
fn turns_come_by_the_share_some_at_once_and_the_others_one_by_one() {
    in_a_world(1, &[], no_faults(), async |world| {
        let patience = TimeDelta::minutes(10);
        let some = ask(&world, 20, 5, patience).await;
        assert_eq!(
            some,
            [0, 0, 10, 20, 30].map(Some),
            "a fifth of ten at once, and of one in two seconds"
        );
        sleep(60).await;
        assert_eq!(ask(&world, 100, 12, patience).await[9..], [0, 2, 4].map(Some));
        sleep(60).await;
        assert_eq!(
            ask(&world, 20, 4, TimeDelta::seconds(10)).await,
            [None, Some(0), Some(0), Some(10)]
        );
        sleep(60).await;
        assert_eq!(
            ask(&world, 20, 1, TimeDelta::zero()).await,
            [Some(0)],
            "who was sent away took none"
        );
    });
}

#[test]
fn where_the_ledger_does_not_answer_nobody_is_held_back() {
    let silent = Faults {
        errors_percent: 100,
        ..no_faults()
    };
    in_a_world(1, &[], silent, async |world| {
        let turn = aws(&world).take_turn(&table(&world), share(1), TimeDelta::zero()).await;
        assert_eq!(turn, Turn::AtOnce);
    });
}

/// When the function asked EMR, by operation.
fn asked(world: &World, function: &str, operation: &str) -> Vec<DateTime<Utc>> {
    let state = world.lock();
    let entries = state.account.journal.entries().iter();
    entries
        .filter(|entry| entry.kind == Kind::Call && entry.subject == operation && entry.data["caller"] == function)
        .map(|entry| entry.at)
        .collect()
}

#[test]
fn steps_that_begin_at_once_are_read_one_by_one_and_meanwhile_nobody_empties_what_they_write_to() {
    in_a_world(1, &[], no_faults(), async |world| {
        put_old(&world);
        cluster_up(&world, small("checks")).await;
        let mut cluster = small("writer");
        cluster["StepConcurrencyLevel"] = serde_json::json!(8);
        let writer = cluster_up(&world, cluster).await;
        sleep(60).await;
        let before = asked(&world, "spot-drill-StartExperiment", "DescribeStep").len();
        add_steps(&world, &writer, serde_json::json!(vec![spark(&[RESULTS]); 8]));
        sleep(15).await;
        let early = asked(&world, "spot-drill-StartExperiment", "DescribeStep").len() - before;
        assert!((1..8).contains(&early), "{early} of 8 are read");
        assert_eq!(noted(&world).await.len(), 8, "all are noted");
        let error = submit(&world, "checks", "x").await.unwrap_err();
        assert!(error.contains("names that place") && has_old(&world), "{error}");
        sleep(90).await;
        let times = asked(&world, "spot-drill-StartExperiment", "DescribeStep");
        let times = &times[before..];
        assert!(times.len() >= 8, "{} are read", times.len());
        let in_ten_seconds = times.iter().map(|from| {
            times
                .iter()
                .filter(|at| **at >= *from && **at < *from + TimeDelta::seconds(10))
                .count()
        });
        assert!(in_ten_seconds.max() <= Some(3), "{times:?}");
    });
}
