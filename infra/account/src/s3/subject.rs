//! What a request is about, as S3's errors say it beside their code and message: the bucket, the key, the condition.
//!
//! Separate because `s3s` has no place for it, and refuses what it cannot read with a code alone.
//!
//! Which argument an `InvalidArgument` is about is not said.

use bytes::Bytes;
use http::Request;

use crate::wire::percent_decoded;

/// What one request, path-style, is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Subject {
    /// None for a copy, which is about two.
    bucket: Option<String>,
    /// Of a copy the source's.
    key: Option<String>,
    condition: Option<&'static str>,
}

impl Subject {
    /// Reads path and headers.
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        let source = request.headers().get("x-amz-copy-source");
        let path = source.map_or(Ok(request.uri().path()), |source| source.to_str());
        let path = path.unwrap_or_default().split('?').next().unwrap_or_default();
        let (bucket, key) = path
            .trim_start_matches('/')
            .split_once('/')
            .unwrap_or((path.trim_start_matches('/'), ""));
        let has = |name: &str| request.headers().contains_key(name);
        Self {
            bucket: source.is_none().then(|| percent_decoded(bucket)),
            key: (!key.is_empty()).then(|| percent_decoded(key)),
            condition: [
                ("if-match", "If-Match"),
                ("if-none-match", "If-None-Match"),
                ("if-unmodified-since", "If-Unmodified-Since"),
            ]
            .into_iter()
            .find_map(|(header, name)| has(header).then_some(name)),
        }
    }

    /// An error's body with all that S3 says.
    //= https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    pub(super) fn completed(&self, body: Bytes) -> Bytes {
        let text = String::from_utf8_lossy(&body);
        let (Some((_, rest)), Some((head, tail))) = (text.split_once("<Code>"), text.rsplit_once("</Error>")) else {
            return body;
        };
        let code = rest.split('<').next().unwrap_or_default();
        let mut error = head.to_owned();
        if !head.contains("<Message>") {
            error.push_str(&format!("<Message>The request was refused: {code}</Message>"));
        }
        let more = match code {
            "NoSuchKey" => self.key.as_deref().map(|key| ("Key", key)),
            "NoSuchBucket" | "BucketAlreadyOwnedByYou" | "BucketNotEmpty" => {
                self.bucket.as_deref().map(|bucket| ("BucketName", bucket))
            }
            "PreconditionFailed" => self.condition.map(|name| ("Condition", name)),
            _ => None,
        };
        if let Some((name, value)) = more {
            error.push_str(&format!("<{name}>{}</{name}>", quick_xml::escape::escape(value)));
        }
        format!("{error}</Error>{tail}").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_it_is_about() {
        let said = |request: http::request::Builder, error: &str| {
            let subject = Subject::of(&request.body(Bytes::new()).unwrap());
            let body = subject.completed(Bytes::from(format!(
                "<Error><Code>{error}</Code><Message>m</Message></Error>"
            )));
            String::from_utf8(body.to_vec()).unwrap()
        };
        assert!(said(Request::get("/b/a%26b/c"), "NoSuchKey").ends_with("<Key>a&amp;b/c</Key></Error>"));
        assert!(said(Request::get("/b"), "NoSuchBucket").contains("<BucketName>b</BucketName>"));
        let put = Request::put("/b/k").header("if-none-match", "*");
        assert!(said(put, "PreconditionFailed").contains("<Condition>If-None-Match</Condition>"));
        let copy = Request::put("/b/k").header("x-amz-copy-source", "/other/from");
        assert!(said(copy, "NoSuchKey").contains("<Key>from</Key>"));
        assert_eq!(
            said(Request::get("/b/k"), "AccessDenied"),
            "<Error><Code>AccessDenied</Code><Message>m</Message></Error>"
        );
    }

    #[test]
    fn an_error_without_a_message_gets_one() {
        let subject = Subject::default();
        let body = subject.completed(Bytes::from_static(b"<Error><Code>MalformedXML</Code></Error>"));
        assert_eq!(
            body,
            "<Error><Code>MalformedXML</Code><Message>The request was refused: MalformedXML</Message></Error>"
        );
        assert_eq!(subject.completed(Bytes::from_static(b"no XML")), "no XML");
    }
}
