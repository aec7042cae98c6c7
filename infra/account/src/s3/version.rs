//! The version of an object that a request names. No bucket here is versioned: an object has one version, `null`.
//!
//! Separate because every operation on an object can name one, and a delete must not take another for it.
//!
//! Which ids S3 takes for well-formed is not published: here all others than `null` are not.

use crate::api::ApiError;

/// The version of an object in a bucket without versioning.
//= https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
const NULL: &str = "null";

/// Refuses a request for a version that no object can have.
pub(super) fn check(version_id: Option<&str>) -> Result<(), ApiError> {
    match version_id {
        None | Some(NULL) => Ok(()),
        Some("") => Err(ApiError::client(
            "InvalidArgument",
            "Version id cannot be the empty string",
        )),
        Some(_) => Err(ApiError::client("InvalidArgument", "Invalid version id specified")),
    }
}

/// The same for one key of DeleteObjects, whose errors are the keys' own.
pub(super) fn check_entry(version_id: Option<&str>) -> Result<(), ApiError> {
    check(version_id).map_err(|_| ApiError::with_status(404, "NoSuchVersion", "The specified version does not exist."))
}
