//! What happens now, by cluster: its steps and their drills, who is being interrupted, and the capacity that is there.
//!
//! Separate because the rest of the page lists what the account has; this says what of it matters at the moment.

use std::fmt::Write as _;

use account::api::Time;
use account::emr::{Cluster, Role, Step};
use serde_json::{Value, json};

use super::text;
use crate::world::State;

/// Steps of a cluster at most, the latest.
const STEPS_MAX: usize = 3;
/// Interrupted instances of a cluster at most, the latest.
const VICTIMS_MAX: usize = 10;

/// The clusters that are not over, the latest first.
pub(super) fn write(html: &mut String, state: &State, now: Time) {
    let mut clusters: Vec<&Cluster> = state
        .account
        .emr
        .clusters()
        .filter(|one| !one.state.is_over())
        .collect();
    clusters.sort_by_key(|cluster| std::cmp::Reverse(cluster.created_at));
    if clusters.is_empty() {
        html.push_str("<p class=\"soft\">No cluster is there.</p>");
    }
    for cluster in clusters {
        let _ = write!(
            html,
            "<section class=\"cluster\"><h3>{} <span class=\"soft\">{}, {}</span></h3>",
            text(&cluster.name),
            cluster.id,
            cluster.state.as_str()
        );
        steps(html, state, cluster, now);
        capacity(html, cluster);
        victims(html, state, cluster, now);
        html.push_str("</section>");
    }
}

fn steps(html: &mut String, state: &State, cluster: &Cluster, now: Time) {
    html.push_str("<div><h4>Steps and their drills</h4>");
    if cluster.steps.is_empty() {
        html.push_str("<p>None yet.</p>");
    }
    for step in cluster.steps.iter().rev().take(STEPS_MAX) {
        let since = match (step.started_at, step.ended_at) {
            (Some(began), Some(ended)) => format!(" after {}", span(began, ended)),
            (Some(began), None) => format!(" for {}", span(began, now)),
            _ => String::new(),
        };
        let name = text(&step.name);
        let _ = write!(
            html,
            "<p>{name} <span class=\"soft\">{}</span><br>{}{since}. {}</p>",
            step.id,
            step.state.as_str(),
            drill(state, cluster, step)
        );
    }
    html.push_str("</div>");
}

/// What the ledger says of a step's drill.
fn drill(state: &State, cluster: &Cluster, step: &Step) -> String {
    let Some(item) = ledger_item(state, cluster, step) else {
        return "No drill yet.".into();
    };
    if let Some(verdict) = item["report"]["M"]["verdict"]["S"].as_str() {
        let verdict = text(verdict);
        return format!("Its report says <span class=\"word {verdict}\">{verdict}</span>.");
    }
    let reason = item["reason"]["S"].as_str().map(|reason| format!(": {}", text(reason)));
    let said = match item["state"]["S"].as_str() {
        Some("claimed" | "waiting") => "The drill waits for its time and for capacity",
        Some("starting") => "An experiment is asked for",
        Some("started") if item["lease_until"]["S"].is_string() => "The drill runs",
        Some("started") => "The drill has run",
        Some("gave_up") => "The drill was given up",
        Some("refused") => "The drill was refused",
        Some("unknown") => "Whether the drill began is not known",
        _ => "No drill",
    };
    format!("{said}{}.", reason.unwrap_or_default())
}

/// A step's item in the ledger, as DynamoDB has it.
pub(super) fn ledger_item(state: &State, cluster: &Cluster, step: &Step) -> Option<Value> {
    let table = state.template.tables.values().next()?;
    let key = rules::ledger::Key::drill(&cluster.id, &step.id);
    let request = json!({"TableName": table.name, "Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}});
    let answer = state
        .account
        .dynamodb
        .call("GetItem", request.to_string().as_bytes())
        .ok()?;
    let answer: Value = serde_json::from_slice(&answer).ok()?;
    answer.get("Item").cloned()
}

fn capacity(html: &mut String, cluster: &Cluster) {
    html.push_str("<div><h4>Capacity</h4>");
    for pool in cluster.pools.iter().filter(|pool| pool.role != Role::Master) {
        let (there, wanted) = (cluster.running(&pool.id).total(), pool.target.total());
        let role = pool.role.as_str().to_lowercase();
        if wanted == 0 && there == 0 {
            let _ = write!(html, "<p>{role}: none is asked for.</p>");
            continue;
        }
        let share = (there * 100).checked_div(wanted).unwrap_or(0).min(100);
        let _ = write!(
            html,
            "<p>{role}: {there} of {wanted} units can take work.</p><div class=\"level\"><i style=\"width:{share}%\"></i></div>"
        );
    }
    html.push_str("</div>");
}

fn victims(html: &mut String, state: &State, cluster: &Cluster, now: Time) {
    html.push_str("<div><h4>Interrupted instances</h4>");
    let machines = cluster
        .instances
        .iter()
        .filter_map(|one| state.account.ec2.instance(&one.ec2_instance_id));
    let mut hit: Vec<_> = machines
        .filter_map(|one| Some((one.interruption.as_ref()?, one)))
        .collect();
    hit.sort_by_key(|(interruption, _)| std::cmp::Reverse(interruption.noticed_at));
    if hit.is_empty() {
        html.push_str("<p>None.</p>");
    }
    let more = hit.len().saturating_sub(VICTIMS_MAX);
    html.push_str("<ul>");
    for (interruption, machine) in hit.into_iter().take(VICTIMS_MAX) {
        let gone = match machine.terminated_at {
            Some(at) => format!("gone at {}", at.format("%H:%M:%S")),
            None if interruption.terminates_at > now => format!("goes in {}", span(now, interruption.terminates_at)),
            None => "shuts down".into(),
        };
        let _ = write!(
            html,
            "<li>{}: {}, noticed at {}, <b>{gone}</b></li>",
            machine.instance_id,
            text(&interruption.cause.to_string()),
            interruption.noticed_at.format("%H:%M:%S")
        );
    }
    html.push_str("</ul>");
    if more > 0 {
        let _ = write!(html, "<p class=\"soft\">{more} more before.</p>");
    }
    html.push_str("</div>");
}

fn span(from: Time, until: Time) -> String {
    let seconds = (until - from).num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}
