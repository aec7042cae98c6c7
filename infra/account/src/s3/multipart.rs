//! Multipart uploads: parts are kept apart until they are put together.
//!
//! Separate because an upload is neither an object nor visible in a listing until it is complete.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use s3s::crypto::{Checksum as _, Md5};

use super::{Condition, Headers, Object, State, hex, md5_hex};
use crate::api::{ApiError, Time};

/// The least size of every part but the last, in bytes.
//= https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const PART_BYTES_MIN: usize = 5 * 1024 * 1024;

/// The highest part number.
const PART_NUMBER_MAX: i32 = 10_000;

/// An upload that is neither complete nor aborted.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    bucket: String,
    key: String,
    headers: Headers,
    /// By part number.
    pub(super) parts: BTreeMap<i32, UploadedPart>,
}

/// One uploaded part.
#[derive(Debug, Clone)]
pub(super) struct UploadedPart {
    /// Its content.
    pub(super) bytes: Bytes,
    /// MD5 in hexadecimal.
    pub(super) etag: String,
    /// When it was uploaded.
    pub(super) uploaded_at: Time,
}

/// An upload that has become an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Completed {
    bucket: String,
    key: String,
    /// Number and ETag of each.
    parts: Vec<(i32, String)>,
    /// The object's.
    etag: String,
}

impl State {
    pub(super) fn start_upload(&mut self, bucket: &str, key: &str, headers: Headers) -> Result<String, ApiError> {
        self.bucket(bucket)?;
        self.uploads_started += 1;
        let id = format!("upload-{:016x}", self.uploads_started);
        let upload = Upload {
            bucket: bucket.into(),
            key: key.into(),
            headers,
            parts: BTreeMap::new(),
        };
        self.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    pub(super) fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<&Upload, ApiError> {
        self.uploads
            .get(id)
            .filter(|upload| upload.bucket == bucket && upload.key == key)
            .ok_or_else(no_such_upload)
    }

    pub(super) fn put_part(
        &mut self,
        (bucket, key, id): (&str, &str, &str),
        number: i32,
        bytes: Bytes,
    ) -> Result<String, ApiError> {
        if !(1..=PART_NUMBER_MAX).contains(&number) {
            let message = "Part number must be an integer between 1 and 10000, inclusive";
            return Err(ApiError::client("InvalidArgument", message));
        }
        self.upload(bucket, key, id)?;
        let part = UploadedPart {
            etag: md5_hex(&bytes),
            bytes,
            uploaded_at: self.now,
        };
        let etag = part.etag.clone();
        self.uploads
            .get_mut(id)
            .ok_or_else(no_such_upload)?
            .parts
            .insert(number, part);
        Ok(etag)
    }

    pub(super) fn abort_upload(&mut self, bucket: &str, key: &str, id: &str) -> Result<(), ApiError> {
        self.upload(bucket, key, id)?;
        self.uploads.remove(id);
        Ok(())
    }

    /// Puts the named parts (number and ETag) together into the object. Who asks for the same again, since the answer was
    /// lost, gets the same answer, whatever the condition is: so moto's authors saw it.
    //= https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
    pub(super) fn complete_upload(
        &mut self,
        (bucket, key, id): (&str, &str, &str),
        parts: &[(i32, String)],
        condition: &Condition,
    ) -> Result<String, ApiError> {
        let before = self.completed.get(id).filter(|before| before.parts == parts);
        if let Some(before) = before.filter(|before| before.bucket == bucket && before.key == key) {
            return Ok(before.etag.clone());
        }
        let upload = self.upload(bucket, key, id)?;
        let object = assemble(upload, parts, self.now)?;
        let etag = self.insert(bucket, key, object, condition)?;
        self.uploads.remove(id);
        let completed = Completed {
            bucket: bucket.into(),
            key: key.into(),
            parts: parts.to_vec(),
            etag: etag.clone(),
        };
        self.completed.insert(id.into(), completed);
        Ok(etag)
    }
}

fn assemble(upload: &Upload, parts: &[(i32, String)], now: Time) -> Result<Object, ApiError> {
    if parts.is_empty() {
        return Err(ApiError::client("MalformedXML", "You must specify at least one part"));
    }
    if !parts.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(ApiError::client(
            "InvalidPartOrder",
            "The list of parts was not in ascending order.",
        ));
    }
    let mut bytes = BytesMut::new();
    let mut md5s = Vec::new();
    let mut part_sizes = Vec::new();
    for (index, (number, etag)) in parts.iter().enumerate() {
        let part = upload
            .parts
            .get(number)
            .filter(|part| part.etag == *etag)
            .ok_or_else(|| {
                ApiError::client(
                    "InvalidPart",
                    format!("Part {number} was not uploaded, or has another entity tag."),
                )
            })?;
        if index + 1 < parts.len() && part.bytes.len() < PART_BYTES_MIN {
            let message = format!("Part {number} is smaller than the minimum allowed size.");
            return Err(ApiError::client("EntityTooSmall", message));
        }
        md5s.extend_from_slice(Md5::checksum(&part.bytes).as_ref());
        bytes.extend_from_slice(&part.bytes);
        part_sizes.push(part.bytes.len());
    }
    let etag = format!("{}-{}", hex(Md5::checksum(&md5s).as_ref()), parts.len());
    Ok(Object {
        bytes: bytes.freeze(),
        etag,
        last_modified: now,
        headers: upload.headers.clone(),
        part_sizes,
    })
}

fn no_such_upload() -> ApiError {
    ApiError::with_status(
        404,
        "NoSuchUpload",
        "The specified multipart upload does not exist. The upload ID might be invalid, \
         or the multipart upload might have been aborted or completed.",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    #[test]
    fn parts_become_one_object_only_when_all_are_as_named() {
        let store = Store::new();
        store.create_bucket("b");
        let mut state = store.lock();
        let id = state.start_upload("b", "k", Headers::default()).unwrap();
        let at = ("b", "k", id.as_str());
        let big = Bytes::from(vec![7; PART_BYTES_MIN]);
        let first = state.put_part(at, 1, big.clone()).unwrap();
        let second = state.put_part(at, 2, Bytes::from_static(b"tail")).unwrap();
        let mut complete = |parts: &[(i32, String)]| state.complete_upload(at, parts, &Condition::Absent);
        assert_eq!(
            complete(&[(2, second.clone()), (1, first.clone())]).unwrap_err().code,
            "InvalidPartOrder"
        );
        assert_eq!(complete(&[(1, second.clone())]).unwrap_err().code, "InvalidPart");
        assert_eq!(complete(&[]).unwrap_err().code, "MalformedXML");
        let etag = complete(&[(1, first.clone()), (2, second.clone())]).unwrap();
        assert!(etag.ends_with("-2"));
        // The same again is answered with the same, and other parts are of an upload that is not there any more.
        assert_eq!(complete(&[(1, first.clone()), (2, second)]).unwrap(), etag);
        assert_eq!(complete(&[(1, first)]).unwrap_err().code, "NoSuchUpload");
        assert_eq!(state.object("b", "k").unwrap().bytes.len(), PART_BYTES_MIN + 4);
    }

    #[test]
    fn a_small_part_in_the_middle_is_refused() {
        let store = Store::new();
        store.create_bucket("b");
        let mut state = store.lock();
        let id = state.start_upload("b", "k", Headers::default()).unwrap();
        let at = ("b", "k", id.as_str());
        let parts: Vec<_> = (1..=2)
            .map(|n| (n, state.put_part(at, n, Bytes::from_static(b"x")).unwrap()))
            .collect();
        assert_eq!(
            state.complete_upload(at, &parts, &Condition::Always).unwrap_err().code,
            "EntityTooSmall"
        );
        assert_eq!(state.put_part(at, 0, Bytes::new()).unwrap_err().code, "InvalidArgument");
        state.abort_upload("b", "k", &id).unwrap();
        assert_eq!(state.abort_upload("b", "k", &id).unwrap_err().code, "NoSuchUpload");
    }
}
