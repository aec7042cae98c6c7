//! Answers that are not what the caller hoped for, in each service's own words.
//!
//! Separate because the account would have answered: these are faults on the way.

use account::api::ApiError;
use account::wire::{self, Service};
use bytes::Bytes;

use super::World;
use crate::fault::{Refusal, Resource};

/// Refuses a call.
pub(super) fn answer(
    world: &World,
    caller: &str,
    request: &http::Request<Bytes>,
    how: Refusal,
) -> http::Response<Bytes> {
    let decoded = wire::decode(request).ok();
    let Some((error, call)) = decoded.and_then(|call| Some((error(how, &call.service)?, call))) else {
        let mut response = http::Response::new(Bytes::new());
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        return response;
    };
    if call.service == Service::S3 {
        return world.s3().refuse(request.method(), &error);
    }
    let now = world.clock.now();
    let account = &mut world.lock().account;
    account.conclude(now, caller, &call, Vec::new(), Err(error))
}

/// The service's words; `None`: it says nothing but 503.
//= https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
//= https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
//= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
//= https://docs.aws.amazon.com/emr/latest/APIReference/CommonErrors.html
//= https://docs.aws.amazon.com/fis/latest/APIReference/CommonErrors.html
//= https://docs.aws.amazon.com/fis/latest/APIReference/API_StartExperiment.html
//= https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
fn error(how: Refusal, service: &Service) -> Option<ApiError> {
    let not_authorized = "User is not authorized to perform this operation because an explicit deny is in force";
    Some(match (how, service) {
        (Refusal::Unavailable, _) => return None,
        (Refusal::Throttled, Service::S3) => ApiError::with_status(503, "SlowDown", "Please reduce your request rate."),
        (Refusal::Throttled, Service::Ec2) => {
            ApiError::with_status(503, "RequestLimitExceeded", "Request limit exceeded.")
        }
        (Refusal::Throttled, _) => ApiError::client("ThrottlingException", "Rate exceeded"),
        (Refusal::Denied, Service::S3) => ApiError::with_status(403, "AccessDenied", "Access Denied"),
        (Refusal::Denied, Service::Ec2) => ApiError::with_status(403, "UnauthorizedOperation", not_authorized),
        (Refusal::Denied, _) => ApiError::client("AccessDeniedException", not_authorized),
        (Refusal::Expired, Service::S3) => ApiError::client("ExpiredToken", "The provided token has expired."),
        (Refusal::Expired, Service::Ec2) => ApiError::client("RequestExpired", "Request has expired."),
        (Refusal::Expired, _) => ApiError::client(
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        (Refusal::Conflict, _) => ApiError::with_status(
            409,
            "ConflictException",
            "The request could not be processed because of a conflict.",
        ),
        (Refusal::QuotaReached, _) => ApiError::with_status(
            402,
            "ServiceQuotaExceededException",
            "You have exceeded your service quota.",
        ),
        (Refusal::Invalid, _) => ApiError::client("ValidationException", "The specified input is not valid."),
        (Refusal::Gone(Resource::Table), _) => {
            ApiError::client("ResourceNotFoundException", "Requested resource not found")
        }
        (Refusal::Gone(Resource::Bucket), _) => {
            ApiError::with_status(404, "NoSuchBucket", "The specified bucket does not exist")
        }
        (Refusal::Gone(Resource::ExperimentTemplate), _) => {
            ApiError::with_status(404, "ResourceNotFoundException", "Experiment template not found.")
        }
    })
}

/// The call was carried out, and some machine between puts a page of its own in the answer's place; or, of an object, which
/// its length and its checksum guard, only the first half comes.
pub(super) fn garbled(response: http::Response<Bytes>, of_an_object: bool) -> http::Response<Bytes> {
    let (mut parts, body) = response.into_parts();
    if of_an_object {
        let length = http::HeaderValue::from(body.len());
        parts.headers.insert(http::header::CONTENT_LENGTH, length);
        return http::Response::from_parts(parts, body.slice(..body.len() / 2));
    }
    parts.headers.remove(http::header::CONTENT_LENGTH);
    parts.status = http::StatusCode::OK;
    http::Response::from_parts(parts, Bytes::from_static(b"<html><body>{ 502"))
}
