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

use super::subject::Subject;
use super::{Store, deletion, object, pages};
use crate::api::{ACCOUNT, ApiError, REGION};
use crate::grants::Refusal;

/// The most buckets on one page, and the page's length unless another is asked for.
//= https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
const BUCKETS_MAX: i32 = 10_000;

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
            Ok(request) => self.ask(without_bad_range(request)).await,
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
        let subject = Subject::of(&request);
        match self.inner.call(request.map(s3s::Body::from)).await {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                match body.collect().await {
                    Ok(body) if parts.status.is_client_error() => {
                        Response::from_parts(parts, subject.completed(body.to_bytes()))
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

/// A range that is none, as `bytes=1-0`, counts for nothing: the whole object is read. `s3s` would refuse it.
//= https://www.rfc-editor.org/rfc/rfc9110.html#section-14.1.1-4
fn without_bad_range(mut request: Request<Bytes>) -> Request<Bytes> {
    let range = request
        .headers()
        .get(http::header::RANGE)
        .map(|range| range.to_str().ok());
    if range.is_some_and(|range| range.is_none_or(|range| Range::parse(range).is_err())) {
        request.headers_mut().remove(http::header::RANGE);
    }
    request
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
    async fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        let input = request.input;
        let size = input.max_buckets.unwrap_or(BUCKETS_MAX);
        if !(1..=BUCKETS_MAX).contains(&size) {
            let message = format!("Argument max-buckets must be an integer between 1 and {BUCKETS_MAX}");
            return Err(ApiError::client("InvalidArgument", message).into());
        }
        let after = input.continuation_token.as_deref().map(pages::from_token).transpose()?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let is_here = input.bucket_region.as_deref().is_none_or(|region| region == REGION);
        let state = self.store.lock();
        let mut found = state.buckets.iter().filter(|(name, _)| {
            is_here && name.starts_with(&prefix) && after.as_ref().is_none_or(|after| *name > after)
        });
        let bucket = |(name, bucket): (&String, &super::Bucket)| Bucket {
            name: Some(name.clone()),
            creation_date: Some(object::timestamp(bucket.created_at)),
            bucket_region: Some(REGION.into()),
        };
        let owner = Owner {
            id: Some(ACCOUNT.into()),
            ..Owner::default()
        };
        let buckets: Vec<Bucket> = found.by_ref().take(size as usize).map(bucket).collect();
        let last = buckets.last().and_then(|last| last.name.as_deref());
        let next = found.next().and(last).map(pages::token);
        ok(ListBucketsOutput {
            buckets: Some(buckets),
            owner: Some(owner),
            prefix: input.prefix,
            continuation_token: next,
        })
    }

    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let bucket = request.input.bucket;
        let wanted = request.input.create_bucket_configuration;
        let wanted = wanted.as_ref().and_then(|wanted| wanted.location_constraint.as_ref());
        // Assumed: who names no Region means this one, as in us-east-1.
        if let Some(other) = wanted
            .map(BucketLocationConstraint::as_str)
            .filter(|wanted| *wanted != REGION)
        {
            let message = format!(
                "The {other} location constraint is incompatible for the region specific endpoint this request was sent to."
            );
            return Err(ApiError::client("IllegalLocationConstraintException", message).into());
        }
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
        pages::list_objects_v2(&self.store, request.input)
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        pages::list_objects(&self.store, request.input)
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        deletion::delete_object(&self.store, request.input)
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        let refusals = request.extensions.get::<Vec<Refusal>>().cloned().unwrap_or_default();
        deletion::delete_objects(&self.store, request.input, &refusals)
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
        object::copy(&self.store, request)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        object::create_upload(&self.store, request)
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

/// A response with headers that were stored with the object.
pub(super) fn with_headers<T>(output: T, stored: &std::collections::BTreeMap<String, String>) -> S3Response<T> {
    let mut headers = HeaderMap::new();
    for (name, value) in stored {
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
