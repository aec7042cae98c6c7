//! What the functions, and people, are answered over the wire.

use std::collections::BTreeMap;

use account::grants::Grants;
use account::s3::Encryption;
use account::template::Template;
use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use serde_json::json;

use crate::fault::Faults;
use crate::run::TEMPLATE;
use crate::world::World;
use crate::world::connector;

const KEY: &str = "arn:aws:kms:us-sim-1:000000000000:key/k";
const WRITE_REPORT: &str = "spot-drill-WriteReport";
const LOG: &str = "/logs/spark-events/application_1_0001";

#[test]
fn what_a_role_is_written_in_and_is_not_simulated_is_no_deployment() {
    let mut template = Template::load(TEMPLATE, &BTreeMap::new()).unwrap();
    assert!(Grants::of(&template).is_ok());
    let role = template.functions["WriteReport"].role.clone();
    let statement = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "true"}}});
    template.roles.get_mut(&role).unwrap().push(statement);
    assert!(
        Grants::of(&template)
            .unwrap_err()
            .contains("the condition operator Bool")
    );
}

/// An account with a bucket of event logs under a key, deployed with these parameters besides.
fn account(parameters: &[(&str, &str)]) -> World {
    let all = [
        ("EventLogBucketArns", "arn:aws:s3:::logs"),
        ("ResultsBucket", "results"),
    ];
    let parameters = all.iter().chain(parameters);
    let parameters = parameters.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let epoch = "2027-01-01T00:00:00Z".parse().unwrap();
    let world = World::new(TEMPLATE, &parameters.collect(), 7, epoch, Faults::default()).unwrap();
    {
        let s3 = &world.lock().account.s3;
        s3.create_bucket("logs");
        s3.create_bucket("results");
        s3.encrypt("logs", Encryption::kms(KEY)).unwrap();
        s3.put(&format!("s3:/{LOG}"), "{}", epoch).unwrap();
    }
    world
}

/// One request, signed for a service.
struct Asked<'a> {
    service: &'a str,
    method: Method,
    uri: &'a str,
    headers: &'a [(&'static str, &'a str)],
    body: &'a str,
}

impl Asked<'_> {
    fn answer(self, world: &World, caller: &str) -> (u16, HeaderMap, String) {
        let credential = format!(
            "AWS4-HMAC-SHA256 Credential=k/20270101/us-sim-1/{}/aws4_request, x",
            self.service
        );
        let mut request = http::Request::builder().method(self.method).uri(self.uri);
        request = request.header("authorization", credential);
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::copy_from_slice(self.body.as_bytes())).unwrap();
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        let response: Response<Bytes> = runtime.block_on(connector::answer(world, caller, request));
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body.to_vec()).unwrap();
        (parts.status.as_u16(), parts.headers, body)
    }
}

fn s3<'a>(method: Method, uri: &'a str, body: &'a str) -> Asked<'a> {
    Asked {
        service: "s3",
        method,
        uri,
        headers: &[],
        body,
    }
}

#[test]
fn an_object_under_a_key_is_read_by_whoever_may_use_the_key_alone() {
    let world = account(&[]);
    let (status, _, body) = s3(Method::GET, LOG, "").answer(&world, WRITE_REPORT);
    assert_eq!(status, 403);
    assert!(body.contains("<Code>AccessDenied</Code>"), "{body}");
    let words =
        format!("is not authorized to perform: kms:Decrypt on resource: {KEY} because no identity-based policy");
    assert!(body.contains(&words), "{body}");
    // Its head is under no key.
    assert_eq!(s3(Method::HEAD, LOG, "").answer(&world, WRITE_REPORT).0, 200);
    let named = account(&[("KmsKeyArns", KEY)]);
    let (status, headers, body) = s3(Method::GET, LOG, "").answer(&named, WRITE_REPORT);
    assert_eq!((status, body.as_str()), (200, "{}"));
    assert_eq!(headers["x-amz-server-side-encryption"], "aws:kms");
    assert_eq!(headers["x-amz-server-side-encryption-aws-kms-key-id"], KEY);
    let other = account(&[("KmsKeyArns", "arn:aws:kms:us-sim-1:000000000000:key/other")]);
    assert_eq!(s3(Method::GET, LOG, "").answer(&other, WRITE_REPORT).0, 403);
}

#[test]
fn a_person_is_not_asked_and_sees_how_objects_are_encrypted() {
    let world = account(&[]);
    for method in [Method::GET, Method::HEAD] {
        let (status, headers, _) = s3(method, LOG, "").answer(&world, "client");
        assert_eq!(status, 200);
        assert_eq!(headers["x-amz-server-side-encryption"], "aws:kms");
    }
    let put = Asked {
        headers: &[
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "mine"),
        ],
        ..s3(Method::PUT, "/results/mine", "x")
    };
    let (status, headers, _) = put.answer(&world, "client");
    let mine = "arn:aws:kms:us-sim-1:000000000000:key/mine";
    assert_eq!(status, 200);
    assert_eq!(headers["x-amz-server-side-encryption-aws-kms-key-id"], mine);
    let (_, headers, _) = s3(Method::HEAD, "/results/mine", "").answer(&world, "client");
    assert_eq!(headers["x-amz-server-side-encryption-aws-kms-key-id"], mine);
    assert_eq!(s3(Method::PUT, "/results/plain", "x").answer(&world, "client").0, 200);
    let (_, headers, _) = s3(Method::GET, "/results/plain", "").answer(&world, "client");
    assert_eq!(headers["x-amz-server-side-encryption"], "AES256");
    let (status, _, body) = s3(Method::GET, "/results/absent", "").answer(&world, "client");
    assert_eq!((status, body.contains("NoSuchKey")), (404, true));
}

#[test]
fn that_an_object_is_absent_is_told_to_those_who_may_list_alone() {
    let absent = "/logs/spark-events/application_2_0001";
    let world = account(&[]);
    let (status, _, body) = s3(Method::GET, absent, "").answer(&world, WRITE_REPORT);
    assert_eq!((status, body.contains("NoSuchKey")), (404, true));
    {
        let mut state = world.lock();
        let mut template = state.template.clone();
        let role = template.functions["WriteReport"].role.clone();
        let statements = template.roles.get_mut(&role).unwrap();
        statements.retain(|statement| statement["Action"] != "s3:ListBucket");
        state.account.grants = Grants::of(&template).unwrap();
    }
    let (status, _, body) = s3(Method::GET, absent, "").answer(&world, WRITE_REPORT);
    assert_eq!(status, 403);
    assert!(
        body.contains("s3:ListBucket on resource: &quot;arn:aws:s3:::logs&quot;"),
        "{body}"
    );
    assert_eq!(s3(Method::HEAD, absent, "").answer(&world, WRITE_REPORT).0, 403);
}

#[test]
fn of_several_objects_those_are_deleted_that_may_be() {
    let world = account(&[]);
    let s3_of = || world.lock().account.s3.clone();
    for key in ["resultsspot/a", "elsewhere/b"] {
        s3_of()
            .put(&format!("s3://results/{key}"), "x", world.clock.now())
            .unwrap();
    }
    let body = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>resultsspot/a</Key></Object>\
                <Object><Key>elsewhere/b</Key></Object></Delete>";
    let (status, _, answer) = s3(Method::POST, "/results?delete", body).answer(&world, "spot-drill-SubmitStep");
    assert_eq!(status, 200, "{answer}");
    assert!(
        answer.contains("<Deleted><Key>resultsspot/a</Key></Deleted>"),
        "{answer}"
    );
    assert!(
        answer.contains("<Code>AccessDenied</Code><Key>elsewhere/b</Key>"),
        "{answer}"
    );
    assert_eq!(s3_of().list("results", "").unwrap(), ["elsewhere/b"]);
}

#[test]
fn each_service_refuses_in_its_own_way() {
    let world = account(&[]);
    let json = |target| [("x-amz-target", target), ("content-type", "application/x-amz-json-1.1")];
    let emr = json("ElasticMapReduce.ListClusters");
    let dynamodb = json("DynamoDB_20120810.Scan");
    let cases = [
        (
            (
                "ec2",
                Method::POST,
                "/",
                &[][..],
                "Action=DescribeInstances&Version=2016-11-15",
            ),
            403,
            "UnauthorizedOperation",
        ),
        (
            ("elasticmapreduce", Method::POST, "/", &emr[..], "{}"),
            400,
            "AccessDeniedException",
        ),
        (
            ("dynamodb", Method::POST, "/", &dynamodb[..], "{\"TableName\": \"t\"}"),
            400,
            "AccessDeniedException",
        ),
        (
            ("fis", Method::GET, "/experiments", &[][..], ""),
            403,
            "AccessDeniedException",
        ),
        (("s3", Method::GET, "/results/x", &[][..], ""), 403, "AccessDenied"),
        (
            ("lambda", Method::GET, "/2015-03-31/functions/", &[][..], ""),
            403,
            "AccessDeniedException",
        ),
    ];
    for ((service, method, uri, headers, body), status, code) in cases {
        let asked = || Asked {
            service,
            method: method.clone(),
            uri,
            headers,
            body,
        };
        // What this function calls is none of these, but for EC2.
        let caller = if service == "ec2" {
            "spot-drill-SubmitStep"
        } else {
            "spot-drill-RecordInterruption"
        };
        let (answered, headers, body) = asked().answer(&world, caller);
        assert_eq!(answered, status, "{service}: {body}");
        let error = headers
            .get("x-amzn-errortype")
            .map_or(body.as_str(), |code| code.to_str().unwrap());
        assert!(error.contains(code), "{service}: {body}");
        assert!(body.contains("is not authorized to perform: "), "{service}: {body}");
        let (answered, _, body) = asked().answer(&world, "client");
        assert!(answered < 400 || !body.contains("authorized"), "{service}: {body}");
    }
}
