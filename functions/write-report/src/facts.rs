//! From what was read to the report: joins, judges, adds up. Every source may have failed: what is missing is named.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use shared::aws::TARGET_ARNS_MAX;
use shared::cluster::{Cluster, TaskInstance};
use shared::drill::Drill;
use shared::interruption::{self, Interrupted};
use shared::ledger;
use shared::replacement::{self, Evidence, Replacement};
use shared::report::{
    Baseline, ClusterFacts, Cost, DrillFacts, ExperimentFacts, InterruptionFacts, Missing, Output, Report, SCHEMA,
    Spark, Targets,
};
use shared::step::Step;
use shared::verdict::{self, Facts, Judgement};
use shared::{Aws, Error, capacity, finding};

use crate::event_log::{self, EventLog};
use crate::recovery::Recovery;
use crate::{Config, experiments, history};

/// A warning given this long before the step's begin may still take an instance while it runs.
const NOTICE: TimeDelta = TimeDelta::seconds(130);
/// Objects of an output looked at most.
const OBJECTS_MAX: usize = 100_000;

/// What was read of a step that ended, before it is put together.
pub(crate) struct Gathered {
    pub step: Step,
    pub cluster: Option<Cluster>,
    pub recovery: Recovery,
    pub experiments: Vec<ExperimentFacts>,
}

/// Reads what is left to read, and puts the report together.
pub(crate) async fn report(
    aws: &Aws,
    config: &Config,
    drill: &Drill,
    gathered: Gathered,
    mut missing: Vec<Missing>,
) -> Result<Report, Error> {
    let Gathered {
        step,
        cluster,
        recovery,
        experiments,
    } = gathered;
    missing.extend(recovery.problems.iter().map(|why| Missing {
        what: "task instances".into(),
        why: why.clone(),
    }));
    let instances = recovery.instances.as_deref().unwrap_or_default();
    let interrupted = interrupted(aws, config, drill, &step, &recovery, &mut missing).await?;
    let pairs = with_replacements(drill, &step, cluster.as_ref(), &recovery, &interrupted);
    let log = event_log(aws, config, cluster.as_ref(), &step, &mut missing).await;
    let spark = spark(log.as_ref(), instances, &interrupted, &mut missing);
    let output = output(aws, config, &step, &mut missing).await;
    let run_seconds = run_seconds(&step);
    let comparison = history::compare(aws, config, &step.name, &step.id, run_seconds).await;
    let cost = or_missing(comparison, "earlier runs", &mut missing).unwrap_or_default();
    let no_experiment = experiments::why_none(drill.state.map(|_| drill));
    let judgement = judge(
        &step,
        &pairs,
        log.as_ref(),
        spark.as_ref(),
        output.as_ref(),
        no_experiment.as_deref(),
    );
    let capacity = step.started_at.filter(|_| recovery.instances.is_some()).map(|from| {
        capacity::measure(
            instances,
            &interrupted,
            from,
            recovery.observed_at.max(step.ended_at.unwrap_or(from)),
        )
    });
    missing.sort();
    missing.dedup();
    let mut report = Report {
        schema: SCHEMA.into(),
        judgement,
        cluster: cluster_facts(&drill.cluster_id, cluster.as_ref()),
        run_seconds,
        step,
        drill: drill_facts(drill, no_experiment, experiments),
        interruptions: pairs.into_iter().map(InterruptionFacts::from).collect(),
        targets: targets(drill, &recovery),
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

/// What the report says of Spark, and what it cannot say.
fn spark(
    log: Option<&EventLog>,
    instances: &[TaskInstance],
    interrupted: &[Interrupted],
    missing: &mut Vec<Missing>,
) -> Option<Spark> {
    let log = log?;
    let spark = Spark::new(&log.run, &log.location, log.attempts_found, instances, interrupted);
    if spark.attempts_without_log > 0 {
        let why = format!(
            "{} of {} attempts left none",
            spark.attempts_without_log, spark.attempts
        );
        let what = "event log of earlier attempts".into();
        missing.push(Missing { what, why });
    }
    Some(spark)
}

fn drill_facts(drill: &Drill, no_experiment: Option<String>, experiments: Vec<ExperimentFacts>) -> DrillFacts {
    DrillFacts {
        state: drill.state,
        reason: drill.reason.clone().or(no_experiment),
        has_stop_condition: drill.has_stop_condition,
        experiments,
    }
}

fn targets(drill: &Drill, recovery: &Recovery) -> Targets {
    Targets {
        at_start: Some(drill.pools.clone()).filter(|pools| !pools.is_empty()),
        at_end: recovery.pools_at_end.clone(),
    }
}

fn judge(
    step: &Step,
    interrupted: &[(Interrupted, Replacement)],
    log: Option<&EventLog>,
    spark: Option<&Spark>,
    output: Option<&Output>,
    no_experiment: Option<&str>,
) -> Judgement {
    verdict::judge(&Facts {
        step,
        interrupted,
        spark: log.map(|log| &log.run),
        application_attempts: spark.map(|spark| spark.attempts),
        output_succeeded: output.map(|output| output.has_success_marker),
        no_experiment,
    })
}

fn add_up(report: &mut Report) {
    let Cost {
        unit_seconds_lost,
        lost_task_ms,
        fis_action_seconds,
        ..
    } = &mut report.cost;
    *unit_seconds_lost = report
        .capacity
        .as_ref()
        .and_then(|one| one.dip.as_ref())
        .map(|dip| dip.unit_seconds_lost);
    // What went with an attempt that left no log is not known, so neither is the sum.
    let whole = report.spark.as_ref().filter(|spark| spark.attempts_without_log == 0);
    *lost_task_ms = whole.map(Spark::lost_task_ms);
    for experiment in report.drill.experiments.iter().filter(|one| !one.preview) {
        if let (Some(from), Some(until)) = (experiment.started_at, experiment.ended_at) {
            // One action for each target, side by side.
            let actions = i64::try_from(experiment.victims.len().div_ceil(TARGET_ARNS_MAX)).unwrap_or(0);
            *fis_action_seconds += actions * (until - from).num_seconds();
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
    let victims = drill
        .waves
        .iter()
        .flat_map(|wave| &wave.victims)
        .map(|victim| victim.instance_id.clone());
    for id in victims {
        if !warnings.iter().any(|warning| warning.instance_id == id) {
            let apart = aws.unattributed(&config.table_name, &id).await?;
            warnings.extend(apart.into_iter().filter(|warning| in_time(warning.noticed_at)));
        }
    }
    // Instances that ended while the step ran and of which nobody warned may have been interrupted all the same.
    let mut ids: Vec<String> = warnings.iter().map(|warning| warning.instance_id.clone()).collect();
    ids.extend(
        drill
            .waves
            .iter()
            .flat_map(|wave| &wave.victims)
            .map(|victim| victim.instance_id.clone()),
    );
    ids.extend(
        instances
            .iter()
            .filter(|instance| {
                instance
                    .ended_at
                    .is_some_and(|at| Some(at) >= step.started_at && until.is_none_or(|until| at <= until))
            })
            .map(|instance| instance.instance_id.clone()),
    );
    ids.sort_unstable();
    ids.dedup();
    let statuses = if ids.is_empty() {
        Ok(BTreeMap::new())
    } else {
        aws.spot_statuses(&ids).await
    };
    let statuses = or_missing(statuses, "Spot request status", missing).unwrap_or_default();
    let joined = interruption::join(Some(drill), &warnings, &statuses, instances);
    for one in joined.iter().filter(|one| one.spot_status.is_none()) {
        let why = format!("EC2 no longer knows the Spot request of {}", one.instance_id);
        missing.push(Missing {
            what: "Spot request status".into(),
            why,
        });
    }
    Ok(joined)
}

/// What became of each interrupted instance's capacity.
fn with_replacements(
    drill: &Drill,
    step: &Step,
    cluster: Option<&Cluster>,
    recovery: &Recovery,
    interrupted: &[Interrupted],
) -> Vec<(Interrupted, Replacement)> {
    let answers = match (&recovery.instances, step.ended_at) {
        (Some(instances), Some(step_ended_at)) => replacement::assess(
            interrupted,
            &Evidence {
                instances,
                pools_at_start: Some(drill.pools.as_slice()).filter(|pools| !pools.is_empty()),
                pools_at_end: recovery.pools_at_end.as_deref(),
                step_ended_at,
                observed_at: recovery.observed_at,
                cluster_going: cluster.is_some_and(Cluster::is_going),
            },
        ),
        _ => BTreeMap::new(),
    };
    let unknown = || Replacement::Unknown {
        why: "the task instances could not be listed".into(),
    };
    interrupted
        .iter()
        .map(|one| {
            (
                one.clone(),
                answers.get(&one.instance_id).cloned().unwrap_or_else(unknown),
            )
        })
        .collect()
}

async fn event_log(
    aws: &Aws,
    config: &Config,
    cluster: Option<&Cluster>,
    step: &Step,
    missing: &mut Vec<Missing>,
) -> Option<EventLog> {
    match or_missing(event_log::find(aws, config, cluster, step).await, "event log", missing)? {
        Ok(log) => Some(log),
        Err(why) => {
            missing.push(Missing {
                what: "event log".into(),
                why,
            });
            None
        }
    }
}

async fn output(aws: &Aws, config: &Config, step: &Step, missing: &mut Vec<Missing>) -> Option<Output> {
    let Some(place) = step.output() else {
        let why = "the step's last argument is no folder in S3".into();
        missing.push(Missing {
            what: "output".into(),
            why,
        });
        return None;
    };
    let objects = or_missing(aws.list(&place, OBJECTS_MAX).await, "output", missing)?;
    let baseline = match &config.baseline_prefix.0 {
        None => {
            let why = "no baseline is set, so whether the output is right was not compared".into();
            missing.push(Missing {
                what: "output comparison".into(),
                why,
            });
            None
        }
        Some(place) => or_missing(aws.list(place, OBJECTS_MAX).await, "output comparison", missing).map(|objects| {
            let (objects, bytes) = data(&objects);
            Baseline {
                location: place.to_string(),
                objects,
                bytes,
            }
        }),
    };
    let has_success_marker = objects.iter().any(|object| object.key.ends_with("/_SUCCESS"));
    let (count, bytes) = data(&objects);
    Some(Output {
        location: place.to_string(),
        has_success_marker,
        objects: count,
        bytes,
        baseline,
    })
}

/// Objects that hold data, and their bytes: names that begin with `_` or `.` are markers to Hadoop.
fn data(objects: &[shared::aws::Object]) -> (usize, u64) {
    let is_data = |key: &str| !key.rsplit('/').next().unwrap_or_default().starts_with(['_', '.']);
    let data = objects.iter().filter(|object| is_data(&object.key));
    (data.clone().count(), data.map(|object| object.bytes).sum())
}

/// The value, or a note that it is missing and why.
pub(crate) fn or_missing<T>(result: Result<T, Error>, what: &str, missing: &mut Vec<Missing>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            missing.push(Missing {
                what: what.into(),
                why: error.chain(),
            });
            None
        }
    }
}
