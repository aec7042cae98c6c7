"""Judges the IAM policies of an expanded template, without an account: against the Service Authorization Reference
(as the package policy_sentry carries it), and against this project's own rules.

Apart from the linters, because those accept an action that does not exist, a condition key that no service has, or a
statement that names one of two resources that an action needs."""

import functools
import json
import re

from policy_sentry.querying.actions import get_service_prefix_data

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
GLOBAL_KEYS = {
    "aws:PrincipalAccount",
    "aws:PrincipalOrgID",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:TagKeys",
}
FIS = "fis.amazonaws.com"
ROLE_TAG = "aws:ResourceTag/aws:elasticmapreduce:instance-group-role"
OPT_IN_TAG = "aws:ResourceTag/spot-drill"
MARKET = "ec2:InstanceMarketType"
EVENTS = "events.amazonaws.com"


@functools.cache
def reference(action):
    """What the reference knows of an action; None where there is no such action."""
    prefix, _, name = action.partition(":")
    service = get_service_prefix_data(prefix) or {}
    privilege = service.get("privileges", {}).get(name)
    if privilege is None:
        return None
    kinds = privilege["resource_types"]
    arns = {kind: service["resources"][kind] for kind in kinds if kind}
    keys = {key for kind in kinds.values() for key in kind["condition_keys"]}
    return {
        "keys": keys | {key for kind in arns.values() for key in kind["condition_keys"]},
        "arns": [kind["arn"] for kind in arns.values()],
        "required": [arns[kind]["arn"] for kind in arns if kinds[kind]["required"]],
        "dependent": {one for kind in kinds.values() for one in kind["dependent_actions"]},
    }


def variants(value):
    """Each value that an expression can have, as far as Fn::If goes."""
    if isinstance(value, dict) and set(value) == {"Fn::If"}:
        return variants(value["Fn::If"][1]) + variants(value["Fn::If"][2])
    if value == {"Ref": "AWS::NoValue"}:
        return []
    if isinstance(value, list):
        return [one for item in value for one in variants(item)]
    return [value]


def text(value):
    """An expression as text, with a star for what only the deployment knows."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and "Fn::Sub" in value:
        template = value["Fn::Sub"]
        return re.sub(r"\$\{[^}]*\}", "*", template if isinstance(template, str) else template[0])
    if isinstance(value, dict) and "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return separator.join(text(part) for part in parts)
    return "?"


def statements(document):
    return [one for one in variants(document.get("Statement", []))]


def condition_keys(statement):
    for condition in variants(statement.get("Condition", {})):
        for operator, keys in condition.items():
            for keys in variants(keys):
                for key, value in keys.items():
                    yield operator, key, variants(value)


def covers(resource, needed):
    """Whether a resource of a statement can be of the type whose ARN the reference gives."""
    resource = text(resource)
    if resource.startswith(("*", "?")):
        return True
    have, want = resource.split(":", 5), needed.split(":", 5)
    if len(have) < 6 or have[2] != want[2]:
        return False
    return have[5].startswith((want[5].partition("${")[0], "*"))


def known_key(key, known):
    patterns = (re.escape(one).replace(re.escape("${TagKey}"), ".+") for one in known)
    return key in GLOBAL_KEYS or any(re.fullmatch(pattern, key) for pattern in patterns)


def judge_role(name, properties):
    trust = statements(properties["AssumeRolePolicyDocument"])
    for statement in trust:
        if not any(key == "aws:SourceAccount" for _, key, _ in condition_keys(statement)):
            yield f"{name}: the trust names no aws:SourceAccount"
    if properties.get("ManagedPolicyArns"):
        yield f"{name}: managed policies allow more than the calls that are made"
    allowed, denied = {}, []
    for policy in variants(properties.get("Policies", [])):
        for statement in statements(policy["PolicyDocument"]):
            if statement["Effect"] == "Deny":
                denied.append(statement)
                continue
            for action in variants(statement["Action"]):
                allowed.setdefault(action, []).append(statement)
                yield from judge_allow(name, action, statement)
    for action, given in allowed.items():
        if reference(action):
            yield from judge_resources(name, action, given)
            for dependent in reference(action)["dependent"] - set(allowed):
                yield f"{name}: {action} needs {dependent} too"
    if "ec2:SendSpotInstanceInterruptions" in allowed:
        yield from judge_interruptions(name, allowed["ec2:SendSpotInstanceInterruptions"], denied)


def judge_allow(name, action, statement):
    if "*" in action or "NotAction" in statement:
        yield f"{name}: allows {action}, a wildcard"
    elif not reference(action):
        yield f"{name}: there is no action {action}"
    if action == "fis:UpdateExperimentTemplate":
        # With StartExperiment it borrows the template's role, whatever PassRole says.
        yield f"{name}: {action} is never granted"
    keys = list(condition_keys(statement))
    for _, key, _ in keys:
        if reference(action) and not known_key(key, reference(action)["keys"]):
            yield f"{name}: {action} has no condition key {key}"
    if action == "iam:PassRole" and not any(key == "iam:PassedToService" and value == [FIS] for _, key, value in keys):
        yield f"{name}: iam:PassRole not only to {FIS}"


def judge_resources(name, action, given):
    resources = [one for statement in given for one in variants(statement["Resource"])]
    for needed in reference(action)["required"]:
        if not any(covers(resource, needed) for resource in resources):
            yield f"{name}: {action} must be allowed on {needed} too"
    on_all = [statement for statement in given if "*" in variants(statement["Resource"])]
    if reference(action)["arns"] and on_all:
        yield f"{name}: {action} is on *, and there is a narrower resource"


def judge_interruptions(name, given, denied):
    for statement in given:
        keys = {key: value for operator, key, value in condition_keys(statement) if operator == "StringEquals"}
        if keys.get(ROLE_TAG) != ["TASK"]:
            yield f"{name}: interruptions are not confined to {ROLE_TAG} TASK"
        if keys.get(OPT_IN_TAG) != ["on"]:
            yield f"{name}: interruptions are not confined to {OPT_IN_TAG} on"
    spared = {
        role
        for statement in denied
        if "ec2:SendSpotInstanceInterruptions" in variants(statement["Action"])
        for _, key, value in condition_keys(statement)
        if key == ROLE_TAG
        for role in value
    }
    if spared != {"MASTER", "CORE"}:
        yield f"{name}: no Deny for MASTER and CORE"
    if not any(key == MARKET and "on-demand" in value for one in denied for _, key, value in condition_keys(one)):
        yield f"{name}: no Deny for On-Demand instances"


def judge_lambda_permission(name, properties):
    """What lets a rule invoke a function: by the rule's ARN, which names the account."""
    if properties["Principal"] != EVENTS:
        return
    if "SourceArn" not in properties:
        yield f"{name}: any rule of any account may invoke the function"
    if "SourceAccount" in properties:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html#eb-lam-function-not-invoked
        yield f"{name}: with a SourceAccount EventBridge cannot invoke the function"


def judge_log_policy(name, properties):
    """What lets a rule write to a log group."""
    given = {}
    for statement in json.loads(text(properties["PolicyDocument"]))["Statement"]:
        for action in variants(statement["Action"]):
            given.setdefault(action, []).append(statement)
    # https://github.com/aws-samples/serverless-patterns/pull/618
    if all("Condition" in statement for statement in given.get("logs:CreateLogStream", [])):
        yield f"{name}: EventBridge creates log streams in no rule's name, so a condition is never met"
    for statement in given.get("logs:PutLogEvents", []):
        if not any(key == "aws:SourceArn" for _, key, _ in condition_keys(statement)):
            yield f"{name}: any rule may write"


def judge(template):
    """Everything that is wrong with the policies of an expanded template."""
    for name, resource in sorted(template["Resources"].items()):
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Role":
            yield from judge_role(name, properties)
        if resource["Type"] in ("AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"):
            for statement in statements(properties["PolicyDocument"]):
                keys = {key for _, key, _ in condition_keys(statement)}
                for key in ("aws:SourceAccount", "aws:SourceArn"):
                    if statement["Effect"] == "Allow" and key not in keys:
                        yield f"{name}: allows without {key}"
        if resource["Type"] == "AWS::Lambda::Permission":
            yield from judge_lambda_permission(name, properties)
        if resource["Type"] == "AWS::Logs::ResourcePolicy":
            yield from judge_log_policy(name, properties)
