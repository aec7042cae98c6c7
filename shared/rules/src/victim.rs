//! Whom an experiment interrupts: chosen by us before it starts, so that it is known, recorded, and this cluster's own.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A target takes at most this many ARNs, and an action this many Spot instances.
/// <https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html>
pub const INSTANCES_PER_ACTION: usize = 5;

/// A running Spot task instance of the cluster, as EC2's `DescribeInstances` tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Victim {
    /// EC2's id.
    pub instance_id: String,
    /// Its ARN, which FIS takes as a target.
    pub arn: String,
    /// EC2's instance type.
    pub instance_type: String,
    /// The Availability Zone.
    pub availability_zone: String,
    /// Its name inside the VPC, by which Spark knows it.
    pub private_dns_name: String,
    /// When EC2 launched it.
    pub launched_at: Option<DateTime<Utc>>,
}

impl Victim {
    /// The one of an ARN, of which nothing else is known.
    pub fn of_arn(arn: String) -> Self {
        Self {
            instance_id: arn.rsplit('/').next().unwrap_or_default().to_owned(),
            arn,
            instance_type: String::new(),
            availability_zone: String::new(),
            private_dns_name: String::new(),
            launched_at: None,
        }
    }
}

/// How many instances the experiment template asks for.
///
/// <https://docs.aws.amazon.com/fis/latest/userguide/targets.html#target-selection-mode>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// All that match.
    All,
    /// This many.
    Count(u32),
    /// This share of those that match, in percent, rounded down.
    Percent(u32),
}

impl Selection {
    /// Reads `ALL`, `COUNT(3)`, `PERCENT(20)`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |name: &str| {
            text.strip_prefix(name)?
                .strip_prefix('(')?
                .strip_suffix(')')?
                .trim()
                .parse()
                .ok()
        };
        match text {
            "ALL" => Some(Self::All),
            _ => number("COUNT")
                .map(Self::Count)
                .or_else(|| number("PERCENT").map(Self::Percent)),
        }
    }

    /// How many instances must run before the experiment can begin.
    pub fn needs(self) -> usize {
        match self {
            Self::All => 1,
            Self::Count(count) => count as usize,
            // The fewest of which this share, rounded down, is one.
            Self::Percent(percent) => 100_usize.div_ceil(percent.max(1) as usize),
        }
    }

    /// How many of so many are interrupted.
    pub fn of(self, running: usize) -> usize {
        match self {
            Self::All => running,
            Self::Count(count) => (count as usize).min(running),
            Self::Percent(percent) => running * percent.min(100) as usize / 100,
        }
    }
}

/// Chooses `count` of the candidates, the same ones for the same cluster, step and wave in whatever order they come.
///
/// Each candidate is ranked by a hash of its id with the drill's, which is as good as a draw by lot and needs no state.
pub fn choose(mut candidates: Vec<Victim>, count: usize, cluster_id: &str, step_id: &str, wave: u32) -> Vec<Victim> {
    candidates.sort_by_cached_key(|victim| {
        let text = format!("{cluster_id}/{step_id}/{wave}/{}", victim.instance_id);
        (Sha256::digest(text.as_bytes()).to_vec(), victim.instance_id.clone())
    });
    candidates.truncate(count);
    candidates.sort();
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates() -> Vec<Victim> {
        (0..20)
            .map(|n| Victim {
                instance_id: format!("i-{n:017x}"),
                arn: String::new(),
                instance_type: "r5.xlarge".into(),
                availability_zone: "us-sim-1a".into(),
                private_dns_name: String::new(),
                launched_at: None,
            })
            .collect()
    }

    #[test]
    fn the_choice_does_not_depend_on_the_order_in_which_ec2_answers() {
        let mut reversed = candidates();
        reversed.reverse();
        assert_eq!(
            choose(candidates(), 3, "j-A", "s-A", 1),
            choose(reversed, 3, "j-A", "s-A", 1)
        );
    }

    #[test]
    fn another_step_or_wave_draws_others() {
        let first = choose(candidates(), 3, "j-A", "s-A", 1);
        assert_ne!(first, choose(candidates(), 3, "j-A", "s-B", 1));
        assert_ne!(first, choose(candidates(), 3, "j-A", "s-A", 2));
    }

    #[test]
    fn so_many_are_chosen_and_all_where_there_are_fewer() {
        let chosen = choose(candidates(), 3, "j-A", "s-A", 1);
        assert_eq!(chosen.len(), 3);
        assert!(chosen.iter().all(|one| candidates().contains(one)) && chosen.is_sorted());
        assert_eq!(choose(candidates(), 21, "j-A", "s-A", 1), candidates());
        assert_ne!(chosen, choose(candidates(), 3, "j-B", "s-A", 1), "of another cluster");
    }

    #[test]
    fn what_is_asked_for_and_does_not_run_is_not_interrupted() {
        assert_eq!((Selection::All.of(7), Selection::All.needs()), (7, 1));
        assert_eq!((Selection::Count(3).of(7), Selection::Count(3).of(2)), (3, 2));
        assert_eq!(Selection::Count(3).needs(), 3);
        assert_eq!((Selection::Percent(100).of(7), Selection::Percent(150).of(7)), (7, 7));
        assert_eq!(
            (Selection::Percent(100).needs(), Selection::Percent(1).needs()),
            (1, 100)
        );
        assert_eq!(Selection::Percent(99).of(1), 0, "rounded down");
    }

    #[test]
    fn selection_modes_are_those_of_fis() {
        assert_eq!(Selection::parse("COUNT(3)"), Some(Selection::Count(3)));
        assert_eq!(Selection::parse("PERCENT(20)"), Some(Selection::Percent(20)));
        assert_eq!(Selection::parse("ALL"), Some(Selection::All));
        assert_eq!(Selection::parse("COUNT"), None);
        assert_eq!(Selection::Percent(20).of(9), 1);
        assert_eq!(Selection::Percent(20).needs(), 5);
        assert_eq!(Selection::Percent(30).of(Selection::Percent(30).needs()), 1);
    }
}
