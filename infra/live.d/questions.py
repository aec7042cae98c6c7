"""What the project assumes of AWS and no page settles, each with the look that a live run takes.

Separate from the drill: a question only looks, and its answer is what it saw. `unrehearsed` says why the simulated account
cannot be asked; then nothing is looked at there, however it would answer."""

import email.utils
import json
import uuid
from dataclasses import dataclass
from typing import Callable

from botocore.exceptions import ClientError

from account import SIMULATED_EVENTS, code
from drill import CLUSTER, ROLE, VICTIMS, Drill, fleet
from sandbox import STACK, TAG
from table import NOT_ASKED, NOT_REHEARSED, NOT_SEEN, Answer

# So long start-experiment asks again with the same token after a crash: TOKEN_TRUSTED in shared/src/drill.rs.
TOKEN_MINUTES = 10
NO_IAM = "it puts no call of a client to IAM"
NO_ALARMS = "no client can make or set an alarm there"
NO_EVENTS = "no client can read EMR's events there"
NO_LINES = "its functions run in its own process"
VERDICTS = ("survived", "degraded", "failed", "inconclusive")


@dataclass(frozen=True)
class Question:
    about: str
    assumed: str
    look: Callable[[Drill], Answer] | None = None
    unrehearsed: str = ""
    unasked: str = ""


# ---- While the cluster waits


def tags_of_fleets(drill):
    found = drill.task_instances()
    keys = {one["InstanceId"]: {tag["Key"] for tag in one["Tags"]} for one in found}
    wanted = {ROLE, CLUSTER, "spot-drill"}
    lacking = {one: sorted(wanted - has) for one, has in keys.items() if not wanted <= has}
    asked = {"InstanceFleetType": "TASK", "InstanceStates": ["RUNNING"]}
    listed = drill.emr.list_instances(ClusterId=drill.cluster, **asked)["Instances"]
    untagged = {one["Ec2InstanceId"] for one in listed} - set(keys)
    without = lacking or sorted(untagged) or "none"
    seen = f"{len(found)} task instances by these tags, {len(listed)} by EMR's list; without: {without}"
    return Answer(seen, bool(found) and not lacking and not untagged, "DescribeInstances, ListInstances")


def preview(drill):
    state = drill.make_preview()
    found = drill.resolved(drill.previewed)
    seen = f"{state['status']}, {len(found)} of the cluster's task instances"
    is_so = state["status"] == "completed" and len(found) == VICTIMS and set(found) <= drill.before
    source = f"GetExperiment, ListExperimentResolvedTargets of {drill.previewed}"
    return Answer(seen if is_so else f"{state['status']}: {state.get('reason')}; {found}", is_so, source)


def token_at_once(drill):
    again = drill.start(drill.preview, token=drill.token)
    seen = "the same experiment" if again == drill.previewed else f"another experiment, {again}"
    return Answer(seen, again == drill.previewed, "StartExperiment, twice")


def filters_beside_arns(drill):
    account = drill.account
    arn = f"arn:{account.partition}:ec2:{account.region}:{account.id}:instance/{min(drill.before)}"
    running = [{"path": "State.Name", "values": ["running"]}]
    target = {"resourceArns": [arn], "selectionMode": "ALL", "filters": running}
    try:
        template = drill.template(target)
    except ClientError as error:
        return Answer(f"refused: {error}", code(error) == "ValidationException", "CreateExperimentTemplate")
    drill.fis.delete_experiment_template(id=template)
    return Answer("taken", False, "CreateExperimentTemplate")


def no_task_fleet(drill):
    cluster = drill.sandbox.start_cluster(f"{TAG} without task fleet", [fleet("MASTER")], [])
    asked = {"InstanceFleetType": "TASK", "InstanceStates": ["RUNNING"]}
    state = drill.emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["State"]
    try:
        found = drill.emr.list_instances(ClusterId=cluster, **asked)["Instances"]
        return Answer(f"{len(found)} instances of a cluster that is {state}", not found, "ListInstances")
    except ClientError as error:
        return Answer(f"refused, of a cluster that is {state}: {error}", False, "ListInstances")
    finally:
        drill.emr.terminate_job_flows(JobFlowIds=[cluster])


def probe(drill):
    """FIS, as the role that may do what it does under conditions only."""
    arn = drill.sandbox.ground["ProbeRole"]
    role = drill.account.client("sts").assume_role(RoleArn=arn, RoleSessionName=TAG)["Credentials"]
    return drill.account.client("fis", role)


def attempt(call):
    """`allowed`, `denied`, or AWS's other error: what IAM makes of a call, whatever FIS makes of it."""
    try:
        call()
    except ClientError as error:
        return "denied" if code(error) == "AccessDeniedException" else f"allowed, and then {code(error)}"
    return "allowed"


def request_tag(drill):
    fis = probe(drill)
    tagged = attempt(lambda: drill.start(drill.preview, fis))
    bare = attempt(lambda: drill.start(drill.preview, fis, tagged=False))
    is_so = tagged.startswith("allowed") and bare == "denied"
    return Answer(f"with the tag {tagged}, without it {bare}", is_so, "StartExperiment as the probe's role")


def resource_tag_of_targets(drill):
    answer = attempt(lambda: probe(drill).list_experiment_resolved_targets(experimentId=drill.previewed))
    return Answer(answer, answer.startswith("allowed"), "ListExperimentResolvedTargets as the probe's role")


def resource_tag_of_stop(drill):
    answer = attempt(lambda: probe(drill).stop_experiment(id=drill.previewed))
    return Answer(answer, answer.startswith("allowed"), "StopExperiment as the probe's role")


def start_under_alarm(drill, state):
    cloudwatch, ground = drill.account.client("cloudwatch"), drill.sandbox.ground
    cloudwatch.set_alarm_state(AlarmName=ground["Alarm"], StateValue=state, StateReason="spot-drill's live run")
    template = drill.template(None, alarm=ground["AlarmArn"])
    try:
        ended = drill.ended(drill.start(template, preview=False))
        return ended["status"], f"{ended['status']}: {ended.get('reason')}"
    except ClientError as error:
        return code(error), f"refused: {error}"
    finally:
        cloudwatch.set_alarm_state(AlarmName=ground["Alarm"], StateValue="OK", StateReason="seen")


def start_without_data(drill):
    status, seen = start_under_alarm(drill, "INSUFFICIENT_DATA")
    return Answer(seen, status == "completed", "StartExperiment, GetExperiment")


def start_in_alarm(drill):
    status, seen = start_under_alarm(drill, "ALARM")
    return Answer(seen, status == "stopped", "StartExperiment, GetExperiment")


# ---- After the drill


def drill_began(drill):
    state = drill.ledger().get("state", {}).get("S")
    seen = f"the ledger has the drill: {state}" if state else "the ledger has no drill of the step"
    return Answer(seen, state == "started", "the ledger's item of the step")


def experiment(drill):
    experiment = drill.experiment()
    if not experiment:
        return Answer(f"none: {drill.report['drill']['reason']}", False, "report.json")
    chosen, resolved = len(experiment["victims"]), len(experiment["resolved"])
    seen = f"{experiment['status']}: {experiment['reason']} Chosen {chosen}, resolved {resolved}"
    is_so = experiment["status"] == "completed" and resolved == VICTIMS and experiment["resolved_are_victims"]
    return Answer(seen, is_so, f"report.json, {experiment['experiment_id']}")


def victim(drill):
    chosen = drill.experiment().get("victims", [])
    if not chosen:
        return Answer("no victim was chosen", False, "report.json")
    found = drill.ec2.describe_instances(InstanceIds=chosen)["Reservations"][0]["Instances"][0]
    ids = [found["SpotInstanceRequestId"]]
    (request,) = drill.ec2.describe_spot_instance_requests(SpotInstanceRequestIds=ids)["SpotInstanceRequests"]
    seen = f"{chosen[0]} is {found['State']['Name']}, its Spot request says {request['Status']['Code']}"
    is_so = found["State"]["Name"] in ("shutting-down", "terminated")
    return Answer(seen, is_so, "DescribeInstances, DescribeSpotInstanceRequests")


def warnings(drill):
    chosen = set(drill.experiment().get("victims", []))
    group = drill.sandbox.ground.get("Events", SIMULATED_EVENTS)
    told = [one for one in drill.events(group) if one["detail-type"] == "EC2 Spot Instance Interruption Warning"]
    told = {one["detail"]["instance-id"] for one in told} & chosen
    recorded = {one["instance_id"] for one in drill.report["interruptions"]} & chosen
    seen = f"of {len(chosen)} victims {len(told)} were told of by EventBridge, {len(recorded)} are in the report"
    return Answer(seen, bool(chosen) and told == recorded == chosen, f"the log group {group}, report.json")


def replaced(drill):
    new = {one["InstanceId"] for one in drill.task_instances()} - drill.before
    lost = drill.report["interruptions"]
    said = [f"{one['replacement']} {one.get('seconds_after_loss')} s after its loss" for one in lost]
    seen = f"{len(new)} new task instances; by the report: {', '.join(said) or 'nothing was lost'}"
    return Answer(seen, len(new) >= VICTIMS, "DescribeInstances, report.json")


def reported(drill):
    report = drill.report
    missing = [one["what"] for one in report["missing"]]
    seen = f"{report['verdict']}: {report['sentence']} Missing: {missing or 'nothing'}"
    return Answer(seen, report["verdict"] in VERDICTS[:3] and report["spark"] is not None, "report.json")


def running_at_creation(drill):
    states = drill.step_events(drill.first_step)
    return Answer(f"{states}", "RUNNING" in states, "EventBridge, in a log group")


def running_beside(drill):
    states = {name: drill.step_events(one) for name, one in [("drilled", drill.step), ("beside it", drill.beside)]}
    return Answer(f"{states}", all("RUNNING" in one for one in states.values()), "EventBridge, in a log group")


def levels(drill):
    """An event that the function cannot read makes it log one line of level ERROR."""
    name = drill.account.client("cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId="StartExperiment")["StackResourceDetail"]["PhysicalResourceId"]
    drill.account.client("lambda").invoke(FunctionName=name, Payload=json.dumps({"not": uuid.uuid4().hex}))
    drill.account.wait(60)
    group = f"/aws/lambda/{STACK}-StartExperiment"
    pages = drill.logs.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern='"failed"')
    lines = [json.loads(one["message"]) for page in pages for one in page["events"] if one["message"].startswith("{")]
    found = sorted({line.get("level") for line in lines if "error" in line.get("fields", line)})
    if not found:
        raise LookupError("the function logged no failure")
    return Answer(f"lines of failures have the levels {found}", found == ["ERROR"], f"the log group {group}")


# ---- At the end


def token_late(drill):
    minutes = (when(drill.now()) - when(drill.token_used_at)).total_seconds() / 60
    again = drill.start(drill.preview, token=drill.token)
    seen = f"after {minutes:.0f} minutes {'the same' if again == drill.previewed else 'another'} experiment"
    # A token that is forgotten later than it is trusted contradicts nothing.
    is_so = True if again == drill.previewed else (None if minutes > TOKEN_MINUTES else False)
    return Answer(seen, is_so, "StartExperiment again")


def when(date):
    return email.utils.parsedate_to_datetime(date)


def interrupted(drill):
    state = drill.state(drill.sleeper)
    states = drill.step_events(drill.sleeper)
    seen = f"the step that ran when its cluster was ended is {state}; events: {states}"
    is_so = "INTERRUPTED" not in states if state == "INTERRUPTED" else None
    return Answer(seen, is_so, "DescribeStep, EventBridge in a log group")


def trust_roots(drill):
    began = bool(drill.ledger())
    seen = f"in partition {drill.account.partition} start-experiment, with TrustedRoots=amazon, "
    seen += "called DynamoDB and EMR" if began else "left no trace"
    return Answer(seen, began if drill.account.partition != "aws" else None, "the ledger's item of the step")


BEFORE = [
    Question("EMR's own tags on a task fleet's instances",
             f"each has {ROLE} and {CLUSTER}, and the cluster's tags", tags_of_fleets),
    Question("EMR's own tags in a FIS target", "the target resolves to one task instance of this cluster", preview),
    Question("FIS: a client token again, at once", "the same experiment", token_at_once),
    Question("FIS: filters beside ARNs in one target", "refused with ValidationException", filters_beside_arns),
    Question("ListInstances by TASK without a task fleet", "an empty list", no_task_fleet),
    Question("aws:RequestTag in the context of StartExperiment on experiment/*", "it is there", request_tag, NO_IAM),
    Question("aws:ResourceTag in the context of ListExperimentResolvedTargets",
             "it is there", resource_tag_of_targets, NO_IAM),
    Question("aws:ResourceTag in the context of StopExperiment", "it is there", resource_tag_of_stop, NO_IAM),
    Question("FIS: a start while the alarm has INSUFFICIENT_DATA", "it runs", start_without_data, NO_ALARMS),
    Question("FIS: a start while the alarm is in ALARM", "it starts, and is stopped", start_in_alarm, NO_ALARMS),
]
AFTER = [
    Question("EMR's RUNNING event of the step", "start-experiment is invoked, and the drill begins", drill_began),
    Question("the drill's experiment", "one victim, and FIS resolves that one", experiment),
    Question("the victim", "it is interrupted", victim),
    Question(f"aws:ResourceTag/{ROLE} in the context of SendSpotInstanceInterruptions",
             "it is there, and the victim is interrupted", victim, NO_IAM),
    Question("Spot warnings, to log, queue and ledger", "each victim's is told and recorded", warnings),
    Question("EMR replaces what a task fleet lost", "a new task instance joins", replaced),
    Question("the report, with Spark's event log", "a verdict, and that something was shown", reported),
    Question("a RUNNING event of a step that is given at creation", "there is one", running_at_creation, NO_EVENTS),
    Question("RUNNING events of steps that run at once", "one of each", running_beside, NO_EVENTS),
    Question("Lambda keeps `level` of the functions' lines", "ERROR stays ERROR", levels, NO_LINES),
    Question("the trust roots in GovCloud and aws-eusc", "Amazon's own", trust_roots, "it speaks no TLS"),
]
END = [
    Question("FIS: a client token again, later", f"the same experiment for {TOKEN_MINUTES} minutes", token_late),
    Question("an event of a step that becomes INTERRUPTED", "none: the sweep reports on it", interrupted, NO_EVENTS),
    Question("a verdict bus of another account", "Lambda may send there", unasked="it needs a second account"),
]


def ask(questions, drill, table):
    """Asks each, whatever became of the one before."""
    for question in questions:
        if question.unasked:
            table.leave(question, NOT_ASKED, question.unasked)
        elif drill.account.is_rehearsal and question.unrehearsed:
            table.leave(question, NOT_REHEARSED, question.unrehearsed)
        else:
            try:
                table.compare(question, question.look(drill))
            except Exception as error:  # What is not seen is not seen, and the next question still can be.
                table.leave(question, NOT_SEEN, f"{type(error).__name__}: {error}")
