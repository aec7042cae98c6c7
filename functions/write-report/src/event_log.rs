//! Which event logs are the step's, and reading them.
//!
//! Spark writes to `spark.eventLog.dir`: the step's own `--conf` wins over the cluster's `spark-defaults`, and a
//! setting of the deployment comes last. Of the logs there, the step's are those of the application that EMR names for it,
//! or else its `stderr`, one for each attempt. Where neither is to be had, an application that began and ended inside the
//! step's time is the step's if the cluster runs one step at a time and the step waits for its application; else, and where
//! there are several, nothing is guessed.
//!
//! A directory may hold the logs of years. Their names begin with the application's id, and an id with the time at which
//! its cluster's resource manager started: so only the names from this cluster's own begin on are listed.
//! <https://hadoop.apache.org/docs/stable/api/org/apache/hadoop/yarn/api/records/ApplicationId.html>

use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::Duration;

use aws::{Aws, Error};
use aws::{Found, Object};
use chrono::{DateTime, TimeDelta, Utc};
use rules::application::Application;
use rules::cluster::Cluster;
use rules::s3_location::S3Location;
use rules::step::Step;
use spark_log::{Limits, Part, SparkRun, order_parts, read};

use crate::{Config, elsewhen};

/// The logs of one application's attempts that were found, in the order of the attempts; never none.
pub(crate) struct EventLog {
    pub runs: Vec<SparkRun>,
    /// Where the last one lies.
    pub location: String,
}

impl From<String> for NotFound {
    fn from(why: String) -> Self {
        Self { why, several: false }
    }
}

impl EventLog {
    /// As the rules take it.
    pub(crate) fn application(&self) -> Application<'_> {
        Application { attempts: &self.runs }
    }
}

/// Whose logs are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub step: &'a Step,
    pub cluster: Option<&'a Cluster>,
    /// The applications that EMR, or the step's own log, names; none: nobody does.
    pub submitted: &'a [String],
    /// May the application have outlived its step?
    pub may_outlive: bool,
}

/// Why no log was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotFound {
    /// In words.
    pub why: String,
    /// There are several, and nothing tells which is the step's.
    pub several: bool,
}

/// One log: a file, or a folder of rolled files.
struct Log {
    location: String,
    run: SparkRun,
}

/// Objects of the log directory looked at most, for each form of names.
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
/// How soon after its application a step ends that waits for it.
const ENDS_WITHIN: TimeDelta = TimeDelta::seconds(60);
/// A folder of rolled files is named so, with the application behind it.
/// <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/deploy/history/EventLogFileWriters.scala>
const ROLLED: &str = "eventlog_v2_";

/// Finds and reads the step's logs. The inner error says why there are none.
pub(crate) async fn find(aws: &Aws, config: &Config, wanted: Wanted<'_>) -> Result<Result<EventLog, NotFound>, Error> {
    let place = match directory(config, wanted.cluster, wanted.step) {
        Ok(place) => place,
        Err(why) => return Ok(Err(why.into())),
    };
    let (Some(began), Some(ended)) = (wanted.step.started_at, wanted.step.ended_at) else {
        return Ok(Err("EMR does not say when the step ran".to_owned().into()));
    };
    if let Some(why) = not_by_time(wanted) {
        return Ok(Err(NotFound { why, several: true }));
    }
    let (objects, not_all) = listed(aws, &place, wanted).await?;
    let looked_at = objects.len();
    let logs = candidates(&place, objects, began, wanted.submitted);
    if logs.len() > CANDIDATES_MAX {
        let why = format!(
            "{} logs in {place} were written since the step began: too many to tell which is its own",
            logs.len()
        );
        return Ok(Err(NotFound { why, several: true }));
    }
    let mut found = Vec::new();
    for (location, keys) in logs {
        let at = || format!("s3://{}/{location}", place.bucket);
        let opened = open(aws, &place.bucket, keys).await;
        let run = match opened.map_err(|error| error.of_object(at()))? {
            Ok(run) => run,
            Err(why) => return Ok(Err(format!("s3://{}/{location}: {why}", place.bucket).into())),
        };
        // A file of the step's that holds nothing of an application yet is no log.
        let is_its = !wanted.submitted.is_empty() && run.started_at_ms.is_some();
        if is_its || is_inside(&run, began, ended) {
            let location = format!("s3://{}/{location}", place.bucket);
            found.push(Log { location, run });
        }
    }
    let beyond = if not_all {
        format!("; only the first {looked_at} objects there were looked at")
    } else {
        String::new()
    };
    if wanted.submitted.is_empty() {
        keep_those_that_end_with_the_step(&mut found, ended);
    }
    Ok(choose(found, wanted.submitted, &place).map_err(|none| NotFound {
        why: none.why + &beyond,
        ..none
    }))
}

/// Is what a step runs Spark, where its words do not tell? It is if one of the applications that EMR names for it left an
/// event log. The error says why that is not known.
pub(crate) async fn lies_there(
    aws: &Aws,
    config: &Config,
    cluster: Option<&Cluster>,
    step: &Step,
) -> Result<(), String> {
    if step.application_ids.is_empty() {
        return Err("EMR names no application of it".into());
    }
    let began = step.started_at.ok_or("EMR does not say when it ran")?;
    let place = directory(config, cluster, step)?;
    let wanted = Wanted {
        step,
        cluster,
        submitted: &step.application_ids,
        may_outlive: true,
    };
    let (objects, _) = listed(aws, &place, wanted).await.map_err(|error| error.chain())?;
    if candidates(&place, objects, began, wanted.submitted).is_empty() {
        return Err(no_log(&place, wanted.submitted));
    }
    Ok(())
}

/// Why the step's time does not tell which application is its own, where its log does not.
fn not_by_time(wanted: Wanted<'_>) -> Option<String> {
    let at_once = wanted.cluster.and_then(|cluster| cluster.step_concurrency);
    let why = match (wanted.submitted.is_empty(), wanted.may_outlive, at_once) {
        (false, ..) | (true, false, Some(1)) => return None,
        (true, true, _) => "the step may not have waited for its application",
        (true, false, _) => "the cluster may run several steps at once",
    };
    Some(format!(
        "{why}, and neither EMR nor the step's own log, which is not to be had, names its application"
    ))
}

/// The objects that may be of the step's logs, and whether there are more than were looked at.
async fn listed(aws: &Aws, place: &S3Location, wanted: Wanted<'_>) -> Result<(Vec<Object>, bool), Error> {
    let mut objects = Vec::new();
    let mut not_all = false;
    let (names, from): (Vec<String>, Option<i64>) = if wanted.submitted.is_empty() {
        let from = wanted.cluster.and_then(|cluster| cluster.created_at);
        (vec!["application_".into()], from.map(|at| at.timestamp_millis()))
    } else {
        (wanted.submitted.to_vec(), None)
    };
    for name in names {
        for form in ["", ROLLED] {
            let prefix = format!("{}{form}{name}", place.prefix);
            let start_after = from.map(|from| format!("{prefix}{from}"));
            let found = aws
                .list_from(&place.bucket, &prefix, start_after.as_deref(), OBJECTS_MAX)
                .await?;
            not_all |= !found.is_all;
            let are_its_own = !wanted.submitted.is_empty() && found.objects.iter().any(|one| is_of(&one.key, &name));
            objects.extend(found.objects);
            // All attempts of one application write in one form.
            if are_its_own {
                break;
            }
        }
    }
    Ok((objects, not_all))
}

/// A step that waits ends right after its application. One that ended long before may be another's: of an earlier step
/// that did not wait, of a notebook, of somebody's shell. An application whose log breaks off says nothing of that.
fn keep_those_that_end_with_the_step(logs: &mut Vec<Log>, ended: DateTime<Utc>) {
    let mut last: BTreeMap<Option<String>, Option<i64>> = BTreeMap::new();
    for log in logs.iter() {
        let known = last.entry(log.run.application_id.clone()).or_default();
        *known = (*known).max(log.run.ended_at_ms);
    }
    let is_long_before = |ms: Option<i64>| {
        ms.and_then(DateTime::from_timestamp_millis)
            .is_some_and(|end| ended - end > ENDS_WITHIN)
    };
    logs.retain(|log| !is_long_before(last.get(&log.run.application_id).copied().flatten()));
}

/// The one application's logs, in the order of its attempts.
fn choose(mut logs: Vec<Log>, submitted: &[String], place: &S3Location) -> Result<EventLog, NotFound> {
    // A log that breaks off at its begin does not name its application; the name that it lies under does.
    let application = |log: &Log| {
        let named = submitted.iter().find(|id| is_of(&log.location, id)).cloned();
        named.or_else(|| log.run.application_id.clone())
    };
    logs.sort_by_key(|log| (application(log), log.run.started_at_ms, log.location.clone()));
    let mut applications: Vec<Option<String>> = logs.iter().map(application).collect();
    applications.dedup();
    match (applications.len(), logs.last().map(|log| log.location.clone())) {
        (1, Some(location)) => Ok(EventLog {
            runs: logs.into_iter().map(|log| log.run).collect(),
            location,
        }),
        (0, _) | (_, None) if submitted.is_empty() => {
            Err(format!("no log in {place} is of an application that ran inside the step's time").into())
        }
        (0, _) | (_, None) => Err(no_log(place, submitted).into()),
        (several, Some(_)) if submitted.is_empty() => Err(NotFound {
            why: format!("{several} applications in {place} ran inside the step's time"),
            several: true,
        }),
        (several, Some(_)) => {
            Err(format!("the step submitted {several} applications: {}", submitted.join(", ")).into())
        }
    }
}

fn no_log(place: &S3Location, submitted: &[String]) -> String {
    format!("no log in {place} is of {}", submitted.join(" or "))
}

/// Is a log's file or folder named for this application, or for an attempt of it?
fn is_of(location: &str, application_id: &str) -> bool {
    let name = location.rsplit('/').next().unwrap_or_default();
    let name = name.strip_prefix(ROLLED).unwrap_or(name);
    name.strip_prefix(application_id)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn directory(config: &Config, cluster: Option<&Cluster>, step: &Step) -> Result<S3Location, String> {
    let setting = |key: &str| {
        step.spark_conf(key)
            .or_else(|| cluster.and_then(|cluster| cluster.spark_defaults.get(key).cloned()))
    };
    if setting("spark.eventLog.enabled").is_some_and(|value| value.trim().eq_ignore_ascii_case("false")) {
        return Err("spark.eventLog.enabled is false".into());
    }
    match (setting("spark.eventLog.dir"), &config.event_log_uri.0) {
        (Some(place), Some(fallback)) => Ok(place.parse().unwrap_or_else(|_| fallback.clone())),
        (Some(place), None) => place.parse().map_err(|_| not_read(&place)),
        (None, Some(fallback)) => Ok(fallback.clone()),
        (None, None) if cluster.is_none() => {
            Err("the step does not set spark.eventLog.dir, and what its cluster sets is not known".into())
        }
        (None, None) => {
            Err("spark.eventLog.dir is not set, so the log lies in the cluster's HDFS; set it to a prefix in S3".into())
        }
    }
}

/// Why a place is not looked at.
fn not_read(place: &str) -> String {
    let lower = place.to_ascii_lowercase();
    let is_in_s3 = ["s3://", "s3a://", "s3n://"]
        .iter()
        .any(|scheme| lower.starts_with(scheme));
    if is_in_s3 {
        format!(
            "spark.eventLog.dir is {place}: the root of a bucket, or no prefix that this report reads; set it to \
             s3://bucket/prefix/"
        )
    } else {
        format!("spark.eventLog.dir is {place}, which only the cluster can read; set it to a prefix in S3")
    }
}

/// Logs that were written since the step began, by where they lie: a file, or a folder of rolled files.
fn candidates(
    place: &S3Location,
    objects: Vec<Object>,
    began: DateTime<Utc>,
    submitted: &[String],
) -> BTreeMap<String, Vec<Object>> {
    let mut logs: BTreeMap<String, Vec<Object>> = BTreeMap::new();
    for object in objects {
        let Some(name) = object.key.strip_prefix(&place.prefix) else {
            continue;
        };
        let log = match name.split_once('/') {
            Some((folder, _)) if folder.starts_with(ROLLED) => format!("{}{folder}", place.prefix),
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
    logs.retain(|location, _| submitted.is_empty() || submitted.iter().any(|id| is_of(location, id)));
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
        read(parts, &limits())
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
    Ok(read(parts, &limits()))
}

/// With the task attempts one by one, as many as can be played again.
fn limits() -> Limits {
    Limits {
        tasks_max: elsewhen::TASKS_MAX,
        ..Limits::default()
    }
}

/// Does an application lie inside the step's time? It begins seconds after its step: one that began before is another's,
/// such as of a step before that did not wait for it.
fn is_inside(run: &SparkRun, began: DateTime<Utc>, ended: DateTime<Utc>) -> bool {
    let at = |ms: Option<i64>| ms.and_then(DateTime::from_timestamp_millis);
    at(run.started_at_ms).is_some_and(|start| start >= began && start <= ended + SLACK)
        && at(run.ended_at_ms).is_none_or(|end| end <= ended + SLACK)
}

#[cfg(test)]
mod tests;
