//! Whether a deed was our experiment's, where times and other experiments leave room for doubt.

use super::*;

/// What is joined of `i-1` by these warnings, this status and this entry of EMR's list.
#[test]
fn a_notice_is_our_actions_up_to_half_a_minute_late_or_as_long_as_it_was_at_it() {
    let code = Some(("instance-terminated-by-experiment", 320));
    let is_ours = |act: Act, noticed| joined(&[act], Some(noticed), code, Some(330)).unwrap().cause == ours();
    // Due at 100, thirty seconds late, and five between two clocks.
    assert!(is_ours(act(100), 135) && !is_ours(act(100), 136));
    let ended = |at: Option<DateTime<Utc>>| Act {
        ended_at: at,
        ..act(100)
    };
    assert!(is_ours(ended(None), 135) && !is_ours(ended(None), 136));
    assert!(is_ours(ended(Some(at(200))), 205) && !is_ours(ended(Some(at(200))), 206));
    // A warning's time is in whole seconds: one of second 100 may be of 100.9.
    let within = Act {
        began_at: at(100) + TimeDelta::milliseconds(900),
        ..act(100)
    };
    assert!(is_ours(within.clone(), 100) && !is_ours(within, 99));
}

#[test]
fn a_loss_without_a_notice_is_our_actions_if_it_lies_two_minutes_after_it() {
    let cause = |lost| {
        let code = Some(("instance-terminated-by-experiment", lost));
        joined(&[act(100)], None, code, Some(lost + 10)).unwrap().cause
    };
    for (lost, expected) in [
        (219, Cause::Unknown),
        (220, ours()),
        (345, ours()),
        (346, Cause::Unknown),
    ] {
        assert_eq!(cause(lost), expected, "{lost}");
    }
    // Neither noticed nor lost as yet: to be named has to do.
    let marked = SpotStatus {
        code: "marked-for-termination".into(),
        at: None,
    };
    let one = told(&[act(100)], &[], Some(marked), &[instance(None)]).unwrap();
    assert_eq!(
        (one.cause, one.noticed_at, one.terminated_at, one.units),
        (ours(), None, None, 4)
    );
}

#[test]
fn a_doubt_needs_an_action_of_ours_on_this_instance_that_had_begun() {
    let code = Some(("instance-terminated-by-experiment", 160));
    let elsewhere = Act {
        instance_ids: vec!["i-2".into()],
        ..act(100)
    };
    let cause = |acts: &[Act]| joined(acts, None, code, Some(170)).unwrap().cause;
    assert_eq!(cause(std::slice::from_ref(&elsewhere)), Cause::OtherExperiment);
    // The first wave was on somebody else, the second had not begun.
    assert_eq!(cause(&[elsewhere.clone(), act(200)]), Cause::OtherExperiment);
    assert_eq!(cause(&[elsewhere, act(160)]), Cause::Unknown);
}

#[test]
fn an_experiment_of_which_fis_tells_nothing_may_have_been_ours() {
    let statuses = BTreeMap::from([(
        "i-1".to_owned(),
        SpotStatus {
            code: "instance-terminated-by-experiment".into(),
            at: Some(at(220)),
        },
    )]);
    let cause = |untold: &[String], warnings: &[ledger::Interruption]| {
        let testimony = Testimony {
            acts: &[],
            untold,
            warnings,
            statuses: &statuses,
            instances: &[instance(Some(230))],
            application: None,
        };
        testimony.join(&["i-1".to_owned()]).pop().unwrap().cause
    };
    for warnings in [vec![], vec![warning(100)]] {
        assert_eq!(cause(&["i-1".into()], &warnings), Cause::Unknown);
        assert_eq!(cause(&["i-2".into()], &warnings), Cause::OtherExperiment);
    }
}
