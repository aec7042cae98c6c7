"""Judges the template, and copies of it with one planted fault each: what finds which, as a table.

One process for all copies, since the linters take seconds to start and a moment for a template. Runs in the
environment of lint.txt; checkov has its own, and the Rust tests come as programs that are built already."""

import argparse
import concurrent.futures
import json
import logging
import os
import pathlib
import subprocess
import sys

from cfnlint.api import ManualArgs, lint
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

import faults
import iam

REGION = "eu-west-1"
COLUMNS = ["source", "expansion", "iam", "checkov", "tests"]


class NoManagedPolicies(ManagedPolicyLoader):
    """The template names none, and looking them up would need an account."""

    def __init__(self):
        pass

    def load(self):
        return {}


def expand(text):
    """The CloudFormation that SAM makes of a template, without its code."""
    template = yaml_parse(text)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
            resource.pop("Metadata", None)
    template.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    return transform(template, {}, NoManagedPolicies())


def cfn_lint(text):
    return [f"{match.rule.id} {match.message}" for match in lint(text, regions=[REGION], config=ManualArgs())]


def judge(work, number, text):
    """What the linters and the IAM check find; writes copy and expansion for the checks that read files."""
    (work / f"{number}.yaml").write_text(text)
    found = {"source": cfn_lint(text)}
    try:
        expansion = expand(text)
    except Exception as error:  # SAM refuses the template, in one of many ways.
        return found | {"expansion": [f"SAM: {error}"], "iam": []}
    (work / "expanded" / f"{number}.json").write_text(json.dumps(expansion, indent=1))
    return found | {"expansion": cfn_lint(json.dumps(expansion)), "iam": list(iam.judge(expansion))}


def checkov(program, settings, work):
    """What checkov finds in each expansion, by its number."""
    command = [program, "--config-file", settings, "--output", "json", "--directory", str(work / "expanded")]
    answer = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"LOG_LEVEL": "ERROR"})
    try:
        report = json.loads(answer.stdout)
    except json.JSONDecodeError:
        raise SystemExit(f"checkov failed: {answer.stderr[-2000:]}")
    reports = report if isinstance(report, list) else [report]
    if any(one["summary"]["parsing_errors"] for one in reports):
        raise SystemExit("checkov could not read an expansion")
    if not any(one["summary"]["passed"] for one in reports):
        raise SystemExit("checkov checked nothing")
    found = {}
    for check in (check for one in reports for check in one["results"]["failed_checks"]):
        number = int(pathlib.Path(check["file_path"]).stem)
        found.setdefault(number, []).append(f"{check['check_id']} {check['resource']}")
    return found


def run_test(program, path):
    """The names of a test program's tests that fail on a template."""
    answer = subprocess.run([program], capture_output=True, text=True, env=os.environ | {"TEMPLATE": str(path)})
    failed = [line.split()[1] for line in answer.stdout.splitlines() if line.endswith("... FAILED")]
    return failed or ([] if answer.returncode == 0 else [answer.stderr[-300:]])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("template", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="an empty folder")
    parser.add_argument("--checkov", required=True, help="checkov's program")
    parser.add_argument("--test", action="append", default=[], help="a test program, the quickest first")
    arguments = parser.parse_args()
    # SAM counts what it does, and warns that nobody collects it.
    logging.disable(logging.WARNING)
    # SAM asks boto3 for a region, and for nothing else.
    os.environ["AWS_DEFAULT_REGION"] = REGION
    text = arguments.template.read_text()
    cases = [("the template itself", text), *faults.plant(text)]
    (arguments.work / "expanded").mkdir()
    with concurrent.futures.ProcessPoolExecutor() as pool:
        numbers = range(len(cases))
        found = list(pool.map(judge, [arguments.work] * len(cases), numbers, [text for _, text in cases]))
    settings = pathlib.Path(__file__).with_name("checkov.yaml")
    by_checkov = checkov(arguments.checkov, settings, arguments.work)
    for number, one in enumerate(found):
        one["checkov"] = by_checkov.get(number, [])
        one["tests"] = []
        for test in arguments.test:
            # A test that tells every story takes seconds: only for the template itself, or where nothing else finds it.
            if number == 0 or test == arguments.test[0] or not any(one.values()):
                one["tests"] += run_test(test, arguments.work / f"{number}.yaml")
    return table(cases, found)


def table(cases, found):
    print(f"{'planted fault':<50}" + "".join(f"{name:>11}" for name in COLUMNS))
    failed = 0
    for number, ((name, _), one) in enumerate(zip(cases, found)):
        if number == 0:
            continue
        failed += not any(one.values())
        marks = "".join(f"{'x' if one[column] else '.':>11}" for column in COLUMNS)
        print(f"{name:<50}{marks}{'' if any(one.values()) else '   NOT FOUND'}")
    for column in COLUMNS:
        failed += bool(found[0][column])
        print(f"{'the template itself, by ' + column:<50}{'FAILED' if found[0][column] else 'ok':>11}")
        for finding in found[0][column]:
            print(f"    {finding}")
    passed = len(found) - 1 + len(COLUMNS) - failed
    print(f"{passed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
