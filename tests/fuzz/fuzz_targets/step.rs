//! Whatever words a step has, it is read in bounded time, and of two places that it names each overlaps the other or
//! neither does. The input is a word a line, the JAR first.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use rules::place::named_in;
use rules::s3_location::S3Location;
use rules::step::Step;

/// Pairs of places would be too many of more.
const PLACES_MAX: usize = 30;

fuzz_target!(|text: &str| {
    let mut words = text.lines().map(str::to_owned);
    let step = Step {
        id: "s-1".into(),
        name: "a step".into(),
        state: "RUNNING".into(),
        created_at: None,
        started_at: None,
        ended_at: None,
        jar: words.next().unwrap_or_default(),
        args: words.collect(),
        properties: BTreeMap::new(),
        failure: None,
        log_uri: None,
        application_ids: Vec::new(),
    };
    step.launch();
    step.runs();
    step.spark_arguments();
    step.spark_conf("spark.eventLog.dir");
    step.program();
    step.application_arguments();
    step.waits_for_application(&BTreeMap::new());
    rules::job::of(&step);
    if let Some(output) = step.output() {
        assert!(output.holds(&output), "{output}");
    }
    let places = named_in(step.words());
    for one in places.iter().take(PLACES_MAX) {
        assert!(one.overlaps(one), "{one}");
        for other in places.iter().take(PLACES_MAX) {
            assert_eq!(one.overlaps(other), other.overlaps(one), "{one} {other}");
        }
    }
    if let Ok(location) = text.parse::<S3Location>() {
        assert_eq!(location.to_string().parse::<S3Location>().as_ref(), Ok(&location));
    }
});
