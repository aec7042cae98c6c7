//! EMR's JSON for what it has: clusters, fleets, groups, instances, steps.
//!
//! Separate because these are shapes without rules. Times are numbers: a client that gets text here refuses it.

use serde_json::{Map, Value, json};

use crate::api::{ACCOUNT, REGION, Time};

use super::cluster::{Cluster, Instance, Reason};
use super::input::{epoch, items};
use super::pool::{Collection, Pool, Role, market_name};
use super::run_job_flow::step_properties;
use super::step::{Step, StepState};

/// A cluster's ARN.
pub(super) fn cluster_arn(id: &str) -> String {
    format!("arn:aws:elasticmapreduce:{REGION}:{ACCOUNT}:cluster/{id}")
}

fn timeline(times: [(&str, Option<Time>); 3]) -> Value {
    let known = times
        .into_iter()
        .filter_map(|(name, time)| Some((name.to_owned(), epoch(time?))));
    Value::Object(known.collect::<Map<_, _>>())
}

fn reason(reason: &Reason) -> Value {
    let parts = [("Code", &reason.code), ("Message", &reason.message)];
    let known = parts.into_iter().filter(|(_, text)| !text.is_empty());
    Value::Object(
        known
            .map(|(name, text)| (name.to_owned(), json!(text)))
            .collect::<Map<_, _>>(),
    )
}

fn cluster_status(cluster: &Cluster) -> Value {
    json!({
        "State": cluster.state.as_str(),
        "StateChangeReason": reason(&cluster.reason),
        "Timeline": timeline([
            ("CreationDateTime", Some(cluster.created_at)),
            ("ReadyDateTime", cluster.ready_at),
            ("EndDateTime", cluster.ended_at),
        ]),
    })
}

/// An entry of ListClusters.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ClusterSummary.html
pub(super) fn cluster_summary(cluster: &Cluster) -> Value {
    json!({
        "Id": cluster.id, "Name": cluster.name, "Status": cluster_status(cluster),
        "NormalizedInstanceHours": 0, "ClusterArn": cluster_arn(&cluster.id),
    })
}

/// DescribeCluster's `Cluster`. Normalized instance hours are not counted.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_Cluster.html
pub(super) fn cluster(cluster: &Cluster) -> Value {
    let request = &cluster.request;
    let master = cluster
        .instances
        .iter()
        .find(|i| i.role == Role::Master)
        .map(|i| i.private_dns_name.as_str());
    let subnets = &request["Instances"]["Ec2SubnetIds"];
    let mut answer = json!({
        "Id": cluster.id,
        "Name": cluster.name,
        "Status": cluster_status(cluster),
        "Ec2InstanceAttributes": {
            "Ec2AvailabilityZone": cluster.availability_zone,
            "RequestedEc2SubnetIds": items(subnets).collect::<Vec<_>>(),
            "RequestedEc2AvailabilityZones": [],
        },
        "InstanceCollectionType": match cluster.collection {
            Collection::Fleet => "INSTANCE_FLEET",
            Collection::Group => "INSTANCE_GROUP",
        },
        "AutoTerminate": !cluster.keep_alive,
        "TerminationProtected": cluster.termination_protected,
        "VisibleToAllUsers": true,
        "Applications": items(&request["Applications"]).collect::<Vec<_>>(),
        "Tags": cluster.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect::<Vec<_>>(),
        "NormalizedInstanceHours": 0,
        "Configurations": items(&request["Configurations"]).collect::<Vec<_>>(),
        "ScaleDownBehavior": "TERMINATE_AT_TASK_COMPLETION",
        "ClusterArn": cluster_arn(&cluster.id),
        "StepConcurrencyLevel": cluster.step_concurrency,
    });
    for name in [
        "LogUri",
        "ReleaseLabel",
        "ServiceRole",
        "SecurityConfiguration",
        "AutoScalingRole",
        "ScaleDownBehavior",
    ] {
        if request[name].is_string() {
            answer[name] = request[name].clone();
        }
    }
    if let Some(master) = master {
        answer["MasterPublicDnsName"] = json!(master);
    }
    let attributes = [
        ("IamInstanceProfile", &request["JobFlowRole"]),
        ("Ec2KeyName", &request["Instances"]["Ec2KeyName"]),
    ];
    for (name, value) in attributes.into_iter().filter(|(_, value)| value.is_string()) {
        answer["Ec2InstanceAttributes"][name] = value.clone();
    }
    answer
}

fn pool_status(pool: &Pool) -> Value {
    json!({
        "State": pool.state.as_str(pool.collection),
        "StateChangeReason": {"Message": ""},
        "Timeline": timeline([
            ("CreationDateTime", Some(pool.created_at)),
            ("ReadyDateTime", pool.ready_at),
            ("EndDateTime", pool.ended_at),
        ]),
    })
}

/// An entry of ListInstanceFleets.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_InstanceFleet.html
pub(super) fn fleet(cluster: &Cluster, pool: &Pool) -> Value {
    let provisioned = cluster.provisioned(&pool.id);
    let types = pool.types.iter().map(|option| {
        let mut answer = json!({
            "InstanceType": option.instance_type, "WeightedCapacity": option.weight, "EbsBlockDevices": [],
        });
        for name in [
            "BidPrice",
            "BidPriceAsPercentageOfOnDemandPrice",
            "Priority",
            "CustomAmiId",
        ] {
            if !option.config[name].is_null() {
                answer[name] = option.config[name].clone();
            }
        }
        answer
    });
    let mut answer = json!({
        "Id": pool.id, "Name": pool.name, "Status": pool_status(pool), "InstanceFleetType": pool.role.as_str(),
        "TargetOnDemandCapacity": pool.target.on_demand, "TargetSpotCapacity": pool.target.spot,
        "ProvisionedOnDemandCapacity": provisioned.on_demand, "ProvisionedSpotCapacity": provisioned.spot,
        "InstanceTypeSpecifications": types.collect::<Vec<_>>(),
    });
    for name in ["LaunchSpecifications", "ResizeSpecifications"] {
        if pool.config[name].is_object() {
            answer[name] = pool.config[name].clone();
        }
    }
    answer
}

/// An entry of ListInstanceGroups.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_InstanceGroup.html
pub(super) fn group(cluster: &Cluster, pool: &Pool) -> Value {
    let mut answer = json!({
        "Id": pool.id, "Name": pool.name, "Market": market_name(pool.group_market()),
        "InstanceGroupType": pool.role.as_str(),
        "InstanceType": pool.types.first().map(|option| option.instance_type.as_str()),
        "RequestedInstanceCount": pool.target.total(), "RunningInstanceCount": cluster.running(&pool.id).total(),
        "Status": pool_status(pool), "Configurations": [], "EbsBlockDevices": [], "ShrinkPolicy": {},
    });
    if pool.config["BidPrice"].is_string() {
        answer["BidPrice"] = pool.config["BidPrice"].clone();
    }
    answer
}

/// An entry of ListInstances.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_Instance.html
pub(super) fn instance(cluster: &Cluster, instance: &Instance) -> Value {
    let mut answer = json!({
        "Id": instance.id, "Ec2InstanceId": instance.ec2_instance_id,
        "PublicDnsName": "", "PrivateDnsName": instance.private_dns_name, "PrivateIpAddress": instance.private_ip,
        "Status": {
            "State": instance.state.as_str(),
            "StateChangeReason": reason(&instance.reason),
            "Timeline": timeline([
                ("CreationDateTime", Some(instance.created_at)),
                ("ReadyDateTime", instance.ready_at),
                ("EndDateTime", instance.ended_at),
            ]),
        },
        "Market": market_name(instance.market), "InstanceType": instance.instance_type, "EbsVolumes": [],
    });
    let name = match cluster.collection {
        Collection::Fleet => "InstanceFleetId",
        Collection::Group => "InstanceGroupId",
    };
    answer[name] = json!(instance.pool_id);
    answer
}

/// A step, as DescribeStep and ListSteps give it.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_Step.html
pub(super) fn step(cluster: &Cluster, step: &Step) -> Value {
    let mut config = json!({"Jar": step.jar, "Properties": step_properties(&step.config), "Args": step.args});
    if step.config["MainClass"].is_string() {
        config["MainClass"] = step.config["MainClass"].clone();
    }
    let mut status = json!({
        "State": step.state.as_str(),
        "StateChangeReason": {},
        "Timeline": timeline([
            ("CreationDateTime", Some(step.created_at)),
            ("StartDateTime", step.started_at),
            ("EndDateTime", step.ended_at),
        ]),
    });
    if step.state == StepState::Failed {
        //= https://docs.aws.amazon.com/emr/latest/APIReference/API_FailureDetails.html
        let mut failure = json!({"Reason": "Unknown Error.", "Message": step.failure});
        if let Some(folder) = cluster.step_log_uri(&step.id) {
            failure["LogFile"] = json!(format!("{folder}stderr.gz"));
        }
        status["FailureDetails"] = failure;
    }
    let mut answer = json!({
        "Id": step.id, "Name": step.name, "Config": config, "ActionOnFailure": step.action_on_failure,
        "Status": status,
    });
    // Assumed: only what the step itself was given.
    for name in ["LogUri", "EncryptionKeyArn"] {
        if step.own_logs[name].is_string() {
            answer[name] = step.own_logs[name].clone();
        }
    }
    if step.started_at.is_some() && cluster.names_applications() {
        let primary = cluster.instances.iter().find(|one| one.role == Role::Master);
        //= https://docs.aws.amazon.com/emr/latest/APIReference/API_StepAdditionalInfo.html
        answer["AdditionalInfo"] = json!({
            "ResourceManagerApplicationIds": step.application_id.iter().collect::<Vec<_>>(),
            "ResourceManager": primary.map(|one| &one.private_dns_name),
        });
    }
    answer
}
