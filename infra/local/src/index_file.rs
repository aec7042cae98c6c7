//! `index.html` over the reports that lie in a folder of runs, which `drill` keeps beside them.
//!
//! Separate because the runs of earlier days count too: what lies in the folder is read, not what this run made.

use std::path::{Path, PathBuf};

use anyhow::Context;
use report::Report;
use report::index::{Entry, Index};

/// Writes the index of `<out>/<story>/report*.json`, and answers where it lies. What is no report, or of a version that is not
/// read any more, is left out.
pub fn keep(out: &Path) -> anyhow::Result<PathBuf> {
    let mut index = Index::default();
    for story in names(out)? {
        let folder = out.join(&story);
        if !folder.is_dir() {
            continue;
        }
        for file in names(&folder)? {
            let Some(name) = file.strip_suffix(".json").filter(|name| name.starts_with("report")) else {
                continue;
            };
            let path = folder.join(&file);
            let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            if let Ok(report) = serde_json::from_slice::<Report>(&bytes) {
                index.add(Entry::of(&report, format!("{story}/{name}.html")));
            }
        }
    }
    let path = out.join("index.html");
    let html = index.to_html().context("rendering the index")?;
    std::fs::write(&path, html).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// The names in a folder, in their order.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

    use super::*;

    #[test]
    fn earlier_runs_in_the_folder_count_and_other_files_do_not() {
        let out = std::env::temp_dir().join(format!("spot-drill-index-{}", std::process::id()));
        let sample = include_str!("../../../shared/report/samples/workshop.json");
        for (story, text) in [("today", sample), ("yesterday", sample), ("broken", "{\"schema\": 7}")] {
            std::fs::create_dir_all(out.join(story)).unwrap();
            std::fs::write(out.join(story).join("report.json"), text).unwrap();
        }
        std::fs::write(out.join("today/notes.json"), sample).unwrap();
        let html = std::fs::read_to_string(keep(&out).unwrap()).unwrap();
        std::fs::remove_dir_all(&out).unwrap();
        assert!(html.contains("2 drills of 1 job"), "{html}");
        assert!(html.contains("./today/report.html") && html.contains("./yesterday/report.html"));
    }
}
