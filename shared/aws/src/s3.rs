//! Calls to S3.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use chrono::{DateTime, Utc};
use rules::s3_location::S3Location;

use super::{Aws, time};
use crate::error::Error;

/// One request deletes at most so many objects.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
const DELETE_MAX: usize = 1000;

/// Pages of 1,000 keys read of one prefix at most.
const PAGES_MAX: usize = 10_000;

/// What S3 answers to a conditional write of an object that is not as it was.
const CHANGED: [&str; 3] = ["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"];

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The key.
    pub key: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its ETag, in quotes: what a read can be held to.
    pub etag: Option<String>,
    /// When it was written.
    pub modified_at: Option<DateTime<Utc>>,
}

/// What a listing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// In the order of their keys.
    pub objects: Vec<Object>,
    /// Are these all that there are?
    pub is_all: bool,
}

/// What reading an object found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The object, and its ETag.
    Object {
        /// All of it.
        bytes: Vec<u8>,
        /// For a conditional write.
        etag: Option<String>,
    },
    /// No such object.
    Nothing,
    /// There is one, and it is larger than asked for.
    TooLarge(u64),
}

impl Aws {
    /// Everything under a prefix, up to `objects_max`.
    pub async fn list(&self, place: &S3Location, objects_max: usize) -> Result<Vec<Object>, Error> {
        let listed = self.list_from(&place.bucket, &place.prefix, None, objects_max).await?;
        Ok(listed.objects)
    }

    /// The keys that begin with `prefix` and come after `start_after` in S3's order, up to `objects_max`.
    pub async fn list_from(
        &self,
        bucket: &str,
        prefix: &str,
        start_after: Option<&str>,
        objects_max: usize,
    ) -> Result<Listed, Error> {
        let mut pages = self
            .s3
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .set_start_after(start_after.map(str::to_owned))
            .into_paginator()
            .send();
        let mut objects = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| Error::aws("listing the prefix", error))?;
            for object in page.contents.unwrap_or_default() {
                if objects.len() == objects_max {
                    return Ok(Listed { objects, is_all: false });
                }
                objects.push(Object {
                    key: object.key.unwrap_or_default(),
                    bytes: u64::try_from(object.size.unwrap_or(0)).unwrap_or(0),
                    etag: object.e_tag,
                    modified_at: object.last_modified.as_ref().and_then(time),
                });
            }
        }
        Ok(Listed { objects, is_all: true })
    }

    /// Empties a prefix, page by page, and says how many objects it deleted. Older versions are left alone: in a
    /// bucket with versioning this adds delete markers.
    pub async fn empty(&self, place: &S3Location) -> Result<usize, Error> {
        let mut deleted = 0;
        for _ in 0..PAGES_MAX {
            let objects = self.list(place, DELETE_MAX).await?;
            if objects.is_empty() {
                return Ok(deleted);
            }
            let identifiers: Result<Vec<_>, _> = objects
                .iter()
                .map(|object| ObjectIdentifier::builder().key(&object.key).build())
                .collect();
            let delete = identifiers
                .and_then(|identifiers| Delete::builder().set_objects(Some(identifiers)).quiet(true).build())
                .map_err(|error| Error::Answer(error.to_string()))?;
            let answer = self
                .s3
                .delete_objects()
                .bucket(&place.bucket)
                .delete(delete)
                .send()
                .await
                .map_err(|error| Error::aws("emptying the prefix", error))?;
            // S3 answers 200 even when it deleted nothing: what failed stands in the body.
            if let Some(failure) = answer.errors().first() {
                return Err(Error::Answer(format!(
                    "{} objects of {place} were not deleted; the first is {}: {} {}",
                    answer.errors().len(),
                    failure.key().unwrap_or_default(),
                    failure.code().unwrap_or_default(),
                    failure.message().unwrap_or_default(),
                )));
            }
            deleted += objects.len();
        }
        Err(Error::NotYet(format!(
            "{place} still fills while it is being emptied: {deleted} objects deleted"
        )))
    }

    /// Reads an object of at most `bytes_max`.
    pub async fn object(&self, bucket: &str, key: &str, bytes_max: u64) -> Result<Found, Error> {
        let answer = self.s3.get_object().bucket(bucket).key(key).send().await;
        let answer = match answer.map_err(|error| Error::aws("reading an object", error)) {
            Ok(answer) => answer,
            Err(error) if error.is_code("NoSuchKey") => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        let size = u64::try_from(answer.content_length().unwrap_or(0)).unwrap_or(0);
        if size > bytes_max {
            return Ok(Found::TooLarge(size));
        }
        let etag = answer.e_tag.clone();
        let body = answer.body.collect().await.map_err(|error| Error::Aws {
            doing: "reading an object's body",
            code: None,
            source: Box::new(error),
        })?;
        Ok(Found::Object {
            // Its own `to_vec` goes from byte to byte.
            bytes: body.into_bytes().into(),
            etag,
        })
    }

    /// Writes an object if it is still as it was read: as [`Found::Object`] with this ETag, or not there at all. Answers
    /// whether it is written.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
    pub async fn put_unless_changed(
        &self,
        bucket: &str,
        key: &str,
        content_type: &str,
        bytes: Vec<u8>,
        etag: Option<&str>,
    ) -> Result<bool, Error> {
        let request = self.s3.put_object().bucket(bucket).key(key).content_type(content_type);
        let request = match etag {
            Some(etag) => request.if_match(etag),
            None => request.if_none_match("*"),
        };
        let answer = request.body(ByteStream::from(bytes)).send().await;
        match answer.map_err(|error| Error::aws("writing an object that others write too", error)) {
            Ok(_) => Ok(true),
            // Somebody wrote it since, writes it just now, or has deleted it.
            Err(error) if CHANGED.iter().any(|code| error.is_code(code)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes an object.
    pub async fn put(&self, bucket: &str, key: &str, content_type: &str, bytes: Vec<u8>) -> Result<(), Error> {
        self.s3
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|error| Error::aws("writing the report", error))?;
        Ok(())
    }
}
