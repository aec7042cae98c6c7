"""The same kinds of problems as in cases.py, in other clothes; and situations in which nothing is wrong.

    LOCAL=target/debug/local python variations.py [--jobs N] [NAME…]

Each asserts what any right implementation answers: verdict, cause, fields of report.json; never a sentence.
"""

import json

from harness import (BUCKET, SCRIPT, SUBMIT, Account, Starve, collector, command, expect, main, spark, staged, verdict)

CASES = {}
case = collector(CASES)


@case("nothing-is-wrong")
def nothing_is_wrong():
    with Account() as aws:
        _, report = aws.run(aws.cluster, spark())
        expect("verdict", verdict(report), "survived")
        expect("causes", tuple({one["cause"] for one in report["interruptions"]}), {("experiment",)})


@case("ended-by-its-user")
def ended_by_its_user():
    """As 05, on a cluster that somebody ends right after."""
    with Account() as aws:
        here = aws.run_cluster()
        step = aws.begin(here, spark())
        aws.until_over(here, step, meanwhile=Starve(aws, here))
        aws.emr.terminate_job_flows(JobFlowIds=[here])
        expect("verdict", verdict(aws.report(here, step)), "degraded")


@case("the-sweep-comes-later")
def sweep_later():
    with Account() as aws:
        here = aws.run_cluster()
        step = aws.begin(here, spark())
        starve = Starve(aws, here)
        aws.until_over(here, step, meanwhile=starve)
        first = verdict(aws.report(here, step, meanwhile=starve))
        aws.sleep(4000)
        aws.invoke("WriteReport", {"sweep": True})
        expect("verdict", verdict(aws.report(here, step)), first)


@case("log-uri-is-a-buckets-root")
def log_uri():
    with Account() as aws:
        here = aws.run_cluster(log_uri="s3://nobody/")
        _, report = aws.run(here, spark())
        expect("verdict", verdict(report), "survived")
        expect("the event log is in the report", report["spark"] is not None, True)


@case("primary-on-spot")
def primary_on_spot():
    """The primary node is reclaimed, and the cluster goes with it."""
    with Account(mode="off") as aws:
        here = aws.run_cluster(primary_spot=True)
        step = aws.begin(here, spark())
        aws.sleep(120)
        [primary] = aws.instances(here, "MASTER")
        aws.interrupt([primary])
        aws.until_over(here, step)
        report = aws.report(here, step)
        expect("verdict", verdict(report), "failed")
        expect("it is named", primary in json.dumps(report["interruptions"]), True)
        expect("why the cluster ended is told", bool(report["cluster"]["reason"]), True)


@case("driver-lost-for-good")
def driver_lost():
    with Account("driver-on-victim") as aws:
        here = aws.run_cluster(units=12, release="emr-7.10.0")
        _, report = aws.run(here, spark(conf=["spark.yarn.maxAppAttempts=1"]))
        expect("verdict", verdict(report), "failed")


@case("stopped-after-it-acted")
def stopped_after():
    """Having been stopped afterwards does not undo what an experiment did."""
    with Account() as aws:
        [step] = aws.add(aws.cluster, spark())
        aws.until_noticed(3)
        for one in aws.fis.list_experiments()["experiments"]:
            aws.fis.stop_experiment(id=one["id"])
        aws.until_over(aws.cluster, step)
        report = aws.report(aws.cluster, step)
        expect("causes", tuple({one["cause"] for one in report["interruptions"]}), {("experiment",)})
        expect("verdict", verdict(report), "survived")


@case("named-output-without-marker", "elsewhere/", "degraded")
@case("named-output-with-marker", "resultsspot", "survived")
def named_output(place, wanted):
    """What the step says of its output beats the guess."""
    with Account() as aws:
        setting = f"spark.spotDrill.output=s3a://{BUCKET}/{place}"
        _, report = aws.run(aws.cluster, spark("--out", f"s3://{BUCKET}/resultsspot/", conf=[setting]))
        expect("verdict", verdict(report), wanted)


@case("a-spark-job-failed-inside")
def failed_job():
    """It did fail, and nobody cancelled it: a price, though the application went on and ended well."""
    with Account() as aws:
        step = aws.begin(aws.cluster, spark())
        message = ("Job aborted due to stage failure: Task 3 in stage 1.0 failed 4 times, most recent failure: Lost task "
                   "3.3 in stage 1.0 (TID 99) (ip-1-2-3-4 executor 4): java.io.IOException: no such block")
        aws.write_failed_job(message)
        aws.until_over(aws.cluster, step)
        expect("verdict", verdict(aws.report(aws.cluster, step)), "degraded")


@case("the-same-job-of-another-day")
def same_job():
    with Account("short-job", mode="off") as aws:
        for day, runs in ((19, 0), (20, 1)):
            step = spark(f"s3://{BUCKET}/out/dt=2026-11-{day}/", name=f"etl 2026-11-{day}", script=SCRIPT)
            _, report = aws.run(aws.cluster, step)
            staged(report, "there is no report")
            expect("runs compared with", report["cost"]["undisturbed_runs"], runs)


@case("a-user-terminates-instances")
def user_terminates():
    """Nobody interrupted anything."""
    with Account(mode="off") as aws:
        step = aws.begin(aws.cluster, spark())
        aws.sleep(100)
        aws.ec2.terminate_instances(InstanceIds=aws.instances(aws.cluster)[:2])
        aws.until_over(aws.cluster, step)
        report = aws.report(aws.cluster, step)
        expect("verdict", verdict(report), "inconclusive")
        expect("interruptions", len(report["interruptions"]), 0)


@case("a-rolled-packed-log")
def rolled_log():
    with Account() as aws:
        conf = ["spark.eventLog.rolling.enabled=true", "spark.eventLog.compress=true"]
        _, report = aws.run(aws.cluster, spark(conf=conf))
        expect("verdict", verdict(report), "survived")
        expect("the event log is in the report", report["spark"] is not None, True)


@case("its-own-failure-ends-the-cluster")
def own_failure():
    with Account("job-fails") as aws:
        here = aws.run_cluster()
        step = spark(conf=["spark.yarn.maxAppAttempts=1"]) | {"ActionOnFailure": "TERMINATE_CLUSTER"}
        _, report = aws.run(here, step)
        expect("verdict", verdict(report), "inconclusive")


@case("behind-a-shell", "", "survived")
@case("behind-a-pipe", " 2>&1 | tee log", {"survived", "inconclusive"})
def behind_a_shell(rest, wanted):
    with Account() as aws:
        _, report = aws.run(aws.cluster, command("bash", "-c", SUBMIT + rest))
        expect("verdict", verdict(report), wanted)


@case("a-pipe-hides-a-failure")
def hidden_failure():
    """The shell completes; its application failed by itself."""
    with Account("job-fails") as aws:
        _, report = aws.run(aws.cluster, command("bash", "-c", SUBMIT + " | tee log"))
        expect("verdict", verdict(report), "inconclusive")


@case("two-drills-of-one-job")
def two_drills():
    """A run that lost instances is none to compare with."""
    with Account() as aws:
        aws.run(aws.cluster, spark())
        _, report = aws.run(aws.cluster, spark())
        expect("runs compared with", report["cost"]["undisturbed_runs"], 0)


if __name__ == "__main__":
    main(CASES, __doc__.splitlines()[0])
