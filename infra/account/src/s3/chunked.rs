//! A request as S3 means it: without its signature, its virtual host and its `aws-chunked` coating.
//!
//! Separate because it is what makes real clients' requests independent of the system's clock: the simulated account
//! accepts any signature, since a check would compare the virtual date of signing with the machine's.

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use crate::api::ApiError;

/// Query parameters of a presigned URL.
const SIGNING: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// The request, path-style, unsigned, with its plain body; trailers have become headers.
pub fn plain(request: Request<Bytes>) -> Result<Request<Bytes>, ApiError> {
    let (mut parts, mut body) = request.into_parts();
    let host = parts
        .uri
        .authority()
        .map(|authority| authority.host().to_owned())
        .or_else(|| {
            let host = parts.headers.get(HOST)?.to_str().ok()?;
            Some(host.split(':').next().unwrap_or(host).to_owned())
        });
    parts.uri = path_style(&parts.uri, host.as_deref().and_then(bucket_of_host))?;
    let chunked = text(&parts.headers, "x-amz-content-sha256").is_some_and(|sha| sha.starts_with("STREAMING-"))
        || text(&parts.headers, "content-encoding").is_some_and(|coding| coding.contains("aws-chunked"));
    if chunked {
        body = unchunk(&body, &mut parts.headers)?;
        drop_chunked_coding(&mut parts.headers);
    }
    for name in [
        "x-amz-content-sha256",
        "x-amz-trailer",
        "x-amz-decoded-content-length",
        "transfer-encoding",
    ] {
        parts.headers.remove(name);
    }
    parts.headers.remove(AUTHORIZATION);
    parts.headers.insert(HOST, HeaderValue::from_static("localhost"));
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    Ok(Request::from_parts(parts, body))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The bucket in a virtual-hosted-style host: `bucket.s3.us-sim-1.amazonaws.com`, or `bucket.localhost` over TCP.
//= https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
fn bucket_of_host(host: &str) -> Option<&str> {
    let of_aws = host
        .find(".s3.")
        .filter(|_| host.ends_with(".amazonaws.com"))
        .map(|end| &host[..end]);
    of_aws
        .or_else(|| host.strip_suffix(".localhost"))
        .filter(|bucket| !bucket.is_empty() && *bucket != "s3")
}

fn path_style(uri: &Uri, bucket: Option<&str>) -> Result<Uri, ApiError> {
    let query: Vec<&str> = uri
        .query()
        .unwrap_or("")
        .split('&')
        .filter(|pair| !pair.is_empty() && !SIGNING.contains(&pair.split('=').next().unwrap_or("")))
        .collect();
    let mut path = match bucket {
        Some(bucket) => format!("/{bucket}{}", uri.path()),
        None => uri.path().to_owned(),
    };
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    path.parse()
        .map_err(|_| ApiError::client("InvalidURI", "Couldn't parse the specified URI."))
}

fn drop_chunked_coding(headers: &mut HeaderMap) {
    let rest: Vec<String> = text(headers, "content-encoding")
        .unwrap_or("")
        .split(',')
        .map(|coding| coding.trim().to_owned())
        .filter(|coding| !coding.is_empty() && coding != "aws-chunked")
        .collect();
    headers.remove(CONTENT_ENCODING);
    if let Ok(value) = HeaderValue::from_str(&rest.join(","))
        && !rest.is_empty()
    {
        headers.insert(CONTENT_ENCODING, value);
    }
}

/// The content of an `aws-chunked` body: `<hex size>[;chunk-signature=…]\r\n<bytes>\r\n` … `0\r\n<trailers>\r\n`.
//= https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
fn unchunk(body: &Bytes, headers: &mut HeaderMap) -> Result<Bytes, ApiError> {
    let mut content = BytesMut::new();
    let mut at = 0;
    loop {
        let line = line(body, &mut at)?;
        let size = line.split(';').next().unwrap_or("").trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| incomplete())?;
        if size == 0 {
            break;
        }
        let end = at
            .checked_add(size)
            .filter(|end| *end <= body.len())
            .ok_or_else(incomplete)?;
        content.extend_from_slice(&body[at..end]);
        at = end;
        if !self::line(body, &mut at)?.is_empty() {
            return Err(incomplete());
        }
    }
    while at < body.len() {
        let trailer = line(body, &mut at)?;
        if let Some((name, value)) = trailer.split_once(':')
            && let Ok(name) = HeaderName::try_from(name.trim())
            && let Ok(value) = HeaderValue::from_str(value.trim())
        {
            headers.insert(name, value);
        }
    }
    let announced = text(headers, "x-amz-decoded-content-length").and_then(|length| length.parse().ok());
    if announced.is_some_and(|length: usize| length != content.len()) {
        return Err(incomplete());
    }
    Ok(content.freeze())
}

/// The text up to the next line's end, which `at` moves past.
fn line<'a>(body: &'a Bytes, at: &mut usize) -> Result<&'a str, ApiError> {
    let rest = body.get(*at..).unwrap_or(&[]);
    let end = rest
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .ok_or_else(incomplete)?;
    *at += end + 2;
    std::str::from_utf8(&rest[..end]).map_err(|_| incomplete())
}

fn incomplete() -> ApiError {
    ApiError::client(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked(body: &'static str) -> Result<Request<Bytes>, ApiError> {
        let request = Request::put("https://b.s3.us-sim-1.amazonaws.com/a%20b?x-id=PutObject&X-Amz-Signature=0")
            .header("authorization", "AWS4-HMAC-SHA256 …")
            .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .header("content-encoding", "aws-chunked,gzip")
            .header("x-amz-trailer", "x-amz-checksum-crc32");
        plain(request.body(Bytes::from_static(body.as_bytes())).unwrap())
    }

    #[test]
    fn chunks_become_the_content_and_trailers_become_headers() {
        let request = chunked("5\r\nhello\r\n6;chunk-signature=ab\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n");
        let request = request.unwrap();
        assert_eq!(request.body(), "hello world");
        assert_eq!(request.headers()["x-amz-checksum-crc32"], "AAAA");
        assert_eq!(request.headers()["content-encoding"], "gzip");
        assert_eq!(request.headers()["content-length"], "11");
        assert!(!request.headers().contains_key("authorization"));
        assert_eq!(request.uri(), "/b/a%20b?x-id=PutObject");
    }

    #[test]
    fn a_cut_body_is_incomplete() {
        for body in [
            "",
            "5\r\nhel",
            "5\r\nhelloX\r\n0\r\n\r\n",
            "zz\r\n",
            "ffffffffffffffff\r\nx",
        ] {
            assert_eq!(chunked(body).unwrap_err().code, "IncompleteBody", "{body:?}");
        }
    }

    #[test]
    fn only_a_virtual_host_names_a_bucket() {
        assert_eq!(bucket_of_host("b.c.s3.us-sim-1.amazonaws.com"), Some("b.c"));
        assert_eq!(bucket_of_host("s3.us-sim-1.amazonaws.com"), None);
        assert_eq!(bucket_of_host("b.localhost"), Some("b"));
        assert_eq!(bucket_of_host("localhost"), None);
        assert_eq!(bucket_of_host("127.0.0.1"), None);
    }
}
