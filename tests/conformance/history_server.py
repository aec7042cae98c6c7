#!/usr/bin/env python3
"""Holds simulated event logs against an independent judge: Spark's own History Server.

The simulation writes event logs, and, apart from them, the truth of what happened. This program lets a real History
Server replay the logs and compares what it answers over REST with that truth: executors with their times and reasons,
stage attempts with their status and tasks, the job's result, failed tasks by reason, and task time thrown away.

It needs Java 17 and Spark 3.5, both only here; nothing else of the project needs them:

    python3 -m venv spark && spark/bin/pip install 'pyspark==3.5.*'
    EVENT_LOGS=$PWD/logs cargo test --workspace --lib -- --ignored event_logs_for_the_history_server
    spark/bin/python tests/conformance/history_server.py logs logs/truth.json

Arguments: the folder with the logs, the truth (a JSON list of applications), and optionally `--port`. Each difference
is one line; the exit status is 1 if there is one.
"""

import argparse
import calendar
import collections
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

START_SECONDS_MAX = 90


def spark_home():
    """The Spark to run: SPARK_HOME, or the one inside the installed pyspark."""
    if os.environ.get("SPARK_HOME"):
        return os.environ["SPARK_HOME"]
    found = importlib.util.find_spec("pyspark")
    if not found:
        sys.exit("no Spark: set SPARK_HOME, or run this with a Python that has pyspark 3.5")
    return os.path.dirname(found.origin)


def rest_ms(text):
    """REST's `2026-01-31T12:34:56.789GMT` as epoch milliseconds."""
    if not text or text.startswith("1969"):
        return None
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) * 1000 + int(text[20:23])


def truth_ms(text):
    """The truth's RFC 3339 time (UTC) as epoch milliseconds."""
    if not text:
        return None
    fraction = text[19:].rstrip("Z").lstrip(".") or "0"
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) * 1000 + int(fraction.ljust(3, "0")[:3])


class HistoryServer:
    """A History Server on loopback over one folder."""

    def __init__(self, folder, port):
        self.base = f"http://127.0.0.1:{port}/api/v1"
        options = {
            "spark.history.fs.logDirectory": "file://" + os.path.abspath(folder),
            "spark.history.fs.update.interval": "2s",
            "spark.history.ui.port": port,
            "spark.ui.retainedTasks": 1_000_000,
            "spark.ui.retainedDeadExecutors": 100_000,
        }
        environment = dict(
            os.environ,
            SPARK_HOME=spark_home(),
            SPARK_LOCAL_IP="127.0.0.1",
            SPARK_HISTORY_OPTS=" ".join(f"-D{key}={value}" for key, value in options.items()),
        )
        command = [os.path.join(spark_home(), "bin", "spark-class"), "org.apache.spark.deploy.history.HistoryServer"]
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, env=environment, stdout=self.output, stderr=self.output)

    def get(self, path):
        with urllib.request.urlopen(self.base + path, timeout=120) as answer:
            return json.load(answer)

    def wait_for(self, attempts):
        """Waits until all these (id, attempt) pairs are listed."""
        listed = set()
        for _ in range(START_SECONDS_MAX):
            if self.process.poll() is not None:
                break
            try:
                applications = self.get("/applications")
                listed = {(app["id"], one.get("attemptId")) for app in applications for one in app["attempts"]}
                if set(attempts) <= listed:
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            time.sleep(1)
        self.output.seek(0)
        sys.stderr.write(self.output.read().decode(errors="replace")[-4000:])
        sys.exit(f"the History Server does not list {sorted(set(attempts) - listed)}")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def executors_of_server(server, base):
    return {
        int(one["id"]): {
            "host": one["hostPort"].split(":")[0],
            "added": rest_ms(one["addTime"]),
            "removed": rest_ms(one.get("removeTime")),
            "reason": one.get("removeReason"),
            "active": one["isActive"],
            # A resubmitted task was completed, and then counted as failed as well.
            "tasks": [one["completedTasks"], one["failedTasks"]],
        }
        for one in server.get(base + "/allexecutors")
        if one["id"] != "driver"
    }


def executors_of_truth(attempt):
    return {
        one["id"]: {
            "host": one["host"],
            "added": truth_ms(one["added_at"]),
            "removed": truth_ms(one["removed_at"]),
            "reason": one["reason"],
            "active": one["removed_at"] is None,
            "tasks": [one["tasks"]["successful"], one["tasks"]["failed"] + one["tasks"]["resubmitted"]],
        }
        for one in attempt["executors"]
    }


def stages_of_server(server, base):
    return {
        (one["stageId"], one["attemptId"]): {
            "status": one["status"],
            "partitions": one["numTasks"],
            "successful": one["numCompleteTasks"],
            "failed": one["numFailedTasks"],
            "killed": one["numKilledTasks"],
            "submitted": rest_ms(one.get("submissionTime")),
            "completed": rest_ms(one.get("completionTime")),
            "reason": (one.get("failureReason") or "").splitlines()[:1],
        }
        for one in server.get(base + "/stages")
        if one["status"] != "SKIPPED"
    }


def stages_of_truth(attempt):
    return {
        (one["stage"], one["attempt"]): {
            "status": one["status"],
            "partitions": one["partitions"],
            "successful": one["tasks"]["successful"],
            "failed": one["tasks"]["failed"] + one["tasks"]["resubmitted"],
            "killed": one["tasks"]["killed"],
            "submitted": truth_ms(one["submitted_at"]),
            "completed": truth_ms(one["completed_at"]),
            "reason": (one["failure_reason"] or "").splitlines()[:1],
        }
        for one in attempt["stage_attempts"]
    }


def tasks_of_server(server, base, stages):
    """Failures by reason, and the task time thrown away, from the lists of tasks."""
    reasons, failed_ms, successes = collections.Counter(), 0, collections.defaultdict(list)
    for stage, number in stages:
        for task in server.get(f"{base}/stages/{stage}/{number}/taskList?length=1000000"):
            if task["status"] == "SUCCESS" or task.get("errorMessage") == "Resubmitted (resubmitted due to lost executor)":
                successes[stage, task["partitionId"]].append((task["taskId"], task.get("duration", 0)))
                continue
            failed_ms += task.get("duration", 0)
            if task["status"] == "FAILED":
                message = task.get("errorMessage") or ""
                known = ("ExecutorLostFailure", "FetchFailed")
                reasons[next((name for name in known if message.startswith(name)), "ExceptionFailure")] += 1
    repeated_ms = sum(sum(ms for _, ms in sorted(runs)[:-1]) for runs in successes.values())
    return {"reasons": dict(reasons), "failed_ms": failed_ms, "repeated_ms": repeated_ms}


def tasks_of_truth(attempt):
    return {
        "reasons": attempt["failures_by_reason"],
        "failed_ms": attempt["failed_task_ms"],
        "repeated_ms": attempt["repeated_task_ms"],
    }


def differences(where, server, truth):
    """One line for each place where two trees differ."""
    if isinstance(server, dict) and isinstance(truth, dict):
        for key in sorted(set(server) | set(truth), key=str):
            yield from differences(f"{where} {key}", server.get(key), truth.get(key))
    elif server != truth:
        yield f"{where}: the History Server says {server!r}, the truth is {truth!r}"


def compare_attempt(server, application, attempt):
    """All differences of one attempt that has a log, and a line of what was compared."""
    base = f"/applications/{application['id']}"
    in_cluster = attempt["driver_instance"] is not None
    if in_cluster:
        base += f"/{attempt['attempt']}"
    stages = stages_of_server(server, base)
    executors = executors_of_server(server, base)
    jobs = server.get(base + "/jobs")
    expected = "SUCCEEDED" if attempt["job_succeeded"] else "FAILED"
    tasks = tasks_of_server(server, base, stages)
    lost = sum(1 for one in executors.values() if not one["active"])
    print(
        f"{base[14:]}: job {jobs[0]['status']}, {len(executors)} executors, {lost} removed, {len(stages)} stage attempts,"
        f" {sum(one['status'] == 'FAILED' for one in stages.values())} failed, failures {tasks['reasons']}"
    )
    name = base[14:]
    yield from differences(f"{name} jobs", [job["status"] for job in jobs], [expected])
    yield from differences(f"{name} executor", executors, executors_of_truth(attempt))
    yield from differences(f"{name} stage", stages, stages_of_truth(attempt))
    yield from differences(f"{name} tasks", tasks, tasks_of_truth(attempt))
    counts = attempt["tasks"]
    job = {key: jobs[0][key] for key in ("numCompletedTasks", "numFailedTasks")}
    wanted = {"numCompletedTasks": counts["successful"], "numFailedTasks": counts["failed"] + counts["resubmitted"]}
    yield from differences(f"{name} job 0", job, wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", help="folder with event logs")
    parser.add_argument("truth", help="JSON list of applications, as the simulation knows them")
    parser.add_argument("--port", type=int, default=18480)
    arguments = parser.parse_args()
    with open(arguments.truth, encoding="utf-8") as file:
        truth = json.load(file)
    logged = [(app, one) for app in truth for one in app["attempts"] if one["event_log"]]
    wanted = [(app["id"], str(one["attempt"]) if one["driver_instance"] else None) for app, one in logged]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        # Only the logs: the server would try to read anything else in its folder as one.
        shutil.copytree(arguments.logs, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.json"))
        server = HistoryServer(folder, arguments.port)
        try:
            server.wait_for(wanted)
            listed = {(app["id"], one.get("attemptId")) for app in server.get("/applications") for one in app["attempts"]}
            found += [f"{extra}: the truth knows no such log" for extra in sorted(listed - set(wanted), key=str)]
            for application, attempt in logged:
                found += compare_attempt(server, application, attempt)
        finally:
            server.stop()
    for line in found:
        print("DIFFERS", line)
    print(f"{len(logged)} logs compared, {len(found)} differences")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
