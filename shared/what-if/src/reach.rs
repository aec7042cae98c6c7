//! How far a log carries: why losses cannot be reckoned in it, and what of the run it does not tell.
//!
//! Separate because it is what is said of a log, whatever is asked of it.

use spark_log::{SparkRun, StageStatus};

/// Why a log cannot be played again, or not be disturbed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Micro-batches follow a clock and their input, not one another.
    #[error("the log is a streaming query's: when its batches begin is up to their input, which the log does not hold")]
    Streaming,
    /// Finished jobs are gone from it.
    #[error("the History Server has compacted the log: finished jobs are gone from it")]
    Compacted,
    /// Ids of one are taken for those of the other.
    #[error("the log holds {0} applications, whose jobs and stages have the same numbers: give each a log of its own")]
    SeveralApplications(u32),
    /// It says not even when anything was.
    #[error("the log tells of no moment: no application, job, stage, executor or task in it has a time")]
    NoMoment,
    /// Nothing ran.
    #[error("no task in the log ended well")]
    NoTasks,
    /// More than can be held.
    #[error("the log has {0} tasks or more, or lasts longer than 24 days")]
    TooLarge(usize),
}

impl Unfit {
    /// Why losses cannot be reckoned in this log, if they cannot: it may be played again all the same.
    pub fn of(run: &SparkRun) -> Option<Self> {
        let streams = |name: &String| name.contains("StreamingQueryListener") || name.contains("streaming.scheduler");
        if run.further_applications > 0 {
            Some(Self::SeveralApplications(run.further_applications.saturating_add(1)))
        } else if run.reading.passed_over.keys().any(streams) {
            Some(Self::Streaming)
        } else if run.reading.compacted {
            Some(Self::Compacted)
        } else if !run.task_attempts.iter().any(|task| task.succeeded) {
            Some(Self::NoTasks)
        } else {
            None
        }
    }
}

/// When a run began and ended, epoch ms: as its application says, or else with the first and the last that the log tells of.
pub(crate) fn span(run: &SparkRun) -> Option<(i64, i64)> {
    let started_at_ms = run.started_at_ms.or_else(|| moments(run).min())?;
    let last_ms = || moments(run).max().unwrap_or(started_at_ms).max(started_at_ms);
    // A clock that was set back while it ran makes an end of before the start.
    let ended_at_ms = run.ended_at_ms.filter(|at| *at >= started_at_ms);
    Some((started_at_ms, ended_at_ms.unwrap_or_else(last_ms)))
}

/// All moments of jobs, stages, executors and tasks.
fn moments(run: &SparkRun) -> impl Iterator<Item = i64> {
    let jobs = run
        .jobs
        .iter()
        .flat_map(|job| [job.submitted_at_ms, job.completed_at_ms]);
    let stages = run
        .stages
        .iter()
        .flat_map(|stage| [stage.submitted_at_ms, stage.completed_at_ms]);
    let executors = run.executors.iter().flat_map(|it| [it.added_at_ms, it.removed_at_ms]);
    let tasks = run.task_attempts.iter().flat_map(|task| {
        let ended_at_ms = task.launched_at_ms.saturating_add(i64::from(task.duration_ms));
        [Some(task.launched_at_ms), Some(ended_at_ms)]
    });
    jobs.chain(stages)
        .chain(executors)
        .chain(tasks)
        .flatten()
        .filter(|at| *at > 0)
}

/// What of the run the log does not tell, in words; nothing if it is whole.
pub(crate) fn gaps(run: &SparkRun) -> Vec<String> {
    let mut gaps = Vec::new();
    if run.started_at_ms.is_none() {
        let words = "The log does not begin with the application's start: the run is taken to begin with the first that it \
                     tells of.";
        gaps.push(words.to_owned());
    }
    if let (Some((from_ms, to_ms)), true) = (span(run), run.reading.in_progress) {
        let seconds = to_ms.saturating_sub(from_ms) as f64 / 1_000.0;
        let open = run.stages.iter().filter(|stage| stage.status == StageStatus::Active);
        gaps.push(format!(
            "The log has no end: it carries to {seconds} s after the start, where {} and {} had not ended; the run is taken \
             to end with the last that it tells of.",
            count(open.count() as u64, "stage"),
            count(run.tasks.running, "task"),
        ));
    }
    let skipped: u64 = run.reading.skipped.values().sum();
    if skipped > 0 {
        let places = count(skipped, "place");
        gaps.push(format!(
            "{places} of the log could not be read; what they told is missing."
        ));
    }
    let failed = run.jobs.iter().filter(|job| job.succeeded == Some(false)).count();
    if failed > 0 {
        let jobs = count(failed as u64, "job");
        gaps.push(format!(
            "{jobs} failed or were cancelled, and are taken to end with the tasks that succeeded."
        ));
    }
    let untold = untold_tasks(run);
    if untold > 0 {
        let tasks = count(untold, "task");
        gaps.push(format!(
            "Of {tasks} of stages that ended well the log does not tell: it is played without them."
        ));
    }
    let came = |it: &spark_log::Executor| it.added_at_ms.is_none() && it.tasks_successful > 0;
    if run.executors.iter().any(came) {
        let words =
            "Of some executors the log does not say when they came: they are taken to come with their first task.";
        gaps.push(words.to_owned());
    }
    gaps
}

/// Tasks of stage attempts that ended well of which no line says that they did.
fn untold_tasks(run: &SparkRun) -> u64 {
    let ended_well = run.stages.iter().filter(|stage| stage.status == StageStatus::Complete);
    let missing = ended_well.map(|stage| {
        u64::try_from(stage.tasks)
            .unwrap_or(0)
            .saturating_sub(stage.tasks_successful)
    });
    missing.fold(0, u64::saturating_add)
}

fn count(number: u64, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> SparkRun {
        SparkRun {
            started_at_ms: Some(1_000),
            ended_at_ms: Some(61_000),
            ..SparkRun::default()
        }
    }

    fn stage(status: StageStatus, tasks: i64, tasks_successful: u64) -> spark_log::StageAttempt {
        spark_log::StageAttempt {
            status,
            tasks,
            tasks_successful,
            ..spark_log::StageAttempt::default()
        }
    }

    #[test]
    fn tasks_that_are_missing_are_those_of_stages_that_ended_well() {
        use StageStatus::{Complete, Failed, Skipped};
        for (stages, said) in [
            (vec![stage(Complete, 4, 4)], None),
            (vec![stage(Complete, 4, 3)], Some("Of 1 task of stages that ended well")),
            (
                vec![stage(Complete, 4, 3), stage(Complete, 2, 1)],
                Some("Of 2 tasks of stages that ended well"),
            ),
            // A copy ended well too.
            (vec![stage(Complete, 4, 5)], None),
            (vec![stage(Failed, 4, 3), stage(Skipped, 4, 0)], None),
        ] {
            let gaps = gaps(&SparkRun { stages, ..whole() });
            assert_eq!(gaps.len(), usize::from(said.is_some()), "{gaps:?}");
            assert!(
                gaps.iter().zip(said).all(|(gap, said)| gap.starts_with(said)),
                "{gaps:?}"
            );
        }
    }

    #[test]
    fn of_a_log_without_an_end_it_is_said_what_was_open_where_it_stops() {
        use StageStatus::{Active, Complete, Pending};
        let mut run = whole();
        run.stages = [Active, Complete, Pending, Pending]
            .map(|status| stage(status, 1, 1))
            .into();
        run.tasks.running = 2;
        assert_eq!(gaps(&run), Vec::<String>::new());
        run.reading.in_progress = true;
        let said = "The log has no end: it carries to 60 s after the start, where 1 stage and 2 tasks had not ended";
        let gaps = gaps(&run);
        assert!(gaps.len() == 1 && gaps[0].starts_with(said), "{gaps:?}");
    }

    #[test]
    fn executors_without_a_beginning_are_spoken_of_if_they_ran_something() {
        for (added_at_ms, tasks_successful, is_said) in [
            (None, 1, true),
            (None, 0, false),
            (Some(2_000), 1, false),
            (Some(2_000), 0, false),
        ] {
            let executor = spark_log::Executor {
                added_at_ms,
                tasks_successful,
                ..spark_log::Executor::default()
            };
            let gaps = gaps(&SparkRun {
                executors: vec![executor],
                ..whole()
            });
            assert_eq!(
                !gaps.is_empty(),
                is_said,
                "{added_at_ms:?}, {tasks_successful}: {gaps:?}"
            );
        }
    }

    #[test]
    fn failed_jobs_and_unread_places_and_a_beginning_that_is_missing_are_spoken_of() {
        let job = |succeeded| spark_log::Job {
            succeeded,
            ..spark_log::Job::default()
        };
        let mut run = SparkRun {
            started_at_ms: None,
            jobs: vec![job(Some(true)), job(Some(false)), job(None)],
            ..whole()
        };
        run.reading.skipped.extend([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        let gaps = gaps(&run);
        let said = ["The log does not begin", "3 places of the log", "1 job failed"];
        assert_eq!(gaps.len(), said.len(), "{gaps:?}");
        assert!(
            gaps.iter().zip(said).all(|(gap, said)| gap.starts_with(said)),
            "{gaps:?}"
        );
    }

    #[test]
    fn a_run_lasts_as_its_application_says_or_else_from_the_first_moment_to_the_last() {
        // What the application says, and what its job does.
        for (started_at_ms, ended_at_ms, job, lasted) in [
            (Some(1_000), Some(2_000), (Some(500), Some(9_000)), Some((1_000, 2_000))),
            (Some(1_000), Some(1_000), (Some(500), Some(9_000)), Some((1_000, 1_000))),
            (None, Some(8_000), (Some(500), Some(9_000)), Some((500, 8_000))),
            (None, None, (Some(500), Some(9_000)), Some((500, 9_000))),
            (Some(1_000), None, (Some(500), Some(900)), Some((1_000, 1_000))),
            // A clock was set back.
            (Some(1_000), Some(999), (Some(500), Some(9_000)), Some((1_000, 9_000))),
            // No moment is the first of 1970.
            (None, None, (Some(0), Some(9_000)), Some((9_000, 9_000))),
            (None, None, (None, None), None),
        ] {
            let run = SparkRun {
                started_at_ms,
                ended_at_ms,
                jobs: vec![spark_log::Job {
                    submitted_at_ms: job.0,
                    completed_at_ms: job.1,
                    ..spark_log::Job::default()
                }],
                ..SparkRun::default()
            };
            assert_eq!(span(&run), lasted, "{started_at_ms:?}, {ended_at_ms:?}, {job:?}");
        }
    }

    #[test]
    fn a_log_is_unfit_for_what_of_it_cannot_be_disturbed() {
        let fit = || SparkRun {
            task_attempts: vec![crate::warmth::tests::task(1, 1_000, 100)],
            ..whole()
        };
        assert_eq!(Unfit::of(&fit()), None);
        let with = |change: &dyn Fn(&mut SparkRun)| {
            let mut run = fit();
            change(&mut run);
            Unfit::of(&run)
        };
        let passes_over = |name: &str| {
            with(&|run| {
                run.reading.passed_over.insert(name.to_owned(), 1);
            })
        };
        assert_eq!(
            with(&|run| run.further_applications = 1),
            Some(Unfit::SeveralApplications(2))
        );
        assert_eq!(with(&|run| run.reading.compacted = true), Some(Unfit::Compacted));
        assert_eq!(
            with(&|run| run.task_attempts[0].succeeded = false),
            Some(Unfit::NoTasks)
        );
        assert_eq!(
            passes_over("org.apache.spark.streaming.scheduler.Batch"),
            Some(Unfit::Streaming)
        );
        assert_eq!(
            passes_over("org.apache.spark.sql.streaming.StreamingQueryListener$QueryStartedEvent"),
            Some(Unfit::Streaming)
        );
        assert_eq!(
            passes_over("org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart"),
            None
        );
    }
}
