//! cargo-lambda's local endpoint: `cargo lambda watch` compiles a function when it is invoked there, and again when its
//! code changes.
//!
//! Separate because the function's process is cargo-lambda's own: nothing of it is known here but its answer.

use std::net::SocketAddr;

use aws::invocation::Invocation;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::lambda::{ANSWER_BYTES_MAX, failed, reported};

/// A function behind the endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where `cargo lambda watch` listens.
    pub address: SocketAddr,
    /// The function's name there: its binary's.
    pub function: &'static str,
}

impl Endpoint {
    /// One attempt. cargo-lambda gives it a request id and a deadline of its own.
    pub async fn invoke(&self, invocation: &Invocation) -> Result<Value, Diagnostic> {
        match self.post(invocation.payload.to_string().into()).await {
            Ok(response) => answer(&response),
            Err(error) => {
                let message = format!(
                    "{} could not be invoked at http://{}, where `cargo lambda watch` should listen: {error}",
                    self.function, self.address
                );
                eprintln!("error: {message}");
                Err(failed("Endpoint.Unreachable", message))
            }
        }
    }

    async fn post(&self, payload: Bytes) -> Result<Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = async move { connection.await.ok() };
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/2015-03-31/functions/{}/invocations", self.function))
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(payload))?;
        let exchange = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        tokio::pin!(connection);
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            _ = &mut connection => exchange.await,
        }
    }
}

/// What cargo-lambda's answer says: 200 and the function's answer, 500 and the function's error, or a word of its own
/// on why there is neither.
// As crates/cargo-lambda-watch/src/trigger_router.rs and error.rs of cargo-lambda 1.9.2 have it. Lambda's own Invoke
// marks a function's error by a header instead.
fn answer(response: &Response<Bytes>) -> Result<Value, Diagnostic> {
    let body: Option<Value> = serde_json::from_slice(response.body()).ok();
    let is_error = response.headers().contains_key("x-amz-function-error");
    match body {
        Some(answer) if response.status() == StatusCode::OK && !is_error => Ok(answer),
        Some(error) if error["errorType"].is_string() => Err(reported(&error)),
        _ => {
            let text = String::from_utf8_lossy(response.body());
            let message = format!("cargo-lambda answered {}: {}", response.status(), text.trim());
            eprintln!("error: {message}");
            Err(failed("Endpoint.Answer", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};

    use chrono::{DateTime, Utc};
    use serde_json::json;

    use super::*;

    fn invoke(address: SocketAddr) -> Result<Value, Diagnostic> {
        let endpoint = Endpoint {
            address,
            function: "write-report",
        };
        let invocation = Invocation {
            request_id: "1".into(),
            deadline: DateTime::<Utc>::MAX_UTC,
            payload: json!({"id": 7}),
        };
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_io().enable_time().build().unwrap();
        runtime.block_on(endpoint.invoke(&invocation))
    }

    /// Answers one request, and returns what the client asked and what it made of the answer.
    fn with_answer(status: &str, body: &str) -> (String, Result<Value, Diagnostic>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            while !asked.ends_with("{\"id\":7}") {
                let mut bytes = [0; 1024];
                let count = stream.read(&mut bytes).unwrap();
                asked.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        });
        let result = invoke(address);
        (server.join().unwrap(), result)
    }

    #[test]
    fn an_answer_is_the_functions_and_an_error_keeps_its_type() {
        let (asked, answer) = with_answer("200 OK", r#"{"outcome":"reported"}"#);
        assert!(asked.starts_with("POST /2015-03-31/functions/write-report/invocations HTTP/1.1"));
        assert_eq!(answer.unwrap(), json!({"outcome": "reported"}));
        let body = r#"{"errorType":"Aws","errorMessage":"starting the experiment"}"#;
        let (_, answer) = with_answer("500 Internal Server Error", body);
        assert_eq!(answer.unwrap_err(), failed("Aws", "starting the experiment".into()));
    }

    #[test]
    fn what_is_neither_says_so() {
        let (_, answer) = with_answer("404 Not Found", r#"{"title":"Missing function"}"#);
        assert!(answer.unwrap_err().error_message.contains("404 Not Found: {\"title\""));
        let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = nobody.local_addr().unwrap();
        drop(nobody);
        let error = invoke(address).unwrap_err();
        assert_eq!(error.error_type, "Endpoint.Unreachable");
        assert!(error.error_message.contains("cargo lambda watch"), "{error:?}");
    }
}
