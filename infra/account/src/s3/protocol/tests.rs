//! The protocol as clients speak it, polled once: nothing here may wait.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};

use super::super::Store;
use super::{Service, service};
use crate::api::Time;

fn call(service: &Service, request: http::request::Builder, body: impl Into<Bytes>) -> Response<Bytes> {
    let request = request.header("host", "localhost").body(body.into()).unwrap();
    let mut future = pin!(service.call(request));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => response,
        Poll::Pending => panic!("S3 waited for something"),
    }
}

fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

fn started() -> (Store, Service) {
    let store = Store::new();
    store.set_now(Time::from_timestamp(1_800_000_000, 0).unwrap());
    store.create_bucket("bucket");
    (store.clone(), service(store))
}

#[test]
fn an_object_comes_back_as_it_was_put_with_the_virtual_time() {
    let (_, service) = started();
    let put = Request::put("/bucket/a%20key")
        .header("content-type", "text/plain")
        .header("x-amz-meta-a", "1");
    let put = call(&service, put, "hello");
    assert_eq!(put.status(), 200, "{}", text(&put));
    let get = call(&service, Request::get("/bucket/a%20key"), "");
    assert_eq!(get.body(), "hello");
    assert_eq!(get.headers()["content-type"], "text/plain");
    assert_eq!(get.headers()["x-amz-meta-a"], "1");
    assert_eq!(get.headers()["last-modified"], "Fri, 15 Jan 2027 08:00:00 GMT");
    assert_eq!(get.headers()["etag"], put.headers()["etag"]);
    let head = call(&service, Request::head("/bucket/a%20key"), "");
    assert_eq!(
        (
            head.status().as_u16(),
            head.headers()["content-length"].to_str().unwrap()
        ),
        (200, "5")
    );
    assert!(head.body().is_empty());
}

#[test]
fn a_signature_of_any_date_is_accepted() {
    let (_, service) = started();
    let request = Request::put("https://bucket.s3.us-sim-1.amazonaws.com/k?x-id=PutObject")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AK/20490101/us-sim-1/s3/aws4_request, SignedHeaders=host, Signature=00",
        )
        .header("x-amz-date", "20490101T000000Z")
        .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("x-amz-decoded-content-length", "5")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .header("x-amz-sdk-checksum-algorithm", "CRC32");
    let put = call(
        &service,
        request,
        "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
    );
    assert_eq!(put.status(), 200, "{}", text(&put));
    assert_eq!(put.headers()["x-amz-checksum-crc32"], "NhCmhg==");
    let get = call(
        &service,
        Request::get("/bucket/k").header("x-amz-checksum-mode", "ENABLED"),
        "",
    );
    assert_eq!(get.body(), "hello");
    assert_eq!(get.headers()["x-amz-checksum-crc32"], "NhCmhg==");
}

#[test]
fn a_wrong_checksum_is_a_bad_digest() {
    let (_, service) = started();
    let put = call(
        &service,
        Request::put("/bucket/k").header("x-amz-checksum-crc32", "AAAAAA=="),
        "hello",
    );
    assert_eq!(put.status(), 400);
    assert!(text(&put).contains("<Code>BadDigest</Code>"));
}

#[test]
fn conditions_answer_412_and_304() {
    let (_, service) = started();
    let absent = || Request::put("/bucket/k").header("if-none-match", "*");
    let first = call(&service, absent(), "1");
    assert_eq!(first.status(), 200);
    let second = call(&service, absent(), "2");
    assert_eq!(second.status(), 412);
    assert!(text(&second).contains("<Code>PreconditionFailed</Code>"));
    let etag = first.headers()["etag"].clone();
    let get = call(
        &service,
        Request::get("/bucket/k").header("if-none-match", etag.clone()),
        "",
    );
    assert_eq!((get.status().as_u16(), get.body().len()), (304, 0));
    let get = call(&service, Request::get("/bucket/k").header("if-match", "\"other\""), "");
    assert_eq!(get.status(), 412);
    assert_eq!(
        call(&service, Request::put("/bucket/k").header("if-match", etag), "2").status(),
        200
    );
}

#[test]
fn ranges_give_parts() {
    let (_, service) = started();
    call(&service, Request::put("/bucket/k"), "0123456789");
    let get = |range: &str| call(&service, Request::get("/bucket/k").header("range", range), "");
    let part = get("bytes=2-4");
    assert_eq!((part.status().as_u16(), part.body().as_ref()), (206, b"234".as_ref()));
    assert_eq!(part.headers()["content-range"], "bytes 2-4/10");
    assert_eq!(get("bytes=-3").body(), "789");
    assert_eq!(get("bytes=7-").body(), "789");
    let beyond = get("bytes=10-");
    assert_eq!(beyond.status(), 416);
    assert!(text(&beyond).contains("<Code>InvalidRange</Code>"));
}

#[test]
fn missing_things_have_s3s_own_errors() {
    let (_, service) = started();
    let error = |request: http::request::Builder| {
        let response = call(&service, request, "x");
        (response.status().as_u16(), text(&response).to_owned())
    };
    assert!(error(Request::get("/bucket/none")).1.contains("<Code>NoSuchKey</Code>"));
    let (status, body) = error(Request::put("/nowhere/k"));
    assert_eq!(status, 404);
    assert!(body.contains("<Code>NoSuchBucket</Code>"), "{body}");
    assert_eq!(error(Request::head("/bucket/none")), (404, String::new()));
    assert_eq!(error(Request::head("/bucket")).0, 200);
    assert_eq!(error(Request::head("/nowhere")).0, 404);
}

#[test]
fn a_listing_goes_on_where_its_token_says() {
    let (_, service) = started();
    for key in ["p/a&b", "p/b", "p/c", "q"] {
        call(
            &service,
            Request::put(format!("/bucket/{}", key.replace('&', "%26"))),
            "x",
        );
    }
    let page = call(&service, Request::get("/bucket?list-type=2&prefix=p%2F&max-keys=2"), "");
    let page = text(&page);
    assert!(
        page.contains("<Key>p/a&amp;b</Key>") && page.contains("<Key>p/b</Key>"),
        "{page}"
    );
    assert!(
        page.contains("<IsTruncated>true</IsTruncated>") && page.contains("<KeyCount>2</KeyCount>"),
        "{page}"
    );
    let token = page
        .split("<NextContinuationToken>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    let uri = format!("/bucket?list-type=2&prefix=p%2F&max-keys=2&continuation-token={token}");
    let page = call(&service, Request::get(uri), "");
    assert!(
        text(&page).contains("<Key>p/c</Key>") && text(&page).contains("<IsTruncated>false<"),
        "{}",
        text(&page)
    );
    let bad = call(&service, Request::get("/bucket?list-type=2&continuation-token=xyz"), "");
    assert!(text(&bad).contains("<Code>InvalidArgument</Code>"));
    let old = call(&service, Request::get("/bucket?delimiter=%2F"), "");
    assert!(
        text(&old).contains("<Prefix>p/</Prefix>") && text(&old).contains("<Key>q</Key>"),
        "{}",
        text(&old)
    );
}

#[test]
fn many_keys_are_deleted_at_once_but_never_more_than_a_thousand() {
    let (store, service) = started();
    store.put("s3://bucket/a", "x", Time::UNIX_EPOCH).unwrap();
    let delete = |keys: usize| {
        let objects: String = (0..keys).map(|_| "<Object><Key>a</Key></Object>").collect();
        call(
            &service,
            Request::post("/bucket?delete"),
            format!("<Delete>{objects}</Delete>"),
        )
    };
    let refused = delete(1001);
    assert!(
        text(&refused).contains("<Code>MalformedXML</Code><Message>"),
        "{}",
        text(&refused)
    );
    assert_eq!(store.list("bucket", "").unwrap().len(), 1);
    let response = delete(2);
    assert_eq!(response.status(), 200, "{}", text(&response));
    assert!(
        text(&response).contains("<Deleted><Key>a</Key></Deleted>"),
        "{}",
        text(&response)
    );
    assert!(store.list("bucket", "").unwrap().is_empty());
}

#[test]
fn a_multipart_upload_and_a_copy_work_through_the_protocol() {
    let (store, service) = started();
    let created = call(&service, Request::post("/bucket/big?uploads"), "");
    let id = text(&created)
        .split("<UploadId>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned();
    let part = call(
        &service,
        Request::put(format!("/bucket/big?partNumber=1&uploadId={id}")),
        "only part",
    );
    let etag = part.headers()["etag"].to_str().unwrap().replace('"', "&quot;");
    let parts = call(&service, Request::get(format!("/bucket/big?uploadId={id}")), "");
    assert!(text(&parts).contains("<PartNumber>1</PartNumber>"), "{}", text(&parts));
    let xml = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let done = call(&service, Request::post(format!("/bucket/big?uploadId={id}")), xml);
    assert_eq!(done.status(), 200, "{}", text(&done));
    let copied = call(
        &service,
        Request::put("/bucket/copy").header("x-amz-copy-source", "/bucket/big"),
        "",
    );
    assert_eq!(copied.status(), 200, "{}", text(&copied));
    assert_eq!(store.get("s3://bucket/copy").unwrap().bytes, "only part");
}

#[test]
fn buckets_are_made_found_and_deleted_only_when_empty() {
    let (_, service) = started();
    assert_eq!(call(&service, Request::put("/other-bucket"), "").status(), 200);
    assert_eq!(call(&service, Request::put("/other-bucket"), "").status(), 409);
    let buckets = call(&service, Request::get("/"), "");
    assert!(
        text(&buckets).contains("<Name>other-bucket</Name>"),
        "{}",
        text(&buckets)
    );
    call(&service, Request::put("/other-bucket/k"), "x");
    assert_eq!(call(&service, Request::delete("/other-bucket"), "").status(), 409);
    assert_eq!(call(&service, Request::delete("/other-bucket/k"), "").status(), 204);
    assert_eq!(call(&service, Request::delete("/other-bucket"), "").status(), 204);
    let location = call(&service, Request::get("/bucket?location"), "");
    assert!(text(&location).contains("us-sim-1"), "{}", text(&location));
    assert_eq!(call(&service, Request::get("/bucket?versioning"), "").status(), 200);
}
