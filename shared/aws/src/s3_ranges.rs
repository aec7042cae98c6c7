//! Large objects read from S3 in ranges, several at a time and ahead of whoever reads them.
//!
//! Separate because here an asynchronous side that fetches and a blocking one that reads go along side by side, in
//! bounded memory: at most [`RANGES_AHEAD`] ranges are under way or waiting, and one more is being read.
//!
//! S3 answers one request at some 80 MB/s and more requests side by side, so ranges of some MiB are the way to read fast:
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html>

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use bytes::{Buf, Bytes};
use tokio::task::{JoinSet, spawn_blocking};

use super::{Aws, Object};
use crate::error::Error;

/// Bytes asked for at a time.
const RANGE_BYTES: u64 = 2 << 20;

/// Ranges under way or waiting to be read at any time.
const RANGES_AHEAD: usize = 4;

/// How often a range whose answer breaks off is asked for. The SDK's own retries end where the body begins.
const BODIES_MAX: usize = 3;

/// An object's bytes in order, for a thread that may block.
#[derive(Debug)]
pub struct RangeReader {
    ranges: Receiver<Vec<Bytes>>,
    range: VecDeque<Bytes>,
    bytes_left: u64,
}

impl Read for RangeReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.bytes_left > 0 && !out.is_empty() {
            if let Some(chunk) = self.range.front_mut() {
                let count = chunk.len().min(out.len());
                chunk.copy_to_slice(&mut out[..count]);
                if chunk.is_empty() {
                    self.range.pop_front();
                }
                self.bytes_left = self.bytes_left.saturating_sub(count as u64);
                if count > 0 {
                    return Ok(count);
                }
            } else {
                let gone = |_| io::Error::new(ErrorKind::UnexpectedEof, "the object is no longer fetched");
                self.range = self.ranges.recv().map_err(gone)?.into();
            }
        }
        Ok(0)
    }
}

/// Some bytes of one of the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    object: usize,
    first: u64,
    bytes: u64,
}

/// The ranges of all objects, in the order in which they are read.
fn ranges(objects: &[Object]) -> Vec<Range> {
    let mut ranges = Vec::new();
    for (object, found) in objects.iter().enumerate() {
        let mut first = 0;
        while first < found.bytes {
            let bytes = RANGE_BYTES.min(found.bytes - first);
            ranges.push(Range { object, first, bytes });
            first += bytes;
        }
    }
    ranges
}

impl Aws {
    /// Fetches these objects in ranges while `read` reads them, one after the other, in a thread of its own.
    ///
    /// Each range is asked for with the ETag of the listing, so that an object that has changed since is an error and
    /// never a mixture. The first range that fails ends it all, and `read` sees a reader that fails. An object whose
    /// reader is dropped early is fetched no further.
    pub async fn read_objects<T: Send + 'static>(
        &self,
        bucket: &str,
        objects: &[Object],
        read: impl FnOnce(Vec<RangeReader>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (mut senders, mut readers) = (Vec::new(), Vec::new());
        for object in objects {
            // No room: a range that waits is counted where it was fetched.
            let (sender, ranges) = sync_channel(0);
            senders.push(sender);
            readers.push(RangeReader {
                ranges,
                range: VecDeque::new(),
                bytes_left: object.bytes,
            });
        }
        let thread = thread::Builder::new()
            .name("objects".into())
            .spawn(move || read(readers))
            .map_err(|error| Error::Answer(format!("no thread to read objects in: {error}")))?;
        let fetched = self.fetch(bucket, objects, senders).await;
        // A task of tokio's that blocks stops a paused clock: the simulation waits for the reader, but not while the
        // reader itself waits for S3. That is why only these waits are such tasks and the reader is a plain thread.
        let outcome = spawn_blocking(move || thread.join()).await;
        fetched?;
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) | Err(_) => Err(Error::Answer("the thread that reads objects panicked".into())),
        }
    }

    /// Hands every range to its object's reader, in order, whatever the order in which they arrive.
    async fn fetch(&self, bucket: &str, objects: &[Object], senders: Vec<SyncSender<Vec<Bytes>>>) -> Result<(), Error> {
        let ranges = ranges(objects);
        // Dropped with this future, and with it what is under way.
        let mut under_way = JoinSet::new();
        let mut arrived = BTreeMap::new();
        let (mut begun, mut handed) = (0, 0);
        while let Some(range) = ranges.get(handed) {
            while begun < ranges.len() && begun < handed + RANGES_AHEAD {
                let (aws, bucket, range) = (self.clone(), bucket.to_owned(), ranges[begun]);
                let object = objects[range.object].clone();
                under_way.spawn(async move { (begun, aws.range(&bucket, &object, range).await) });
                begun += 1;
            }
            if let Some(bytes) = arrived.remove(&handed) {
                let sender = senders[range.object].clone();
                let wanted = spawn_blocking(move || sender.send(bytes).is_ok()).await;
                handed += 1;
                if !wanted.is_ok_and(|wanted| wanted) {
                    let later = ranges[handed..].iter().position(|next| next.object > range.object);
                    handed = later.map_or(ranges.len(), |later| handed + later);
                    begun = begun.max(handed);
                    arrived = arrived.split_off(&handed);
                }
            } else {
                match under_way.join_next().await {
                    // Of an object that nobody reads any more.
                    Some(Ok((index, _))) if index < handed => {}
                    Some(Ok((index, bytes))) => {
                        arrived.insert(index, bytes?);
                    }
                    Some(Err(_)) | None => return Err(Error::Answer("the task that fetches a range panicked".into())),
                }
            }
        }
        Ok(())
    }

    /// The last so many bytes of an object as it was listed; all of it, if it has no more.
    pub async fn tail(&self, bucket: &str, object: &Object, bytes: u64) -> Result<Vec<u8>, Error> {
        let bytes = bytes.min(object.bytes);
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let range = Range {
            object: 0,
            first: object.bytes - bytes,
            bytes,
        };
        Ok(self.range(bucket, object, range).await?.concat())
    }

    /// Fetches one range. An error names it.
    async fn range(&self, bucket: &str, object: &Object, range: Range) -> Result<Vec<Bytes>, Error> {
        let last = range.first + range.bytes - 1;
        let named = |source: Error| Error::Range {
            place: format!("s3://{bucket}/{}", object.key),
            first: range.first,
            last,
            source: Box::new(source),
        };
        let mut bodies = 0;
        loop {
            let answer = self
                .s3
                .get_object()
                .bucket(bucket)
                .key(&object.key)
                .range(format!("bytes={}-{last}", range.first))
                .set_if_match(object.etag.clone())
                .send()
                .await
                .map_err(|error| named(Error::aws("reading a range", error)))?;
            let mut body = answer.body;
            let mut chunks = Vec::new();
            let broken = loop {
                match body.next().await {
                    Some(Ok(chunk)) => chunks.push(chunk),
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            };
            bodies += 1;
            let received: u64 = chunks.iter().map(|chunk: &Bytes| chunk.len() as u64).sum();
            match broken {
                None if received == range.bytes => return Ok(chunks),
                _ if bodies < BODIES_MAX => {}
                None => return Err(named(Error::Answer(format!("{received} bytes came")))),
                Some(error) => {
                    return Err(named(Error::Aws {
                        doing: "reading a range's body",
                        code: None,
                        source: Box::new(error),
                    }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_sdk_s3::config::BehaviorVersion;
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_types::body::SdkBody;
    use aws_types::SdkConfig;
    use aws_types::region::Region;

    use super::*;

    /// Answers each request with the next of these.
    #[derive(Debug)]
    struct Bodies(Mutex<VecDeque<&'static str>>);

    impl HttpConnector for Bodies {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let body = self.0.lock().unwrap().pop_front().unwrap_or_default();
            let status = 206.try_into().unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
        }
    }

    /// The four bytes of an object whose answers are these.
    fn read_from(bodies: &[&'static str]) -> Result<Vec<u8>, Error> {
        let bodies = Bodies(Mutex::new(bodies.iter().copied().collect()));
        let connector = SharedHttpConnector::new(bodies);
        let credentials = Credentials::new("simulated", "simulated", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(Aws::new(&config).tail("b", &object(4), 9))
    }

    #[test]
    fn a_range_that_comes_in_part_is_asked_for_twice_more() {
        assert_eq!(read_from(&["four"]).unwrap(), b"four");
        assert_eq!(read_from(&["fo", "", "four"]).unwrap(), b"four");
        let error = read_from(&["fo", "fou", "f", "four"]).unwrap_err().chain();
        assert!(error.contains("1 bytes came") && error.contains("s3://b/k"), "{error}");
    }

    fn object(bytes: u64) -> Object {
        Object {
            key: "k".into(),
            bytes,
            etag: None,
            modified_at: None,
        }
    }

    #[test]
    fn ranges_cover_every_byte_once_and_an_empty_object_has_none() {
        let objects = [object(0), object(RANGE_BYTES), object(0), object(2 * RANGE_BYTES + 1)];
        let ranges = ranges(&objects);
        let of = |object, first, bytes| Range { object, first, bytes };
        assert_eq!(
            ranges,
            [
                of(1, 0, RANGE_BYTES),
                of(3, 0, RANGE_BYTES),
                of(3, RANGE_BYTES, RANGE_BYTES),
                of(3, 2 * RANGE_BYTES, 1)
            ]
        );
    }

    #[test]
    fn a_reader_whose_ranges_stop_coming_fails_instead_of_ending() {
        let (sender, ranges) = sync_channel(1);
        sender
            .send(vec![Bytes::new(), Bytes::from_static(b"ab"), Bytes::from_static(b"c")])
            .unwrap();
        drop(sender);
        let mut reader = RangeReader {
            ranges,
            range: VecDeque::new(),
            bytes_left: 4,
        };
        let mut read = Vec::new();
        assert_eq!(
            reader.read_to_end(&mut read).unwrap_err().kind(),
            ErrorKind::UnexpectedEof
        );
        assert_eq!(read, b"abc");
    }
}
