//! The index as a page: what of its drills is shown, and in which order.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use askama::Template;
use rules::verdict::Verdict;

use super::Entry;
use crate::words::{number, plural, span};
use crate::{Text, page};

/// Drills in a job's strip at most, the latest.
pub(super) const STRIP_MAX: usize = 30;
/// Jobs shown at most, the worst.
const JOBS_MAX: usize = 500;
/// Drills in the list at most, the latest.
const LIST_MAX: usize = 500;

#[derive(Template)]
#[template(path = "index.html")]
struct Page {
    summary: Text,
    /// Verdicts by which jobs can be filtered, with how many have it.
    filters: Vec<Filter>,
    jobs: Vec<Row>,
    more_jobs: Option<String>,
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
pub(super) fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Failed => 3,
        Verdict::Degraded => 2,
        Verdict::Inconclusive => 1,
        Verdict::Survived => 0,
    }
}

/// The page of these drills, the newest first.
pub(super) fn render(sorted: &[Entry]) -> Result<String, askama::Error> {
    let mut jobs: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in sorted {
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
    let all_jobs = ranked.len();
    ranked.truncate(JOBS_MAX);
    Page {
        summary: format!("{} of {}", plural(sorted.len(), "drill"), plural(all_jobs, "job")).into(),
        filters: filters.into(),
        more_jobs: match all_jobs.saturating_sub(JOBS_MAX) {
            0 => None,
            1 => Some("1 more job is not shown, which is no worse than these.".to_owned()),
            more => Some(format!(
                "{} more jobs are not shown, none of them worse than these.",
                number(more as u64)
            )),
        },
        jobs: ranked.iter().map(|(job, drills)| row(job, drills)).collect(),
        drills: sorted.iter().take(LIST_MAX).map(mark).collect(),
        more: match sorted.len().saturating_sub(LIST_MAX) {
            0 => None,
            1 => Some("1 older drill is not listed; its report stays where it is.".to_owned()),
            hidden => Some(format!(
                "{} older drills are not listed; their reports stay where they are.",
                number(hidden as u64)
            )),
        },
    }
    .render()
}

/// By the latest verdict, then by how many of the strip were bad.
pub(super) fn rank(drills: &[&Entry]) -> (u8, usize) {
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
        // A drill that showed nothing is no step in either direction.
        _ if drills[0].verdict == Verdict::Inconclusive => "",
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
    use super::super::tests::entry;
    use super::*;

    /// The rank of a job with these verdicts, the latest first.
    fn ranked(verdicts: &[Verdict]) -> (u8, usize) {
        let drills: Vec<Entry> = verdicts.iter().map(|verdict| entry("job", 1, *verdict)).collect();
        rank(&drills.iter().collect::<Vec<&Entry>>())
    }

    #[test]
    fn of_jobs_with_the_same_latest_verdict_that_one_is_worse_whose_strip_has_more_that_was_not_survived() {
        use Verdict::{Degraded, Failed, Inconclusive, Survived};

        let mended = [Survived, Failed, Degraded];
        let calm = [Survived, Survived, Inconclusive];
        assert!(ranked(&mended) > ranked(&calm));
        assert_eq!(ranked(&calm), ranked(&[Survived]), "what showed nothing is not bad");
        assert!(ranked(&[Degraded]) > ranked(&mended), "the latest comes first");
        let mut long = vec![Survived; STRIP_MAX];
        long.push(Failed);
        assert_eq!(ranked(&long), ranked(&calm), "what the strip does not show");
        long[STRIP_MAX - 1] = Failed;
        assert!(ranked(&long) > ranked(&calm));
    }
}
