//! Values that the functions' settings share: each parses from an environment variable, and says what it expected.
//!
//! Each function has its own `Config`; on Lambda it is read from the environment, and the very same struct reads
//! flags, so that a wrong value is answered by clap with the variable's name and what is allowed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::TimeDelta;
use clap::{Args, ValueEnum};

/// Which clusters may be drilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Clusters {
    /// Those tagged `spot-drill=on`.
    Tagged,
    /// Every one in the account and Region.
    All,
}

impl Clusters {
    /// The tag that opts a cluster in. EMR copies it to the cluster's instances, where the FIS role demands it too.
    pub const TAG_KEY: &str = "spot-drill";
    /// The tag's value.
    pub const TAG_VALUE: &str = "on";
    /// The tag by which a cluster opts in all its steps that may be anything: scripts, JARs, programs of one's own.
    pub const STEPS_TAG_KEY: &str = "spot-drill:steps";
    /// That tag's value.
    pub const STEPS_TAG_VALUE: &str = "all";

    /// Do a cluster's tags opt it in?
    pub fn opts_in(tags: &BTreeMap<String, String>) -> bool {
        tags.get(Self::TAG_KEY).map(String::as_str) == Some(Self::TAG_VALUE)
    }

    /// Do a cluster's tags opt in its steps that are not known to be Spark?
    pub fn opts_in_all_steps(tags: &BTreeMap<String, String>) -> bool {
        tags.get(Self::STEPS_TAG_KEY).map(String::as_str) == Some(Self::STEPS_TAG_VALUE)
    }
}

/// Which steps are reported on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportOn {
    /// Those of clusters that may be drilled. Of the others EMR is asked nothing.
    OptedIn,
    /// Those of every cluster in the account and Region.
    All,
}

/// Are the steps of every cluster watched, whatever its tags are?
pub fn watches_all(clusters: Clusters, report_on: ReportOn) -> bool {
    clusters == Clusters::All || report_on == ReportOn::All
}

/// What a drill does to the instances that it chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Interrupts them.
    Run,
    /// Lets FIS resolve them (`actionsMode=skip-all`) and interrupts nobody.
    Preview,
    /// Drills nothing. What the steps write to is still noted, so that nobody empties it.
    Off,
}

/// What all functions' clients have in common.
#[derive(Debug, Clone, Args)]
pub struct Clients {
    /// Whom the connections to AWS trust: `amazon` for Amazon's own root certificates alone, `system` for those of the
    /// operating system, or the path of a PEM file.
    #[arg(long, env = "TRUSTED_ROOTS", default_value = "system")]
    pub trusted_roots: TrustedRoots,
    /// The memory that Lambda gives the function, in MB.
    ///
    /// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
    #[arg(long, env = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE")]
    pub memory_mb: Option<u32>,
}

/// The root certificates that connections to AWS are checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedRoots {
    /// The operating system's, a hundred and more: reading them costs a process's first call some milliseconds.
    System,
    /// Amazon's own. They do for AWS's endpoints outside of China, and not for a proxy that opens connections.
    Amazon,
    /// Those of a PEM file.
    File(PathBuf),
}

impl FromStr for TrustedRoots {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "system" => Self::System,
            "amazon" => Self::Amazon,
            path => Self::File(path.into()),
        })
    }
}

/// The share of EMR's quotas that the whole deployment keeps to, in percent of what EMR gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmrShare(u32);

impl EmrShare {
    /// In percent.
    pub fn percent(self) -> u32 {
        self.0
    }

    /// From one turn to the next: EMR gives back a call in two seconds of the kinds that it is stingiest with.
    /// <https://docs.aws.amazon.com/general/latest/gr/emr.html#limits_emr>
    pub fn every(self) -> TimeDelta {
        TimeDelta::milliseconds(200_000 / i64::from(self.0))
    }

    /// How many turns may be taken at once, of the ten calls that EMR takes at once.
    pub fn at_once(self) -> i32 {
        i32::try_from(self.0 / 10).unwrap_or(1).max(1)
    }
}

impl FromStr for EmrShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = text.trim().parse().ok().filter(|percent| (1..=100).contains(percent));
        percent
            .map(Self)
            .ok_or_else(|| format!("expected a number from 1 to 100, in percent, found {text:?}"))
    }
}

/// A setting that may be left blank, which CloudFormation's parameters and Lambda's variables cannot leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blank<T>(pub Option<T>);

impl<T: FromStr> FromStr for Blank<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text.trim().is_empty() {
            Ok(Self(None))
        } else {
            text.trim().parse().map(|value| Self(Some(value)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_as_many_turns_a_minute_and_at_once() {
        let turns = |percent: &str| {
            let share: EmrShare = percent.parse().unwrap();
            (
                share.percent(),
                60_000 / share.every().num_milliseconds(),
                share.at_once(),
            )
        };
        assert_eq!(turns("20"), (20, 6, 2));
        assert_eq!(turns("100"), (100, 30, 10));
        assert_eq!(turns("1"), (1, 3 / 10, 1));
        for bad in ["0", "101", "some", ""] {
            assert!(bad.parse::<EmrShare>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_blank_setting_is_none_and_a_wrong_one_is_an_error() {
        assert_eq!("".parse::<Blank<u32>>().unwrap(), Blank(None));
        assert_eq!("3".parse::<Blank<u32>>().unwrap(), Blank(Some(3)));
        assert!("three".parse::<Blank<u32>>().is_err());
    }
}
