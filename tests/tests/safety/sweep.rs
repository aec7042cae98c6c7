//! The sweep: every step that ended gets its report, although no event told of it, at the account's real quotas; and no
//! left-over template stays.

use std::collections::{BTreeMap, BTreeSet};

use account::emr::{ClusterState, StepState};
use account::journal::Kind;
use local::world::World;
use rules::cluster::{ManagedScaling, ScalingLimits};
use rules::ledger::ActiveStep;
use serde_json::{Value, json};

use crate::staging::*;

fn unreported(world: &World, clusters: &[String]) -> usize {
    let state = world.lock();
    let has = |id: &&String| {
        let steps = &cluster_of(&state, id).steps;
        steps.iter().all(|step| has_report(&state, id, &step.id))
    };
    clusters.len() - clusters.iter().filter(has).count()
}

#[test]
fn hundreds_of_clusters_that_ended_are_all_reached_and_emrs_quota_is_left_to_others() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let mut clusters = Vec::new();
        for number in 0..350 {
            clusters.push(run_cluster(&world, transient(small(&format!("t-{number}")))));
            sleep(10).await;
        }
        until(&world, |state| {
            let mut clusters = state.account.emr.clusters();
            clusters.all(|one| one.state == ClusterState::Terminated)
        })
        .await;
        // Well inside of the day that the sweep looks back.
        for hour in 0..16 {
            if unreported(&world, &clusters) == 0 {
                break;
            }
            assert!(hour < 12, "{} are without a report", unreported(&world, &clusters));
            sleep(3600).await;
        }
        let throttled = calls(&world, |entry| entry["error"] == "ThrottlingException");
        assert_eq!(throttled, 0, "the sweep leaves half of each quota");
        // What was looked at after its end is done with: an hour costs no more than lists of clusters.
        let before = calls(&world, |entry| entry["action"] == "elasticmapreduce:ListSteps");
        sleep(3600).await;
        let after = calls(&world, |entry| entry["action"] == "elasticmapreduce:ListSteps");
        assert_eq!(after, before, "clusters that ended are looked at once");
    });
}

fn calls(world: &World, is_one: impl Fn(&Value) -> bool) -> usize {
    let state = world.lock();
    let entries = state.account.journal.entries().iter();
    let by_us = entries.filter(|entry| entry.kind == Kind::Call && entry.data["caller"] == "spot-drill-WriteReport");
    by_us.filter(|entry| is_one(&entry.data)).count()
}

#[test]
fn a_cluster_that_emr_has_trouble_with_hides_no_other_and_is_named() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let mut clusters = BTreeMap::new();
        for name in ["a", "b", "c"] {
            let id = cluster_up(&world, small(name)).await;
            clusters.insert(id.clone(), run_step(&world, &id, short()).await);
        }
        // The first of them in the sweep's order.
        let broken = clusters.keys().next().unwrap().clone();
        world.lock().account.emr.break_cluster(Some(&broken));
        leave_a_template(&world, "s-A").await;
        sleep(3 * 3600).await;
        let reported = |state: &local::world::State| {
            let has = |(id, step): (&String, &String)| has_report(state, id, step);
            clusters.iter().filter(|one| has(*one)).count()
        };
        assert_eq!(reported(&world.lock()), 2);
        assert_eq!(
            templates_left(&world),
            0,
            "templates are deleted whatever becomes of clusters"
        );
        let answer = sweep(&world).await.unwrap();
        let problems = answer["problems"].to_string();
        assert!(problems.contains(&broken), "{answer}");
        world.lock().account.emr.break_cluster(None);
        sleep(1800).await;
        assert_eq!(reported(&world.lock()), 3);
    });
}

#[test]
fn a_sweep_that_can_do_nothing_at_all_fails() {
    in_a_world(1, &[], no_events(), async |world| {
        let id = cluster_up(&world, small("a")).await;
        world.lock().account.emr.break_cluster(Some(&id));
        let error = sweep(&world).await.unwrap_err();
        assert!(error.contains("listing the steps"), "{error}");
    });
}

/// Other callers need the quota more: what is throttled is no trouble, and the next sweep's.
#[test]
fn a_sweep_whose_call_is_throttled_leaves_what_is_left_to_the_next() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let mut clusters = Vec::new();
        for name in ["a", "b"] {
            clusters.push(cluster_up(&world, small(name)).await);
        }
        take_all(&world, &clusters[0], "ListSteps", 3).await;
        let (answer, ()) = tokio::join!(sweep(&world), take_all(&world, &clusters[0], "ListSteps", 600));
        let answer = answer.unwrap();
        assert_eq!(
            (&answer["clusters"], &answer["problems"]),
            (&json!(0), &json!([])),
            "{answer}"
        );
        assert_eq!(answer["clusters_left"], 2, "{answer}");
        sleep(600).await;
        let answer = sweep(&world).await.unwrap();
        assert_eq!(
            (&answer["clusters"], &answer["clusters_left"]),
            (&json!(2), &json!(0)),
            "{answer}"
        );
    });
}

#[test]
fn a_cluster_that_emr_no_longer_knows_is_let_go() {
    in_a_world(1, &[], no_events(), async |world| {
        let active = ActiveStep {
            cluster_id: "j-1A2B3C4D5E6F7".into(),
            step_id: "s-1A2B3C4D5E6F7".into(),
            name: "check".into(),
            places: BTreeSet::new(),
            watched: true,
            unread: false,
            seen_at: world.clock.now(),
        };
        aws(&world).note_active(&table(&world), &active).await.unwrap();
        let answer = sweep(&world).await.unwrap();
        assert_eq!(
            (&answer["clusters"], &answer["problems"]),
            (&json!(1), &json!([])),
            "{answer}"
        );
        assert_eq!(aws(&world).active_steps(&table(&world)).await.unwrap(), []);
    });
}

fn templates_left(world: &World) -> usize {
    let state = world.lock();
    let templates = state.account.fis.templates();
    templates
        .filter(|one| one.definition.tags.contains_key("spot-drill:step"))
        .count()
}

#[test]
fn a_template_that_a_crash_left_is_deleted_once_no_drill_can_need_it() {
    in_a_world(1, &[], no_faults(), async |world| {
        leave_a_template(&world, "s-A").await;
        sleep(3600).await;
        assert_eq!(templates_left(&world), 1, "a drill may still need it");
        sleep(2 * 3600).await;
        assert_eq!(templates_left(&world), 0);
    });
}

#[test]
fn a_step_that_ran_for_days_beneath_many_short_ones_gets_its_report() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let id = cluster_up(&world, small("c")).await;
        // No node has as much: it waits in YARN until somebody cancels it.
        let long = step(&[
            "spark-submit",
            "--deploy-mode",
            "cluster",
            "--driver-memory",
            "900g",
            SHORT,
        ]);
        let long = run_step(&world, &id, long).await;
        for _ in 0..120 {
            add_steps(&world, &id, json!([step(&["s3-dist-cp", "--dest", "hdfs:///x"])]));
            sleep(120).await;
        }
        sleep(4 * 24 * 3600).await;
        assert_eq!(step_of(&world.lock(), &id, &long).state, StepState::Running);
        cancel(&world, &id, &long);
        sleep(2 * 3600).await;
        assert!(has_report(&world.lock(), &id, &long));
    });
}

#[test]
fn steps_beyond_the_first_page_of_a_cluster_get_their_reports() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let id = cluster_up(&world, small("c")).await;
        let first = run_step(&world, &id, short()).await;
        let copy = step(&["s3-dist-cp", "--dest", "hdfs:///x"]);
        for _ in 0..7 {
            add_steps(&world, &id, json!(vec![&copy; 10]));
        }
        sleep(4 * 3600).await;
        assert!(
            cluster_of(&world.lock(), &id)
                .steps
                .iter()
                .all(|step| step.state.is_over())
        );
        assert!(has_report(&world.lock(), &id, &first));
        assert_eq!(noted(&world).await, [""; 0], "and nothing is called active any more");
    });
}

#[test]
fn a_sweep_goes_on_where_time_ended_the_last_one() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let mut clusters = Vec::new();
        for number in 0..260 {
            let mut cluster = small(&format!("c-{number}"));
            cluster["Instances"]["InstanceGroups"]
                .as_array_mut()
                .unwrap()
                .truncate(1);
            clusters.push(run_cluster(&world, cluster));
            sleep(1).await;
        }
        clusters.push(cluster_up(&world, small("with steps")).await);
        clusters.sort();
        // On the last that a sweep comes to, each time, if it begins with the first.
        let id = clusters.last().unwrap();
        let step_id = run_step(&world, id, step(&["spark-submit", SHORT])).await;
        if cluster_of(&world.lock(), id).instances.len() < 2 {
            // Without a node the application waits: its end is somebody's wish.
            sleep(60).await;
            cancel(&world, id, &step_id);
        }
        sleep(4 * 3600).await;
        assert!(has_report(&world.lock(), id, &step_id));
    });
}

/// Neither where EMR tells of its end, nor where the sweep comes upon it.
#[test]
fn a_step_that_ended_before_it_began_has_no_report() {
    for faults in [no_faults(), no_events()] {
        in_a_world(1, &[], faults, async |world| {
            let cluster_id = cluster_up(&world, workshop("c", 16)).await;
            let first = run_step(&world, &cluster_id, short()).await;
            let second = add_steps(&world, &cluster_id, json!([short()])).remove(0);
            cancel(&world, &cluster_id, &second);
            until(&world, |state| step_of(state, &cluster_id, &first).state.is_over()).await;
            sleep(3_600).await;
            sweep(&world).await.unwrap();
            let state = world.lock();
            let cancelled = step_of(&state, &cluster_id, &second);
            assert_eq!((cancelled.state.as_str(), cancelled.started_at), ("CANCELLED", None));
            assert!(has_report(&state, &cluster_id, &first));
            assert!(!has_report(&state, &cluster_id, &second));
        });
    }
}

#[test]
fn interrupted_is_an_end() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let id = cluster_up(&world, small("c")).await;
        let step_id = run_step(&world, &id, short()).await;
        until(&world, |state| step_of(state, &id, &step_id).state.is_over()).await;
        let mut event = running(&world, &id, &step_id);
        event["detail"]["state"] = json!("INTERRUPTED");
        let answer = invoke(&world, "WriteReport", "r", event).await.unwrap();
        assert_eq!(answer["outcome"], "reported", "{answer}");
    });
}

#[test]
fn where_nobody_looked_when_the_step_ended_the_report_says_up_to_what_emr_scales() {
    let told = (1..40).find_map(|seed| {
        let run = tests::tell("workshop", seed, &["lost=60"]);
        run.steps.first()?.report().ok()?.targets.managed_scaling
    });
    let limits = ScalingLimits {
        unit: Some("InstanceFleetUnits".into()),
        most: Some(68),
        on_demand_most: Some(4),
    };
    assert_eq!(told, Some(ManagedScaling::Within(limits)));
}

#[test]
fn a_step_that_ended_just_now_is_left_to_its_own_event() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let cluster_id = cluster_up(&world, small("c")).await;
        let step_id = run_step(&world, &cluster_id, short()).await;
        until(&world, |state| step_of(state, &cluster_id, &step_id).state.is_over()).await;
        sleep(60).await;
        sweep(&world).await.unwrap();
        assert!(
            !has_report(&world.lock(), &cluster_id, &step_id),
            "its event may be on its way"
        );
        sleep(600).await;
        sweep(&world).await.unwrap();
        assert!(has_report(&world.lock(), &cluster_id, &step_id));
    });
}

/// What no version of ours ever wrote.
fn put_unreadable_drill(world: &World, cluster_id: &str, step_id: &str) {
    let key = rules::ledger::Key::drill(cluster_id, step_id);
    let item = json!({"pk": {"S": key.pk}, "sk": {"S": key.sk}, "version": {"S": "many"}});
    let request = json!({"TableName": table(world), "Item": item}).to_string();
    let put = world.lock().account.dynamodb.call("PutItem", request.as_bytes());
    put.unwrap();
}

#[test]
fn a_step_of_which_the_ledger_cannot_be_read_hides_no_other_and_is_named() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let cluster_id = cluster_up(&world, small("c")).await;
        let steps = add_steps(&world, &cluster_id, json!([short(), short(), short()]));
        for step_id in &steps {
            until(&world, |state| step_of(state, &cluster_id, step_id).state.is_over()).await;
        }
        put_unreadable_drill(&world, &cluster_id, &steps[1]);
        sleep(700).await;
        let answer = sweep(&world).await.unwrap();
        let problems = answer["problems"].to_string();
        assert!(problems.contains(&steps[1]), "{answer}");
        let state = world.lock();
        let has = |step_id: &String| has_report(&state, &cluster_id, step_id);
        assert_eq!(steps.iter().map(has).collect::<Vec<_>>(), [true, false, true]);
    });
}

#[test]
fn a_cluster_that_is_seen_alive_again_is_looked_at_again() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let cluster_id = cluster_up(&world, small("c")).await;
        let step_id = run_step(&world, &cluster_id, short()).await;
        until(&world, |state| step_of(state, &cluster_id, &step_id).state.is_over()).await;
        // EC2's answers are only consistent in the end: once it did not name the cluster's instances, and the cluster was
        // taken for one that had ended.
        let mut so_far = aws(&world).sweep(&table(&world)).await.unwrap();
        so_far.watches.remove(&cluster_id);
        so_far.done.insert(cluster_id.clone());
        let expires = aws::expires_at(world.clock.now(), 400);
        aws(&world).save_sweep(&table(&world), &so_far, expires).await.unwrap();
        sleep(700).await;
        sweep(&world).await.unwrap();
        sleep(1800).await;
        assert!(has_report(&world.lock(), &cluster_id, &step_id));
    });
}

/// The ledger has a step for active until its end is seen; but after more than a day nobody is told of it any more.
#[test]
fn a_step_that_ended_longer_ago_than_the_sweep_looks_back_is_let_go_without_a_report() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let id = cluster_up(&world, small("ours")).await;
        let step_id = run_step(&world, &id, short()).await;
        let event = running(&world, &id, &step_id);
        invoke(&world, "StartExperiment", "one", event).await.unwrap();
        // EMR has trouble with the cluster for so long that no sweep sees the step's end.
        world.lock().account.emr.break_cluster(Some(&id));
        sleep(26 * 3600).await;
        world.lock().account.emr.break_cluster(None);
        assert_eq!(noted(&world).await, std::slice::from_ref(&step_id));
        sleep(3 * 3600).await;
        assert!(!has_report(&world.lock(), &id, &step_id));
        assert!(noted(&world).await.is_empty());
    });
}

#[test]
fn a_sweep_names_twenty_troubles_at_most() {
    in_a_world(1, &[], no_events(), async |world| {
        prepare(&world);
        let mut cluster = small("c");
        cluster["StepConcurrencyLevel"] = json!(8);
        let cluster_id = cluster_up(&world, cluster).await;
        let steps = add_steps(&world, &cluster_id, json!(vec![short(); 24]));
        for step_id in &steps {
            until(&world, |state| step_of(state, &cluster_id, step_id).state.is_over()).await;
            put_unreadable_drill(&world, &cluster_id, step_id);
        }
        sleep(700).await;
        let answer = sweep(&world).await.unwrap();
        assert_eq!(answer["problems"].as_array().map(Vec::len), Some(20), "{answer}");
    });
}

#[test]
fn a_template_that_is_just_as_old_as_is_asked_for_is_not_older() {
    in_a_world(1, &[], no_faults(), async |world| {
        leave_a_template(&world, "s-A").await;
        let created_at = {
            let state = world.lock();
            let templates = state.account.fis.templates();
            templates.map(|one| one.created_at).max().unwrap()
        };
        let older_than = async |at| aws(&world).leaked_throw_aways(at).await.unwrap().len();
        assert_eq!(older_than(created_at).await, 0);
        assert_eq!(older_than(created_at + chrono::TimeDelta::milliseconds(1)).await, 1);
    });
}
