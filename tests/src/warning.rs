//! What became of each warning that was delivered: recorded as of its first delivery, or where people find it, for a reason.
//!
//! Separate from the ledger's other items because the queue, and what goes wrong around it, say what is right here.

use account::journal::{Entry, Kind};
use chrono::{DateTime, TimeDelta, Utc};
use local::run::Run;
use local::world::{FAULT, MANGLED, State};
use serde_json::Value;

use crate::invocation::Invocation;
use crate::ledger::items;

const RECORD_INTERRUPTION: &str = "spot-drill-RecordInterruption";
pub(crate) const WARNING: &str = "EC2 Spot Instance Interruption Warning";

/// Everything wrong with what was recorded and kept.
pub(crate) fn wrongs(run: &Run, state: &State) -> Vec<String> {
    let invocations = Invocation::all(state, RECORD_INTERRUPTION);
    let mut wrongs = recorded_late(run, state, &invocations);
    let kept: Vec<Value> = dead_letters(state).collect();
    let mangled =
        entries(state).filter(|entry| entry.source == MANGLED && entry.data["event"]["detail-type"] == WARNING);
    for entry in mangled.filter(|entry| entry.data["to"].as_str().is_some_and(|to| to.starts_with("Queue"))) {
        let event = &entry.data["event"];
        if is_no_warning(event) && !kept.contains(event) {
            wrongs.push(format!("warning: one that is none is not kept for people: {event}"));
        }
    }
    let kept_warnings = kept
        .iter()
        .filter(|event| event["detail-type"] == WARNING && !is_odd(event));
    wrongs.extend(kept_warnings.filter_map(|event| kept_for_nothing(state, &invocations, event)));
    wrongs
}

fn entries(state: &State) -> impl Iterator<Item = &Entry> {
    state.account.journal.entries().iter()
}

/// The first delivery fills the item: how long the warning was on its way is no longer than until the end of the first
/// invocation that wrote it for certain.
fn recorded_late(run: &Run, state: &State, invocations: &[Invocation<'_>]) -> Vec<String> {
    let slack = TimeDelta::milliseconds(run.stage.faults.skew_ms_max);
    let mut wrongs = Vec::new();
    // A table that is made anew knows nothing of earlier deliveries.
    if run.stage.faults.gone.as_ref().is_some_and(|gone| gone.comes_back_empty) {
        return wrongs;
    }
    for item in items(state) {
        let text = |name: &str| item[name]["S"].as_str().unwrap_or_default();
        if !text("sk").starts_with("interruption#") || text("pk").starts_with("instance#") {
            continue;
        }
        let noticed_at: DateTime<Utc> = text("noticed_at").parse().expect("an interruption has a time");
        let latency_ms = item["latency_ms"]["N"].as_str().and_then(|ms| ms.parse().ok());
        let written_at = noticed_at + TimeDelta::milliseconds(latency_ms.unwrap_or_default());
        // EC2 takes an instance once: all that is told of it is of this notice.
        let certain = invocations
            .iter()
            .filter(|one| one.did_all() && one.is_about(text("instance_id")));
        if let Some(first) = certain.map(Invocation::ended_at).min()
            && first + slack < written_at
        {
            wrongs.push(format!(
                "warning: that of {} was written by {first}, and its item says {written_at}",
                text("instance_id")
            ));
        }
    }
    wrongs
}

/// What lies in the queues of what failed.
pub(crate) fn dead_letters(state: &State) -> impl Iterator<Item = Value> {
    let queues = state.queues.values().filter(|queue| queue.settings().redrive.is_none());
    queues
        .flat_map(|queue| queue.messages())
        .map(|message| serde_json::from_str(&message.body).unwrap_or_default())
}

/// Lacks what says which instance goes, and when.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html>
fn is_no_warning(event: &Value) -> bool {
    let id = event["detail"]["instance-id"]
        .as_str()
        .and_then(|id| id.strip_prefix("i-"));
    let is_id = |id: &str| [8, 17].contains(&id.len()) && id.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    let time = event["time"]
        .as_str()
        .and_then(|time| time.parse::<DateTime<Utc>>().ok());
    let action = event["detail"]["instance-action"].as_str();
    !id.is_some_and(is_id) || time.is_none() || action.is_none_or(str::is_empty)
}

/// Lacks anything that EventBridge's events have, or is of another account: may be kept for people.
fn is_odd(event: &Value) -> bool {
    let texts = ["version", "id", "detail-type", "source", "account", "time", "region"];
    let is_whole = texts.iter().all(|name| event[*name].is_string()) && event["resources"].is_array();
    is_no_warning(event) || !is_whole || event["account"] == "111122223333"
}

/// A warning that can be read is kept for people only where something went wrong while it was recorded.
fn kept_for_nothing(state: &State, invocations: &[Invocation<'_>], event: &Value) -> Option<String> {
    let id = event["detail"]["instance-id"].as_str()?;
    let about: Vec<_> = invocations.iter().filter(|one| one.is_about(id)).collect();
    let went_wrong = |entry: &Entry| match entry.kind {
        Kind::Transition => entry.source == FAULT && entry.subject == RECORD_INTERRUPTION,
        Kind::Call => entry.data["caller"] == RECORD_INTERRUPTION && !entry.data["error"].is_null(),
        Kind::Invocation => entry.source == RECORD_INTERRUPTION && entry.text.starts_with("fails"),
        Kind::Event => false,
    };
    let has_reason = about.is_empty()
        || entries(state)
            .filter(|entry| {
                about
                    .iter()
                    .any(|one| (one.begun_at..=one.ended_at()).contains(&entry.at))
            })
            .any(went_wrong);
    (!has_reason).then(|| format!("warning: nothing went wrong, and it is kept for people: {event}"))
}
