"""The live run's deeds: one small cluster, previews, one drill with one victim; and what was seen of them.

Separate from the questions, which only look: what is done here costs money and takes time."""

import json
import urllib.parse
import uuid

from account import code
from botocore.exceptions import ClientError
from sandbox import TAG

# The cheapest that EMR takes and that Spot has most of; two kinds, so that there is capacity.
TYPE, OTHER_TYPE = "m5.xlarge", "m5a.xlarge"
VICTIMS = 1
OVER = ("COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED")
ENDED = ("completed", "failed", "stopped", "cancelled")
ROLE, CLUSTER = "aws:elasticmapreduce:instance-group-role", "aws:elasticmapreduce:job-flow-id"
INTERRUPT = "aws:ec2:send-spot-instance-interruptions"


def fleet(role):
    """One On-Demand instance, or two task instances on Spot; without capacity the cluster ends, and costs nothing."""
    if role != "TASK":
        return {"InstanceFleetType": role, "TargetOnDemandCapacity": 1, "InstanceTypeConfigs": [{"InstanceType": TYPE}]}
    types = [{"InstanceType": one, "WeightedCapacity": 1} for one in (TYPE, OTHER_TYPE)]
    spot = {"TimeoutDurationMinutes": 20, "TimeoutAction": "TERMINATE_CLUSTER", "AllocationStrategy": "capacity-optimized"}
    return {"InstanceFleetType": role, "TargetSpotCapacity": 2, "InstanceTypeConfigs": types,
            "LaunchSpecifications": {"SpotSpecification": spot}}


def step(name, *words):
    return {"Name": name, "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": list(words)}}


class Drill:
    """One cluster, its steps and the experiments."""

    def __init__(self, account, sandbox, outputs):
        self.account, self.sandbox, self.outputs = account, sandbox, outputs
        self.emr, self.ec2, self.fis = account.client("emr"), account.client("ec2"), account.client("fis")
        self.s3, self.logs, self.dynamodb = account.client("s3"), account.client("logs"), account.client("dynamodb")
        self.cluster = self.first_step = self.step = self.beside = self.sleeper = None
        self.report = self.preview = self.previewed = self.token_used_at = None
        self.before = set()
        self.token = f"{TAG}-{sandbox.run}"
        self.policy = self.fis.get_experiment_template(id=outputs["FISExperimentID"])["experimentTemplate"]

    # ---- The cluster and its steps

    def start_cluster(self):
        """One primary, one core, two Spot task instances; it ends by itself an hour after its last step."""
        fleets = [fleet(role) for role in ("MASTER", "CORE", "TASK")]
        # What a killed run leaves must end by itself. The simulated account does not offer that, and costs nothing.
        ends = {} if self.account.is_rehearsal else {"AutoTerminationPolicy": {"IdleTimeout": 3600}}
        self.cluster = self.sandbox.start_cluster(
            TAG, fleets, [step("given at creation", "true")], StepConcurrencyLevel=2, **ends)
        self.account.until("the cluster waits for steps", self._is_ready, 30, 1800)
        (first,) = self.emr.list_steps(ClusterId=self.cluster)["Steps"]
        self.first_step = first["Id"]
        self.before = {one["InstanceId"] for one in self.task_instances()}

    def _is_ready(self):
        status = self.emr.describe_cluster(ClusterId=self.cluster)["Cluster"]["Status"]
        if status["State"].startswith("TERMINAT"):
            raise RuntimeError(f"the cluster ended: {status.get('StateChangeReason')}")
        return status["State"] == "WAITING" and len(self.task_instances()) == 2

    def task_instances(self):
        """The running task instances, by the tags that EMR gives."""
        filters = {f"tag:{CLUSTER}": self.cluster, f"tag:{ROLE}": "TASK", "instance-state-name": "running"}
        filters = [{"Name": name, "Values": [value]} for name, value in filters.items()]
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=filters)
        return [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]

    def run_steps(self):
        """The Spark step that is drilled, and one beside it; waits for its end and its report."""
        bucket = self.sandbox.bucket
        job = ["spark-submit", "--deploy-mode", "cluster", f"s3://{bucket}/job.py", f"s3://{bucket}/output/"]
        self.step, self.beside = self.add(step("drilled", *job), step("beside it", "true"))
        self.account.until("the step's end", lambda: self.state(self.step) in OVER, 30, 3600)
        self.report = self.account.until("the report", self._read_report, 30, 1500)

    def add(self, *steps):
        return self.emr.add_job_flow_steps(JobFlowId=self.cluster, Steps=list(steps))["StepIds"]

    def state(self, step_id):
        return self.emr.describe_step(ClusterId=self.cluster, StepId=step_id)["Step"]["Status"]["State"]

    def _read_report(self):
        place = urllib.parse.urlsplit(self.outputs["Reports"])
        key = f"{place.path[1:]}{self.cluster}/{self.step}/report.json"
        try:
            return json.load(self.s3.get_object(Bucket=place.netloc, Key=key)["Body"])
        except ClientError as error:
            if code(error) != "NoSuchKey":
                raise
            return None

    def end_cluster(self):
        """Ends the cluster under a step that runs."""
        (self.sleeper,) = self.add(step("runs at the cluster's end", "sleep", "3600"))
        self.account.until("the last step runs", lambda: self.state(self.sleeper) in ("RUNNING", *OVER), 15, 600)
        self.emr.terminate_job_flows(JobFlowIds=[self.cluster])
        self.account.until("the last step's end", lambda: self.state(self.sleeper) in OVER, 15, 900)
        # Events may come later than the state.
        self.account.wait(120)

    # ---- Experiments

    def template(self, target, alarm=None):
        """A throw-away template: interruptions of a target, or without one only a wait."""
        stop = {"source": "aws:cloudwatch:alarm", "value": alarm} if alarm else {"source": "none"}
        if target:
            targets = {"t": {"resourceType": "aws:ec2:spot-instance", **target}}
            act = {"actionId": INTERRUPT, "parameters": {"durationBeforeInterruption": "PT2M"}}
            act["targets"] = {"SpotInstances": "t"}
        else:
            targets, act = {}, {"actionId": "aws:fis:wait", "parameters": {"duration": "PT1M"}}
        made = self.fis.create_experiment_template(
            clientToken=str(uuid.uuid4()), description="A live run of spot-drill", roleArn=self.policy["roleArn"],
            stopConditions=[stop], targets=targets, actions={"a": act}, tags={TAG: self.sandbox.run})
        return made["experimentTemplate"]["id"]

    def described(self):
        """One task instance of this cluster, by EMR's own tags."""
        tags = {ROLE: "TASK", CLUSTER: self.cluster, TAG: self.sandbox.run}
        running = [{"path": "State.Name", "values": ["running"]}]
        return {"resourceTags": tags, "filters": running, "selectionMode": f"COUNT({VICTIMS})"}

    def start(self, template, client=None, token=None, tagged=True, preview=True):
        """Starts an experiment; a preview unless it is said otherwise. Answers its id."""
        tags = {"tags": {TAG: self.sandbox.run}} if tagged else {}
        options = {"experimentOptions": {"actionsMode": "skip-all"}} if preview else {}
        return (client or self.fis).start_experiment(
            clientToken=token or str(uuid.uuid4()), experimentTemplateId=template, **tags, **options)["experiment"]["id"]

    def ended(self, experiment):
        """The experiment's end state."""
        def look():
            state = self.fis.get_experiment(id=experiment)["experiment"]["state"]
            return state if state["status"] in ENDED else None
        return self.account.until("the experiment's end", look, 15, 600)

    def resolved(self, experiment):
        """The instances that an experiment resolved."""
        found = self.fis.list_experiment_resolved_targets(experimentId=experiment)["resolvedTargets"]
        return [one["targetInformation"]["arn"].split("/")[-1] for one in found]

    def make_preview(self):
        """The template of all previews, and the first of them."""
        self.preview = self.template(self.described())
        self.previewed = self.start(self.preview, token=self.token)
        self.token_used_at = self.now()
        return self.ended(self.previewed)

    def now(self):
        """The account's own time, of an answer's head."""
        answer = self.fis.get_experiment_template(id=self.outputs["FISExperimentID"])
        return answer["ResponseMetadata"]["HTTPHeaders"]["date"]

    # ---- What was told

    def events(self, group):
        """The events that a rule wrote into a log group."""
        pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [json.loads(one["message"]) for page in pages for one in page["events"]]

    def step_events(self, step_id):
        """The states that EMR told of a step; only where a rule writes EMR's events."""
        found = [one["detail"] for one in self.events(self.sandbox.ground["Events"]) if one["source"] == "aws.emr"]
        return [one["state"] for one in found if one.get("stepId") == step_id]

    def ledger(self):
        """What start-experiment wrote down of the drill; nothing if it never saw the step."""
        key = {"pk": {"S": f"cluster#{self.cluster}"}, "sk": {"S": f"drill#{self.step}"}}
        return self.dynamodb.get_item(TableName=self.outputs["LedgerTable"], Key=key).get("Item", {})

    def experiment(self):
        """The drill's first experiment, of the report; nothing if there was none."""
        found = (self.report or {}).get("drill", {}).get("experiments", [])
        return found[0] if found else {}
