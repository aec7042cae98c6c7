"""Holds what `what-if` says of each job's undisturbed log against the runs of the same job that lost nodes.

usage: compare.py OUT WHAT_IF

OUT is what real.py left, WHAT_IF the program. Moments are carried over from run to run by the submission of the job's own
first Spark job, and times are counted from it: how long a driver takes to start is no matter of the job. When a
replacement's executor comes is the cluster's: the median of all runs. The pace of a run is the time of its tasks against
the same tasks of the undisturbed run: a busy machine makes it larger than one, and no log can foretell that.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path


def facts(log):
    """When it began, when its second job was submitted (the first only starts Python), when it ended; the rest in counts."""
    found = {"failed_stages": 0, "added": [], "tasks": {}}
    for line in next(log.glob("*")).open():
        event = json.loads(line)
        match event["Event"]:
            case "SparkListenerApplicationStart":
                found["start"] = event["Timestamp"]
            case "SparkListenerApplicationEnd":
                found["end"] = event["Timestamp"]
            case "SparkListenerJobStart" if event["Job ID"] == 1:
                found["begun"] = event["Submission Time"]
            case "SparkListenerExecutorAdded":
                found["added"].append(event["Timestamp"])
            case "SparkListenerTaskEnd" if event["Task End Reason"]["Reason"] == "Success":
                task = event["Task Info"]
                key = (event["Stage ID"], task["Partition ID"])
                found["tasks"].setdefault(key, task["Finish Time"] - task["Launch Time"])
            case "SparkListenerStageCompleted":
                found["failed_stages"] += "Failure Reason" in event["Stage Info"]
    return found


def main():
    out, program = Path(sys.argv[1]), sys.argv[2]
    runs = []
    for path in sorted(out.glob("*/[0-9]*/run.json")):
        done = json.loads(path.read_text())
        if done["exit"] == 0:
            runs.append((path.parent.parent, done, facts(path.parent / "log")))
    waits = [min((at - done["killed_at_ms"] for at in run["added"] if at > done["killed_at_ms"]), default=None) for _, done, run in runs]
    replaced_ms = int(statistics.median(wait for wait in waits if wait is not None))
    print(f"a replacement's executor comes after {replaced_ms} ms (median of {len(waits)} runs)")
    rows = {}
    for folder, done, run in runs:
        base_log = folder / "baseline-1/log"
        base = facts(base_log)
        head_ms = base["begun"] - base["start"]
        at_ms = head_ms + done["killed_at_ms"] - run["begun"]
        command = [program, base_log, "--json", "--no-remedies", "--notice", "0", "--runs", "400"]
        command += ["--at", f"{at_ms}ms", "--victims", str(len(done["victims"])), "--replaced-after", f"{replaced_ms}ms"]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        spread = {key: value - head_ms / 1000 for key, value in answer["result"]["run_seconds"].items()}
        both = [key for key in base["tasks"].keys() & run["tasks"].keys() if key[0] > 0]
        pace = sum(run["tasks"][key] for key in both) / sum(base["tasks"][key] for key in both)
        real = (run["end"] - run["begun"]) / 1000
        rows.setdefault(folder.name, []).append(
            {
                "error": abs(spread["p50"] / real - 1),
                "paced": abs(spread["p50"] * pace / real - 1),
                "inside": spread["p5"] * 0.98 <= real <= spread["p95"] * 1.02,
                "stages": answer["result"]["failed_stages"]["p50"] == run["failed_stages"],
            }
        )
        print(
            f"{folder.name:10} {len(done['victims'])} gone at {at_ms / 1000 - head_ms / 1000:5.1f} s: {real:5.1f} s, predicted "
            f"{spread['p5']:5.1f} {spread['p50']:5.1f} {spread['p95']:5.1f}; stages failed {run['failed_stages']}, predicted "
            f"{answer['result']['failed_stages']['p50']:.0f}; pace {pace:.2f}"
        )
    print("| job | runs | median error | the same at the run's pace | inside p5 to p95, give or take 2 % | failed stages right |\n|---|---|---|---|---|---|")
    rows["all"] = [row for job in rows.values() for row in job]
    for job, each in rows.items():
        error, paced = (statistics.median(row[key] for row in each) for key in ("error", "paced"))
        inside, stages = (sum(row[key] for row in each) for key in ("inside", "stages"))
        print(f"| {job} | {len(each)} | {error:.1%} | {paced:.1%} | {inside} of {len(each)} | {stages} of {len(each)} |")


if __name__ == "__main__":
    main()
