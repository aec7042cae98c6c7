//! The logs under `data/spark-event-logs`, as files and as runs.
//!
//! Separate because both kinds of tests start from them.

use std::fs;
use std::path::{Path, PathBuf};

use spark_log::{Limits, Part, SparkRun, order_parts, read};

/// All cases, by name.
pub fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/spark-event-logs");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert_eq!(cases.len(), 15);
    cases
}

/// One case.
pub fn case(name: &str) -> PathBuf {
    cases().into_iter().find(|case| case.ends_with(name)).unwrap()
}

/// The files of a case's log, by name, in order.
pub fn files(case: &Path) -> Vec<(String, Vec<u8>)> {
    let mut folder = case.join("log");
    let entries = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    };
    if let [only] = entries(&folder).as_slice()
        && only.is_dir()
    {
        folder.clone_from(only);
    }
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut names = entries(&folder).iter().map(name).collect();
    order_parts(&mut names);
    names
        .into_iter()
        .map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()))
        .collect()
}

/// Files as the reader takes them.
pub fn parts(files: &[(String, Vec<u8>)]) -> Vec<Part<&[u8]>> {
    files
        .iter()
        .map(|(name, bytes)| Part {
            name: name.clone(),
            bytes: bytes.as_slice(),
        })
        .collect()
}

/// Reads files in one thread.
pub fn read_files(files: &[(String, Vec<u8>)]) -> SparkRun {
    read(parts(files), &Limits::default())
}

/// Reads one file.
pub fn read_bytes(name: &str, bytes: &[u8]) -> SparkRun {
    read(
        vec![Part {
            name: name.to_owned(),
            bytes,
        }],
        &Limits::default(),
    )
}

/// A case's log as plain text.
pub fn text(name: &str) -> String {
    let files = files(&case(name));
    let bytes: Vec<u8> = files.into_iter().flat_map(|(_, bytes)| bytes).collect();
    String::from_utf8(bytes).unwrap()
}

/// The files of a folder of `data/spark-log`, by name: small logs, put together by hand, that each show one thing.
pub fn small_files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/spark-log")
        .join(folder);
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// One of the small logs, read.
pub fn small_run(folder: &str) -> SparkRun {
    read_files(&small_files(folder))
}

/// The only file of a small log, as text.
pub fn small_text(folder: &str) -> String {
    String::from_utf8(small_files(folder).remove(0).1).unwrap()
}

/// Reads a text as a log.
pub fn read_text(text: &str) -> SparkRun {
    read_bytes("log", text.as_bytes())
}
