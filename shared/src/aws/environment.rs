//! The clients as Lambda's environment has them, made for a process whose first call is urgent: a Spot instance has two
//! minutes, and a burst of warnings starts functions by the hundred.
//!
//! Separate because the simulated account brings its own configuration instead.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::body::SdkBody;
use tokio::time::timeout;

use super::Aws;
use crate::config::TrustedRoots;
use crate::error::Error;

/// The roots that AWS's own certificates go back to, in every Region but China's.
/// <https://www.amazontrust.com/repository/>
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// The longest that opening connections may hold up the start: Lambda ends an init of ten seconds.
const OPENING_MAX: Duration = Duration::from_secs(1);

impl Aws {
    /// Clients for what Lambda's environment says: Region, credentials, and `AWS_ENDPOINT_URL` where it is set.
    pub async fn from_environment(roots: &TrustedRoots) -> Result<Self, Error> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client(roots)?);
        // Lambda's credentials are there, and the chain that would look for others need not be built.
        if std::env::var_os("AWS_ACCESS_KEY_ID").is_some() {
            loader = loader.credentials_provider(EnvironmentVariableCredentialsProvider::new());
        }
        Ok(Self::new(&loader.load().await))
    }

    /// Opens the connections that a Spot warning's record needs. During init Lambda gives a whole CPU however little
    /// memory the function has, so a TLS handshake costs least there. Nobody waits for its success: what could not be
    /// opened now is opened by the first call.
    pub async fn open_connections(&self) {
        let dynamodb = self
            .dynamodb
            .describe_endpoints()
            .customize()
            .mutate_request(ask_for_nothing)
            .config_override(aws_sdk_dynamodb::config::Builder::new().retry_config(RetryConfig::disabled()))
            .send();
        let ec2 = self
            .ec2
            .describe_account_attributes()
            .customize()
            .mutate_request(ask_for_nothing)
            .config_override(aws_sdk_ec2::config::Builder::new().retry_config(RetryConfig::disabled()))
            .send();
        let opened = timeout(OPENING_MAX, async { tokio::join!(dynamodb, ec2) }).await;
        tracing::debug!(in_time = opened.is_ok(), "connections opened");
        self.calls.take();
    }
}

/// Makes a request one that any of AWS's endpoints answers, and that needs no permission and counts towards no quota: a
/// load balancer's question after its health. The client's answer is an error, since that is no answer of an operation's.
fn ask_for_nothing(request: &mut HttpRequest) {
    request.set_method("GET").ok();
    if let Some((origin, _)) = request.uri().rsplit_once('/') {
        let ping = format!("{origin}/ping");
        request.set_uri(ping).ok();
    }
    for of_the_body in ["content-length", "content-type", "x-amz-target"] {
        request.headers_mut().remove(of_the_body);
    }
    *request.body_mut() = SdkBody::empty();
}

/// The SDK's own HTTP client, but for what it trusts.
fn http_client(roots: &TrustedRoots) -> Result<SharedHttpClient, Error> {
    let store = match roots {
        TrustedRoots::System => TrustStore::default(),
        TrustedRoots::Amazon => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
        TrustedRoots::File(path) => {
            let pem = std::fs::read(path)
                .map_err(|error| Error::Refused(format!("TRUSTED_ROOTS: reading {}: {error}", path.display())))?;
            TrustStore::empty().with_pem_certificate(pem)
        }
    };
    let context = TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|error| Error::Refused(format!("TRUSTED_ROOTS: {error}")))?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .build_https())
}
