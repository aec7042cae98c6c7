//! One start of one program: two events, every stamp, and what follows from the stamps. Apart because these are the
//! definitions of what the table's columns mean.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hyper::body::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::clock::{Nanos, milliseconds};
use crate::cpu_share::CpuShare;
use crate::endpoint::{Endpoint, Traffic};
use crate::program::Program;
use crate::runtime_api::{Invoked, RuntimeApi};

/// The longest that one start with its two events may take.
const SECONDS_MAX: u64 = 120;

/// Between the first answer and the second event: longer than two periods of a limited CPU's budget.
const PAUSE: Duration = Duration::from_millis(50);

/// What one start came to. Times are in milliseconds.
#[derive(Debug, Clone)]
pub struct Sample {
    /// From the program's start until it asks for its first event.
    pub init: f64,
    /// From its first event to its answer.
    pub first: f64,
    /// Init, and from the first event until its first TLS call is answered; or until its own answer if it makes none.
    pub to_first_call: f64,
    /// The part of `first` in which no call was under way.
    pub first_beyond_calls: f64,
    /// From the second event to its answer.
    pub warm: f64,
    /// The part of `warm` in which no call was under way.
    pub warm_beyond_calls: f64,
    /// The most memory that it held, in MB of a million bytes.
    pub peak_rss: f64,
    /// TLS handshakes before the first event, and after.
    pub handshakes: (usize, usize),
    /// Calls before the first event.
    pub early_calls: usize,
    /// The operations called for the first event.
    pub operations: Vec<String>,
}

/// Starts the program anew, and measures it. With `megabytes`, the CPU is limited from its first event on, as Lambda
/// limits it after init.
pub async fn start(
    program: &Program,
    endpoint: &Endpoint,
    share: Option<&CpuShare>,
    megabytes: Option<u32>,
) -> Result<Sample> {
    let mut api = RuntimeApi::serve().await?;
    let mut child = launch(program, &api.address, share)?;
    endpoint.take();
    let mut log = Log::new(&mut child)?;
    let started = log
        .started()
        .await
        .with_context(|| format!("launching {}", program.name))?;
    let stamps = tokio::select! {
        biased;
        stamps = timeout(Duration::from_secs(SECONDS_MAX), events(program, &mut api, share, megabytes)) => {
            stamps.with_context(|| format!("not done in {SECONDS_MAX} s")).flatten()
        }
        status = child.wait() => Err(anyhow!("it ended with {}", status?)),
    };
    let peak = child.id().map(peak_rss);
    child.kill().await?;
    if let Some(share) = share {
        share.limit(None)?;
    }
    match (stamps, peak) {
        (Ok((ready, first, warm)), Some(peak)) => Ok(sample(started, ready, first, warm, &endpoint.take(), peak?)),
        (Ok(_), None) => bail!("{} ended after its last event", program.name),
        (Err(error), _) => bail!("{}: {error:#}\n{}", program.name, log.rest().await),
    }
}

async fn events(
    program: &Program,
    api: &mut RuntimeApi,
    share: Option<&CpuShare>,
    megabytes: Option<u32>,
) -> Result<(Nanos, Invoked, Invoked)> {
    let event = Bytes::from(program.event.to_string());
    let ready = api.asked().await?;
    if let (Some(share), Some(_)) = (share, megabytes) {
        share.limit(megabytes)?;
    }
    let first = api.invoke(&event).await?;
    api.asked().await?;
    sleep(PAUSE).await;
    let warm = api.invoke(&event).await?;
    api.asked().await?;
    Ok((ready, first, warm))
}

fn sample(started: Nanos, ready: Nanos, first: Invoked, warm: Invoked, traffic: &Traffic, peak_rss: f64) -> Sample {
    let init = milliseconds(started, ready);
    let answered = traffic
        .calls
        .iter()
        .map(|call| call.answered)
        .filter(|&at| at > first.sent)
        .min();
    let before = |at: &&Nanos| **at < first.sent;
    let connected = traffic.connections.iter().filter(before).count();
    Sample {
        init,
        first: milliseconds(first.sent, first.answered),
        to_first_call: init + milliseconds(first.sent, answered.unwrap_or(first.answered)),
        first_beyond_calls: beyond_calls(first, traffic),
        warm: milliseconds(warm.sent, warm.answered),
        warm_beyond_calls: beyond_calls(warm, traffic),
        peak_rss,
        handshakes: (connected, traffic.handshakes.saturating_sub(connected)),
        early_calls: traffic.calls.iter().filter(|call| call.answered < first.sent).count(),
        operations: traffic
            .calls
            .iter()
            .filter(|call| (first.sent..first.answered).contains(&call.answered))
            .map(|call| call.operation.clone())
            .collect(),
    }
}

/// The time of an invocation in which no call was under way. Calls may overlap.
fn beyond_calls(invoked: Invoked, traffic: &Traffic) -> f64 {
    let mut spans: Vec<(Nanos, Nanos)> = traffic
        .calls
        .iter()
        .map(|call| (call.begun.max(invoked.sent), call.answered.min(invoked.answered)))
        .filter(|(begun, answered)| begun < answered)
        .collect();
    spans.sort_unstable();
    let mut beyond = 0.0;
    let mut at = invoked.sent;
    for (begun, answered) in spans {
        beyond += milliseconds(at, begun.max(at));
        at = at.max(answered);
    }
    beyond + milliseconds(at, invoked.answered)
}

/// Starts this very program as the launcher, which enters the group, says when, and becomes the measured program.
fn launch(program: &Program, api: &str, share: Option<&CpuShare>) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("launch");
    if let Some(share) = share {
        command.arg("--entrance").arg(share.entrance());
    }
    command
        .arg("--")
        .args(&program.command)
        .env_clear()
        .envs(program.environment.iter().cloned())
        .env("AWS_LAMBDA_RUNTIME_API", api)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("launching {}", program.name))
}

/// What the process says: first the launcher's stamp, then logs, which are read as Lambda reads them, and shown only if
/// something goes wrong.
struct Log {
    out: Option<BufReader<tokio::process::ChildStdout>>,
    readers: Vec<tokio::task::JoinHandle<String>>,
}

impl Log {
    fn new(child: &mut Child) -> Result<Self> {
        let errors = child.stderr.take().context("stderr is a pipe")?;
        Ok(Self {
            out: child.stdout.take().map(BufReader::new),
            readers: vec![tokio::spawn(read(errors))],
        })
    }

    async fn started(&mut self) -> Result<Nanos> {
        let mut out = self.out.take().context("the launcher speaks once")?;
        let mut line = String::new();
        timeout(Duration::from_secs(10), out.read_line(&mut line)).await??;
        self.readers.push(tokio::spawn(read(out)));
        line.trim()
            .parse()
            .with_context(|| format!("the launcher said {line:?}"))
    }

    async fn rest(self) -> String {
        let mut text = String::new();
        for reader in self.readers {
            text += &reader.await.unwrap_or_default();
        }
        text
    }
}

async fn read(mut from: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    // What was read until an error is worth showing too.
    let _ended = from.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

fn peak_rss(process: u32) -> Result<f64> {
    let path = PathBuf::from(format!("/proc/{process}/status"));
    let status = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("it has no VmHWM")?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Call;

    const MILLISECOND: Nanos = 1_000_000;

    fn beyond(calls: &[(Nanos, Nanos)]) -> f64 {
        let invoked = Invoked {
            sent: 10 * MILLISECOND,
            answered: 20 * MILLISECOND,
        };
        let calls = calls.iter().map(|(begun, answered)| Call {
            operation: "UpdateItem".into(),
            begun: begun * MILLISECOND,
            answered: answered * MILLISECOND,
        });
        let traffic = Traffic {
            calls: calls.collect(),
            ..Traffic::default()
        };
        beyond_calls(invoked, &traffic)
    }

    fn is(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-6
    }

    #[test]
    fn calls_at_the_same_time_count_once_whichever_was_answered_first() {
        assert!(is(beyond(&[]), 10.0));
        assert!(is(beyond(&[(12, 15), (16, 18)]), 5.0));
        assert!(is(beyond(&[(13, 14), (12, 18), (17, 19)]), 3.0));
    }

    #[test]
    fn what_lies_outside_of_the_event_does_not_count() {
        assert!(is(beyond(&[(2, 4), (5, 12), (19, 25)]), 7.0));
        assert!(is(beyond(&[(0, 30)]), 0.0));
    }
}
