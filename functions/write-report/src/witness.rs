//! What Spark's side has to say of a step: the step's own log, the application's event logs, and whether EMR's COMPLETED
//! says anything of the application.
//!
//! Each of them is optional, and none is trusted alone.

use std::collections::BTreeMap;

use aws::Aws;
use report::Missing;
use rules::cluster::Cluster;
use rules::step::{Launch, Step, Waits};
use spark_log::SparkRun;

use crate::Config;
use crate::event_log::{self, EventLog, Wanted};
use crate::gathered::or_missing;
use crate::refusal;
use crate::step_log::{self, StepLog};

/// What was found.
pub(crate) struct Witness {
    /// The step's own log.
    pub step_log: Option<StepLog>,
    /// It is not there, and may still come.
    pub step_log_may_come: bool,
    /// The application's event logs.
    pub log: Option<EventLog>,
    /// Which event log is there and may not be read, in words.
    pub withheld: Option<String>,
    /// There are logs, and only the step's own could tell which are its application's.
    pub is_ambiguous: bool,
    /// Why COMPLETED says nothing of the application, in words; `None`: it does.
    pub completed_doubt: Option<String>,
}

impl Witness {
    pub(crate) fn final_status(&self) -> Option<&str> {
        self.step_log.as_ref()?.final_status.as_deref()
    }

    pub(crate) fn diagnostics(&self) -> Option<&str> {
        self.step_log.as_ref()?.diagnostics.as_deref()
    }
}

/// Reads them.
pub(crate) async fn read(
    aws: &Aws,
    config: &Config,
    step: &Step,
    cluster: Option<&Cluster>,
    missing: &mut Vec<Missing>,
) -> Witness {
    let step_log = step_log::read(aws, cluster, step).await;
    // One that was pushed while the step ran does not tell its end yet.
    let waits = step.waits_for_application(&defaults(cluster));
    let step_log_may_come = match &step_log {
        Ok(None) => true,
        Ok(Some(log)) => log.final_status.is_none() && waits != Waits::No,
        Err(_) => false,
    };
    let submitted = match &step_log {
        _ if !step.application_ids.is_empty() => step.application_ids.clone(),
        Ok(Some(log)) => log.applications.clone(),
        _ => Vec::new(),
    };
    let wanted = Wanted {
        step,
        cluster,
        submitted: &submitted,
        may_outlive: waits != Waits::Yes,
    };
    let found = event_log::find(aws, config, wanted).await;
    let withheld = found.as_ref().err().and_then(refusal::withheld);
    let found = or_missing(found, "event log", missing);
    let mut is_ambiguous = false;
    let log = match found {
        Some(Ok(log)) => Some(log),
        Some(Err(none)) => {
            is_ambiguous = none.several;
            missing.push(Missing {
                what: "event log".into(),
                why: none.why,
            });
            None
        }
        None => None,
    };
    let last = log.as_ref().and_then(|log| log.runs.last());
    let completed_doubt = doubt(step, cluster, last);
    // Where everything else tells, nobody misses the step's own log; that it may not be read somebody should mend.
    let is_refused = step_log.as_ref().is_err_and(|unread| unread.is_refused);
    let is_missed = is_refused || log.is_none() || completed_doubt.is_some() || step.state == "FAILED";
    let why = match &step_log {
        Ok(Some(_)) => None,
        Ok(None) => Some("EMR has pushed none to its LogUri yet".to_owned()),
        Err(unread) => Some(unread.why.clone()),
    };
    missing.extend(why.filter(|_| is_missed).map(|why| Missing {
        what: "step log".into(),
        why,
    }));
    Witness {
        step_log: step_log.ok().flatten(),
        step_log_may_come,
        log,
        withheld,
        is_ambiguous,
        completed_doubt,
    }
}

/// Why COMPLETED says nothing of the application. The properties that the application ran with, which its event log has,
/// know better than the step's arguments: a properties file, or a wrapper, may have set them.
fn doubt(step: &Step, cluster: Option<&Cluster>, log: Option<&SparkRun>) -> Option<String> {
    if step.launch() != Launch::Direct {
        let first = step.args.first().filter(|_| step.jar.ends_with("-runner.jar"));
        let command = first.unwrap_or(&step.jar);
        let name: String = command
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .chars()
            .take(60)
            .collect();
        return Some(format!("the step runs {name}, whose status is not its application's"));
    }
    let waits = log
        .and_then(waited)
        .unwrap_or_else(|| step.waits_for_application(&defaults(cluster)));
    match waits {
        Waits::Yes => None,
        Waits::No => Some("spark.yarn.submit.waitAppCompletion is false, so COMPLETED means submitted".into()),
        Waits::Unknown => Some(
            "a properties file may have set spark.yarn.submit.waitAppCompletion, so COMPLETED may mean submitted"
                .into(),
        ),
    }
}

fn defaults(cluster: Option<&Cluster>) -> BTreeMap<String, String> {
    cluster
        .map(|cluster| cluster.spark_defaults.clone())
        .unwrap_or_default()
}

/// Whether the step waited, by the application's own settings; they say nothing where they leave the deploy mode out.
fn waited(log: &SparkRun) -> Option<Waits> {
    let set = |key: &str, value: &str| log.settings.get(key).map(|set| set.trim().eq_ignore_ascii_case(value));
    match (
        set("spark.submit.deployMode", "client"),
        set("spark.yarn.submit.waitAppCompletion", "false"),
    ) {
        (Some(true), _) | (Some(false), Some(false)) => Some(Waits::Yes),
        (Some(false), Some(true)) => Some(Waits::No),
        _ => None,
    }
}
