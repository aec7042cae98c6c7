//! AWS's wire protocols: which service and operation a request calls, and the envelope of an answer.
//!
//! Separate because the services are plain functions of JSON values: JSON, REST, XML and Query are known only here.

mod encode;
mod fis;
mod json;
mod query;
mod rest;
mod s3_operation;

use bytes::Bytes;
use form_urlencoded::parse;
use http::Request;
use serde_json::Value;

use crate::api::{ApiError, REGION};

pub use self::encode::{encode, encode_dynamodb};
pub use self::fis::percent_decoded;

/// A service of AWS, as the wire tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// CloudFormation.
    CloudFormation,
    /// CloudWatch.
    CloudWatch,
    /// DynamoDB.
    DynamoDb,
    /// EC2.
    Ec2,
    /// EMR.
    Emr,
    /// EventBridge.
    Events,
    /// FIS.
    Fis,
    /// Lambda.
    Lambda,
    /// CloudWatch Logs.
    Logs,
    /// S3.
    S3,
    /// EventBridge Scheduler.
    Scheduler,
    /// The Security Token Service.
    Sts,
    /// One that the simulated account lacks, by its signing name.
    Unknown(String),
}

impl Service {
    /// The name that IAM's actions have before the colon.
    pub fn iam_prefix(&self) -> &str {
        match self {
            Self::CloudFormation => "cloudformation",
            Self::CloudWatch => "cloudwatch",
            Self::DynamoDb => "dynamodb",
            Self::Ec2 => "ec2",
            Self::Emr => "elasticmapreduce",
            Self::Events => "events",
            Self::Fis => "fis",
            Self::Lambda => "lambda",
            Self::Logs => "logs",
            Self::S3 => "s3",
            Self::Scheduler => "scheduler",
            Self::Sts => "sts",
            Self::Unknown(name) => name,
        }
    }

    /// The permission that a call of the operation needs. DynamoDB's transactions need those of their parts instead.
    //= https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
    pub fn iam_action(&self, operation: &str) -> String {
        let action = match (self, operation) {
            (Self::S3, "HeadObject") => "GetObject",
            (Self::S3, "HeadBucket" | "ListObjects" | "ListObjectsV2") => "ListBucket",
            (Self::S3, "ListBuckets") => "ListAllMyBuckets",
            (Self::S3, "DeleteObjects") => "DeleteObject",
            (Self::Lambda, "Invoke") => "InvokeFunction",
            (Self::S3, "CopyObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload") => {
                "PutObject"
            }
            _ => operation,
        };
        format!("{}:{action}", self.iam_prefix())
    }

    fn of_signing_name(name: &str) -> Self {
        match name {
            "cloudformation" => Self::CloudFormation,
            "dynamodb" => Self::DynamoDb,
            "ec2" => Self::Ec2,
            "elasticmapreduce" => Self::Emr,
            "events" => Self::Events,
            "fis" => Self::Fis,
            "lambda" => Self::Lambda,
            "logs" => Self::Logs,
            "monitoring" => Self::CloudWatch,
            "s3" => Self::S3,
            "scheduler" => Self::Scheduler,
            "sts" => Self::Sts,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

/// One call of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Whose operation.
    pub service: Service,
    /// The operation's name, `DescribeInstances`.
    pub operation: String,
    /// Its input; null for S3 and DynamoDB, whose implementations read the request themselves.
    pub input: Value,
}

/// A request that is no call: what to answer, and in whose envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a request of {service:?}: {error}")]
pub struct Refusal {
    /// The service that the request was for.
    pub service: Service,
    /// The error that a client sees.
    pub error: ApiError,
}

/// Finds out what a request calls.
pub fn decode(request: &Request<Bytes>) -> Result<Call, Refusal> {
    let service = service_of(request);
    if let Some(error) = another_region(request, &service) {
        return Err(Refusal { service, error });
    }
    let call = match &service {
        Service::DynamoDb => json::target(request).map(|operation| (operation, Value::Null)),
        Service::Ec2 => query::decode(request),
        Service::CloudFormation | Service::Sts => query::decode_members(request),
        Service::Emr | Service::Events | Service::Logs => json::decode(request),
        Service::CloudWatch => json::target(request)
            .map_err(|_| ApiError::not_implemented("monitoring", request.uri().path()))
            .and_then(|_| json::decode(request)),
        Service::Fis => fis::decode(request),
        Service::Lambda => rest::lambda(request),
        Service::Scheduler => rest::scheduler(request),
        Service::S3 => s3_operation::decode(request).map(|operation| (operation, Value::Null)),
        Service::Unknown(name) => {
            let operation = json::target(request).or_else(|_| query::action(request));
            let operation = operation.unwrap_or_else(|_| format!("{} {}", request.method(), request.uri().path()));
            Err(ApiError::not_implemented(name, &operation))
        }
    };
    match call {
        Ok((operation, input)) => Ok(Call {
            service,
            operation,
            input,
        }),
        Err(error) => Err(Refusal { service, error }),
    }
}

/// The refusal of a request whose body could not be read, in the envelope of the service that it was for.
pub fn refusal(request: &Request<Bytes>, error: ApiError) -> Refusal {
    Refusal {
        service: service_of(request),
        error,
    }
}

/// Whose request it is: by the signature's scope, then the target header, then the path, and else S3's.
///
/// The host is no help: over TCP it is always the local machine.
//= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html
fn service_of(request: &Request<Bytes>) -> Service {
    if let Some((_, name)) = scope(request) {
        return Service::of_signing_name(&name);
    }
    if let Some(target) = header(request, "x-amz-target") {
        return match target.split('.').next().unwrap_or(target) {
            "AWSEvents" => Service::Events,
            "ElasticMapReduce" => Service::Emr,
            "GraniteServiceVersion20100801" => Service::CloudWatch,
            "Logs_20140328" => Service::Logs,
            prefix if prefix.starts_with("DynamoDB_") => Service::DynamoDb,
            other => Service::Unknown(other.to_lowercase()),
        };
    }
    if fis::is_path(request.uri().path()) {
        return Service::Fis;
    }
    if request.uri().path() == "/" && query::action(request).is_ok() {
        return Service::Ec2;
    }
    Service::S3
}

/// The refusal of a call that is signed for a Region other than the account's, in which its answer would be of no use: its
/// ARNs are of another. The words are AWS's; EC2's code for it is assumed, and a service that is not there says just that.
//= https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html#signature-v4-troubleshooting-credential-scope
fn another_region(request: &Request<Bytes>, service: &Service) -> Option<ApiError> {
    let (region, _) = scope(request).filter(|(region, _)| region != REGION)?;
    let message =
        format!("Credential should be scoped to a valid region, not '{region}'. The simulated account is in {REGION}.");
    Some(match service {
        Service::Unknown(_) => return None,
        // The Region of its global endpoint, for which some clients sign wherever they are.
        //= https://docs.aws.amazon.com/sdkref/latest/guide/feature-sts-regionalized-endpoints.html
        Service::Sts if region == "us-east-1" => return None,
        Service::S3 => {
            let message =
                format!("The authorization header is malformed; the region '{region}' is wrong; expecting '{REGION}'");
            ApiError::client("AuthorizationHeaderMalformed", message)
        }
        Service::Ec2 => ApiError::with_status(401, "AuthFailure", message),
        Service::CloudFormation | Service::Sts => ApiError::with_status(403, "SignatureDoesNotMatch", message),
        _ => ApiError::with_status(403, "InvalidSignatureException", message),
    })
}

/// Region and service in `Credential=<key>/<date>/<Region>/<service>/aws4_request`, of the header or of a presigned URL.
fn scope(request: &Request<Bytes>) -> Option<(String, String)> {
    let scope = |credential: &str| {
        let mut parts = credential.split('/').skip(2);
        let (region, name) = (parts.next()?, parts.next()?);
        (!name.is_empty()).then(|| (region.to_owned(), name.to_owned()))
    };
    if let Some(authorization) = header(request, "authorization") {
        let credential = authorization.split("Credential=").nth(1)?;
        return scope(credential.split([',', ' ']).next().unwrap_or(credential));
    }
    let query = request.uri().query()?;
    let (_, credential) = parse(query.as_bytes()).find(|(name, _)| name == "X-Amz-Credential")?;
    scope(&credential)
}

fn header<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests;
