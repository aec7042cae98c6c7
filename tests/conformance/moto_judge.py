#!/usr/bin/env python3
"""Lets the functions' release binaries work on moto, an AWS that we did not write, and asks it by boto3 what they did.

usage: moto_judge.py <folder of the binaries> <infra/template.yaml> <tests/data>, where AWS_ENDPOINT_URL says where to
serve moto

Prints a line "ok …" or "not ok …" for each assertion, and what moto cannot judge. A call of the functions' that moto
refuses is a fault, unless it is in EXPECTED.
"""

import collections
import gzip
import json
import os
import pathlib
import signal
import sys
import time
import urllib.parse
import urllib.request

import lambda_runtime
import moto_stack
from judge import check
from moto_served import BY_FUNCTIONS, Moto

# What moto is to refuse: the second of two that must be one, and what is looked for and is not there.
EXPECTED = {
    ("dynamodb", "PutItem", 400, "ConditionalCheckFailedException"),
    # The note that nobody watches a step, of one that is watched.
    ("dynamodb", "DeleteItem", 400, "ConditionalCheckFailedException"),
    # A turn at EMR that is not free at once.
    ("dynamodb", "UpdateItem", 400, "ConditionalCheckFailedException"),
    ("s3", "GetObject", 404, "NoSuchKey"),
    ("fis", "DeleteExperimentTemplate", 404, "ResourceNotFoundException"),
}
NOT_JUDGED = [
    "task fleets and managed scaling, which moto drops: ListInstanceFleets",
    "what an interruption does: moto's FIS interrupts nobody, and EMR replaces nothing",
    "Spot requests: none is behind moto's instances",
    "how FIS resolves targets by tag, and what it demands of a template: moto takes any",
    "IAM and throttling: moto has neither here",
]
RESULTS, REPORTS = "results-bucket", moto_stack.NAMES["ReportBucket"]
VICTIMS = 2
PARAMETERS = {
    "ResultsBucket": RESULTS,
    "EventLogUri": f"s3://{RESULTS}/events/",
    "InstancesToInterrupt": VICTIMS,
    "DelaySeconds": 0,
    "RecoverySecondsMax": 0,
}
ACCESS = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Judge:
    """The served account, and the functions that work on it."""

    def __init__(self, moto, binaries, template, data):
        self.moto = moto
        self.binaries = pathlib.Path(binaries)
        self.data = pathlib.Path(data)
        self.template = template
        self.s3, self.fis, self.dynamodb = map(moto_stack.client, ("s3", "fis", "dynamodb"))

    def function(self, logical, **settings):
        """A function's binary with the template's variables, some of them set otherwise."""
        binary = self.binaries / self.template.binary(logical)
        access = {name: os.environ[name] for name in ACCESS}
        variables = {**self.template.variables(logical), **settings, **access}
        return lambda_runtime.Function(str(binary), variables, self.template.timeout(logical))

    def event(self, name, minutes_ago=0, **detail):
        """A sample event of that time, with another detail."""
        event = json.loads((self.data / "events" / f"{name}.json").read_text())
        event["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60 * minutes_ago))
        event["detail"].update(detail)
        return event

    def step_event(self, state, cluster):
        return self.event("emr-step-running", stepId=cluster.first_step(), clusterId=cluster.id, state=state)

    def warning(self, instance_id, minutes_ago=0):
        return self.event("spot-interruption-warning-terminate", minutes_ago, **{"instance-id": instance_id})

    def items(self, pk, sk):
        return self.dynamodb.query(
            TableName=moto_stack.NAMES["Ledger"],
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": sk}},
        )["Items"]

    def put(self, key, body):
        self.s3.put_object(Bucket=RESULTS, Key=key, Body=body)

    def advance_experiments(self, progression):
        """How moto's experiments go from state to state: with each look at them (`manual`), or all at once."""
        transition = {"model_name": "fis::experiment", "transition": {"progression": progression, "times": 1}}
        url = os.environ["AWS_ENDPOINT_URL"] + "/moto-api/state-manager/set-transition"
        urllib.request.urlopen(url, json.dumps(transition).encode(), timeout=10).close()

    # ---- One function after the other.

    def submit_step(self, cluster):
        others = {"resultsspot-of-others/a", "results/a", "script.py"}
        for key in others | {f"resultsspot/part-{number:05}" for number in range(1005)}:
            self.put(key, b"x")
        step = {"name": "Check", "args": ["spark-submit", f"s3://{RESULTS}/script.py", f"s3://{RESULTS}/resultsspot/"]}
        request = {"cluster_name": "scheduled", "step": step, "results": f"s3://{RESULTS}/resultsspot/"}
        with self.function("SubmitStep") as function:
            answer = function.answer({**request, "execution_id": "one"})
            again = function.answer({**request, "execution_id": "one"})
            wrong = function.answer({**request, "execution_id": "two", "results": f"s3://{RESULTS}/results/"})
        steps = cluster.emr.list_steps(ClusterId=cluster.id)["Steps"]
        check("submit-step adds one step", len(steps) == 1, steps)
        found = (steps[0]["Name"], steps[0]["Config"]["Args"])
        check("the one that was asked for", found == (step["name"], step["args"]), steps)
        check("and says which", (answer.get("outcome"), answer.get("step_id")) == ("submitted", steps[0]["Id"]), answer)
        check("the results' prefix is emptied, over more than a page", answer.get("objects_deleted") == 1005, answer)
        left = {one["Key"] for one in self.s3.list_objects_v2(Bucket=RESULTS)["Contents"]}
        check("and nothing else", left == others, left)
        check("the same execution again adds no step", again.get("outcome") == "ignored", again)
        check("another prefix is not emptied", "may be emptied" in wrong.get("errorMessage", ""), wrong)

    def record_interruption(self, cluster):
        instance_id = min(cluster.instances("TASK", "SPOT"))
        bodies = {
            "good": json.dumps(self.warning(instance_id)),
            "bad": "{no JSON",
            "lone": json.dumps(self.warning("i-0123456789abcdef0")),
        }
        records = [{"messageId": name, "body": body, "eventSource": "aws:sqs"} for name, body in bodies.items()]
        with self.function("RecordInterruption") as function:
            answer = function.answer({"Records": records})
            function.answer({"Records": records[:1]})
        failed = {"batchItemFailures": [{"itemIdentifier": "bad"}]}
        check("of three messages the one that is no JSON comes again", answer == failed, answer)
        items = self.items(f"cluster#{cluster.id}", "interruption#")
        check("a warning that comes twice is one item, seen twice", [one["seen"]["N"] for one in items] == ["2"], items)
        item = {name: next(iter(value.values())) for name, value in items[0].items()}
        wanted = {"instance_id": instance_id, "role": "TASK", "instance_type": "r5.xlarge", "action": "terminate"}
        check("with what EC2 says of the instance", wanted.items() <= item.items(), item)
        check("which expires", int(item["expires_at"]) > time.time(), item)
        items = self.items("instance#i-0123456789abcdef0", "interruption#")
        check("an instance that EC2 does not know is recorded apart", len(items) == 1, items)

    def experiments(self, cluster):
        """The experiments that carry this cluster's tag."""
        found = self.fis.list_experiments()["experiments"]
        ours = [one["id"] for one in found if one["tags"].get("spot-drill:cluster") == cluster.id]
        return [self.fis.get_experiment(id=one)["experiment"] for one in ours]

    def refuse_untagged(self, cluster):
        with self.function("StartExperiment") as function:
            refused = function.answer(self.step_event("RUNNING", cluster))
        why = refused.get("reason", "")
        is_refused = refused.get("outcome") == "ignored" and "not opted in" in why
        check("a step of a cluster without the tag is left alone", is_refused, refused)
        check("and gets no experiment", not self.experiments(cluster))

    def give_up_under_alarm(self, cluster):
        cloudwatch = moto_stack.client("cloudwatch")
        cloudwatch.set_alarm_state(AlarmName=moto_stack.ALARM, StateValue="ALARM", StateReason="too many")
        with self.function("StartExperiment") as function:
            answer = function.answer(self.step_event("RUNNING", cluster))
        cloudwatch.set_alarm_state(AlarmName=moto_stack.ALARM, StateValue="OK", StateReason="few")
        is_named = f"alarm is on: {moto_stack.ALARM}" in answer.get("reason", "")
        check("while the stop condition's alarm is on, the drill is given up", is_named, answer)
        check("and gets no experiment", not self.experiments(cluster))

    def start_experiment(self, cluster):
        """Answers the victims' ids."""
        self.advance_experiments("manual")
        event = self.step_event("RUNNING", cluster)
        with self.function("StartExperiment") as function:
            answer = function.answer(event, "request-1")
            again = [function.answer(event, request) for request in ("request-1", "request-2")]
        found = self.experiments(cluster)
        check("a tagged cluster gets one experiment from three deliveries of its step's event", len(found) == 1, found)
        experiment = found[0]
        check("start-experiment says which", answer.get("experiments") == [experiment["id"]], answer)
        check("and the other two that there was one", [one.get("outcome") for one in again] == ["ignored"] * 2, again)
        victims = {arn.rpartition("/")[2] for one in experiment["targets"].values() for arn in one["resourceArns"]}
        spot = cluster.instances("TASK", "SPOT")
        is_aimed = len(victims) == VICTIMS and victims <= spot
        check("its targets are Spot task instances of the cluster", is_aimed, victims)
        actions = [(one["actionId"], one["parameters"]) for one in experiment["actions"].values()]
        policy = self.fis.get_experiment_template(id=self.template.names["ExperimentTemplate"])["experimentTemplate"]
        wanted = [(one["actionId"], one["parameters"]) for one in policy["actions"].values()]
        check("its action is the stack's", actions == wanted and len(actions) == 1, actions)
        same = [experiment[name] == policy[name] for name in ("roleArn", "stopConditions", "logConfiguration")]
        check("so are role, stop condition and log", all(same), experiment)
        states = (experiment["experimentOptions"]["actionsMode"], experiment["state"]["status"])
        check("it runs its action, and was followed to its end", states == ("run-all", "completed"), states)
        wave = self.items(f"cluster#{cluster.id}", f"drill#{cluster.first_step()}")[0]["waves"]["L"][0]["M"]
        resolved = {one["S"].rpartition("/")[2] for one in wave["resolved"]["L"]}
        check("the ledger has its id", wave["experiment_id"] == {"S": experiment["id"]}, wave)
        check("and what FIS resolved", resolved == victims, wave)
        return sorted(victims)

    def preview_with_lost_answers(self, cluster):
        self.advance_experiments("immediate")
        for operation in ("CreateExperimentTemplate", "StartExperiment", "DeleteExperimentTemplate"):
            self.moto.lose_answer(operation)
        with self.function("StartExperiment", MODE="preview") as function:
            answer = function.answer(self.step_event("RUNNING", cluster))
        found = self.experiments(cluster)
        check("with each of FIS's answers lost once there is one experiment", len(found) == 1, found)
        check("the answers were lost", not self.moto.to_lose, self.moto.to_lose)
        check("a preview skips the action", found[0]["experimentOptions"]["actionsMode"] == "skip-all", found)
        check("and is a drill", answer.get("experiments") == [found[0]["id"]], answer)
        left = [one["id"] for one in self.fis.list_experiment_templates()["experimentTemplates"]]
        check("no copy of the stack's template is left", left == [self.template.names["ExperimentTemplate"]], left)

    def write_report(self, cluster, victims):
        with self.function("RecordInterruption") as function:
            for victim in victims:
                function.answer(self.warning(victim, minutes_ago=12))
        cluster.lose(victims, minutes_ago=10)
        cluster.end("COMPLETED")
        lost = self.put_spark_log(cluster)
        with self.function("WriteReport") as function:
            answer = function.answer(self.step_event("COMPLETED", cluster))
        report = self.report(cluster)
        print(f"the report says: {report['sentence']}")
        # The log is a real one, of another day and of other hosts: what went today went from another run.
        check("what the application's own log has no part in shows nothing", report["verdict"] == "inconclusive", report)
        check("write-report answers with that verdict", answer.get("verdict") == report["verdict"], answer)
        causes = {one["instance_id"]: one["cause"] for one in report["interruptions"]}
        # Their notices lie before the experiment, and moto has no Spot request that says more.
        wanted = dict.fromkeys(victims, "unknown")
        check("the victims are told, and a notice from before the experiment is not its deed", causes == wanted, causes)
        missing = {one["what"] for one in report["missing"]}
        check("what was to be had it had", missing == {"Spot request status", "output comparison"}, report["missing"])
        executors = report["spark"]["executors"] if report["spark"] else []
        found = sum(one["removed_at"] is not None for one in executors)
        check(f"the event log's lost executors are {lost}", found == lost, executors)
        check("it was read in ranges", any(call.status == 206 for call in self.moto.calls))
        page = self.s3.get_object(Bucket=REPORTS, Key=f"reports/{cluster.id}/{cluster.first_step()}/report.html")
        is_page = b"<html" in page["Body"].read() and page["ContentType"].startswith("text/html")
        check("there is a page", is_page, page)

    def put_spark_log(self, cluster):
        """A real event log, as that of an application which the step names, and so long that it is read in ranges.
        Answers how many executors it loses."""
        folder = self.data / "spark-event-logs/s35-between-rdd-plain"
        application = "application_1795338200000_0001"
        log, = (folder / "log").iterdir()
        lines = log.read_bytes().splitlines(keepends=True)
        noise = json.dumps({"Event": "org.example.Noise", "padding": "x" * 1000}).encode() + b"\n"
        self.put(f"events/{application}", b"".join(lines[:-1] + [noise] * 9000 + lines[-1:]))
        stderr = gzip.compress(f"Submitted application {application}\n".encode())
        self.put(f"logs/{cluster.id}/steps/{cluster.first_step()}/stderr.gz", stderr)
        return json.loads((folder / "truth.json").read_text())["summary"]["executors_removed"]

    def sweep(self, cluster):
        cluster.end("COMPLETED", minutes_ago=15)
        with self.function("WriteReport") as function:
            answer = function.answer({"sweep": True})
        reports = [one["report"] for one in answer.get("reported", [])]
        wanted = f"s3://{REPORTS}/reports/{cluster.id}/{cluster.first_step()}/"
        check("the sweep finds the end that nobody told of", reports == [wanted], answer)
        report = self.report(cluster)
        print(f"the report says: {report['sentence']}")
        check("where nobody was interrupted, nothing is shown", report["verdict"] == "inconclusive", report)

    def unwatched(self, cluster):
        cluster.end("COMPLETED")
        with self.function("WriteReport") as function:
            answer = function.answer(self.step_event("COMPLETED", cluster))
        is_ignored = answer.get("outcome") == "ignored" and "not opted in" in answer.get("reason", "")
        check("a step of a cluster without the tag gets no report", is_ignored, answer)

    def undrilled(self, cluster):
        cluster.end("COMPLETED")
        with self.function("WriteReport") as function:
            answer = function.answer(self.step_event("COMPLETED", cluster))
        check("a step without a drill gets its report too", answer.get("verdict") == "inconclusive", answer)

    def report(self, cluster):
        key = f"reports/{cluster.id}/{cluster.first_step()}/report.json"
        return json.loads(self.s3.get_object(Bucket=REPORTS, Key=key)["Body"].read())

    def refusals(self):
        """Everything that moto refused the functions, and whether it was to."""
        ours = [call for call in self.moto.calls if call.by == BY_FUNCTIONS]
        operations = sorted({f"{call.service} {call.operation}" for call in ours if call.status < 300})
        print(f"{len(ours)} calls of the functions, of {len(operations)} operations: {', '.join(operations)}")
        for call, count in sorted(collections.Counter(one for one in ours if one.status >= 300).items()):
            what = f"{call.service} {call.operation} is answered {call.status} {call.code} {count} times"
            if call.code in self.moto.EXCUSES:
                print(f"not judged: {what}")
            else:
                check(f"{what}, as it must", call[1:] in EXPECTED, "it should not be refused")


def judged(moto, binaries, template_path, data):
    """The whole story: a stack, six clusters, and each function in its turn."""
    template = moto_stack.Template(template_path, PARAMETERS)
    moto_stack.deploy(template, RESULTS)
    judge = Judge(moto, binaries, template, data)
    spark, opted_in = ["spark-submit", "s3://code/script.py", f"s3://{RESULTS}/out/"], {"spot-drill": "on"}
    scheduled = moto_stack.Cluster("scheduled", opted_in, [], RESULTS)
    judge.submit_step(scheduled)
    judge.record_interruption(scheduled)
    judge.put("out/_SUCCESS", b"")
    drilled, quiet = (moto_stack.Cluster(name, opted_in, spark, RESULTS) for name in ("drilled", "quiet"))
    untagged = moto_stack.Cluster("untagged", {"team": "data"}, spark, RESULTS)
    judge.refuse_untagged(untagged)
    judge.give_up_under_alarm(moto_stack.Cluster("alarmed", opted_in, spark, RESULTS))
    victims = judge.start_experiment(drilled)
    judge.preview_with_lost_answers(quiet)
    judge.write_report(drilled, victims)
    judge.sweep(quiet)
    judge.unwatched(untagged)
    judge.undrilled(moto_stack.Cluster("undrilled", opted_in, spark, RESULTS))
    judge.refusals()
    for what in NOT_JUDGED:
        print(f"not judged: {what}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    with Moto(urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"]).port) as served:
        judged(served, *sys.argv[1:])
