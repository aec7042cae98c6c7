//! What a write says about an object besides its bytes, out of its headers.
//!
//! Separate because three operations read the same headers, and what is not offered must be refused by all of them.

use std::collections::BTreeMap;

use http::HeaderMap;
use s3s::dto::Metadata;

use super::{Encryption, Headers};
use crate::api::ApiError;

/// The header that names an object's storage class.
pub(super) const STORAGE_CLASS: &str = "x-amz-storage-class";

/// The header that makes an object send its readers elsewhere.
pub(super) const WEBSITE_REDIRECT: &str = "x-amz-website-redirect-location";

/// What an object has unless a write says otherwise; S3 shows it in listings only.
//= https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_ResponseElements
pub(super) const STANDARD: &str = "STANDARD";

/// The storage classes whose objects can be read at once.
//= https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html
const STORAGE_CLASSES: [&str; 6] = [
    STANDARD,
    "GLACIER_IR",
    "INTELLIGENT_TIERING",
    "ONEZONE_IA",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
];

/// Those of archives and of other kinds of storage.
const OTHER_STORAGE_CLASSES: [&str; 9] = [
    "AWS_BACKUP_LOW_COST_WARM",
    "AWS_BACKUP_WARM",
    "DEEP_ARCHIVE",
    "EXPRESS_ONEZONE",
    "FSX_ONTAP",
    "FSX_OPENZFS",
    "GLACIER",
    "OUTPOSTS",
    "SNOW",
];

/// Headers that come back as they were sent.
const KEPT: [&str; 4] = ["content-language", "expires", STORAGE_CLASS, WEBSITE_REDIRECT];

/// Headers that ask for what the simulated account lacks.
const NOT_OFFERED: [&str; 5] = [
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-tagging",
    "x-amz-write-offset-bytes",
];

impl Headers {
    /// The description in a request to write. Checksums are of the bytes, and come from elsewhere.
    //= https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    pub(super) fn read(headers: &HeaderMap, metadata: Option<Metadata>) -> Result<Self, ApiError> {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        if let Some(name) = NOT_OFFERED.iter().find(|name| headers.contains_key(**name)) {
            return Err(ApiError::not_offered("s3", &format!("the header {name}")));
        }
        let class = text(STORAGE_CLASS).unwrap_or_else(|| STANDARD.to_owned());
        if OTHER_STORAGE_CLASSES.contains(&class.as_str()) {
            return Err(ApiError::not_offered("s3", &format!("the storage class {class}")));
        }
        if !STORAGE_CLASSES.contains(&class.as_str()) {
            let message = "The storage class you specified is not valid";
            return Err(ApiError::client("InvalidStorageClass", message));
        }
        let kept = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?)));
        Ok(Self {
            content_type: text("content-type"),
            content_encoding: text("content-encoding").filter(|coding| !coding.is_empty()),
            content_disposition: text("content-disposition"),
            cache_control: text("cache-control"),
            metadata: metadata.unwrap_or_default().into_iter().collect(),
            checksums: BTreeMap::new(),
            kept: kept.filter(|(_, value)| value != STANDARD).collect(),
            encryption: Encryption::asked_for(
                text("x-amz-server-side-encryption").as_deref(),
                text("x-amz-server-side-encryption-aws-kms-key-id").as_deref(),
            )?,
        })
    }

    /// The storage class, which is not copied with an object.
    pub(super) fn storage_class(&self) -> &str {
        self.kept.get(STORAGE_CLASS).map_or(STANDARD, String::as_str)
    }
}
