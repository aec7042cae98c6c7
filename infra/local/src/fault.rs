//! What goes wrong around the services: deliveries, answers, and the functions' own processes.
//!
//! Separate because faults are a setting of a run, drawn from its seed; the services know nothing of them.

/// What goes wrong, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// Of a hundred deliveries so many come twice.
    //= https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html
    pub twice_percent: u32,
    /// Of a hundred events so many are never emitted: EMR's and EC2's are best effort.
    //= https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event.html
    pub lost_percent: u32,
    /// Milliseconds that a delivery takes at most.
    pub delay_ms_max: u64,
    /// Of a hundred AWS calls so many are answered with 503, and nothing is done.
    pub errors_percent: u32,
    /// Of a hundred AWS calls so many are carried out, and the answer is lost.
    pub lost_answers_percent: u32,
    /// Of a hundred AWS calls so many are throttled, whatever the service's own quota.
    pub throttled_percent: u32,
    /// Of a hundred AWS calls so many never arrive, and nothing comes back.
    pub lost_requests_percent: u32,
    /// Of a hundred events so many are emitted a second time, under an id of their own.
    pub again_percent: u32,
    /// A function's process that dies, once.
    pub crash: Option<Crash>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            twice_percent: 3,
            lost_percent: 0,
            delay_ms_max: 1_500,
            errors_percent: 0,
            lost_answers_percent: 0,
            throttled_percent: 0,
            lost_requests_percent: 0,
            again_percent: 0,
            crash: None,
        }
    }
}

impl Faults {
    /// Does AWS answer every call of a function's that lives?
    pub fn answers_each_call(&self) -> bool {
        let refused = self.errors_percent + self.throttled_percent;
        refused + self.lost_answers_percent + self.lost_requests_percent == 0
    }
}

/// The kinds of faults, as they are counted where they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An event is never emitted.
    EventLost,
    /// A delivery comes twice.
    DeliveredTwice,
    /// An event is emitted a second time, under another id.
    EmittedAgain,
    /// A delivery takes longer than [`LATE_MS`].
    DeliveredLate,
    /// A call is answered with 503.
    Unavailable,
    /// A call is throttled.
    Throttled,
    /// A call never arrives.
    RequestLost,
    /// A call is carried out, and its answer is lost.
    AnswerLost,
    /// A function dies before a call.
    DiedBefore,
    /// A function dies after a call.
    DiedAfter,
}

/// Later than this is late: EventBridge takes half a second.
pub const LATE_MS: u64 = 10_000;

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::EventLost,
        Self::DeliveredTwice,
        Self::EmittedAgain,
        Self::DeliveredLate,
        Self::Unavailable,
        Self::Throttled,
        Self::RequestLost,
        Self::AnswerLost,
        Self::DiedBefore,
        Self::DiedAfter,
    ];

    /// What happens, in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::EventLost => "an event is lost",
            Self::DeliveredTwice => "an event is delivered twice",
            Self::EmittedAgain => "an event is emitted again, under another id",
            Self::DeliveredLate => "an event is late",
            Self::Unavailable => "a call is answered with 503",
            Self::Throttled => "a call is throttled",
            Self::RequestLost => "a call never arrives",
            Self::AnswerLost => "a call's answer is lost",
            Self::DiedBefore => "a function dies before a call",
            Self::DiedAfter => "a function dies after a call",
        }
    }
}

/// A function's process dies at one of its AWS calls; Lambda sees a failed invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// The function's name in the account.
    pub function: String,
    /// At its call of this number in the run, from 1.
    pub call: u32,
    /// After AWS has carried the call out, or before it hears of it?
    pub after: bool,
}

/// What becomes of one AWS call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// It is answered with 503, and nothing is done.
    Unavailable,
    /// It is throttled, and nothing is done.
    Throttled,
    /// It never arrives.
    RequestLost,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// The caller dies before it is sent.
    CrashBefore,
    /// It is carried out, and the caller dies before the answer.
    CrashAfter,
}

impl Fate {
    /// What is counted of it.
    pub fn fault(self) -> Option<Kind> {
        Some(match self {
            Self::Answered => return None,
            Self::Unavailable => Kind::Unavailable,
            Self::Throttled => Kind::Throttled,
            Self::RequestLost => Kind::RequestLost,
            Self::AnswerLost => Kind::AnswerLost,
            Self::CrashBefore => Kind::DiedBefore,
            Self::CrashAfter => Kind::DiedAfter,
        })
    }
}
