//! What EventBridge does: events to the rules' targets, at least once, after a while.
//!
//! Separate from the world because it is EventBridge's part of it.

use account::api::{ApiError, BusEvent, Time};
use account::event_bus;
use account::journal::Kind;
use account::template::Destination;
use chrono::TimeDelta;
use serde_json::Value;

use super::{Delivery, State};
use crate::fault::{Kind as Fault, LATE_MS};

/// How late a second delivery may be.
const AGAIN_MS_MAX: u64 = 90_000;

impl State {
    /// Puts the account's events on the bus, and their deliveries on their way.
    pub(super) fn take_events(&mut self, now: Time) {
        for event in self.account.take_events() {
            let lost = self.account.rng().u32(..100) < self.faults.lost_percent;
            let envelope = event_bus::envelope(&mut self.account.ctx(now), &event);
            let text = format!("{}{}", event.detail_type, if lost { ", and it is lost" } else { "" });
            self.account
                .note(now, Kind::Event, event.source, &subject(&event), text, envelope.clone());
            if lost {
                self.inject(Fault::EventLost);
                continue;
            }
            self.route(now, &envelope);
            // Nobody who keeps events apart by their ids would know it again.
            let percent = self.faults.again_percent;
            if percent > 0 && self.account.rng().u32(..100) < percent {
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
        if delays[0] > LATE_MS {
            self.inject(Fault::DeliveredLate);
        }
        for delay in delays {
            let at = now + TimeDelta::milliseconds(i64::try_from(delay).unwrap_or(0));
            self.delivered += 1;
            let delivery = Delivery {
                destination: destination.clone(),
                payload: payload.clone(),
            };
            self.deliveries.insert((at, self.delivered), delivery);
        }
    }

    /// Puts an event of somebody's own on the bus.
    pub fn put_event(&mut self, now: Time, payload: &Value) -> Result<usize, ApiError> {
        Ok(self.route(now, payload))
    }
}

/// The resource that an event is about, for the journal.
fn subject(event: &BusEvent) -> String {
    [
        "stepId",
        "instance-id",
        "experiment-id",
        "instanceFleetId",
        "instanceGroupId",
        "clusterId",
    ]
    .iter()
    .find_map(|key| event.detail[*key].as_str())
    .unwrap_or_default()
    .to_owned()
}
