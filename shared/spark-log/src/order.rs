//! What the names of a log's files tell: their order, their codec, whether they were compacted.
//!
//! Separate because names come from a listing, long before any byte is read.
//!
//! Names: <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/deploy/history/EventLogFileWriters.scala>

use super::codec::Codec;

/// Puts the files of one log in reading order and leaves out what holds no events.
///
/// Of a rolling log (`events_<n>_<application>`) the files are ordered by number; a compacted file stands for itself and
/// all files before it. `appstatus_` markers and hidden files (`.crc`) are left out. Databricks rolls by time: `eventlog`
/// is the file that is written to, and `eventlog-<date>--<time>.gz` are those before it.
/// <https://docs.databricks.com/aws/en/compute/configure#compute-log-delivery>
pub fn order_parts(names: &mut Vec<String>) {
    names.retain(|name| {
        let file = file_name(name);
        !file.is_empty() && !file.starts_with('.') && !file.starts_with("appstatus_") && !file.ends_with(".crc")
    });
    if names.iter().any(|name| rolling_number(name).is_some()) {
        names.retain(|name| rolling_number(name).is_some());
    }
    names.sort_by_cached_key(|name| {
        let is_newest = file_name(name) == "eventlog";
        (rolling_number(name), is_compacted(name), is_newest, name.clone())
    });
    if let Some(last_compacted) = names.iter().rposition(|name| is_compacted(name)) {
        names.drain(..last_compacted);
    }
}

/// Whether the files of these names are one log that was rolled: by number, or by time as Databricks does it.
pub fn is_rolled(names: &[String]) -> bool {
    let is_by_time = |name: &String| {
        let rest = file_name(name).strip_prefix("eventlog");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    names.first().is_some_and(|name| rolling_number(name).is_some())
        || !names.is_empty() && names.iter().all(is_by_time)
}

/// The name without its folders.
pub(super) fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The number of a rolled file: 7 of `events_7_app-1.zstd`.
pub(super) fn rolling_number(name: &str) -> Option<u64> {
    file_name(name).strip_prefix("events_")?.split('_').next()?.parse().ok()
}

/// The numbers of the files of a rolling log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rolled {
    /// The first one's number; `None` if it is a compacted file, which stands for all before it.
    pub(super) first: Option<u64>,
    /// Files missing between the first and the last.
    pub(super) missing_between: u64,
}

/// What these names, in order, say of the numbers; `None` unless all have one.
pub(super) fn rolled<'n>(names: impl Iterator<Item = &'n str>) -> Option<Rolled> {
    let mut outcome: Option<Rolled> = None;
    let mut expected = None;
    for name in names {
        let number = rolling_number(name)?;
        let outcome = outcome.get_or_insert(Rolled {
            first: Some(number).filter(|_| !is_compacted(name)),
            missing_between: 0,
        });
        if !is_compacted(name)
            && let Some(expected) = expected
        {
            outcome.missing_between = outcome.missing_between.saturating_add(number.saturating_sub(expected));
        }
        expected = number.checked_add(1);
    }
    outcome
}

impl Rolled {
    /// What is missing, in words, and how many files; `begins` if the log's begin was read from those given, and
    /// `is_whole` if all of these could be read.
    ///
    /// Spark's own writer counts from 1 (`RollingEventLogFilesWriter`), EMR Serverless's from 0. So what comes before 1
    /// is one file, if the log does not begin there; what comes before a larger number may be one file more than that
    /// number less 1.
    pub(super) fn missing(self, begins: bool, is_whole: bool) -> Option<(&'static str, u64)> {
        let (before, is_exact) = match self.first {
            None | Some(0) => (0, true),
            Some(_) if begins => (0, true),
            // In a damaged file, the begin may be among what is lost.
            Some(1) => (u64::from(is_whole), true),
            Some(first) => (first - 1, false),
        };
        let missing = self.missing_between.saturating_add(before);
        let words = if is_exact {
            "rolled files missing before or between those given"
        } else {
            "rolled files missing before or between those given, at least"
        };
        Some((words, missing)).filter(|_| missing > 0)
    }
}

/// Whether the History Server compacted this file.
pub(super) fn is_compacted(name: &str) -> bool {
    file_name(name).ends_with(".compact")
}

/// The codec that the name announces, if it announces one.
pub(super) fn codec(name: &str) -> Option<Codec> {
    let name = file_name(name);
    let name = name.strip_suffix(".inprogress").unwrap_or(name);
    let name = name.strip_suffix(".compact").unwrap_or(name);
    match name.rsplit_once('.')?.1 {
        "zstd" | "zst" => Some(Codec::Zstd),
        "lz4" => Some(Codec::Lz4),
        "snappy" => Some(Codec::Snappy),
        "lzf" => Some(Codec::Lzf),
        "gz" | "gzip" => Some(Codec::Gzip),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(names: &[&str]) -> Vec<String> {
        let mut names = names.iter().map(|name| (*name).to_owned()).collect();
        order_parts(&mut names);
        names
    }

    #[test]
    fn rolled_files_are_ordered_by_number_not_by_text() {
        assert_eq!(
            ordered(&[
                "d/events_10_a.zstd",
                "d/appstatus_a",
                "d/events_9_a.zstd",
                "d/.events_9_a.zstd.crc"
            ]),
            ["d/events_9_a.zstd", "d/events_10_a.zstd"]
        );
    }

    #[test]
    fn files_without_events_are_left_out_of_any_log() {
        let names = [
            "d/",
            "d/.app-1",
            "d/app-2",
            "d/appstatus_app-1",
            "d/app-1.crc",
            "d/app-1",
            "",
        ];
        assert_eq!(ordered(&names), ["d/app-1", "d/app-2"]);
        assert!(!is_rolled(&[]));
    }

    #[test]
    fn what_is_rolled_by_time_ends_with_the_file_that_is_written_to() {
        let names = ordered(&[
            "eventlog",
            "eventlog-2024-01-02--00-00.gz",
            "eventlog-2024-01-01--23-00.gz",
        ]);
        assert_eq!(
            names,
            [
                "eventlog-2024-01-01--23-00.gz",
                "eventlog-2024-01-02--00-00.gz",
                "eventlog"
            ]
        );
        assert!(is_rolled(&names) && is_rolled(&ordered(&["events_0_a"])));
        assert!(!is_rolled(&ordered(&["eventlog", "app-1"])) && !is_rolled(&ordered(&["eventlogs-of-mine"])));
    }

    #[test]
    fn a_compacted_file_stands_for_all_before_it() {
        assert_eq!(
            ordered(&[
                "events_3_a",
                "events_1_a.compact",
                "events_2_a.compact",
                "events_2_a",
                "events_1_a"
            ]),
            ["events_2_a.compact", "events_3_a"]
        );
    }

    #[test]
    fn a_rolled_log_may_count_from_0_or_from_1() {
        let missing = |names: &[&str], begins| rolled(names.iter().copied()).unwrap().missing(begins, true);
        let (exactly, at_least) = (
            "rolled files missing before or between those given",
            "rolled files missing before or between those given, at least",
        );
        assert_eq!(missing(&["events_0_a", "events_1_a"], true), None);
        assert_eq!(missing(&["events_0_a", "events_2_a"], true), Some((exactly, 1)));
        assert_eq!(missing(&["events_1_a", "events_2_a"], true), None);
        assert_eq!(missing(&["events_1_a", "events_2_a"], false), Some((exactly, 1)));
        assert_eq!(missing(&["events_1_a", "events_5_a"], false), Some((exactly, 4)));
        assert_eq!(missing(&["events_94_a"], false), Some((at_least, 93)));
        assert_eq!(missing(&["events_2_a", "events_4_a"], false), Some((at_least, 2)));
        assert_eq!(missing(&["events_4_a.compact", "events_6_a"], true), Some((exactly, 1)));
        let damaged = rolled(["events_1_a", "events_2_a"].into_iter()).unwrap();
        assert_eq!(damaged.missing(false, false), None);
        assert_eq!(rolled(["events_1_a", "log"].into_iter()), None);
        assert_eq!(rolled(std::iter::empty()), None);
    }

    /// Spark's files end with its codecs' short names; gzip and `zst` are what others add.
    #[test]
    fn the_name_tells_each_codec() {
        for (ending, expected) in [
            ("zstd", Codec::Zstd),
            ("zst", Codec::Zstd),
            ("lz4", Codec::Lz4),
            ("snappy", Codec::Snappy),
            ("lzf", Codec::Lzf),
            ("gz", Codec::Gzip),
            ("gzip", Codec::Gzip),
        ] {
            assert_eq!(codec(&format!("s3/v1.lzf/app-1.{ending}")), Some(expected), "{ending}");
        }
        assert_eq!(codec("s3/v1.lzf/app-1.json"), None);
    }

    #[test]
    fn the_codec_shows_through_both_endings() {
        assert_eq!(codec("s3/app-1.zstd.inprogress"), Some(Codec::Zstd));
        assert_eq!(codec("events_1_app-1.lzf.compact"), Some(Codec::Lzf));
        assert_eq!(codec("application_17_0001_1"), None);
    }
}
