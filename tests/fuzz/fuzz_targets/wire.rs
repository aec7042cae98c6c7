//! Whatever a client sends, the wire layer reads a call from it or refuses it in the envelope of its protocol.
//!
//! The input is an HTTP/1.1 request as it comes from a socket, so that recorded requests are seeds.

#![no_main]

use account::api::ApiError;
use account::s3::plain;
use account::wire::{Service, decode, encode, refusal};
use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use libfuzzer_sys::fuzz_target;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

/// As many as hyper takes.
const HEADERS_MAX: usize = 100;

fuzz_target!(|bytes: &[u8]| {
    let Some(request) = request(bytes) else {
        return;
    };
    is_an_error(&refusal(&request, ApiError::client("IncompleteBody", "cut")));
    match decode(&request) {
        Err(refused) => is_an_error(&refused),
        Ok(call) => {
            assert!(
                !matches!(call.service, Service::Unknown(_)),
                "nothing is there to answer {call:?}"
            );
            assert!(!call.operation.is_empty());
            assert!(call.input.is_object() || call.input.is_null(), "{call:?}");
            // The account has none of these operations: what a client called it must not break the envelope.
            let missing = ApiError::not_implemented(call.service.iam_prefix(), &call.operation);
            has_the_shape_of(&call.service, &encode(&call.service, &call.operation, Err(missing), 1));
            if matches!(call.service, Service::Emr | Service::Fis | Service::Logs) {
                let answer = encode(&call.service, &call.operation, Ok(call.input.clone()), 1);
                let echo: Value = serde_json::from_slice(answer.body()).expect("what came as JSON goes as JSON");
                assert_eq!(echo, call.input);
            }
            if call.service == Service::S3
                && let Err(error) = plain(request)
            {
                has_the_shape_of(&Service::S3, &encode(&Service::S3, "?", Err(error), 1));
            }
        }
    }
});

/// The request that a server reads from these bytes; the body is what follows the head.
fn request(bytes: &[u8]) -> Option<Request<Bytes>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(end) = head.parse(bytes).ok()? else {
        return None;
    };
    let method = Method::from_bytes(head.method?.as_bytes()).ok()?;
    let mut request = Request::builder().method(method).uri(head.path?.parse::<Uri>().ok()?);
    for header in head.headers {
        request = request.header(header.name, header.value);
    }
    request.body(Bytes::copy_from_slice(&bytes[end..])).ok()
}

fn is_an_error(refused: &account::wire::Refusal) {
    let answer = encode(&refused.service, "?", Err(refused.error.clone()), 1);
    assert_eq!(answer.status().as_u16(), refused.error.status);
    has_the_shape_of(&refused.service, &answer);
}

/// A client of this service finds status, code and message where its protocol has them.
fn has_the_shape_of(service: &Service, answer: &Response<Bytes>) {
    assert!(answer.status().as_u16() >= 400, "{answer:?}");
    let kind = answer.headers()["content-type"]
        .to_str()
        .expect("a content type is ASCII");
    let (code, message) = if kind.contains("xml") {
        let elements = elements(answer.body());
        (elements.0, elements.1)
    } else {
        let body: Value = serde_json::from_slice(answer.body()).expect("an error's body is JSON");
        let code = match answer.headers().get("x-amzn-errortype") {
            Some(code) => code.to_str().expect("a code is ASCII").to_owned(),
            None => body["__type"].as_str().unwrap_or("").to_owned(),
        };
        (code, body["message"].as_str().unwrap_or("").to_owned())
    };
    assert!(!code.is_empty() && !message.is_empty(), "{service:?}: {answer:?}");
}

/// The text of `Code` and of `Message`, of a body that is well-formed XML.
fn elements(body: &[u8]) -> (String, String) {
    let mut reader = Reader::from_reader(body);
    let (mut open, mut code, mut message) = (Vec::new(), String::new(), String::new());
    loop {
        match reader.read_event().expect("the XML is well-formed") {
            Event::Start(element) => open.push(element.name().as_ref().to_vec()),
            Event::End(_) => drop(open.pop()),
            Event::Text(text) => {
                let text = text.decode().expect("the text is UTF-8");
                assert!(
                    !text.contains(['\u{0}', '\u{1}', '\u{fffe}']),
                    "XML cannot hold {text:?}"
                );
                match open.last().map(Vec::as_slice) {
                    Some(b"Code") => code.push_str(&text),
                    Some(b"Message") => message.push_str(&text),
                    _ => {}
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty(), "an element is open at the end");
    (code, message)
}
