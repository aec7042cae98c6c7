//! Whatever the bytes, the event-log reader ends, does not panic, accounts for every line, and reads the same whether
//! one thread does it or two. Seeds: the logs under `tests/data/spark-event-logs`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spark_log::{Limits, Part, SparkRun, order_parts, read, read_parallel};

const NAMES: [&str; 7] = [
    "log",
    "a.zstd",
    "a.lz4.inprogress",
    "events_1_a.snappy",
    "events_2_a.lzf.compact",
    "a.zst",
    "events_0_a.gz",
];

fn parts<'b>(name: &str, bytes: &'b [u8]) -> Vec<Part<&'b [u8]>> {
    vec![Part {
        name: name.to_owned(),
        bytes,
    }]
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let name = NAMES[usize::from(*choice) % NAMES.len()];
    let limits = Limits {
        line_bytes_max: 4_000,
        string_bytes_max: 100,
        ratio_max: 200,
        faults_max: 20,
        zstd_window_log_max: 20,
        block_bytes: 3_000,
        tasks_max: 0,
    };
    let run = read(parts(name, bytes), &limits);
    let reading = &run.reading;
    let used = reading.lines_parsed + reading.passed_over.values().sum::<u64>();
    assert!(used <= reading.lines && reading.lines <= used + reading.skipped.values().sum::<u64>());
    assert_eq!(run, read_parallel(parts(name, bytes), &limits, |_| ()));
    let json = serde_json_round_trip(&run);
    // The one number that is no part of the JSON.
    let json = SparkRun {
        further_applications: run.further_applications,
        ..json
    };
    assert_eq!(run, json);
    if let Ok(text) = std::str::from_utf8(bytes) {
        order_parts(&mut text.lines().map(str::to_owned).collect());
    }
});

fn serde_json_round_trip(run: &SparkRun) -> SparkRun {
    let json = serde_json::to_vec(run).expect("it is plain data");
    serde_json::from_slice(&json).expect("it was just written")
}
