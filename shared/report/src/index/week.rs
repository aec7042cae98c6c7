//! What is new in a week: how many drills there were and what they came to, which jobs got worse or better, and which are the
//! riskiest. For whoever does not look at the index by himself.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rules::verdict::Verdict;
use serde::Serialize;

use super::Entry;
use super::rows::{STRIP_MAX, badness, rank};
use crate::words::{list, number, plural};

/// Jobs named of each kind at most.
const JOBS_MAX: usize = 5;
/// Verdicts as they are counted, the worst first.
const VERDICTS: [Verdict; 4] = [
    Verdict::Failed,
    Verdict::Degraded,
    Verdict::Inconclusive,
    Verdict::Survived,
];

/// A week of drills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Week {
    /// All of it, in a few sentences.
    pub sentence: String,
    /// Drills that began in it.
    pub drills: usize,
    /// Verdicts of these, by their words; those that there are.
    pub verdicts: BTreeMap<&'static str, usize>,
    /// Jobs whose latest drill of the week showed something worse than the last one before it.
    pub worse: Vec<String>,
    /// Jobs of which it showed something better.
    pub better: Vec<String>,
    /// The jobs whose latest drill failed or was degraded, whenever it was, the worst first.
    pub riskiest: Vec<String>,
}

impl Week {
    /// The seven days before this time, of drills of which the newest is the first.
    pub(super) fn of(sorted: &[Entry], until: DateTime<Utc>) -> Self {
        let since = until - TimeDelta::days(7);
        let is_new = |entry: &Entry| entry.started_at.is_some_and(|at| at > since && at <= until);
        let drills: Vec<&Entry> = sorted.iter().filter(|entry| is_new(entry)).collect();
        let mut verdicts = BTreeMap::new();
        for entry in &drills {
            *verdicts.entry(entry.verdict.word()).or_default() += 1;
        }
        let mut jobs: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in sorted {
            jobs.entry(&entry.job).or_default().push(entry);
        }
        // Only what was shown tells whether it gets better.
        let changed = |of_job: &[&Entry]| {
            let shown = || of_job.iter().filter(|entry| entry.verdict != Verdict::Inconclusive);
            let now = badness(shown().find(|entry| is_new(entry))?.verdict);
            let before = badness(shown().find(|entry| !is_new(entry))?.verdict);
            Some(now.cmp(&before))
        };
        let that = |how| {
            let of_kind = jobs.iter().filter(|(_, of_job)| changed(of_job) == Some(how));
            of_kind.map(|(job, _)| (*job).to_owned()).collect::<Vec<String>>()
        };
        let mut week = Self {
            sentence: String::new(),
            drills: drills.len(),
            verdicts,
            worse: that(std::cmp::Ordering::Greater),
            better: that(std::cmp::Ordering::Less),
            riskiest: riskiest(&jobs),
        };
        let jobs_drilled = jobs.values().filter(|of_job| of_job.iter().any(|entry| is_new(entry)));
        week.sentence = week.sentence(jobs_drilled.count());
        week
    }

    fn sentence(&self, jobs: usize) -> String {
        let mut sentences = vec![match self.drills {
            0 => "No drill in the last seven days.".to_owned(),
            drills => {
                let counted = VERDICTS.map(Verdict::word).into_iter();
                let counts =
                    counted.filter_map(|word| Some(format!("{} {word}", number(*self.verdicts.get(word)? as u64))));
                format!(
                    "{} of {} in the last seven days: {}.",
                    plural(drills, "drill"),
                    plural(jobs, "job"),
                    counts.collect::<Vec<String>>().join(", ")
                )
            }
        }];
        for (what, jobs) in [
            ("Worse than before", &self.worse),
            ("Better than before", &self.better),
            ("Riskiest", &self.riskiest),
        ] {
            if !jobs.is_empty() {
                sentences.push(format!("{what}: {}.", list(jobs, JOBS_MAX)));
            }
        }
        sentences.join(" ")
    }
}

/// The jobs whose latest drill failed or was degraded, in the order of the index.
fn riskiest(jobs: &BTreeMap<&str, Vec<&Entry>>) -> Vec<String> {
    let is_bad = |entry: &&&Entry| badness(entry.verdict) >= badness(Verdict::Degraded);
    let mut risky: Vec<(&str, &Vec<&Entry>)> = jobs
        .iter()
        .filter(|(_, drills)| is_bad(&&drills[0]))
        .map(|(job, drills)| (*job, drills))
        .collect();
    risky.sort_by_key(|(job, drills)| (Reverse(rank(drills)), *job));
    let said = |(job, drills): (&str, &Vec<&Entry>)| {
        let strip = drills.len().min(STRIP_MAX);
        let bad = drills.iter().take(STRIP_MAX).filter(is_bad).count();
        let latest = drills[0].verdict.word();
        match strip {
            1 => format!("{job} ({latest} in its only drill)"),
            _ => format!("{job} ({latest}; {bad} of its last {strip} drills were not survived)"),
        }
    };
    risky.into_iter().take(JOBS_MAX).map(said).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, index};
    use super::*;

    fn day(day: i64) -> DateTime<Utc> {
        entry("", day, Verdict::Survived).started_at.unwrap()
    }

    #[test]
    fn a_week_is_counted_and_jobs_that_changed_in_it_are_named() {
        let entries = [
            entry("mended", 1, Verdict::Failed),
            entry("mended", 9, Verdict::Survived),
            entry("broken", 2, Verdict::Survived),
            entry("broken", 8, Verdict::Degraded),
            // Nothing was shown: it is neither better nor worse for that.
            entry("blind", 1, Verdict::Failed),
            entry("blind", 9, Verdict::Inconclusive),
            entry("new", 9, Verdict::Failed),
            entry("old", 1, Verdict::Failed),
        ];
        let week = index(&entries).week(day(10));
        assert_eq!(
            week.sentence,
            "4 drills of 4 jobs in the last seven days: 1 failed, 1 degraded, 1 inconclusive, 1 survived. \
             Worse than before: broken. Better than before: mended. \
             Riskiest: new (failed in its only drill), old (failed in its only drill) and broken (degraded; 1 of its last 2 \
             drills were not survived)."
        );
        assert_eq!(
            (week.drills, week.worse, week.better),
            (4, vec!["broken".into()], vec!["mended".into()])
        );
        assert_eq!(week.verdicts.get("failed"), Some(&1));
    }

    #[test]
    fn a_week_without_a_drill_says_so_and_a_drill_counts_in_one_week_only() {
        let kept = index(&[entry("a", 1, Verdict::Failed), entry("b", 1, Verdict::Survived)]);
        let weeks = [day(1), day(8), day(15)].map(|until| kept.week(until).drills);
        assert_eq!(weeks, [2, 0, 0]);
        let quiet = kept.week(day(8)).sentence;
        assert_eq!(
            quiet,
            "No drill in the last seven days. Riskiest: a (failed in its only drill)."
        );
        assert_eq!(index(&[]).week(day(8)).sentence, "No drill in the last seven days.");
    }

    #[test]
    fn of_very_many_jobs_few_are_named_and_all_are_counted() {
        let many: Vec<Entry> = (0..40)
            .flat_map(|number| {
                let job = format!("job-{number:02}");
                [entry(&job, 1, Verdict::Survived), entry(&job, 9, Verdict::Failed)]
            })
            .collect();
        let week = index(&many).week(day(10));
        assert!(week.sentence.contains("job-04 and 35 more."), "{}", week.sentence);
        assert_eq!((week.worse.len(), week.riskiest.len()), (40, 5));
        assert!(week.sentence.len() < 1_000);
    }
}
