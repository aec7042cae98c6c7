//! What of the truth the functions can know: which witnesses are in their reach.

use account::emr::StepState;
use account::journal::Kind;
use account::s3::Encryption;
use account::spark::{ApplicationTruth, AttemptTruth};
use chrono::{DateTime, TimeDelta, Utc};

use super::Case;

/// Witnesses of one step.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// The last attempt's event log lies in S3, where it may be read, and it is the only one of its time, or EMR names its
    /// application.
    pub(crate) log_certain: bool,
    /// It lies there, and perhaps others do that could be taken for it.
    pub(crate) log_lies_there: bool,
    /// Since when the application ran is known where it matters: by the first attempt's log, or because no other kept the
    /// cluster's room in its step's time, and everything was lost long after this one's begin.
    pub(crate) begin_known: bool,
    /// It may not be read.
    pub(crate) log_withheld: bool,
    /// The step ends with its application, so that the log is there when the report is written.
    pub(crate) waits: bool,
    /// The step's state is how its application ended.
    pub(crate) state_tells: bool,
    /// Events came late or not at all, so that some looks came too late.
    pub(crate) late: bool,
    /// The folder that the step names as its output: `spark.spotDrill.output`.
    pub(crate) named_output: Option<String>,
}

impl Evidence {
    pub(crate) fn of(case: &Case<'_>, application: &ApplicationTruth) -> Self {
        let log = application
            .last_attempt()
            .and_then(|attempt| attempt.event_log.as_ref());
        let lies_there = log.is_some_and(|uri| is_there(case, uri));
        let first = application.attempts.first().and_then(|first| first.event_log.as_ref());
        let first_lies_there = first.is_some_and(|uri| is_there(case, uri) && !is_withheld(case, uri));
        let begins_by = case.step.started_at.map(|at| at + BEGINS_WITHIN);
        let all_late = case.hits.iter().all(|hit| hit.lost_at >= begins_by);
        let log_withheld = log.is_some_and(|uri| is_withheld(case, uri));
        let went_without = case.went_without();
        // Where steps run at once, only EMR and the step's own log tell for certain which application is its own.
        let alone = !others_ran(case, application) && case.cluster.step_concurrency == 1;
        let told = case.cluster.names_applications();
        let ended_as = |status: &str| application.final_status.as_deref() == Some(status);
        let state_tells = match case.step.state {
            StepState::Completed => ended_as("SUCCEEDED") && case.step.ended_at >= application.ended_at,
            StepState::Failed => ended_as("FAILED"),
            _ => false,
        };
        let faults = &case.run.stage.faults;
        let late =
            faults.lost_percent + faults.hours_late_percent > 0 || faults.delay_ms_max > 60_000 || end_was_lost(case);
        Self {
            log_certain: lies_there && (alone || told) && !log_withheld && !went_without,
            begin_known: (first_lies_there && (alone || told)) || (alone && all_late),
            log_withheld,
            log_lies_there: lies_there && !went_without,
            waits: !does_not_wait(case),
            state_tells: state_tells && !hides(case),
            late,
            named_output: named_output(&case.step.args),
        }
    }

    /// Whether nothing stands between the functions and the truth.
    pub(crate) fn reaches_all(&self) -> bool {
        self.log_certain && self.begin_known && self.state_tells && !self.late
    }
}

/// From a step's begin to its application's, for certain.
const BEGINS_WITHIN: TimeDelta = TimeDelta::seconds(70);

fn is_there(case: &Case<'_>, uri: &str) -> bool {
    let rest = uri.trim_start_matches("s3://");
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let listed = case.state.account.s3.list(bucket, key);
    listed.is_ok_and(|keys| !keys.is_empty())
}

/// Whether an event log lies under a key of KMS that the deployment does not name.
fn is_withheld(case: &Case<'_>, uri: &str) -> bool {
    let named = case.run.stage.parameters.get("KmsKeyArns").map_or("", String::as_str);
    let encryption = case
        .state
        .account
        .s3
        .get(uri)
        .ok()
        .and_then(|log| log.headers.encryption);
    matches!(encryption, Some(Encryption::Kms(key)) if !named.split(',').any(|one| one == key))
}

/// A shell, or a step that does not wait, says nothing by completing, whether it happens to be right or not.
fn hides(case: &Case<'_>) -> bool {
    case.step.args.first().is_some_and(|word| word == "bash") || does_not_wait(case)
}

fn does_not_wait(case: &Case<'_>) -> bool {
    let words = case.step.args.join(" ").to_lowercase();
    let defaults = case.cluster.spark_default("spark.yarn.submit.waitAppCompletion");
    // In client mode the driver runs in the step's own process, whatever is set.
    if !words.contains("--deploy-mode cluster") {
        return false;
    }
    words.contains("waitappcompletion=false") || defaults.is_some_and(|value| value.eq_ignore_ascii_case("false"))
}

/// Whether another application's log could be taken for this one's: one that ran in the step's time.
fn others_ran(case: &Case<'_>, application: &ApplicationTruth) -> bool {
    let span = |one: &AttemptTruth| (one.started_at, one.ended_at.unwrap_or(DateTime::<Utc>::MAX_UTC));
    let ran = |one: &ApplicationTruth| Some((span(one.attempts.first()?).0, span(one.attempts.last()?).1));
    let (Some((began, ended)), Some(from), Some(until)) = (ran(application), case.step.started_at, case.step.ended_at)
    else {
        return true;
    };
    let (from, until) = (from.min(began), until.max(ended));
    let others = case
        .cluster
        .yarn()
        .truth()
        .iter()
        .filter(|one| one.id != application.id);
    others
        .filter_map(ran)
        .any(|(other_from, other_until)| other_from < until && other_until > from)
}

/// The event of the step's end never came, or there is none.
fn end_was_lost(case: &Case<'_>) -> bool {
    let mut entries = case.state.account.journal.entries().iter();
    let lost = entries.any(|entry| {
        entry.kind == Kind::Event && entry.subject == case.step.id && entry.text.ends_with("and it is lost")
    });
    lost || case.step.state == StepState::Interrupted
}

/// `--conf spark.spotDrill.output=s3://…/`, without its last slash.
fn named_output(args: &[String]) -> Option<String> {
    let words = args.iter().flat_map(|arg| arg.split_whitespace());
    let mut named = words.filter_map(|word| word.strip_prefix("spark.spotDrill.output="));
    named
        .next_back()
        .map(|uri| uri.trim_matches('"').trim_end_matches('/').to_owned())
}
