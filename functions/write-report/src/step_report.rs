//! One step's report, from the facts to S3 and the ledger.
//!
//! Every source but EMR's word on the step itself may fail: then the report says what it had to do without.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::aws::{Found, Saved, expires_at};
use shared::config::Clusters;
use shared::drill::{Claim, Drill, Finished, Written};
use shared::interruption::Cause;
use shared::invocation::Invocation;
use shared::outcome::Reported;
use shared::replacement::Replacement;
use shared::report::{InterruptionFacts, Missing, Report};
use shared::step::{Launch, Step};
use shared::{Aws, Error, Outcome};

use crate::facts::{self, Gathered, or_missing};
use crate::{Config, experiments, recovery};

/// EMR's answer may lag behind its event: so often, and so long apart, it is asked again.
const LOOKS_MAX: u32 = 6;
const LOOK_SECONDS: u64 = 10;
/// How often a write that lost a race is tried again at most.
const SAVES_MAX: usize = 5;
/// An older report larger than this is not read for comparison.
const REPORT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Writes the report of a step that ended.
pub(crate) async fn write(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    cluster_id: &str,
    step_id: &str,
) -> Result<Outcome, Error> {
    let Some(step) = ended_step(aws, cluster_id, step_id).await? else {
        return Ok(Outcome::ignored(format!("EMR knows no step {step_id} on {cluster_id}")));
    };
    if let Some(reason) = no_report_on(aws, cluster_id, &step).await? {
        return Ok(Outcome::ignored(reason));
    }
    if step.started_at.is_none() {
        return Ok(Outcome::ignored(format!(
            "step {step_id} was {} before it began",
            step.state
        )));
    }
    // First of all: from here on start-experiment starts nothing for this step.
    let mut drill = finish(aws, config, cluster_id, &step).await?;
    let mut missing = Vec::new();
    let cluster = or_missing(aws.cluster(cluster_id).await, "cluster", &mut missing).flatten();
    let recovery = recovery::wait(
        aws,
        config,
        invocation,
        cluster.as_ref(),
        &step,
        drill.state.map(|_| &drill),
    )
    .await?;
    let mut problems = Vec::new();
    let experiments = experiments::read(aws, &mut drill, &mut problems).await;
    missing.extend(problems.into_iter().map(|why| Missing {
        what: "experiment".into(),
        why,
    }));
    catch_up(aws, config, &mut drill).await?;
    let report = facts::report(
        aws,
        config,
        &drill,
        Gathered {
            step,
            cluster,
            recovery,
            experiments,
        },
        missing,
    )
    .await?;
    let location = store(aws, config, &report).await?;
    let first = drill.report.is_none();
    remember(aws, config, drill, &report, &location).await?;
    Ok(Outcome::Reported(reported(report, location, first, aws.now())))
}

/// Why a step is none to report on, if it is none. What may be anything counts where its cluster opts all steps in.
async fn no_report_on(aws: &Aws, cluster_id: &str, step: &Step) -> Result<Option<String>, Error> {
    let all_steps = match step.launch() {
        Launch::Unknown => aws
            .cluster(cluster_id)
            .await?
            .is_some_and(|cluster| Clusters::opts_in_all_steps(&cluster.tags)),
        _ => false,
    };
    let (id, runs) = (&step.id, step.runs());
    Ok((!step.is_drilled(all_steps)).then(|| format!("step {id} is not a Spark step: it runs {runs}")))
}

/// What the world is told of a report.
fn reported(report: Report, location: String, first: bool, now: DateTime<Utc>) -> Reported {
    let by_us = |one: &&InterruptionFacts| matches!(one.interrupted.cause, Cause::Experiment { .. });
    let seconds = |one: &InterruptionFacts| match one.replacement {
        Replacement::Replaced {
            seconds_after_notice, ..
        } => seconds_after_notice,
        _ => None,
    };
    Reported {
        verdict: report.judgement.verdict.word().into(),
        sentence: report.judgement.sentence,
        report: location,
        first,
        drilled: report
            .drill
            .experiments
            .iter()
            .any(|one| one.started_at.is_some() && !one.preview),
        victims: report.interruptions.iter().filter(by_us).count() as u64,
        seconds_to_replace: report.interruptions.iter().filter_map(seconds).collect(),
        lag_seconds: report.step.ended_at.map(|ended| (now - ended).num_seconds()),
    }
}

async fn ended_step(aws: &Aws, cluster_id: &str, step_id: &str) -> Result<Option<Step>, Error> {
    for look in 1..=LOOKS_MAX {
        match aws.step(cluster_id, step_id).await? {
            None => return Ok(None),
            Some(step) if step.is_over() => return Ok(Some(step)),
            Some(_) if look < LOOKS_MAX => tokio::time::sleep(Duration::from_secs(LOOK_SECONDS)).await,
            Some(step) => {
                return Err(Error::NotYet(format!(
                    "EMR's event says that step {step_id} ended, EMR says {}",
                    step.state
                )));
            }
        }
    }
    Ok(None)
}

/// Notes in the ledger that the step is over.
async fn finish(aws: &Aws, config: &Config, cluster_id: &str, step: &Step) -> Result<Drill, Error> {
    for _ in 0..SAVES_MAX {
        let found = aws.drill(&config.table_name, cluster_id, &step.id).await?;
        let mut drill = found.unwrap_or_else(|| Drill::new(cluster_id, &step.id));
        if drill.finished.is_some() {
            return Ok(drill);
        }
        drill.job = drill.job.or(Some(step.name.clone()).filter(|name| !name.is_empty()));
        drill.started_at = drill.started_at.or(step.started_at);
        drill.finished = Some(Finished {
            state: step.state.clone(),
            at: step.ended_at.unwrap_or_else(|| aws.now()),
        });
        let expires = expires_at(aws.now(), config.retention_days);
        if aws.save_drill(&config.table_name, &mut drill, expires).await? == Saved::Yes {
            return Ok(drill);
        }
    }
    Err(Error::NotYet(
        "the ledger's item changes faster than it can be written".into(),
    ))
}

/// start-experiment may have gone on while we waited: what it wrote last is what counts, and it has come to its end.
async fn catch_up(aws: &Aws, config: &Config, drill: &mut Drill) -> Result<(), Error> {
    if let Some(latest) = aws.drill(&config.table_name, &drill.cluster_id, &drill.step_id).await? {
        drill.state = latest.state;
        drill.reason = latest.reason;
        drill.version = latest.version;
    }
    experiments::close(drill);
    Ok(())
}

/// Writes JSON and page, unless a fuller report lies there already.
async fn store(aws: &Aws, config: &Config, report: &Report) -> Result<String, Error> {
    let bucket = &config.report_bucket;
    let folder = format!(
        "{}/{}/{}/",
        config.report_prefix.trim_matches('/'),
        report.cluster.id,
        report.step.id
    );
    let folder = folder.trim_start_matches('/').to_owned();
    let location = format!("s3://{bucket}/{folder}");
    if let Found::Object { bytes, .. } = aws
        .object(bucket, &format!("{folder}report.json"), REPORT_BYTES_MAX)
        .await?
        && let Ok(older) = serde_json::from_slice::<Report>(&bytes)
        && older.missing.len() < report.missing.len()
    {
        tracing::info!(location, "a fuller report is there already and stays");
        return Ok(location);
    }
    let json = report
        .to_json()
        .map_err(|error| Error::Answer(format!("writing the report as JSON: {error}")))?;
    let html = report
        .to_html()
        .map_err(|error| Error::Answer(format!("writing the report's page: {error}")))?;
    aws.put(
        bucket,
        &format!("{folder}report.html"),
        "text/html; charset=utf-8",
        html.into_bytes(),
    )
    .await?;
    aws.put(bucket, &format!("{folder}report.json"), "application/json", json)
        .await?;
    Ok(location)
}

/// Closes the drill in the ledger, and lets the cluster go.
async fn remember(aws: &Aws, config: &Config, drill: Drill, report: &Report, location: &str) -> Result<(), Error> {
    let now = aws.now();
    let expires = expires_at(now, config.retention_days);
    let mut drill = drill;
    for _ in 0..SAVES_MAX {
        drill.lease_until = None;
        drill.report = Some(Written {
            verdict: report.judgement.verdict.word().into(),
            location: location.into(),
            missing: report.missing.len(),
            run_seconds: report.run_seconds,
            interrupted: report.interruptions.len(),
        });
        match aws.save_drill(&config.table_name, &mut drill, expires).await? {
            Saved::Yes => break,
            Saved::No(found) => drill = found,
        }
    }
    let claim = Claim {
        cluster_id: drill.cluster_id.clone(),
        step_id: drill.step_id.clone(),
        until: report.step.ended_at.unwrap_or(now),
        released: true,
    };
    aws.release_claim(&config.table_name, &claim, expires).await
}
