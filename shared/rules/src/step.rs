//! An EMR step: what EMR says of it, and what its arguments say of the Spark application that it runs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::s3_location::S3Location;

mod command;
mod shell;
mod submission;
#[cfg(test)]
mod tests;

use command::{Command, Spark};

/// A step, as `DescribeStep` and `ListSteps` tell it.
///
/// <https://docs.aws.amazon.com/emr/latest/APIReference/API_Step.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `s-…`
    pub id: String,
    /// The step's name, which we take for the job's: runs of one job share it.
    pub name: String,
    /// `PENDING`, `RUNNING`, `COMPLETED`, `FAILED`, `CANCELLED`, …
    pub state: String,
    /// When it was added.
    pub created_at: Option<DateTime<Utc>>,
    /// When it began to run.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The JAR: `command-runner.jar`, or a path to `script-runner.jar`.
    pub jar: String,
    /// The JAR's arguments.
    pub args: Vec<String>,
    /// The JAR's properties.
    pub properties: BTreeMap<String, String>,
    /// EMR's words on why it failed.
    pub failure: Option<String>,
    /// Where its logs go, if it has a place of its own: it wins over the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_uri: Option<String>,
    /// The YARN applications that it started, as `DescribeStep` names them; EMR does not for every release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub application_ids: Vec<String>,
}

impl Step {
    /// Is the step about to end? Somebody has asked for its end, and EMR brings it about.
    pub fn is_ending(&self) -> bool {
        self.state == "CANCEL_PENDING"
    }

    /// How long it ran, in seconds, as far as EMR says so.
    pub fn run_seconds(&self) -> Option<i64> {
        Some((self.ended_at? - self.started_at?).num_seconds())
    }

    /// Has EMR said that it completed?
    pub fn has_completed(&self) -> bool {
        self.state == "COMPLETED"
    }

    /// Has the step ended, one way or another?
    pub fn is_over(&self) -> bool {
        matches!(
            self.state.as_str(),
            "COMPLETED" | "FAILED" | "CANCELLED" | "INTERRUPTED"
        )
    }

    /// What the step runs, and whether its own state says how that ended.
    pub fn launch(&self) -> Launch {
        match self.command() {
            Command::Spark(spark) if spark.is_direct => Launch::Direct,
            Command::Spark(_) => Launch::Wrapped,
            Command::Other(_) => Launch::Other,
            Command::Unknown(_) => Launch::Unknown,
        }
    }

    /// What the step runs, in a few words: `hive-script`, `s3://bucket/my.jar`.
    pub fn runs(&self) -> String {
        let name = match self.command() {
            Command::Other(name) | Command::Unknown(name) => name,
            Command::Spark(_) => "Spark".into(),
        };
        shortened(&name)
    }

    /// The words that Spark's command gets, or the script that speaks of Spark. `None`: not known to be a Spark step.
    ///
    /// EMR runs Spark by `command-runner.jar spark-submit …` (or `spark-example`), by a shell that calls it, or by
    /// `script-runner.jar` with a script: <https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-submit-step.html>,
    /// <https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-commandrunner.html>.
    pub fn spark_arguments(&self) -> Option<Vec<String>> {
        self.spark().map(|spark| spark.words)
    }

    /// What the step's own options say of a Spark property, those before the application: the option that stands for it
    /// (`--deploy-mode`), else the last `--conf`.
    pub fn spark_conf(&self, key: &str) -> Option<String> {
        self.spark()?.submission.property(key)
    }

    /// What is run: the main script, the class and its JAR with a blank between them, an example's class, a file of
    /// SQL; of a script that submits by itself, the script. `None`: not known.
    pub fn program(&self) -> Option<String> {
        let spark = self.spark()?;
        spark.script.or_else(|| spark.submission.program())
    }

    /// The arguments of the program itself.
    pub fn application_arguments(&self) -> Vec<String> {
        self.spark().map(|spark| spark.submission.arguments).unwrap_or_default()
    }

    /// Does Spark's command wait for its application, given the cluster's `spark-defaults`?
    ///
    /// In cluster deploy mode with `spark.yarn.submit.waitAppCompletion=false` it ends when YARN has the application; in
    /// client mode, which is EMR's default, the driver runs inside it:
    /// <https://spark.apache.org/docs/latest/running-on-yarn.html#configuration>. Spark trims what it reads as a
    /// boolean, and takes any case of letters. A `--properties-file` is read instead of the defaults:
    /// <https://spark.apache.org/docs/latest/submitting-applications.html#loading-configuration-from-a-file>.
    pub fn waits_for_application(&self, defaults: &BTreeMap<String, String>) -> Waits {
        let Some(Spark {
            submission,
            script: None,
            ..
        }) = self.spark()
        else {
            return Waits::Unknown;
        };
        let has_file = submission.option("--properties-file").is_some();
        let setting = |key: &str, default: &str| match (submission.property(key), defaults.get(key)) {
            (Some(value), _) => Some(value),
            (None, _) if has_file => None,
            (None, Some(value)) => Some(value.clone()),
            (None, None) => Some(default.to_owned()),
        };
        let master = submission.property("spark.master").unwrap_or_default();
        let is_cluster = match setting("spark.submit.deployMode", "client").as_deref().map(str::trim) {
            _ if master.trim() == "yarn-cluster" => Some(true),
            _ if master.trim().starts_with("local") => Some(false),
            Some("cluster") => Some(true),
            Some("client") => Some(false),
            _ => None,
        };
        let waits = match setting("spark.yarn.submit.waitAppCompletion", "true") {
            Some(value) if value.trim().eq_ignore_ascii_case("true") => Some(true),
            Some(value) if value.trim().eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        match (is_cluster, waits) {
            (Some(false), _) | (_, Some(true)) => Waits::Yes,
            (Some(true), Some(false)) => Waits::No,
            _ => Waits::Unknown,
        }
    }

    /// Where the job probably writes: its last argument, if that is a folder in S3. A guess, and reported as one.
    pub fn output(&self) -> Option<S3Location> {
        let arguments = self.application_arguments();
        let last = arguments.last()?;
        if last.ends_with('/') || !last.rsplit('/').next().unwrap_or_default().contains('.') {
            last.parse().ok()
        } else {
            None
        }
    }

    /// All that the step was given in words: what may name a place.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let properties = self.properties.iter().flat_map(|(key, value)| [key, value]);
        std::iter::once(&self.jar)
            .chain(&self.args)
            .chain(properties)
            .map(String::as_str)
    }

    fn spark(&self) -> Option<Spark> {
        match self.command() {
            Command::Spark(spark) => Some(spark),
            _ => None,
        }
    }

    fn command(&self) -> Command {
        match command::base_name(&self.jar) {
            "command-runner.jar" => command::read(&self.args),
            "script-runner.jar" => command::script(&self.args),
            name if OTHER_JARS.iter().any(|other| name.contains(other)) => Command::Other(name.into()),
            _ => Command::Unknown(self.jar.clone()),
        }
    }
}

/// JARs that are Hadoop's own or EMR's, by a part of their names.
const OTHER_JARS: [&str; 6] = [
    "hadoop-streaming",
    "hadoop-mapreduce",
    "s3distcp",
    "s3-dist-cp",
    "hive-",
    "pig-",
];

/// What a step's own state is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launch {
    /// One of Spark's commands: its exit status is the application's, where it [waits](Step::waits_for_application).
    Direct,
    /// A shell or a script around Spark: its status is its own, and says nothing of the application.
    Wrapped,
    /// What is known not to be Spark.
    Other,
    /// What may be anything: a program, a script or a JAR of one's own.
    Unknown,
}

/// Does the step wait for its application?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// It ends after it.
    Yes,
    /// It ends when YARN has the application.
    No,
    /// What says so cannot be read.
    Unknown,
}

/// At most so many characters of a name: a step's arguments may be anything.
fn shortened(name: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let name = name.replace(char::is_control, " ");
    if name.chars().count() <= CHARACTERS_MAX {
        return name;
    }
    let head: String = name.chars().take(CHARACTERS_MAX).collect();
    format!("{head}…")
}
