//! Requests as the SDK and the CLI send them, and answers as they read them.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::{Call, Service, decode, encode};
use crate::api::ApiError;

fn signed(service: &str, request: http::request::Builder, body: impl Into<Bytes>) -> Request<Bytes> {
    let scope = format!("AWS4-HMAC-SHA256 Credential=AK/20270101/us-sim-1/{service}/aws4_request, SignedHeaders=host");
    request.header("authorization", scope).body(body.into()).unwrap()
}

fn ec2(form: &str) -> Result<Value, ApiError> {
    match decode(&signed("ec2", Request::post("/"), form.to_owned())) {
        Ok(call) => Ok(call.input),
        Err(refusal) => {
            assert_eq!(refusal.service, Service::Ec2);
            Err(refusal.error)
        }
    }
}

fn text(response: &http::Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

#[test]
fn ec2s_numbered_names_become_lists() {
    let form = "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3Aa&Filter.1.Value.1=b&\
                Filter.1.Value.2=c+d&Filter.2.Name=x&InstanceId.1=i-1&InstanceId.2=i-2&InstanceId.10=i-10&MaxResults=5";
    let expected = json!({
        "Filter": [{"Name": "tag:a", "Value": ["b", "c d"]}, {"Name": "x"}],
        "InstanceId": ["i-1", "i-2", "i-10"],
        "MaxResults": "5",
    });
    assert_eq!(ec2(form).unwrap(), expected);
    assert_eq!(ec2("Action=DescribeInstances&Version=2016-11-15").unwrap(), json!({}));
}

#[test]
fn bad_forms_are_errors_and_never_panics() {
    let code = |form: &str| ec2(form).unwrap_err().code;
    assert_eq!(code(""), "MissingAction");
    assert_eq!(code("Version=1"), "MissingAction");
    assert_eq!(code("Action=A&A=1&A.1=2"), "MalformedQueryString");
    assert_eq!(code("Action=A&A.1=1&A=2"), "MalformedQueryString");
    assert_eq!(code("Action=A&B=1&B=2"), "MalformedQueryString");
    assert_eq!(code("Action=A&B.1=1&B.Name=2"), "MalformedQueryString");
    assert_eq!(code("Action=A&B..C=1"), "MalformedQueryString");
    assert_eq!(code("Action=A&1=x"), "MalformedQueryString");
    assert_eq!(
        code(&format!("Action=A&{}=1", "a.".repeat(5000))),
        "MalformedQueryString"
    );
    let many: String = (0..10_001).map(|number| format!("&P{number}=1")).collect();
    assert_eq!(code(&format!("Action=A{many}")), "MalformedQueryString");
    assert!(ec2("Action=%ff%fe&B=%zz").is_ok());
}

#[test]
fn the_target_header_names_emrs_and_dynamodbs_operations() {
    let request = Request::post("/").header("x-amz-target", "ElasticMapReduce.DescribeStep");
    let call = decode(&signed("elasticmapreduce", request, r#"{"StepId":"s-1"}"#)).unwrap();
    let expected = Call {
        service: Service::Emr,
        operation: "DescribeStep".into(),
        input: json!({"StepId": "s-1"}),
    };
    assert_eq!(call, expected);
    let unsigned = Request::post("/")
        .header("x-amz-target", "DynamoDB_20120810.GetItem")
        .body(Bytes::new())
        .unwrap();
    let call = decode(&unsigned).unwrap();
    assert_eq!((call.service, call.operation.as_str()), (Service::DynamoDb, "GetItem"));
}

#[test]
fn bad_json_is_a_serialization_error() {
    for body in [
        "{",
        "[]",
        "7",
        "\u{0}",
        &"[".repeat(100_000),
        &format!("{{\"a\":{}", "{\"a\":".repeat(1000)),
    ] {
        let request = Request::post("/").header("x-amz-target", "ElasticMapReduce.ListSteps");
        let refusal = decode(&signed("elasticmapreduce", request, body.to_owned())).unwrap_err();
        assert_eq!(refusal.error.code, "SerializationException");
        assert_eq!(refusal.service, Service::Emr);
    }
    let refusal = decode(&signed("elasticmapreduce", Request::post("/"), "{}")).unwrap_err();
    assert_eq!(refusal.error.code, "UnknownOperationException");
}

#[test]
fn fis_takes_input_from_path_query_and_body() {
    let fis = |request: http::request::Builder, body: &'static str| {
        decode(&signed("fis", request, body)).map(|call| (call.operation, call.input))
    };
    let (operation, input) = fis(
        Request::get("/experiments/EXP1/resolvedTargets?maxResults=5&nextToken=a%2Bb"),
        "",
    )
    .unwrap();
    assert_eq!(operation, "ListExperimentResolvedTargets");
    assert_eq!(
        input,
        json!({"experimentId": "EXP1", "maxResults": 5, "nextToken": "a+b"})
    );
    let (operation, input) = fis(Request::post("/experiments"), r#"{"clientToken":"t"}"#).unwrap();
    assert_eq!(
        (operation.as_str(), input),
        ("StartExperiment", json!({"clientToken": "t"}))
    );
    for arn in [
        "arn%3Aaws%3Afis%3Aus-sim-1%3A000000000000%3Aexperiment%2FEXP1",
        "arn:aws:fis:us-sim-1:000000000000:experiment/EXP1",
    ] {
        let (operation, input) = fis(Request::delete(format!("/tags/{arn}?tagKeys=a&tagKeys=b")), "").unwrap();
        assert_eq!(operation, "UntagResource");
        let arn = "arn:aws:fis:us-sim-1:000000000000:experiment/EXP1";
        assert_eq!(input, json!({"resourceArn": arn, "tagKeys": ["a", "b"]}));
    }
    assert_eq!(fis(Request::delete("/experiments/E"), "").unwrap().0, "StopExperiment");
    assert_eq!(
        fis(Request::patch("/safetyLevers/default/state"), "{}").unwrap().1,
        json!({"id": "default"})
    );
    assert_eq!(fis(Request::put("/experiments"), "").unwrap_err().error.status, 404);
    assert_eq!(
        fis(Request::get("/experiments?maxResults=x"), "")
            .unwrap_err()
            .error
            .code,
        "ValidationException"
    );
}

#[test]
fn unsigned_requests_are_told_by_their_path_and_else_are_s3s() {
    let service = |request: http::request::Builder, body: &'static str| {
        decode(&request.body(Bytes::from_static(body.as_bytes())).unwrap())
            .unwrap()
            .service
    };
    assert_eq!(service(Request::get("/experimentTemplates"), ""), Service::Fis);
    assert_eq!(service(Request::post("/"), "Action=DescribeInstances"), Service::Ec2);
    assert_eq!(service(Request::get("/bucket/key"), ""), Service::S3);
    let presigned = Request::get("/experiments/x?X-Amz-Credential=AK%2F20270101%2Fus-sim-1%2Fs3%2Faws4_request");
    assert_eq!(service(presigned, ""), Service::S3);
}

#[test]
fn a_call_that_is_signed_for_another_region_is_refused_in_its_services_words() {
    let refused = |service: &str| {
        let scope = format!("AWS4-HMAC-SHA256 Credential=AK/20270101/eu-west-1/{service}/aws4_request, Signature=x");
        let request = Request::post("/").header("authorization", scope);
        let request = request.header("x-amz-target", "ElasticMapReduce.ListClusters");
        let error = decode(&request.body(Bytes::new()).unwrap()).unwrap_err().error;
        (error.status, error.code)
    };
    for (service, status, code) in [
        ("elasticmapreduce", 403, "InvalidSignatureException"),
        ("fis", 403, "InvalidSignatureException"),
        ("ec2", 401, "AuthFailure"),
        ("sts", 403, "SignatureDoesNotMatch"),
        ("s3", 400, "AuthorizationHeaderMalformed"),
        // A service that is not there is in no Region.
        ("glue", 501, "NotImplemented"),
    ] {
        assert_eq!(refused(service), (status, code.to_owned()), "{service}");
    }
    let global = "AWS4-HMAC-SHA256 Credential=AK/20270101/us-east-1/sts/aws4_request, Signature=x";
    let request = Request::post("/").header("authorization", global);
    let request = request.body(Bytes::from_static(b"Action=GetCallerIdentity")).unwrap();
    assert_eq!(decode(&request).unwrap().operation, "GetCallerIdentity");
}

#[test]
fn s3s_operations_have_their_names() {
    let name = |request: http::request::Builder| decode(&signed("s3", request, "")).unwrap().operation;
    assert_eq!(name(Request::put("/b/k?x-id=PutObject")), "PutObject");
    // What is done counts, not what it is called.
    assert_eq!(name(Request::delete("/b/k?x-id=GetObject")), "DeleteObject");
    assert_eq!(name(Request::put("/b/k?x-id=")), "PutObject");
    assert_eq!(
        name(Request::get("https://b.s3.us-sim-1.amazonaws.com/?list-type=2")),
        "ListObjectsV2"
    );
    assert_eq!(name(Request::post("/b?delete")), "DeleteObjects");
    assert_eq!(name(Request::head("/b/k")), "HeadObject");
    assert_eq!(name(Request::get("/")), "ListBuckets");
}

#[test]
fn a_service_that_is_not_simulated_is_refused_by_name() {
    let request = Request::post("/").header("x-amz-target", "AWSGlue.GetTable");
    let refusal = decode(&signed("glue", request, "{}")).unwrap_err();
    assert_eq!(refusal.service, Service::Unknown("glue".into()));
    assert_eq!(refusal.error.status, 501);
    assert!(refusal.error.message.contains("GetTable of glue"));
}

#[test]
fn ec2s_xml_escapes_and_leaves_out_nulls() {
    let output = json!({
        "reservationSet": [{"instancesSet": [{"tagSet": [{"key": "a<b>&\"'", "value": "\u{0}\u{1b}]]>é"}], "x": null}]}],
        "count": 2, "flag": true, "empty": [], "nextToken": null,
    });
    let response = encode(&Service::Ec2, "DescribeInstances", Ok(output), 255);
    let xml = text(&response);
    assert!(xml.contains("<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">"));
    assert!(xml.contains("<requestId>00000000-0000-4000-8000-0000000000ff</requestId>"));
    assert!(
        xml.contains("<reservationSet><item><instancesSet><item><tagSet><item><key>a&lt;b&gt;&amp;&quot;&apos;</key>")
    );
    for part in [
        "<value>]]&gt;é</value>",
        "<count>2</count>",
        "<empty></empty>",
        "<flag>true</flag>",
    ] {
        assert!(xml.contains(part), "{part} is not in {xml}");
    }
    assert!(!xml.contains("nextToken") && !xml.contains("<x>"));
}

#[test]
fn errors_have_the_envelope_of_their_service() {
    let error = || Err(ApiError::client("InvalidInstanceID.NotFound", "no <i-1>"));
    let response = encode(&Service::Ec2, "DescribeInstances", error(), 1);
    assert_eq!(response.status(), 400);
    assert!(text(&response).contains(
        "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>no &lt;i-1&gt;</Message></Error>"
    ));
    let response = encode(&Service::Emr, "DescribeStep", error(), 1);
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(
        body,
        json!({"__type": "InvalidInstanceID.NotFound", "message": "no <i-1>"})
    );
    let response = encode(&Service::Fis, "GetExperiment", error(), 1);
    assert_eq!(response.headers()["x-amzn-errortype"], "InvalidInstanceID.NotFound");
    assert!(text(&encode(&Service::S3, "GetObject", error(), 1)).contains("<Error><Code>"));
    for service in [Service::Sts, Service::CloudFormation, Service::Unknown("iam".into())] {
        assert!(text(&encode(&service, "GetCallerIdentity", error(), 1)).starts_with("<ErrorResponse><Error>"));
    }
}

#[test]
fn lists_of_the_query_protocol_lose_and_get_their_member() {
    let form = "Action=CreateStack&StackName=s&Capabilities.member.1=A&Capabilities.member.2=B&\
                Parameters.member.1.ParameterKey=k&Parameters.member.1.ParameterValue=v&member.x=1&Version=2010-05-15";
    let call = decode(&signed("cloudformation", Request::post("/"), form)).unwrap();
    let expected = json!({
        "StackName": "s", "Capabilities": ["A", "B"], "Parameters": [{"ParameterKey": "k", "ParameterValue": "v"}],
        "member": {"x": "1"},
    });
    assert_eq!((call.service, call.input), (Service::CloudFormation, expected));
    let answer = Ok(json!({"Stacks": [{"StackName": "a<b"}], "Empty": [], "None": null}));
    let response = encode(&Service::CloudFormation, "DescribeStacks", answer, 1);
    let expected =
        "<DescribeStacksResult><Stacks><member><StackName>a&lt;b</StackName></member></Stacks></DescribeStacksResult>";
    assert!(
        text(&response).replace("<Empty></Empty>", "").contains(expected),
        "{}",
        text(&response)
    );
}

#[test]
fn lambdas_and_schedulers_paths_are_operations_and_others_keep_their_name() {
    let path = "/2015-03-31/functions/a%3Ab/invocations";
    let request = Request::post(path).header("x-amz-invocation-type", "Event");
    let call = decode(&signed("lambda", request, r#"{"x": 1}"#)).unwrap();
    assert_eq!(call.operation, "Invoke");
    assert_eq!(
        call.input,
        json!({"FunctionName": "a:b", "InvocationType": "Event", "Payload": {"x": 1}})
    );
    let refusal = decode(&signed("lambda", Request::post(path), "{")).unwrap_err();
    assert_eq!(refusal.error.code, "InvalidRequestContentException");
    let call = decode(&signed(
        "lambda",
        Request::get("/2019-09-25/functions/f/event-invoke-config"),
        "",
    ))
    .unwrap();
    assert_eq!(call.operation, "GET /2019-09-25/functions/f/event-invoke-config");
    let call = decode(&signed("scheduler", Request::get("/schedules/a?groupName=g"), "")).unwrap();
    assert_eq!(
        (call.operation.as_str(), call.input),
        ("GetSchedule", json!({"Name": "a", "groupName": "g"}))
    );
}

#[test]
fn an_unknown_sub_resource_of_s3_is_not_taken_for_the_rest_of_the_request() {
    for (method, path) in [
        ("DELETE", "/b?metadataConfiguration"),
        ("PUT", "/b/k?renameObject"),
        ("GET", "/b?abac&prefix=x"),
    ] {
        let request = Request::builder().method(method).uri(path);
        assert_eq!(
            decode(&signed("s3", request, "")).unwrap_err().error.status,
            501,
            "{path}"
        );
    }
    let known =
        "/b/k?X-Amz-Credential=a%2Fb%2Fc%2Fs3%2Faws4_request&X-Amz-Signature=x&response-content-type=text%2Fplain";
    assert_eq!(
        decode(&signed("s3", Request::get(known), "")).unwrap().operation,
        "GetObject"
    );
    assert_eq!(
        decode(&signed("s3", Request::get("/b/k?x-id=GetObject"), ""))
            .unwrap()
            .operation,
        "GetObject"
    );
}

#[test]
fn an_invocations_answer_is_the_functions_own() {
    let answer = json!({"StatusCode": 200, "FunctionError": "Unhandled", "Payload": {"errorType": "X"}});
    let response = encode(&Service::Lambda, "Invoke", Ok(answer), 1);
    assert_eq!(
        (text(&response), response.status().as_u16()),
        (r#"{"errorType":"X"}"#, 200)
    );
    assert_eq!(response.headers()["x-amz-function-error"], "Unhandled");
    let response = encode(&Service::Lambda, "Invoke", Ok(json!({"StatusCode": 202})), 1);
    assert_eq!((text(&response), response.status().as_u16()), ("", 202));
}

#[test]
fn calls_have_the_name_that_iam_gives_their_permission() {
    assert_eq!(Service::S3.iam_action("ListObjectsV2"), "s3:ListBucket");
    assert_eq!(Service::S3.iam_action("HeadObject"), "s3:GetObject");
    assert_eq!(Service::S3.iam_action("DeleteObjects"), "s3:DeleteObject");
    assert_eq!(Service::Emr.iam_action("DescribeStep"), "elasticmapreduce:DescribeStep");
}

#[test]
fn no_request_whatever_panics() {
    let mut rng = fastrand::Rng::with_seed(1);
    let words = [
        "Action",
        "=",
        "&",
        ".",
        "1",
        "A",
        "%",
        "%ff",
        "\u{0}",
        "{",
        "\"",
        "[",
        "/",
        "experiments",
        "tags",
        "é",
        ":",
    ];
    let services = [
        "ec2",
        "elasticmapreduce",
        "fis",
        "s3",
        "dynamodb",
        "cloudformation",
        "lambda",
        "logs",
        "scheduler",
        "glue",
        "",
        "/",
    ];
    for _ in 0..20_000 {
        let mut text = |length: usize| {
            (0..rng.usize(..length))
                .map(|_| words[rng.usize(..words.len())])
                .collect::<String>()
        };
        let (path, body, target) = (text(6), text(30), text(4));
        let request = Request::post(format!("/{}", path.replace(['\u{0}', '{', '"', '[', 'é'], "-")));
        let Ok(request) = request
            .header("x-amz-target", target.replace(['\u{0}', 'é'], "-"))
            .body(Bytes::new())
        else {
            continue;
        };
        let (parts, _) = request.into_parts();
        let mut request = Request::from_parts(parts, Bytes::from(body));
        let service = services[rng.usize(..services.len())];
        let scope = format!("Credential=AK/20270101/us-sim-1/{service}/aws4_request");
        request.headers_mut().insert("authorization", scope.parse().unwrap());
        if rng.bool() {
            request.headers_mut().remove("authorization");
        }
        if let Err(refusal) = decode(&request) {
            assert!(encode(&refusal.service, "X", Err(refusal.error), 1).status().as_u16() >= 400);
        }
    }
}
