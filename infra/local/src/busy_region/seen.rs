//! What became of a busy Region, by the account's own state and journal.

use std::collections::BTreeMap;

use account::api::Time;
use account::emr::StepState;
use account::journal::{Entry, Kind};
use chrono::TimeDelta;

use crate::run::has_report;
use crate::truth::ReportsDue;
use crate::world::State;

/// The functions whose invocations are counted.
const FUNCTIONS: [&str; 2] = ["spot-drill-StartExperiment", "spot-drill-WriteReport"];

/// What is refused to somebody who polls a step as a sensor does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Calls.
    pub polls: usize,
    /// Those that EMR throttled.
    pub throttles: usize,
}

/// What was counted.
#[derive(Debug)]
pub struct Seen {
    /// Hours from the first step to the end.
    pub hours: f64,
    /// Steps of clusters that are opted in.
    pub watched: usize,
    /// Those of them that have no report.
    pub without_report: Vec<String>,
    /// Steps of other clusters.
    pub others: usize,
    /// Those of them that have a report, which nobody asked for.
    pub reported_unasked: Vec<String>,
    /// Steps that did not complete.
    pub not_completed: Vec<String>,
    /// Experiments that FIS was asked for.
    pub experiments: usize,
    /// Somebody else.
    pub neighbour: Neighbour,
    /// The most invocations of each function at one time.
    pub at_once: BTreeMap<String, i64>,
    /// Sweeps that ended.
    pub sweeps: usize,
    /// The longest of them.
    pub longest_sweep: TimeDelta,
    /// EMR's calls by sweeps, by operation.
    pub emr_by_sweeps: BTreeMap<String, usize>,
    /// EMR's calls by all functions, by operation.
    pub emr_calls: BTreeMap<String, usize>,
}

impl Seen {
    pub(super) fn of(state: &State, lasted: TimeDelta, neighbour: Neighbour) -> Self {
        let reports = invocations(state, FUNCTIONS[1]);
        let sweeps: Vec<_> = reports.iter().filter(|one| one.2.text == "ends: swept").collect();
        let spans: Vec<(Time, Time)> = sweeps.iter().map(|(from, until, _)| (*from, *until)).collect();
        let at_once = FUNCTIONS.map(|name| (name.to_owned(), concurrent(&invocations(state, name))));
        let mut seen = Self {
            hours: lasted.num_seconds() as f64 / 3600.0,
            watched: 0,
            without_report: Vec::new(),
            others: 0,
            reported_unasked: Vec::new(),
            not_completed: Vec::new(),
            experiments: state.account.fis.experiments().count(),
            neighbour,
            at_once: BTreeMap::from(at_once),
            sweeps: sweeps.len(),
            longest_sweep: spans
                .iter()
                .map(|(from, until)| *until - *from)
                .max()
                .unwrap_or_default(),
            emr_by_sweeps: BTreeMap::new(),
            emr_calls: BTreeMap::new(),
        };
        seen.count_steps(state);
        seen.count_calls(state, &spans);
        seen
    }

    fn count_steps(&mut self, state: &State) {
        let due = ReportsDue::of(state);
        for cluster in state.account.emr.clusters() {
            for step in &cluster.steps {
                if step.state != StepState::Completed {
                    self.not_completed.push(step.id.clone());
                }
                let has = has_report(state, &cluster.id, &step.id);
                match (due.is_due(cluster, step), has) {
                    (true, true) => self.watched += 1,
                    (true, false) => {
                        self.watched += 1;
                        self.without_report.push(step.id.clone());
                    }
                    (false, true) => {
                        self.others += 1;
                        self.reported_unasked.push(step.id.clone());
                    }
                    (false, false) => self.others += 1,
                }
            }
        }
    }

    fn count_calls(&mut self, state: &State, sweeps: &[(Time, Time)]) {
        let entries = state.account.journal.entries().iter();
        for call in entries.filter(|entry| entry.kind == Kind::Call && entry.source == "elasticmapreduce") {
            let Some(caller) = call.data["caller"].as_str() else {
                continue;
            };
            if !caller.starts_with("spot-drill-") {
                continue;
            }
            *self.emr_calls.entry(call.subject.clone()).or_default() += 1;
            // What write-report calls while a sweep runs is taken for the sweep's.
            let swept = sweeps.partition_point(|(_, until)| *until < call.at);
            if caller == FUNCTIONS[1] && sweeps.get(swept).is_some_and(|(from, _)| *from <= call.at) {
                *self.emr_by_sweeps.entry(call.subject.clone()).or_default() += 1;
            }
        }
    }

    /// Which share of what EMR gives back of an operation's calls the sweeps took, over all the time.
    pub fn share_of_sweeps(&self, operation: &str) -> f64 {
        share(&self.emr_by_sweeps, operation, self.hours)
    }

    /// What is to be said of it, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "{} steps of clusters that are opted in, {} without a report; {} others, {} of them with one; {} steps did \
                 not complete",
                self.watched,
                self.without_report.len(),
                self.others,
                self.reported_unasked.len(),
                self.not_completed.len()
            ),
            format!(
                "{} experiments; a neighbour asked for a step {} times and was throttled {} times",
                self.experiments, self.neighbour.polls, self.neighbour.throttles
            ),
        ];
        for (name, most) in &self.at_once {
            lines.push(format!("{name}: at most {most} at once"));
        }
        lines.push(format!(
            "{} sweeps, the longest of {} s",
            self.sweeps,
            self.longest_sweep.num_seconds()
        ));
        lines.push(format!(
            "{:<24} {:>8} {:>10} {:>10} {:>10}",
            "EMR", "calls", "of quota", "by sweeps", "of quota"
        ));
        for (operation, calls) in &self.emr_calls {
            lines.push(format!(
                "{operation:<24} {calls:>8} {:>9.2}% {:>10} {:>9.2}%",
                share(&self.emr_calls, operation, self.hours) * 100.0,
                self.emr_by_sweeps.get(operation).copied().unwrap_or(0),
                self.share_of_sweeps(operation) * 100.0,
            ));
        }
        lines
    }
}

fn share(calls: &BTreeMap<String, usize>, operation: &str, hours: f64) -> f64 {
    calls.get(operation).copied().unwrap_or(0) as f64 / (hours * 3600.0 * refill(operation))
}

/// Calls to EMR that come back each second, for the whole account.
/// <https://docs.aws.amazon.com/general/latest/gr/emr.html#limits_emr>
fn refill(operation: &str) -> f64 {
    match operation {
        "DescribeCluster" | "ListInstanceGroups" => 1.0,
        _ => 0.5,
    }
}

/// Invocations of a function, each with when it began and ended, by their ends.
pub fn invocations<'a>(state: &'a State, name: &str) -> Vec<(Time, Time, &'a Entry)> {
    let mut began = BTreeMap::new();
    let mut found = Vec::new();
    let entries = state.account.journal.entries().iter();
    for entry in entries.filter(|entry| entry.kind == Kind::Invocation && entry.source == name) {
        if entry.text == "begins" {
            began.insert(entry.subject.as_str(), entry.at);
        } else {
            found.push((began[entry.subject.as_str()], entry.at, entry));
        }
    }
    found
}

/// The most invocations at one time.
pub fn concurrent(invocations: &[(Time, Time, &Entry)]) -> i64 {
    let mut changes: Vec<(Time, i64)> = invocations
        .iter()
        .flat_map(|(from, until, _)| [(*from, 1), (*until, -1)])
        .collect();
    changes.sort();
    let mut running = 0;
    changes
        .into_iter()
        .map(|(_, change)| {
            running += change;
            running
        })
        .max()
        .unwrap_or(0)
}
