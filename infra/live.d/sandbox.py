"""What a live run makes in the account, and its removal.

Separate because removal must find everything by itself: it knows nothing of the run that made it, and so the same lines
clear up after a run, after a failure, and after a process that was killed."""

import pathlib
import re
import sys
import urllib.parse

from botocore.exceptions import ClientError, WaiterError

from account import Refused, code

# On all that is made: clusters, experiments and their templates, stacks and by them their resources. The bucket has a name.
TAG = "spot-drill-live"
STACK, GROUND = "spot-drill-live", "spot-drill-live-ground"
# How the template of every deployment begins to describe itself.
DESCRIPTION = "Interrupts Spot instances under every Spark step"
UP = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"]
# Tasks that sleep, and so take as long on any instance: ten minutes on three nodes.
JOB = """import sys, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.sparkContext.parallelize(range(720), 720).map(lambda _: time.sleep(10)).count()
spark.range(1).write.mode("overwrite").csv(sys.argv[1])
"""


def say(words):
    print(words, file=sys.stderr, flush=True)


class Sandbox:
    def __init__(self, account, run):
        self.account, self.run = account, run
        self.bucket = f"{TAG}-{account.id}-{account.region}"
        self.cloudformation, self.emr = account.client("cloudformation"), account.client("emr")
        self.fis, self.s3 = account.client("fis"), account.client("s3")
        self.tags = [{"Key": TAG, "Value": run}]
        self.ground = {}

    def check_is_alone(self):
        """Nothing of another run, and nobody who would drill the same cluster."""
        if left := self.left():
            raise Refused(f"another run is there, or was killed: {', '.join(left)}; --remove takes it away")
        for stack in self._stacks():
            if stack.get("Description", "").startswith(DESCRIPTION):
                raise Refused(f"the stack {stack['StackName']} is there, and would drill the live run's cluster too")

    # ---- Making

    def make_bucket(self):
        here = {} if self.account.region == "us-east-1" else {"LocationConstraint": self.account.region}
        self.s3.create_bucket(Bucket=self.bucket, **({"CreateBucketConfiguration": here} if here else {}))
        self.s3.put_object(Bucket=self.bucket, Key="job.py", Body=JOB.encode())
        # Spark asks for the folder to be there.
        self.s3.put_object(Bucket=self.bucket, Key="spark-events/")

    def deploy(self, packages):
        """The packages' stack, drilling one instance at a time. Answers its outputs. In a rehearsal it is there already."""
        if self.account.is_rehearsal:
            (stack,) = self.cloudformation.describe_stacks()["Stacks"]
            return outputs(stack)
        self._allow_spot()
        body = pathlib.Path(__file__).with_name("ground.yaml").read_text()
        self.ground = self._create(GROUND, {"TemplateBody": body}, {"Bucket": self.bucket})
        for package in sorted(packages.glob("*-arm64.zip")):
            self.s3.upload_file(str(package), self.bucket, f"packages/{package.name}")
        template = deletable((packages / "template-arm64.yaml").read_text(), f"s3://{self.bucket}/packages/")
        self.s3.put_object(Bucket=self.bucket, Key="packages/template.yaml", Body=template.encode())
        # A request carries 51,200 bytes of template at most, and this one has more.
        host = urllib.parse.urlsplit(self.s3.meta.endpoint_url).netloc
        url = {"TemplateURL": f"https://{self.bucket}.{host}/packages/template.yaml"}
        arn = f"arn:{self.account.partition}:s3:::{self.bucket}"
        reads = dict.fromkeys(["EventLogBucketArns", "LogBucketArns", "OutputBucketArns"], arn)
        settings = {"Mode": "run", "InstancesToInterrupt": "1", "DelaySeconds": "60", "WarningsPerHourMax": "20"}
        return self._create(STACK, url, {**reads, **settings})

    def _allow_spot(self):
        """EC2's role for Spot, without which an account that never had a Spot instance gets none. It stays.

        https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html"""
        try:
            self.account.client("iam").create_service_linked_role(AWSServiceName="spot.amazonaws.com")
        except ClientError as error:
            if code(error) != "InvalidInput":
                raise

    def _create(self, name, template, parameters):
        say(f"making the stack {name}")
        self.cloudformation.create_stack(
            StackName=name, **template, Tags=self.tags, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()])
        self.cloudformation.get_waiter("stack_create_complete").wait(StackName=name)
        return outputs(self.cloudformation.describe_stacks(StackName=name)["Stacks"][0])

    def start_cluster(self, name, fleets, steps, **more):
        """A cluster of fleets, in the simulated account without a network and roles of its own. Answers its id."""
        place = {"InstanceFleets": fleets, "KeepJobFlowAliveWhenNoSteps": True}
        if self.ground:
            place["Ec2SubnetIds"] = self.ground["Subnets"].split(",")
            place["EmrManagedMasterSecurityGroup"] = place["EmrManagedSlaveSecurityGroup"] = self.ground["Nodes"]
        logs = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": f"s3://{self.bucket}/spark-events/"}
        own = {TAG: self.run, "spot-drill": "on", "for-use-with-amazon-emr-managed-policies": "true"}
        return self.emr.run_job_flow(
            Name=name, ReleaseLabel="emr-7.5.0", Applications=[{"Name": "Spark"}], Instances=place, Steps=steps,
            LogUri=f"s3://{self.bucket}/logs/", Configurations=[{"Classification": "spark-defaults", "Properties": logs}],
            JobFlowRole=self.ground.get("NodeProfile", "none"), ServiceRole=self.ground.get("ServiceRole", "none"),
            Tags=[{"Key": key, "Value": value} for key, value in own.items()], **more)["JobFlowId"]

    # ---- Removing

    def remove(self):
        """Takes away whatever has the tag, of this run or of another; answers what is left."""
        for cluster in self._clusters(UP):
            say(f"ending the cluster {cluster}")
            self.emr.set_termination_protection(JobFlowIds=[cluster], TerminationProtected=False)
            self.emr.terminate_job_flows(JobFlowIds=[cluster])
        self._stop_experiments()
        for template in self._templates():
            say(f"deleting the experiment template {template}")
            self.fis.delete_experiment_template(id=template)
        self.account.until("the clusters have ended", lambda: not self._clusters([*UP, "TERMINATING"]), 30, 1800)
        for name in self._own_stacks():
            say(f"deleting the stack {name}")
            try:
                self._delete_stack(name)
            except WaiterError:
                # Somebody wrote to its bucket meanwhile, or the network still had an interface of a node that went.
                self.account.wait(60)
                self._delete_stack(name)
        if self._has_bucket():
            say(f"deleting the bucket {self.bucket}")
            self._empty([self.bucket])
            self.s3.delete_bucket(Bucket=self.bucket)
        return self.left()

    def _delete_stack(self, name):
        self._empty(self._buckets_of(name))
        self.cloudformation.delete_stack(StackName=name)
        self.cloudformation.get_waiter("stack_delete_complete").wait(StackName=name)

    def left(self):
        """The names of all that has the tag."""
        found = [*self._clusters([*UP, "TERMINATING"]), *self._templates(), *self._own_stacks()]
        return found + ([self.bucket] if self._has_bucket() else [])

    def _clusters(self, states):
        pages = self.emr.get_paginator("list_clusters").paginate(ClusterStates=states)
        ids = [one["Id"] for page in pages for one in page["Clusters"]]
        described = (self.emr.describe_cluster(ClusterId=one)["Cluster"] for one in ids)
        return [one["Id"] for one in described if TAG in {tag["Key"] for tag in one["Tags"]}]

    def _templates(self):
        """The throw-away ones. The stack's own has the stack's tags too, and a name; it goes with the stack."""
        pages = self.fis.get_paginator("list_experiment_templates").paginate()
        found = [(one["id"], one.get("tags", {})) for page in pages for one in page["experimentTemplates"]]
        return [template for template, tags in found if TAG in tags and "Name" not in tags]

    def _stop_experiments(self):
        pages = self.fis.get_paginator("list_experiments").paginate()
        for one in (one for page in pages for one in page["experiments"]):
            if TAG in one.get("tags", {}) and one["state"]["status"] in ("pending", "initiating", "running"):
                say(f"stopping the experiment {one['id']}")
                try:
                    self.fis.stop_experiment(id=one["id"])
                except ClientError as error:
                    # It has ended meanwhile.
                    say(f"    {error}")

    def _stacks(self):
        pages = self.cloudformation.get_paginator("describe_stacks").paginate()
        return [stack for page in pages for stack in page["Stacks"] if stack["StackStatus"] != "DELETE_COMPLETE"]

    def _own_stacks(self):
        """The drills' stack before the ground that it stands on."""
        found = [one for one in self._stacks() if TAG in {tag["Key"] for tag in one["Tags"]}]
        return sorted((one["StackName"] for one in found), key=lambda name: name == GROUND)

    def _buckets_of(self, stack):
        found = self.cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
        found = [one for one in found if one["ResourceType"] == "AWS::S3::Bucket" and "DELETE" not in one["ResourceStatus"]]
        return [one["PhysicalResourceId"] for one in found if one.get("PhysicalResourceId")]

    def _has_bucket(self):
        return any(one["Name"] == self.bucket for one in self.s3.list_buckets()["Buckets"])

    def _empty(self, buckets):
        for bucket in buckets:
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                keys = [{"Key": one["Key"]} for one in page.get("Contents", [])]
                if keys:
                    self.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})


def outputs(stack):
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}


def deletable(template, packages):
    """The packaged template with its code in a bucket, and without what keeps data when the stack goes."""
    template = re.sub(r"CodeUri: ([a-z0-9-]+\.zip)", rf"CodeUri: {packages}\1", template)
    template = re.sub(r"(DeletionPolicy|UpdateReplacePolicy): Retain\w*", r"\1: Delete", template)
    return template.replace("DeletionProtectionEnabled: true", "DeletionProtectionEnabled: false")
