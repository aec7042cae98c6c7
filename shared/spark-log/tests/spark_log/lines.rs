//! What becomes of each line, whole or cut, long or short: by one line at a time.
//!
//! Separate because the smallest logs decide it, and no real one is broken in so many ways.

use spark_log::{Limits, Part, SparkRun, read};

use crate::logs::{read_bytes, read_text};

const CUT: &str = "lines cut short";
const NO_JSON: &str = "lines that are not JSON objects";
const TASK: &str = concat!(
    r#"{"Event":"SparkListenerTaskEnd","Stage ID":3,"Stage Attempt ID":0,"Task Type":"ResultTask","Task End Reason":{"Reason":"Success"},"#,
    r#""Task Info":{"Task ID":1,"Index":0,"Attempt":0,"Partition ID":0,"Launch Time":1000,"Executor ID":"7","Host":"h","Locality":"ANY","#,
    r#""Speculative":false,"Getting Result Time":0,"Finish Time":1500,"Failed":false,"Killed":false,"Accumulables":[{"ID":1,"Name":"n"}]},"#,
    r#""Task Metrics":{"Executor Run Time":400,"Shuffle Read Metrics":{"Fetch Wait Time":196},"Updated Blocks":[]}}"#
);

/// Reads lines of which those of more than so many bytes are long.
fn read_long(text: &str, line_bytes_max: usize) -> SparkRun {
    let limits = Limits {
        line_bytes_max,
        string_bytes_max: 20,
        block_bytes: 1 << 10,
        ..Limits::default()
    };
    let part = Part {
        name: "log".to_owned(),
        bytes: text.as_bytes(),
    };
    read(vec![part], &limits)
}

fn skipped(run: &SparkRun) -> Vec<(&str, u64)> {
    let skipped = run.reading.skipped.iter();
    skipped.map(|(what, count)| (what.as_str(), *count)).collect()
}

/// How many lines and tasks it is, and what is skipped.
fn told(run: &SparkRun) -> (u64, u64, Vec<(&str, u64)>) {
    let mut skipped = skipped(run);
    skipped.retain(|(what, _)| *what != "application's start missing");
    (run.reading.lines, run.tasks.successful, skipped)
}

#[test]
fn a_tasks_line_that_is_torn_or_goes_on_behind_its_end_is_not_used() {
    assert_eq!(told(&read_text(TASK)), (1, 1, vec![]));
    // Torn where a brace closes, too.
    for (end, _) in TASK.match_indices('}').filter(|(at, _)| *at + 1 < TASK.len()) {
        assert_eq!(
            told(&read_text(&TASK[..=end])),
            (1, 0, vec![(CUT, 1)]),
            "{}",
            &TASK[..=end]
        );
    }
    for more in ["x", "]", ","] {
        let run = read_text(&format!("{TASK}\n{TASK}{more}\n"));
        assert_eq!(told(&run), (2, 1, vec![(NO_JSON, 1)]), "{more}");
    }
}

#[test]
fn two_ends_of_tasks_in_one_line_are_two_however_long_they_are() {
    let long = TASK.replace(r#""Name":"n""#, r#""Name":"a longer one""#);
    for (text, lines) in [
        (format!("{TASK}{TASK}\n"), 2),
        (format!("{TASK}\n{TASK}{TASK}\n"), 3),
        (format!("{TASK}\n{long}{long}\n"), 3),
    ] {
        let run = read_text(&text);
        let (read, tasks, skipped) = told(&run);
        assert_eq!((read, tasks, skipped.len()), (lines, lines, 1), "{text}");
        assert!(skipped[0].0.starts_with("newlines missing"), "{skipped:?}");
    }
}

#[test]
fn a_tasks_line_that_is_too_long_to_hold_is_used_if_it_is_whole() {
    let long = TASK.replace(r#""Name":"n""#, &format!(r#""Name":"{}""#, "n".repeat(3_000)));
    let (name, end) = (long.find("nnn").unwrap(), long.len());
    for (text, is_whole) in [
        (format!("{long}\n"), true),
        (format!("{long}\n{TASK}\n"), true),
        (long.clone(), false),
        (long[..end - 5].to_owned(), false),
        (format!("{long},\n"), false),
        (format!("{}\n", &long[..name + 2_000]), false),
    ] {
        let run = read_long(&text, 1_000);
        let lines = text.lines().count() as u64;
        // Where nothing but the file's end follows, it is not known to be whole.
        let skipped = if is_whole { vec![] } else { vec![(CUT, 1)] };
        let tasks = if is_whole { lines } else { lines - 1 };
        assert_eq!(told(&run), (lines, tasks, skipped), "{}", &text[text.len() - 20..]);
    }
}

const SQL: &str = r#"{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart","executionId":7,"time":9,"description":""#;

/// `Limits::line_bytes_max` and `Limits::string_bytes_max`.
#[test]
fn strings_are_cut_in_lines_beyond_the_limit_alone() {
    for (bytes, expected) in [(1_024, 1_024 - SQL.len() - 2), (3_000, 20)] {
        let description = "d".repeat(bytes - SQL.len() - 2);
        let run = read_long(&format!("{SQL}{description}\"}}\n{TASK}\n"), 1_024);
        assert_eq!(told(&run), (2, 1, vec![]), "{bytes}");
        let [execution] = run.sql_executions.as_slice() else {
            panic!("{:?}", run.sql_executions)
        };
        assert_eq!((execution.id, execution.started_at_ms), (7, Some(9)), "{bytes}");
        assert_eq!(execution.description.len(), expected, "{bytes}");
    }
}

#[test]
fn long_lines_end_where_they_end_wherever_blocks_do() {
    // Lines of about two blocks each: a few bytes fewer, and a few more.
    for more in 0..16 {
        let long = format!("{SQL}{}\"}}\n", "d".repeat((2 << 10) - 8 + more - SQL.len() - 3));
        let run = read_long(&format!("{long}{long}{TASK}\n"), 1_000);
        assert_eq!(told(&run), (3, 1, vec![]), "{more}");
        assert_eq!(run.sql_executions[0].description, "d".repeat(20), "{more}");
    }
}

#[test]
fn what_is_no_line_of_a_log_is_told_by_what_it_is() {
    let unneeded = r#"{"Event":"com.example.Mine","x":1"#;
    let nameless = format!(r#"{{"x":"{}","Event":"com.example.Mine"}}"#, "y".repeat(3_000));
    for (text, line_bytes_max, expected) in [
        (format!("{unneeded}}}\n{TASK}\n"), 9_999, vec![]),
        (format!("{unneeded}\n{TASK}\n"), 9_999, vec![(NO_JSON, 1)]),
        (format!("{TASK}\n{unneeded}"), 9_999, vec![(CUT, 1)]),
        (format!("text\n{TASK}\n"), 9_999, vec![(NO_JSON, 1)]),
        (format!("text\n{unneeded}}}\n"), 9_999, vec![(NO_JSON, 1)]),
        (format!("{nameless}\n{TASK}\n"), 9_999, vec![]),
        (
            format!("{nameless}\n{TASK}\n"),
            1_000,
            vec![("long lines that do not start with an event's name", 1)],
        ),
    ] {
        let run = read_long(&text, line_bytes_max);
        let (lines, _, skipped) = told(&run);
        assert_eq!((lines, skipped), (2, expected), "{}", &text[..30]);
    }
}

#[test]
fn names_of_events_that_nothing_needs_are_counted_one_by_one_within_reason() {
    let line = |name: &str| format!("{{\"Event\":\"{name}\"}}\n");
    let names: Vec<String> = (100..350).map(|number| format!("Mine{number}")).collect();
    let text: String = names.iter().chain(&names[..50]).map(|name| line(name)).collect();
    let passed_over = read_text(&text).reading.passed_over;
    assert_eq!((passed_over.len(), passed_over["others"]), (201, 50));
    assert_eq!((passed_over["Mine100"], passed_over["Mine150"]), (2, 1));
    let (long, longest) = ("L".repeat(256), "L".repeat(255));
    let text = [line(&long), line(&longest), line(&long)].concat();
    let passed_over = read_text(&text).reading.passed_over;
    assert_eq!(
        (passed_over.len(), passed_over["others"], passed_over[&longest]),
        (2, 2, 1)
    );
}

#[test]
fn blocks_of_no_size_are_as_good_as_any() {
    let part = Part {
        name: "log".to_owned(),
        bytes: TASK.as_bytes(),
    };
    let limits = Limits {
        block_bytes: 0,
        ..Limits::default()
    };
    assert_eq!(read(vec![part], &limits), read_text(TASK));
}

/// `Limits::ratio_max` is what is allowed, and plain bytes are one for one.
#[test]
fn a_file_that_decodes_to_just_as_much_as_is_allowed_is_read() {
    for (ratio_max, is_read) in [(1, true), (0, false)] {
        let part = Part {
            name: "log".to_owned(),
            bytes: TASK.as_bytes(),
        };
        let limits = Limits {
            ratio_max,
            ..Limits::default()
        };
        let run = read(vec![part], &limits);
        let said = "files left because they decode to more than the ratio allowed";
        assert_eq!(run.reading.skipped.contains_key(said), !is_read);
        assert_eq!(run.reading.bytes_decoded, TASK.len() as u64);
    }
}

#[test]
fn a_file_is_left_at_the_last_broken_place_that_is_allowed_and_the_next_is_read() {
    let frame = zstd::encode_all(&b"{\"Event\":\"Mine\"}\n"[..], 0).unwrap();
    let broken = [&frame[..4], &[0xff; 40]].concat();
    let bytes = [&frame[..], &broken, &frame, &broken, &frame].concat();
    let left = "files left because of too many broken places";
    for (faults_max, frames) in [(1, 1), (2, 2), (3, 3)] {
        let limits = Limits {
            faults_max,
            ..Limits::default()
        };
        let parts = ["a.zstd", "b.zstd"].map(|name| Part {
            name: name.to_owned(),
            bytes: &bytes[..],
        });
        let run = read(parts.into(), &limits);
        assert_eq!(run.reading.passed_over["Mine"], 2 * frames);
        assert_eq!(run.reading.skipped["broken zstd frames"], 2 * faults_max.min(2));
        assert_eq!(run.reading.skipped.get(left), Some(&2).filter(|_| faults_max < 3));
    }
}

#[test]
fn a_file_with_nothing_in_it_ends_no_other() {
    let parts = [
        ("events_1_a", &b""[..]),
        ("events_2_a", TASK.as_bytes()),
        ("events_3_a", b""),
    ];
    let parts = parts.map(|(name, bytes)| Part {
        name: name.to_owned(),
        bytes,
    });
    let run = read(parts.into(), &Limits::default());
    assert_eq!((run.reading.files, run.tasks.successful), (3, 1));
    assert_eq!(read_bytes("log", b"").reading.lines, 0);
}
