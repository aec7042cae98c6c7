//! A simulated SQS standard queue, and the event that Lambda makes of a batch of its messages.
//!
//! Separate because a queue delivers again what was not deleted: warnings must survive that.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use s3s::crypto::{Checksum as _, Md5};
use serde_json::{Value, json};

use crate::api::{Ctx, HEX, REGION, Time};
use crate::template;

/// The most messages that one ReceiveMessage returns.
//= https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
pub const RECEIVE_MAX: usize = 10;

/// Who EventBridge's messages are from.
const SENDER: &str = "AIDAIENQZJOLO23YVJ4VO";

/// A message in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, which stays over receives and in the dead-letter queue.
    pub id: String,
    /// Its body.
    pub body: String,
    /// When it was sent.
    pub sent_at: Time,
    /// How often it was received.
    pub receives: u64,
    /// When it was received for the first time.
    pub first_received_at: Option<Time>,
    /// Until then it is hidden from receivers.
    pub visible_at: Time,
    /// The handle of its last receive; an older one deletes nothing here.
    pub receipt_handle: Option<String>,
}

/// A standard queue.
#[derive(Debug, Clone)]
pub struct Queue {
    settings: template::Queue,
    /// By the order of sending, which a standard queue does not promise and this one keeps.
    messages: BTreeMap<u64, Message>,
    sent: u64,
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: template::Queue) -> Self {
        Self {
            settings,
            messages: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Its settings.
    pub fn settings(&self) -> &template::Queue {
        &self.settings
    }

    /// All messages that were sent and not deleted.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }

    /// Sends a message. Answers its id.
    pub fn send(&mut self, ctx: &mut Ctx, body: impl Into<String>) -> String {
        let id = uuid(ctx);
        self.add(Message {
            id: id.clone(),
            body: body.into(),
            sent_at: ctx.now,
            receives: 0,
            first_received_at: None,
            visible_at: ctx.now,
            receipt_handle: None,
        });
        id
    }

    /// Takes in a message that another queue gave up.
    pub fn add(&mut self, message: Message) {
        self.sent += 1;
        self.messages.insert(self.sent, message);
    }

    /// When a message is next visible: at once for one that is now.
    pub fn due(&self) -> Option<Time> {
        self.messages.values().map(|message| message.visible_at).min()
    }

    /// When Lambda next invokes the mapping's function: when a whole batch is visible, or the batching window has passed
    /// since the oldest visible message became so.
    //= https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    pub fn batch_due(&self, mapping: &template::QueueMapping) -> Option<Time> {
        let mut visible: Vec<Time> = self.messages.values().map(|message| message.visible_at).collect();
        visible.sort_unstable();
        let window_ends = *visible.first()? + TimeDelta::seconds(i64::try_from(mapping.window_seconds).unwrap_or(0));
        let full_at = visible.get(mapping.batch_size.max(1) - 1).copied();
        Some(full_at.map_or(window_ends, |full_at| full_at.min(window_ends)))
    }

    /// Receives up to `count` visible messages, which are hidden for the visibility timeout. The second list has those
    /// that were received too often already: they belong in the dead-letter queue, and are no longer here.
    //= https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
    pub fn receive(&mut self, ctx: &mut Ctx, count: usize) -> (Vec<Message>, Vec<Message>) {
        let mut received = Vec::new();
        let mut given_up = Vec::new();
        let receives_max = self.settings.redrive.as_ref().map(|redrive| redrive.receives_max);
        let hidden_for = TimeDelta::seconds(i64::try_from(self.settings.visibility_seconds).unwrap_or(0));
        let visible: Vec<u64> = self
            .messages
            .iter()
            .filter(|(_, m)| m.visible_at <= ctx.now)
            .map(|(number, _)| *number)
            .collect();
        for number in visible {
            if received.len() == count {
                break;
            }
            let Some(mut message) = self.messages.remove(&number) else {
                continue;
            };
            if receives_max.is_some_and(|max| message.receives >= max) {
                // It is visible in the next queue at once, under its old id and time of sending.
                given_up.push(Message {
                    receipt_handle: None,
                    visible_at: ctx.now,
                    ..message
                });
                continue;
            }
            message.receives += 1;
            message.first_received_at.get_or_insert(ctx.now);
            message.visible_at = ctx.now + hidden_for;
            message.receipt_handle = Some(uuid(ctx));
            received.push(message.clone());
            self.messages.insert(number, message);
        }
        (received, given_up)
    }

    /// Deletes the message whose last receive has this handle.
    pub fn delete(&mut self, receipt_handle: &str) -> bool {
        let before = self.messages.len();
        self.messages
            .retain(|_, message| message.receipt_handle.as_deref() != Some(receipt_handle));
        before != self.messages.len()
    }
}

/// A random id; a receipt handle is longer on AWS, and as opaque.
fn uuid(ctx: &mut Ctx) -> String {
    let mut part = |length: usize| ctx.id("", HEX, length);
    format!("{}-{}-4{}-8{}-{}", part(8), part(4), part(3), part(3), part(12))
}

/// The event that Lambda invokes a function with for a batch.
//= https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
pub fn lambda_event(queue: &template::Queue, messages: &[Message]) -> Value {
    let records: Vec<Value> = messages.iter().map(|message| record(queue, message)).collect();
    json!({ "Records": records })
}

fn record(queue: &template::Queue, message: &Message) -> Value {
    let md5: String = Md5::checksum(message.body.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let first_received_at = message.first_received_at.unwrap_or(message.sent_at);
    json!({
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": message.receives.to_string(),
            "SentTimestamp": message.sent_at.timestamp_millis().to_string(),
            "SenderId": SENDER,
            "ApproximateFirstReceiveTimestamp": first_received_at.timestamp_millis().to_string(),
        },
        "messageAttributes": {},
        "md5OfBody": md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": REGION,
    })
}

/// The message ids that a function's partial batch answer says have failed; `None` says that all of them have.
///
/// An answer that Lambda cannot read, or that names an unknown message, fails the whole batch.
//= https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
pub fn failed_messages(answer: &Value, messages: &[Message]) -> Option<Vec<String>> {
    let failures = match answer {
        Value::Null => return Some(Vec::new()),
        Value::Object(members) => match members.get("batchItemFailures") {
            None | Some(Value::Null) => return Some(Vec::new()),
            Some(failures) => failures.as_array()?,
        },
        _ => return None,
    };
    let failed: Option<Vec<String>> = failures
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().map(str::to_owned))
        .collect();
    failed.filter(|failed| failed.iter().all(|id| messages.iter().any(|message| message.id == *id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;
    use crate::template::{QueueMapping, Redrive};

    struct Bench {
        rng: fastrand::Rng,
        journal: Journal,
        events: Vec<crate::api::BusEvent>,
        queue: Queue,
    }

    impl Bench {
        fn new() -> Self {
            let redrive = Some(Redrive {
                queue: "DeadLetterQueue".into(),
                receives_max: 2,
            });
            let arn = "arn:aws:sqs:us-sim-1:000000000000:q".into();
            let settings = template::Queue {
                name: "q".into(),
                arn,
                visibility_seconds: 30,
                redrive,
            };
            Self {
                rng: fastrand::Rng::with_seed(7),
                journal: Journal::default(),
                events: Vec::new(),
                queue: Queue::new(settings),
            }
        }

        fn at<T>(&mut self, second: i64, act: impl FnOnce(&mut Queue, &mut Ctx) -> T) -> T {
            let now = time(second);
            let mut ctx = Ctx {
                now,
                rng: &mut self.rng,
                journal: &mut self.journal,
                events: &mut self.events,
            };
            act(&mut self.queue, &mut ctx)
        }
    }

    fn time(second: i64) -> Time {
        Time::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    #[test]
    fn a_received_message_is_hidden_until_its_timeout_and_then_comes_again() {
        let mut bench = Bench::new();
        let id = bench.at(0, |queue, ctx| queue.send(ctx, "body"));
        let (first, _) = bench.at(1, |queue, ctx| queue.receive(ctx, 10));
        assert_eq!((first[0].id.as_str(), first[0].receives), (id.as_str(), 1));
        assert!(bench.at(30, |queue, ctx| queue.receive(ctx, 10)).0.is_empty());
        assert_eq!(bench.queue.due(), Some(time(31)));
        let (second, _) = bench.at(31, |queue, ctx| queue.receive(ctx, 10));
        assert_eq!((second[0].receives, second[0].first_received_at), (2, Some(time(1))));
        assert!(!bench.queue.delete(first[0].receipt_handle.as_ref().unwrap()));
        assert!(bench.queue.delete(second[0].receipt_handle.as_ref().unwrap()));
        assert_eq!(bench.queue.due(), None);
    }

    #[test]
    fn a_message_that_was_received_too_often_is_given_up() {
        let mut bench = Bench::new();
        bench.at(0, |queue, ctx| queue.send(ctx, "body"));
        for second in [0, 30] {
            assert_eq!(bench.at(second, |queue, ctx| queue.receive(ctx, 10)).0.len(), 1);
        }
        let (received, given_up) = bench.at(60, |queue, ctx| queue.receive(ctx, 10));
        assert!(received.is_empty());
        assert_eq!((given_up.len(), bench.queue.messages().count()), (1, 0));
    }

    #[test]
    fn a_batch_is_due_when_it_is_full_or_its_window_has_passed() {
        let mapping = QueueMapping {
            queue: "q".into(),
            batch_size: 3,
            window_seconds: 5,
            report_partial: true,
        };
        let mut bench = Bench::new();
        assert_eq!(bench.queue.batch_due(&mapping), None);
        bench.at(0, |queue, ctx| queue.send(ctx, "1"));
        bench.at(1, |queue, ctx| queue.send(ctx, "2"));
        assert_eq!(bench.queue.batch_due(&mapping), Some(time(5)));
        bench.at(2, |queue, ctx| queue.send(ctx, "3"));
        assert_eq!(bench.queue.batch_due(&mapping), Some(time(2)));
        bench.at(3, |queue, ctx| queue.send(ctx, "4"));
        assert_eq!(
            bench.at(3, |queue, ctx| queue.receive(ctx, mapping.batch_size)).0.len(),
            3
        );
    }

    #[test]
    fn lambdas_event_has_every_field_of_sqs() {
        let mut bench = Bench::new();
        bench.at(0, |queue, ctx| queue.send(ctx, "hello"));
        let (messages, _) = bench.at(2, |queue, ctx| queue.receive(ctx, 10));
        let event = lambda_event(bench.queue.settings(), &messages);
        let record = &event["Records"][0];
        assert_eq!(record["md5OfBody"], "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
        assert_eq!(record["attributes"]["SentTimestamp"], "1800000000000");
        assert_eq!(
            record["attributes"]["ApproximateFirstReceiveTimestamp"],
            "1800000002000"
        );
        assert_eq!(record["eventSourceARN"], "arn:aws:sqs:us-sim-1:000000000000:q");
        assert_eq!(record["receiptHandle"].as_str(), messages[0].receipt_handle.as_deref());
    }

    #[test]
    fn a_partial_answer_names_the_failed_messages_and_a_strange_one_fails_all() {
        let mut bench = Bench::new();
        let id = bench.at(0, |queue, ctx| queue.send(ctx, "1"));
        let (messages, _) = bench.at(0, |queue, ctx| queue.receive(ctx, 10));
        let failed = |answer: Value| failed_messages(&answer, &messages);
        assert_eq!(failed(json!(null)), Some(vec![]));
        assert_eq!(failed(json!({"batchItemFailures": []})), Some(vec![]));
        assert_eq!(
            failed(json!({"batchItemFailures": [{"itemIdentifier": id}]})),
            Some(vec![id.clone()])
        );
        assert_eq!(
            failed(json!({"batchItemFailures": [{"itemIdentifier": "other"}]})),
            None
        );
        assert_eq!(failed(json!({"batchItemFailures": [{"itemIdentifier": ""}]})), None);
        assert_eq!(failed(json!({"batchItemFailures": [{}]})), None);
        assert_eq!(failed(json!("ok")), None);
    }
}
