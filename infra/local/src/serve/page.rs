//! The page at `/`: what is in the account now, in plain HTML that loads itself again.
//!
//! Separate because nothing else here is for eyes. Every text in it is escaped: clients give names.

use std::fmt::Write as _;

use account::api::Time;
use account::journal::Kind;
use bytes::Bytes;
use chrono::SecondsFormat;
use http::{HeaderValue, Response, header};

use super::reports;
use crate::world::{State, World};

/// So many of the latest events are shown.
const EVENTS_MAX: usize = 50;

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"2\">\
<title>The simulated account</title><style>body{font:14px/1.4 system-ui,sans-serif;margin:1.5rem;max-width:80rem}\
table{border-collapse:collapse;margin:0 0 1.5rem}th,td{padding:.15rem .8rem .15rem 0;text-align:left;\
border-bottom:1px solid #ccc;font-variant-numeric:tabular-nums;vertical-align:top}h2{font-size:1rem}</style></head><body>";

/// The page.
pub fn page(world: &World) -> Response<Bytes> {
    let now = world.clock.now();
    let mut html = String::from(HEAD);
    {
        let mut state = world.lock();
        state.account.advance(now);
        let _ = write!(
            html,
            "<h1>The simulated account</h1><p>It is {} there.</p>",
            time(Some(now))
        );
        clusters(&mut html, &state);
        instances(&mut html, &state, now);
        experiments(&mut html, &state);
        events(&mut html, &state);
        report_list(&mut html, &state);
    }
    // What happened by itself just now goes on its way.
    world.changed();
    html.push_str("</body></html>\n");
    let mut response = Response::new(Bytes::from(html));
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn clusters(html: &mut String, state: &State) {
    table(
        html,
        "Clusters and steps",
        &["Id", "Name", "State", "Created", "Ended"],
        |rows| {
            for cluster in state.account.emr.clusters() {
                let created_at = time(Some(cluster.created_at));
                rows.push(vec![
                    cluster.id.clone(),
                    cluster.name.clone(),
                    cluster.state.as_str().into(),
                    created_at,
                    time(cluster.ended_at),
                ]);
                for step in &cluster.steps {
                    rows.push(vec![
                        format!("· {}", step.id),
                        step.name.clone(),
                        step.state.as_str().into(),
                        time(Some(step.created_at)),
                        time(step.ended_at),
                    ]);
                }
            }
        },
    );
}

fn instances(html: &mut String, state: &State, now: Time) {
    let columns = [
        "Id",
        "Role",
        "Type",
        "Market",
        "State",
        "Launched",
        "Notice",
        "Terminated",
    ];
    table(html, "Instances", &columns, |rows| {
        for instance in state
            .account
            .ec2
            .instances()
            .filter(|instance| instance.is_visible(now))
        {
            let role = instance.tags.get("aws:elasticmapreduce:instance-group-role");
            let notice = instance
                .interruption
                .as_ref()
                .map(|interruption| interruption.noticed_at);
            rows.push(vec![
                instance.instance_id.clone(),
                role.cloned().unwrap_or_default(),
                instance.instance_type.clone(),
                instance.market.name().into(),
                instance.state.name().into(),
                time(Some(instance.launched_at)),
                time(notice),
                time(instance.terminated_at),
            ]);
        }
    });
}

fn experiments(html: &mut String, state: &State) {
    table(
        html,
        "Experiments",
        &["Id", "Template", "Status", "Interrupted", "Started", "Ended"],
        |rows| {
            for experiment in state.account.fis.experiments() {
                rows.push(vec![
                    experiment.id.clone(),
                    experiment.template_id.clone(),
                    experiment.state.status.name().into(),
                    experiment.interrupted.join(", "),
                    time(experiment.started_at),
                    time(experiment.ended_at),
                ]);
            }
        },
    );
}

fn events(html: &mut String, state: &State) {
    table(html, "Latest events", &["Time", "Source", "Subject", "Event"], |rows| {
        let entries = state.account.journal.entries().iter().rev();
        let events = entries.filter(|entry| entry.kind == Kind::Event).take(EVENTS_MAX);
        rows.extend(events.map(|event| {
            vec![
                time(Some(event.at)),
                event.source.clone(),
                event.subject.clone(),
                event.text.clone(),
            ]
        }));
    });
}

/// The reports, as links into the bucket: nobody signs anything here.
fn report_list(html: &mut String, state: &State) {
    let Some(bucket) = state.template.buckets.get("ReportBucket") else {
        return;
    };
    let keys = state.account.s3.list(bucket, "").unwrap_or_default();
    html.push_str("<h2>Reports</h2><ul>");
    for key in keys
        .iter()
        .filter(|key| key.ends_with(".html") && reports::is_report(key))
    {
        let _ = write!(html, "<li><a href=\"/{}/{key}\">{key}</a></li>", text(bucket));
    }
    html.push_str("</ul>");
}

fn table(html: &mut String, title: &str, columns: &[&str], fill: impl FnOnce(&mut Vec<Vec<String>>)) {
    let mut rows = Vec::new();
    fill(&mut rows);
    let _ = write!(html, "<h2>{title}</h2><table><tr>");
    columns
        .iter()
        .for_each(|column| html.push_str(&format!("<th>{column}</th>")));
    html.push_str("</tr>");
    for row in rows {
        html.push_str("<tr>");
        row.iter()
            .for_each(|cell| html.push_str(&format!("<td>{}</td>", text(cell))));
        html.push_str("</tr>");
    }
    html.push_str("</table>");
}

fn time(time: Option<Time>) -> String {
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
        .unwrap_or_default()
}

fn text(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}
