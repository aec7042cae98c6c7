#!/usr/bin/env python3
"""Holds the reports of simulated drills against Spark's own History Server, which reads the same event logs.

usage: history_server_drills.py <folder> [--port N]; the folder has reports/<story>-<step>.json, and logs/ with event logs

Separate from history_server.py, which compares the server with what the simulation knows to be true: this is about what
people read in the end. The report and the server do not know of one another, and count some things differently:

* the server counts a task as failed, too, that had succeeded and whose output was lost with its executor; for the report it
  is `resubmitted`, and not `failed`;
* the server lists a stage that never ran, because an earlier job had computed it, as SKIPPED; the report has only attempts;
* the server lists each attempt of an application that left a log; the report is about the last, and counts the others;
* lost work: the report adds up the task time of attempts that an executor's loss made fail, not of those that the user's own
  code made fail, which the server cannot tell apart but by the words of the error; compared is what has those words.

Of the report's Spark section, `executors_over_time`, `settings`, `reading` and the work that was computed again are not
compared: the server has no such figures. An instance's id and whether it was interrupted are EC2's, not Spark's.
"""

import argparse
import collections
import json
import os
import pathlib
import shutil
import sys
import tempfile

from history_server import HistoryServer, differences, executors_of_server, rest_ms, truth_ms

# What the four stories must have had, or nothing was shown by them.
STORIES_OF_LOSS = ["many-tasks", "scheduled-check", "instance-groups", "waves"]
RESUBMITTED = "Resubmitted (resubmitted due to lost executor)"
OF_LOST_EXECUTORS = ("ExecutorLostFailure", "FetchFailed", "TaskResultLost")


def of_report(spark):
    """The report's figures by the names that the server's are given below."""
    tasks = spark["tasks"]
    return {
        "application": {
            "attempt": spark["attempts"], "version": spark["version"], "started": truth_ms(spark["started_at"]),
            "ended": truth_ms(spark["ended_at"]), "driver": spark["driver_host"],
            "attempts with a log": spark["attempts"] - spark["attempts_without_log"],
        },
        "executor": {
            int(one["id"]): {"host": one["host"], "added": truth_ms(one["added_at"]), "removed": truth_ms(one["removed_at"]),
                             "reason": one["removed_reason"]}
            for one in spark["executors"]
        },
        "rows": [len(spark["executors"]), len(spark["stages"])],
        "executors removed": spark["executors_removed"],
        "stage": {
            (one["stage_id"], one["attempt"]): {
                "name": one["name"], "tasks": one["tasks"], "status": one["status"], "submitted": truth_ms(one["submitted_at"]),
                "completed": truth_ms(one["completed_at"]), "reason": (one["failure_reason"] or "").splitlines()[:1],
            }
            for one in spark["stages"]
        },
        "stage attempts failed": spark["stage_attempts_failed"],
        "stage attempts again": spark["stage_attempts_again"],
        "jobs": {"succeeded": spark["jobs_succeeded"], "failed": len(spark["jobs_failed"])},
        "tasks": {
            "successful": tasks["successful"], "failed or resubmitted": tasks["failed"] + tasks["resubmitted"],
            "killed": tasks["killed"], "running": tasks["running"], "speculative": tasks["speculative"],
            "resubmitted": tasks["resubmitted"], "failed by reason": tasks["failed_by_reason"],
            "failed with executors": spark["lost_work"]["failed_attempts"],
            "ms failed with executors": spark["lost_work"]["failed_attempts_ms"],
            "ms of all": spark["lost_work"]["total_task_time_ms"],
        },
    }


def of_server(server, spark):
    """The same of what the History Server answers over REST."""
    application = server.get(f"/applications/{spark['application_id']}")
    attempts = {int(one["attemptId"]): one for one in application["attempts"]}
    last = attempts[max(attempts)]
    base = f"/applications/{application['id']}/{last['attemptId']}"
    listed = [one for one in server.get(base + "/stages") if one["status"] != "SKIPPED"]
    executors = executors_of_server(server, base)
    jobs = collections.Counter(one["status"] for one in server.get(base + "/jobs"))
    driver = next(one for one in server.get(base + "/allexecutors") if one["id"] == "driver")
    return {
        "application": {
            "attempt": max(attempts), "version": last["appSparkVersion"], "started": rest_ms(last["startTime"]),
            "ended": rest_ms(last["endTime"]), "driver": driver["hostPort"].split(":")[0], "attempts with a log": len(attempts),
        },
        "executor": {number: {key: one[key] for key in ("host", "added", "removed", "reason")} for number, one in executors.items()},
        "rows": [len(executors), len(listed)],
        "executors removed": sum(not one["active"] for one in executors.values()),
        "stage": {
            (one["stageId"], one["attemptId"]): {
                "name": one["name"], "tasks": one["numTasks"], "status": one["status"],
                "submitted": rest_ms(one.get("submissionTime")), "completed": rest_ms(one.get("completionTime")),
                "reason": (one.get("failureReason") or "").splitlines()[:1],
            }
            for one in listed
        },
        "stage attempts failed": sum(one["status"] == "FAILED" for one in listed),
        "stage attempts again": sum(one["attemptId"] > 0 for one in listed),
        "jobs": {"succeeded": jobs["SUCCEEDED"], "failed": jobs["FAILED"]},
        "tasks": tasks_of_server(server, base, listed),
    }


def tasks_of_server(server, base, listed):
    """Counts of the stages, and what only the lists of tasks say."""
    reasons, lost_ms, all_ms, resubmitted, speculative = collections.Counter(), 0, 0, 0, 0
    for stage in listed:
        for task in server.get(f"{base}/stages/{stage['stageId']}/{stage['attemptId']}/taskList?length=1000000"):
            message = task.get("errorMessage") or ""
            speculative += task["speculative"]
            all_ms += task.get("duration", 0)
            if message == RESUBMITTED:
                resubmitted += 1
            elif task["status"] == "FAILED":
                kind = next((name for name in OF_LOST_EXECUTORS if message.startswith(name)), "ExceptionFailure")
                reasons[kind] += 1
                lost_ms += task.get("duration", 0) * (kind != "ExceptionFailure")
    return {
        "successful": sum(one["numCompleteTasks"] for one in listed),
        "failed or resubmitted": sum(one["numFailedTasks"] for one in listed),
        "killed": sum(one["numKilledTasks"] for one in listed), "running": sum(one["numActiveTasks"] for one in listed),
        "speculative": speculative, "resubmitted": resubmitted, "failed by reason": dict(reasons),
        "failed with executors": sum(reasons[name] for name in OF_LOST_EXECUTORS),
        "ms failed with executors": lost_ms, "ms of all": all_ms,
    }


def compare(folder, port):
    """All differences, and of how many reports, and the stories in which Spark lost something."""
    reports = {path.stem: json.loads(path.read_text())["spark"] for path in sorted((folder / "reports").glob("*.json"))}
    silent = [name for name, spark in reports.items() if not spark]
    print(f"not judged, since these reports say nothing of Spark: {', '.join(silent)}")
    spoken = {name: spark for name, spark in reports.items() if spark}
    found, lossy = [], []
    # Only the logs: the server would try to read anything else in its folder as one.
    with tempfile.TemporaryDirectory() as logs:
        shutil.copytree(folder / "logs", logs, dirs_exist_ok=True)
        server = HistoryServer(logs, port)
        try:
            server.wait_for([(spark["application_id"], str(spark["attempts"])) for spark in spoken.values()])
            for name, spark in spoken.items():
                here, there = of_report(spark), of_server(server, spark)
                found += differences(name, there, here)
                tasks = here["tasks"]
                print(f"{name}: {len(here['executor'])} executors, {here['executors removed']} removed; {len(here['stage'])} stage"
                      f" attempts, {here['stage attempts failed']} failed, {here['stage attempts again']} again;"
                      f" {tasks['failed or resubmitted']} tasks failed {tasks['failed by reason']}")
                if here["executors removed"] and here["stage attempts again"] and tasks["failed by reason"]:
                    lossy.append(name.rpartition("-")[0])
        finally:
            server.stop()
    return found, len(spoken), lossy


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="folder with reports and logs")
    parser.add_argument("--port", type=int, default=18481)
    arguments = parser.parse_args()
    found, count, lossy = compare(arguments.folder, arguments.port)
    missing = sorted(set(STORIES_OF_LOSS) - set(lossy))
    if missing:
        found.append(f"{', '.join(missing)}: no executor was lost, no stage ran again, or no task failed: nothing was shown")
    for line in found:
        print("DIFFERS", line.replace("the truth is", "the report says"))
    print(f"{count} reports compared, {len(found)} differences")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
