//! Simulated EventBridge: the default event bus, its rules and the envelope of its events.
//!
//! Separate because what routes an event is the deployed template's rules and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use chrono::SecondsFormat;
use quamina::Quamina;
use serde_json::{Value, json};

use crate::api::{ACCOUNT, ApiError, BusEvent, Ctx, HEX, REGION};
use crate::template::{Error, Rule, Target, Template};

/// The default event bus with the rules of a template.
pub struct EventBus {
    rules: BTreeMap<String, Rule>,
    enabled: BTreeSet<String>,
    matcher: Quamina<String>,
}

impl EventBus {
    /// A bus with the template's rules.
    pub fn from_template(template: &Template) -> Result<Self, Error> {
        let mut bus = Self {
            rules: BTreeMap::new(),
            enabled: BTreeSet::new(),
            matcher: Quamina::new(),
        };
        for rule in &template.rules {
            bus.matcher
                .add_pattern(rule.id.clone(), &rule.pattern.to_string())
                .map_err(|error| Error {
                    at: format!("Resources.{}.Properties.EventPattern", rule.id),
                    why: error.to_string(),
                })?;
            if rule.enabled {
                bus.enabled.insert(rule.id.clone());
            }
            bus.rules.insert(rule.id.clone(), rule.clone());
        }
        Ok(bus)
    }

    /// Enables or disables the rule with this logical id or name.
    pub fn set_enabled(&mut self, rule: &str, enabled: bool) -> Result<(), ApiError> {
        let found = self
            .rules
            .values()
            .find(|known| known.id == rule || known.name == rule)
            .map(|known| &known.id);
        let id = found.ok_or_else(|| {
            ApiError::client(
                "ResourceNotFoundException",
                format!("Rule {rule} does not exist on EventBus default."),
            )
        })?;
        if enabled {
            self.enabled.insert(id.clone());
        } else {
            self.enabled.remove(id);
        }
        Ok(())
    }

    /// Whether the rule with this logical id sends events on.
    pub fn is_enabled(&self, id: &str) -> bool {
        self.enabled.contains(id)
    }

    /// The rules, by logical id.
    pub fn rules(&self) -> &BTreeMap<String, Rule> {
        &self.rules
    }

    /// The targets of every enabled rule that matches the event, in the order of the rules' ids.
    //= https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
    pub fn matching(&self, event: &Value) -> Vec<&Target> {
        // Only what is no JSON object cannot be matched, and such an event has no fields that a pattern could ask for.
        let matched = self
            .matcher
            .matches_for_event(event.to_string().as_bytes())
            .unwrap_or_default();
        let matched: BTreeSet<String> = matched.into_iter().collect();
        let rules = matched.intersection(&self.enabled).filter_map(|id| self.rules.get(id));
        rules.flat_map(|rule| &rule.targets).collect()
    }
}

/// The event in its envelope. An id is made up for each call: a repeated delivery repeats the envelope.
//= https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
pub fn envelope(ctx: &mut Ctx, event: &BusEvent) -> Value {
    let mut part = |length: usize| ctx.id("", HEX, length);
    let id = format!("{}-{}-4{}-8{}-{}", part(8), part(4), part(3), part(3), part(12));
    json!({
        "version": "0",
        "id": id,
        "detail-type": event.detail_type,
        "source": event.source,
        "account": ACCOUNT,
        "time": event.time.to_rfc3339_opts(SecondsFormat::Secs, true),
        "region": REGION,
        "resources": event.resources,
        "detail": event.detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Time;
    use crate::template::Destination;

    const TEMPLATE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml"));

    fn bus(parameters: &[(&str, &str)]) -> EventBus {
        let parameters = parameters
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        EventBus::from_template(&Template::load(TEMPLATE, &parameters).unwrap()).unwrap()
    }

    fn event(source: &'static str, detail_type: &'static str, detail: Value) -> Value {
        let (mut journal, mut events) = (crate::journal::Journal::default(), Vec::new());
        let mut rng = fastrand::Rng::with_seed(7);
        let now = "2027-01-01T00:00:00.999Z".parse::<Time>().unwrap();
        let mut ctx = Ctx {
            now,
            rng: &mut rng,
            journal: &mut journal,
            events: &mut events,
        };
        envelope(
            &mut ctx,
            &BusEvent {
                time: now,
                source,
                detail_type,
                resources: Vec::new(),
                detail,
            },
        )
    }

    /// The detail that EMR's events have.
    fn step(state: &str) -> Value {
        event(
            "aws.emr",
            "EMR Step Status Change",
            json!({
                "severity": "INFO", "actionOnFailure": "CONTINUE", "stepId": "s-3PZCQ9RLPEXPL",
                "name": "Spark application", "clusterId": "j-2AXXXXXXGAPLF", "state": state,
                "message": "Step s-3PZCQ9RLPEXPL (Spark application) in Amazon EMR cluster j-2AXXXXXXGAPLF changed.",
            }),
        )
    }

    fn warning() -> Value {
        let detail = json!({"instance-id": "i-0b662ef9931388ba0", "instance-action": "terminate"});
        event("aws.ec2", "EC2 Spot Instance Interruption Warning", detail)
    }

    fn destinations(bus: &EventBus, event: &Value) -> Vec<Destination> {
        bus.matching(event)
            .into_iter()
            .map(|target| target.destination.clone())
            .collect()
    }

    #[test]
    fn each_event_goes_to_its_function_or_queue_and_to_nothing_else() {
        let bus = bus(&[]);
        let start = [Destination::Function("StartExperiment".into())];
        let report = [Destination::Function("WriteReport".into())];
        assert_eq!(destinations(&bus, &step("RUNNING")), start);
        for state in ["COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED"] {
            assert_eq!(destinations(&bus, &step(state)), report, "{state}");
        }
        for state in ["PENDING", "CANCEL_PENDING", "running"] {
            assert!(destinations(&bus, &step(state)).is_empty(), "{state}");
        }
        assert_eq!(
            destinations(&bus, &warning()),
            [Destination::Queue("WarningQueue".into())]
        );
        let rebalance = event(
            "aws.ec2",
            "EC2 Instance Rebalance Recommendation",
            json!({"instance-id": "i-1"}),
        );
        assert!(destinations(&bus, &rebalance).is_empty());
    }

    #[test]
    fn an_event_of_another_account_or_region_or_source_goes_nowhere() {
        let bus = bus(&[]);
        for (field, value) in [
            ("account", "123456789012"),
            ("region", "eu-west-1"),
            ("source", "my.app"),
        ] {
            let mut event = step("RUNNING");
            event[field] = json!(value);
            assert!(destinations(&bus, &event).is_empty(), "{field}");
        }
        assert!(destinations(&bus, &json!([])).is_empty());
    }

    #[test]
    fn a_disabled_rule_sends_nothing_until_it_is_enabled() {
        let mut bus = bus(&[]);
        bus.set_enabled("StepStarted", false).unwrap();
        assert!(destinations(&bus, &step("RUNNING")).is_empty());
        bus.set_enabled("spot-drill-StepStarted", true).unwrap();
        assert_eq!(destinations(&bus, &step("RUNNING")).len(), 1);
        assert_eq!(
            bus.set_enabled("Nothing", true).unwrap_err().code,
            "ResourceNotFoundException"
        );
    }

    #[test]
    fn the_optional_log_group_gets_warnings_too() {
        let name = "/aws/events/spotinterruptions";
        let bus = bus(&[("TrackingLogGroup", name)]);
        let expected = [
            Destination::LogGroup(name.into()),
            Destination::Queue("WarningQueue".into()),
        ];
        assert_eq!(destinations(&bus, &warning()), expected);
    }

    #[test]
    fn an_envelope_has_whole_seconds_and_an_id_of_the_seed() {
        let event = warning();
        assert_eq!(event["time"], "2027-01-01T00:00:00Z");
        assert_eq!(event["account"], "000000000000");
        assert_eq!(event["version"], "0");
        assert_eq!(event["id"].as_str().unwrap().len(), 36);
        assert_eq!(event["id"], warning()["id"]);
    }
}
