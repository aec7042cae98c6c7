//! The ledger's own guards: whoever writes second does not win, and what could not be written is said.

use account::emr::Role;
use aws::invocation::Invocation;
use aws::{Saved, expires_at};
use chrono::{DateTime, TimeDelta};
use clap::Parser;
use local::fault::Faults;
use local::world::World;
use rules::drill::{Drill, DrillState};
use rules::ledger::Interruption;
use serde_json::{Value, json};

use crate::staging::*;

#[test]
fn of_two_saves_of_one_version_one_is_refused_and_shown_the_other() {
    in_a_world(1, &[], no_faults(), async |world| {
        let (aws, table, expires) = (aws(&world), table(&world), expires_at(world.clock.now(), 1));
        let mut drill = Drill::new("j-A", "s-A");
        let first = aws.save_drill(&table, &mut drill, expires).await.unwrap();
        assert_eq!(first, Saved::Yes);
        let mut one = drill.clone();
        let mut other = drill;
        one.state = Some(DrillState::Waiting);
        other.state = Some(DrillState::Refused);
        assert_eq!(aws.save_drill(&table, &mut one, expires).await.unwrap(), Saved::Yes);
        let answer = aws.save_drill(&table, &mut other, expires).await.unwrap();
        assert_eq!(answer, Saved::No(one.clone()));
        assert_eq!(aws.drill(&table, "j-A", "s-A").await.unwrap(), Some(one));
        // The same of an item that is new to both.
        let mut late = Drill::new("j-A", "s-A");
        late.reason = Some("late".into());
        let answer = aws.save_drill(&table, &mut late, expires).await.unwrap();
        assert!(matches!(answer, Saved::No(_)), "{answer:?}");
    });
}

fn warning(id: &str) -> Value {
    let body = json!({"version": "0", "id": "e-1", "detail-type": "EC2 Spot Instance Interruption Warning",
        "source": "aws.ec2", "account": "000000000000", "time": "2026-11-20T14:04:31Z", "region": "us-sim-1",
        "resources": [], "detail": {"instance-id": "i-0123456789abcdef0", "instance-action": "terminate"}});
    json!({"messageId": id, "receiptHandle": id, "body": body.to_string(), "attributes": {}, "messageAttributes": {},
        "md5OfBody": "", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-sim-1:000000000000:q",
        "awsRegion": "us-sim-1"})
}

/// Two warnings of a world in which something fails: both are named, and SQS delivers them again.
fn both_are_named(faults: Faults, prepare: impl FnOnce(&World)) {
    in_a_world(1, &[], faults, async |world| {
        prepare(&world);
        let payload = json!({"Records": [warning("one"), warning("two")]});
        let answer = invoke(&world, "RecordInterruption", "r", payload).await.unwrap();
        let failed = json!([{"itemIdentifier": "one"}, {"itemIdentifier": "two"}]);
        assert_eq!(answer["batchItemFailures"], failed);
    });
}

#[test]
fn a_warning_that_could_not_be_written_is_named_to_sqs_as_failed() {
    both_are_named(no_faults(), |world| {
        let request = json!({"TableName": table(world)}).to_string();
        let state = world.lock();
        state.account.dynamodb.call("DeleteTable", request.as_bytes()).unwrap();
    });
    let faults = Faults {
        errors_percent: 100,
        ..no_faults()
    };
    both_are_named(faults, |_| {});
}

#[test]
fn a_warning_is_recorded_with_what_ec2_knows_of_its_instance_and_how_long_it_was_on_its_way() {
    in_a_world(1, &[], no_events(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let node = cluster_of(&world.lock(), &cluster_id)
            .instances
            .iter()
            .find(|one| one.role == Role::Task)
            .cloned();
        let node = node.unwrap();
        let mut message = warning("one");
        let mut body: Value = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
        body["detail"]["instance-id"] = json!(node.ec2_instance_id);
        let noticed_at = world.clock.now() - chrono::TimeDelta::milliseconds(2_500);
        body["time"] = json!(noticed_at.to_rfc3339());
        message["body"] = json!(body.to_string());
        let table = table(&world);
        let config = record_interruption::Config::parse_from(["record-interruption", "--table-name", &table]);
        let invocation = Invocation {
            request_id: "r".into(),
            deadline: world.clock.now() + chrono::TimeDelta::minutes(1),
            payload: json!({"Records": [message]}),
        };
        let recorded = record_interruption::handle(&aws(&world), &config, invocation)
            .await
            .unwrap();
        assert_eq!(recorded.response.batch_item_failures.len(), 0);
        let [latency_ms] = recorded.latencies_ms[..] else {
            panic!("{:?}", recorded.latencies_ms)
        };
        assert!((2_500..4_000).contains(&latency_ms), "{latency_ms} ms");
        let kept = aws(&world).interruptions(&table, &cluster_id).await.unwrap();
        let [kept] = &kept[..] else { panic!("{kept:?}") };
        let machine = world
            .lock()
            .account
            .ec2
            .instance(&node.ec2_instance_id)
            .cloned()
            .unwrap();
        assert_eq!(kept.latency_ms, Some(latency_ms));
        assert_eq!(kept.role.as_deref(), Some("TASK"));
        assert_eq!(kept.instance_type.as_deref(), Some(&*machine.instance_type));
        assert_eq!(kept.availability_zone.as_deref(), Some(&*machine.availability_zone));
        assert_eq!(kept.private_dns_name.as_deref(), Some(&*machine.private_dns_name));
        assert_eq!(kept.launched_at, Some(machine.launched_at));
    });
}

#[test]
fn a_later_delivery_of_a_warning_counts_and_changes_nothing_else() {
    in_a_world(1, &[], no_faults(), async |world| {
        let (aws, table, expires) = (aws(&world), table(&world), expires_at(world.clock.now(), 1));
        let first = Interruption {
            instance_id: "i-0123456789abcdef0".into(),
            cluster_id: Some("j-A".into()),
            noticed_at: world.clock.now(),
            action: "terminate".into(),
            role: Some("TASK".into()),
            pool_id: None,
            instance_type: Some("r5.xlarge".into()),
            availability_zone: None,
            private_dns_name: None,
            launched_at: None,
            latency_ms: Some(900),
            event_id: Some("e-1".into()),
            seen: 0,
        };
        let later = Interruption {
            role: Some("CORE".into()),
            latency_ms: Some(3_600_000),
            event_id: Some("e-2".into()),
            ..first.clone()
        };
        for warning in [&first, &later, &later] {
            aws.record(&table, warning, expires).await.unwrap();
        }
        let kept = aws.interruptions(&table, "j-A").await.unwrap();
        assert_eq!(kept, [Interruption { seen: 3, ..first }]);
    });
}

/// DynamoDB deletes what has expired: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>
#[test]
fn what_is_kept_of_a_drill_expires_so_many_days_after_it_was_written() {
    in_a_world(1, &[("RetentionDays", "30")], no_faults(), async |world| {
        let begun_at = world.clock.now();
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        let step_id = run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| has_report(state, &cluster_id, &step_id)).await;
        let request = json!({"TableName": table(&world)}).to_string();
        let scanned = world.lock().account.dynamodb.call("Scan", request.as_bytes()).unwrap();
        let items = serde_json::from_slice::<Value>(&scanned).unwrap()["Items"].clone();
        let kept = begun_at + TimeDelta::days(30)..world.clock.now() + TimeDelta::days(30);
        let of_drills = items.as_array().unwrap().iter().filter(|item| {
            let key = item["sk"]["S"].as_str().unwrap_or_default();
            key.starts_with("drill#") || key.starts_with("interruption#")
        });
        let expire: Vec<_> = of_drills
            .map(|item| item["expires_at"]["N"].as_str().unwrap().parse().unwrap())
            .map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap())
            .collect();
        assert!(
            expire.len() > 3 && expire.iter().all(|at| kept.contains(at)),
            "{expire:?}: {items}"
        );
    });
}
