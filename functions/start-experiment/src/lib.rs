//! Starts the experiment: an EMR step began to run; wait until the cluster has Spot task instances enough, choose the
//! victims among them, and let FIS interrupt exactly those.
//!
//! # Layout
//!
//! * here: the settings and [`handle`], which reads as the story;
//! * [`work`]: this invocation's hold on the drill's ledger item, and every way in which it ends;
//! * [`policy`]: may this cluster be drilled, and what does the stack's FIS template ask for?
//! * [`capacity`]: the wait for the delay and for Spot task instances;
//! * [`wave`]: one experiment, from the choice of victims to its end state.

mod capacity;
mod policy;
mod wave;
mod work;

use aws::config::{Blank, Clients, Clusters, EmrShare, Mode, ReportOn, watches_all};
use aws::invocation::Invocation;
use aws::{Aws, Error, Meter, Outcome, Turn};
use chrono::TimeDelta;
use clap::Parser;
use rules::event::StepStatusChange;
use rules::ledger::ActiveStep;

use wave::After;
use work::{Taken, Work};

/// Settings, from the environment.
#[derive(Debug, Clone, Parser)]
#[command(about = "Waits for Spot task capacity when a Spark step begins, and starts an AWS FIS experiment")]
pub struct Config {
    /// The ledger's DynamoDB table.
    #[arg(long, env = "TABLE_NAME")]
    pub table_name: String,
    /// The stack's FIS experiment template: what to do, to how many, when to stop.
    #[arg(long, env = "EXPERIMENT_TEMPLATE_ID")]
    pub experiment_template_id: String,
    /// Which clusters may be drilled.
    #[arg(long, env = "CLUSTERS", value_enum, default_value_t = Clusters::Tagged)]
    pub clusters: Clusters,
    /// Which steps are reported on. Those of other clusters cost EMR no call.
    #[arg(long, env = "REPORT_ON", value_enum, default_value_t = ReportOn::OptedIn)]
    pub report_on: ReportOn,
    /// Interrupt, only show who would be interrupted, or do nothing.
    #[arg(long, env = "MODE", value_enum, default_value_t = Mode::Run)]
    pub mode: Mode,
    /// How long after the step's begin the first experiment starts, in seconds.
    #[arg(long, env = "DELAY_SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(0..=600))]
    pub delay_seconds: u32,
    /// Up to so many seconds more, drawn from the step's id.
    #[arg(long, env = "DELAY_JITTER_SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=600))]
    pub delay_jitter_seconds: u32,
    /// How long to wait for Spot task capacity at most, in seconds.
    #[arg(long, env = "WAIT_SECONDS_MAX", default_value_t = 720, value_parser = clap::value_parser!(u32).range(1..=780))]
    pub wait_seconds_max: u32,
    /// How many instances each experiment interrupts; blank: as many as the template says.
    #[arg(long, env = "VICTIMS", default_value = "", value_parser = victims)]
    pub victims: Blank<u32>,
    /// How many experiments, one after the other.
    #[arg(long, env = "WAVES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=5))]
    pub waves: u32,
    /// Seconds from one experiment's start to the next one's.
    #[arg(long, env = "WAVE_INTERVAL_SECONDS", default_value_t = 180, value_parser = clap::value_parser!(u32).range(30..=600))]
    pub wave_interval_seconds: u32,
    /// Seconds from the end of a cluster's last drill to its next one, at least.
    #[arg(long, env = "INTERVAL_SECONDS_MIN", default_value_t = 0)]
    pub interval_seconds_min: u32,
    /// The share of EMR's quotas that the whole deployment keeps to, in percent.
    #[arg(long, env = "EMR_SHARE_PERCENT", default_value = "20")]
    pub emr_share_percent: EmrShare,
    /// How long items are kept, in days.
    #[arg(long, env = "RETENTION_DAYS", default_value_t = 400)]
    pub retention_days: u32,
    /// How AWS is called.
    #[command(flatten)]
    pub clients: Clients,
}

/// So long a step that began waits for its turn at EMR; after that, for Lambda's next attempt.
const TURN_PATIENCE: TimeDelta = TimeDelta::minutes(5);

/// FIS runs at most ten actions of five instances in parallel.
/// <https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html>
const VICTIMS_MAX: u32 = 50;

fn victims(text: &str) -> Result<Blank<u32>, String> {
    match text.parse::<Blank<u32>>() {
        Ok(Blank(Some(0))) | Err(_) => Err(format!("expected nothing, or a number from 1 to {VICTIMS_MAX}")),
        Ok(Blank(Some(count))) if count > VICTIMS_MAX => Err(format!("expected at most {VICTIMS_MAX}")),
        Ok(blank) => Ok(blank),
    }
}

/// Runs the drill of a step that began, if it is one to drill.
pub async fn handle(aws: &Aws, config: &Config, invocation: Invocation) -> Result<Outcome, Error> {
    let meter = Meter::begin(aws);
    let event = StepStatusChange::parse(&invocation.payload)?;
    if event.state != "RUNNING" {
        return Ok(Outcome::ignored(format!("the step is {}, not RUNNING", event.state)));
    }
    if !watches_all(config.clusters, config.report_on) {
        let tags = aws.cluster_tags(&event.cluster_id).await?;
        if tags.is_some_and(|tags| !Clusters::opts_in(&tags)) {
            // When the step ends, EC2 may know nothing of the cluster any more.
            let unwatched = ActiveStep::unwatched(&event.cluster_id, &event.step_id, aws.now());
            aws.note_unwatched(&config.table_name, &unwatched).await?;
            return Ok(Outcome::ignored(policy::not_opted_in(&event.cluster_id)));
        }
    }
    await_turn(aws, config, &event).await?;
    let Some(step) = aws.step(&event.cluster_id, &event.step_id).await? else {
        return Ok(Outcome::ignored(format!(
            "EMR knows no step {} on {}",
            event.step_id, event.cluster_id
        )));
    };
    // Whatever becomes of it here: as long as it runs, nobody may empty what it writes to.
    if !step.is_over() {
        let active = ActiveStep::of(&event.cluster_id, &step, aws.now());
        aws.note_active(&config.table_name, &active).await?;
    }
    if config.mode == Mode::Off {
        return Ok(Outcome::ignored("drills are switched off: MODE is off"));
    }
    if let Some(reason) = policy::no_drill_for(aws, &event.cluster_id, &step).await? {
        return Ok(Outcome::ignored(reason));
    }
    let mut work = match Work::take(aws, config, &invocation, meter, &event, step).await? {
        Taken::Yes(work) => work,
        Taken::No(outcome) => return Ok(outcome),
    };
    work.find_experiments_already_asked_for().await?;
    if let Some(refusal) = policy::not_opted_in_by_ec2(&work).await? {
        return work.refuse(refusal).await;
    }
    if let Some(refusal) = work.claim_cluster().await? {
        return work.refuse(refusal).await;
    }
    for number in 1..=config.waves {
        match wave::run(&mut work, number).await? {
            After::Next => {}
            After::Stop(outcome) => return Ok(outcome),
        }
    }
    work.done().await
}

/// Waits for a turn at EMR. As long as nobody has read what the step writes to, its note says so, and nobody may empty
/// anything without asking.
async fn await_turn(aws: &Aws, config: &Config, event: &StepStatusChange) -> Result<(), Error> {
    let (table, share) = (&config.table_name, config.emr_share_percent);
    if aws.take_turn(table, share, TimeDelta::zero()).await == Turn::AtOnce {
        return Ok(());
    }
    let unread = ActiveStep::unread(&event.cluster_id, &event.step_id, aws.now());
    aws.note_active(table, &unread).await?;
    match aws.take_turn(table, share, TURN_PATIENCE).await {
        Turn::AtOnce | Turn::Waited => Ok(()),
        Turn::NotSoon => Err(Error::NotYet(format!(
            "step {} waits for its turn at EMR: others have the {} % of its quotas that drills keep to",
            event.step_id,
            share.percent()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(victims: &str) -> Result<Config, clap::Error> {
        let arguments = [
            "start-experiment",
            "--table-name",
            "t",
            "--experiment-template-id",
            "EXT1",
            "--victims",
            victims,
        ];
        Config::try_parse_from(arguments)
    }

    #[test]
    fn victims_may_be_blank_and_must_be_few() {
        assert_eq!(parse("").unwrap().victims, Blank(None));
        assert_eq!(parse("7").unwrap().victims, Blank(Some(7)));
        for bad in ["0", "51", "three", "-1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
