//! `index.html` over many drills: a row for each job with its drills in a strip, the worst first, for whoever asks which jobs
//! are risky and whether that gets better; below it all drills, the newest first. Without scripts: filters are the browser's.
//!
//! # Layout
//!
//! * here: which drills there are, and how the page itself keeps them, so that a new one can be added to what lies there;
//! * [`rows`]: what of them is shown; [`week`]: what is new in them.
//!
//! Page and data are one object. Were they two, of two writers the one whose data came last might write its page first.

mod rows;
mod week;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rules::job;
use rules::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::{Report, Text};

pub use week::Week;

/// Drills kept at most, the latest. So many are about 2 MB.
pub const DRILLS_MAX: usize = 10_000;

/// What the page keeps stands between these, in a comment. Nothing else on it can look like this: `<` is escaped there.
const BEGIN: &str = "<!-- spot-drill-index/1 ";
const END: &str = " -->";

/// A drill, as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The job that the step is a run of, by [`rules::job`].
    #[serde(skip)]
    pub job: String,
    /// Where its page lies, seen from the index.
    #[serde(rename = "h")]
    pub href: String,
    /// The cluster's name, or its id.
    #[serde(rename = "c")]
    pub cluster: String,
    /// When the step began.
    #[serde(rename = "t", with = "chrono::serde::ts_seconds_option")]
    pub started_at: Option<DateTime<Utc>>,
    /// What the report says.
    #[serde(rename = "v")]
    pub verdict: Verdict,
    /// How long the step ran.
    #[serde(rename = "s")]
    pub run_seconds: Option<i64>,
    /// How many of the cluster's instances were interrupted around it.
    #[serde(rename = "i")]
    pub interrupted: usize,
    /// What was found to be weak, in words. Of a job's latest drill alone it is kept.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

impl Entry {
    /// The entry of a report whose page lies there.
    pub fn of(report: &Report, href: String) -> Self {
        Self {
            job: job::of(&report.step),
            href,
            cluster: report.cluster.name.clone().unwrap_or_else(|| report.cluster.id.clone()),
            // To the second, as the page keeps it: what is read back is what was added.
            started_at: report.step.started_at.and_then(to_second),
            verdict: report.judgement.verdict,
            run_seconds: report.run_seconds,
            interrupted: report.interruptions.len(),
            findings: report.findings.iter().map(|finding| finding.what.clone()).collect(),
        }
    }

    /// The entries of a report's earlier runs of the same job, each with its page where `href` says for cluster and step.
    /// Of an earlier run's findings nothing is known.
    pub fn of_earlier_runs(report: &Report, href: impl Fn(&str, &str) -> String) -> Vec<Self> {
        let job = job::of(&report.step);
        let runs = report.earlier_runs.iter();
        runs.map(|run| Self {
            job: job.clone(),
            href: href(&run.cluster_id, &run.step_id),
            cluster: run.cluster_id.clone(),
            started_at: run.started_at.and_then(to_second),
            verdict: run.verdict,
            run_seconds: run.run_seconds,
            interrupted: run.interrupted,
            findings: Vec::new(),
        })
        .collect()
    }
}

fn to_second(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.timestamp(), 0)
}

/// The drills of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// The newest first.
    entries: Vec<Entry>,
}

impl Index {
    /// What a page keeps; `None`: it is no index, or one of another version.
    pub fn read(page: &str) -> Option<Self> {
        let begin = page.rfind(BEGIN)? + BEGIN.len();
        let length = page[begin..].find(END)?;
        let jobs: BTreeMap<String, Vec<Entry>> = serde_json::from_str(&page[begin..begin + length]).ok()?;
        let mut entries: Vec<Entry> = Vec::new();
        for (job, of_job) in jobs {
            let named = |entry| Entry {
                job: job.clone(),
                ..entry
            };
            entries.extend(of_job.into_iter().map(named));
        }
        entries.sort_by(|one, other| key(one).cmp(&key(other)));
        Some(Self { entries })
    }

    /// Adds a drill, or what is said of it now. Answers whether that is news.
    pub fn add(&mut self, entry: Entry) -> bool {
        let entry = cleaned(entry);
        if let Some(at) = self.entries.iter().position(|one| one.href == entry.href) {
            if is_known(&self.entries[at], &entry) {
                return false;
            }
            self.entries.remove(at);
        }
        let at = self.entries.partition_point(|one| key(one) < key(&entry));
        // Older than all that is kept: it would go again at once.
        if at >= DRILLS_MAX {
            return false;
        }
        self.entries.insert(at, entry);
        self.entries.truncate(DRILLS_MAX);
        true
    }

    /// Adds a drill of which less is known than its report says, unless it is there.
    pub fn add_missing(&mut self, entry: Entry) -> bool {
        let is_there = self.entries.iter().any(|one| one.href == entry.href);
        !is_there && self.add(entry)
    }

    /// What is new in the seven days before this time.
    pub fn week(&self, until: DateTime<Utc>) -> Week {
        Week::of(&self.entries, until)
    }

    /// The page: the same bytes for the same drills.
    pub fn to_html(&self) -> Result<String, askama::Error> {
        let mut page = rows::render(&self.entries)?;
        let mut jobs: BTreeMap<&str, Vec<Cow<'_, Entry>>> = BTreeMap::new();
        for entry in &self.entries {
            let of_job = jobs.entry(&entry.job).or_default();
            of_job.push(if of_job.is_empty() || entry.findings.is_empty() {
                Cow::Borrowed(entry)
            } else {
                Cow::Owned(Entry {
                    findings: Vec::new(),
                    ..entry.clone()
                })
            });
        }
        let data = serde_json::to_string(&jobs).map_err(|error| askama::Error::Custom(Box::new(error)))?;
        page.push_str(BEGIN);
        page.push_str(&in_a_comment(&data));
        page.push_str(END);
        page.push('\n');
        Ok(page)
    }
}

/// The newest first; of one time by name.
fn key(entry: &Entry) -> (Reverse<Option<DateTime<Utc>>>, &str) {
    (Reverse(entry.started_at), &entry.href)
}

/// Says an entry no more than is known already? The findings of any but the latest drill were let go.
fn is_known(known: &Entry, entry: &Entry) -> bool {
    let findings = &known.findings;
    findings.is_empty()
        && *known
            == Entry {
                findings: Vec::new(),
                ..entry.clone()
            }
        || known == entry
}

/// An entry of which each text may stand on a page.
fn cleaned(entry: Entry) -> Entry {
    let clean = |text: &str| Text::from(text).as_str().to_owned();
    Entry {
        job: clean(&entry.job),
        href: clean(&entry.href),
        cluster: clean(&entry.cluster),
        findings: entry.findings.iter().map(|text| clean(text)).collect(),
        ..entry
    }
}

/// JSON that may stand in a comment of HTML. What is escaped occurs in JSON's strings alone.
/// <https://html.spec.whatwg.org/multipage/syntax.html#comments>
fn in_a_comment(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace("--", "-\\u002d")
}

#[cfg(test)]
pub(super) mod tests;
