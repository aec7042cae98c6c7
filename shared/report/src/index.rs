//! `index.html` over many drills: a row for each job with its drills in a strip, the worst first, for whoever asks which jobs
//! are risky and whether that gets better; below it all drills, the newest first. Without scripts: filters are the browser's.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use askama::Template;
use chrono::{DateTime, Utc};
use rules::job;
use rules::verdict::Verdict;

use crate::words::{number, plural, span};
use crate::{Report, Text, page};

/// Drills in a job's strip at most, the latest.
const STRIP_MAX: usize = 30;
/// Drills in the list at most, the latest.
const LIST_MAX: usize = 500;

/// A drill, as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The job that the step is a run of, by [`rules::job`].
    pub job: String,
    /// The cluster's name, or its id.
    pub cluster: String,
    /// When the step began.
    pub started_at: Option<DateTime<Utc>>,
    /// What the report says.
    pub verdict: Verdict,
    /// How long the step ran.
    pub run_seconds: Option<i64>,
    /// How many of the cluster's instances were interrupted around it.
    pub interrupted: usize,
    /// What was found to be weak, in words.
    pub findings: Vec<String>,
    /// Where its page lies, seen from the index.
    pub href: String,
}

impl Entry {
    /// The entry of a report whose page lies there.
    pub fn of(report: &Report, href: String) -> Self {
        Self {
            job: job::of(&report.step),
            cluster: report.cluster.name.clone().unwrap_or_else(|| report.cluster.id.clone()),
            started_at: report.step.started_at,
            verdict: report.judgement.verdict,
            run_seconds: report.run_seconds,
            interrupted: report.interruptions.len(),
            findings: report.findings.iter().map(|finding| finding.what.clone()).collect(),
            href,
        }
    }
}

#[derive(Template)]
#[template(path = "index.html")]
struct Index {
    summary: Text,
    /// Verdicts by which jobs can be filtered, with how many have it.
    filters: Vec<Filter>,
    jobs: Vec<Row>,
    drills: Vec<Mark>,
    more: Option<String>,
}

struct Filter {
    class: &'static str,
    word: &'static str,
    count: usize,
}

/// A job.
struct Row {
    job: Text,
    class: &'static str,
    glyph: &'static str,
    word: &'static str,
    counts: Text,
    trend: &'static str,
    strip: Vec<Mark>,
    findings: Vec<Text>,
}

/// A drill, in a strip or in the list.
struct Mark {
    href: Text,
    class: &'static str,
    glyph: &'static str,
    word: &'static str,
    when: Text,
    job: Text,
    cluster: Text,
    took: String,
    lost: String,
}

/// How bad a verdict is: the greater the worse. What is not known is worse than what was survived.
fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Failed => 3,
        Verdict::Degraded => 2,
        Verdict::Inconclusive => 1,
        Verdict::Survived => 0,
    }
}

/// Renders the index of these drills, in whatever order they come.
pub fn render(entries: &[Entry]) -> Result<String, askama::Error> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by_key(|entry| (Reverse(entry.started_at), &entry.href));
    let mut jobs: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &sorted {
        jobs.entry(&entry.job).or_default().push(entry);
    }
    let mut ranked: Vec<(&str, Vec<&Entry>)> = jobs.into_iter().collect();
    ranked.sort_by_cached_key(|(job, drills)| (Reverse(rank(drills)), (*job).to_owned()));
    let latest = |wanted: Verdict| ranked.iter().filter(|(_, drills)| drills[0].verdict == wanted).count();
    let filters = [
        Verdict::Failed,
        Verdict::Degraded,
        Verdict::Inconclusive,
        Verdict::Survived,
    ]
    .map(|verdict| {
        let (class, _, word) = page::sign(verdict);
        Filter {
            class,
            word,
            count: latest(verdict),
        }
    });
    let hidden = sorted.len().saturating_sub(LIST_MAX);
    Index {
        summary: format!("{} of {}", plural(sorted.len(), "drill"), plural(ranked.len(), "job")).into(),
        filters: filters.into(),
        jobs: ranked.iter().map(|(job, drills)| row(job, drills)).collect(),
        drills: sorted.iter().take(LIST_MAX).map(|entry| mark(entry)).collect(),
        more: (hidden > 0).then(|| {
            format!(
                "{} older drills are not listed; their reports stay where they are.",
                number(hidden as u64)
            )
        }),
    }
    .render()
}

/// By the latest verdict, then by how many of the strip were as bad.
fn rank(drills: &[&Entry]) -> (u8, usize) {
    let strip = drills.iter().take(STRIP_MAX);
    let bad = strip.filter(|entry| badness(entry.verdict) >= 2).count();
    (badness(drills[0].verdict), bad)
}

fn row(job: &str, drills: &[&Entry]) -> Row {
    let (class, glyph, word) = page::sign(drills[0].verdict);
    let count = |verdict: Verdict| drills.iter().filter(|entry| entry.verdict == verdict).count();
    let counts: Vec<String> = [
        Verdict::Survived,
        Verdict::Degraded,
        Verdict::Failed,
        Verdict::Inconclusive,
    ]
    .into_iter()
    .map(|verdict| (count(verdict), verdict.word()))
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{} {word}", number(count as u64)))
    .collect();
    // Only what was shown tells whether it gets better.
    let shown: Vec<u8> = drills
        .iter()
        .filter(|entry| entry.verdict != Verdict::Inconclusive)
        .map(|entry| badness(entry.verdict))
        .take(2)
        .collect();
    let trend = match shown.as_slice() {
        [now, before] if now < before => "better than before",
        [now, before] if now > before => "worse than before",
        [_, _] => "as before",
        _ => "",
    };
    let mut strip: Vec<Mark> = drills.iter().take(STRIP_MAX).map(|entry| mark(entry)).collect();
    strip.reverse();
    Row {
        job: job.into(),
        class,
        glyph,
        word,
        counts: format!("{}: {}", plural(drills.len(), "drill"), counts.join(", ")).into(),
        trend,
        strip,
        findings: drills[0]
            .findings
            .iter()
            .map(|finding| finding.trim_end_matches('.').into())
            .collect(),
    }
}

fn mark(entry: &Entry) -> Mark {
    let (class, glyph, word) = page::sign(entry.verdict);
    let when = entry.started_at.map_or_else(
        || "unknown time".to_owned(),
        |at| at.format("%-d %b %Y, %H:%M").to_string(),
    );
    Mark {
        // Seen from the index, so that it leads nowhere else.
        href: format!("./{}", entry.href).into(),
        class,
        glyph,
        word,
        when: when.into(),
        job: entry.job.as_str().into(),
        cluster: entry.cluster.as_str().into(),
        took: entry.run_seconds.map_or_else(|| "–".to_owned(), span),
        lost: if entry.interrupted == 0 {
            "none".into()
        } else {
            number(entry.interrupted as u64)
        },
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn entry(job: &str, day: i64, verdict: Verdict) -> Entry {
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
        let html = render(&entries).unwrap();
        let at = |words: &str| html.find(words).unwrap_or_else(|| panic!("{words} is missing"));
        assert!(at("<h2>broken") < at("<h2>unknown") && at("<h2>unknown") < at("<h2>mended"));
        assert!(html.contains("worse than before") && html.contains("better than before"));
        assert!(html.contains("2 drills: 1 survived, 1 failed"));
        assert!(html.contains("5 drills of 3 jobs"));
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
        assert_eq!(render(&entries).unwrap(), render(&turned).unwrap());
    }

    #[test]
    fn ten_thousand_drills_are_a_page_that_can_be_used() {
        let entries: Vec<Entry> = (0..10_000)
            .map(|number| {
                entry(
                    &format!("s3://jobs/job-{}.py", number % 200),
                    number / 200,
                    Verdict::Survived,
                )
            })
            .collect();
        let html = render(&entries).unwrap();
        assert!(html.len() < 2_000_000, "{} bytes", html.len());
        assert!(html.contains("10,000 drills of 200 jobs") && html.contains("9,500 older drills"));
    }

    #[test]
    fn a_jobs_name_stays_text_and_a_link_stays_below() {
        let mut hostile = entry("<script>alert(1)</script>\u{202e}", 1, Verdict::Failed);
        hostile.href = "javascript:alert(1)".into();
        let html = render(&[hostile]).unwrap();
        assert!(!html.contains("<script") && !html.contains('\u{202e}') && !html.contains("\"javascript:"));
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
