//! The SDK's way into the world: its HTTP client, with the account at the other end of the wire.
//!
//! Separate because this is the seam: everything above it is what runs on AWS.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use account::api::REGION;
use account::authorization;
use account::grants;
use account::wire::{self, Call, Service};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use aws_types::region::Region;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::Notify;

use crate::fault::Fate;
use crate::world::World;
use crate::world::{deployed, refusal, stale};

/// Milliseconds from the client to the account, and back again, at most.
const LATENCY_MS_MAX: u64 = 25;

/// The SDK's configuration for a caller in this world.
pub fn sdk_config(world: &World, caller: &str, died: Arc<Notify>) -> SdkConfig {
    let skew = world.lock().skew(caller);
    let connector = SharedHttpConnector::new(Connector {
        world: world.clone(),
        caller: caller.into(),
        died,
    });
    SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(Region::new(REGION))
        // No such host exists: what goes round this connector goes nowhere.
        .endpoint_url("http://us-sim-1.invalid")
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "simulated",
            "simulated",
            None,
            None,
            "local",
        )))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .time_source(world.clock.off_by(skew))
        .sleep_impl(TokioSleep::new())
        .build()
}

#[derive(Clone)]
struct Connector {
    world: World,
    caller: String,
    /// Told when the caller's process dies of a fault.
    died: Arc<Notify>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.send(request).await })
    }
}

impl Connector {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request
            .try_into_http1x()
            .map_err(|error| ConnectorError::user(error.into()))?;
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
        match carry(&self.world, &self.caller, http::Request::from_parts(parts, body)).await {
            Ok(response) => HttpResponse::try_from(response.map(SdkBody::from))
                .map_err(|error| ConnectorError::other(error.into(), None)),
            Err(Lost::Answer) => Err(ConnectorError::timeout("the answer was lost".into())),
            Err(Lost::Caller) => {
                // The process is gone: nothing comes back to it.
                self.died.notify_one();
                std::future::pending().await
            }
        }
    }
}

/// Why nothing comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The answer was lost.
    #[error("the answer was lost")]
    Answer,
    /// The caller has died.
    #[error("the caller has died")]
    Caller,
}

/// Takes a function's request to the account, and the answer back: with latency, and with what goes wrong on the way.
pub async fn carry(world: &World, caller: &str, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Lost> {
    latency(world, caller).await;
    let fate = world.lock().fate(world.clock.now(), caller, &request);
    let response = match fate {
        Fate::CrashBefore => return Err(Lost::Caller),
        Fate::RequestLost => return Err(Lost::Answer),
        Fate::Refused(how) => refusal::answer(world, caller, &request, how),
        Fate::Garbled => {
            let of_an_object = wire::decode(&request).is_ok_and(|call| call.service == Service::S3);
            refusal::garbled(answer(world, caller, request).await, of_an_object)
        }
        Fate::Answered if world.lock().has_stale_reads() => {
            let read = stale::read(&request);
            let fresh = answer(world, caller, request).await;
            match read {
                Some(read) if fresh.status().is_success() => {
                    world.lock().perhaps_stale(world.clock.now(), caller, read, fresh)
                }
                _ => fresh,
            }
        }
        Fate::Answered | Fate::AnswerLost | Fate::CrashAfter => answer(world, caller, request).await,
    };
    match fate {
        Fate::CrashAfter => return Err(Lost::Caller),
        Fate::AnswerLost => return Err(Lost::Answer),
        _ => {}
    }
    latency(world, caller).await;
    Ok(response)
}

async fn latency(world: &World, caller: &str) {
    let milliseconds = world.lock().way(caller).u64(2..=LATENCY_MS_MAX);
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// Answers one HTTP request of a client's, whoever it is.
pub async fn answer(world: &World, caller: &str, request: http::Request<Bytes>) -> http::Response<Bytes> {
    let now = world.clock.now();
    let decoded = wire::decode(&request);
    let response = match decoded {
        Ok(call) if call.service == Service::S3 => answer_s3(world, caller, &call, request).await,
        Ok(call) if deployed::has(&call.service) => deployed::answer(world, caller, &call).await,
        Ok(call) => world.lock().account.answer(now, caller, &call, request.body()),
        Err(refusal) => world.lock().account.refuse(now, caller, &refusal),
    };
    world.changed();
    response
}

async fn answer_s3(
    world: &World,
    caller: &str,
    call: &Call,
    mut request: http::Request<Bytes>,
) -> http::Response<Bytes> {
    let now = world.clock.now();
    let (service, asked, refusals) = {
        let mut state = world.lock();
        let account = &mut state.account;
        account.advance(now);
        account.s3.set_now(now);
        let mut asked = authorization::of_s3(&account.s3, call, &request);
        let refusals = account.grants.ask(caller, &mut asked);
        drop(state);
        (world.s3(), asked, refusals)
    };
    let response = match refusals.first() {
        // Of several objects each is deleted, or refused, by itself.
        Some(_) if call.operation == "DeleteObjects" => {
            request.extensions_mut().insert(refusals);
            service.call(request).await
        }
        Some(refusal) => service.refuse(request.method(), &grants::refused(&call.service, refusal)),
        None => service.call(request).await,
    };
    note(world, caller, call, asked, &response);
    response
}

fn note(world: &World, caller: &str, call: &Call, asked: Vec<Value>, response: &http::Response<Bytes>) {
    let status = response.status();
    let error = (!status.is_success()).then(|| status.as_str().to_owned());
    let now = world.clock.now();
    let call = Call {
        service: call.service.clone(),
        operation: call.operation.clone(),
        input: Value::Null,
    };
    world.lock().account.note_call(now, caller, &call, asked, error);
}

#[cfg(test)]
mod tests;
