//! The page: one self-contained file without scripts, links or anything from elsewhere.
//!
//! Names of clusters and steps and Spark's words come from outside. Askama escapes what HTML gives a meaning to; the
//! characters that no HTML escape stops (controls, and those that turn the direction of text) are left out here.

use askama::Template;
use chrono::{DateTime, SecondsFormat, Utc};
use rules::bearing::Bearing;
use rules::cluster::Role;
use rules::hit::InterruptionFacts;
use rules::interruption::Cause;
use rules::replacement::Replacement;
use rules::verdict::Verdict;

use super::timeline::{self, Timeline};
use super::{OutputNamedBy, Report};

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: String,
    verdict: &'static str,
    sentence: String,
    reasons: Vec<String>,
    facts: Vec<(&'static str, String)>,
    timeline: Option<Timeline>,
    interruptions: Vec<Row>,
    spark: Vec<(&'static str, String)>,
    stages: Vec<Vec<String>>,
    experiments: Vec<Vec<String>>,
    findings: Vec<[String; 3]>,
    missing: Vec<(String, String)>,
    cost: Vec<(&'static str, String)>,
    schema: &'a str,
}

struct Row {
    instance: String,
    kind: String,
    cause: String,
    noticed: String,
    gone: String,
    took: String,
    replacement: String,
    class: &'static str,
}

/// Renders a report.
pub(super) fn render(report: &Report) -> Result<String, askama::Error> {
    let cluster = report.cluster.name.as_deref().unwrap_or(&report.cluster.id);
    Page {
        title: clean(&format!("{} on {cluster}", report.step.name)),
        verdict: word(report.judgement.verdict),
        sentence: clean(&report.judgement.sentence),
        reasons: report.judgement.reasons.iter().map(|reason| clean(reason)).collect(),
        facts: facts(report),
        timeline: timeline::draw(report).map(|mut drawing| {
            drawing
                .labels
                .iter_mut()
                .for_each(|label| label.text = clean(&label.text));
            drawing.bars.iter_mut().for_each(|bar| bar.title = clean(&bar.title));
            drawing
        }),
        interruptions: report
            .interruptions
            .iter()
            .map(|one| row(one, report.step.started_at))
            .collect(),
        spark: spark(report),
        stages: stages(report),
        experiments: experiments(report),
        findings: report
            .findings
            .iter()
            .map(|finding| [clean(&finding.what), clean(&finding.evidence), clean(&finding.advice)])
            .collect(),
        missing: report
            .missing
            .iter()
            .map(|missing| (clean(&missing.what), clean(&missing.why)))
            .collect(),
        cost: cost(report),
        schema: &report.schema,
    }
    .render()
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Survived => "Survived",
        Verdict::Degraded => "Degraded",
        Verdict::Failed => "Failed",
        Verdict::Inconclusive => "Inconclusive",
    }
}

/// Characters of a text that the page keeps at most.
const CHARACTERS_MAX: usize = 2_000;

fn clean(text: &str) -> String {
    let is_turning =
        |c: char| matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}');
    text.chars()
        .filter(|c| (!c.is_control() || *c == '\n') && !is_turning(*c))
        .take(CHARACTERS_MAX)
        .collect()
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(
        || "not known".into(),
        |at| at.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

fn seconds(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Job", clean(&report.step.name)),
        (
            "Cluster",
            clean(&format!(
                "{} ({})",
                report.cluster.name.as_deref().unwrap_or("name not known"),
                report.cluster.id
            )),
        ),
        ("Step", clean(&format!("{}, {}", report.step.id, report.step.state))),
        ("Began", time(report.step.started_at)),
        ("Ended", time(report.step.ended_at)),
        (
            "Ran for",
            report.run_seconds.map_or_else(|| "not known".into(), seconds),
        ),
        ("Facts as of", time(Some(report.observed_at))),
    ];
    if let Some(reason) = &report.drill.reason {
        facts.push(("Drill", clean(reason)));
    }
    if let (Some(state), Some(reason)) = (&report.cluster.state, &report.cluster.reason)
        && state.starts_with("TERMINAT")
    {
        facts.push(("Cluster's end", clean(&format!("{state}: {reason}"))));
    }
    if let Some(dip) = report.capacity.as_ref().and_then(|capacity| capacity.dip.as_ref()) {
        let length = dip.until.map_or_else(
            || "not back while it was watched".into(),
            |until| format!("back after {}", seconds((until - dip.from).num_seconds())),
        );
        facts.push((
            "Capacity dip",
            format!(
                "from {} to {} units, {length}; {} unit-seconds lost",
                dip.units_before, dip.units_lowest, dip.unit_seconds_lost
            ),
        ));
    }
    if let Some(output) = &report.output {
        let marker = if output.has_success_marker { "with" } else { "without" };
        let guessed = match output.named_by {
            OutputNamedBy::LastArgument => " (a guess: the last argument)",
            OutputNamedBy::Setting | OutputNamedBy::Tag | OutputNamedBy::Pattern => "",
        };
        facts.push((
            "Output",
            clean(&format!(
                "{}{guessed}: {} objects, {} of them of this run, {} bytes, {marker} a _SUCCESS of this run",
                output.location, output.objects, output.objects_of_run, output.bytes
            )),
        ));
    }
    facts
}

/// The time of day, and how long after the step's begin.
fn moment(at: DateTime<Utc>, begun: Option<DateTime<Utc>>) -> String {
    let clock = at.format("%H:%M:%S");
    match begun.map(|begun| (at - begun).num_seconds()) {
        Some(after) if after >= 0 => format!("{clock}, {} in", seconds(after)),
        _ => clock.to_string(),
    }
}

fn row(one: &InterruptionFacts, begun: Option<DateTime<Utc>>) -> Row {
    let interrupted = &one.interrupted;
    let (replacement, class) = match &one.replacement {
        Replacement::Replaced {
            by, seconds_after_loss, ..
        } if *seconds_after_loss < 0 => (
            format!(
                "replaced {} before it went, by {}",
                seconds(-seconds_after_loss),
                by.join(", ")
            ),
            "good",
        ),
        Replacement::Replaced {
            by, seconds_after_loss, ..
        } => (
            format!("replaced after {}, by {}", seconds(*seconds_after_loss), by.join(", ")),
            "good",
        ),
        Replacement::NotReplaced { why } => (format!("not replaced: {why}"), "bad"),
        Replacement::NotExpected { why, .. } => (format!("not expected: {why}"), "plain"),
        Replacement::Unknown { why } => (format!("not known: {why}"), "doubt"),
    };
    Row {
        instance: clean(&interrupted.instance_id),
        kind: clean(&format!(
            "{}{}, {} {}",
            match interrupted.role {
                Some(Role::Master) => "primary node, ",
                Some(Role::Core) => "core node, ",
                Some(Role::Task) | None => "",
            },
            interrupted.instance_type.as_deref().unwrap_or("type not known"),
            interrupted.units,
            if interrupted.units == 1 { "unit" } else { "units" }
        )),
        cause: clean(&match &interrupted.cause {
            Cause::Experiment { experiment_id } => format!("this drill ({experiment_id})"),
            Cause::OtherExperiment => "another experiment".into(),
            Cause::Natural => "EC2 itself".into(),
            Cause::Unknown => "not known".into(),
        }),
        noticed: interrupted
            .noticed_at
            .map_or_else(|| "no warning on record".into(), |at| moment(at, begun)),
        gone: interrupted
            .terminated_at
            .map_or_else(|| "not gone".into(), |at| moment(at, begun)),
        took: clean(&took(one)),
        replacement: clean(&replacement),
        class,
    }
}

/// What an instance took of the application, or why that is nothing.
fn took(one: &InterruptionFacts) -> String {
    match one.loss.bearing {
        Bearing::Counts if one.loss.held.is_empty() => "not known: no event log tells".into(),
        Bearing::Counts => one.loss.held.join(", "),
        Bearing::NothingThere => "nothing of the job".into(),
        Bearing::BeforeTheRun => "nothing: gone before the application began".into(),
        Bearing::AfterTheRun => "nothing: the job had ended".into(),
        Bearing::NotKnown => {
            "not known: only the step's times are, and its application may not have been running".into()
        }
        Bearing::Due => "not seen to be gone".to_owned(),
        Bearing::NotGone => String::new(),
    }
}

fn experiments(report: &Report) -> Vec<Vec<String>> {
    let row = |experiment: &super::ExperimentFacts| {
        vec![
            experiment.wave.to_string(),
            clean(experiment.experiment_id.as_deref().unwrap_or("none")),
            clean(&format!(
                "{}{}",
                experiment.status.as_deref().unwrap_or("status not known"),
                if experiment.preview {
                    ", preview: nobody was interrupted"
                } else {
                    ""
                }
            )),
            clean(experiment.reason.as_deref().unwrap_or("")),
            clean(&experiment.victims.join(", ")),
        ]
    };
    report.drill.experiments.iter().map(row).collect()
}

fn spark(report: &Report) -> Vec<(&'static str, String)> {
    let Some(spark) = &report.spark else { return Vec::new() };
    let driver = match (&spark.driver_host, spark.driver_was_interrupted) {
        (Some(host), Some(true)) => format!("{host}, on an interrupted instance"),
        (Some(host), _) => format!("{host}, not on an interrupted instance"),
        (None, _) => "host not known".into(),
    };
    let tasks = &spark.tasks;
    vec![
        (
            "Application",
            clean(spark.application_id.as_deref().unwrap_or("not known")),
        ),
        (
            "Attempts",
            match spark.attempts_without_log {
                0 => spark.attempts.to_string(),
                unread => format!(
                    "{}; what follows is of the last one. {unread} left no log: what was lost with it is not known",
                    spark.attempts
                ),
            },
        ),
        ("Driver", clean(&driver)),
        (
            "Executors",
            format!(
                "{} in all, {} left before the end, {} sat on interrupted instances",
                spark.executors.len(),
                spark.executors_removed,
                spark.executors_on_interrupted
            ),
        ),
        (
            "Jobs",
            format!("{} succeeded, {} failed", spark.jobs_succeeded, spark.jobs_failed.len()),
        ),
        (
            "Stage attempts",
            format!(
                "{} in all, {} failed, {} were repeats",
                spark.stages.len(),
                spark.stage_attempts_failed,
                spark.stage_attempts_again
            ),
        ),
        (
            "Task attempts",
            format!(
                "{} successful, {} failed, {} killed, {} had to run again though they had succeeded",
                tasks.successful, tasks.failed, tasks.killed, tasks.resubmitted
            ),
        ),
        (
            "Task time lost",
            format!(
                "{}{:.1} s of {:.1} s",
                if spark.attempts_without_log > 0 {
                    "at least "
                } else {
                    ""
                },
                spark.lost_task_ms() as f64 / 1000.0,
                spark.lost_work.total_task_time_ms as f64 / 1000.0
            ),
        ),
        ("Event log", clean(&spark.event_log)),
    ]
}

fn stages(report: &Report) -> Vec<Vec<String>> {
    let Some(spark) = &report.spark else { return Vec::new() };
    spark
        .stages
        .iter()
        .filter(|stage| stage.attempt > 0 || stage.failure_reason.is_some())
        .take(100)
        .map(|stage| {
            vec![
                format!("{}.{}", stage.stage_id, stage.attempt),
                clean(&stage.name),
                stage.tasks.to_string(),
                stage.status.clone(),
                clean(
                    stage
                        .failure_reason
                        .as_deref()
                        .unwrap_or("")
                        .lines()
                        .next()
                        .unwrap_or_default(),
                ),
            ]
        })
        .collect()
}

fn cost(report: &Report) -> Vec<(&'static str, String)> {
    let cost = &report.cost;
    let unknown = || "not known".to_owned();
    vec![
        (
            "FIS action time",
            format!("{}, billed by the action-minute", seconds(cost.fis_action_seconds)),
        ),
        (
            "Slowdown",
            match (cost.slowdown_percent, cost.median_undisturbed_seconds) {
                (Some(percent), Some(median)) => format!(
                    "{percent:+} % against {}, the middle of {} undisturbed runs",
                    seconds(median),
                    cost.undisturbed_runs
                ),
                _ => "not known: no undisturbed run of this job is on record".into(),
            },
        ),
        (
            "Unit-seconds of capacity lost",
            cost.unit_seconds_lost.map_or_else(unknown, |lost| lost.to_string()),
        ),
        (
            "Task time lost",
            cost.lost_task_ms
                .map_or_else(unknown, |ms| format!("{:.1} s", ms as f64 / 1000.0)),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_escape_stops_is_left_out() {
        assert_eq!(clean("a\u{0}b\u{1b}[31mc\u{202e}d"), "ab[31mcd");
        assert_eq!(clean(&"x".repeat(5_000)).len(), CHARACTERS_MAX);
    }
}
