//! The page: one self-contained file without scripts, links to other places' files, or anything from elsewhere.
//!
//! Each part has a file of its own. Whatever they say goes into the page as [`Text`], and Askama escapes it.

mod axis;
mod commands;
mod digest;
mod evidence;
mod figures;
mod headline;
mod history;
mod instances;
mod lane;
mod lanes;
mod stages;
mod table;
#[cfg(test)]
mod tests;
mod unknown;
mod what_if;

use askama::Template;
use chrono::{DateTime, Utc};

use crate::{Finding, Report, Text};
use digest::Digest;
use figures::Figure;
use headline::Headline;
pub(crate) use headline::sign;
use history::History;
use lanes::Lanes;
use table::Table;
use unknown::Open;
use what_if::Other;

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    title: Text,
    job: Text,
    cluster: Text,
    ids: Vec<Text>,
    /// When, where, and by which Spark.
    place: Vec<Text>,
    headline: Headline,
    figures: [Figure; 6],
    lanes: Option<Lanes>,
    findings: Vec<Advice>,
    evidence: Vec<Text>,
    open: Vec<Open>,
    history: Option<History>,
    /// Had it hit at another moment.
    other: Option<Other>,
    tables: Vec<Table>,
    commands: Vec<Text>,
    observed: Text,
    /// The file beside this one.
    json: &'static str,
    schema: Text,
}

/// A finding, as the page shows it.
struct Advice {
    id: Text,
    what: Text,
    price: Option<Text>,
    evidence: Text,
    advice: Text,
    settings: Vec<Text>,
    page: Option<Text>,
}

impl Advice {
    fn new(finding: &Finding) -> Self {
        Self {
            id: finding.id.as_str().into(),
            what: finding.what.trim_end_matches('.').into(),
            price: finding.price.as_deref().map(Text::from),
            evidence: finding.evidence.as_str().into(),
            advice: finding.advice.as_str().into(),
            settings: finding.settings.iter().map(|one| one.as_str().into()).collect(),
            // A report that is read back may name anything; a link leads to a page of the web.
            page: finding
                .page
                .as_deref()
                .filter(|page| page.starts_with("https://"))
                .map(Text::from),
        }
    }
}

/// Renders a report.
pub(super) fn render(report: &Report) -> Result<String, askama::Error> {
    let digest = Digest::new(report);
    let headline = headline::write(&digest);
    let cluster = report.cluster.name.as_deref().unwrap_or(&report.cluster.id);
    let day = report
        .step
        .started_at
        .map(|at| at.format(", %-d %b %Y").to_string())
        .unwrap_or_default();
    Page {
        title: format!("{}: {} on {cluster}{day}", headline.word, report.step.name).into(),
        job: report.step.name.as_str().into(),
        cluster: cluster.into(),
        ids: vec![report.cluster.id.as_str().into(), report.step.id.as_str().into()],
        place: place(report),
        figures: figures::six(&digest),
        lanes: lanes::draw(&digest),
        findings: report.findings.iter().map(Advice::new).collect(),
        evidence: evidence::sentences(&digest),
        open: unknown::questions(&digest),
        history: history::of(&digest),
        other: what_if::of(&digest),
        tables: table::all(&digest),
        commands: commands::of(&digest),
        observed: report.observed_at.format("%-d %b %Y, %H:%M:%S UTC").to_string().into(),
        json: digest.json(),
        schema: report.schema.as_str().into(),
        headline,
    }
    .render()
}

/// When it ran, where, and on what.
fn place(report: &Report) -> Vec<Text> {
    let mut place: Vec<Text> = Vec::new();
    if let Some(began) = report.step.started_at {
        place.push(times(began, report.step.ended_at).into());
    }
    // An ARN names Region and account: arn:partition:service:region:account:…
    let arn = report.drill.experiments.iter().flat_map(|one| &one.resolved).next();
    let parts: Vec<&str> = arn.map(|arn| arn.split(':').collect()).unwrap_or_default();
    if let [_, _, _, region, account, ..] = parts.as_slice() {
        place.push(format!("{region}, account {account}").into());
    }
    if let Some(release) = &report.cluster.release_label {
        place.push(release.as_str().into());
    }
    if let Some(version) = report.spark.as_ref().and_then(|spark| spark.version.as_deref()) {
        place.push(format!("Spark {version}").into());
    }
    place
}

fn times(began: DateTime<Utc>, ended: Option<DateTime<Utc>>) -> String {
    let day = began.format("%-d %b %Y, %H:%M");
    match ended {
        Some(ended) if ended.date_naive() == began.date_naive() => format!("{day}–{} UTC", ended.format("%H:%M")),
        Some(ended) => format!("{day} UTC to {} UTC", ended.format("%-d %b %Y, %H:%M")),
        None => format!("since {day} UTC"),
    }
}
