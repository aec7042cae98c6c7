//! What the tests hold every run against: the simulated services' own state, and never what the functions recorded.
//!
//! # Layout
//!
//! * [`safety`]: whom a drill may hit; [`ledger`]: what is kept; [`index`]: the page over all reports;
//! * [`submission`]: what a schedule's step may empty and add; [`spark`]: what the report says of Spark;
//! * [`model`]: which verdicts and causes are right, by rules of its own;
//! * [`story`]: stories that are drawn from a seed; [`trial`]: what goes wrong in them besides.

use std::collections::BTreeMap;

use account::journal::Kind;
use chrono::{DateTime, Utc};
use local::fault::Faults;
use local::run::{self, Run};
use local::scenario::{DATA_BUCKET, Scenario, Twist};
use local::settings::Settings;
use local::strangers::is_stranger;
use local::world::World;
use report::Report;

pub mod calls;
pub mod index;
mod invocation;
pub mod ledger;
pub mod model;
pub mod safety;
pub mod spark;
pub mod story;
pub mod submission;
pub mod trial;
mod warning;

/// A world with the stack in it and no cluster, on a paused runtime.
pub fn in_a_world<F: Future<Output = ()>>(seed: u64, faults: Faults, story: impl FnOnce(World) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs only memory");
    runtime.block_on(async {
        let epoch = DateTime::from_timestamp(1_795_183_200, 0).expect("2026-11-20T14:00:00Z is a time");
        let parameters = BTreeMap::from([
            ("ResultsBucket".to_owned(), DATA_BUCKET.to_owned()),
            ("CheckSchedule".to_owned(), "cron(0 0 1 1 ? 2030)".to_owned()),
        ]);
        let world = World::new(run::TEMPLATE, &parameters, seed, epoch, faults).expect("the template deploys");
        story(world).await;
    });
}

/// Tells a story with a seed, changed by `key=value`s, and holds it against the invariants.
pub fn tell(name: &str, seed: u64, sets: &[&str]) -> Run {
    let scenario = Scenario::find(name).expect("the test names a scenario");
    let mut settings = scenario.settings();
    for set in sets {
        settings.set(set).expect("the test sets what can be set");
    }
    tell_with(scenario, &settings, seed, &format!("{name}, seed {seed}"))
}

/// Tells a story with its settings, and holds it against the invariants.
pub fn tell_with(scenario: Scenario, settings: &Settings, seed: u64, story: &str) -> Run {
    let run = run::run(scenario, settings, seed, |_| {}).unwrap_or_else(|error| panic!("{story}: {error:#}"));
    hold(&run, story, || calm(scenario, settings, seed));
    run
}

/// The same story without interruptions.
fn calm(scenario: Scenario, settings: &Settings, seed: u64) -> Option<Run> {
    let settings = Settings {
        mode: "off".into(),
        at_call: None,
        ..settings.clone()
    };
    let keeps = matches!(
        scenario.twist,
        Twist::TwoSteps | Twist::ScheduledCheck | Twist::TransientCluster
    );
    let twist = if keeps { scenario.twist } else { Twist::None };
    run::run(Scenario { twist, ..scenario }, &settings, seed, |_| {}).ok()
}

/// The report of the story's only Spark step.
pub fn report_of(run: &Run) -> Report {
    let [step] = run.steps.as_slice() else {
        panic!("one step was expected, there are {}", run.steps.len())
    };
    step.report().expect("the step has a report")
}

/// What holds in every story, whatever happens in it. `calm` tells the same story without interruptions.
pub fn hold(run: &Run, story: &str, calm: impl FnOnce() -> Option<Run>) {
    let wrongs = wrongs(run, calm);
    assert!(wrongs.is_empty(), "{story}:\n  {}", wrongs.join("\n  "));
}

/// Everything that is wrong with a run: each begins with the word for its kind.
pub fn wrongs(run: &Run, calm: impl FnOnce() -> Option<Run>) -> Vec<String> {
    let state = run.world.lock();
    let mut wrongs = safety::wrongs(run, &state);
    wrongs.extend(ledger::wrongs(run, &state));
    wrongs.extend(warning::wrongs(run, &state));
    wrongs.extend(submission::wrongs(run, &state));
    wrongs.extend(reports_that_know_less(run, &state));
    // Of an event that nobody should send, an invocation may fail.
    let faults = &run.stage.faults;
    if faults.answers_each_call() && faults.mangled_percent == 0 {
        wrongs.extend(no_invocation_fails(run, &state));
        wrongs.extend(index::wrongs(&state));
    }
    let mut calm = model::Calm::new(calm);
    for cluster in state.account.emr.clusters().filter(|cluster| !is_stranger(cluster)) {
        for step in &cluster.steps {
            let told = run.steps.iter().find(|told| told.step_id == step.id);
            let told = told.expect("each step is collected");
            let case = model::Case::new(run, &state, cluster, step, told);
            wrongs.extend(case.wrongs(&mut calm));
        }
    }
    wrongs
}

/// What was told once is not told again with less, whatever is gone by then.
fn reports_that_know_less(run: &Run, state: &local::world::State) -> Vec<String> {
    let entries = state.account.journal.entries().iter();
    let aside = entries.filter(|entry| entry.text == "deed: Logs(false)");
    let told = aside.flat_map(|entry| entry.data.as_object().into_iter().flatten());
    told.filter_map(|(step_id, lacked)| {
        let step = run.steps.iter().find(|step| step.step_id == *step_id)?;
        let lacks = step.report().ok()?.missing.len() as u64;
        (lacked.as_u64()? < lacks)
            .then(|| format!("report: that of {step_id} lacked {lacked} pieces, and lacks {lacks} now"))
    })
    .collect()
}

/// Where AWS answers, a function has nothing to fail for, whatever it refuses or ignores: on AWS each failure is an
/// alarm, two more attempts, and no verdict for whoever waits for one. A process that was made to die is another matter.
fn no_invocation_fails(run: &Run, state: &local::world::State) -> Vec<String> {
    let died = |entry: &account::journal::Entry| {
        !run.stage.faults.lets_each_live() && entry.data["errorType"] == "Runtime.ExitError"
    };
    let entries = state.account.journal.entries().iter();
    entries
        .filter(|entry| entry.kind == Kind::Invocation && entry.text.starts_with("fails") && !died(entry))
        .filter(|entry| !submission::is_refusal(run, state, entry))
        .map(|entry| format!("invocation: {} {}: {}", entry.at, entry.source, entry.text))
        .collect()
}

/// A time as EventBridge tells it.
pub(crate) fn whole_seconds(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(at.timestamp(), 0).expect("a virtual time is one")
}
