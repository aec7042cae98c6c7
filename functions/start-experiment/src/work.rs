//! This invocation's hold on the drill's ledger item, and every way in which it ends.

use std::time::Duration;

use aws::invocation::Invocation;
use aws::{Aws, Error, Outcome};
use aws::{Meter, Saved, Turn, expires_at};
use chrono::{DateTime, TimeDelta, Utc};
use rules::drill::{Claim, Drill, DrillState, TOKEN_TRUSTED};
use rules::event::StepStatusChange;
use rules::job;
use rules::step::Step;

use crate::Config;

/// A claim on a cluster runs out by itself after so long; a step that still runs then is not protected any more.
const CLAIM_MAX: TimeDelta = TimeDelta::hours(24);

/// How often a write that lost a race is tried again at most.
const SAVES_MAX: usize = 5;

/// What an experiment needs of Lambda's time once capacity is there: choosing, starting, following.
const EXPERIMENT_RESERVE: TimeDelta = TimeDelta::seconds(120);

/// How often, and how long apart, a step is asked for that EMR calls PENDING after the event that it runs.
const PENDING_LOOKS_MAX: usize = 6;
const PENDING_EVERY: Duration = Duration::from_secs(5);

/// What this invocation works on.
pub(crate) struct Work<'a> {
    pub aws: &'a Aws,
    pub config: &'a Config,
    pub deadline: DateTime<Utc>,
    pub meter: Meter,
    pub step: Step,
    pub drill: Drill,
    /// The wave of which FIS cannot have heard: it was begun here, and no experiment was asked for.
    pub unasked: Option<u32>,
}

/// Was the drill there to be taken?
pub(crate) enum Taken<'a> {
    /// It is ours.
    Yes(Box<Work<'a>>),
    /// It is not, and this is the answer.
    No(Outcome),
}

/// What became of writing the drill.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is written, and the step goes on as far as the ledger knows.
    Yes,
    /// It is not written: the step has ended.
    StepOver,
    /// It is not written: another invocation has the drill now.
    Lost,
}

impl<'a> Work<'a> {
    /// Takes the drill of a step, new or left behind by an invocation that died.
    pub(crate) async fn take(
        aws: &'a Aws,
        config: &'a Config,
        invocation: &Invocation,
        meter: Meter,
        event: &StepStatusChange,
        step: Step,
    ) -> Result<Taken<'a>, Error> {
        let found = aws.drill(&config.table_name, &event.cluster_id, &event.step_id).await?;
        let is_new = found.is_none();
        let mut drill = found.unwrap_or_else(|| Drill::new(&event.cluster_id, &event.step_id));
        if !drill.may_take(&invocation.request_id, aws.now()) {
            return Ok(Taken::No(left_alone(&drill)));
        }
        if step.is_over() {
            return Ok(Taken::No(Outcome::ignored(format!(
                "step {} is {} already",
                step.id, step.state
            ))));
        }
        drill.state = drill.state.or(Some(DrillState::Waiting));
        drill.job = Some(job::of(&step)).filter(|job| !job.is_empty());
        drill.started_at = step.started_at.or(Some(event.time));
        if is_new && may_have_been_drilled(config, &drill, aws.now()) {
            drill.waves = aws.experiments_of_step(&event.step_id).await?;
            if !drill.waves.is_empty() {
                tracing::warn!(
                    step_id = event.step_id,
                    "FIS has experiments of a step of which the ledger knows nothing"
                );
                drill.state = Some(DrillState::Started);
            }
        }
        drill.holder = Some(invocation.request_id.clone());
        drill.lease_until = Some(invocation.deadline + TimeDelta::seconds(1));
        let mut work = Work {
            aws,
            config,
            deadline: invocation.deadline,
            meter,
            step,
            drill,
            unasked: None,
        };
        match work.save().await? {
            Kept::Yes => Ok(Taken::Yes(Box::new(work))),
            Kept::StepOver | Kept::Lost => Ok(Taken::No(left_alone(&work.drill))),
        }
    }

    /// Writes the drill as it stands, unless the step is over or somebody else has the drill.
    pub(crate) async fn save(&mut self) -> Result<Kept, Error> {
        let holder = self.drill.holder.clone();
        match self.put().await? {
            None => Ok(Kept::Yes),
            Some(found) => {
                // Only the report's side writes an item that we hold, and it writes when the step is over.
                let step_over = found.finished.is_some() || found.holder == holder;
                self.adopt(found);
                Ok(if step_over { Kept::StepOver } else { Kept::Lost })
            }
        }
    }

    /// Takes over what the report's side wrote meanwhile.
    fn adopt(&mut self, found: Drill) {
        self.drill.version = found.version;
        self.drill.finished = found.finished;
        self.drill.report = found.report;
    }

    /// `Some`: what stands there instead.
    async fn put(&mut self) -> Result<Option<Drill>, Error> {
        let expires = expires_at(self.aws.now(), self.config.retention_days);
        match self
            .aws
            .save_drill(&self.config.table_name, &mut self.drill, expires)
            .await?
        {
            Saved::Yes => Ok(None),
            Saved::No(found) => Ok(Some(found)),
        }
    }

    /// Writes the drill even though the step may be over: what exists must be on record.
    pub(crate) async fn save_whatever(&mut self) -> Result<(), Error> {
        for _ in 0..SAVES_MAX {
            match self.put().await? {
                None => return Ok(()),
                Some(found) => self.adopt(found),
            }
        }
        Err(Error::NotYet(
            "the ledger's item changes faster than it can be written".into(),
        ))
    }

    /// Takes a turn at EMR that is free within so long.
    pub(crate) async fn take_turn(&self, patience: TimeDelta) -> Turn {
        let (table, share) = (&self.config.table_name, self.config.emr_share_percent);
        self.aws.take_turn(table, share, patience).await
    }

    /// A wave that never reached FIS was none.
    pub(crate) fn forget_wave_not_asked_for(&mut self) {
        if let Some(number) = self.unasked.take() {
            self.drill.waves.retain(|wave| wave.number != number);
        }
    }

    /// When a wait that was entered at one time, for something that begins at another, ends at the latest.
    pub(crate) fn wait_limit(&self, entered_at: DateTime<Utc>, begin: DateTime<Utc>) -> DateTime<Utc> {
        let wait_max = TimeDelta::seconds(i64::from(self.config.wait_seconds_max));
        (entered_at + wait_max)
            .max(begin)
            .min(self.deadline - EXPERIMENT_RESERVE)
    }

    /// Why no experiment may begin under the step, if none may: it has to run at this very moment. EMR's answers may
    /// lag behind its event, which says that the step runs: PENDING is asked again for a while.
    pub(crate) async fn step_does_not_run(&self) -> Result<Option<String>, Error> {
        let (cluster_id, step_id) = (&self.drill.cluster_id, &self.drill.step_id);
        for _ in 0..PENDING_LOOKS_MAX {
            match self.aws.step(cluster_id, step_id).await? {
                Some(step) if step.state == "RUNNING" => return Ok(None),
                Some(step) if step.state == "PENDING" => tokio::time::sleep(PENDING_EVERY).await,
                step => return Ok(Some(why_not(step.as_ref()))),
            }
        }
        Ok(Some("EMR calls the step PENDING still".into()))
    }

    /// An invocation that died may have asked FIS for an experiment and not lived to hear the answer.
    pub(crate) async fn find_experiments_already_asked_for(&mut self) -> Result<(), Error> {
        let asked: Vec<(u32, String)> = self
            .drill
            .waves
            .iter()
            .filter(|wave| wave.experiment_id.is_none())
            .filter_map(|wave| Some((wave.number, wave.template_id.clone()?)))
            .collect();
        for (number, template_id) in asked {
            let found = self.aws.experiment_of_template(&template_id).await?;
            if let (Some(experiment_id), Some(wave)) = (found, self.drill.wave_mut(number)) {
                wave.experiment_id = Some(experiment_id);
                self.drill.state = Some(DrillState::Started);
            }
        }
        Ok(())
    }

    /// May the same token still be used for a wave that was begun and has no experiment?
    pub(crate) fn token_is_trusted(&self, asked_at: Option<DateTime<Utc>>) -> bool {
        asked_at.is_some_and(|asked| self.aws.now() - asked < TOKEN_TRUSTED)
    }

    /// Claims the cluster. `Some`: why it cannot be had.
    pub(crate) async fn claim_cluster(&self) -> Result<Option<String>, Error> {
        let now = self.aws.now();
        let table = &self.config.table_name;
        let claim = Claim {
            cluster_id: self.drill.cluster_id.clone(),
            step_id: self.drill.step_id.clone(),
            until: now + CLAIM_MAX,
            released: false,
        };
        let expires = expires_at(now, self.config.retention_days);
        let Saved::No(other) = self.aws.claim_cluster(table, &claim, expires).await? else {
            return Ok(None);
        };
        let free_since = if other.released || other.until < now {
            other.until
        } else {
            // Its report may be late or lost; EMR knows whether the step goes on.
            match self.aws.step(&other.cluster_id, &other.step_id).await? {
                Some(step) if !step.is_over() => {
                    return Ok(Some(format!(
                        "the drill of step {} has the cluster until that step ends",
                        other.step_id
                    )));
                }
                Some(step) => step.ended_at.unwrap_or(now),
                None => DateTime::UNIX_EPOCH,
            }
        };
        let free_at = free_since + TimeDelta::seconds(i64::from(self.config.interval_seconds_min));
        if now < free_at {
            return Ok(Some(format!(
                "the cluster's last drill, of step {}, ended {} s ago; {} s must lie between",
                other.step_id,
                (now - free_since).num_seconds(),
                self.config.interval_seconds_min
            )));
        }
        match self.aws.take_claim(table, &claim, &other, expires).await? {
            Saved::Yes => Ok(None),
            Saved::No(winner) if winner.step_id == claim.step_id => Ok(None),
            Saved::No(winner) => Ok(Some(format!(
                "the drill of step {} has just claimed the cluster",
                winner.step_id
            ))),
        }
    }

    /// Lets the cluster go at once: nobody was interrupted.
    async fn release_cluster(&self) -> Result<(), Error> {
        let claim = Claim {
            cluster_id: self.drill.cluster_id.clone(),
            step_id: self.drill.step_id.clone(),
            until: DateTime::UNIX_EPOCH,
            released: true,
        };
        let expires = expires_at(self.aws.now(), self.config.retention_days);
        self.aws.release_claim(&self.config.table_name, &claim, expires).await
    }

    /// The drill must not run.
    pub(crate) async fn refuse(&mut self, reason: String) -> Result<Outcome, Error> {
        self.end(DrillState::Refused, reason.clone()).await?;
        Ok(self.outcome(Outcome::Refused { reason }))
    }

    /// The drill could not run.
    pub(crate) async fn give_up(&mut self, reason: String) -> Result<Outcome, Error> {
        self.end(DrillState::GaveUp, reason.clone()).await?;
        Ok(self.outcome(Outcome::GaveUp { reason }))
    }

    /// An experiment was asked for, and nobody can tell whether it exists. Prefer none to two.
    pub(crate) async fn unknown(&mut self, reason: String) -> Result<Outcome, Error> {
        self.end(DrillState::Unknown, reason.clone()).await?;
        Ok(self.outcome(Outcome::GaveUp { reason }))
    }

    /// All waves ran.
    pub(crate) async fn done(&mut self) -> Result<Outcome, Error> {
        self.end(DrillState::Started, String::new()).await?;
        Ok(Outcome::Drilled {
            experiments: self.drill.experiments(),
        })
    }

    /// Another invocation has the drill.
    pub(crate) fn lost(&self) -> Outcome {
        left_alone(&self.drill)
    }

    fn outcome(&self, without_experiment: Outcome) -> Outcome {
        match self.drill.experiments() {
            none if none.is_empty() => without_experiment,
            experiments => Outcome::Drilled { experiments },
        }
    }

    async fn end(&mut self, state: DrillState, reason: String) -> Result<(), Error> {
        let has_experiments = !self.drill.experiments().is_empty();
        self.drill.state = Some(if has_experiments { DrillState::Started } else { state });
        self.drill.reason = Some(reason).filter(|reason| !reason.is_empty());
        self.drill.lease_until = None;
        self.drill.used = Some(self.meter.read(self.aws, &self.config.clients));
        for _ in 0..SAVES_MAX {
            match self.put().await? {
                None => break,
                Some(found) if found.holder == self.drill.holder => self.adopt(found),
                Some(_) => return Ok(()),
            }
        }
        if has_experiments || state == DrillState::Unknown {
            Ok(())
        } else {
            self.release_cluster().await
        }
    }
}

/// Of a step that has run for longer than the delay there may have been an experiment, though the ledger knows nothing of it:
/// its table may have been deleted, and made anew. FIS knows.
fn may_have_been_drilled(config: &Config, drill: &Drill, now: DateTime<Utc>) -> bool {
    let delay = TimeDelta::seconds(i64::from(config.delay_seconds));
    drill.started_at.is_some_and(|started| now >= started + delay)
}

/// Why nobody is interrupted for a step that does not run.
pub(crate) fn why_not(step: Option<&Step>) -> String {
    match step {
        None => "EMR no longer knows the step".into(),
        Some(step) if step.is_over() => format!("the step ended first, as {}", step.state),
        Some(step) => format!("the step is {}", step.state),
    }
}

fn left_alone(drill: &Drill) -> Outcome {
    let step = &drill.step_id;
    Outcome::ignored(match (&drill.finished, drill.lease_until) {
        (Some(finished), _) => format!("step {step} is {} already", finished.state),
        (None, Some(_)) => format!("another invocation works on the drill of step {step}"),
        (None, None) => format!("the drill of step {step} is done"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn why_nobody_is_interrupted_says_what_emr_calls_the_step() {
        let words = |state: &str| {
            let step = json!({"id": "s-A", "name": "a step", "state": state, "jar": "", "args": [], "properties": {}});
            why_not(Some(&serde_json::from_value(step).unwrap()))
        };
        assert_eq!(words("FAILED"), "the step ended first, as FAILED");
        assert_eq!(words("CANCEL_PENDING"), "the step is CANCEL_PENDING");
        assert_eq!(why_not(None), "EMR no longer knows the step");
    }
}
