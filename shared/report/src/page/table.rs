//! The numbers behind the picture, as tables.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rules::bearing::Bearing;
use rules::cluster::Role;
use rules::hit::InterruptionFacts;
use rules::interruption::{Cause, LossWitness};
use rules::replacement::Replacement;

use super::digest::Digest;
use super::what_if;
use crate::words::{capital, list, number, plural, span};
use crate::{ExperimentFacts, StageRow, Text};

/// Rows of a table at most; the whole is in the JSON.
const ROWS_MAX: usize = 100;

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Words on one line.
    Plain,
    /// Ids, of fixed width, on one line.
    Id,
    /// Numbers, to the right.
    Number,
    /// Sentences, which may wrap.
    Words,
}

impl Kind {
    /// CSS class.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Id => "id",
            Self::Number => "r",
            Self::Words => "w",
        }
    }
}

/// A table.
pub(super) struct Table {
    /// What it is.
    pub caption: Text,
    /// Its columns.
    pub columns: Vec<(&'static str, Kind)>,
    /// Its rows.
    pub rows: Vec<Vec<Text>>,
}

impl Table {
    /// A table; none without rows. `json`: the file in which all of them are.
    pub(super) fn new(
        json: &str,
        caption: &str,
        columns: &[(&'static str, Kind)],
        rows: Vec<Vec<String>>,
    ) -> Option<Self> {
        if rows.is_empty() {
            return None;
        }
        let caption = match rows.len() {
            few if few <= ROWS_MAX => caption.to_owned(),
            many => format!(
                "{caption} The first {ROWS_MAX} of {}; all are in {json}.",
                number(many as u64)
            ),
        };
        Some(Self {
            caption: caption.into(),
            columns: columns.to_vec(),
            rows: rows
                .into_iter()
                .take(ROWS_MAX)
                .map(|row| row.into_iter().map(Text::from).collect())
                .collect(),
        })
    }

    /// The cells of a row with their classes.
    pub(super) fn cells<'a>(&'a self, row: &'a [Text]) -> impl Iterator<Item = (&'a Text, &'static str)> {
        row.iter().zip(self.columns.iter().map(|(_, kind)| kind.class()))
    }
}

/// All tables that have rows.
pub(super) fn all(digest: &Digest<'_>) -> Vec<Table> {
    [
        interruptions(digest),
        stages(digest),
        what_if::table(digest),
        experiments(digest),
        own_use(digest),
        attempts(digest),
        settings(digest),
        revisions(digest),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the drill used: FIS's actions and our own functions, as far as it is known.
fn own_use(digest: &Digest<'_>) -> Option<Table> {
    let cost = &digest.report.cost;
    let rows = cost.own.iter().map(|one| {
        let ran = match one.used.milliseconds {
            short @ ..10_000 => format!("{:.1} s", Duration::from_millis(short).as_secs_f64()),
            long => span(i64::try_from(long / 1_000).unwrap_or(i64::MAX)),
        };
        vec![
            one.function.clone(),
            ran,
            one.gb_seconds.map_or_else(|| "–".to_owned(), |gb| format!("{gb:.1}")),
            number(one.used.calls),
        ]
    });
    Table::new(
        digest.json(),
        "What the drill's own functions used: write-report's until this report was put together.",
        &[
            ("Function", Kind::Plain),
            ("Ran", Kind::Number),
            ("GB-seconds", Kind::Number),
            ("Calls of AWS", Kind::Number),
        ],
        rows.collect(),
    )
}

fn clock(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "–".to_owned(), |at| at.format("%H:%M:%S").to_string())
}

fn interruptions(digest: &Digest<'_>) -> Option<Table> {
    let rows = digest.report.interruptions.iter().map(|one| row(digest, one)).collect();
    Table::new(
        digest.json(),
        "Interrupted instances. Times UTC.",
        &[
            ("Instance", Kind::Id),
            ("Type, units", Kind::Plain),
            ("Interrupted by", Kind::Plain),
            ("Warned", Kind::Plain),
            ("Gone", Kind::Plain),
            ("told by", Kind::Plain),
            ("What went with it", Kind::Words),
            ("In its place", Kind::Words),
            ("Ready", Kind::Plain),
            ("Warned to ready", Kind::Number),
        ],
        rows,
    )
}

fn row(digest: &Digest<'_>, one: &InterruptionFacts) -> Vec<String> {
    let interrupted = &one.interrupted;
    let role = match interrupted.role {
        Some(Role::Master) => ", primary node",
        Some(Role::Core) => ", core node",
        Some(Role::Task) | None => "",
    };
    let (place, ready, took) = match &one.replacement {
        Replacement::Replaced {
            by,
            ready_at,
            seconds_after_notice,
            ..
        } => (
            list(by, 4),
            clock(Some(*ready_at)),
            seconds_after_notice.map_or_else(|| "–".to_owned(), span),
        ),
        Replacement::NotReplaced { why } => (format!("nothing: {why}"), "–".into(), "–".into()),
        Replacement::NotExpected { why, .. } => {
            (format!("nothing, and nothing expected: {why}"), "–".into(), "–".into())
        }
        Replacement::Unknown { why } => (format!("not known: {why}"), "–".into(), "–".into()),
    };
    vec![
        interrupted.instance_id.clone(),
        format!(
            "{}, {}{role}",
            interrupted.instance_type.as_deref().unwrap_or("not known"),
            interrupted.units
        ),
        cause(digest, &interrupted.cause),
        clock(interrupted.noticed_at),
        clock(interrupted.terminated_at),
        match interrupted.terminated_told_by {
            Some(LossWitness::Ec2) => "EC2",
            Some(LossWitness::Notice) => "EC2’s notice",
            Some(LossWitness::Yarn) => "YARN",
            Some(LossWitness::Emr) => "EMR",
            None => "–",
        }
        .into(),
        took_along(one),
        place,
        ready,
        took,
    ]
}

fn cause(digest: &Digest<'_>, cause: &Cause) -> String {
    match cause {
        Cause::Experiment { experiment_id } => {
            let wave = digest
                .report
                .drill
                .experiments
                .iter()
                .find(|one| one.experiment_id.as_ref() == Some(experiment_id));
            match (wave, digest.report.drill.experiments.len()) {
                (Some(wave), 2..) => format!("this drill, wave {}", wave.wave),
                _ => "this drill".into(),
            }
        }
        Cause::OtherExperiment => "another experiment".into(),
        Cause::Natural => "EC2 itself".into(),
        Cause::Unknown => "not known".into(),
    }
}

/// What an instance took of the application, or why that is nothing.
fn took_along(one: &InterruptionFacts) -> String {
    match one.loss.bearing {
        Bearing::Counts if one.loss.held.is_empty() => "not known: no event log tells".into(),
        Bearing::Counts => one.loss.held_in_words(),
        Bearing::NothingThere => "nothing of the job".into(),
        Bearing::BeforeTheRun => "nothing: gone before the application began".into(),
        Bearing::AfterTheRun => "nothing: the job had ended".into(),
        Bearing::NotKnown => "not known: the application may not have been running".into(),
        Bearing::Due => "not known: by its notice it was due to go, and nobody saw it gone".into(),
        Bearing::NotGone => "nothing: not gone when last looked at".into(),
    }
}

fn stages(digest: &Digest<'_>) -> Option<Table> {
    let spark = digest.report.spark.as_ref()?;
    let told = |stage: &&StageRow| stage.attempt > 0 || stage.failure_reason.is_some();
    let rows = spark.stages.iter().filter(told).map(|stage| {
        let seconds = stage
            .submitted_at
            .zip(stage.completed_at)
            .map(|(from, until)| ((until - from).num_milliseconds() + 500) / 1_000);
        vec![
            format!("{}.{}", stage.stage_id, stage.attempt),
            stage.name.clone(),
            number(u64::try_from(stage.tasks).unwrap_or(0)),
            clock(stage.submitted_at),
            seconds.map_or_else(|| "–".to_owned(), span),
            stage.status.to_lowercase(),
            stage
                .failure_reason
                .as_deref()
                .unwrap_or("")
                .lines()
                .next()
                .unwrap_or("")
                .to_owned(),
        ]
    });
    Table::new(
        digest.json(),
        "Attempts of stages that failed or were repeated.",
        &[
            ("Stage", Kind::Plain),
            ("Name", Kind::Words),
            ("Tasks", Kind::Number),
            ("Began", Kind::Plain),
            ("Took", Kind::Number),
            ("Ended", Kind::Plain),
            ("Spark’s words", Kind::Words),
        ],
        rows.collect(),
    )
}

fn experiments(digest: &Digest<'_>) -> Option<Table> {
    let row = |one: &ExperimentFacts| {
        vec![
            one.experiment_id.clone().unwrap_or_else(|| "none".into()),
            one.status.clone().unwrap_or_else(|| "not known".into()),
            clock(one.started_at),
            clock(one.ended_at),
            plural(one.victims.len(), "instance"),
            one.reason
                .as_deref()
                .map(|reason| reason.trim_end_matches('.').to_owned())
                .unwrap_or_default(),
        ]
    };
    Table::new(
        digest.json(),
        "Experiments. Times UTC.",
        &[
            ("Experiment", Kind::Id),
            ("Ended", Kind::Plain),
            ("From", Kind::Plain),
            ("To", Kind::Plain),
            ("Chosen", Kind::Plain),
            ("FIS’s words", Kind::Words),
        ],
        digest.report.drill.experiments.iter().map(row).collect(),
    )
}

fn attempts(digest: &Digest<'_>) -> Option<Table> {
    let spark = digest.report.spark.as_ref()?;
    (spark.attempts > 1).then_some(())?;
    let driver = |host: Option<&str>, hit: Option<bool>| match (host, hit) {
        (Some(host), Some(true)) => format!("{host}, which was interrupted"),
        (Some(host), _) => host.to_owned(),
        (None, _) => "not known".to_owned(),
    };
    let mut rows: Vec<Vec<String>> = spark
        .earlier
        .iter()
        .map(|one| {
            vec![
                one.attempt.clone().unwrap_or_else(|| "–".into()),
                clock(one.started_at),
                one.ended_at
                    .map_or_else(|| "its log breaks off".to_owned(), |at| clock(Some(at))),
                driver(one.driver_host.as_deref(), one.driver_was_interrupted),
            ]
        })
        .collect();
    rows.push(vec![
        format!("{}, the last", spark.attempts),
        clock(spark.started_at),
        spark
            .ended_at
            .map_or_else(|| "its log breaks off".to_owned(), |at| clock(Some(at))),
        driver(spark.driver_host.as_deref(), spark.driver_was_interrupted),
    ]);
    let caption = match spark.attempts_without_log {
        0 => "Attempts of the application. All else on this page is of the last one.".to_owned(),
        some => format!(
            "Attempts of the application; {} left no event log. All else on this page is of the last one.",
            number(some as u64)
        ),
    };
    Table::new(
        digest.json(),
        &caption,
        &[
            ("Attempt", Kind::Plain),
            ("Began", Kind::Plain),
            ("Ended", Kind::Plain),
            ("Driver’s host", Kind::Words),
        ],
        rows,
    )
}

fn settings(digest: &Digest<'_>) -> Option<Table> {
    let spark = digest.report.spark.as_ref()?;
    let rows = spark
        .settings
        .iter()
        .map(|(key, value)| vec![key.clone(), value.clone()])
        .collect();
    Table::new(
        digest.json(),
        "Spark’s settings that bear on interruptions, as this run had them.",
        &[("Setting", Kind::Words), ("Value", Kind::Words)],
        rows,
    )
}

fn revisions(digest: &Digest<'_>) -> Option<Table> {
    let row = |one: &crate::Revision| {
        let missing: Vec<String> = one.missing.iter().map(|missing| missing.what.clone()).collect();
        vec![
            clock(Some(one.observed_at)),
            capital(one.verdict.word()),
            list(&missing, 6),
        ]
    };
    Table::new(
        digest.json(),
        "Earlier reports of this run, whose place this one took. Times UTC.",
        &[
            ("Looked at", Kind::Plain),
            ("It said", Kind::Plain),
            ("Without", Kind::Words),
        ],
        digest.report.revisions.iter().map(row).collect(),
    )
}

#[cfg(test)]
mod tests;
