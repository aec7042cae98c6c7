//! Event logs too large to hold, read from the simulated S3 in ranges: whole, in order, of one version, in bounded memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use aws::Aws;
use aws::Object;
use local::fault::Faults;
use local::spark_log_command::read_from_s3;
use local::world::World;
use rules::s3_location::S3Location;
use spark_log::{Limits, Part, SparkRun, read};
use tokio::sync::Notify;

const BUCKET: &str = "logs-of-spark";
const FOLDER: &str = "eventlog_v2_app-1";

/// One real log over and over: about 25 MB, and not a multiple of anything.
fn large_log() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/spark-event-logs/s35-baseline-sql-plain/log");
    let log = fs::read(folder.join("app-20261122085419-0000")).unwrap();
    log.repeat(25_000_000 / log.len() + 1)
}

/// A world with these objects in it, on a paused runtime.
fn with_objects<F: Future<Output = ()>>(
    seed: u64,
    faults: Faults,
    objects: &[(&str, Vec<u8>)],
    story: impl FnOnce(World, Aws) -> F,
) {
    tests::in_a_world(seed, faults, |world| {
        let store = world.lock().account.s3.clone();
        store.create_bucket(BUCKET);
        for (key, bytes) in objects {
            let uri = format!("s3://{BUCKET}/{key}");
            store.put(&uri, bytes.clone(), world.clock.now()).unwrap();
        }
        let aws = world.aws("reader", Arc::new(Notify::new()));
        story(world, aws)
    });
}

async fn listed(aws: &Aws) -> Vec<Object> {
    let place = S3Location {
        bucket: BUCKET.into(),
        prefix: String::new(),
    };
    aws.list(&place, 100).await.unwrap()
}

fn read_here(parts: &[(&str, Vec<u8>)]) -> SparkRun {
    let part = |(name, bytes): &(&str, Vec<u8>)| Part {
        name: (*name).to_owned(),
        bytes: std::io::Cursor::new(bytes.clone()),
    };
    read(parts.iter().map(part).collect(), &limits())
}

/// As `what-if` reads a log: with its task attempts.
fn limits() -> Limits {
    Limits {
        tasks_max: 100_000,
        ..Limits::default()
    }
}

fn json(run: &SparkRun) -> serde_json::Value {
    serde_json::to_value(run).unwrap()
}

#[test]
fn a_large_log_in_s3_reads_as_the_same_log_on_disk() {
    let objects = [("app-1", large_log())];
    let expected = json(&read_here(&objects));
    with_objects(1, Faults::default(), &objects, async |_, aws| {
        let run = read_from_s3(&aws, BUCKET, "app-1", &limits()).await.unwrap();
        assert_eq!(run.reading.bytes_read, objects[0].1.len() as u64);
        assert!(json(&run) == expected, "the readings differ");
        assert!(!run.task_attempts.is_empty() && run.task_attempts == read_here(&objects).task_attempts);
    });
}

#[test]
fn a_rolling_log_is_found_by_its_folder_and_by_the_folder_above_it() {
    let log = large_log();
    let half = log.len() / 2;
    let part = |number: u64| format!("spark/{FOLDER}/events_{number}_app-1");
    let marker = format!("spark/{FOLDER}/appstatus_app-1");
    // Ten sorts before two.
    let parts = [
        (&*part(1), Vec::new()),
        (&*part(2), log[..half].to_vec()),
        (&*part(10), log[half..].to_vec()),
    ];
    let expected = json(&read_here(&parts));
    let mut objects = parts.to_vec();
    objects.push((&marker, Vec::new()));
    with_objects(2, Faults::default(), &objects, async |_, aws| {
        for key in [
            format!("spark/{FOLDER}"),
            format!("spark/{FOLDER}/"),
            "spark".to_owned(),
        ] {
            let run = read_from_s3(&aws, BUCKET, &key, &limits()).await.unwrap();
            assert_eq!(run.reading.files, 3);
            assert!(json(&run) == expected, "the readings differ");
        }
    });
}

#[test]
fn ranges_reach_the_reader_in_order_whatever_the_order_in_which_they_arrive() {
    // Each number once: a range in the wrong place, twice or not at all would show.
    let bytes: Vec<u8> = (0..4_000_000_u32).flat_map(u32::to_le_bytes).chain([1, 2, 3]).collect();
    for seed in 0..5 {
        let faults = Faults {
            errors_percent: 20,
            ..Faults::default()
        };
        let objects = [("a", bytes.clone()), ("b", Vec::new()), ("c", bytes.clone())];
        with_objects(seed, faults, &objects, async |_, aws| {
            let objects = listed(&aws).await;
            let all = |readers: Vec<aws::RangeReader>| {
                let all = |mut reader: aws::RangeReader| {
                    let mut bytes = Vec::new();
                    reader.read_to_end(&mut bytes).unwrap();
                    bytes
                };
                readers.into_iter().map(all).collect::<Vec<_>>()
            };
            let read = aws.read_objects(BUCKET, &objects, all).await.unwrap();
            assert!(read == [bytes.clone(), Vec::new(), bytes.clone()], "seed {seed}");
        });
    }
}

#[test]
fn an_object_that_changes_while_it_is_read_is_an_error_that_names_it_and_the_range() {
    let objects = [("app-1", large_log())];
    with_objects(3, Faults::default(), &objects, async |world, aws| {
        let listed = listed(&aws).await;
        let store = world.lock().account.s3.clone();
        let now = world.clock.now();
        let change = move |mut readers: Vec<aws::RangeReader>| {
            let mut reader = readers.remove(0);
            reader.read_exact(&mut [0]).unwrap();
            store.put(&format!("s3://{BUCKET}/app-1"), "another", now).unwrap();
            reader.read_to_end(&mut Vec::new()).unwrap_err();
        };
        let error = aws.read_objects(BUCKET, &listed, change).await.unwrap_err();
        assert!(error.is_code("PreconditionFailed"), "{}", error.chain());
        assert!(error.chain().starts_with("reading bytes "), "{}", error.chain());
        assert!(
            error.chain().contains("of s3://logs-of-spark/app-1"),
            "{}",
            error.chain()
        );
    });
}

#[test]
fn a_reader_that_stands_still_holds_up_the_fetching_and_one_that_goes_ends_it() {
    let objects = [("a", large_log()), ("b", large_log())];
    with_objects(4, Faults::default(), &objects, async |world, aws| {
        let listed = listed(&aws).await;
        let before = world.lock().calls("reader");
        let other = world.clone();
        let calls_at = move |mut readers: Vec<aws::RangeReader>| {
            readers[0].read_exact(&mut [0]).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(200));
            other.lock().calls("reader") - before
        };
        let calls = aws.read_objects(BUCKET, &listed, calls_at).await.unwrap();
        assert!((1..=5).contains(&calls), "{calls} ranges were fetched for one");
        let calls = world.lock().calls("reader") - before;
        assert!(calls <= 10, "{calls} ranges were fetched for nobody");
    });
}

#[test]
fn what_is_not_there_is_said() {
    let objects = [("spark/app-1", large_log()), ("spark/app-2", large_log())];
    with_objects(5, Faults::default(), &objects, async |_, aws| {
        for (bucket, key, words) in [
            (BUCKET, "spark/app-3", "s3://logs-of-spark/spark/app-3: no such object"),
            (
                BUCKET,
                "spark",
                "s3://logs-of-spark/spark holds 2 logs; name one of them:",
            ),
            ("no-such-bucket", "x", "there is no bucket no-such-bucket"),
        ] {
            let error = read_from_s3(&aws, bucket, key, &limits()).await.unwrap_err();
            assert!(error.to_string().starts_with(words), "{error:#}");
        }
    });
}
