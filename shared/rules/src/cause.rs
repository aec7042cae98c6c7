//! Why an application failed: by an interruption, by itself, or not to be told.
//!
//! That instances went before a failure does not make them its cause. Each step of the chain from the failure back to a
//! lost node is looked for: the driver's own node, the executors of the task that failed, what a fetch was to come from.
//! Where the chain has a gap, nothing is guessed.
//!
//! Spark's words: <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/scheduler/DAGScheduler.scala>,
//! `abortStage` and `TaskSetManager.handleFailedTask`.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use spark_log::{FailedTask, Job, SparkRun, same_host};

use crate::application::{Application, Run, moment};
use crate::bearing::Bearing;
use crate::cluster::Role;
use crate::hit::InterruptionFacts;
use crate::interruption::{Interrupted, NOTICE};

/// Whose doing a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// Lost instances made it fail.
    Interruption,
    /// It failed by itself, and would have done so without.
    Itself,
    /// The evidence does not reach.
    NotToBeTold,
}

/// A failure and what it was traced to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose doing it is.
    pub blame: Blame,
    /// The failure in the words of Spark, YARN or EMR: the best that there are.
    pub words: Option<String>,
    /// From the failure to its cause, a sentence each.
    pub chain: Vec<String>,
}

/// What a failure is traced by.
#[derive(Debug, Clone, Copy)]
pub struct Traces<'a> {
    /// The run.
    pub run: &'a Run,
    /// The logs of the application's attempts.
    pub application: Option<Application<'a>>,
    /// Every interruption of the cluster's instances around the run.
    pub interruptions: &'a [InterruptionFacts],
    /// What the step's own log, or EMR, says of the failure.
    pub diagnostics: Option<&'a str>,
}

/// An exception that a lost node may be behind though it names none: HDFS blocks on core nodes, connections.
const MAY_BE_A_LOST_NODE: [&str; 6] = [
    "BlockMissingException",
    "Could not obtain block",
    "Connection refused",
    "Connection reset",
    "No route to host",
    "SocketTimeoutException",
];

/// How much of the failure's words is kept.
const WORDS_MAX: usize = 1_000;

/// Traces a failure. Pure and total.
pub fn trace(traces: &Traces<'_>) -> Failure {
    let last = traces.application.and_then(Application::last);
    let job = last.and_then(failed_job);
    let words = job
        .and_then(|job| job.failure.clone())
        .filter(|words| !is_shutdown(words))
        .or_else(|| traces.diagnostics.map(str::to_owned))
        .or_else(|| job.and_then(|job| job.failure.clone()));
    // Where an attempt may have followed that left no log, the failure may be that one's.
    let failed_at = match job.and_then(|job| moment(job.completed_at_ms)) {
        _ if traces.run.may_go_on => None,
        Some(at) => Some(at),
        None => Some(traces.run.ended_at),
    };
    let (mut blame, mut chain) = blame(traces, last, job, failed_at);
    let any_counts = traces
        .interruptions
        .iter()
        .any(|one| one.loss.bearing == Bearing::Counts);
    if blame == Blame::Interruption && !any_counts {
        blame = Blame::NotToBeTold;
        chain.push("When the application ran, and so whether it lost anything, is not known.".into());
    }
    Failure {
        blame,
        words: words.map(|words| words.chars().take(WORDS_MAX).collect()),
        chain,
    }
}

/// The job that ended the application: the last one that failed, and was not merely cancelled.
fn failed_job(run: &SparkRun) -> Option<&Job> {
    run.jobs
        .iter()
        .filter(|job| job.succeeded == Some(false) && !job.cancelled)
        .max_by_key(|job| (job.completed_at_ms, job.job_id))
}

fn is_shutdown(words: &str) -> bool {
    words.contains("SparkContext was shut down")
}

fn blame(
    traces: &Traces<'_>,
    last: Option<&SparkRun>,
    job: Option<&Job>,
    failed_at: Option<DateTime<Utc>>,
) -> (Blame, Vec<String>) {
    let gone: Vec<&InterruptionFacts> = traces
        .interruptions
        .iter()
        .filter(|one| matches!(one.loss.bearing, Bearing::Counts | Bearing::NotKnown | Bearing::Due))
        .filter(|one| {
            let had_gone = |at| failed_at.is_none_or(|failed| at <= failed);
            one.interrupted.terminated_at.is_none_or(had_gone)
        })
        .collect();
    if gone.is_empty() && traces.diagnostics.is_some_and(tells_of_a_lost_node) {
        return (
            Blame::NotToBeTold,
            vec!["Its log says that a node was lost, and which instance that was is not known.".into()],
        );
    }
    if gone.is_empty() {
        return (
            Blame::Itself,
            vec!["Nothing of it was on an instance that had gone when it failed.".into()],
        );
    }
    if let Some(primary) = gone.iter().find(|one| one.interrupted.role == Some(Role::Master)) {
        let id = &primary.interrupted.instance_id;
        return (
            Blame::Interruption,
            vec![format!(
                "The primary node, {id}, was interrupted, and the cluster ended with it."
            )],
        );
    }
    if last.is_some_and(|run| run.ended_at_ms.is_none())
        && let Some(driver) = gone
            .iter()
            .rfind(|one| one.loss.held.iter().any(|held| held == "driver"))
    {
        let id = &driver.interrupted.instance_id;
        let said = format!("The driver of the last attempt went with {id}, and its event log breaks off.");
        return by_lost_drivers(traces, &gone, said);
    }
    let hosts: Vec<&Interrupted> = gone.iter().map(|one| &one.interrupted).collect();
    if let (Some(run), Some(job)) = (last, job)
        && let Some(traced) = by_job(run, job, &hosts)
    {
        return traced;
    }
    match by_words(traces.diagnostics, &hosts) {
        (Blame::Interruption, said) => by_lost_drivers(traces, &gone, said),
        (blame, said) => (blame, vec![said]),
    }
}

/// YARN gives up when the application has failed so many times, and one loss of nodes explains one of them. Where there
/// were fewer losses than failures, or an earlier attempt's log shows a failure of its own, the application would have
/// failed so again.
/// <https://spark.apache.org/docs/latest/running-on-yarn.html#configuration>, `spark.yarn.maxAppAttempts`
fn by_lost_drivers(traces: &Traces<'_>, gone: &[&InterruptionFacts], said: String) -> (Blame, Vec<String>) {
    let logged = traces.application.map_or(1, Application::attempts_made);
    let told = traces
        .diagnostics
        .filter(|words| words.contains("times due to AM Container"))
        .and_then(|words| number_after(words, " failed "))
        .and_then(|times| usize::try_from(times).ok());
    let failures = told.unwrap_or(1).max(logged);
    let moments = moments(gone);
    let earlier = traces
        .application
        .and_then(|application| application.attempts.split_last());
    let own = earlier.is_some_and(|(_, earlier)| {
        earlier
            .iter()
            .any(|attempt| attempt.ended_at_ms.is_some() && failed_job(attempt).is_some())
    });
    if failures > moments || own {
        let doubt = format!("YARN counts {failures} failed attempts, and instances went at {moments} moments.");
        return (Blame::NotToBeTold, vec![said, doubt]);
    }
    (Blame::Interruption, vec![said])
}

/// Instances that go within so long of one another go together.
const TOGETHER: TimeDelta = TimeDelta::seconds(30);

/// At how many moments instances went.
fn moments(gone: &[&InterruptionFacts]) -> usize {
    let mut times: Vec<DateTime<Utc>> = gone.iter().filter_map(|one| one.interrupted.terminated_at).collect();
    times.sort_unstable();
    times.dedup_by(|later, earlier| *later - *earlier < TOGETHER);
    times.len()
}

/// By the tasks and stages of the job that failed. `None`: they do not tell.
fn by_job(run: &SparkRun, job: &Job, gone: &[&Interrupted]) -> Option<(Blame, Vec<String>)> {
    let words = job.failure.as_deref()?;
    if words.contains("failed the maximum allowable number of times") {
        return by_fetches(run, number_after(words, "Stage ")?, gone);
    }
    let (task, stage) = (number_after(words, "Task ")?, number_after(words, "in stage ")?);
    let attempt = number_after(words, &format!("in stage {stage}."))?;
    // Spark numbers the tasks of each attempt of a stage anew.
    let failures: Vec<&FailedTask> = run
        .failed_tasks
        .iter()
        .filter(|one| (one.stage_id, one.stage_attempt, one.index) == (stage, attempt, task))
        .collect();
    let (lost, own): (Vec<&FailedTask>, Vec<&FailedTask>) = failures.iter().partition(|one| by_loss(one, gone));
    let doubtful = own
        .iter()
        .any(|one| may_be_a_lost_node(&one.words) || is_executors_end(one));
    let mut chain: Vec<String> = failures.iter().map(|one| told(one, gone)).collect();
    let blame = match (lost.len(), own.len()) {
        (0, 0) => return None,
        (_, 0) => Blame::Interruption,
        _ if doubtful => Blame::NotToBeTold,
        // The same partition failed where nothing had gone: it would have failed so in any case.
        (0, _) | (_, 2..) => Blame::Itself,
        _ => Blame::NotToBeTold,
    };
    chain.insert(0, format!("The job failed by task {task} of stage {stage}."));
    Some((blame, chain))
}

/// By where the fetches of a stage's failed attempts were to come from.
fn by_fetches(run: &SparkRun, stage: i64, gone: &[&Interrupted]) -> Option<(Blame, Vec<String>)> {
    let sources: Vec<&str> = run
        .stages
        .iter()
        .filter(|one| one.stage_id == stage)
        .filter_map(|one| Some(one.fetch_failed_from.as_ref()?.host.as_str()))
        .collect();
    let from_gone = sources.iter().filter(|host| victim(host, gone).is_some()).count();
    let chain = vec![format!(
        "Stage {stage} was given up after {} failed fetches, {from_gone} of them from interrupted instances.",
        sources.len()
    )];
    match (sources.len(), from_gone) {
        (0, _) => None,
        (all, some) if all == some => Some((Blame::Interruption, chain)),
        (_, 0) => Some((Blame::Itself, chain)),
        _ => Some((Blame::NotToBeTold, chain)),
    }
}

/// By what the step's log or EMR says, where no event log tells.
fn by_words(words: Option<&str>, gone: &[&Interrupted]) -> (Blame, String) {
    let Some(words) = words else {
        return (Blame::NotToBeTold, "No witness says why it failed.".into());
    };
    let of_loss = ["ExecutorLostFailure", "FetchFailed"]
        .iter()
        .any(|word| words.contains(word));
    // Whole names: that of one host may be the beginning of another's.
    let names_one = words
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.'))
        .any(|word| victim(word.trim_end_matches('.'), gone).is_some());
    let of_the_program = [
        "User application exited",
        "User class threw exception",
        "Job aborted due to stage failure",
    ]
    .iter()
    .any(|word| words.contains(word));
    let (blame, said) = match () {
        () if tells_of_a_lost_node(words) => (Blame::Interruption, "Its log says that a node was lost"),
        () if of_loss && names_one => (Blame::Interruption, "Its log names an interrupted instance"),
        () if of_loss || may_be_a_lost_node(words) => (Blame::NotToBeTold, "Its log does not say on which node"),
        () if of_the_program => (
            Blame::Itself,
            "Its log tells of the program's own error, and of no lost node",
        ),
        () => (Blame::NotToBeTold, "Its log does not tell whose error it was"),
    };
    (blame, format!("{said}."))
}

/// YARN's words for a container that went with its node. -100 is `ABORTED`; -1000, `INVALID`, is that of a container that
/// could not begin, above all for a file that is not there.
/// <https://hadoop.apache.org/docs/stable/api/org/apache/hadoop/yarn/api/records/ContainerExitStatus.html>
fn tells_of_a_lost_node(words: &str) -> bool {
    let aborted = words
        .match_indices("exitCode: -")
        .any(|(at, code)| number_after(&words[at..], code) == Some(100));
    aborted || ["*lost* node", "lost node"].iter().any(|word| words.contains(word))
}

fn told(one: &FailedTask, gone: &[&Interrupted]) -> String {
    let on = victim(&one.host, gone).map_or_else(
        || format!("executor {}, on no interrupted instance", one.executor_id),
        |it| {
            format!(
                "executor {} on {}, which was interrupted",
                one.executor_id, it.instance_id
            )
        },
    );
    format!("Attempt {} failed on {on}: {}: {}", one.attempt, one.reason, one.words)
}

/// Did an attempt fail because an instance had gone: its own executor's, or the one that it read from? What failed there
/// before the notice, for want of memory or by the program, failed by something else.
fn by_loss(one: &FailedTask, gone: &[&Interrupted]) -> bool {
    let host = match one.reason.as_str() {
        "FetchFailed" => one.fetch_failed_from.as_ref().map(|from| from.host.as_str()),
        _ => is_executors_end(one).then_some(one.host.as_str()),
    };
    host.and_then(|host| victim(host, gone)).is_some_and(|instance| {
        let noticed_at = instance
            .noticed_at
            .or_else(|| instance.terminated_at.map(|at| at - NOTICE));
        noticed_at <= moment(Some(one.finished_at_ms))
    })
}

fn is_executors_end(one: &FailedTask) -> bool {
    matches!(
        one.reason.as_str(),
        "ExecutorLostFailure" | "TaskResultLost" | "FetchFailed"
    )
}

fn may_be_a_lost_node(words: &str) -> bool {
    MAY_BE_A_LOST_NODE.iter().any(|word| words.contains(word))
}

fn victim<'a>(host: &str, gone: &[&'a Interrupted]) -> Option<&'a Interrupted> {
    let is_its = |one: &&&Interrupted| {
        one.private_dns_name
            .as_deref()
            .is_some_and(|name| same_host(host, name))
    };
    gone.iter().find(is_its).copied()
}

/// The whole number that follows a word.
fn number_after(words: &str, word: &str) -> Option<i64> {
    let rest = &words[words.find(word)? + word.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}
