//! The interrupted instances of a cluster, and what of an application each took with it.

use account::ec2::{Cause, Instance as Machine};
use account::emr::{Cluster, Instance as Node, Role};
use account::spark::ApplicationTruth;
use chrono::{DateTime, TimeDelta, Utc};
use local::world::State;

use super::Window;

/// How sure something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Touch {
    /// It is not so.
    None,
    /// It may be told either way.
    Perhaps,
    /// It is so.
    Certain,
}

/// An instance that had notice.
#[derive(Debug)]
pub(crate) struct Hit<'a> {
    pub(crate) node: &'a Node,
    pub(crate) noticed_at: DateTime<Utc>,
    /// When it began to shut down.
    pub(crate) lost_at: Option<DateTime<Utc>>,
    pub(crate) cause: &'a Cause,
    /// Whether the loss lies inside the application's run.
    pub(crate) inside: Touch,
    /// Whether it counts: inside, and something of the application was there.
    pub(crate) touch: Touch,
    /// It was the primary node, and its cluster ended with it.
    pub(crate) ended_the_cluster: bool,
}

impl Hit<'_> {
    /// For people.
    pub(crate) fn line(&self) -> String {
        let clock = |at: Option<DateTime<Utc>>| at.map_or("never".into(), |at| at.format("%H:%M:%S").to_string());
        format!(
            "{} {} noticed {} lost {} by {}: inside {:?}, counts {:?}",
            self.node.role.as_str(),
            self.node.ec2_instance_id,
            clock(Some(self.noticed_at)),
            clock(self.lost_at),
            self.cause,
            self.inside,
            self.touch
        )
    }
}

/// All of the cluster, by their notices.
pub(crate) fn all<'a>(
    state: &'a State,
    cluster: &'a Cluster,
    application: Option<&ApplicationTruth>,
    window: Option<Window>,
) -> Vec<Hit<'a>> {
    let mut hits: Vec<Hit> = cluster
        .instances
        .iter()
        .filter_map(|node| {
            let machine: &Machine = state.account.ec2.instance(&node.ec2_instance_id)?;
            let interruption = machine.interruption.as_ref()?;
            let lost_at = machine.shutting_down_at;
            // Somebody ended it before EC2 did: EC2's own words may call that the interruption all the same.
            let early = lost_at.is_some_and(|at| at < interruption.terminates_at - TimeDelta::seconds(1));
            let most = if early { Touch::Perhaps } else { Touch::Certain };
            let ended_the_cluster = node.role == Role::Master && lost_at.is_some() && cluster.state.is_over();
            let mut hit = Hit {
                node,
                noticed_at: interruption.noticed_at,
                lost_at,
                cause: &interruption.cause,
                inside: Touch::None,
                touch: Touch::None,
                ended_the_cluster,
            };
            if let (Some(application), Some(window), Some(lost_at)) = (application, window, lost_at) {
                hit.inside = window.has(lost_at).min(most);
                hit.touch = touch(application, &hit, lost_at).min(most);
            }
            Some(hit)
        })
        .collect();
    hits.sort_by_key(|hit| (hit.noticed_at, hit.node.ec2_instance_id.clone()));
    hits
}

/// What of the application was there.
fn touch(application: &ApplicationTruth, hit: &Hit, lost_at: DateTime<Utc>) -> Touch {
    if hit.inside == Touch::None {
        return Touch::None;
    }
    let id = hit.node.ec2_instance_id.as_str();
    if hit.node.role == Role::Master {
        // Nothing of an application in cluster mode is there, and what ended well did so in the seconds in which the node
        // shut down.
        let ended_well = application.final_status.as_deref() == Some("SUCCEEDED");
        return hit.inside.min(if ended_well { Touch::Perhaps } else { Touch::Certain });
    }
    let mut touch = Touch::None;
    let noticed_at = hit.noticed_at.min(lost_at - super::NEAR);
    for attempt in &application.attempts {
        // A driver's loss ends its attempt, and perhaps the run: it is no matter of a border.
        if attempt.driver_lost && attempt.driver_instance.as_deref() == Some(id) && attempt.ended_at == Some(lost_at) {
            return Touch::Certain;
        }
        for loss in attempt
            .losses
            .iter()
            .filter(|loss| loss.instance_id == id && loss.at == lost_at)
        {
            let what = match (loss.executors, loss.shuffle_needed, loss.starting) {
                (1.., ..) | (_, true, _) => hit.inside,
                (_, _, 1..) => Touch::Perhaps,
                _ => left_since(attempt, id, noticed_at),
            };
            touch = touch.max(what.min(hit.inside));
        }
        // Executors go with their attempt, and then no loss of theirs is told.
        if attempt.ended_at.is_some_and(|at| at >= noticed_at && at < lost_at) {
            let left = attempt.executors.iter().any(|one| one.instance_id == id);
            touch = touch.max(if left { Touch::Perhaps } else { Touch::None }.min(hit.inside));
        }
    }
    touch
}

/// An executor that left since the notice, by which EMR gives its node no more tasks, may be told as one that the
/// interruption took; within seconds of the loss, as one that was lost.
fn left_since(attempt: &account::spark::AttemptTruth, id: &str, noticed_at: DateTime<Utc>) -> Touch {
    let left = attempt
        .executors
        .iter()
        .any(|one| one.instance_id == id && one.removed_at.is_some_and(|at| at >= noticed_at));
    if left { Touch::Perhaps } else { Touch::None }
}
