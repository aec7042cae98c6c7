#!/usr/bin/env python3
"""Whether infra/live takes away all that it makes, and nothing else: on moto, in this process, as after a run that was killed.

What moto's CloudFormation cannot make or delete is left out: the drills' own stack, since it does not know SAM's transform
and another with a bucket stands in its place; the alarm; and routes.

usage: live_removal.py <infra/live.d>; in moto's environment
"""

import os
import re
import sys

sys.path.insert(0, sys.argv[1])
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")

from moto import mock_aws

from account import Account, Refused, check_is_sandbox
from drill import fleet, step
from sandbox import DESCRIPTION, GROUND, STACK, TAG, Sandbox

BUCKET = """{"Description": "%s", "Resources": {"ReportBucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "%s"}}},
 "Outputs": {"Reports": {"Value": {"Fn::Sub": "s3://${ReportBucket}/reports/"}}}}"""


def check(what, is_so, found):
    print(f"{'ok' if is_so else 'not ok'} {what}{'' if is_so else f': {found}'}", flush=True)


def experiment_template(sandbox, tags):
    role = sandbox.ground["ServiceRole"]
    action = {"actionId": "aws:fis:wait", "parameters": {"duration": "PT1M"}}
    return sandbox.fis.create_experiment_template(
        clientToken=str(tags), description="d", roleArn=role, stopConditions=[{"source": "none"}], actions={"a": action},
        tags=tags)["experimentTemplate"]["id"]


def refused(what):
    try:
        what()
    except Refused as error:
        return str(error)
    return ""


def guards(account):
    def refusal():
        return refused(lambda: check_is_sandbox(account, True))

    check("an account without an alias is refused", "no alias" in refusal(), refusal())
    account.client("iam").create_account_alias(AccountAlias="production")
    check("an alias that is no sandbox's is refused", "production" in refusal(), refusal())
    account.client("iam").create_account_alias(AccountAlias="my-sandbox")
    check("a sandbox is taken", refusal() == "", refusal())


def main():
    account = Account("us-east-1")
    guards(account)
    sandbox = Sandbox(account, "run")
    check("nothing is there", sandbox.left() == [] and not refused(sandbox.check_is_alone), sandbox.left())
    sandbox.make_bucket()
    with open(f"{sys.argv[1]}/ground.yaml", encoding="utf-8") as file:
        unknown = "Alarm|Routes|Outwards|SubnetRoutes|OtherSubnetRoutes"
        body = re.sub(rf"\n  ({unknown}):\n    Type: .*?(?=\n\n)", "", file.read(), flags=re.DOTALL)
    body = re.sub(r"\n  Alarm(Arn)?:\n    Value: .*", "", body)
    sandbox.ground = sandbox._create(GROUND, {"TemplateBody": body}, {"Bucket": sandbox.bucket})
    check("the ground has outputs", len(sandbox.ground) == 6 and all(sandbox.ground.values()), sandbox.ground)
    outputs = sandbox._create(STACK, {"TemplateBody": BUCKET % ("", "ours")}, {})
    sandbox.s3.put_object(Bucket="ours", Key="reports/report.json", Body=b"{}")
    check("so has the stack", outputs == {"Reports": "s3://ours/reports/"}, outputs)
    cluster = sandbox.start_cluster(TAG, [fleet(role) for role in ("MASTER", "CORE", "TASK")], [step("one", "true")])
    template = experiment_template(sandbox, {TAG: "run"})

    sandbox.tags = [{"Key": "owner", "Value": "a stranger"}]
    sandbox._create("strangers", {"TemplateBody": BUCKET % (DESCRIPTION, "strangers")}, {})
    sandbox.s3.put_object(Bucket="strangers", Key="reports/report.json", Body=b"{}")
    strangers = experiment_template(sandbox, {"owner": "a stranger"})
    others = sandbox.emr.run_job_flow(Name="strangers", Instances={"KeepJobFlowAliveWhenNoSteps": True})["JobFlowId"]

    found = sandbox.left()
    check("all of it is found by its tag", set(found) == {cluster, template, STACK, GROUND, sandbox.bucket}, found)
    check("another run does not begin", "another run is there" in refused(sandbox.check_is_alone), "it would")
    # Another process, which knows nothing of this one.
    other = Sandbox(account, "another")
    left = other.remove()
    check("nothing of it is left", left == [], left)
    check("nor beside another deployment", "the stack strangers" in refused(other.check_is_alone), "it would")
    ended = other.emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["State"]
    check("the cluster has ended", ended == "TERMINATED", ended)
    stacks = [stack["StackName"] for stack in other._stacks()]
    check("the stranger's stack stays", stacks == ["strangers"], stacks)
    check("and its object", other.s3.list_objects_v2(Bucket="strangers")["KeyCount"] == 1, "it is gone")
    running = other.emr.describe_cluster(ClusterId=others)["Cluster"]["Status"]["State"]
    check("the stranger's cluster runs", running != "TERMINATED", running)
    check("the stranger's template stays", other.fis.get_experiment_template(id=strangers), "it is gone")
    roles = [role["RoleName"] for role in account.client("iam").list_roles()["Roles"]]
    check("no role is left", roles == [], roles)
    groups = account.client("logs").describe_log_groups()["logGroups"]
    check("no log group is left", groups == [], groups)


with mock_aws():
    main()
