//! The world around the account: the clock goes on, events are delivered, functions run.
//!
//! Separate from the account because time passes only here. One task does everything that is due by itself; each
//! invocation of a function is a task of its own, whose AWS calls come back here through the SDK's HTTP client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::Aws;
use tokio::sync::Notify;

use crate::account::Account;
use crate::api::{ACCOUNT, ApiError, BusEvent, REGION, Time};
use crate::clock::Clock;
use crate::connector;
use crate::event_bus::{self, EventBus};
use crate::functions::Function;
use crate::journal::Kind;
use crate::queue::{self, Message, Queue};
use crate::s3;
use crate::scheduler::{Execution, Expression};
use crate::template::{Destination, Template};

/// How deliveries go wrong, in the ways that AWS allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deliveries {
    /// Of a hundred deliveries so many come twice.
    //= https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html
    pub twice_percent: u32,
    /// Of a hundred events so many are never emitted: EMR's and EC2's are best effort.
    //= https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event.html
    pub lost_percent: u32,
    /// Milliseconds that a delivery takes at most.
    pub delay_ms_max: u64,
}

impl Default for Deliveries {
    fn default() -> Self {
        Self {
            twice_percent: 3,
            lost_percent: 0,
            delay_ms_max: 1_500,
        }
    }
}

/// The simulated world. Clones share it.
#[derive(Clone)]
pub struct World {
    /// Virtual time.
    pub clock: Clock,
    state: Arc<Mutex<State>>,
    wake: Arc<Notify>,
}

/// Everything in the world.
pub struct State {
    /// The account.
    pub account: Account,
    /// The deployed template.
    pub template: Template,
    /// Its queues by logical id.
    pub queues: BTreeMap<String, Queue>,
    /// What went to log groups, by group.
    pub logs: BTreeMap<String, Vec<(Time, Value)>>,
    functions: BTreeMap<String, Function>,
    bus: EventBus,
    s3: s3::Service,
    schedules: Vec<Scheduled>,
    deliveries: BTreeMap<(Time, u64), Delivery>,
    delivered: u64,
    faults: Deliveries,
    invocations_running: usize,
    bug: Option<String>,
}

struct Scheduled {
    arn: String,
    expression: Expression,
    created_at: Time,
    next_at: Option<Time>,
    destination: Destination,
    input: String,
}

struct Delivery {
    destination: Destination,
    payload: Value,
}

impl World {
    /// An account in which the template is deployed, at this time.
    pub fn new(
        template_text: &str,
        parameters: &BTreeMap<String, String>,
        seed: u64,
        epoch: Time,
        faults: Deliveries,
    ) -> Result<Self, String> {
        // The SDK draws the jitter of its back-off here.
        fastrand::seed(seed);
        let clock = Clock::begin(epoch);
        let mut account = Account::new(seed, epoch);
        let mut template = Template::load(template_text, parameters).map_err(|error| error.to_string())?;
        let experiment_template = account.deploy(epoch, &template).map_err(|error| error.to_string())?;
        template.set_experiment_template_id(&experiment_template);
        let bus = EventBus::from_template(&template).map_err(|error| error.to_string())?;
        let functions = template
            .functions
            .iter()
            .map(|(id, function)| Ok((id.clone(), Function::deploy(id, function)?)))
            .collect::<Result<BTreeMap<_, _>, String>>()?;
        let schedules = template
            .schedules
            .iter()
            .filter(|schedule| schedule.enabled)
            .map(|schedule| {
                let expression = Expression::parse(&schedule.expression).map_err(|error| error.to_string())?;
                Ok(Scheduled {
                    arn: format!(
                        "arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/spot-drill/{}",
                        schedule.id
                    ),
                    next_at: expression.next_after(epoch, epoch),
                    expression,
                    created_at: epoch,
                    destination: schedule.destination.clone(),
                    input: schedule.input.clone(),
                })
            })
            .collect::<Result<Vec<_>, String>>()?;
        let queues = template
            .queues
            .iter()
            .map(|(id, queue)| (id.clone(), Queue::new(queue.clone())))
            .collect();
        let s3 = s3::service(account.s3.clone());
        let state = State {
            account,
            template,
            queues,
            logs: BTreeMap::new(),
            functions,
            bus,
            s3,
            schedules,
            deliveries: BTreeMap::new(),
            delivered: 0,
            faults,
            invocations_running: 0,
            bug: None,
        };
        Ok(Self {
            clock,
            state: Arc::new(Mutex::new(state)),
            wake: Arc::new(Notify::new()),
        })
    }

    /// The state, for as long as the guard lives; never across an await.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Clients whose calls are noted as this caller's.
    pub fn aws(&self, caller: &str) -> Aws {
        Aws::new(&connector::sdk_config(self, caller))
    }

    /// S3's protocol over the account's buckets.
    pub fn s3(&self) -> s3::Service {
        self.lock().s3.clone()
    }

    /// Something changed: look again at what is due.
    pub fn changed(&self) {
        self.wake.notify_one();
    }

    /// Lets everything happen that happens by itself, for ever.
    pub async fn run(self) {
        loop {
            let due = self.act();
            match due {
                Some(due) => tokio::select! {
                    biased;
                    () = self.wake.notified() => {}
                    () = self.clock.sleep_until(due) => {}
                },
                None => self.wake.notified().await,
            }
        }
    }

    /// Does what is due now, and says when something is next.
    fn act(&self) -> Option<Time> {
        let now = self.clock.now();
        let mut state = self.lock();
        state.account.advance(now);
        state.fire_schedules(now);
        state.take_events(now);
        while let Some(entry) = state.deliveries.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let delivery = entry.remove();
            self.deliver(&mut state, now, delivery);
        }
        self.receive_batches(&mut state, now);
        state.due()
    }

    fn deliver(&self, state: &mut State, now: Time, delivery: Delivery) {
        match delivery.destination {
            Destination::Function(id) => {
                state.invocations_running += 1;
                let request_id = state.new_id(now);
                tokio::spawn(self.clone().invoke_asynchronously(id, request_id, delivery.payload));
            }
            Destination::Queue(id) => state.send(now, &id, delivery.payload.to_string()),
            Destination::LogGroup(name) => state.logs.entry(name).or_default().push((now, delivery.payload)),
        }
    }

    /// Invokes a function with each batch that is due in its queue.
    fn receive_batches(&self, state: &mut State, now: Time) {
        let mappings: Vec<(String, crate::template::QueueMapping)> = state
            .template
            .functions
            .iter()
            .filter_map(|(id, function)| Some((id.clone(), function.queue.clone()?)))
            .collect();
        for (function, mapping) in mappings {
            while state
                .queues
                .get(&mapping.queue)
                .and_then(|q| q.batch_due(&mapping))
                .is_some_and(|due| due <= now)
            {
                let mut queue = state.queues.remove(&mapping.queue).expect("it was there a line above");
                let (messages, given_up) = queue.receive(&mut state.account.ctx(now), mapping.batch_size);
                let redrive = queue.settings().redrive.as_ref().map(|redrive| redrive.queue.clone());
                let payload = queue::lambda_event(queue.settings(), &messages);
                state.queues.insert(mapping.queue.clone(), queue);
                if let Some(dead_letters) = redrive.and_then(|id| state.queues.get_mut(&id)) {
                    given_up.into_iter().for_each(|message| dead_letters.add(message));
                }
                if messages.is_empty() {
                    continue;
                }
                state.invocations_running += 1;
                let request_id = state.new_id(now);
                let (function, queue) = (function.clone(), mapping.queue.clone());
                tokio::spawn(
                    self.clone()
                        .invoke_with_batch(function, queue, request_id, payload, messages),
                );
            }
        }
    }

    /// An asynchronous invocation: up to two more attempts, one and then two minutes later; what fails for good goes to
    /// the function's failure destination.
    //= https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    async fn invoke_asynchronously(self, id: String, request_id: String, payload: Value) {
        let begun_at = self.clock.now();
        let settings = self.lock().template.functions[&id].asynchronous.clone();
        let age_max = TimeDelta::seconds(i64::try_from(settings.event_age_seconds_max).unwrap_or(i64::MAX / 1000));
        let mut attempt = 0;
        loop {
            let answer = self.invoke(&id, &request_id, payload.clone()).await;
            let Err(error) = answer else { break };
            let pause = Duration::from_secs(60 * (attempt + 1));
            let next_at = self.clock.now() + TimeDelta::from_std(pause).unwrap_or_default();
            if attempt == settings.retries || next_at - begun_at > age_max {
                if let Some(queue) = &settings.failure_queue {
                    let body = json!({
                        "version": "1.0",
                        "requestContext": {"requestId": request_id, "condition": "RetriesExhausted",
                            "approximateInvokeCount": attempt + 1},
                        "requestPayload": payload,
                        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
                        "responsePayload": error,
                    });
                    let now = self.clock.now();
                    self.lock().send(now, queue, body.to_string());
                }
                break;
            }
            attempt += 1;
            tokio::time::sleep(pause).await;
        }
        self.lock().invocations_running -= 1;
        self.changed();
    }

    /// Lambda polls a queue for a function: what the function did not name as failed is deleted.
    async fn invoke_with_batch(
        self,
        function: String,
        queue: String,
        request_id: String,
        payload: Value,
        messages: Vec<Message>,
    ) {
        let answer = self.invoke(&function, &request_id, payload).await;
        let failed = match &answer {
            Ok(answer) => queue::failed_messages(answer, &messages),
            Err(_) => None,
        };
        let mut state = self.lock();
        if let (Some(failed), Some(queue)) = (failed, state.queues.get_mut(&queue)) {
            for message in messages.iter().filter(|message| !failed.contains(&message.id)) {
                queue.delete(message.receipt_handle.as_deref().unwrap_or_default());
            }
        }
        state.invocations_running -= 1;
        drop(state);
        self.changed();
    }

    /// One attempt of an invocation, ended by Lambda at the function's timeout.
    pub async fn invoke(&self, id: &str, request_id: &str, payload: Value) -> Result<Value, Value> {
        let (function, name, timeout) = {
            let state = self.lock();
            let deployed = &state.template.functions[id];
            (
                state.functions[id].clone(),
                deployed.name.clone(),
                Duration::from_secs(deployed.timeout_seconds),
            )
        };
        let begun_at = self.clock.now();
        self.lock()
            .account
            .note(begun_at, Kind::Invocation, &name, request_id, "begins", Value::Null);
        let deadline = begun_at + TimeDelta::from_std(timeout).unwrap_or_default();
        let aws = self.aws(&name);
        let request = request_id.to_owned();
        let handled = tokio::spawn(async move { function.invoke(&aws, request, deadline, payload).await });
        let abort = handled.abort_handle();
        let answer = match tokio::time::timeout(timeout, handled).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(diagnostic))) => {
                Err(json!({"errorType": diagnostic.error_type, "errorMessage": diagnostic.error_message}))
            }
            Ok(Err(panic)) => {
                self.lock().bug = Some(format!("{name} panicked: {panic}"));
                Err(json!({"errorType": "Panic", "errorMessage": panic.to_string()}))
            }
            Err(_) => {
                abort.abort();
                let message = format!("{request_id} Task timed out after {}.00 seconds", timeout.as_secs());
                Err(json!({"errorType": "Sandbox.Timedout", "errorMessage": message}))
            }
        };
        let ended_at = self.clock.now();
        let (text, data) = match &answer {
            Ok(answer) => ("ends", answer.clone()),
            Err(error) => ("fails", error.clone()),
        };
        self.lock()
            .account
            .note(ended_at, Kind::Invocation, &name, request_id, text, data);
        answer
    }
}

impl State {
    /// Is nothing under way that a function or a delivery has to do?
    pub fn is_quiet(&self) -> bool {
        let dead_letters: Vec<&String> = self
            .template
            .queues
            .values()
            .filter_map(|queue| queue.redrive.as_ref().map(|redrive| &redrive.queue))
            .collect();
        self.invocations_running == 0
            && self.deliveries.is_empty()
            && self.queues.iter().all(|(id, queue)| {
                dead_letters.contains(&id) || queue.settings().redrive.is_none() || queue.messages().next().is_none()
            })
    }

    /// A bug of a function's that the run met: no AWS behaviour makes a function panic.
    pub fn bug(&self) -> Option<&str> {
        self.bug.as_deref()
    }

    fn due(&self) -> Option<Time> {
        let batches = self.template.functions.values().filter_map(|function| {
            let mapping = function.queue.as_ref()?;
            self.queues.get(&mapping.queue)?.batch_due(mapping)
        });
        [
            self.account.due(),
            self.deliveries.first_key_value().map(|((at, _), _)| *at),
        ]
        .into_iter()
        .flatten()
        .chain(self.schedules.iter().filter_map(|schedule| schedule.next_at))
        .chain(batches)
        .min()
    }

    fn send(&mut self, now: Time, queue: &str, body: String) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.send(&mut self.account.ctx(now), body);
        }
    }

    fn new_id(&mut self, now: Time) -> String {
        Execution::new(&mut self.account.ctx(now), "", now).id
    }

    fn fire_schedules(&mut self, now: Time) {
        for index in 0..self.schedules.len() {
            let schedule = &self.schedules[index];
            let Some(at) = schedule.next_at.filter(|at| *at <= now) else {
                continue;
            };
            let (arn, input, destination) = (
                schedule.arn.clone(),
                schedule.input.clone(),
                schedule.destination.clone(),
            );
            self.schedules[index].next_at = self.schedules[index].expression.next_after(schedule.created_at, at);
            let execution = Execution::new(&mut self.account.ctx(now), &arn, at);
            let payload = serde_json::from_str(&execution.input(&input, 1)).unwrap_or(Value::Null);
            self.schedule_delivery(now, &destination, &payload);
        }
    }

    /// Puts the account's events on the bus, and their deliveries on their way.
    fn take_events(&mut self, now: Time) {
        for event in self.account.take_events() {
            let lost = self.account.rng().u32(..100) < self.faults.lost_percent;
            let envelope = event_bus::envelope(&mut self.account.ctx(now), &event);
            let text = format!("{}{}", event.detail_type, if lost { ", and it is lost" } else { "" });
            self.account
                .note(now, Kind::Event, event.source, &subject(&event), text, envelope.clone());
            if lost {
                continue;
            }
            let destinations: Vec<Destination> = self
                .bus
                .matching(&envelope)
                .into_iter()
                .map(|target| target.destination.clone())
                .collect();
            for destination in destinations {
                self.schedule_delivery(now, &destination, &envelope);
            }
        }
    }

    /// Once, and now and then twice.
    fn schedule_delivery(&mut self, now: Time, destination: &Destination, payload: &Value) {
        let faults = self.faults;
        let times = if self.account.rng().u32(..100) < faults.twice_percent {
            2
        } else {
            1
        };
        for _ in 0..times {
            let delay = self.account.rng().u64(100..=faults.delay_ms_max.max(100));
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
        let destinations: Vec<Destination> = self
            .bus
            .matching(payload)
            .into_iter()
            .map(|target| target.destination.clone())
            .collect();
        for destination in &destinations {
            self.schedule_delivery(now, destination, payload);
        }
        Ok(destinations.len())
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
