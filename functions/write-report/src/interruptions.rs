//! Which of the cluster's instances were interrupted around the run, what each took of the application, and what became
//! of its capacity.

use std::collections::{BTreeMap, BTreeSet};

use aws::{Aws, Error};
use chrono::{DateTime, TimeDelta, Utc};
use report::Missing;
use rules::application::{Application, Run};
use rules::bearing::{Bearing, Loss};
use rules::cluster::{Instance, ManagedScaling, Pool};
use rules::drill::Drill;
use rules::hit::InterruptionFacts;
use rules::interruption::{Cause, Interrupted, NOTICE, Testimony};
use rules::replacement::{self, Evidence, Replacement};
use rules::step::Step;

use crate::Config;
use crate::gathered::{Gathered, or_missing};
use crate::recovery::LOOK_IN_TIME;

/// How much earlier than the step's begin a notice may lie whose instance goes while it runs.
const BEFORE: TimeDelta = TimeDelta::seconds(NOTICE.num_seconds() + 10);

/// The run, and what is known around it.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub drill: &'a Drill,
    pub gathered: &'a Gathered,
    pub run: Option<&'a Run>,
    pub application: Option<Application<'a>>,
}

/// Reads and weighs them.
pub(crate) async fn read(
    aws: &Aws,
    config: &Config,
    around: &Around<'_>,
    missing: &mut Vec<Missing>,
) -> Result<Vec<InterruptionFacts>, Error> {
    let interrupted = interrupted(aws, config, around, missing).await?;
    Ok(weigh(around, interrupted))
}

/// Joins the witnesses of interruptions around the run.
async fn interrupted(
    aws: &Aws,
    config: &Config,
    around: &Around<'_>,
    missing: &mut Vec<Missing>,
) -> Result<Vec<Interrupted>, Error> {
    let Around {
        drill, gathered, run, ..
    } = *around;
    let instances = gathered.recovery.instances.as_deref().unwrap_or_default();
    let mut warnings = gathered.recovery.warnings.clone();
    let victims: BTreeSet<&str> = drill
        .waves
        .iter()
        .flat_map(|wave| &wave.victims)
        .map(|victim| victim.instance_id.as_str())
        .collect();
    let Some(span) = span(&gathered.step, run) else {
        return Ok(Vec::new());
    };
    let mut ids: BTreeSet<String> = victims.iter().map(|id| (*id).to_owned()).collect();
    ids.extend(
        warnings
            .iter()
            .filter(|warning| warning.noticed_at >= span.0 - BEFORE && warning.noticed_at <= span.1)
            .map(|warning| warning.instance_id.clone()),
    );
    // Whoever was there may have been interrupted though nobody warned: EC2's status tells.
    ids.extend(
        instances
            .iter()
            .filter(|one| was_there(one, span))
            .map(|one| one.instance_id.clone()),
    );
    let ids: Vec<String> = ids.into_iter().collect();
    let statuses = if ids.is_empty() {
        Ok(BTreeMap::new())
    } else {
        aws.spot_statuses(&ids).await
    };
    let statuses = or_missing(statuses, "Spot request status", missing).unwrap_or_default();
    // A warning that came when EC2 had forgotten the instance's tags lies apart.
    let is_marked =
        |id: &&String| victims.contains(id.as_str()) || statuses.get(*id).is_some_and(|one| !one.is_plain());
    for id in ids.iter().filter(is_marked) {
        if !warnings.iter().any(|warning| warning.instance_id == *id) {
            warnings.extend(aws.unattributed(&config.table_name, id).await?);
        }
    }
    let testimony = Testimony {
        acts: &gathered.experiments.acts,
        untold: &gathered.experiments.untold,
        warnings: &warnings,
        statuses: &statuses,
        instances,
        application: around.application,
    };
    let mut joined = testimony.join(&ids);
    // What this drill did is told whenever it was, of a victim that somebody else took much later nothing.
    joined.retain(|one| matches!(one.cause, Cause::Experiment { .. }) || is_near(one, span));
    look_for_overdue(aws, run, &mut joined, missing).await;
    for one in joined.iter().filter(|one| one.spot_status.is_none()) {
        let why = format!("EC2 no longer knows the Spot request of {}", one.instance_id);
        missing.push(Missing {
            what: "Spot request status".into(),
            why,
        });
    }
    Ok(joined)
}

/// EMR finds a loss up to a minute late, and the status of a Spot request that EC2 itself ends is the last one from the notice
/// on. So EC2 is asked for the instances whose notice fell due while the job ran and whom nobody has seen go.
async fn look_for_overdue(aws: &Aws, run: Option<&Run>, interrupted: &mut [Interrupted], missing: &mut Vec<Missing>) {
    let now = aws.now();
    let overdue = |one: &Interrupted| {
        one.overdue_since(now)
            .filter(|due| run.is_some_and(|run| run.holds(*due)))
    };
    let ids: Vec<String> = interrupted
        .iter()
        .filter(|one| overdue(one).is_some())
        .map(|one| one.instance_id.clone())
        .collect();
    if ids.is_empty() {
        return;
    }
    let described = or_missing(
        aws.describe_instances(&ids).await,
        "state of instances that were due",
        missing,
    );
    let Some(described) = described else { return };
    for one in interrupted {
        let is_gone = described.get(&one.instance_id).is_none_or(|found| found.is_gone);
        if let Some(due) = overdue(one).filter(|_| is_gone) {
            one.kept_its_notice(due);
        }
    }
}

/// Was an instance there at some time of the span, as far as EMR says, which finds it gone late?
fn was_there(instance: &Instance, span: (DateTime<Utc>, DateTime<Utc>)) -> bool {
    instance.created_at.is_none_or(|at| at <= span.1) && instance.ended_at.is_none_or(|at| at >= span.0)
}

/// Does an interruption's notice or loss lie near the span? What came to the cluster later is not this step's.
fn is_near(one: &Interrupted, span: (DateTime<Utc>, DateTime<Utc>)) -> bool {
    let near = |at: DateTime<Utc>| at >= span.0 - BEFORE && at <= span.1;
    one.noticed_at.is_some_and(near) || one.terminated_at.is_some_and(near)
}

/// The time that the step and its application took together.
fn span(step: &Step, run: Option<&Run>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let from = step.started_at.into_iter().chain(run.map(|run| run.began_at)).min()?;
    let until = step.ended_at.into_iter().chain(run.map(|run| run.ended_at)).max()?;
    Some((from, until))
}

/// What the pools were asked for when the experiment began, and when the run ended.
fn asked_for<'a>(drill: &'a Drill, step: &Step, run: &Run) -> (Option<&'a [Pool]>, Option<&'a [Pool]>) {
    let known = |pools: &'a [Pool]| Some(pools).filter(|pools| !pools.is_empty());
    let (first, last) = (known(&drill.pools), known(&drill.pools_at_end));
    // An application that outlives its step may end with another target than the step did.
    let outlived = step.ended_at.is_none_or(|ended| run.ended_at - ended > LOOK_IN_TIME);
    if outlived {
        (last.or(first), None)
    } else {
        (first, last)
    }
}

/// What each took of the application, and what became of its capacity.
fn weigh(around: &Around<'_>, interrupted: Vec<Interrupted>) -> Vec<InterruptionFacts> {
    let Around { drill, gathered, .. } = *around;
    let scaling = gathered.recovery.scaling.as_ref();
    let Some(run) = around.run else { return Vec::new() };
    let (pools_at_start, pools_at_end) = asked_for(drill, &gathered.step, run);
    let answers = match &gathered.recovery.instances {
        Some(instances) => replacement::assess(
            &interrupted,
            &Evidence {
                instances,
                pools_at_start,
                pools_at_end,
                pools_now: gathered.recovery.pools.as_deref(),
                is_scaled: scaling.map(|scaling| *scaling != ManagedScaling::Absent),
                run_ended_at: run.ended_at,
                run_may_go_on: run.may_go_on,
            },
        ),
        None => BTreeMap::new(),
    };
    interrupted
        .into_iter()
        .map(|one| {
            let unknown = |why: &str| Replacement::Unknown { why: why.into() };
            let loss = Loss::weigh(&one, run, around.application);
            let replacement = if loss.bearing == Bearing::NotKnown {
                unknown("whether the job ran then is not known")
            } else {
                let answer = answers.get(&one.instance_id).cloned();
                answer.unwrap_or_else(|| unknown("the instances could not be listed"))
            };
            InterruptionFacts {
                loss,
                replacement,
                interrupted: one,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::TimeDelta;
    use rules::application::RunWitness;
    use rules::cluster::Role;

    use super::*;

    /// What is asked for in Spot units.
    fn asked(units: u32) -> Vec<Pool> {
        vec![Pool {
            id: "if-1".into(),
            role: Role::Task,
            target_spot_units: units,
            target_on_demand_units: 0,
            weights: BTreeMap::new(),
            scales: false,
            spot_strategy: None,
        }]
    }

    /// Managed scaling lowers what is asked for when a step ends, and nobody sees what an application that runs on is asked for
    /// at its own end.
    #[test]
    fn a_run_that_outlives_its_step_is_measured_by_what_was_asked_for_at_the_steps_end() {
        let ended: DateTime<Utc> = "2026-11-20T14:10:00Z".parse().unwrap();
        let mut step: Step = serde_json::from_value(
            serde_json::json!({"id": "s-1", "name": "s", "state": "COMPLETED", "jar": "j",
            "args": [], "properties": {}, "failure": null, "created_at": null, "started_at": null, "ended_at": ended,
            "log_uri": null, "application_ids": []}),
        )
        .unwrap();
        let mut drill = Drill::new("j-1", "s-1");
        (drill.pools, drill.pools_at_end) = (asked(32), asked(16));
        let units = |drill: &Drill, step: &Step, after_seconds: i64| {
            let run = Run {
                began_at: ended - TimeDelta::minutes(5),
                begin_told_by: RunWitness::EventLog,
                ended_at: ended + TimeDelta::seconds(after_seconds),
                end_told_by: RunWitness::EventLog,
                began_by: None,
                ran_until: None,
                may_go_on: false,
            };
            let (first, last) = asked_for(drill, step, &run);
            let of = |pools: Option<&[Pool]>| pools.map(|pools| pools[0].target_spot_units);
            (of(first), of(last))
        };
        assert_eq!(units(&drill, &step, -5), (Some(32), Some(16)));
        assert_eq!(
            units(&drill, &step, 10),
            (Some(32), Some(16)),
            "seconds are the clocks'"
        );
        assert_eq!(units(&drill, &step, 11), (Some(16), None));
        drill.pools_at_end.clear();
        assert_eq!(units(&drill, &step, 11), (Some(32), None));
        step.ended_at = None;
        assert_eq!(units(&drill, &step, -5), (Some(32), None));
    }

    #[test]
    fn an_interruption_is_near_whose_notice_or_loss_falls_into_the_span_or_just_before() {
        let at = |ms: i64| DateTime::from_timestamp_millis(ms).unwrap();
        let span = (at(1_000_000), at(2_000_000));
        let near = |noticed_ms: Option<i64>, terminated_ms: Option<i64>| {
            let one: Interrupted = serde_json::from_value(serde_json::json!({
                "instance_id": "i-1", "instance_type": null, "private_dns_name": null, "pool_id": null, "units": 1,
                "noticed_at": noticed_ms.map(at), "warnings": 1, "latency_ms": null,
                "terminated_at": terminated_ms.map(at), "cause": "natural", "spot_status": null}))
            .unwrap();
            is_near(&one, span)
        };
        // The notice of two minutes, and ten seconds.
        assert!(near(Some(870_000), None) && near(Some(2_000_000), None) && near(None, Some(1_500_000)));
        assert!(!near(Some(869_999), None) && !near(Some(2_000_001), None) && !near(None, None));
        assert!(near(Some(1), Some(870_000)) && !near(Some(1), Some(2_000_001)));
    }
}
