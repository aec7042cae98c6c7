"""infra/template.yaml as ministack can deploy it: a parsed copy with a few changes, each of which is printed.

Apart from the judge, so that what is judged and what had to be changed for it can be told apart. There is no second
template: the changes are made anew from whatever the template says.
"""

import copy

from samtranslator.yaml_helper import yaml_parse

# Instead of what ministack has no idea of.
NO_TEMPLATE = "EXTnone"
TEST_SOURCES = {"aws.emr": "test.emr", "aws.ec2": "test.ec2"}
EVENT = ["version", "id", "detail-type", "account", "time", "region", "resources", "detail"]


def changed(path, code_bucket):
    """The template, what was changed, and the logical ids that were taken out."""
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    changes, removed = [], []
    for logical, resource in list(template["Resources"].items()):
        kind, properties = resource["Type"], resource["Properties"]
        if kind == "AWS::FIS::ExperimentTemplate":
            changes.append(f"without {logical}: ministack has no FIS; who refers to it gets {NO_TEMPLATE}")
            removed.append(logical)
        elif kind == "AWS::CloudWatch::Alarm" and "Metrics" in properties:
            changes.append(f"without {logical}: ministack's alarms have no metric math")
            removed.append(logical)
        elif kind == "AWS::Events::Rule":
            changes.append(f"{logical}: {test_source(properties)}")
        elif kind == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            properties["CodeUri"] = f"s3://{code_bucket}/{binary}.zip"
            changes.append(f"{logical}: its code is {binary}.zip, this machine's build")
    shared = template["Globals"]["Function"]
    changes.append(f"all functions: {shared['Architectures'][0]} is x86_64 here")
    shared.pop("CodeUri")
    shared["Architectures"] = ["x86_64"]
    for logical in removed:
        del template["Resources"][logical]
        template = without(template, logical)
    return template, changes, removed


def without(value, logical):
    """A part of the template in which nobody refers to this resource."""
    if value == {"Ref": logical}:
        return NO_TEMPLATE
    if isinstance(value, dict):
        return {name: without(one, logical) for name, one in value.items()}
    if isinstance(value, list):
        return [without(one, logical) for one in value]
    if isinstance(value, str):
        return value.replace(f"${{{logical}}}", NO_TEMPLATE)
    return copy.copy(value)


def test_source(rule):
    """Lets a rule take events of a source that everybody may send, and hand them on as if AWS had sent them."""
    source, = rule["EventPattern"]["source"]
    rule["EventPattern"]["source"] = [TEST_SOURCES[source]]
    paths = {name.replace("-", ""): f"$.{name}" for name in EVENT}
    members = [f'"{name}": <{name.replace("-", "")}>' for name in EVENT] + [f'"source": "{source}"']
    for target in rule["Targets"]:
        if "Id" in target and "logs" not in str(target["Arn"]):
            target["InputTransformer"] = {"InputPathsMap": paths, "InputTemplate": "{" + ", ".join(members) + "}"}
    return f"source {source} is {TEST_SOURCES[source]}, since PutEvents refuses aws.*; its targets get {source} again"
