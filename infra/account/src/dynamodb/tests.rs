//! The database behind its virtual clock.

use super::*;

fn database() -> DynamoDb {
    let database = DynamoDb::new(Time::from_timestamp(1_800_000_000, 0).unwrap());
    let properties = json!({
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "job", "AttributeType": "S"},
            {"AttributeName": "started_at", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-job",
            "KeySchema": [
                {"AttributeName": "job", "KeyType": "HASH"},
                {"AttributeName": "started_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }],
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true},
        "DeletionProtectionEnabled": true,
        "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": true},
    });
    database.create_table("ledger", &properties).unwrap();
    database
}

fn call(database: &DynamoDb, operation: &str, request: Value) -> Result<Value, Failure> {
    let answer = database.call(operation, request.to_string().as_bytes())?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

fn put(sk: &str) -> Value {
    json!({
        "TableName": "ledger",
        "Item": {
            "pk": {"S": "cluster#j-1"}, "sk": {"S": sk}, "job": {"S": "etl"},
            "started_at": {"S": sk}, "expires_at": {"N": "1800000060"},
        },
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    })
}

#[test]
fn a_second_conditional_put_fails_with_the_item_that_is_there() {
    let database = database();
    call(&database, "PutItem", put("claim")).unwrap();
    let failure = call(&database, "PutItem", put("claim")).unwrap_err();
    assert_eq!(
        (failure.status, failure.code().as_str()),
        (400, "ConditionalCheckFailedException")
    );
    let body: Value = serde_json::from_slice(&failure.body).unwrap();
    assert_eq!(body["Item"]["sk"]["S"], "claim");
}

#[test]
fn the_index_of_the_template_answers_in_order() {
    let database = database();
    for sk in ["drill#2", "drill#1"] {
        call(&database, "PutItem", put(sk)).unwrap();
    }
    let query = json!({
        "TableName": "ledger", "IndexName": "by-job", "KeyConditionExpression": "job = :job",
        "ExpressionAttributeValues": {":job": {"S": "etl"}}, "Limit": 1,
    });
    let answer = call(&database, "Query", query).unwrap();
    assert_eq!(answer["Items"][0]["sk"]["S"], "drill#1");
    assert!(answer["LastEvaluatedKey"].is_object());
}

#[test]
fn a_page_may_hold_less_than_was_asked_for() {
    let mut database = database();
    for sk in ["drill#2", "drill#1"] {
        call(&database, "PutItem", put(sk)).unwrap();
    }
    database.set_page(1);
    let query = json!({
        "TableName": "ledger", "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "cluster#j-1"}},
    });
    let answer = call(&database, "Query", query).unwrap();
    assert_eq!(answer["Count"], 1);
    assert!(answer["LastEvaluatedKey"].is_object());
}

#[test]
fn a_cancelled_transaction_says_why() {
    let database = database();
    call(&database, "PutItem", put("claim")).unwrap();
    let mut second = put("claim");
    second
        .as_object_mut()
        .unwrap()
        .remove("ReturnValuesOnConditionCheckFailure");
    let failure = call(
        &database,
        "TransactWriteItems",
        json!({"TransactItems": [{"Put": second}]}),
    )
    .unwrap_err();
    assert_eq!(failure.code(), "TransactionCanceledException");
    let body: Value = serde_json::from_slice(&failure.body).unwrap();
    assert_eq!(body["CancellationReasons"][0]["Code"], "ConditionalCheckFailed");
}

#[test]
fn items_expire_by_the_virtual_clock() {
    let database = database();
    call(&database, "PutItem", put("claim")).unwrap();
    assert_eq!(database.sweep_ttl(), 0);
    database.set_now(Time::from_timestamp(1_800_000_061, 0).unwrap());
    assert_eq!(database.sweep_ttl(), 1);
}

#[test]
fn two_databases_describe_their_table_with_the_same_bytes() {
    let describe = || database().call("DescribeTable", br#"{"TableName":"ledger"}"#).unwrap();
    let first = describe();
    assert_eq!(first, describe());
    let answer: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!(answer["Table"]["CreationDateTime"], 1_800_000_000);
    assert_eq!(
        answer["Table"]["TableArn"],
        "arn:aws:dynamodb:us-sim-1:000000000000:table/ledger"
    );
    assert!(!String::from_utf8(first).unwrap().contains("dynoxide"));
}

#[test]
fn tags_are_found_under_the_arn_that_the_table_was_described_with() {
    let database = database();
    let arn = "arn:aws:dynamodb:us-sim-1:000000000000:table/ledger";
    let tags = json!([{"Key": "a", "Value": "b"}]);
    call(&database, "TagResource", json!({"ResourceArn": arn, "Tags": tags})).unwrap();
    let answer = call(&database, "ListTagsOfResource", json!({"ResourceArn": arn})).unwrap();
    assert_eq!(answer["Tags"], tags);
}

#[test]
fn bad_requests_are_answered_in_dynamodbs_words() {
    let database = database();
    let code = |operation: &str, body: &[u8]| {
        let failure = database.call(operation, body).unwrap_err();
        (failure.status, failure.code())
    };
    assert_eq!(code("GetItem", b"{"), (400, "SerializationException".into()));
    assert_eq!(
        code("GetItem", br#"{"TableName":"none","Key":{"pk":{"S":"a"}}}"#).1,
        "ResourceNotFoundException"
    );
    assert_eq!(
        code("GetItem", br#"{"TableName":"ledger","Key":{"pk":{"S":"a"}}}"#).1,
        "ValidationException"
    );
    assert_eq!(code("RestoreTableToPointInTime", b"{}").0, 501);
    let failure = database.call("CreateTable", br#"{"TableName":"t"}"#).unwrap_err();
    assert_eq!(failure.code(), "ValidationException");
    assert!(!String::from_utf8(failure.body).unwrap().contains("VALIDATION"));
}
