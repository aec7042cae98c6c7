"""What happens meanwhile: events that come twice, late, early or never; clusters, tags and targets that change; others.

    LOCAL=target/debug/local python meanwhile.py [--jobs N] [NAME…]

Each asserts what any right implementation answers: verdict, cause, how many were interrupted; never a sentence.
"""

from harness import (BUCKET, Account, Starve, cluster, collector, command, expect, hit, main, spark, staged, verdict)

CASES = {}
case = collector(CASES)


def interrupted(aws):
    return len(aws.spot("experiment") | aws.spot("marked"))


def task_target(aws, cluster_id, units):
    fleets = aws.emr.list_instance_fleets(ClusterId=cluster_id)["InstanceFleets"]
    [task] = [fleet for fleet in fleets if fleet["InstanceFleetType"] == "TASK"]
    aws.emr.modify_instance_fleet(ClusterId=cluster_id, InstanceFleet={
        "InstanceFleetId": task["Id"], "TargetSpotCapacity": units, "TargetOnDemandCapacity": 0})


# ---- Events


@case("running-told-three-times")
def told_thrice():
    with Account() as aws:
        step = aws.begin(aws.cluster, spark())
        aws.until_noticed(3)
        for _ in range(2):
            aws.invoke("StartExperiment", aws.step_event(aws.cluster, step, "RUNNING"))
        aws.until_over(aws.cluster, step)
        expect("verdict", verdict(aws.report(aws.cluster, step)), "survived")
        expect("experiments", len(aws.experiments()), 1)
        expect("instances interrupted", interrupted(aws), 3)


@case("running-told-after-the-end")
def told_late():
    with Account() as aws:
        step, report = aws.run(aws.cluster, spark())
        for _ in range(3):
            aws.invoke("StartExperiment", aws.step_event(aws.cluster, step, "RUNNING"))
            aws.sleep(60)
        expect("experiments", len(aws.experiments()), 1)
        expect("verdict", verdict(aws.report(aws.cluster, step)), verdict(report))


@case("end-told-before-it-came")
def told_early():
    with Account() as aws:
        step = aws.begin(aws.cluster, spark())
        aws.sleep(60)
        aws.invoke("WriteReport", aws.step_event(aws.cluster, step, "COMPLETED"))
        aws.until_over(aws.cluster, step)
        expect("verdict", verdict(aws.report(aws.cluster, step)), "survived")


@case("another-end-told")
def another_end():
    """What EMR itself says of the step beats what an event says."""
    with Account() as aws:
        step, _ = aws.run(aws.cluster, spark())
        for state in ("FAILED", "CANCELLED", "INTERRUPTED"):
            failed, _ = aws.invoke("WriteReport", aws.step_event(aws.cluster, step, state))
            expect(f"the function fails of {state}", failed, False)
        expect("verdict", verdict(aws.report(aws.cluster, step)), "survived")


@case("end-never-told-of-a-degraded-run", True, "degraded")
@case("end-never-told", False, "survived")
def never_told(starved, wanted):
    """The sweep finds it, two hours after its cluster went."""
    with Account() as aws:
        here = aws.run_cluster(keep=False, steps=[spark()])
        step = aws.emr.list_steps(ClusterId=here)["Steps"][0]["Id"]
        aws.mute("COMPLETED")
        aws.until_running(here, step)
        aws.until_over(here, step, meanwhile=Starve(aws, here) if starved else None)
        aws.sleep(7200)
        expect("verdict", verdict(aws.report(here, step)), wanted)


@case("nonsense-told")
def nonsense():
    with Account() as aws:
        step = aws.begin(aws.cluster, spark())
        for event in ({}, {"detail": None}, {"detail-type": "EMR Step Status Change"}, [], "x", None,
                      aws.step_event(aws.cluster, "s-NOTHERE", "RUNNING"), aws.step_event("j-NOTHERE", step, "RUNNING"),
                      aws.step_event("../../x", step, "RUNNING")):
            for function in ("StartExperiment", "WriteReport", "RecordInterruption"):
                aws.invoke(function, event)
        aws.until_over(aws.cluster, step)
        expect("verdict", verdict(aws.report(aws.cluster, step)), "survived")
        expect("experiments", len(aws.experiments()), 1)


# ---- Steps, clusters, tags and targets


@case("cancelled-between-waves")
def between_waves():
    with Account(waves=3, wave_interval=120, victims=2) as aws:
        step = aws.begin(aws.cluster, spark())
        aws.until_noticed(2)
        aws.emr.cancel_steps(ClusterId=aws.cluster, StepIds=[step])
        aws.sleep(900)
        expect("instances interrupted", interrupted(aws), 2)
        expect("verdict", verdict(aws.report(aws.cluster, step)), "inconclusive")


@case("cluster-ended-during-the-wait")
def ended_during_the_wait():
    with Account() as aws:
        here = aws.run_cluster()
        step = aws.begin(here, spark())
        aws.sleep(40)
        aws.emr.terminate_job_flows(JobFlowIds=[here])
        aws.sleep(600)
        expect("instances interrupted", interrupted(aws), 0)


@case("tag-taken-away-during-the-wait")
def tag_taken_away():
    with Account() as aws:
        step = aws.begin(aws.cluster, spark())
        aws.sleep(30)
        aws.emr.remove_tags(ResourceId=aws.cluster, TagKeys=["spot-drill"])
        aws.until_over(aws.cluster, step)
        expect("instances interrupted", interrupted(aws), 0)


@case("never-opted-in")
def never_opted_in():
    with Account() as aws:
        here = aws.run_cluster(tag=False)
        [step] = aws.add(here, spark())
        aws.until_over(here, step)
        aws.sleep(600)
        expect("instances interrupted", interrupted(aws), 0)
        expect("report", aws.report(here, step, limit=10), None)


@case("cluster-ended-by-its-user-in-mid-run")
def ended_in_mid_run():
    with Account() as aws:
        here = aws.run_cluster()
        step = aws.begin(here, spark())
        aws.sleep(300)
        aws.emr.terminate_job_flows(JobFlowIds=[here])
        aws.until_over(here, step)
        report = aws.report(here, step)
        expect("verdict", verdict(report), "inconclusive")
        expect("why the cluster ended is told", bool(report["cluster"]["reason"]), True)


@case("target-lowered-after-the-losses")
def target_lowered():
    """What nobody wants any more was not missed."""
    with Account() as aws:
        here = aws.run_cluster()
        [step] = aws.add(here, spark())
        aws.until_noticed(3)
        aws.sleep(125)
        task_target(aws, here, 16)
        aws.until_over(here, step)
        expect("verdict", verdict(aws.report(here, step)), "survived")


@case("scaled-in-and-nobody-interrupted")
def scaled_in():
    with Account(mode="off") as aws:
        step = aws.begin(aws.cluster, spark())
        aws.sleep(60)
        task_target(aws, aws.cluster, 16)
        aws.until_over(aws.cluster, step)
        report = aws.report(aws.cluster, step)
        expect("verdict", verdict(report), "inconclusive")
        expect("interruptions", len(report["interruptions"]), 0)


@case("fewer-nodes-than-victims")
def fewer_nodes():
    with Account(victims=3, wait=60) as aws:
        here = aws.run_cluster(units=8)
        _, report = aws.run(here, spark())
        expect("instances interrupted", interrupted(aws), 0)
        expect("verdict", verdict(report), "inconclusive")


@case("no-task-node-is-on-spot")
def no_spot():
    with Account(wait=60) as aws:
        request = cluster()
        task = request["Instances"]["InstanceFleets"][-1]
        del task["LaunchSpecifications"]
        task["TargetOnDemandCapacity"] = task.pop("TargetSpotCapacity")
        here = aws.emr.run_job_flow(**request)["JobFlowId"]
        aws.until(lambda: aws.cluster_state(here) == "WAITING", every=10)
        _, report = aws.run(here, spark())
        expect("verdict", verdict(report), "inconclusive")
        expect("instances interrupted", interrupted(aws), 0)


# ---- Groups, as fleets


@case("groups-that-stay-replaced-too-late", True)
@case("groups-of-a-transient-cluster-never-replaced", False)
def groups_starve(keep):
    with Account() as aws:
        shape = {"groups": True, "units": 8, "core_units": 1}
        if keep:
            here = aws.run_cluster(**shape)
            [step] = aws.add(here, spark())
        else:
            here = aws.run_cluster(**shape, keep=False, steps=[spark()])
            step = aws.emr.list_steps(ClusterId=here)["Steps"][0]["Id"]
        aws.until_running(here, step)
        aws.until_over(here, step, meanwhile=Starve(aws, here))
        expect("verdict", verdict(aws.report(here, step)), "degraded")


@case("groups-with-nothing-wrong")
def groups():
    with Account() as aws:
        here = aws.run_cluster(groups=True, units=8, core_units=1)
        _, report = aws.run(here, spark())
        expect("verdict", verdict(report), "survived")


@case("core-group-on-spot")
def core_group():
    with Account(mode="off") as aws:
        here = aws.run_cluster(groups=True, units=6, core_units=3, core_spot=True)
        step = aws.begin(here, spark(conf=["spark.yarn.maxAppAttempts=1"]))
        aws.sleep(60)
        core = aws.instances(here, "CORE")
        aws.interrupt(core)
        staged(aws.until_over(here, step) == "FAILED", "the driver's loss did not end the job")
        report = aws.report(here, step)
        expect("verdict", verdict(report), "failed")
        for one in core:
            expect(f"{one} is told", hit(report, one) is not None, True)


# ---- Others


@case("two-clusters-at-once")
def two_clusters():
    with Account() as aws:
        clusters = [aws.run_cluster(name=name) for name in "ab"]
        own = {here: set(aws.instances(here)) for here in clusters}
        steps = {here: aws.add(here, spark(f"s3://{BUCKET}/{here}/"))[0] for here in clusters}
        for here, step in steps.items():
            aws.until_over(here, step)
            report = aws.report(here, step)
            expect("verdict", verdict(report), "survived")
            expect("interruptions", len(report["interruptions"]), 3)
            expect("all are its own", {one["instance_id"] for one in report["interruptions"]} <= own[here], True)


@case("two-steps-in-a-row")
def two_steps():
    with Account() as aws:
        steps = aws.add(aws.cluster, spark(f"s3://{BUCKET}/a/"), spark(f"s3://{BUCKET}/b/"))
        for step in steps:
            aws.until_over(aws.cluster, step)
        reports = [aws.report(aws.cluster, step) for step in steps]
        for report in reports:
            expect("verdict", verdict(report), "survived")
        counted = [{one["instance_id"] for one in report["interruptions"] if one["bearing"] == "counts"}
                   for report in reports]
        expect("a loss counts for both", bool(counted[0] & counted[1]), False)


@case("others-take-more-during-the-drill")
def others_take_more():
    with Account() as aws:
        [step] = aws.add(aws.cluster, spark())
        aws.until_noticed(3)
        ours = set(aws.spot("marked"))
        others = [one for one in aws.instances(aws.cluster) if one not in ours][:2]
        aws.interrupt(others)
        aws.until_over(aws.cluster, step)
        report = aws.report(aws.cluster, step)
        for cause, ids in (("experiment", ours), ("other_experiment", others)):
            for one in ids:
                expect(f"cause of {one}", (hit(report, one) or {}).get("cause"), cause)


@case("interrupted-after-the-end")
def after_the_end():
    with Account(mode="off") as aws:
        [step] = aws.add(aws.cluster, spark())
        aws.until_over(aws.cluster, step)
        aws.interrupt(aws.instances(aws.cluster)[:2])
        aws.sleep(200)
        expect("verdict", verdict(aws.report(aws.cluster, step)), "inconclusive")


@case("a-step-of-hive")
def hive():
    with Account() as aws:
        [step] = aws.add(aws.cluster, command("hive-script", "--run-hive-script", "--args", "-f", f"s3://{BUCKET}/x.q"))
        aws.until_over(aws.cluster, step)
        aws.sleep(300)
        expect("report", aws.report(aws.cluster, step, limit=10), None)
        expect("instances interrupted", interrupted(aws), 0)


if __name__ == "__main__":
    main(CASES, __doc__.splitlines()[0])
