//! The functions as programs of their own, started from a folder.
//!
//! Separate because it needs what only Linux has; `no_binaries` says so elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use account::template;
use anyhow::{Context, bail};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::functions::{self, Function};
use crate::gate::{Gate, Pace};
use crate::runtime_api::{Binary, LogLine, Surroundings, WallClock};
use crate::world::World;

/// The deployed functions, each as the folder's binary of its name.
pub fn functions(
    folder: &Path,
    deployed: &BTreeMap<String, template::Function>,
    world: &World,
    gate: &Gate,
    endpoint: String,
    out: &Path,
) -> anyhow::Result<BTreeMap<String, Function>> {
    let surroundings = Arc::new(surroundings(world, gate, endpoint, out)?);
    functions::each(deployed, |function, name| {
        let path = binary(folder, name)?;
        Ok(Function::Binary(Box::new(Binary::new(
            path,
            function.clone(),
            surroundings.clone(),
        ))))
    })
}

fn binary(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = std::path::absolute(folder.join(name)).with_context(|| format!("the path of {name}"))?;
    if !path.is_file() {
        bail!(
            "{} is missing: `cargo build --release` makes target/release/{name}",
            path.display()
        );
    }
    Ok(path)
}

fn surroundings(world: &World, gate: &Gate, endpoint: String, out: &Path) -> anyhow::Result<Surroundings> {
    std::fs::create_dir_all(out).with_context(|| format!("making the folder {}", out.display()))?;
    // Both clocks are the machine's at pace 1.
    let wall_clock = match gate.pace() {
        Pace::Times(_) => None,
        Pace::Leap | Pace::Held => match WallClock::new(world.clock, out) {
            Ok(wall_clock) => Some(wall_clock),
            Err(error) => bail!("binaries see the account's time by libfaketime at --pace leap and held: {error}"),
        },
    };
    let setpriv = Command::new("setpriv").arg("--version").stdout(Stdio::null()).status();
    setpriv
        .context("binaries are started by setpriv, so that they end when this does (Debian's package util-linux)")?;
    let (logs, lines) = mpsc::unbounded_channel();
    tokio::spawn(keep_logs(world.clone(), lines));
    Ok(Surroundings {
        endpoint,
        gate: gate.clone(),
        wall_clock,
        logs,
    })
}

/// Writes what functions write into their log groups, for ever.
async fn keep_logs(world: World, mut lines: mpsc::UnboundedReceiver<LogLine>) {
    while let Some(LogLine { group, text }) = lines.recv().await {
        let now = world.clock.now();
        let mut state = world.lock();
        state.logs.entry(group).or_default().push((now, Value::String(text)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_binary_is_named() {
        let error = binary(Path::new("no/such/folder"), "write-report")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no/such/folder/write-report is missing: `cargo build --release`"),
            "{error}"
        );
    }
}
