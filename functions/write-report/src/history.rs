//! The job's earlier runs, to compare with: from the ledger's index by job.

use aws::{Aws, Error};
use report::{Cost, EarlierRun};
use rules::application::Run;
use rules::drill::{Drill, Finished, Written};
use rules::step::Step;
use rules::verdict::Verdict;

use crate::Config;

/// So many of the latest runs are looked at.
const RUNS_MAX: i32 = 50;

/// The job's earlier runs.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    /// How a run compares with them.
    pub cost: Cost,
    /// Each with a report, the latest first.
    pub runs: Vec<EarlierRun>,
    /// Rows that the last undisturbed run wrote, if they were counted.
    pub rows_undisturbed: Option<u64>,
}

/// Compares a run with the middle of the job's earlier runs that nothing interrupted. Later ones are left out, or what is
/// said would depend on when the report is written.
pub(crate) async fn compare(
    aws: &Aws,
    config: &Config,
    drill: &Drill,
    run_seconds: Option<i64>,
) -> Result<Earlier, Error> {
    let Some(job) = drill.job.as_deref().filter(|job| !job.is_empty()) else {
        return Ok(Earlier::default());
    };
    let drills = aws.drills_of_job(&config.table_name, job, RUNS_MAX).await?;
    let earlier: Vec<&Drill> = drills
        .iter()
        .filter(|other| other.step_id != drill.step_id && other.started_at < drill.started_at)
        .collect();
    let completed = |drill: &&&Drill| drill.finished.as_ref().is_some_and(Finished::has_completed);
    // A run that lost anything, to whomever, is none to compare with; nor is one that was not seen to its end.
    let (undisturbed, disturbed): (Vec<&Written>, Vec<&Written>) = earlier
        .iter()
        .filter(completed)
        .filter_map(|drill| drill.report.as_ref())
        .filter(|report| !report.outlived)
        .partition(|report| report.interrupted == 0);
    let rows_undisturbed = undisturbed.first().and_then(|report| report.rows);
    let (undisturbed, disturbed) = (sorted(&undisturbed), sorted(&disturbed));
    let mut cost = Cost {
        undisturbed_runs: undisturbed.len(),
        median_undisturbed_seconds: median(&undisturbed),
        disturbed_runs: disturbed.len(),
        median_disturbed_seconds: median(&disturbed),
        ..Cost::default()
    };
    if let (Some(median), Some(seconds)) = (
        cost.median_undisturbed_seconds.filter(|median| *median > 0),
        run_seconds,
    ) {
        cost.slowdown_percent = Some((seconds - median) * 100 / median);
    }
    let runs = earlier.into_iter().filter_map(remembered).collect();
    Ok(Earlier {
        cost,
        runs,
        rows_undisturbed,
    })
}

/// What of a step is compared: its time, unless it did not wait for its application, whose time that is not.
pub(crate) fn compared(step: &Step, run: Option<&Run>) -> Option<i64> {
    step.run_seconds()
        .filter(|_| !run.is_some_and(|run| run.may_outlive(step)))
}

fn sorted(reports: &[&Written]) -> Vec<i64> {
    let mut seconds: Vec<i64> = reports.iter().filter_map(|report| report.run_seconds).collect();
    seconds.sort_unstable();
    seconds
}

/// A run as the ledger remembers its report.
fn remembered(drill: &Drill) -> Option<EarlierRun> {
    let report = drill.report.as_ref()?;
    Some(EarlierRun {
        cluster_id: drill.cluster_id.clone(),
        step_id: drill.step_id.clone(),
        started_at: drill.started_at,
        verdict: Verdict::parse(&report.verdict)?,
        run_seconds: report.run_seconds,
        interrupted: report.interrupted,
    })
}

fn median(sorted: &[i64]) -> Option<i64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(i64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[5]), Some(5));
        assert_eq!(median(&[1, 9]), Some(5));
        assert_eq!(median(&[1, 2, 9]), Some(2));
    }
}
