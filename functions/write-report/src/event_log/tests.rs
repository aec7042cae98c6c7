//! Which logs are a step's, by their names and their times.

use super::*;

fn log(location: &str, application_id: &str) -> Log {
    Log {
        location: format!("s3://logs/e/{location}"),
        run: SparkRun {
            application_id: Some(application_id.into()),
            ..SparkRun::default()
        },
    }
}

fn chosen(logs: Vec<Log>, submitted: &[&str]) -> Result<(String, usize), NotFound> {
    let submitted: Vec<String> = submitted.iter().map(|id| (*id).to_owned()).collect();
    let place: S3Location = "s3://logs/e/".parse().unwrap();
    choose(logs, &submitted, &place).map(|log| (log.location, log.runs.len()))
}

#[test]
fn attempts_of_one_application_are_its_log() {
    let attempts = vec![
        log("application_1_1_2", "application_1_1"),
        log("application_1_1_1", "application_1_1"),
    ];
    let expected = ("s3://logs/e/application_1_1_2".to_owned(), 2);
    assert_eq!(chosen(attempts, &["application_1_1"]), Ok(expected));
    // One that breaks off at its begin is known by its name.
    let mut begun = log("eventlog_v2_application_1_2_1", "");
    begun.run.application_id = None;
    assert_eq!(chosen(vec![begun], &["application_1_2"]).map(|(_, runs)| runs), Ok(1));
}

#[test]
fn where_none_or_several_are_found_the_words_say_whose_were_looked_for() {
    let why = |logs, submitted: &[&str]| {
        let not_found = chosen(logs, submitted).unwrap_err();
        (not_found.why, not_found.several)
    };
    let two = || {
        vec![
            log("application_1_1", "application_1_1"),
            log("application_1_2", "application_1_2"),
        ]
    };
    for (logs, submitted, words, several) in [
        (
            vec![],
            &[][..],
            "no log in s3://logs/e/ is of an application that ran inside the step's time",
            false,
        ),
        (
            vec![],
            &["a_1", "a_2"],
            "no log in s3://logs/e/ is of a_1 or a_2",
            false,
        ),
        (
            two(),
            &[],
            "2 applications in s3://logs/e/ ran inside the step's time",
            true,
        ),
        (
            two(),
            &["a_1", "a_2"],
            "the step submitted 2 applications: a_1, a_2",
            false,
        ),
    ] {
        assert_eq!(why(logs, submitted), (words.to_owned(), several));
    }
}

#[test]
fn an_application_lies_inside_the_steps_time_give_or_take_what_the_end_of_a_step_takes() {
    let (began, ended) = (
        DateTime::from_timestamp(1_000, 0).unwrap(),
        DateTime::from_timestamp(2_000, 0).unwrap(),
    );
    let inside = |from: i64, until: Option<i64>| {
        let run = SparkRun {
            started_at_ms: Some(from),
            ended_at_ms: until,
            ..SparkRun::default()
        };
        is_inside(&run, began, ended)
    };
    let slack = 2_000_000 + SLACK.num_milliseconds();
    assert!(inside(1_000_000, Some(slack)) && inside(slack, None));
    assert!(!inside(999_999, None) && !inside(slack + 1, None) && !inside(1_000_000, Some(slack + 1)));
    assert!(!is_inside(&SparkRun::default(), began, ended));
}

/// A step that waits ends within a minute of its application.
#[test]
fn an_application_that_ended_long_before_the_step_is_anothers() {
    let ended = DateTime::from_timestamp(1_795_348_800, 0).unwrap();
    let ended_before = |id: &str, seconds: Option<i64>| {
        let mut log = log(id, id);
        log.run.ended_at_ms = seconds.map(|seconds| (ended - TimeDelta::seconds(seconds)).timestamp_millis());
        log
    };
    let mut logs = vec![
        ended_before("application_1_1", Some(5)),
        ended_before("application_1_2", Some(60)),
        ended_before("application_1_3", Some(61)),
        ended_before("application_1_4", Some(900)),
        // It breaks off.
        ended_before("application_1_5", None),
        // Of two attempts the last counts.
        ended_before("application_1_6", Some(900)),
        ended_before("application_1_6", Some(5)),
    ];
    keep_those_that_end_with_the_step(&mut logs, ended);
    let kept: Vec<&str> = logs
        .iter()
        .map(|log| log.location.rsplit('_').next().unwrap())
        .collect();
    assert_eq!(kept, ["1", "2", "5", "6", "6"]);
}
