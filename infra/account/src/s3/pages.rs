//! Both generations of ListObjects, over the store's pages.
//!
//! Separate because a key may hold what XML cannot, and only here is it encoded.

use s3s::dto::*;
use s3s::{S3Response, S3Result};

use super::{Entry, Listing, Page, Store, object};
use crate::api::ApiError;

type Answer<T> = S3Result<S3Response<T>>;

pub(super) fn list_objects_v2(store: &Store, input: ListObjectsV2Input) -> Answer<ListObjectsV2Output> {
    let shown = Encoding::of(input.encoding_type)?;
    let after = match &input.continuation_token {
        Some(token) => from_token(token)?,
        None => input.start_after.clone().unwrap_or_default(),
    };
    let page = page(
        store,
        &input.bucket,
        &input.prefix,
        &input.delimiter,
        after,
        input.max_keys,
    )?;
    Ok(S3Response::new(ListObjectsV2Output {
        key_count: i32::try_from(page.entries.len()).ok(),
        max_keys: i32::try_from(page.entries_max).ok(),
        is_truncated: Some(page.next_after.is_some()),
        next_continuation_token: page.next_after.as_deref().map(token),
        continuation_token: input.continuation_token,
        contents: Some(contents(&page, shown)),
        common_prefixes: Some(common_prefixes(&page, shown)),
        name: Some(input.bucket),
        prefix: Some(shown.text(&input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(|delimiter| shown.text(&delimiter)),
        start_after: input.start_after.map(|key| shown.text(&key)),
        encoding_type: shown.name(),
        ..ListObjectsV2Output::default()
    }))
}

pub(super) fn list_objects(store: &Store, input: ListObjectsInput) -> Answer<ListObjectsOutput> {
    let shown = Encoding::of(input.encoding_type)?;
    let marker = input.marker.clone().unwrap_or_default();
    let page = page(
        store,
        &input.bucket,
        &input.prefix,
        &input.delimiter,
        marker,
        input.max_keys,
    )?;
    Ok(S3Response::new(ListObjectsOutput {
        max_keys: i32::try_from(page.entries_max).ok(),
        is_truncated: Some(page.next_after.is_some()),
        next_marker: page.next_after.as_deref().map(|after| shown.text(after)),
        contents: Some(contents(&page, shown)),
        common_prefixes: Some(common_prefixes(&page, shown)),
        name: Some(input.bucket),
        prefix: Some(shown.text(&input.prefix.unwrap_or_default())),
        marker: Some(shown.text(&input.marker.unwrap_or_default())),
        delimiter: input.delimiter.map(|delimiter| shown.text(&delimiter)),
        encoding_type: shown.name(),
        ..ListObjectsOutput::default()
    }))
}

/// How keys and prefixes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// As they are.
    Plain,
    /// For a URL: what XML cannot hold is percent-encoded.
    Url,
}

impl Encoding {
    //= https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html#API_ListObjectsV2_RequestParameters
    fn of(given: Option<EncodingType>) -> Result<Self, ApiError> {
        match given.as_ref().map(EncodingType::as_str) {
            None => Ok(Self::Plain),
            Some(EncodingType::URL) => Ok(Self::Url),
            Some(_) => Err(ApiError::client(
                "InvalidArgument",
                "Invalid Encoding Method specified in Request",
            )),
        }
    }

    fn name(self) -> Option<EncodingType> {
        (self == Self::Url).then(|| EncodingType::from_static(EncodingType::URL))
    }

    /// A space is a plus, and a slash stays.
    fn text(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Url => form_urlencoded::byte_serialize(text.as_bytes())
                .collect::<String>()
                .replace("%2F", "/"),
        }
    }
}

fn page(
    store: &Store,
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
    Ok(store.lock().page(
        bucket,
        &Listing {
            prefix,
            delimiter: delimiter.clone(),
            after,
            entries_max,
        },
    )?)
}

fn contents(page: &Page, shown: Encoding) -> Vec<Object> {
    let of = |entry: &Entry| match entry {
        Entry::Prefix(_) => None,
        Entry::Object(key, found) => Some(Object {
            key: Some(shown.text(key)),
            e_tag: Some(ETag::Strong(found.etag.clone())),
            last_modified: Some(object::timestamp(found.last_modified)),
            size: i64::try_from(found.bytes.len()).ok(),
            storage_class: Some(ObjectStorageClass::from(found.headers.storage_class().to_owned())),
            ..Object::default()
        }),
    };
    page.entries.iter().filter_map(of).collect()
}

fn common_prefixes(page: &Page, shown: Encoding) -> Vec<CommonPrefix> {
    let of = |entry: &Entry| match entry {
        Entry::Object(..) => None,
        Entry::Prefix(prefix) => Some(CommonPrefix {
            prefix: Some(shown.text(prefix)),
        }),
    };
    page.entries.iter().filter_map(of).collect()
}

/// The continuation token that stands for an entry: its name in hexadecimal.
pub(super) fn token(after: &str) -> String {
    super::hex(after.as_bytes())
}

/// The entry that a continuation token stands for.
pub(super) fn from_token(token: &str) -> S3Result<String> {
    let digits = token.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes
        .filter(|_| digits.len().is_multiple_of(2))
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| ApiError::client("InvalidArgument", "The continuation token provided is incorrect").into())
}
