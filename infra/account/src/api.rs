//! What the simulated services share: the time, the context that a rule may act through, and AWS's error body.
//!
//! Separate because it is the only thing that every service file depends on. The services are clock-free: time comes
//! in with each call, and each says when it next has something to do.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::journal::{Entry, Journal, Kind};

/// Virtual time.
pub type Time = DateTime<Utc>;

/// The simulated account's id; no real account has it.
pub const ACCOUNT: &str = "000000000000";

/// The simulated Region; AWS has none of this name.
pub const REGION: &str = "us-sim-1";

/// An event on its way to the default event bus, without the envelope's `id`, which the bus adds.
#[derive(Debug, Clone, PartialEq)]
pub struct BusEvent {
    /// When the service emitted it; EventBridge's envelope has whole seconds.
    pub time: Time,
    /// `aws.ec2`, `aws.emr`, `aws.fis`.
    pub source: &'static str,
    /// EventBridge's `detail-type`.
    pub detail_type: &'static str,
    /// ARNs.
    pub resources: Vec<String>,
    /// The detail, as AWS shapes it.
    pub detail: Value,
}

/// What a simulated service may do besides changing its own state.
pub struct Ctx<'a> {
    /// Virtual time of this call.
    pub now: Time,
    /// The run's one source of chance.
    pub rng: &'a mut fastrand::Rng,
    /// The run's record.
    pub journal: &'a mut Journal,
    /// Events that go to the default event bus.
    pub events: &'a mut Vec<BusEvent>,
}

impl Ctx<'_> {
    /// Records a change of a simulated resource's state.
    pub fn transition(&mut self, source: &str, subject: &str, text: impl Into<String>, data: Value) {
        self.journal.push(Entry {
            at: self.now,
            kind: Kind::Transition,
            source: source.into(),
            subject: subject.into(),
            text: text.into(),
            data,
        });
    }

    /// Sends an event to the default event bus.
    pub fn emit(&mut self, source: &'static str, detail_type: &'static str, resources: Vec<String>, detail: Value) {
        self.events.push(BusEvent {
            time: self.now,
            source,
            detail_type,
            resources,
            detail,
        });
    }

    /// A new id: `prefix` and `length` characters of `alphabet`.
    pub fn id(&mut self, prefix: &str, alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        let tail: String = (0..length).map(|_| letters[self.rng.usize(..letters.len())]).collect();
        format!("{prefix}{tail}")
    }
}

/// Lower-case hexadecimal digits, of which EC2's ids are made.
pub const HEX: &str = "0123456789abcdef";

/// Upper-case letters and digits, of which EMR's ids are made.
pub const UPPER: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Letters and digits, of which FIS's ids are made.
pub const ALPHANUMERIC: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An error that a real client can observe. The wire layer gives it the envelope of the service's protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// AWS's error code: `ValidationException`, `InvalidInstanceID.NotFound`, …
    pub code: String,
    /// AWS's message.
    pub message: String,
    /// EMR's code within its `InvalidRequestException`, where it is known.
    pub error_code: Option<&'static str>,
}

impl ApiError {
    /// An error of the caller's.
    pub fn client(code: &str, message: impl Into<String>) -> Self {
        Self::with_status(400, code, message)
    }

    /// An error with a status of its own.
    pub fn with_status(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            error_code: None,
        }
    }

    /// What an operation that is there cannot do here. As loud.
    pub fn not_offered(service: &str, what: &str) -> Self {
        let message = format!("the simulated account does not offer {what} of {service}");
        Self::with_status(501, "NotImplemented", message)
    }

    /// An operation that the simulated account lacks. Loud, never an empty success.
    pub fn not_implemented(service: &str, operation: &str) -> Self {
        Self::with_status(
            501,
            "NotImplemented",
            format!("the simulated account has no operation {operation} of {service}"),
        )
    }
}
