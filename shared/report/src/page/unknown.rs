//! What a drill does not show, and what would show it.

use rules::replacement::Replacement;

use super::digest::{Digest, at_once};
use crate::words::{capital, in_words, plural};
use crate::{Output, Text};

/// A question that is open, and what is known or to be done.
pub(super) struct Open {
    /// The question.
    pub question: Text,
    /// What to know.
    pub answer: Text,
}

fn open(question: &str, answer: impl Into<String>) -> Open {
    Open {
        question: question.into(),
        answer: Text::from(answer.into()),
    }
}

/// The questions that this report leaves open.
pub(super) fn questions(digest: &Digest<'_>) -> Vec<Open> {
    let report = digest.report;
    let mut questions = Vec::new();
    questions.push(output(report.output.as_ref()));
    if report.cost.median_undisturbed_seconds.is_none() {
        questions.push(open(
            "How much slower than usual?",
            "No undisturbed run is on record. Run the job once with Mode=preview.",
        ));
    }
    if let Some(spark) = &report.spark {
        if spark.driver_was_interrupted != Some(true) && spark.attempts == 1 {
            let answer = match spark.driver_host {
                Some(_) => "The driver sat on no instance that was interrupted.",
                None => "The driver’s host is not known.",
            };
            questions.push(open("Would it survive losing its driver?", answer));
        }
        if spark.attempts_without_log > 0 {
            let left = plural(spark.attempts_without_log, "attempt");
            questions.push(open(
                "What did earlier attempts lose?",
                format!("{} left no event log.", capital(&left)),
            ));
        }
    }
    if !digest.counted.is_empty() && !took_all(digest) {
        let count = digest.counted.len();
        let were = if count == 1 { "was" } else { "were" };
        let waves = if at_once(&digest.counted) {
            ""
        } else {
            ", not all at once"
        };
        let taken = format!("{} {were} taken{waves}", capital(&in_words(count)));
        questions.push(open("More at once?", format!("{taken}. Raise InstancesToInterrupt.")));
    }
    for one in &report.interruptions {
        if let Replacement::Unknown { why } = &one.replacement {
            let id = &one.interrupted.instance_id;
            questions.push(open(
                &format!("Was {id} replaced?"),
                format!("{}.", capital(why.trim_end_matches('.'))),
            ));
        }
    }
    for missing in &report.missing {
        // Said above.
        if matches!(
            missing.what.as_str(),
            "output comparison" | "event log of earlier attempts"
        ) {
            continue;
        }
        if missing.what == "event log" && digest.finding("event-log-missing").is_some() {
            questions.push(open(
                "What did Spark lose?",
                "No event log was read; “What to fix” says why.",
            ));
            continue;
        }
        let why = capital(missing.why.trim_end_matches('.'));
        questions.push(open(&format!("Without the {}", missing.what), format!("{why}.")));
    }
    questions
}

/// Was there no more capacity to take at once?
fn took_all(digest: &Digest<'_>) -> bool {
    let dip = digest
        .report
        .capacity
        .as_ref()
        .and_then(|capacity| capacity.dip.as_ref());
    dip.is_some_and(|dip| dip.units_lowest == 0)
}

/// Is the output right? What is looked at does not tell all of it.
fn output(output: Option<&Output>) -> Open {
    let Some(output) = output else {
        let answer = "Where it lies is not known. Name it by spark.spotDrill.output.";
        return open("Is the output right?", answer);
    };
    let there = output
        .baseline
        .as_ref()
        .map(|baseline| baseline.rows)
        .or(output.rows_undisturbed.map(Some));
    let answer = match (output.rows, there, &output.rows_unknown) {
        (_, _, Some(why)) => format!("Its rows were not counted: {}.", why.trim_end_matches('.')),
        (Some(_), Some(Some(_)), _) => "Its rows were counted, and not read.".to_owned(),
        (_, None, _) => "There is nothing to compare it with. Set BaselinePrefix.".to_owned(),
        _ => "Only its size was compared, not its rows. Set CountRows.".to_owned(),
    };
    open("Is the output right?", answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::workshop;
    use crate::{Baseline, Missing, Report};

    fn asked(report: &Report) -> Vec<String> {
        let questions = questions(&Digest::new(report));
        questions
            .iter()
            .map(|one| format!("{} {}", one.question, one.answer))
            .collect()
    }

    fn is_asked(report: &Report, begin: &str) -> bool {
        asked(report).iter().any(|one| one.starts_with(begin))
    }

    #[test]
    fn whether_it_survives_without_its_driver_is_open_until_the_driver_went_or_began_again() {
        let mut report = workshop();
        let mut open = |hit, attempts| {
            let spark = report.spark.as_mut().unwrap();
            (spark.driver_was_interrupted, spark.attempts) = (hit, attempts);
            is_asked(&report, "Would it survive losing its driver?")
        };
        assert!(open(Some(false), 1) && open(None, 1));
        assert!(!open(Some(true), 1) && !open(Some(false), 2));
    }

    #[test]
    fn attempts_without_a_log_are_counted_where_there_are_any() {
        let mut report = workshop();
        assert!(!is_asked(&report, "What did earlier attempts lose?"));
        report.spark.as_mut().unwrap().attempts_without_log = 1;
        assert!(is_asked(
            &report,
            "What did earlier attempts lose? 1 attempt left no event log."
        ));
    }

    #[test]
    fn more_at_once_is_open_where_some_were_taken_and_some_were_left() {
        let mut report = workshop();
        assert!(is_asked(&report, "More at once? Three were taken."));
        let gone = &mut report.interruptions[2].interrupted.terminated_at;
        *gone = gone.map(|at| at + chrono::TimeDelta::minutes(3));
        assert!(is_asked(&report, "More at once? Three were taken, not all at once."));
        report.interruptions.truncate(1);
        assert!(is_asked(&report, "More at once? One was taken."));
        report
            .capacity
            .as_mut()
            .and_then(|capacity| capacity.dip.as_mut())
            .unwrap()
            .units_lowest = 0;
        assert!(!is_asked(&report, "More at once?"), "there were no more");
        report.capacity = None;
        assert!(is_asked(&report, "More at once?"));
        report.interruptions.clear();
        assert!(!is_asked(&report, "More at once?"), "none was taken");
    }

    #[test]
    fn a_piece_that_is_missing_is_named_once() {
        let mut report = workshop();
        let missing = |what: &str| Missing {
            what: what.into(),
            why: "it was not there.".into(),
        };
        report.missing = [
            "output comparison",
            "event log of earlier attempts",
            "event log",
            "targets",
        ]
        .map(missing)
        .into();
        let told = |report: &Report| -> Vec<String> {
            let said = asked(report).into_iter();
            said.filter(|one| one.starts_with("Without the") || one.starts_with("What did Spark"))
                .collect()
        };
        let targets = "Without the targets It was not there.";
        assert_eq!(told(&report), ["Without the event log It was not there.", targets]);
        report.findings[0].id = "event-log-missing".into();
        let spark = "What did Spark lose? No event log was read; “What to fix” says why.";
        assert_eq!(told(&report), [spark, targets]);
    }

    #[test]
    fn what_is_known_of_the_output_is_what_was_compared() {
        let mut written = workshop().output.unwrap();
        let answer = |written: &Output| output(Some(written)).answer.as_str().to_owned();
        assert_eq!(
            answer(&written),
            "There is nothing to compare it with. Set BaselinePrefix."
        );
        written.baseline = Some(Baseline {
            location: "s3://b/".into(),
            objects: 1,
            bytes: 7,
            rows: None,
        });
        assert_eq!(
            answer(&written),
            "Only its size was compared, not its rows. Set CountRows."
        );
        written.baseline.as_mut().unwrap().rows = Some(5);
        assert_eq!(
            answer(&written),
            "Only its size was compared, not its rows. Set CountRows."
        );
        written.rows = Some(5);
        assert_eq!(answer(&written), "Its rows were counted, and not read.");
        written.rows_unknown = Some("a file is damaged.".into());
        assert_eq!(answer(&written), "Its rows were not counted: a file is damaged.");
        (written.baseline, written.rows_unknown, written.rows_undisturbed) = (None, None, Some(4));
        assert_eq!(answer(&written), "Its rows were counted, and not read.");
    }
}
