//! A step: what was asked for, what state it is in, and what its command line means.
//!
//! Separate because reading a step's arguments is pure, and everything else about steps is not.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::Time;
use crate::spark::Submission;

/// A step's state, as the API and the events name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepState {
    /// Waits for its turn.
    Pending,
    /// Its process runs on the primary node.
    Running,
    /// Runs, and was asked to stop.
    CancelPending,
    /// Its process ended with status 0.
    Completed,
    /// It was cancelled.
    Cancelled,
    /// Its process ended with another status.
    Failed,
    /// It went with its cluster.
    Interrupted,
}

impl StepState {
    /// AWS's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::CancelPending => "CANCEL_PENDING",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
            Self::Interrupted => "INTERRUPTED",
        }
    }

    /// Whether it has ended, however.
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Cancelled | Self::Failed | Self::Interrupted
        )
    }
}

/// How a step ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ending {
    /// With status 0.
    Completed,
    /// With another status, and why.
    Failed(String),
    /// Stopped by CancelSteps or with its cluster.
    Cancelled,
    /// Gone with its cluster.
    Interrupted,
}

/// One step of a cluster.
#[derive(Debug, Clone)]
pub struct Step {
    /// `s-…`.
    pub id: String,
    /// Its name, unique in no way.
    pub name: String,
    /// What happens to the cluster when it fails: AWS's word.
    pub action_on_failure: String,
    /// The jar: `command-runner.jar` for most.
    pub jar: String,
    /// The jar's arguments.
    pub args: Vec<String>,
    /// The request's `HadoopJarStep`, which DescribeStep gives back.
    pub(super) config: Value,
    /// The request's `S3MonitoringConfiguration`: a place of its own for its logs, and a key.
    pub(super) own_logs: Value,
    /// State.
    pub state: StepState,
    /// When it was added.
    pub created_at: Time,
    /// When it started to run.
    pub started_at: Option<Time>,
    /// When it was asked to stop while it ran.
    pub cancel_requested_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// When YARN accepted its application.
    pub submitted_at: Option<Time>,
    /// The YARN application that it started.
    pub application_id: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
    /// What its process wrote, where that is a real one outside the account.
    pub(super) words: Option<Words>,
    /// Whether it waits for its application's end: `spark.yarn.submit.waitAppCompletion`.
    pub(super) waits: bool,
    /// Whether its shell ends with status 0 however its application ends.
    pub(super) hides_status: bool,
    /// Whether its end is on the agenda already.
    pub(super) ending: bool,
}

impl Step {
    /// A property that its request gave it.
    pub fn property(&self, key: &str) -> Option<&str> {
        let pairs = self.config["Properties"].as_array()?;
        pairs.iter().find(|pair| pair["Key"] == key)?["Value"].as_str()
    }
}

/// What a step's process wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// To its standard output.
    pub stdout: String,
    /// To its standard error.
    pub stderr: String,
}

/// What a step's process does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Program {
    /// Runs `spark-submit` with these arguments.
    SparkSubmit(Vec<String>),
    /// Runs a script from S3 with `script-runner.jar`; whether that submits to Spark, the script knows.
    Script(String, Vec<String>),
    /// Something that the simulation only gives time to.
    Other,
}

/// What `spark-submit` hands to `spark-class`.
//= https://github.com/apache/spark/blob/v3.5.6/bin/spark-submit
const SUBMIT_CLASS: &str = "org.apache.spark.deploy.SparkSubmit";

/// Reads a step's jar and arguments.
///
//= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-submit-step.html
//= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-commandrunner.html
pub(super) fn program(jar: &str, args: &[String]) -> Program {
    let submit = |rest: &[String]| Program::SparkSubmit(rest.to_vec());
    if jar.ends_with("script-runner.jar") {
        return match args.split_first() {
            Some((script, rest)) => Program::Script(script.clone(), rest.to_vec()),
            None => Program::Other,
        };
    }
    if !jar.ends_with("command-runner.jar") {
        return Program::Other;
    }
    let Some((command, rest)) = args.split_first() else {
        return Program::Other;
    };
    match command.rsplit('/').next().unwrap_or(command) {
        "spark-submit" => submit(rest),
        "spark-example" | "run-example" => submit(&spark_example(rest)),
        // Each runs the command that follows its own options, and ends as that does.
        "sudo" | "env" | "nice" | "nohup" | "timeout" => {
            submits_at(rest).map_or(Program::Other, |at| submit(&rest[at + 1..]))
        }
        "spark-class" if rest.first().is_some_and(|class| class == SUBMIT_CLASS) => submit(&rest[1..]),
        "bash" | "sh" => match rest.iter().position(|arg| arg.starts_with('-') && arg.contains('c')) {
            Some(flag) => {
                shell_submit(rest.get(flag + 1).map_or("", String::as_str)).map_or(Program::Other, |a| submit(&a))
            }
            None => Program::Other,
        },
        _ => Program::Other,
    }
}

/// `spark-example SparkPi 10` is a shorthand for submitting that class of the jar with Spark's examples.
fn spark_example(args: &[String]) -> Vec<String> {
    let at = args.iter().position(|arg| !arg.starts_with('-')).unwrap_or(args.len());
    let (options, rest) = args.split_at(at);
    let class = rest.first().map_or("SparkPi", String::as_str);
    let mut submit = options.to_vec();
    submit.extend(["--class".to_owned(), format!("org.apache.spark.examples.{class}")]);
    submit.push("local:///usr/lib/spark/examples/jars/spark-examples.jar".to_owned());
    submit.extend(rest.iter().skip(1).cloned());
    submit
}

/// The arguments of the first `spark-submit` in a shell command, up to the command's end. Quotes group words; nothing
/// is expanded.
fn shell_submit(command: &str) -> Option<Vec<String>> {
    let words = shell_words(command);
    let start = submits_at(&words)?;
    let arguments = words[start + 1..].iter().take_while(|word| !ends_command(word));
    Some(arguments.filter(|word| !word.contains('>')).cloned().collect())
}

fn submits_at(words: &[String]) -> Option<usize> {
    words
        .iter()
        .position(|word| word == "spark-submit" || word.ends_with("/spark-submit"))
}

fn ends_command(word: &str) -> bool {
    ["\n", ";", "&", "|"].contains(&word)
}

/// Whether a step's shell ends well though the `spark-submit` in it does not: a shell's status is its last command's, a
/// pipeline's that of its last command unless `pipefail` is set. What comes after `spark-submit` is assumed to end well.
///
//= https://www.gnu.org/software/bash/manual/html_node/Pipelines.html
//= https://www.gnu.org/software/bash/manual/html_node/Lists.html
//= https://www.gnu.org/software/bash/manual/html_node/The-Set-Builtin.html
pub(super) fn hides_status(jar: &str, args: &[String]) -> bool {
    let shell = args
        .first()
        .map(|command| command.rsplit('/').next().unwrap_or(command));
    if !jar.ends_with("command-runner.jar") || !matches!(shell, Some("bash" | "sh")) {
        return false;
    }
    let words: Vec<String> = args[1..].iter().flat_map(|arg| shell_words(arg)).collect();
    let Some(start) = submits_at(&words) else {
        return false;
    };
    let (before, after) = words.split_at(start);
    let is_option = |word: &String, letter: char| {
        word.starts_with('-') && !word.starts_with("--") && word.contains(letter) && word.len() <= 4
    };
    let (stops, pipefail) = (
        before.iter().any(|word| is_option(word, 'e')),
        before.iter().any(|word| word == "pipefail"),
    );
    let mut ends = after.iter().enumerate().filter(|(_, word)| ends_command(word));
    let Some((at, end)) = ends.next() else { return false };
    let next = after.get(at + 1).map_or("", String::as_str);
    let follows = after[at + 1..].iter().any(|word| !ends_command(word));
    match (end.as_str(), next) {
        ("|", "|") | ("&", _) if next == "|" || next != "&" => true,
        ("|", _) => !pipefail,
        ("&", _) => false,
        _ => follows && !stops,
    }
}

fn shell_words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = command.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(q), l) if q == l => quote = None,
            (Some(_), l) => word.get_or_insert_default().push(l),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '\\') => match letters.next() {
                Some('\n') | None => {}
                Some(l) => word.get_or_insert_default().push(l),
            },
            // A redirection: `2>&1`.
            (None, '&') if word.as_ref().is_some_and(|word| word.ends_with('>')) => {
                word.get_or_insert_default().push('&');
            }
            (None, ';' | '&' | '|' | '\n') => {
                words.extend(word.take());
                words.push(letter.to_string());
            }
            (None, l) if l.is_whitespace() => words.extend(word.take()),
            (None, l) => word.get_or_insert_default().push(l),
        }
    }
    words.extend(word);
    words
}

/// The submission that a program makes, if it makes one: `Err` is what `spark-submit` prints before it exits.
pub(super) fn submission(
    program: &Program,
    spark_defaults: &BTreeMap<String, String>,
    knows_script: impl Fn(&str) -> bool,
) -> Option<Result<Submission, String>> {
    match program {
        Program::SparkSubmit(args) => Some(Submission::parse(args, spark_defaults)),
        Program::Script(script, args) => match args.iter().position(|arg| arg.ends_with("spark-submit")) {
            Some(at) => Some(Submission::parse(&args[at + 1..], spark_defaults)),
            // Only a scenario can know what a script in S3 does: one that has a workload submits itself.
            None if knows_script(script) => {
                let mut all = vec!["--deploy-mode".to_owned(), "cluster".to_owned(), script.clone()];
                all.extend(args.iter().cloned());
                Some(Submission::parse(&all, spark_defaults))
            }
            None => None,
        },
        Program::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn spark_submit_is_found_behind_command_runner_and_bash() {
        let expected = Program::SparkSubmit(words("--deploy-mode cluster s3://b/script.py out"));
        let direct = words("spark-submit --deploy-mode cluster s3://b/script.py out");
        assert_eq!(program("command-runner.jar", &direct), expected);
        let shell =
            "cd /tmp && /usr/bin/spark-submit --deploy-mode \"cluster\" \\\n s3://b/script.py 'out' ; echo done";
        let args = vec!["bash".to_owned(), "-c".to_owned(), shell.to_owned()];
        assert_eq!(program("command-runner.jar", &args), expected);
    }

    #[test]
    fn spark_submit_is_found_behind_commands_that_run_another() {
        let expected = Program::SparkSubmit(words("--deploy-mode cluster s3://b/script.py out"));
        for before in [
            "sudo -u hadoop spark-submit",
            "env A=b /usr/bin/spark-submit",
            "timeout 3600 nice -n 5 spark-submit",
            "spark-class org.apache.spark.deploy.SparkSubmit",
        ] {
            let args = words(&format!("{before} --deploy-mode cluster s3://b/script.py out"));
            assert_eq!(program("command-runner.jar", &args), expected, "{before}");
        }
        for other in ["sudo ls", "spark-class org.apache.spark.deploy.master.Master"] {
            assert_eq!(program("command-runner.jar", &words(other)), Program::Other, "{other}");
        }
    }

    #[test]
    fn a_shell_that_does_something_last_hides_how_spark_submit_ended() {
        for (shell, hides) in [
            ("spark-submit a.py", false),
            ("spark-submit a.py | tee log", true),
            ("set -o pipefail; spark-submit a.py | tee log", false),
            ("set -eo pipefail\nspark-submit a.py 2>&1 | tee log", false),
            ("spark-submit a.py; echo done", true),
            ("set -e; spark-submit a.py; echo done", false),
            ("spark-submit a.py || true", true),
            ("cd /tmp && spark-submit a.py && echo done", false),
            ("spark-submit a.py ;", false),
            ("spark-submit a.py & wait", true),
        ] {
            let args = ["bash", "-c", shell].map(str::to_owned);
            assert_eq!(hides_status("command-runner.jar", &args), hides, "{shell}");
        }
        assert!(!hides_status("command-runner.jar", &words("spark-submit a.py | b")));
    }

    #[test]
    fn spark_example_submits_a_class_of_the_examples_jar() {
        let Program::SparkSubmit(args) = program("command-runner.jar", &words("spark-example SparkPi 10")) else {
            panic!("not Spark")
        };
        assert_eq!(args[..2], ["--class", "org.apache.spark.examples.SparkPi"]);
        assert_eq!(args.last().unwrap(), "10");
    }

    #[test]
    fn hadoop_streaming_and_own_jars_are_not_spark() {
        assert_eq!(
            program("command-runner.jar", &words("hadoop-streaming -files s3://b/m.py")),
            Program::Other
        );
        assert_eq!(program("s3://b/my.jar", &words("spark-submit x.py")), Program::Other);
    }
}
