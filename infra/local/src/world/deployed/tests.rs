//! What clients see of the deployment, without the wire.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::fault::Faults;
use crate::run::TEMPLATE;

const STACK: &str = "Resources: {R: {Type: 'AWS::IAM::Role'}, E: {Type: 'AWS::FIS::ExperimentTemplate', Properties: {
    Description: d, RoleArn: !GetAtt R.Arn, StopConditions: [{Source: none}], Tags: {},
    Targets: {t: {ResourceType: 'aws:ec2:spot-instance', ResourceTags: {a: b}, SelectionMode: ALL}},
    Actions: {a: {ActionId: 'aws:ec2:send-spot-instance-interruptions', Targets: {SpotInstances: t},
        Parameters: {durationBeforeInterruption: PT2M}}}}}}
Outputs: {Id: {Value: !Ref E}}";

fn world() -> World {
    let parameters = BTreeMap::from([("TrackingLogGroup".to_owned(), "/aws/events/spot".to_owned())]);
    let epoch = "2027-01-01T00:00:00Z".parse().unwrap();
    World::new(TEMPLATE, &parameters, 7, epoch, Faults::default()).unwrap()
}

/// Runs on virtual time, with a call of the deployed services.
fn calling(test: impl FnOnce(&World, &dyn Fn(Service, &str, Value) -> Result<Value, ApiError>)) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(async {
            let world = world();
            let call = |service: Service, operation: &str, input: Value| {
                let call = Call {
                    service,
                    operation: operation.into(),
                    input,
                };
                dispatch(&mut world.lock(), world.clock.now(), &call)
            };
            test(&world, &call);
        });
}

#[test]
fn a_stack_makes_an_experiment_template_and_takes_it_away_again() {
    calling(|world, call| {
        let template = |id: &str| world.lock().account.fis.templates().any(|template| template.id == id);
        let request =
            |name: &str| json!({"StackName": name, "TemplateBody": STACK, "Capabilities": ["CAPABILITY_IAM"]});
        let made = call(Service::CloudFormation, "CreateStack", request("mine")).unwrap();
        let shown = call(
            Service::CloudFormation,
            "DescribeStacks",
            json!({"StackName": made["StackId"]}),
        )
        .unwrap();
        let id = shown["Stacks"][0]["Outputs"][0]["OutputValue"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(template(&id));
        let again = call(Service::CloudFormation, "CreateStack", request("mine")).unwrap_err();
        assert_eq!(again.code, "AlreadyExistsException");
        call(Service::CloudFormation, "DeleteStack", json!({"StackName": "mine"})).unwrap();
        assert!(!template(&id));
        assert_eq!(
            call(Service::CloudFormation, "DeleteStack", json!({"StackName": "mine"})),
            Ok(json!({}))
        );
        for (name, status) in [("1x", 400), ("a_b", 400), ("", 400), ("spot-drill", 400)] {
            assert_eq!(
                call(Service::CloudFormation, "CreateStack", request(name))
                    .unwrap_err()
                    .status,
                status
            );
        }
        let of_itself = json!({"StackName": "spot-drill"});
        assert_eq!(
            call(Service::CloudFormation, "DeleteStack", of_itself)
                .unwrap_err()
                .status,
            501
        );
    });
}

#[test]
fn a_stack_of_what_is_not_simulated_says_so_and_makes_nothing() {
    calling(|world, call| {
        let before = world.lock().account.fis.templates().count();
        for body in [
            "Resources: {Q: {Type: 'AWS::SQS::Queue'}}",
            "Resources: {R: {Type: 'AWS::IAM::Role'}}",
        ] {
            let request = json!({"StackName": "x", "TemplateBody": body, "Capabilities": ["CAPABILITY_IAM"]});
            assert_eq!(
                call(Service::CloudFormation, "CreateStack", request)
                    .unwrap_err()
                    .status,
                501,
                "{body}"
            );
        }
        for body in ["", "[]", "Resources: {}", "a: [", "Resources: 3"] {
            let request = json!({"StackName": "x", "TemplateBody": body});
            let error = call(Service::CloudFormation, "CreateStack", request).unwrap_err();
            assert_eq!(error.code, "ValidationError", "{body}");
        }
        assert_eq!(world.lock().account.fis.templates().count(), before);
    });
}

#[test]
fn the_log_is_read_in_pages_forward_and_backward() {
    calling(|world, call| {
        let input = |more: Value| {
            let mut input = json!({"logGroupName": "/aws/events/spot"});
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            input
        };
        let streams = |call: &dyn Fn(Service, &str, Value) -> Result<Value, ApiError>| {
            call(Service::Logs, "DescribeLogStreams", input(json!({}))).unwrap()["logStreams"].clone()
        };
        assert_eq!(streams(call), json!([]));
        for number in 0..5 {
            let at = world.clock.now() + chrono::TimeDelta::seconds(number);
            let mut state = world.lock();
            state
                .logs
                .entry("/aws/events/spot".into())
                .or_default()
                .push((at, json!({"n": number})));
        }
        let begin = world.clock.now().timestamp_millis();
        let found = call(
            Service::Logs,
            "FilterLogEvents",
            input(json!({"startTime": begin + 1000, "endTime": begin + 3000})),
        );
        assert_eq!(found.unwrap()["events"].as_array().unwrap().len(), 3);
        let stream = streams(call)[0]["logStreamName"].clone();
        let get = |more: Value| {
            let mut input = input(more);
            input["logStreamName"] = stream.clone();
            input["limit"] = json!(2);
            let page = call(Service::Logs, "GetLogEvents", input).unwrap();
            let messages = page["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["message"].clone())
                .collect();
            (Value::Array(messages), page)
        };
        let (first, page) = get(json!({"startFromHead": true}));
        assert_eq!(first, json!([r#"{"n":0}"#, r#"{"n":1}"#]));
        let (second, page) = get(json!({"nextToken": page["nextForwardToken"]}));
        assert_eq!(second, json!([r#"{"n":2}"#, r#"{"n":3}"#]));
        assert_eq!(get(json!({"nextToken": page["nextBackwardToken"]})).0, first);
        assert_eq!(get(json!({})).0, json!([r#"{"n":3}"#, r#"{"n":4}"#]));
        let end = json!({"nextToken": "f/5"});
        assert_eq!(get(end).1["nextForwardToken"], "f/5");
    });
}

#[test]
fn a_function_is_found_by_its_name_or_any_part_of_its_arn() {
    calling(|_, call| {
        let name = "spot-drill-WriteReport";
        let arn = format!("arn:aws:lambda:us-sim-1:000000000000:function:{name}");
        for given in [
            name,
            &arn,
            &format!("000000000000:function:{name}"),
            &format!("{arn}:$LATEST"),
        ] {
            let found = call(
                Service::Lambda,
                "GetFunctionConfiguration",
                json!({"FunctionName": given}),
            )
            .unwrap();
            assert_eq!(found["FunctionArn"], arn);
        }
        let other = json!({"FunctionName": "arn:aws:lambda:eu-west-1:000000000000:function:spot-drill-WriteReport"});
        assert_eq!(call(Service::Lambda, "GetFunction", other).unwrap_err().status, 404);
    });
}

#[test]
fn what_is_missing_says_its_name() {
    calling(|_, call| {
        for service in [
            Service::CloudFormation,
            Service::Events,
            Service::Lambda,
            Service::Logs,
            Service::Scheduler,
            Service::Sts,
        ] {
            assert!(has(&service));
            let error = call(service, "Nonsense", json!({})).unwrap_err();
            assert!(error.status == 501 && error.message.contains("Nonsense"), "{error}");
        }
    });
}

fn invalid() -> ApiError {
    ApiError::client("Invalid", "no")
}

#[test]
fn pages_hold_every_item_once_and_refuse_a_foreign_token() {
    let items: Vec<Value> = (0..5).map(|number| json!(number)).collect();
    let (first, token) = page(items.clone(), &Value::Null, 2, invalid).unwrap();
    let (second, token) = page(items.clone(), &json!(token), 2, invalid).unwrap();
    let (third, end) = page(items.clone(), &json!(token), 2, invalid).unwrap();
    assert_eq!([first, second, third].concat(), items);
    assert_eq!(end, None);
    for token in [json!("after-6"), json!("after-x"), json!("5"), json!(5)] {
        assert_eq!(page(items.clone(), &token, 2, invalid), Err(invalid()));
    }
}

#[test]
fn a_page_is_as_long_as_asked_for_within_bounds() {
    assert_eq!(page_size(&Value::Null, 100, invalid), Ok(100));
    assert_eq!(page_size(&json!("7"), 100, invalid), Ok(7));
    for bad in [json!(0), json!(101), json!("x"), json!(-1)] {
        assert_eq!(page_size(&bad, 100, invalid), Err(invalid()));
    }
}
