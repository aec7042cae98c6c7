//! The accounts of a pool, by the smallest examples.

mod arrivals;

use super::*;
use crate::cluster::Market;
use crate::cluster::Role;
use crate::interruption::Cause;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn instance(id: &str, units: u32, created: i64, ended: Option<i64>) -> Instance {
    Instance {
        instance_id: id.into(),
        pool_id: "if-1".into(),
        role: Some(Role::Task),
        instance_type: "r5.xlarge".into(),
        market: Market::Spot,
        state: "RUNNING".into(),
        private_dns_name: String::new(),
        reason: None,
        created_at: Some(at(created)),
        ready_at: Some(at(created + 60)),
        ended_at: ended.map(at),
        units,
    }
}

fn lost(id: &str, units: u32, terminated: i64) -> Interrupted {
    Interrupted {
        instance_id: id.into(),
        instance_type: None,
        private_dns_name: None,
        pool_id: Some("if-1".into()),
        units,
        noticed_at: Some(at(terminated - 120)),
        warnings: 1,
        latency_ms: None,
        terminated_at: Some(at(terminated)),
        terminated_told_by: None,
        role: Some(Role::Task),
        cause: Cause::Unknown,
        spot_status: None,
        emr_reason: None,
    }
}

fn pool(target: u32) -> Vec<Pool> {
    vec![Pool {
        id: "if-1".into(),
        role: Role::Task,
        target_spot_units: target,
        target_on_demand_units: 0,
        weights: BTreeMap::new(),
        scales: false,
        spot_strategy: None,
    }]
}

fn answer(instances: &[Instance], lost: &[Interrupted], start: u32, end: u32, ended_at: i64) -> Vec<Replacement> {
    let (start, end) = (pool(start), pool(end));
    let evidence = Evidence {
        instances,
        pools_at_start: Some(&start),
        pools_at_end: Some(&end),
        pools_now: None,
        is_scaled: None,
        run_ended_at: at(ended_at),
        run_may_go_on: false,
    };
    assess(lost, &evidence).into_values().collect()
}

#[test]
fn two_smaller_instances_replace_a_larger_one() {
    let instances = [
        instance("i-1", 8, -100, None),
        instance("i-2", 4, -100, Some(300)),
        instance("i-3", 2, 310, None),
        instance("i-4", 2, 320, None),
    ];
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 1000);
    let Replacement::Replaced {
        by,
        seconds_after_loss,
        seconds_after_notice,
        ..
    } = &answers[0]
    else {
        panic!("{answers:?}")
    };
    assert_eq!(by, &["i-3", "i-4"]);
    assert_eq!((*seconds_after_loss, *seconds_after_notice), (80, Some(200)));
}

#[test]
fn growth_is_not_taken_for_a_replacement() {
    // The target grew by 4, 4 units came, and the pool still lacks the 4 that were lost.
    let instances = [
        instance("i-1", 8, -100, None),
        instance("i-2", 4, -100, Some(300)),
        instance("i-3", 4, 310, None),
    ];
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 16, 1000);
    assert!(matches!(answers[0], Replacement::NotReplaced { .. }), "{answers:?}");
}

#[test]
fn a_lowered_target_expects_no_replacement() {
    let instances = [instance("i-1", 8, -100, None), instance("i-2", 4, -100, Some(300))];
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 8, 1000);
    assert!(matches!(answers[0], Replacement::NotExpected { .. }), "{answers:?}");
}

#[test]
fn a_job_that_ends_right_after_the_loss_shows_nothing() {
    let instances = [instance("i-1", 8, -100, None), instance("i-2", 4, -100, Some(300))];
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 330);
    assert!(matches!(answers[0], Replacement::NotExpected { .. }), "{answers:?}");
}

#[test]
fn nothing_came_while_the_target_stood_is_not_replaced() {
    let instances = [instance("i-1", 8, -100, None), instance("i-2", 4, -100, Some(300))];
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 1000);
    assert!(matches!(answers[0], Replacement::NotReplaced { .. }), "{answers:?}");
}

#[test]
fn without_the_target_an_arrival_proves_nothing() {
    let instances = [
        instance("i-1", 8, -100, None),
        instance("i-2", 4, -100, Some(300)),
        instance("i-3", 4, 310, None),
    ];
    let evidence = Evidence {
        instances: &instances,
        pools_at_start: None,
        pools_at_end: None,
        pools_now: None,
        is_scaled: None,
        run_ended_at: at(1000),
        run_may_go_on: false,
    };
    let answers = assess(&[lost("i-2", 4, 300)], &evidence);
    assert!(matches!(answers["i-2"], Replacement::Unknown { .. }), "{answers:?}");
}

#[test]
fn what_came_when_the_job_was_over_replaced_nothing() {
    let instances = [
        instance("i-1", 8, -100, None),
        instance("i-2", 4, -100, Some(300)),
        instance("i-3", 4, 950, None),
    ];
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 1000);
    assert!(matches!(answers[0], Replacement::NotReplaced { .. }), "{answers:?}");
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 1020);
    assert!(matches!(answers[0], Replacement::Replaced { .. }), "{answers:?}");
}

#[test]
fn a_primary_node_is_not_replaced_and_nobody_expects_it() {
    let mut primary = lost("i-2", 1, 300);
    primary.role = Some(Role::Master);
    let answers = answer(&[instance("i-2", 1, -100, Some(300))], &[primary], 1, 1, 1000);
    assert!(matches!(answers[0], Replacement::NotExpected { .. }), "{answers:?}");
}

#[test]
fn what_the_pool_lacks_after_it_was_whole_again_it_lacks_for_another_reason() {
    // i-2 was interrupted and replaced; somebody ended i-1 later.
    let instances = [
        instance("i-1", 8, -100, Some(700)),
        instance("i-2", 4, -100, Some(300)),
        instance("i-3", 4, 310, None),
    ];
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 1000);
    assert!(matches!(answers[0], Replacement::Replaced { .. }), "{answers:?}");
}

#[test]
fn what_emr_lets_go_after_the_loss_is_not_lacking() {
    // The target went from 20 to 12 with the loss of 8; EMR had chosen i-1 to go as well, and let it go much later.
    let mut instances = [
        instance("i-0", 8, -100, None),
        instance("i-1", 4, -100, Some(700)),
        instance("i-2", 4, -100, Some(300)),
        instance("i-3", 4, -100, Some(300)),
    ];
    instances[1].reason = Some("Instance was terminated by a resize".into());
    let gone = [lost("i-2", 4, 300), lost("i-3", 4, 300)];
    for answer in answer(&instances, &gone, 20, 12, 1000) {
        let lowered = matches!(
            answer,
            Replacement::NotExpected {
                excuse: Excuse::TargetLowered,
                ..
            }
        );
        assert!(lowered, "{answer:?}");
    }
    // Had somebody else ended it, the pool would have to get another.
    instances[1].reason = Some("INSTANCE_FAILURE: EC2 terminated instance i-1".into());
    let answers = answer(&instances, &gone, 20, 12, 1000);
    assert!(matches!(answers[0], Replacement::NotReplaced { .. }), "{answers:?}");
}

#[test]
fn what_emr_lets_go_after_the_run_was_there_only_if_it_took_work() {
    // Eight units went and came to nothing; when the job was over, EMR let go of two that were still starting.
    let mut instances = vec![
        instance("i-0", 8, -100, None),
        instance("i-2", 8, -100, Some(300)),
        instance("i-3", 4, 940, Some(1010)),
        instance("i-4", 4, 940, Some(1010)),
    ];
    for late in &mut instances[2..] {
        late.reason = Some("Instance was terminated by a resize".into());
        late.ready_at = None;
    }
    let answers = answer(&instances, &[lost("i-2", 8, 300)], 16, 16, 1000);
    assert!(matches!(answers[0], Replacement::NotReplaced { .. }), "{answers:?}");
    // They had come to work in time.
    for late in &mut instances[2..] {
        late.ready_at = Some(at(990));
    }
    let answers = answer(&instances, &[lost("i-2", 8, 300)], 16, 16, 1000);
    assert!(matches!(answers[0], Replacement::Replaced { .. }), "{answers:?}");
}

#[test]
fn a_target_that_nobody_looked_at_in_time_holds_only_while_it_stands() {
    let instances = [instance("i-1", 8, -100, None), instance("i-2", 4, -100, Some(300))];
    let (start, same, lower) = (pool(12), pool(12), pool(8));
    let told = |now: Option<&[Pool]>, is_scaled: Option<bool>| {
        let evidence = Evidence {
            instances: &instances,
            pools_at_start: Some(&start),
            pools_at_end: None,
            pools_now: now,
            is_scaled,
            run_ended_at: at(1000),
            run_may_go_on: false,
        };
        assess(&[lost("i-2", 4, 300)], &evidence).remove("i-2").unwrap()
    };
    let fixed = Some(false);
    assert!(matches!(told(Some(&same), fixed), Replacement::NotReplaced { .. }));
    assert!(matches!(told(None, fixed), Replacement::NotReplaced { .. }));
    assert!(matches!(told(Some(&lower), fixed), Replacement::Unknown { .. }));
    // What scales may have been lower meanwhile, and so may what nobody knows not to scale.
    for is_scaled in [Some(true), None] {
        for now in [Some(same.as_slice()), None] {
            assert!(matches!(told(now, is_scaled), Replacement::Unknown { .. }));
        }
    }
    let mut scales = pool(12);
    scales[0].scales = true;
    assert!(matches!(told(Some(&scales), fixed), Replacement::Unknown { .. }));
}

/// EMR may have asked for sixteen, and for twelve once the job had ended.
#[test]
fn a_pool_that_had_what_is_asked_for_long_after_the_run_may_have_lacked_something_in_it() {
    let mut instances = [
        instance("i-1", 8, -100, None),
        instance("i-2", 4, -100, Some(300)),
        instance("i-3", 4, 320, None),
    ];
    // Asked for before the notice: for something else.
    instances[2].created_at = Some(at(100));
    let now = pool(12);
    let evidence = Evidence {
        instances: &instances,
        pools_at_start: None,
        pools_at_end: None,
        pools_now: Some(&now),
        is_scaled: Some(true),
        run_ended_at: at(1000),
        run_may_go_on: false,
    };
    let answer = assess(&[lost("i-2", 4, 300)], &evidence).remove("i-2").unwrap();
    assert!(matches!(answer, Replacement::Unknown { .. }), "{answer:?}");
}

#[test]
fn of_what_a_pool_lacked_nothing_is_excused_where_nobody_knows_what_it_was_asked_for() {
    // The look when the experiment began fell into the seconds in which somebody had asked for five units.
    let instances = [
        instance("i-1", 8, -100, Some(300)),
        instance("i-2", 16, -100, Some(400)),
    ];
    let start = pool(5);
    let evidence = Evidence {
        instances: &instances,
        pools_at_start: Some(&start),
        pools_at_end: None,
        pools_now: None,
        is_scaled: Some(true),
        run_ended_at: at(1000),
        run_may_go_on: false,
    };
    for answer in assess(&[lost("i-1", 8, 300), lost("i-2", 16, 400)], &evidence).values() {
        assert!(matches!(answer, Replacement::Unknown { .. }), "{answer:?}");
    }
}

#[test]
fn what_a_lowered_target_does_not_ask_for_is_no_lack_of_those_that_went_first() {
    // The target went from 7 to 6 with the first loss; later all went, and nothing came.
    let gone = |id: &str, at: i64| (instance(id, 1, -100, Some(at)), lost(id, 1, at));
    let (instances, lost): (Vec<Instance>, Vec<Interrupted>) = [
        gone("i-1", 300),
        gone("i-2", 400),
        gone("i-3", 400),
        gone("i-4", 400),
        gone("i-5", 400),
        gone("i-6", 400),
        gone("i-7", 450),
    ]
    .into_iter()
    .unzip();
    let answers = answer(&instances, &lost, 7, 6, 1000);
    assert!(matches!(answers[0], Replacement::NotExpected { .. }), "{answers:?}");
    for answer in &answers[1..] {
        assert!(matches!(answer, Replacement::NotReplaced { .. }), "{answers:?}");
    }
}

#[test]
fn what_emr_let_go_before_the_last_loss_was_no_spare_then() {
    for let_go_at in [310, 500] {
        let mut instances = [
            instance("i-0", 16, -100, None),
            instance("i-1", 4, -100, Some(let_go_at)),
            instance("i-2", 4, -100, Some(300)),
            instance("i-3", 4, -100, Some(500)),
        ];
        instances[1].reason = Some("Instance was terminated by a resize".into());
        let answers = answer(&instances, &[lost("i-2", 4, 300), lost("i-3", 4, 500)], 28, 20, 1000);
        assert!(matches!(answers[0], Replacement::NotExpected { .. }), "{answers:?}");
        assert!(matches!(answers[1], Replacement::NotReplaced { .. }), "{answers:?}");
    }
}

#[test]
fn of_a_run_that_may_have_gone_on_nothing_is_held_against_the_pool_and_nothing_excused_by_its_end() {
    let instances = [instance("i-1", 8, -100, None), instance("i-2", 4, -100, Some(300))];
    let pool = pool(12);
    let told = |ended: i64, run_may_go_on: bool| {
        let evidence = Evidence {
            instances: &instances,
            pools_at_start: Some(&pool),
            pools_at_end: Some(&pool),
            pools_now: None,
            is_scaled: None,
            run_ended_at: at(ended),
            run_may_go_on,
        };
        assess(&[lost("i-2", 4, 300)], &evidence).remove("i-2").unwrap()
    };
    for ended in [290, 420, 1000] {
        assert!(matches!(told(ended, true), Replacement::Unknown { .. }), "{ended}");
    }
    for ended in [290, 420] {
        let told = told(ended, false);
        let is_excused = matches!(
            &told,
            Replacement::NotExpected {
                excuse: Excuse::JobEnded,
                ..
            }
        );
        assert!(is_excused, "{ended}: {told:?}");
    }
    assert!(matches!(told(1000, false), Replacement::NotReplaced { .. }));
}

#[test]
fn what_scaling_lowered_as_the_job_ended_is_not_what_the_job_was_short_of() {
    // Five nodes of four units, of which two went; EMR is asked for eight by now, and still has twelve.
    let instances: Vec<Instance> = (0..5)
        .map(|number| instance(&format!("i-{number}"), 4, -100, (number < 2).then_some(300)))
        .collect();
    let told = |start: u32, end: u32, is_scaled| {
        let evidence = Evidence {
            instances: &instances,
            pools_at_start: Some(&pool(start)),
            pools_at_end: Some(&pool(end)),
            pools_now: None,
            is_scaled,
            run_ended_at: at(1000),
            run_may_go_on: false,
        };
        assess(&[lost("i-0", 4, 300), lost("i-1", 4, 300)], &evidence)
            .into_values()
            .next()
            .unwrap()
    };
    for start in [8, 20] {
        let one = told(start, 8, Some(true));
        assert!(matches!(one, Replacement::Unknown { .. }), "{start}: {one:?}");
        // Where people alone lower it, they did so while the job ran, as far as anybody can tell.
        for is_scaled in [Some(false), None] {
            let one = told(start, 8, is_scaled);
            assert!(matches!(one, Replacement::NotExpected { .. }), "{start}: {one:?}");
        }
    }
    // A part of an instance more is what weights make of a target.
    let one = told(9, 9, Some(true));
    assert!(matches!(one, Replacement::NotExpected { .. }), "{one:?}");
}

#[test]
fn a_target_that_nobody_saw_at_the_end_and_that_may_have_grown_excuses_nothing() {
    let instances: Vec<Instance> = (0..3)
        .map(|number| instance(&format!("i-{number}"), 4, -100, (number < 1).then_some(300)))
        .collect();
    let told = |is_scaled| {
        let evidence = Evidence {
            instances: &instances,
            pools_at_start: Some(&pool(8)),
            pools_at_end: None,
            pools_now: None,
            is_scaled: Some(is_scaled),
            run_ended_at: at(1000),
            run_may_go_on: false,
        };
        assess(&[lost("i-0", 4, 300)], &evidence).into_values().next().unwrap()
    };
    assert!(matches!(told(true), Replacement::Unknown { .. }), "{:?}", told(true));
    assert!(
        matches!(told(false), Replacement::NotExpected { .. }),
        "{:?}",
        told(false)
    );
}
