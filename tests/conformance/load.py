#!/usr/bin/env python3
"""Sixty-four clients at once: no call fails, what is asked for again and again leaves nothing behind in the server's memory,
and how many calls it answers in a second, beside moto with the same calls.

usage: load.py <calls> [<moto_server> <calls of moto>]; in the environment of `serve`, whose process id is in SERVED

Without moto, calls of EC2 and EMR are left out: these are limited in a second, and where time is held none comes back. Then
nothing happens in the account but what is called, and memory must stand still.

Each client writes, reads, lists and deletes what is its own, and describes what both servers were given: a cluster of
instance groups with a step, an experiment template. Its sixteen requests are recorded once from boto3, signed, and then
replayed as bytes over one connection: boto3 itself would take more of the machine than who answers.
"""

import asyncio
import datetime
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import boto3

from judge import check
from recording import CONFIG, Recorder
from replay import replay

CLIENTS = 64
START_SECONDS_MAX = 60
# All data is there after a fifth of the calls. What may come later is what the allocator keeps: less than four bytes a call.
GROWTH_KB_MAX = 300
# Where time passes, the account's record grows with its own schedules: about 19 kB in an hour when nobody calls.
GROWTH_KB_AN_HOUR_MAX = 25
LIMITED = ("ec2", "emr")
GROUPS = [
    {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1, "Market": "ON_DEMAND"},
    {"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": 1, "Market": "ON_DEMAND"},
    {"InstanceRole": "TASK", "InstanceType": "m5.xlarge", "InstanceCount": 2, "Market": "SPOT"},
]
STEP = {"Name": "copying", "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["true"]}}


class Server:
    """Who answers: its address, its process, and what it was given."""

    def __init__(self, name, endpoint, region, process_id):
        self.name, self.endpoint, self.region, self.process_id = name, endpoint, region, process_id
        url = urllib.parse.urlsplit(endpoint)
        self.address = (url.hostname, url.port)

    def memory_kb(self):
        with open(f"/proc/{self.process_id}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def processor_seconds(self):
        with open(f"/proc/{self.process_id}/stat", encoding="ascii") as stat:
            user, system = stat.read().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def client(self, service):
        return boto3.client(service, endpoint_url=self.endpoint, region_name=self.region, config=CONFIG)

    def give(self):
        """Makes what the calls are about."""
        # S3's first Region is the one that a bucket's location must not name.
        location = {} if self.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        self.client("s3").create_bucket(Bucket="load", **location)
        names = {"pk": "HASH", "sk": "RANGE"}
        self.client("dynamodb").create_table(
            TableName="load", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in names.items()],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names])
        emr = self.client("emr")
        self.cluster = emr.run_job_flow(
            Name="load", ReleaseLabel="emr-6.15.0", Applications=[{"Name": "Spark"}], Steps=[STEP],
            JobFlowRole="EMR_EC2_DefaultRole", ServiceRole="EMR_DefaultRole",
            Instances={"InstanceGroups": GROUPS, "KeepJobFlowAliveWhenNoSteps": True})["JobFlowId"]
        self.pass_hours(0.5)
        self.instances = [one["Ec2InstanceId"] for one in emr.list_instances(ClusterId=self.cluster)["Instances"]]
        made = self.client("fis").create_experiment_template(
            description="load", roleArn="arn:aws:iam::000000000000:role/r", stopConditions=[{"source": "none"}],
            targets={"t": {"resourceType": "aws:ec2:spot-instance", "selectionMode": "ALL", "resourceTags": {"a": "b"}}},
            actions={"a": {"actionId": "aws:ec2:send-spot-instance-interruptions", "targets": {"SpotInstances": "t"},
                           "parameters": {"durationBeforeInterruption": "PT2M"}}})
        self.template = made["experimentTemplate"]["id"]

    def pass_hours(self, hours):
        """Where clusters take their time, it is virtual."""
        if self.name == "serve":
            request = urllib.request.Request(f"{self.endpoint}/-/sleep?seconds={3600 * hours}", method="POST")
            urllib.request.urlopen(request, timeout=60).close()

    def hour(self):
        """The virtual time, in hours."""
        with urllib.request.urlopen(f"{self.endpoint}/-/now", timeout=60) as answer:
            return datetime.datetime.fromisoformat(answer.read().decode().strip()).timestamp() / 3600

    def calls(self, without=()):
        """Each client's calls: a name, the bytes of the request, and words that must be in the answer."""
        services = ("s3", "dynamodb", "ec2", "emr", "fis", "sts")
        recorders = {name: Recorder(name, self.endpoint, self.region) for name in services}
        return [
            [(f"{service} {operation}", recorders[service].record(operation, **parameters), words.encode())
             for service, operation, words, parameters in self.mix(f"client-{number}-") if service not in without]
            for number in range(CLIENTS)
        ]

    def mix(self, own):
        """One client's round."""
        place = {"Bucket": "load", "Key": f"{own}/object"}
        key = {"TableName": "load", "Key": {"pk": {"S": own}, "sk": {"S": "1"}}}
        change = {"UpdateExpression": "SET v = :v", "ExpressionAttributeValues": {":v": {"N": "1"}}}
        query = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": own}}}
        running = [{"Name": "instance-state-name", "Values": ["running"]}]
        return [
            ("s3", "PutObject", "", {**place, "Body": own.encode() * 100}),
            ("s3", "GetObject", own, place),
            ("s3", "ListObjectsV2", f"<Key>{own}/object", {"Bucket": "load", "Prefix": own}),
            ("dynamodb", "PutItem", "", {"TableName": "load", "Item": {**key["Key"], "text": {"S": own * 10}}}),
            ("dynamodb", "GetItem", own, key),
            ("ec2", "DescribeInstances", self.instances[-1], {"InstanceIds": self.instances, "Filters": running}),
            ("dynamodb", "UpdateItem", "", {**key, **change}),
            ("dynamodb", "Query", own, {"TableName": "load", **query}),
            ("fis", "GetExperimentTemplate", self.template, {"id": self.template}),
            ("emr", "DescribeCluster", self.cluster, {"ClusterId": self.cluster}),
            ("dynamodb", "DeleteItem", "", key),
            ("s3", "HeadObject", "", place),
            ("s3", "DeleteObject", "", place),
            ("fis", "ListExperimentTemplates", self.template, {}),
            ("emr", "ListSteps", "copying", {"ClusterId": self.cluster}),
            ("sts", "GetCallerIdentity", "Account", {}),
        ]


def run(server, calls, without=()):
    """Gives the server its data, makes the calls, and prints what came of it; memory after a fifth, three fifths, and all."""
    server.give()
    memory, hours, halves = {}, [], []
    marks = {calls // 5, calls * 3 // 5, calls}

    def watch(done):
        if done in marks:
            memory[done] = server.memory_kb()
            hours.append(server.hour() if server.name == "serve" else 0)
        if done in (calls // 2, calls):
            halves.append(time.monotonic())

    of_clients = server.calls(without)
    busy, begun = server.processor_seconds(), time.monotonic()
    made = asyncio.run(replay(server.address, of_clients, calls, watch))
    busy = server.processor_seconds() - busy
    made.rate = calls / made.seconds
    first, second = (calls / 2 / seconds for seconds in (halves[0] - begun, halves[1] - halves[0]))
    made.grown, made.hours = memory[calls] - memory[calls // 5], hours[-1] - hours[0]
    print(f"{server.name}: {calls} calls of {CLIENTS} clients in {made.seconds:.1f} s: {made.rate:.0f} a second"
          f" ({first:.0f} in the first half, {second:.0f} in the second); the server was busy {100 * busy / made.seconds:.0f} % of a"
          f" processor, the clients {100 * made.own_seconds / made.seconds:.0f} %; {calls / busy:.0f} calls a processor second;"
          f" {made.throttled} throttled and asked again; memory in kB after"
          f" {', '.join(f'{mark}: {memory[mark]}' for mark in sorted(marks))}", flush=True)
    for fault in made.failed[:5]:
        print(f"{server.name}: {fault}")
    return made


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def with_moto(program, calls):
    """The same calls of moto; it is slower, so there are fewer."""
    port = free_port()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
        try:
            for _ in range(START_SECONDS_MAX * 10):
                with socket.socket() as one:
                    if one.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            # moto's EMR knows no other Region when it is reached by an address of loopback.
            return run(Server("moto", f"http://127.0.0.1:{port}", "us-east-1", process.pid), calls)
        finally:
            process.kill()
            process.wait()


def main():
    calls, moto = int(sys.argv[1]), sys.argv[2:]
    server = Server("serve", os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"], os.environ["SERVED"])
    served = run(server, calls, without=() if moto else LIMITED)
    check(f"none of {calls} calls fails", not served.failed, f"{len(served.failed)} do, {served.failed[:1]}")
    allowed = GROWTH_KB_MAX + GROWTH_KB_AN_HOUR_MAX * served.hours
    print(f"serve: {served.grown} kB more from {calls // 5} calls to {calls}, in {served.hours:.0f} virtual hours; {allowed:.0f} are allowed")
    check("memory does not grow with the calls", served.grown < allowed, f"{served.grown} kB")
    if moto:
        beside = with_moto(moto[0], int(moto[1]))
        check("moto answers the same calls", not beside.failed, f"{len(beside.failed)} fail, {beside.failed[:1]}")
        print(f"serve answers {served.rate / beside.rate:.1f} times as many calls a second as moto")
        check("serve answers more than moto", served.rate > beside.rate)


main()
