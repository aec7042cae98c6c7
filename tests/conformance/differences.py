#!/usr/bin/env python3
"""What AWS does and the served account once did otherwise: what it keeps, refuses, and in which words.

In the environment of `serve --pace held`. Each case is from AWS's documents, from botocore's model, or from what others saw
of AWS. What the account does not offer must say so, with its name.
"""

import os

import boto3
import botocore.exceptions
import urllib3
from botocore.config import Config

from judge import CONFIG, Client, check, not_ok, sleep

BUCKET = os.environ["S3_BUCKET"]
CLUSTER = os.environ["EMRClusterID"]
GROUP = os.environ["LOG_GROUP"]


def error(client, operation, **parameters):
    """The answer to a call that must be refused."""
    try:
        getattr(client.client, client.names[operation])(**parameters)
    except botocore.exceptions.ClientError as refusal:
        return refusal.response
    return {"Error": {"Code": None, "Message": "it succeeded"}, "ResponseMetadata": {"HTTPStatusCode": 200}}


def refused(client, what, code, words, operation, **parameters):
    """A call that must be refused with this code, in these words."""
    answer = error(client, operation, **parameters)["Error"]
    right = answer["Code"] == code and words in answer.get("Message", "")
    check(f"{client.service} {operation} {what} is refused with {code}", right, answer)


def not_offered(client, name, operation, **parameters):
    """A call that must say that the account does not offer this."""
    answer = error(client, operation, **parameters)
    right = answer["ResponseMetadata"]["HTTPStatusCode"] == 501 and name in answer["Error"].get("Message", "")
    check(f"{client.service} {operation} says that {name} is not offered", right, answer["Error"])


GROUPS = [
    {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
    {"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": 1},
]


def request(groups=None, instances=None, **more):
    """A request for a cluster of groups."""
    instances = {"InstanceGroups": groups or GROUPS, "KeepJobFlowAliveWhenNoSteps": True, **(instances or {})}
    return {"Name": "differences", "ReleaseLabel": "emr-6.15.0", "JobFlowRole": "EMR_EC2_DefaultRole",
            "ServiceRole": "EMR_DefaultRole", "Instances": instances, **more}


def emr_refusals(emr):
    for operation, name, words in [("ListClusters", "ClusterStates", "Cluster"), ("ListSteps", "StepStates", "Step"),
                                   ("ListInstances", "InstanceStates", "Instance")]:
        cluster = {} if operation == "ListClusters" else {"ClusterId": CLUSTER}
        refused(emr, "of a wrong state", "InvalidRequestException", f"{words} states [WAITNG] are not valid.", operation,
                **cluster, **{name: ["RUNNING", "WAITNG"]})
    answer = error(emr, "DescribeCluster", ClusterId="j-0000000000000")
    check("emr an unknown cluster has its ErrorCode", answer.get("ErrorCode") == "NoSuchCluster", answer)
    answer = error(emr, "ListInstanceGroups", ClusterId=CLUSTER)
    right = answer.get("ErrorCode") == "API_DOES_NOT_SUPPORT_INSTANCE_FLEET_CLUSTERS"
    check("emr a cluster of fleets has no groups to list", right and "Use the ListInstanceFleets" in answer["Error"]["Message"], answer)
    refused(emr, "of two versions", "ValidationException", "Only one AMI version and release label", "RunJobFlow",
            **request(AmiVersion="3.11.0"))
    refused(emr, "of no release", "ValidationException", "release label", "RunJobFlow", **{**request(), "ReleaseLabel": "emr-six"})
    refused(emr, "of an AMI before its release", "ValidationException", "Custom AMI", "RunJobFlow",
            **{**request(CustomAmiId="ami-12345678"), "ReleaseLabel": "emr-5.6.0"})
    refused(emr, "in no zone", "ValidationException", "availability zone", "RunJobFlow",
            **request(instances={"Placement": {"AvailabilityZone": "us-sim-1z"}}))
    refused(emr, "of two primary nodes", "ValidationException", "exactly 3 instances", "RunJobFlow",
            **request([{**GROUPS[0], "InstanceCount": 2}, GROUPS[1]]))
    refused(emr, "of a long tag", "InvalidRequestException", "256", "AddTags", ResourceId=CLUSTER,
            Tags=[{"Key": "a", "Value": "x" * 257}])
    policy = {"Constraints": {"MinCapacity": 1, "MaxCapacity": 2},
              "Rules": [{"Name": "r", "Action": {"SimpleScalingPolicyConfiguration": {"ScalingAdjustment": 1}},
                         "Trigger": {"CloudWatchAlarmDefinition": {"ComparisonOperator": "GREATER_THAN", "MetricName": "m",
                                                                   "Period": 300, "Threshold": 1.0}}}]}
    not_offered(emr, "AutoScalingPolicy", "RunJobFlow", **request([GROUPS[0], {**GROUPS[1], "AutoScalingPolicy": policy}]))
    not_offered(emr, "AutoTerminationPolicy", "RunJobFlow", **request(AutoTerminationPolicy={"IdleTimeout": 600}))


def emr_clusters(emr):
    ebs = {"EbsOptimized": True, "EbsBlockDeviceConfigs": [
        {"VolumeSpecification": {"VolumeType": "gp3", "SizeInGB": 64}, "VolumesPerInstance": 2}]}
    settings = [{"Classification": "spark-defaults", "Properties": {"spark.executor.memory": "2g"}}]
    network = {"Ec2SubnetId": "subnet-00000000000051a1b", "EmrManagedMasterSecurityGroup": "sg-1",
               "EmrManagedSlaveSecurityGroup": "sg-2", "AdditionalSlaveSecurityGroups": ["sg-3"]}
    groups = [GROUPS[0], {**GROUPS[1], "EbsConfiguration": ebs, "Configurations": settings}]
    made = emr.call("RunJobFlow", **request(groups, network, EbsRootVolumeSize=40))["JobFlowId"]
    shown = emr.call("DescribeCluster", ClusterId=made)["Cluster"]
    network["RequestedEc2SubnetIds"] = [network["Ec2SubnetId"]]
    attributes = {name: shown["Ec2InstanceAttributes"].get(name) for name in network}
    check("emr the network is shown", attributes == network, attributes)
    check("emr a subnet has its zone", shown["Ec2InstanceAttributes"]["Ec2AvailabilityZone"] == "us-sim-1b", shown)
    check("emr the root volume is shown", shown.get("EbsRootVolumeSize") == 40, shown)
    core = next(group for group in emr.call("ListInstanceGroups", ClusterId=made)["InstanceGroups"]
                if group["InstanceGroupType"] == "CORE")
    devices = [device["VolumeSpecification"]["SizeInGB"] for device in core["EbsBlockDevices"]]
    check("emr the group's volumes are shown", devices == [64, 64] and core.get("EbsOptimized") is True, core)
    check("emr the group's configuration is shown", core["Configurations"] == settings, core)
    refused(emr, "while it starts", "ValidationException", "may only be modified when the cluster is running or waiting",
            "ModifyInstanceGroups", ClusterId=made, InstanceGroups=[{"InstanceGroupId": core["Id"], "InstanceCount": 2}])
    three = emr.call("RunJobFlow", **request([{**GROUPS[0], "InstanceCount": 3}, GROUPS[1]],
                                             {"KeepJobFlowAliveWhenNoSteps": False}))["JobFlowId"]
    shown = emr.call("DescribeCluster", ClusterId=three)["Cluster"]
    check("emr three primary nodes are protected", shown["TerminationProtected"] and not shown["AutoTerminate"], shown)
    check("emr a cluster has a subnet", shown["Ec2InstanceAttributes"]["Ec2SubnetId"].startswith("subnet-"), shown)
    types = [{"InstanceType": "r6g.xlarge", "EbsConfiguration": ebs, "Configurations": settings}]
    fleets = [{"InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1, "InstanceTypeConfigs": types}]
    asked = request(instances={"InstanceFleets": fleets})
    del asked["Instances"]["InstanceGroups"]
    arm = emr.call("RunJobFlow", **asked)["JobFlowId"]
    fleet = emr.call("ListInstanceFleets", ClusterId=arm)["InstanceFleets"][0]["InstanceTypeSpecifications"][0]
    right = len(fleet["EbsBlockDevices"]) == 2 and fleet.get("Configurations") == settings
    check("emr the type's volumes and configuration are shown", right, fleet)
    sleep(60)
    instance = emr.call("ListInstances", ClusterId=arm)["Instances"][0]
    check("emr an instance has its volumes", len(instance["EbsVolumes"]) == 2, instance)
    for cluster in (made, arm):
        emr.call("TerminateJobFlows", JobFlowIds=[cluster])
    return instance["Ec2InstanceId"]


def ec2(ec2, arm):
    found = ec2.call("DescribeInstances", InstanceIds=[arm, arm])["Reservations"]
    check("ec2 an instance that is named twice is shown once", len(found) == 1, found)
    shown = found[0]["Instances"][0]
    right = shown["Architecture"] == "arm64" and shown["CpuOptions"] == {"CoreCount": 4, "ThreadsPerCore": 1}
    check("ec2 a Graviton processor is one", right, shown)
    filters = [{"Name": "architecture", "Values": ["arm64"]}, {"Name": "tenancy", "Values": ["default"]}]
    found = ec2.call("DescribeInstances", Filters=filters)["Reservations"]
    check("ec2 an architecture is filtered by", [one["Instances"][0]["InstanceId"] for one in found] == [arm], found)
    not_offered(ec2, "network-interface.status", "DescribeInstances", Filters=[{"Name": "network-interface.status", "Values": ["x"]}])
    not_offered(ec2, "image-id", "DescribeInstances", Filters=[{"Name": "image-id", "Values": ["ami-1"]}])
    not_offered(ec2, "spot-price", "DescribeSpotInstanceRequests", Filters=[{"Name": "spot-price", "Values": ["1"]}])
    refused(ec2, "of none", "InvalidParameterCombination", "No instances specified", "TerminateInstances", InstanceIds=[])
    refused(ec2, "of nothing", "MissingParameter", "resourceIdSet", "CreateTags", Resources=[], Tags=[{"Key": "a", "Value": "b"}])
    refused(ec2, "of a long value", "InvalidParameterValue", "256", "CreateTags", Resources=[arm],
            Tags=[{"Key": "a", "Value": "x" * 257}])


def fis(fis):
    template = fis.call(
        "CreateExperimentTemplate", description="d", roleArn="arn:aws:iam::000000000000:role/r", targets={},
        stopConditions=[{"source": "none"}], actions={"a": {"actionId": "aws:fis:wait", "parameters": {"duration": "PT1M"}}})
    started = fis.call("StartExperiment", experimentTemplateId=template["experimentTemplate"]["id"])["experiment"]
    right = started["state"]["status"] == "initiating" and "startTime" in started
    check("fis an experiment is initiating when it is started", right, started)
    sleep(90)
    ended = fis.call("GetExperiment", id=started["id"])["experiment"]
    check("fis it has begun at once", ended["startTime"] == started["startTime"] and "endTime" in ended, ended)


def logs(logs):
    refused(logs, "by time and prefix", "InvalidParameterException", "LastEventTime", "DescribeLogStreams", logGroupName=GROUP,
            orderBy="LastEventTime", logStreamNamePrefix="x")
    refused(logs, "in no order", "InvalidParameterException", "Value 'Size' at 'orderBy' failed", "DescribeLogStreams",
            logGroupName=GROUP, orderBy="Size")
    refused(logs, "of too many", "InvalidParameterException",
            "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less "
            "than or equal to 10000", "FilterLogEvents", logGroupName=GROUP, limit=10001)
    events = Client("events")
    entry = {"Source": "a", "DetailType": "b", "Detail": "{}"}
    refused(events, "of too many", "ValidationException", "at 'entries' failed to satisfy constraint: Member must have length less",
            "PutEvents", Entries=[entry] * 11)
    refused(events, "of too many", "ValidationException", "Value '101' at 'limit'", "ListRules", Limit=101)


def s3_objects(s3):
    bucket = "differences"
    s3.call("CreateBucket", Bucket=bucket)
    at = {"Bucket": bucket, "Key": "a"}
    s3.call("PutObject", **at, Body=b"hello", StorageClass="STANDARD_IA", ContentLanguage="de",
            Expires="Thu, 01 Dec 2030 16:00:00 GMT", WebsiteRedirectLocation="/b")
    for operation in ("GetObject", "HeadObject"):
        shown = s3.call(operation, **at)
        kept = [shown.get(name) for name in ("StorageClass", "ContentLanguage", "WebsiteRedirectLocation")]
        right = kept == ["STANDARD_IA", "de", "/b"] and "ExpiresString" in shown
        check(f"s3 {operation} gives back what came with the object", right, shown)
    listed = s3.call("ListObjectsV2", Bucket=bucket)["Contents"][0]
    check("s3 a listing has the storage class", listed["StorageClass"] == "STANDARD_IA", listed)
    s3.call("CopyObject", Bucket=bucket, Key="copy", CopySource=at)
    shown = s3.call("HeadObject", Bucket=bucket, Key="copy")
    check("s3 the storage class is not copied", "StorageClass" not in shown and shown.get("ContentLanguage") == "de", shown)
    refused(s3, "of a wrong class", "InvalidStorageClass", "not valid", "PutObject", **at, StorageClass="FAST")
    not_offered(s3, "GLACIER", "PutObject", **at, StorageClass="GLACIER")
    not_offered(s3, "x-amz-tagging", "PutObject", **at, Tagging="a=b")
    not_offered(s3, "x-amz-object-lock-mode", "CreateMultipartUpload", **at, ObjectLockMode="GOVERNANCE",
                ObjectLockRetainUntilDate=2000000000)
    for operation in ("DeleteObject", "GetObject"):
        refused(s3, "of no version", "InvalidArgument", "Invalid version id specified", operation, **at, VersionId="x" * 32)
    refused(s3, "of no version", "InvalidArgument", "Invalid version id", "CopyObject", Bucket=bucket, Key="c",
            CopySource={**at, "VersionId": "x" * 32})
    many = s3.call("DeleteObjects", Bucket=bucket, Delete={"Objects": [
        {"Key": "a", "VersionId": "x" * 32}, {"Key": "a", "ETag": '"other"'}, {"Key": "copy", "VersionId": "null"}]})
    codes = [one["Code"] for one in many.get("Errors", [])]
    right = codes == ["NoSuchVersion", "PreconditionFailed"] and [one["Key"] for one in many["Deleted"]] == ["copy"]
    check("s3 keys of no version stay", right, many)
    check("s3 what was not meant is still there", s3.call("GetObject", **at)["Body"].read() == b"hello")
    answer = s3.call("GetObject", **at, Range="bytes=1-0")
    check("s3 a range that is none is the whole", answer["Body"].read() == b"hello" and "ContentRange" not in answer, answer)
    answer = s3.call("GetObject", **at, PartNumber=1)
    right = answer["ResponseMetadata"]["HTTPStatusCode"] == 206 and answer.get("ContentRange") == "bytes 0-4/5"
    check("s3 an object is its own first part", right, answer)
    refused(s3, "of no part", "InvalidPartNumber", "not satisfiable", "GetObject", **at, PartNumber=2)
    for key in ("a\x01b", "c d/e+f&ü"):
        s3.call("PutObject", Bucket=bucket, Key=key, Body=b"")
    keys = {one["Key"] for one in s3.call("ListObjectsV2", Bucket=bucket)["Contents"]}
    check("s3 a key may have any character", keys == {"a", "a\x01b", "c d/e+f&ü"}, keys)
    old = s3.call("ListObjects", Bucket=bucket, Delimiter="/", Prefix="c ")
    check("s3 prefixes are encoded too", [one["Prefix"] for one in old["CommonPrefixes"]] == ["c d/"], old)
    for key in keys:
        s3.call("DeleteObject", Bucket=bucket, Key=key)
    s3.call("DeleteBucket", Bucket=bucket)


def s3_uploads(s3):
    at = {"Bucket": BUCKET, "Key": "differences"}
    upload = {**at, "UploadId": s3.call("CreateMultipartUpload", **at, StorageClass="STANDARD_IA")["UploadId"]}
    bodies = [b"x" * 5_242_880, b"tail"]
    parts = [{"PartNumber": number, "ETag": s3.call("UploadPart", **upload, PartNumber=number, Body=body)["ETag"]}
             for number, body in enumerate(bodies, 1)]
    first = s3.call("CompleteMultipartUpload", **upload, MultipartUpload={"Parts": parts})
    again = s3.call("CompleteMultipartUpload", **upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
    check("s3 an upload is completed twice as once", first["ETag"] == again.get("ETag"), again)
    refused(s3, "of other parts", "NoSuchUpload", "does not exist", "CompleteMultipartUpload", **upload,
            MultipartUpload={"Parts": parts[:1]})
    answer = s3.call("GetObject", **at, PartNumber=2)
    right = answer.get("PartsCount") == 2 and answer.get("ContentRange") == "bytes 5242880-5242883/5242884"
    check("s3 a part is read by its number", right and answer["Body"].read() == b"tail", answer)
    head = s3.call("HeadObject", **at, PartNumber=1)
    check("s3 and its size", head["ContentLength"] == 5_242_880 and head.get("StorageClass") == "STANDARD_IA", head)
    s3.call("DeleteObject", **at)


def s3_buckets(s3):
    refused(s3, "elsewhere", "IllegalLocationConstraintException", "eu-west-1", "CreateBucket", Bucket="elsewhere",
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for name in ("page-a", "page-b", "page-c"):
        s3.call("CreateBucket", Bucket=name)
    page = s3.call("ListBuckets", Prefix="page-", MaxBuckets=2)
    names = [one["Name"] for one in page["Buckets"]]
    rest = s3.call("ListBuckets", Prefix="page-", MaxBuckets=2, ContinuationToken=page.get("ContinuationToken", "x"))
    names += [one["Name"] for one in rest["Buckets"]]
    right = names == ["page-a", "page-b", "page-c"] and "ContinuationToken" not in rest
    check("s3 buckets come in pages", right, (page, rest))
    for name in ("page-a", "page-b", "page-c"):
        s3.call("DeleteBucket", Bucket=name)
    answer = error(s3, "GetObject", Bucket=BUCKET, Key="no such/key")["Error"]
    check("s3 an error names the key", answer.get("Key") == "no such/key", answer)
    answer = error(s3, "ListObjectsV2", Bucket="no-such-bucket")["Error"]
    check("s3 an error names the bucket", answer.get("BucketName") == "no-such-bucket", answer)
    answer = error(s3, "PutObject", Bucket=BUCKET, Key="script.py", Body=b"", IfNoneMatch="*")["Error"]
    check("s3 an error names the condition", answer.get("Condition") == "If-None-Match", answer)


def dynamodb(dynamodb):
    arn = dynamodb.call("DescribeTable", TableName="spot-drill-Ledger")["Table"]["TableArn"]
    key = {"pk": {"S": "a"}, "sk": {"S": "differences"}}
    dynamodb.call("PutItem", TableName=arn, Item=key)
    found = dynamodb.call("GetItem", TableName=arn, Key=key).get("Item")
    check("dynamodb an ARN names its table", found == key, found)
    dynamodb.call("DeleteItem", TableName=arn, Key=key)


def region():
    calls = {"emr": ("list_clusters", "InvalidSignatureException"), "ec2": ("describe_instances", "AuthFailure"),
             "fis": ("list_experiments", "InvalidSignatureException"), "dynamodb": ("list_tables", "InvalidSignatureException"),
             "cloudformation": ("describe_stacks", "SignatureDoesNotMatch"), "s3": ("list_buckets", "AuthorizationHeaderMalformed")}
    for service, (method, code) in calls.items():
        try:
            getattr(boto3.client(service, region_name="eu-west-1", config=CONFIG), method)()
            not_ok(f"{service} a call of another Region", "it succeeded")
        except botocore.exceptions.ClientError as refusal:
            said = refusal.response["Error"]
            right = said["Code"] == code and "eu-west-1" in said["Message"] and os.environ["AWS_REGION"] in said["Message"]
            check(f"{service} a call of another Region is refused", right, said)
    signed = CONFIG.merge(Config(signature_version="s3v4"))
    link = boto3.client("s3", region_name="eu-west-1", config=signed).generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "script.py"})
    check("s3 a link of another Region is refused", urllib3.request("GET", link).status == 400)


def main():
    emr, storage = Client("emr"), Client("s3")
    arm = []
    parts = [
        lambda: emr_refusals(emr), lambda: arm.append(emr_clusters(emr)), lambda: ec2(Client("ec2"), arm[0]),
        lambda: fis(Client("fis")), lambda: logs(Client("logs")), lambda: s3_objects(storage), lambda: s3_uploads(storage),
        lambda: s3_buckets(storage), lambda: dynamodb(Client("dynamodb")), region,
    ]
    for number, part in enumerate(parts):
        try:
            part()
        except Exception as failure:
            not_ok(f"part {number} as a whole", f"{type(failure).__name__}: {failure}")


main()
