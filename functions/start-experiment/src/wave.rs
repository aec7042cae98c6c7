//! One experiment: wait, choose, write down, ask FIS, follow to the end.

use aws::ThrowAway;
use aws::config::Mode;
use aws::{Error, Outcome};
use chrono::{DateTime, TimeDelta, Utc};
use rules::drill::{DrillState, Wave, is_end_status};
use rules::victim::{self, Victim};

use crate::capacity::{self, Wait};
use crate::policy::{Policy, Reading, Terms};
use crate::work::{Kept, Work};

/// What comes after a wave.
pub(crate) enum After {
    /// The next one, if there is one.
    Next,
    /// Nothing; this is the answer.
    Stop(Outcome),
}

/// The first and the longest time between two looks at whether FIS has resolved an experiment's targets.
const TARGETS_AFTER: TimeDelta = TimeDelta::seconds(3);
const TARGETS_AFTER_MAX: TimeDelta = TimeDelta::seconds(15);
/// The time between two looks at whether it is over, from then on.
const FOLLOW_EVERY: TimeDelta = TimeDelta::seconds(30);
/// What ending in order needs of Lambda's time.
const RESERVE: TimeDelta = TimeDelta::seconds(30);

/// FIS's answers that no retry mends.
const FINAL_ERRORS: [&str; 4] = [
    "ValidationException",
    "ConflictException",
    "ResourceNotFoundException",
    "AccessDeniedException",
];

/// Runs a wave, or goes on with one that an earlier invocation began.
pub(crate) async fn run(work: &mut Work<'_>, number: u32) -> Result<After, Error> {
    // Of a wave that was left without a template FIS cannot have heard either; when its experiment is over it has none any more.
    let is_unasked = |wave: &Wave| wave.template_id.is_none() && wave.experiment_id.is_none();
    work.unasked = work.drill.wave(number).is_some_and(is_unasked).then_some(number);
    let stop = match work.drill.wave(number) {
        Some(wave) if wave.is_over() => None,
        Some(wave) if wave.experiment_id.is_some() => None,
        Some(wave) if !work.token_is_trusted(wave.asked_at) => {
            let reason = "an earlier invocation asked FIS for an experiment and did not live to hear the answer";
            Some(work.unknown(format!("wave {number}: {reason}")).await?)
        }
        Some(_) => go_on(work, number).await?,
        None => begin(work, number).await?,
    };
    match stop {
        Some(outcome) => Ok(After::Stop(outcome)),
        None => {
            follow(work, number).await?;
            Ok(After::Next)
        }
    }
}

/// Waits for capacity, chooses the victims, and writes them down before anything is asked of FIS.
async fn begin(work: &mut Work<'_>, number: u32) -> Result<Option<Outcome>, Error> {
    let (policy, candidates) = match capacity::wait(work, begins_at(work, number)).await? {
        Wait::Ready(policy, candidates) => (policy, candidates),
        Wait::Over(reason) => return work.give_up(named(number, &reason)).await.map(Some),
        Wait::Refused(refusal) => return work.refuse(named(number, &refusal)).await.map(Some),
    };
    let Policy { terms, cluster } = *policy;
    if work.drill.waves.is_empty() {
        // The report compares with it; a drill is not worth losing for it.
        match work.aws.pools(&cluster).await {
            Ok(pools) => work.drill.pools = pools,
            Err(error) => tracing::warn!(error = error.chain(), "what is asked for in task capacity is not known"),
        }
    }
    let drill = &mut work.drill;
    let count = terms.selection.of(candidates.len());
    let victims = victim::choose(candidates, count, &drill.cluster_id, &drill.step_id, number);
    drill.has_stop_condition = Some(terms.template.has_stop_condition);
    drill.state = Some(DrillState::Starting);
    let wave = Wave {
        number,
        token: drill.token(number),
        victims,
        preview: work.config.mode == Mode::Preview,
        template_id: None,
        experiment_id: None,
        asked_at: Some(work.aws.now()),
        status: None,
        reason: None,
        resolved: Vec::new(),
    };
    drill.waves.push(wave);
    work.unasked = Some(number);
    if let Some(stop) = keep(work).await? {
        return Ok(Some(stop));
    }
    ask(work, &terms, number).await
}

/// Goes on with a wave that an earlier invocation wrote down, if it may be still.
async fn go_on(work: &mut Work<'_>, number: u32) -> Result<Option<Outcome>, Error> {
    match Policy::read(work, None).await? {
        Reading::May(policy) => match gone_meanwhile(work, &policy.terms, number).await? {
            None => ask(work, &policy.terms, number).await,
            Some(reason) => call_off(work, number, &reason).await.map(Some),
        },
        Reading::NotYet(reason) => work.give_up(named(number, &reason)).await.map(Some),
        Reading::Refused(refusal) => work.refuse(named(number, &refusal)).await.map(Some),
    }
}

/// A wave that is written down is not asked for after all, and leaves nothing behind.
async fn call_off(work: &mut Work<'_>, number: u32, reason: &str) -> Result<Outcome, Error> {
    let template_id = work.drill.wave(number).and_then(|wave| wave.template_id.clone());
    if let Some(template_id) = template_id {
        work.aws.delete_throw_away(&template_id).await?;
    }
    work.forget_wave_not_asked_for();
    work.give_up(named(number, reason)).await
}

/// Which victims that an earlier invocation chose run no more: minutes lie between Lambda's attempts. Others are not
/// chosen in their place: FIS may have the experiment all the same, and one step has one at most.
async fn gone_meanwhile(work: &Work<'_>, terms: &Terms, number: u32) -> Result<Option<String>, Error> {
    let Some(wave) = work.drill.wave(number) else {
        return Ok(None);
    };
    let (aws, partition) = (work.aws, terms.template.partition());
    let running = aws
        .running_spot_task_instances(&work.drill.cluster_id, partition)
        .await?;
    let is_gone = |victim: &&Victim| !running.iter().any(|one| one.instance_id == victim.instance_id);
    let gone: Vec<&str> = wave
        .victims
        .iter()
        .filter(is_gone)
        .map(|victim| victim.instance_id.as_str())
        .collect();
    Ok((!gone.is_empty()).then(|| {
        let gone = gone.join(", ");
        format!("chosen by an invocation that died before FIS heard of it, and running no more: {gone}")
    }))
}

/// Asks FIS for the experiment of a wave that is written down. Asked again with the same token, it is the same one.
async fn ask(work: &mut Work<'_>, terms: &Terms, number: u32) -> Result<Option<Outcome>, Error> {
    let Some(wave) = work.drill.wave(number).cloned() else {
        return Ok(None);
    };
    let (cluster_id, step_id) = (work.drill.cluster_id.clone(), work.drill.step_id.clone());
    let whose = ThrowAway {
        cluster_id: &cluster_id,
        step_id: &step_id,
        wave: number,
        token: &wave.token,
    };
    let template_id = match wave.template_id {
        Some(template_id) => template_id,
        None => {
            let arns: Vec<String> = wave.victims.iter().map(|victim| victim.arn.clone()).collect();
            match work.aws.create_throw_away(&terms.template, &arns, whose).await {
                Ok(template_id) => template_id,
                Err(error) => return not_started(work, number, None, error).await.map(Some),
            }
        }
    };
    if let Some(wave) = work.drill.wave_mut(number) {
        wave.template_id = Some(template_id.clone());
    }
    if let Some(stop) = keep(work).await? {
        work.aws.delete_throw_away(&template_id).await?;
        return Ok(Some(stop));
    }
    // Nothing lies between these looks and the experiment.
    if let Some(reason) = not_now(work, terms).await? {
        return call_off(work, number, &reason).await.map(Some);
    }
    work.unasked = None;
    let experiment = match work.aws.start_experiment(&template_id, wave.preview, whose).await {
        Ok(experiment) => experiment,
        Err(error) => return not_started(work, number, Some(&template_id), error).await.map(Some),
    };
    if let Some(wave) = work.drill.wave_mut(number) {
        wave.experiment_id = Some(experiment.id);
        wave.status = Some(experiment.status);
        wave.reason = experiment.reason;
    }
    work.drill.state = Some(DrillState::Started);
    // The experiment exists whether or not the step has ended meanwhile: it is written down and followed.
    work.save_whatever().await?;
    Ok(None)
}

/// Why nobody may be interrupted at this very moment: the stop condition's alarm is on, or the step is ending. Whether FIS
/// starts an experiment under such an alarm, AWS does not say; and one that runs gives its notices before it is stopped.
/// An alarm that cannot be looked at is FIS's matter, as ever, and is said.
/// <https://docs.aws.amazon.com/fis/latest/userguide/stop-conditions.html>
async fn not_now(work: &mut Work<'_>, terms: &Terms) -> Result<Option<String>, Error> {
    let alarms = terms.template.alarm_arns();
    if !alarms.is_empty() {
        match work.aws.alarms_on(&alarms).await {
            Ok(on) if on.is_empty() => {}
            Ok(on) => return Ok(Some(format!("the stop condition's alarm is on: {}", on.join(", ")))),
            Err(error) => {
                tracing::warn!(
                    error = error.chain(),
                    "whether the stop condition's alarm is on is not known"
                );
                work.drill.alarm_unknown = Some(error.chain());
            }
        }
    }
    work.step_does_not_run().await
}

/// FIS did not start it: a full quota or a refusal ends the drill, anything else is for Lambda's retry.
async fn not_started(
    work: &mut Work<'_>,
    number: u32,
    template_id: Option<&str>,
    error: Error,
) -> Result<Outcome, Error> {
    let is_quota = error.is_code("ServiceQuotaExceededException");
    if !is_quota && !FINAL_ERRORS.iter().any(|code| error.is_code(code)) {
        return Err(error);
    }
    let reason = named(number, &error.chain());
    if let Some(template_id) = template_id {
        work.aws.delete_throw_away(template_id).await?;
    }
    if is_quota {
        work.give_up(reason).await
    } else {
        work.refuse(reason).await
    }
}

/// Follows the experiment to its end, compares what FIS resolved with what we chose, and deletes the copy.
///
/// If Lambda's time runs out first, the report reads the end from FIS, and deletes the copy.
async fn follow(work: &mut Work<'_>, number: u32) -> Result<(), Error> {
    let Some(wave) = work.drill.wave(number).cloned() else {
        return Ok(());
    };
    let Some(experiment_id) = wave.experiment_id.clone() else {
        return Ok(());
    };
    let mut pause = TARGETS_AFTER;
    let mut status = wave.status.clone().unwrap_or_default();
    let mut reason = wave.reason.clone();
    let mut resolved = wave.resolved.clone();
    while !is_end_status(&status) {
        let time_left = work.deadline - RESERVE - work.aws.now();
        let Some(nap) = pause.min(time_left).to_std().ok().filter(|nap| !nap.is_zero()) else {
            break;
        };
        tokio::time::sleep(nap).await;
        let Some(experiment) = work.aws.experiment(&experiment_id).await? else {
            break;
        };
        (status, reason) = (experiment.status, experiment.reason);
        if resolved.is_empty() && !matches!(status.as_str(), "pending" | "initiating") {
            resolved = work.aws.resolved_targets(&experiment_id).await?;
            let is_foreign = |arn: &&String| !wave.victims.iter().any(|victim| victim.arn == **arn);
            if let Some(foreign) = resolved.iter().find(is_foreign) {
                tracing::error!(
                    experiment_id,
                    arn = foreign,
                    "FIS resolved what was not chosen: stopping"
                );
                work.aws.stop_experiment(&experiment_id).await?;
            }
        }
        let is_known = !resolved.is_empty();
        pause = if is_known {
            FOLLOW_EVERY
        } else {
            (pause * 2).min(TARGETS_AFTER_MAX)
        };
    }
    if let Some(wave) = work.drill.wave_mut(number) {
        wave.status = Some(status);
        wave.reason = reason;
        wave.resolved = resolved;
        if wave.is_over() {
            work.aws.delete_template_of(wave).await;
        }
    }
    // The last wave's end is written with the drill's.
    if number < work.config.waves {
        work.save_whatever().await?;
    }
    Ok(())
}

/// When a wave begins: after the delay from the step's begin, or the interval from the last wave's.
fn begins_at(work: &Work<'_>, number: u32) -> DateTime<Utc> {
    let config = work.config;
    let seconds = |seconds: u32| TimeDelta::seconds(i64::from(seconds));
    if let Some(last) = work.drill.wave(number - 1).and_then(|wave| wave.asked_at) {
        return last + seconds(config.wave_interval_seconds);
    }
    let jitter = capacity::draw(&work.drill.step_id) * f64::from(config.delay_jitter_seconds) * 1000.0;
    let began = work
        .step
        .started_at
        .or(work.drill.started_at)
        .unwrap_or_else(|| work.aws.now());
    began + seconds(config.delay_seconds) + TimeDelta::milliseconds(jitter as i64)
}

fn named(number: u32, reason: &str) -> String {
    if number == 1 {
        reason.to_owned()
    } else {
        format!("wave {number}: {reason}")
    }
}

/// Writes the drill. `Some`: the answer, because it may not go on.
async fn keep(work: &mut Work<'_>) -> Result<Option<Outcome>, Error> {
    match work.save().await? {
        Kept::Yes => Ok(None),
        Kept::Lost => Ok(Some(work.lost())),
        Kept::StepOver => {
            work.forget_wave_not_asked_for();
            work.give_up("the step ended first".into()).await.map(Some)
        }
    }
}
