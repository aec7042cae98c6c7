//! Faults under the functions: processes that die at any AWS call, answers that are lost, calls that are refused.
//!
//! What holds in every story holds here too (at most one experiment for each wave, only Spot task instances of the own
//! cluster, every warning on record once, a report for every step, no template left); and the drill is not lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use account::api::Time;
use local::fault::{AtCall, Fate};
use local::run::Run;
use local::scenario::Scenario;
use rules::drill::DrillState;
use tests::{report_of, tell, tell_with};

/// What may become of any call.
const FATES: [Fate; 4] = [Fate::CrashBefore, Fate::CrashAfter, Fate::AnswerLost, Fate::Garbled];

fn told_with(name: &str, function: &str, call: u32, fate: Fate) -> Run {
    let scenario = Scenario::find(name).unwrap();
    let mut settings = scenario.settings();
    settings.at_call = Some(AtCall {
        function: function.into(),
        call,
        fate,
    });
    let story = format!("{name}, {function}'s call {call}: {fate:?}");
    let run = tell_with(scenario, &settings, 1, &story);
    let met = run.world.lock().injected().get(&fate.fault().unwrap()).copied();
    assert_eq!(met, Some(1), "{story}: it happens once");
    run
}

/// How many AWS calls a function makes in a story in which nothing goes wrong.
fn calls(name: &str, function: &str) -> u32 {
    tell(name, 1, &[]).world.lock().calls(function)
}

fn experiments(run: &Run) -> usize {
    run.world.lock().account.fis.experiments().count()
}

/// At each of the function's calls it may die, or its answer may be lost or be none.
fn whatever_becomes_of_any_call(name: &str, function: &str, experiments_wanted: usize) {
    let calls = calls(name, function);
    assert!(calls > 3, "{function} makes {calls} calls");
    for call in 1..=calls {
        for fate in FATES {
            let run = told_with(name, function, call, fate);
            let story = format!("{name}, {function}'s call {call} of {calls}: {fate:?}");
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
fn whatever_becomes_of_start_experiments_calls_there_is_one_experiment() {
    whatever_becomes_of_any_call("workshop", "spot-drill-StartExperiment", 1);
}

#[test]
fn whatever_becomes_of_its_calls_between_waves_there_is_one_experiment_a_wave() {
    whatever_becomes_of_any_call("waves", "spot-drill-StartExperiment", 2);
}

#[test]
fn whatever_becomes_of_the_recorders_and_the_reports_calls_all_is_told() {
    whatever_becomes_of_any_call("workshop", "spot-drill-RecordInterruption", 1);
    whatever_becomes_of_any_call("workshop", "spot-drill-WriteReport", 1);
}

#[test]
fn a_transient_cluster_is_gone_when_it_is_tried_again_and_all_is_told() {
    for function in ["StartExperiment", "RecordInterruption", "WriteReport"] {
        whatever_becomes_of_any_call("transient-first-step", &format!("spot-drill-{function}"), 1);
    }
}

#[test]
fn whatever_becomes_of_submit_steps_calls_it_adds_one_step() {
    let function = "spot-drill-SubmitStep";
    for call in 1..=calls("scheduled-check", function) {
        for fate in FATES {
            let run = told_with("scheduled-check", function, call, fate);
            assert_eq!(run.steps.len(), 1, "call {call}: {fate:?}");
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
