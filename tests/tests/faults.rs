//! Faults under the functions: processes that die at any AWS call, answers that are lost, calls that are refused.
//!
//! What holds in every story holds here too (at most one experiment for each wave, only Spot task instances of the own
//! cluster, every warning on record once, a report for every step, no template left); and the drill is not lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use account::api::Time;
use local::fault::Crash;
use local::run::Run;
use local::scenario::Scenario;
use rules::drill::DrillState;
use tests::{report_of, tell, tell_with};

fn told_with_crash(name: &str, function: &str, call: u32, after: bool) -> Run {
    let scenario = Scenario::find(name).unwrap();
    let mut settings = scenario.settings();
    settings.crash = Some(Crash {
        function: function.into(),
        call,
        after,
    });
    let story = format!(
        "{name}, {function} dies {} call {call}",
        if after { "after" } else { "before" }
    );
    let run = tell_with(scenario, &settings, 1, &story);
    let died = |entry: &account::journal::Entry| entry.data["errorType"] == "Runtime.ExitError";
    let deaths = run
        .world
        .lock()
        .account
        .journal
        .entries()
        .iter()
        .filter(|entry| died(entry))
        .count();
    assert_eq!(deaths, 1, "{story}: it dies once");
    run
}

/// How many AWS calls a function makes in a story in which nothing goes wrong.
fn calls(name: &str, function: &str) -> u32 {
    tell(name, 1, &[]).world.lock().calls(function)
}

fn experiments(run: &Run) -> usize {
    run.world.lock().account.fis.experiments().count()
}

fn dies_at_any_call(name: &str, function: &str, experiments_wanted: usize) {
    let calls = calls(name, function);
    assert!(calls > 3, "{function} makes {calls} calls");
    for call in 1..=calls {
        for after in [false, true] {
            let run = told_with_crash(name, function, call, after);
            let story = format!(
                "{function} dies {} call {call} of {calls}",
                if after { "after" } else { "before" }
            );
            assert_eq!(experiments(&run), experiments_wanted, "{story}");
            let report = report_of(&run);
            assert_eq!(
                report.drill.state,
                Some(DrillState::Started),
                "{story}: {:?}",
                report.drill.reason
            );
            assert_eq!(report.interruptions.len(), 3 * experiments_wanted, "{story}");
        }
    }
}

#[test]
fn start_experiment_may_die_at_any_call() {
    dies_at_any_call("workshop", "spot-drill-StartExperiment", 1);
}

#[test]
fn start_experiment_may_die_at_any_call_between_waves() {
    dies_at_any_call("waves", "spot-drill-StartExperiment", 2);
}

#[test]
fn record_interruption_and_write_report_may_die_at_any_call() {
    dies_at_any_call("workshop", "spot-drill-RecordInterruption", 1);
    dies_at_any_call("workshop", "spot-drill-WriteReport", 1);
}

#[test]
fn submit_step_may_die_at_any_call_and_adds_one_step() {
    let function = "spot-drill-SubmitStep";
    for call in 1..=calls("scheduled-check", function) {
        for after in [false, true] {
            let run = told_with_crash("scheduled-check", function, call, after);
            assert_eq!(run.steps.len(), 1, "dies at call {call}, after: {after}");
        }
    }
}

#[test]
fn refused_calls_and_lost_answers_change_nothing_that_matters() {
    for seed in 0..25 {
        let answers = ["errors=8", "lost-answers=4", "throttled=8", "lost-requests=4"];
        let run = tell("workshop", seed, &[&answers[..], &["twice=20", "again=20"]].concat());
        assert!(experiments(&run) <= 1);
        let began: Option<Time> = report_of(&run).step.started_at;
        assert!(began.is_some());
    }
}
