//! `spark-log`: prints what a Spark event log says, as JSON or as tables for people.
//!
//! Separate because it needs no account, simulated or real: it is useful on any log of Spark 3.4 to 4.x.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use chrono::DateTime;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shared::spark_log::{Limits, Part, SparkRun, StageStatus, order_parts, read_parallel};

/// Reads the log at `path`, one file or the folder of a rolling log, and prints it: as tables if `table`, else as JSON.
pub fn run(path: &str, table: bool) -> anyhow::Result<()> {
    let files = log_files(Path::new(path))?;
    let mut bytes_total = 0;
    let mut parts = Vec::new();
    for file in files {
        let bytes = File::open(&file).with_context(|| format!("opening {}", file.display()))?;
        bytes_total += bytes
            .metadata()
            .with_context(|| format!("reading the size of {}", file.display()))?
            .len();
        parts.push(Part {
            name: file.to_string_lossy().into_owned(),
            bytes,
        });
    }
    let run = with_progress(bytes_total, |progress| {
        read_parallel(parts, &Limits::default(), progress)
    });
    if run.reading.lines_parsed == 0 {
        bail!(
            "{path} holds no line of a Spark event log: {}",
            skipped(&run.reading.skipped)
        );
    }
    print(&if table {
        tables(&run)?
    } else {
        serde_json::to_string_pretty(&run)? + "\n"
    })
}

/// Shows a bar on stderr while `read` runs, if stderr is a terminal.
fn with_progress(bytes_total: u64, read: impl FnOnce(&dyn Fn(u64)) -> SparkRun) -> SparkRun {
    let bar = ProgressBar::with_draw_target(Some(bytes_total), ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} to go")
            .expect("the template is constant"),
    );
    let run = read(&|bytes_read| bar.set_position(bytes_read));
    bar.finish_and_clear();
    run
}

/// Prints to stdout. Whoever reads may stop early, as `head` does: that is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("writing to stdout"),
    }
}

/// The files of the log at `path`, in order.
fn log_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let metadata = fs::metadata(path).with_context(|| format!("looking for {}", path.display()))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut names = Vec::new();
    let mut folders = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("listing {}", path.display()))? {
        let entry = entry.with_context(|| format!("listing {}", path.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.path().is_dir() {
            names.push(name);
        } else if name.starts_with("eventlog_v2_") {
            folders.push(name);
        }
    }
    order_parts(&mut names);
    // A folder of rolled files is one log; any other may hold several, each a file or a folder.
    if names.first().is_some_and(|name| name.starts_with("events_")) {
        return Ok(names.iter().map(|name| path.join(name)).collect());
    }
    folders.sort();
    let logs: Vec<&String> = folders.iter().chain(&names).collect();
    match logs.as_slice() {
        [] => bail!("{} holds no event log", path.display()),
        [only] => log_files(&path.join(only)),
        several => {
            let mut message = format!("{} holds {} logs; name one of them:", path.display(), several.len());
            for log in several {
                write!(message, "\n  {}", path.join(log).display())?;
            }
            bail!(message)
        }
    }
}

/// The run as tables.
fn tables(run: &SparkRun) -> anyhow::Result<String> {
    let mut text = String::new();
    application(run, &mut text)?;
    executors(run, &mut text)?;
    stages(run, &mut text)?;
    jobs(run, &mut text)?;
    work(run, &mut text)?;
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
    writeln!(text, "Time         {} to {end}{duration}", moment(run.started_at_ms))?;
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
            moment(Some(executor.added_at_ms)),
            moment(executor.removed_at_ms),
            executor.tasks_successful.to_string(),
            executor.tasks_failed.to_string(),
            executor.tasks_resubmitted.to_string(),
            first_line(executor.removed_reason.as_deref().unwrap_or_default()),
        ]);
    }
    let most = run.executors_over_time.iter().map(|step| step.1).max().unwrap_or(0);
    writeln!(
        text,
        "\nExecutors    {} added, {} removed, at most {most} alive",
        rows.len(),
        run.summary.executors_removed
    )?;
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
        writeln!(text, "  {}  {}", job.job_id, first_line(failure))?;
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
    Ok(())
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

fn skipped(skipped: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = skipped.iter().map(|(what, count)| format!("{count} {what}")).collect();
    if each.is_empty() {
        "it is empty".to_owned()
    } else {
        each.join(", ")
    }
}
