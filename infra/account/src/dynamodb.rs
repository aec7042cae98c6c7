//! Simulated DynamoDB: the `dynoxide` crate behind a virtual clock.
//!
//! Separate because the crate answers whole requests; what is ours is the clock, the order of keys in an answer, and
//! the tables of the template. Known divergences: a transaction's client token is remembered by the machine's time,
//! and point-in-time recovery and deletion protection are accepted and ignored. The crate's own: UpdateItem that makes an
//! item answers with its key under `ALL_OLD`, and UpdateTable leaves an index's throughput as it was; a transaction may have
//! empty `ExpressionAttributeValues`; a table's ARN is taken for its name only where the request names one table; some
//! errors of Scan have other words.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dynoxide::storage_backend::ManualClock;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::{ACCOUNT, ApiError, REGION, Time};

/// What of a table in a template DynamoDB's CreateTable takes.
const TABLE_PROPERTIES: [&str; 5] = [
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
];

/// An error answer, in DynamoDB's own envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// The JSON body, with `__type` and a message.
    pub body: Vec<u8>,
}

impl Failure {
    /// The error's name without its namespace: `ConditionalCheckFailedException`.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let name = body["__type"].as_str().unwrap_or("Unknown");
        name.rsplit('#').next().unwrap_or(name).to_owned()
    }
}

/// All tables of the account. Clones share them.
#[derive(Clone)]
pub struct DynamoDb {
    database: Database,
    clock: ManualClock,
    /// When each table was made: the crate stamps the machine's time.
    created_at: Arc<Mutex<BTreeMap<String, u64>>>,
    /// Items of a query's page at most, whatever is asked for.
    page: Option<usize>,
}

impl DynamoDb {
    /// No tables, at `now`.
    pub fn new(now: Time) -> Self {
        let clock = ManualClock::new(seconds(now));
        let database = Database::memory_with_clock(Arc::new(clock.clone())).expect("SQLite needs only memory");
        Self {
            database,
            clock,
            created_at: Arc::default(),
            page: None,
        }
    }

    /// Answers a query with so many items a page at most, as real DynamoDB does when they are a megabyte.
    //= https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html
    pub fn set_page(&mut self, items: usize) {
        self.page = Some(items.max(1));
    }

    /// Sets the virtual time.
    pub fn set_now(&self, now: Time) {
        self.clock.set(seconds(now));
    }

    /// Deletes what expired at or before the virtual time; real DynamoDB does so some days late.
    //= https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
    pub fn sweep_ttl(&self) -> usize {
        self.database.sweep_ttl().expect("a sweep of a database in memory")
    }

    /// Makes a table as an `AWS::DynamoDB::Table` with these properties describes it.
    pub fn create_table(&self, name: &str, properties: &Value) -> Result<(), ApiError> {
        let mut request = json!({ "TableName": name });
        for property in TABLE_PROPERTIES {
            if let Some(value) = properties.get(property) {
                request[property] = value.clone();
            }
        }
        self.set_up("CreateTable", &request)?;
        if let Some(ttl) = properties.get("TimeToLiveSpecification") {
            self.set_up(
                "UpdateTimeToLive",
                &json!({ "TableName": name, "TimeToLiveSpecification": ttl }),
            )?;
        }
        Ok(())
    }

    /// Deletes a table and makes it again as it was described: its items are gone.
    //= https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteTable.html
    pub fn make_anew(&self, name: &str, properties: &Value) -> Result<(), ApiError> {
        self.set_up("DeleteTable", &json!({ "TableName": name }))?;
        self.create_table(name, properties)
    }

    fn set_up(&self, operation: &str, request: &Value) -> Result<(), ApiError> {
        self.call(operation, request.to_string().as_bytes())
            .map(drop)
            .map_err(|failure| {
                let body = String::from_utf8_lossy(&failure.body).into_owned();
                ApiError::with_status(failure.status, &failure.code(), format!("{operation}: {body}"))
            })
    }

    /// Answers one request: the operation of `X-Amz-Target` and its JSON body.
    pub fn call(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, Failure> {
        match self.dispatch(operation, body) {
            Ok(mut answer) => {
                self.restamp(operation, &mut answer);
                Ok(serde_json::to_vec(&sorted(answer)).expect("a JSON value is writable"))
            }
            Err(error) => {
                let body: Value = serde_json::from_str(&error.to_json()).unwrap_or_default();
                let body = serde_json::to_vec(&sorted(body)).expect("a JSON value is writable");
                Err(Failure {
                    status: error.status_code(),
                    body,
                })
            }
        }
    }

    fn dispatch(&self, operation: &str, body: &[u8]) -> Result<Value, DynoxideError> {
        let db = &self.database;
        let body = &*by_name(body);
        match operation {
            "BatchGetItem" => run(body, |request| db.batch_get_item(request)),
            "BatchWriteItem" => run(body, |request| db.batch_write_item(request)),
            "CreateTable" => run(body, |request| db.create_table(request)),
            "DeleteItem" => run(body, |request| db.delete_item(request)),
            "DeleteTable" => run(body, |request| db.delete_table(request)),
            "DescribeTable" => run(body, |request| db.describe_table(request)),
            "DescribeTimeToLive" => run(body, |request| db.describe_time_to_live(request)),
            "ExecuteStatement" => run(body, |request| db.execute_statement(request)),
            "GetItem" => run(body, |request| db.get_item(request)),
            "ListTables" => run(body, |request| db.list_tables(request)),
            "ListTagsOfResource" => run(body, |request| db.list_tags_of_resource(request)),
            "PutItem" => run(body, |request| db.put_item(request)),
            "Query" => run(&self.limited(body), |request| db.query(request)),
            "Scan" => run(body, |request| db.scan(request)),
            "TagResource" => run(body, |request| db.tag_resource(request)),
            "TransactGetItems" => run(body, |request| db.transact_get_items(request)),
            "TransactWriteItems" => run(body, |request| db.transact_write_items(request)),
            "UntagResource" => run(body, |request| db.untag_resource(request)),
            "UpdateItem" => run(body, |request| db.update_item(request)),
            "UpdateTable" => run(body, |request| db.update_table(request)),
            "UpdateTimeToLive" => run(body, |request| db.update_time_to_live(request)),
            _ => Err(DynoxideError::UnsupportedCapability(format!(
                "the simulated account has no operation {operation} of DynamoDB"
            ))),
        }
    }

    /// A query's body, with the limit of a page in it.
    fn limited<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        let (Some(page), Ok(mut request)) = (self.page, serde_json::from_slice::<Value>(body)) else {
            return Cow::Borrowed(body);
        };
        let asked = request["Limit"].as_u64().unwrap_or(u64::MAX);
        request["Limit"] = json!(asked.min(page as u64));
        Cow::Owned(request.to_string().into_bytes())
    }

    /// Puts virtual creation times and the simulated Region into table descriptions.
    fn restamp(&self, operation: &str, answer: &mut Value) {
        let part = if operation == "DescribeTable" {
            "Table"
        } else {
            "TableDescription"
        };
        let Some(table) = answer.get_mut(part) else { return };
        let name = table["TableName"].as_str().unwrap_or_default().to_owned();
        let now = dynoxide::storage_backend::Clock::now_unix_secs(&self.clock);
        let mut created_at = self.created_at.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if operation == "CreateTable" {
            created_at.insert(name.clone(), now);
        }
        if table.get("CreationDateTime").is_some() {
            table["CreationDateTime"] = json!(created_at.get(&name).copied().unwrap_or(now));
        }
        let arn = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}");
        if table.get("TableArn").is_some() {
            table["TableArn"] = json!(arn);
        }
        if let Some(key) = table.pointer_mut("/SSEDescription/KMSMasterKeyArn") {
            let id = key.as_str().and_then(|key| key.rsplit(':').next()).unwrap_or_default();
            *key = json!(format!("arn:aws:kms:{REGION}:{ACCOUNT}:{id}"));
        }
        for indexes in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
            for index in table
                .get_mut(indexes)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                let index_name = index["IndexName"].as_str().unwrap_or_default();
                index["IndexArn"] = json!(format!("{arn}/index/{index_name}"));
            }
        }
        // A random id that nobody asks for.
        if let Some(table) = table.as_object_mut() {
            table.remove("TableId");
            // DynamoDB's published model has no such member.
            table.remove("TableThroughputModeSummary");
        }
    }
}

/// A request that names its table by its ARN, with the name instead.
//= https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html#DDB-GetItem-request-TableName
fn by_name(body: &[u8]) -> Cow<'_, [u8]> {
    let arn = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/");
    let mentions = body.windows(arn.len()).any(|bytes| bytes == arn.as_bytes());
    let Some(mut request) = mentions.then(|| serde_json::from_slice::<Value>(body).ok()).flatten() else {
        return Cow::Borrowed(body);
    };
    let Some(name) = request["TableName"].as_str().and_then(|name| name.strip_prefix(&arn)) else {
        return Cow::Borrowed(body);
    };
    request["TableName"] = json!(name);
    Cow::Owned(request.to_string().into_bytes())
}

fn seconds(time: Time) -> u64 {
    u64::try_from(time.timestamp()).unwrap_or(0)
}

/// Parses the request, runs the operation, and makes a value of its answer.
fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<Value, DynoxideError> {
    let request = serde_json::from_slice(body).map_err(|error| unreadable(&error.to_string()))?;
    let answer = operation(request)?;
    serde_json::to_value(answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// DynamoDB tells a wrong request (validation) from wrong JSON (serialization).
///
/// The crate marks its own complaints with a word in capitals, which only its HTTP server would take off.
//= https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
fn unreadable(message: &str) -> DynoxideError {
    let message = message.split(" at line ").next().unwrap_or(message);
    let marker = message
        .split_once(':')
        .filter(|(word, _)| word.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    let wrong = [
        "missing field",
        "unknown variant",
        "invalid type: null",
        "AttributeValue",
    ];
    match marker {
        Some((word, rest)) if word.starts_with("VALIDATION") => DynoxideError::ValidationException(rest.to_owned()),
        Some((_, rest)) => DynoxideError::SerializationException(rest.to_owned()),
        None if wrong.iter().any(|sign| message.contains(sign)) => {
            DynoxideError::ValidationException(message.to_owned())
        }
        None => DynoxideError::SerializationException(message.to_owned()),
    }
}

/// The same value with every object's keys in order, so that an answer has the same bytes in every run.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> = members.into_iter().map(|(key, v)| (key, sorted(v))).collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
