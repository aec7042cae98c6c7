//! What lies between two drills of a cluster, and between two waves of one.

use std::collections::BTreeSet;

use aws::Saved;
use chrono::TimeDelta;
use local::world::World;
use rules::drill::{Drill, DrillState, Wave};
use rules::victim::Victim;
use serde_json::json;

use crate::staging::*;

/// So long, in seconds, is a cluster left alone after a drill.
const INTERVAL: [(&str, &str); 1] = [("DrillIntervalSecondsMin", "3600")];

/// A step of the workshop's, from its begin to some seconds after its end: what became of its drill.
async fn drilled(world: &World, cluster_id: &str) -> Drill {
    let step_id = run_step(world, cluster_id, spark(&[OUT])).await;
    until(world, |state| step_of(state, cluster_id, &step_id).state.is_over()).await;
    sleep(60).await;
    let drill = aws(world).drill(&table(world), cluster_id, &step_id).await.unwrap();
    drill.unwrap()
}

#[test]
fn a_cluster_is_left_alone_after_a_drill_as_long_as_somebody_asks_and_no_longer() {
    in_a_world(1, &INTERVAL, no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        assert_eq!(drilled(&world, &cluster_id).await.state, Some(DrillState::Started));
        sleep(600).await;
        let second = drilled(&world, &cluster_id).await;
        assert_eq!(second.state, Some(DrillState::Refused));
        let reason = second.reason.unwrap_or_default();
        assert!(reason.contains("3600 s must lie between"), "{reason}");
        sleep(3600).await;
        assert_eq!(drilled(&world, &cluster_id).await.state, Some(DrillState::Started));
    });
}

#[test]
fn a_drill_that_interrupted_nobody_lets_its_cluster_go_at_once() {
    in_a_world(1, &INTERVAL, no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        world.lock().account.fis.set_safety_lever(true, "change freeze");
        assert_eq!(drilled(&world, &cluster_id).await.state, Some(DrillState::Refused));
        world.lock().account.fis.set_safety_lever(false, "over");
        assert_eq!(drilled(&world, &cluster_id).await.state, Some(DrillState::Started));
    });
}

/// When the second wave comes the first one's victims run still, for some seconds.
#[test]
fn no_instance_is_a_victim_of_two_waves() {
    let waves = [
        ("Waves", "2"),
        ("WaveIntervalSeconds", "120"),
        ("InstancesToInterrupt", "3"),
    ];
    for seed in 1..6 {
        in_a_world(seed, &waves, no_faults(), async |world| {
            let cluster_id = cluster_up(&world, workshop("c", 24)).await;
            let drill = drilled(&world, &cluster_id).await;
            let victims: Vec<&str> = drill
                .waves
                .iter()
                .flat_map(|wave| &wave.victims)
                .map(|victim| victim.instance_id.as_str())
                .collect();
            let different: BTreeSet<&str> = victims.iter().copied().collect();
            assert!(
                victims.len() > 3,
                "seed {seed}: there is a second wave: {:?}",
                drill.reason
            );
            assert_eq!(different.len(), victims.len(), "seed {seed}: {victims:?}");
        });
    }
}

#[test]
fn a_second_wave_that_was_never_asked_for_and_whose_victims_are_gone_is_forgotten_and_the_first_stays() {
    in_a_world(1, &[("Waves", "2")], no_events(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        // As an invocation leaves it that died when it had written down the second wave.
        let now = world.clock.now();
        let mut drill = Drill::new(&cluster_id, &step_id);
        (drill.state, drill.started_at) = (Some(DrillState::Started), Some(now));
        (drill.holder, drill.lease_until) = (Some("before".into()), Some(now - TimeDelta::seconds(1)));
        let wave = |number, experiment_id: Option<&str>| Wave {
            number,
            token: drill.token(number),
            victims: vec![Victim::of_arn(format!(
                "arn:aws:ec2:us-sim-1:000000000000:instance/i-0000000000000000{number}"
            ))],
            preview: false,
            template_id: None,
            experiment_id: experiment_id.map(str::to_owned),
            asked_at: Some(now),
            status: experiment_id.map(|_| "completed".into()),
            reason: None,
            resolved: Vec::new(),
        };
        let waves = vec![wave(1, Some("EXP8fFJQnwzGFFVvM4")), wave(2, None)];
        drill.waves = waves;
        let saved = aws(&world)
            .save_drill(&table(&world), &mut drill, now + TimeDelta::days(1))
            .await;
        assert!(matches!(saved, Ok(Saved::Yes)), "{saved:?}");
        let payload = running(&world, &cluster_id, &step_id);
        let answer = invoke(&world, "StartExperiment", "one", payload).await.unwrap();
        assert_eq!(
            (&answer["outcome"], &answer["experiments"]),
            (&json!("drilled"), &json!(["EXP8fFJQnwzGFFVvM4"]))
        );
        let drill = drill_of(&world, &cluster_id, &step_id).await;
        assert_eq!(drill.waves.iter().map(|wave| wave.number).collect::<Vec<_>>(), [1]);
        assert!(
            drill
                .reason
                .as_deref()
                .is_some_and(|reason| reason.starts_with("wave 2: ")),
            "{:?}",
            drill.reason
        );
        assert_eq!(world.lock().account.fis.experiments().count(), 0);
    });
}
