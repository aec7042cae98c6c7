//! Calls: quotas, pages, errors, and the same answers for the same seed.
//!
//! Separate from what the calls are about.

use super::*;

#[test]
fn the_eleventh_quick_list_instances_is_throttled() {
    let (mut world, id) = World::workshop(4);
    let input = json!({"ClusterId": id, "InstanceFleetType": "TASK", "InstanceStates": ["RUNNING"]});
    for _ in 0..10 {
        world.call("ListInstances", &input).unwrap();
    }
    let error = world.call("ListInstances", &input).unwrap_err();
    assert_eq!(
        (error.status, error.code.as_str(), error.message.as_str()),
        (400, "ThrottlingException", "Rate exceeded")
    );
    world.wait(2);
    assert!(world.call("ListInstances", &input).is_ok());
}

#[test]
fn lists_come_in_pages_of_fifty_newest_steps_first() {
    let (mut world, id) = World::workshop(5);
    let steps: Vec<_> = (0..120).map(|n| other_step(&format!("step {n}"), "CONTINUE")).collect();
    world.ask("AddJobFlowSteps", &json!({"JobFlowId": id, "Steps": steps}));
    let mut names = Vec::new();
    let mut input = json!({"ClusterId": id});
    loop {
        let page = world.ask("ListSteps", &input);
        let steps = page["Steps"].as_array().unwrap();
        assert!(steps.len() <= 50);
        names.extend(steps.iter().map(|step| step["Name"].as_str().unwrap().to_owned()));
        match page.get("Marker") {
            Some(marker) => input["Marker"] = marker.clone(),
            None => break,
        }
    }
    assert_eq!(names.len(), 120);
    assert_eq!((names[0].as_str(), names[119].as_str()), ("step 119", "step 0"));
    let more: Vec<_> = (0..137).map(|n| other_step(&n.to_string(), "CONTINUE")).collect();
    let error = world
        .call("AddJobFlowSteps", &json!({"JobFlowId": id, "Steps": more}))
        .unwrap_err();
    assert_eq!(error.code, "ValidationException");
}

#[test]
fn steps_filtered_by_state_come_in_another_order_and_pages_may_be_small() {
    let (mut world, id) = World::workshop(15);
    let steps: Vec<_> = (0..5).map(|n| other_step(&format!("step {n}"), "CONTINUE")).collect();
    world.ask("AddJobFlowSteps", &json!({"JobFlowId": id, "Steps": steps}));
    world.emr.set_page(2);
    let names = |world: &mut World, mut input: Value| {
        let mut names = Vec::new();
        for _ in 0..5 {
            let page = world.ask("ListSteps", &input);
            let steps = page["Steps"].as_array().unwrap();
            assert!(steps.len() <= 2);
            names.extend(steps.iter().map(|step| step["Name"].as_str().unwrap()[5..].to_owned()));
            match page.get("Marker") {
                Some(marker) => input["Marker"] = marker.clone(),
                None => break,
            }
        }
        names
    };
    let states = json!(["PENDING", "RUNNING"]);
    assert_eq!(names(&mut world, json!({"ClusterId": id})), ["4", "3", "2", "1", "0"]);
    assert_eq!(
        names(&mut world, json!({"ClusterId": id, "StepStates": states})),
        ["0", "1", "2", "3", "4"]
    );
}

#[test]
fn protection_tags_and_wrong_ids_are_answered_as_emr_does() {
    let (mut world, id) = World::workshop(13);
    world.ask(
        "SetTerminationProtection",
        &json!({"JobFlowIds": [id], "TerminationProtected": true}),
    );
    let error = world
        .call("TerminateJobFlows", &json!({"JobFlowIds": [id]}))
        .unwrap_err();
    assert_eq!(error.code, "ValidationException");
    world.ask(
        "AddTags",
        &json!({"ResourceId": id, "Tags": [{"Key": "team", "Value": "data"}]}),
    );
    assert!(world.ec2.instances().all(|instance| instance.tags["team"] == "data"));
    world.ask("RemoveTags", &json!({"ResourceId": id, "TagKeys": ["team"]}));
    assert!(
        world
            .ec2
            .instances()
            .all(|instance| !instance.tags.contains_key("team"))
    );
    let error = world
        .call("DescribeCluster", &json!({"ClusterId": "j-NONE"}))
        .unwrap_err();
    assert_eq!(
        error,
        ApiError {
            error_code: Some("NoSuchCluster"),
            ..ApiError::client("InvalidRequestException", "Cluster id 'j-NONE' is not valid.")
        }
    );
    assert_eq!(world.call("CreateStudio", &json!({})).unwrap_err().status, 501);
    world.ask(
        "SetTerminationProtection",
        &json!({"JobFlowIds": [id], "TerminationProtected": false}),
    );
    world.ask("TerminateJobFlows", &json!({"JobFlowIds": [id]}));
    world.wait(120);
    let described = world.ask("DescribeCluster", &json!({"ClusterId": id}));
    let status = &described["Cluster"]["Status"];
    assert_eq!(
        (&status["State"], &status["StateChangeReason"]["Code"]),
        (&json!("TERMINATED"), &json!("USER_REQUEST"))
    );
    assert!(status["Timeline"]["EndDateTime"].is_number());
    assert_eq!(
        world.ask("ListClusters", &json!({"ClusterStates": ["WAITING"]}))["Clusters"],
        json!([])
    );
}

#[test]
fn the_same_seed_gives_the_same_journal() {
    let run = |seed| {
        let (mut world, id) = World::workshop(seed);
        world.add_step(&id, &spark_step("Spark application"));
        world.wait(1_200);
        format!("{:?}{:?}", world.journal, world.events)
    };
    assert_eq!(run(21), run(21));
    assert_ne!(run(21), run(22));
}

#[test]
fn instances_that_ended_a_month_ago_are_not_listed_and_2000_at_most_are() {
    let (mut world, id) = World::workshop(1);
    let living = world.cluster().instances.len();
    let now = world.now;
    let listed = |world: &mut World| {
        let (mut all, mut marker) = (Vec::new(), Value::Null);
        loop {
            let mut input = json!({"ClusterId": id});
            if !marker.is_null() {
                input["Marker"] = marker;
            }
            let page = world.ask("ListInstances", &input);
            all.extend(page["Instances"].as_array().unwrap().clone());
            marker = page["Marker"].clone();
            if marker.is_null() {
                return all;
            }
        }
    };
    let before = |hours: i64| now - TimeDelta::hours(hours);
    world.emr.set_past(&id, &[before(24 * 29), before(24 * 31)]);
    assert_eq!(listed(&mut world).len(), living + 1);
    let ends: Vec<Time> = (1..=600).flat_map(|hours| [before(hours); 4]).collect();
    world.emr.set_past(&id, &ends);
    let all = listed(&mut world);
    assert_eq!(all.len(), 2_000);
    let is_living = |one: &&Value| one["Status"]["State"] != "TERMINATED";
    assert_eq!(all.iter().filter(is_living).count(), living);
    let ended = |one: &Value| one["Status"]["Timeline"]["EndDateTime"].as_f64();
    let first = all.iter().filter_map(ended).min_by(f64::total_cmp).unwrap();
    let hours_ago = (now.timestamp() as f64 - first) / 3_600.0;
    assert!((hours_ago * 4.0 - (2_000 - living) as f64).abs() < 4.0, "{hours_ago}");
}
