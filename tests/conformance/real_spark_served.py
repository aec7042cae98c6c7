"""Submits Spark steps to a served account with boto3, as strangers do, and holds what becomes of them against what lies in the
account's S3 afterwards.

usage: real_spark_served.py PROGRAM WORK

Prints a line "ok …" or "not ok …" for each thing that is held against another.
"""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3
from botocore.config import Config
from marked import marked

JOBS = Path(__file__).resolve().parent / "strangers"
LIMIT_SECONDS = 900
CONFIG = Config(retries={"max_attempts": 2}, read_timeout=120, s3={"addressing_style": "path"})
LOOK_SECONDS = 3
ORDERS = 240

failed = 0


def check(name, is_so, told=""):
    """Prints whether it is so, or else what is told, which may be a function that finds that out."""
    global failed
    failed += not is_so
    told = "" if is_so else f": {told() if callable(told) else told}"
    print(f"{'ok' if is_so else 'not ok'} served spark: {name}{told}", flush=True)


class Served:
    """A served account, and clients for it."""

    def __init__(self, program, work, *options):
        self.folder = work / "spark"
        command = [program, "serve", "--port", "0", "--spark", self.folder, "--out", work / "reports", "--pace", "10"]
        self.log = open(work / "serve.log", "w")
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=work)
        exports = []
        while not exports or not exports[-1].startswith("export LOG_GROUP"):
            exports.append(self.process.stdout.readline())
            if not exports[-1]:
                sys.exit("serve did not begin: " + (work / "serve.log").read_text())
        self.exports = dict(line.removeprefix("export ").strip().split("=", 1) for line in exports)
        os.environ.update({name: value for name, value in self.exports.items() if name.startswith("AWS_")})
        self.emr, self.s3, self.ec2 = (boto3.client(name, config=CONFIG) for name in ["emr", "s3", "ec2"])
        self.cluster = self.exports["EMRClusterID"]

    def submit(self, name, *words, cluster=None):
        step = {
            "Name": name,
            "ActionOnFailure": "CONTINUE",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["spark-submit", *words]},
        }
        return self.emr.add_job_flow_steps(JobFlowId=cluster or self.cluster, Steps=[step])["StepIds"][0]

    def state(self, step, cluster=None):
        return self.emr.describe_step(ClusterId=cluster or self.cluster, StepId=step)["Step"]["Status"]["State"]

    def until(self, states, step, cluster=None):
        """Waits until the step is in one of the states; answers which."""
        begun = time.monotonic()
        while (state := self.state(step, cluster)) not in states and time.monotonic() - begun < LIMIT_SECONDS:
            time.sleep(LOOK_SECONDS)
        return state

    def ended(self, step, cluster=None):
        return self.until(("COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED"), step, cluster)

    def outputs(self):
        """What drivers have printed, a file each."""
        return set(self.folder.glob("work/*/application_*/stdout"))

    def until_said(self, words, known):
        """Waits until a driver that is not among these has said this."""
        for _ in range(LIMIT_SECONDS):
            if any(words in output.read_text(errors="replace") for output in self.outputs() - known):
                return True
            time.sleep(1)
        return False

    def keys(self, bucket, prefix):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def text(self, bucket, key):
        bytes_ = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return (gzip.decompress(bytes_) if key.endswith(".gz") else bytes_).decode()

    def step_log(self, step, name, words="", bucket="emr-spot-workshop-data"):
        """A step's log, once it has these words: EMR puts it into S3 every few minutes, and once more after the step's end."""
        text = ""
        for _ in range(60):
            found = [key for key in self.keys(bucket, "") if key.endswith(f"/steps/{step}/{name}.gz")]
            text = self.text(bucket, found[0]) if found else ""
            if text and words in text:
                break
            time.sleep(1)
        return text


def upload(served):
    """Scripts and input, put as anybody puts them."""
    served.s3.create_bucket(Bucket="orders", CreateBucketConfiguration={"LocationConstraint": "us-sim-1"})
    for script in JOBS.glob("*.py"):
        served.s3.upload_file(str(script), "orders", f"jobs/{script.name}")
    days = ["2026-11-25", "2026-11-26", "2026-11-27"]
    lines = "".join(f"{i},{i * 3}.5,{days[i % 3]}\n" for i in range(ORDERS))
    served.s3.put_object(Bucket="orders", Key="in/Aufträge der Woche.csv", Body=("id,price,day\n" + lines).encode())


def drilled(served):
    """A step that is drilled: two of its nodes go while its tasks run, and what it wrote is in S3."""
    step = served.submit(
        "Orders of the week", "--deploy-mode", "client", "--py-files", "s3://orders/jobs/discounts.py",
        "--conf", "spark.spotDrill.output=s3://orders/out/", "--driver-memory", "64g", "--queue", "night",
        "s3://orders/jobs/orders.py", "--in", "s3a://orders/in/", "--out", "s3a://orders/out/", "--seconds-a-row", "0.7",
    )
    check("the step completes", served.ended(step) == "COMPLETED", lambda: served.step_log(step, "stderr", "ERROR")[-3000:])
    keys = served.keys("orders", "out/")
    parts = [key for key in keys if key.endswith(".parquet")]
    is_partitioned = {key.split("/")[1] for key in parts} == {f"day=2026-11-{day}" for day in (25, 26, 27)}
    check("what it wrote is in S3, and nothing else", "out/_SUCCESS" in keys and is_partitioned and len(keys) == len(parts) + 1, keys)
    words = f"{ORDERS} orders in s3a://orders/out/"
    # Spark sends what a Python driver writes to either stream to its own standard output.
    check("its words are where EMR puts them", words in served.step_log(step, "stdout", words))
    key = f"reports/{served.cluster}/{step}/report.json"
    path = served.process.args[served.process.args.index("--out") + 1] / key
    for _ in range(120):
        if path.exists() and json.loads(path.read_text())["drill"]["experiments"]:
            break
        time.sleep(1)
    report = json.loads(path.read_text()) if path.exists() else {}
    check("it was drilled, and survived", report.get("verdict") == "survived", report.get("sentence", "no report"))
    check("two executors went with their nodes", report["spark"]["executors_removed"] == 2, report["spark"]["executors_removed"])
    check("the report says that Spark was real", report["spark"]["settings"].get("spark.spotDrill.capacity") == "simulated")
    return step


def on_the_same_cluster(served):
    """One step after the other: each sees what was written until then, by Spark and by clients."""
    totals = ["s3://orders/jobs/totals.py", "s3://orders/out/", "s3://orders/totals/"]
    step = served.submit("Totals", *totals)
    check("a second step runs on the same cluster", served.ended(step) == "COMPLETED", lambda: served.step_log(step, "stderr", "ERROR")[-3000:])
    (part,) = [key for key in served.keys("orders", "totals/") if key.endswith(".csv")]
    expected = "".join(f"2026-11-{day},{ORDERS // 3}\n" for day in (25, 26, 27))
    check("it reads what the first one wrote", served.text("orders", part) == expected, served.text("orders", part))
    # A day goes, by a client; and what was written before goes with the step that overwrites it.
    for key in served.keys("orders", "out/day=2026-11-26/"):
        served.s3.delete_object(Bucket="orders", Key=key)
    steps = [served.submit("Totals again", *totals), served.submit("No module", "s3://orders/jobs/no_module.py")]
    steps.append(served.submit("Own status", "--deploy-mode", "cluster", "--conf", "spark.yarn.maxAppAttempts=1", "s3://orders/jobs/exits.py", "3"))
    ended = [served.ended(step) for step in steps]
    check("three more end as they must", ended == ["COMPLETED", "FAILED", "FAILED"], ended)
    (again,) = [key for key in served.keys("orders", "totals/") if key.endswith(".csv")]
    without = "".join(f"2026-11-{day},{ORDERS // 3}\n" for day in (25, 27))
    check("a client's delete is seen by Spark, and Spark's by clients", again != part and served.text("orders", again) == without)
    check("why one failed is in its log", "ModuleNotFoundError" in served.step_log(steps[1], "stdout", "ModuleNotFoundError"))


def cancelled(served):
    known = served.outputs()
    step = served.submit("For ever", "s3://orders/jobs/for_ever.py")
    said = served.until_said("round 0", known)
    drivers = [pid for pid in marked(served.process.pid) if b"for_ever.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    served.emr.cancel_steps(ClusterId=served.cluster, StepIds=[step], StepCancellationOption="SEND_INTERRUPT")
    check("a step that does not end is cancelled", served.ended(step) == "CANCELLED")
    time.sleep(1)
    left = [pid for pid in drivers if Path(f"/proc/{pid}").exists()]
    check("its driver is gone", said and drivers and not left, (said, drivers, left))
    check("and what it had said until then is in its log", "round 0" in served.step_log(step, "stdout", "round 0"))


def another_cluster(served):
    """A cluster of a client's own, which ends with its step."""
    groups = [
        {"InstanceRole": role, "InstanceType": "m5.xlarge", "InstanceCount": 1, "Market": "ON_DEMAND"} for role in ["MASTER", "CORE"]
    ]
    words = ["spark-submit", "s3://orders/jobs/totals.py", "s3://orders/out/", "s3://orders/transient/"]
    cluster = served.emr.run_job_flow(
        Name="transient", ReleaseLabel="emr-7.10.0", Applications=[{"Name": "Spark"}], LogUri="s3://orders/logs/",
        JobFlowRole="EMR_EC2_DefaultRole", ServiceRole="EMR_DefaultRole",
        Instances={"InstanceGroups": groups, "KeepJobFlowAliveWhenNoSteps": False},
        Steps=[{"Name": "one", "ActionOnFailure": "TERMINATE_CLUSTER", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": words}}],
    )["JobFlowId"]
    step = served.emr.list_steps(ClusterId=cluster)["Steps"][0]["Id"]
    check("a cluster of one's own runs its step", served.ended(step, cluster) == "COMPLETED", lambda: served.step_log(step, "stderr", "ERROR", "orders")[-2000:])
    check("and what it wrote is in S3", "transient/_SUCCESS" in served.keys("orders", "transient/"))


def ends(served):
    """What a cluster runs ends with it, and all there is with the server, however that ends."""
    served.emr.set_termination_protection(JobFlowIds=[served.cluster], TerminationProtected=False)
    known = served.outputs()
    served.submit("For ever", "s3://orders/jobs/for_ever.py")
    served.until_said("round 0", known)
    there = len(marked(served.process.pid))
    served.emr.terminate_job_flows(JobFlowIds=[served.cluster])
    for _ in range(60):
        if not marked(served.process.pid):
            break
        time.sleep(1)
    check(f"of {there} processes none is left when its cluster ends", there > 5 and not marked(served.process.pid))
    served.process.send_signal(signal.SIGINT)
    served.process.wait(30)
    log = Path(served.log.name).read_text()
    check("nothing went wrong on the way", "error" not in log and "panicked" not in log, log)


def crash(program, work):
    """Nobody is left when the server is killed."""
    work.mkdir()
    served = Served(program, work)
    served.s3.create_bucket(Bucket="orders", CreateBucketConfiguration={"LocationConstraint": "us-sim-1"})
    served.s3.upload_file(str(JOBS / "for_ever.py"), "orders", "for_ever.py")
    served.submit("For ever", "s3://orders/for_ever.py")
    for _ in range(600):
        if len(marked(served.process.pid)) >= 7:
            break
        time.sleep(0.1)
    there = len(marked(served.process.pid))
    served.process.send_signal(signal.SIGKILL)
    served.process.wait()
    for _ in range(100):
        if not marked(served.process.pid):
            break
        time.sleep(0.1)
    check(f"of {there} processes none outlives a server that is killed", there >= 7 and not marked(served.process.pid))


def main():
    program, work = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve() / "served"
    work.mkdir(parents=True, exist_ok=True)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    options = ["--parameter", "OutputBucketArns=arn:aws:s3:::orders", "--parameter", "EventLogBucketArns=arn:aws:s3:::emr-spot-workshop-data"]
    for setting in ["units=16", "units-min=20", "units-max=24", "victims=2", "delay=120", "twice=0"]:
        options += ["--set", setting]
    served = Served(program, work, *options)
    try:
        upload(served)
        drilled(served)
        on_the_same_cluster(served)
        cancelled(served)
        another_cluster(served)
        ends(served)
    finally:
        served.process.kill()
    crash(program, work / "crash")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
