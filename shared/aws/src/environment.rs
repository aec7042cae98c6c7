//! The clients as Lambda's environment has them, made for a process whose first call is urgent: a Spot instance has two
//! minutes, and a burst of warnings starts functions by the hundred.
//!
//! Separate because the simulated account brings its own configuration instead.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::env_config::EnvConfigValue;
use aws_sdk_dynamodb::config::BehaviorVersion;
use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use aws_types::os_shim_internal::Env;
use aws_types::region::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
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
    /// Clients for what Lambda's environment says: Region, credentials, and endpoints where they are set.
    ///
    /// Without the chain of profiles, metadata and sign-on that the SDK can look through besides: Lambda has none of
    /// them, and it would be a twelfth of the program.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
    pub fn from_environment(roots: &TrustedRoots) -> Result<Self, Error> {
        Ok(Self::new(&configuration(Env::real(), roots)?))
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

fn configuration(env: Env, roots: &TrustedRoots) -> Result<SdkConfig, Error> {
    // Where it is set to something.
    let variable = |name: &str| env.get(name).ok().filter(|value| !value.is_empty());
    let required = |name: &str| {
        variable(name).ok_or_else(|| Error::Refused(format!("{name} is not set, as it is in Lambda's environment")))
    };
    let is_on = |name: &str| variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let credentials = Credentials::new(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        variable("AWS_SESSION_TOKEN"),
        None,
        "environment",
    );
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(required("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client(roots)?)
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .use_fips(is_on("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"))
        .service_config(Environment(env.clone()));
    let config = match variable("AWS_ENDPOINT_URL") {
        Some(url) => config.endpoint_url(url),
        None => config,
    };
    Ok(config.build())
}

/// What is set for one service alone, such as `AWS_ENDPOINT_URL_EC2`.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
#[derive(Debug)]
struct Environment(Env);

impl LoadServiceConfig for Environment {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let value = EnvConfigValue::new().env(key.env()).service_id(key.service_id());
        value.load(&self.0, None).map(|(value, _)| value.into_owned())
    }
}

/// Makes a request one that needs no permission and counts towards no quota of an operation's. AWS documents none;
/// DynamoDB's and EC2's endpoints answer this one, as tools that measure the distance to a Region rely on
/// (<https://github.com/mtojek/aws-closest-region>), and a refusal would leave the connection open just as well. To the
/// client the answer is an error, since it is not the operation's.
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

#[cfg(test)]
mod tests {
    use aws_smithy_types::base64;
    use sha2::{Digest, Sha256};

    use super::*;

    /// As Amazon Trust Services publish them: Amazon Root CA 1 to 4, Starfield Services Root Certificate Authority - G2.
    const FINGERPRINTS: [&str; 5] = [
        "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
        "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
        "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
        "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
        "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
    ];

    #[test]
    fn amazons_roots_are_those_that_amazon_publishes() {
        let text = std::str::from_utf8(AMAZON_ROOTS).unwrap();
        let found: Vec<String> = text
            .split("-----BEGIN CERTIFICATE-----")
            .skip(1)
            .map(|block| block.split("-----END CERTIFICATE-----").next().unwrap())
            .map(|body| base64::decode(body.split_whitespace().collect::<String>()).unwrap())
            .map(|der| Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect())
            .collect();
        assert_eq!(found, FINGERPRINTS);
    }

    const REQUIRED: [(&str, &str); 3] = [
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-west-1"),
    ];

    #[test]
    fn what_lambda_always_sets_is_required_and_named() {
        for (index, (name, _)) in REQUIRED.into_iter().enumerate() {
            let mut some = REQUIRED;
            some[index].1 = "";
            let error = configuration(Env::from_slice(&some), &TrustedRoots::Amazon).unwrap_err();
            assert!(error.to_string().contains(&format!("{name} is not set")), "{error}");
        }
    }

    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html>
    #[test]
    fn endpoints_are_as_the_environment_says() {
        let read = |more: &[(&str, &str)]| {
            let config = configuration(Env::from_slice(&[&REQUIRED, more].concat()), &TrustedRoots::Amazon).unwrap();
            let url = config.endpoint_url().map(str::to_owned);
            (config.use_fips(), config.use_dual_stack(), url)
        };
        let off = Some(false);
        assert_eq!(read(&[]), (off, off, None));
        for (value, is_on) in [("true", true), ("True", true), ("false", false), ("", false)] {
            assert_eq!(
                read(&[("AWS_USE_FIPS_ENDPOINT", value)]),
                (Some(is_on), off, None),
                "{value}"
            );
            assert_eq!(
                read(&[("AWS_USE_DUALSTACK_ENDPOINT", value)]),
                (off, Some(is_on), None),
                "{value}"
            );
        }
        let url = "http://localhost:4566";
        assert_eq!(read(&[("AWS_ENDPOINT_URL", url)]), (off, off, Some(url.to_owned())));
        assert_eq!(read(&[("AWS_ENDPOINT_URL", "")]), (off, off, None));
    }

    #[test]
    fn roots_that_cannot_be_read_are_named() {
        let error = http_client(&TrustedRoots::File("/no/such/roots.pem".into())).unwrap_err();
        assert!(
            error.to_string().contains("TRUSTED_ROOTS: reading /no/such/roots.pem"),
            "{error}"
        );
        assert!(http_client(&TrustedRoots::Amazon).is_ok());
    }

    #[test]
    fn a_request_for_nothing_keeps_the_endpoint_and_carries_nothing() {
        let mut request = HttpRequest::new(SdkBody::from("{}"));
        request.set_uri("https://dynamodb.us-east-1.amazonaws.com/").unwrap();
        request.set_method("POST").unwrap();
        request.headers_mut().insert("content-length", "2");
        request
            .headers_mut()
            .insert("x-amz-target", "DynamoDB_20120810.DescribeEndpoints");
        ask_for_nothing(&mut request);
        assert_eq!(request.uri(), "https://dynamodb.us-east-1.amazonaws.com/ping");
        assert_eq!(request.method(), "GET");
        assert_eq!(request.body().bytes(), Some(&[][..]));
        assert_eq!(request.headers().len(), 0);
    }
}
