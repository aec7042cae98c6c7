//! DeleteObject and DeleteObjects: what is deleted must be what was meant.
//!
//! Separate because nothing brings back what a wrong delete took.

use s3s::dto::*;
use s3s::{S3Response, S3Result};

use super::{Condition, Store, check, no_such_bucket, object, version};
use crate::api::ApiError;
use crate::grants::Refusal;

type Answer<T> = S3Result<S3Response<T>>;

/// The most keys that one DeleteObjects takes.
//= https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
const DELETE_KEYS_MAX: usize = 1000;

pub(super) fn delete_object(store: &Store, input: DeleteObjectInput) -> Answer<DeleteObjectOutput> {
    version::check(input.version_id.as_deref())?;
    let condition = object::condition(input.if_match, None);
    let mut state = store.lock();
    let objects = &mut state.bucket_mut(&input.bucket)?.objects;
    if condition != Condition::Always {
        check(&condition, objects.get(&input.key))?;
    }
    objects.remove(&input.key);
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

/// Each key is deleted or refused for itself.
pub(super) fn delete_objects(
    store: &Store,
    input: DeleteObjectsInput,
    refusals: &[Refusal],
) -> Answer<DeleteObjectsOutput> {
    if input.delete.objects.len() > DELETE_KEYS_MAX {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(ApiError::client("MalformedXML", message).into());
    }
    let mut state = store.lock();
    let objects = &mut state
        .buckets
        .get_mut(&input.bucket)
        .ok_or_else(|| no_such_bucket(&input.bucket))?
        .objects;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for entry in input.delete.objects {
        let condition = match entry.e_tag {
            Some(etag) => Condition::Matches(etag.into_value()),
            None => Condition::Always,
        };
        let arn = format!("arn:aws:s3:::{}/{}", input.bucket, entry.key);
        let may = match refusals.iter().find(|one| one.resource == arn) {
            Some(refusal) => Err(ApiError::client("AccessDenied", refusal.words.clone())),
            None => version::check_entry(entry.version_id.as_deref()),
        };
        let may = may.and_then(|()| match condition {
            Condition::Always => Ok(()),
            condition => check(&condition, objects.get(&entry.key)),
        });
        if let Err(error) = may {
            errors.push(Error {
                code: Some(error.code),
                message: Some(error.message),
                key: Some(entry.key),
                version_id: entry.version_id,
            });
            continue;
        }
        objects.remove(&entry.key);
        // A key that is not there counts as deleted: S3's deletes are idempotent.
        deleted.push(DeletedObject {
            key: Some(entry.key),
            ..DeletedObject::default()
        });
    }
    let deleted = Some(deleted).filter(|_| input.delete.quiet != Some(true));
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted,
        errors: Some(errors).filter(|errors| !errors.is_empty()),
        ..DeleteObjectsOutput::default()
    }))
}
