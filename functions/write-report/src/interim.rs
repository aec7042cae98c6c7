//! The interim report: a drill took instances from a step, and long after that the step still runs. Nothing is shown yet,
//! but somebody should know: a job that hangs says nothing by itself.
//!
//! Long is [`Config::not_recovered_minutes`] after the last experiment, and, where undisturbed runs of the job are on
//! record, also half as long again as those took: a job of six hours does not hang because it runs for one.

use aws::invocation::Invocation;
use aws::outcome::NotRecovered;
use aws::{Aws, Error, Meter};
use aws::{Saved, expires_at};
use chrono::{DateTime, TimeDelta, Utc};
use report::{Missing, Report};
use rules::drill::{Drill, DrillState, Interim};
use rules::hit::InterruptionFacts;
use rules::ledger::ActiveStep;
use rules::replacement::Replacement;
use rules::step::Step;
use rules::verdict::Verdict;

use crate::facts;
use crate::gathered::{Gathered, or_missing};
use crate::{Config, experiments, history, recovery, step_report};

/// How much longer than undisturbed runs, in percent of them.
const SLOWER_PERCENT: i64 = 150;

/// Looks at the drills of steps that have not ended, and reports on those that have not recovered. One that cannot be
/// looked at hides none of the others.
pub(crate) async fn look(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    running: &[ActiveStep],
) -> Vec<NotRecovered> {
    let mut found = Vec::new();
    for step in running {
        if invocation.time_left(aws.now(), recovery::RESERVE) <= TimeDelta::zero() {
            break;
        }
        match look_at(aws, config, invocation, &step.cluster_id, &step.step_id).await {
            Ok(one) => found.extend(one),
            Err(error) => tracing::error!(step_id = step.step_id, error = error.chain(), "no interim report"),
        }
    }
    found
}

async fn look_at(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    cluster_id: &str,
    step_id: &str,
) -> Result<Option<NotRecovered>, Error> {
    let Some(drill) = aws.drill(&config.table_name, cluster_id, step_id).await? else {
        return Ok(None);
    };
    let Some(since) = drilled_at(&drill) else {
        return Ok(None);
    };
    let now = aws.now();
    let minutes = (now - since).num_minutes();
    if minutes < i64::from(config.not_recovered_minutes) {
        return Ok(None);
    }
    let usual = history::compare(aws, config, &drill, None).await?.cost;
    let is_slow = |began: DateTime<Utc>, median: i64| (now - began).num_seconds() * 100 >= median * SLOWER_PERCENT;
    if let (Some(began), Some(median)) = (drill.started_at, usual.median_undisturbed_seconds)
        && !is_slow(began, median)
    {
        return Ok(None);
    }
    let Some(step) = aws
        .step(cluster_id, step_id)
        .await?
        .filter(|step| step.state == "RUNNING")
    else {
        return Ok(None);
    };
    write(aws, config, invocation, drill, step, minutes).await.map(Some)
}

/// When the last experiment of a drill was asked for that may have hit somebody, if nothing has been said of it yet.
fn drilled_at(drill: &Drill) -> Option<DateTime<Utc>> {
    let is_open = drill.state == Some(DrillState::Started)
        && drill.finished.is_none()
        && drill.report.is_none()
        && drill.interim.is_none();
    let waves = drill
        .waves
        .iter()
        .filter(|wave| !wave.preview && wave.experiment_id.is_some());
    waves.filter_map(|wave| wave.asked_at).max().filter(|_| is_open)
}

/// The report as of now, beside the place of the one to come.
async fn write(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    mut drill: Drill,
    mut step: Step,
    minutes: i64,
) -> Result<NotRecovered, Error> {
    let meter = Meter::begin(aws);
    // Everything is told as of now.
    step.ended_at = Some(aws.now());
    let mut missing = Vec::new();
    let cluster = or_missing(aws.cluster(&drill.cluster_id).await, "cluster", &mut missing).flatten();
    let recovery = recovery::look(aws, config, cluster.as_ref(), &drill).await?;
    let mut problems = Vec::new();
    // On a copy: what is written down of the drill is start-experiment's, as long as the step runs.
    let experiments = experiments::read(aws, &mut drill.clone(), &mut problems).await;
    missing.extend(problems.into_iter().map(|why| Missing {
        what: "experiment".into(),
        why,
    }));
    let gathered = Gathered {
        step,
        cluster,
        recovery,
        experiments,
        meter,
    };
    let mut report = facts::report(aws, config, invocation, &drill, gathered, missing).await?;
    report.interim = true;
    report.step.ended_at = None;
    report.run_seconds = None;
    report.judgement.verdict = Verdict::Inconclusive;
    report.judgement.sentence = sentence(&report, minutes);
    report.judgement.reasons = vec!["The step still runs: how it ends is not known.".into()];
    let location = step_report::put(aws, config, &report, "interim").await?;
    let expires = expires_at(aws.now(), config.retention_days);
    drill.interim = Some(Interim {
        at: report.observed_at,
        location: location.clone(),
    });
    // Whoever wrote meanwhile has news of the step: then this is old.
    if let Saved::No(_) = aws.save_drill(&config.table_name, &mut drill, expires).await? {
        tracing::info!(location, "the drill went on while its interim report was written");
    }
    Ok(NotRecovered {
        sentence: report.judgement.sentence,
        report: location,
        minutes,
    })
}

fn sentence(report: &Report, minutes: i64) -> String {
    let gone: Vec<&InterruptionFacts> = report
        .interruptions
        .iter()
        .filter(|one| one.loss.may_be_inside())
        .collect();
    let waiting = gone
        .iter()
        .filter(|one| !matches!(one.replacement, Replacement::Replaced { .. }))
        .count();
    let capacity = match (gone.len(), waiting) {
        (0, _) => "no interrupted instance is known to have gone".to_owned(),
        (all, 0) => format!("all {all} interrupted instances have been replaced"),
        (all, waiting) => format!("{waiting} of {all} interrupted instances have not been replaced"),
    };
    format!("Not recovered after {minutes} minutes: the step still runs, and {capacity}.")
}
