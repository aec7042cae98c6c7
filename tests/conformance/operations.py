#!/usr/bin/env python3
"""Calls every operation that `serve` offers once, with botocore's parameters and parsing, and every other operation of the
same services, which must say that it is missing.

In the environment of `serve --pace held`.
"""

import json
import os
import re

import botocore.auth
import botocore.awsrequest
import botocore.session
import urllib3

from judge import ENDPOINT, Client, check, not_ok, sleep

BUCKET = os.environ["S3_BUCKET"]
CLUSTER = os.environ["EMRClusterID"]
GROUP = os.environ["LOG_GROUP"]
ARGS = ["spark-submit", "--deploy-mode", "cluster", f"s3://{BUCKET}/script.py", f"s3://{BUCKET}/resultsspot/"]
STEP = {"Name": "boto", "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ARGS}}


def fis(c, ec2):
    role = "arn:aws:iam::000000000000:role/r"
    template = c.call(
        "CreateExperimentTemplate", description="boto", roleArn=role, stopConditions=[{"source": "none"}],
        targets={"t": {"resourceType": "aws:ec2:spot-instance", "selectionMode": "COUNT(1)",
                       "resourceTags": {"aws:elasticmapreduce:instance-group-role": "TASK"},
                       "filters": [{"path": "State.Name", "values": ["running"]}]}},
        actions={"a": {"actionId": "aws:ec2:send-spot-instance-interruptions", "targets": {"SpotInstances": "t"},
                       "parameters": {"durationBeforeInterruption": "PT2M"}}},
        tags={"Name": "boto"})["experimentTemplate"]
    c.call("GetExperimentTemplate", id=template["id"])
    c.call("ListExperimentTemplates")
    experiment = c.call("StartExperiment", experimentTemplateId=template["id"], tags={"a": "b"})["experiment"]
    sleep(20)
    c.call("GetExperiment", id=experiment["id"])
    c.call("ListExperimentResolvedTargets", experimentId=experiment["id"])
    c.call("ListExperiments")
    c.call("StopExperiment", id=experiment["id"])
    updated = c.call("UpdateExperimentTemplate", id=template["id"], description="changed")["experimentTemplate"]
    check("fis an update changes what it names alone",
          (updated["description"], updated["targets"]) == ("changed", template["targets"]), updated)
    c.call("TagResource", resourceArn=template["arn"], tags={"x": "y"})
    tags = c.call("ListTagsForResource", resourceArn=template["arn"])["tags"]
    check("fis tags are kept", tags == {"Name": "boto", "x": "y"}, tags)
    c.call("UntagResource", resourceArn=template["arn"], tagKeys=["x"])
    c.call("GetAction", id="aws:ec2:send-spot-instance-interruptions")
    c.call("ListActions")
    c.call("GetSafetyLever", id="default")
    c.call("UpdateSafetyLeverState", id="default", state={"status": "engaged", "reason": "test"})
    c.call("UpdateSafetyLeverState", id="default", state={"status": "disengaged", "reason": "test"})
    c.call("DeleteExperimentTemplate", id=template["id"])


def emr(c):
    c.call("ListClusters", ClusterStates=["WAITING"])
    c.call("DescribeCluster", ClusterId=CLUSTER)
    c.call("ListBootstrapActions", ClusterId=CLUSTER)
    c.call("ListInstances", ClusterId=CLUSTER, InstanceFleetType="TASK", InstanceStates=["RUNNING"])
    fleets = c.call("ListInstanceFleets", ClusterId=CLUSTER)["InstanceFleets"]
    step = c.call("AddJobFlowSteps", JobFlowId=CLUSTER, Steps=[STEP, STEP])["StepIds"][1]
    c.call("DescribeStep", ClusterId=CLUSTER, StepId=step)
    c.call("ListSteps", ClusterId=CLUSTER)
    c.call("CancelSteps", ClusterId=CLUSTER, StepIds=[step])
    c.call("GetManagedScalingPolicy", ClusterId=CLUSTER)
    limits = {"UnitType": "InstanceFleetUnits", "MinimumCapacityUnits": 4, "MaximumCapacityUnits": 40,
              "MaximumOnDemandCapacityUnits": 4, "MaximumCoreCapacityUnits": 4}
    c.call("PutManagedScalingPolicy", ClusterId=CLUSTER, ManagedScalingPolicy={"ComputeLimits": limits})
    c.call("RemoveManagedScalingPolicy", ClusterId=CLUSTER)
    task = next(fleet["Id"] for fleet in fleets if fleet["InstanceFleetType"] == "TASK")
    c.call("ModifyInstanceFleet", ClusterId=CLUSTER, InstanceFleet={"InstanceFleetId": task, "TargetSpotCapacity": 16})
    c.call("AddTags", ResourceId=CLUSTER, Tags=[{"Key": "a", "Value": "b"}])
    c.call("RemoveTags", ResourceId=CLUSTER, TagKeys=["a"])
    c.call("ModifyCluster", ClusterId=CLUSTER, StepConcurrencyLevel=2)
    groups = [
        {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1, "Market": "ON_DEMAND"},
        {"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": 1, "Market": "ON_DEMAND"},
        {"InstanceRole": "TASK", "InstanceType": "m5.xlarge", "InstanceCount": 2, "Market": "SPOT"},
    ]
    other = c.call("RunJobFlow", Name="groups", ReleaseLabel="emr-6.15.0", Applications=[{"Name": "Spark"}],
                   JobFlowRole="EMR_EC2_DefaultRole", ServiceRole="EMR_DefaultRole",
                   Instances={"InstanceGroups": groups, "KeepJobFlowAliveWhenNoSteps": True})["JobFlowId"]
    sleep(600)
    groups = c.call("ListInstanceGroups", ClusterId=other)["InstanceGroups"]
    task = next(group["Id"] for group in groups if group["InstanceGroupType"] == "TASK")
    c.call("ModifyInstanceGroups", ClusterId=other, InstanceGroups=[{"InstanceGroupId": task, "InstanceCount": 1}])
    c.call("SetTerminationProtection", JobFlowIds=[other], TerminationProtected=True)
    c.call("SetTerminationProtection", JobFlowIds=[other], TerminationProtected=False)
    c.call("TerminateJobFlows", JobFlowIds=[other])
    sleep(600)
    state = c.call("DescribeCluster", ClusterId=other)["Cluster"]["Status"]["State"]
    check("emr the cluster is terminated", state == "TERMINATED", state)


def ec2(c):
    role = {"Name": "tag:aws:elasticmapreduce:instance-group-role", "Values": ["TASK"]}
    running = {"Name": "instance-state-name", "Values": ["running"]}
    found = c.call("DescribeInstances", Filters=[role, running])["Reservations"]
    ids = [instance["InstanceId"] for reservation in found for instance in reservation["Instances"]]
    c.call("DescribeSpotInstanceRequests", Filters=[{"Name": "instance-id", "Values": ids[:1]}])
    c.call("CreateTags", Resources=ids[:1], Tags=[{"Key": "a", "Value": "b"}])
    tags = c.call("DescribeTags", Filters=[{"Name": "resource-id", "Values": ids[:1]}])["Tags"]
    check("ec2 the tag is there", any(tag["Key"] == "a" for tag in tags), tags)
    changes = c.call("TerminateInstances", InstanceIds=ids[-1:])["TerminatingInstances"]
    check("ec2 it shuts down", changes[0]["CurrentState"]["Name"] == "shutting-down", changes)


def s3(c):
    c.call("ListBuckets")
    c.call("CreateBucket", Bucket="boto-bucket", CreateBucketConfiguration={"LocationConstraint": "us-sim-1"})
    c.call("HeadBucket", Bucket="boto-bucket")
    c.call("GetBucketLocation", Bucket="boto-bucket")
    c.call("GetBucketVersioning", Bucket="boto-bucket")
    c.call("PutObject", Bucket="boto-bucket", Key="a b/ü+%.txt", Body=b"hello", Metadata={"k": "v"})
    body = c.call("GetObject", Bucket="boto-bucket", Key="a b/ü+%.txt")["Body"].read()
    check("s3 the bytes come back", body == b"hello", body)
    c.call("HeadObject", Bucket="boto-bucket", Key="a b/ü+%.txt")
    c.call("CopyObject", Bucket="boto-bucket", Key="copy", CopySource={"Bucket": "boto-bucket", "Key": "a b/ü+%.txt"})
    keys = [item["Key"] for item in c.call("ListObjectsV2", Bucket="boto-bucket")["Contents"]]
    check("s3 both are listed", keys == ["a b/ü+%.txt", "copy"], keys)
    c.call("ListObjects", Bucket="boto-bucket")
    url = c.client.generate_presigned_url("get_object", Params={"Bucket": "boto-bucket", "Key": "copy"})
    answer = urllib3.request("GET", url)
    check("s3 a presigned GET", answer.data == b"hello", answer.data)
    upload = c.call("CreateMultipartUpload", Bucket="boto-bucket", Key="parts")["UploadId"]
    part = {"Bucket": "boto-bucket", "Key": "parts", "UploadId": upload}
    etag = c.call("UploadPart", **part, PartNumber=1, Body=b"x" * 6_000_000)["ETag"]
    source = {"Bucket": "boto-bucket", "Key": "copy"}
    c.call("UploadPartCopy", **part, PartNumber=2, CopySource=source, CopySourceRange="bytes=0-2")
    c.call("ListParts", **part)
    c.call("CompleteMultipartUpload", **part, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    size = c.call("HeadObject", Bucket="boto-bucket", Key="parts")["ContentLength"]
    check("s3 the object has the parts that were named", size == 6_000_000, size)
    part["UploadId"] = c.call("CreateMultipartUpload", Bucket="boto-bucket", Key="parts")["UploadId"]
    c.call("AbortMultipartUpload", **part)
    c.call("DeleteObject", Bucket="boto-bucket", Key="copy")
    c.call("DeleteObjects", Bucket="boto-bucket", Delete={"Objects": [{"Key": "parts"}, {"Key": "a b/ü+%.txt"}]})
    c.call("DeleteBucket", Bucket="boto-bucket")


def dynamodb(c):
    c.call("CreateTable", TableName="boto", BillingMode="PAY_PER_REQUEST",
           AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("p", "q")],
           KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
           GlobalSecondaryIndexes=[{"IndexName": "by-q", "KeySchema": [{"AttributeName": "q", "KeyType": "HASH"}],
                                    "Projection": {"ProjectionType": "ALL"}}])
    for _ in range(20):
        table = c.call("DescribeTable", TableName="boto")["Table"]
        if table["TableStatus"] == "ACTIVE":
            break
        sleep(5)
    c.call("ListTables")
    item, key = {"p": {"S": "1"}, "q": {"S": "2"}}, {"p": {"S": "1"}}
    c.call("PutItem", TableName="boto", Item=item, ReturnConsumedCapacity="TOTAL")
    found = c.call("GetItem", TableName="boto", Key=key).get("Item")
    check("dynamodb the item comes back", found == item, found)
    values = {":v": {"N": "1"}}
    c.call("UpdateItem", TableName="boto", Key=key, UpdateExpression="ADD n :v", ExpressionAttributeValues=values,
           ReturnValues="ALL_NEW")
    query = {"KeyConditionExpression": "q = :q", "ExpressionAttributeValues": {":q": {"S": "2"}}}
    c.call("Query", TableName="boto", IndexName="by-q", **query)
    c.call("Scan", TableName="boto")
    c.call("BatchGetItem", RequestItems={"boto": {"Keys": [key]}})
    c.call("BatchWriteItem", RequestItems={"boto": [{"PutRequest": {"Item": {"p": {"S": "2"}}}}]})
    c.call("TransactWriteItems", TransactItems=[{"Put": {"TableName": "boto", "Item": {"p": {"S": "3"}}}}])
    c.call("TransactGetItems", TransactItems=[{"Get": {"TableName": "boto", "Key": key}}])
    c.call("ExecuteStatement", Statement="SELECT * FROM boto WHERE p = '1'")
    c.call("UpdateTimeToLive", TableName="boto", TimeToLiveSpecification={"Enabled": True, "AttributeName": "t"})
    c.call("DescribeTimeToLive", TableName="boto")
    arn = table["TableArn"]
    c.call("TagResource", ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    c.call("ListTagsOfResource", ResourceArn=arn)
    c.call("UntagResource", ResourceArn=arn, TagKeys=["a"])
    c.call("UpdateTable", TableName="boto", DeletionProtectionEnabled=False)
    c.call("DeleteItem", TableName="boto", Key=key, ReturnValues="ALL_OLD")
    sleep(60)
    c.call("DeleteTable", TableName="boto")


def cloudformation(c):
    with open(os.path.join(os.path.dirname(__file__), "experiment-stack.yaml"), encoding="utf-8") as file:
        body = file.read()
    made = c.call("CreateStack", StackName="boto", TemplateBody=body, Capabilities=["CAPABILITY_IAM"],
                  Parameters=[{"ParameterKey": "Count", "ParameterValue": "2"}])
    shown = c.call("DescribeStacks", StackName=made["StackId"])["Stacks"][0]
    template = Client("fis").call("GetExperimentTemplate", id=shown["Outputs"][0]["OutputValue"])
    mode = template["experimentTemplate"]["targets"]["TaskNodes"]["selectionMode"]
    check("cloudformation the parameter is used", mode == "COUNT(2)", mode)
    c.call("DescribeStacks")
    c.call("DeleteStack", StackName="boto")


def logs(c):
    c.call("DescribeLogGroups", logGroupNamePrefix="/aws/events/")
    streams = c.call("DescribeLogStreams", logGroupName=GROUP)["logStreams"]
    c.call("FilterLogEvents", logGroupName=GROUP, startTime=0)
    name = streams[0]["logStreamName"]
    page = c.call("GetLogEvents", logGroupName=GROUP, logStreamName=name, startFromHead=True, limit=1)
    message = json.loads(page["events"][0]["message"])
    check("logs the event is whole", message["source"] == "aws.ec2", message)
    c.call("GetLogEvents", logGroupName=GROUP, logStreamName=name, nextToken=page["nextForwardToken"])


def events(c):
    rules = c.call("ListRules", NamePrefix="spot-drill")["Rules"]
    name = rules[0]["Name"]
    c.call("DisableRule", Name=name)
    state = c.call("DescribeRule", Name=name)["State"]
    check("events the rule is disabled", state == "DISABLED", state)
    c.call("EnableRule", Name=name)
    c.call("ListTargetsByRule", Rule=name)
    own = {"Source": "my.app", "DetailType": "x", "Detail": "{}"}
    answer = c.call("PutEvents", Entries=[own, {**own, "Source": "aws.ec2"}, {**own, "Detail": "["}])
    codes = [entry.get("ErrorCode") for entry in answer["Entries"]]
    check("events each entry is judged", codes == [None, "NotAuthorizedForSourceException", "MalformedDetail"], codes)


def scheduler(c):
    found = c.call("ListSchedules", GroupName="spot-drill")["Schedules"]
    c.call("GetSchedule", GroupName="spot-drill", Name=found[0]["Name"])


def lambda_(c):
    functions = c.call("ListFunctions")["Functions"]
    name = next(one["FunctionName"] for one in functions if "WriteReport" in one["FunctionName"])
    c.call("GetFunction", FunctionName=name)
    c.call("GetFunctionConfiguration", FunctionName=name)
    answer = c.call("Invoke", FunctionName=name, Payload=b'{"sweep": true}')
    payload = answer["Payload"].read()
    check("lambda the sweep answers", answer["StatusCode"] == 200 and "FunctionError" not in answer, payload)
    answer = c.call("Invoke", FunctionName=name, Payload=b'{"no": "event"}', InvocationType="Event")
    check("lambda an event is taken", answer["StatusCode"] == 202, answer["StatusCode"])


def sts(c):
    account = c.call("GetCallerIdentity")["Account"]
    check("sts the account is none of AWS's", account == "000000000000", account)


def the_rest(client):
    """Calls what was not called, with nothing in it: each operation of the model is offered, or answers 501 and its name."""
    signer = botocore.auth.SigV4Auth(
        botocore.session.get_session().get_credentials(), client.model.signing_name, os.environ["AWS_REGION"])
    wrong = []
    for name in sorted(set(client.model.operation_names) - client.called):
        model = client.model.operation_model(name)
        protocol = client.model.metadata["protocol"]
        method, path, body, headers = model.http.get("method", "POST"), "/", b"", {}
        if protocol == "json":
            headers["X-Amz-Target"] = f"{client.model.metadata['targetPrefix']}.{name}"
            body = b"{}"
        elif protocol in ("query", "ec2"):
            body = f"Action={name}&Version={client.model.api_version}".encode()
        else:
            path = model.http["requestUri"].replace("{Bucket}", BUCKET)
            if client.service == "s3" and "?" not in path:
                # S3 tells operations apart by what is in a query: a bare path is always one that is offered.
                continue
            path = re.sub(r"\{[^}]*\}", "x", path)
        request = botocore.awsrequest.AWSRequest(method=method, url=ENDPOINT + path, data=body, headers=headers)
        # EMR and EC2 throttle, and time is held.
        sleep(5)
        if client.service == "s3":
            request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
        signer.add_auth(request)
        answer = urllib3.request(method, ENDPOINT + path, body=body, headers=dict(request.headers), timeout=20)
        text = answer.data.decode(errors="replace")
        if answer.status != 501 or (protocol not in ("rest-json", "rest-xml") and name not in text):
            wrong.append(f"{name} {answer.status}")
    check(f"{client.service} the rest answers 501 and its name", not wrong, ", ".join(wrong))


def main():
    parts = {"sts": sts, "s3": s3, "dynamodb": dynamodb, "emr": emr, "ec2": ec2, "fis": None, "logs": logs,
             "events": events, "scheduler": scheduler, "cloudformation": cloudformation, "lambda": lambda_}
    for service, part in parts.items():
        client = Client(service)
        try:
            fis(client, None) if service == "fis" else part(client)
        except Exception as error:
            not_ok(f"{service} as a whole", f"{type(error).__name__}: {error}")
        the_rest(client)


main()
