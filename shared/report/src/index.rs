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
pub(super) mod tests {
    use chrono::TimeDelta;

    use super::*;

    pub(super) fn index(entries: &[Entry]) -> Index {
        let mut index = Index::default();
        for entry in entries {
            assert!(index.add(entry.clone()));
        }
        index
    }

    fn render(entries: &[Entry]) -> String {
        index(entries).to_html().unwrap()
    }

    pub(super) fn entry(job: &str, day: i64, verdict: Verdict) -> Entry {
        Entry {
            job: job.into(),
            cluster: "nightly".into(),
            started_at: DateTime::from_timestamp(1_795_000_000, 0).map(|at| at + TimeDelta::days(day)),
            verdict,
            run_seconds: Some(500),
            interrupted: 3,
            findings: vec!["Shuffle files went with their nodes.".into()],
            href: format!("{job}/{day}/report.html"),
        }
    }

    #[test]
    fn the_worst_job_is_first_by_its_latest_drill() {
        let entries = [
            entry("mended", 1, Verdict::Failed),
            entry("mended", 2, Verdict::Survived),
            entry("broken", 1, Verdict::Survived),
            entry("broken", 2, Verdict::Failed),
            entry("unknown", 2, Verdict::Inconclusive),
        ];
        let html = render(&entries);
        let at = |words: &str| html.find(words).unwrap_or_else(|| panic!("{words} is missing"));
        assert!(at("<h2>broken") < at("<h2>unknown") && at("<h2>unknown") < at("<h2>mended"));
        assert!(html.contains("worse than before") && html.contains("better than before"));
        let shown_nothing = [
            entry("a", 1, Verdict::Failed),
            entry("a", 2, Verdict::Survived),
            entry("a", 3, Verdict::Inconclusive),
        ];
        assert!(!render(&shown_nothing).contains("than before"));
        assert!(html.contains("2 drills: 1 survived, 1 failed"));
        assert!(html.contains("5 drills of 3 jobs"));
    }

    #[test]
    fn an_index_of_many_says_what_it_said() {
        use Verdict::{Degraded, Failed, Inconclusive, Survived};

        let verdicts = [Survived, Survived, Degraded, Survived, Failed, Inconclusive, Survived];
        let mut entries = Vec::new();
        for number in 0..90_usize {
            let mut one = entry(
                &format!("job-{}", number % 11),
                (number / 4) as i64,
                verdicts[number * number % 7],
            );
            one.started_at = one.started_at.map(|at| at + TimeDelta::minutes(7 * number as i64));
            one.run_seconds = (number % 13 > 0).then_some(300 + number as i64);
            one.interrupted = number % 5;
            one.findings = vec!["Shuffle files went with their nodes.".into(); number % 3];
            entries.push(one);
        }
        let html = render(&entries);
        let body = html.split_once("<body").map_or("", |(_, body)| body);
        sample::assert_kept(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/index.body.html"), body);
    }

    #[test]
    fn the_same_drills_in_another_order_are_the_same_bytes() {
        let entries = [
            entry("a", 1, Verdict::Failed),
            entry("a", 2, Verdict::Survived),
            entry("b", 2, Verdict::Degraded),
        ];
        let mut turned = entries.to_vec();
        turned.reverse();
        assert_eq!(render(&entries), render(&turned));
    }

    #[test]
    fn ten_thousand_drills_are_a_page_that_can_be_used_and_the_oldest_go_first() {
        let many = (0..10_000).rev().map(|number| {
            let job = format!("s3://jobs/job-{}.py", number % 200);
            entry(&job, 1 + number / 200, Verdict::Survived)
        });
        let mut index = Index {
            entries: many.collect(),
        };
        index.entries.sort_by(|one, other| key(one).cmp(&key(other)));
        let oldest = index.entries.last().unwrap().clone();
        assert!(index.add(entry("new", 99, Verdict::Failed)));
        assert!(!index.add(oldest), "it is too old to be kept");
        let html = index.to_html().unwrap();
        assert!(html.len() < 3_000_000, "{} bytes", html.len());
        assert!(html.contains("10,000 drills of 201 jobs") && html.contains("9,500 older drills"));
        assert_eq!(Index::read(&html).unwrap().to_html().unwrap(), html);
    }

    #[test]
    fn of_very_many_jobs_the_worst_are_shown() {
        let mut many: Vec<Entry> = (0..600)
            .map(|number| entry(&format!("job-{number:03}"), 1, Verdict::Survived))
            .collect();
        many.push(entry("the-worst", 1, Verdict::Failed));
        let html = render(&many);
        assert!(html.contains("<h2>the-worst</h2>") && !html.contains("<h2>job-599</h2>"));
        assert!(html.contains("101 more jobs are not shown, none of them worse than these."));
        assert!(html.contains("601 drills of 601 jobs"));
    }

    #[test]
    fn five_hundred_jobs_and_drills_are_shown_and_one_more_is_counted() {
        let mut many: Vec<Entry> = (0..500)
            .map(|number| entry(&format!("job-{number:03}"), 1, Verdict::Survived))
            .collect();
        let html = render(&many);
        assert!(html.contains("<h2>job-499</h2>") && !html.contains("not shown") && !html.contains("not listed"));
        many.push(entry("job-500", 1, Verdict::Survived));
        let html = render(&many);
        assert!(html.contains("1 more job is not shown, which is no worse than these."));
        assert!(html.contains("1 older drill is not listed; its report stays where it is."));
    }

    #[test]
    fn a_page_keeps_what_was_added_to_it() {
        let mut kept = index(&[
            entry("a", 1, Verdict::Failed),
            entry("b -- <b>-->", 2, Verdict::Survived),
        ]);
        let mut read = Index::read(&kept.to_html().unwrap()).unwrap();
        assert_eq!(read, kept);
        for index in [&mut read, &mut kept] {
            assert!(index.add(entry("a", 3, Verdict::Survived)));
        }
        let html = read.to_html().unwrap();
        assert_eq!(html, kept.to_html().unwrap());
        // What is said of an older drill than the latest no longer has its findings, and is no news for that.
        let mut again = Index::read(&html).unwrap();
        assert!(!again.add(entry("a", 1, Verdict::Failed)));
        assert!(!again.add(entry("a", 3, Verdict::Survived)));
        assert_eq!(Index::read("<!doctype html><p>Somebody else's page.</p>"), None);
    }

    #[test]
    fn what_is_said_of_a_drill_now_takes_the_place_of_what_was_said() {
        let mut index = index(&[entry("a", 1, Verdict::Inconclusive)]);
        assert!(index.add(entry("a", 1, Verdict::Failed)));
        let html = index.to_html().unwrap();
        assert!(html.contains("1 drill of 1 job") && html.contains("1 drill: 1 failed"));
        let less = Entry {
            cluster: "j-A".into(),
            ..entry("a", 1, Verdict::Survived)
        };
        assert!(!index.add_missing(less.clone()), "a report's own entry knows more");
        assert!(index.add_missing(Entry {
            href: "j-A/s-A/report.html".into(),
            ..less
        }));
    }

    #[test]
    fn a_reports_earlier_runs_are_drills_of_its_job() {
        let mut report = crate::sample::workshop();
        report.earlier_runs.push(crate::EarlierRun {
            cluster_id: "j-A".into(),
            step_id: "s-B".into(),
            started_at: report.step.started_at,
            verdict: Verdict::Degraded,
            run_seconds: Some(600),
            interrupted: 2,
        });
        let entries = Entry::of_earlier_runs(&report, |cluster, step| format!("{cluster}/{step}/report.html"));
        let [earlier] = entries.as_slice() else {
            panic!("{entries:?}")
        };
        assert_eq!(
            (earlier.href.as_str(), earlier.verdict),
            ("j-A/s-B/report.html", Verdict::Degraded)
        );
        assert_eq!(earlier.job, job::of(&report.step));
    }

    #[test]
    fn a_jobs_name_stays_text_and_a_link_stays_below() {
        let mut hostile = entry("<script>alert(1)</script>\u{202e}", 1, Verdict::Failed);
        hostile.href = "javascript:alert(1)".into();
        let html = render(&[hostile]);
        assert!(!html.contains("<script") && !html.contains('\u{202e}') && !html.contains("href=\"javascript:"));
    }

    #[test]
    fn findings_stand_on_the_page_without_what_turns_the_text_around() {
        let mut hostile = entry("job", 1, Verdict::Degraded);
        hostile.findings = vec!["Shuffle \u{202e}files went.".into()];
        let page = render(&[hostile]);
        assert!(page.contains("files went.") && !page.contains('\u{202e}'));
    }

    #[test]
    fn a_reports_entry_has_its_job_and_its_verdict() {
        let report = crate::sample::workshop();
        let entry = Entry::of(&report, "workshop/report.html".into());
        assert_eq!(
            (entry.verdict, entry.interrupted, entry.run_seconds),
            (Verdict::Survived, 3, Some(541))
        );
        assert_eq!(entry.job, job::of(&report.step));
    }
}
