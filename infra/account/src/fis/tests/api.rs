//! What FIS's API answers and refuses: client tokens, quotas, validation, lists, tags.
//!
//! Separate because these are rules of the API, not of what experiments do.

use super::*;

#[test]
fn a_client_token_starts_one_experiment_even_after_its_template_is_gone() {
    let mut world = World::new(3);
    let template_id = world.template(template(running_task_nodes("COUNT(1)")));
    let input = json!({"experimentTemplateId": template_id, "clientToken": "once"});
    let first = world.call("StartExperiment", input.clone()).unwrap();
    world
        .call("DeleteExperimentTemplate", json!({"id": template_id}))
        .unwrap();
    world.wait(60);
    let second = world.call("StartExperiment", input).unwrap();
    assert_eq!(first["experiment"]["id"], second["experiment"]["id"]);
    assert_eq!(second["experiment"]["state"]["status"], "completed");
    let other = json!({"experimentTemplateId": template_id, "clientToken": "once", "tags": {"a": "b"}});
    let refused = world.call("StartExperiment", other).unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (409, "ConflictException"));
    let refused = world
        .call("StartExperiment", json!({"experimentTemplateId": template_id}))
        .unwrap_err();
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (404, "ResourceNotFoundException")
    );
    assert_eq!(world.fis.experiments().count(), 1);
}

#[test]
fn the_sixth_active_experiment_is_refused() {
    let mut world = World::new(1);
    let id = world.template(template(running_task_nodes("COUNT(1)")));
    for _ in 0..5 {
        world.start_again(&id);
    }
    let refused = world
        .call("StartExperiment", json!({"experimentTemplateId": id}))
        .unwrap_err();
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (402, "ServiceQuotaExceededException")
    );
    world.wait(60);
    world.start_again(&id);
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table, which says more in one place")]
fn a_template_that_cannot_work_is_refused() {
    let mut world = World::new(1);
    let arns: Vec<String> = (0..6).map(|i| format!("i-0123456789abcdef{i}")).collect();
    let task = || running_task_nodes("COUNT(1)");
    let actions: serde_json::Map<_, _> = (0..21)
        .map(|i| {
            (
                format!("a{i}"),
                json!({"actionId": "aws:fis:wait", "parameters": {"duration": "PT1M"}}),
            )
        })
        .collect();
    let interrupt = "/actions/interrupt";
    for (input, code) in [
        (template(running_task_nodes("COUNT(0)")), "ValidationException"),
        (template(these(&arns)), "ValidationException"),
        (
            changed(these(&arns[..1]), "/targets/Victims/resourceTags", json!({"a": "b"})),
            "ValidationException",
        ),
        (
            changed(these(&arns[..1]), "/targets/Victims/resourceArns", json!(["i-1"])),
            "ValidationException",
        ),
        (
            changed(task(), &format!("{interrupt}/actionId"), json!("aws:ec2:typo")),
            "ValidationException",
        ),
        (
            changed(
                task(),
                &format!("{interrupt}/targets"),
                json!({"SpotInstances": "Nobody"}),
            ),
            "ValidationException",
        ),
        (
            changed(task(), &format!("{interrupt}/targets"), json!({"Instances": "Victims"})),
            "ValidationException",
        ),
        (
            changed(task(), &format!("{interrupt}/startAfter"), json!(["interrupt"])),
            "ValidationException",
        ),
        (
            changed(
                task(),
                &format!("{interrupt}/parameters"),
                json!({"durationBeforeInterruption": "PT16M"}),
            ),
            "ValidationException",
        ),
        (
            changed(task(), "/stopConditions", json!([{"source": "aws:cloudwatch:alarm"}])),
            "ValidationException",
        ),
        (changed(task(), "/roleArn", json!(null)), "ValidationException"),
        (
            changed(task(), "/actions", Value::Object(actions)),
            "ServiceQuotaExceededException",
        ),
        (
            changed(
                task(),
                "/stopConditions",
                Value::from(vec![json!({"source": "none"}); 6]),
            ),
            "ServiceQuotaExceededException",
        ),
    ] {
        let refused = world.call("CreateExperimentTemplate", input.clone());
        assert_eq!(refused.map_err(|it| it.code), Err(code.to_owned()), "{input}");
    }
}

#[test]
fn an_update_replaces_what_it_names_and_what_cannot_work_is_refused() {
    let mut world = World::new(1);
    let id = world.template(template(running_task_nodes("COUNT(1)")));
    let before = world.call("GetExperimentTemplate", json!({"id": id})).unwrap()["experimentTemplate"].clone();
    world.wait(60);
    let update =
        json!({"id": id, "description": "another", "experimentOptions": {"emptyTargetResolutionMode": "skip"}});
    let after = world.call("UpdateExperimentTemplate", update).unwrap()["experimentTemplate"].clone();
    assert_eq!(
        (after["description"].as_str(), &after["targets"]),
        (Some("another"), &before["targets"])
    );
    assert_eq!(after["experimentOptions"]["emptyTargetResolutionMode"], "skip");
    assert_eq!(after["creationTime"], before["creationTime"]);
    assert!(after["lastUpdateTime"].as_f64() > before["lastUpdateTime"].as_f64());
    for (update, code) in [
        (json!({"id": id, "targets": {}}), "ValidationException"),
        (json!({"id": id, "actions": {}}), "ValidationException"),
        (json!({"id": "EXT1", "description": "x"}), "ResourceNotFoundException"),
    ] {
        let refused = world.call("UpdateExperimentTemplate", update.clone());
        assert_eq!(refused.map_err(|it| it.code), Err(code.to_owned()), "{update}");
    }
    assert_eq!(
        world.call("GetExperimentTemplate", json!({"id": id})).unwrap()["experimentTemplate"],
        after
    );
}

#[test]
fn tags_and_lists_cover_templates_and_experiments() {
    let mut world = World::new(2);
    let ids: Vec<String> = (0..3)
        .map(|_| world.template(template(running_task_nodes("COUNT(1)"))))
        .collect();
    let experiment_id = world.start_again(&ids[0]);
    let first = world
        .call("ListExperimentTemplates", json!({"maxResults": "2"}))
        .unwrap();
    assert_eq!(first["experimentTemplates"].as_array().unwrap().len(), 2);
    let rest = json!({"maxResults": 2, "nextToken": first["nextToken"]});
    let second = world.call("ListExperimentTemplates", rest).unwrap();
    assert_eq!(second["experimentTemplates"].as_array().unwrap().len(), 1);
    assert!(second["nextToken"].is_null());
    let of = |id: &str| json!({"experimentTemplateId": id});
    let listed = world.call("ListExperiments", of(&ids[0])).unwrap();
    assert_eq!(listed["experiments"][0]["id"], experiment_id.as_str());
    assert_eq!(
        world.call("ListExperiments", of(&ids[1])).unwrap()["experiments"],
        json!([])
    );
    for resource in [
        format!("experiment-template/{}", ids[0]),
        format!("experiment/{experiment_id}"),
    ] {
        let arn = arn(&resource);
        world
            .call("TagResource", json!({"resourceArn": arn, "tags": {"a": "1", "b": "2"}}))
            .unwrap();
        world
            .call("UntagResource", json!({"resourceArn": arn, "tagKeys": ["a"]}))
            .unwrap();
        let tags = world.call("ListTagsForResource", json!({"resourceArn": arn})).unwrap();
        assert_eq!(tags, json!({"tags": {"b": "2"}}));
    }
    let action = world
        .call("GetAction", json!({"id": "aws:ec2:send-spot-instance-interruptions"}))
        .unwrap();
    assert_eq!(
        action["action"]["targets"]["SpotInstances"]["resourceType"],
        "aws:ec2:spot-instance"
    );
}

#[test]
fn a_client_token_creates_one_template_until_that_is_deleted() {
    let mut world = World::new(1);
    let mut input = template(running_task_nodes("COUNT(1)"));
    input["clientToken"] = "once".into();
    let first = world.template(input.clone());
    assert_eq!(world.template(input.clone()), first);
    let mut other = input.clone();
    other["description"] = "Another".into();
    assert_eq!(
        world.call("CreateExperimentTemplate", other).unwrap_err().code,
        "ConflictException"
    );
    world.call("DeleteExperimentTemplate", json!({"id": first})).unwrap();
    assert_ne!(world.template(input), first);
}
