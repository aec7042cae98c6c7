//! Which event log is the step's, and reading it.
//!
//! Spark writes to `spark.eventLog.dir`: the step's own `--conf` wins over the cluster's `spark-defaults`, and a
//! setting of the deployment comes last. Of the logs there, the step's is that of the application that its `stderr`
//! names. Where that is not to be had, applications that began and ended inside the step's time may be the step's: one
//! is taken, none or several are said, not guessed.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::aws::{Found, Object};
use shared::cluster::Cluster;
use shared::config::S3Location;
use shared::spark_log::{Limits, Part, SparkRun, order_parts, read};
use shared::step::Step;
use shared::{Aws, Error};

use crate::{Config, step_log};

/// A log that was read, and where it lies.
pub(crate) struct EventLog {
    pub run: SparkRun,
    pub location: String,
    /// Of how many of the application's attempts a log was found; `run` is the last one's.
    pub attempts_found: usize,
}

/// Objects of the log directory looked at most.
const OBJECTS_MAX: usize = 20_000;
/// Applications whose logs are opened at most.
const CANDIDATES_MAX: usize = 8;
/// A log of at most so many stored bytes is held in memory; a larger one is read while it is fetched.
const HELD_BYTES_MAX: u64 = 8 << 20;
/// The longest that one log is read. Memory is bounded whatever its size; this leaves Lambda's 900 seconds enough for the
/// rest of the report.
const READ_SECONDS_MAX: u64 = 600;
/// How far the driver's clock and EMR's may be apart, and how long a step takes around its application.
const SLACK: TimeDelta = TimeDelta::seconds(15);

/// Finds and reads the step's log. The inner error says why there is none.
pub(crate) async fn find(
    aws: &Aws,
    config: &Config,
    cluster: Option<&Cluster>,
    step: &Step,
) -> Result<Result<EventLog, String>, Error> {
    let place = match directory(config, cluster, step) {
        Ok(place) => place,
        Err(why) => return Ok(Err(why)),
    };
    let (Some(began), Some(ended)) = (step.started_at, step.ended_at) else {
        return Ok(Err("EMR does not say when the step ran".into()));
    };
    let submitted = step_log::applications(aws, cluster, step).await?;
    let objects = aws.list(&place, OBJECTS_MAX).await?;
    let mut logs = candidates(&place, objects, began);
    if !submitted.is_empty() {
        logs.retain(|location, _| submitted.iter().any(|id| is_of(location, id)));
    }
    if logs.len() > CANDIDATES_MAX {
        return Ok(Err(format!(
            "{} logs in {place} were written since the step began: too many to tell which is its own",
            logs.len()
        )));
    }
    let mut inside = Vec::new();
    for (location, keys) in logs {
        let run = match open(aws, &place.bucket, keys).await? {
            Ok(run) => run,
            Err(why) => return Ok(Err(format!("s3://{}/{location}: {why}", place.bucket))),
        };
        if !submitted.is_empty() || is_inside(&run, began, ended) {
            let location = format!("s3://{}/{location}", place.bucket);
            inside.push(EventLog {
                run,
                location,
                attempts_found: 1,
            });
        }
    }
    Ok(choose(inside, &submitted, &place))
}

/// The one application's log: of several attempts, each with a log of its own, the last tells how it ended.
fn choose(mut logs: Vec<EventLog>, submitted: &[String], place: &S3Location) -> Result<EventLog, String> {
    logs.sort_by_key(|log| (log.run.application_id.clone(), log.run.started_at_ms));
    let mut applications: Vec<Option<String>> = logs.iter().map(|log| log.run.application_id.clone()).collect();
    applications.dedup();
    let attempts_found = logs.len();
    match (applications.len(), logs.pop()) {
        (1, Some(log)) => Ok(EventLog { attempts_found, ..log }),
        (0, _) | (_, None) if submitted.is_empty() => Err(format!(
            "no log in {place} is of an application that ran inside the step's time"
        )),
        (0, _) | (_, None) => Err(format!("no log in {place} is of {}", submitted.join(" or "))),
        (several, Some(_)) if submitted.is_empty() => {
            Err(format!("{several} applications in {place} ran inside the step's time"))
        }
        (several, Some(_)) => Err(format!(
            "the step submitted {several} applications: {}",
            submitted.join(", ")
        )),
    }
}

/// Is a log's file or folder named for this application, or for an attempt of it?
fn is_of(location: &str, application_id: &str) -> bool {
    let name = location.rsplit('/').next().unwrap_or_default();
    let name = name.strip_prefix("eventlog_v2_").unwrap_or(name);
    name.strip_prefix(application_id)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn directory(config: &Config, cluster: Option<&Cluster>, step: &Step) -> Result<S3Location, String> {
    let setting = |key: &str| {
        step.spark_conf(key)
            .or_else(|| cluster.and_then(|cluster| cluster.spark_defaults.get(key).cloned()))
    };
    if setting("spark.eventLog.enabled").as_deref() == Some("false") {
        return Err("spark.eventLog.enabled is false".into());
    }
    match (setting("spark.eventLog.dir"), &config.event_log_uri.0) {
        (Some(place), Some(fallback)) => Ok(place.parse().unwrap_or_else(|_| fallback.clone())),
        (Some(place), None) => place.parse().map_err(|_| {
            format!("spark.eventLog.dir is {place}, which only the cluster can read; set it to a prefix in S3")
        }),
        (None, Some(fallback)) => Ok(fallback.clone()),
        (None, None) => {
            Err("spark.eventLog.dir is not set, so the log lies in the cluster's HDFS; set it to a prefix in S3".into())
        }
    }
}

/// Logs that were written since the step began, by where they lie: a file, or a folder of rolled files.
fn candidates(place: &S3Location, objects: Vec<Object>, began: DateTime<Utc>) -> BTreeMap<String, Vec<Object>> {
    let mut logs: BTreeMap<String, Vec<Object>> = BTreeMap::new();
    for object in objects {
        let Some(name) = object.key.strip_prefix(&place.prefix) else {
            continue;
        };
        let log = match name.split_once('/') {
            Some((folder, _)) if folder.starts_with("eventlog_v2_") => format!("{}{folder}", place.prefix),
            Some(_) => continue,
            None => object.key.clone(),
        };
        logs.entry(log).or_default().push(object);
    }
    logs.retain(|_, files| {
        files
            .iter()
            .any(|file| file.modified_at.is_some_and(|at| at >= began - SLACK))
    });
    logs
}

/// Reads one log's files. The inner error says why it is not read.
async fn open(aws: &Aws, bucket: &str, objects: Vec<Object>) -> Result<Result<SparkRun, String>, Error> {
    let mut keys: Vec<String> = objects.iter().map(|object| object.key.clone()).collect();
    order_parts(&mut keys);
    let mut by_key: BTreeMap<String, Object> = objects.into_iter().map(|object| (object.key.clone(), object)).collect();
    let objects: Vec<Object> = keys.iter().filter_map(|key| by_key.remove(key)).collect();
    let bytes: u64 = objects.iter().map(|object| object.bytes).sum();
    if bytes <= HELD_BYTES_MAX {
        return Ok(Ok(read_held(aws, bucket, keys).await?));
    }
    let reading = aws.read_objects(bucket, &objects, move |readers| {
        let parts = keys.into_iter().zip(readers);
        let parts = parts.map(|(name, bytes)| Part { name, bytes }).collect();
        read(parts, &Limits::default())
    });
    match tokio::time::timeout(Duration::from_secs(READ_SECONDS_MAX), reading).await {
        Ok(run) => Ok(Ok(run?)),
        Err(_) => Ok(Err(format!(
            "its {bytes} bytes are more than {READ_SECONDS_MAX} seconds suffice to read"
        ))),
    }
}

async fn read_held(aws: &Aws, bucket: &str, keys: Vec<String>) -> Result<SparkRun, Error> {
    let mut parts = Vec::new();
    for key in keys {
        match aws.object(bucket, &key, HELD_BYTES_MAX).await? {
            Found::Object { bytes, .. } => parts.push(Part {
                name: key,
                bytes: Cursor::new(bytes),
            }),
            Found::Nothing => {}
            Found::TooLarge(bytes) => {
                return Err(Error::NotYet(format!(
                    "s3://{bucket}/{key} grew to {bytes} bytes since it was listed"
                )));
            }
        }
    }
    Ok(read(parts, &Limits::default()))
}

fn is_inside(run: &SparkRun, began: DateTime<Utc>, ended: DateTime<Utc>) -> bool {
    let at = |ms: Option<i64>| ms.and_then(DateTime::from_timestamp_millis);
    at(run.started_at_ms).is_some_and(|start| start >= began - SLACK && start <= ended)
        && at(run.ended_at_ms).is_none_or(|end| end <= ended + SLACK)
}
