//! What FIS says of the drill's experiments, and what becomes of a drill that nobody works on any more.

use aws::ExperimentState;
use aws::{Aws, Error};
use chrono::TimeDelta;
use report::ExperimentFacts;
use rules::cluster::Instance;
use rules::drill::{Drill, DrillState, Wave, is_end_status};
use rules::interruption::{Act, NOTICE};
use rules::step::Step;

/// What FIS says of the drill's experiments.
#[derive(Debug, Default)]
pub(crate) struct Experiments {
    /// Each experiment, in the order of the waves.
    pub facts: Vec<ExperimentFacts>,
    /// What their actions did.
    pub acts: Vec<Act>,
    /// The victims of those of which FIS does not say what they did.
    pub untold: Vec<String>,
    /// Whether FIS did not answer, and so one may be missing.
    pub is_cut_short: bool,
}

/// Reads each experiment's end, and fills in what start-experiment did not live to write down.
pub(crate) async fn read(aws: &Aws, drill: &mut Drill, problems: &mut Vec<String>) -> Experiments {
    let mut read = Experiments::default();
    for wave in &mut drill.waves {
        let answer = read_wave(aws, wave, problems).await;
        let state = answer.as_ref().ok().and_then(Option::as_ref);
        let acts = match state {
            _ if wave.preview => Vec::new(),
            Some(state) => state.acts.clone(),
            None => remembered(wave).into_iter().collect(),
        };
        // One that FIS found no experiment for never was.
        let may_have_acted = match state {
            Some(state) => !is_end_status(&state.status),
            None => answer.is_err() || wave.experiment_id.is_some(),
        };
        if acts.is_empty() && may_have_acted && !wave.preview {
            let victims = wave.victims.iter().map(|victim| victim.instance_id.clone());
            read.untold.extend(victims);
        }
        read.acts.extend(acts);
        read.facts.push(experiment(wave, state));
        if let Err(error) = answer {
            read.is_cut_short = true;
            problems.push(error.chain());
        }
    }
    read
}

/// Where the ledger knows of no drill and the cluster lost instances while the step ran, FIS is asked for experiments of the
/// step: the ledger's table may have been deleted, and made anew. Where FIS does not answer, these instances come back: nobody
/// can say whether an experiment of the step took them.
pub(crate) async fn recall(
    aws: &Aws,
    drill: &mut Drill,
    step: &Step,
    instances: Option<&[Instance]>,
    problems: &mut Vec<String>,
) -> Vec<String> {
    if drill.state.is_some() {
        return Vec::new();
    }
    let went = |one: &Instance| {
        one.ended_at
            .zip(step.started_at)
            .is_some_and(|(ended, began)| ended >= began)
    };
    let gone: Vec<String> = instances
        .into_iter()
        .flatten()
        .filter(|one| went(one))
        .map(|one| one.instance_id.clone())
        .collect();
    if gone.is_empty() {
        return Vec::new();
    }
    match aws.experiments_of_step(&step.id).await {
        Ok(waves) if waves.is_empty() => {}
        Ok(waves) => {
            drill.waves = waves;
            drill.state = Some(DrillState::Started);
            problems.push("the ledger has lost this step's drill: what is told of it is what FIS remembers".into());
        }
        Err(error) => {
            problems.push(error.chain());
            return gone;
        }
    }
    Vec::new()
}

/// What the ledger remembers of an experiment of which FIS tells no more: one that ended as completed did what it was
/// asked for, and FIS's actions do not take longer than this.
fn remembered(wave: &Wave) -> Option<Act> {
    let began_at = wave.asked_at?;
    (!wave.preview && wave.status.as_deref() == Some("completed")).then(|| Act {
        experiment_id: wave.experiment_id.clone().unwrap_or_default(),
        instance_ids: wave.victims.iter().map(|victim| victim.instance_id.clone()).collect(),
        began_at,
        ended_at: Some(began_at + TimeDelta::minutes(2)),
        before_interruption: NOTICE,
    })
}

async fn read_wave(aws: &Aws, wave: &mut Wave, problems: &mut Vec<String>) -> Result<Option<ExperimentState>, Error> {
    if wave.experiment_id.is_none()
        && let Some(template_id) = &wave.template_id
    {
        wave.experiment_id = aws.experiment_of_template(template_id).await?;
    }
    let Some(experiment_id) = wave.experiment_id.clone() else {
        return Ok(None);
    };
    let state = aws.experiment(&experiment_id).await?;
    if let Some(state) = &state {
        wave.status = Some(state.status.clone());
        wave.reason.clone_from(&state.reason);
        // What these cannot do or tell costs what they alone are for.
        if wave.resolved.is_empty() {
            match aws.resolved_targets(&experiment_id).await {
                Ok(resolved) => wave.resolved = resolved,
                Err(error) => problems.push(error.chain()),
            }
        }
        if wave.is_over() {
            aws.delete_template_of(wave).await;
        }
    }
    Ok(state)
}

fn experiment(wave: &Wave, state: Option<&ExperimentState>) -> ExperimentFacts {
    ExperimentFacts {
        wave: wave.number,
        experiment_id: wave.experiment_id.clone(),
        status: wave.status.clone(),
        reason: wave.reason.clone(),
        preview: wave.preview,
        victims: wave.victims.iter().map(|victim| victim.instance_id.clone()).collect(),
        resolved_are_victims: wave
            .resolved
            .iter()
            .all(|arn| wave.victims.iter().any(|victim| victim.arn == *arn)),
        resolved: wave.resolved.clone(),
        asked_at: wave.asked_at,
        started_at: state.and_then(|state| state.started_at),
        ended_at: state.and_then(|state| state.ended_at),
    }
}

/// The step is over: a drill that stands half-way has come as far as it will.
pub(crate) fn close(drill: &mut Drill, experiments: &Experiments) {
    let has_experiment = drill.waves.iter().any(|wave| wave.experiment_id.is_some());
    match drill.state {
        Some(DrillState::Waiting) => {
            drill.state = Some(DrillState::GaveUp);
            drill
                .reason
                .get_or_insert("the step ended before the experiment could start".into());
        }
        Some(DrillState::Starting) if has_experiment => drill.state = Some(DrillState::Started),
        Some(DrillState::Starting) => {
            drill.state = Some(DrillState::Unknown);
            let fis = if experiments.is_cut_short {
                "FIS could not be asked"
            } else {
                "FIS lists none for its template"
            };
            drill
                .reason
                .get_or_insert_with(|| format!("an experiment was asked for, no answer is on record, and {fis}"));
        }
        _ => {}
    }
}

/// Why nobody was interrupted by this drill, in words; `None` when an experiment ran as it should.
pub(crate) fn why_none(drill: Option<&Drill>) -> Option<String> {
    let Some(drill) = drill else {
        return Some("start-experiment never saw the step".into());
    };
    let with_experiment: Vec<&Wave> = drill.waves.iter().filter(|wave| wave.experiment_id.is_some()).collect();
    if with_experiment.is_empty() {
        return Some(match (&drill.reason, drill.state) {
            (Some(reason), _) => reason.clone(),
            (None, None) => "start-experiment never saw the step".into(),
            (None, Some(_)) => "no experiment was started, and why is not on record".into(),
        });
    }
    if with_experiment.iter().all(|wave| wave.preview) {
        return Some("the drill was a preview: it chose victims and interrupted nobody".into());
    }
    let ended: Vec<String> = with_experiment
        .iter()
        .filter(|wave| wave.status.as_deref() != Some("completed"))
        .map(|wave| {
            let words = wave
                .reason
                .as_deref()
                .map(|reason| format!(": {}", reason.trim_end_matches('.')))
                .unwrap_or_default();
            match wave.status.as_deref() {
                Some("failed") => format!("the experiment failed{words}"),
                Some("stopped") => format!("the experiment was stopped{words}"),
                Some("cancelled") => format!("the experiment was cancelled{words}"),
                Some(status) => format!("the experiment is {status}{words}"),
                None => format!("what became of the experiment is not known{words}"),
            }
        })
        .collect();
    (ended.len() == with_experiment.len()).then(|| ended.join("; "))
}

#[cfg(test)]
mod tests {
    use rules::victim::Victim;

    use super::*;

    /// FIS forgets an experiment after 120 days: <https://docs.aws.amazon.com/fis/latest/userguide/experiments.html>
    #[test]
    fn of_an_experiment_that_fis_has_forgotten_the_ledger_remembers_what_it_did_if_it_was_completed() {
        let asked_at = "2026-11-20T14:05:00Z".parse().unwrap();
        let wave = |status: &str, preview: bool| Wave {
            number: 1,
            token: "t".into(),
            victims: vec![Victim::of_arn("arn:aws:ec2:eu-west-1:1:instance/i-1".into())],
            preview,
            template_id: None,
            experiment_id: Some("EXP1".into()),
            asked_at: Some(asked_at),
            status: Some(status.into()),
            reason: None,
            resolved: Vec::new(),
        };
        let act = remembered(&wave("completed", false)).unwrap();
        assert_eq!(
            (act.experiment_id.as_str(), &act.instance_ids[..]),
            ("EXP1", &["i-1".to_owned()][..])
        );
        assert_eq!(act.began_at, asked_at);
        for (status, preview) in [
            ("completed", true),
            ("failed", false),
            ("stopped", false),
            ("running", false),
        ] {
            assert_eq!(remembered(&wave(status, preview)), None, "{status}, preview: {preview}");
        }
    }
}
