#!/usr/bin/env python3
"""Two reports of the same story, field by field: all must be equal, ids and counts too, except times by as much as
processes take, and what such a time moves.

usage: reports_agree.py <report.json> <report.json>. Prints each difference.
"""

import datetime
import json
import re
import sys

# A function in the simulation's process takes no time but its calls' latency, which is drawn, and the same in both. A
# process takes its own: to start, to parse, to be scheduled. The functions' shortest pause between two looks is three
# seconds, so that less than two apart is the same look.
SECONDS_MAX = 2.0

# Durations that hold such a moment, in seconds; whole seconds may be rounded apart by one more.
DURATIONS = {"latency_ms": (0.001, 0), "seconds_after_notice": (1, 1), "seconds_after_loss": (1, 1), "run_seconds": (1, 1)}

# The simulated Spark draws how long an executor takes to start, 5 s to 9 s, in the order in which it comes to draw
# anything. An interruption that comes a moment later changes that order, and so which of two executors is first.
EXECUTOR_SECONDS_MAX = SECONDS_MAX + 4.0

# Sums of what happened between two such moments: so much of them may differ.
SUMS = {"unit_seconds_lost": 0.02, "total_task_time_ms": 0.005, "task_time_ms": 0.005, "bytes_read": 0.001, "bytes_decoded": 0.001}

# What-if plays the log again some hundred times. Where the log's moments lie a little otherwise, what it draws falls to
# others: of the seconds that a loss adds, the middle and the worst of those runs may differ by so much.
DRAWN = re.compile(r"^report\.what_if\b.*\.added_seconds_p\d+$")
DRAWN_PART = 0.15
# Its other seconds are the log's moments.
MOMENT = re.compile(r"^report\.what_if\b.*_seconds$")

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def by_host(report):
    """The report with its executors in an order that does not depend on which came first, and without Spark's numbers,
    which it gives in that order."""
    executors = report["spark"]["executors"]
    executors.sort(key=lambda executor: (executor["host"], executor["added_at"]))
    for executor in executors:
        del executor["id"]
    return report


class Comparison:
    def __init__(self, one, other):
        self.starts = (seconds(one["step"]["started_at"]), seconds(other["step"]["started_at"]))
        self.compared = 0
        self.differences = []
        self.apart = 0.0
        self.value("report", one, other)

    def differ(self, path, one, other):
        self.differences.append(f"{path}: {json.dumps(one)[:80]} and {json.dumps(other)[:80]}")

    def near(self, path, one, other, apart, rounded=0):
        of_executor = path.startswith("report.spark.executors")
        if not rounded and not of_executor:
            self.apart = max(self.apart, apart)
        if apart > (EXECUTOR_SECONDS_MAX if of_executor else SECONDS_MAX) + rounded:
            self.differ(path, one, other)

    def value(self, path, one, other):
        # What the functions themselves used is each process's own.
        if path == "report.cost.own":
            return
        if isinstance(one, dict) and isinstance(other, dict):
            for name in sorted(one.keys() | other.keys()):
                if name not in one or name not in other:
                    self.differ(f"{path}.{name}", one.get(name, "missing"), other.get(name, "missing"))
                else:
                    self.value(f"{path}.{name}", one[name], other[name])
            return
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            for position, (left, right) in enumerate(zip(one, other)):
                self.value(f"{path}[{position}]", left, right)
            return
        self.compared += 1
        name = path.rpartition(".")[2]
        if isinstance(one, str) and isinstance(other, str) and TIME.match(one) and TIME.match(other):
            apart = abs((seconds(one) - self.starts[0]) - (seconds(other) - self.starts[1]))
            self.near(path, one, other, apart)
        elif name in DURATIONS and isinstance(one, int) and isinstance(other, int):
            unit, rounded = DURATIONS[name]
            self.near(path, one, other, abs(one - other) * unit, rounded)
        elif name in SUMS and isinstance(one, int) and isinstance(other, int):
            if abs(one - other) > SUMS[name] * max(one, other):
                self.differ(path, one, other)
        elif DRAWN.match(path) and isinstance(one, float) and isinstance(other, float):
            if abs(one - other) > SECONDS_MAX + DRAWN_PART * max(abs(one), abs(other)):
                self.differ(path, one, other)
        elif MOMENT.match(path) and isinstance(one, float) and isinstance(other, float):
            self.near(path, one, other, abs(one - other))
        elif one != other or type(one) is not type(other):
            self.differ(path, one, other)


comparison = Comparison(*(by_host(json.load(open(path, encoding="utf-8"))) for path in sys.argv[1:3]))
for difference in comparison.differences:
    print(f"not ok the reports agree: {difference}")
print(f"   {comparison.compared} fields compared, times at most {comparison.apart:.3f} s apart, of executors aside")
if not comparison.differences:
    print("ok the reports agree")
