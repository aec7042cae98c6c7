//! A deployment that may not run many functions at once: what finds no execution waits, and what waits too long is kept.

use chrono::TimeDelta;
use local::busy_region::{concurrent, invocations};
use rules::drill::Claim;
use serde_json::Value;

use crate::interim::{LONG, hours, long};
use crate::staging::*;

const FUNCTIONS: [&str; 2] = ["spot-drill-StartExperiment", "spot-drill-WriteReport"];

#[test]
fn one_after_the_other_all_get_their_reports() {
    in_a_world(1, &[("FunctionConcurrency", "1")], no_faults(), async |world| {
        prepare(&world);
        let mut clusters = Vec::new();
        for number in 0..6 {
            clusters.push(cluster_up(&world, small(&format!("c-{number}"))).await);
        }
        let mut steps = Vec::new();
        for cluster_id in &clusters {
            steps.push((cluster_id, run_step(&world, cluster_id, short()).await));
        }
        sleep(3600).await;
        let state = world.lock();
        for (cluster_id, step_id) in steps {
            assert!(has_report(&state, cluster_id, &step_id), "{cluster_id} {step_id}");
        }
        for name in FUNCTIONS {
            let told = invocations(&state, name);
            assert!(told.len() >= clusters.len(), "{name}: {}", told.len());
            assert_eq!(concurrent(&told), 1, "{name}");
        }
    });
}

#[test]
fn an_event_that_finds_no_execution_while_it_is_young_is_in_the_dead_letter_queue() {
    in_a_world(1, &[("FunctionConcurrency", "1")], no_faults(), async |world| {
        world.lock().account.ec2.set_spot_capacity(Some(0));
        world.lock().account.emr.set_workload(LONG, hours(3.0));
        let mut clusters = Vec::new();
        for number in 0..4 {
            // Without a task instance a drill waits for a quarter of an hour.
            clusters.push(cluster_up(&world, workshop(&format!("c-{number}"), 0)).await);
        }
        for cluster_id in &clusters {
            run_step(&world, cluster_id, long()).await;
        }
        sleep(7200).await;
        let state = world.lock();
        let dead: Vec<Value> = state.queues["DeadLetterQueue"]
            .messages()
            .map(|message| serde_json::from_str(&message.body).unwrap())
            .collect();
        let conditions: Vec<&Value> = dead.iter().map(|one| &one["requestContext"]["condition"]).collect();
        assert_eq!(conditions, ["EventAgeExceeded"], "{dead:?}");
        assert_eq!(dead[0]["requestPayload"]["detail"]["clusterId"], clusters[3]);
    });
}

/// Both find that the cluster is free, and both claim it.
#[test]
fn of_two_drills_that_find_a_cluster_free_at_once_one_has_it() {
    for seed in 1..=8 {
        in_a_world(seed, &[("DelaySeconds", "5")], no_events(), async |world| {
            prepare(&world);
            let cluster_id = cluster_up(&world, workshop("c", 32)).await;
            let before = run_step(&world, &cluster_id, short()).await;
            let told = running(&world, &cluster_id, &before);
            invoke(&world, "StartExperiment", "before", told).await.unwrap();
            until(&world, |state| step_of(state, &cluster_id, &before).state.is_over()).await;
            let experiments = || world.lock().account.fis.experiments().count();
            let earlier = experiments();
            let mut both = Vec::new();
            for place in [RESULTS, OUT] {
                both.push(run_step(&world, &cluster_id, spark(&[place])).await);
            }
            let drill = async |id: &str| {
                let told = running(&world, &cluster_id, id);
                invoke(&world, "StartExperiment", id, told).await.unwrap()
            };
            let answers = tokio::join!(drill(&both[0]), drill(&both[1]));
            assert_eq!(experiments() - earlier, 1, "seed {seed}: {answers:?}");
        });
    }
}

/// Its report may be late, or lost: EMR says whether the step goes on, but not for longer than a day.
#[test]
fn a_claim_holds_a_cluster_until_its_step_ends_or_the_claim_has_run_out() {
    for (until_hours, outcome, words) in [
        (1, "refused", "has the cluster until that step ends"),
        (-2, "drilled", ""),
    ] {
        in_a_world(1, &[("DelaySeconds", "5")], no_events(), async |world| {
            let cluster_id = cluster_up(&world, workshop("c", 32)).await;
            let holder = run_step(&world, &cluster_id, spark(&[OUT])).await;
            let claim = Claim {
                cluster_id: cluster_id.clone(),
                step_id: holder.clone(),
                until: world.clock.now() + TimeDelta::hours(until_hours),
                released: false,
            };
            let expires = aws::expires_at(world.clock.now(), 1);
            aws(&world)
                .claim_cluster(&table(&world), &claim, expires)
                .await
                .unwrap();
            let step_id = run_step(&world, &cluster_id, spark(&[RESULTS])).await;
            let told = running(&world, &cluster_id, &step_id);
            let answer = invoke(&world, "StartExperiment", "one", told).await.unwrap();
            assert!(!step_of(&world.lock(), &cluster_id, &holder).state.is_over());
            let reason = answer["reason"].as_str().unwrap_or_default();
            assert!(answer["outcome"] == outcome && reason.contains(words), "{answer}");
        });
    }
}
