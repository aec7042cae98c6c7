"""The same facts, written in the ways in which people write them: settings, places, commands, words of Spark's.

    LOCAL=target/debug/local python spellings.py [--jobs N] [NAME…]

Each row is one way, and what any right implementation answers to it; never a sentence.
"""

from harness import (BUCKET, EXECUTORS, SCRIPT, SUBMIT, Account, cluster, collector, command, expect, main, spark, staged,
                     verdict)

CASES = {}
case = collector(CASES)


def each(kind, rows):
    """A case for each row, named by its kind and its number."""

    def add(function):
        for number, row in enumerate(rows, 1):
            case(f"{kind}-{number:02}", *row)(function)
        return function

    return add


# The step is done when the application is submitted, which fails later.
@each("does-not-wait", [
    (["--conf=spark.yarn.submit.waitAppCompletion=FALSE"],),
    (["-c", "spark.yarn.submit.waitAppCompletion=false"],),
    (["--conf", "spark.yarn.submit.waitAppCompletion= False"],),
])
def does_not_wait(words):
    with Account("job-fails", mode="off") as aws:
        here = aws.run_cluster(release="emr-6.15.0", concurrency=2)
        step = command("spark-submit", "--deploy-mode", "cluster", *EXECUTORS, *words, SCRIPT,
                       f"s3://{BUCKET}/resultsspot/")
        inside = aws.steps_with_losses(here, step)
        for one in inside:
            expect("verdict", verdict(aws.report(here, one)), {"inconclusive", "failed"})


# Where the step's own log lies costs nothing that the event log tells.
@each("log-uri", [(f"s3a://{BUCKET}/emr-logs",), (f"s3n://{BUCKET}/emr-logs/",), (f"s3://{BUCKET}",),
                  ("s3://somebody-elses/x/y/",), (None,)])
def log_uri(uri):
    with Account() as aws:
        request = cluster(log_uri=uri)
        if uri is None:
            del request["LogUri"]
        here = aws.emr.run_job_flow(**request)["JobFlowId"]
        aws.until(lambda: aws.cluster_state(here) == "WAITING", every=10)
        _, report = aws.run(here, spark())
        expect("verdict", verdict(report), "survived")
        expect("the event log is in the report", report["spark"] is not None, True)


@each("event-log-directory", [(f"s3://{BUCKET}/spark-events",), (f"s3a://{BUCKET}/a/b/c/",), (f"s3n://{BUCKET}/a",)])
def event_log_directory(place):
    with Account() as aws:
        _, report = aws.run(aws.cluster, spark(conf=[f"spark.eventLog.dir={place}"]))
        expect("verdict", verdict(report), "survived")
        expect("the event log is in the report", report["spark"] is not None, True)


# What the last argument is when it is no output, and outputs that never carry a marker. The job writes to none of them.
@each("no-marker", [
    ("hdfs:///out/", [], []),
    ("file:///tmp/out", [], []),
    ("jdbc:postgresql://db/x", [], []),
    ("analytics.daily_sales", [], []),
    ("2026-11-20", [], []),
    (f"s3a://{BUCKET}/el/", ["spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs=false",
                             f"spark.spotDrill.output=s3://{BUCKET}/el/"], ["el/part-0.parquet"]),
    (f"s3a://{BUCKET}/el/", ["spark.sql.sources.partitionOverwriteMode=DYNAMIC",
                             f"spark.spotDrill.output=s3://{BUCKET}/el/"], ["el/dt=1/part-0.parquet"]),
    (f"s3a://{BUCKET}/el/", [], ["el/_delta_log/0.json", "el/part-0.parquet"]),
    (f"s3a://{BUCKET}/el/", [], ["el/.hoodie/x.commit", "el/part-0.parquet"]),
    (f"s3a://{BUCKET}/el/", [], ["el/_spark_metadata/0", "el/part-0.parquet"]),
])
def no_marker(last, conf, keys):
    with Account() as aws:
        step = aws.begin(aws.cluster, spark("--in", f"s3a://{BUCKET}/in/", last, conf=conf))
        aws.sleep(60)
        for key in keys:
            aws.put(key)
        aws.until_over(aws.cluster, step)
        expect("verdict", verdict(aws.report(aws.cluster, step)), "survived")


# Spark's words for a job that was not needed any more, and for one that failed.
@each("job-ended", [
    ("Job 1 cancelled because Stage 3 was cancelled", "survived"),
    ("Job 1 cancelled as part of cancellation of all jobs", "survived"),
    ("Job 1 cancelled ", "survived"),
    ("Job 1 cancelled part of cancelled job tag x", "survived"),
    ("Job 1 cancelled part of cancelled job tags x,y", "survived"),
    ("[SPARK_JOB_CANCELLED] Job 1 cancelled part of cancelled job group abc SQLSTATE: XXKDA", "survived"),
    ("Job aborted due to stage failure: ShuffleMapStage 3 (count at x.py:3) has failed the maximum allowable number of "
     "times: 4. Most recent failure reason: org.apache.spark.shuffle.FetchFailedException", "degraded"),
    ("Job aborted due to stage failure: Task 1 in stage 2.0 failed 4 times, most recent failure: Lost task 1.3 in stage "
     "2.0 (TID 7) (h executor 2): ExecutorLostFailure (executor 2 exited) Reason: Container cancelled", "degraded"),
])
def job_ended(message, wanted):
    with Account() as aws:
        step = aws.begin(aws.cluster, spark())
        aws.write_failed_job(message)
        aws.until_over(aws.cluster, step)
        expect("verdict", verdict(aws.report(aws.cluster, step)), wanted)


# What makes two runs those of one job, and what does not.
@each("history", [
    ("--env prod", "--env dev", 0),
    ("--table orders", "--table clients", 0),
    ("--run-id 7c9e6679-7425-40de-944b-e07fc1f90ae7", "--run-id 0f8fad5b-d9cb-469f-a165-70867728950e", 1),
    ("--at=2026-11-20T03:00:00Z", "--at=2026-11-21T03:00:00Z", 1),
    ("--ds 20261120", "--ds 20261121", 1),
    ("scheduled__2026-11-20T03:00:00+00:00", "scheduled__2026-11-21T03:00:00+00:00", 1),
    ("--epoch 1763607600", "--epoch 1763694000", 1),
])
def history(first, second, runs):
    with Account("short-job", mode="off") as aws:
        here = aws.run_cluster()
        for words, wanted in ((first, 0), (second, runs)):
            _, report = aws.run(here, spark(*words.split(), f"s3://{BUCKET}/out/", script=SCRIPT))
            staged(report, "there is no report")
            expect(f"runs compared with, for {words}", report["cost"]["undisturbed_runs"], wanted)


# Ways to Spark, whose status may not be the application's.
@each("launched", [
    ("workshop", ["sudo", "-u", "hadoop", *SUBMIT.split()], "survived"),
    ("workshop", ["env", "A=b", *SUBMIT.split()], "survived"),
    ("workshop", ["/usr/lib/spark/bin/spark-submit", *SUBMIT.split()[1:]], "survived"),
    ("workshop", ["spark-class", "org.apache.spark.deploy.SparkSubmit", *SUBMIT.split()[1:]], "survived"),
    ("workshop", ["bash", "-c", f"aws s3 ls; {SUBMIT}"], "survived"),
    ("workshop", ["bash", "-c", f"{SUBMIT} && echo done"], "survived"),
    ("workshop", ["bash", "-lc", f"set -o pipefail; {SUBMIT} | tee log"], {"survived", "inconclusive"}),
    ("job-fails", ["bash", "-c", f"{SUBMIT} || true"], "inconclusive"),
    ("job-fails", ["sh", "-c", f"{SUBMIT}; exit 0"], "inconclusive"),
])
def launched(scenario, words, wanted):
    with Account(scenario) as aws:
        _, report = aws.run(aws.cluster, command(*words))
        expect("verdict", verdict(report), wanted)


if __name__ == "__main__":
    main(CASES, __doc__.splitlines()[0])
