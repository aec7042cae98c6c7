"""Event logs of shapes that few real ones at hand have, by a scheduler of its own: jobs at once, under FIFO or FAIR; dynamic
allocation; speculation; a driver that waits; many small stages; one task; tens of thousands.

It shares nothing with `what-if` but the meaning of Spark's events, whose form is that of
https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/util/JsonProtocol.scala
"""

import heapq
import json

START_MS = 1_800_000_000_000


class Cluster:
    """Executors, jobs and tasks in time; writes the log as it goes."""

    def __init__(self, rng, executors, cores, fair=False, idle_ms=None, late_ms=0):
        self.rng, self.cores, self.fair, self.idle_ms = rng, cores, fair, idle_ms
        self.now, self.queue, self.count, self.lines = START_MS, [], 0, []
        self.free, self.alive, self.since = {}, set(), {}
        self.jobs, self.stages, self.next_task = [], {}, 0
        self.write("LogStart", **{"Spark Version": "3.5.5"})
        self.write("ApplicationStart", **{"App Name": "made", "App ID": "application_1_1", "Timestamp": self.now, "User": "u"})
        for number in range(executors):
            self.at(self.now + 2_000 + number * late_ms + rng.randrange(300), self.add, str(number + 1))

    def write(self, event, **fields):
        self.lines.append(json.dumps({"Event": f"SparkListener{event}", **fields}, separators=(",", ":")))

    def at(self, when, do, *what):
        self.count += 1
        heapq.heappush(self.queue, (when, self.count, do, what))

    def add(self, executor):
        self.alive.add(executor)
        self.free[executor], self.since[executor] = self.cores, self.now
        info = {"Host": f"ip-10-0-0-{executor}.ec2.internal", "Total Cores": self.cores, "Log Urls": {}}
        self.write("ExecutorAdded", **{"Timestamp": self.now, "Executor ID": executor, "Executor Info": info})
        self.give()

    def let_go(self):
        for executor in sorted(self.alive):
            idle = self.free[executor] == self.cores and self.now - self.since[executor] >= self.idle_ms
            if idle and len(self.alive) > 1:
                self.alive.remove(executor)
                reason = "Executor killed by driver."
                self.write("ExecutorRemoved", **{"Timestamp": self.now, "Executor ID": executor, "Removed Reason": reason})

    def submit(self, job):
        """A job: stages, each its tasks' times and its parents' places in the list; `then` is what the driver does after it."""
        number = len(self.jobs)
        first = len(self.stages)
        job = {"id": number, "then": job.get("then"), "stages": []}
        self.jobs.append(job)
        for place, (times, parents) in enumerate(self.wanted.pop(0)):
            stage = {"id": first + place, "times": times, "parents": [first + it for it in parents], "job": number}
            stage |= {"pending": list(range(len(times))), "running": 0, "done": 0, "state": "waits"}
            self.stages[stage["id"]] = stage
            job["stages"].append(stage["id"])
        infos = [self.info(self.stages[it]) for it in job["stages"]]
        fields = {"Job ID": number, "Submission Time": self.now, "Stage Infos": infos, "Stage IDs": job["stages"], "Properties": {}}
        self.write("JobStart", **fields)
        self.begin(job)

    def info(self, stage, **times):
        rdd = [{"RDD ID": stage["id"] * 10, "Name": "rdd", "Parent IDs": [], "Number of Partitions": len(stage["times"])}]
        name = {"Stage ID": stage["id"], "Stage Attempt ID": 0, "Stage Name": f"map at Job.scala:{stage['id']}"}
        return name | {"Number of Tasks": len(stage["times"]), "RDD Info": rdd, "Parent IDs": stage["parents"], "Details": ""} | times

    def begin(self, job):
        for it in job["stages"]:
            stage = self.stages[it]
            if stage["state"] == "waits" and all(self.stages[parent]["state"] == "done" for parent in stage["parents"]):
                stage["state"], stage["submitted"] = "led", self.now + self.rng.randrange(5, 60)
                self.at(stage["submitted"], self.lead, it)

    def lead(self, it):
        stage = self.stages[it]
        stage["state"] = "runs"
        info = self.info(stage, **{"Submission Time": self.now, "Accumulables": []})
        self.write("StageSubmitted", **{"Stage Info": info, "Properties": {}})
        if not stage["times"]:
            self.complete(stage)
        self.give()

    def give(self):
        order = sorted((it for it in self.stages.values() if it["state"] == "runs"), key=lambda it: (it["job"], it["id"]))
        while any(it["pending"] for it in order) and any(self.free[it] for it in self.alive):
            waiting = [it for it in order if it["pending"]]
            stage = min(waiting, key=lambda it: it["running"]) if self.fair else waiting[0]
            executor = max(sorted(self.alive), key=lambda it: self.free[it])
            self.launch(stage, executor)

    def launch(self, stage, executor):
        partition = stage["pending"].pop(0)
        stage["running"] += 1
        self.free[executor] -= 1
        took = stage["times"][partition] + self.rng.randrange(3, 25)
        info = {"Task ID": self.next_task, "Index": partition, "Attempt": 0, "Partition ID": partition, "Launch Time": self.now}
        info |= {"Executor ID": executor, "Host": f"ip-10-0-0-{executor}.ec2.internal", "Locality": "ANY", "Speculative": False}
        info |= {"Getting Result Time": 0, "Finish Time": 0, "Failed": False, "Killed": False, "Accumulables": []}
        self.next_task += 1
        self.write("TaskStart", **{"Stage ID": stage["id"], "Stage Attempt ID": 0, "Task Info": info})
        self.at(self.now + took, self.end, stage["id"], executor, info | {"Finish Time": self.now + took})

    def end(self, it, executor, info):
        stage = self.stages[it]
        stage["running"] -= 1
        stage["done"] += 1
        self.free[executor] += 1
        self.since[executor] = self.now
        fields = {"Stage ID": it, "Stage Attempt ID": 0, "Task Type": "ResultTask", "Task End Reason": {"Reason": "Success"}}
        self.write("TaskEnd", **fields, **{"Task Info": info})
        if stage["done"] == len(stage["times"]):
            self.complete(stage)
        self.give()
        if self.idle_ms is not None:
            self.at(self.now + self.idle_ms, self.let_go)

    def complete(self, stage):
        stage["state"] = "done"
        times = {"Submission Time": stage["submitted"], "Completion Time": self.now, "Accumulables": []}
        self.write("StageCompleted", **{"Stage Info": self.info(stage, **times)})
        job = self.jobs[stage["job"]]
        self.begin(job)
        if all(self.stages[it]["state"] == "done" for it in job["stages"]):
            result = {"Job ID": job["id"], "Completion Time": self.now + 2, "Job Result": {"Result": "JobSucceeded"}}
            self.write("JobEnd", **result)
            if job["then"] is not None:
                self.at(self.now + 2 + job["then"], self.submit, {"then": job["then"]})

    def run(self, wanted, threads=1, then=200):
        """Jobs in their order, by so many threads of the driver, each of which waits a while after each of its jobs."""
        self.wanted = wanted
        for thread in range(threads):
            self.at(START_MS + 4_000 + thread * 700, self.submit, {"then": then})
        while self.queue:
            self.now, _, do, what = heapq.heappop(self.queue)
            if do == self.submit and not self.wanted:
                continue
            do(*what)
        self.write("ApplicationEnd", Timestamp=max(self.now, START_MS) + 500)
        return self.lines


def times(rng, count, middle, spread=0.3):
    return [max(1, int(rng.lognormvariate(0, spread) * middle)) for _ in range(count)]


def shuffle(rng, maps, reduces, middle=1_500):
    return [(times(rng, maps, middle), []), (times(rng, reduces, middle), [0])]


def logs(rng):
    """Names and lines."""
    three = lambda: [shuffle(rng, rng.randrange(5, 80), rng.randrange(3, 40)) for _ in range(9)]
    yield "one after the other", Cluster(rng, 5, 2).run(three())
    yield "three threads, FIFO", Cluster(rng, 5, 2).run(three(), threads=3)
    yield "three threads, FAIR", Cluster(rng, 5, 2, fair=True).run(three(), threads=3)
    yield "dynamic allocation", Cluster(rng, 8, 2, idle_ms=3_000, late_ms=2_500).run(three(), then=6_000)
    yield "a driver that works", Cluster(rng, 4, 4).run(three(), then=9_000)
    yield "one task", Cluster(rng, 2, 2).run([[(times(rng, 1, 5_000), [])]])
    yield "no task", Cluster(rng, 2, 2).run([[([], [])]])
    yield "no job", Cluster(rng, 2, 2).run([])
    yield "a skewed stage", Cluster(rng, 6, 2).run([[(times(rng, 60, 900) + [40_000], []), (times(rng, 20, 1_000), [0])]])
    small = [shuffle(rng, 3, 2, 60) for _ in range(300)]
    yield "six hundred small stages", Cluster(rng, 4, 4).run(small, then=20)
    diamond = [(times(rng, 40, 900), []), (times(rng, 30, 1_200), []), (times(rng, 25, 700), [0, 1]), (times(rng, 9, 500), [0, 2])]
    yield "a diamond of stages", Cluster(rng, 6, 2).run([diamond, diamond])
    yield "many cores", Cluster(rng, 3, 32).run([shuffle(rng, 900, 200, 400)])
    yield "twenty thousand tasks", Cluster(rng, 40, 4).run([shuffle(rng, 16_000, 4_000, 2_500)])
