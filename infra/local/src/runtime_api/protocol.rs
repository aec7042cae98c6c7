//! The Runtime API's HTTP: a runtime's requests, each with the way to answer it.
//!
//! Separate because it only reads and writes; what a request means depends on where the environment stands.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::convert::Infallible;

use aws::invocation::Invocation;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::lambda::ANSWER_BYTES_MAX;

/// An answer to a runtime.
pub(super) type Reply = Response<Full<Bytes>>;

/// What a runtime asks.
#[derive(Debug)]
pub(super) enum What {
    /// It is ready for an invocation.
    Next,
    /// An invocation's answer.
    Response {
        /// The invocation.
        request_id: String,
        /// The function's answer.
        body: Bytes,
    },
    /// An invocation's error.
    Error {
        /// The invocation.
        request_id: String,
        /// What went wrong, as JSON.
        body: Bytes,
    },
    /// It could not begin.
    InitError {
        /// What went wrong, as JSON.
        body: Bytes,
    },
}

/// A runtime's request.
#[derive(Debug)]
pub(super) struct Ask {
    /// What it asks.
    pub what: What,
    /// Takes the answer, which the runtime waits for.
    pub reply: oneshot::Sender<Reply>,
}

/// Answers on this listener, for ever.
pub(super) async fn serve(listener: TcpListener, asks: mpsc::Sender<Ask>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        stream.set_nodelay(true).ok();
        let asks = asks.clone();
        let service = service_fn(move |request| {
            let asks = asks.clone();
            async move { Ok::<_, Infallible>(answer(request, &asks).await) }
        });
        connections.spawn(async move {
            // The process has gone, or speaks no HTTP: its environment hears of the one, and waits for the other.
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}

async fn answer(request: Request<Incoming>, asks: &mpsc::Sender<Ask>) -> Reply {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("Exceeded maximum allowed payload size ({ANSWER_BYTES_MAX} bytes).");
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message);
        }
        Err(error) => return refusal(StatusCode::BAD_REQUEST, "InvalidRequest", &error.to_string()),
    };
    let Some(what) = read(&head.method, head.uri.path(), body) else {
        return refusal(StatusCode::NOT_FOUND, "NotFound", "The Runtime API has no such path.");
    };
    let (reply, replied) = oneshot::channel();
    if asks.send(Ask { what, reply }).await.is_err() {
        return refusal(StatusCode::FORBIDDEN, "Forbidden", "The environment has ended.");
    }
    let ended = |_| refusal(StatusCode::FORBIDDEN, "Forbidden", "The environment has ended.");
    replied.await.unwrap_or_else(ended)
}

fn read(method: &Method, path: &str, body: Bytes) -> Option<What> {
    let path = path.strip_prefix("/2018-06-01/runtime/")?;
    let parts: Vec<&str> = path.split('/').collect();
    match (method, parts.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => Some(What::Next),
        (&Method::POST, ["invocation", request_id, "response"]) => Some(What::Response {
            request_id: (*request_id).to_owned(),
            body,
        }),
        (&Method::POST, ["invocation", request_id, "error"]) => Some(What::Error {
            request_id: (*request_id).to_owned(),
            body,
        }),
        (&Method::POST, ["init", "error"]) => Some(What::InitError { body }),
        _ => None,
    }
}

/// The invocation, as `next` answers it.
pub(super) fn event(arn: &str, invocation: &Invocation) -> Reply {
    let id: String = invocation
        .request_id
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(24)
        .collect();
    let trace = format!("Root=1-{:08x}-{id:0>24};Sampled=0", invocation.deadline.timestamp());
    let mut response = Response::new(Full::new(Bytes::from(invocation.payload.to_string())));
    for (name, value) in [
        ("lambda-runtime-aws-request-id", invocation.request_id.clone()),
        (
            "lambda-runtime-deadline-ms",
            invocation.deadline.timestamp_millis().to_string(),
        ),
        ("lambda-runtime-invoked-function-arn", arn.to_owned()),
        ("lambda-runtime-trace-id", trace),
        (header::CONTENT_TYPE.as_str(), "application/json".to_owned()),
    ] {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Taken; the runtime may go on.
pub(super) fn accepted() -> Reply {
    with_status(StatusCode::ACCEPTED, json!({"status": "OK"}).to_string())
}

/// Not taken, with the Runtime API's error body.
pub(super) fn refusal(status: StatusCode, kind: &str, message: &str) -> Reply {
    with_status(status, json!({"errorType": kind, "errorMessage": message}).to_string())
}

fn with_status(status: StatusCode, body: String) -> Reply {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}
