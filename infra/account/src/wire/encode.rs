//! Answers in the envelope of their service's protocol.
//!
//! Separate because decoding and encoding share nothing but the services' names.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::Service;
use crate::api::ApiError;
use crate::dynamodb::Failure;

/// Services that the simulated account lacks and whose clients read errors as XML.
const QUERY_SERVICES: [&str; 5] = ["autoscaling", "elasticloadbalancing", "iam", "rds", "sns"];

const CLOUDFORMATION_NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";
const EC2_NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The answer to one call. `request_number` counts the account's requests and becomes the request id.
pub fn encode(
    service: &Service,
    operation: &str,
    answer: Result<Value, ApiError>,
    request_number: u64,
) -> Response<Bytes> {
    let id = request_id(request_number);
    match service {
        Service::CloudFormation => query(CLOUDFORMATION_NAMESPACE, operation, answer, &id),
        Service::Ec2 => ec2(operation, answer, &id),
        Service::Fis | Service::Scheduler => rest_json(answer, &id),
        Service::Lambda if operation == "Invoke" => invocation(answer, &id),
        Service::Lambda => rest_json(answer, &id),
        Service::S3 => s3(answer, &id),
        Service::CloudWatch | Service::DynamoDb => aws_json(answer, "application/x-amz-json-1.0", &id),
        Service::Sts => query(STS_NAMESPACE, operation, answer, &id),
        Service::Unknown(name) if QUERY_SERVICES.contains(&name.as_str()) => query("", operation, answer, &id),
        Service::Emr | Service::Events | Service::Logs | Service::Unknown(_) => {
            aws_json(answer, "application/x-amz-json-1.1", &id)
        }
    }
}

/// The answer to one call of DynamoDB, whose bodies are made elsewhere.
pub fn encode_dynamodb(answer: Result<Vec<u8>, Failure>, request_number: u64) -> Response<Bytes> {
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(failure) => (failure.status, failure.body),
    };
    let id = request_id(request_number);
    respond(
        status,
        body,
        &[
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amzn-requestid", &id),
        ],
    )
}

/// A request id of AWS's shape that is the same in every run.
fn request_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

fn respond(status: u16, body: impl Into<Bytes>, headers: &[(&'static str, &str)]) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

//= https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
fn aws_json(answer: Result<Value, ApiError>, content_type: &str, id: &str) -> Response<Bytes> {
    let (status, body) = match answer {
        Ok(Value::Null) => (200, json!({})),
        Ok(body) => (200, body),
        Err(error) => (error.status, aws_json_error(&error)),
    };
    respond(
        status,
        body.to_string(),
        &[("content-type", content_type), ("x-amzn-requestid", id)],
    )
}

/// EMR's `InvalidRequestException` is the one error with members of its own, and its message begins with a capital.
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_ListClusters.html#API_ListClusters_Errors
fn aws_json_error(error: &ApiError) -> Value {
    if error.code != "InvalidRequestException" {
        return json!({ "__type": error.code, "message": error.message });
    }
    let mut body = json!({ "__type": error.code, "Message": error.message });
    if let Some(error_code) = error.error_code {
        body["ErrorCode"] = error_code.into();
    }
    body
}

//= https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
fn rest_json(answer: Result<Value, ApiError>, id: &str) -> Response<Bytes> {
    let json = ("content-type", "application/json");
    match answer {
        Ok(Value::Null) => respond(200, "{}", &[json, ("x-amzn-requestid", id)]),
        Ok(body) => respond(200, body.to_string(), &[json, ("x-amzn-requestid", id)]),
        Err(error) => {
            let body = json!({ "message": error.message }).to_string();
            respond(
                error.status,
                body,
                &[json, ("x-amzn-requestid", id), ("x-amzn-errortype", &error.code)],
            )
        }
    }
}

//= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
fn ec2(operation: &str, answer: Result<Value, ApiError>, id: &str) -> Response<Bytes> {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let status = match answer {
        Ok(output) => {
            let mut members = String::new();
            children(&mut members, &output, "item");
            let _ = write!(
                xml,
                "<{operation}Response xmlns=\"{EC2_NAMESPACE}\"><requestId>{id}</requestId>{members}</{operation}Response>"
            );
            200
        }
        Err(error) => {
            let _ = write!(
                xml,
                "<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors>\
                 <RequestID>{id}</RequestID></Response>",
                text(&error.code),
                text(&error.message)
            );
            error.status
        }
    };
    respond(
        status,
        xml,
        &[("content-type", "text/xml;charset=UTF-8"), ("x-amzn-requestid", id)],
    )
}

//= https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
fn query(namespace: &str, operation: &str, answer: Result<Value, ApiError>, id: &str) -> Response<Bytes> {
    let (status, body) = match answer {
        Ok(output) => {
            let mut members = String::new();
            children(&mut members, &output, "member");
            let result = format!("<{operation}Result>{members}</{operation}Result>");
            let metadata = format!("<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>");
            let xml = format!("<{operation}Response xmlns=\"{namespace}\">{result}{metadata}</{operation}Response>");
            (200, xml)
        }
        Err(error) => {
            let (code, message) = (text(&error.code), text(&error.message));
            let error_xml =
                format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
            (
                error.status,
                format!("<ErrorResponse>{error_xml}<RequestId>{id}</RequestId></ErrorResponse>"),
            )
        }
    };
    respond(status, body, &[("content-type", "text/xml"), ("x-amzn-requestid", id)])
}

/// Lambda's Invoke answers with the function's own bytes; what else there is to say is in status and headers.
//= https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
fn invocation(answer: Result<Value, ApiError>, id: &str) -> Response<Bytes> {
    let output = match answer {
        Ok(output) => output,
        Err(error) => return rest_json(Err(error), id),
    };
    let status = output["StatusCode"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok())
        .unwrap_or(200);
    let body = if status == 200 {
        output["Payload"].to_string()
    } else {
        String::new()
    };
    let mut headers = vec![
        ("content-type", "application/json"),
        ("x-amzn-requestid", id),
        ("x-amz-executed-version", "$LATEST"),
    ];
    if let Some(error) = output["FunctionError"].as_str() {
        headers.push(("x-amz-function-error", error));
    }
    respond(status, body, &headers)
}

//= https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
fn s3(answer: Result<Value, ApiError>, id: &str) -> Response<Bytes> {
    let (status, body) = match answer {
        Ok(_) => (200, String::new()),
        Err(error) => {
            let (code, message) = (text(&error.code), text(&error.message));
            let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
            (
                error.status,
                format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}"),
            )
        }
    };
    respond(
        status,
        body,
        &[("content-type", "application/xml"), ("x-amz-request-id", id)],
    )
}

/// A value's content as elements: members by name, a list's entries by `item`, nothing for null.
fn children(xml: &mut String, value: &Value, item: &str) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                element(xml, name, value, item);
            }
        }
        Value::Array(items) => items.iter().for_each(|entry| element(xml, item, entry, item)),
        Value::String(string) => xml.push_str(&text(string)),
        other => xml.push_str(&other.to_string()),
    }
}

fn element(xml: &mut String, name: &str, value: &Value, item: &str) {
    let _ = write!(xml, "<{name}>");
    children(xml, value, item);
    let _ = write!(xml, "</{name}>");
}

/// Text escaped for XML, without the characters that XML cannot hold at all.
//= https://www.w3.org/TR/xml/#charsets
fn text(text: &str) -> String {
    let allowed =
        |c: &char| matches!(*c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let clean: String = text.chars().filter(allowed).collect();
    quick_xml::escape::escape(clean.as_str()).into_owned()
}
