//! The repository's event logs, read as what-if reads them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use spark_log::{Limits, Part, SparkRun, order_parts, read};

pub const TASKS_MAX: usize = 1 << 20;

/// Each by its name, in order.
pub fn all() -> Vec<(String, SparkRun)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in ["tests/data", "../../tests/data/spark-event-logs"] {
        paths.extend(
            fs::read_dir(tests.join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
    }
    paths.retain(|path| path.extension().is_none_or(|extension| extension == "gz"));
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let read_one = |path: &Path| {
        if path.is_dir() {
            log(&path.join("log"))
        } else {
            read_parts(vec![path.to_string_lossy().into_owned()])
        }
    };
    paths.iter().map(|path| (name(path), read_one(path))).collect()
}

fn log(folder: &Path) -> SparkRun {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap().path();
        if entry.is_dir() {
            return log(&entry);
        }
        names.push(entry.to_string_lossy().into_owned());
    }
    order_parts(&mut names);
    read_parts(names)
}

fn read_parts(names: Vec<String>) -> SparkRun {
    let parts = names.into_iter().map(|name| Part {
        bytes: File::open(&name).unwrap(),
        name,
    });
    let limits = Limits {
        tasks_max: TASKS_MAX,
        ..Limits::default()
    };
    read(parts.collect(), &limits)
}
