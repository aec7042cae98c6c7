//! The functions' settings, as the environment of a deployment may have them: taken, or refused by the setting's name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use clap::{Command, Parser};
use proptest::prelude::*;

/// What a function cannot do without, so that one setting at a time is looked at.
const REQUIRED: [(&str, &str); 4] = [
    ("table-name", "t"),
    ("experiment-template-id", "EXT1"),
    ("report-bucket", "b"),
    ("results-locations", "s3://bucket/results/"),
];

/// How the command line of a function is read, and what it can have.
struct Function {
    command: Command,
    read: fn(&[String]) -> Result<(), clap::Error>,
}

impl Function {
    fn of<T: Parser>() -> Self {
        Self {
            command: T::command(),
            read: |arguments| T::try_parse_from(arguments).map(drop),
        }
    }
}

fn functions() -> [Function; 4] {
    [
        Function::of::<start_experiment::Config>(),
        Function::of::<record_interruption::Config>(),
        Function::of::<write_report::Config>(),
        Function::of::<submit_step::Config>(),
    ]
}

/// The names of the settings, of which each has a variable of the environment.
fn names(command: &Command) -> Vec<String> {
    let with_variable = command.get_arguments().filter(|one| one.get_env().is_some());
    with_variable.map(|one| one.get_long().unwrap().to_owned()).collect()
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "(s3|s3a|http)://[a-z*]{0,3}/?[a-z/*,]{0,6}",
        "(all|tagged|opted-in|run|preview|off|on|ON|true|null|s3:|arn:aws:[a-z]{2}::)",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_setting_is_it_is_taken_or_refused_by_its_name(
        which in 0..4_usize,
        place in any::<prop::sample::Index>(),
        value in values(),
    ) {
        let Function { command, read } = &functions()[which];
        let names = names(command);
        let name = place.get(&names);
        let mut arguments = vec![command.get_name().to_owned()];
        let needed = REQUIRED.iter().filter(|(known, _)| known != name && names.iter().any(|one| one == known));
        arguments.extend(needed.map(|(known, value)| format!("--{known}={value}")));
        arguments.push(format!("--{name}={value}"));
        if let Err(error) = read(&arguments) {
            let words = error.to_string();
            prop_assert!(words.contains(&format!("--{name}")), "{arguments:?}: {words}");
        }
    }
}
