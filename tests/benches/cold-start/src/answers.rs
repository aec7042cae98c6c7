//! What the endpoint answers: the least that lets each measured invocation end well. Apart from the endpoint because this
//! is AWS's wire format, and that is stamps and sockets.

use hyper::Method;
use hyper::http::request::Parts;
use serde_json::{Value, json};

/// An answer, and the operation that it is for.
#[derive(Debug)]
pub struct Answer {
    /// `UpdateItem`, `DescribeInstances`, …
    pub operation: String,
    /// The body's type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Answers DynamoDB and EMR, which name the operation in a header, and EC2, which has it among a form's fields.
pub fn answer(parts: &Parts, body: &[u8]) -> Answer {
    if parts.method == Method::GET {
        // What a load balancer asks, and a client that only wants to be connected.
        return Answer {
            operation: format!("GET {}", parts.uri.path()),
            content_type: "text/plain",
            body: "healthy".into(),
        };
    }
    if let Some(target) = parts
        .headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
    {
        let operation = target.rsplit('.').next().unwrap_or(target);
        return Answer {
            operation: operation.to_owned(),
            content_type: if target.starts_with("DynamoDB") {
                "application/x-amz-json-1.0"
            } else {
                "application/x-amz-json-1.1"
            },
            body: json_answer(operation).to_string(),
        };
    }
    let fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    let value = |wanted: &str| {
        fields
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    Answer {
        operation: value("Action").unwrap_or("(unknown)").to_owned(),
        content_type: "text/xml;charset=UTF-8",
        body: described(value("Filter.1.Value.1").unwrap_or_default()),
    }
}

fn json_answer(operation: &str) -> Value {
    match operation {
        // submit-step finds that this execution has added its step: one call, and it is done.
        "GetItem" => json!({"Item": {
            "pk": {"S": "submission#execution"},
            "sk": {"S": "submission"},
            "execution_id": {"S": "execution"},
            "holder": {"S": "earlier"},
            "lease_until": {"S": "2026-11-20T14:00:00Z"},
            "step": {"L": [{"S": "j-2AXXXXXXGAPLF"}, {"S": "s-3PZCQ9RLPEXPL"}]},
        }}),
        // start-experiment and write-report find that it is not Spark: one call, and they are done.
        "DescribeStep" => json!({"Step": {
            "Id": "s-3PZCQ9RLPEXPL",
            "Name": "copy",
            "ActionOnFailure": "CONTINUE",
            "Config": {"Jar": "s3://bucket/copy.jar", "Args": [], "Properties": {}},
            "Status": {"State": "COMPLETED", "Timeline": {"CreationDateTime": 1_763_647_000.0, "StartDateTime": 1_763_647_010.0, "EndDateTime": 1_763_647_200.0}},
        }}),
        _ => json!({}),
    }
}

/// One instance of an EMR cluster, with the members that record-interruption looks at.
fn described(instance_id: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>8f7724cf-496f-496e-8fe3-example</requestId><reservationSet><item><reservationId>r-1234567890abcdef0</reservationId><ownerId>123456789012</ownerId><groupSet/><instancesSet><item><instanceId>{instance_id}</instanceId><instanceState><code>16</code><name>running</name></instanceState><privateDnsName>ip-10-0-0-12.ec2.internal</privateDnsName><instanceType>m5.xlarge</instanceType><launchTime>2026-11-20T13:10:02.000Z</launchTime><placement><availabilityZone>eu-west-1b</availabilityZone><tenancy>default</tenancy></placement><instanceLifecycle>spot</instanceLifecycle><tagSet><item><key>aws:elasticmapreduce:job-flow-id</key><value>j-2AXXXXXXGAPLF</value></item><item><key>aws:elasticmapreduce:instance-group-role</key><value>TASK</value></item></tagSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"#
    )
}
