//! An EMR step: what EMR says of it, and what its arguments say of the Spark application that it runs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::config::S3Location;

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
}

impl Step {
    /// Has the step ended, one way or another?
    pub fn is_over(&self) -> bool {
        matches!(
            self.state.as_str(),
            "COMPLETED" | "FAILED" | "CANCELLED" | "INTERRUPTED"
        )
    }

    /// The arguments that `spark-submit` gets, if this step runs it. `None`: not a Spark step.
    ///
    /// EMR runs Spark by `command-runner.jar spark-submit …` (or `spark-example`), by a shell that calls it, or by
    /// `script-runner.jar` with a script: <https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-submit-step.html>,
    /// <https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-commandrunner.html>. What a script does cannot be seen
    /// from outside, so a script counts as Spark when its own name or an argument speaks of Spark.
    pub fn spark_arguments(&self) -> Option<Vec<String>> {
        let jar = self.jar.rsplit('/').next().unwrap_or_default();
        let first = self
            .args
            .first()
            .map(|word| word.rsplit('/').next().unwrap_or_default());
        match (jar, first) {
            ("command-runner.jar", Some("spark-submit" | "spark-example" | "spark-sql" | "pyspark")) => {
                Some(self.args[1..].to_vec())
            }
            ("command-runner.jar", Some("bash" | "sh")) => shell_arguments(&self.args[1..]),
            ("script-runner.jar", Some(_)) => self
                .args
                .iter()
                .any(|word| word.to_ascii_lowercase().contains("spark"))
                .then(|| self.args[1..].to_vec()),
            _ => None,
        }
    }

    /// What `--conf key=value` (or `-c`) says, the last one winning as in `spark-submit`.
    pub fn spark_conf(&self, key: &str) -> Option<String> {
        let arguments = self.spark_arguments()?;
        let mut found = None;
        for (index, word) in arguments.iter().enumerate() {
            let pair = match word.as_str() {
                "--conf" | "-c" => arguments.get(index + 1).map(String::as_str),
                _ => word.strip_prefix("--conf="),
            };
            if let Some((name, value)) = pair.and_then(|pair| pair.trim_matches(['"', '\'']).split_once('='))
                && name == key
            {
                found = Some(value.to_owned());
            }
        }
        found
    }

    /// Does the step wait for its application? With `spark.yarn.submit.waitAppCompletion=false` it completes at
    /// submission, and its state says nothing of the job.
    ///
    /// <https://spark.apache.org/docs/latest/running-on-yarn.html#configuration>
    pub fn waits_for_application(&self) -> bool {
        self.spark_conf("spark.yarn.submit.waitAppCompletion")
            .is_none_or(|value| value != "false")
    }

    /// Where the job probably writes: its last argument, if that is a folder in S3. A guess, and reported as one.
    pub fn output(&self) -> Option<S3Location> {
        let arguments = self.spark_arguments()?;
        let last = arguments.last()?;
        if last.ends_with('/') || !last.rsplit('/').next().unwrap_or_default().contains('.') {
            last.parse().ok()
        } else {
            None
        }
    }
}

/// `-c "… spark-submit …"`: the words after the one that names Spark.
fn shell_arguments(args: &[String]) -> Option<Vec<String>> {
    let words: Vec<String> = args
        .iter()
        .flat_map(|arg| arg.split_whitespace())
        .map(|word| word.trim_matches(['"', '\'', ';']).to_owned())
        .collect();
    let at = words.iter().position(|word| {
        matches!(
            word.rsplit('/').next().unwrap_or_default(),
            "spark-submit" | "spark-example" | "spark-sql"
        )
    })?;
    Some(words[at + 1..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn step(jar: &str, args: &[&str]) -> Step {
        Step {
            id: "s-1".into(),
            name: "job".into(),
            state: "RUNNING".into(),
            created_at: None,
            started_at: None,
            ended_at: None,
            jar: jar.into(),
            args: args.iter().map(|&word| word.to_owned()).collect(),
            properties: BTreeMap::new(),
            failure: None,
        }
    }

    #[test]
    fn the_workshops_step_is_spark() {
        let step = step(
            "command-runner.jar",
            &[
                "spark-submit",
                "--deploy-mode",
                "cluster",
                "s3://bucket/script.py",
                "s3://bucket/out/",
            ],
        );
        assert_eq!(step.spark_arguments().unwrap()[0], "--deploy-mode");
        assert_eq!(step.output().unwrap().to_string(), "s3://bucket/out/");
        assert!(step.waits_for_application());
    }

    #[test]
    fn a_shell_and_a_script_that_submit_are_spark() {
        let shell = step(
            "command-runner.jar",
            &[
                "bash",
                "-c",
                "set -e; /usr/bin/spark-submit --conf spark.yarn.submit.waitAppCompletion=false x.py",
            ],
        );
        assert!(!shell.waits_for_application());
        let script = step(
            "s3://eu-west-1.elasticmapreduce/libs/script-runner/script-runner.jar",
            &["s3://bucket/run-spark-job.sh"],
        );
        assert!(script.spark_arguments().is_some());
    }

    #[test]
    fn other_steps_are_not_spark() {
        assert!(
            step("command-runner.jar", &["s3-dist-cp", "--src", "s3://bucket/spark/"])
                .spark_arguments()
                .is_none()
        );
        assert!(
            step("command-runner.jar", &["bash", "-c", "echo spark"])
                .spark_arguments()
                .is_none()
        );
        assert!(
            step("s3://bucket/my.jar", &["spark-submit"])
                .spark_arguments()
                .is_none()
        );
        assert!(step("command-runner.jar", &[]).spark_arguments().is_none());
    }

    #[test]
    fn the_last_conf_wins() {
        let step = step(
            "command-runner.jar",
            &["spark-submit", "--conf", "a=1", "--conf=a=2=3", "x.py"],
        );
        assert_eq!(step.spark_conf("a").unwrap(), "2=3");
        assert_eq!(step.spark_conf("b"), None);
        assert!(step.output().is_none());
    }
}
