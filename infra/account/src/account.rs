//! The simulated AWS account: all services, one clock-free state.
//!
//! Separate from the services because they act on one another (FIS on EC2, EC2 on EMR, EMR on S3), and from the world
//! because there is no clock, no queue of deliveries and no function here.

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use crate::api::{ApiError, BusEvent, Ctx, Time};
use crate::authorization;
use crate::cloudwatch;
use crate::dynamodb::{DynamoDb, Failure};
use crate::ec2::{Ec2, Launch};
use crate::emr::Emr;
use crate::fis::Fis;
use crate::grants::{self, Grants};
use crate::journal::{Entry, Journal, Kind};
use crate::s3::Store;
use crate::template::Template;
use crate::wire::{self, Call, Service};
use crate::yarn::State;

/// All state of an account.
pub struct Account {
    /// Instances and Spot requests.
    pub ec2: Ec2,
    /// Clusters, steps, and the Spark applications that run in them.
    pub emr: Emr,
    /// Experiments and their templates.
    pub fis: Fis,
    /// Buckets.
    pub s3: Store,
    /// Tables.
    pub dynamodb: DynamoDb,
    /// Who may do what.
    pub grants: Grants,
    /// The run's record.
    pub journal: Journal,
    rng: fastrand::Rng,
    events: Vec<BusEvent>,
    requests: u64,
}

/// Changes that lead to changes settle in fewer rounds than this, or something turns in a circle.
const ROUNDS_MAX: usize = 100_000;

impl Account {
    /// An empty account.
    pub fn new(seed: u64, now: Time) -> Self {
        Self {
            ec2: Ec2::new(),
            emr: Emr::new(),
            fis: Fis::new(),
            s3: Store::new(),
            dynamodb: DynamoDb::new(now),
            grants: Grants::default(),
            journal: Journal::default(),
            rng: fastrand::Rng::with_seed(seed),
            events: Vec::new(),
            requests: 0,
        }
    }

    /// Makes what the template describes: tables, buckets, and the experiment template, whose id comes back.
    pub fn deploy(&mut self, now: Time, template: &Template) -> Result<String, ApiError> {
        self.s3.set_now(now);
        for table in template.tables.values() {
            self.dynamodb.create_table(&table.name, &table.properties)?;
        }
        for bucket in template.buckets.values() {
            self.s3.create_bucket(bucket);
        }
        let (mut ctx, parts) = self.split(now);
        parts.fis.create_template(&mut ctx, &template.experiment_template)
    }

    /// When something next happens by itself.
    pub fn due(&self) -> Option<Time> {
        [self.ec2.due(), self.emr.due(), self.fis.due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does everything that is due at `now`, in the order in which it was due.
    pub fn advance(&mut self, now: Time) {
        for _ in 0..ROUNDS_MAX {
            let Some(due) = self.due().filter(|due| *due <= now) else {
                return;
            };
            let (mut ctx, parts) = self.split(due);
            if parts.ec2.due().is_some_and(|at| at <= due) {
                parts.ec2.advance(&mut ctx);
            }
            if parts.fis.due().is_some_and(|at| at <= due) {
                parts.fis.advance(&mut ctx, parts.ec2);
            }
            if parts.emr.due().is_some_and(|at| at <= due) {
                parts.emr.advance(&mut ctx, parts.ec2);
            }
            self.settle(due);
        }
        panic!("the account does not come to rest at {now}: something is due again and again");
    }

    /// Tells each service what became of the others.
    fn settle(&mut self, now: Time) {
        for _ in 0..ROUNDS_MAX {
            let (mut ctx, parts) = self.split(now);
            let changes = parts.ec2.take_changes();
            for change in &changes {
                parts.emr.instance_changed(&mut ctx, parts.ec2, change);
            }
            if changes.is_empty() {
                break;
            }
        }
        for (uri, bytes) in self.emr.take_objects() {
            if let Err(error) = self.s3.put(&uri, bytes, now) {
                // A bucket that is missing is the scenario's to notice: on AWS too, the log is not written.
                self.note(
                    now,
                    Kind::Transition,
                    "s3",
                    &uri,
                    format!("not written: {error}"),
                    Value::Null,
                );
            }
        }
    }

    /// Answers one request of a client's, except S3's, whose protocol has a service of its own.
    pub fn answer(&mut self, now: Time, caller: &str, call: &Call, body: &Bytes) -> Response<Bytes> {
        self.advance(now);
        self.requests += 1;
        let number = self.requests;
        let mut asked = authorization::of_call(&self.emr, &self.fis, call, body);
        if let Some(refusal) = self.grants.ask(caller, &mut asked).first() {
            let error = grants::refused(&call.service, refusal);
            self.note_call(now, caller, call, asked, Some(error.code.clone()));
            return wire::encode(&call.service, &call.operation, Err(error), number);
        }
        if call.service == Service::DynamoDb {
            self.dynamodb.set_now(now);
            let answer = self.dynamodb.call(&call.operation, body);
            self.note_call(now, caller, call, asked, answer.as_ref().err().map(Failure::code));
            return wire::encode_dynamodb(answer, number);
        }
        let answer = self.dispatch(now, call);
        self.settle(now);
        let error = answer.as_ref().err().map(|error| error.code.clone());
        self.note_call(now, caller, call, asked, error);
        wire::encode(&call.service, &call.operation, answer, number)
    }

    /// Calls an operation of CloudWatch, EC2, EMR or FIS, as somebody with every permission does.
    pub fn call(&mut self, now: Time, service: Service, operation: &str, input: Value) -> Result<Value, ApiError> {
        self.advance(now);
        let answer = self.dispatch(
            now,
            &Call {
                service,
                operation: operation.into(),
                input,
            },
        );
        self.settle(now);
        answer
    }

    fn dispatch(&mut self, now: Time, call: &Call) -> Result<Value, ApiError> {
        let (mut ctx, parts) = self.split(now);
        match &call.service {
            Service::Ec2 => parts.ec2.call(&mut ctx, &call.operation, &call.input),
            Service::Emr => parts.emr.call(&mut ctx, parts.ec2, &call.operation, &call.input),
            Service::Fis => parts.fis.call(&mut ctx, parts.ec2, &call.operation, &call.input),
            Service::CloudWatch => cloudwatch::call(parts.fis, &call.operation, &call.input),
            // S3 and DynamoDB read their requests themselves, and the world answers for what is around the account.
            other => Err(ApiError::not_implemented(other.iam_prefix(), &call.operation)),
        }
    }

    /// What is asked of IAM for a request that is answered outside the account; the error, if the caller may not do it.
    pub fn admit(&mut self, caller: &str, call: &Call) -> (Vec<Value>, Result<(), ApiError>) {
        let mut asked = authorization::of_call(&self.emr, &self.fis, call, &Bytes::new());
        let refusals = self.grants.ask(caller, &mut asked);
        let refused = refusals.first().map(|refusal| grants::refused(&call.service, refusal));
        (asked, refused.map_or(Ok(()), Err))
    }

    /// Answers a request whose answer was found outside the account.
    pub fn conclude(
        &mut self,
        now: Time,
        caller: &str,
        call: &Call,
        asked: Vec<Value>,
        answer: Result<Value, ApiError>,
    ) -> Response<Bytes> {
        self.requests += 1;
        let error = answer.as_ref().err().map(|error| error.code.clone());
        self.note_call(now, caller, call, asked, error);
        wire::encode(&call.service, &call.operation, answer, self.requests)
    }

    /// Answers a request that is no call.
    pub fn refuse(&mut self, now: Time, caller: &str, refusal: &wire::Refusal) -> Response<Bytes> {
        self.requests += 1;
        let call = Call {
            service: refusal.service.clone(),
            operation: "?".into(),
            input: Value::Null,
        };
        self.note_call(now, caller, &call, Vec::new(), Some(refusal.error.code.clone()));
        wire::encode(&refusal.service, "?", Err(refusal.error.clone()), self.requests)
    }

    /// Records a call, with the permissions that it needed.
    pub fn note_call(&mut self, now: Time, caller: &str, call: &Call, asked: Vec<Value>, error: Option<String>) {
        let text = match &error {
            None => format!("{} by {caller}", call.operation),
            Some(error) => format!("{} by {caller}: {error}", call.operation),
        };
        let data = json!({
            "caller": caller,
            "action": call.service.iam_action(&call.operation),
            "asked": asked,
            "error": error,
        });
        self.note(now, Kind::Call, call.service.iam_prefix(), &call.operation, text, data);
    }

    /// Records what happened outside the services.
    pub fn note(&mut self, at: Time, kind: Kind, source: &str, subject: &str, text: impl Into<String>, data: Value) {
        self.journal.push(Entry {
            at,
            kind,
            source: source.into(),
            subject: subject.into(),
            text: text.into(),
            data,
        });
    }

    /// Answers listings with so many entries a page at most: EMR's, EC2's, FIS's, S3's and DynamoDB's. `0`: the first
    /// page of EMR's, EC2's and FIS's is empty, and not the last.
    pub fn set_page(&mut self, entries: usize) {
        self.emr.set_page(entries);
        self.ec2.set_page(entries);
        self.fis.set_page(entries);
        if entries > 0 {
            self.s3.set_page(entries);
            self.dynamodb.set_page(entries);
        }
    }

    /// Somebody launches an instance of their own.
    pub fn launch(&mut self, now: Time, launch: Launch) -> Result<String, ApiError> {
        self.advance(now);
        let (mut ctx, parts) = self.split(now);
        let launched = parts.ec2.launch(&mut ctx, launch);
        self.settle(now);
        launched
    }

    /// An instance's owner terminates it.
    pub fn terminate_instance(&mut self, now: Time, instance_id: &str) {
        self.advance(now);
        let (mut ctx, parts) = self.split(now);
        parts.ec2.terminate(&mut ctx, instance_id);
        self.settle(now);
    }

    /// EC2 takes instances back by itself, with its two minutes' notice.
    pub fn interrupt_naturally(&mut self, now: Time, instance_id: &str) {
        self.advance(now);
        let (mut ctx, parts) = self.split(now);
        parts
            .ec2
            .interrupt(&mut ctx, instance_id, crate::ec2::NOTICE, crate::ec2::Cause::NoCapacity);
        self.settle(now);
    }

    /// What became of an application that runs outside the account.
    pub fn tell_application(&mut self, now: Time, application_id: &str, state: &State) {
        self.advance(now);
        let (mut ctx, parts) = self.split(now);
        parts.emr.tell_application(&mut ctx, application_id, state);
        self.settle(now);
    }

    /// Events since this was last asked.
    pub fn take_events(&mut self) -> Vec<BusEvent> {
        std::mem::take(&mut self.events)
    }

    /// A draw of the run's one source of chance.
    pub fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    /// The context for something outside the services.
    pub fn ctx(&mut self, now: Time) -> Ctx<'_> {
        Ctx {
            now,
            rng: &mut self.rng,
            journal: &mut self.journal,
            events: &mut self.events,
        }
    }

    fn split(&mut self, now: Time) -> (Ctx<'_>, Services<'_>) {
        (
            Ctx {
                now,
                rng: &mut self.rng,
                journal: &mut self.journal,
                events: &mut self.events,
            },
            Services {
                ec2: &mut self.ec2,
                emr: &mut self.emr,
                fis: &mut self.fis,
            },
        )
    }
}

/// The services that act on one another.
struct Services<'a> {
    ec2: &'a mut Ec2,
    emr: &'a mut Emr,
    fis: &'a mut Fis,
}
