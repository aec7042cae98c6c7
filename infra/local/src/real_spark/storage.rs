//! S3, as Spark's processes see it: a folder for each bucket, which all of them share.
//!
//! Separate because it is on both sides: Hadoop's own view file system, which is in the JARs that pip brings, takes `s3://`,
//! `s3a://` and `s3n://` to these folders; `mirror` keeps the account's S3 in line with them.
//! <https://hadoop.apache.org/docs/r3.3.4/hadoop-project-dist/hadoop-hdfs/ViewFsOverloadScheme.html>
//!
//! A folder is no object store: a rename is atomic and costs nothing here, and a file that is being written is there. Only
//! Spark sees these folders: other clients of S3 in a job, such as boto3, do not.

use std::io;
use std::path::{Path, PathBuf};

/// The schemes of S3.
pub(super) const SCHEMES: [&str; 3] = ["s3", "s3a", "s3n"];

/// The buckets' folders.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    root: PathBuf,
}

impl Storage {
    /// No bucket yet, in this folder.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
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
        let parts = rest.strip_suffix('/').unwrap_or(rest).split('/');
        let is_inside = parts.into_iter().all(|part| !["", ".", ".."].contains(&part));
        (SCHEMES.contains(&scheme) && is_inside).then(|| self.root.join(rest))
    }

    /// Writes an object's bytes to its file, so that whoever reads it meanwhile sees the old ones or the new ones. A key that
    /// ends in a slash is a folder.
    pub(super) fn write(&self, uri: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let Some(path) = self.path(uri) else {
            let message = "a path has no empty part, and none of dots";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        if uri.ends_with('/') {
            return std::fs::create_dir_all(&path).map(|()| path);
        }
        let incoming = self.root.with_file_name("incoming");
        std::fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
        std::fs::write(&incoming, bytes)?;
        // Hadoop's checksum is of the old bytes.
        remove_if_there(&checksum(&path))?;
        std::fs::rename(incoming, &path)?;
        Ok(path)
    }

    /// Removes an object's file, and the folders that are empty without it: S3 has none.
    pub(super) fn remove(&self, uri: &str) -> io::Result<()> {
        let Some(path) = self.path(uri) else { return Ok(()) };
        if !uri.ends_with('/') {
            remove_if_there(&checksum(&path))?;
            remove_if_there(&path)?;
        }
        let inside = |folder: &&Path| {
            folder
                .parent()
                .is_some_and(|above| above != self.root && above.starts_with(&self.root))
        };
        let folders = path.ancestors().skip(usize::from(!uri.ends_with('/')));
        for folder in folders.take_while(inside) {
            if std::fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
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
            properties.push((key, file_uri(&self.root.join(&bucket))));
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

    /// All files, but for the checksums that Hadoop keeps beside them, each with its place in S3.
    pub(super) fn files(&self) -> io::Result<Vec<(String, PathBuf)>> {
        let all = files(&self.root)?.into_iter().filter(|path| !is_checksum(path));
        let place = |path: PathBuf| {
            let key = path.strip_prefix(&self.root).unwrap_or(&path).display().to_string();
            (format!("s3://{key}"), path)
        };
        Ok(all.map(place).collect())
    }
}

/// A file's URI: what is no plain letter in its name is escaped, as Java's `URI` wants it.
pub(super) fn file_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file://");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// Where Hadoop keeps the checksum of a local file.
fn checksum(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.crc"))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
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
    fn a_bucket_is_a_folder_that_hadoop_finds_by_its_name() {
        let root = std::env::temp_dir().join(format!("spot-drill-storage-{}", std::process::id()));
        let storage = Storage::new(root.clone());
        for bucket in ["words", "counts"] {
            storage.make_bucket(bucket).unwrap();
        }
        assert_eq!(storage.buckets().unwrap(), ["counts", "words"]);
        std::fs::write(root.join("words/of.txt"), "a b").unwrap();
        storage.copy(&root.join("words"), "s3://words/in/").unwrap();
        std::fs::write(root.join("words/.of.txt.crc"), "1").unwrap();
        let places: Vec<String> = storage.files().unwrap().into_iter().map(|(uri, _)| uri).collect();
        assert_eq!(places, ["s3://words/in/of.txt", "s3://words/of.txt"]);
        assert_eq!(storage.path("s3n://counts/out/"), Some(root.join("counts/out/")));
        for outside in [
            "s3://counts/../../x",
            "s3://counts//x",
            "s3://",
            "file:///x",
            "counts/x",
        ] {
            assert_eq!(storage.path(outside), None, "{outside}");
        }
        let properties = storage.properties().unwrap();
        let mount = (
            "spark.hadoop.fs.viewfs.mounttable.counts.linkFallback".to_owned(),
            file_uri(&root.join("counts")),
        );
        assert!(properties.contains(&mount), "{properties:?}");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_blank_in_a_folders_name_is_none_in_its_uri() {
        assert_eq!(file_uri(Path::new("/my out/ü_1.x")), "file:///my%20out/%C3%BC_1.x");
    }
}
