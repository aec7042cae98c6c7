//! Every run of this job that is on record: a strip each, against the usual time.

use rules::verdict::Verdict;

use super::digest::Digest;
use super::headline::sign;
use crate::Text;
use crate::words::{clock, number, plural, span};

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
    Some(History {
        end: (longest + longest / 50).max(1),
        usual: usual.map(|usual| (usual, format!("{} usual", clock(usual)))),
        runs,
        note: format!(
            "Bar: the run. Usual is the middle of {}.{disturbed}{shown}",
            plural(cost.undisturbed_runs, "undisturbed run")
        )
        .into(),
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
