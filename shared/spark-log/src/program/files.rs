//! A log on this machine.
//!
//! Separate because files are listed and opened otherwise than objects are.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::{Folder, log_in, progress_bar};
use crate::{Limits, Part, SparkRun, read_parallel};
use anyhow::Context;

/// Reads the log at `path`, one file or the folder of a rolling log.
///
/// # Errors
/// Nothing lies there, several logs do, or a file cannot be opened.
pub fn read(path: &str, limits: &Limits) -> anyhow::Result<SparkRun> {
    let mut bytes_total = 0;
    let mut parts = Vec::new();
    for file in log_files(Path::new(path))? {
        let bytes = File::open(&file).with_context(|| format!("opening {}", file.display()))?;
        bytes_total += bytes
            .metadata()
            .with_context(|| format!("reading the size of {}", file.display()))?
            .len();
        parts.push(Part {
            name: file.to_string_lossy().into_owned(),
            bytes,
        });
    }
    let bar = progress_bar(bytes_total);
    let run = read_parallel(parts, limits, |bytes_read| bar.set_position(bytes_read));
    bar.finish_and_clear();
    Ok(run)
}

/// The files of the log at `path`, in order.
fn log_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let metadata = fs::metadata(path).with_context(|| format!("looking for {}", path.display()))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut names = Vec::new();
    let mut folders = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("listing {}", path.display()))? {
        let entry = entry.with_context(|| format!("listing {}", path.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            folders.push(name);
        } else {
            names.push(name);
        }
    }
    match log_in(&path.display().to_string(), folders, names)? {
        Folder::Log(names) => Ok(names.iter().map(|name| path.join(name)).collect()),
        Folder::Only(log) => log_files(&path.join(log)),
    }
}
