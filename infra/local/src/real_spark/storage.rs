//! S3, as Spark's processes see it: a folder for each bucket, which all of them share.
//!
//! Separate because it is on both sides: Hadoop's own view file system, which is in the JARs that pip brings, takes `s3://`,
//! `s3a://` and `s3n://` to these folders; and what appears in them appears in the account's S3.
//! <https://hadoop.apache.org/docs/r3.3.4/hadoop-project-dist/hadoop-hdfs/ViewFsOverloadScheme.html>
//!
//! A folder is no object store: a rename is atomic and costs nothing here, and a file that is being written is there. Only
//! Spark sees these folders: other clients of S3 in a job, such as boto3, do not.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The schemes of S3.
const SCHEMES: [&str; 3] = ["s3", "s3a", "s3n"];

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// Its place in S3.
    pub(super) uri: String,
    /// The file.
    pub(super) path: PathBuf,
    /// When it was last written, by the machine's clock.
    pub(super) modified_at: SystemTime,
}

/// The buckets' folders.
#[derive(Debug)]
pub(super) struct Storage {
    root: PathBuf,
    seen: BTreeMap<PathBuf, (SystemTime, u64)>,
}

impl Storage {
    /// No bucket yet, in this folder.
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            seen: BTreeMap::new(),
        }
    }

    /// The folder of all buckets.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes a bucket, unless it is there.
    pub(super) fn make_bucket(&self, bucket: &str) -> io::Result<()> {
        std::fs::create_dir_all(self.root.join(bucket))
    }

    /// Copies a file, or a folder's files, to a place in S3, and makes its bucket.
    pub(super) fn copy(&self, from: &Path, uri: &str) -> io::Result<()> {
        let Some(to) = self.path(uri) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{uri} is no place in S3"),
            ));
        };
        if !from.is_dir() {
            std::fs::create_dir_all(to.parent().unwrap_or(&self.root))?;
            return std::fs::copy(from, to).map(drop);
        }
        for file in files(from)? {
            let to = to.join(file.strip_prefix(from).unwrap_or(&file));
            std::fs::create_dir_all(to.parent().unwrap_or(&self.root))?;
            std::fs::copy(&file, to)?;
        }
        Ok(())
    }

    /// The file or folder of a place in S3; `None`: it is none.
    pub(super) fn path(&self, uri: &str) -> Option<PathBuf> {
        let (scheme, rest) = uri.split_once("://")?;
        let is_inside = rest.split('/').all(|part| part != "..") && !rest.is_empty() && !rest.starts_with('/');
        (SCHEMES.contains(&scheme) && is_inside).then(|| self.root.join(rest))
    }

    /// Spark's properties by which its processes find the buckets that are there now.
    pub(super) fn properties(&self) -> io::Result<Vec<(String, String)>> {
        let view = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme";
        let mut properties: Vec<(String, String)> = SCHEMES
            .map(|scheme| (format!("spark.hadoop.fs.{scheme}.impl"), view.to_owned()))
            .into();
        properties.push((
            "spark.hadoop.fs.viewfs.overload.scheme.target.file.impl".into(),
            "org.apache.hadoop.fs.LocalFileSystem".into(),
        ));
        for bucket in self.buckets()? {
            let key = format!("spark.hadoop.fs.viewfs.mounttable.{bucket}.linkFallback");
            properties.push((key, format!("file://{}", self.root.join(&bucket).display())));
        }
        Ok(properties)
    }

    /// The buckets, in their order.
    fn buckets(&self) -> io::Result<Vec<String>> {
        let mut names: Vec<String> = std::fs::read_dir(&self.root)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// The files that were written since this was last asked; without the checksums that Hadoop keeps beside local files.
    pub(super) fn written(&mut self) -> io::Result<Vec<Written>> {
        let mut written = Vec::new();
        for path in files(&self.root)? {
            let Ok(about) = path.metadata() else { continue };
            let Ok(modified_at) = about.modified() else { continue };
            if is_checksum(&path) {
                continue;
            }
            let state = (modified_at, about.len());
            if self.seen.insert(path.clone(), state) != Some(state) {
                let key = path.strip_prefix(&self.root).unwrap_or(&path);
                written.push(Written {
                    uri: format!("s3://{}", key.display()),
                    path,
                    modified_at,
                });
            }
        }
        Ok(written)
    }
}

/// Whether it is one of the checksums that Hadoop keeps beside local files.
pub(super) fn is_checksum(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.ends_with(".crc")
}

/// All files below a folder, in their order.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_below_a_bucket_is_told_once() {
        let root = std::env::temp_dir().join(format!("spot-drill-storage-{}", std::process::id()));
        let mut storage = Storage::new(root.clone());
        for bucket in ["words", "counts"] {
            storage.make_bucket(bucket).unwrap();
        }
        assert_eq!(storage.buckets().unwrap(), ["counts", "words"]);
        std::fs::write(root.join("words/of.txt"), "a b").unwrap();
        storage.copy(&root.join("words"), "s3://words/in/").unwrap();
        let uris = |written: Vec<Written>| written.into_iter().map(|one| one.uri).collect::<Vec<_>>();
        assert_eq!(
            uris(storage.written().unwrap()),
            ["s3://words/in/of.txt", "s3://words/of.txt"]
        );
        std::fs::create_dir_all(root.join("counts/out")).unwrap();
        for name in ["part-0", ".part-0.crc", "_SUCCESS"] {
            std::fs::write(root.join("counts/out").join(name), "1").unwrap();
        }
        assert_eq!(
            uris(storage.written().unwrap()),
            ["s3://counts/out/_SUCCESS", "s3://counts/out/part-0"]
        );
        assert_eq!(storage.written().unwrap(), []);
        assert_eq!(storage.path("s3n://counts/out/"), Some(root.join("counts/out/")));
        assert_eq!(storage.path("s3://counts/../../x"), None);
        let properties = storage.properties().unwrap();
        let mount = (
            "spark.hadoop.fs.viewfs.mounttable.counts.linkFallback".to_owned(),
            format!("file://{}/counts", root.display()),
        );
        assert!(properties.contains(&mount), "{properties:?}");
        std::fs::remove_dir_all(root).unwrap();
    }
}
