//! The names of S3's operations, for the record of calls, and a refusal of those that nobody here knows.
//!
//! Separate because S3 itself never needs names: its protocol has methods, paths and sub-resources.

use bytes::Bytes;
use http::{Method, Request};

use super::header;
use crate::api::ApiError;

/// The query parameters of the operations that the account offers, but for those of signatures and `response-…`.
const PARAMETERS: [&str; 18] = [
    "bucket-region",
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "key-marker",
    "list-type",
    "marker",
    "max-buckets",
    "max-keys",
    "max-parts",
    "part-number-marker",
    "partNumber",
    "prefix",
    "start-after",
    "uploadId",
    "versionId",
    "x-id",
];

/// Sub-resources, and the one method that the account offers of each.
const SUB_RESOURCES: [(&str, Method); 4] = [
    ("delete", Method::POST),
    ("location", Method::GET),
    ("uploads", Method::POST),
    ("versioning", Method::GET),
];

/// The operation's name. A parameter that is not known makes it another operation, one that would be taken for what is
/// left of it: `DELETE /bucket?new-thing` must not delete the bucket.
pub(super) fn decode(request: &Request<Bytes>) -> Result<String, ApiError> {
    let query = request.uri().query().unwrap_or("");
    let is_known = |name: &str| {
        let lower = name.to_ascii_lowercase();
        PARAMETERS.contains(&name)
            || SUB_RESOURCES.contains(&(name, request.method().clone()))
            || lower.starts_with("x-amz-")
            || lower.starts_with("response-")
            || ["AWSAccessKeyId", "Signature", "Expires"].contains(&name)
    };
    match form_urlencoded::parse(query.as_bytes()).find(|(name, _)| !is_known(name)) {
        None => Ok(name(request)),
        Some((parameter, _)) => {
            let named = name(request);
            let operation = format!("{} with ?{parameter} ({named} without it)", request.method());
            Err(ApiError::not_implemented("s3", &operation))
        }
    }
}

/// The operation's name: what method, path and query amount to. The SDKs say it in `x-id` too, but S3 acts on the rest,
/// and whoever says otherwise there would be noted as having done what was never asked for.
//= https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
fn name(request: &Request<Bytes>) -> String {
    let query = request.uri().query().unwrap_or("");
    let parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let has = |name: &str| parameters.iter().any(|(found, _)| found == name);
    let (bucket, key) = parts(request);
    let name = match (request.method(), bucket, key) {
        (&Method::GET, false, _) => "ListBuckets",
        (&Method::GET, true, false) if has("location") => "GetBucketLocation",
        (&Method::GET, true, false) if has("versioning") => "GetBucketVersioning",
        (&Method::GET, true, false) if has("list-type") => "ListObjectsV2",
        (&Method::GET, true, false) => "ListObjects",
        (&Method::GET, true, true) if has("uploadId") => "ListParts",
        (&Method::GET, true, true) => "GetObject",
        (&Method::HEAD, true, false) => "HeadBucket",
        (&Method::HEAD, true, true) => "HeadObject",
        (&Method::PUT, true, false) => "CreateBucket",
        (&Method::PUT, true, true) if has("partNumber") && header(request, "x-amz-copy-source").is_some() => {
            "UploadPartCopy"
        }
        (&Method::PUT, true, true) if has("partNumber") => "UploadPart",
        (&Method::PUT, true, true) if header(request, "x-amz-copy-source").is_some() => "CopyObject",
        (&Method::PUT, true, true) => "PutObject",
        (&Method::POST, true, false) if has("delete") => "DeleteObjects",
        (&Method::POST, true, true) if has("uploads") => "CreateMultipartUpload",
        (&Method::POST, true, true) if has("uploadId") => "CompleteMultipartUpload",
        (&Method::DELETE, true, false) => "DeleteBucket",
        (&Method::DELETE, true, true) if has("uploadId") => "AbortMultipartUpload",
        (&Method::DELETE, true, true) => "DeleteObject",
        _ => "Unknown",
    };
    name.to_owned()
}

/// Whether the request names a bucket, and a key.
fn parts(request: &Request<Bytes>) -> (bool, bool) {
    let host = request.uri().host().or_else(|| header(request, "host")).unwrap_or("");
    let host = host.split(':').next().unwrap_or(host);
    let virtual_hosted = (host.ends_with(".amazonaws.com") && host.contains(".s3.")) || host.ends_with(".localhost");
    let path = request.uri().path().trim_start_matches('/');
    if virtual_hosted {
        return (true, !path.is_empty());
    }
    let key = path.split_once('/').is_some_and(|(_, key)| !key.is_empty());
    (!path.is_empty(), key)
}
