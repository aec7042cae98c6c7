//! Java and pyspark, as they are found on this machine.
//!
//! Separate because what is missing must be said before anything is started, and in words that mend it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{anyhow, bail};

/// The oldest Java that is taken: the newest that Spark 3.5 knows, and the oldest of Spark 4.
/// <https://spark.apache.org/docs/3.5.6/#downloading>, <https://spark.apache.org/docs/4.0.0/#downloading>
const JAVA_MIN: u32 = 17;

/// A folder of the repository in which pyspark is looked for, besides the environment's Python.
const OWN_PYTHON: &str = "target/spark/bin/python";

/// What brings what is missing.
const COMMANDS: &str = "apt-get install openjdk-17-jre-headless\n  python3 -m venv target/spark && target/spark/bin/pip \
                        install 'pyspark>=3.5,<5'";

/// A pyspark that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installation {
    /// The Python that has it.
    pub(super) python: PathBuf,
    /// Spark's own folder, `SPARK_HOME`.
    pub(super) home: PathBuf,
    /// Spark's version.
    pub(super) version: String,
}

impl Installation {
    /// Looks for Java and pyspark: `PYSPARK_PYTHON`, then `target/spark`, then `python3`.
    pub(super) fn find() -> anyhow::Result<Self> {
        check_java(&java())?;
        let own = std::env::var_os("PYSPARK_PYTHON").map(PathBuf::from);
        let pythons = own.into_iter().chain([OWN_PYTHON.into(), "python3".into()]);
        let found = pythons.filter_map(|python| Self::of(&python)).next();
        found.ok_or_else(|| {
            anyhow!(
                "pyspark 3.5 or 4 is not on this machine, which --job runs the job on; these bring it:\n  {COMMANDS}"
            )
        })
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        format!("Apache Spark {}", self.version)
    }

    fn of(python: &Path) -> Option<Self> {
        let ask = "import os, sys, pyspark; print(sys.executable, os.path.dirname(pyspark.__file__), \
                   pyspark.__version__, sep='\\n')";
        let output = Command::new(python)
            .args(["-c", ask])
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let mut lines = text.lines();
        let (python, home, version) = (lines.next()?, lines.next()?, lines.next()?);
        Some(Self {
            python: python.into(),
            home: home.into(),
            version: version.to_owned(),
        })
        .filter(|found| found.version.starts_with("3.5.") || found.version.starts_with("4."))
    }
}

/// The Java that Spark's own scripts take.
fn java() -> PathBuf {
    match std::env::var_os("JAVA_HOME") {
        Some(home) => Path::new(&home).join("bin/java"),
        None => "java".into(),
    }
}

fn check_java(java: &Path) -> anyhow::Result<()> {
    let said = Command::new(java).arg("-version").output();
    let said = said
        .map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
        .ok();
    match said.as_deref().and_then(java_version) {
        Some(version) if version >= JAVA_MIN => Ok(()),
        Some(version) => bail!(
            "{} is Java {version}, and --job needs {JAVA_MIN}; these bring what it needs:\n  {COMMANDS}",
            java.display()
        ),
        None => {
            bail!("Java {JAVA_MIN} is not on this machine, which --job needs; these bring what it needs:\n  {COMMANDS}")
        }
    }
}

/// The first number of `openjdk version "17.0.15"`; before Java 9 it was the second.
fn java_version(said: &str) -> Option<u32> {
    let (_, rest) = said.split_once("version \"")?;
    let mut numbers = rest.split(['.', '"', '-', '+']).map_while(|number| number.parse().ok());
    match numbers.next()? {
        1 => numbers.next(),
        version => Some(version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_version_is_read_old_and_new() {
        for (said, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15", Some(17)),
            ("java version \"1.8.0_292\"", Some(8)),
            ("openjdk version \"21\" 2023-09-19", Some(21)),
            ("openjdk version \"22-ea\" 2024-03-19", Some(22)),
            ("no java here", None),
        ] {
            assert_eq!(java_version(said), version, "{said}");
        }
    }

    #[test]
    fn a_missing_java_is_told_with_the_commands_that_bring_it() {
        let error = check_java(Path::new("/no/such/java")).unwrap_err().to_string();
        assert!(
            error.contains("apt-get install openjdk-17") && error.contains("pip install 'pyspark"),
            "{error}"
        );
    }
}
