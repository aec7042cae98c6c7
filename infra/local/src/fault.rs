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
    /// Of a hundred deliveries so many take hours.
    pub hours_late_percent: u32,
    /// Of a hundred deliveries of events so many are followed by a mangled copy.
    pub mangled_percent: u32,
    /// Of a hundred AWS calls so many are refused, by a policy or since the credentials have expired.
    pub refused_percent: u32,
    /// Of a hundred AWS calls so many are carried out, and what comes back is no answer.
    pub garbled_percent: u32,
    /// Of a hundred calls that make or start an experiment FIS refuses so many.
    pub fis_refused_percent: u32,
    /// Of a hundred reads that are only consistent in the end so many are answered as they were before.
    pub stale_percent: u32,
    /// Milliseconds that a function's clock is off at most.
    pub skew_ms_max: i64,
    /// What is gone for a while.
    pub gone: Option<Gone>,
    /// What becomes of one call: a process that dies there, or an answer that is lost.
    pub at_call: Option<AtCall>,
    /// An invocation that Lambda ends early, once.
    pub ended_early: Option<EndedEarly>,
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
            hours_late_percent: 0,
            mangled_percent: 0,
            refused_percent: 0,
            garbled_percent: 0,
            fis_refused_percent: 0,
            stale_percent: 0,
            skew_ms_max: 0,
            gone: None,
            at_call: None,
            ended_early: None,
        }
    }
}

impl Faults {
    /// Does AWS answer every call of a function's that lives?
    pub fn answers_each_call(&self) -> bool {
        let refused = self.errors_percent + self.throttled_percent + self.fis_refused_percent;
        let lost = self.lost_answers_percent + self.lost_requests_percent;
        let is_lost = |at: &AtCall| at.fate == Fate::AnswerLost;
        refused + lost == 0 && !self.at_call.as_ref().is_some_and(is_lost) && !self.refuses_or_garbles()
    }

    /// May a call be refused for good, or come to no answer that can be read?
    pub fn refuses_or_garbles(&self) -> bool {
        let is_garbled = |at: &AtCall| at.fate == Fate::Garbled;
        self.refused_percent + self.garbled_percent > 0
            || self.gone.is_some()
            || self.at_call.as_ref().is_some_and(is_garbled)
    }

    /// Does every invocation come to its own end?
    pub fn lets_each_live(&self) -> bool {
        let dies = |at: &AtCall| matches!(at.fate, Fate::CrashBefore | Fate::CrashAfter);
        !self.at_call.as_ref().is_some_and(dies) && self.ended_early.is_none()
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
    /// A delivery takes hours.
    HoursLate,
    /// An event says that it is of another account and Region.
    Foreign,
    /// An event lacks a field.
    FieldMissing,
    /// A field of an event is null.
    FieldNull,
    /// A field of an event is of another type.
    FieldOfAnotherType,
    /// An event tells of a state, or of an action, that nobody knows.
    StateUnknown,
    /// An event is as large, or as deep, as one can be.
    Oversize,
    /// The ids of an event are none.
    IdOfAnotherShape,
    /// An event comes to another function.
    Misrouted,
    /// A call is refused by a policy.
    Denied,
    /// A call's credentials have expired.
    Expired,
    /// What comes back of a call is no answer.
    Garbled,
    /// FIS says that something else changes at the same time.
    Conflict,
    /// A quota of FIS's is reached.
    QuotaReached,
    /// FIS does not take what it is asked for.
    Invalid,
    /// Lambda ends an invocation early.
    EndedEarly,
    /// A read is answered as it was before.
    Stale,
    /// A function's clock is wrong.
    ClockOff,
    /// The ledger's table is gone.
    TableGone,
    /// The ledger's table is made anew, and what was in it is lost.
    TableEmptied,
    /// The reports' bucket is gone.
    BucketGone,
    /// The experiment template is gone.
    TemplateGone,
}

/// Later than this is late: EventBridge takes half a second.
pub const LATE_MS: u64 = 10_000;

impl Kind {
    /// All of them.
    pub const ALL: [Self; 32] = [
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
        Self::HoursLate,
        Self::Foreign,
        Self::FieldMissing,
        Self::FieldNull,
        Self::FieldOfAnotherType,
        Self::StateUnknown,
        Self::Oversize,
        Self::IdOfAnotherShape,
        Self::Misrouted,
        Self::Denied,
        Self::Expired,
        Self::Garbled,
        Self::Conflict,
        Self::QuotaReached,
        Self::Invalid,
        Self::EndedEarly,
        Self::Stale,
        Self::ClockOff,
        Self::TableGone,
        Self::TableEmptied,
        Self::BucketGone,
        Self::TemplateGone,
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
            Self::HoursLate => "an event is hours late",
            Self::Foreign => "an event of another account and Region",
            Self::FieldMissing => "an event lacks a field",
            Self::FieldNull => "a field of an event is null",
            Self::FieldOfAnotherType => "a field of an event is of another type",
            Self::StateUnknown => "an event of a state that nobody knows",
            Self::Oversize => "an event is very large, or deep",
            Self::IdOfAnotherShape => "the ids of an event are none",
            Self::Misrouted => "an event comes to another function",
            Self::Denied => "a call is refused by a policy",
            Self::Expired => "a call's credentials have expired",
            Self::Garbled => "what comes back of a call is no answer",
            Self::Conflict => "FIS answers ConflictException",
            Self::QuotaReached => "FIS answers ServiceQuotaExceededException",
            Self::Invalid => "FIS answers ValidationException",
            Self::EndedEarly => "Lambda ends an invocation early",
            Self::Stale => "a read is answered as it was before",
            Self::ClockOff => "a function's clock is wrong",
            Self::TableGone => "the ledger's table is gone",
            Self::TableEmptied => "the ledger's table comes back empty",
            Self::BucketGone => "the reports' bucket is gone",
            Self::TemplateGone => "the experiment template is gone",
        }
    }
}

/// What becomes of one of a function's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtCall {
    /// The function's name in the account.
    pub function: String,
    /// Its call of this number in the run, from 1.
    pub call: u32,
    /// What becomes of it.
    pub fate: Fate,
}

/// An invocation that Lambda ends before its time, wherever it stands: its machine fails, or takes too much memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedEarly {
    /// The function's name in the account.
    pub function: String,
    /// Its invocation of this number in the run, from 1.
    pub invocation: u32,
    /// Milliseconds after its begin.
    pub after_ms: u64,
}

/// A resource of the deployment's that is gone for a while: somebody deletes it, and brings it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// What is gone.
    pub what: Resource,
    /// From so many seconds after the run's begin on.
    pub from_seconds: i64,
    /// For so many seconds.
    pub seconds: i64,
    /// Whether a table comes back without its items: one that is made anew has none.
    //= https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteTable.html
    pub comes_back_empty: bool,
}

/// A resource of the deployment's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The ledger's table.
    Table,
    /// The reports' bucket.
    Bucket,
    /// The template that experiments are made from.
    ExperimentTemplate,
}

/// What becomes of one AWS call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// It is refused, and nothing is done.
    Refused(Refusal),
    /// It never arrives.
    RequestLost,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It is carried out, and what comes back is no answer.
    Garbled,
    /// The caller dies before it is sent.
    CrashBefore,
    /// It is carried out, and the caller dies before the answer.
    CrashAfter,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 503.
    Unavailable,
    /// The caller asks too often.
    Throttled,
    /// A policy denies it.
    Denied,
    /// Its credentials have expired.
    Expired,
    /// Something else changes at the same time.
    Conflict,
    /// A quota of the account's is reached.
    QuotaReached,
    /// The service does not take what it is asked for.
    Invalid,
    /// What it is about is not there.
    Gone(Resource),
}

/// What FIS may have against an experiment.
pub const OF_FIS: [Refusal; 3] = [Refusal::Conflict, Refusal::QuotaReached, Refusal::Invalid];

impl Fate {
    /// What is counted of it.
    pub fn fault(self) -> Option<Kind> {
        Some(match self {
            Self::Answered => return None,
            Self::Refused(Refusal::Unavailable) => Kind::Unavailable,
            Self::Refused(Refusal::Throttled) => Kind::Throttled,
            Self::Refused(Refusal::Denied) => Kind::Denied,
            Self::Refused(Refusal::Expired) => Kind::Expired,
            Self::Refused(Refusal::Conflict) => Kind::Conflict,
            Self::Refused(Refusal::QuotaReached) => Kind::QuotaReached,
            Self::Refused(Refusal::Invalid) => Kind::Invalid,
            Self::Refused(Refusal::Gone(Resource::Table)) => Kind::TableGone,
            Self::Refused(Refusal::Gone(Resource::Bucket)) => Kind::BucketGone,
            Self::Refused(Refusal::Gone(Resource::ExperimentTemplate)) => Kind::TemplateGone,
            Self::RequestLost => Kind::RequestLost,
            Self::AnswerLost => Kind::AnswerLost,
            Self::Garbled => Kind::Garbled,
            Self::CrashBefore => Kind::DiedBefore,
            Self::CrashAfter => Kind::DiedAfter,
        })
    }
}
