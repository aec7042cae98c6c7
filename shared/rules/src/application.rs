//! The application that a step ran: all its attempts, as far as their event logs are there.
//!
//! Separate from the logs' reader because here they are joined to what AWS says: when the run was that counts, and what
//! of the application was on a host when the host went.

#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use spark_log::{Executor, Removal, SparkRun, same_host};

use crate::cluster::{Instance, Role};
use crate::interruption::NOTICE;
use crate::step::{Launch, Step};

/// An application's attempts. YARN begins it anew when its driver is lost, and each attempt has a log of its own.
#[derive(Debug, Clone, Copy)]
pub struct Application<'a> {
    /// The attempts whose logs were found, in their order.
    pub attempts: &'a [SparkRun],
}

/// Whose times the run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunWitness {
    /// The application's event log.
    EventLog,
    /// EMR, of the step.
    Step,
}

/// The run that counts: the application's, by its event log where that tells, else the step's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// Who says so.
    pub begin_told_by: RunWitness,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// Who says so.
    pub end_told_by: RunWitness,
    /// By when it had begun, as far as can be known. `None`: an application that waits for its turn begins at any time.
    #[serde(default)]
    pub began_by: Option<DateTime<Utc>>,
    /// Until when it ran at the least, where no log tells its end. Of a step that did not complete that is not known to lie
    /// before `ended_at`: what goes in its last seconds may be what ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_until: Option<DateTime<Utc>>,
    /// Can it have gone on after `ended_at`, which is the end of a step that did not wait, or of an attempt that may not be
    /// the last?
    #[serde(default)]
    pub may_go_on: bool,
}

/// What a step's times leave open of its application's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Open {
    /// The cluster may run several steps at once, or had no core node for a while, and YARN lets an application wait until
    /// there is room for it.
    pub begin: bool,
    /// The step may end before its application.
    pub end: bool,
}

/// From a step's begin to its application's there are `spark-submit`, the upload of its files and YARN's first container:
/// by so much later it has begun, if nothing else keeps the cluster's room.
const BEGINS_WITHIN: TimeDelta = TimeDelta::seconds(60);

/// A node that EMR calls running for so long after a step's begin was there for the application's first container: EMR
/// finds a loss up to a minute late.
const ROOM_SEEN_FOR: TimeDelta = TimeDelta::seconds(120);

/// From an application's end to its step's there are YARN's last report and `spark-submit`'s exit.
const ENDS_WITHIN: TimeDelta = TimeDelta::seconds(60);

/// How often YARN begins an application that does not say so itself.
/// <https://hadoop.apache.org/docs/stable/hadoop-yarn/hadoop-yarn-common/yarn-default.xml>, `yarn.resourcemanager.am.max-attempts`
const ATTEMPTS_MAX: usize = 2;

/// Had a step's application to wait for a core node, as far as EMR's list tells? Where YARN has node labels, as EMR sets
/// them up to 5.x, its first container goes nowhere else.
/// <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-instances-guidelines.html>
pub fn may_have_waited_for_room(step: &Step, instances: &[Instance]) -> bool {
    let Some(began) = step.started_at else { return false };
    let seen = step
        .ended_at
        .map_or(began + ROOM_SEEN_FOR, |ended| ended.min(began + ROOM_SEEN_FOR));
    let is_ready = |one: &Instance| one.ready_at.is_some_and(|at| at <= began + BEGINS_WITHIN / 2);
    let mut cores = instances.iter().filter(|one| one.role == Some(Role::Core)).peekable();
    // A cluster of the primary node alone has its containers there.
    cores.peek().is_some() && !cores.any(|one| is_ready(one) && one.ended_at.is_none_or(|ended| ended >= seen))
}

impl Run {
    /// The run of a step that ended; `None` where EMR does not say when.
    pub fn of(step: &Step, application: Option<Application<'_>>, open: Open) -> Option<Self> {
        let began = application.and_then(Application::started_at);
        let ended = application.and_then(Application::ended_at);
        let told_by = |log: Option<DateTime<Utc>>| log.map_or(RunWitness::Step, |_| RunWitness::EventLog);
        let began_at = began.or(step.started_at)?;
        Some(Self {
            began_at,
            begin_told_by: told_by(began),
            ended_at: ended.or(step.ended_at)?,
            end_told_by: told_by(ended),
            began_by: began.or_else(|| {
                let by_step = (!open.begin).then_some(began_at + BEGINS_WITHIN);
                // A later attempt's log tells that there was an earlier one.
                let by_log = application.and_then(|one| moment(one.attempts.first()?.started_at_ms));
                by_step.into_iter().chain(by_log).min()
            }),
            ran_until: step
                .ended_at
                .filter(|_| ended.is_none() && step.has_completed())
                .map(|ended| ended - ENDS_WITHIN),
            may_go_on: match (ended, step.ended_at) {
                (None, _) => open.end,
                (Some(ended), Some(step_ended)) => {
                    // Of a step that does not wait its end tells nothing.
                    let waits_for_it = step.launch() == Launch::Direct && !open.end;
                    let went_on = open.end || step_ended - ended > ENDS_WITHIN;
                    went_on && application.is_some_and(|one| one.may_begin_again(waits_for_it))
                }
                (Some(_), None) => false,
            },
        })
    }

    /// Is it known whether the application ran at a moment?
    pub fn is_known_at(&self, at: DateTime<Utc>) -> bool {
        let had_begun = at < self.began_at || self.began_by.is_some_and(|by| at >= by);
        let may_have_ended = at < self.ended_at && self.ran_until.is_some_and(|until| at >= until);
        had_begun && !may_have_ended && !(at >= self.ended_at && self.may_go_on)
    }

    /// May the application have run on after its step, which did not wait for it?
    pub fn may_outlive(&self, step: &Step) -> bool {
        self.may_go_on || step.ended_at.is_some_and(|ended| self.ended_at > ended)
    }

    /// Does a moment lie inside the run?
    pub fn holds(&self, at: DateTime<Utc>) -> bool {
        at >= self.began_at && at < self.ended_at
    }
}

impl<'a> Application<'a> {
    /// The attempt that tells how the application ended. Of an application there is at least one.
    pub fn last(self) -> Option<&'a SparkRun> {
        self.attempts.last()
    }

    /// How often YARN began it, by the number of the last attempt.
    pub fn attempts_made(self) -> usize {
        let number = self.last().and_then(|run| run.attempt_id.as_deref()?.parse().ok());
        number.unwrap_or(1).max(self.attempts.len())
    }

    /// Does each attempt have its log, read whole, and does the last one's reach to the application's end?
    fn is_whole(self) -> bool {
        self.ended_at().is_some()
            && self.attempts.len() == self.attempts_made()
            && self.attempts.iter().all(is_readable)
    }

    /// Do the logs tell what it had at a time? Those of attempts that were over by then tell nothing that would be missed.
    pub fn tells_of(self, at: DateTime<Utc>) -> bool {
        let has_begun = |run: &&SparkRun| moment(run.started_at_ms).is_some_and(|began| began <= at);
        let number = |run: &SparkRun| run.attempt_id.as_deref()?.parse::<usize>().ok();
        let Some(latest) = self.attempts.iter().rposition(|run| has_begun(&run)) else {
            return self.is_whole();
        };
        let still = &self.attempts[latest..];
        let over = number(&self.attempts[latest]).map_or(latest, |number| number.saturating_sub(1));
        self.ended_at().is_some()
            && still.len() == self.attempts_made().saturating_sub(over)
            && still.iter().all(is_readable)
    }

    /// May YARN have begun it once more after the last attempt that left a log, while its step went on? A driver in client mode
    /// has one life, and an attempt that succeeded is the last. Of one whose log has no exit code that is known by its jobs
    /// only as long as nothing speaks against it: a step that does nothing but wait for its application does.
    fn may_begin_again(self, waits_for_it: bool) -> bool {
        let Some(last) = self.last() else { return true };
        let set = |key: &str| last.settings.get(key).map(|value| value.trim());
        let attempts_max = set("spark.yarn.maxAppAttempts").and_then(|value| value.parse().ok());
        // An exit code of 0 is that of any context that was stopped, whatever became of the program.
        let succeeded = last.exit_code.map_or(!waits_for_it, |code| code == 0)
            && !last.jobs.is_empty()
            && last.jobs.iter().all(|job| job.succeeded == Some(true));
        set("spark.submit.deployMode") != Some("client")
            && self.attempts_made() < attempts_max.unwrap_or(ATTEMPTS_MAX)
            && !succeeded
    }

    /// When the first attempt began; `None` where its log is missing.
    pub fn started_at(self) -> Option<DateTime<Utc>> {
        if self.attempts.len() < self.attempts_made() {
            return None;
        }
        moment(self.attempts.first()?.started_at_ms)
    }

    /// When the last attempt ended; `None` where its log breaks off before.
    pub fn ended_at(self) -> Option<DateTime<Utc>> {
        moment(self.last()?.ended_at_ms)
    }

    /// When the driver first lost an executor together with this host, between two times.
    pub fn lost_host_at(self, host: &str, from: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let fell = |executor: &Executor| {
            let with_its_node = matches!(
                executor.removal,
                Some(Removal::WorkerLost | Removal::Disconnected | Removal::ProcessLost | Removal::HeartbeatTimeout)
            );
            moment(executor.removed_at_ms).filter(|at| with_its_node && *at >= from && *at <= until)
        };
        let executors = self.attempts.iter().flat_map(|run| executors_of(run, host));
        executors.filter_map(fell).min()
    }

    /// What of the application was on a host when the host went: `driver`, `executor 3`, `shuffle output of executor 3`.
    ///
    /// Executors that left since the notice count too: that is what the notice did. Shuffle output outlives its executor where YARN's shuffle service serves it; it counts if somebody missed it afterwards.
    pub fn held_on(self, host: &str, noticed_at: Option<DateTime<Utc>>, lost_at: DateTime<Utc>) -> Vec<String> {
        let mut held = Vec::new();
        for run in self.attempts {
            let began = moment(run.started_at_ms);
            let ended = moment(run.ended_at_ms);
            let ran = began.is_none_or(|at| at <= lost_at) && ended.is_none_or(|at| at > lost_at);
            let is_here = run.driver_host.as_deref().is_some_and(|driver| same_host(driver, host));
            if ran && is_here && !self.began_again_by(run, lost_at) {
                held.push("driver".to_owned());
            }
        }
        // An attempt's executors and their output go with it, and its log does not say so: the driver was gone by then.
        let notice = noticed_at.unwrap_or(lost_at - NOTICE);
        let attempts = self.attempts.iter().filter(|run| !self.began_again_by(run, notice));
        for executor in attempts.flat_map(|run| executors_of(run, host)) {
            if was_there(executor, notice, lost_at) {
                held.push(format!("executor {}", executor.id));
            } else if executor.tasks_successful > 0 && self.missed_output_of(executor, host, lost_at) {
                held.push(format!("shuffle output of executor {}", executor.id));
            }
        }
        held.dedup();
        held
    }

    /// Had a later attempt begun by then?
    fn began_again_by(self, run: &SparkRun, at: DateTime<Utc>) -> bool {
        self.attempts
            .iter()
            .filter(|later| later.started_at_ms > run.started_at_ms)
            .any(|later| moment(later.started_at_ms).is_some_and(|began| began <= at))
    }

    /// Did a fetch from there fail after the loss, or did a stage that had been computed begin again?
    fn missed_output_of(self, executor: &Executor, host: &str, lost_at: DateTime<Utc>) -> bool {
        let removed_before = moment(executor.removed_at_ms).is_some_and(|at| at <= lost_at);
        let since = |ms: Option<i64>| moment(ms).is_some_and(|at| at >= lost_at);
        removed_before
            && self.attempts.iter().flat_map(|run| &run.stages).any(|stage| {
                let fetch = stage.fetch_failed_from.as_ref();
                let from_here = fetch.is_some_and(|from| same_host(&from.host, host));
                (from_here && since(stage.completed_at_ms)) || (stage.attempt > 0 && since(stage.submitted_at_ms))
            })
    }
}

/// Was a log read from its begin, and nothing in it passed over?
fn is_readable(run: &SparkRun) -> bool {
    run.reading.skipped.is_empty() && !run.reading.compacted && run.started_at_ms.is_some()
}

fn executors_of<'a>(run: &'a SparkRun, host: &str) -> impl Iterator<Item = &'a Executor> {
    run.executors
        .iter()
        .filter(move |executor| same_host(&executor.host, host))
}

fn was_there(executor: &Executor, noticed_at: DateTime<Utc>, lost_at: DateTime<Utc>) -> bool {
    if moment(executor.added_at_ms).is_some_and(|added| added > lost_at) {
        return false;
    }
    let Some(removed) = moment(executor.removed_at_ms) else {
        return true;
    };
    // On a notice EMR's Spark gives the node no new tasks, and an executor without tasks is let go as an idle one: whoever
    // left between notice and loss left because of the notice.
    removed >= noticed_at
}

/// Spark's milliseconds as a moment.
pub fn moment(ms: Option<i64>) -> Option<DateTime<Utc>> {
    ms.and_then(DateTime::from_timestamp_millis)
}
