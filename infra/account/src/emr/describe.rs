//! EMR's JSON for what it has: clusters, fleets, groups, instances, steps.
//!
//! Separate because these are shapes without rules. Times are numbers: a client that gets text here refuses it.

use serde_json::{Map, Value, json};

use crate::api::{ACCOUNT, REGION, Time};
use crate::ec2::subnet_of;

use super::cluster::{Cluster, ClusterState, Instance, Reason};
use super::input::{epoch, items, texts};
use super::placement;
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
pub(super) fn cluster(cluster: &Cluster, now: Time) -> Value {
    let request = &cluster.request;
    let master = cluster
        .instances
        .iter()
        .find(|i| i.role == Role::Master)
        .map(|i| i.private_dns_name.as_str());
    let instances = &request["Instances"];
    let mut answer = json!({
        "Id": cluster.id,
        "Name": cluster.name,
        "Status": cluster_status(cluster),
        "Ec2InstanceAttributes": ec2_attributes(cluster),
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
        "LogEncryptionKmsKeyId",
        "CustomAmiId",
        "RepoUpgradeOnBoot",
        "OSReleaseLabel",
        "EbsRootVolumeSize",
        "EbsRootVolumeIops",
        "EbsRootVolumeThroughput",
    ] {
        if request[name].is_string() || request[name].is_number() {
            answer[name] = request[name].clone();
        }
    }
    if instances["UnhealthyNodeReplacement"].is_boolean() {
        answer["UnhealthyNodeReplacement"] = instances["UnhealthyNodeReplacement"].clone();
    }
    // The steps of a cluster may begin before it is told that it is up.
    if cluster.state.is_ready()
        && cluster
            .ready_at
            .is_some_and(|at| now < at + cluster.whims.told_ready_after)
    {
        answer["Status"]["State"] = json!(ClusterState::Bootstrapping.as_str());
        answer["Status"]["StateChangeReason"] = json!({});
        answer["Status"]["Timeline"] =
            timeline([("CreationDateTime", Some(cluster.created_at)), ("", None), ("", None)]);
    }
    if let Some(master) = master {
        answer["MasterPublicDnsName"] = json!(master);
    }
    answer
}

/// What a cluster was asked for with, for its instances. Without a subnet EMR chooses one: here the zone's only one.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_Ec2InstanceAttributes.html
fn ec2_attributes(cluster: &Cluster) -> Value {
    let (request, instances) = (&cluster.request, &cluster.request["Instances"]);
    let subnets = placement::subnets(instances);
    let subnet = subnets.first().map(|subnet| (*subnet).to_owned());
    let mut answer = json!({
        "Ec2AvailabilityZone": cluster.availability_zone,
        "Ec2SubnetId": subnet.unwrap_or_else(|| subnet_of(&cluster.availability_zone)),
        "RequestedEc2SubnetIds": subnets,
        "RequestedEc2AvailabilityZones": texts(&instances["Placement"], "AvailabilityZones"),
    });
    if request["JobFlowRole"].is_string() {
        answer["IamInstanceProfile"] = request["JobFlowRole"].clone();
    }
    for name in [
        "Ec2KeyName",
        "EmrManagedMasterSecurityGroup",
        "EmrManagedSlaveSecurityGroup",
        "ServiceAccessSecurityGroup",
        "AdditionalMasterSecurityGroups",
        "AdditionalSlaveSecurityGroups",
    ] {
        if !instances[name].is_null() {
            answer[name] = instances[name].clone();
        }
    }
    answer
}

/// The EBS volumes that a group's or an instance type's configuration adds to each instance. How EMR names the devices is
/// not published: assumed is `/dev/sdb` and the letters that follow, as many as there are.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_EbsConfiguration.html
fn block_devices(config: &Value) -> Vec<Value> {
    let volumes = items(&config["EbsConfiguration"]["EbsBlockDeviceConfigs"]).flat_map(|each| {
        let number = each["VolumesPerInstance"].as_u64().unwrap_or(1);
        (0..number).map(|_| &each["VolumeSpecification"])
    });
    let devices = ('b'..='z').zip(volumes);
    let shown =
        devices.map(|(letter, volume)| json!({"VolumeSpecification": volume, "Device": format!("/dev/sd{letter}")}));
    shown.collect()
}

/// What both a group and an instance type of a fleet show of their configuration.
fn configuration(answer: &mut Value, config: &Value) {
    answer["EbsBlockDevices"] = block_devices(config).into();
    answer["Configurations"] = items(&config["Configurations"]).cloned().collect();
    let optimized = &config["EbsConfiguration"]["EbsOptimized"];
    for (name, value) in [
        ("BidPrice", &config["BidPrice"]),
        ("CustomAmiId", &config["CustomAmiId"]),
        ("EbsOptimized", optimized),
    ] {
        if !value.is_null() {
            answer[name] = value.clone();
        }
    }
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
            "InstanceType": option.instance_type, "WeightedCapacity": option.weight,
        });
        configuration(&mut answer, &option.config);
        for name in ["BidPriceAsPercentageOfOnDemandPrice", "Priority"] {
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
        "Status": pool_status(pool), "ShrinkPolicy": {},
    });
    configuration(&mut answer, &pool.config);
    answer
}

/// The EBS volumes of an instance; EC2 knows nothing of them here, and their ids are made of the instance's.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_EbsVolume.html
fn volumes(cluster: &Cluster, instance: &Instance) -> Vec<Value> {
    let types = cluster.pool(&instance.pool_id).map(|pool| &pool.types);
    let option = types.and_then(|types| {
        types
            .iter()
            .find(|option| option.instance_type == instance.instance_type)
    });
    let devices = option.map(|option| block_devices(&option.config)).unwrap_or_default();
    let tail: String = instance.ec2_instance_id.chars().skip(4).collect();
    let volume = |(number, device): (usize, Value)| json!({"Device": device["Device"], "VolumeId": format!("vol-{number:02x}{tail}")});
    devices.into_iter().enumerate().map(volume).collect()
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
        "Market": market_name(instance.market), "InstanceType": instance.instance_type,
        "EbsVolumes": volumes(cluster, instance),
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
