//! From what was read to the report: joins, judges, adds up. Every source may have failed: what is missing is named, and
//! costs what it alone could tell.

use std::time::Duration;

use aws::invocation::Invocation;
use aws::{Aws, Error};
use chrono::{DateTime, TimeDelta, Utc};
use report::{ClusterFacts, Cost, DrillFacts, Missing, OwnUse, Report, SCHEMA, Spark, Targets, TimeLost};
use report::{finding, price, secret};
use rules::application::{Application, Open, Run, may_have_waited_for_room};
use rules::capacity::{self, Capacity, Outage};
use rules::cause::Blame;
use rules::cluster::{Cluster, Instance, ManagedScaling, Role};
use rules::drill::{Drill, Finished};
use rules::hit::InterruptionFacts;
use rules::interruption::seen_earliest;
use rules::replacement::{Excuse, Replacement};
use rules::step::Step;
use rules::used::Used;
use rules::verdict::{self, Facts, Judgement};

use crate::elsewhen::{self, Drilled};
use crate::event_log::EventLog;
use crate::experiments::Experiments;
use crate::gathered::{Gathered, or_missing};
use crate::interruptions::{self, Around};
use crate::output::{self, Listed, Told};
use crate::recovery::RESERVE;
use crate::witness::{self, Witness};
use crate::{Config, experiments, history, rows};

/// How often the step's log is looked for, in seconds.
const POLL_SECONDS: u64 = 20;

/// What was made of it.
struct Made {
    witness: Witness,
    run: Option<Run>,
    interruptions: Vec<InterruptionFacts>,
    listed: Option<Listed>,
    judgement: Judgement,
    missing: Vec<Missing>,
}

/// Reads what is left to read, and puts the report together.
pub(crate) async fn report(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    drill: &Drill,
    gathered: Gathered,
    mut missing: Vec<Missing>,
) -> Result<Report, Error> {
    missing.extend(gathered.recovery.problems.iter().map(|why| Missing {
        what: "instances".into(),
        why: why.clone(),
    }));
    let made = settle(aws, config, invocation, drill, &gathered).await?;
    let Made {
        witness,
        run,
        interruptions,
        listed,
        judgement,
        missing: of_witnesses,
    } = made;
    missing.extend(of_witnesses);
    let Gathered {
        step,
        cluster,
        recovery,
        experiments,
        meter,
    } = gathered;
    let instances = recovery.instances.as_deref().unwrap_or_default();
    let spark = spark(witness.log.as_ref(), instances, &interruptions, &mut missing);
    let drilled = Drilled::of(drill, instances, &interruptions);
    let what_if = elsewhen::tell(witness.log.as_ref(), &drilled);
    let comparison = history::compare(aws, config, drill, history::compared(&step, run.as_ref())).await;
    let earlier = or_missing(comparison, "earlier runs", &mut missing).unwrap_or_default();
    let output = match listed {
        Some(listed) => Some(rows::counted(aws, config, invocation, listed, earlier.rows_undisturbed).await),
        None => None,
    };
    let known = recovery.instances.as_deref().zip(run.as_ref());
    let capacity =
        known.and_then(|(instances, run)| measure(instances, &interruptions, &step, run, recovery.observed_at));
    missing.sort();
    missing.dedup();
    let mut report = Report {
        schema: SCHEMA.into(),
        interim: false,
        judgement,
        cluster: cluster_facts(&drill.cluster_id, cluster.as_ref()),
        run_seconds: step.run_seconds(),
        run,
        completed_doubt: witness.completed_doubt,
        step,
        drill: drill_facts(drill, experiments),
        interruptions,
        targets: targets(drill, recovery.scaling),
        cost: earlier.cost,
        earlier_runs: earlier.runs,
        capacity,
        spark,
        what_if,
        output,
        findings: Vec::new(),
        missing,
        observed_at: recovery.observed_at,
        revisions: Vec::new(),
    };
    secret::hide(&mut report.step);
    add_up(&mut report, config.unit_hour_usd.0);
    report.cost.own = own_use(drill, meter.read(aws, &config.clients));
    report.findings = finding::find(&report);
    Ok(report)
}

/// Reads the witnesses and judges; and where the step's own log could tell what nothing else does, and is not there yet,
/// waits for it within bounds: EMR pushes it some time after the step's end.
async fn settle(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    drill: &Drill,
    gathered: &Gathered,
) -> Result<Made, Error> {
    let begun_at = aws.now();
    let limit = begun_at
        + TimeDelta::seconds(i64::from(config.recovery_seconds_max)).min(invocation.time_left(begun_at, RESERVE));
    loop {
        let made = make(aws, config, drill, gathered).await?;
        let may_come =
            gathered.step.is_over() && made.witness.step_log_may_come && (is_open(&made) || made.witness.is_ambiguous);
        if !may_come || aws.now() + TimeDelta::seconds(POLL_SECONDS as i64) > limit {
            return Ok(made);
        }
        tokio::time::sleep(Duration::from_secs(POLL_SECONDS)).await;
    }
}

/// Is there a question that the step's log could answer?
fn is_open(made: &Made) -> bool {
    let not_told = made
        .judgement
        .failure
        .as_ref()
        .is_some_and(|failure| failure.blame == Blame::NotToBeTold || failure.words.is_none());
    let exit_code = made.witness.log.as_ref().and_then(|log| log.runs.last()?.exit_code);
    // 0 is the exit code of any context that was stopped.
    not_told || (made.witness.completed_doubt.is_some() && exit_code.is_none_or(|code| code == 0))
}

/// May an application that outlived its step have kept the cluster's room, and this one waited for it? With a step that is
/// cancelled its application ends. Where an item of another step cannot be read it may.
async fn others_may_have_kept_the_room(
    aws: &Aws,
    config: &Config,
    drill: &Drill,
    missing: &mut Vec<Missing>,
) -> Result<bool, Error> {
    let drills = match aws.drills_of_cluster(&config.table_name, &drill.cluster_id).await {
        Err(error @ Error::Ledger(_)) => {
            or_missing::<()>(Err(error), "drills of the cluster's other steps", missing);
            return Ok(true);
        }
        drills => drills?,
    };
    let mut others = drills.iter().filter(|other| other.step_id != drill.step_id);
    Ok(others.any(|other| {
        let has_completed = other.finished.as_ref().is_some_and(Finished::has_completed);
        has_completed && other.report.as_ref().is_some_and(|report| report.outlived)
    }))
}

async fn make(aws: &Aws, config: &Config, drill: &Drill, gathered: &Gathered) -> Result<Made, Error> {
    let mut missing = Vec::new();
    let (step, cluster) = (&gathered.step, gathered.cluster.as_ref());
    let witness = witness::read(aws, config, step, cluster, &mut missing).await;
    let application = witness.log.as_ref().map(EventLog::application);
    let instances = gathered.recovery.instances.as_deref().unwrap_or_default();
    let is_untold = application.and_then(Application::started_at).is_none();
    let open = Open {
        begin: cluster.and_then(|cluster| cluster.step_concurrency) != Some(1)
            || may_have_waited_for_room(step, instances)
            || (is_untold && others_may_have_kept_the_room(aws, config, drill, &mut missing).await?),
        end: witness.completed_doubt.is_some(),
    };
    let run = Run::of(step, application, open);
    let around = Around {
        drill,
        gathered,
        run: run.as_ref(),
        application,
    };
    let interruptions = interruptions::read(aws, config, &around, &mut missing).await?;
    let told = Told {
        step,
        cluster,
        run: run.as_ref(),
        log: application.and_then(|application| application.last()),
    };
    let listed = output::list(aws, config, &told, &mut missing).await;
    let output_unseen = match listed {
        Some(_) => None,
        None => told.named(config).map(|place| place.to_string()),
    };
    let no_experiment = experiments::why_none(drill.state.map(|_| drill));
    let judgement = verdict::judge(&Facts {
        step,
        completed_doubt: witness.completed_doubt.as_deref(),
        run: run.as_ref(),
        interruptions: &interruptions,
        application,
        final_status: witness.final_status(),
        diagnostics: witness.diagnostics().or(step.failure.as_deref()),
        withheld: witness.withheld.as_deref(),
        output_lacks: listed.as_ref().and_then(|listed| output::lacks(&listed.output)),
        output_unseen: output_unseen.as_deref(),
        no_experiment: no_experiment.as_deref(),
    });
    Ok(Made {
        witness,
        run,
        interruptions,
        listed,
        judgement,
        missing,
    })
}

/// What our own functions used of Lambda and AWS for this step, as far as they have come.
fn own_use(drill: &Drill, by_report: Used) -> Vec<OwnUse> {
    let by_drill = drill.used.iter().map(|used| ("start-experiment", used.clone()));
    let all = by_drill.chain([("write-report", by_report)]);
    all.map(|(function, used)| OwnUse::new(function, used)).collect()
}

/// Task capacity over time, and what was missing of it because of interruptions. `None`: EMR does not say when the step ran.
fn measure(
    instances: &[Instance],
    interruptions: &[InterruptionFacts],
    step: &Step,
    run: &Run,
    observed_at: DateTime<Utc>,
) -> Option<Capacity> {
    let (from, until) = (step.started_at?, observed_at.max(step.ended_at?));
    let instances = seen_earliest(instances, interruptions.iter().map(|one| &one.interrupted));
    let tasks: Vec<&Instance> = instances.iter().filter(|one| one.role == Some(Role::Task)).collect();
    let outages: Vec<Outage> = interruptions
        .iter()
        .filter(|one| one.loss.is_inside() && one.interrupted.role == Some(Role::Task))
        .filter_map(|one| {
            let until = match &one.replacement {
                Replacement::Replaced { ready_at, .. } => Some(*ready_at),
                Replacement::NotReplaced { .. }
                | Replacement::NotExpected {
                    excuse: Excuse::JobEnded,
                    ..
                } => None,
                Replacement::NotExpected { .. } | Replacement::Unknown { .. } => return None,
            };
            Some(Outage {
                from: one.interrupted.terminated_at?,
                until,
                units: one.interrupted.units,
            })
        })
        .collect();
    Some(capacity::measure(&tasks, &outages, from, until, run.ended_at))
}

/// What the report says of Spark, and what it cannot say.
fn spark(
    log: Option<&EventLog>,
    instances: &[Instance],
    interruptions: &[InterruptionFacts],
    missing: &mut Vec<Missing>,
) -> Option<Spark> {
    let log = log?;
    let last = log.runs.last()?;
    let spark = Spark::new(log.application(), last, &log.location, instances, interruptions);
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

fn drill_facts(drill: &Drill, experiments: Experiments) -> DrillFacts {
    DrillFacts {
        state: drill.state,
        reason: drill
            .reason
            .clone()
            .or(experiments::why_none(drill.state.map(|_| drill))),
        has_stop_condition: drill.has_stop_condition,
        alarm_unknown: drill.alarm_unknown.clone(),
        experiments: experiments.facts,
    }
}

fn targets(drill: &Drill, managed_scaling: Option<ManagedScaling>) -> Targets {
    let known = |pools: &[rules::cluster::Pool]| Some(pools.to_vec()).filter(|pools| !pools.is_empty());
    Targets {
        at_start: known(&drill.pools),
        at_end: known(&drill.pools_at_end),
        managed_scaling,
    }
}

fn add_up(report: &mut Report, unit_hour_usd: Option<f64>) {
    let lost = TimeLost::of(report).filter(|_| report.judgement.failure.is_none());
    report.cost.run_seconds_lost = lost.as_ref().map(TimeLost::seconds);
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
    *fis_action_seconds = price::fis_action_seconds(&report.drill.experiments);
    report.cost.fis_usd = price::fis_usd(price::fis_action_minutes(&report.drill.experiments));
    report.cost.unit_hour_usd = unit_hour_usd;
    report.cost.run_lost_usd = unit_hour_usd.and_then(|usd| price::run_lost_usd(report, usd));
    report.cost.task_lost_usd = unit_hour_usd.and_then(|usd| price::task_lost_usd(report, usd));
}

fn cluster_facts(id: &str, cluster: Option<&Cluster>) -> ClusterFacts {
    ClusterFacts {
        id: id.into(),
        name: cluster.map(|cluster| cluster.name.clone()),
        release_label: cluster.and_then(|cluster| cluster.release_label.clone()),
        state: cluster.map(|cluster| cluster.state.clone()),
        reason: cluster.and_then(|cluster| cluster.reason.clone()),
        availability_zone: cluster.and_then(|cluster| cluster.availability_zone.clone()),
        subnets: cluster.map(|cluster| cluster.subnets.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use spark_log::SparkRun;

    use super::*;

    #[test]
    fn an_attempt_that_left_no_log_is_named_as_missing() {
        let told = |attempt_id: &str| {
            let run = SparkRun {
                application_id: Some("application_1_1".into()),
                attempt_id: Some(attempt_id.into()),
                ..SparkRun::default()
            };
            let log = EventLog {
                runs: vec![run],
                location: "s3://logs/e/application_1_1".into(),
            };
            let mut missing = Vec::new();
            assert!(spark(Some(&log), &[], &[], &mut missing).is_some());
            missing.into_iter().map(|one| (one.what, one.why)).collect::<Vec<_>>()
        };
        assert_eq!(told("1"), []);
        let words = (
            "event log of earlier attempts".to_owned(),
            "1 of 2 attempts left none".to_owned(),
        );
        assert_eq!(told("2"), [words]);
        assert_eq!(spark(None, &[], &[], &mut Vec::new()), None);
    }
}
