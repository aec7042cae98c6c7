//! Invocations as Lambda makes them: with retries, from queues, and ended at the timeout.
//!
//! Separate from the world because it is Lambda's part of it.

use std::sync::Arc;
use std::time::Duration;

use account::api::Time;
use account::journal::Kind;
use account::queue::{self, Message};
use chrono::TimeDelta;
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinError;

use super::{State, World, bus};
use crate::fault::Kind as Fault;

/// How an attempt ended.
enum End {
    /// The function came back, or panicked.
    Answered(Result<Result<Value, Diagnostic>, JoinError>),
    /// Lambda ended it.
    TimedOut,
    /// Its process died.
    Died,
    /// Lambda ended it before its time.
    EndedEarly,
}

impl World {
    /// An asynchronous invocation: up to two more attempts, one and then two minutes later; what fails for good, or finds no
    /// execution while it is young enough, goes to the function's failure destination.
    //= https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    pub(super) async fn invoke_asynchronously(self, id: String, request_id: String, payload: Value) {
        let settings = self.lock().template.functions[&id].asynchronous.clone();
        let age_max = i64::try_from(settings.event_age_seconds_max).unwrap_or(i64::MAX / 1000);
        let until = self.clock.now() + TimeDelta::seconds(age_max);
        let mut attempt = 0;
        let given_up = loop {
            if !self.takes_an_execution(&id, until).await {
                break Some(("EventAgeExceeded", Value::Null));
            }
            let answer = self.invoke(&id, &request_id, payload.clone()).await;
            self.lock().gives_its_execution_back(&id);
            let Err(error) = answer else { break None };
            attempt += 1;
            let pause = Duration::from_secs(60 * attempt);
            let next_at = self.clock.now() + TimeDelta::from_std(pause).unwrap_or_default();
            if attempt > settings.retries || next_at > until {
                break Some(("RetriesExhausted", error));
            }
            tokio::time::sleep(pause).await;
        };
        if let (Some((condition, error)), Some(queue)) = (given_up, &settings.failure_queue) {
            let body = json!({
                "version": "1.0",
                "requestContext": {"requestId": request_id, "condition": condition, "approximateInvokeCount": attempt},
                "requestPayload": payload,
                "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
                "responsePayload": error,
            });
            let now = self.clock.now();
            self.lock().send(now, queue, body.to_string());
        }
        self.lock().invocations_running -= 1;
        self.changed();
    }

    /// Takes one of the executions that are reserved for a function. While none is free Lambda tries again, at first after a
    /// second and in the end every five minutes. `false`: the event has become too old.
    //= https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    async fn takes_an_execution(&self, id: &str, until: Time) -> bool {
        let mut pause = Duration::from_secs(1);
        while !self.lock().has_an_execution_for(id) {
            if self.clock.now() > until {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(300));
        }
        true
    }

    /// Lambda polls a queue for a function: what the function did not name as failed is deleted.
    pub(super) async fn invoke_with_batch(
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
        let (function, name, timeout, early) = {
            let mut state = self.lock();
            let name = state.template.functions[id].name.clone();
            let early = state.ended_early(&name);
            let deployed = &state.template.functions[id];
            (
                state.functions[id].clone(),
                name,
                Duration::from_secs(deployed.timeout_seconds),
                early,
            )
        };
        let begun_at = self.clock.now();
        let about = json!({"about": about(&payload)});
        self.lock()
            .account
            .note(begun_at, Kind::Invocation, &name, request_id, "begins", about);
        let deadline = begun_at + TimeDelta::from_std(timeout).unwrap_or_default();
        let died = Arc::new(Notify::new());
        let aws = self.aws(&name, died.clone());
        let request = request_id.to_owned();
        let mut handled = tokio::spawn(async move { function.invoke(&aws, request, deadline, payload).await });
        let ended = tokio::select! {
            biased;
            () = died.notified() => End::Died,
            () = tokio::time::sleep(early.unwrap_or(Duration::MAX)), if early.is_some() => End::EndedEarly,
            answer = tokio::time::timeout(timeout, &mut handled) => answer.map_or(End::TimedOut, End::Answered),
        };
        handled.abort();
        if matches!(ended, End::EndedEarly) {
            self.lock().inject(Fault::EndedEarly);
        }
        let answer = match ended {
            End::Answered(Ok(Ok(answer))) => Ok(answer),
            End::Answered(Ok(Err(diagnostic))) => {
                Err(json!({"errorType": diagnostic.error_type, "errorMessage": diagnostic.error_message}))
            }
            End::Answered(Err(panic)) => {
                self.lock().bug = Some(format!("{name} panicked: {panic}"));
                Err(json!({"errorType": "Panic", "errorMessage": panic.to_string()}))
            }
            End::TimedOut => {
                let message = format!("{request_id} Task timed out after {}.00 seconds", timeout.as_secs());
                Err(json!({"errorType": "Sandbox.Timedout", "errorMessage": message}))
            }
            End::Died | End::EndedEarly => {
                let message = format!("RequestId: {request_id} Error: Runtime exited with error: signal: killed");
                Err(json!({"errorType": "Runtime.ExitError", "errorMessage": message}))
            }
        };
        let ended_at = self.clock.now();
        let (text, data) = match &answer {
            Ok(answer) => (said("ends", &answer["outcome"]), answer.clone()),
            Err(error) => (said("fails", &error["errorMessage"]), error.clone()),
        };
        self.lock()
            .account
            .note(ended_at, Kind::Invocation, &name, request_id, text, data);
        answer
    }
}

impl State {
    fn has_an_execution_for(&mut self, id: &str) -> bool {
        let reserved = self.template.functions[id].reserved_concurrency;
        let running = self.executions.entry(id.to_owned()).or_default();
        let is_free = reserved.is_none_or(|most| *running < most);
        *running += u64::from(is_free);
        is_free
    }

    fn gives_its_execution_back(&mut self, id: &str) {
        if let Some(running) = self.executions.get_mut(id) {
            *running -= 1;
        }
    }
}

/// The resources that an invocation is about: of the event that it comes with, or of each of a batch.
fn about(payload: &Value) -> Vec<String> {
    let messages = payload["Records"].as_array().into_iter().flatten();
    let bodies = messages.filter_map(|message| serde_json::from_str(message["body"].as_str()?).ok());
    let events: Vec<Value> = bodies.chain([payload.clone()]).collect();
    let of = |event: &Value| bus::subject(&event["detail"]).map(str::to_owned);
    events.iter().filter_map(of).collect()
}

/// What the journal says of an invocation's end: the outcome's or the error's own word, where it has one.
fn said(how: &str, word: &Value) -> String {
    match word.as_str() {
        Some(word) => format!("{how}: {word}"),
        None => how.to_owned(),
    }
}
