//! AWS as the measured programs see it: two TLS listeners, since EC2's host is not DynamoDB's and costs a handshake of its
//! own, that stamp when each connection came and when each call came and was answered.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::answers;
use crate::clock::{self, Nanos};

/// One call. The stamps are on the safe side: the call is a little longer than they say, never shorter.
#[derive(Debug, Clone)]
pub struct Call {
    /// `UpdateItem`, `DescribeInstances`, …
    pub operation: String,
    /// When it came: its head, or its connection if it is the first on one.
    pub begun: Nanos,
    /// When its answer was handed to the socket.
    pub answered: Nanos,
}

/// What one process did.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// When each connection was accepted.
    pub connections: Vec<Nanos>,
    /// TLS handshakes that were completed.
    pub handshakes: usize,
    /// The calls, in the order of their answers.
    pub calls: Vec<Call>,
}

/// The listeners, and what they saw since they were last asked.
#[derive(Debug)]
pub struct Endpoint {
    /// EC2's address.
    pub ec2: String,
    /// Everybody else's.
    pub others: String,
    traffic: Arc<Mutex<Traffic>>,
}

impl Endpoint {
    /// Listens on two free ports.
    pub async fn serve(config: Arc<ServerConfig>) -> Result<Self> {
        let traffic = Arc::new(Mutex::new(Traffic::default()));
        let mut addresses = Vec::new();
        for _ in 0..2 {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            addresses.push(format!("https://localhost:{}", listener.local_addr()?.port()));
            tokio::spawn(accept(
                listener,
                TlsAcceptor::from(Arc::clone(&config)),
                Arc::clone(&traffic),
            ));
        }
        let others = addresses.pop().expect("two were made");
        let ec2 = addresses.pop().expect("two were made");
        Ok(Self { ec2, others, traffic })
    }

    /// What came since the last time.
    pub fn take(&self) -> Traffic {
        std::mem::take(&mut *lock(&self.traffic))
    }
}

/// A panic elsewhere ends the run anyway; the stamps are whole.
fn lock(traffic: &Mutex<Traffic>) -> std::sync::MutexGuard<'_, Traffic> {
    traffic.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, traffic: Arc<Mutex<Traffic>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let accepted = clock::now();
        lock(&traffic).connections.push(accepted);
        tokio::spawn(converse(stream, accepted, acceptor.clone(), Arc::clone(&traffic)));
    }
}

/// One connection. It ends with an error when its process is killed, which is how all of them end.
async fn converse(stream: TcpStream, accepted: Nanos, acceptor: TlsAcceptor, traffic: Arc<Mutex<Traffic>>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => return eprintln!("a handshake failed: {error}"),
    };
    lock(&traffic).handshakes += 1;
    let first = Mutex::new(Some(accepted));
    let service = service_fn(async |request: Request<Incoming>| {
        let came = clock::now();
        let begun = first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or(came);
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let answer = answers::answer(&parts, &body);
        let mut response = Response::new(Full::new(Bytes::from(answer.body)));
        let content_type = hyper::header::HeaderValue::from_static(answer.content_type);
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, content_type);
        let operation = answer.operation;
        let answered = clock::now();
        lock(&traffic).calls.push(Call {
            operation,
            begun,
            answered,
        });
        Ok::<_, Infallible>(response)
    });
    let _ended = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
