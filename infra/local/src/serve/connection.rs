//! HTTP/1.1 over TCP: reads whole requests within limits, and hands them to the account as the SDK's connector does.
//!
//! Separate because nothing else knows of sockets. What is no request of AWS's is the page at `/` and the clock at `/-/`,
//! a path that can be no bucket's.

use std::sync::Arc;
use std::time::Duration;

use account::api::ApiError;
use account::wire;
use anyhow::Context;
use bytes::Bytes;
use form_urlencoded::parse;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::page;
use crate::gate::{Answering, Gate};
use crate::world::World;
use crate::world::connector::{self, Lost};

/// Larger bodies are refused: an account in memory is no place for them.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// More clients wait until others are done.
const CONNECTIONS_MAX: usize = 512;

/// The longest that a client can wait at once, in virtual seconds.
const WAIT_SECONDS_MAX: f64 = 24.0 * 3600.0;

/// How calls over TCP are noted.
const CALLER: &str = "client";

/// What serves the account.
#[derive(Clone)]
pub struct Server {
    world: World,
    gate: Gate,
    /// The real Spark that its steps run on, if one does.
    spark: Option<String>,
}

impl Server {
    /// Serves this world, at the gate's pace.
    pub fn new(world: World, gate: Gate, spark: Option<String>) -> Self {
        Self { world, gate, spark }
    }

    /// Accepts connections for ever.
    pub async fn run(self, listener: TcpListener) -> anyhow::Result<std::process::ExitCode> {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let permit = connections
                .clone()
                .acquire_owned()
                .await
                .context("nobody closes the semaphore")?;
            // A client that has gone already is no reason to stop.
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(self.clone().speak(stream, permit));
            }
        }
    }

    async fn speak(self, stream: TcpStream, _permit: OwnedSemaphorePermit) {
        // Answers are small, and clients wait for each.
        stream.set_nodelay(true).ok();
        let service = service_fn(move |request| {
            let server = self.clone();
            async move { server.respond(request).await }
        });
        // An error is the client's: it closed the connection, or what it sent is not HTTP.
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await
            .ok();
    }

    /// An error ends the connection without an answer.
    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Lost> {
        let answering = self.gate.answer();
        let mut response = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/") if is_unsigned(&request) => {
                page::page(&self.world, self.spark.as_deref())
            }
            (_, path) if path.starts_with("/-/") => self.clock(&request, &answering).await,
            _ => self.answer(request, &answering).await?,
        };
        let date = self.world.clock.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = HeaderValue::from_str(&date) {
            response.headers_mut().insert(header::DATE, date);
        }
        Ok(response.map(Full::new))
    }

    async fn answer(&self, request: Request<Incoming>, answering: &Answering) -> Result<Response<Bytes>, Lost> {
        let (parts, body) = request.into_parts();
        let body = match read(body).await {
            Ok(body) => body,
            Err(error) => {
                let refusal = wire::refusal(&Request::from_parts(parts, Bytes::new()), error);
                let now = self.world.clock.now();
                let mut response = self.world.lock().account.refuse(now, CALLER, &refusal);
                // What is left of the body must not be read as the next request.
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
                return Ok(response);
            }
        };
        let request = Request::from_parts(parts, body);
        if let Some(function) = self.function(&request) {
            let _on_its_way = answering.wait();
            return connector::carry(&self.world, &function, request).await;
        }
        // The client waits for the function, which has waits of its own.
        let _waiting = is_invocation(&request).then(|| answering.wait());
        Ok(connector::answer(&self.world, CALLER, request).await)
    }

    /// The function that calls, which signs with its name as its access key.
    fn function(&self, request: &Request<Bytes>) -> Option<String> {
        let authorization = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
        let key = authorization.split_once("Credential=")?.1.split_once('/')?.0;
        let state = self.world.lock();
        state
            .template
            .function_named(key)
            .map(|(_, function)| function.name.clone())
    }

    /// `GET /-/now`, and `POST /-/sleep?seconds=90`, which answers when so much virtual time has passed.
    async fn clock(&self, request: &Request<Incoming>, answering: &Answering) -> Response<Bytes> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/-/now") => {}
            (&Method::POST, "/-/sleep") => {
                let query = request.uri().query().unwrap_or("");
                let seconds = parse(query.as_bytes()).find(|(name, _)| name == "seconds");
                let seconds = seconds.and_then(|(_, value)| value.parse().ok());
                let Some(seconds) = seconds.filter(|seconds| (0.0..=WAIT_SECONDS_MAX).contains(seconds)) else {
                    return plain(
                        StatusCode::BAD_REQUEST,
                        "seconds must be a number from 0 to 86400\n".into(),
                    );
                };
                let _waiting = answering.wait();
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            }
            _ => {
                return plain(
                    StatusCode::NOT_FOUND,
                    "there are GET /-/now and POST /-/sleep?seconds=90\n".into(),
                );
            }
        }
        plain(StatusCode::OK, format!("{}\n", self.world.clock.now().to_rfc3339()))
    }
}

/// The whole body; more than the limit is refused before it is read, where the client says how long it is.
async fn read(body: Incoming) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("Your proposed upload exceeds the maximum allowed size of {BODY_BYTES_MAX} bytes");
        ApiError::with_status(413, "EntityTooLarge", message)
    };
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(ApiError::client(
            "IncompleteBody",
            format!("the body could not be read: {error}"),
        )),
    }
}

/// Nothing says that AWS is meant: a browser.
fn is_unsigned<T>(request: &Request<T>) -> bool {
    let headers = request.headers();
    !headers.contains_key(header::AUTHORIZATION)
        && !headers.contains_key("x-amz-target")
        && request.uri().query().is_none()
}

/// Invoke, when its answer is waited for.
fn is_invocation(request: &Request<Bytes>) -> bool {
    let path = request.uri().path();
    let kind = request
        .headers()
        .get("x-amz-invocation-type")
        .map(HeaderValue::as_bytes);
    path.starts_with("/2015-03-31/functions/")
        && path.ends_with("/invocations")
        && matches!(kind, None | Some(b"RequestResponse"))
}

fn plain(status: StatusCode, text: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
