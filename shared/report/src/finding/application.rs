//! Weaknesses of the application: where its driver is, how often it may begin, what can be read of it.

use rules::cause::Blame;
use rules::cluster::Market;

use super::{Seen, Weakness};
use crate::time_lost::{self, Why};
use crate::words::{plural, span};

const LABELS: &str = "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-instances-guidelines.html";
/// YARN's own limit where Spark sets none; Spark takes the smaller of the two.
/// <https://hadoop.apache.org/docs/stable/hadoop-yarn/hadoop-yarn-common/yarn-default.xml>
const ATTEMPTS_MAX: usize = 2;
/// What a notice gives, in seconds.
const NOTICE_SECONDS: i64 = 120;

/// What keeps application masters on nodes that stay, by EMR's release.
fn labels(seen: &Seen<'_>) -> (String, Vec<String>) {
    let release = seen.report.cluster.release_label.as_deref().unwrap_or_default();
    let numbers: Vec<u32> = release
        .trim_start_matches("emr-")
        .split('.')
        .filter_map(|number| number.parse().ok())
        .collect();
    let label = if numbers.as_slice() >= &[7, 2][..] {
        "ON_DEMAND"
    } else {
        "CORE"
    };
    let advice = format!(
        "Keep application masters on nodes that stay: give them the YARN node label {label} (classification yarn-site, \
         when the cluster is made)."
    );
    let settings = vec![
        "yarn.node-labels.enabled=true".to_owned(),
        format!("yarn.node-labels.am.default-node-label-expression={label}"),
    ];
    (advice, settings)
}

pub(super) fn began_again(seen: &Seen<'_>) -> Option<Weakness> {
    let report = seen.report;
    let spark = report.spark.as_ref()?;
    let by_loss = report
        .judgement
        .failure
        .as_ref()
        .is_some_and(|failure| failure.blame == Blame::Interruption);
    (spark.attempts > 1 && (time_lost::began_again(report) || by_loss)).then_some(())?;
    let logs = match spark.attempts_without_log {
        0 => String::new(),
        1 => " One of the earlier attempts left no event log, so what it had done is not known.".to_owned(),
        some => format!(" {some} of the earlier attempts left no event log, so what they had done is not known."),
    };
    let lost = seen
        .lost
        .as_ref()
        .map(|lost| lost.seconds_of(Why::BeganAgain))
        .filter(|lost| *lost > 0);
    let (advice, settings) = labels(seen);
    Some(Weakness {
        what: "The application had to begin again from nothing.".into(),
        evidence: format!("YARN made {}.{logs}", plural(spark.attempts, "attempt")),
        price: lost.map(|lost| format!("{} of run time before the last attempt began.", span(lost))),
        advice: format!(
            "A driver that goes with its node takes all work with it. {advice} Let long jobs write checkpoints."
        ),
        settings,
        page: Some(LABELS),
    })
}

pub(super) fn driver_on_spot(seen: &Seen<'_>) -> Option<Weakness> {
    let spark = seen.report.spark.as_ref()?;
    let host = spark.driver_host.as_deref()?;
    let earlier = spark
        .earlier
        .iter()
        .find(|attempt| attempt.driver_was_interrupted == Some(true));
    let evidence = match (spark.driver_was_interrupted, earlier) {
        (_, Some(attempt)) => format!(
            "The driver of attempt {} was on {}, which was interrupted.",
            attempt.attempt.as_deref().unwrap_or("1"),
            attempt.driver_host.as_deref().unwrap_or("an instance")
        ),
        (Some(true), None) => format!("The driver was on {host}, which was interrupted."),
        _ if spark.driver_market == Some(Market::Spot) => format!(
            "The driver was on {}, a Spot instance that this drill did not hit.",
            spark.driver_instance_id.as_deref().unwrap_or(host)
        ),
        _ => return None,
    };
    let (advice, settings) = labels(seen);
    Some(Weakness {
        what: "The driver ran on a Spot instance.".into(),
        evidence,
        advice: format!("If that instance goes, the application begins again, or fails. {advice}"),
        settings,
        page: Some(LABELS),
        ..Weakness::default()
    })
}

pub(super) fn attempts_used_up(seen: &Seen<'_>) -> Option<Weakness> {
    let spark = seen.report.spark.as_ref()?;
    let own = seen
        .setting("spark.yarn.maxAppAttempts")
        .and_then(|most| most.parse().ok());
    let most = own.unwrap_or(ATTEMPTS_MAX);
    let by_itself = seen
        .report
        .judgement
        .failure
        .as_ref()
        .is_some_and(|failure| failure.blame == Blame::Itself);
    (spark.attempts > 1 && spark.attempts >= most && !by_itself).then_some(())?;
    Some(Weakness {
        what: "The application had no attempt left.".into(),
        evidence: format!(
            "Attempt {} was the last of {most} that are allowed{}.",
            spark.attempts,
            if own.is_some() {
                " (spark.yarn.maxAppAttempts)"
            } else {
                " (YARN's default)"
            }
        ),
        advice: format!(
            "One more loss of the driver fails the job. Allow more attempts, here {}: on the cluster \
             (yarn.resourcemanager.am.max-attempts) and for the job. Spark counts those of the last hour only, if told to.",
            most + 2
        ),
        settings: vec![
            format!("yarn.resourcemanager.am.max-attempts={}", most + 2),
            format!("spark.yarn.maxAppAttempts={}", most + 2),
            "spark.yarn.am.attemptFailuresValidityInterval=1h".into(),
        ],
        page: Some("https://spark.apache.org/docs/latest/running-on-yarn.html#configuration"),
        ..Weakness::default()
    })
}

/// By the mean of a stage: where that is longer than a notice, most tasks are.
pub(super) fn tasks_longer_than_notice(seen: &Seen<'_>) -> Option<Weakness> {
    let spark = seen.report.spark.as_ref()?;
    let mean =
        |stage: &crate::StageRow| i64::try_from(stage.task_time_ms).unwrap_or(i64::MAX) / 1_000 / stage.tasks.max(1);
    let slowest = spark
        .stages
        .iter()
        .filter(|stage| stage.status == "COMPLETE")
        .max_by_key(|stage| mean(stage))?;
    let seconds = mean(slowest);
    (seconds > NOTICE_SECONDS).then_some(())?;
    let pieces = slowest.tasks.max(1) * (seconds / 60 + 1);
    Some(Weakness {
        what: "Tasks take longer than a notice gives.".into(),
        evidence: format!(
            "The {} of stage {} took {} in the mean; a notice gives two minutes.",
            plural(usize::try_from(slowest.tasks).unwrap_or(0), "task"),
            slowest.stage_id,
            span(seconds)
        ),
        advice: format!(
            "A task that runs when the notice comes is lost with its node. Cut the stage into about {pieces} tasks, so that \
             each takes less than a minute."
        ),
        settings: vec![format!("spark.sql.shuffle.partitions={pieces}")],
        page: Some("https://aws.github.io/aws-emr-best-practices/docs/bestpractices/Features/spot_usage/"),
        ..Weakness::default()
    })
}

pub(super) fn does_not_wait(seen: &Seen<'_>) -> Option<Weakness> {
    let doubt = seen.report.completed_doubt.as_deref()?;
    Some(Weakness {
        what: "The step's own status says nothing of its application.".into(),
        evidence: format!("{}.", crate::words::capital(doubt)),
        advice: "Let the step be spark-submit itself and wait for its application, or its end says nothing of the job."
            .into(),
        settings: vec!["spark.yarn.submit.waitAppCompletion=true".into()],
        page: Some("https://spark.apache.org/docs/latest/running-on-yarn.html#configuration"),
        ..Weakness::default()
    })
}

pub(super) fn event_log_missing(seen: &Seen<'_>) -> Option<Weakness> {
    seen.report.spark.is_none().then_some(())?;
    let missing = seen.report.missing.iter().find(|missing| missing.what == "event log")?;
    let began = seen.report.step.has_completed() || seen.report.step.state == "FAILED";
    began.then_some(())?;
    let is_refused = ["AccessDenied", "not authorized", "may not be read"]
        .iter()
        .any(|word| missing.why.contains(word));
    let (advice, settings) = if missing.why.contains("kms:Decrypt") {
        (
            "It lies there, encrypted, and the deployment's role may not decrypt it: name its key in KmsKeyArns.",
            Vec::new(),
        )
    } else if is_refused {
        (
            "It lies there, and the deployment's role may not read it: name its bucket in EventLogBucketArns, and its key, if it \
             is encrypted by KMS, in KmsKeyArns.",
            Vec::new(),
        )
    } else {
        (
            "Have Spark write its event log to S3, and name the bucket in the deployment's EventLogBucketArns.",
            vec![
                "spark.eventLog.enabled=true".to_owned(),
                "spark.eventLog.dir=s3://BUCKET/PREFIX/".to_owned(),
            ],
        )
    };
    Some(Weakness {
        what: "No event log was read, so what Spark lost is not known.".into(),
        evidence: format!("{}.", crate::words::capital(missing.why.trim_end_matches('.'))),
        advice: advice.into(),
        settings,
        page: Some("https://spark.apache.org/docs/latest/monitoring.html#spark-history-server-configuration-options"),
        ..Weakness::default()
    })
}
