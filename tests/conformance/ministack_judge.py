#!/usr/bin/env python3
"""Deploys infra/template.yaml into ministack, an AWS that we did not write, and lets events go through what came of it.

usage: ministack_judge.py <folder of the binaries> <infra/template.yaml> <tests/data>, where AWS_ENDPOINT_URL says where
to serve ministack

The functions are our release binaries, run by ministack's own Lambda. Prints a line "ok …" or "not ok …" for each
assertion, each change that the template needed, and what is not judged.
"""

import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.parse
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import ministack_template
from judge import check

CODE = "code"
STACK = "spot-drill"
PARAMETERS = {
    "ResultsBucket": "results",
    "CheckSchedule": "rate(7 days)",
    "TrackingLogGroup": "/aws/events/spotinterruptions",
    "LogRetentionDays": "14",
}
NOT_JUDGED = [
    "the FIS template and alarms with metric math, which were taken out",
    "delivery to CloudWatch Logs, and the verdicts' topic (ministack has neither as a destination)",
    "IAM, which ministack does not enforce",
    "DynamoDB's time to live: ministack leaves it off when CloudFormation asks for it",
    "calls to EMR that find something: ministack's answers have times that no Rust SDK reads",
    "whose instance a warning is for: ministack's EC2 knows no Spot instance",
]
CONFIG = Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=60, s3={"addressing_style": "path"})


def client(service):
    return boto3.client(service, config=CONFIG)


def within(seconds, look):
    """The first answer of `look` that is something, or the last one."""
    limit = time.time() + seconds
    while not (found := look()) and time.time() < limit:
        time.sleep(0.2)
    return found


class Ministack:
    """A ministack server, to be used in `with`; it and the functions that it runs are ended afterwards."""

    def __enter__(self):
        endpoint = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
        settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(endpoint.port), "MINISTACK_HOST": "127.0.0.1"}
        settings["LAMBDA_ASYNC_RETRY_BASE_SECONDS"] = "0.2"
        command = [sys.executable, "-m", "ministack"]
        self.log = open("ministack.log", "w", encoding="utf-8")
        environment = {**os.environ, **settings}
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        within(60, self.is_up)
        return self

    def is_up(self):
        try:
            return client("s3").list_buckets()
        except (BotoCoreError, ClientError):
            return self.process.poll() is not None

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


class Judge:
    """The deployed stack."""

    def __init__(self, binaries, template_path, data):
        self.data = pathlib.Path(data)
        self.put_code(pathlib.Path(binaries))
        self.template, changes, self.removed = ministack_template.changed(template_path, CODE)
        for change in changes:
            print(f"the template is changed: {change}")
        self.outputs, self.resources = {}, {}

    def put_code(self, binaries):
        client("s3").create_bucket(Bucket=CODE)
        for name in ("submit-step", "start-experiment", "record-interruption", "write-report"):
            packed = io.BytesIO()
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o755 << 16
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(entry, (binaries / name).read_bytes(), compresslevel=1)
            client("s3").put_object(Bucket=CODE, Key=f"{name}.zip", Body=packed.getvalue())

    def deploy(self):
        cloudformation = client("cloudformation")
        client("s3").put_object(Bucket=CODE, Key="template.json", Body=json.dumps(self.template).encode())
        cloudformation.create_stack(
            StackName=STACK,
            # A request carries 51,200 bytes of template at most, and this one has more.
            TemplateURL=f"{os.environ['AWS_ENDPOINT_URL']}/{CODE}/template.json",
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in PARAMETERS.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        stack = within(60, lambda: self.settled(cloudformation))
        events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
        failed = [one for one in events if "FAILED" in one["ResourceStatus"]]
        check("the stack is created", stack and stack["StackStatus"] == "CREATE_COMPLETE", failed)
        if not stack:
            raise SystemExit(1)
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
        rows = [one for page in pages for one in page["StackResourceSummaries"]]
        self.resources = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in rows}
        wanted = set(self.template["Resources"])
        check("each resource of the template is there", wanted <= set(self.resources), wanted - set(self.resources))
        check("and each output", set(self.outputs) == set(self.template["Outputs"]), self.outputs)

    def settled(self, cloudformation):
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    # ---- What stands there, asked of the services themselves.

    def data_stores(self):
        table = client("dynamodb").describe_table(TableName=self.outputs["LedgerTable"])["Table"]
        keys = [one["AttributeName"] for one in table["KeySchema"]]
        indexes = [one["IndexName"] for one in table["GlobalSecondaryIndexes"]]
        check("the ledger has its keys and its index", (keys, indexes) == (["pk", "sk"], ["by-job"]), table)
        check("it is protected from deletion", table.get("DeletionProtectionEnabled"), table)
        bucket = self.resources["ReportBucket"]
        closed = client("s3").get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        check("the report bucket is closed to the public", all(closed.values()) and len(closed) == 4, closed)
        policy = json.loads(client("s3").get_bucket_policy(Bucket=bucket)["Policy"])
        check("and to all but TLS", [one["Effect"] for one in policy["Statement"]] == ["Deny"], policy)
        check("Reports is in it", self.outputs["Reports"] == f"s3://{bucket}/reports/", self.outputs["Reports"])

    def queues(self):
        urls = (self.resources[logical] for logical in ("WarningQueue", "DeadLetterQueue"))
        read = client("sqs").get_queue_attributes
        warnings, dead = (read(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in urls)
        wanted = {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 5}
        redrive = json.loads(warnings["RedrivePolicy"])
        check("a warning that fails five times goes to the dead-letter queue", redrive == wanted, redrive)
        for queue in (warnings, dead):
            allowed = [one["Principal"] for one in json.loads(queue.get("Policy", '{"Statement": []}'))["Statement"]]
            name = queue["QueueArn"].rpartition(":")[2]
            check(f"EventBridge may send to {name}", allowed == [{"Service": "events.amazonaws.com"}], queue)

    def functions(self):
        found = client("lambda")
        tables = set()
        for logical in ("StartExperiment", "RecordInterruption", "WriteReport", "SubmitStep"):
            one = found.get_function_configuration(FunctionName=self.resources[logical])
            tables.add(one["Environment"]["Variables"]["TABLE_NAME"])
            group = one["LoggingConfig"]["LogGroup"]
            kept = client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
            days = [one.get("retentionInDays") for one in kept]
            check(f"{logical}'s log group is kept for 14 days", days == [14], kept)
        check("all functions have the same ledger", tables == {self.outputs["LedgerTable"]}, tables)

    def schedules(self):
        found = {one["Name"]: one for one in client("scheduler").list_schedules(GroupName=STACK)["Schedules"]}
        wanted = {
            self.resources["Sweep"]: "rate(15 minutes)",
            self.resources["Check"]: "rate(7 days)",
            self.resources["Digest"]: "cron(0 8 ? * MON *)",
        }
        check("the schedules are there, and no other", set(found) == set(wanted), found)
        targets = {}
        for name, expression in wanted.items():
            one = client("scheduler").get_schedule(Name=name, GroupName=STACK)
            check(f"{expression} is enabled", (one["ScheduleExpression"], one["State"]) == (expression, "ENABLED"), one)
            targets[expression] = one["Target"]
        check("the sweep's input is one", json.loads(targets["rate(15 minutes)"]["Input"]) == {"sweep": True}, targets)
        return targets["rate(7 days)"]

    # ---- What happens there.

    def put_event(self, name, **detail):
        """Puts a sample event on the bus, with the test source and another detail; answers its id."""
        event = json.loads((self.data / "events" / f"{name}.json").read_text())
        entry = {"Source": ministack_template.TEST_SOURCES[event["source"]], "DetailType": event["detail-type"]}
        entry["Detail"] = json.dumps({**event["detail"], **detail})
        answer = client("events").put_events(Entries=[entry])
        check(f"{name} is taken by the bus", answer["FailedEntryCount"] == 0, answer)
        return answer["Entries"][0].get("EventId")

    def items(self):
        return client("dynamodb").scan(TableName=self.outputs["LedgerTable"])["Items"]

    def waiting(self, logical):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.resources[logical]
        found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def warnings(self):
        event_id = self.put_event("spot-interruption-warning-terminate")
        found = within(15, self.items)
        check("a warning on the bus is an item in the ledger", len(found) == 1, found)
        item = {name: next(iter(value.values())) for name, value in found[0].items()} if found else {}
        wanted = {"pk": "instance#i-0b662ef9931388ba0", "action": "terminate", "event_id": event_id}
        check("with what the event says", wanted.items() <= item.items(), item)
        check("the queue is empty again", within(15, lambda: self.waiting("WarningQueue") == 0))
        self.put_event("spot-interruption-warning-stop", **{"instance-id": "none"})
        self.put_event("spot-interruption-warning-stop", **{"instance-id": "i-0123456789abcdef0"})
        found = within(15, lambda: len(self.items()) == 2 and self.items())
        check("of a wrong warning and a right one the right one is recorded", found and len(found) == 2, self.items())
        # A batch's answer comes after its effects; what failed is not seen again for six minutes.
        left = within(15, lambda: self.waiting("WarningQueue") == 1)
        check("and the wrong one is kept by its queue", left, self.waiting("WarningQueue"))

    def steps(self):
        for name, logical in (("emr-step-completed", "WriteReport"), ("emr-step-running", "StartExperiment")):
            self.put_event(name)
            found = within(15, lambda: self.logged(logical, "EMR knows no step"))
            check(f"it reaches {logical}, whose log says what came of it", found)
        dead = self.waiting("DeadLetterQueue")
        check("until now no event is in the dead-letter queue", dead == 0, dead)
        # ministack's rules do not try again; its asynchronous invocations do, and that is how AWS's rules invoke.
        wrong = json.dumps({"source": "aws.emr", "detail": "none"}).encode()
        client("lambda").invoke(FunctionName=self.resources["StartExperiment"], InvocationType="Event", Payload=wrong)
        dead = within(15, lambda: self.waiting("DeadLetterQueue"))
        tried = self.logged("StartExperiment", '"message":"failed"')
        check("one that fails for good is, after three attempts", (dead, len(tried)) == (1, 3), (dead, tried))

    def logged(self, logical, words):
        group = f"/aws/lambda/{STACK}-{logical}"
        events = client("logs").filter_log_events(logGroupName=group)["events"]
        return [one["message"] for one in events if words in one["message"]]

    def check_is_submitted(self, target):
        answer = client("lambda").invoke(FunctionName=target["Arn"], Payload=target["Input"].encode())
        body = json.loads(answer["Payload"].read())
        no_cluster = 'none of the active ones is called "emr-spot-workshop"' in body.get("errorMessage", "")
        is_refused = answer.get("FunctionError") and no_cluster
        check("submit-step reads its schedule's input, and finds no cluster", is_refused, body)

    def removal(self):
        client("cloudformation").delete_stack(StackName=STACK)
        gone = within(15, lambda: not client("lambda").list_functions()["Functions"])
        check("deleting the stack takes the functions", gone)
        left = client("dynamodb").list_tables()["TableNames"]
        left += [one["Name"] for one in client("s3").list_buckets()["Buckets"]]
        kept = {self.outputs["LedgerTable"], self.resources["ReportBucket"]}
        check("and leaves the ledger and the reports", kept <= set(left), left)


def judged(binaries, template_path, data):
    judge = Judge(binaries, template_path, data)
    judge.deploy()
    judge.data_stores()
    judge.queues()
    judge.functions()
    check_target = judge.schedules()
    judge.warnings()
    judge.steps()
    judge.check_is_submitted(check_target)
    judge.removal()
    for what in NOT_JUDGED:
        print(f"not judged: {what}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    with Ministack():
        judged(*sys.argv[1:])
