//! The account's S3 and the folders that Spark sees as S3, each brought in line with the other.
//!
//! Separate because neither knows of the other: clients of the account write objects, and Spark files. What both have
//! changed since the last look is as Spark left it. What a committer has not committed yet is nobody's business but
//! Spark's: on S3 it would be an upload that is not complete.
//! <https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-s3-optimized-committer.html>

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use account::s3::Store;

use super::moments::Moments;
use super::storage::Storage;

/// Folders below which nothing is committed yet.
const UNCOMMITTED: [&str; 2] = ["_temporary", ".spark-staging"];

/// A file as it was seen: when it was written, and how long it is.
type Seen = (SystemTime, u64);

/// What was the same on both sides when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Known {
    /// The object's ETag; `None`: it was never in the account's S3, and nobody misses it there.
    etag: Option<String>,
    file: Option<Seen>,
}

/// Both sides.
#[derive(Debug)]
pub(super) struct Mirror {
    store: Store,
    storage: Storage,
    /// Whether anybody writes to the account's S3 whom Spark is to hear of.
    has_clients: bool,
    /// By `s3://bucket/key`.
    known: BTreeMap<String, Known>,
}

impl Mirror {
    /// Takes the files that lie there already for known: they are for Spark alone.
    pub(super) fn new(store: Store, storage: Storage, has_clients: bool) -> io::Result<Self> {
        let mut known = BTreeMap::new();
        for (uri, path) in storage.files()? {
            let file = seen(&path);
            known.insert(uri, Known { etag: None, file });
        }
        Ok(Self {
            store,
            storage,
            has_clients,
            known,
        })
    }

    /// The folders.
    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// What Spark wrote and deleted is written and deleted in the account's S3, as of the time at which Spark did it. Answers
    /// what could not be done, a line each.
    pub(super) fn take(&mut self, moments: &Moments) -> io::Result<Vec<String>> {
        let (mut there, mut failed) = (BTreeSet::new(), Vec::new());
        for (uri, path) in self.storage.files()? {
            let Some(file) = seen(&path).filter(|_| !is_uncommitted(&uri)) else {
                continue;
            };
            there.insert(uri.clone());
            let known = self.known.entry(uri.clone()).or_default();
            if known.file == Some(file) {
                continue;
            }
            // One that went meanwhile was a temporary one.
            let Ok(bytes) = std::fs::read(&path) else { continue };
            known.file = Some(file);
            match self.store.put(&uri, bytes, moments.at(file.0.into())) {
                Ok(etag) => known.etag = Some(etag),
                Err(error) => failed.push(format!("{uri} is not in S3: {error}")),
            }
        }
        for uri in self.gone(|uri, known| known.file.is_some() && !there.contains(uri)) {
            // An object that a client has written since is another one.
            if let Some(Known { etag: Some(etag), .. }) = self.known.remove(&uri)
                && self.store.get(&uri).is_ok_and(|object| object.etag == etag)
            {
                self.store.delete(&uri).ok();
            }
        }
        Ok(failed)
    }

    /// What clients of the account wrote and deleted is written and deleted in the folders. Answers what could not be done, a
    /// line each, and tells it once.
    pub(super) fn give(&mut self) -> io::Result<Vec<String>> {
        let mut failed = Vec::new();
        if !self.has_clients {
            return Ok(failed);
        }
        for bucket in self.store.buckets() {
            self.storage.make_bucket(&bucket)?;
        }
        let objects: BTreeMap<String, String> = self.store.etags().into_iter().collect();
        for uri in self.gone(|uri, known| known.etag.is_some() && !objects.contains_key(uri)) {
            self.known.remove(&uri);
            self.storage.remove(&uri)?;
        }
        for (uri, etag) in objects {
            if self
                .known
                .get(&uri)
                .is_some_and(|known| known.etag.as_ref() == Some(&etag))
            {
                continue;
            }
            let Ok(object) = self.store.get(&uri) else { continue };
            let written = self.storage.write(&uri, &object.bytes);
            if let Err(error) = &written {
                failed.push(format!("Spark does not see {uri}: {error}"));
            }
            let file = written.ok().and_then(|path| seen(&path));
            let etag = Some(etag);
            self.known.insert(uri, Known { etag, file });
        }
        Ok(failed)
    }

    /// What one of the sides had, and has no more.
    fn gone(&self, is_gone: impl Fn(&str, &Known) -> bool) -> Vec<String> {
        let gone = self.known.iter().filter(|(uri, known)| is_gone(uri, known));
        gone.map(|(uri, _)| uri.clone()).collect()
    }
}

fn seen(path: &Path) -> Option<Seen> {
    let about = path.metadata().ok().filter(|about| about.is_file())?;
    Some((about.modified().ok()?, about.len()))
}

fn is_uncommitted(uri: &str) -> bool {
    let mut folders = uri.rsplit('/').skip(1);
    folders.any(|folder| UNCOMMITTED.iter().any(|name| folder.starts_with(name)))
}

#[cfg(test)]
mod tests {
    use super::super::moments::tests::moments;
    use super::*;
    use account::api::Time;

    /// Both sides, with a bucket, in a folder of the test's own.
    fn mirror(name: &str) -> Mirror {
        let root = std::env::temp_dir().join(format!("spot-drill-mirror-{name}-{}", std::process::id()));
        std::fs::remove_dir_all(&root).ok();
        let (store, storage) = (Store::new(), Storage::new(root.join("s3")));
        store.create_bucket("b");
        storage.make_bucket("b").unwrap();
        Mirror::new(store, storage, true).unwrap()
    }

    impl Mirror {
        fn put(&self, key: &str, text: &'static str) {
            self.store
                .put(&format!("s3://b/{key}"), text, Time::UNIX_EPOCH)
                .unwrap();
        }

        fn look(&mut self) -> Vec<String> {
            let mut failed = self.take(&moments(&[(0, 0, 1)])).unwrap();
            failed.extend(self.give().unwrap());
            failed
        }

        fn object(&self, key: &str) -> Option<String> {
            let object = self.store.get(&format!("s3://b/{key}")).ok()?;
            Some(String::from_utf8(object.bytes.to_vec()).unwrap())
        }

        fn write(&self, key: &str, text: &str) {
            let path = self.file(key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn file(&self, key: &str) -> std::path::PathBuf {
            self.storage.path(&format!("s3://b/{key}")).unwrap()
        }

        fn read(&self, key: &str) -> Option<String> {
            std::fs::read_to_string(self.file(key)).ok()
        }
    }

    #[test]
    fn what_a_client_writes_changes_and_deletes_spark_sees_so() {
        let mut both = mirror("clients");
        both.put("in/a b/ü.txt", "1");
        assert_eq!(both.look(), [""; 0]);
        assert_eq!(both.read("in/a b/ü.txt").as_deref(), Some("1"));
        // Hadoop's checksum of the old text would make the new one unreadable.
        both.write("in/a b/.ü.txt.crc", "x");
        both.put("in/a b/ü.txt", "22");
        both.look();
        assert_eq!(both.read("in/a b/ü.txt").as_deref(), Some("22"));
        assert_eq!(both.read("in/a b/.ü.txt.crc"), None);
        both.store.delete("s3://b/in/a b/ü.txt").unwrap();
        both.look();
        assert!(!both.file("in").exists(), "a folder without files is none in S3");
    }

    #[test]
    fn what_spark_commits_and_deletes_clients_see_so() {
        let mut both = mirror("spark");
        both.write("out/_temporary/0/part-0", "1");
        both.write("out/.spark-staging-7/part-0", "1");
        both.look();
        assert_eq!(both.store.etags(), []);
        both.write("out/part-0", "1");
        both.write("out/_SUCCESS", "");
        both.look();
        assert_eq!(both.object("out/part-0").as_deref(), Some("1"));
        assert_eq!(both.object("out/_SUCCESS").as_deref(), Some(""));
        std::fs::remove_file(both.file("out/part-0")).unwrap();
        both.write("out/part-1", "2");
        both.look();
        assert_eq!(
            (both.object("out/part-0"), both.object("out/part-1")),
            (None, Some("2".into()))
        );
    }

    #[test]
    fn of_both_sides_changes_that_of_spark_counts_and_files_for_spark_alone_stay_that() {
        let root = mirror("conflicts").storage.root().to_owned();
        let storage = Storage::new(root);
        std::fs::write(storage.path("s3://b/sample").unwrap(), "large").unwrap();
        let store = Store::new();
        store.create_bucket("b");
        let mut alone = Mirror::new(store.clone(), storage.clone(), false).unwrap();
        alone.put("x", "0");
        alone.look();
        assert_eq!(alone.read("x"), None, "nobody whom Spark is to hear of");
        let mut both = Mirror::new(store, storage, true).unwrap();
        both.look();
        assert_eq!(
            (both.object("sample"), both.read("sample").as_deref()),
            (None, Some("large"))
        );
        both.put("x", "client's");
        both.write("x", "Spark's own");
        both.look();
        assert_eq!(both.object("x").as_deref(), Some("Spark's own"));
        assert_eq!(both.read("x").as_deref(), Some("Spark's own"));
        std::fs::remove_file(both.file("x")).unwrap();
        both.put("x", "client's again");
        both.look();
        assert_eq!(both.read("x").as_deref(), Some("client's again"));
    }

    #[test]
    fn a_key_that_can_be_no_file_is_told_once() {
        let mut both = mirror("keys");
        for key in ["a", "a/b", "../up", "c//d", "folder/"] {
            both.put(key, "1");
        }
        let failed = both.look();
        assert_eq!(failed.len(), 3, "{failed:?}");
        assert!(both.file("folder").is_dir());
        assert_eq!(both.look(), [""; 0]);
        assert!(both.object("folder/").is_some(), "it stays an object");
    }
}
