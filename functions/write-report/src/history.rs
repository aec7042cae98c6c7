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
    Ok(compared_with(&drills, drill, run_seconds))
}

/// The same, with the job's runs at hand.
fn compared_with(drills: &[Drill], drill: &Drill, run_seconds: Option<i64>) -> Earlier {
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
    Earlier {
        cost,
        runs,
        rows_undisturbed,
    }
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
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    /// A run of the job at a minute: how long it took, how many instances went, and how it ended.
    fn run(minute: i64, seconds: i64, interrupted: usize, state: &str) -> Drill {
        let mut drill = Drill::new("j-1", &format!("s-{minute}"));
        drill.started_at = Some(at(minute));
        drill.finished = Some(Finished {
            state: state.into(),
            at: at(minute),
        });
        drill.report = Some(Written {
            verdict: "survived".into(),
            location: String::new(),
            missing: 0,
            run_seconds: Some(seconds),
            interrupted,
            outlived: false,
            rows: Some(u64::try_from(seconds).unwrap()),
            by: None,
        });
        drill
    }

    #[test]
    fn a_run_is_compared_with_the_middle_of_those_before_it_that_ended_well_and_lost_nothing() {
        let mut outlived = run(3, 1, 0, "COMPLETED");
        outlived.report.as_mut().unwrap().outlived = true;
        let mut without_report = run(4, 1, 0, "COMPLETED");
        without_report.report = None;
        let this = run(50, 130, 2, "COMPLETED");
        let mut at_once = run(50, 1, 0, "COMPLETED");
        at_once.step_id = "s-OTHER".into();
        let drills = [
            run(51, 1, 0, "COMPLETED"),
            at_once,
            this.clone(),
            run(30, 90, 0, "COMPLETED"),
            run(20, 110, 0, "COMPLETED"),
            run(10, 300, 1, "COMPLETED"),
            run(5, 1, 0, "FAILED"),
            without_report,
            outlived,
        ];
        let earlier = compared_with(&drills, &this, Some(130));
        let cost = &earlier.cost;
        assert_eq!((cost.undisturbed_runs, cost.median_undisturbed_seconds), (2, Some(100)));
        assert_eq!((cost.disturbed_runs, cost.median_disturbed_seconds), (1, Some(300)));
        assert_eq!((cost.slowdown_percent, earlier.rows_undisturbed), (Some(30), Some(90)));
        let steps: Vec<&str> = earlier.runs.iter().map(|run| run.step_id.as_str()).collect();
        assert_eq!(steps, ["s-30", "s-20", "s-10", "s-5", "s-3"]);
        assert_eq!(compared_with(&drills, &this, Some(70)).cost.slowdown_percent, Some(-30));
        assert_eq!(compared_with(&drills, &this, None).cost.slowdown_percent, None);
        let in_no_time = [run(30, 0, 0, "COMPLETED")];
        assert_eq!(compared_with(&in_no_time, &this, Some(70)).cost.slowdown_percent, None);
    }

    #[test]
    fn a_steps_time_is_compared_unless_its_application_may_have_run_on() {
        let step: Step = serde_json::from_value(
            serde_json::json!({"id": "s-1", "name": "s", "state": "COMPLETED", "jar": "j",
            "args": [], "properties": {}, "failure": null, "created_at": at(0), "started_at": at(1), "ended_at": at(3),
            "log_uri": null, "application_ids": []}),
        )
        .unwrap();
        let run = |until: i64| -> Run {
            serde_json::from_value(serde_json::json!({"began_at": at(1), "ended_at": at(until),
                "begin_told_by": "event_log", "end_told_by": "event_log", "may_go_on": until > 3}))
            .unwrap()
        };
        assert_eq!(compared(&step, None), Some(120));
        assert_eq!(compared(&step, Some(&run(3))), Some(120));
        assert_eq!(compared(&step, Some(&run(9))), None);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[5]), Some(5));
        assert_eq!(median(&[1, 9]), Some(5));
        assert_eq!(median(&[1, 2, 9]), Some(2));
    }
}
