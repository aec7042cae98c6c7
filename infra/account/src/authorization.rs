//! What AWS asks IAM before it answers a call: for each permission, the action, the resource, and the keys that a
//! policy's conditions can name.
//!
//! Separate because nothing here is decided: `grants.rs` asks a function's role, the journal notes what was asked, and
//! judges hold the template's policies against it. Only the operations that the functions call are known in detail; of every other one the resource
//! is `*`, which a policy for one resource does not allow.
//= https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html

use std::collections::BTreeMap;

use bytes::Bytes;
use form_urlencoded::parse;
use http::Request;
use serde_json::{Map, Value, json};

use crate::api::{ACCOUNT, REGION};
use crate::cloudwatch;
use crate::emr::Emr;
use crate::fis::Fis;
use crate::s3::{Encryption, Store};
use crate::wire::{Call, Service};

/// One permission that is asked for. The values are texts or lists of texts.
fn permission(action: &str, resource: impl Into<String>, context: Map<String, Value>) -> Value {
    json!({"action": action, "resource": resource.into(), "context": context})
}

fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The permissions of a call of any service but S3, before it is answered.
pub fn of_call(emr: &Emr, fis: &Fis, call: &Call, body: &Bytes) -> Vec<Value> {
    let action = call.service.iam_action(&call.operation);
    match call.service {
        Service::DynamoDb => of_dynamodb(&action, &serde_json::from_slice(body).unwrap_or_default()),
        Service::Ec2 => vec![permission(
            &action,
            "*",
            Map::from_iter([("ec2:Region".into(), REGION.into())]),
        )],
        Service::Emr => of_emr(emr, &action, &call.input),
        Service::Fis => of_fis(fis, &action, &call.input),
        Service::CloudWatch => of_cloudwatch(&action, &call.input),
        _ => vec![permission(&action, "*", Map::new())],
    }
}

fn of_emr(emr: &Emr, action: &str, input: &Value) -> Vec<Value> {
    let id = input["ClusterId"].as_str().or_else(|| input["JobFlowId"].as_str());
    let Some(id) = id else {
        return vec![permission(action, "*", Map::new())];
    };
    let tags = emr.cluster(id).map(|cluster| &cluster.tags);
    let context = keys("elasticmapreduce:ResourceTag", tags);
    vec![permission(
        action,
        arn("elasticmapreduce", &format!("cluster/{id}")),
        context,
    )]
}

/// One for each alarm that is named.
//= https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
fn of_cloudwatch(action: &str, input: &Value) -> Vec<Value> {
    let names: Vec<&str> = input["AlarmNames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let resources = names.iter().map(|name| cloudwatch::arn(name));
    match names.is_empty() {
        true => vec![permission(action, "*", Map::new())],
        false => resources
            .map(|resource| permission(action, resource, Map::new()))
            .collect(),
    }
}

/// `prefix/tag` and the tag's value.
fn keys(prefix: &str, tags: Option<&BTreeMap<String, String>>) -> Map<String, Value> {
    let keys = tags.into_iter().flatten();
    keys.map(|(key, value)| (format!("{prefix}/{key}"), value.as_str().into()))
        .collect()
}

/// The keys of the tags that a request carries.
fn request_tags(input: &Value) -> Map<String, Value> {
    let tags = input["tags"].as_object().cloned().unwrap_or_default();
    if tags.is_empty() {
        return Map::new();
    }
    let names: Vec<String> = tags.keys().cloned().collect();
    let mut context = Map::from_iter([("aws:TagKeys".to_owned(), json!(names))]);
    context.extend(
        tags.into_iter()
            .map(|(key, value)| (format!("aws:RequestTag/{key}"), value)),
    );
    context
}

fn of_fis(fis: &Fis, action: &str, input: &Value) -> Vec<Value> {
    let template = |id: &str| {
        let tags = fis.templates().find(|it| it.id == id).map(|it| &it.definition.tags);
        let resource = arn("fis", &format!("experiment-template/{id}"));
        (resource, keys("aws:ResourceTag", tags))
    };
    let experiment = |id: &str| {
        let tags = fis.experiments().find(|it| it.id == id).map(|it| &it.tags);
        let resource = arn("fis", &format!("experiment/{id}"));
        permission(action, resource, keys("aws:ResourceTag", tags))
    };
    match action {
        "fis:GetExperimentTemplate" | "fis:DeleteExperimentTemplate" => {
            let (resource, context) = template(text(input, "id"));
            vec![permission(action, resource, context)]
        }
        "fis:CreateExperimentTemplate" => of_new_template(action, input),
        "fis:StartExperiment" => {
            let (resource, mut context) = template(text(input, "experimentTemplateId"));
            context.extend(request_tags(input));
            let made = arn("fis", "experiment/*");
            let mut asked = vec![
                permission(action, resource, context),
                permission(action, made.clone(), request_tags(input)),
            ];
            asked.extend(of_tagging(&made, input));
            if fis.experiments().next().is_none() {
                asked.push(of_first_experiment());
            }
            asked
        }
        "fis:GetExperiment" | "fis:StopExperiment" => vec![experiment(text(input, "id"))],
        "fis:ListExperimentResolvedTargets" => vec![experiment(text(input, "experimentId"))],
        "fis:GetSafetyLever" => {
            let lever = format!("safety-lever/{}", text(input, "id"));
            vec![permission(action, arn("fis", &lever), Map::new())]
        }
        _ => vec![permission(action, "*", Map::new())],
    }
}

/// A template needs its actions too, and its role must be one that may be passed on.
//= https://docs.aws.amazon.com/fis/latest/userguide/security_iam_service-with-iam.html
fn of_new_template(action: &str, input: &Value) -> Vec<Value> {
    let made = arn("fis", "experiment-template/*");
    let mut asked = vec![permission(action, made.clone(), request_tags(input))];
    for used in input["actions"].as_object().into_iter().flat_map(Map::values) {
        let resource = arn("fis", &format!("action/{}", text(used, "actionId")));
        asked.push(permission(action, resource, request_tags(input)));
    }
    asked.extend(of_tagging(&made, input));
    let passed = Map::from_iter([("iam:PassedToService".into(), "fis.amazonaws.com".into())]);
    asked.push(permission("iam:PassRole", text(input, "roleArn"), passed));
    asked
}

fn of_tagging(resource: &str, input: &Value) -> Option<Value> {
    let context = request_tags(input);
    (!context.is_empty()).then(|| permission("fis:TagResource", resource, context))
}

/// An account's first experiment makes FIS's service-linked role.
//= https://docs.aws.amazon.com/fis/latest/userguide/using-service-linked-roles.html
fn of_first_experiment() -> Value {
    let role = "role/aws-service-role/fis.amazonaws.com/AWSServiceRoleForFIS";
    let context = Map::from_iter([("iam:AWSServiceName".into(), "fis.amazonaws.com".into())]);
    permission(
        "iam:CreateServiceLinkedRole",
        format!("arn:aws:iam::{ACCOUNT}:{role}"),
        context,
    )
}

/// The hash key is `pk` here; of a query it is what the condition begins with.
//= https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
fn of_dynamodb(action: &str, input: &Value) -> Vec<Value> {
    let table = format!("table/{}", text(input, "TableName"));
    let resource = match input["IndexName"].as_str() {
        Some(index) => arn("dynamodb", &format!("{table}/index/{index}")),
        None => arn("dynamodb", &table),
    };
    let queried = || {
        let name = text(input, "KeyConditionExpression").split_whitespace().nth(2)?;
        input["ExpressionAttributeValues"][name]["S"].as_str()
    };
    let leading = input["Key"]["pk"]["S"].as_str();
    let leading = leading.or_else(|| input["Item"]["pk"]["S"].as_str()).or_else(queried);
    let context = leading.map(|leading| ("dynamodb:LeadingKeys".to_owned(), json!([leading])));
    vec![permission(action, resource, context.into_iter().collect())]
}

/// The permissions of one of S3's calls, before it is answered. The path begins with the bucket, as the connector's does.
pub fn of_s3(store: &Store, call: &Call, request: &Request<Bytes>) -> Vec<Value> {
    let (uri, body) = (request.uri(), request.body());
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let action = call.service.iam_action(&call.operation);
    let path = decoded(uri.path().trim_start_matches('/'));
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let whole = format!("arn:aws:s3:::{bucket}");
    let object = |key: &str| permission(&action, format!("{whole}/{key}"), Map::new());
    let list = |prefix: Option<String>| {
        let context = prefix.map(|prefix| ("s3:prefix".to_owned(), Value::String(prefix)));
        permission("s3:ListBucket", whole.clone(), context.into_iter().collect())
    };
    match call.operation.as_str() {
        "DeleteObjects" => keys_in(body).iter().map(|key| object(key)).collect(),
        "ListObjects" | "ListObjectsV2" => {
            let query = uri.query().unwrap_or_default();
            let mut parameters = parse(query.as_bytes());
            let prefix = parameters.find(|(name, _)| name == "prefix");
            vec![list(Some(
                prefix.map(|(_, value)| value.into_owned()).unwrap_or_default(),
            ))]
        }
        // Who may not list the bucket is not told that an object is absent.
        //= https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        "GetObject" | "HeadObject" => {
            let Ok(found) = store.get(&format!("s3://{bucket}/{key}")) else {
                return vec![object(key), list(None)];
            };
            let is_read = call.operation == "GetObject" || header("x-amz-checksum-mode") == Some("ENABLED");
            let encryption = found.headers.encryption.filter(|_| is_read);
            let used = encryption.as_ref().and_then(|one| of_key("kms:Decrypt", one));
            std::iter::once(object(key)).chain(used).collect()
        }
        "PutObject" | "CreateMultipartUpload" => {
            let algorithm = header("x-amz-server-side-encryption");
            let key_id = header("x-amz-server-side-encryption-aws-kms-key-id");
            let encryption = store.encryption(bucket, Encryption::asked_for(algorithm, key_id).ok().flatten());
            let used = of_key("kms:GenerateDataKey", &encryption);
            std::iter::once(object(key)).chain(used).collect()
        }
        _ if key.is_empty() => vec![permission(&action, whole, Map::new())],
        _ => vec![object(key)],
    }
}

/// S3 uses a KMS key in its caller's name; the checksum of a HEAD is under the key too.
//= https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
//= https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
fn of_key(action: &str, encryption: &Encryption) -> Option<Value> {
    let via = format!("s3.{REGION}.amazonaws.com");
    let context = Map::from_iter([("kms:ViaService".to_owned(), Value::String(via))]);
    Some(permission(action, encryption.key_to_ask_for()?, context))
}

/// The form decoder takes a plus for a space, and reads up to the first `&` or `=`: a path has neither meaning.
fn decoded(path: &str) -> String {
    let form = path.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let name = parse(form.as_bytes()).next().map(|(name, _)| name.into_owned());
    name.unwrap_or_default()
}

/// What is inside each `<Key>`; clients write no attributes and no space into the tag.
fn keys_in(body: &Bytes) -> Vec<String> {
    let body = String::from_utf8_lossy(body);
    let keys = body
        .split("<Key>")
        .skip(1)
        .filter_map(|rest| rest.split("</Key>").next());
    keys.filter_map(|key| Some(quick_xml::escape::unescape(key).ok()?.into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(operation: &str, uri: &str, body: &'static str) -> Vec<Value> {
        let call = Call {
            service: Service::S3,
            operation: operation.into(),
            input: Value::Null,
        };
        let store = Store::new();
        store.create_bucket("b");
        store
            .put("s3://b/there", "x", "2026-11-20T14:00:00Z".parse().unwrap())
            .unwrap();
        store.create_bucket("secret");
        store.encrypt("secret", Encryption::kms("k")).unwrap();
        store
            .put("s3://secret/there", "x", "2026-11-20T14:00:00Z".parse().unwrap())
            .unwrap();
        let request = Request::builder().uri(uri).body(Bytes::from_static(body.as_bytes()));
        of_s3(&store, &call, &request.unwrap())
    }

    #[test]
    fn an_object_under_a_key_of_kms_needs_the_key_too() {
        let asked = s3("GetObject", "/secret/there", "");
        assert_eq!(asked[1]["action"], "kms:Decrypt");
        assert_eq!(asked[1]["resource"], "arn:aws:kms:us-sim-1:000000000000:key/k");
        assert_eq!(
            asked[1]["context"],
            json!({"kms:ViaService": "s3.us-sim-1.amazonaws.com"})
        );
        assert_eq!(s3("HeadObject", "/secret/there", "").len(), 1);
        assert_eq!(s3("PutObject", "/secret/new", "")[1]["action"], "kms:GenerateDataKey");
        assert_eq!(s3("PutObject", "/b/new", "").len(), 1);
    }

    #[test]
    fn an_object_that_is_absent_needs_the_permission_to_list_too() {
        let there = s3("GetObject", "/b/there", "");
        assert_eq!(there, [permission("s3:GetObject", "arn:aws:s3:::b/there", Map::new())]);
        let absent = s3("GetObject", "/b/a%20b", "");
        assert_eq!(absent[0]["resource"], "arn:aws:s3:::b/a b");
        assert_eq!(absent[1]["action"], "s3:ListBucket");
    }

    #[test]
    fn many_objects_are_deleted_by_one_permission_each() {
        let body = "<Delete><Object><Key>x/1</Key></Object><Object><Key>x/2</Key></Object><Quiet>true</Quiet></Delete>";
        let asked = s3("DeleteObjects", "/b?delete", body);
        let resources: Vec<&Value> = asked.iter().map(|one| &one["resource"]).collect();
        assert_eq!(resources, ["arn:aws:s3:::b/x/1", "arn:aws:s3:::b/x/2"]);
        assert_eq!(asked[0]["action"], "s3:DeleteObject");
    }

    #[test]
    fn a_query_and_an_item_name_their_leading_key() {
        let query = json!({"TableName": "t", "IndexName": "by-job", "KeyConditionExpression": "job = :job",
            "ExpressionAttributeValues": {":job": {"S": "copy"}}});
        let asked = of_dynamodb("dynamodb:Query", &query);
        assert_eq!(
            asked[0]["resource"],
            "arn:aws:dynamodb:us-sim-1:000000000000:table/t/index/by-job"
        );
        assert_eq!(asked[0]["context"], json!({"dynamodb:LeadingKeys": ["copy"]}));
        let item = of_dynamodb(
            "dynamodb:PutItem",
            &json!({"TableName": "t", "Item": {"pk": {"S": "a#1"}}}),
        );
        assert_eq!(item[0]["context"]["dynamodb:LeadingKeys"], json!(["a#1"]));
    }
}
