//! The part of an object that a read asks for: a range of bytes, or one part of those that it was uploaded in.
//!
//! Separate because GET and HEAD answer alike.

use bytes::Bytes;
use s3s::dto::Range;

use super::Object;
use crate::api::ApiError;

/// What a read answers with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The bytes.
    pub(super) bytes: Bytes,
    /// `Content-Range`, unless they are the whole object.
    pub(super) content_range: Option<String>,
    /// How many parts the object was uploaded in, when one was asked for by its number.
    pub(super) count: Option<i32>,
}

/// The bytes that a read asks for.
//= https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_RequestParameters
pub(super) fn of(object: &Object, range: Option<Range>, number: Option<i32>) -> Result<Part, ApiError> {
    let whole = object.bytes.len();
    let (start, end) = match (range, number) {
        (Some(_), Some(_)) => {
            let message = "Cannot specify both Range header and partNumber query parameter";
            return Err(ApiError::client("InvalidRequest", message));
        }
        (None, None) => {
            return Ok(Part {
                bytes: object.bytes.clone(),
                content_range: None,
                count: None,
            });
        }
        (Some(range), None) => {
            let range = range.check(whole as u64).map_err(|_| not_satisfiable())?;
            (range.start as usize, range.end as usize)
        }
        (None, Some(number)) => numbered(object, number)?,
    };
    // The one part of an empty object has no range.
    if start >= end && number.is_none() {
        return Err(not_satisfiable());
    }
    let is_multipart = number.is_some() && !object.part_sizes.is_empty();
    Ok(Part {
        bytes: object.bytes.slice(start..end),
        content_range: (start < end).then(|| format!("bytes {start}-{}/{whole}", end - 1)),
        count: i32::try_from(object.part_sizes.len()).ok().filter(|_| is_multipart),
    })
}

/// Begin and end of the part of this number. An object that was not uploaded in parts is its own first one.
fn numbered(object: &Object, number: i32) -> Result<(usize, usize), ApiError> {
    let sizes = match object.part_sizes.as_slice() {
        [] => &[object.bytes.len()],
        sizes => sizes,
    };
    let before = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let before = before.ok_or_else(|| {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        ApiError::client("InvalidArgument", message)
    })?;
    let size = sizes.get(before).ok_or_else(|| {
        let message = "The requested partnumber is not satisfiable";
        ApiError::with_status(416, "InvalidPartNumber", message)
    })?;
    let start = sizes[..before].iter().sum();
    Ok((start, start + size))
}

fn not_satisfiable() -> ApiError {
    ApiError::with_status(416, "InvalidRange", "The requested range is not satisfiable")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Time;
    use crate::s3::Headers;

    fn object(bytes: &'static str, part_sizes: &[usize]) -> Object {
        Object {
            bytes: Bytes::from(bytes),
            etag: String::new(),
            last_modified: Time::UNIX_EPOCH,
            headers: Headers::default(),
            part_sizes: part_sizes.to_vec(),
        }
    }

    #[test]
    fn a_part_of_an_upload_is_found_by_its_number() {
        let object = object("aaabb", &[3, 2]);
        let second = of(&object, None, Some(2)).unwrap();
        assert_eq!((second.bytes.as_ref(), second.count), (&b"bb"[..], Some(2)));
        assert_eq!(second.content_range.as_deref(), Some("bytes 3-4/5"));
        assert_eq!(of(&object, None, Some(3)).unwrap_err().status, 416);
        assert_eq!(of(&object, None, Some(0)).unwrap_err().code, "InvalidArgument");
    }

    #[test]
    fn an_object_of_one_piece_is_its_own_first_part() {
        let first = of(&object("abc", &[]), None, Some(1)).unwrap();
        assert_eq!(
            (first.content_range.as_deref(), first.count),
            (Some("bytes 0-2/3"), None)
        );
        assert_eq!(
            of(&object("abc", &[]), None, Some(2)).unwrap_err().code,
            "InvalidPartNumber"
        );
        assert_eq!(of(&object("", &[]), None, Some(1)).unwrap().content_range, None);
    }
}
