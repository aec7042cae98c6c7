//! What the API shows of an instance: as an item of DescribeInstances, as values to filter by, and as the attributes
//! that FIS filters by.
//!
//! Separate because it is a mapping, with no rule but what a terminated instance no longer shows.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::api::{ACCOUNT, Time};
use crate::ec2::{Cause, Instance, Market, SpotRequest, State, subnet_of};
use crate::instance_type::{self, InstanceType};

/// The one virtual network of the simulated Region.
const VPC: &str = "vpc-00000000000051a1a";

/// The names that DescribeInstances can be filtered by, besides `tag:<key>`.
pub(super) const INSTANCE_FILTERS: &[&str] = &[
    "architecture",
    "availability-zone",
    "instance-id",
    "instance-lifecycle",
    "instance-state-code",
    "instance-state-name",
    "instance-type",
    "launch-index",
    "launch-time",
    "monitoring-state",
    "owner-id",
    "private-dns-name",
    "private-ip-address",
    "reservation-id",
    "spot-instance-request-id",
    "state-reason-code",
    "state-reason-message",
    "subnet-id",
    "tag-key",
    "tag-value",
    "tenancy",
    "vpc-id",
];

/// What all instances run.
const PLATFORM: &str = "Linux/UNIX";

/// EC2's form of a time.
pub(super) fn timestamp(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Instance {
    /// The instance as an item of `instancesSet`.
    pub(super) fn describe(&self, now: Time) -> Value {
        let shown = self.network();
        let cpu = instance_type::lookup(&self.instance_type).map(|it| {
            let threads = it.threads_per_core();
            json!({"coreCount": it.vcores / threads, "threadsPerCore": threads})
        });
        let tags: Vec<Value> = self
            .visible_tags(now)
            .map(|(key, value)| json!({"key": key, "value": value}))
            .collect();
        let reason = self.state_reason();
        json!({
            "instanceId": self.instance_id,
            "instanceState": {"code": self.state.code(), "name": self.state.name()},
            "privateDnsName": shown.map_or("", |it| &it.private_dns_name),
            "dnsName": "",
            "reason": reason.map_or(String::new(), |(code, message)| format!("{code}: {message}")),
            "stateReason": reason.map(|(code, message)| json!({"code": code, "message": message})),
            "amiLaunchIndex": 0,
            "instanceType": self.instance_type,
            "launchTime": timestamp(self.launched_at),
            "placement": {"availabilityZone": self.availability_zone, "tenancy": "default"},
            "monitoring": {"state": "disabled"},
            "subnetId": shown.map(Self::subnet),
            "vpcId": shown.map(|_| VPC),
            "privateIpAddress": shown.map(|it| &it.private_ip),
            "architecture": self.architecture(),
            "instanceLifecycle": self.lifecycle(),
            "spotInstanceRequestId": self.spot_request_id,
            "cpuOptions": cpu,
            "tagSet": tags,
        })
    }

    //= https://docs.aws.amazon.com/fis/latest/userguide/targets.html#target-filters
    /// The instance as DescribeInstances shows it, under the names that FIS's filter paths use: `State.Name`.
    pub fn attributes(&self, now: Time) -> Value {
        let shown = self.network();
        let tags: Vec<Value> = self
            .visible_tags(now)
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        json!({
            "InstanceId": self.instance_id,
            "InstanceType": self.instance_type,
            "InstanceLifecycle": self.lifecycle(),
            "SpotInstanceRequestId": self.spot_request_id,
            "State": {"Name": self.state.name(), "Code": self.state.code().to_string()},
            "StateReason": self.state_reason().map(|(code, message)| json!({"Code": code, "Message": message})),
            "Placement": {"AvailabilityZone": self.availability_zone, "Tenancy": "default"},
            "PrivateDnsName": shown.map(|it| &it.private_dns_name),
            "PrivateIpAddress": shown.map(|it| &it.private_ip),
            "VpcId": shown.map(|_| VPC),
            "SubnetId": shown.map(Self::subnet),
            "LaunchTime": timestamp(self.launched_at),
            "Architecture": self.architecture(),
            "Tags": tags,
        })
    }

    /// What the instance has under the name of a filter.
    pub(super) fn filter_values(&self, name: &str, now: Time) -> Vec<String> {
        if let Some(wanted) = name.strip_prefix("tag:") {
            return self
                .visible_tags(now)
                .filter(|(key, _)| *key == wanted)
                .map(|(_, value)| value.clone())
                .collect();
        }
        let shown = self.network();
        let one = |text: &str| vec![text.to_owned()];
        match name {
            "architecture" => one(self.architecture()),
            "availability-zone" => one(&self.availability_zone),
            "instance-id" => one(&self.instance_id),
            "instance-lifecycle" => self.lifecycle().map(one).unwrap_or_default(),
            "instance-state-code" => one(&self.state.code().to_string()),
            "instance-state-name" => one(self.state.name()),
            "instance-type" => one(&self.instance_type),
            "launch-index" => one("0"),
            "launch-time" => one(&timestamp(self.launched_at)),
            "monitoring-state" => one("disabled"),
            "owner-id" => one(ACCOUNT),
            "private-dns-name" => shown.map(|it| it.private_dns_name.clone()).into_iter().collect(),
            "private-ip-address" => shown.map(|it| it.private_ip.clone()).into_iter().collect(),
            "reservation-id" => one(&self.reservation_id),
            "spot-instance-request-id" => self.spot_request_id.iter().cloned().collect(),
            "state-reason-code" => self
                .state_reason()
                .map(|(code, _)| code.to_owned())
                .into_iter()
                .collect(),
            "state-reason-message" => self
                .state_reason()
                .map(|(_, message)| message.to_owned())
                .into_iter()
                .collect(),
            "subnet-id" => shown.map(Self::subnet).into_iter().collect(),
            "tag-key" => self.visible_tags(now).map(|(key, _)| key.clone()).collect(),
            "tag-value" => self.visible_tags(now).map(|(_, value)| value.clone()).collect(),
            "tenancy" => one("default"),
            "vpc-id" => shown.map(|_| VPC.to_owned()).into_iter().collect(),
            other => panic!("the filter {other} is listed as known, and has no values"),
        }
    }

    /// Itself while it has a network interface, which goes with termination: a dead instance has no name to match.
    fn network(&self) -> Option<&Self> {
        (self.state != State::Terminated).then_some(self)
    }

    fn subnet(&self) -> String {
        subnet_of(&self.availability_zone)
    }

    fn architecture(&self) -> &'static str {
        instance_type::lookup(&self.instance_type).map_or("x86_64", InstanceType::architecture)
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
    /// `spot`, and nothing for an On-Demand Instance.
    fn lifecycle(&self) -> Option<&'static str> {
        (self.market == Market::Spot).then_some("spot")
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html
    fn state_reason(&self) -> Option<(&'static str, &'static str)> {
        self.shutting_down_at?;
        Some(match self.interruption.as_ref().map(|it| &it.cause) {
            None | Some(Cause::User) => ("Client.UserInitiatedShutdown", "User initiated shutdown"),
            Some(_) => ("Server.SpotInstanceTermination", "Spot Instance termination"),
        })
    }
}

/// The names that DescribeSpotInstanceRequests can be filtered by; tags of requests are not simulated.
pub(super) const REQUEST_FILTERS: &[&str] = &[
    "create-time",
    "instance-id",
    "launch.instance-type",
    "launched-availability-zone",
    "product-description",
    "spot-instance-request-id",
    "state",
    "status-code",
    "status-message",
    "type",
];

impl SpotRequest {
    /// The request as an item of `spotInstanceRequestSet`.
    pub(super) fn describe(&self, instance: &Instance) -> Value {
        json!({
            "spotInstanceRequestId": self.id,
            "instanceId": self.instance_id,
            "state": self.state,
            "status": {"code": self.code, "message": self.message(), "updateTime": timestamp(self.updated_at)},
            "createTime": timestamp(self.created_at),
            "type": "one-time",
            "instanceInterruptionBehavior": "terminate",
            "launchedAvailabilityZone": instance.availability_zone,
            "launchSpecification": {"instanceType": instance.instance_type},
            "productDescription": PLATFORM,
            "tagSet": [],
        })
    }

    /// What the request has under the name of a filter.
    pub(super) fn filter_values(&self, instance: &Instance, name: &str) -> Vec<String> {
        let value = match name {
            "create-time" => timestamp(self.created_at),
            "instance-id" => self.instance_id.clone(),
            "launch.instance-type" => instance.instance_type.clone(),
            "launched-availability-zone" => instance.availability_zone.clone(),
            "product-description" => PLATFORM.to_owned(),
            "spot-instance-request-id" => self.id.clone(),
            "state" => self.state.to_owned(),
            "status-code" => self.code.to_owned(),
            "status-message" => self.message().to_owned(),
            "type" => "one-time".to_owned(),
            tag if tag.starts_with("tag:") => return Vec::new(),
            other => panic!("the filter {other} is listed as known, and has no value"),
        };
        vec![value]
    }
}
