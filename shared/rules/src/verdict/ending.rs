//! How the application ended. EMR's word on the step is one witness, and not of every step: one that does not wait, a
//! shell or a script completes whatever became of the application.

use spark_log::SparkRun;

use super::Facts;
use crate::cluster::Role;

/// An end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// Well, by this witness.
    Well { how: String },
    /// It failed.
    Failed,
    /// Somebody, or the cluster's end, stopped the step.
    Stopped,
    /// No witness says.
    NotKnown { why: String },
}

/// How it ended, by the witnesses that there are.
pub(super) fn of(facts: &Facts<'_>) -> Ending {
    match facts.step.state.as_str() {
        "FAILED" => Ending::Failed,
        "COMPLETED" => match facts.completed_doubt {
            None => Ending::Well {
                how: "EMR says that the step completed.".into(),
            },
            Some(doubt) => own_end(facts, doubt),
        },
        // A step that goes with its cluster, because the primary node was reclaimed, has failed by that.
        _ if lost_the_primary_node(facts) => Ending::Failed,
        _ => Ending::Stopped,
    }
}

fn lost_the_primary_node(facts: &Facts<'_>) -> bool {
    facts
        .interruptions
        .iter()
        .any(|one| one.interrupted.role == Some(Role::Master) && one.loss.is_inside())
}

/// The application's own end: YARN's word in the step's log, or the event log's end.
///
/// Spark writes an end for an application whose program threw, too, even after its last job had succeeded. The exit code
/// that Spark 4 adds is that of `SparkContext.stop`: 0 unless the program gives another one, also where the JVM's shutdown
/// hook stops the context, and `spark-submit` hands on its own on Kubernetes only. So 0 does not say that all went well.
/// <https://issues.apache.org/jira/browse/SPARK-46399>,
/// <https://github.com/apache/spark/blob/v4.0.0/core/src/main/scala/org/apache/spark/SparkContext.scala>
fn own_end(facts: &Facts<'_>, doubt: &str) -> Ending {
    match facts.final_status {
        Some("SUCCEEDED") => {
            return Ending::Well {
                how: "YARN's final status of the application is SUCCEEDED.".into(),
            };
        }
        Some("FAILED") => return Ending::Failed,
        Some("KILLED") => return Ending::Stopped,
        _ => {}
    }
    let Some(run) = facts.application.and_then(|application| application.last()) else {
        return Ending::NotKnown {
            why: format!("{doubt}, and no event log says how its application ended"),
        };
    };
    by_log(run, doubt)
}

fn by_log(run: &SparkRun, doubt: &str) -> Ending {
    if run.ended_at_ms.is_none() {
        return Ending::NotKnown {
            why: format!("{doubt}, and the application's event log breaks off before its end"),
        };
    }
    if run.exit_code.is_some_and(|code| code != 0) {
        return Ending::Failed;
    }
    let last = run.jobs.iter().max_by_key(|job| (job.completed_at_ms, job.job_id));
    match last {
        Some(job) if job.succeeded == Some(false) && !job.cancelled => Ending::Failed,
        _ => Ending::NotKnown {
            why: format!("{doubt}, and an event log does not say whether its program ended well"),
        },
    }
}

/// What is known of the end, a sentence each.
pub(super) fn reasons(facts: &Facts<'_>) -> Vec<String> {
    let mut reasons = vec![format!("The step ended as {}.", facts.step.state)];
    reasons.extend(
        facts
            .completed_doubt
            .map(|doubt| format!("COMPLETED would not be enough: {doubt}.")),
    );
    let failure = facts.step.failure.iter();
    reasons.extend(failure.map(|failure| format!("EMR on the failure: {failure}")));
    reasons
}
