//! Every run of this job that is on record: a strip each, against the usual time.

use rules::verdict::Verdict;

use super::digest::Digest;
use super::headline::sign;
use crate::Text;
use crate::words::{clock, number, span};

/// Runs shown at most, this one among them.
const RUNS_MAX: usize = 20;

/// The strips.
pub(super) struct History {
    /// Length of the axis in seconds.
    pub end: i64,
    /// The middle of the undisturbed runs, in seconds.
    pub usual: Option<(i64, String)>,
    /// The runs, this one first and then the latest.
    pub runs: Vec<Strip>,
    /// How the numbers are to be read.
    pub note: Text,
}

/// A run.
pub(super) struct Strip {
    /// CSS class of the verdict.
    pub class: &'static str,
    /// The verdict's shape.
    pub glyph: &'static str,
    /// The verdict.
    pub word: &'static str,
    /// When it began.
    pub when: Text,
    /// Is it this report's?
    pub is_this: bool,
    /// How long it ran, in seconds.
    pub seconds: i64,
    /// The same in words.
    pub took: String,
    /// Against the usual time.
    pub against: String,
    /// What was interrupted.
    pub lost: Text,
}

/// The history; `None` where no earlier run is on record.
pub(super) fn of(digest: &Digest<'_>) -> Option<History> {
    let report = digest.report;
    (!report.earlier_runs.is_empty()).then_some(())?;
    let usual = report.cost.median_undisturbed_seconds.filter(|usual| *usual > 0);
    let this = strip(
        report.judgement.verdict,
        report.step.started_at,
        report.run_seconds,
        report.interruptions.len(),
        usual,
        true,
    );
    let earlier = report.earlier_runs.iter().map(|run| {
        strip(
            run.verdict,
            run.started_at,
            run.run_seconds,
            run.interrupted,
            usual,
            false,
        )
    });
    let runs: Vec<Strip> = std::iter::once(this).chain(earlier).take(RUNS_MAX).collect();
    let longest = runs.iter().map(|run| run.seconds).chain(usual).max().unwrap_or(1);
    let all = report.earlier_runs.len() + 1;
    let cost = &report.cost;
    let disturbed = match (cost.median_disturbed_seconds, cost.disturbed_runs) {
        (Some(median), 1) => format!(" The one disturbed run before this took {}.", span(median)),
        (Some(median), some) => format!(
            " The {some} disturbed runs before this took {} in the middle.",
            span(median)
        ),
        (None, _) => String::new(),
    };
    let shown = if all > runs.len() {
        format!(" The latest {} of {}.", runs.len(), number(all as u64))
    } else {
        String::new()
    };
    let usual_is = match (usual, cost.undisturbed_runs) {
        (None, _) => "No undisturbed run is on record to compare with".to_owned(),
        (Some(_), 1) => "Usual is the one undisturbed run".to_owned(),
        (Some(_), some) => format!("Usual is the middle of {some} undisturbed runs"),
    };
    Some(History {
        end: (longest + longest / 50).max(1),
        usual: usual.map(|usual| (usual, format!("{} usual", clock(usual)))),
        runs,
        note: format!("Bar: the run. {usual_is}.{disturbed}{shown}").into(),
    })
}

fn strip(
    verdict: Verdict,
    began: Option<chrono::DateTime<chrono::Utc>>,
    seconds: Option<i64>,
    interrupted: usize,
    usual: Option<i64>,
    is_this: bool,
) -> Strip {
    let (class, glyph, word) = sign(verdict);
    let against = seconds
        .zip(usual)
        .map(|(seconds, usual)| match (seconds - usual) * 100 / usual {
            0 => "±0 %".to_owned(),
            slower @ 1.. => format!("+{slower} %"),
            faster => format!("−{} %", -faster),
        });
    Strip {
        class,
        glyph,
        word,
        when: began
            .map_or_else(
                || "at an unknown time".to_owned(),
                |at| at.format("%-d %b %Y, %H:%M").to_string(),
            )
            .into(),
        is_this,
        seconds: seconds.unwrap_or(0).max(0),
        took: seconds.map_or_else(|| "not known".to_owned(), span),
        against: against.unwrap_or_default(),
        lost: match interrupted {
            0 => "undisturbed".to_owned(),
            some => format!("{} lost", number(some as u64)),
        }
        .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EarlierRun;
    use crate::sample::workshop;

    fn run(run_seconds: Option<i64>) -> EarlierRun {
        EarlierRun {
            cluster_id: "j-1".into(),
            step_id: "s-1".into(),
            started_at: None,
            verdict: Verdict::Degraded,
            run_seconds,
            interrupted: 2,
        }
    }

    #[test]
    fn a_usual_time_is_named_by_the_runs_that_it_is_of() {
        let mut report = workshop();
        report.earlier_runs = vec![run(Some(600))];
        let mut note = |median, count| {
            report.cost.median_undisturbed_seconds = median;
            report.cost.undisturbed_runs = count;
            let history = of(&Digest::new(&report)).unwrap();
            (history.usual, history.note.as_str().to_owned())
        };
        let none = "Bar: the run. No undisturbed run is on record to compare with.";
        assert_eq!(note(None, 0), (None, none.to_owned()));
        assert_eq!(note(Some(0), 1), (None, none.to_owned()), "none that took any time");
        let (usual, said) = note(Some(440), 1);
        assert_eq!(usual, Some((440, "7:20 usual".to_owned())));
        assert_eq!(said, "Bar: the run. Usual is the one undisturbed run.");
        assert_eq!(
            note(Some(440), 2).1,
            "Bar: the run. Usual is the middle of 2 undisturbed runs."
        );
    }

    #[test]
    fn the_longest_of_the_runs_and_the_usual_time_nearly_fills_the_axis() {
        let mut report = workshop();
        for (this, earlier, usual, longest) in
            [(549, 30, 20, 549), (30, 549, 20, 549), (30, 20, 549, 549), (0, 0, 1, 1)]
        {
            report.run_seconds = Some(this);
            report.earlier_runs = vec![run(Some(earlier))];
            report.cost.median_undisturbed_seconds = Some(usual);
            let history = of(&Digest::new(&report)).unwrap();
            assert!(
                (longest..=longest * 105 / 100).contains(&history.end),
                "{longest}: {}",
                history.end
            );
            let seconds: Vec<i64> = history.runs.iter().map(|run| run.seconds).collect();
            assert_eq!(seconds, [this, earlier]);
        }
    }

    #[test]
    fn a_run_is_set_against_the_usual_time() {
        let against = |seconds| strip(Verdict::Survived, None, seconds, 0, Some(200), false).against;
        let said = [Some(200), Some(201), Some(202), Some(300), Some(198), Some(100), None].map(against);
        assert_eq!(said, ["±0 %", "±0 %", "+1 %", "+50 %", "−1 %", "−50 %", ""]);
    }
}
