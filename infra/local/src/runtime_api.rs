//! Functions as the binaries that are deployed, run as Lambda runs them: in execution environments of their own, fed over
//! the Runtime API, frozen between invocations.
//!
//! Separate because this is Lambda's part of an invocation, below its retries and queues, which are the world's. Not
//! simulated: extensions, a memory limit, and a share of the CPU by memory; an idle environment lives as long as the
//! account does. Linux only, since there alone is a process stopped and gone on with, ended with its parent, and shown another
//! time.
//!
//! # Layout
//!
//! * here: a function's environments, one for each concurrent invocation;
//! * `environment`: one process, from its start to its end;
//! * `protocol`: the Runtime API's HTTP;
//! * [`WallClock`]: the account's time as the process's.

mod environment;
mod protocol;
mod wall_clock;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use account::template;
use aws::invocation::Invocation;
use environment::Environment;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::gate::Gate;
pub use wall_clock::WallClock;

/// So long may a process take until it asks for its first invocation.
//= https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
const INIT: Duration = Duration::from_secs(10);

/// A line that a function wrote, for a log group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The group's name.
    pub group: String,
    /// The line.
    pub text: String,
}

/// What the account's functions have around them.
#[derive(Debug)]
pub struct Surroundings {
    /// Where the account is served.
    pub endpoint: String,
    /// Told while processes run, since their time is real.
    pub gate: Gate,
    /// The account's time; `None`: it is the machine's.
    pub wall_clock: Option<WallClock>,
    /// Takes what functions write.
    pub logs: mpsc::UnboundedSender<LogLine>,
}

/// A function's binary.
#[derive(Debug, Clone)]
pub struct Binary {
    path: PathBuf,
    function: template::Function,
    surroundings: Arc<Surroundings>,
    idle: Arc<Mutex<Vec<Environment>>>,
}

impl Binary {
    /// The binary at this path, as the function that the template describes.
    pub fn new(path: PathBuf, function: template::Function, surroundings: Arc<Surroundings>) -> Self {
        Self {
            path,
            function,
            surroundings,
            idle: Arc::default(),
        }
    }

    /// One attempt. The caller ends it at the function's timeout by dropping it, and that ends the process.
    pub async fn invoke(&self, invocation: &Invocation) -> Result<Value, Diagnostic> {
        let running = self.surroundings.gate.run_outside();
        if let Some(wall_clock) = self.surroundings.wall_clock.as_ref().filter(|_| running.is_first()) {
            // Every other process is frozen: none sees its clock jump while it runs.
            wall_clock.set()?;
        }
        let mut environment = self.environment(&invocation.request_id).await?;
        let answer = environment.invoke(&self.function.arn, invocation).await;
        if environment.freeze() {
            self.idle().push(environment);
        }
        answer
    }

    /// One that waits frozen, unless its binary was built again; or a new one. If the first try of a new one fails,
    /// Lambda tries again, and then has the function's own timeout for it.
    //= https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
    async fn environment(&self, request_id: &str) -> Result<Environment, Diagnostic> {
        loop {
            let Some(mut frozen) = self.idle().pop() else { break };
            if frozen.built_at() == environment::built_at(&self.path) && frozen.thaw() {
                return Ok(frozen);
            }
        }
        match tokio::time::timeout(INIT, Environment::start(self, request_id)).await {
            Ok(Ok(environment)) => Ok(environment),
            Ok(Err(_)) | Err(_) => Environment::start(self, request_id).await,
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Environment>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
