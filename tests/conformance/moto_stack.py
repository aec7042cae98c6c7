"""What a deployed stack and its surroundings are, made in moto by boto3: table, bucket, FIS template and the functions'
variables as infra/template.yaml has them, and EMR clusters with their instances.

Apart from the judge, since this is no judgement. What EMR and time would do on AWS, and moto does not, is done to
moto's own state here, and each such thing is said.
"""

import copy
import datetime
import re

import boto3
from botocore.config import Config
from moto.ec2 import ec2_backends
from moto.emr import emr_backends
from samtranslator.yaml_helper import yaml_parse

ACCOUNT = "123456789012"
# moto's EMR knows no other Region when it is reached by an address of loopback.
REGION = "us-east-1"
CONFIG = Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=60, s3={"addressing_style": "path"})
NAMES = {"Ledger": "spot-drill-Ledger", "ReportBucket": "spot-drill-reports"}
ALARM = "spot-drill-TooManyWarnings"
BY_HAND = set()


def client(service):
    return boto3.client(service, config=CONFIG)


def by_hand(what):
    """Says, once, what is done to moto's state without an AWS call."""
    if what not in BY_HAND:
        BY_HAND.add(what)
        print(f"by hand, since moto does not: {what}", flush=True)


class Template:
    """infra/template.yaml with its parameters' values: the few intrinsic functions that its variables need."""

    def __init__(self, path, parameters):
        with open(path, encoding="utf-8") as file:
            self.body = yaml_parse(file.read())
        defaults = {name: one.get("Default") for name, one in self.body["Parameters"].items()}
        unknown = set(parameters) - set(defaults)
        assert not unknown, f"the template has no parameter {unknown}"
        self.values = {**defaults, **parameters, "AWS::StackName": "spot-drill", "AWS::Partition": "aws"}
        self.values.update({"AWS::AccountId": ACCOUNT, "AWS::Region": REGION})
        # What the stack's resources are called; those that moto is not given have an ARN at least.
        self.names = dict(NAMES)

    def properties(self, logical, *path):
        found = self.body["Resources"][logical]["Properties"]
        for name in path:
            found = found[name]
        return self.resolved(found)

    def variables(self, logical):
        """A function's environment variables, as Lambda hands them over: all of them text."""
        shared = self.resolved(self.body["Globals"]["Function"].get("Environment", {}).get("Variables", {}))
        own = self.properties(logical, "Environment", "Variables")
        return {name: str(value) for name, value in {**shared, **own}.items()}

    def binary(self, logical):
        """The name of a function's binary."""
        return self.body["Resources"][logical]["Metadata"]["BuildProperties"]["Binary"]

    def timeout(self, logical):
        """How many seconds a function has."""
        return self.body["Resources"][logical]["Properties"]["Timeout"]

    def reference(self, name):
        if name in self.values:
            return self.values[name]
        return self.names[name]

    def attribute(self, logical, attribute):
        if attribute != "Arn":
            raise KeyError(f"{logical}.{attribute}")
        services = {"AWS::IAM::Role": "iam::{}:role/", "AWS::CloudWatch::Alarm": "cloudwatch:us-east-1:{}:alarm:"}
        services["AWS::Logs::LogGroup"] = "logs:us-east-1:{}:log-group:"
        kind = services[self.body["Resources"][logical]["Type"]].format(ACCOUNT)
        return f"arn:aws:{kind}spot-drill-{logical}"

    def condition(self, expression):
        (function, argument), = expression.items()
        if function == "Condition":
            return self.condition(self.body["Conditions"][argument])
        if function == "Fn::Equals":
            return str(self.resolved(argument[0])) == str(self.resolved(argument[1]))
        if function == "Fn::Not":
            return not self.condition(argument[0])
        if function == "Fn::And":
            return all(self.condition(one) for one in argument)
        raise KeyError(function)

    def resolved(self, value):
        if isinstance(value, list):
            return [one for one in map(self.resolved, value) if one is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), = value.items()
            if function == "Ref":
                return None if argument == "AWS::NoValue" else self.reference(argument)
            if function == "Fn::GetAtt":
                return self.attribute(*argument)
            if function == "Fn::If":
                return self.resolved(argument[1 if self.condition({"Condition": argument[0]}) else 2])
            if function == "Fn::Sub":
                return re.sub(r"\$\{([\w:]+)\}", lambda name: str(self.reference(name[1])), argument)
        found = {name: self.resolved(one) for name, one in value.items()}
        return {name: one for name, one in found.items() if one is not None}


def as_sdk(shape, value):
    """CloudFormation's names for an API's members, as the API has them: the same, but for the first letter."""
    if shape.type_name == "structure":
        names = {name.lower(): (name, member) for name, member in shape.members.items()}
        return {names[name.lower()][0]: as_sdk(names[name.lower()][1], one) for name, one in value.items()}
    if shape.type_name == "map":
        return {name: as_sdk(shape.value, one) for name, one in value.items()}
    if shape.type_name == "list":
        return [as_sdk(shape.member, one) for one in value]
    return value


def deploy(template, results_bucket):
    """Makes the table, the buckets, the alarm and the FIS template, and names them in the template."""
    ledger = template.properties("Ledger")
    expiry, backups = ledger.pop("TimeToLiveSpecification"), ledger.pop("PointInTimeRecoverySpecification")
    dynamodb = client("dynamodb")
    dynamodb.create_table(TableName=NAMES["Ledger"], **ledger)
    dynamodb.update_time_to_live(TableName=NAMES["Ledger"], TimeToLiveSpecification=expiry)
    dynamodb.update_continuous_backups(TableName=NAMES["Ledger"], PointInTimeRecoverySpecification=backups)
    for bucket in (NAMES["ReportBucket"], results_bucket):
        client("s3").create_bucket(Bucket=bucket)
    client("cloudwatch").put_metric_alarm(
        AlarmName=ALARM,
        Namespace="AWS/SQS",
        MetricName="NumberOfMessagesSent",
        Statistic="Sum",
        Period=3600,
        EvaluationPeriods=1,
        Threshold=template.reference("WarningsPerHourMax"),
        ComparisonOperator="GreaterThanThreshold",
    )
    fis = client("fis")
    shape = fis.meta.service_model.operation_model("CreateExperimentTemplate").input_shape
    made = fis.create_experiment_template(**as_sdk(shape, template.properties("ExperimentTemplate")))
    template.names["ExperimentTemplate"] = made["experimentTemplate"]["id"]


class Cluster:
    """An EMR cluster of instance groups, with its EC2 instances as EMR leaves them."""

    def __init__(self, name, tags, spark, bucket):
        """`spark` is its first step's command; none, and it waits for one."""
        groups = [("MASTER", "ON_DEMAND", 1), ("CORE", "ON_DEMAND", 1), ("TASK", "SPOT", 4), ("TASK", "ON_DEMAND", 1)]
        self.emr = client("emr")
        self.id = self.emr.run_job_flow(
            Name=name,
            ReleaseLabel="emr-7.5.0",
            LogUri=f"s3://{bucket}/logs/",
            JobFlowRole="EMR_EC2_DefaultRole",
            ServiceRole="EMR_DefaultRole",
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            Steps=[
                {
                    "Name": "Spark application",
                    "ActionOnFailure": "CONTINUE",
                    "HadoopJarStep": {"Jar": "command-runner.jar", "Args": spark},
                }
            ]
            if spark
            else [],
            Instances={
                "KeepJobFlowAliveWhenNoSteps": True,
                "InstanceGroups": [
                    {"Name": f"{role} {market}", "InstanceRole": role, "Market": market, "InstanceType": "r5.xlarge",
                     "InstanceCount": count}
                    for role, market, count in groups
                ],
            },
        )["JobFlowId"]
        self.inner = emr_backends[ACCOUNT][REGION].clusters[self.id]
        by_hand("instances of groups name no fleet, where moto names one without letters")
        for instance in self.inner.ec2_instances:
            instance.instance_fleet_id = None
        by_hand("clusters and their first steps have run for a while when the story begins")
        for group in self.inner.instance_groups:
            group.creation_date_time = group.ready_date_time = ago(60)
        for step in self.inner.steps:
            step.creation_date_time = step.start_date_time = ago(40)
        self.tag_instances(tags)

    def tag_instances(self, tags):
        by_hand("EMR's instances of Spot groups are Spot instances to EC2, and carry EMR's tags and the cluster's")
        groups = {one["Id"]: one for one in self.emr.list_instance_groups(ClusterId=self.id)["InstanceGroups"]}
        for instance in self.emr.list_instances(ClusterId=self.id)["Instances"]:
            group = groups[instance["InstanceGroupId"]]
            own = {"job-flow-id": self.id, "instance-group-id": group["Id"]}
            own["instance-group-role"] = group["InstanceGroupType"]
            emr = {f"aws:elasticmapreduce:{key}": value for key, value in own.items()}
            all_tags = [{"Key": key, "Value": value} for key, value in {**tags, **emr}.items()]
            client("ec2").create_tags(Resources=[instance["Ec2InstanceId"]], Tags=all_tags)
            if group["Market"] == "SPOT":
                ec2_backends[ACCOUNT][REGION].get_instance(instance["Ec2InstanceId"]).lifecycle = "spot"

    def first_step(self):
        """The id of its first step."""
        return self.inner.steps[0].id

    def instances(self, role, market):
        """EC2's ids of the instances of these groups."""
        found = self.emr.list_instances(ClusterId=self.id, InstanceGroupTypes=[role])["Instances"]
        return {one["Ec2InstanceId"] for one in found if one["Market"] == market}

    def end(self, state, minutes_ago=0):
        """Lets its first step have ended then."""
        by_hand("steps end")
        step = self.inner.steps[0]
        step.state, step.end_date_time = state, ago(minutes_ago)

    def lose(self, instance_ids, minutes_ago):
        """Lets Spot instances have gone then, for EC2 and for EMR; nothing comes in their place."""
        by_hand("interrupted instances end, for EC2 and for EMR")
        client("ec2").terminate_instances(InstanceIds=instance_ids)
        for instance in self.inner.ec2_instances:
            if instance.ec2_instance_id in instance_ids:
                # moto keeps an instance's state and times at its group: give it one of its own, under the same id.
                instance.instance_group = copy.copy(instance.instance_group)
                instance.instance_group.state = "TERMINATED"
                instance.instance_group.end_date_time = ago(minutes_ago)


def ago(minutes):
    """A time as moto keeps it."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None, microsecond=0)
    return now - datetime.timedelta(minutes=minutes)
