//! The program as it is typed: what it says of a wrong word, and that it says so with the status of a usage error.
//!
//! Separate from the modules' own tests because only here the program itself runs; which also has `cargo test --workspace`
//! build it, so that the judges of `tests/conformance` need no build of their own.

use std::process::{Command, Output};

fn local(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_local"))
        .args(arguments)
        .env_remove("AWS_ENDPOINT_URL")
        .output()
        .expect("the program starts")
}

#[test]
fn help_names_every_command_and_each_has_help_of_its_own() {
    let output = local(&["--help"]);
    let help = String::from_utf8(output.stdout).expect("it is text");
    assert!(output.status.success());
    for command in ["drill", "serve", "spark-log", "what-if"] {
        assert!(help.contains(command), "{command} is not in {help}");
        let own = local(&[command, "--help"]);
        assert!(own.status.success());
        assert!(
            String::from_utf8_lossy(&own.stdout).contains("Usage: local"),
            "{command}"
        );
    }
}

#[test]
fn a_wrong_word_ends_with_status_2_and_names_what_was_expected() {
    for (arguments, expected) in [
        (&["drill", "--scenario", "wrong"][..], "there are workshop"),
        (&["drill", "--scenario", "wrong"], "busy-region"),
        (
            &["drill", "--scenario", "busy-region", "--set", "hours=0"],
            "from 1 to 672",
        ),
        (
            &["drill", "--scenario", "busy-region", "--json"],
            "--json is not for busy-region",
        ),
        (&["drill", "--set", "victims=0"], "from 1 to 50"),
        (&["drill", "--set", "size=3"], "can be set"),
        (&["drill", "--job", "/no/such.py"], "/no/such.py is no file"),
        (
            &["drill", "--job", "a.py", "--scenario", "waves"],
            "cannot be used with",
        ),
        (&["drill", "--baseline"], "--job <PATH>"),
        (&["serve", "--pace", "fast"], "expected leap, held"),
        (&["serve", "--scenario", "wrong"], "there are workshop"),
        (&["spark-log", "/no/such/log"], "looking for /no/such/log"),
        (&["spark-log", "s3:///key"], "names no bucket"),
        (&["what-if", "/no/such/log"], "looking for /no/such/log"),
        (&["what-if", "s3:///key"], "names no bucket"),
        (&["break"], "unrecognized subcommand"),
    ] {
        let output = local(arguments);
        let said = String::from_utf8(output.stderr).expect("it is text");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        assert!(output.stdout.is_empty(), "{arguments:?} wrote to standard output");
    }
}

/// Runs `spark-log` on one of the small logs of the tests.
fn spark_log(arguments: &[&str], log: &str) -> Output {
    let path = format!("{}/../../tests/data/spark-log/{log}", env!("CARGO_MANIFEST_DIR"));
    local(&[&["spark-log"], arguments, &[&path]].concat())
}

#[test]
fn a_logs_table_says_what_was_lost_excluded_and_cancelled() {
    for (log, lines) in [
        (
            "excluded-nodes-passed-over",
            &[
                "Excluded     1 times a node, 1 times an executor",
                "  node       h1   application 1        1970-01-01 00:00:03.000",
                "  executor 1 h1   application 2        1970-01-01 00:00:03.000",
            ][..],
        ),
        (
            "removal-of-unlisted-executor",
            &[
                "Executors    0 added, 0 removed, at most 0 alive, 1 whose start is not in the log",
                "             removed as (1 worker_lost)",
                "  7       0     unknown 1970-01-01 00:00:05.000 0  0      0          Container marked",
            ],
        ),
        (
            "lost-but-not-recomputed",
            &["             60.000 s (100.0 %) in 1 finished tasks whose output was lost and not computed again"],
        ),
        (
            "rolled-files-count-from-0",
            &["             not read: 1 rolled files missing before or between those given"],
        ),
        (
            "gzip",
            &["Log          complete: 1 files, 202 bytes, 353 decoded, 4 lines"],
        ),
    ] {
        let output = spark_log(&["--table"], log);
        let table = String::from_utf8(output.stdout).expect("it is text");
        assert!(
            output.status.success(),
            "{log}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        for line in lines {
            assert!(table.contains(&format!("\n{line}")), "{line:?} is not in\n{table}");
        }
    }
}

#[test]
fn a_file_that_is_no_log_is_named_for_what_it_is() {
    for (log, expected) in [
        (
            "history-server-zip",
            "1 zip archives, which are not unpacked here: unpack them first",
        ),
        (
            "driver-log-is-called-events",
            "2 lines of plain text: this is no event log",
        ),
    ] {
        let output = spark_log(&[], log);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_told_before_anything_runs() {
    let no_folder = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml/out");
    let output = local(&["drill", "--out", no_folder]);
    let said = String::from_utf8(output.stderr).expect("it is text");
    assert!(!output.status.success());
    assert!(
        said.contains("making the folder") && said.contains("Cargo.toml/out"),
        "{said}"
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "nothing has happened yet");
}

#[test]
fn what_was_not_shown_passes_for_shown_only_where_nobody_minds() {
    let out = std::env::temp_dir().join(format!("spot-drill-fail-on-{}", std::process::id()));
    let status = |scenario: &str, fail_on: &str| {
        let out = out.to_str().expect("the folder's name is text");
        let output = local(&["drill", "--scenario", scenario, "--fail-on", fail_on, "--out", out]);
        output.status.code()
    };
    // Nobody was there to be interrupted; the step is none of Spark's and has no report; the job survived.
    for (scenario, fail_on, expected) in [
        ("no-capacity", "inconclusive", 1),
        ("no-capacity", "degraded", 0),
        ("not-spark", "inconclusive", 1),
        ("not-spark", "degraded", 0),
        ("no-replacement", "inconclusive", 1),
        ("no-replacement", "degraded", 1),
        ("no-replacement", "failed", 0),
        ("instance-groups", "inconclusive", 0),
    ] {
        let found = status(scenario, fail_on);
        assert_eq!(found, Some(expected), "{scenario} --fail-on {fail_on}");
    }
    std::fs::remove_dir_all(&out).expect("the folder was made here");
    let output = local(&["drill", "--fail-on", "anything"]);
    let said = String::from_utf8(output.stderr).expect("it is text");
    assert!(said.contains("inconclusive, degraded, failed"), "{said}");
}
