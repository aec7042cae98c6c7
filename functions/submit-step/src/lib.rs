//! Submits a Spark step as a schedule asks: finds the cluster by its name, empties the results' prefix, adds the step.
//!
//! EMR has no client token for adding steps, and the scheduler delivers at least once. So each execution of the
//! schedule has an item in the ledger, and the step carries the execution's id among its properties: after a crash
//! between adding the step and remembering it, the step itself tells that it is there.

mod results;

use std::time::Duration;

use aws::config::Clients;
use aws::invocation::Invocation;
use aws::{Aws, Error, Outcome};
use aws::{Saved, expires_at};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use rules::event::is_cluster_id;
use rules::ledger::{ActiveStep, Submission};
use rules::place;
use rules::s3_location::S3Location;
use rules::step::Step;
use serde::Deserialize;

/// The step's property that carries the execution's id.
const PROPERTY: &str = "spot-drill.execution-id";

/// Settings, from the environment.
#[derive(Debug, Clone, Parser)]
#[command(about = "Empties the results' prefix, finds the cluster by name, and adds a Spark step")]
pub struct Config {
    /// The ledger's DynamoDB table.
    #[arg(long, env = "TABLE_NAME")]
    pub table_name: String,
    /// Where results may be deleted: s3://bucket/prefix/, several separated by commas.
    #[arg(long, env = "RESULTS_LOCATIONS", value_delimiter = ',', required = true)]
    pub results_locations: Vec<S3Location>,
    /// How long items are kept, in days.
    #[arg(long, env = "RETENTION_DAYS", default_value_t = 400)]
    pub retention_days: u32,
    /// How AWS is called.
    #[command(flatten)]
    pub clients: Clients,
}

/// What the schedule hands over.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The cluster's name, or its id.
    pub cluster_name: String,
    /// What to run.
    pub step: StepRequest,
    /// The prefix that is emptied first; left out, nothing is.
    #[serde(default)]
    pub results: Option<String>,
    /// The execution's id, the same for each delivery; left out, Lambda's request id.
    #[serde(default)]
    pub execution_id: Option<String>,
}

/// A step to add.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRequest {
    /// Its name.
    pub name: String,
    /// `command-runner.jar` where it is left out.
    #[serde(default = "command_runner")]
    pub jar: String,
    /// The JAR's arguments: `["spark-submit", …]`.
    pub args: Vec<String>,
    /// `CONTINUE` where it is left out: a failed drill must not end a cluster.
    #[serde(default = "continue_")]
    pub action_on_failure: String,
}

fn command_runner() -> String {
    "command-runner.jar".into()
}

fn continue_() -> String {
    "CONTINUE".into()
}

/// Adds the step, once for each execution.
pub async fn handle(aws: &Aws, config: &Config, invocation: Invocation) -> Result<Outcome, Error> {
    let request: Request = serde_json::from_value(invocation.payload.clone())
        .map_err(|error| Error::Refused(format!("reading the schedule's input: {error}")))?;
    let results = results::allowed(config, &request)?;
    let execution_id = request.execution_id.clone();
    let execution_id = execution_id.unwrap_or_else(|| invocation.request_id.clone());
    let earlier = aws.submission(&config.table_name, &execution_id).await?;
    if let Some((cluster_id, step_id)) = earlier.as_ref().and_then(|earlier| earlier.step.clone()) {
        return Ok(Outcome::ignored(format!(
            "this execution has added step {step_id} on {cluster_id}"
        )));
    }
    let again = earlier.is_some();
    let submission = Submission {
        execution_id,
        holder: invocation.request_id.clone(),
        lease_until: invocation.deadline + TimeDelta::seconds(1),
        cluster_ids: earlier.map(|earlier| earlier.cluster_ids).unwrap_or_default(),
        step: None,
    };
    let now = aws.now();
    let work = Work {
        aws,
        config,
        request: &request,
        expires_at: expires_at(now, config.retention_days),
        again,
    };
    if let Saved::No(other) = aws
        .begin_submission(&config.table_name, &submission, now, work.expires_at)
        .await?
    {
        return Ok(Outcome::ignored(format!(
            "another invocation, {}, works on this execution",
            other.holder
        )));
    }
    work.submit(&invocation, results.as_ref(), submission).await
}

/// What one invocation does for its execution.
struct Work<'a> {
    aws: &'a Aws,
    config: &'a Config,
    request: &'a Request,
    expires_at: DateTime<Utc>,
    /// Has another invocation worked on this execution before?
    again: bool,
}

impl Work<'_> {
    async fn submit(
        &self,
        invocation: &Invocation,
        results: Option<&S3Location>,
        mut submission: Submission,
    ) -> Result<Outcome, Error> {
        for cluster_id in &submission.cluster_ids {
            if let Some(step_id) = added_before(self.aws, cluster_id, &submission.execution_id).await? {
                let cluster_id = cluster_id.clone();
                return self.end(submission, cluster_id, step_id, 0).await;
            }
        }
        let cluster_id = cluster(self.aws, &self.request.cluster_name).await?;
        if !submission.cluster_ids.contains(&cluster_id) {
            // An older version wrote down no clusters.
            if self.again
                && let Some(step_id) = added_before(self.aws, &cluster_id, &submission.execution_id).await?
            {
                return self.end(submission, cluster_id, step_id, 0).await;
            }
            submission.cluster_ids.insert(cluster_id.clone());
            self.save(&submission).await?;
        }
        let objects_deleted = match results {
            None => 0,
            Some(results) => results::empty(self.aws, self.config, invocation, results, &cluster_id).await?,
        };
        let step = &self.request.step;
        let properties = [(PROPERTY, submission.execution_id.as_str())];
        let added = self.aws.add_step(
            &cluster_id,
            &step.name,
            &step.jar,
            &step.args,
            &properties,
            &step.action_on_failure,
        );
        let step_id = added.await?;
        self.end(submission, cluster_id, step_id, objects_deleted).await
    }

    /// Writes down, before anything is deleted or added, where a step may be found if this invocation dies.
    async fn save(&self, submission: &Submission) -> Result<(), Error> {
        let ended = self
            .aws
            .end_submission(&self.config.table_name, submission, self.expires_at);
        match ended.await? {
            Saved::Yes => Ok(()),
            Saved::No(other) => Err(Error::NotYet(format!(
                "another invocation, {}, has taken over this execution; nothing was deleted or added",
                other.holder
            ))),
        }
    }

    /// The step is there.
    async fn end(
        &self,
        mut submission: Submission,
        cluster_id: String,
        step_id: String,
        objects_deleted: usize,
    ) -> Result<Outcome, Error> {
        submission.step = Some((cluster_id.clone(), step_id.clone()));
        self.aws
            .end_submission(&self.config.table_name, &submission, self.expires_at)
            .await?;
        note(self.aws, self.config, &cluster_id, &step_id, &self.request.step).await;
        Ok(Outcome::Submitted {
            cluster_id,
            step_id,
            objects_deleted,
        })
    }
}

/// Notes the step that was added, so that nobody empties what it writes to before its event has come. The event notes
/// it too: an error here is no reason to try all of it again.
async fn note(aws: &Aws, config: &Config, cluster_id: &str, step_id: &str, step: &StepRequest) {
    let words = std::iter::once(&step.jar).chain(&step.args).map(String::as_str);
    let active = ActiveStep {
        cluster_id: cluster_id.into(),
        step_id: step_id.into(),
        name: step.name.clone(),
        places: place::named_in(words),
        watched: true,
        unread: false,
        seen_at: aws.now(),
    };
    if let Err(error) = aws.note_active(&config.table_name, &active).await {
        tracing::warn!(step_id, error = error.chain(), "the step that was added is not noted");
    }
}

/// The one active cluster of this name.
async fn cluster(aws: &Aws, name: &str) -> Result<String, Error> {
    let active = aws.active_clusters().await?;
    let matching: Vec<&(String, String)> = active
        .iter()
        .filter(|(id, cluster)| cluster == name || (is_cluster_id(name) && id == name))
        .collect();
    match matching.as_slice() {
        [(id, _)] => Ok(id.clone()),
        [] => {
            let names: Vec<&str> = active.iter().map(|(_, name)| name.as_str()).take(20).collect();
            let others = if names.is_empty() {
                "no cluster is active".into()
            } else {
                format!("active are {}", names.join(", "))
            };
            Err(Error::Refused(format!(
                "finding the cluster: none of the active ones is called {name:?}; {others}"
            )))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|(id, _)| id.as_str()).collect();
            Err(Error::Refused(format!(
                "finding the cluster: {} active ones are called {name:?}: {}; name one by its id",
                ids.len(),
                ids.join(", ")
            )))
        }
    }
}

/// The step that an earlier invocation of this execution added and could not remember.
async fn added_before(aws: &Aws, cluster_id: &str, execution_id: &str) -> Result<Option<String>, Error> {
    let since = aws.now() - TimeDelta::days(1);
    let recent = aws.steps_since(cluster_id, since, Duration::ZERO).await?;
    let carries = |step: &&Step| step.properties.get(PROPERTY).is_some_and(|id| id == execution_id);
    Ok(recent.iter().find(carries).map(|step| step.id.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wrong_input_names_the_field() {
        let error = serde_json::from_value::<Request>(json!({"cluster_name": "c", "step": {"name": "s"}})).unwrap_err();
        assert!(error.to_string().contains("args"), "{error}");
        let error = serde_json::from_value::<Request>(json!({"cluster": "c"})).unwrap_err();
        assert!(error.to_string().contains("cluster"), "{error}");
    }
}
