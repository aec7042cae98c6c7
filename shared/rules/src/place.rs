//! Places in S3 that words name, in whatever spelling: before a place is emptied, it has to be known whether an active
//! step names it, a place above it, or one below it.
//!
//! What cannot be read exactly reads as more than it is: a pattern or a variable names all that it might, and where a
//! place may end at several characters each end counts. So a step may stand in the way without need, and is named; what
//! a step may write to is not emptied.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::s3_location::S3Location;

/// A place: a bucket, and a key with all that lies below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    /// The bucket in small letters, in which buckets are named. `None`: it could be any.
    bucket: Option<String>,
    /// No `/` at either end; empty for the bucket's root.
    key: String,
    /// The key is the begin of a name, and not a whole one.
    is_open: bool,
}

/// The most places that are read from one step's words. EMR allows a step some ten thousand characters of arguments, and
/// the shortest place has seven.
const PLACES_MAX: usize = 4_000;

/// What begins a pattern of Hadoop's, a variable of a shell's or a template's, an escape, or a name inside an archive.
/// <https://hadoop.apache.org/docs/stable/api/org/apache/hadoop/fs/FileSystem.html#globStatus(org.apache.hadoop.fs.Path)>
const PATTERN: [char; 8] = ['*', '?', '[', '{', '$', '%', '\\', '#'];

impl Place {
    /// Is one of the two the other, above it, or below it?
    pub fn overlaps(&self, other: &Self) -> bool {
        let same_bucket = match (&self.bucket, &other.bucket) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        same_bucket && (self.reaches(&other.key) || other.reaches(&self.key))
    }

    fn reaches(&self, key: &str) -> bool {
        self.key.is_empty()
            || key
                .strip_prefix(&self.key)
                .is_some_and(|rest| self.is_open || rest.is_empty() || rest.starts_with('/'))
    }

    /// Reads what follows `s3://`: a bucket, and a key after the first `/`.
    fn read(text: &str) -> Self {
        let (authority, key) = text.split_once('/').unwrap_or((text, ""));
        // Hadoop once took an access key and its secret before the bucket.
        let bucket = authority.rsplit('@').next().unwrap_or_default();
        let is_named = !bucket.is_empty() && bucket.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        let (named, pattern) = key.split_at(key.find(PATTERN).unwrap_or(key.len()));
        let mut parts: Vec<&str> = Vec::new();
        for part in named.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        if pattern.contains("..") {
            parts.clear();
        }
        Self {
            bucket: is_named.then(|| bucket.to_ascii_lowercase()),
            is_open: !pattern.is_empty() && !parts.is_empty() && !named.ends_with('/'),
            key: parts.join("/"),
        }
    }
}

impl From<&S3Location> for Place {
    fn from(location: &S3Location) -> Self {
        Self {
            bucket: Some(location.bucket.to_ascii_lowercase()),
            key: location.prefix.trim_end_matches('/').to_owned(),
            is_open: false,
        }
    }
}

/// `s3://bucket/key`, with `*` for a bucket that could be any, and after the begin of a name.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bucket = self.bucket.as_deref().unwrap_or("*");
        let star = if self.is_open { "*" } else { "" };
        write!(f, "s3://{bucket}/{}{star}", self.key)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("s3://");
        rest.map(Self::read)
            .ok_or_else(|| format!("expected a place like s3://bucket/key, found {text:?}"))
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

/// The places that these words name.
pub fn named_in<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<Place> {
    let mut found = BTreeSet::new();
    for word in words {
        // JSON may write a slash so.
        let word = word.replace("\\/", "/").replace("\\u002f", "/").replace("\\u002F", "/");
        for (at, begins) in starts(&word) {
            for text in ends(&word, at, begins) {
                if found.len() < PLACES_MAX {
                    found.insert(Place::read(&text));
                }
            }
        }
    }
    found
}

/// Where places begin: the byte of the scheme, and that of the bucket.
fn starts(word: &str) -> Vec<(usize, usize)> {
    let lower = word.to_ascii_lowercase();
    let schemes = lower.match_indices("://").filter_map(|(at, separator)| {
        let begins = ["s3", "s3a", "s3n"]
            .iter()
            .find_map(|scheme| lower[..at].ends_with(scheme).then(|| at - scheme.len()))?;
        Some((begins, at + separator.len()))
    });
    // `arn:aws:s3:::bucket/key`
    let arns = lower
        .match_indices(":s3:::")
        .map(|(at, separator)| (at, at + separator.len()));
    let urls = lower
        .match_indices("https://")
        .map(|(at, scheme)| (at, at + scheme.len()));
    let urls = urls.filter(|(_, host)| host_of_s3(&lower[*host..]).is_some());
    schemes.chain(arns).chain(urls).collect()
}

/// Where a place that begins there may end.
fn ends(word: &str, at: usize, begins: usize) -> Vec<String> {
    let rest = &word[begins..];
    let mut depth = 0_usize;
    let end = rest.find(|c: char| match c {
        '{' | '[' => {
            depth += 1;
            false
        }
        '}' | ']' if depth > 0 => {
            depth -= 1;
            false
        }
        ',' => depth == 0,
        c => c.is_whitespace() || "}]\"'`;|&<>()\\".contains(c),
    });
    let mut texts = vec![&rest[..end.unwrap_or(rest.len())]];
    // In quotes, or as all of an argument or of its value, a place may hold what else would end it.
    match word[..at].chars().next_back() {
        None | Some('=') => texts.push(rest),
        Some(quote @ ('"' | '\'')) => texts.extend(rest.split(quote).next()),
        _ => {}
    }
    let is_url = word[at..].to_ascii_lowercase().starts_with("https://");
    texts.dedup();
    let as_place = |text: &str| if is_url { path_of_url(text) } else { text.to_owned() };
    texts.into_iter().map(as_place).collect()
}

/// `bucket.s3.region.amazonaws.com/key` and `s3.region.amazonaws.com/bucket/key` as `bucket/key`.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>
fn path_of_url(text: &str) -> String {
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    match host_of_s3(&host.to_ascii_lowercase()) {
        Some("") | None => path.to_owned(),
        Some(bucket) => format!("{bucket}/{path}"),
    }
}

/// The bucket before S3's host name, if it is one; empty where the bucket is in the path.
fn host_of_s3(text: &str) -> Option<&str> {
    let host = text.split(['/', '"', '\'']).next().unwrap_or_default();
    let host = host
        .strip_suffix(".cn")
        .unwrap_or(host)
        .strip_suffix(".amazonaws.com")?;
    if host == "s3" || host.starts_with("s3.") || host.starts_with("s3-") {
        return Some("");
    }
    let at = host
        .rfind(".s3")
        .filter(|at| matches!(host.as_bytes().get(at + 3), None | Some(b'.' | b'-')))?;
    Some(&host[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location() -> Place {
        Place::from(&"s3://data/out/today/".parse::<S3Location>().unwrap())
    }

    fn names_it(word: &str) -> bool {
        named_in([word]).iter().any(|place| place.overlaps(&location()))
    }

    #[test]
    fn the_place_itself_what_is_above_and_what_is_below_are_found_in_any_spelling() {
        for word in [
            "s3://data/out/today",
            "s3://data/out/today/",
            "s3a://data/out/today/",
            "S3N://DATA/out/today/part-0",
            "s3://data",
            "s3a://data/",
            "s3://data/out",
            "s3://data//out///today",
            "s3://data/./x/../out/",
            "spark.x=s3://data/out/",
            "--conf=spark.eventLog.dir=s3a://data/out/today",
            "in=s3://other/in,s3://data/out/today,s3://other/out",
            "aws s3 cp /tmp/x \"s3://data/out/today/x\"; echo done",
            "bash -c 'spark-submit x.py s3://data/out/today>log'",
            r#"{"output":"s3://data/out/today","n":1}"#,
            r#"{"output":"s3:\/\/data\/out\/today\/"}"#,
            "[s3://data/out/today]",
            "{out: s3://data/out/today}",
            "s3://data/*/today",
            "s3://data/ou*",
            "s3://data/out/{today,tomorrow}/x",
            "s3://data/out/toda[xy]/",
            "s3://data/$DIR/x",
            "s3://${BUCKET}/out/today/",
            "s3://$BUCKET/out",
            "s3://{{ bucket }}/out/today",
            "s3a://KEY:secret@data/out/today",
            "s3://data/out/today/archive.zip#env",
            "arn:aws:s3:::data/out/*",
            "https://data.s3.eu-west-1.amazonaws.com/out/today/x",
            "https://s3.eu-west-1.amazonaws.com/data/out/today/x",
        ] {
            assert!(names_it(word), "{word}: {:?}", named_in([word]));
        }
    }

    #[test]
    fn neighbours_and_other_buckets_are_other_places() {
        for word in [
            "s3://data/out/today-2/",
            "s3://data/out/toda",
            "s3://data/out-today/",
            "s3://data2/out/today/",
            "s3://data/in/*",
            "s3://data/script.py",
            "s3://$BUCKET/in/",
            "hdfs://data/out/today",
            "/data/out/today",
            "https://example.com/data/out/today",
            "https://data2.s3.amazonaws.com/out/today",
            "s3",
            "://",
            "",
        ] {
            assert!(!names_it(word), "{word}: {:?}", named_in([word]));
        }
    }

    #[test]
    fn a_place_with_blanks_or_commas_counts_with_and_without_what_follows_them() {
        let place = Place::from(&"s3://data/my, results/".parse::<S3Location>().unwrap());
        for word in [
            "s3://data/my, results/",
            "x=s3://data/my, results",
            "{\"o\": \"s3://data/my, results/x\"}",
        ] {
            assert!(named_in([word]).iter().any(|found| found.overlaps(&place)), "{word}");
        }
    }

    #[test]
    fn no_secret_is_kept() {
        let found = format!("{:?}", named_in(["s3a://KEY:secret@data/out"]));
        assert!(!found.contains("secret"), "{found}");
    }

    #[test]
    fn a_place_reads_as_it_is_written() {
        for text in ["s3://data/out/today", "s3://data/", "s3://*/out", "s3://data/ou*"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        assert!("data/out".parse::<Place>().is_err());
    }

    fn named(word: &str) -> Vec<String> {
        named_in([word]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_place_ends_where_what_is_around_it_goes_on() {
        for (word, places) in [
            ("cp s3://a/b;ls", vec!["s3://a/b"]),
            ("(s3://a/b)", vec!["s3://a/b"]),
            ("x s3://a/{b,c}/d,s3://e/f", vec!["s3://a/", "s3://e/f"]),
            ("x s3://a/b]s3://c/d", vec!["s3://a/b", "s3://c/d"]),
            // Of alternatives the commas are none of the list's: what climbs behind them counts, what is listed does not.
            ("x s3://a/b/{c,d}/../../e", vec!["s3://a/"]),
            ("x s3://a/b/{c}/d,e/../../f", vec!["s3://a/b"]),
            ("x'S3a://A/B c'", vec!["s3://a/B", "s3://a/B c"]),
            ("arn:aws-cn:s3:::a/b", vec!["s3://a/b"]),
            ("https://a.s3.cn-north-1.amazonaws.com.cn/b", vec!["s3://a/b"]),
            ("https://s3-eu-west-1.amazonaws.com/a/b", vec!["s3://a/b"]),
            ("https://s3.amazonaws.com/a/b", vec!["s3://a/b"]),
            ("https://a.s3-eu-west-1.amazonaws.com/b", vec!["s3://a/b"]),
            ("https://a.b.s3.amazonaws.com/c", vec!["s3://a.b/c"]),
            ("https://a.s3x.amazonaws.com/b", vec![]),
            ("https://s3x.amazonaws.com/a/b", vec![]),
            ("https://sqs.eu-west-1.amazonaws.com/s3/b", vec![]),
            ("hdfs://a/b", vec![]),
        ] {
            assert_eq!(named(word), places, "{word}");
        }
    }

    #[test]
    fn a_pattern_that_climbs_may_lead_anywhere_in_its_bucket() {
        for (word, place) in [
            ("s3://data/a/$X/../../b", "s3://data/"),
            ("s3://data/a/../../b", "s3://data/b"),
            ("s3://data/a/b*", "s3://data/a/b*"),
            ("s3://data/a/*", "s3://data/a"),
            ("s3://data/*", "s3://data/"),
            ("s3://da,ta/x", "s3://da/"),
        ] {
            assert!(named(word).contains(&place.to_owned()), "{word}: {:?}", named(word));
        }
    }

    #[test]
    fn of_one_steps_words_so_many_places_are_read_and_no_more() {
        let words: Vec<String> = (0..PLACES_MAX + 10).map(|n| format!("s3://b/{n}")).collect();
        assert_eq!(named_in(words.iter().map(String::as_str)).len(), PLACES_MAX);
    }

    /// The ledger keeps it so.
    #[test]
    fn a_place_is_kept_as_it_is_written_and_read_back_the_same() {
        for text in ["s3://bucket/out", "s3://bucket/out*", "s3://*/out"] {
            let place: Place = text.parse().unwrap();
            let kept = serde_json::to_string(&place).unwrap();
            assert_eq!(kept, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Place>(&kept).unwrap(), place);
        }
    }
}
