//! Weaknesses around shuffle output: what went with a node and had to be computed again.

use super::{Seen, Weakness};
use crate::words::{plural, rough, span, times};

/// Apache's YARN allocator tells the driver of decommissioning nodes from 3.4 on, and only without the shuffle service.
const ALLOCATOR: &str = "https://issues.apache.org/jira/browse/SPARK-39018";
const SPARK: &str = "https://spark.apache.org/docs/latest/configuration.html";
const EMR: &str = "https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-configure.html";
/// How often in a row a stage may fail, unless a setting says otherwise.
/// <https://spark.apache.org/docs/latest/configuration.html#scheduling>
const STAGE_ATTEMPTS_MAX: i64 = 4;
/// So much of all task time repeated is much, in percent.
const MUCH_PERCENT: u64 = 20;

/// What lost work cost: run time, task time.
fn price(seen: &Seen<'_>) -> Option<String> {
    let run = seen.lost.as_ref().map(|lost| lost.seconds()).filter(|lost| *lost > 0);
    let tasks = seen
        .report
        .spark
        .as_ref()
        .map(|spark| spark.lost_work.lost_ms() / 1_000)
        .filter(|lost| *lost > 0);
    let tasks = tasks.and_then(|lost| i64::try_from(lost).ok());
    match (run, tasks) {
        (Some(run), Some(tasks)) => Some(format!("{} of run time, {} of task time.", span(run), rough(tasks))),
        (Some(run), None) => Some(format!("{} of run time.", span(run))),
        (None, Some(tasks)) => Some(format!("{} of task time.", rough(tasks))),
        (None, None) => None,
    }
}

/// What hands blocks over in the two minutes, as far as it can work on this run's Spark with its settings.
fn migration(seen: &Seen<'_>) -> (String, Vec<String>) {
    let keys = [
        "spark.decommission.enabled",
        "spark.storage.decommission.enabled",
        "spark.storage.decommission.shuffleBlocks.enabled",
    ];
    let mut settings: Vec<String> = keys
        .iter()
        .filter(|key| !seen.is_true(key))
        .map(|key| format!("{key}=true"))
        .collect();
    let is_yarn = seen
        .setting("spark.master")
        .is_none_or(|master| master.starts_with("yarn"));
    let has_service = seen.is_true("spark.shuffle.service.enabled");
    let said = match seen.spark_version() {
        Some(version) if is_yarn && version < (3, 4) => {
            return (
                "This run's Spark is older than 3.4 and does not hand blocks over on YARN.".into(),
                Vec::new(),
            );
        }
        None => "Which Spark ran is not known: from 3.4 on it can hand blocks over in the two minutes.".to_owned(),
        Some(_) if is_yarn && has_service => {
            settings.push("spark.shuffle.service.enabled=false".into());
            if seen.is_true("spark.dynamicAllocation.enabled") {
                settings.push("spark.dynamicAllocation.shuffleTracking.enabled=true".into());
            }
            "Or let executors hand their blocks over in the two minutes. On YARN that needs the external shuffle service off; here it \
             is on, and Spark then ignores the rest. Dynamic allocation without the service needs \
             spark.dynamicAllocation.shuffleTracking.enabled=true."
                .to_owned()
        }
        Some(_) if settings.is_empty() => {
            "Executors were already told to hand their blocks over; it was not enough.".to_owned()
        }
        Some(_) => "Or let executors hand their blocks over in the two minutes.".to_owned(),
    };
    (said, settings)
}

pub(super) fn stages_ran_again(seen: &Seen<'_>) -> Option<Weakness> {
    let spark = seen.report.spark.as_ref()?;
    let counted = seen
        .report
        .interruptions
        .iter()
        .filter(|one| one.loss.is_inside())
        .count();
    (spark.stage_attempts_again > 0 && counted > 0).then_some(())?;
    let (migration, settings) = migration(seen);
    let tasks = spark.lost_work.recomputed_tasks;
    let done = match tasks {
        0 => String::new(),
        some => format!(
            "; {} whose output was lost ran again",
            plural(usize::try_from(some).unwrap_or(0), "task")
        ),
    };
    let left = if seen.is_true("spark.shuffle.service.enabled") {
        " The shuffle files lay with the nodes' shuffle service, and stayed behind when executors left in time."
    } else {
        ""
    };
    Some(Weakness {
        what: "Shuffle files went with their nodes.".into(),
        evidence: format!(
            "{}{done}.{left}",
            if spark.stage_attempts_again == 1 {
                "A stage was tried again".to_owned()
            } else {
                format!("Stages were tried again {}", times(spark.stage_attempts_again))
            }
        ),
        price: price(seen),
        advice: format!(
            "Accept the price; or keep shuffle on nodes that stay, with more On-Demand core nodes and fewer task nodes. {migration} \
             Drill again to see what it saves."
        ),
        settings,
        page: Some(ALLOCATOR),
    })
}

pub(super) fn much_work_repeated(seen: &Seen<'_>) -> Option<Weakness> {
    let spark = seen.report.spark.as_ref()?;
    let (lost, total) = (spark.lost_work.lost_ms(), spark.lost_work.total_task_time_ms);
    (total > 0 && lost * 100 >= total * MUCH_PERCENT).then_some(())?;
    let seconds = |ms: u64| i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    Some(Weakness {
        what: "Much of the work was lost or done again.".into(),
        evidence: format!(
            "{} of {} of task time, {} %.",
            rough(seconds(lost)),
            rough(seconds(total)),
            lost * 100 / total
        ),
        price: price(seen),
        advice: "Cut the lineage before the costly stages: write their result to S3 and read it back, or set a checkpoint directory in \
                 S3 and call checkpoint() there. What lies in S3 does not go with a node."
            .into(),
        page: Some("https://spark.apache.org/docs/latest/api/python/reference/api/pyspark.RDD.checkpoint.html"),
        ..Weakness::default()
    })
}

pub(super) fn attempts_nearly_used_up(seen: &Seen<'_>) -> Option<Weakness> {
    let spark = seen.report.spark.as_ref()?;
    let own = seen
        .setting("spark.stage.maxConsecutiveAttempts")
        .and_then(|most| most.parse().ok());
    let most: i64 = own.unwrap_or(STAGE_ATTEMPTS_MAX);
    let failures = |id: i64| {
        spark
            .stages
            .iter()
            .filter(|one| one.stage_id == id && one.status == "FAILED")
            .count()
    };
    let worst = spark.stages.iter().max_by_key(|stage| failures(stage.stage_id))?;
    let failed = i64::try_from(failures(worst.stage_id)).ok()?;
    let waves = spark
        .stages
        .iter()
        .any(|one| one.stage_id == worst.stage_id && one.attempt > 0);
    (waves && failed + 1 >= most).then_some(())?;
    Some(Weakness {
        what: "A stage was close to being given up.".into(),
        evidence: format!(
            "Stage {} failed {failed} times; after {most} times in a row Spark fails the job.",
            worst.stage_id
        ),
        advice: format!("Allow more attempts, here {}, where losses come in waves.", most * 2),
        settings: vec![format!("spark.stage.maxConsecutiveAttempts={}", most * 2)],
        page: Some(SPARK),
        ..Weakness::default()
    })
}

pub(super) fn expired_hosts_kept(seen: &Seen<'_>) -> Option<Weakness> {
    not_on(
        seen,
        "spark.resourceManager.cleanupExpiredHost",
        "Spark keeps waiting for blocks of nodes that are gone.",
        "With it Spark forgets what lay on a decommissioned host at once, and recomputes it before a stage fails for it.",
    )
}

pub(super) fn decommission_counts_as_failure(seen: &Seen<'_>) -> Option<Weakness> {
    not_on(
        seen,
        "spark.stage.attempt.ignoreOnDecommissionFetchFailure",
        "Failures that a decommissioned node causes count against the stage.",
        "With it a stage is not given up for fetches that fail because a node was taken away.",
    )
}

/// A setting of Amazon's Spark that is on by default there, and was not in this run.
fn not_on(seen: &Seen<'_>, key: &str, what: &str, why: &str) -> Option<Weakness> {
    (seen.is_amazons() && !seen.is_true(key)).then_some(())?;
    let value = seen.setting(key).unwrap_or("not set");
    Some(Weakness {
        what: what.into(),
        evidence: format!("{key} was {value} in this run."),
        advice: why.into(),
        settings: vec![format!("{key}=true")],
        page: Some(EMR),
        ..Weakness::default()
    })
}
