//! Which event log is the step's, and reading it.
//!
//! Spark writes to `spark.eventLog.dir`: the step's own `--conf` wins over the cluster's `spark-defaults`, and a
//! setting of the deployment comes last. Of the logs there, the step's is that of the application that its `stderr`
//! names. Where that is not to be had, applications that began and ended inside the step's time may be the step's: one
//! is taken, none or several are said, not guessed.

use std::collections::BTreeMap;

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
/// Bytes of one log file read at most; Lambda's memory is the bound.
const BYTES_MAX: u64 = 512 * 1024 * 1024;
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
        let run = open(aws, &place.bucket, &keys).await?;
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

async fn open(aws: &Aws, bucket: &str, objects: &[Object]) -> Result<SparkRun, Error> {
    let mut keys: Vec<String> = objects.iter().map(|object| object.key.clone()).collect();
    order_parts(&mut keys);
    let mut parts = Vec::new();
    for key in keys {
        match aws.object(bucket, &key, BYTES_MAX).await? {
            Found::Object { bytes, .. } => parts.push(Part {
                name: key,
                bytes: std::io::Cursor::new(bytes),
            }),
            Found::Nothing => {}
            Found::TooLarge(bytes) => {
                return Err(Error::Answer(format!(
                    "{key} has {bytes} bytes; at most {BYTES_MAX} are read"
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
