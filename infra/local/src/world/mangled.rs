//! Events as nobody should send them: of another account, without a field, with another type in it, of a state that is not
//! known, too large, about ids of another shape, or at the wrong function's door.
//!
//! Separate because each is a fault of its own, made from an event that was sent rightly.

use account::template::Destination;
use serde_json::{Map, Value, json};

use super::State;
use crate::fault::Kind;

/// How an event is mangled; each is counted as its own kind of fault.
const WAYS: [Kind; 8] = [
    Kind::Foreign,
    Kind::FieldMissing,
    Kind::FieldNull,
    Kind::FieldOfAnotherType,
    Kind::StateUnknown,
    Kind::Oversize,
    Kind::IdOfAnotherShape,
    Kind::Misrouted,
];

/// EventBridge takes entries of up to 256 KB, and Lambda asynchronous events of as much.
//= https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
const LARGE_BYTES: usize = 250_000;
/// Deeper than parsers of JSON go.
const DEPTH: usize = 300;

impl State {
    /// A mangled copy of an event: how, and where it goes; `None` of what is no event.
    pub(super) fn mangled(&mut self, destination: &Destination, event: &Value) -> Option<(Kind, Destination, Value)> {
        event["detail"].as_object()?;
        let way = WAYS[self.account.rng().usize(..WAYS.len())];
        let mut copy = event.clone();
        let mut to = destination.clone();
        match way {
            Kind::Foreign => (copy["account"], copy["region"]) = (json!("111122223333"), json!("eu-nowhere-1")),
            Kind::FieldMissing => drop(self.field(&mut copy, |fields, key| fields.remove(key))),
            Kind::FieldNull => drop(self.field(&mut copy, |fields, key| fields.insert(key.into(), Value::Null))),
            Kind::FieldOfAnotherType => {
                let other = [json!(42), json!([]), json!({"a": 1}), json!(true)][self.account.rng().usize(..4)].clone();
                self.field(&mut copy, |fields, key| fields.insert(key.into(), other));
            }
            Kind::StateUnknown => {
                let key = if copy["detail"]["state"].is_string() {
                    "state"
                } else {
                    "instance-action"
                };
                copy["detail"][key] = json!("SHELVED");
            }
            Kind::Oversize if self.account.rng().bool() => {
                copy["detail"]["message"] = json!("\u{1F525}x".repeat(LARGE_BYTES / 5))
            }
            Kind::Oversize => copy["detail"]["message"] = (0..DEPTH).fold(json!("deep"), |inner, _| json!([inner])),
            Kind::IdOfAnotherShape => {
                let ids = ["stepId", "clusterId", "instance-id"];
                let others = ["../../reports", "s-\u{202e}\u{0}", "", "j-1; drop table", "i-0"];
                let other = others[self.account.rng().usize(..others.len())];
                for key in ids.into_iter().filter(|key| event["detail"][*key].is_string()) {
                    copy["detail"][key] = json!(other);
                }
            }
            _ => {
                let functions: Vec<String> = self.template.functions.keys().cloned().collect();
                to = Destination::Function(functions[self.account.rng().usize(..functions.len())].clone());
            }
        }
        self.inject(way);
        Some((way, to, copy))
    }

    /// Does something to a field of the event's envelope, or of its detail.
    fn field<T>(&mut self, event: &mut Value, change: impl FnOnce(&mut Map<String, Value>, &str) -> T) -> Option<T> {
        let fields = if self.account.rng().u32(..3) == 0 {
            event
        } else {
            &mut event["detail"]
        };
        let fields = fields.as_object_mut()?;
        let keys: Vec<String> = fields.keys().cloned().collect();
        let key = keys.get(self.account.rng().usize(..keys.len().max(1)))?;
        Some(change(fields, key))
    }
}
