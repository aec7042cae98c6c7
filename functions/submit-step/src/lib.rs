//! Submits a Spark step as a schedule asks: finds the cluster by its name, empties the results' prefix, adds the step.
//!
//! EMR has no client token for adding steps, and the scheduler delivers at least once. So each execution of the
//! schedule has an item in the ledger, and the step carries the execution's id among its properties: after a crash
//! between adding the step and remembering it, the step itself tells that it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws::config::Clients;
use aws::invocation::Invocation;
use aws::{Aws, Error, Outcome};
use aws::{STEP_IDS_MAX, Saved, expires_at};
use chrono::TimeDelta;
use clap::Parser;
use rules::event::is_cluster_id;
use rules::ledger::{ActiveStep, Submission};
use rules::place::{self, Place};
use rules::s3_location::S3Location;
use rules::step::Step;
use serde::Deserialize;

/// The step's property that carries the execution's id.
const PROPERTY: &str = "spot-drill.execution-id";

/// Steps that EMR is asked for at most, one by one, because the ledger says that they stand in the way.
const NOTED_MAX: usize = 40;
/// The time between two calls to EMR where the ledger does not know what steps write to: half of what `ListSteps` gets
/// back. <https://docs.aws.amazon.com/general/latest/gr/emr.html#limits_emr>
const PAUSE: Duration = Duration::from_secs(4);
/// What emptying a place and adding a step need of Lambda's time.
const RESERVE: TimeDelta = TimeDelta::seconds(60);

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
    let results = allowed(config, &request)?;
    let now = aws.now();
    let mut submission = Submission {
        execution_id: request
            .execution_id
            .clone()
            .unwrap_or_else(|| invocation.request_id.clone()),
        holder: invocation.request_id.clone(),
        lease_until: invocation.deadline + TimeDelta::seconds(1),
        step: None,
    };
    let expires_at = expires_at(now, config.retention_days);
    let earlier = aws.submission(&config.table_name, &submission.execution_id).await?;
    if let Some((cluster_id, step_id)) = earlier.as_ref().and_then(|earlier| earlier.step.clone()) {
        return Ok(Outcome::ignored(format!(
            "this execution has added step {step_id} on {cluster_id}"
        )));
    }
    if let Saved::No(other) = aws
        .begin_submission(&config.table_name, &submission, now, expires_at)
        .await?
    {
        return Ok(Outcome::ignored(format!(
            "another invocation, {}, works on this execution",
            other.holder
        )));
    }
    let cluster_id = cluster(aws, &request.cluster_name).await?;
    let step = &request.step;
    let active = aws.active_steps_of(&cluster_id).await?;
    if earlier.is_some()
        && let Some(step_id) = added_before(aws, &cluster_id, &active, &submission.execution_id).await?
    {
        submission.step = Some((cluster_id.clone(), step_id.clone()));
        aws.end_submission(&config.table_name, &submission, expires_at).await?;
        note(aws, config, &cluster_id, &step_id, step).await;
        return Ok(Outcome::Submitted {
            cluster_id,
            step_id,
            objects_deleted: 0,
        });
    }
    let objects_deleted = match &results {
        None => 0,
        Some(results) => empty(aws, config, &invocation, results, &active).await?,
    };
    let properties = [(PROPERTY, submission.execution_id.as_str())];
    let step_id = aws
        .add_step(
            &cluster_id,
            &step.name,
            &step.jar,
            &step.args,
            &properties,
            &step.action_on_failure,
        )
        .await?;
    submission.step = Some((cluster_id.clone(), step_id.clone()));
    aws.end_submission(&config.table_name, &submission, expires_at).await?;
    note(aws, config, &cluster_id, &step_id, step).await;
    Ok(Outcome::Submitted {
        cluster_id,
        step_id,
        objects_deleted,
    })
}

/// Empties the results' place, unless a step that is active names it, a place above it, or one below it: on this
/// cluster, of which EMR tells all steps, or on another, of which the ledger does.
async fn empty(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    results: &S3Location,
    active: &[Step],
) -> Result<usize, Error> {
    let place = Place::from(results);
    let names_it = |places: &BTreeSet<Place>| places.iter().any(|one| one.overlaps(&place));
    if let Some(writer) = active.iter().find(|step| names_it(&place::named_in(step.words()))) {
        return Err(in_the_way(results, writer, "this cluster"));
    }
    let noted = aws.active_steps(&config.table_name).await?;
    // An older version's notes say only whether the step is watched.
    let is_read = |step: &ActiveStep| step.watched && !step.unread;
    let (mut noted, unread): (Vec<ActiveStep>, Vec<ActiveStep>) = noted.into_iter().partition(is_read);
    noted.retain(|step| names_it(&step.places));
    if noted.len() > NOTED_MAX {
        return Err(Error::Refused(format!(
            "emptying {results}: {} steps that were active when they were last seen name that place, more than are asked \
             for; nothing was deleted or added",
            noted.len()
        )));
    }
    for one in noted {
        // An item may outlive its step: whoever deletes it may have died. EMR knows.
        match aws.step(&one.cluster_id, &one.step_id).await? {
            Some(writer) if !writer.is_over() => return Err(in_the_way(results, &writer, &one.cluster_id)),
            _ => {
                aws.forget_active(&config.table_name, &one.cluster_id, &one.step_id)
                    .await?;
            }
        }
    }
    let known: BTreeSet<&str> = active.iter().map(|step| step.id.as_str()).collect();
    let others = unread.into_iter().filter(|step| !known.contains(step.step_id.as_str()));
    if let Some((cluster_id, writer)) = unread_writer(aws, config, invocation, others, names_it).await? {
        return Err(in_the_way(results, &writer, &cluster_id));
    }
    aws.empty(results).await
}

/// Of steps that nobody watches, and of those that have just begun, the ledger does not know the places: EMR is asked for
/// them, ten of a cluster a call, with pauses. The first that has not ended and names the place, with its cluster.
async fn unread_writer(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    unread: impl Iterator<Item = ActiveStep>,
    names_it: impl Fn(&BTreeSet<Place>) -> bool,
) -> Result<Option<(String, Step)>, Error> {
    let mut by_cluster: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for step in unread {
        by_cluster.entry(step.cluster_id).or_default().push(step.step_id);
    }
    for (cluster_id, ids) in &by_cluster {
        for ids in ids.chunks(STEP_IDS_MAX) {
            if invocation.time_left(aws.now(), RESERVE) <= TimeDelta::zero() {
                return Err(Error::Refused(format!(
                    "emptying the results: steps run on {} clusters that are not opted in, more than EMR can be asked for \
                     what they write to; nothing was deleted or added",
                    by_cluster.len()
                )));
            }
            let steps = match aws.steps_by_id(cluster_id, ids).await {
                Ok(steps) => steps,
                Err(error) if error.is_code("InvalidRequestException") => Vec::new(),
                Err(error) => return Err(error),
            };
            for step in steps {
                if step.is_over() {
                    aws.forget_active(&config.table_name, cluster_id, &step.id).await?;
                } else if names_it(&place::named_in(step.words())) {
                    return Ok(Some((cluster_id.clone(), step)));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(None)
}

fn in_the_way(results: &S3Location, writer: &Step, cluster: &str) -> Error {
    Error::Refused(format!(
        "emptying {results}: step {} ({}) of {cluster}, which is {}, names that place, one above it or one below it; \
         nothing was deleted or added",
        writer.id, writer.name, writer.state
    ))
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

/// The place to empty, if it may be emptied.
fn allowed(config: &Config, request: &Request) -> Result<Option<S3Location>, Error> {
    let Some(results) = &request.results else {
        return Ok(None);
    };
    let place: S3Location = results
        .parse()
        .map_err(|words| Error::Refused(format!("emptying the results: {words}")))?;
    if config.results_locations.iter().any(|location| location.holds(&place)) {
        return Ok(Some(place));
    }
    let allowed: Vec<String> = config.results_locations.iter().map(S3Location::to_string).collect();
    Err(Error::Refused(format!(
        "emptying {place}: only what lies in {} may be emptied",
        allowed.join(", ")
    )))
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
async fn added_before(
    aws: &Aws,
    cluster_id: &str,
    active: &[Step],
    execution_id: &str,
) -> Result<Option<String>, Error> {
    let carries = |step: &&Step| step.properties.get(PROPERTY).is_some_and(|id| id == execution_id);
    if let Some(step) = active.iter().find(carries) {
        return Ok(Some(step.id.clone()));
    }
    let since = aws.now() - TimeDelta::days(1);
    let recent = aws.steps_since(cluster_id, since, Duration::ZERO).await?;
    Ok(recent.iter().find(carries).map(|step| step.id.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> Config {
        Config::try_parse_from([
            "submit-step",
            "--table-name",
            "t",
            "--results-locations",
            "s3://bucket/results/,s3://bucket/more/",
        ])
        .unwrap()
    }

    fn request(results: &str) -> Request {
        serde_json::from_value(json!({"cluster_name": "c", "results": results, "step": {"name": "s", "args": []}}))
            .unwrap()
    }

    #[test]
    fn only_what_lies_in_an_allowed_place_is_emptied() {
        assert!(allowed(&config(), &request("s3://bucket/results/today/")).is_ok());
        for bad in [
            "s3://bucket/",
            "s3://bucket",
            "s3://other/results/",
            "s3://bucket/results-of-others/",
            "",
        ] {
            assert!(allowed(&config(), &request(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrong_input_names_the_field() {
        let error = serde_json::from_value::<Request>(json!({"cluster_name": "c", "step": {"name": "s"}})).unwrap_err();
        assert!(error.to_string().contains("args"), "{error}");
        let error = serde_json::from_value::<Request>(json!({"cluster": "c"})).unwrap_err();
        assert!(error.to_string().contains("cluster"), "{error}");
    }
}
