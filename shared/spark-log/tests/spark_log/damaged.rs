//! Logs that are cut, broken, foreign or hostile: all that is readable is used, and what is not is said.
//!
//! Separate because here there is no oracle: a damaged log is compared with the whole one.

use std::collections::BTreeMap;

use proptest::prelude::*;
use spark_log::{Limits, Part, read, read_parallel};

use crate::logs::{case, files, parts, read_bytes, read_files, text};

#[test]
fn a_missing_rolled_file_is_said() {
    let mut files = files(&case("s35-many-zstd-rolling"));
    files.remove(0);
    let run = read_files(&files);
    // The first that is there is the second or the third: some count from 0.
    assert_eq!(
        run.reading.skipped["rolled files missing before or between those given, at least"],
        1
    );
    assert!(!run.reading.complete);
    assert!(run.tasks.successful > 900);
}

#[test]
fn half_a_last_line_is_said_and_all_before_it_is_used() {
    let text = text("s35-between-rdd-plain");
    let whole = read_bytes("log", text.as_bytes());
    let half = read_bytes("log", &text.as_bytes()[..text.len() - 20]);
    assert_eq!(
        half.reading.skipped,
        BTreeMap::from([("lines cut short".to_owned(), 1)])
    );
    assert_eq!(half.tasks, whole.tasks);
    assert_eq!(
        (half.ended_at_ms, half.reading.in_progress, half.reading.complete),
        (None, true, false)
    );
    // A line that lacks only its newline is whole.
    assert_eq!(read_bytes("log", text.trim_end().as_bytes()).stages, whole.stages);
    assert!(read_bytes("log", text.trim_end().as_bytes()).reading.complete);
}

#[test]
fn nothing_is_lost_before_the_place_where_a_file_is_cut() {
    for name in [
        "s35-kill-map-rdd-zstd",
        "s35-fetchfail-rdd-lz4",
        "s35-decom-sql-snappy",
        "s35-multikill-rdd-lzf-rolling",
    ] {
        let files = files(&case(name));
        let whole = read_files(&files);
        let (mut tasks_before, mut bytes_before) = (0, 0);
        for percent in (0..100).step_by(3) {
            let (name, bytes) = &files[0];
            let run = read_bytes(name, &bytes[..bytes.len() * percent / 100]);
            assert!(
                run.tasks.successful >= tasks_before && run.tasks.successful <= whole.tasks.successful,
                "{name}"
            );
            assert!(run.reading.bytes_decoded >= bytes_before, "{name}");
            assert!(
                percent == 0 || !run.reading.skipped.is_empty() || run.reading.in_progress,
                "{name} {percent}"
            );
            assert!(!run.reading.complete);
            (tasks_before, bytes_before) = (run.tasks.successful, run.reading.bytes_decoded);
        }
        assert!(tasks_before * 10 > whole.tasks.successful * 8, "{name}");
    }
}

/// Behind an LZ4 block's name come a byte, two lengths and the checksum of what it holds.
/// <https://github.com/lz4/lz4-java/blob/1.8.0/src/java/net/jpountz/lz4/LZ4BlockOutputStream.java>
#[test]
fn of_lz4_blocks_none_is_used_whose_checksum_is_another() {
    let whole = files(&case("s35-fetchfail-rdd-lz4"));
    let blocks: Vec<usize> = memchr::memmem::find_iter(&whole[0].1, b"LZ4Block").collect();
    assert!(blocks.len() > 2, "{blocks:?}");
    // The last one is empty, and says that the file is whole.
    for at in &blocks[..blocks.len() - 1] {
        let mut files = whole.clone();
        files[0].1[at + 8 + 1 + 4 + 4] ^= 1;
        let run = read_files(&files);
        let said = format!("{:?}", run.reading.skipped);
        assert!(said.contains("broken lz4 blocks"), "{at}: {said}");
    }
}

#[test]
fn what_follows_a_broken_place_is_still_read() {
    for name in [
        "s35-many-zstd-rolling",
        "s35-fetchfail-rdd-lz4",
        "s35-decom-sql-snappy",
        "s35-multikill-rdd-lzf-rolling",
    ] {
        let mut files = files(&case(name));
        let whole = read_files(&files);
        let length = files[0].1.len();
        for byte in &mut files[0].1[length / 2..length / 2 + 8] {
            *byte = !*byte;
        }
        let run = read_files(&files);
        assert!(!run.reading.skipped.is_empty(), "{name}");
        assert!(!run.reading.complete, "{name}");
        assert_eq!(run.started_at_ms, whole.started_at_ms, "{name}");
        assert_eq!(run.ended_at_ms, whole.ended_at_ms, "{name}: {:?}", run.reading.skipped);
        assert!(
            run.tasks.successful * 10 >= whole.tasks.successful * 4,
            "{name}: {:?}",
            run.reading
        );
    }
}

#[test]
fn invalid_utf8_costs_no_event() {
    let text = text("s35-jobfail-rdd-plain");
    let whole = read_bytes("log", text.as_bytes());
    let mut bytes = text.replacen("wordcount", "wordc?unt", 1).into_bytes();
    let at = bytes.windows(9).position(|window| window == b"wordc?unt").unwrap();
    bytes[at + 5] = 0xff;
    let run = read_bytes("log", &bytes);
    assert_eq!(run.reading.skipped.values().sum::<u64>(), 1);
    assert_eq!(run.summary, whole.summary);
}

#[test]
fn unknown_events_and_other_forms_of_the_known_are_read_as_what_they_are() {
    let text = text("s35-jobfail-rdd-plain");
    let whole = read_bytes("log", text.as_bytes());
    let spaced = text
        .replace("{\"Event\":\"", "{ \"Event\" : \"")
        .replace("\"Task Info\":{", "\"Task Info\": {");
    let spaced = read_bytes("log", spaced.replace('\n', "\r\n\n").as_bytes());
    assert_eq!(
        (&spaced.summary, &spaced.tasks, spaced.reading.lines),
        (&whole.summary, &whole.tasks, whole.reading.lines)
    );
    assert!(spaced.reading.complete);
    let foreign = format!(
        "{{\"Event\":\"com.example.Mine\",\"x\":[1]}}\n{text}not json\n{{\"Event\":\"SparkListenerJobEnd\"}}\n"
    );
    let foreign = read_bytes("log", foreign.as_bytes());
    assert_eq!(foreign.reading.passed_over["com.example.Mine"], 1);
    assert_eq!(foreign.reading.skipped["lines that are not JSON objects"], 1);
    assert_eq!(foreign.reading.skipped["events without the fields expected"], 1);
    assert_eq!(foreign.summary, whole.summary);
}

#[test]
fn a_newline_that_is_missing_costs_no_event() {
    let text = text("s35-jobfail-rdd-plain");
    let whole = read_bytes("log", text.as_bytes());
    let ends: Vec<usize> = text
        .match_indices("}\n{\"Event\":\"SparkListenerTaskEnd")
        .map(|(at, _)| at + 1)
        .collect();
    for at in &ends {
        let joined = [&text[..*at], &text[at + 1..]].concat();
        let run = read_bytes("log", joined.as_bytes());
        assert_eq!(run.summary, whole.summary);
        assert_eq!(
            run.reading.skipped.values().sum::<u64>(),
            u64::from(run.reading.skipped.len() == 1)
        );
    }
    assert!(ends.len() > 5);
    // Of lines of one length, however early they are joined.
    let line = text.lines().find(|line| line.contains("TaskEnd")).unwrap();
    for before in ["", "\n"] {
        let joined = [if before.is_empty() { "" } else { line }, before, line, line, "\n"].concat();
        let run = read_bytes("log", joined.as_bytes());
        let lines = 2 + before.len() as u64;
        assert_eq!(
            (run.reading.lines, run.reading.lines_parsed),
            (lines, lines),
            "{before:?}"
        );
        assert_eq!(run.reading.skipped["newlines missing between lines"], 1);
    }
    // However many there are, it takes no more than a loop.
    let many = "{\"Event\":\"".repeat(200_000);
    assert_eq!(
        read_bytes("log", many.as_bytes()).reading.skipped["newlines missing between lines"],
        199_999
    );
}

/// Lines far longer than the limit, given as a stream, so that nobody holds them.
#[test]
fn lines_of_a_hundred_megabytes_are_read_without_being_held() {
    use std::io::{Read, repeat};
    let text = text("s35-jobfail-rdd-plain");
    let whole = read_bytes("log", text.as_bytes());
    let (head, tail) = text.split_at(text.find("{\"Event\":\"SparkListenerApplicationEnd\"").unwrap());
    let sql_head = r#"{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart","executionId":7,"description":""#;
    let sql_tail = "\",\"sparkPlanInfo\":{\"a\":[{}]},\"time\":99}\n";
    let unneeded = r#"{"Event":"com.example.Huge","x":""#;
    let limits = Limits {
        line_bytes_max: 1 << 20,
        ..Limits::default()
    };
    let long = || repeat(b'x').take(100 << 20);
    let bytes = head
        .as_bytes()
        .chain(sql_head.as_bytes())
        .chain(long())
        .chain(sql_tail.as_bytes())
        .chain(unneeded.as_bytes())
        .chain(long())
        .chain("\"}\n".as_bytes())
        .chain(tail.as_bytes());
    let run = read_parallel(
        vec![Part {
            name: "log".to_owned(),
            bytes,
        }],
        &limits,
        |_| (),
    );
    assert_eq!(run.summary, whole.summary);
    assert!(run.reading.complete, "{:?}", run.reading.skipped);
    assert_eq!(run.reading.passed_over["com.example.Huge"], 1);
    assert_eq!(run.reading.lines, whole.reading.lines + 2);
    assert_eq!(
        (run.sql_executions[0].id, run.sql_executions[0].started_at_ms),
        (7, Some(99))
    );
    assert!(run.sql_executions[0].description.len() <= 128 << 10);
    let endless = head.as_bytes().chain(long());
    let run = read(
        vec![Part {
            name: "log".to_owned(),
            bytes: endless,
        }],
        &limits,
    );
    assert_eq!(
        run.reading.skipped.values().sum::<u64>(),
        1,
        "{:?}",
        run.reading.skipped
    );
}

#[test]
fn a_tasks_line_too_long_to_hold_is_a_line_whole_or_cut_short() {
    let text = text("s35-jobfail-rdd-plain");
    let is_success = |line: &&str| line.contains("TaskEnd") && line.contains(r#"{"Reason":"Success"}"#);
    let line = text.lines().find(is_success).unwrap();
    // Its start is more than what is read by hand, and less than all of it.
    let limits = Limits {
        line_bytes_max: 800,
        block_bytes: 1 << 10,
        ..Limits::default()
    };
    assert!(line.len() > 2 << 10, "{}", line.len());
    for (cut, end, parsed) in [(0, "\n", 1), (20, "", 0)] {
        let bytes = [&line[..line.len() - cut], end].concat();
        let part = Part {
            name: "log".to_owned(),
            bytes: bytes.as_bytes(),
        };
        let run = read(vec![part], &limits);
        assert_eq!((run.reading.lines, run.reading.lines_parsed), (1, parsed));
        let cut_short = run.reading.skipped.get("lines cut short").copied();
        assert_eq!(cut_short, (cut > 0).then_some(1), "{:?}", run.reading.skipped);
        assert_eq!(run.tasks.successful, parsed);
    }
}

#[test]
fn a_broken_zstd_frame_is_one_broken_place_up_to_the_next_frame() {
    let frame = zstd::encode_all(&b"{\"Event\":\"com.example.Mine\"}\n"[..], 0).unwrap();
    // A frame's mark, and then no frame: the reserved bit of its header is set.
    let broken = [&frame[..4], &[0xff; 40]].concat();
    for (bytes, frames) in [
        ([&frame[..], &broken, &frame, &frame].concat(), 3),
        ([&frame[..], &broken].concat(), 1),
    ] {
        let run = read_bytes("log.zstd", &bytes);
        assert_eq!(run.reading.passed_over["com.example.Mine"], frames);
        assert_eq!(
            run.reading.skipped.get("broken zstd frames"),
            Some(&1),
            "{:?}",
            run.reading.skipped
        );
    }
}

#[test]
fn a_decompression_bomb_is_left() {
    // One zstd frame of blocks that each repeat a byte 128 KiB times.
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    for _ in 0..20_000 {
        let header: u32 = (128 << 10) << 3 | 1 << 1;
        bomb.extend_from_slice(&header.to_le_bytes()[..3]);
        bomb.push(b'x');
    }
    let run = read_bytes("log.zstd", &bomb);
    assert_eq!(
        run.reading.skipped["files left because they decode to more than the ratio allowed"],
        1
    );
    assert!(run.reading.bytes_decoded < 200 << 20, "{}", run.reading.bytes_decoded);
}

#[test]
fn a_reader_that_fails_is_said() {
    struct Fails;
    impl std::io::Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    use std::io::Read;
    let text = text("s35-jobfail-rdd-plain");
    let run = read(
        vec![Part {
            name: "log".to_owned(),
            bytes: text.as_bytes().chain(Fails),
        }],
        &Limits::default(),
    );
    assert_eq!(run.reading.skipped["files whose bytes could not be read to the end"], 1);
    assert_eq!(run.jobs.len(), 1);
}

/// Small logs of each codec, to be damaged.
fn damaged(name: &str) -> Vec<(String, Vec<u8>)> {
    files(&case(name))
}

const CODECS: [&str; 5] = [
    "s35-jobfail-rdd-plain",
    "s35-kill-map-rdd-zstd",
    "s35-fetchfail-rdd-lz4",
    "s43-noise-rdd-snappy",
    "s35-multikill-rdd-lzf-rolling",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_anywhere_never_panics_and_both_readers_agree(
        codec in 0..CODECS.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
        line_bytes_max in prop::sample::select(vec![100_usize, 3_000, 1 << 20]),
    ) {
        let mut files = damaged(CODECS[codec]);
        let bytes = &mut files[0].1;
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let limits = Limits { line_bytes_max, string_bytes_max: 200, block_bytes: 4_096, ..Limits::default() };
        let one = read(parts(&files), &limits);
        prop_assert_eq!(&one, &read_parallel(parts(&files), &limits, |_| ()));
        let reading = &one.reading;
        let unread: u64 = reading.skipped.values().sum();
        let used = reading.lines_parsed + reading.passed_over.values().sum::<u64>();
        prop_assert!(used <= reading.lines && reading.lines <= used + unread);
    }

    #[test]
    fn bytes_without_sense_never_panic(
        mark in prop::sample::select(vec![
            &[][..], &[0x28, 0xb5, 0x2f, 0xfd], b"LZ4Block\x25", &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0], b"ZV\x01",
            b"{\"Event\":\"SparkListenerTaskEnd\",\"Stage ID\":",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..4_000),
        name in prop::sample::select(vec!["log", "events_1_a.zstd", "a.lz4", "a.snappy.inprogress", "events_18446744073709551615_a.lzf.compact"]),
    ) {
        let bytes = [mark, bytes.as_slice()].concat();
        let run = read_bytes(name, &bytes);
        prop_assert!(!run.reading.complete);
    }

    #[test]
    fn the_order_of_events_changes_no_count_of_task_ends(seed in any::<u64>()) {
        let text = text("s35-jobfail-rdd-plain");
        let whole = read_bytes("log", text.as_bytes());
        let mut lines: Vec<&str> = text.lines().collect();
        let mut state = seed | 1;
        for index in (1..lines.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            lines.swap(index, usize::try_from(state >> 33).unwrap() % (index + 1));
        }
        let run = read_bytes("log", lines.join("\n").as_bytes());
        prop_assert_eq!(run.lost_work.total_task_time_ms, whole.lost_work.total_task_time_ms);
        prop_assert_eq!(run.tasks.failed_by_reason, whole.tasks.failed_by_reason);
        prop_assert_eq!(run.tasks.successful, whole.tasks.successful);
        prop_assert_eq!(run.reading.lines_parsed, whole.reading.lines_parsed);
        prop_assert_eq!(run.settings, whole.settings);
        prop_assert!(run.reading.complete);
    }
}
