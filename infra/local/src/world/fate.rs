//! What becomes of each call, and of each invocation, by the faults of the run.
//!
//! Separate because here chance is drawn, and counted; how a fault looks on the wire is `refusal`'s and `stale`'s.

use std::time::Duration;

use account::api::Time;
use account::journal::{self, Entry};
use account::wire::{self, Call, Service};
use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::Value;

use super::State;
use crate::fault::{Fate, Faults, Gone, Kind as Fault, OF_FIS, Refusal, Resource};

/// What meets a call, says the journal, was drawn as a fault of the run.
pub const FAULT: &str = "fault";
/// What the journal says of a table that is made anew.
pub const EMPTIED: &str = "deleted and made anew, without its items";

impl State {
    /// What becomes of a caller's next AWS call.
    pub fn fate(&mut self, now: Time, caller: &str, request: &http::Request<Bytes>) -> Fate {
        self.empty_the_table(now);
        let mut fate = self.draw_fate(caller);
        // What a call is about is looked at only where that matters.
        let percent = self.faults.fis_refused_percent;
        if fate == Fate::Answered
            && percent > 0
            && asks_for_an_experiment(request)
            && self.way(caller).u32(..100) < percent
        {
            fate = Fate::Refused(OF_FIS[self.way(caller).usize(..OF_FIS.len())]);
        }
        if fate == Fate::Answered
            && let Some(what) = self.gone_at(now)
            && self.is_about(request, what)
        {
            fate = Fate::Refused(Refusal::Gone(what));
        }
        if let Some(fault) = fate.fault() {
            self.inject(fault);
            let text = format!("{fault:?}");
            self.account
                .note(now, journal::Kind::Transition, FAULT, caller, text, Value::Null);
        }
        fate
    }

    fn draw_fate(&mut self, caller: &str) -> Fate {
        let calls = self.calls.entry(caller.to_owned()).or_default();
        *calls += 1;
        let at_call = self.faults.at_call.as_ref();
        if let Some(at_call) = at_call.filter(|at_call| at_call.function == caller && at_call.call == *calls) {
            return at_call.fate;
        }
        let mut draw = self.way(caller).u32(..100);
        for (percent, fate) in [
            (self.faults.errors_percent, Fate::Refused(Refusal::Unavailable)),
            (self.faults.lost_answers_percent, Fate::AnswerLost),
            (self.faults.throttled_percent, Fate::Refused(Refusal::Throttled)),
            (self.faults.lost_requests_percent, Fate::RequestLost),
            (self.faults.refused_percent.div_ceil(2), Fate::Refused(Refusal::Denied)),
            (self.faults.refused_percent / 2, Fate::Refused(Refusal::Expired)),
            (self.faults.garbled_percent, Fate::Garbled),
        ] {
            if draw < percent {
                return fate;
            }
            draw -= percent;
        }
        Fate::Answered
    }

    /// What of the deployment's is gone now.
    fn gone_at(&self, now: Time) -> Option<Resource> {
        let gone = self.faults.gone.as_ref()?;
        let seconds = (now - self.epoch).num_seconds() - gone.from_seconds;
        (0..gone.seconds).contains(&seconds).then_some(gone.what)
    }

    /// Makes the ledger's table anew, once, when it goes; while it is gone nobody sees that.
    fn empty_the_table(&mut self, now: Time) {
        let is_time = |gone: &Gone| {
            let goes_at = self.epoch + TimeDelta::seconds(gone.from_seconds);
            gone.what == Resource::Table && gone.comes_back_empty && goes_at <= now
        };
        let is_done = self.injected.contains_key(&Fault::TableEmptied);
        if !is_done && self.faults.gone.as_ref().is_some_and(is_time) {
            self.make_tables_anew(now);
            self.inject(Fault::TableEmptied);
        }
    }

    /// Somebody deletes the template's tables and makes them again: what was in them is lost.
    pub fn make_tables_anew(&mut self, now: Time) {
        for table in self.template.tables.values() {
            let emptied = self.account.dynamodb.make_anew(&table.name, &table.properties);
            emptied.expect("a table that was made can be made again");
            self.account.journal.push(Entry {
                at: now,
                kind: journal::Kind::Transition,
                source: "dynamodb".into(),
                subject: table.name.clone(),
                text: EMPTIED.into(),
                data: Value::Null,
            });
        }
    }

    fn is_about(&self, request: &http::Request<Bytes>, what: Resource) -> bool {
        let Ok(call) = wire::decode(request) else { return false };
        match what {
            Resource::Table => call.service == Service::DynamoDb,
            Resource::Bucket => {
                let path = request.uri().path().trim_start_matches('/');
                let bucket = path.split('/').next();
                call.service == Service::S3 && bucket == self.template.buckets.get("ReportBucket").map(String::as_str)
            }
            Resource::ExperimentTemplate => {
                let ours = self
                    .template
                    .functions
                    .values()
                    .flat_map(|one| one.environment.get("EXPERIMENT_TEMPLATE_ID"));
                call.operation == "GetExperimentTemplate" && ours.into_iter().any(|id| call.input["id"] == **id)
            }
        }
    }

    /// How far a function's clock is off, for as long as the run lasts.
    pub(crate) fn skew(&mut self, caller: &str) -> TimeDelta {
        let most = self.faults.skew_ms_max;
        if most == 0 {
            return TimeDelta::zero();
        }
        self.inject(Fault::ClockOff);
        let of_its_name = i64::from(
            caller
                .bytes()
                .fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)),
        );
        TimeDelta::milliseconds(most * (of_its_name - 128) / 128)
    }

    /// When an invocation that begins now is ended early, after its begin, if it is.
    pub(super) fn ended_early(&mut self, function: &str) -> Option<Duration> {
        let early = self
            .faults
            .ended_early
            .as_ref()
            .filter(|early| early.function == function)?;
        let begun = self.invocations.entry(function.to_owned()).or_default();
        *begun += 1;
        (*begun == early.invocation).then(|| Duration::from_millis(early.after_ms))
    }

    pub(crate) fn inject(&mut self, fault: Fault) {
        *self.injected.entry(fault).or_default() += 1;
    }

    /// From now on nothing goes wrong but what is under way.
    pub fn stop_faults(&mut self) {
        self.faults = Faults {
            twice_percent: 0,
            ..Faults::default()
        };
    }
}

fn asks_for_an_experiment(request: &http::Request<Bytes>) -> bool {
    let is_one = |call: Call| matches!(call.operation.as_str(), "CreateExperimentTemplate" | "StartExperiment");
    wire::decode(request).is_ok_and(is_one)
}
