//! What reads the requests of AWS's clients, by itself.
//!
//! Separate from the crate that it is part of because that needs the AWS SDK, which takes very long to compile with a
//! fuzzer's instruments in it. The modules beside this file are links to theirs, so nothing is copied.

#![allow(dead_code, reason = "what uses the rest is not here")]

pub mod api;
mod journal;
pub mod wire;

/// What the wire layer needs to know of DynamoDB, whose implementation is not here.
mod dynamodb {
    /// An answer's status and body.
    pub struct Failure {
        /// HTTP status.
        pub status: u16,
        /// The body.
        pub body: Vec<u8>,
    }
}

/// What S3 does with a request before its protocol reads it.
pub mod s3 {
    mod chunked;

    use bytes::Bytes;
    use http::Request;

    use crate::api::ApiError;

    /// The request without signature, virtual host and chunks.
    pub fn plain(request: Request<Bytes>) -> Result<Request<Bytes>, ApiError> {
        chunked::plain(request)
    }
}
