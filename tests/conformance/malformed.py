#!/usr/bin/env python3
"""What a real client says, damaged: whatever comes, the answer is a success or an error of AWS's shape, and the account goes on.

usage: malformed.py <requests> [<seed>]; in the environment of `serve`. With `--seeds <folder>` the undamaged requests are
written there instead, for the fuzzer of the wire layer to begin with.

Apart from errors.py, which names each fault and its code: here chance names them, and what is held is the shape. botocore's
own parsers say whether an answer of status 400 or more has a code and a message, and one below it the operation's output.
"""

import collections
import os
import pathlib
import random
import re
import socket
import sys

import botocore.parsers

from judge import ENDPOINT, check
from recording import Recorder
from replay import whole

ANSWER_SECONDS_MAX = 20
# What is not HTTP has no service that could answer in its own way.
NO_OPERATION = "the server answers HTTP itself"
BUCKET = os.environ.get("S3_BUCKET", "bucket")
CLUSTER = os.environ.get("EMRClusterID", "j-0123456789ABC")
GROUP = os.environ.get("LOG_GROUP", "/aws/events/spotinterruptions")
TABLE = "spot-drill-Ledger"
KEY = {"pk": {"S": "malformed"}, "sk": {"S": "1"}}
STEP = {"Name": "a", "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["true", "é"]}}
PART = {"Bucket": BUCKET, "Key": "part", "UploadId": "none"}
TEMPLATE = {
    "description": "a", "roleArn": "arn:aws:iam::000000000000:role/r", "stopConditions": [{"source": "none"}],
    "targets": {"t": {"resourceType": "aws:ec2:spot-instance", "selectionMode": "COUNT(1)", "resourceTags": {"a": "b"}}},
    "actions": {"a": {"actionId": "aws:ec2:send-spot-instance-interruptions", "targets": {"SpotInstances": "t"},
                      "parameters": {"durationBeforeInterruption": "PT2M"}}},
}
GROUPS = [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1, "Market": "ON_DEMAND"}]
FILTERS = [{"Name": "tag:a", "Values": ["b", "c"]}, {"Name": "instance-state-name", "Values": ["running"]}]
ENTRY = {"Source": "my.app", "DetailType": "x", "Detail": '{"a": 1}'}

# At least one request of each way to say something, for each service; none takes what another needs.
REQUESTS = [
    ("emr", "ListClusters", {"ClusterStates": ["WAITING"]}),
    ("emr", "DescribeCluster", {"ClusterId": CLUSTER}),
    ("emr", "ListInstances", {"ClusterId": CLUSTER, "InstanceFleetType": "TASK", "InstanceStates": ["RUNNING"]}),
    ("emr", "AddJobFlowSteps", {"JobFlowId": CLUSTER, "Steps": [STEP]}),
    ("emr", "RunJobFlow", {"Name": "a", "Instances": {"InstanceGroups": GROUPS, "KeepJobFlowAliveWhenNoSteps": True}}),
    ("ec2", "DescribeInstances", {"Filters": FILTERS, "MaxResults": 5}),
    ("ec2", "CreateTags", {"Resources": ["i-0123456789abcdef0"], "Tags": [{"Key": "a", "Value": "b"}]}),
    ("fis", "CreateExperimentTemplate", TEMPLATE),
    ("fis", "ListExperiments", {"maxResults": 5}),
    ("fis", "StartExperiment", {"experimentTemplateId": "EXT1", "tags": {"a": "b"}}),
    ("fis", "TagResource", {"resourceArn": "arn:aws:fis:us-sim-1:000000000000:experiment/EXP1", "tags": {"a": "b"}}),
    ("s3", "PutObject", {"Bucket": BUCKET, "Key": "malformed/a b+é", "Body": b"hello" * 50, "Metadata": {"a": "b"}}),
    ("s3", "GetObject", {"Bucket": BUCKET, "Key": "script.py", "Range": "bytes=0-9"}),
    ("s3", "HeadObject", {"Bucket": BUCKET, "Key": "script.py"}),
    ("s3", "CopyObject", {"Bucket": BUCKET, "Key": "malformed/copy", "CopySource": {"Bucket": BUCKET, "Key": "script.py"}}),
    ("s3", "ListObjectsV2", {"Bucket": BUCKET, "Prefix": "malformed/", "Delimiter": "/", "MaxKeys": 3}),
    ("s3", "DeleteObjects", {"Bucket": BUCKET, "Delete": {"Objects": [{"Key": "malformed/x"}, {"Key": "malformed/y"}]}}),
    ("s3", "CompleteMultipartUpload", {**PART, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": '"a"'}]}}),
    ("s3", "CreateBucket", {"Bucket": "malformed", "CreateBucketConfiguration": {"LocationConstraint": "us-sim-1"}}),
    ("dynamodb", "PutItem", {"TableName": TABLE, "Item": {**KEY, "a": {"M": {"b": {"L": [{"N": "1"}, {"BOOL": True}]}}}}}),
    ("dynamodb", "UpdateItem", {"TableName": TABLE, "Key": KEY, "UpdateExpression": "SET #v = :v", "ReturnValues": "ALL_NEW",
                                "ExpressionAttributeNames": {"#v": "v"}, "ExpressionAttributeValues": {":v": {"N": "1"}}}),
    ("dynamodb", "Query", {"TableName": TABLE, "KeyConditionExpression": "pk = :p and begins_with(sk, :s)",
                           "ExpressionAttributeValues": {":p": {"S": "malformed"}, ":s": {"S": "1"}}}),
    ("dynamodb", "BatchWriteItem", {"RequestItems": {TABLE: [{"PutRequest": {"Item": KEY}}]}}),
    ("dynamodb", "ExecuteStatement", {"Statement": f"SELECT * FROM \"{TABLE}\" WHERE pk = 'a'"}),
    ("cloudformation", "CreateStack", {"StackName": "malformed", "TemplateBody": "Resources:\n  R: {Type: 'AWS::FIS::X'}\n",
                                       "Parameters": [{"ParameterKey": "a", "ParameterValue": "b"}]}),
    ("cloudformation", "DescribeStacks", {"StackName": "spot-drill"}),
    ("sts", "GetCallerIdentity", {}),
    ("logs", "FilterLogEvents", {"logGroupName": GROUP, "startTime": 0, "filterPattern": "a", "limit": 3}),
    ("logs", "DescribeLogStreams", {"logGroupName": GROUP}),
    ("events", "PutEvents", {"Entries": [ENTRY]}),
    ("events", "ListRules", {"NamePrefix": "spot"}),
    ("scheduler", "GetSchedule", {"GroupName": "spot-drill", "Name": "a b"}),
    ("lambda", "Invoke", {"FunctionName": "none", "Payload": b'{"a": 1}'}),
    ("lambda", "GetFunction", {"FunctionName": "a"}),
]


class Request:
    """A request in parts that can be damaged one by one."""

    def __init__(self, line, headers, body):
        self.line, self.headers, self.body = line, headers, body

    @classmethod
    def parse(cls, data):
        head, _, body = data.partition(b"\r\n\r\n")
        line, *headers = head.split(b"\r\n")
        return cls(line, [tuple(header.split(b": ", 1)) for header in headers], body)

    def bytes(self):
        headers = b"".join(name + b": " + value + b"\r\n" for name, value in self.headers)
        return self.line + b"\r\n" + headers + b"\r\n" + self.body

    def with_length(self):
        """The length as it is, unless it was damaged by intent."""
        self.headers = [(name, str(len(self.body)).encode() if name == b"Content-Length" else value)
                        for name, value in self.headers]
        return self


def cut_or_grow(chance, data):
    """Bytes with a piece lost, doubled, put elsewhere or changed."""
    if not data:
        return chance.choice([b"{", b"[]", b"null", b"<a>", b"a=1&a.1=2", b"\x00", b"Action="])
    at, size = chance.randrange(len(data)), chance.randint(1, 1 + len(data) // 3)
    piece = data[at:at + size]
    return chance.choice([
        data[:at],
        data[:at] + data[at + size:],
        data[:at] + piece * chance.choice([2, 3, 50]) + data[at + size:],
        data[:at] + bytes(chance.randrange(256) for _ in range(chance.randint(1, 4))) + data[at + 1:],
        data[:at] + chance.choice([b'"', b"{", b"[", b"}", b"]", b":", b",", b"<", b"&", b"%", b"=", b".", b"&#0;", b"\\u0000",
                                   b"\xff", b"null", b"-1", b"1e999", b"9" * 40]) + data[at:],
    ])


def other_type(chance, data):
    """A JSON or Query value in which something is of another type, or far too large."""
    values = list(re.finditer(rb'(?<=[:=\[,])\s*("(?:[^"\\]|\\.)*"|-?\d+|true|false|[^&{}\[\]",]+)', data))
    if not values:
        return cut_or_grow(chance, data)
    found = chance.choice(values)
    new = chance.choice([b"null", b"{}", b"[]", b"[[[]]]", b'""', b"-1", b"1.5", b"1e400", b"99999999999999999999", b"true",
                         b'"' + b"x" * 5000 + b'"', b'{"a": {"b": []}}', b'"\\ud800"', b'"\\u0000"'])
    return data[:found.start(1)] + new + data[found.end(1):]


def damaged(chance, request, others):
    """One request with one or two faults, and whether HTTP itself is among them."""
    breaks_http = False
    for _ in range(chance.choice([1, 1, 2])):
        kind = chance.randrange(9)
        if kind <= 1:
            request.body = cut_or_grow(chance, request.body)
        elif kind <= 3:
            request.body = other_type(chance, request.body)
        elif kind == 4:
            request.body = chance.choice(others).body
        elif kind == 5:
            request.headers.pop(chance.randrange(len(request.headers)))
        elif kind == 6:
            at = chance.randrange(len(request.headers))
            name, value = request.headers[at]
            request.headers[at] = (name, cut_or_grow(chance, value).replace(b"\r", b"").replace(b"\n", b""))
        elif kind == 7:
            request.headers.append(chance.choice(chance.choice(others).headers))
        else:
            method, path, version = request.line.split(b" ")
            path = b"/" + re.sub(rb"[\x00-\x20\x7f-\xff]", b"", cut_or_grow(chance, path[1:]))
            request.line = b" ".join([chance.choice([method, b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD"]), path, version])
    if chance.random() < 0.9:
        request.with_length()
    return request


def answer_to(data):
    """The first answer to these bytes. Only who has announced more than there is says that no more will be sent: this server
    gives up a request whose sender it takes for gone."""
    with socket.create_connection(("127.0.0.1", int(ENDPOINT.rpartition(":")[2])), timeout=ANSWER_SECONDS_MAX) as connection:
        answer = b""
        try:
            connection.sendall(data)
            if is_cut(data):
                connection.shutdown(socket.SHUT_WR)
            while whole(answer, data.startswith(b"HEAD ")) is None and (chunk := connection.recv(65536)):
                answer += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
    return answer


def is_cut(data):
    """Whether a request announces more than it has."""
    head, end, body = data.partition(b"\r\n\r\n")
    lengths = re.findall(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return not end or any(int(length) > len(body) for length in lengths)


def fault_of(answer, data):
    """What is wrong with an answer's shape, if anything; and what it is, for the count."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not answer:
        return (None, "no answer: the request never ended") if is_cut(data) else ("no answer", "")
    if not end or not re.match(rb"HTTP/1\.1 \d{3} ", answer):
        return f"no answer of HTTP: {answer[:100]!r}", ""
    status = int(answer[9:12])
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.decode().split("\r\n")[1:])}
    if status < 400:
        return None, str(status)
    kind = headers.get("content-type", "")
    # What follows is the answer to what was left over.
    body = b"" if data.startswith(b"HEAD ") else body[:int(headers.get("content-length", 0))]
    if not body and "content-type" not in headers:
        return (None, NO_OPERATION) if status in (400, 414, 431) else (f"{status} and nothing else", "")
    if not body:
        # HEAD: the status is all there is.
        return None, f"{status} HEAD"
    protocols = ["rest-xml", "query", "ec2"] if "xml" in kind else ["json", "rest-json"]
    for protocol in protocols:
        parsed = parse(protocol, status, headers, body)
        if parsed.get("Code") and parsed.get("Message") and parsed["Code"] != str(status):
            return None, f"{status} {parsed['Code']}"
    return f"{status} without code or message: {body[:200]!r}", ""


def parse(protocol, status, headers, body):
    answer = {"status_code": status, "headers": headers, "body": body, "context": {"operation_name": "x"}}
    try:
        return botocore.parsers.create_parser(protocol).parse(answer, None).get("Error", {})
    except Exception:
        return {}


def main():
    if sys.argv[1] == "--seeds":
        write_seeds(pathlib.Path(sys.argv[2]))
        return
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    chance = random.Random(seed)
    recorded = record()
    seen, faults = collections.Counter(), []
    for _ in range(count):
        whole = [Request.parse(data) for data in recorded.values()]
        data = damaged(chance, chance.choice(whole), whole).bytes()
        try:
            fault, kind = fault_of(answer_to(data), data)
        except TimeoutError:
            fault, kind = f"no answer within {ANSWER_SECONDS_MAX} s", ""
        seen[kind] += 1
        if fault:
            faults.append(f"{fault} to {data[:600]!r}")
    print(f"{count} damaged requests of seed {seed}: {len(seen)} kinds of answers, {seen.most_common(25)}")
    for fault in faults[:5]:
        print(fault)
    check(f"{count} damaged requests have answers of AWS's shape", not faults, f"{len(faults)} have not")
    check("most are refused, and some are no worse for it", seen["200"] < count / 2 and len(seen) > 20, len(seen))
    broken = [name for name, data in recorded.items() if answer_to(data)[9:12] in (b"", b"500")]
    check("the account goes on", not broken, f"no answer, or 500, to {broken}")


def record():
    recorders = {}
    recorded = {}
    for service, operation, parameters in REQUESTS:
        recorder = recorders.setdefault(service, Recorder(service))
        recorded[f"{service}-{operation}"] = recorder.record(operation, **parameters)
    return recorded


def write_seeds(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in record().items():
        (folder / name).write_bytes(data)


main()
