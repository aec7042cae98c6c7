//! One attempt of an application: `spark-submit`, which holds the driver, and what it leaves behind.
//!
//! Separate because it has a life of its own, which ends by itself or with the machine that it is on. A driver in cluster
//! mode is started on a node in Spark's client mode, since a standalone cluster runs no Python driver by itself:
//! <https://spark.apache.org/docs/3.5.6/submitting-applications.html#launching-applications-with-spark-submit>

use std::fs::File;
use std::io::BufReader;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Child;

use account::emr::Words;
use account::spark::Submission;
use anyhow::Context;
use serde_json::Value;

use super::event_log::Translation;
use super::standalone::{QUIET_JVM, Standalone};
use super::storage::{Storage, file_uri};
use super::submission::{Arguments, Room, Surroundings};

/// More cores than there will ever be: of a node that comes later the application takes those, too.
const CORES_MAX: u32 = 1000;

/// Where a driver is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The EC2 instance.
    pub(super) instance_id: String,
    /// Its address here.
    pub(super) address: Ipv4Addr,
}

/// A driver that was started.
#[derive(Debug)]
pub(super) struct Driver {
    /// YARN's id.
    pub(super) application_id: String,
    /// YARN's number of the attempt, from 1.
    pub(super) attempt: u32,
    /// The instance that it is on.
    pub(super) instance_id: String,
    /// What of the submission was cut or left out, in words.
    pub(super) cuts: Vec<String>,
    process: Child,
    folder: PathBuf,
    /// The master's URL, unless the code sets another.
    master: String,
    is_under_way: bool,
}

impl Driver {
    /// Starts an attempt.
    pub(super) fn start(
        standalone: &Standalone,
        storage: &Storage,
        (application_id, attempt): (&str, u32),
        (asked, room): (&Submission, Room),
        (place, work): (&Place, &Path),
    ) -> anyhow::Result<Self> {
        let (room, mut cuts) = room.granted(asked);
        let folder = work.join(format!("{application_id}_{attempt}"));
        let events = folder.join("events");
        std::fs::create_dir_all(&events).with_context(|| format!("making the folder {}", events.display()))?;
        let around = Surroundings {
            defaults: [
                // What YARN waits for: nodes that are there, before the first stage is cut into tasks.
                (
                    "spark.scheduler.minRegisteredResourcesRatio",
                    format!("{:.4}", 0.8 * f64::from(standalone.cores()) / f64::from(CORES_MAX)),
                ),
                ("spark.ui.showConsoleProgress", "false".to_owned()),
                ("spark.driver.extraJavaOptions", QUIET_JVM.to_owned()),
                ("spark.executor.extraJavaOptions", QUIET_JVM.to_owned()),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .chain(clusters_own(asked))
            .collect(),
            fixed: fixed(standalone, storage, room, place.address, &events)?,
        };
        let arguments = Arguments::of(&asked.words, storage, &around);
        cuts.extend(arguments.left_out);
        let create =
            |name: &str| File::create(folder.join(name)).with_context(|| format!("making {name} of the driver"));
        let mut command = standalone.spark("spark-submit", place.address);
        command
            .args(arguments.words)
            .current_dir(&folder)
            .stdout(create("stdout")?)
            .stderr(create("stderr")?);
        let machine = format!("{}/{application_id}", place.instance_id);
        let process = standalone
            .processes()
            .spawn(&machine, &mut command)
            .context("starting spark-submit")?;
        Ok(Self {
            application_id: application_id.to_owned(),
            attempt,
            instance_id: place.instance_id.clone(),
            cuts,
            process,
            folder,
            master: standalone.master(),
            is_under_way: false,
        })
    }

    /// The status that it ended with, if it has: a signal's is 128 more than its number, as shells tell it.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        let status = self.process.try_wait().context("looking after the driver")?;
        Ok(status.map(|status| status.code().unwrap_or(128 + status.signal().unwrap_or(0))))
    }

    /// Ends it and what it started; its executors end when they find it gone.
    pub(super) fn kill(&mut self, standalone: &Standalone) {
        standalone
            .processes()
            .kill(&format!("{}/{}", self.instance_id, self.application_id));
        self.process.wait().ok();
    }

    /// What it printed.
    pub(super) fn words(&self, translation: &Translation<'_>) -> anyhow::Result<Words> {
        let read = |name: &str| -> anyhow::Result<String> {
            let bytes =
                std::fs::read(self.folder.join(name)).with_context(|| format!("reading the driver's {name}"))?;
            Ok(translation.text(&String::from_utf8_lossy(&bytes)))
        };
        Ok(Words {
            stdout: read("stdout")?,
            stderr: read("stderr")?,
        })
    }

    /// Whether its log has told of so many executors, and of a first job. One that brings a master of its own has none here.
    pub(super) fn is_under_way(&mut self, executors: usize) -> bool {
        if !self.is_under_way {
            let Some(log) = self.log() else { return false };
            let count = |event: &str| log.matches(&format!("{{\"Event\":\"SparkListener{event}\"")).count();
            let has_executors = || count("ExecutorAdded") >= executors || self.own_master(&log).is_some();
            self.is_under_way = count("JobStart") > 0 && has_executors();
        }
        self.is_under_way
    }

    /// The master that the job's own code sets, instead of the one that it was given.
    pub(super) fn masters_own(&self) -> Option<String> {
        self.own_master(&self.log()?)
    }

    fn own_master(&self, log: &str) -> Option<String> {
        let event = "{\"Event\":\"SparkListenerEnvironmentUpdate\"";
        let line = log.lines().find(|line| line.starts_with(event))?;
        let update: Value = serde_json::from_str(line).ok()?;
        let master = update["Spark Properties"]["spark.master"].as_str()?;
        (master != self.master).then(|| master.to_owned())
    }

    /// Its event log so far, whole or not.
    fn log(&self) -> Option<String> {
        let entries = std::fs::read_dir(self.folder.join("events")).ok()?;
        let newest = entries.filter_map(|entry| Some(entry.ok()?.path())).max()?;
        let bytes = std::fs::read(newest).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Its event log, translated, if it closed one: on S3 an object is there when it is whole.
    pub(super) fn event_log(&self, translation: &Translation<'_>) -> anyhow::Result<Option<Vec<u8>>> {
        let events = self.folder.join("events");
        let entries = std::fs::read_dir(&events).with_context(|| format!("reading {}", events.display()))?;
        let closed = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let Some(path) = closed.filter(|path| path.extension().is_none()).max() else {
            return Ok(None);
        };
        let mut translated = Vec::new();
        let log = BufReader::new(File::open(&path).with_context(|| format!("opening {}", path.display()))?);
        let done = translation.log(log, &mut translated);
        done.with_context(|| format!("reading {}", path.display()))?;
        Ok(Some(translated))
    }
}

/// Properties of the submission that come from EMR and the cluster, but for those of YARN and of EMR's own Spark.
fn clusters_own(asked: &Submission) -> impl Iterator<Item = (String, String)> {
    let left_out = [
        "spark.blacklist.",
        "spark.decommissioning.",
        "spark.driver.host",
        "spark.master",
        "spark.resourceManager.",
        "spark.stage.attempt.",
        "spark.yarn.",
    ];
    let properties = asked.conf.clone().into_iter();
    properties.filter(move |(key, _)| !left_out.iter().any(|prefix| key.starts_with(prefix)))
}

/// What the step may not change, or else it would not run here, or not be seen.
fn fixed(
    standalone: &Standalone,
    storage: &Storage,
    room: Room,
    address: Ipv4Addr,
    events: &Path,
) -> anyhow::Result<Vec<(String, String)>> {
    let mut fixed = storage.properties().context("reading the buckets' folders")?;
    let own = [
        ("spark.master", standalone.master()),
        ("spark.submit.deployMode", "client".into()),
        ("spark.driver.host", address.to_string()),
        ("spark.driver.bindAddress", address.to_string()),
        ("spark.driver.memory", format!("{}m", room.driver_mb)),
        ("spark.executor.cores", room.executor_cores.to_string()),
        ("spark.executor.memory", format!("{}m", room.executor_mb)),
        ("spark.cores.max", CORES_MAX.to_string()),
        ("spark.dynamicAllocation.enabled", "false".into()),
        ("spark.shuffle.service.enabled", "false".into()),
        ("spark.eventLog.enabled", "true".into()),
        ("spark.eventLog.dir", file_uri(events)),
        ("spark.eventLog.compress", "false".into()),
        ("spark.eventLog.rolling.enabled", "false".into()),
        ("spark.spotDrill.capacity", "simulated".into()),
        ("spark.spotDrill.spark", standalone.spark_name()),
    ];
    fixed.extend(own.map(|(key, value)| (key.to_owned(), value)));
    Ok(fixed)
}
