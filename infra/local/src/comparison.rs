//! A run beside the same job undisturbed, in the same sitting: how long each took, and what each wrote.
//!
//! Separate because a job that ended well may have written something else: rows twice, or not at all.

use std::collections::BTreeMap;

use report::Report;
use serde::{Deserialize, Serialize};

/// The rows of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// How many there are.
    pub rows: u64,
    /// The sum of their hashes: the same for the same rows in any order.
    pub checksum: String,
}

/// The folders that a run wrote, as `bucket/prefix/`, and their rows.
pub type Written = BTreeMap<String, Rows>;

/// Both runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Virtual seconds of the application, where the report tells them.
    pub seconds: Option<i64>,
    /// The same without a drill.
    pub undisturbed_seconds: Option<i64>,
    /// What was written.
    pub written: Written,
    /// The same without a drill.
    pub undisturbed_written: Written,
}

impl Comparison {
    /// Of two reports, and of what was written.
    pub fn new(
        report: Option<&Report>,
        undisturbed: Option<&Report>,
        [written, undisturbed_written]: [Written; 2],
    ) -> Self {
        let seconds = |report: Option<&Report>| report?.run.map(|run| (run.ended_at - run.began_at).num_seconds());
        Self {
            seconds: seconds(report),
            undisturbed_seconds: seconds(undisturbed),
            written,
            undisturbed_written,
        }
    }

    /// Whether both wrote the same rows.
    pub fn is_same(&self) -> bool {
        self.written == self.undisturbed_written
    }

    /// What it comes to, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let (Some(seconds), Some(undisturbed)) = (self.seconds, self.undisturbed_seconds) {
            let percent = (seconds - undisturbed) * 100 / undisturbed.max(1);
            lines.push(format!("Took {seconds} s, undisturbed {undisturbed} s: {percent:+} %."));
        }
        if self.is_same() {
            let rows: u64 = self.written.values().map(|one| one.rows).sum();
            lines.push(format!("Wrote the same {rows} rows as undisturbed."));
        }
        let mut folders: Vec<&String> = self.written.keys().chain(self.undisturbed_written.keys()).collect();
        folders.sort();
        folders.dedup();
        for folder in folders {
            let (here, undisturbed) = (self.written.get(folder), self.undisturbed_written.get(folder));
            if here != undisturbed {
                let told = |one: Option<&Rows>| {
                    one.map_or("nothing".to_owned(), |one| {
                        format!("{} rows ({})", one.rows, one.checksum)
                    })
                };
                lines.push(format!(
                    "WROTE SOMETHING ELSE to s3://{folder}: {}, undisturbed {}.",
                    told(here),
                    told(undisturbed)
                ));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folders: &[(&str, u64, &str)]) -> Written {
        let one = |(folder, rows, checksum): &(&str, u64, &str)| {
            let rows = Rows {
                rows: *rows,
                checksum: (*checksum).to_owned(),
            };
            ((*folder).to_owned(), rows)
        };
        folders.iter().map(one).collect()
    }

    fn comparison(here: &[(&str, u64, &str)], undisturbed: &[(&str, u64, &str)]) -> Comparison {
        Comparison {
            seconds: Some(150),
            undisturbed_seconds: Some(120),
            ..Comparison::new(None, None, [written(here), written(undisturbed)])
        }
    }

    #[test]
    fn the_same_rows_are_told_as_such_and_so_is_the_time() {
        let same = comparison(
            &[("b/x/", 7, "a1"), ("b/y/", 2, "b2")],
            &[("b/x/", 7, "a1"), ("b/y/", 2, "b2")],
        );
        assert!(same.is_same());
        assert_eq!(
            same.lines(),
            [
                "Took 150 s, undisturbed 120 s: +25 %.",
                "Wrote the same 9 rows as undisturbed."
            ]
        );
    }

    #[test]
    fn rows_that_are_more_other_or_missing_are_told_with_their_folder() {
        let other = comparison(
            &[("b/x/", 8, "a2"), ("b/z/", 1, "c3")],
            &[("b/x/", 7, "a1"), ("b/y/", 2, "b2")],
        );
        assert!(!other.is_same());
        assert_eq!(
            other.lines()[1..],
            [
                "WROTE SOMETHING ELSE to s3://b/x/: 8 rows (a2), undisturbed 7 rows (a1).",
                "WROTE SOMETHING ELSE to s3://b/y/: nothing, undisturbed 2 rows (b2).",
                "WROTE SOMETHING ELSE to s3://b/z/: 1 rows (c3), undisturbed nothing.",
            ]
        );
    }
}
