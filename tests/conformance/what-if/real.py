"""Runs the small jobs on a real standalone cluster, undisturbed and with nodes killed, and keeps their event logs. What OUT
has already is not run again.

usage: real.py OUT [--jobs NAME,…] [--moments N] [--repeats N]

Each worker is a node of its own (127.0.0.11, .12, …). A node that is to go is killed, worker and executors, by SIGKILL;
another comes after a fixed time. OUT/NAME/baseline-N and OUT/NAME/MOMENT-N hold a run each: the log, and run.json with
what was done to it and when (epoch ms).
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOME = Path(sys.prefix) / f"lib/python3.{sys.version_info.minor}/site-packages/pyspark"
MASTER_PORT, MASTER_PAGE = 7177, 7178
WORKERS, REPLACED_AFTER_SECONDS = 6, 6
QUIET_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
CONF = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "600m",
    "spark.executor.cores": "1",
    "spark.executor.memory": "480m",
    "spark.executor.extraJavaOptions": QUIET_JVM,
    "spark.locality.wait": "0s",
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.shuffle.io.maxRetries": "1",
    "spark.shuffle.io.retryWait": "2s",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.rolling.enabled": "false",
}


def tree(pid):
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += tree(int(child))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def kill(process):
    for pid in tree(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


class Cluster:
    """A master and its workers."""

    def __init__(self, work):
        self.work, self.workers, self.next = work, {}, 1
        self.master = self.daemon("Master", "127.0.0.1", ["--port", str(MASTER_PORT), "--webui-port", str(MASTER_PAGE)])

    def daemon(self, name, address, arguments):
        environment = dict(
            os.environ,
            SPARK_HOME=str(HOME),
            SPARK_LOCAL_IP=address,
            SPARK_DAEMON_MEMORY="160m",
            SPARK_DAEMON_JAVA_OPTS=QUIET_JVM,
            SPARK_NO_DAEMONIZE="1",
            PYSPARK_PYTHON=sys.executable,
        )
        command = [HOME / "bin/spark-class", f"org.apache.spark.deploy.{name.lower()}.{name}", "--host", address]
        log = open(self.work / f"{name}-{address}.log", "wb")
        return subprocess.Popen([*command, *arguments], env=environment, stdout=log, stderr=log, cwd=self.work)

    def alive(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{MASTER_PAGE}/json/", timeout=5) as answer:
                state = json.load(answer)
        except OSError:
            return -1
        return sum(worker["state"] == "ALIVE" for worker in state["workers"])

    def add(self):
        address = f"127.0.0.{10 + self.next}"
        folder = self.work / f"work{self.next}"
        # Only one core: a node that goes takes one executor along.
        arguments = ["--cores", "1", "--memory", "700m", "--webui-port", "0", "-d", str(folder)]
        self.workers[address] = self.daemon("Worker", address, [*arguments, f"spark://127.0.0.1:{MASTER_PORT}"])
        self.next += 1

    def wait(self, count):
        end = time.monotonic() + 120
        while self.alive() != count:
            if time.monotonic() > end:
                raise TimeoutError(f"{count} workers")
            time.sleep(0.3)

    def fill(self):
        while len(self.workers) < WORKERS:
            self.add()
        while len(self.workers) > WORKERS:
            kill(self.workers.pop(next(iter(self.workers))))
        self.wait(WORKERS)

    def shut_down(self):
        for process in [*self.workers.values(), self.master]:
            kill(process)


def run(cluster, job, folder, after_seconds, victims):
    """One run; `after_seconds` after its beginning the victims are killed, unless it is None. How long it took, s."""
    if (folder / "run.json").exists():
        return json.loads((folder / "run.json").read_text())["took_seconds"]
    cluster.fill()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "log").mkdir(parents=True)
    command = [HOME / "bin/spark-submit", "--master", f"spark://127.0.0.1:{MASTER_PORT}"]
    for key, value in {**CONF, "spark.eventLog.dir": f"file://{folder / 'log'}"}.items():
        command += ["--conf", f"{key}={value}"]
    environment = dict(os.environ, SPARK_HOME=str(HOME), SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable)
    errors = open(folder / "driver.log", "wb")
    process = subprocess.Popen(
        [*command, HERE / "job.py", job], env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
    )
    done = {"job": job, "victims": [], "killed_at_ms": None, "replaced_after_seconds": REPLACED_AFTER_SECONDS}
    try:
        for line in process.stdout:
            if line.startswith("BEGUN"):
                break
        done["begun_at_ms"] = int(time.time() * 1000)
        if after_seconds is not None:
            time.sleep(after_seconds)
            done["victims"] = list(cluster.workers)[:victims]
            done["killed_at_ms"] = int(time.time() * 1000)
            for address in done["victims"]:
                kill(cluster.workers.pop(address))
            time.sleep(REPLACED_AFTER_SECONDS)
            for _ in range(victims):
                cluster.add()
        done["exit"] = process.wait(300)
        # Of one that fails the end is when its driver goes.
        said = process.stdout.read().split()
        done["done_at_ms"] = int(said[-1] if said else time.time() * 1000)
    finally:
        if process.poll() is None:
            kill(process)
    done["took_seconds"] = (done["done_at_ms"] - done["begun_at_ms"]) / 1000
    (folder / "run.json").write_text(json.dumps(done, indent=1) + "\n")
    print(job, folder.name, done["exit"], done["took_seconds"], flush=True)
    return done["took_seconds"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--jobs", default="wordcount,chain,again,join,skew,sql")
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    (out / "work").mkdir(parents=True, exist_ok=True)
    cluster = Cluster(out / "work")
    try:
        while cluster.alive() < 0:
            time.sleep(0.3)
        # Repeats outermost: what ends early leaves whole rounds, and a machine that slows down does so to all jobs.
        for repeat in range(arguments.repeats):
            for job in arguments.jobs.split(","):
                seconds = run(cluster, job, out / job / "baseline-1", None, 0)
                for moment in range(arguments.moments):
                    after = seconds * (moment + 0.5) / (arguments.moments + 0.5)
                    run(cluster, job, out / job / f"{moment:02}-{repeat + 1}", after, 1 + moment % 2)
    finally:
        cluster.shut_down()


if __name__ == "__main__":
    main()
