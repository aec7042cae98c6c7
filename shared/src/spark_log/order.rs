//! What the names of a log's files tell: their order, their codec, whether they were compacted.
//!
//! Separate because names come from a listing, long before any byte is read.
//!
//! Names: <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/deploy/history/EventLogFileWriters.scala>

use super::codec::Codec;

/// Puts the files of one log in reading order and leaves out what holds no events.
///
/// Of a rolling log (`events_<n>_<application>`) the files are ordered by number; a compacted file stands for itself and
/// all files before it. `appstatus_` markers and hidden files (`.crc`) are left out.
pub fn order_parts(names: &mut Vec<String>) {
    names.retain(|name| {
        let file = file_name(name);
        !file.is_empty() && !file.starts_with('.') && !file.starts_with("appstatus_") && !file.ends_with(".crc")
    });
    if names.iter().any(|name| rolling_number(name).is_some()) {
        names.retain(|name| rolling_number(name).is_some());
    }
    names.sort_by_cached_key(|name| (rolling_number(name), is_compacted(name), name.clone()));
    if let Some(last_compacted) = names.iter().rposition(|name| is_compacted(name)) {
        names.drain(..last_compacted);
    }
}

/// The name without its folders.
pub(super) fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The number of a rolled file: 7 of `events_7_app-1.zstd`.
pub(super) fn rolling_number(name: &str) -> Option<u64> {
    file_name(name).strip_prefix("events_")?.split('_').next()?.parse().ok()
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
    fn the_codec_shows_through_both_endings() {
        assert_eq!(codec("s3/app-1.zstd.inprogress"), Some(Codec::Zstd));
        assert_eq!(codec("events_1_app-1.lzf.compact"), Some(Codec::Lzf));
        assert_eq!(codec("application_17_0001_1"), None);
    }
}
