//! EC2 takes back thousands of Spot Instances in ten seconds: each warning is recorded, once, while it is still worth it.
//!
//! `RECLAIM=10000` takes so many.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use account::ec2::{Launch, Market};
use account::journal::Kind;
use local::fault::Faults;
use local::world::World;
use tests::in_a_world;
use tests::ledger::recorded;

/// Instances by the cluster, as large fleets have them.
const OF_A_CLUSTER: usize = 250;
/// So long does the reclaim last.
const SECONDS: usize = 10;

fn count() -> usize {
    std::env::var("RECLAIM").map_or(1000, |count| count.parse().expect("RECLAIM is a number"))
}

fn launch(world: &World, count: usize) -> Vec<String> {
    let now = world.clock.now();
    let mut state = world.lock();
    (0..count)
        .map(|number| {
            let tags = BTreeMap::from([
                ("aws:elasticmapreduce:instance-group-role".to_owned(), "TASK".to_owned()),
                (
                    "aws:elasticmapreduce:job-flow-id".to_owned(),
                    format!("j-{:013}", number / OF_A_CLUSTER),
                ),
            ]);
            let launch = Launch {
                instance_type: "r5.xlarge".to_owned(),
                market: Market::Spot,
                availability_zone: String::new(),
                tags,
            };
            state.account.launch(now, launch).unwrap()
        })
        .collect()
}

#[test]
fn each_warning_of_a_mass_reclaim_is_recorded_once_and_within_its_two_minutes() {
    in_a_world(1, Faults::default(), async |world| {
        tokio::spawn(world.clone().run());
        let ids = launch(&world, count());
        world.changed();
        tokio::time::sleep(Duration::from_secs(300)).await;
        for second in ids.chunks(ids.len().div_ceil(SECONDS)) {
            let now = world.clock.now();
            for id in second {
                world.lock().account.interrupt_naturally(now, id);
            }
            world.changed();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(Duration::from_secs(600)).await;
        let state = world.lock();
        let items = recorded(&state);
        assert_eq!(items.len(), ids.len(), "each has its item");
        let journal = state.account.journal.entries().iter();
        let calls =
            journal.filter(|entry| entry.kind == Kind::Call && entry.data["caller"] == "spot-drill-RecordInterruption");
        let (mut updates, mut descriptions, mut throttled, mut late) = (0, 0, 0, 0);
        let begun_at = state
            .account
            .ec2
            .instance(&ids[0])
            .unwrap()
            .interruption
            .as_ref()
            .unwrap()
            .noticed_at;
        for call in calls {
            throttled += usize::from(!call.data["error"].is_null());
            match call.subject.as_str() {
                "UpdateItem" => {
                    updates += 1;
                    late += usize::from((call.at - begun_at).num_seconds() > 120);
                }
                _ => descriptions += 1,
            }
        }
        assert!(
            updates >= ids.len() && throttled == 0,
            "{updates} writes, {throttled} throttled"
        );
        // Of those that were told twice, the second may come a minute and a half later.
        assert!(late * 1000 <= ids.len(), "{late} were written too late");
        // A batch holds two hundred, or what came within five seconds; what is told twice comes by itself.
        let most = ids.len() / 25;
        assert!(
            descriptions <= most,
            "{descriptions} DescribeInstances, more than {most}"
        );
    });
}
