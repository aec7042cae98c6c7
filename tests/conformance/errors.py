#!/usr/bin/env python3
"""Errors as botocore reads them, and requests that no client of AWS's would send. In the environment of `serve`."""

import os
import socket

import urllib3

from judge import ENDPOINT, Client, check

CLUSTER = os.environ["EMRClusterID"]


def refusals():
    emr = Client("emr")
    unknown = "j-0000000000000"
    emr.refused("of an unknown cluster", "InvalidRequestException", "DescribeCluster", ClusterId=unknown)
    emr.refused("of an unknown step", "InvalidRequestException", "DescribeStep", ClusterId=CLUSTER, StepId="s-0")
    emr.refused("to a terminated cluster", "ValidationException", "AddJobFlowSteps", JobFlowId=unknown,
                Steps=[{"Name": "x", "HadoopJarStep": {"Jar": "command-runner.jar"}}])
    ec2 = Client("ec2")
    ec2.refused("of an unknown id", "InvalidInstanceID.NotFound", "DescribeInstances", InstanceIds=["i-0123456789abcdef0"])
    ec2.refused("of no id", "InvalidInstanceID.Malformed", "DescribeInstances", InstanceIds=["nonsense"])
    ec2.refused("with an unknown filter", "InvalidParameterValue", "DescribeInstances",
                Filters=[{"Name": "nonsense", "Values": ["x"]}])
    fis = Client("fis")
    fis.refused("of an unknown id", "ResourceNotFoundException", "GetExperiment", id="EXPx")
    fis.refused("of an unknown template", "ResourceNotFoundException", "StartExperiment", experimentTemplateId="EXTx")
    s3 = Client("s3")
    s3.refused("of no key", "NoSuchKey", "GetObject", Bucket=os.environ["S3_BUCKET"], Key="none")
    s3.refused("of no bucket", "NoSuchBucket", "ListObjectsV2", Bucket="no-such-bucket")
    s3.refused("of no key", "404", "HeadObject", Bucket=os.environ["S3_BUCKET"], Key="none")
    s3.refused("with objects in it", "BucketNotEmpty", "DeleteBucket", Bucket=os.environ["S3_BUCKET"])
    s3.refused("of what is there", "PreconditionFailed", "PutObject", Bucket=os.environ["S3_BUCKET"], Key="script.py",
               Body=b"x", IfNoneMatch="*")
    upload = s3.call("CreateMultipartUpload", Bucket=os.environ["S3_BUCKET"], Key="x")["UploadId"]
    s3.refused("beyond the end", "InvalidArgument", "UploadPartCopy", Bucket=os.environ["S3_BUCKET"], Key="x",
               UploadId=upload, PartNumber=1, CopySource={"Bucket": os.environ["S3_BUCKET"], "Key": "script.py"},
               CopySourceRange="bytes=0-99999999")
    dynamodb = Client("dynamodb")
    dynamodb.refused("of no table", "ResourceNotFoundException", "DescribeTable", TableName="none")
    dynamodb.refused("without its key", "ValidationException", "PutItem", TableName="spot-drill-Ledger", Item={})
    dynamodb.refused("whose condition fails", "ConditionalCheckFailedException", "PutItem", TableName="spot-drill-Ledger",
                     Item={"pk": {"S": "a"}, "sk": {"S": "b"}}, ConditionExpression="attribute_exists(pk)")
    more_refusals()


def more_refusals():
    stacks = Client("cloudformation")
    stacks.refused("of no stack", "ValidationError", "DescribeStacks", StackName="none")
    stacks.refused("without a template", "ValidationError", "CreateStack", StackName="x")
    stacks.refused("of a name that is taken", "AlreadyExistsException", "CreateStack", StackName="spot-drill", TemplateBody="{}")
    role = '{"Resources": {"R": {"Type": "AWS::IAM::Role"}}}'
    stacks.refused("unacknowledged", "InsufficientCapabilitiesException", "CreateStack", StackName="x", TemplateBody=role)
    stacks.refused("of another resource", "NotImplemented", "CreateStack", StackName="x",
                   TemplateBody='{"Resources": {"R": {"Type": "AWS::SNS::Topic"}}}')
    logs = Client("logs")
    logs.refused("of no group", "ResourceNotFoundException", "FilterLogEvents", logGroupName="/none")
    logs.refused("of no stream", "ResourceNotFoundException", "GetLogEvents", logGroupName=os.environ["LOG_GROUP"],
                 logStreamName="none")
    events = Client("events")
    events.refused("of no rule", "ResourceNotFoundException", "DisableRule", Name="none")
    events.refused("of no bus", "ResourceNotFoundException", "ListRules", EventBusName="none")
    Client("scheduler").refused("of another group", "ResourceNotFoundException", "GetSchedule", Name="Sweep")
    functions = Client("lambda")
    functions.refused("of no function", "ResourceNotFoundException", "Invoke", FunctionName="none")
    functions.refused("with no JSON", "InvalidRequestContentException", "Invoke", Payload=b"{",
                      FunctionName="spot-drill-WriteReport")
    Client("glue").refused("of a service that is not there", "NotImplemented", "GetTables", DatabaseName="x")


def scope(service):
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential=AK/20270101/us-sim-1/{service}/aws4_request, Signature=x"}


def answers(what, status, words, method="POST", path="/", body=b"", **headers):
    """A request whose answer must be of this status and say these words."""
    answer = urllib3.request(method, ENDPOINT + path, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()},
                             timeout=20, retries=False)
    # The REST interfaces have the code in a header.
    text = answer.headers.get("x-amzn-errortype", "") + answer.data.decode(errors="replace")
    check(what, answer.status == status and words in text, f"{answer.status} {text[:200]}")


def bad_requests():
    target = {"X_Amz_Target": "ElasticMapReduce.ListClusters"}
    answers("broken JSON", 400, "SerializationException", body=b'{"a', **target, **scope("elasticmapreduce"))
    answers("JSON that is no object", 400, "SerializationException", body=b"[]", **target, **scope("elasticmapreduce"))
    answers("bytes that are no text", 400, "SerializationException", body=b"\xff\xfe", **target, **scope("elasticmapreduce"))
    answers("JSON without end", 400, "SerializationException", body=b"[" * 100_000, **target, **scope("elasticmapreduce"))
    answers("no target", 400, "UnknownOperationException", body=b"{}", **scope("elasticmapreduce"))
    answers("an unknown target", 501, "Nonsense", body=b"{}", X_Amz_Target="ElasticMapReduce.Nonsense", **scope("elasticmapreduce"))
    answers("a form without an action", 400, "MissingAction", body=b"x=1", **scope("ec2"))
    answers("a form that contradicts itself", 400, "MalformedQueryString", body=b"Action=DescribeInstances&A=1&A.1=2", **scope("ec2"))
    answers("a stack's form of the wrong shape", 400, "ValidationError", body=b"Action=CreateStack&StackName.member.1=x",
            **scope("cloudformation"))
    answers("broken XML", 400, "MalformedXML", path=f"/{os.environ['S3_BUCKET']}?delete", body=b"<Delete><Obj", **scope("s3"))
    answers("a path of no operation", 404, "no operation at", path="/experiments/a/b/c/d", method="GET", **scope("fis"))
    answers("a signature's header that is broken", 501, "NotImplemented", X_Amz_Target="x.Y", Authorization="AWS4-HMAC-SHA256 Credential=")
    answers("a body that is too large", 413, "EntityTooLarge", method="PUT", path="/bucket/key",
            body=b"", Content_Length=str(10**12), **scope("s3"))
    answers("a sleep without end", 400, "seconds must be", path="/-/sleep?seconds=1e99")
    answers("a clock that is not there", 404, "/-/now", path="/-/nothing")
    answers("the page", 200, "The simulated account", method="GET")


def unknown_operations():
    """Each protocol's way to call what is not there."""
    answers("a target that DynamoDB lacks", 501, "Nonsense", body=b"{}", X_Amz_Target="DynamoDB_20120810.Nonsense",
            **scope("dynamodb"))
    answers("a target that EventBridge lacks", 501, "NotImplemented", body=b"{}", X_Amz_Target="AWSEvents.Nonsense", **scope("events"))
    answers("a target that Logs lacks", 501, "NotImplemented", body=b"{}", X_Amz_Target="Logs_20140328.Nonsense", **scope("logs"))
    answers("a target without a dot", 400, "UnknownOperationException", body=b"{}", X_Amz_Target="ListClusters", **scope("elasticmapreduce"))
    answers("an action that EC2 lacks", 501, "<Code>NotImplemented</Code>", body=b"Action=Nonsense&Version=2016-11-15", **scope("ec2"))
    answers("an action that STS lacks", 501, "<Code>NotImplemented</Code>", body=b"Action=Nonsense", **scope("sts"))
    answers("an action in two places", 400, "MissingAction", path="/?Action=DescribeInstances", body=b"Version=1", **scope("ec2"))
    answers("a path that Lambda lacks", 501, "NotImplemented", path="/2015-03-31/nonsense", method="GET", **scope("lambda"))
    answers("a path that Scheduler lacks", 501, "NotImplemented", path="/nonsense", method="PATCH", **scope("scheduler"))
    answers("a sub-resource that S3 lacks", 501, "NotImplemented", path=f"/{os.environ['S3_BUCKET']}?nonsense", method="DELETE", **scope("s3"))
    answers("a service that nobody has", 501, "NotImplemented", body=b"{}", X_Amz_Target="Nonsense_1.Do", **scope("nonsense"))


def bodies():
    bucket, xml = os.environ["S3_BUCKET"], b'<?xml version="1.0"?>'
    bomb = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + depth, b"&%c;" % (97 + depth) * 10) for depth in range(9)) + b"]>"
    bomb += b"<Delete><Object><Key>&j;</Key></Object></Delete>"
    for what, body in {
        "XML that never closes": b"<Delete><Object><Key>a</Key>", "XML with another root": b"<Other/>",
        "XML whose entities multiply": xml + bomb, "XML of another encoding": "<Delete/>".encode("utf-16"),
        "XML without end": xml + b"<Delete>" + b"<Object>" * 50_000, "no XML at all": b"{}",
    }.items():
        answers(what, 400, "<Code>MalformedXML</Code>", path=f"/{bucket}?delete", body=body, **scope("s3"))
    answers("parts that are none", 400, "<Code>MalformedXML</Code>", path=f"/{bucket}/x?uploadId=none",
            body=b"<CompleteMultipartUpload><Part><PartNumber>one</PartNumber></Part></CompleteMultipartUpload>", **scope("s3"))
    answers("chunks that are none", 400, "IncompleteBody", method="PUT", path=f"/{bucket}/x", body=b"5\r\nhel",
            Content_Encoding="aws-chunked", X_Amz_Content_SHA256="STREAMING-UNSIGNED-PAYLOAD-TRAILER", **scope("s3"))
    answers("a checksum that is wrong", 400, "BadDigest", method="PUT", path=f"/{bucket}/x", body=b"x",
            X_Amz_Checksum_CRC32="AAAAAA==", **scope("s3"))
    put = {"X_Amz_Target": "DynamoDB_20120810.PutItem"}
    answers("an item that is no JSON", 400, "SerializationException", body=b'{"TableName": ', **put, **scope("dynamodb"))
    answers("an item of the wrong shape", 400, "Exception", body=b'{"TableName": [], "Item": 1}', **put, **scope("dynamodb"))
    steps = {"X_Amz_Target": "ElasticMapReduce.AddJobFlowSteps"}
    for body in (b'{"JobFlowId": 1, "Steps": {}}', b'{"JobFlowId": "%s", "Steps": [1, null, []]}' % CLUSTER.encode()):
        answers(f"steps like {body[:40]}", 400, "Exception", body=body, **steps, **scope("elasticmapreduce"))
    answers("a template that is a list", 400, "Exception", path="/experimentTemplates", body=b"[]", **scope("fis"))
    answers("a number that is none", 400, "ValidationException", path="/experiments?maxResults=many", method="GET", **scope("fis"))
    answers("a form too deep", 400, "MalformedQueryString", body=b"Action=DescribeInstances&" + b"A." * 5000 + b"A=1", **scope("ec2"))
    answers("a form too long", 400, "MalformedQueryString", **scope("ec2"),
            body=b"Action=DescribeInstances" + b"".join(b"&InstanceId.%d=i-1" % number for number in range(10_001)))


def signatures():
    """A signature is never checked; what is read of it is the service. What names none is told by target, path and form."""
    list_clusters = {"X_Amz_Target": "ElasticMapReduce.ListClusters", "body": b"{}"}
    for broken in ("", "AWS4-HMAC-SHA256", "Credential", "Credential=a/b", "Credential=////", "Basic YTpi", "x" * 5000):
        answers(f"a signature like {broken[:20]!r}", 200, "Clusters", Authorization=broken, **list_clusters)
    answers("a signature of bytes", 200, "Clusters", Authorization=b"\xff\xfe", **list_clusters)
    answers("a signature for another service", 501, "NotImplemented", **list_clusters, **scope("s4"))
    answers("a signature that contradicts the target", 400, "<Code>MissingAction</Code>", **list_clusters, **scope("ec2"))
    answers("a link whose signature is broken", 404, "<Code>NoSuchBucket</Code>", method="GET",
            path="/no-such-bucket/k?X-Amz-Credential=%2F%2F&X-Amz-Signature=")


def raw(what, request, expected):
    """Bytes on a socket. Where no answer is expected, it is closed for writing after them; otherwise not, since the server
    drops a request that nobody seems to wait for any more."""
    with socket.create_connection(("127.0.0.1", int(ENDPOINT.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(request)
        if not expected:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while not (expected and expected in answer) and (chunk := connection.recv(65536)):
            answer += chunk
    check(what, expected in answer, answer[:200])


def sockets():
    raw("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00", b"")
    raw("two lengths", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxy", b"400")
    raw("a length that is no number", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", b"400")
    raw("a body that is cut short", b"PUT /b/k HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nabc", b"")
    raw("a chunk that is none", b"PUT /b/k HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", b"IncompleteBody")
    head = b"PUT /b/k HTTP/1.1\r\nhost: a\r\n"
    raw("a length below nothing", head + b"content-length: -1\r\n\r\n", b"400")
    raw("a length without end", head + b"content-length: " + b"9" * 40 + b"\r\n\r\n", b"400")
    raw("a length and chunks", head + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", b"HTTP/1.1 4")
    raw("a length too short", head + b"content-length: 1\r\n\r\nxyz / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400")
    raw("too many headers", head + b"".join(b"h%d: x\r\n" % number for number in range(200)) + b"\r\n", b"431")
    raw("a header too long", head + b"h: " + b"x" * 1_000_000 + b"\r\n\r\n", b"431")
    raw("a path too long", b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", b"414")
    raw("a head that is cut", head, b"")
    huge()
    answers("and the account goes on", 200, "The simulated account", method="GET")


def huge():
    """A body that does not say how long it is, and goes on beyond what is taken."""
    with socket.create_connection(("127.0.0.1", int(ENDPOINT.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(b"PUT /b/k HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        answer, megabyte = b"", b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        try:
            for _ in range(80):
                connection.sendall(megabyte)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            answer = connection.recv(65536)
        except ConnectionResetError:
            pass
    check("a body without end is cut off", b"413" in answer and b"EntityTooLarge" in answer, answer[:200])


refusals()
bad_requests()
unknown_operations()
bodies()
signatures()
sockets()
