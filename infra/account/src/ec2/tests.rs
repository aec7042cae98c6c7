//! EC2 as its neighbours and its clients see it: lives of instances, interruptions, what the API shows of them.
//!
//! Separate because it drives the whole service in virtual time, more than fits beside the rules.

use serde_json::Value;

use super::*;
use crate::api::BusEvent;
use crate::journal::Journal;

/// An account of one service, and a clock that tests turn.
struct World {
    ec2: Ec2,
    now: Time,
    rng: fastrand::Rng,
    journal: Journal,
    events: Vec<BusEvent>,
}

impl World {
    fn new() -> Self {
        let rng = fastrand::Rng::with_seed(7);
        let now = Time::UNIX_EPOCH + TimeDelta::days(20_000);
        Self {
            ec2: Ec2::new(),
            now,
            rng,
            journal: Journal::default(),
            events: Vec::new(),
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Ec2, &mut Ctx) -> T) -> T {
        let mut ctx = Ctx {
            now: self.now,
            rng: &mut self.rng,
            journal: &mut self.journal,
            events: &mut self.events,
        };
        act(&mut self.ec2, &mut ctx)
    }

    fn launch(&mut self, market: Market) -> String {
        let tags = BTreeMap::from([
            ("role".to_owned(), "TASK".to_owned()),
            ("app".to_owned(), "x".to_owned()),
        ]);
        let launch = Launch {
            instance_type: "r5.xlarge".to_owned(),
            market,
            availability_zone: "us-sim-1b".to_owned(),
            tags,
        };
        self.with(|ec2, ctx| ec2.launch(ctx, launch)).unwrap()
    }

    /// Does what is due, each at its time, up to `seconds` from now.
    fn wait(&mut self, seconds: i64) {
        let end = self.now + TimeDelta::seconds(seconds);
        while let Some(at) = self.ec2.due().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.with(|ec2, ctx| ec2.advance(ctx));
        }
        self.now = end;
    }

    fn call(&mut self, operation: &str, input: Value) -> Result<Value, ApiError> {
        self.with(|ec2, ctx| ec2.call(ctx, operation, &input))
    }

    fn count(&mut self, input: Value) -> usize {
        let answer = self.call("DescribeInstances", input).unwrap();
        answer["reservationSet"].as_array().unwrap().len()
    }

    fn status(&mut self, id: &str) -> (String, String) {
        let filter = json!({"Filter": [{"Name": "instance-id", "Value": [id]}]});
        let answer = self.call("DescribeSpotInstanceRequests", filter).unwrap();
        let request = &answer["spotInstanceRequestSet"][0];
        (
            request["status"]["code"].as_str().unwrap().to_owned(),
            request["state"].as_str().unwrap().to_owned(),
        )
    }

    fn kinds(&self, id: &str) -> Vec<String> {
        let of = |it: &BusEvent| {
            let state = it.detail["state"].as_str().unwrap_or_default();
            format!("{} {state}", it.detail_type.trim_start_matches("EC2 "))
                .trim_end()
                .to_owned()
        };
        self.events
            .iter()
            .filter(|it| it.detail["instance-id"] == id)
            .map(of)
            .collect()
    }
}

fn filter(name: &str, value: &str) -> Value {
    json!({"Filter": [{"Name": name, "Value": [value]}]})
}

#[test]
fn an_interrupted_instance_runs_until_its_notice_is_over() {
    let mut world = World::new();
    let id = world.launch(Market::Spot);
    world.wait(60);
    world.with(|ec2, ctx| ec2.interrupt(ctx, &id, NOTICE, Cause::Experiment("EXP1".to_owned())));
    assert_eq!(
        world.status(&id),
        ("marked-for-termination".to_owned(), "active".to_owned())
    );
    world.wait(119);
    assert_eq!(world.ec2.instance(&id).unwrap().state, State::Running);
    world.wait(1);
    assert_eq!(world.ec2.instance(&id).unwrap().state, State::ShuttingDown);
    assert_eq!(
        world.status(&id),
        ("instance-terminated-by-experiment".to_owned(), "closed".to_owned())
    );
    world.wait(60);
    assert_eq!(
        world.kinds(&id),
        [
            "Instance State-change Notification pending",
            "Spot Instance Request Fulfillment",
            "Instance State-change Notification running",
            "Instance Rebalance Recommendation",
            "Spot Instance Interruption Warning",
            "Instance State-change Notification shutting-down",
            "Instance State-change Notification terminated",
        ]
    );
    let warning = world
        .events
        .iter()
        .find(|it| it.detail_type == "EC2 Spot Instance Interruption Warning")
        .unwrap();
    assert_eq!(warning.resources, [format!("arn:aws:ec2:us-sim-1b:instance/{id}")]);
    assert_eq!(
        warning.detail,
        json!({"instance-id": id, "instance-action": "terminate"})
    );
    let changes = world.ec2.take_changes();
    assert_eq!(changes.len(), 4, "{changes:?}");
    assert!(world.ec2.take_changes().is_empty());
}

#[test]
fn a_natural_interruption_shows_its_cause_while_the_instance_still_runs() {
    let mut world = World::new();
    let id = world.launch(Market::Spot);
    world.wait(60);
    world.with(|ec2, ctx| ec2.interrupt(ctx, &id, NOTICE, Cause::NoCapacity));
    assert_eq!(
        world.status(&id),
        ("instance-terminated-no-capacity".to_owned(), "closed".to_owned())
    );
    assert_eq!(world.ec2.instance(&id).unwrap().state, State::Running);
    world.with(|ec2, ctx| ec2.terminate(ctx, &id));
    assert_eq!(world.status(&id).0, "instance-terminated-no-capacity");
    world.wait(600);
    assert_eq!(world.ec2.due(), None, "the end of the notice was still due");
}

#[test]
fn a_longer_duration_gives_notice_two_minutes_before_the_interruption() {
    let mut world = World::new();
    let id = world.launch(Market::Spot);
    world.wait(60);
    let asked_at = world.now;
    let cause = Cause::Experiment("EXP1".to_owned());
    assert!(world.with(|ec2, ctx| ec2.send_spot_interruption(ctx, &id, TimeDelta::minutes(5), cause.clone())));
    assert!(
        !world.with(|ec2, ctx| ec2.send_spot_interruption(ctx, &id, NOTICE, cause)),
        "a second one was accepted"
    );
    world.wait(600);
    let instance = world.ec2.instance(&id).unwrap();
    let interruption = instance.interruption.clone().unwrap();
    assert_eq!(instance.rebalance_recommended_at, Some(asked_at));
    assert_eq!(interruption.noticed_at, asked_at + TimeDelta::minutes(3));
    assert_eq!(instance.shutting_down_at, Some(asked_at + TimeDelta::minutes(5)));
}

#[test]
fn an_on_demand_instance_is_never_interrupted() {
    let mut world = World::new();
    let id = world.launch(Market::OnDemand);
    world.wait(60);
    world.with(|ec2, ctx| ec2.interrupt(ctx, &id, NOTICE, Cause::NoCapacity));
    assert_eq!(world.ec2.instance(&id).unwrap().interruption, None);
    assert_eq!(world.ec2.instance(&id).unwrap().spot_request_id, None);
}

#[test]
fn a_terminated_instance_loses_its_tags_then_vanishes_but_stays_in_the_ground_truth() {
    let mut world = World::new();
    let id = world.launch(Market::Spot);
    world.wait(60);
    world.call("TerminateInstances", json!({"InstanceId": [id]})).unwrap();
    assert_eq!(world.status(&id).0, "instance-terminated-by-user");
    world.wait(10 * 60);
    assert_eq!(world.count(filter("tag:role", "TASK")), 1);
    world.wait(15 * 60);
    assert_eq!(world.count(filter("tag-key", "app")), 0, "no tag has faded");
    assert_eq!(world.count(filter("tag-key", "role")), 1, "all tags faded at once");
    world.wait(20 * 60);
    assert_eq!(world.count(filter("tag:role", "TASK")), 0);
    assert_eq!(world.count(json!({"InstanceId": [id]})), 1);
    world.wait(20 * 60);
    let refused = world
        .call("DescribeInstances", json!({"InstanceId": [id]}))
        .unwrap_err();
    assert_eq!(refused.code, "InvalidInstanceID.NotFound");
    assert_eq!(world.ec2.instance(&id).unwrap().tags.len(), 2);
}

#[test]
fn a_terminated_instance_has_no_host_name_any_longer() {
    let mut world = World::new();
    let id = world.launch(Market::Spot);
    world.wait(60);
    let name = world.ec2.instance(&id).unwrap().private_dns_name.clone();
    assert_eq!(world.count(filter("private-dns-name", &name)), 1);
    world.with(|ec2, ctx| ec2.terminate(ctx, &id));
    world.wait(60);
    assert_eq!(world.count(filter("private-dns-name", &name)), 0);
    let answer = world.call("DescribeInstances", json!({"InstanceId": [id]})).unwrap();
    let shown = &answer["reservationSet"][0]["instancesSet"][0];
    assert_eq!(shown["privateDnsName"], "");
    assert_eq!(shown["instanceState"], json!({"code": 48, "name": "terminated"}));
}

#[test]
fn filters_are_joined_by_and_and_their_values_by_or() {
    let mut world = World::new();
    let (spot, _) = (world.launch(Market::Spot), world.launch(Market::OnDemand));
    world.wait(60);
    let both = json!({"Filter": [
        {"Name": "instance-lifecycle", "Value": ["spot"]},
        {"Name": "instance-state-name", "Value": ["pending", "run*"]},
    ]});
    let answer = world.call("DescribeInstances", both).unwrap();
    assert_eq!(answer["reservationSet"].as_array().unwrap().len(), 1);
    assert_eq!(
        answer["reservationSet"][0]["instancesSet"][0]["instanceId"],
        spot.as_str()
    );
    assert_eq!(world.count(filter("tag:role", "CORE")), 0);
    assert_eq!(world.count(filter("availability-zone", "us-sim-1?")), 2);
}

#[test]
fn ids_are_refused_as_ec2_refuses_them() {
    let mut world = World::new();
    let id = world.launch(Market::Spot);
    for (input, code) in [
        (json!({"InstanceId": ["i-0123"]}), "InvalidInstanceID.Malformed"),
        (
            json!({"InstanceId": [id, "i-0123456789abcdef0"]}),
            "InvalidInstanceID.NotFound",
        ),
        (
            json!({"InstanceId": [id], "MaxResults": "10"}),
            "InvalidParameterCombination",
        ),
        (json!({"MaxResults": "1"}), "InvalidParameterValue"),
    ] {
        assert_eq!(world.call("DescribeInstances", input).unwrap_err().code, code);
    }
    assert_eq!(world.call("RunInstances", json!({})).unwrap_err().status, 501);
}

#[test]
fn spot_capacity_runs_out_for_spot_alone() {
    let mut world = World::new();
    world.ec2.set_spot_capacity(Some(1));
    world.launch(Market::Spot);
    let launch = |market| Launch {
        instance_type: "r5.xlarge".to_owned(),
        market,
        availability_zone: String::new(),
        tags: BTreeMap::new(),
    };
    let refused = world
        .with(|ec2, ctx| ec2.launch(ctx, launch(Market::Spot)))
        .unwrap_err();
    assert_eq!(refused.code, "InsufficientInstanceCapacity");
    assert!(world.with(|ec2, ctx| ec2.launch(ctx, launch(Market::OnDemand))).is_ok());
}

#[test]
fn customers_cannot_set_tags_of_aws() {
    let mut world = World::new();
    let id = world.launch(Market::Spot);
    let tag = |key: &str| json!({"ResourceId": [id], "Tag": [{"Key": key, "Value": "v"}]});
    assert_eq!(
        world.call("CreateTags", tag("aws:x")).unwrap_err().code,
        "InvalidParameterValue"
    );
    world.call("CreateTags", tag("mine")).unwrap();
    let answer = world.call("DescribeTags", filter("key", "mine")).unwrap();
    assert_eq!(answer["tagSet"][0]["resourceId"], id.as_str());
}

#[test]
fn host_names_are_never_used_twice() {
    let mut world = World::new();
    for _ in 0..500 {
        world.launch(Market::OnDemand);
    }
    let names: BTreeSet<&String> = world.ec2.instances().map(|it| &it.private_dns_name).collect();
    assert_eq!(names.len(), 500);
}
