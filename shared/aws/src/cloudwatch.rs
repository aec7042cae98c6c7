//! The one call to CloudWatch: which of the alarms that stop an experiment are on.
//!
//! Separate because it is made by hand: a sixth of the SDK's crates for one call would cost every function's start. What
//! the crates do for a call, the SDK's own orchestrator does here: it signs, waits, retries and counts.

use std::time::Duration;

use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_sdk_ec2::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::AuthSchemeOptionResolverParams;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::region::SigningRegion;
use aws_types::{SdkConfig, SigningName};
use serde::Deserialize;
use serde_json::{Value, json};

use super::calls::CallCount;
use super::{Aws, required};
use crate::error::Error;

/// The operation, as the JSON protocol names it.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html>
const TARGET: &str = "GraniteServiceVersion20100801.DescribeAlarms";
/// Whoever asks waits with an experiment: attempts and time for an answer are few.
const ATTEMPTS_MAX: u32 = 3;
const SECONDS_MAX: u64 = 20;

/// What a call needs.
#[derive(Debug, Clone)]
pub(super) struct CloudWatch {
    pub config: SdkConfig,
    pub partition: RetryPartition,
    pub calls: CallCount,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    metric_alarms: Vec<Alarm>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Alarm {
    alarm_name: String,
    state_value: String,
}

impl Aws {
    /// The names of those of the alarms that are in ALARM. An error where CloudWatch does not know each of them.
    pub async fn alarms_on(&self, arns: &[&str]) -> Result<Vec<String>, Error> {
        const DOING: &str = "looking at the stop condition's alarm";
        let names: Vec<&str> = arns.iter().map(|arn| name(arn)).collect();
        let url = self.cloudwatch.endpoint(self.region()).await?;
        let call = self.cloudwatch.describe_alarms(&url, self.region())?;
        let asked = call.invoke(json!({"AlarmNames": names}).to_string());
        let answer: Answer = match tokio::time::timeout(Duration::from_secs(SECONDS_MAX), asked).await {
            Ok(answer) => answer.map_err(|error| Error::aws(DOING, error))?,
            Err(_) => return Err(Error::NotYet(format!("{DOING}: no answer in {SECONDS_MAX} seconds"))),
        };
        let known = |name: &&&str| answer.metric_alarms.iter().any(|alarm| alarm.alarm_name == **name);
        if let Some(unknown) = names.iter().find(|name| !known(name)) {
            return Err(Error::Answer(format!("CloudWatch knows no alarm {unknown}")));
        }
        let on = answer
            .metric_alarms
            .into_iter()
            .filter(|alarm| alarm.state_value == "ALARM");
        Ok(on.map(|alarm| alarm.alarm_name).collect())
    }
}

impl CloudWatch {
    /// Where CloudWatch is: in each partition beside EC2, of which the SDK knows it.
    /// <https://docs.aws.amazon.com/general/latest/gr/cw_region.html>
    async fn endpoint(&self, region: &str) -> Result<String, Error> {
        if let Some(url) = self.config.endpoint_url() {
            return Ok(url.to_owned());
        }
        let wrong = |error: BoxError| Error::Answer(format!("CloudWatch's endpoint: {error}"));
        let params = Params::builder()
            .region(region)
            .use_fips(self.config.use_fips().unwrap_or_default())
            .use_dual_stack(self.config.use_dual_stack().unwrap_or_default())
            .build()
            .map_err(|error| wrong(error.into()))?;
        let resolver = DefaultResolver::new();
        let ec2 = ResolveEndpoint::resolve_endpoint(&resolver, &params)
            .await
            .map_err(wrong)?;
        Ok(ec2.url().replacen("://ec2", "://monitoring", 1))
    }

    fn describe_alarms(&self, url: &str, region: &str) -> Result<Operation<String, Answer, ErrorMetadata>, Error> {
        let config = &self.config;
        let builder = Operation::builder()
            .service_name("CloudWatch")
            .operation_name("DescribeAlarms")
            .http_client(required(config.http_client(), "the HTTP client")?)
            .sleep_impl(required(config.sleep_impl(), "what sleeps")?)
            .time_source(config.time_source().unwrap_or_default())
            .timeout_config(config.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled))
            .endpoint_url(url)
            .standard_retry(&RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
            .retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
            .interceptor(self.calls.clone())
            .runtime_plugin(self.signing(region)?);
        Ok(builder.serializer(request).deserializer(answer).build())
    }

    fn signing(&self, region: &str) -> Result<StaticRuntimePlugin, Error> {
        let credentials = required(self.config.credentials_provider(), "the credentials")?;
        let mut layer = Layer::new("CloudWatch");
        layer.store_put(self.partition.clone());
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_put(SigV4OperationSigningConfig {
            region: Some(SigningRegion::from(aws_types::region::Region::new(region.to_owned()))),
            name: Some(SigningName::from_static("monitoring")),
            ..SigV4OperationSigningConfig::default()
        });
        let components = RuntimeComponentsBuilder::new("CloudWatch")
            .with_auth_scheme(SigV4AuthScheme::new())
            .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])))
            .with_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(credentials));
        Ok(StaticRuntimePlugin::new()
            .with_config(layer.freeze())
            .with_runtime_components(components))
    }
}

/// `arn:…:alarm:NAME`; a name may have colons too.
fn name(arn: &str) -> &str {
    arn.splitn(7, ':').last().unwrap_or_default()
}

/// <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>
fn request(body: String) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST")?;
    request.set_uri("/")?;
    request
        .headers_mut()
        .insert("content-type", "application/x-amz-json-1.0");
    request.headers_mut().insert("x-amz-target", TARGET);
    Ok(request)
}

fn answer(response: &HttpResponse) -> Result<Answer, OrchestratorError<ErrorMetadata>> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return serde_json::from_slice(body).map_err(OrchestratorError::other);
    }
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |names: [&str; 2]| names.iter().find_map(|name| error[*name].as_str());
    let code = text(["__type", "code"]).map(|code| code.rsplit('#').next().unwrap_or(code).to_owned());
    let message = text(["message", "Message"]).map(str::to_owned);
    let code = code.unwrap_or_else(|| response.status().to_string());
    let error = ErrorMetadata::builder().code(code).message(message.unwrap_or_default());
    Err(OrchestratorError::operation(error.build()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_asked_for_by_its_name_which_may_have_colons() {
        let arn = "arn:aws-eusc:cloudwatch:eusc-de-east-1:111122223333:alarm:spot-drill:too many";
        assert_eq!(name(arn), "spot-drill:too many");
    }

    #[tokio::test]
    async fn cloudwatch_is_found_in_every_partition() {
        for (region, fips, url) in [
            ("eu-west-1", false, "https://monitoring.eu-west-1.amazonaws.com"),
            ("us-east-1", true, "https://monitoring-fips.us-east-1.amazonaws.com"),
            ("cn-north-1", false, "https://monitoring.cn-north-1.amazonaws.com.cn"),
            (
                "eusc-de-east-1",
                false,
                "https://monitoring.eusc-de-east-1.amazonaws.eu",
            ),
        ] {
            let cloudwatch = CloudWatch {
                config: SdkConfig::builder().use_fips(fips).build(),
                partition: RetryPartition::new("test"),
                calls: CallCount::default(),
            };
            assert_eq!(cloudwatch.endpoint(region).await.unwrap(), url);
        }
    }

    #[test]
    fn a_refusal_keeps_its_code_and_its_words() {
        let body = r#"{"__type": "com.amazonaws.cloudwatch#AccessDeniedException", "Message": "not authorized"}"#;
        let response = HttpResponse::new(400.try_into().unwrap(), SdkBody::from(body));
        let error = answer(&response).unwrap_err();
        let refused = error.as_operation_error().unwrap();
        assert_eq!(refused.code(), Some("AccessDeniedException"));
        assert_eq!(refused.message(), Some("not authorized"));
    }
}
