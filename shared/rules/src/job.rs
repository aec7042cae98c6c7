//! What makes two runs runs of one job: the program and its main arguments, not the step's name alone.
//!
//! Schedulers put dates, run ids and counters into names and arguments, and the console calls every step "Spark
//! application". So a job's key is the program's place and the application's arguments, in which these are replaced by a
//! star, in this order:
//!
//! * the value of an option, or of `key=value` or a `key=value` folder, whose name ends in one of [`VARYING`]: `--run-id
//!   17`, `--execution_date=…`, `…/dt=2026-11-20/`;
//! * dates and times: `2026-11-20`, `20261120`, `2026/11/20`, with a time of day and a zone behind;
//! * UUIDs, and hexadecimal numbers of sixteen digits and more;
//! * Unix times, in seconds or milliseconds;
//! * a number behind one of [`COUNTED`]: `run_17`, `attempt-3`.
//!
//! Other numbers stay: `--partitions 200` is another job than `--partitions 400`. `spark.spotDrill.job` in the step's
//! configuration names the job instead, whatever its arguments are. A step whose program is not known, a shell script or
//! a JAR of one's own, goes by its name, cleaned in the same way.

use crate::step::Step;

/// Names of arguments whose values vary from run to run.
pub const VARYING: [&str; 19] = [
    "run_id",
    "runid",
    "execution_id",
    "executionid",
    "job_run_id",
    "dag_run",
    "dag_run_id",
    "try_number",
    "attempt",
    "date",
    "datetime",
    "timestamp",
    "ds",
    "ds_nodash",
    "ts",
    "dt",
    "day",
    "hour",
    "hh",
];

/// Words whose number counts runs.
pub const COUNTED: [&str; 8] = [
    "run",
    "attempt",
    "try",
    "execution",
    "exec",
    "iteration",
    "build",
    "batch",
];

/// A key's characters at most: DynamoDB's partition keys take 2,048 bytes.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const CHARACTERS_MAX: usize = 500;

/// The setting that names a job.
const SETTING: &str = "spark.spotDrill.job";

/// The key of the job that a step is a run of.
pub fn of(step: &Step) -> String {
    key(
        step.spark_conf(SETTING).as_deref(),
        step.program().as_deref(),
        &step.application_arguments(),
        &step.name,
    )
}

/// The job's key. `named`: the setting `spark.spotDrill.job`.
pub fn key(named: Option<&str>, program: Option<&str>, arguments: &[String], step_name: &str) -> String {
    let text = match (named, program) {
        (Some(named), _) => named.to_owned(),
        (None, Some(program)) => {
            let mut words = vec![without_run(program)];
            let mut varies = false;
            for argument in arguments {
                let option = argument.trim_start_matches('-');
                words.push(if varies { "*".into() } else { without_run(argument) });
                varies = argument.starts_with("--") && !argument.contains('=') && is_varying(option);
            }
            words.join(" ")
        }
        (None, None) => without_run(step_name),
    };
    text.chars().take(CHARACTERS_MAX).collect()
}

fn is_varying(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    VARYING
        .iter()
        .any(|varying| name == *varying || name.ends_with(&format!("_{varying}")))
}

/// A text without what belongs to one run of it.
fn without_run(text: &str) -> String {
    let parts: Vec<String> = text.split('/').map(part_without_run).collect();
    // A date as folders: 2026/11/20.
    let mut joined: Vec<String> = Vec::new();
    let mut index = 0;
    while index < parts.len() {
        if let [year, month, day, ..] = &parts[index..]
            && is_date_of(year, month, day)
        {
            joined.push("*".into());
            index += 3;
        } else {
            joined.push(parts[index].clone());
            index += 1;
        }
    }
    joined.join("/")
}

fn part_without_run(part: &str) -> String {
    if let Some((name, value)) = part.split_once('=')
        && !value.is_empty()
        && is_varying(name.trim_start_matches('-'))
    {
        return format!("{name}=*");
    }
    let mut out = String::new();
    let mut rest = part;
    while let Some(first) = rest.chars().next() {
        let length = if begins_a_word(&out) {
            varying_length(rest, &out)
        } else {
            0
        };
        if length > 0 {
            out.push('*');
            rest = &rest[length..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// Is what comes next the begin of a number or an id, and not the middle of one?
fn begins_a_word(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '*') || ends_in_counted(before)
}

/// How many bytes from here belong to one run.
fn varying_length(rest: &str, before: &str) -> usize {
    [timestamp(rest), uuid(rest), long_hexadecimal(rest), unix_time(rest)]
        .into_iter()
        .find(|length| *length > 0)
        .unwrap_or_else(|| if ends_in_counted(before) { digits(rest) } else { 0 })
}

fn ends_in_counted(before: &str) -> bool {
    let words = before
        .trim_end_matches(['_', '-', '=', '#', ':', '.', ' '])
        .to_ascii_lowercase();
    let words = words
        .strip_suffix("_id")
        .or(words.strip_suffix("-id"))
        .unwrap_or(&words);
    COUNTED.iter().any(|word| {
        words
            .strip_suffix(word)
            .is_some_and(|ahead| !ahead.ends_with(|c: char| c.is_ascii_alphanumeric()))
    })
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn is_date_of(year: &str, month: &str, day: &str) -> bool {
    let number = |text: &str, length: usize| {
        (text.len() == length && digits(text) == length).then(|| text.parse::<u32>().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    (1970..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// `2026-11-20`, `2026_11_20`, `20261120`, `202611201400`, with `T14:00:00.123Z`, `T140000`, ` 14:00+00:00` and the like behind.
fn timestamp(text: &str) -> usize {
    let slice = |from: usize, until: usize| text.get(from..until).unwrap_or_default();
    let separated =
        text.as_bytes().get(4).is_some_and(|c| b"-_.".contains(c)) && text.as_bytes().get(4) == text.as_bytes().get(7);
    let date = match digits(text) {
        8 | 14 if is_date_of(slice(0, 4), slice(4, 6), slice(6, 8)) => 8,
        // An account's id has as many digits.
        12 if is_date_of(slice(0, 4), slice(4, 6), slice(6, 8)) && slice(8, 10) < "24" && slice(10, 12) < "60" => 8,
        4 if separated && is_date_of(slice(0, 4), slice(5, 7), slice(8, 10)) && digits(&text[8..]) == 2 => 10,
        _ => return 0,
    };
    let behind = text[date..].bytes();
    let time = behind
        .take_while(|c| c.is_ascii_digit() || b"T:+.Z-_".contains(c))
        .count();
    let whole = text[..date + time].trim_end_matches(['-', '_', '.', ':', '+']);
    whole.len().max(date)
}

fn uuid(text: &str) -> usize {
    let Some(head) = text.get(..36) else { return 0 };
    let fits = head.bytes().enumerate().all(|(at, c)| match at {
        8 | 13 | 18 | 23 => c == b'-',
        _ => c.is_ascii_hexdigit(),
    });
    if fits { 36 } else { 0 }
}

fn long_hexadecimal(text: &str) -> usize {
    let length = text.bytes().take_while(u8::is_ascii_hexdigit).count();
    let ends = !text[length..].starts_with(|c: char| c.is_ascii_alphanumeric());
    if length >= 16 && ends { length } else { 0 }
}

/// Seconds or milliseconds since 2001 and before 2065.
fn unix_time(text: &str) -> usize {
    let length = digits(text);
    let is_now = text.starts_with(['1', '2']) && !text[length..].starts_with(|c: char| c.is_ascii_alphabetic());
    if matches!(length, 10 | 13) && is_now { length } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> String {
        let mut words = line.split(' ').map(str::to_owned);
        let program = words.next().unwrap();
        key(None, Some(&program), &words.collect::<Vec<_>>(), "Spark application")
    }

    #[test]
    fn what_schedulers_add_makes_no_other_job() {
        for (one, other) in [
            (
                "s3://b/etl.py s3://b/out/dt=2026-11-20/",
                "s3://b/etl.py s3://b/out/dt=2026-11-21/",
            ),
            (
                "s3://b/etl.py s3://b/out/2026/11/20/",
                "s3://b/etl.py s3://b/out/2026/12/01/",
            ),
            ("etl.py --date 2026-11-20", "etl.py --date 2026-11-21"),
            (
                "etl.py --run-id manual__2026-11-20T14:00:00+00:00",
                "etl.py --run-id scheduled__17",
            ),
            ("etl.py run_17 out", "etl.py run_18 out"),
            ("etl.py out/run-17/x", "etl.py out/run-1804/x"),
            ("etl.py 1795183200", "etl.py 1795183201"),
            ("etl.py 20261120T140000Z", "etl.py 20261121T150000Z"),
            ("etl.py out-20261120", "etl.py out-20261121"),
            ("etl.py out-202611200000", "etl.py out-202611211200"),
            (
                "etl.py --execution_date=2026-11-20",
                "etl.py --execution_date=2026-11-22",
            ),
            (
                "etl.py /tmp/4f1c7a52-6a1e-4a0c-9d60-0f1f0b4b2b0e",
                "etl.py /tmp/00000000-6a1e-4a0c-9d60-0f1f0b4b2b0e",
            ),
            ("etl.py attempt=1", "etl.py attempt=2"),
            ("s3://b/v/2026-11-20/etl.py x", "s3://b/v/2026-11-21/etl.py x"),
        ] {
            assert_eq!(of(one), of(other));
        }
    }

    #[test]
    fn what_the_job_is_about_makes_another_one() {
        for (one, other) in [
            ("s3://b/etl.py s3://b/small/", "s3://b/etl.py s3://b/big/"),
            ("s3://b/etl.py x", "s3://b/other.py x"),
            ("etl.py --partitions 200", "etl.py --partitions 400"),
            ("etl.py part-1", "etl.py part-2"),
            ("etl.py us-east-1", "etl.py us-east-2"),
            ("etl.py --year 2025", "etl.py --year 2026"),
            ("etl.py x3", "etl.py x4"),
        ] {
            assert_ne!(of(one), of(other));
        }
    }

    #[test]
    fn a_setting_wins_and_a_step_without_a_program_goes_by_its_name() {
        assert_eq!(key(Some("nightly"), Some("etl.py"), &[], "s"), "nightly");
        assert_eq!(
            key(None, None, &[], "load 2026-11-20"),
            key(None, None, &[], "load 2026-11-21")
        );
        assert_ne!(key(None, None, &[], "load a"), key(None, None, &[], "load b"));
        assert!(key(None, Some(&"x".repeat(9_000)), &[], "").len() <= CHARACTERS_MAX * 4);
    }

    #[test]
    fn what_varies_is_told_by_its_name_whatever_its_value() {
        for (line, key) in [
            ("etl.py --run-id x y", "etl.py --run-id * y"),
            ("etl.py --my-run-id x", "etl.py --my-run-id *"),
            ("etl.py --Run_ID=x", "etl.py --Run_ID=*"),
            ("etl.py out/hour=late/x", "etl.py out/hour=*/x"),
            ("etl.py dt=", "etl.py dt="),
            // A name that only ends in the same letters, a flag of one dash and a word are other things.
            ("etl.py --update x", "etl.py --update x"),
            ("etl.py -date x", "etl.py -date x"),
            ("etl.py date x", "etl.py date x"),
            ("etl.py --date=a x", "etl.py --date=* x"),
        ] {
            assert_eq!(of(line), key, "{line}");
        }
    }

    #[test]
    fn dates_and_times_are_those_of_the_calendar() {
        for (line, key) in [
            ("x 2026-11-20", "x *"),
            ("x 2026_11_20", "x *"),
            ("x 2026.11.20", "x *"),
            ("x 20261120", "x *"),
            ("x 20261120140000", "x *"),
            ("x 202611202359", "x *"),
            ("x 202611202400", "x 202611202400"),
            ("x 202611202360", "x 202611202360"),
            ("x 202613200000", "x 202613200000"),
            ("x 2026-11-20T14:00:00.123Z/y", "x */y"),
            ("x 2026-11-20-a", "x *-a"),
            ("x 1970-01-01/2099-12-31", "x */*"),
            ("x a/2026/11/20/b", "x a/*/b"),
            ("x a/2026/11/b", "x a/2026/11/b"),
            ("x a/2026/13/20", "x a/2026/13/20"),
            ("x a/2026/+1/20", "x a/2026/+1/20"),
            ("x 2026x11x20", "x 2026x11x20"),
            ("x 1969-12-31", "x 1969-12-31"),
            ("x 2100-01-01", "x 2100-01-01"),
            ("x 2026-00-20", "x 2026-00-20"),
            ("x 2026-11-32", "x 2026-11-32"),
            ("x 2026-11_20", "x 2026-11_20"),
            ("x 2026-11-201", "x 2026-11-201"),
            ("x 20261320", "x 20261320"),
            ("x v20261120", "x v20261120"),
        ] {
            assert_eq!(of(line), key, "{line}");
        }
    }

    #[test]
    fn ids_are_told_by_their_length_and_by_what_ends_them() {
        for (line, key) in [
            ("x 0123456789abcdef", "x *"),
            ("x 0123456789abcde", "x 0123456789abcde"),
            ("x 0123456789abcdefg", "x 0123456789abcdefg"),
            ("x a-4F1C7A52-6a1e-4a0c-9d60-0f1f0b4b2b0e.json", "x a-*.json"),
            (
                "x 4f1c7a52-6a1e-4a0c-9d60+0f1f0b4b2b0e",
                "x 4f1c7a52-6a1e-4a0c-9d60+0f1f0b4b2b0e",
            ),
            // What goes on behind an id is no other one.
            ("x 4f1c7a52-6a1e-4a0c-9d60-0f1f0b4b2b0e1795183200", "x *1795183200"),
            ("x 1795183200123", "x *"),
            ("x 2795183200", "x *"),
            ("x 3795183200", "x 3795183200"),
            ("x 179518320", "x 179518320"),
            ("x 17951832001", "x 17951832001"),
            ("x 1795183200s", "x 1795183200s"),
        ] {
            assert_eq!(of(line), key, "{line}");
        }
    }

    #[test]
    fn a_number_counts_runs_only_behind_a_word_that_says_so() {
        for (line, key) in [
            ("x run17", "x run*"),
            ("x run-17", "x run-*"),
            ("x Run_ID-17", "x Run_ID-*"),
            ("x build#17.a", "x build#*.a"),
            ("x overrun-17", "x overrun-17"),
            ("x my_batch:17", "x my_batch:*"),
            ("x part-17", "x part-17"),
        ] {
            assert_eq!(of(line), key, "{line}");
        }
    }

    #[test]
    fn a_steps_own_setting_program_arguments_and_name_make_its_key() {
        let key = |args: &[&str]| {
            super::of(&Step {
                id: "s-1".into(),
                name: "load 2026-11-20".into(),
                state: "RUNNING".into(),
                created_at: None,
                started_at: None,
                ended_at: None,
                jar: "command-runner.jar".into(),
                args: args.iter().map(|&word| word.to_owned()).collect(),
                properties: std::collections::BTreeMap::new(),
                failure: None,
                log_uri: None,
                application_ids: Vec::new(),
            })
        };
        let named = "spark.spotDrill.job=nightly";
        assert_eq!(key(&["spark-submit", "--conf", named, "etl.py", "7"]), "nightly");
        assert_eq!(key(&["spark-submit", "etl.py", "--ds", "7", "8"]), "etl.py --ds * 8");
        assert_eq!(key(&["./job"]), "load *");
    }
}
