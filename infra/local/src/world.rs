//! The world around the account: the clock goes on, events are delivered, functions run.
//!
//! Separate from the account because time passes only here. One task does everything that is due by itself; each
//! invocation of a function is a task of its own, whose AWS calls come back here through the SDK's HTTP client.

mod bus;
pub mod connector;
pub mod deployed;
mod fate;
mod invoke;
mod mangled;
mod refusal;
mod stale;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use account::Account;
use account::api::{ACCOUNT, REGION, Time};
use account::event_bus::EventBus;
use account::grants::Grants;
use account::queue::{self, Queue};
use account::s3;
use account::scheduler::{Execution, Expression};
use account::template::{Destination, Template};
use aws::Aws;
use serde_json::Value;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::fault::{Faults, Kind as Fault};
use crate::functions::Function;
use crate::world::deployed::cloudformation::Stacks;

pub use bus::MANGLED;
pub use fate::{EMPTIED, FAULT};

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
    /// The stacks, of which the deployed template is one.
    pub stacks: Stacks,
    /// The default event bus.
    pub bus: EventBus,
    functions: BTreeMap<String, Function>,
    /// What chances a function's calls meet on their way, by its name; without an entry, the account's.
    ways: BTreeMap<String, fastrand::Rng>,
    s3: s3::Service,
    schedules: Vec<Scheduled>,
    deliveries: BTreeMap<(Time, u64), Delivery>,
    delivered: u64,
    epoch: Time,
    faults: Faults,
    /// What reads were last answered, where answers may be stale.
    answered: stale::Answered,
    injected: BTreeMap<Fault, u64>,
    calls: BTreeMap<String, u32>,
    invocations: BTreeMap<String, u32>,
    /// How many asynchronous invocations of each function run, by its logical id.
    executions: BTreeMap<String, u64>,
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
        faults: Faults,
    ) -> Result<Self, String> {
        // The SDK draws the jitter of its back-off here.
        fastrand::seed(seed);
        let clock = Clock::begin(epoch);
        let mut account = Account::new(seed, epoch);
        let mut template = Template::load(template_text, parameters).map_err(|error| error.to_string())?;
        let experiment_template = account.deploy(epoch, &template).map_err(|error| error.to_string())?;
        template.set_experiment_template_id(&experiment_template);
        account.grants = Grants::of(&template)?;
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
        let stacks = Stacks::new(epoch, parameters.clone(), template.outputs.clone());
        let state = State {
            account,
            template,
            stacks,
            queues,
            logs: BTreeMap::new(),
            functions,
            ways: BTreeMap::new(),
            bus,
            s3,
            schedules,
            deliveries: BTreeMap::new(),
            delivered: 0,
            epoch,
            faults,
            answered: stale::Answered::new(),
            injected: BTreeMap::new(),
            calls: BTreeMap::new(),
            invocations: BTreeMap::new(),
            executions: BTreeMap::new(),
            invocations_running: 0,
            bug: None,
        };
        Ok(Self {
            clock,
            state: Arc::new(Mutex::new(state)),
            wake: Arc::new(Notify::new()),
        })
    }

    /// Runs these functions instead of those that were deployed, by logical id.
    pub fn run_functions(&self, functions: BTreeMap<String, Function>) {
        self.lock().functions.extend(functions);
    }

    /// The state, for as long as the guard lives; never across an await.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Clients whose calls are noted as this caller's. `died` is told when the caller's process dies of a fault.
    pub fn aws(&self, caller: &str, died: Arc<Notify>) -> Aws {
        Aws::new(&connector::sdk_config(self, caller, died))
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
        let mappings: Vec<(String, account::template::QueueMapping)> = state
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
}

impl State {
    /// Is nothing under way that a function or a delivery has to do? What lies in a dead-letter queue, which itself
    /// passes nothing on, waits for people.
    pub fn is_quiet(&self) -> bool {
        let mut worked_off = self.queues.values().filter(|queue| queue.settings().redrive.is_some());
        self.invocations_running == 0
            && self.deliveries.is_empty()
            && worked_off.all(|queue| queue.messages().next().is_none())
    }

    /// A bug of a function's that the run met: no AWS behaviour makes a function panic.
    pub fn bug(&self) -> Option<&str> {
        self.bug.as_deref()
    }

    /// From now on each function's calls meet chances of their own. Calls from other processes come when they come: this
    /// way they change nothing in what the account itself draws.
    pub fn draw_calls_apart(&mut self) {
        let names: Vec<String> = self.template.functions.values().map(|one| one.name.clone()).collect();
        self.ways = names
            .into_iter()
            .map(|name| (name, self.account.rng().fork()))
            .collect();
    }

    /// Chance on a caller's way to the account.
    pub(crate) fn way(&mut self, caller: &str) -> &mut fastrand::Rng {
        match self.ways.get_mut(caller) {
            Some(way) => way,
            None => self.account.rng(),
        }
    }

    /// How often each kind of fault has happened.
    pub fn injected(&self) -> &BTreeMap<Fault, u64> {
        &self.injected
    }

    /// How many AWS calls a caller has made.
    pub fn calls(&self, caller: &str) -> u32 {
        self.calls.get(caller).copied().unwrap_or(0)
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

    pub(crate) fn new_id(&mut self, now: Time) -> String {
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
}
