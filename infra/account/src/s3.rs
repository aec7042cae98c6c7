//! Simulated S3: buckets and objects in memory, whose conditional writes are atomic.
//!
//! Separate because the simulation writes here too (Spark's output and event logs), without a request; `s3/protocol.rs`
//! offers the same store as S3's REST protocol.

mod chunked;
mod deletion;
mod description;
mod encryption;
mod listing;
mod multipart;
mod object;
mod pages;
mod part;
mod protocol;
mod subject;
mod version;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use s3s::crypto::{Checksum as _, Crc64Nvme, Md5};

use crate::api::{ApiError, Time};

pub use self::chunked::plain;
pub use self::encryption::Encryption;
pub use self::listing::{Entry, Listing, Page};
pub use self::protocol::{Service, service};

/// An object as S3 keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The content.
    pub bytes: Bytes,
    /// MD5 of the content in hexadecimal, without quotes; of the parts' MD5s and `-<parts>` for a multipart upload. Of what
    /// the account wrote by itself: see [`Store::put`].
    pub etag: String,
    /// When it was last written.
    pub last_modified: Time,
    /// What the writer said that it is.
    pub headers: Headers,
    /// The sizes of the parts that it was uploaded in; empty for an object of one piece.
    pub part_sizes: Vec<usize>,
}

/// What a writer says about an object besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`, without `aws-chunked`, which is of the transfer.
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `x-amz-meta-*`, by the name after the prefix.
    pub metadata: BTreeMap<String, String>,
    /// `x-amz-checksum-*` that came with the write and held, by the header's whole name.
    pub checksums: BTreeMap<String, String>,
    /// Other headers that come back as they were sent, by name: `Expires`, the storage class if it is not `STANDARD`, …
    pub kept: BTreeMap<String, String>,
    /// How it is to be encrypted; of an object that is kept, how it is. `None`: as the bucket says.
    pub encryption: Option<Encryption>,
}

/// The condition of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// No condition.
    Always,
    /// `If-None-Match: *`: only where no object is.
    Absent,
    /// `If-Match`: only over the object with this ETag.
    Matches(String),
}

/// All buckets of the account. Clones share them.
#[derive(Debug, Clone)]
pub struct Store {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    now: Time,
    buckets: BTreeMap<String, Bucket>,
    uploads: BTreeMap<String, multipart::Upload>,
    uploads_started: u64,
    /// What each upload became, by its id.
    completed: BTreeMap<String, multipart::Completed>,
    /// Entries of a listing's page at most, whatever is asked for.
    page: Option<usize>,
    requests: u64,
}

#[derive(Debug)]
struct Bucket {
    created_at: Time,
    /// How an object is encrypted whose writer does not say it.
    encryption: Encryption,
    objects: BTreeMap<String, Object>,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// No buckets, at the epoch.
    pub fn new() -> Self {
        let state = State {
            now: Time::UNIX_EPOCH,
            buckets: BTreeMap::new(),
            uploads: BTreeMap::new(),
            uploads_started: 0,
            completed: BTreeMap::new(),
            page: None,
            requests: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Sets the time that S3 stamps on what is written from now on.
    pub fn set_now(&self, now: Time) {
        self.lock().now = now;
    }

    /// Lists so many entries a page at most, whatever is asked for.
    pub fn set_page(&self, entries: usize) {
        self.lock().page = Some(entries.max(1));
    }

    /// Makes a bucket; one that exists already stays as it is, and the answer is `false`.
    pub fn create_bucket(&self, bucket: &str) -> bool {
        let mut state = self.lock();
        let created_at = state.now;
        let exists = state.buckets.contains_key(bucket);
        state.buckets.entry(bucket.into()).or_insert(Bucket {
            created_at,
            encryption: Encryption::default(),
            objects: BTreeMap::new(),
        });
        !exists
    }

    /// From now on the bucket's objects are encrypted so, unless their writer says otherwise.
    //= https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-encryption.html
    pub fn encrypt(&self, bucket: &str, encryption: Encryption) -> Result<(), ApiError> {
        self.lock().bucket_mut(bucket)?.encryption = encryption;
        Ok(())
    }

    /// How what is written into a bucket is encrypted, if its writer asks for this.
    pub fn encryption(&self, bucket: &str, asked: Option<Encryption>) -> Encryption {
        let state = self.lock();
        asked.unwrap_or_else(|| {
            state
                .bucket(bucket)
                .map(|one| one.encryption.clone())
                .unwrap_or_default()
        })
    }

    /// Writes the object at `s3://bucket/key`, without a condition, as of `now`. Answers its ETag.
    ///
    /// It is an upload of one part, as Hadoop's and Spark's writers stream to S3. Its ETag says whether two contents are the
    /// same, and is no MD5, which would cost more than all else that is done with an event log.
    //= https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    pub fn put(&self, uri: &str, bytes: impl Into<Bytes>, now: Time) -> Result<String, ApiError> {
        let (bucket, key) = split_uri(uri)?;
        let bytes = bytes.into();
        let object = Object {
            etag: format!("{}{:016x}-1", hex(&Crc64Nvme::checksum(&bytes)), bytes.len()),
            part_sizes: vec![bytes.len()],
            bytes,
            last_modified: now,
            headers: Headers::default(),
        };
        let mut state = self.lock();
        state.now = state.now.max(now);
        state.insert(bucket, key, object, &Condition::Always)
    }

    /// The object at `s3://bucket/key`.
    pub fn get(&self, uri: &str) -> Result<Object, ApiError> {
        let (bucket, key) = split_uri(uri)?;
        self.lock().object(bucket, key).cloned()
    }

    /// The keys of a bucket that start with `prefix`, in S3's order.
    pub fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, ApiError> {
        Ok(self
            .lock()
            .bucket(bucket)?
            .under(prefix)
            .map(|(key, _)| key.clone())
            .collect())
    }

    /// Deletes the object at `s3://bucket/key`; one that is not there is deleted already.
    pub fn delete(&self, uri: &str) -> Result<(), ApiError> {
        let (bucket, key) = split_uri(uri)?;
        self.lock().bucket_mut(bucket)?.objects.remove(key);
        Ok(())
    }

    /// The buckets, by name.
    pub fn buckets(&self) -> Vec<String> {
        self.lock().buckets.keys().cloned().collect()
    }

    /// All objects, as `s3://bucket/key`, each with its ETag.
    pub fn etags(&self) -> Vec<(String, String)> {
        let state = self.lock();
        let of_bucket = |(bucket, one): (&String, &Bucket)| {
            let object = |(key, object): (&String, &Object)| (format!("s3://{bucket}/{key}"), object.etag.clone());
            one.objects.iter().map(object).collect::<Vec<_>>()
        };
        state.buckets.iter().flat_map(of_bucket).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave the maps half-written: each change is a single insert or remove.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Bucket {
    fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a String, &'a Object)> {
        self.objects
            .range(prefix.to_owned()..)
            .take_while(move |(key, _)| key.starts_with(prefix))
    }
}

impl State {
    fn bucket(&self, bucket: &str) -> Result<&Bucket, ApiError> {
        self.buckets.get(bucket).ok_or_else(|| no_such_bucket(bucket))
    }

    fn bucket_mut(&mut self, bucket: &str) -> Result<&mut Bucket, ApiError> {
        self.buckets.get_mut(bucket).ok_or_else(|| no_such_bucket(bucket))
    }

    fn object(&self, bucket: &str, key: &str) -> Result<&Object, ApiError> {
        self.bucket(bucket)?.objects.get(key).ok_or_else(no_such_key)
    }

    /// Checks the condition and writes, under the one lock that the caller holds.
    fn put(
        &mut self,
        bucket: &str,
        key: &str,
        bytes: Bytes,
        headers: Headers,
        condition: &Condition,
    ) -> Result<String, ApiError> {
        let etag = md5_hex(&bytes);
        let last_modified = self.now;
        self.insert(
            bucket,
            key,
            Object {
                bytes,
                etag,
                last_modified,
                headers,
                part_sizes: Vec::new(),
            },
            condition,
        )
    }

    fn insert(&mut self, bucket: &str, key: &str, object: Object, condition: &Condition) -> Result<String, ApiError> {
        let bucket = self.bucket_mut(bucket)?;
        check(condition, bucket.objects.get(key))?;
        let etag = object.etag.clone();
        let mut object = object;
        let encryption = object.headers.encryption.take();
        object.headers.encryption = encryption.or_else(|| Some(bucket.encryption.clone()));
        bucket.objects.insert(key.into(), object);
        Ok(etag)
    }
}

/// Holds a write's condition against what is there.
//= https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
fn check(condition: &Condition, existing: Option<&Object>) -> Result<(), ApiError> {
    match (condition, existing) {
        (Condition::Always, _) | (Condition::Absent, None) => Ok(()),
        (Condition::Matches(_), None) => Err(no_such_key()),
        (Condition::Matches(etag), Some(object)) if *etag == object.etag => Ok(()),
        _ => Err(precondition_failed()),
    }
}

/// Bucket and key of `s3://bucket/key`.
fn split_uri(uri: &str) -> Result<(&str, &str), ApiError> {
    uri.strip_prefix("s3://")
        .and_then(|rest| rest.split_once('/'))
        .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
        .ok_or_else(|| ApiError::client("InvalidURI", format!("not of the form s3://bucket/key: {uri}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn md5_hex(bytes: &[u8]) -> String {
    hex(Md5::checksum(bytes).as_ref())
}

//= https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
fn no_such_bucket(bucket: &str) -> ApiError {
    ApiError::with_status(
        404,
        "NoSuchBucket",
        format!("The specified bucket does not exist: {bucket}"),
    )
}

fn no_such_key() -> ApiError {
    ApiError::with_status(404, "NoSuchKey", "The specified key does not exist.")
}

fn precondition_failed() -> ApiError {
    ApiError::with_status(
        412,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulation_reads_back_what_it_wrote() {
        let store = Store::new();
        let now = Time::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(store.put("s3://b/k", "x", now).unwrap_err().code, "NoSuchBucket");
        assert!(store.create_bucket("b"));
        assert!(!store.create_bucket("b"));
        store.put("s3://b/out/2", "x", now).unwrap();
        store.put("s3://b/out/1", "hello", now).unwrap();
        store.put("s3://b/outer", "x", now).unwrap();
        assert_eq!(store.list("b", "out/").unwrap(), ["out/1", "out/2"]);
        let object = store.get("s3://b/out/1").unwrap();
        let again = store.put("s3://b/out/3", "hello", now).unwrap();
        assert_eq!((object.etag.as_str(), object.etag.len()), (again.as_str(), 34));
        assert_ne!(again, store.put("s3://b/out/3", "hallo", now).unwrap());
        assert_eq!(object.last_modified, now);
        let etags: Vec<String> = store.etags().into_iter().map(|(uri, _)| uri).collect();
        assert_eq!(etags, ["s3://b/out/1", "s3://b/out/2", "s3://b/out/3", "s3://b/outer"]);
        store.delete("s3://b/out/2").unwrap();
        store.delete("s3://b/out/2").unwrap();
        assert_eq!(store.get("s3://b/out/2").unwrap_err().code, "NoSuchKey");
        assert_eq!(store.buckets(), ["b"]);
        assert_eq!(store.get("s3://b/none").unwrap_err().code, "NoSuchKey");
        assert_eq!(store.get("b/none").unwrap_err().code, "InvalidURI");
    }

    #[test]
    fn of_many_writers_that_want_an_absent_key_exactly_one_wins() {
        let store = Store::new();
        store.create_bucket("b");
        for round in 0..20 {
            let key = format!("k{round}");
            let winners: usize = std::thread::scope(|scope| {
                let writers: Vec<_> = (0..16)
                    .map(|writer: usize| {
                        let (store, key) = (store.clone(), key.clone());
                        scope.spawn(move || {
                            let bytes = Bytes::from(writer.to_string());
                            let put = store
                                .lock()
                                .put("b", &key, bytes, Headers::default(), &Condition::Absent);
                            usize::from(put.is_ok())
                        })
                    })
                    .collect();
                writers.into_iter().map(|writer| writer.join().unwrap()).sum()
            });
            assert_eq!(winners, 1);
        }
    }

    #[test]
    fn a_write_over_another_version_fails() {
        let store = Store::new();
        store.create_bucket("b");
        let put = |bytes: &'static str, condition: Condition| {
            store.lock().put(
                "b",
                "k",
                Bytes::from_static(bytes.as_bytes()),
                Headers::default(),
                &condition,
            )
        };
        assert_eq!(put("1", Condition::Matches("x".into())).unwrap_err().code, "NoSuchKey");
        let first = put("1", Condition::Always).unwrap();
        let second = put("2", Condition::Matches(first.clone())).unwrap();
        assert_ne!(first, second);
        assert_eq!(put("3", Condition::Matches(first)).unwrap_err().status, 412);
    }
}
