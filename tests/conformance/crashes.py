#!/usr/bin/env python3
"""A function's process is killed in the middle of its work: one experiment, and a report all the same.

usage: crashes.py; in the environment of `serve --pace leap --functions DIR`, whose process id is in SERVED.
"""

import json
import os
import pathlib
import re
import signal
import time
import urllib.request

import boto3

from judge import CONFIG, ENDPOINT, check

CLUSTER = os.environ["EMRClusterID"]
BUCKET = os.environ["S3_BUCKET"]
SECONDS_MAX = 180

emr = boto3.client("emr", config=CONFIG)
fis = boto3.client("fis", config=CONFIG)


def running(name):
    """The process of this name that serve started and that is not frozen."""
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        comm, _, rest = text.partition("(")[2].rpartition(") ")
        state, parent = rest.split()[:2]
        # The kernel keeps fifteen characters of a name.
        if parent == os.environ["SERVED"] and name.startswith(comm) and comm != "" and state in "RS":
            return int(status.parent.name)
    return None


def wait(what, condition):
    """Waits in real time, which passes while a process runs, and answers what the condition came to."""
    begun = time.monotonic()
    while time.monotonic() - begun < SECONDS_MAX:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    check(what, False, f"not in {SECONDS_MAX} s")
    raise SystemExit(0)


def kill(name, process):
    os.kill(process, signal.SIGKILL)
    gone = wait(f"{name}'s process is gone", lambda: running(name) != process)
    check(f"{name} is killed while it works", gone)


arguments = ["spark-submit", "--deploy-mode", "cluster", "--executor-memory", "18G", "--executor-cores", "4",
             f"s3://{BUCKET}/script.py", f"s3://{BUCKET}/resultsspot/"]
jar = {"Jar": "command-runner.jar", "Args": arguments}
step = emr.add_job_flow_steps(
    JobFlowId=CLUSTER, Steps=[{"Name": "Crashing", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}]
)["StepIds"][0]


def over():
    # EMR would have us ask every other second at most; the page of the account has no quota.
    with urllib.request.urlopen(ENDPOINT, timeout=30) as page:
        return re.search(rf"{step}</td>(<td>[^<]*</td>)?<td>COMPLETED<", page.read().decode())


process = wait("start-experiment runs", lambda: running("start-experiment"))
time.sleep(3)
check("start-experiment works for a while", running("start-experiment") == process)
kill("start-experiment", process)
wait("start-experiment is tried again", lambda: running("start-experiment"))
wait("the step ends", over)
kill("write-report", wait("write-report runs", lambda: running("write-report")))

report = pathlib.Path(os.environ["OUT"], "reports", CLUSTER, step, "report.json")
check("no report is written before it is killed", not report.exists())
wait("the report is there", report.exists)
time.sleep(0.5)
report = json.loads(report.read_text(encoding="utf-8"))
check("the report has a verdict", report["verdict"] in ("survived", "degraded"), report["verdict"])
experiments = fis.list_experiments()["experiments"]
check("there is one experiment", len(experiments) == 1, str(len(experiments)))
check("the report knows it", [one["experiment_id"] for one in report["drill"]["experiments"]] == [experiments[0]["id"]])
check("and whom it interrupted", len(report["interruptions"]) == 3, str(report["interruptions"]))
