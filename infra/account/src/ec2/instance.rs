//! An EC2 instance: what it is, what befell it, and what the API still shows of it once it is gone.
//!
//! Separate because it is what the rest of the simulation holds on to, free of the rules that move it.

use std::collections::BTreeMap;
use std::fmt;

use chrono::TimeDelta;

use crate::api::Time;

/// How an instance is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Market {
    /// By the second, for as long as its owner likes.
    OnDemand,
    /// Spare capacity that EC2 takes back when it needs it.
    Spot,
}

impl Market {
    /// EMR's name of it, which the journal uses too.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnDemand => "ON_DEMAND",
            Self::Spot => "SPOT",
        }
    }
}

/// What to launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// EC2's name of the type.
    pub instance_type: String,
    /// Spot or not.
    pub market: Market,
    /// One of the Region's zones, or empty to leave it to EC2.
    pub availability_zone: String,
    /// The tags that it has from its first moment.
    pub tags: BTreeMap<String, String>,
}

/// Why an instance goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Its owner, or a service on its owner's behalf, terminated it.
    User,
    /// EC2 needs the capacity back: a natural Spot interruption.
    NoCapacity,
    /// This FIS experiment interrupted it.
    Experiment(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("terminated by its owner"),
            Self::NoCapacity => f.write_str("EC2 needs the capacity back"),
            Self::Experiment(id) => write!(f, "experiment {id}"),
        }
    }
}

/// A change of an instance that other services react to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has booted.
    Running(String),
    /// It has notice of its interruption.
    InterruptionNotice {
        /// The instance.
        instance_id: String,
        /// When EC2 will shut it down.
        terminates_at: Time,
    },
    /// It goes: nothing runs on it any longer.
    ShuttingDown(String),
    /// It is gone.
    Terminated(String),
}

//= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
/// Where an instance is in its life. The states of stopping are missing: nothing here stops an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Booting.
    Pending,
    /// In use.
    Running,
    /// On its way out.
    ShuttingDown,
    /// Gone.
    Terminated,
}

impl State {
    /// EC2's name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }

    /// EC2's number of the state.
    pub fn code(self) -> u16 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
        }
    }
}

/// A Spot interruption that an instance has notice of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// When the notice was given.
    pub noticed_at: Time,
    /// When EC2 shuts the instance down.
    pub terminates_at: Time,
    /// Who or what interrupts it.
    pub cause: Cause,
}

/// One instance, with all that ever happened to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// `i-` and 17 hexadecimal digits.
    pub instance_id: String,
    /// The launch that it belongs to; each launch here is of one instance.
    pub reservation_id: String,
    /// EC2's name of its type.
    pub instance_type: String,
    /// Spot or not.
    pub market: Market,
    /// Where it is in its life.
    pub state: State,
    /// When it was launched.
    pub launched_at: Time,
    /// When it had booted.
    pub running_at: Option<Time>,
    /// When EC2 recommended to replace it.
    pub rebalance_recommended_at: Option<Time>,
    /// The Spot interruption that it has notice of.
    pub interruption: Option<Interruption>,
    /// When it began to shut down: from then on nothing runs on it.
    pub shutting_down_at: Option<Time>,
    /// When it was gone.
    pub terminated_at: Option<Time>,
    /// Its address in the VPC.
    pub private_ip: String,
    /// Its host name, which no other instance of the run ever has.
    pub private_dns_name: String,
    /// Its Availability Zone.
    pub availability_zone: String,
    /// Its tags as they were set; the API shows fewer once it is gone.
    pub tags: BTreeMap<String, String>,
    /// The Spot request that it fulfilled.
    pub spot_request_id: Option<String>,
}

//= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html
/// A terminated instance vanishes from the API after "usually less than one hour": here, after an hour.
const VANISHES_AFTER: TimeDelta = TimeDelta::minutes(60);

//= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
/// Tags are disassociated "gradually" after termination, AWS says no more. Here the first goes after this time, then
/// one after the other in the order of their keys, the last after twice this time.
const TAGS_FADE_AFTER: TimeDelta = TimeDelta::minutes(20);

impl Instance {
    /// Whether it is neither gone nor on its way out.
    pub fn is_alive(&self) -> bool {
        matches!(self.state, State::Pending | State::Running)
    }

    /// Whether the API still knows it.
    pub fn is_visible(&self, now: Time) -> bool {
        self.terminated_at.is_none_or(|at| now < at + VANISHES_AFTER)
    }

    /// The tags that the API still shows.
    pub fn visible_tags(&self, now: Time) -> impl Iterator<Item = (&String, &String)> {
        let faded = self.terminated_at.map_or(0, |at| {
            let count = self.tags.len() as i64;
            let (fading, span) = (
                (now - at - TAGS_FADE_AFTER).num_seconds(),
                TAGS_FADE_AFTER.num_seconds(),
            );
            if fading < 0 {
                0
            } else {
                usize::try_from(1 + fading * count / span).expect("not negative")
            }
        });
        self.tags.iter().skip(faded)
    }

    /// Its ARN in the form of EC2's Spot events: the Availability Zone in the Region's place, and no account.
    pub fn zonal_arn(&self) -> String {
        format!("arn:aws:ec2:{}:instance/{}", self.availability_zone, self.instance_id)
    }
}
