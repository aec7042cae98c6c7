//! What the page says, of answers made by hand.

use super::*;
use crate::answer::Part;
use crate::distribution::Distribution;
use crate::remedy::Effect;

#[test]
fn times_are_as_long_as_they_need() {
    assert_eq!(
        (time(9.04), time(60.0), time(3_661.0)),
        ("9.0 s".into(), "1 min 00 s".into(), "1 h 01 min".into())
    );
    for (seconds, words) in [
        (59.94, "59.9 s"),
        (59.95, "1 min 00 s"),
        (3_599.4, "59 min 59 s"),
        (3_599.5, "1 h 00 min"),
    ] {
        assert_eq!(time(seconds), words);
    }
    assert_eq!(signed(-61.0), "−1 min 01 s");
    assert_eq!((signed(0.0), signed(2.0)), ("+0.0 s".into(), "+2.0 s".into()));
}

#[test]
fn only_what_helps_beyond_chance_is_said_to_help() {
    let effect = |is_sure, until_done_seconds| Effect {
        change: "more memory".to_owned(),
        price: String::new(),
        until_done_seconds,
        plus_minus_seconds: 1.0,
        failed: 0.0,
        undisturbed_seconds: 0.0,
        is_sure,
    };
    let none = "None of the changes that were tried helps beyond chance.";
    let most = "What helps most, by the same 10 runs: more memory (3.0 s earlier done, on average).";
    for (best, words) in [
        (Some(effect(true, -3.0)), most),
        (Some(effect(false, -3.0)), none),
        (Some(effect(true, 3.0)), none),
        (Some(effect(true, 0.0)), none),
        (None, "What would help was not asked."),
    ] {
        let answer = Answer {
            remedies: best.into_iter().collect(),
            ..Answer::blank()
        };
        assert_eq!(so_what(&answer), words);
    }
}

#[test]
fn a_moment_is_the_worse_the_more_it_adds_where_a_failed_run_costs_another() {
    let part = |from, failed, mean| Part {
        added_seconds: Distribution {
            mean,
            p50: mean,
            ..Distribution::default()
        },
        ..Part::that_fails(from, from + 10.0, failed)
    };
    // Of a run of a hundred seconds: 30 s, 60 s, 100 s, 59 s and nothing.
    let curve = vec![
        part(0.0, 0.0, 30.0),
        part(10.0, 0.5, 10.0),
        part(20.0, 1.0, 0.0),
        part(30.0, 0.01, 58.0),
        part(40.0, 0.0, 0.0),
    ];
    let rows = fragile(&Answer {
        curve,
        ..Answer::blank()
    });
    let said: Vec<_> = rows
        .iter()
        .map(|[from, _, adds, fails]| (&from[..6], &adds[..], &fails[..]))
        .collect();
    assert_eq!(
        said,
        [
            ("20.0 s", "none ends", "100.0 %"),
            ("10.0 s", "+10.0 s", "50.0 %"),
            ("30.0 s", "+58.0 s", "1.0 %"),
            ("0.0 s ", "+30.0 s", "0.0 %")
        ]
    );
}

#[test]
fn chances_of_verdicts_are_said_in_the_order_of_their_weight() {
    let verdicts = Verdicts {
        survived: 0.5,
        degraded: 0.25,
        failed: 0.2,
        inconclusive: 0.05,
    };
    let words = "survived 50.0 %, degraded 25.0 %, failed 20.0 %, nothing shown 5.0 %";
    assert_eq!(verdicts_words(verdicts), words);
}

#[test]
fn what_turns_text_does_not_get_through() {
    assert_eq!(plain("a\u{202e}b\u{7}c"), "abc");
}

#[test]
fn a_page_is_as_grave_as_its_runs_fail_often() {
    for (failed, tone) in [
        (0.0, "survived"),
        (0.001, "degraded"),
        (0.049, "degraded"),
        (0.05, "failed"),
        (1.0, "failed"),
    ] {
        let mut answer = Answer::blank();
        answer.result.failed = failed;
        let html = render(&answer).unwrap();
        assert!(html.contains(&format!("<h1 class=\"{tone}\">")), "{failed}");
    }
}

#[test]
fn what_spot_saves_or_costs_more_is_the_part_of_the_cost_on_demand_and_nothing_where_nothing_is_paid() {
    let month = |spot_cost, on_demand_cost| Month {
        market: "so it is".to_owned(),
        runs: 30,
        nodes: 4,
        spot_node_hours: 1.0,
        on_demand_node_hours: 1.0,
        spot_cost,
        on_demand_cost,
        result: Spread::of(&[]),
    };
    for (spot, on_demand, said) in [
        (25.0, 100.0, "(75.0 % less)"),
        (0.0, 0.5, "(100.0 % less)"),
        (110.0, 100.0, "(10.0 % more)"),
        (100.0, 100.0, "(0.0 % less)"),
        (0.0, 0.0, "(0.0 % less)"),
    ] {
        let words = month_words(&month(spot, on_demand));
        assert!(words.contains(said), "{words}");
    }
}

#[test]
fn where_every_run_fails_no_run_is_said_to_take_longer() {
    let mut answer = Answer::blank();
    answer.result.failed = 1.0;
    assert_eq!(headline(&answer), "Every run fails: one node.");
    answer.result.failed = 0.25;
    answer.result.run_seconds.max = 130.0;
    (answer.result.added_seconds.p50, answer.result.added_seconds.p90) = (-1.0, 30.0);
    let words = "If it loses one node, 25.0 % of the runs fail; half of the others take at least 0.0 s longer, one in ten at \
                 least 30.0 s.";
    assert_eq!(headline(&answer), words);
}
