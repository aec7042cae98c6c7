//! Whose deed and when, by the smallest examples.

mod ours;

use spark_log::{Executor, Removal, SparkRun};

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
        untold: &[],
        warnings: &warnings,
        statuses: &statuses,
        instances: &[instance(ended)],
        application: None,
    };
    testimony.join(&["i-1".to_owned()]).pop()
}

fn told(
    acts: &[Act],
    warnings: &[ledger::Interruption],
    status: Option<SpotStatus>,
    instances: &[Instance],
) -> Option<Interrupted> {
    let statuses = status.into_iter().map(|status| ("i-1".to_owned(), status)).collect();
    let testimony = Testimony {
        acts,
        untold: &[],
        warnings,
        statuses: &statuses,
        instances,
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

#[test]
fn the_codes_of_a_spot_request_tell_who_and_when_of_notice_and_end() {
    // What EC2 needs back has its final status with the notice; a mark is a notice without a culprit.
    for (code, cause) in [
        ("instance-terminated-no-capacity", Cause::Natural),
        ("instance-terminated-by-price", Cause::Natural),
        ("instance-terminated-capacity-oversubscribed", Cause::Natural),
        ("instance-stopped-no-capacity", Cause::Natural),
        ("instance-stopped-by-price", Cause::Natural),
        ("marked-for-termination", Cause::Unknown),
        ("marked-for-stop", Cause::Unknown),
    ] {
        let one = joined(&[], None, Some((code, 100)), None).unwrap();
        assert_eq!((one.cause, one.noticed_at), (cause, Some(at(100))), "{code}");
        assert_eq!((one.terminated_at, one.warnings), (None, 0), "{code}");
        assert_eq!(one.spot_status.as_deref(), Some(code));
    }
    let ended = joined(&[], None, Some(("instance-stopped-by-experiment", 100)), None).unwrap();
    assert_eq!((ended.cause, ended.noticed_at), (Cause::OtherExperiment, None));
    assert_eq!(ended.terminated_at, Some(at(100)));
    let is_plain = |code: &str| {
        let code = code.into();
        SpotStatus { code, at: None }.is_plain()
    };
    assert!(
        is_plain("fulfilled")
            && !is_plain("marked-for-termination")
            && !is_plain("request-canceled-and-instance-running")
    );
}

#[test]
fn of_an_instances_warnings_the_first_counts_and_no_other_instances() {
    let warning = |id: &str, noticed, seen, latency| ledger::Interruption {
        instance_id: id.into(),
        seen,
        latency_ms: Some(latency),
        instance_type: Some("m5.large".into()),
        private_dns_name: Some("ip-10-0-0-8.ec2.internal".into()),
        ..warning(noticed)
    };
    let warnings = [
        warning("i-2", 50, 16, 1),
        warning("i-1", 130, 2, 2),
        warning("i-1", 100, 1, 3),
    ];
    let other = Instance {
        instance_id: "i-2".into(),
        ..instance(Some(90))
    };
    let unlisted = told(&[], &warnings, None, std::slice::from_ref(&other)).unwrap();
    assert_eq!(
        (unlisted.noticed_at, unlisted.warnings, unlisted.latency_ms),
        (Some(at(100)), 3, Some(3))
    );
    // Of what EMR does not list, the warning has to tell.
    assert_eq!((unlisted.role, unlisted.units), (Some(Role::Core), 1));
    assert_eq!(unlisted.instance_type.as_deref(), Some("m5.large"));
    assert_eq!(unlisted.private_dns_name.as_deref(), Some("ip-10-0-0-8.ec2.internal"));
    assert_eq!((unlisted.pool_id, unlisted.terminated_at), (None, None));
    let reason = Some("INSTANCE_FAILURE: gone".to_owned());
    let emr = |ended, name: &str| Instance {
        private_dns_name: name.into(),
        reason: reason.clone(),
        ..instance(ended)
    };
    let listed = told(
        &[],
        &warnings,
        None,
        &[other, emr(Some(240), "ip-10-0-0-7.ec2.internal")],
    )
    .unwrap();
    assert_eq!((listed.role, listed.units), (Some(Role::Task), 4));
    assert_eq!(listed.private_dns_name.as_deref(), Some("ip-10-0-0-7.ec2.internal"));
    assert_eq!(listed.emr_reason, reason);
    // EMR has no name as yet, and its words are on why it runs.
    let fresh = told(&[], &warnings, None, &[emr(None, "")]).unwrap();
    assert_eq!(fresh.private_dns_name.as_deref(), Some("ip-10-0-0-8.ec2.internal"));
    assert_eq!(fresh.emr_reason, None);
}

#[test]
fn the_interrupted_are_told_in_the_order_of_their_notices_or_losses() {
    let warning = |id: &str, noticed| ledger::Interruption {
        instance_id: id.into(),
        ..warning(noticed)
    };
    let warnings = [warning("i-1", 300), warning("i-2", 100), warning("i-4", 100)];
    let code = |code: &str, since| SpotStatus {
        code: code.into(),
        at: Some(at(since)),
    };
    let statuses = BTreeMap::from([
        ("i-3".to_owned(), code("instance-terminated-by-experiment", 200)),
        ("i-5".to_owned(), code("fulfilled", 1)),
    ]);
    let testimony = Testimony {
        acts: &[],
        untold: &[],
        warnings: &warnings,
        statuses: &statuses,
        instances: &[],
        application: None,
    };
    let ids: Vec<String> = (1..=5).rev().map(|n| format!("i-{n}")).collect();
    let joined = testimony.join(&ids);
    let told: Vec<&str> = joined.iter().map(|one| one.instance_id.as_str()).collect();
    assert_eq!(told, ["i-2", "i-4", "i-3", "i-1"]);
}

#[test]
fn spark_tells_of_a_loss_before_ec2_and_emr_do_if_it_fell_with_the_node_and_after_the_notice() {
    let loss = |noticed: Option<i64>, status: Option<(&str, i64)>, ended: Option<i64>, removed: i64| {
        let run = SparkRun {
            executors: vec![Executor {
                id: "1".into(),
                host: "ip-10-0-0-7.ec2.internal".into(),
                removed_at_ms: Some(removed * 1000),
                removal: Some(Removal::WorkerLost),
                ..Executor::default()
            }],
            ..SparkRun::default()
        };
        let warnings: Vec<ledger::Interruption> = noticed.into_iter().map(warning).collect();
        let status = status.map(|(code, since)| SpotStatus {
            code: code.into(),
            at: Some(at(since)),
        });
        let testimony = Testimony {
            acts: &[],
            untold: &[],
            warnings: &warnings,
            statuses: &status.into_iter().map(|status| ("i-1".to_owned(), status)).collect(),
            instances: &[instance(ended)],
            application: Some(Application {
                attempts: std::slice::from_ref(&run),
            }),
        };
        let one = testimony.join(&["i-1".to_owned()]).pop().unwrap();
        (one.terminated_at, one.terminated_told_by)
    };
    let seen = |seconds, witness| (Some(at(seconds)), Some(witness));
    assert_eq!(loss(Some(100), None, Some(240), 215), seen(215, LossWitness::Yarn));
    assert_eq!(loss(Some(100), None, Some(240), 99), seen(220, LossWitness::Notice));
    // Where no notice is on record, it may have been given two minutes before all that the others need to see the loss.
    let ec2 = Some(("instance-terminated-by-experiment", 222));
    assert_eq!(loss(None, ec2, Some(240), 30), seen(30, LossWitness::Yarn));
    assert_eq!(loss(None, ec2, Some(240), 29), seen(222, LossWitness::Ec2));
    // What nobody else has seen go is not lost, whatever the driver thinks.
    assert_eq!(loss(Some(100), None, None, 215), (None, None));
}

#[test]
fn no_word_on_a_loss_is_honest_that_lies_before_the_notice_and_a_notice_is_kept_to_the_second() {
    let loss = |ended| {
        let one = joined(&[], Some(100), None, Some(ended)).unwrap();
        (one.terminated_at, one.terminated_told_by)
    };
    assert_eq!(loss(99), (None, None));
    assert_eq!(loss(219), (Some(at(219)), Some(LossWitness::Emr)));
    assert_eq!(loss(220), (Some(at(220)), Some(LossWitness::Notice)));
}

#[test]
fn who_was_not_seen_to_go_is_overdue_from_the_notices_end_on() {
    let mut one = joined(&[], Some(100), None, None).unwrap();
    assert_eq!(one.overdue_since(at(219)), None);
    assert_eq!(one.overdue_since(at(220)), Some(at(220)));
    assert_eq!(one.overdue_since(at(900)), Some(at(220)));
    one.kept_its_notice(at(220));
    assert_eq!(
        (one.terminated_at, one.terminated_told_by, one.overdue_since(at(900))),
        (Some(at(220)), Some(LossWitness::Notice), None)
    );
}

#[test]
fn of_two_words_on_when_an_instance_went_the_earlier_one_is_taken() {
    let mut hit = joined(&[], Some(50), None, None).unwrap();
    for (by_emr, by_another, earliest) in [
        (Some(120), Some(100), Some(100)),
        (Some(90), Some(100), Some(90)),
        (None, Some(100), Some(100)),
        (Some(120), None, Some(120)),
    ] {
        hit.terminated_at = by_another.map(at);
        let seen = seen_earliest(&[instance(by_emr)], std::iter::once(&hit));
        assert_eq!(seen[0].ended_at, earliest.map(at));
    }
}
