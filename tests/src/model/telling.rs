//! What is told of a step over time: one verdict, announced once; and which earlier runs it is compared with.

use account::emr::Step;
use account::journal::Kind;
use serde_json::Value;

use super::hits::{self, Touch};
use super::{Case, application, window};

impl Case<'_> {
    /// What is wrong with how often, and how alike, the report was told.
    pub(super) fn wrong_telling(&self, report: &Value) -> Vec<String> {
        let mut wrongs = Vec::new();
        let verdict = report["verdict"].as_str().unwrap_or_default();
        let first: Option<Value> = self
            .told
            .first_json
            .as_ref()
            .and_then(|json| serde_json::from_slice(json).ok());
        // Better evidence may change it; then the report says what it said before, and what it had to do without.
        let has_better_evidence = report["revisions"].as_array().is_some_and(|before| !before.is_empty());
        if let Some(was) = first.as_ref().and_then(|first| first["verdict"].as_str())
            && was != verdict
            && was != "inconclusive"
            && !has_better_evidence
        {
            wrongs.push(format!("stable: the first report said {was}, the last {verdict}"));
        }
        // A process that dies between the report and its answer leaves nobody told, or its successor.
        let faults = &self.run.stage.faults;
        if faults.lets_each_live() && faults.answers_each_call() {
            wrongs.extend(
                self.wrong_announcements(verdict)
                    .into_iter()
                    .filter(|_| !has_better_evidence),
            );
        }
        wrongs.extend(self.wrong_history(report));
        wrongs
    }

    fn wrong_announcements(&self, verdict: &str) -> Vec<String> {
        let told = self.announcements();
        let mut wrongs = Vec::new();
        let first = told.iter().filter(|one| one["first"] == true).count();
        if first != 1 {
            wrongs.push(format!(
                "announced: {first} times as the first report, of {}",
                told.len()
            ));
        }
        let firm = |one: &&&Value| one["verdict"] != "inconclusive";
        if let Some(other) = told.iter().filter(firm).find(|one| one["verdict"] != verdict) {
            wrongs.push(format!(
                "announced: as {}, and the report says {verdict}",
                other["verdict"]
            ));
        }
        wrongs
    }

    /// The outcomes that speak of this step's report: of its own invocations, and of the sweep's.
    fn announcements(&self) -> Vec<&Value> {
        let entries = self.state.account.journal.entries().iter();
        let ends = entries.filter(|entry| entry.kind == Kind::Invocation && entry.text.starts_with("ends"));
        let outcomes = ends.flat_map(|entry| {
            let swept = entry.data["reported"].as_array().into_iter().flatten();
            swept.chain(std::iter::once(&entry.data))
        });
        let of_step = |one: &&Value| {
            one["report"]
                .as_str()
                .is_some_and(|place| place.contains(&self.step.id))
        };
        outcomes.filter(of_step).collect()
    }

    /// A run is compared with earlier runs of the same program and arguments that nothing disturbed, and no others.
    fn wrong_history(&self, report: &Value) -> Option<String> {
        let compared = report["cost"]["undisturbed_runs"].as_u64()?;
        let mine = program(&self.step.args);
        let earlier = self
            .cluster
            .steps
            .iter()
            .filter(|one| one.started_at < self.step.started_at);
        let undisturbed = |one: &&Step| {
            let application = one.application_id.as_ref().and_then(|id| application(self.cluster, id));
            let hits = hits::all(self.state, self.cluster, application, application.and_then(window));
            hits.iter().all(|hit| hit.touch != Touch::Certain)
        };
        let over = earlier.filter(|one| one.ended_at.is_some() && program(&one.args) == mine);
        let alike = over.filter(undisturbed).count() as u64;
        let told =
            format!("history: compared with {compared} runs, {alike} undisturbed ones were of the same program before");
        (compared > alike).then_some(told)
    }
}

/// The script and what follows it.
fn program(args: &[String]) -> Vec<String> {
    let words: Vec<String> = args
        .iter()
        .flat_map(|arg| arg.split_whitespace())
        .map(str::to_owned)
        .collect();
    let at = words.iter().position(|word| word.ends_with(".py")).unwrap_or(0);
    // What a shell does with it afterwards makes no other program of it.
    let own = words[at..]
        .iter()
        .take_while(|word| !word.starts_with(['|', ';', '&', '>', '2']));
    own.map(|word| word.trim_matches(['"', '\'']).to_owned()).collect()
}
