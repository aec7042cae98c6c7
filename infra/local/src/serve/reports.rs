//! The reports as files, as they appear in the account's report bucket.
//!
//! Separate because it is the only thing that `serve` writes to the machine; a key comes from a client, so only one that
//! has a report's shape becomes a path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::world::World;

/// How often the bucket is looked at, in virtual time.
const LOOK: Duration = Duration::from_secs(1);

/// Writes each report of the bucket's into the folder, and again when it changes, for ever.
pub async fn keep(world: World, out: PathBuf) {
    let mut written = BTreeMap::new();
    loop {
        if let Err(error) = save(&world, &out, &mut written) {
            // The account goes on: a full disk must not stop a drill that clients watch.
            eprintln!("error: {error:#}");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Writes what is new, by its ETag.
fn save(world: &World, out: &Path, written: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    let objects: Vec<(String, account::s3::Object)> = {
        let state = world.lock();
        let Some(bucket) = state.template.buckets.get("ReportBucket") else {
            return Ok(());
        };
        let keys = state.account.s3.list(bucket, "").unwrap_or_default();
        let object = |key: String| Some((key.clone(), state.account.s3.get(&format!("s3://{bucket}/{key}")).ok()?));
        keys.into_iter()
            .filter(|key| is_report(key))
            .filter_map(object)
            .collect()
    };
    for (key, object) in objects {
        if written.get(&key) == Some(&object.etag) {
            continue;
        }
        let path = out.join(&key);
        let folder = path.parent().context("a report's key has folders")?;
        std::fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
        std::fs::write(&path, &object.bytes).with_context(|| format!("writing {}", path.display()))?;
        if key.ends_with(".html") && !written.contains_key(&key) {
            eprintln!("Report: {}", path.display());
        }
        written.insert(key, object.etag);
    }
    Ok(())
}

/// `reports/<cluster>/<step>/report.json`, the page beside it, and nothing that leads out of the folder.
pub fn is_report(key: &str) -> bool {
    let parts: Vec<&str> = key.split('/').collect();
    let is_plain = |part: &&str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    (2..=6).contains(&parts.len()) && parts.iter().all(is_plain) && (key.ends_with(".json") || key.ends_with(".html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_leads_out_of_the_folder() {
        assert!(is_report("reports/j-1/s-1/report.html"));
        assert!(is_report("reports/index.html"));
        for key in [
            "report.html",
            "../report.html",
            "reports/../../a.html",
            "/etc/a.json",
            "a//b.json",
            "a/.b.json",
            "a/b",
        ] {
            assert!(!is_report(key), "{key}");
        }
    }
}
