//! The job's earlier runs, to compare with: from the ledger's index by job.

use aws::{Aws, Error};
use report::Cost;
use rules::drill::Drill;

use crate::Config;

/// So many of the latest runs are looked at.
const RUNS_MAX: i32 = 50;

/// Compares a run with the middle of the job's earlier runs that nothing interrupted. Later ones are left out, or what is
/// said would depend on when the report is written.
pub(crate) async fn compare(
    aws: &Aws,
    config: &Config,
    drill: &Drill,
    run_seconds: Option<i64>,
) -> Result<Cost, Error> {
    let mut cost = Cost::default();
    let Some(job) = drill.job.as_deref().filter(|job| !job.is_empty()) else {
        return Ok(cost);
    };
    let drills = aws.drills_of_job(&config.table_name, job, RUNS_MAX).await?;
    let mut undisturbed: Vec<i64> = drills
        .iter()
        .filter(|other| other.step_id != drill.step_id && other.started_at < drill.started_at)
        .filter(|drill| {
            drill
                .finished
                .as_ref()
                .is_some_and(|finished| finished.state == "COMPLETED")
        })
        .filter_map(|drill| drill.report.as_ref())
        // A run that lost anything, to whomever, is none to compare with.
        .filter(|report| report.interrupted == 0)
        .filter_map(|report| report.run_seconds)
        .collect();
    undisturbed.sort_unstable();
    cost.undisturbed_runs = undisturbed.len();
    cost.median_undisturbed_seconds = median(&undisturbed);
    if let (Some(median), Some(seconds)) = (
        cost.median_undisturbed_seconds.filter(|median| *median > 0),
        run_seconds,
    ) {
        cost.slowdown_percent = Some((seconds - median) * 100 / median);
    }
    Ok(cost)
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
