//! What is no log, or not all of one, or packed: read where that can be, and named for what it is where it cannot.
//!
//! Separate because here the files matter, and not what their events mean.

use std::io::Write as _;

use spark_log::SparkRun;

use crate::logs::{read_bytes, read_files, read_text, small_files, small_run, small_text, text};

/// What is said of a reading that is not complete: never nothing.
fn reasons(run: &SparkRun) -> Vec<&str> {
    assert!(!run.reading.complete);
    let mut reasons: Vec<&str> = run.reading.skipped.keys().map(String::as_str).collect();
    reasons.extend(run.reading.in_progress.then_some("in progress"));
    reasons.extend(run.reading.compacted.then_some("compacted"));
    reasons
}

#[test]
fn an_archive_is_refused_by_its_name() {
    let zip = small_files("history-server-zip");
    let run = read_files(&zip);
    assert_eq!(
        reasons(&run),
        [
            "zip archives, which are not unpacked here: unpack them first",
            "in progress"
        ]
    );
    assert_eq!((run.reading.lines, run.reading.files), (0, 1));
    let mut tar = vec![0; 512];
    tar[..5].copy_from_slice(b"app-1");
    tar[257..262].copy_from_slice(b"ustar");
    for (start, what) in [
        (&b"BZh91AY&SY"[..], "bzip2"),
        (b"\xfd7zXZ\0\0\x04", "xz"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "7z"),
        (b"\x04\x22\x4d\x18\x64\x40\xa7", "lz4 program"),
        (b"\xff\x06\0\0sNaPpY\0", "snappy's framing"),
        (b"PAR1\x15\x04", "Parquet"),
        (&tar, "tar archives"),
    ] {
        // The name may be of a log, or of one of Spark's codecs.
        for name in ["application_1_0001", "application_1_0001.lz4", "events_1_a.zstd"] {
            let run = read_bytes(name, start);
            assert_eq!(run.reading.skipped.len(), 1, "{what}: {:?}", run.reading.skipped);
            assert!(reasons(&run)[0].contains(what), "{what}: {:?}", run.reading.skipped);
        }
    }
    // Among files that can be read, it costs no more than itself.
    let mut several = vec![("a.zip".to_owned(), zip[0].1.clone())];
    several.extend(small_files("yarn-remove-reasons"));
    let run = read_files(&several);
    assert_eq!((run.executors.len(), run.reading.skipped.len()), (2, 1));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new()
        .filename("log")
        .comment("of a test")
        .extra(vec![1, 2, 3])
        .write(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_log_packed_with_gzip_is_read() {
    let run = small_run("gzip");
    assert_eq!(
        run.reading.skipped.keys().collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "{:?}",
        run.reading
    );
    assert!(run.reading.complete);
    assert_eq!(run.application_id.as_deref(), Some("application_1_0001"));
    // Of several members, with names and comments, whatever the file is called, padded with zeros.
    let text = text("s35-jobfail-rdd-plain");
    let expected = read_text(&text);
    let (head, tail) = text.split_at(text.len() / 3);
    let packed = [gzip(head.as_bytes()), gzip(b""), gzip(tail.as_bytes())].concat();
    for name in ["app.gz", "app", "app.zstd"] {
        for padding in [0, 1, 700] {
            let run = read_bytes(name, &[packed.clone(), vec![0; padding]].concat());
            assert!(run.reading.complete, "{:?}", run.reading.skipped);
            assert_eq!(
                (&run.summary, &run.failed_tasks),
                (&expected.summary, &expected.failed_tasks)
            );
        }
    }
    // A member that is damaged costs no other; a file that is cut is said to be.
    let mut damaged = [gzip(text.as_bytes()), gzip(tail.as_bytes())].concat();
    damaged[200] ^= 0xff;
    let run = read_bytes("app.gz", &damaged);
    assert!(
        run.reading.skipped.contains_key("broken gzip members"),
        "{:?}",
        run.reading
    );
    assert_eq!(run.ended_at_ms, expected.ended_at_ms);
    let run = read_bytes("app.gz", &packed[..packed.len() / 2]);
    assert!(
        run.reading
            .skipped
            .contains_key("gzip members cut at the end of a file"),
        "{:?}",
        run.reading
    );
}

#[test]
fn a_text_file_is_said_to_be_text() {
    let run = small_run("driver-log-is-called-events");
    assert_eq!(run.reading.skipped["lines of plain text: this is no event log"], 2);
    assert_eq!(run.reading.skipped.len(), 1);
    // Packed as EMR packs it, without a last newline, with braces inside.
    let text = small_text("driver-log-is-called-events");
    for (name, bytes) in [
        ("stderr.gz", gzip(text.as_bytes())),
        ("stderr", text.trim_end().as_bytes().to_vec()),
        (
            "controller",
            b"2024-01-01T00:00:00.000Z INFO startExec {}\nINFO {\"Event\":1}\n".to_vec(),
        ),
    ] {
        let run = read_bytes(name, &bytes);
        assert_eq!(
            run.reading.skipped.keys().collect::<Vec<_>>(),
            ["lines of plain text: this is no event log"],
            "{name}"
        );
    }
    // JSON that is no event is told from an event with a field missing.
    let run = read_text("{\"level\":\"INFO\"}\n{\"Records\":[]}\n{\"Event\":\"SparkListenerJobEnd\"}\n");
    assert_eq!(run.reading.skipped["JSON objects that are no events"], 2);
    assert_eq!(run.reading.skipped["events without the fields expected"], 1);
}

#[test]
fn what_is_not_complete_has_a_reason() {
    assert_eq!(
        reasons(&small_run("not-complete-without-a-reason")),
        ["application's start missing"]
    );
    for (bytes, reason) in [
        (&b""[..], "in progress"),
        (b"\n\n", "in progress"),
        (
            b"{\"Event\":\"com.example.Mine\"}\n{\"Event\":\"SparkListenerApplicationEnd\",\"Timestamp\":1}\n",
            "application's start missing",
        ),
        (b"no log\n", "lines of plain text: this is no event log"),
    ] {
        let run = read_bytes("log", bytes);
        assert!(reasons(&run).contains(&reason), "{:?}", run.reading);
    }
}

#[test]
fn rolled_files_may_count_from_0() {
    let missing = "rolled files missing before or between those given";
    let mut files = small_files("rolled-files-count-from-0/eventlog_v2_00fabc");
    let run = read_files(&files);
    assert_eq!(run.reading.skipped[missing], 1);
    let head = concat!(
        r#"{"Event":"SparkListenerLogStart","Spark Version":"3.5.3"}"#,
        "\n",
        r#"{"Event":"SparkListenerApplicationStart","App Name":"job","App ID":"00fabc","Timestamp":1000,"User":"u"}"#,
        "\n"
    );
    files.insert(0, ("events_0_00fabc".to_owned(), head.as_bytes().to_vec()));
    let whole = read_files(&files);
    assert!(whole.reading.complete, "{:?}", whole.reading.skipped);
    // One between is one, whatever the first number.
    let without = |at: usize| {
        let mut files = files.clone();
        files.remove(at);
        files
    };
    assert_eq!(read_files(&without(1)).reading.skipped[missing], 1);
    // Of a writer that counts from 1, none is missing.
    let mut from_1 = files.clone();
    for (number, (name, _)) in from_1.iter_mut().enumerate() {
        *name = format!("events_{}_00fabc", number + 1);
    }
    assert!(read_files(&from_1).reading.complete);
    // Which number the first one had is not known of the last file alone.
    let last = small_files("tasks-on-unlisted-executors/eventlog_v2_app");
    assert_eq!(read_files(&last).reading.skipped[&format!("{missing}, at least")], 93);
}
