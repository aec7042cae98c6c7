//! The operations on one object, and on its multipart upload: conditions, ranges and checksums.
//!
//! Separate from the protocol's table of operations, which would otherwise be one very long file.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use s3s::checksum::ChecksumHasher;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::description::{STORAGE_CLASS, WEBSITE_REDIRECT};
use super::protocol::with_headers;
use super::{Condition, Encryption, Headers, Store, part, precondition_failed, version};
use crate::api::{ApiError, Time};

type Answer<T> = S3Result<S3Response<T>>;

/// S3's time; its headers and listings show whole seconds and milliseconds respectively.
pub(super) fn timestamp(time: Time) -> Timestamp {
    let since_epoch = Duration::from_millis(u64::try_from(time.timestamp_millis()).unwrap_or(0));
    Timestamp::from(SystemTime::UNIX_EPOCH + since_epoch)
}

pub(super) fn condition(if_match: Option<ETagCondition>, if_none_match: Option<ETagCondition>) -> Condition {
    match (if_match, if_none_match) {
        (Some(ETagCondition::ETag(etag)), _) => Condition::Matches(etag.into_value()),
        (None, Some(ETagCondition::Any)) => Condition::Absent,
        _ => Condition::Always,
    }
}

pub(super) fn get(store: &Store, input: &GetObjectInput) -> Answer<GetObjectOutput> {
    version::check(input.version_id.as_deref())?;
    let object = store.lock().object(&input.bucket, &input.key)?.clone();
    let modified = (&input.if_modified_since, &input.if_unmodified_since);
    check_read(&object, (&input.if_match, &input.if_none_match), modified)?;
    let part = part::of(&object, input.range, input.part_number)?;
    let partial = part.content_range.is_some();
    let headers = object.headers;
    let output = GetObjectOutput {
        accept_ranges: Some("bytes".into()),
        content_length: i64::try_from(part.bytes.len()).ok(),
        content_range: part.content_range,
        parts_count: part.count,
        content_type: input.response_content_type.clone().or_else(|| content_type(&headers)),
        content_encoding: headers.content_encoding.clone(),
        content_disposition: input
            .response_content_disposition
            .clone()
            .or(headers.content_disposition.clone()),
        cache_control: headers.cache_control.clone(),
        e_tag: Some(ETag::Strong(object.etag)),
        last_modified: Some(timestamp(object.last_modified)),
        metadata: metadata(&headers),
        server_side_encryption: algorithm(&headers),
        ssekms_key_id: key(&headers),
        body: Some(StreamingBlob::from(s3s::Body::from(part.bytes))),
        ..GetObjectOutput::default()
    };
    // A checksum is of the whole object, so a part of it goes without.
    let asked = input
        .checksum_mode
        .as_ref()
        .is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    let mut shown = headers.kept;
    if asked && !partial {
        shown.extend(headers.checksums);
    }
    for (name, given) in [
        ("content-language", &input.response_content_language),
        ("content-encoding", &input.response_content_encoding),
        ("cache-control", &input.response_cache_control),
    ] {
        shown.extend(given.clone().map(|value| (name.to_owned(), value)));
    }
    let mut response = with_headers(output, &shown);
    response.status = partial.then_some(StatusCode::PARTIAL_CONTENT);
    Ok(response)
}

pub(super) fn head(store: &Store, input: HeadObjectInput) -> Answer<HeadObjectOutput> {
    version::check(input.version_id.as_deref())?;
    let object = store.lock().object(&input.bucket, &input.key)?.clone();
    let modified = (&input.if_modified_since, &input.if_unmodified_since);
    check_read(&object, (&input.if_match, &input.if_none_match), modified)?;
    let part = part::of(&object, input.range, input.part_number)?;
    let partial = part.content_range.is_some();
    let headers = object.headers;
    let output = HeadObjectOutput {
        accept_ranges: Some("bytes".into()),
        content_length: i64::try_from(part.bytes.len()).ok(),
        content_range: part.content_range,
        parts_count: part.count,
        content_type: content_type(&headers),
        content_encoding: headers.content_encoding.clone(),
        content_disposition: headers.content_disposition.clone(),
        cache_control: headers.cache_control.clone(),
        e_tag: Some(ETag::Strong(object.etag)),
        last_modified: Some(timestamp(object.last_modified)),
        metadata: metadata(&headers),
        server_side_encryption: algorithm(&headers),
        ssekms_key_id: key(&headers),
        ..HeadObjectOutput::default()
    };
    let asked = input
        .checksum_mode
        .as_ref()
        .is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    let mut shown = headers.kept;
    if asked && !partial {
        shown.extend(headers.checksums);
    }
    let mut response = with_headers(output, &shown);
    response.status = partial.then_some(StatusCode::PARTIAL_CONTENT);
    Ok(response)
}

pub(super) async fn put(store: &Store, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
    let input = request.input;
    let mut headers = Headers::read(&request.headers, input.metadata)?;
    let bytes = read(input.body).await?;
    headers.checksums = verified(&request.headers, &bytes)?;
    let condition = condition(input.if_match, input.if_none_match);
    let checksums = headers.checksums.clone();
    let encryption = store.encryption(&input.bucket, headers.encryption.clone());
    let etag = store
        .lock()
        .put(&input.bucket, &input.key, bytes, headers, &condition)?;
    let output = PutObjectOutput {
        e_tag: Some(ETag::Strong(etag)),
        server_side_encryption: Some(encryption.algorithm()),
        ssekms_key_id: encryption.key(),
        ..PutObjectOutput::default()
    };
    Ok(with_headers(output, &checksums))
}

//= https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
pub(super) fn copy(store: &Store, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
    let input = request.input;
    let (bucket, key) = source(&input.copy_source)?;
    let given = Headers::read(&request.headers, input.metadata)?;
    let mut state = store.lock();
    let mut object = state.object(bucket, key)?.clone();
    // A copy's encryption is the request's or the new bucket's, and not the source's.
    object.headers.encryption.clone_from(&given.encryption);
    let replace = input.metadata_directive.as_ref().map(MetadataDirective::as_str) == Some(MetadataDirective::REPLACE);
    let is_itself = *bucket == *input.bucket && *key == *input.key;
    // These are never copied.
    let class_of = |headers: &Headers| headers.storage_class().to_owned();
    let differs = given.kept.contains_key(WEBSITE_REDIRECT) || class_of(&given) != class_of(&object.headers);
    if replace {
        object.headers = Headers {
            checksums: object.headers.checksums,
            ..given
        };
    } else if !is_itself || differs {
        for name in [STORAGE_CLASS, WEBSITE_REDIRECT] {
            object.headers.kept.remove(name);
            let value = given.kept.get(name).cloned();
            object.headers.kept.extend(value.map(|value| (name.to_owned(), value)));
        }
    } else {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing \
                       the object's metadata, storage class, website redirect location or encryption attributes.";
        return Err(ApiError::client("InvalidRequest", message).into());
    }
    object.last_modified = state.now;
    // A copy is of one piece, and its ETag here that of its source.
    object.part_sizes.clear();
    let result = CopyObjectResult {
        last_modified: Some(timestamp(object.last_modified)),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        ..CopyObjectResult::default()
    };
    state.insert(&input.bucket, &input.key, object, &Condition::Always)?;
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result),
        ..CopyObjectOutput::default()
    }))
}

pub(super) fn create_upload(
    store: &Store,
    request: S3Request<CreateMultipartUploadInput>,
) -> Answer<CreateMultipartUploadOutput> {
    let input = request.input;
    let headers = Headers::read(&request.headers, input.metadata)?;
    let upload_id = store.lock().start_upload(&input.bucket, &input.key, headers)?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload_id),
        checksum_algorithm: input.checksum_algorithm,
        ..CreateMultipartUploadOutput::default()
    }))
}

pub(super) async fn upload_part(store: &Store, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
    let input = request.input;
    let bytes = read(input.body).await?;
    let checksums = verified(&request.headers, &bytes)?;
    let at = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
    let etag = store.lock().put_part(at, input.part_number, bytes)?;
    let output = UploadPartOutput {
        e_tag: Some(ETag::Strong(etag)),
        ..UploadPartOutput::default()
    };
    Ok(with_headers(output, &checksums))
}

/// Bucket and key of what is copied.
fn source(source: &CopySource) -> Result<(&str, &str), ApiError> {
    let CopySource::Bucket {
        bucket,
        key,
        version_id,
    } = source
    else {
        return Err(ApiError::not_offered("s3", "a copy from an access point"));
    };
    version::check(version_id.as_deref())?;
    Ok((bucket, key))
}

/// A part that is a range of another object: how clients copy what is large.
//= https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
pub(super) fn copy_part(store: &Store, input: UploadPartCopyInput) -> Answer<UploadPartCopyOutput> {
    let (bucket, key) = source(&input.copy_source)?;
    let mut state = store.lock();
    let mut bytes = state.object(bucket, key)?.bytes.clone();
    if let Some(range) = &input.copy_source_range {
        let ends = range.strip_prefix("bytes=").and_then(|ends| ends.split_once('-'));
        let ends = ends.and_then(|(first, last)| Some((first.parse().ok()?, last.parse::<usize>().ok()?)));
        let Some((first, last)) = ends.filter(|(first, last)| first <= last && *last < bytes.len()) else {
            let message = format!(
                "Range specified is not valid for source object of size: {}",
                bytes.len()
            );
            return Err(ApiError::client("InvalidArgument", message).into());
        };
        bytes = bytes.slice(first..=last);
    }
    let at = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
    let result = CopyPartResult {
        e_tag: Some(ETag::Strong(state.put_part(at, input.part_number, bytes)?)),
        last_modified: Some(timestamp(state.now)),
        ..CopyPartResult::default()
    };
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..UploadPartCopyOutput::default()
    }))
}

pub(super) fn complete_upload(
    store: &Store,
    input: CompleteMultipartUploadInput,
) -> Answer<CompleteMultipartUploadOutput> {
    let named = input
        .multipart_upload
        .and_then(|upload| upload.parts)
        .unwrap_or_default();
    let parts: Vec<(i32, String)> = named
        .into_iter()
        .map(|part| {
            (
                part.part_number.unwrap_or(0),
                part.e_tag.map(ETag::into_value).unwrap_or_default(),
            )
        })
        .collect();
    let at = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
    let condition = condition(input.if_match, input.if_none_match);
    let etag = store.lock().complete_upload(at, &parts, &condition)?;
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(etag)),
        ..CompleteMultipartUploadOutput::default()
    }))
}

/// All parts at once: the simulated account does not page them.
pub(super) fn list_parts(store: &Store, input: ListPartsInput) -> Answer<ListPartsOutput> {
    let state = store.lock();
    let upload = state.upload(&input.bucket, &input.key, &input.upload_id)?;
    let part = |(number, part): (&i32, &super::multipart::UploadedPart)| Part {
        part_number: Some(*number),
        e_tag: Some(ETag::Strong(part.etag.clone())),
        size: i64::try_from(part.bytes.len()).ok(),
        last_modified: Some(timestamp(part.uploaded_at)),
        ..Part::default()
    };
    let parts = upload.parts.iter().map(part).collect();
    Ok(S3Response::new(ListPartsOutput {
        parts: Some(parts),
        is_truncated: Some(false),
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        ..ListPartsOutput::default()
    }))
}

/// Holds a read's conditions against the object: 412 where one fails, 304 where the reader has it already.
//= https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-reads.html
fn check_read(
    object: &super::Object,
    (if_match, if_none_match): (&Option<ETagCondition>, &Option<ETagCondition>),
    (if_modified, if_unmodified): (&Option<Timestamp>, &Option<Timestamp>),
) -> Result<(), ApiError> {
    let is = |wanted: &ETagCondition| wanted.as_etag().is_none_or(|etag| etag.value() == object.etag);
    // HTTP dates have whole seconds.
    let modified_at = timestamp(Time::from_timestamp(object.last_modified.timestamp(), 0).unwrap_or(Time::UNIX_EPOCH));
    match (if_match, if_unmodified) {
        (Some(wanted), _) if !is(wanted) => return Err(precondition_failed()),
        (None, Some(since)) if modified_at > *since => return Err(precondition_failed()),
        _ => {}
    }
    match (if_none_match, if_modified) {
        (Some(known), _) if is(known) => Err(ApiError::with_status(304, "NotModified", "Not Modified")),
        (None, Some(since)) if modified_at <= *since => Err(ApiError::with_status(304, "NotModified", "Not Modified")),
        _ => Ok(()),
    }
}

fn content_type(headers: &Headers) -> Option<String> {
    Some(
        headers
            .content_type
            .clone()
            .unwrap_or_else(|| "binary/octet-stream".into()),
    )
}

fn algorithm(headers: &Headers) -> Option<ServerSideEncryption> {
    headers.encryption.as_ref().map(Encryption::algorithm)
}

fn key(headers: &Headers) -> Option<SSEKMSKeyId> {
    headers.encryption.as_ref().and_then(Encryption::key)
}

fn metadata(headers: &Headers) -> Option<Metadata> {
    (!headers.metadata.is_empty()).then(|| headers.metadata.clone().into_iter().collect())
}

async fn read(body: Option<StreamingBlob>) -> Result<Bytes, ApiError> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    match s3s::Body::from(body).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(ApiError::client("IncompleteBody", error.to_string())),
    }
}

/// The checksums that came with the bytes, each held against them.
//= https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
fn verified(headers: &HeaderMap, bytes: &Bytes) -> Result<BTreeMap<String, String>, ApiError> {
    use s3s::crypto::Checksum as _;
    let given = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut hasher = ChecksumHasher {
        crc32: given("x-amz-checksum-crc32").map(|_| s3s::crypto::Crc32::new()),
        crc32c: given("x-amz-checksum-crc32c").map(|_| s3s::crypto::Crc32c::new()),
        crc64nvme: given("x-amz-checksum-crc64nvme").map(|_| s3s::crypto::Crc64Nvme::new()),
        sha1: given("x-amz-checksum-sha1").map(|_| s3s::crypto::Sha1::new()),
        sha256: given("x-amz-checksum-sha256").map(|_| s3s::crypto::Sha256::new()),
    };
    hasher.update(bytes);
    let found = hasher.finalize();
    let mut checksums = BTreeMap::new();
    for (name, value) in [
        ("x-amz-checksum-crc32", found.checksum_crc32),
        ("x-amz-checksum-crc32c", found.checksum_crc32c),
        ("x-amz-checksum-crc64nvme", found.checksum_crc64nvme),
        ("x-amz-checksum-sha1", found.checksum_sha1),
        ("x-amz-checksum-sha256", found.checksum_sha256),
    ] {
        let Some(value) = value else { continue };
        if given(name) != Some(value.as_str()) {
            let algorithm = name.trim_start_matches("x-amz-checksum-").to_uppercase();
            let message = format!("The {algorithm} you specified did not match the calculated checksum.");
            return Err(ApiError::client("BadDigest", message));
        }
        checksums.insert(name.to_owned(), value);
    }
    Ok(checksums)
}
