//! Texts that tests keep: what was told when somebody last read it.

use std::fs;
use std::path::Path;

/// Holds a text against what is kept in a file. With `SAMPLES=write` in the environment it is kept instead, to be read as
/// a change.
///
/// # Panics
/// They differ: the message has the first line that does.
pub fn assert_kept(file: impl AsRef<Path>, text: &str) {
    let file = file.as_ref();
    if std::env::var_os("SAMPLES").is_some() {
        fs::write(file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        return;
    }
    let kept = fs::read_to_string(file).unwrap_or_default();
    let differs = text.lines().zip(kept.lines()).find(|(told, kept)| told != kept);
    assert!(
        text == kept,
        "{}: {differs:#?}: read it, and keep it by SAMPLES=write",
        file.display()
    );
}
