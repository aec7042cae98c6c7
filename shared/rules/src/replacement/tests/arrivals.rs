//! What came, and for whom it counts.

use super::*;

fn by(answer: &Replacement) -> &[String] {
    match answer {
        Replacement::Replaced { by, .. } => by,
        _ => &[],
    }
}

fn is_lowered(answer: &Replacement) -> bool {
    is_excused(answer, Excuse::TargetLowered)
}

fn is_excused(answer: &Replacement, by: Excuse) -> bool {
    matches!(answer, Replacement::NotExpected { excuse, .. } if *excuse == by)
}

fn is_not_replaced(answer: &Replacement) -> bool {
    matches!(answer, Replacement::NotReplaced { .. })
}

#[test]
fn each_arrival_makes_up_for_as_many_units_as_it_has_and_no_more() {
    let gone = [lost("i-1", 4, 300), lost("i-2", 4, 310), lost("i-3", 2, 320)];
    let had = [
        instance("i-1", 4, -100, Some(300)),
        instance("i-2", 4, -100, Some(310)),
        instance("i-3", 2, -100, Some(320)),
    ];
    let with = |come: &[Instance]| answer(&[&had, come].concat(), &gone, 10, 10, 1000);
    let single = with(&[
        instance("i-4", 4, 330, None),
        instance("i-5", 4, 331, None),
        instance("i-6", 2, 332, None),
    ]);
    assert_eq!(
        single.iter().map(by).collect::<Vec<_>>(),
        [["i-4"], ["i-5"], ["i-6"]],
        "{single:?}"
    );
    let shared = with(&[instance("i-4", 6, 330, None), instance("i-5", 4, 340, None)]);
    assert_eq!(by(&shared[0]), ["i-4"]);
    assert_eq!(by(&shared[1]), ["i-4", "i-5"]);
    assert_eq!(by(&shared[2]), ["i-5"]);
}

#[test]
fn what_was_asked_for_after_the_loss_counts_before_what_was_asked_for_since_the_notice() {
    // The target grew by 4 meanwhile, and 8 came: 4 of them are growth.
    let by_of = |one: i64, other: i64| {
        let instances = [
            instance("i-1", 8, -100, None),
            instance("i-2", 4, -100, Some(300)),
            instance("i-3", 4, one, None),
            instance("i-4", 4, other, None),
        ];
        by(&answer(&instances, &[lost("i-2", 4, 300)], 12, 16, 1000)[0]).to_vec()
    };
    assert_eq!(by_of(200, 310), ["i-4"]);
    assert_eq!(by_of(300, 310), ["i-3"], "of the loss's own second is after it");
    // Asked for in the notice's own second it still counts, a second before it does not.
    assert_eq!(by_of(179, 180), ["i-4"]);
}

#[test]
fn a_replacement_may_be_there_before_the_loss() {
    let instances = [
        instance("i-1", 8, -100, None),
        instance("i-2", 4, -100, Some(300)),
        instance("i-3", 4, 200, None),
    ];
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 1000);
    let expected = Replacement::Replaced {
        by: vec!["i-3".into()],
        listed_at: Some(at(200)),
        ready_at: at(260),
        seconds_after_notice: Some(80),
        seconds_after_loss: -40,
    };
    assert_eq!(answers, [expected]);
}

#[test]
fn half_of_what_was_lost_is_no_replacement() {
    // Of the four lost units two came, and the other two were not asked for any more.
    let instances = [
        instance("i-1", 8, -100, None),
        instance("i-2", 4, -100, Some(300)),
        instance("i-3", 2, 310, None),
    ];
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 10, 1000);
    assert!(is_lowered(&answers[0]), "{answers:?}");
}

#[test]
fn what_came_for_an_earlier_loss_is_none_of_a_later_one() {
    // i-3 has units to spare, but it was asked for long before i-2's notice; later the target was lowered.
    let instances = [
        instance("i-0", 4, -100, None),
        instance("i-1", 4, -100, Some(300)),
        instance("i-2", 4, -100, Some(800)),
        instance("i-3", 8, 310, None),
    ];
    let gone = [lost("i-1", 4, 300), lost("i-2", 4, 800)];
    let answers = answer(&instances, &gone, 16, 12, 2000);
    assert_eq!(by(&answers[0]), ["i-3"]);
    assert!(is_lowered(&answers[1]), "{answers:?}");
}

#[test]
fn of_what_came_while_the_target_grew_the_last_filled_are_doubted_first() {
    let gone = [lost("i-1", 4, 300), lost("i-2", 4, 400)];
    let had = [
        instance("i-0", 8, -100, None),
        instance("i-1", 4, -100, Some(300)),
        instance("i-2", 4, -100, Some(400)),
    ];
    let with = |come: &[Instance], end| answer(&[&had, come].concat(), &gone, 16, end, 1000);
    let both = [instance("i-3", 4, 310, None), instance("i-4", 4, 410, None)];
    // Eight came, and the pool lacks four: they may be those of i-2. It lacks twelve: they may all be growth.
    let answers = with(&both, 20);
    assert!(
        by(&answers[0]) == ["i-3"] && is_not_replaced(&answers[1]),
        "{answers:?}"
    );
    let answers = with(&both, 28);
    assert!(answers.iter().all(is_not_replaced), "{answers:?}");
    // What the pool lacks because nothing came for i-2 casts no doubt on i-1.
    let answers = with(&both[..1], 16);
    assert!(
        by(&answers[0]) == ["i-3"] && is_not_replaced(&answers[1]),
        "{answers:?}"
    );
}

#[test]
fn a_pool_that_is_whole_again_lacks_nothing_of_what_went_before() {
    // For i-2's eight units only four were asked for after its notice; with those that i-1's loss brought it is whole.
    let mut second = lost("i-2", 8, 400);
    second.noticed_at = Some(at(390));
    let mut instances = [
        instance("i-0", 4, -100, None),
        instance("i-1", 4, -100, Some(300)),
        instance("i-2", 8, -100, Some(400)),
        instance("i-3", 8, 310, None),
        instance("i-4", 4, 395, None),
    ];
    let gone = [lost("i-1", 4, 300), second];
    let answers = answer(&instances, &gone, 16, 16, 1000);
    assert_eq!(by(&answers[0]), ["i-3"]);
    assert!(is_excused(&answers[1], Excuse::AtTarget), "{answers:?}");
    // Whole at a time of another target proves nothing: what counts is the most that it was asked for.
    instances[0].units = 3;
    let answers = answer(&instances, &gone, 16, 15, 1000);
    assert!(is_lowered(&answers[1]), "{answers:?}");
}

#[test]
fn a_pool_that_was_whole_when_the_instance_went_lacks_nothing_of_it_later() {
    // i-3 was there before i-2 went; somebody ended i-1 later.
    let mut instances = [
        instance("i-1", 8, -100, Some(700)),
        instance("i-2", 4, -100, Some(300)),
        instance("i-3", 4, 200, None),
    ];
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 1000);
    assert_eq!(by(&answers[0]), ["i-3"], "{answers:?}");
    // Ready in the loss's own second it was there too. What came as growth was not: the pool was short without i-2.
    instances[2].ready_at = Some(at(300));
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 1000);
    assert_eq!(by(&answers[0]), ["i-3"], "{answers:?}");
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 16, 1000);
    assert!(is_not_replaced(&answers[0]), "{answers:?}");
    // Asked for before the notice it came for nothing, but the pool had in that second what it was asked for.
    instances[2].created_at = Some(at(100));
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 1000);
    assert!(is_excused(&answers[0], Excuse::AtTarget), "{answers:?}");
    // The run had ended by then: nothing of it shows that the pool was whole.
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 300);
    assert!(is_excused(&answers[0], Excuse::JobEnded), "{answers:?}");
}

#[test]
fn two_that_came_make_up_for_two_that_went_whichever_came_for_which() {
    // i-3 was asked for between i-1's notice and its loss, i-4 after i-2's notice: nothing was left for it but what had been
    // put down to i-1.
    let instances = [
        instance("i-0", 4, -100, None),
        instance("i-1", 4, -100, Some(220)),
        instance("i-2", 4, -100, Some(420)),
        instance("i-3", 4, 150, None),
        instance("i-4", 4, 310, None),
    ];
    let answers = answer(&instances, &[lost("i-1", 4, 220), lost("i-2", 4, 420)], 12, 12, 1000);
    assert!(answers.iter().all(|one| !by(one).is_empty()), "{answers:?}");
    assert_eq!(by(&answers[1]), ["i-4"]);
}

#[test]
fn what_came_for_others_and_went_too_or_as_growth_makes_up_for_nothing() {
    // i-3 came for i-1, and i-4 as growth, of which the target was lowered again; then i-2 and i-3 went, and four units came.
    let (mut second, mut third) = (lost("i-2", 4, 700), lost("i-3", 4, 700));
    (second.noticed_at, third.noticed_at) = (Some(at(580)), Some(at(580)));
    let instances = [
        instance("i-0", 4, -100, None),
        instance("i-1", 4, -100, Some(300)),
        instance("i-2", 4, -100, Some(700)),
        instance("i-3", 4, 310, Some(700)),
        instance("i-4", 4, 320, None),
        instance("i-5", 4, 710, None),
    ];
    let answers = answer(&instances, &[lost("i-1", 4, 300), second, third], 12, 12, 1000);
    let replaced = answers.iter().filter(|one| matches!(one, Replacement::Replaced { .. }));
    assert_eq!(
        replaced.count(),
        2,
        "two of three had something in their place: {answers:?}"
    );
    assert!(
        answers.iter().any(|one| is_excused(one, Excuse::AtTarget)),
        "{answers:?}"
    );
}

#[test]
fn what_goes_after_the_run_is_no_part_of_what_the_pool_lacked_until_its_end() {
    // Eight of sixteen units went and nothing came; as the job ended, twelve were asked for, and the last four went.
    let instances = [
        instance("i-1", 4, -100, Some(300)),
        instance("i-2", 4, -100, Some(300)),
        instance("i-3", 4, -100, None),
        instance("i-4", 4, -100, Some(1005)),
    ];
    let gone = [lost("i-1", 4, 300), lost("i-2", 4, 300), lost("i-4", 4, 1005)];
    let answers = answer(&instances, &gone, 16, 12, 1000);
    assert!(
        is_not_replaced(&answers[0]) && is_not_replaced(&answers[1]),
        "{answers:?}"
    );
    assert!(is_excused(&answers[2], Excuse::JobEnded), "{answers:?}");
}

#[test]
fn what_goes_in_the_runs_last_moment_was_there_until_its_end() {
    // Of sixteen units twelve were asked for in the end: the first four that went were to spare, the next four were missing.
    for last in [999, 1000, 1001] {
        let instances = [
            instance("i-1", 4, -100, Some(300)),
            instance("i-2", 4, -100, Some(400)),
            instance("i-3", 4, -100, None),
            instance("i-4", 4, -100, Some(last)),
        ];
        let gone = [lost("i-1", 4, 300), lost("i-2", 4, 400), lost("i-4", 4, last)];
        let answers = answer(&instances, &gone, 16, 12, 1000);
        let told = is_lowered(&answers[0]) && is_not_replaced(&answers[1]) && is_excused(&answers[2], Excuse::JobEnded);
        assert!(told, "{last}: {answers:?}");
    }
}

#[test]
fn what_came_for_a_lowered_target_replaces_no_more_than_came() {
    // Six went in two waves, the target was lowered by one, and five came.
    let mut instances: Vec<Instance> = (0..6)
        .map(|id| instance(&format!("i-{id}"), 1, -100, Some(if id < 2 { 300 } else { 400 })))
        .collect();
    instances.extend((6..11).map(|id| instance(&format!("i-{id}"), 1, 500, None)));
    let gone: Vec<Interrupted> = (0..6)
        .map(|id| lost(&format!("i-{id}"), 1, if id < 2 { 300 } else { 400 }))
        .collect();
    let answers = answer(&instances, &gone, 5, 5, 1000);
    let replaced = answers.iter().filter(|one| matches!(one, Replacement::Replaced { .. }));
    assert_eq!(replaced.count(), 5, "{answers:?}");
    assert!(
        answers.iter().any(|one| is_excused(one, Excuse::AtTarget)),
        "{answers:?}"
    );
}

#[test]
fn of_what_the_pool_had_beyond_its_target_nothing_has_to_be_replaced() {
    // It had 20 units, was asked for 16, lost 8, and got 4.
    let instances = [
        instance("i-0", 12, -100, None),
        instance("i-1", 4, -100, Some(300)),
        instance("i-2", 4, -100, Some(310)),
        instance("i-3", 4, 320, None),
    ];
    let gone = [lost("i-1", 4, 300), lost("i-2", 4, 310)];
    let answers = answer(&instances, &gone, 16, 16, 1000);
    assert_eq!(by(&answers[0]), ["i-3"]);
    assert!(is_excused(&answers[1], Excuse::AtTarget), "{answers:?}");
    // It was asked for 12: nothing had to come, and nothing did.
    let answers = answer(&instances[..3], &gone, 12, 12, 1000);
    assert!(
        answers.iter().all(|one| is_excused(one, Excuse::AtTarget)),
        "{answers:?}"
    );
    // Of eight lost units the pool lacks four: those that went first were to spare, but not if both went at once.
    let answers = answer(&instances[..3], &gone, 16, 16, 1000);
    assert!(
        is_excused(&answers[0], Excuse::AtTarget) && is_not_replaced(&answers[1]),
        "{answers:?}"
    );
    let at_once = [lost("i-1", 4, 300), lost("i-2", 4, 305)];
    let answers = answer(&instances[..3], &at_once, 16, 16, 1000);
    assert!(answers.iter().all(is_not_replaced), "{answers:?}");
}

#[test]
fn what_was_ready_when_the_run_ended_took_no_work_of_it() {
    let instances = [
        instance("i-1", 8, -100, None),
        instance("i-2", 4, -100, Some(300)),
        instance("i-3", 4, 950, None),
    ];
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 1010);
    assert!(is_not_replaced(&answers[0]), "{answers:?}");
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 8, 1010);
    assert!(is_lowered(&answers[0]), "{answers:?}");
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 1011);
    assert_eq!(by(&answers[0]), ["i-3"]);
}

#[test]
fn each_pool_has_an_account_of_its_own_and_an_instance_of_none_has_none() {
    let elsewhere = |id: &str, created, ended| Instance {
        pool_id: "if-2".into(),
        ..instance(id, 4, created, ended)
    };
    let instances = [
        instance("i-1", 4, -100, Some(300)),
        elsewhere("i-2", -100, Some(300)),
        elsewhere("i-3", 310, None),
    ];
    let in_pool = |id: &str, pool: Option<&str>| Interrupted {
        pool_id: pool.map(str::to_owned),
        ..lost(id, 4, 300)
    };
    let mut pools = pool(4);
    pools.push(Pool {
        id: "if-2".into(),
        ..pools[0].clone()
    });
    let evidence = Evidence {
        instances: &instances,
        pools_at_start: Some(&pools),
        pools_at_end: Some(&pools),
        pools_now: None,
        is_scaled: None,
        run_ended_at: at(1000),
        run_may_go_on: false,
    };
    let gone = [
        in_pool("i-1", Some("if-1")),
        in_pool("i-2", Some("if-2")),
        in_pool("i-9", None),
    ];
    let answers = assess(&gone, &evidence);
    assert!(is_not_replaced(&answers["i-1"]), "{answers:?}");
    assert_eq!(by(&answers["i-2"]), ["i-3"]);
    assert!(matches!(answers["i-9"], Replacement::Unknown { .. }), "{answers:?}");
}

#[test]
fn a_loss_is_where_its_earliest_witness_puts_it_though_emr_saw_it_later() {
    // EMR found i-2 gone when the job was over; the pool was short from 300 on.
    let instances = [instance("i-1", 8, -100, None), instance("i-2", 4, -100, Some(1100))];
    let answers = answer(&instances, &[lost("i-2", 4, 300)], 12, 12, 1000);
    assert!(is_not_replaced(&answers[0]), "{answers:?}");
    let mut runs = lost("i-2", 4, 300);
    runs.terminated_at = None;
    let answers = answer(&instances, &[runs], 12, 12, 1000);
    assert!(matches!(answers[0], Replacement::Unknown { .. }), "{answers:?}");
}

#[test]
fn patience_ends_four_minutes_after_the_loss() {
    let instances = [instance("i-1", 8, -100, None), instance("i-2", 4, -100, Some(300))];
    let ended = |at| answer(&instances, &[lost("i-2", 4, 300)], 12, 12, at).remove(0);
    assert!(is_excused(&ended(539), Excuse::JobEnded) && is_not_replaced(&ended(540)));
    let mut primary = lost("i-2", 4, 300);
    primary.role = Some(Role::Master);
    let answers = answer(&instances, &[primary], 12, 12, 1000);
    assert!(is_excused(&answers[0], Excuse::PrimaryNode), "{answers:?}");
}
