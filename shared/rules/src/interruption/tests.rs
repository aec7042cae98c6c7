//! Whose deed and when, by the smallest examples.

use super::*;
use crate::cluster::Market;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn act(began: i64) -> Act {
    Act {
        experiment_id: "EXP1".into(),
        instance_ids: vec!["i-1".into()],
        began_at: at(began),
        ended_at: Some(at(began + 25)),
        before_interruption: NOTICE,
    }
}

fn warning(noticed: i64) -> ledger::Interruption {
    ledger::Interruption {
        instance_id: "i-1".into(),
        cluster_id: Some("j-1".into()),
        noticed_at: at(noticed),
        action: "terminate".into(),
        role: Some("CORE".into()),
        pool_id: None,
        instance_type: None,
        availability_zone: None,
        private_dns_name: None,
        launched_at: None,
        latency_ms: None,
        event_id: None,
        seen: 1,
    }
}

fn instance(ended: Option<i64>) -> Instance {
    Instance {
        instance_id: "i-1".into(),
        pool_id: "if-1".into(),
        role: Some(Role::Task),
        instance_type: "r5.xlarge".into(),
        market: Market::Spot,
        state: "RUNNING".into(),
        private_dns_name: "ip-10-0-0-7.ec2.internal".into(),
        created_at: None,
        ready_at: None,
        ended_at: ended.map(at),
        reason: None,
        units: 4,
    }
}

fn joined(acts: &[Act], noticed: Option<i64>, status: Option<(&str, i64)>, ended: Option<i64>) -> Option<Interrupted> {
    let warnings: Vec<ledger::Interruption> = noticed.into_iter().map(warning).collect();
    let status = status.map(|(code, since)| SpotStatus {
        code: code.into(),
        at: Some(at(since)),
    });
    let statuses = status.into_iter().map(|status| ("i-1".to_owned(), status)).collect();
    let testimony = Testimony {
        acts,
        warnings: &warnings,
        statuses: &statuses,
        instances: &[instance(ended)],
        application: None,
    };
    testimony.join(&["i-1".to_owned()]).pop()
}

fn ours() -> Cause {
    Cause::Experiment {
        experiment_id: "EXP1".into(),
    }
}

#[test]
fn a_deed_is_ours_if_our_action_ran_on_the_instance_and_the_notice_lies_where_it_put_it() {
    let code = Some(("instance-terminated-by-experiment", 220));
    let cause = |acts: &[Act], noticed| joined(acts, Some(noticed), code, Some(230)).unwrap().cause;
    assert_eq!(cause(&[act(100)], 100), ours());
    assert_eq!(cause(&[act(100)], 99), Cause::OtherExperiment, "noticed before");
    assert_eq!(cause(&[act(100)], 160), Cause::OtherExperiment, "noticed long after");
    assert_eq!(cause(&[], 100), Cause::OtherExperiment, "our experiment never acted");
    let mut elsewhere = act(100);
    elsewhere.instance_ids = vec!["i-2".into()];
    assert_eq!(cause(&[elsewhere], 100), Cause::OtherExperiment, "on somebody else");
    let mut later = act(100);
    later.before_interruption = TimeDelta::minutes(5);
    assert_eq!(
        cause(&[later], 281),
        ours(),
        "the notice comes two minutes before the end"
    );
}

#[test]
fn ec2s_own_reasons_are_natural_whatever_we_did_and_silence_is_unknown() {
    let natural = joined(
        &[act(100)],
        Some(101),
        Some(("instance-terminated-no-capacity", 101)),
        Some(230),
    )
    .unwrap();
    assert_eq!(natural.cause, Cause::Natural);
    let unknown = joined(&[], Some(101), None, Some(230)).unwrap();
    assert_eq!(unknown.cause, Cause::Unknown);
    let lost_warning = joined(
        &[act(100)],
        None,
        Some(("instance-terminated-by-experiment", 221)),
        Some(235),
    )
    .unwrap();
    assert_eq!((lost_warning.cause, lost_warning.warnings), (ours(), 0));
}

#[test]
fn an_end_that_comes_too_soon_for_our_experiment_is_nobodys_for_certain() {
    let code = Some(("instance-terminated-by-experiment", 160));
    let sooner = joined(&[act(100)], None, code, Some(170)).unwrap();
    assert_eq!(sooner.cause, Cause::Unknown);
    let before = joined(&[act(200)], None, code, Some(170)).unwrap();
    assert_eq!(before.cause, Cause::OtherExperiment);
}

#[test]
fn the_earliest_honest_witness_of_a_loss_wins_and_is_named() {
    let loss = |status, ended| {
        let one = joined(&[], Some(100), status, ended).unwrap();
        (one.terminated_at, one.terminated_told_by)
    };
    let ec2 = Some(("instance-terminated-by-experiment", 222));
    assert_eq!(loss(ec2, Some(240)), (Some(at(222)), Some(LossWitness::Ec2)));
    // The status of a natural interruption is final when the notice comes: the instance still runs.
    let natural = Some(("instance-terminated-no-capacity", 100));
    assert_eq!(loss(natural, Some(240)), (Some(at(220)), Some(LossWitness::Notice)));
    assert_eq!(loss(natural, None), (None, None));
    assert_eq!(
        loss(None, Some(150)),
        (Some(at(150)), Some(LossWitness::Emr)),
        "EC2 did not keep its two minutes"
    );
    assert_eq!(loss(Some(("marked-for-termination", 100)), None), (None, None));
}

#[test]
fn what_scaling_and_people_take_is_no_interruption() {
    assert_eq!(
        joined(&[act(100)], None, Some(("instance-terminated-by-user", 200)), Some(210)),
        None
    );
    assert_eq!(joined(&[act(100)], None, Some(("fulfilled", 1)), None), None);
    assert_eq!(joined(&[], None, None, Some(210)), None);
}
