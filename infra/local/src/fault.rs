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
            crash: None,
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
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// The caller dies before it is sent.
    CrashBefore,
    /// It is carried out, and the caller dies before the answer.
    CrashAfter,
}
