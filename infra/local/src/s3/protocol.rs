//! S3's REST protocol over the store.
//!
//! Separate because parsing and writing S3's requests is the `s3s` crate's work: only here do its types appear
//! together with HTTP's. Any signature is accepted, and a presigned URL never expires.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::{Condition, Entry, Listing, Page, Store, no_such_bucket, object};
use crate::api::{ACCOUNT, ApiError, REGION};
use crate::grants::Refusal;

/// The most keys that one DeleteObjects takes.
//= https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
const DELETE_KEYS_MAX: usize = 1000;

/// S3 behind HTTP, in process.
#[derive(Clone)]
pub struct Service {
    inner: S3Service,
    store: Store,
}

/// The service that speaks for `store`.
pub fn service(store: Store) -> Service {
    let inner = S3ServiceBuilder::new(Protocol { store: store.clone() }).build();
    Service { inner, store }
}

impl Service {
    /// Answers one request. It awaits nothing but memory, so it is ready at its first poll.
    pub async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let head = request.method() == Method::HEAD;
        let request_id = self.store.next_request_id();
        let mut response = match super::chunked::plain(request) {
            Ok(request) => self.ask(request).await,
            Err(error) => error_response(&error),
        };
        // Only these answers have no body whatever the error; a client would take the bytes for the next response.
        if head || response.status() == StatusCode::NOT_MODIFIED {
            if !response.status().is_success() {
                response.headers_mut().remove(http::header::CONTENT_LENGTH);
            }
            *response.body_mut() = Bytes::new();
        }
        if let Ok(request_id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-amz-request-id", request_id);
        }
        response
    }

    /// The answer to a request whose caller may not make it.
    pub fn refuse(&self, method: &Method, error: &ApiError) -> Response<Bytes> {
        let mut response = error_response(error);
        if method == Method::HEAD {
            *response.body_mut() = Bytes::new();
        }
        if let Ok(request_id) = HeaderValue::from_str(&self.store.next_request_id()) {
            response.headers_mut().insert("x-amz-request-id", request_id);
        }
        response
    }

    async fn ask(&self, request: Request<Bytes>) -> Response<Bytes> {
        match self.inner.call(request.map(s3s::Body::from)).await {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                match body.collect().await {
                    Ok(body) if parts.status.is_client_error() => {
                        Response::from_parts(parts, with_message(body.to_bytes()))
                    }
                    Ok(body) => Response::from_parts(parts, body.to_bytes()),
                    Err(error) => internal(&error.to_string()),
                }
            }
            Err(error) => internal(&format!("{error:?}")),
        }
    }
}

impl Store {
    fn next_request_id(&self) -> String {
        let mut state = self.lock();
        state.requests += 1;
        format!("{:016X}", state.requests)
    }
}

/// `s3s` refuses what it cannot read with a code alone; S3's errors have a message too.
//= https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
fn with_message(body: Bytes) -> Bytes {
    let text = String::from_utf8_lossy(&body);
    let Some((head, tail)) = text.split_once("</Code></Error>") else {
        return body;
    };
    let code = head.rsplit_once("<Code>").map_or("", |(_, code)| code);
    format!("{head}</Code><Message>The request was refused: {code}</Message></Error>{tail}").into()
}

fn internal(message: &str) -> Response<Bytes> {
    error_response(&ApiError::with_status(500, "InternalError", message))
}

/// An error from before `s3s` saw the request, in S3's own envelope.
fn error_response(error: &ApiError) -> Response<Bytes> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>",
        quick_xml::escape::escape(error.code.as_str()),
        quick_xml::escape::escape(error.message.as_str())
    );
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/xml"));
    response
}

impl From<ApiError> for S3Error {
    fn from(error: ApiError) -> Self {
        let code = S3ErrorCode::from_bytes(error.code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
        let mut s3_error = S3Error::with_message(code, error.message);
        s3_error.set_status_code(StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST));
        s3_error
    }
}

/// What `s3s` calls; the object operations are in `object.rs`.
struct Protocol {
    store: Store,
}

type Answer<T> = S3Result<S3Response<T>>;

fn ok<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

#[async_trait::async_trait]
impl S3 for Protocol {
    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        let state = self.store.lock();
        let bucket = |(name, bucket): (&String, &super::Bucket)| Bucket {
            name: Some(name.clone()),
            creation_date: Some(object::timestamp(bucket.created_at)),
            bucket_region: Some(REGION.into()),
        };
        let owner = Owner {
            id: Some(ACCOUNT.into()),
            ..Owner::default()
        };
        let buckets = state.buckets.iter().map(bucket).collect();
        ok(ListBucketsOutput {
            buckets: Some(buckets),
            owner: Some(owner),
            ..ListBucketsOutput::default()
        })
    }

    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let bucket = request.input.bucket;
        if !self.store.create_bucket(&bucket) {
            let message = "Your previous request to create the named bucket succeeded and you already own it.";
            return Err(ApiError::with_status(409, "BucketAlreadyOwnedByYou", message).into());
        }
        ok(CreateBucketOutput {
            location: Some(format!("/{bucket}")),
        })
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        let mut state = self.store.lock();
        if !state.bucket(&request.input.bucket)?.objects.is_empty() {
            let message = "The bucket you tried to delete is not empty";
            return Err(ApiError::with_status(409, "BucketNotEmpty", message).into());
        }
        state.buckets.remove(&request.input.bucket);
        ok(DeleteBucketOutput::default())
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.store.lock().bucket(&request.input.bucket)?;
        ok(HeadBucketOutput {
            bucket_region: Some(REGION.into()),
            ..HeadBucketOutput::default()
        })
    }

    async fn get_bucket_location(&self, request: S3Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
        self.store.lock().bucket(&request.input.bucket)?;
        let location_constraint = Some(BucketLocationConstraint::from_static(REGION));
        ok(GetBucketLocationOutput { location_constraint })
    }

    /// No bucket is versioned; S3 says so with an empty answer.
    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        self.store.lock().bucket(&request.input.bucket)?;
        ok(GetBucketVersioningOutput::default())
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        let input = request.input;
        let after = match &input.continuation_token {
            Some(token) => from_token(token)?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let page = self.page(&input.bucket, &input.prefix, &input.delimiter, after, input.max_keys)?;
        ok(ListObjectsV2Output {
            key_count: i32::try_from(page.entries.len()).ok(),
            max_keys: i32::try_from(page.entries_max).ok(),
            is_truncated: Some(page.next_after.is_some()),
            next_continuation_token: page.next_after.as_deref().map(|after| super::hex(after.as_bytes())),
            continuation_token: input.continuation_token,
            contents: Some(contents(&page)),
            common_prefixes: Some(common_prefixes(&page)),
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            delimiter: input.delimiter,
            start_after: input.start_after,
            ..ListObjectsV2Output::default()
        })
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        let input = request.input;
        let marker = input.marker.clone().unwrap_or_default();
        let page = self.page(&input.bucket, &input.prefix, &input.delimiter, marker, input.max_keys)?;
        ok(ListObjectsOutput {
            max_keys: i32::try_from(page.entries_max).ok(),
            is_truncated: Some(page.next_after.is_some()),
            next_marker: page.next_after.clone(),
            contents: Some(contents(&page)),
            common_prefixes: Some(common_prefixes(&page)),
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            marker: Some(input.marker.unwrap_or_default()),
            delimiter: input.delimiter,
            ..ListObjectsOutput::default()
        })
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        let input = request.input;
        let condition = object::condition(input.if_match, None);
        let mut state = self.store.lock();
        let objects = &mut state.bucket_mut(&input.bucket)?.objects;
        if condition != Condition::Always {
            super::check(&condition, objects.get(&input.key))?;
        }
        objects.remove(&input.key);
        ok(DeleteObjectOutput::default())
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        let input = request.input;
        if input.delete.objects.len() > DELETE_KEYS_MAX {
            let message = "The XML you provided was not well-formed or did not validate against our published schema";
            return Err(ApiError::client("MalformedXML", message).into());
        }
        let mut state = self.store.lock();
        let objects = &mut state
            .buckets
            .get_mut(&input.bucket)
            .ok_or_else(|| no_such_bucket(&input.bucket))?
            .objects;
        let refusals = request.extensions.get::<Vec<Refusal>>();
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for entry in input.delete.objects {
            let arn = format!("arn:aws:s3:::{}/{}", input.bucket, entry.key);
            if let Some(refusal) = refusals.and_then(|all| all.iter().find(|one| one.resource == arn)) {
                errors.push(Error {
                    code: Some("AccessDenied".into()),
                    key: Some(entry.key),
                    message: Some(refusal.words.clone()),
                    ..Error::default()
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
        ok(DeleteObjectsOutput {
            deleted,
            errors: Some(errors).filter(|errors| !errors.is_empty()),
            ..DeleteObjectsOutput::default()
        })
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        object::get(&self.store, &request.input)
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        object::head(&self.store, request.input)
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        object::put(&self.store, request).await
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        object::copy(&self.store, request.input)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        object::create_upload(&self.store, request.input)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        object::upload_part(&self.store, request).await
    }

    async fn upload_part_copy(&self, request: S3Request<UploadPartCopyInput>) -> Answer<UploadPartCopyOutput> {
        object::copy_part(&self.store, request.input)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        object::complete_upload(&self.store, request.input)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let input = request.input;
        self.store
            .lock()
            .abort_upload(&input.bucket, &input.key, &input.upload_id)?;
        ok(AbortMultipartUploadOutput::default())
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        object::list_parts(&self.store, request.input)
    }
}

impl Protocol {
    fn page(
        &self,
        bucket: &str,
        prefix: &Option<String>,
        delimiter: &Option<String>,
        after: String,
        entries_max: Option<i32>,
    ) -> S3Result<Page> {
        let entries_max = match entries_max.map(usize::try_from) {
            None => None,
            Some(Ok(number)) => Some(number),
            Some(Err(_)) => return Err(ApiError::client("InvalidArgument", "max-keys must not be negative").into()),
        };
        let prefix = prefix.clone().unwrap_or_default();
        Ok(self.store.lock().page(
            bucket,
            &Listing {
                prefix,
                delimiter: delimiter.clone(),
                after,
                entries_max,
            },
        )?)
    }
}

fn contents(page: &Page) -> Vec<Object> {
    let of = |entry: &Entry| match entry {
        Entry::Prefix(_) => None,
        Entry::Object(key, found) => Some(Object {
            key: Some(key.clone()),
            e_tag: Some(ETag::Strong(found.etag.clone())),
            last_modified: Some(object::timestamp(found.last_modified)),
            size: i64::try_from(found.bytes.len()).ok(),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..Object::default()
        }),
    };
    page.entries.iter().filter_map(of).collect()
}

fn common_prefixes(page: &Page) -> Vec<CommonPrefix> {
    let of = |entry: &Entry| match entry {
        Entry::Object(..) => None,
        Entry::Prefix(prefix) => Some(CommonPrefix {
            prefix: Some(prefix.clone()),
        }),
    };
    page.entries.iter().filter_map(of).collect()
}

/// The entry that a continuation token (its name in hexadecimal) stands for.
fn from_token(token: &str) -> S3Result<String> {
    let digits = token.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes
        .filter(|_| digits.len().is_multiple_of(2))
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| ApiError::client("InvalidArgument", "The continuation token provided is incorrect").into())
}

/// A response with the checksums that were stored with the object.
pub(super) fn with_checksums<T>(output: T, checksums: &std::collections::BTreeMap<String, String>) -> S3Response<T> {
    let mut headers = HeaderMap::new();
    for (name, value) in checksums {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    let mut response = S3Response::new(output);
    response.headers = headers;
    response
}

#[cfg(test)]
mod tests;
