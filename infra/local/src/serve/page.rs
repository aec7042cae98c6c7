//! The page at `/`: what happens in the account now, its reports first. A small script takes what has changed from the same
//! page, once a second; without scripts the browser loads it again.
//!
//! Separate because nothing else here is for eyes. Every text in it is escaped: clients give names. [`now`] says what of the
//! account matters at the moment.

mod now;

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
/// So many of the latest reports.
const REPORTS_MAX: usize = 20;
/// So many rows of each table, the latest.
const ROWS_MAX: usize = 200;

/// What the page may do: nothing comes from elsewhere, and it asks this server alone.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'";

/// The page; `spark` is what steps run on, where that is real.
pub fn page(world: &World, spark: Option<&str>) -> Response<Bytes> {
    let now = world.clock.now();
    let mut html = String::from("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.push_str("<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript>");
    let _ = write!(
        html,
        "<title>The simulated account</title><style>{}</style></head><body>",
        include_str!("page/page.css")
    );
    {
        let mut state = world.lock();
        state.account.advance(now);
        let _ = write!(
            html,
            "<header><h1>The simulated account</h1><p id=\"time\">It is {} there.</p>{}\
             <p class=\"gone\">It does not answer any more.</p></header><main>",
            time(Some(now)),
            what_is_real(spark)
        );
        report_list(&mut html, &state);
        html.push_str("<h2>Now</h2><div id=\"now\">");
        now::write(&mut html, &state, now);
        html.push_str("</div>");
        events(&mut html, &state);
        clusters(&mut html, &state);
        instances(&mut html, &state, now);
        experiments(&mut html, &state);
    }
    // What happened by itself just now goes on its way.
    world.changed();
    let _ = writeln!(
        html,
        "</main><script>{}</script></body></html>",
        include_str!("page/page.js")
    );
    let mut response = Response::new(Bytes::from(html));
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What of all that is not simulated.
fn what_is_real(spark: Option<&str>) -> String {
    spark.map_or_else(String::new, |spark| {
        let spark = text(spark);
        format!("<p>Steps run on real {spark}; what EMR, EC2 and FIS say and do is simulated.</p>")
    })
}

/// The reports, the latest first, as links into the bucket: nobody signs anything here.
fn report_list(html: &mut String, state: &State) {
    html.push_str("<h2>Reports</h2><ul id=\"reports\">");
    let clusters = state.account.emr.clusters();
    let mut steps: Vec<_> = clusters
        .flat_map(|cluster| cluster.steps.iter().map(move |step| (cluster, step)))
        .filter(|(_, step)| step.started_at.is_some())
        .collect();
    steps.sort_by_key(|(_, step)| std::cmp::Reverse((step.ended_at, step.created_at)));
    let mut shown = 0;
    for (cluster, step) in steps.into_iter().take(ROWS_MAX) {
        let Some(item) = now::ledger_item(state, cluster, step).filter(|_| shown < REPORTS_MAX) else {
            continue;
        };
        let said = |kind: &str, member: &str| item[kind]["M"][member]["S"].as_str().unwrap_or_default().to_owned();
        let (page, location, word) = match said("report", "location") {
            none if none.is_empty() => ("interim.html", said("interim", "location"), "not recovered".to_owned()),
            location => ("report.html", location, said("report", "verdict")),
        };
        let Some(place) = location.strip_prefix("s3://") else {
            continue;
        };
        shown += 1;
        let _ = write!(
            html,
            "<li><a href=\"/{}{page}\"><span class=\"word {word}\">{word}</span> {} <span class=\"soft\">{}</span></a></li>",
            text(place),
            text(&step.name),
            step.id,
            word = text(&word)
        );
    }
    let bucket = state.template.buckets.get("ReportBucket");
    let keys = bucket.and_then(|bucket| state.account.s3.list(bucket, "").ok());
    let is_index = |key: &&String| key.ends_with("/index.html") && reports::is_report(key);
    match (bucket, keys.iter().flatten().find(is_index)) {
        (Some(bucket), Some(index)) => {
            let _ = write!(
                html,
                "<li><a href=\"/{}/{}\">All drills</a></li>",
                text(bucket),
                text(index)
            );
        }
        _ if shown == 0 => html.push_str("<li class=\"soft\">None yet.</li>"),
        _ => {}
    }
    html.push_str("</ul>");
}

fn events(html: &mut String, state: &State) {
    html.push_str("<h2>Latest events</h2><ul class=\"events\" id=\"events\">");
    let entries = state.account.journal.entries().iter().rev();
    for event in entries.filter(|entry| entry.kind == Kind::Event).take(EVENTS_MAX) {
        let detail = &event.data["detail"];
        let state = detail["state"].as_str().or(detail["new-state"]["status"].as_str());
        let state = state.map(|state| format!(": {}", text(state))).unwrap_or_default();
        let _ = write!(
            html,
            "<li><time>{}</time><span class=\"soft\">{}</span><span>{}{state} <span class=\"soft id\">{}</span></span></li>",
            event.at.format("%H:%M:%S"),
            text(&event.source),
            text(&event.text),
            text(&event.subject)
        );
    }
    html.push_str("</ul>");
}

fn clusters(html: &mut String, state: &State) {
    let columns = ["Id", "Name", "State", "Created", "Ended"];
    table(html, "Clusters and steps", "clusters", &columns, |rows| {
        for cluster in state.account.emr.clusters() {
            rows.push(vec![
                cluster.id.clone(),
                cluster.name.clone(),
                cluster.state.as_str().into(),
                time(Some(cluster.created_at)),
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
    });
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
    table(html, "Instances", "instances", &columns, |rows| {
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
    let columns = ["Id", "Template", "Status", "Interrupted", "Started", "Ended"];
    table(html, "Experiments", "experiments", &columns, |rows| {
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
    });
}

/// A table in a region that scrolls by itself; its rows alone change.
fn table(html: &mut String, title: &str, id: &str, columns: &[&str], fill: impl FnOnce(&mut Vec<Vec<String>>)) {
    let mut rows = Vec::new();
    fill(&mut rows);
    let _ = write!(
        html,
        "<h2>{title}</h2><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\"><table><thead><tr>"
    );
    for column in columns {
        let _ = write!(html, "<th scope=\"col\">{column}</th>");
    }
    let _ = write!(html, "</tr></thead><tbody id=\"{id}\">");
    let first = rows.len().saturating_sub(ROWS_MAX);
    for row in &rows[first..] {
        html.push_str("<tr>");
        for cell in row {
            let _ = write!(html, "<td>{}</td>", text(cell));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
}

fn time(time: Option<Time>) -> String {
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
        .unwrap_or_default()
}

fn text(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}
