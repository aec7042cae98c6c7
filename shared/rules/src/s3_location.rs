//! A place in S3, in any of the ways in which Hadoop's tools spell it.

use std::fmt;
use std::str::FromStr;

/// A place in S3: a bucket and a prefix that ends in `/`, never a bucket's root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct S3Location {
    /// The bucket's name.
    pub bucket: String,
    /// Not empty, no leading `/`, one trailing `/`.
    pub prefix: String,
}

impl S3Location {
    /// Is `other` this place or below it?
    pub fn holds(&self, other: &Self) -> bool {
        self.bucket == other.bucket && other.prefix.starts_with(&self.prefix)
    }
}

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl FromStr for S3Location {
    type Err = String;

    /// Hadoop's `s3a:` and `s3n:` name the same places as `s3:`, in any case of letters.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected s3://bucket/prefix/ with a prefix that is not empty, found {text:?}");
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        if !["s3", "s3a", "s3n"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            return Err(wrong());
        }
        let (bucket, prefix) = rest.split_once('/').ok_or_else(wrong)?;
        let bucket_is_plain =
            (3..=63).contains(&bucket.len()) && bucket.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        let prefix = prefix.trim_end_matches('/');
        let strange = prefix
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..");
        if !bucket_is_plain || prefix.is_empty() || strange || prefix.chars().any(char::is_control) {
            return Err(wrong());
        }
        Ok(Self {
            bucket: bucket.into(),
            prefix: format!("{prefix}/"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buckets_root_is_no_place() {
        for bad in [
            "s3://bucket",
            "s3://bucket/",
            "s3://bucket//",
            "s3:///x/",
            "bucket/x",
            "s3://bucket/a//b/",
            "s3://bucket/../",
            "",
        ] {
            assert!(S3Location::from_str(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_place_ends_in_one_slash_so_that_a_sibling_with_a_longer_name_is_outside() {
        let results: S3Location = "s3://bucket/results".parse().unwrap();
        assert_eq!(results.to_string(), "s3://bucket/results/");
        let sibling: S3Location = "s3://bucket/results-of-others/".parse().unwrap();
        assert!(!results.holds(&sibling));
        assert!(results.holds(&"s3a://bucket/results/today".parse().unwrap()));
    }

    #[test]
    fn buckets_have_three_to_63_plain_characters() {
        let is_place = |text: &str| S3Location::from_str(text).is_ok();
        let bucket = |length| format!("s3://{}/x", "b".repeat(length));
        assert!(!is_place(&bucket(2)) && is_place(&bucket(3)) && is_place(&bucket(63)) && !is_place(&bucket(64)));
        for good in [
            "s3://my-b.c_1/x",
            "S3://bucket/x",
            "s3n://bucket/x",
            "S3A://bucket/a.b/c..d/",
        ] {
            assert!(is_place(good), "{good}");
        }
        for bad in [
            "s3://bu cket/x",
            "s3://b@cket/x",
            "s4://bucket/x",
            "hdfs://bucket/x",
            "s3://bucket/./x",
            "s3://bucket/a\nb",
        ] {
            assert!(!is_place(bad), "{bad}");
        }
    }

    #[test]
    fn another_buckets_place_is_never_below() {
        let place = |text: &str| S3Location::from_str(text).unwrap();
        assert!(place("s3://bucket/a").holds(&place("s3://bucket/a")));
        assert!(!place("s3://bucket/a").holds(&place("s3://other/a/b")));
        assert!(!place("s3://bucket/a/b").holds(&place("s3://bucket/a")));
    }
}
