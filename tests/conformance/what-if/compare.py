"""Holds what `what-if` says of each job's undisturbed log against the runs of the same job that lost nodes.

usage: compare.py OUT WHAT_IF

OUT is what real.py left, WHAT_IF the program. Moments are carried over from run to run by the submission of the job's own
first Spark job, and times are counted from it: how long a driver takes to start is no matter of the job. When a
replacement's executor comes is the cluster's: as in all other runs in which as many had to come at once. How much the
machine's pace differs from run to run no single log tells: so each run is predicted from its job's undisturbed log alone,
and once more knowing the job's other runs, of which it is none (`--also`).
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path


def facts(log):
    """When it began, when its second job was submitted (the first only starts Python), when it ended; the rest in counts."""
    found = {"failed_stages": 0, "added": []}
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
            case "SparkListenerStageCompleted":
                found["failed_stages"] += "Failure Reason" in event["Stage Info"]
    return found


def between(numbers):
    """From the tenth to the ninetieth of a hundred, ms."""
    numbers = sorted(numbers)
    at = lambda part: int(numbers[min(len(numbers) - 1, int(part * len(numbers)))])
    return f"{at(0.1)}ms..{at(0.9)}ms"


def predicted(program, base_log, at_ms, victims, replaced, also):
    command = [program, base_log, "--json", "--no-remedies", "--notice", "0", "--runs", "400"]
    command += ["--at", f"{at_ms}ms", "--victims", str(victims), "--replaced-after", replaced]
    command += [word for log in also for word in ("--also", log)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def held(answer, head_ms, real, failed_stages):
    # The real run was hit: those that had ended before are not compared with it.
    result = answer["result"]
    times = answer["curve"][0]["run_seconds"] if answer["curve"] else result["run_seconds"]
    spread = {key: value - head_ms / 1000 for key, value in times.items()}
    return spread, {
        "error": abs(spread["p50"] / real - 1),
        "inside": spread["p5"] * 0.98 <= real <= spread["p95"] * 1.02,
        "stages": result["failed_stages"]["p50"] == failed_stages,
        "stages inside": result["failed_stages"]["p5"] <= failed_stages <= result["failed_stages"]["p95"],
    }


def main():
    out, program = Path(sys.argv[1]), sys.argv[2]
    runs = []
    for path in sorted(out.glob("*/[0-9]*/run.json")):
        done = json.loads(path.read_text())
        if done["exit"] == 0:
            runs.append((path.parent, done, facts(path.parent / "log")))
    waits = []
    for path, done, run in runs:
        after = [at - done["killed_at_ms"] for at in run["added"] if at > done["killed_at_ms"]]
        waits += [(path, len(done["victims"]), wait) for wait in after]
    rows = {}
    for path, done, run in runs:
        folder = path.parent
        base_log = folder / "baseline-1/log"
        base = facts(base_log)
        head_ms = base["begun"] - base["start"]
        at_ms = head_ms + done["killed_at_ms"] - run["begun"]
        victims = len(done["victims"])
        replaced = between(wait for other, count, wait in waits if other != path and count == victims)
        real = (run["end"] - run["begun"]) / 1000
        also = [other / "log" for other, _, _ in runs if other.parent == folder and other != path]
        asked = (program, base_log, at_ms, victims, replaced)
        spread, alone = held(predicted(*asked, []), head_ms, real, run["failed_stages"])
        others, helped = held(predicted(*asked, also), head_ms, real, run["failed_stages"])
        rows.setdefault(folder.name, []).append((alone, helped))
        words = lambda it: " ".join(f"{it[key]:5.1f}" for key in ("p5", "p50", "p95"))
        print(
            f"{folder.name:10} {victims} gone at {(at_ms - head_ms) / 1000:5.1f} s: {real:5.1f} s, predicted "
            f"{words(spread)}, knowing other runs {words(others)}; stages failed {run['failed_stages']}"
            f"{'' if alone['inside'] else ' OUTSIDE'}{'' if alone['stages'] else ' STAGES'}"
        )
    print("| job | runs | from the undisturbed log alone: median error | inside p5 to p95 | failed stages: the median is right | inside p5 to p95 | knowing other runs' pace: median error | inside p5 to p95 | failed stages: the median is right |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows["all"] = [row for job in rows.values() for row in job]
    for job, each in rows.items():
        middle = lambda which: statistics.median(row[which]["error"] for row in each)
        count = lambda which, key: sum(row[which][key] for row in each)
        print(
            f"| {job} | {len(each)} | {middle(0):.1%} | {count(0, 'inside')} | {count(0, 'stages')} | {count(0, 'stages inside')} "
            f"| {middle(1):.1%} | {count(1, 'inside')} | {count(1, 'stages')} |"
        )


if __name__ == "__main__":
    main()
