"""Lints templates that were packaged for a deployment, and what SAM makes of them. Runs in the environment of lint.txt."""

import json
import logging
import os
import pathlib
import sys

from judge import REGION, cfn_lint, expand


def main():
    logging.disable(logging.WARNING)
    os.environ["AWS_DEFAULT_REGION"] = REGION
    failed = 0
    for path in map(pathlib.Path, sys.argv[1:]):
        text = path.read_text()
        for what, one in [("", text), (" expanded", json.dumps(expand(text)))]:
            findings = cfn_lint(one)
            print(f"{'not ok' if findings else 'ok'} cfn-lint, {path.name}{what}")
            for finding in findings:
                failed += 1
                print(f"    {finding}")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
