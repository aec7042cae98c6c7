//! One step's report, from the facts to S3 and the ledger.
//!
//! Every source but EMR's word on the step itself may fail: then the report says what it had to do without.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::aws::{Found, Saved, expires_at};
use shared::cluster::Cluster;
use shared::drill::{Claim, Drill, Finished, Written};
use shared::interruption::{self, Interrupted};
use shared::invocation::Invocation;
use shared::ledger;
use shared::replacement::{self, Evidence, Replacement};
use shared::report::{
    Baseline, ClusterFacts, Cost, DrillFacts, ExperimentFacts, InterruptionFacts, Missing, Output, Report, SCHEMA,
    Spark, Targets,
};
use shared::step::Step;
use shared::verdict::{self, Facts};
use shared::{Aws, Error, Outcome, capacity, finding};

use crate::event_log;
use crate::recovery::{self, Recovery};
use crate::{Config, experiments, history};

/// EMR's answer may lag behind its event: so often, and so long apart, it is asked again.
const LOOKS_MAX: u32 = 6;
const LOOK_SECONDS: u64 = 10;
/// How often a write that lost a race is tried again at most.
const SAVES_MAX: usize = 5;
/// A warning given this long before the step's begin may still take an instance while it runs.
const NOTICE: TimeDelta = TimeDelta::seconds(130);
/// Objects of an output looked at most.
const OBJECTS_MAX: usize = 100_000;
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
    if step.spark_arguments().is_none() {
        return Ok(Outcome::ignored(format!("step {step_id} is not a Spark step: it runs {}", step.jar)));
    }
    if step.started_at.is_none() {
        return Ok(Outcome::ignored(format!("step {step_id} was {} before it began", step.state)));
    }
    // First of all: from here on start-experiment starts nothing for this step.
    let mut drill = finish(aws, config, cluster_id, &step).await?;
    let mut missing = Vec::new();
    let cluster = or_missing(aws.cluster(cluster_id).await, "cluster", &mut missing).flatten();
    let recovery = recovery::wait(aws, config, invocation, cluster.as_ref(), &step, drill.state.map(|_| &drill)).await?;
    let mut problems = Vec::new();
    let experiments = experiments::read(aws, &mut drill, &mut problems).await;
    missing.extend(problems.into_iter().map(|why| Missing { what: "experiment".into(), why }));
    let facts = Gathered { step, cluster, recovery, experiments };
    let report = assemble(aws, config, &mut drill, facts, missing).await?;
    let location = store(aws, config, &report).await?;
    remember(aws, config, drill, &report, &location).await?;
    Ok(Outcome::Reported {
        verdict: report.judgement.verdict.word().into(),
        sentence: report.judgement.sentence,
        report: location,
    })
}

/// What was read before the report is put together.
struct Gathered {
    step: Step,
    cluster: Option<Cluster>,
    recovery: Recovery,
    experiments: Vec<ExperimentFacts>,
}

async fn ended_step(aws: &Aws, cluster_id: &str, step_id: &str) -> Result<Option<Step>, Error> {
    for look in 1..=LOOKS_MAX {
        match aws.step(cluster_id, step_id).await? {
            None => return Ok(None),
            Some(step) if step.is_over() => return Ok(Some(step)),
            Some(_) if look < LOOKS_MAX => tokio::time::sleep(Duration::from_secs(LOOK_SECONDS)).await,
            Some(step) => {
                return Err(Error::NotYet(format!("EMR's event says that step {step_id} ended, EMR says {}", step.state)));
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
        drill.finished = Some(Finished { state: step.state.clone(), at: step.ended_at.unwrap_or_else(|| aws.now()) });
        let expires = expires_at(aws.now(), config.retention_days);
        if aws.save_drill(&config.table_name, &mut drill, expires).await? == Saved::Yes {
            return Ok(drill);
        }
    }
    Err(Error::NotYet("the ledger's item changes faster than it can be written".into()))
}

async fn assemble(
    aws: &Aws,
    config: &Config,
    drill: &mut Drill,
    gathered: Gathered,
    mut missing: Vec<Missing>,
) -> Result<Report, Error> {
    let Gathered { step, cluster, recovery, experiments } = gathered;
    // start-experiment may have gone on while we waited; what it wrote last is what counts.
    if let Some(latest) = aws.drill(&config.table_name, &drill.cluster_id, &drill.step_id).await? {
        drill.state = latest.state;
        drill.reason = latest.reason;
        drill.version = latest.version;
    }
    experiments::close(drill);
    missing.extend(recovery.problems.iter().map(|why| Missing { what: "task instances".into(), why: why.clone() }));
    let instances = recovery.instances.as_deref().unwrap_or_default();
    let interrupted = interrupted(aws, config, drill, &step, &recovery, &mut missing).await?;
    let answers = replacements(drill, &step, cluster.as_ref(), &recovery, &interrupted);
    let log = match event_log::find(aws, config, cluster.as_ref(), &step).await {
        Ok(Ok(log)) => Some(log),
        Ok(Err(why)) => {
            missing.push(Missing { what: "event log".into(), why });
            None
        }
        Err(error) => or_missing(Err(error), "event log", &mut missing),
    };
    let output = output(aws, config, &step, &mut missing).await;
    let run_seconds = run_seconds(&step);
    let comparison = history::compare(aws, config, &step.name, &step.id, run_seconds).await;
    let cost = or_missing(comparison, "earlier runs", &mut missing).unwrap_or_default();
    let pairs: Vec<(Interrupted, Replacement)> = interrupted
        .iter()
        .map(|one| {
            let unknown = Replacement::Unknown { why: "the task instances could not be listed".into() };
            (one.clone(), answers.get(&one.instance_id).cloned().unwrap_or(unknown))
        })
        .collect();
    let spark = log.as_ref().map(|log| Spark::new(&log.run, &log.location, instances, &interrupted));
    let no_experiment = experiments::why_none(drill.state.map(|_| &*drill));
    let judgement = verdict::judge(&Facts {
        step: &step,
        cluster: cluster.as_ref(),
        interrupted: &pairs,
        spark: log.as_ref().map(|log| &log.run),
        application_attempts: spark.as_ref().map(|spark| spark.attempts),
        output_succeeded: output.as_ref().map(|output| output.has_success_marker),
        no_experiment: no_experiment.as_deref(),
    });
    let capacity = step.started_at.filter(|_| recovery.instances.is_some()).map(|from| {
        capacity::measure(instances, &interrupted, from, recovery.observed_at.max(step.ended_at.unwrap_or(from)))
    });
    missing.sort();
    missing.dedup();
    let mut report = Report {
        schema: SCHEMA.into(),
        judgement,
        cluster: cluster_facts(&drill.cluster_id, cluster.as_ref()),
        run_seconds,
        step,
        drill: DrillFacts {
            state: drill.state,
            reason: drill.reason.clone().or(no_experiment),
            has_stop_condition: drill.has_stop_condition,
            experiments,
        },
        interruptions: pairs
            .into_iter()
            .map(|(interrupted, replacement)| InterruptionFacts { interrupted, replacement })
            .collect(),
        targets: Targets {
            at_start: Some(drill.pools.clone()).filter(|pools| !pools.is_empty()),
            at_end: recovery.pools_at_end.clone(),
        },
        cost,
        capacity,
        spark,
        output,
        findings: Vec::new(),
        missing,
        observed_at: recovery.observed_at,
    };
    add_up(&mut report);
    report.findings = finding::find(&report);
    Ok(report)
}

fn add_up(report: &mut Report) {
    let Cost { unit_seconds_lost, lost_task_ms, fis_action_minutes, .. } = &mut report.cost;
    *unit_seconds_lost = report.capacity.as_ref().and_then(|one| one.dip.as_ref()).map(|dip| dip.unit_seconds_lost);
    *lost_task_ms = report.spark.as_ref().map(Spark::lost_task_ms);
    for experiment in report.drill.experiments.iter().filter(|one| !one.preview) {
        if let (Some(from), Some(until)) = (experiment.started_at, experiment.ended_at) {
            // One action for each five victims, each billed by the minute, rounded.
            let actions = experiment.victims.len().div_ceil(5) as i64;
            let minutes = ((until - from).num_seconds() + 30) / 60;
            *fis_action_minutes += u64::try_from(actions * minutes).unwrap_or(0);
        }
    }
}

fn cluster_facts(id: &str, cluster: Option<&Cluster>) -> ClusterFacts {
    ClusterFacts {
        id: id.into(),
        name: cluster.map(|cluster| cluster.name.clone()),
        release_label: cluster.and_then(|cluster| cluster.release_label.clone()),
        state: cluster.map(|cluster| cluster.state.clone()),
    }
}

fn run_seconds(step: &Step) -> Option<i64> {
    Some((step.ended_at? - step.started_at?).num_seconds())
}

/// Joins the witnesses of interruptions in the step's time.
async fn interrupted(
    aws: &Aws,
    config: &Config,
    drill: &Drill,
    step: &Step,
    recovery: &Recovery,
    missing: &mut Vec<Missing>,
) -> Result<Vec<Interrupted>, Error> {
    let instances = recovery.instances.as_deref().unwrap_or_default();
    let from = step.started_at.map(|began| began - NOTICE);
    let until = step.ended_at;
    let in_time = |at: DateTime<Utc>| Some(at) >= from && until.is_none_or(|until| at <= until);
    let mut warnings: Vec<ledger::Interruption> = aws
        .interruptions(&config.table_name, &drill.cluster_id)
        .await?
        .into_iter()
        .filter(|warning| in_time(warning.noticed_at))
        .filter(|warning| warning.role.as_deref().is_none_or(|role| role == "TASK"))
        .collect();
    // A warning that came when EC2 had forgotten the instance's tags lies apart.
    let victims = drill.waves.iter().flat_map(|wave| &wave.victims).map(|victim| victim.instance_id.clone());
    for id in victims {
        if !warnings.iter().any(|warning| warning.instance_id == id) {
            let apart = aws.unattributed(&config.table_name, &id).await?;
            warnings.extend(apart.into_iter().filter(|warning| in_time(warning.noticed_at)));
        }
    }
    // Instances that ended while the step ran and of which nobody warned may have been interrupted all the same.
    let mut ids: Vec<String> = warnings.iter().map(|warning| warning.instance_id.clone()).collect();
    ids.extend(drill.waves.iter().flat_map(|wave| &wave.victims).map(|victim| victim.instance_id.clone()));
    ids.extend(
        instances
            .iter()
            .filter(|instance| instance.ended_at.is_some_and(|at| Some(at) >= step.started_at && until.is_none_or(|until| at <= until)))
            .map(|instance| instance.instance_id.clone()),
    );
    ids.sort_unstable();
    ids.dedup();
    let statuses = if ids.is_empty() { Ok(BTreeMap::new()) } else { aws.spot_statuses(&ids).await };
    let statuses = or_missing(statuses, "Spot request status", missing).unwrap_or_default();
    let joined = interruption::join(Some(drill), &warnings, &statuses, instances);
    for one in joined.iter().filter(|one| one.spot_status.is_none()) {
        let why = format!("EC2 no longer knows the Spot request of {}", one.instance_id);
        missing.push(Missing { what: "Spot request status".into(), why });
    }
    Ok(joined)
}

fn replacements(
    drill: &Drill,
    step: &Step,
    cluster: Option<&Cluster>,
    recovery: &Recovery,
    interrupted: &[Interrupted],
) -> BTreeMap<String, Replacement> {
    let (Some(instances), Some(step_ended_at)) = (&recovery.instances, step.ended_at) else { return BTreeMap::new() };
    replacement::assess(
        interrupted,
        &Evidence {
            instances,
            pools_at_start: Some(drill.pools.as_slice()).filter(|pools| !pools.is_empty()),
            pools_at_end: recovery.pools_at_end.as_deref(),
            step_ended_at,
            observed_at: recovery.observed_at,
            cluster_going: cluster.is_some_and(Cluster::is_going),
        },
    )
}

async fn output(aws: &Aws, config: &Config, step: &Step, missing: &mut Vec<Missing>) -> Option<Output> {
    let Some(place) = step.output() else {
        let why = "the step's last argument is no folder in S3".into();
        missing.push(Missing { what: "output".into(), why });
        return None;
    };
    let objects = or_missing(aws.list(&place, OBJECTS_MAX).await, "output", missing)?;
    let baseline = match &config.baseline_prefix.0 {
        None => {
            let why = "no baseline is set, so whether the output is right was not compared".into();
            missing.push(Missing { what: "output comparison".into(), why });
            None
        }
        Some(place) => {
            or_missing(aws.list(place, OBJECTS_MAX).await, "output comparison", missing).map(|objects| {
                let (objects, bytes) = data(&objects);
                Baseline { location: place.to_string(), objects, bytes }
            })
        }
    };
    let has_success_marker = objects.iter().any(|object| object.key.ends_with("/_SUCCESS"));
    let (count, bytes) = data(&objects);
    Some(Output { location: place.to_string(), has_success_marker, objects: count, bytes, baseline })
}

/// Objects that hold data, and their bytes: names that begin with `_` or `.` are markers to Hadoop.
fn data(objects: &[shared::aws::Object]) -> (usize, u64) {
    let is_data = |key: &str| !key.rsplit('/').next().unwrap_or_default().starts_with(['_', '.']);
    let data = objects.iter().filter(|object| is_data(&object.key));
    (data.clone().count(), data.map(|object| object.bytes).sum())
}

/// Writes JSON and page, unless a fuller report lies there already.
async fn store(aws: &Aws, config: &Config, report: &Report) -> Result<String, Error> {
    let bucket = &config.report_bucket;
    let folder = format!("{}/{}/{}/", config.report_prefix.trim_matches('/'), report.cluster.id, report.step.id);
    let folder = folder.trim_start_matches('/').to_owned();
    let location = format!("s3://{bucket}/{folder}");
    if let Found::Object { bytes, .. } = aws.object(bucket, &format!("{folder}report.json"), REPORT_BYTES_MAX).await?
        && let Ok(older) = serde_json::from_slice::<Report>(&bytes)
        && older.missing.len() < report.missing.len()
    {
        tracing::info!(location, "a fuller report is there already and stays");
        return Ok(location);
    }
    let json = report.to_json().map_err(|error| Error::Answer(format!("writing the report as JSON: {error}")))?;
    let html = report.to_html().map_err(|error| Error::Answer(format!("writing the report's page: {error}")))?;
    aws.put(bucket, &format!("{folder}report.html"), "text/html; charset=utf-8", html.into_bytes()).await?;
    aws.put(bucket, &format!("{folder}report.json"), "application/json", json).await?;
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

fn or_missing<T>(result: Result<T, Error>, what: &str, missing: &mut Vec<Missing>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            missing.push(Missing { what: what.into(), why: error.chain() });
            None
        }
    }
}
