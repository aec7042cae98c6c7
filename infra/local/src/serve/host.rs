//! What runs the functions of a served account: this process, cargo-lambda, or the binaries that are deployed.
//!
//! Separate because it is the one choice that needs things of the machine's: programs, libraries, files.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use account::api::REGION;
use account::template;
use anyhow::{Context, bail};

use crate::functions::{self, Endpoint, Function};
use crate::gate::{Gate, Pace};
use crate::serve::binaries;
use crate::world::World;

/// What runs the functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// This process.
    InProcess,
    /// `cargo lambda watch`, which listens there.
    CargoLambda(SocketAddr),
    /// A process for each execution environment, of the binaries in this folder. Only on Linux.
    Folder(PathBuf),
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = |rest: &str| {
            rest.trim_end_matches('/')
                .replace("localhost", "127.0.0.1")
                .parse()
                .map_err(|_| format!("expected an address such as http://127.0.0.1:9000, found {text:?}"))
        };
        match text.strip_prefix("http://") {
            Some(rest) => address(rest).map(Self::CargoLambda),
            None if text == "in-process" => Ok(Self::InProcess),
            None if text.contains("://") || text.is_empty() => Err(format!(
                "expected in-process, http://127.0.0.1:9000 or a folder, found {text:?}"
            )),
            None => Ok(Self::Folder(text.into())),
        }
    }
}

impl Host {
    /// Functions in other processes sleep in real time; the error says which pace does that.
    pub fn check(&self, pace: Pace) -> anyhow::Result<()> {
        match (self, pace) {
            (Self::CargoLambda(_), Pace::Leap | Pace::Held | Pace::Times(2..)) => {
                bail!("what `cargo lambda watch` runs has the machine's clock, and so must the account: use --pace 1")
            }
            (Self::Folder(_), Pace::Times(2..)) => bail!(
                "functions that run as programs of their own wait in real time: use --pace 1, or leap, which passes \
                 time as fast as theirs while one runs"
            ),
            _ => Ok(()),
        }
    }

    /// Has the account's functions run there from now on.
    pub fn run_functions(&self, world: &World, gate: &Gate, endpoint: String, out: &Path) -> anyhow::Result<()> {
        let deployed = world.lock().template.functions.clone();
        let functions = match self {
            Self::InProcess => BTreeMap::new(),
            Self::CargoLambda(address) => {
                announce(&deployed, &endpoint, out)?;
                functions::each(&deployed, |_, function| {
                    Ok(Function::Endpoint(Endpoint {
                        address: *address,
                        function,
                    }))
                })?
            }
            Self::Folder(folder) => binaries::functions(folder, &deployed, world, gate, endpoint, out)?,
        };
        world.run_functions(functions);
        Ok(())
    }
}

/// Writes what `cargo lambda watch` has to give the functions, and says how.
fn announce(deployed: &BTreeMap<String, template::Function>, endpoint: &str, out: &Path) -> anyhow::Result<()> {
    let mut variables = BTreeMap::from([
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "simulated"),
        ("AWS_SECRET_ACCESS_KEY", "simulated"),
    ]);
    for (name, value) in deployed.values().flat_map(|function| &function.environment) {
        if variables.insert(name, value).is_some_and(|other| other != value) {
            bail!("two functions have different values for {name}, and `cargo lambda watch` has one file for all");
        }
    }
    let lines: Vec<String> = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    std::fs::create_dir_all(out).with_context(|| format!("making the folder {}", out.display()))?;
    let file = out.join("functions.env");
    std::fs::write(&file, lines.concat()).with_context(|| format!("writing {}", file.display()))?;
    eprintln!("The functions' part: cargo lambda watch --env-file {}", file.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_this_process_an_address_or_a_folder() {
        assert_eq!("in-process".parse(), Ok(Host::InProcess));
        let cargo_lambda = Ok(Host::CargoLambda(([127, 0, 0, 1], 9000).into()));
        assert_eq!("http://127.0.0.1:9000".parse(), cargo_lambda);
        assert_eq!("http://localhost:9000/".parse(), cargo_lambda);
        assert_eq!("target/release".parse(), Ok(Host::Folder("target/release".into())));
        for bad in [
            "",
            "https://127.0.0.1:9000",
            "http://example.com",
            "http://127.0.0.1:9000/functions",
        ] {
            assert!(bad.parse::<Host>().unwrap_err().contains("expected"), "{bad}");
        }
    }

    #[test]
    fn a_pace_that_other_clocks_cannot_keep_is_refused_with_one_that_they_can() {
        let cargo_lambda = Host::CargoLambda(([127, 0, 0, 1], 9000).into());
        let folder = Host::Folder("target/release".into());
        for pace in [Pace::Leap, Pace::Held, Pace::Times(1), Pace::Times(60)] {
            assert!(Host::InProcess.check(pace).is_ok());
            assert_eq!(cargo_lambda.check(pace).is_ok(), pace == Pace::Times(1));
            assert_eq!(folder.check(pace).is_ok(), pace != Pace::Times(60));
        }
        let error = folder.check(Pace::Times(60)).unwrap_err().to_string();
        assert!(error.contains("--pace 1, or leap"), "{error}");
    }
}
