//! The simulated Amazon EC2: instances and their lives, Spot requests, interruptions.
//!
//! Separate because EMR launches and terminates here, FIS interrupts here, and the functions read here. This file
//! holds the state and its transitions; what a client sees of them is in the files below `ec2/`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::json;

use crate::api::{ACCOUNT, ApiError, Ctx, HEX, REGION, Time};
use crate::instance_type;

mod filter;
mod instance;
mod interruption;
mod operations;
mod other_filters;
mod page;
mod spot_request;
mod throttle;
mod view;

pub use instance::{Cause, Change, Instance, Interruption, Launch, Market, State};
pub use spot_request::SpotRequest;

use throttle::Throttle;

/// The Availability Zones of the simulated Region.
pub const AVAILABILITY_ZONES: [&str; 3] = ["us-sim-1a", "us-sim-1b", "us-sim-1c"];

//= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
/// How long before it interrupts an instance EC2 gives notice.
pub const NOTICE: TimeDelta = TimeDelta::minutes(2);

/// The one subnet of a zone, of the zone's letter.
pub fn subnet_of(availability_zone: &str) -> String {
    let letter = availability_zone.chars().last().unwrap_or('a');
    format!("subnet-00000000000051a1{letter}")
}

/// The next thing that happens to an instance by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It has booted.
    Run,
    /// Its interruption, asked for earlier, is two minutes away.
    Notice,
    /// Its notice is over.
    ShutDown,
    /// It is gone.
    Terminate,
}

/// The whole service.
#[derive(Debug, Default)]
pub struct Ec2 {
    instances: Vec<Instance>,
    index: BTreeMap<String, usize>,
    requests: BTreeMap<String, SpotRequest>,
    /// At most one entry an instance; `steps` says what is to happen.
    schedule: BTreeSet<(Time, usize)>,
    steps: BTreeMap<usize, (Time, Step)>,
    /// Interruptions asked for whose notice is still to come.
    announced: BTreeMap<usize, (Time, Cause)>,
    spot_capacity: Option<u32>,
    /// Entries of a listing's page at most, whatever is asked for.
    page: Option<usize>,
    /// The last private address given away, counted from the start of 10.0.0.0/8.
    last_host: u32,
    changes: Vec<Change>,
    throttle: Throttle,
}

impl Ec2 {
    /// An account without instances, in a Region with Spot capacity without end.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many more Spot launches succeed; `None` means any number.
    pub fn set_spot_capacity(&mut self, instances: Option<u32>) {
        self.spot_capacity = instances;
    }

    /// Lists so many entries a page at most, whatever is asked for. `0`: as many as are asked for, after a first page without
    /// any.
    pub fn set_page(&mut self, entries: usize) {
        self.page = Some(entries);
    }

    /// Launches an instance and returns its id. An empty Availability Zone leaves the choice to EC2.
    pub fn launch(&mut self, ctx: &mut Ctx, launch: Launch) -> Result<String, ApiError> {
        let Launch {
            instance_type,
            market,
            availability_zone,
            tags,
        } = launch;
        if instance_type::lookup(&instance_type).is_none() {
            return Err(invalid(format!("Invalid value '{instance_type}' for InstanceType.")));
        }
        let availability_zone = self.place(ctx, availability_zone)?;
        if market == Market::Spot {
            self.take_spot_capacity()?;
        }
        let instance_id = ctx.id("i-0", HEX, 16);
        let (private_ip, private_dns_name) = self.next_address(ctx);
        let spot_request_id =
            (market == Market::Spot).then(|| ctx.id("sir-", "0123456789abcdefghijklmnopqrstuvwxyz", 8));
        let position = self.instances.len();
        self.instances.push(Instance {
            instance_id: instance_id.clone(),
            reservation_id: ctx.id("r-0", HEX, 16),
            instance_type: instance_type.clone(),
            market,
            state: State::Pending,
            launched_at: ctx.now,
            running_at: None,
            rebalance_recommended_at: None,
            interruption: None,
            shutting_down_at: None,
            terminated_at: None,
            private_ip,
            private_dns_name,
            availability_zone: availability_zone.clone(),
            tags,
            spot_request_id: spot_request_id.clone(),
        });
        self.index.insert(instance_id.clone(), position);
        self.record(
            ctx,
            position,
            format!("launched as {instance_type} in {availability_zone}"),
        );
        if let Some(id) = spot_request_id {
            ctx.emit(
                "aws.ec2",
                "EC2 Spot Instance Request Fulfillment",
                vec![instance_arn(&instance_id)],
                json!({"spot-instance-request-id": id, "instance-id": instance_id}),
            );
            self.requests
                .insert(id.clone(), SpotRequest::fulfilled(id, instance_id.clone(), ctx.now));
        }
        let boot = TimeDelta::seconds(ctx.rng.i64(8..=25));
        self.plan(position, ctx.now + boot, Step::Run);
        Ok(instance_id)
    }

    /// Terminates an instance on its owner's behalf; without effect when it is already on its way out. An interruption
    /// that it has notice of stays the cause of its end.
    pub fn terminate(&mut self, ctx: &mut Ctx, instance_id: &str) {
        let position = self.position(instance_id);
        if self.instances[position].is_alive() {
            self.announced.remove(&position);
            self.shut_down(ctx, position);
        }
    }

    /// Sets a tag, with none of the API's limits: services such as EMR set `aws:` tags, customers cannot.
    pub fn tag(&mut self, instance_id: &str, key: &str, value: &str) {
        let position = self.position(instance_id);
        self.instances[position].tags.insert(key.to_owned(), value.to_owned());
    }

    /// Takes a tag off, as services do.
    pub fn untag(&mut self, instance_id: &str, key: &str) {
        let position = self.position(instance_id);
        self.instances[position].tags.remove(key);
    }

    /// An instance, however long it has been gone.
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.index.get(id).map(|position| &self.instances[*position])
    }

    /// All instances that ever were, in the order of their launch.
    pub fn instances(&self) -> impl ExactSizeIterator<Item = &Instance> {
        self.instances.iter()
    }

    /// All Spot requests that ever were, by id.
    pub fn spot_requests(&self) -> impl Iterator<Item = &SpotRequest> {
        self.requests.values()
    }

    /// When the next transition is due.
    pub fn due(&self) -> Option<Time> {
        self.schedule.first().map(|(at, _)| *at)
    }

    /// Does every transition that is due.
    pub fn advance(&mut self, ctx: &mut Ctx) {
        while let Some(&(at, position)) = self.schedule.first() {
            if at > ctx.now {
                return;
            }
            self.schedule.pop_first();
            let (_, step) = self.steps.remove(&position).expect("a scheduled instance has a step");
            match step {
                Step::Run => self.run(ctx, position),
                Step::Notice => self.give_announced_notice(ctx, position),
                Step::ShutDown => self.shut_down(ctx, position),
                Step::Terminate => self.finish(ctx, position),
            }
        }
    }

    /// The changes since this was last asked, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn run(&mut self, ctx: &mut Ctx, position: usize) {
        let instance = &mut self.instances[position];
        instance.state = State::Running;
        instance.running_at = Some(ctx.now);
        self.changes.push(Change::Running(instance.instance_id.clone()));
        self.record(ctx, position, "running".to_owned());
    }

    fn shut_down(&mut self, ctx: &mut Ctx, position: usize) {
        let instance = &mut self.instances[position];
        let cause = instance
            .interruption
            .as_ref()
            .map_or(Cause::User, |it| it.cause.clone());
        instance.state = State::ShuttingDown;
        instance.shutting_down_at = Some(ctx.now);
        self.changes.push(Change::ShuttingDown(instance.instance_id.clone()));
        let spot_request_id = instance.spot_request_id.clone();
        if let Some(request) = spot_request_id.and_then(|id| self.requests.get_mut(&id)) {
            request.close(&cause, ctx.now);
        }
        self.record(ctx, position, format!("shutting down: {cause}"));
        let seconds = ctx.rng.i64(5..=35);
        self.plan(position, ctx.now + TimeDelta::seconds(seconds), Step::Terminate);
    }

    fn finish(&mut self, ctx: &mut Ctx, position: usize) {
        let instance = &mut self.instances[position];
        instance.state = State::Terminated;
        instance.terminated_at = Some(ctx.now);
        self.changes.push(Change::Terminated(instance.instance_id.clone()));
        self.record(ctx, position, "terminated".to_owned());
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-instance-state-changes.html
    /// Journals an instance's new state and sends its event.
    fn record(&self, ctx: &mut Ctx, position: usize, text: String) {
        let instance = &self.instances[position];
        let state = instance.state.name();
        ctx.emit(
            "aws.ec2",
            "EC2 Instance State-change Notification",
            vec![instance_arn(&instance.instance_id)],
            json!({"instance-id": instance.instance_id, "state": state}),
        );
        let data = json!({
            "state": state, "instanceType": instance.instance_type, "market": instance.market.name(),
            "availabilityZone": instance.availability_zone,
        });
        ctx.transition("ec2", &instance.instance_id, text, data);
    }

    fn plan(&mut self, position: usize, at: Time, step: Step) {
        if let Some((before, _)) = self.steps.insert(position, (at, step)) {
            self.schedule.remove(&(before, position));
        }
        self.schedule.insert((at, position));
    }

    fn position(&self, instance_id: &str) -> usize {
        *self
            .index
            .get(instance_id)
            .unwrap_or_else(|| panic!("a simulated service named {instance_id}, never launched"))
    }

    fn place(&self, ctx: &mut Ctx, wanted: String) -> Result<String, ApiError> {
        if wanted.is_empty() {
            return Ok(AVAILABILITY_ZONES[ctx.rng.usize(..AVAILABILITY_ZONES.len())].to_owned());
        }
        if !AVAILABILITY_ZONES.contains(&wanted.as_str()) {
            return Err(invalid(format!("Invalid availability zone: [{wanted}]")));
        }
        Ok(wanted)
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    fn take_spot_capacity(&mut self) -> Result<(), ApiError> {
        match &mut self.spot_capacity {
            None => Ok(()),
            Some(0) => Err(ApiError::with_status(
                500,
                "InsufficientInstanceCapacity",
                "There is no Spot capacity available that matches your request.",
            )),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    /// A private address and its name, never given away before: what is keyed by host name must not meet twins.
    fn next_address(&mut self, ctx: &mut Ctx) -> (String, String) {
        self.last_host += ctx.rng.u32(1..=9);
        // Fourth octets from 4 to 253, as the ends of a subnet are reserved.
        let (fourth, rest) = (self.last_host % 250 + 4, self.last_host / 250);
        let (third, second) = (rest % 256, rest / 256);
        assert!(second < 256, "the simulated VPC has run out of addresses");
        (
            format!("10.{second}.{third}.{fourth}"),
            format!("ip-10-{second}-{third}-{fourth}.{REGION}.compute.internal"),
        )
    }
}

fn instance_arn(instance_id: &str) -> String {
    format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance_id}")
}

fn invalid(message: String) -> ApiError {
    ApiError::client("InvalidParameterValue", message)
}

#[cfg(test)]
mod tests;
