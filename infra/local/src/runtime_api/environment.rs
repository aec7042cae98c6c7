//! An execution environment: one process of a function's binary, with a Runtime API of its own.
//!
//! Separate because it has a life: started, waiting for its next invocation, running one, frozen, gone.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::SystemTime;

use account::api::REGION;
use aws::invocation::Invocation;
use bytes::Bytes;
use http::StatusCode;
use lambda_runtime::Diagnostic;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::protocol::{self, Ask, Reply, What};
use super::{Binary, LogLine, WallClock};
use crate::lambda::{LOG_STREAM, failed, reported};

/// A process, killed when this is dropped.
#[derive(Debug)]
pub(super) struct Environment {
    process: Child,
    asks: mpsc::Receiver<Ask>,
    /// The runtime's wish for its next invocation, while it waits for it.
    next: Option<oneshot::Sender<Reply>>,
    /// Ends with this.
    _runtime_api: JoinSet<()>,
    built_at: Option<SystemTime>,
}

/// When a binary was last written: deploying a function anew ends its environments.
pub(super) fn built_at(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// What is heard of a process.
enum Heard {
    Asks(Ask),
    Exited(Option<ExitStatus>),
}

impl Environment {
    /// Starts the process, and waits until its runtime asks for an invocation.
    pub(super) async fn start(binary: &Binary, request_id: &str) -> Result<Self, Diagnostic> {
        let not_started = |error: std::io::Error| {
            let message = format!("starting {}: {error}", binary.path.display());
            eprintln!("error: {message}");
            failed("Runtime.InvalidEntrypoint", message)
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(not_started)?;
        let address = listener.local_addr().map_err(not_started)?;
        let built_at = built_at(&binary.path);
        let mut process = command(binary, &address.to_string()).spawn().map_err(not_started)?;
        if let Some(output) = process.stdout.take() {
            lines(binary, output);
        }
        if let Some(output) = process.stderr.take() {
            lines(binary, output);
        }
        let (sender, asks) = mpsc::channel(1);
        let mut runtime_api = JoinSet::new();
        runtime_api.spawn(protocol::serve(listener, sender));
        let mut environment = Self {
            process,
            asks,
            next: None,
            _runtime_api: runtime_api,
            built_at,
        };
        let begun = environment.init(request_id).await;
        if let Some(id) = environment
            .process
            .id()
            .filter(|_| binary.surroundings.wall_clock.is_some())
        {
            WallClock::forget(id);
        }
        begun?;
        Ok(environment)
    }

    async fn init(&mut self, request_id: &str) -> Result<(), Diagnostic> {
        loop {
            match self.hear().await {
                Heard::Asks(Ask {
                    what: What::Next,
                    reply,
                }) => {
                    self.next = Some(reply);
                    return Ok(());
                }
                Heard::Asks(Ask {
                    what: What::InitError { body },
                    reply,
                }) => {
                    reply.send(protocol::accepted()).ok();
                    return Err(error(&body));
                }
                Heard::Asks(Ask { reply, .. }) => drop(reply.send(out_of_order("in its init phase"))),
                Heard::Exited(status) => return Err(exited(request_id, status)),
            }
        }
    }

    /// One invocation, which is over when the runtime asks for the next one.
    pub(super) async fn invoke(&mut self, arn: &str, invocation: &Invocation) -> Result<Value, Diagnostic> {
        let mut answer = None;
        if let Some(next) = self.next.take() {
            next.send(protocol::event(arn, invocation)).ok();
        }
        loop {
            let Ask { what, reply } = match self.hear().await {
                Heard::Asks(ask) => ask,
                // What was answered before is answered.
                Heard::Exited(status) => {
                    return answer.unwrap_or_else(|| Err(exited(&invocation.request_id, status)));
                }
            };
            let is_awaited = |request_id: &str| answer.is_none() && request_id == invocation.request_id;
            let (reaction, heard) = match what {
                What::Next => match answer.take() {
                    Some(answer) => {
                        self.next = Some(reply);
                        return answer;
                    }
                    None => (out_of_order("before an invocation is answered"), None),
                },
                What::Response { request_id, body } if is_awaited(&request_id) => {
                    (protocol::accepted(), Some(self::answer(&body)))
                }
                What::Error { request_id, body } if is_awaited(&request_id) => {
                    (protocol::accepted(), Some(Err(error(&body))))
                }
                What::Response { .. } | What::Error { .. } => {
                    let message = "Invalid request ID";
                    (
                        protocol::refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", message),
                        None,
                    )
                }
                What::InitError { .. } => (out_of_order("while an invocation runs"), None),
            };
            answer = heard.or(answer);
            reply.send(reaction).ok();
        }
    }

    async fn hear(&mut self) -> Heard {
        tokio::select! {
            biased;
            Some(ask) = self.asks.recv() => Heard::Asks(ask),
            status = self.process.wait() => Heard::Exited(status.ok()),
        }
    }

    /// When its binary was written.
    pub(super) fn built_at(&self) -> Option<SystemTime> {
        self.built_at
    }

    /// Stops the process until it is thawed; false: it has gone, or does not wait for an invocation.
    pub(super) fn freeze(&mut self) -> bool {
        self.next.is_some() && self.signal(Signal::STOP)
    }

    /// Lets a frozen process go on; false: it has gone.
    pub(super) fn thaw(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None)) && self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> bool {
        // There is no id once the process has been waited for: no other process gets its signals.
        let id = self.process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        id.is_some_and(|id| kill_process(id, signal).is_ok())
    }
}

/// The process with Lambda's environment, and nothing of this one's.
fn command(binary: &Binary, runtime_api: &str) -> Command {
    // A death of this process that runs no destructors ends the function too; frozen, it would be there for ever.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(&binary.path)
        .env_clear()
        .envs(variables(binary, runtime_api))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A terminal's Ctrl-C is this process's matter.
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// The template's variables, and those that Lambda sets.
//= https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
fn variables(binary: &Binary, runtime_api: &str) -> BTreeMap<String, String> {
    let Binary {
        function, surroundings, ..
    } = binary;
    let mut variables = function.environment.clone();
    let task_root = binary.path.parent().unwrap_or(Path::new("/")).display().to_string();
    for (name, value) in [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        // By which the account knows whose calls they are.
        ("AWS_ACCESS_KEY_ID", &function.name),
        ("AWS_SECRET_ACCESS_KEY", "simulated"),
        ("AWS_SESSION_TOKEN", "simulated"),
        ("AWS_LAMBDA_FUNCTION_NAME", &function.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &function.memory_mb.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &log_group(binary)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", LOG_STREAM),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
        ("_HANDLER", "bootstrap"),
        ("LAMBDA_TASK_ROOT", &task_root),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("TZ", ":UTC"),
        ("AWS_ENDPOINT_URL", &surroundings.endpoint),
    ] {
        variables.insert(name.to_owned(), value.to_owned());
    }
    if let Some(wall_clock) = &surroundings.wall_clock {
        variables.extend(wall_clock.variables());
    }
    variables
}

fn log_group(binary: &Binary) -> String {
    format!("/aws/lambda/{}", binary.function.name)
}

/// Takes the lines to the function's log group, until the process has closed its output.
fn lines(binary: &Binary, output: impl AsyncRead + Unpin + Send + 'static) {
    let (group, logs) = (log_group(binary), binary.surroundings.logs.clone());
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(text)) = lines.next_line().await {
            let group = group.clone();
            logs.send(LogLine { group, text }).ok();
        }
    });
}

fn answer(body: &Bytes) -> Result<Value, Diagnostic> {
    serde_json::from_slice(body).map_err(|error| failed("Runtime.InvalidResponse", format!("it is no JSON: {error}")))
}

fn error(body: &Bytes) -> Diagnostic {
    match serde_json::from_slice::<Value>(body) {
        Ok(error) => reported(&error),
        Err(_) => failed("Runtime.UnknownReason", String::from_utf8_lossy(body).into_owned()),
    }
}

/// What an invocation comes to whose process has ended.
fn exited(request_id: &str, status: Option<ExitStatus>) -> Diagnostic {
    let how = match status.map(|status| (status.code(), status.signal())) {
        Some((Some(0), _)) => "without providing a reason".to_owned(),
        Some((Some(code), _)) => format!("with error: exit status {code}"),
        Some((None, Some(9))) => "with error: signal: killed".to_owned(),
        Some((None, Some(signal))) => format!("with error: signal: {signal}"),
        _ => "with error".to_owned(),
    };
    failed(
        "Runtime.ExitError",
        format!("RequestId: {request_id} Error: Runtime exited {how}"),
    )
}

fn out_of_order(when: &str) -> Reply {
    protocol::refusal(
        StatusCode::FORBIDDEN,
        "InvalidStateTransition",
        &format!("The runtime may not ask for this {when}."),
    )
}
