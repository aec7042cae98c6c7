//! What EventBridge does: events to the rules' targets, at least once, after a while.
//!
//! Separate from the world because it is EventBridge's part of it.

use account::api::{ApiError, Time};
use account::event_bus;
use account::journal::Kind;
use account::template::Destination;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Delivery, State};
use crate::fault::{Kind as Fault, LATE_MS};

/// Who sends what nobody should, says the journal.
pub const MANGLED: &str = "mangled";
/// How late a second delivery may be.
const AGAIN_MS_MAX: u64 = 90_000;
/// How late a delivery is that is hours late: EventBridge tries for a day.
//= https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
const HOURS_LATE_MS: std::ops::Range<u64> = 3_600_000..7_200_000;

impl State {
    /// Puts the account's events on the bus, and their deliveries on their way.
    pub(super) fn take_events(&mut self, now: Time) {
        for event in self.account.take_events() {
            let lost = self.account.rng().u32(..100) < self.faults.lost_percent;
            let envelope = event_bus::envelope(&mut self.account.ctx(now), &event);
            let text = format!("{}{}", event.detail_type, if lost { ", and it is lost" } else { "" });
            self.account.note(
                now,
                Kind::Event,
                event.source,
                subject(&event.detail).unwrap_or_default(),
                text,
                envelope.clone(),
            );
            if lost {
                self.inject(Fault::EventLost);
                continue;
            }
            self.route(now, &envelope);
            // Nobody who keeps events apart by their ids would know it again.
            if self.meets(self.faults.again_percent) {
                self.inject(Fault::EmittedAgain);
                let again = event_bus::envelope(&mut self.account.ctx(now), &event);
                self.route(now, &again);
            }
        }
    }

    /// Sends an event to whoever a rule names; answers how many these are.
    fn route(&mut self, now: Time, envelope: &Value) -> usize {
        let matching = self.bus.matching(envelope).into_iter();
        let destinations: Vec<Destination> = matching.map(|target| target.destination.clone()).collect();
        for destination in &destinations {
            self.schedule_delivery(now, destination, envelope);
        }
        destinations.len()
    }

    /// Once, and now and then a second time, up to a minute and a half later.
    pub(crate) fn schedule_delivery(&mut self, now: Time, destination: &Destination, payload: &Value) {
        let delay_ms_max = self.faults.delay_ms_max.max(100);
        let mut delays = vec![self.account.rng().u64(100..=delay_ms_max)];
        if self.account.rng().u32(..100) < self.faults.twice_percent {
            self.inject(Fault::DeliveredTwice);
            delays.push(self.account.rng().u64(100..=AGAIN_MS_MAX));
        }
        if self.meets(self.faults.hours_late_percent) {
            self.inject(Fault::HoursLate);
            delays[0] += self.account.rng().u64(HOURS_LATE_MS);
        } else if delays[0] > LATE_MS {
            self.inject(Fault::DeliveredLate);
        }
        for delay in delays {
            self.deliver_after(now, delay, destination.clone(), payload.clone());
        }
        if self.meets(self.faults.mangled_percent)
            && let Some((way, destination, payload)) = self.mangled(destination, payload)
        {
            let told = json!({"to": format!("{destination:?}"), "event": payload});
            let subject = subject(&payload["detail"]).unwrap_or_default().to_owned();
            let text = format!("{way:?}");
            self.account.note(now, Kind::Event, MANGLED, &subject, text, told);
            let delay = self.account.rng().u64(100..=delay_ms_max);
            self.deliver_after(now, delay, destination, payload);
        }
    }

    fn deliver_after(&mut self, now: Time, delay_ms: u64, destination: Destination, payload: Value) {
        let at = now + TimeDelta::milliseconds(i64::try_from(delay_ms).unwrap_or(0));
        self.delivered += 1;
        self.deliveries
            .insert((at, self.delivered), Delivery { destination, payload });
    }

    /// Does a fault of so many in a hundred happen? Where it never does, nothing is drawn for it.
    fn meets(&mut self, percent: u32) -> bool {
        percent > 0 && self.account.rng().u32(..100) < percent
    }

    /// Puts an event of somebody's own on the bus.
    pub fn put_event(&mut self, now: Time, payload: &Value) -> Result<usize, ApiError> {
        Ok(self.route(now, payload))
    }
}

/// The resource that an event is about, for the journal, by its detail.
pub(super) fn subject(detail: &Value) -> Option<&str> {
    let keys = [
        "stepId",
        "instance-id",
        "experiment-id",
        "instanceFleetId",
        "instanceGroupId",
        "clusterId",
    ];
    keys.into_iter().find_map(|key| detail[key].as_str())
}
