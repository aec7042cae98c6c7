"""Runs jobs of tests/jobs on real Spark by `drill --job`, and holds what the drill says of each against judges that are not
ours: Spark's History Server, which reads the log that Spark wrote, and the files that the job wrote.

usage: real_spark.py PROGRAM WORK [JOB…]

Prints a line "ok …" or "not ok …" for each thing that is held against another.
"""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from history_server import HistoryServer

JOBS = Path(__file__).resolve().parent.parent / "jobs"
PORT = 18_181
MARK = "SPOT_DRILL_MACHINE"

# Of each job: the verdict that it must have, and whether it is run beside itself undisturbed.
EXPECTED = {
    "word_count": ("survived", False),
    "one_stage_attempt": ("failed", False),
    "appends": ("survived", True),
    "own_failure": ("inconclusive", False),
}

failed = 0


def check(name, is_so, told=""):
    global failed
    failed += not is_so
    print(f"{'ok' if is_so else 'not ok'} real-spark: {name}{'' if is_so else f': {told}'}", flush=True)


def marked(pid):
    """The processes that a drill has started, itself and its watchdog apart."""
    found = []
    mark = f"{MARK}={pid}-".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            pass
    return found


def drill(program, work, job, *options):
    command = [program, "drill", "--job", JOBS / f"{job}.py", "--out", work, "--json", *options]
    with open(work / f"{job}.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=work)
        process.wait(420)
    return process.pid, (work / f"{job}.log").read_text()


def of_history_server(folder):
    """What Spark's own History Server says of the log that Spark wrote."""
    (events,) = folder.glob("real-spark/work/application_*_1/events")
    (log,) = events.iterdir()
    server = HistoryServer(events, PORT)
    try:
        server.wait_for([(log.name, None)])
        executors = server.get(f"/applications/{log.name}/allexecutors")
        stages = server.get(f"/applications/{log.name}/stages")
    finally:
        server.stop()
    return {
        "executors removed": sum(not one["isActive"] for one in executors),
        "stage attempts failed": sum(one["status"] == "FAILED" for one in stages),
        "stage attempts again": sum(one["attemptId"] > 0 and one["status"] != "PENDING" for one in stages),
        "tasks failed": sum(one["numFailedTasks"] for one in stages),
    }


def of_report(report):
    spark = report["spark"]
    return {
        "executors removed": spark["executors_removed"],
        "stage attempts failed": spark["stage_attempts_failed"],
        "stage attempts again": spark["stage_attempts_again"],
        # One that has to run again, since its output went, is a failed one to Spark too.
        "tasks failed": spark["tasks"]["failed"] + spark["tasks"]["resubmitted"],
    }


def rows(folder):
    """The rows of a folder's files, and how many of them are there twice."""
    found = []
    for path in folder.rglob("*.csv"):
        if not path.name.startswith((".", "_")):
            with path.open(newline="") as lines:
                found += map(tuple, csv.reader(lines))
    return len(found), len(found) - len(set(found))


def held(program, work, job):
    expected, has_baseline = EXPECTED[job]
    begun = time.monotonic()
    pid, said = drill(program, work, job, *(["--baseline"] if has_baseline else []))
    print(f"   {job}: {time.monotonic() - begun:.0f} s", flush=True)
    folder = work / job
    if not (folder / "report.json").exists():
        check(f"{job} has a report", False, said[-2000:])
        return
    report = json.loads((folder / "report.json").read_text())
    verdict = report["verdict"]
    check(f"{job}: {verdict}", verdict == expected, report["sentence"])
    check(f"{job}: its victims were the drill's", len(report["interruptions"]) == 2, report["interruptions"])
    check(f"{job}: the report says that Spark was real", "simulated capacity" in report["step"]["name"])
    judged, ours = of_history_server(folder), of_report(report)
    check(f"{job}: {judged}", judged == ours, f"the report has {ours}")
    if has_baseline:
        compared = json.loads((folder / "comparison.json").read_text())
        key = f"gallery/{job.replace('_', '-')}/"
        for name, counted, place in [
            ("disturbed", compared["written"], folder),
            ("undisturbed", compared["undisturbed_written"], folder / "baseline"),
        ]:
            there, twice = rows(place / "real-spark/s3" / key)
            check(f"{job}, {name}: {there} rows, {twice} of them twice", counted[key]["rows"] == there, counted)
            is_right = twice > 0 if (job, name) == ("appends", "disturbed") else twice == 0
            check(f"{job}, {name}: {twice} rows are there twice", is_right)
        is_same = compared["written"] == compared["undisturbed_written"]
        check(f"{job}: the rows are {'the same' if is_same else 'others'}", is_same == (job != "appends"), compared)
    if job == "word_count":
        counts = [line.rsplit(",", 1)[1] for path in (folder / "real-spark/s3/gallery").rglob("*.csv") for line in path.open()]
        check(f"{job}: {sum(map(int, counts))} words, in the files", sum(map(int, counts)) == 320_000)
    check(f"{job}: no process is left", not marked(pid), marked(pid))


def crash(program, work):
    """Nobody is left when the drill itself is killed, with its job on its way."""
    process = subprocess.Popen(
        [program, "drill", "--job", JOBS / "word_count.py", "--out", work / "crash"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(600):
        if len(marked(process.pid)) >= 7:
            break
        time.sleep(0.1)
    there = len(marked(process.pid))
    process.send_signal(signal.SIGKILL)
    process.wait()
    for _ in range(100):
        if not marked(process.pid):
            break
        time.sleep(0.1)
    check(f"of {there} processes none outlives a drill that is killed", there >= 7 and not marked(process.pid))


def missing(program, work):
    environment = dict(os.environ, JAVA_HOME="/no/such", PYSPARK_PYTHON="/no/such/python")
    command = [program, "drill", "--job", JOBS / "word_count.py", "--out", work / "missing"]
    said = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=work)
    tells = all(words in said.stderr for words in ["Java 17", "apt-get install", "pip install"])
    check("without Java, what brings it is told", said.returncode == 2 and tells, said.stderr)


def main():
    program, work = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    missing(program, work)
    for job in sys.argv[3:] or EXPECTED:
        held(program, work, job)
    crash(program, work)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
