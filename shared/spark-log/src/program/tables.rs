//! A log's run as tables for people.
//!
//! Separate from where the log lies and how it is read: this is words and columns only.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use crate::{SparkRun, StageStatus};
use chrono::DateTime;

/// The run as tables.
pub(super) fn tables(run: &SparkRun) -> anyhow::Result<String> {
    let mut text = String::new();
    application(run, &mut text)?;
    executors(run, &mut text)?;
    exclusions(run, &mut text)?;
    stages(run, &mut text)?;
    jobs(run, &mut text)?;
    work(run, &mut text)?;
    failed_tasks(run, &mut text)?;
    Ok(text)
}

fn application(run: &SparkRun, text: &mut String) -> anyhow::Result<()> {
    let duration_ms = run
        .ended_at_ms
        .zip(run.started_at_ms)
        .map(|(ended, started)| ended - started);
    writeln!(
        text,
        "Application  {} {}",
        or_unknown(&run.application_id),
        or_unknown(&run.application_name)
    )?;
    writeln!(
        text,
        "Spark        {}, driver on {}",
        or_unknown(&run.spark_version),
        or_unknown(&run.driver_host)
    )?;
    let end = if run.ended_at_ms.is_some() {
        moment(run.ended_at_ms)
    } else {
        "no end in the log".to_owned()
    };
    let duration = duration_ms
        .map(|ms| format!(" ({})", seconds(ms.unsigned_abs())))
        .unwrap_or_default();
    let exit = run
        .exit_code
        .map(|code| format!(", exit code {code}"))
        .unwrap_or_default();
    writeln!(
        text,
        "Time         {} to {end}{duration}{exit}",
        moment(run.started_at_ms)
    )?;
    let reading = &run.reading;
    let state = if reading.complete { "complete" } else { "not complete" };
    writeln!(
        text,
        "Log          {state}: {} files, {} bytes, {} decoded, {} lines",
        reading.files, reading.bytes_read, reading.bytes_decoded, reading.lines
    )?;
    for (holds, what) in [
        (reading.in_progress, "the application had not ended when it was taken"),
        (
            reading.compacted,
            "it was compacted: finished jobs and dead executors are gone",
        ),
    ] {
        if holds {
            writeln!(text, "             {what}")?;
        }
    }
    for (what, count) in &reading.skipped {
        writeln!(text, "             not read: {count} {what}")?;
    }
    Ok(())
}

fn executors(run: &SparkRun, text: &mut String) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for executor in &run.executors {
        rows.push([
            executor.id.clone(),
            executor.host.clone(),
            executor.cores.to_string(),
            executor
                .added_at_ms
                .map_or_else(|| "unknown".to_owned(), |at_ms| moment(Some(at_ms))),
            moment(executor.removed_at_ms),
            executor.tasks_successful.to_string(),
            executor.tasks_failed.to_string(),
            executor.tasks_resubmitted.to_string(),
            first_line(executor.removed_reason.as_deref().unwrap_or_default()),
        ]);
    }
    let most = run.executors_over_time.iter().map(|step| step.1).max().unwrap_or(0);
    let unknown = rows.len() as u64 - run.summary.executors_added;
    let unknown = match unknown {
        0 => String::new(),
        _ => format!(", {unknown} whose start is not in the log"),
    };
    writeln!(
        text,
        "\nExecutors    {} added, {} removed, at most {most} alive{unknown}",
        run.summary.executors_added, run.summary.executors_removed
    )?;
    if !run.summary.removals_by_kind.is_empty() {
        writeln!(text, "             removed as{}", counts(&run.summary.removals_by_kind))?;
    }
    table(
        [
            "id",
            "host",
            "cores",
            "added",
            "removed",
            "ok",
            "failed",
            "lost after",
            "reason",
        ],
        &rows,
        text,
    )
}

/// Nothing if there are none: few applications exclude anybody.
fn exclusions(run: &SparkRun, text: &mut String) -> anyhow::Result<()> {
    if run.exclusions.is_empty() {
        return Ok(());
    }
    let mut rows = Vec::new();
    for exclusion in &run.exclusions {
        rows.push([
            exclusion
                .executor_id
                .as_ref()
                .map_or_else(|| "node".to_owned(), |id| format!("executor {id}")),
            exclusion.host.clone().unwrap_or_default(),
            exclusion.stage.map_or_else(
                || "application".to_owned(),
                |(stage_id, attempt)| format!("stage {stage_id}.{attempt}"),
            ),
            exclusion.failures.map(|count| count.to_string()).unwrap_or_default(),
            moment(exclusion.excluded_at_ms),
            moment(exclusion.unexcluded_at_ms),
        ]);
    }
    let nodes = run.exclusions.iter().filter(|one| one.executor_id.is_none()).count();
    writeln!(
        text,
        "\nExcluded     {nodes} times a node, {} times an executor",
        rows.len() - nodes
    )?;
    table(
        ["what", "host", "for", "failures", "excluded", "taken back"],
        &rows,
        text,
    )
}

fn stages(run: &SparkRun, text: &mut String) -> anyhow::Result<()> {
    let shown = run.stages.iter().filter(|stage| {
        stage.status == StageStatus::Failed
            || stage.attempt > 0
            || stage.tasks_failed + stage.tasks_killed + stage.tasks_resubmitted > 0
            || run
                .summary
                .rerun_under_another_stage_id
                .contains_key(&format!("{}.{}", stage.stage_id, stage.attempt))
    });
    let mut rows = Vec::new();
    for stage in shown {
        let from = stage.fetch_failed_from.as_ref();
        rows.push([
            format!("{}.{}", stage.stage_id, stage.attempt),
            stage.status.as_str().to_owned(),
            stage.tasks.to_string(),
            stage.tasks_successful.to_string(),
            stage.tasks_failed.to_string(),
            stage.tasks_killed.to_string(),
            stage.tasks_resubmitted.to_string(),
            stage.tasks_speculative.to_string(),
            seconds(stage.task_time_ms),
            from.map(|from| format!("{} (executor {})", from.host, from.executor_id))
                .unwrap_or_default(),
            first_line(stage.failure_reason.as_deref().unwrap_or(&stage.name)),
        ]);
    }
    let counts = counts(&run.summary.stage_attempts);
    writeln!(
        text,
        "\nStages       {} attempts{counts}; those that did not go smoothly:",
        run.stages.len()
    )?;
    table(
        [
            "stage",
            "status",
            "tasks",
            "ok",
            "failed",
            "killed",
            "lost after",
            "speculative",
            "task time",
            "fetch failed from",
            "reason or name",
        ],
        &rows,
        text,
    )
}

fn jobs(run: &SparkRun, text: &mut String) -> anyhow::Result<()> {
    writeln!(text, "\nJobs         {}{}", run.jobs.len(), counts(&run.summary.jobs))?;
    for job in run.jobs.iter().filter(|job| job.succeeded != Some(true)) {
        let failure = job.failure.as_deref().unwrap_or("still running where the log ends");
        let cancelled = if job.cancelled { "cancelled: " } else { "" };
        writeln!(text, "  {}  {cancelled}{}", job.job_id, first_line(failure))?;
    }
    let touched = run.sql_executions.iter().filter(|execution| execution.touched).count();
    writeln!(
        text,
        "SQL          {} executions, {touched} touched by the loss of an executor",
        run.sql_executions.len()
    )?;
    Ok(())
}

fn work(run: &SparkRun, text: &mut String) -> anyhow::Result<()> {
    let (tasks, lost) = (&run.tasks, &run.lost_work);
    writeln!(
        text,
        "\nTasks        {} ok, {} failed{}, {} killed, {} running, {} speculative, {} lost after they had succeeded",
        tasks.successful,
        tasks.failed,
        counts(&tasks.failed_by_reason),
        tasks.killed,
        tasks.running,
        tasks.speculative,
        tasks.resubmitted
    )?;
    let share = |ms: u64| match lost.total_task_time_ms {
        0 => String::new(),
        total_ms => format!(" ({:.1} %)", ms as f64 * 100.0 / total_ms as f64),
    };
    writeln!(text, "Task time    {} in all", seconds(lost.total_task_time_ms))?;
    writeln!(
        text,
        "Lost work    {}{} in {} attempts that failed with an executor",
        seconds(lost.failed_attempts_ms),
        share(lost.failed_attempts_ms),
        lost.failed_attempts
    )?;
    writeln!(
        text,
        "             {}{} in {} finished tasks that were computed again, {} of them under another stage id",
        seconds(lost.recomputed_ms),
        share(lost.recomputed_ms),
        lost.recomputed_tasks,
        lost.recomputed_under_another_stage_id_tasks
    )?;
    if lost.never_recomputed_tasks > 0 {
        writeln!(
            text,
            "             {}{} in {} finished tasks whose output was lost and not computed again",
            seconds(lost.never_recomputed_ms),
            share(lost.never_recomputed_ms),
            lost.never_recomputed_tasks
        )?;
    }
    Ok(())
}

/// The last of the tasks that failed: what came before is most often the same again.
fn failed_tasks(run: &SparkRun, text: &mut String) -> anyhow::Result<()> {
    const ROWS_MAX: usize = 20;
    let first = run.failed_tasks.len().saturating_sub(ROWS_MAX);
    let mut rows = Vec::new();
    for task in &run.failed_tasks[first..] {
        rows.push([
            format!("{}.{}", task.stage_id, task.stage_attempt),
            format!("{}.{}", task.index, task.attempt),
            task.executor_id.clone(),
            task.host.clone(),
            moment(Some(task.finished_at_ms)),
            task.reason.clone(),
            first_line(&task.words),
        ]);
    }
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nFailed tasks the last {} of {}", rows.len(), run.tasks.failed)?;
    table(
        ["stage", "task", "executor", "host", "ended", "reason", "words"],
        &rows,
        text,
    )
}

/// Columns as wide as their widest cell; the last is left as it is.
fn table<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
    text: &mut String,
) -> anyhow::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let head = head.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(widths) {
            write!(line, " {cell:width$}")?;
        }
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

fn or_unknown(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("(unknown)")
}

/// Epoch milliseconds as a date and time, UTC.
fn moment(epoch_ms: Option<i64>) -> String {
    let time = epoch_ms.and_then(DateTime::from_timestamp_millis);
    time.map(|time| time.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
        .unwrap_or_default()
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

fn first_line(words: &str) -> String {
    words.lines().next().unwrap_or_default().chars().take(120).collect()
}

fn counts(counts: &BTreeMap<String, impl Display>) -> String {
    let each: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    if each.is_empty() {
        String::new()
    } else {
        format!(" ({})", each.join(", "))
    }
}
