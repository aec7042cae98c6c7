//! Lambda's Runtime API for one process: hands out an event when it is told to, and stamps what the process asks and
//! answers. Apart from the endpoint because this side is Lambda's, and plain HTTP.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::clock::{self, Nanos};

/// What a process told Lambda.
enum Told {
    /// It asks for an event.
    Next(Nanos),
    /// It answered.
    Response(Nanos),
    /// It failed.
    Error(String),
}

impl Told {
    /// For whoever expected something else.
    fn unexpected(self) -> anyhow::Error {
        match self {
            Told::Next(_) => anyhow!("it asked for an event and should have answered one"),
            Told::Response(_) => anyhow!("it answered and should have asked for an event"),
            Told::Error(words) => anyhow!("it failed: {words}"),
        }
    }
}

/// One invocation, as Lambda sees it.
#[derive(Debug, Clone, Copy)]
pub struct Invoked {
    /// When the event was handed over.
    pub sent: Nanos,
    /// When the answer came.
    pub answered: Nanos,
}

/// The API for one process.
pub struct RuntimeApi {
    /// Host and port, as `AWS_LAMBDA_RUNTIME_API` has them.
    pub address: String,
    told: mpsc::UnboundedReceiver<Told>,
    events: mpsc::UnboundedSender<Bytes>,
    server: JoinHandle<()>,
}

/// The side of the channels that the connections hold.
struct Wire {
    tell: mpsc::UnboundedSender<Told>,
    events: Mutex<mpsc::UnboundedReceiver<Bytes>>,
}

impl RuntimeApi {
    /// Listens on a free port.
    pub async fn serve() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (tell, told) = mpsc::unbounded_channel();
        let (events, waiting) = mpsc::unbounded_channel();
        let wire = Arc::new(Wire {
            tell,
            events: Mutex::new(waiting),
        });
        let server = tokio::spawn(accept(listener, wire));
        Ok(Self {
            address,
            told,
            events,
            server,
        })
    }

    /// Waits until the process asks for an event, and says when it did.
    pub async fn asked(&mut self) -> Result<Nanos> {
        match self.told.recv().await.context("the Runtime API ended")? {
            Told::Next(at) => Ok(at),
            other => Err(other.unexpected()),
        }
    }

    /// Hands over an event to a process that has asked, and waits for the answer.
    pub async fn invoke(&mut self, event: &Bytes) -> Result<Invoked> {
        let sent = clock::now();
        self.events.send(event.clone()).context("the Runtime API ended")?;
        match self.told.recv().await.context("the Runtime API ended")? {
            Told::Response(answered) => Ok(Invoked { sent, answered }),
            other => Err(other.unexpected()),
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, wire: Arc<Wire>) {
    while let Ok((stream, _)) = listener.accept().await {
        let wire = Arc::clone(&wire);
        tokio::spawn(async move {
            if stream.set_nodelay(true).is_err() {
                return;
            }
            let service = service_fn(async |request| Ok::<_, Infallible>(respond(&wire, request).await));
            let _ended = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn respond(wire: &Wire, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let came = clock::now();
    let path = request.uri().path().to_owned();
    if path.ends_with("/invocation/next") {
        // Nobody listens any more when the process is being ended.
        let _unheard = wire.tell.send(Told::Next(came));
        return match wire.events.lock().await.recv().await {
            Some(event) => event_response(event),
            None => empty(StatusCode::GONE),
        };
    }
    let body = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let told = if path.ends_with("/response") {
        Told::Response(came)
    } else {
        Told::Error(format!("{path}: {}", String::from_utf8_lossy(&body)))
    };
    let _unheard = wire.tell.send(told);
    empty(StatusCode::ACCEPTED)
}

fn event_response(event: Bytes) -> Response<Full<Bytes>> {
    let deadline = clock::unix_milliseconds() + 60_000;
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        .header("lambda-runtime-deadline-ms", deadline)
        .header(
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:123456789012:function:measured",
        )
        .header(
            "lambda-runtime-trace-id",
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
        )
        .body(Full::new(event))
        .expect("these headers are valid")
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}
