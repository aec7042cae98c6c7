//! Inputs that are wrong, foreign or half right, given to the deployed functions in the simulated account.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeMap;

use account::ec2::{Launch, Market};
use local::fault::Faults;
use local::scenario::DATA_BUCKET;
use local::world::World;
use serde_json::{Value, json};

/// A world in which everything happens that happens by itself, with a bucket for data.
fn in_a_world<F: Future<Output = ()>>(story: impl FnOnce(World) -> F) {
    tests::in_a_world(1, Faults::default(), |world| {
        world.lock().account.s3.create_bucket(DATA_BUCKET);
        tokio::spawn(world.clone().run());
        story(world)
    });
}

async fn invoke(world: &World, function: &str, payload: Value) -> Result<Value, String> {
    world
        .invoke(function, "request-1", payload)
        .await
        .map_err(|error| error["errorMessage"].to_string())
}

fn warning(instance_id: &str) -> Value {
    json!({"version": "0", "id": "e-1", "detail-type": "EC2 Spot Instance Interruption Warning", "source": "aws.ec2",
        "account": "000000000000", "time": "2026-11-20T14:04:31Z", "region": "us-sim-1",
        "resources": [format!("arn:aws:ec2:us-sim-1a:instance/{instance_id}")],
        "detail": {"instance-id": instance_id, "instance-action": "terminate"}})
}

fn message(id: &str, body: &str) -> Value {
    json!({"messageId": id, "receiptHandle": id, "body": body, "attributes": {}, "messageAttributes": {},
        "md5OfBody": "", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-sim-1:000000000000:q",
        "awsRegion": "us-sim-1"})
}

/// Partition key and delivery count of each recorded interruption.
fn recorded(world: &World) -> BTreeMap<String, String> {
    let state = world.lock();
    let table = &state.template.tables.values().next().unwrap().name;
    let answer = state
        .account
        .dynamodb
        .call("Scan", json!({"TableName": table}).to_string().as_bytes())
        .unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    answer["Items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                item["pk"]["S"].as_str().unwrap().into(),
                item["seen"]["N"].as_str().unwrap().into(),
            )
        })
        .collect()
}

#[test]
fn a_batch_names_only_the_messages_that_failed_and_records_the_others() {
    in_a_world(|world| async move {
        let mine = {
            let mut state = world.lock();
            let now = world.clock.now();
            let launch = Launch {
                instance_type: "r5.xlarge".into(),
                market: Market::Spot,
                availability_zone: "us-sim-1a".into(),
                tags: BTreeMap::from([
                    ("aws:elasticmapreduce:job-flow-id".to_owned(), "j-MINE".to_owned()),
                    ("aws:elasticmapreduce:instance-group-role".to_owned(), "TASK".to_owned()),
                ]),
            };
            let mut rng = fastrand::Rng::with_seed(1);
            let (mut journal, mut events) = (account::journal::Journal::default(), Vec::new());
            let mut ctx = account::api::Ctx {
                now,
                rng: &mut rng,
                journal: &mut journal,
                events: &mut events,
            };
            state.account.ec2.launch(&mut ctx, launch).unwrap()
        };
        let payload = json!({"Records": [
            message("good", &warning(&mine).to_string()),
            message("again", &warning(&mine).to_string()),
            message("nobodys", &warning("i-0123456789abcdef0").to_string()),
            message("half", &warning(&mine).to_string()[..40]),
            message("wrong", &json!({"source": "aws.ec2", "detail-type": "Something else"}).to_string()),
        ]});
        let answer = invoke(&world, "RecordInterruption", payload).await.unwrap();
        assert_eq!(
            answer,
            json!({"batchItemFailures": [{"itemIdentifier": "half"}, {"itemIdentifier": "wrong"}]})
        );
        let recorded = recorded(&world);
        assert_eq!(recorded.get("cluster#j-MINE").map(String::as_str), Some("2"));
        assert_eq!(
            recorded.get("instance#i-0123456789abcdef0").map(String::as_str),
            Some("1")
        );
        assert_eq!(recorded.len(), 2);
    });
}

#[test]
fn a_bare_event_is_recorded_too_and_a_wrong_one_is_an_error_that_names_the_field() {
    in_a_world(|world| async move {
        invoke(&world, "RecordInterruption", warning("i-0123456789abcdef0"))
            .await
            .unwrap();
        assert_eq!(recorded(&world).len(), 1);
        let mut wrong = warning("i-0123456789abcdef0");
        wrong["detail"]["instance-id"] = json!("j-0");
        let error = invoke(&world, "RecordInterruption", wrong).await.unwrap_err();
        assert!(error.contains("detail.instance-id: expected an id like i-"), "{error}");
    });
}

#[test]
fn events_that_are_for_another_function_or_of_unknown_things_do_no_harm() {
    in_a_world(|world| async move {
        let step = |state: &str| {
            json!({"detail-type": "EMR Step Status Change", "source": "aws.emr", "time": "2026-11-20T14:02:49Z",
                "detail": {"stepId": "s-NOBODYS", "clusterId": "j-NOBODYS", "state": state}})
        };
        for (function, state) in [("StartExperiment", "RUNNING"), ("WriteReport", "COMPLETED")] {
            let answer = invoke(&world, function, step(state)).await.unwrap();
            assert_eq!(answer["outcome"], "ignored", "{function}: {answer}");
            let error = invoke(&world, function, warning("i-0123456789abcdef0"))
                .await
                .unwrap_err();
            assert!(error.contains("source: expected aws.emr"), "{error}");
        }
        let answer = invoke(&world, "StartExperiment", step("COMPLETED")).await.unwrap();
        assert_eq!(answer["outcome"], "ignored");
        let answer = invoke(&world, "WriteReport", step("RUNNING")).await.unwrap();
        assert_eq!(answer["outcome"], "ignored");
    });
}

fn submission(cluster: &str, results: &str) -> Value {
    json!({"cluster_name": cluster, "results": results, "execution_id": format!("{cluster}{results}"),
        "step": {"name": "Spark application", "args": ["spark-submit", "s3://emr-spot-workshop-data/script.py"]}})
}

#[test]
fn submit_step_empties_nothing_but_what_it_may_and_names_what_was_wrong() {
    in_a_world(|world| async move {
        let object = "s3://emr-spot-workshop-data/resultsspot/old";
        let now = world.clock.now();
        world.lock().account.s3.put(object, "old", now).unwrap();
        for (results, words) in [
            ("s3://emr-spot-workshop-data/", "a prefix that is not empty"),
            ("s3://emr-spot-workshop-data", "a prefix that is not empty"),
            ("", "expected s3://bucket/prefix/"),
            (
                "s3://somebody-elses/resultsspot/",
                "only what lies in s3://emr-spot-workshop-data/resultsspot/",
            ),
            (
                "s3://emr-spot-workshop-data/raw/",
                "only what lies in s3://emr-spot-workshop-data/resultsspot/",
            ),
        ] {
            let error = invoke(&world, "SubmitStep", submission("c", results))
                .await
                .unwrap_err();
            assert!(error.contains(words), "{results}: {error}");
        }
        let results = "s3://emr-spot-workshop-data/resultsspot/";
        let error = invoke(&world, "SubmitStep", submission("nobodys", results))
            .await
            .unwrap_err();
        assert!(error.contains("none of the active ones is called"), "{error}");
        let error = invoke(&world, "SubmitStep", json!({"cluster": "c"})).await.unwrap_err();
        assert!(error.contains("unknown field `cluster`"), "{error}");
        assert!(world.lock().account.s3.get(object).is_ok(), "nothing was deleted");
    });
}

#[test]
fn two_clusters_of_one_name_are_named_and_get_no_step() {
    in_a_world(|world| async move {
        let cluster = || {
            json!({"Name": "twin", "ReleaseLabel": "emr-7.10.0", "Instances": {"KeepJobFlowAliveWhenNoSteps": true,
                "InstanceGroups": [{"InstanceRole": "MASTER", "Market": "ON_DEMAND", "InstanceType": "m5.xlarge",
                    "InstanceCount": 1}]}})
        };
        let mut ids = Vec::new();
        for _ in 0..2 {
            let now = world.clock.now();
            let answer = world
                .lock()
                .account
                .call(now, account::wire::Service::Emr, "RunJobFlow", cluster())
                .unwrap();
            ids.push(answer["JobFlowId"].as_str().unwrap().to_owned());
            world.changed();
        }
        let results = "s3://emr-spot-workshop-data/resultsspot/";
        let error = invoke(&world, "SubmitStep", submission("twin", results))
            .await
            .unwrap_err();
        assert!(ids.iter().all(|id| error.contains(id.as_str())), "{error}");
        let state = world.lock();
        assert!(state.account.emr.clusters().all(|cluster| cluster.steps.is_empty()));
    });
}
