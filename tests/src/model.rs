//! Which reports are right: derived from the account's own state and from the same story without interruptions.
//!
//! Separate from the functions on purpose, and from all their rules: it asks EC2 when an instance went, YARN and Spark
//! what was there, and S3 what was written. Where the truth is within seconds of a border, or out of the functions' reach,
//! several answers are right.
//!
//! The rules: what counts is the application's run, from its first attempt's start to its last one's end. An interruption
//! counts if EC2 began to take the instance inside it, and something of the application was there. A replacement counts
//! if it could take work before the run's end. Nothing depends on when the report was written.

mod capacity;
mod evidence;
mod hits;
mod rows;
mod telling;

use std::collections::BTreeSet;

use account::emr::{Cluster, Step};
use account::spark::{ApplicationTruth, SideJob};
use chrono::{DateTime, TimeDelta, Utc};
use local::run::{Run, StepRun};
use local::truth::ReportsDue;
use local::world::State;
use serde_json::Value;

pub(crate) use evidence::Evidence;
pub(crate) use hits::{Hit, Touch};

/// This near to a border either side is right: clocks and whole seconds.
pub(crate) const NEAR: TimeDelta = TimeDelta::seconds(5);

/// From an application's end to the first look at its cluster, at most: its step's end, the event, the look.
const LOOKED_AFTER: TimeDelta = TimeDelta::seconds(20);

/// The same story without interruptions, told when it is first asked for.
pub struct Calm<F> {
    tell: Option<F>,
    run: Option<Run>,
}

impl<F: FnOnce() -> Option<Run>> Calm<F> {
    /// Not told yet.
    pub fn new(tell: F) -> Self {
        Self {
            tell: Some(tell),
            run: None,
        }
    }

    /// How the application of the step of this number ends there, if it is one of the story's own cluster, which is the
    /// first. `None`: it does not, or never began.
    fn status(&mut self, number: usize) -> Option<String> {
        if let Some(tell) = self.tell.take() {
            self.run = tell();
        }
        let state = self.run.as_ref()?.world.lock();
        let cluster = state.account.emr.clusters().next()?;
        let id = cluster.steps.get(number)?.application_id.as_ref()?;
        application(cluster, id)?.final_status.clone()
    }
}

fn application<'a>(cluster: &'a Cluster, id: &str) -> Option<&'a ApplicationTruth> {
    cluster.yarn().truth().iter().find(|one| one.id == id)
}

/// From when to when an application ran.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
}

impl Window {
    /// Whether a time lies in it, for certain or perhaps.
    pub(crate) fn has(&self, at: DateTime<Utc>) -> Touch {
        if at > self.from + NEAR && at < self.until - NEAR {
            Touch::Certain
        } else if at >= self.from - NEAR && at <= self.until + NEAR {
            Touch::Perhaps
        } else {
            Touch::None
        }
    }
}

/// One step, what really became of it, and what is told of it.
pub struct Case<'a> {
    run: &'a Run,
    state: &'a State,
    cluster: &'a Cluster,
    step: &'a Step,
    told: &'a StepRun,
    report: Option<Value>,
    application: Option<&'a ApplicationTruth>,
    hits: Vec<Hit<'a>>,
}

impl<'a> Case<'a> {
    /// Reads what is to be compared.
    pub fn new(run: &'a Run, state: &'a State, cluster: &'a Cluster, step: &'a Step, told: &'a StepRun) -> Self {
        let report = told
            .json
            .as_ref()
            .map(|json| serde_json::from_slice(json).expect("a report is JSON"));
        let application = step.application_id.as_ref().and_then(|id| application(cluster, id));
        let window = application.and_then(window);
        let hits = hits::all(state, cluster, application, window);
        Self {
            run,
            state,
            cluster,
            step,
            told,
            report,
            application,
            hits,
        }
    }

    /// Everything that is wrong with what is told of the step.
    pub fn wrongs<F: FnOnce() -> Option<Run>>(&self, calm: &mut Calm<F>) -> Vec<String> {
        let Some(report) = &self.report else {
            return match self.application {
                Some(_) if ReportsDue::of(self.state).is_due(self.cluster, self.step) => {
                    vec![format!("report: step {} has none", self.step.id)]
                }
                _ => Vec::new(),
            };
        };
        let verdict = report["verdict"].as_str().unwrap_or_default();
        let (Some(application), Some(began), Some(ended)) =
            (self.application, self.step.started_at, self.step.ended_at)
        else {
            // A step that ended before its application was there shows nothing.
            let began = self.step.started_at.is_some() && self.step.args.join(" ").contains("spark-submit");
            let wrong = verdict != "inconclusive" || !began;
            return wrong
                .then(|| format!("report: step {} ran no application: {verdict}", self.step.id))
                .into_iter()
                .collect();
        };
        let time = Window {
            from: began,
            until: ended,
        };
        let right = self.right(calm);
        let mut wrongs = Vec::new();
        if !right.contains(verdict) {
            wrongs.push(format!(
                "verdict: {verdict}, and not {right:?}: {}. {}",
                report["sentence"],
                self.truth()
            ));
        }
        wrongs.extend(self.wrong_rows(report, time));
        wrongs.extend(self.wrong_dip(report, time));
        wrongs.extend(self.wrong_telling(report));
        let evidence = Evidence::of(self, application);
        wrongs.extend(crate::spark::wrongs(report, application, &evidence, &self.hits));
        wrongs
    }

    /// Whether the report had to do without something since AWS refused a call, or gave no answer to it.
    fn went_without(&self) -> bool {
        let faults = &self.run.stage.faults;
        let missing = self.report.as_ref().and_then(|report| report["missing"].as_array());
        let mut missing = missing.into_iter().flatten();
        !faults.answers_each_call() && missing.any(|one| one["what"] != "output comparison")
    }

    /// Whether nobody looked at what a pool was asked for while that could be seen, since an invocation died or AWS did not
    /// answer it.
    fn missed_a_target(&self) -> bool {
        let faults = &self.run.stage.faults;
        let rows = self
            .report
            .as_ref()
            .and_then(|report| report["interruptions"].as_array());
        let unasked = |row: &Value| {
            let why = row["why"].as_str().unwrap_or_default();
            row["replacement"] == "unknown" && why.contains("asked for")
        };
        let looked = faults.lets_each_live() && faults.answers_each_call();
        !looked && rows.into_iter().flatten().any(unasked)
    }

    /// Whether managed scaling asked for less than a pool had, of which something went, by the time that somebody could look
    /// after the end: whether it had asked for more before, no look tells.
    fn was_lowered_as_it_ended(&self, window: Window) -> bool {
        let looked_at = window.until + LOOKED_AFTER;
        let mut inside = self.hits.iter().filter(|hit| hit.inside != Touch::None);
        self.cluster.managed_scaling.is_some()
            && inside.any(|hit| {
                let pool = hit.node.pool_id.as_str();
                self.ready(pool, window.until) > self.target(pool, looked_at)
            })
    }

    /// The verdicts that are right.
    fn right<F: FnOnce() -> Option<Run>>(&self, calm: &mut Calm<F>) -> BTreeSet<&'static str> {
        let Some(application) = self.application else {
            return BTreeSet::from(["inconclusive"]);
        };
        let Some(window) = window(application) else {
            return BTreeSet::from(["inconclusive"]);
        };
        let evidence = Evidence::of(self, application);
        let certain: Vec<&Hit> = self.hits.iter().filter(|hit| hit.touch == Touch::Certain).collect();
        let perhaps: Vec<&Hit> = self.hits.iter().filter(|hit| hit.touch == Touch::Perhaps).collect();
        let mut right = BTreeSet::new();
        match application.final_status.as_deref() {
            Some("SUCCEEDED") => right.extend(self.of_success(application, window, &evidence)),
            Some("FAILED") => {
                let lost = !certain.is_empty() || !perhaps.is_empty();
                let by_itself = lost && calm.status(self.number()).as_deref() != Some("SUCCEEDED");
                if lost && !by_itself {
                    right.insert("failed");
                }
                // A driver that went with its node ended the application, whatever would have become of it.
                if lost && application.last_attempt().is_some_and(|attempt| attempt.driver_lost) {
                    right.insert("failed");
                }
                if certain.is_empty() || by_itself || self.ended_by_users(window) {
                    right.insert("inconclusive");
                }
            }
            // Killed, or gone with its cluster: by the loss of the primary node, or by somebody's word.
            _ => {
                right.insert("inconclusive");
                if self.hits.iter().any(|hit| hit.ended_the_cluster) {
                    right.insert("failed");
                }
            }
        }
        if !evidence.reaches_all() || self.missed_a_target() || self.was_lowered_as_it_ended(window) {
            right.insert("inconclusive");
        }
        right
    }

    /// What is right of an application that ended well.
    fn of_success(
        &self,
        application: &ApplicationTruth,
        window: Window,
        evidence: &Evidence,
    ) -> BTreeSet<&'static str> {
        let certain = self.hits.iter().any(|hit| hit.touch == Touch::Certain);
        let perhaps = self.hits.iter().any(|hit| hit.touch == Touch::Perhaps);
        // Without the event log of the attempt that ran then nobody knows whether the lost node had anything of the
        // application.
        let unlogged = |hit: &Hit| {
            let mut attempts = application.attempts.iter().filter(|one| one.event_log.is_none());
            attempts.any(|one| {
                hit.lost_at >= Some(one.started_at) && one.ended_at.is_none_or(|end| hit.lost_at < Some(end))
            })
        };
        let mut inside = self.hits.iter().filter(|hit| hit.inside != Touch::None);
        let unseen = inside.any(|hit| !evidence.log_certain || unlogged(hit));
        let mut right = BTreeSet::new();
        if !certain {
            right.insert("inconclusive");
        }
        if certain || perhaps || unseen {
            match self.price(application, window, evidence) {
                Touch::None => _ = right.insert("survived"),
                Touch::Perhaps => right.extend(["survived", "degraded"]),
                Touch::Certain => _ = right.insert("degraded"),
            }
        }
        // What a log would tell that is there and may not be read is no matter of belief.
        if evidence.log_withheld && right.remove("survived") {
            right.insert("inconclusive");
        }
        right
    }

    /// Whether the application's good end had a price.
    fn price(&self, application: &ApplicationTruth, window: Window, evidence: &Evidence) -> Touch {
        let mut price = self.missing_capacity(window);
        if self.ended_by_users(window) {
            // Whose capacity is missing then is no clear matter.
            price = price.min(Touch::Perhaps);
        }
        if application.attempts.len() > 1 {
            // Whether all attempts are known rests on the event log.
            let by_loss = application.attempts.iter().any(|attempt| {
                let on_it = |hit: &Hit| attempt.driver_instance.as_deref() == Some(&hit.node.ec2_instance_id);
                attempt.driver_lost && self.hits.iter().any(|hit| on_it(hit) && hit.touch == Touch::Certain)
            });
            price = price.max(if by_loss && evidence.log_certain {
                Touch::Certain
            } else {
                Touch::Perhaps
            });
        }
        // It may have failed before anything was lost: then it is no price.
        if let Some(SideJob::Failed(_)) = self.side_job() {
            price = price.max(Touch::Perhaps);
        }
        if let Some(folder) = evidence.named_output.as_deref() {
            let marked_at = self.state.account.s3.get(&format!("{folder}/_SUCCESS"));
            let after = window.until + TimeDelta::seconds(10);
            price = price.max(match marked_at.map(|marker| marker.last_modified) {
                Ok(at) if at >= window.from && at <= after => Touch::None,
                // A later run of the same place wrote it anew.
                Ok(at) if at > after => Touch::Perhaps,
                _ => Touch::Certain,
            });
        }
        price
    }

    /// Whether users terminated instances of the cluster while the application ran.
    fn ended_by_users(&self, window: Window) -> bool {
        let nodes = self
            .cluster
            .instances
            .iter()
            .filter(|node| node.reason.code == "INSTANCE_FAILURE");
        let machines = nodes.filter_map(|node| self.state.account.ec2.instance(&node.ec2_instance_id));
        let mut theirs = machines.filter(|machine| machine.interruption.is_none());
        theirs.any(|machine| machine.shutting_down_at.is_some_and(|at| window.has(at) != Touch::None))
    }

    /// What else the application started, as its script says.
    fn side_job(&self) -> Option<&SideJob> {
        let script = self
            .step
            .args
            .iter()
            .flat_map(|arg| arg.split_whitespace())
            .find(|word| word.ends_with(".py"))?;
        self.state.account.emr.workload(script)?.side_job.as_ref()
    }

    /// The step's number in its cluster.
    fn number(&self) -> usize {
        let position = self.cluster.steps.iter().position(|step| step.id == self.step.id);
        position.expect("the step is of the cluster")
    }

    /// What really happened, in a line.
    fn truth(&self) -> String {
        let Some(application) = self.application else {
            return "no application".into();
        };
        let window = window(application);
        let clock = |at: DateTime<Utc>| at.format("%H:%M:%S").to_string();
        let ran = window.map_or("never".into(), |one| {
            format!("{}–{}", clock(one.from), clock(one.until))
        });
        let hits: Vec<String> = self.hits.iter().map(Hit::line).collect();
        format!(
            "The application ran {ran}, {} attempts, {}; step {} to {}. Hits: [{}]",
            application.attempts.len(),
            application.final_status.as_deref().unwrap_or("no end"),
            self.step.state.as_str(),
            self.step.ended_at.map(clock).unwrap_or_default(),
            hits.join("; ")
        )
    }
}

/// The application's run. `None`: no attempt of it ever began.
fn window(application: &ApplicationTruth) -> Option<Window> {
    let from = application.attempts.first()?.started_at;
    let last = application.attempts.last()?.ended_at;
    Some(Window {
        from,
        until: last.or(application.ended_at)?,
    })
}
