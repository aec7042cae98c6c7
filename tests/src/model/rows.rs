//! The report's rows of interrupted instances: who, by whom, when, and what came in the place.

use std::collections::{BTreeMap, BTreeSet};

use account::ec2::Cause;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::hits::Touch;
use super::{Case, Hit, NEAR, Window, window};
use crate::safety::STEP_TAG;

/// A warning given so long before may still take an instance inside.
const NOTICE: TimeDelta = TimeDelta::seconds(140);
/// A report may name whom it saw go a little later.
const AFTER: TimeDelta = TimeDelta::seconds(330);

impl Case<'_> {
    /// What is wrong with the rows. `time` is the step's.
    pub(super) fn wrong_rows(&self, report: &Value, time: Window) -> Vec<String> {
        let rows: Vec<&Value> = report["interruptions"].as_array().into_iter().flatten().collect();
        let mut wrongs = self.wrongly_named(&rows, time);
        for row in &rows {
            let id = row["instance_id"].as_str().unwrap_or_default();
            let Some(hit) = self.hits.iter().find(|hit| hit.node.ec2_instance_id == id) else {
                continue;
            };
            wrongs.extend(self.wrong_cause(row, hit));
            wrongs.extend(wrong_times(row, hit));
            wrongs.extend(self.wrong_replacement(row, hit, time));
        }
        wrongs.extend(self.too_much_replaced(&rows, time));
        wrongs
    }

    /// Every interrupted instance with its notice or its loss inside the step's time, and nobody who had no notice.
    fn wrongly_named(&self, rows: &[&Value], time: Window) -> Vec<String> {
        let named: BTreeSet<&str> = rows.iter().filter_map(|row| row["instance_id"].as_str()).collect();
        let mut wrongs = Vec::new();
        if named.len() != rows.len() {
            wrongs.push(format!("named: an instance twice, or a row without one: {named:?}"));
        }
        for hit in &self.hits {
            let id = hit.node.ec2_instance_id.as_str();
            let inside = |at: DateTime<Utc>| time.has(at) == Touch::Certain;
            let noticed = inside(hit.noticed_at) && self.warning_is_told(id);
            let is_due = (noticed || hit.lost_at.is_some_and(inside)) && !self.went_without();
            if is_due && !named.contains(id) {
                wrongs.push(format!("named: not {}", hit.line()));
            }
        }
        let until = self
            .application
            .and_then(window)
            .map_or(time.until, |ran| ran.until.max(time.until))
            + AFTER;
        for id in named {
            let hit = self.hits.iter().find(|hit| hit.node.ec2_instance_id == id);
            let near = hit.is_some_and(|hit| {
                let near = |at: DateTime<Utc>| at >= time.from - NOTICE && at <= until;
                near(hit.noticed_at) || hit.lost_at.is_some_and(near)
            });
            if !near {
                wrongs.push(format!("named: {id}, which had no notice near the step"));
            }
        }
        wrongs
    }

    /// Whether EventBridge tells of an instance's notice, and before the report is written.
    fn warning_is_told(&self, id: &str) -> bool {
        let lost = "EC2 Spot Instance Interruption Warning, and it is lost";
        let mut entries = self.state.account.journal.entries().iter();
        let faults = &self.run.stage.faults;
        // What could not be written when it came, comes again after minutes.
        let is_written = faults.lets_each_live() && faults.answers_each_call();
        let in_time = faults.delay_ms_max < 10_000 && faults.hours_late_percent == 0 && is_written;
        in_time && !entries.any(|one| one.subject == id && one.text == lost)
    }

    fn wrong_cause(&self, row: &Value, hit: &Hit) -> Option<String> {
        let cause = row["cause"].as_str().unwrap_or_default();
        let right: &[&str] = match hit.cause {
            Cause::Experiment(id) if self.is_ours(id) => {
                if row["experiment_id"].as_str() == Some(id) {
                    &["experiment"]
                } else {
                    // The experiment's id is part of the answer.
                    &["unknown"]
                }
            }
            // Who of two asked for an instance in the same second, no notice tells.
            Cause::Experiment(_) if self.asked_too(hit) => &["other_experiment", "unknown", "experiment"],
            Cause::Experiment(_) => &["other_experiment", "unknown"],
            Cause::NoCapacity | Cause::User => &["natural", "unknown"],
        };
        let line = || {
            format!(
                "cause: {cause} {}, and not {right:?}: {}",
                row["experiment_id"],
                hit.line()
            )
        };
        (!right.contains(&cause)).then(line)
    }

    /// Whether an experiment is of this step's drill.
    fn is_ours(&self, id: &str) -> bool {
        let mut experiments = self.state.account.fis.experiments();
        experiments.any(|one| one.id == *id && one.tags.get(STEP_TAG) == Some(&self.step.id))
    }

    /// Whether this step's drill asked for the instance in the very second of its notice.
    fn asked_too(&self, hit: &Hit) -> bool {
        let in_time = |at: DateTime<Utc>| (at - hit.noticed_at).abs() <= TimeDelta::seconds(1);
        self.state.account.fis.experiments().any(|one| {
            let began = one.actions.values().filter_map(|action| action.started_at).any(in_time);
            let resolved = one
                .resolved
                .values()
                .flatten()
                .any(|id| *id == hit.node.ec2_instance_id);
            self.is_ours(&one.id) && began && resolved
        })
    }

    fn wrong_replacement(&self, row: &Value, hit: &Hit, time: Window) -> Option<String> {
        let answer = row["replacement"].as_str().unwrap_or_default();
        let ran = self.application.and_then(window)?;
        let until = ran.until.max(time.until);
        let whole = self.whole_again(hit, until);
        let wrong = match answer {
            "not_replaced" if hit.inside == Touch::Certain => whole == Touch::Certain,
            // What went long before the end, was missing until then, and that the target still asked for.
            "not_expected" if hit.inside == Touch::Certain => {
                // Without an event log the run ends with its step, before which the target may have been lowered.
                let missing = self.whole_again(hit, ran.until).max(whole) == Touch::None;
                missing && Self::long_enough(hit, ran.until) == Touch::Certain
            }
            "replaced" if hit.inside == Touch::Certain => return self.wrong_replacements(row, hit, until),
            "replaced" | "not_replaced" | "not_expected" | "unknown" => false,
            _ => true,
        };
        let line = || {
            format!(
                "replacement: {answer} ({}), whole again {whole:?}: {}",
                row["why"],
                hit.line()
            )
        };
        wrong.then(line)
    }

    /// The instances that came in the place: of the same pool, asked for later, there before the end.
    fn wrong_replacements(&self, row: &Value, hit: &Hit, until: DateTime<Utc>) -> Option<String> {
        let noticed_at = hit.noticed_at - TimeDelta::seconds(1);
        for id in row["by"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let node = self.cluster.instances.iter().find(|node| node.ec2_instance_id == id);
            let right = node.is_some_and(|node| {
                let in_time = node.ready_at.is_some_and(|ready| ready <= until + NEAR);
                node.pool_id == hit.node.pool_id && node.created_at >= noticed_at && in_time
            });
            if !right {
                let ready = node.map(|node| (node.created_at, node.ready_at));
                return Some(format!(
                    "replacement: by {id}, {ready:?}, the run ended {until}: {}",
                    hit.line()
                ));
            }
        }
        None
    }

    /// Units said to be replaced against those that came.
    fn too_much_replaced(&self, rows: &[&Value], time: Window) -> Vec<String> {
        let mut taken: BTreeMap<&str, (u32, DateTime<Utc>)> = BTreeMap::new();
        for row in rows.iter().filter(|row| row["replacement"] == "replaced") {
            let hit = self
                .hits
                .iter()
                .find(|hit| Some(hit.node.ec2_instance_id.as_str()) == row["instance_id"].as_str());
            let Some(hit) = hit.filter(|hit| hit.inside == Touch::Certain) else {
                continue;
            };
            let entry = taken.entry(&hit.node.pool_id).or_insert((0, hit.noticed_at));
            *entry = (entry.0 + hit.node.weight, entry.1.min(hit.noticed_at));
        }
        let until = self
            .application
            .and_then(window)
            .map_or(time.until, |ran| ran.until.max(time.until))
            + NEAR;
        let mut wrongs = Vec::new();
        for (pool, (units, noticed_at)) in taken {
            let nodes = self.cluster.instances.iter().filter(|node| node.pool_id == pool);
            let came = nodes.filter(|node| node.created_at >= noticed_at - TimeDelta::seconds(1));
            let given: u32 = came
                .filter(|one| one.ready_at.is_some_and(|at| at <= until))
                .map(|one| one.weight)
                .sum();
            if given < units {
                wrongs.push(format!(
                    "replacement: {units} units of {pool} are said to be replaced, {given} came"
                ));
            }
        }
        wrongs
    }
}

/// Notice and loss, as EC2 gave and began them; EMR sees a loss some seconds later.
fn wrong_times(row: &Value, hit: &Hit) -> Option<String> {
    let at = |name: &str| row[name].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    if let Some(noticed_at) = at("noticed_at")
        && (noticed_at - hit.noticed_at).abs() > TimeDelta::seconds(1)
    {
        return Some(format!("times: noticed {noticed_at}: {}", hit.line()));
    }
    let terminated_at = at("terminated_at")?;
    let late = hit.lost_at.map(|gone| terminated_at - gone);
    let right = late.is_some_and(|late| late >= -NEAR && late <= TimeDelta::seconds(45));
    (!right).then(|| format!("times: terminated {terminated_at}: {}", hit.line()))
}
