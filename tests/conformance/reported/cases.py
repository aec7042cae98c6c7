"""Problems that users of neighbouring tools met, staged on the served account.

    LOCAL=target/debug/local python cases.py [--jobs N] [NAME…]

Each case asserts what any right implementation answers: verdict, cause, fields of report.json; never a sentence. Needs
Python 3.11 and boto3.
"""

import json

from harness import (BUCKET, NOT_REPLACED_SECONDS, SCRIPT, SPARK_EVENTS, Account, NotStaged, Starve, collector, expect,
                     findings, hit, main, spark, staged, verdict)

CASES = {}
case = collector(CASES)


# ---- 01: the step is done when the application is submitted


@case("01-step-does-not-wait", "step")
@case("01-step-does-not-wait-by-cluster", "cluster")
def step_does_not_wait(said_by):
    """Steps complete at submission; instances go meanwhile; the applications fail minutes later."""
    setting = "spark.yarn.submit.waitAppCompletion"
    with Account("job-fails", mode="off") as aws:
        defaults = {setting: "false"} if said_by == "cluster" else None
        here = aws.run_cluster(defaults=defaults, release="emr-6.15.0", concurrency=2)
        # Spark reads a boolean in any case of letters. Many short steps, so that the losses fall inside some.
        conf = [f"{setting}=False"] if said_by == "step" else []
        inside = aws.steps_with_losses(here, spark(conf=conf))
        # `failed` is right too, if the report waited for the application itself.
        for one in inside:
            expect("verdict", verdict(aws.report(here, one)), {"inconclusive", "failed"})


# ---- 02: the same event once more


@case("02-second-delivery", "terminated")
@case("02-second-delivery-after-recovery", "recovered")
def second_delivery(meanwhile):
    """A degraded run's COMPLETED comes again, after the cluster has ended, or its capacity has come back."""
    with Account() as aws:
        here = aws.run_cluster()
        step = aws.begin(here, spark())
        starve = Starve(aws, here)
        aws.until_over(here, step, meanwhile=starve)
        first = verdict(aws.report(here, step, meanwhile=starve))
        staged(first == "degraded", f"the first verdict is {first}")
        if meanwhile == "terminated":
            aws.emr.terminate_job_flows(JobFlowIds=[here])
        aws.sleep(600)
        _, told = aws.invoke("WriteReport", aws.step_event(here, step, "COMPLETED"))
        expect("verdict in S3", verdict(aws.report(here, step)), first)
        expect("verdict told to subscribers", (told or {}).get("verdict", first), first)  # or nothing is told


# ---- 03: the cluster ends with its last step


@case("03-transient-cluster")
def transient_cluster():
    """As 05, on a cluster that is terminating when the report is written: that excuses nothing that was before."""
    with Account() as aws:
        here = aws.run_cluster(keep=False, steps=[spark()])
        step = aws.emr.list_steps(ClusterId=here)["Steps"][0]["Id"]
        aws.until_running(here, step)
        aws.until_over(here, step, meanwhile=Starve(aws, here))
        expect("verdict", verdict(aws.report(here, step)), "degraded")


# ---- 04: losses that lie before the step


@case("04-losses-before-the-step")
def losses_before_the_step():
    """EC2 has ended A's victims; then B begins; then EMR finds them gone. B lost nothing."""
    with Account() as aws:
        a, b = aws.add(aws.cluster, spark(name="A"), spark(f"s3://{BUCKET}/b/", name="B"))
        aws.until_running(aws.cluster, a)
        victims = set(aws.until_noticed(3))
        aws.mute("RUNNING")  # B gets no drill of its own
        aws.until(lambda: victims <= set(aws.spot("terminated-by")), every=1)
        aws.emr.cancel_steps(ClusterId=aws.cluster, StepIds=[a])
        aws.until_over(aws.cluster, b)
        began = aws.step(aws.cluster, b)[1]
        staged(all(at < began for at in aws.spot("terminated-by").values()), "B began before EC2 ended A's victims")
        report = aws.report(aws.cluster, b)
        expect("verdict", verdict(report), "inconclusive")
        expect("warnings-lost is found, though all are on record", "warnings-lost" in findings(report), False)


# ---- 05: capacity that came back too late


@case("05-replaced-after-the-end")
def replaced_after_the_end():
    """The job missed its capacity for minutes; it comes back when the job is over."""
    with Account() as aws:
        here = aws.run_cluster()
        step = aws.begin(here, spark())
        aws.until_over(here, step, meanwhile=Starve(aws, here))
        report = aws.report(here, step)
        gone = aws.spot("terminated-by-experiment")
        staged(gone, "nobody was interrupted")
        missed = (aws.step(here, step)[2] - max(gone.values())).total_seconds()
        staged(missed > NOT_REPLACED_SECONDS, f"the job ended {missed:.0f} s after the loss")
        expect("verdict", verdict(report), "degraded")


# ---- 06: one witness that cannot be read


@case("06-loguri")
def log_uri():
    """No bucket where the step's own log should lie: that costs the application's id, not its event log."""
    with Account("driver-on-victim") as aws:
        # Twelve units in three instances: all are victims, and one carries the driver.
        here = aws.run_cluster(units=12, release="emr-7.10.0", log_uri="s3n://logs-of-nobody/emr/")
        _, report = aws.run(here, spark())
        staged(any(key.endswith("_2") for key in aws.keys(SPARK_EVENTS)), "the driver was not lost")
        expect("verdict", verdict(report), "degraded")  # the application had to begin again
        expect("the event log is in the report", report["spark"] is not None, True)


# ---- 07: core nodes on Spot


@case("07-core-on-spot", True)
@case("07-core-on-spot-without-a-drill", False)
def core_on_spot(drilled):
    """EC2 reclaims the core nodes, the driver with them; record-interruption has their warnings."""
    with Account(mode="run" if drilled else "off") as aws:
        here = aws.run_cluster(core_spot=True, core_units=8)
        step = aws.begin(here, spark(conf=["spark.yarn.maxAppAttempts=1"]))
        aws.until_noticed(3) if drilled else aws.sleep(60)  # the driver is at work
        core = aws.instances(here, "CORE")
        aws.interrupt(core)
        staged(aws.until_over(here, step) == "FAILED", "the driver's loss did not end the job")
        report = aws.report(here, step)
        staged(set(core) <= set(aws.spot("terminated-by-experiment")), "the core nodes were not reclaimed")
        expect("verdict", verdict(report), "failed")
        # Where the report names them is its own matter, unless it is among the interruptions: then not as ours.
        told = json.dumps(report)
        for one in core:
            expect(f"{one}, a reclaimed core node, is named", one in told, True)
            expect("its cause is this drill", (hit(report, one) or {}).get("cause") == "experiment", False)


# ---- 08: the program failed by itself


@case("08-failed-before-the-notice", "notice")
@case("08-failed-before-the-loss", "loss")
def failed_first(moment):
    """The user's code fails when the experiment runs already, but nobody has a notice, or nobody has gone yet."""
    for delay in delays(moment):
        with Account("job-fails", delay=delay) as aws:
            [step] = aws.add(aws.cluster, spark(conf=["spark.yarn.maxAppAttempts=1"]))
            staged(aws.until_over(aws.cluster, step) == "FAILED", "the job did not fail")
            report = aws.report(aws.cluster, step)
            ended, noticed, gone = aws.step(aws.cluster, step)[2], aws.targeted(), aws.spot("terminated-by-experiment")
            if not noticed or None in noticed.values() or any(at < ended for at in gone.values()):
                continue
            if (moment == "notice") != (min(noticed.values()) > ended):
                continue
            expect("verdict", verdict(report), "inconclusive")
            expect("warnings-lost is found, though all are on record", "warnings-lost" in findings(report), False)
            return
    raise NotStaged(f"no delay lets the job fail before the first {moment}")


def delays(moment):
    """Seconds from the step's begin to the experiment, to try in turn."""
    if moment == "loss":
        return [400, 380, 420]
    with Account("job-fails", delay=600) as aws:  # never comes: how long does the job take?
        [step] = aws.add(aws.cluster, spark(conf=["spark.yarn.maxAppAttempts=1"]))
        aws.until_over(aws.cluster, step)
        _, began, ended = aws.step(aws.cluster, step)
    return [int((ended - began).total_seconds()) - early for early in (4, 3, 5, 2, 6, 1, 7)]


# ---- 09: whose deed it was


@case("09-failed-experiment-blamed", "experiment-fails", "failed")
@case("09-stopped-experiment-blamed", "stop-alarm", "stopped")
def failed_experiment_blamed(scenario, status):
    """The drill's experiment ended before it touched anybody; somebody else's takes one of those it had chosen."""
    with Account(scenario) as aws:
        [step] = aws.add(aws.cluster, spark())
        aws.until(lambda: status in aws.experiments(), every=2)
        aws.sleep(30)
        chosen = min(aws.targeted())
        staged(not aws.spot("marked"), "the drill's experiment gave notice")
        aws.interrupt([chosen])
        aws.until_over(aws.cluster, step)
        report = aws.report(aws.cluster, step)
        verdict(report)
        entry = hit(report, chosen)
        expect("the interruption is told", entry is not None, True)
        expect("cause", entry["cause"], "other_experiment")


# ---- 10: nothing of the job was hit


@case("10-nothing-of-the-job-hit")
def nothing_of_the_job_hit():
    """The two executors are on the core node, which has most room; three task nodes go, where nothing ever was."""
    with Account() as aws:
        here = aws.run_cluster(core_type="r5.4xlarge", release="emr-5.36.2")
        options = ("--executor-memory", "2G", "--executor-cores", "4")
        _, report = aws.run(here, spark(options=options, conf=["spark.dynamicAllocation.maxExecutors=2"]), every=20)
        verdict(report)
        victims = aws.spot("terminated-by-experiment")
        staged(report["spark"] and len(victims) == 3, "no event log, or not three victims")
        staged(not any(one["instance_id"] in victims for one in report["spark"]["executors"]), "an executor was hit")
        expect("verdict", verdict(report), "inconclusive")


# ---- 11: what the job writes is not always its last argument


@case("11-last-argument-is-an-input", ["input/part-0.json"])
@case("11-output-is-a-table", ["table/metadata/v1.metadata.json", "table/data/p=1/00000-0-a.parquet"])
def no_marker_expected(keys):
    """The last argument is a place that never carries a `_SUCCESS`: no price of the interruption."""
    with Account() as aws:
        for key in keys:
            aws.put(key)
        # s3a only keeps the simulated job from writing its own results there.
        _, report = aws.run(aws.cluster, spark("--path", f"s3a://{BUCKET}/{keys[0].split('/')[0]}/"))
        expect("verdict", verdict(report), "survived")


@case("11-marker-of-last-week")
def old_marker():
    """The marker was there before the run, which wrote nothing to this place."""
    with Account() as aws:
        staged("resultsspot/_SUCCESS" in aws.keys("resultsspot/"), "there is no old marker")
        _, report = aws.run(aws.cluster, spark(f"s3a://{BUCKET}/resultsspot/"))
        verdict(report)
        # The output may be left out, or speak of this run: false or null. Which verdict follows is not asked.
        expect("marker of this run", ((report["output"] or {}).get("has_success_marker")) is True, False)


# ---- 12: Spark cancels what it does not need any more


@case("12-cancelled-spark-job")
def cancelled_spark_job():
    """A job was cancelled with its group, as Spark does to a broadcast's; the application went on and ended well."""
    with Account() as aws:
        step = aws.begin(aws.cluster, spark())
        message = "Job 1 cancelled part of cancelled job group 4f1c7a52-6a1e-4a0c-9d60-0f1f0b4b2b0e"
        aws.write_failed_job(message)
        aws.until_over(aws.cluster, step)
        report = aws.report(aws.cluster, step)
        staged(report and report["spark"], "the event log was not read")
        expect("verdict", verdict(report), "survived")


# ---- 13: a directory of many event logs


@case("13-event-log-directory")
def event_log_directory():
    """Twenty thousand older logs of other applications sort before the step's own."""
    with Account() as aws:
        aws.put_many(f"{SPARK_EVENTS}application_{1_600_000_000_000 + k}_0001_1" for k in range(20_001))
        _, report = aws.run(aws.cluster, spark())
        verdict(report)
        expect("the event log is in the report", report["spark"] is not None, True)


# ---- 16: a step that is being cancelled


@case("16-cancel-pending")
def cancel_pending():
    """The step is CANCEL_PENDING when its drill is due."""
    with Account() as aws:
        step = aws.begin(aws.cluster, spark())
        began = aws.step(aws.cluster, step)[1]
        aws.sleep(88 - (aws.now() - began).total_seconds())
        aws.emr.cancel_steps(ClusterId=aws.cluster, StepIds=[step])
        aws.sleep(3)
        staged(aws.step(aws.cluster, step)[0] == "CANCEL_PENDING", "the step was not being cancelled at its 90 s")
        aws.until_over(aws.cluster, step)
        aws.sleep(180)
        expect("instances interrupted", len(aws.spot("experiment") | aws.spot("marked")), 0)


# ---- 18: a name is no job


@case("18-history-by-name")
def history_by_name():
    """Two programs on two clusters share the name that the console gives."""
    with Account("short-job", mode="off") as aws:
        other = aws.run_cluster(name="other")
        _, report = aws.run(other, spark(f"s3://{BUCKET}/small/", script=SCRIPT))
        staged(report, "the small job has no report")
        _, report = aws.run(aws.cluster, spark(f"s3://{BUCKET}/big/", script=f"s3://{BUCKET}/other.py"))
        verdict(report)
        expect("runs compared with", report["cost"]["undisturbed_runs"], 0)
        expect("slowdown", report["cost"]["slowdown_percent"], None)


if __name__ == "__main__":
    main(CASES, __doc__.splitlines()[0])
