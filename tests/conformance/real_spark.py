"""Runs jobs of tests/jobs on real Spark by `drill --job`, and holds what the drill says of each against judges that are not
ours: Spark's History Server, which reads the log that Spark wrote, and the files that the job wrote.

usage: real_spark.py PROGRAM WORK [JOB… | jobs | options]

Prints a line "ok …" or "not ok …" for each thing that is held against another.
"""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from history_server import HistoryServer, rest_ms
from marked import marked

HERE = Path(__file__).resolve().parent
JOBS, STRANGERS = HERE.parent / "jobs", HERE / "strangers"
PORT = 18_181
LIMIT_SECONDS = 1200

# Of each job of the gallery: the verdict that it must have, and the rows in its files, where it comes to its end with them.
EXPECTED = {
    "word_count": ("survived", 12),
    "one_stage_attempt": ("failed", None),
    "appends": ("survived", None),
    "own_failure": ("inconclusive", None),
    "wide_shuffle": ("survived", 4000),
    "cached": ("survived", 8),
    "long_tasks": ("survived", 15000),
    "skewed_join": ("survived", 3000),
    "one_task_failure": ("survived", 4000),
    "no_success": ("degraded", 4000),
    "streaming": ("survived", 2500),
}
# What they need besides: a loss that comes when there is something to lose.
OPTIONS = {"appends": ["--baseline"], "wide_shuffle": ["--set", "delay=400"]}
# Those that are run where none is named.
FOUR = ["word_count", "one_stage_attempt", "appends", "own_failure"]

failed = 0


def check(name, is_so, told=""):
    global failed
    failed += not is_so
    print(f"{'ok' if is_so else 'not ok'} real-spark: {name}{'' if is_so else f': {told}'}", flush=True)


def drilled(program, work, job, *options):
    command = [program, "drill", "--job", job, "--out", work, "--json", *options]
    with open(work / f"{job.stem}.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=work)
        try:
            process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.pid, (work / f"{job.stem}.log").read_text()


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
    taken = [rest_ms(one["removeTime"]) for one in executors if not one["isActive"] and one.get("removeTime")]
    spans = [(rest_ms(one.get("submissionTime")), rest_ms(one.get("completionTime"))) for one in stages]
    # A stage that was on its way when the application ended has no end.
    spans = [(begin, end or float("inf")) for begin, end in spans if begin]
    in_the_middle = sum(any(begin < at < end for begin, end in spans) for at in taken)
    return in_the_middle, {
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


def committed(folder):
    """The names of the files that a stream has committed to a folder; None where no stream wrote."""
    log = folder / "_spark_metadata"
    if not log.is_dir():
        return None
    lines = [line for batch in log.iterdir() for line in batch.read_text(errors="replace").splitlines()]
    return {json.loads(line)["path"].rsplit("/", 1)[-1] for line in lines if line.startswith("{")}


def rows(folder):
    """The rows of a folder's files, and how many of them are there twice."""
    found = []
    for path in folder.rglob("*.csv"):
        names = committed(path.parent)
        if path.name.startswith((".", "_")) or (names is not None and path.name not in names):
            continue
        with path.open(newline="") as lines:
            found += map(tuple, csv.reader(lines))
    return len(found), len(found) - len(set(found))


def held(program, work, job):
    (expected, counted_rows), options = EXPECTED[job], OPTIONS.get(job, [])
    has_baseline = "--baseline" in options
    begun = time.monotonic()
    pid, said = drilled(program, work, JOBS / f"{job}.py", *options)
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
    (in_the_middle, judged), ours = of_history_server(folder), of_report(report)
    check(f"{job}: {in_the_middle} executors went while a stage ran", in_the_middle >= 2, judged)
    check(f"{job}: {judged}", judged == ours, f"the report has {ours}")
    there, twice = rows(folder / "real-spark/s3/gallery")
    print(f"   {job}: {verdict}; {there} rows, {twice} of them twice", flush=True)
    if counted_rows is not None:
        check(f"{job}: {there} rows are in the files", (there, twice) == (counted_rows, 0), twice)
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
    if job == "wide_shuffle":
        again = judged["stage attempts again"]
        check(f"{job}: what it had shuffled is shuffled again, by {again} attempts of stages", again > 0, judged)
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


def journal(folder):
    return [json.loads(line)["text"] for line in (folder / "journal.jsonl").open()]


def of_driver(folder, attempt=1):
    """What a driver printed."""
    (stdout,) = folder.glob(f"real-spark/work/application_*_{attempt}/stdout")
    return stdout.read_text(errors="replace")


def brought(program, work):
    """JARs, files, archives, a properties file and names as people give them, in folders as people name them."""
    folder = work / "mein ordner ü"
    folder.mkdir()
    job = shutil.copy(STRANGERS / "brings.py", folder / "was täglich läuft.py")
    (folder / "word.txt").write_text("from a file")
    (folder / "my.conf").write_text("spark.of.a.file yes\n")
    with zipfile.ZipFile(folder / "words.jar", "w") as jar:
        jar.writestr("word/of.jar.txt", "from a JAR")
    with zipfile.ZipFile(folder / "inner.zip", "w") as archive:
        archive.writestr("inner/word.txt", "from an archive")
    options = ["--jars=words.jar", "--files=word.txt", "--archives=inner.zip#env", "--properties-file=my.conf", "--queue=night"]
    options += ["--name=Täglich", "--driver-memory=900g"]
    command = [program, "drill", "--job", job, "--out", "die ausgabe", "--set", "mode=off", *(f"--submit={one}" for one in options)]
    said = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=420)
    out = folder / "die ausgabe/was täglich läuft"
    found = "found True {('from a file', 'from an archive')} Täglich yes"
    check("what a step brings is there, whatever its name", found in of_driver(out), said.stdout[-1000:] + of_driver(out))
    cut = next((text for text in journal(out) if text.startswith("cut to this machine, or left out: ")), "")
    check("what is not honoured is told", "--queue night" in cut and "driver memory 921600 MB → " in cut, cut)


def own_master(program, work):
    drilled(program, work, STRANGERS / "own_master.py")
    told = [text for text in journal(work / "own_master") if "sets the master local[2]" in text]
    report = json.loads((work / "own_master/report.json").read_text())
    check("a master of the job's own is told, and nothing is shown", told and report["verdict"] == "inconclusive", report["sentence"])


def lost_driver(program, work):
    """All task nodes go, and with them a driver in cluster mode: it begins again on another node."""
    drilled(program, work, JOBS / "word_count.py", "--deploy-mode", "cluster", "--set", "victims=4")
    report, texts = json.loads((work / "word_count/report.json").read_text()), journal(work / "word_count")
    check("a driver goes with its node", any("attempt 1 failed: AM Container exited" in text for text in texts), texts[-20:])
    spark = report["spark"]
    made = (report["verdict"], spark["attempts"], spark["attempts_without_log"])
    check("and begins again elsewhere, at a price", made == ("degraded", 2, 1), (made, report["sentence"]))
    check("and what is counted is whole", "words: 320000" in of_driver(work / "word_count", 2), of_driver(work / "word_count", 2))
    hosts = {one["host"] for one in spark["executors"]}
    check(f"on {len(hosts)} nodes, replacements among them", len(hosts) > 1, hosts)


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
    named = sys.argv[3:]
    has_all = not named or "jobs" in named
    for job in FOUR if has_all else [job for job in named if job != "options"]:
        held(program, work, job)
    if has_all:
        missing(program, work)
        crash(program, work)
    if not named or "options" in named:
        (work / "options").mkdir()
        for part in [brought, own_master, lost_driver]:
            part(program, work / "options")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
