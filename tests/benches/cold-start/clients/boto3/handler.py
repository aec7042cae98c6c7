"""record-interruption's two calls in Python with boto3, on the smallest client of Lambda's Runtime API that works.

The clients are made before the first event, as AWS advises, so that Lambda's full CPU of the init phase makes them.
"""

import http.client
import json
import os

import boto3

ec2 = boto3.client("ec2")
dynamodb = boto3.client("dynamodb")


def tag(instance, key):
    return next((tag["Value"] for tag in instance.get("Tags", []) if tag["Key"] == key), None)


def handle(event):
    warnings = [json.loads(record["body"]) for record in event["Records"]]
    ids = [warning["detail"]["instance-id"] for warning in warnings]
    answer = ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": ids}])
    known = {i["InstanceId"]: i for r in answer["Reservations"] for i in r["Instances"]}
    for warning in warnings:
        instance = known[warning["detail"]["instance-id"]]
        cluster = tag(instance, "aws:elasticmapreduce:job-flow-id")
        dynamodb.update_item(
            TableName=os.environ["TABLE_NAME"],
            Key={
                "pk": {"S": f"cluster#{cluster}"},
                "sk": {"S": f"interruption#{instance['InstanceId']}#{warning['time']}"},
            },
            UpdateExpression="SET #a0 = if_not_exists(#a0, :a0), #a1 = if_not_exists(#a1, :a1) ADD seen :one",
            ExpressionAttributeNames={"#a0": "noticed_at", "#a1": "instance_type"},
            ExpressionAttributeValues={
                ":a0": {"S": warning["time"]},
                ":a1": {"S": instance["InstanceType"]},
                ":one": {"N": "1"},
            },
        )
    return {"batchItemFailures": []}


api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    response = api.getresponse()
    request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
    answer = json.dumps(handle(json.load(response)))
    api.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", answer)
    api.getresponse().read()
