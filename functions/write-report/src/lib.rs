//! Writes the report: an EMR step ended, with or without an experiment; verify what was interrupted, whether it was
//! replaced and whether Spark recovered, and say what is known of it.
//!
//! # Layout
//!
//! * here: the settings and [`handle`];
//! * [`step_report`]: one step's report, from the event to S3 and the ledger;
//! * [`facts`]: from what was read to the report;
//! * [`recovery`]: the bounded wait until victims are gone;
//! * [`experiments`]: what FIS says of the drill's experiments;
//! * [`event_log`]: which event logs are the step's, and reading them; [`step_log`]: what the step submitted;
//! * [`interruptions`]: who was interrupted around the run;
//! * [`witness`]: what these say together; [`output`]: what the job wrote, and [`rows`], how many rows;
//! * [`elsewhen`]: what the same losses would have done at another moment;
//! * [`history`]: the job's earlier runs, to compare with;
//! * [`index`]: the page over all reports; [`digest`]: what is new in it;
//! * [`interim`]: a step that still runs long after its losses;
//! * [`opt_in`]: is the step of a cluster that is watched?
//! * [`sweep`]: steps whose end nobody told us of, and templates that nobody deleted.

mod digest;
mod elsewhen;
mod event_log;
mod experiments;
mod facts;
mod gathered;
mod history;
mod index;
mod interim;
mod interruptions;
mod opt_in;
mod output;
mod recovery;
mod refusal;
mod rows;
mod step_log;
mod step_report;
mod sweep;
mod witness;

use aws::config::{Blank, Clients, Clusters, EmrShare, ReportOn};
use aws::invocation::Invocation;
use aws::{Aws, Error, Outcome};
use clap::{Parser, ValueEnum};
use rules::event::StepStatusChange;
use rules::s3_location::S3Location;
use serde_json::Value;

/// Settings, from the environment.
#[derive(Debug, Clone, Parser)]
#[command(about = "Writes the report of a Spark step that ended, and of those whose end was not told")]
pub struct Config {
    /// The ledger's DynamoDB table.
    #[arg(long, env = "TABLE_NAME")]
    pub table_name: String,
    /// Which clusters may be drilled.
    #[arg(long, env = "CLUSTERS", value_enum, default_value_t = Clusters::Tagged)]
    pub clusters: Clusters,
    /// Which steps are reported on. Those of other clusters cost EMR no call.
    #[arg(long, env = "REPORT_ON", value_enum, default_value_t = ReportOn::OptedIn)]
    pub report_on: ReportOn,
    /// The bucket that reports go to.
    #[arg(long, env = "REPORT_BUCKET")]
    pub report_bucket: String,
    /// The prefix that reports go to.
    #[arg(long, env = "REPORT_PREFIX", default_value = "reports/")]
    pub report_prefix: String,
    /// How long to wait for victims to go, and for the step's own log where a failure is to be traced, in seconds.
    #[arg(long, env = "RECOVERY_SECONDS_MAX", default_value_t = 300, value_parser = clap::value_parser!(u32).range(0..=780))]
    pub recovery_seconds_max: u32,
    /// Where Spark's event logs lie, if neither the step nor the cluster says; blank: nowhere.
    #[arg(long, env = "EVENT_LOG_URI", default_value = "")]
    pub event_log_uri: Blank<S3Location>,
    /// How many minutes after its last experiment a step that still runs has not recovered.
    #[arg(long, env = "NOT_RECOVERED_MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=1440))]
    pub not_recovered_minutes: u32,
    /// How far back the sweep looks, in hours.
    #[arg(long, env = "SWEEP_HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=168))]
    pub sweep_hours: u32,
    /// Which argument of a step is its output, with `*` for anything: s3://bucket/results/*; blank: none by this.
    #[arg(long, env = "OUTPUT_PATTERN", default_value = "")]
    pub output_pattern: Blank<String>,
    /// Output of a run without interruptions, to compare with; blank: none.
    #[arg(long, env = "BASELINE_PREFIX", default_value = "")]
    pub baseline_prefix: Blank<S3Location>,
    /// Are the rows of outputs counted? That reads their files: the footers of Parquet and ORC, and text as a whole.
    #[arg(long, env = "COUNT_ROWS", value_enum, default_value_t = CountRows::Off)]
    pub count_rows: CountRows,
    /// What a unit of task capacity costs for an hour, in US dollars; blank: not known, and no instance is priced.
    #[arg(long, env = "UNIT_HOUR_USD", default_value = "")]
    pub unit_hour_usd: Blank<f64>,
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

/// Whether the rows of outputs are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CountRows {
    /// No file of an output is read.
    Off,
    /// Those of this run, and of the baseline, up to bounds.
    On,
}

/// Reports on the step that ended, sweeps, or tells what is new.
pub async fn handle(aws: &Aws, config: &Config, invocation: Invocation) -> Result<Outcome, Error> {
    if invocation.payload.get("sweep") == Some(&Value::Bool(true)) {
        return sweep::run(aws, config, &invocation).await;
    }
    if invocation.payload.get("digest") == Some(&Value::Bool(true)) {
        return digest::tell(aws, config).await;
    }
    let event = StepStatusChange::parse(&invocation.payload)?;
    if !matches!(
        event.state.as_str(),
        "COMPLETED" | "FAILED" | "CANCELLED" | "INTERRUPTED"
    ) {
        return Ok(Outcome::ignored(format!(
            "the step is {}, which is no end",
            event.state
        )));
    }
    if let Some(reason) = opt_in::not_watched(aws, config, &event.cluster_id, &event.step_id).await? {
        return Ok(Outcome::ignored(reason));
    }
    let outcome = step_report::write(aws, config, &invocation, &event.cluster_id, &event.step_id).await?;
    // A step that is not Spark's may have been in somebody's way too.
    aws.forget_active(&config.table_name, &event.cluster_id, &event.step_id)
        .await?;
    Ok(outcome)
}
