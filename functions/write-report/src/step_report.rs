//! One step's report, from the facts to S3 and the ledger.
//!
//! Every source but EMR's word on the step itself may fail: then the report says what it had to do without.

use std::time::Duration;

use aws::config::Clusters;
use aws::invocation::Invocation;
use aws::outcome::Reported;
use aws::{Aws, Error, Outcome};
use aws::{Found, Meter, Saved, expires_at};
use chrono::{DateTime, TimeDelta, Utc};
use report::{Missing, Report, Revision};
use rules::cluster::Cluster;
use rules::drill::{Claim, Drill, DrillState, Finished, Written};
use rules::hit::InterruptionFacts;
use rules::interruption::Cause;
use rules::job;
use rules::replacement::Replacement;
use rules::step::{Launch, Step};

use crate::experiments::Experiments;
use crate::facts;
use crate::gathered::{Gathered, or_missing};
use crate::index::News;
use crate::{Config, event_log, experiments, recovery};

/// EMR's answer may lag behind its event: so often, and so long apart, it is asked again.
const LOOKS_MAX: u32 = 6;
const LOOK_SECONDS: u64 = 10;
/// So long a report waits for its turn at EMR: what the fleets were asked for at the step's end can be seen for ten seconds.
const TURN_PATIENCE: TimeDelta = TimeDelta::seconds(4);
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
    let meter = Meter::begin(aws);
    aws.take_turn(&config.table_name, config.emr_share_percent, TURN_PATIENCE)
        .await;
    let Some(step) = ended_step(aws, cluster_id, step_id).await? else {
        return Ok(Outcome::ignored(format!("EMR knows no step {step_id} on {cluster_id}")));
    };
    if let Some(reason) = no_report_on(aws, config, cluster_id, &step).await? {
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
    // One run has one verdict. Whatever the cluster did since is no news of it.
    if let Some(written) = drill.report.as_ref().filter(|written| written.missing == 0)
        && !is_retry(invocation, written)
    {
        return Ok(told_before(step_id, written));
    }
    let mut missing = Vec::new();
    let asked_until = recovery::asked_until(aws, invocation);
    let cluster = recovery::again_until(aws, asked_until, || aws.cluster(cluster_id)).await;
    let cluster = or_missing(cluster, "cluster", &mut missing).flatten();
    let recovery = recovery::wait(aws, config, invocation, cluster.as_ref(), &step, &mut drill).await?;
    let mut problems = Vec::new();
    let untold = experiments::recall(aws, &mut drill, &step, recovery.instances.as_deref(), &mut problems).await;
    let mut experiments = experiments::read(aws, &mut drill, &mut problems).await;
    experiments.untold.extend(untold);
    missing.extend(problems.into_iter().map(|why| Missing {
        what: "experiment".into(),
        why,
    }));
    catch_up(aws, config, &mut drill, &experiments).await?;
    let gathered = Gathered {
        step,
        cluster,
        recovery,
        experiments,
        meter,
    };
    let report = facts::report(aws, config, invocation, &drill, gathered, missing).await?;
    let stored = store(aws, config, report).await?;
    let news = News::of(&stored.report);
    let outcome = remember(aws, config, invocation, drill, stored).await?;
    news.add(aws, config, invocation).await;
    Ok(outcome)
}

/// Is this a retry of the invocation that wrote the report, of whose answer nobody may have heard?
fn is_retry(invocation: &Invocation, written: &Written) -> bool {
    written.by.as_deref() == Some(invocation.request_id.as_str())
}

fn told_before(step_id: &str, written: &Written) -> Outcome {
    Outcome::ignored(format!(
        "the report of step {step_id} says {} already, and lies in {}",
        written.verdict, written.location
    ))
}

/// Why a step is none to report on, if it is none. What may be anything counts where its cluster opts all steps in, and
/// where it turns out to have run Spark.
async fn no_report_on(aws: &Aws, config: &Config, cluster_id: &str, step: &Step) -> Result<Option<String>, Error> {
    let not_spark = || format!("step {} is not a Spark step: it runs {}", step.id, step.runs());
    Ok(match step.launch() {
        Launch::Other => Some(not_spark()),
        Launch::Unknown => {
            let cluster = aws.cluster(cluster_id).await?;
            let why_not = why_not_spark(aws, config, cluster.as_ref(), step).await;
            why_not.map(|why| format!("{}, and {why}", not_spark()))
        }
        Launch::Direct | Launch::Wrapped => None,
    })
}

/// Why a step that may be anything is not taken for Spark's.
pub(crate) async fn why_not_spark(
    aws: &Aws,
    config: &Config,
    cluster: Option<&Cluster>,
    step: &Step,
) -> Option<String> {
    if cluster.is_some_and(|cluster| Clusters::opts_in_all_steps(&cluster.tags)) {
        return None;
    }
    event_log::lies_there(aws, config, cluster, step).await.err()
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
        drill.job = drill.job.or(Some(job::of(step)).filter(|job| !job.is_empty()));
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

/// start-experiment may have gone on while we waited, if it worked on the drill: what it wrote last is what counts, and it has
/// come to its end.
async fn catch_up(aws: &Aws, config: &Config, drill: &mut Drill, experiments: &Experiments) -> Result<(), Error> {
    if drill.lease_until.is_some()
        && let Some(latest) = aws.drill(&config.table_name, &drill.cluster_id, &drill.step_id).await?
    {
        drill.state = latest.state.or(drill.state);
        drill.reason = latest.reason;
        drill.version = latest.version;
        drill.report = latest.report;
        drill.used = latest.used;
    }
    experiments::close(drill, experiments);
    Ok(())
}

/// A report as it lies in S3 now.
struct Stored {
    report: Report,
    location: String,
    /// Was it written just now?
    is_new: bool,
}

/// Writes JSON and page, unless one lies there already that had to do without no more. A report of a run changes by
/// better evidence only, and says so.
async fn store(aws: &Aws, config: &Config, mut report: Report) -> Result<Stored, Error> {
    let (bucket, folder) = (&config.report_bucket, folder(config, &report));
    let location = format!("s3://{bucket}/{folder}");
    if let Found::Object { bytes, .. } = aws
        .object(bucket, &format!("{folder}report.json"), REPORT_BYTES_MAX)
        .await?
        && let Ok(older) = serde_json::from_slice::<Report>(&bytes)
    {
        if older.missing.len() <= report.missing.len() {
            return Ok(Stored {
                report: older,
                location,
                is_new: false,
            });
        }
        report.revisions = revisions(older, &report);
    }
    put(aws, config, &report, "report").await?;
    Ok(Stored {
        report,
        location,
        is_new: true,
    })
}

/// The folder of a step's reports, without a first slash.
fn folder(config: &Config, report: &Report) -> String {
    let prefix = config.report_prefix.trim_matches('/');
    let folder = format!("{prefix}/{}/{}/", report.cluster.id, report.step.id);
    folder.trim_start_matches('/').to_owned()
}

/// Writes page and JSON under this name into the step's folder, and answers where that is.
pub(crate) async fn put(aws: &Aws, config: &Config, report: &Report, name: &str) -> Result<String, Error> {
    let json = report
        .to_json()
        .map_err(|error| Error::Answer(format!("writing the report as JSON: {error}")))?;
    let html = report
        .to_html()
        .map_err(|error| Error::Answer(format!("writing the report's page: {error}")))?;
    let (bucket, folder) = (&config.report_bucket, folder(config, report));
    for (ending, content, bytes) in [
        ("html", "text/html; charset=utf-8", html.into_bytes()),
        ("json", "application/json", json),
    ] {
        aws.put(bucket, &format!("{folder}{name}.{ending}"), content, bytes)
            .await?;
    }
    Ok(format!("s3://{bucket}/{folder}"))
}

/// The older report among its own predecessors, with what it had to do without and this one has not.
fn revisions(older: Report, report: &Report) -> Vec<Revision> {
    let mut revisions = older.revisions;
    revisions.push(Revision {
        observed_at: older.observed_at,
        verdict: older.judgement.verdict,
        missing: older
            .missing
            .into_iter()
            .filter(|one| !report.missing.contains(one))
            .collect(),
    });
    revisions
}

/// The cluster's claim, let go. A drill that asked for no experiment was none that another has to keep its distance from.
fn release(drill: &Drill, report: &Report, now: DateTime<Utc>) -> Claim {
    let may_have_run = drill.state == Some(DrillState::Unknown) || !drill.experiments().is_empty();
    let ended_at = report.step.ended_at.unwrap_or(now);
    Claim {
        cluster_id: drill.cluster_id.clone(),
        step_id: drill.step_id.clone(),
        until: if may_have_run { ended_at } else { DateTime::UNIX_EPOCH },
        released: true,
    }
}

/// Closes the drill in the ledger, and lets the cluster go. The verdict is told by whoever wrote it down there first,
/// and again if better evidence changed it.
async fn remember(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    mut drill: Drill,
    stored: Stored,
) -> Result<Outcome, Error> {
    let now = aws.now();
    let expires = expires_at(now, config.retention_days);
    let Stored {
        report,
        location,
        is_new,
    } = stored;
    let verdict = report.judgement.verdict.word();
    let mut before = drill.report.clone();
    for _ in 0..SAVES_MAX {
        if let Some(written) = &before
            && !is_retry(invocation, written)
            && (!is_new || written.missing <= report.missing.len())
        {
            break;
        }
        drill.lease_until = None;
        drill.report = Some(Written {
            verdict: verdict.into(),
            location: location.clone(),
            missing: report.missing.len(),
            run_seconds: report.run_seconds,
            interrupted: report.interruptions.len(),
            outlived: report.run.is_some_and(|run| run.may_outlive(&report.step)),
            rows: report.output.as_ref().and_then(|output| output.rows),
            by: Some(invocation.request_id.clone()),
        });
        match aws.save_drill(&config.table_name, &mut drill, expires).await? {
            Saved::Yes => break,
            Saved::No(found) => {
                drill = found;
                before = drill.report.clone();
            }
        }
    }
    aws.release_claim(&config.table_name, &release(&drill, &report, now), expires)
        .await?;
    match before {
        Some(written) if !is_retry(invocation, &written) && written.verdict == verdict => {
            Ok(told_before(&report.step.id, &written))
        }
        before => {
            let first = before.is_none_or(|written| is_retry(invocation, &written));
            Ok(Outcome::Reported(reported(report, location, first, now)))
        }
    }
}

#[cfg(test)]
mod tests {
    use rules::drill::Wave;

    use super::*;

    fn report() -> Report {
        serde_json::from_str(include_str!("../../../shared/report/samples/workshop.json")).unwrap()
    }

    #[test]
    fn a_drill_that_may_have_hit_somebody_keeps_the_next_at_a_distance() {
        let report = report();
        let now = DateTime::from_timestamp(2_000_000_000, 0).unwrap();
        let wave = Wave {
            number: 1,
            token: "t".into(),
            victims: Vec::new(),
            preview: false,
            template_id: None,
            experiment_id: Some("EXP1".into()),
            asked_at: None,
            status: None,
            reason: None,
            resolved: Vec::new(),
        };
        let until = |state, waves: &[Wave], report: &Report| {
            let mut drill = Drill::new("j-1", "s-1");
            (drill.state, drill.waves) = (Some(state), waves.to_vec());
            let claim = release(&drill, report, now);
            assert!(claim.released && claim.cluster_id == "j-1" && claim.step_id == "s-1");
            claim.until
        };
        let ended = report.step.ended_at.unwrap();
        assert_eq!(until(DrillState::GaveUp, &[], &report), DateTime::UNIX_EPOCH);
        assert_eq!(until(DrillState::Unknown, &[], &report), ended);
        assert_eq!(until(DrillState::Started, &[wave], &report), ended);
        let mut endless = report;
        endless.step.ended_at = None;
        assert_eq!(until(DrillState::Unknown, &[], &endless), now);
    }

    #[test]
    fn a_revision_tells_what_is_known_now_and_was_not() {
        let missing = |what: &str| Missing {
            what: what.into(),
            why: "throttled".into(),
        };
        let (mut older, mut newer) = (report(), report());
        older.missing = vec![missing("event log"), missing("output")];
        newer.missing = vec![missing("output")];
        let observed_at = older.observed_at;
        let revisions = revisions(older, &newer);
        let [revision] = revisions.as_slice() else {
            panic!("{revisions:?}")
        };
        assert_eq!(revision.missing, [missing("event log")]);
        assert_eq!(revision.observed_at, observed_at);
    }
}
