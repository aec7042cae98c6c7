#!/usr/bin/env python3
"""One event log, three readers, in one run: ours, Python's json, and Spark's own History Server.

    pip install pyspark==3.5.9 zstandard          (a Java 17 on the path)
    cargo build --release -p local
    python3 tests/benches/spark_log_compare.py LOG [--reader "target/release/local spark-log"] [--spark-home DIR]

LOG is one file of a completed application, plain or .zstd. For each reader: seconds, uncompressed MB/s (10^6), and peak
resident memory. The History Server is timed from the first question about the application, which makes it replay the log,
to the answer; its start and its listing of the folder are not counted. It is left out if it is not installed. A peak below
this script's own, about 25 MiB, cannot be told.
"""
import argparse
import importlib.util
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request


def lines(path):
    if path.endswith((".zstd", ".zst")):
        import zstandard
        reader = zstandard.ZstdDecompressor().stream_reader(open(path, "rb"), read_across_frames=True)
        return io.BufferedReader(reader, 1 << 20)
    return open(path, "rb", 1 << 20)


def python_json(path):
    """Runs in a process of its own, so that its memory is its own."""
    tasks = 0
    for line in lines(path):
        tasks += json.loads(line)["Event"] == "SparkListenerTaskEnd"
    print(tasks)


def measured(command):
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} failed")
    return time.monotonic() - started, usage.ru_maxrss / 1024


def ask(url, seconds=1800):
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        return json.load(answer)


def history_server(path, home, port):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy2(path, folder)
        options = {"fs.logDirectory": "file://" + folder, "ui.port": port, "fs.update.interval": "1s"}
        environment = dict(os.environ, SPARK_HOME=home, SPARK_NO_DAEMONIZE="1", SPARK_LOCAL_IP="127.0.0.1", SPARK_DAEMON_MEMORY="4g")
        environment["SPARK_HISTORY_OPTS"] = " ".join(f"-Dspark.history.{key}={value}" for key, value in options.items())
        command = [home + "/bin/spark-class", "org.apache.spark.deploy.history.HistoryServer"]
        server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            base = f"http://127.0.0.1:{port}/api/v1/applications"
            applications = []
            for _ in range(600):
                try:
                    applications = ask(base)
                except (urllib.error.URLError, OSError):
                    pass
                if applications:
                    break
                time.sleep(0.5)
            if not applications:
                sys.exit("the History Server lists no application")
            started = time.monotonic()
            ask(f"{base}/{applications[0]['id']}/allexecutors")
            seconds = time.monotonic() - started
            status = open(f"/proc/{server.pid}/status").read()
            peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
            return seconds, int(peak.split()[1]) / 1024
        finally:
            server.terminate()
            server.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log")
    parser.add_argument("--reader", default="target/release/local spark-log")
    parser.add_argument("--spark-home")
    parser.add_argument("--port", type=int, default=18099)
    arguments = parser.parse_args()
    path = os.path.abspath(arguments.log)
    megabytes = sum(map(len, iter(lambda read=lines(path).read: read(1 << 20), b""))) / 1e6
    print(f"{os.path.basename(path)}: {megabytes:.0f} MB uncompressed, {os.path.getsize(path) / 1e6:.0f} MB stored")

    def report(name, seconds, peak_mib):
        print(f"{name:24} {seconds:8.2f} s {megabytes / seconds:8.0f} MB/s {peak_mib:8.0f} MiB peak", flush=True)

    for _ in range(3):
        report("this reader", *measured(shlex.split(arguments.reader) + [path]))
    report("python json", *measured([sys.executable, __file__, "--python-json", path]))
    home = arguments.spark_home
    if not home and (found := importlib.util.find_spec("pyspark")):
        home = os.path.dirname(found.origin)
    if home:
        report("History Server", *history_server(path, home, arguments.port))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--python-json"]:
        python_json(sys.argv[2])
    else:
        main()
