"""Holds `what-if` to logs that nobody has: damaged, of other versions, in other shapes.

usage: variations.py WHAT_IF [--keep DIR] [--only KIND] LOG...

Of each log (a file or the folder of a rolled one, as Spark wrote it, unpacked by this script if `zstd` or `gzip` can) there are
as many variations as are named in VARIATIONS; made.py adds logs of shapes that none of the given ones has. For each the program
has to end by itself, without a panic, with a clear sentence, and with JSON that has logged_seconds and replayed_seconds wherever
the log has a line of an application. Where a variation says that the run is as whole as before, both have to agree within 15 %.
"""

import argparse
import gzip
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import made

# What each version of Spark does not write yet, by the version before it came.
NOT_YET = {
    "2.4.8": ["Partition ID", "Task Executor Metrics", "Resource Profile Id", "Resources", "Attributes", "Shuffle Push Enabled"],
    "3.0.3": ["Partition ID", "Resource Profile Id", "Shuffle Push Enabled"],
    "3.2.4": ["Partition ID", "Push Based Shuffle"],
    "3.3.4": ["Is Speculatable"],
}


def unpacked(path):
    """A log's lines; none if this script cannot unpack it."""
    files = sorted(path.rglob("events_*"), key=lambda it: int(it.name.split("_")[1])) if path.is_dir() else [path]
    text = b""
    for file in files:
        data = file.read_bytes()
        if data[:4] == b"\x28\xb5\x2f\xfd":
            data = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True).stdout
        elif data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        text += data
    return text.decode().splitlines() if text.startswith(b"{") else None


def without(lines, *names):
    return [line for line in lines if not any(f'"Event":"SparkListener{name}"' in line[:60] for name in names)]


def pruned(value, names):
    if isinstance(value, dict):
        return {key: pruned(it, names) for key, it in value.items() if key not in names}
    return [pruned(it, names) for it in value] if isinstance(value, list) else value


def older(version):
    def vary(lines, _):
        events = [pruned(json.loads(line), NOT_YET[version]) for line in lines]
        for event in events:
            if "Spark Version" in event:
                event["Spark Version"] = version
        return [json.dumps(event, separators=(",", ":")) for event in events]

    return vary


def edited(edit):
    def vary(lines, rng):
        events = [json.loads(line) for line in lines]
        edit(events, rng)
        return [json.dumps(event, separators=(",", ":")) for event in events]

    return vary


# Of a log with more lines than this only a few variations are tried.
LINES_MAX, LONG_TOO = 5_000, ("as it is", "without an end", "a value in a hundred is nonsense")

TIMES = ("Timestamp", "Submission Time", "Completion Time", "Launch Time", "Finish Time", "Getting Result Time", "time")


def shift(value, by_ms):
    if isinstance(value, dict):
        for key, it in value.items():
            if key in TIMES and isinstance(it, int) and it > 0:
                value[key] = it + by_ms
            else:
                shift(it, by_ms)
    elif isinstance(value, list):
        for it in value:
            shift(it, by_ms)


def step(by_ms):
    """The driver's clock is set while it runs."""

    def edit(events, rng):
        for event in events[rng.randrange(len(events)) :]:
            shift(event, by_ms)

    return edited(edit)


def end_before_start(events, _):
    for event in events:
        if event["Event"] == "SparkListenerApplicationEnd":
            event["Timestamp"] -= 10_000_000


def no_durations(events, _):
    for event in events:
        if event["Event"] == "SparkListenerTaskEnd":
            event["Task Info"]["Finish Time"] = event["Task Info"]["Launch Time"]


def nonsense(events, rng):
    for event in events:
        for part in (event, event.get("Task Info", {}), event.get("Stage Info", {})):
            for key in part:
                if rng.random() < 0.01 and key != "Event":
                    part[key] = rng.choice([None, -1, 0, "x", 2**63 - 1, 2**31, [], {}, 1e300])


def one_task(lines, _):
    ends = [line for line in lines if '"SparkListenerTaskEnd"' in line[:40]][1:]
    return [line for line in lines if line not in set(ends)]


def streaming(lines, _):
    name = "org.apache.spark.sql.streaming.StreamingQueryListener$QueryProgressEvent"
    return lines[:3] + [json.dumps({"Event": name, "progress": {}})] + lines[3:]


def shuffled(lines, rng):
    return rng.sample(lines, len(lines))


# By name: whether the run is as whole as it was, and how it is varied.
VARIATIONS = {
    "as it is": (True, lambda lines, _: lines),
    "keys sorted, with blanks": (True, lambda lines, _: [json.dumps(json.loads(line), sort_keys=True) for line in lines]),
    **{f"of Spark {version}": (True, older(version)) for version in NOT_YET},
    "without settings": (True, lambda lines, _: without(lines, "EnvironmentUpdate")),
    "without tasks' starts": (True, lambda lines, _: without(lines, "TaskStart")),
    "without stages' submissions": (True, lambda lines, _: without(lines, "StageSubmitted")),
    "without an end": (True, lambda lines, _: without(lines, "ApplicationEnd")),
    "without a beginning": (False, lambda lines, _: lines[len(lines) // 10 :]),
    "without executors": (False, lambda lines, _: without(lines, "ExecutorAdded", "ExecutorRemoved", "BlockManagerAdded")),
    "without jobs": (False, lambda lines, _: without(lines, "JobStart", "JobEnd")),
    "without stages": (False, lambda lines, _: without(lines, "StageSubmitted", "StageCompleted")),
    "no task": (False, lambda lines, _: without(lines, "TaskStart", "TaskEnd")),
    "one task": (False, one_task),
    "a line in twenty is gone": (False, lambda lines, rng: [line for line in lines if rng.random() > 0.05]),
    "each line twice": (False, lambda lines, _: [line for line in lines for _ in (0, 1)]),
    "in any order": (False, shuffled),
    "two applications": (False, lambda lines, _: lines + lines),
    "streaming": (False, streaming),
    "the clock an hour back": (False, step(-3_600_000)),
    "the clock an hour on": (False, step(3_600_000)),
    "it ends before it begins": (False, edited(end_before_start)),
    "no task takes any time": (False, edited(no_durations)),
    "a value in a hundred is nonsense": (False, edited(nonsense)),
}


def files(folder, name, lines, rng):
    """A varied log in its packings: the paths."""
    text = "".join(line + "\n" for line in lines).encode()
    plain = folder / "app-1"
    plain.write_bytes(text)
    yield plain
    if name != "as it is":
        return
    (folder / "app-2.gz").write_bytes(gzip.compress(text))
    (folder / "app-3.zstd").write_bytes(subprocess.run(["zstd", "-cq"], input=text, capture_output=True, check=True).stdout)
    yield from (folder / "app-2.gz", folder / "app-3.zstd")
    rolled = folder / "eventlog_v2_app-4"
    rolled.mkdir()
    third = len(lines) // 3 + 1
    for number in range(3):
        part = "".join(line + "\n" for line in lines[number * third : (number + 1) * third])
        (rolled / f"events_{number + 1}_app-4").write_text(part)
    yield rolled
    for source in (plain, folder / "app-2.gz", folder / "app-3.zstd"):
        data = source.read_bytes()
        for number in range(12):
            cut = folder / f"cut-{number}-{source.name}"
            cut.write_bytes(data[: rng.randrange(len(data))])
            yield cut


def held(program, path, whole):
    """What is wrong with what the program says of a log, if anything; and how far its replay is off."""
    command = [program, path, "--json", "--no-remedies", "--runs", "12", "--threads", "1"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return "does not end within two minutes", None
    if "panicked" in done.stderr or done.returncode not in (0, 1):
        return f"exit {done.returncode}: {done.stderr[:300]}", None
    if done.returncode == 1:
        is_clear = any(words in done.stderr for words in ("holds no line", "holds no event log"))
        return (None if is_clear and not whole else f"refused: {done.stderr[:200]}"), None
    said = json.loads(done.stdout)
    missing = {"logged_seconds", "replayed_seconds"} - said.keys()
    if missing:
        return f"lacks {missing}", None
    if said["logged_seconds"] is None or said["replayed_seconds"] is None:
        return (f"no seconds: {said['not_said_because']}" if whole else None), None
    off = said["replayed_seconds"] / max(said["logged_seconds"], 0.001) - 1
    return None, off


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("logs", nargs="*", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(dir=arguments.keep))
    rng = random.Random(16)
    sources = [(str(path), lines) for path in arguments.logs if (lines := unpacked(path))]
    sources += [(name, lines) for name, lines in made.logs(rng)]
    wrong, offs = 0, {}
    for source, lines in sources:
        for name, (whole, vary) in VARIATIONS.items():
            if arguments.only not in (None, name):
                continue
            folder = work / str(len(list(work.iterdir())))
            folder.mkdir()
            # A long log is varied in what it has of its own: its length.
            if len(lines) > LINES_MAX and name not in LONG_TOO:
                continue
            for path in files(folder, name, vary(lines, rng), rng):
                is_cut = path.name.startswith("cut-")
                fault, off = held(arguments.program, path, whole and not is_cut)
                kind = "cut off" if is_cut else name
                if fault is None and off is not None:
                    offs.setdefault(kind, []).append((abs(off), source))
                    fault = f"{off:+.1%}" if whole and not is_cut and abs(off) > 0.15 else None
                if fault:
                    wrong += 1
                    print(f"{source}, {kind} ({path.name}): {fault}", flush=True)
            if not arguments.keep:
                shutil.rmtree(folder)
    print(f"{'variation':34} logs  replayed off by: median, 19 in 20, most")
    for kind, each in offs.items():
        each.sort()
        at = lambda part: each[min(len(each) - 1, int(part * len(each)))][0]
        print(f"{kind:34} {len(each):4}  {at(0.5):8.1%} {at(0.95):8.1%} {each[-1][0]:8.1%}  {each[-1][1]}")
    print(f"{wrong} wrong, of {sum(map(len, offs.values()))} played and those refused")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
